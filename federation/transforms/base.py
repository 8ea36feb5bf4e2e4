"""What a transform is, and how one is made of a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from federation.vocabulary import Texts
from trust_lists.words import JAPAN

T = TypeVar("T")

Values = tuple[str, ...]

Step = Callable[[Values, date], Values]
"""A transform with its argument: it takes the values and today's date in Japan, and answers values."""


def day_in_japan(moment: datetime) -> date:
    """The day that it is in Japan at that moment."""
    return moment.astimezone(JAPAN).date()


class UnmappableError(Exception):
    """A value outside the domain; `code` is the reason. Never holds the value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Readings = dict[tuple[Callable[[str], Any], str], Any]
"""What was read during one mapping: by reader and text, what it made of it, or its refusal."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a transform tells of a reading that other transforms tell of too, so that one mapping reads a text once."""

    reader: Callable[[str], Any]
    teller: Callable[[Any], str]

    def of(self, values: Values, readings: Readings) -> Values:
        """The transform's answer; raises `UnmappableError` as its step does."""
        return tuple([self.teller(self._read(text, readings)) for text in values])

    def _read(self, text: str, readings: Readings) -> Any:
        key = (self.reader, text)
        found = readings.get(key)
        if found is None:
            try:
                found = self.reader(text)
            except UnmappableError as refused:
                found = UnmappableError(refused.code)  # a new one: a traceback would keep the value alive
            readings[key] = found
        if isinstance(found, UnmappableError):
            raise UnmappableError(found.code)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A transform as a map names it, with an argument or without.

    - `step` makes, of the argument (None where the map gives none), what is done to the values; for a wrong one it
      raises `ValueError`, which says what was expected. A step raises `UnmappableError` with one of `reasons`.
    - `argument` says what the argument is, in ja and en; None for a transform that takes none.
    - `combines`: it makes one value of several, so a rule with several sources may use it; `ordered`: only such a rule,
      since the order of the sources matters to it.
    - `inverse` names the transform that gives back what this one took.
    - `part` is there if `step` tells a part of what several transforms read the same text for.
    - `truth`: what it answers is `true` or `false`.
    - `label` is what people call what it answers, by its argument ("" if it takes none), where that is not simply what
      they call the source.
    """

    step: Callable[[str | None], Step]
    meaning: str
    reasons: tuple[str, ...] = ()
    argument: Texts | None = None
    combines: bool = False
    ordered: bool = False
    inverse: str | None = None
    part: Part | None = None
    truth: bool = False
    label: Callable[[str], Texts] | None = None

    def __post_init__(self) -> None:
        if not self.meaning:
            raise ValueError("a transform says what it does")


Transforms = Mapping[str, Transform]
"""Name, as maps write it → transform."""


def each(function: Callable[[str], str], *reasons: str, inverse: str | None = None) -> Transform:
    """A transform of one value at a time; the function's docstring is its meaning."""
    step = _one_by_one(function)
    return Transform(step=_no_argument(step), meaning=_meaning(function), reasons=reasons, inverse=inverse)


def part_of(reader: Callable[[str], T], teller: Callable[[T], str], *reasons: str) -> Transform:
    """A transform of one value at a time: of what the reader makes of it, what the teller tells (see `Part`)."""

    def step(values: Values, _: date) -> Values:
        return tuple(teller(reader(text)) for text in values)

    part = Part(reader, teller)
    return Transform(step=_no_argument(step), meaning=_meaning(teller), reasons=reasons, part=part)


def dated(function: Callable[[str, date], str], *reasons: str) -> Transform:
    """A transform of one value at a time that depends on today's date."""

    def step(values: Values, today: date) -> Values:
        return tuple(function(text, today) for text in values)

    return Transform(step=_no_argument(step), meaning=_meaning(function), reasons=reasons)


def whole(
    function: Callable[[Values], Values], *reasons: str, combines: bool = True, ordered: bool = False
) -> Transform:
    """A transform of all values together."""
    return Transform(
        step=_no_argument(lambda values, _: function(values)),
        meaning=_meaning(function),
        reasons=reasons,
        combines=combines,
        ordered=ordered,
    )


def each_with(factory: Callable[[str], Callable[[str], str]], *reasons: str, argument: Texts) -> Transform:
    """A transform of one value at a time, made of its argument by the factory, whose docstring is its meaning."""

    def make(given: str) -> Step:
        return _one_by_one(factory(given))

    return Transform(step=_argument(make, argument), meaning=_meaning(factory), reasons=reasons, argument=argument)


def dated_with(factory: Callable[[str], Callable[[str, date], str]], *reasons: str, argument: Texts) -> Transform:
    """A transform of one value at a time that depends on an argument and on today's date."""

    def make(given: str) -> Step:
        function = factory(given)
        return lambda values, today: tuple(function(text, today) for text in values)

    return Transform(step=_argument(make, argument), meaning=_meaning(factory), reasons=reasons, argument=argument)


def _one_by_one(function: Callable[[str], str]) -> Step:
    def step(values: Values, _: date) -> Values:
        if len(values) == 1:  # nearly always, and quicker
            return (function(values[0]),)
        return tuple(map(function, values))

    return step


def _no_argument(step: Step) -> Callable[[str | None], Step]:
    def make(given: str | None) -> Step:
        if given is not None:
            raise ValueError("takes no argument")
        return step

    return make


def _argument(make: Callable[[str], Step], meaning: Texts) -> Callable[[str | None], Step]:
    def made(given: str | None) -> Step:
        if given is None:
            raise ValueError(f"needs an argument: {meaning['en']}")
        return make(given)

    return made


def _meaning(function: Callable[..., object]) -> str:
    return function.__doc__ or ""
