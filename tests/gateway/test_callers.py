"""What one process remembers of callers: nothing for longer, or of more, than it may."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from federation.callers import Caller
from federation.model import Assurance, Level
from federation.oidc.tokens import AccessToken
from gateway.calls import callers
from gateway.calls.callers import Callers, Pass
from gateway.context import Gateway
from gateway.region import Region

from .gateway_sample import Here, Sample, here

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Here]:
    """A gateway whose services are not there."""
    async with here(Sample(Path(tmp_path_factory.mktemp("callers"))), store_url) as gateway:
        yield gateway


@pytest.fixture
def inside(running: Here) -> Gateway:
    """The gateway's own objects."""
    return running.process.gateway


def shown(running: Here, age: float = 0) -> str:
    """The Authorization header of a resident's app."""
    return running.sample.bearer(age=timedelta(seconds=age))["Authorization"]


async def test_what_goes_on_renews_nothing_for_other_calls(running: Here, inside: Gateway):
    """A stream under a new configuration goes on; a further call with its token is looked at by that one anew."""
    known_callers, now, said = Callers(inside.revocations), inside.clock(), [shown(running)]
    known = known_callers.find(said, inside.region, now)
    known.assertion("ledger", now, lambda: "for the audience of the old configuration")
    new = copy.copy(inside.region)
    assert known_callers.still(known, new, now)
    again = known_callers.find(said, new, now)
    assert again.region is new
    assert again.assertion("ledger", now, lambda: "new") == "new"


async def test_spellings_of_one_token_push_nobody_out(running: Here, inside: Gateway, monkeypatch: pytest.MonkeyPatch):
    """Each is believed, and the few usual ones are remembered: a caller cannot fill the memory by writing oddly."""
    monkeypatch.setattr(callers, "MOST_CALLERS", 3)
    known_callers, now = Callers(inside.revocations), inside.clock()
    others = shown(running, 1)
    other = known_callers.find([others], inside.region, now)
    token = shown(running).partition(" ")[2]
    for said in (
        f"Bearer {token}",
        f"bearer {token}",
        f"BEARER {token}",
        f"bEARER {token}",
        *[f"Bearer{' ' * n}{token}" for n in range(2, 9)],
    ):
        assert known_callers.find([said], inside.region, now).token.jti
    assert known_callers.find([others], inside.region, now) is other


async def test_a_long_path_is_not_remembered(running: Here, inside: Gateway):
    """Paths are the caller's words."""
    now = inside.clock()
    known = Callers(inside.revocations).find([shown(running)], inside.region, now)
    service = next(iter(inside.region.api_services.values()))
    held = Pass(service=service, assertion="a.b.c", since=now, until=now + timedelta(seconds=1))
    for path in ("/api/notes", "/api/notes/" + "x" * 10_000):
        known.remember("GET", path, held)
    assert [path for _, path in known.passes] == ["/api/notes"]


async def test_an_assertion_says_what_the_lists_say_now(
    running: Here, inside: Gateway, monkeypatch: pytest.MonkeyPatch
):
    """A level that was lowered is told with the next call, not when the last assertion is old."""
    known_callers, now, said = Callers(inside.revocations), inside.clock(), [shown(running)]
    known = known_callers.find(said, inside.region, now)
    assert known.assertion("ledger", now, lambda: "high") == "high"
    later = now + callers.STANDING
    assert known_callers.find(said, inside.region, later).assertion("ledger", later, lambda: "anew") == "high"
    before = Region.caller

    def lowered(self: Region, token: AccessToken, at: datetime) -> Caller:
        none = Assurance(identity=Level.NONE, authentication=Level.NONE)
        return replace(before(self, token, at), assurance=none)

    monkeypatch.setattr(Region, "caller", lowered)
    later += callers.STANDING
    again = known_callers.find(said, inside.region, later)
    assert again.caller.assurance.identity == Level.NONE
    assert again.assertion("ledger", later, lambda: "low") == "low"
