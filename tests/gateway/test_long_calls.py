"""Calls that go on for long through a running gateway: what ends them when their token is over."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from federation.oidc.grants import ACCESS_LIFETIME
from gateway import patience
from observability.events import CallEvent, CallOutcome

from .gateway_sample import Here, Sample, here
from .upstream_sample import Connection, Upstream, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEARLY_OVER = ACCESS_LIFETIME - timedelta(seconds=2)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """A gateway with a store database of its own: what is revoked here is not elsewhere."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("long"), upstream=service.url, timeout=30)
        async with here(sample, store_url + "?db=13") as gateway:
            yield gateway, service


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked twenty times a second."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)


def streaming(content_type: bytes, last: asyncio.Event) -> object:
    """A service that says one thing, and another when it is told to."""

    async def behave(connection: Connection) -> None:
        await connection.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: "
            + content_type
            + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        )
        await last.wait()
        await connection.say(b"4\r\nlast\r\n0\r\n\r\n")

    return behave


def bearer_of(gateway: Here, age: timedelta = timedelta()) -> dict[str, str]:
    """The token of somebody whom no other test knows."""
    return gateway.sample.bearer(age=age, jti=secrets.token_hex(8), resident=secrets.token_hex(8))


async def end_token(gateway: Here, bearer: dict[str, str], how: str) -> None:
    """End it before its time."""
    inside = gateway.process.gateway
    known = inside.region.openid_provider.verify_access_token(bearer["Authorization"].split()[1], inside.clock())
    person = inside.region.caller(known, inside.clock()).person
    assert person is not None
    if how == "token":
        await inside.revocations.revoke([known.jti])
    elif how == "consent":
        await inside.revocations.withdraw(person, known.client_id)


@pytest.mark.parametrize(
    ("content_type", "how"),
    [(b"text/event-stream", "expiry"), (b"Text/Event-Stream; charset=utf-8", "token"), (b"text/csv", "token")],
)
async def test_what_is_under_way_ends_with_its_token(
    running: tuple[Here, Upstream], content_type: bytes, how: str
) -> None:
    """A stream of events at the token's end, whatever it is when the token is revoked; nobody takes it for whole."""
    gateway, service = running
    gateway.heard.events.clear()
    never = asyncio.Event()
    service.behave = streaming(content_type, never)
    bearer = bearer_of(gateway, NEARLY_OVER if how == "expiry" else timedelta())
    async with (
        aiohttp.ClientSession(headers=bearer) as session,
        session.get(gateway.url + "/api/notes") as answer,
    ):
        assert await answer.content.readany() == b"first"
        await end_token(gateway, bearer, how)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.content.read(), 10)
    never.set()
    (event,) = gateway.heard.of(CallEvent)
    assert (event.outcome, event.reason) == (CallOutcome.REFUSED, "token-invalid")


async def test_a_long_poll_is_refused_when_the_consent_is_withdrawn(running: tuple[Here, Upstream]) -> None:
    """Before the service answered: 401, as if it had been asked just now."""
    gateway, service = running
    asked, never = asyncio.Event(), asyncio.Event()

    async def behave(_: Connection) -> None:
        asked.set()
        await never.wait()

    service.behave = behave
    bearer = bearer_of(gateway)
    async with aiohttp.ClientSession(headers=bearer) as session:
        call = asyncio.create_task(session.get(gateway.url + "/api/notes"))
        await asyncio.wait_for(asked.wait(), 10)
        await end_token(gateway, bearer, "consent")
        async with await asyncio.wait_for(call, 10) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "token-invalid")
    never.set()


async def test_a_long_answer_outlives_its_token(running: tuple[Here, Upstream]) -> None:
    """A file that takes longer than the token lives is given to the end: it was asked for in time."""
    gateway, service = running
    last = asyncio.Event()
    service.behave = streaming(b"application/octet-stream", last)
    bearer = bearer_of(gateway, NEARLY_OVER)
    async with (
        aiohttp.ClientSession(headers=bearer) as session,
        session.get(gateway.url + "/api/notes") as answer,
    ):
        assert await answer.content.readany() == b"first"
        await asyncio.sleep(2.5)  # the token is over, and it was looked many times
        last.set()
        assert await answer.content.read() == b"last"
