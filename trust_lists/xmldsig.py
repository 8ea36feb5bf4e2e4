"""XML signatures, in process: making them and, above all, deciding which bytes were really signed.

Everything the gateway believes of a SAML message or a metadata list comes out of `verify`. It lets the
document through the structural gate (`xmlgate`), checks the signature with a key that the caller names, and
answers the canonical bytes of the signed element. Callers parse those bytes and nothing else, so what is read
is what was signed.

No clock is read: a pinned certificate is the trust itself, its validity dates are not looked at.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from xml.parsers import expat

import xmlsec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from lxml import etree
from xmlsec import constants

from trust_lists.model import VerifiedBytes
from trust_lists.xmlgate import (
    DIGEST_ALGORITHMS,
    DS,
    ECDSA_SHA256,
    ENVELOPED,
    EXCLUSIVE_C14N,
    INCLUSIVE_NAMESPACES,
    LIST_LIMITS,
    MESSAGE_LIMITS,
    RSA_SHA256,
    SAML,
    SHA256,
    SIGNATURE_ALGORITHMS,
    Element,
    Limits,
    SignatureRefusedError,
    check_signatures,
    parse,
)

__all__ = [
    "LIST_LIMITS",
    "MESSAGE_LIMITS",
    "Limits",
    "SignatureRefusedError",
    "Signer",
    "parse",
    "verify",
    "verify_octets",
]

MINIMUM_RSA_BITS = 2048
SIGNATURE = f"{{{DS}}}Signature"


# --- verifying


def verify(
    document: bytes,
    *,
    certificates: Sequence[bytes],
    expected_root: str,
    element_id: str | None = None,
    limits: Limits = MESSAGE_LIMITS,
) -> VerifiedBytes:
    """Verify one signed element of `document`; its exclusive-C14N bytes, without its signature.

    `expected_root` is the root's name in Clark notation, `element_id` the ID of the signed element (default:
    the root). `certificates` are DER; no other key is ever used. Give `LIST_LIMITS` for metadata lists.
    Raises `SignatureRefusedError`: the code of a rule of the gate, or `malformed`, `root`, `no-such-element`,
    `unsigned`, `no-key`, `signature`, `digest`.
    """
    root = parse(document, limits=limits)
    if root.tag != expected_root:
        raise SignatureRefusedError("root")
    check_signatures(root)
    signed = root if element_id is None else _by_id(root, element_id)
    if signed is None:
        raise SignatureRefusedError("no-such-element")
    signature = signed.find(SIGNATURE)
    if signature is None:
        raise SignatureRefusedError("unsigned")
    _check_value(signed, signature, certificates)
    return _digested(signed, signature)


def verify_octets(octets: bytes, signature: bytes, *, algorithm: str, certificates: Sequence[bytes]) -> None:
    """Verify a detached signature over `octets` (SAML Bindings §3.4.4.1).

    Raises `SignatureRefusedError`: `signature-algorithm`, `no-key`, `signature`.
    """
    if algorithm not in SIGNATURE_ALGORITHMS:
        raise SignatureRefusedError("signature-algorithm")
    _, transform = SIGNATURE_ALGORITHMS[algorithm]
    for key in _keys_for(algorithm, certificates):
        context = xmlsec.SignatureContext()
        context.key = key
        try:
            context.verify_binary(octets, transform, signature)
        except (xmlsec.Error, ValueError):
            continue
        return
    raise SignatureRefusedError("signature")


def _by_id(root: Element, element_id: str) -> Element | None:
    return next((element for element in root.iter(etree.Element) if element.get("ID") == element_id), None)


def _check_value(signed: Element, signature: Element, certificates: Sequence[bytes]) -> None:
    """Let xmlsec verify the reference and the signature value, with each fitting key in turn."""
    for key in _keys_for(signature[0][1].get("Algorithm", ""), certificates):
        context = xmlsec.SignatureContext()
        context.key = key
        context.register_id(signed, "ID")
        try:
            context.verify(signature)
        except (xmlsec.Error, ValueError):
            continue
        return
    raise SignatureRefusedError("signature")


def _digested(signed: Element, signature: Element) -> VerifiedBytes:
    """Take the signature out and canonicalise; give the bytes out only if SignedInfo states their digest.

    xmlsec compared a digest already, of bytes that it does not show; this one is of the bytes that are read
    later.
    """
    reference = signature[0][2]
    prefixes = reference[0][1].find(INCLUSIVE_NAMESPACES)
    inclusive = [] if prefixes is None else prefixes.get("PrefixList", "").split()
    algorithm = DIGEST_ALGORITHMS[reference[1].get("Algorithm", "")]
    try:
        stated = base64.b64decode("".join((reference[2].text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureRefusedError("digest") from None
    _remove(signature)
    octets = _canonical(signed, inclusive)
    if not hmac.compare_digest(hashlib.new(algorithm, octets).digest(), stated):
        raise SignatureRefusedError("digest")
    return VerifiedBytes(octets)


def _remove(signature: Element) -> None:
    """Take the signature out as the enveloped transform does: text after it stays (XMLDSIG §6.6.4)."""
    parent, previous, tail = signature.getparent(), signature.getprevious(), signature.tail or ""
    assert parent is not None
    if previous is None:
        parent.text = (parent.text or "") + tail
    else:
        previous.tail = (previous.tail or "") + tail
    parent.remove(signature)


def _canonical(element: Element, inclusive: list[str]) -> bytes:
    if element.getparent() is not None:
        # On its own, with every namespace in scope: lxml canonicalises a part without those of its ancestors.
        element = etree.fromstring(etree.tostring(element, with_tail=False, encoding="utf-8"))
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=inclusive or None
    )


# --- keys


def _keys_for(algorithm: str, certificates: Sequence[bytes]) -> list[Any]:
    """Load the keys of `certificates` that fit the algorithm. Raises `no-key`."""
    kind, _ = SIGNATURE_ALGORITHMS[algorithm]
    keys = [key for key_kind, key in map(_load, certificates) if key_kind == kind]
    if not keys:
        raise SignatureRefusedError("no-key")
    return keys


@lru_cache(maxsize=4096)
def _load(certificate: bytes) -> tuple[str, Any]:
    """Load the key of a DER certificate once: that costs more than a verification.

    xmlsec copies it at each use.
    """
    try:
        kind = _kind(load_der_x509_certificate(certificate).public_key())
        if kind:
            return kind, xmlsec.Key.from_memory(certificate, constants.KeyDataFormatCertDer)
    except (ValueError, UnsupportedAlgorithm, xmlsec.Error):
        pass
    return "", None


def _kind(key: object) -> str:
    """`rsa`, `ec`, or nothing for a key that is not used: too short, or of another family."""
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa" if key.key_size >= MINIMUM_RSA_BITS else ""
    return "ec" if isinstance(key, ec.EllipticCurvePublicKey) else ""


# --- signing


class Signer:
    """A private key that stays loaded, with its certificate. Safe to share between threads.

    RSA keys sign with rsa-sha256, elliptic-curve keys with ecdsa-sha256; exclusive C14N, SHA-256 digest.
    `algorithm` is the URI of the signature algorithm, `certificate_der` the certificate.
    """

    def __init__(self, key: Any, algorithm: str, certificate_der: bytes) -> None:
        self._key = key
        self.algorithm = algorithm
        self.certificate_der = certificate_der

    @classmethod
    def from_pem(cls, key: bytes, certificate: bytes) -> "Signer":
        """Load an unencrypted PEM private key and its PEM certificate.

        Raises `ValueError` if they do not fit.
        """
        private = serialization.load_pem_private_key(key, password=None)
        parsed = load_pem_x509_certificate(certificate)
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if private.public_key().public_bytes(*form) != parsed.public_key().public_bytes(*form):
            raise ValueError("the certificate is of another key")
        kind = _kind(parsed.public_key())
        if not kind:
            raise ValueError(f"needed is an elliptic-curve key, or an RSA key of {MINIMUM_RSA_BITS} bits or more")
        pkcs8 = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(
            xmlsec.Key.from_memory(pkcs8, constants.KeyDataFormatPem),
            RSA_SHA256 if kind == "rsa" else ECDSA_SHA256,
            parsed.public_bytes(serialization.Encoding.DER),
        )

    def sign(self, octets: bytes) -> bytes:
        """Sign `octets`, detached; an ECDSA value is r and s side by side (XMLDSIG 1.1 §6.4.3)."""
        context = xmlsec.SignatureContext()
        context.key = self._key
        _, transform = SIGNATURE_ALGORITHMS[self.algorithm]
        return bytes(context.sign_binary(octets, transform))

    def sign_element(self, document: bytes, element_id: str) -> bytes:
        """Put an enveloped signature over the element whose `ID` is `element_id` into `document`.

        It stands where the SAML schemas want it: after the element's Issuer, or as its first child. All other
        octets stay as they are. Raises `ValueError` if there is no such element, or it is empty or signed
        already, and `SignatureRefusedError` for a document that no reader would accept.
        """
        element = _by_id(parse(document, limits=LIST_LIMITS), element_id)
        if element is None or not len(element) or element.find(SIGNATURE) is not None:
            raise ValueError("no element of that ID, or it is empty, or it is signed already")
        digest = base64.b64encode(hashlib.sha256(_canonical(element, [])).digest()).decode()
        info = _SIGNED_INFO.format(algorithm=self.algorithm, element_id=element_id, digest=digest)
        value = base64.b64encode(self.sign(_CANONICAL_SIGNED_INFO.format(info=info).encode())).decode()
        certificate = base64.b64encode(self.certificate_der).decode()
        signature = _SIGNATURE.format(info=info, value=value, certificate=certificate).encode()
        place = _SignaturePlace(element_id).find(document)
        return document[:place] + signature + document[place:]


# Written in canonical form, so that what is signed needs no second pass through a parser.
_SIGNED_INFO = (
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE_C14N}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
    '<ds:Reference URI="#{element_id}"><ds:Transforms>'
    f'<ds:Transform Algorithm="{ENVELOPED}"></ds:Transform>'
    f'<ds:Transform Algorithm="{EXCLUSIVE_C14N}"></ds:Transform>'
    f'</ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
_CANONICAL_SIGNED_INFO = f'<ds:SignedInfo xmlns:ds="{DS}">{{info}}'
_SIGNATURE = (
    f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>{{info}}<ds:SignatureValue>{{value}}</ds:SignatureValue>'
    "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    "</ds:Signature>"
)


class _PlaceFoundError(Exception):
    """Ends the search."""


class _SignaturePlace:
    """Finds the octet at which an element's signature is to be spliced in, without rewriting the document.

    expat is the one parser that tells offsets; it reads only documents that passed `parse`, and stops at the
    place.
    """

    def __init__(self, element_id: str) -> None:
        self._element_id = element_id
        self._depth = 0
        self._element_depth = 0
        self._in_issuer = False
        self._place = -1
        self._pending = False
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.DefaultHandlerExpand = lambda _: self._settle()

    def find(self, document: bytes) -> int:
        """Search `document`; the offset in octets."""
        try:
            self._parser.Parse(document, True)
        except _PlaceFoundError:
            return self._place
        raise ValueError("no place for a signature")

    def _settle(self) -> None:
        """Note where the event after the start tag, or after the Issuer, begins: there it belongs."""
        if self._pending:
            self._place, self._pending = self._parser.CurrentByteIndex, False
            if self._in_issuer:
                raise _PlaceFoundError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._settle()
        self._depth += 1
        if not self._element_depth and attributes.get("ID") == self._element_id:
            self._element_depth, self._pending = self._depth, True
        elif self._element_depth and self._depth == self._element_depth + 1:
            if name != f"{SAML} Issuer":
                raise _PlaceFoundError
            self._in_issuer = True

    def _end(self, _name: str) -> None:
        self._settle()
        if self._in_issuer and self._depth == self._element_depth + 1:
            self._pending = True
        self._depth -= 1
