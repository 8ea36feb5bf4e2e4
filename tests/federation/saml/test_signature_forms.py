"""What a signature may say, although the identity provider's own key made it: references, transforms, keys."""

import base64
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from lxml import etree

from tests.federation.saml.oddly_signed import (
    DS,
    EXCLUSIVE,
    TRANSFORMS,
    XPATH,
    digest_of,
    own_reference,
    reference,
    refusal,
    signature,
    unsigned,
    with_signature,
)
from tests.federation.saml.peers import arrived, at, signer
from tests.federation.saml.signed import ASSERTION
from tests.federation.saml.wrapping import (
    octets,
    parsed,
    tag,
)
from trust_lists.xmlgate import ECDSA_SHA256, ENVELOPED, EXCLUSIVE_C14N

# --- references and transforms that the provider's key did sign


@pytest.mark.parametrize(
    "uri", ["", None, "#xpointer(/)", "#xpointer(id('{id}'))", "#element({id})", "{id}", "http://ebetsu.example/#{id}"]
)
def test_a_reference_names_the_element_that_holds_the_signature(uri: str | None) -> None:
    """Validly signed, the digest right: but who else would find the same element by that name."""
    root = unsigned(forged=False)
    assertion = ASSERTION.element(root)
    stated = None if uri is None else uri.replace("{id}", assertion.get("ID"))
    assert refusal(with_signature(root, signature(reference(stated, digest_of(assertion))))) == "reference-uri"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_there_is_one_reference(order: tuple[int, int]) -> None:
    """Two validly signed references, one to the assertion (GHSA-479m-364c-43vc: goxmldsig mixed them up)."""
    root = unsigned(forged=False)
    subject = at(root, ".//s:Subject")[0]
    subject.set("ID", "_subject")
    both = (own_reference(root), reference("#_subject", digest_of(subject)))
    assert refusal(with_signature(root, signature(*(both[i] for i in order)))) == "signed-info-shape"


def test_there_is_a_reference() -> None:
    """A valid signature over a SignedInfo that refers to nothing."""
    assert refusal(with_signature(unsigned(), signature())) == "signed-info-shape"


def test_a_manifest_is_not_followed() -> None:
    """A validly signed Manifest whose own references nobody has to check (XMLDSIG §2.3)."""
    root = unsigned()
    manifest = f"<ds:Manifest Id='m'>{own_reference(root)}</ds:Manifest>"
    stated = reference("#m", digest_of(parsed(manifest)), transforms=EXCLUSIVE)
    made = signature(stated, more=f"<ds:Object>{manifest}</ds:Object>")
    assert refusal(with_signature(root, made)) in {"signature-shape", "reference-uri", "stray-signature-part"}


@pytest.mark.parametrize(
    "transforms",
    [
        "",
        EXCLUSIVE,
        f'<ds:Transform Algorithm="{ENVELOPED}"/>',
        f'{EXCLUSIVE}<ds:Transform Algorithm="{ENVELOPED}"/>',
        f'{TRANSFORMS}<ds:Transform Algorithm="{DS}base64"/>',
        f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{DS}base64"/>',
        f'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>{EXCLUSIVE}',
        f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>not(//s:NameID)</ds:XPath></ds:Transform>{EXCLUSIVE}',
        f'<ds:Transform Algorithm="{ENVELOPED}"><ds:XPath>1</ds:XPath></ds:Transform>{EXCLUSIVE}',
        f'<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"/>{EXCLUSIVE}',
        f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>',
        f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"/>',
        TRANSFORMS.replace(EXCLUSIVE_C14N, EXCLUSIVE_C14N + "WithComments"),
    ],
)
def test_only_the_two_transforms_of_saml_are_computed(transforms: str) -> None:
    """SAML Core §5.4.4, also when the provider signed otherwise: nobody can be made to sign less than it shows."""
    root = unsigned(forged=False)
    made = signature(own_reference(root, transforms=transforms))
    assert refusal(with_signature(root, made)) in {"transforms", "transforms-shape", "reference-shape"}


@pytest.mark.parametrize(
    "canonicalization",
    ["http://www.w3.org/TR/2001/REC-xml-c14n-20010315", DS + "minimal", EXCLUSIVE_C14N + "WithComments", ""],
)
def test_signed_info_is_canonicalised_in_one_way(canonicalization: str) -> None:
    """CVE-2013-2172: in Santuario the message could choose what canonicalises it."""
    root = unsigned(forged=False)
    made = signature(own_reference(root), canonicalization=canonicalization)
    assert refusal(with_signature(root, made)) == "canonicalization"


@pytest.mark.parametrize(
    "method",
    [DS + "sha1", "http://www.w3.org/2001/04/xmldsig-more#md5", "http://www.w3.org/2001/04/xmlenc#ripemd160", ""],
)
def test_weak_digests_are_refused_though_signed(method: str) -> None:
    """SHA-1, MD5, RIPEMD-160, none: a second message with the same digest could be found."""
    root = unsigned(forged=False)
    assert refusal(with_signature(root, signature(own_reference(root, method=method)))) == "digest-algorithm"


# --- keys


@pytest.mark.parametrize(
    "algorithm",
    ["none", "", DS + "rsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", DS + "dsa-sha1", DS + "hmac-sha1"],
)
def test_weak_and_missing_algorithms_are_refused(algorithm: str) -> None:
    """SHA-1, MD5, DSA, and `none` in all the ways to say it."""
    root = unsigned()
    assert refusal(with_signature(root, signature(own_reference(root), algorithm=algorithm))) == "signature-algorithm"


@pytest.mark.parametrize("form", ["certificate", "pem", "subject-public-key", "modulus", "nothing"])
def test_a_public_key_is_no_shared_secret(form: str) -> None:
    """CVE-2016-10555 and its like in SAML: an HMAC whose secret is what everybody knows."""
    certificate = signer("idp").certificate_der
    key = load_der_x509_certificate(certificate).public_key()
    secret = {
        "certificate": certificate,
        "pem": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "subject-public-key": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": key.public_numbers().n.to_bytes(256, "big"),
        "nothing": b"",
    }[form]
    root = unsigned()
    made = signature(own_reference(root), algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    value = hmac.digest(secret, etree.tostring(made[0], method="c14n", exclusive=True), "sha256")
    made[1].text = base64.b64encode(value).decode()
    assert refusal(with_signature(root, made)) == "signature-algorithm"


@pytest.mark.parametrize("length", ["0", "1", "8", "-1"])
def test_a_signature_is_not_shortened_by_the_message(length: str) -> None:
    """CVE-2009-0217: HMACOutputLength of one bit."""
    root = unsigned()
    made = signature(own_reference(root), algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")
    etree.SubElement(made[0][1], tag("ds:HMACOutputLength")).text = length
    assert refusal(with_signature(root, made)) in {"signature-algorithm", "signature-parameters"}


@pytest.mark.parametrize(
    "value",
    [
        b"\0" * 64,
        b"",
        b"\0",
        b"\0" * 63,
        b"\xff" * 64,
        encode_dss_signature(0, 0),
        encode_dss_signature(1, 1),
        b"\0" * 128,
    ],
)
def test_a_signature_of_zeros_is_none(value: bytes) -> None:
    """CVE-2022-21449: Java took r = s = 0 for a signature of anything."""
    root = unsigned()
    made = signature(own_reference(root), algorithm=ECDSA_SHA256)
    made[1].text = base64.b64encode(value).decode()
    assert refusal(with_signature(root, made), "p256") == "signature"


@pytest.mark.parametrize("value", ["", "=", "AAAA", "%00", "0" * 342, "髙", "A" * 100_000])
def test_a_value_that_is_no_signature_is_refused(value: str) -> None:
    """CVE-2018-7644: in SimpleSAMLphp a failure of the verification itself passed for a success."""
    root = unsigned()
    made = signature(own_reference(root))
    made[1].text = value
    assert refusal(with_signature(root, made)) == "signature"


def test_a_key_of_another_family_verifies_nothing() -> None:
    """An ECDSA signature where the list has an RSA key, and the other way round."""
    root = unsigned()
    assert refusal(with_signature(root, signature(own_reference(root), algorithm=ECDSA_SHA256))) == "no-key"
    root = unsigned()
    assert refusal(with_signature(root, signature(own_reference(root))), "p256") == "no-key"


@pytest.mark.parametrize("shown", ["mallory", "idp"])
def test_a_key_in_the_message_is_not_used(shown: str) -> None:
    """A stranger's signature with the stranger's certificate in KeyInfo, or with the provider's."""
    root = unsigned()
    document = signer("mallory").sign_element(octets(root), ASSERTION.element(root).get("ID"))
    certificates = {name: base64.b64encode(signer(name).certificate_der) for name in ("mallory", "idp")}
    assert refusal(document.replace(certificates["mallory"], certificates[shown])) == "signature"


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ('<ds:RetrievalMethod URI="http://evil.example/key.der" Type="{ds}rawX509Certificate"/>', "key-info"),
        (
            '<ds:RetrievalMethod URI="#k"><ds:Transforms><ds:Transform/></ds:Transforms></ds:RetrievalMethod>',
            "key-info",
        ),
        ("<ds:KeyInfo/>", "key-info"),
        ("<ds:KeyName>file:///etc/hostname</ds:KeyName>", None),
        (
            "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQ==</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>",
            None,
        ),
        ("", None),
    ],
)
def test_nothing_is_fetched_or_computed_for_a_key(info: str, code: str | None) -> None:
    """KeyInfo may say what it likes: what would be fetched is refused, the rest changes nothing."""
    root = unsigned(forged=False)
    more = f"<ds:KeyInfo>{info.replace('{ds}', DS)}</ds:KeyInfo>"
    document = octets(with_signature(root, signature(own_reference(root), more=more)))
    if code is None:
        assert arrived(document).name_id.value == "person-1"
    else:
        assert refusal(document) in {code, "stray-signature-part"}


def test_prefixes_signed_along_cannot_be_bound_anew() -> None:
    """InclusiveNamespaces (Exclusive C14N §4): a listed prefix is part of what is signed, another one means nothing."""
    root = unsigned(forged=False)
    listed = f'<e:InclusiveNamespaces xmlns:e="{EXCLUSIVE_C14N}" PrefixList="xs"/></ds:Transform>'
    transforms = TRANSFORMS.replace(EXCLUSIVE, EXCLUSIVE.replace("/>", ">") + listed)
    document = octets(root).replace(b"<samlp:Response ", b'<samlp:Response xmlns:xs="urn:xs" xmlns:xt="urn:xt" ', 1)
    root = etree.fromstring(document)
    alone = etree.fromstring(etree.tostring(ASSERTION.element(root), with_tail=False))
    stated = reference("#" + alone.get("ID"), digest_of(alone, inclusive_ns_prefixes=["xs"]), transforms=transforms)
    document = octets(with_signature(root, signature(stated)))
    assert arrived(document).name_id.value == "person-1"
    assert arrived(document.replace(b"urn:xt", b"urn:xT")) == arrived(document)
    assert refusal(document.replace(b'"urn:xs"', b'"urn:xS"')) == "digest"


@pytest.mark.parametrize("missing", ["identifier", "value", "everything"])
def test_a_signature_without_what_it_needs_is_none(missing: str) -> None:
    """No ID that it could sign, no value, nothing in it but its name."""
    root = unsigned()
    made = parsed("<ds:Signature/>") if missing == "everything" else signature(own_reference(root))
    if missing == "value":
        made[1].text = ""
    elif missing == "identifier":
        del ASSERTION.element(root).attrib["ID"]
    assert refusal(with_signature(root, made)) in {"signature", "signature-shape", "signed-element-without-id"}


def test_without_a_signature_an_answer_is_nothing() -> None:
    """Signature exclusion: what is not signed is not believed, whatever else it says."""
    assert refusal(unsigned()) == "unsigned"
