"""Sex, by the codes of ISO/IEC 5218 inside and by each system's words outside.

0 is "not known", 1 male, 2 female, 9 "not applicable". Somebody who does not answer is not known to whoever asks: 0.
A word for something else (その他, other, X) has no code, and is refused: `not-expressible`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from federation.transforms.base import Transforms, UnmappableError, each

_WIDE = str.maketrans(
    {wide: wide - 0xFEE0 for wide in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
)
_CODES = frozenset("0129")

_JAPANESE = MappingProxyType(
    {
        "男": "1",
        "男性": "1",
        "女": "2",
        "女性": "2",
        "不明": "0",
        "不詳": "0",
        "未回答": "0",
        "無回答": "0",
        "回答しない": "0",
        "適用不能": "9",
    }
)
_OPENID = MappingProxyType({"male": "1", "female": "2", "unknown": "0", "withheld": "0"})
_LETTERS = MappingProxyType({"m": "1", "f": "2"})
_ENGLISH = MappingProxyType({"not known": "0", "undisclosed": "0", "not applicable": "9"})
_ANY: Mapping[str, str] = MappingProxyType(
    {code: code for code in _CODES} | {**_JAPANESE, **_OPENID, **_LETTERS, **_ENGLISH}
)
_OTHER = frozenset({"その他", "どちらでもない", "other", "x", "diverse", "non-binary"})

_TO_JAPANESE = MappingProxyType({"0": "不明", "1": "男性", "2": "女性"})
_TO_OPENID = MappingProxyType({"1": "male", "2": "female"})
_TO_LETTER = MappingProxyType({"1": "M", "2": "F"})


def sex_code(text: str) -> str:
    """A code of ISO/IEC 5218 (0, 1, 2, 9), full-width or half. Refuses `unknown-code`."""
    code = text.translate(_WIDE)
    if code not in _CODES:
        raise UnmappableError("unknown-code")
    return code


def sex_from_japanese(text: str) -> str:
    """男, 男性, 女, 女性, 不明, 回答しない and the like as the code of ISO/IEC 5218.

    Refuses `unknown-word`, and `not-expressible` for その他.
    """
    return _read(_JAPANESE, text)


def sex_from_openid(text: str) -> str:
    """`male` or `female` (OpenID Connect Core §5.1), `unknown` or `withheld`, as the code of ISO/IEC 5218.

    Refuses `unknown-word`, and `not-expressible` for `other`.
    """
    return _read(_OPENID, text)


def sex_from_letter(text: str) -> str:
    """`M` or `F`, as on travel documents (ICAO 9303), as the code of ISO/IEC 5218.

    Refuses `unknown-word`, and `not-expressible` for `X`.
    """
    return _read(_LETTERS, text.translate(_WIDE).lower())


def sex_from_any(text: str) -> str:
    """Any of these codes, words and letters, of whatever width and case, as the code of ISO/IEC 5218.

    For sources that are not of one mind. Refuses `unknown-word` and `not-expressible`.
    """
    found = _ANY.get(text)
    return _read(_ANY, text.translate(_WIDE).lower().strip()) if found is None else found


def sex_to_japanese(text: str) -> str:
    """Code 0, 1 or 2 of ISO/IEC 5218 as 不明, 男性 or 女性. Refuses `not-expressible`."""
    return _write(_TO_JAPANESE, text)


def sex_to_openid(text: str) -> str:
    """Code 1 or 2 of ISO/IEC 5218 as `male` or `female` (OpenID Core §5.1). Refuses `not-expressible`."""
    return _write(_TO_OPENID, text)


def sex_to_letter(text: str) -> str:
    """Code 1 or 2 of ISO/IEC 5218 as `M` or `F`. Refuses `not-expressible`."""
    return _write(_TO_LETTER, text)


def _read(table: Mapping[str, str], text: str) -> str:
    found = table.get(text)
    if found is None:
        raise UnmappableError("not-expressible" if text in _OTHER else "unknown-word")
    return found


def _write(table: Mapping[str, str], text: str) -> str:
    found = table.get(text)
    if found is None:
        raise UnmappableError("not-expressible")
    return found


_WORD_REASONS = ("unknown-word", "not-expressible")

TRANSFORMS: Transforms = MappingProxyType(
    {
        "sex-code": each(sex_code, "unknown-code"),
        "sex-from-japanese": each(sex_from_japanese, *_WORD_REASONS),
        "sex-from-openid": each(sex_from_openid, *_WORD_REASONS),
        "sex-from-letter": each(sex_from_letter, *_WORD_REASONS),
        "sex-from-any": each(sex_from_any, *_WORD_REASONS),
        "sex-to-japanese": each(sex_to_japanese, "not-expressible", inverse="sex-from-japanese"),
        "sex-to-openid": each(sex_to_openid, "not-expressible", inverse="sex-from-openid"),
        "sex-to-letter": each(sex_to_letter, "not-expressible", inverse="sex-from-letter"),
    }
)
"""Those of this module, by name."""
