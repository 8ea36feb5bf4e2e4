"""The connections to one address of a service: kept while they are good, at most so many, and waited for in order."""

import asyncio
import ssl
from collections import deque
from urllib.parse import urlsplit

from gateway.upstream.http1 import Answer, Connection, NothingCameError, Outgoing, UpstreamError

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Methods of which several are as good as one (RFC 9110 §9.2.2)."""

IDLE_SECONDS = 30.0
"""How long a connection is kept that nobody uses."""

FRESH_SECONDS = 1.0
"""How long it may have been idle for a request that must not be sent twice: a service may be closing an older one."""

MOST_WAITING = 1024
"""Requests that wait for a connection."""


class UnreachableError(UpstreamError):
    """No connection could be opened: the service has heard nothing of the request."""


class BusyError(UpstreamError):
    """Too many wait for a connection already."""


class Pool:
    """Connections to the origin of `url`, at most `most` at once. `context` is for https alone."""

    def __init__(self, url: str, *, most: int, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.base = parts.path.rstrip("/")
        self._name = parts.hostname or ""
        self._tls = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._most = most
        self._retired = False
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._opening = 0
        self._idle: deque[Connection] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def under_way(self) -> int:
        """Requests that have a connection or wait for one."""
        return len(self._open) + self._opening - len(self._idle) + len(self._waiting)

    def close(self) -> None:
        """End every connection."""
        for each in list(self._open):
            each.abandon()

    def retire(self) -> None:
        """End each connection as soon as nobody uses it."""
        self._retired = True
        while self._idle:
            self._idle.pop().abandon()

    async def send(self, request: Outgoing, *, connect_seconds: float) -> Answer:
        """Send `request`, and answer once the head of its answer has come.

        A connection that ended while it was idle is no fault of the service: then a request that may be sent twice is
        sent once more. Raises `UnreachableError`, `BusyError`, `UpstreamError`, `TimeoutError` if no connection opens
        in time, `ValueError` as `Outgoing.head`, and whatever the request's body raises.
        """
        again = request.method in IDEMPOTENT and (request.body is None or isinstance(request.body, bytes))
        idle = IDLE_SECONDS if again else FRESH_SECONDS
        connection = self._kept(idle) or await self._connection(idle, connect_seconds)
        kept = connection.exchanges > 0
        try:
            return await connection.exchange(request, self.host)
        except NothingCameError as why:
            if not (again and kept):
                raise
            heard = why
        try:
            connection = await self._connection(0.0, connect_seconds)
        except (BusyError, UnreachableError, TimeoutError):
            raise heard from None  # the first may have been read: nobody may take it for unheard
        return await connection.exchange(request, self.host)

    async def _connection(self, idle: float, seconds: float) -> Connection:
        """One that was idle no longer than `idle` seconds, else a new one, else the next that anybody gives back."""
        while True:
            found = self._kept(idle)
            if found is not None:
                return found
            if len(self._open) + self._opening < self._most:
                async with asyncio.timeout(seconds):
                    return await self._fresh()
            if self._idle:  # too old for this request, and in the way of a new one
                self._idle.popleft().abandon()
            else:
                await self._turn()

    def _kept(self, seconds: float) -> Connection | None:
        """The connection that was used last, if it may still be used; older ones are ended."""
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.popleft().abandon()
        while self._idle:
            found = self._idle.pop()
            if not found.reusable:
                found.abandon()
            elif now - found.idle_since > seconds:
                self._idle.append(found)
                return None
            else:
                return found
        return None

    async def _fresh(self) -> Connection:
        self._opening += 1
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._told),
                self._name,
                self._port,
                ssl=self._tls,
                server_hostname=self._name if self._tls else None,
            )
        except OSError as fault:
            raise UnreachableError(type(fault).__name__) from fault
        finally:
            self._opening -= 1
            self._next()
        if connection.broken is not None:
            raise UnreachableError("closed")
        self._open.add(connection)
        return connection

    async def _turn(self) -> None:
        if len(self._waiting) >= MOST_WAITING:
            raise BusyError("busy")
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        except BaseException:
            if waiting.done() and not waiting.cancelled():
                self._next()  # it was our turn, and we do not take it
            else:
                self._waiting.remove(waiting)
            raise

    def _told(self, connection: Connection) -> None:
        """An exchange is over, or a connection."""
        if connection.broken is not None:
            self._open.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
        elif self._retired:
            connection.abandon()
        elif connection in self._open:
            self._idle.append(connection)
        self._next()

    def _next(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
