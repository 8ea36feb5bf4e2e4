"""XML signatures, in process: making them and, above all, deciding which bytes were really signed.

Everything the gateway believes of a SAML message or a metadata list comes out of `verify`. It lets the
document through the structural gate (`xmlgate`), checks the signature of SignedInfo with a key that the caller
names, canonicalises the signed element once, compares the digest of these very bytes with the signed one, and
answers them. Callers parse those bytes and nothing else, so what is read is what was signed.

libxml2 canonicalises, OpenSSL computes; both without the interpreter's lock where it matters, and without any
other program. No clock is read: a pinned certificate is the trust itself, its validity dates are not looked at.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from xml.parsers import expat

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from trust_lists.certificates import public_key
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
    gate,
    parse,
    parse_verified,
    parser,
)

__all__ = [
    "LIST_LIMITS",
    "MESSAGE_LIMITS",
    "Limits",
    "SignatureRefusedError",
    "Signer",
    "canonical",
    "canonical_message",
    "inclusive",
    "parse",
    "parse_verified",
    "remove",
    "signed_info",
    "signed_reference",
    "stated_digest",
    "verify",
    "verify_element",
    "verify_octets",
]

MINIMUM_RSA_BITS = 2048
SIGNATURE = f"{{{DS}}}Signature"

_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


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
    Raises `SignatureRefusedError`: the code of a rule of the gate, or `malformed`, `no-such-element`,
    `unsigned`, `no-key`, `signature`, `digest`.
    """
    root = gate(document, roots=(expected_root,), limits=limits)
    signed = root if element_id is None else _by_id(root, element_id)
    if signed is None:
        raise SignatureRefusedError("no-such-element")
    return verify_element(signed, certificates=certificates)


def verify_element(signed: Element, *, certificates: Sequence[bytes]) -> VerifiedBytes:
    """Verify an element of a tree that the gate let through, as `verify` does; its signature is taken out of it.

    Raises `SignatureRefusedError`: `unsigned`, `no-key`, `signature`, `digest`.
    """
    signature = signed.find(SIGNATURE)
    if signature is None:
        raise SignatureRefusedError("unsigned")
    reference = signed_reference(signature, certificates=certificates)
    algorithm, stated = stated_digest(reference)
    remove(signature)
    octets = canonical(signed, inclusive(reference[0][1]))
    if not hmac.compare_digest(hashlib.new(algorithm, octets).digest(), stated):
        raise SignatureRefusedError("digest")
    return VerifiedBytes(octets)


def signed_reference(signature: Element, *, certificates: Sequence[bytes]) -> Element:
    """Verify the value of a signature that the gate let through; its Reference, out of the octets that were signed.

    Raises `SignatureRefusedError`: `no-key`, `signature`.
    """
    return signed_info(signature, certificates=certificates)[2]


def signed_info(signature: Element, *, certificates: Sequence[bytes]) -> Element:
    """Verify as `signed_reference` does; the whole SignedInfo, out of the octets that were signed."""
    octets = canonical(signature[0], inclusive(signature[0][0]))
    info = etree.fromstring(octets, parser())
    _check_value(octets, _decoded(signature[1], "signature"), info[1].get("Algorithm", ""), certificates)
    return info


def stated_digest(reference: Element) -> tuple[str, bytes]:
    """Read which hash, by hashlib's name, of the signed element a Reference states. Raises `digest`."""
    return DIGEST_ALGORITHMS[reference[1].get("Algorithm", "")], _decoded(reference[2], "digest")


def verify_octets(octets: bytes, signature: bytes, *, algorithm: str, certificates: Sequence[bytes]) -> None:
    """Verify a detached signature over `octets` (SAML Bindings §3.4.4.1).

    Raises `SignatureRefusedError`: `signature-algorithm`, `no-key`, `signature`.
    """
    if algorithm not in SIGNATURE_ALGORITHMS:
        raise SignatureRefusedError("signature-algorithm")
    _check_value(octets, signature, algorithm, certificates)


def canonical(element: Element, prefixes: Sequence[str] = ()) -> bytes:
    """Exclusive C14N without comments of an element, with these inclusive prefixes.

    Raises `SignatureRefusedError`, code `malformed`, for what has no canonical form: a relative namespace, say.
    """
    try:
        if element.getparent() is not None:
            # On its own, with every namespace in scope: lxml canonicalises a part without those of its ancestors.
            element = etree.fromstring(etree.tostring(element, with_tail=False, encoding="utf-8"), parser())
        return etree.tostring(
            element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes) or None
        )
    except (etree.C14NError, etree.XMLSyntaxError):
        raise SignatureRefusedError("malformed") from None


def canonical_message(message: bytes) -> bytes:
    """Exclusive C14N of a message of our own making.

    Raises `SignatureRefusedError`, code `malformed`, for texts that XML cannot express.
    """
    try:
        return canonical(etree.fromstring(message, parser()))
    except etree.XMLSyntaxError:
        raise SignatureRefusedError("malformed") from None


def _by_id(root: Element, element_id: str) -> Element | None:
    return next((element for element in root.iter(etree.Element) if element.get("ID") == element_id), None)


def inclusive(method: Element) -> list[str]:
    """List the inclusive prefixes of a canonicalisation (Exclusive C14N §4)."""
    prefixes = method.find(INCLUSIVE_NAMESPACES)
    return [] if prefixes is None else prefixes.get("PrefixList", "").split()


def _decoded(element: Element, code: str) -> bytes:
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureRefusedError(code) from None


def remove(signature: Element) -> None:
    """Take the signature out as the enveloped transform does: text after it stays (XMLDSIG §6.6.4)."""
    parent, previous, tail = signature.getparent(), signature.getprevious(), signature.tail or ""
    assert parent is not None
    if previous is None:
        parent.text = (parent.text or "") + tail
    else:
        previous.tail = (previous.tail or "") + tail
    parent.remove(signature)


# --- keys


def _check_value(octets: bytes, value: bytes, algorithm: str, certificates: Sequence[bytes]) -> None:
    """Check a signature value with each fitting key in turn. Raises `no-key`, `signature`."""
    kind, digest = SIGNATURE_ALGORITHMS[algorithm]
    keys = [key for key in map(_load, certificates) if key is not None and _kind(key) == kind]
    if not keys:
        raise SignatureRefusedError("no-key")
    if not any(_fits(key, value, octets, _HASHES[digest]) for key in keys):
        raise SignatureRefusedError("signature")


def _fits(key: PublicKey, value: bytes, octets: bytes, digest: hashes.HashAlgorithm) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, octets, padding.PKCS1v15(), digest)
            return True
        half = (key.key_size + 7) // 8
        if len(value) != 2 * half:
            return False
        pair = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
        key.verify(encode_dss_signature(*pair), octets, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=4096)
def _load(certificate: bytes) -> PublicKey | None:
    """Load the key of a DER certificate, or the bare key itself, once, since that costs as much as a verification.

    None if it is not used.
    """
    try:
        key = public_key(certificate)
    except ValueError:
        return None
    return key if _kind(key) else None


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

    def __init__(self, key: PrivateKey, certificate_der: bytes) -> None:
        self._key = key
        self.algorithm = RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else ECDSA_SHA256
        self.certificate_der = certificate_der
        self._certificate = base64.b64encode(certificate_der).decode()

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
        usable = isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        if not usable or not _kind(parsed.public_key()):
            raise ValueError(f"needed is an elliptic-curve key, or an RSA key of {MINIMUM_RSA_BITS} bits or more")
        assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        return cls(private, parsed.public_bytes(serialization.Encoding.DER))

    def sign(self, octets: bytes) -> bytes:
        """Sign `octets`, detached; an ECDSA value is r and s side by side (XMLDSIG 1.1 §6.4.3)."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(octets, padding.PKCS1v15(), _HASHES["sha256"])
        half = (self._key.key_size + 7) // 8
        r, s = decode_dss_signature(self._key.sign(octets, ec.ECDSA(_HASHES["sha256"])))
        return r.to_bytes(half, "big") + s.to_bytes(half, "big")

    def sign_element(self, document: bytes, element_id: str) -> bytes:
        """Put an enveloped signature over the element whose `ID` is `element_id` into `document`.

        It stands where the SAML schemas want it: after the element's Issuer, or as its first child. All other
        octets stay as they are. Raises `ValueError` if there is no such element, or it is empty or signed
        already, and `SignatureRefusedError` for a document that no reader would accept.
        """
        element = _by_id(parse(document, limits=LIST_LIMITS), element_id)
        if element is None or not len(element) or element.find(SIGNATURE) is not None:
            raise ValueError("no element of that ID, or it is empty, or it is signed already")
        return self._spliced(document, element_id, canonical(element))

    def sign_message(self, message: bytes, message_id: str) -> bytes:
        """Sign the whole of a message of our own making, whose root has this `ID`; in canonical form.

        Raises `SignatureRefusedError`, code `malformed`, for texts that XML cannot express.
        """
        return self.sign_canonical(canonical_message(message), message_id)

    def sign_canonical(self, message: bytes, message_id: str) -> bytes:
        """Sign the whole of a message of our own making that is in canonical form already; so is the result."""
        return self._spliced(message, message_id, message)

    def _spliced(self, document: bytes, element_id: str, element: bytes) -> bytes:
        digest = base64.b64encode(hashlib.sha256(element).digest()).decode()
        info = _SIGNED_INFO.format(algorithm=self.algorithm, element_id=element_id, digest=digest)
        value = base64.b64encode(self.sign(_CANONICAL_SIGNED_INFO.format(info=info).encode())).decode()
        signature = _SIGNATURE.format(info=info, value=value, certificate=self._certificate).encode()
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
