import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
import xmlsec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.trust_lists.builders import Authority, authority
from tests.trust_lists.hostile import not_for_ever
from trust_lists import xmlgate
from trust_lists.xmldsig import SignatureRefusedError, Signer, parse, verify, verify_octets
from trust_lists.xmlgate import MESSAGE_LIMITS, Limits

DS = "http://www.w3.org/2000/09/xmldsig#"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
NOTE = "{urn:note}Note"
DOCUMENT = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    '<n:Note xmlns:n="urn:note" xmlns:xs="urn:xs" ID="_note">\n'
    '  <saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">大村市</saml:Issuer> <!-- x --> \n'
    '  <n:Body ID="_body" xmlns:unused="urn:unused"><n:Text b="2" a="1">髙橋 &amp; &#13;</n:Text></n:Body>\n'
    "</n:Note>"
).encode()


@cache
def signer_of(by: Authority) -> Signer:
    """The authority's signer, loaded once."""
    return by.signer


def signed(document: bytes = DOCUMENT, element_id: str = "_note", by: Authority | None = None) -> bytes:
    """The document signed by an authority."""
    return signer_of(by or authority()).sign_element(document, element_id)


def check(document: bytes, by: Authority | None = None, **options: object) -> bytes:
    """Verify with an authority's certificate."""
    options = {"certificates": [(by or authority()).der], "expected_root": NOTE, **options}
    return verify(document, **options)


def refusal(document: bytes, **options: object) -> str:
    """The code under which the document is refused."""
    with pytest.raises(SignatureRefusedError) as caught:
        check(document, **options)
    return caught.value.code


def canonical(document: bytes) -> bytes:
    """Exclusive C14N of a whole document, as a second opinion."""
    return etree.tostring(etree.fromstring(document), method="c14n", exclusive=True, with_comments=False)


def test_answers_the_canonical_bytes_without_the_signature() -> None:
    """What is answered is the signed element in exclusive C14N, the signature gone, all other text kept."""
    assert check(signed()) == canonical(DOCUMENT)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_signs_and_verifies_with_both_families_of_keys(kind: str) -> None:
    """RSA and P-256 keys sign what the same key's certificate verifies, and nobody else's does."""
    own, other = authority("own", kind), authority("other", kind)
    document = signed(by=own)
    assert check(document, own) == canonical(DOCUMENT)
    assert refusal(document, certificates=[other.der]) == "signature"


def test_tries_every_key_that_fits() -> None:
    """During a change of keys both are pinned; one of another family or unreadable is passed over."""
    pinned = [authority("old").der, authority("curve", "ec").der, b"no certificate", authority().der]
    assert check(signed(), certificates=pinned) == canonical(DOCUMENT)


@pytest.mark.parametrize("pinned", [[], ["ec"], ["weak"]])
def test_refuses_without_a_fitting_key(pinned: list[str]) -> None:
    """No key, a key of another family, an RSA key that is too short: nothing to verify with."""
    keys = {"ec": authority("curve", "ec"), "weak": authority("weak", bits=1024)}
    assert refusal(signed(), certificates=[keys[name].der for name in pinned]) == "no-key"


def test_the_key_in_the_document_is_never_used() -> None:
    """A stranger who signs validly and sends the own certificate along is refused all the same."""
    stranger = authority("stranger")
    document = signed(by=stranger)
    assert base64.b64encode(stranger.der) in document
    assert refusal(document) == "signature"


def test_splices_the_signature_and_leaves_all_other_octets() -> None:
    """The signature stands after the Issuer; taking its octets out again gives the original document."""
    document = signed()
    start, end = (
        document.index(b"<ds:Signature "),
        document.index(b"</ds:Signature>") + len("</ds:Signature>"),
    )
    assert document[:start] + document[end:] == DOCUMENT
    assert document[:start].endswith("大村市</saml:Issuer>".encode())


@pytest.mark.parametrize(
    ("document", "before"),
    [
        (b'<n:Note xmlns:n="urn:note" ID="_note"><n:A/></n:Note>', b'ID="_note">'),
        (b'\xef\xbb\xbf<n:Note xmlns:n="urn:note" ID="_note">text<n:A/></n:Note>', b'ID="_note">'),
        (b'<n:Note xmlns:n="urn:note" ID="_note"><!-- x --><n:A/></n:Note>', b'ID="_note">'),
        (
            b'<n:Note xmlns:n="urn:note" ID="_note"><Issuer xmlns="%s"/><n:A/></n:Note>' % SAML.encode(),
            b'"/>',
        ),
        ('<n:Note xmlns:n="urn:note" 髙="橋>" ID="_note"\n ><n:A/></n:Note>'.encode(), b"\n >"),
    ],
)
def test_finds_the_place_of_the_signature(document: bytes, before: bytes) -> None:
    """Whatever surrounds it: directly after the Issuer if there is one, otherwise the very first child."""
    made = signed(document)
    assert made[: made.index(b"<ds:Signature ")].endswith(before)
    assert check(made) == canonical(document)


def test_an_inner_and_an_outer_signature_verify_each() -> None:
    """The outer one covers the inner one; each answers its own element."""
    document = signed(signed(DOCUMENT, "_body"))
    inner = check(document, element_id="_body")
    text = '<n:Text a="1" b="2">髙橋 &amp; &#xD;</n:Text>'
    assert inner.decode() == f'<n:Body xmlns:n="urn:note" ID="_body">{text}</n:Body>'
    assert b'URI="#_body"' in check(document)
    assert b'URI="#_note"' not in check(document)


@pytest.mark.parametrize("element_id", ["_none", "_note"])
def test_refuses_to_sign_what_cannot_carry_a_signature(element_id: str) -> None:
    """No such element, or one that is signed already."""
    with pytest.raises(ValueError, match="no element of that ID"):
        signer_of(authority()).sign_element(signed(), element_id)


def test_a_signer_needs_a_strong_key_and_its_own_certificate() -> None:
    """A certificate of another key, or a key that no verifier here would take, is refused at loading."""
    own, other, weak = authority("own"), authority("other"), authority("weak", bits=1024)
    with pytest.raises(ValueError, match="another key"):
        Signer.from_pem(own.key_pem, other.certificate_pem)
    with pytest.raises(ValueError, match="2048"):
        Signer.from_pem(weak.key_pem, weak.certificate_pem)


# --- what other software signs


def signed_by_xmlsec(document: bytes, element_id: str, key: Authority, **form: object) -> bytes:
    """An enveloped signature as the xmlsec library makes it, with any algorithm."""
    root = etree.fromstring(document)
    (element,) = root.xpath("//*[@ID=$id]", id=element_id)
    signature = xmlsec.template.create(
        root,
        form.get("canonicalization", xmlsec.constants.TransformExclC14N),
        form.get("signature", xmlsec.constants.TransformRsaSha256),
        ns="sig",
    )
    element.insert(1 if element[0].tag == f"{{{SAML}}}Issuer" else 0, signature)
    digest = form.get("digest", xmlsec.constants.TransformSha256)
    reference = xmlsec.template.add_reference(signature, digest, uri="#" + element_id)
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    exclusive = xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    if prefixes := form.get("prefixes"):
        xmlsec.template.transform_add_c14n_inclusive_namespaces(exclusive, prefixes)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(key.key_pem, xmlsec.constants.KeyDataFormatPem)
    context.register_id(element, "ID")
    context.sign(signature)
    return etree.tostring(root)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("rsa", {}),
        (
            "rsa",
            {"signature": xmlsec.constants.TransformRsaSha512, "digest": xmlsec.constants.TransformSha512},
        ),
        (
            "rsa",
            {"signature": xmlsec.constants.TransformRsaSha384, "digest": xmlsec.constants.TransformSha384},
        ),
        ("ec", {"signature": xmlsec.constants.TransformEcdsaSha256}),
        ("ec", {"signature": xmlsec.constants.TransformEcdsaSha512}),
        ("rsa", {"prefixes": ["xs"]}),
        ("rsa", {"prefixes": ["#default", "xs", "n"]}),
    ],
)
@pytest.mark.parametrize("element_id", ["_note", "_body"])
def test_verifies_what_other_software_signs(kind: str, form: dict[str, object], element_id: str) -> None:
    """Every allowed algorithm, also with ancestors' namespaces signed along (InclusiveNamespaces)."""
    key = authority("peer", kind)
    octets = check(signed_by_xmlsec(DOCUMENT, element_id, key, **form), key, element_id=element_id)
    assert b"Signature" not in octets
    assert (b"urn:xs" in octets) == ("prefixes" in form)
    assert "髙橋 &amp; &#xD;".encode() in octets


# --- the gate


def edited(*changes: tuple[str, str], document: bytes | None = None) -> bytes:
    """A signed document with texts replaced, each exactly where it stands first."""
    text = (document or signed()).decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text.encode()


METHOD = f'<ds:CanonicalizationMethod Algorithm="{xmlgate.EXCLUSIVE_C14N}">'
TRANSFORM = f'<ds:Transform Algorithm="{xmlgate.EXCLUSIVE_C14N}">'
ENVELOPED = f'<ds:Transform Algorithm="{xmlgate.ENVELOPED}">'
SHA1 = ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")
ASSERTION = f'<Assertion xmlns="{SAML}"/>'

BROKEN: list[tuple[str, Callable[[], bytes]]] = [
    ("too-large", lambda: signed().replace(b"</n:Note>", b" " * MESSAGE_LIMITS.octets + b"</n:Note>")),
    ("too-many-nodes", lambda: edited(("</n:Note>", "<a/>" * 2 * MESSAGE_LIMITS.nodes + "</n:Note>"))),
    ("too-many-namespaces", lambda: edited(("</n:Note>", '<a xmlns=""/>' * 1001 + "</n:Note>"))),
    ("too-deep", lambda: edited(("</n:Note>", "<a>" * 33 + "</a>" * 33 + "</n:Note>"))),
    ("encoding", lambda: edited(("UTF-8", "UTF-7"))),
    ("encoding", lambda: signed().decode().replace("UTF-8", "UTF-16").encode("utf-16")),
    ("declaration", lambda: edited(("<n:Note", "<!DOCTYPE n:Note><n:Note"))),
    (
        "declaration",
        lambda: edited(("<n:Note", '<!DOCTYPE n [<!ENTITY e SYSTEM "file:///etc/passwd">]><n:Note')),
    ),
    ("declaration", lambda: edited(("<n:Note", "<!doctype n:Note><n:Note"))),
    ("processing-instruction", lambda: edited(("<n:Body", "<?php x?><n:Body"))),
    ("processing-instruction", lambda: b"<?xml-stylesheet href='x'?>" + signed().split(b"?>\n", 1)[1]),
    ("too-many-attributes", lambda: edited(("<n:Text ", "<n:Text " + "".join(f'c{i}="" ' for i in range(1000))))),
    ("malformed", lambda: edited(("<n:Body", '<n:Body xmlns:relative="1"'))),
    ("malformed", lambda: edited(("<ds:SignedInfo>", '<ds:SignedInfo xmlns:relative="1">'))),
    ("comment-in-value", lambda: edited(("髙橋", "髙<!-- -->橋"))),
    ("comment-in-value", lambda: edited(("大村市", "<!-- -->大村市"))),
    ("id-not-unique", lambda: edited(('<n:Text b="2"', '<n:Text ID="_note" b="2"'))),
    ("id-not-unique", lambda: edited(('<n:Text b="2"', '<n:Text Id="_note" b="2"'))),
    ("id-not-unique", lambda: edited(('<n:Text b="2"', '<n:Text xml:id="_body" b="2"'))),
    ("assertion-misplaced", lambda: edited(("</n:Note>", 2 * ASSERTION + "</n:Note>"))),
    ("assertion-misplaced", lambda: edited(("</n:Body>", ASSERTION + "</n:Body>"))),
    (
        "assertion-misplaced",
        lambda: edited(("</n:Body>", ASSERTION.replace("As", "EncryptedAs") + "</n:Body>")),
    ),
    ("malformed", lambda: edited(("</n:Note>", "</n:Node>"))),
    ("malformed", lambda: edited(("髙橋", "&undefined;"))),
    ("malformed", lambda: signed().replace("髙".encode(), b"\xff\xfe")),
    ("malformed", lambda: b""),
    ("root", lambda: signed(b'<n:Other xmlns:n="urn:note" ID="_o"><n:A/></n:Other>', "_o")),
    ("unsigned", lambda: DOCUMENT),
    ("unsigned", lambda: signed(DOCUMENT, "_body")),
    (
        "signed-element-without-id",
        lambda: edited(('<n:Note xmlns:n="urn:note" xmlns:xs="urn:xs" ID=', '<n:Note xmlns:n="urn:note" Id=')),
    ),
    ("signed-element-without-id", lambda: edited(('ID="_note"', "ID=\"xpointer(id('_note'))\""))),
    ("signature-place", lambda: moved_to_the_end(signed())),
    ("two-signatures", lambda: doubled(signed())),
    ("signature-shape", lambda: edited(("</ds:Signature>", "<ds:Object><a/></ds:Object></ds:Signature>"))),
    ("signature-shape", lambda: edited(("<ds:SignatureValue>", "<ds:Manifest/><ds:SignatureValue>"))),
    ("signature-shape", lambda: edited(("<ds:SignatureValue>", "<!-- --><ds:SignatureValue>"))),
    ("signed-info-shape", lambda: edited(("</ds:SignedInfo>", "<ds:Reference/></ds:SignedInfo>"))),
    ("canonicalization", lambda: edited((METHOD, METHOD.replace("c14n#", "c14n#WithComments")))),
    ("canonicalization", lambda: edited((METHOD, METHOD + "<ds:XPath/>"))),
    (
        "signature-algorithm",
        lambda: edited((xmlgate.RSA_SHA256, "http://www.w3.org/2000/09/xmldsig#rsa-sha1")),
    ),
    (
        "signature-algorithm",
        lambda: edited((xmlgate.RSA_SHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")),
    ),
    (
        "signature-algorithm",
        lambda: signed_by_xmlsec(DOCUMENT, "_note", authority(), signature=xmlsec.constants.TransformRsaSha1),
    ),
    (
        "signature-parameters",
        lambda: edited(("</ds:SignatureMethod>", "<ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>")),
    ),
    ("reference-uri", lambda: edited(('URI="#_note"', 'URI="#_body"'))),
    ("reference-uri", lambda: edited(('URI="#_note"', 'URI=""'))),
    ("reference-uri", lambda: edited((' URI="#_note"', ""))),
    ("reference-uri", lambda: edited(('URI="#_note"', 'URI="http://evil.example/#_note"'))),
    ("reference-shape", lambda: edited(("<ds:Transforms>", "<ds:Transforms/><ds:Transforms>"))),
    ("transforms-shape", lambda: edited(("</ds:Transforms>", TRANSFORM + "</ds:Transform></ds:Transforms>"))),
    (
        "transforms",
        lambda: edited((TRANSFORM, '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">')),
    ),
    (
        "transforms",
        lambda: edited((ENVELOPED, '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">')),
    ),
    ("transforms", lambda: edited((ENVELOPED, ENVELOPED + "<ds:XPath>1</ds:XPath>"))),
    ("inclusive-prefixes", lambda: edited((TRANSFORM, TRANSFORM + inclusive("a " * 11)))),
    ("inclusive-prefixes", lambda: edited((METHOD, METHOD + inclusive("a b " * 6)))),
    ("digest-algorithm", lambda: edited(SHA1)),
    (
        "digest-algorithm",
        lambda: signed_by_xmlsec(DOCUMENT, "_note", authority(), digest=xmlsec.constants.TransformSha1),
    ),
    (
        "key-info",
        lambda: edited(("<ds:X509Data>", '<ds:RetrievalMethod URI="http://evil.example/"/><ds:X509Data>')),
    ),
    ("stray-signature-part", lambda: edited(("</n:Body>", f'<Object xmlns="{DS}"/></n:Body>'))),
    ("stray-signature-part", lambda: edited(("</n:Body>", f'<Manifest xmlns="{DS}"/></n:Body>'))),
    ("key-info", lambda: edited(("<ds:X509Data>", "<ds:X509Data><ds:RetrievalMethod/>"))),
    ("no-such-element", signed),
    ("digest", lambda: edited(("髙橋", "高橋"))),
    ("signature", lambda: edited(("<ds:SignatureValue>", "<ds:SignatureValue>AAAA"))),
    ("signature", lambda: edited(("<ds:DigestValue>", "<ds:DigestValue>髙"))),
    ("no-key", lambda: signed(by=authority("curve", "ec"))),
]


def inclusive(prefixes: str) -> str:
    """The parameter of exclusive canonicalisation that names prefixes."""
    return f'<e:InclusiveNamespaces xmlns:e="{xmlgate.EXCLUSIVE_C14N}" PrefixList="{prefixes}"/>'


def moved_to_the_end(document: bytes) -> bytes:
    """The signature as the last child."""
    root = etree.fromstring(document)
    root.append(root.find(f"{{{DS}}}Signature"))
    return etree.tostring(root)


def doubled(document: bytes) -> bytes:
    """Two signatures side by side."""
    start, end = (
        document.index(b"<ds:Signature "),
        document.index(b"</ds:Signature>") + len("</ds:Signature>"),
    )
    return document[:end] + document[start:end] + document[end:]


@pytest.mark.parametrize(("code", "document"), BROKEN)
def test_each_rule_refuses_under_its_code(code: str, document: Callable[[], bytes]) -> None:
    """A document that breaks one rule is refused, and the code says which."""
    options = {"element_id": "_none"} if code == "no-such-element" else {}
    assert refusal(document(), **options) == code


def test_every_rule_has_a_document_that_breaks_it() -> None:
    """No rule stands in the tables untested."""
    rules = {rule.code for rule in xmlgate.RULES}
    assert rules - {code for code, _ in BROKEN} == set()


def test_comments_between_elements_do_not_matter() -> None:
    """They are not signed (exclusive C14N leaves them out), and they are not answered."""
    document = edited(("<n:Body", "<!-- added later --><n:Body"))
    assert check(document) == canonical(DOCUMENT)


def test_entities_are_not_resolved_and_nothing_is_fetched() -> None:
    """A declaration hidden from the octet rules' eyes would still meet a parser that resolves nothing."""
    with pytest.raises(SignatureRefusedError):
        parse(b'<a xmlns:xi="http://www.w3.org/2001/XInclude">&#0;</a>')
    root = parse(b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/hostname" parse="text"/></a>')
    assert "".join(root.itertext()) == ""


# --- wrapping: the signed element is kept somewhere, another one stands where it is read


def wrapped(place: str) -> bytes:
    """A note signed by the authority, carried inside a forged one in one of several ways."""
    original = etree.fromstring(signed())
    forged = etree.fromstring(signed().replace("髙橋".encode(), "悪".encode()))
    signature = forged.find(f"{{{DS}}}Signature")
    if not place.endswith(("twice", "in-original")):
        forged.set("ID", "_evil")
        forged.find("{urn:note}Body").set("ID", "_evil-body")
    if place == "original-beside-forged":
        forged.append(original)
    elif place == "original-in-object":
        etree.SubElement(signature, f"{{{DS}}}Object").append(original)
    elif place == "original-in-key-info":
        signature.find(f"{{{DS}}}KeyInfo").append(original)
    elif place == "original-in-certificate":
        signature.find(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data").append(original)
    elif place == "same-id-twice":
        forged.append(original)
    elif place == "forged-in-original":
        original.find("{urn:note}Body").append(forged)
        forged.remove(signature)
        return etree.tostring(original)
    elif place == "signature-of-another":
        original.remove(original.find(f"{{{DS}}}Signature"))
        forged.append(original)
    return etree.tostring(forged)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("original-beside-forged", "reference-uri"),
        ("original-in-object", "signature-shape"),
        ("original-in-key-info", "reference-uri"),
        ("original-in-certificate", "reference-uri"),
        ("same-id-twice", "id-not-unique"),
        ("forged-in-original", "id-not-unique"),
        ("signature-of-another", "reference-uri"),
    ],
)
def test_wrapping_is_refused(place: str, code: str) -> None:
    """Whichever way the signed element is carried along, the forged one is not believed."""
    assert refusal(wrapped(place)) == code


@settings(max_examples=150)
@given(data=st.data())
def test_any_changed_octet_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """Octets inserted, removed or replaced anywhere: refused, or the answer is the original's."""
    document = signed()
    start = data.draw(st.integers(0, len(document) - 1))
    length = data.draw(st.integers(0, 40))
    instead = data.draw(
        st.binary(max_size=12) | st.sampled_from([b"<!---->", b"<a/>", b"&#x41;", b" ", b"<![CDATA[x]]>", b'ID="_x"'])
    )
    try:
        answer = check(document[:start] + instead + document[start + length :])
    except SignatureRefusedError:
        return
    assert answer == canonical(DOCUMENT)


# --- bounds, threads, detached signatures


@pytest.mark.parametrize(
    "document",
    [
        b"<a>" + b"<b/>" * 4990 + b"</a>",
        b"<a>" + b"<!-- -->" * 4900 + b"<b/></a>",
        b"<a " + b" ".join(b'xmlns:n%d="u"' % i for i in range(990)) + b">" + b"<n1:b/>" * 4900 + b"</a>",
        b"<a " + b" ".join(b'a%d="u"' % i for i in range(40_000)) + b"/>",
        b"<a " + b" ".join(b'a:ID%d="u"' % i for i in range(30_000)) + b"/>",
        b"<a>" * 4990,
        b"<a>" + b"&#65;" * 100_000 + b"</a>",
        b"<a>" + (b'<Signature xmlns="%s"/>' % DS.encode()) * 990 + b"</a>",
        b"<!-- " + b"-" * 500_000,
        b"<" * 9_000,
    ],
)
def test_hostile_documents_take_a_bounded_time(document: bytes) -> None:
    """The worst that fits into the limits is decided at once, and not in minutes."""
    with not_for_ever(), pytest.raises(SignatureRefusedError):
        verify(document, certificates=[authority().der], expected_root="a")


@pytest.mark.parametrize("prefixes", ["a " * 20_000, "a " * 10])
def test_inclusive_prefixes_cannot_make_canonicalization_slow(prefixes: str) -> None:
    """Every prefix is looked up at every element through all ancestors, before any key is used.

    A message of 60 KB, of any sender, kept a thread busy for a minute.
    """
    declared = " ".join(f'xmlns:q{i}="urn:u"' for i in range(30))
    body = f"<a {declared}>" * 25 + "<a/>" * 500 + "</a>" * 25
    document = edited((TRANSFORM, TRANSFORM + inclusive(prefixes)), ("</n:Body>", body + "</n:Body>"))
    with not_for_ever():
        assert refusal(document) in ("inclusive-prefixes", "signature")


def test_limits_are_the_callers() -> None:
    """A metadata list may be larger than a message."""
    large = Limits(octets=10_000_000, nodes=1_000_000, namespaces=100, depth=10)
    document = signed(DOCUMENT.replace(b"</n:Note>", b"<n:A/>" * 20_000 + b"</n:Note>"))
    assert refusal(document) == "too-many-nodes"
    assert check(document, limits=large).count(b"<n:A>") == 20_000


def test_threads_do_not_disturb_each_other() -> None:
    """Signing and verifying from several threads at once, keys shared."""
    key = authority("curve", "ec")
    signer = signer_of(key)

    def work(number: int) -> bool:
        document = DOCUMENT.replace("髙橋".encode(), str(number).encode())
        return check(signer.sign_element(document, "_note"), key) == canonical(document)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_detached_signatures(kind: str) -> None:
    """Over exactly these octets, by exactly this key, under an allowed algorithm."""
    key = authority("own", kind)
    signature = signer_of(key).sign(b"SAMLRequest=x")
    algorithm = signer_of(key).algorithm
    verify_octets(b"SAMLRequest=x", signature, algorithm=algorithm, certificates=[key.der])

    def code(octets: bytes, value: bytes, uri: str, pinned: list[bytes]) -> str:
        with pytest.raises(SignatureRefusedError) as caught:
            verify_octets(octets, value, algorithm=uri, certificates=pinned)
        return caught.value.code

    assert code(b"SAMLRequest=y", signature, algorithm, [key.der]) == "signature"
    assert code(b"SAMLRequest=x", b"", algorithm, [key.der]) == "signature"
    assert code(b"SAMLRequest=x", signature, DS + "rsa-sha1", [key.der]) == "signature-algorithm"
    assert code(b"SAMLRequest=x", signature, algorithm, []) == "no-key"
