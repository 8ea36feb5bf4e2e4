"""What every handler of the public listener works with, and the translation of aiohttp for `federation/`."""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from federation.oidc.dpop import Replays
from federation.refusal import BadRequest, EvidenceNotKept
from federation.web import Document, WebRequest
from gateway.asking import Statuses
from gateway.calls.quotas import CallQuotas
from gateway.certificate_watch import CertificateWatch
from gateway.clock import Clock
from gateway.council.running import Council
from gateway.ending import Ending
from gateway.evidence import Evidence
from gateway.holder import RegionHolder
from gateway.keys import GatewayKeys
from gateway.messages import Messages
from gateway.outward import Outward
from gateway.region import Region
from gateway.revocations import Revocations
from gateway.store import Store
from gateway.upstream.pools import Pools
from observability.events import Recorder
from observability.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Everything that lives as long as the process does; the region itself is swapped behind `holder`."""

    holder: RegionHolder
    store: Store
    outward: Outward
    recorder: Recorder
    metrics: Metrics
    messages: Messages
    keys: GatewayKeys
    clock: Clock
    ending: Ending
    revocations: Revocations
    statuses: Statuses
    certificates: CertificateWatch
    quotas: CallQuotas
    council: Council
    pools: Pools
    evidence: Evidence
    replays: Replays = field(default_factory=Replays)
    websockets: Counter[str] = field(default_factory=Counter)
    """How many are open, or being opened, by caller, on all listeners of this process."""

    @property
    def region(self) -> Region:
        """The region in force. A handler asks once and keeps to its answer."""
        return self.holder.current

    def check_evidence(self) -> None:
        """Let nothing begin without evidence, where the operator wants that. Raises `EvidenceNotKept`."""
        if self.evidence.failing and self.region.configuration.gateway.without_evidence == "refuse":
            raise EvidenceNotKept


GATEWAY = web.AppKey("gateway", Gateway)
REQUEST_ID = web.RequestKey("request_id", str)

MOST_FIELDS = 1000
"""Fields of one form; ours have a handful, and protocols a dozen."""

HANDLE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_handle() -> str:
    """256 unguessable bits, fit for a URL."""
    return secrets.token_urlsafe(32)


def header_map(request: web.BaseRequest) -> Mapping[str, str]:
    """Header names in lower case; of a header sent twice the values are joined as RFC 9110 §5.3 says."""
    joined: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def root(request: web.BaseRequest, region: Region) -> str:
    """The root that the client asked: the public one, or that of clients with certificates if they say so."""
    listener = region.configuration.client_certificates
    if listener is not None and request.host.lower() == urlsplit(listener.url).netloc.lower():
        return listener.url
    return region.public_url


def peer_address(request: web.BaseRequest) -> str | None:
    """The address at the other end of the connection; None for a unix socket."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return peer[0] if isinstance(peer, tuple) else None


async def form_of(request: web.Request) -> list[tuple[str, str]]:
    """The fields of a small form, in UTF-8 as the media type has it (WHATWG URL §5). Raises `BadRequest`.

    It has no parameter: a charset that the sender names, as Apache's HttpClient does, is not looked at. Some decoders
    take the square of the length.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadRequest("the body is not application/x-www-form-urlencoded")
    body = await request.read()
    try:
        return parse_qsl(body.rstrip().decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as fault:
        raise BadRequest("the form cannot be decoded") from fault


async def as_data(request: web.Request, *, with_form: bool = True, certificate: bytes | None = None) -> WebRequest:
    """The request as `federation/` sees it. Raises `BadRequest` for a body that is not a small form."""
    form = await form_of(request) if request.method == "POST" and with_form else []
    return WebRequest(
        method=request.method,
        url=root(request, request.app[GATEWAY].region) + request.path,
        raw_query=request.rel_url.raw_query_string,
        form=form,
        headers=header_map(request),
        certificate=certificate,
    )


def document(answer: Document) -> web.Response:
    """A finished body as an aiohttp response."""
    response = web.Response(body=answer.body, status=answer.status, headers=dict(answer.headers))
    response.headers["Content-Type"] = answer.content_type
    return response


# --- the browser that a flow is bound to


def browser_cookie(region: Region) -> str:
    """The cookie's name; with HTTPS its prefix makes browsers enforce host, path, Secure (RFC 6265bis §4.1.3)."""
    return "__Host-kakehashi-browser" if region.secure else "kakehashi-browser"


def browser(request: web.Request, region: Region) -> str | None:
    """The digest of this browser's cookie, or None if it has none that we could have set."""
    value = request.cookies.get(browser_cookie(region), "")
    return digest(value) if HANDLE.fullmatch(value) else None


def digest(value: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(value.encode()).hexdigest()


def set_cookie(response: web.StreamResponse, region: Region, name: str, value: str, *, days: int | None = None) -> None:
    """Set a cookie of this gateway.

    With HTTPS `SameSite=None`, because an ID system's SAML response arrives as a cross-site POST and the
    flow's browser must be known by then; every flow handle is unguessable and used once, so this lends
    nothing to another site. On plain loopback every port is the same site, so `Lax` is enough.
    """
    response.set_cookie(
        name,
        value,
        max_age=None if days is None else days * 86400,
        path="/",
        httponly=True,
        secure=region.secure,
        samesite="None" if region.secure else "Lax",
    )
