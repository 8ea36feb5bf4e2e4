import asyncio

import pytest
from redis.exceptions import ResponseError

from gateway.store import connect
from gateway.wire import MOST_CONNECTIONS, Wire


async def test_replies_come_in_the_order_of_the_commands_whoever_else_sends(store_url: str) -> None:
    """Hundreds at once, each with several commands in one packet."""
    wire = Wire(connect(store_url))
    try:
        await asyncio.gather(*(wire.send(("SET", f"wire-{n}", n), ("GET", f"wire-{n}")) for n in range(300)))
        found = await asyncio.gather(*(wire.send(("GET", f"wire-{n}"), ("ECHO", str(n))) for n in range(300)))
        assert found == [[str(n).encode()] * 2 for n in range(300)]
    finally:
        await wire.close()


async def test_a_stampede_shares_a_bounded_number_of_connections(store_url: str) -> None:
    """Everybody is served, and the server sees no more connections than that."""
    wire = Wire(connect(store_url))
    try:
        before = len((await wire.send(("CLIENT", "LIST")))[0].splitlines())
        await asyncio.gather(*(wire.send(("PING",)) for _ in range(1000)))
        after = len((await wire.send(("CLIENT", "LIST")))[0].splitlines())
        assert after - before < MOST_CONNECTIONS
    finally:
        await wire.close()


async def test_an_error_reply_spoils_neither_the_others_nor_the_connection(store_url: str) -> None:
    """It is raised once all replies were read; the next command gets its own reply."""
    wire = Wire(connect(store_url))
    try:
        with pytest.raises(ResponseError):
            await wire.send(("SET", "wire-text", "text"), ("LPUSH", "wire-text", "x"), ("GET", "wire-text"))
        fine, fault, also_fine = await wire.replies(("PING",), ("LPUSH", "wire-text", "x"), ("GET", "wire-text"))
        assert (fine, also_fine) == (b"PONG", b"text")
        assert isinstance(fault, ResponseError)
        assert await wire.send() == []
    finally:
        await wire.close()


async def test_who_gives_up_leaves_no_reply_behind_for_somebody_else(store_url: str) -> None:
    """A connection whose reply was not read is not used again."""
    wire = Wire(connect(store_url))
    try:
        await wire.send(("PING",))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.send(("BLPOP", "wire-nothing", 5))
        assert await wire.send(("ECHO", "mine")) == [b"mine"]
    finally:
        await wire.close()
