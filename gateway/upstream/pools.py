"""The way to every service behind a route, opened when it is needed."""

from collections.abc import Callable, Collection
from functools import partial

from federation.access import ApiService
from federation.reach import Reach
from gateway.upstream.service import Service
from observability.addresses import Address
from observability.events import UpstreamChange

Told = Callable[[str, UpstreamChange, str | None], None]
"""Takes the service's ID, what happened, and the origin of the address that it is about, if it is about one."""


class Pools:
    """One way to each service; another one when its configuration has changed."""

    def __init__(self, told: Told = lambda *_: None) -> None:
        self._told = told
        self._services: dict[str, tuple[ApiService, Service]] = {}

    def of(self, service: ApiService) -> Service:
        """The way to a service as it is configured now; calls that go another way still end there."""
        known = self._services.get(service.id)
        if known is not None and known[0] is service:
            return known[1]
        reach = service.reach or Reach(targets=(service.upstream,))
        if known is not None and known[1].reach == reach:
            way = known[1]
        else:
            way = Service(reach, partial(self._told, service.id))
            if known is not None:
                known[1].retire()
        self._services[service.id] = (service, way)
        return way

    def states(self, services: Collection[str]) -> tuple[Address, ...]:
        """In which state the addresses of these services are, as far as they were called."""
        return tuple(
            Address(service=name, url=url, state=state)
            for name, (_, way) in self._services.items()
            if name in services
            for url, state in way.states()
        )

    def close(self) -> None:
        """End every connection."""
        for _, way in self._services.values():
            way.close()
        self._services.clear()
