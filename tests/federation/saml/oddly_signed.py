"""Answers that the identity provider's real key signed in ways that it never would itself."""

import base64
import hashlib

import pytest
from lxml import etree

from federation.saml.service_provider import SamlResponseRefusedError
from tests.federation.saml.peers import reissued, signer
from tests.federation.saml.signed import ASSERTION, answered, forge_person, reader
from tests.federation.saml.wrapping import (
    NAMESPACES,
    give,
    octets,
    parsed,
    without_signatures,
)
from trust_lists.xmlgate import ECDSA_SHA256, ENVELOPED, EXCLUSIVE_C14N, RSA_SHA256, SHA256, Element

DS = NAMESPACES["ds"]
SIGNED_ASSERTION = answered("rsa", ASSERTION)
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
EXCLUSIVE = f'<ds:Transform Algorithm="{EXCLUSIVE_C14N}"/>'
TRANSFORMS = f'<ds:Transform Algorithm="{ENVELOPED}"/>{EXCLUSIVE}'


def refusal(document: bytes | Element, kind: str = "rsa") -> str:
    """The code under which the answer is refused."""
    with pytest.raises(SamlResponseRefusedError) as caught:
        reader(kind)(document if isinstance(document, bytes) else octets(document))
    return caught.value.code


def unsigned(*, forged: bool = True) -> Element:
    """An answer without signatures; `forged`: of another person."""
    root = etree.fromstring(reissued(sign=()))
    if forged:
        forge_person(root)
    return root


def digest_of(element: Element, **form: object) -> str:
    """The digest of an element in canonical form, its signatures left out."""
    options = {"exclusive": True, "with_comments": False, **form}
    return base64.b64encode(
        hashlib.sha256(etree.tostring(without_signatures(element), method="c14n", **options)).digest()
    ).decode()


def reference(uri: str | None, digest: str, *, transforms: str = TRANSFORMS, method: str = SHA256) -> str:
    """A Reference; no transforms at all if there are none."""
    stated = "" if uri is None else f' URI="{uri}"'
    inside = f"<ds:Transforms>{transforms}</ds:Transforms>" if transforms else ""
    return (
        f'<ds:Reference{stated}>{inside}<ds:DigestMethod Algorithm="{method}"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
    )


def signature(
    *references: str, canonicalization: str = EXCLUSIVE_C14N, algorithm: str = RSA_SHA256, more: str = ""
) -> Element:
    """A ds:Signature whose SignedInfo the identity provider's key has really signed, whatever stands in it."""
    kind = "p256" if algorithm == ECDSA_SHA256 else "rsa"
    info = parsed(
        f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonicalization}"/>'
        f'<ds:SignatureMethod Algorithm="{algorithm}"/>{"".join(references)}</ds:SignedInfo>'
    )
    value = base64.b64encode(signer("idp", kind).sign(etree.tostring(info, method="c14n", exclusive=True))).decode()
    made = parsed(f"<ds:Signature><ds:SignatureValue>{value}</ds:SignatureValue>{more}</ds:Signature>")
    made.insert(0, info)
    return made


def with_signature(root: Element, made: Element) -> Element:
    """The signature as that of the assertion."""
    give(ASSERTION.element(root), made)
    return root


def own_reference(root: Element, **form: str) -> str:
    """The Reference that a plain signature of the assertion has."""
    assertion = ASSERTION.element(root)
    return reference("#" + assertion.get("ID"), digest_of(assertion), **form)
