"""A phone that signs texts, for tests: CMS and JWS made by hand, sharing nothing with the code under test."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.federation.certificate.authorities import AT, Issued, sign, signature_algorithm

NONCE = "n-0S6_WzA2Mj"
TEXT = "前橋市長 様\n子ども医療費の助成を申請します。\n申請者 山田 花子\n"
CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7"


def url(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def sign_cms(
    issued: Issued,
    text: str = TEXT,
    *,
    nonce: str | None = NONCE,
    at: datetime | None = AT,
    digest: str = "sha256",
    pss: bool = False,
    leave_out: Sequence[str] = (),
    wrong: Sequence[str] = (),
    extra: Sequence[Mapping[str, Any]] = (),
    certificates: Sequence[bytes] | None = None,
    by_key_identifier: bool = False,
    issuer_serial: int | None = None,
) -> bytes:
    """Signed data over the text with the attributes of CAdES (ETSI EN 319 122-1 §6.3)."""
    content = text.encode()
    named = hashlib.sha256(issued.der + (b"!" if "certificate-id" in wrong else b"")).digest()
    certificate = asn1.Certificate.load(issued.der)
    identified: dict[str, Any] = {"cert_hash": named}
    if issuer_serial is not None:  # what RFC 5035 §4 allows beside the digest
        issuer = [asn1.GeneralName("directory_name", certificate.issuer)]
        identified["issuer_serial"] = {"issuer": issuer, "serial_number": certificate.serial_number + issuer_serial}
    attributes: list[Mapping[str, Any]] = [
        {"type": "content_type", "values": ["data"]},
        {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
        {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [identified]})]},
    ]
    if at is not None:
        attributes.append({"type": "signing_time", "values": [cms.Time("utc_time", at)]})
    if nonce is not None:
        attributes.append({"type": CONTENT_IDENTIFIER, "values": [core.OctetString(nonce.encode())]})
    kept = [one for one in attributes if one["type"] not in leave_out]
    signed = cms.CMSAttributes([*kept, *extra])
    identifier = cms.SignerIdentifier(
        "issuer_and_serial_number", {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    )
    if by_key_identifier:
        identifier = cms.SignerIdentifier("subject_key_identifier", certificate.key_identifier)
    along = [issued.der, *issued.others] if certificates is None else certificates
    data = cms.SignedData(
        {
            "version": "v3" if by_key_identifier else "v1",
            "digest_algorithms": [{"algorithm": digest}],
            "encap_content_info": {"content_type": "data", "content": content},
            "certificates": [asn1.Certificate.load(der) for der in along],
            "signer_infos": [
                {
                    "version": "v3" if by_key_identifier else "v1",
                    "sid": identifier,
                    "digest_algorithm": {"algorithm": digest},
                    "signed_attrs": signed,
                    "signature_algorithm": signature_algorithm(issued.key, digest, pss=pss),
                    "signature": sign(
                        signed.dump() + (b"!" if "signature" in wrong else b""), issued.key, digest, pss=pss
                    ),
                }
            ],
        }
    )
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())


def sign_jws(
    issued: Issued,
    text: str = TEXT,
    *,
    algorithm: str = "ES256",
    header: Mapping[str, Any] | None = None,
    leave_out: Sequence[str] = (),
    wrong: Sequence[str] = (),
) -> bytes:
    """A compact JWS over the text. `header` replaces members of the protected header."""
    protected: dict[str, Any] = {
        "alg": algorithm,
        "typ": "JOSE+JSON",
        "cty": "text/plain",
        "x5c": [base64.b64encode(der).decode() for der in issued.x5c],
        "iat": int(AT.timestamp()),
        "nonce": NONCE,
        **(header or {}),
    }
    kept = {name: value for name, value in protected.items() if name not in leave_out}
    octets = f"{url(json.dumps(kept).encode())}.{url(text.encode())}".encode()
    digest = {"ES384": "sha384"}.get(algorithm, "sha256")
    made = sign(octets + (b"!" if "signature" in wrong else b""), issued.key, digest, pss=algorithm == "PS256")
    if isinstance(issued.key, ec.EllipticCurvePrivateKey):
        half = (issued.key.curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(made)
        made = r.to_bytes(half, "big") + s.to_bytes(half, "big")
    return octets + b"." + url(made).encode()
