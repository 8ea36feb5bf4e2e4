"""What a caller shows beside its token: a certificate in the TLS handshake, or a proof of possession (RFC 8705, 9449).

A certificate comes from the handshake of the listener of `client_certificates`, or from a proxy that saw it: then, and
only from proxies that are listed, from the header Client-Cert (RFC 9440), which such a proxy must take from everybody
else. Whether a certificate counts is decided by whoever is told of it: here nothing is.
"""

import base64
import binascii
from datetime import datetime

from aiohttp import web

from federation.callers import Binding
from federation.oidc.dpop import Replays
from federation.oidc.presented import Presented, Scheme, check_binding, presented, thumbprint
from gateway.context import peer_address, root
from gateway.forwarded import listed
from gateway.region import Region

MAX_CERTIFICATE = 16 * 1024
"""Characters of the longest certificate that a proxy's header may hold."""


def held(request: web.BaseRequest) -> Presented:
    """The token of a request. Raises `TokenMissing`, `TokenInvalid`; two headers are a malformed one."""
    return presented(", ".join(request.headers.getall("Authorization", ())))


def shown(request: web.BaseRequest, region: Region) -> bytes | None:
    """The certificate that the client showed, DER, if it showed one."""
    listener = region.configuration.client_certificates
    if listener is None:
        return None
    tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    if tls is not None and (der := tls.getpeercert(binary_form=True)):
        return bytes(der)
    values = request.headers.getall("Client-Cert", ())
    if not values or listener.tls is not None or not listed(peer_address(request), region.trusted_proxies):
        return None
    return _read(values[0]) if len(values) == 1 else None


def _read(value: str) -> bytes | None:
    """The octets of a byte sequence (RFC 9440 §2.1, RFC 9651 §3.3.5), or None for anything else."""
    text = value.strip()
    if not (len(text) <= MAX_CERTIFICATE and len(text) > len("::") and text[0] == text[-1] == ":"):
        return None
    try:
        return base64.b64decode(text[1:-1], validate=True) or None
    except (binascii.Error, ValueError):
        return None


def shown_certificate(request: web.BaseRequest, region: Region) -> str | None:
    """The thumbprint of the certificate that the client showed (`x5t#S256`), if it showed one."""
    certificate = shown(request, region)
    return None if certificate is None else thumbprint(certificate)


def check(  # noqa: PLR0917 - what a binding is held against
    request: web.BaseRequest,
    region: Region,
    token: Presented,
    binding: Binding | None,
    now: datetime,
    replays: Replays,
) -> None:
    """Refuse a token that this caller may not use. Raises `TokenBound`, `ProofInvalid`."""
    if binding is None and token.scheme is Scheme.BEARER:  # most calls
        return
    check_binding(
        token,
        binding,
        proofs=request.headers.getall("DPoP", ()),
        certificate=None if binding is None else shown_certificate(request, region),
        method=request.method,
        url=root(request, region) + request.raw_path.partition("?")[0],
        now=now,
        replays=replays,
    )
