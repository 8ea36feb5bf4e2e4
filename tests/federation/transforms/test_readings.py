from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import UnmappableError
from federation.transforms.readings import TRANSFORMS

TODAY = date(2026, 11, 22)
HIRAGANA = "".join(map(chr, (*range(0x3041, 0x3097), 0x309D, 0x309E)))
KATAKANA = "".join(map(chr, (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)))
WITH_HALF_WIDTH = "".join(c for c in KATAKANA + "ヷヺー・「」。、" if c not in "ヮヰヱヵヶヽヾ")
READINGS = st.text(alphabet=HIRAGANA + KATAKANA + "ヷヺㇰー・ｶﾞｷﾟｬ゛゜\u3099\u309a-‐〜～ 　", max_size=12)


def apply(name: str, text: str) -> str:
    """What the transform answers."""
    (answer,) = TRANSFORMS[name].step(None)((text,), TODAY)
    return answer


def refusal(name: str, text: str) -> str:
    """Why the transform refuses."""
    with pytest.raises(UnmappableError) as refused:
        apply(name, text)
    return refused.value.code


@given(st.text(alphabet=HIRAGANA + "ー・漢A 1"))
def test_hiragana_goes_to_katakana_and_back(text):
    """Voiced, small, ゔ, ゕ, ゖ and iteration marks; what is no kana stays."""
    assert apply("katakana-to-hiragana", apply("hiragana-to-katakana", text)) == text


@given(st.text(alphabet=KATAKANA + "ー・漢A 1"))
def test_katakana_goes_to_hiragana_and_back(text):
    """ヴ, ヵ and ヶ too."""
    assert apply("hiragana-to-katakana", apply("katakana-to-hiragana", text)) == text


@given(st.text(alphabet=WITH_HALF_WIDTH + "漢Aか 1　"))
def test_full_width_goes_to_half_width_and_back(text):
    """With its voiced marks; what is no katakana stays, and no full-width katakana is left."""
    half = apply("kana-half-width", text)
    assert not set(half) & set(WITH_HALF_WIDTH)
    assert apply("kana-full-width", half) == text


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("katakana-to-hiragana", "タカハシ・ヴァヾヵヶー", "たかはし・ゔぁゞゕゖー"),
        ("kana-half-width", "ガッコウ ヴァッパ、ー", "ｶﾞｯｺｳ ｳﾞｧｯﾊﾟ､ｰ"),
        ("kana-half-width", "髙橋﨑 たか", "髙橋﨑 たか"),
    ],
)
def test_readings_in_other_kana(name, text, answer):
    """By hand."""
    assert apply(name, text) == answer


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("katakana-to-hiragana", "ヷ", "no-hiragana"),
        ("katakana-to-hiragana", "ヿ", "no-hiragana"),
        ("katakana-to-hiragana", "アㇰ", "no-hiragana"),
        ("kana-half-width", "ヰ", "no-half-width"),
        ("kana-half-width", "ミヱ", "no-half-width"),
        ("kana-half-width", "ヶ", "no-half-width"),
        ("kana-half-width", "サヽキ", "no-half-width"),
        ("kana-half-width", "カ\u3099", "no-half-width"),
        ("kana-match-key", "髙橋", "not-kana"),
        ("kana-match-key", "Takahashi", "not-kana"),
        ("kana-match-key", "タカハシ1", "not-kana"),
        ("kana-match-key", "", "not-kana"),
        ("kana-match-key", "-タカ", "not-kana"),
        ("kana-match-key", "アﾞ", "stray-mark"),
        ("kana-match-key", "゛", "stray-mark"),
    ],
)
def test_kana_that_is_refused(name, text, code):
    """What the other script does not have is not bent to fit."""
    assert refusal(name, text) == code


@pytest.mark.parametrize(
    "alike",
    [
        ["キャッチ", "キヤツチ", "ｷｬｯﾁ", "きゃっち", "キ ャッチ"],
        ["シュンヨウ", "シユンヨウ", "しゅんよう"],
        ["オーノ", "オ-ノ", "オ‐ノ", "オ－ノ", "ｵｰﾉ", "オ〜ノ", "オ−ノ"],
        ["タカハシ ハナコ", "タカハシ　ハナコ", "タカハシハナコ"],
        ["ササキ", "サヽキ", "さゝき"],
        ["スズキ", "スヾキ", "すゞき", "ｽｽﾞｷ", "スス\u3099キ", "スス゛キ"],
        ["フジガヤツ", "フジガヤッ"],
        ["イチケヤ", "イチヶヤ"],
        ["ズスズ", "ズヽヾ"],
        ["アアアア", "アヽヽヽ"],
    ],
)
def test_readings_that_have_one_key(alike):
    """The register writes キヤ where a form writes キャ."""
    assert len({apply("kana-match-key", reading) for reading in alike}) == 1


@pytest.mark.parametrize(
    "different", [["カキ", "ガキ"], ["オオノ", "オーノ"], ["ジ", "ヂ"], ["ヲ", "オ"], ["ハ", "パ"], ["エ", "ヱ"]]
)
def test_readings_that_have_two_keys(different):
    """Voiced marks, long vowels and old kana tell people apart."""
    assert len({apply("kana-match-key", reading) for reading in different}) == 2


@given(READINGS)
def test_a_key_is_its_own_key(text):
    """Or the reading has none."""
    try:
        key = apply("kana-match-key", text)
    except UnmappableError as refused:
        assert refused.code in {"stray-mark", "not-kana"}  # noqa: PT017 - either outcome is right
        return
    assert apply("kana-match-key", key) == key


@given(st.text(alphabet=KATAKANA + " "))
def test_a_key_does_not_depend_on_script_or_width(text):
    """Hiragana and katakana, half and full width."""
    if text.strip():
        hiragana = apply("katakana-to-hiragana", text)
        keys = {apply("kana-match-key", written) for written in (text, hiragana)}
        if not set(text) & set("ヮヰヱヵヶヽヾ"):
            keys.add(apply("kana-match-key", apply("kana-half-width", text)))
        assert len(keys) == 1


def test_long_hostile_readings_cost_no_more_than_their_length():
    """Iteration marks and hyphens without end."""
    assert apply("kana-match-key", "ア" + "ヽ" * 100_000) == "ア" * 100_001
    assert apply("kana-match-key", "ア" + "-" * 100_000) == "ア" + "ー" * 100_000
