"""WebSockets beside somebody else's implementation: the library `websockets` is the app and the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from .gateway_sample import READ, Here, Sample, here
from .test_websockets import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT_KIB = 256


@dataclass
class Echo:
    """A service that says back what it is told; `close CODE REASON` closes, `close` alone with neither."""

    open: list[ServerConnection] = field(default_factory=list)
    ends: list[Close | None] = field(default_factory=list)

    async def talk(self, socket: ServerConnection) -> None:
        self.open.append(socket)
        with suppress(ConnectionClosed):
            async for message in socket:
                word, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
                if word == "close" and rest:
                    code, _, reason = rest.partition(" ")
                    await socket.close(int(code), reason)
                elif word == "close":
                    close_bare(socket)
                else:
                    await socket.send(message)
        await socket.wait_closed()
        self.ends.append(socket.protocol.close_rcvd)


def close_bare(socket: Connection) -> None:
    """Begin to close without a code, as `socket.close()` in a browser does (RFC 6455 §5.5.1)."""
    socket.protocol.send_close()
    socket.transport.write(b"".join(socket.protocol.data_to_send()))


@dataclass
class Scene:
    """The gateway and the service."""

    gateway: Here
    echo: Echo

    def opened(self, **more: Any) -> connect:
        """The app's side."""
        address = self.gateway.url.replace("http", "ws", 1) + "/api/talk"
        return connect(address, additional_headers=self.gateway.sample.bearer(), **more)

    async def heard(self) -> Close | None:
        """How the service was told that it is over."""
        await until(lambda: len(self.echo.ends) == 1)
        return self.echo.ends[0]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Scene]:
    """A gateway before the echo."""
    echo = Echo()

    def chosen(_: ServerConnection, offered: Any) -> Any:
        return "chat.v2" if "chat.v2" in offered else None

    async with serve(echo.talk, "127.0.0.1", 0, select_subprotocol=chosen, max_size=None) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        sample = Sample(Path(tmp_path_factory.mktemp("peer")), upstream=url, timeout=10)
        routes = sample.routes()
        talk = {"path": "/api/talk", "methods": ["GET"], "service": "notes", "upstream_path": "/talk", "scope": READ}
        routes["routes"].append({**talk, "members": "region", "websocket": True, "body_kib": LIMIT_KIB})
        sample.write("routes.yaml", routes)
        async with here(sample, store_url) as gateway:
            yield Scene(gateway, echo)


@pytest.fixture
def scene(running: Scene) -> Scene:
    """The same, as if nothing had come."""
    running.echo.open.clear()
    running.echo.ends.clear()
    return running


async def test_messages_pass_both_ways(scene: Scene) -> None:
    """Text and octets, empty ones, long ones, in fragments; pings are answered."""
    async with scene.opened(subprotocols=["chat.v1", "chat.v2"]) as socket:
        assert socket.subprotocol == "chat.v2"
        for message in ("hello", "", "架け橋", "x" * 200_000, b"\0\xff", b""):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["in ", "", "fragments"])
        assert await socket.recv() == "in fragments"
        async with asyncio.timeout(10):
            await (await socket.ping())
    assert await scene.heard() == Close(1000, "")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3000, ""), (4999, "理由" * 20)])
async def test_the_app_closes(scene: Scene, code: int, reason: str) -> None:
    """The service hears the code and the reason."""
    async with scene.opened() as socket:
        await socket.close(code, reason)
    assert await scene.heard() == Close(code, reason)
    assert socket.close_code == code


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1011, "fault"), (4001, "さようなら")])
async def test_the_service_closes(scene: Scene, code: int, reason: str) -> None:
    """The app hears the code and the reason."""
    async with scene.opened() as socket:
        await socket.send(f"close {code} {reason}")
        assert await ended(socket) == Close(code, reason)


async def test_a_close_without_a_code_is_a_normal_one_for_the_other(scene: Scene) -> None:
    """Browsers send one unless they are told a code; neither side is told a code that nobody may send."""
    socket = await scene.opened()
    await socket.send("hello")
    assert await socket.recv() == "hello"
    close_bare(socket)
    await socket.wait_closed()
    assert socket.close_code == 1000
    assert await scene.heard() == Close(1000, "")
    async with scene.opened() as socket:
        await socket.send("close")
        assert await ended(socket) == Close(1000, "")


async def test_what_may_not_be_sent_ends_it_for_both(scene: Scene) -> None:
    """Text that is none, and more than the route lets pass: the app hears why, the service that it is over."""
    socket = await scene.opened()
    socket.protocol.send_text(b"\xff\xfe")
    socket.transport.write(b"".join(socket.protocol.data_to_send()))
    assert (await ended(socket)).code == 1007
    assert (await scene.heard()) == Close(1001, "")
    scene.echo.ends.clear()
    async with scene.opened() as socket:
        await socket.send(b"x" * (LIMIT_KIB * 1024 + 1))
        assert (await ended(socket)).code == 1009
    assert (await scene.heard()) == Close(1001, "")


async def ended(socket: ClientConnection) -> Close:
    """How the app was told that it is over."""
    with pytest.raises(ConnectionClosed) as end:
        await socket.recv()
    assert end.value.rcvd is not None, end.value
    return end.value.rcvd
