"""A signed text as JWS that lasts: JAdES (ETSI TS 119 182-1 §6, level B-LT), in flattened JSON (RFC 7515 §7.2.2).

The phone signs a compact JWS: the header says with which certificate (`x5c`), when (`iat`) and for which request
(`nonce`). The gateway makes JSON of the same three parts and adds `etsiU` (§5.3): the signature timestamp over the
base64url form of the signature (`sigTst`), the certificates of the path (`xVals`) and the evidence on revocation
(`rVals`). Nothing that was signed changes.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from federation.certificate.model import StatusEvidence
from federation.certificate.signature import Signature, SignatureError
from federation.certificate.signed_data import UNREADABLE, certificate_of
from federation.oidc.jose import base64url, unbase64url
from federation.oidc.strict_json import instant, read_object

MEDIA_TYPE = "application/jose+json"
TYPE = "application/jose+json"
ALGORITHMS = ("ES256", "ES384", "RS256", "PS256")

_NEEDED = frozenset({"alg", "typ", "x5c", "iat", "nonce"})
_ALLOWED = _NEEDED | {"cty", "kid", "x5t#S256"}
_MEMBERS = {"payload", "protected", "signature", "header"}
_ELLIPTIC: Mapping[str, tuple[str, int, hashes.HashAlgorithm]] = {
    "ES256": ("secp256r1", 32, hashes.SHA256()),
    "ES384": ("secp384r1", 48, hashes.SHA384()),
}
_RSA_SIZES = range(2048, 8193)
_MAX_CERTIFICATES = 32
_MAX_UNSIGNED = 16
_MAX_CHAIN = 8


def read(document: bytes, *, limit: int) -> Signature:
    """What a JWS says of a text: the phone's compact one, or ours in JSON. Raises `SignatureError`."""
    if len(document) > limit:
        raise SignatureError("too-large", f"{len(document)} octets; at most {limit} are read")
    try:
        if document.startswith(b"{"):
            whole = read_object(document, limit=limit)
            if set(whole) != _MEMBERS or set(whole["header"]) != {"etsiU"}:
                raise ValueError("other members")
            return _read(whole["protected"], whole["payload"], whole["signature"], _unsigned(whole["header"]["etsiU"]))
        protected, payload, signature = document.decode("ascii").split(".")
        return _read(protected, payload, signature, [])
    except UNREADABLE:
        raise SignatureError("malformed", "not a JWS over a text, with the header that is asked for") from None


def lasting(
    compact: bytes, *, token: bytes, certificates: tuple[bytes, ...], evidence: tuple[StatusEvidence, ...]
) -> bytes:
    """The same signature in JSON, with what makes it last. Raises `SignatureError`."""
    read(compact, limit=len(compact))
    protected, payload, signature = compact.decode("ascii").split(".")
    unsigned: list[Mapping[str, Any]] = [
        {"sigTst": {"tstTokens": [_value(token)]}},
        {"xVals": [{"x509Cert": _value(der)} for der in dict.fromkeys(certificates)]},
    ]
    kept = {
        name: [_value(der) for der in dict.fromkeys(one.der for one in evidence if one.kind == kind)]
        for name, kind in (("crlVals", "crl"), ("ocspVals", "ocsp"))
    }
    if any(kept.values()):
        unsigned.append({"rVals": {name: values for name, values in kept.items() if values}})
    document = {
        "payload": payload,
        "protected": protected,
        "header": {"etsiU": [base64url(json.dumps(one).encode()) for one in unsigned]},
        "signature": signature,
    }
    return json.dumps(document).encode("ascii")


# --- reading


def _media_type(stated: object) -> str:
    """A media type as RFC 7515 §4.1.9 has it: in any case, and `application/` may be left out. Raises `TypeError`."""
    if not isinstance(stated, str):
        raise TypeError("a media type is a string")
    return stated.lower() if "/" in stated else f"application/{stated.lower()}"


def _is_plain(stated: object) -> bool:
    """Whether a content type is that of plain text in UTF-8 (RFC 7515 §4.1.10)."""
    kind, _, parameters = _media_type(stated).partition(";")
    return kind.strip() == "text/plain" and parameters.strip().replace('"', "") in {"", "charset=utf-8"}


def _read(protected: str, payload: str, signature: str, unsigned: list[Mapping[str, Any]]) -> Signature:
    header = read_object(_from_url(protected))
    at = instant(header.get("iat"))
    if not _NEEDED <= set(header) <= _ALLOWED or at is None or _media_type(header["typ"]) != TYPE:
        raise ValueError("another header")
    nonce, algorithm = header["nonce"], header["alg"]
    if not isinstance(nonce, str) or algorithm not in ALGORITHMS or not _is_plain(header.get("cty", "text/plain")):
        raise ValueError("another header")
    chain = [_from_standard(one) for one in header["x5c"]]
    if not 0 < len(chain) <= _MAX_CHAIN:
        raise ValueError("no certificate, or too many")
    if header.get("x5t#S256", thumbprint(chain[0])) != thumbprint(chain[0]):
        raise ValueError("the thumbprint is that of another certificate")
    tokens, certificates, evidence = _lasting_parts(unsigned)
    octets = f"{protected}.{payload}".encode("ascii")
    value = _from_url(signature)
    key = certificate_of(chain[0]).public_key()
    return Signature(
        kind="jws",
        text=_from_url(payload),
        certificate=chain[0],
        certificates=tuple(dict.fromkeys((*chain, *certificates))),
        evidence=evidence,
        octets=octets,
        value=value,
        timestamped=signature.encode("ascii"),
        tokens=tokens,
        nonce=nonce,
        claimed_at=at,
        names_its_certificate=True,  # `x5c` is in the header that is signed
        verify=lambda: _verify(key, algorithm, value, octets),
    )


def _unsigned(elements: Any) -> list[Mapping[str, Any]]:
    """`etsiU` in its base64url form (§5.3): each element one member."""
    if not isinstance(elements, list) or len(elements) > _MAX_UNSIGNED:
        raise ValueError("no list, or too long")
    found: list[Mapping[str, Any]] = [read_object(_from_url(one), limit=len(one)) for one in elements]
    if any(len(one) != 1 for one in found):
        raise ValueError("an element of several members")
    return found


def _lasting_parts(
    unsigned: Iterable[Mapping[str, Any]],
) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[StatusEvidence, ...]]:
    """Tokens, certificates and evidence. Elements of other names prove nothing here and are passed over."""
    tokens: list[bytes] = []
    certificates: list[bytes] = []
    evidence: list[StatusEvidence] = []
    for one in unsigned:
        for name, value in one.items():
            if name == "sigTst":
                tokens += map(_der, value["tstTokens"])
            elif name == "xVals":
                certificates += [_der(each["x509Cert"]) for each in value if "x509Cert" in each]
            elif name == "rVals":
                evidence += [StatusEvidence(kind="crl", der=_der(each)) for each in value.get("crlVals", ())]
                evidence += [StatusEvidence(kind="ocsp", der=_der(each)) for each in value.get("ocspVals", ())]
    if len(certificates) > _MAX_CERTIFICATES:
        raise ValueError("too many certificates")
    return tuple(tokens), tuple(certificates), tuple(evidence)


def thumbprint(der: bytes) -> str:
    """`x5t#S256` (RFC 7515 §4.1.8)."""
    return base64url(hashlib.sha256(der).digest())


def _value(der: bytes) -> Mapping[str, str]:
    """The type pkiOb (§5.4): base64 of DER."""
    return {"val": base64.b64encode(der).decode("ascii")}


def _der(value: Any) -> bytes:
    if set(value) - {"val", "encoding", "specRef"}:
        raise ValueError("another form")
    return _from_standard(value["val"])


def _from_standard(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("no text")
    return base64.b64decode(text, validate=True)


def _from_url(text: Any) -> bytes:
    """Unpadded base64url (RFC 7515 §2) of which each octet string has one form."""
    if not isinstance(text, str):
        raise TypeError("no text")
    octets = unbase64url(text)
    if base64url(octets) != text:
        raise ValueError("another form of base64url")
    return octets


# --- verifying


def _verify(key: object, algorithm: str, value: bytes, octets: bytes) -> None:
    try:
        if algorithm in _ELLIPTIC and isinstance(key, ec.EllipticCurvePublicKey):
            curve, half, digest = _ELLIPTIC[algorithm]
            if key.curve.name == curve and len(value) == 2 * half:
                numbers = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
                key.verify(utils.encode_dss_signature(*numbers), octets, ec.ECDSA(digest))
                return
        if algorithm not in _ELLIPTIC and isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_SIZES:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
            scheme = pss if algorithm == "PS256" else padding.PKCS1v15()
            key.verify(value, octets, scheme, hashes.SHA256())
            return
    except InvalidSignature:
        raise SignatureError("signature", "the signature is not that of the certificate it names") from None
    raise SignatureError("weak-algorithm", "the algorithm does not fit the certificate's key, or the key is weak")
