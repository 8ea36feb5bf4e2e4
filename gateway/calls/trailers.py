"""Trailer fields (RFC 9110 §6.5): a call's, and an answer's for callers that say that they read them (§10.1.4)."""

from collections.abc import Iterable, Sequence
from functools import partial

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_writer import StreamWriter

from federation import access
from federation.callers import Caller, CallerKind
from gateway.body_guard import CallGuard
from gateway.http_server import Connection
from gateway.upstream.http1 import Outgoing

ASKED: access.Headers = [("TE", "trailers"), ("Connection", "TE")]
"""What tells a service that its trailers are read; it concerns the one connection, so it is the gateway's own."""

ANNOUNCED = "Trailer"


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


def pass_on(request: web.BaseRequest, outgoing: Outgoing, caller: Caller, guard: CallGuard) -> None:
    """Let a call's trailers go to the service: not past a guard, nor where a signature would not cover them."""
    if request.content_length is None and not guard.looks_at_calls and caller.kind is not CallerKind.SYSTEM:
        outgoing.headers += _announced(request)
        outgoing.trailers = partial(_sent, request)


def _announced(request: web.BaseRequest) -> access.Headers:
    """Which trailers the caller says that it will send, of those that may go to the service (RFC 9110 §6.6.2)."""
    names = ",".join(request.headers.getall(ANNOUNCED, ())).split(",")
    passing = access.request_trailers([(name.strip(), "") for name in names if name.strip()], request.headers.items())
    return [(ANNOUNCED, ", ".join(name for name, _ in passing))] if passing else []


def _sent(request: web.BaseRequest) -> access.Headers:
    """What of the caller's trailers goes to the service, once its body is over."""
    assert isinstance(request.protocol, Connection)
    came = request.protocol.trailers(request.content)
    fields = [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in came]
    return access.request_trailers(fields, request.headers.items()) if fields else []
