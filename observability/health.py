"""In which state the gateway's parts are, and whether it may be sent work.

`States` learns from the same events as everybody else; `readiness` is a pure function of `Facts`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from observability.addresses import Address
from observability.events import (
    ConfigEvent,
    ConfigOutcome,
    Event,
    FetchEvent,
    FetchOutcome,
    ListEvent,
    PointersEvent,
    StoreChange,
    StoreEvent,
)
from observability.log_keys import iso

MOST_ABANDONED = 8
"""How many threads may be stuck in protocol work before the process counts as sick and should be started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """A configured trust list.

    `valid_until` None: no version was ever accepted. `code`: why the last reading was refused, if it was.
    `successor`: a successor of the pinned keys signed it. `waiting`: a newer version waits for approval. `fetch` is
    what came of asking for it last (None: nobody asked), and `fetch_code` why nothing usable came. `left` pointers to
    other lists are not followed although they should be.
    """

    name: str
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    entities: int | None = 0
    faults: int = 0
    code: str | None = None
    read_at: datetime | None = None
    successor: bool = False
    waiting: bool = False
    fetch: FetchOutcome | None = None
    fetch_code: str | None = None
    left: int = 0

    def in_force(self, now: datetime) -> bool:
        """Whether its members are trusted now."""
        return self.valid_until is not None and now < self.valid_until


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """The store. `round_trip` in seconds; `restarts` of the embedded server since this gateway started."""

    up: bool
    round_trip: float | None = None
    restarts: int = 0
    restarted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigState:
    """The configuration.

    `loaded_at` None: none is in force. `refused_at` and `mistakes` tell of a later reading that was refused.
    """

    loaded_at: datetime | None = None
    refused_at: datetime | None = None
    mistakes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that readiness and the operations page ask about, at one moment.

    `abandoned` threads are stuck in protocol work. `addresses`: what each process tells of the addresses of services.
    """

    now: datetime
    store: StoreState
    configuration: ConfigState
    lists: tuple[ListState, ...] = ()
    stopping: bool = False
    abandoned: int = 0
    addresses: tuple[tuple[Address, ...], ...] = ()


@dataclass(slots=True)
class States:
    """What the events so far say of lists, store and configuration, as a `Recorder`."""

    lists: dict[str, ListState] = field(default_factory=dict)
    store: StoreState = field(default_factory=lambda: StoreState(up=False))
    configuration: ConfigState = field(default_factory=ConfigState)

    def expect(self, lists: tuple[str, ...]) -> None:
        """Name the configured lists: one never loaded is missing, one no longer configured is forgotten."""
        self.lists = {name: self.lists.get(name, ListState(name=name)) for name in lists}

    def record_call(self, event: Event) -> None:
        """Calls say nothing of any state."""

    def record(self, event: Event) -> None:
        """Take note of the event."""
        match event:
            case ListEvent():
                self.lists[event.name] = replace(
                    self._list(event.name),
                    issued_at=event.issued_at,
                    valid_until=event.valid_until,
                    entities=event.entities,
                    faults=event.faults,
                    code=event.code,
                    read_at=event.at,
                    successor=event.successor,
                )
            case FetchEvent():
                self.lists[event.name] = replace(
                    self._list(event.name), waiting=event.waiting, fetch=event.outcome, fetch_code=event.code
                )
            case PointersEvent():
                self.lists[event.name] = replace(self._list(event.name), left=event.left)
            case StoreEvent():
                self._store(event)
            case ConfigEvent(outcome=ConfigOutcome.LOADED):
                self.configuration = ConfigState(loaded_at=event.at)
            case ConfigEvent():
                self.configuration = ConfigState(
                    loaded_at=self.configuration.loaded_at, refused_at=event.at, mistakes=event.mistakes
                )
            case _:
                pass

    def facts(
        self,
        now: datetime,
        *,
        round_trip: float | None,
        stopping: bool = False,
        abandoned: int = 0,
        addresses: tuple[tuple[Address, ...], ...] = (),
    ) -> Facts:
        """The states now. `round_trip` was just measured, in seconds; None: the store did not answer."""
        return Facts(
            now=now,
            store=StoreState(
                up=round_trip is not None,
                round_trip=round_trip,
                restarts=self.store.restarts,
                restarted_at=self.store.restarted_at,
            ),
            configuration=self.configuration,
            lists=tuple(self.lists[name] for name in sorted(self.lists)),
            stopping=stopping,
            abandoned=abandoned,
            addresses=addresses,
        )

    def _list(self, name: str) -> ListState:
        return self.lists.get(name, ListState(name=name))

    def _store(self, event: StoreEvent) -> None:
        restarted = event.change is StoreChange.RESTART
        self.store = StoreState(
            up=event.change is not StoreChange.DOWN,
            restarts=self.store.restarts + restarted,
            restarted_at=event.at if restarted else self.store.restarted_at,
        )


def readiness(facts: Facts) -> tuple[bool, dict[str, Any]]:
    """Whether the gateway should be sent work, and why, as a JSON object.

    It should not while it stops, while its store does not answer, without a configuration, when its threads are stuck,
    or when lists are configured and none of them is in force. One expired list among others does not take the gateway
    out of service: the same list is expired for every instance, and the members of the other lists still need it.
    """
    in_force = [state for state in facts.lists if state.in_force(facts.now)]
    checks = {
        "not-stopping": not facts.stopping,
        "store": facts.store.up,
        "configuration": facts.configuration.loaded_at is not None,
        "trust-lists": bool(in_force) or not facts.lists,
        "protocol-steps": facts.abandoned < MOST_ABANDONED,
    }
    ready = all(checks.values())
    return ready, {
        "ready": ready,
        "checks": checks,
        "store": {
            "up": facts.store.up,
            "round_trip_ms": None if facts.store.round_trip is None else round(facts.store.round_trip * 1000, 3),
        },
        "configuration": {
            "loaded_at": _text(facts.configuration.loaded_at),
            "mistakes": facts.configuration.mistakes,
        },
        "trust_lists": [
            {
                "name": state.name,
                "in_force": state.in_force(facts.now),
                "age_seconds": None
                if state.read_at is None
                else max(0, round((facts.now - state.read_at).total_seconds())),
                "valid_until": _text(state.valid_until),
                "entities": state.entities,
                "faults": state.faults,
                "refused": state.code,
            }
            for state in facts.lists
        ],
    }


def alive() -> str:
    """The lead of `/healthz`: the process answers; whether it may be sent work is `readiness`."""
    return "alive\n"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
