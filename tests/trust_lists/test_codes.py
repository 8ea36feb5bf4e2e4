"""Local-government codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_lists.codes import is_municipality_code

KNOWN = ["102016", "102024", "100005", "042056", "012173", "422053", "232238"]


@pytest.mark.parametrize("code", KNOWN)
def test_published_codes_are_codes(code):
    """Codes as published by the ministry pass, also one that begins with 0."""
    assert is_municipality_code(code)


@given(st.integers(1, 47), st.integers(0, 999))
def test_exactly_one_check_digit_fits(prefecture, number):
    """Of the ten sixth digits one is right, by the ministry's formula (11 − S, or 11 − S mod 11)."""
    five = f"{prefecture:02}{number:03}"
    total = sum(weight * int(digit) for weight, digit in zip((6, 5, 4, 3, 2), five, strict=True))
    expected = (11 - total if total < 11 else 11 - total % 11) % 10
    assert [digit for digit in range(10) if is_municipality_code(five + str(digit))] == [expected]


@given(st.text(max_size=8))
def test_other_text_is_no_code(text):
    """Whatever is not six ASCII digits is no code; full-width digits are not digits here."""
    if not (len(text) == 6 and text.isascii() and text.isdigit()):
        assert not is_municipality_code(text)


@pytest.mark.parametrize("code", ["１０２０１６", "480002", "000001", "10201", "1020160", "102016\n", "-02016", ""])
def test_near_misses(code):
    """Full-width digits, a 48th prefecture, prefecture 00, wrong lengths and signs are refused."""
    assert not is_municipality_code(code)
