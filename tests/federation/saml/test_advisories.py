"""What has worked against other people's SAML libraries, by advisory: values, digests, elements, parsers.

Where an attack needs something that the identity provider signed, its real key signs it here.
"""

import base64
import copy
import hashlib

import pytest
from lxml import etree

from tests.federation.saml.oddly_signed import (
    DS,
    SIGNED_ASSERTION,
    TRANSFORMS,
    digest_of,
    own_reference,
    reference,
    refusal,
    signature,
    unsigned,
    with_signature,
)
from tests.federation.saml.peers import NOW, arrived, at, identity_provider, reissued, texting
from tests.federation.saml.signed import ASSERTION, RESPONSE, forge_person
from tests.federation.saml.wrapping import (
    SIGNATURE,
    evil,
    give,
    instead,
    octets,
    own_signature,
    parsed,
    tag,
    take,
)
from trust_lists.xmlgate import EXCLUSIVE_C14N


def test_the_signatures_made_here_are_valid() -> None:
    """The tests below are refused for what they say, not for a wrong value."""
    root = unsigned(forged=False)
    assert arrived(octets(with_signature(root, signature(own_reference(root))))).name_id.value == "person-1"


# --- values read otherwise than they were signed


@pytest.mark.parametrize("path", [".//s:NameID", ".//s:AttributeValue[1]", ".//s:Audience", "s:Assertion/s:Issuer"])
def test_a_comment_cuts_no_value_short(path: str) -> None:
    """VU#475445: CVE-2017-11427, -11428, -11429, -11430, CVE-2018-0489, CVE-2018-5387."""
    root = etree.fromstring(SIGNED_ASSERTION)
    value = at(root, path)[0]
    text = value.text
    value.text = text[:4]
    value.append(etree.Comment(""))
    value[0].tail = text[4:]
    assert refusal(root) == "comment-in-value"


def test_a_comment_that_was_signed_cuts_no_value_short() -> None:
    """The same where the provider signs comments too: that form of canonicalisation is refused."""
    root = unsigned(forged=False)
    value = at(root, ".//s:NameID")[0]
    value.text = "admin"
    value.append(etree.Comment(""))
    value[0].tail = ".evil.example"
    commented = EXCLUSIVE_C14N + "WithComments"
    stated = own_reference(root, transforms=TRANSFORMS.replace(EXCLUSIVE_C14N, commented))
    assert refusal(with_signature(root, signature(stated, canonicalization=commented))) in {
        "comment-in-value",
        "canonicalization",
    }


def test_a_processing_instruction_hides_no_part_of_a_value() -> None:
    """xml-crypto writes an instruction out as text: `<?p not-an-?>admin` is signed as one word, read as another."""
    document = reissued(texting("//s:NameID", "not-an-admin"), sign=("Assertion",))
    hidden = document.replace(b">not-an-admin<", b"><?p not-an-?>admin<")
    assert hidden != document
    assert refusal(hidden) == "processing-instruction"


def test_the_text_of_a_value_is_the_whole_of_it() -> None:
    """CDATA sections and character references are the same text: nothing before, between or after them is lost."""
    document = reissued(texting("//s:NameID", "admin.evil.example"), sign=("Assertion",))
    for written in (b"admin<![CDATA[.evil]]>.example", b"<![CDATA[admin]]>.evil.exam&#112;le"):
        changed = document.replace(b">admin.evil.example<", b">" + written + b"<")
        assert changed != document
        assert arrived(changed).name_id.value == "admin.evil.example"


# --- digests and signed infos that are not the signed ones


@pytest.mark.parametrize("home", ["p:Status/p:StatusDetail", "p:Extensions", "s:Assertion/s:Advice", "s:Assertion"])
def test_a_digest_outside_of_the_signature_is_not_read(home: str) -> None:
    """CVE-2024-45409: ruby-saml took the first DigestValue of the document."""
    root = etree.fromstring(SIGNED_ASSERTION)
    forge_person(root)
    stray = parsed(f"<ds:DigestValue>{digest_of(ASSERTION.element(root))}</ds:DigestValue>")
    here = root
    for step in home.split("/"):
        found = here.find(tag(step))
        here = etree.SubElement(here, tag(step)) if found is None else found
    here.insert(0, stray)
    assert refusal(root) in {"digest", "stray-signature-part", "signature-place"}


def test_a_digest_in_a_comment_is_not_read() -> None:
    """CVE-2025-29775: xml-crypto read a comment inside DigestValue."""
    root = etree.fromstring(SIGNED_ASSERTION)
    forge_person(root)
    value = root.find(f".//{{{DS}}}DigestValue")
    comment = etree.Comment(digest_of(ASSERTION.element(root)))
    comment.tail, value.text = value.text, None
    value.append(comment)
    assert refusal(root) == "comment-in-value"


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("holder", ["", "ds:Object", "ds:KeyInfo"])
def test_there_is_one_signed_info(index: int, holder: str) -> None:
    """CVE-2025-29774: xml-crypto verified one SignedInfo and took the references of another."""
    root = etree.fromstring(SIGNED_ASSERTION)
    forge_person(root)
    signed = own_signature(ASSERTION, root)
    other = copy.deepcopy(signed[0])
    other.find(f".//{{{DS}}}DigestValue").text = digest_of(ASSERTION.element(root))
    if holder:
        wrapped = parsed(f"<{holder}/>")
        wrapped.append(other)
        other = wrapped
    signed.insert(index, other)
    assert refusal(root) in {"signature-shape", "signed-info-shape"}


@pytest.mark.parametrize("where", ["assertion", "response", "signed-info"])
def test_what_cannot_be_canonicalised_is_not_nothing(where: str) -> None:
    """CVE-2025-66568: libxml2 fails on relative namespaces, and ruby-saml took the digest of no octets at all."""
    root = unsigned()
    nothing = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    identifier = ASSERTION.element(root).get("ID")
    document = octets(with_signature(root, signature(reference("#" + identifier, nothing))))
    start = {"assertion": b"<saml:Assertion", "response": b"<samlp:Response", "signed-info": b"<ds:SignedInfo"}[where]
    relative = document.replace(start, start + b' xmlns:x="1"', 1)
    assert relative != document
    assert refusal(relative) in {"malformed", "namespace", "relative-namespace", "signature", "digest"}


# --- the wrong element


@pytest.mark.parametrize("first", [True, False])
def test_an_assertion_beside_a_signed_one_is_not_believed(first: bool) -> None:  # noqa: FBT001
    """CVE-2021-28091 (Lasso), CVE-2021-29451 and many before: one valid signature for all assertions."""
    root = etree.fromstring(SIGNED_ASSERTION)
    own = ASSERTION.element(root)
    (own.addprevious if first else own.addnext)(evil(ASSERTION, own))
    assert refusal(root) == "assertion-misplaced"


@pytest.mark.parametrize("home", ["p:Extensions", "p:Status", "s:Issuer"])
def test_the_assertion_that_is_read_is_the_signed_one(home: str) -> None:
    """CVE-2025-47949: samlify verified the assertion that was hidden, and read the one that was not signed."""
    root = etree.fromstring(SIGNED_ASSERTION)
    own = ASSERTION.element(root)
    instead(root, own, evil(ASSERTION, own))
    here = root.find(tag(home))
    if here is None:
        here = etree.SubElement(root, tag(home))
    here.append(own)
    assert refusal(root) == "assertion-misplaced"


def test_a_signature_of_a_part_is_none_of_the_whole() -> None:
    """CVE-2025-54419: node-saml read the document although only a part of it had been signed."""
    root = unsigned()
    subject = at(root, ".//s:Subject")[0]
    subject.set("ID", "_subject")
    made = signature(reference("#_subject", digest_of(subject)))
    assert refusal(with_signature(root, made)) == "reference-uri"


@pytest.mark.parametrize("where", ["beside", "assertion", "response"])
def test_a_signature_of_something_else_is_none_of_an_answer(where: str) -> None:
    """CVE-2025-46572, CVE-2024-6800: anything that the provider ever signed, such as its metadata, carried along."""
    metadata = etree.fromstring(identity_provider().metadata(now=NOW))
    root = unsigned()
    extensions = parsed("<p:Extensions/>")
    root.insert(1, extensions)
    extensions.append(metadata)
    if where != "beside":
        give({"assertion": ASSERTION, "response": RESPONSE}[where].element(root), take(metadata.find(SIGNATURE)))
    assert refusal(root) in {"unsigned", "reference-uri"}


def test_there_is_one_root() -> None:
    """CVE-2022-39299, CVE-2022-39300: node-saml took the first of several roots."""
    forged = octets(unsigned())
    assert refusal(forged + SIGNED_ASSERTION) == "malformed"
    assert refusal(SIGNED_ASSERTION + forged) == "malformed"


# --- two parsers, two readings


@pytest.mark.parametrize(
    "prologue",
    [
        b"<!DOCTYPE x [<!NOTATION x SYSTEM 'x\">]><!--'>]>",
        b"<!DOCTYPE x [<!ENTITY x '\"><!--'>]>",
        b"<!DOCTYPE samlp:Response [<!ATTLIST samlp:Response xmlns:samlp CDATA 'urn:evil'>]>",
        b"<!DOCTYPE x SYSTEM '\"]><!--'>",
        b"<!-- <!DOCTYPE --><!DOCTYPE x>",
        b"<?xml version='1.0' ?><!ELEMENT x ANY>",
    ],
)
def test_a_document_type_is_refused_before_any_parser_reads_it(prologue: bytes) -> None:
    """CVE-2025-25291: two parsers of ruby-saml disagreed on where a declaration ends."""
    assert refusal(prologue + SIGNED_ASSERTION) == "declaration"


@pytest.mark.parametrize("binding", ["", "urn:evil", DS + " ", DS[:-1], "HTTP" + DS[4:]])
def test_a_signature_has_one_namespace_for_everybody(binding: str) -> None:
    """CVE-2025-25292, CVE-2025-66567: two parsers of ruby-saml saw two different elements as the signature."""
    root = etree.fromstring(SIGNED_ASSERTION)
    own = take(own_signature(ASSERTION, root))
    forge_person(root)
    decoy = octets(own).replace(b'xmlns:ds="' + DS.encode() + b'"', f'xmlns="{binding}"'.encode()).replace(b"ds:", b"")
    document = octets(root).replace(b"</saml:Issuer><saml:Subject>", b"</saml:Issuer>" + decoy + b"<saml:Subject>")
    assert document != octets(root)
    assert refusal(document) in {"unsigned", "malformed", "namespace", "relative-namespace"}
    hidden = document.replace(b"<samlp:Status>", b"<samlp:Status>" + octets(own))
    assert refusal(hidden) in {"signed-element-without-id", "reference-uri", "signature-place", "malformed"}


@pytest.mark.parametrize("pollution", ["samlp:ID", "saml:ID", "x:ID"])
def test_an_attribute_has_one_name_for_everybody(pollution: str) -> None:
    """CVE-2025-66567: `ID` and `samlp:ID` on one element, each parser with another one."""
    root = etree.fromstring(SIGNED_ASSERTION)
    own = ASSERTION.element(root).get("ID")
    forge_person(root)
    document = octets(root).replace(
        f'ID="{own}"'.encode(), f'ID="_evil" {pollution}="{own}" xmlns:x="urn:x"'.encode(), 1
    )
    assert refusal(document) == "reference-uri"
    both = octets(root).replace(f'ID="{own}"'.encode(), f'ID="{own}" {pollution}="{own}" xmlns:x="urn:x"'.encode(), 1)
    assert refusal(both) == "id-not-unique"


@pytest.mark.parametrize(
    "name",
    [
        b"<:Subject/>",
        b"<saml::Subject/>",
        b"<saml:a:b/>",
        b'<x xmlns:="urn:x"/>',
        b"<saml: />",
        b'<x :a="1"/>',
        b"<q:x/>",
    ],
)
def test_names_that_do_not_survive_rewriting_are_refused(name: bytes) -> None:
    """CVE-2020-29509, -29510, -29511: Go wrote another document than it had read."""
    assert refusal(SIGNED_ASSERTION.replace(b"<samlp:Status>", b"<samlp:Status>" + name, 1)) == "malformed"
