"""When lists are fetched, and by whom: one process of a node for all of its workers, and one node at a time.

What comes is first read by the same rules as later (`gateway/approval.py`), and only then put in the place of the good
one; every process of the node looks at that file and takes it over by itself. When to ask again follows from what the
list itself says; failures are tried again, ever later. Nodes that share a store take turns by a lease in it, tell one
another how high each list's sequence number ever was, and what people decided. A store that is away stops none of it.
"""

import asyncio
import contextlib
import hashlib
import json
import random
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from federation.refusal import Unavailable
from federation.web import Json
from gateway import approval, collecting, lists
from gateway.clock import Clock
from gateway.config import TrustSource
from gateway.decisions import Decision, Decisions, Word
from gateway.fetching import Fetched, Fetcher, FetchRefusedError
from gateway.lists import HighWater, Note, Shelf
from gateway.store import Store
from observability.events import FetchEvent, FetchOutcome, Recorder
from trust_lists import formats
from trust_lists.model import ListRefusedError, TrustList

log = structlog.get_logger("gateway.refreshing")

LOOK_SECONDS = 1.0
"""How often it is looked whether something is due, came, or was decided."""

LEASE, RENEWAL_SECONDS = timedelta(seconds=60), 20.0
"""For how long a node that died keeps the others from a list, and how often one that works asks for longer."""

TURN_SECONDS = 5.0
"""After how long a node asks again for its turn."""

LONGEST_QUEUE = timedelta(hours=1)
"""After how long a node fetches without a turn: whoever holds it, lists are not to be kept from it for ever."""

NEVER = datetime.max.replace(tzinfo=UTC)

MEDIA_TYPES = {"saml-metadata": "application/samlmetadata+xml, application/xml;q=0.9, */*;q=0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon a list is asked for again.

    With a good answer: as its authority says or half-way to its end, within `least` and `most`. After failures:
    `least`, or `first` while none is in force, doubled each time up to `cap`. Each varies by `jitter`, so that gateways
    that started together do not come together.
    """

    least: timedelta = timedelta(minutes=5)
    most: timedelta = timedelta(days=1)
    first: timedelta = timedelta(seconds=10)
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.1

    def wait(self, held: TrustList | None, *, at: datetime, failures: int, chance: float) -> timedelta:
        """How long to wait after asking at `at`; `held` is in force, `chance` is between -1 and 1."""
        if failures:
            base = self.first if held is None else self.least
            found = min(base * (1 << min(failures - 1, 20)), self.cap)
        elif held is None:
            found = self.cap
        else:
            asked = (held.refresh_after or self.most, (held.valid_until - at) / 2, self.most)
            found = max(self.least, min(asked))
        return found * (1 + self.jitter * chance)


@dataclass(slots=True)
class _Plan:
    """What is planned for a source. `seen` is the stamp of an operator's file that was taken up.

    `held` is the version in force as it was read last, and `read` what it was read from. `queued`: since when the node
    waits for its turn. `decided`: which versions that wait, and which decisions, were looked at together last.
    """

    source: TrustSource
    due: datetime
    failures: int = 0
    seen: str = ""
    waiting: bool = False
    queued: datetime | None = None
    decided: tuple[str, str] = ("", "")
    held: TrustList | None = None
    read: tuple[TrustSource, str] | None = None
    task: "asyncio.Task[None] | None" = None


class Refresher:
    """Asks for lists in the background of one process. `sources` answers those of the configuration in force."""

    def __init__(
        self,
        *,
        sources: Callable[[], Iterable[TrustSource]],
        state: Path,
        store: Store,
        region: str,
        fetcher: Fetcher,
        recorder: Recorder,
        clock: Clock,
        pace: Pace | None = None,
        chance: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - spreads load, keeps no secret
    ) -> None:
        self._sources = sources
        self._state = state
        self._store = store
        self._region = region
        self._fetcher = fetcher
        self._recorder = recorder
        self._clock = clock
        self._pace = pace or Pace()
        self._chance = chance
        self._me = secrets.token_hex(16)
        self._plans: dict[str, _Plan] = {}
        self._shared = ""
        self._told_away = False

    async def run(self) -> None:
        """Work until cancelled. A fault is logged, and the next look comes."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    log.exception("refresh-fault")
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            tasks = [plan.task for plan in self._plans.values() if plan.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def hurry(self) -> None:
        """Let every list be asked for now."""
        for plan in self._plans.values():
            plan.due, plan.seen = self._clock(), ""

    async def look(self) -> None:
        """Begin what is due. Raises `OSError`, `StateDirectoryError`."""
        kept = {source.name: source for source in self._sources() if source.kept}
        for name in self._plans.keys() - kept.keys():
            plan = self._plans.pop(name)
            if plan.task is not None:
                plan.task.cancel()
        for name, source in kept.items():
            known = self._plans.get(name)
            if known is None:
                due = await asyncio.to_thread(self._first_due, source)
                self._plans[name] = _Plan(source=source, due=due)
            elif replace(known.source, until=source.until) == source:  # only the list that led to it was renewed
                known.source = source
            else:
                if known.task is not None:  # what it would bring came by rules that hold no more
                    known.task.cancel()
                known.source, known.due, known.failures, known.seen = source, self._clock(), 0, ""
        await self._decide()
        for plan in self._plans.values():
            if plan.task is not None and plan.task.done():
                plan.task = None
            if plan.task is None and self._is_due(plan):
                plan.task = asyncio.create_task(self._told(plan), name="list-refresh")

    async def settle(self) -> None:
        """Wait for what is under way."""
        tasks = [plan.task for plan in self._plans.values() if plan.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)  # a cancelled one

    # --- when

    def _first_due(self, source: TrustSource) -> datetime:
        """A restart asks no sooner than it would have been asked without it, if a version is in force."""
        note, now = Shelf(self._state, source.name).note(), self._clock()
        held = approval.in_force(source, self._state, now=now)
        if held is None or note.code is not None or note.place != _place(source):
            return now
        try:
            asked = datetime.fromisoformat(note.asked_at).astimezone(UTC)
        except ValueError:
            return now
        asked = min(asked, now)  # the clock may have been ahead
        return asked + self._pace.wait(held, at=asked, failures=0, chance=self._chance())

    def _is_due(self, plan: _Plan) -> bool:
        if plan.source.origin is not None:
            return plan.seen != lists.stamp(plan.source.origin) or self._clock() >= plan.due
        return self._clock() >= plan.due

    # --- asking

    async def _told(self, plan: _Plan) -> None:
        try:
            if plan.source.origin is not None:
                await self._take_up(plan, plan.source.origin)
            else:
                await self._in_turn(plan)
        except Exception:
            log.exception("refresh-fault", list=plan.source.name)
            plan.failures += 1
            plan.due = self._clock() + self._pace.wait(None, at=self._clock(), failures=plan.failures, chance=0)

    async def _take_up(self, plan: _Plan, origin: Path) -> None:
        """Take up an operator's file, whose list needs approval."""
        source, plan.seen, plan.due = plan.source, lists.stamp(origin), NEVER
        try:
            document = await asyncio.to_thread(lists.content, origin, source)
        except OSError as fault:
            text = f"{origin}: cannot be read ({fault.strerror}). Expected the signed list {source.name}."
            self._tell(plan, FetchOutcome.FAILED, "unreadable", text)
            return
        outcome, code, text = await self._taken(source, document)
        if code == lists.FUTURE:  # time heals it, while the file stays as it is
            plan.due = self._clock() + self._pace.first
        self._tell(plan, outcome, code, text)

    async def _in_turn(self, plan: _Plan) -> None:
        """Fetch if no other node does."""
        name = f"{self._region} {plan.source.name}"
        leased = False
        try:
            leased = await self._store.lease(name, self._me, LEASE)
            if not leased:
                now = self._clock()
                plan.queued = plan.queued or now
                if now - plan.queued < LONGEST_QUEUE:
                    plan.due = now + timedelta(seconds=TURN_SECONDS)
                    return
                log.warning("list-turn-withheld", list=plan.source.name, detail="fetched without waiting any longer")
        except Unavailable:
            pass  # a node whose store is away still needs its lists
        plan.queued = None
        renewing = asyncio.create_task(self._renew(name))
        try:
            await self._fetch(plan)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if leased:
                with contextlib.suppress(Unavailable):
                    await self._store.release(name, self._me)

    async def _renew(self, name: str) -> None:
        """Keep the turn while it is used."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            with contextlib.suppress(Unavailable):
                await self._store.lease(name, self._me, LEASE)

    async def _fetch(self, plan: _Plan) -> None:
        source, asked = plan.source, self._clock()
        shelf = Shelf(self._state, source.name)
        await asyncio.to_thread(shelf.make)
        held = await self._held(plan)
        before = await asyncio.to_thread(shelf.note)
        stale = shelf.staged.exists() and not source.approval  # it waited until approval was no longer asked for
        if held is None or before.place != _place(source) or stale:
            before = Note()
        note = Note(place=_place(source), asked_at=asked.isoformat())
        code: str | None
        try:
            found = await self._asked(source, before)
        except FetchRefusedError as fault:
            outcome, code, text = FetchOutcome.FAILED, fault.code, str(fault)
            note = replace(note, etag=before.etag, last_modified=before.last_modified)
        except ListRefusedError as fault:
            outcome, code, text = FetchOutcome.REFUSED, fault.code, str(fault)
        else:
            if found is None:
                outcome, code, text = FetchOutcome.UNCHANGED, None, ""
                note = replace(note, etag=before.etag, last_modified=before.last_modified)
            else:
                outcome, code, text = await self._taken(source, found.body)
                if code is None:
                    note = replace(note, etag=found.etag, last_modified=found.last_modified)
        await asyncio.to_thread(shelf.remember, replace(note, code=code, text=text))
        plan.failures = 0 if code is None else plan.failures + 1
        wait = self._pace.wait(await self._held(plan), at=asked, failures=plan.failures, chance=self._chance())
        plan.due = self._clock() + wait
        self._tell(plan, outcome, code, text)

    async def _held(self, plan: _Plan) -> TrustList | None:
        """The version in force now."""
        now, state = self._clock(), (plan.source, lists.stamp(Shelf(self._state, plan.source.name).current))
        if plan.read != state:
            plan.held = await asyncio.to_thread(approval.in_force, plan.source, self._state, now=now)
            plan.read = state
        return plan.held if plan.held is not None and now < plan.held.valid_until else None

    async def _asked(self, source: TrustSource, before: Note) -> Fetched | None:
        """What is published now; None if it is what `before` tells of. Raises `FetchRefusedError`.

        Raises `ListRefusedError` for a federation whose trust anchor is not believed.
        """
        if source.entity is not None:
            return Fetched(body=await collecting.collect(source, self._fetcher, now=self._clock()))
        return await self._fetcher.fetch(
            source.url or "",
            limit=formats.FORMATS[source.format].maximum_bytes,
            private=source.private_addresses,
            accept=MEDIA_TYPES.get(source.format, "*/*"),
            etag=before.etag,
            last_modified=before.last_modified,
            beyond=source.addresses[0] if source.addresses else None,
        )

    async def _taken(self, source: TrustSource, document: bytes) -> tuple[FetchOutcome, str | None, str]:
        """What becomes of a document: outcome, and code and text if it is refused."""
        await share_marks(self._store, self._region, HighWater(self._state))
        try:
            outcome = await asyncio.to_thread(approval.take, source, self._state, document, now=self._clock())
        except ListRefusedError as fault:
            return FetchOutcome.REFUSED, fault.code, str(fault)
        return outcome, None, ""

    def _tell(self, plan: _Plan, outcome: FetchOutcome, code: str | None, text: str) -> None:
        name = plan.source.name
        if code is not None:
            log.warning("list-not-taken", list=name, code=code, detail=text)
        plan.waiting = approval.waits(plan.source, self._state)
        self._recorder.record(FetchEvent(name=name, outcome=outcome, at=self._clock(), code=code, waiting=plan.waiting))

    # --- what people decided

    async def _decide(self) -> None:
        """Tell other nodes what was decided here, and do here what was decided there."""
        decisions = Decisions(self._state)
        stamp = lists.stamp(decisions.path)
        wanted = [plan for plan in self._plans.values() if approval.waits(plan.source, self._state)]
        try:
            if stamp != self._shared:
                own = await asyncio.to_thread(decisions.read)
                await self._store.add_decisions(self._region, {_key(each): each.to_json() for each in own})
                self._shared = stamp
            if wanted:
                others = await self._store.decisions(self._region)
                await asyncio.to_thread(decisions.add, _readable(others))
            self._told_away = False
        except Unavailable:
            if not self._told_away:
                log.warning("decisions-not-shared", detail="the store does not answer")
            self._told_away = True
        for plan in self._plans.values():
            await self._carry_out(plan, decisions)

    async def _carry_out(self, plan: _Plan, decisions: Decisions) -> None:
        before, now = plan.waiting, approval.waits(plan.source, self._state)
        if not before and not now:
            return
        state = (lists.stamp(Shelf(self._state, plan.source.name).staged), lists.stamp(decisions.path))
        if before == now and plan.decided == state:  # it may be large, and waits for days
            return
        try:
            await asyncio.to_thread(approval.carry_out, plan.source, self._state, now=self._clock())
        except ListRefusedError as fault:
            self._tell(plan, FetchOutcome.REFUSED, fault.code, str(fault))
            return
        plan.decided = state
        now = approval.waits(plan.source, self._state)
        if before == now:
            return
        if now:
            self._tell(plan, FetchOutcome.STAGED, None, "")
            return
        about = [each for each in await asyncio.to_thread(decisions.read) if each.name == plan.source.name]
        word = max(about, key=lambda each: each.at).word if about else Word.APPROVED
        log.info("list-decided", list=plan.source.name, outcome=word.value)
        rejected = word is Word.REJECTED
        self._tell(
            plan,
            FetchOutcome.REFUSED if rejected else FetchOutcome.TAKEN,
            approval.REJECTED if rejected else None,
            "somebody here rejected this version",
        )


async def share_marks(store: Store, region: str, high_water: HighWater) -> None:
    """Let this node and the others know of the highest sequence numbers of either; without the store: of its own.

    Raises `StateDirectoryError`, `OSError`.
    """
    marks = await asyncio.to_thread(high_water.read)
    try:
        merged = await store.raise_marks(region, marks)
    except Unavailable:
        log.warning("marks-not-shared", detail="the store does not answer; the marks of this machine hold")
        return
    await asyncio.to_thread(high_water.remember, merged)


def _place(source: TrustSource) -> str:
    return source.url or source.entity or ""


def _key(decision: Decision) -> str:
    written = json.dumps(decision.to_json(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def _readable(found: Iterable[Json]) -> list[Decision]:
    decisions = []
    for each in found:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            decisions.append(Decision.from_json(each))
    return sorted(decisions, key=lambda each: each.at)
