"""JSON read strictly: what two readers could understand differently is refused."""

import json
from typing import Any, NoReturn

_MAXIMUM_DEPTH = 32


def loads(data: bytes) -> Any:
    """Read a UTF-8 JSON text (RFC 8259).

    Raises ValueError for duplicate member names, NaN and Infinity, lone surrogates, more than 32 levels and
    anything that is not JSON.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except RecursionError as error:
        message = f"more than {_MAXIMUM_DEPTH} levels deep"
        raise ValueError(message) from error
    _check(value, 1)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the member {twice[:60]!r} occurs twice in one object"
        raise ValueError(message)
    return members


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON value"
    raise ValueError(message)


def _check(value: Any, depth: int) -> None:
    if depth > _MAXIMUM_DEPTH:
        message = f"more than {_MAXIMUM_DEPTH} levels deep"
        raise ValueError(message)
    if isinstance(value, str):
        value.encode("utf-8")  # UnicodeEncodeError, a ValueError, for a lone surrogate
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            name.encode("utf-8")
            _check(item, depth + 1)
