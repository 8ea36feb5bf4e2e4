import json
from datetime import timedelta

import pytest

from observability.events import (
    ConfigEvent,
    ConfigOutcome,
    FetchEvent,
    FetchOutcome,
    ListEvent,
    ListOutcome,
    StoreChange,
    StoreEvent,
)
from observability.health import MOST_ABANDONED, ConfigState, Facts, ListState, States, StoreState, alive, readiness
from tests.observability.builders import NOW, facts, login

EXPIRED = ListState(name="old", valid_until=NOW)
GOOD = ListState(name="good", valid_until=NOW + timedelta(seconds=1), entities=4, read_at=NOW - timedelta(seconds=9))
MISSING = ListState(name="missing", code="unreadable")


def test_a_gateway_in_order_is_ready():
    """Everything that was asked is answered, in JSON."""
    ready, told = readiness(facts(lists=(GOOD,)))
    assert ready
    assert json.loads(json.dumps(told)) == {
        "ready": True,
        "checks": {
            "not-stopping": True,
            "store": True,
            "configuration": True,
            "trust-lists": True,
            "protocol-steps": True,
        },
        "store": {"up": True, "round_trip_ms": 0.7},
        "configuration": {"loaded_at": "2027-11-19T17:13:20.000Z", "mistakes": 0},
        "trust_lists": [
            {
                "name": "good",
                "in_force": True,
                "age_seconds": 9,
                "valid_until": "2027-11-22T17:13:21.000Z",
                "entities": 4,
                "faults": 0,
                "refused": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        (facts(stopping=True), "not-stopping"),
        (facts(store=StoreState(up=False)), "store"),
        (facts(configuration=ConfigState()), "configuration"),
        (facts(lists=(EXPIRED, MISSING)), "trust-lists"),
        (facts(abandoned=MOST_ABANDONED), "protocol-steps"),
    ],
)
def test_what_makes_a_gateway_unready(changed: Facts, failing: str):
    """Each condition alone takes the gateway out of service, and is named."""
    ready, told = readiness(changed)
    assert not ready
    assert [failing] == [name for name, met in told["checks"].items() if not met]


@pytest.mark.parametrize("lists", [(GOOD, EXPIRED), (GOOD, MISSING), ()])
def test_one_list_among_others_does_not_stop_everything(lists: tuple[ListState, ...]):
    """The members of the lists in force still need the gateway."""
    assert readiness(facts(lists=lists))[0]


def test_states_follow_events():
    """What events say last is what is known."""
    states = States()
    states.expect(("region-openid", "region-saml"))
    until = NOW + timedelta(days=3)
    for event in (
        ListEvent(name="region-saml", outcome=ListOutcome.LOADED, at=NOW, valid_until=until, entities=9),
        ListEvent(
            name="region-saml",
            outcome=ListOutcome.REFUSED,
            at=NOW + timedelta(minutes=1),
            code="rollback",
            valid_until=until,
            entities=9,
        ),
        StoreEvent(change=StoreChange.DOWN, at=NOW),
        StoreEvent(change=StoreChange.RESTART, at=NOW + timedelta(seconds=1)),
        StoreEvent(change=StoreChange.UP, at=NOW + timedelta(seconds=1)),
        ConfigEvent(outcome=ConfigOutcome.LOADED, at=NOW),
        ConfigEvent(outcome=ConfigOutcome.REFUSED, at=NOW + timedelta(minutes=2), mistakes=3),
        login(),
    ):
        states.record(event)
    assert Facts(
        now=NOW,
        store=StoreState(up=True, round_trip=0.001, restarts=1, restarted_at=NOW + timedelta(seconds=1)),
        configuration=ConfigState(loaded_at=NOW, refused_at=NOW + timedelta(minutes=2), mistakes=3),
        lists=(
            ListState(name="region-openid"),
            ListState(
                name="region-saml",
                valid_until=until,
                entities=9,
                code="rollback",
                read_at=NOW + timedelta(minutes=1),
            ),
        ),
    ) == states.facts(NOW, round_trip=0.001)


def test_a_new_configuration_forgets_what_was_wrong_with_the_refused_one():
    """Once accepted, nothing is refused any more; lists no longer configured are forgotten."""
    states = States()
    states.record(ConfigEvent(outcome=ConfigOutcome.REFUSED, at=NOW, mistakes=3))
    states.record(ListEvent(name="gone", outcome=ListOutcome.REFUSED, at=NOW, code="unreadable"))
    states.record(ConfigEvent(outcome=ConfigOutcome.LOADED, at=NOW))
    states.expect(("new",))
    told = states.facts(NOW, round_trip=None)
    assert ConfigState(loaded_at=NOW) == told.configuration
    assert (ListState(name="new"),) == told.lists
    assert not told.store.up


def test_alive():
    """The line of the liveness check."""
    assert alive() == "alive\n"


def test_what_was_fetched_and_what_is_in_force_are_told_apart():
    """A fetch says nothing of what is in force, and a reading nothing of what waits."""
    states = States()
    states.expect(("region",))
    states.record(FetchEvent(name="region", outcome=FetchOutcome.STAGED, at=NOW, waiting=True))
    end = NOW + timedelta(days=1)
    states.record(ListEvent(name="region", outcome=ListOutcome.LOADED, at=NOW, valid_until=end, successor=True))
    states.record(FetchEvent(name="region", outcome=FetchOutcome.FAILED, at=NOW, code="dns", waiting=True))
    (found,) = states.facts(NOW, round_trip=0.001).lists
    assert found == ListState(
        name="region",
        valid_until=end,
        read_at=NOW,
        successor=True,
        waiting=True,
        fetch=FetchOutcome.FAILED,
        fetch_code="dns",
    )
