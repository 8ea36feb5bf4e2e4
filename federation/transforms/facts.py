"""Facts instead of data: what a service needs to know of a person, without the date or place that it follows from.

Ages are those of Japanese law: a person reaches an age at the end of the day before the birthday
(年齢計算ニ関スル法律, with Civil Code Art. 143). At any moment of that day it is not reached yet, so `over` counts
from the birthday on; whoever is born on 29 February has it on 1 March of a common year. Rules that count by whole days
(the right to vote, the school year) ask on which day the age is reached, and that is the day before: `reaches`.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from types import MappingProxyType

from federation.transforms.base import Step, Transform, Transforms, UnmappableError, Values
from federation.vocabulary import Texts, is_iso_date
from trust_lists.codes import is_municipality_code
from trust_lists.municipalities import BY_CODE, WARDS

OLDEST = 130
"""Years; a birth date that makes somebody older is a mistake of the register."""

_AGE = re.compile("[1-9][0-9]?|1[0-2][0-9]")
_TRUTH = ("false", "true")
_BIRTH_AND_CODE = 2

_AGE_ARGUMENT = MappingProxyType({"ja": "1〜129の年齢（例 18）", "en": "an age from 1 to 129, such as 18"})
_BANDS_ARGUMENT = MappingProxyType(
    {"ja": "区切りの年齢を小さい順に（例 15,65）", "en": "the ages at which bands begin, rising, such as 15,65"}
)
_CODES_ARGUMENT = MappingProxyType(
    {
        "ja": "6桁の全国地方公共団体コード（コンマ区切りで複数可）。都道府県のコードはその全域",
        "en": "six-digit municipality codes, with commas between; a prefecture's code means all of it",
    }
)


def age(birth: date, today: date) -> int:
    """How old somebody born on `birth` is at any moment of `today`, in full years."""
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


def _over(argument: str) -> Callable[[str, date], bool]:
    years = _years(argument)
    return lambda text, today: age(_birth(text, today), today) >= years


def _reaches(argument: str) -> Callable[[str, date], bool]:
    years = _years(argument)
    return lambda text, today: age(_birth(text, today), today + timedelta(days=1)) >= years


def _age_band(argument: str) -> Callable[[str, date], str]:
    bounds = [_years(part.strip()) for part in argument.split(",")]
    if sorted(set(bounds)) != bounds:
        raise ValueError("the ages must rise")
    starts = [0, *bounds]
    names = [f"{low}-{high - 1}" for low, high in zip(starts, bounds, strict=False)] + [f"{bounds[-1]}-"]

    def band(text: str, today: date) -> str:
        years = age(_birth(text, today), today)
        return names[sum(years >= bound for bound in bounds)]

    return band


def _resident_of(argument: str) -> Callable[[str], bool]:
    codes = _codes(argument)
    whole = {code[:2] for code in codes if _is_prefecture(code)}
    single = {code for code in codes if not _is_prefecture(code)}
    return lambda text: _code(text) in single or text[:2] in whole


def _same_prefecture(argument: str) -> Callable[[str], bool]:
    prefectures = {code[:2] for code in _codes(argument)}
    return lambda text: _code(text)[:2] in prefectures


def _adult_resident_of(argument: str) -> Callable[[Values, date], bool]:
    """Of two values, birth date and municipality code, in this order."""
    adult, resident = _over("18"), _resident_of(argument)

    def both(values: Values, today: date) -> bool:
        if len(values) != _BIRTH_AND_CODE:
            raise UnmappableError("not-given")
        grown, living_there = adult(values[0], today), resident(values[1])
        return grown and living_there

    return both


def _years(argument: str) -> int:
    if _AGE.fullmatch(argument) is None:
        raise ValueError(_AGE_ARGUMENT["en"])
    return int(argument)


def _codes(argument: str) -> frozenset[str]:
    codes = frozenset(part.strip() for part in argument.split(","))
    if not all(map(is_municipality_code, codes)) or not codes.isdisjoint(WARDS):
        raise ValueError(_CODES_ARGUMENT["en"])
    return codes


def _is_prefecture(code: str) -> bool:
    return code[2:5] == "000"


def _birth(text: str, today: date) -> date:
    if not is_iso_date(text):
        raise UnmappableError("format")
    birth = date.fromisoformat(text)
    if birth > today:
        raise UnmappableError("in-the-future")
    if age(birth, today) > OLDEST:
        raise UnmappableError("implausible-age")
    return birth


def _code(text: str) -> str:
    if text in WARDS:  # whoever lives there lives in its city, which has another code
        raise UnmappableError("ward-code")
    if text not in BY_CODE:  # also one that a merger ended
        raise UnmappableError("unknown-code")
    if _is_prefecture(text):
        raise UnmappableError("not-a-municipality")
    return text


# --- as transforms

_BIRTH_REASONS = ("format", "in-the-future", "implausible-age")
_CODE_REASONS = ("unknown-code", "ward-code", "not-a-municipality")


def _said(truth: bool) -> str:  # noqa: FBT001 - a fact is what it says
    return _TRUTH[truth]


def _fact(
    make: Callable[[str], Step],
    meaning: str,
    reasons: tuple[str, ...],
    argument: Texts,
    label: Callable[[str], Texts],
    *,
    truth: bool = True,
    several: bool = False,
) -> Transform:
    def step(given: str | None) -> Step:
        if given is None:
            raise ValueError(f"needs an argument: {argument['en']}")
        return make(given)

    return Transform(
        step=step,
        meaning=meaning,
        reasons=reasons,
        argument=argument,
        combines=several,
        ordered=several,
        truth=truth,
        label=label,
    )


def _each_dated(factory: Callable[[str], Callable[[str, date], bool]]) -> Callable[[str], Step]:
    def make(argument: str) -> Step:
        holds = factory(argument)
        return lambda values, today: tuple(_said(holds(text, today)) for text in values)

    return make


def _each(factory: Callable[[str], Callable[[str], bool]]) -> Callable[[str], Step]:
    def make(argument: str) -> Step:
        holds = factory(argument)
        return lambda values, _: tuple(_said(holds(text)) for text in values)

    return make


def _bands(argument: str) -> Step:
    band = _age_band(argument)
    return lambda values, today: tuple(band(text, today) for text in values)


def _together(argument: str) -> Step:
    holds = _adult_resident_of(argument)
    return lambda values, today: (_said(holds(values, today)),)


TRANSFORMS: Transforms = MappingProxyType(
    {
        "over": _fact(
            _each_dated(_over),
            "Whether a person born on this day is of that age now: `true` from the birthday on (Japanese law).",
            _BIRTH_REASONS,
            _AGE_ARGUMENT,
            lambda years: {"ja": f"{years}歳以上かどうか", "en": f"Whether you are {years} or older"},
        ),
        "reaches": _fact(
            _each_dated(_reaches),
            "Whether the age is reached by the end of today: `true` one day before the birthday, as for voting.",
            _BIRTH_REASONS,
            _AGE_ARGUMENT,
            lambda years: {
                "ja": f"きょうまでに満{years}歳に達するかどうか",
                "en": f"Whether you reach the age of {years} by today",
            },
        ),
        "age-band": _fact(
            _bands,
            "The band of ages a person born on this day is in now: `0-14`, `15-64`, `65-` for 15,65.",
            _BIRTH_REASONS,
            _BANDS_ARGUMENT,
            lambda _: {"ja": "年齢層", "en": "Your age group"},
            truth=False,
        ),
        "resident-of": _fact(
            _each(_resident_of),
            "Whether this municipality code is one of those named, or in a prefecture that is named.",
            _CODE_REASONS,
            _CODES_ARGUMENT,
            lambda _: {"ja": "対象の地域に住んでいるかどうか", "en": "Whether you live in the area concerned"},
        ),
        "same-prefecture": _fact(
            _each(_same_prefecture),
            "Whether this municipality is in the prefecture of one of those named.",
            _CODE_REASONS,
            _CODES_ARGUMENT,
            lambda _: {"ja": "同じ都道府県に住んでいるかどうか", "en": "Whether you live in the same prefecture"},
        ),
        "adult-resident-of": _fact(
            _together,
            "Of a birth date and a municipality code: whether somebody is 18 or older and lives in the area named.",
            (*_BIRTH_REASONS, *_CODE_REASONS, "not-given"),
            _CODES_ARGUMENT,
            lambda _: {
                "ja": "対象の地域に住む18歳以上の人かどうか",
                "en": "Whether you are 18 or older and live in the area concerned",
            },
            several=True,
        ),
    }
)
"""Those of this module, by name."""
