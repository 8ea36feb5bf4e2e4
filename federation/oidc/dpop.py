"""Proof of possession (DPoP, RFC 9449): whoever uses a token shows by a signature that the key is theirs.

One proof is for one request: its method, its address, and, with an access token, that token. It counts for
`LEEWAY` around the time that it states, and once: at the token endpoint `Proof.claim` is claimed in the store, at
calls each process remembers what it saw (`Replays`).
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from federation.callers import Binding, BindingKind
from federation.model import Kept
from federation.oidc.jose import (
    ALGORITHMS,
    LEEWAY,
    Checks,
    PublicKeys,
    TokenRefusedError,
    VerifiedClaims,
    base64url,
    header_unsafe,
    hold,
    verify,
)
from federation.oidc.strict_json import instant
from federation.refusal import ProofInvalid

TYPE = "dpop+jwt"
CLAIM = "dpop-proof"
"""The kind of what is kept of a proof."""

MAX_PROOF = 4 * 1024
"""Octets of the longest proof that is looked at."""

THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url (RFC 7638 §3.1)."""

_MAX_JTI = 256
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}  # RFC 7638 §3.2, in order
_PORTS = {"https": 443, "http": 80}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that holds; `claim` must be claimed once, else it is a replay."""

    jkt: str
    claim: Kept = field(repr=False)

    @property
    def binding(self) -> Binding:
        """What a token that is given on this proof is bound to (RFC 9449 §6.1)."""
        return Binding(kind=BindingKind.KEY, value=self.jkt)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    method: str
    url: str
    ath: str | None
    now: datetime


def _htu(claims: VerifiedClaims, expected: _Expected) -> bool:
    stated = claims.get("htu")
    return isinstance(stated, str) and normalised(stated) == normalised(expected.url)


def _iat(claims: VerifiedClaims, expected: _Expected) -> bool:
    iat = instant(claims.get("iat"))
    return iat is not None and abs(expected.now - iat) <= LEEWAY


def _jti(claims: VerifiedClaims, _: _Expected) -> bool:
    jti = claims.get("jti")
    return isinstance(jti, str) and 0 < len(jti) <= _MAX_JTI


PROOF_CHECKS: Checks[_Expected] = (
    ("jti", _jti),  # RFC 9449 §4.3 (3)
    ("htm", lambda claims, expected: claims.get("htm") == expected.method),  # (8)
    ("htu", _htu),  # (9): without query and fragment
    ("iat", _iat),  # (11)
    ("ath", lambda claims, expected: expected.ath is None or claims.get("ath") == expected.ath),  # (12)
)
"""What is asked of a proof whose signature holds; the rest of §4.3 comes before, and needs no claim."""


def check(
    headers: Sequence[str],
    *,
    method: str,
    url: str,
    now: datetime,
    access_token: str | None = None,
    jkt: str | None = None,
) -> Proof:
    """The proof in a request's `DPoP` headers, for the token with it, by the key that the token is bound to.

    Raises `ProofInvalid`, whose detail is a reason code.
    """
    if len(headers) != 1:  # §4.3 (1)
        raise ProofInvalid("none" if not headers else "several")
    proof = headers[0].strip()
    if len(proof) > MAX_PROOF:
        raise ProofInvalid("too-large")
    expected = _Expected(method=method, url=url, ath=None if access_token is None else ath(access_token), now=now)
    try:
        keys, thumbprint = _key(header_unsafe(proof).get("jwk"))
        claims = verify(proof, keys, ALGORITHMS, (TYPE,))  # (2), (4) to (6)
        hold(PROOF_CHECKS, claims, expected)
    except TokenRefusedError as error:
        raise ProofInvalid(error.code) from error
    if jkt is not None and thumbprint != jkt:  # §7.1
        raise ProofInvalid("other-key")
    digest = hashlib.sha256(f"{thumbprint}\0{claims['jti']}".encode("utf-8", "surrogatepass")).digest()
    claim = Kept(kind=CLAIM, key=base64url(digest), value={}, lifetime=2 * LEEWAY)
    return Proof(jkt=thumbprint, claim=claim)


def ath(access_token: str) -> str:
    """The hash of an access token in its proof (RFC 9449 §4.2)."""
    return base64url(hashlib.sha256(access_token.encode()).digest())


def _key(jwk: object) -> tuple[PublicKeys, str]:
    """The proof's own key, and its thumbprint. Raises `TokenRefusedError`: `jwk` (§4.3 (4), (7))."""
    if not isinstance(jwk, Mapping) or _PRIVATE & set(jwk):
        raise TokenRefusedError("jwk")
    names = _MEMBERS.get(str(jwk.get("kty")), ())
    needed: dict[str, Any] = {name: jwk.get(name) for name in names}
    if not needed or not all(isinstance(value, str) for value in needed.values()):
        raise TokenRefusedError("jwk")
    return _loaded(json.dumps(needed, separators=(",", ":"), sort_keys=True))


@lru_cache(maxsize=4096)
def _loaded(canonical: str) -> tuple[PublicKeys, str]:
    keys = PublicKeys.from_jwks({"keys": [json.loads(canonical)]})
    if not keys.keys:
        raise TokenRefusedError("jwk")
    return keys, base64url(hashlib.sha256(canonical.encode()).digest())  # RFC 7638 §3


def normalised(url: str) -> str | None:
    """`url` without query and fragment in the one spelling of RFC 3986 §6.2.2 and §6.2.3; None if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _PORTS or not host or "@" in parts.netloc:
        return None
    host = f"[{host}]" if ":" in host else host
    where = host if port in (None, _PORTS[scheme]) else f"{host}:{port}"
    return f"{scheme}://{where}{_ESCAPE.sub(_plain, parts.path) or '/'}"


def _plain(escape: re.Match[str]) -> str:
    octet = int(escape[1], 16)
    return chr(octet) if octet in _UNRESERVED else escape[0].upper()


class Replays:
    """The proofs that one process saw lately: each counts once.

    Two generations, each as long as a proof can hold. Beyond `most` in one of them the older is forgotten early: then a
    proof that was listened to may count once more, at this process, after as many others.
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._now: set[str] = set()
        self._before: set[str] = set()
        self._began: datetime | None = None

    def claim(self, proof: Proof, now: datetime) -> None:
        """Remember `proof`. Raises `ProofInvalid` if it was seen."""
        key = proof.claim.key
        if key in self._now or key in self._before:
            raise ProofInvalid("replayed")
        if self._began is None or not now - self._began < 2 * LEEWAY or len(self._now) >= self._most:
            self._before, self._now, self._began = self._now, set(), now
        self._now.add(key)
