"""Normalisation of hostile text: the usual form, but for rows of marks that nobody writes."""

import unicodedata
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from federation.normal_form import GRAPHEME_JOINER, MOST_MARKS, nfkc

MARKS = "\u0301\u0327\u035c\u035d\u3099\uff9e\uff9f\u0f73\u0344"
"""Of several classes; two are letters of half width until they are taken apart."""

mixed = st.lists(st.one_of(st.text(), st.text(MARKS), st.sampled_from(["ガ" * 40, "。" * 40, "％", "é"]))).map("".join)


def longest_row(text: str) -> int:
    """Of characters that are sorted."""
    apart = unicodedata.normalize("NFKD", text)
    return max(
        (len(list(row)) for marks, row in groupby(apart, lambda c: unicodedata.combining(c) != 0) if marks), default=0
    )


@given(mixed)
def test_what_people_write_has_the_usual_form(text: str):
    """Whatever has no row of more marks than any language."""
    if longest_row(text) <= MOST_MARKS:
        assert nfkc(text) == unicodedata.normalize("NFKC", text)


@given(mixed)
def test_the_form_is_a_form(text: str):
    """Normalised again it is the same, and it is in form KC."""
    assert nfkc(nfkc(text)) == nfkc(text)
    assert unicodedata.is_normalized("NFKC", nfkc(text))


@given(mixed, st.text(MARKS, min_size=100, max_size=2000))
def test_no_row_is_long(before: str, marks: str):
    """Sorting them is what takes so much time."""
    assert longest_row(nfkc(before + marks)) <= MOST_MARKS


def test_a_long_row_stays_the_same_but_for_joiners():
    """Nothing of it is lost."""
    text = "a" + "\u035d\u035c" * 50
    assert sorted(nfkc(text).replace(GRAPHEME_JOINER, "")) == sorted(text)
