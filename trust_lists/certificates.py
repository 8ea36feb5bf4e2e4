"""Certificates as carriers of keys.

A certificate in a trust list or an anchor file only names a key: its issuer, dates and revocation are not
looked at, because the list (or the operator who pinned the anchor) is what vouches for it (SAML V2.0 Metadata
Interoperability Profile §2.5).
"""

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

MINIMUM_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def public_key(der: bytes) -> PublicKey:
    """Load the key of a DER certificate, or the bare key itself (SubjectPublicKeyInfo, RFC 5280 §4.1).

    Raises ValueError if it cannot be read or is of no accepted kind.
    """
    key: PublicKeyTypes
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        try:
            key = load_der_public_key(der)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            message = "the certificate cannot be read"
            raise ValueError(message) from error
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MINIMUM_RSA_BITS:
            message = f"an RSA key of {key.key_size} bits is too short; {MINIMUM_RSA_BITS} are needed"
            raise ValueError(message)
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    message = "the key is neither RSA nor on the curves P-256, P-384 or P-521"
    raise ValueError(message)


def is_certificate(der: bytes) -> bool:
    """Tell a certificate from a bare key."""
    try:
        x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        return False
    return True


def anchors_from_pem(data: bytes) -> tuple[bytes, ...]:
    """Load what a PEM file pins, as DER: its certificates, or one public key (`BEGIN PUBLIC KEY`, RFC 7468 §13).

    Raises ValueError if there is neither, or for its key.
    """
    if b"-----BEGIN PUBLIC KEY-----" not in data:
        return from_pem(data)
    try:
        der = load_pem_public_key(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = "the public key cannot be read"
        raise ValueError(message) from error
    public_key(der)
    return (der,)


def from_pem(data: bytes) -> tuple[bytes, ...]:
    """Load every certificate of a PEM file as DER. Raises ValueError if there is none, or for its key."""
    try:
        found = tuple(c.public_bytes(Encoding.DER) for c in x509.load_pem_x509_certificates(data))
    except ValueError as error:
        message = "no certificate found; a PEM file with -----BEGIN CERTIFICATE----- is expected"
        raise ValueError(message) from error
    for der in found:
        public_key(der)
    return found


def fingerprint(der: bytes) -> str:
    """SHA-256 of the DER bytes, in lower-case hexadecimal."""
    return hashlib.sha256(der).hexdigest()
