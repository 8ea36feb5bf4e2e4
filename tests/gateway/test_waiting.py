"""Pages that wait: woken across processes, few for each sign-in, none left behind, whatever the store does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from federation.refusal import Unavailable
from gateway.store import Store, connect
from gateway.waiting import MOST_OF_ONE, TooManyWaitError, Waiter, Waiting

from .gateway_sample import store_server

HANDLE, OTHER = "h" * 43, "o" * 43
LONG = 30.0
"""Seconds that nobody waits for unless something is broken."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Waiting]:
    """The waiting of one process."""
    store = Store(connect(url), bytes(32), waits_for_disk=False)
    waiting = Waiting(store)
    try:
        yield waiting
    finally:
        await waiting.close()
        await store.close()


@pytest.fixture
async def url(store_url: str) -> str:
    """A store that holds nothing yet."""
    found = store_url + "?db=7"
    async with connect(found) as client:
        await client.flushdb()
    return found


async def settled(waiter: Waiter) -> None:
    """The process reads on: it has woken everybody who came before."""
    assert await waiter.woken(LONG)


async def test_news_wake_who_waits_for_them_in_every_process(url: str) -> None:
    """And nobody else."""
    async with opened(url) as one, opened(url) as two, AsyncExitStack() as stack:
        own = [await stack.enter_async_context(each.waiter(HANDLE)) for each in (one, two)]
        other = await stack.enter_async_context(two.waiter(OTHER))
        for each in (*own, other):
            await settled(each)

        await one.tell(HANDLE)

        assert [await each.woken(LONG) for each in own] == [True, True]
        assert not await other.woken(0.0)


async def test_old_news_wake_nobody(url: str) -> None:
    """Who comes looks at the store; a thousand old news are not read for it."""
    async with opened(url) as waiting:
        for _ in range(3):
            await waiting.tell(HANDLE)
        async with waiting.waiter(HANDLE) as waiter:
            await settled(waiter)
            async with waiting.waiter(OTHER) as other:
                await waiting.tell(OTHER)
                assert await other.woken(LONG)
            assert not await waiter.woken(0.0)


async def test_few_wait_for_one(url: str) -> None:
    """One more is sent away; whoever has gone makes room, and is woken to go."""
    there = [True] * (MOST_OF_ONE + 1)
    async with opened(url) as waiting, AsyncExitStack() as stack:
        first = await stack.enter_async_context(waiting.waiter(HANDLE, lambda: there[0]))
        for number in range(1, MOST_OF_ONE):
            await stack.enter_async_context(waiting.waiter(HANDLE, lambda n=number: there[n]))
        with pytest.raises(TooManyWaitError):
            await stack.enter_async_context(waiting.waiter(HANDLE))
        there[0] = False
        await stack.enter_async_context(waiting.waiter(HANDLE))
        assert first.closed
        assert await first.woken(LONG)


async def test_a_process_holds_so_many(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes then is sent away, and nothing of them stays."""
    monkeypatch.setattr("gateway.waiting.MOST", 3)
    async with opened(url) as waiting, AsyncExitStack() as stack:
        for number in range(3):
            await stack.enter_async_context(waiting.waiter(f"{number}" * 43))
        with pytest.raises(TooManyWaitError):
            await stack.enter_async_context(waiting.waiter(HANDLE))
        await stack.aclose()
        async with waiting.waiter(HANDLE):
            pass


async def test_closing_lets_everybody_go(url: str) -> None:
    """Nobody can wait afterwards."""
    async with opened(url) as waiting:
        async with waiting.waiter(HANDLE) as waiter:
            await waiting.close()
            assert await waiter.woken(LONG)
            assert waiter.closed
        with pytest.raises(TooManyWaitError):
            await waiting.waiter(HANDLE).__aenter__()


async def test_news_are_sealed_and_name_nobody(url: str) -> None:
    """The store's files do not say which sign-ins wait."""
    async with opened(url) as waiting, connect(url) as client:
        await waiting.tell(HANDLE)
        (key,) = await client.keys("*")
        ((_, fields),) = await client.xrange(key)
    assert HANDLE.encode() not in key + fields[b"value"]


async def test_a_store_that_was_away_wakes_everybody(tmp_path: Path) -> None:
    """What was told meanwhile may be lost, so each looks for themselves; it is logged once."""
    async with opened(f"unix://{tmp_path / 's.sock'}") as waiting:
        with structlog.testing.capture_logs() as logged:
            with store_server(tmp_path):
                async with AsyncExitStack() as stack:
                    waiter = await stack.enter_async_context(waiting.waiter(HANDLE))
                    await settled(waiter)
                    held = stack.pop_all()
            with contextlib.suppress(Unavailable):
                await waiting.tell(HANDLE)
            async with asyncio.timeout(LONG):
                while not logged:  # noqa: ASYNC110 - what is logged is no event
                    await asyncio.sleep(0.05)
            with store_server(tmp_path):
                assert await waiter.woken(LONG)
                await held.aclose()
        assert [each["event"] for each in logged] == ["news-not-read"]


# --- what the store keeps for it


async def test_counting_ends_with_its_lifetime(url: str) -> None:
    """Each name for itself; the first time decides when it is forgotten."""
    store = Store(connect(url), bytes(32), waits_for_disk=False)
    try:
        found = [await store.count("certificate-tries", each, timedelta(minutes=1)) for each in ("a", "a", "b", "a")]
        async with connect(url) as client:
            left = [await client.pttl(key) for key in await client.keys("*certificate-tries*")]
        assert found == [1, 2, 1, 3]
        assert len(left) == 2
        assert all(0 < each <= 60_000 for each in left)
    finally:
        await store.close()


async def test_several_are_read_at_once(url: str) -> None:
    """In their order; what is not there is None."""
    store = Store(connect(url), bytes(32), waits_for_disk=False)
    try:
        await store.put_flow("a", {"a": 1}, timedelta(minutes=1))
        assert await store.read_all(("flow", "b"), ("flow", "a"), ("code", "a")) == (None, {"a": 1}, None)
    finally:
        await store.close()
