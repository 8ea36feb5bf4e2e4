"""The pools of every service behind a route, opened when they are needed."""

from federation.access import ApiService
from gateway.upstream.pool import Pool

MOST_CONNECTIONS = 256
"""Connections to one address."""


class Pools:
    """One pool for each address that services are reached at."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def of(self, service: ApiService) -> Pool:
        """The pool of a service's address."""
        pool = self._pools.get(service.upstream)
        if pool is None:
            pool = self._pools[service.upstream] = Pool(service.upstream, most=MOST_CONNECTIONS)
        return pool

    def close(self) -> None:
        """End every connection."""
        for each in self._pools.values():
            each.close()
        self._pools.clear()
