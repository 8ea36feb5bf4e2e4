"""Containers that last: a signed text with the timestamp, certificates and evidence that prove it years later.

Two forms, `cades.py` and `jades.py`, one meaning. `finish` makes one from what a phone signed, and hands out none that
would not pass `check`, which is what anybody may do with a container later, with nothing but the two anchors: the path
at the time of the timestamp, evidence from then that nothing in it was revoked, the signature. What it can no longer
say once the timestamp's own certificate is over stands in `docs/signing.md`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from federation.certificate import cades, jades, signed_data, timestamp
from federation.certificate.model import (
    CODES as CERTIFICATE_CODES,
)
from federation.certificate.model import (
    CertificateRefusedError,
    Path,
    RevocationPolicy,
    Standing,
    Status,
    StatusEvidence,
    StatusQuestion,
    Wanted,
)
from federation.certificate.paths import path
from federation.certificate.signature import Signature, SignatureError
from federation.certificate.signed_data import UNREADABLE
from federation.certificate.status import judged
from federation.certificate.timestamp import Timestamp, TimestampAuthority, TimestampRefusedError

CODES = {
    "container-too-large": "the container is larger than any real one",
    "container-malformed": "this is no signed text in one of the two forms",
    "container-signature": "the signature is not that of the certificate, or the text was changed",
    "container-text": "another text was signed than the one that was asked for",
    "container-weak": "the signature is made with an algorithm or a key that is not believed",
    "container-certificate-id": "the signature does not name its certificate, so that another could stand in its place",
    "container-without-timestamp": "there is no timestamp, so that nobody can say when it was signed",
    "evidence-missing": "no evidence shows that a certificate was not revoked when the timestamp was made",
    "timestamp-evidence-missing": "no evidence shows that the timestamp's certificate was not revoked",
    "timestamp-revoked": "the timestamp's certificate was revoked",
    **timestamp.CODES,
    **CERTIFICATE_CODES,
}
"""Every reason for which a container is not believed: its code, and the sentence for the log."""

MAXIMUM = 16 * 1024 * 1024
"""Octets of the largest container that is read: revocation lists may be large."""

_MAX_GIVEN = 8
_MAX_TOKENS = 8
_MAX_EVIDENCE = 64
FORMS: Mapping[str, Any] = {"cms": cades, "jws": jades}
"""The module that knows each form."""

_OF_SIGNATURE = {
    "malformed": "container-malformed",
    "too-large": "container-too-large",
    "signature": "container-signature",
    "weak-algorithm": "container-weak",
}
_HARD = RevocationPolicy()


class ContainerRefusedError(Exception):
    """A container that is not believed. `detail` is for the log and never holds a person's data."""

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in CODES, code
        super().__init__(f"{code}: {detail or CODES[code]}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Whom a verifier believes: the authority of the persons' certificates, and that of the timestamps."""

    persons: tuple[x509.Certificate, ...] = field(repr=False)
    timestamps: TimestampAuthority
    wanted: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a container proves.

    `path` and `statuses` are the person's (one status for each certificate below the anchor, leaf first), at the moment
    of the timestamp. `claimed_at` is the phone's own word. After `lasts_until` the timestamp's certificate is over:
    then a verifier must believe that the timestamp's authority lost no key in between.
    """

    kind: str
    text: bytes = field(repr=False)
    path: Path
    statuses: tuple[Status, ...]
    timestamp: Timestamp
    timestamp_statuses: tuple[Status, ...]
    claimed_at: datetime
    lasts_until: datetime

    @property
    def media_type(self) -> str:
        """Of the container."""
        return str(FORMS[self.kind].MEDIA_TYPE)


def read(octets: bytes, *, limit: int = MAXIMUM) -> Signature:
    """What a container says, unverified; or what a phone signed, before anything was added.

    Raises `ContainerRefusedError` with code container-malformed or container-too-large.
    """
    form: Any = cades if octets[:1] == b"\x30" else jades
    try:
        found: Signature = form.read(octets, limit=limit)
    except SignatureError as why:
        raise ContainerRefusedError(_OF_SIGNATURE[why.code], why.detail) from None
    if any(len(part) > most for part, most in ((found.tokens, _MAX_TOKENS), (found.evidence, _MAX_EVIDENCE))):
        raise ContainerRefusedError("container-malformed", "more timestamps or evidence than anybody needs")
    return found


def lasting(answer: bytes, *, stamped: Timestamp, paths: Iterable[Path], evidence: Iterable[StatusEvidence]) -> bytes:
    """What a phone signed, with a timestamp, the certificates of `paths` and `evidence` added.

    Raises `ContainerRefusedError`.
    """
    certificates = [one.public_bytes(Encoding.DER) for path in paths for one in path.certificates]
    try:
        made: bytes = FORMS[read(answer).kind].lasting(
            answer,
            token=stamped.token,
            certificates=tuple(dict.fromkeys((*certificates, *stamped.certificates))),
            evidence=tuple(evidence),
        )
    except SignatureError as why:
        raise ContainerRefusedError(_OF_SIGNATURE[why.code], why.detail) from None
    return made


def check(octets: bytes, anchors: Anchors, *, at: datetime, text: bytes | None = None) -> Report:
    """Believe a container at the time `at`, or raise `ContainerRefusedError` for the first thing that fails.

    In this order: its form; the timestamp, its path and its evidence; the certificate's path, and evidence for each
    certificate of it, both as of the timestamp; the signature over the text; and that it is `text`, if one is given.
    """
    said = read(octets)
    if not said.tokens:
        raise ContainerRefusedError("container-without-timestamp")
    stamped = _stamped(said, anchors.timestamps, at)
    about_timestamp = _statuses(
        [one for one in _questions(stamped.path) if has_source(one.certificate)],
        said.evidence,
        stamped.at,
        missing="timestamp-evidence-missing",
        revoked="timestamp-revoked",
    )
    found = person_path(said, anchors, at=stamped.at)
    statuses = _statuses(_questions(found), said.evidence, stamped.at, missing="evidence-missing", revoked="revoked")
    verify_signature(said)
    if text is not None and said.text != text:
        raise ContainerRefusedError("container-text")
    return Report(
        kind=said.kind,
        text=said.text,
        path=found,
        statuses=statuses,
        timestamp=stamped,
        timestamp_statuses=about_timestamp,
        claimed_at=said.claimed_at,
        lasts_until=min(one.not_valid_after_utc for one in stamped.path.certificates),
    )


def person_path(said: Signature, anchors: Anchors, *, at: datetime) -> Path:
    """The path of the certificate that signed, at `at`. Raises `ContainerRefusedError` with the path's code."""
    others = signed_data.related(said.certificate, said.certificates, most=_MAX_GIVEN)
    try:
        return path(said.certificate, others, anchors.persons, anchors.wanted, at)
    except CertificateRefusedError as why:
        raise ContainerRefusedError(why.code, why.detail) from None


def verify_signature(said: Signature) -> None:
    """The signature is over this text, by the certificate that it names. Raises `ContainerRefusedError`."""
    if not said.names_its_certificate:
        raise ContainerRefusedError("container-certificate-id")
    try:
        said.verify()
    except SignatureError as why:
        raise ContainerRefusedError(_OF_SIGNATURE[why.code], why.detail) from None


def has_source(certificate: x509.Certificate) -> bool:
    """Whether a certificate says where its revocation can be learned (RFC 5280 §4.2.1.13, §4.2.2.1)."""
    for kind in (x509.CRLDistributionPoints, x509.AuthorityInformationAccess):
        try:
            certificate.extensions.get_extension_for_class(kind)
        except (x509.ExtensionNotFound, *UNREADABLE):
            continue
        return True
    return False


def _stamped(said: Signature, authority: TimestampAuthority, at: datetime) -> Timestamp:
    """The first timestamp that is believed; what is wrong with the first, if none is."""
    refused: list[TimestampRefusedError] = []
    for token in said.tokens:
        try:
            return timestamp.check_token(token, said.timestamped, authority, at=at, others=said.certificates)
        except TimestampRefusedError as why:
            refused.append(why)
    raise ContainerRefusedError(refused[0].code, refused[0].detail) from None


def _questions(path: Path) -> list[StatusQuestion]:
    """One question for each certificate below the anchor, leaf first."""
    return [
        StatusQuestion(certificate=certificate, issuer=issuer, policy=_HARD)
        for certificate, issuer in zip(path.certificates, path.certificates[1:], strict=False)
    ]


def _statuses(
    questions: Sequence[StatusQuestion],
    evidence: Sequence[StatusEvidence],
    at: datetime,
    *,
    missing: str,
    revoked: str,
) -> tuple[Status, ...]:
    answers = tuple(judged(question, evidence, at) for question in questions)
    for answer in answers:
        if answer.standing is Standing.REVOKED:
            raise ContainerRefusedError(revoked)
        if answer.standing is not Standing.GOOD:
            raise ContainerRefusedError(missing, answer.why)
    return answers
