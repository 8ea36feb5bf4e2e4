"""Everything the gateway keeps between two requests: one engine (the Redis protocol), one table of keys.

| kind | key | value | lifetime | how it is used |
|---|---|---|---|---|
| flow | `kakehashi:flow:{digest}` | sealed | `limits.flow_minutes` | read, then taken once (`GETDEL`) |
| code | `kakehashi:code:{digest}` | sealed | the code's | exchanged for a tombstone (`SET XX GET`) |
| userinfo | `kakehashi:userinfo:{digest}` | sealed | the access token's | put once (`NX`), read; replaced to revoke |
| client-assertion | `kakehashi:client-assertion:{digest}` | sealed | the assertion's | claimed once (`NX`) |
| consent | `kakehashi:consent:{person}:service` | JSON | until it expires | on disk before it is acknowledged |
| durable | `kakehashi:durable` | nothing | two seconds | written at the start, to see that it reaches the disk |
| series | `kakehashi:series:{minute}` | hash of counters | 25 hours | added to (`HINCRBY`), best effort |

The braces are Redis Cluster hash tags, and stand in the key. A digest is the SHA-256 of the handle, code or
the like, in hexadecimal, so that the store's files hold no usable one. Sealed means AES-256-GCM under a key
of the state directory, with the whole key's name as additional data: the files hold no attribute of a person,
and no value can be moved to another name. A consent holds a person's reference (`federation/identifiers.py`)
and names of attributes, never a value. Lost flows, codes and claims are begun again by the person; a lost
consent would be asked again, but its record is evidence, so it is flushed first.
"""

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from time import perf_counter
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from federation.consent import ConsentRecord
from federation.identifiers import PersonRef
from federation.model import Keep, Kept
from federation.refusal import Unavailable
from federation.web import Json

PREFIX = "kakehashi"

CLAIMED = frozenset({"client-assertion"})
"""Kinds that are claims: kept only if nobody kept them before."""

SERIES_LIFETIME = timedelta(hours=25)

ANSWER_SECONDS = 2.0
"""How long one round trip may take before the store counts as down."""

FLUSH_MILLISECONDS = 2000
"""How long a durable write may wait for its flush (`WAITAOF`) on a server that does not flush each write."""


class AlreadyClaimedError(Exception):
    """A claim was kept before: the message that it stands for is a replay."""


class StoreUnfitError(Exception):
    """The server cannot hold what must not be lost; the text says what was expected and what to do."""


class Store:
    """The table above, as operations. Each raises `Unavailable` while the server does not answer."""

    def __init__(self, client: Redis, sealing: bytes, *, waits_for_disk: bool) -> None:
        """`waits_for_disk`: ask the server itself for the flush of durable writes (it does not flush each write)."""
        self._redis = client
        self._seal = AESGCM(sealing)
        self._waits_for_disk = waits_for_disk

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    # --- flows: put, read again (a page may be reloaded), taken once

    async def put_flow(self, handle: str, flow: Json, lifetime: timedelta) -> None:
        """Keep a flow under its handle."""
        name = _name("flow", handle)
        await self._do(self._redis.set(name, self._sealed(name, flow), px=_milliseconds(lifetime)))

    async def read_flow(self, handle: str) -> Json | None:
        """The flow, which stays, or None."""
        return await self.read("flow", handle)

    async def take_flow(self, handle: str) -> Json | None:
        """The flow, which is gone for everybody else, or None."""
        return await self.take("flow", handle)

    # --- what frontends ask to be kept

    async def keep(self, keep: Keep, *, first: bool = False) -> None:
        """Keep all of it.

        Raises `AlreadyClaimedError` if one of a kind that is claimed (with `first`: of any kind) was kept
        before.
        """
        if not keep.items:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for item in keep.items:
            name = _name(item.kind, item.key)
            pipeline.set(
                name,
                self._sealed(name, item.value),
                px=_milliseconds(item.lifetime),
                nx=first or item.kind in CLAIMED,
            )
        answers = await self._do(pipeline.execute())
        if any(
            answer is None and (first or item.kind in CLAIMED) for item, answer in zip(keep.items, answers, strict=True)
        ):
            raise AlreadyClaimedError

    async def claim(self, item: Kept) -> None:
        """Keep one claim. Raises `AlreadyClaimedError`."""
        await self.keep(Keep(items=(item,)))

    async def read(self, kind: str, key: str) -> Json | None:
        """What is kept, which stays, or None."""
        name = _name(kind, key)
        return self._opened(name, await self._do(self._redis.get(name)))

    async def take(self, kind: str, key: str) -> Json | None:
        """What is kept, which is gone for everybody else, or None."""
        name = _name(kind, key)
        return self._opened(name, await self._do(self._redis.getdel(name)))

    async def exchange(self, kind: str, key: str, successor: Json, lifetime: timedelta) -> Json | None:
        """What is kept, replaced by `successor` in the same step, or None (then nothing is left behind)."""
        name = _name(kind, key)
        before = await self._do(
            self._redis.set(name, self._sealed(name, successor), px=_milliseconds(lifetime), xx=True, get=True)
        )
        return self._opened(name, before)

    async def forget(self, kind: str, key: str) -> None:
        """Remove what is kept, if anything is."""
        await self._do(self._redis.delete(_name(kind, key)))

    # --- consents

    async def consent(self, person: PersonRef, service: str) -> ConsentRecord | None:
        """The consent that this person gave this service, or None."""
        found = await self._do(self._redis.get(_consent_name(person, service)))
        return None if found is None else ConsentRecord.from_json(json.loads(found))

    async def save_consent(self, record: ConsentRecord) -> None:
        """Keep a consent; returns once it is on disk."""
        name = _consent_name(record.person, record.service)
        content = json.dumps(record.to_json(), ensure_ascii=False)
        expiry = int(record.expires_at.timestamp() * 1000)
        if not self._waits_for_disk:  # this server flushes before it answers
            await self._do(self._redis.set(name, content, pxat=expiry))
            return
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(name, content, pxat=expiry)
        pipeline.waitaof(1, 0, FLUSH_MILLISECONDS)
        _, flushed = await self._do(pipeline.execute())
        if flushed[0] < 1:
            raise Unavailable("the store did not flush a consent to disk in time")

    # --- the operations page's counters

    async def add_series(self, counts: Mapping[int, Mapping[str, int]]) -> None:
        """Add counters by minute (since the epoch) and name to those of every other worker."""
        pipeline = self._redis.pipeline(transaction=False)
        for minute, names in counts.items():
            key = f"{PREFIX}:series:{{{minute}}}"
            for name, count in names.items():
                pipeline.hincrby(key, name, count)
            pipeline.pexpire(key, _milliseconds(SERIES_LIFETIME))
        await self._do(pipeline.execute())

    async def series(self, minutes: Iterable[int]) -> dict[int, dict[str, int]]:
        """The counters of those minutes, over all workers."""
        wanted = list(minutes)
        pipeline = self._redis.pipeline(transaction=False)
        for minute in wanted:
            pipeline.hgetall(f"{PREFIX}:series:{{{minute}}}")
        found = await self._do(pipeline.execute())
        return {
            minute: {name.decode(): int(count) for name, count in counters.items()}
            for minute, counters in zip(wanted, found, strict=True)
            if counters
        }

    # --- health

    async def round_trip(self) -> float:
        """Seconds that one round trip takes. Raises `Unavailable`."""
        begun = perf_counter()  # the loop's own clock counts whole milliseconds
        await self._do(self._redis.ping())
        return perf_counter() - begun

    async def require_durability(self) -> None:
        """Refuse a server that would lose consents at a power cut, by one write that must reach its disk.

        Raises `StoreUnfitError`, `Unavailable`.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(f"{PREFIX}:durable", "?", px=FLUSH_MILLISECONDS)
        pipeline.waitaof(1, 0, FLUSH_MILLISECONDS)
        _, flushed = await self._do(pipeline.execute(raise_on_error=False))
        if isinstance(flushed, ResponseError) and "unknown command" in str(flushed):
            raise StoreUnfitError("store: the server does not know WAITAOF. Expected Redis 7.2 or later, or Valkey.")
        if isinstance(flushed, ResponseError) or flushed[0] < 1:
            raise StoreUnfitError(
                "store: the server does not write to disk, so consents would be lost. Set `appendonly yes` and "
                "`appendfsync everysec` or `always` there, or ask for `store-not-durable` under `weaker` in "
                "gateway.yaml."
            )

    # --- inside

    async def _do(self, operation: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS + FLUSH_MILLISECONDS / 1000):
                return await operation
        except ResponseError as fault:  # say, a replica, a server without memory, a user without the right
            raise Unavailable(f"store: {type(fault).__name__} {_word(fault)}") from fault
        except (RedisError, OSError) as fault:
            raise Unavailable(f"store: {type(fault).__name__}") from fault

    def _sealed(self, name: str, value: Json) -> bytes:
        nonce = secrets.token_bytes(12)
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return nonce + self._seal.encrypt(nonce, content, name.encode())

    def _opened(self, name: str, content: bytes | None) -> Json | None:
        if content is None:
            return None
        try:
            value: Json = json.loads(self._seal.decrypt(content[:12], content[12:], name.encode()))
        except (InvalidTag, ValueError):  # sealed by another key, or altered: as if it were not there
            return None
        return value


def connect(url: str) -> Redis:
    """A client for `redis://…`, `rediss://…` or `unix://…`; it reconnects by itself."""
    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS + FLUSH_MILLISECONDS / 1000,
        socket_connect_timeout=ANSWER_SECONDS,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
    )


def _word(fault: ResponseError) -> str:
    """The server's own word for an error, which stands first; the rest may hold what was sent."""
    found = re.match(r"[A-Z]{2,32}\b", str(fault))
    return found[0] if found else "ERR"


def _name(kind: str, key: str) -> str:
    return f"{PREFIX}:{kind}:{{{hashlib.sha256(key.encode()).hexdigest()}}}"


def _consent_name(person: PersonRef, service: str) -> str:
    return f"{PREFIX}:consent:{{{person}}}:{service}"


def _milliseconds(lifetime: timedelta) -> int:
    return max(1, int(lifetime.total_seconds() * 1000))
