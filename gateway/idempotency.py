"""Calls that have one effect however often they are made, also over the death of whoever carries them.

`begin` claims the key. What it answers is made as `async with`: `sending` writes, on disk, that the service may be
reached from now on, and only it gives the key for the service; `finish` writes the answer, on disk, before anybody
gets it. A call that ends otherwise leaves its row as it stands: what was not sent is forgotten, what was sent may have
had its effect, and the next try is judged by `federation/idempotency.py`.

Whoever works on a row has a lease that lapses within seconds of its process's end, so that a retry need not wait long.
"""

import asyncio
import base64
import contextlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from federation.idempotency import Replay, Row, State, judge, settles
from federation.model import Kept
from federation.refusal import IdempotencyInFlight, Unavailable
from gateway.store import Holder, Store

log = structlog.get_logger("gateway.idempotency")

KIND = "idempotency"

LIFETIME = timedelta(hours=24)
"""How long a key is remembered, since its answer, or since its last try."""

LEASE = timedelta(seconds=10)
"""How long a row stays taken when whoever worked on it is gone."""

MOST_ANSWER = 64 * 1024
"""Bytes of the largest answer that is kept. A larger one is given once; for a second try the call was sent, no more."""

_TRIES = 3
_AT_ONCE = timedelta(milliseconds=1)


class Idempotency:
    """The keys of one region's calls."""

    def __init__(
        self, store: Store, sealing: bytes, *, lifetime: timedelta = LIFETIME, lease: timedelta = LEASE
    ) -> None:
        """`sealing` is the state directory's key: services know calls by a digest that nobody else can compute."""
        self._store = store
        self._secret = hmac.digest(sealing, b"kakehashi idempotency keys for services", "sha256")
        self._lifetime, self._lease = lifetime, lease

    async def begin(self, scope: str, key: str, fingerprint: str, *, repeats: bool) -> "Proceed | Replay":
        """Claim a key: the call may be made, or its answer is known.

        `repeats`: the service knows keys, and does nothing twice under one. Raises `IdempotencyKeyReused`,
        `IdempotencyInFlight`, `IdempotencyUnknown`, `Unavailable`.
        """
        named = self._named(scope, key)
        holder = Holder(id=secrets.token_hex(16), lease=self._lease)
        row = Row(state=State.BEGUN, fingerprint=fingerprint)
        for _ in range(_TRIES):
            held = await self._store.hold(named.item(row), holder)
            if held.new:
                return Proceed(self._store, named, holder, row, held.content, repeats=repeats)
            known = Row.from_json(held.value)
            answer = judge(known, fingerprint, under_way=held.leased, repeats=repeats)
            if answer is not None:
                return answer
            taken = await self._store.swap(named.item(known), held.content, holder)
            if taken is not None:
                return Proceed(self._store, named, holder, known, taken, repeats=repeats)
        raise IdempotencyInFlight

    def _named(self, scope: str, key: str) -> "_Key":
        name = f"{len(scope)} {scope}{key}"
        digest = hmac.digest(self._secret, name.encode("utf-8", "surrogatepass"), "sha256")
        upstream = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return _Key(name=name, upstream=upstream, lifetime=self._lifetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """One caller's key on one route: its row's name, and by what the service knows it."""

    name: str = field(repr=False)
    upstream: str
    lifetime: timedelta

    def item(self, row: Row) -> Kept:
        return Kept(kind=KIND, key=self.name, value=row.to_json(), lifetime=self.lifetime)


class Proceed:
    """A call that may be made, by whoever has this and nobody else, inside `async with`."""

    def __init__(self, store: Store, key: _Key, holder: Holder, row: Row, content: bytes, *, repeats: bool) -> None:
        self._store, self._key, self._holder = store, key, holder
        self._row, self._content, self._repeats = row, content, repeats
        self._sent_before = row.state is State.SENT
        self._over = False
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew(), name="idempotency-lease")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self._over:
            return
        try:
            await (self.leave() if self._row.state is State.SENT else self.abandon())
        except Unavailable as why:  # the lease lapses by itself
            log.warning("idempotency-left", detail=why.detail)

    async def sending(self) -> str:
        """The service may be reached from now on; by which key it knows the call. On disk when this returns.

        That key is always the same for one caller's key on one route. Raises `IdempotencyInFlight` if somebody took the
        call over meanwhile, `Unavailable`.
        """
        if self._row.state is State.BEGUN:
            row = Row(state=State.SENT, fingerprint=self._row.fingerprint)
            content = await self._store.swap(self._key.item(row), self._content, self._holder)
            if content is None:
                self._over = True
                raise IdempotencyInFlight
            self._row, self._content = row, content
        return self._key.upstream

    async def finish(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Replay:
        """The service answered: keep the answer, on disk, and get the one to give.

        That is the first one that was kept for this call. Nothing is kept of an answer that settles nothing, or is too
        large. Raises `Unavailable`: then nobody knows what is kept, and nothing may be given.
        """
        answer = Replay(status=status, headers=tuple(headers), body=body)
        if not settles(status, repeats=self._repeats) or len(body) > MOST_ANSWER:
            await self.leave()
            return answer
        item = self._key.item(Row(state=State.ANSWERED, fingerprint=self._row.fingerprint, answer=answer))
        content = self._content
        for _ in range(_TRIES):
            if await self._store.swap(item, content) is not None:
                self._over = True
                return answer
            held = await self._store.hold(item, Holder(id=self._holder.id, lease=_AT_ONCE))
            kept = Row.from_json(held.value).answer
            if kept is not None:
                self._over = True
                return kept
            content = held.content
        raise Unavailable("the answer to a call with a key cannot be kept")

    async def leave(self) -> None:
        """Nobody knows whether the service did it: the row stays as it is, for the next try to find."""
        self._over = True
        await self._store.let_go(KIND, self._key.name, self._holder)

    async def abandon(self) -> None:
        """The service was surely not reached, this time: as if this call had never been made.

        But where an earlier try may have reached it, and where there may have been several (`repeats`).
        """
        if self._sent_before or (self._repeats and self._row.state is State.SENT):
            await self.leave()
            return
        self._over = True
        await self._store.drop(KIND, self._key.name, self._content)

    async def _renew(self) -> None:
        pause = self._holder.lease.total_seconds() / 3
        while True:
            await asyncio.sleep(pause)
            with contextlib.suppress(Unavailable):  # tried again; if the lease lapses meanwhile, nothing unsafe follows
                await self._store.hold_on(KIND, self._key.name, self._content, self._holder)
