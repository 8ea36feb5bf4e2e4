"""What the HTTP server below the applications does not wait for."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from gateway import http_server

from .gateway_sample import Here, Sample, here
from .upstream_sample import Upstream, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """A gateway whose callers have a quarter of a second for their first head."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_server, "HEAD_SECONDS", 0.25)
        async with upstream() as service:
            sample = Sample(tmp_path_factory.mktemp("server"), upstream=service.url, timeout=30)
            async with here(sample, store_url) as gateway:
                yield gateway, service


@pytest.mark.parametrize("begun", [b"", b"GET /api/no", b"GET /api/notes HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_who_does_not_finish_its_head_is_hung_up(running: tuple[Here, Upstream], begun: bytes) -> None:
    """However little of it comes, and however often."""
    gateway, service = running
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    writer.write(begun)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    assert service.calls == []


async def test_a_whole_head_has_its_time(running: tuple[Here, Upstream]) -> None:
    """A call may take longer than a head, and so may the next one on its connection."""
    gateway, service = running
    head = b"GET /api/notes HTTP/1.1\r\nHost: x\r\nAuthorization: " + gateway.sample.bearer()["Authorization"].encode()
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    for _ in range(2):
        writer.write(head)
        await asyncio.sleep(0.1)
        writer.write(b"\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\nok")
        assert answer.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
    writer.close()
    assert len(service.calls) == 2


async def test_a_body_that_breaks_ends_its_call(running: tuple[Here, Upstream]) -> None:
    """The service is not kept waiting for the rest, nor for as long as a silent caller may take."""
    gateway, service = running
    service.calls.clear()
    broken = asyncio.Event()

    async def behave(connection: object) -> None:
        try:
            await connection.body()  # type: ignore[attr-defined]
        finally:
            broken.set()

    service.behave = behave
    head = (
        "POST /api/notes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: {gateway.sample.bearer()['Authorization']}\r\n\r\n5\r\nhello\r\n"
    )
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    service.called.clear()
    writer.write(head.encode())
    async with asyncio.timeout(10):
        await service.called.wait()
        writer.write(b"nonsense\r\n")
        assert await _end(reader) == b""
        await broken.wait()
    writer.close()


async def _end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_body_that_comes_before_its_call_has_begun_is_no_head(pieces: int) -> None:
    """A loop that reads on at once (uvloop) hands over much of a body before the call's task had its turn."""

    async def count(request: web.BaseRequest) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    server = http_server.Server(count)
    _, connection = await loop.connect_accepted_socket(server, ours)
    await asyncio.sleep(0.01)  # it waits for its first head
    body = b"b" * 60_000
    connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(body) * pieces))
    for _ in range(pieces):
        connection.data_received(body)
    reader, writer = await asyncio.open_connection(sock=theirs)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(6 if pieces > 1 else 5) == str(len(body) * pieces).encode()
    writer.close()
    await server.shutdown(1)


async def test_a_head_that_never_ends_is_refused_however_it_comes() -> None:
    """Beyond the limit, on a connection where no call is."""

    async def never(_: web.BaseRequest) -> web.Response:
        raise AssertionError

    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    server = http_server.Server(never)
    _, connection = await loop.connect_accepted_socket(server, ours)
    await asyncio.sleep(0.01)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n")
    for number in range(10):
        connection.data_received(b"X-%d: %b\r\n" % (number, b"a" * 8000))
    reader, writer = await asyncio.open_connection(sock=theirs)
    async with asyncio.timeout(10):
        assert (await reader.readline()).split(b" ")[1] == b"431"
    writer.close()
    await server.shutdown(1)
