"""Claims as both doors see them: flattened for attribute maps, nested for services, asked by scope or name.

A claim of the outward map is reached (OIDC Core §5.4, §5.5)

- by the standard scope it belongs to (`profile`, `email`, `address`, `phone`),
- by a scope of its own name, so that a service can ask for a claim of the region's own with plain OAuth, or
- by its name in the `claims` parameter, for the userinfo answer or for the ID token.

Asking for `address` reaches every `address.…`, and asking for `name` its language-tagged forms,
`name#ja-Kana-JP` (§5.2).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from federation.oidc.strict_json import read_object

SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
        "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}  # fmt: skip
"""What each standard scope asks for (OIDC Core §5.4)."""

PROTOCOL_CLAIMS = frozenset(
    {
        "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr", "azp",
        "at_hash", "c_hash", "s_hash", "sid", "sub_jwk", "_claim_names", "_claim_sources",
    }
)  # fmt: skip
"""Claims that speak of the token, not of the person: never an attribute in either direction."""

MAX_CLAIMS_PARAMETER = 16 * 1024
"""Octets of the longest `claims` parameter that is read."""

_MAX_DEPTH = 8


def flatten(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Claims as attributes: nested members joined with dots, every value a string, arrays as several values.

    `true` and `false` for booleans, digits for numbers. Null, an empty string and an empty array say nothing
    and are left out (OIDC Core §5.3.2). A claim that some providers send as a string and others as an object
    (`address`) comes out as `address` or as `address.…`, whichever was sent. What is nested deeper than eight
    levels is left out.
    """
    found: dict[str, list[str]] = {}
    _flatten(claims, "", 0, found)
    return {name: tuple(values) for name, values in found.items()}


def _flatten(value: object, name: str, depth: int, found: dict[str, list[str]]) -> None:
    if isinstance(value, Mapping):
        if depth < _MAX_DEPTH:
            for member, inner in value.items():
                _flatten(inner, f"{name}.{member}" if name else member, depth + 1, found)
    elif isinstance(value, list):
        if depth < _MAX_DEPTH:
            for inner in value:
                _flatten(inner, name, depth + 1, found)
    elif isinstance(value, bool):
        found.setdefault(name, []).append("true" if value else "false")
    elif isinstance(value, (int, float)) or (isinstance(value, str) and value):
        found.setdefault(name, []).append(str(value))


def nest(attributes: Mapping[str, Sequence[str]], truths: Collection[str] = ()) -> dict[str, Any]:
    """Attributes as claims: `address.locality` within an object, one value as a string, several as an array.

    Those named in `truths`, which are facts, become `true` or `false`.

    A collision-resistant name (one with a colon, OIDC Core §5.1.2) is not taken apart at its dots. Raises
    `ValueError` when one name is both a value and an object; `check_names` tells that beforehand.
    """
    claims: dict[str, Any] = {}
    for name, values in attributes.items():
        if not values:
            continue
        *path, last = _path(name)
        place = claims
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ValueError(f"the claim {step} is both a value and an object")  # noqa: TRY004 - of names
        if last in place:
            raise ValueError(f"the claim {last} is both a value and an object")
        said = [value == "true" for value in values] if name in truths else list(values)
        place[last] = said[0] if len(said) == 1 else said
    return claims


def _path(name: str) -> list[str]:
    return [name] if ":" in name else name.split(".")


def check_names(names: Iterable[str]) -> None:
    """Raise `ValueError` if `names` cannot together be a service's claims, or are reserved."""
    listed = list(names)
    reserved = PROTOCOL_CLAIMS.intersection(listed)
    if reserved:
        raise ValueError(f"a service's claim cannot be called {min(reserved)}: OpenID Connect gives it a meaning")
    nest(dict.fromkeys(listed, ("",)))


def reached(asked: Iterable[str], outward: Sequence[str]) -> tuple[str, ...]:
    """The names of `outward`, in its order, that asking for `asked` reaches."""
    wanted = set(asked)
    return tuple(
        name
        for name in outward
        if name in wanted or name.partition("#")[0] in wanted or any(name.startswith(f"{parent}.") for parent in wanted)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsAsked:
    """The `claims` parameter as far as it means something here (OIDC Core §5.5).

    `acr` are the values asked of the ID token's `acr` and `acr_essential` whether one of them is a must;
    `verified_userinfo` and `verified_id_token` are what is asked of verified claims, as it stands (`verified.py`).
    `subject` is the one person for whom alone an answer is wanted. Other values are wishes that a service
    checks itself.
    """

    userinfo: frozenset[str] = frozenset()
    id_token: frozenset[str] = frozenset()
    acr: tuple[str, ...] = ()
    acr_essential: bool = False
    verified_userinfo: Any = None
    verified_id_token: Any = None
    subject: str | None = None


def read_claims_parameter(text: str) -> ClaimsAsked:
    """Read a `claims` parameter; unknown members are passed over (OIDC Core §5.5). Raises `ValueError`."""
    asked = read_object(text, limit=MAX_CLAIMS_PARAMETER)
    verified = {place: members.pop("verified_claims", None) for place, members in asked.items() if _is_place(members)}
    userinfo, id_token = _members(asked, "userinfo"), _members(asked, "id_token")
    acr = id_token.get("acr") or {}
    subject = _values(id_token.get("sub") or {}) + _values(userinfo.get("sub") or {})
    if len(set(subject)) > 1:
        raise ValueError("more than one sub is asked for")
    return ClaimsAsked(
        userinfo=frozenset(userinfo) - PROTOCOL_CLAIMS,
        id_token=frozenset(id_token) - PROTOCOL_CLAIMS,
        acr=_values(acr),
        acr_essential=acr.get("essential") is True,
        verified_userinfo=verified.get("userinfo"),
        verified_id_token=verified.get("id_token"),
        subject=subject[0] if subject else None,
    )


def _is_place(members: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(members, dict)


def _members(asked: Mapping[str, Any], place: str) -> Mapping[str, Mapping[str, Any] | None]:
    members = asked.get(place)
    if members is None:
        return {}
    if not isinstance(members, dict) or not all(m is None or isinstance(m, dict) for m in members.values()):
        raise ValueError(f"{place} must be an object of null or objects")
    return members


def _values(wish: Mapping[str, Any]) -> tuple[str, ...]:
    values = wish.get("values", [wish["value"]] if "value" in wish else [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("value and values must be strings")
    return tuple(values)
