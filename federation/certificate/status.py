"""Whether a certificate was revoked, out of everything that was said of it: OCSP first, lists as the fallback.

What is good, in short: nobody who may be believed says that the certificate is revoked, and somebody who may be
believed now says that it is not. A responder that does not know the certificate outweighs a list that does not name
it: a list cannot name what was never issued.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from federation.certificate import crl, ocsp
from federation.certificate.crl import RevocationList
from federation.certificate.model import (
    MILD,
    RevocationPolicy,
    Standing,
    Status,
    StatusEvidence,
    StatusQuestion,
)
from federation.certificate.sources import Moment, Sources, StatusRefusedError, sources

__all__ = ["Moment", "Sources", "StatusRefusedError", "allowed", "judged", "sources", "status"]


def allowed(policy: RevocationPolicy) -> timedelta:
    """By how much an answer may be over and still count."""
    return timedelta(0) if policy.hard else policy.stale


def status(question: StatusQuestion, answers: Iterable[Status], *, tried: Sequence[str] = (), at: datetime) -> Status:
    """The answer, out of all that were believed when they came; `tried` says what else was asked, and why in vain.

    Of those whose time is not over, one that says "revoked" wins over "unknown", and that over "good"; besides, one
    whose time is over, if it says "revoked" for ever and is no older. If the time of all of them is over: one that says
    "revoked" for ever, then one that is over by no more than the policy allows.
    """
    known = [each for each in answers if each.standing is not None]
    current = [each for each in known if not _over(each, at)]
    if current:
        chosen = max(current, key=_weight)
        lasting = [replace(each, stale=True) for each in known if _lasts(each) and _moment(each) >= _moment(chosen)]
        return chosen if chosen.standing is Standing.REVOKED or not lasting else max(lasting, key=_weight)
    past = [replace(each, stale=True) for each in known if _lasts(each) or _within(question.policy, each, at)]
    if past:
        return max(past, key=_weight)
    return Status(standing=None, why="; ".join(tried) or "the certificate names nobody who could be asked")


def _over(answer: Status, at: datetime) -> bool:
    return answer.next_update is None or answer.next_update <= at


def _weight(answer: Status) -> tuple[int, bool, float]:
    assert answer.standing is not None
    return answer.standing.gravity, answer.reason not in MILD, _moment(answer)


def _moment(answer: Status) -> float:
    return answer.this_update.timestamp() if answer.this_update is not None else 0.0


def _lasts(answer: Status) -> bool:
    return answer.standing is Standing.REVOKED and answer.reason != "certificateHold"


def _within(policy: RevocationPolicy, answer: Status, at: datetime) -> bool:
    return answer.next_update is not None and at < answer.next_update + allowed(policy)


def judged(question: StatusQuestion, evidence: Sequence[StatusEvidence], at: datetime) -> Status:
    """What kept responses and lists say of the certificate at the time `at`: nobody is asked, no nonce is compared.

    Evidence about other certificates is passed over. Evidence that was made after `at` counts, too; what was revoked
    after `at` (and whose key was in nobody else's hands before) is good.
    """
    moment = Moment(at=at, later=True)
    tried: list[str] = []
    lists: list[RevocationList] = []
    answers: list[Status] = []
    for each in evidence:
        if each.kind != "crl":
            continue
        try:
            lists.append(crl.read(each.der, question.issuer))
        except StatusRefusedError as why:
            tried.append(why.code)
    for each in evidence:
        if each.kind != "ocsp":
            continue
        try:
            answers.append(_before(_responded(question, each.der, lists, moment), at))
        except StatusRefusedError as why:
            tried.append(why.code)
    if lists:
        try:
            answers.append(crl.judged(question, lists, moment))
        except StatusRefusedError as why:
            tried.append(why.code)
    return status(question, answers, tried=tuple(dict.fromkeys(tried)), at=at)


def _responded(question: StatusQuestion, der: bytes, lists: Sequence[RevocationList], moment: Moment) -> Status:
    answer = ocsp.read(der, question, moment)
    if answer.responder is None:
        return answer.status
    return vouched(answer, question, lists, moment)


def vouched(
    answer: ocsp.OcspAnswer, question: StatusQuestion, lists: Sequence[RevocationList], moment: Moment
) -> Status:
    """A response whose responder's own certificate must not be on its issuer's lists. Raises `StatusRefusedError`."""
    assert answer.responder is not None
    of_responder = StatusQuestion(certificate=answer.responder, issuer=question.issuer, policy=question.policy)
    try:
        own = crl.judged(of_responder, lists, moment)
    except StatusRefusedError as why:
        raise StatusRefusedError("ocsp-responder-status", why.code) from None
    if own.standing is not Standing.GOOD:
        raise StatusRefusedError("ocsp-responder-status", "it was revoked")
    return replace(answer.status, evidence=(*answer.status.evidence, *own.evidence))


def _before(answer: Status, at: datetime) -> Status:
    """What a response says of an earlier time."""
    if answer.standing is Standing.REVOKED and answer.revoked_at is not None and answer.revoked_at > at:
        return replace(answer, standing=Standing.GOOD, revoked_at=None, reason=None)
    return answer
