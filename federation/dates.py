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
from dataclasses import dataclass
from datetime import date


class DateRefusedError(ValueError):
    """Not a day that can be read; `code` is the reason, and the text holds nothing of the value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """An era: `signs` are the ways to write it, its name first. `first` and `last` belong to it."""

    signs: tuple[str, ...]
    first: date
    last: date


# 1912-07-30 and 1926-12-25 are the last day of one era and the first day of the next.
ERAS = (
    Era(signs=("令和", "㋿", "R"), first=date(2019, 5, 1), last=date.max),
    Era(signs=("平成", "㍻", "H"), first=date(1989, 1, 8), last=date(2019, 4, 30)),
    Era(signs=("昭和", "㍼", "S"), first=date(1926, 12, 25), last=date(1989, 1, 7)),
    Era(signs=("大正", "㍽", "T"), first=date(1912, 7, 30), last=date(1926, 12, 25)),
    Era(signs=("明治", "㍾", "M"), first=date(1868, 1, 25), last=date(1912, 7, 30)),
)
"""The eras, newest first."""

FIRST_SOLAR_DAY = date(1873, 1, 1)
"""明治6年1月1日, the day after 明治5年12月2日."""

_BY_SIGN = {sign: era for era in ERAS for sign in era.signs}

_HALF_WIDTH = str.maketrans("０１２３４５６７８９．・／‐‑–—−－ーｰ　ＭＴＳＨＲ", "0123456789../-------- MTSHR")
_UNKNOWN = re.compile("不詳|不明")
_KANJI_DIGITS = "〇一二三四五六七八九"
_KANJI_NUMBER = re.compile("(?P<tens>[一二三四五六七八九]?)十(?P<ones>[一二三四五六七八九]?)")
_NUMBER = f"[0-9]{{1,2}}|[一二三四五六七八九]?十[一二三四五六七八九]?|[{_KANJI_DIGITS}]{{1,2}}"
_ERA_YEAR = f"(?P<era>{'|'.join(_BY_SIGN)}) ?(?P<year>元|{_NUMBER})"
_COMMON_YEAR = "(?P<year>[0-9]{4})"
_MONTH_AND_DAY = (
    f"(?: ?年 ?(?P<month>{_NUMBER}) ?月 ?(?P<day>{_NUMBER}) ?日"
    f"|(?P<separator>[./-]) ?(?P<month2>{_NUMBER})(?P=separator) ?(?P<day2>{_NUMBER}))"
)
_MONTH_AT_MOST = f"(?: ?年| ?年 ?(?:{_NUMBER}) ?月|[./-](?:{_NUMBER}))?"
_ERA_DATE = re.compile(_ERA_YEAR + _MONTH_AND_DAY)
_ERA_MONTH = re.compile(_ERA_YEAR + _MONTH_AT_MOST)
_COMMON_DATE = re.compile(_COMMON_YEAR + _MONTH_AND_DAY)
_COMMON_MONTH = re.compile(_COMMON_YEAR + _MONTH_AT_MOST)
_COMPACT_DATE = re.compile(_COMMON_YEAR + "(?P<month>[0-9]{2})(?P<day>[0-9]{2})")


def read_wareki(text: str) -> date:
    """The day that an era date says: `昭和60年3月15日`, `S60.3.15`, `令和元年五月一日`, `H31/4/30`.

    The era may be its name, its one-character sign (㍼) or its letter, the year 元 or a number, numbers
    ASCII, full-width or 漢数字, the separators 年月日 or one of `.`, `/`, `-` twice. Raises
    `DateRefusedError`.
    """
    plain = _plain(text)
    found = _ERA_DATE.fullmatch(plain)
    if found is None:
        raise _unread(plain, _ERA_MONTH)
    era = _BY_SIGN[found["era"]]
    year = _number(found["year"])
    month, day = _month_and_day(found)
    if year == 0:
        raise DateRefusedError("impossible-date")
    common_year = era.first.year + year - 1
    if common_year < FIRST_SOLAR_DAY.year:
        raise DateRefusedError("before-1873")
    when = _day(common_year, month, day)
    if not era.first <= when <= era.last:
        raise DateRefusedError("outside-era")
    return when


def write_wareki(when: date) -> str:
    """The day by its era, `昭和60年3月15日`; a day of two eras is written by the newer one, year 1 as 元年.

    Raises `DateRefusedError` for a day before 1873-01-01.
    """
    if when < FIRST_SOLAR_DAY:
        raise DateRefusedError("before-1873")
    era = next(era for era in ERAS if era.first <= when <= era.last)
    year = when.year - era.first.year + 1
    return f"{era.signs[0]}{'元' if year == 1 else year}年{when.month}月{when.day}日"


def read_gregorian(text: str) -> date:
    """The day that a date of the common era says: `1985-03-15`, `1985/3/15`, `1985.3.15`, `1985年3月15日`.

    The year has four digits and comes first; full-width digits are read too. Raises `DateRefusedError`.
    """
    plain = _plain(text)
    found = _COMMON_DATE.fullmatch(plain)
    if found is None:
        raise _unread(plain, _COMMON_MONTH)
    return _day(int(found["year"]), *_month_and_day(found))


def read_compact(text: str) -> date:
    """The day that eight digits say: `19850315`. Raises `DateRefusedError`."""
    plain = _plain(text)
    found = _COMPACT_DATE.fullmatch(plain)
    if found is None:
        raise _unread(plain, _COMMON_MONTH)
    month, day = int(found["month"]), int(found["day"])
    if 0 in (month, day):
        raise DateRefusedError("partial")
    return _day(int(found["year"]), month, day)


def _plain(text: str) -> str:
    """Capital letters; digits, signs and spaces in half width; runs of spaces as one, none around."""
    return " ".join(part for part in text.upper().translate(_HALF_WIDTH).split(" ") if part)


def _unread(plain: str, month_at_most: re.Pattern[str]) -> DateRefusedError:
    """Why a text is not a whole date: part of one, or something else."""
    partial = _UNKNOWN.search(plain) or month_at_most.fullmatch(plain)
    return DateRefusedError("partial" if partial else "format")


def _month_and_day(found: re.Match[str]) -> tuple[int, int]:
    month = _number(found["month"] or found["month2"])
    day = _number(found["day"] or found["day2"])
    if 0 in (month, day):
        raise DateRefusedError("partial")
    return month, day


def _number(digits: str) -> int:
    """A number up to 99: ASCII digits, 漢数字 by place (二三) or by tens (二十三), or 元 for 1."""
    if digits == "元":
        return 1
    by_tens = _KANJI_NUMBER.fullmatch(digits)
    if by_tens is None:
        return int("".join(str(_KANJI_DIGITS.find(d)) if d in _KANJI_DIGITS else d for d in digits))
    tens, ones = by_tens["tens"], by_tens["ones"]
    return 10 * (_KANJI_DIGITS.index(tens) if tens else 1) + (_KANJI_DIGITS.index(ones) if ones else 0)


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise DateRefusedError("impossible-date") from None
