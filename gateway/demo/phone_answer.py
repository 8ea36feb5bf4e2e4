"""How a phone answers: the answer object signed as JWS or CMS, with what its owner discloses; or a text signed.

Written apart from what the gateway verifies with, as the makers of phones and of card middleware would.
"""

import hashlib
import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gateway.demo.phone_request import SIGN_TEXT, PhoneRequest
from gateway.demo.phone_wallet import Card, key_pem

ANSWER_TYPE = "certificate-answer+jwt"
CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7"
"""The signed attribute that carries a text's nonce (RFC 2634 §2.7)."""


def answer(
    request: PhoneRequest, card: Card, *, how: str, now: datetime, face: bool = False, disclose: Collection[str] = ()
) -> dict[str, str]:
    """The form to post: `how` is `jws` or `cms`; `disclose` names what of the attribute certificate goes with it."""
    if request.kind == SIGN_TEXT:
        return {"state": request.state, **_signed_text(request, card, how, now)}
    stated: dict[str, Any] = {
        "aud": request.response_uri,
        "nonce": request.nonce,
        "iat": int(now.timestamp()),
        "request_sha256": _base64url(hashlib.sha256(request.jwt).digest()),
        "amr": ["hwk", "pin", *(["face"] if face else [])],
    }
    if face:
        stated["face"] = {"at": int(now.timestamp()), "method": "demo"}
    fields = {"state": request.state}
    if disclose:
        presented = presentation(card, disclose, audience=request.response_uri, nonce=request.nonce, now=now)
        stated["sd_hash"] = _base64url(hashlib.sha256(presented.encode()).digest())
        fields["attributes"] = presented
    octets = json.dumps(stated, ensure_ascii=False).encode()
    if how == "cms":
        return {**fields, "cms": b64encode(signed_data(card, octets, now)).decode()}
    return {**fields, "response": _jws(card, {"typ": ANSWER_TYPE, "x5c": _x5c(card)}, octets)}


def declined(request: PhoneRequest) -> dict[str, str]:
    """The form of somebody who says no (RFC 6749 §4.1.2.1)."""
    return {"state": request.state, "error": "access_denied"}


def presentation(card: Card, disclose: Collection[str], *, audience: str, nonce: str, now: datetime) -> str:
    """The attribute certificate with the chosen disclosures, and proof of the key (RFC 9901 §4.3)."""
    token, *disclosures, _ = card.attributes.split("~")
    shown = "~".join((token, *(each for each in disclosures if _name(each) in disclose), ""))
    proof = {
        "iat": int(now.timestamp()),
        "aud": audience,
        "nonce": nonce,
        "sd_hash": _base64url(hashlib.sha256(shown.encode()).digest()),
    }
    return shown + _jws(card, {"typ": "kb+jwt"}, json.dumps(proof).encode())


def disclosable(card: Card) -> frozenset[str]:
    """The names of everything in the attribute certificate."""
    return frozenset(map(_name, card.attributes.split("~")[1:-1]))


def disclosed_value(card: Card, name: str) -> str:
    """What would be disclosed under `name`: the owner sees it before deciding."""
    found = (json.loads(_decoded(each)) for each in card.attributes.split("~")[1:-1])
    return next((str(value) for _, its, value in found if its == name), "")


def _signed_text(request: PhoneRequest, card: Card, how: str, now: datetime) -> Mapping[str, str]:
    """The text's own octets, signed; the nonce stands among what is signed."""
    octets = request.text.encode()
    if how == "cms":
        signed = signed_data(card, octets, now, nonce=request.nonce)
        return {"cms": b64encode(signed).decode()}
    header = {
        "typ": "JOSE+JSON",
        "cty": "text/plain",
        "x5c": _x5c(card),
        "iat": int(now.timestamp()),  # when it was signed (ETSI TS 119 182-1 §5.1.11)
        "nonce": request.nonce,
    }
    return {"response": _jws(card, header, octets)}


# --- JWS (RFC 7515)


def _jws(card: Card, header: Mapping[str, Any], payload: bytes) -> str:
    kind = ECKey if isinstance(card.key, ec.EllipticCurvePrivateKey) else RSAKey
    key = kind.import_key(key_pem(card.key))
    return jws.serialize_compact({"alg": card.algorithm, **header}, payload, key, registry=_REGISTRY)


_REGISTRY = jws.JWSRegistry(algorithms=["ES256", "ES384", "RS256", "PS256"], strict_check_header=False)
_REGISTRY.max_header_length = 64 * 1024  # certificates stand in the header


def _x5c(card: Card) -> list[str]:
    return [b64encode(each).decode() for each in card.certificates]


# --- CMS SignedData (RFC 5652), as card middleware makes it


def signed_data(card: Card, content: bytes, now: datetime, *, nonce: str = "") -> bytes:
    """`content`, signed and enclosed, with the attributes of CAdES (ETSI EN 319 122-1 §5): DER."""
    digest = "sha384" if card.algorithm == "ES384" else "sha256"
    named = tsp.ESSCertIDv2(
        {"hash_algorithm": {"algorithm": "sha256"}, "cert_hash": hashlib.sha256(card.certificates[0]).digest()}
    )
    attributes: list[Any] = [
        {"type": "content_type", "values": ["data"]},
        {"type": "signing_time", "values": [cms.Time({"utc_time": now.replace(microsecond=0)})]},
        {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
        {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [named]})]},
    ]
    if nonce:
        attributes.append({"type": CONTENT_IDENTIFIER, "values": [core.OctetString(nonce.encode("ascii"))]})
    signed = cms.CMSAttributes(attributes)
    algorithm, signature = _signature(card, signed.dump(), digest)
    held = [x509.Certificate.load(each) for each in card.certificates]
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": digest})],
            "encap_content_info": {"content_type": "data", "content": content},
            "certificates": held,
            "signer_infos": [
                {
                    "version": "v1",
                    "sid": cms.SignerIdentifier(
                        {
                            "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                                {"issuer": held[0].issuer, "serial_number": held[0].serial_number}
                            )
                        }
                    ),
                    "digest_algorithm": {"algorithm": digest},
                    "signed_attrs": signed,
                    "signature_algorithm": {"algorithm": algorithm},
                    "signature": signature,
                }
            ],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())


def _signature(card: Card, octets: bytes, digest: str) -> tuple[str, bytes]:
    """The name of the algorithm, and the signature: with RSA that of PKCS #1 v1.5, which is what cards do."""
    function = hashes.SHA384() if digest == "sha384" else hashes.SHA256()
    if isinstance(card.key, rsa.RSAPrivateKey):
        return f"{digest}_rsa", card.key.sign(octets, padding.PKCS1v15(), function)
    return f"{digest}_ecdsa", card.key.sign(octets, ec.ECDSA(function))


def _name(disclosure: str) -> str:
    return str(json.loads(_decoded(disclosure))[1])


def _decoded(disclosure: str) -> bytes:
    return urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4))


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
