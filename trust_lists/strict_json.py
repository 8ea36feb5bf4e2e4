"""JSON from others, read strictly: what two readers could understand differently is refused.

RFC 8259 leaves duplicate members, huge numbers and lone surrogates to the reader; where a signature or a decision
hangs on the text, two readers must not see two things. Error texts repeat nothing of the document.
"""

import json
import math
from typing import Any, NoReturn

_MAXIMUM_DEPTH = 32


def loads(data: bytes) -> Any:
    """Read a UTF-8 JSON text (RFC 8259).

    Raises ValueError for duplicate member names, NaN, Infinity and numbers as large, lone surrogates, more than
    32 levels and anything that is not JSON.
    """
    try:
        value = _READER.decode(data.decode())
    except RecursionError as error:
        raise ValueError(f"more than {_MAXIMUM_DEPTH} levels deep") from error
    if data.count(b"[") + data.count(b"{") > _MAXIMUM_DEPTH:
        _check_depth(value, 1)
    if b"\\u" in data:  # the only way for a surrogate into a UTF-8 text
        json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, for a lone one
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name occurs twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_READER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_no_constant)
"""Made once: making it costs as much as reading a short text."""


def _check_depth(value: Any, depth: int) -> None:
    if depth > _MAXIMUM_DEPTH:
        raise ValueError(f"more than {_MAXIMUM_DEPTH} levels deep")
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, depth + 1)
