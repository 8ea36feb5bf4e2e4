"""On which terms a route is open: hours by Japan's clock, and the law of quotas."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import quota
from federation.terms import JAPAN, Opening, Rate


def japan(text: str) -> datetime:
    """A time by the clock of Japan."""
    return datetime.fromisoformat(text).replace(tzinfo=JAPAN)


OFFICE = Opening(days=frozenset(range(5)), opens=time(8, 30), closes=time(17, 15))


@pytest.mark.parametrize(
    ("opening", "moment", "expected"),
    [
        (Opening(), "2026-11-23T03:00", True),
        (OFFICE, "2026-11-23T08:29:59", False),
        (OFFICE, "2026-11-23T08:30", True),
        (OFFICE, "2026-11-23T17:14:59.999", True),
        (OFFICE, "2026-11-23T17:15", False),
        (OFFICE, "2026-11-22T12:00", False),  # a Sunday
        (Opening(since=date(2026, 12, 1)), "2026-11-30T23:59", False),
        (Opening(since=date(2026, 12, 1)), "2026-12-01T00:00", True),
        (Opening(until=date(2026, 12, 1)), "2026-12-01T23:59:59", True),
        (Opening(until=date(2026, 12, 1)), "2026-12-02T00:00", False),
        (Opening(opens=time(22), closes=time(5)), "2026-11-23T23:00", True),
        (Opening(opens=time(22), closes=time(5)), "2026-11-23T04:59", True),
        (Opening(opens=time(22), closes=time(5)), "2026-11-23T05:00", False),
        # the morning after Friday's night belongs to Friday, the night of Saturday to nobody
        (Opening(days=frozenset({4}), opens=time(22), closes=time(5)), "2026-11-28T04:00", True),
        (Opening(days=frozenset({4}), opens=time(22), closes=time(5)), "2026-11-28T23:00", False),
        (Opening(since=date(2026, 12, 1), opens=time(22), closes=time(5)), "2026-12-01T04:00", False),
    ],
)
def test_hours_are_read_by_the_clock_of_japan(opening: Opening, moment: str, *, expected: bool):
    """Both days are included, a closing time is not; a night belongs to the day on which it began."""
    assert opening.at(japan(moment)) is expected
    assert opening.at(japan(moment).astimezone(UTC)) is expected


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - made aware below
    st.sets(st.integers(0, 6), min_size=1),
    st.times(),
    st.none() | st.times(),
)
def test_where_it_opens_next_it_is_open(moment: datetime, days: set[int], opens: time, closes: time | None):
    """Of a route that is closed: at the hour it names it is open, and it was closed until then."""
    opening = Opening(days=frozenset(days), opens=opens, closes=None if closes == opens else closes)
    now = moment.replace(tzinfo=JAPAN)
    again = opening.opens_after(now)
    if opening.at(now):
        return
    assert again is not None
    assert again > now
    assert opening.at(again)
    assert not opening.at(now + (again - now) / 2)


def test_a_route_that_is_over_does_not_open_again():
    """Nothing is promised for a day that will not come."""
    assert Opening(until=date(2026, 1, 1)).opens_after(japan("2026-11-23T12:00")) is None
    assert Opening(since=date(2027, 1, 1)).opens_after(japan("2026-11-23T12:00")) == japan("2027-01-01T00:00")


rates = st.builds(Rate, calls=st.integers(1, 100), seconds=st.integers(1, 100), burst=st.integers(1, 50))


@given(rates, st.lists(st.floats(0, 5), min_size=1, max_size=80))
def test_never_more_than_the_quota(rate: Rate, pauses: list[float]):
    """In any span of time at most a burst and what the rate allows; and as soon as it may, a call passes."""
    now, arrival = 1000.0, 0.0
    passed: list[float] = []
    for pause in pauses:
        now += pause
        moved = quota.admitted(arrival, now, rate)
        assert (moved is not None) == (quota.left(arrival, now, rate) >= 1) == (quota.wait(arrival, now, rate) < 1e-6)
        if moved is None:
            later = now + quota.wait(arrival, now, rate)
            assert quota.admitted(arrival, later + 1e-6, rate) is not None
        else:
            arrival = moved
            passed.append(now)
    for i, begin in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= rate.burst + (passed[j] - begin) / rate.interval + 1e-3


def test_a_burst_passes_at_once_and_then_one_by_one():
    """Sixty in a minute, five at once."""
    rate, arrival = Rate(calls=60, seconds=60, burst=5), 0.0
    for _ in range(5):
        arrival = quota.admitted(arrival, 100.0, rate) or pytest.fail("within the burst")
    assert quota.admitted(arrival, 100.0, rate) is None
    assert quota.wait(arrival, 100.0, rate) == pytest.approx(1.0)
    assert quota.admitted(arrival, 101.0, rate) is not None
    assert timedelta(seconds=rate.interval) == timedelta(seconds=1)
