"""The guide to attribute maps says what the tables of the code say, and what it shows is what happens."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from federation.attributes import Applied
from federation.evidence import AS_THE_LOGIN, EVIDENCE
from federation.guard import RULES, Outcome
from federation.guard_bodies import NotInspectableError
from federation.reasons import REASONS
from federation.transforms import TRANSFORMS, UnmappableError
from federation.vocabulary import CANONICAL
from gateway.cli import main
from gateway.config.models import Inward, SamlOutward
from tests.flows.peers.guide import blocks

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = {"en": DOCS / "attributes.md", "ja": DOCS / "attributes.ja.md"}
DAY = date(2026, 4, 1)
"""On which the guide's facts are true."""

OUTCOMES = {"en": {Outcome.REFUSE: "refuse", Outcome.REPORT: "report"}}
OUTCOMES["ja"] = {Outcome.REFUSE: "断る", Outcome.REPORT: "数える"}

_CODE = re.compile("`([^`]+)`")
_EXAMPLE = re.compile("(?P<given>`[^`]+`(?: \\+ `[^`]+`)*) → (?P<refused>✗ )?`(?P<made>[^`]+)`")

each_language = pytest.mark.parametrize("language", GUIDES)


def tables(language: str) -> Iterator[list[list[str]]]:
    """The tables of the guide, as cells, without their headings."""
    rows: list[list[str]] = []
    for line in [*GUIDES[language].read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.rstrip()[1:-1].split("|")])
        elif rows:
            yield rows[2:]
            rows = []


def table(language: str, *first: str) -> dict[str, list[str]]:
    """The one table that has these names in its first column: the other cells of each row, by its name."""
    found = [rows for rows in tables(language) if {f"`{name}`" for name in first} <= {row[0] for row in rows}]
    assert len(found) == 1, first
    return {row[0].strip("`"): row[1:] for row in found[0]}


def transforms(language: str) -> list[tuple[Applied, list[str]]]:
    """Every row of every table that begins with a transform, and its other cells."""
    rows = [row for each in tables(language) for row in each if _EXAMPLE.match(row[2] if row[2:] else "")]
    return [(Applied(name, argument or None), row[1:]) for row in rows for name, argument in [named(row[0])]]


def named(cell: str) -> tuple[str, str]:
    """Name and argument of a transform, as the guide writes it."""
    name, _, argument = cell.strip("`").partition(": ")
    return name, argument


@each_language
def test_every_transform_is_there_and_no_other(language: str) -> None:
    """With the one that gives back what it took, wherever there is one."""
    told = transforms(language)
    assert {applied.name for applied, _ in told} == set(TRANSFORMS)
    back = {applied.name: "".join(cells[2:]).strip("`") or None for applied, cells in told}
    assert back == {name: transform.inverse for name, transform in TRANSFORMS.items()}


@each_language
def test_every_example_is_true(language: str) -> None:
    """A value that is made, or a reason."""
    count = 0
    for applied, cells in transforms(language):
        examples = list(_EXAMPLE.finditer(cells[1]))
        assert len(examples) == cells[1].count("→")
        for example in examples:
            values = tuple(_CODE.findall(example["given"]))
            try:
                made, refused = applied.step(values, DAY), False
            except UnmappableError as unmappable:
                made, refused = (unmappable.code,), True
            assert (made, refused) == ((example["made"],), example["refused"] is not None), (str(applied), values)
            count += 1
    assert count > len(TRANSFORMS)


def test_both_guides_show_the_same() -> None:
    """The same examples, in the same order, and the same files."""
    english, japanese = transforms("en"), transforms("ja")
    assert [(str(a), cells[1]) for a, cells in english] == [(str(a), cells[1]) for a, cells in japanese]
    files = [[b for b in blocks(guide) if b.action.startswith("file=")] for guide in GUIDES.values()]
    assert [(b.action, b.text) for b in files[0]] == [(b.action, b.text) for b in files[1]]


@each_language
def test_every_reason_is_there_and_no_other(language: str) -> None:
    """In the words that `kakehashi attributes try` uses."""
    told = table(language, "not-given", "not-canonical")
    assert {code: cells[0] for code, cells in told.items()} == {
        code: words[language] for code, words in REASONS.items()
    }


@each_language
def test_every_rule_of_the_guard_is_there_and_no_other(language: str) -> None:
    """With what becomes of a find, and why a body could not be looked at."""
    told = table(language, "certificate")
    assert {code: cells[1] for code, cells in told.items()} == {
        rule.code: OUTCOMES[language][rule.outcome] for rule in RULES
    }
    why = _CODE.findall(NotInspectableError.__doc__ or "")[1:]
    text = GUIDES[language].read_text(encoding="utf-8")
    assert set(re.findall("`uninspected-([a-z]+)`", text)) == set(why)


@each_language
def test_the_whole_vocabulary_is_there(language: str) -> None:
    """In its order, and by its own words first."""
    told = table(language, "familyName")
    assert list(told) == list(CANONICAL)
    for name, words in CANONICAL.items():
        assert told[name][0].startswith(words[language]), name


@each_language
def test_every_evidence_is_there_with_what_it_is_worth(language: str) -> None:
    """The last row is for a rule without any."""
    rows = [cells[1] for cells in table(language, "card-face").values()]
    assert list(table(language, "card-face"))[:-1] == list(EVIDENCE)
    assert rows == [str(each.most) for each in (*EVIDENCE.values(), AS_THE_LOGIN)]


@each_language
def test_every_key_of_a_rule_is_there(language: str) -> None:
    """Inward and outward."""
    keys = {field.alias or name for model in (Inward, SamlOutward) for name, field in model.model_fields.items()}
    assert {name for row in table(language, "to") for name in re.findall("[a-z_]+", row)} == keys


@each_language
def test_every_link_leads_somewhere(language: str) -> None:
    """To a file of the project, and to a heading that it has."""
    links = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", GUIDES[language].read_text(encoding="utf-8"))
    assert links
    for file, anchor in links:
        text = (DOCS / (file or GUIDES[language].name)).read_text(encoding="utf-8")
        headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, (file, anchor)


@each_language
def test_the_trial_prints_what_the_guide_shows(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's own files, its command, and its output to the letter."""
    monkeypatch.chdir(tmp_path)
    output, expected = "", ""
    for block in blocks(GUIDES[language]):
        kind, _, target = block.action.partition("=")
        if kind == "file":
            (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / target).write_text(block.text, encoding="utf-8")
        elif kind == "run":
            program, *arguments = block.text.split()
            assert program.endswith("/kakehashi")
            ran = CliRunner().invoke(main, arguments)
            assert ran.exit_code == 0, ran.output
            output += ran.output
        elif kind == "output":
            expected += block.text
    assert output == expected != ""
