"""Who runs council requests: every process takes up what nobody runs, one process at a time runs each.

Of each target it is on disk that it is asked before it is asked (`gateway/council/rows.py`). So after a crash three
kinds of targets are told apart: those that ended, whose answers are kept; those that nobody asked yet, which are asked
now; and those in between, which may have seen the question. The gateway does not ask these again by itself, since it
cannot know whether a member would do twice what it was asked twice: they end as unreachable, `interrupted`, and the
asker decides (`repeat`), or decided when it asked (`"interrupted": "repeat"`, once in each round). Whichever way, a
member that honours `Idempotency-Key` sees the same key.
"""

import asyncio
import contextlib
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog

from federation.council.answers import Answer, Outcome
from federation.council.question import Interrupted
from federation.council.told import Request, Round, open_targets
from federation.refusal import CouncilRequestOpen, CouncilRequestsTooMany, CouncilRequestUnknown, Unavailable
from gateway.clock import Clock
from gateway.council.asking import Questions, Target
from gateway.council.rows import Claim, Rows, is_first, new_mark
from gateway.holder import RegionHolder
from observability.events import CouncilEvent, Recorder

log = structlog.get_logger("gateway.council")

T = TypeVar("T")

LEASE = timedelta(seconds=4)
RENEW_SECONDS = 1.0
"""How long a process that died keeps the others from its requests, and how often one that lives asks for more time."""

LEASE_TRIES = 40
"""How often somebody asks for a lease within the time that one lasts."""

LOOK_SECONDS = 1.0
"""How often a process looks for requests that nobody runs."""

MOST_OCTETS = 8 * 1024 * 1024
"""Of all answers to one request, its repeats included."""

MOST_ROUNDS = 20

LEAST_SECONDS = 0.1
"""For a target whose claim took all the time that was left."""

PARTING_SECONDS = 3.0
"""How long questions under way may take at a shutdown; what has no answer then is interrupted."""

TRIES, PAUSE_SECONDS = 40, 0.5
"""How long a store that is away may keep an answer from being kept before the process gives up."""


class _LeaseLostError(Exception):
    """Somebody else runs the request now."""


@dataclass(slots=True)
class _Run:
    """A request that this process runs.

    `octets` are those of the answers so far; `lost`: somebody else has the lease.
    """

    request: Request
    queue: deque[str]
    former: dict[str, bytes]
    octets: int
    lost: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Council:
    """The council requests of one process."""

    def __init__(
        self,
        *,
        rows: Rows,
        questions: Questions,
        holder: RegionHolder,
        clock: Clock,
        recorder: Recorder,
        concurrency: int,
    ) -> None:
        """`concurrency`: how many members are asked at once, over all requests."""
        self.rows = rows
        self.questions = questions
        self._holder = holder
        self._clock = clock
        self._recorder = recorder
        self._concurrency = concurrency
        self._turns = asyncio.Semaphore(concurrency)
        self._me = secrets.token_hex(16)
        self._running: dict[str, _Run] = {}
        self._starting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: dict[str, asyncio.Event] = {}
        self._closing = False
        self._accepting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def keep(self) -> timedelta:
        """How long a request is kept after the last thing that happened to it."""
        return timedelta(days=self._holder.current.configuration.gateway.council.keep_days)

    async def run(self) -> None:
        """Take up what nobody runs, until cancelled."""
        away = False
        while True:
            try:
                for request_id in await self.rows.open():
                    self._start(request_id)
                away = False
            except Unavailable as fault:
                if not away:
                    log.warning("council-not-looked", detail=fault.detail)
                away = True
            except Exception:
                log.exception("council-fault")
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Ask nobody else, wait a little for those who were asked, and leave the rest to other processes."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PARTING_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what askers do

    async def accept(self, request: Request, *, keyed: bool = False) -> Request:
        """Keep a new request and begin to run it. Raises `CouncilRequestsTooMany`, `Unavailable`.

        `keyed`: its id is that of its asker's key; one that was kept under it stays, and is answered.
        """
        municipality = request.asker.municipality
        async with self._alone(municipality):
            before = await self.rows.read(request.id) if keyed else None
            if before is not None:
                return before
            await self._room(request)
            await self.rows.forget_old(municipality)
            await self.rows.accept(request, self.keep)
        log.info("council-asked", municipality=municipality, count=len(request.round.codes))
        self._start(request.id)
        return request

    @contextlib.asynccontextmanager
    async def _alone(self, municipality: str) -> AsyncIterator[None]:
        """One of a municipality's after another, in all processes: those that come together count, too."""
        name, holder = f"accepting {municipality}", secrets.token_hex(8)
        async with self._accepting[municipality]:
            if not await self._leased(name, holder):
                raise Unavailable(f"council: another request of {municipality} is being accepted")
            try:
                yield
            finally:
                with contextlib.suppress(Unavailable):  # then it ends by itself
                    await self.rows.release(name, holder)

    async def _leased(self, name: str, holder: str) -> bool:
        """A lease, for which is waited as long as one lasts."""
        for _ in range(LEASE_TRIES):
            if await self.rows.lease(name, holder, LEASE):
                return True
            await asyncio.sleep(LEASE.total_seconds() / LEASE_TRIES)
        return False

    async def _room(self, request: Request) -> None:
        """Whether its municipality may have one more under way. Raises `CouncilRequestsTooMany`."""
        municipality = request.asker.municipality
        most = self._holder.current.configuration.gateway.council.open_requests
        others = [asker for each, asker in (await self.rows.open()).items() if each != request.id]
        if others.count(municipality) >= most:
            raise CouncilRequestsTooMany(f"{municipality}: {most} are under way")

    async def repeat(self, request: Request, again: Round) -> Request:
        """Begin a further round of a request that has ended; the request with it.

        Raises `CouncilRequestOpen`, `CouncilRequestsTooMany`, `CouncilRequestUnknown`, `Unavailable`.
        """
        if again.number > MOST_ROUNDS:
            raise CouncilRequestsTooMany(f"more than {MOST_ROUNDS} repeats")
        holder = f"repeat {secrets.token_hex(8)}"
        if open_targets(request, await self.rows.answers(request.id)):
            raise CouncilRequestOpen("a round is under way")
        if not await self._leased(request.id, holder):  # whoever ran the last round is about to leave it
            raise CouncilRequestOpen("somebody runs it")
        try:
            async with self._alone(request.asker.municipality):
                if not await self.rows.lease(request.id, holder, LEASE):  # waiting may have taken all of it
                    raise CouncilRequestOpen("somebody runs it")
                now = await self.rows.read(request.id)
                if now is None:
                    raise CouncilRequestUnknown("gone")
                if now.round.number != again.number - 1 or open_targets(now, await self.rows.answers(request.id)):
                    raise CouncilRequestOpen("a round is under way")
                await self._room(now)
                await self.rows.repeat(now, again, self.keep)
        finally:
            await self.rows.release(request.id, holder)
        log.info("council-repeated", municipality=request.asker.municipality, count=len(again.codes))
        self._start(request.id)
        return Request(id=now.id, asker=now.asker, asked=now.asked, begun=now.begun, rounds=(*now.rounds, again))

    async def cancel(self, request: Request) -> None:
        """Stop the present round, wherever it runs. Raises `Unavailable`."""
        await self.rows.cancel(request.id, request.round.number, self.keep)
        log.info("council-cancelled", municipality=request.asker.municipality)
        run = self._running.get(request.id)
        if run is not None:
            run.stopped.set()
        else:
            self._start(request.id)

    async def news(self, request_id: str, seconds: float) -> None:
        """Wait until something happened to a request, for at most `seconds`; those of other processes are asked for."""
        event = self._news.setdefault(request_id, asyncio.Event()) if request_id in self._running else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (asyncio.sleep(seconds) if event is None else event.wait())

    def look(self, request_id: str) -> None:
        """Take a request up that has not ended, if nobody runs it."""
        self._start(request_id)

    # --- running one

    def _start(self, request_id: str) -> None:
        if self._closing or request_id in self._running or request_id in self._starting:
            return
        self._starting.add(request_id)
        task = asyncio.create_task(self._take_up(request_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_up(self, request_id: str) -> None:
        """Run a request to its end, if nobody else does."""
        held = False
        try:
            held = await self.rows.lease(request_id, self._me, LEASE)
            if held:
                await self._through(request_id)
        except _LeaseLostError:
            log.warning("council-lease-lost")
        except Unavailable as fault:
            log.warning("council-interrupted", detail=fault.detail)
        except Exception:
            log.exception("council-fault")
        finally:
            self._starting.discard(request_id)
            self._running.pop(request_id, None)
            self._tell(request_id, last=True)
            if held:
                with contextlib.suppress(Unavailable):
                    await self.rows.release(request_id, self._me)

    async def _through(self, request_id: str) -> None:
        request = await self.rows.read(request_id)
        if request is None:  # its time is over
            await self.rows.close(request_id)
            return
        answers = await self.rows.answers(request_id)
        waiting = open_targets(request, answers)
        if waiting:
            run = _Run(
                request=request,
                queue=deque(waiting),
                former=await self.rows.claimed(request_id, request.round.number),
                octets=sum(len(each.content) for each in answers),
            )
            self._running[request_id] = run
            await self._round(run)
            log.info("council-ended", municipality=request.asker.municipality, count=len(waiting))
        if not self._closing:
            await self.rows.close(request_id)

    async def _round(self, run: _Run) -> None:
        """Put the question to every target that has no end yet."""
        if await self.rows.cancelled(run.request.id, run.request.round.number):
            run.stopped.set()
        renewing = asyncio.create_task(self._renew(run))
        askers = [asyncio.create_task(self._work(run)) for _ in range(min(self._concurrency, len(run.queue)))]
        try:
            await asyncio.gather(*askers)
        finally:
            for task in (renewing, *askers):
                task.cancel()
            await asyncio.gather(renewing, *askers, return_exceptions=True)
        if run.lost:
            raise _LeaseLostError

    async def _renew(self, run: _Run) -> None:
        """Keep the lease, and hear of a cancellation elsewhere; who is being asked goes on when it is lost."""
        while not run.lost:
            await asyncio.sleep(RENEW_SECONDS)
            with contextlib.suppress(Unavailable):  # claims ask for the lease themselves
                if not await self.rows.lease(run.request.id, self._me, LEASE):
                    run.lost = True
                if await self.rows.cancelled(run.request.id, run.request.round.number):
                    run.stopped.set()

    async def _work(self, run: _Run) -> None:
        """Take one target after another."""
        while run.queue and not self._leaving(run):
            code = run.queue.popleft()
            answer = self._without_asking(run, code)
            if answer is None:
                async with self._turn(run):
                    if self._leaving(run):
                        return
                    answer = self._without_asking(run, code) or await self._with_asking(run, code)
            if answer is not None:
                await self._end(run, answer)

    @contextlib.asynccontextmanager
    async def _turn(self, run: _Run) -> AsyncIterator[None]:
        """A turn among all that are asked; or none, once the round is cancelled or over."""
        turn = asyncio.ensure_future(self._turns.acquire())
        stopping = asyncio.ensure_future(run.stopped.wait())
        try:
            await asyncio.wait((turn, stopping), timeout=self._left(run), return_when=asyncio.FIRST_COMPLETED)
            yield
        finally:
            turn.cancel()
            stopping.cancel()
            await asyncio.gather(turn, stopping, return_exceptions=True)
            if not turn.cancelled():
                self._turns.release()

    def _leaving(self, run: _Run) -> bool:
        return self._closing or run.lost

    def _left(self, run: _Run) -> float:
        return max(0.0, (run.request.round.until - self._clock()).total_seconds())

    def _without_asking(self, run: _Run, code: str) -> Answer | None:
        """The end of a target that is not to be asked (any more), if it is one."""
        request, former = run.request, run.former.get(code)
        if former is not None and not (request.asked.interrupted is Interrupted.REPEAT and is_first(former)):
            return self.questions.end(request, code, Outcome.UNREACHABLE, "interrupted", arrived=True)
        if run.stopped.is_set():
            return self.questions.end(request, code, Outcome.CANCELLED, "cancelled", arrived=former is not None)
        if not self._left(run):
            return self.questions.end(request, code, Outcome.TIMED_OUT, "deadline", arrived=former is not None)
        return None

    async def _with_asking(self, run: _Run, code: str) -> Answer | None:
        """Ask a target, if it can be asked and nobody did; its end."""
        request, former = run.request, run.former.get(code, b"")
        target = self.questions.ready(request, code)
        if isinstance(target, Answer):
            return target
        mark = new_mark(former)

        async def claim() -> Claim:
            number, keep = request.round.number, self.keep
            return await self.rows.claim(request.id, self._me, number, code, keep, mark=mark, former=former)

        found = await _insisting(claim)
        if found is Claim.LOST and await self.rows.lease(request.id, self._me, LEASE):  # it only ran out
            found = await _insisting(claim)
        if found is Claim.LOST:
            run.lost = True
        return await self._asked(run, code, target, self._left(run)) if found is Claim.MINE else None

    async def _asked(self, run: _Run, code: str, target: Target, left: float) -> Answer:
        """Ask, unless the round is cancelled meanwhile."""
        seconds = run.request.asked.target_seconds
        asking = asyncio.ensure_future(
            self.questions.put(
                run.request, code, target, seconds=max(LEAST_SECONDS, min(seconds, left)), last=left < seconds
            )
        )
        stopping = asyncio.ensure_future(run.stopped.wait())
        try:
            await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return self.questions.end(run.request, code, Outcome.CANCELLED, "cancelled", arrived=True)
            return asking.result()
        finally:
            asking.cancel()
            stopping.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)

    async def _end(self, run: _Run, answer: Answer) -> None:
        """Keep an end. Raises `Unavailable`."""
        run.octets += len(answer.content)
        if run.octets > MOST_OCTETS and answer.content:
            run.octets -= len(answer.content)
            answer = self.questions.end(
                run.request,
                answer.code,
                Outcome.REFUSED,
                "answers-too-large",
                arrived=True,
                seconds=answer.seconds or 0,
            )
        await _insisting(lambda: self.rows.end(run.request.id, answer, self.keep))
        self._recorder.record(
            CouncilEvent(
                outcome=answer.outcome,
                at=answer.at,
                council_request=run.request.id,
                municipality=run.request.asker.municipality,
                target=answer.code if answer.code.isdigit() else None,
                reason=answer.reason,
                signature=answer.signature,
                seconds=answer.seconds,
            )
        )
        self._tell(run.request.id)

    def _tell(self, request_id: str, *, last: bool = False) -> None:
        event = self._news.pop(request_id, None)
        if event is not None:
            event.set()
        if not last and request_id in self._running:
            self._news[request_id] = asyncio.Event()


async def _insisting(step: Callable[[], Awaitable[T]]) -> T:
    """Do a step that does no harm when it is done twice, however long the store is away, within reason."""
    for _ in range(TRIES - 1):
        try:
            return await step()
        except Unavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await step()
