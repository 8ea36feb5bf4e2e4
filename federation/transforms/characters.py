"""Spaces and characters: what of a text is only its spelling in Unicode, and what is somebody's name."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from federation.transforms.base import Transforms, UnmappableError, Values, each, each_with, whole
from federation.transforms.repertoires import REPERTOIRES, OutsideRepertoireError, Shrunk, named, shrinking

_COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
_TO_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
_TO_FULL_WIDTH = {half: full for full, half in _TO_HALF_WIDTH.items()}

_REPERTOIRE = MappingProxyType(
    {
        "ja": f"文字集合（{'、'.join(REPERTOIRES)} のどれか）。続けて独自の置き換え（例 髙=高）",
        "en": f"a repertoire, one of {', '.join(REPERTOIRES)}; after it, replacements of one's own such as 髙=高",
    }
)


def strip(text: str) -> str:
    """The text without spaces around it, half-width or full-width. Refuses `empty`."""
    stripped = text.strip()
    if not stripped:
        raise UnmappableError("empty")
    return stripped


def collapse_spaces(text: str) -> str:
    """The text with one half-width space for each run of spaces of any width, none around. Refuses `empty`."""
    collapsed = " ".join(text.split())
    if not collapsed:
        raise UnmappableError("empty")
    return collapsed


def wide_spaces(text: str) -> str:
    """The text with one full-width space for each run of spaces of any width, none around. Refuses `empty`."""
    return collapse_spaces(text).replace(" ", "\u3000")


def nfc_safe(text: str) -> str:
    """The text in Unicode's composed form (NFC), but with compatibility ideographs as registered.

    NFC alone would put the ideograph U+795E for U+FA19, and nobody could tell afterwards how the name is
    written. Variation selectors stay too.
    """
    if unicodedata.is_normalized("NFC", text):
        return text
    parts = _COMPATIBILITY_IDEOGRAPHS.split(text)
    return "".join(p if _COMPATIBILITY_IDEOGRAPHS.match(p) else unicodedata.normalize("NFC", p) for p in parts)


def ascii_half_width(text: str) -> str:
    """Full-width letters, digits and signs (Ａ１－) as those of ASCII; the rest stays, kana and spaces too."""
    return text.translate(_TO_HALF_WIDTH)


def ascii_full_width(text: str) -> str:
    """Letters, digits and signs of ASCII in full width; the rest stays, spaces too."""
    return text.translate(_TO_FULL_WIDTH)


def upper(text: str) -> str:
    """The text in capital letters, by Unicode's rules; what has no capitals stays."""
    return text.upper()


def first(values: Values) -> Values:
    """The first value of the first source that has one."""
    return values[:1]


def shrink(argument: str) -> Callable[[str], str]:
    """The text within a repertoire, some characters replaced by a table (髙 by 高). Refuses `outside-repertoire`.

    The map may state replacements of its own, which come before the table's. What the tables do not know is neither
    dropped nor written as a question mark. The attribute that it comes from stays as registered; `shrunk-characters`
    tells a service what was replaced.
    """
    shrunk = _shrunk(argument)
    return lambda text: shrunk(text).text


def shrunk_characters(argument: str) -> Callable[[str], str]:
    """Which characters of what `shrink` answers are substitutes: a digit for each, 1 or 0. Refuses as `shrink` does.

    JPKI certificates tell it so (otherName 1.2.392.200149.8.5.5.2 and .6). 髙橋 within JIS X 0208: `10`.
    """
    shrunk = _shrunk(argument)
    return lambda text: shrunk(text).marks


def _shrunk(argument: str) -> Callable[[str], Shrunk]:
    """By `jis-x-0208`, or `jis-x-0208,髙=高,﨑=崎` with replacements of the map's own. Raises `ValueError`."""
    repertoire, *stated = (part.strip() for part in argument.split(","))
    if any(part.count("=") != 1 for part in stated):
        raise ValueError(_REPERTOIRE["en"])
    extra = dict(part.split("=") for part in stated)
    if len(extra) < len(stated):
        raise ValueError("a character has two replacements")
    by_table = shrinking(named(repertoire), extra)

    def shrunk(text: str) -> Shrunk:
        try:
            return by_table(nfc_safe(text))
        except OutsideRepertoireError:
            raise UnmappableError("outside-repertoire") from None

    return shrunk


TRANSFORMS: Transforms = MappingProxyType(
    {
        "strip": each(strip, "empty"),
        "collapse-spaces": each(collapse_spaces, "empty"),
        "wide-spaces": each(wide_spaces, "empty", inverse="collapse-spaces"),
        "nfc-safe": each(nfc_safe),
        "ascii-half-width": each(ascii_half_width, inverse="ascii-full-width"),
        "ascii-full-width": each(ascii_full_width, inverse="ascii-half-width"),
        "upper": each(upper),
        "first": whole(first),
        "shrink": each_with(shrink, "outside-repertoire", argument=_REPERTOIRE),
        "shrunk-characters": replace(
            each_with(shrunk_characters, "outside-repertoire", argument=_REPERTOIRE),
            label=lambda _: {
                "ja": "代わりの字を使った位置",
                "en": "Which characters are substitutes",
            },
        ),
    }
)
"""Those of this module, by name."""
