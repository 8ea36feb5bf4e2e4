"""Local-government codes (全国地方公共団体コード): six digits, the last one a check digit.

A code is a string: 042056 (気仙沼市) starts with 0.
"""

_WEIGHTS = (6, 5, 4, 3, 2)
_LENGTH = 6
_PREFECTURES = range(1, 48)


def check_digit(five: str) -> str:
    """Compute the check digit: the last digit of 11 − (S mod 11), S the digits weighted 6, 5, 4, 3, 2."""
    weighted = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, five, strict=True))
    return str(11 - weighted % 11)[-1]


def is_municipality_code(text: str) -> bool:
    """Tell whether `text` is six ASCII digits of one of the 47 prefectures with the right check digit.

    True for prefectures and municipalities alike. Whether a municipality with that code exists is not decided
    here: mergers change that, and the list that names the code answers for it. Which governments there are as far
    as this version knows is in `trust_lists.municipalities`; what residents' systems send is held against that.
    """
    if len(text) != _LENGTH or not (text.isascii() and text.isdigit()):
        return False
    return int(text[:2]) in _PREFECTURES and check_digit(text[:5]) == text[5]
