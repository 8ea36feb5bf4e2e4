"""How late the event loop is, shown as a number."""

import asyncio
import time

from gateway import lateness


async def test_what_holds_up_the_loop_is_told() -> None:
    """Work that blocks the loop makes the timer late, and the worst of it stays to be seen."""
    told: list[float] = []
    watching = asyncio.create_task(lateness.watch(told.append))
    await asyncio.sleep(0.05)
    time.sleep(0.3)  # noqa: ASYNC251 - this is what is to be noticed
    while max(told) < 0.2:  # noqa: ASYNC110 - nothing sets an event
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert told[-1] == max(told)
    watching.cancel()
