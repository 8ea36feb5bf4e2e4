"""Readings (フリガナ): from one kana to another, and keys to compare them by."""

from collections.abc import Callable
from types import MappingProxyType

from federation.transforms import kana
from federation.transforms.base import Transforms, UnmappableError, each


def kana_full_width(text: str) -> str:
    """Half-width katakana in full width, voiced marks included; the rest stays. Refuses `stray-mark`."""
    return _kana(kana.full_width, text, "")


def kana_half_width(text: str) -> str:
    """Full-width katakana in half width, ガ as two characters; the rest stays. Refuses `no-half-width` (ヰ, ヱ, ヶ)."""
    return _kana(kana.half_width, text, "no-half-width")


def hiragana_to_katakana(text: str) -> str:
    """Hiragana as katakana; the rest stays."""
    return kana.katakana(text)


def katakana_to_hiragana(text: str) -> str:
    """Full-width katakana as hiragana; the rest stays, ー too. Refuses `no-hiragana` (ヷ, the small ㇰ)."""
    return _kana(kana.hiragana, text, "no-hiragana")


def kana_match_key(text: str) -> str:
    """A reading as a key for comparing, never for showing: キャ and キヤ alike. Refuses `stray-mark`, `not-kana`.

    Alike are hiragana and katakana of either width, large and small letters, long marks typed as hyphens, iteration
    marks and what they repeat, and readings with and without spaces.
    """
    return _kana(kana.match_key, text, "not-kana")


def _kana(function: Callable[[str], str], text: str, no_such_form: str) -> str:
    try:
        return function(text)
    except kana.StrayMarkError:
        raise UnmappableError("stray-mark") from None
    except kana.NoSuchFormError:
        raise UnmappableError(no_such_form) from None


TRANSFORMS: Transforms = MappingProxyType(
    {
        "kana-full-width": each(kana_full_width, "stray-mark", inverse="kana-half-width"),
        "kana-half-width": each(kana_half_width, "no-half-width", inverse="kana-full-width"),
        "hiragana-to-katakana": each(hiragana_to_katakana, inverse="katakana-to-hiragana"),
        "katakana-to-hiragana": each(katakana_to_hiragana, "no-hiragana", inverse="hiragana-to-katakana"),
        "kana-match-key": each(kana_match_key, "stray-mark", "not-kana"),
    }
)
"""Those of this module, by name."""
