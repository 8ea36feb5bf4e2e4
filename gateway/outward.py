"""The one way out to ID systems: drives an `Exchange` with bounds on time, size and redirects.

Proxied calls have a way of their own (`gateway/proxy.py`), because they stream.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import aiohttp

from federation.web import Exchange, HttpRequest, HttpResponse, RoadError

T = TypeVar("T")


class Outward:
    """An HTTP client for protocol exchanges.

    Protocol rules with signatures cost milliseconds, so every step of an exchange runs on a worker thread and
    the event loop only waits for it.
    """

    def __init__(self, *, seconds: float, size: int, threads: int = 2) -> None:
        """`seconds` bounds one request, `size` (bytes) one response body."""
        self._seconds = seconds
        self._size = size
        self._session: aiohttp.ClientSession | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kakehashi-protocol")

    async def close(self) -> None:
        """Close the connections and the threads."""
        if self._session is not None:
            await self._session.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Run a pure protocol step on a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def drive(self, exchange: Exchange[T]) -> T:
        """Run an exchange to its end and answer what it returns; what it raises goes through."""
        step: Callable[[], HttpRequest] = lambda: next(exchange)  # noqa: E731 - rebound at each turn
        while True:
            request_or_end = await self.run(_caught(step))
            if isinstance(request_or_end, _End):
                value: T = request_or_end.value
                return value
            try:
                response = await self.fetch(request_or_end)
            except RoadError as fault:
                step = _thrower(exchange, fault)
            else:
                step = _sender(exchange, response)

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """One request, redirects not followed. Raises `RoadError`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds, connect=min(5.0, self._seconds)),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "kakehashi", "Accept-Encoding": "identity"},
                trust_env=False,
                max_line_size=8190,
                max_field_size=16380,
            )
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(self._size + 1)
                while len(body) <= self._size and not response.content.at_eof():
                    body += await response.content.read(self._size + 1 - len(body))
                if len(body) > self._size:
                    raise RoadError(f"more than {self._size} bytes")
                return HttpResponse(
                    status=response.status,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=body,
                )
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise RoadError(type(fault).__name__) from fault


class _End:
    """The value that an exchange returned (`StopIteration` cannot cross a future)."""

    def __init__(self, value: object) -> None:
        self.value: Any = value


def _caught(step: Callable[[], HttpRequest]) -> Callable[[], "HttpRequest | _End"]:
    def run() -> HttpRequest | _End:
        try:
            return step()
        except StopIteration as end:
            return _End(end.value)

    return run


def _sender(exchange: Exchange[T], response: HttpResponse) -> Callable[[], HttpRequest]:
    return lambda: exchange.send(response)


def _thrower(exchange: Exchange[T], fault: RoadError) -> Callable[[], HttpRequest]:
    return lambda: exchange.throw(fault)
