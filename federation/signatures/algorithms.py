"""Which keys sign HTTP messages, and by which algorithm (RFC 9421 §3.3): asymmetric ones only.

| algorithm | key | JWK `alg` |
|---|---|---|
| `ecdsa-p256-sha256` | EC P-256 | `ES256` |
| `ed25519` | Ed25519 | `EdDSA`, `Ed25519` |
| `rsa-pss-sha512` | RSA, 2048 to 8192 bits | `PS512` |
| `rsa-v1_5-sha256` | the same, and only where the signature or the key says so; never signed with | `RS256` |

The key decides (RFC 9421 §7.3.6): what a signature says of its algorithm only chooses among those of its key.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from federation.oidc.jose import MAX_KEYS, SigningKey, base64url

ECDSA, ED25519, RSA_PSS, RSA_V1_5 = "ecdsa-p256-sha256", "ed25519", "rsa-pss-sha512", "rsa-v1_5-sha256"

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_OF_JWK = {"ES256": ECDSA, "EdDSA": ED25519, "Ed25519": ED25519, "PS512": RSA_PSS, "RS256": RSA_V1_5}
_KINDS: Mapping[str, tuple[type[ECKey | OKPKey | RSAKey], tuple[str, ...]]] = {
    "EC": (ECKey, ("crv", "x", "y")),
    "OKP": (OKPKey, ("crv", "x")),
    "RSA": (RSAKey, ("n", "e")),
}
_RSA_SIZES = range(2048, 8193)
_LONGEST = {"n": 1366, "e": 8}  # characters of base64url: 8192 bits, and an exponent as it is usual
_COORDINATE = 32
_PSS = padding.PSS(padding.MGF1(hashes.SHA512()), 64)


def _offered(key: object) -> tuple[str, ...]:
    """The algorithms of a key's kind, the one that is meant when nobody says one first. Raises `ValueError`."""
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name == "secp256r1":
            return (ECDSA,)
        case ed25519.Ed25519PublicKey():
            return (ED25519,)
        case rsa.RSAPublicKey() if key.key_size in _RSA_SIZES:
            return RSA_PSS, RSA_V1_5
    raise ValueError("expected an EC P-256 key, an Ed25519 key or an RSA key of 2048 to 8192 bits")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key and the algorithms that it may be used with, the first one where a signature names none."""

    key: PublicKey = field(repr=False)
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, key: object, *, algorithm: str | None = None) -> Self:
        """`key`, for `algorithm` alone if one is named. Raises `ValueError` for a kind or size that is not listed."""
        offered = _offered(key)
        if algorithm is not None and algorithm not in offered:
            raise ValueError("another algorithm than the key's")
        assert isinstance(key, PublicKey)
        return cls(key, offered if algorithm is None else (algorithm,))

    def signed(self, octets: bytes, value: bytes, algorithm: str) -> bool:
        """Whether this key signed `octets` by `algorithm`, which must be one of its own."""
        try:
            match self.key:
                case ec.EllipticCurvePublicKey() if algorithm == ECDSA and len(value) == 2 * _COORDINATE:
                    r, s = value[:_COORDINATE], value[_COORDINATE:]
                    pair = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
                    self.key.verify(pair, octets, ec.ECDSA(hashes.SHA256()))
                case ed25519.Ed25519PublicKey() if algorithm == ED25519:
                    self.key.verify(value, octets)
                case rsa.RSAPublicKey() if algorithm == RSA_PSS:
                    self.key.verify(value, octets, _PSS, hashes.SHA512())
                case rsa.RSAPublicKey() if algorithm == RSA_V1_5:
                    self.key.verify(value, octets, padding.PKCS1v15(), hashes.SHA256())
                case _:
                    return False
        except InvalidSignature:
            return False
        return True


Keyring = Mapping[str, VerifyingKey]
"""Public keys by the `keyid` that a signature calls them."""


@dataclass(frozen=True, slots=True)
class MessageSigner:
    """A private key with the name by which others find its public half."""

    key: PrivateKey = field(repr=False)
    keyid: str
    algorithm: str

    @classmethod
    def of(cls, key: PrivateKey | SigningKey, keyid: str | None = None) -> Self:
        """`key`, called by its SHA-256 thumbprint (RFC 7638) unless `keyid` says otherwise. Raises `ValueError`."""
        if isinstance(key, SigningKey):
            private = key.key.private_key
            return cls.of(private, keyid or key.kid) if isinstance(private, PrivateKey) else _none_private()
        return cls(key, keyid or thumbprint(key.public_key()), _offered(key.public_key())[0])

    def sign(self, octets: bytes) -> bytes:
        """The signature of `octets`, as RFC 9421 §3.3 writes it."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.key.sign(octets, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(octets, _PSS, hashes.SHA512())
        return self.key.sign(octets)

    def public(self) -> Keyring:
        """The public half, ready to verify what this key signed."""
        return {self.keyid: VerifyingKey.of(self.key.public_key())}


def _none_private() -> Any:
    raise ValueError("expected a private key")


def thumbprint(key: PublicKey) -> str:
    """The SHA-256 thumbprint of a key (RFC 7638), by which OpenID's keys are named here. Raises `ValueError`."""
    _offered(key)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ECKey.import_key(key).thumbprint()
    return (RSAKey.import_key(key) if isinstance(key, rsa.RSAPublicKey) else OKPKey.import_key(key)).thumbprint()


def keyring(jwks: object = None, certificates: Iterable[bytes] = ()) -> Keyring:
    """The keys of a JWK set and of X.509 certificates (DER) that may sign messages, by each name that they go by.

    A key of a set goes by its `kid` and by its thumbprint (RFC 7638); that of a certificate by its thumbprint, and by
    the certificate's own SHA-256 (`x5t#S256`, RFC 7515 §4.1.8). Keys of other kinds, for other uses, or malformed, are
    passed over; a name that two different keys go by is nobody's. Raises `ValueError` for what is no JWK set.
    """
    found: dict[str, VerifyingKey | None] = {}
    for name, key in (*_of_jwks(jwks), *_of_certificates(certificates)):
        held = found.setdefault(name, key)
        if held is not None and held.key != key.key:
            found[name] = None
    return {name: key for name, key in found.items() if key is not None}


def _of_jwks(jwks: object) -> Iterable[tuple[str, VerifyingKey]]:
    if jwks is None:
        return
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list | tuple) or len(keys) > MAX_KEYS:
        raise ValueError(f"expected a JWK set: an object with an array `keys` of at most {MAX_KEYS}")
    for jwk in keys:
        if isinstance(jwk, Mapping) and (key := _of_jwk(jwk)) is not None:
            yield thumbprint(key.key), key
            if isinstance(jwk.get("kid"), str):
                yield jwk["kid"], key


def _of_jwk(jwk: Mapping[str, Any]) -> VerifyingKey | None:
    kind, names = _KINDS.get(str(jwk.get("kty")), (None, ()))
    algorithm, operations = jwk.get("alg"), jwk.get("key_ops", ("verify",))
    parameters: list[tuple[str, Any]] = [(name, jwk.get(name)) for name in names]
    if (
        kind is None
        or "d" in jwk
        or jwk.get("use", "sig") != "sig"
        or not (isinstance(operations, list | tuple) and "verify" in operations)
        or not (algorithm is None or (isinstance(algorithm, str) and algorithm in _OF_JWK))
        or not all(isinstance(value, str) and len(value) <= _LONGEST.get(name, 86) for name, value in parameters)
    ):
        return None
    try:
        public = kind.import_key({"kty": jwk["kty"], **dict(parameters)}).public_key
        return VerifyingKey.of(public, algorithm=None if algorithm is None else _OF_JWK[algorithm])
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _of_certificates(certificates: Iterable[bytes]) -> Iterable[tuple[str, VerifyingKey]]:
    for der in certificates:
        try:
            key = VerifyingKey.of(x509.load_der_x509_certificate(der).public_key())
        except ValueError:
            continue
        yield thumbprint(key.key), key
        yield base64url(hashlib.sha256(der).digest()), key
