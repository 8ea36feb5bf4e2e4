"""What one process remembers of revocations: answers and lists, bounded in number and octets.

Whatever was not used for longest goes first. An answer stays beyond its time for as long as its policy lets it count.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from federation.certificate.crl import RevocationList
from federation.certificate.model import Status, StatusQuestion

MOST_ANSWERS = 10_000
MOST_LISTS = 1_000
MOST_OCTETS = 256 * 1024 * 1024
"""Of all lists together; and of all answers."""

BESIDES = 8 * 1024
"""Octets that an answer takes beside its response: about those of two certificates, read."""


@dataclass(slots=True)
class Times:
    """When something was asked for (or confirmed) and used last, and when it is to be renewed in time."""

    asked_at: datetime
    used_at: datetime
    due: datetime

    @property
    def used(self) -> bool:
        """Whether it was used since it was asked for."""
        return self.used_at >= self.asked_at


@dataclass(slots=True)
class HeldAnswer:
    """What was learned of one certificate. `own` is what its responder said, without the lists.

    `generation`: which lists it was held against; `lists`: where those stand that it may be on.
    """

    question: StatusQuestion
    status: Status
    own: Status | None
    generation: int
    times: Times
    lists: tuple[Hashable, ...] = ()

    @property
    def octets(self) -> int:
        """About how much memory it takes: lists are counted where they are held."""
        said = (self.status, self.own) if self.own is not None else (self.status,)
        return BESIDES + sum(len(each.der) for one in said for each in one.evidence if each.kind == "ocsp")


@dataclass(slots=True)
class HeldList:
    """A list, where it is from, and by what to ask whether it is still the current one."""

    url: str
    question: StatusQuestion
    list: RevocationList
    etag: str | None
    last_modified: str | None
    times: Times

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        return self.list.octets


H = TypeVar("H", HeldAnswer, HeldList)


@dataclass(slots=True)
class Shelf(Generic[H]):
    """Things by key, at most so many and so large together."""

    most: int
    most_octets: int
    octets: int = 0
    _held: "OrderedDict[Hashable, H]" = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[Hashable, H]]:
        """Everything, as it is now."""
        return iter(tuple(self._held.items()))

    def get(self, key: Hashable, now: datetime | None = None) -> H | None:
        """What is held; with `now` it counts as used."""
        found = self._held.get(key)
        if found is not None and now is not None:
            found.times.used_at = max(found.times.used_at, now)
            self._held.move_to_end(key)
        return found

    def put(self, key: Hashable, held: H) -> None:
        """Hold it, in the place of what was there; what was not used for longest makes room."""
        self.drop(key)
        self._held[key] = held
        self.octets += held.octets
        while self._held and (len(self._held) > self.most or self.octets > self.most_octets):
            self.drop(next(iter(self._held)))

    def drop(self, key: Hashable) -> None:
        """Let go of it."""
        found = self._held.pop(key, None)
        if found is not None:
            self.octets -= found.octets


MOST_FAILURES = 4096


class Failures:
    """Who failed a moment ago, and how: the last `MOST_FAILURES`."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[datetime, str]] = OrderedDict()

    def add(self, key: Hashable, text: str, *, until: datetime) -> None:
        """Remember a failure."""
        self._held[key] = (until, text)
        self._held.move_to_end(key)
        while len(self._held) > MOST_FAILURES:
            self._held.popitem(last=False)

    def of(self, *keys: Hashable, now: datetime) -> str:
        """What the first of these failed by that failed; "" if none did."""
        for key in keys:
            until, text = self._held.get(key, (now, ""))
            if now < until:
                return text
        return ""
