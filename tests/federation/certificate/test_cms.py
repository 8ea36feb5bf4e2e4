"""Signed data as card middleware makes it (RFC 5652): read narrowly, and agreed upon with `openssl cms`."""

import base64
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms as asn1
from asn1crypto import core, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import cms
from federation.certificate.model import CertificateRefusedError
from tests.federation.certificate.authorities import AT, Issued, der_of
from tests.federation.certificate.phone import Phone, content_identifier
from tests.federation.certificate.sign_in_sample import (
    ASKED,
    ISSUING,
    NAME,
    PERSON,
    ROOT,
    RSA_PERSON,
    proved,
    refused,
)

CONTENT = b'{"an":"answer"}'
MOMENT = str(int(AT.timestamp()))
DATA = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
OTHER = core.ObjectIdentifier("1.2.840.113549.1.7.9").dump()
KEYS = ("p-256", "p-384", "p-521", "rsa")


def person(key: str) -> Issued:
    """A person with a key of that kind."""
    return ISSUING.issue(NAME, key=key)


def signed(issued: Issued = PERSON, **how: Any) -> bytes:
    """Signed data over `CONTENT`."""
    return Phone(issued).cms(CONTENT, **how)


def verified(der: bytes, issued: Issued = PERSON) -> cms.Cms:
    """What is read, once its signature held."""
    found = cms.read(der)
    found.verify(issued.certificate.public_key())
    return found


def code(der: bytes, issued: Issued = PERSON) -> str:
    """Why signed data is refused; "" if it is not."""
    try:
        verified(der, issued)
    except CertificateRefusedError as why:
        return why.code
    return ""


# --- read


def test_signed_data_gives_its_content_and_certificates() -> None:
    """The signer's certificate is the one that it names, whatever stands first."""
    found = verified(signed(certificates=(ISSUING.der, PERSON.der)))
    assert found.content == CONTENT
    assert found.leaf == PERSON.der
    assert found.others == (ISSUING.der,)


@pytest.mark.parametrize("issued", [PERSON, RSA_PERSON], ids=["on a curve", "RSA"])
def test_the_signers_certificate_may_be_named_by_its_key_identifier(issued: Issued) -> None:
    """RFC 5652 §5.3, with the versions that go with it."""
    assert verified(signed(issued, by_key_identifier=True), issued)


def another_scheme(**parameters: Any) -> asn1.SignedDigestAlgorithm:
    """RSASSA-PSS with parameters of one's own."""
    of_hash = {"algorithm": "sha256", "parameters": core.Null()}
    good = {
        "hash_algorithm": of_hash,
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": of_hash},
        "salt_length": 32,
    }
    return asn1.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": good | parameters})


MALFORMED: dict[str, Callable[[], bytes]] = {
    "two signers": lambda: signed(signers=2),
    "no signer": lambda: signed(signers=0),
    "content that is not attached": lambda: signed(attached=False),
    "another type of content": lambda: signed().replace(DATA, OTHER, 1),
    "another type in contentType": lambda: OTHER.join(signed().rsplit(DATA, 1)),
    "no contentType": lambda: signed(leave_out={"content_type"}),
    "no messageDigest": lambda: signed(leave_out={"message_digest"}),
    "no signed attributes": lambda: signed(
        leave_out={"content_type", "message_digest", "signing_time", "signing_certificate_v2"}
    ),
    "an attribute twice": lambda: signed(extra=({"type": "message_digest", "values": [b"x" * 32]},)),
    "a text's nonce": lambda: signed(extra=(content_identifier("nonce"),)),
    "an attribute that is not signed": lambda: signed(
        unsigned=({"type": "1.2.3.4", "values": [core.OctetString(b"x")]},)
    ),
    "without the signer's certificate": lambda: signed(certificates=(ISSUING.der,)),
    "without certificates": lambda: signed(certificates=()),
    "another version": lambda: signed(version="v3"),
    "not DER": lambda: indefinite(signed()),
    "something after it": lambda: signed() + b"\x00",
    "another type of signed thing": lambda: bytes(
        asn1.ContentInfo({"content_type": "data", "content": CONTENT}).dump()
    ),
    "a certificate": lambda: PERSON.der,
}


def indefinite(der: bytes) -> bytes:
    """The outermost length left open (X.690 §8.1.3.6), as streaming encoders write it."""
    length = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return b"\x30\x80" + der[length:] + b"\x00\x00"


@pytest.mark.parametrize("name", MALFORMED)
def test_signed_data_of_another_form_is_refused(name: str) -> None:
    """Each differs in exactly what its name says."""
    assert code(MALFORMED[name]()) == "answer-malformed"


def test_signed_data_larger_than_any_real_one_is_not_read() -> None:
    """Before anything is parsed."""
    assert code(b"\x30\x83\x01\x00\x00" + bytes(65536)) == "answer-too-large"


def by_sha_1(named: bytes) -> dict[str, Any]:
    """The older attribute signingCertificate (RFC 2634 §5.4)."""
    value = tsp.SigningCertificate({"certs": [{"cert_hash": hashlib.sha1(named).digest()}]})
    return {"type": "signing_certificate", "values": [value]}


def test_a_signing_certificate_of_the_older_form_is_held_against_it() -> None:
    """As RFC 5035 §5 asks of whoever finds it: it says which certificate was meant."""
    assert code(signed(leave_out={"signing_certificate_v2"}, extra=(by_sha_1(PERSON.der),))) == ""
    assert code(signed(extra=(by_sha_1(PERSON.der),))) == ""
    assert code(signed(leave_out={"signing_certificate_v2"}, extra=(by_sha_1(ISSUING.der),))) == "signature"
    assert code(signed(extra=(by_sha_1(ISSUING.der),))) == "signature"


SIGNATURES: dict[str, tuple[str, Callable[[], tuple[bytes, Issued]]]] = {
    "another content": ("signature", lambda: (signed(signed_content=b"another"), PERSON)),
    "another certificate meant": ("signature", lambda: (signed(named=bytes(32)), PERSON)),
    "another key": ("signature", lambda: (signed(key=ISSUING.key), PERSON)),
    "SHA-1": ("answer-algorithm", lambda: (signed(digest="sha1"), PERSON)),
    "SHA-224": ("answer-algorithm", lambda: (signed(digest="sha224"), PERSON)),
    "MD5": ("answer-algorithm", lambda: (signed(RSA_PERSON, digest="md5"), RSA_PERSON)),
    "an algorithm of another key": (
        "answer-algorithm",
        lambda: (signed(algorithm={"algorithm": "sha256_rsa", "parameters": core.Null()}), PERSON),
    ),
    "two digests": ("answer-algorithm", lambda: (signed(algorithm={"algorithm": "sha512_ecdsa"}), PERSON)),
    "a shorter salt": (
        "answer-algorithm",
        lambda: (signed(RSA_PERSON, pss=True, algorithm=another_scheme(salt_length=20)), RSA_PERSON),
    ),
    "another hash under PSS": (
        "answer-algorithm",
        lambda: (
            signed(
                RSA_PERSON,
                pss=True,
                algorithm=another_scheme(hash_algorithm={"algorithm": "sha1", "parameters": core.Null()}),
            ),
            RSA_PERSON,
        ),
    ),
    "another hash in the mask": (
        "answer-algorithm",
        lambda: (
            signed(
                RSA_PERSON,
                pss=True,
                algorithm=another_scheme(
                    mask_gen_algorithm={
                        "algorithm": "mgf1",
                        "parameters": {"algorithm": "sha1", "parameters": core.Null()},
                    }
                ),
            ),
            RSA_PERSON,
        ),
    ),
    "PSS said, PKCS #1 v1.5 done": ("signature", lambda: (signed(RSA_PERSON, algorithm=another_scheme()), RSA_PERSON)),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_that_does_not_hold_is_refused_with_its_code(name: str) -> None:
    """Each differs in exactly what its name says."""
    expected, made = SIGNATURES[name]
    assert code(*made()) == expected


def test_attributes_in_another_order_are_not_der() -> None:
    """RFC 5652 §5.4: what is signed is the DER of a SET OF, so another order is another signature."""
    der = signed()
    whole = asn1.ContentInfo.load(der)
    attributes = [each.dump() for each in whole["content"]["signer_infos"][0]["signed_attrs"]]
    assert attributes == sorted(attributes)
    assert code(der.replace(b"".join(attributes), b"".join(reversed(attributes)))) == "answer-malformed"


@pytest.mark.parametrize(
    ("octets", "is_der"),
    [
        (b"\x30\x00", True),
        (b"\x30\x02\x05\x00", True),
        (b"\x30\x80\x05\x00\x00\x00", False),  # indefinite
        (b"\x30\x81\x02\x05\x00", False),  # longer than need be
        (b"\x30\x82\x00\x81" + b"\x04\x7f" + bytes(127), False),
        (b"\x30\x03\x05\x00", False),  # beyond the end
        (b"\x30\x02\x05\x01\x00", False),  # beyond the value around it
        (b"\x30\x00\x30\x00", False),  # two values
        (b"\x1f\x01\x00", False),  # a tag of several octets
        (b"\x30", False),
        (b"", False),
        (b"\x30\x85\x01\x00\x00\x00\x00", False),
        (b"\x30\x80" * 40, False),
    ],
)
def test_der_is_told_from_other_encodings(octets: bytes, is_der: bool) -> None:  # noqa: FBT001 - what is expected
    """X.690 §10.1."""
    assert cms.is_der(octets) is is_der


def test_nesting_beyond_any_real_one_is_refused() -> None:
    """Bounded depth, whatever comes."""
    octets = b""
    for _ in range(5000):
        octets = (
            core.Sequence(contents=octets).dump()
            if len(octets) < 200
            else b"\x30\x82" + len(octets).to_bytes(2, "big") + octets
        )
        if len(octets) > 60000:
            break
    assert code(octets) == "answer-malformed"


GOOD = signed()


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_bit_changed_anywhere_is_seen(place: int, bit: int) -> None:
    """In what is signed and in what is not, the authority's certificate aside, which the path is about."""
    octets = bytearray(GOOD)
    octets[place] ^= 1 << bit
    if code(bytes(octets)) == "":
        found = cms.read(bytes(octets))
        assert found.leaf == PERSON.der
        assert found.others != PERSON.others


@given(st.binary(max_size=400))
def test_whatever_octets_come_only_a_refusal_is_raised(octets: bytes) -> None:
    """No other exception, as they are or where something is expected."""
    assert code(octets) == "answer-malformed"
    assert code(b"\x30\x82" + len(octets).to_bytes(2, "big") + octets) == "answer-malformed"


# --- openssl


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[Issued], dict[str, str]]:
    """Writes what `openssl` needs of a person, and says where."""

    def write(issued: Issued) -> dict[str, str]:
        files = {
            "key": issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "signer": issued.certificate.public_bytes(Encoding.PEM),
            "others": b"".join(each.public_bytes(Encoding.PEM) for each in issued.chain),
            "root": ROOT.certificate.public_bytes(Encoding.PEM),
        }
        for name, octets in files.items():
            (tmp_path / name).write_bytes(octets)
        return {name: str(tmp_path / name) for name in files}

    return write


def openssl(*arguments: str, given: bytes) -> bytes:
    """What the program answers."""
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("options", [(), ("-cades",), ("-keyid",), ("-md", "sha384")], ids=" ".join)
def test_what_openssl_signs_is_believed(kept: Any, key: str, options: tuple[str, ...]) -> None:
    """Card middleware is often built on it: `openssl cms -sign`, with and without the attributes of CAdES."""
    issued = person(key)
    files = kept(issued)
    der = openssl(
        *("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-nosmimecap", *options),
        *("-signer", files["signer"], "-inkey", files["key"], "-certfile", files["others"]),
        given=CONTENT,
    )
    assert verified(der, issued).content == CONTENT


@pytest.mark.parametrize("salt", ["digest", "max", "auto"])
def test_what_openssl_signs_with_pss_is_believed(kept: Any, salt: str) -> None:
    """With a salt as long as the hash, or as its default is, with as long a one as the key has room for."""
    files = kept(RSA_PERSON)
    sign = (
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-outform",
        "DER",
        "-signer",
        files["signer"],
        "-inkey",
        files["key"],
    )
    options = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", f"rsa_pss_saltlen:{salt}", "-keyopt", "rsa_mgf1_md:sha256")
    der = openssl(*sign, "-md", "sha256", *options, given=CONTENT)
    assert verified(der, RSA_PERSON).content == CONTENT


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("how", [{}, {"by_key_identifier": True}, {"digest": "sha512"}], ids=str)
def test_openssl_believes_what_the_test_phone_signs(kept: Any, key: str, how: dict[str, Any]) -> None:
    """So that these tests are not held against a phone that nobody else understands."""
    issued = person(key)
    files = kept(issued)
    der = Phone(issued).cms(CONTENT, **how)
    verify = (
        "cms",
        "-verify",
        "-inform",
        "DER",
        "-binary",
        "-CAfile",
        files["root"],
        "-attime",
        MOMENT,
        "-purpose",
        "any",
    )
    assert openssl(*verify, given=der) == CONTENT


def test_a_whole_sign_in_signed_by_openssl_is_believed(kept: Any) -> None:
    """The answer object as any program can write and sign it."""
    files = kept(PERSON)
    form = dict(Phone(PERSON).answer(ASKED.jwt))
    content = form["response"].split(".")[1]
    octets = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
    assert json.loads(octets)["nonce"] == ASKED.nonce
    der = openssl(
        *("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-cades"),
        *("-signer", files["signer"], "-inkey", files["key"], "-certfile", files["others"]),
        given=octets,
    )
    assert proved([("state", ASKED.reference), ("cms", base64.b64encode(der).decode())]).path.leaf == PERSON.certificate


def test_an_answer_in_base64_of_another_spelling_is_refused() -> None:
    """Line breaks, base64url, missing padding."""
    text = base64.b64encode(Phone(PERSON).cms(CONTENT)).decode()
    for other in (
        text[:64] + "\n" + text[64:],
        text.replace("+", "-").replace("/", "_") + "-",
        text + "=",
        text + "====",
    ):
        assert refused([("state", ASKED.reference), ("cms", other)]).code == "answer-malformed"


def test_certificates_that_do_not_belong_to_the_path_do_no_harm() -> None:
    """But nobody is kept busy with many of them."""
    strangers = [der_of(each.certificate) for each in (ISSUING.issue("A"), ISSUING.issue("B"))]
    assert proved(Phone(PERSON).answer(ASKED.jwt, form="cms", certificates=(PERSON.der, ISSUING.der, *strangers)))
    crowd = [der_of(ISSUING.issue(str(number)).certificate) for number in range(10)]
    why = refused(Phone(PERSON).answer(ASKED.jwt, form="cms", certificates=(PERSON.der, ISSUING.der, *crowd)))
    assert why.code == "answer-too-large"
    assert x509.load_der_x509_certificate(crowd[0])
