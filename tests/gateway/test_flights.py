"""One piece of work for all who ask: who gives up ends it for nobody, and the end of everything waits for no turn."""

import asyncio

import pytest

from gateway.flights import Flights


async def test_whoever_asks_meanwhile_gets_what_the_first_one_gets() -> None:
    """Begun once; asked again after its end, it is begun anew."""
    flights, begun, go_on = Flights("test"), list[int](), asyncio.Event()

    async def work() -> int:
        begun.append(len(begun))
        await go_on.wait()
        return begun[-1]

    asked = [asyncio.create_task(flights.once("key", work)) for _ in range(5)]
    await asyncio.sleep(0)
    asked[0].cancel()
    assert "key" in flights
    go_on.set()
    assert await asyncio.gather(*asked[1:]) == [0] * 4
    assert "key" not in flights
    assert await flights.once("key", work) == 1


async def test_whoever_asks_hears_what_went_wrong() -> None:
    """Each of them; if nobody waits, nobody hears."""
    flights = Flights("test")

    async def fail() -> None:
        raise ValueError("wrong")

    found = await asyncio.gather(*(flights.once("key", fail) for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in found] == ["wrong"] * 3
    flights.start("another", fail)
    await flights.settle()


@pytest.mark.parametrize("turns", range(4))
async def test_the_end_comes_however_far_the_work_is(turns: int) -> None:
    """Not begun, just done (which nobody was told yet), or waiting for something that never comes."""
    flights = Flights("test")

    async def nothing() -> None:
        return

    flights.start("short", nothing)
    flights.start("long", asyncio.Event().wait)
    for _ in range(turns):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await flights.close()
    assert "short" not in flights
    assert "long" not in flights
    flights.start("short", nothing)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await flights.settle()
