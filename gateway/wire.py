"""Commands to the store's server, straight to kept connections.

The client library opens and mends the connections and reads the replies. What it wraps around each command of its own
(a pool with a lock, pipeline objects, retries as closures, a timer for every reply) costs several times the command;
a login is little more than a handful of them. Here several go in one packet, and whoever calls bounds the time.
"""

import asyncio
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = tuple[bytes | str | int, ...]

PAUSES = (0.02, 0.1)
"""Seconds before the second and the third try on a new connection."""


MOST_CONNECTIONS = 32
"""At once; whoever comes then waits for one. A server answers thousands of commands a second over each."""


class Wire:
    """The connections of one client. Commands of one `send` are carried out in order, with those of others between."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._free: list[Any] = []
        self._turns = asyncio.Semaphore(MOST_CONNECTIONS)

    async def close(self) -> None:
        """Give the connections back."""
        await self._drop()
        await self._client.aclose()

    async def send(self, *commands: Command) -> list[Any]:
        """Send the commands in one packet; their replies. Raises the first error reply, once all were read.

        Raises `redis.exceptions.ConnectionError` or an `OSError` if the server cannot be reached in three tries. A
        command may have been carried out although its reply was lost, so each must do no harm if it is sent again.
        """
        replies = await self.replies(*commands)
        fault = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        if fault is not None:
            raise fault
        return replies

    async def replies(self, *commands: Command) -> list[Any]:
        """Do the same with error replies in their places."""
        if not commands:
            return []
        packet: bytes = b"".join(pack_command(command) for command in commands)  # type: ignore[arg-type]  # any length
        for pause in PAUSES:
            try:
                return await self._once(packet, len(commands))
            except (RedisConnectionError, RedisTimeoutError, OSError):
                await self._drop()  # the others are of the same server
                await asyncio.sleep(pause)
        return await self._once(packet, len(commands))

    async def _once(self, packet: bytes, count: int) -> list[Any]:
        """One try. A connection whose replies were not all read is not used again; the library has closed it."""
        pool: Any = self._client.connection_pool
        async with self._turns:
            connection = self._free.pop() if self._free else pool.make_connection()
            await connection.send_packed_command(packet)
            replies = [await _reply(connection) for _ in range(count)]
            self._free.append(connection)
            return replies

    async def _drop(self) -> None:
        free, self._free = self._free, []
        for connection in free:
            await connection.disconnect(nowait=True)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as fault:
        return fault
