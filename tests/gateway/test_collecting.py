"""A federation on real servers, collected into a list; some of them broken, slow or hostile."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import approval, collecting, lists
from gateway.config import TrustSource
from gateway.decisions import Decisions, Word
from gateway.fetching import Bounds, Fetcher, FetchRefusedError
from gateway.listeners import bind
from gateway.serve import Listener, listening
from observability.events import FetchOutcome
from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import OP_METADATA, RP_METADATA, Simulator, der, leaf, superior
from trust_lists.federation_collecting import Wanted
from trust_lists.model import ListRefusedError

from .gateway_sample import signatory
from .lists_sample import source


@dataclass
class Region:
    """An anchor, a city below it, and the city's provider and relying party, each a server of its own."""

    anchor: str
    city: str
    provider: str
    party: str
    simulator: Simulator
    fetcher: Fetcher
    broken: dict[str, Any] = field(default_factory=dict)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer as the entity of that address, or as `broken` says."""
        host = f"https://{request.host}"
        if host in self.broken:
            found = self.broken[host]
            if found is None:
                await asyncio.sleep(3600)
            return web.Response(status=found, headers={"Location": "https://10.0.0.1/"})
        answer = self.simulator.answer(Wanted(url=host + request.path_qs, media_type="", limit=0))
        return web.Response(status=404) if answer is None else web.Response(body=answer)

    def source(self, state: Path, *, pin: str | None = None) -> TrustSource:
        """Where the gateway begins."""
        pins = (der(pin or self.anchor),)
        return source(state, format="openid-federation", entity=self.anchor, anchors=pins)

    async def collected(self, state: Path, **changes: Any) -> set[str]:
        """Who is on the list that the bundle makes."""
        where = self.source(state, **changes)
        bundle = await collecting.collect(where, self.fetcher, now=NOW)
        assert approval.take(where, state, bundle, now=NOW) is not FetchOutcome.STAGED
        found = approval.in_force(where, state, now=NOW)
        assert found is not None
        return {each.entity_id for each in found.entities}


@pytest.fixture
async def region(tmp_path: Path) -> AsyncIterator[Region]:
    """All of them answer."""
    both = tmp_path / "both.pem"
    server = signatory("localhost", host="localhost")
    both.write_bytes(server.key + server.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    async with contextlib.AsyncExitStack() as stack:
        sockets = [bind("localhost", 0) for _ in range(4)]
        anchor, city, provider, party = (f"https://localhost:{each[0].getsockname()[1]}" for each in sockets)
        simulator = (
            Simulator(
                superior(anchor),
                superior(city, anchor),
                leaf(provider, city, openid_provider={**OP_METADATA, "issuer": provider}),
                leaf(party, city, openid_relying_party=RP_METADATA),
            )
            .below(anchor, city)
            .below(city, provider, party)
        )
        fetcher = Fetcher(
            bounds=Bounds(seconds=20, patience_seconds=0.5), context=ssl.create_default_context(cafile=str(both))
        )
        stack.push_async_callback(fetcher.close)
        found = Region(anchor, city, provider, party, simulator, fetcher)
        for each in sockets:
            runner_app = web.Application()
            runner_app.router.add_get("/{path:.*}", found.serve)
            await stack.enter_async_context(listening(0.1, Listener(runner_app, each, context)))
        yield found


async def test_a_federation_becomes_a_list(region: Region, tmp_path: Path) -> None:
    """From the anchor down to the leaves, each asked at its own address."""
    assert await region.collected(tmp_path / "state") == {region.provider, region.party}


@pytest.mark.parametrize("broken", [500, 302, None])
async def test_an_entity_that_does_not_answer_is_left_out(region: Region, tmp_path: Path, broken: int | None) -> None:
    """It costs the others nothing; where it leads is not followed."""
    region.broken[region.party] = broken
    assert await region.collected(tmp_path / "state") == {region.provider}


@pytest.mark.parametrize(("broken", "code"), [(500, "status"), (302, "redirect"), (None, "slow")])
async def test_an_anchor_that_does_not_answer(region: Region, tmp_path: Path, broken: int | None, code: str) -> None:
    """There is no list then, and the code says why."""
    region.broken[region.anchor] = broken
    with pytest.raises(FetchRefusedError) as caught:
        await collecting.collect(region.source(tmp_path / "state"), region.fetcher, now=NOW)
    assert caught.value.code == code


async def test_another_key_than_the_one_pinned(region: Region, tmp_path: Path) -> None:
    """Whoever answers there vouches for nobody, and nobody else is asked."""
    where = region.source(tmp_path / "state", pin="stranger")
    with pytest.raises(ListRefusedError) as caught:
        await collecting.collect(where, region.fetcher, now=NOW)
    assert caught.value.code == "signature"
    assert len(region.simulator.asked) == 1


async def test_a_slow_branch_keeps_nobody_elses_changes_from_us(
    region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its time is over the rest of it is not asked any more; a list comes all the same."""
    monkeypatch.setattr(collecting, "BRANCH_SECONDS", 0.0)
    region.simulator.members[region.party] = leaf(region.party, region.anchor, openid_relying_party=RP_METADATA)
    region.simulator.below(region.anchor, region.party)
    assert await region.collected(tmp_path / "state") == {region.party}
    assert region.city + "/list" not in [wanted.url for wanted in region.simulator.asked]


async def test_a_stranger_leads_nobody_to_this_machine(region: Region, tmp_path: Path) -> None:
    """Whom the anchor vouches for may be anywhere but here, where the anchor is not."""
    where = region.source(tmp_path / "state")
    away = replace(where, entity="https://anchor.example")
    wanted = Wanted(url=region.party + "/list", media_type="*/*", limit=1000)
    with pytest.raises(FetchRefusedError) as caught:
        await collecting._piece(away, region.fetcher, wanted)
    assert caught.value.code == "private-address"
    assert await collecting._piece(where, region.fetcher, wanted)


async def test_all_of_it_is_bounded_in_time(region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly each of thousands answers."""
    monkeypatch.setattr(collecting, "SECONDS", 0.2)
    region.broken[region.city] = None
    with pytest.raises(FetchRefusedError) as caught:
        await collecting.collect(region.source(tmp_path / "state"), region.fetcher, now=NOW)
    assert caught.value.code == "timeout"


async def test_a_bundle_of_another_federation(region: Region, tmp_path: Path) -> None:
    """Though the same key is pinned for both, the entity that trust.yaml names must be the one that speaks."""
    where = region.source(tmp_path / "state")
    bundle = await collecting.collect(where, region.fetcher, now=NOW)
    assert lists.trial(replace(where, calls_itself=region.anchor), bundle, marks={}, now=NOW).called == region.anchor
    with pytest.raises(ListRefusedError) as refused:
        lists.trial(replace(where, calls_itself=region.city), bundle, marks={}, now=NOW)
    assert refused.value.code == "other-list"
    assert region.city in str(refused.value)


# --- a federation that needs approval


class Node:
    """A node that collects for itself."""

    def __init__(self, region: Region, state: Path) -> None:
        self.region = region
        self.state = state
        self.source = replace(region.source(state), approval=True)

    async def collected(self, at: datetime) -> FetchOutcome:
        """Collect what the members say at that time; each of them signs anew."""
        times = {"iat": int(at.timestamp()), "exp": int((at + timedelta(days=1)).timestamp())}
        for member in self.region.simulator.members.values():
            member.own |= times
            for said in member.about.values():
                said.update(times)
        bundle = await collecting.collect(self.source, self.region.fetcher, now=at)
        return await asyncio.to_thread(approval.take, self.source, self.state, bundle, now=at)

    def carry_out(self, at: datetime) -> Word | None:
        return approval.carry_out(self.source, self.state, now=at)

    def waits(self) -> approval.Waiting:
        (found,) = approval.waiting([self.source], self.state)
        return found

    def approve(self, digest: str, at: datetime) -> None:
        approval.approve(self.source, self.state, digest=digest, who="Hanako", at=at)

    def hear(self, other: "Node") -> None:
        """Learn what was decided there."""
        Decisions(self.state).add(Decisions(other.state).read())

    def trusted(self, at: datetime) -> set[str]:
        found = approval.in_force(self.source, self.state, now=at)
        return set() if found is None else {each.entity_id for each in found.entities}


@pytest.fixture
def nodes(region: Region, tmp_path: Path) -> tuple[Node, Node]:
    """Two nodes of one region."""
    return Node(region, tmp_path / "a"), Node(region, tmp_path / "b")


HOUR = timedelta(hours=1)


async def test_a_federation_that_is_collected_anew_waits_as_one_thing(nodes: tuple[Node, Node]) -> None:
    """Whoever reads what it changes approves that, though each collection is another document."""
    first, _ = nodes
    assert await first.collected(NOW) is FetchOutcome.STAGED
    shown = first.waits()
    assert await first.collected(NOW + HOUR) is FetchOutcome.UNCHANGED
    again = first.waits()
    assert (again.digest, again.since) == (shown.digest, shown.since)
    assert again.document != shown.document
    first.approve(shown.digest, NOW + HOUR)
    assert first.trusted(NOW + HOUR) == {first.region.provider, first.region.party}
    assert await first.collected(NOW + 2 * HOUR) is FetchOutcome.TAKEN


async def test_one_approval_of_a_federation_is_for_all_nodes(nodes: tuple[Node, Node]) -> None:
    """Each collected it for itself, at another time; what the members say is what was approved."""
    first, second = nodes
    assert await first.collected(NOW) is FetchOutcome.STAGED
    assert await second.collected(NOW + HOUR) is FetchOutcome.STAGED
    first.approve(first.waits().digest, NOW + HOUR)
    second.hear(first)
    assert second.carry_out(NOW + HOUR) is Word.APPROVED
    assert second.trusted(NOW + HOUR) == first.trusted(NOW + HOUR) == {first.region.provider, first.region.party}
    assert [each.who for each in Decisions(second.state).read()] == ["Hanako"]


async def test_a_member_that_did_not_answer_comes_with_the_approval_it_has(nodes: tuple[Node, Node]) -> None:
    """On the node to which it did not answer, too; a new key of it has none."""
    first, second = nodes
    region = first.region
    await first.collected(NOW)
    first.approve(first.waits().digest, NOW)
    second.hear(first)
    region.broken[region.party] = 500
    assert await second.collected(NOW + HOUR) is FetchOutcome.TAKEN
    assert second.trusted(NOW + HOUR) == {region.provider}
    del region.broken[region.party]
    assert await second.collected(NOW + 2 * HOUR) is FetchOutcome.TAKEN
    assert second.trusted(NOW + 2 * HOUR) == {region.provider, region.party}
    metadata = region.simulator.members[region.party].own["metadata"]["openid_relying_party"]
    region.simulator.members[region.party].own["metadata"] = {
        "openid_relying_party": {
            **metadata,
            "redirect_uris": [*metadata["redirect_uris"], "https://elsewhere.example/"],
        }
    }
    for node in nodes:
        assert await node.collected(NOW + 3 * HOUR) is FetchOutcome.STAGED
        assert any("https://elsewhere.example/" in line for line in node.waits().comparison.lines("en"))
