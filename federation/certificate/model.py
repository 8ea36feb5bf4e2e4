"""The values of a sign-in with a certificate: what was asked, what must hold, what came of it.

A certificate is only believed on the word of a trust list: its anchors are those of one listed authority. What is
checked, and in which order, stands in `answer.py`; each refusal is a `CertificateRefusedError` with one of `CODES`.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from cryptography import x509

T = TypeVar("T")

CODES: Mapping[str, str] = {
    # the request and the answer to it
    "request-unknown": "no such request, or it was answered before",
    "request-expired": "the time for the answer is over",
    "answer-malformed": "the answer is not of the form that the request asks for",
    "answer-too-large": "the answer is larger than any real one",
    "nonce": "the answer carries another nonce than the request",
    "audience": "the answer is meant for somebody else",
    "request-altered": "the answer was signed over another request than ours",
    "answer-algorithm": "the answer is signed with an algorithm that is not accepted, or is not its certificate's",
    "answer-time": "the answer was signed before the request or lies in the future",
    # the certificate's path (RFC 5280 §6)
    "certificate-malformed": "a certificate cannot be read, or has an extension twice",
    "untrusted-issuer": "no path leads to a listed authority",
    "authority-withdrawn": "the list no longer grants the authority this service",
    "expired": "a certificate's time is over",
    "not-yet-valid": "a certificate's time has not begun",
    "not-a-ca": "a certificate in the path may not issue certificates",
    "path-length": "the path is longer than an authority in it allows",
    "name-constraints": "a name is outside those that an authority in the path may certify",
    "unknown-critical-extension": "a critical extension is not known here",
    "path-signature": "a signature in the path is not that of its issuer",
    "policy": "the certificate was not issued under a policy that is accepted",
    "key-usage": "the key may not be used for this (RFC 5280 §4.2.1.3)",
    "extended-key-usage": "the key may not be used for this (RFC 5280 §4.2.1.12)",
    "permitted-use": "the list permits the authority's certificates for other uses only",
    "weak-key": "the key is shorter than may be believed today",
    "weak-algorithm": "a signature is made with an algorithm that may not be believed today",
    # revocation
    "revoked": "the certificate was revoked",
    "status-unknown": "its issuer does not know the certificate",
    "status-unavailable": "whether it was revoked could not be learned",
    "replaced": "a newer certificate was issued to the person since",
    # what it says
    "signature": "the signature does not fit the certificate's key and our request",
    "subject-missing": "the certificate lacks the field by which its issuer promises to know the person",
    "attributes-unverified": "the attributes beside the certificate are not those of its holder",
}
"""Every reason for which an answer is refused: its code, and the sentence for the log."""


class CertificateRefusedError(Exception):
    """An answer, or a certificate, that is not believed. `detail` is for the log and never holds a person's data.

    `signed`: whoever holds the certificate's key signed exactly our request, so it is their answer that is refused.
    """

    signed: bool = False

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in CODES, code
        super().__init__(f"{code}: {detail or CODES[code]}")
        self.code = code
        self.detail = detail


# --- the path


PURPOSES = (
    "1.3.6.1.5.5.7.3.2",  # clientAuth (RFC 5280 §4.2.1.12)
    "1.3.6.1.5.5.7.3.4",  # emailProtection
    "1.3.6.1.5.5.7.3.36",  # documentSigning (RFC 9336)
    "2.5.29.37.0",  # any
)
"""What people's certificates are for, where they say so. Those of servers, responders and timestamps are nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a certificate must be for. Object identifiers are dotted text.

    `policies`: one of these certificate policies must be valid for the whole path (RFC 5280 §6.1); none: any will do.
    `key_usages`: names of `x509.KeyUsage` of which one must be set, if the extension is there. `extended_key_usages`:
    one must be stated, if the extension is there; none: what it says does not matter.
    """

    policies: frozenset[str] = frozenset()
    key_usages: frozenset[str] = frozenset({"digital_signature", "content_commitment"})
    extended_key_usages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path that holds: `certificates` from the person's own to the listed authority's.

    `policies` are those of the person's certificate that every authority in the path allows (RFC 5280 §6.1.5).
    """

    certificates: tuple[x509.Certificate, ...] = field(repr=False)
    policies: frozenset[str]

    @property
    def leaf(self) -> x509.Certificate:
        """The person's own certificate."""
        return self.certificates[0]


# --- revocation


class Standing(StrEnum):
    """What an issuer says of a certificate (RFC 6960 §2.2)."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"

    @property
    def gravity(self) -> int:
        """Of answers of one moment that differ, the one with the greatest counts."""
        return (Standing.GOOD, Standing.UNKNOWN, Standing.REVOKED).index(self)


MILD = frozenset({"superseded", "cessationOfOperation", "affiliationChanged"})
"""Reasons for a revocation that say nothing against the holder's key: of several reasons another one is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPolicy:
    """What counts when it cannot be learned whether a certificate was revoked.

    `hard`: nothing does. Otherwise an answer that is over by no more than `stale` still counts, and without even that
    the sign-in is worth at most identity level `cap`. `fresh_within`: an older answer is asked for again even before
    its nextUpdate; None: nextUpdate alone decides. `private_addresses`: the issuer's service may be in a private
    network.
    """

    hard: bool = True
    cap: int = 1
    stale: timedelta = timedelta(0)
    fresh_within: timedelta | None = None
    private_addresses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuestion:
    """The question whether `certificate` was revoked by `issuer`."""

    certificate: x509.Certificate = field(repr=False)
    issuer: x509.Certificate = field(repr=False)
    policy: RevocationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The answer. `evidence` are the DER responses or lists that it rests on, for containers that must last.

    `standing` None: nothing could be learned, and `why` says what was tried. `stale`: the best answer was over already.
    """

    standing: Standing | None
    source: str = ""  # "ocsp", "crl", "delta"
    this_update: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None
    stale: bool = False
    why: str = ""
    evidence: tuple["StatusEvidence", ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvidence:
    """One DER OCSPResponse (`kind` "ocsp") or CertificateList ("crl")."""

    kind: str
    der: bytes = field(repr=False)


Asking = Generator[StatusQuestion, Status, T]
"""A check that must know of revocations: yields the question, is sent the answer."""


# --- the request


class Device(StrEnum):
    """Where the phone's app stands to the browser: on another device (QR code), or on the same one (link)."""

    CROSS = "cross-device"
    SAME = "same-device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it must be remembered until it is answered: sealed in the store under its `reference`.

    `handle` finds what waits for the answer (a login's flow, or a transaction). `jwt` is the request object
    (RFC 9101). `system` is the ID system's id, `use` what the service is for, `text` the text to be signed ("" at a
    sign-in).
    """

    reference: str = field(repr=False)
    handle: str = field(repr=False)
    system: str
    device: Device
    nonce: str = field(repr=False)
    code: str
    audience: str
    jwt: str = field(repr=False)
    begun_at: datetime
    expires_at: datetime
    use: str | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the answer to a request is held against: what one listed authority's certificates must be.

    `anchors` are its certificates on the list at that time, `permitted` its uses there (None: not limited).
    `subject` names the field by which the issuer promises to know the person again (`subject.py`); `key` if it
    promises nothing. `attribute_policies`: an attribute certificate beside it counts if its signer's certificate was
    issued under one of them; none: it never does.
    """

    anchors: tuple[x509.Certificate, ...] = field(repr=False)
    permitted: frozenset[str] | None
    wanted: Wanted
    revocation: RevocationPolicy
    subject: str
    attribute_policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What an answer proved. `subject` is the issuer's own word for the person, prefixed by what it was read from.

    `attributes` are under the names of `subject.py`, those of the attribute certificate under `attribute.NAME`;
    `evidence` is how each is known (`federation.evidence`). `cap`: the most identity that it may be worth (None: no
    limit), because revocation could not be learned. `path` and `statuses` (one for each certificate below the anchor,
    leaf first) are for whoever watches or keeps evidence.
    """

    subject: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    evidence: Mapping[str, str]
    policies: tuple[str, ...]
    methods: tuple[str, ...]
    path: Path
    statuses: tuple[Status, ...]
    signed_at: datetime
    cap: int | None = None
