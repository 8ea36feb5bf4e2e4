"""What people want to see of a list: any format read, and its content as plain JSON values."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jwk

from trust_lists import certificates, json_list, saml_metadata
from trust_lists.model import TrustedEntity, TrustList
from trust_lists.recipes import RecipeError, read_file
from trust_lists.times import format_instant


def read_any(document: bytes, *, name: str | None = None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Read a list of either format, told by its first character; `name` None takes its own word.

    Raises `ListRefusedError` as the reader of the format does.
    """
    if document.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return saml_metadata.read(document, name=name or "(unnamed)", anchors=anchors, now=now)
    return json_list.read(document, name=name, anchors=anchors, now=now)


def read_list_file(
    file: Path, *, anchors: Sequence[Path], now: datetime, kind: str | None = None, name: str | None = None
) -> TrustList:
    """Read a signed list from a file, with anchors from PEM files; `kind` None looks at the content.

    Raises `RecipeError` for a file that cannot be read, `ListRefusedError` as the reader of the format does.
    """
    pinned: list[bytes] = []
    for anchor in anchors:
        try:
            pinned += certificates.from_pem(read_file(anchor))
        except ValueError as error:
            raise RecipeError(f"{anchor}: {error}.") from error
    document = read_file(file, limit=saml_metadata.MAXIMUM_BYTES)
    if kind == "saml-metadata":
        return saml_metadata.read(document, name=name or str(file), anchors=pinned, now=now)
    if kind == "json":
        return json_list.read(document, name=name, anchors=pinned, now=now)
    return read_any(document, name=name, anchors=pinned, now=now)


def describe(trust_list: TrustList) -> dict[str, Any]:
    """Tell what the list says, as JSON values: name, times, sequence, each entity, each fault.

    A key is named by the SHA-256 of its certificate's DER in hexadecimal, or by its JWK thumbprint (RFC
    7638).
    """
    return {
        "list": trust_list.name,
        "issued_at": format_instant(trust_list.issued_at),
        "valid_until": format_instant(trust_list.valid_until),
        "sequence": trust_list.sequence,
        "entities": [_entity(entity) for entity in trust_list.entities],
        "faults": [{"where": fault.where, "reason": fault.reason} for fault in trust_list.faults],
    }


def _entity(entity: TrustedEntity) -> dict[str, Any]:
    return {
        "entity_id": entity.entity_id,
        "roles": sorted(entity.roles),
        "municipality": entity.municipality,
        "scopes": list(entity.scopes),
        "names": dict(entity.names),
        "valid_until": format_instant(entity.valid_until),
        "signing_keys": [certificates.fingerprint(der) for der in entity.signing_certificates] + _jwks(entity, "sig"),
        "encryption_keys": [certificates.fingerprint(der) for der in entity.encryption_certificates]
        + _jwks(entity, "enc"),
        "addresses": [endpoint.location for endpoint in entity.endpoints]
        + list(entity.metadata.get("redirect_uris", ())),
    }


def _jwks(entity: TrustedEntity, use: str) -> list[str]:
    keys = entity.metadata.get("jwks", {}).get("keys", ())
    return [jwk.import_key(key).thumbprint() for key in keys if key.get("use", use) == use]
