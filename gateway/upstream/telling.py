"""What each process knows of services' addresses, for the operations page: rows in the store, renewed each second.

Best effort: without the store the page says nothing of addresses, and calls go on.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from federation.refusal import Unavailable
from gateway.clock import Clock
from gateway.store import Store
from gateway.upstream.pools import Pools
from observability.addresses import Address

KIND = "addresses"
TELL_SECONDS = 1.0
KEPT = timedelta(seconds=10)
"""A process that told nothing for so long is gone."""


class Telling:
    """The row of one process of the gateway `region`. `services`: the ids of those that are configured now."""

    def __init__(
        self, store: Store, region: str, pools: Pools, services: Callable[[], Collection[str]], clock: Clock
    ) -> None:
        self._store = store
        self._name = store.named(KIND, region)
        self._process = secrets.token_hex(8)
        self._pools = pools
        self._services = services
        self._clock = clock
        self._told = False

    async def run(self) -> None:
        """Tell each second, as long as there is anything to tell."""
        while True:
            await asyncio.sleep(TELL_SECONDS)
            with contextlib.suppress(Unavailable):
                await self.tell()

    async def tell(self) -> None:
        """Tell once. Raises `Unavailable`."""
        told = [each.to_json() for each in self._pools.states(self._services())]
        if not told and not self._told:
            return
        row = self._store.sealed(self._name, {"at": self._clock().timestamp(), "addresses": told})
        await self._store.send(
            ("HSET", self._name, self._process, row),
            ("PEXPIRE", self._name, round(KEPT.total_seconds() * 1000)),
        )
        self._told = True

    async def end(self) -> None:
        """Take the row back: the process ends."""
        if self._told:
            with contextlib.suppress(Unavailable):
                await self._store.send(("HDEL", self._name, self._process))


async def told(store: Store, region: str, now: datetime) -> tuple[tuple[Address, ...], ...]:
    """What each process that lives told last; rows of those that died are removed. Raises `Unavailable`."""
    name = store.named(KIND, region)
    (rows,) = await store.send(("HGETALL", name))
    found, gone = [], []
    for process, content in rows.items():
        row = store.opened(name, content)
        if row is None or now.timestamp() - row["at"] > KEPT.total_seconds():
            gone.append(process)
            continue
        with contextlib.suppress(KeyError, TypeError, ValueError):  # another version's words, while nodes are renewed
            found.append(tuple(Address.from_json(each) for each in row["addresses"]))
    if gone:
        await store.send(("HDEL", name, *gone))
    return tuple(found)
