"""Repertoires: which characters a service can take, and what stands in place of one that it cannot (縮退, shrinking).

Shrinking loses something: 髙 becomes 高, and often more than one character becomes the same. So it is for services that
declare a repertoire and for keys that are only compared. A character goes over by one explicit table
(`shrink.tsv`, and Unicode's own decompositions of compatibility ideographs and radicals), or the value is refused:
no character is dropped, and none becomes a "?".
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from operator import ne
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

_HERE = Path(__file__).resolve().parent

_ASCII = frozenset(map(chr, range(0x20, 0x7F)))

# Characters of JIS X 0208 for which Unicode has two code points, and vendors' tables take the one or the other.
_SECOND_SPELLINGS = frozenset("〜～−－‖∥¢￠£￡¬￢—―＼")

SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Variation selectors, standardised (SVS) and ideographic (IVS), as a character class."""

_NOT_PLAIN_UNICODE = re.compile(
    "["
    + SELECTORS
    + "\x00-\x1f\x7f-\x9f"  # controls
    + "\ud800-\udfff"  # lone surrogates
    + "\ue000-\uf8ff\U000f0000-\U0010ffff"  # private use: gaiji, which mean nothing elsewhere
    + "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
    + "]"
)

_KANA_AND_ITS_MARK = "[かきくけこカキクケコセツトㇷ]\u309a"
_UNIT = re.compile(f"(?:{_KANA_AND_ITS_MARK}|.)[{SELECTORS}]*", re.DOTALL)
_SELECTOR = re.compile(f"[{SELECTORS}]")
_JOINED = re.compile(f"[{SELECTORS}\u309a]")
"""What makes one character with the code point before it."""


class OutsideRepertoireError(ValueError):
    """A character that the repertoire does not have and nothing replaces. Holds no character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repertoire:
    """What a service can take. `takes` answers for a whole text, which may be one character.

    `units` are those of its characters that are several code points in Unicode (か and a semi-voiced mark).
    """

    name: str
    takes: Callable[[str], bool]
    units: frozenset[str] = frozenset()

    def has(self, unit: str) -> bool:
        """Whether one character, as `_UNIT` finds it, is in it."""
        return unit in self.units or self.takes(unit)


class Shrunk(NamedTuple):
    """A text within a repertoire; `marks` has for each of its code points 1 (a substitute) or 0 (as registered)."""

    text: str
    marks: str


def named(name: str) -> Repertoire:
    """The repertoire of this name. Raises `ValueError`, which lists the names, for another."""
    if name not in REPERTOIRES:
        raise ValueError(f"one of {', '.join(REPERTOIRES)}")
    return REPERTOIRES[name]()


def shrinking(repertoire: Repertoire, extra: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], Shrunk]:
    """What shrinks a text to the repertoire, with replacements of an operator's own (`extra`) before the table's.

    A key of `extra` is one character, or one with its variation selector. The function raises
    `OutsideRepertoireError`. Raises `ValueError` for a replacement that is not in the repertoire itself.
    """
    for key, value in extra.items():
        if not _UNIT.fullmatch(key) or not value or not repertoire.takes(value):
            raise ValueError("a replacement has one character and what stands for it in the repertoire")
    table = replacements()
    takes, units = repertoire.takes, repertoire.units
    direct = {} if extra else _direct(repertoire)

    def shrink(text: str) -> Shrunk:
        if takes(text) and not (extra and any(map(text.__contains__, extra))):
            return Shrunk(text=text, marks="0" * len(text))
        if not extra and not _JOINED.search(text) and takes(new := text.translate(direct)) and len(new) == len(text):
            return Shrunk(text=new, marks="".join(map("01".__getitem__, map(ne, text, new))))
        shrunk: list[str] = []
        marks: list[str] = []
        for unit in _UNIT.findall(text):
            if unit not in extra and (takes(unit) or unit in units):
                shrunk.append(unit)
                marks.append("0" * len(unit))
            else:
                new = extra.get(unit) or _substitute(unit, repertoire, extra, table)
                shrunk.append(new)
                marks.append("1" * len(new))
        return Shrunk(text="".join(shrunk), marks="".join(marks))

    return shrink


def _substitute(unit: str, repertoire: Repertoire, extra: Mapping[str, str], table: Mapping[str, str]) -> str:
    """What stands for a character that the repertoire does not have: without its selector, or by the tables."""
    new = unit if len(unit) == 1 else _SELECTOR.sub("", unit)
    for _ in range(_STEPS):
        new = extra.get(new, new)
        if new and repertoire.has(new):
            return new
        new = table.get(new, "")
        if new and repertoire.takes(new):
            return new
    raise OutsideRepertoireError


@cache
def _direct(repertoire: Repertoire) -> Mapping[int, str]:
    """Code point that the repertoire does not have → what stands in its place by the tables alone."""
    found: dict[int, str] = {}
    for character in replacements():
        if not repertoire.takes(character):
            with suppress(OutsideRepertoireError):
                found[ord(character)] = _substitute(character, repertoire, {}, replacements())
    return found


_STEPS = 2
"""U+FA33 is U+52C9 by Unicode's table; a unified one may need this module's table then."""


@cache
def replacements() -> Mapping[str, str]:
    """Character → what stands for it, all of it in JIS X 0208 or ASCII, or (Unicode's own) one step nearer to it."""
    table: dict[str, str] = {}
    for first, last in ((0x2E80, 0x2FDF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)):
        for character in map(chr, range(first, last + 1)):
            unified = unicodedata.normalize("NFKC", character)
            if unified != character:
                table[character] = unified
    return MappingProxyType(table | read_table("shrink.tsv"))


@cache
def old_forms() -> Mapping[str, str]:
    """Character of JIS X 0208 → the form of it in general use, also there. For match keys only."""
    return MappingProxyType(read_table("old_forms.tsv"))


def read_table(name: str) -> dict[str, str]:
    """A table beside this module: lines of code point, character and replacement; `#` begins a comment."""
    lines = (_HERE / name).read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("# "))
    return {character: replacement for _, character, replacement in rows}


@cache
def _unicode() -> Repertoire:
    return Repertoire(name="unicode-without-ivs", takes=lambda text: _NOT_PLAIN_UNICODE.search(text) is None)


@cache
def _jis_x_0208() -> Repertoire:
    """Its 6,879 characters and ASCII."""
    return Repertoire(name="jis-x-0208", takes=(_double_byte("shift_jis") | _SECOND_SPELLINGS | _ASCII).issuperset)


@cache
def _jis_x_0213() -> Repertoire:
    """Its 11,233 characters (JIS X 0213:2004) and ASCII."""
    characters = _double_byte("shift_jis_2004")
    units = frozenset(unit for unit in characters if len(unit) > 1)
    single = (characters - units) | _double_byte("shift_jis") | _SECOND_SPELLINGS | _ASCII
    return Repertoire(name="jis-x-0213", takes=single.issuperset, units=units)


@cache
def _windows_31j() -> Repertoire:
    """JIS X 0208, what NEC and IBM added to it, half-width katakana and ASCII; not the user-defined area."""
    characters = frozenset(c for c in _double_byte("cp932") if not "\ue000" <= c <= "\uf8ff")
    half_width = frozenset(map(chr, range(0xFF61, 0xFFA0)))
    return Repertoire(name="windows-31j", takes=(characters | half_width | _SECOND_SPELLINGS | _ASCII).issuperset)


REPERTOIRES: Mapping[str, Callable[[], Repertoire]] = MappingProxyType(
    {
        "jis-x-0208": _jis_x_0208,
        "jis-x-0213": _jis_x_0213,
        "windows-31j": _windows_31j,
        "unicode-without-ivs": _unicode,
    }
)
"""Name, as maps write it → what makes the repertoire."""


def _double_byte(codec: str) -> frozenset[str]:
    """What a codec of the Shift_JIS family writes in two bytes."""
    leads = (*range(0x81, 0xA0), *range(0xE0, 0xFD))
    return frozenset(
        text for lead in leads for trail in range(0x40, 0xFD) if (text := _decoded(bytes((lead, trail)), codec))
    )


def _decoded(pair: bytes, codec: str) -> str | None:
    try:
        return pair.decode(codec)
    except UnicodeDecodeError:
        return None
