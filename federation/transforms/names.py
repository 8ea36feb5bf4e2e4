"""Names of people: split and joined, never guessed at.

A mononym is no family name and no given name, so it is split into neither. An alias (通称) or a former name (旧氏) is
an attribute of its own; where a system writes it into the name, in brackets, the name is not split.
"""

import re
from collections.abc import Callable
from functools import cache
from types import MappingProxyType

from federation.transforms import kana
from federation.transforms.base import Transforms, UnmappableError, Values, each, each_with, whole
from federation.transforms.characters import ascii_half_width, nfc_safe
from federation.transforms.repertoires import SELECTORS, old_forms, replacements

_LATIN = "A-Za-zＡ-Ｚａ-ｚ\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_FAMILY_FIRST = (
    "々〆〇㐀-䶿一-鿿\uf900-\ufaff\U00020000-\U0003ffff"  # ideographs
    "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001b000-\U0001b16f"  # kana
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"  # hangul
)
_OTHER_LETTER = re.compile(f"(?![{_FAMILY_FIRST}])[^\\W\\d_]")
"""A letter of a script in which either name may come first."""
_LATIN_PART = re.compile(f"[{_LATIN}][{_LATIN}\u0300-\u036f'’‘ʻʼ`´＇.．\\-‐‑－]*")
_BRACKET = re.compile(r"[()\[\]（）［］〔〕「」『』【】<>＜＞〈〉《》{}｛｝]")
_COMMA = re.compile("[,，]")
_TWO = 2

_ORDERS = ("family-first", "given-first")
_ORDER = MappingProxyType(
    {
        "ja": "姓と名の順（family-first は姓が先、given-first は名が先）",
        "en": "the order that the system writes names in: family-first or given-first",
    }
)

_SPLIT_REASONS = ("one-part", "not-two-parts", "alphabetic-name", "brackets")
_SPLIT_LATIN_REASONS = ("one-part", "not-two-parts", "not-alphabetic", "brackets")


def split_family(text: str) -> str:
    """The family name in a full name with one gap.

    Refuses `one-part` (a mononym, or the gap is missing), `not-two-parts`, `alphabetic-name` (the order is a guess, see
    `split-family-latin`), `brackets` (an alias or a former name is in it).
    """
    return _split(text)[0]


def split_given(text: str) -> str:
    """The given name in a full name with one gap. Refuses as `split-family` does."""
    return _split(text)[1]


def split_family_latin(order: str) -> Callable[[str], str]:
    """The family name in an alphabetic full name, whose order the map states. Letters stay as they are written.

    One gap, or a comma after the family name (family-first only). Refuses `one-part`, `not-two-parts`,
    `not-alphabetic`, `brackets`.
    """
    family_first = _family_first(order)
    return lambda text: _split_latin(text, family_first=family_first)[0]


def split_given_latin(order: str) -> Callable[[str], str]:
    """The given name in an alphabetic full name, whose order the map states. Refuses as `split-family-latin` does."""
    family_first = _family_first(order)
    return lambda text: _split_latin(text, family_first=family_first)[1]


def join_space(values: Values) -> Values:
    """The values of several sources as one, a space between."""
    return (" ".join(values),)


def join_wide_space(values: Values) -> Values:
    """The values of several sources as one, a full-width space between."""
    return ("\u3000".join(values),)


def join_closed(values: Values) -> Values:
    """The values of several sources as one, nothing between."""
    return ("".join(values),)


def name_match_key(text: str) -> str:
    """A name as a key for comparing, never for showing: 髙橋 and 高橋 alike. Refuses `stray-mark`, `empty`.

    Alike are names with and without spaces and variation selectors, old and other forms of a character (澤, 沢),
    capital and small letters of either width, and kana as for `kana-match-key`. Two people may well have one key.
    """
    plain = nfc_safe(ascii_half_width(_IGNORED.sub("", text)))
    formed = _REPEATED.sub(_repeat, plain.translate(_forms()))
    try:
        key = nfc_safe(kana.folded(formed))  # a numeral that becomes a letter joins the mark behind it
    except kana.StrayMarkError:
        raise UnmappableError("stray-mark") from None
    if not key:
        raise UnmappableError("empty")
    return key


_IGNORED = re.compile(f"[{SELECTORS}\\s]+")
_REPEATED = re.compile("[㐀-䶿一-鿿\U00020000-\U0003ffff]々+")


def _repeat(found: re.Match[str]) -> str:
    return found[0][0] * len(found[0])


@cache
def _forms() -> dict[int, str]:
    """Code point → what a match key has for it."""
    forms = {**replacements(), **old_forms()}

    def last(character: str) -> str:
        return "".join(last(forms[c]) if c in forms else c for c in character)

    capitals = map(chr, (*range(0x41, 0x5B), *range(0xC0, 0x250), *range(0x1E00, 0x1F00)))
    small = {ord(capital): capital.lower() for capital in capitals if len(capital.lower()) == 1}
    return {ord(character): last(forms[character]).translate(small) for character in forms} | small


def _split(text: str) -> tuple[str, str]:
    """Family and given name. In the Latin alphabet and others the order is a guess; without one gap, the border is."""
    if _OTHER_LETTER.search(text):
        raise UnmappableError("alphabetic-name")
    return _two(_parts(text))


def _split_latin(text: str, *, family_first: bool) -> tuple[str, str]:
    around_comma = [_parts(side) for side in _COMMA.split(text)]
    parts = [part for side in around_comma for part in side]
    if not all(map(_LATIN_PART.fullmatch, parts)):
        raise UnmappableError("not-alphabetic")
    if len(around_comma) == 1:
        first, second = _two(parts)
        return (first, second) if family_first else (second, first)
    if len(around_comma) != _TWO or not family_first or not all(around_comma):
        raise UnmappableError("not-two-parts")
    family, given = around_comma
    return " ".join(family), " ".join(given)


def _parts(text: str) -> list[str]:
    if _BRACKET.search(text):
        raise UnmappableError("brackets")
    return text.split()


def _two(parts: list[str]) -> tuple[str, str]:
    if len(parts) == 1:
        raise UnmappableError("one-part")
    if len(parts) != _TWO:
        raise UnmappableError("not-two-parts")
    return parts[0], parts[1]


def _family_first(order: str) -> bool:
    if order not in _ORDERS:
        raise ValueError(_ORDER["en"])
    return order == "family-first"


TRANSFORMS: Transforms = MappingProxyType(
    {
        "split-family": each(split_family, *_SPLIT_REASONS),
        "split-given": each(split_given, *_SPLIT_REASONS),
        "split-family-latin": each_with(split_family_latin, *_SPLIT_LATIN_REASONS, argument=_ORDER),
        "split-given-latin": each_with(split_given_latin, *_SPLIT_LATIN_REASONS, argument=_ORDER),
        "join-space": whole(join_space, ordered=True),
        "join-wide-space": whole(join_wide_space, ordered=True),
        "join-closed": whole(join_closed, ordered=True),
        "name-match-key": each(name_match_key, "stray-mark", "empty"),
    }
)
"""Those of this module, by name."""
