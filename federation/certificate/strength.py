"""Algorithms and key sizes that may be believed: one table of signature algorithms, one of keys, each with its code.

What is not listed is not believed, however strong it may be. The lists are those that the certificate verifier of the
library enforces as well (it knows no Ed25519 for authorities), and CRYPTREC's list of ciphers for e-government.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from federation.certificate.model import CertificateRefusedError

SMALLEST_RSA = 2048
LARGEST_RSA = 8192
"""Bits. A larger key only costs whoever checks its signatures."""
SMALLEST_EXPONENT = 65537
LARGEST_EXPONENT = 2**64 - 1
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
"""A key that is of a kind that may be believed."""


class _KeyRule(NamedTuple):
    code: str
    fault: str
    holds: Callable[[object], bool]


def _of_rsa(key: object, holds: Callable[[rsa.RSAPublicKey], bool]) -> bool:
    return not isinstance(key, rsa.RSAPublicKey) or holds(key)


KEYS: tuple[_KeyRule, ...] = (
    _KeyRule("weak-key", "neither RSA nor on a curve", lambda key: isinstance(key, PublicKey)),
    _KeyRule(
        "weak-key",
        "RSA of fewer than 2,048 bits",
        lambda key: _of_rsa(key, lambda of_rsa: of_rsa.key_size >= SMALLEST_RSA),
    ),
    _KeyRule(
        "weak-key",
        "RSA of more than 8,192 bits",
        lambda key: _of_rsa(key, lambda of_rsa: of_rsa.key_size <= LARGEST_RSA),
    ),
    _KeyRule(
        "weak-key",
        "an RSA exponent below 65,537, above 64 bits, or even",  # FIPS 186-5 §5.4
        lambda key: _of_rsa(key, lambda of_rsa: _exponent(of_rsa.public_numbers().e)),
    ),
    _KeyRule(
        "weak-key",
        "a curve other than P-256, P-384 and P-521",
        lambda key: not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name in CURVES,
    ),
)
"""What a public key must be, in this order."""


def _exponent(exponent: int) -> bool:
    return SMALLEST_EXPONENT <= exponent <= LARGEST_EXPONENT and exponent % 2 == 1


ALGORITHMS: Mapping[x509.ObjectIdentifier, type[PublicKey]] = {
    SignatureAlgorithmOID.RSA_WITH_SHA256: rsa.RSAPublicKey,
    SignatureAlgorithmOID.RSA_WITH_SHA384: rsa.RSAPublicKey,
    SignatureAlgorithmOID.RSA_WITH_SHA512: rsa.RSAPublicKey,
    SignatureAlgorithmOID.RSASSA_PSS: rsa.RSAPublicKey,
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: ec.EllipticCurvePublicKey,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: ec.EllipticCurvePublicKey,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: ec.EllipticCurvePublicKey,
}
"""The signature algorithms that may be believed, and the kind of key that makes each. No MD5, no SHA-1."""


def key_of(key: object) -> PublicKey:
    """The key, if it may be believed.

    Raises `CertificateRefusedError` weak-key otherwise.
    """
    for rule in KEYS:
        if not rule.holds(key):
            raise CertificateRefusedError(rule.code, rule.fault)
    assert isinstance(key, PublicKey)
    return key


def check_algorithm(oid: x509.ObjectIdentifier, parameters: object = None) -> None:
    """Whether a signature's algorithm may be believed. `parameters` are those of RSASSA-PSS (RFC 4055 §3.1).

    Raises `CertificateRefusedError` weak-algorithm if not.
    """
    if oid not in ALGORITHMS:
        raise CertificateRefusedError("weak-algorithm", f"signature algorithm {oid.dotted_string}")
    if oid == SignatureAlgorithmOID.RSASSA_PSS:
        _check_pss(parameters)


def _check_pss(parameters: object) -> None:
    """One hash throughout and a salt of its length: what every certificate profile asks (RFC 8017 §9.1)."""
    if not isinstance(parameters, padding.PSS):
        raise CertificateRefusedError("weak-algorithm", "RSASSA-PSS without its parameters")
    of_mask = getattr(parameters.mgf, "_algorithm", None)
    if not isinstance(of_mask, HASHES) or parameters._salt_length != of_mask.digest_size:  # noqa: SLF001 - no accessor
        raise CertificateRefusedError("weak-algorithm", "RSASSA-PSS with a weak hash or another salt")


class Signed(Protocol):
    """What the library reads of anything that an authority signed: a certificate, or a revocation list."""

    @property
    def signature_algorithm_oid(self) -> x509.ObjectIdentifier:
        """The algorithm's object identifier."""

    @property
    def signature_algorithm_parameters(self) -> object:
        """Of RSASSA-PSS: `padding.PSS`."""

    @property
    def signature_hash_algorithm(self) -> hashes.HashAlgorithm | None:
        """The hash that was signed."""

    @property
    def signature(self) -> bytes:
        """The signature's octets."""


def check_signature(signed: Signed, data: bytes, key: object) -> None:
    """Whether `key` signed `data`, the signed part, with an algorithm and a key that may be believed.

    Raises `CertificateRefusedError` weak-algorithm or weak-key, `cryptography.exceptions.InvalidSignature` otherwise.
    """
    oid = signed.signature_algorithm_oid
    try:
        parameters = signed.signature_algorithm_parameters if oid == SignatureAlgorithmOID.RSASSA_PSS else None
    except (ValueError, UnsupportedAlgorithm):
        parameters = None
    check_algorithm(oid, parameters)
    believed = key_of(key)
    hashed = signed.signature_hash_algorithm
    if not isinstance(believed, ALGORITHMS[oid]) or hashed is None:
        raise InvalidSignature
    if isinstance(believed, ec.EllipticCurvePublicKey):
        believed.verify(signed.signature, data, ec.ECDSA(hashed))
    else:
        how = parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15()
        believed.verify(signed.signature, data, how, hashed)
