"""A text to be signed: what may be asked, what is asked of the phone, and what its answer is held against."""

import base64
import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import cms as asn1
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from federation.attributes import OutwardMap
from federation.certificate import container, plain_text, timestamp, transaction
from federation.certificate.model import (
    Accepted,
    Asked,
    Asking,
    CertificateRefusedError,
    Device,
    RevocationPolicy,
    Standing,
    Status,
    StatusEvidence,
    StatusQuestion,
    Wanted,
)
from federation.certificate.plain_text import TextRefusedError
from federation.certificate.timestamp import TimestampAuthority
from federation.certificate.transaction import Order, OrderRefusedError, Signed, order_from_json, read_order
from federation.model import Level, Service
from federation.oidc.jose import SigningKey
from tests.federation.certificate import texts
from tests.federation.certificate.authorities import AT, POLICY, Authority, Issued
from tests.federation.certificate.timestamps import Tsa, tsa_certificate

ROOT = Authority.root("Root")
PERSON = ROOT.issue(ocsp_urls=("http://authority.example/ocsp",))
TSA_ROOT = Authority.root("Timestamp root")
TSA = Tsa(tsa_certificate(TSA_ROOT))
STAMPS = TimestampAuthority(url="https://tsa.example/", anchors=(TSA_ROOT.certificate,))
KEY = SigningKey.generate()
ADDRESS = "https://portal.example/signed"
ORDER = Order(
    service="portal", system="phone", title="申請", text=texts.TEXT, form="cms", language="ja", return_to=ADDRESS
)
WHOLE = f"申請\n\n{texts.TEXT}"
ACCEPTED = Accepted(
    anchors=(ROOT.certificate,),
    permitted=None,
    wanted=Wanted(policies=frozenset({POLICY})),
    revocation=RevocationPolicy(hard=False),
    subject="subject.commonName",
)
SERVICE = Service(
    id="portal",
    kind="oidc",
    entity_id="https://portal.example",
    municipality=None,
    name={"ja": "ポータル", "en": "Portal"},
    purpose={"ja": "申請のため", "en": "For applications"},
    outward=OutwardMap(rules=()),
    minimum=Level(1),
    consent_lifetime=timedelta(days=1),
    use="civic",
    signing=True,
)


# --- texts


@pytest.mark.parametrize(
    "text",
    [
        texts.TEXT,
        "I apply for a library card.",
        "1行目\n\n3行目",
        "全角　空白",
        "辻\U000e0100さんと葛\U000e0101城市",  # forms of characters in names
        "が゛ﾊﾟ",
        "€ 100 (税込) ①②③ 髙 﨑 𠮷",
        "Ōmura, Trần Thị Hằng",
    ],
)
def test_texts_that_everybody_sees_alike(text: str) -> None:
    """What people and town halls write."""
    plain_text.check(text, title="題")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n\u3000", "empty"),
        ("a" * 8193, "too-long"),
        ("あ" * 2731, "too-long"),
        ("a\tb", "control"),
        ("a\r\nb", "control"),
        ("a\x00b", "control"),
        ("a\x1b[31mb", "control"),
        ("a\x85b", "control"),
        ("支払\u202eい", "invisible"),
        ("a\u2066b\u2069", "invisible"),
        ("a\u200bb", "invisible"),
        ("a\u200db", "invisible"),
        ("a\u00adb", "invisible"),
        ("\ufeffa", "invisible"),
        ("a\u2028b", "invisible"),
        ("a\u00a0b", "invisible"),
        ("a\u3164b", "invisible"),
        ("a\U000e0041b", "invisible"),
        ("a\ufe0fb", "invisible"),  # a selector with nothing to select from
        ("10 \u05d0 20", "direction"),
        ("\u0661\u0662", "direction"),
        ("a\ue000b", "unassigned"),
        ("a\U0010fffdb", "unassigned"),
        ("a\u0378b", "unassigned"),
        ("a\ud800b", "unassigned"),
        ("1\u03360\u03360", "marks"),
        ("a\u20dd", "marks"),
        ("x\u0302\u0302\u0302", "marks"),
        (" \u0301", "marks"),
        ("か\u3099", "not-normal"),
        ("\uf900", "not-normal"),
        ("a\n\n\n\nb", "blank"),
        ("a" + " " * 41 + "b", "blank"),
        ('{"aud": "x"}', "like-a-message"),
        ("\n [1]", "like-a-message"),
    ],
)
def test_texts_that_could_show_otherwise_are_refused(text: str, code: str) -> None:
    """Each with its code."""
    with pytest.raises(TextRefusedError) as refused:
        plain_text.check(text, title="題")
    assert refused.value.code == code


@pytest.mark.parametrize("title", ["", " ", "a" * 81, "a\nb"])
def test_titles_are_one_line(title: str) -> None:
    """Not empty, not long."""
    with pytest.raises(TextRefusedError, match=r"^title"):
        plain_text.check("a", title=title)


@pytest.mark.parametrize("title", ["a\u202eb", "a\tb", "\u05d0", "か\u3099"])
def test_titles_follow_the_same_rules(title: str) -> None:
    """They are shown, too."""
    with pytest.raises(TextRefusedError):
        plain_text.check("a", title=title)


@given(st.text(max_size=200))
def test_whatever_is_accepted_survives_utf_8_and_shows_every_line(text: str) -> None:
    """No other error is ever raised; what passes has no other line breaks than U+000A."""
    try:
        plain_text.check(text, title="題")
    except TextRefusedError:
        return
    assert text.encode().decode() == text
    assert text.splitlines() == text.removesuffix("\n").split("\n")


# --- orders


def told(**changes: Any) -> str:
    """The code with which an order is refused, "" if it is not."""
    order = {"title": "題", "text": "文", "format": "jws", "id_system": "phone", "return_to": ADDRESS, **changes}
    body = json.dumps({name: value for name, value in order.items() if value is not None})
    try:
        read_order(body.encode(), service="portal", addresses=(ADDRESS,))
    except OrderRefusedError as why:
        return why.code
    return ""


def test_an_order_says_everything_that_is_needed() -> None:
    """And nothing else."""
    assert told() == ""
    assert told(language="en") == ""
    for name in ("title", "text", "format", "id_system", "return_to"):
        assert told(**{name: None}) == "malformed"
        assert told(**{name: 5}) == "malformed"
    assert told(extra="x") == "malformed"
    assert told(format="pdf") == "format"
    assert told(language="fr") == "language"
    assert told(return_to="https://evil.example/") == "return_to"
    assert told(return_to=ADDRESS + "?x=1") == "return_to"
    assert told(text="a\u202eb") == "text-invisible"


def test_an_order_survives_the_store() -> None:
    """As JSON, whole."""
    assert order_from_json(json.loads(json.dumps(ORDER.to_json()))) == ORDER


# --- requests


def asked(**changes: Any) -> tuple[Asked, Asked]:
    """Both requests."""
    system: Any = _System()
    return transaction.new_requests(
        replace(ORDER, **changes),
        handle="h",
        service=SERVICE,
        system=system,
        public_url="https://gateway.example",
        key=KEY,
        now=AT,
    )


class _System:
    """As much of an ID system as is looked at."""

    id = "phone"


def claims(one: Asked) -> Mapping[str, Any]:
    """What the phone reads."""
    payload = one.jwt.split(".")[1]
    found: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


def test_the_phone_reads_the_whole_text_who_asks_and_in_which_form() -> None:
    """RFC 9101, as at a sign-in, with the text."""
    across, here = asked()
    read = claims(across)
    assert (read["text"], read["title"], read["task"]) == (WHOLE, "申請", "sign-text")
    assert (read["formats"], read["attributes"]) == (["cms"], [])
    assert read["client_metadata"] == {
        "client_name": "ポータル",
        "client_name#ja": "ポータル",
        "client_name#en": "Portal",
    }
    assert read["response_uri"] == "https://gateway.example/signing/answers"
    assert read["exp"] - read["iat"] == 300
    assert (across.device, here.device) == (Device.CROSS, Device.SAME)
    assert across.code == here.code
    assert len({across.nonce, here.nonce, across.reference, here.reference}) == 4
    assert texts.TEXT not in repr(across)


# --- answers

ASKED = asked()[0]
JWS_ASKED = asked(form="jws")[0]


def answered(asking: Asking[Any], said: Any = None) -> Any:
    """Drive a check with what the authority says of everything."""
    try:
        question = next(asking)
        while True:
            question = asking.send(good(question) if said is None else said)
    except StopIteration as done:
        return done.value


def good(question: StatusQuestion) -> Status:
    """A fresh response."""
    assert question.policy.hard
    der = ROOT.ocsp(question.certificate)
    return Status(standing=Standing.GOOD, source="ocsp", evidence=(StatusEvidence(kind="ocsp", der=der),))


def code(
    answer: bytes,
    one: Asked = ASKED,
    *,
    accepted: Accepted = ACCEPTED,
    form: str = "cms",
    said: Status | None = None,
    at: Any = AT,
) -> str:
    """The code with which an answer is refused, "" if it is not."""
    try:
        answered(transaction.verify(answer, one, accepted, form=form, at=at), said)
    except CertificateRefusedError as why:
        return why.code
    return ""


def cms(holder: Issued = PERSON, **changes: Any) -> bytes:
    """A phone's signed data."""
    return texts.sign_cms(holder, **{"nonce": ASKED.nonce, "text": WHOLE, **changes})


def jws(holder: Issued = PERSON, **header: Any) -> bytes:
    """A phone's JWS."""
    return texts.sign_jws(holder, WHOLE, header={"nonce": JWS_ASKED.nonce, **header})


def test_each_check_of_an_answer_has_its_code() -> None:
    """Answers that differ from a good one in exactly one thing."""
    assert code(cms()) == ""
    assert code(jws(), JWS_ASKED, form="jws") == ""
    assert code(cms(), at=ASKED.expires_at) == "request-expired"
    assert code(jws(), JWS_ASKED, form="cms") == "answer-malformed"
    assert code(b"rubbish") == "answer-malformed"
    assert code(b"\x30" * 70_000) == "answer-too-large"
    assert code(cms(nonce="another")) == "nonce"
    assert code(jws(nonce="another"), JWS_ASKED, form="jws") == "nonce"
    assert code(cms(text=WHOLE + " ")) == "request-altered"
    assert code(cms(text=texts.TEXT)) == "request-altered"
    assert code(cms(at=AT - timedelta(minutes=2))) == "answer-time"
    assert code(cms(at=AT + timedelta(minutes=2))) == "answer-time"
    assert code(cms(), accepted=replace(ACCEPTED, permitted=frozenset({"tax"}))) == "permitted-use"
    assert code(cms(), accepted=replace(ACCEPTED, permitted=frozenset({"civic"}))) == ""
    assert code(cms(Authority.root("Other").issue())) == "untrusted-issuer"
    assert code(cms(ROOT.issue(policies=()))) == "policy"
    assert code(cms(ROOT.issue(not_after=AT - timedelta(days=1)))) == "expired"
    assert code(cms(wrong=("signature",))) == "signature"
    assert code(cms(wrong=("certificate-id",))) == "signature"
    assert code(cms(digest="sha1")) == "answer-algorithm"


def reformed(change: Callable[[Any], object], **how: Any) -> bytes:
    """A phone's signed data with something changed in it that no signature covers."""
    whole = asn1.ContentInfo.load(cms(**how))
    change(whole["content"])
    return bytes(whole.dump(force=True))


def signer_s(name: str, value: Any) -> Callable[[Any], object]:
    """Changes a member of the signer's information."""
    return lambda data: operator.setitem(data["signer_infos"][0], name, value)


RSA = ROOT.issue(key="rsa")
SHA_512 = {"algorithm": "sha512"}
PROTECTION = {"digest_algorithm": {"algorithm": "sha256"}, "signature_algorithm": {"algorithm": "sha256_ecdsa"}}
OTHER_SCHEME = asn1.SignedDigestAlgorithm(
    {
        "algorithm": "rsassa_pss",
        "parameters": {
            "hash_algorithm": SHA_512,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": SHA_512},
            "salt_length": 64,
        },
    }
)


def protected(**changes: Any) -> dict[str, Any]:
    """The signed attribute of RFC 6211."""
    return {"type": "cms_algorithm_protection", "values": [asn1.CMSAlgorithmProtection({**PROTECTION, **changes})]}


FORMS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "as it was": ("", lambda: reformed(lambda _: None)),
    "its algorithms signed": ("", lambda: cms(extra=(protected(),))),
    "no digests": ("answer-malformed", lambda: reformed(lambda data: data.__setitem__("digest_algorithms", []))),
    "another digest": (
        "answer-malformed",
        lambda: reformed(lambda data: data.__setitem__("digest_algorithms", [SHA_512])),
    ),
    "two digests": (
        "answer-malformed",
        lambda: reformed(lambda data: data["digest_algorithms"].append(SHA_512)),
    ),
    "another version": ("answer-malformed", lambda: reformed(lambda data: data.__setitem__("version", "v3"))),
    "the signer's version": ("answer-malformed", lambda: reformed(signer_s("version", "v3"))),
    "another hash in the signature": (
        "answer-algorithm",
        lambda: reformed(signer_s("signature_algorithm", {"algorithm": "sha512_ecdsa"})),
    ),
    "another hash under PSS": (
        "answer-algorithm",
        lambda: reformed(signer_s("signature_algorithm", OTHER_SCHEME), holder=RSA, pss=True),
    ),
    "another digest protected": ("answer-malformed", lambda: cms(extra=(protected(digest_algorithm=SHA_512),))),
    "another scheme protected": (
        "answer-malformed",
        lambda: cms(extra=(protected(signature_algorithm={"algorithm": "sha512_ecdsa"}),)),
    ),
    "an attribute that is not signed": (
        "answer-malformed",
        lambda: reformed(signer_s("unsigned_attrs", [{"type": "1.2.3.4", "values": [core.OctetString(b"x")]}])),
    ),
    "attributes in another order": ("answer-malformed", lambda: unsorted(cms())),
    "an attribute certificate": ("answer-malformed", lambda: reformed(beside)),
}


def unsorted(der: bytes) -> bytes:
    """The signed attributes the other way round (X.690 §11.6)."""
    (signer,) = asn1.ContentInfo.load(der)["content"]["signer_infos"]
    attributes = [each.dump() for each in signer["signed_attrs"]]
    return der.replace(b"".join(attributes), b"".join(reversed(attributes)))


def beside(data: Any) -> None:
    """A certificate of another kind beside those of the path (RFC 5652 §10.2.2)."""
    data["certificates"].append(
        asn1.CertificateChoices("other", {"other_cert_format": "1.2.3.4", "other_cert": core.Null()})
    )


@pytest.mark.parametrize("name", FORMS)
def test_only_one_form_of_signed_data_is_taken(name: str) -> None:
    """What others read in another way, or not at all, never comes into a container."""
    expected, made = FORMS[name]
    assert code(made()) == expected


def test_a_jws_in_json_is_no_answer() -> None:
    """That form is the container's, which only the gateway makes (RFC 7515 §7.2)."""
    header, payload, signature = jws().decode().split(".")
    in_json = json.dumps({"protected": header, "payload": payload, "signature": signature}).encode()
    assert code(in_json, JWS_ASKED, form="jws") == "answer-malformed"
    made = json.dumps({"payload": payload, "protected": header, "header": {"etsiU": []}, "signature": signature})
    assert code(made.encode(), JWS_ASKED, form="jws") == "answer-malformed"


def test_nothing_is_soft_about_revocation() -> None:
    """Whatever the policy of sign-ins says: without evidence that lasts there is no container."""
    evidence = good(StatusQuestion(certificate=PERSON.certificate, issuer=ROOT.certificate, policy=RevocationPolicy()))
    assert code(cms(), said=replace(evidence, standing=Standing.REVOKED)) == "revoked"
    assert code(cms(), said=replace(evidence, standing=Standing.UNKNOWN)) == "status-unknown"
    assert code(cms(), said=replace(evidence, standing=None)) == "status-unavailable"
    assert code(cms(), said=replace(evidence, stale=True)) == "status-unavailable"
    assert code(cms(), said=replace(evidence, evidence=())) == "status-unavailable"


def test_what_was_finished_before_is_no_answer() -> None:
    """A container that somebody else made cannot be handed in as a fresh signature."""
    answer = cms()
    said = container.read(answer)
    done = container.FORMS["cms"].lasting(
        answer, token=TSA.token(timestamp.query(said.timestamped, nonce=1).der), certificates=(), evidence=()
    )
    assert code(done) == "answer-malformed"


@pytest.mark.parametrize("form", ["cms", "jws"])
def test_it_is_completed_into_a_container_that_lasts(form: str) -> None:
    """With the timestamp and the evidence; and it was checked before it is handed out."""
    answer, one = (cms(), ASKED) if form == "cms" else (jws(), JWS_ASKED)
    signed: Signed = answered(transaction.verify(answer, one, ACCEPTED, form=form, at=AT))
    query = timestamp.query(signed.said.timestamped, nonce=9)
    stamped = timestamp.check_response(TSA.answer(query.der), signed.said.timestamped, STAMPS, nonce=9, now=AT)
    made, report = answered(
        transaction.complete(signed, stamped, accepted=ACCEPTED, authority=STAMPS, text=WHOLE, at=AT)
    )
    assert report.text.decode() == WHOLE
    anchors = container.Anchors(persons=(ROOT.certificate,), timestamps=STAMPS)
    assert container.check(made, anchors, at=AT + timedelta(days=3650)).path.leaf == PERSON.certificate


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ([], "answer-malformed"),
        ([("state", "s")], "answer-malformed"),
        ([("cms", "AAAA"), ("response", "a.b.c")], "answer-malformed"),
        ([("cms", "AAAA"), ("cms", "AAAA")], "answer-malformed"),
        ([("cms", "!")], "answer-malformed"),
        ([("response", "é")], "answer-malformed"),
        ([("cms", "A" * 200_000)], "answer-too-large"),
    ],
)
def test_forms_that_are_refused(form: list[tuple[str, str]], code: str) -> None:
    """Exactly one way, once, of a size."""
    with pytest.raises(CertificateRefusedError) as refused:
        transaction.read_answer(form)
    assert refused.value.code == code


def test_a_phone_may_decline() -> None:
    """RFC 6749 §4.1.2.1."""
    assert transaction.read_answer([("state", "s"), ("error", "access_denied")]) is None


GOOD = cms()


@given(place=st.integers(0, len(GOOD) - 1), flip=st.integers(1, 255))
def test_a_changed_answer_is_refused_or_means_the_same(place: int, flip: int) -> None:
    """Whatever octet changes, no other text or person comes of it, and nothing else is raised."""
    changed = GOOD[:place] + bytes([GOOD[place] ^ flip]) + GOOD[place + 1 :]
    try:
        signed: Signed = answered(transaction.verify(changed, ASKED, ACCEPTED, form="cms", at=AT))
    except CertificateRefusedError:
        return
    assert (signed.said.text.decode(), signed.path.leaf) == (WHOLE, PERSON.certificate)
