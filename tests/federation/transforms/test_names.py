from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federation.transforms import UnmappableError
from federation.transforms.names import TRANSFORMS
from federation.transforms.repertoires import old_forms, replacements

TODAY = date(2026, 11, 22)
IVS = "\U000e0100"
parts = st.text(alphabet="髙橋花子﨑タカハシかー々" + IVS, min_size=1, max_size=6)
latin = st.text(alphabet="abcABCéŌ'-Ａ", min_size=1, max_size=6).filter(lambda part: part[0] not in "'-")
hostile = st.text(max_size=20) | st.text(
    alphabet="髙高﨑崎邉辺澤沢ヶケｶﾞﾟ゛々ゝヾ　 aAÅİßKＡé\u0301\u3099()（,㈱Ⅱ" + IVS, max_size=12
)


def apply(name: str, *values: str, argument: str | None = None) -> str:
    """What the transform answers."""
    (answer,) = TRANSFORMS[name].step(argument)(values, TODAY)
    return answer


def refusal(name: str, *values: str, argument: str | None = None) -> str:
    """Why the transform refuses."""
    with pytest.raises(UnmappableError) as refused:
        apply(name, *values, argument=argument)
    return refused.value.code


@given(parts, parts, st.sampled_from([("join-space", " "), ("join-wide-space", "\u3000")]))
def test_what_is_joined_is_split_into_the_same(family, given_name, join):
    """With either width of space, and the characters as they are registered."""
    name, gap = join
    joined = apply(name, family, given_name)
    assert joined == family + gap + given_name
    assert (apply("split-family", joined), apply("split-given", joined)) == (family, given_name)


def test_names_are_joined_closed_too():
    """As some services ask."""
    assert apply("join-closed", "髙橋", "花子") == "髙橋花子"


@given(latin, latin, st.sampled_from(["family-first", "given-first"]))
def test_alphabetic_names_are_split_by_the_order_that_the_map_states(one, two, order):
    """Each letter as it was written."""
    family, given_name = (one, two) if order == "family-first" else (two, one)
    text = f"{one}  {two}"
    assert apply("split-family-latin", text, argument=order) == family
    assert apply("split-given-latin", text, argument=order) == given_name


@pytest.mark.parametrize(
    ("text", "order", "family", "given_name"),
    [
        ("SMITH John", "family-first", "SMITH", "John"),
        ("John SMITH", "given-first", "SMITH", "John"),
        ("SMITH, John Michael", "family-first", "SMITH", "John Michael"),
        ("de la Cruz, María José", "family-first", "de la Cruz", "María José"),
        ("O'Brien Mary-Jane", "family-first", "O'Brien", "Mary-Jane"),
        ("ĐẶNG　Hà", "family-first", "ĐẶNG", "Hà"),
        ("Ｓｍｉｔｈ　Ｊ．", "family-first", "Ｓｍｉｔｈ", "Ｊ．"),
        ("ångström e\u0301mile", "family-first", "ångström", "e\u0301mile"),
    ],
)
def test_alphabetic_names(text, order, family, given_name):
    """A comma states the border of itself; capital letters stay where they are, and only there."""
    assert apply("split-family-latin", text, argument=order) == family
    assert apply("split-given-latin", text, argument=order) == given_name


@pytest.mark.parametrize(
    ("text", "order", "code"),
    [
        ("SUKARNO", "family-first", "one-part"),
        ("SUKARNO,", "family-first", "not-two-parts"),
        (", John", "family-first", "not-two-parts"),
        ("SMITH JOHN MICHAEL", "family-first", "not-two-parts"),
        ("John Michael Smith", "given-first", "not-two-parts"),
        ("SMITH, John", "given-first", "not-two-parts"),
        ("SMITH, John, Jr.", "family-first", "not-two-parts"),
        ("", "family-first", "not-two-parts"),
        ("髙橋 花子", "family-first", "not-alphabetic"),
        ("Smith 花子", "family-first", "not-alphabetic"),
        ("Smith J0hn", "family-first", "not-alphabetic"),
        ("Ѕmith John", "family-first", "not-alphabetic"),
        ("KIM MINSU (KANEMOTO)", "family-first", "brackets"),
        ("KIM（金本） MINSU", "given-first", "brackets"),
    ],
)
def test_alphabetic_names_that_are_not_split(text, order, code):
    """A mononym, a middle name whose side is not told, other scripts, an alias in brackets."""
    assert refusal("split-family-latin", text, argument=order) == code
    assert refusal("split-given-latin", text, argument=order) == code


@pytest.mark.parametrize("order", ["", "family", "FAMILY-FIRST", "given_first"])
def test_an_order_that_is_none_is_a_mistake_of_the_map(order):
    """Told at load."""
    for name in ("split-family-latin", "split-given-latin"):
        with pytest.raises(ValueError, match="family-first or given-first"):
            TRANSFORMS[name].step(order)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("スカルノ", "one-part"),
        ("髙橋花子", "one-part"),
        ("", "not-two-parts"),
        ("　", "not-two-parts"),
        ("佐藤 ジョン 太郎", "not-two-parts"),
        ("髙橋（佐藤） 花子", "brackets"),
        ("髙橋[佐藤] 花子", "brackets"),
        ("金〔金本〕　民秀", "brackets"),
        ("金本 Minsu", "alphabetic-name"),
    ],
)
def test_names_that_are_not_split(text, code):
    """A mononym is no family name; an alias (通称) or former name (旧氏) in brackets is never made part of one."""
    assert (refusal("split-family", text), refusal("split-given", text)) == (code, code)


@pytest.mark.parametrize(
    "alike",
    [
        ["髙橋 花子", "高橋花子", "高橋　花子", f"髙{IVS}橋花子"],
        ["渡邉", "渡邊", "渡辺", f"渡邉{IVS}"],
        ["𠮷澤", "吉沢", "吉澤"],
        ["\ufa19谷", "神谷"],
        ["齋藤", "斎藤"],
        ["佐々木", "佐佐木"],
        ["濵﨑", "浜崎", "濱嵜"],
        ["德永", "徳永"],
        ["ﾀﾅｶ", "たなか", "タナカ"],
        ["一ノ瀨ヶ", "一ノ瀬ケ", "一の瀬ヶ"],
        ["SMITH John", "Smith　JOHN", "Ｓｍｉｔｈ Ｊｏｈｎ"],
        ["É", "é", "e\u0301"],
    ],
)
def test_names_that_have_one_key(alike):
    """However they are written."""
    assert len({apply("name-match-key", name) for name in alike}) == 1


@pytest.mark.parametrize("different", [["斎藤", "斉藤"], ["草彅", "草薙"], ["太田", "大田"], ["\ue000", "\ue001"]])
def test_names_that_have_two_keys(different):
    """Other characters are other names, and gaiji stay what they are."""
    assert len({apply("name-match-key", name) for name in different}) == 2


@given(hostile)
@example("Ⅰ\u0300")
def test_a_key_is_its_own_key(text):
    """Or the name has none."""
    try:
        key = apply("name-match-key", text)
    except UnmappableError as refused:
        assert refused.code in {"stray-mark", "empty"}  # noqa: PT017 - either outcome is right
        return
    assert apply("name-match-key", key) == key


@given(
    st.sampled_from([c for c in sorted(replacements()) if not "ぁ" <= c <= "ヿ"]), st.sampled_from(sorted(old_forms()))
)
def test_a_key_has_nothing_left_of_what_the_tables_replace(outside, old):
    """Whatever the steps between."""
    key = apply("name-match-key", f"一{outside}{old}")
    assert not set(key) & (set(replacements()) | set(old_forms()))


@given(hostile, st.sampled_from(["family-first", "given-first"]))
def test_a_text_is_split_or_refused_with_a_known_reason(text, order):
    """And nothing that is split holds a gap or a bracket."""
    for name, argument in (("split-family", None), ("split-given-latin", order)):
        try:
            part = apply(name, text, argument=argument)
        except UnmappableError as refused:
            assert refused.code in TRANSFORMS[name].reasons  # noqa: PT017 - either outcome is right
            continue
        assert part
        assert not set(part) & set("()（")
