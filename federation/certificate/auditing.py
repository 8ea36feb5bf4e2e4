"""A container taken apart into files that other programs read, so that nobody need believe us.

Nothing is verified here: that is what the other programs are for. Which commands, stands in `docs/signing.md`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from federation.certificate import container, signed_data
from federation.certificate.container import ContainerRefusedError
from federation.certificate.signature import Signature
from federation.certificate.signed_data import UNREADABLE, certificate_of

_MAX_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a container says of itself, unverified: who (the certificate's common name), when, what."""

    kind: str
    signer: str = field(repr=False)
    issuer: str
    claimed_at: datetime
    timestamped_at: datetime | None
    text_sha256: str
    text_octets: int
    evidence: tuple[str, ...]


def summary_unsafe(octets: bytes) -> Summary:
    """Raises `ContainerRefusedError` for what is no container."""
    said = container.read(octets)
    try:
        certificate = certificate_of(said.certificate)
        return Summary(
            kind=said.kind,
            signer=_common_name(certificate.subject),
            issuer=certificate.issuer.rfc4514_string(),
            claimed_at=said.claimed_at,
            timestamped_at=_moment(said.tokens[0]) if said.tokens else None,
            text_sha256=hashlib.sha256(said.text).hexdigest(),
            text_octets=len(said.text),
            evidence=tuple(one.kind for one in said.evidence),
        )
    except UNREADABLE:
        raise ContainerRefusedError("container-malformed", "a certificate or timestamp in it cannot be read") from None


def parts_unsafe(octets: bytes) -> Mapping[str, bytes]:
    """The parts of a container by the names of files. Raises `ContainerRefusedError` for what is no container.

    `text.txt` what was signed; `signer.pem`, `issuer.pem` (if it is there), `certificates.pem` (all); `signed.bin` the
    octets that `signature.bin` is a signature over; `timestamp-N.tst` tokens over `timestamped.bin`; `ocsp-N.der`,
    `crl-N.pem`; for signed data also `container.der`. OCSP responses about the signer come first: a SET has no order.
    """
    said = container.read(octets)
    try:
        return _parts(said, octets)
    except UNREADABLE:
        raise ContainerRefusedError("container-malformed", "a certificate or timestamp in it cannot be read") from None


def _parts(said: Signature, octets: bytes) -> Mapping[str, bytes]:
    signer = certificate_of(said.certificate)
    others = [certificate_of(der) for der in said.certificates]
    files = {
        "text.txt": said.text,
        "signer.pem": signer.public_bytes(Encoding.PEM),
        "certificates.pem": b"".join(one.public_bytes(Encoding.PEM) for one in others),
        "signed.bin": said.octets,
        "signature.bin": _for_openssl(said, signer),
        "timestamped.bin": said.timestamped,
    }
    above = signed_data.related(said.certificate, said.certificates, most=1)
    if above:
        files["issuer.pem"] = certificate_of(above[0]).public_bytes(Encoding.PEM)
    if said.kind == "cms":
        files["container.der"] = octets
    for number, token in enumerate(said.tokens[:_MAX_TOKENS], 1):
        files[f"timestamp-{number}.tst"] = token
    responses = [one.der for one in said.evidence if one.kind == "ocsp"]
    responses.sort(key=lambda der: not _about(der, signer.serial_number))
    for number, der in enumerate(responses, 1):
        files[f"ocsp-{number}.der"] = der
    for number, der in enumerate((one.der for one in said.evidence if one.kind == "crl"), 1):
        files[f"crl-{number}.pem"] = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    return files


def _about(response: bytes, serial: int) -> bool:
    try:
        return any(one.serial_number == serial for one in ocsp.load_der_ocsp_response(response).responses)
    except ValueError:  # no OCSP response, or one that answers nothing
        return False


def _for_openssl(said: Signature, signer: x509.Certificate) -> bytes:
    """A JWS writes the two numbers of ECDSA side by side (RFC 7518 §3.4), OpenSSL wants them in DER."""
    if said.kind != "jws" or not isinstance(signer.public_key(), ec.EllipticCurvePublicKey):
        return said.value
    half = len(said.value) // 2
    numbers = int.from_bytes(said.value[:half], "big"), int.from_bytes(said.value[half:], "big")
    return utils.encode_dss_signature(*numbers)


def _moment(token: bytes) -> datetime:
    info = cms.ContentInfo.load(token, strict=True)["content"]["encap_content_info"]["content"]
    at: datetime = tsp.TSTInfo.load(bytes(info), strict=True)["gen_time"].native
    return at


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""
