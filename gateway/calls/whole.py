"""Answers that are here already, written with one call: most are."""

from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from federation import access
from gateway import safe_headers
from gateway.context import REQUEST_ID
from gateway.upstream.http1 import Answer

BODILESS = frozenset({204, 205, 304})
"""Statuses whose answers have no content, or none that would be sent (RFC 9110 §15)."""


class WholeAnswer(web.StreamResponse):
    """An answer of the size that its body has, sent by `begin`; for the server it is over then."""

    def __init__(self, status: int) -> None:
        super().__init__(status=status)
        self._eof_sent = True

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on: it was asked for with nothing else in mind (`fits`)."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - the server's
        """Nothing: it is sent."""
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing: it is sent."""


def fits(request: web.BaseRequest, status: int) -> bool:
    """Whether an answer can be sent like this: with a body, on a connection that goes on (RFC 9112 §9.3)."""
    return (
        request.method != "HEAD"
        and status not in BODILESS
        and request.version == HttpVersion11
        and request.keep_alive
        and request.transport is not None
        and not request.transport.is_closing()
    )


def written(request: web.BaseRequest, answer: Answer, body: bytes, *, secure: bool) -> WholeAnswer:
    """Write the answer of a service. Raises `ValueError` for what would be more than one header."""
    assert request.transport is not None
    head, dated = said(answer.status, answer.reason, answer.headers, secure)
    date = "" if dated else f"Date: {_date()}\r\n"
    head = f"{head}{date}Kakehashi-Request-Id: {request[REQUEST_ID]}\r\nContent-Length: {len(body)}\r\n\r\n"
    request.transport.write(head.encode("utf-8", "surrogateescape") + body)
    return WholeAnswer(answer.status)


@lru_cache(128)
def said(status: int, reason: str, headers: tuple[tuple[str, str], ...], secure: bool) -> tuple[str, bool]:  # noqa: FBT001
    """What is said of every answer with these headers, and whether Date is among it; remembered, since most are alike.

    Raises `ValueError` for what would be more than one header.
    """
    lines = [f"HTTP/1.1 {status} {reason}\r\n"]
    given = safe_headers.stamped(access.response_headers(headers), secure=secure)
    lines += [f"{name}: {value}\r\n" for name, value in given if name.lower() != "content-length"]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a header would begin another line")
    return text, any(name.lower() == "date" for name, _ in given)


_dated = (0, "")


def _date() -> str:
    """The time as the header Date has it (RFC 9110 §5.6.7), made once a second."""
    global _dated  # noqa: PLW0603 - a second's worth of memory
    now = int(time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True))
    return _dated[1]
