"""What routes ask of calls, through a running gateway: each refusal as the app sees it, and what is remembered."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from federation.identifiers import PersonRef

from .gateway_sample import READ, Here, Sample, here
from .upstream_sample import Upstream, ok, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES: dict[str, dict[str, Any]] = {
    "open": {"members": "region"},
    "council": {},
    "named": {"members": ["102016"]},
    "others": {"members": ["012173"]},
    "systems": {"members": "region", "callers": ["systems"]},
    "over": {"members": "region", "until": "2020-03-31"},
    "coming": {"members": "region", "since": "2099-04-01"},
    "json": {"members": "region", "content_types": ["application/json"], "body_kib": 1},
    "sure": {"members": "region", "minimum_authentication": 3},
    "scarce": {"members": "region", "quotas": {"person": {"calls": 2, "seconds": 3600}}},
    "shared": {"members": "region", "quotas": {"municipality": {"calls": 3, "seconds": 3600, "burst": 2}}},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """One gateway whose routes differ in one term each."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("terms"), upstream=service.url, timeout=5)
        routes = sample.routes()
        routes["routes"] = [
            {
                "path": f"/api/{name}",
                "methods": ["GET", "POST"],
                "service": "notes",
                "upstream_path": f"/{name}",
                "scope": READ,
                **terms,
            }
            for name, terms in ROUTES.items()
        ]
        sample.write("routes.yaml", routes)
        async with here(sample, store_url + "?db=12") as gateway:
            yield gateway, service


@pytest.fixture
def service(running: tuple[Here, Upstream]) -> Upstream:
    """The service, as if nothing had happened yet."""
    running[1].behave = ok
    running[1].calls.clear()
    return running[1]


async def called(gateway: Here, name: str, **more: Any) -> tuple[int, str | None, aiohttp.ClientResponse]:
    """A call of a resident's app: status, code of the problem, and the answer."""
    headers = {**gateway.sample.bearer(), **more.pop("headers", {})}
    method = "POST" if "data" in more else "GET"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{gateway.url}/api/{name}", headers=headers, **more) as answer,
    ):
        code = (await answer.json(content_type=None))["code"] if answer.status >= 400 else None
        return answer.status, code, answer


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("open", 200, None),
        ("council", 403, "not-a-member"),  # no list names anybody
        ("named", 200, None),
        ("others", 403, "not-a-member"),
        ("systems", 403, "caller-not-allowed"),
        ("over", 403, "route-closed"),
        ("coming", 403, "route-closed"),
    ],
)
async def test_who_may_and_when(
    running: tuple[Here, Upstream], service: Upstream, name: str, status: int, code: str | None
):
    """Each term with its code; the service hears only of calls that may be made."""
    assert (await called(running[0], name))[:2] == (status, code)
    assert len(service.calls) == (code is None)


async def test_a_route_that_opens_says_when(running: tuple[Here, Upstream]):
    """And one that is over says nothing."""
    _, _, coming = await called(running[0], "coming")
    _, _, over = await called(running[0], "over")
    assert int(coming.headers["Retry-After"]) > 3600
    assert "Retry-After" not in over.headers


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"{}", "application/json", 200, None),
        (b"{}", "Application/JSON; charset=utf-8", 200, None),
        (b"{}", "text/plain", 415, "content-type-not-allowed"),
        (b"x" * 1025, "application/json", 413, "body-too-large"),
    ],
)
async def test_what_bodies_may_be(  # noqa: PLR0917 - a case
    running: tuple[Here, Upstream], service: Upstream, data: bytes, kind: str, status: int, code: str | None
):
    """By type, whatever its parameters, and by length."""
    found = await called(running[0], "json", data=data, headers={"Content-Type": kind})
    assert found[:2] == (status, code)
    assert len(service.calls) == (code is None)


async def test_a_stronger_sign_in_may_be_asked_for(running: tuple[Here, Upstream]):
    """The sample's people signed in at level 3; with less they are told."""
    gateway, _ = running
    assert (await called(gateway, "sure"))[0] == 200
    found = await called(gateway, "sure", headers=gateway.sample.bearer(level=2))
    assert found[:2] == (403, "call-assurance-too-low")


@pytest.mark.parametrize(("name", "passing"), [("scarce", 2), ("shared", 2)])
async def test_who_calls_too_often_is_told_when_to_come_again(running: tuple[Here, Upstream], name: str, passing: int):
    """Also with another token."""
    gateway, _ = running
    found = [await called(gateway, name) for _ in range(passing + 2)]
    assert [status for status, _, _ in found] == [200] * passing + [429] * 2
    assert found[-1][1] == "quota-exceeded"
    assert 1 <= int(found[-1][2].headers["Retry-After"]) <= 3600


def claims_of(service: Upstream, number: int) -> dict[str, Any]:
    """What the identity assertion of a call said."""
    assertion = service.calls[number].header("Kakehashi-Assertion") or ""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    return claims


async def test_calls_that_only_read_share_an_assertion_and_others_do_not(
    running: tuple[Here, Upstream], service: Upstream
):
    """What changes something is made out for that one request; the time that is left is said."""
    gateway, _ = running
    headers = gateway.sample.bearer()
    for _ in range(2):
        await called(gateway, "open", headers=headers)
    for _ in range(2):
        await called(gateway, "open", headers=headers, data=b"x")
    read, again, one, other = (claims_of(service, number) for number in range(4))
    assert read == again
    assert len({read["jti"], one["jti"], other["jti"]}) == 3
    assert one["jti"] == service.calls[2].header("Kakehashi-Request-Id")
    assert (read["caller"], read["sub"]) == ("person", one["sub"])
    assert read["consent"] not in ("consent-1", read["sub"])
    assert service.calls[0].header("Kakehashi-Timeout") == "5"


async def test_a_withdrawn_consent_ends_calls_that_are_remembered(running: tuple[Here, Upstream]):
    """The token was verified a moment ago, and is refused with its own code; another person's is not."""
    gateway, _ = running
    headers = gateway.sample.bearer()
    assert (await called(gateway, "open", headers=headers))[0] == 200
    inside = gateway.process.gateway
    token = inside.region.openid_provider.verify_access_token(headers["Authorization"].split()[1], inside.clock())
    person = inside.region.caller(token, inside.clock()).person
    assert person is not None
    await inside.revocations.withdraw(PersonRef("somebody else"), token.client_id)
    await inside.revocations.withdraw(person, "https://another.example")
    assert (await called(gateway, "open", headers=headers))[0] == 200
    await inside.revocations.withdraw(person, token.client_id)
    status, code, answer = await called(gateway, "open", headers=headers)
    assert (status, code) == (401, "consent-withdrawn")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    await asyncio.sleep(0)
