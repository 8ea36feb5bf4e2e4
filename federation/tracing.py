"""What a map does to one input, told step by step: for the people who write maps, on data that they made up.

The same functions that serve a login do the work; here each step is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from federation.attributes import InwardRule, OutwardRule, first_reason, gathered, run, sure_enough
from federation.transforms import UnmappableError

Rule = InwardRule | OutwardRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transform of a chain as it was applied, and the values after it; `values` None: it refused."""

    transform: str
    values: tuple[str, ...] | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one rule made: `values`, or None and the `reason` code. `given` are the sources' values."""

    rule: Rule
    given: Mapping[str, tuple[str, ...]] = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)
    values: tuple[str, ...] | None = field(repr=False)
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A whole map at work; `unread` are the names of the input that no rule reads."""

    traces: tuple[Trace, ...]
    unread: tuple[str, ...]

    def made(self) -> dict[str, tuple[str, ...]]:
        """What there is, by name."""
        return {trace.rule.to: trace.values for trace in self.traces if trace.values is not None}

    def absent(self) -> dict[str, str]:
        """What there is not, with its reason code."""
        return {trace.rule.to: trace.reason for trace in self.traces if trace.reason is not None}


def traced(
    rules: Sequence[Rule],
    raw: Mapping[str, tuple[str, ...]],
    today: date,
    absent: Mapping[str, str] = MappingProxyType({}),
    sure: Mapping[str, int] | None = None,
) -> Traced:
    """Run the rules on `raw` as a login would on the day `today` (in Japan).

    `absent`: the reasons for which sources were absent before, which are the ones that are reported. `sure`: the
    identity level that each source is worth (None: what a service demands of it is not asked).
    """
    read = {source for rule in rules for source in rule.sources}
    return Traced(
        traces=tuple(_trace(rule, raw, today, absent, sure) for rule in rules),
        unread=tuple(name for name in raw if name not in read),
    )


def _trace(
    rule: Rule,
    raw: Mapping[str, tuple[str, ...]],
    today: date,
    absent: Mapping[str, str],
    sure: Mapping[str, int] | None,
) -> Trace:
    values: tuple[str, ...] | None = None
    reason = None
    try:
        if isinstance(rule, OutwardRule) and sure is not None:
            sure_enough(rule, [sure[source] for source in rule.sources if source in raw])
        values = run(rule, raw, today, {})
    except UnmappableError as refused:
        reason = first_reason(rule, raw, absent) or refused.code
    return Trace(
        rule=rule,
        given={source: raw[source] for source in rule.sources if source in raw},
        steps=tuple(_steps(rule, raw, today)),
        values=values,
        reason=reason,
    )


def _steps(rule: Rule, raw: Mapping[str, tuple[str, ...]], today: date) -> list[Step]:
    """Each transform in order, up to the one that refuses."""
    steps: list[Step] = []
    try:
        texts = gathered(rule, raw)
    except UnmappableError:
        return steps
    for transform in rule.transforms:
        try:
            texts = transform.step(texts, today)
        except UnmappableError:
            return [*steps, Step(transform=str(transform), values=None)]
        steps.append(Step(transform=str(transform), values=texts))
    return steps
