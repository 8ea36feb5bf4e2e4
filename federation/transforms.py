"""The transforms that a map may name: small pure functions on the values of one attribute.

Each has a documented domain. A value outside it is refused with a reason code (`UnmappableError`), never
bent to fit.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from federation import dates, kana
from federation.vocabulary import is_iso_date
from trust_lists.codes import check_digit, is_municipality_code

Values = tuple[str, ...]


class UnmappableError(Exception):
    """A value outside the domain; `code` is the reason. Never holds the value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A transform as a map names it.

    `apply` takes the values and answers values, or raises `UnmappableError` with one of `reasons`.
    `combines`: it makes one value of several, so a rule with several sources may use it.
    """

    apply: Callable[[Values], Values]
    reasons: tuple[str, ...] = ()
    combines: bool = False
    meaning: str = ""


_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")
_POSTAL_CODE = re.compile("〒? ?([0-9]{3})[-‐‑–—−－ーｰ]?([0-9]{4})")
_COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
_LATIN_LETTER = re.compile("[A-Za-zＡ-Ｚａ-ｚ\u00c0-\u024f\u1e00-\u1eff]")
_SEX_WORDS = MappingProxyType({"男": "1", "男性": "1", "女": "2", "女性": "2"})
_OPENID_GENDERS = MappingProxyType({"1": "male", "2": "female"})
_JAPANESE_SEXES = MappingProxyType({"1": "男性", "2": "女性"})
_TWO = 2


def strip(text: str) -> str:
    """The text without spaces around it, half-width or full-width. Refuses `empty`."""
    stripped = text.strip()
    if not stripped:
        raise UnmappableError("empty")
    return stripped


def nfc_safe(text: str) -> str:
    """The text in Unicode's composed form (NFC), but with compatibility ideographs as registered.

    NFC alone would put the ideograph U+795E for U+FA19, and nobody could tell afterwards how the name is
    written.
    """
    parts = _COMPATIBILITY_IDEOGRAPHS.split(text)
    return "".join(p if _COMPATIBILITY_IDEOGRAPHS.match(p) else unicodedata.normalize("NFC", p) for p in parts)


def upper(text: str) -> str:
    """The text in capital letters, by Unicode's rules; what has no capitals stays."""
    return text.upper()


def kana_full_width(text: str) -> str:
    """Half-width katakana in full width, voiced marks included; the rest stays. Refuses `stray-mark`."""
    try:
        return kana.full_width(text)
    except kana.StrayMarkError:
        raise UnmappableError("stray-mark") from None


def hiragana_to_katakana(text: str) -> str:
    """Hiragana as katakana; the rest stays."""
    return kana.katakana(text)


def wareki_to_iso(text: str) -> str:
    """An era date (昭和60年3月15日, S60.3.15) as `YYYY-MM-DD`. Refuses as `federation.dates` says."""
    return _date(dates.read_wareki, text)


def gregorian_to_iso(text: str) -> str:
    """A date of the common era (1985/3/15) as `YYYY-MM-DD`. Refuses as `federation.dates` says."""
    return _date(dates.read_gregorian, text)


def compact_date_to_iso(text: str) -> str:
    """Eight digits (19850315) as `YYYY-MM-DD`. Refuses as `federation.dates` says."""
    return _date(dates.read_compact, text)


def iso_to_wareki(text: str) -> str:
    """`YYYY-MM-DD` as an era date (昭和60年3月15日). Refuses `format` and `before-1873`."""
    if not is_iso_date(text):
        raise UnmappableError("format")
    try:
        return dates.write_wareki(dates.read_gregorian(text))
    except dates.DateRefusedError as refused:
        raise UnmappableError(refused.code) from None


def iso_to_compact_date(text: str) -> str:
    """`YYYY-MM-DD` as eight digits (19850315). Refuses `format`."""
    if not is_iso_date(text):
        raise UnmappableError("format")
    return text.replace("-", "")


def sex_code(text: str) -> str:
    """A code of ISO/IEC 5218 (0, 1, 2, 9), full-width or half. Refuses `unknown-code`."""
    code = text.translate(_DIGITS)
    if code not in {"0", "1", "2", "9"}:
        raise UnmappableError("unknown-code")
    return code


def sex_from_japanese(text: str) -> str:
    """男, 男性, 女 or 女性 as the code of ISO/IEC 5218. Refuses `unknown-word`."""
    return _look_up(_SEX_WORDS, text, "unknown-word")


def sex_from_openid(text: str) -> str:
    """`male` or `female` (OpenID Connect Core §5.1) as the code of ISO/IEC 5218. Refuses `unknown-word`."""
    return _look_up({word: code for code, word in _OPENID_GENDERS.items()}, text, "unknown-word")


def sex_to_japanese(text: str) -> str:
    """Code 1 or 2 of ISO/IEC 5218 as 男性 or 女性. Refuses `not-expressible`."""
    return _look_up(_JAPANESE_SEXES, text, "not-expressible")


def sex_to_openid(text: str) -> str:
    """Code 1 or 2 of ISO/IEC 5218 as `male` or `female` (OpenID Core §5.1). Refuses `not-expressible`."""
    return _look_up(_OPENID_GENDERS, text, "not-expressible")


def municipality_code_5_to_6(text: str) -> str:
    """Five digits (10201) with their check digit (102016). Refuses `format`, `unknown-code`."""
    five = text.translate(_DIGITS)
    if not re.fullmatch("[0-9]{5}", five):
        raise UnmappableError("format")
    six = five + check_digit(five)
    if not is_municipality_code(six):
        raise UnmappableError("unknown-code")
    return six


def postal_code(text: str) -> str:
    """A postal code (〒371-8601) as seven digits. Refuses `format`."""
    found = _POSTAL_CODE.fullmatch(text.translate(_DIGITS))
    if found is None:
        raise UnmappableError("format")
    return found[1] + found[2]


def split_family(text: str) -> str:
    """The family name in a full name with one gap. Refuses `not-two-parts`, `alphabetic-name`."""
    return _split(text)[0]


def split_given(text: str) -> str:
    """The given name in a full name with one gap. Refuses `not-two-parts`, `alphabetic-name`."""
    return _split(text)[1]


def join_space(values: Values) -> Values:
    """The values of several sources as one, a space between."""
    return (" ".join(values),)


def first(values: Values) -> Values:
    """The first value of the first source that has one."""
    return values[:1]


def _split(text: str) -> tuple[str, str]:
    """Family and given name. In the Latin alphabet the order is a guess; without one gap, the border is."""
    if _LATIN_LETTER.search(text):
        raise UnmappableError("alphabetic-name")
    parts = text.replace("\u3000", " ").split()
    if len(parts) != _TWO:
        raise UnmappableError("not-two-parts")
    return parts[0], parts[1]


def _date(read: Callable[[str], date], text: str) -> str:
    try:
        return read(text).isoformat()
    except dates.DateRefusedError as refused:
        raise UnmappableError(refused.code) from None


def _look_up(table: Mapping[str, str], text: str, otherwise: str) -> str:
    if text not in table:
        raise UnmappableError(otherwise)
    return table[text]


def _each(function: Callable[[str], str], *reasons: str) -> Transform:
    """A transform of one value at a time."""
    return Transform(apply=lambda values: tuple(map(function, values)), reasons=reasons, meaning=function.__doc__ or "")


def _all(function: Callable[[Values], Values]) -> Transform:
    """A transform that makes one value of several."""
    return Transform(apply=function, combines=True, meaning=function.__doc__ or "")


_DATE_REASONS = ("format", "partial", "impossible-date")
_ERA_REASONS = (*_DATE_REASONS, "outside-era", "before-1873")

TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "strip": _each(strip, "empty"),
        "nfc-safe": _each(nfc_safe),
        "upper": _each(upper),
        "kana-full-width": _each(kana_full_width, "stray-mark"),
        "hiragana-to-katakana": _each(hiragana_to_katakana),
        "wareki-to-iso": _each(wareki_to_iso, *_ERA_REASONS),
        "gregorian-to-iso": _each(gregorian_to_iso, *_DATE_REASONS),
        "compact-date-to-iso": _each(compact_date_to_iso, *_DATE_REASONS),
        "iso-to-wareki": _each(iso_to_wareki, "format", "before-1873"),
        "iso-to-compact-date": _each(iso_to_compact_date, "format"),
        "sex-code": _each(sex_code, "unknown-code"),
        "sex-from-japanese": _each(sex_from_japanese, "unknown-word"),
        "sex-from-openid": _each(sex_from_openid, "unknown-word"),
        "sex-to-japanese": _each(sex_to_japanese, "not-expressible"),
        "sex-to-openid": _each(sex_to_openid, "not-expressible"),
        "municipality-code-5-to-6": _each(municipality_code_5_to_6, "format", "unknown-code"),
        "postal-code": _each(postal_code, "format"),
        "split-family": _each(split_family, "not-two-parts", "alphabetic-name"),
        "split-given": _each(split_given, "not-two-parts", "alphabetic-name"),
        "join-space": _all(join_space),
        "first": _all(first),
    }
)
"""Transform name, as maps write it → transform."""
