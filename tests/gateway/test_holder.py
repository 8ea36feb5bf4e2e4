"""The region in force: what comes in, what is refused, and what stays meanwhile."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config import load
from gateway.holder import RegionHolder, fingerprint
from gateway.keys import StateDirectoryError
from gateway.lists import HighWater
from gateway.messages import Messages
from gateway.region import Region
from observability.events import ConfigEvent, ConfigOutcome, ListEvent, ListOutcome
from trust_lists.admission import Mark
from trust_lists.etsi_json import MAXIMUM_BYTES
from trust_lists.model import NotTrustedError, Role

from .gateway_sample import Heard, Sample, _loaded, signatory, signed_list


class Held:
    """A holder, what it told, and the time that it is told."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.heard = Heard()
        self.adopted: list[Region] = []
        self.ahead = timedelta()
        self.holder = RegionHolder(
            load(sample.config, state=sample.state),
            seen=fingerprint(sample.config),
            state=sample.state,
            keys=_loaded(),
            messages=Messages.load(default="en"),
            recorder=self.heard,
            clock=self.now,
            adopted=self.adopted.append,
        )
        self.holder.look()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def trusts(self, name: str) -> bool:
        try:
            self.holder.current.trust.find(f"https://{name}.example", Role.OPENID_PROVIDER, self.now())
        except NotTrustedError:
            return False
        return True

    def look(self, *, everything: bool = False) -> list[tuple[str, str | None]]:
        """Look, and answer what was told: outcome and code of lists, outcome of configurations."""
        before = len(self.heard.events)
        self.holder.look(everything=everything)
        return [
            (event.outcome.value, event.code if isinstance(event, ListEvent) else None)
            for event in self.heard.events[before:]
            if isinstance(event, ListEvent | ConfigEvent)
        ]


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """A holder with its first list."""
    return Held(Sample(tmp_path))


def test_the_start(held: Held) -> None:
    """Configuration, then list; the names are adopted before anything is told of them; a second look is quiet."""
    config, first = held.heard.events
    assert isinstance(config, ConfigEvent)
    assert config.outcome is ConfigOutcome.LOADED
    assert isinstance(first, ListEvent)
    assert (first.name, first.outcome, first.entities) == ("region", ListOutcome.LOADED, 2)
    assert held.adopted == [held.holder.current]
    assert held.trusts("maebashi")
    assert held.look() == []


def test_a_newer_list_comes_into_force(held: Held) -> None:
    """Whoever is new is trusted, whoever left is not; the region itself stays."""
    before = held.holder.current
    held.sample.put_list(signed_list("omura", sequence=2))
    assert held.look() == [("loaded", None)]
    assert held.holder.current is before
    assert (held.trusts("maebashi"), held.trusts("omura")) == (False, True)


def _unsigned(_: Held) -> bytes:
    head, body, _signature = signed_list("omura", sequence=2).split(b".")
    return b"%b.%b." % (head, body)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (_unsigned, "unsigned"),
        (lambda _: signed_list("omura", sequence=2, by=signatory("stranger")), "signature"),
        (lambda _: signed_list("omura", sequence=2, age=40), "expired"),
        (lambda _: signed_list("omura", sequence=0), "rollback"),
        (lambda _: b"not a list", "format"),
        (lambda _: b"", "format"),
        (lambda _: signed_list("omura", sequence=2, age=-1), "future"),
    ],
)
def test_a_list_that_is_refused(held: Held, content: object, code: str) -> None:
    """The one before it stays in force, the refusal is told once with its code, and the next good one is taken."""
    assert callable(content)
    held.sample.put_list(content(held))
    assert held.look() == [("refused", code)]
    event = held.heard.of(ListEvent)[-1]
    assert event.entities == 2  # of the list in force
    assert event.valid_until is not None
    assert (held.trusts("maebashi"), held.trusts("omura")) == (True, False)
    assert held.look() == []

    held.sample.put_list(signed_list("ebetsu", sequence=3))
    assert held.look() == [("loaded", None)]
    assert held.trusts("ebetsu")


def test_a_list_that_vanishes_or_is_too_long(held: Held) -> None:
    """The last one holds until it expires by itself."""
    path = held.sample.config / "lists" / "region.jwt"
    path.unlink()
    assert held.look() == [("refused", "unreadable")]
    with path.open("wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)
    assert held.look() == [("refused", "too-large")]
    assert held.trusts("maebashi")
    held.ahead = timedelta(days=31)
    assert not held.trusts("maebashi")


def test_time_heals_a_list_from_the_future(held: Held) -> None:
    """Signed by a clock that is ahead: taken as soon as its time has come, though the file did not change."""
    held.sample.put_list(signed_list("omura", sequence=2, age=-0.1))
    assert held.look() == [("refused", "future")]
    assert held.look() == []
    held.ahead = timedelta(days=1)
    assert held.look() == [("loaded", None)]
    assert held.trusts("omura")


def test_an_older_list_is_refused_after_a_restart(held: Held) -> None:
    """The high-water mark is on disk, for this user alone to change."""
    current = signed_list("omura", sequence=7)
    held.sample.put_list(current)
    held.look()
    assert json.loads((held.sample.state / "high-water.json").read_text())["region"][0] == 7
    held.sample.put_list(signed_list("maebashi", sequence=6))

    again = Held(held.sample)

    assert again.heard.of(ListEvent)[-1].code == "rollback"
    assert not again.trusts("maebashi")
    held.sample.put_list(current)
    assert again.look() == [("loaded", None)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"region": "x"}', '{"region": null}'])
def test_a_damaged_high_water_mark_is_a_sentence(tmp_path: Path, content: str) -> None:
    """It is not quietly forgotten: that would open the door to old lists."""
    sample = Sample(tmp_path)
    (sample.state / "high-water.json").write_text(content)
    with pytest.raises(StateDirectoryError, match=r"high-water\.json: is damaged.*Restore"):
        Held(sample)


def test_a_changed_configuration_replaces_the_region(held: Held) -> None:
    """At once and whole: services, routes, proxies; what unchanged sources gave stays trusted without reading again."""
    before = held.holder.current
    held.sample.write("services/second.yaml", held.sample.service("second"))
    held.sample.write("gateway.yaml", held.sample.gateway(trusted_proxies=["192.0.2.10/32"]))
    assert held.look() == [("loaded", None)]
    now = held.holder.current
    assert now is not before
    assert set(now.services) == {"site", "second"}
    assert [str(each) for each in now.trusted_proxies] == ["192.0.2.10/32"]
    assert held.adopted == [before, now]
    assert held.trusts("maebashi")
    assert set(before.services) == {"site"}  # whoever works with it goes on with it
    assert held.look() == []


def test_a_configuration_with_mistakes_leaves_the_old_in_force(held: Held) -> None:
    """It is told with their number, once; the next good one is taken."""
    before = held.holder.current
    held.sample.write("services/second.yaml", {**held.sample.service("second"), "kind": "telex", "x": 1})
    assert held.look() == [("refused", None)]
    event = held.heard.of(ConfigEvent)[-1]
    assert event.mistakes >= 1
    assert held.holder.current is before
    assert held.look() == []
    (held.sample.config / "services" / "second.yaml").unlink()
    assert held.look() == [("loaded", None)]


def test_a_new_source_is_read_before_its_region_is_in_force(held: Held) -> None:
    """No moment without its members: when the region is adopted, they are trusted already."""
    sample = held.sample
    trust = {
        "sources": [
            {"name": name, "format": "etsi-119602", "file": f"lists/{name}.jwt", "anchors": ["lists/anchor.pem"]}
            for name in ("region", "second")
        ]
    }
    from trust_lists import etsi_json  # noqa: PLC0415 - only here

    issued = datetime.now(UTC)
    (sample.config / "lists" / "second.jwt").write_bytes(
        etsi_json.publish(
            [
                {
                    "entity_id": "https://omura.example",
                    "role": "openid-provider",
                    "metadata": {"issuer": "https://omura.example"},
                }
            ],
            name="second",
            key_pem=signatory().key,
            certificate_pem=signatory().certificate,
            issued_at=issued,
            valid_until=issued + timedelta(days=1),
            sequence=1,
        )
    )
    sample.write("trust.yaml", trust)
    known: list[tuple[str, ...]] = []
    held.holder._adopted = lambda region: known.append(tuple(each.name for each in region.trust.lists()))  # type: ignore[method-assign]  # to look at that moment
    assert held.look() == [("loaded", None), ("loaded", None)]
    assert known == [("region", "second")]
    assert held.trusts("omura")


def test_another_anchor_ends_what_the_old_one_signed(held: Held) -> None:
    """Whom the operator no longer pins vouches for nobody."""
    anchor = held.sample.config / "lists" / "anchor.pem"
    anchor.write_bytes(signatory("successor").certificate)
    assert held.look() == []  # files that the configuration names are read with it
    assert held.look(everything=True)[0] == ("loaded", None)
    assert held.heard.of(ListEvent)[-1].code == "signature"
    assert not held.trusts("maebashi")
    held.sample.put_list(signed_list("omura", sequence=2, by=signatory("successor")))
    held.look()
    assert held.trusts("omura")


def test_a_directory_that_vanishes_leaves_the_old_in_force(held: Held) -> None:
    """A volume that is not mounted for a moment is a mistake, not an empty region."""
    aside = held.sample.directory / "aside"
    shutil.move(held.sample.config, aside)
    outcomes = held.look()
    assert outcomes[0] == ("refused", None)
    assert held.trusts("maebashi")
    shutil.move(aside, held.sample.config)
    held.look()
    assert held.trusts("maebashi")
    assert set(held.holder.current.services) == {"site"}


def test_a_successor_is_told(held: Held) -> None:
    """A list that came under the next pin is in force, and the operator learns that the old pin can go."""
    sample = held.sample
    (sample.config / "lists" / "next.pem").write_bytes(signatory("successor").certificate)
    source = {"name": "region", "format": "etsi-119602", "file": "lists/region.jwt", "anchors": ["lists/anchor.pem"]}
    sample.write("trust.yaml", {"sources": [{**source, "next_anchors": ["lists/next.pem"]}]})
    held.look()
    assert held.trusts("maebashi")
    assert not held.heard.of(ListEvent)[-1].successor
    sample.put_list(signed_list("omura", sequence=2, by=signatory("successor")))
    assert held.look() == [("loaded", None)]
    assert held.heard.of(ListEvent)[-1].successor
    assert held.trusts("omura")
    (sample.config / "lists" / "anchor.pem").write_bytes(signatory("successor").certificate)
    sample.write("trust.yaml", {"sources": [source]})
    held.look()
    assert not held.heard.of(ListEvent)[-1].successor
    assert held.trusts("omura")


def test_marks_of_other_processes_hold_here(held: Held) -> None:
    """Another worker or node admitted a newer version: an older one is refused, though this process never saw it."""
    assert not held.holder.changed()
    HighWater(held.sample.state).remember({"region": Mark(9)})
    held.sample.put_list(signed_list("omura", sequence=8))
    assert held.holder.changed()
    assert held.look() == [("refused", "rollback")]
    assert not held.holder.changed()
    held.sample.put_list(signed_list("omura", sequence=9))
    assert held.look() == [("loaded", None)]


def test_a_list_that_is_fetched_waits_quietly(held: Held) -> None:
    """Its file is the gateway's own copy; before it is there, no entry is trusted and nothing is wrong."""
    sample = held.sample
    source = {
        "name": "region",
        "format": "etsi-119602",
        "url": "https://lists.example/",
        "anchors": ["lists/anchor.pem"],
    }
    sample.write("trust.yaml", {"sources": [source]})
    assert held.look() == [("loaded", None), ("refused", "awaited")]
    assert not held.trusts("maebashi")
    copy = sample.state / "lists" / "region" / "current"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(signed_list("maebashi", sequence=2))
    assert held.look() == [("loaded", None)]
    assert held.trusts("maebashi")


def test_lists_that_differ_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which entity, which lists, on what, and what counts now: a word for the authorities, not at every look."""
    held = Held(Sample(tmp_path))
    other = signed_list("maebashi", name="second", maximum_identity=1)
    (held.sample.config / "lists" / "second.jwt").write_bytes(other)
    anchors = ["lists/anchor.pem"]
    sources = [
        {"name": name, "format": "etsi-119602", "file": f"lists/{name}.jwt", "anchors": anchors}
        for name in ("region", "second")
    ]
    held.sample.write("trust.yaml", {"sources": sources, "refresh_seconds": 1})
    held.look()
    held.look()
    told = [line for line in capsys.readouterr().out.splitlines() if "list-conflict" in line]
    assert len(told) == 1
    assert "https://maebashi.example as openid-provider: lists region, second differ on maximum_identity" in told[0]
