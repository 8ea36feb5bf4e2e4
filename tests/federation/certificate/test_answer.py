"""What a phone answers: believed when everything holds, and refused with its code when one thing does not."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import answer
from federation.certificate.model import (
    CODES,
    CertificateRefusedError,
    Standing,
    StatusQuestion,
    Wanted,
)
from tests.federation.certificate.authorities import (
    ANY_POLICY,
    AT,
    OTHER_POLICY,
    UNKNOWN_EXTENSION,
    Authority,
    unknown_extension,
)
from tests.federation.certificate.phone import LEAVE_OUT, AttributeCertificate, Form, Phone, disclosure, url, x5c
from tests.federation.certificate.sign_in_sample import (
    ACCEPTED,
    ASKED,
    GOOD,
    ISSUING,
    JPKI,
    NAME,
    NUMBER,
    PERSON,
    ROOT,
    RSA_PERSON,
    SAME_DEVICE,
    SIGNER,
    SOFT,
    drive,
    only,
    proved,
    refused,
    requests,
)

PHONE = Phone(PERSON)
FORMS = pytest.mark.parametrize("form", ["jws", "cms"])
CARD = AttributeCertificate(SIGNER, PERSON, {"full_name": disclosure("full_name", "山田 花子")})


def answered(form: str = "jws", phone: Phone = PHONE, **changes: Any) -> Form:
    """A good answer but for the changes."""
    return phone.answer(ASKED.jwt, form=form, **changes)


# --- believed


@FORMS
@pytest.mark.parametrize("person", [PERSON, RSA_PERSON], ids=["on a curve", "RSA"])
def test_a_good_answer_proves_the_person_as_the_certificate_says(form, person) -> None:
    """Everything of `Proved`, in both forms and with both kinds of key."""
    found = proved(answered(form, Phone(person)))
    assert found.subject == f"subject.serialNumber:{NUMBER}"
    assert found.attributes == {
        "subject.commonName": ("山田 花子",),
        "subject.serialNumber": (NUMBER,),
        "subject.countryName": ("JP",),
        f"san.otherName.{JPKI}.1": ("山田　花子",),
        "jpki.name": ("山田　花子",),
        f"san.otherName.{JPKI}.4": ("319850315",),
        "jpki.dateOfBirth": ("319850315",),
    }
    assert found.evidence["jpki.name"] == "signing-certificate"
    assert found.evidence["subject.commonName"] == "accredited-certificate"
    assert found.policies == tuple(ACCEPTED.wanted.policies)
    assert found.methods == ("hwk", "pin")
    assert found.signed_at == AT
    assert found.path.leaf == person.certificate
    assert found.statuses == (GOOD, GOOD)
    assert found.cap is None


@pytest.mark.parametrize(
    ("key", "header"),
    [("p-256", "ES256"), ("p-384", "ES384"), ("rsa", "RS256"), ("rsa", "PS256")],
)
def test_each_algorithm_of_the_request_is_believed_with_its_key(key, header) -> None:
    """RFC 7518 §3.1."""
    person = ISSUING.issue(NAME, key=key)
    assert proved(answered(phone=Phone(person), header={"alg": header}))


@pytest.mark.parametrize(
    ("key", "how"),
    [
        ("p-256", {"digest": "sha256"}),
        ("p-384", {"digest": "sha384"}),
        ("p-521", {"digest": "sha512"}),
        ("rsa", {"digest": "sha512"}),
        ("rsa", {"digest": "sha256", "pss": True}),
        ("p-256", {"by_key_identifier": True}),
        ("p-256", {"leave_out": {"signing_certificate_v2", "signing_time"}}),
    ],
)
def test_each_way_of_card_middleware_to_sign_is_believed(key, how) -> None:
    """RFC 5754, RFC 4056, RFC 5753; signingCertificateV2 is wanted, not demanded."""
    person = ISSUING.issue(NAME, key=key)
    assert proved(answered("cms", Phone(person), **how))


def test_the_anchor_may_be_the_issuing_authority_and_need_not_come_along() -> None:
    """Lists name issuing authorities."""
    anchored = replace(ACCEPTED, anchors=(ISSUING.certificate,))
    assert len(proved(answered(certificates=(PERSON.der,)), accepted=anchored).statuses) == 1


def test_the_request_for_the_same_device_is_answered_alike() -> None:
    """The link's request differs in its secrets only."""
    assert proved(PHONE.answer(SAME_DEVICE.jwt), asked=SAME_DEVICE)


def test_the_certificate_may_be_named_by_its_thumbprint_and_the_key_by_anything() -> None:
    """`kid` decides nothing."""
    assert proved(answered(header={"kid": "mine"}))


def test_members_of_the_answer_that_are_not_known_are_passed_over() -> None:
    """RFC 7519 §4, RFC 6749 §3.1."""
    assert proved([*answered(members={"app_version": "1.2"}), ("locale", "ja")])


def test_a_face_counts_as_verified_with_evidence_from_after_the_request() -> None:
    """The word alone, or evidence of another time, is not passed on."""
    amr = ("hwk", "face")
    assert proved(answered(amr=amr, face=AT)).methods == ("hwk", "face")
    assert proved(answered(amr=amr)).methods == ("hwk",)
    assert proved(answered(amr=amr, face=AT - timedelta(hours=1))).methods == ("hwk",)
    assert proved(answered(amr=amr, face=AT + timedelta(hours=1))).methods == ("hwk",)


@FORMS
def test_disclosed_attributes_stand_beside_those_of_the_certificate(form) -> None:
    """Under names of their own."""
    found = proved(answered(form, attributes=CARD, disclose={"full_name"}))
    assert found.attributes["attribute.full_name"] == ("山田 花子",)
    assert found.evidence["attribute.full_name"] == "accredited-certificate"
    assert found.attributes["subject.serialNumber"] == (NUMBER,)


def test_nothing_of_a_certificate_as_it_stands_is_an_attribute() -> None:
    """Nor is anything of the person in what is printed."""
    found = proved(answered())
    serial = PERSON.certificate.serial_number
    for values in found.attributes.values():
        assert not {str(serial), f"{serial:x}"} & set(values)
    assert NUMBER not in repr(found)
    assert "山田" not in repr(found)


# --- refused


def over(days: int = 1) -> Any:
    """A moment of some days ago."""
    return AT - timedelta(days=days)


def with_certificate(**changes: Any) -> Callable[[], Form]:
    """A good answer but for the certificate."""
    return lambda: answered(phone=Phone(ISSUING.issue(NAME, **changes)))


def below(**changes: Any) -> Callable[[], Form]:
    """A good answer but for the authority that issued the certificate."""
    return lambda: answered(phone=Phone(ROOT.subordinate("Other", **changes).issue(NAME)))


def below_a_person() -> Form:
    """A certificate that another person issued."""
    forged = Authority(PERSON, ISSUING).issue(NAME)
    return answered(phone=Phone(forged))


OTHER_REQUEST, _ = requests()

REFUSED: tuple[tuple[str, str, Callable[[], Form]], ...] = (
    ("another request's state", "request-unknown", lambda: [("state", "x" * 43), answered()[1]]),
    ("another nonce", "nonce", lambda: answered(members={"nonce": OTHER_REQUEST.nonce})),
    ("the nonce of the other device", "nonce", lambda: answered(members={"nonce": SAME_DEVICE.nonce})),
    ("meant for somebody else", "audience", lambda: answered(members={"aud": "https://evil.example/answers"})),
    ("an altered request", "request-altered", lambda: answered(members={"request_sha256": "A" * 43})),
    ("from before the request", "answer-time", lambda: answered(members={"iat": int(AT.timestamp()) - 61})),
    ("from the future", "answer-time", lambda: answered(members={"iat": int(AT.timestamp()) + 61})),
    ("expired", "expired", with_certificate(not_after=over())),
    ("not yet valid", "not-yet-valid", with_certificate(not_before=AT + timedelta(days=1))),
    ("another policy", "policy", with_certificate(policies=(OTHER_POLICY,))),
    ("no policy", "policy", with_certificate(policies=())),
    ("a key for encryption", "key-usage", with_certificate(key_usage=("key_encipherment",))),
    (
        "an unknown critical extension",
        "unknown-critical-extension",
        with_certificate(extensions=((unknown_extension(UNKNOWN_EXTENSION), True),)),
    ),
    ("a weak key", "weak-key", lambda: answered(phone=Phone(ISSUING.issue(NAME, key="rsa-1024")))),
    ("a weak signature of the issuer", "weak-algorithm", with_certificate(digest="sha1")),
    ("another authority", "untrusted-issuer", lambda: answered(phone=Phone(Authority.root("Evil").issue(NAME)))),
    (
        "another authority of the same name",
        "untrusted-issuer",
        lambda: answered(phone=Phone(Authority.root("Root").subordinate("Issuing").issue(NAME)), certificates=None),
    ),
    ("without its authority", "untrusted-issuer", lambda: answered(certificates=(PERSON.der,))),
    ("an authority that is none", "not-a-ca", below(ca=False)),
    ("issued by a person", "not-a-ca", below_a_person),
    ("the key of another certificate", "signature", lambda: answered(key=ISSUING.issue(NAME).key)),
    ("none", "answer-algorithm", lambda: answered_with("none")),
    ("a symmetric key", "answer-algorithm", lambda: answered_with("HS256")),
    ("an algorithm of another key", "answer-algorithm", lambda: answered_with("RS256")),
    ("an algorithm of another curve", "answer-algorithm", lambda: answered_with("ES384")),
    ("no serial number in the name", "subject-missing", lambda: answered(phone=Phone(ISSUING.issue("CN=x,C=JP")))),
    (
        "two serial numbers in the name",
        "subject-missing",
        lambda: answered(phone=Phone(ISSUING.issue("CN=x,2.5.4.5=1,2.5.4.5=2"))),
    ),
)


def answered_with(algorithm: str) -> Form:
    """A good answer whose header says another algorithm."""
    state, (_, token) = answered()
    header, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return [state, ("response", f"{url(json.dumps({**said, 'alg': algorithm}).encode())}.{payload}.{signature}")]


@pytest.mark.parametrize(("code", "made"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_what_differs_from_a_good_answer_is_refused_with_its_code(code, made) -> None:
    """Each differs in exactly what its name says."""
    assert refused(made()).code == code


@FORMS
def test_a_signature_by_another_key_is_refused(form) -> None:
    """And it is nobody's answer."""
    other = ISSUING.issue(NAME)
    why = refused(answered(form, key=other.key))
    assert (why.code, why.signed) == ("signature", False)


@FORMS
@pytest.mark.parametrize(
    "members",
    [
        {"aud": LEAVE_OUT},
        {"nonce": 5},
        {"iat": "now"},
        {"iat": True},
        {"request_sha256": None},
        {"amr": "pin"},
        {"amr": []},
        {"amr": ["pin", "pin"]},
        {"amr": ["<script>"]},
        {"amr": [str(number) for number in range(9)]},
        {"face": {"at": "now", "method": "x"}},
        {"face": "yes"},
        {"sd_hash": 1},
    ],
)
def test_an_answer_object_of_another_form_is_refused(form, members) -> None:
    """Each member has its type and its bounds."""
    assert refused(answered(form, members=members)).code == "answer-malformed"


def test_an_answer_to_another_request_counts_for_that_one_only() -> None:
    """Replayed under its own state or another's."""
    foreign = PHONE.answer(OTHER_REQUEST.jwt)
    assert refused(foreign).code == "request-unknown"
    assert refused([("state", ASKED.reference), foreign[1]]).code == "nonce"
    assert proved(foreign, asked=OTHER_REQUEST)


def test_what_a_phone_signed_over_an_altered_request_is_refused() -> None:
    """Somebody between gateway and phone changed what it shows."""
    header, claims, signature = ASKED.jwt.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    altered = f"{header}.{url(json.dumps({**said, 'purpose': {'ja': 'くじ引き'}}).encode())}.{signature}"
    assert refused(PHONE.answer(altered)).code == "request-altered"


def test_a_request_that_is_over_is_not_answered() -> None:
    """To the second."""
    late = AT + timedelta(minutes=5)
    assert refused(Phone(PERSON, late).answer(ASKED.jwt), at=late).code == "request-expired"
    assert proved(answered(), at=late - timedelta(seconds=1))


def test_a_text_to_be_signed_is_not_answered_by_a_sign_in() -> None:
    """The two kinds of request are never taken for each other."""
    assert refused(answered(), asked=replace(ASKED, text="申請します。")).code == "request-unknown"


def test_an_authority_without_a_listed_certificate_is_withdrawn() -> None:
    """Nothing is believed then, and nobody is told of as its holder."""
    why = refused(answered(), accepted=replace(ACCEPTED, anchors=()))
    assert (why.code, why.signed) == ("authority-withdrawn", False)


def test_a_list_that_limits_an_authority_to_some_uses_is_kept_to() -> None:
    """A service without a use is for none that is limited."""
    assert proved(answered(), accepted=replace(ACCEPTED, permitted=frozenset({"civic"})))
    limited = replace(ACCEPTED, permitted=frozenset({"banking"}))
    assert refused(answered(), accepted=limited).code == "permitted-use"
    assert refused(answered(), asked=replace(ASKED, use=None), accepted=limited).code == "permitted-use"


def test_a_purpose_of_the_key_that_is_wanted_must_be_stated() -> None:
    """RFC 5280 §4.2.1.12."""
    wanted = replace(ACCEPTED, wanted=Wanted(extended_key_usages=frozenset({"1.3.6.1.5.5.7.3.2"})))
    person = ISSUING.issue(NAME, extended_key_usages=("1.3.6.1.5.5.7.3.4",))
    assert refused(answered(phone=Phone(person)), accepted=wanted).code == "extended-key-usage"


# --- revocation


def test_every_certificate_below_the_anchor_is_asked_for_leaf_first() -> None:
    """With its issuer."""
    asked: list[tuple[Any, Any]] = []

    def knows(question: StatusQuestion) -> Any:
        asked.append((question.certificate, question.issuer))
        return GOOD

    proved(answered(), knows=knows)
    assert asked == [(PERSON.certificate, ISSUING.certificate), (ISSUING.certificate, ROOT.certificate)]


@pytest.mark.parametrize("accepted", [ACCEPTED, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("issued", [PERSON, ISSUING.issued], ids=["the person's", "the authority's"])
@pytest.mark.parametrize(
    ("standing", "code"), [(Standing.REVOKED, "revoked"), (Standing.UNKNOWN, "status-unknown")], ids=str
)
def test_a_revoked_or_unknown_certificate_is_refused_by_every_policy(accepted, issued, standing, code) -> None:
    """Soft is for what could not be learned only."""
    why = refused(answered(), accepted=accepted, knows=only(issued, standing=standing))
    assert (why.code, why.signed) == (code, True)


def test_a_hard_policy_refuses_what_could_not_be_learned_or_is_over() -> None:
    """Nothing old counts."""
    assert refused(answered(), knows=only(PERSON, why="no answer")).code == "status-unavailable"
    stale = only(PERSON, standing=Standing.GOOD, stale=True, next_update=AT - timedelta(minutes=1))
    assert refused(answered(), knows=stale).code == "status-unavailable"


def test_a_soft_policy_caps_what_could_not_be_learned() -> None:
    """For every certificate of the path."""
    assert proved(answered(), accepted=SOFT).cap is None
    for issued in (PERSON, ISSUING.issued):
        found = proved(answered(), accepted=SOFT, knows=only(issued))
        assert found.cap == 1
        assert len(found.statuses) == 2


def test_a_soft_policy_lets_an_answer_pass_that_is_over_by_little() -> None:
    """Within `stale` without a cap, noted; beyond it as if nothing was learned."""

    def stale(**since: int) -> Any:
        return only(PERSON, standing=Standing.GOOD, stale=True, next_update=AT - timedelta(**since))

    within = proved(answered(), accepted=SOFT, knows=stale(hours=1))
    assert within.cap is None
    assert within.statuses[0].stale
    assert proved(answered(), accepted=SOFT, knows=stale(hours=3)).cap == 1
    assert proved(
        answered(), accepted=SOFT, knows=only(PERSON, standing=Standing.GOOD, stale=True, next_update=None)
    ).cap


# --- whose answer is refused


@pytest.mark.parametrize(
    "changes", [{"not_after": over()}, {"policies": (OTHER_POLICY,)}, {"key_usage": ("key_agreement",)}]
)
def test_a_refusal_of_a_certificate_that_the_authority_issued_is_its_holders(changes) -> None:
    """So it may end the sign-in."""
    assert refused(with_certificate(**changes)()).signed


@FORMS
def test_nobody_without_the_key_is_told_of_as_the_holder(form) -> None:
    """Certificates are public."""
    expired = ISSUING.issue(NAME, not_after=over())
    why = refused(answered(form, Phone(expired), key=PERSON.key))
    assert (why.code, why.signed) == ("expired", False)


@pytest.mark.parametrize("name", ["another authority", "issued by a person", "a weak signature of the issuer"])
def test_a_certificate_that_anybody_can_make_is_nobodys(name) -> None:
    """A stranger who photographed the QR code ends nothing with it."""
    made = next(made for each, _, made in REFUSED if each == name)
    assert not refused(made()).signed


@pytest.mark.parametrize("name", ["another nonce", "an altered request", "from the future"])
def test_an_answer_to_another_request_is_nobodys(name) -> None:
    """It was not made for this sign-in."""
    made = next(made for each, _, made in REFUSED if each == name)
    assert not refused(made()).signed


# --- the order


def test_the_checks_come_in_the_order_that_is_promised() -> None:
    """And each says what holds after it."""
    codes = [each.code for each in answer.CHECKS if each.code]
    assert codes == ["request-unknown", "request-expired", "nonce", "audience", "request-altered", "answer-time"]
    assert all(each.holds for each in answer.CHECKS)


def test_nothing_is_asked_of_anybody_for_an_answer_to_another_request() -> None:
    """Strangers cannot make the gateway ask responders."""

    def nobody(_: StatusQuestion) -> Any:
        raise AssertionError("asked")

    assert refused(answered(members={"nonce": "x"}), knows=nobody).code == "nonce"
    assert refused(answered(phone=Phone(Authority.root("Evil").issue(NAME))), knows=nobody).code == "untrusted-issuer"
    assert refused(answered_with("RS256"), knows=nobody).code == "answer-algorithm"


def test_the_signature_is_looked_at_after_revocation_and_before_the_person() -> None:
    """Path and status are public facts; the rest is the person's."""
    other = ISSUING.issue("CN=x,C=JP")
    revoked = only(PERSON, standing=Standing.REVOKED)
    assert refused(answered(key=other.key), knows=revoked).code == "revoked"
    assert refused(answered(phone=Phone(other), key=PERSON.key)).code == "signature"


def test_every_code_of_a_sign_in_has_an_answer_that_is_refused_with_it() -> None:
    """In the table above, or in a test of its own."""
    elsewhere = {"request-expired", "answer-malformed", "answer-too-large", "certificate-malformed", "path-signature"}
    elsewhere |= {"path-length", "name-constraints", "extended-key-usage", "permitted-use", "authority-withdrawn"}
    elsewhere |= {"revoked", "status-unknown", "status-unavailable", "attributes-unverified"}
    not_here = {"replaced"}
    assert {code for _, code, _ in REFUSED} | elsewhere | not_here == set(CODES)


def test_faults_of_the_path_keep_their_codes() -> None:
    """RFC 5280 §6.1, as `paths.py` finds them."""
    forged = ISSUING.issue(NAME, signed_by=ROOT.key)
    assert refused(answered(phone=Phone(forged))).code == "path-signature"
    deep = ISSUING.subordinate("Deep").issue(NAME)
    assert refused(answered(phone=Phone(deep))).code == "path-length"
    garbage = x5c([b"\x30\x03\x02\x01\x01", ISSUING.der])
    assert refused(answered(header={"x5c": garbage})).code == "certificate-malformed"


# --- a certificate alone


def test_a_certificate_alone_proves_the_same_but_how_it_was_signed() -> None:
    """For a handshake, which is the signature there."""
    alone = drive(answer.certified(PERSON.der, PERSON.others, ACCEPTED, "civic", AT))
    whole = proved(answered())
    for name in ("subject", "attributes", "evidence", "policies", "path", "statuses", "cap"):
        assert getattr(alone, name) == getattr(whole, name)


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        (replace(ACCEPTED, anchors=()), "authority-withdrawn"),
        (replace(ACCEPTED, permitted=frozenset({"banking"})), "permitted-use"),
        (replace(ACCEPTED, wanted=Wanted(policies=frozenset({OTHER_POLICY}))), "policy"),
        (replace(ACCEPTED, subject="jpki.address"), "subject-missing"),
    ],
)
def test_a_certificate_alone_is_held_against_the_same(accepted, code) -> None:
    """Lists, uses, policies, the person's field."""
    with pytest.raises(CertificateRefusedError) as why:
        drive(answer.certified(PERSON.der, PERSON.others, accepted, "civic", AT))
    assert why.value.code == code


# --- hostile


@pytest.mark.parametrize(
    "form",
    [
        [],
        [("state", ASKED.reference)],
        [("response", "x")],
        [("state", ""), ("response", "x")],
        [("state", "x"), ("response", "x"), ("cms", "x")],
        [("state", "x"), ("response", "x"), ("response", "x")],
        [("state", "x"), ("state", "x"), ("response", "x")],
        [("state", "x"), ("response", "x"), ("error", "access_denied")],
        [("state", "x"), ("response", "x"), ("other", "1"), ("other", "2")],
    ],
)
def test_a_form_that_is_no_answer_is_refused(form) -> None:
    """Exactly one answer, nothing twice."""
    with pytest.raises(CertificateRefusedError) as why:
        answer.read(form)
    assert why.value.code == "answer-malformed"


@pytest.mark.parametrize("name", ["response", "cms", "attributes"])
def test_what_is_larger_than_any_real_answer_is_not_read(name) -> None:
    """Before anything is parsed."""
    form = [("state", "x"), (name, "A" * 100_000)] + ([("response", "x")] if name == "attributes" else [])
    with pytest.raises(CertificateRefusedError) as why:
        answer.read(form)
    assert why.value.code == "answer-too-large"


def _named(header: Any) -> str:
    return " ".join(f"{name} left out" if each is LEAVE_OUT else f"{name} {each}"[:24] for name, each in header.items())


@pytest.mark.parametrize(
    "header",
    [
        {"cty": "json"},
        {"iat": 1},
        {"x5t": "AAAA"},
        {"https://example.org/app": "1.2"},
        {"typ": "application/Certificate-Answer+JWT"},
    ],
    ids=str,
)
def test_what_is_not_understood_in_a_header_does_no_harm(header) -> None:
    """RFC 7515 §4: it is ignored, unless `crit` names it."""
    assert proved(answered(header=header))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {}},
        {"jku": "https://evil.example"},
        {"x5u": "https://evil.example"},
        {"crit": ["exp"], "exp": 1},
        {"b64": False},
        {"nonce": "x"},
        {"typ": "JWT"},
        {"typ": "kb+jwt"},
        {"typ": LEAVE_OUT},
        {"typ": 1},
        {"alg": LEAVE_OUT},
        {"alg": ["ES256"]},
        {"kid": 1},
        {"x5c": LEAVE_OUT},
        {"x5c": []},
        {"x5c": "MIIB"},
        {"x5c": [1]},
        {"x5c": [url(b"\xff\xfe")]},
        {"x5c": ["MII B"]},
        {"x5c": ["MIIB"] * 7},
        {"x5t#S256": "A" * 43},
    ],
    ids=_named,
)
def test_a_header_that_could_mislead_is_refused(header) -> None:
    """Another key, another meaning, another type of token."""
    changes = {"alg": "ES256"} | header if "alg" not in header else header
    try:
        form = answered(header=changes)
    except (KeyError, TypeError, AttributeError):  # the phone itself cannot sign by such an algorithm
        good = {"typ": "certificate-answer+jwt", "x5c": x5c(PERSON.x5c)}
        unsigned = {**good, **{name: each for name, each in header.items() if each is not LEAVE_OUT}}
        form = [("state", ASKED.reference), ("response", f"{url(json.dumps(unsigned).encode())}.{url(b'{}')}.AAAA")]
    assert refused(form).code == "answer-malformed"


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b'{"aud":1,"aud":2}', b"[" * 5000, b'{"a":' * 2000])
def test_content_that_is_no_answer_object_is_refused(content) -> None:
    """Though well signed."""
    form = [("state", ASKED.reference), ("response", PHONE.jws(content))]
    assert refused(form).code == "answer-malformed"


@pytest.mark.parametrize("response", ["", ".", "..", "a.b.c", "....", "é.é.é", "ey" * 3000])
def test_garbage_is_refused(response) -> None:
    """As JWS and as signed data."""
    assert refused([("state", ASKED.reference), ("response", response)]).code == "answer-malformed"
    assert refused([("state", ASKED.reference), ("cms", response)]).code == "answer-malformed"


def test_a_signature_has_one_spelling() -> None:
    """RFC 4648 §3.5: the unused bits of the last letter are zero."""
    state, (name, token) = answered()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = letters[letters.index(token[-1]) ^ 1]  # the last bits of the last letter are not part of an octet
    assert refused([state, (name, token[:-1] + same)]).code == "answer-malformed"
    assert refused([state, (name, f"{token}=")]).code == "answer-malformed"


GOOD_ANSWERS = {form: answered(form, attributes=CARD, disclose={"full_name"}) for form in ("jws", "cms")}


@FORMS
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), field=st.integers(0, 1))
def test_an_answer_with_one_bit_changed_is_never_believed(form, place, bit, field) -> None:
    """Anywhere: certificates, signatures, what is signed, what is disclosed."""
    state, attributes, (name, text) = GOOD_ANSWERS[form]
    if field == 0:
        shown = bytearray(attributes[1].encode())
        shown[int(place * len(shown))] ^= 1 << bit
        changed = [state, ("attributes", shown.decode("latin-1")), (name, text)]
    elif form == "cms":
        octets = bytearray(base64.b64decode(text))
        octets[int(place * len(octets))] ^= 1 << bit
        changed = [state, attributes, (name, base64.b64encode(octets).decode())]
    else:
        token = bytearray(text.encode())
        token[int(place * len(token))] ^= 1 << bit
        changed = [state, attributes, (name, token.decode("latin-1"))]
    with pytest.raises(CertificateRefusedError):
        proved(changed)


@given(st.binary(max_size=300))
def test_whatever_octets_come_only_a_refusal_is_raised(octets) -> None:
    """No other exception."""
    for name, text in (("cms", base64.b64encode(octets).decode()), ("response", octets.decode("latin-1"))):
        with pytest.raises(CertificateRefusedError):
            proved([("state", ASKED.reference), (name, text)])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_whatever_is_signed_only_a_refusal_is_raised(content) -> None:
    """The holder of a certificate may be hostile, too."""
    with pytest.raises(CertificateRefusedError):
        proved([("state", ASKED.reference), ("response", PHONE.jws(json.dumps(content).encode()))])


def test_a_refusal_tells_nothing_of_the_person() -> None:
    """It goes to the log."""
    for _, _, made in REFUSED:
        text = str(refused(made()))
        assert NUMBER not in text
        assert "山田" not in text


def test_nobody_signs_their_own_attributes_whom_any_policy_is_certified() -> None:
    """The signer's own certificate must state a policy of signers; anyPolicy (RFC 5280 §4.2.1.4) is not that."""
    anybody = ISSUING.issue(NAME, policies=(ANY_POLICY,), key_usage=("digital_signature",))
    card = AttributeCertificate(anybody, PERSON, {"full_name": disclosure("full_name", "somebody else")})
    why = refused(PHONE.answer(ASKED.jwt, attributes=card, disclose={"full_name"}))
    assert (why.code, why.detail) == ("attributes-unverified", "its signer: policy")
