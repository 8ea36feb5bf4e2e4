"""A glance at a text: most cannot hold what must never pass, and a few quick questions show it.

`ordinary` never says so of a text in which `federation/guard.py` would find anything: a number needs eleven digits of
some script, or signs that are worth several; each disguise needs a sign of its own, many digits or a long word.
Whatever is not ordinary is looked at closely.
"""

import re

from federation.guard_numbers import DIGIT_OF_ANY_SCRIPT, GREAT_UNITS, RESIDENT_CODE_DIGITS

SHORTEST = 11
"""Characters below which nothing can stand in a text, but for signs that are worth several digits."""

_SHORTEST_WORD = 15
"""Letters of the shortest word that can hold such a number, in base64: eleven digits without padding."""

_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_ESCAPES, _BETWEEN = frozenset(b"%&\\="), frozenset(b": \t\n\r\v\f")
_SHAPES = bytes(ord("x" if n in _WORD else "!" if n in _ESCAPES else ":" if n in _BETWEEN else " ") for n in range(256))
"""Each byte as what it could be of a disguise: of a word, an escape, or between two pairs of hexadecimal digits."""

_A_WORD = "x" * _SHORTEST_WORD
_PAIRS = "xx:" * 7
_DIGITS = bytes(ord("0" if n in b"0123456789" else " ") for n in range(256))
_ANY_DIGIT = re.compile(DIGIT_OF_ANY_SCRIPT)
_SEVERAL = re.compile(
    f"[{GREAT_UNITS}"
    "\u00bc-\u00be\u2150-\u215f\u2189"  # fractions
    "\u2469-\u2473\u247d-\u2487\u2491-\u249b\u3251-\u325f\u32b1-\u32bf"  # circled and bracketed from ten on
    "\u32c0-\u32cb\u3358-\u3370\u33e0-\u33fe"  # months, hours and days in one sign
    "]"
)
"""What is worth several digits."""

_WIDE = re.compile("[％＆＼＝ｅＥ]|[！-～]{15}|シリアル|ｼﾘｱﾙ")
"""Escapes, words and labels in other widths and scripts."""

_EVERYDAY = re.compile(
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1245678][0-9a-fA-F]{3}-[0-9a-fA-F]{4}-(?=[0-9]{0,11}[a-fA-F])[0-9a-fA-F]{12}"
    "|(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]"
    "(?::[0-5][0-9](?:[.][0-9]{3}Z?|Z|[+-][01][0-9]:[0-5]0)?)?"
)
"""UUIDs (RFC 9562 §4) that end in no number and spell none, and moments (RFC 3339 §5.6)."""

_ON_END = re.compile("[0-9]{11}")
"""As many digits on end as the shortest number has: some UUIDs have them, hyphens left out."""


def ordinary(text: str) -> bool:
    """Whether nothing that must never pass can stand in the text."""
    if text.isascii():
        if len(text) < SHORTEST:
            return True
        octets = text.encode()
        digits = octets.translate(_DIGITS).count(b"0")
    else:
        if _SEVERAL.search(text):
            return False
        if len(text) < SHORTEST:
            return True
        if _WIDE.search(text):
            return False
        octets = text.encode("utf-8", "surrogatepass")
        digits = len(_ANY_DIGIT.findall(text))
    shapes = octets.translate(_SHAPES).decode("ascii")
    if digits >= RESIDENT_CODE_DIGITS or "!" in shapes or _A_WORD in shapes or _PAIRS in shapes:
        return _EVERYDAY.fullmatch(text) is not None and _ON_END.search(text.replace("-", "")) is None
    small = text.lower()
    return not ("erial" in small or "-begin" in small or "2.5.4.5" in small or "MI" in text)
