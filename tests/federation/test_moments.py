"""How exactly services are told when somebody signed in, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from federation import consent, login, moments, sessions
from federation.sessions import UpstreamSession
from tests.federation.test_login import IDENTIFIERS, NOW, PORTAL, concluded, flow

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given UTC
AHEAD = st.timedeltas(timedelta(microseconds=1), timedelta(days=7))


def test_a_sign_in_for_this_login_is_told_as_it_was() -> None:
    """From the moment at which the login began."""
    assert moments.sign_in(NOW, since=NOW, asked=False) == NOW
    later = NOW + timedelta(minutes=3, seconds=4)
    assert moments.sign_in(later, since=NOW, asked=False) == later


def test_an_older_sign_in_is_told_by_its_hour() -> None:
    """It serves other services too, which are told the same hour and no more."""
    begun = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
    for second in (0, 1, 59 * 60 + 59):
        at = datetime(2026, 4, 1, 8, 0, tzinfo=UTC) + timedelta(seconds=second)
        assert moments.sign_in(at, since=begun, asked=False) == datetime(2026, 4, 1, 8, 0, tzinfo=UTC)


def test_a_service_that_asked_for_a_new_sign_in_is_told_when_it_was() -> None:
    """ForceAuthn, `prompt=login`, `max_age`: also where the ID system's clock is a little late."""
    at = NOW - timedelta(seconds=17)
    assert moments.sign_in(at, since=NOW, asked=True) == at


@given(MOMENTS, MOMENTS)
def test_a_sign_in_is_never_told_as_newer_than_it_is(at: datetime, since: datetime) -> None:
    """And never as more than an hour older."""
    assert timedelta(0) <= at - moments.sign_in(at, since=since, asked=False) < timedelta(hours=1)


def test_an_end_is_told_by_the_quarter_hour() -> None:
    """By the minute where the quarter hour is over, and as it is in its last minute."""
    until = datetime(2026, 4, 1, 9, 29, 59, tzinfo=UTC)
    assert moments.end(until, now=NOW) == datetime(2026, 4, 1, 9, 15, tzinfo=UTC)
    assert moments.end(until, now=NOW.replace(minute=15)) == datetime(2026, 4, 1, 9, 29, tzinfo=UTC)
    assert moments.end(until, now=NOW.replace(minute=29)) == until


@given(MOMENTS, AHEAD)
def test_an_end_is_never_told_as_later_and_never_as_over(now: datetime, ahead: timedelta) -> None:
    """A service that believes it ends the person's session in time, and does not refuse the sign-in."""
    assert now < moments.end(now + ahead, now=now) <= now + ahead


def test_an_end_of_the_gateway_s_own_is_each_service_s_own() -> None:
    """It counts from the moment at which the service is answered, so there is nothing to compare."""
    upstream = UpstreamSession(entity_id="https://id.example", name=None, index=None, until=None)
    for each in (None, upstream):
        assert sessions.told(each, NOW) == NOW + sessions.SESSION_LIFETIME


def test_what_leaves_has_the_hour_of_an_older_sign_in() -> None:
    """And the second of one that was demanded."""
    old = replace(concluded(PORTAL), authenticated_at=NOW - timedelta(minutes=20))
    record = consent.grant(PORTAL, id="1", person=old.person, attributes=set(), scopes=set(), now=NOW)
    told = [
        login.release(flow(force_authentication=forced), PORTAL, old, record, IDENTIFIERS).authenticated_at
        for forced in (False, True)
    ]
    assert told == [NOW - timedelta(hours=1), NOW - timedelta(minutes=20)]
