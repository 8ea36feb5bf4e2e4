"""The same person after a renewal, where the issuer promises nothing (`subject: key`): shown with both certificates.

The person signs in with the new certificate, then with the former one. What is asked of the former one is what is
asked of any (`answer.py`), with three differences: it may be over, by at most `OVER`; it may have been revoked, for a
reason that does not speak against its holder's key (`REASONS`); and its status must have been learned, however soft
the policy, since what comes of it lasts. Then the two are held against each other (`RULES`).

Of a certificate that is over its issuer need not say any more whether it was revoked (RFC 5280 §3.3, RFC 6960
§4.4.4), and `sources.check_times` believes no "good" of it. It is enough then that its issuer was heard and did not say
"revoked"; an issuer that cannot be reached is not enough.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from cryptography import x509

from federation.certificate import cms, jws_x5c, strength
from federation.certificate.answer import ANSWER_TYPE, Answer, certified, verify_answer
from federation.certificate.model import (
    Accepted,
    Asked,
    Asking,
    CertificateRefusedError,
    Proved,
    Standing,
    Status,
    StatusQuestion,
)
from federation.model import Texts
from federation.normal_form import nfkc
from federation.refusal import FormerCertificateOther, FormerCertificateRefused, FormerCertificateUnknown, Refusal
from federation.web import Json

T = TypeVar("T")

OVER = timedelta(days=400)
"""By how much the former certificate may be over: a year in which a person did not sign in, and a month to renew."""

PURPOSE: Texts = {
    "ja": "前の証明書もあなたのものだと確かめ、新しい証明書でも同じ人としてログインできるようにするため",
    "en": "To see that the former certificate is yours too, so that you stay the same person with the new one",
}
"""What the phone says that the former certificate signs for: nobody agrees to it as to a sign-in like any other."""


class Reason(NamedTuple):
    """Whether a certificate that was revoked for a reason may still show whose it was, and why."""

    counts: bool
    why: str


REASONS: Mapping[str, Reason] = {
    "superseded": Reason(True, "another certificate took its place, as at every renewal; nothing is said of the key"),
    "cessationOfOperation": Reason(True, "its holder has no use for it any more, a phone was given up, say"),
    "affiliationChanged": Reason(
        True, "the holder's name or place changed, as when somebody moves house; the key did not"
    ),
    "unspecified": Reason(False, "it may be anything, a stolen phone too; a reason that is not stated is this one"),
    "keyCompromise": Reason(False, "somebody else may have the key"),
    "cACompromise": Reason(False, "somebody else may have issued it"),
    "aACompromise": Reason(False, "somebody else may have had it issued"),
    "certificateHold": Reason(False, "a phone is looked for, or a doubt is; only its end tells what it was"),
    "privilegeWithdrawn": Reason(False, "its issuer took it from its holder, who may have had it wrongly"),
    "removeFromCRL": Reason(False, "it stands in delta lists only and is no reason of its own"),
}
"""Every reason of RFC 5280 §5.3.1. One that is not here does not count."""


# --- what the former certificate's answer proves


def verify_former(answer: Answer, asked: Asked, accepted: Accepted, at: datetime) -> Asking[Proved]:
    """What an answer of the former certificate proves: as `verify_answer`, but for this file's three differences.

    The path is that of the certificate's last moment if it is over: `verify_answer` says so ("expired", and signed by
    its key), and then the certificate is looked at anew at that moment.
    Raises `CertificateRefusedError`.
    """
    accepted = replace(accepted, revocation=replace(accepted.revocation, hard=True))
    try:
        return (yield from _leniently(verify_answer(answer, asked, accepted, at), at))
    except CertificateRefusedError as why:
        if why.code != "expired" or not why.signed:
            raise
        over = why
    signed = _read(answer)
    end = x509.load_der_x509_certificate(signed.leaf).not_valid_after_utc
    if not timedelta(0) < at - end <= OVER:
        raise over
    try:
        found = yield from _leniently(certified(signed.leaf, signed.others, accepted, asked.use, end), at)
        key = strength.key_of(found.path.leaf.public_key())
        signed.fits(key)
        signed.verify(key)
    except CertificateRefusedError as why:
        why.signed = True
        raise
    return Proved(
        subject=found.subject,
        attributes=found.attributes,
        evidence=found.evidence,
        policies=found.policies,
        methods=(),
        path=found.path,
        statuses=found.statuses,
        signed_at=at,
        cap=found.cap,
    )


def _read(answer: Answer) -> jws_x5c.Jws | cms.Cms:
    """The answer, which was read before."""
    if answer.form == "jws":
        return jws_x5c.read(answer.signed, typ=ANSWER_TYPE)
    return cms.read(jws_x5c.canonical_base64(answer.signed))


def _leniently(asking: Asking[T], at: datetime) -> Asking[T]:
    """The check, with `_of_former` between it and what is known of the person's own certificate: its first question."""
    answered: Status | None = None
    first = True
    while True:
        try:
            question = next(asking) if answered is None else asking.send(answered)
        except StopIteration as end:
            value: T = end.value
            return value
        answered = yield question
        if first:
            answered, first = _of_former(question, answered, at), False


def _of_former(question: StatusQuestion, status: Status, at: datetime) -> Status:
    """What is known of the former certificate, as far as it speaks against its holder's key."""
    if status.standing is Standing.REVOKED:
        reason = REASONS.get(status.reason or "unspecified")
        return replace(status, standing=Standing.GOOD, stale=False) if reason is not None and reason.counts else status
    tried = {each.rpartition(": ")[2] for each in status.why.split("; ")}
    if status.standing is None and at > question.certificate.not_valid_after_utc and tried & _TOO_LATE:
        return replace(status, standing=Standing.GOOD, stale=False)
    return status


_TOO_LATE = frozenset({"ocsp-too-late", "crl-too-late"})
"""The codes by which `sources.check_times` refuses what an issuer says of a certificate that is over."""


# --- the two, held against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What counts of one of the two certificates."""

    subject: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A new certificate, the former one, and `first`: the subject by which services know the former one's person.

    `first` is None if the former one was never used here. `reissue_revokes`: a newer certificate ends those before it.
    """

    new: Shown
    former: Shown
    first: str | None = field(repr=False)
    reissue_revokes: bool


class LinkRefusedError(Exception):
    """The two certificates are not linked: one of the codes of `RULES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Rule(NamedTuple):
    """One rule: its code, what holds after it, what the person is told if it does not, and the rule."""

    code: str
    holds: str
    refusal: type[Refusal]
    check: Callable[[Link], bool]


COMPARED: tuple[tuple[str, ...], ...] = (("jpki.name", "jpki.dateOfBirth"), ("subject.commonName",))
"""What is compared: of the first row whose first field both state, each field that both state.

JPKI's certificates have a number of their own for a common name, which changes; where there is a name it counts.
"""


def _common(link: Link) -> tuple[str, ...]:
    new, former = link.new.attributes, link.former.attributes
    for row in COMPARED:
        if row[0] in new and row[0] in former:
            return tuple(name for name in row if name in new and name in former)
    return ()


def _agree(link: Link) -> bool:
    return all(_plain(link.new.attributes[name]) == _plain(link.former.attributes[name]) for name in _common(link))


def _plain(values: tuple[str, ...]) -> frozenset[str]:
    """Values without what issuers write now so, now otherwise: widths, spaces, capitals."""
    return frozenset("".join(nfkc(each).split()).casefold() for each in values)


RULES: tuple[Rule, ...] = (
    Rule(
        "same-certificate",
        "the two have two keys",
        FormerCertificateUnknown,
        lambda link: link.new.subject != link.former.subject,
    ),
    Rule(
        "former-unknown",
        "the former one was used here, so there is a person to stay",
        FormerCertificateUnknown,
        lambda link: link.first is not None,
    ),
    Rule(
        "former-newer",
        "where a newer certificate ends those before it, the new one is not the older one",
        FormerCertificateUnknown,
        lambda link: not link.reissue_revokes or link.new.issued_at >= link.former.issued_at,
    ),
    Rule(
        "nothing-to-compare",
        "both state something of their holder",
        FormerCertificateOther,
        lambda link: bool(_common(link)),
    ),
    Rule("another-person", "what both state of their holder agrees", FormerCertificateOther, _agree),
)
"""What must hold of the two, in this order. With no name in common two phones of one family could not be told apart."""


def check(link: Link) -> str:
    """The subject by which the person goes on. Raises `LinkRefusedError`."""
    for rule in RULES:
        if not rule.check(link):
            raise LinkRefusedError(rule.code)
    assert link.first is not None  # a rule says so
    return link.first


def shown(proof: Json) -> Shown:
    """What `connector.proof` wrote of a certificate."""
    return Shown(
        subject=proof["subject"],
        attributes={name: tuple(values) for name, values in proof["attributes"].items()},
        issued_at=datetime.fromtimestamp(proof["held"]["issued_at"], UTC),
    )


def link_refusal(why: LinkRefusedError) -> Refusal:
    """What the person is told of it."""
    return next(rule.refusal for rule in RULES if rule.code == why.code)(why.code)


FORMER_REFUSALS: Mapping[str, type[Refusal]] = {
    "expired": FormerCertificateRefused,
    "revoked": FormerCertificateRefused,
}
"""What is told of a former certificate's answer in other words than of an answer to sign in."""
