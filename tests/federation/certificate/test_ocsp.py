"""What an OCSP response says of a certificate, and every response that is not believed."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp as library
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import ocsp
from federation.certificate.model import RevocationPolicy, Standing, StatusQuestion
from federation.certificate.ocsp import OcspAnswer, read, request
from federation.certificate.sources import CODES, Moment, StatusRefusedError
from tests.federation.certificate.authorities import (
    AT,
    UNKNOWN_EXTENSION,
    Authority,
    Issued,
    Region,
    sign,
    signature_algorithm,
)

NONCE = b"n" * 32
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = Moment(at=AT)


@cache
def region() -> Region:
    """The authorities that most tests share; nothing is revoked there."""
    return Region()


def question(issued: Issued | None = None, issuer: Authority | None = None) -> StatusQuestion:
    """Whether the certificate of 山田 花子 was revoked."""
    return StatusQuestion(
        certificate=(issued or region().issued).certificate,
        issuer=(issuer or region().issuing).certificate,
        policy=RevocationPolicy(),
    )


def asked(**options: Any) -> bytes:
    """The request about it."""
    about = question()
    return request(about.certificate, about.issuer, **{"nonce": NONCE, **options})


def said(der: bytes, moment: Moment = NOW, **options: Any) -> OcspAnswer:
    """What a response says of it."""
    return read(der, question(), moment, **options)


def refused(der: bytes, moment: Moment = NOW, about: StatusQuestion | None = None, **options: Any) -> str:
    """The code with which a response is refused."""
    with pytest.raises(StatusRefusedError) as caught:
        read(der, about or question(), moment, **options)
    assert caught.value.code in CODES
    return caught.value.code


def test_a_request_names_the_certificate_and_a_nonce():
    """SHA-1 identifies the issuer, as every responder knows it; another hash may be chosen; no nonce may be wanted."""
    made = library.load_der_ocsp_request(asked())
    assert made.serial_number == region().issued.certificate.serial_number
    assert isinstance(made.hash_algorithm, hashes.SHA1)
    assert [each.value.nonce for each in made.extensions] == [NONCE]
    other = library.load_der_ocsp_request(asked(nonce=None, digest=hashes.SHA256()))
    assert isinstance(other.hash_algorithm, hashes.SHA256)
    assert list(other.extensions) == []


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_the_issuers_own_word_counts(by_name, digest):
    """A good certificate is good, whichever hash its responder identifies the issuer by."""
    issuing, certificate = region().issuing, region().issued.certificate
    answer = said(issuing.ocsp(certificate, by_name=by_name, cert_id_digest=digest), nonce=NONCE)
    assert answer.responder is None
    assert answer.status.standing is Standing.GOOD
    assert (answer.status.this_update, answer.status.next_update) == (AT, AT + HOUR)
    assert [each.kind for each in answer.status.evidence] == ["ocsp"]


def test_the_nonce_comes_back():
    """A response to our request is believed."""
    assert said(region().issuing.ocsp(asked()), nonce=NONCE).status.standing is Standing.GOOD


def test_a_revocation_is_told_with_its_time_and_reason():
    """They are those that the issuer states."""
    there = Region()
    there.issuing.revoke(there.issued.certificate, AT - DAY, x509.ReasonFlags.key_compromise)
    answer = read(there.issuing.ocsp(there.issued.certificate), question(there.issued, there.issuing), NOW)
    assert answer.status.standing is Standing.REVOKED
    assert (answer.status.revoked_at, answer.status.reason) == (AT - DAY, "keyCompromise")


def test_an_unknown_certificate_is_unknown():
    """Neither good nor revoked."""
    der = region().issuing.ocsp(region().issued.certificate, standing="unknown")
    assert said(der).status.standing is Standing.UNKNOWN


def test_a_delegated_responder_may_speak():
    """Its certificate is issued directly by the issuer for that alone, and comes along."""
    issuing, certificate = region().issuing, region().issued.certificate
    for by_name in (True, False):
        answer = said(issuing.ocsp(certificate, signer=issuing.responder(), by_name=by_name))
        assert answer.status.standing is Standing.GOOD
        assert answer.responder is None


def test_a_responder_that_may_itself_be_revoked_is_handed_back():
    """Without id-pkix-ocsp-nocheck a list must tell of the responder's own certificate."""
    issuing = region().issuing
    responder = issuing.responder(no_check=False)
    answer = said(issuing.ocsp(region().issued.certificate, signer=responder))
    assert answer.responder == responder.certificate


def test_of_several_answers_ours_counts():
    """A response may be about other certificates, too."""
    there = Region()
    others = [there.issuing.issue(f"{number}").certificate for number in range(3)]
    there.issuing.revoke(there.issued.certificate)
    der = there.issuing.ocsp([*others, there.issued.certificate])
    assert read(der, question(there.issued, there.issuing), NOW).status.standing is Standing.REVOKED
    of_other = StatusQuestion(certificate=others[0], issuer=there.issuing.certificate, policy=RevocationPolicy())
    assert read(der, of_other, NOW).status.standing is Standing.GOOD


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        (("good", "revoked"), Standing.REVOKED),
        (("revoked", "good"), Standing.REVOKED),
        (("unknown", "revoked"), Standing.REVOKED),
        (("revoked", "unknown"), Standing.REVOKED),
        (("good", "unknown"), Standing.UNKNOWN),
        (("unknown", "good"), Standing.UNKNOWN),
        (("unknown", "revoked", "good"), Standing.REVOKED),
    ],
)
def test_of_answers_of_one_moment_the_gravest_counts(standings, expected):
    """In whichever order a response that contradicts itself has them."""
    certificate = region().issued.certificate
    der = region().issuing.ocsp([certificate] * len(standings), standing=standings)
    assert said(der).status.standing is expected


@pytest.mark.parametrize("kind", ["rsa", "p-384", "p-521"])
def test_every_believed_kind_of_key_signs(kind):
    """RSA and the other curves are read, too."""
    issuing = region().root.subordinate(f"Issuing {kind}", key=kind)
    issued = issuing.issue()
    der = issuing.ocsp(issued.certificate, digest="sha384")
    assert read(der, question(issued, issuing), NOW).status.standing is Standing.GOOD


def _pss(digest: str) -> tuple[bytes, StatusQuestion]:
    issuing = region().root.subordinate("Issuing with PSS", key="rsa")
    issued = issuing.issue()
    whole = asn1.OCSPResponse.load(issuing.ocsp(issued.certificate))
    basic = whole["response_bytes"]["response"].parsed
    basic["signature_algorithm"] = signature_algorithm(issuing.key, digest, pss=True)
    signed = sign(basic["tbs_response_data"].dump(), issuing.key, digest, pss=True)
    basic["signature"] = core.OctetBitString(signed)
    whole["response_bytes"] = {"response_type": "basic_ocsp_response", "response": basic}
    return whole.dump(force=True), question(issued, issuing)


def test_pss_is_read():
    """RSASSA-PSS with one hash throughout; not with SHA-1."""
    der, about = _pss("sha256")
    assert read(der, about, NOW).status.standing is Standing.GOOD
    der, about = _pss("sha1")
    assert refused(der, about=about) == "ocsp-weak"


# --- refused


def _extended(der: bytes, where: str) -> bytes:
    """The response with a critical extension that nobody knows, signed anew."""
    whole = asn1.OCSPResponse.load(der)
    basic = whole["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"]
    extension = {"extn_id": UNKNOWN_EXTENSION, "critical": True, "extn_value": core.ParsableOctetString(b"\x05\x00")}
    if where == "response":
        data["response_extensions"] = [extension]
    else:
        data["responses"][0]["single_extensions"] = [extension]
    signed = data.dump(force=True)
    basic["tbs_response_data"] = asn1.ResponseData.load(signed)
    basic["signature"] = core.OctetBitString(sign(signed, region().issuing.key))
    whole["response_bytes"] = {"response_type": "basic_ocsp_response", "response": basic}
    return whole.dump(force=True)


def _ours(**options: Any) -> bytes:
    return region().issuing.ocsp(region().issued.certificate, **options)


def _by(responder: Callable[[Authority], Issued], **options: Any) -> bytes:
    return _ours(signer=responder(region().issuing), **options)


def _tampered(der: bytes) -> bytes:
    return der.replace(b"\x80\x00", b"\x82\x00", 1)  # good becomes unknown


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing": ("ocsp-malformed", lambda: b""),
    "a page": ("ocsp-malformed", lambda: b"<!doctype html><title>404</title>"),
    "a certificate": ("ocsp-malformed", lambda: region().issued.der),
    "half of it": ("ocsp-malformed", lambda: _ours()[:-40]),
    "more than all of it": ("ocsp-malformed", lambda: _ours() + b"\x00"),
    "very much": ("ocsp-malformed", lambda: _ours() + bytes(ocsp.MAX_RESPONSE)),
    "try later": ("ocsp-unsuccessful", lambda: _ours(status="try_later")),
    "unauthorized": ("ocsp-unsuccessful", lambda: _ours(status="unauthorized")),
    "another certificate": (
        "ocsp-other-certificate",
        lambda: region().issuing.ocsp(region().issuing.issue().certificate),
    ),
    "the same number of another issuer": (
        "ocsp-other-certificate",
        lambda: region().root.ocsp(region().issued.certificate),
    ),
    "many certificates": (
        "ocsp-malformed",
        lambda: region().issuing.ocsp([region().root.certificate] * 100),
    ),
    "somebody else's key": ("ocsp-signature", lambda: _ours(signed_by=region().issued.key)),
    "altered": ("ocsp-signature", lambda: _tampered(_ours())),
    "SHA-1": ("ocsp-weak", lambda: _ours(digest="sha1")),
    "a responder that is not there": ("ocsp-signer", lambda: _by(lambda one: one.responder(), certificates=[])),
    "a responder of the root": ("ocsp-signer", lambda: _by(lambda _: region().root.responder())),
    "a responder of a namesake": (
        "ocsp-signer",
        lambda: _by(lambda _: region().root.subordinate("Issuing").responder()),
    ),
    "a person": ("ocsp-signer", lambda: _by(lambda _: region().issued)),
    "a responder for everything": (
        "ocsp-signer",
        lambda: _by(lambda one: one.responder(extended_key_usages=("2.5.29.37.0",))),
    ),
    "a responder that encrypts": ("ocsp-signer", lambda: _by(lambda one: one.responder(key_usage=("key_agreement",)))),
    "a responder whose time is over": ("ocsp-signer", lambda: _by(lambda one: one.responder(not_after=AT - HOUR))),
    "a responder whose time has not begun": (
        "ocsp-signer",
        lambda: _by(lambda one: one.responder(not_before=AT + HOUR)),
    ),
    "a responder with a weak key": ("ocsp-weak", lambda: _by(lambda one: one.responder(key="rsa-1024"))),
    "a responder certified with SHA-1": ("ocsp-signer", lambda: _by(lambda one: one.responder(digest="sha1"))),
    "a responder with a critical riddle": (
        "ocsp-signer",
        lambda: _by(
            lambda one: one.responder(
                extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier(UNKNOWN_EXTENSION), b""), True),)
            )
        ),
    ),
    "a critical extension": ("ocsp-extension", lambda: _extended(_ours(), "response")),
    "a critical extension of the part": ("ocsp-extension", lambda: _extended(_ours(), "single")),
    "another nonce": ("ocsp-nonce", lambda: _ours(nonce=b"m" * 32)),
    "tomorrow": ("ocsp-future", lambda: _ours(at=AT + DAY)),
    "made tomorrow": ("ocsp-future", lambda: _ours(produced_at=AT + DAY)),
    "an old one": ("ocsp-over", lambda: _ours(at=AT - DAY)),
    "an old one without an end": ("ocsp-over", lambda: _ours(at=AT - HOUR, next_update=None)),
    "ends before it begins": ("ocsp-malformed", lambda: _ours(next_update=AT - HOUR)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_believed(case):
    """Each response that an honest responder would not give is refused with its code."""
    code, make = CASES[case]
    assert refused(make(), nonce=NONCE) == code


def test_every_code_has_a_case():
    """But for the two that need more than one response: `test_status.py` has them."""
    tried = {code for code, _ in CASES.values()} | {"ocsp-responder-status", "ocsp-too-late"}
    assert tried == {code for code in CODES if code.startswith("ocsp-")}


def test_a_clock_may_differ_a_little():
    """Half a minute ahead is not the future."""
    assert said(_ours(at=AT + timedelta(seconds=30))).status.standing is Standing.GOOD


def test_what_is_over_counts_as_stale_within_bounds():
    """Within, it is marked; beyond, refused."""
    der = _ours(at=AT - 2 * HOUR)
    assert said(der, Moment(at=AT, stale=2 * HOUR)).status.stale
    assert refused(der, Moment(at=AT, stale=HOUR)) == "ocsp-over"


def test_a_revocation_outlasts_its_response():
    """Who was revoked stays revoked; but one that was only held may have been released since."""
    for reason, lasts in ((x509.ReasonFlags.superseded, True), (x509.ReasonFlags.certificate_hold, False)):
        there = Region()
        there.issuing.revoke(there.issued.certificate, AT - 3 * DAY, reason)
        der, about = (
            there.issuing.ocsp(there.issued.certificate, at=AT - 2 * DAY),
            question(there.issued, there.issuing),
        )
        if lasts:
            answer = read(der, about, NOW).status
            assert (answer.standing, answer.stale) == (Standing.REVOKED, True)
        else:
            assert refused(der, about=about) == "ocsp-over"


def test_after_a_certificates_end_nobody_says_anything_of_it():
    """An issuer need not remember the revocation of what is over anyway."""
    issuing = region().issuing
    issued = issuing.issue(not_after=AT - DAY)
    der = issuing.ocsp(issued.certificate)
    assert refused(der, about=question(issued)) == "ocsp-too-late"


@pytest.mark.parametrize("reason", [x509.ReasonFlags.certificate_hold, x509.ReasonFlags.key_compromise])
def test_what_is_said_of_it_all_the_same_counts(reason):
    """A hold, too, which else nobody would hear of."""
    issuing = Region().issuing
    issued = issuing.issue(not_after=AT - DAY)
    issuing.revoke(issued.certificate, AT - 2 * DAY, reason)
    answer = read(issuing.ocsp(issued.certificate), question(issued, issuing), NOW).status
    assert (answer.standing, answer.reason) == (Standing.REVOKED, reason.value)


@given(place=st.integers(0, 10_000), octet=st.integers(0, 255))
def test_no_octet_can_be_altered(place, octet):
    """Whatever one octet becomes: the response is refused, or says what it said."""
    good = _good()
    place %= len(good)
    altered = good[:place] + bytes([octet]) + good[place + 1 :]
    try:
        answer = said(altered, nonce=NONCE)
    except StatusRefusedError:
        return
    assert answer.status.standing is Standing.GOOD
    assert answer.status.next_update == AT + HOUR


@cache
def _good() -> bytes:
    return region().issuing.ocsp(region().issued.certificate, signer=region().issuing.responder(), nonce=NONCE)


@given(st.binary(max_size=300))
def test_garbage_is_refused(octets):
    """Never anything but a refusal."""
    assert refused(octets) == "ocsp-malformed"
