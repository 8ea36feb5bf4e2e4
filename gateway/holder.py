"""Holds the region in force, and brings in what changes.

A changed list is admitted into the trusted set by the set's own rules; a changed configuration without
mistakes replaces the region between two requests. What is refused leaves the last good one in force, is said
in the log, in the metrics and by `/readyz`, and is looked at again at its next change.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from gateway import following, lists
from gateway.clock import Clock
from gateway.config import Configuration, ConfigurationError, TrustSource, load
from gateway.following import Followed
from gateway.keys import GatewayKeys
from gateway.lists import HighWater, Reading
from gateway.messages import Messages
from gateway.region import Region, open_region
from observability.events import ConfigEvent, ConfigOutcome, ListEvent, ListOutcome, PointersEvent, Recorder
from trust_lists.admission import Mark
from trust_lists.model import Fault, TrustList
from trust_lists.trusted_set import Conflict, TrustedSet

log = structlog.get_logger("gateway.holder")

AT_START = ("listen", "admin", "tls", "client_certificates", "store", "limits", "log", "workers")
"""Keys of gateway.yaml of which something is used at the start only."""

_WHAT_COUNTS = {False: "what all of them say counts", True: "so nobody believes it"}
"""Of a conflict, by whether it is disputed."""


class RegionHolder:
    """One process's region. `look` may take seconds and reads files: it belongs on a thread, one at a time."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        seen: str,
        state: Path,
        keys: GatewayKeys,
        messages: Messages,
        recorder: Recorder,
        clock: Clock,
        adopted: Callable[[Region], None],
    ) -> None:
        """Open the region, its lists still unread: `look` before serving.

        `seen` is the `fingerprint` of the directory just before `configuration` was loaded; `adopted` is told
        of every region before anything is recorded of it. Raises `StateDirectoryError`.
        """
        self._seen = seen
        self._state = state
        self._keys = keys
        self._messages = messages
        self._recorder = recorder
        self._clock = clock
        self._adopted = adopted
        self._high_water = HighWater(state)
        self._readings: dict[str, Reading] = {}
        self._followed: dict[str, TrustSource] = {}
        self._left: frozenset[tuple[str, Fault]] = frozenset()
        self._conflicts: frozenset[Conflict] = frozenset()
        self._started_with = configuration
        self.current = open_region(configuration, keys, TrustedSet(self._high_water.read()), messages)
        adopted(self.current)
        recorder.record(ConfigEvent(outcome=ConfigOutcome.LOADED, at=clock()))

    def look(self, *, everything: bool = False) -> None:
        """Bring in what changed since the last look; `everything` also if nothing seems to have.

        The configuration's YAML files and the lists are watched. Anchors, secrets and certificates are read
        when one of those changes, or with `everything`.
        """
        seen = fingerprint(self.current.configuration.directory)
        if everything or seen != self._seen:
            self._seen = seen
            self._load()
        marks: dict[str, Mark] | None = None
        for source in self.current.configuration.sources:
            before = self._readings.get(source.name)
            same = self._same(source)
            code = before.code if before else None
            if same and not everything and code != lists.FUTURE:
                continue
            marks = self._high_water.read() if marks is None else marks
            held = before.held if before else None
            found = lists.read(source, self.current.trust, held=held, marks=marks, now=self._clock())
            self._readings[source.name] = found
            if everything or not same or found.code != code:
                self._tell(source, found)
        self._follow(everything=everything)
        self._tell_conflicts()
        self._high_water.remember(self.current.trust.highest())

    @property
    def settled(self) -> bool:
        """Whether of every list a version was read, if only one that is over: then who is on none is on none."""
        return all(reading.held is not None or reading.code == lists.EXPIRED for reading in self._readings.values())

    def changed(self) -> bool:
        """Whether a list's file is another than at the last look, so that the next look may admit a newer one."""
        return not all(self._same(source) for source in self.current.sources)

    def _same(self, source: TrustSource) -> bool:
        before = self._readings.get(source.name)
        return before is not None and before.stamp == lists.stamp(source.file)

    # --- lists that other lists lead to

    def _follow(self, *, everything: bool) -> None:
        """Read the lists that others lead to now, and let go of those to which none does any more."""
        sources, trust = self.current.configuration.sources, self.current.trust
        if not self._followed and all(source.follow is None for source in sources):
            return
        found, told = self._walk(sources, trust, self._readings, everything=everything)
        for name in self._followed.keys() - {source.name for source in found.sources}:
            trust.drop(name)
            del self._readings[name]
            log.warning("list-let-go", list=name, detail="no list in force leads to it any more")
        self._now_followed(found)
        if found.sources != self.current.followed:
            before = {source.name for source in self.current.followed}
            self.current = replace(self.current, followed=found.sources)
            if before != self._followed.keys():
                self._adopted(self.current)
        self._tell_followed(found, told, self._readings)

    def _now_followed(self, found: Followed) -> None:
        self._followed = {source.name: source for source in found.sources}

    def _walk(
        self, sources: Iterable[TrustSource], trust: TrustedSet, readings: dict[str, Reading], *, everything: bool
    ) -> tuple[Followed, list[TrustSource]]:
        """What the lists of these sources lead to, read into `trust` and `readings`; and what is to be told of."""
        marks, told = self._high_water.read(), list[TrustSource]()

        def read(source: TrustSource) -> TrustList | None:
            before = self._readings.get(source.name)
            same = before is not None and source == self._followed.get(source.name) and self._same(source)
            if before is not None and same and not everything and before.code != lists.FUTURE:
                following.hold(source, trust, before.held)
                readings[source.name] = before
                return before.held
            held = following.still(source, before.held if before is not None else None)
            found = lists.read(source, trust, held=held, marks=marks, now=self._clock())
            if found.code is not None:
                following.hold(source, trust, found.held)
            readings[source.name] = found
            if everything or before is None or (found.stamp, found.code) != (before.stamp, before.code):
                told.append(source)
            return found.held

        held = {source.name: readings[source.name].held for source in sources}
        return following.follow(sources, held, self._state, read), told

    def _tell_followed(self, found: Followed, told: Iterable[TrustSource], readings: Mapping[str, Reading]) -> None:
        for source in told:
            self._tell(source, readings[source.name])
        left = frozenset((name, fault) for name, faults in found.left.items() for fault in faults)
        for name, fault in sorted(left - self._left, key=lambda each: (each[0], each[1].where, each[1].reason)):
            log.warning("list-pointer-left", list=name, detail=f"{fault.where}: {fault.reason}")
        if left != self._left:
            before, counted = Counter(name for name, _ in self._left), Counter(name for name, _ in left)
            known = {source.name for source in self.current.configuration.sources}
            for name in sorted((before.keys() | counted.keys()) & known):
                self._recorder.record(PointersEvent(name=name, left=counted[name], at=self._clock()))
        self._left = left

    # --- configuration

    def _load(self) -> None:
        directory = self.current.configuration.directory
        try:
            configuration = load(directory, state=self._state)
        except ConfigurationError as fault:
            mistakes = fault.mistakes
        else:
            self._replace(configuration)
            return
        log.error("configuration-refused", mistakes=len(mistakes))
        for mistake in mistakes:
            log.error("configuration-mistake", path=f"{mistake.file}:{mistake.line}", detail=mistake.text("en"))
        self._recorder.record(ConfigEvent(outcome=ConfigOutcome.REFUSED, at=self._clock(), mistakes=len(mistakes)))

    def _replace(self, configuration: Configuration) -> None:
        """Open the new region with every list read, and put it in the old one's place at once."""
        before = {source.name: source for source in self.current.configuration.sources}
        trust = TrustedSet(self.current.trust.highest())
        marks = self._high_water.read()
        readings: dict[str, Reading] = {}
        fresh: list[TrustSource] = []
        for source in configuration.sources:
            reading = self._readings.get(source.name)
            if reading is not None and source == before.get(source.name):
                if reading.held is not None:
                    trust.admit(reading.held)
            else:
                reading = lists.read(source, trust, held=None, marks=marks, now=self._clock())
                fresh.append(source)
            readings[source.name] = reading
        followed, more = self._walk(configuration.sources, trust, readings, everything=False)
        opened = open_region(configuration, self._keys, trust, self._messages)
        region = replace(opened, followed=followed.sources)
        self._readings = readings
        self._now_followed(followed)
        self.current = region
        self._adopted(region)
        self._recorder.record(ConfigEvent(outcome=ConfigOutcome.LOADED, at=self._clock()))
        for source in fresh:
            self._tell(source, readings[source.name])
        self._tell_followed(followed, more, readings)
        waiting = [
            key for key in AT_START if getattr(configuration.gateway, key) != getattr(self._started_with.gateway, key)
        ]
        if waiting:
            log.warning("restart-needed", detail=", ".join(waiting))

    # --- lists

    def _tell_conflicts(self) -> None:
        """Say once where lists differ: their authorities should know, and somebody is trusted less than expected."""
        conflicts = self.current.trust.conflicts()
        for conflict in conflicts:
            if conflict not in self._conflicts:
                log.warning(
                    "list-conflict",
                    code="disputed" if conflict.disputed else "narrower",
                    detail=f"{conflict.entity_id} as {conflict.role}: lists {', '.join(conflict.lists)} differ on "
                    f"{', '.join(conflict.about)}; {_WHAT_COUNTS[conflict.disputed]}",
                )
        self._conflicts = frozenset(conflicts)

    def _tell(self, source: TrustSource, reading: Reading) -> None:
        name, held = source.name, reading.held
        successor = held is not None and lists.succeeded(source, held)
        if reading.code == lists.AWAITED:
            log.warning("list-awaited", list=name, detail=reading.text)
        elif reading.code is not None:
            log.error("list-refused", list=name, code=reading.code, detail=reading.text)
        elif held is not None:
            for entry in held.faults:
                log.error("list-entry-dropped", list=name, detail=f"{entry.where}: {entry.reason}")
            if successor:
                log.warning("list-successor", list=name, detail="move the pin from next_anchors to anchors")
        self._recorder.record(
            ListEvent(
                name=name,
                outcome=ListOutcome.LOADED if reading.code is None else ListOutcome.REFUSED,
                at=self._clock(),
                code=reading.code,
                issued_at=held.issued_at if held else None,
                valid_until=held.valid_until if held else None,
                entities=_members(held),
                faults=len(held.faults) if held else 0,
                successor=successor,
            )
        )


def _members(held: TrustList | None) -> int | None:
    """How many a list names; None for a table of assurance, which names nobody."""
    if held is None:
        return 0
    return None if held.table is not None else len(held.entities)


def fingerprint(directory: Path) -> str:
    """Changes when a YAML file of the configuration directory comes, goes or is written."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*.yaml")):
        digest.update(f"{path}\0{lists.stamp(path)}\0".encode())
    return digest.hexdigest()
