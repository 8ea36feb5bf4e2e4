"""The program `openssl` judges the same certificates: a third opinion on paths, and one on the simulator."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.federation.certificate.authorities import AT, Region, der_of
from tests.federation.certificate.test_paths import FAULTS, GOOD, Case

PROGRAM = shutil.which("openssl")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="the program openssl is not installed")

STRICTER = {
    "another key identifier": "a hint to us (RFC 5280 §4.2.1.1), a condition to it",
    "at its last second": "notAfter belongs to the validity (RFC 5280 §4.1.2.5)",
    "an authority's name in other letters": "it compares no full-width letters",
}
"""What openssl refuses and we accept, and why."""

_FORM = "it reads leniently"
_USE = "it was not told what the certificate is for"
_BOUNDS = "our own bound"
_STRENGTH = "its security level is one of long ago"
LAXER = {
    "a megabyte": _BOUNDS,
    "a thousand certificates": _BOUNDS,
    "six authorities between": _BOUNDS,
    "a negative serial number": _FORM,
    "an authority's negative serial number": _FORM,
    "serial number 0": _FORM,
    "a serial number of 21 octets": _FORM,
    "a mailbox in Unicode": "it knows no RFC 8398",
    "many hosts at once": "it compares the asterisk",
    "a URI with an address": "it compares the address with a host name",
    "a key for something else": _USE,
    "another purpose": _USE,
    "any purpose": _USE,
    "an authority for another purpose": _USE,
    "a purpose that its authority may not certify": _USE,
    **{fault: _STRENGTH for fault, (code, _) in FAULTS.items() if code in {"weak-key", "weak-algorithm"}},
}
"""What we refuse and openssl may accept, and why."""


def run(*words: str | Path) -> tuple[int, str]:
    """The program's exit code and what it says."""
    assert PROGRAM is not None
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, timeout=30, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def pem(directory: Path, name: str, *ders: bytes) -> Path:
    """A file of certificates, or of garbage that is called so."""
    pieces = [
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n" for der in ders
    ]
    path = directory / name
    path.write_bytes(b"".join(pieces))
    return path


def accepted(case: Case, directory: Path) -> bool:
    """Whether openssl accepts a path for the policies that are wanted."""
    words: list[str | Path] = ["verify", "-partial_chain", "-policy_check", "-attime", str(int(case.at.timestamp()))]
    words += ["-no-CApath", "-no-CAstore", "-CAfile", pem(directory, "anchors", *map(der_of, case.anchors))]
    if case.wanted.policies:
        words.append("-explicit_policy")
    for policy in case.wanted.policies:
        words += ["-policy", policy]
    if case.others:
        words += ["-untrusted", pem(directory, "others", *case.others)]
    return run(*words, pem(directory, "leaf", case.leaf))[0] == 0


@pytest.mark.parametrize("case", [case for case in GOOD if case not in STRICTER])
def test_openssl_accepts_what_we_accept(case: str, tmp_path: Path) -> None:
    """All that real authorities do, but for the named exceptions."""
    assert accepted(GOOD[case](), tmp_path)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in LAXER])
def test_openssl_refuses_what_we_refuse(fault: str, tmp_path: Path) -> None:
    """All faults, but for the named exceptions."""
    assert not accepted(FAULTS[fault][1](), tmp_path)


def test_openssl_believes_the_simulators_revocation_lists(tmp_path: Path) -> None:
    """A list that names nobody, and then one that names the person."""
    region = Region()
    anchors = pem(tmp_path, "anchors", region.root.der)
    lists = tmp_path / "lists"
    words = ("verify", "-crl_check", "-attime", str(int(AT.timestamp())), "-CAfile", anchors, "-CRLfile", lists)
    chain = ("-untrusted", pem(tmp_path, "others", *region.issued.others), pem(tmp_path, "leaf", region.issued.der))

    lists.write_bytes(_crl_pem(region.issuing.crl()))
    assert run(*words, *chain)[0] == 0
    region.issuing.revoke(region.issued.certificate)
    lists.write_bytes(_crl_pem(region.issuing.crl()))
    code, said = run(*words, *chain)

    assert code != 0
    assert "revoked" in said


def _crl_pem(der: bytes) -> bytes:
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("delegated", [False, True])
@pytest.mark.parametrize("standing", ["good", "revoked", "unknown"])
def test_openssl_believes_the_simulators_ocsp_responses(standing: str, delegated: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Signed by the authority itself or by its responder, to a request that openssl made."""
    region = Region()
    anchors = pem(tmp_path, "anchors", region.root.der)
    issuing, leaf = pem(tmp_path, "issuing", region.issuing.der), pem(tmp_path, "leaf", region.issued.der)
    request, response = tmp_path / "request", tmp_path / "response"
    run("ocsp", "-issuer", issuing, "-cert", leaf, "-reqout", request)
    signer = region.issuing.responder() if delegated else None

    response.write_bytes(region.issuing.ocsp(request.read_bytes(), standing=standing, signer=signer))
    words = ("-CAfile", anchors, "-verify_other", issuing, "-attime", str(int(AT.timestamp())))
    _, said = run("ocsp", "-no_nonce", "-reqin", request, "-respin", response, "-resp_text", *words)

    assert "Response verify OK" in said
    assert f"Cert Status: {standing}" in said
    assert "OCSP Nonce" in said
    assert "Nonce Verify error" not in said
