import asyncio
from pathlib import Path
from typing import Self

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gateway import wire as wire_module
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


async def test_everybody_shares_one_connection(store_url: str) -> None:
    """However many ask at once."""
    wire = Wire(connect(store_url))
    try:
        before = len(await clients(wire))
        await asyncio.gather(*(wire.send(("PING",)) for _ in range(1000)))
        assert len(await clients(wire)) == before
    finally:
        await wire.close()


async def test_commands_that_wait_have_a_bounded_number_of_connections_of_their_own(store_url: str) -> None:
    """Everybody is served, nobody is held up by them, and the server sees no more connections than that."""
    wire = Wire(connect(store_url))
    try:
        before = len(await clients(wire))
        waiting = [asyncio.create_task(wire.send(("BLPOP", f"wire-list-{n}", 5), waits=True)) for n in range(100)]
        assert await wire.send(("ECHO", "mine")) == [b"mine"]
        for n in range(100):
            await wire.send(("RPUSH", f"wire-list-{n}", n))
        assert await asyncio.gather(*waiting) == [[[f"wire-list-{n}".encode(), str(n).encode()]] for n in range(100)]
        assert len(await clients(wire)) - before <= MOST_CONNECTIONS
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
    """Nor does it break the connection: the reply is read, and belongs to nobody."""
    wire = Wire(connect(store_url))
    try:
        (own,) = await wire.send(("CLIENT", "ID"))
        asked = [asyncio.create_task(wire.send(("ECHO", str(n)))) for n in range(10)]
        await asyncio.sleep(0)
        for each in asked[::2]:
            each.cancel()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found[1::2] == [[str(n).encode()] for n in range(1, 10, 2)]
        assert await wire.send(("ECHO", "mine"), ("CLIENT", "ID")) == [b"mine", own]
    finally:
        await wire.close()


async def test_who_gives_up_on_a_command_that_waits_leaves_no_reply_behind(store_url: str) -> None:
    """A connection whose reply was not read is not used again."""
    wire = Wire(connect(store_url))
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.send(("BLPOP", "wire-nothing", 5), waits=True)
        assert await wire.send(("ECHO", "mine"), waits=True) == [b"mine"]
    finally:
        await wire.close()


async def test_a_connection_that_the_server_ends_is_opened_anew_for_all_who_wait(store_url: str) -> None:
    """What was asked on it is asked again, once, on the next."""
    wire, other = Wire(connect(store_url)), Wire(connect(store_url))
    try:
        (own,) = await wire.send(("CLIENT", "ID"))
        (before,) = await other.send(("INFO", "stats"))
        asked = [asyncio.create_task(wire.send(("ECHO", str(n)))) for n in range(50)]
        await other.send(("CLIENT", "KILL", "ID", own))
        assert await asyncio.gather(*asked) == [[str(n).encode()] for n in range(50)]
        again = await asyncio.gather(*(wire.send(("ECHO", str(n))) for n in range(50)))
        assert again == [[str(n).encode()] for n in range(50)]
        (after,) = await other.send(("INFO", "stats"))
        assert opened(after) - opened(before) <= 1
    finally:
        await wire.close()
        await other.close()


async def test_a_server_that_falls_silent_is_left_for_a_new_connection(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that swallows everything (a firewall that forgot it) costs those who wait some seconds, once."""
    monkeypatch.setattr(wire_module, "SILENT_SECONDS", 0.5)
    async with Silencer(store_url) as between:
        wire = Wire(connect(between.url))
        try:
            assert await wire.send(("ECHO", "before")) == [b"before"]
            between.swallow()
            asked = await asyncio.gather(*(wire.send(("ECHO", str(n))) for n in range(20)))
            assert asked == [[str(n).encode()] for n in range(20)]
        finally:
            await wire.close()


async def test_a_new_connection_that_nobody_answers_is_left_for_another_one(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hung just then, or a proxy before one that is away: everybody had waited for this one for ever."""
    monkeypatch.setattr(wire_module, "OPEN_SECONDS", 0.5)
    async with Silencer(store_url) as between:
        between.silent_at_first = 1
        wire = Wire(connect(between.url))
        try:
            found = await asyncio.gather(*(wire.send(("ECHO", str(n))) for n in range(20)))
            assert found == [[str(n).encode()] for n in range(20)]
        finally:
            await wire.close()


@pytest.mark.parametrize("said", [b"?what\r\n", b"+to nobody\r\n"], ids=["not the protocol", "not asked"])
async def test_a_server_that_says_what_nobody_understands_is_left(store_url: str, said: bytes) -> None:
    """No reply is given to somebody else because one too many came."""
    async with Silencer(store_url) as between:
        wire = Wire(connect(between.url))
        try:
            assert await wire.send(("ECHO", "before")) == [b"before"]
            between.say(said)
            await asyncio.sleep(0.05)
            found = await asyncio.gather(*(wire.send(("ECHO", str(n))) for n in range(20)))
            assert found == [[str(n).encode()] for n in range(20)]
        finally:
            await wire.close()


async def test_while_no_server_is_there_everybody_hears_so(tmp_path: Path) -> None:
    """All of them, after a few tries that they share."""
    wire = Wire(connect(f"unix://{tmp_path}/nobody"))
    try:
        found = await asyncio.gather(*(wire.send(("PING",)) for _ in range(50)), return_exceptions=True)
        assert {type(each) for each in found} == {RedisConnectionError}
    finally:
        await wire.close()


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("waits", [False, True], ids=["with others", "alone"])
async def test_whoever_waits_when_it_is_closed_hears_so(store_url: str, turns: int, *, waits: bool) -> None:
    """Also while the first connection is opened; nobody is cancelled, and nothing is opened any more."""
    wire, other = Wire(connect(store_url)), Wire(connect(store_url))
    try:
        asked = [asyncio.create_task(wire.send(("ECHO", "x"), waits=waits)) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await wire.close()
        for each in await asyncio.gather(*asked, return_exceptions=True):
            assert each == [b"x"] or isinstance(each, RedisConnectionError)
        before = len(await clients(other))
        with pytest.raises(RedisConnectionError):
            await wire.send(("ECHO", "x"), waits=waits)
        assert len(await clients(other)) <= before
    finally:
        await other.close()


# --- helpers


async def clients(wire: Wire) -> list[bytes]:
    """The connections that the server has."""
    (found,) = await wire.send(("CLIENT", "LIST"))
    lines: list[bytes] = (found if isinstance(found, bytes) else found.encode()).splitlines()
    return lines


def opened(stats: object) -> int:
    """How many connections the server was ever asked for."""
    text = stats.decode() if isinstance(stats, bytes) else str(stats)
    return int(next(line for line in text.splitlines() if line.startswith("total_connections_received")).split(":")[1])


class Silencer:
    """A way to the store that can be made to swallow what comes over its connections, or to add to it."""

    def __init__(self, store_url: str) -> None:
        self._path = store_url.removeprefix("unix://").partition("?")[0]
        self._live: list[tuple[asyncio.StreamWriter, asyncio.Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.silent_at_first = 0
        """So many connections hear nothing from their beginning."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def swallow(self) -> None:
        """From now on nothing comes back over the connections that there are."""
        for _, silent in self._live:
            silent.set()

    def say(self, words: bytes) -> None:
        """Say something over each connection."""
        for writer, _ in self._live:
            writer.write(words)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = asyncio.Event()
        if self.silent_at_first:
            self.silent_at_first -= 1
            silent.set()
        self._live.append((writer, silent))
        from_store, to_store = await asyncio.open_unix_connection(self._path)
        for one, other in ((reader, to_store), (from_store, writer)):
            self._tasks.add(asyncio.create_task(self._carry(one, other, silent)))

    async def _carry(self, one: asyncio.StreamReader, other: asyncio.StreamWriter, silent: asyncio.Event) -> None:
        try:
            while octets := await one.read(65536):
                if not silent.is_set():
                    other.write(octets)
        finally:
            other.close()
