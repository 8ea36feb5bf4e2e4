"""How late the event loop is: whatever holds it up holds up every resident at once."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

TICK_SECONDS = 0.025
"""A timer this short is hardly late on a loop with nothing to do."""

SLOT_SECONDS = 1.0
SLOTS = 10
"""The worst of ten seconds is shown, so that a scrape every few seconds misses nothing."""


async def watch(tell: Callable[[float], None]) -> None:
    """Tell by how many seconds a short timer was late at worst within the last ten seconds, until cancelled."""
    recent = deque([0.0], maxlen=SLOTS)
    shown = -1.0
    ends = monotonic() + SLOT_SECONDS
    while True:
        begun = monotonic()
        await asyncio.sleep(TICK_SECONDS)
        now = monotonic()
        if now >= ends:
            recent.append(0.0)
            ends = now + SLOT_SECONDS
        recent[-1] = max(recent[-1], now - begun - TICK_SECONDS)
        worst = max(recent)
        if worst != shown:
            shown = worst
            tell(worst)
