"""In which state the addresses of shared services are, as each process sees it, and as one picture of all processes.

Processes judge addresses each for itself (`gateway/upstream/targets.py`); a service that a process never called is
unknown to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AddressState(StrEnum):
    """Whether an address gets calls, the worst last.

    UNWELL: its health checks fail. TRIAL: it was out, and the next call tries it. OUT: so many calls on end failed
    there that it gets none for a while.
    """

    IN_TURN = "in-turn"
    TRIAL = "trial"
    UNWELL = "unwell"
    OUT = "out"


_WORSE = list(AddressState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address of a service, in one process; `url` is without what a user could be called there."""

    service: str
    url: str
    state: AddressState

    def to_json(self) -> dict[str, str]:
        """For other processes."""
        return {"service": self.service, "url": self.url, "state": self.state.value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Address":
        """What another process told. Raises `KeyError`, `ValueError`, `TypeError`."""
        return cls(service=str(told["service"]), url=str(told["url"]), state=AddressState(told["state"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRow:
    """An address in all processes: the worst state, in how many it is that, and how many know it."""

    url: str
    state: AddressState
    seen_so: int
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """A service. In `closed` of the `processes` that know it every address is out: calls are refused at once."""

    service: str
    addresses: tuple[AddressRow, ...]
    closed: int
    processes: int

    def count(self, state: AddressState) -> int:
        """Addresses that are in that state in some process, and in no worse one."""
        return sum(row.state is state for row in self.addresses)


def rows(told: Iterable[Sequence[Address]]) -> tuple[ServiceRow, ...]:
    """The services in the order of their names, of what each process told."""
    views: dict[str, list[dict[str, AddressState]]] = {}
    for process in told:
        by_service: dict[str, dict[str, AddressState]] = {}
        for each in process:
            by_service.setdefault(each.service, {})[each.url] = each.state
        for service, view in by_service.items():
            views.setdefault(service, []).append(view)
    return tuple(_row(service, views[service]) for service in sorted(views))


def _row(service: str, views: Sequence[Mapping[str, AddressState]]) -> ServiceRow:
    found = []
    for url in dict.fromkeys(url for view in views for url in view):
        states = [view[url] for view in views if url in view]
        worst = max(states, key=_WORSE.index)
        found.append(AddressRow(url=url, state=worst, seen_so=states.count(worst), seen=len(states)))
    closed = sum(all(state is AddressState.OUT for state in view.values()) for view in views)
    return ServiceRow(service=service, addresses=tuple(found), closed=closed, processes=len(views))
