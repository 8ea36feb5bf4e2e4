"""GET /openapi.json: what machines may ask of this gateway, made of its configuration and of the code's own tables.

Pages for people are not described, nor is the operator's listener, which is nobody else's.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from federation.callers import CallerKind
from federation.council.asking import SCOPE
from federation.oidc.metadata import AUTHORIZE_PATH, TOKEN_PATH
from gateway.config import Configuration
from gateway.context import GATEWAY
from gateway.council import description as council
from gateway.describing import calls, parts, phones, protocols
from gateway.describing.parts import JSON, Described
from gateway.federation_endpoints import KEEP, conditional
from gateway.region import Region
from trust_lists.federation_serving import Answer

VERSION: Final = "3.1.0"

_ABOUT: Final = """\
Logins, tokens, calls to shared services and requests between municipalities.

Any request that cannot be read in one way only is answered 400, 431 or 501 and ends its connection, whatever it asks.
Another method than those that stand here is answered 404 or 405.
Where these addresses are https, plain HTTP is answered 403, or 308 to https.\
"""


def document(region: Region) -> Described:
    """The description, as JSON has it."""
    configuration = region.configuration
    name = configuration.gateway.region.name
    return {
        "openapi": VERSION,
        "info": {"title": " / ".join(dict.fromkeys(name.values())), "version": "1", "description": _ABOUT},
        "servers": [{"url": region.public_url}],
        "tags": [
            {"name": f"service:{service.id}", "description": " / ".join(dict.fromkeys(service.name.values()))}
            for service in configuration.api_services.values()
        ],
        "paths": {
            **protocols.openid(region),
            **protocols.signing(region),
            **phones.phones(region),
            **protocols.federation(region),
            **protocols.saml(region),
            **council.PATHS,
            **calls.paths(configuration),
        },
        "components": {
            "schemas": {**parts.SCHEMAS, **protocols.SCHEMAS, **phones.SCHEMAS, **council.SCHEMAS},
            "parameters": {**calls.PARAMETERS},
            "securitySchemes": _schemes(region.public_url, configuration),
        },
    }


def _schemes(root: str, configuration: Configuration) -> Described:
    bound = "A token may be bound: to a key (`Authorization: DPoP`, RFC 9449) or to a certificate (RFC 8705)."
    routes = configuration.routes.routes
    used = {kind: {route.scope for route in routes if kind in route.terms.callers} for kind in CallerKind}

    def scopes(kind: CallerKind, **own: str) -> dict[str, str]:
        return {**own, **{name: configuration.scopes[name].get("en", name) for name in sorted(used[kind])}}

    for_people = {
        "authorizationUrl": root + AUTHORIZE_PATH,
        "tokenUrl": root + TOKEN_PATH,
        "scopes": scopes(CallerKind.PERSON, openid="Sign in"),
    }
    for_systems = {
        "tokenUrl": root + TOKEN_PATH,
        "scopes": scopes(CallerKind.SYSTEM, **{SCOPE: "Put questions to members of the council"}),
    }
    return {
        "people": {"type": "oauth2", "description": bound, "flows": {"authorizationCode": for_people}},
        "systems": {"type": "oauth2", "description": bound, "flows": {"clientCredentials": for_systems}},
        "clients": {"type": "http", "scheme": "basic", "description": "Client ID and secret (RFC 6749 §2.3.1)."},
        "assertions": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A client assertion (RFC 7523 §3).",
        },
    }


# --- serving


@dataclass(slots=True)
class Description:
    """The description of the configuration in force, made once."""

    of: Configuration | None = None
    answer: Answer | None = None
    etag: str = ""

    def for_region(self, region: Region) -> Answer:
        """It, made anew when the configuration has been swapped."""
        if self.answer is None or self.of is not region.configuration:
            body = json.dumps(document(region), ensure_ascii=False, separators=(",", ":")).encode()
            self.of, self.etag = region.configuration, hashlib.sha256(body).hexdigest()
            self.answer = Answer(status=200, media_type=JSON, body=body)
        return self.answer


DESCRIBED = web.AppKey("described", Description)


async def described(request: web.Request) -> web.StreamResponse:
    """GET /openapi.json."""
    kept = request.app[DESCRIBED]
    answer = kept.for_region(request.app[GATEWAY].region)
    return conditional(request, answer, kept.etag, caching=KEEP)


ROUTES: Sequence[web.RouteDef] = (web.get(protocols.OPENAPI, described),)
