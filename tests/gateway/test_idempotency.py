"""Calls with a key have one effect, whoever repeats them and whoever dies; through the gateway: test_signed_calls."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from federation.idempotency import PASSING, Replay, read_key
from federation.model import Kept
from federation.refusal import (
    IdempotencyInFlight,
    IdempotencyKeyReused,
    IdempotencyUnknown,
    Unavailable,
)
from gateway.idempotency import KIND, MOST_ANSWER, Idempotency, Proceed
from gateway.store import Holder, Store, connect

from .gateway_sample import store_server

SEALING = bytes(range(32))
HEADERS = [("Content-Type", "text/plain"), ("X-Two", "1"), ("X-Two", "2")]
PAID = Replay(status=201, headers=tuple(HEADERS), body=b"paid")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """One worker's store."""
    one = Store(connect(store_url), SEALING, waits_for_disk=False)
    yield one
    await one.close()


@pytest.fixture
def scope() -> str:
    """Somebody's keys, which no other test has."""
    return secrets.token_hex(8)


@pytest.fixture
def calls(store: Store) -> Idempotency:
    """With the leases of the gateway."""
    return Idempotency(store, SEALING)


async def lapsed(store: Store, scope: str, key: str, *, sent: bool) -> None:
    """A call whose worker was killed, before it was sent or after; its lease is over."""
    begun = await Idempotency(store, SEALING, lease=timedelta(milliseconds=1)).begin(scope, key, "f", repeats=False)
    assert not isinstance(begun, Replay)
    if sent:
        await begun.sending()
    await asyncio.sleep(0.02)


async def after_the_lease(calls: Idempotency, scope: str, key: str) -> Proceed | Replay:
    """The call again, as soon as whoever was in the middle of it is taken for dead."""
    while True:
        with contextlib.suppress(IdempotencyInFlight):
            return await calls.begin(scope, key, "f", repeats=False)
        await asyncio.sleep(0.05)


async def test_the_second_answer_is_the_first_one(calls: Idempotency, scope: str) -> None:
    """Its status, headers and octets; also for a service that would do it twice."""
    async with await calls.begin(scope, "k", "f", repeats=False) as call:
        await call.sending()
        assert await call.finish(201, HEADERS, b"paid") == PAID

    assert await calls.begin(scope, "k", "f", repeats=False) == PAID
    assert await calls.begin(scope, "k", "f", repeats=True) == PAID


async def test_of_many_at_once_one_is_made(calls: Idempotency, scope: str) -> None:
    """The others are told to wait, until there is an answer; then all get it."""
    made, told, all_told = 0, list[int | None](), asyncio.Event()

    async def call() -> Replay | None:
        nonlocal made
        try:
            begun = await calls.begin(scope, "k", "f", repeats=True)
            if isinstance(begun, Replay):
                return begun
            async with begun as mine:
                await mine.sending()
                made += 1
                await all_told.wait()
                return await mine.finish(201, HEADERS, b"paid")
        except IdempotencyInFlight as why:
            told.append(why.retry_after)
            if len(told) == 19:
                all_told.set()
            return None

    first = await asyncio.gather(*(call() for _ in range(20)))
    again = await asyncio.gather(*(call() for _ in range(20)))

    assert (made, told) == (1, [1] * 19)
    assert [answer for answer in first if answer is not None] == [PAID]
    assert again == [PAID] * 20


async def test_another_call_under_the_key_is_refused(calls: Idempotency, scope: str) -> None:
    """While the first is under way, and after it; under another scope it is another key."""
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        with pytest.raises(IdempotencyKeyReused):
            await calls.begin(scope, "k", "other", repeats=True)
        await call.finish(201, HEADERS, b"paid")
    with pytest.raises(IdempotencyKeyReused):
        await calls.begin(scope, "k", "other", repeats=True)
    for others, key in ((f"{scope}k", ""), (scope, "kk"), (f"{scope} ", "k")):
        assert not isinstance(await calls.begin(others, key, "other", repeats=True), Replay)


async def test_a_service_knows_the_call_by_one_key(calls: Idempotency, store: Store, scope: str) -> None:
    """The same in every try and worker, another for every caller, and none that tells the caller's own."""
    async with await calls.begin(scope, "secret-word", "f", repeats=True) as call:
        first = await call.sending()
    async with await Idempotency(store, SEALING).begin(scope, "secret-word", "f", repeats=True) as call:
        assert await call.sending() == await call.sending() == first
    async with await calls.begin(f"{scope}2", "secret-word", "f", repeats=True) as call:
        assert await call.sending() != first
    async with await Idempotency(store, bytes(32)).begin(f"{scope}3", "secret-word", "f", repeats=True) as call:
        assert "secret" not in await call.sending()
    assert read_key(first) == first


async def test_a_call_that_was_not_sent_may_be_made(calls: Idempotency, store: Store, scope: str) -> None:
    """Whoever prepared it was killed, failed, went away, or could not reach the service."""
    await lapsed(store, scope, "killed", sent=False)
    with contextlib.suppress(ZeroDivisionError):
        async with await calls.begin(scope, "failed", "f", repeats=False):
            raise ZeroDivisionError
    async with await calls.begin(scope, "abandoned", "f", repeats=False) as call:
        await call.sending()
        await call.abandon()

    for key in ("killed", "failed", "abandoned"):
        async with await calls.begin(scope, key, "f", repeats=False) as call:
            await call.sending()
            await call.finish(201, HEADERS, b"paid")
        assert await calls.begin(scope, key, "f", repeats=False) == PAID


async def test_a_service_that_knows_keys_may_have_heard_one_of_several_tries(calls: Idempotency, scope: str) -> None:
    """That the last one did not reach it says nothing of those before: the row stays, and the call may be made."""
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        await call.sending()
        await call.abandon()

    with pytest.raises(IdempotencyKeyReused):
        await calls.begin(scope, "k", "other", repeats=True)
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        await call.sending()
        assert await call.finish(201, HEADERS, b"paid") == PAID


async def test_a_call_that_was_sent_is_repeated_only_where_that_is_safe(
    calls: Idempotency, store: Store, scope: str
) -> None:
    """Its worker was killed, or the connection broke: a service that knows no keys is not asked again, by nobody."""
    await lapsed(store, scope, "killed", sent=True)
    with contextlib.suppress(ZeroDivisionError):
        async with await calls.begin(scope, "broken", "f", repeats=False) as call:
            await call.sending()
            raise ZeroDivisionError

    for key in ("killed", "broken"):
        for _ in range(2):
            with pytest.raises(IdempotencyUnknown):
                await calls.begin(scope, key, "f", repeats=False)
        async with await calls.begin(scope, key, "f", repeats=True) as call:
            await call.sending()
            with pytest.raises(IdempotencyInFlight):
                await calls.begin(scope, key, "f", repeats=True)
            await call.abandon()  # this try did not reach the service; the first one may have
        with pytest.raises(IdempotencyUnknown):
            await calls.begin(scope, key, "f", repeats=False)


async def test_a_long_call_keeps_its_row(store: Store, store_url: str, scope: str) -> None:
    """Its lease is renewed while it lasts, and nobody has it afterwards."""
    calls, client = Idempotency(store, SEALING, lease=timedelta(seconds=1.5)), connect(store_url)
    before = {name async for name in client.scan_iter("kakehashi:idempotency-lease:*")}
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        (lease,) = {name async for name in client.scan_iter("kakehashi:idempotency-lease:*")} - before
        left = [await client.pttl(lease)]
        while left[-1] <= min(left):
            await asyncio.sleep(0.05)
            left.append(await client.pttl(lease))
        await call.sending()
        await call.finish(201, HEADERS, b"paid")
    assert await client.exists(lease) == 0
    await client.aclose()


async def test_whoever_was_taken_for_dead_sends_nothing(store: Store, scope: str) -> None:
    """A worker that stood still until its lease was over finds that another has begun, and gives up."""
    calls = Idempotency(store, SEALING, lease=timedelta(milliseconds=1))
    slow = await calls.begin(scope, "k", "f", repeats=False)
    await asyncio.sleep(0.02)
    async with await Idempotency(store, SEALING).begin(scope, "k", "f", repeats=False) as call:
        with pytest.raises(IdempotencyInFlight):
            await slow.sending()
        await slow.abandon()  # and cannot take away what is another's now
        await call.sending()
        assert await call.finish(201, HEADERS, b"paid") == PAID


async def test_of_two_answers_the_first_that_was_kept_is_given(store: Store, scope: str) -> None:
    """A worker that stood still while another asked the service again: both callers get the same."""
    hasty = Idempotency(store, SEALING, lease=timedelta(milliseconds=1))
    slow = await hasty.begin(scope, "k", "f", repeats=True)
    await slow.sending()
    await asyncio.sleep(0.02)
    async with await Idempotency(store, SEALING).begin(scope, "k", "f", repeats=True) as call:
        await call.sending()
        assert await slow.finish(201, HEADERS, b"paid") == PAID
        assert await call.finish(201, HEADERS, b"the same, said otherwise") == PAID


async def test_answers_that_settle_nothing_are_not_kept(calls: Idempotency, scope: str) -> None:
    """Of a service that knows keys: `not yet`, and what is too large; it is asked again under the same key."""
    body = bytes(MOST_ANSWER + 1)
    for status, said in (*((each, b"") for each in sorted(PASSING)), (201, body)):
        async with await calls.begin(scope, "k", "f", repeats=True) as call:
            await call.sending()
            assert await call.finish(status, HEADERS, said) == Replay(status=status, headers=tuple(HEADERS), body=said)
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        assert await call.finish(500, HEADERS, body[1:]) == await calls.begin(scope, "k", "f", repeats=True)
    async with await calls.begin(scope, "other", "f", repeats=False) as call:
        await call.sending()
        await call.finish(201, HEADERS, body)
    with pytest.raises(IdempotencyUnknown):
        await calls.begin(scope, "other", "f", repeats=False)


async def test_a_row_that_cannot_be_read_stops_the_call(calls: Idempotency, store_url: str, scope: str) -> None:
    """Sealed by another key, or altered: what happened before is not forgotten because of that."""
    async with await calls.begin(scope, "k", "f", repeats=True) as call:
        await call.finish(201, HEADERS, b"paid")
    client = connect(store_url)
    async for name in client.scan_iter("kakehashi:idempotency:*"):
        await client.append(name, b"x")
    try:
        with pytest.raises(Unavailable):
            await calls.begin(scope, "k", "f", repeats=True)
    finally:
        await client.delete(*[name async for name in client.scan_iter("kakehashi:idempotency*")])
        await client.aclose()


async def test_rows_hold_nothing_that_can_be_read(calls: Idempotency, store_url: str, scope: str) -> None:
    """Neither the key, which somebody may guess, nor the answer; and they end, rows after a day, leases in seconds."""
    client = connect(store_url)
    before = {name async for name in client.scan_iter("kakehashi:idempotency*")}
    async with await calls.begin(scope, "guessable", "f", repeats=True) as call:
        await call.sending()
        names = [name async for name in client.scan_iter("kakehashi:idempotency*") if name not in before]
        lives = {name.split(b":")[1]: await client.pttl(name) for name in names}
        await call.finish(201, HEADERS, b"paid")
    contents = b"".join([await client.get(name) or b"" for name in names] + names)
    await client.aclose()

    assert not any(word in contents for word in (b"guessable", b"paid", b"answered", scope.encode()))
    assert 0 < lives[b"idempotency-lease"] <= 10_000 < lives[b"idempotency"] <= 24 * 3_600_000


async def test_what_was_sent_and_answered_is_on_disk(tmp_path: Path) -> None:
    """The store is killed in the middle of one call and after another; the first one's answer is given to nobody."""
    disk = ("--appendonly", "yes", "--appendfsync", "always")
    lost = Idempotency(
        Store(connect(f"unix://{tmp_path / 's.sock'}"), SEALING, waits_for_disk=True),
        SEALING,
        lease=timedelta(seconds=1),
    )
    with store_server(tmp_path, *disk) as server:
        async with await lost.begin("scope", "answered", "f", repeats=False) as call:
            await call.sending()
            await call.finish(201, HEADERS, b"paid")
        async with await lost.begin("scope", "sent", "f", repeats=False) as call:
            await call.sending()
            server.kill()
            server.wait()
            with pytest.raises(Unavailable):
                await call.finish(201, HEADERS, b"paid")
    await lost._store.close()

    with store_server(tmp_path, *disk):
        store = Store(connect(f"unix://{tmp_path / 's.sock'}"), SEALING, waits_for_disk=True)
        calls = Idempotency(store, SEALING)
        assert await calls.begin("scope", "answered", "f", repeats=False) == PAID
        with pytest.raises(IdempotencyUnknown):
            await after_the_lease(calls, "scope", "sent")
        await store.close()


async def test_rows_of_other_kinds_are_changed_by_one_at_a_time(store: Store, scope: str) -> None:
    """The store's part alone: a stale change does nothing, a row that is gone cannot be held on to."""
    item = Kept(kind="idempotency", key=scope, value={"n": 1}, lifetime=timedelta(minutes=1))
    me, you = (Holder(id=name, lease=timedelta(seconds=5)) for name in ("me", "you"))
    held = await store.hold(item, me)
    assert held.new

    there = await store.hold(item, you)
    assert (there.new, there.leased, there.value, there.content) == (False, True, {"n": 1}, held.content)
    changed = await store.swap(item, held.content, me)
    assert changed not in {None, held.content}
    assert await store.swap(item, held.content, you) is None
    await store.let_go(KIND, scope, you)
    assert (await store.hold(item, you)).leased
    await store.let_go(KIND, scope, me)
    assert not (await store.hold(item, you)).leased
    await store.drop(KIND, scope, held.content)
    assert not (await store.hold(item, you)).new
    await store.drop(KIND, scope, changed or b"")
    await store.hold_on(KIND, scope, changed or b"", me)
    assert (await store.hold(item, you)).new
