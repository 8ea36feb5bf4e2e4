"""Dates from one way of writing to another; `federation.transforms.dates` says what the reasons mean."""

from collections.abc import Callable
from datetime import date
from types import MappingProxyType

from federation.transforms import dates
from federation.transforms.base import Transform, Transforms, UnmappableError, each, each_with
from federation.vocabulary import is_iso_date

_DATE_REASONS = ("format", "partial", "impossible-date")
_ERA_REASONS = (*_DATE_REASONS, "outside-era", "before-1873")
_WRITTEN_REASONS = ("format", "before-1873", "outside-era")

_ERA_DIGITS = MappingProxyType(
    {
        "ja": "元号の数字の表（例 1=明治,2=大正,3=昭和,4=平成,5=令和）",
        "en": "the table of era digits, such as 1=明治,2=大正,3=昭和,4=平成,5=令和",
    }
)


def wareki_to_iso(text: str) -> str:
    """An era date (昭和60年3月15日, S60.3.15, S600315) as `YYYY-MM-DD`. A partial one stays absent (`partial`)."""
    return _date(dates.read_wareki, text)


def gregorian_to_iso(text: str) -> str:
    """A date of the common era (1985/3/15) as `YYYY-MM-DD`. A partial one stays absent (`partial`)."""
    return _date(dates.read_gregorian, text)


def compact_date_to_iso(text: str) -> str:
    """Eight digits (19850315) as `YYYY-MM-DD`. A partial date stays absent (`partial`)."""
    return _date(dates.read_compact, text)


def era_digit_date_to_iso(text: str) -> str:
    """An era's digit, 1 明治 to 5 令和, and six digits (3600315) as `YYYY-MM-DD`. A partial date stays absent."""
    return _date(dates.read_era_digit, text)


def era_digit_date_by(digits: str) -> Callable[[str], str]:
    """As `era-digit-date-to-iso`, by the table of era digits that the map gives."""
    table = dates.era_digits(digits)
    return lambda text: _date(lambda given: dates.read_era_digit(given, table), text)


def jpki_date_to_iso(text: str) -> str:
    """A birth date of a JPKI certificate, era digit and `YYYYMMDD` (319850315), as `YYYY-MM-DD`.

    Refused where digit and day disagree (`outside-era`), and where month or day is unknown (`partial`).
    """
    return _date(dates.read_jpki, text)


def jpki_date_by(digits: str) -> Callable[[str], str]:
    """As `jpki-date-to-iso`, by the table of era digits that the map gives."""
    table = dates.era_digits(digits)
    return lambda text: _date(lambda given: dates.read_jpki(given, table), text)


def year_of_birth(text: str) -> str:
    """The year (1985) of a date of any era or eight digits, also of one whose month or day is unknown (昭和20年不詳).

    OpenID Connect's `birthdate` may be such a year (Core §5.1). It is no date: `dateOfBirth` does not take it.
    """
    if is_iso_date(text):
        return text[:4]
    try:
        return f"{dates.read_year(text):04}"
    except dates.DateRefusedError as refused:
        raise UnmappableError(refused.code) from None


def iso_to_wareki(text: str) -> str:
    """`YYYY-MM-DD` as an era date (昭和60年3月15日). Refuses `format`, `before-1873`, `outside-era` (from 2118)."""
    return _written(dates.write_wareki, text)


def iso_to_wareki_kanji(text: str) -> str:
    """`YYYY-MM-DD` as an era date in 漢数字 (昭和六十年三月十五日). Refuses as `iso-to-wareki` does."""
    return _written(dates.write_wareki_kanji, text)


def iso_to_wareki_letter(text: str) -> str:
    """`YYYY-MM-DD` as S60.03.15 (JIS X 0301, extended format). Refuses as `iso-to-wareki` does."""
    return _written(dates.write_wareki_letter, text)


def iso_to_wareki_compact(text: str) -> str:
    """`YYYY-MM-DD` as S600315 (JIS X 0301, basic format). Refuses as `iso-to-wareki` does."""
    return _written(dates.write_wareki_compact, text)


def iso_to_era_digit_date(text: str) -> str:
    """`YYYY-MM-DD` as an era's digit and six digits (3600315). Refuses as `iso-to-wareki` does."""
    return _written(dates.write_era_digit, text)


def iso_to_jpki_date(text: str) -> str:
    """`YYYY-MM-DD` as JPKI certificates have it (319850315). Refuses as `iso-to-wareki` does."""
    return _written(dates.write_jpki, text)


def iso_to_compact_date(text: str) -> str:
    """`YYYY-MM-DD` as eight digits (19850315). Refuses `format`."""
    if not is_iso_date(text):
        raise UnmappableError("format")
    return text.replace("-", "")


def _date(read: Callable[[str], date], text: str) -> str:
    try:
        return read(text).isoformat()
    except dates.DateRefusedError as refused:
        raise UnmappableError(refused.code) from None


def _written(write: Callable[[date], str], text: str) -> str:
    if not is_iso_date(text):
        raise UnmappableError("format")
    try:
        return write(date.fromisoformat(text))
    except dates.DateRefusedError as refused:
        raise UnmappableError(refused.code) from None


def _writer(function: Callable[[str], str], inverse: str) -> Transform:
    return each(function, *_WRITTEN_REASONS, inverse=inverse)


TRANSFORMS: Transforms = MappingProxyType(
    {
        "wareki-to-iso": each(wareki_to_iso, *_ERA_REASONS),
        "gregorian-to-iso": each(gregorian_to_iso, *_DATE_REASONS),
        "compact-date-to-iso": each(compact_date_to_iso, *_DATE_REASONS),
        "era-digit-date-to-iso": each(era_digit_date_to_iso, *_ERA_REASONS),
        "era-digit-date-by": each_with(era_digit_date_by, *_ERA_REASONS, argument=_ERA_DIGITS),
        "jpki-date-to-iso": each(jpki_date_to_iso, *_ERA_REASONS),
        "jpki-date-by": each_with(jpki_date_by, *_ERA_REASONS, argument=_ERA_DIGITS),
        "year-of-birth": each(year_of_birth, *_ERA_REASONS),
        "iso-to-wareki": _writer(iso_to_wareki, "wareki-to-iso"),
        "iso-to-wareki-kanji": _writer(iso_to_wareki_kanji, "wareki-to-iso"),
        "iso-to-wareki-letter": _writer(iso_to_wareki_letter, "wareki-to-iso"),
        "iso-to-wareki-compact": _writer(iso_to_wareki_compact, "wareki-to-iso"),
        "iso-to-era-digit-date": _writer(iso_to_era_digit_date, "era-digit-date-to-iso"),
        "iso-to-jpki-date": _writer(iso_to_jpki_date, "jpki-date-to-iso"),
        "iso-to-compact-date": each(iso_to_compact_date, "format", inverse="compact-date-to-iso"),
    }
)
"""Those of this module, by name."""
