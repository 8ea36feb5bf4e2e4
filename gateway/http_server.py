"""HTTP/1.1 below the applications: aiohttp's server, with what it leaves open closed to callers that mean harm.

- A connection that sends no whole head within `HEAD_SECONDS`, or a head of more than `MOST_HEAD` bytes, is ended.
- What is no HTTP is answered in one sentence that repeats nothing of it, and is a line in the log, not a fault.
- A body whose framing breaks while its call is under way ends the call at once.
- A connection whose caller asks for an upgrade is ended after the answer: what came behind it is nobody's request.
- A coding other than `chunked` (RFC 9112 §6.1), a Host that is none (§3.2) and a target with a fragment (§3.2) are
  refused.
"""

import json
import re
from asyncio import BaseTransport, TimerHandle
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import structlog
from aiohttp import EMPTY_PAYLOAD, HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler, _ErrInfo

log = structlog.get_logger("gateway.http")

HEAD_SECONDS = 20.0
"""How long a new connection may take for its first head; a kept one has as long as it is kept."""

MOST_HEAD = 64 * 1024
"""Bytes of a request line and its fields together."""

BAD_REQUEST, TOO_LARGE, NOT_IMPLEMENTED, SERVER_ERROR = 400, 431, 501, 500

HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""`uri-host [ ":" port ]` (RFC 9110 §7.2), without the future's forms of addresses."""

HEADERS = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "kakehashi",
    "X-Content-Type-Options": "nosniff",
}

TITLES = {
    BAD_REQUEST: "This is not an HTTP request that can be read in one way only.",
    TOO_LARGE: "The request line and the header fields are too large.",
    NOT_IMPLEMENTED: "Of transfer codings, only chunked is known here.",
}


class BrokenBodyError(Exception):
    """A body that is not framed as the specification says."""


class Connection(RequestHandler):
    """One connection of a caller."""

    __slots__ = ("_body", "_broken", "_first", "_host", "_partial")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._broken = False
        self._partial = 0
        self._host = ""
        self._body: StreamReader | None = None
        self._first: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait for the first head, and no longer than that."""
        super().connection_made(transport)
        self._first = self._loop.call_later(HEAD_SECONDS, self._silent)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no more."""
        if self._first is not None:
            self._first.cancel()
        super().connection_lost(exc)

    def _silent(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """Parse, and look at what was found before anybody acts on it."""
        if self._broken:
            return
        queue = self._messages
        before = len(queue)
        super().data_received(data)
        if len(queue) == before:
            waiting = self._waiter
            if waiting is not None and not waiting.done():  # no call is there: this is a head, or its beginning
                self._partial += len(data)
                if self._partial > MOST_HEAD:
                    self._refuse(TOO_LARGE)
            return
        large = self._partial + len(data) > MOST_HEAD
        self._partial = 0
        for i in range(before, len(queue)):
            message, payload = queue[i]
            if isinstance(message, _ErrInfo):
                self._end_body()
                self._broken = True
                return
            status = self._fault(message, large=large)
            if status is not None:
                while len(queue) > i:
                    queue.pop()
                self._refuse(status)
                return
            if message.upgrade:
                queue[i] = (message._replace(should_close=True), payload)
            self._body = payload

    def _fault(self, message: RawRequestMessage, *, large: bool) -> int | None:  # noqa: PLR0911 - one for each fault
        """The status that a head is refused with."""
        headers = message.headers
        if message.version is not HttpVersion11 and message.version != HttpVersion10:
            return BAD_REQUEST  # the parser lets others pass where the line comes in pieces
        host = headers.get("Host", "")
        if host != self._host:
            if not HOST.fullmatch(host):
                return BAD_REQUEST
            self._host = host
        if "#" in message.path:
            return BAD_REQUEST
        coding = headers.get("Transfer-Encoding")
        if coding is not None:
            if not message.chunked or message.version is not HttpVersion11:
                return BAD_REQUEST
            if coding.strip().lower() != "chunked":
                return NOT_IMPLEMENTED
        if large and sum(len(name) + len(value) for name, value in message.raw_headers) > MOST_HEAD:
            return TOO_LARGE
        return None

    def _refuse(self, status: int) -> None:
        """Answer nothing on this connection any more but `status`, when what is under way is over."""
        self._broken = True
        self._messages.append((_ErrInfo(status=status, exc=BrokenBodyError(), message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end_body(self) -> None:
        """Whoever reads the body that came before the fault need not wait for its end.

        Told twice: a reader that the end of a chunk has just woken finds nothing, and waits again without a look.
        """
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(BrokenBodyError())
            self._loop.call_soon(self._body.set_exception, BrokenBodyError())

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """One sentence; faults of our own are aiohttp's to tell."""
        if status not in TITLES or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.info("refused", reason="not-http", status=status)
        body = {"type": "about:blank", "title": TITLES[status], "status": status}
        answer = web.Response(status=status, headers=HEADERS, body=json.dumps(body).encode())
        answer.force_close()
        return answer


class Server(web.Server):
    """Makes a `Connection` of each."""

    def __call__(self) -> Connection:
        """The next."""
        return Connection(self, loop=self._loop, **self._kwargs)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door(Protocol):
    """Makes what the server asks first of what it would ask otherwise."""

    def __call__(self, app: web.Application, otherwise: Handler) -> Handler:
        """For this application, which has started."""


DOOR = web.AppKey("door", Door)
"""An application that has one is entered by it."""


class Runner(web.AppRunner):
    """Runs an application on this server."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler = cast("Handler", made.request_handler)
        if DOOR in self.app:
            handler = self.app[DOOR](self.app, handler)
        given = cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler)
        return Server(given, request_factory=made.request_factory, loop=made._loop, **made._kwargs)  # noqa: SLF001 - its own subclass
