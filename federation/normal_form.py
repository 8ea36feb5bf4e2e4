"""Normalisation of what anybody may have written (UAX #15).

Sorting a row of combining marks takes time that grows with the square of its length, and nothing else of the process
runs meanwhile. So long rows are parted first, as the Stream-Safe Text Format has it (§13).
"""

import re
import unicodedata
from functools import lru_cache

MOST_MARKS = 30
"""In a row; no language writes more."""

GRAPHEME_JOINER = "\u034f"

_ROW = re.compile(f"[\\W\uff9e\uff9f]{{{MOST_MARKS // 3 - 1},}}")
"""Where marks may follow one another: all of them are among these, and are three at most when they are taken apart."""


def nfkc(text: str) -> str:
    """The text in normalization form KC, in a time that grows with its length."""
    return text if text.isascii() else unicodedata.normalize("NFKC", _ROW.sub(_parted, text))


def _parted(found: re.Match[str]) -> str:
    """A joiner wherever more marks than `MOST_MARKS` would follow one another."""
    before = found.string[found.start() - 1] if found.start() else ""
    parted, row = [], _marks(before)[0] if before else 0
    for c in found[0]:
        marks, alone = _marks(c)
        row = row + marks if alone else marks
        if row > MOST_MARKS:
            parted.append(GRAPHEME_JOINER)
            row = marks
        parted.append(c)
    return "".join(parted)


@lru_cache(4096)
def _marks(c: str) -> tuple[int, bool]:
    """The marks at the end of a character that is taken apart, and whether there is nothing else."""
    apart = unicodedata.normalize("NFKD", c)
    first = next((i for i, each in enumerate(reversed(apart)) if not unicodedata.combining(each)), len(apart))
    return first, first == len(apart)
