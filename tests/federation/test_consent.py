import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.attributes import Applied, OutwardMap, OutwardRule
from federation.consent import (
    ConsentNeed,
    ConsentRecord,
    Reason,
    ends,
    grant,
    in_force,
    needed,
    purpose_digest,
    told_by,
    withdraw,
)
from federation.identifiers import PersonRef
from federation.model import Level, Service

NOW = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
PORTAL = Service(
    id="gunma-portal",
    kind="saml",
    entity_id="https://portal.example",
    municipality="100005",
    name={"ja": "群馬県ポータル", "en": "Gunma Prefecture portal"},
    purpose={"ja": "手続きの申込者を確かめるため", "en": "To know who applies"},
    outward=OutwardMap(),
    minimum=Level.TWO,
    consent_lifetime=YEAR,
)
PERSON = PersonRef("p" * 43)

names = st.frozensets(st.text(max_size=20), max_size=4)
times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of an aware strategy


def granted(attributes=("name",), scopes=(), now=NOW, earlier=None, service=PORTAL):
    """A consent of the person for the portal."""
    return grant(service, id="c1", person=PERSON, attributes=attributes, scopes=scopes, now=now, earlier=earlier)


@given(names, names, times, times, st.text())
def test_a_record_survives_json(attributes, scopes, granted_at, expires_at, text):
    """What is kept in the store is what was agreed to, to the microsecond."""
    record = ConsentRecord(
        id=text,
        person=PersonRef(text),
        service=text,
        purpose_digest=text,
        attributes=attributes,
        scopes=scopes,
        granted_at=granted_at,
        expires_at=expires_at,
    )
    for kept in (record, withdraw(record, granted_at)):
        assert ConsentRecord.from_json(json.loads(json.dumps(kept.to_json()))) == kept


def test_a_name_that_comes_to_mean_more_is_asked_again():
    """The service's map may put another attribute under a name that was agreed to: that is growth, too."""

    def mapped(*rules):
        return replace(PORTAL, outward=OutwardMap(rules=rules))

    alias = mapped(OutwardRule(to="name", sources=("commonName",)))
    record = granted(["name"], service=alias)
    assert needed(record, alias, ["name"], [], NOW) is None
    address = mapped(OutwardRule(to="name", sources=("fullAddress",)))
    asked = needed(record, address, ["name"], [], NOW)
    assert asked is not None
    assert (asked.reason, asked.new_attributes) == (Reason.GROWN, {"name"})
    again = granted(["name"], service=address, earlier=record)
    assert ConsentRecord.from_json(again.to_json()) == again
    assert needed(again, address, ["name"], [], NOW) is None


def test_a_scope_that_comes_to_tell_more_is_asked_again():
    """What shared services learn by a scope is agreed to with it: another thing, or one made of more, is not."""

    def telling(*rules):
        return replace(PORTAL, told={"vote": OutwardMap(rules=rules)} if rules else {})

    adult = OutwardRule(to="adult", sources=("dateOfBirth",), transforms=(Applied("over", "18"),))
    near = OutwardRule(to="near", sources=("localGovernmentCode",))
    record = granted((), ("vote", "read"), service=telling(adult))
    assert told_by(record) == {("vote", "adult")}
    assert ConsentRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert needed(record, telling(adult), (), ("vote",), NOW) is None
    assert needed(record, telling(), (), ("vote",), NOW) is None
    assert needed(record, telling(adult, near), (), ("read",), NOW) is None
    for more in (telling(adult, near), telling(replace(near, to="adult"))):
        assert needed(record, more, (), ("vote",), NOW).reason is Reason.GROWN
    without = granted((), ("vote",), service=PORTAL)
    assert needed(without, telling(adult), (), ("vote",), NOW).reason is Reason.GROWN


def test_a_consent_records_what_was_agreed_to():
    """By whom, for what, until when; no value is anywhere in it."""
    assert granted(["name", "birth"], ["polls.read"]) == ConsentRecord(
        id="c1",
        person=PERSON,
        service="gunma-portal",
        purpose_digest=purpose_digest(PORTAL),
        attributes=frozenset({"name", "birth"}),
        scopes=frozenset({"polls.read"}),
        granted_at=NOW,
        expires_at=NOW + YEAR,
    )


def test_the_first_time_everything_is_new():
    """No record, or one of another service: both ask for all of it."""
    expected = ConsentNeed(
        reason=Reason.FIRST,
        attributes=frozenset({"name"}),
        scopes=frozenset({"polls.read"}),
        new_attributes=frozenset({"name"}),
        new_scopes=frozenset({"polls.read"}),
        expires_at=NOW + YEAR,
    )
    assert needed(None, PORTAL, {"name"}, {"polls.read"}, NOW) == expected
    other = replace(granted(["name"], ["polls.read"]), service="library")
    assert needed(other, PORTAL, {"name"}, {"polls.read"}, NOW) == expected


@given(names, names, names, names)
def test_the_person_is_asked_exactly_when_the_request_grows(attributes, scopes, asked, asked_scopes):
    """Less than before, or the same, needs nothing; anything more needs the person."""
    need = needed(granted(attributes, scopes), PORTAL, asked, asked_scopes, NOW)
    assert (need is None) == (asked <= attributes and asked_scopes <= scopes)
    if need is not None:
        assert (need.reason, need.new_attributes, need.new_scopes) == (
            Reason.GROWN,
            asked - attributes,
            asked_scopes - scopes,
        )


@given(names, names)
def test_what_was_just_granted_is_not_asked_again(attributes, scopes):
    """Granting answers the need."""
    record = granted(attributes, scopes)
    assert needed(record, PORTAL, attributes, scopes, NOW) is None


def test_a_changed_purpose_asks_again():
    """Consent is for a purpose; in any language, another wording is another purpose."""
    for purpose in ({**PORTAL.purpose, "en": "To send news"}, {"ja": PORTAL.purpose["ja"]}):
        need = needed(granted(), replace(PORTAL, purpose=purpose), {"name"}, set(), NOW)
        assert need is not None
        assert (need.reason, need.new_attributes) == (Reason.PURPOSE_CHANGED, frozenset({"name"}))


def test_the_order_of_languages_is_no_change():
    """The configuration file may be tidied."""
    turned = replace(PORTAL, purpose=dict(reversed(PORTAL.purpose.items())))
    assert purpose_digest(turned) == purpose_digest(PORTAL)


def test_an_ended_consent_asks_again():
    """It ends at its last moment, not after it."""
    almost = NOW + YEAR - timedelta(microseconds=1)
    assert needed(granted(), PORTAL, {"name"}, set(), almost) is None
    need = needed(granted(), PORTAL, {"name"}, set(), NOW + YEAR)
    assert need is not None
    assert (need.reason, need.expires_at) == (Reason.EXPIRED, NOW + 2 * YEAR)


def test_a_shortened_lifetime_holds_for_earlier_consents():
    """An operator who shortens it means the consents that are there."""
    shorter = replace(PORTAL, consent_lifetime=timedelta(days=30))
    need = needed(granted(), shorter, {"name"}, set(), NOW + timedelta(days=30))
    assert need is not None
    assert need.reason == Reason.EXPIRED


def test_alternating_requests_ask_once_for_each():
    """What an earlier consent covers stays covered, and nothing is stretched beyond what was agreed to."""
    later = NOW + timedelta(days=300)
    first = granted(["name"])
    need = needed(first, PORTAL, {"birth"}, set(), later)
    assert need is not None
    assert need.expires_at == NOW + YEAR
    both = granted(["birth"], now=later, earlier=first)
    assert (both.attributes, both.expires_at) == (frozenset({"name", "birth"}), NOW + YEAR)
    assert needed(both, PORTAL, {"name"}, set(), later) is None


def test_a_request_that_includes_all_that_was_agreed_begins_a_new_term():
    """The person saw all of it again."""
    later = NOW + timedelta(days=300)
    record = granted(["name", "birth"], now=later, earlier=granted(["name"]))
    assert record.expires_at == later + YEAR


def test_an_ended_or_outdated_consent_leaves_nothing_behind():
    """It is not carried into a new one."""
    ended = granted(["name"])
    assert granted(["birth"], now=NOW + YEAR, earlier=ended).attributes == {"birth"}
    outdated = replace(ended, purpose_digest="0" * 64)
    assert granted(["birth"], earlier=outdated).attributes == {"birth"}


def test_another_persons_consent_is_never_built_upon():
    """A mix-up in the caller is a fault, not a consent."""
    with pytest.raises(ValueError, match="another person's"):
        granted(["birth"], earlier=replace(granted(["name"]), person=PersonRef("q" * 43)))


def test_what_was_withdrawn_counts_for_nothing_and_stays_known():
    """It is asked as if nothing had been agreed to, is no base for the next consent, and says when it ended."""
    record = granted(("name", "address"), ("read",))
    taken = withdraw(record, NOW + timedelta(days=1))
    assert (taken.withdrawn_at, taken.attributes, taken.id) == (NOW + timedelta(days=1), record.attributes, record.id)
    assert withdraw(taken, NOW + timedelta(days=2)) == taken
    need = needed(taken, PORTAL, ("name",), (), NOW + timedelta(days=3))
    assert (need.reason, need.new_attributes) == (Reason.WITHDRAWN, {"name"})
    anew = granted(("name",), earlier=taken, now=NOW + timedelta(days=3))
    assert (anew.attributes, anew.scopes, anew.withdrawn_at) == ({"name"}, set(), None)


def test_what_can_be_taken_back():
    """Whatever is neither over nor withdrawn, also of a service that left the region or changed its purpose."""
    record = granted()
    shorter = replace(PORTAL, consent_lifetime=timedelta(days=2))
    assert (ends(record, PORTAL), ends(record, None), ends(record, shorter)) == (
        NOW + YEAR,
        NOW + YEAR,
        NOW + timedelta(days=2),
    )
    later = NOW + timedelta(days=2)
    assert in_force(record, PORTAL, later)
    assert in_force(record, None, later)
    assert in_force(record, replace(PORTAL, purpose={"en": "another"}), later)
    assert not in_force(record, shorter, later)
    assert not in_force(withdraw(record, NOW), PORTAL, later)
