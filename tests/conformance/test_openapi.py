"""What the gateway says of its own endpoints is true: by the OpenAPI standard, and by schemathesis at a running one."""

import ast
import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import federation
import gateway
from federation.oidc.oauth import ERRORS, basic
from federation.refusal import BY_CODE, CallRefusal, MethodNotAllowed
from gateway.describing.calls import REFUSALS
from gateway.region import Region
from tests.gateway.council_sample import ASKER, CODES, app, as_system, council_list, question, with_systems
from tests.gateway.gateway_sample import READ, WRITE, Here, Sample, here, store_server
from tests.gateway.signing_sample import CLIENTS, ORDER, SECRET, Around, signing_sample
from tests.gateway.upstream_sample import upstream
from trust_lists import mdq

TRIED = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Requests of each kind to each operation, by each kind of caller."""

NOT_DESCRIBED = {
    "/": "a page for people",
    "/login": "pages for people",
    "/consents": "pages for people",
    "/signing/{id}": "pages for people",
    "/certificate/{handle}": "pages for people",
    "/static/{name}": "what pages look like",
    "/favicon.ico": "what pages look like",
    "/oidc/authorize": "where browsers are sent",
    "/oidc/rp/callback": "where browsers are sent",
    "/saml/sso": "where browsers are sent",
    "/saml/slo": "where browsers are sent",
    "/saml/sp/acs": "where browsers are sent",
    "/saml/sp/slo": "where browsers are sent",
    "/saml/{municipality}/sso": "where browsers are sent",
    "/saml/{municipality}/slo": "where browsers are sent",
    "/api/{rest}": "described route by route",
}
"""Addresses that are served and not described, with what lies below them, and why."""


@dataclass
class Running:
    """A gateway with everything on, and its description."""

    gateway: Here
    document: dict[str, Any]

    @property
    def region(self) -> Region:
        return self.gateway.process.gateway.region


def routes(sample: Sample) -> dict[str, Any]:
    """A table with every term that a route can have."""
    table = sample.routes()
    plain = {
        "service": "notes",
        "scope": READ,
        "minimum_identity": 1,
        "members": "region",
        "upstream_path": "/upstream-secret-path",
    }
    quotas = {"person": {"calls": 2, "seconds": 3600, "burst": 2}}
    table["services"][0]["audience"] = "notes-audience"
    table["routes"] += [
        {**plain, "path": "/api/few", "methods": ["GET"], "quotas": quotas},
        {**plain, "path": "/api/once/{item}", "methods": ["POST", "PUT"], "scope": WRITE, "idempotency": "required"},
        {**plain, "path": "/api/once/{other}", "methods": ["PATCH"], "idempotency": "accepted"},
        {**plain, "path": "/api/looked", "methods": ["POST"], "guard": {"request": "refuse", "response": "refuse"}},
        {**plain, "path": "/api/council", "methods": ["GET"], "members": "council", "callers": ["people", "systems"]},
        {**plain, "path": "/api/json", "methods": ["POST"], "content_types": ["application/json"], "body_kib": 1},
        {
            **plain,
            "path": "/api/open",
            "methods": ["GET"],
            "hours": {"days": ["mon"], "from": "01:00", "until": "01:01"},
        },
        {**plain, "path": "/api/strong", "methods": ["GET"], "minimum_identity": 3, "websocket": True},
    ]
    table["routes"] += [{**plain, "path": "/api/" + path, "methods": ["GET"]} for path in ("a-b", "a/b", "~", "-")]
    table["routes"].append({**plain, "path": "/api/x/{rest}/**", "methods": ["GET"], "upstream_path": "/**"})
    return table


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One for all tests of this file."""
    directory = tmp_path_factory.mktemp("openapi")
    with store_server(directory):
        async with serving(directory, f"unix://{directory / 's.sock'}") as found:
            yield found


@contextlib.asynccontextmanager
async def serving(directory: Path, store_url: str) -> AsyncIterator[Running]:
    """Gateway, service, responder."""
    async with Around().running() as around, upstream() as service:
        sample = signing_sample(directory / "gateway", around)
        sample.upstream = service.url
        written = yaml.safe_load((sample.config / "gateway.yaml").read_text())
        sample.write("gateway.yaml", {**written, "federation": {}, "metadata_query": {}})
        sample.write("routes.yaml", routes(sample))
        (sample.config / "lists" / "council.jwt").write_bytes(
            council_list({ASKER: None, CODES[1]: None}, name="council")
        )
        trust = yaml.safe_load((sample.config / "trust.yaml").read_text())
        trust["sources"].append({**trust["sources"][0], "name": "council", "file": "lists/council.jwt"})
        sample.write("trust.yaml", trust)
        with_systems(sample, ASKER, CODES[1])
        async with here(sample, store_url, app=app) as started:
            answer = await asyncio.to_thread(requests.get, started.url + "/openapi.json", timeout=30)
            yield Running(gateway=started, document=answer.json())


@pytest.mark.asyncio(loop_scope="module")
async def test_the_description_is_openapi(running: Running) -> None:
    """By a validator of others; each reference leads somewhere, each operation has an ID of its own."""
    OpenAPIV31SpecValidator(running.document).validate()


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_asked_for_once(running: Running) -> None:
    """Whoever has it is told so."""
    async with aiohttp.ClientSession() as http:
        first = await http.get(running.gateway.url + "/openapi.json")
        again = await http.get(first.url, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, first.content_type, again.status) == (200, "application/json", 304)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_address_is_described_or_named_with_a_reason(running: Running) -> None:
    """Nothing is served that nobody says anything of, and nothing described that is not there."""
    described = {
        (method.upper(), path)
        for path, item in running.document["paths"].items()
        for method in item
        if method in {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
    }
    served = {
        (route.method, route.resource.canonical)
        for route in app(running.gateway.process).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    for method, path in served:
        known = (method, path) in described or (method == "*" and ("GET", path) in described)
        assert known or any(path == each or path.startswith(each + "/") for each in NOT_DESCRIBED), path
    own = {path for _, path in described if not path.startswith("/api/")}
    assert own <= {path for _, path in served}


def test_too_many_is_said_where_something_is_counted(running: Running) -> None:
    """Calls of a route with quotas, and WebSockets of one that takes them; no other call is refused as too many."""
    paths = running.document["paths"]
    calls = {path: item["get"] for path, item in paths.items() if path.startswith("/api/") and "get" in item}
    said = {path for path, asked in calls.items() if "429" in asked["responses"]}
    assert said == {"/api/few", "/api/strong"}


def test_every_refusal_of_a_call_has_its_place() -> None:
    """A new refusal is a row of the table, or one of those that no described call can have."""
    council = {kind for kind in BY_CODE.values() if kind.code.startswith("council-")}
    of_calls = {kind for kind in BY_CODE.values() if issubclass(kind, CallRefusal)}
    assert {kind for kind, _ in REFUSALS} == of_calls - council - {MethodNotAllowed}


def test_every_error_of_oauth_has_its_status() -> None:
    """Wherever one is raised, its code stands in the table that the description is made of."""
    raised = {
        node.args[0].value
        for room in (federation, gateway)
        for file in Path(room.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OAuthError"
        if isinstance(node.args[0], ast.Constant)
    }
    assert raised == set(ERRORS)


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_of_services_is_told_that_callers_need_not_know(running: Running) -> None:
    """Neither addresses nor names behind the gateway, nor who may come, when and how often."""
    text = json.dumps(running.document)
    for secret in (running.gateway.sample.upstream, "upstream-secret-path", "notes-audience", "01:01", "3600"):
        assert secret not in text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_form_that_is_too_long_is_refused_in_words_of_oauth(running: Running) -> None:
    """Services that ask by themselves never get a page for people."""
    send = partial(requests.post, data={"grant_type": "a" * 2_000_000}, timeout=30)
    answer = await asyncio.to_thread(send, running.gateway.url + "/oidc/token")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# --- schemathesis

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

CALLERS: dict[str, tuple[Callable[[Sample], dict[str, str]], tuple[str, ...]]] = {
    "nobody": (lambda _: {}, ("/",)),
    "a person": (lambda sample: sample.bearer(), ("/api/", "/oidc/userinfo")),
    "a service": (lambda _: {"Authorization": basic(CLIENTS[0], SECRET)}, ("/oidc/token", "/signing/")),
    "a system": (lambda _: as_system(), ("/council/",)),
}
"""What each sends, and where it gets further than anybody."""


def loaded(running: Running, document: dict[str, Any] | None = None) -> Any:
    """The description as schemathesis reads it, or another one of the same gateway."""
    schema = schemathesis.openapi.from_dict(document or running.document)
    schema.config.update(base_url=running.gateway.url)
    return schema


@contextlib.contextmanager
def session(headers: dict[str, str]) -> Iterator[requests.Session]:
    """A connection with these headers."""
    with requests.Session() as found:
        found.trust_env = False
        found.headers.update(headers)
        yield found


def drive(schema: Any, headers: dict[str, str], below: tuple[str, ...]) -> list[str]:
    """What is not as described, of operations below these paths: with what they describe, and with anything else."""
    wrong: list[str] = []
    with session(headers) as through:

        def ask(case: Any) -> None:
            case.call_and_validate(session=through, headers=headers, checks=CHECKS)

        for found in schema.get_all_operations():
            operation = found.ok()
            if not operation.path.startswith(below):
                continue
            for mode in GenerationMode:
                try:
                    TRIED(given(case=operation.as_strategy(generation_mode=mode))(ask))()
                except Unsatisfiable:  # nothing can be wrong with a request that has no parts
                    continue
                except (FailureGroup, Exception) as fault:  # noqa: BLE001 - all are told together
                    wrong.append(f"{operation.label}: {fault!r}")
    return wrong


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("caller", CALLERS)
async def test_it_answers_as_it_says(running: Running, caller: str) -> None:
    """Whatever is sent to any operation, by whomever: no fault, and no status or content that is not described."""
    headers, below = CALLERS[caller]
    wrong = await asyncio.to_thread(drive, loaded(running), headers(running.gateway.sample), below)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_description_that_is_not_true_would_be_found(running: Running) -> None:
    """The test above can fail: without one status that userinfo answers with."""
    operation = copy.deepcopy(running.document["paths"]["/oidc/userinfo"]["get"])
    del operation["responses"]["401"]
    document = {**running.document, "paths": {"/oidc/userinfo": {"get": operation}}}
    wrong = await asyncio.to_thread(drive, loaded(running, document), {}, ("/",))
    assert len(wrong) == 1
    assert "401" in wrong[0]


def asked(schema: Any, caller: dict[str, str], method: str, path: str, **parts: Any) -> requests.Response:
    """One request that is meant to be accepted, held against the description."""
    with session(caller) as through:
        case = schema[path][method].Case(**parts)
        answer = case.call(session=through, headers=caller)
        case.validate_response(answer, checks=CHECKS)
        return answer


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_accepted_is_as_described(running: Running) -> None:
    """The same for answers that nobody gets by chance."""
    schema, sample = loaded(running), running.gateway.sample
    system, service = as_system(), {"Authorization": basic(CLIENTS[0], SECRET)}
    person = sample.bearer(resident="another", jti="other")

    def council() -> Iterator[int]:
        one = "/council/requests/{id}"
        begun = asked(schema, system, "POST", "/council/requests", body=question(), media_type="application/json")
        yield begun.status_code
        at = {"path_parameters": {"id": begun.json()["id"]}}
        yield asked(schema, system, "GET", one, **at).status_code
        yield asked(schema, system, "GET", "/council/requests").status_code
        yield asked(schema, system, "POST", one + "/cancel", **at).status_code

    def signing() -> Iterator[int]:
        one = "/signing/requests/{id}"
        begun = asked(schema, service, "POST", "/signing/requests", body=ORDER, media_type="application/json")
        yield begun.status_code
        at = {"path_parameters": {"id": begun.json()["id"]}}
        yield asked(schema, service, "GET", one, **at).status_code
        yield asked(schema, service, "DELETE", one, **at).status_code

    def calls() -> Iterator[int]:
        for _ in range(3):
            yield asked(schema, person, "GET", "/api/few").status_code

    def metadata() -> Iterator[int]:
        at = {"path_parameters": {"identifier": mdq.transformed(running.gateway.url + "/saml/metadata")}}
        yield asked(schema, {}, "GET", "/mdq/entities/{identifier}", **at).status_code

    assert await asyncio.to_thread(list, council()) == [201, 200, 200, 202]
    assert await asyncio.to_thread(list, signing()) == [201, 200, 204]
    assert await asyncio.to_thread(list, calls()) == [200, 200, 429]
    assert await asyncio.to_thread(list, metadata()) == [200]
