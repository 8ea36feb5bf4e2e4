"""JSON from the other side, read strictly: one meaning per document, bounded, nothing to choke on later.

Owns reading only. RFC 8259 leaves duplicate members, huge numbers and lone surrogates to the parser; where a
signature or a decision hangs on the text, two parsers must not see two things.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any

MAX_DOCUMENT = 256 * 1024
"""Octets of the largest document that is read (a provider's configuration, a JWKS, a token response)."""

_LAST_INSTANT = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can hold


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member name occurs twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def read_object(document: bytes | str, *, limit: int = MAX_DOCUMENT) -> dict[str, Any]:
    """The JSON object in `document`, at most `limit` octets long.

    Raises `ValueError` for anything else: another type, duplicate member names (RFC 8259 §4), NaN or an
    infinite number, nesting too deep, text that is not UTF-8 or has a lone surrogate (RFC 8259 §8.2).
    """
    try:
        raw = document.encode() if isinstance(document, str) else document
        if len(raw) > limit:
            raise ValueError("the document is too large")
        found = json.loads(
            raw.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
        )
        if b"\\u" in raw:
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("the document is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("the document is not an object")  # noqa: TRY004 - one error for whatever is wrong
    return found


def instant(value: object) -> datetime | None:
    """A NumericDate (RFC 7519 §2: seconds since the epoch) as an aware UTC time, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value <= _LAST_INSTANT:
        return None
    return datetime.fromtimestamp(value, UTC)


def seconds(at: datetime) -> int:
    """An aware time as a NumericDate in whole seconds."""
    return int(at.timestamp())
