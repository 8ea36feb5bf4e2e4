"""The council's endpoints in the words of OpenAPI."""

import json
import re

from gateway.council.description import PATHS, SCHEMAS
from gateway.council.endpoints import ROUTES


def test_every_endpoint_is_described() -> None:
    """The same addresses and methods as those that are served, with schemas that are there."""
    served = {(route.path, route.method.lower()) for route in ROUTES}
    described = {(path, method) for path, about in PATHS.items() for method in about if method != "parameters"}
    assert served == described
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps([PATHS, SCHEMAS])))
    assert named - set(SCHEMAS) == {"Problem"}
