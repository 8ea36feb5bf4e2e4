"""What a phone answered: read within bounds, and held against the request and the lists, in an order written as a list.

`CHECKS` is that order. What the person signed is compared with the request first, then the certificate is believed or
not, and the signature comes last of what may refuse, before anything of the person is read: path and status of a
certificate are public facts, so nothing is given away by asking for them. `certified` is the part that concerns a
certificate alone, for a handshake that is itself the signature (a card reader).
"""

import hashlib
import hmac
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from federation.certificate import answer_object, cms, disclosures, jws_x5c, signers, strength, subject
from federation.certificate.answer_object import AnswerObject
from federation.certificate.model import (
    Accepted,
    Asked,
    Asking,
    CertificateRefusedError,
    Path,
    Proved,
    RevocationPolicy,
    Standing,
    Status,
    StatusQuestion,
)
from federation.certificate.paths import path as find_path
from federation.certificate.strength import PublicKey
from federation.oidc.jose import LEEWAY, base64url
from trust_lists.recognition import allows

ANSWER_TYPE = "certificate-answer+jwt"
"""`typ` of an answer as JWS."""

_MAX_BASE64 = -(-cms.MAX_CMS // 3) * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was posted: `form` is "jws" or "cms", `signed` its text as it came."""

    state: str = field(repr=False)
    form: str
    signed: str = field(repr=False)
    attributes: str | None = field(default=None, repr=False)


def read(form: Sequence[tuple[str, str]]) -> Answer:
    """The answer in a posted form: `state`, one of `response` and `cms`, perhaps `attributes`. Others are passed over.

    Raises `CertificateRefusedError` answer-malformed or answer-too-large.
    """
    fields = dict(form)
    if len(fields) != len(form):
        raise CertificateRefusedError("answer-malformed", "a parameter stands twice")  # RFC 6749 §3.1
    if not fields.get("state") or "error" in fields or ("response" in fields) == ("cms" in fields):
        raise CertificateRefusedError("answer-malformed", "expected state, and exactly one of response and cms")
    name, limit = ("cms", _MAX_BASE64) if "cms" in fields else ("response", jws_x5c.MAX_TOKEN)
    if len(fields[name]) > limit or len(fields.get("attributes", "")) > disclosures.MAX_PRESENTATION:
        raise CertificateRefusedError("answer-too-large")
    return Answer(
        state=fields["state"],
        form="cms" if name == "cms" else "jws",
        signed=fields[name],
        attributes=fields.get("attributes"),
    )


USUAL_OCTETS = 24 * 1024
USUAL_CERTIFICATES = 3
"""The person's, its authority's and perhaps that one's: more make a stranger's path dear to look for."""


def is_usual(answer: Answer) -> bool:
    """Whether it is of the size and form of nearly all: verifying it costs a millisecond or two, whoever made it."""
    texts = (answer.signed, answer.attributes or "")
    return (
        answer.form == "jws"
        and sum(map(len, texts)) <= USUAL_OCTETS
        and all(jws_x5c.how_many(text) <= USUAL_CERTIFICATES for text in texts)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What a certificate says that is believed; the members are those of `Proved`."""

    subject: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    evidence: Mapping[str, str]
    policies: tuple[str, ...]
    path: Path
    statuses: tuple[Status, ...]
    cap: int | None


def certified(
    leaf: bytes, others: Sequence[bytes], accepted: Accepted, use: str | None, at: datetime
) -> Asking[Certified]:
    """What a certificate proves of whoever was shown to hold its key, `use` being what the service is for.

    Raises `CertificateRefusedError`.
    """
    found = believed(leaf, others, accepted, use, at)
    statuses, cap = yield from learned(found, accepted.revocation, at)
    said = subject.attributes(found.leaf)
    return Certified(
        subject=subject.subject_id(found, accepted.subject, said),
        attributes=said,
        evidence={name: subject.evidence(name) for name in said},
        policies=tuple(sorted(found.policies)),
        path=found,
        statuses=statuses,
        cap=cap,
    )


def verify_answer(answer: Answer, asked: Asked, accepted: Accepted, at: datetime) -> Asking[Proved]:
    """What an answer proves, after every one of `CHECKS`.

    Raises `CertificateRefusedError`; its `signed` says that somebody with a certificate of the listed authority did
    sign exactly our request, whatever else is wrong.
    """
    case = _Case(answer=answer, asked=asked, accepted=accepted, at=at)
    for number, each in enumerate(CHECKS):
        try:
            yield from each.run(case)
        except CertificateRefusedError as why:
            why.signed = number > _OURS and why.code in _HOLDERS and _signed(case)
            raise
    found = case.found
    return Proved(
        subject=case.subject,
        attributes=case.attributes,
        evidence=case.evidence,
        policies=tuple(sorted(found.policies)),
        methods=case.said.methods_since(asked.begun_at, at),
        path=found,
        statuses=case.statuses,
        signed_at=case.said.signed_at,
        cap=case.cap,
    )


# --- the certificate


def believed(leaf: bytes, others: Sequence[bytes], accepted: Accepted, use: str | None, at: datetime) -> Path:
    """The path of a certificate to a listed authority that may be believed for `use`.

    Raises `CertificateRefusedError`.
    """
    _listed(accepted)
    found = find_path(leaf, others, accepted.anchors, accepted.wanted, at)
    _permitted(accepted, use)
    return found


def learned(path: Path, policy: RevocationPolicy, at: datetime) -> Asking[tuple[tuple[Status, ...], int | None]]:
    """What is known of revocations of each certificate below the anchor, leaf first, and the cap that follows.

    Nothing learned, or an answer over for longer than the policy lets pass, is refused by a hard policy, and worth at
    most `cap` by a soft one. What an issuer does not know was never issued: no policy lets it pass.
    Raises `CertificateRefusedError` revoked, status-unknown or status-unavailable.
    """
    found: list[Status] = []
    cap = None
    for number, (certificate, issuer) in enumerate(pairwise(path.certificates)):
        status = yield StatusQuestion(certificate=certificate, issuer=issuer, policy=policy)
        place = f"certificate {number} of {len(path.certificates)}"
        if status.standing is Standing.REVOKED:
            raise CertificateRefusedError("revoked", place)
        if status.standing is Standing.UNKNOWN:
            raise CertificateRefusedError("status-unknown", place)
        if status.standing is None or _too_old(status, policy, at):
            if policy.hard:
                raise CertificateRefusedError("status-unavailable", f"{place}: {status.why}")
            cap = policy.cap
        found.append(status)
    return tuple(found), cap


def _too_old(status: Status, policy: RevocationPolicy, at: datetime) -> bool:
    if not status.stale:
        return False
    return policy.hard or status.next_update is None or at - status.next_update > policy.stale


def _listed(accepted: Accepted) -> None:
    if not accepted.anchors:
        raise CertificateRefusedError("authority-withdrawn")


def _permitted(accepted: Accepted, use: str | None) -> None:
    """As between lists (`trust_lists.recognition.LIMITS`): a limit lets only what it names through."""
    if not allows(accepted.permitted, use):
        raise CertificateRefusedError("permitted-use")


# --- the answer


class _Signed(Protocol):
    """An answer as `jws_x5c` or `cms` read it."""

    @property
    def leaf(self) -> bytes: ...
    @property
    def others(self) -> tuple[bytes, ...]: ...
    @property
    def content(self) -> bytes: ...
    def fits(self, key: PublicKey) -> None: ...
    def verify(self, key: PublicKey) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Case:
    """One answer on its way through `CHECKS`; what a check finds, the later ones use."""

    answer: Answer
    asked: Asked
    accepted: Accepted
    at: datetime
    statuses: tuple[Status, ...] = ()
    cap: int | None = None
    subject: str = field(default="", repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    evidence: Mapping[str, str] = field(default_factory=dict)
    message: _Signed | None = None
    stated: AnswerObject | None = None
    path: Path | None = None
    key_found: PublicKey | None = None

    @property
    def signed(self) -> _Signed:
        assert self.message is not None
        return self.message

    @property
    def said(self) -> AnswerObject:
        assert self.stated is not None
        return self.stated

    @property
    def found(self) -> Path:
        assert self.path is not None
        return self.path

    @property
    def key(self) -> PublicKey:
        if self.key_found is None:
            self.key_found = strength.key_of(self.found.leaf.public_key())
        return self.key_found

    @property
    def shown(self) -> disclosures.Shown:
        """What an attribute certificate must have been shown for."""
        asked = self.asked
        return disclosures.Shown(
            holder=self.key, audience=asked.audience, nonce=asked.nonce, since=asked.begun_at, at=self.at
        )


class Check(NamedTuple):
    """One of the checks: the code of its refusal ("" for a step with codes of its own), and what holds after it."""

    code: str
    holds: str
    run: Callable[[_Case], Asking[None]]


def _must(code: str, holds: str, check: Callable[[_Case], bool]) -> Check:
    def run(case: _Case) -> Asking[None]:
        yield from ()
        if not check(case):
            raise CertificateRefusedError(code)

    return Check(code, holds, run)


def _step(holds: str, step: Callable[[_Case], None]) -> Check:
    def run(case: _Case) -> Asking[None]:
        yield from ()
        step(case)

    return Check("", holds, run)


def _read_signed(case: _Case) -> None:
    if case.answer.form == "jws":
        case.message = jws_x5c.read(case.answer.signed, typ=ANSWER_TYPE)
        return
    try:
        octets = jws_x5c.canonical_base64(case.answer.signed)
    except ValueError:
        raise CertificateRefusedError("answer-malformed", "cms is not base64") from None
    case.message = cms.read(octets)


def _read_object(case: _Case) -> None:
    case.stated = answer_object.read(case.signed.content)


def _equal(said: str, expected: str) -> bool:
    return hmac.compare_digest(said.encode(), expected.encode())


def _hash(text: str) -> str:
    return base64url(hashlib.sha256(text.encode()).digest())


def _timely(case: _Case) -> bool:
    return case.asked.begun_at - LEEWAY <= case.said.signed_at <= case.at + LEEWAY


def _find_path(case: _Case) -> None:
    accepted = case.accepted
    case.path = find_path(case.signed.leaf, case.signed.others, accepted.anchors, accepted.wanted, case.at)


def _learn(case: _Case) -> Asking[None]:
    case.statuses, case.cap = yield from learned(case.found, case.accepted.revocation, case.at)


def _know(case: _Case) -> None:
    said = subject.attributes(case.found.leaf)
    case.subject = subject.subject_id(case.found, case.accepted.subject, said)
    case.attributes = said
    case.evidence = {name: subject.evidence(name) for name in case.attributes}


def _disclosed(case: _Case) -> Generator[StatusQuestion, Status, None]:
    """What stands in the attribute certificate, if one came along. A doubt of its signer is one of the sign-in."""
    text, said = case.answer.attributes, case.said.sd_hash
    if text is None and said is None:
        return
    if text is None or said is None or not _equal(said, _hash(text)):
        raise CertificateRefusedError("attributes-unverified", "sd_hash is not that of the attributes sent")
    if not case.accepted.attribute_policies:
        raise CertificateRefusedError("attributes-unverified", "none are accepted")
    presented = disclosures.read(text)
    disclosures.check(presented, case.shown)
    cap = yield from _signer(presented.token, case)
    case.cap = min((each for each in (case.cap, cap) if each is not None), default=None)
    disclosed = disclosures.attributes(presented)
    case.attributes = {**case.attributes, **disclosed}
    case.evidence = {**case.evidence, **dict.fromkeys(disclosed, subject.ACCREDITED)}


def _signer(token: jws_x5c.Jws, case: _Case) -> Asking[int | None]:
    """Whether an attribute certificate's signer may be believed: path, revocation, signature."""
    accepted = case.accepted
    try:
        path = signers.path(token.leaf, token.others, accepted.anchors, accepted.attribute_policies, case.at)
        key = strength.key_of(path.leaf.public_key())
        token.fits(key)
        _, cap = yield from learned(path, accepted.revocation, case.at)
    except CertificateRefusedError as why:
        raise CertificateRefusedError("attributes-unverified", f"its signer: {why.code}") from None
    disclosures.verify(token, key, "its signer's")
    return cap


CHECKS: tuple[Check, ...] = (
    # alive; what is unknown or was answered before is not found by its reference
    _must(
        "request-unknown",
        "the answer is to this request, and this request is one to sign in",
        lambda c: _equal(c.answer.state, c.asked.reference) and not c.asked.text,
    ),
    _must("request-expired", "its time is not over", lambda c: c.at < c.asked.expires_at),
    # form and size
    _step("a JWS or signed data of one signer, with certificates", _read_signed),
    _step("an answer object with every member", _read_object),
    # over exactly our request
    _must("nonce", "the nonce is the request's", lambda c: _equal(c.said.nonce, c.asked.nonce)),
    _must("audience", "it is meant for us", lambda c: _equal(c.said.audience, c.asked.audience)),
    _must(
        "request-altered",
        "the phone saw the request as we made it",
        lambda c: _equal(c.said.request_sha256, _hash(c.asked.jwt)),
    ),
    _must("answer-time", "it was signed after the request was made, and not in the future", _timely),
    # the certificate (RFC 5280 §6.1: path, policies, key usage, strength of every key)
    _step("a list names the authority now", lambda c: _listed(c.accepted)),
    _step("a path leads to the authority, under an accepted policy, for this use of the key", _find_path),
    _step("the list permits the authority's certificates for this use", lambda c: _permitted(c.accepted, c.asked.use)),
    _step("the algorithm is believed, and is that of the key", lambda c: c.signed.fits(c.key)),
    Check("", "no certificate below the authority's was revoked", _learn),
    # the person
    _step("whoever holds the certificate's key signed it", lambda c: c.signed.verify(c.key)),
    _step("the certificate has the field by which its issuer knows the person", _know),
    Check("", "the attribute certificate is this person's", _disclosed),
)
"""Everything that is checked of an answer, in this order."""

_OURS = next(number for number, each in enumerate(CHECKS) if each.code == "answer-time")
"""After this check the answer is one to our request, though perhaps not from whom it says."""

_HOLDERS = frozenset(
    {
        "expired",
        "not-yet-valid",
        "unknown-critical-extension",
        "name-constraints",
        "policy",
        "key-usage",
        "extended-key-usage",
        "permitted-use",
        "revoked",
        "status-unknown",
        "status-unavailable",
        "subject-missing",
        "attributes-unverified",
    }
)
"""Refusals of certificates that the authority did sign. For any other anybody can make the certificate."""


def _signed(case: _Case) -> bool:
    """Whether the key in the answer's certificate, whatever that is worth, made the answer's signature."""
    try:
        case.signed.verify(strength.key_of(x509.load_der_x509_certificate(case.signed.leaf).public_key()))
    except (CertificateRefusedError, *_UNREADABLE):
        return False
    return True


_UNREADABLE = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm)
