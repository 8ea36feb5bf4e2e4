"""What an operator says of texts that residents sign."""

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import check, load
from gateway.serve import report_start

from .sample import GATEWAY, REFERENCE, edit

SERVICE = "services/example-oidc.yaml"
TIMESTAMP = "timestamp: {url: https://tsa.example.jp/, certificates: [lists/anchor.pem], policies: ['2.999.3.1']}\n"


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """The reference, to be edited."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def test_the_timestamp_authority_is_read_with_its_anchors(region: Path, tmp_path: Path) -> None:
    """Only timestamps that lead to these certificates are believed."""
    assert load(region, state=tmp_path).timestamp is None
    edit(region, GATEWAY, "\nregion:", f"\n{TIMESTAMP}\nregion:")
    edit(region, SERVICE, "\nsigning: false", "\nsigning: true")

    found = load(region, state=tmp_path)

    assert found.timestamp is not None
    assert found.timestamp.url == "https://tsa.example.jp/"
    assert found.timestamp.policies == {"2.999.3.1"}
    assert len(found.timestamp.anchors) == 1
    assert {name for name, each in found.services.items() if each.service.signing} == {"example-oidc"}


def test_that_a_service_gets_certificates_is_told_at_every_check(region: Path) -> None:
    """The one way by which a resident's certificate leaves the gateway has a name, and is told."""
    assert "signing-identifies" not in {note.kind for note in check(region)[1]}
    edit(region, GATEWAY, "\nregion:", f"\n{TIMESTAMP}\nregion:")
    edit(region, SERVICE, "\nsigning: false", "\nsigning: true")

    mistakes, notes = check(region)

    assert mistakes == ()
    assert [Path(note.file).name for note in notes if note.kind == "signing-identifies"] == ["example-oidc.yaml"]


def test_every_start_tells_who_gets_certificates(region: Path, tmp_path: Path) -> None:
    """In the log, by name."""
    edit(region, GATEWAY, "\nregion:", f"\n{TIMESTAMP}\nregion:")
    edit(region, SERVICE, "\nsigning: false", "\nsigning: true")

    with capture_logs() as lines:
        report_start(load(region, state=tmp_path), 1)

    assert [line["relying_service"] for line in lines if line["event"] == "gets-certificates"] == ["example-oidc"]


def test_without_timestamps_nothing_is_signed(region: Path) -> None:
    """Without one nobody could say later when a text was signed."""
    edit(region, SERVICE, "\nsigning: false", "\nsigning: true")

    assert [mistake.kind for mistake in check(region)[0]] == ["signing-untimed"]
