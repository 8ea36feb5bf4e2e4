"""`kakehashi attributes …` as staff of a town hall use it: on made-up people, with the demo's own maps."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from federation.reasons import REASONS
from federation.transforms import TRANSFORMS, meanings
from gateway.cli import main
from gateway.config.schema import KINDS, schema

CONFIGS = Path(__file__).parents[2] / "configs"
OMURA = CONFIGS / "demo" / "id-systems" / "omura.yaml"
PORTAL = CONFIGS / "demo" / "services" / "gunma-portal.yaml"

PERSON = {
    "shimei": "髙橋　花子",
    "sei": "髙橋",
    "mei": "花子",
    "umare": "昭和二十年月日不詳",
    "seibetsu": "女",
    "jusho": {"zen": "長崎県大村市玖島1丁目25"},
    "dantai": "422053",
    "bikou\x1b[31m": "x",
}


def run(*arguments: object, language: str = "en") -> Result:
    """The command's answer."""
    return CliRunner().invoke(main, ["attributes", *map(str, arguments), "--language", language])


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """What Omura would send of somebody whose birthday nobody knows."""
    file = tmp_path / "person.json"
    file.write_text(json.dumps(PERSON, ensure_ascii=False), encoding="utf-8")
    return file


def test_each_value_is_shown_with_the_rule_that_made_it(person: Path) -> None:
    """By file and line, source by source and step by step; what is absent has its reason, in words."""
    told = run("try", OMURA, person)
    assert told.exit_code == 0
    lines = told.output.splitlines()
    made = next(n for n, line in enumerate(lines) if line.startswith("familyName = "))
    written = OMURA.read_text(encoding="utf-8").splitlines()
    assert lines[made].startswith('familyName = "髙橋"')
    line = int(lines[made].rstrip(")").rpartition(":")[2])
    assert "to: familyName," in written[line - 1]
    assert lines[made + 1 : made + 4] == ['    sei: "髙橋"', '    → strip: "髙橋"', '    → nfc-safe: "髙橋"']
    assert "dateOfBirth – absent: partial" in told.output
    assert "Part of the date is unknown" in told.output
    assert 'shimei: "髙橋　花子"' in told.output


def test_what_no_rule_reads_is_named_and_steers_no_terminal(person: Path) -> None:
    """The names of dropped attributes, escaped."""
    told = run("try", OMURA, person)
    assert "no rule reads them: bikou\\u001b[31m" in told.output
    assert "\x1b" not in told.output


def test_an_id_systems_map_and_a_services_after_it(person: Path) -> None:
    """The whole way, and the first reason for what is missing in the end."""
    told = run("try", OMURA, person, "--to", PORTAL, "--json")
    assert told.exit_code == 0
    first, second = json.loads(told.output)["maps"]
    assert (first["map"], second["map"]) == ("omura", "gunma-portal")
    by_name = {each["to"].rpartition("/")[2]: each for each in second["attributes"]}
    assert by_name["seibetsu"]["values"] == ["女性"]
    assert by_name["seinengappi"]["reason"] == "partial"
    assert first["unread"] == ["bikou\x1b[31m"]


def test_a_missing_required_attribute_is_a_failure(tmp_path: Path) -> None:
    """That login would be refused: exit code 1, and which it was."""
    file = tmp_path / "canonical.json"
    file.write_text('{"sex": "1"}', encoding="utf-8")
    told = run("try", PORTAL, file, language="ja")
    assert told.exit_code == 1
    assert "必須の項目がない" in told.output
    assert "取り出し元に値がありません" in told.output


def test_facts_are_told_for_the_day_that_is_asked(tmp_path: Path) -> None:
    """`--at` is the day of the sign-in."""
    service = tmp_path / "services" / "adults.yaml"
    service.parent.mkdir()
    text = PORTAL.read_text(encoding="utf-8")
    service.write_text(
        text[: text.index("attributes:\n")]
        + "attributes:\n  - {to: adult, from: [dateOfBirth], transforms: [{over: 18}]}\n",
        encoding="utf-8",
    )
    file = tmp_path / "canonical.json"
    file.write_text('{"dateOfBirth": "2010-06-01"}', encoding="utf-8")
    answers = [run("try", service, file, "--at", day, "--json").output for day in ("2028-05-31", "2028-06-01")]
    assert [json.loads(each)["maps"][0]["attributes"][0]["values"] for each in answers] == [["false"], ["true"]]


SURE = """id: sure
kind: saml
entity_id: https://sure.example/saml
name: {ja: 試験, en: Test}
purpose: {ja: 試験, en: Test}
attributes:
  - {to: name, from: [fullName], minimum_identity: 2}
  - {to: phone, from: [phoneNumber], minimum_identity: 1}
  - {to: sex, from: [sex]}
"""
TELEPHONE = """id: town
kind: saml
entity_id: https://id.town.example/saml
municipality: "422053"
name: {ja: 試験, en: Test}
reading: しけん
attributes:
  - {to: fullName, from: [shimei], evidence: register}
  - {to: sex, from: [seibetsu], transforms: [sex-from-japanese]}
  - {to: phoneNumber, from: [denwa], transforms: [phone-to-e164], evidence: self-asserted}
"""


@pytest.mark.parametrize(
    ("level", "low"),
    [(None, set()), (0, {"name", "phone"}), (1, {"name", "phone"}), (2, {"phone"}), (3, {"phone"})],
)
def test_how_sure_the_sign_in_is_can_be_tried(tmp_path: Path, level: int | None, low: set[str]) -> None:
    """An attribute is worth that, and no more than how it is known; without a level nothing of it is asked."""
    town, service = tmp_path / "id-systems" / "town.yaml", tmp_path / "services" / "sure.yaml"
    file = tmp_path / "person.json"
    for folder in (town.parent, service.parent):
        folder.mkdir()
    town.write_text(TELEPHONE, encoding="utf-8")
    service.write_text(SURE, encoding="utf-8")
    file.write_text(json.dumps({"shimei": "岩永 一", "seibetsu": "男", "denwa": "090-1234-5678"}), encoding="utf-8")
    asked = () if level is None else ("--level", level)
    told = json.loads(run("try", town, file, "--to", service, "--json", *asked).output)["maps"][1]
    assert {each["to"] for each in told["attributes"] if each["reason"] == "assurance-too-low"} == low
    assert {each["to"] for each in told["attributes"] if each["values"]} == {"name", "phone", "sex"} - low
    file.write_text(json.dumps({"fullName": "岩永 一"}), encoding="utf-8")
    alone = json.loads(run("try", service, file, "--json", *asked).output)["maps"][0]
    assert (alone["attributes"][0]["reason"] == "assurance-too-low") == ("name" in low)


def test_what_the_guard_would_refuse_is_told(tmp_path: Path) -> None:
    """A My Number in a name ends the login, so the trial fails too; one that no rule reads is only counted."""
    file = tmp_path / "person.json"
    file.write_text('{"shimei": "123456789018", "kojin": "123456789018"}', encoding="utf-8")
    told = run("try", OMURA, file)
    assert told.exit_code == 1
    assert "shimei: it holds what must never pass: this login would be refused (my-number-plain)" in told.output
    assert "another field, or several together: it passes, and is counted as doubtful" in told.output
    (made,) = json.loads(run("try", OMURA, file, "--json").output)["maps"]
    assert made["guard"] == [
        {"name": "shimei", "rule": "my-number-plain", "outcome": "refuse"},
        {"name": None, "rule": "my-number-plain", "outcome": "report"},
    ]
    file.write_text('{"fullName": "123456789018", "sex": "1"}', encoding="utf-8")
    told = run("try", PORTAL, file)
    assert (told.exit_code, "this login would be refused (my-number-plain)" in told.output) == (1, True)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '"x"', "\xff", "[" * 100_000, '{"a":' * 20_000 + "1" + "}" * 20_000]
)
def test_input_that_is_no_object_is_refused_in_words(tmp_path: Path, content: str) -> None:
    """With the file's name; no traceback."""
    file = tmp_path / "person.json"
    file.write_bytes(content.encode("latin-1"))
    told = run("try", OMURA, file)
    assert (told.exit_code, told.output.startswith(str(file))) == (1, True)
    assert "a JSON object" in told.output


def test_a_map_with_mistakes_is_refused_with_them(tmp_path: Path, person: Path) -> None:
    """The same sentences as `check-config`; and a file that is no map at all says where maps are."""
    wrong = tmp_path / "id-systems" / "omura.yaml"
    wrong.parent.mkdir()
    wrong.write_text(OMURA.read_text(encoding="utf-8").replace("[strip, nfc-safe]", "[stripp]", 1), encoding="utf-8")
    told = run("try", wrong, person)
    assert told.exit_code == 1
    assert "Did you mean `strip`?" in told.output
    told = run("try", person, person)
    assert (told.exit_code, "id-systems" in told.output) == (1, True)
    assert run("try", PORTAL, person, "--to", OMURA).exit_code == 2


def test_every_transform_is_listed() -> None:
    """Name, meaning, argument, reasons."""
    listed = json.loads(run("transforms", "--json").output)
    assert set(listed) == set(TRANSFORMS)
    assert all(each["meaning"]["ja"].endswith("。") for each in listed.values())
    assert all(each["meaning"]["en"].endswith(".") for each in listed.values())
    for language in ("ja", "en"):
        shown = run("transforms", language=language).output
        assert all(name in shown and listed[name]["meaning"][language] in shown for name in TRANSFORMS)


def test_every_transform_is_told_in_japanese() -> None:
    """And none that there is not."""
    assert set(meanings._JAPANESE) == set(TRANSFORMS)


def test_every_reason_has_a_sentence_in_both_languages() -> None:
    """Whatever a transform refuses with."""
    codes = {reason for each in TRANSFORMS.values() for reason in each.reasons}
    assert codes - set(REASONS) == set()
    assert all(each["ja"].endswith("。") and each["en"].endswith(".") for each in REASONS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_schema_is_the_one_of_the_models(kind: str) -> None:
    """`configs/schema/` is what `kakehashi attributes schema` prints; every key of a map is described there."""
    printed = CliRunner().invoke(main, ["attributes", "schema", kind]).output
    assert json.loads(printed) == schema(kind)
    assert (CONFIGS / "schema" / f"{kind}.json").read_text(encoding="utf-8") == printed
