"""What services send is read in one way or not at all; connections are kept only when both sides ended well."""

import asyncio
from collections.abc import AsyncIterator

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.http1 import HIGH, Connection, NothingCameError, Outgoing, UpstreamError
from gateway.upstream.pool import BusyError, Pool, UnreachableError

from .raw_server import answering, speaking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_IN_CHUNKS = b"2\r\nok\r\n0\r\n\r\n"
GET = Outgoing(method="GET", target="/x?y=1", headers=[("Accept", "*/*")])


async def sent(url: str, request: Outgoing = GET, *, most: int = 4) -> tuple[int, bytes]:
    """One request over a pool of its own: the status and the body."""
    pool = Pool(url, most=most)
    try:
        answer = await pool.send(request, connect_seconds=5)
        return answer.status, b"".join([chunk async for chunk in answer.chunks()])
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-End: 1\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", 200, b"old"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 200, b"old"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
    ],
)
@pytest.mark.parametrize("split", [0, 1])
async def test_answers_are_read_however_they_come(answer: bytes, status: int, body: bytes, split: int):
    """In one piece or octet by octet."""
    async with speaking(answering(answer, split=split)) as server:
        assert await sent(server.url) == (status, body)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + OK_IN_CHUNKS),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + OK_IN_CHUNKS),
        ("coding-unknown", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("coding-unknown", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"),
        ("coding-unknown", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("malformed", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\rX: a\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok"),
        ("malformed", b"HTTP/1.1 OK\r\n\r\n"),
        ("malformed", b"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("malformed", b"SSH-2.0-OpenSSH_9\r\n"),
        ("malformed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
        ("malformed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n"),
        ("malformed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n"),
        ("malformed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nok"),
        ("switched", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ("too-many-interim", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9 + OK),
        ("too-many-headers", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n"),
        ("head-too-large", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000),
        ("head-too-large", b"HTTP/1.1 200 " + b"y" * 100_000),
        ("closed", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
        ("closed", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
        ("closed", b"HTTP/1.1 200 OK\r\nContent-Le"),
    ],
)
@pytest.mark.parametrize("split", [0, 7])
async def test_what_can_be_read_in_two_ways_is_not_read(code: str, answer: bytes, split: int):
    """Each with its code, in one piece and in several."""
    async with speaking(answering(answer, split=split)) as server:
        with pytest.raises(UpstreamError) as refused:
            await sent(server.url)
        assert refused.value.code == code


async def test_a_service_that_says_nothing_at_all():
    """That is told apart: nobody knows whether the request was read."""
    async with speaking(answering(b"")) as server:
        with pytest.raises(NothingCameError):
            await sent(server.url)


async def test_connections_are_used_again_and_what_is_unasked_ends_them():
    """A second answer that nobody asked for becomes part of no exchange."""
    seen: list[int] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = len(seen)
        seen.append(0)
        while await reader.readuntil(b"\r\n\r\n"):
            seen[mine] += 1
            poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
            writer.write(OK + (poison if (mine, seen[mine]) == (0, 2) else b""))

    async with speaking(speak) as server:
        pool = Pool(server.url, most=4)
        for _ in range(4):
            answer = await pool.send(GET, connect_seconds=5)
            assert b"".join([chunk async for chunk in answer.chunks()]) == b"ok"
        pool.close()
    assert seen == [2, 2]


async def test_what_comes_while_nobody_asks_ends_the_connection():
    """An answer sent ahead is nobody's."""
    count = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read()

    async with speaking(speak) as server:
        pool = Pool(server.url, most=4)
        for _ in range(2):
            answer = await pool.send(GET, connect_seconds=5)
            assert answer.whole == b"ok"
            await asyncio.sleep(0.1)
        pool.close()
    assert count == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_an_answer_to_head_has_no_body(answer: bytes):
    """Whatever length it says; its connection ends, so that what comes all the same begins no other answer."""
    connections = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()

    async with speaking(speak) as server:
        pool = Pool(server.url, most=4)
        head = await pool.send(Outgoing(method="HEAD", target="/", headers=[]), connect_seconds=5)
        assert head.whole == b""
        await asyncio.sleep(0.05)
        answered = asyncio.create_task(pool.send(GET, connect_seconds=5))
        await asyncio.sleep(0.05)
        assert connections == 2
        answered.cancel()
        pool.close()


@pytest.mark.parametrize(
    "odd",
    [
        Outgoing(method="GET", target="/", headers=[("X", "a\r\nY: b")]),
        Outgoing(method="GET", target="/", headers=[("X\r\nY", "b")]),
        Outgoing(method="GET", target="/", headers=[("X", "a\0")]),
        Outgoing(method="GET", target="/", headers=[("X", "a\n")]),
        Outgoing(method="GET", target="/ HTTP/1.1\r\nX: y", headers=[]),
        Outgoing(method="GET", target="/a b", headers=[]),
        Outgoing(method="GET /", target="/", headers=[]),
    ],
)
def test_no_value_begins_another_line(odd: Outgoing):
    """Whatever was let through before: nothing here writes two headers for one."""
    with pytest.raises(ValueError, match="another line"):
        odd.head("localhost")


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A body as it comes."""
    for part in parts:
        await asyncio.sleep(0)
        yield part


@pytest.mark.parametrize(
    ("body", "length", "expected"),
    [
        (b"abc", None, b"Content-Length: 3\r\n\r\nabc"),
        (b"", None, b"Content-Length: 0\r\n\r\n"),
        (("ab", "", "c"), 3, b"Content-Length: 3\r\n\r\nabc"),
        (("ab", "", "c"), None, b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
    ],
)
async def test_bodies_go_as_they_are_said_to(body: bytes | tuple[str, ...], length: int | None, expected: bytes):
    """With their length if it is known, else in chunks."""
    came = bytearray()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not came.endswith(expected):
            came.extend(await reader.read(100))
        writer.write(OK)
        await reader.read()

    async with speaking(speak) as server:
        given_body = body if isinstance(body, bytes) else pieces(*(part.encode() for part in body))
        request = Outgoing(method="POST", target="/", headers=[], body=given_body, length=length)
        assert await sent(server.url, request) == (200, b"ok")
    assert bytes(came).endswith(expected)


@pytest.mark.parametrize("parts", [("abcd",), ("a",)])
async def test_a_body_of_another_length_goes_nowhere(parts: tuple[str, ...]):
    """Longer or shorter than it was said to be: the service gets no whole request."""
    async with speaking(answering(b"", b"")) as server:
        request = Outgoing(
            method="POST", target="/", headers=[], body=pieces(*(part.encode() for part in parts)), length=3
        )
        with pytest.raises(UpstreamError):
            await sent(server.url, request)


async def test_what_goes_wrong_with_a_body_is_raised_where_the_answer_is_waited_for():
    """So that whoever sends hears why."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("the caller is gone")

    async with speaking(answering(b"", b"")) as server:
        with pytest.raises(LookupError):
            await sent(server.url, Outgoing(method="POST", target="/", headers=[], body=broken(), length=3))


async def test_a_service_that_answers_before_it_heard_the_end():
    """Its answer counts, the rest of the body is not sent, and the connection is not used again."""
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            stopped.set()

    async with speaking(answering(OK, b"")) as server:
        pool = Pool(server.url, most=1)
        answer = await pool.send(
            Outgoing(method="POST", target="/", headers=[], body=endless(), length=None), connect_seconds=5
        )
        assert b"".join([chunk async for chunk in answer.chunks()]) == b"ok"
        await asyncio.wait_for(stopped.wait(), 10)
        assert pool.under_way == 0
        pool.close()


async def test_a_slow_reader_holds_the_service_back():
    """No more waits here than was agreed, however much the service has to say."""
    total = 32 * 1024 * 1024
    given_out = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given_out
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            writer.write(b"x" * 65536)
            given_out += 65536
            await writer.drain()

    async with speaking(speak) as server:
        pool = Pool(server.url, most=1)
        answer = await pool.send(GET, connect_seconds=5)
        await asyncio.sleep(0.2)
        assert answer._connection._held <= HIGH + 512 * 1024
        assert given_out < total
        assert sum([len(chunk) async for chunk in answer.chunks()]) == total
        assert pool.under_way == 0
        pool.close()


async def test_no_more_connections_than_agreed_and_everybody_has_a_turn():
    """The others wait, in order; a cancelled one leaves its turn to the next."""
    at_once, most = 0, 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while await reader.readuntil(b"\r\n\r\n"):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            writer.write(OK)

    async with speaking(speak) as server:
        pool = Pool(server.url, most=3)
        await asyncio.gather(*(pool.send(GET, connect_seconds=5) for _ in range(20)))
        assert most == 3
        tasks = [asyncio.create_task(pool.send(GET, connect_seconds=5)) for _ in range(20)]
        await asyncio.sleep(0.015)
        for each in tasks[::4]:
            each.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(not isinstance(answer, BaseException) for answer in answers) >= 15
        assert pool.under_way == 0
        pool.close()


async def test_a_queue_has_an_end(monkeypatch: pytest.MonkeyPatch):
    """Beyond it a request is refused at once."""
    monkeypatch.setattr("gateway.upstream.pool.MOST_WAITING", 2)
    async with speaking(answering(b"", b"")) as server:
        pool = Pool(server.url, most=1)
        waiting = [asyncio.create_task(pool.send(GET, connect_seconds=5)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await pool.send(GET, connect_seconds=5)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        pool.close()


async def test_an_idle_connection_that_the_service_closed_is_no_fault():
    """A request that may be sent twice is; another goes over a fresh connection from the beginning."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")  # and says nothing any more

    async with speaking(speak) as server:
        pool = Pool(server.url, most=4)
        for _ in range(3):
            answer = await pool.send(GET, connect_seconds=5)
            assert answer.whole == b"ok"
        pool.close()


async def test_nobody_listens():
    """The service has heard nothing."""
    async with speaking(answering()) as server:
        url = server.url
    with pytest.raises(UnreachableError):
        await sent(url)


@given(st.lists(st.integers(1, 40), max_size=12))
def test_an_answer_means_the_same_however_it_is_cut(sizes: list[int]):
    """Any split of a valid answer reads alike."""
    whole = (
        b"HTTP/1.1 200 Fine\r\nX-Name: value\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-End: 3\r\n\r\n"
    )

    async def read() -> tuple[int, bytes, list[tuple[str, str]]]:
        connection = Connection(lambda _: None)
        connection.connection_made(Written())  # type: ignore[arg-type]
        asked = asyncio.ensure_future(connection.exchange(GET, "h"))
        await asyncio.sleep(0)
        rest = whole
        for size in sizes:
            if rest:
                connection.data_received(rest[:size])
                rest = rest[size:]
        if rest:
            connection.data_received(rest)
        answer = await asked
        body = b"".join([chunk async for chunk in answer.chunks()])
        return answer.status, body, answer.trailers

    assert asyncio.run(read()) == (200, b"hello world", [("X-End", "3")])


class Written:
    """A transport that takes everything."""

    def write(self, data: bytes) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        """It stays."""
        return False

    def abort(self) -> None:
        """End."""


def test_the_parser_is_the_strict_one():
    """It is llhttp in its strict form: no lenient flag is set anywhere here."""
    assert not [name for name in dir(httptools.HttpResponseParser) if "lenient" in name.lower()]
