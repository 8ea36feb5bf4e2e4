"""recognition.yaml: what may stand in it, what is said of its mistakes, and what the gateway makes of it."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.terms import JAPAN
from gateway.config import check, load
from trust_lists.model import Role, Status
from trust_lists.recognition import UNRESTRICTED

from .sample import REFERENCE, edit, line_of

FILE = "recognition.yaml"


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """The reference, to be edited."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def said(region: Path) -> list[tuple[str, str]]:
    """The kinds and places of all mistakes in the file."""
    return [(mistake.kind, mistake.path) for mistake in check(region)[0] if mistake.file.endswith(FILE)]


def test_the_reference_becomes_recognitions(region: Path, tmp_path: Path) -> None:
    """A day counts whole, in Japan; the place is where an operator finds the entry."""
    found = load(region, state=tmp_path).recognitions
    (statement,) = found.statements
    assert (statement.by, statement.list, statement.maximum_identity) == ("100005", "region-saml", 3)
    assert statement.roles == {Role.SAML_IDENTITY_PROVIDER, Role.OPENID_PROVIDER, Role.CERTIFICATE_AUTHORITY}
    assert (statement.statuses, statement.uses, statement.scopes) == ({Status.GRANTED}, {"civic"}, None)
    assert statement.since == datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert statement.until == datetime(2027, 3, 31, 15, tzinfo=UTC)
    assert statement.place == f"{region / FILE}:{line_of(region, FILE, '- id:')}"
    assert (found.restricted, found.maximum_length) == (True, 3)


def test_without_the_file_every_list_counts_and_that_is_said(region: Path, tmp_path: Path) -> None:
    """A region of one council may do without; `check-config` and the start tell."""
    (region / FILE).unlink()
    configuration = load(region, state=tmp_path)
    assert configuration.recognitions == UNRESTRICTED
    assert "recognition-absent" in {note.kind for note in configuration.notes}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("list: region-saml", "list: region-sam", "unknown-reference-near"),
        ("    list: region-saml\n", "", "recognition-target"),
        ("    #municipality:", "    municipality:", "recognition-target"),
        ("    list: region-saml\n", '    municipality: "100005"\n', "recognition-self"),
        ('by: "100005"', 'by: "100006"', "municipality-digit"),
        ('by: "100005"', "by: everybody", "municipality"),
        ("until: 2027-03-31", "until: 2027-02-31", "day"),
        ("until: 2027-03-31", "until: 令和9年3月31日", "day"),
        ("    until: 2027-03-31\n", "", "missing-key"),
        ("uses: [civic]", "uses: [Civic Use]", "use"),
        ("uses: [civic]", "uses: civic", "all-or-list"),
        ("scopes: all", "scopes: [Maebashi]", "domain"),
        ("maximum_identity: 3", "maximum_identity: 4", "range"),
        ("status: [granted]", "status: [withdrawn]", "one-of"),
        ("maximum_length: 3", "maximum_length: 6", "range"),
    ],
)
def test_each_mistake_is_told_at_its_place(region: Path, old: str, new: str, kind: str) -> None:
    """One mistake, of the kind that says what to do."""
    edit(region, FILE, old, new)
    assert [found for found, _ in said(region)] == [kind]


def test_an_id_may_be_given_once(region: Path) -> None:
    """A log line that names a recognition means one."""
    text = (region / FILE).read_text(encoding="utf-8")
    entry = text[text.index("  - id:") :]
    (region / FILE).write_text(text + entry, encoding="utf-8")
    assert [kind for kind, _ in said(region)] == ["duplicate"]


def test_a_service_without_a_use_is_told(region: Path) -> None:
    """It gets only what counts for all uses."""
    edit(region, "services/example-oidc.yaml", "use: civic\n", "")
    notes = {(note.kind, Path(note.file).name) for note in check(region)[1]}
    assert ("service-use-absent", "example-oidc.yaml") in notes


def test_what_is_over_is_told(region: Path) -> None:
    """A forgotten day is why nobody can sign in; the last day itself still counts."""
    today = datetime.now(JAPAN).date()
    for day, kinds in ((today, set()), (today - timedelta(days=1), {"day-over"})):
        text = re.sub(r"until: \S+", f"until: {day}", (region / FILE).read_text(encoding="utf-8"), count=1)
        (region / FILE).write_text(text, encoding="utf-8")
        assert {note.kind for note in check(region)[1] if note.file.endswith(FILE)} == kinds
        assert said(region) == []
