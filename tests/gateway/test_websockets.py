"""WebSockets through a running gateway: what passes, who may, and what ends them."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import WSCloseCode, WSMsgType, web

from federation.oidc.grants import ACCESS_LIFETIME
from gateway.app import public_app
from gateway.calls import websockets
from gateway.listeners import bind
from gateway.serve import Listener, listening
from observability.events import CallEvent, CallOutcome

from .gateway_sample import READ, Here, Sample, free_port, here

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Echo:
    """A service that says back what it is told, and what it saw."""

    url: str = ""
    opened: list[web.Request] = field(default_factory=list)
    closed: list[int | None] = field(default_factory=list)

    async def talk(self, request: web.Request) -> web.StreamResponse:
        """Echo; `close` closes with 4001, `shout` is a message of 200 KB; `?to=` leads elsewhere, `?no=` refuses."""
        self.opened.append(request)
        if "to" in request.query:
            raise web.HTTPTemporaryRedirect(request.query["to"])
        if "no" in request.query:
            return web.Response(
                status=int(request.query["no"]),
                reason="Not so",
                text="x" * int(request.query.get("long", 2)),
                headers={"Retry-After": "7", "X-Accel-Redirect": "/secret", "Server": "echo"},
            )
        socket = web.WebSocketResponse(protocols=["chat.v2"])
        if not socket.can_prepare(request):
            return web.Response(text="plain")
        await socket.prepare(request)
        async for message in socket:
            if message.data == "close":
                await socket.close(code=4001)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str("x" * 200_000 if message.data == "shout" else message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        self.closed.append(socket.close_code)
        return socket


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Echo]]:
    """A gateway before the echo: `/api/talk` may become a WebSocket, `/api/quiet` may not."""
    echo = Echo()
    app = web.Application()
    app.router.add_get("/{path:.*}", echo.talk)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    echo.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sample = Sample(Path(tmp_path_factory.mktemp("sockets")), upstream=echo.url, timeout=2)
    routes = sample.routes()
    routes["services"].append(
        {**routes["services"][0], "id": "several", "audience": "several", "targets": ["http://localhost:9", echo.url]}
    )
    for path, more in (
        ("/talk", {"websocket": True, "body_kib": 256}),
        ("/quiet", {}),
        ("/several", {"websocket": True, "service": "several"}),
    ):
        routes["routes"].append(
            {
                "path": "/api" + path,
                "methods": ["GET"],
                "service": "notes",
                "upstream_path": path,
                "scope": READ,
                "members": "region",
                **more,
            }
        )
    sample.write("routes.yaml", routes)
    async with here(sample, store_url + "?db=11") as gateway:  # of its own: what is revoked here is not elsewhere
        yield gateway, echo
    await runner.cleanup()


@contextlib.asynccontextmanager
async def opened(
    gateway: Here, path: str = "/api/talk", *, token: dict[str, object] | None = None, **more: object
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket of a resident's app, with a token of that kind."""
    async with (
        aiohttp.ClientSession(headers=gateway.sample.bearer(**token or {})) as session,
        session.ws_connect(gateway.url + path, **more) as socket,  # type: ignore[arg-type]
    ):
        yield socket


async def test_messages_pass_both_ways(running: tuple[Here, Echo]):
    """Text and octets, as they are; the service hears who calls, and the token stays here."""
    gateway, echo = running
    gateway.heard.events.clear()
    async with opened(gateway, "/api/talk?room=1", protocols=["chat.v1", "chat.v2"]) as socket:
        assert socket.protocol == "chat.v2"
        for text in ("hello", "", "架け橋", "x" * 100_000):
            await socket.send_str(text)
            assert await socket.receive_str() == text
        await socket.send_bytes(b"\0\xff")
        assert await socket.receive_bytes() == b"\0\xff"
        await socket.close(code=4000)
    seen = echo.opened[-1]
    assert seen.path_qs == "/talk?room=1"
    assert "Authorization" not in seen.headers
    assert seen.headers["Kakehashi-Assertion"].count(".") == 2
    await until(lambda: echo.closed[-1:] == [4000])
    await until(lambda: len(gateway.heard.of(CallEvent)) == 1)
    (event,) = gateway.heard.of(CallEvent)
    assert (event.status, event.outcome) == (101, CallOutcome.OK)


async def test_an_address_that_is_not_there_is_passed_over(running: tuple[Here, Echo]):
    """Of several addresses one answers: each WebSocket finds it, and what is open counts as its load."""
    gateway, _ = running
    async with contextlib.AsyncExitStack() as stack:
        for n in range(6):
            socket = await stack.enter_async_context(opened(gateway, "/api/several"))
            await socket.send_str(str(n))
            assert await socket.receive_str() == str(n)


async def test_whoever_closes_says_why_to_the_other(running: tuple[Here, Echo]):
    """The service's code reaches the app."""
    gateway, _ = running
    async with opened(gateway) as socket:
        await socket.send_str("close")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4001)


async def test_a_message_that_is_too_long_closes(running: tuple[Here, Echo]):
    """Nobody makes the gateway hold more than the route's limit."""
    gateway, _ = running
    async with opened(gateway) as socket:
        await socket.send_bytes(b"x" * (256 * 1024 + 1))
        message = await socket.receive()
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING)
        assert socket.close_code in (WSCloseCode.MESSAGE_TOO_BIG, WSCloseCode.GOING_AWAY)


async def test_a_caller_that_vanishes_ends_the_services_side(running: tuple[Here, Echo]):
    """Nothing is left open."""
    gateway, echo = running
    before = len(echo.closed)
    async with opened(gateway) as socket:
        await socket.send_str("hello")
        await socket.receive_str()
        assert socket._response.connection is not None
        socket._response.connection.transport.abort()  # type: ignore[union-attr]
    await until(lambda: len(echo.closed) == before + 1)


async def test_a_route_that_takes_none_answers_as_ever(running: tuple[Here, Echo]):
    """The service is asked without Upgrade."""
    gateway, echo = running
    async with aiohttp.ClientSession(headers=gateway.sample.bearer()) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(gateway.url + "/api/quiet")
    assert "Upgrade" not in echo.opened[-1].headers


async def test_nobody_without_a_token_opens_one(running: tuple[Here, Echo]):
    """Refused before the service hears of it."""
    gateway, echo = running
    before = len(echo.opened)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(gateway.url + "/api/talk")
    assert refused.value.status == 401
    assert len(echo.opened) == before


async def test_the_service_leads_nowhere_else(running: tuple[Here, Echo]):
    """A redirect is not followed: the assertion is for this service, and the gateway reaches more than its callers."""
    gateway, echo = running
    before = len(echo.opened)
    async with aiohttp.ClientSession(headers=gateway.sample.bearer()) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(gateway.url + "/api/talk", params={"to": f"{echo.url}/admin"})
    assert refused.value.status == 502
    assert [each.path for each in echo.opened[before:]] == ["/talk"]


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503, 599])
async def test_a_service_that_refuses_is_heard(running: tuple[Here, Echo], status: int):
    """Its status and its words are for the caller, as of any call; what is nobody else's business is left out."""
    gateway, _ = running
    async with aiohttp.ClientSession(headers=gateway.sample.bearer()) as session:
        url = gateway.url + "/api/talk"
        async with session.get(url, params={"no": status}, headers=UPGRADE) as refused:
            assert (refused.status, refused.reason, await refused.text()) == (status, "Not so", "xx")
            assert (refused.headers["Retry-After"], refused.content_type) == ("7", "text/plain")
            assert "X-Accel-Redirect" not in refused.headers
            assert refused.headers.getall("Server") == ["kakehashi"]
        async with session.get(url, params={"no": status, "long": 70_000}, headers=UPGRADE) as refused:
            assert (refused.status, await refused.read()) == (status, b"")
        async with session.ws_connect(url) as socket:  # the next one is none the worse
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"


async def test_nobody_has_more_of_them_open_than_the_limit(tmp_path: Path, store_url: str, running: tuple[Here, Echo]):
    """Per person, whatever tokens and listeners; whoever closes one may open another, others are not in the way."""
    _, echo = running
    sample = Sample(tmp_path, upstream=echo.url)
    sample.write("gateway.yaml", sample.gateway(limits={"websockets": 2}))
    routes = sample.routes()
    routes["routes"][0]["websocket"] = True
    sample.write("routes.yaml", routes)
    url = "/api/notes"
    port = free_port()
    async with (
        here(sample, store_url) as gateway,
        listening(2, Listener(public_app(gateway.process.gateway), bind("localhost", port))),
        aiohttp.ClientSession() as session,
    ):
        one, other = (sample.bearer(jti=secrets.token_hex(8), resident=name) for name in ("takahashi", "suzuki"))
        again = sample.bearer(jti=secrets.token_hex(8), resident="takahashi")
        first = await session.ws_connect(gateway.url + url, headers=one)
        second = await session.ws_connect(gateway.url + url, headers=again)
        for listener in (gateway.url, f"http://localhost:{port}"):
            async with session.get(listener + url, headers={**one, **UPGRADE}) as refused:
                assert (refused.status, (await refused.json())["code"]) == (429, "quota-exceeded")
                assert int(refused.headers["Retry-After"]) > 0
        async with session.ws_connect(gateway.url + url, headers=other) as theirs:
            await theirs.send_str("hello")
            assert (await theirs.receive()).data == "hello"
        await first.close()
        async with asyncio.timeout(10):
            while (opened := await tried(session, gateway.url + url, one)) is None:  # noqa: ASYNC110 - another's state
                await asyncio.sleep(0.05)
        await opened.close()
        await second.close()


async def tried(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str]
) -> aiohttp.ClientWebSocketResponse | None:
    """A WebSocket, if it opens."""
    with contextlib.suppress(aiohttp.WSServerHandshakeError):
        return await session.ws_connect(url, headers=headers)
    return None


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    "flaw", [{"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Version": "12"}, {"Connection": "keep-alive"}]
)
async def test_what_is_no_opening_handshake_is_an_ordinary_call(running: tuple[Here, Echo], flaw: dict[str, str]):
    """No fault of the gateway's (RFC 9110 §7.8): the service is asked without Upgrade, and answers what it likes."""
    gateway, echo = running
    headers = {
        **gateway.sample.bearer(),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **flaw,
    }
    async with aiohttp.ClientSession() as session, session.get(gateway.url + "/api/talk", headers=headers) as answer:
        assert (answer.status, await answer.text()) == (200, "plain")
    assert "Upgrade" not in echo.opened[-1].headers


@pytest.mark.parametrize("end", ["expiry", "consent", "token"])
async def test_a_token_that_is_over_closes_it(running: tuple[Here, Echo], end: str, monkeypatch: pytest.MonkeyPatch):
    """Revoked, or its consent withdrawn, or at its end: the app hears 1008, and the service that it is over."""
    gateway, echo = running
    monkeypatch.setattr(websockets, "LOOK_SECONDS", 0.05)
    before = len(echo.closed)
    ages = {  # the last one's is of after the withdrawal
        "expiry": ACCESS_LIFETIME - timedelta(seconds=2),
        "consent": timedelta(),
        "token": timedelta(seconds=-3),
    }
    async with opened(gateway, token={"age": ages[end]}) as socket:
        await socket.send_str("hello")
        await socket.receive_str()
        inside = gateway.process.gateway
        token = socket._response.request_info.headers["Authorization"].split()[1]
        known = inside.region.openid_provider.verify_access_token(token, inside.clock())
        person = inside.region.caller(known, inside.clock()).person
        assert person is not None
        if end == "token":
            await inside.revocations.revoke([known.jti])
        elif end == "consent":
            await inside.revocations.withdraw(person, known.client_id)
        message = await asyncio.wait_for(socket.receive(), 10)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)
    await until(lambda: len(echo.closed) == before + 1)


async def test_whoever_does_not_hear_that_it_is_over_holds_up_nobody(
    running: tuple[Here, Echo], monkeypatch: pytest.MonkeyPatch
):
    """A caller that never answers the closing frame is waited for alone; others' ends come in their time."""
    gateway, _ = running
    monkeypatch.setattr(websockets, "LOOK_SECONDS", 0.05)
    inside = gateway.process.gateway
    tokens = [
        {"age": timedelta(seconds=-3), "jti": secrets.token_hex(8), "resident": secrets.token_hex(8)} for _ in range(2)
    ]
    async with opened(gateway, token=tokens[0]) as deaf, opened(gateway, token=tokens[1]) as other:
        for socket, token in zip((deaf, other), tokens, strict=True):
            await socket.send_str("hello")
            await socket.receive_str()
            await inside.revocations.revoke([str(token["jti"])])
            await asyncio.sleep(0.6)
        message = await asyncio.wait_for(other.receive(), 5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.POLICY_VIOLATION)


async def until(condition: object) -> None:
    """Wait until it holds."""
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
