"""The region's native list: OpenID relying parties and providers in one signed document.

A compact JWS (RFC 7515 §7.1) whose header holds exactly `alg` (ES256 or RS256), `typ` and `x5t#S256`, and
whose payload holds exactly `list` (its name), `sequence`, `iat`, `exp` (seconds since 1970) and `entries`.
The key comes from a pinned anchor certificate only; the header merely says which one.
"""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from trust_lists import certificates, openid_entries, strict_json
from trust_lists.model import Fault, ListRefusedError, TrustedEntity, TrustList, VerifiedBytes
from trust_lists.rules import EntryError, UnpublishableError
from trust_lists.times import check_in_force

TYPE = "kakehashi-trust-list+jwt"

MAXIMUM_BYTES = 16 * 1024 * 1024

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADER_MEMBERS = {"alg", "typ", "x5t#S256"}
_PAYLOAD_MEMBERS = {"list", "sequence", "iat", "exp", "entries"}
_LAST_INSTANT = 253402300799
"""9999-12-31T23:59:59Z, the end of what a date can say."""


class _Registry(jws.JWSRegistry):
    """The size bound is ours and applied before; joserfc's is meant for tokens."""

    max_payload_length = MAXIMUM_BYTES


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Verify the list with one of the anchors (DER certificates) and read its entries.

    `name` is what the list must call itself, so that one list of an authority cannot stand in for another;
    None takes any. Raises `ListRefusedError` with code `too-large`, `unsigned`, `format`, `signature`,
    `other-list`, `expired` or `future`. An entry that breaks a rule is a `Fault` and dropped alone.
    """
    label = name or "(unnamed)"
    payload = _payload(_verified(document, label=label, anchors=anchors), label=label)
    if name is not None and payload["list"] != name:
        raise ListRefusedError(
            "other-list",
            f"list {name}: this is the list {payload['list'][:100]!r}; put the right file in its place.",
        )
    issued_at = datetime.fromtimestamp(payload["iat"], UTC)
    valid_until = datetime.fromtimestamp(payload["exp"], UTC)
    check_in_force(payload["list"], issued_at=issued_at, valid_until=valid_until, now=now)
    entities, faults = _entries(payload["entries"], listed_in=payload["list"], valid_until=valid_until)
    return TrustList(
        name=payload["list"],
        issued_at=issued_at,
        valid_until=valid_until,
        sequence=payload["sequence"],
        entities=entities,
        faults=faults,
    )


def publish(
    entries: Sequence[Mapping[str, Any]],
    *,
    name: str,
    key_pem: bytes,
    certificate_pem: bytes,
    issued_at: datetime,
    valid_until: datetime,
    sequence: int,
) -> bytes:
    """Sign the list of these entries. Whole seconds of both times are kept.

    The certificate is the one that readers pin; RSA signs RS256, P-256 signs ES256. Raises
    `UnpublishableError` for an entry that a reader would drop, ValueError for a key that does not fit.
    """
    seen: set[tuple[str, str]] = set()
    for position, entry in enumerate(entries):
        try:
            openid_entries.read_entry(entry, listed_in=name, valid_until=valid_until)
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        if _claim(entry) in seen:
            raise UnpublishableError(position, EntryError(("entity_id",), "listed twice"))
        seen.add(_claim(entry))
    certificate = certificates.from_pem(certificate_pem)[0]
    algorithm, public = _verification_key(certificate)
    private = type(public).import_key(key_pem)
    if not private.is_private or private.thumbprint() != public.thumbprint():
        message = "the private key and the certificate do not belong together"
        raise ValueError(message)
    payload = {
        "list": name,
        "sequence": sequence,
        "iat": int(issued_at.timestamp()),
        "exp": int(valid_until.timestamp()),
        "entries": [dict(entry) for entry in entries],
    }
    header = {"alg": algorithm, "typ": TYPE, "x5t#S256": _thumbprint(certificate)}
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact(header, body, private, registry=_Registry(algorithms=[algorithm])).encode("ascii")


def stated_sequence_unsafe(document: bytes) -> int:
    """Look up the sequence number that a document states, unverified. Raises ValueError.

    Only for an authority that counts on from its own last output.
    """
    parts = document.split(b".")
    sequence = strict_json.loads(_decode(parts[1])).get("sequence") if len(parts) == 3 else None  # noqa: PLR2004 - JWS
    if not isinstance(sequence, int):
        message = "not a signed list"
        raise ValueError(message)  # noqa: TRY004 - the value is not a list, whatever its type
    return sequence


# --- the signature


def _verified(document: bytes, *, label: str, anchors: Sequence[bytes]) -> VerifiedBytes:
    if len(document) > MAXIMUM_BYTES:
        raise ListRefusedError(
            "too-large",
            f"list {label}: {len(document)} bytes; at most {MAXIMUM_BYTES} are read. Check the file.",
        )
    found = _COMPACT.fullmatch(document)
    if not found:
        unsigned = document.lstrip()[:1] in (b"{", b"[") or document.rstrip().endswith(b".")
        raise ListRefusedError(
            "unsigned" if unsigned else "format",
            f"list {label}: a compact JWS (three base64url parts and nothing else) is expected; "
            "let the list's authority sign it with `kakehashi trust sign`.",
        )
    try:
        header = strict_json.loads(_decode(found[1]))
        _decode(found[2]), _decode(found[3])
    except ValueError as error:
        raise ListRefusedError("format", f"list {label}: not a compact JWS: {error}.") from error
    anchor = _anchor(header, label=label, anchors=anchors)
    try:
        algorithm, key = _verification_key(anchor)
    except ValueError as error:
        raise ListRefusedError("signature", f"list {label}: {error}; configure another anchor.") from error
    if header["alg"] != algorithm:
        raise ListRefusedError(
            "signature",
            f"list {label}: signed with {str(header['alg'])[:20]!r}, but the anchor's key signs {algorithm}"
            f"; this document does not come from the list's authority.",
        )
    try:
        verified = jws.deserialize_compact(document, key, registry=_Registry(algorithms=[algorithm]))
    except JoseError as error:
        raise ListRefusedError(
            "signature",
            f"list {label}: the signature does not fit the content: the document was altered. "
            "Fetch it again from the list's authority.",
        ) from error
    return VerifiedBytes(verified.payload)


def _anchor(header: object, *, label: str, anchors: Sequence[bytes]) -> bytes:
    """Find the anchor that a well-formed header points at."""
    if not isinstance(header, dict) or set(header) != _HEADER_MEMBERS or header["typ"] != TYPE:
        if isinstance(header, dict) and header.get("alg") == "none":
            raise ListRefusedError("unsigned", f"list {label}: it says `alg: none`; a signed list is needed.")
        raise ListRefusedError(
            "format",
            f"list {label}: a header with exactly alg, typ {TYPE} and x5t#S256 is expected; "
            "this is another kind of signed document.",
        )
    for anchor in anchors:
        if header["x5t#S256"] == _thumbprint(anchor):
            return anchor
    known = ", ".join(certificates.fingerprint(anchor)[:16] + "…" for anchor in anchors) or "none"
    raise ListRefusedError(
        "signature",
        f"list {label}: signed under a certificate that is not an anchor of this list (SHA-256: {known}); "
        "if its authority changed its key, check with the authority and configure the new certificate.",
    )


def _verification_key(anchor: bytes) -> tuple[str, ECKey | RSAKey]:
    """Answer the one algorithm that this anchor's key signs with, and the key. Raises ValueError."""
    key = certificates.public_key(anchor)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256", RSAKey.import_key(pem)
    if isinstance(key.curve, ec.SECP256R1):
        return "ES256", ECKey.import_key(pem)
    message = f"a list is signed by an RSA or a P-256 key; this anchor's is on {key.curve.name}"
    raise ValueError(message)


def _thumbprint(certificate: bytes) -> str:
    """`x5t#S256` (RFC 7515 §4.1.8)."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def _decode(part: bytes) -> bytes:
    """base64url without padding, in its one canonical spelling (RFC 7515 §2). Raises ValueError."""
    decoded = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part:
        message = "its base64url is not canonical"
        raise ValueError(message)
    return decoded


# --- the content


def _payload(verified: VerifiedBytes, *, label: str) -> dict[str, Any]:
    try:
        payload = strict_json.loads(verified)
    except ValueError as error:
        raise ListRefusedError("format", f"list {label}: the content is not usable JSON: {error}.") from error
    if (
        isinstance(payload, dict)
        and set(payload) == _PAYLOAD_MEMBERS
        and isinstance(payload["list"], str)
        and payload["list"]
        and isinstance(payload["entries"], list)
        and all(_is_instant(payload[member]) for member in ("sequence", "iat", "exp"))
    ):
        return payload
    raise ListRefusedError(
        "format",
        f"list {label}: the signed content must hold exactly list, sequence, iat, exp and entries; "
        "let its authority sign it with `kakehashi trust sign`.",
    )


def _is_instant(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LAST_INSTANT


def _entries(
    entries: Sequence[object], *, listed_in: str, valid_until: datetime
) -> tuple[tuple[TrustedEntity, ...], tuple[Fault, ...]]:
    """Read in the list's order. Entries that claim one entity ID and role between them are all dropped."""
    counts = Counter(map(_claim, entries))
    entities: list[TrustedEntity] = []
    faults: list[Fault] = []
    for position, entry in enumerate(entries, start=1):
        entity_id, role = _claim(entry)
        where = entity_id[:200] or f"entry {position}"
        if counts[entity_id, role] > 1:
            faults.append(
                Fault(where=where, reason=f"entity_id: listed more than once; all dropped (entry {position})")
            )
            continue
        try:
            entities.append(openid_entries.read_entry(entry, listed_in=listed_in, valid_until=valid_until))
        except EntryError as error:
            faults.append(Fault(where=where, reason=str(error)))
    return tuple(entities), tuple(faults)


def _claim(entry: object) -> tuple[str, str]:
    """Look up entity ID and role as an entry states them; empty where it states none."""
    if not isinstance(entry, Mapping):
        return "", ""
    return str(entry.get("entity_id", "")), str(entry.get("role", ""))
