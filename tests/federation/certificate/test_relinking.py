"""The same person after a renewal: what the former certificate proves, and whether both are one person's."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from federation.certificate import answer, relinking
from federation.certificate.connector import proof
from federation.certificate.model import MILD, CertificateRefusedError, Proved, RevocationPolicy, Standing, Status
from federation.certificate.relinking import OVER, REASONS, RULES, Link, LinkRefusedError, Shown, check, verify_former
from federation.certificate.subject import KEY
from tests.federation.certificate.authorities import AT, OTHER_POLICY, Authority, Issued
from tests.federation.certificate.phone import Phone
from tests.federation.certificate.sign_in_sample import (
    ACCEPTED,
    ASKED,
    FIELDS,
    GOOD,
    ISSUING,
    NAME,
    PERSON,
    Knows,
    all_good,
    drive,
    only,
)

BY_KEY = replace(ACCEPTED, subject=KEY)
DAY = timedelta(days=1)
TOO_LATE = {"standing": None, "why": "ocsp.example: ocsp-too-late; lists: crl-too-late"}


def over_by(days: float, **changes: Any) -> Issued:
    """The person's certificate, whose time ended some days ago."""
    times = {"not_before": AT - 700 * DAY, "not_after": AT - timedelta(days=days)}
    return ISSUING.issue(NAME, san=FIELDS, **times, **changes)


def former(issued: Issued = PERSON, knows: Knows = all_good, form: str = "jws", **accepted: Any) -> Proved:
    """What an answer of the former certificate proves."""
    posted = answer.read(Phone(issued).answer(ASKED.jwt, form=form))
    found = drive(verify_former(posted, ASKED, replace(BY_KEY, **accepted), AT), knows)
    assert isinstance(found, Proved)
    return found


def refused(issued: Issued = PERSON, knows: Knows = all_good, **accepted: Any) -> CertificateRefusedError:
    """Why it proves nothing."""
    with pytest.raises(CertificateRefusedError) as why:
        former(issued, knows, **accepted)
    return why.value


# --- the former certificate


@pytest.mark.parametrize("form", ["jws", "cms"])
def test_a_certificate_in_force_proves_what_any_answer_does(form: str) -> None:
    """Subject and attributes as at a sign-in."""
    posted = answer.read(Phone(PERSON).answer(ASKED.jwt, form=form))
    usual = drive(answer.verify_answer(posted, ASKED, BY_KEY, AT))

    assert former(form=form) == usual


@pytest.mark.parametrize("form", ["jws", "cms"])
@pytest.mark.parametrize("days", [0.001, 399.9])
def test_a_certificate_may_be_over(days: float, form: str) -> None:
    """By up to 400 days; its path counts as it was at its end, and who it names stays."""
    issued = over_by(days)

    found = former(issued, only(issued, **TOO_LATE), form)

    assert found.path.leaf == issued.certificate
    assert found.attributes["jpki.name"] == ("山田　花子",)
    assert found.subject.startswith("key:")


def test_not_for_longer() -> None:
    """And not before its time either."""
    assert refused(over_by(400.1), all_good).code == "expired"
    assert timedelta(days=400) == OVER
    assert refused(ISSUING.issue(NAME, not_before=AT + DAY)).code == "not-yet-valid"


def test_what_is_over_still_has_to_be_signed_by_its_key() -> None:
    """Over exactly our request; else it is refused as over, and nobody's sign-in ends by it."""
    issued, stranger = over_by(10), ISSUING.issue(NAME)
    posted = answer.read(Phone(issued).answer(ASKED.jwt, key=stranger.key))

    with pytest.raises(CertificateRefusedError) as why:
        drive(verify_former(posted, ASKED, BY_KEY, AT), only(issued, **TOO_LATE))

    assert (why.value.code, why.value.signed) == ("expired", False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policies": (OTHER_POLICY,)}, "policy"),
        ({"key_usage": ("key_encipherment",)}, "key-usage"),
    ],
)
def test_what_is_over_passes_every_other_rule_of_the_path(changes: Mapping[str, Any], code: str) -> None:
    """Policy and key usage, as they were at its end."""
    assert refused(over_by(10, **changes)).code == code


def test_what_is_over_needs_a_listed_authority() -> None:
    """One of the same name will not do."""
    other = Authority.root("Root").subordinate("Issuing", path_length=0)

    assert refused(other.issue(NAME, not_before=AT - 700 * DAY, not_after=AT - DAY)).code in (
        "untrusted-issuer",
        "path-signature",
    )


def test_the_issuer_of_what_is_over_must_have_been_heard() -> None:
    """It need not say any more that a certificate was not revoked; but it must have answered."""
    issued = over_by(10)

    assert refused(issued, only(issued, standing=None, why="ocsp.example: unreachable")).code == "status-unavailable"
    assert refused(issued, only(issued, standing=Standing.UNKNOWN)).code == "status-unknown"
    assert refused(PERSON, only(PERSON, **TOO_LATE)).code == "status-unavailable"


@pytest.mark.parametrize("days", [-100, 10])
@pytest.mark.parametrize("reason", [*REASONS, None, "somethingElse"])
def test_a_revocation_counts_by_its_reason(reason: str | None, days: float) -> None:
    """Only three speak not against the key; what is not stated or not known does."""
    issued = over_by(days)
    knows = only(issued, standing=Standing.REVOKED, reason=reason, revoked_at=AT - 20 * DAY, stale=days > 0)

    if reason in {"superseded", "cessationOfOperation", "affiliationChanged"}:
        assert former(issued, knows).path.leaf == issued.certificate
    else:
        why = refused(issued, knows)
        assert (why.code, why.signed) == ("revoked", True)


def test_every_reason_is_decided() -> None:
    """All of RFC 5280 §5.3.1, each with a why."""
    assert set(REASONS) == {each.value for each in x509.ReasonFlags}
    assert {name for name, each in REASONS.items() if each.counts} == MILD
    assert len({each.why for each in REASONS.values()}) == len(REASONS)


def test_an_authority_that_was_revoked_excuses_nothing() -> None:
    """The reasons are for the person's own certificate."""
    assert refused(PERSON, only(ISSUING.issued, standing=Standing.REVOKED, reason="superseded")).code == "revoked"


def test_a_soft_policy_is_hard_here() -> None:
    """What comes of it lasts; an answer that is over counts no more either."""
    soft = RevocationPolicy(hard=False, cap=1, stale=DAY)

    for known in (Status(standing=None, why="unreachable"), replace(GOOD, stale=True)):
        assert refused(PERSON, lambda _, known=known: known, revocation=soft).code == "status-unavailable"  # type: ignore[misc]


def test_who_answers_another_request_proves_nothing() -> None:
    """Certificates that are over, too."""
    issued = over_by(10)
    posted = answer.read(Phone(issued).answer(ASKED.jwt, members={"nonce": "A" * 43}))

    with pytest.raises(CertificateRefusedError) as why:
        drive(verify_former(posted, ASKED, BY_KEY, AT), only(issued, **TOO_LATE))

    assert why.value.code == "nonce"


# --- the two


CN, JPKI_NAME, BORN = "subject.commonName", "jpki.name", "jpki.dateOfBirth"


def shown(subject: str, attributes: Mapping[str, str] | None = None, issued_at: Any = AT) -> Shown:
    """A certificate that states these."""
    values = {CN: "山田 花子"} if attributes is None else attributes
    return Shown(subject=subject, attributes={name: (each,) for name, each in values.items()}, issued_at=issued_at)


def link(**changes: Any) -> Link:
    """A new certificate and the former one, of one person."""
    values = {"new": shown("key:new"), "former": shown("key:former", issued_at=AT - DAY)}
    return Link(**{**values, "first": "key:first", "reissue_revokes": True, **changes})


def why_not(**changes: Any) -> str:
    """The rule by which the two are not linked."""
    with pytest.raises(LinkRefusedError) as why:
        check(link(**changes))
    assert relinking.link_refusal(why.value).detail == why.value.code
    return why.value.code


def test_the_person_goes_on_as_who_they_were_first() -> None:
    """Not as the former certificate: chains have no length."""
    assert check(link()) == "key:first"


def test_each_rule_has_its_code() -> None:
    """What breaks one is refused by that one."""
    found = [
        why_not(new=shown("key:former")),
        why_not(first=None),
        why_not(new=shown("key:new", issued_at=AT - 2 * DAY)),
        why_not(new=shown("key:new", {})),
        why_not(new=shown("key:new", {CN: "山田 太郎"})),
    ]

    assert found == [rule.code for rule in RULES]


def test_where_certificates_stand_side_by_side_their_order_does_not_matter() -> None:
    """`reissue: adds`."""
    assert check(link(new=shown("key:new", issued_at=AT - 2 * DAY), reissue_revokes=False)) == "key:first"


@pytest.mark.parametrize(
    ("new", "former_one", "agree"),
    [
        ({CN: "山田　花子"}, {CN: "山田 花子"}, True),
        ({CN: "YAMADA Hanako"}, {CN: "Yamada Ｈanako"}, True),
        ({CN: "1234A", JPKI_NAME: "山田花子"}, {CN: "9876B", JPKI_NAME: "山田　花子"}, True),
        ({JPKI_NAME: "山田花子", BORN: "319850315"}, {JPKI_NAME: "山田花子", BORN: "320200315"}, False),
        ({JPKI_NAME: "山田花子", BORN: "319850315"}, {JPKI_NAME: "山田花子"}, True),
        ({CN: "山田花子", JPKI_NAME: "山田花子"}, {CN: "山田花子"}, True),
        ({CN: "山田花子", JPKI_NAME: "山田花子"}, {CN: "山田花子", JPKI_NAME: "山田太郎"}, False),
    ],
)
def test_what_both_state_must_agree(new: Mapping[str, str], former_one: Mapping[str, str], *, agree: bool) -> None:
    """The name of JPKI before the common name, which is a number there; widths and spaces do not matter."""
    two = {"new": shown("key:new", new), "former": shown("key:former", former_one, AT - DAY)}

    assert (check(link(**two)) == "key:first") if agree else (why_not(**two) == "another-person")


@pytest.mark.parametrize(
    ("new", "former_one"),
    [({JPKI_NAME: "山田花子"}, {CN: "山田花子"}), ({BORN: "319850315"}, {BORN: "319850315"}), ({}, {})],
)
def test_without_a_name_in_common_nobody_knows(new: Mapping[str, str], former_one: Mapping[str, str]) -> None:
    """A birth date alone is many people's, and what an attribute certificate says is not the certificate's word."""
    said = {"attribute.name": "山田花子"}

    assert why_not(new=shown("key:new", {**new, **said}), former=shown("key:f", {**former_one, **said})) == (
        "nothing-to-compare"
    )


def test_what_was_proved_is_read_from_what_is_kept() -> None:
    """As `proof` wrote it; and none of it is in a repr."""
    found = former()
    read = relinking.shown(proof(found))

    assert (read.subject, read.issued_at) == (found.subject, PERSON.certificate.not_valid_before_utc)
    assert read.attributes == found.attributes
    assert "花子" not in repr(link(new=read))
    assert read.subject not in repr(link(new=read))
