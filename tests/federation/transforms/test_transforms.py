import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import TRANSFORMS, UnmappableError

TODAY = date(2026, 11, 22)
ARGUMENTS = {
    "shrink": "jis-x-0208,髙=高",
    "shrunk-characters": "unicode-without-ivs",
    "era-digit-date-by": "1=明治,2=大正,3=昭和",
    "jpki-date-by": "3=昭和,4=平成",
    "split-family-latin": "family-first",
    "split-given-latin": "given-first",
    "municipality-name-in": "群馬県",
    "over": "18",
    "reaches": "18",
    "age-band": "15,65",
    "resident-of": "102016",
    "same-prefecture": "100005",
    "adult-resident-of": "102016",
}
"""Of the transforms that take one."""
STEPS = {name: each.step(ARGUMENTS.get(name)) for name, each in TRANSFORMS.items()}
anything = st.text(max_size=30) | st.text(alphabet="昭和平成元年月日0123456789-/. 男女ｶﾞﾟかABc〒", max_size=20)


def apply(name: str, *values: str) -> tuple[str, ...]:
    """What the transform answers."""
    return STEPS[name](values, TODAY)


def refusal(name: str, *values: str) -> str:
    """Why the transform refuses."""
    with pytest.raises(UnmappableError) as refused:
        apply(name, *values)
    return refused.value.code


def test_every_transform_with_an_argument_is_tried():
    """A new one gets its row here."""
    assert set(ARGUMENTS) == {name for name, each in TRANSFORMS.items() if each.argument is not None}


@given(st.sampled_from(sorted(TRANSFORMS)), anything)
def test_every_transform_answers_or_refuses_with_a_documented_reason(name, text):
    """No other exception, no reason outside the documented ones, and never the value in the refusal."""
    transform = TRANSFORMS[name]
    try:
        outcome = len(apply(name, text))
    except UnmappableError as refused:
        outcome = refused.args
    assert outcome in {1, *((reason,) for reason in transform.reasons)}


@given(st.sampled_from(sorted(name for name, each in TRANSFORMS.items() if each.inverse)), anything)
def test_what_an_inverse_gives_back_comes_to_the_same_again(name, text):
    """There, back and there again is there, wherever the way back is open."""
    try:
        there = apply(name, text)
        back = apply(TRANSFORMS[name].inverse or "", *there)
    except UnmappableError:
        return
    assert apply(name, *back) == there


@given(
    st.sampled_from(["strip", "nfc-safe", "kana-full-width", "hiragana-to-katakana", "sex-code", "shrink"]), anything
)
def test_normalising_twice_is_normalising_once(name, text):
    """What these answer, they leave alone."""
    try:
        once = apply(name, text)
    except UnmappableError:
        return
    assert apply(name, *once) == once


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_says_what_it_does(name):
    """The reference configuration quotes these sentences."""
    assert TRANSFORMS[name].meaning.split("\n")[0].endswith(".")


def test_strip_takes_both_widths_of_space():
    """An ideographic space around a name is no part of it; a name of spaces is none."""
    assert apply("strip", " \u3000髙橋\u3000花子 ") == ("髙橋\u3000花子",)
    assert refusal("strip", "\u3000 ") == "empty"


def test_composition_keeps_registered_characters():
    """か + combining mark is composed; the ideograph U+FA19, which NFC would replace, is kept."""
    assert unicodedata.normalize("NFC", "\ufa19") == "\u795e"
    assert apply("nfc-safe", "\ufa19か\u3099崎\U000e0100﨑") == ("\ufa19が崎\U000e0100﨑",)


@given(st.text())
def test_composition_is_nfc_wherever_there_is_no_compatibility_ideograph(text):
    """Only those ideographs are treated apart."""
    if not any("\uf900" <= c <= "\ufaff" or "\U0002f800" <= c <= "\U0002fa1f" for c in text):
        assert apply("nfc-safe", text) == (unicodedata.normalize("NFC", text),)


def test_sex_codes_and_words():
    """ISO/IEC 5218 within; each neighbour's words at the edge; what a word cannot say is refused."""
    assert apply("sex-code", "２") == ("2",)
    assert apply("sex-from-japanese", "男性") == ("1",)
    assert apply("sex-from-openid", "female") == ("2",)
    assert apply("sex-to-japanese", "2") == ("女性",)
    assert apply("sex-to-openid", "1") == ("male",)
    assert refusal("sex-code", "3") == "unknown-code"
    assert refusal("sex-from-japanese", "おとこ") == "unknown-word"
    assert refusal("sex-to-openid", "9") == "not-expressible"


@pytest.mark.parametrize(
    ("five", "six"),
    [
        ("10201", "102016"),
        ("10202", "102024"),
        ("10000", "100005"),
        ("04205", "042056"),
        ("01217", "012173"),
        ("42205", "422053"),
        ("23223", "232238"),
        ("１０２０１", "102016"),
    ],
)
def test_check_digits_of_real_municipalities(five, six):
    """前橋, 高崎, 群馬県, 気仙沼, 江別, 大村, 大府; full-width digits are digits."""
    assert apply("municipality-code-5-to-6", five) == (six,)


def test_municipality_codes_that_are_refused():
    """Six digits are not five; there is no prefecture 48."""
    assert refusal("municipality-code-5-to-6", "102016") == "format"
    assert refusal("municipality-code-5-to-6", "48201") == "unknown-code"


@pytest.mark.parametrize("text", ["371-8601", "〒371-8601", "３７１－８６０１", "3718601", "371ー8601"])
def test_postal_codes_are_seven_digits(text):
    """However they are written."""
    assert apply("postal-code", text) == ("3718601",)


def test_a_japanese_full_name_is_split_at_its_only_gap():
    """Either width of space; kana too."""
    assert (apply("split-family", "髙橋\u3000花子"), apply("split-given", "タカハシ ハナコ")) == (
        ("髙橋",),
        ("ハナコ",),
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("髙橋花子", "one-part"),
        ("スカルノ", "one-part"),
        ("佐藤 ジョン 太郎", "not-two-parts"),
        ("JOHN SMITH", "alphabetic-name"),
        ("Ｊｏｈｎ Ｓｍｉｔｈ", "alphabetic-name"),
        ("Đặng Hà", "alphabetic-name"),
        ("SUKARNO", "alphabetic-name"),
        ("Иван Петров", "alphabetic-name"),
        ("สมชาย ใจดี", "alphabetic-name"),
        ("髙橋 Петр", "alphabetic-name"),
    ],
)
def test_names_that_are_not_split(name, code):
    """Mononyms, names without a gap or with two, and names of scripts whose order nobody states."""
    assert (refusal("split-family", name), refusal("split-given", name)) == (code, code)


def test_era_dates_go_out_and_in():
    """A service may ask for era dates; what is no ISO date is refused before it is read tolerantly."""
    assert apply("iso-to-wareki", "1985-03-15") == ("昭和60年3月15日",)
    assert apply("wareki-to-iso", "昭和60年3月15日") == ("1985-03-15",)
    assert apply("iso-to-compact-date", "1985-03-15") == ("19850315",)
    assert apply("compact-date-to-iso", "19850315") == ("1985-03-15",)
    assert refusal("iso-to-wareki", "1985/3/15") == "format"
    assert refusal("iso-to-wareki", "1872-12-31") == "before-1873"
