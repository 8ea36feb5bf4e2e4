"""One connection to a service: HTTP/1.1 (RFC 9112), read by llhttp at its strictest, one exchange at a time.

What a service sends is believed only where it can be read in one way. An answer whose length is said twice, whose
framing is odd, or after which more comes than was asked for, breaks the connection: nothing of it can become part of
somebody else's answer (RFC 9112 §11.1). A connection is used again only after an exchange that ended well on both
sides.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import cast

import httptools

MOST_HEAD = 64 * 1024
"""Bytes of an answer's head, all of its interim answers together; after it, of anything that is no body, on end."""

MOST_REASON = 1024
"""Bytes of a reason phrase."""

MOST_HEADERS = 256
"""Headers of an answer, trailers included."""

MOST_INTERIM = 8
"""Interim answers (1xx) before the one that counts."""

HIGH, LOW = 128 * 1024, 32 * 1024
"""Bytes of an answer that wait here before the service is held back, and before it may go on."""

INTERIM, SWITCHING, OK = 100, 101, 200
NO_CONTENT, NOT_MODIFIED = 204, 304

SPACES = 3
"""Spaces of a request line and its Host header."""

_LENGTH = re.compile(rb"[0-9]{1,18}")

Headers = list[tuple[str, str]]
Octets = tuple[tuple[bytes, bytes], ...]


class UpstreamError(Exception):
    """The service did not answer as HTTP asks; `code` says what was wrong, and is no secret."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NothingCameError(UpstreamError):
    """The connection ended before one byte of an answer; whether the request was read nobody knows."""


class BodyError(UpstreamError):
    """The request's own body was not as long as it was said to be; no fault of the service."""


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A request. `target` is in origin form (RFC 9112 §3.2.1), encoded; `headers` are without Host and framing.

    `body`: None for none, bytes if all of it is here, else pieces as they come, `length` long if that is known. Where
    it is not, the body is sent in chunks, and after it what `trailers` says then.
    """

    method: str
    target: str
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None = None
    length: int | None = None
    trailers: Callable[[], Headers] | None = None

    def end(self) -> bytes:
        """What ends a body in chunks (RFC 9112 §7.1). Raises `ValueError` for what would be more than one trailer."""
        fields = [] if self.trailers is None else self.trailers()
        text = "".join([f"{name}: {value}\r\n" for name, value in fields])
        if text.count("\n") != len(fields) or text.count("\r") != len(fields) or "\0" in text:
            raise ValueError("a trailer would begin another line")
        return b"0\r\n" + text.encode("utf-8", "surrogateescape") + b"\r\n"

    def head(self, host: str) -> bytes:
        """The request line and the headers. Raises `ValueError` for what would be more than one header."""
        lines = [f"{self.method} {self.target} HTTP/1.1\r\nHost: {host}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        if self.body is not None:
            length = len(self.body) if isinstance(self.body, bytes) else self.length
            lines.append("Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n")
        text = "".join(lines)
        ends = len(self.headers) + 2 + (self.body is not None)
        if (
            text.count("\n") != ends
            or text.count("\r") != ends
            or "\0" in text
            or text.count(" ", 0, len(lines[0])) != SPACES
        ):
            raise ValueError("a header or the target would begin another line")
        return (text + "\r\n").encode("utf-8", "surrogateescape")


class Answer:
    """An answer whose head has come. Its body is `whole` if it came along, else read on with `chunks`.

    `trailers` are what came after a body in chunks (RFC 9112 §7.1.2), complete when the body is. Whoever has one reads
    it to its end, or calls `abandon`; from then on its connection is somebody else's.
    """

    __slots__ = ("_connection", "_over", "headers", "reason", "status", "trailers", "whole")

    def __init__(
        self, connection: "Connection", status: int, reason: str, headers: tuple[tuple[str, str], ...]
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.whole: bytes | None = None
        self.trailers = connection.trailers
        self._connection = connection
        self._over = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `UpstreamError` if it breaks off."""
        if self.whole is not None:
            if self.whole:
                yield self.whole
            return
        while not self._over:
            chunk = await self._connection.chunk()
            if chunk:
                yield chunk
            else:
                self._over = True

    def abandon(self) -> None:
        """Nobody reads on."""
        if not self._over and self.whole is None:
            self._over = True
            self._connection.abandon()


class Connection(asyncio.Protocol):
    """One connection. `told` hears each time that an exchange is over, and once that the connection is.

    `exchanges` counts those that were begun, `idle_since` is the loop's time at which the last one ended.
    """

    def __init__(self, told: Callable[["Connection"], None]) -> None:
        self.trailers: Headers = []
        self.broken: Exception | None = None
        self.idle_since = 0.0
        self.exchanges = 0
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._chunks: deque[bytes] = deque()
        self._busy = False
        self._begin("GET")

    def _begin(self, method: str) -> None:
        """Forget the exchange before."""
        self.trailers = []
        self._method = method
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: Octets = ()
        self._reason = b""
        self._status = 0
        self._interim = 0
        self._bare = 0
        self._head_done = False
        self._complete = False
        self._until_end = False
        self._states_body = False
        self._keeps = False
        self._held = 0
        self._held_back = False
        self._came = False

    # --- the exchange

    async def exchange(self, request: Outgoing, host: str) -> Answer:
        """Send `request`, and wait for the head of its answer.

        Raises `UpstreamError`, `ValueError` for a request that cannot be written, and whatever its body raises.
        """
        assert self._transport is not None
        assert not self._busy
        self._busy = True
        self.exchanges += 1
        self._begin(request.method)
        try:
            head = request.head(host)
            if isinstance(request.body, bytes):
                self._transport.write(head + request.body)
            else:
                self._transport.write(head)
                if request.body is not None:
                    self._upload = self._loop.create_task(self._send(request.body, request.length, request.end))
            while not self._head_done:
                await self._wait()
        except BaseException:
            self.abandon()
            raise
        answer = Answer(self, self._status, _text(self._reason), _texts(self._head))
        if self._complete:
            answer.whole = b"".join(self._chunks)
            self._chunks.clear()
            self._finish()
        return answer

    async def chunk(self) -> bytes:
        """The next piece of the answer's body; empty at its end. Raises `UpstreamError`."""
        while not self._chunks:
            if self._complete:
                self._finish()
                return b""
            try:
                await self._wait()
            except BaseException:
                self.abandon()
                raise
        piece = self._chunks.popleft()
        self._held -= len(piece)
        if self._held < LOW:
            self._let_go_on()
        return piece

    def abandon(self) -> None:
        """End the connection where it stands."""
        self._keeps = False
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
        if self._transport is not None:
            self._transport.abort()
        self._break(UpstreamError("abandoned"))

    @property
    def reusable(self) -> bool:
        """Whether another exchange may begin."""
        return (
            not self._busy and self.broken is None and self._transport is not None and not self._transport.is_closing()
        )

    def _finish(self) -> None:
        """The answer is complete and read: keep the connection if it is fit for another one."""
        if not self._busy:
            return
        self._busy = False
        if self._upload is not None and self._upload.done() and not self._upload.cancelled():
            self._upload = None
        if self._upload is not None or not self._keeps or self.broken is not None:
            self.abandon()  # a service that answered before it heard the end reads no further
            return
        self._let_go_on()
        self.idle_since = self._loop.time()
        self._told(self)

    def _let_go_on(self) -> None:
        """Read again what the service sends, if that was held back."""
        if self._held_back:
            self._held_back = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    async def _wait(self) -> None:
        if self.broken is not None:
            raise self.broken
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _break(self, why: Exception) -> None:
        """Nothing comes any more."""
        self._busy = False
        if self.broken is None:
            self.broken = why
            self._told(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(why)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(self.broken)
            self._drained.exception()  # whoever waits hears of it; if nobody does, nobody need

    # --- the request's body

    async def _send(self, body: AsyncIterator[bytes], length: int | None, end: Callable[[], bytes]) -> None:
        """Write the body as it comes; what goes wrong with it is raised where the answer is waited for."""
        try:
            await (self._send_chunks(body, end) if length is None else self._send_exactly(body, length))
        except Exception as fault:  # noqa: BLE001 - it is raised where the answer is waited for
            self._keeps = False
            self._break(fault)
            if self._transport is not None:
                self._transport.abort()

    async def _send_chunks(self, body: AsyncIterator[bytes], end: Callable[[], bytes]) -> None:
        async for piece in body:
            if piece:
                await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await self._write(end())

    async def _send_exactly(self, body: AsyncIterator[bytes], length: int) -> None:
        left = length
        async for piece in body:
            left -= len(piece)
            if left < 0:
                break
            await self._write(piece)
        if left:
            raise BodyError("body-of-another-length")

    async def _write(self, data: bytes) -> None:
        if self._drained is not None:
            await self._drained
        if self.broken is not None or self._transport is None:
            raise self.broken or UpstreamError("closed")
        self._transport.write(data)

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: the end of an answer that goes until then, or of everything."""
        self._transport = None
        if exc is None and self._head_done and self._until_end and not self._complete:
            self._complete = True
            self._keeps = False
            self._wake()
        elif self._complete and self._busy:
            self._keeps = False
            self._wake()
        else:
            self._break((UpstreamError if self._came or not self._busy else NothingCameError)("closed"))

    def eof_received(self) -> bool:
        """The service sends no more; what it is sent after that would be lost."""
        return False

    def pause_writing(self) -> None:
        """Hold back the request's body."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let it go on."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if not self._busy or self._complete:  # nobody asked for this
            self._spoil("unasked")
            return
        self._came = True
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UpstreamError) as fault:
            self._stopped(fault)
        if self.broken is None and self._bare > MOST_HEAD and not self._complete:
            self._spoil("body-stalled" if self._head_done else "head-too-large")
        elif self._head_done:
            self._wake()

    def _stopped(self, fault: BaseException) -> None:
        """The parser reads no further: the answer is broken, or what came after its end is not read."""
        self._keeps = False
        if not self._complete:
            cause = fault if isinstance(fault, UpstreamError) else fault.__context__
            self._spoil(cause.code if isinstance(cause, UpstreamError) else "malformed")

    def _spoil(self, code: str) -> None:
        self._keeps = False
        self._break(UpstreamError(code))
        if self._transport is not None:
            self._transport.abort()

    # --- llhttp's side

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._complete:
            self._keeps = False
            raise UpstreamError("unasked")

    def on_status(self, reason: bytes) -> None:
        """The reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self._head_done:
            if len(self.trailers) >= MOST_HEADERS:
                raise UpstreamError("too-many-headers")
            self.trailers.append((_text(name), _text(value)))
            return
        self._headers.append((name, value))
        if len(self._headers) > MOST_HEADERS:
            raise UpstreamError("too-many-headers")

    def on_headers_complete(self) -> None:
        """The head is here: find the length of the body (RFC 9112 §6.3)."""
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.0", "1.1") or not _text(self._reason).isprintable():
            raise UpstreamError("malformed")
        if len(self._reason) > MOST_REASON or self._bare > MOST_HEAD < sum(len(n) + len(v) for n, v in self._headers):
            raise UpstreamError("head-too-large")
        if status < OK:
            if status == SWITCHING or status < INTERIM:
                raise UpstreamError("switched")
            return
        self._status = status
        self._frame(status)
        self._keeps = self._parser.should_keep_alive() and not self._until_end and not self._may_follow(status)
        self._head_done = True
        if self._method == "HEAD":
            self._complete = True

    def _may_follow(self, status: int) -> bool:
        """Whether a body may come that there must not be: a service that sends it would answer somebody else with it.

        Answers to HEAD and 304 state the length of a body that they do not have (RFC 9110 §8.6), 204 must not.
        """
        return self._method == "HEAD" or status == NOT_MODIFIED or (status == NO_CONTENT and self._states_body)

    def _frame(self, status: int) -> None:
        self._head = tuple(self._headers)
        framing = _framing(self._head)
        if framing is Framing.CHUNKS and self._parser.get_http_version() != "1.1":
            raise UpstreamError("coding-unknown")
        self._states_body = framing in (Framing.LENGTH, Framing.CHUNKS)
        has_body = self._method != "HEAD" and status not in (NO_CONTENT, NOT_MODIFIED)
        self._until_end = has_body and framing is Framing.END

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._complete:  # an answer to HEAD has none
            raise UpstreamError("unasked")
        self._bare = 0
        self._chunks.append(body)
        self._held += len(body)
        if self._held > HIGH and not self._held_back and self._transport is not None:
            self._held_back = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The end of an answer; of an interim one the next begins."""
        if not self._head_done:
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise UpstreamError("too-many-interim")
            self._headers.clear()
            self._reason = b""
            return
        self._complete = True


# What follows from a head is remembered: a service says nearly the same each time. Heads are few, and not long.


class Framing(Enum):
    """By what the end of an answer's body is known (RFC 9112 §6.3)."""

    LENGTH = auto()
    CHUNKS = auto()
    END = auto()
    EMPTY = auto()


@lru_cache(128)
def _framing(headers: Octets) -> Framing:
    """The framing that headers say. Raises `UpstreamError` where it could be read in two ways."""
    lengths, codings = [], []
    for name, value in headers:
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value.strip().lower())
    if len(lengths) + len(codings) > 1 or any(not _LENGTH.fullmatch(each) for each in lengths):
        raise UpstreamError("length-unclear")
    if codings and codings != [b"chunked"]:
        raise UpstreamError("coding-unknown")
    if lengths == [b"0"]:
        return Framing.EMPTY
    return Framing.CHUNKS if codings else Framing.LENGTH if lengths else Framing.END


@lru_cache(128)
def _texts(headers: Octets) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in headers)


def _text(octets: bytes) -> str:
    """A header's octets as text: UTF-8, else ISO 8859-1, which takes any (RFC 9110 §5.5)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
