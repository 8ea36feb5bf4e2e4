"""What the council's survey makes of answers: a sum of enough of them, or nothing."""

from typing import Any

import pytest

from gateway.demo.survey import _result


def told(*free: Any, state: str = "ended", targets: int = 5) -> dict[str, Any]:
    """What the gateway tells, with members that answered so."""
    members = [{"outcome": "answered", "json": {"free": each}} for each in free]
    silent = [{"outcome": "timed-out"}] * (targets - len(free) if state == "ended" else 0)
    waiting = targets - len(free) if state == "open" else 0
    return {"state": state, "open": waiting, "targets": targets, "members": [*members, *silent]}


@pytest.mark.parametrize(
    ("found", "free"),
    [
        (told(1, 2, 3, 4, 5), 15),
        (told(1, 2, 3), 6),
        (told(1, 2), None),
        (told(1, 2, "3"), None),
        (told(1, 2, True), None),
        (told(), None),
        (told(1, 2, 3, 4, state="open"), None),
    ],
)
def test_a_number_is_shown_for_a_group_alone(found: dict[str, Any], free: int | None):
    """Of two answers, of answers that are none, and while answers still come, nothing is shown.

    A sum that grows with each answer would tell each of them (a test of an internal function).
    """
    assert _result(found).free == free
