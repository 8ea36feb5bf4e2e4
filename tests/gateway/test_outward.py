"""The way out to ID systems: bounded in time and size, no redirects, one kind of error for the road."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from federation.refusal import Unavailable
from federation.web import HttpRequest, HttpResponse, RoadError
from gateway.outward import BRIEF_OCTETS, Outward
from observability.health import MOST_ABANDONED

from .gateway_sample import free_port
from .upstream_sample import Connection, Upstream, upstream


@pytest.fixture
async def peer() -> AsyncIterator[Upstream]:
    """An ID system."""
    async with upstream() as running:
        yield running


@pytest.fixture
async def outward() -> AsyncIterator[Outward]:
    """Half a second for a request, one kilobyte for an answer."""
    found = Outward(seconds=0.5, size=1024)
    yield found
    await found.close()


def get(peer: Upstream, path: str = "/x?a=%2f") -> HttpRequest:
    """A small request."""
    return HttpRequest(method="GET", url=peer.url + path, headers={"accept": "application/json"})


async def test_an_answer(outward: Outward, peer: Upstream) -> None:
    """Status, headers in lower case, body; the request says who asks, keeps no cookies and wants nothing packed."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        await connection.say(b"HTTP/1.1 404 No\r\nX-Odd: 1\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nbody")

    peer.behave = behave
    request = HttpRequest(method="POST", url=peer.url + "/t", headers={"x-own": "1"}, body=b"a=b")
    for _ in range(2):
        answer = await outward.fetch(request)
        assert (answer.status, answer.body, answer.headers["x-odd"]) == (404, b"body", "1")
    first, second = peer.calls
    assert (first.header("User-Agent"), first.header("X-Own")) == ("kakehashi", "1")
    assert first.header("Accept-Encoding") == "identity"
    assert second.header("Cookie") is None


async def test_a_redirect_is_an_answer(outward: Outward, peer: Upstream) -> None:
    """It is not followed: who it would lead to is nobody that a list vouches for."""

    async def behave(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    peer.behave = behave
    answer = await outward.fetch(get(peer))
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
    assert [call.request_line for call in peer.calls] == ["GET /x?a=/ HTTP/1.1"]


async def _silent(_: Connection) -> None:
    await asyncio.sleep(10)


async def _drips(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    while True:
        await connection.say(b"x")
        await asyncio.sleep(0.05)


async def _too_long(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n", bytes(1025))


async def _endless(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.say(b"400\r\n", bytes(1024), b"\r\n")


async def _bomb(connection: Connection) -> None:
    packed = gzip.compress(bytes(50_000_000))
    await connection.say(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed), packed
    )


async def _half(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    connection.writer.close()
    raise ConnectionResetError


async def _nonsense(connection: Connection) -> None:
    await connection.say(b"220 mail.example ESMTP\r\n")


async def _long_header(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")


@pytest.mark.parametrize("behave", [_silent, _drips, _too_long, _endless, _bomb, _half, _nonsense, _long_header])
async def test_what_is_no_usable_answer(outward: Outward, peer: Upstream, behave: Any) -> None:
    """Too slow as a whole, too long (unpacked, too), broken off or no HTTP at all: `RoadError`, in time."""
    peer.behave = behave
    with pytest.raises(RoadError):
        await outward.fetch(get(peer))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{closed}/", "http://no-such-host.invalid/", "nonsense", "https:///x"]
)
async def test_where_nobody_is(outward: Outward, url: str) -> None:
    """A closed port, an unknown name, an address that is none."""
    with pytest.raises(RoadError):
        await outward.fetch(HttpRequest(method="GET", url=url.format(closed=free_port())))


async def test_a_certificate_that_nobody_vouches_for(outward: Outward, peer: Upstream) -> None:
    """TLS that cannot be verified, here because it is none, is no road either."""
    with pytest.raises(RoadError):
        await outward.fetch(HttpRequest(method="GET", url=peer.url.replace("http:", "https:")))


async def test_an_exchange_runs_off_the_loop(outward: Outward, peer: Upstream) -> None:
    """Every step of the protocol's own work is on another thread; answers and errors reach it, and it can end."""
    threads: list[threading.Thread] = []

    def exchange() -> Generator[HttpRequest, HttpResponse, str]:
        threads.append(threading.current_thread())
        answer = yield get(peer)
        threads.append(threading.current_thread())
        try:
            yield HttpRequest(method="GET", url="nonsense")
        except RoadError as fault:
            threads.append(threading.current_thread())
            return f"{answer.status} {fault}"
        raise AssertionError

    assert await outward.drive(exchange()) == "200 InvalidUrlClientError"
    assert len(threads) == 3
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(("octets", "on_loop"), [(BRIEF_OCTETS, True), (BRIEF_OCTETS + 1, False)])
async def test_a_brief_step_stays_on_the_loop_unless_what_came_is_large(
    peer: Upstream, octets: int, on_loop: object
) -> None:
    """A peer could write a document that takes long to read: others are served meanwhile."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % octets + bytes(octets))

    def exchange() -> Generator[HttpRequest, HttpResponse, list[threading.Thread]]:
        threads = [threading.current_thread()]
        yield get(peer)
        return [*threads, threading.current_thread()]

    peer.behave = behave
    outward = Outward(seconds=5, size=2 * BRIEF_OCTETS)
    first, second = await outward.drive(exchange(), brief=True)
    await outward.close()
    assert first is threading.main_thread()
    assert (second is threading.main_thread()) is on_loop


async def test_what_an_exchange_raises_goes_through(outward: Outward, peer: Upstream) -> None:
    """At its first step and at later ones."""

    def at_once() -> Generator[HttpRequest, HttpResponse, str]:
        raise KeyError("first")
        yield  # pragma: no cover

    def later() -> Generator[HttpRequest, HttpResponse, str]:
        yield get(peer)
        raise KeyError("later")

    for exchange, word in ((at_once(), "first"), (later(), "later")):
        with pytest.raises(KeyError, match=word):
            await outward.drive(exchange)


# --- the protocol's own work has a deadline


class Stuck:
    """Steps that do not end before they are let go, and what was said of them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.told: list[tuple[str, int]] = []

    def step(self) -> str:
        self.begun.release()
        self.go.wait()
        return "late"

    def tell(self, stage: str, abandoned: int) -> None:
        self.told.append((stage, abandoned))


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Let go at the end, whatever happens, so that no thread is left."""
    found = Stuck()
    yield found
    found.go.set()


def one_thread(stuck: Stuck) -> Outward:
    """One thread, a fifth of a second for a step."""
    return Outward(seconds=0.5, size=1024, threads=1, step_seconds=0.2, overdue=stuck.tell)


async def soon(true: Callable[[], bool]) -> None:
    """Until it is true."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - threads set no asyncio.Event
            await asyncio.sleep(0.01)


async def strand(outward: Outward, stuck: Stuck, count: int = 1) -> None:
    """So many threads get stuck, though a slow machine may not have them begin in time."""
    while outward.abandoned < count:
        with pytest.raises(Unavailable):
            await outward.run(stuck.step)


async def test_a_step_that_does_not_end_is_refused_and_others_are_served(stuck: Stuck) -> None:
    """Its thread is abandoned and replaced; when it ends after all, its result is nobody's and so is the thread."""
    outward = one_thread(stuck)
    with pytest.raises(Unavailable, match="running"):
        await outward.run(stuck.step)
    assert stuck.told == [("running", 1)]
    assert outward.abandoned == 1
    assert not outward.exhausted.is_set()
    assert await outward.run(lambda: "served") == "served"
    stuck.go.set()
    await soon(lambda: not outward.abandoned)
    assert await outward.run(lambda: "served") == "served"
    assert len([t for t in threading.enumerate() if t.name == "kakehashi-protocol"]) == 1
    await outward.close()


async def test_a_step_of_an_exchange_has_the_same_deadline(stuck: Stuck) -> None:
    """Whatever a peer sent, the person who brought it is answered."""

    def exchange() -> Generator[HttpRequest, HttpResponse, str]:
        stuck.step()
        yield HttpRequest(method="GET", url="nonsense")
        raise AssertionError

    outward = one_thread(stuck)
    with pytest.raises(Unavailable):
        await outward.drive(exchange())
    await outward.close()


async def test_a_step_that_nobody_waits_for_is_abandoned_all_the_same(stuck: Stuck) -> None:
    """A browser that hangs up does not leave the gateway with a thread less."""
    outward = one_thread(stuck)
    waiting = asyncio.create_task(outward.run(stuck.step))
    await asyncio.to_thread(stuck.begun.acquire)
    waiting.cancel()
    await soon(lambda: stuck.told == [("running", 1)])
    assert await outward.run(lambda: "served") == "served"
    await outward.close()


async def test_a_step_that_no_thread_was_free_for_is_refused_without_having_begun(stuck: Stuck) -> None:
    """Waiting is bounded too: with the only threads stuck and none to replace them, nobody waits for ever."""
    outward = one_thread(stuck)
    await strand(outward, stuck, MOST_ABANDONED)
    ran: list[str] = []
    with pytest.raises(Unavailable, match="waiting"):
        await outward.run(lambda: ran.append("begun"))
    stuck.go.set()
    assert await outward.run(lambda: "served") == "served"
    assert ran == []
    await outward.close()


async def test_too_many_stuck_threads_make_the_process_sick(stuck: Stuck) -> None:
    """Each is replaced up to a bound; then the process says that it should be started again."""
    outward = one_thread(stuck)
    for number in range(MOST_ABANDONED):
        assert not outward.exhausted.is_set()
        await strand(outward, stuck, number + 1)
    assert outward.exhausted.is_set()
    with pytest.raises(Unavailable, match="waiting"):
        await outward.run(lambda: "served")
    running = [told for told in stuck.told if told[0] == "running"]
    assert running == [("running", n + 1) for n in range(MOST_ABANDONED)]
    assert stuck.told[-1] == ("waiting", MOST_ABANDONED)
    stuck.go.set()
    await soon(lambda: not outward.abandoned)
    assert await outward.run(lambda: "served") == "served"
    await outward.close()


async def test_closing_cancels_what_nobody_has_begun(stuck: Stuck) -> None:
    """Who waits for it is told, and no thread stays."""
    outward = one_thread(stuck)
    busy = asyncio.create_task(outward.run(stuck.step))
    await asyncio.to_thread(stuck.begun.acquire)
    waiting = asyncio.create_task(outward.run(stuck.step))
    await asyncio.sleep(0)
    await outward.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    stuck.go.set()
    assert await busy == "late"
