import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.transforms.kana import StrayMarkError, full_width, katakana

PLAIN = dict(
    zip(
        "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲンァィゥェォャュョッー。「」、・",
        "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝｧｨｩｪｫｬｭｮｯｰ｡｢｣､･",
        strict=True,
    )
)
VOICED = dict(zip("ガギグゲゴザジズゼゾダヂヅデドバビブベボヴヷヺ", "ｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎｳﾜｦ", strict=True))
HALF_VOICED = dict(zip("パピプペポ", "ﾊﾋﾌﾍﾎ", strict=True))
# Every full-width character that half-width kana can write, as an old system writes it: a mark by itself.
HALF_WIDTH = (
    PLAIN | {full: half + "ﾞ" for full, half in VOICED.items()} | {full: half + "ﾟ" for full, half in HALF_VOICED.items()}
)


@given(st.text(alphabet="".join(HALF_WIDTH)))
def test_half_width_comes_back_whole(text):
    """What half-width kana can write comes back as it was, voiced and semi-voiced marks included."""
    assert full_width("".join(HALF_WIDTH[character] for character in text)) == text


@given(st.text())
def test_nothing_half_width_is_left_and_a_second_pass_changes_nothing(text):
    """A text is either refused or free of half-width katakana; a second pass changes nothing."""
    try:
        widened = full_width(text)
    except StrayMarkError:
        assert "ﾞ" in text or "ﾟ" in text
        return
    assert not any("\uff61" <= character <= "\uff9f" for character in widened)
    assert full_width(widened) == widened


@given(st.text().filter(lambda text: not any("\uff61" <= c <= "\uff9f" for c in text)))
def test_everything_but_half_width_kana_is_untouched(text):
    """Ideographs, variation selectors, compatibility ideographs, Latin: code points stay as they are."""
    assert full_width(text) == text


def test_names_keep_their_registered_characters():
    """The ideograph 﨑 and an ideographic variation sequence survive beside kana that is widened."""
    assert full_width("宮﨑 葛\U000e0100 ﾐﾔｻﾞｷ") == "宮﨑 葛\U000e0100 ミヤザキ"


@pytest.mark.parametrize("text", ["ｱﾞ", "ﾞ", "ｶﾟ", "ｶﾞﾞ", "Aﾞ", "漢ﾟ"])
def test_a_mark_that_nothing_takes_is_refused(text):
    """What was meant by a mark after such a character is not known."""
    with pytest.raises(StrayMarkError):
        full_width(text)


def test_a_half_width_mark_after_full_width_kana_is_taken():
    """Mixed input occurs where a form was typed half by hand."""
    assert full_width("カﾞハﾟ") == "ガパ"


def test_hiragana_becomes_katakana_and_the_rest_stays():
    """Small letters, ゔ and the iteration marks too; kanji, digits and katakana stay."""
    assert katakana("たかはし・ゔぁゞ髙橋ー1") == "タカハシ・ヴァヾ髙橋ー1"
