"""Who says what an ID system's words are worth: a signed table, or the operator."""

import shutil
from pathlib import Path

import pytest

from federation.evidence import EVIDENCE
from federation.guard import refused
from federation.guard_numbers import is_resident_code
from federation.model import Level
from gateway.config import check, load

from .sample import CLIENT, GATEWAY, OIDC, PROVIDER, REFERENCE, ROUTES, TRUST, edit
from .test_config import check_sentences


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A configuration without mistakes and without a signed table."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def without_assurance(region: Path, file: str) -> None:
    """Take `assurance` out of an ID system's file; it is the last key there."""
    path = region / file
    text = path.read_text()
    path.write_text(text[: text.index("\nassurance:") + 1])


def test_beside_a_signed_table_the_operator_need_not_say_anything(region: Path, tmp_path: Path) -> None:
    """Then the table alone counts."""
    without_assurance(region, OIDC)
    edit(region, TRUST, "format: etsi-119602", "format: assurance-table")
    found = load(region, state=tmp_path)
    assert found.tabled
    assert found.id_systems["example-oidc"].system.default_assurance is None


def test_somebody_must_say_it(region: Path) -> None:
    """Without a table every ID system says what its words are worth in its own file, and that is noted."""
    without_assurance(region, OIDC)
    mistakes, notes = check(region)
    assert [(mistake.kind, mistake.file) for mistake in mistakes] == [("assurance-absent", str(region / OIDC))]
    assert "assurance-own" in {note.kind for note in notes}
    check_sentences(mistakes[0])


@pytest.mark.parametrize("method", ["wink", "FACE", ""])
def test_methods_are_those_of_the_register(region: Path, method: str) -> None:
    """RFC 8176 §2, as written there."""
    edit(region, OIDC, "amr: [sc, pin, mfa]", f'amr: [sc, "{method}"]')
    mistakes, _ = check(region)
    assert [mistake.kind for mistake in mistakes] == ["sign-in-method"]
    check_sentences(mistakes[0])


def test_what_a_service_needs_and_is_told(region: Path, tmp_path: Path) -> None:
    """Of authentication, and of how the person signed in."""
    edit(region, PROVIDER, "authentication_methods: false", "authentication_methods: true")
    edit(region, CLIENT, "minimum_authentication: 1", "minimum_authentication: 3")
    services = load(region, state=tmp_path).services
    assert services["example-saml"].service.tells_methods
    assert services["example-oidc"].service.minimum_authentication is Level.THREE
    assert not services["example-oidc"].service.tells_methods


# --- how attributes are known


def test_the_levels_of_evidence_are_those_of_the_code_unless_lowered(region: Path, tmp_path: Path) -> None:
    """What the reference shows is what stands there; one that is lowered is the only one that changes."""
    as_stated = {name: each.most for name, each in EVIDENCE.items() if each.most}
    assert load(region, state=tmp_path).evidence == as_stated
    edit(region, GATEWAY, "  card-face: 2", "  card-face: 1")
    assert load(region, state=tmp_path).evidence == as_stated | {"card-face": 1}


@pytest.mark.parametrize(
    ("new", "kind"),
    [("  card-face: 3", "range"), ("  card-face: -1", "range"), ("  selfasserted: 0", "unknown-key")],
)
def test_evidence_is_never_raised(region: Path, new: str, kind: str) -> None:
    """Nor is another name made up for it."""
    edit(region, GATEWAY, "  card-face: 2", new)
    mistakes, _ = check(region)
    assert [(mistake.kind, mistake.file) for mistake in mistakes] == [(kind, str(region / GATEWAY))]
    check_sentences(mistakes[0])


RESIDENT_CODE = ("10000000006",)


@pytest.mark.parametrize("said", ["believed", "doubted"])
@pytest.mark.parametrize("of_route", ["believed", "doubted", None])
def test_who_doubts_the_check_digit_says_it_once(region: Path, tmp_path: Path, said: str, of_route: str | None) -> None:
    """For sign-ins, and for routes that say nothing else."""
    assert is_resident_code(*RESIDENT_CODE)
    edit(region, GATEWAY, "resident_code_check_digit: believed", f"resident_code_check_digit: {said}")
    line = "      resident_code_check_digit: believed\n"
    edit(region, ROUTES, line, "" if of_route is None else line.replace("believed", of_route))
    found = load(region, state=tmp_path)
    guards = [
        found.id_systems["example-saml"].system.inward.guard,
        found.services["example-saml"].service.outward.guard,
    ]
    assert [bool(refused(each.inspect("note", RESIDENT_CODE))) for each in guards] == [said == "believed"] * 2
    (inspected,) = (route.guard for route in found.routes.routes if route.guard is not None)
    assert bool(refused(inspected.guard.inspect("note", RESIDENT_CODE))) == ((of_route or said) == "believed")
