"""Calls counted by the dozen: there are many, and each counter of a scraper's costs more than a call's decision.

What a process counted goes to prometheus_client a few times a second, and whenever somebody looks. Nothing is lost in
between but by a process that is killed, whose counters end with it anyway.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once. `bounds` are its buckets' upper ones, without infinity."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add so many observations to each bucket, the last of which is infinity's, and their sum."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


@dataclass(slots=True)
class Seconds:
    """Durations by bucket, since they were last taken."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count one; less than nothing, by a clock that was set, is nothing."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def take(self) -> tuple[list[int], float]:
        """What was counted, which begins at nothing again."""
        taken = self.counts, self.total
        self.counts, self.total = [0] * (len(self.bounds) + 1), 0.0
        return taken
