"""What is sent again, and how much of it: a table of what a service may have heard, and the law of the budget."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.http1 import BodyError, NothingCameError, Outgoing, UpstreamError
from gateway.upstream.pool import BusyError, UnreachableError
from gateway.upstream.retries import FLOOR, WINDOW, Budget, turned_away, unheard


async def pieces() -> AsyncIterator[bytes]:
    """A body that can be read once."""
    yield b"x"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("body", [None, b"x", "pieces"])
@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize(
    "fault", [UnreachableError("x"), TimeoutError(), NothingCameError("x"), UpstreamError("x"), BusyError("x")]
)
def test_what_may_be_sent_again(method: str, body: bytes | str | None, *, safe: bool, fault: Exception):
    """What nobody heard, always; what somebody may have heard, if twice is as good as once and it is all still here."""
    request = Outgoing(
        method=method, target="/", headers=[], body=pieces() if isinstance(body, str) else body, length=1
    )
    expected = {
        UnreachableError: True,
        TimeoutError: True,
        NothingCameError: (safe or method not in {"POST", "PATCH"}) and body != "pieces",
        UpstreamError: False,
        BusyError: False,
    }[type(fault)]
    assert unheard(request, fault, safe=safe) is expected  # type: ignore[arg-type]


def test_a_body_that_was_not_what_it_said_is_nobodys_second_chance():
    """The next one would be no better."""
    assert not unheard(Outgoing(method="PUT", target="/", headers=[], body=b"x"), BodyError("x"), safe=True)


@pytest.mark.parametrize("status", [200, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
@pytest.mark.parametrize("waits", [False, True])
def test_answers_that_turn_a_reader_away_are_asked_for_again(status: int, method: str, *, waits: bool):
    """Unless it was said when to come back."""
    request = Outgoing(method=method, target="/", headers=[])
    assert turned_away(request, status, waits=waits) is (
        status in {502, 503, 504} and method in {"GET", "HEAD"} and not waits
    )


@given(
    percent=st.integers(0, 100),
    events=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 30), st.integers(0, 30)), max_size=60),
)
def test_the_budget(percent: int, events: list[tuple[int, int, int]]):
    """In no window are there more retries than the floor and the percentage of its calls; what is allowed is given."""
    budget = Budget(percent)
    calls: list[int] = []
    retries: list[int] = []
    now = 1000.0
    for milliseconds, called, tried in events:
        now += milliseconds / 1000
        for _ in range(called):
            budget.call(now)
            calls.append(int(now))
        for _ in range(tried):
            begin = int(now) - WINDOW
            most = FLOOR + sum(each > begin for each in calls) * percent / 100
            granted = budget.spend(now)
            assert granted == (sum(each > begin for each in retries) + 1 <= most)
            if granted:
                retries.append(int(now))
