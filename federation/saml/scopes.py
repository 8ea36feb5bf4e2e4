"""Scoped attributes: `person@scope`, worth something only from whom the list gives that scope.

SAML V2.0 Subject Identifier Attributes 1.0 §3 and §4.2.2, eduPerson §2.2; the list's word is `shibmd:Scope`.
"""

import re
from collections.abc import Collection, Mapping

PAIRWISE_ID = "urn:oasis:names:tc:SAML:attribute:pairwise-id"
SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"

SCOPED = frozenset(
    {
        PAIRWISE_ID,
        SUBJECT_ID,
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",  # eduPersonPrincipalName
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",  # eduPersonScopedAffiliation
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",  # eduPersonUniqueId
        "urn:mace:dir:attribute-def:eduPersonPrincipalName",
        "urn:mace:dir:attribute-def:eduPersonScopedAffiliation",
    }
)
"""Attributes whose values are scoped wherever they occur."""

_IDENTIFIERS = frozenset({PAIRWISE_ID, SUBJECT_ID})
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9=-]{0,126}@[a-z0-9][a-z0-9.-]{0,126}")


def within(
    attributes: Mapping[str, tuple[str, ...]], listed: Collection[str], scoped: Collection[str]
) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
    """Drop the values of `scoped` attributes outside the `listed` scopes; what is left, and names with dropped values.

    Scopes compare without case (shibmd §2.3). Values of the two subject identifiers do as a whole, and come out in
    lower case (§3.3.1, §3.4.1); malformed ones are dropped, and all of them if there are several, since each has
    one value.
    """
    kept: dict[str, tuple[str, ...]] = {}
    dropped: list[str] = []
    for name, values in attributes.items():
        if name not in scoped:
            kept[name] = values
            continue
        said = tuple(value.lower() for value in values) if name in _IDENTIFIERS else values
        good = tuple(value for value in said if _in_scope(name, value, listed))
        if name in _IDENTIFIERS and len(said) > 1:
            good = ()
        if len(good) < len(values):
            dropped.append(name)
        if good:
            kept[name] = good
    return kept, tuple(dropped)


def _in_scope(name: str, value: str, listed: Collection[str]) -> bool:
    person, at, scope = value.rpartition("@")
    if not (person and at) or scope.lower() not in listed:
        return False
    return name not in _IDENTIFIERS or _IDENTIFIER.fullmatch(value) is not None
