"""Rules for what is registered of OpenID parties: relying parties (RFC 7591 §2), providers (OpenID Discovery §3).

The tables say for each registered metadata name what is expected of it. A name that stands in no table is
refused: a misspelt one would silently not protect, and one that asks for more protection than the gateway
gives (an encrypted ID token, signed request objects, certificate-bound tokens) must not look as if it were
kept.
"""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

from trust_lists import rules
from trust_lists.certificates import MINIMUM_RSA_BITS
from trust_lists.model import Role
from trust_lists.rules import EntryError, Place

_EC_ALGORITHMS = ("ES256",)
_RSA_ALGORITHMS = ("PS256", "RS256")
SIGNING_ALGORITHMS = (*_EC_ALGORITHMS, *_RSA_ALGORITHMS)
"""The signatures that the gateway verifies (RFC 7518 §3.1)."""

ID_TOKEN_ALGORITHMS = ("RS256", "ES256")
"""What the gateway can sign ID tokens with."""

ADDRESSES = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
FLAGS = ("authorization_response_iss_parameter_supported",)
CHOICES = (
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "code_challenge_methods_supported",
    "scopes_supported",
    "acr_values_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
)
BINDING = frozenset((*ADDRESSES, *FLAGS, *CHOICES))
"""What of a provider's own announcements (OpenID Discovery §3, RFC 8414 §2, RFC 9207 §3) a list may narrow down, and a
login keeps to: `TrustedEntity.permitted`. Of a flag the values are `true` and `false`."""

_PRIVATE_KEY_JWT = "private_key_jwt"
AUTHENTICATION_METHODS = (_PRIVATE_KEY_JWT, "client_secret_basic")

_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519",)}
_MAXIMUM_TEXT = 2000

MAXIMUM_KEYS = 32
"""Keys by value of a system that is no OpenID party; each is tried."""

Check = Callable[[Any, Place], object]


def check_metadata(role: Role, entity_id: str, metadata: object) -> Mapping[str, Any]:
    """Check what is registered of a relying party or provider. Raises `EntryError` at the first rule it breaks."""
    if not isinstance(metadata, dict):
        raise EntryError(("metadata",), "registered OpenID metadata names with their values are expected")
    if role is Role.OPENID_PROVIDER:
        _check_provider(entity_id, metadata)
    else:
        _check_relying_party(entity_id, metadata)
    return metadata


def key_set(value: object, place: Place) -> Mapping[str, Any]:
    """Check the keys, by value, of a member that is no OpenID party: a JWK Set (RFC 7517 §5). Raises `EntryError`."""
    _jwks(value, place)
    assert isinstance(value, dict)
    if len(value["keys"]) > MAXIMUM_KEYS:
        raise EntryError(place, f"at most {MAXIMUM_KEYS} keys are expected")
    return value


def permitted(
    metadata: Mapping[str, Any], caps: Mapping[str, Mapping[str, Any]] | None = None
) -> Mapping[str, tuple[str, ...]]:
    """Read what a provider's metadata leave it, and of what they say nothing of, the caps of a policy.

    `caps` are policy operators by metadata name (OpenID Federation 1.0 §6.1.3.1): `subset_of` and `one_of` hold for
    what the provider announces elsewhere, too. Raises `EntryError`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, operators in (caps or {}).items():
        cap = operators.get("subset_of", operators.get("one_of"))
        if name in BINDING and name not in FLAGS and cap is not None:
            _texts(cap, ("metadata_policy", name))
            found[name] = tuple(cap)
    for name in metadata.keys() & BINDING:
        value, place = metadata[name], ("metadata", name)
        if name in ADDRESSES:
            found[name] = (rules.web_address(value, place),)
        elif name in FLAGS:
            _yes_or_no(value, place)
            found[name] = ("true" if value else "false",)
        else:
            _texts(value, place)
            found[name] = tuple(dict.fromkeys(value))
    if "jwks" in metadata:  # the keys themselves
        found.pop("jwks_uri", None)
    return found


def _check_provider(entity_id: str, metadata: Mapping[str, Any]) -> None:
    rules.issuer(entity_id, ("entity_id",))
    _check_table(metadata, _PROVIDER)
    if metadata.get("issuer", entity_id) != entity_id:
        raise EntryError(("metadata", "issuer"), "must equal entity_id")


def _check_relying_party(entity_id: str, metadata: Mapping[str, Any]) -> None:
    for name in ("redirect_uris", "token_endpoint_auth_method"):
        if name not in metadata:
            raise EntryError(("metadata", name), "is missing")
    _check_table(metadata, _RELYING_PARTY)
    if metadata.get("client_id", entity_id) != entity_id:
        raise EntryError(("metadata", "client_id"), "must equal entity_id")
    if metadata["token_endpoint_auth_method"] == _PRIVATE_KEY_JWT and "jwks" not in metadata:
        raise EntryError(("metadata", "jwks"), "is missing; private_key_jwt needs it")


def _check_table(metadata: Mapping[str, Any], table: Mapping[str, Check]) -> None:
    for name, value in metadata.items():
        place = ("metadata", str(name))
        check = table.get(str(name).partition("#")[0])  # client_name#ja: OpenID Registration §2.1
        if check is None:
            raise EntryError(place, f"not a name that this list keeps; known are {', '.join(sorted(table))}")
        check(value, place)


# --- checks of single values


def _one_of(*allowed: str) -> Check:
    def check(value: Any, place: Place) -> None:
        if value not in allowed:
            raise EntryError(place, f"one of {', '.join(allowed)} is expected")

    return check


def _all_of(*allowed: str, required: str) -> Check:
    def check(value: Any, place: Place) -> None:
        if not isinstance(value, list) or required not in value or any(item not in allowed for item in value):
            raise EntryError(place, f"a list with {required} is expected; allowed are {', '.join(allowed)}")

    return check


def _text(value: Any, place: Place) -> None:
    if not isinstance(value, str) or not value or len(value) > _MAXIMUM_TEXT:
        raise EntryError(place, "a text is expected")


def _texts(value: Any, place: Place) -> None:
    if not isinstance(value, list):
        raise EntryError(place, "a list of texts is expected")
    for index, item in enumerate(value):
        _text(item, (*place, index))


def _yes_or_no(value: Any, place: Place) -> None:
    if not isinstance(value, bool):
        raise EntryError(place, "true or false is expected")


def _addresses(value: Any, place: Place) -> None:
    if not isinstance(value, list) or not value:
        raise EntryError(place, "a list with at least one https address is expected")
    for index, item in enumerate(value):
        rules.web_address(item, (*place, index))
    if len(set(value)) != len(value):
        raise EntryError(place, "the same address occurs twice")


def _jwks(value: Any, place: Place) -> None:
    """Check a JWK Set (RFC 7517 §5): public asymmetric keys, unique key IDs, one usable for signatures."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not keys or set(value) != {"keys"}:
        raise EntryError(place, "a JWK Set is expected: {keys: […]} with at least one public key")
    for index, key in enumerate(keys):
        _public_key(key, (*place, "keys", index))
    kids = [key.get("kid") for key in keys]
    if len(keys) > 1 and (None in kids or len(set(kids)) != len(kids)):
        raise EntryError(place, "of several keys each needs a kid of its own")
    if not any(map(_verifies, keys)):
        raise EntryError(place, f"none of the keys verifies signatures of {', '.join(SIGNING_ALGORITHMS)}")


def _public_key(key: Any, place: Place) -> None:
    if not isinstance(key, dict):
        raise EntryError(place, "a JWK is expected")
    for member in _PRIVATE_MEMBERS:
        if member in key:
            raise EntryError(
                (*place, member),
                "is part of a private key, and a list is public: treat this key as disclosed, make a new "
                "one, and hand over its public part only",
            )
    kind = key.get("kty")
    if kind != "RSA" and key.get("crv") not in _CURVES.get(str(kind), ()):
        raise EntryError(place, "a key that is RSA, EC (P-256, P-384, P-521) or Ed25519 is expected")
    if not isinstance(key.get("kid", ""), str):
        raise EntryError((*place, "kid"), "a text is expected")
    if key.get("use", "sig") not in ("sig", "enc"):
        raise EntryError((*place, "use"), "sig or enc is expected")
    try:
        bits = int.from_bytes(urlsafe_b64decode(key["n"] + "==")).bit_length() if kind == "RSA" else None
        if bits is None or bits >= MINIMUM_RSA_BITS:
            jwk.import_key(key)
            return
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise EntryError(place, "the key cannot be read") from error
    raise EntryError(place, f"an RSA key of {bits} bits is too short; {MINIMUM_RSA_BITS} are needed")


def _verifies(key: Mapping[str, Any]) -> bool:
    """Tell whether the gateway can verify signatures with this key; it passes over the others."""
    kind = "RSA" if key["kty"] == "RSA" else key["crv"]
    fitting = {"RSA": _RSA_ALGORITHMS, "P-256": _EC_ALGORITHMS}.get(kind, ())
    return key.get("use", "sig") == "sig" and bool(fitting) and key.get("alg") in (None, *fitting)


_PROVIDER: Mapping[str, Check] = {
    "issuer": rules.issuer,
    "jwks": _jwks,
    "organization_name": _text,
    "contacts": _texts,
}
"""The issuer announces everything else itself; `jwks` pins its keys to those that the list vouches for."""

_RELYING_PARTY: Mapping[str, Check] = {
    "redirect_uris": _addresses,
    "token_endpoint_auth_method": _one_of(*AUTHENTICATION_METHODS),
    "token_endpoint_auth_signing_alg": _one_of(*SIGNING_ALGORITHMS),
    "jwks": _jwks,
    "id_token_signed_response_alg": _one_of(*ID_TOKEN_ALGORITHMS),
    "response_types": _all_of("code", required="code"),
    "grant_types": _all_of("authorization_code", required="authorization_code"),
    "subject_type": _one_of("pairwise"),
    "application_type": _one_of("web"),
    "backchannel_logout_uri": rules.web_address,
    "backchannel_logout_session_required": _yes_or_no,
    "client_id": rules.entity_id,
    "client_name": rules.display_name,
    "client_uri": rules.web_address,
    "logo_uri": rules.web_address,
    "policy_uri": rules.web_address,
    "tos_uri": rules.web_address,
    "contacts": _texts,
    "scope": _text,
    "software_id": _text,
    "software_version": _text,
}
