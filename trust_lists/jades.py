"""JAdES baseline B (ETSI TS 119 182-1 v1.2.1) in its compact form, as far as signed lists need it.

A compact JWS (RFC 7515 §7.1) whose header says when and with which certificate it was signed. The key comes from a
pinned anchor, never from the header; the header merely says which anchor. Signed here: `alg`, `typ`, `x5t#S256`,
`x5c`, `iat`. Read: these, `cty`, `kid`, and `sigT` in the place of `iat` (v1.1.1, still made by others). Every other
member refuses the document, and so does a `crit` that names what is not processed.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import HeaderParameter

from trust_lists import certificates, strict_json
from trust_lists.model import ListRefusedError, VerifiedBytes
from trust_lists.times import parse_instant

ALGORITHMS = ("ES256", "ES384", "PS256", "RS256")
"""Every signature that is believed (RFC 7518 §3.1). `none` and HMAC are in no table."""

_MAXIMUM_HEADER = 64 * 1024
_MAXIMUM_SIGNATURE = 2048
_MAXIMUM_CHAIN = 8
_LAST_INSTANT = 253402300799
"""9999-12-31T23:59:59Z, the end of what a date can say."""

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_PARTS = 3
_TYPES = frozenset({"jose", "jwt", "trustlist+jwt", "application/jose"})
"""Types of compact JWS that lists are published under, in lower case (RFC 7515 §4.1.9)."""

_CONTENT_TYPES = frozenset({"json", "application/json"})
_PROCESSED = frozenset({"iat", "sigT"})
"""What `crit` may name: processed here, and no member that RFC 7515 §4.1 itself defines (§4.1.11)."""


class _Registry(jws.JWSRegistry):
    """Sizes and header are checked before, by our own rules; joserfc's bounds are meant for tokens."""

    max_header_length = _MAXIMUM_HEADER
    max_payload_length = 64 * 1024 * 1024
    max_signature_length = _MAXIMUM_SIGNATURE


_REGISTRY = _Registry(
    header_registry={name: HeaderParameter("signing time", lambda _: None) for name in ("iat", "sigT")},
    algorithms=ALGORITHMS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """A header that keeps the rules: what it says of the signature."""

    algorithm: str
    signed_at: datetime
    thumbprint: str | None
    certificate: bytes | None


def sign(payload: bytes, *, key_pem: bytes, certificate_pem: bytes, signed_at: datetime) -> bytes:
    """Sign with the key whose certificate readers pin: RSA signs RS256, P-256 ES256, P-384 ES384.

    Whole seconds of the time are kept. Raises ValueError for a key that is of another kind, or not the certificate's.
    """
    certificate = certificates.from_pem(certificate_pem)[0]
    algorithms, public = _verification_key(certificate)
    try:
        private = type(public).import_key(key_pem)
    except JoseError as error:
        message = "the private key and the certificate do not belong together"
        raise ValueError(message) from error
    if not private.is_private or private.thumbprint() != public.thumbprint():
        message = "the private key and the certificate do not belong together"
        raise ValueError(message)
    header = {
        "alg": algorithms[0],
        "typ": "JOSE",
        "iat": int(signed_at.timestamp()),
        "x5t#S256": thumbprint(certificate),
        "x5c": [base64.b64encode(certificate).decode()],
    }
    return jws.serialize_compact(header, payload, private, registry=_REGISTRY).encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was signed, and when; whether that lies in the future is for the caller to ask."""

    octets: VerifiedBytes
    signed_at: datetime


def verify(document: bytes, *, label: str, anchors: Sequence[bytes], maximum_bytes: int) -> Verified:
    """Verify the signature over the exact bytes with one of the anchors, and answer what was signed.

    Raises `ListRefusedError` with code `too-large`, `unsigned`, `format`, `critical-header` or `signature`;
    `label` names the list in its text.
    """
    if len(document) > maximum_bytes:
        raise ListRefusedError(
            "too-large", f"list {label}: {len(document)} bytes; at most {maximum_bytes} are read. Check the file."
        )
    header = _read_header(_head(document, label=label), label=label)
    named = [anchor for anchor in anchors if _names(header, anchor)]
    if not named:
        known = ", ".join(certificates.fingerprint(anchor)[:16] + "…" for anchor in anchors) or "none"
        raise ListRefusedError(
            "signature",
            f"list {label}: signed under a certificate that is not an anchor of this list (SHA-256: {known}); "
            "if its authority changed its key, check with the authority and configure the new certificate.",
        )
    refused: list[ListRefusedError] = []
    for anchor in named:
        try:
            octets = _verified_with(document, anchor, algorithm=header.algorithm, label=label)
            return Verified(octets=octets, signed_at=header.signed_at)
        except ListRefusedError as fault:
            refused.append(fault)
    raise refused[0]


def payload_unsafe(document: bytes) -> Any:
    """Look up the JSON that a document holds, unverified. Raises ValueError."""
    parts = document.split(b".")
    if len(parts) != _PARTS:
        message = "not a compact JWS"
        raise ValueError(message)
    return strict_json.loads(_decode(parts[1]))


def thumbprint(certificate: bytes) -> str:
    """`x5t#S256` (RFC 7515 §4.1.8)."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


# --- the header


def _head(document: bytes, *, label: str) -> object:
    """Take the header of what has the shape of a compact JWS."""
    found = _COMPACT.fullmatch(document)
    if not found:
        unsigned = document.lstrip()[:1] in (b"{", b"[") or document.rstrip().endswith(b".")
        raise ListRefusedError(
            "unsigned" if unsigned else "format",
            f"list {label}: a compact JWS (three base64url parts and nothing else) is expected; "
            "let the list's authority sign it with `kakehashi trust sign`.",
        )
    try:
        header = strict_json.loads(_decode(found[1], at_most=_MAXIMUM_HEADER))
        _decode(found[2]), _decode(found[3], at_most=_MAXIMUM_SIGNATURE)
    except ValueError as error:
        raise ListRefusedError("format", f"list {label}: not a compact JWS: {error}.") from error
    if isinstance(header, dict) and header.get("alg") == "none":
        raise ListRefusedError("unsigned", f"list {label}: it says `alg: none`; a signed list is needed.")
    return header


def _is_instant(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LAST_INSTANT


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_instant(value))
    except ValueError:
        return False


def _is_chain(value: object) -> bool:
    """Tell whether it is certificates in base64, not base64url (RFC 7515 §4.1.6), and not endlessly many."""
    try:
        return (
            isinstance(value, list)
            and 0 < len(value) <= _MAXIMUM_CHAIN
            and all(isinstance(item, str) and base64.b64decode(item, validate=True) for item in value)
        )
    except (binascii.Error, ValueError):
        return False


_HEADER_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "alg": (lambda value: isinstance(value, str), "a text"),
    "typ": (lambda value: isinstance(value, str) and value.lower() in _TYPES, "JOSE"),
    "cty": (lambda value: isinstance(value, str) and value.lower() in _CONTENT_TYPES, "json"),
    "kid": (lambda value: isinstance(value, str), "a text"),
    "iat": (_is_instant, "whole seconds since 1970"),
    "sigT": (_is_time, "a time such as 2026-04-01T00:00:00Z"),
    "x5t#S256": (lambda value: isinstance(value, str), "a thumbprint"),
    "x5c": (_is_chain, "certificates in base64"),
    "crit": (lambda value: isinstance(value, list), "a list"),
}
"""What may stand in a header, and how (TS 119 182-1 §5.1; RFC 7515 §4.1)."""


def _read_header(header: object, *, label: str) -> _Header:
    if not isinstance(header, dict) or "alg" not in header:
        raise ListRefusedError("format", f"list {label}: a header with alg, a certificate and a time is expected.")
    for name, value in header.items():
        rule = _HEADER_RULES.get(name)
        if rule is None:
            raise ListRefusedError(
                "format",
                f"list {label}: its header has {str(name)[:40]!r}; known are {', '.join(_HEADER_RULES)}. "
                "This is another kind of signed document.",
            )
        if not rule[0](value):
            raise ListRefusedError("format", f"list {label}: its header has {name}, and not {rule[1]} in it.")
    _check_critical(header, label=label)
    if "iat" not in header and "sigT" not in header:
        raise ListRefusedError("format", f"list {label}: its header does not say when it was signed (iat).")
    if "x5t#S256" not in header and "x5c" not in header:
        raise ListRefusedError("format", f"list {label}: its header names no certificate (x5t#S256 or x5c).")
    times = [datetime.fromtimestamp(header["iat"], UTC)] if "iat" in header else []
    times += [parse_instant(header["sigT"])] if "sigT" in header else []
    return _Header(
        algorithm=header["alg"],
        signed_at=max(times),
        thumbprint=header.get("x5t#S256"),
        certificate=base64.b64decode(header["x5c"][0]) if "x5c" in header else None,
    )


def _check_critical(header: Mapping[str, Any], *, label: str) -> None:
    """Refuse a document that hangs on a member that is not processed here (RFC 7515 §4.1.11)."""
    if "crit" not in header:
        return
    critical = header["crit"]
    if (
        not critical
        or not all(isinstance(name, str) and name in _PROCESSED and name in header for name in critical)
        or len(set(critical)) != len(critical)
    ):
        raise ListRefusedError(
            "critical-header",
            f"list {label}: its header calls something critical (crit) that is not understood here; known are "
            f"{', '.join(sorted(_PROCESSED))}, each once, and present.",
        )


# --- the key


def _names(header: _Header, anchor: bytes) -> bool:
    """Tell whether the header means this anchor: its very certificate; of a bare key, a certificate that has it."""
    carried, stated = header.certificate, header.thumbprint
    if carried is not None and stated is not None and thumbprint(carried) != stated:
        return False
    if not certificates.is_certificate(anchor):
        return carried is None or _has_key(carried, anchor)
    return (carried is None or carried == anchor) and (stated is None or stated == thumbprint(anchor))


def _has_key(certificate: bytes, key: bytes) -> bool:
    try:
        return certificates.public_key(certificate) == certificates.public_key(key)
    except ValueError:
        return False


def _verified_with(document: bytes, anchor: bytes, *, algorithm: str, label: str) -> VerifiedBytes:
    try:
        algorithms, key = _verification_key(anchor)
    except ValueError as error:
        raise ListRefusedError("signature", f"list {label}: {error}; configure another anchor.") from error
    if algorithm not in algorithms:
        raise ListRefusedError(
            "signature",
            f"list {label}: signed with {algorithm[:20]!r}, but the anchor's key signs {' or '.join(algorithms)}"
            "; this document does not come from the list's authority.",
        )
    try:
        return VerifiedBytes(jws.deserialize_compact(document, key, registry=_REGISTRY).payload)
    except JoseError as error:
        raise ListRefusedError(
            "signature",
            f"list {label}: the signature does not fit the content: the document was altered. "
            "Fetch it again from the list's authority.",
        ) from error


def _verification_key(anchor: bytes) -> tuple[tuple[str, ...], ECKey | RSAKey]:
    """Answer the algorithms that this anchor's key may have signed with, and the key. Raises ValueError."""
    key = certificates.public_key(anchor)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "PS256"), RSAKey.import_key(pem)
    if isinstance(key.curve, ec.SECP256R1):
        return ("ES256",), ECKey.import_key(pem)
    if isinstance(key.curve, ec.SECP384R1):
        return ("ES384",), ECKey.import_key(pem)
    message = f"a list is signed by an RSA, P-256 or P-384 key; this anchor's is on {key.curve.name}"
    raise ValueError(message)


def _decode(part: bytes, *, at_most: int | None = None) -> bytes:
    """base64url without padding, in its one canonical spelling (RFC 7515 §2). Raises ValueError."""
    if at_most is not None and len(part) > at_most:
        message = "its header or signature is too long"
        raise ValueError(message)
    try:
        decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("its base64url cannot be read") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        message = "its base64url is not canonical"
        raise ValueError(message)
    return decoded
