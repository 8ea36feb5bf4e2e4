"""Timestamps: what is asked of an authority, what is believed of its answer, and that `openssl ts` agrees."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import timestamp
from federation.certificate.timestamp import TimestampAuthority, TimestampRefusedError, check_response, check_token
from federation.web import HttpRequest, HttpResponse, RoadError
from gateway.demo.authority_keys import authority_keys
from gateway.demo.timestamps import timestamp_answer
from tests.federation.certificate.authorities import AT, Authority, other_name, unknown_extension
from tests.federation.certificate.timestamps import TIME_STAMPING, TSA_POLICY, Tsa, refusal, tsa_certificate

DATA = b"the value of a signature"
NONCE = 2**63 + 4711
ROOT = Authority.root("Timestamp root")
ISSUING = ROOT.subordinate("Timestamp issuing")
SIGNER = tsa_certificate(ISSUING)
TRUSTED = TimestampAuthority(url="https://tsa.example.jp/", anchors=(ROOT.certificate,))
QUERY = timestamp.query(DATA, nonce=NONCE)


CLOCK = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clock")])


def own_name(name: x509.Name) -> asn1.GeneralName:
    """What a token says of whoever signed it."""
    return asn1.GeneralName("directory_name", asn1.Name.load(name.public_bytes()))


def told(tsa: Tsa, *, authority: TimestampAuthority = TRUSTED, data: bytes = DATA) -> str:
    """The code with which an answer is refused, "" if it is not."""
    try:
        check_response(tsa.answer(QUERY.der), data, authority, nonce=NONCE, now=AT)
    except TimestampRefusedError as why:
        return why.code
    return ""


def test_a_timestamp_says_when_by_whom_and_how_exactly() -> None:
    """What a good answer proves."""
    found = check_response(Tsa(SIGNER).answer(QUERY.der), DATA, TRUSTED, nonce=NONCE, now=AT)
    assert (found.at, found.accuracy, found.policy, found.serial) == (AT, timedelta(seconds=1), TSA_POLICY, 4711)
    assert [one.subject for one in found.path.certificates] == [
        SIGNER.certificate.subject,
        ISSUING.certificate.subject,
        ROOT.certificate.subject,
    ]


def test_a_query_asks_for_sha_256_a_nonce_and_the_certificate() -> None:
    """RFC 3161 §2.4.1."""
    asked = tsp.TimeStampReq.load(QUERY.der, strict=True).native
    assert asked["message_imprint"]["hash_algorithm"]["algorithm"] == "sha256"
    assert asked["message_imprint"]["hashed_message"] == QUERY.digest
    assert (asked["nonce"], asked["cert_req"], asked["req_policy"]) == (NONCE, True, None)


SHA1 = {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": b"\0" * 20}

FAULTS: Mapping[str, tuple[str, Tsa]] = {
    "another digest": (
        "timestamp-imprint",
        Tsa(
            SIGNER,
            info={"message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"\1" * 32}},
        ),
    ),
    "a weak digest": ("timestamp-imprint", Tsa(SIGNER, info={"message_imprint": SHA1})),
    "another nonce": ("timestamp-nonce", Tsa(SIGNER, info={"nonce": NONCE + 1})),
    "no nonce": ("timestamp-nonce", Tsa(SIGNER, info={"nonce": None})),
    "before the request": ("timestamp-time", Tsa(SIGNER, at=AT - timedelta(seconds=61))),
    "long after the request": ("timestamp-time", Tsa(SIGNER, at=AT + timedelta(seconds=121))),
    "not exact": ("timestamp-accuracy", Tsa(SIGNER, info={"accuracy": {"seconds": 61}})),
    "another version": ("timestamp-malformed", Tsa(SIGNER, info={"version": "v2"})),
    "a critical extension": (
        "timestamp-malformed",
        Tsa(SIGNER, info={"extensions": [{"extn_id": "2.999.1", "critical": True, "extn_value": b"\5\0"}]}),
    ),
    "data, not a timestamp": ("timestamp-malformed", Tsa(SIGNER, wrong=frozenset({"type"}))),
    "no extended key usage": ("timestamp-signer", Tsa(tsa_certificate(ISSUING, extended_key_usages=()))),
    "extended key usage not critical": (
        "timestamp-signer",
        Tsa(tsa_certificate(ISSUING, extended_key_usages_critical=False)),
    ),
    "for other things too": (
        "timestamp-signer",
        Tsa(tsa_certificate(ISSUING, extended_key_usages=(TIME_STAMPING, "1.3.6.1.5.5.7.3.2"))),
    ),
    "another name": (
        "timestamp-signer",
        Tsa(
            SIGNER, info={"tsa": asn1.GeneralName("directory_name", asn1.Name.build({"common_name": "Somebody else"}))}
        ),
    ),
    "no certificate id": ("timestamp-certificate-id", Tsa(SIGNER, certificate_id=None)),
    "a SHA-1 certificate id": ("timestamp-certificate-id", Tsa(SIGNER, certificate_id="v1")),
    "another certificate's id": ("timestamp-certificate-id", Tsa(SIGNER, wrong=frozenset({"certificate-id"}))),
    "an unlisted authority": ("timestamp-path", Tsa(tsa_certificate(Authority.root("Stranger")))),
    "an expired certificate": ("timestamp-path", Tsa(tsa_certificate(ISSUING, not_after=AT - timedelta(days=1)))),
    "a key for encryption": ("timestamp-path", Tsa(tsa_certificate(ISSUING, key_usage=("key_encipherment",)))),
    "a weak key": ("timestamp-path", Tsa(tsa_certificate(ISSUING, key="rsa-1024"))),
    "an unknown critical extension": (
        "timestamp-path",
        Tsa(tsa_certificate(ISSUING, extensions=((unknown_extension(), True),))),
    ),
    "no way up": ("timestamp-path", Tsa(SIGNER, chain=False)),
    "SHA-1": ("timestamp-weak", Tsa(SIGNER, digest="sha1")),
    "another signature": ("timestamp-signature", Tsa(SIGNER, wrong=frozenset({"signature"}))),
    "another content": ("timestamp-signature", Tsa(SIGNER, wrong=frozenset({"digest"}))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_with_its_code(fault: str) -> None:
    """An answer that differs from a good one in exactly one thing."""
    code, tsa = FAULTS[fault]
    assert told(tsa) == code


@pytest.mark.parametrize(
    "tsa",
    [
        Tsa(tsa_certificate(ISSUING, key="rsa")),
        Tsa(tsa_certificate(ISSUING, key="rsa"), pss=True),
        Tsa(tsa_certificate(ISSUING, key="p-384"), digest="sha384"),
        Tsa(tsa_certificate(ISSUING, key="p-521"), digest="sha512"),
        Tsa(SIGNER, info={"accuracy": None}),
        Tsa(SIGNER, info={"tsa": own_name(SIGNER.certificate.subject)}),
        Tsa(
            tsa_certificate(ISSUING, san=(x509.DirectoryName(CLOCK),)),
            info={"tsa": own_name(CLOCK)},
        ),
        Tsa(SIGNER, info={"tsa": asn1.GeneralName("dns_name", "tsa.example.jp")}),
        Tsa(SIGNER, at=AT + timedelta(seconds=100)),
        Tsa(tsa_certificate(ISSUING, san=(other_name("2.999.7", "clock"),))),
    ],
)
def test_what_authorities_may_differ_in(tsa: Tsa) -> None:
    """Keys, digests, an accuracy that is not stated, a clock that is a little off."""
    assert told(tsa) == ""


def test_a_policy_is_demanded_where_one_is_configured() -> None:
    """RFC 3161 §2.4.2: the policy under which it was made."""
    assert told(Tsa(SIGNER), authority=replace(TRUSTED, policies=frozenset({TSA_POLICY}))) == ""
    assert told(Tsa(SIGNER), authority=replace(TRUSTED, policies=frozenset({"2.999.5"}))) == "timestamp-policy"


def test_a_timestamp_over_something_else_is_refused() -> None:
    """A timestamp of yesterday's signature proves nothing of today's."""
    assert told(Tsa(SIGNER), data=b"another signature") == "timestamp-imprint"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (refusal(), "timestamp-not-granted"),
        (b"", "timestamp-malformed"),
        (b"\x30\x80\x00\x00", "timestamp-malformed"),
        (b"\x30\x00", "timestamp-malformed"),
        (b"\x30\x05\x30\x03\x02\x01\x00", "timestamp-malformed"),
        (b"<html>busy</html>", "timestamp-malformed"),
        (b"\x30" * 60_000, "timestamp-malformed"),
        (b"\x30" * 70_000, "timestamp-too-large"),
    ],
)
def test_what_is_no_timestamp(octets: bytes, code: str) -> None:
    """A refusal, rubbish, and rubbish without end."""
    with pytest.raises(TimestampRefusedError) as refused:
        check_response(octets, DATA, TRUSTED, nonce=NONCE, now=AT)
    assert refused.value.code == code


GOOD = Tsa(SIGNER).answer(QUERY.der)


@given(place=st.integers(0, len(GOOD) - 1), flip=st.integers(1, 255))
def test_a_changed_octet_is_refused_or_means_the_same(place: int, flip: int) -> None:
    """Whatever octet changes, nothing but a refusal comes of it, or the same timestamp."""
    changed = GOOD[:place] + bytes([GOOD[place] ^ flip]) + GOOD[place + 1 :]
    try:
        found = check_response(changed, DATA, TRUSTED, nonce=NONCE, now=AT)
    except TimestampRefusedError:
        return
    assert (found.at, found.serial, found.policy) == (AT, 4711, TSA_POLICY)


@given(st.binary(max_size=400))
def test_rubbish_is_refused(octets: bytes) -> None:
    """Nothing else is ever raised."""
    with pytest.raises(TimestampRefusedError):
        check_token(octets, DATA, TRUSTED, at=AT)


# --- over HTTP


def asked() -> tuple[Any, HttpRequest]:
    """An exchange that has asked."""
    exchange = timestamp.stamp(DATA, TRUSTED, nonce=NONCE, now=AT)
    return exchange, next(exchange)


def told_over_http(response: HttpResponse | RoadError) -> str:
    """What the exchange comes to: a code, or "" for a timestamp."""
    exchange, _ = asked()
    try:
        if isinstance(response, RoadError):
            exchange.throw(response)
        exchange.send(response)
    except StopIteration as done:
        return "" if done.value.at == AT else "another moment"
    except TimestampRefusedError as why:
        return why.code
    raise AssertionError("it asked again")


def test_it_is_asked_for_as_rfc_3161_says() -> None:
    """RFC 3161 §3.4."""
    _, request = asked()
    assert (request.method, request.url, request.body) == ("POST", TRUSTED.url, QUERY.der)
    assert request.headers["Content-Type"] == "application/timestamp-query"


def test_what_comes_back_over_http() -> None:
    """A timestamp; anything else means that there is none."""
    kind = {"content-type": "application/timestamp-reply"}
    assert told_over_http(HttpResponse(status=200, headers=kind, body=GOOD)) == ""
    assert told_over_http(HttpResponse(status=200, headers=kind, body=refusal())) == "timestamp-not-granted"
    assert told_over_http(HttpResponse(status=503, headers=kind, body=GOOD)) == "timestamp-unreachable"
    assert told_over_http(HttpResponse(status=200, headers={}, body=GOOD)) == "timestamp-unreachable"
    assert told_over_http(RoadError("no connection")) == "timestamp-unreachable"


# --- an independent peer

CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {serial}
crypto_device = builtin
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.2.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
ess_cert_id_chain = no
"""


def openssl(*words: str | Path) -> str:
    """Run OpenSSL; what it says. It must be content."""
    program = shutil.which("openssl")
    assert program is not None
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_openssl_answers_our_query_and_we_believe_it(tmp_path: Path) -> None:
    """OpenSSL as timestamp authority: it reads our query, and what it answers is believed, by its own clock."""
    ever = {"not_before": datetime(2000, 1, 1, tzinfo=UTC), "not_after": datetime(2200, 1, 1, tzinfo=UTC)}
    root = Authority.root("Long root", **ever)
    signer = tsa_certificate(root, **ever)
    trusted = TimestampAuthority(url="", anchors=(root.certificate,))
    (tmp_path / "query").write_bytes(QUERY.der)
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "tsa.cnf").write_text(CONFIGURATION.format(serial=tmp_path / "serial"))
    key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "signer.pem").write_bytes(signer.certificate.public_bytes(Encoding.PEM))
    openssl(
        *("ts", "-reply", "-config", tmp_path / "tsa.cnf", "-queryfile", tmp_path / "query"),
        *("-inkey", tmp_path / "key.pem", "-signer", tmp_path / "signer.pem"),
        *("-out", tmp_path / "reply"),
    )
    reply = (tmp_path / "reply").read_bytes()
    moment: datetime = (
        tsp.TimeStampResp.load(reply)["time_stamp_token"]["content"]["encap_content_info"]["content"]
        .parsed["gen_time"]
        .native
    )
    found = check_response(reply, DATA, trusted, nonce=NONCE, now=moment)
    assert (found.at, found.accuracy, found.policy) == (moment, timedelta(seconds=1), TSA_POLICY)
    assert check_token(found.token, DATA, trusted, at=moment + timedelta(days=3650)) == found


def test_the_authority_of_the_demo_is_believed(tmp_path: Path) -> None:
    """Another implementation, and an issuing authority as the anchor."""
    keys = authority_keys(tmp_path, "http://localhost:1", AT)
    trusted = TimestampAuthority(url="", anchors=(keys.issuing.certificate,))
    answer = timestamp_answer(QUERY.der, keys.timestamps, keys.issuing, AT)
    assert check_response(answer, DATA, trusted, nonce=NONCE, now=AT).at == AT
    refused = timestamp_answer(b"rubbish", keys.timestamps, keys.issuing, AT)
    with pytest.raises(TimestampRefusedError, match="timestamp-not-granted"):
        check_response(refused, DATA, trusted, nonce=NONCE, now=AT)


def test_what_we_believe_openssl_believes(tmp_path: Path) -> None:
    """The simulator of these tests makes what RFC 3161 says."""
    (tmp_path / "query").write_bytes(QUERY.der)
    (tmp_path / "reply").write_bytes(GOOD)
    (tmp_path / "root.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    epoch = str(int(AT.timestamp()))
    words = ("-in", tmp_path / "reply", "-CAfile", tmp_path / "root.pem", "-attime", epoch)
    assert "Verification: OK" in openssl("ts", "-verify", "-queryfile", tmp_path / "query", *words)
