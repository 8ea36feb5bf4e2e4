"""Lists that are fetched: when, by whom, and what becomes of what comes. Real servers, a real store, real files."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import approval
from gateway.config import TrustSource
from gateway.decisions import Decision, Decisions, Word
from gateway.fetching import Bounds, Fetcher
from gateway.lists import HighWater, Shelf
from gateway.refreshing import Pace, Refresher, share_marks
from gateway.store import Store, connect
from observability.events import FetchEvent
from trust_lists.admission import Mark
from trust_lists.model import TrustList

from .gateway_sample import Heard, signatory, signed_list
from .lists_sample import Publisher, Time, publishing, source

SEALING = bytes(range(32))
QUICK = Pace(first=timedelta(milliseconds=1), least=timedelta(minutes=5))


class Node:
    """The fetching process of a node: its state directory, its store, what it told."""

    def __init__(self, state: Path, store: Store, *sources: TrustSource, region: str, pace: Pace = QUICK) -> None:
        self.state = state
        self.store = store
        self.sources = list(sources)
        self.region = region
        self.heard = Heard()
        self.time = Time()
        self.fetcher = Fetcher(bounds=Bounds(seconds=20))
        self.refresher = Refresher(
            sources=lambda: self.sources,
            state=state,
            store=store,
            region=region,
            fetcher=self.fetcher,
            recorder=self.heard,
            clock=self.time,
            pace=pace,
            chance=lambda: 0.0,
        )

    async def look(self) -> list[tuple[str, str | None]]:
        """One look and what it began, to the end: outcomes and codes."""
        before = len(self.heard.events)
        await self.refresher.look()
        await self.refresher.settle()
        found: list[FetchEvent] = self.heard.events[before:]  # type: ignore[assignment]  # nothing else is told
        return [(event.outcome.value, event.code) for event in found]

    @property
    def current(self) -> bytes | None:
        path = Shelf(self.state, "region").current
        return path.read_bytes() if path.exists() else None


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """A store."""
    store = Store(connect(url), SEALING, waits_for_disk=False)
    try:
        yield store
    finally:
        await store.close()


Make = Callable[..., Node]


@pytest.fixture
async def make(tmp_path: Path, store_url: str) -> AsyncIterator[Make]:
    """Nodes of one region that share a store; each call makes one."""
    nodes: list[Node] = []
    async with opened(store_url) as store:

        def one(name: str = "a", *, beside: Store = store, **changes: Any) -> Node:
            state = tmp_path / name
            pace = changes.pop("pace", QUICK)
            node = Node(state, beside, source(state, **changes), region=str(tmp_path), pace=pace)
            nodes.append(node)
            return node

        yield one
        for node in nodes:
            await node.fetcher.close()


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    """A server with the list of Maebashi."""
    async with publishing(signed_list("maebashi")) as found:
        yield found


# --- what comes


async def test_a_list_is_fetched_and_kept(make: Make, publisher: Publisher) -> None:
    """Then not asked for again before its time; a restart does not ask sooner."""
    node = make(url=publisher.url)
    assert await node.look() == [("taken", None)]
    assert node.current == publisher.document
    assert await node.look() == []
    again = make(url=publisher.url)
    assert await again.look() == []
    assert publisher.asked == 1
    again.time.ahead = timedelta(days=1)
    publisher.document = signed_list("omura", sequence=2)
    assert await again.look() == [("taken", None)]
    assert again.current == publisher.document


async def test_what_is_current_is_asked_for_by_its_tag(make: Make, publisher: Publisher) -> None:
    """A server that knows it need not send it; with nothing in force, or other pins, all of it is asked for."""
    publisher.etag = '"1"'
    node = make(url=publisher.url)
    await node.look()
    node.refresher.hurry()
    assert await node.look() == [("unchanged", None)]
    assert (publisher.asked, publisher.unchanged) == (2, 1)
    node.sources = [source(node.state, url=publisher.url, anchors=_pin("successor"))]
    assert await node.look() == [("refused", "signature")]
    assert publisher.unchanged == 1


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (lambda: signed_list("omura", sequence=0), "rollback"),
        (lambda: signed_list("omura", sequence=2, by=signatory("stranger")), "signature"),
        (lambda: signed_list("omura", sequence=2, age=40), "expired"),
        (lambda: signed_list("omura", sequence=2, age=-1), "future"),
        (lambda: b"<html>Please log in</html>", "format"),
        (lambda: b"", "format"),
    ],
)
async def test_a_bad_list_replaces_nothing(
    make: Make, publisher: Publisher, document: Callable[[], bytes], code: str
) -> None:
    """The good one stays, the bad one lies beside it with its reason; the next good one is taken."""
    good = publisher.document
    node = make(url=publisher.url)
    await node.look()
    publisher.document = document()
    node.refresher.hurry()
    assert await node.look() == [("refused", code)]
    shelf = Shelf(node.state, "region")
    assert (node.current, shelf.refused.read_bytes()) == (good, publisher.document)
    assert (shelf.note().code, "region" in shelf.note().text) == (code, True)
    publisher.document = signed_list("ebetsu", sequence=3)
    node.refresher.hurry()
    assert await node.look() == [("taken", None)]
    assert shelf.note().code is None


async def test_a_server_that_fails(make: Make, publisher: Publisher) -> None:
    """What was fetched stays; the code says why, and it is tried again later."""
    node = make(url=publisher.url)
    await node.look()
    good = node.current
    publisher.status = 503
    node.refresher.hurry()
    assert await node.look() == [("failed", "status")]
    assert node.current == good
    assert await node.look() == []
    node.time.ahead = timedelta(minutes=6)
    publisher.status = 200
    assert await node.look() == [("unchanged", None)]


async def test_a_private_address_is_asked_for_by_name(make: Make) -> None:
    """Nothing is sent there otherwise."""
    assert await make(url="https://192.168.7.7:1/list").look() == [("failed", "private-address")]


async def test_a_successor_may_sign(make: Make, publisher: Publisher) -> None:
    """While both are pinned, either is believed."""
    node = make(url=publisher.url, next_anchors=_pin("successor"))
    await node.look()
    publisher.document = signed_list("omura", sequence=2, by=signatory("successor"))
    node.refresher.hurry()
    assert await node.look() == [("taken", None)]


async def test_sources_come_and_go(make: Make, publisher: Publisher) -> None:
    """A new address is asked at once; a source that left is not asked any more."""
    node = make(url=publisher.url)
    await node.look()
    async with publishing(signed_list("omura", sequence=2)) as other:
        node.sources = [source(node.state, url=other.url)]
        assert await node.look() == [("taken", None)]
        node.sources = []
        node.refresher.hurry()
        assert await node.look() == []
        assert other.asked == 1


async def test_what_comes_by_rules_that_hold_no_more_is_not_taken(make: Make, publisher: Publisher) -> None:
    """While a list is asked for, its operator decides that it needs approval: then nobody is trusted by it yet."""
    node = make(url=publisher.url)
    publisher.open.clear()
    await node.refresher.look()
    await asyncio.wait_for(publisher.came.wait(), 20)
    node.sources = [source(node.state, url=publisher.url, approval=True)]
    await node.refresher.look()
    await node.refresher.settle()
    publisher.open.set()
    assert await node.look() == [("staged", None)]
    assert node.current is None


async def test_a_clock_that_was_ahead_keeps_no_list_from_being_asked_for(make: Make, publisher: Publisher) -> None:
    """Not at a restart with the right time, at which what is in force is asked about as usual."""
    node = make(url=publisher.url)
    await node.look()
    shelf = Shelf(node.state, "region")
    ahead = datetime.now(UTC) + timedelta(days=3650)
    shelf.remember(replace(shelf.note(), asked_at=ahead.isoformat()))
    again = make(url=publisher.url)
    assert await again.look() == []
    again.time.ahead = timedelta(days=2)
    assert await again.look() == [("unchanged", None)]


# --- approval


async def test_an_operators_file_that_needs_approval(make: Make, tmp_path: Path) -> None:
    """Taken up when it changes, staged if it widens, in force once approved."""
    origin = tmp_path / "region.jwt"
    node = make(origin=origin, approval=True)
    assert await node.look() == [("failed", "unreadable")]
    assert await node.look() == []
    origin.write_bytes(signed_list("maebashi"))
    assert await node.look() == [("staged", None)]
    assert await node.look() == []
    assert node.heard.of(FetchEvent)[-1].waiting
    _approve(node)
    assert await node.look() == [("taken", None)]
    assert not node.heard.of(FetchEvent)[-1].waiting
    assert node.current == origin.read_bytes()
    origin.write_bytes(signed_list(sequence=2))
    assert await node.look() == [("taken", None)]


async def test_time_heals_an_operators_file(make: Make, tmp_path: Path) -> None:
    """Signed by a clock that is ahead: taken once its time has come, though the file did not change."""
    origin = tmp_path / "region.jwt"
    origin.write_bytes(signed_list("maebashi", age=-1))
    node = make(origin=origin, approval=True, pace=Pace())
    assert await node.look() == [("refused", "future")]
    assert await node.look() == []
    node.time.ahead = timedelta(days=1)
    assert await node.look() == [("staged", None)]
    node.time.ahead = timedelta(days=2)
    assert await node.look() == []


async def test_a_rejected_version_is_told(make: Make, publisher: Publisher) -> None:
    """And stays rejected when it comes again."""
    node = make(url=publisher.url, approval=True)
    assert await node.look() == [("staged", None)]
    (waits,) = approval.waiting(node.sources, node.state)
    approval.reject(node.sources[0], node.state, digest=waits.digest, who="Hanako", at=node.time())
    assert await node.look() == [("refused", "rejected")]
    node.refresher.hurry()
    assert await node.look() == [("refused", "rejected")]
    assert node.current is None


async def test_what_waits_is_told_after_a_restart(make: Make, publisher: Publisher) -> None:
    """The operations page knows of it without asking its server again."""
    node = make(url=publisher.url, approval=True)
    await node.look()
    _approve(node)
    publisher.document = signed_list("maebashi", "omura", sequence=2)
    node.refresher.hurry()
    await node.look()
    again = make(url=publisher.url, approval=True)
    assert await again.look() == [("staged", None)]
    assert again.heard.of(FetchEvent)[-1].waiting


# --- several nodes


async def test_one_node_at_a_time(make: Make, publisher: Publisher) -> None:
    """Each gets a copy of its own, one after the other."""
    nodes = [make(name, url=publisher.url) for name in "abc"]
    publisher.open.clear()
    for node in nodes:
        await node.refresher.look()
    await asyncio.wait_for(publisher.came.wait(), 20)
    publisher.open.set()
    for node in nodes:
        await node.refresher.settle()
    assert publisher.most_at_once == 1
    assert publisher.asked == 1
    for node in nodes:
        node.time.ahead = timedelta(seconds=10)
        await node.look()
    assert {node.current for node in nodes} == {publisher.document}


async def test_a_turn_that_somebody_keeps_for_ever_freezes_no_list(make: Make, publisher: Publisher) -> None:
    """A node that hangs, or whoever may write to the store, delays the others for an hour and no longer."""
    node = make(url=publisher.url)
    assert await node.store.lease(f"{node.region} region", "somebody", timedelta(days=9))
    for minutes in (0, 1, 30):
        node.time.ahead = timedelta(minutes=minutes)
        assert await node.look() == []
    node.time.ahead = timedelta(minutes=61)
    assert await node.look() == [("taken", None)]
    assert await node.look() == []


async def test_what_one_node_admitted_no_other_goes_back_behind(make: Make, publisher: Publisher) -> None:
    """The highest sequence number is known to all, before any of them admits a list."""
    first, second = make("a", url=publisher.url), make("b", url=publisher.url)
    HighWater(first.state).remember({"region": Mark(9_007_199_254_740_993), "other": Mark(4)})
    await share_marks(first.store, first.region, HighWater(first.state))
    HighWater(second.state).remember({"other": Mark(5)})
    assert await second.look() == [("refused", "rollback")]
    assert HighWater(second.state).read() == {"region": Mark(9_007_199_254_740_993), "other": Mark(5)}
    await share_marks(first.store, first.region, HighWater(first.state))
    assert HighWater(first.state).read() == HighWater(second.state).read()
    assert await first.store.raise_marks("another region", {}) == {}


async def test_one_approval_is_for_all_nodes(make: Make, publisher: Publisher) -> None:
    """Decided on one, done on every other: with who and when."""
    first, second = make("a", url=publisher.url, approval=True), make("b", url=publisher.url, approval=True)
    for node in (first, second):
        assert await node.look() == [("staged", None)]
    _approve(first)
    assert await first.look() == [("taken", None)]
    assert await second.look() == [("taken", None)]
    assert second.current == publisher.document
    assert Decisions(second.state).read() == Decisions(first.state).read()


async def test_one_approval_is_for_what_other_nodes_fetched_at_another_time(make: Make, publisher: Publisher) -> None:
    """The list was signed anew in between: what it says is what was approved."""
    first, second = make("a", url=publisher.url, approval=True), make("b", url=publisher.url, approval=True)
    assert await first.look() == [("staged", None)]
    publisher.document = signed_list("maebashi", sequence=2, days=40)
    assert await second.look() == [("staged", None)]
    _approve(first)
    assert await first.look() == [("taken", None)]
    assert await second.look() == [("taken", None)]
    assert second.current == publisher.document != first.current


async def test_one_number_stands_for_one_content_on_every_node(make: Make, publisher: Publisher) -> None:
    """Whoever says two things under one number is believed by no other node either, once one took the first."""
    first, second = make("a", url=publisher.url), make("b", url=publisher.url)
    assert await first.look() == [("taken", None)]
    await share_marks(first.store, first.region, HighWater(first.state))
    publisher.document = signed_list("omura")
    assert await second.look() == [("refused", "same-sequence")]
    assert second.current is None


async def test_a_store_that_is_away_stops_nothing(make: Make, publisher: Publisher, tmp_path: Path) -> None:
    """The node fetches alone; the marks of its own disk hold."""
    async with opened(f"unix://{tmp_path / 'nothing.sock'}") as away:
        node = make(url=publisher.url, beside=away)
        HighWater(node.state).remember({"region": Mark(2)})
        assert await node.look() == [("refused", "rollback")]
        publisher.document = signed_list("omura", sequence=2)
        node.refresher.hurry()
        assert await node.look() == [("taken", None)]


async def test_a_decision_that_the_store_holds_cannot_be_forged(make: Make, publisher: Publisher) -> None:
    """Whoever may write to the store, but has not the gateway's keys, approves nothing."""
    node = make(url=publisher.url, approval=True)
    await node.look()
    (waits,) = approval.waiting(node.sources, node.state)
    decision = Decision(
        name="region",
        digest=waits.digest,
        document=waits.document,
        asked=tuple(waits.comparison.asked),
        word=Word.APPROVED,
        who="Mallory",
        at=datetime.now(UTC),
    )
    forged = decision.to_json()
    name = node.store._keyed("decisions", node.region)
    await node.store._send(("HSET", name, "x", json.dumps(forged)))
    assert await node.look() == []
    assert node.current is None


# --- when


def _list(*, days: float = 30, refresh: timedelta | None = None) -> TrustList:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return TrustList(
        name="region",
        issued_at=now,
        valid_until=now + timedelta(days=days),
        sequence=1,
        entities=(),
        refresh_after=refresh,
    )


@pytest.mark.parametrize(
    ("held", "failures", "expected"),
    [
        (_list(), 0, timedelta(days=1)),
        (_list(days=1), 0, timedelta(hours=12)),
        (_list(refresh=timedelta(hours=6)), 0, timedelta(hours=6)),
        (_list(days=0.25, refresh=timedelta(hours=6)), 0, timedelta(hours=3)),
        (_list(refresh=timedelta(seconds=1)), 0, timedelta(minutes=5)),
        (_list(days=0.001), 0, timedelta(minutes=5)),
        (_list(days=-1), 0, timedelta(minutes=5)),
        (_list(), 1, timedelta(minutes=5)),
        (_list(), 2, timedelta(minutes=10)),
        (_list(), 1000, timedelta(hours=1)),
        (None, 0, timedelta(hours=1)),
        (None, 1, timedelta(seconds=10)),
        (None, 4, timedelta(seconds=80)),
        (None, 1000, timedelta(hours=1)),
    ],
)
def test_how_soon_again(held: TrustList | None, failures: int, expected: timedelta) -> None:
    """As its authority says or half-way to its end, daily at least; ever later after failures; a tenth to and fro."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert Pace().wait(held, at=at, failures=failures, chance=0) == expected
    assert Pace().wait(held, at=at, failures=failures, chance=1) == expected * 1.1
    assert Pace().wait(held, at=at, failures=failures, chance=-1) == expected * 0.9


def _approve(node: Node) -> None:
    (waits,) = approval.waiting(node.sources, node.state)
    approval.approve(node.sources[0], node.state, digest=waits.digest, who="Hanako", at=node.time())


def _pin(name: str) -> tuple[bytes, ...]:
    from trust_lists.certificates import from_pem  # noqa: PLC0415 - only here

    return from_pem(signatory(name).certificate)
