"""What everything that was said of a certificate amounts to: now, and at the time of a signature long ago."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509

from federation.certificate.model import RevocationPolicy, Standing, Status, StatusEvidence, StatusQuestion
from federation.certificate.status import judged, status
from tests.federation.certificate.authorities import AT, Authority, Issued, Region

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HARD = RevocationPolicy()
SOFT = RevocationPolicy(hard=False, stale=DAY)


@cache
def region() -> Region:
    """The authorities of tests that revoke nothing."""
    return Region()


def question(authority: Authority, issued: Issued, policy: RevocationPolicy = HARD) -> StatusQuestion:
    """Whether it was revoked."""
    return StatusQuestion(certificate=issued.certificate, issuer=authority.certificate, policy=policy)


def ours(policy: RevocationPolicy = HARD) -> StatusQuestion:
    """The same of 山田 花子."""
    return question(region().issuing, region().issued, policy)


GOOD = Status(standing=Standing.GOOD, source="ocsp", this_update=AT - HOUR, next_update=AT + HOUR)
UNKNOWN = replace(GOOD, standing=Standing.UNKNOWN)
REVOKED = replace(GOOD, standing=Standing.REVOKED, source="crl", this_update=AT - DAY, revoked_at=AT - DAY)


def past(answer: Status, by: timedelta = HOUR) -> Status:
    """The answer, over since."""
    return replace(answer, this_update=AT - 3 * DAY, next_update=AT - by)


def over(answer: Status) -> Status:
    """The answer, over already, but of the same moment as those that are not."""
    return replace(answer, this_update=GOOD.this_update, next_update=AT - HOUR / 2)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([GOOD], Standing.GOOD),
        ([GOOD, REVOKED], Standing.REVOKED),
        ([REVOKED, GOOD], Standing.REVOKED),
        ([UNKNOWN, GOOD], Standing.UNKNOWN),
        ([UNKNOWN, REVOKED], Standing.REVOKED),
        ([past(REVOKED)], Standing.REVOKED),
        ([GOOD, past(REVOKED)], Standing.GOOD),
        ([GOOD, over(REVOKED)], Standing.REVOKED),
        ([over(REVOKED), UNKNOWN], Standing.REVOKED),
        ([GOOD, over(replace(REVOKED, reason="certificateHold"))], Standing.GOOD),
        ([past(GOOD)], None),
        ([past(UNKNOWN)], None),
        ([past(replace(REVOKED, reason="certificateHold"))], None),
        ([], None),
    ],
)
def test_the_worst_word_that_counts_now_decides(answers, expected):
    """Where nothing may be over; only a revocation for ever outlasts its answer, and gives way to newer ones alone."""
    found = status(ours(), answers, tried=["ocsp.example.jp: timeout"], at=AT)
    assert found.standing is expected
    assert found.why == ("ocsp.example.jp: timeout" if expected is None else "")


def test_of_two_revocations_the_one_that_speaks_against_the_key_is_told():
    """In whichever order, and whichever is newer: a former certificate that was replaced might count still."""
    mild = replace(REVOKED, reason="superseded", this_update=AT)
    grave = replace(REVOKED, reason="keyCompromise")
    for answers in ([mild, grave], [grave, mild]):
        assert status(ours(), answers, at=AT).reason == "keyCompromise"


def test_what_is_over_counts_within_the_policy():
    """Marked as stale, and only where the policy is soft."""
    found = status(ours(SOFT), [past(GOOD)], at=AT)
    assert (found.standing, found.stale) == (Standing.GOOD, True)
    assert status(ours(SOFT), [past(GOOD, by=DAY)], at=AT).standing is None
    strict = RevocationPolicy(hard=True, stale=DAY)
    assert status(ours(strict), [past(GOOD)], at=AT).standing is None
    assert status(ours(SOFT), [past(GOOD), GOOD], at=AT) == GOOD


def test_without_sources_it_is_said_so():
    """A certificate that names nobody."""
    assert status(ours(), [], at=AT).why == "the certificate names nobody who could be asked"


# --- kept evidence


def of_ocsp(der: bytes) -> StatusEvidence:
    """A kept response."""
    return StatusEvidence(kind="ocsp", der=der)


def of_list(der: bytes) -> StatusEvidence:
    """A kept list."""
    return StatusEvidence(kind="crl", der=der)


def test_kept_evidence_tells_of_its_time():
    """A response or a list, made before or after that moment."""
    issuing, issued = region().issuing, region().issued
    about = question(issuing, issued)
    for at in (AT - timedelta(minutes=30), AT, AT + timedelta(minutes=30)):
        assert judged(about, [of_ocsp(issuing.ocsp(issued.certificate, at=at))], AT).standing is Standing.GOOD
        assert judged(about, [of_list(issuing.crl(at=at))], AT).standing is Standing.GOOD
    assert judged(about, [of_ocsp(issuing.ocsp(issued.certificate, at=AT - DAY))], AT).why == "ocsp-over"
    assert judged(about, [of_list(issuing.crl(at=AT - 2 * DAY))], AT).why == "crl-over"
    assert judged(about, [], AT).standing is None


def test_a_later_revocation_does_not_reach_back():
    """Signed before, revoked afterwards: good; unless its key was in others' hands before."""
    there = Region()
    about = question(there.issuing, there.issued)
    there.issuing.revoke(there.issued.certificate, AT + HOUR, x509.ReasonFlags.key_compromise)
    kept = [of_ocsp(there.issuing.ocsp(there.issued.certificate, at=AT + DAY)), of_list(there.issuing.crl(at=AT + DAY))]
    for each in kept:
        assert judged(about, [each], AT).standing is Standing.GOOD
        assert judged(about, [each], AT + 2 * HOUR).standing is Standing.REVOKED
    there.issuing.revoke(there.issued.certificate, AT + HOUR, invalid_since=AT - HOUR)
    assert judged(about, [of_list(there.issuing.crl(at=AT + DAY))], AT).standing is Standing.REVOKED


def test_evidence_about_others_is_passed_over():
    """A container holds that of several certificates and issuers, and perhaps rubbish."""
    root, issuing, issued = region().root, region().issuing, region().issued
    other = issuing.issue("田中 太郎")
    kept = [
        of_list(root.crl()),
        of_ocsp(issuing.ocsp(other.certificate)),
        of_ocsp(b"rubbish"),
        of_list(b"rubbish"),
        StatusEvidence(kind="hearsay", der=b""),
        of_ocsp(issuing.ocsp(issued.certificate)),
    ]
    assert judged(question(issuing, issued), kept, AT).standing is Standing.GOOD
    assert judged(question(root, issuing.issued), kept, AT).standing is Standing.GOOD
    assert judged(question(issuing, issued), kept[:-1], AT).standing is None


def test_a_responder_is_vouched_for_by_a_list():
    """A responder without id-pkix-ocsp-nocheck counts if its issuer's list does not name it."""
    there = Region()
    about = question(there.issuing, there.issued)
    responder = there.issuing.responder(no_check=False)
    said = of_ocsp(there.issuing.ocsp(there.issued.certificate, signer=responder))
    assert judged(about, [said], AT).why == "ocsp-responder-status"
    found = judged(about, [said, of_list(there.issuing.crl(only=()))], AT)
    assert (found.standing, found.source) == (Standing.GOOD, "ocsp")
    assert len(found.evidence) == 2
    there.issuing.revoke(responder.certificate, AT - HOUR)
    found = judged(about, [said, of_list(there.issuing.crl())], AT)
    assert (found.standing, found.source) == (Standing.GOOD, "crl")  # by the list, which does not name the person
