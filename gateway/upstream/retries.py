"""Whether a call that failed is sent once more: only where twice is as good as once, and never as a flood.

What a service may have heard is sent again only if its method is idempotent (RFC 9110 §9.2.2) or somebody vouches for
it (`safe`: an idempotency key in use). What it cannot have heard is sent again whatever it is. All retries of a service
together keep within a budget, so that a service in trouble does not get more to do for it.
"""

from gateway.upstream.http1 import NothingCameError, Outgoing, UpstreamError
from gateway.upstream.pool import IDEMPOTENT, BusyError, UnreachableError

WINDOW = 10
"""Seconds in which the budget is counted."""

FLOOR = 3
"""Retries in a window that are always allowed: a quiet service has a budget too."""

TURNED_AWAY = frozenset({502, 503, 504})
"""Statuses of somebody that stands before the service, or of one that cannot now (RFC 9110 §15.6)."""

READING = frozenset({"GET", "HEAD"})
"""Methods that are asked again after an answer that turns them away."""


def unheard(request: Outgoing, fault: UpstreamError | TimeoutError, *, safe: bool) -> bool:
    """Whether `request` may be sent again after `fault`, by what the service can have heard of it."""
    if isinstance(fault, BusyError):
        return False  # there is too much to do already
    if isinstance(fault, UnreachableError | TimeoutError):
        return True  # no connection: not a byte was sent, and none of a body was taken
    if not isinstance(fault, NothingCameError):
        return False  # an answer had begun
    return (safe or request.method in IDEMPOTENT) and (request.body is None or isinstance(request.body, bytes))


def turned_away(request: Outgoing, status: int, *, waits: bool) -> bool:
    """Whether `request` may be sent again after `status`; `waits`: it was said when (Retry-After), so not now."""
    return status in TURNED_AWAY and not waits and request.method in READING and request.body is None


class Budget:
    """In any window of so many whole seconds: retries ≤ `FLOOR` + `percent` % of the calls."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._calls = [0] * WINDOW
        self._retries = [0] * WINDOW
        self._second = 0

    def call(self, now: float) -> None:
        """A call begins."""
        self._calls[self._slot(now)] += 1

    def spend(self, now: float) -> bool:
        """Whether one more retry is within the budget; it counts at once."""
        slot = self._slot(now)
        if sum(self._retries) + 1 > FLOOR + sum(self._calls) * self._percent / 100:
            return False
        self._retries[slot] += 1
        return True

    def _slot(self, now: float) -> int:
        second = int(now)
        if second > self._second:
            for gone in range(max(self._second + 1, second - WINDOW + 1), second + 1):
                self._calls[gone % WINDOW] = self._retries[gone % WINDOW] = 0
            self._second = second
        return self._second % WINDOW
