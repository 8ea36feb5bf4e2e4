"""JSON objects and times as JOSE and OpenID write them, on top of `trust_lists.strict_json`."""

from datetime import UTC, datetime
from typing import Any

from trust_lists import strict_json

MAX_DOCUMENT = 256 * 1024
"""Octets of the largest document that is read (a provider's configuration, a JWKS, a token response)."""

_LAST_INSTANT = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can hold


def read_object(document: bytes | str, *, limit: int = MAX_DOCUMENT) -> dict[str, Any]:
    """The JSON object in `document`, at most `limit` octets long, read strictly.

    Raises `ValueError` for anything else.
    """
    raw = document.encode() if isinstance(document, str) else document
    if len(raw) > limit:
        raise ValueError("the document is too large")
    found = strict_json.loads(raw)
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
