"""Signing and verifying JSON Web Tokens (RFC 7515, 7517, 7519), with joserfc underneath.

Owns the keys' shapes, the allow-list of algorithms and the bounds. Only asymmetric algorithms with SHA-256
exist here, so that `none` and the HMAC family can never be asked for by a token (RFC 8725 §3.1), and
`at_hash` has one digest. Which claims must hold is decided by whoever verifies: a table of checks over
`VerifiedClaims`.
"""

import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NewType, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from federation.oidc.strict_json import read_object
from federation.web import Document

VerifiedClaims = NewType("VerifiedClaims", dict[str, Any])
"""Claims whose signature was verified; nothing is known yet of issuer, audience or time."""

LEEWAY = timedelta(seconds=60)
"""How far two clocks may differ. Whatever remembers a token against replay outlives the token by this."""

ALGORITHMS: tuple[str, ...] = ("ES256", "PS256", "RS256")
"""Every signature algorithm that is ever verified (RFC 7518 §3.1)."""

MAX_TOKEN = 32 * 1024
"""Octets of the longest token that is looked at."""

MAX_KEYS = 32
"""Usable keys of one key set; a set with more is refused."""

ANY_JWT: tuple[str | None, ...] = (None, "jwt")
"""`typ` of tokens that need not say theirs (RFC 7519 §5.1), in lower case."""

_MAX_HEADER = 4 * 1024
_MAX_TRIES = 4  # keys of one set that may share a kid, or lack one, and are tried
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192
_PARTS = 3
_KEY_TYPES = {"ES256": "EC", "PS256": "RSA", "RS256": "RSA"}

JoseKey = RSAKey | ECKey


class _Registry(jws.JWSRegistry):
    max_header_length = _MAX_HEADER
    max_payload_length = MAX_TOKEN
    max_signature_length = _LARGEST_RSA // 8


_REGISTRY = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


class TokenRefusedError(Exception):
    """A token that is not believed; `code` is the reason, for logs, without a word of the token."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its algorithm (EC P-256: ES256, RSA of 2048 bits or more: RS256).

    `kid` is the key's SHA-256 thumbprint (RFC 7638), so a key keeps its name wherever it is published.
    """

    key: JoseKey = field(repr=False)
    algorithm: str
    kid: str

    @classmethod
    def generate(cls, algorithm: str = "ES256", *, bits: int = 2048) -> Self:
        """A new key for `algorithm`; `bits` is 2048 or 3072 and is for RS256 only. Raises `ValueError`."""
        if algorithm == "ES256":
            return cls._of(ec.generate_private_key(ec.SECP256R1()))
        if algorithm == "RS256" and bits in {2048, 3072}:
            return cls._of(rsa.generate_private_key(public_exponent=65537, key_size=bits))
        raise ValueError(f"no key of {bits} bits can be made for {algorithm}")

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key in `pem` (unencrypted PKCS #8 or an older form). Raises `ValueError`, without its text."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (TypeError, ValueError):
            raise ValueError("expected an unencrypted private key in PEM form") from None
        return cls._of(private)

    @classmethod
    def _of(cls, private: object) -> Self:
        if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == "secp256r1":
            ec_key = ECKey.import_key(private)
            return cls(ec_key, "ES256", ec_key.thumbprint())
        if isinstance(private, rsa.RSAPrivateKey) and _SMALLEST_RSA <= private.key_size <= _LARGEST_RSA:
            rsa_key = RSAKey.import_key(private)
            return cls(rsa_key, "RS256", rsa_key.thumbprint())
        raise ValueError("expected an EC P-256 key or an RSA key of at least 2048 bits")

    def to_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.key.as_pem(private=True)

    def public_jwk(self) -> dict[str, Any]:
        """The public half as a JWK that names its use, algorithm and kid (RFC 7517 §4)."""
        return {**self.key.as_dict(private=False), "use": "sig", "alg": self.algorithm, "kid": self.kid}

    def public(self) -> "PublicKeys":
        """The public half alone, ready to verify what this key signed."""
        return PublicKeys.from_jwks({"keys": [self.public_jwk()]})


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The usable public keys of a JWK set, loaded once."""

    keys: tuple[JoseKey, ...]

    @classmethod
    def from_jwks(cls, jwks: object) -> Self:
        """Read a JWK set (RFC 7517 §5).

        Keys of another kind, another curve, for encryption, too small, or malformed are passed over as the
        RFC says; so are symmetric keys and keys that give away their private half. Raises `ValueError` when
        it is no key set, or has more than `MAX_KEYS` keys.
        """
        keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(keys, Sequence) or isinstance(keys, str):
            raise ValueError("expected a JWK set: an object with an array `keys`")  # noqa: TRY004 - it is data
        if len(keys) > MAX_KEYS:
            raise ValueError(f"the JWK set has more than {MAX_KEYS} keys")
        return cls(tuple(key for key in map(_public_key, keys) if key is not None))

    @classmethod
    def from_certificates(cls, certificates: Iterable[bytes]) -> Self:
        """The keys that DER certificates carry; a kind that signs no token here is passed over.

        They have no kid, so whatever a token calls its key, each of them may be meant. Raises `ValueError`.
        """
        keys: list[JoseKey] = []
        for der in certificates:
            public = load_der_x509_certificate(der).public_key()
            if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
                keys.append(ECKey.import_key(public))
            elif isinstance(public, rsa.RSAPublicKey) and _SMALLEST_RSA <= public.key_size <= _LARGEST_RSA:
                keys.append(RSAKey.import_key(public))
        return cls(tuple(keys))

    def fitting(self, algorithm: str, kid: str | None) -> list[JoseKey]:
        """The keys that may have made a signature with `algorithm` and `kid`.

        Keys of one set that share a kid are all tried (RFC 7517 §4.5 allows them when their types differ); a
        key without a kid may be any, and comes after those that are named. At most `_MAX_TRIES`.
        """
        named = [
            key
            for key in self.keys
            if key.key_type == _KEY_TYPES[algorithm]
            and key.get("alg") in {None, algorithm}
            and (kid is None or key.kid in {None, kid})
        ]
        if kid is not None:
            named.sort(key=lambda key: key.kid != kid)
        return named[:_MAX_TRIES]


def _public_key(jwk: object) -> JoseKey | None:
    if not isinstance(jwk, Mapping) or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, Sequence) or "verify" not in operations:
        return None
    kind = RSAKey if jwk.get("kty") == "RSA" else ECKey
    names = ("kty", "n", "e", "crv", "x", "y", "kid", "alg")
    parameters = {name: jwk[name] for name in names if name in jwk}
    if not all(isinstance(value, str) for value in parameters.values()) or not _strong(parameters):
        return None
    try:
        key = kind.import_key(parameters)
        key.public_key  # noqa: B018 - a point off the curve shows itself here
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return key


def _strong(jwk: Mapping[str, str]) -> bool:
    if jwk.get("kty") == "EC":
        return jwk.get("crv") == "P-256"
    if jwk.get("kty") != "RSA" or not 1 <= len(jwk.get("e", "")) <= 8:  # noqa: PLR2004 - octets of a usual exponent
        return False
    try:
        modulus = int.from_bytes(unbase64url(jwk.get("n", "")), "big")
    except ValueError:
        return False
    return _SMALLEST_RSA <= modulus.bit_length() <= _LARGEST_RSA


_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_TO_BASE64, _TO_BASE64URL = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


def base64url(octets: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(octets, newline=False).translate(_TO_BASE64URL, b"=").decode()


def unbase64url(text: str) -> bytes:
    """The octets of unpadded base64url. Raises `ValueError` for other characters or padding."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    try:
        return binascii.a2b_base64(text.encode().translate(_TO_BASE64) + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def half_hash(token: str) -> str:
    """`at_hash` of an access token (OIDC Core §3.1.3.6): left half of its SHA-256, base64url."""
    return base64url(hashlib.sha256(token.encode()).digest()[:16])


def s256(verifier: str) -> str:
    """The PKCE challenge of `verifier` (RFC 7636 §4.2)."""
    return base64url(hashlib.sha256(verifier.encode()).digest())


def sign(claims: Mapping[str, Any], key: SigningKey, typ: str = "JWT") -> str:
    """`claims` as a compact signed token whose header says `alg`, `kid` and `typ`."""
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact(header, payload, key.key, registry=_REGISTRY)


def verify(
    token: str, keys: PublicKeys, algorithms: Iterable[str], typ: Sequence[str | None] = ANY_JWT
) -> VerifiedClaims:
    """The claims of `token`, if one of `keys` signed it by one of `algorithms`, and it is of a `typ`.

    `algorithms` is cut down to `ALGORITHMS`. Raises `TokenRefusedError`: `too-large`, `malformed`,
    `algorithm`, `type`, `critical-header`, `unknown-key`, `signature`.
    """
    header = _object(_split(token)[0], _MAX_HEADER)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or algorithm not in set(algorithms):
        raise TokenRefusedError("algorithm")
    if _typ(header) not in typ:
        raise TokenRefusedError("type")
    if "crit" in header or "b64" in header:  # no extension is understood here (RFC 7515 §4.1.11)
        raise TokenRefusedError("critical-header")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefusedError("malformed")
    candidates = keys.fitting(algorithm, kid)
    if not candidates:
        raise TokenRefusedError("unknown-key")
    for key in candidates:
        try:
            signed = jws.deserialize_compact(token, key, registry=_REGISTRY)
        except (JoseError, ValueError):
            continue
        return VerifiedClaims(_claims(signed.payload))
    raise TokenRefusedError("signature")


def header_unsafe(token: str) -> Mapping[str, Any]:
    """The header of `token` unverified, for a token that brings its own key. Raises `TokenRefusedError`."""
    return _object(_split(token)[0], _MAX_HEADER)


def peek_unsafe(token: str) -> Mapping[str, Any]:
    """The claims of `token` unverified: good for finding whose keys to verify it with, and for nothing else.

    Raises `TokenRefusedError`.
    """
    return _object(_split(token)[1], MAX_TOKEN)


def _split(token: str) -> list[str]:
    if len(token) > MAX_TOKEN:
        raise TokenRefusedError("too-large")
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii():
        raise TokenRefusedError("malformed")
    return parts


def _object(part: str, limit: int) -> dict[str, Any]:
    try:
        return read_object(unbase64url(part), limit=limit)
    except ValueError:
        raise TokenRefusedError("malformed") from None


def _claims(payload: bytes | None) -> dict[str, Any]:
    try:
        return read_object(payload or b"", limit=MAX_TOKEN)
    except ValueError:
        raise TokenRefusedError("malformed") from None


def _typ(header: Mapping[str, Any]) -> str | None:
    """`typ` in lower case without the optional `application/` (RFC 7515 §4.1.9)."""
    typ = header.get("typ")
    return None if typ is None else str(typ).lower().removeprefix("application/")


E = TypeVar("E")
Checks = Sequence[tuple[str, Callable[[VerifiedClaims, E], bool]]]
"""A table of checks over verified claims: the reason code of a failure, and the check."""


def hold(checks: Checks[E], claims: VerifiedClaims, expected: E) -> None:
    """Run a table of checks. Raises `TokenRefusedError` with the first one's code that fails."""
    for code, check in checks:
        if not check(claims, expected):
            raise TokenRefusedError(code)


def jwks(*keys: SigningKey) -> Document:
    """The public halves of `keys` as a JWK set (RFC 7517 §5, §8.5.2)."""
    body = json.dumps({"keys": [key.public_jwk() for key in keys]}).encode()
    return Document(
        body=body, content_type="application/jwk-set+json", headers={"Cache-Control": "public, max-age=300"}
    )
