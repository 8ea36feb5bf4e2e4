import re
from collections import Counter

import pytest

from trust_lists import municipalities
from trust_lists.codes import is_municipality_code
from trust_lists.municipalities import (
    BY_CODE,
    DESIGNATED_CITIES,
    GOVERNMENTS,
    PREFECTURES,
    WARDS,
    named,
    spelling,
)

KANA = re.compile("[ァ-ヶー]+")
KINDS = {"prefecture": 47, "city": 792, "special-ward": 23, "town": 743, "village": 183}


def test_the_table_has_every_government_of_the_country():
    """47 prefectures and 1,741 municipalities: 792 市, 743 町, 183 村, 23 特別区; each code once."""
    assert Counter(each.kind for each in GOVERNMENTS) == KINDS
    assert (len(GOVERNMENTS), len(BY_CODE), len(PREFECTURES)) == (1788, 1788, 47)


def test_every_code_has_its_check_digit_and_its_prefecture():
    """A row that was mistyped would not keep both; a prefecture's code ends in 000 before the check digit."""
    for each in (*GOVERNMENTS, *WARDS.values()):
        assert is_municipality_code(each.code)
    for each in GOVERNMENTS:
        assert (each.code[2:5] == "000") == (each.kind == "prefecture")
        assert PREFECTURES[int(each.code[:2]) - 1] == each.prefecture
    assert [each.code for each in GOVERNMENTS] == sorted(BY_CODE)


def test_every_name_has_a_reading_in_full_width_katakana_and_its_kind_at_the_end():
    """市 is read シ, 区 ク, 町 チョウ or マチ, 村 ムラ or ソン; small kana are small (no キヨウ for キョウ)."""
    endings = {"市": ("シ",), "区": ("ク",), "町": ("チョウ", "マチ"), "村": ("ムラ", "ソン")}
    for each in (*GOVERNMENTS, *WARDS.values()):
        assert KANA.fullmatch(each.kana)
        if each.name not in PREFECTURES:
            assert each.kana.endswith(endings[each.name[-1]])
    assert not [each.name for each in GOVERNMENTS if re.search("[キシチニヒミリギジヂビピ][ヤユヨ]ウ", each.kana)]


def test_towns_and_villages_have_their_county_but_for_islands_of_tokyo():
    """市 and 区 are in no 郡."""
    for each in GOVERNMENTS:
        if each.kind in {"town", "village"}:
            assert each.county.endswith("郡") or each.prefecture == "東京都"
        else:
            assert each.county == ""


def test_wards_belong_to_twenty_designated_cities_and_are_no_governments():
    """171 of them; Hamamatsu has three since 2024."""
    assert (len(WARDS), len(DESIGNATED_CITIES)) == (171, 20)
    assert not WARDS.keys() & BY_CODE.keys()
    for ward in WARDS.values():
        assert (ward.city.kind, ward.code[:2], ward.name[-1]) == ("city", ward.city.code[:2], "区")
    assert [ward.name for ward in WARDS.values() if ward.city.name == "浜松市"] == ["中央区", "浜名区", "天竜区"]


def test_old_forms_of_characters_find_the_same_name_and_never_another():
    """龍ヶ崎, 竜ケ崎; no two names of one prefecture, with their counties, become one by it."""
    found = {named(name)[0].code for name in ("龍ケ崎市", "龍ヶ崎市", "竜ケ崎市")}
    assert found == {"082082"}
    within = Counter((each.prefecture, spelling(each.county + each.name)) for each in GOVERNMENTS)
    assert set(within.values()) == {1}
    assert all(len(spelling(each.name)) == len(each.name) for each in GOVERNMENTS)


@pytest.mark.parametrize(
    ("name", "prefectures"),
    [
        ("府中市", ["東京都", "広島県"]),
        ("伊達市", ["北海道", "福島県"]),
        ("池田町", ["北海道", "福井県", "長野県", "岐阜県"]),
        ("前橋市", ["群馬県"]),
        ("前橋", []),
        ("大胡町", []),
    ],
)
def test_a_name_answers_all_who_have_it(name, prefectures):
    """Two cities and two dozen towns share a name; the prefecture tells them apart; a merged one is not there."""
    assert [each.prefecture for each in named(name)] == prefectures
    assert [each.prefecture for prefecture in prefectures for each in named(name, prefecture)] == prefectures


def test_the_files_name_their_sources():
    """Whoever opens them sees where each column comes from, and of when."""
    for file in ("municipalities.tsv", "wards.tsv"):
        text = municipalities.files("trust_lists").joinpath(file).read_text(encoding="utf-8")
        assert "Japan Post" in text
        assert "2026" in text
