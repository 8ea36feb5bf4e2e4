"""How long a proxied call may stand still, and for whom: the service, or the caller.

A body may take as long as it likes while it moves. What ends a call is a silence: of the service, longer than
its own limit, or of the caller, longer than `CALLER_SECONDS`. A caller that went away ends it too, also while
nothing is to be written to it; the HTTP server by itself tells a handler only when it writes.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

CALLER_SECONDS = 60.0
"""How long a caller may keep its own body waiting, or leave an answer unread."""

LOOK_SECONDS = 1.0
"""How often it is looked whether the caller is still there."""

GRACE_SECONDS = 0.05
"""A silence that is over is looked at once more after this: what came may not have been read, if we were held up."""


BEGINNING_SECONDS = 0.05
"""Calls that are over by then, as nearly all are, have no timer of their own."""


class Watch:
    """One timer for all calls that have just begun; each call that goes on longer has its own after that."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._begun: dict[object, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: object, look: Callable[[], None]) -> None:
        """Call `look` within `BEGINNING_SECONDS`, unless the call is over before."""
        self._begun[call] = look
        if self._timer is None:
            self._timer = self.loop.call_later(BEGINNING_SECONDS, self._hand_over)

    def over(self, call: object) -> None:
        """The call is over."""
        self._begun.pop(call, None)

    def _hand_over(self) -> None:
        self._timer = None
        begun, self._begun = self._begun, {}
        for look in begun.values():
            look()


class Patience:
    """Watches one call while its context is open; whatever stands still too long ends in `TimeoutError`.

    `gone` says that the caller is not there any more; whoever sees its body break off may set it. The context
    then ends in `ConnectionResetError`. `forbidden` says that the caller may not any more, and ends so, too.
    """

    def __init__(self, request: web.BaseRequest, seconds: float, watch: Watch, still: Callable[[], bool]) -> None:
        """`seconds` is how long the service may stay silent; `still` whether the caller may go on."""
        self.gone = False
        self.forbidden = False
        self.still = still
        self._watch = watch
        self._request = request
        self._service_seconds = seconds
        self._loop = watch.loop  # asking which one is running costs a system call
        self.callers_turns = 0
        self._over = False
        self._doubted = False
        self._moved = self._loop.time()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def moved(self) -> None:
        """Something came or went just now."""
        self._moved = self._loop.time()
        self._doubted = False

    def on_caller(self) -> "_CallersTurn":
        """What is waited for inside is the caller's to do."""
        return _CallersTurn(self)

    def __enter__(self) -> Self:
        self._task = asyncio.current_task(self._loop)
        transport = self._request.transport
        if transport is None or transport.is_closing():
            self._look()
        else:
            self._watch.add(self, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._watch.over(self)
        if self._timer is not None:
            self._timer.cancel()
        ended = self._over or self.gone or self.forbidden
        if self._over and self._task.uncancel() > 0:
            return  # somebody else wants the whole task to end
        if ended and isinstance(fault, asyncio.CancelledError):
            if self.gone or self.forbidden:
                raise ConnectionResetError("the caller is gone, or may not go on") from None
            raise TimeoutError from None

    def _look(self) -> None:
        transport = self._request.transport
        limit = CALLER_SECONDS if self.callers_turns else self._service_seconds
        left = self._moved + limit - self._loop.time()
        if transport is None or transport.is_closing():
            self.gone = True
        elif not self.still():
            self.forbidden = True
        elif left > 0 or not self._doubted:
            self._doubted = left <= 0
            self._timer = self._loop.call_later(min(left, LOOK_SECONDS) if left > 0 else GRACE_SECONDS, self._look)
            return
        elif self.callers_turns:
            self.gone = True
        self._over = True
        assert self._task is not None
        self._task.cancel()


class _CallersTurn:
    """While it is open the caller is waited for."""

    __slots__ = ("_patience",)

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def __enter__(self) -> None:
        self._patience.callers_turns += 1
        self._patience.moved()

    def __exit__(self, *_: object) -> None:
        self._patience.callers_turns -= 1
        self._patience.moved()
