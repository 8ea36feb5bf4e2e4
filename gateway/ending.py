"""Ends sessions without anybody's browser: forgets them, revokes what they opened, tells their services.

Anybody may ask for an end (`end`, `end_person`, `end_system`). One of the gateway's nodes at a time asks by itself
(`run`): every few seconds it holds what sessions rest on against the trust set in force, so that a word that a list
withdraws, that runs out, or that no agreement covers any more ends what was begun on it, within seconds of the list's
coming into force here.

What a service answers, or whether it does, holds nobody else up: first all of the sessions are forgotten here, then
notices go out for each service, a few at a time, each within `ANSWER_SECONDS`, and the next look does not wait for
them. What failed is tried again after `PAUSES`, by this process alone; then it is counted as untold. A service with no
address for notices ends its own session when the time that it was told is over (SessionNotOnOrAfter), or when it asks
the gateway again.
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from federation.identifiers import PersonRef
from federation.login import offered
from federation.model import Keep
from federation.oidc.grants import revoked
from federation.refusal import IdSystemNotRecognised, IdSystemNotTrusted, Unavailable
from federation.sessions import Basis, Session
from gateway import notices
from gateway.clock import Clock
from gateway.fetching import Fetcher, FetchRefusedError
from gateway.holder import RegionHolder
from gateway.outward import Outward
from gateway.region import Region
from gateway.revocations import Revocations
from gateway.store import Store
from observability.events import EndingEvent, EndReason, Recorder
from trust_lists.xmldsig import Signer

log = structlog.get_logger("gateway.ending")

SWEEP_SECONDS = 5.0
"""How often it is looked whether what sessions rest on still counts."""

LEASE = timedelta(seconds=60)
"""For how long a node that died keeps the others from looking. Two at once would do no harm."""

BATCH = 100
"""Sessions that are ended together."""

AT_ONCE, SERVICES_AT_ONCE = 8, 32
"""Notices under way to one service, and services to which any are."""

ANSWER_SECONDS = 3.0
"""How long a service may take for one notice."""

ANSWER_OCTETS = 64 * 1024

PAUSES = (5.0, 20.0)
"""Seconds before the second and the third try."""

HOPELESS = 16
"""Failures in a row after which a service is not told of further sessions that end with these."""

MOST_WAITING = 500
"""Notices of one process to one service that wait for another try."""

MOST_QUEUED = 10_000
"""Notices of one ending to one service that wait for their first try: it may be slow, and many sessions may end."""

SLICE = 24
"""Notices to one service after which others get their turn."""

PATIENCE_SECONDS = 10.0
"""How long whoever ended sessions by what they rest on waits for the services to hear of it."""

UNREAD = timedelta(minutes=10)
"""After which a list that could not be read at all counts as one that names nobody: it must not stand in the way."""

PRIVATE = "private-back-channels"
"""The weaker setting by which addresses of a private network are told, too."""

CERTAIN = frozenset({"withdrawn", "expired", "disputed"})
"""What is so whatever a list may say that was not read yet (`NotTrustedError.code`)."""

LOOKED_AT = 200
"""How many are looked at before others get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Ids of sessions: whose service confirmed the end, whose did not (yet), and whose has no address for notices."""

    confirmed: frozenset[str] = frozenset()
    unconfirmed: frozenset[str] = frozenset()
    unreachable: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Line:
    """The way to one service, for one ending: at most `AT_ONCE` at a time, and no more once it is hopeless.

    `queue` are the sessions that it is still to be told of, by `task`.
    """

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    failures: int = 0
    queue: deque[Session] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None

    @property
    def hopeless(self) -> bool:
        return self.failures >= HOPELESS


class Ending:
    """Ends sessions in one process. `fetcher` is for notices alone; `pauses` and `patience` stand for the constants."""

    def __init__(
        self,
        *,
        holder: RegionHolder,
        store: Store,
        revocations: Revocations,
        outward: Outward,
        fetcher: Fetcher,
        signer: Signer,
        recorder: Recorder,
        clock: Clock,
        pauses: Sequence[float] = PAUSES,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._holder = holder
        self._store = store
        self._revocations = revocations
        self._outward = outward
        self._fetcher = fetcher
        self._signer = signer
        self._recorder = recorder
        self._clock = clock
        self._pauses = tuple(pauses)
        self._patience = patience
        self._me = secrets.token_hex(16)
        self._waiting: Counter[str] = Counter()
        self._later: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(SERVICES_AT_ONCE)
        self._unread_since: datetime | None = None

    async def close(self) -> None:
        """Give up what waits for its turn or for another try; it is counted as untold."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    # --- asked to

    async def end(self, sessions: Iterable[Session], reason: EndReason) -> tuple[Session, ...]:
        """End these sessions, whoever's and wherever they are; those that nobody else ended meanwhile.

        Returns once every service had one chance to hear of it. Raises `Unavailable`.
        """
        ended = await self.forget(sessions, reason)
        await self.tell(ended, reason)
        return ended

    async def end_person(self, person: PersonRef, reason: EndReason, *, staying: bool = False) -> int:
        """End every session of a person; how many it were. Raises `Unavailable`.

        And every access token that they were given until now, of sessions that are not remembered any more, too.
        `staying`: they sign in at this moment (see `Revocations.revoke`).
        """
        await self._revocations.revoke(person=person, staying=staying)
        return len(await self.end(await self._store.of_person(person, self._clock()), reason))

    async def end_consent(self, person: PersonRef, service: str, client: str | None) -> int:
        """End what a withdrawn consent let a service (its id, and its client ID if it has one) do; how many sessions.

        Every token that it was given for the person until now, and every session of theirs there. Raises `Unavailable`.
        """
        if client is not None:
            await self._revocations.withdraw(person, client)
        theirs = await self._store.of_person(person, self._clock())
        return len(await self.end((each for each in theirs if each.service == service), EndReason.CONSENT_WITHDRAWN))

    async def end_system(self, system: str, reason: EndReason) -> int:
        """End every session that rests on the word of an ID system (its id); how many it were.

        Returns once the services heard of it, or after `PATIENCE_SECONDS`. Raises `Unavailable`.
        """
        bases = [basis for basis in await self._store.bases(self._clock()) if basis.system == system]
        return await self._end_bases(bases, reason)

    async def forget(self, sessions: Iterable[Session], reason: EndReason) -> tuple[Session, ...]:
        """Take sessions out of the store, and revoke what their tokens open there; those that nobody else ended.

        Raises `Unavailable`.
        """
        of: dict[PersonRef, list[Session]] = {}
        for session in sessions:
            of.setdefault(session.person, []).append(session)
        tokens = [each.client.token for theirs in of.values() for each in theirs if each.client is not None]
        await self._store.keep(Keep(items=tuple(map(revoked, tokens))))
        await self._revocations.revoke(tokens)
        found = await asyncio.gather(*map(self._store.end, of.values()))
        ended = [session for theirs in found for session in theirs]
        for service, count in Counter(each.service for each in ended).items():
            self._record(service, reason, ended=count)
        return tuple(ended)

    async def tell(self, sessions: Iterable[Session], reason: EndReason) -> Told:
        """Tell the services of sessions that were forgotten, each once; what fails is tried again in the background."""
        of: dict[str, list[Session]] = {}
        for session in sessions:
            of.setdefault(session.service, []).append(session)
        turns = asyncio.Semaphore(SERVICES_AT_ONCE)

        async def one(service: str) -> Told:
            async with turns:
                return await self._tell_service(of[service], reason, _Line())

        told = await asyncio.gather(*(one(service) for service in of))
        return Told(
            confirmed=frozenset[str]().union(*(each.confirmed for each in told)),
            unconfirmed=frozenset[str]().union(*(each.unconfirmed for each in told)),
            unreachable=frozenset[str]().union(*(each.unreachable for each in told)),
        )

    # --- by itself

    async def run(self) -> None:
        """Look until cancelled. A fault is logged, and the next look comes."""
        away = False
        while True:
            try:
                await self.sweep()
                away = False
            except Unavailable as fault:
                if not away:
                    log.warning("sessions-not-looked-at", detail=fault.detail)
                away = True
            except Exception:
                log.exception("sweep-fault")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """End every session whose ID system no longer counts for enough at its service; how many it were.

        Raises `Unavailable`.
        """
        settled = self._settled()
        name = f"{self._holder.current.public_url} /sessions"  # beside those of lists, whose names hold no slash
        if not await self._store.lease(name, self._me, LEASE):
            return 0
        try:
            bases = await self._store.bases(self._clock())
            over: list[Basis] = []
            for number, basis in enumerate(bases, 1):
                if not stands(self._holder.current, basis, self._clock(), settled=settled):
                    over.append(basis)
                if number % LOOKED_AT == 0:
                    await asyncio.sleep(0)
            return await self._end_bases(over, EndReason.UNTRUSTED)
        finally:
            await self._store.release(name, self._me)

    def _settled(self) -> bool:
        """Whether it is known what every list says; one that cannot be read at all is waited for only so long."""
        if self._holder.settled:
            self._unread_since = None
            return True
        now = self._clock()
        self._unread_since = self._unread_since or now
        return now - self._unread_since > UNREAD

    async def _end_bases(self, bases: Iterable[Basis], reason: EndReason) -> int:
        of: dict[str, list[Basis]] = {}
        for basis in bases:
            of.setdefault(basis.service, []).append(basis)
        lines = {service: _Line() for service in of}

        async def one(service: str) -> int:
            count = 0
            for basis in of[service]:
                while found := await self._store.resting_on(basis, self._clock(), most=BATCH):
                    ended = await self.forget(found, reason)
                    count += len(ended)
                    self._queue(ended, reason, lines[service])
            return count

        count = sum(await asyncio.gather(*map(one, of)))
        if tasks := [line.task for line in lines.values() if line.task is not None]:
            await asyncio.wait(tasks, timeout=self._patience)
        return count

    # --- telling

    def _queue(self, sessions: Sequence[Session], reason: EndReason, line: _Line) -> None:
        """Let one service be told of these sessions, too, in the background."""
        if not sessions:
            return
        room = max(0, MOST_QUEUED - len(line.queue))
        line.queue.extend(sessions[:room])
        self._record(sessions[0].service, reason, untold=len(sessions[room:]))
        if line.task is None or line.task.done():
            line.task = self._start(self._drain(sessions[0].service, reason, line))

    async def _drain(self, service: str, reason: EndReason, line: _Line) -> None:
        batch: list[Session] = []
        try:
            while line.queue:
                async with self._turns:
                    batch = [line.queue.popleft() for _ in range(min(SLICE, len(line.queue)))]
                    await self._tell_service(batch, reason, line)
                    batch = []
        finally:
            self._record(service, reason, untold=len(batch) + len(line.queue))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="session-notices")
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return task

    async def _tell_service(self, sessions: Sequence[Session], reason: EndReason, line: _Line) -> Told:
        """Tell one service of all of these sessions."""
        if not sessions:
            return Told()
        service = sessions[0].service
        answers = await self._try(sessions, reason, line)
        by_answer: dict[bool | None, list[Session]] = {True: [], False: [], None: []}
        for session, answer in zip(sessions, answers, strict=True):
            by_answer[answer].append(session)
        again = by_answer[False][: max(0, MOST_WAITING - self._waiting[service])]
        told = len(by_answer[True])
        self._record(service, reason, told=told, untold=len(sessions) - told - len(again))
        if again:
            self._waiting[service] += len(again)
            self._start(self._again(again, reason))
        ids = {answer: frozenset(each.id for each in found) for answer, found in by_answer.items()}
        return Told(confirmed=ids[True], unconfirmed=ids[False], unreachable=ids[None])

    async def _again(self, sessions: list[Session], reason: EndReason) -> None:
        """Try again what failed, ever later, and count what came of it."""
        service, count, left = sessions[0].service, len(sessions), sessions
        try:
            for pause in self._pauses:
                await asyncio.sleep(pause)
                answers = await self._try(left, reason, _Line())
                left = [session for session, answer in zip(left, answers, strict=True) if not answer]
                if not left:
                    break
        finally:
            self._waiting[service] -= count
            self._record(service, reason, told=count - len(left), untold=len(left))

    async def _try(self, sessions: Iterable[Session], reason: EndReason, line: _Line) -> list[bool | None]:
        return await asyncio.gather(*(self._in_turn(session, reason, line) for session in sessions))

    async def _in_turn(self, session: Session, reason: EndReason, line: _Line) -> bool | None:
        async with line.turns:
            if line.hopeless:
                return False
            try:
                answer = await self._told(session, reason)
            except FetchRefusedError as fault:
                answer, code = False, fault.code
            except Unavailable:
                answer, code = False, "overdue"
            else:
                code = "refused"
            if answer is False:
                line.failures += 1
                if line.failures in (1, HOPELESS):
                    log.info("session-notice-failed", relying_service=session.service, code=code, count=line.failures)
            elif answer:
                line.failures = 0
            return answer

    async def _told(self, session: Session, reason: EndReason) -> bool | None:
        """Tell one service of one session; whether it confirms, None if there is no way to tell it.

        Raises `FetchRefusedError`, `Unavailable`.
        """
        region = self._holder.current
        write: Callable[[], notices.Notice | None] = partial(
            notices.write,
            region,
            session,
            self._signer,
            by_person=reason in (EndReason.LOGOUT, EndReason.CONSENT_WITHDRAWN),
            now=self._clock(),
        )
        notice = await self._outward.run(write)
        if notice is None:
            return None
        answer = await self._fetcher.post(
            notice.request.url,
            body=notice.request.body,
            headers=notice.request.headers,
            limit=ANSWER_OCTETS,
            private=PRIVATE in region.configuration.gateway.weaker,
            seconds=ANSWER_SECONDS,
            beyond=region.public_url,
        )
        return await self._outward.run(partial(notice.confirmed, answer, self._clock()))

    def _record(self, service: str, reason: EndReason, *, ended: int = 0, told: int = 0, untold: int = 0) -> None:
        if ended or told or untold:
            self._recorder.record(
                EndingEvent(reason=reason, at=self._clock(), service=service, ended=ended, told=told, untold=untold)
            )


def stands(region: Region, basis: Basis, now: datetime, *, settled: bool) -> bool:
    """Whether sessions that rest on `basis` may go on.

    Until every list was read once (`settled`), who is on none may be on one of those, and so may what makes a word
    count for more: that ends nothing.
    """
    system, service = region.systems.get(basis.system), region.services.get(basis.service)
    if system is None or service is None or not offered(service, (system,)):
        return False
    try:
        return region.standings.upholds(basis, system, service, now) or not settled
    except IdSystemNotTrusted as why:
        return not settled and why.detail not in CERTAIN
    except IdSystemNotRecognised:
        return not settled
