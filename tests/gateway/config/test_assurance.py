"""Who says what an ID system's words are worth: a signed table, or the operator."""

import shutil
from pathlib import Path

import pytest

from federation.model import Level
from gateway.config import check, load

from .sample import CLIENT, OIDC, PROVIDER, REFERENCE, TRUST, edit
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
