"""How an access token comes with a request, and whether whoever sends it may use it (RFC 6750, 8705, 9449).

A token that is bound to a key or to a certificate is worth nothing to whoever holds only the token.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from federation.callers import Binding, BindingKind
from federation.oidc import dpop
from federation.oidc.jose import base64url
from federation.refusal import ProofInvalid, TokenBound, TokenInvalid, TokenMissing

_TOKEN = re.compile(r"(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 §2.1, RFC 9449 §7.1
_SCHEME = re.compile(r"(bearer|dpop)( |$)", re.IGNORECASE)


class Scheme(StrEnum):
    """The authentication scheme under which a token came."""

    BEARER = "bearer"
    DPOP = "dpop"


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as it came in the `Authorization` header, the only place it is read from."""

    scheme: Scheme
    token: str = field(repr=False)


def scheme(authorization: str) -> Scheme | None:
    """Under which scheme something came in the `Authorization` header, token or not."""
    found = _SCHEME.match(authorization)
    return None if found is None else Scheme(found[1].lower())


def presented(authorization: str | None) -> Presented:
    """The token of a request. Raises `TokenMissing` without one, `TokenInvalid` for a malformed header."""
    header = authorization or ""
    if not _SCHEME.match(header):
        raise TokenMissing("no-token")
    found = _TOKEN.fullmatch(header.rstrip())
    if not found:
        raise TokenInvalid("malformed-header")
    return Presented(Scheme(found[1].lower()), found[2])


def thumbprint(certificate: bytes) -> str:
    """The SHA-256 of a DER certificate in base64url (RFC 8705 §3.1)."""
    return base64url(hashlib.sha256(certificate).digest())


def bound_to(certificate: bytes) -> Binding:
    """What a token is bound to that is given to whoever showed `certificate`."""
    return Binding(kind=BindingKind.CERTIFICATE, value=thumbprint(certificate))


def check_binding(
    held: Presented,
    binding: Binding | None,
    *,
    proofs: Sequence[str],
    certificate: str | None,
    method: str,
    url: str,
    now: datetime,
    replays: dpop.Replays,
) -> None:
    """Refuse a token that whoever sent it may not use; `certificate` is the thumbprint of the one that they showed.

    `url` is the address that was asked, as the caller knows it; its query does not matter. Raises `TokenBound` for a
    token that is bound to something else than came, `ProofInvalid` for a proof that does not hold.
    """
    if binding is None:
        if held.scheme is Scheme.DPOP:  # RFC 9449 §7.1: that scheme is for tokens that are bound to a key
            raise ProofInvalid("unbound")
        return
    if binding.kind is BindingKind.CERTIFICATE:
        if held.scheme is not Scheme.BEARER or certificate != binding.value:
            raise TokenBound("certificate")
        return
    if held.scheme is not Scheme.DPOP:  # RFC 9449 §7.2: stolen tokens would come so
        raise TokenBound("bearer", key=True)
    proof = dpop.check(proofs, method=method, url=url, now=now, access_token=held.token, jkt=binding.value)
    replays.claim(proof, now)
