"""The laws of choosing an address: what fails is left alone, tried once at a time, and never all of what answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.reach import Ejection
from gateway.upstream.targets import LONGEST_OUT, AllOutError, Outcome, Target, Targets

FAILS = (Outcome.SILENT, Outcome.TURNED_AWAY)


def several(count: int, ejection: Ejection | None = None, loads: dict[int, int] | None = None) -> Targets:
    """Addresses 0, 1, …, each with as much to do as is said."""
    targets = [Target(url=str(i), load=lambda i=i: (loads or {}).get(i, 0)) for i in range(count)]
    return Targets(targets, ejection or Ejection(failures=3, seconds=10), random.Random(1).random)


def fail(targets: Targets, target: Target, times: int, now: float, outcome: Outcome = Outcome.SILENT) -> None:
    """So many calls on end."""
    for _ in range(times):
        targets.ended(target, outcome, now, trial=False)


def test_the_one_with_least_to_do_is_chosen_and_chance_decides_among_equals():
    """So that no address gets more than it answers."""
    targets = several(3, loads={0: 5, 1: 2, 2: 2})
    assert {targets.choose(0.0)[0].url for _ in range(50)} == {"1", "2"}


def test_an_address_that_was_just_asked_is_avoided_if_there_is_another():
    """A retry goes elsewhere."""
    targets = several(2)
    first = targets.all[0]
    assert {targets.choose(0.0, first)[0].url for _ in range(20)} == {"1"}
    assert several(1).choose(0.0, first)[0].url == "0"


@pytest.mark.parametrize("outcome", FAILS)
def test_failures_on_end_put_an_address_out_and_one_answer_between_them_does_not(outcome: Outcome):
    """Three on end, not three in all."""
    targets = several(2)
    first = targets.all[0]
    for _ in range(4):
        fail(targets, first, 2, 0.0, outcome)
        targets.ended(first, Outcome.ANSWERED, 0.0, trial=False)
    assert not first.out
    fail(targets, first, 3, 0.0, outcome)
    assert first.out
    assert {targets.choose(9.9)[0].url for _ in range(20)} == {"1"}


def test_one_call_at_a_time_tries_an_address_whose_time_is_over():
    """Its failure keeps it out for twice as long; its answer brings it back."""
    targets = several(2)
    first, second = targets.all
    fail(targets, first, 3, 0.0)
    assert targets.choose(10.0) == (first, True)
    assert targets.choose(10.0) == (second, False)
    targets.ended(first, Outcome.SILENT, 10.0, trial=True)
    assert targets.choose(29.9) == (second, False)
    assert targets.choose(30.0) == (first, True)
    targets.ended(first, Outcome.UNKNOWN, 30.0, trial=True)  # its caller went away: the next one tries
    assert targets.choose(30.0) == (first, True)
    targets.ended(first, Outcome.ANSWERED, 30.0, trial=True)
    assert not first.out


def test_what_was_begun_before_says_nothing_of_an_address_that_is_out():
    """Neither does a late failure keep it out longer, nor a late answer bring it back."""
    targets = several(2)
    first = targets.all[0]
    fail(targets, first, 3, 0.0)
    fail(targets, first, 5, 1.0)
    targets.ended(first, Outcome.ANSWERED, 1.0, trial=False)
    assert (first.out, first.until) == (True, 10.0)


def test_an_address_that_stays_good_is_forgiven():
    """After as long as it was out, it is out for the shortest time again."""
    targets = several(1)
    (only,) = targets.all
    fail(targets, only, 3, 0.0)
    targets.choose(10.0)
    targets.ended(only, Outcome.ANSWERED, 10.0, trial=True)
    targets.ended(only, Outcome.ANSWERED, 20.0, trial=False)
    fail(targets, only, 3, 21.0)
    assert only.until == 31.0


def test_silence_everywhere_opens_the_circuit_and_answers_everywhere_do_not():
    """What a service says of itself at every address its callers hear from itself."""
    silent = several(3)
    for target in silent.all:
        fail(silent, target, 3, 0.0)
    with pytest.raises(AllOutError):
        silent.choose(1.0)
    speaking = several(3)
    for target in speaking.all:
        fail(speaking, target, 9, 0.0, Outcome.TURNED_AWAY)
    assert [target.out for target in speaking.all] == [True, False, False]


def test_checks_that_fail_twice_take_an_address_out_of_the_choice_and_all_of_them_none():
    """If nobody passes, it is rather the check that is wrong."""
    targets = several(2)
    first, second = targets.all
    targets.checked(first, passed=False)
    assert first.well
    targets.checked(first, passed=False)
    assert {targets.choose(0.0)[0].url for _ in range(20)} == {"1"}
    for _ in range(2):
        targets.checked(second, passed=False)
    assert {targets.choose(0.0)[0].url for _ in range(20)} == {"0", "1"}
    targets.checked(first, passed=True)
    assert {targets.choose(0.0)[0].url for _ in range(20)} == {"0"}


def test_nothing_is_ejected_where_nobody_asked_for_it():
    """Without `ejection` every call is sent."""
    targets = Targets([Target(url="0", load=lambda: 0)], None, random.Random(1).random)
    fail(targets, targets.all[0], 100, 0.0)
    assert targets.choose(0.0) == (targets.all[0], False)


@given(
    count=st.integers(1, 5),
    events=st.lists(
        st.tuples(st.sampled_from(["call", "end", "wait", "check"]), st.integers(0, 50), st.sampled_from(Outcome)),
        max_size=120,
    ),
)
def test_laws(count: int, events: list[tuple[str, int, Outcome]]):
    """Whatever happens, in any order, with any number of calls under way."""
    targets = several(count, Ejection(failures=2, seconds=1))
    now = 0.0
    under_way: list[tuple[Target, bool]] = []
    for kind, number, outcome in events:
        before = sum(target.out for target in targets.all)
        if kind == "call":
            try:
                turn = targets.choose(now)
            except AllOutError:
                assert all(
                    (target.out and (target.trying or target.until > now)) or not target.well for target in targets.all
                )
                continue
            target, trial = turn
            assert target.well or not any(each.well for each in targets.all)
            assert trial == target.out
            assert not trial or target.until <= now
            under_way.append(turn)
        elif kind == "end" and under_way:
            target, trial = under_way.pop(number % len(under_way))
            targets.ended(target, outcome, now, trial=trial)
            after = sum(target.out for target in targets.all)
            assert outcome is not Outcome.TURNED_AWAY or after <= max(before, count // 2)
        elif kind == "wait":
            now += number
        else:
            targets.checked(targets.all[number % count], passed=outcome is Outcome.ANSWERED)
        for target in targets.all:
            trials = sum(trial for each, trial in under_way if each is target)
            assert trials <= 1
            assert target.trying == bool(trials)
            assert target.until <= now + LONGEST_OUT
