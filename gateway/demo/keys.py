"""Each demo system's own keys: made in `.demo/systems/<name>/` at its first start, then kept."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, RSAKey

from gateway.keys import write_private

Algorithm = Literal["ES256", "RS256"]
Key = ECKey | RSAKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

RSA_BITS = 2048
CERTIFICATE_DAYS = 3650


def signing_key(directory: Path, algorithm: Algorithm) -> Key:
    """The key that signs this system's tokens; its key ID is its thumbprint (RFC 7638)."""
    path = directory / f"signing-{algorithm.lower()}.pem"
    if not path.exists():
        new = ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(RSA_BITS)
        write_private(path, new.as_pem(private=True))
    pem = path.read_bytes()
    kind = ECKey if algorithm == "ES256" else RSAKey
    key = kind.import_key(pem)
    return kind.import_key(pem, {"kid": key.thumbprint(), "use": "sig", "alg": algorithm})


def public_keys(*keys: Key) -> dict[str, list[dict[str, object]]]:
    """A JWK Set with the public halves (RFC 7517 §5)."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def saml_pair(directory: Path, common_name: str) -> tuple[bytes, bytes]:
    """Key and self-signed certificate (both PEM) that sign this system's SAML messages."""
    path = directory / "saml.pem"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        write_private(path, _with_certificate(key, _unsigned(key, name).sign(key, hashes.SHA256())))
    content = path.read_bytes()
    border = content.index(b"-----BEGIN CERTIFICATE-----")
    return content[:border], content[border:]


def message_pair(directory: Path, common_name: str) -> tuple[bytes, bytes]:
    """Key (EC) and self-signed certificate (both PEM) by which this system signs messages and proves itself."""
    path = directory / "message.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        write_private(path, _with_certificate(key, _unsigned(key, name).sign(key, hashes.SHA256())))
    content = path.read_bytes()
    border = content.index(b"-----BEGIN CERTIFICATE-----")
    return content[:border], content[border:]


def _unsigned(key: PrivateKey, name: x509.Name) -> x509.CertificateBuilder:
    """A certificate for ten years, of the key for itself, still to be signed."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
    )


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _with_certificate(key: PrivateKey, certificate: x509.Certificate) -> bytes:
    return _pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def federation_key(directory: Path) -> bytes:
    """The key, PEM, with which this system signs entity statements (OpenID Federation 1.0 §3)."""
    path = directory / "federation.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(path, _pem(key))
    return path.read_bytes()


def public_pem(key: bytes) -> bytes:
    """The public half of a private key, both PEM."""
    return (
        serialization.load_pem_private_key(key, password=None)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def secret(path: Path, make: str) -> str:
    """The text kept in `path`; `make` is kept there if nothing was."""
    if not path.exists():
        write_private(path, make.encode())
    return path.read_text()


def digest(text: str) -> str:
    """SHA-256 in base64url without padding: the S256 of PKCE (RFC 7636 §4.2)."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def half_digest(text: str) -> str:
    """The left half of the SHA-256 in base64url: `at_hash` (OpenID Connect Core §3.1.3.6)."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()
