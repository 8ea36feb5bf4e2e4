"""The way to every service behind a route, opened when it is needed."""

from federation.access import ApiService
from federation.reach import Reach
from gateway.upstream.service import Service


class Pools:
    """One way to each service; another one when its configuration has changed."""

    def __init__(self) -> None:
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
            way = Service(reach)
            if known is not None:
                known[1].retire()
        self._services[service.id] = (service, way)
        return way

    def close(self) -> None:
        """End every connection."""
        for _, way in self._services.values():
            way.close()
        self._services.clear()
