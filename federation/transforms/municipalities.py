"""Municipalities: by code, by name; held against the table of all governments (`trust_lists.municipalities`).

What the table does not know is refused, also a code that ended in a merger: nobody guesses which code came after it.
"""

import re
from collections.abc import Callable
from types import MappingProxyType

from federation.transforms import places
from federation.transforms.base import Transforms, UnmappableError, each, each_with
from trust_lists.codes import check_digit, is_municipality_code
from trust_lists.municipalities import BY_CODE, PREFECTURES, WARDS, Government, named

_BY_FIVE = {code[:5]: code for code in BY_CODE}
_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")
_FIVE = re.compile("[0-9]{5}")
_SIX = re.compile("[0-9]{6}")
_CODE_REASONS = ("format", "five-digits", "check-digit", "ward-code", "unknown-code")
_NAME_REASONS = ("unknown-name", "ambiguous-name", "not-a-municipality")


def municipality_code(text: str) -> str:
    """A code of six digits (102016), full-width or half, of a government that exists.

    Refuses `format`, `check-digit`, `ward-code` (of a designated city's ward), `unknown-code` (also one that a merger
    ended), and `five-digits`: that is a code without its check digit (see `municipality-code-5-to-6`), or a number
    that has lost its first zero, and only whoever sends it can say which.
    """
    return _government(text).code


def municipality_code_5_to_6(text: str) -> str:
    """Five digits (10201) with their check digit (102016). Refuses `format`, `ward-code`, `unknown-code`."""
    known = _BY_FIVE.get(text)
    if known is not None:
        return known
    five = text.translate(_DIGITS)
    if not _FIVE.fullmatch(five):
        raise UnmappableError("format")
    return _known(five + check_digit(five)).code


def municipality_code_6_to_5(text: str) -> str:
    """A code without its check digit: 102016 as 10201. Refuses as `municipality-code`."""
    return _government(text).code[:5]


def ward_code_to_municipality_code(text: str) -> str:
    """The code of the city for that of its ward (011011 中央区 as 011002 札幌市); codes of municipalities stay.

    Refuses as `municipality-code`, but for `ward-code`.
    """
    code = _checked(text)
    ward = WARDS.get(code)
    return _known(code).code if ward is None else ward.city.code


def municipality_name_to_code(text: str) -> str:
    """The code of a municipality that is named: 群馬県前橋市, 前橋市, 余市郡余市町.

    Refuses `unknown-name`, `ambiguous-name` (府中市 is one in Tokyo and one in Hiroshima: with its prefecture it is
    taken), `not-a-municipality` (a prefecture, a ward of a designated city).
    """
    try:
        place = places.find(text)
    except UnmappableError as refused:
        raise UnmappableError("unknown-name" if refused.code == "uncertain" else refused.code) from None
    if place.rest.strip(" \u3000"):
        raise UnmappableError("unknown-name")
    if place.government is None or place.ward:
        raise UnmappableError("not-a-municipality")
    return place.government.code


def municipality_name_in(prefecture: str) -> Callable[[str], str]:
    """The code of a municipality of the prefecture that the argument names: 府中市, in 広島県.

    Refuses `unknown-name`, also for a name with another prefecture before it.
    """
    if prefecture not in PREFECTURES:
        raise ValueError(_PREFECTURE["en"])

    def code(text: str) -> str:
        name = text.strip(" \u3000").removeprefix(prefecture).strip(" \u3000")
        found = named(name, prefecture)
        if len(found) != 1:
            raise UnmappableError("unknown-name")
        return found[0].code

    return code


def code_to_municipality_name(text: str) -> str:
    """The name of a municipality, without prefecture and county (前橋市), for its code.

    Refuses as `municipality-code`, and `not-a-municipality` for the code of a prefecture.
    """
    return _municipality(text).name


def code_to_full_name(text: str) -> str:
    """The name of a municipality with its prefecture (群馬県前橋市), for its code. Refuses as for the name alone."""
    found = _municipality(text)
    return found.prefecture + found.name


def code_to_prefecture(text: str) -> str:
    """The prefecture that a code's municipality is in, or that the code is of. Refuses as `municipality-code`."""
    return _government(text).prefecture


def code_to_kana(text: str) -> str:
    """The reading of a municipality's name (マエバシシ), for its code. Refuses as for the name."""
    return _municipality(text).kana


def _checked(text: str) -> str:
    code = text if text.isascii() else text.translate(_DIGITS)
    if not _SIX.fullmatch(code):
        raise UnmappableError("five-digits" if _FIVE.fullmatch(code) else "format")
    if not is_municipality_code(code):
        raise UnmappableError("check-digit" if check_digit(code[:5]) != code[5] else "unknown-code")
    return code


def _known(code: str) -> Government:
    found = BY_CODE.get(code)
    if found is None:
        raise UnmappableError("ward-code" if code in WARDS else "unknown-code")
    return found


def _government(text: str) -> Government:
    return BY_CODE.get(text) or _known(_checked(text))


def _municipality(text: str) -> Government:
    found = _government(text)
    if found.kind == "prefecture":
        raise UnmappableError("not-a-municipality")
    return found


_PREFECTURE = {"ja": "都道府県の名前（例：広島県）", "en": "the name of a prefecture, for instance 広島県"}

TRANSFORMS: Transforms = MappingProxyType(
    {
        "municipality-code": each(municipality_code, *_CODE_REASONS),
        "municipality-code-5-to-6": each(
            municipality_code_5_to_6, "format", "ward-code", "unknown-code", inverse="municipality-code-6-to-5"
        ),
        "municipality-code-6-to-5": each(municipality_code_6_to_5, *_CODE_REASONS, inverse="municipality-code-5-to-6"),
        "ward-code-to-municipality-code": each(
            ward_code_to_municipality_code, "format", "five-digits", "check-digit", "unknown-code"
        ),
        "municipality-name-to-code": each(municipality_name_to_code, *_NAME_REASONS),
        "municipality-name-in": each_with(municipality_name_in, "unknown-name", argument=_PREFECTURE),
        "code-to-municipality-name": each(code_to_municipality_name, *_CODE_REASONS, "not-a-municipality"),
        "code-to-full-name": each(
            code_to_full_name, *_CODE_REASONS, "not-a-municipality", inverse="municipality-name-to-code"
        ),
        "code-to-prefecture": each(code_to_prefecture, *_CODE_REASONS),
        "code-to-kana": each(code_to_kana, *_CODE_REASONS, "not-a-municipality"),
    }
)
"""Those of this module, by name."""
