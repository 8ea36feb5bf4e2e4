"""Whatever a service does, one exchange suffers at most: no place is lost, nothing grows, nothing else breaks."""

import asyncio
import contextlib
import socket

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.upstream.http1 import Connection, Outgoing, UpstreamError
from gateway.upstream.pool import Pool

from .raw_server import answering, speaking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = Outgoing(method="GET", target="/", headers=[])
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

RUNNERS = [asyncio.run, uvloop.run]
"""Both loops: what a transport does when it is held back is theirs."""


async def read(pool: Pool, request: Outgoing = GET) -> bytes:
    """The whole body of one answer, within ten seconds."""
    async with asyncio.timeout(10):
        answer = await pool.send(request, connect_seconds=5)
        return b"".join([chunk async for chunk in answer.chunks()])


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("size", [1_000, 131_072, 150_000, 200_000, 1_000_000])
def test_a_large_answer_in_one_piece_leaves_a_connection_that_reads(run, size: int):
    """Its service is held back while the body waits here, and let go on before the next exchange begins."""

    async def go() -> None:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

        async with speaking(speak) as server:
            pool = Pool(server.url, most=1)
            for _ in range(6):
                assert len(await read(pool)) == size
            pool.close()

    run(go())


async def test_a_request_that_cannot_be_written_takes_nobodys_place():
    """The pool of one connection serves the next one."""
    async with speaking(answering(OK)) as server:
        pool = Pool(server.url, most=1)
        with pytest.raises(ValueError, match="another line"):
            await pool.send(Outgoing(method="GET", target="/", headers=[("X", "\r\n")]), connect_seconds=5)
        assert await read(pool) == b"ok"
        pool.close()


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("begin", [b"0\r\nX: ", b"0\r\nX", b"2;a=", b"2\r\nok\r\n1;", b'2\r\nok\r\n0;a="'])
def test_what_is_no_body_does_not_go_on_for_ever(run, begin: bytes):
    """Endless trailers and chunk extensions end early, however fast they come."""
    given_out = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given_out
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + begin)
        while given_out < 64 * 1024 * 1024:
            writer.write(b"y" * 65536)
            await writer.drain()
            given_out += 65536

    async def go() -> None:
        async with speaking(speak) as server:
            pool = Pool(server.url, most=1)
            with pytest.raises(UpstreamError) as refused:
                await read(pool)
            assert refused.value.code == "body-stalled"
            pool.close()

    run(go())
    assert given_out < 64 * 1024 * 1024


async def test_a_reason_has_an_end():
    """It goes on to the caller; a kilobyte is more than anybody needs."""
    async with speaking(answering(b"HTTP/1.1 200 " + b"y" * 5000 + b"\r\nContent-Length: 2\r\n\r\nok")) as server:
        pool = Pool(server.url, most=1)
        with pytest.raises(UpstreamError) as refused:
            await read(pool)
        assert refused.value.code == "head-too-large"
        pool.close()


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("first", [b"", OK, b"garbage"])
def test_connections_that_are_lost_before_they_are_used(run, first: bytes):
    """A service that hangs up on everybody is unreachable or closed, and nothing worse."""

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await asyncio.sleep(0)
        writer.transport.abort()

    async def go() -> None:
        async with speaking(speak) as server:
            pool = Pool(server.url, most=2)
            for _ in range(20):
                answers = await asyncio.gather(*(read(pool) for _ in range(4)), return_exceptions=True)
                assert all(answer == b"ok" or isinstance(answer, UpstreamError) for answer in answers), answers
            assert pool.under_way == 0
            pool.close()

    run(go())


@pytest.mark.parametrize("body", [None, b"x" * 100_000])
async def test_whoever_goes_away_at_any_moment_leaves_no_place_taken(body: bytes | None):
    """Cancelled after each number of steps of the loop: the pool of one connection serves the next one."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"100000" in head:
                await reader.readexactly(100_000)
            await asyncio.sleep(0)
            writer.write(CHUNKED)
            for _ in range(3):
                writer.write(b"2\r\nok\r\n")
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")

    async with speaking(speak) as server:
        pool = Pool(server.url, most=1)
        request = Outgoing(method="PUT", target="/", headers=[], body=body)
        for steps in range(40):
            task = asyncio.create_task(read(pool, request))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert pool.under_way == 0
            assert await read(pool, request) == b"okokok"
        pool.close()


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED + b"5\r\nhel", OK[:-1]])
def test_a_reset_is_an_error_of_this_exchange_alone(run, begin: bytes):
    """Wherever it comes: before the head, in it, in the body; the next exchange goes over another connection."""
    count = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin if count % 2 else OK)
        await writer.drain()
        if count % 2:
            linger = b"\1\0\0\0\0\0\0\0"  # close with RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def go() -> None:
        async with speaking(speak) as server:
            pool = Pool(server.url, most=1)
            for _ in range(3):
                with pytest.raises(UpstreamError):
                    await read(pool, Outgoing(method="POST", target="/", headers=[], body=b"x"))
                assert await read(pool) == b"ok"
                await asyncio.sleep(0.01)  # the server's end of that connection
            pool.close()

    run(go())


@pytest.mark.parametrize("answered", [OK, CHUNKED + b"2\r\nok\r\n0\r\nX-End: 1\r\n\r\n"])
@pytest.mark.parametrize("split", [0, 1])
async def test_who_has_read_an_answer_has_no_hand_in_the_next_one(answered: bytes, split: int):
    """Abandoned too late, or read twice: its connection is somebody else's by then."""
    async with speaking(answering(answered, CHUNKED + b"1\r\n2\r\n0\r\nX-End: 2\r\n\r\n", split=split)) as server:
        pool = Pool(server.url, most=1)
        first = await pool.send(GET, connect_seconds=5)
        assert b"".join([chunk async for chunk in first.chunks()]) == b"ok"
        trailers = list(first.trailers)
        second = asyncio.create_task(read(pool))
        await asyncio.sleep(0)
        first.abandon()
        again = b"".join([chunk async for chunk in first.chunks()])
        assert again == (b"" if first.whole is None else b"ok")
        assert await second == b"2"
        assert first.trailers == trailers
        pool.close()


PIECES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early Hints\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"Content-Length: 2\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Upgrade: x\r\n",
    b"\r\n",
    b"ok",
    b"2\r\nok\r\n",
    b"0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"\0",
    b" ",
    b"\n",
    OK,
]


@settings(max_examples=150, deadline=None)
@given(
    octets=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join)),
    method=st.sampled_from(["GET", "HEAD"]),
    cut=st.integers(0, 60),
)
def test_any_octets_at_all(octets: bytes, method: str, cut: int):
    """They are an answer or an error; and what comes after an answer is never the next one's beginning."""

    async def go() -> None:
        ours, theirs = socket.socketpair()
        lost: list[Connection] = []
        connection = Connection(lost.append)
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
        asked = asyncio.create_task(connection.exchange(Outgoing(method=method, target="/", headers=[]), "h"))
        await asyncio.sleep(0)
        theirs.sendall(octets[:cut])
        await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):  # what came first was enough
            theirs.sendall(octets[cut:])
            theirs.shutdown(socket.SHUT_WR)
        try:
            answer = await asyncio.wait_for(asked, 5)
            body = b"".join([chunk async for chunk in answer.chunks()])
        except UpstreamError:
            assert not connection.reusable
        else:
            assert answer.status in range(200, 1000)
            assert method == "GET" or body == b""
        connection.abandon()
        theirs.close()
        await asyncio.sleep(0)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", "200 OK\r\nContent-Length: 45"),
        ("GET", "304 Not Modified\r\nContent-Length: 45"),
        ("GET", '304 Not Modified\r\nETag: "1"'),
        ("GET", "204 No Content\r\nContent-Length: 45"),
        ("GET", "204 No Content\r\nTransfer-Encoding: chunked"),
    ],
)
async def test_a_body_after_an_answer_that_has_none_is_nobody_elses_answer(method: str, head: str):
    """Services that send one, in spite of RFC 9112 §6.3, may send it late, and their users say what stands in it."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/first" in asked:
            forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
            writer.write(f"HTTP/1.1 {head}\r\n\r\n".encode())
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")  # until somebody else asks on this connection
            writer.write(forged)
        else:
            writer.write(OK)

    async with speaking(speak) as server:
        pool = Pool(server.url, most=2)
        await pool.send(Outgoing(method=method, target="/first", headers=[]), connect_seconds=5)
        assert await read(pool) == b"ok"
        pool.close()


@pytest.mark.parametrize("more", ["", "\r\nContent-Length: 0"])
async def test_after_204_without_a_body_the_connection_is_kept(more: str):
    """Most answers to what changes something are such."""
    connections = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(f"HTTP/1.1 204 No Content{more}\r\n\r\n".encode())

    async with speaking(speak) as server:
        pool = Pool(server.url, most=2)
        assert [await read(pool) for _ in range(3)] == [b""] * 3
        pool.close()
    assert connections == 1
