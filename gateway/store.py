"""Everything the gateway keeps between two requests: one engine (the Redis protocol), one table of keys.

| kind | key | value | lifetime | how it is used |
|---|---|---|---|---|
| flow | `kakehashi:flow:{digest}` | sealed | `limits.flow_minutes` | read, then taken once (`GETDEL`) |
| code | `kakehashi:code:{digest}` | sealed | the code's | exchanged for a tombstone (`SET XX GET`) |
| userinfo | `kakehashi:userinfo:{digest}` | sealed | the access token's | put once (`NX`), read; replaced to revoke |
| client-assertion | `kakehashi:client-assertion:{digest}` | sealed | the assertion's | claimed once (`NX`) |
| dpop-proof | `kakehashi:dpop-proof:{digest}` | sealed | while the proof could be believed | claimed once (`NX`) |
| assertion | `kakehashi:assertion:{digest}` | sealed | while the assertion could be believed | claimed once (`NX`) |
| consent | `kakehashi:consent:{person}:service` | JSON | until it expires | on disk before it is acknowledged |
| consents | `kakehashi:consents:{person}` | set of services' ids | the longest's | whom `consent` may be found for |
| own-session | `kakehashi:own-session:{digest}` | sealed | ten minutes | read, replaced, forgotten |
| naming-key | `kakehashi:naming-key:{keyed digest}` | sealed | for ever | put once (`NX`); on disk first |
| sessions | `kakehashi:sessions:{keyed digest}` | list, each sealed | the longest's | the newest 64 of one person |
| session-name | `kakehashi:session-name:{keyed digest}` | sealed | the session's | a NameID at one peer: whose it is |
| session-bases | `kakehashi:session-bases:{keyed digest}` | sorted set, each sealed | the longest's | by last end |
| session-basis | `kakehashi:session-basis:{keyed digest}` | sorted set, each sealed | the longest's | sessions by end |
| signing-order, -browser, -end | `kakehashi:signing-order:{digest}` | sealed | 24, 1, 24 hours | put once (`NX`) |
| signing-round, -trouble | `kakehashi:signing-round:{digest}` | sealed | minutes | replaced |
| signing-request | `kakehashi:signing-request:{digest}` | sealed | the request's | read, taken once (`GETDEL`) |
| signing-answer | `kakehashi:signing-answer:{digest}` | sealed | minutes | put once (`NX`), taken once (`GETDEL`) |
| signing-tries | `kakehashi:signing-tries:{digest}` | a number | 1 hour | counted (`INCR`) |
| watched | `kakehashi:watched:{keyed digest}` | sorted set, each sealed | the longest's | by last end |
| watched-certificate | `kakehashi:watched-certificate:{keyed digest}` | sealed | the session's | asked about |
| newest-certificate | `kakehashi:newest-certificate:{keyed digest}` | number, HMAC | for ever | raised only; on disk |
| certificate-person | `kakehashi:certificate-person:{keyed digest}` | sealed | for ever | put once (`NX`); on disk |
| revoked | `kakehashi:revoked:{keyed digest}` | stream, each sealed | while tokens live | read on by all |
| certificate-request | `kakehashi:certificate-request:{digest}` | sealed | the request's | read, until it is answered |
| certificate-fetched | `kakehashi:certificate-fetched:{digest}` | sealed | minutes | put once (`NX`) |
| certificate-trouble | `kakehashi:certificate-trouble:{digest}` | sealed | minutes | why the last answer did not do |
| certificate-answer | `kakehashi:certificate-answer:{digest}` | sealed | minutes | put once (`NX`), then taken |
| certificate-tries | `kakehashi:certificate-tries:{digest}` | a number | minutes | counted (`INCR`) |
| certificate-news | `kakehashi:certificate-news:{keyed digest}` | stream, each sealed | a minute | who waits reads on |
| idempotency | `kakehashi:idempotency:{keyed digest}` | sealed | 24 hours | put once (`NX`), swapped; on disk first |
| idempotency-lease | `kakehashi:idempotency-lease:{keyed digest}` | a token | seconds | a lease |
| logout | `kakehashi:logout:{digest}` | sealed | `limits.flow_minutes` | read, then taken once (`GETDEL`) |
| logout-request | `kakehashi:logout-request:{digest}` | sealed | while it could be believed | claimed once (`NX`) |
| high-water | `kakehashi:high-water:{keyed digest}` | numbers, digests, HMACs | for ever | raised only; on disk first |
| decisions | `kakehashi:decisions:{keyed digest}` | hash, sealed | for ever | added once (`HSETNX`); on disk first |
| refresh | `kakehashi:refresh:{keyed digest}` | a token | while one node fetches | a lease |
| durable | `kakehashi:durable` | nothing | two seconds | written at the start, to see that it reaches the disk |
| council-request | `kakehashi:council-request:{keyed digest}` | sealed | `council.keep_days` | on disk first |
| council-round | `kakehashi:council-round:{keyed digest}` | list, each sealed | the same | added once; on disk first |
| council-member | `kakehashi:council-member:{keyed digest}` | hash: sent, ended | the same | on disk first |
| council-answer | `kakehashi:council-answer:{keyed digest}` | list, each sealed | the same | added once; on disk |
| council-lease | `kakehashi:council-lease:{keyed digest}` | a token | while one process asks | a lease |
| council-stop | `kakehashi:council-stop:{keyed digest}` | a number | `council.keep_days` | the round cancelled |
| council-open | `kakehashi:council-open:{keyed digest}` | hash, each sealed | while any is | those under way |
| council-own | `kakehashi:council-own:{keyed digest}` | list, each sealed | the last one's | a member's newest 100 |
| quota | `kakehashi:quota:{keyed digest}` | a number | until it says nothing more | moved on by every process |
| addresses | `kakehashi:addresses:{keyed digest}` | hash, each sealed | ten seconds | a process's own, best effort |
| series | `kakehashi:series:{minute}` | hash of counters | 25 hours | added to (`HINCRBY`), best effort |

The braces are Redis Cluster hash tags, and stand in the key. A digest is the SHA-256 of the handle, code or
the like, in hexadecimal, so that the store's files hold no usable one; a keyed one is an HMAC, where what it
is made of could be guessed (a NameID may be somebody's number), or where gateways that share a server are told apart
by their public address (`high-water`, `decisions`, `refresh`). Sealed means AES-256-GCM under a key
of the state directory, with the whole key's name as additional data: the files hold no attribute of a person,
and no value can be moved to another name. Of sorted sets each member is sealed so that the same text is the same member
(AES-SIV): a basis (an ID system, a service and a level), and a session that rests on it, by its id and its person.
A consent holds a person's reference (`federation/identifiers.py`) and names of attributes, never a value. Lost flows,
codes and claims are begun again by the person; a lost consent would be asked again, but its record is evidence, so it
is flushed first. A lost `certificate-person` makes somebody new of a person whose certificate was renewed and shown to
be theirs (`federation/certificate/relinking.py`).
"""

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from federation.consent import ConsentRecord
from federation.identifiers import KeyName, PersonRef
from federation.model import Keep, Kept
from federation.refusal import Unavailable
from federation.sessions import Basis, Session, session_from_json
from federation.web import Json
from gateway.wire import Command, Wire
from trust_lists.admission import Mark

PREFIX = "kakehashi"

CLAIMED = frozenset({"assertion", "client-assertion", "dpop-proof"})
"""Kinds that are claims: kept only if nobody kept them before."""

MOST_SESSIONS = 64
"""How many sessions of one person are remembered: the newest; nobody can fill the store by signing in."""

SERIES_LIFETIME = timedelta(hours=25)

ANSWER_SECONDS = 2.0
"""How long one round trip may take before the store counts as down."""

FLUSH_MILLISECONDS = 2000
"""How long a durable write may wait for its flush (`WAITAOF`) on a server that does not flush each write."""


_RAISE = """
for i = 1, #ARGV, 2 do
  local held = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^%d+')
  local mark = string.match(ARGV[i + 1], '^%d+')
  local bare = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '', '^%d+:%x+$')
  if not held or #held < #mark or (#held == #mark and held < mark)
    or (held == mark and bare and not string.match(ARGV[i + 1], '^%d+:%x+$')) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
local all = {}
for _, text in ipairs(redis.call('HKEYS', KEYS[1])) do
  all[#all + 1] = text
  all[#all + 1] = redis.call('HGET', KEYS[1], text)
end
return all
"""
"""Whole numbers as text, compared by length and then by digits: Lua's own lose the last digits of large ones.

Of the same number the first one stays, unless only the new one knows what was admitted under it.
"""

_MARK = re.compile(r"([0-9]{1,4000}):(?:([0-9a-f]{64})\.([0-9a-f]{64}):)?[0-9a-f]{64}", re.ASCII)
"""A number, the digests of what was admitted under it if it is known, and a code of ours."""

_NEWEST = "newest"

_LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_ADD = """
local now = redis.call('TIME')
local oldest = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[2])
return redis.call('XADD', KEYS[1], 'MINID', '=', oldest, '*', 'value', ARGV[1])
"""
"""The server's own clock says what is old: by one of ours that is wrong the others would not hear of it."""

_MOVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + ARGV[1]
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.floor((arrival - now) / 1000) + 1)
return string.format('%.0f', arrival - now)
"""
"""By the server's own clock, which all processes share; microseconds since the epoch are whole numbers here."""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


_HOLD = """
local held = redis.call('GET', KEYS[1])
if held then return {held, redis.call('EXISTS', KEYS[2])} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
return {}
"""

_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5]) end
return 1
"""

_HOLD_ON = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
"""

_DROP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1], KEYS[2])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who works on a row, and how long that counts unless they say so again: `id` is nobody else's."""

    id: str
    lease: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A row that one works on at a time.

    `new`: it was put just now. `content` is the row as it stands in the store, different after every change; `leased`:
    somebody works on it.
    """

    new: bool
    content: bytes = field(repr=False)
    value: Json = field(repr=False)
    leased: bool


class AlreadyClaimedError(Exception):
    """A claim was kept before: the message that it stands for is a replay."""


class StoreUnfitError(Exception):
    """The server cannot hold what must not be lost; the text says what was expected and what to do."""


class Arrived(NamedTuple):
    """What is known of a person who arrives; `flow` None: it was taken before."""

    flow: Json | None
    consent: ConsentRecord | None
    key: KeyName


class Store:
    """The table above, as operations. Each raises `Unavailable` while the server does not answer."""

    def __init__(self, client: Redis, sealing: bytes, *, waits_for_disk: bool) -> None:
        """`waits_for_disk`: ask the server itself for the flush of durable writes (it does not flush each write)."""
        self._wire = Wire(client)
        self._seal = AESGCM(sealing)
        self._naming = hmac.digest(sealing, b"kakehashi names of keys", "sha256")
        self._members = AESSIV(hmac.digest(sealing, b"kakehashi members of sets", "sha512"))
        self._waits_for_disk = waits_for_disk

    async def close(self) -> None:
        """Give the connections back."""
        await self._wire.close()

    # --- flows: put, read again (a page may be reloaded), taken once

    async def put_flow(self, handle: str, flow: Json, lifetime: timedelta) -> None:
        """Keep a flow under its handle."""
        await self.put_flows({handle: flow}, lifetime)

    async def put_flows(self, flows: Mapping[str, Json], lifetime: timedelta) -> None:
        """Keep several flows under their handles, in one round trip."""
        items = (Kept(kind="flow", key=handle, value=flow, lifetime=lifetime) for handle, flow in flows.items())
        await self._send(*(self._set(item) for item in items))

    async def read_flow(self, handle: str) -> Json | None:
        """The flow, which stays, or None."""
        return await self.read("flow", handle)

    async def take_flow(self, handle: str) -> Json | None:
        """The flow, which is gone for everybody else, or None."""
        return await self.take("flow", handle)

    async def arrive(self, handle: str, person: PersonRef, service: str, present: KeyName) -> Arrived:
        """Take the flow of a person who arrives: `take_flow`, `consent` and `naming_key`, mostly in one round trip."""
        name, key = _name("flow", handle), self._keyed("naming-key", person)
        flow, record, held = await self._send(("GETDEL", name), ("GET", _consent_name(person, service)), ("GET", key))
        return Arrived(
            self._opened(name, flow),
            None if record is None else ConsentRecord.from_json(json.loads(record)),
            await self._named(key, held, present),
        )

    async def finish(
        self,
        handle: str,
        *,
        keep: Keep,
        once: Kept | None,
        session: Session,
        watched: tuple[str, Json] | None,
        now: datetime,
    ) -> bool:
        """Take a flow's first step, and keep what its answer needs, in one round trip.

        `watched` is a certificate, by its key (`watch_certificate`); it follows the session, since whoever finds it
        revoked ends the sessions that there are. Answers False if the step was taken before: then the answer must not
        leave. Raises `AlreadyClaimedError` if `once` was claimed before.
        """
        taken, *answers = await self._send(
            ("GETDEL", _name("flow", handle)),
            *(self._set(item, first=True) for item in (() if once is None else (once,))),
            *(self._set(item, first=item.kind in CLAIMED) for item in keep.items),
            *self._remembered(session, now),
            *(() if watched is None else self._watching(*watched, session.until, now)),
        )
        if once is not None and answers[0] is None:
            raise AlreadyClaimedError
        return taken is not None

    # --- what frontends ask to be kept

    async def keep(self, keep: Keep, *, first: bool = False) -> None:
        """Keep all of it.

        Raises `AlreadyClaimedError` if one of a kind that is claimed (with `first`: of any kind) was kept
        before.
        """
        if not keep.items:
            return
        answers = await self._send(*(self._set(item, first=first or item.kind in CLAIMED) for item in keep.items))
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
        return self._opened(name, *await self._send(("GET", name)))

    async def take(self, kind: str, key: str) -> Json | None:
        """What is kept, which is gone for everybody else, or None."""
        name = _name(kind, key)
        return self._opened(name, *await self._send(("GETDEL", name)))

    async def exchange(self, kind: str, key: str, successor: Json, lifetime: timedelta) -> Json | None:
        """What is kept, replaced by `successor` in the same step, or None (then nothing is left behind)."""
        name = _name(kind, key)
        command = ("SET", name, self._sealed(name, successor), "PX", _milliseconds(lifetime), "XX", "GET")
        return self._opened(name, *await self._send(command))

    async def read_all(self, *items: tuple[str, str]) -> tuple[Json | None, ...]:
        """What is kept under each kind and key, in one round trip; all of it stays."""
        names = [_name(kind, key) for kind, key in items]
        found = await self._send(*(("GET", name) for name in names))
        return tuple(self._opened(name, content) for name, content in zip(names, found, strict=True))

    async def count(self, kind: str, key: str, lifetime: timedelta) -> int:
        """How often this was asked, this time included; forgotten `lifetime` after the first time."""
        number, _ = await self._send(*self._counted(kind, key, lifetime))
        return int(number)

    async def count_and_read(
        self, kind: str, key: str, lifetime: timedelta, *items: tuple[str, str]
    ) -> tuple[int, tuple[Json | None, ...]]:
        """`count` and `read_all`, in one round trip."""
        names = [_name(*item) for item in items]
        commands = (*self._counted(kind, key, lifetime), *(("GET", name) for name in names))
        number, _, *found = await self._send(*commands)
        return int(number), tuple(self._opened(name, content) for name, content in zip(names, found, strict=True))

    def _counted(self, kind: str, key: str, lifetime: timedelta) -> tuple[Command, Command]:
        name = _name(kind, key)
        return ("INCR", name), ("PEXPIRE", name, _milliseconds(lifetime), "NX")

    async def forget(self, kind: str, key: str) -> None:
        """Remove what is kept, if anything is."""
        await self._send(("DEL", _name(kind, key)))

    # --- rows that one works on at a time, under a lease that lapses when whoever has it is gone

    async def hold(self, item: Kept, holder: Holder) -> Held:
        """Put a row, leased to `holder`, unless there is one: then that one, untouched.

        Raises `Unavailable` for a row that cannot be opened: what happened before is not forgotten because of that.
        """
        name, lease = self._leased(item.kind, item.key)
        content = self._sealed(name, item.value)
        given = (content, _milliseconds(item.lifetime), holder.id, _milliseconds(holder.lease))
        (found,) = await self._send(("EVAL", _HOLD, 2, name, lease, *given))
        if not found:
            return Held(new=True, content=content, value=item.value, leased=True)
        held = self._opened(name, found[0])
        if held is None:
            raise Unavailable(f"a row of the kind {item.kind} cannot be read")
        return Held(new=False, content=found[0], value=held, leased=bool(found[1]))

    async def swap(self, item: Kept, content: bytes, holder: Holder | None = None) -> bytes | None:
        """Put a row in the place of exactly `content`, leased to `holder`, or to nobody; its content now.

        None if something else stands there. On disk when this returns.
        """
        name, lease = self._leased(item.kind, item.key)
        changed = self._sealed(name, item.value)
        leased = ("", 0) if holder is None else (holder.id, _milliseconds(holder.lease))
        given = (content, changed, _milliseconds(item.lifetime), *leased)
        (done,) = await self._durably(("EVAL", _SWAP, 2, name, lease, *given))
        return changed if done else None

    async def hold_on(self, kind: str, key: str, content: bytes, holder: Holder) -> None:
        """Lease a row for longer, if it is still exactly `content`."""
        given = (content, holder.id, _milliseconds(holder.lease))
        await self._send(("EVAL", _HOLD_ON, 2, *self._leased(kind, key), *given))

    async def let_go(self, kind: str, key: str, holder: Holder) -> None:
        """End a lease; the row stays."""
        await self._send(("EVAL", _RELEASE, 1, self._leased(kind, key)[1], holder.id))

    async def drop(self, kind: str, key: str, content: bytes) -> None:
        """Remove a row, if it is still exactly `content`."""
        await self._send(("EVAL", _DROP, 2, *self._leased(kind, key), content))

    def _leased(self, kind: str, key: str) -> tuple[str, str]:
        """The names of a row and of its lease: of one hash tag, so that one script may ask both."""
        name = self._keyed(kind, key)
        return name, name.replace(f":{kind}:", f":{kind}-lease:", 1)

    # --- sessions: remembered for single logout, in one round trip

    async def remember(self, session: Session, now: datetime) -> None:
        """Keep a session until it ends, to be found by its person and by each of its names."""
        await self._send(*self._remembered(session, now))

    def _remembered(self, session: Session, now: datetime) -> Iterator[Command]:
        lifetime = _milliseconds(session.until - now)
        sessions = self._keyed("sessions", session.person)
        yield "RPUSH", sessions, self._sealed(sessions, session.to_json())
        yield "LTRIM", sessions, -MOST_SESSIONS, -1
        yield "PEXPIRE", sessions, lifetime, "NX"
        yield "PEXPIRE", sessions, lifetime, "GT"
        for each in session.names():
            name = self._keyed("session-name", each)
            yield "SET", name, self._sealed(name, {"person": session.person}), "PX", lifetime
        basis, bases = self._basis(session.basis), self._keyed("session-bases", "")
        end = int(session.until.timestamp() * 1000)
        yield "ZADD", basis, end, self._member(basis, _indexed(session))
        yield "ZREMRANGEBYSCORE", basis, "-inf", int(now.timestamp() * 1000)
        yield "ZADD", bases, "GT", end, self._member(bases, session.basis)
        for name in (basis, bases):
            yield "PEXPIRE", name, lifetime, "NX"
            yield "PEXPIRE", name, lifetime, "GT"

    async def sessions(self, name: str, now: datetime) -> tuple[Session, ...] | None:
        """Every session in force of the person who is called `name` somewhere; None if nobody is."""
        pointer = self._keyed("session-name", name)
        found = self._opened(pointer, *await self._send(("GET", pointer)))
        if found is None:
            return None
        return await self.of_person(PersonRef(found["person"]), now)

    async def end(self, sessions: Iterable[Session]) -> tuple[Session, ...]:
        """Forget these sessions of one person; those that nobody else ended meanwhile."""
        wanted = {session.id: session for session in sessions}
        if not wanted:
            return ()
        person = next(iter(wanted.values())).person
        name = self._keyed("sessions", person)
        kept = {content: session for content, session in (await self._sessions(person)).items() if session.id in wanted}
        removed = await self._send(
            *(("LREM", name, 0, content) for content in kept),
            *(self._no_longer(self._basis(each.basis), _indexed(each)) for each in wanted.values()),
        )
        return tuple(session for session, count in zip(kept.values(), removed, strict=False) if count)

    # --- what ended before its time: every process reads on

    async def add_revocation(self, value: Json, lifetime: timedelta) -> None:
        """Let every process know of it; those that come within `lifetime`, too."""
        name = self._keyed("revoked", "")
        await self._send(("EVAL", _ADD, 1, name, self._sealed(name, value), _milliseconds(lifetime)))

    async def revocations(self, after: str, *, most: int = 1000) -> tuple[str, tuple[Json, ...]]:
        """The next ones after a place, "" for the first, at most `most`; and the place behind them."""
        name = self._keyed("revoked", "")
        begin = f"({after}" if after else "-"
        (found,) = await self._send(("XRANGE", name, begin, "+", "COUNT", most))
        opened = (self._opened(name, pair[1]) for _, pair in found)
        return found[-1][0].decode() if found else after, tuple(each for each in opened if each is not None)

    # --- what a page waits for: read on by every process in which somebody does

    async def add_news(self, value: Json, lifetime: timedelta) -> None:
        """Let every process know of it that reads on now; it is dropped after `lifetime`."""
        await self._send(self._news(value, lifetime))

    async def keep_with_news(self, item: Kept, value: Json, lifetime: timedelta) -> bool:
        """Keep the item unless one of its name is kept, and add news, in one round trip; whether it was the first.

        News that nothing came of only make somebody look.
        """
        first, _ = await self._send(self._set(item, first=True), self._news(value, lifetime))
        return first is not None

    async def forget_with_news(self, kind: str, key: str, value: Json, lifetime: timedelta) -> None:
        """Remove what is kept, if anything is, and add news, in one round trip."""
        await self._send(("DEL", _name(kind, key)), self._news(value, lifetime))

    def _news(self, value: Json, lifetime: timedelta) -> Command:
        name = self._keyed("certificate-news", "")
        return "EVAL", _ADD, 1, name, self._sealed(name, value), _milliseconds(lifetime)

    async def news_end(self) -> str:
        """The place behind the last news, from which `news` reads on."""
        (found,) = await self._send(("XREVRANGE", self._keyed("certificate-news", ""), "+", "-", "COUNT", 1))
        return found[0][0].decode() if found else "0"

    async def news(self, after: str, *, most: int = 1000) -> tuple[str, tuple[Json, ...]]:
        """The next ones after a place, at most `most`; and the place behind them."""
        name = self._keyed("certificate-news", "")
        (found,) = await self._send(("XRANGE", name, f"({after}", "+", "COUNT", most))
        opened = (self._opened(name, pair[1]) for _, pair in found)
        return found[-1][0].decode() if found else after, tuple(each for each in opened if each is not None)

    # --- certificates with which sessions began: asked about again while those may be in force

    async def watch_certificate(self, key: str, value: Json, until: datetime, now: datetime) -> None:
        """Keep what is needed to ask about a certificate again, at least until a session's end."""
        await self._send(*self._watching(key, value, until, now))

    def _watching(self, key: str, value: Json, until: datetime, now: datetime) -> Iterator[Command]:
        name, index = self._keyed("watched-certificate", key), self._keyed("watched", "")
        end, lifetime = int(until.timestamp() * 1000), _milliseconds(until - now)
        yield "SET", name, self._sealed(name, value), "PX", lifetime, "NX"
        yield "PEXPIRE", name, lifetime, "GT"
        yield "ZREMRANGEBYSCORE", index, "-inf", int(now.timestamp() * 1000)
        yield "ZADD", index, "GT", end, self._member(index, (key,))
        yield "PEXPIRE", index, lifetime, "NX"
        yield "PEXPIRE", index, lifetime, "GT"

    async def watched_certificates(self, now: datetime, *, most: int = 200) -> AsyncIterator[tuple[Json, ...]]:
        """What is kept of every certificate that is watched, `most` at a time."""
        index, moment = self._keyed("watched", ""), int(now.timestamp() * 1000)
        (found,) = await self._send(("ZRANGEBYSCORE", index, f"({moment}", "+inf"))
        for begin in range(0, len(found), most):
            members = found[begin : begin + most]
            keys = ((self._read_member(index, each) or [""])[0] for each in members)
            names = [self._keyed("watched-certificate", key) for key in keys]
            contents = await self._send(*(("GET", name) for name in names))
            values = [self._opened(name, content) for name, content in zip(names, contents, strict=True)]
            gone = [each for each, value in zip(members, values, strict=True) if value is None]
            if gone:
                await self._send(("ZREM", index, *gone))
            yield tuple(value for value in values if value is not None)

    async def unwatch_certificate(self, key: str) -> None:
        """Forget it."""
        index = self._keyed("watched", "")
        await self._send(("DEL", self._keyed("watched-certificate", key)), self._no_longer(index, (key,)))

    async def newest_certificate(self, person: PersonRef, not_before: datetime) -> tuple[datetime, bool]:
        """Since when the newest of a person's certificates is valid, in whole seconds; `not_before`, if that is later.

        And whether it follows an earlier one by this. On disk when this returns. It bears a code of ours: too late a
        time would keep the person out for ever.
        """
        key = self._keyed("newest-certificate", person)
        stated = int(not_before.timestamp())
        (content,) = await self._send(("HGET", key, _NEWEST))
        held = self._read_mark(key, _NEWEST, content or b"")
        rises = held is not None and held.sequence < stated
        if held is None or rises:
            held = (await self._raise(key, {_NEWEST: Mark(stated)}))[_NEWEST]
        return datetime.fromtimestamp(max(held.sequence, stated), UTC), rises

    # --- certificates whose issuer promises nothing: whose they are

    async def certificate_person(self, entity_id: str, subject: str) -> str | None:
        """The subject by which the person of a certificate was known first; None for one that was never used here.

        `entity_id` is the ID system's, `subject` what it calls the certificate's key. Raises `Unavailable` for what
        cannot be opened: nobody becomes another person because somebody wrote there.
        """
        name = self._certificate_person(entity_id, subject)
        (held,) = await self._send(("GET", name))
        return None if held is None else self._first_subject(name, held)

    async def keep_certificate_person(self, entity_id: str, subject: str, first: str) -> str:
        """Keep whose certificate it is, unless that is known: whose it is then. On disk when this returns."""
        name = self._certificate_person(entity_id, subject)
        (held,) = await self._durably(("SET", name, self._sealed(name, {"first": first}), "NX", "GET"))
        return first if held is None else self._first_subject(name, held)

    def _certificate_person(self, entity_id: str, subject: str) -> str:
        return self._keyed("certificate-person", json.dumps([entity_id, subject]))

    def _first_subject(self, name: str, content: bytes) -> str:
        kept = self._opened(name, content)
        if kept is None:
            raise Unavailable("whose certificate it is cannot be read")
        return str(kept["first"])

    async def bases(self, now: datetime) -> tuple[Basis, ...]:
        """What sessions in force rest on, or did not long ago: each stays until its last session would have ended."""
        name, moment = self._keyed("session-bases", ""), int(now.timestamp() * 1000)
        _, found = await self._send(
            ("ZREMRANGEBYSCORE", name, "-inf", moment), ("ZRANGEBYSCORE", name, f"({moment}", "+inf")
        )
        read = (self._read_member(name, each) for each in found)
        return tuple(Basis(parts[0], parts[1], int(parts[2])) for parts in read if parts is not None)

    async def resting_on(self, basis: Basis, now: datetime, *, most: int) -> tuple[Session, ...]:
        """Some sessions in force that rest on `basis`, at most `most`; none once there are none.

        What is in the index and not remembered any more is taken out of it, so that whoever ends what came gets the
        next ones.
        """
        name, moment = self._basis(basis), int(now.timestamp() * 1000)
        while True:
            (found,) = await self._send(("ZRANGEBYSCORE", name, f"({moment}", "+inf", "LIMIT", 0, most))
            if not found:
                return ()
            wanted: dict[str, bytes] = {}
            people: dict[str, None] = {}
            for each in found:
                session_id, person = self._read_member(name, each) or ("", "")
                wanted[session_id] = each
                people[person] = None
            kept = [
                each
                for person in people
                for each in await self.of_person(PersonRef(person), now)
                if each.id in wanted and each.basis == basis
            ]
            stale = set(found) - {wanted[each.id] for each in kept}
            if stale:
                await self._send(("ZREM", name, *stale))
            if kept:
                return tuple(kept)

    async def of_person(self, person: PersonRef, now: datetime) -> tuple[Session, ...]:
        """Every session in force of a person."""
        return tuple(each for each in (await self._sessions(person)).values() if each.until > now)

    def _basis(self, basis: Basis) -> str:
        return self._keyed("session-basis", _text(basis))

    def _no_longer(self, name: str, words: tuple[object, ...]) -> Command:
        return "ZREM", name, self._member(name, words)

    def _member(self, name: str, words: tuple[object, ...]) -> bytes:
        """Some words, none of which holds a space, as a member of a set: sealed, and always the same."""
        return self._members.encrypt(_text(words).encode(), [name.encode()])

    def _read_member(self, name: str, member: bytes) -> list[str] | None:
        try:
            return self._members.decrypt(member, [name.encode()]).decode().split(" ")
        except (InvalidTag, ValueError):
            return None

    async def _sessions(self, person: PersonRef) -> dict[bytes, Session]:
        """The sessions of a person under what is kept of each, the oldest first."""
        name = self._keyed("sessions", person)
        kept: list[bytes] = (await self._send(("LRANGE", name, 0, -1)))[0]
        opened = ((content, self._opened(name, content)) for content in kept)
        return {content: session_from_json(value) for content, value in opened if value is not None}

    # --- consents

    async def consent(self, person: PersonRef, service: str) -> ConsentRecord | None:
        """The consent that this person gave this service, or None."""
        (found,) = await self._send(("GET", _consent_name(person, service)))
        return None if found is None else ConsentRecord.from_json(json.loads(found))

    async def consents(self, person: PersonRef, services: Iterable[str]) -> tuple[ConsentRecord, ...]:
        """Every consent of this person that is kept, the withdrawn ones, too, by service.

        `services` are those of the region: consents that are older than the list of whom they were given to.
        """
        (members,) = await self._send(("SMEMBERS", _consents_name(person)))
        known = sorted({*services, *(member.decode() for member in members)})
        if not known:
            return ()
        (found,) = await self._send(("MGET", *(_consent_name(person, service) for service in known)))
        return tuple(ConsentRecord.from_json(json.loads(each)) for each in found if each is not None)

    async def save_consent(self, record: ConsentRecord) -> None:
        """Keep a consent; returns once it is on disk."""
        name, index = _consent_name(record.person, record.service), _consents_name(record.person)
        content = json.dumps(record.to_json(), ensure_ascii=False)
        expiry = int(record.expires_at.timestamp() * 1000)
        await self._durably(
            ("SET", name, content, "PXAT", expiry),
            ("SADD", index, record.service),
            ("PEXPIREAT", index, expiry, "NX"),
            ("PEXPIREAT", index, expiry, "GT"),
        )

    async def naming_key(self, person: PersonRef, present: KeyName) -> KeyName:
        """The key by which the person is named towards services, `present` if none was. On disk when this returns.

        Raises `Unavailable` for what cannot be opened: nobody is given another name because somebody wrote there.
        """
        name = self._keyed("naming-key", person)
        (held,) = await self._send(("GET", name))
        return await self._named(name, held, present)

    async def _named(self, name: str, held: bytes | None, present: KeyName) -> KeyName:
        if held is None:
            (held,) = await self._durably(("SET", name, self._sealed(name, {"key": present}), "NX", "GET"))
        kept = self._opened(name, held)
        if kept is None and held is not None:
            raise Unavailable("the name of the key by which a person is named cannot be read")
        return present if kept is None else KeyName(kept["key"])

    async def _durably(self, *commands: Command) -> list[Any]:
        """Send commands; their replies, once what they wrote is on disk."""
        if not self._waits_for_disk:  # this server flushes before it answers
            return await self._send(*commands)
        flush = ("WAITAOF", 1, 0, FLUSH_MILLISECONDS)
        *answers, flushed = await self._do(self._wire.send(*commands, flush, waits=True))
        if flushed[0] < 1:
            raise Unavailable("the store did not flush a write to disk in time")
        return answers

    # --- trust lists: what the nodes of one region (by its public address) know together

    async def raise_marks(self, region: str, marks: Mapping[str, Mark]) -> dict[str, Mark]:
        """Raise the highest sequence numbers of lists to `marks`, where those are higher; all of them, as they are now.

        On disk when this returns. Each bears a code of ours: too high a mark would keep lists out for ever, on every
        node, so what somebody else wrote there is taken away.
        """
        return await self._raise(self._keyed("high-water", region), marks)

    async def _raise(self, key: str, marks: Mapping[str, Mark]) -> dict[str, Mark]:
        own = {name: mark for name, mark in marks.items() if mark.sequence >= 0}
        pairs = [text for name, mark in own.items() for text in (name, self._mark(key, name, mark))]
        command: Command = ("EVAL", _RAISE, 1, key, *pairs)
        (found,) = await self._durably(command)
        read: dict[str, Mark] = {}
        forged: list[bytes] = []
        for name, written in zip(found[::2], found[1::2], strict=True):
            text = name.decode(errors="replace")
            mark = self._read_mark(key, text, written)
            if mark is not None:
                read[text] = mark
            else:
                forged.append(name)
        if forged:
            await self._durably(("HDEL", key, *forged), command)
        return {**read, **{name: read[name].higher(mark) if name in read else mark for name, mark in own.items()}}

    def _read_mark(self, key: str, name: str, written: bytes) -> Mark | None:
        """A mark that bears a code of ours."""
        stated = _MARK.fullmatch(written.decode(errors="replace"))
        mark = Mark(int(stated[1]), stated[2] or "", stated[3] or "") if stated else None
        if mark is None or not hmac.compare_digest(self._mark(key, name, mark).encode(), written):
            return None
        return mark

    def _mark(self, key: str, name: str, mark: Mark) -> str:
        known = f"{mark.sequence}:{mark.document}.{mark.content}" if mark.content else f"{mark.sequence}"
        about = f"{key} {name} {known}"
        return f"{known}:{hmac.digest(self._naming, about.encode(), 'sha256').hex()}"

    async def add_decisions(self, region: str, decisions: Mapping[str, Json]) -> None:
        """Add decisions under names of their own; one that is there stays. On disk when this returns."""
        name = self._keyed("decisions", region)
        if decisions:
            await self._durably(*(("HSETNX", name, key, self._sealed(name, each)) for key, each in decisions.items()))

    async def decisions(self, region: str) -> tuple[Json, ...]:
        """Every decision that was added, in no order."""
        name = self._keyed("decisions", region)
        (found,) = await self._send(("HVALS", name))
        return tuple(value for value in (self._opened(name, each) for each in found) if value is not None)

    async def lease(self, region: str, holder: str, lifetime: timedelta) -> bool:
        """Whether `holder` alone may fetch a list for the next `lifetime`; asked again, it lasts longer."""
        name = self._keyed("refresh", region)
        (given,) = await self._send(("EVAL", _LEASE, 1, name, holder, _milliseconds(lifetime)))
        return bool(given)

    async def release(self, region: str, holder: str) -> None:
        """End a lease; nothing happens if `holder` does not have it any more."""
        await self._send(("EVAL", _RELEASE, 1, self._keyed("refresh", region), holder))

    # --- quotas: where all processes together are

    async def move_quotas(self, told: Sequence[tuple[str, float, int]]) -> list[float]:
        """Move each name's arrival time (`federation/quota.py`) on by a number of calls of some seconds each.

        Answers how many seconds ahead of now each is, in one round trip.
        """
        if not told:
            return []
        found = await self._send(
            *(("EVAL", _MOVE, 1, self._keyed("quota", name), round(each * count * 1e6)) for name, each, count in told)
        )
        return [int(ahead) / 1e6 for ahead in found]

    # --- the operations page's counters

    async def add_series(self, counts: Mapping[int, Mapping[str, int]]) -> None:
        """Add counters by minute (since the epoch) and name to those of every other worker."""
        commands: list[Command] = []
        for minute, names in counts.items():
            key = f"{PREFIX}:series:{{{minute}}}"
            commands.extend(("HINCRBY", key, name, count) for name, count in names.items())
            commands.append(("PEXPIRE", key, _milliseconds(SERIES_LIFETIME)))
        await self._send(*commands)

    async def series(self, minutes: Iterable[int]) -> dict[int, dict[str, int]]:
        """The counters of those minutes, over all workers."""
        wanted = list(minutes)
        found = await self._send(*(("HGETALL", f"{PREFIX}:series:{{{minute}}}") for minute in wanted))
        return {
            minute: {name.decode(): int(count) for name, count in counters.items()}
            for minute, counters in zip(wanted, found, strict=True)
            if counters
        }

    # --- health

    async def round_trip(self) -> float:
        """Seconds that one round trip takes. Raises `Unavailable`."""
        begun = perf_counter()  # the loop's own clock counts whole milliseconds
        await self._send(("PING",))
        return perf_counter() - begun

    async def require_durability(self) -> None:
        """Refuse a server that would lose consents at a power cut, by one write that must reach its disk.

        Raises `StoreUnfitError`, `Unavailable`.
        """
        command = ("SET", f"{PREFIX}:durable", "?", "PX", FLUSH_MILLISECONDS)
        flush = ("WAITAOF", 1, 0, FLUSH_MILLISECONDS)
        _, flushed = await self._do(self._wire.replies(command, flush, waits=True))
        if isinstance(flushed, ResponseError) and "unknown command" in str(flushed):
            raise StoreUnfitError("store: the server does not know WAITAOF. Expected Redis 7.2 or later, or Valkey.")
        if isinstance(flushed, ResponseError) or flushed[0] < 1:
            raise StoreUnfitError(
                "store: the server does not write to disk, so consents would be lost. Set `appendonly yes` and "
                "`appendfsync everysec` or `always` there, or ask for `store-not-durable` under `weaker` in "
                "gateway.yaml."
            )

    # --- for rows that others own: `gateway/council/rows.py`

    async def send(self, *commands: Command, durably: bool = False) -> list[Any]:
        """Send commands, each of which does no harm if it is sent twice; `durably`: what they wrote is on disk then."""
        return await (self._durably(*commands) if durably else self._send(*commands))

    def named(self, kind: str, key: str) -> str:
        """The name of a row."""
        return self._keyed(kind, key)

    def sealed(self, name: str, value: Json) -> bytes:
        """What is kept under a name."""
        return self._sealed(name, value)

    def opened(self, name: str, content: bytes | None) -> Json | None:
        """What was kept; None if it is not there, or not ours."""
        return self._opened(name, content)

    # --- inside

    async def _send(self, *commands: Command) -> list[Any]:
        return await self._do(self._wire.send(*commands))

    async def _do(self, operation: Awaitable[list[Any]]) -> list[Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS + FLUSH_MILLISECONDS / 1000):
                return await operation
        except ResponseError as fault:  # say, a replica, a server without memory, a user without the right
            raise Unavailable(f"store: {type(fault).__name__} {_word(fault)}") from fault
        except (RedisError, OSError) as fault:
            raise Unavailable(f"store: {type(fault).__name__}") from fault

    def _set(self, item: Kept, *, first: bool = False) -> Command:
        name = _name(item.kind, item.key)
        command = ("SET", name, self._sealed(name, item.value), "PX", _milliseconds(item.lifetime))
        return (*command, "NX") if first else command

    def _keyed(self, kind: str, key: str) -> str:
        """The name of what belongs to a key that could be guessed."""
        digest = hmac.digest(self._naming, key.encode("utf-8", "surrogatepass"), "sha256")
        return f"{PREFIX}:{kind}:{{{digest.hex()}}}"

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
        protocol=3,  # maps come as maps
        socket_timeout=None,  # `Store` bounds whole operations; a bound on every reply costs as much as the reply
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


def _indexed(session: Session) -> tuple[str, str]:
    """A session as it stands under what it rests on."""
    return session.id, session.person


def _text(words: tuple[object, ...]) -> str:
    return " ".join(map(str, words))


def _consent_name(person: PersonRef, service: str) -> str:
    return f"{PREFIX}:consent:{{{person}}}:{service}"


def _consents_name(person: PersonRef) -> str:
    return f"{PREFIX}:consents:{{{person}}}"


def _milliseconds(lifetime: timedelta) -> int:
    return max(1, int(lifetime.total_seconds() * 1000))
