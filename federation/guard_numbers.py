"""Numbers that must never pass, as they stand in a text: where 12 or 11 digits stand together, and how plainly.

The My Number (個人番号) has 12 digits, the last of which checks the others (平成26年総務省令第85号 第5条). The
resident-record code (住民票コード) has 11. Its check digit is less certain: the same rule over ten digits fits what was
found in public [B], so whoever doubts it may leave it out (`Guard(resident_code_check=False)`).

Of ten rows of twelve random digits one passes the check. So a find carries its `Evidence`, and the table in
`federation/guard.py` says what that is worth in which kind of field.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from operator import mul

from federation.normal_form import nfkc

MY_NUMBER_DIGITS = 12
RESIDENT_CODE_DIGITS = 11
ENDLESS = 64
"""Digits without a gap that are a find by themselves where no number has any business."""


class Evidence(StrEnum):
    """How plainly the number stands there. All but FORM pass the check digit.

    SOLID: by itself, whatever separates its digits. EXCUSED: the same, but something harmless is written like that (a
    telephone number, a moment, a list; groups with one word between them). SCATTERED: whole groups of a longer row of
    groups. INSIDE: a part of a longer unbroken row. REVERSED: written backwards. SPLIT: in parts, in several fields or
    values. FORM: the right number of digits, but the check digit is wrong.
    """

    SOLID = "solid"
    EXCUSED = "excused"
    SCATTERED = "scattered"
    INSIDE = "inside"
    REVERSED = "reversed"
    SPLIT = "split"
    FORM = "form"


# --- check digits

_WEIGHTS = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def is_my_number(digits: str) -> bool:
    """Whether the 12 ASCII digits bear the check digit of a My Number. Twelve zeros are nobody's."""
    return len(digits) == MY_NUMBER_DIGITS and _checks(digits)


def is_resident_code(digits: str) -> bool:
    """Whether the 11 ASCII digits bear the check digit of a resident-record code, by the rule that is believed."""
    return len(digits) == RESIDENT_CODE_DIGITS and _checks(digits)


def _checks(digits: str) -> bool:
    """Weights 6 5 4 3 2 7 6 5 4 3 2, from the right 2 to 7 and again; the remainder by 11."""
    values = [*map(int, digits)]
    check = values.pop()
    remainder = sum(map(mul, _WEIGHTS[-len(values) :], values)) % 11
    return check == (0 if remainder <= 1 else 11 - remainder) and any(values)


# --- digits of every script

_KANJI = {
    "〇一二三四五六七八九": range(10),
    "零壱弐参肆伍陸漆捌玖": range(10),
    "○壹貳參": (0, 1, 2, 3),
    "弌弍弎": (1, 2, 3),
}
_NUMERALS = {
    ord(sign): str(value) for signs, values in _KANJI.items() for sign, value in zip(signs, values, strict=True)
}
_DINGBATS = {ord(first) + n: str(n + 1) for first in "❶➀➊⓵㆒" for n in range(4 if first == "㆒" else 9)} | {
    ord("⓿"): "0",
    ord("🄋"): "0",
    ord("🄌"): "0",
}
_TO_DIGITS = _NUMERALS | _DINGBATS
_WRITTEN = (
    "\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    "\u3192-\u3195\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf\U0001f100-\U0001f10c"
)
DIGIT_OF_ANY_SCRIPT = rf"[\d{''.join(signs for signs in _KANJI)}{_WRITTEN}]"
"""One digit, as a regular expression, in any script that `in_plain_digits` reads."""

_OTHER_DIGIT = re.compile(r"[^\W\x00-\x7f]")
_BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u17b4\u17b5ーｰ"), " ")
"""Letters by category that are written as nothing, and the long vowel mark, which many write for a hyphen."""

GREAT_UNITS = "万萬億兆"
_MARKED = re.compile("[\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f]")
_GREAT = re.compile(
    f"[0-9十百千拾佰仟{GREAT_UNITS}]*[億兆][0-9十百千拾佰仟{GREAT_UNITS}]*|[0-9]{{7,}}[万萬][0-9十百千拾佰仟]*"
)
_UNSEEN = re.compile("([\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f])+")
_SMALL_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_GREAT_UNITS = {"万": 10**4, "萬": 10**4, "億": 10**8, "兆": 10**12}
_MOST_UNITS = 40


def in_plain_digits(text: str) -> str:
    """The text with the digits of every script as ASCII digits: full width, circled, raised, kanji, and so on."""
    if text.isascii():
        return text
    text = nfkc(_MARKED.sub("", text.translate(_TO_DIGITS)))
    text = _UNSEEN.sub(r"\1", text)
    text = _OTHER_DIGIT.sub(_plain, text.translate(_BLANKS))
    return _GREAT.sub(_spelled_out, text) if any(unit in text for unit in GREAT_UNITS) else text


def _plain(match: re.Match[str]) -> str:
    value = unicodedata.digit(match[0], None)
    return match[0] if value is None else str(value)


def _spelled_out(match: re.Match[str]) -> str:
    """一千二百三十四億… as digits."""
    if len(match[0]) > _MOST_UNITS:
        return match[0]
    total = section = 0
    last = ""
    for sign in match[0]:
        if sign in _GREAT_UNITS:
            total += (section + int(last or (0 if section else 1))) * _GREAT_UNITS[sign]
            section, last = 0, ""
        elif sign in _SMALL_UNITS:
            section += int(last or 1) * _SMALL_UNITS[sign]
            last = ""
        else:
            last += sign
    return str(total + section + int(last or 0))


# --- rows of digits

_ROW = re.compile(r"(?:[0-9][\W_]{0,32}){10,}[0-9]+")
_WORDED = re.compile(r"(?<![0-9])[0-9]{1,6}([^\W0-9_]{1,4})[0-9]{1,6}(?:\1[0-9]{1,6}){1,10}(?![0-9])")
_GROUP = re.compile("[0-9]+")
_NO_DIGIT = re.compile("[^0-9]+")
_HIDDEN = re.compile("[\x00-\x08\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")

_HARMLESS = tuple(
    re.compile(expression)
    for expression in (
        r"\+81[0-9 ().-]{9,15}",  # telephone numbers, abroad and at home (電気通信番号規則: ten digits, or eleven)
        r"(?<![0-9])0[5-9]0[- .()]{0,2}[0-9]{4}[- .()]{0,2}[0-9]{4}(?![0-9])",
        # ten digits, in the groups that there are
        (
            r"(?<![0-9])\(?0(?:[0-9][-) .(]{1,2}[0-9]{4}|[0-9]{2}[-) .(]{1,2}[0-9]{3}|[0-9]{3}[-) .(]{1,2}[0-9]{2}"
            r"|[0-9]{4}[-) .(]{1,2}[0-9])[-) .(]{1,2}[0-9]{4}(?![0-9])"
        ),
        r"(?<![0-9])0(?:120|570|990|180)[- ]?[0-9]{3}[- ]?[0-9]{3}(?![0-9])",
        r"(?<![0-9])0800[- ]?[0-9]{3}[- ]?[0-9]{4}(?![0-9])",
        # moments and days (ISO 8601 and its relatives)
        (
            r"(?<![0-9])(?:19|20)[0-9]{2}(?P<d>[-/.]?)(?:0[1-9]|1[0-2])(?P=d)(?:0[1-9]|[12][0-9]|3[01])"
            r"[T _-]{0,2}(?:[01][0-9]|2[0-3])[:.]?[0-5][0-9](?:[:.]?[0-5][0-9])?"
        ),
        r"(?<![0-9])(?:19|20)[0-9]{2}(?P<s>[-/. ]{1,2})(?:0?[1-9]|1[0-2])(?P=s)(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])",
        r"(?<![0-9])(?:19|20)[0-9]{2}(?:[ ,/~-]{1,3}(?:19|20)[0-9]{2}){2}(?![0-9])",  # years
        # UUIDs, and other long hexadecimal words
        r"(?i)(?<![0-9a-z])[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![0-9a-z])",
        r"(?i)(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{20,}(?![0-9a-z])",
        r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])",  # IPv4
        r"(?<![0-9.])[0-9]{1,3}\.[0-9]{4,}(?![0-9.eE])",  # fractions: places on the earth, shares
        r"(?<![0-9])[0-9]{4}(?P<c>[ -])[0-9]{4}(?P=c)[0-9]{4}(?P=c)[0-9]{4}(?![0-9])",  # payment cards
        r"(?<![0-9])(?:[0-9]+, ?)+[0-9]+(?<!,[0-9]{3})(?![0-9,])",  # lists
        r"(?<![0-9])(?:[0-9]+, )+[0-9]+",
    )
)
"""What is written like such a number and is none. An excuse in free text and numbers, never in a name."""

_NEAR = 48


LENGTHS = (MY_NUMBER_DIGITS, RESIDENT_CODE_DIGITS)

Find = tuple[int, Evidence, int]
"""How many digits, how plainly, and at which character."""


def finds(text: str, *, anything: bool = False, inside: bool = False) -> list[Find]:
    """Where 12 or 11 digits stand together in `text` (as `in_plain_digits` made it) and bear a check digit, or may.

    Whatever is no letter may stand between two digits, up to 32 signs, and one word between groups. `inside`: parts of
    longer unbroken rows count too; `anything`: also numbers written backwards.
    """
    found: list[Find] = []
    for row in _ROW.finditer(text):
        groups = [match.span() for match in _GROUP.finditer(text, row.start(), row.end())]
        for length in LENGTHS:
            read = _in_row(text, groups, length, anything=anything, inside=anything or inside)
            found += [(length, evidence, at) for evidence, at in read]
    for words in _WORDED.finditer(text):
        digits = _NO_DIGIT.sub("", words[0])
        if len(digits) in LENGTHS and _checks(digits):
            found.append((len(digits), Evidence.EXCUSED, words.start()))
    return found


def _in_row(
    text: str, groups: list[tuple[int, int]], length: int, *, anything: bool, inside: bool
) -> Iterator[tuple[Evidence, int]]:
    whole = sum([stop - begin for begin, stop in groups])
    first = held = 0
    for last, (begin, stop) in enumerate(groups):
        held += stop - begin
        while held > length:
            held -= groups[first][1] - groups[first][0]
            first += 1
        if held == length:
            start = groups[first][0]
            digits = _NO_DIGIT.sub("", text[start:stop])
            alone = whole == length or first == last or _set_apart(text, groups, first, last)
            if not alone:
                evidence = Evidence.SCATTERED
            elif not _checks(digits):
                evidence = Evidence.FORM
            else:
                evidence = _plainly(text, start, stop)
            if alone or _checks(digits):
                yield evidence, start
            if anything and _checks(digits[::-1]):
                yield Evidence.REVERSED, start
        elif stop - begin > length:
            yield from ((evidence, begin) for evidence in _longer(text, begin, stop, length, inside=inside))


def _longer(text: str, begin: int, stop: int, length: int, *, inside: bool) -> Iterator[Evidence]:
    digits = text[begin:stop]
    if not digits[:-length].strip("0"):  # filled up with zeros
        yield _plainly(text, begin, stop) if _checks(digits[-length:]) else Evidence.FORM
    if inside and _within(digits, length):
        yield Evidence.INSIDE


def _plainly(text: str, start: int, stop: int) -> Evidence:
    return Evidence.EXCUSED if _excused(text, start, stop) else Evidence.SOLID


def _within(digits: str, length: int) -> bool:
    if len(digits) >= ENDLESS:
        return True
    return any(_checks(digits[n : n + length]) for n in range(len(digits) - length + 1))


def _set_apart(text: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether the groups are held together by one separator, and kept from their neighbours by another."""
    inner = {text[groups[n][1] : groups[n + 1][0]] for n in range(first, last)}
    if len(inner) != 1:
        return False
    before = text[groups[first - 1][1] : groups[first][0]] if first else None
    after = text[groups[last][1] : groups[last + 1][0]] if last + 1 < len(groups) else None
    return not inner & {before, after}


def _excused(text: str, start: int, end: int) -> bool:
    """Whether something harmless that overlaps the digits is written just so, and nothing between them is hidden."""
    if _HIDDEN.search(text, start, end):
        return False
    begin = max(0, start - _NEAR)
    around = text[begin : end + _NEAR]
    return any(
        match.start() + begin < end and match.end() + begin > start
        for shape in _HARMLESS
        for match in shape.finditer(around)
    )
