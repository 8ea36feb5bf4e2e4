import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import TRANSFORMS

from .test_transforms import apply, refusal

OUTWARD = {"sex-to-japanese": "012", "sex-to-openid": "12", "sex-to-letter": "12"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sex-code", {"1": "1", "２": "2", "0": "0", "９": "9"}),
        ("sex-from-japanese", {"男": "1", "男性": "1", "女": "2", "女性": "2", "不明": "0", "回答しない": "0"}),
        ("sex-from-openid", {"male": "1", "female": "2", "unknown": "0", "withheld": "0"}),
        ("sex-from-letter", {"M": "1", "F": "2", "ｍ": "1", "Ｆ": "2"}),
        (
            "sex-from-any",
            {"１": "1", "男": "1", "Female": "2", "ＭＡＬＥ": "1", "f": "2", "無回答": "0", "適用不能": "9"},
        ),
    ],
)
def test_words_and_codes_as_iso_5218_has_them(name, words):
    """0 not known (or not told), 1 male, 2 female, 9 not applicable."""
    assert {word: apply(name, word)[0] for word in words} == words


@pytest.mark.parametrize(
    ("name", "word", "reason"),
    [
        ("sex-code", "3", "unknown-code"),
        ("sex-code", "男", "unknown-code"),
        ("sex-from-japanese", "その他", "not-expressible"),
        ("sex-from-japanese", "male", "unknown-word"),
        ("sex-from-openid", "other", "not-expressible"),
        ("sex-from-openid", "Male", "unknown-word"),
        ("sex-from-letter", "X", "not-expressible"),
        ("sex-from-any", "その他", "not-expressible"),
        ("sex-from-any", "3", "unknown-word"),
        ("sex-from-any", "", "unknown-word"),
        ("sex-to-japanese", "9", "not-expressible"),
        ("sex-to-openid", "0", "not-expressible"),
        ("sex-to-letter", "9", "not-expressible"),
    ],
)
def test_what_has_no_code_or_no_word_is_refused(name, word, reason):
    """Another sex than two is not bent into 0, 1, 2 or 9; what is not known has no word in OpenID."""
    assert refusal(name, word) == reason


@pytest.mark.parametrize("name", OUTWARD)
def test_what_goes_out_comes_back(name):
    """By the transform that is named as the inverse."""
    for code in OUTWARD[name]:
        assert apply(TRANSFORMS[name].inverse, *apply(name, code)) == (code,)


@given(st.text(max_size=20))
def test_reading_any_word_gives_a_code_or_a_reason(text):
    """Never anything else."""
    try:
        answer = apply("sex-from-any", text)[0]
    except Exception as refused:  # noqa: BLE001 - every exception but the documented ones fails below
        answer = refused.args[0]
    assert answer in {"0", "1", "2", "9", "unknown-word", "not-expressible"}
