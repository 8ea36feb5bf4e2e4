from collections.abc import Iterable
from dataclasses import FrozenInstanceError

import pytest

from federation import refusal
from observability.events import (
    CallOutcome,
    Event,
    LoginOutcome,
    Observer,
    call_outcome,
    login_outcome,
)
from tests.observability.builders import call, login


class Told:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        """Remember."""
        self.events.append(event)


class Broken:
    """A recorder whose disk is full."""

    def record(self, event: Event) -> None:
        """Fail as a write does."""
        del event
        raise OSError(28, "No space left on device")


def test_every_recorder_is_told_of_every_event():
    """An observer tells each of its recorders, in order."""
    first, second = Told(), Told()
    observer = Observer([first, second])
    events = [login(), call()]
    for event in events:
        observer.record(event)
    assert events == first.events
    assert events == second.events


def test_a_broken_recorder_costs_nothing_but_its_own_record():
    """The others are told all the same, and the loss is counted."""
    told = Told()
    observer = Observer([Broken(), told])
    observer.record(login())
    assert [login()] == told.events
    assert observer.lost == 1


def test_events_cannot_be_changed():
    """An event is a value."""
    with pytest.raises(FrozenInstanceError):
        login().reason = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "2xx"), (204, "2xx"), (302, "3xx"), (404, "4xx"), (503, "5xx"), (99, "other"), (600, "other")],
)
def test_status_class(status: int, expected: str):
    """A status code counts as its class; what is no status code is `other`."""
    assert expected == call(status=status).status_class


def _refusals() -> Iterable[refusal.Refusal]:
    return (kind() for kind in refusal.BY_CODE.values())


def test_only_the_persons_or_the_id_systems_no_is_a_denial():
    """A login ends granted, denied by the person, the ID system or for want of a page, or refused by the gateway."""
    denied = {why.code for why in _refusals() if login_outcome(why) is LoginOutcome.DENIED}
    assert {
        "certificate-declined",
        "consent-denied",
        "consent-needed",
        "id-system-denied",
        "interaction-needed",
    } == denied
    assert LoginOutcome.GRANTED is login_outcome(None)


def test_a_call_fails_when_the_answer_is_a_server_error():
    """Whoever's fault a 5xx is, the call failed; a refusal below that is a refusal."""
    assert CallOutcome.OK is call_outcome(200, None)
    assert CallOutcome.OK is call_outcome(404, None)
    assert CallOutcome.FAILED is call_outcome(500, None)
    assert CallOutcome.REFUSED is call_outcome(403, refusal.ScopeMissing())
    assert CallOutcome.FAILED is call_outcome(502, refusal.UpstreamUnreachable())
