"""Signed data (CMS, RFC 5652) as timestamps and lasting containers need it: read, verified, and added to.

One signer, attached content, signed attributes: what RFC 3161 §2.4.2 and CAdES (ETSI EN 319 122-1 §6.3) have in common.
Nothing here says whether the signer's certificate may be believed. What is added goes beside what was signed: the
octets that the signature covers are carried over, never written anew.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from federation.certificate import facts
from federation.certificate.model import CertificateRefusedError, StatusEvidence

DATA = "1.2.840.113549.1.7.1"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52"

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
"""Every digest that is believed."""

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"  # id-ri-ocsp-response, RFC 5940 §2.1
_RSA_SIZES = range(2048, 8193)
_LONGEST_SALT = 1024  # octets; the longest key that is believed has no room for one
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_MAX_CERTIFICATES = 32
_MAX_EVIDENCE = 64
_INDEFINITE = 0x80
_SEQUENCE, _SET = 0x30, 0x31
_OTHER_REVOCATION = 5  # RFC 5652 §5.1: the version of signed data with revocation information of other kinds

UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    UnsupportedAlgorithm,
    CertificateRefusedError,
)
"""What is raised over octets that are not what they are said to be."""


def certificate_of(der: bytes) -> x509.Certificate:
    """A certificate that RFC 5280 allows to be issued. Raises one of `UNREADABLE`."""
    return facts.read(der).certificate


class SignedDataError(Exception):
    """Signed data that is not believed: `code` is malformed, too-large, weak-algorithm or signature."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """What one SignerInfo says, unverified. Types of content and attributes are dotted object identifiers.

    `signer` is the certificate that it names, `attributes` the DER of each signed attribute's only value, `signed` the
    octets that `signature` is over, `unsigned` the DER of each unsigned attribute's values.
    """

    content_type: str
    content: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    evidence: tuple[StatusEvidence, ...] = field(repr=False)
    signer: bytes = field(repr=False)
    digest: str
    attributes: Mapping[str, bytes] = field(repr=False)
    signed: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    unsigned: Mapping[str, tuple[bytes, ...]] = field(repr=False)


def read(der: bytes, *, limit: int) -> SignedData:
    """Read a ContentInfo of at most `limit` octets. Raises `SignedDataError`."""
    if len(der) > limit:
        raise SignedDataError("too-large", f"{len(der)} octets; at most {limit} are read")
    try:
        return _read(_signed_data(der))
    except UNREADABLE:
        raise SignedDataError("malformed", "not signed data of one signer, in DER") from None


def verify(signed: SignedData) -> None:
    """The content is what was signed, and the signature is that of the named certificate (RFC 5652 §5.4, §5.6).

    Raises `SignedDataError` with code signature, weak-algorithm or malformed.
    """
    try:
        expected = (
            core.ObjectIdentifier(signed.content_type).dump(),
            core.OctetString(hashlib.new(signed.digest, signed.content).digest()).dump(),
        )
        key = certificate_of(signed.signer).public_key()
        verifier = _verifier(key, signed.algorithm, signed.digest)
    except UNREADABLE:
        raise SignedDataError("malformed", "the signer's certificate or algorithm cannot be read") from None
    if expected != (signed.attributes.get(CONTENT_TYPE), signed.attributes.get(MESSAGE_DIGEST)):
        raise SignedDataError("signature", "the content is not the one that was signed")
    try:
        verifier(signed.signature, signed.signed)
    except InvalidSignature:
        raise SignedDataError("signature", "the signature is not that of the certificate it names") from None


def names_its_certificate(signed: SignedData) -> bool:
    """Whether the signed attribute signingCertificateV2 (RFC 5035 §3) names the signer's certificate."""
    value = signed.attributes.get(SIGNING_CERTIFICATE_V2)
    if value is None:
        return False
    try:
        first = tsp.SigningCertificateV2.load(value, strict=True)["certs"][0]
        digest = first["hash_algorithm"]["algorithm"].native
        if digest not in HASHES or first["cert_hash"].native != hashlib.new(digest, signed.signer).digest():
            return False
        named = first["issuer_serial"]
        if absent(named):
            return True
        certificate = certificate_of(signed.signer)
        issuers = [name.chosen.untag().dump() for name in named["issuer"] if name.name == "directory_name"]
        return (issuers, named["serial_number"].native) == (
            [certificate.issuer.public_bytes()],
            certificate.serial_number,
        )
    except UNREADABLE:
        return False


def names_another_certificate(signed: SignedData) -> bool:
    """Whether signingCertificateV2, or signingCertificate (RFC 2634 §5.4), is there and is not of the signer's."""
    if SIGNING_CERTIFICATE_V2 in signed.attributes and not names_its_certificate(signed):
        return True
    value = signed.attributes.get(SIGNING_CERTIFICATE)
    if value is None:
        return False
    try:
        first = tsp.SigningCertificate.load(value, strict=True)["certs"][0]
        named: bytes = first["cert_hash"].native
    except UNREADABLE:
        return True
    return named != hashlib.sha1(signed.signer).digest()  # noqa: S324 - which one is meant; what signs is verified apart


def extended(
    der: bytes,
    *,
    certificates: Sequence[bytes],
    evidence: Sequence[StatusEvidence],
    unsigned: Mapping[str, Sequence[bytes]],
) -> bytes:
    """The same signed data with more beside it: certificates and evidence not yet there, and unsigned attributes.

    Lists stand in SignedData.crls as they are, OCSP responses there as RFC 5940 §2 says. Raises `SignedDataError`.
    """
    try:
        return _extended(der, certificates=certificates, evidence=evidence, unsigned=unsigned)
    except UNREADABLE:
        raise SignedDataError("malformed", "what is to be added, or what it is added to, cannot be read") from None


def related(leaf: bytes, others: Iterable[bytes], *, most: int) -> tuple[bytes, ...]:
    """Those of `others`, `most` at most, that may stand above `leaf` by their names, nearest first.

    A container holds certificates of several paths, and whoever builds one looks at few.
    """
    unread = []
    for der in dict.fromkeys(others):
        with contextlib.suppress(*UNREADABLE):
            unread.append((der, certificate_of(der)))
    found: list[bytes] = []
    with contextlib.suppress(*UNREADABLE):
        wanted = {certificate_of(leaf).issuer}
        while wanted and len(found) < most:
            above = [one for one in unread if one[1].subject in wanted and one[0] != leaf]
            unread = [one for one in unread if one not in above]
            found.extend(der for der, _ in above)
            wanted = {certificate.issuer for _, certificate in above}
    return tuple(found[:most])


# --- reading


def _signed_data(der: bytes) -> Any:
    if len(der) < 2 or der[0] != _SEQUENCE or der[1] == _INDEFINITE:  # noqa: PLR2004 - a tag and a length
        raise ValueError("not DER")
    info = cms.ContentInfo.load(der, strict=True)
    if info["content_type"].dotted != _SIGNED_DATA:
        raise ValueError("no signed data")
    return info["content"]


def _read(data: Any) -> SignedData:
    (signer,) = data["signer_infos"]
    content = data["encap_content_info"]["content"]
    if content.native is None or content.method != 0:
        raise ValueError("the content is not attached, or in pieces")
    attributes: dict[str, bytes] = {}
    for attribute in signer["signed_attrs"]:
        (value,) = attribute["values"]
        name = attribute["type"].dotted
        if name in attributes:
            raise ValueError("an attribute stands twice")
        attributes[name] = value.dump()
    unsigned: dict[str, tuple[bytes, ...]] = {}
    for attribute in signer["unsigned_attrs"] or ():
        name = attribute["type"].dotted
        unsigned[name] = (*unsigned.get(name, ()), *(value.dump() for value in attribute["values"]))
    certificates = _certificates(data)
    signed = signer["signed_attrs"].dump()
    digest = signer["digest_algorithm"]["algorithm"].native
    if digest not in [each["algorithm"].native for each in data["digest_algorithms"]]:
        raise ValueError("the signer's digest algorithm is not announced")  # RFC 5652 §5.3; readers rely on it
    if not _algorithms_protected(signer, attributes.get(ALGORITHM_PROTECTION)):
        raise ValueError("other algorithms than those that were signed")
    return SignedData(
        content_type=data["encap_content_info"]["content_type"].dotted,
        content=bytes(content),
        certificates=certificates,
        evidence=_evidence(data),
        signer=_named(signer["sid"], certificates),
        digest=digest,
        attributes=attributes,
        signed=bytes([_SET]) + signed[1:],  # RFC 5652 §5.4: as SET OF, not as [0]
        algorithm=signer["signature_algorithm"].dump(),
        signature=signer["signature"].native,
        unsigned=unsigned,
    )


def _algorithms_protected(signer: Any, value: bytes | None) -> bool:
    """Whether the signed attribute CMSAlgorithmProtection, if there, states the signer's algorithms (RFC 6211 §2)."""
    if value is None:
        return True
    said = cms.CMSAlgorithmProtection.load(value, strict=True)
    return absent(said["mac_algorithm"]) and all(
        identifier(said[name]) == identifier(signer[name]) for name in ("digest_algorithm", "signature_algorithm")
    )


def absent(value: Any) -> bool:
    """Whether an optional member is left out. To ask for its `native` would decode all of it, names by slow codecs."""
    return isinstance(value, core.Void)


def identifier(algorithm: Any) -> tuple[str, bytes]:
    """An algorithm's name, and its parameters in DER; empty for NULL, too, which RFC 4055 §5 lets stand for none."""
    parameters = algorithm["parameters"].dump()
    return str(algorithm["algorithm"].native), b"" if parameters == b"\x05\x00" else parameters


def _certificates(data: Any) -> tuple[bytes, ...]:
    found = tuple(choice.chosen.dump() for choice in data["certificates"] or () if choice.name == "certificate")
    if len(found) > _MAX_CERTIFICATES:
        raise ValueError("too many certificates")
    return found


def _evidence(data: Any) -> tuple[StatusEvidence, ...]:
    choices = data["crls"] or ()
    if len(choices) > _MAX_EVIDENCE:
        raise ValueError("too much evidence")
    found = []
    for choice in choices:
        if choice.name == "crl":
            found.append(StatusEvidence(kind="crl", der=choice.chosen.dump()))
        elif choice.chosen["other_rev_info_format"].dotted == _OCSP_RESPONSE:
            found.append(StatusEvidence(kind="ocsp", der=choice.chosen["other_rev_info"].dump()))
    return tuple(found)


def _named(identifier: Any, certificates: Iterable[bytes]) -> bytes:
    """The certificate that a SignerIdentifier names (RFC 5652 §5.3)."""
    for der in certificates:
        certificate = certificate_of(der)
        if identifier.name == "issuer_and_serial_number":
            named = identifier.chosen
            if (named["issuer"].dump(), named["serial_number"].native) == (
                certificate.issuer.public_bytes(),
                certificate.serial_number,
            ):
                return der
        elif _key_identifier(certificate) == identifier.chosen.native:
            return der
    raise ValueError("the signer's certificate is not there")


def _key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


# --- verifying


def _verifier(key: object, algorithm: bytes, digest: str) -> Any:
    """What verifies a signature over octets, or raises InvalidSignature. Raises `SignedDataError`."""
    stated = cms.SignedDigestAlgorithm.load(algorithm)
    name = stated["algorithm"].native
    if digest not in HASHES:
        raise SignedDataError("weak-algorithm", "the digest is none that is believed")
    of = HASHES[digest]
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES and name == f"{digest}_ecdsa":
        return lambda signature, data: key.verify(signature, data, ec.ECDSA(of))
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_SIZES:
        if name in {f"{digest}_rsa", "rsassa_pkcs1v15"}:
            return lambda signature, data: key.verify(signature, data, padding.PKCS1v15(), of)
        scheme = pss(stated["parameters"], digest) if name == "rsassa_pss" else None
        if scheme is not None:
            return lambda signature, data: key.verify(signature, data, scheme, of)
    raise SignedDataError("weak-algorithm", "the signature's algorithm or key is none that is believed")


def pss(parameters: Any, digest: str) -> padding.PSS | None:
    """RSASSA-PSS with one digest throughout, and a salt no shorter than it (RFC 4056 §3, RFC 8017 §A.2.3); else None.

    RFC 4055 §3.1 recommends a salt as long as the digest; OpenSSL makes the longest that the key has room for.
    """
    mask = parameters["mask_gen_algorithm"]
    named = (parameters["hash_algorithm"]["algorithm"].native, mask["parameters"]["algorithm"].native)
    salt, of = parameters["salt_length"].native, HASHES[digest]
    if named != (digest, digest) or mask["algorithm"].native != "mgf1" or int(parameters["trailer_field"]) != 1:
        return None
    return padding.PSS(padding.MGF1(of), salt) if of.digest_size <= salt <= _LONGEST_SALT else None


# --- adding


def _extended(
    der: bytes,
    *,
    certificates: Sequence[bytes],
    evidence: Sequence[StatusEvidence],
    unsigned: Mapping[str, Sequence[bytes]],
) -> bytes:
    data = _signed_data(der)
    before = _read(data)
    (signer,) = data["signer_infos"]
    kept = b"".join(signer[name].dump() for name in _SIGNER if not absent(signer[name]))
    attributes = [attribute.dump() for attribute in signer["unsigned_attrs"] or ()]
    attributes += [
        tlv(_SEQUENCE, core.ObjectIdentifier(name).dump() + set_of(values)) for name, values in unsigned.items()
    ]
    choices = [choice.dump() for choice in data["certificates"] or ()]
    choices += [certificate for certificate in dict.fromkeys(certificates) if certificate not in choices]
    revocations = [choice.dump() for choice in data["crls"] or ()]
    revocations += [one for one in dict.fromkeys(map(_revocation, evidence)) if one not in revocations]
    others = any(one[0] != _SEQUENCE for one in revocations)
    version = max(int(data["version"]), _OTHER_REVOCATION if others else 0)
    members = [
        core.Integer(version).dump(),
        data["digest_algorithms"].dump(),
        data["encap_content_info"].dump(),
        set_of(choices, tag=0xA0),
        set_of(revocations, tag=0xA1) if revocations else b"",
        set_of([tlv(_SEQUENCE, kept + (set_of(attributes, tag=0xA1) if attributes else b""))]),
    ]
    made = tlv(_SEQUENCE, core.ObjectIdentifier(_SIGNED_DATA).dump() + tlv(0xA0, tlv(_SEQUENCE, b"".join(members))))
    after = _read(_signed_data(made))
    if (after.signed, after.content, after.signature) != (before.signed, before.content, before.signature):
        raise ValueError("what was signed is not in DER")
    return made


_SIGNER = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature")


def _revocation(evidence: StatusEvidence) -> bytes:
    if evidence.kind == "crl":
        return evidence.der
    return tlv(0xA1, core.ObjectIdentifier(_OCSP_RESPONSE).dump() + evidence.der)


def tlv(tag: int, contents: bytes) -> bytes:
    """One value in DER (X.690 §8.1): a tag of one octet, a length, the contents."""
    length = len(contents)
    if length < _INDEFINITE:
        return bytes([tag, length]) + contents
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _INDEFINITE | len(octets)]) + octets + contents


def set_of(encoded: Iterable[bytes], *, tag: int = _SET) -> bytes:
    """A SET OF in DER: in ascending order (X.690 §11.6)."""
    return tlv(tag, b"".join(sorted(encoded)))
