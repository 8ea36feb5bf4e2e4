"""A signed text as CMS that lasts: CAdES (ETSI EN 319 122-1 §6, level B-LT).

The phone signs id-data with the attributes that CAdES wants, and with the nonce of the request as content identifier
(RFC 2634 §2.7), which ties the signature to one request and keeps it from being taken for a sign-in. The gateway adds,
outside of what is signed, the signature timestamp, the certificates of the path, and the evidence on revocation.
"""

from asn1crypto import cms, core

from federation.certificate import signed_data
from federation.certificate.model import StatusEvidence
from federation.certificate.signature import Signature, SignatureError
from federation.certificate.signed_data import UNREADABLE, SignedData, SignedDataError

MEDIA_TYPE = "application/pkcs7-mime; smime-type=signed-data"  # RFC 8551 §3.2.2
CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7"
SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"  # RFC 3161 appendix A

_UNDERSTOOD = frozenset(
    {
        signed_data.CONTENT_TYPE,
        signed_data.MESSAGE_DIGEST,
        signed_data.SIGNING_TIME,
        signed_data.SIGNING_CERTIFICATE_V2,
        CONTENT_IDENTIFIER,
        "1.2.840.113549.1.9.52",  # algorithm protection, RFC 6211: states again what is used
        "1.2.840.113549.1.9.15",  # S/MIME capabilities: of no meaning for a text
    }
)


def read(der: bytes, *, limit: int) -> Signature:
    """What signed data says of a text. Raises `SignatureError` with code malformed, too-large or weak-algorithm."""
    try:
        signed = signed_data.read(der, limit=limit)
    except SignedDataError as why:
        raise SignatureError(why.code, why.detail) from None
    if signed.content_type != signed_data.DATA or not _UNDERSTOOD.issuperset(signed.attributes):
        raise SignatureError("malformed", "not a signed text: other content, or attributes that are not known here")
    try:
        at = cms.Time.load(signed.attributes[signed_data.SIGNING_TIME], strict=True).native
        nonce = core.OctetString.load(signed.attributes[CONTENT_IDENTIFIER], strict=True).native.decode("ascii")
    except UNREADABLE:
        raise SignatureError("malformed", "no time of signing, or no content identifier") from None
    return Signature(
        kind="cms",
        text=signed.content,
        certificate=signed.signer,
        certificates=signed.certificates,
        evidence=signed.evidence,
        octets=signed.signed,
        value=signed.signature,
        timestamped=signed.signature,
        tokens=signed.unsigned.get(SIGNATURE_TIMESTAMP, ()),
        nonce=nonce,
        claimed_at=at,
        names_its_certificate=signed_data.names_its_certificate(signed),
        verify=lambda: _verify(signed),
    )


def lasting(
    der: bytes, *, token: bytes, certificates: tuple[bytes, ...], evidence: tuple[StatusEvidence, ...]
) -> bytes:
    """The same signature with what makes it last. Raises `SignatureError`."""
    try:
        return signed_data.extended(
            der, certificates=certificates, evidence=evidence, unsigned={SIGNATURE_TIMESTAMP: (token,)}
        )
    except SignedDataError as why:
        raise SignatureError(why.code, why.detail) from None


def _verify(signed: SignedData) -> None:
    try:
        signed_data.verify(signed)
    except SignedDataError as why:
        raise SignatureError(why.code, why.detail) from None
