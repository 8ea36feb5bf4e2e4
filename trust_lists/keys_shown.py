"""How a key is told to people and machines: by its fingerprint.

The SHA-256 of a certificate's or public key's DER in hexadecimal, or a JWK's thumbprint (RFC 7638).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

from trust_lists import certificates
from trust_lists.model import TrustedEntity


def signing(entity: TrustedEntity) -> list[str]:
    """Answer the keys whose signatures count as the entity's."""
    return [certificates.fingerprint(der) for der in entity.signing_certificates] + _of_use(entity, "sig")


def encryption(entity: TrustedEntity) -> list[str]:
    """Answer the keys to encrypt to it."""
    return [certificates.fingerprint(der) for der in entity.encryption_certificates] + _of_use(entity, "enc")


def every(entity: TrustedEntity) -> tuple[str, ...]:
    """Answer each key once."""
    return tuple(dict.fromkeys((*signing(entity), *encryption(entity))))


def is_key_set(value: Any) -> bool:
    """Tell whether this is a JWK Set, or nothing where one might stand."""
    if value is None:
        return True
    keys = value.get("keys") if isinstance(value, Mapping) else None
    return isinstance(keys, list | tuple) and all(isinstance(key, Mapping) for key in keys)


def by_content(key_set: Mapping[str, Any] | None) -> dict[str, str]:
    """Answer the thumbprint of each key by all that is stated of it: its use and algorithm too."""
    return {
        json.dumps(key, sort_keys=True, default=str): _thumbprint(key)
        for key in (() if key_set is None else key_set["keys"])
    }


def _of_use(entity: TrustedEntity, use: str) -> list[str]:
    stated = entity.metadata.get("jwks")
    keys = stated["keys"] if stated is not None and is_key_set(stated) else ()
    return [_thumbprint(key) for key in keys if key.get("use", use) == use]


def _thumbprint(key: Mapping[str, Any]) -> str:
    try:
        return jwk.import_key(dict(key)).thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
