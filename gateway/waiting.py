"""Pages that wait for a phone: one task of each process reads the news for all of them, and wakes the one it is about.

What happened stands in the store (`gateway/certificate_standing.py`); the news only say where to look. So nothing is
lost when somebody comes late, and a page that nobody wakes costs nothing but its connection. The task lives while
somebody waits, and begins at the end of the news: who waits looks at the store after being counted here, and again
whenever woken.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import structlog

from federation.model import Kept
from federation.refusal import Unavailable
from gateway.context import digest
from gateway.store import Store

log = structlog.get_logger("gateway.waiting")

READ_SECONDS = 0.5
"""How often a process asks for news while somebody waits."""

NEWS_LIFETIME = timedelta(minutes=1)
"""For how long news are kept; a process that was away from the store for longer wakes everybody."""

MOST_OF_ONE = 2
"""Open waits for one sign-in: its page, and the same one in another tab."""

MOST = 2000
"""Open waits of one process; pages beyond that refresh themselves."""


class TooManyWaitError(Exception):
    """No more can wait here: the page is to ask again by itself."""


class Waiter:
    """One page that waits. `alive` says whether anybody is still there to be told."""

    __slots__ = ("_event", "alive", "closed")

    def __init__(self, alive: Callable[[], bool]) -> None:
        self.alive = alive
        self.closed = False
        self._event = asyncio.Event()

    def wake(self) -> None:
        """There may be news."""
        self._event.set()

    async def woken(self, seconds: float) -> bool:
        """Whether there may be news; False when `seconds` are over without."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Waiting:
    """Everybody who waits in this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiters: dict[str, list[Waiter]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def tell(self, handle: str) -> None:
        """Let every process wake whoever waits for `handle`. Raises `Unavailable`."""
        await self._store.add_news({"of": digest(handle)}, NEWS_LIFETIME)

    async def keep_and_tell(self, item: Kept, handle: str) -> bool:
        """Keep the item unless one of its name is kept, and tell; whether it was the first. Raises `Unavailable`."""
        return await self._store.keep_with_news(item, {"of": digest(handle)}, NEWS_LIFETIME)

    async def forget_and_tell(self, kind: str, handle: str) -> None:
        """Remove what is kept of that kind under `handle`, and tell. Raises `Unavailable`."""
        await self._store.forget_with_news(kind, handle, {"of": digest(handle)}, NEWS_LIFETIME)

    @contextlib.asynccontextmanager
    async def waiter(self, handle: str, alive: Callable[[], bool] = lambda: True) -> AsyncIterator[Waiter]:
        """Wait for news of `handle` while the context is open. Raises `TooManyWaitError`."""
        key = digest(handle)
        own = self._waiters.setdefault(key, [])
        if sum(each.alive() for each in own) >= MOST_OF_ONE or self._count >= MOST or self._closed:
            if not own:
                del self._waiters[key]
            raise TooManyWaitError
        for each in own:  # a page that was loaded anew leaves its wait behind until somebody writes to it
            if not each.alive():
                each.closed = True
                each.wake()
        found = Waiter(alive)
        own.append(found)
        self._count += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        try:
            yield found
        finally:
            own.remove(found)
            self._count -= 1
            if not own and self._waiters.get(key) is own:
                del self._waiters[key]

    async def close(self) -> None:
        """Let everybody go; nobody waits here any more."""
        self._closed = True
        self._wake_all(closing=True)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self) -> None:
        """Read on while somebody waits."""
        place, away = "", False
        while self._count:
            try:
                if not place or away:
                    # Whoever came before the place was known, or while the store was away, looks for themselves.
                    place, away = await self._store.news_end(), False
                    self._wake_all()
                place = await self._read_on(place)
            except Unavailable as fault:
                if not away:
                    log.warning("news-not-read", detail=fault.detail)
                away = True
            except Exception:
                log.exception("waiting-fault")
            await asyncio.sleep(READ_SECONDS)

    async def _read_on(self, place: str) -> str:
        while True:
            after, found = await self._store.news(place)
            for each in found:
                for waiter in self._waiters.get(each["of"], ()):
                    waiter.wake()
            if after == place:
                return place
            place = after

    def _wake_all(self, *, closing: bool = False) -> None:
        for own in self._waiters.values():
            for waiter in own:
                waiter.closed = waiter.closed or closing
                waiter.wake()
