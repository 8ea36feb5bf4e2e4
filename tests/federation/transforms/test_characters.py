import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms import UnmappableError
from federation.transforms.characters import TRANSFORMS, nfc_safe
from federation.transforms.repertoires import (
    REPERTOIRES,
    OutsideRepertoireError,
    Shrunk,
    named,
    old_forms,
    read_table,
    replacements,
    shrinking,
)

TODAY = date(2026, 11, 22)
IVS = "\U000e0100"
NAMES = st.text(alphabet="髙高橋﨑崎邉邊辺𠮷吉葛濵栁神祥\ufa19\ufa1a彅々ヶ花子 　Ⅱ㈱Aéか\u309a" + IVS, max_size=12)
JIS = named("jis-x-0208")


def apply(name: str, argument: str | None, text: str) -> str:
    """What the transform answers."""
    (answer,) = TRANSFORMS[name].step(argument)((text,), TODAY)
    return answer


def refusal(name: str, argument: str | None, text: str) -> str:
    """Why the transform refuses."""
    with pytest.raises(UnmappableError) as refused:
        apply(name, argument, text)
    return refused.value.code


def jis_bytes(character: str) -> bool:
    """Whether the strict codec, without vendors' extensions, knows it (not by one byte, not as half-width kana)."""
    try:
        return len(character.encode("iso2022_jp")) == 8
    except UnicodeEncodeError:
        return False


def test_jis_x_0208_is_what_the_standard_has():
    """6,879 characters; 髙 and 﨑 are vendors' extensions and not among them, both forms of 辺's elder are."""
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    taken = {character for character in characters if character > "\x7f" and JIS.takes(character)}
    by_codec = {character for character in characters if jis_bytes(character)}
    assert len(by_codec) == 6879
    assert by_codec <= taken
    assert taken - by_codec <= set("～－∥￠￡￢—―＼〜−‖¢£¬")
    assert [JIS.takes(character) for character in "髙﨑𠮷①Ⅱｱé"] == [False] * 7
    assert JIS.takes("邉邊齋嵜澤々ヶＡA~ ")


def test_jis_x_0213_has_11233_characters_some_of_them_two_code_points():
    """か and a semi-voiced mark is one of its characters; 﨑 is in it, 髙 is not."""
    repertoire = named("jis-x-0213")
    assert len(repertoire.units) == 25
    assert (repertoire.takes("﨑𠮟"), repertoire.takes("髙"), repertoire.has("か\u309a")) == (True, False, True)
    assert apply("shrink", "jis-x-0213", "か\u309a髙﨑") == "か\u309a高﨑"
    assert apply("shrunk-characters", "jis-x-0213", "か\u309a髙﨑") == "0010"


def test_windows_31j_has_what_nec_and_ibm_added_and_no_gaiji():
    """髙, 﨑, Ⅱ and half-width kana; neither 𠮷 nor the user-defined area."""
    repertoire = named("windows-31j")
    assert repertoire.takes("髙﨑Ⅱ㈱ｱ")
    assert [repertoire.takes(character) for character in "𠮷\ue000"] == [False, False]


def test_each_replacement_leads_from_outside_jis_x_0208_into_it():
    """Nothing is replaced that need not be, and nothing becomes what a service cannot take."""
    for key, value in read_table("shrink.tsv").items():
        assert (len(key), JIS.takes(key), JIS.takes(value), bool(value)) == (1, False, True, True), key
        assert apply("shrink", "jis-x-0208", key) == value
        assert apply("shrunk-characters", "jis-x-0208", key) == "1" * len(value), key
        for name in REPERTOIRES:
            assert named(name).takes(apply("shrink", name, key)), (name, key)


@pytest.mark.parametrize("name", ["shrink.tsv", "old_forms.tsv"])
def test_the_tables_are_written_without_slips(name):
    """Each code point is that of its character, no character comes twice, nobody else's data is in them."""
    lines = (line for line in _text(name).splitlines() if line and not line.startswith("# "))
    rows = [line.split("\t") for line in lines]
    assert len(rows) >= 200
    assert [row[0] for row in rows] == [f"U+{ord(row[1]):04X}" for row in rows]
    assert len({row[1] for row in rows}) == len(rows)


def _text(name: str) -> str:
    from federation.transforms import repertoires  # noqa: PLC0415 - where the tables lie

    return (repertoires._HERE / name).read_text("utf-8")


def test_old_forms_stay_within_jis_x_0208_and_lead_to_an_end():
    """One step leads to the form in general use."""
    forms = old_forms()
    assert JIS.takes("".join(forms) + "".join(forms.values()))
    assert not set(forms) & set("".join(forms.values()))


@given(st.sampled_from(sorted(replacements())))
def test_every_replacement_of_every_table_is_itself_shrunk_or_refused(key):
    """Unicode's own decompositions too: what they lead to is taken, replaced in its turn, or refused."""
    try:
        assert JIS.takes(apply("shrink", "jis-x-0208", key))
    except UnmappableError as refused:
        assert refused.args == ("outside-repertoire",)  # noqa: PT017 - either outcome is right


@given(st.sampled_from(sorted(REPERTOIRES)), NAMES | st.text(max_size=20))
def test_what_is_shrunk_is_in_the_repertoire_and_marked_character_by_character(name, text):
    """All of it, or the value is refused; a second time nothing changes; where no digit is 1, nothing was changed."""
    try:
        shrunk, marks = apply("shrink", name, text), apply("shrunk-characters", name, text)
    except UnmappableError as refused:
        assert refused.args == ("outside-repertoire",)  # noqa: PT017 - either outcome is right
        return
    repertoire = named(name)
    assert repertoire.takes(shrunk) or repertoire.units
    assert (len(marks), set(marks) <= {"0", "1"}) == (len(shrunk), True)
    assert apply("shrink", name, shrunk) == shrunk
    if "1" not in marks:
        assert shrunk in (text, nfc_safe(text))


@pytest.mark.parametrize(
    ("repertoire", "text", "shrunk", "marks"),
    [
        ("jis-x-0208", "髙橋 花子", "高橋 花子", "10000"),
        ("jis-x-0208", "宮﨑", "宮崎", "01"),
        ("jis-x-0208", "𠮷田", "吉田", "10"),
        ("jis-x-0208", "濵﨑", "浜崎", "11"),
        ("jis-x-0208", f"渡邉{IVS}", "渡邉", "01"),
        ("jis-x-0208", f"葛{IVS}城", "葛城", "10"),
        ("jis-x-0208", "\ufa19\ufa1a", "神祥", "11"),
        ("jis-x-0208", "福\ufa33", "福勉", "01"),
        ("jis-x-0208", "邊澤齋", "邊澤齋", "000"),
        ("jis-x-0208", "グランドハイツⅣ", "グランドハイツIV", "0" * 7 + "11"),
        ("jis-x-0208", "㈱栁屋", "(株)柳屋", "11110"),
        ("jis-x-0213", "髙﨑\ufa19", "高﨑\ufa19", "100"),
        ("windows-31j", "髙﨑𠮷", "髙﨑吉", "001"),
        ("unicode-without-ivs", f"葛{IVS}髙\ufa19", "葛髙\ufa19", "100"),
        ("unicode-without-ivs", "神\ufe00", "神", "1"),
    ],
)
def test_shrinking_names(repertoire, text, shrunk, marks):
    """Many to one, original kept where the repertoire has it, and told where it has not."""
    assert (apply("shrink", repertoire, text), apply("shrunk-characters", repertoire, text)) == (shrunk, marks)


@pytest.mark.parametrize(
    ("repertoire", "text"),
    [
        ("jis-x-0208", "草彅"),
        ("jis-x-0208", "①"),
        ("jis-x-0208", "José"),
        ("jis-x-0208", "ｱ"),
        ("jis-x-0208", "\ue000"),
        ("jis-x-0208", "😀"),
        ("jis-x-0208", "\ud800"),
        ("jis-x-0208", IVS),
        ("jis-x-0208", "か\u309a"),
        ("jis-x-0213", "\U0002ffff"),
        ("windows-31j", "\ue000"),
        ("unicode-without-ivs", "\ue000田"),
        ("unicode-without-ivs", "\U000f0000"),
        ("unicode-without-ivs", IVS),
        ("unicode-without-ivs", "\ud800"),
    ],
)
def test_what_nothing_stands_for_is_refused(repertoire, text):
    """Neither dropped nor a question mark: gaiji, characters without a table entry, a selector of nothing."""
    assert refusal("shrink", repertoire, text) == "outside-repertoire"
    assert refusal("shrunk-characters", repertoire, text) == "outside-repertoire"


def test_a_map_may_have_replacements_of_its_own():
    """They come before the table's: the list that YAML gives is joined by commas."""
    shrink = TRANSFORMS["shrink"].step("jis-x-0208, 彅=なぎ,濵=濱")
    marks = TRANSFORMS["shrunk-characters"].step("jis-x-0208,彅=なぎ,濵=濱")
    assert shrink(("草彅濵髙",), TODAY) == ("草なぎ濱高",)
    assert marks(("草彅濵髙",), TODAY) == ("01111",)


@pytest.mark.parametrize(
    "argument",
    ["jis-x-0208,髙", "jis-x-0208,髙=高=橋", "jis-x-0208,髙=高,髙=商", "jis-x-0208,高橋=髙", "jis-x-0208,髙=﨑"],
)
def test_a_replacement_that_is_none_is_a_mistake_of_the_map(argument):
    """Told at load."""
    with pytest.raises(ValueError, match="replacement"):
        TRANSFORMS["shrink"].step(argument)


@pytest.mark.parametrize("argument", ["", "jis", "JIS-X-0208", "ascii"])
def test_a_repertoire_that_nobody_knows_is_a_mistake_of_the_map(argument):
    """Told at load, with the names there are."""
    with pytest.raises(ValueError, match="jis-x-0213"):
        TRANSFORMS["shrink"].step(argument)


def test_an_operator_may_have_replacements_of_their_own():
    """Before the table's, also for one glyph of a character; what they put must be in the repertoire."""
    shrink = shrinking(JIS, {"彅": "なぎ", "濵": "濱", f"邉{IVS}": "辺"})
    assert shrink(f"草彅濵邉{IVS}邉") == Shrunk(text="草なぎ濱辺邉", marks="011110")
    with pytest.raises(OutsideRepertoireError):
        shrink("\ue000")
    for wrong in ({"彅": "髙"}, {"彅": ""}, {"草彅": "草なぎ"}):
        with pytest.raises(ValueError, match="a replacement"):
            shrinking(JIS, wrong)


@given(
    st.lists(st.sampled_from([*sorted(replacements()), "髙", "花", "\u309a", "か", IVS, "\ufe00", "\ue000", "ｱ", "a"]))
)
@pytest.mark.parametrize("name", sorted(REPERTOIRES))
def test_the_quick_way_to_shrink_comes_to_the_same(name, characters):
    """With replacements of an operator's own, none of which occurs, every character is looked at by itself."""
    ways = shrinking(named(name)), shrinking(named(name), {"※": "*"})
    found = []
    for shrink in ways:
        try:
            found.append(shrink("".join(characters)))
        except OutsideRepertoireError:
            found.append(None)
    assert found[0] == found[1]


def test_long_hostile_texts_are_shrunk_in_one_pass():
    """Thousands of selectors, or of characters outside, cost no more than their number."""
    assert apply("shrink", "jis-x-0208", "葛" + IVS * 100_000) == "葛"
    assert apply("shrink", "jis-x-0208", "髙" * 100_000) == "高" * 100_000


def test_variation_selectors_survive_composition():
    """Ideographic (IVS) and standardised (SVS) ones, also beside something that is composed."""
    text = f"葛{IVS}神\ufe00か\u3099\ufa11\ufa0e\U0002f801"
    assert nfc_safe(text) == f"葛{IVS}神\ufe00が\ufa11\ufa0e\U0002f801"
    assert unicodedata.normalize("NFKC", text) != nfc_safe(text)


@given(st.text())
def test_composition_keeps_every_compatibility_ideograph(text):
    """As many as there were, in their order, and no other normalisation form is applied."""

    def ideographs(of: str) -> list[str]:
        return [c for c in of if "\uf900" <= c <= "\ufaff" or "\U0002f800" <= c <= "\U0002fa1f"]

    assert ideographs(nfc_safe(text)) == ideographs(text)
    assert nfc_safe(nfc_safe(text)) == nfc_safe(text)


@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_ascii_goes_to_full_width_and_back(text):
    """Every letter, digit and sign."""
    full = apply("ascii-full-width", None, text)
    assert not any(character.isascii() for character in full)
    assert apply("ascii-half-width", None, full) == text


def test_half_width_leaves_kana_and_names_alone():
    """Only the full-width forms of ASCII are touched."""
    assert apply("ascii-half-width", None, "Ｓｍｉｔｈ１－２　ｱア髙﨑") == "Smith1-2　ｱア髙﨑"


@given(st.text(max_size=30))
def test_runs_of_spaces_become_one(text):
    """Of any width, none around; the wide ones go back to what the narrow ones were."""
    try:
        narrow, wide = apply("collapse-spaces", None, text), apply("wide-spaces", None, text)
    except UnmappableError:
        assert not text.strip()
        return
    assert (apply("collapse-spaces", None, wide), "  " in narrow, narrow == narrow.strip()) == (narrow, False, True)


def test_spaces_of_a_name():
    """An ideographic one and a half-width one are one gap."""
    assert apply("collapse-spaces", None, "　髙橋　 花子 ") == "髙橋 花子"
    assert apply("wide-spaces", None, "髙橋 花子") == "髙橋　花子"
    assert refusal("collapse-spaces", None, "　 ") == "empty"
