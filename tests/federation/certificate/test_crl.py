"""What revocation lists, their parts and deltas say of a certificate, and every list that is not believed."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from federation.certificate import crl
from federation.certificate.crl import RevocationList, judged, read
from federation.certificate.model import RevocationPolicy, Standing, Status, StatusQuestion
from federation.certificate.sources import CODES, Moment, StatusRefusedError, sources
from tests.federation.certificate.authorities import (
    AT,
    Authority,
    Issued,
    Region,
    distribution_points,
    name,
    unknown_extension,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = Moment(at=AT)
PLACE, OTHER_PLACE = "http://crl.example.jp/0.crl", "http://crl.example.jp/1.crl"
Reason = x509.ReasonFlags
COMPROMISE = frozenset({Reason.key_compromise, Reason.ca_compromise})
OTHERS = frozenset(Reason) - COMPROMISE - {Reason.unspecified, Reason.remove_from_crl}


@cache
def region() -> Region:
    """The authorities of tests that revoke nothing."""
    return Region()


def question(authority: Authority, certificate: x509.Certificate) -> StatusQuestion:
    """Whether it was revoked."""
    return StatusQuestion(certificate=certificate, issuer=authority.certificate, policy=RevocationPolicy())


def about(authority: Authority, issued: Issued, ders: Sequence[bytes], moment: Moment = NOW) -> Status:
    """What lists say of a certificate."""
    return judged(question(authority, issued.certificate), [read(der, authority.certificate) for der in ders], moment)


def refused(authority: Authority, issued: Issued, ders: Sequence[bytes], moment: Moment = NOW) -> str:
    """The code with which they are refused."""
    with pytest.raises(StatusRefusedError) as caught:
        about(authority, issued, ders, moment)
    assert caught.value.code in CODES
    return caught.value.code


def test_who_is_not_on_the_list_is_good():
    """For as long as the list counts."""
    answer = about(region().issuing, region().issued, [region().issuing.crl()])
    assert (answer.standing, answer.source, answer.stale) == (Standing.GOOD, "crl", False)
    assert (answer.this_update, answer.next_update) == (AT, AT + DAY)
    assert [each.kind for each in answer.evidence] == ["crl"]


@pytest.mark.parametrize("reason", [None, *(each for each in Reason if each is not Reason.remove_from_crl)])
def test_who_is_on_it_is_revoked(reason):
    """For whatever reason, a hold included; the time and the reason are told."""
    there = Region()
    there.issuing.revoke(there.issued.certificate, AT - DAY, reason, invalid_since=AT - 2 * DAY)
    others = [there.issuing.issue(f"{number}") for number in range(3)]
    for each in others[:2]:
        there.issuing.revoke(each.certificate, AT - HOUR)
    made = there.issuing.crl()
    answer = about(there.issuing, there.issued, [made])
    assert (answer.standing, answer.revoked_at) == (Standing.REVOKED, AT - DAY)
    assert answer.reason == (None if reason is None else reason.value)
    held = read(made, there.issuing.certificate)
    assert held.entries == 3
    entry = held.entry(there.issued.certificate.serial_number)
    assert entry is not None
    assert entry.invalid_since == AT - 2 * DAY
    assert about(there.issuing, others[2], [made]).standing is Standing.GOOD


@given(st.sets(st.integers(1, 2**158), max_size=40), st.integers(1, 2**158))
def test_exactly_those_on_it_are_found(serials, other):
    """Whatever the numbers; those, too, that look alike once shortened."""
    there = region().root.subordinate("Issuing of numbers")
    alike = {each + 2**61 - 1 for each in list(serials)[:3]} - serials
    for each in serials:
        there.revoked[each] = _entry(each)
    held = read(there.crl(), there.certificate)
    assert all(held.entry(each) is not None for each in serials)
    assert all(held.entry(each) is None for each in alike | ({other} - serials))


def _entry(serial: int) -> Any:
    there = Region()
    there.issuing.revoke(there.issued.certificate, AT - DAY)
    (one,) = there.issuing.revoked.values()
    return type(one)(serial=serial, at=one.at, reason=one.reason, invalid_since=one.invalid_since)


def test_numbers_that_look_alike_are_told_apart():
    """Both are on the list: each has an entry of its own."""
    there = region().root.subordinate("Issuing of twins")
    twins = (5, 5 + 2**61 - 1, 5 + 2 * (2**61 - 1))
    for each in twins[:2]:
        there.revoked[each] = _entry(each)
    held = read(there.crl(), there.certificate)
    assert [held.entry(each) is not None for each in twins] == [True, True, False]


@pytest.mark.parametrize("kind", ["rsa", "p-384", "p-521"])
def test_every_believed_kind_of_key_signs(kind):
    """RSA and the other curves are read, too."""
    issuing = region().root.subordinate(f"Issuing {kind}", key=kind)
    assert about(issuing, issuing.issue(), [issuing.crl()]).standing is Standing.GOOD


# --- not believed


def _made(**options: Any) -> Callable[[], bytes]:
    return lambda: region().issuing.crl(**options)


def _of(change: Callable[[Authority], Authority]) -> Callable[[], bytes]:
    return lambda: change(region().root).crl()


def _altered() -> bytes:
    made = region().issuing.crl(number=7)
    return made.replace(b"\x02\x01\x07", b"\x02\x01\x08", 1)


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing": ("crl-malformed", lambda: b""),
    "a page": ("crl-malformed", lambda: b"<!doctype html><title>404</title>"),
    "a certificate": ("crl-malformed", lambda: region().issued.der),
    "half of it": ("crl-malformed", lambda: region().issuing.crl()[:-40]),
    "more than all of it": ("crl-malformed", lambda: region().issuing.crl() + b"\x00"),
    "without an end": ("crl-malformed", _made(next_update=None)),
    "another issuer's": ("crl-issuer", _of(lambda root: root)),
    "a namesake's": ("crl-issuer", _of(lambda root: root.subordinate("Issuing"))),
    "a namesake's that hides its key": (
        "crl-signature",
        lambda: region().root.subordinate("Issuing").crl(authority_key_id=None),
    ),
    "in another's name": ("crl-issuer", _made(issuer=name("Somebody"))),
    "by another key": ("crl-signature", _made(signed_by=region().root.key)),
    "altered": ("crl-signature", _altered),
    "SHA-1": ("crl-weak", _made(digest="sha1")),
    "a critical riddle": ("crl-extension", _made(extensions=((unknown_extension(), True),))),
    "an indirect one": ("crl-indirect", _made(indirect=True)),
    "of attribute certificates": ("crl-kind", _made(only_attribute=True)),
    "of authorities": ("crl-kind", _made(only_ca=True)),
    "another part": ("crl-partition", _made(distribution_point=OTHER_PLACE)),
    "some reasons only": ("crl-reasons", _made(only_reasons=COMPROMISE)),
    "only a delta": ("crl-no-complete", _made(number=9, delta_of=8)),
    "tomorrow's": ("crl-future", _made(at=AT + DAY)),
    "yesterday's": ("crl-over", _made(at=AT - 2 * DAY)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_believed(case):
    """Each list that an honest issuer would not give is refused with its code."""
    code, make = CASES[case]
    assert refused(region().issuing, region().issued, [make()]) == code


def test_every_code_has_a_case():
    """But for those that have a test of their own."""
    tried = {code for code, _ in CASES.values()} | {"crl-sign", "crl-too-late"}
    assert tried == {code for code in CODES if code.startswith("crl-")}


def test_an_entry_with_a_critical_riddle_makes_the_list_useless():
    """RFC 5280 §5.3: it may change what the entry means; for certificates that are not on it, too."""
    there = Region()
    there.issuing.revoke(there.issuing.issue().certificate, AT - DAY)
    made = there.issuing.crl(entry_extensions=((unknown_extension(), True),))
    assert refused(there.issuing, there.issued, [made]) == "crl-extension"
    plain = there.issuing.crl(entry_extensions=((unknown_extension(), False),))
    assert about(there.issuing, there.issued, [plain]).standing is Standing.GOOD


def test_an_issuer_that_may_not_sign_lists():
    """RFC 5280 §4.2.1.3, cRLSign."""
    issuing = region().root.subordinate("Issuing without lists", key_usages=("key_cert_sign",))
    assert refused(issuing, issuing.issue(), [issuing.crl()]) == "crl-sign"


def test_a_list_of_an_authority_with_a_weak_key():
    """However right its signature is."""
    issuing = region().root.subordinate("Weak", key="rsa-1024")
    assert refused(issuing, issuing.issue(), [issuing.crl()]) == "crl-weak"


def test_after_a_certificates_end_no_list_speaks_of_it():
    """RFC 5280 §3.3: what is over may be taken off the list."""
    issued = region().issuing.issue(not_after=AT - DAY)
    assert refused(region().issuing, issued, [region().issuing.crl()]) == "crl-too-late"


@pytest.mark.parametrize("reason", [Reason.certificate_hold, Reason.key_compromise])
@pytest.mark.parametrize("made", ["complete", "delta"])
def test_a_list_that_speaks_of_it_all_the_same_counts(made, reason):
    """A hold, too; on a delta to a list from before its end as well."""
    issuing = Region().issuing
    issued = issuing.issue(not_after=AT - HOUR)
    before = issuing.crl(at=AT - 2 * HOUR, number=10)
    issuing.revoke(issued.certificate, AT - 2 * HOUR, reason)
    lists = [issuing.crl()] if made == "complete" else [before, issuing.crl(number=11, delta_of=10)]
    answer = about(issuing, issued, lists)
    assert (answer.standing, answer.reason) == (Standing.REVOKED, reason.value)


def test_what_is_over_counts_as_stale_within_bounds():
    """Within, it is marked; beyond, refused; a revocation outlasts its list."""
    there = Region()
    old = there.issuing.crl(at=AT - 2 * DAY)
    assert about(there.issuing, there.issued, [old], Moment(at=AT, stale=DAY + HOUR)).stale
    assert refused(there.issuing, there.issued, [old], Moment(at=AT, stale=HOUR)) == "crl-over"
    there.issuing.revoke(there.issued.certificate, AT - 3 * DAY)
    answer = about(there.issuing, there.issued, [there.issuing.crl(at=AT - 2 * DAY)])
    assert (answer.standing, answer.stale) == (Standing.REVOKED, True)


# --- parts


def test_a_part_counts_for_those_who_would_stand_on_it():
    """The certificate names the distribution point of the list (RFC 5280 §6.3.3 b 2)."""
    issuing = region().issuing
    issued = issuing.issue(crl_urls=(PLACE,))
    assert about(issuing, issued, [issuing.crl(distribution_point=PLACE)]).standing is Standing.GOOD
    assert refused(issuing, issued, [issuing.crl(distribution_point=OTHER_PLACE)]) == "crl-partition"
    assert about(issuing, issued, [issuing.crl()]).standing is Standing.GOOD


def test_lists_of_persons_and_of_authorities():
    """A list of persons' certificates says nothing of an authority's."""
    root, issuing = region().root, region().issuing
    assert about(issuing, region().issued, [issuing.crl(only_user=True)]).standing is Standing.GOOD
    assert about(root, issuing.issued, [root.crl(only_ca=True)]).standing is Standing.GOOD
    assert refused(root, issuing.issued, [root.crl(only_user=True)]) == "crl-kind"


def test_reasons_are_gathered_from_several_lists():
    """Good is who is on none, if they cover every reason together; revoked, who is on any."""
    there = Region()
    some, rest = there.issuing.crl(only_reasons=COMPROMISE), there.issuing.crl(only_reasons=OTHERS)
    assert about(there.issuing, there.issued, [some, rest]).standing is Standing.GOOD
    assert refused(there.issuing, there.issued, [rest]) == "crl-reasons"
    there.issuing.revoke(there.issued.certificate, AT - DAY, Reason.key_compromise)
    revoked = there.issuing.crl(only_reasons=COMPROMISE)
    assert about(there.issuing, there.issued, [rest, revoked]).standing is Standing.REVOKED


def test_a_point_for_some_reasons_covers_no_others():
    """What the certificate says of a distribution point limits what its list counts for."""
    issuing = region().issuing
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(PLACE)], None, COMPROMISE, None)
    issued = issuing.issue(extensions=((x509.CRLDistributionPoints([point]), False),))
    assert refused(issuing, issued, [issuing.crl(distribution_point=PLACE)]) == "crl-reasons"


def test_a_point_whose_list_another_issues_does_not_count():
    """Indirect lists are not supported, so no list is taken for one."""
    issuing = region().issuing
    of_other = [x509.DirectoryName(name("Somebody"))]
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(PLACE)], None, None, of_other)
    issued = issuing.issue(extensions=((x509.CRLDistributionPoints([point]), False),))
    assert refused(issuing, issued, [issuing.crl(distribution_point=PLACE)]) == "crl-partition"


# --- deltas


def delta_region(reason: Reason | None = None) -> tuple[Authority, Issued, bytes]:
    """An authority, a certificate, and a complete list that does not name it; it was revoked since."""
    there = Region()
    complete = there.issuing.crl(at=AT - 2 * HOUR, number=10)
    there.issuing.revoke(there.issued.certificate, AT - HOUR, reason)
    return there.issuing, there.issued, complete


def test_a_delta_revokes():
    """What the complete list does not know yet."""
    issuing, issued, complete = delta_region()
    delta = issuing.crl(number=11, delta_of=10, next_update=AT + HOUR)
    assert about(issuing, issued, [complete]).standing is Standing.GOOD
    answer = about(issuing, issued, [complete, delta])
    assert (answer.standing, answer.source, answer.next_update) == (Standing.REVOKED, "delta", AT + HOUR)
    assert len(answer.evidence) == 2


def test_a_delta_takes_a_hold_back():
    """By removeFromCRL (RFC 5280 §5.3.1)."""
    there = Region()
    there.issuing.revoke(there.issued.certificate, AT - DAY, Reason.certificate_hold)
    complete = there.issuing.crl(at=AT - HOUR, number=10)
    there.issuing.revoke(there.issued.certificate, AT - HOUR, Reason.remove_from_crl)
    delta = there.issuing.crl(number=11, delta_of=10)
    assert about(there.issuing, there.issued, [complete]).standing is Standing.REVOKED
    assert about(there.issuing, there.issued, [complete, delta]).standing is Standing.GOOD


def test_the_newest_delta_counts():
    """Of several that fit."""
    issuing, issued, complete = delta_region()
    before = issuing.crl(number=11, delta_of=10, only=())
    after = issuing.crl(number=12, delta_of=10)
    assert about(issuing, issued, [complete, after, before]).standing is Standing.REVOKED


def test_of_deltas_of_one_number_the_one_that_revokes_counts():
    """In whichever order they come."""
    issuing, issued, complete = delta_region()
    silent = issuing.crl(number=11, delta_of=10, only=())
    telling = issuing.crl(number=11, delta_of=10)
    for ders in ([complete, silent, telling], [complete, telling, silent]):
        assert about(issuing, issued, ders).standing is Standing.REVOKED


def test_of_revocations_of_one_moment_the_one_that_lasts_is_told():
    """In whichever order the lists come: a hold is over with its list, what else it was revoked for is not."""
    there = Region()
    there.issuing.revoke(there.issued.certificate, AT - DAY, Reason.certificate_hold)
    hold = there.issuing.crl(number=10)
    there.issuing.revoke(there.issued.certificate, AT - DAY, Reason.key_compromise)
    lasting = there.issuing.crl(number=10)
    for ders in ([hold, lasting], [lasting, hold]):
        assert about(there.issuing, there.issued, ders).reason == "keyCompromise"


@pytest.mark.parametrize("mild", [Reason.superseded, Reason.cessation_of_operation, Reason.affiliation_changed])
@pytest.mark.parametrize("grave", [Reason.key_compromise, Reason.certificate_hold, None])
def test_of_reasons_the_one_that_speaks_against_the_key_is_told(mild, grave):
    """In whichever order the lists come: with the other one a former certificate might still show whose it was."""
    there = Region()
    lists = []
    for reason in (mild, grave):
        there.issuing.revoke(there.issued.certificate, AT - DAY, reason)
        lists.append(there.issuing.crl(number=10))
    for ders in (lists, lists[::-1]):
        assert about(there.issuing, there.issued, ders).reason == (None if grave is None else grave.value)


DELTAS: dict[str, dict[str, Any]] = {
    "to a later list": {"number": 12, "delta_of": 11},
    "older than the list": {"number": 9, "delta_of": 8},
    "of the same number": {"number": 10, "delta_of": 8},
    "of another part": {"number": 11, "delta_of": 10, "distribution_point": PLACE},
    "of persons only": {"number": 11, "delta_of": 10, "only_user": True},
    "whose time is over": {"number": 11, "delta_of": 10, "at": AT - HOUR, "next_update": AT - timedelta(minutes=1)},
    "of tomorrow": {"number": 11, "delta_of": 10, "at": AT + DAY},
}


@pytest.mark.parametrize("case", DELTAS)
def test_a_delta_that_does_not_fit_changes_nothing(case):
    """It is passed over, and the complete list counts alone."""
    issuing, issued, complete = delta_region()
    answer = about(issuing, issued, [complete, issuing.crl(**DELTAS[case])])
    assert (answer.standing, answer.source) == (Standing.GOOD, "crl")


# --- where to ask


def test_sources_are_what_the_certificate_names():
    """Responders, lists and deltas, by http and https only."""
    issued = region().issuing.issue(
        crl_urls=("ldap://directory.example.jp/cn=Issuing", PLACE, "file:///etc/passwd"),
        ocsp_urls=("http://ocsp.example.jp/", "https://ocsp.example.jp/", "gopher://ocsp.example.jp"),
        freshest=("http://crl.example.jp/delta.crl",),
    )
    found = sources(issued.certificate, region().issuing.certificate)
    assert found.ocsp == ("http://ocsp.example.jp/", "https://ocsp.example.jp/")
    assert [point.urls for point in found.points] == [(), (PLACE,), ()]
    assert found.freshest == ("http://crl.example.jp/delta.crl",)
    assert found.any
    assert not sources(region().issued.certificate, region().issuing.certificate).any


def test_sources_are_bounded():
    """A certificate cannot send us to hundreds of addresses."""
    many = [f"http://crl{number}.example.jp/" for number in range(50)]
    points = [
        *distribution_points(*many),
        x509.DistributionPoint([x509.UniformResourceIdentifier(each) for each in many], None, None, None),
    ]
    issued = region().issuing.issue(ocsp_urls=many, extensions=((x509.CRLDistributionPoints(points[::-1]), False),))
    found = sources(issued.certificate, region().issuing.certificate)
    assert len(found.ocsp) <= 4
    assert len(found.points) <= 8
    assert all(len(point.urls) <= 4 for point in found.points)


# --- hostile


@cache
def _good() -> bytes:
    there = region().root.subordinate("Issuing for hostile tests")
    for number in range(3, 6):
        there.revoked[number] = _entry(number)
    _good_issuer.append(there)
    return there.crl()


_good_issuer: list[Authority] = []


@given(place=st.integers(0, 10_000), octet=st.integers(0, 255))
def test_no_octet_can_be_altered(place, octet):
    """Whatever one octet becomes: the list is refused, or is the same."""
    good = _good()
    place %= len(good)
    altered = good[:place] + bytes([octet]) + good[place + 1 :]
    try:
        held = read(altered, _good_issuer[0].certificate)
    except StatusRefusedError:
        return
    assert _meaning(held) == _meaning(read(good, _good_issuer[0].certificate))


def _meaning(held: RevocationList) -> tuple[Any, ...]:
    return held.number, held.this_update, held.next_update, held.scope, [held.entry(each) for each in range(8)]


@given(st.binary(max_size=300))
def test_garbage_is_refused(octets):
    """Never anything but a refusal."""
    with pytest.raises(StatusRefusedError) as caught:
        crl.read(octets, region().issuing.certificate)
    assert caught.value.code == "crl-malformed"
