"""Metadata policy of OpenID Federation 1.0 (§6.1): what superiors demand of the metadata of those below them.

A policy is JSON of three levels: entity type, metadata parameter, operator. `read` checks one, `merge` brings a
subordinate's policy into its superior's, `apply` makes the resolved metadata. Each raises `PolicyError`, and then
the trust chain is invalid (§6.1.4). The seven standard operators and their combinations are two tables; operators
of other names are ignored, as §6.1.3.2 wants it, unless `metadata_policy_crit` names them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

Operators = Mapping[str, Any]
"""The policy of one metadata parameter: operator names with their values."""

Policy = Mapping[str, Mapping[str, Operators]]
"""Entity type, metadata parameter, operators. It was checked by `read`."""

Metadata = Mapping[str, Mapping[str, Any]]
"""Metadata parameters by entity type."""

_SCOPE = "scope"
_ABSENT: Any = object()
_SHOWN = 100


class PolicyError(Exception):
    """A policy that cannot be kept, or that the metadata break; `code` for machines, the text says where and what.

    Codes: `structure`, `operator-value`, `combination`, `merge`, `critical-operator` (the policy), `parameter-type`,
    `one-of`, `superset-of`, `essential` (the metadata).
    """

    def __init__(self, code: str, place: Iterable[str], reason: str) -> None:
        where = ".".join(step[:_SHOWN] for step in place)
        super().__init__(f"metadata policy of {where}: {reason}" if where else f"metadata policy: {reason}")
        self.code = code


class _Conflict(Exception):  # noqa: N818 - becomes a PolicyError with its place
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# --- values


def _identity(value: Any) -> str:
    """Answer a text that is the same for equal JSON values only (`true` is not 1, and 1.0 is 1)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "text " + value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _set(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(map(_identity, values))


def _equal(one: Any, other: Any) -> bool:
    """Compare JSON values; an array is a set (§6.1.3: the order of merged values is not defined)."""
    if isinstance(one, list) and isinstance(other, list):
        return _set(one) == _set(other)
    return _identity(one) == _identity(other)


def _union(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return list({_identity(value): value for value in (*one, *other)}.values())


def _intersection(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    kept = _set(other)
    return [value for value in one if _identity(value) in kept]


def _is_element(value: object) -> bool:
    return isinstance(value, str | int | float | dict) and not isinstance(value, bool)


def _is_array(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_element, value))


def _is_value(value: object) -> bool:
    return isinstance(value, bool) or _is_element(value) or _is_array(value)


# --- operators: what they do with a metadata parameter


def _array(parameter: Any) -> list[Any]:
    if not _is_array(parameter):
        raise _Conflict("parameter-type", "the metadata parameter must be an array of texts, numbers or objects")
    found: list[Any] = parameter
    return found


def _apply_value(_: Any, value: Any) -> Any:
    return _ABSENT if value is None else value


def _apply_add(parameter: Any, value: Any) -> Any:
    return list(value) if parameter is _ABSENT else _union(_array(parameter), value)


def _apply_default(parameter: Any, value: Any) -> Any:
    return value if parameter is _ABSENT else parameter


def _apply_one_of(parameter: Any, value: Any) -> Any:
    if parameter is _ABSENT:
        return parameter
    if not _is_element(parameter):
        raise _Conflict("parameter-type", "the metadata parameter must be a text, a number or an object")
    if _identity(parameter) not in _set(value):
        raise _Conflict("one-of", "the metadata parameter has none of the values of one_of")
    return parameter


def _apply_subset_of(parameter: Any, value: Any) -> Any:
    return parameter if parameter is _ABSENT else _intersection(_array(parameter), value)


def _apply_superset_of(parameter: Any, value: Any) -> Any:
    if parameter is not _ABSENT and not _set(_array(parameter)) >= _set(value):
        raise _Conflict("superset-of", "the metadata parameter lacks a value of superset_of")
    return parameter


def _apply_essential(parameter: Any, value: Any) -> Any:
    if value and parameter is _ABSENT:
        raise _Conflict("essential", "the metadata parameter is missing")
    return parameter


# --- operators: how two superiors' values become one


def _merge_equal(superior: Any, subordinate: Any) -> Any:
    if not _equal(superior, subordinate):
        raise _Conflict("merge", "a superior and its subordinate demand different values")
    return superior


def _merge_one_of(superior: Any, subordinate: Any) -> Any:
    merged = _intersection(superior, subordinate)
    if not merged:
        raise _Conflict("merge", "no value is left that a superior and its subordinate both allow")
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One row: which values configure the operator, how two of them merge, what it makes of a metadata parameter."""

    name: str
    accepts: Callable[[Any], bool]
    merge: Callable[[Any, Any], Any]
    apply: Callable[[Any, Any], Any]


OPERATORS: tuple[Operator, ...] = (
    Operator(
        name="value", accepts=lambda value: value is None or _is_value(value), merge=_merge_equal, apply=_apply_value
    ),
    Operator(name="add", accepts=_is_array, merge=_union, apply=_apply_add),
    Operator(name="default", accepts=_is_value, merge=_merge_equal, apply=_apply_default),
    Operator(name="one_of", accepts=_is_array, merge=_merge_one_of, apply=_apply_one_of),
    Operator(name="subset_of", accepts=_is_array, merge=_intersection, apply=_apply_subset_of),
    Operator(name="superset_of", accepts=_is_array, merge=_union, apply=_apply_superset_of),
    Operator(
        name="essential",
        accepts=lambda value: isinstance(value, bool),
        merge=lambda superior, subordinate: superior or subordinate,
        apply=_apply_essential,
    ),
)
"""The standard operators (§6.1.3.1) in their order of application."""

STANDARD = frozenset(operator.name for operator in OPERATORS)

_Condition = Callable[[Any, Any], bool]


def _always(_: Any, __: Any) -> bool:
    return True


def _never(_: Any, __: Any) -> bool:
    return False


def _within(inner: Any, outer: Any) -> bool:
    """Tell whether all of `inner` is in `outer`; what is no array (`null` too) is in none, and has nothing in it."""
    return isinstance(inner, list) and isinstance(outer, list) and _set(inner) <= _set(outer)


COMBINATIONS: Mapping[tuple[str, str], _Condition] = {
    ("value", "add"): lambda value, add: _within(add, value),
    ("value", "default"): lambda value, _: value is not None,
    ("value", "one_of"): lambda value, one_of: value is not None and _identity(value) in _set(one_of),
    ("value", "subset_of"): _within,
    ("value", "superset_of"): lambda value, superset_of: _within(superset_of, value),
    ("value", "essential"): lambda value, essential: value is not None or not essential,
    ("add", "default"): _always,
    ("add", "one_of"): _never,
    ("add", "subset_of"): _within,
    ("add", "superset_of"): _always,
    ("add", "essential"): _always,
    ("default", "one_of"): _always,
    ("default", "subset_of"): _always,
    ("default", "superset_of"): _always,
    ("default", "essential"): _always,
    ("one_of", "subset_of"): _never,
    ("one_of", "superset_of"): _never,
    ("one_of", "essential"): _always,
    ("subset_of", "superset_of"): lambda subset_of, superset_of: _within(superset_of, subset_of),
    ("subset_of", "essential"): _always,
    ("superset_of", "essential"): _always,
}
"""Each pair of operators in their order of application, and when one parameter's policy may hold both (§6.1.3.1)."""


# --- policies


def read(claim: object, *, critical: Iterable[str] = ()) -> Policy:
    """Check a `metadata_policy` claim (§6.1.2). Operators that are not known are left out.

    Raises `PolicyError`: `critical-operator` for an operator that is not known and is among `critical`.
    """
    needed = frozenset(critical)
    return {
        entity_type: {
            parameter: _operators(operators, (entity_type, parameter), needed)
            for parameter, operators in _object(parameters, (entity_type,)).items()
        }
        for entity_type, parameters in _object(claim, ()).items()
    }


def _object(value: object, place: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError("structure", place, "an object is expected")
    return value


def _operators(stated: object, place: tuple[str, ...], critical: frozenset[str]) -> Operators:
    operators = _object(stated, place)
    for name in operators:
        if name not in STANDARD and name in critical:
            raise PolicyError("critical-operator", (*place, name), "this operator must be understood, and is not")
    found: dict[str, Any] = {}
    for operator in OPERATORS:
        if operator.name not in operators:
            continue
        value = operators[operator.name]
        if place[-1] == _SCOPE and operator.name in ("value", "default") and isinstance(value, str):
            value = value.split()
        if not operator.accepts(value) or (place[-1] == _SCOPE and not _fits_scope(operator.name, value)):
            raise PolicyError("operator-value", (*place, operator.name), "the operator takes no such value")
        found[operator.name] = value
    _check_combinations(found, place)
    return found


def _fits_scope(name: str, value: Any) -> bool:
    """Tell whether a value is one for `scope`, which operators see as an array of texts (§6.1.3.1.8)."""
    if name == "essential" or (name == "value" and value is None):
        return True
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _check_combinations(operators: Operators, place: tuple[str, ...]) -> None:
    names = [operator.name for operator in OPERATORS if operator.name in operators]
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            if not COMBINATIONS[first, second](operators[first], operators[second]):
                raise PolicyError("combination", place, f"{first} and {second} cannot stand together as they are")


def merge(superior: Policy, subordinate: Policy) -> Policy:
    """Bring a subordinate's policy into its superior's (§6.1.4.1): identical or more restrictive, never wider.

    Raises `PolicyError`.
    """
    merged = {entity_type: dict(parameters) for entity_type, parameters in superior.items()}
    for entity_type, parameters in subordinate.items():
        known = merged.setdefault(entity_type, {})
        for parameter, operators in parameters.items():
            place = (entity_type, parameter)
            known[parameter] = _merged(known[parameter], operators, place) if parameter in known else operators
    return merged


def _merged(superior: Operators, subordinate: Operators, place: tuple[str, ...]) -> Operators:
    merged: dict[str, Any] = {}
    for operator in OPERATORS:
        stated = [each[operator.name] for each in (superior, subordinate) if operator.name in each]
        try:
            if stated:
                merged[operator.name] = reduce(operator.merge, stated)
        except _Conflict as conflict:
            raise PolicyError(conflict.code, (*place, operator.name), conflict.reason) from None
    _check_combinations(merged, place)
    return merged


def apply(policy: Policy, metadata: Metadata) -> dict[str, dict[str, Any]]:
    """Make the resolved metadata (§6.1.4.2) of the entity types that are there. Raises `PolicyError`."""
    return {
        entity_type: _applied(policy.get(entity_type, {}), parameters, entity_type)
        for entity_type, parameters in metadata.items()
    }


def _applied(policy: Mapping[str, Operators], parameters: Mapping[str, Any], entity_type: str) -> dict[str, Any]:
    resolved = dict(parameters)
    for name, operators in policy.items():
        value = resolved.pop(name, _ABSENT)
        place = (entity_type, name)
        if name == _SCOPE and value is not _ABSENT and operators:
            if not isinstance(value, str):
                raise PolicyError("parameter-type", place, "a text of scopes is expected")
            value = value.split()
        for operator in OPERATORS:
            if operator.name not in operators:
                continue
            try:
                value = operator.apply(value, operators[operator.name])
            except _Conflict as conflict:
                raise PolicyError(conflict.code, (*place, operator.name), conflict.reason) from None
        if value is not _ABSENT:
            resolved[name] = " ".join(value) if name == _SCOPE and isinstance(value, list) else value
    return resolved
