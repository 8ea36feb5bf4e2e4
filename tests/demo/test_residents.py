from datetime import date
from pathlib import Path

import pytest
import yaml

from federation.attributes import InwardMap, InwardRule, applied, inward
from federation.oidc.claims import flatten
from gateway.demo import residents
from gateway.demo.rendering import templates
from gateway.demo.residents import Resident, compact, wareki, years_before

TODAY = date(2026, 11, 22)


def test_a_compact_date_has_eight_digits():
    """19850315, as デジタル認証アプリ is said to send it."""
    assert compact(date(1985, 3, 5)) == "19850305"


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(1989, 1, 8), "平成元年1月8日"),
        (date(1989, 1, 7), "昭和64年1月7日"),
        (date(2019, 4, 30), "平成31年4月30日"),
        (date(2019, 5, 1), "令和元年5月1日"),
        (date(1926, 12, 25), "昭和元年12月25日"),
        (date(1926, 12, 24), "大正15年12月24日"),
    ],
)
def test_an_era_date_follows_the_law_at_the_edges(day: date, written: str):
    """The first year of an era is 元年, and each era begins on its own day."""
    assert wareki(day) == written


@pytest.mark.parametrize("today", [TODAY, date(2027, 1, 31), date(2028, 2, 29), date(2030, 3, 1)])
def test_the_pupil_is_17_whenever_the_demo_starts(today: date):
    """Not 16 and not 18, on leap days and at month's ends too."""
    birth = years_before(today, 17, 3)
    assert today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day)) == 17


def mapped(id_system: str, resident: Resident, names: dict[str, str] | None = None):
    """What the region learns of a resident by the demo's own configuration."""
    stated = yaml.safe_load((templates() / "id-systems" / f"{id_system}.yaml").read_text(encoding="utf-8"))
    rules = tuple(
        InwardRule(to=rule["to"], sources=tuple(rule["from"]), transforms=applied(*rule.get("transforms", ())))
        for rule in stated["attributes"]
    )
    record = {names[name]: value for name, value in resident.record.items()} if names else resident.record
    found = inward(InwardMap(rules=rules), flatten(record), source=id_system, today=TODAY)
    return {name: values[0].text for name, values in found.attributes.items()}, found.absent


def test_every_statement_of_a_resident_is_in_the_assurance_table():
    """What an ID system says of how someone signed in is worth something, and a password is worth 1."""
    for id_system, register in (
        ("maebashi", residents.maebashi),
        ("ebetsu", residents.ebetsu),
        ("omura", residents.omura),
    ):
        table = templates() / "lists" / "assurance" / f"{id_system}.yaml"
        rows = yaml.safe_load(table.read_text(encoding="utf-8"))["rows"]
        stated = {
            row["when"].get("acr") or row["when"]["context"]: row["identity"]
            for row in rows
            if "amr" not in row["when"]
        }
        levels = {resident.means.name["en"]: stated[resident.means.statement] for resident in register(TODAY)}
        assert levels["Password only"] == 1
        assert set(levels.values()) > {1}


def test_maebashi_keeps_the_ladder_and_counts_the_check_digit():
    """髙 stays 髙; 10201 becomes 102016; 19850315 becomes a date."""
    assert mapped("maebashi", residents.maebashi(TODAY)[0]) == (
        {
            "fullName": "髙橋 花子",
            "familyName": "髙橋",
            "givenName": "花子",
            "familyNameKana": "タカハシ",
            "givenNameKana": "ハナコ",
            "fullNameKana": "タカハシ ハナコ",
            "dateOfBirth": "1985-03-15",
            "sex": "2",
            "fullAddress": "群馬県前橋市大手町２丁目１２－１",
            "postalCode": "3718601",
            "localGovernmentCode": "102016",
        },
        {"commonName": "not-given"},
    )


def test_a_mononym_gets_no_invented_family_name():
    """SURYANI has a full name and an alias, and nothing else is made up for her."""
    attributes, absent = mapped("maebashi", residents.maebashi(TODAY)[2])
    assert (attributes["fullName"], attributes["commonName"]) == ("SURYANI", "木村　スリヤニ")
    assert absent["familyName"] == absent["fullNameKana"] == "not-given"


def test_the_variation_selector_survives():
    """葛󠄀 is two code points, and both arrive."""
    attributes, _ = mapped("maebashi", residents.maebashi(TODAY)[4])
    assert attributes["familyName"] == "葛\U000e0100西"


def test_ebetsu_is_read_from_half_width_kana_and_eras():
    """ｺﾊﾞﾔｼ has a voiced mark of its own; 平成元年1月8日 is the first day of its era."""
    attributes, _ = mapped("ebetsu", residents.ebetsu(TODAY)[1], residents.EBETSU_NAMES)
    assert attributes == {
        "fullName": "小林　勇希",
        "familyName": "小林",
        "givenName": "勇希",
        "fullNameKana": "コバヤシ ユウキ",
        "dateOfBirth": "1989-01-08",
        "sex": "1",
        "fullAddress": "北海道江別市野幌末広町７ｰ１",
        "localGovernmentCode": "012173",
    }


def test_a_birth_date_without_a_day_is_not_completed():
    """昭和17年7月不詳 stays absent, with the reason."""
    attributes, absent = mapped("ebetsu", residents.ebetsu(TODAY)[2], residents.EBETSU_NAMES)
    assert "dateOfBirth" not in attributes
    assert absent["dateOfBirth"] == "partial"


def test_omura_is_read_from_kanji_numerals_and_hiragana():
    """昭和三十六年十一月三日, いわなが, 男."""
    attributes, _ = mapped("omura", residents.omura(TODAY)[1])
    assert attributes == {
        "fullName": "岩永　一",
        "familyName": "岩永",
        "givenName": "一",
        "familyNameKana": "イワナガ",
        "givenNameKana": "ハジメ",
        "fullNameKana": "イワナガ ハジメ",
        "dateOfBirth": "1961-11-03",
        "sex": "1",
        "fullAddress": "長崎県大村市本町４５８–２　プラットおおむら",
        "postalCode": "8560832",
        "localGovernmentCode": "422053",
    }


@pytest.mark.parametrize("resident", residents.omura(TODAY) + residents.maebashi(TODAY), ids=lambda r: r.key)
def test_every_resident_has_what_services_require(resident: Resident):
    """A full name and a municipality: without them no service of the demo could greet anybody."""
    id_system = "omura" if resident in residents.omura(TODAY) else "maebashi"
    attributes, _ = mapped(id_system, resident)
    assert {"fullName", "localGovernmentCode", "dateOfBirth"} <= set(attributes)


def test_demo_paths_exist():
    """The configuration is found from the code."""
    assert (Path(templates()) / "gateway.yaml").is_file()
