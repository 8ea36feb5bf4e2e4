"""What the corpus expects of a value: a text, or that it is absent and why."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing comes of it, for this reason."""

    reason: str


Outcome = str | Absent
Record = Mapping[str, object]

SYSTEMS = ("maebashi", "ebetsu", "omura")

NOT_GIVEN = Absent("not-given")


@dataclass(frozen=True, slots=True)
class Comes:
    """What each ID system's way of writing comes to, in the order of `SYSTEMS`."""

    maebashi: Outcome
    ebetsu: Outcome
    omura: Outcome


@dataclass(frozen=True, slots=True)
class Row:
    """One thing as each ID system writes it (None: not at all), and what comes of it, everywhere the same or not."""

    corner: str
    maebashi: str | None
    ebetsu: str | None
    omura: str | None
    expected: Outcome | Comes

    def written(self, system: str) -> str | None:
        """As that ID system writes it."""
        found: str | None = getattr(self, system)
        return found

    def comes(self, system: str) -> Outcome:
        """What comes of what that ID system writes; nothing written is nothing given."""
        if self.written(system) is None:
            return NOT_GIVEN
        if isinstance(self.expected, Comes):
            found: Outcome = getattr(self.expected, system)
            return found
        return self.expected
