"""Constraints of OpenID Federation 1.0 (§6.2): how far, where and as what a superior lets its subordinates be."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_FEDERATION_ENTITY = "federation_entity"
_MAXIMUM_NAMES = 1000
_LONGEST_NAME = 254


class ConstraintError(Exception):
    """Constraints that cannot be read, or that a chain breaks.

    Codes: `structure`; `path-length`, `name` (the chain breaks them).
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What one subordinate statement constrains; None: not constrained. Names are lower case."""

    max_path_length: int | None = None
    permitted: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()
    allowed_entity_types: frozenset[str] | None = None


def read_constraints(claim: object) -> Constraints:
    """Check a `constraints` claim. What is not known is passed over (§6.2). Raises `ConstraintError`."""
    if not isinstance(claim, dict):
        raise ConstraintError("structure", "an object is expected")
    length = claim.get("max_path_length")
    if "max_path_length" in claim and (type(length) is not int or length < 0):
        raise ConstraintError("structure", "max_path_length: a whole number from 0 is expected")
    names = claim.get("naming_constraints", {})
    if not isinstance(names, dict):
        raise ConstraintError("structure", "naming_constraints: an object is expected")
    types = claim.get("allowed_entity_types")
    if "allowed_entity_types" in claim and not (
        isinstance(types, list) and all(isinstance(each, str) and each != _FEDERATION_ENTITY for each in types)
    ):
        raise ConstraintError(
            "structure", "allowed_entity_types: entity types are expected, federation_entity not among them"
        )
    return Constraints(
        max_path_length=length,
        permitted=_names(names["permitted"], "permitted") if "permitted" in names else None,
        excluded=_names(names["excluded"], "excluded") if "excluded" in names else (),
        allowed_entity_types=None if types is None else frozenset(types),
    )


def _names(value: object, which: str) -> tuple[str, ...]:
    """Domain names as in RFC 5280 §4.2.1.10: a host, or a domain with a leading period."""
    if not isinstance(value, list) or len(value) > _MAXIMUM_NAMES or not all(map(_is_name, value)):
        raise ConstraintError("structure", f"naming_constraints: {which}: hosts or domains (.example.jp) are expected")
    return tuple(name.lower().rstrip(".") for name in value)


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isascii():
        return False
    labels = value.removeprefix(".").rstrip(".").split(".")
    return all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)


def _matches(host: str, name: str) -> bool:
    return host.endswith(name) and len(host) > len(name) if name.startswith(".") else host == name


def check(constraints: Constraints, *, intermediates: int, subjects: Iterable[str]) -> None:
    """Hold a chain against the constraints of one of its statements.

    `intermediates` stand between the statement's issuer and the chain's subject; `subjects` are the entity
    identifiers of the statement's subject and of all below it. Raises `ConstraintError`.
    """
    if constraints.max_path_length is not None and intermediates > constraints.max_path_length:
        raise ConstraintError(
            "path-length",
            f"{intermediates} intermediate entities follow, but at most {constraints.max_path_length} are allowed",
        )
    for subject in subjects:
        host = (urlsplit(subject).hostname or "").rstrip(".")
        permitted = constraints.permitted
        if any(_matches(host, name) for name in constraints.excluded) or (
            permitted is not None and not any(_matches(host, name) for name in permitted)
        ):
            raise ConstraintError("name", f"{subject[:200]} lies outside the names that are allowed")


def allowed_types(constraints: Iterable[Constraints], types: Iterable[str]) -> frozenset[str]:
    """Answer which of the entity types all constraints allow; `federation_entity` always is (§6.2.3)."""
    stated = [each.allowed_entity_types for each in constraints if each.allowed_entity_types is not None]
    return frozenset(each for each in types if each == _FEDERATION_ENTITY or all(each in allowed for allowed in stated))
