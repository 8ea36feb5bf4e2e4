"""Instants in trust lists: how they are written.

No clock is read here: `now` is a parameter everywhere. All instants are aware, UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

LEEWAY = timedelta(minutes=2)
"""How far an issue date may lie ahead of our clock. Expiry has no leeway: a list that is over is over."""

LONGEST_DURATION = timedelta(days=366)
"""Longer durations count as this one."""

_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?"
    r"(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.\d{1,9})?S)?)?",
    re.ASCII,
)
_SECONDS = (365 * 86_400, 30 * 86_400, 86_400, 3600, 60, 1)
"""A year and a month are as short as they can reasonably be meant: what is refreshed by them is refreshed early."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@lru_cache(maxsize=256)
def parse_instant(text: str) -> datetime:
    """Read an xs:dateTime as UTC (SAML Core §1.3.3). Raises ValueError; without a stated offset too."""
    if not _INSTANT.fullmatch(text):
        message = f"{text[:40]!r} is not a time such as 2026-04-01T00:00:00Z"
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        message = f"{text[:40]!r} is outside the calendar"
        raise ValueError(message) from error


def parse_duration(text: str) -> timedelta:
    """Read an xs:duration that is not negative, in whole seconds (SAML Metadata §2.3.1). Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        message = f"{text[:40]!r} is not a duration such as PT6H"
        raise ValueError(message)
    seconds = sum(int(count or 0) * each for count, each in zip(found.groups(), _SECONDS, strict=True))
    return min(timedelta(seconds=min(seconds, 10**9)), LONGEST_DURATION)


def format_duration(duration: timedelta) -> str:
    """Write a duration as xs:duration in whole seconds."""
    return f"PT{int(duration.total_seconds())}S"


def format_instant(instant: datetime) -> str:
    """Write an aware time as xs:dateTime in UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
