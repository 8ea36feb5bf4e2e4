import base64
import hashlib
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from tests.trust_lists.builders import Authority, authority
from tests.trust_lists.etsi_lists import (
    DS,
    NOW,
    TSL,
    XADES,
    council_member,
    operator,
    part,
    publish,
    resealed,
    signer_of,
    stripped,
)
from tests.trust_lists.hostile import BOMBS, COSTLY, not_for_ever
from trust_lists import etsi_xml, xades
from trust_lists.model import ListRefusedError
from trust_lists.times import LEEWAY
from trust_lists.xades import XADES_RULES, Verified
from trust_lists.xmlgate import LIST_LIMITS, Limits, SignatureRefusedError

ROOT = f"{{{TSL}}}TrustServiceStatusList"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

Change = Callable[[etree._Element], object]


@pytest.fixture(scope="module")
def signed() -> bytes:
    """A list with one member."""
    return publish(council_member())


def verify(document: bytes, by: Authority | None = None, **options: object) -> Verified:
    """Verify with an authority's certificate."""
    stated = {"anchors": [(by or operator()).der], "expected_root": ROOT, "limits": LIST_LIMITS}
    return xades.verify(document, **{**stated, **options})


def refusal(document: bytes, **options: object) -> str:
    """The code under which the document is refused."""
    with pytest.raises(SignatureRefusedError) as caught:
        verify(document, **options)
    return caught.value.code


def changed(document: bytes, change: Change) -> bytes:
    """The document with its tree changed, its signature left as it is."""
    root = etree.fromstring(document)
    change(root)
    return etree.tostring(root)


def key_of(by: Authority) -> bytes:
    """An authority's bare public key."""
    key = x509.load_der_x509_certificate(by.der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# --- what is believed


def test_answers_the_canonical_bytes_without_the_signature(signed: bytes) -> None:
    """What is answered is the list in exclusive C14N without its signature, which anchor verified it, and when."""
    expected = etree.tostring(stripped(signed), method="c14n", exclusive=True, with_comments=False)
    assert verify(signed) == Verified(octets=expected, anchor=operator().der, signed_at=NOW)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_signs_and_verifies_with_both_families_of_keys(kind: str) -> None:
    """RSA and P-256 keys sign what the same key's certificate verifies, and nobody else's does."""
    own, other = operator("own", kind), operator("other", kind)
    document = publish(council_member(), by=own)
    assert verify(document, own).anchor == own.der
    assert refusal(document, by=other) == "signature"


def test_a_bare_key_is_an_anchor_too(signed: bytes) -> None:
    """Where the key itself is pinned, the certificate that the signature names is not compared with anything."""
    assert verify(signed, anchors=[key_of(operator())]).anchor == key_of(operator())


def test_tries_every_anchor(signed: bytes) -> None:
    """During a change of keys both are pinned; one of another family, or unreadable, is passed over."""
    anchors = [operator("old").der, authority("rsa").der, b"no certificate", operator().der]
    assert verify(signed, anchors=anchors).anchor == operator().der


@pytest.mark.parametrize(
    "anchors", [[], [b"no certificate"], [authority("rsa").der], [authority("weak", bits=1024).der]]
)
def test_refuses_without_a_fitting_key(signed: bytes, anchors: list[bytes]) -> None:
    """No key, none that can be read, one of another family, one that is too short: nothing to verify with."""
    assert refusal(signed, anchors=anchors) == "no-key"


def test_the_key_in_the_document_is_never_used() -> None:
    """A stranger who signs validly and sends the own certificate along is refused all the same."""
    stranger = operator("stranger")
    document = publish(council_member(), by=stranger)
    assert base64.b64encode(stranger.der) in document
    assert refusal(document) == "signature"


def name_by_id(root: etree._Element) -> None:
    """Refer to the list by its Id instead of the whole document."""
    part(root, "Reference").set("URI", "#list")


def turn_round(root: etree._Element) -> None:
    """Put the Reference to the SignedProperties first."""
    info = part(root, "SignedInfo")
    info.insert(2, info[3])


def empty_type(root: etree._Element) -> None:
    """State an empty Type, as some software does."""
    part(root, "Reference").set("Type", "")


def older_property(root: etree._Element) -> None:
    """State the signing certificate as XAdES before V2 did."""
    stated = part(root, "SigningCertificateV2", XADES)
    stated.tag = f"{{{XADES}}}SigningCertificate"
    serial = etree.SubElement(stated[0], f"{{{XADES}}}IssuerSerial")
    etree.SubElement(serial, f"{{{DS}}}X509IssuerName").text = "CN=anyone"
    etree.SubElement(serial, f"{{{DS}}}X509SerialNumber").text = "1"


def implied_policy(root: etree._Element) -> None:
    """State that the policy is implied, and where it was signed."""
    stated = part(root, "SignedSignatureProperties", XADES)
    etree.SubElement(
        etree.SubElement(stated, f"{{{XADES}}}SignaturePolicyIdentifier"), f"{{{XADES}}}SignaturePolicyImplied"
    )
    etree.SubElement(stated, f"{{{XADES}}}SignatureProductionPlace")


def no_key_info(root: etree._Element) -> None:
    """Leave KeyInfo out."""
    part(root, "Signature").remove(part(root, "KeyInfo"))


def prefixes(root: etree._Element) -> None:
    """Keep a prefix that the list declares and does not use."""
    etree.SubElement(part(root, "Transforms")[1], f"{{{EXCLUSIVE}}}InclusiveNamespaces", PrefixList="")


@pytest.mark.parametrize(
    "change", [name_by_id, turn_round, empty_type, older_property, implied_policy, no_key_info, prefixes]
)
def test_verifies_what_other_software_makes(signed: bytes, change: Change) -> None:
    """Forms of a baseline signature that stand in lists today, and that mean the same."""
    assert verify(resealed(signed, change)).octets == verify(signed).octets


def test_verifies_longer_digests(signed: bytes) -> None:
    """SHA-512 for both References and for the certificate."""

    def longer(root: etree._Element) -> None:
        for method in root.iter(f"{{{DS}}}DigestMethod"):
            method.set("Algorithm", SHA512)
        stated = part(part(root, "CertDigest", XADES), "DigestValue")
        stated.text = base64.b64encode(hashlib.sha512(operator().der).digest()).decode()

    assert verify(resealed(signed, longer, digest="sha512")).octets == verify(signed).octets


# --- every rule


def _move_first(root: etree._Element) -> None:
    root.insert(0, part(root, "Signature"))


def _move_into_scheme(root: etree._Element) -> None:
    part(root, "SchemeInformation", TSL).append(part(root, "Signature"))


def _sign_twice(root: etree._Element) -> None:
    root.append(deepcopy(part(root, "Signature")))
    for stated in root[-1].iter():
        stated.attrib.pop("Id", None)


def _third_reference(root: etree._Element) -> None:
    reference = deepcopy(part(root, "Reference"))
    del reference.attrib["Id"]
    part(root, "SignedInfo").append(reference)


def _only_reference(root: etree._Element) -> None:
    info = part(root, "SignedInfo")
    info.remove(info[3])


def _second_object(root: etree._Element) -> None:
    etree.SubElement(part(root, "Signature"), f"{{{DS}}}Object").text = "hidden"


def _no_object(root: etree._Element) -> None:
    part(root, "Signature").remove(part(root, "Object"))


def _hidden_in_object(root: etree._Element) -> None:
    etree.SubElement(part(root, "Object"), f"{{{TSL}}}TrustServiceStatusList")


def _second_properties(root: etree._Element) -> None:
    found = deepcopy(part(root, "SignedProperties", XADES))
    found.set("Id", "other")
    part(root, "QualifyingProperties", XADES).insert(0, found)


def _unsigned_properties(root: etree._Element) -> None:
    etree.SubElement(part(root, "QualifyingProperties", XADES), f"{{{XADES}}}UnsignedProperties")


def _no_transforms_of_properties(root: etree._Element) -> None:
    reference = part(root, "SignedInfo")[3]
    reference.remove(reference[0])


def _another_transform(algorithm: str, place: int = 0) -> Change:
    def change(root: etree._Element) -> None:
        part(root, "Transforms")[place].set("Algorithm", algorithm)

    return change


def _third_transform(root: etree._Element) -> None:
    etree.SubElement(part(root, "Transforms"), f"{{{DS}}}Transform", Algorithm=EXCLUSIVE)


def _path_transform(root: etree._Element) -> None:
    transform = part(root, "Transforms")[0]
    etree.SubElement(transform, f"{{{DS}}}XPath").text = "not(ancestor-or-self::tsl:TrustServiceProviderList)"


def _many_prefixes(root: etree._Element) -> None:
    listed = " ".join(f"p{i}" for i in range(50))
    etree.SubElement(part(root, "Transforms")[1], f"{{{EXCLUSIVE}}}InclusiveNamespaces", PrefixList=listed)


def _setting(name: str, attribute: str, value: str, namespace: str = DS) -> Change:
    def change(root: etree._Element) -> None:
        part(root, name, namespace).set(attribute, value)

    return change


def _on_properties(attribute: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        part(root, "SignedInfo")[3].set(attribute, value)

    return change


def _adding(parent: str, child: str, namespace: str = XADES) -> Change:
    def change(root: etree._Element) -> None:
        etree.SubElement(part(root, parent, namespace), child)

    return change


def _a_policy(root: etree._Element) -> None:
    stated = etree.SubElement(part(root, "SignedSignatureProperties", XADES), f"{{{XADES}}}SignaturePolicyIdentifier")
    etree.SubElement(stated, f"{{{XADES}}}SignaturePolicyId")


def _without(name: str, namespace: str = XADES) -> Change:
    def change(root: etree._Element) -> None:
        found = part(root, name, namespace)
        found.getparent().remove(found)

    return change


RETRIEVED = f"{{{DS}}}RetrievalMethod"
BROKEN: list[tuple[Change, str]] = [
    (_sign_twice, "two-signatures"),
    (_move_first, "signature-place"),
    (_move_into_scheme, "signature-place"),
    (_no_object, "signature-shape"),
    (_second_object, "signature-shape"),
    (_adding("SignatureValue", f"{{{DS}}}Object", DS), "signature-shape"),
    (_third_reference, "signed-info-shape"),
    (_only_reference, "signed-info-shape"),
    (_setting("CanonicalizationMethod", "Algorithm", EXCLUSIVE + "WithComments"), "canonicalization"),
    (_setting("SignatureMethod", "Algorithm", DS + "rsa-sha1"), "signature-algorithm"),
    (_setting("SignatureMethod", "Algorithm", DS + "hmac-sha1"), "signature-algorithm"),
    (_adding("SignatureMethod", f"{{{DS}}}HMACOutputLength", DS), "signature-parameters"),
    (_on_properties("Type", ""), "reference-type"),
    (_setting("Reference", "Type", xades.PROPERTIES_TYPE), "reference-type"),
    (_setting("Reference", "Type", DS + "Manifest"), "reference-type"),
    (_setting("Reference", "URI", "#list-signature-properties"), "reference-uri"),
    (_setting("Reference", "URI", "https://elsewhere.example/list.xml"), "reference-uri"),
    (_setting("Reference", "URI", "#xpointer(/)"), "reference-uri"),
    (lambda root: part(root, "Reference").attrib.pop("URI"), "reference-uri"),
    (_hidden_in_object, "object-shape"),
    (_second_properties, "object-shape"),
    (_unsigned_properties, "object-shape"),
    (_on_properties("URI", "#list"), "properties-uri"),
    (_on_properties("URI", ""), "properties-uri"),
    (_setting("QualifyingProperties", "Target", "#another", XADES), "properties-target"),
    (lambda root: part(root, "Signature").attrib.pop("Id"), "properties-target"),
    (_no_transforms_of_properties, "reference-shape"),
    (_adding("DigestValue", f"{{{DS}}}Object", DS), "reference-shape"),
    (_third_transform, "transforms-shape"),
    (_another_transform("http://www.w3.org/2002/06/xmldsig-filter2"), "transforms"),
    (_another_transform("http://www.w3.org/TR/1999/REC-xslt-19991116"), "transforms"),
    (_another_transform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", 1), "transforms"),
    (_path_transform, "transforms"),
    (_many_prefixes, "inclusive-prefixes"),
    (_setting("DigestMethod", "Algorithm", DS + "sha1"), "digest-algorithm"),
    (_adding("KeyInfo", RETRIEVED, DS), "key-info"),
    (_without("SigningTime"), "signed-properties"),
    (_without("SigningCertificateV2"), "signed-properties"),
    (_adding("SignedSignatureProperties", f"{{{XADES}}}SigningTime"), "signed-properties"),
    (_adding("SignedSignatureProperties", f"{{{XADES}}}SigningCertificate"), "signed-properties"),
    (_adding("SignedSignatureProperties", "{urn:other}Property"), "signed-properties"),
    (_adding("SignedDataObjectProperties", f"{{{XADES}}}CommitmentTypeIndication"), "signed-properties"),
    (_adding("SignedProperties", f"{{{XADES}}}SignedDataObjectProperties"), "signed-properties"),
    (_a_policy, "signature-policy"),
    (_adding("SchemeInformation", RETRIEVED, TSL), "stray-signature-part"),
    (_adding("SchemeInformation", f"{{{DS}}}Object", TSL), "stray-signature-part"),
]


@pytest.mark.parametrize(("change", "code"), BROKEN, ids=[f"{i}-{code}" for i, (_, code) in enumerate(BROKEN)])
def test_refuses_what_breaks_a_rule(signed: bytes, change: Change, code: str) -> None:
    """Each rule of the table refuses under its code, even if whoever broke it holds the key."""
    assert refusal(changed(signed, change)) == code
    if change is not _no_object:
        assert refusal(resealed(signed, change)) == code


def test_every_rule_has_its_case() -> None:
    """No rule of the table goes without a document that breaks it."""
    assert {rule.code for rule in XADES_RULES} == {code for _, code in BROKEN}


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b"<TrustServiceStatusList", b"<!DOCTYPE x><TrustServiceStatusList", "declaration"),
        (
            b"<TrustServiceStatusList",
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><TrustServiceStatusList',
            "declaration",
        ),
        (b"<SchemeInformation>", b"<?php ?><SchemeInformation>", "processing-instruction"),
        (b"<TrustServiceStatusList", b'<?xml version="1.0" encoding="UTF-16"?><TrustServiceStatusList', "encoding"),
        (b"<TSLSequenceNumber>7<", b"<TSLSequenceNumber>7<!-- -->0<", "comment-in-value"),
        (b'Id="list-signature"', b'Id="list"', "id-not-unique"),
        (b"<SchemeInformation>", b'<SchemeInformation ID="list">', "id-not-unique"),
        (b"</TrustServiceStatusList>", b"", "malformed"),
    ],
)
def test_keeps_the_rules_of_the_gate(signed: bytes, before: bytes, after: bytes, code: str) -> None:
    """No DTD, entity, processing instruction, other encoding, comment in a value, or doubled ID."""
    assert before in signed
    assert refusal(signed.replace(before, after, 1)) == code


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(octets=1000, nodes=10_000, namespaces=1000, depth=32), "too-large"),
        (Limits(octets=10**6, nodes=10, namespaces=1000, depth=32), "too-many-nodes"),
        (Limits(octets=10**6, nodes=10_000, namespaces=2, depth=32), "too-many-namespaces"),
        (Limits(octets=10**6, nodes=10_000, namespaces=1000, depth=3), "too-deep"),
    ],
)
def test_is_bounded(signed: bytes, limits: Limits, code: str) -> None:
    """Octets, elements, namespaces and depth have limits."""
    assert refusal(signed, limits=limits) == code


def test_refuses_the_unsigned(signed: bytes) -> None:
    """A list without a signature is not believed, nor another kind of document."""
    assert refusal(etree.tostring(stripped(signed))) == "unsigned"
    assert refusal(b"<a/>") == "root"


def test_refuses_a_signed_list_wrapped_in_another(signed: bytes) -> None:
    """A good signature two levels down says nothing of the list around it, wherever the good list stands."""
    inner = etree.fromstring(signed)
    outer = stripped(signed)
    outer.set("Id", "outer")
    part(outer, "SchemeInformation", TSL).append(deepcopy(inner))
    assert refusal(etree.tostring(outer)) == "signature-place"
    moved = stripped(signed)
    moved.set("Id", "outer")
    moved.append(deepcopy(part(inner, "Signature")))
    held = part(moved, "QualifyingProperties", XADES)
    held.append(stripped(signed))
    assert refusal(etree.tostring(moved)) == "object-shape"


# --- hostile octets


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.parametrize(
    "before", [b"<SchemeInformation>", b"<ds:SignatureValue>", b"<ds:KeyName>", b"</xades:SignedProperties>"]
)
def test_what_is_costly_is_refused_in_time(signed: bytes, name: str, before: bytes) -> None:
    """Whatever stands in too large a number anywhere, without any key: in the list, and in each part of a signature."""
    document = signed.replace(b"<ds:X509Data>", b"<ds:KeyName></ds:KeyName><ds:X509Data>")
    assert before in document
    with not_for_ever(), pytest.raises(SignatureRefusedError):
        verify(document.replace(before, COSTLY[name](500_000) + before, 1))


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(name: str) -> None:
    """Entities, external parts, other encodings."""
    with not_for_ever(), pytest.raises(SignatureRefusedError):
        verify(BOMBS[name])


# --- what was signed


def test_refuses_another_signatures_properties(signed: bytes) -> None:
    """SignedProperties of another list by the same authority fit nowhere else."""
    other = etree.fromstring(publish(council_member(), issued_at=NOW - timedelta(days=1)))

    def swap(root: etree._Element) -> None:
        found = part(root, "SignedProperties", XADES)
        found.getparent().replace(found, part(other, "SignedProperties", XADES))

    assert refusal(changed(signed, swap)) == "properties-digest"


def test_refuses_another_lists_signature(signed: bytes) -> None:
    """A whole signature of another list by the same authority does not fit this one."""
    other = etree.fromstring(publish(council_member("112089")))

    def swap(root: etree._Element) -> None:
        root.replace(part(root, "Signature"), part(other, "Signature"))

    assert refusal(changed(signed, swap)) == "digest"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (b"City of Maebashi", b"City of Takasaki", "digest"),
        (b"2026-04-01T09:00:00Z</xades:SigningTime>", b"2026-03-01T09:00:00Z</xades:SigningTime>", "properties-digest"),
        (b"<xades:MimeType>text/xml", b"<xades:MimeType>text/xm", "properties-digest"),
        (b'<ds:Reference Id="list-reference"', b'<ds:Reference Id="another"', "signature"),
    ],
)
def test_refuses_what_was_altered(signed: bytes, before: bytes, after: bytes, code: str) -> None:
    """The list, the properties, SignedInfo: each is covered."""
    assert before in signed
    assert refusal(signed.replace(before, after)) == code


@pytest.mark.parametrize("value", ["", "!", "AAAA", "\x20"])
def test_refuses_broken_values(signed: bytes, value: str) -> None:
    """Signature and digest values that are none."""

    def change(name: str) -> Change:
        return lambda root: setattr(part(root, name), "text", value)

    assert refusal(changed(signed, change("SignatureValue"))) == "signature"
    assert refusal(changed(signed, change("DigestValue"))) == "signature"


# --- what the properties say


def test_the_signing_certificate_is_the_anchor(signed: bytes) -> None:
    """A signature that names another certificate of the same key is not this anchor's; a bare key has no opinion."""

    def other(root: etree._Element) -> None:
        stated = part(part(root, "CertDigest", XADES), "DigestValue")
        stated.text = base64.b64encode(hashlib.sha256(operator("other").der).digest()).decode()

    document = resealed(signed, other)
    assert refusal(document) == "signing-certificate"
    assert verify(document, anchors=[key_of(operator())]).anchor == key_of(operator())


@pytest.mark.parametrize(
    "change",
    [
        _without("Cert"),
        _without("CertDigest"),
        lambda root: part(part(root, "CertDigest", XADES), "DigestMethod").set("Algorithm", DS + "sha1"),
        lambda root: part(part(root, "CertDigest", XADES), "DigestValue").clear(),
    ],
)
def test_the_signing_certificate_is_named_by_a_good_digest(signed: bytes, change: Change) -> None:
    """No certificate, no digest, SHA-1, an empty value."""
    assert refusal(resealed(signed, change)) == "signing-certificate"


@pytest.mark.parametrize("time", ["2026-04-01T09:00:00", "yesterday", ""])
def test_the_signing_time_is_a_time(signed: bytes, time: str) -> None:
    """It has an offset."""
    document = resealed(signed, lambda root: setattr(part(root, "SigningTime", XADES), "text", time))
    assert refusal(document) == "signing-time"


@pytest.mark.parametrize("time", ["2026-04-01T09:02:01Z", "2026-04-01T18:02:01+09:00"])
def test_a_signing_time_that_is_still_to_come_is_told(signed: bytes, time: str) -> None:
    """Whether a list may come from the future is asked of every format in one place (`trust_lists/admission.py`)."""
    document = resealed(signed, lambda root: setattr(part(root, "SigningTime", XADES), "text", time))
    assert verify(document).signed_at == NOW + LEEWAY + timedelta(seconds=1)
    with pytest.raises(ListRefusedError) as refused:
        etsi_xml.read(document, name=None, anchors=[operator().der], now=NOW)
    assert refused.value.code == "future"


# --- signing


@pytest.mark.parametrize("document", [b"<a/>", b'<a><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></a>'])
def test_signs_neither_nothing_nor_twice(document: bytes) -> None:
    """An empty root, or one that is signed already."""
    with pytest.raises(ValueError, match="empty, or it is signed already"):
        xades.sign(document, signer=signer_of(operator()), signing_time=NOW)


def test_signs_no_broken_xml() -> None:
    """What no parser reads is not signed."""
    with pytest.raises(SignatureRefusedError, match="malformed"):
        xades.sign(b"<a>", signer=signer_of(operator()), signing_time=NOW)
