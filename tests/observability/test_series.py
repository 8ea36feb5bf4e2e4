from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from observability.events import (
    CallOutcome,
    EndingEvent,
    EndReason,
    LoginEvent,
    LoginOutcome,
    LogoutEvent,
    LogoutOutcome,
    StoreChange,
    StoreEvent,
)
from observability.series import MINUTES_HELD, Series, merged, minute_of
from tests.observability.builders import NOW, VOCABULARY, call, login

MINUTE = minute_of(NOW)


def test_sessions_that_lost_their_trust_are_counted():
    """Not those that somebody ended by signing out."""
    series = Series(VOCABULARY)
    for reason, ended, untold in ((EndReason.UNTRUSTED, 3, 0), (EndReason.UNTRUSTED, 0, 1), (EndReason.LOGOUT, 5, 5)):
        series.record(EndingEvent(reason=reason, at=NOW, service="portal", ended=ended, untold=untold))
    assert series.drain() == {MINUTE: {"sessions-ended": 3, "sessions-untold": 1}}


def test_events_are_counted_by_minute_under_closed_names():
    """Logins and calls count by municipality and outcome, refusals by reason; other events are not counts."""
    series = Series(VOCABULARY)
    series.record(login())
    series.record(login(outcome=LoginOutcome.REFUSED, reason="assurance-too-low"))
    series.record(login(municipality=None, outcome=LoginOutcome.REFUSED, reason="flow-unknown"))
    series.record(call(at=NOW + timedelta(minutes=1)))
    series.record(
        call(
            at=NOW + timedelta(minutes=1),
            municipality="232238",
            outcome=CallOutcome.REFUSED,
            reason="made-up",
            status=403,
        )
    )
    series.record(StoreEvent(change=StoreChange.UP, at=NOW))
    ended = {"seconds": 0.0, "request_id": "r-3", "at": NOW}
    series.record(LogoutEvent(outcome=LogoutOutcome.REFUSED, reason="logout-refused", **ended))
    series.record(LogoutEvent(outcome=LogoutOutcome.COMPLETE, **ended))
    assert series.drain() == {
        MINUTE: {
            "login:102016:granted": 1,
            "login:102016:refused": 1,
            "refusal:assurance-too-low": 1,
            "login:none:refused": 1,
            "refusal:flow-unknown": 1,
            "refusal:logout-refused": 1,
        },
        MINUTE + 1: {"call:102016:ok": 1, "call:other:refused": 1, "refusal:other": 1},
    }
    assert series.drain() == {}


logins = st.builds(
    login,
    at=st.integers(0, 9).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    outcome=st.sampled_from(LoginOutcome),
    municipality=st.sampled_from(["102016", "012173", None, "made up"]),
)


@given(st.lists(st.one_of(logins, st.sampled_from(["drain", "put back"]))))
def test_no_count_is_lost_or_doubled(steps: list[LoginEvent | str]):
    """However recording, draining and putting back follow one another, the sum is the number of events."""
    series = Series(VOCABULARY)
    stored = []
    expected = 0
    for step in steps:
        match step:
            case "drain":
                stored.append(series.drain())
            case "put back":
                series.put_back(series.drain())
            case LoginEvent():
                series.record(step)
                expected += 1
    stored.append(series.drain())
    total = merged(*stored)
    assert expected == sum(count for names in total.values() for count in names.values())


@given(st.lists(logins), st.integers(0, 30))
def test_two_workers_count_as_one_does(events: list[LoginEvent], at: int):
    """Adding up what two workers drained gives what one worker would have drained."""
    one, first, second = Series(VOCABULARY), Series(VOCABULARY), Series(VOCABULARY)
    for index, event in enumerate(events):
        one.record(event)
        (first if index < at else second).record(event)
    assert one.drain() == merged(first.drain(), second.drain())


def test_a_store_that_is_down_does_not_fill_the_memory():
    """Of counts that nobody takes, only the latest minutes are held."""
    series = Series(VOCABULARY)
    for minutes in range(MINUTES_HELD + 5):
        series.record(login(at=NOW + timedelta(minutes=minutes)))
    held = series.drain()
    assert list(range(MINUTE + 5, MINUTE + 5 + MINUTES_HELD)) == sorted(held)
    series.put_back(held)
    assert held == series.drain()
