"""Refusals of what programs ask, as problem documents (RFC 9457)."""

from urllib.parse import quote

from aiohttp import hdrs, web

from federation import access
from federation.oidc.presented import Scheme, scheme
from federation.refusal import Refusal
from gateway.context import REQUEST_ID

PATH = "!$%&'()*+,/:;=@~"
"""What stays as it is in a path that is told, beside letters, digits and `-._` (RFC 3986 §3.3)."""


def instance(request: web.BaseRequest) -> str:
    """The path that was asked for, as it was asked for: a URI reference (RFC 9457 §3.1.5), whatever octets came."""
    path = request.raw_path.partition("?")[0]
    return quote(path.encode("utf-8", "surrogateescape"), safe=PATH)


def problem(request: web.BaseRequest, refusal: Refusal, *, told: bool = True) -> web.Response:
    """What the caller is answered; `told`: with the path, which may hold what must not be said."""
    shown = scheme(", ".join(request.headers.getall(hdrs.AUTHORIZATION, ())))
    status, headers, text = access.problem(
        refusal,
        request_id=request[REQUEST_ID],
        instance=instance(request) if told else None,
        bound=shown is Scheme.DPOP,
    )
    return web.Response(status=status, headers=headers, body=text)
