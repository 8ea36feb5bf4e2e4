"""Lists of lists: which pointers are followed, what comes of them, and what ends it. Real servers, store and files."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from gateway import approval
from gateway.cli import main
from gateway.config import load
from gateway.fetching import Bounds, Fetcher
from gateway.holder import RegionHolder, fingerprint
from gateway.listeners import bind
from gateway.lists import HighWater
from gateway.messages import Messages
from gateway.refreshing import Pace, Refresher
from gateway.serve import Listener, listening
from gateway.store import Store, connect
from observability.events import FetchEvent, ListEvent, PointersEvent
from tests.trust_lists.builders import Authority, authority, content, signed
from tests.trust_lists.etsi_lists import MAEBASHI
from trust_lists import etsi_json, etsi_xml
from trust_lists.model import NotTrustedError, Pointer, Role
from trust_lists.recognition import NotRecognisedError, Recognition, Recognitions, worth
from trust_lists.times import format_instant

from .gateway_sample import Heard, Sample, _loaded

XML, JSON = "etsi-119612", "etsi-119602"
MEDIA = {XML: "application/vnd.etsi.tsl+xml", JSON: "application/jwt"}
TYPE = "http://uri.example/list"
QUICK = Pace(first=timedelta(milliseconds=1), least=timedelta(milliseconds=1), jitter=0)


@dataclass
class Published:
    """What an authority publishes at one address; each time another version."""

    name: str
    form: str = JSON
    by: str = "ring"
    members: tuple[str, ...] = ()
    pointers: tuple[Pointer, ...] = ()
    sequence: int = 1
    days: float = 30

    @property
    def authority(self) -> Authority:
        return authority(self.by)

    def document(self) -> bytes:
        issued = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        until = issued + timedelta(days=self.days)
        if self.form == JSON and self.pointers:
            return self._json_of_lists(issued, until)
        options: dict[str, Any] = {
            "name": self.name,
            "key_pem": self.authority.key_pem,
            "certificate_pem": self.authority.certificate_pem,
            "issued_at": issued,
            "valid_until": until,
            "sequence": self.sequence,
            "scheme": MAEBASHI,
        }
        members = [
            {
                "entity_id": f"https://{each}.example",
                "role": "openid-provider",
                "since": "2026-01-01T00:00:00Z",
                "municipality": "102016",
                "name": {"ja": each, "en": each},
                "metadata": {"issuer": f"https://{each}.example"},
            }
            for each in self.members
        ]
        if self.form == XML:
            return etsi_xml.publish(members, **options, pointers=self.pointers)
        return etsi_json.publish(members, **options)

    def _json_of_lists(self, issued: datetime, until: datetime) -> bytes:
        payload = content(
            LoTESequenceNumber=self.sequence,
            SchemeName=[{"lang": "en", "value": self.name}],
            ListIssueDateTime=format_instant(issued),
            NextUpdate=format_instant(until),
            PointersToOtherLoTE=[_written(each) for each in self.pointers],
        )
        return signed(payload, by=self.authority, iat=int(issued.timestamp()))


def _written(pointer: Pointer) -> dict[str, Any]:
    qualifier = {
        "LoTEType": pointer.kind,
        "SchemeOperatorName": [{"lang": "en", "value": "an operator"}],
        "SchemeTerritory": pointer.territory,
        "MimeType": pointer.media_type,
    }
    return {
        "LoTELocation": pointer.location,
        "ServiceDigitalIdentities": [
            {"X509Certificates": [{"val": base64.b64encode(der).decode()} for der in pointer.certificates]}
        ],
        "LoTEQualifiers": [qualifier],
    }


@dataclass
class World:
    """A server with any number of lists, and a gateway process that reads them."""

    sample: Sample
    store: Store
    address: str
    lists: dict[str, bytes] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    ahead: timedelta = timedelta()
    asked: list[str] = field(default_factory=list)
    holder: RegionHolder = field(init=False)
    refresher: Refresher = field(init=False)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def put(self, *published: Published) -> None:
        for each in published:
            self.lists[each.name] = each.document()

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"

    def to(self, published: Published, **changes: Any) -> Pointer:
        """A pointer to what is published there."""
        stated: dict[str, Any] = {
            "location": self.url(published.name),
            "certificates": (published.authority.der,),
            "kind": TYPE,
            "territory": "JP",
            "media_type": MEDIA[published.form],
            **changes,
        }
        return Pointer(**stated)

    def configure(self, form: str = JSON, *, follow: dict[str, Any] | None = None, **changes: Any) -> None:
        """A trust.yaml with the list of lists `japan`."""
        (self.sample.config / "lists" / "ring.pem").write_bytes(authority("ring").certificate_pem)
        source = {
            "name": "japan",
            "format": form,
            "url": self.url("japan"),
            "anchors": ["lists/ring.pem"],
            **({} if follow is None else {"follow": follow}),
            **changes,
        }
        self.sample.write("trust.yaml", {"sources": [source], "refresh_seconds": 1})

    def start(self, fetcher: Fetcher) -> None:
        self.holder = RegionHolder(
            load(self.sample.config, state=self.sample.state),
            seen=fingerprint(self.sample.config),
            state=self.sample.state,
            keys=_loaded(),
            messages=Messages.load(default="en"),
            recorder=self.heard,
            clock=self.now,
            adopted=lambda _: None,
        )
        self.refresher = Refresher(
            sources=lambda: self.holder.current.sources,
            state=self.sample.state,
            store=self.store,
            region=str(self.sample.directory),
            fetcher=fetcher,
            recorder=self.heard,
            clock=self.now,
            pace=QUICK,
            chance=lambda: 0.0,
        )

    async def turn(self, times: int = 3) -> None:
        """Let everything be fetched and read, as deep as it goes."""
        for _ in range(times):
            await asyncio.to_thread(self.holder.look)
            self.refresher.hurry()
            await self.refresher.look()
            await self.refresher.settle()
        await asyncio.to_thread(self.holder.look)

    def trusts(self, name: str) -> bool:
        try:
            self.holder.current.trust.find(f"https://{name}.example", Role.OPENID_PROVIDER, self.now())
        except NotTrustedError:
            return False
        return True

    def followed(self) -> list[str]:
        return [source.name for source in self.holder.current.followed]

    def marks(self) -> dict[str, int]:
        """The sequence numbers below which nothing is admitted any more."""
        return {name: mark.sequence for name, mark in HighWater(self.sample.state).read().items()}

    def codes(self, name: str) -> set[str | None]:
        """How fetching and reading of a list ended so far."""
        return {
            each.code for each in self.heard.events if isinstance(each, FetchEvent | ListEvent) and each.name == name
        }


def called(location: str, above: str = "japan") -> str:
    """What a followed list of the territory JP is called."""
    return f"{above}.jp-{hashlib.sha256(location.encode()).hexdigest()[:12]}"


@pytest.fixture
async def world(tmp_path: Path, store_url: str) -> AsyncIterator[World]:
    """A world without lists; `configure`, `put` and `start` come first."""
    store = Store(connect(store_url), bytes(range(32)), waits_for_disk=False)
    fetcher = Fetcher(bounds=Bounds(seconds=20))
    sockets = bind("localhost", 0)
    made = World(
        sample=Sample(tmp_path / "gateway"), store=store, address=f"http://localhost:{sockets[0].getsockname()[1]}"
    )
    made.fetcher = fetcher  # type: ignore[attr-defined]

    async def serve(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        made.asked.append(name)
        return web.Response(body=made.lists[name]) if name in made.lists else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with listening(1, Listener(app, sockets)):
        yield made
        with contextlib.suppress(AttributeError):
            await made.refresher.settle()
    await fetcher.close()
    await store.close()


async def going(world: World, *, form: str = JSON, follow: dict[str, Any] | None = None, **changes: Any) -> None:
    """Configure, start, and let everything come."""
    world.configure(form, follow={} if follow is None else follow, **changes)
    world.start(world.fetcher)  # type: ignore[attr-defined]
    await world.turn()


def two(world: World, form: str = JSON, **changes: Any) -> tuple[Published, Published, Published]:
    """A list of lists, and the lists of two members with keys of their own, one in each format."""
    maebashi = Published(name="maebashi-list", form=XML, by="maebashi", members=("maebashi",))
    omura = Published(name="omura-list", form=JSON, by="omura", members=("omura",))
    japan = Published(name="japan", form=form, pointers=(world.to(maebashi), world.to(omura)), **changes)
    world.put(maebashi, omura, japan)
    return japan, maebashi, omura


# --- what is followed


@pytest.mark.parametrize("form", [XML, JSON])
async def test_members_of_a_list_of_lists_are_trusted(world: World, form: str) -> None:
    """Lists in both formats, each signed by the key that the list of lists names for it, under names that stay."""
    two(world, form)
    await going(world, form=form)
    assert (world.trusts("maebashi"), world.trusts("omura")) == (True, True)
    names = [called(world.url("maebashi-list")), called(world.url("omura-list"))]
    assert world.followed() == names
    held = world.holder.current.trust.list(names[0])
    assert held is not None
    assert (held.through, held.location, held.called) == (("japan",), world.url("maebashi-list"), "maebashi-list")
    assert world.marks() == {"japan": 1, names[0]: 1, names[1]: 1}
    assert world.holder.current.vocabulary().lists == {"japan", *names}


async def test_nothing_is_followed_unasked(world: World) -> None:
    """Without `follow` pointers say where to look, and nobody looks."""
    two(world)
    world.configure()
    world.start(world.fetcher)  # type: ignore[attr-defined]
    await world.turn()
    assert (world.followed(), set(world.asked)) == ([], {"japan"})


async def test_only_what_was_asked_for(world: World) -> None:
    """Territories and types of lists."""
    japan, maebashi, omura = two(world)
    other = world.to(omura, territory="FR")
    world.put(Published(name="japan", pointers=(world.to(maebashi, kind="http://uri.example/other"), other)))
    await going(world, follow={"territories": ["JP"], "types": [TYPE]})
    assert world.followed() == []
    world.put(Published(name="japan", pointers=(world.to(maebashi), other), sequence=2))
    await world.turn()
    assert world.followed() == [called(world.url("maebashi-list"))]
    assert "omura-list" not in world.asked
    assert japan.sequence == 1


async def test_names_stay_while_pointers_change_places(world: World) -> None:
    """Nothing is fetched as another list because the order changed."""
    japan, *_ = two(world)
    await going(world)
    names = world.followed()
    world.put(Published(name="japan", pointers=japan.pointers[::-1], sequence=2))
    await world.turn()
    assert world.followed() == names[::-1]
    assert world.trusts("maebashi")


async def test_lists_of_lists_of_lists(world: World) -> None:
    """As deep as `depth`, and no deeper; what is cut off is reported."""
    town = Published(name="town", by="town", members=("town",))
    gunma = Published(name="gunma", by="gunma", pointers=(world.to(town),))
    world.put(town, gunma, Published(name="japan", pointers=(world.to(gunma),)))
    await going(world, follow={"depth": 1})
    assert (world.trusts("town"), "town" in world.asked) == (False, False)
    world.configure(follow={"depth": 2})
    await world.turn(4)
    assert world.trusts("town")
    assert world.followed()[1] == called(world.url("town"), above=called(world.url("gunma")))


async def test_a_circle_ends(world: World) -> None:
    """Lists that point to themselves and to one another are read once each."""
    gunma = Published(name="gunma", by="gunma", members=())
    japan = Published(name="japan")
    gunma.pointers = (world.to(japan), world.to(gunma))
    japan.pointers = (world.to(gunma), world.to(japan))
    world.put(gunma, japan)
    await going(world, follow={"depth": 3})
    assert world.followed() == [called(world.url("gunma"))]


async def test_too_many(world: World) -> None:
    """The first ones count, in the list's order."""
    two(world)
    await going(world, follow={"most": 1})
    assert world.followed() == [called(world.url("maebashi-list"))]


# --- who may say it


async def test_another_key_than_the_pointer_names(world: World) -> None:
    """Not even that of the list of lists itself."""
    _, _, omura = two(world)
    world.put(Published(name="omura-list", by="ring", members=("omura",)))
    await going(world)
    assert (world.trusts("omura"), "signature" in world.codes(called(world.url("omura-list")))) == (False, True)
    assert world.trusts("maebashi")
    world.put(omura)
    await world.turn()
    assert world.trusts("omura")


async def test_a_pointer_without_keys_is_not_followed(world: World) -> None:
    """Nobody could tell whose list is there."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    world.put(omura, Published(name="japan", form=XML, pointers=(world.to(omura, certificates=()),)))
    await going(world, form=XML)
    assert (world.followed(), "omura-list" in world.asked) == ([], False)


async def test_what_is_not_followed_is_told(world: World) -> None:
    """The operations page knows how many pointers are left, and when none is any more."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    bare = Published(name="japan", form=XML, pointers=(world.to(omura, certificates=()),))
    world.put(omura, bare)
    await going(world, form=XML)
    whole = replace(bare, sequence=bare.sequence + 1, pointers=(world.to(omura),))
    world.put(whole)
    await world.turn()
    assert [(each.name, each.left) for each in world.heard.of(PointersEvent)] == [("japan", 1), ("japan", 0)]
    world.put(replace(bare, sequence=bare.sequence + 2))
    await world.turn()
    world.configure(XML)
    world.holder.look()
    assert [(each.name, each.left) for each in world.heard.of(PointersEvent)][2:] == [("japan", 1), ("japan", 0)]


async def test_a_key_that_is_named_no_longer(world: World) -> None:
    """What it signed is out at once, though its file is the same; a list with the new key comes in."""
    _, maebashi, omura = two(world)
    await going(world)
    new = Published(name="omura-list", by="omura-2", members=("omura",), sequence=2)
    world.put(Published(name="japan", pointers=(world.to(maebashi), world.to(new)), sequence=2))
    await world.refresher.look()
    world.refresher.hurry()
    world.lists.pop("omura-list")
    await world.turn()
    assert (world.trusts("omura"), world.trusts("maebashi")) == (False, True)
    world.put(new)
    await world.turn()
    assert world.trusts("omura")
    assert omura.by == "omura"


@pytest.mark.parametrize(
    ("location", "code"),
    [("https://10.0.0.7/list", "private-address"), ("https://169.254.169.254/list", "private-address")],
)
async def test_an_address_within(world: World, location: str, code: str) -> None:
    """A pointer opens no way into a private network."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    world.put(Published(name="japan", pointers=(world.to(omura, location=location),)))
    await going(world)
    assert world.codes(called(location)) == {"awaited", code}


async def test_a_list_from_elsewhere_points_to_no_door_of_this_machine(world: World) -> None:
    """Of a list of lists that is a file nobody knows where it came from."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    world.put(omura)
    japan = Published(name="japan", pointers=(world.to(omura),))
    (world.sample.config / "lists" / "japan.jwt").write_bytes(japan.document())
    await going(world, url=None, file="lists/japan.jwt")
    assert world.codes(called(world.url("omura-list"))) == {"awaited", "private-address"}
    assert world.asked == []


@pytest.mark.parametrize("location", ["http://lists.example/list", "file:///etc/passwd", "ftp://lists.example/list"])
async def test_another_scheme(world: World, location: str) -> None:
    """Is not even asked."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    world.put(Published(name="japan", pointers=(world.to(omura, location=location),)))
    await going(world)
    assert world.followed() == []


async def test_a_format_that_is_not_read(world: World) -> None:
    """Beside the list for machines there may be one for people."""
    omura = Published(name="omura-list", by="omura", members=("omura",))
    world.put(Published(name="japan", pointers=(world.to(omura, media_type="application/pdf"),)))
    await going(world)
    assert world.followed() == []


# --- until when


async def test_an_older_version_of_a_followed_list(world: World) -> None:
    """Its high-water mark is its own, and durable."""
    two(world)
    newer = Published(name="omura-list", by="omura", members=("omura",), sequence=9)
    world.put(newer)
    await going(world)
    name = called(world.url("omura-list"))
    assert world.marks()[name] == 9
    world.put(Published(name="omura-list", by="omura", members=("omura", "stranger"), sequence=8))
    await world.turn()
    assert (world.trusts("omura"), world.trusts("stranger")) == (True, False)
    assert "rollback" in world.codes(name)


async def test_another_list_of_the_same_authority(world: World) -> None:
    """Who has two lists does not have one stand in for the other."""
    two(world)
    await going(world)
    other = Published(name="omura-test", by="omura", members=("stranger",), sequence=50)
    world.lists["omura-list"] = other.document()
    await world.turn()
    assert (world.trusts("omura"), world.trusts("stranger")) == (True, False)
    assert "other-list" in world.codes(called(world.url("omura-list")))


async def test_a_pointer_that_is_gone_takes_its_list_with_it(world: World) -> None:
    """At the next look, though the list's own file is still there and good."""
    japan, *_ = two(world)
    await going(world)
    world.put(Published(name="japan", pointers=japan.pointers[:1], sequence=2))
    await world.turn(1)
    assert (world.trusts("maebashi"), world.trusts("omura")) == (True, False)
    assert world.followed() == [called(world.url("maebashi-list"))]
    world.put(Published(name="japan", pointers=japan.pointers, sequence=3))
    await world.turn()
    assert world.trusts("omura")


async def test_no_followed_list_outlives_the_one_that_points_there(world: World) -> None:
    """The end is looked at on each use; a renewal of the list of lists lets its members live on."""
    japan, *_ = two(world, days=2)
    await going(world)
    assert world.trusts("omura")
    world.ahead = timedelta(days=3)
    assert not world.trusts("omura")
    world.ahead = timedelta()
    world.put(Published(name="japan", pointers=japan.pointers, sequence=2, days=9))
    await world.turn()
    world.ahead = timedelta(days=3)
    assert world.trusts("omura")
    world.ahead = timedelta()
    world.put(Published(name="japan", pointers=japan.pointers, sequence=3, days=1))
    await world.turn()
    world.ahead = timedelta(days=3)
    assert not world.trusts("omura")


async def test_it_is_not_followed_any_more(world: World) -> None:
    """A configuration without `follow` lets go of everything that was followed."""
    two(world)
    await going(world)
    world.configure()
    await world.turn(1)
    assert (world.trusts("omura"), world.followed()) == (False, [])


async def test_a_new_start_reads_what_is_on_disk(world: World) -> None:
    """Though nobody answers."""
    two(world)
    await going(world)
    world.lists.clear()
    world.start(world.fetcher)  # type: ignore[attr-defined]
    await asyncio.to_thread(world.holder.look)
    assert (world.trusts("maebashi"), world.trusts("omura")) == (True, True)


async def test_approval_is_asked_for_followed_lists_too(world: World) -> None:
    """A list of lists that needs approval brings in nobody who was not approved."""
    two(world)
    await going(world, approval="required")

    def approve(name: str) -> None:
        sources = world.holder.current.sources
        waiting = {each.name: each for each in approval.waiting(sources, world.sample.state)}
        source = next(each for each in sources if each.name == name)
        approval.approve(source, world.sample.state, digest=waiting[name].digest, who="council", at=world.now())

    approve("japan")
    await world.turn()
    name = called(world.url("omura-list"))
    assert (world.followed().count(name), world.trusts("omura")) == (1, False)
    approve(name)
    await world.turn(1)
    assert (world.trusts("omura"), world.trusts("maebashi")) == (True, False)


# --- what it is worth


async def test_it_counts_as_the_list_that_points_there(world: World) -> None:
    """A recognition of the list of lists is the limit of what its members are worth."""
    two(world)
    await going(world)
    trust, now = world.holder.current.trust, world.now()
    agreed = Recognition(
        id="all",
        by="everyone",
        list="japan",
        maximum_identity=1,
        until=now + timedelta(days=9),
        uses=frozenset({"civic"}),
    )
    asked: dict[str, Any] = {"relying": None, "use": "civic", "at": now}
    found = worth(trust, Recognitions(statements=(agreed,)), "https://omura.example", Role.OPENID_PROVIDER, **asked)
    assert (found.maximum_identity, found.listed_in) == (1, called(world.url("omura-list")))
    with pytest.raises(NotRecognisedError):
        worth(trust, Recognitions(), "https://omura.example", Role.OPENID_PROVIDER, **asked)


async def test_the_path_is_explained(world: World) -> None:
    """From the pinned key by the list of lists and its pointer to the entity."""
    two(world)
    await going(world)
    command = ["trust", "explain", "https://omura.example", "--config", str(world.sample.config)]
    result = await asyncio.to_thread(
        CliRunner().invoke, main, [*command, "--state", str(world.sample.state), "--language", "en"]
    )
    name = called(world.url("omura-list"))
    places = [
        result.output.find(text)
        for text in (
            "list japan (",
            "signed by the pinned key",
            world.url("omura-list"),
            f"list {name} (",
            "which list japan",
        )
    ]
    assert result.exit_code == 0, result.output
    assert places == sorted(places)
    assert places[0] >= 0
