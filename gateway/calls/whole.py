"""Answers that are here already, written with one call: most are."""

from collections.abc import Sequence
from email.utils import formatdate
from time import time
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

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


def written(
    request: web.BaseRequest, status: int, reason: str, headers: Sequence[tuple[str, str]], body: bytes
) -> WholeAnswer:
    """Write the answer. Raises `ValueError` for what would be more than one header."""
    assert request.transport is not None
    lines = [f"HTTP/1.1 {status} {reason}\r\n"]
    dated = False
    for name, value in headers:
        key = name.lower()
        if key == "content-length":
            continue
        dated = dated or key == "date"
        lines.append(f"{name}: {value}\r\n")
    if not dated:
        lines.append(f"Date: {_date()}\r\n")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    text = "".join(lines)
    ends = len(lines) + 1
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise ValueError("a header would begin another line")
    request.transport.write(text.encode("utf-8", "surrogateescape") + body)
    return WholeAnswer(status)


_dated = (0, "")


def _date() -> str:
    """The time as the header Date has it (RFC 9110 §5.6.7), made once a second."""
    global _dated  # noqa: PLW0603 - a second's worth of memory
    now = int(time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True))
    return _dated[1]
