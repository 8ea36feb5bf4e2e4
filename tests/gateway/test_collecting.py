"""A federation on real servers, collected into a list; some of them broken, slow or hostile."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import approval, collecting
from gateway.config import TrustSource
from gateway.fetching import Bounds, Fetcher, FetchRefusedError
from gateway.listeners import bind
from gateway.serve import listening
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
            await stack.enter_async_context(listening(runner_app, each, 0.1, context))
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
