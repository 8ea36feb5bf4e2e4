"""Calls to a service with several addresses, over real sockets: each is heard as often as it should be."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from federation.access import ApiService
from federation.reach import Ejection, Health, Reach, Retries
from gateway.upstream.http1 import NothingCameError, Outgoing, UpstreamError
from gateway.upstream.pools import Pools
from gateway.upstream.retries import FLOOR
from gateway.upstream.service import CircuitOpenError, Service
from gateway.upstream.targets import Outcome
from observability.addresses import AddressState

from .raw_server import speaking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
LATER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"
RETRIES = Retries(most=1, budget_percent=100)


@dataclass
class Address:
    """One address: what it answers (nothing: it hangs up), and what it heard."""

    answer: bytes = OK
    url: str = ""
    heard: list[str] = field(default_factory=list)


@asynccontextmanager
async def addresses(*answers: bytes) -> AsyncIterator[list[Address]]:
    """Servers that answer so, each with `ok` if nothing else is said."""
    async with AsyncExitStack() as stack:
        found = []
        for answer in answers:
            address = Address(answer=answer)

            async def speak(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address = address
            ) -> None:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    address.heard.append(head.decode().partition(" HTTP")[0])
                    if b"Transfer-Encoding" in head:
                        await reader.readuntil(b"0\r\n\r\n")
                    elif b"Content-Length: 1\r\n" in head:
                        await reader.readexactly(1)
                    if not address.answer:
                        return
                    writer.write(address.answer)

            address.url = (await stack.enter_async_context(speaking(speak))).url
            found.append(address)
        yield found


@asynccontextmanager
async def service(*urls: str, **options: object) -> AsyncIterator[Service]:
    """The way to a service at these addresses."""
    way = Service(Reach(targets=urls, **options))  # type: ignore[arg-type]
    try:
        yield way
    finally:
        way.close()
        await asyncio.sleep(0)


async def test_what_has_connections_of_its_own_counts_as_load_and_as_failure():
    """An address that is held goes last; one that fails on end is out, and with all of them the circuit is open."""
    async with service("http://a.example/x/", "http://b.example", ejection=Ejection(failures=2, seconds=60)) as way:
        with way.holding() as first, way.holding() as second:
            assert {first.url, second.url} == {"http://a.example/x", "http://b.example"}
            with way.holding(first.target) as third:
                assert third.url == second.url
        for target in way.targets.all:
            assert target.held == 0
            for _ in range(2):
                with way.holding(next(each for each in way.targets.all if each is not target)) as chosen:
                    chosen.ended(Outcome.SILENT)
                    chosen.ended(Outcome.ANSWERED)  # the first word counts
        with pytest.raises(CircuitOpenError), way.holding():
            pass


async def call(way: Service, method: str = "GET", body: object = None, *, safe: bool = False) -> tuple[int, bytes]:
    """One call: its status and body."""
    request = Outgoing(method=method, target="/x", headers=[], body=body, length=None)  # type: ignore[arg-type]
    answer = await way.send(request, connect_seconds=5, seconds=5, safe=safe)
    return answer.status, b"".join([chunk async for chunk in answer.chunks()])


async def pieces() -> AsyncIterator[bytes]:
    """A body that can be read once."""
    yield b"x"


@pytest.fixture
async def deaf() -> str:
    """An address at which nobody listens."""
    async with addresses(OK) as (one,):
        return one.url


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"x"), ("POST", "pieces")])
async def test_where_nobody_listens_nothing_was_heard(deaf: str, method: str, body: bytes | str | None):
    """Any call goes elsewhere, whatever it is, with its whole body."""
    async with addresses(OK) as (good,), service(deaf, good.url, retries=RETRIES) as way:
        for _ in range(10):
            assert await call(way, method, pieces() if isinstance(body, str) else body) == (200, b"ok")
        assert len(good.heard) == 10


@pytest.mark.parametrize(
    ("method", "body", "safe", "again"),
    [
        ("GET", None, False, True),
        ("PUT", b"x", False, True),
        ("POST", b"x", False, False),
        ("POST", b"x", True, True),
        ("PUT", "pieces", False, False),
    ],
)
async def test_what_may_have_been_heard_is_sent_again_only_if_twice_is_as_good(method, body, safe, again):
    """An address that hangs up may have done what it was asked for."""
    async with addresses(b"", OK) as (bad, good), service(bad.url, good.url, retries=RETRIES) as way:
        failed = 0
        for _ in range(12):
            try:
                assert await call(way, method, pieces() if body == "pieces" else body, safe=safe) == (200, b"ok")
            except NothingCameError:
                failed += 1
        assert (failed == 0) == again
        assert len(bad.heard) + len(good.heard) == 12 + (len(bad.heard) if again else 0)


@pytest.mark.parametrize(
    ("method", "answer", "again"), [("GET", BUSY, True), ("GET", LATER, False), ("PUT", BUSY, False)]
)
async def test_a_reader_who_is_turned_away_asks_elsewhere(method: str, answer: bytes, *, again: bool):
    """A writer hears the answer; and so does who was told when to come back."""
    async with addresses(answer, OK) as (bad, good), service(bad.url, good.url, retries=RETRIES) as way:
        statuses = [(await call(way, method, b"x" if method == "PUT" else None))[0] for _ in range(12)]
        assert bad.heard
        assert set(statuses) == ({200} if again else {200, 503})


async def test_the_last_answer_is_given_if_all_turn_away():
    """A 503 is a better answer than none."""
    async with addresses(BUSY, BUSY) as (one, other), service(one.url, other.url, retries=RETRIES) as way:
        assert await call(way) == (503, b"")
        assert len(one.heard) == len(other.heard) == 1


async def test_retries_are_no_flood():
    """A service that fails altogether hears little more than was asked for."""
    retries = Retries(most=3, budget_percent=20)
    async with addresses(b"", b"") as (one, other), service(one.url, other.url, retries=retries) as way:
        for _ in range(40):
            with pytest.raises(NothingCameError):
                await call(way)
        assert 40 < len(one.heard) + len(other.heard) <= 40 + 40 * 0.2 + FLOOR


async def test_a_service_that_is_silent_is_left_alone_until_one_call_finds_it_well():
    """Calls are refused at once while its time runs; then one at a time goes through."""
    async with addresses(b"") as (only,), service(only.url, ejection=Ejection(failures=3, seconds=60)) as way:
        for _ in range(3):
            with pytest.raises(NothingCameError):
                await call(way, "POST", b"x")
        for _ in range(5):
            with pytest.raises(CircuitOpenError):
                await call(way)
        assert len(only.heard) == 3
        only.answer = OK
        way.targets.all[0].until = 0.0  # its time is over
        answers = await asyncio.gather(*(call(way) for _ in range(3)), return_exceptions=True)
        assert sum(isinstance(answer, CircuitOpenError) for answer in answers) == 2
        assert [answer for answer in answers if isinstance(answer, tuple)] == [(200, b"ok")]
        assert await call(way) == (200, b"ok")


async def test_an_address_that_fails_gets_no_more_calls():
    """While another one answers."""
    ejection = Ejection(failures=2, seconds=60)
    async with addresses(b"", OK) as (bad, good), service(bad.url, good.url, ejection=ejection, retries=RETRIES) as way:
        for _ in range(40):
            assert await call(way) == (200, b"ok")
        assert len(bad.heard) == 2
        assert len(good.heard) == 40


@pytest.mark.parametrize(("seconds", "counts"), [(0.1, True), (5.0, False)])
async def test_who_goes_away_is_no_fault_of_the_service_unless_it_had_all_its_time(seconds: float, *, counts: bool):
    """Nobody can put a service out for others by hanging up."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with speaking(silent) as server, service(server.url, ejection=Ejection(failures=1, seconds=60)) as way:
        request = Outgoing(method="GET", target="/", headers=[])
        task = asyncio.create_task(way.send(request, connect_seconds=5, seconds=seconds))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert way.targets.all[0].out == counts


async def test_nobody_puts_a_service_out_by_a_body_that_is_not_what_it_said():
    """It is the caller's fault, however often."""
    async with addresses(b"") as (only,), service(only.url, ejection=Ejection(failures=1, seconds=60)) as way:
        for _ in range(3):
            request = Outgoing(method="PUT", target="/", headers=[], body=pieces(), length=5)
            with pytest.raises(UpstreamError):
                await way.send(request, connect_seconds=5, seconds=5)


@pytest.mark.parametrize("retries", [None, RETRIES])
async def test_what_may_have_been_heard_is_never_called_unheard(retries: Retries | None):
    """A call that was read by one who died of it, and then found nobody: its effect may have been had."""
    heard = 0

    async def last_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        for answer in (OK, b""):
            await reader.readuntil(b"\r\n\r\n")
            heard += 1
            if not answer:
                server.close()
            writer.write(answer)

    async with speaking(last_words) as server, service(server.url, retries=retries) as way:
        assert await call(way) == (200, b"ok")
        with pytest.raises(NothingCameError):
            await call(way, "DELETE", safe=True)
        assert heard == 2


async def test_what_happens_is_told_once():
    """Out when an address has failed often enough, back when it answers; calls that found none, and second tries."""
    told: list[tuple[str, str | None]] = []
    async with addresses(b"") as (only,):
        reach = Reach(targets=(only.url,), ejection=Ejection(failures=2, seconds=60), retries=RETRIES)
        way = Service(reach, lambda change, address: told.append((change.value, address)))
        with pytest.raises(NothingCameError):
            await call(way, "PUT", b"x")
        with pytest.raises(CircuitOpenError):
            await call(way)
        (target,) = way.targets.all
        target.until, only.answer = 0.0, OK
        assert await call(way) == (200, b"ok")
        way.close()
        await asyncio.sleep(0)
    origin = only.url.rstrip("/")
    assert told == [("retried", None), ("out", origin), ("circuit-open", None), ("back", origin)]


async def test_health_checks_find_an_address_that_is_unwell_before_a_call_does():
    """And find it well again."""
    health = Health(path="/ready", seconds=0.02)
    async with (
        addresses(LATER, OK) as (bad, good),
        service(bad.url + "/base", good.url + "/base", health=health) as way,
    ):
        target = way.targets.all[0]
        await until(lambda: not target.well)
        for _ in range(10):
            assert await call(way) == (200, b"ok")
        assert set(bad.heard) == {"GET /base/ready"}
        assert set(good.heard) == {"GET /base/ready", "GET /base/x"}
        bad.answer = OK
        await until(lambda: target.well)


async def test_whoever_asks_hears_in_which_state_each_address_is():
    """In turn, out, due for a trial, unwell; of configured services that were called, and without a user's name."""
    async with addresses(b"", OK) as (bad, good):
        configured = ApiService(
            id="library",
            name={"ja": "図書館", "en": "Library"},
            upstream=bad.url,
            audience="library",
            timeout=timedelta(seconds=5),
            reach=Reach(
                targets=(bad.url.replace("://", "://user:secret@") + "/base/", good.url),
                ejection=Ejection(failures=1, seconds=100),
            ),
        )
        pools = Pools()
        way = pools.of(configured)
        first, second = way.targets.all

        def told() -> list[AddressState]:
            found = pools.states({"library"})
            assert [each.url for each in found] == [f"{bad.url}/base", good.url]
            return [each.state for each in found]

        assert told() == [AddressState.IN_TURN, AddressState.IN_TURN]
        assert pools.states({"other"}) == ()
        way.targets.ended(first, Outcome.SILENT, asyncio.get_running_loop().time(), trial=False)
        second.well = False
        assert told() == [AddressState.OUT, AddressState.UNWELL]
        first.until = 0.0
        assert told() == [AddressState.TRIAL, AddressState.UNWELL]
        first.trying = True
        assert told() == [AddressState.OUT, AddressState.UNWELL]
        pools.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_calls_that_go_another_way_end_where_they_began():
    """A service whose address was changed: new calls go there, old ones are read to their end."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        begun.set()
        await go_on.wait()
        writer.write(b"k")
        assert await reader.read() == b""

    async with speaking(slow) as old, addresses(OK) as (new,):
        pools = Pools()
        configured = ApiService(
            id="library",
            name={"ja": "図書館", "en": "Library"},
            upstream=old.url,
            audience="library",
            timeout=timedelta(seconds=5),
        )
        way = pools.of(configured)
        assert pools.of(configured) is way
        assert pools.of(replace(configured, audience="other")) is way
        under_way = asyncio.create_task(call(way))
        await begun.wait()
        elsewhere = pools.of(replace(configured, upstream=new.url))
        assert elsewhere is not way
        assert await call(elsewhere) == (200, b"ok")
        go_on.set()
        assert await under_way == (200, b"ok")
        pools.close()
        await asyncio.sleep(0)
