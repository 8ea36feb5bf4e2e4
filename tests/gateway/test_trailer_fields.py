"""Requests one after another on a connection: nothing of one is ever read as another's, however they are cut."""

import asyncio
import contextlib
import itertools
import json
import socket
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import http_server

NAMES = st.sampled_from(["X-A", "X-B", "Authorization", "Cookie", "X-Own-", "Expect", "Content-Type"])
VALUES = st.sampled_from(["", "1", "Bearer x", "山", "a  b "])
BODIES = st.sampled_from([b"", b"hello", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\nX-A: 1\r\n\r\n", b"\r\n\r\n"])


@dataclass(frozen=True)
class Asked:
    """A request, and what of it must be found."""

    number: int
    framing: str
    body: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def octets(self) -> bytes:
        head = f"POST /{self.number} HTTP/1.1\r\nHost: x\r\nX-Own: {self.number}\r\n"
        if self.framing == "length":
            return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body
        if self.framing == "none":
            return head.replace("POST", "GET").encode() + b"\r\n"
        chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
        fields = "".join(f"{name}:{' ' * bool(value)}{value}\r\n" for name, value in self.trailers).encode()
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk + b"0\r\n" + fields + b"\r\n"

    @property
    def found(self) -> dict[str, Any]:
        """What the server must say of it."""
        framing = {"length": ["Content-Length"], "none": [], "chunks": ["Transfer-Encoding"]}[self.framing]
        return {
            "path": f"/{self.number}",
            "names": ["Host", "X-Own", *framing],
            "body": "" if self.framing == "none" else self.body.decode(),
            "trailers": [[name, value.rstrip()] for name, value in self.trailers],
        }


@st.composite
def asked(draw: st.DrawFn) -> list[Asked]:
    """Up to four requests."""
    return [
        Asked(
            number=number,
            framing=(framing := draw(st.sampled_from(["none", "length", "chunks", "chunks"]))),
            body=draw(BODIES),
            trailers=draw(st.lists(st.tuples(NAMES, VALUES), max_size=3, unique_by=itemgetter(0)))
            if framing == "chunks"
            else [],
        )
        for number in range(draw(st.integers(1, 4)))
    ]


async def tell(request: web.BaseRequest) -> web.Response:
    """What the server found in a request."""
    body = await request.read()
    assert isinstance(request.protocol, http_server.Connection)
    trailers = request.protocol.trailers(request.content)
    found = {
        "path": request.path,
        "names": [name.decode() for name, _ in request.raw_headers if request.raw_headers],
        "body": body.decode(),
        "trailers": [[name.decode(), value.decode()] for name, value in trailers],
    }
    return web.Response(body=json.dumps(found).encode() + b"\n")


async def answers(pieces: list[bytes], counts: list[int], *, pause: float = 0) -> list[dict[str, Any]]:
    """What is said to requests in these pieces, to so many after each, or until the connection ends."""
    server = http_server.Server(tell)
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(server, ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    said = b""
    try:
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                for piece, count in zip(pieces, counts, strict=True):
                    writer.write(piece)
                    await asyncio.sleep(pause)
                    while said.count(b"}\n") < count and not reader.at_eof():
                        said += await reader.read(65536)
                    if reader.at_eof():
                        break
        return [json.loads(line) for line in said.split(b"\n") if line.startswith(b"{")]
    finally:
        writer.close()
        await server.shutdown(0.1)


@settings(max_examples=80, deadline=None)
@given(asked(), st.lists(st.integers(0, 400), max_size=6))
def test_nothing_of_a_request_is_read_as_another_s(requests: list[Asked], cuts: list[int]) -> None:
    """All are answered, each as it was asked, until one after which the connection ends; its trailers or none."""
    whole = b"".join(each.octets for each in requests)
    at = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in itertools.pairwise(at)]
    found = asyncio.run(answers(pieces, [0] * (len(pieces) - 1) + [len(requests)]))
    for said, each in zip(found, requests, strict=False):
        assert said in (each.found, {**each.found, "trailers": []})
    if len(found) < len(requests):  # whoever still writes when the connection ends may miss what was answered before
        assert any(each.framing == "chunks" for each in requests)
    assert not any(each.trailers for each in requests[: max(0, len(found) - 1)])


@settings(max_examples=40, deadline=None)
@given(asked())
def test_who_waits_for_answers_is_heard_until_trailers_come(requests: list[Asked]) -> None:
    """Requests in chunks keep a connection that is not shared by requests at once, and their trailers are found."""
    found = asyncio.run(answers([each.octets for each in requests], list(range(1, len(requests) + 1))))
    ends = next((i + 1 for i, each in enumerate(requests) if each.trailers), len(requests))
    assert found == [each.found for each in requests[:ends]]


@pytest.mark.parametrize("count", [1, 200])
def test_many_trailers_are_found_or_refused(count: int) -> None:
    """As many as there may be headers."""
    asked = Asked(number=0, framing="chunks", body=b"a", trailers=[("X-A", "1")] * count)
    (found,) = asyncio.run(answers([asked.octets], [1]))
    assert found == asked.found if count == 1 else found["status"] == 400


def test_what_comes_behind_trailers_is_nobody_s_wherever_they_are_cut() -> None:
    """The call may be under way when the rest comes, together with the next request."""
    first = Asked(number=0, framing="chunks", body=b"hello", trailers=[("X-A", "1"), ("Authorization", "Bearer x")])
    whole = first.octets + Asked(number=1, framing="none", body=b"").octets
    for cut in range(1, len(first.octets)):
        assert asyncio.run(answers([whole[:cut], whole[cut:]], [0, 2], pause=0.001)) == [first.found], whole[:cut]
