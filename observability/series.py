"""Counters per minute, for the operations page: few, closed names that every worker adds to the same store.

| name | counts |
|---|---|
| `login:{municipality}:{outcome}` | logins that ended, by the ID system's municipality |
| `call:{municipality}:{outcome}` | calls that ended, by the caller's municipality |
| `refusal:{reason}` | refused and denied logins, refused and failed calls, by the refusal's code |

A municipality is a code of the configuration, `other` or `none` (`vocabulary.py`). A minute is a number:
whole minutes since the epoch.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from observability.events import CallEvent, EndingEvent, EndReason, Event, LoginEvent, LogoutEvent
from observability.vocabulary import OTHER, REASONS, Vocabulary, closed

MINUTES_HELD = 60
"""How many minutes are held while nobody drains them (the store is down); older ones are given up."""


def minute_of(moment: datetime) -> int:
    """The minute of an aware time."""
    return int(moment.timestamp() // 60)


class Series:
    """Counts events by minute until they are drained, as a `Recorder`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._counts: dict[int, dict[str, int]] = {}
        self._names: dict[tuple[str, str | None, StrEnum], str] = {}

    def reload(self, vocabulary: Vocabulary) -> None:
        """Take over the names of a new configuration."""
        self._vocabulary = vocabulary
        self._names.clear()

    def record_call(self, event: CallEvent) -> None:
        """Count a call."""
        self._ended("call", event)

    def record(self, event: Event) -> None:
        """Count a login, a call, sessions that were ended, or why a logout was refused; the others are states."""
        match event:
            case CallEvent():
                self._ended("call", event)
            case LoginEvent():
                self._ended("login", event)
            case EndingEvent(reason=EndReason.UNTRUSTED):
                _add(self._minute(minute_of(event.at)), "sessions-ended", event.ended)
                _add(self._minute(minute_of(event.at)), "sessions-untold", event.untold)
            case LogoutEvent(reason=str(reason)):
                _add(self._minute(minute_of(event.at)), f"refusal:{closed(reason, REASONS)}", 1)

    def _ended(self, kind: str, event: CallEvent | LoginEvent) -> None:
        counts = self._minute(minute_of(event.at))
        _add(counts, self._name(kind, event.municipality, event.outcome), 1)
        if event.reason is not None:
            _add(counts, f"refusal:{closed(event.reason, REASONS)}", 1)

    def _name(self, kind: str, municipality: str | None, outcome: StrEnum) -> str:
        asked = (kind, municipality, outcome)
        name = self._names.get(asked)
        if name is None:
            code = closed(municipality, self._vocabulary.municipalities)
            name = f"{kind}:{code}:{outcome.value}"
            if code != OTHER:  # of those there may be any number
                self._names[asked] = name
        return name

    def drain(self) -> Mapping[int, Mapping[str, int]]:
        """Every count since the last time, by minute and name; they are the caller's now."""
        drained, self._counts = self._counts, {}
        return drained

    def put_back(self, counts: Mapping[int, Mapping[str, int]]) -> None:
        """Take drained counts again: the store did not."""
        for minute, names in counts.items():
            held = self._minute(minute)
            for name, count in names.items():
                _add(held, name, count)

    def _minute(self, minute: int) -> dict[str, int]:
        held = self._counts.get(minute)
        if held is None:
            held = self._counts[minute] = {}
            for old in sorted(self._counts)[:-MINUTES_HELD]:
                del self._counts[old]
        return held


def merged(*counts: Mapping[int, Mapping[str, int]]) -> dict[int, dict[str, int]]:
    """The sum of several drains: what the store holds after each was added."""
    total: dict[int, dict[str, int]] = {}
    for minutes in counts:
        for minute, names in minutes.items():
            for name, count in names.items():
                _add(total.setdefault(minute, {}), name, count)
    return total


def _add(counts: dict[str, int], name: str, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
