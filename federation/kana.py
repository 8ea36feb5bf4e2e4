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
_MARKS = ("ﾞ", "ﾟ")

_HIRAGANA = "".join(map(chr, (*range(0x3041, 0x3097), 0x309D, 0x309E)))
_TO_KATAKANA = {ord(hiragana): ord(hiragana) + 0x60 for hiragana in _HIRAGANA}


class StrayMarkError(ValueError):
    """A voiced or semi-voiced sound mark after something that has no such form."""


def full_width(text: str) -> str:
    """`text` with half-width katakana, its marks and its punctuation in full width; ｶ and ﾞ become one ガ.

    Everything else stays as it is. Raises `StrayMarkError` for a ﾞ or ﾟ that no character takes (ｱﾞ): what
    was meant is not known.
    """
    widened = _MARKED.sub(lambda found: _COMPOSED[found[0]], text.translate(_TO_FULL))
    if any(mark in widened for mark in _MARKS):
        raise StrayMarkError
    return widened


def katakana(text: str) -> str:
    """`text` with every hiragana as the katakana of the same sound; everything else stays as it is."""
    return text.translate(_TO_KATAKANA)
