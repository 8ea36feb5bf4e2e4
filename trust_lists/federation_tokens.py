"""Keys and signatures of OpenID Federation 1.0: compact JWS of one type, verified with keys that are known already.

Owns the allow-list of algorithms, the bounds, and what a federation entity's key set must be. What the claims mean is
the business of whoever asks: statements, trust marks, delegations.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NewType

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from trust_lists import certificates, strict_json

MAXIMUM_BYTES = 256 * 1024
"""Octets of the longest statement, trust mark or delegation that is looked at."""

MAXIMUM_KEYS = 32

KINDS: Mapping[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
}
"""Every signature that is believed (RFC 7518 §3.1), and the keys that make it. `none` and HMAC are in no table."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_UNSIGNED = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.", re.ASCII)
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PUBLIC_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}
_LARGEST_RSA = 8192
_LONGEST_EXPONENT = 8
_LONGEST_KID = 512


class _Registry(jws.JWSRegistry):
    """The size bounds are ours and applied before; joserfc's are meant for tokens."""

    max_header_length = MAXIMUM_BYTES
    max_payload_length = MAXIMUM_BYTES
    max_signature_length = _LARGEST_RSA // 4


REGISTRY = _Registry(algorithms=tuple(KINDS), strict_check_header=False)


class StatementRefusedError(Exception):
    """A statement, trust mark or chain that is not believed: `code` for machines, the text for the operator.

    Codes here: `too-large`, `unsigned`, `format`, `type`, `algorithm`, `critical-header`, `unknown-key`, `signature`,
    `expired`, `future`, and those of `RULES`.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


Claims = NewType("Claims", dict[str, Any])
"""Claims whose signature was verified; whether they keep the rules is not known yet."""


# --- keys


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationKey:
    """A public key of a federation entity, and the signatures that it makes; `kid` is empty for a pinned key."""

    kid: str
    algorithms: frozenset[str]
    thumbprint: str
    key: ECKey | RSAKey = field(repr=False, compare=False)


Keys = Mapping[str, FederationKey]
"""Usable keys by key ID."""


@lru_cache(maxsize=8192)
def _imported(members: tuple[tuple[str, str], ...]) -> tuple[ECKey | RSAKey, str]:
    parameters: Any = dict(members)
    key = RSAKey.import_key(parameters) if parameters["kty"] == "RSA" else ECKey.import_key(parameters)
    key.public_key  # noqa: B018 - a point off the curve shows itself here
    return key, key.thumbprint()


def read_keys(jwks: object) -> dict[str, FederationKey]:
    """Read the federation keys of an entity: a JWK Set (RFC 7517 §5) of public keys, each with a kid of its own.

    Keys that make no signature of `KINDS` are passed over. Raises ValueError, also if none is left.
    """
    stated = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(stated, list) or not 0 < len(stated) <= MAXIMUM_KEYS:
        raise ValueError(f"a JWK Set with 1 to {MAXIMUM_KEYS} keys is expected")
    kids: set[str] = set()
    found: dict[str, FederationKey] = {}
    for key in stated:
        kid = key.get("kid") if isinstance(key, dict) else None
        if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID or kid in kids:
            raise ValueError("each key needs a kid of its own")
        if _PRIVATE_MEMBERS & key.keys():
            raise ValueError("a key shows its private part: treat it as disclosed and make a new one")
        kids.add(kid)
        usable = _usable(kid, key)
        if usable is not None:
            found[kid] = usable
    if not found:
        raise ValueError(f"no key makes signatures of {', '.join(KINDS)}")
    return found


def _usable(kid: str, key: Mapping[str, Any]) -> FederationKey | None:
    kty, curve = key.get("kty"), key.get("crv")
    fitting = frozenset(
        name
        for name, (kind, on) in KINDS.items()
        if kind == kty and (on is None or on == curve) and key.get("alg", name) == name
    )
    operations = key.get("key_ops", ["verify"])
    if not fitting or key.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    members = tuple((name, key.get(name)) for name in _PUBLIC_MEMBERS[str(kty)])
    if not all(isinstance(value, str) for _, value in members):
        raise ValueError("a key cannot be read")
    if kty == "RSA":
        _check_rsa(key)
    try:
        imported, thumbprint = _imported(members)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError("a key cannot be read") from error
    return FederationKey(kid=kid, algorithms=fitting, thumbprint=thumbprint, key=imported)


def _check_rsa(key: Mapping[str, Any]) -> None:
    bits = int.from_bytes(_decoded(key["n"])).bit_length()
    if not certificates.MINIMUM_RSA_BITS <= bits <= _LARGEST_RSA or len(key["e"]) > _LONGEST_EXPONENT:
        raise ValueError(f"an RSA key has {bits} bits, or an odd exponent; {certificates.MINIMUM_RSA_BITS} are needed")


def pinned_key(der: bytes) -> FederationKey:
    """The key of a pinned certificate or public key. Raises ValueError if it makes no signature of `KINDS`."""
    pem = certificates.public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for kind in (ECKey, RSAKey):
        try:
            key = kind.import_key(pem)
        except (JoseError, ValueError, TypeError):
            continue
        curve = key.as_dict(private=False).get("crv")
        fitting = frozenset(name for name, (kty, on) in KINDS.items() if kty == key.key_type and on in (None, curve))
        if fitting:
            return FederationKey(kid="", algorithms=fitting, thumbprint=key.thumbprint(), key=key)
    raise ValueError(f"the key makes no signature of {', '.join(KINDS)}")


# --- signatures


def _decoded(part: str) -> bytes:
    """base64url without padding, in its one canonical spelling (RFC 7515 §2). Raises ValueError."""
    octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(octets).rstrip(b"=") != part.encode():
        raise ValueError("its base64url is not canonical")
    return octets


def _parts(token: str) -> tuple[bytes, bytes]:
    """Answer the octets of header and payload of a compact JWS (§3.2 step 1)."""
    if len(token) > MAXIMUM_BYTES:
        raise StatementRefusedError("too-large", f"longer than {MAXIMUM_BYTES} octets")
    if not _COMPACT.fullmatch(token):
        if _UNSIGNED.fullmatch(token):
            raise StatementRefusedError("unsigned", "it carries no signature; a signed statement is needed")
        raise StatementRefusedError("format", "a compact JWS is expected")
    try:
        head, payload, _ = map(_decoded, token.split("."))
    except ValueError as error:
        raise StatementRefusedError("format", f"not a compact JWS: {error}") from error
    return head, payload


@lru_cache(maxsize=8)  # asked several times in a row for one token
def header(token: str, typ: str) -> tuple[str, str]:
    """Check the header (§3.2 steps 2, 3 and 11); answers `alg` and `kid`. Raises `StatementRefusedError`."""
    stated = _object(_parts(token)[0])
    algorithm, kid = stated.get("alg"), stated.get("kid")
    if algorithm == "none":
        raise StatementRefusedError("unsigned", "it says alg none; a signed statement is needed")
    if not isinstance(algorithm, str) or algorithm not in KINDS:
        raise StatementRefusedError("algorithm", f"signed by none of {', '.join(KINDS)}")
    if stated.get("typ") != typ:
        raise StatementRefusedError("type", f"typ {typ} is expected in the header; this is another kind of document")
    if "crit" in stated or "b64" in stated:
        raise StatementRefusedError("critical-header", "the header demands an extension that is not understood")
    if not isinstance(kid, str) or not kid:
        raise StatementRefusedError("unknown-key", "kid, the key's ID, is missing in the header")
    return algorithm, kid


def verified(token: str, keys: Keys, *, typ: str) -> Claims:
    """Answer the claims of a token that one of the keys signed; its header says which. Raises `StatementRefusedError`.

    Only the claims that come from here may be believed.
    """
    algorithm, kid = header(token, typ)
    key = keys.get(kid)
    if key is None or algorithm not in key.algorithms:
        raise StatementRefusedError(
            "unknown-key", f"signed with {algorithm} by the key {kid[:40]!r}, which its issuer is not known to have"
        )
    try:
        signed = jws.deserialize_compact(token, key.key, registry=REGISTRY)
    except (JoseError, ValueError) as error:
        raise StatementRefusedError("signature", "the signature does not fit the content") from error
    return Claims(_object(signed.payload or b""))


def _object(octets: bytes) -> dict[str, Any]:
    try:
        claims = strict_json.loads(octets)
    except ValueError as error:
        raise StatementRefusedError("format", f"the content is not usable JSON: {error}") from error
    if not isinstance(claims, dict):
        raise StatementRefusedError("format", "the content is not an object")
    return claims


def peek_unsafe(token: str, *, typ: str) -> dict[str, Any]:
    """Look up what a token claims, unverified: good for finding whose keys to verify it with, and for nothing else.

    Raises `StatementRefusedError`.
    """
    header(token, typ)
    return _object(_parts(token)[1])
