"""One piece of work however many wait for it: whoever asks while it is under way gets what the first one gets."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """Work under way, by key. `name` is that of the tasks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._tasks

    async def once(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns or raises, begun once for whoever waits for it. Who gives up does not end it."""
        task: asyncio.Task[T] | None = self._tasks.get(key)
        if task is None:
            task = self.start(key, work)
        return await asyncio.shield(task)

    def start(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Begin work for which nobody waits yet, under a key that is free."""
        assert key not in self._tasks, key
        task = asyncio.create_task(work(), name=self._name)
        self._tasks[key] = task
        task.add_done_callback(partial(self._landed, key))
        return task

    async def settle(self) -> None:
        """Wait for all of it, and for what it began."""
        while self._tasks:  # which the loop empties; `gather` would not let it if all were done (Python 3.13)
            await asyncio.wait(tuple(self._tasks.values()))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in tuple(self._tasks.values()):
            task.cancel()
        await self.settle()

    def _landed(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # whoever waits is told; if nobody does, nobody needs to be
