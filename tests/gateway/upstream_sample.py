"""A service behind the proxy, spoken to byte by byte: what it gets and when, and what it says and when."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Connection:
    """One call as it reached the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request_line: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    trailers: list[str] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None

    async def read_head(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.request_line = head[0]
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]

    async def read_chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end, after its trailers."""
        size = int((await self.reader.readline()).strip(), 16)
        if not size:
            while line := (await self.reader.readline()).decode().strip():
                self.trailers.append(line)
            return b""
        return (await self.reader.readexactly(size + 2))[:-2]

    async def body(self) -> bytes:
        """The whole body."""
        length = self.header("Content-Length")
        if length is not None:
            return await self.reader.readexactly(int(length))
        whole = b""
        if self.header("Transfer-Encoding") == "chunked":
            while chunk := await self.read_chunk():
                whole += chunk
        return whole

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
        await self.writer.drain()


Behaviour = Callable[[Connection], Awaitable[None]]


@dataclass
class Upstream:
    """A server whose behaviour each test sets; `calls` are what came."""

    url: str
    behave: Behaviour
    calls: list[Connection] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)


async def ok(connection: Connection) -> None:
    """Read everything, answer 200."""
    await connection.body()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok")


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """A service on a free port; one call a connection, or as many as its behaviour keeps open."""
    service = Upstream(url="", behave=ok)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    connection = Connection(reader, writer)
                    await connection.read_head()
                    service.calls.append(connection)
                    service.called.set()
                    await service.behave(connection)
        finally:
            writer.transport.abort()  # what is unsent would keep it open
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
        await asyncio.sleep(0)
