"""OCSP without sockets: the question about one certificate, and what a response says of it (RFC 6960, RFC 8954).

The issuer signs its responses itself, or lets a responder do so whose certificate it issued directly for that alone
(id-kp-OCSPSigning). Whether such a responder's own certificate was revoked need not be asked if the issuer says so in
it (id-pkix-ocsp-nocheck); otherwise a revocation list must tell, since the responder cannot speak for itself: the
caller gets the certificate to ask about.

A response that brings a nonce must bring ours. Responders that make their responses beforehand send none (RFC 5019
§4): then the times alone say that it is no old one. A response without nextUpdate counts for `UNSTATED` only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from federation.certificate import strength
from federation.certificate.facts import PROCESSED, Facts, facts
from federation.certificate.model import CertificateRefusedError, Standing, Status, StatusEvidence, StatusQuestion
from federation.certificate.names import canonical
from federation.certificate.sources import SKEW, UNREADABLE, Moment, StatusRefusedError, check_times

REQUEST, RESPONSE = "application/ocsp-request", "application/ocsp-response"

MAX_RESPONSE = 64 * 1024
"""Octets of the largest response that is read. Real ones have two thousand."""

UNSTATED = timedelta(minutes=10)
"""For how long a response counts that does not say when there is a newer one."""

NONCE_OCTETS = 32
"""RFC 8954 §2.1: at most."""

_MOST_RESPONSES = 32
_NO_CHECK = x509.OCSPNoCheck.oid.dotted_string
_KNOWN = frozenset({_NO_CHECK, *(each.dotted_string for each in PROCESSED)})

_STANDINGS = {
    ocsp.OCSPCertStatus.GOOD: Standing.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Standing.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Standing.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """What a response says. `responder`: the certificate that must not be on its issuer's list for it to count."""

    status: Status
    responder: x509.Certificate | None = field(default=None, repr=False)


def request(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    nonce: bytes | None,
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    """The request about one certificate (RFC 6960 §4.1).

    The SHA-1 in it only identifies the issuer, protects nothing, and is what every responder knows (RFC 5019 §2.1.1).
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest or hashes.SHA1())  # noqa: S303
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def read(der: bytes, question: StatusQuestion, moment: Moment, *, nonce: bytes | None = None) -> OcspAnswer:
    """What a response says of the question's certificate. `nonce`: the request's; None: whatever it brings will do.

    What is checked stands in `CHECKS`. Raises `StatusRefusedError`.
    """
    if len(der) > MAX_RESPONSE:
        raise StatusRefusedError("ocsp-malformed", "larger than any real one")
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise StatusRefusedError("ocsp-unsuccessful", response.response_status.name.lower())
        case = _case(der, response, question, moment, nonce)
        for check in CHECKS:
            if not check.holds(case):
                raise StatusRefusedError(check.code)
    except UNREADABLE:
        raise StatusRefusedError("ocsp-malformed") from None
    over = check_times(
        "ocsp",
        case.this_update,
        case.next_update,
        moment,
        not_after=question.certificate.not_valid_after_utc,
        stated=case.single.certificate_status is ocsp.OCSPCertStatus.REVOKED,
        lasting=_lasts(case.single),
    )
    return OcspAnswer(status=_status(case, over=over), responder=_unchecked(case))


class _Case(NamedTuple):
    """A response, and what it is held against."""

    der: bytes
    response: ocsp.OCSPResponse
    single: ocsp.OCSPSingleResponse
    place: int
    issuer: x509.Certificate
    signer: x509.Certificate
    moment: Moment
    nonce: bytes | None

    @property
    def delegated(self) -> bool:
        """Whether somebody else than the issuer signed it."""
        return self.signer is not self.issuer

    @property
    def this_update(self) -> datetime:
        return self.single.this_update_utc

    @property
    def next_update(self) -> datetime:
        return self.single.next_update_utc or self.this_update + UNSTATED


def _case(
    der: bytes, response: ocsp.OCSPResponse, question: StatusQuestion, moment: Moment, nonce: bytes | None
) -> _Case:
    place, single = _single(response, question)
    return _Case(
        der=der,
        response=response,
        single=single,
        place=place,
        issuer=question.issuer,
        signer=_signer(response, question.issuer),
        moment=moment,
        nonce=nonce,
    )


def _single(response: ocsp.OCSPResponse, question: StatusQuestion) -> tuple[int, ocsp.OCSPSingleResponse]:
    """The newest part of the response that is about the certificate: its CertID is the one that we would ask by.

    Of parts of one moment that contradict each other, the gravest.
    """
    found: list[tuple[int, ocsp.OCSPSingleResponse]] = []
    for place, single in enumerate(_bounded(iter(response.responses))):
        if single.serial_number != question.certificate.serial_number:
            continue
        asked = _identifier(question, single.hash_algorithm)
        if (single.issuer_name_hash, single.issuer_key_hash) == (asked.issuer_name_hash, asked.issuer_key_hash):
            found.append((place, single))
    if not found:
        raise StatusRefusedError("ocsp-other-certificate")
    return max(found, key=lambda each: (each[1].this_update_utc, *_gravity(each[1])))


def _gravity(single: ocsp.OCSPSingleResponse) -> tuple[int, bool]:
    return _STANDINGS[single.certificate_status].gravity, _lasts(single)


def _bounded(found: Iterator[ocsp.OCSPSingleResponse]) -> Iterator[ocsp.OCSPSingleResponse]:
    for number, each in enumerate(found):
        if number >= _MOST_RESPONSES:
            raise StatusRefusedError("ocsp-malformed", "about more certificates than were asked for")
        yield each


def _identifier(question: StatusQuestion, digest: hashes.HashAlgorithm) -> ocsp.OCSPRequest:
    return ocsp.OCSPRequestBuilder().add_certificate(question.certificate, question.issuer, digest).build()


# --- who signed it


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate:
    """The certificate whose holder the response names: the issuer, or one that came along (RFC 6960 §4.2.2.3)."""
    for candidate in (issuer, *response.certificates):
        if _is_named(response, candidate):
            return candidate
    raise StatusRefusedError("ocsp-signer", "it names somebody else, whose certificate it does not bring")


def _is_named(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if response.responder_key_hash is not None:
        try:
            key = candidate.public_key()
        except UNREADABLE:
            return False
        return x509.SubjectKeyIdentifier.from_public_key(key).digest == response.responder_key_hash
    return response.responder_name is not None and canonical(response.responder_name) == canonical(candidate.subject)


def _authorized(case: _Case) -> bool:
    """The issuer itself, or whoever it certified directly for this alone (RFC 6960 §4.2.2.2), valid at that time."""
    if not case.delegated:
        return True
    said = _certified(case.signer, case.issuer)
    if said is None:
        return False
    produced = case.response.produced_at_utc
    usage = said.usage
    return (
        said.issuer_compared == canonical(case.issuer.subject)
        and ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string in (said.extended or ())
        and (usage is None or usage.digital_signature or usage.content_commitment)
        and said.not_before <= produced <= said.not_after
        and (case.moment.later or said.not_before <= case.moment.at <= said.not_after + case.moment.stale)
    )


@lru_cache(maxsize=64)
def _certified(signer: x509.Certificate, issuer: x509.Certificate) -> Facts | None:
    """What a responder's certificate says, if the issuer signed it; a few responders sign everything."""
    try:
        said = facts(signer)
        strength.check_signature(signer, signer.tbs_certificate_bytes, issuer.public_key())
    except (CertificateRefusedError, InvalidSignature):
        return None
    return None if said.critical - _KNOWN else said


def _unchecked(case: _Case) -> x509.Certificate | None:
    if not case.delegated:
        return None
    named = {each.oid.dotted_string for each in case.signer.extensions}
    return None if _NO_CHECK in named else case.signer


@dataclass(frozen=True, slots=True)
class _Signed:
    """A response as `strength.check_signature` reads what was signed."""

    case: _Case

    @property
    def signature_algorithm_oid(self) -> x509.ObjectIdentifier:
        return self.case.response.signature_algorithm_oid

    @property
    def signature_algorithm_parameters(self) -> object:
        return _pss(_basic(self.case.der)["signature_algorithm"]["parameters"].native)

    @property
    def signature_hash_algorithm(self) -> hashes.HashAlgorithm | None:
        parameters = self.signature_algorithm_parameters if self._is_pss else None
        of_mask = getattr(getattr(parameters, "mgf", None), "_algorithm", None)
        return of_mask if self._is_pss else self.case.response.signature_hash_algorithm

    @property
    def signature(self) -> bytes:
        return self.case.response.signature

    @property
    def _is_pss(self) -> bool:
        return self.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS


_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def _pss(parameters: Any) -> padding.PSS | None:
    """The parameters of RSASSA-PSS, which the library does not read of responses, if both hashes are the same."""
    digest = parameters["hash_algorithm"]["algorithm"]
    mask = parameters["mask_gen_algorithm"]
    if digest not in _HASHES or (mask["algorithm"], mask["parameters"]["algorithm"]) != ("mgf1", digest):
        return None
    return padding.PSS(padding.MGF1(_HASHES[digest]), parameters["salt_length"])


def _basic(der: bytes) -> Any:
    return asn1.OCSPResponse.load(der)["response_bytes"]["response"].parsed


def _strong(case: _Case) -> bool:
    try:
        strength.check_signature(_Signed(case), case.response.tbs_response_bytes, case.signer.public_key())
    except CertificateRefusedError:
        return False
    except InvalidSignature:
        raise StatusRefusedError("ocsp-signature") from None
    return True


# --- what else is checked


def _extensions_known(case: _Case) -> bool:
    """No critical extension but the nonce, of the response and of the part about the certificate."""
    if any(each.critical and each.oid != x509.OCSPNonce.oid for each in case.response.extensions):
        return False
    if case.der.find(b"\x01\x01\xff") < 0:  # a BOOLEAN that is true: nothing else makes an extension critical
        return True
    single = _basic(case.der)["tbs_response_data"]["responses"][case.place]
    return not any(each["critical"].native for each in single["single_extensions"])


def _nonce_fits(case: _Case) -> bool:
    """The nonce is ours, if one came back (RFC 6960 §4.4.1)."""
    if case.nonce is None:
        return True
    found = [each.value.nonce for each in case.response.extensions if isinstance(each.value, x509.OCSPNonce)]
    return not found or found == [case.nonce]


def _not_ahead(case: _Case) -> bool:
    return case.moment.later or case.response.produced_at_utc <= case.moment.at + SKEW


class _Check(NamedTuple):
    code: str
    clause: str
    holds: Callable[[_Case], bool]


CHECKS: tuple[_Check, ...] = (
    _Check("ocsp-signer", "RFC 6960 §4.2.2.2", _authorized),
    _Check("ocsp-weak", "RFC 6960 §4.3", _strong),  # and ocsp-signature
    _Check("ocsp-extension", "RFC 6960 §4.4", _extensions_known),
    _Check("ocsp-nonce", "RFC 6960 §4.4.1", _nonce_fits),
    _Check("ocsp-future", "RFC 6960 §4.2.2.1", _not_ahead),
)
"""What is checked after the certificate was found in the response and before its times, in this order."""


# --- what it says


def _status(case: _Case, *, over: bool) -> Status:
    single = case.single
    reason = single.revocation_reason
    return Status(
        standing=_STANDINGS[single.certificate_status],
        source="ocsp",
        this_update=case.this_update,
        next_update=case.next_update,
        revoked_at=single.revocation_time_utc,
        reason=None if reason is None else reason.value,
        stale=over,
        evidence=(StatusEvidence(kind="ocsp", der=case.der),),
    )


def _lasts(single: ocsp.OCSPSingleResponse) -> bool:
    """A revocation stays one when the response is over, unless it was a hold."""
    return (
        single.certificate_status is ocsp.OCSPCertStatus.REVOKED
        and single.revocation_reason is not x509.ReasonFlags.certificate_hold
    )
