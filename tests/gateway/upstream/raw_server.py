"""A server that says exactly what it is told to, octet by octet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Where it listens; `close` ends that, and no connection."""

    def __init__(self, server: asyncio.Server) -> None:
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.close = server.close


@asynccontextmanager
async def speaking(speak: Speak) -> AsyncIterator[RawServer]:
    """A server on loopback whose every connection is `speak`'s."""
    tasks: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side went away, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    raw = RawServer(server)
    try:
        yield raw
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes, pause: float = 0.0, split: int = 0) -> Speak:
    """Answer the first, the second … request of a connection with these octets; then close it.

    `split`: so many octets at a time, with `pause` seconds between.
    """

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            size = split or len(answer) or 1
            for i in range(0, len(answer), size):
                writer.write(answer[i : i + size])
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()

    return speak
