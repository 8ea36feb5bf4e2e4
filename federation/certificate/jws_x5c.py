"""JWS compact serialisation (RFC 7515) whose key is that of a certificate: the phones' usual form of a signature.

The certificates come along in `x5c` (§4.1.6) and are believed for nothing here. Whatever could lead a verifier to
another key (`jwk`, `jku`, `x5u`) or change what was signed (`crit`, `b64`) is refused, and so is every spelling of
base64 but the one that an encoder writes, so that one signature has one text.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from federation.certificate.model import CertificateRefusedError
from federation.certificate.strength import PublicKey
from federation.oidc.jose import base64url, unbase64url
from federation.oidc.strict_json import read_object

MAX_TOKEN = 64 * 1024
"""Octets of the longest token that is read: six large certificates, twice in base64."""
MAX_CERTIFICATES = 6

_PARTS = 3
_REFUSED = frozenset({"jwk", "jku", "x5u", "crit", "b64", "enc", "zip", "nonce"})
"""Members of the protected header that bring a key, have the rest read in another way, or make it a signed text.

Others that are not understood are not looked at (RFC 7515 §4), `kid` among them.
"""


class _Algorithm(NamedTuple):
    """RFC 7518 §3.1; `curve` "" for RSA, `pss` with a salt as long as the hash (§3.5)."""

    hash: hashes.HashAlgorithm
    curve: str = ""
    pss: bool = False


ALGORITHMS: Mapping[str, _Algorithm] = {
    "ES256": _Algorithm(hashes.SHA256(), "secp256r1"),
    "ES384": _Algorithm(hashes.SHA384(), "secp384r1"),
    "RS256": _Algorithm(hashes.SHA256()),
    "PS256": _Algorithm(hashes.SHA256(), pss=True),
}
"""Every algorithm that is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A token, read and not verified. `certificates` are those of `x5c`, DER, the signer's first."""

    algorithm: str
    certificates: tuple[bytes, ...] = field(repr=False)
    content: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def leaf(self) -> bytes:
        """The signer's certificate, DER."""
        return self.certificates[0]

    @property
    def others(self) -> tuple[bytes, ...]:
        """The certificates that came with it, DER."""
        return self.certificates[1:]

    def fits(self, key: PublicKey) -> None:
        """Whether the algorithm is one that is believed, and made by such a key.

        Raises `CertificateRefusedError` answer-algorithm.
        """
        algorithm = ALGORITHMS.get(self.algorithm)
        if algorithm is None:
            raise CertificateRefusedError("answer-algorithm", "`alg` is none that the request allows")
        curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else ""
        if curve != algorithm.curve:
            raise CertificateRefusedError("answer-algorithm", "`alg` is not one of the certificate's key")

    def verify(self, key: PublicKey) -> None:
        """Whether `key` made the signature. Call `fits` first. Raises `CertificateRefusedError` signature."""
        self.fits(key)
        algorithm = ALGORITHMS[self.algorithm]
        try:
            if isinstance(key, rsa.RSAPublicKey):
                salted = padding.PSS(padding.MGF1(algorithm.hash), algorithm.hash.digest_size)
                key.verify(self.signature, self.signed, salted if algorithm.pss else padding.PKCS1v15(), algorithm.hash)
            else:
                key.verify(_dss(self.signature, key), self.signed, ec.ECDSA(algorithm.hash))
        except InvalidSignature:
            raise CertificateRefusedError("signature") from None


def read(token: str, *, typ: str, limit: int = MAX_TOKEN, certificates: bool = True) -> Jws:
    """Read a token of the type `typ` (in lower case), with or without certificates in its header.

    Raises `CertificateRefusedError` answer-malformed or answer-too-large.
    """
    if len(token) > limit:
        raise CertificateRefusedError("answer-too-large")
    parts = token.split(".")
    if len(parts) != _PARTS or not token.isascii():
        raise _malformed("not a JWS in compact serialisation")
    try:
        header_octets, content, signature = map(canonical_base64url, parts)
        header = read_object(header_octets, limit=limit)
    except ValueError:
        raise _malformed("a part of the JWS cannot be read") from None
    if header.keys() & _REFUSED or ("x5c" in header) != certificates:
        raise _malformed("the JWS header has a member that is not taken here, or lacks x5c")
    if not isinstance(header.get("typ"), str) or header["typ"].lower().removeprefix("application/") != typ:
        raise _malformed(f"`typ` is not {typ}")
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        raise _malformed("`alg` or `kid` is not a string")
    return Jws(
        algorithm=header["alg"],
        certificates=_x5c(header) if certificates else (),
        content=content,
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def how_many(token: str) -> int:
    """How many certificates a token says that it has; 0 for what cannot be read."""
    try:
        stated = read_object(unbase64url(token.partition(".")[0]), limit=MAX_TOKEN).get("x5c")
    except ValueError:
        return 0
    return len(stated) if isinstance(stated, list) else 0


def canonical_base64url(text: str) -> bytes:
    """The octets of unpadded base64url as an encoder writes it (RFC 4648 §3.5). Raises `ValueError`."""
    octets = unbase64url(text)
    if base64url(octets) != text:
        raise ValueError("not as an encoder writes it")
    return octets


def canonical_base64(text: str) -> bytes:
    """The octets of base64 (RFC 4648 §4), with its padding and without line breaks. Raises `ValueError`."""
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if base64.b64encode(octets).decode() != text:
        raise ValueError("not as an encoder writes it")
    return octets


def _x5c(header: Mapping[str, Any]) -> tuple[bytes, ...]:
    stated = header["x5c"]
    if not isinstance(stated, list) or not all(isinstance(each, str) for each in stated):
        raise _malformed("x5c is not an array of strings")
    if not 1 <= len(stated) <= MAX_CERTIFICATES:
        raise _malformed(f"x5c has not 1 to {MAX_CERTIFICATES} certificates")
    try:
        found = tuple(map(canonical_base64, stated))
    except ValueError:
        raise _malformed("a certificate in x5c is not base64") from None
    if header.get("x5t#S256", thumbprint := base64url(hashlib.sha256(found[0]).digest())) != thumbprint:
        raise _malformed("x5t#S256 is not that of the first certificate")
    return found


def _dss(signature: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """The two numbers, side by side here (RFC 7518 §3.4), in the library's form."""
    half = (key.key_size + 7) // 8
    if len(signature) != 2 * half:
        raise InvalidSignature
    return utils.encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def _malformed(detail: str) -> CertificateRefusedError:
    return CertificateRefusedError("answer-malformed", detail)
