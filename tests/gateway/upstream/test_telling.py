"""What processes tell of services' addresses by the store: rows of the dead go, and another version's break nothing."""

import secrets
from datetime import UTC, datetime, timedelta

from gateway.store import Store, connect
from gateway.upstream import telling
from gateway.upstream.pools import Pools
from observability.addresses import Address, AddressState

NOW = datetime(2027, 4, 1, tzinfo=UTC)


async def test_rows_of_others_are_read_as_far_as_they_can_be(store_url: str) -> None:
    """One that lives, one of a process that died, one with a word that is not known here, one sealed by another key."""
    region = f"https://{secrets.token_hex(8)}.example"
    store = Store(connect(store_url), bytes(32), waits_for_disk=False)
    stranger = Store(connect(store_url), bytes(31) + b"1", waits_for_disk=False)
    name = store.named(telling.KIND, region)
    good = Address(service="ledger", url="http://a.example", state=AddressState.OUT)

    def row(of: Store, at: datetime, state: str = "out") -> bytes:
        told = [{**good.to_json(), "state": state}]
        return of.sealed(name, {"at": at.timestamp(), "addresses": told})

    try:
        rows = {
            "lives": row(store, NOW - timedelta(seconds=1)),
            "died": row(store, NOW - timedelta(seconds=11)),
            "newer": row(store, NOW, "resting"),
            "foreign": row(stranger, NOW),
        }
        await store.send(*(("HSET", name, process, content) for process, content in rows.items()))
        assert await telling.told(store, region, NOW) == ((good,),)
        (left,) = await store.send(("HKEYS", name))
        assert sorted(left) == [b"lives", b"newer"]
    finally:
        await store.send(("DEL", name))
        await store.close()
        await stranger.close()


async def test_a_process_that_called_nobody_tells_nothing(store_url: str) -> None:
    """And one that ends takes nothing of others with it."""
    region = f"https://{secrets.token_hex(8)}.example"
    store = Store(connect(store_url), bytes(32), waits_for_disk=False)
    try:
        silent = telling.Telling(store, region, Pools(), lambda: {"ledger"}, lambda: NOW)
        await silent.tell()
        await silent.end()
        assert await telling.told(store, region, NOW) == ()
        assert await store.send(("EXISTS", store.named(telling.KIND, region))) == [0]
    finally:
        await store.close()
