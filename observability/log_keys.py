"""Which keys a line of the log may have, and the form of their values: a closed table.

An attribute's value can slip into a log only under a key, so a key that is not in the table, or a value that
has not the form stated there, is not written. The line says which keys were dropped, and never what they
held.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from structlog.typing import EventDict

from observability.exceptions import Described

Check = Callable[[Any], bool]

LONGEST_TEXT = 400
"""Characters of a free text that are written."""


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


_NAME = _matches(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SLUG = _matches(r"[a-z][a-z0-9.-]{0,63}")

KEYS: Mapping[str, Check] = {
    # what every line says, beside `timestamp`, `service` and `version`, which nobody can set
    "event": _SLUG,
    "level": _SLUG,
    "logger": _NAME,
    "request_id": _matches(r"[A-Za-z0-9_-]{1,64}"),
    # what events say
    "attribute": _matches(r"[A-Za-z][A-Za-z0-9_.:/-]{0,127}"),
    "bridge": _SLUG,
    "change": _SLUG,
    "code": _NAME,
    "direction": _SLUG,
    "downstream": _SLUG,
    "entities": _is_number,
    "faults": _is_number,
    "id_system": _NAME,
    "identity_level": _is_number,
    "list": _NAME,
    "mistakes": _is_number,
    "municipality": _matches(r"[0-9]{6}|other|none"),
    "outcome": _SLUG,
    "own_seconds": _is_number,
    "reason": _SLUG,
    "why": _matches(r"[A-Za-z0-9 ._:;/+-]{1,2000}"),
    "relying_service": _NAME,
    "api_service": _NAME,
    "route": _matches(r"/[A-Za-z0-9_./{}*~-]{0,199}"),
    "rule": _SLUG,
    "seconds": _is_number,
    "status": _is_number,
    "told": _is_number,
    "untold": _is_number,
    "upstream": _SLUG,
    "upstream_seconds": _is_number,
    "valid_until": _is_moment,
    # what the running of the gateway says
    "address": _matches(r"https?://[A-Za-z0-9.:\[\]-]{1,128}/?"),
    "admin_address": _matches(r"https?://[A-Za-z0-9.:\[\]-]{1,128}/?"),
    "count": _is_number,
    "detail": _is_text,
    "exit_code": _is_number,
    "limit": _is_number,
    "path": _is_text,
    "pid": _is_number,
    "port": _is_number,
    "signal": _matches(r"SIG[A-Z0-9]{2,8}"),
    "store": _matches(r"embedded|redis|rediss|unix"),
    "weaker": _SLUG,
    "worker": _is_number,
    # what is added for other libraries' records
    "message": _is_text,
    "where": _matches(r"[A-Za-z0-9_./<>-]{1,160}:[A-Za-z0-9_.<>-]{1,80}:[0-9]{1,6}"),
}
"""Every key that may be written, and the form of its value.

`detail` and `path` are the only free texts a caller can give: the detail of a refusal, which never holds
personal data (`federation/refusal.py`), and the path of one of our own files. `message` is set here alone.
"""


def keep_known(entry: EventDict) -> EventDict:
    """Keep what `KEYS` allows; name what was dropped."""
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    for key, value in entry.items():
        if value is None:
            continue
        if key == "exception" and isinstance(value, Described):
            kept[key] = value.content
            continue
        check = KEYS.get(key)
        if check is None or not check(value):
            dropped.append(key if _NAME(key) else "unnamed")
        elif isinstance(value, str):
            kept[key] = str(value)[:LONGEST_TEXT]
        elif isinstance(value, datetime):
            kept[key] = iso(value)
        else:
            kept[key] = value
    kept.setdefault("event", "unnamed")
    if dropped:
        kept["dropped_keys"] = sorted(set(dropped))
    return kept


class _Seconds:
    """The last second that was asked for, and its text: most lines are of the same one as the line before."""

    def __init__(self) -> None:
        self._last = (0, 0, 0, 0, 0, 0)
        self._text = ""

    def text(self, utc: datetime) -> str:
        """ISO 8601 without the fraction."""
        second = (utc.second, utc.minute, utc.hour, utc.day, utc.month, utc.year)
        if second != self._last:
            self._last, self._text = second, utc.isoformat()[:19]
        return self._text


_SECONDS = _Seconds()


def iso(moment: datetime) -> str:
    """UTC as ISO 8601 with milliseconds and `Z`."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{_SECONDS.text(utc)}.{utc.microsecond // 1000:03d}Z"
