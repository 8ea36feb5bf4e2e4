"""Calls with an Idempotency-Key, carried to their end whoever goes away meanwhile.

Such a call is made in a task of its own: a caller that hangs up, or is told that the service is slow, does not stop
what may have had its effect, and finds the answer when it asks again. Both bodies are held in memory, so they are
small.
"""

import asyncio
from collections.abc import Awaitable, Callable

from federation.idempotency import Replay
from gateway.idempotency import Idempotency, Proceed
from gateway.upstream.pool import BusyError, UnreachableError

MOST_BODY = 1024 * 1024
"""Bytes of the largest body, of a call or of an answer, where there is a key."""

CLOSING_SECONDS = 10.0
"""How long the end of the process waits for calls that are under way."""

Make = Callable[[str], Awaitable[Replay]]
"""Takes the key for the service, makes the call."""


class Once:
    """The calls with keys of one process."""

    def __init__(self, idempotency: Idempotency) -> None:
        self._idempotency = idempotency
        self._under_way: set[asyncio.Task[Replay]] = set()

    async def call(self, scope: str, key: str, fingerprint: str, make: Make, *, repeats: bool) -> tuple[Replay, bool]:
        """The answer to a call, and whether it was given before. Raises as `Idempotency.begin`, and as `make`."""
        known = await self._idempotency.begin(scope, key, fingerprint, repeats=repeats)
        if isinstance(known, Replay):
            return known, True
        task = asyncio.create_task(_made(known, make), name="call-with-key")
        self._under_way.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task), False

    async def close(self) -> None:
        """Let what is under way come to its end."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CLOSING_SECONDS)

    def _over(self, task: asyncio.Task[Replay]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # the caller was told, or is gone


async def _made(proceed: Proceed, make: Make) -> Replay:
    async with proceed as call:
        try:
            answer = await make(await call.sending())
        except (UnreachableError, BusyError):
            await call.abandon()
            raise
        return await call.finish(answer.status, answer.headers, answer.body)
