"""What the store keeps of council requests, and the steps by which nothing is lost and nothing sent twice.

Every row of a request has one name, so that a step may touch several. The steps:

1. *accept*: request and first round are on disk before anybody hears that they were accepted.
2. *lease*: one process at a time runs a request; it asks for more time every few seconds.
3. *claim*: before a question leaves, it is on disk that it leaves, and only the lease's holder can claim. A claim is
   taken once; what was claimed and has no end when another process takes the request up is known to be uncertain.
4. *end*: an answer is added once, and is on disk before anybody hears of it.

A command may reach the server twice (`gateway/wire.py`), so each step knows its own work again.
"""

import secrets
from datetime import timedelta
from enum import Enum

from federation.council.answers import Answer
from federation.council.told import Request, Round
from gateway.store import Store

MOST_OWN = 100
"""Requests of one municipality that are kept: the newest."""

_ENDED = b"ended"

_LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_CLAIM = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local held = redis.call('HGET', KEYS[2], ARGV[2])
if held == ARGV[3] then return 1 end
if (held or '') ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
"""

_END = """
if redis.call('HGET', KEYS[1], ARGV[1]) == 'ended' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], 'ended')
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"""

_ROUND = """
if redis.call('LLEN', KEYS[1]) == tonumber(ARGV[1]) then redis.call('RPUSH', KEYS[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('LLEN', KEYS[1])
"""

_OWN = """
local length = redis.call('LLEN', KEYS[1])
if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[1] then redis.call('LPUSH', KEYS[1], ARGV[1]) end
redis.call('LTRIM', KEYS[1], 0, ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return length
"""


class Claim(Enum):
    """What came of claiming a target. LOST: the lease is somebody else's."""

    LOST = -1
    TAKEN = 0
    MINE = 1


class Rows:
    """The rows of one region's council requests, by its public address.

    Each step raises `Unavailable` while the server does not answer.
    """

    def __init__(self, store: Store, region: str) -> None:
        self._store = store
        self._region = region

    # --- requests and rounds

    async def accept(self, request: Request, keep: timedelta) -> None:
        """Keep a new request with its first round; on disk when this returns."""
        name, own = self._name("council-request", request.id), self._own(request.asker.municipality)
        await self._store.send(
            ("SET", name, self._store.sealed(name, request.to_json()), "PX", _ms(keep)),
            self._added(request.id, request.round, keep),
            ("EVAL", _OWN, 1, own, self._store.sealed(own, {"id": request.id}), MOST_OWN - 1, _ms(keep)),
            self._opening(request),
            durably=True,
        )

    async def repeat(self, request: Request, again: Round, keep: timedelta) -> None:
        """Add a round to a request that has ended, whose lease is held; on disk when this returns."""
        kinds = ("council-request", "council-member", "council-answer")
        await self._store.send(
            self._added(request.id, again, keep),
            *(("PEXPIRE", self._name(kind, request.id), _ms(keep)) for kind in kinds),
            self._opening(request),
            durably=True,
        )

    def _added(self, request_id: str, found: Round, keep: timedelta) -> tuple[str | int | bytes, ...]:
        name = self._name("council-round", request_id)
        return "EVAL", _ROUND, 1, name, found.number, self._store.sealed(name, found.to_json()), _ms(keep)

    def _opening(self, request: Request) -> tuple[str | int | bytes, ...]:
        name = self._name("council-open", "")
        stated = {"id": request.id, "municipality": request.asker.municipality}
        return "HSET", name, self._field(request.id), self._store.sealed(name, stated)

    async def read(self, request_id: str) -> Request | None:
        """A request with its rounds, or None."""
        name, rounds = self._name("council-request", request_id), self._name("council-round", request_id)
        found, listed = await self._store.send(("GET", name), ("LRANGE", rounds, 0, -1))
        value = self._store.opened(name, found)
        read = [self._store.opened(rounds, each) for each in listed]
        if value is None or not read or None in read:
            return None
        return Request.from_json(value, (Round.from_json(each) for each in read if each is not None))

    async def forget_old(self, municipality: str) -> None:
        """Make room for one more request of a municipality: what would be more than `MOST_OWN` is forgotten."""
        name = self._own(municipality)
        (found,) = await self._store.send(("LRANGE", name, MOST_OWN - 1, -1))
        listed = [each["id"] for each in (self._store.opened(name, content) for content in found) if each is not None]
        kinds = ("council-request", "council-round", "council-member", "council-answer", "council-stop")
        await self._store.send(*(("DEL", self._name(kind, each)) for each in listed for kind in kinds))

    async def own(self, municipality: str) -> list[Request]:
        """The requests of a municipality's systems, the newest first."""
        name = self._own(municipality)
        (found,) = await self._store.send(("LRANGE", name, 0, MOST_OWN - 1))
        listed = [self._store.opened(name, each) for each in found]
        read = [await self.read(each["id"]) for each in listed if each is not None]
        return [each for each in read if each is not None]

    async def open(self) -> dict[str, str]:
        """The ids of requests under way, or not looked at since they ended, with the askers' municipalities."""
        name = self._name("council-open", "")
        (found,) = await self._store.send(("HVALS", name))
        read = (self._store.opened(name, each) for each in found)
        return {each["id"]: each["municipality"] for each in read if each is not None}

    async def close(self, request_id: str) -> None:
        """Take a request that has ended out of those under way."""
        await self._store.send(("HDEL", self._name("council-open", ""), self._field(request_id)))

    # --- one process runs it

    async def lease(self, request_id: str, holder: str, lifetime: timedelta) -> bool:
        """Whether `holder` alone may run the request for `lifetime`; asked again, it lasts longer."""
        name = self._name("council-lease", request_id)
        (given,) = await self._store.send(("EVAL", _LEASE, 1, name, holder, _ms(lifetime)))
        return bool(given)

    async def release(self, request_id: str, holder: str) -> None:
        """End a lease; nothing happens if `holder` does not have it any more."""
        await self._store.send(("EVAL", _RELEASE, 1, self._name("council-lease", request_id), holder))

    async def cancel(self, request_id: str, number: int, keep: timedelta) -> None:
        """Ask whoever runs the request to stop this round."""
        await self._store.send(("SET", self._name("council-stop", request_id), number, "PX", _ms(keep)), durably=True)

    async def cancelled(self, request_id: str, number: int) -> bool:
        """Whether the round was cancelled."""
        (found,) = await self._store.send(("GET", self._name("council-stop", request_id)))
        return found is not None and found == str(number).encode()

    # --- targets

    async def claimed(self, request_id: str, number: int) -> dict[str, bytes]:
        """The targets of a round whose question left, or was about to, and that have no end; with their claims."""
        (found,) = await self._store.send(("HGETALL", self._name("council-member", request_id)))
        ours = ((name.decode().partition(":"), value) for name, value in found.items())
        return {code: value for (stated, _, code), value in ours if stated == str(number) and value != _ENDED}

    async def claim(
        self, request_id: str, holder: str, number: int, code: str, keep: timedelta, *, mark: bytes, former: bytes = b""
    ) -> Claim:
        """Claim a target of a round by a `mark` (`new_mark`), for asking it once; on disk when this returns.

        `former`: the claim of a process that is gone, in the place of which this one comes.
        """
        (found,) = await self._store.send(
            (
                *("EVAL", _CLAIM, 2, self._name("council-lease", request_id), self._name("council-member", request_id)),
                *(holder, f"{number}:{code}", mark, former, _ms(keep)),
            ),
            durably=True,
        )
        return Claim(found)

    async def end(self, request_id: str, answer: Answer, keep: timedelta) -> None:
        """Add the end of a target, once for each round; on disk when this returns."""
        members, answers = self._name("council-member", request_id), self._name("council-answer", request_id)
        content = self._store.sealed(answers, answer.to_json())
        await self._store.send(
            ("EVAL", _END, 2, members, answers, f"{answer.round}:{answer.code}", content, _ms(keep)), durably=True
        )

    async def answers(self, request_id: str, after: int = 0, most: int | None = None) -> list[Answer]:
        """The answers behind the first `after` ones, in the order of their ends; at most `most`."""
        name = self._name("council-answer", request_id)
        (found,) = await self._store.send(("LRANGE", name, after, -1 if most is None else after + most - 1))
        read = (self._store.opened(name, each) for each in found)
        return [Answer.from_json(each) for each in read if each is not None]

    # --- names

    def _name(self, kind: str, request_id: str) -> str:
        return self._store.named(kind, f"{self._region} {request_id}")

    def _own(self, municipality: str) -> str:
        return self._name("council-own", municipality)

    def _field(self, request_id: str) -> str:
        return self._name("council-open", request_id).rpartition(":")[2]


def new_mark(former: bytes = b"") -> bytes:
    """What a claim is known again by, and that it comes in the place of another one."""
    return (b"again " if former else b"sent ") + secrets.token_hex(8).encode()


def is_first(former: bytes) -> bool:
    """Whether the claim of a process that is gone was the target's first one in its round."""
    return former.startswith(b"sent ")


def _ms(lifetime: timedelta) -> int:
    return max(1, int(lifetime.total_seconds() * 1000))
