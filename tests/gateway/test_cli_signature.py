"""The commands `kakehashi signature …`, and the commands of docs/signing.md, run as they stand there."""

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding

from federation.certificate import container
from gateway.cli import main
from tests.federation.certificate import texts
from tests.federation.certificate.authorities import AT, Authority
from tests.federation.certificate.test_container import (
    EVIDENCE,
    ISSUING,
    ROOT,
    TSA,
    TSA_ROOT,
    crl,
    made,
    ocsp,
    signed,
    token,
)
from tests.federation.certificate.timestamps import Tsa, tsa_certificate

DOCUMENT = Path(__file__).parents[2] / "docs" / "signing.md"
EPOCH = str(int(AT.timestamp()))


def commands(*kinds: str) -> list[str]:
    """The commands of the document that are marked for these kinds, in its order."""
    blocks = re.findall(r"<!-- commands: (\w+) -->\n\n((?:    .+\n)+)", DOCUMENT.read_text(encoding="utf-8"))
    assert {kind for kind, _ in blocks} == {"both", "cms", "ocsp", "crl"}
    return [line.strip() for kind, block in blocks if kind in kinds for line in block.splitlines()]


def run(*words: str | Path) -> Result:
    """Run a command of ours."""
    return CliRunner().invoke(main, ["signature", *map(str, words)])


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """An auditor's directory: two anchors, and containers."""
    (tmp_path / "authority.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "tsa.pem").write_bytes(TSA_ROOT.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "application.p7m").write_bytes(made("cms"))
    (tmp_path / "application.jws").write_bytes(made("jws"))
    return tmp_path


def shell(directory: Path, command: str) -> str:
    """What a command of the document says; it must be content."""
    assert shutil.which("openssl")
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env={"T": EPOCH, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout + done.stderr


@pytest.mark.parametrize(("name", "kind"), [("application.p7m", "cms"), ("application.jws", "jws")])
def test_openssl_verifies_everything_that_the_document_says(audit: Path, name: str, kind: str) -> None:
    """Whoever believes nobody but OpenSSL and two certificates comes to the same."""
    assert run("extract", audit / name, audit / "parts").exit_code == 0
    said = [shell(audit, command) for command in commands("both", kind, "ocsp", "crl")]
    told = "\n".join(said)
    assert "Verification: OK" in told
    assert "Time stamp: Nov 22 12:00:00 2026 GMT" in told
    assert "parts/signer.pem: OK" in told
    assert "Verified OK" in told
    assert "Response verify OK" in told
    assert "parts/signer.pem: " in told
    assert "good" in told
    assert "verify OK" in told
    assert ("CAdES Verification successful" in told) == (kind == "cms")
    assert (audit / "parts" / "text.txt").read_text(encoding="utf-8") == texts.TEXT


def test_openssl_verifies_when_every_certificate_is_over(audit: Path) -> None:
    """The resident's, the authorities', the timestamp's and both anchors: `-attime` is the timestamp's moment."""
    hours: Any = {"not_before": AT - timedelta(hours=1), "not_after": AT + timedelta(hours=1)}
    root, stamps = Authority.root("Root", **hours), Authority.root("Timestamp root", **hours)
    issuing = root.subordinate("Issuing", **hours)
    person, tsa = issuing.issue(**hours), Tsa(tsa_certificate(stamps, **hours))
    answer = signed("cms", person)
    lasting = container.FORMS["cms"].lasting(
        answer,
        token=token(answer, tsa),
        certificates=(*person.x5c, root.der, tsa.issued.der, stamps.der),
        evidence=(ocsp(issuing.ocsp(person.certificate)), crl(root.crl()), crl(stamps.crl())),
    )
    (audit / "application.p7m").write_bytes(lasting)
    (audit / "authority.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (audit / "tsa.pem").write_bytes(stamps.certificate.public_bytes(Encoding.PEM))
    assert run("extract", audit / "application.p7m", audit / "parts").exit_code == 0
    told = "\n".join(shell(audit, command) for command in commands("both", "cms", "ocsp", "crl"))

    assert told.count("Verification: OK") == told.count("Verified OK") == told.count("Response verify OK") == 1
    assert check(audit, "application.p7m").exit_code == 0
    assert "expired" in shell(
        audit, "openssl verify -CAfile authority.pem -untrusted parts/certificates.pem parts/signer.pem 2>&1 || true"
    )


def test_openssl_sees_what_was_changed(audit: Path) -> None:
    """The commands of the document do find faults."""
    forged = made("cms", wrong=("signature",))
    (audit / "forged.p7m").write_bytes(forged)
    assert run("extract", audit / "forged.p7m", audit / "parts").exit_code == 0
    failed = []
    for command in commands("both", "cms"):
        try:
            shell(audit, command)
        except AssertionError:
            failed.append(command.split()[1])
    assert failed[0] == "cms"
    assert failed[-1] == "dgst"


def test_an_issuing_authority_can_be_the_anchor(audit: Path) -> None:
    """Lists often name the issuing authority, not its root: `-partial_chain`."""
    (audit / "authority.pem").write_bytes(ISSUING.certificate.public_bytes(Encoding.PEM))
    (audit / "application.p7m").write_bytes(made("cms", evidence=(EVIDENCE[0], EVIDENCE[2])))
    run("extract", audit / "application.p7m", audit / "parts")
    for command in commands("both", "cms", "ocsp"):
        shell(audit, command)
    assert check(audit, "application.p7m").exit_code == 0


@pytest.mark.parametrize("kind", ["cms", "jws"])
def test_the_first_ocsp_response_is_about_the_signer(audit: Path, kind: str) -> None:
    """Wherever it stands in the container, since the document's command names the first."""
    others = (ISSUING.ocsp(ISSUING.issue().certificate), b"no response", b"0\x03\n\x01\x06")  # unauthorized
    evidence = (*(ocsp(each) for each in others[: 3 if kind == "jws" else 1]), *EVIDENCE)
    (audit / "application").write_bytes(made(kind, evidence=evidence))
    assert run("extract", audit / "application", audit / "parts").exit_code == 0
    assert (audit / "parts" / "ocsp-1.der").read_bytes() == EVIDENCE[0].der
    assert (audit / "parts" / "ocsp-2.der").read_bytes() == others[0]


def check(audit: Path, name: str, *words: str | Path) -> Result:
    """Our own verification."""
    anchors = ("--anchor", audit / "authority.pem", "--timestamp-anchor", audit / "tsa.pem")
    return run("check", audit / name, *anchors, "--language", "en", *words)


def test_show_tells_who_when_and_what_and_not_the_text(audit: Path) -> None:
    """The certificate's name, the moments, a digest; and that nothing was verified."""
    shown: dict[str, Any] = json.loads(run("show", audit / "application.jws", "--json").stdout)
    assert shown["signer"] == "山田 花子"
    assert shown["epoch"] == int(EPOCH)
    assert shown["claimed_at"] == AT.isoformat()
    assert shown["evidence"] == ["crl", "crl", "ocsp"]
    assert shown["text_octets"] == len(texts.TEXT.encode())
    told = run("show", audit / "application.p7m", "--language", "en")
    assert "nothing was verified yet" in told.stderr
    assert "申請" not in told.output


def test_show_needs_no_timestamp(audit: Path) -> None:
    """What a phone signed can be looked at before anything was added."""
    (audit / "answer").write_bytes(signed("jws"))
    assert json.loads(run("show", audit / "answer", "--json").stdout)["timestamped_at"] is None


def test_check_verifies_and_says_until_when(audit: Path) -> None:
    """With two anchors and nothing else, whatever the time is."""
    found = check(audit, "application.p7m", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["lasts_until"] == TSA.issued.certificate.not_valid_after_utc.isoformat()


def test_check_refuses_with_a_code(audit: Path) -> None:
    """One code, and no traceback."""
    (audit / "tsa.pem").write_bytes(Authority.root("Other").certificate.public_bytes(Encoding.PEM))
    told = check(audit, "application.jws")
    assert told.exit_code == 1
    assert told.stderr.startswith("timestamp-path: ")


def test_check_can_demand_a_text(audit: Path) -> None:
    """Whether what was signed is what one thinks."""
    (audit / "text").write_text(texts.TEXT, encoding="utf-8")
    assert check(audit, "application.jws", "--text", audit / "text").exit_code == 0
    (audit / "text").write_text("another", encoding="utf-8")
    assert check(audit, "application.jws", "--text", audit / "text").stderr.startswith("container-text: ")


def test_extract_overwrites_nothing(audit: Path) -> None:
    """What is there stays, and the directory is for its owner alone."""
    assert run("extract", audit / "application.p7m", audit / "parts").exit_code == 0
    assert (audit / "parts").stat().st_mode & 0o077 == 0
    again = run("extract", audit / "application.jws", audit / "parts")
    assert again.exit_code == 1
    assert "Traceback" not in again.output


@pytest.mark.parametrize("command", ["show", "extract"])
def test_what_is_no_container_is_refused(audit: Path, command: str) -> None:
    """A sentence, not a traceback."""
    words = (audit / "parts",) if command == "extract" else ()
    for octets in (b"", b"rubbish", b"\x30\x82"):
        (audit / "x").write_bytes(octets)
        told = run(command, audit / "x", *words)
        assert (told.exit_code, told.stderr.partition(":")[0]) == (1, "container-malformed")
    assert run(command, audit / "absent", *words).exit_code == 1
