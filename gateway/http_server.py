"""HTTP/1.1 below the applications: aiohttp's server, with what it leaves open closed to callers that mean harm.

- A connection that sends no whole head within `HEAD_SECONDS`, or a head of more than `MOST_HEAD` bytes, is ended.
- What is no HTTP is answered in one sentence that repeats nothing of it, and is a line in the log, not a fault.
- A body whose framing breaks while its call is under way ends the call at once.
- A connection whose caller asks for an upgrade is ended after the answer: what came behind it is nobody's request. So
  is one whose caller sends trailers (`gateway/trailer_fields.py`).
- Frames of a WebSocket that are not masked end it (`gateway/websocket_frames.py`).
- A target in absolute form is taken for what it is in origin form (RFC 9112 §3.2.2).
- A coding other than `chunked` (RFC 9112 §6.1), a Host that is none (§3.2) and a target with a fragment (§3.2) are
  refused.
"""

import itertools
import json
import re
from asyncio import BaseTransport, TimerHandle
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import structlog
from aiohttp import EMPTY_PAYLOAD, HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from gateway.trailer_fields import Fields, Follower
from gateway.websocket_frames import Masked

log = structlog.get_logger("gateway.http")

HEAD_SECONDS = 20.0
"""How long a new connection may take for its first head; a kept one has as long as it is kept."""

MOST_HEAD = 64 * 1024
"""Bytes of a request line and its fields together."""

BAD_REQUEST, TOO_LARGE, NOT_IMPLEMENTED, SERVER_ERROR = 400, 431, 501, 500

HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""`uri-host [ ":" port ]` (RFC 9110 §7.2), without the future's forms of addresses."""

ABSOLUTE = re.compile(r"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
"""A target with the host in it, as callers write who take the gateway for a proxy (RFC 9112 §3.2.2)."""

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


def _origin_form(target: str) -> str:
    """What follows the host, as a target that has none in it (RFC 9112 §3.2.1)."""
    return target if target.startswith("/") else "/" + target


class BrokenBodyError(Exception):
    """A body that is not framed as the specification says."""


class Connection(RequestHandler):
    """One connection of a caller."""

    __slots__ = ("_body", "_broken", "_ends", "_first", "_followed", "_follower", "_host", "_partial")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._broken = False
        self._partial = b""
        self._host = ""
        self._body: StreamReader | None = None
        self._follower: Follower | None = None
        self._followed = 0
        self._ends = False
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
        settled = not (self._reading_paused or self._buffer_paused) and (self._body is None or self._body.is_eof())
        readable = self._follower is None or not data or self._follower.feed(data)
        super().data_received(data)
        if len(queue) > before:
            self._look(data, before, settled=settled)
        elif settled and not self._ends:  # this is a head, or its beginning
            self._partial += data
            if len(self._partial) > MOST_HEAD:
                self._refuse(TOO_LARGE)
        if self._follower is not None and not self._broken:
            self._follow(readable=readable)

    def _look(self, data: bytes, before: int, *, settled: bool) -> None:
        """Look at the heads that have just come; `settled`: nothing was under way before them."""
        queue = self._messages
        came, self._partial = self._partial + data, b""
        large = len(came) > MOST_HEAD
        for i in range(before, len(queue)):
            message, payload = queue[i]
            if isinstance(message, _ErrInfo):
                self._end_body()
                self._broken = True
                return
            status = self._fault(message, large=large)
            over = self._ends or (self._follower is not None and self._follower.over(self._followed))
            if over or status is not None:
                while len(queue) > i:
                    queue.pop()
                if status is not None and not over:
                    self._refuse(status)
                return
            absolute = ABSOLUTE.fullmatch(message.path)
            if absolute is not None:
                message = message._replace(path=_origin_form(absolute[2]))
                queue[i] = (message, payload)
            if message.chunked and self._follower is None:
                fresh = [each for each, _ in itertools.islice(queue, before, None)]
                requests = [each for each in fresh if not isinstance(each, _ErrInfo)]
                self._follower = Follower.of(came, requests) if settled else None
                self._followed = i - before
            last = message.upgrade or (message.chunked and self._follower is None)
            if self._follower is not None:
                last = last or self._followed == self._follower.last
                self._followed += 1
            if last:
                queue[i] = (message._replace(should_close=True), payload)
                self._ends = True
            self._body = payload

    def _follow(self, *, readable: bool) -> None:
        """End the connection after the request that has trailers, though its call may be under way."""
        assert self._follower is not None
        if not readable:
            self._end_body()
            self._refuse(BAD_REQUEST)
            return
        if self._follower.last is None or self._follower.last != self._followed - 1:
            return
        self._ends = True
        if self._messages:
            message, payload = self._messages[-1]
            if payload is self._body and not isinstance(message, _ErrInfo):
                self._messages[-1] = (message._replace(should_close=True), payload)
            return
        request = self._current_request
        if request is not None and request.content is self._body:  # an answer that has not begun says so
            request._message = request._message._replace(should_close=True)  # noqa: SLF001 - its own server's
        if self._body is not None and self._body.is_eof():
            self.close()

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        """A WebSocket begins; what comes is read only if it is masked."""
        super().set_parser(cast("WebSocketReader", Masked(parser)), data_received_cb)

    def trailers(self, body: StreamReader) -> Fields:
        """The trailers of the request with this body, which is over."""
        follower = self._follower
        ours = follower is not None and follower.last == self._followed - 1 and body is self._body
        return follower.trailers if follower is not None and ours else []

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
        absolute = ABSOLUTE.fullmatch(message.path)
        if absolute is not None and not HOST.fullmatch(absolute[1]):
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
