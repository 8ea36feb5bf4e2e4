"""Commands to the store's server, all over one kept connection.

The client library opens connections (addresses, TLS, authentication) and says what an error reply is. What it wraps
around each command of its own (a pool with a lock, pipeline objects, retries as closures, a timer and a coroutine for
every reply) costs several times the command; a login is little more than a handful of them. Here whatever is asked at
one time goes in one packet, the replies come in the same order (`_Line`), and whoever calls bounds the time.

Commands that hold up those behind them (`WAITAOF`) go over connections of their own (`waits`).
"""

import asyncio
from collections import deque
from typing import Any, NamedTuple

import hiredis
from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = tuple[bytes | str | int, ...]

PAUSES = (0.02, 0.1)
"""Seconds before the second and the third try on a new connection."""

SILENT_SECONDS = 4.0
"""How long a server that was asked may say nothing, before its connection counts as dead: as long as anybody waits.

Not shorter: a disk that is slow for once must not have everything asked twice.
"""

OPEN_SECONDS = 2.0
"""How long a new connection may take, with what the library says on it first: another one may be tried in time."""

MOST_CONNECTIONS = 32
"""At once, of those of their own; whoever comes then waits for one."""


class Wire:
    """The connections of one client. Commands of one `send` are carried out in order, with those of others between."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._closed = False
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line] | None = None
        self._free: list[Any] = []
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def close(self) -> None:
        """Give the connections back; whoever waits, or comes later, hears that they are gone."""
        self._closed = True
        self._hang_up()
        await self._drop()
        await self._client.aclose()

    async def send(self, *commands: Command, waits: bool = False) -> list[Any]:
        """Send the commands in one packet; their replies. Raises the first error reply, once all were read.

        Raises `redis.exceptions.ConnectionError` or an `OSError` if the server cannot be reached in three tries. A
        command may have been carried out although its reply was lost, so each must do no harm if it is sent again.
        """
        replies = await self.replies(*commands, waits=waits)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    async def replies(self, *commands: Command, waits: bool = False) -> list[Any]:
        """Do the same with error replies in their places."""
        if not commands:
            return []
        packet: bytes = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]  # any length
        once = self._once_alone if waits else self._once
        for pause in PAUSES:
            try:
                return await once(packet, len(commands))
            except (RedisConnectionError, RedisTimeoutError, OSError):
                if self._closed:
                    raise
                await asyncio.sleep(pause)
        return await once(packet, len(commands))

    # --- with everybody else's

    async def _once(self, packet: bytes, count: int) -> list[Any]:
        """One try."""
        line = self._line
        if line is None or line.broken:
            line = await self._opened()
        return await line.ask(packet, count)

    async def _opened(self) -> "_Line":
        """A new connection, which everybody who comes meanwhile waits for."""
        if self._closed:
            raise RedisConnectionError("closed")
        if self._opening is None:
            self._opening = asyncio.create_task(_line(self._client))
            self._opening.add_done_callback(self._open)
        opening = self._opening
        await asyncio.wait((opening,))  # what ends it ends nobody who waits for it
        if opening.cancelled():
            raise RedisConnectionError("closed")
        return opening.result()

    def _open(self, opening: "asyncio.Task[_Line]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._line = opening.result()
            if self._closed:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._line is not None:
            self._line.end(RedisConnectionError("closed"))
            self._line = None

    # --- over connections of their own

    async def _once_alone(self, packet: bytes, count: int) -> list[Any]:
        """One try. A connection whose replies were not all read is not used again; the library has closed it."""
        if self._closed:
            raise RedisConnectionError("closed")
        pool: Any = self._client.connection_pool
        async with self._turns:
            connection = self._free.pop() if self._free else pool.make_connection()
            try:
                await connection.send_packed_command(packet)
                replies = [await _reply(connection) for _ in range(count)]
            except (RedisConnectionError, RedisTimeoutError, OSError):
                await self._drop()  # the others are of the same server
                raise
            await self._kept(connection)
            return replies

    async def _kept(self, connection: Any) -> None:
        self._free.append(connection)
        if self._closed:
            await self._drop()

    async def _drop(self) -> None:
        free, self._free = self._free, []
        for connection in free:
            await connection.disconnect(nowait=True)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as fault:
        return fault


class _Asked(NamedTuple):
    """Who waits for the next `many` replies, and since when (the loop's time)."""

    replies: "asyncio.Future[list[Any]]"
    many: int
    at: float


class _Line(asyncio.Protocol):
    """One connection, on which replies come in the order of the questions. Somebody who gave up still has their turn.

    `broken`: it is over, and everybody who waited was told so. `writer` is the library's, which closes the transport
    when it is let go.
    """

    def __init__(self, writer: asyncio.StreamWriter, reader: "hiredis.Reader") -> None:
        self.broken = False
        self._writer = writer
        self._transport = writer.transport
        self._reader = reader
        self._asked: deque[_Asked] = deque()
        self._said: list[Any] = []
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None

    async def ask(self, packet: bytes, count: int) -> list[Any]:
        """Send a packet; its replies. Raises `redis.exceptions.ConnectionError` if the line breaks before they came."""
        if self.broken:
            raise RedisConnectionError("the connection is over")
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._asked.append(_Asked(future, count, self._loop.time()))
        self._transport.write(packet)  # what is written in one turn of the loop leaves at once
        if self._look is None:
            self._look = self._loop.call_later(SILENT_SECONDS, self._listen)
        return await future

    def data_received(self, data: bytes) -> None:
        """Replies, or parts of them."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if isinstance(reply, RedisConnectionError):  # say, the server is still loading
                    raise reply
                if not isinstance(reply, hiredis.PushNotification):
                    self._take(reply)
        except (InvalidResponse, RedisConnectionError) as fault:
            self.end(fault if isinstance(fault, RedisConnectionError) else RedisConnectionError("unreadable"))

    def _take(self, reply: Any) -> None:
        if not self._asked:
            raise RedisConnectionError("a reply to nothing")
        said, asked = self._said, self._asked[0]
        said.append(reply)
        if len(said) == asked.many:
            self._asked.popleft()
            self._said = []
            if not asked.replies.done():
                asked.replies.set_result(said)

    def _listen(self) -> None:
        """Break off if whoever asked first has waited too long."""
        self._look = None
        if self.broken or not self._asked:
            return
        left = self._asked[0].at + SILENT_SECONDS - self._loop.time()
        if left <= 0:
            self.end(RedisConnectionError("no reply in time"))
        else:
            self._look = self._loop.call_later(left, self._listen)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        """The server, or the way to it, is gone."""
        self.end(RedisConnectionError("the connection was closed"))

    def end(self, fault: RedisConnectionError) -> None:
        """Close it, and let everybody who waits know."""
        if self.broken:
            return
        self.broken = True
        if self._look is not None:
            self._look.cancel()
        self._transport.abort()
        asked, self._asked = self._asked, deque()
        for each in asked:
            if not each.replies.done():
                each.replies.set_exception(RedisConnectionError(*fault.args))


async def _line(client: Redis) -> _Line:
    """A new connection, which the library opens; then its transport is ours.

    Raises `TimeoutError` if the server accepts it and then does not answer: everybody waits for this one.
    """
    pool: Any = client.connection_pool
    connection = pool.make_connection()
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    writer: asyncio.StreamWriter = connection._writer  # noqa: SLF001 - no accessor
    connection._reader = connection._writer = None  # noqa: SLF001 - it would close it
    reader = hiredis.Reader(protocolError=InvalidResponse, replyError=connection._parser.parse_error)  # noqa: SLF001
    line = _Line(writer, reader)
    writer.transport.set_protocol(line)
    return line
