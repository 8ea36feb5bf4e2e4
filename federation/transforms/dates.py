"""Calendar days as municipalities write them, and the one way the vocabulary writes them: `YYYY-MM-DD`.

Era names are read by the table of the law, not by a library: the common ones disagree with it at its
edges. Every reader here takes a real day whole or refuses it with a reason code:

- `format`: not written in any form that this reader knows;
- `partial`: month or day unknown (不詳, 不明, 00, or left out); such a date stays absent, nothing is
  invented;
- `impossible-date`: no such day;
- `outside-era`: a real day, but not one of that era;
- `before-1873`: until 明治5年12月2日 the calendar was lunisolar; a day from before 1873-01-01 has no sure
  counterpart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType


class DateRefusedError(ValueError):
    """Not a day that can be read; `code` is the reason, and the text holds nothing of the value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """An era: `signs` are the ways to write it, its name first and its letter (JIS X 0301) last.

    The days `first` and `last` belong to it.
    """

    signs: tuple[str, ...]
    first: date
    last: date


# 1912-07-30 and 1926-12-25 are the last day of one era and the first day of the next.
ERAS = (
    Era(signs=("令和", "令", "㋿", "R"), first=date(2019, 5, 1), last=date.max),
    Era(signs=("平成", "平", "㍻", "H"), first=date(1989, 1, 8), last=date(2019, 4, 30)),
    Era(signs=("昭和", "昭", "㍼", "S"), first=date(1926, 12, 25), last=date(1989, 1, 7)),
    Era(signs=("大正", "大", "㍽", "T"), first=date(1912, 7, 30), last=date(1926, 12, 25)),
    Era(signs=("明治", "明", "㍾", "M"), first=date(1868, 1, 25), last=date(1912, 7, 30)),
)
"""The eras, newest first."""

FIRST_SOLAR_DAY = date(1873, 1, 1)
"""明治6年1月1日, the day after 明治5年12月2日."""

_BY_SIGN = {sign: era for era in ERAS for sign in era.signs}

ERA_DIGITS: Mapping[str, Era] = MappingProxyType(dict(zip("54321", ERAS, strict=True)))
"""Era digit → era, as JPKI certificates and administrative systems have it. 2 and 3 are inferred from the others."""

_PLAIN = str.maketrans(
    {"０": "0"}
    | dict(zip("１２３４５６７８９", "123456789", strict=True))
    | dict(zip("mtshrＭＴＳＨＲｍｔｓｈｒ", "MTSHR" * 3, strict=True))
    | dict(zip("壱壹弌弐貳貮弍参參叄弎肆伍陸漆柒捌玖", "一一一二二二二三三三三四五六七七八九", strict=True))
    | dict.fromkeys("○◯零", "〇")
    | dict.fromkeys("拾", "十")
    | dict.fromkeys("．｡。", ".")
    | dict.fromkeys("・･·⋅／", "/")
    | dict.fromkeys("‐‑‒–—―−－﹣ーｰ", "-")
    | dict.fromkeys("\u3000\u00a0\t", " ")
    | dict.fromkeys("、，､", ",")
    | {"廿": "二十", "卄": "二十", "卅": "三十", "丗": "三十"}
    | {kanji: kanji for kanji in "明治大正昭和平成令元年月日〇一二三四五六七八九十"}  # found is faster than not found
)
_UNKNOWN = re.compile("不詳|不明|[?？]")
_KANJI_DIGITS = "〇一二三四五六七八九"
_NUMBER = f"[0-9]{{1,2}}|[一二三四五六七八九]?十[一二三四五六七八九]?|[{_KANJI_DIGITS}]{{1,2}}"
_ERA_YEAR = f"(?P<era>{'|'.join(_BY_SIGN)})[ .]?(?P<year>元|{_NUMBER})"
_COMMON_YEAR = f"(?P<year>[0-9]{{4}}|[{_KANJI_DIGITS}]{{4}})"
_MONTH_AND_DAY = (
    f"(?: ?年 ?(?P<month>{_NUMBER}) ?月 ?(?P<day>{_NUMBER}) ?日"
    f"|(?P<separator>[./, -]) ?(?P<month2>{_NUMBER})(?P=separator) ?(?P<day2>{_NUMBER}))"
)
_MONTH_AT_MOST = f"(?: ?年| ?年 ?(?:{_NUMBER}) ?月|[./, -] ?(?:{_NUMBER}))?"
_ERA_DATE = re.compile(_ERA_YEAR + _MONTH_AND_DAY)
_ERA_MONTH = re.compile(_ERA_YEAR + _MONTH_AT_MOST)
_ERA_COMPACT = re.compile("(?P<era>[MTSHR])(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})")
_COMMON_DATE = re.compile(_COMMON_YEAR + _MONTH_AND_DAY)
_COMMON_MONTH = re.compile(_COMMON_YEAR + _MONTH_AT_MOST)
_COMPACT_DATE = re.compile("(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})")
_DIGIT_DATE = re.compile("(?P<era>[0-9])(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})")
_JPKI_DATE = re.compile("(?P<era>[0-9])(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})")
_UNKNOWN_REST = re.compile(
    f"(?: ?年)?(?: ?(?P<month>{_NUMBER}) ?月)?(?: ?(?:00?|〇) ?日)?[ 年月日不詳明?？]*"
    f"|[./, -] ?(?P<month2>{_NUMBER})(?:[./, -] ?(?:0|00|〇))?"
    "|(?P<month3>[0-9]{2})00"
)
_ERA_BEGINNING = re.compile(_ERA_YEAR)
_COMMON_BEGINNING = re.compile(_COMMON_YEAR)


def read_wareki(text: str) -> date:
    """The day that an era date says: `昭和60年3月15日`, `S60.3.15`, `令和元年五月一日`, `H31/4/30`, `S600315`.

    The era may be its name, that name's first character, its one-character sign (㍼) or its letter, the year 元 or a
    number, numbers ASCII, full-width, 漢数字 or 大字 (by place 二三, by tens 二十三, 廿三), the separators
    年月日, one of `.`, `/`, `-`, `,` or space twice, or after a letter none (JIS X 0301 basic format). Raises
    `DateRefusedError`.
    """
    plain = _plain(text)
    found = _ERA_DATE.fullmatch(plain)
    if found is not None:
        month, day = _month_and_day(found)
    else:
        found = _ERA_COMPACT.fullmatch(plain)
        if found is None:
            raise _unread(plain, _ERA_MONTH)
        month, day = _known(int(found["month"]), int(found["day"]))
    era = _BY_SIGN[found["era"]]
    return _in_era(_day(_common_year(era, _number(found["year"])), month, day), era)


def read_gregorian(text: str) -> date:
    """The day that a date of the common era says: `1985-03-15`, `1985/3/15`, `1985.3.15`, `1985年3月15日`.

    The year has four digits and comes first; full-width digits and 漢数字 are read too. The year 0000 is an omitted
    one (OpenID Connect Core §5.1, `birthdate`). Raises `DateRefusedError`.
    """
    plain = _plain(text)
    found = _COMMON_DATE.fullmatch(plain)
    if found is None:
        raise _unread(plain, _COMMON_MONTH)
    return _day(_year(_number(found["year"])), *_month_and_day(found))


def read_compact(text: str) -> date:
    """The day that eight digits say: `19850315`. Raises `DateRefusedError`."""
    plain = _plain(text)
    found = _COMPACT_DATE.fullmatch(plain)
    if found is None:
        raise _unread(plain, _COMMON_MONTH)
    return _day(_year(int(found["year"])), *_known(int(found["month"]), int(found["day"])))


def read_era_digit(text: str, digits: Mapping[str, Era] = ERA_DIGITS) -> date:
    """The day that an era's digit and six digits say: `3600315`. Raises `DateRefusedError`."""
    found = _DIGIT_DATE.fullmatch(_plain(text))
    if found is None or found["era"] not in digits:
        raise DateRefusedError("format")
    month, day = _known(int(found["month"]), int(found["day"]))
    era = digits[found["era"]]
    return _in_era(_day(_common_year(era, int(found["year"])), month, day), era)


def read_jpki(text: str, digits: Mapping[str, Era] = ERA_DIGITS) -> date:
    """The day of birth as JPKI certificates have it: an era's digit and `YYYYMMDD`, as in `319850315`.

    Digit and day must agree. Raises `DateRefusedError`.
    """
    found = _JPKI_DATE.fullmatch(_plain(text))
    if found is None or found["era"] not in digits:
        raise DateRefusedError("format")
    year, (month, day) = _year(int(found["year"])), _known(int(found["month"]), int(found["day"]))
    return _in_era(_day(year, month, day), digits[found["era"]])


def read_year(text: str) -> int:
    """The year of the common era that a date says, of which month or day may be unknown: `昭和20年月日不詳`, `1945`.

    Reads what `read_wareki`, `read_gregorian` and `read_compact` read, and what they refuse as `partial` if its year is
    there. Raises `DateRefusedError`.
    """
    partial = False
    for read in (read_wareki, read_gregorian, read_compact):
        try:
            return read(text).year
        except DateRefusedError as refused:
            if refused.code not in {"format", "partial"}:
                raise
            partial = partial or refused.code == "partial"
    plain = _plain(text)
    found = _ERA_BEGINNING.match(plain) or _COMMON_BEGINNING.match(plain)
    rest = found and _UNKNOWN_REST.fullmatch(plain, found.end())
    if found is None or not rest:
        raise DateRefusedError("partial" if partial else "format")
    if _number(rest["month"] or rest["month2"] or rest["month3"] or "0") > _MONTHS:
        raise DateRefusedError("impossible-date")
    if found.re is _COMMON_BEGINNING:
        return _year(_number(found["year"]))
    era = _BY_SIGN[found["era"]]
    year = _common_year(era, _number(found["year"]))
    if not era.first.year <= year <= era.last.year:
        raise DateRefusedError("outside-era")
    return year


def write_wareki(when: date) -> str:
    """The day by its era, `昭和60年3月15日`; a day of two eras is written by the newer one, year 1 as 元年.

    Raises `DateRefusedError`, as the other writers do: `before-1873`, and `outside-era` after the 99th year of the
    last one.
    """
    era, year = _era_and_year(when)
    return f"{era.signs[0]}{'元' if year == 1 else year}年{when.month}月{when.day}日"


def write_wareki_kanji(when: date) -> str:
    """The day by its era in 漢数字, `昭和六十年三月十五日`. Raises `DateRefusedError`."""
    era, year = _era_and_year(when)
    return f"{era.signs[0]}{'元' if year == 1 else _kanji(year)}年{_kanji(when.month)}月{_kanji(when.day)}日"


def write_wareki_letter(when: date) -> str:
    """The day by its era's letter, `S60.03.15` (JIS X 0301, extended format). Raises `DateRefusedError`."""
    era, year = _era_and_year(when)
    return f"{era.signs[-1]}{year:02}.{when.month:02}.{when.day:02}"


def write_wareki_compact(when: date) -> str:
    """The day by its era's letter, `S600315` (JIS X 0301, basic format). Raises `DateRefusedError`."""
    return write_wareki_letter(when).replace(".", "")


def write_era_digit(when: date) -> str:
    """The day as its era's digit and six digits, `3600315`. Raises `DateRefusedError`."""
    era, year = _era_and_year(when)
    return f"{_DIGIT_OF[era.first]}{year:02}{when.month:02}{when.day:02}"


def write_jpki(when: date) -> str:
    """The day as JPKI certificates have it, `319850315`. Raises `DateRefusedError`."""
    era, _ = _era_and_year(when)
    return f"{_DIGIT_OF[era.first]}{when.year:04}{when.month:02}{when.day:02}"


def era_digits(text: str) -> Mapping[str, Era]:
    """A table of era digits, as an operator writes it: `1=明治,2=大正`. Raises `ValueError`."""
    table: dict[str, Era] = {}
    for entry in text.split(","):
        digit, _, sign = entry.strip().partition("=")
        if not _DIGIT.fullmatch(digit) or digit in table or sign not in _BY_SIGN:
            raise ValueError("digits and eras, such as 1=明治,2=大正")
        table[digit] = _BY_SIGN[sign]
    return MappingProxyType(table)


_DIGIT = re.compile("[0-9]")
_DIGIT_OF = {era.first: digit for digit, era in ERA_DIGITS.items()}
_MONTHS = 12
_MOST_YEARS = 99
_LONGEST = 60
"""Characters of a text that may be a date."""


def _plain(text: str) -> str:
    """Capital letters; digits, signs and spaces in half width, 大字 as 漢数字; runs of spaces as one, none around."""
    if len(text) > _LONGEST:
        raise DateRefusedError("format")
    plain = text.translate(_PLAIN)
    return " ".join(part for part in plain.split(" ") if part) if " " in plain else plain


def _unread(plain: str, month_at_most: re.Pattern[str]) -> DateRefusedError:
    """Why a text is not a whole date: part of one, or something else."""
    partial = _UNKNOWN.search(plain) or month_at_most.fullmatch(plain)
    return DateRefusedError("partial" if partial else "format")


def _month_and_day(found: re.Match[str]) -> tuple[int, int]:
    return _known(_number(found["month"] or found["month2"]), _number(found["day"] or found["day2"]))


def _known(month: int, day: int) -> tuple[int, int]:
    if 0 in (month, day):
        raise DateRefusedError("partial")
    return month, day


def _year(year: int) -> int:
    """A year of the common era; 0000 is one that is not told."""
    if year == 0:
        raise DateRefusedError("partial")
    return year


def _common_year(era: Era, year: int) -> int:
    """The year of the common era that is this year of the era."""
    if year == 0:
        raise DateRefusedError("impossible-date")
    common_year = era.first.year + year - 1
    if common_year < FIRST_SOLAR_DAY.year:
        raise DateRefusedError("before-1873")
    return common_year


def _in_era(when: date, era: Era) -> date:
    if when < FIRST_SOLAR_DAY:
        raise DateRefusedError("before-1873")
    if not era.first <= when <= era.last:
        raise DateRefusedError("outside-era")
    return when


def _era_and_year(when: date) -> tuple[Era, int]:
    """The newest era that the day belongs to, and its year in that era."""
    if when < FIRST_SOLAR_DAY:
        raise DateRefusedError("before-1873")
    era = next(era for era in ERAS if era.first <= when <= era.last)
    year = when.year - era.first.year + 1
    if year > _MOST_YEARS:
        raise DateRefusedError("outside-era")
    return era, year


def _number(digits: str) -> int:
    """A number: ASCII digits, 漢数字 by place (二三) or up to 99 by tens (二十三), or 元 for 1."""
    known = _NUMBERS.get(digits)
    return int(digits.translate(_TO_ASCII)) if known is None else known


def _kanji(number: int) -> str:
    """A number from 1 to 99 by tens, as in 二十三."""
    tens, ones = divmod(number, 10)
    by_tens = ("" if tens == 1 else _KANJI_DIGITS[tens]) + "十" if tens else ""
    return by_tens + (_KANJI_DIGITS[ones] if ones else "")


def _numbers() -> Iterator[tuple[str, int]]:
    """The ways to write a number up to 99, 十一 and 一十一 alike."""
    yield "元", 1
    for number in range(_MOST_YEARS + 1):
        tens, ones = divmod(number, 10)
        for digits in {str(number), f"{number:02}"}:
            yield digits, number
            yield "".join(_KANJI_DIGITS[int(digit)] for digit in digits), number
        if tens:
            yield _kanji(number), number
            yield _KANJI_DIGITS[tens] + "十" + (_KANJI_DIGITS[ones] if ones else ""), number


_TO_ASCII = str.maketrans(_KANJI_DIGITS, "0123456789")
_NUMBERS = dict(_numbers())


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise DateRefusedError("impossible-date") from None
