"""CMS SignedData (RFC 5652) as card middleware signs an answer: a door narrower than the standard.

`signed_data.py` reads; here stands what an answer must be beyond that: DER throughout, one signer, content attached and
of type id-data, the signed attributes contentType and messageDigest, digests of SHA-2, and nothing by which a text that
was signed elsewhere could pass for an answer.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from asn1crypto import cms as asn1
from asn1crypto import core
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from federation.certificate import signed_data
from federation.certificate.model import CertificateRefusedError
from federation.certificate.signed_data import SignedData, SignedDataError
from federation.certificate.strength import PublicKey

MAX_CMS = 64 * 1024
"""Octets of the largest that is read."""

CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7"
"""The signed attribute of a signed *text* (RFC 2634 §2.7); in an answer it is refused: neither passes for both."""

_LONGEST_TAG = 0x1F
_CONSTRUCTED = 0x20
_LONG_FORM = 0x80
_LENGTH_OCTETS = 4
_DEPTH = 32


class _Scheme(NamedTuple):
    """How a signature is verified: with RSA by `padding`, on a curve without; `hash` is what is signed."""

    hash: hashes.HashAlgorithm
    padding: padding.PKCS1v15 | padding.PSS | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cms:
    """An answer in signed data, read and not verified."""

    data: SignedData = field(repr=False)

    @property
    def leaf(self) -> bytes:
        """The signer's certificate, DER."""
        return self.data.signer

    @property
    def others(self) -> tuple[bytes, ...]:
        """The certificates that came with it, DER."""
        return tuple(each for each in self.data.certificates if each != self.data.signer)

    @property
    def content(self) -> bytes:
        """The content's octets."""
        return self.data.content

    def fits(self, key: PublicKey) -> None:
        """Whether digest and signature algorithm are believed, and made by such a key.

        Raises `CertificateRefusedError` answer-algorithm.
        """
        _scheme(self.data, key)

    def verify(self, key: PublicKey) -> None:
        """Whether `key` signed the content, and the signer's certificate is the one that was meant (RFC 5652 §5.4).

        Raises `CertificateRefusedError` signature, or answer-algorithm.
        """
        scheme = _scheme(self.data, key)
        digest = core.OctetString(hashlib.new(self.data.digest, self.data.content).digest()).dump()
        if not hmac.compare_digest(digest, self.data.attributes[signed_data.MESSAGE_DIGEST]):
            raise CertificateRefusedError("signature", "the content is not the one that was signed")
        if signed_data.names_another_certificate(self.data):
            raise CertificateRefusedError("signature", "signingCertificate names another certificate")
        try:
            if isinstance(key, rsa.RSAPublicKey) and scheme.padding is not None:
                key.verify(self.data.signature, self.data.signed, scheme.padding, scheme.hash)
                return
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(self.data.signature, self.data.signed, ec.ECDSA(scheme.hash))
                return
        except InvalidSignature:
            raise CertificateRefusedError("signature") from None
        raise CertificateRefusedError("signature", "nobody here verifies such a one")  # `_scheme` leaves none


def read(der: bytes) -> Cms:
    """Read signed data that a phone sent to sign in.

    Raises `CertificateRefusedError` answer-malformed or answer-too-large.
    """
    data = checked(der)
    if CONTENT_IDENTIFIER in data.attributes:
        raise _malformed("a signed text is no answer")
    return Cms(data=data)


def checked(der: bytes) -> SignedData:
    """Read signed data that a phone made, for whatever it is: in the one form in which everybody reads it alike.

    Raises `CertificateRefusedError` answer-malformed or answer-too-large.
    """
    if len(der) > MAX_CMS:
        raise CertificateRefusedError("answer-too-large")
    if not is_der(der):
        raise _malformed("not DER: a length that is indefinite, or not the shortest")
    try:
        data = signed_data.read(der, limit=MAX_CMS)
    except SignedDataError as why:
        raise _malformed(why.detail) from None
    for fault, holds in _FORM:
        if not holds(data):
            raise _malformed(fault)
    try:
        fault = _fault_of_algorithms(der, data)
    except signed_data.UNREADABLE:
        fault = "a version or an algorithm cannot be read"
    if fault:
        raise _malformed(fault)
    return data


_FORM = (
    ("the content is not id-data", lambda data: data.content_type == signed_data.DATA),
    (
        "the attribute contentType is not id-data",  # RFC 5652 §11.1
        lambda data: data.attributes.get(signed_data.CONTENT_TYPE) == core.ObjectIdentifier(signed_data.DATA).dump(),
    ),
    ("there is no messageDigest", lambda data: signed_data.MESSAGE_DIGEST in data.attributes),  # §11.2
    ("the signed attributes are not in DER", lambda data: _sorted(data.signed)),  # §5.4
)


def _fault_of_algorithms(der: bytes, data: SignedData) -> str:
    """What of the outer form is wrong, which no signature covers (RFC 5652 §5.1, §5.3); "" if nothing is."""
    whole = asn1.ContentInfo.load(der, strict=True)["content"]
    (signer,) = whole["signer_infos"]
    version = 1 if signer["sid"].name == "issuer_and_serial_number" else 3
    beside = [each.name for each in whole["certificates"] if each.name != "certificate"]
    stated = [signed_data.identifier(each) for each in whole["digest_algorithms"]]
    own = signed_data.identifier(signer["digest_algorithm"])
    rules = (
        ("a version is not that of its form", {int(signer["version"]), int(whole["version"])} == {version}),
        ("there is more beside it than certificates", not beside and signed_data.absent(whole["crls"])),
        ("an attribute is not signed", signed_data.absent(signer["unsigned_attrs"])),
        ("a digest algorithm has parameters", not any(parameters for _, parameters in (*stated, own))),
        ("the digest algorithms are not the signer's", [name for name, _ in stated] == [own[0]] == [data.digest]),
    )
    return next((fault for fault, holds in rules if not holds), "")


# --- algorithms


def _scheme(data: SignedData, key: PublicKey) -> _Scheme:
    """RFC 5754 §3, RFC 4056 §3, RFC 5753 §2.1.1. Raises `CertificateRefusedError` answer-algorithm."""
    digest = signed_data.HASHES.get(data.digest)
    if digest is None:
        raise CertificateRefusedError("answer-algorithm", "a digest that is not believed")
    try:
        found = _table(data, digest).get(type_of(key))
    except signed_data.UNREADABLE:
        found = None
    if found is None:
        raise CertificateRefusedError(
            "answer-algorithm", "a signature algorithm that is not believed, or of another key"
        )
    return found


def type_of(key: PublicKey) -> str:
    """The kind of a key that may be believed."""
    return "rsa" if isinstance(key, rsa.RSAPublicKey) else "ec"


def _table(data: SignedData, digest: hashes.HashAlgorithm) -> Mapping[str, _Scheme]:
    """By the kind of key, how the stated algorithm is verified; empty if it is none that is believed."""
    stated = asn1.SignedDigestAlgorithm.load(data.algorithm, strict=True)
    name, parameters = signed_data.identifier(stated)
    if name in {"rsassa_pkcs1v15", f"{data.digest}_rsa"} and not parameters:
        return {"rsa": _Scheme(digest, padding.PKCS1v15())}
    if name == f"{data.digest}_ecdsa" and stated["parameters"].dump() == b"":
        return {"ec": _Scheme(digest, None)}
    scheme = signed_data.pss(stated["parameters"], data.digest) if name == "rsassa_pss" else None
    return {} if scheme is None else {"rsa": _Scheme(digest, scheme)}


# --- DER


def is_der(octets: bytes) -> bool:
    """Whether this is one value, each length in it definite and the shortest (X.690 §10.1), nothing after it.

    It goes down into constructed values only; no tag of a signature or certificate has a number above 30.
    """
    open_until = [len(octets)]
    position, values = 0, 0
    while position < len(octets):
        while open_until and position == open_until[-1]:
            open_until.pop()
        end = _end(octets, position)
        if end is None or not open_until or end[1] > open_until[-1] or len(open_until) > _DEPTH:
            return False
        values += len(open_until) == 1
        if octets[position] & _CONSTRUCTED:
            open_until.append(end[1])
            position = end[0]
        else:
            position = end[1]
    return values == 1 and all(each == len(octets) for each in open_until)


def _end(octets: bytes, position: int) -> tuple[int, int] | None:
    """Where the contents of the value there begin and end; None if its head is not DER."""
    if position + 2 > len(octets) or octets[position] & _LONGEST_TAG == _LONGEST_TAG:
        return None
    length, start = octets[position + 1], position + 2
    if length >= _LONG_FORM:
        number = length - _LONG_FORM
        stated = octets[start : start + number]
        length = int.from_bytes(stated, "big")
        shortest = (length.bit_length() + 7) // 8
        if not 1 <= number <= _LENGTH_OCTETS or shortest != number or length < _LONG_FORM:
            return None
        start += number
    return start, start + length


def _sorted(encoded: bytes) -> bool:
    """Whether the elements of a SET OF stand in ascending order (X.690 §11.6)."""
    found = _end(encoded, 0)
    elements: list[bytes] = []
    position = found[0] if found else len(encoded)
    while position < len(encoded):
        found = _end(encoded, position)
        if found is None:
            return False
        elements.append(encoded[position : found[1]])
        position = found[1]
    return elements == sorted(elements)


def _malformed(detail: str) -> CertificateRefusedError:
    return CertificateRefusedError("answer-malformed", detail)
