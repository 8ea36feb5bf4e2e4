import base64
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from xml.sax.saxutils import escape, quoteattr

import pytest
import xmlsec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from saml2.sigver import pre_encryption_part

from tests.trust_lists.builders import Authority, authority
from trust_lists.xmldsig import SignatureRefusedError, verify
from trust_lists.xmlenc import SUPPORTED_METHODS, Decrypter, EncryptionImpossibleError, encrypt
from trust_lists.xmlenc_rules import (
    AES_256_GCM,
    BLOCK_ALGORITHMS,
    ELEMENT,
    ENCRYPTION_RULES,
    OAEP_DIGESTS,
    OAEP_MASKS,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    XENC,
    XENC11,
    oaep,
)
from trust_lists.xmlgate import DS, SAML

SHA1 = DS + "sha1"
SHA256 = XENC + "sha256"
GCM = [name for name, block in BLOCK_ALGORITHMS.items() if block.authenticated]
CBC = [name for name, block in BLOCK_ALGORITHMS.items() if not block.authenticated]
ASSERTION = (
    f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="_assertion">'
    "<saml:Issuer>https://idp.example/</saml:Issuer><saml:AttributeStatement>"
    '<saml:Attribute Name="familyName"><saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:type="xs:string">髙橋 &amp; &#13;</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>'
    "</saml:Assertion>"
).encode()


def us() -> Authority:
    """Whoever decrypts."""
    return authority("us")


@cache
def decrypter(*names: str) -> Decrypter:
    """A decrypter with the keys of these names."""
    return Decrypter.from_pem(*((a.key_pem, a.certificate_pem) for a in map(authority, names or ("us",))))


def opened(document: bytes, *, legacy: bool = False) -> bytes:
    """Decrypt with our key."""
    return decrypter().decrypt(document, legacy=legacy)


def refusal(document: bytes, *, legacy: bool = False, by: Decrypter | None = None) -> str:
    """The code under which the document is refused."""
    with pytest.raises(SignatureRefusedError) as caught:
        (by or decrypter()).decrypt(document, legacy=legacy)
    assert caught.value.args == (caught.value.code,)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.code


def canonical(document: bytes) -> bytes:
    """Exclusive C14N of a whole document."""
    return etree.tostring(etree.fromstring(document), method="c14n", exclusive=True, with_comments=True)


# --- what others make


def method(name: str, *inside: str) -> str:
    """An EncryptionMethod."""
    return f'<xenc:EncryptionMethod Algorithm="{name}">{"".join(inside)}</xenc:EncryptionMethod>'


def digest(name: str) -> str:
    """A DigestMethod."""
    return f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{name}"/>'


def mask(name: str) -> str:
    """A mask generation function."""
    return f'<xenc11:MGF xmlns:xenc11="{XENC11}" Algorithm="{name}"/>'


CIPHER_DATA = "<xenc:CipherData><xenc:CipherValue/></xenc:CipherData>"


def template(block: str, transport: str, *, key_info: str = "", key: str = "", data: str = "") -> str:
    """An empty EncryptedData with its EncryptedKey within, for xmlsec to fill."""
    return (
        f'<xenc:EncryptedData xmlns:xenc="{XENC}" Type="{ELEMENT}"{data}>{method(block)}<ds:KeyInfo xmlns:ds="{DS}">'
        f"<xenc:EncryptedKey{key}>{transport}{key_info}{CIPHER_DATA}</xenc:EncryptedKey></ds:KeyInfo>{CIPHER_DATA}"
        "</xenc:EncryptedData>"
    )


def encrypted_by_xmlsec(
    made: str, *, response: bytes | None = None, sibling: bool = False, to: Authority | None = None
) -> bytes:
    """Let python-xmlsec encrypt the assertion within a response; the EncryptedAssertion as the gate cuts it out."""
    response = response or b'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">%s</samlp:Response>' % (
        ASSERTION
    )
    root = etree.fromstring(response)
    assertion = root.find(f"{{{SAML}}}Assertion")
    around = etree.SubElement(root, f"{{{SAML}}}EncryptedAssertion")
    around.append(assertion)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory((to or us()).certificate_pem, xmlsec.KeyFormat.CERT_PEM))
    context = xmlsec.EncryptionContext(manager)
    filled = etree.fromstring(made)
    size = 8 * BLOCK_ALGORITHMS[filled[0].get("Algorithm")].key_octets
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, size, xmlsec.KeyDataType.SESSION)
    data = context.encrypt_xml(filled, assertion)
    if sibling:
        around.append(data.find(f"{{{DS}}}KeyInfo/{{{XENC}}}EncryptedKey"))
        data.remove(data.find(f"{{{DS}}}KeyInfo"))
    return etree.tostring(around)


TRANSPORTS = {
    "mgf1p, nothing stated": method(RSA_OAEP_MGF1P),
    "mgf1p, SHA-1": method(RSA_OAEP_MGF1P, digest(SHA1)),
    "mgf1p, SHA-256": method(RSA_OAEP_MGF1P, digest(SHA256)),
    "1.1, nothing stated": method(RSA_OAEP),
    **{
        f"1.1, {d[-6:]}, {m[-6:]}": method(RSA_OAEP, digest(d), mask(m))
        for d, m in zip(OAEP_DIGESTS, OAEP_MASKS, strict=True)
    },
    "1.1, SHA-256, MGF1 with SHA-1": method(RSA_OAEP, digest(SHA256), mask(XENC11 + "mgf1sha1")),
    "1.1, SHA-1, MGF1 with SHA-256": method(RSA_OAEP, digest(SHA1), mask(XENC11 + "mgf1sha256")),
}


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS)
@pytest.mark.parametrize("block", BLOCK_ALGORITHMS)
def test_opens_what_xmlsec_encrypts(block: str, transport: str) -> None:
    """Every block encryption with every key transport; CBC only from a peer that is listed as legacy."""
    made = encrypted_by_xmlsec(template(block, transport))
    assert canonical(opened(made, legacy=block in CBC)) == canonical(ASSERTION)


CERTIFICATE = (
    f'<ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>TUlJ</ds:X509Certificate></ds:X509Data></ds:KeyInfo>'
)
SERIAL = (
    f'<KeyInfo xmlns="{DS}"><X509Data><X509IssuerSerial><X509IssuerName>CN=x</X509IssuerName><X509SerialNumber>1'
    "</X509SerialNumber></X509IssuerSerial></X509Data></KeyInfo>"
)


def with_key_info(made: bytes, key_info: str) -> bytes:
    """Put a KeyInfo into EncryptedKey after xmlsec filled it: xmlsec would look for the key it names."""
    root = etree.fromstring(made)
    next(root.iter(f"{{{XENC}}}EncryptedKey")).insert(1, etree.fromstring(key_info))
    return etree.tostring(root)


def test_opens_the_shapes_that_products_send() -> None:
    """Shibboleth: key within, Recipient, certificate. AD FS: issuer and serial. Keycloak, SimpleSAMLphp: key alone."""
    transport = TRANSPORTS["mgf1p, SHA-1"]
    shibboleth = template(AES_256_GCM, transport, data=' Id="_data"', key=' Id="_key" Recipient="https://sp.example/"')
    plain = template(AES_256_GCM, transport)
    for made in (
        with_key_info(encrypted_by_xmlsec(shibboleth), CERTIFICATE),
        with_key_info(encrypted_by_xmlsec(plain), SERIAL),
        encrypted_by_xmlsec(plain),
        encrypted_by_xmlsec(plain).replace(f' Type="{ELEMENT}"'.encode(), b""),
    ):
        assert canonical(opened(made)) == canonical(ASSERTION)


def test_opens_with_the_key_beside_the_data() -> None:
    """With the hints that products write then: which data the key is for, and what it is called."""
    made = encrypted_by_xmlsec(template(AES_256_GCM, method(RSA_OAEP_MGF1P), data=' Id="_data"'), sibling=True)
    assert canonical(opened(made)) == canonical(ASSERTION)
    hints = (
        b'<xenc:ReferenceList><xenc:DataReference URI="#_data"/></xenc:ReferenceList>'
        b"<xenc:CarriedKeyName>k</xenc:CarriedKeyName></xenc:EncryptedKey>"
    )
    assert canonical(opened(made.replace(b"</xenc:EncryptedKey>", hints))) == canonical(ASSERTION)


def test_opens_the_template_of_pysaml2() -> None:
    """It names its key and gives every part an Id."""
    made = pre_encryption_part(msg_enc=XENC11 + "aes128-gcm", key_enc=RSA_OAEP_MGF1P, key_name="k")
    filled = encrypted_by_xmlsec(str(made).split("?>", 1)[-1].strip())
    assert b"<ns1:KeyName>k</" in filled or b"KeyName>k</" in filled
    assert canonical(opened(filled)) == canonical(ASSERTION)


def test_reads_the_assertion_within_the_namespaces_around_it() -> None:
    """A prefix that only an ancestor declares, also in a value, and the default namespace, mean the same as before."""
    response = (
        '<Response xmlns="urn:default" xmlns:xml="http://www.w3.org/XML/1998/namespace" '
        f'xmlns:a="{SAML}" xmlns:xs="urn:&amp;\'s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        '<a:Assertion ID="_a"><a:V xsi:type="xs:string">v</a:V><own/></a:Assertion></Response>'
    ).encode()
    made = encrypted_by_xmlsec(template(AES_256_GCM, method(RSA_OAEP_MGF1P)), response=response)
    assert opened(made).count(b"xmlns:a=") == 1
    value, own = etree.fromstring(opened(made))
    assert value.nsmap["xs"] == "urn:&'s"
    assert value.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "xs:string"
    assert own.tag == "{urn:default}own"


def test_a_signature_within_is_still_good() -> None:
    """What was signed, then encrypted, is verified after decryption, by us and with xmlsec between."""
    idp = authority("idp")
    signed = idp.signer.sign_element(ASSERTION, "_assertion")
    root = f"{{{SAML}}}Assertion"
    for made in (
        encrypt(signed, certificates=[us().der]),
        encrypted_by_xmlsec(template(AES_256_GCM, method(RSA_OAEP)), response=b"<r>%s</r>" % signed),
    ):
        plain = opened(made)
        assert verify(plain, certificates=[idp.der], expected_root=root) == canonical(ASSERTION)
        with pytest.raises(SignatureRefusedError, match="signature"):
            verify(plain, certificates=[authority("other").der], expected_root=root)


def test_decryption_is_not_verification() -> None:
    """Anybody can encrypt for a published certificate: what nobody signed comes out, and is refused by `verify`."""
    plain = opened(encrypt(ASSERTION, certificates=[us().der]))
    with pytest.raises(SignatureRefusedError, match="unsigned"):
        verify(plain, certificates=[authority("idp").der], expected_root=f"{{{SAML}}}Assertion")


# --- what we make


def opened_by_xmlsec(document: bytes) -> bytes:
    """Let python-xmlsec decrypt."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(us().key_pem, xmlsec.KeyFormat.PEM))
    return etree.tostring(xmlsec.EncryptionContext(manager).decrypt(etree.fromstring(document)[0]))


def opened_by_python3_saml(document: bytes) -> bytes:
    """Let python3-saml decrypt."""
    data = etree.fromstring(document)[0]
    return etree.tostring(OneLogin_Saml2_Utils.decrypt_element(data, us().key_pem.decode()))


@pytest.mark.parametrize("transport", [RSA_OAEP, RSA_OAEP_MGF1P])
@pytest.mark.parametrize("block", GCM)
def test_others_open_what_we_encrypt(block: str, transport: str) -> None:
    """python-xmlsec and python3-saml, for everything that we write."""
    made = encrypt(ASSERTION, certificates=[us().der], methods=(block, transport), recipient='https://sp.example/?"<')
    assert canonical(opened_by_xmlsec(made)) == canonical(ASSERTION)
    assert canonical(opened_by_python3_saml(made)) == canonical(ASSERTION)
    assert canonical(opened(made)) == canonical(ASSERTION)


def stated(made: bytes) -> tuple[str, str, list[str]]:
    """The algorithms in an encrypted assertion: block, transport, its parameters."""
    block, transport = etree.fromstring(made).iter(f"{{{XENC}}}EncryptionMethod")
    return block.get("Algorithm"), transport.get("Algorithm"), [child.get("Algorithm") for child in transport]


TRIPLE_DES, RSA_1_5, AES_128_CBC = XENC + "tripledes-cbc", XENC + "rsa-1_5", XENC + "aes128-cbc"


@pytest.mark.parametrize(
    ("methods", "block", "transport"),
    [
        ((), AES_256_GCM, RSA_OAEP_MGF1P),
        ((GCM[2], GCM[0]), GCM[2], RSA_OAEP_MGF1P),
        ((TRIPLE_DES, AES_128_CBC, GCM[1], RSA_1_5, RSA_OAEP), GCM[1], RSA_OAEP),
        ((RSA_OAEP_MGF1P, RSA_OAEP), AES_256_GCM, RSA_OAEP_MGF1P),
        (("urn:new", DS + "sha1", XENC + "kw-aes256"), AES_256_GCM, RSA_OAEP_MGF1P),
        (SUPPORTED_METHODS, AES_256_GCM, RSA_OAEP),
    ],
)
def test_takes_what_the_recipient_puts_first(methods: tuple[str, ...], block: str, transport: str) -> None:
    """Of each kind the first that we support; where none is stated, what every product reads."""
    parameters = [SHA1] if transport == RSA_OAEP_MGF1P else [SHA256, XENC11 + "mgf1sha256"]
    made = encrypt(ASSERTION, certificates=[us().der], methods=methods)
    assert stated(made) == (block, transport, parameters)
    assert canonical(opened(made)) == canonical(ASSERTION)


@pytest.mark.parametrize(
    ("methods", "code"),
    [
        ((AES_128_CBC, TRIPLE_DES, RSA_OAEP), "block-encryption"),
        ((XENC + "aes192-cbc",), "block-encryption"),
        ((AES_256_GCM, RSA_1_5), "key-transport"),
    ],
)
def test_does_not_encrypt_weakly(methods: tuple[str, ...], code: str) -> None:
    """A recipient that states only CBC or only RSA 1.5 gets nothing, and the code says which it was."""
    with pytest.raises(EncryptionImpossibleError) as caught:
        encrypt(ASSERTION, certificates=[us().der], methods=methods)
    assert caught.value.code == code


def test_encrypts_for_the_first_rsa_key() -> None:
    """Keys of other families, too short or unreadable ones are passed over; with no other, nothing is encrypted."""
    others = [b"none", authority("curve", "ec").der, authority("weak", bits=1024).der]
    assert canonical(opened(encrypt(ASSERTION, certificates=[*others, us().der, authority("other").der])))
    for certificates in ([], others):
        with pytest.raises(EncryptionImpossibleError) as caught:
            encrypt(ASSERTION, certificates=certificates)
        assert caught.value.code == "encryption-certificate"


def test_encrypts_assertions_alone() -> None:
    """Anything else is our own mistake; a document that no reader would accept is refused as by a reader."""
    with pytest.raises(ValueError, match="not a saml:Assertion"):
        encrypt(b"<Assertion/>", certificates=[us().der])
    with pytest.raises(SignatureRefusedError, match="comment-in-value"):
        encrypt(ASSERTION.replace(b"https://idp", b"https://<!-- -->idp"), certificates=[us().der])


def test_every_encryption_is_new() -> None:
    """Neither key nor nonce is used again, and nothing of the assertion is to be read."""
    made = {encrypt(ASSERTION, certificates=[us().der]) for _ in range(5)}
    values = [value.text for each in made for value in etree.fromstring(each).iter(f"{{{XENC}}}CipherValue")]
    assert len(set(values)) == 10
    assert len({base64.b64decode(value)[:12] for value in values}) == 10
    assert not any("髙橋".encode() in each or b"_assertion" in each for each in made)


def test_an_xml_declaration_stays_outside() -> None:
    """It has no place within an element, where the recipient puts what it decrypted."""
    made = encrypt(b'<?xml version="1.0" encoding="UTF-8"?>\n' + ASSERTION + b"\n", certificates=[us().der])
    assert canonical(opened_by_xmlsec(made)) == canonical(opened(made)) == canonical(ASSERTION)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


@settings(max_examples=100)
@given(text=TEXT | st.sampled_from(["\r\n\t", "]]>", "&lt;", "</plain>", "<?x?>", "\ufeff"]), value=TEXT)
def test_decryption_undoes_encryption(text: str, value: str) -> None:
    """For any text and attribute value, the assertion that comes out is the one that went in."""
    assertion = (
        f'<s:Assertion xmlns:s="{SAML}" xmlns="urn:d"><s:Issuer Format={quoteattr(value)}>'
        f"{escape(text, {chr(13): '&#13;'})}</s:Issuer><d/></s:Assertion>"
    ).encode()
    assert canonical(opened(encrypt(assertion, certificates=[us().der]))) == canonical(assertion)


# --- keys


def test_opens_with_every_key_during_a_change() -> None:
    """What was encrypted for the old and for the new key is opened; the first certificate is the published one."""
    both = decrypter("new", "us")
    assert both.certificate_der == authority("new").der
    for name in ("new", "us"):
        assert canonical(both.decrypt(encrypt(ASSERTION, certificates=[authority(name).der]))) == canonical(ASSERTION)
    assert refusal(encrypt(ASSERTION, certificates=[authority("other").der]), by=both) == "decryption"


def test_keys_of_different_size_stand_side_by_side() -> None:
    """A cipher text as long as the other key is no fault."""
    long = authority("long", bits=3072)
    both = Decrypter.from_pem((us().key_pem, us().certificate_pem), (long.key_pem, long.certificate_pem))
    for der in (us().der, long.der):
        assert canonical(both.decrypt(encrypt(ASSERTION, certificates=[der]))) == canonical(ASSERTION)


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([], "at least one key"),
        ([(us().key_pem, authority("other").certificate_pem)], "of another key"),
        ([(authority("curve", "ec").key_pem, authority("curve", "ec").certificate_pem)], "RSA key of 2048 bits"),
        (
            [(authority("weak", bits=1024).key_pem, authority("weak", bits=1024).certificate_pem)],
            "RSA key of 2048 bits",
        ),
        ([(us().key_pem, us().certificate_pem), (b"", b"")], "PEM"),
    ],
)
def test_loads_only_fitting_rsa_keys(pairs: list[tuple[bytes, bytes]], text: str) -> None:
    """No key, somebody else's certificate, another family, too short, unreadable."""
    with pytest.raises(ValueError, match=text):
        Decrypter.from_pem(*pairs)


def test_is_shared_between_threads() -> None:
    """One decrypter serves all of them at once."""
    made = [encrypt(ASSERTION.replace(b"_assertion", b"_%d" % n), certificates=[us().der]) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        plain = list(pool.map(opened, made))
    assert [etree.fromstring(each).get("ID") for each in plain] == [f"_{n}" for n in range(40)]


def test_never_takes_a_key_from_the_message() -> None:
    """A private or symmetric key that a stranger sends along opens nothing."""
    stranger = authority("stranger")
    made = encrypted_by_xmlsec(template(AES_256_GCM, method(RSA_OAEP_MGF1P)), to=stranger)
    value = base64.b64encode(stranger.key_pem).decode()
    info = f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyValue>{value}</ds:KeyValue></ds:KeyInfo>'
    assert refusal(with_key_info(made, info)) == "decryption"


# --- hostile messages


def cbc(key: bytes, plain: bytes, *, count: int | None = None, filler: bytes = b"\0") -> bytes:
    """AES-CBC with padding that states `count`, true or not."""
    true = 16 - len(plain) % 16
    padded = plain + filler * (true - 1) + bytes([true if count is None else count])
    iv = os.urandom(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + encryptor.update(padded) + encryptor.finalize()


def gcm(key: bytes, plain: bytes) -> bytes:
    """AES-GCM as XML Encryption writes it."""
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, None)


def message(
    plain: bytes | None = None,
    *,
    block: str = AES_256_GCM,
    key: bytes | None = None,
    wrapped: bytes | None = None,
    cipher_text: bytes | None = None,
    to: Authority | None = None,
) -> bytes:
    """An encrypted assertion with every part as it is asked for."""
    plain = ASSERTION if plain is None else plain
    key = os.urandom(BLOCK_ALGORITHMS[block].key_octets) if key is None else key
    if cipher_text is None:
        cipher_text = gcm(key, plain) if block in GCM else cbc(key, plain)
    if wrapped is None:
        public = load_der_x509_certificate((to or us()).der).public_key()
        wrapped = public.encrypt(key, oaep(SHA1, XENC11 + "mgf1sha1"))
    whole = template(block, method(RSA_OAEP_MGF1P)).replace(
        "<xenc:CipherValue/>", f"<xenc:CipherValue>{base64.b64encode(wrapped).decode()}</xenc:CipherValue>", 1
    )
    whole = whole.replace(
        "<xenc:CipherValue/>", f"<xenc:CipherValue>{base64.b64encode(cipher_text).decode()}</xenc:CipherValue>"
    )
    return f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{whole}</saml:EncryptedAssertion>'.encode()


def test_the_message_of_these_tests_is_good() -> None:
    """Unchanged, it is opened: what is refused below is refused for what was changed."""
    assert canonical(opened(message())) == canonical(ASSERTION)
    assert canonical(opened(message(block=CBC[0]), legacy=True)) == canonical(ASSERTION)


METHODS = method(RSA_OAEP_MGF1P).encode()
ENCRYPTED_KEY = b"<xenc:EncryptedKey>"
KEY_INFO = b'<ds:KeyInfo xmlns:ds="%s">' % DS.encode()
BROKEN = [
    ("retrieval-method", KEY_INFO, KEY_INFO + b'<ds:RetrievalMethod URI="#_key"/>'),
    ("retrieval-method", ENCRYPTED_KEY, ENCRYPTED_KEY + b'<x:KeyInfoReference xmlns:x="urn:x" URI="http://x/"/>'),
    (
        "cipher-reference",
        b"<xenc:CipherData>",
        b'<xenc:CipherData><xenc:CipherReference URI="http://169.254.169.254/"/>',
    ),
    ("encrypted-data", b"EncryptedData", b"Other"),
    (
        "encrypted-data",
        b"</saml:EncryptedAssertion>",
        b"<xenc:EncryptedData xmlns:xenc='%s'/></saml:EncryptedAssertion>",
    ),
    ("encrypted-data", b"<xenc:CipherValue>", b"<xenc:CipherValue><EncryptedData/>"),
    ("encrypted-key", b"xenc:EncryptedKey", b"xenc:Other"),
    ("encrypted-key", b"</ds:KeyInfo>", b"<xenc:EncryptedKey/></ds:KeyInfo>"),
    ("encrypted-key", b"</saml:EncryptedAssertion>", b"<xenc:EncryptedKey xmlns:xenc='%s'/></saml:EncryptedAssertion>"),
    ("encrypted-assertion-shape", b"</saml:EncryptedAssertion>", b"<saml:Issuer/></saml:EncryptedAssertion>"),
    ("encrypted-assertion-shape", b"<xenc:EncryptedData", b"<!-- --><xenc:EncryptedData"),
    ("encrypted-data-shape", b"</xenc:EncryptedData>", b"<xenc:EncryptionProperties/></xenc:EncryptedData>"),
    ("encrypted-data-type", b"#Element", b"#Content"),
    ("encrypted-data-type", b"#Element", b""),
    ("encrypted-key-shape", b"</xenc:EncryptedKey>", b"<xenc:EncryptionProperties/></xenc:EncryptedKey>"),
    ("encrypted-key-shape", METHODS, METHODS + METHODS),
    ("key-info", b"</ds:KeyInfo>", b"<xenc:AgreementMethod Algorithm='urn:x'/></ds:KeyInfo>"),
    ("key-info", b"</ds:KeyInfo>", b"<x:DerivedKey xmlns:x='%s'/></ds:KeyInfo>" % XENC11.encode()),
    ("block-encryption", AES_256_GCM.encode(), b"http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
    ("block-encryption", AES_256_GCM.encode(), b"http://www.w3.org/2001/04/xmlenc#aes192-cbc"),
    ("block-encryption", AES_256_GCM.encode(), b""),
    ("legacy-encryption", AES_256_GCM.encode(), CBC[0].encode()),
    ("legacy-encryption", AES_256_GCM.encode(), CBC[1].encode()),
    ("block-parameters", method(AES_256_GCM).encode(), method(AES_256_GCM, "<xenc:KeySize>0</xenc:KeySize>").encode()),
    ("key-transport", RSA_OAEP_MGF1P.encode(), b"http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
    ("key-transport", RSA_OAEP_MGF1P.encode(), b"http://www.w3.org/2001/04/xmlenc#kw-aes256"),
    ("oaep-parameters", METHODS, method(RSA_OAEP_MGF1P, "<xenc:OAEPparams>eA==</xenc:OAEPparams>").encode()),
    ("oaep-parameters", METHODS, method(RSA_OAEP_MGF1P, mask(XENC11 + "mgf1sha1")).encode()),
    ("oaep-parameters", METHODS, method(RSA_OAEP, digest(SHA1), digest(SHA1)).encode()),
    ("oaep-parameters", METHODS, method(RSA_OAEP, digest(SHA1).replace("/>", "><x/></ds:DigestMethod>")).encode()),
    ("oaep-parameters", METHODS, method(RSA_OAEP_MGF1P, f'<DigestMethod Algorithm="{SHA256}"/>').encode()),
    ("encrypted-key-shape", METHODS, METHODS.replace(b"xenc:", b"")),
    ("oaep-digest", METHODS, method(RSA_OAEP_MGF1P, digest("http://www.w3.org/2001/04/xmldsig-more#md5")).encode()),
    ("oaep-digest", METHODS, method(RSA_OAEP_MGF1P, digest(XENC + "sha512")).encode()),
    ("oaep-mask", METHODS, method(RSA_OAEP, mask(XENC11 + "mgf1sha224")).encode()),
    ("cipher-value", b"<xenc:CipherValue>", b"<xenc:CipherValue>!"),
    ("cipher-value", b"<xenc:CipherValue>", b"<xenc:CipherValue>="),
    ("cipher-value", b"<xenc:CipherValue>", "<xenc:CipherValue>髙".encode()),
    ("cipher-value", b"<xenc:CipherValue>", b"<xenc:CipherValue><x/>"),
    ("cipher-value", b"<xenc:CipherValue>", b"<xenc:CipherValue/><xenc:CipherValue>"),
    ("cipher-value", b"</xenc:CipherValue>", b"<x/>AAAA</xenc:CipherValue>"),
    ("cipher-value", b"xenc:CipherValue", b"xenc:Value"),
    ("root", b"saml:EncryptedAssertion", b"saml:EncryptedID"),
    ("root", b"saml:EncryptedAssertion", b"saml:Assertion"),
    ("id-not-unique", b"<xenc:EncryptedKey>", b'<xenc:EncryptedKey Id="a" ID="a">'),
    ("comment-in-value", b"<xenc:CipherValue>", b"<xenc:CipherValue><!-- -->"),
    ("declaration", b"<saml:EncryptedAssertion", b"<!DOCTYPE x><saml:EncryptedAssertion"),
    ("malformed", b"</saml:EncryptedAssertion>", b""),
]


@pytest.mark.parametrize(("code", "before", "after"), BROKEN)
def test_refuses_what_breaks_a_rule_before_a_key_is_used(code: str, before: bytes, after: bytes) -> None:
    """The rule's own code, also from somebody who has no key at all; a legacy peer may only use CBC beyond that."""
    document = message()
    assert before in document
    after = after.replace(b"%s", XENC.encode())
    changed = document.replace(before, after)
    assert refusal(changed, by=Decrypter([], b"")) == code
    if code != "legacy-encryption":
        assert refusal(changed, legacy=True, by=Decrypter([], b"")) == code


def test_every_rule_is_broken_once() -> None:
    """No rule is there for show, and each says what it demands."""
    codes = [rule.code for rule in ENCRYPTION_RULES]
    assert set(codes) - {code for code, _, _ in BROKEN} == set()
    assert len(set(codes)) == len(codes)
    assert all(rule.says for rule in ENCRYPTION_RULES)


def test_refuses_several_keys() -> None:
    """One assertion is for one recipient: a second key within, beside, or one in each place is refused."""
    document = message()
    start, end = document.index(ENCRYPTED_KEY), document.index(b"</ds:KeyInfo>")
    key = document[start:end]
    beside = key.replace(b"<xenc:EncryptedKey", b'<xenc:EncryptedKey xmlns:xenc="%s"' % XENC.encode())
    assert refusal(document[:end] + key + document[end:]) == "encrypted-key"
    assert refusal(document.replace(b"</saml:E", beside + b"</saml:E")) == "encrypted-key"
    info = with_key_info(document, f'<ds:KeyInfo xmlns:ds="{DS}">{beside.decode()}</ds:KeyInfo>')
    assert refusal(info) == "encrypted-key"


def assertion_with(inside: bytes) -> bytes:
    """The assertion with something more in it."""
    return ASSERTION.replace(b"</saml:Assertion>", inside + b"</saml:Assertion>")


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b" ",
        b"text",
        ASSERTION + ASSERTION,
        ASSERTION + b"text",
        b"text" + ASSERTION,
        b"\xef\xbb\xbf" + ASSERTION,
        b"<!-- -->" + ASSERTION,
        ASSERTION + b"<!-- -->",
        b"<?x?>" + ASSERTION,
        b'<?xml version="1.0"?>' + ASSERTION,
        b"<!DOCTYPE x [<!ENTITY e 'x'>]>" + ASSERTION,
        assertion_with(b"<?x?>"),
        assertion_with(b"&e;"),
        assertion_with(b"\0"),
        assertion_with(b"\xff"),
        assertion_with(b"<undeclared:x/>"),
        assertion_with(b"<x>a<!-- -->b</x>"),
        assertion_with(b'<x ID="_assertion"/>'),
        assertion_with(b"<x>" * 40 + b"</x>" * 40),
        assertion_with(b"<x/>" * 20_000),
        assertion_with(b"<saml:EncryptedAssertion/>"),
        assertion_with(b"<saml:Advice><saml:Assertion/></saml:Advice>"),
        ASSERTION[:-1],
        ASSERTION[1:],
        ASSERTION.decode().encode("utf-16"),
        b"</plain><plain>" + ASSERTION,
        ASSERTION + b"</plain><plain>",
        b"<a>" + ASSERTION + b"</a>",
        ASSERTION.replace(b"saml:Assertion", b"saml:EncryptedAssertion"),
        ASSERTION.replace(SAML.encode(), b"urn:oasis:names:tc:SAML:1.0:assertion"),
        message(),
    ],
    ids=lambda plain: plain[:20],
)
def test_whatever_is_wrong_within_has_one_code(plain: bytes) -> None:
    """Not exactly one assertion, or one that the gate refuses: the answer is the same as for a wrong key."""
    assert refusal(message(plain)) == "decryption"
    assert refusal(message(plain, block=CBC[0]), legacy=True) == "decryption"


def test_white_space_around_the_assertion_is_no_harm() -> None:
    """Some products write the element on a line of its own."""
    plain = opened(message(b"\n " + ASSERTION + b"\n"))
    assert canonical(plain) == canonical(ASSERTION)
    assert (plain[:1], plain[-1:]) == (b"<", b">")


def test_whatever_is_wrong_with_the_key_has_one_code() -> None:
    """Somebody else's, of another length, altered, not wrapped by OAEP, too short or too long for RSA."""
    public = load_der_x509_certificate(us().der).public_key()
    size = public.key_size // 8
    cases = [
        message(to=authority("other")),
        message(key=os.urandom(16), block=AES_256_GCM),
        message(key=os.urandom(32), block=XENC11 + "aes128-gcm"),
        message(key=os.urandom(24), cipher_text=os.urandom(64)),
        message(key=b"", cipher_text=os.urandom(64)),
        message(wrapped=b"\0"),
        message(wrapped=b"\0" * size),
        message(wrapped=b"\xff" * size),
        message(wrapped=(1).to_bytes(size, "big")),
        message(wrapped=os.urandom(size)),
        message(wrapped=os.urandom(size + 1)),
        message(wrapped=public.encrypt(os.urandom(32), padding.PKCS1v15())),
        message(wrapped=public.encrypt(os.urandom(32), oaep(SHA256, XENC11 + "mgf1sha256"))),
    ]
    assert {refusal(case) for case in cases} == {"decryption"}


def test_every_octet_of_the_cipher_text_counts() -> None:
    """One bit of nonce, cipher text or tag: nothing comes out."""
    key = os.urandom(32)
    plain = f'<saml:Assertion xmlns:saml="{SAML}"/>'.encode()
    good = gcm(key, plain)
    assert canonical(opened(message(key=key, cipher_text=good))) == canonical(plain)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        assert refusal(message(key=key, cipher_text=bytes(bad))) == "decryption"


@pytest.mark.parametrize("block", [GCM[0], CBC[0]])
def test_a_cipher_text_of_any_other_length_opens_nothing(block: str) -> None:
    """Truncated to nothing but a nonce, to half a block, or with octets more."""
    key = os.urandom(32)
    good = gcm(key, ASSERTION) if block in GCM else cbc(key, ASSERTION)
    lengths = [*range(1, 50), *range(len(good) - 18, len(good))]
    cases = [good[:length] for length in lengths] + [good + b"\0" * more for more in (1, 15, 16, 17)]
    assert {refusal(message(block=block, key=key, cipher_text=c), legacy=True) for c in cases} == {"decryption"}


def test_one_algorithm_is_never_taken_for_another() -> None:
    """GCM's cipher text declared as CBC, the reverse, and a key under the name of another length."""
    key = os.urandom(32)
    cases = [
        message(block=CBC[0], key=key, cipher_text=gcm(key, ASSERTION)),
        message(block=CBC[0], key=key, cipher_text=gcm(key, ASSERTION + b" " * (-(len(ASSERTION) + 28) % 16))),
        message(block=GCM[0], key=key, cipher_text=cbc(key, ASSERTION)),
        message(block=CBC[1], key=key, cipher_text=cbc(key, ASSERTION)),
        message(block=GCM[2], key=key, cipher_text=gcm(key, ASSERTION)),
    ]
    assert {refusal(case, legacy=True) for case in cases} == {"decryption"}


def test_cbc_is_for_legacy_peers_alone() -> None:
    """Anybody else is refused before a key is used; authenticated encryption is open to both."""
    for block in CBC:
        assert refusal(message(block=block)) == "legacy-encryption"
        assert canonical(opened(message(block=block), legacy=True)) == canonical(ASSERTION)
    assert canonical(opened(message(), legacy=True)) == canonical(ASSERTION)


@pytest.mark.parametrize("spaces", range(16))
def test_padding_of_cbc(spaces: int) -> None:
    """The last octet counts it, the others may be anything; a count of nothing or of more than a block is refused."""
    key = os.urandom(32)
    plain = ASSERTION + b" " * spaces
    made = cbc(key, plain, filler=b"\xa5")
    assert canonical(opened(message(block=CBC[0], key=key, cipher_text=made), legacy=True)) == canonical(ASSERTION)
    for count in (0, 17, 32, 255):
        bad = cbc(key, plain, count=count, filler=b" ")
        assert refusal(message(block=CBC[0], key=key, cipher_text=bad), legacy=True) == "decryption"


def test_cbc_without_padding_is_refused() -> None:
    """Also where the octets are an assertion as they stand."""
    key = os.urandom(32)
    whole = ASSERTION.replace(b"_assertion", b"_" + b"a" * (9 + -len(ASSERTION) % 16))
    assert len(whole) % 16 == 0
    iv = os.urandom(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    made = iv + encryptor.update(whole) + encryptor.finalize()
    assert refusal(message(block=CBC[0], key=key, cipher_text=made), legacy=True) == "decryption"


def test_an_oversized_message_is_refused_unread() -> None:
    """As by the gate, before anything is decoded."""
    assert refusal(message(ASSERTION + b" " * 600_000)) == "too-large"


@settings(max_examples=300)
@given(data=st.data())
def test_an_altered_message_gives_the_same_assertion_or_none(data: st.DataObject) -> None:
    """Whatever octets of a good message are changed, taken out or put in; never another assertion, never a crash."""
    document = bytearray(_GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(document)))
        end = start + data.draw(st.integers(0, 8))
        document[start:end] = data.draw(
            st.binary(max_size=8)
            | st.sampled_from([b"<xenc:EncryptedKey/>", b"<!---->", b"#Content", b"</", b"=", b"A"])
        )
    try:
        plain = opened(bytes(document))
    except SignatureRefusedError:
        return
    assert canonical(plain) == canonical(ASSERTION)


_GOOD = message()
