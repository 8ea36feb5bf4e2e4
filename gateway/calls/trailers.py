"""Trailer fields of a service's answer, for callers that say that they read them (RFC 9110 §6.5, §10.1.4)."""

from collections.abc import Iterable, Sequence

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

from federation import access
from gateway.body_guard import CallGuard

ASKED: access.Headers = [("TE", "trailers"), ("Connection", "TE")]
"""What tells a service that its trailers are read; it concerns the one connection, so it is the gateway's own."""


def wanted(request: web.BaseRequest) -> bool:
    """Whether the caller reads trailers, and they can be sent."""
    if "TE" not in request.headers or request.method == "HEAD" or request.version != HttpVersion11:
        return False
    codings = ",".join(request.headers.getall("TE")).split(",")
    return any(coding.strip().lower() == "trailers" for coding in codings)


def asked(request: web.BaseRequest, guard: CallGuard) -> access.Headers:
    """What the service is told besides: nothing, if they could not be passed on."""
    return ASKED if wanted(request) and not guard.holds_answers else []


def end(
    writer: AbstractStreamWriter | None, trailers: Sequence[tuple[str, str]], headers: Iterable[tuple[str, str]]
) -> None:
    """End a body in chunks with what of the service's trailers may pass (RFC 9112 §7.1.2), if there is any."""
    if not trailers or not isinstance(writer, StreamWriter) or not writer.chunked or writer.transport is None:
        return
    lines = [f"{name}: {value}\r\n" for name, value in access.response_trailers(trailers, headers)]
    text = "".join(lines)
    if not lines or text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        return
    writer.send_headers()
    writer.transport.write(b"0\r\n" + text.encode("utf-8", "surrogateescape") + b"\r\n")
    writer.chunked = False  # the last chunk is sent
