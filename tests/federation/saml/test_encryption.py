import base64
from dataclasses import replace

import pytest
import xmlsec
from lxml import etree
from xmlsec import constants

from federation.saml.service_provider import SamlAssertion, SamlResponseRefusedError, SamlServiceProvider
from tests.federation.saml.peers import (
    ATTRIBUTES,
    NOW,
    SAML,
    SAMLP,
    answer,
    arrived,
    listed_idp,
    listed_sp,
    pem_pair,
    reissued,
    service_provider,
    signer,
    texting,
    unsigned,
    xml_of,
)
from trust_lists.xmldsig import canonical
from trust_lists.xmlenc import SUPPORTED_METHODS, Decrypter, EncryptionImpossibleError, encrypt
from trust_lists.xmlgate import Element

OURS = Decrypter.from_pem(pem_pair("encryption"))
OTHERS = Decrypter.from_pem(pem_pair("other-encryption"))
GCM = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def opening() -> SamlServiceProvider:
    """A service provider with a decryption key."""
    return service_provider(decrypter=OURS)


def opened(document: bytes, **options: object) -> SamlAssertion:
    """What it makes of a document."""
    asked = {"idp": listed_idp(), "request_id": "_asked", "now": NOW, **options}
    return opening().response(base64.b64encode(document).decode(), **asked)


def refusal(document: bytes, **options: object) -> str:
    """The code under which it refuses one."""
    with pytest.raises(SamlResponseRefusedError) as caught:
        opened(document, **options)
    return caught.value.code


def concealed(document: bytes, *, sign: str | None = None, for_whom: Decrypter = OURS) -> bytes:
    """Any Response with its assertion, as it stands there, encrypted by hand; then signed around it."""
    root = etree.fromstring(document)
    (assertion,) = root.iter(SAML + "Assertion")
    hidden = encrypt(canonical(assertion), certificates=(for_whom.certificate_der,))
    root.replace(assertion, etree.fromstring(hidden))
    octets = etree.tostring(root)
    return signer(sign).sign_element(octets, root.get("ID")) if sign else octets


def plain(*signed: str) -> bytes:
    """A Response whose named elements are signed."""
    return reissued(sign=signed)


def sealed_for(certificate: bytes, **options: object) -> bytes:
    """What our identity provider sends to a service that lists an encryption key."""
    return xml_of(answer(recipient=listed_sp(encryption_certificates=(certificate,), **options)))


def by_xmlsec(plaintext: bytes, block: object = constants.TransformAes256Gcm) -> Element:
    """An EncryptedAssertion as the xmlsec library makes it, of any octets."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(pem_pair("encryption")[1], constants.KeyDataFormatCertPem))
    holder = etree.Element(SAML + "EncryptedAssertion")
    template = xmlsec.template.encrypted_data_create(holder, block, type=constants.TypeEncElement, ns="xenc")
    xmlsec.template.encrypted_data_ensure_cipher_value(template)
    info = xmlsec.template.encrypted_data_ensure_key_info(template, ns="ds")
    key = xmlsec.template.add_encrypted_key(info, constants.TransformRsaOaep)
    xmlsec.template.encrypted_data_ensure_cipher_value(key)
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(constants.KeyDataAes, 256, constants.KeyDataTypeSession)
    holder.append(context.encrypt_binary(template, plaintext))
    return holder


# --- opening


@pytest.mark.parametrize(
    ("within", "around"), [(True, False), (False, True), (True, True)], ids=["signed-within", "signed-around", "both"]
)
def test_a_signature_within_or_around_the_encryption_counts(*, within: bool, around: bool) -> None:
    """Either is enough; the person is the same as without encryption."""
    document = plain("Assertion") if within else plain()
    found = opened(concealed(document, sign="idp" if around else None))
    assert found.name_id is not None
    assert found.name_id.value == "person-1"
    assert found.attributes == {attribute.name: attribute.values for attribute in ATTRIBUTES}


def test_what_is_encrypted_but_nowhere_signed_is_refused() -> None:
    """Anybody can encrypt for us: our key is public."""
    assert refusal(concealed(plain())) == "unsigned"


@pytest.mark.parametrize(("within", "around"), [("thief", "idp"), ("idp", "thief"), ("thief", None)])
def test_every_signature_there_is_must_verify(within: str, around: str | None) -> None:
    """A good one does not make up for a bad one."""
    document = concealed(reissued(sign=("Assertion",), by=within), sign=around)
    assert refusal(document) == "signature"


def test_an_altered_assertion_within_a_good_envelope_is_refused() -> None:
    """The signature within is of other content."""
    root = etree.fromstring(plain("Assertion"))
    texting("//s:NameID", "somebody-else")(root)
    assert refusal(concealed(etree.tostring(root), sign="idp")) == "digest"


def test_cipher_text_altered_under_a_signature_is_refused_before_it_is_opened() -> None:
    """The envelope's signature covers the cipher text."""
    document = concealed(plain("Assertion"), sign="idp")
    root = etree.fromstring(document)
    values = list(root.iter("{http://www.w3.org/2001/04/xmlenc#}CipherValue"))
    values[-1].text = values[-1].text[:40] + "AAAA" + values[-1].text[44:]
    assert refusal(etree.tostring(root)) == "digest"


def test_what_was_encrypted_for_somebody_else_is_refused_without_saying_why() -> None:
    """A wrong key, like everything that depends on the secret, has one code."""
    assert refusal(concealed(plain("Assertion"), for_whom=OTHERS)) == "decryption"


def test_an_encrypted_response_hides_no_assertion() -> None:
    """What is encrypted must be an assertion; the gate sees it as it sees everything from outside."""
    root = etree.fromstring(concealed(plain("Assertion")))
    (place,) = root.iter(SAML + "EncryptedAssertion")
    for inner in (plain("Response", "Assertion"), canonical(place), b"text", b"<a/><b/>"):
        again = etree.fromstring(etree.tostring(root))
        (old,) = again.iter(SAML + "EncryptedAssertion")
        again.replace(old, by_xmlsec(inner))
        assert refusal(etree.tostring(again)) == "decryption"


def test_ids_are_unique_across_the_encryption() -> None:
    """The Response and what is hidden in it are one document."""
    root = etree.fromstring(plain("Assertion"))
    (assertion,) = root.iter(SAML + "Assertion")
    root.set("ID", assertion.get("ID"))
    assert refusal(concealed(etree.tostring(root))) == "id-not-unique"


@pytest.mark.parametrize("position", [0, -1])
def test_a_plain_assertion_beside_the_encrypted_one_is_refused(position: int) -> None:
    """There is one assertion, encrypted or not."""
    root = etree.fromstring(concealed(plain("Assertion"), sign="idp"))
    (extra,) = unsigned(plain()).iter(SAML + "Assertion")
    root.insert(position % (len(root) + 1), extra)
    assert refusal(etree.tostring(root)) == "assertion-misplaced"


def test_without_a_key_of_its_own_a_service_provider_refuses_encryption() -> None:
    """It cannot know what is in there."""
    with pytest.raises(SamlResponseRefusedError, match="assertion-encrypted"):
        arrived(concealed(plain("Assertion"), sign="idp"))


def test_prefixes_declared_outside_the_encryption_are_understood() -> None:
    """Some products declare the types of attribute values on the Response alone."""
    (assertion,) = etree.fromstring(plain()).iter(SAML + "Assertion")
    text = canonical(assertion).replace(
        b"<saml:AttributeValue>", b'<saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xmlns:xs="http://www.w3.org/2001/XMLSchema" xsi:type="xs:string">',
    )  # fmt: skip
    outside = text.replace(b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', b"").replace(
        b' xmlns:xs="http://www.w3.org/2001/XMLSchema"', b""
    )
    assert outside != text
    root = etree.fromstring(plain())
    (place,) = root.iter(SAML + "Assertion")
    root.replace(place, by_xmlsec(outside))
    document = signer("idp").sign_element(etree.tostring(root), root.get("ID"))
    assert opened(document).attributes[ATTRIBUTES[0].name] == ATTRIBUTES[0].values


# --- encrypting


def test_a_service_that_lists_an_encryption_key_gets_the_signed_assertion_encrypted() -> None:
    """The Response's own signature stays outside, and nothing of the person does."""
    document = sealed_for(OURS.certificate_der)
    root = etree.fromstring(document)
    assert not list(root.iter(SAML + "Assertion"))
    assert b"person-1" not in document
    assert "髙橋".encode() not in document
    found = opened(document)
    assert found.name_id is not None
    assert found.name_id.value == "person-1"
    assert root.tag == SAMLP + "Response"
    (assertion,) = etree.fromstring(
        b"<x>" + OURS.decrypt(etree.tostring(root.find(SAML + "EncryptedAssertion"))) + b"</x>"
    )
    assert assertion.find("{http://www.w3.org/2000/09/xmldsig#}Signature") is not None


def test_the_recipients_stated_methods_are_kept_to() -> None:
    """Of what its metadata state, the first that we make; nothing weaker than that."""
    document = sealed_for(OURS.certificate_der, encryption_methods=(CBC, GCM))
    assert GCM.encode() in document
    assert opened(document).name_id is not None
    with pytest.raises(EncryptionImpossibleError):
        sealed_for(OURS.certificate_der, encryption_methods=(CBC,))


def test_a_service_without_an_encryption_key_gets_it_in_the_clear() -> None:
    """Over TLS, as the deployment profile has it."""
    assert b"person-1" in xml_of(answer(recipient=listed_sp()))


def test_the_metadata_of_a_service_provider_state_its_encryption_key_and_methods() -> None:
    """So that ID systems encrypt for it (SAML Metadata §2.4.1.1)."""
    root = etree.fromstring(opening().metadata(now=NOW))
    key = root.find(".//{urn:oasis:names:tc:SAML:2.0:metadata}KeyDescriptor[@use='encryption']")
    assert key is not None
    methods = [e.get("Algorithm") for e in key.iter("{urn:oasis:names:tc:SAML:2.0:metadata}EncryptionMethod")]
    assert methods == list(SUPPORTED_METHODS)
    assert base64.b64decode(key.findtext(".//{*}X509Certificate")) == OURS.certificate_der


# --- legacy peers


def test_encryption_without_integrity_is_for_peers_listed_as_legacy_alone() -> None:
    """CBC is refused under its code, unless the configuration names the peer."""
    root = etree.fromstring(plain("Assertion"))
    (assertion,) = root.iter(SAML + "Assertion")
    root.replace(assertion, by_xmlsec(canonical(assertion), constants.TransformAes256Cbc))
    document = etree.tostring(root)
    assert refusal(document) == "legacy-encryption"
    assert opened(document, legacy_encryption=True).name_id is not None


def test_whom_it_is_from_is_asked_of_the_list_for_encrypted_answers_too() -> None:
    """A key that the list does not give to this ID system signs nothing."""
    document = concealed(plain("Assertion"), sign="idp")
    stranger = replace(listed_idp(), signing_certificates=(signer("thief").certificate_der,))
    assert refusal(document, idp=stranger) == "signature"
