"""Frames of callers: what is masked is read as it is, however it is cut; what is not ends the WebSocket."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from gateway import http_server
from gateway.websocket_frames import UNREADABLE, Masked

TEXT, CLOSE = 1, 8
KEY = b"\x01\x02\x03\x04"


def frame(payload: bytes, *, opcode: int = TEXT, masked: bool = True) -> bytes:
    """A whole message in one frame."""
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        length = bytes([mask | len(payload)])
    elif len(payload) < 1 << 16:
        length = bytes([mask | 126]) + struct.pack(">H", len(payload))
    else:
        length = bytes([mask | 127]) + struct.pack(">Q", len(payload))
    sent = bytes(octet ^ KEY[at % 4] for at, octet in enumerate(payload)) if masked else payload
    return bytes([0x80 | opcode]) + length + (KEY if masked else b"") + sent


class Notes:
    """A reader that notes what it is fed."""

    def __init__(self) -> None:
        self.fed = b""
        self.over = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.fed += data
        return False, b""

    def feed_eof(self) -> None:
        self.over = True


PAYLOADS = st.lists(st.integers(0, 300) | st.sampled_from([125, 126, 65_535, 65_536]), max_size=5)


@given(sizes=PAYLOADS, cuts=st.lists(st.integers(0, 140_000)), bare=st.none() | st.integers(0, 200))
def test_what_is_masked_is_read_and_nothing_else(sizes: list[int], cuts: list[int], bare: int | None) -> None:
    """Up to the first frame without a mask; behind it nothing is."""
    good = b"".join(frame(b"x" * size) for size in sizes)
    data = good if bare is None else good + frame(b"y" * bare, masked=False) + frame(b"z")
    notes = Notes()
    masked = Masked(notes)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(places):
        masked.feed_data(data[begin:end])
    masked.feed_eof()
    assert notes.fed == (good if bare is None else good + UNREADABLE)
    assert notes.over


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[tuple[str, int]]:
    """The gateway's own server, with a WebSocket that says back what it is told."""

    async def talk(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            if message.type is WSMsgType.TEXT:
                await answer.send_str(message.data)
        return answer

    app = web.Application()
    app.router.add_get("/", talk)
    runner = http_server.Runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield str(host), int(port)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("cut", [1, 2, 3, 1000])
async def test_the_server_closes_what_is_not_masked(cut: int) -> None:
    """With 1002, a protocol error, and without having read it (RFC 6455 §5.1, §7.4.1)."""
    async with echo() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        data = frame("はい".encode()) + frame(b"", masked=False)
        for at in range(0, len(data), cut):
            writer.write(data[at : at + cut])
            await asyncio.sleep(0)
        came = await reader.read()
        writer.close()
    assert came.startswith(frame("はい".encode(), masked=False))
    rest = came.removeprefix(frame("はい".encode(), masked=False))
    assert (rest[0], rest[2:4]) == (0x80 | CLOSE, struct.pack(">H", 1002))
