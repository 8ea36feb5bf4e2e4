"""Kana between its half and full width and between hiragana and katakana, and nothing else of a text touched.

Whole-text normalisation (NFKC) would do it too, and would destroy names on the way: it replaces compatibility
ideographs (the 﨑 family) and other characters that people are registered with.
"""

import re

_HALF = "｡｢｣､･ｦｧｨｩｪｫｬｭｮｯｰｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝ"
_FULL = (
    "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソ"
    "タチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン"
)
_TO_FULL = str.maketrans(_HALF, _FULL)

_PLAIN = "ウカキクケコサシスセソタチツテトハヒフヘホワヰヱヲ"
_VOICED = "ヴガギグゲゴザジズゼゾダヂヅデドバビブベボヷヸヹヺ"
_COMPOSED = {f"{plain}ﾞ": voiced for plain, voiced in zip(_PLAIN, _VOICED, strict=True)} | {
    f"{plain}ﾟ": half_voiced for plain, half_voiced in zip("ハヒフヘホ", "パピプペポ", strict=True)
}
_MARKED = re.compile("|".join(_COMPOSED))
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_MARK = re.compile("[ﾞﾟ]")

_TO_HALF = dict(zip(_FULL, _HALF, strict=True))
_TO_HALF |= {voiced: _TO_HALF[pair[0]] + pair[1] for pair, voiced in _COMPOSED.items() if pair[0] in _TO_HALF}
_TO_HALF_TABLE = str.maketrans(_TO_HALF)
_NO_HALF = re.compile("[ヮヰヱヵヶヸヹヽヾヿㇰ-ㇿ\u3099\u309a]")

_HIRAGANA = "".join(map(chr, (*range(0x3041, 0x3097), 0x309D, 0x309E)))
_TO_KATAKANA = {ord(hiragana): ord(hiragana) + 0x60 for hiragana in _HIRAGANA}
_TO_HIRAGANA = {katakana: hiragana for hiragana, katakana in _TO_KATAKANA.items()}
_NO_HIRAGANA = re.compile("[ヷ-ヺヿㇰ-ㇿ]")

# For match keys: all katakana by now.
_LARGE = str.maketrans(
    "ァィゥェォャュョッヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ",
    "アイウエオヤユヨツワカケクシストヌハヒフヘホムラリルレロ",
)
_SPACING_MARKS = str.maketrans("゛゜\u3099\u309a", "ﾞﾟﾞﾟ")
_LONG = re.compile("(?<=[ァ-ヺーヽヾ])[-‐‑‒–—―−－~〜～]+")
_REPEATED = re.compile("[ァ-ヺ][ヽヾ]+")
_KEY = re.compile("[ァ-ヺーヽヾ・]+")
_UNVOICED = {voiced: plain for plain, voiced in zip(_PLAIN, _VOICED, strict=True)}
_WITH_MARK = dict(zip(_PLAIN, _VOICED, strict=True))


class StrayMarkError(ValueError):
    """A voiced or semi-voiced sound mark after something that has no such form."""


class NoSuchFormError(ValueError):
    """Kana that the other script or width does not have."""


def full_width(text: str) -> str:
    """`text` with half-width katakana, its marks and its punctuation in full width; ｶ and ﾞ become one ガ.

    Everything else stays as it is. Raises `StrayMarkError` for a ﾞ or ﾟ that no character takes (ｱﾞ): what
    was meant is not known.
    """
    if _HALF_WIDTH.search(text) is None:
        return text
    widened = text.translate(_TO_FULL)
    if _MARK.search(widened) is None:
        return widened
    composed = _MARKED.sub(lambda found: _COMPOSED[found[0]], widened)
    if _MARK.search(composed):
        raise StrayMarkError
    return composed


def half_width(text: str) -> str:
    """`text` with katakana, ー and the punctuation 。「」、・ in half width; ガ becomes ｶ and ﾞ.

    Everything else stays as it is, hiragana too. Raises `NoSuchFormError` for katakana that has no half
    width (ヰ, ヱ, ヶ).
    """
    if _NO_HALF.search(text):
        raise NoSuchFormError
    return text.translate(_TO_HALF_TABLE)


def katakana(text: str) -> str:
    """`text` with every hiragana as the katakana of the same sound; everything else stays as it is."""
    return text.translate(_TO_KATAKANA)


def hiragana(text: str) -> str:
    """`text` with every full-width katakana as the hiragana of the same sound; everything else stays, ー too.

    Raises `NoSuchFormError` for katakana that hiragana does not have (ヷ, ヿ, the small ㇰ).
    """
    if _NO_HIRAGANA.search(text):
        raise NoSuchFormError
    return text.translate(_TO_HIRAGANA)


def match_key(text: str) -> str:
    """A key under which readings are the same that differ only in how they are typed. For comparing, not for showing.

    Hiragana and half-width katakana as full-width katakana; ャュョッ and their like large; a hyphen or wave after kana
    as ー; iteration marks (ヽヾ) as what they repeat; no spaces. Raises `StrayMarkError`, and `NoSuchFormError` where
    more than kana is left, or nothing.
    """
    key = folded("".join(text.split()))
    if _KEY.fullmatch(key) is None:
        raise NoSuchFormError
    return key


def folded(text: str) -> str:
    """`text` with its kana as `match_key` has it; everything else stays. Raises `StrayMarkError`."""
    wide = full_width(text.translate(_TO_KATAKANA).translate(_SPACING_MARKS))
    long = _LONG.sub(lambda found: "ー" * len(found[0]), wide.translate(_LARGE))
    return _REPEATED.sub(_repeat, long)


def _repeat(found: re.Match[str]) -> str:
    first, marks = found[0][0], found[0][1:]
    plain = _UNVOICED.get(first, first)
    return first + "".join(_WITH_MARK.get(plain, plain) if mark == "ヾ" else plain for mark in marks)
