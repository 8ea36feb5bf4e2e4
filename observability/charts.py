"""Bar charts as numbers: where each bar stands, how high it is, and what its axis says.

A chart is drawn in a box of `WIDTH` by `HEIGHT` units that the page stretches to the room it has; texts stand
beside it in HTML, so that they keep their size on a telephone. Nothing here knows a language or a colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

WIDTH = 960
HEIGHT = 200

GAP = 0.2
"""The share of a bar's place that stays empty."""

_ROUND = (4, 6, 8, 10, 14, 20, 30, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of a stacked bar, measured from the top left."""

    name: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One time's bar, from the bottom up. `place` is the left edge of all that belongs to that time."""

    at: datetime
    place: float
    x: float
    segments: tuple[Segment, ...]

    @property
    def total(self) -> int:
        """What the bar counts."""
        return sum(segment.count for segment in self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A stacked bar chart. `top` is what the upper edge of the box stands for."""

    names: tuple[str, ...]
    bars: tuple[Bar, ...]
    bar_width: float
    place_width: float
    top: int
    totals: Mapping[str, int]

    @property
    def total(self) -> int:
        """What the whole chart counts."""
        return sum(self.totals.values())


def stacked(times: Sequence[datetime], figures: Mapping[str, Sequence[int]]) -> Chart:
    """A chart with one bar per time; the first of `figures` stands at the bottom."""
    top = round_top(max((sum(column) for column in zip(*figures.values(), strict=True)), default=0))
    place = WIDTH / max(1, len(times))
    return Chart(
        names=tuple(figures),
        bars=tuple(
            Bar(
                at=at,
                place=round(index * place, 2),
                x=round(index * place + place * GAP / 2, 2),
                segments=_segments({name: row[index] for name, row in figures.items()}, top),
            )
            for index, at in enumerate(times)
        ),
        bar_width=round(place * (1 - GAP), 2),
        place_width=round(place, 2),
        top=top,
        totals={name: sum(row) for name, row in figures.items()},
    )


def _segments(counts: Mapping[str, int], top: int) -> tuple[Segment, ...]:
    below = 0
    found = []
    for name, count in counts.items():
        if count:
            height = count / top * HEIGHT
            y = HEIGHT - (below + count) / top * HEIGHT
            found.append(Segment(name=name, count=count, y=round(y, 2), height=round(height, 2)))
            below += count
    return tuple(found)


def round_top(highest: int) -> int:
    """The end of an axis: the next round, even number that is not below `highest`."""
    size = 1
    while highest > _ROUND[-1] * size:
        size *= 10
    return next(step * size for step in _ROUND if highest <= step * size)


def outline(figures: Sequence[int], top: int, *, width: int = 240, height: int = 24) -> str:
    """A small bar chart as one SVG path (SVG 2 §9.3), `top` at the upper edge; empty if there is nothing."""
    place = width / max(1, len(figures))
    thick = round(place * (1 - GAP), 1)
    parts = []
    for index, count in enumerate(figures):
        if count:
            high = round(max(1.0, count / max(1, top) * height), 1)
            parts.append(f"M{round(index * place, 1)},{height}v-{high}h{thick}v{high}z")
    return "".join(parts)
