"""Forged messages whose signature says something else: references, algorithms, transforms, shapes, keys.

The signed element is altered and SignedInfo states its new digest, as an attacker without the key would do it.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial

from lxml import etree

from tests.federation.saml.wrapping import (
    PLACES,
    REFERENCES,
    SHAPES,
    Forgery,
    Target,
    own_signature,
    parsed,
    reach,
    tag,
    without_signatures,
)
from trust_lists.xmlgate import Element

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
REFERENCE = "ds:Reference"
TRANSFORMS = "ds:Reference/ds:Transforms"

URIS = {
    "empty": "",
    "missing": None,
    "xpointer-root": "#xpointer(/)",
    "xpointer-id": "#xpointer(id('_x'))",
    "remote": "http://evil.example/signed.xml",
    "file": "file:///etc/hostname",
    "other": "#_other",
    "hash-only": "#",
    "percent": "#%5f",
}
METHODS = {
    "none": ("none", ""),
    "md5": (MORE + "rsa-md5", MORE + "md5"),
    "sha1": (DS + "rsa-sha1", DS + "sha1"),
    "hmac": (MORE + "hmac-sha256", "http://www.w3.org/2001/04/xmlenc#ripemd160"),
    "dsa": (DS + "dsa-sha1", MORE + "sha224"),
    "missing": (None, None),
}
COMPUTED = {
    "xslt": "http://www.w3.org/TR/1999/REC-xslt-19991116",
    "xpath": "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "xpath-filter": "http://www.w3.org/2002/06/xmldsig-filter2",
    "base64": DS + "base64",
    "decrypt": "http://www.w3.org/2002/07/decrypt#XML",
    "inclusive": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "inclusive-11": "http://www.w3.org/2006/12/xml-c14n11",
    "comments": "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
}
LEFT_OUT = {
    "transforms": TRANSFORMS,
    "digest-method": "ds:Reference/ds:DigestMethod",
    "digest-value": "ds:Reference/ds:DigestValue",
    "reference": REFERENCE,
    "signature-method": "ds:SignatureMethod",
}
PUT_IN = {
    "two-references": ("", '<ds:Reference URI="#_x"/>'),
    "manifest": ("", "<ds:Manifest/>"),
    "two-digest-values": (REFERENCE, "<ds:DigestValue>AAAA</ds:DigestValue>"),
    "two-transforms": (REFERENCE, "<ds:Transforms/>"),
    "hmac-length": ("ds:SignatureMethod", "<ds:HMACOutputLength>1</ds:HMACOutputLength>"),
    "xpath-in-transform": (f"{TRANSFORMS}/ds:Transform", "<ds:XPath>1</ds:XPath>"),
    "xpath-in-method": ("ds:CanonicalizationMethod", "<ds:XPath>1</ds:XPath>"),
}
BESIDE = {
    "second-signed-info": "<ds:SignedInfo/>",
    "second-signature-value": "<ds:SignatureValue/>",
    "object": "<ds:Object/>",
    "manifest": "<ds:Object><ds:Manifest/></ds:Object>",
    "second-key-info": "<ds:KeyInfo/>",
    "foreign": "<shadow:Shadow/>",
    "nested": "<ds:Signature/>",
}
KEYS = {
    "retrieval-method": '<ds:RetrievalMethod URI="http://evil.example/key"/>',
    "local-retrieval": f'<ds:RetrievalMethod URI="#_key" Type="{DS}X509Data"/>',
    "key-info-reference": '<k:KeyInfoReference xmlns:k="http://www.w3.org/2009/xmldsig11#" URI="#k"/>',
    "encrypted-key": '<x:EncryptedKey xmlns:x="http://www.w3.org/2001/04/xmlenc#"/>',
    "derived-key": '<x:DerivedKey xmlns:x="http://www.w3.org/2009/xmlenc11#"/>',
    "agreement": '<x:AgreementMethod xmlns:x="http://www.w3.org/2001/04/xmlenc#"/>',
    "mgmt-data": "<ds:MgmtData>x</ds:MgmtData>",
}

Tamper = Callable[[Element], object]
"""What is done to SignedInfo; the rest of the signature is around it."""


def tampered(target: Target, root: Element, *, tamper: Tamper) -> Element:
    """The signed element altered, its new digest stated, and SignedInfo changed."""
    signed, info = target.element(root), own_signature(target, root)[0]
    target.forge(signed)
    canonical = etree.tostring(without_signatures(signed), method="c14n", exclusive=True, with_comments=False)
    reach(info, "ds:Reference/ds:DigestValue").text = b64encode(hashlib.sha256(canonical).digest()).decode()
    tamper(info)
    return root


def _setting(info: Element, path: str, attribute: str, value: str | None) -> None:
    element = reach(info, path)
    element.attrib.pop(attribute, "")
    if value is not None:
        element.set(attribute, value)


def _transforming(info: Element, algorithm: str, position: str) -> None:
    inside = reach(info, TRANSFORMS)
    if position == "third":
        etree.SubElement(inside, tag("ds:Transform"))
    inside[0 if position == "first" else -1].set("Algorithm", algorithm)


def _leaving_out(info: Element, path: str) -> None:
    found = reach(info, path)
    found.getparent().remove(found)


def _putting_in(info: Element, path: str, fragment: str) -> None:
    reach(info, path).append(parsed(fragment))


def _beside(info: Element, index: int, fragment: str) -> None:
    info.getparent().insert(index, parsed(fragment))


def _keyed(info: Element, fragment: str) -> None:
    reach(info.getparent(), "ds:KeyInfo").insert(0, parsed(fragment))


def tampering(target: Target) -> Iterator[Forgery]:
    """Every change of what the signature says."""
    for name, codes, tamper in _tampers():
        yield Forgery(name=name, codes=frozenset(codes), make=partial(tampered, target, tamper=tamper))


def _tampers() -> Iterator[tuple[str, frozenset[str] | set[str], Tamper]]:
    for name, uri in URIS.items():
        tamper = partial(_setting, path=REFERENCE, attribute="URI", value=uri)
        yield f"reference-uri-{name}", {"reference-uri"}, tamper
    for name, (signing, digesting) in METHODS.items():
        tamper = partial(_setting, path="ds:SignatureMethod", attribute="Algorithm", value=signing)
        yield f"signature-method-{name}", {"signature-algorithm"}, tamper
        tamper = partial(_setting, path="ds:Reference/ds:DigestMethod", attribute="Algorithm", value=digesting)
        yield f"digest-method-{name}", {"digest-algorithm"}, tamper
    for name, algorithm in COMPUTED.items():
        for position in ("first", "last", "third"):
            tamper = partial(_transforming, algorithm=algorithm, position=position)
            yield f"transform-{name}-{position}", {"transforms", "transforms-shape"}, tamper
        tamper = partial(_setting, path="ds:CanonicalizationMethod", attribute="Algorithm", value=algorithm)
        yield f"canonicalization-{name}", {"canonicalization"}, tamper
    yield from _misshapen()


def _misshapen() -> Iterator[tuple[str, frozenset[str] | set[str], Tamper]]:
    for name, path in LEFT_OUT.items():
        yield f"signed-info-without-{name}", SHAPES | REFERENCES, partial(_leaving_out, path=path)
    for name, (path, fragment) in PUT_IN.items():
        yield f"signed-info-with-{name}", SHAPES, partial(_putting_in, path=path, fragment=fragment)
    for name, fragment in BESIDE.items():
        for index in (0, 1, 3):
            tamper = partial(_beside, index=index, fragment=fragment)
            yield f"signature-with-{name}-at-{index}", SHAPES | PLACES, tamper
    for name, fragment in KEYS.items():
        yield f"key-by-{name}", {"key-info", "stray-signature-part"}, partial(_keyed, fragment=fragment)
