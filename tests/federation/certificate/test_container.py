"""Containers that last: what is in them, what is believed of them years later, and what is refused."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms, core
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey
from joserfc.registry import HeaderParameter

from federation.certificate import container, timestamp
from federation.certificate.container import Anchors, ContainerRefusedError, Report
from federation.certificate.model import Standing, StatusEvidence, Wanted
from federation.certificate.signature import SignatureError
from federation.certificate.timestamp import TimestampAuthority
from tests.federation.certificate import texts
from tests.federation.certificate.authorities import AT, OTHER_POLICY, POLICY, Authority, Issued
from tests.federation.certificate.timestamps import Tsa, tsa_certificate

LATER = AT + timedelta(days=3650)
"""Ten years after: the person's certificate and the authorities' answers are long over."""

ROOT = Authority.root("Root")
ISSUING = ROOT.subordinate("Issuing", path_length=0)
PERSON = ISSUING.issue(ocsp_urls=("http://authority.example/ocsp",), crl_urls=("http://authority.example/crl",))
RSA_PERSON = ISSUING.issue("前橋 太郎", key="rsa")
TSA_ROOT = Authority.root("Timestamp root")
TSA = Tsa(tsa_certificate(TSA_ROOT, crl_urls=("http://tsa.example/crl",)))
ANCHORS = Anchors(persons=(ROOT.certificate,), timestamps=TimestampAuthority(url="", anchors=(TSA_ROOT.certificate,)))
KINDS = ("cms", "jws")


def ocsp(der: bytes) -> StatusEvidence:
    """An OCSP response, kept."""
    return StatusEvidence(kind="ocsp", der=der)


def crl(der: bytes) -> StatusEvidence:
    """A revocation list, kept."""
    return StatusEvidence(kind="crl", der=der)


EVIDENCE = (ocsp(ISSUING.ocsp(PERSON.certificate)), crl(ROOT.crl()), crl(TSA_ROOT.crl()))


def signed(kind: str, issued: Issued = PERSON, **changes: Any) -> bytes:
    """What a phone sends."""
    return (texts.sign_cms if kind == "cms" else texts.sign_jws)(issued, **changes)


def token(answer: bytes, tsa: Tsa = TSA) -> bytes:
    """A timestamp over a phone's signature."""
    return tsa.token(timestamp.query(container.read(answer).timestamped, nonce=1).der)


def made(
    kind: str,
    issued: Issued = PERSON,
    *,
    evidence: tuple[StatusEvidence, ...] = EVIDENCE,
    tsa: Tsa = TSA,
    over: bytes | None = None,
    **changes: Any,
) -> bytes:
    """A container; `over`: the timestamp is over this instead of the signature."""
    answer = signed(kind, issued, **changes)
    form: Any = container.FORMS[kind]
    stamp = token(answer, tsa) if over is None else tsa.token(timestamp.query(over, nonce=1).der)
    done: bytes = form.lasting(
        answer, token=stamp, certificates=(*issued.x5c, ROOT.der, tsa.issued.der, TSA_ROOT.der), evidence=evidence
    )
    return done


def told(octets: bytes, anchors: Anchors = ANCHORS, *, at: datetime = LATER, text: bytes | None = None) -> str:
    """The code with which a container is refused, "" if it is not."""
    try:
        container.check(octets, anchors, at=at, text=text)
    except ContainerRefusedError as why:
        return why.code
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_proves_years_later_who_signed_what_and_when(kind: str) -> None:
    """With nothing but the two anchors, after every certificate and answer in it is over."""
    report = container.check(made(kind), ANCHORS, at=LATER)
    assert report.text.decode() == texts.TEXT
    assert report.path.leaf == PERSON.certificate
    assert report.path.policies == {POLICY}
    assert (report.timestamp.at, report.claimed_at) == (AT, AT)
    assert [status.standing for status in report.statuses] == [Standing.GOOD, Standing.GOOD]
    assert [status.standing for status in report.timestamp_statuses] == [Standing.GOOD]
    assert report.lasts_until == TSA.issued.certificate.not_valid_after_utc
    assert isinstance(report, Report)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_made_from_a_verified_timestamp_and_paths(kind: str) -> None:
    """`lasting` puts together what was learned; the signature and what it is over stay as the phone sent them."""
    answer = signed(kind)
    said = container.read(answer)
    query = timestamp.query(said.timestamped, nonce=7)
    stamped = timestamp.check_response(TSA.answer(query.der), said.timestamped, ANCHORS.timestamps, nonce=7, now=AT)
    path = container.person_path(said, ANCHORS, at=stamped.at)
    done = container.lasting(answer, stamped=stamped, paths=(path, stamped.path), evidence=EVIDENCE)
    after = container.read(done)
    assert (after.octets, after.value, after.text, after.nonce) == (said.octets, said.value, said.text, texts.NONCE)
    assert set(after.certificates) == {*PERSON.x5c, ROOT.der, TSA.issued.der, TSA_ROOT.der}
    assert sorted(one.kind for one in after.evidence) == ["crl", "crl", "ocsp"]
    assert told(done) == ""
    assert told(done, at=AT) == ""


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("cms", {"issued": RSA_PERSON}),
        ("cms", {"issued": RSA_PERSON, "pss": True}),
        ("cms", {"issued": RSA_PERSON, "pss": True, "digest": "sha512"}),
        ("cms", {"issued": ISSUING.issue(key="p-384"), "digest": "sha384"}),
        ("cms", {"by_key_identifier": True}),
        ("cms", {"issuer_serial": 0}),
        ("jws", {"issued": RSA_PERSON, "algorithm": "RS256"}),
        ("jws", {"issued": RSA_PERSON, "algorithm": "PS256"}),
        ("jws", {"issued": ISSUING.issue(key="p-384"), "algorithm": "ES384"}),
        ("jws", {"leave_out": ("cty",)}),
        ("jws", {"header": {"typ": "jose+json"}}),
    ],
)
def test_what_phones_may_differ_in(kind: str, changes: Mapping[str, Any]) -> None:
    """Keys, algorithms, and how the certificate is named."""
    issued = changes.get("issued", PERSON)
    evidence = (ocsp(ISSUING.ocsp(issued.certificate)), *EVIDENCE[1:])
    assert told(made(kind, evidence=evidence, **changes)) == ""


def test_evidence_may_be_lists_alone() -> None:
    """No OCSP responder is needed."""
    for kind in KINDS:
        assert told(made(kind, evidence=(crl(ISSUING.crl()), crl(ROOT.crl()), crl(TSA_ROOT.crl())))) == ""


# --- each fault with its code

STRANGER = Authority.root("Root")
"""Another authority of the same name."""


def revoked(at: datetime) -> tuple[StatusEvidence, ...]:
    """Evidence of an authority that had revoked the person's certificate by then."""
    authority = replace(ISSUING, revoked={})
    authority.revoke(PERSON.certificate, at)
    return ocsp(authority.ocsp(PERSON.certificate, at=max(AT, at))), *EVIDENCE[1:]


FAULTS: Mapping[str, tuple[str, Callable[[str], bytes]]] = {
    "no timestamp": ("container-without-timestamp", signed),
    "a timestamp over another signature": ("timestamp-imprint", lambda kind: made(kind, over=b"another")),
    "a timestamp by a stranger": (
        "timestamp-path",
        lambda kind: made(kind, tsa=Tsa(tsa_certificate(Authority.root("Stranger")))),
    ),
    "a timestamp of the future": (
        "timestamp-time",
        lambda kind: made(kind, tsa=replace(TSA, at=LATER + timedelta(days=1))),
    ),
    "no evidence at all": ("timestamp-evidence-missing", lambda kind: made(kind, evidence=())),
    "no evidence of the timestamp's certificate": (
        "timestamp-evidence-missing",
        lambda kind: made(kind, evidence=EVIDENCE[:2]),
    ),
    "no evidence of the person's certificate": ("evidence-missing", lambda kind: made(kind, evidence=EVIDENCE[1:])),
    "no evidence of the authority's certificate": (
        "evidence-missing",
        lambda kind: made(kind, evidence=(EVIDENCE[0], EVIDENCE[2])),
    ),
    "evidence that was over": (
        "evidence-missing",
        lambda kind: made(
            kind, evidence=(ocsp(ISSUING.ocsp(PERSON.certificate, at=AT - timedelta(days=9))), *EVIDENCE[1:])
        ),
    ),
    "evidence about somebody else": (
        "evidence-missing",
        lambda kind: made(kind, evidence=(ocsp(ISSUING.ocsp(RSA_PERSON.certificate)), *EVIDENCE[1:])),
    ),
    "evidence by a stranger": (
        "evidence-missing",
        lambda kind: made(
            kind, evidence=(ocsp(ISSUING.ocsp(PERSON.certificate, signed_by=STRANGER.key)), *EVIDENCE[1:])
        ),
    ),
    "rubbish for evidence": ("evidence-missing", lambda kind: made(kind, evidence=(ocsp(b"\x30\x00"), *EVIDENCE[1:]))),
    "revoked before": ("revoked", lambda kind: made(kind, evidence=revoked(AT - timedelta(days=1)))),
    "another authority": ("untrusted-issuer", lambda kind: made(kind, Authority.root("Other").issue())),
    "an authority of the same name": ("untrusted-issuer", lambda kind: made(kind, STRANGER.issue())),
    "expired": ("expired", lambda kind: made(kind, ISSUING.issue(not_after=AT - timedelta(seconds=1)))),
    "not yet valid": ("not-yet-valid", lambda kind: made(kind, ISSUING.issue(not_before=AT + timedelta(seconds=1)))),
    "a key for encryption": ("key-usage", lambda kind: made(kind, ISSUING.issue(key_usage=("key_encipherment",)))),
    "another signature": ("container-signature", lambda kind: made(kind, wrong=("signature",))),
    "no nonce": (
        "container-malformed",
        lambda kind: made(kind, leave_out=(texts.CONTENT_IDENTIFIER if kind == "cms" else "nonce",)),
    ),
    "no time of signing": (
        "container-malformed",
        lambda kind: made(kind, leave_out=("signing_time" if kind == "cms" else "iat",)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_with_its_code(fault: str, kind: str) -> None:
    """A container that differs from a good one in exactly one thing."""
    code, make = FAULTS[fault]
    try:
        found = told(make(kind))
    except ContainerRefusedError as why:  # nothing can even be added to it
        found = why.code
    assert found == code


def test_faults_of_signed_data_alone() -> None:
    """What CMS has and JWS has not."""
    assert told(made("cms", wrong=("certificate-id",))) == "container-certificate-id"
    assert told(made("cms", issuer_serial=1)) == "container-certificate-id"
    assert told(made("cms", leave_out=("signing_certificate_v2",))) == "container-certificate-id"
    assert told(made("cms", leave_out=("message_digest",))) == "container-signature"
    assert told(made("cms", leave_out=("content_type",))) == "container-signature"
    assert told(made("cms", digest="sha1")) == "container-weak"


@pytest.mark.parametrize(
    "extra",
    [
        {"type": "content_type", "values": ["data"]},
        {"type": texts.CONTENT_IDENTIFIER, "values": [core.OctetString(b"another")]},
        {"type": "2.999.1", "values": [core.OctetString(b"what nobody knows")]},
    ],
)
def test_signed_attributes_twice_or_unknown_are_refused(extra: Mapping[str, Any]) -> None:
    """What a signer says must be understood, and said once."""
    with pytest.raises(ContainerRefusedError) as refused:
        container.read(texts.sign_cms(PERSON, extra=(extra,)))
    assert refused.value.code == "container-malformed"


def test_signed_data_of_a_sign_in_is_no_signed_text() -> None:
    """An answer to a sign-in has no content identifier: nobody can hand it on as a signed text."""
    with pytest.raises(ContainerRefusedError):
        container.read(texts.sign_cms(PERSON, '{"aud":"https://gateway.example/"}', nonce=None))
    with pytest.raises(ContainerRefusedError):
        container.read(texts.sign_jws(PERSON, header={"typ": "certificate-answer+jwt"}))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": 5},
        {"crit": ["b64"]},
        {"b64": False},
        {"jwk": {}},
        {"jku": "https://example.jp/"},
        {"x5c": []},
        {"x5c": ["!"]},
        {"x5c": "MII"},
        {"x5c": [base64.b64encode(PERSON.der).decode()] * 9},
        {"x5t#S256": "AAAA"},
        {"iat": "today"},
        {"iat": -1},
        {"nonce": 5},
        {"typ": None},
        {"cty": "text/html"},
    ],
)
def test_headers_that_are_refused(header: Mapping[str, Any]) -> None:
    """The protected header is exactly what is asked for (RFC 8725 §3.1, §3.5)."""
    with pytest.raises(ContainerRefusedError) as refused:
        container.read(texts.sign_jws(PERSON, header=header))
    assert refused.value.code == "container-malformed"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "application/jose+json"},
        {"typ": "jose+json"},
        {"cty": "TEXT/plain"},
        {"cty": "text/plain; charset=utf-8"},
        {"cty": 'text/plain;charset="UTF-8"'},
    ],
    ids=str,
)
def test_media_types_may_be_written_as_they_are_elsewhere(header: Mapping[str, Any]) -> None:
    """RFC 7515 §4.1.9, §4.1.10: in any case, and `application/` may stand or not."""
    assert container.read(texts.sign_jws(PERSON, header=header)).kind == "jws"


def test_an_algorithm_that_does_not_fit_the_key() -> None:
    """RFC 7518 §3.4: ES384 is P-384."""
    assert told(made("jws", header={"alg": "ES384"})) == "container-weak"
    assert told(made("jws", header={"alg": "RS256"})) == "container-weak"


@pytest.mark.parametrize("kind", KINDS)
def test_another_text_is_refused(kind: str) -> None:
    """Where one asks for a certain text."""
    assert told(made(kind), text=texts.TEXT.encode()) == ""
    assert told(made(kind), text=texts.TEXT.encode() + b"\n") == "container-text"


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_can_be_demanded(kind: str) -> None:
    """Of the person's certificate."""
    assert told(made(kind), replace(ANCHORS, wanted=Wanted(policies=frozenset({POLICY})))) == ""
    assert told(made(kind), replace(ANCHORS, wanted=Wanted(policies=frozenset({OTHER_POLICY})))) == "policy"


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_revoked_afterwards_does_not_matter(kind: str) -> None:
    """That is what the timestamp is for."""
    assert told(made(kind, evidence=revoked(AT + timedelta(seconds=30)))) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_timestamp_helps_where_the_first_does_not(kind: str) -> None:
    """Somebody may have added another one; one that is believed is enough."""
    answer = signed(kind)
    stranger = token(answer, Tsa(tsa_certificate(Authority.root("Stranger"))))
    done = made(kind)
    form: Any = container.FORMS[kind]
    if kind == "cms":
        twice = form.lasting(
            form.lasting(answer, token=stranger, certificates=(), evidence=()),
            token=token(answer),
            certificates=container.read(done).certificates,
            evidence=EVIDENCE,
        )
    else:
        other, mine = json.loads(made(kind, over=b"another")), json.loads(done)
        mine["header"]["etsiU"].insert(0, other["header"]["etsiU"][0])
        twice = json.dumps(mine).encode()
    assert len(container.read(twice).tokens) == 2
    assert told(twice) == ""


# --- independent peers


def test_joserfc_verifies_the_jws() -> None:
    """The JWS of a container is a JWS for others: flattened JSON with an unprotected header (RFC 7515 §7.2.2)."""
    whole = json.loads(made("jws"))
    registry = jws.JWSRegistry(
        header_registry={name: HeaderParameter("ours", lambda _: None) for name in ("iat", "nonce", "etsiU")},
        algorithms=["ES256"],
        strict_check_header=False,
    )
    registry.max_header_length = 64 * 1024
    registry.max_payload_length = 64 * 1024
    found = jws.deserialize_json(whole, ECKey.import_key(PERSON.key.public_key()), registry=registry)
    assert found.payload.decode() == texts.TEXT


def test_the_parts_of_etsi_u_are_those_of_the_standard() -> None:
    """TS 119 182-1 §5.3: base64url strings, each a JSON object of one member; the values are base64 of DER."""
    whole = json.loads(made("jws"))
    assert set(whole) == {"payload", "protected", "header", "signature"}
    elements = [json.loads(base64.urlsafe_b64decode(one + "==")) for one in whole["header"]["etsiU"]]
    assert [list(one) for one in elements] == [["sigTst"], ["xVals"], ["rVals"]]
    (stamp,) = elements[0]["sigTst"]["tstTokens"]
    info = cms.ContentInfo.load(base64.b64decode(stamp["val"]))["content"]["encap_content_info"]["content"].parsed
    assert (
        info["message_imprint"]["hashed_message"].native == timestamp.query(whole["signature"].encode(), nonce=1).digest
    )
    assert base64.b64decode(elements[1]["xVals"][0]["x509Cert"]["val"]) == PERSON.der
    assert [base64.b64decode(one["val"]) for one in elements[2]["rVals"]["ocspVals"]] == [EVIDENCE[0].der]


def test_signed_data_stands_as_the_standards_say() -> None:
    """RFC 5652 §5.1 (version 5), RFC 5940 §2, RFC 3161 appendix A."""
    data = cms.ContentInfo.load(made("cms"), strict=True)["content"]
    assert data["version"].native == "v5"
    assert sorted(choice.name for choice in data["crls"]) == ["crl", "crl", "other"]
    (other,) = [choice.chosen for choice in data["crls"] if choice.name == "other"]
    assert other["other_rev_info_format"].native == "ocsp_response"
    assert other["other_rev_info"]["response_status"].native == "successful"
    (attribute,) = data["signer_infos"][0]["unsigned_attrs"]
    assert attribute["type"].native == "signature_time_stamp_token"


# --- hostile input


@pytest.mark.parametrize(
    "octets",
    [b"", b"{}", b"\x30\x00", b"\x30\x80", b"a.b.c", b"..", b'{"payload":1}', b"\x30" * 100_000, b"{" * 100_000],
)
def test_rubbish_is_refused(octets: bytes) -> None:
    """Never anything but a refusal."""
    assert told(octets) == "container-malformed"


@pytest.mark.parametrize("kind", KINDS)
def test_work_is_bounded(kind: str) -> None:
    """Nobody is made to look at a thousand timestamps or lists."""
    lists = tuple(crl(ROOT.crl(number=n)) for n in range(65))
    with pytest.raises((ContainerRefusedError, SignatureError), match="malformed"):
        container.read(made(kind, evidence=lists))
    first = answer = signed(kind)
    many = [Tsa(TSA.issued, info={"serial_number": n}) for n in range(9)]
    form: Any = container.FORMS[kind]
    if kind == "cms":
        for one in many:
            answer = form.lasting(answer, token=token(first, one), certificates=(), evidence=())
    else:
        whole = json.loads(made(kind))
        whole["header"]["etsiU"] += whole["header"]["etsiU"][:1] * 8
        answer = json.dumps(whole).encode()
    assert told(answer) == "container-malformed"


def test_what_is_too_large_is_not_read() -> None:
    """Sixteen mebioctets are enough for anybody's revocation lists."""
    assert told(b"\x30" * (container.MAXIMUM + 1)) == "container-too-large"
    assert told(b"{" * (container.MAXIMUM + 1)) == "container-too-large"


GOOD = {kind: made(kind) for kind in KINDS}


@given(kind=st.sampled_from(KINDS), place=st.integers(0, 2**20), flip=st.integers(1, 255))
def test_a_changed_octet_is_refused_or_proves_the_same(kind: str, place: int, flip: int) -> None:
    """Whatever octet changes: nothing else is raised, and no other text, person or moment is ever believed."""
    good = GOOD[kind]
    place %= len(good)
    changed = good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :]
    try:
        report = container.check(changed, ANCHORS, at=LATER)
    except ContainerRefusedError:
        return
    assert (report.text.decode(), report.path.leaf, report.timestamp.at) == (texts.TEXT, PERSON.certificate, AT)
