"""The way to one service: a pool for each of its addresses, the choice among them, health checks, retries."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from federation.reach import Health, Reach
from gateway.upstream.http1 import Answer, BodyError, Outgoing, UpstreamError
from gateway.upstream.pool import BusyError, Pool, UnreachableError
from gateway.upstream.retries import TURNED_AWAY, Budget, turned_away, unheard
from gateway.upstream.targets import AllOutError, Outcome, Target, Targets
from observability.addresses import AddressState
from observability.events import UpstreamChange

PAUSE = 0.05
"""Seconds, at most, before a call is sent to the same address again; doubled each time."""

SLACK = 0.1
"""Seconds before its time is over at which a service that said nothing has had it all."""

CHECK_SECONDS = 5.0
"""How long a health check may take; never longer than the time between two."""

MOST_CHECKED = 64 * 1024
"""Bytes of an answer to a health check that are read."""

WELL = range(200, 400)


Happened = Callable[[UpstreamChange, str | None], None]
"""Takes what happened, and the origin of the address that it is about, if it is about one."""


class CircuitOpenError(UnreachableError):
    """Every address failed so often that none is asked now."""


class Chosen:
    """An address for what has connections of its own: whoever has one says once how asking it `ended`."""

    def __init__(self, target: Target, ended: Callable[[Outcome], None]) -> None:
        self.target = target
        self.url = target.url.rstrip("/")
        self._ended: Callable[[Outcome], None] | None = ended

    def ended(self, outcome: Outcome) -> None:
        """It answered, or did not; only the first word counts."""
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(outcome)


class Service:
    """Where calls to a service are sent."""

    def __init__(self, reach: Reach, happened: Happened = lambda *_: None) -> None:
        self._happened = happened
        self.reach = reach
        self._loop = asyncio.get_running_loop()
        self._pools: dict[Target, Pool] = {}
        self._bases: dict[Target, str] = {}
        for url in reach.targets:
            pool = Pool(url, most=reach.most_connections)
            target = Target(url=url, load=lambda pool=pool: pool.under_way)  # type: ignore[misc]
            self._pools[target] = pool
            self._bases[target] = pool.base
        self.targets = Targets(tuple(self._pools), reach.ejection, random.random)
        self._most = reach.retries.most if reach.retries else 0
        self._budget = Budget(reach.retries.budget_percent) if reach.retries else None
        self._checks = [] if reach.health is None else self._check(reach.health)

    async def send(self, request: Outgoing, *, connect_seconds: float, seconds: float, safe: bool = False) -> Answer:
        """Send `request`, whose target is a path after the service's base, and answer with the head of its answer.

        It is sent again, elsewhere if there is another address, where that is safe (`gateway/upstream/retries.py`) and
        none of `seconds`, in which it should be answered, is over. `safe`: the service does nothing twice for it.
        Raises as `Pool.send`, and `CircuitOpenError`; `UnreachableError` and `BusyError` only if no address can have
        heard of it. Whoever waits no longer cancels it.
        """
        now = self._loop.time()
        deadline = now + seconds
        if self._budget is not None:
            self._budget.call(now)
        path = request.target
        last: Target | None = None
        heard: UpstreamError | None = None
        came: Answer | UpstreamError | TimeoutError | None = None
        for attempt in range(self._most + 1):
            try:
                target, trial = self.targets.choose(now, last)
            except AllOutError:
                break
            if isinstance(came, Answer):
                came.abandon()
            request.target = self._bases[target] + path
            pause = random.uniform(0, PAUSE * 2**attempt) if target is last else 0.0  # noqa: S311 - no secret
            came = await self._once(target, request, connect_seconds, deadline, pause=pause, trial=trial)
            if isinstance(came, UpstreamError) and not isinstance(came, BusyError | UnreachableError):
                heard = came
            if attempt == self._most or not self._again(request, came, safe=safe):
                break
            now = self._loop.time()
            if now >= deadline or not self._spends(now):
                break
            last = target
        if isinstance(came, Answer):
            return came
        raise heard or came or self._all_out()

    def _spends(self, now: float) -> bool:
        if self._budget is None:
            return False
        within = self._budget.spend(now)
        self._happened(UpstreamChange.RETRIED if within else UpstreamChange.OVER_BUDGET, None)
        return within

    def _all_out(self) -> CircuitOpenError:
        self._happened(UpstreamChange.CIRCUIT_OPEN, None)
        return CircuitOpenError("circuit-open")

    async def _once(
        self,
        target: Target,
        request: Outgoing,
        connect_seconds: float,
        deadline: float,
        *,
        pause: float,
        trial: bool,
    ) -> Answer | UpstreamError | TimeoutError:
        """What came of sending it to this address."""
        outcome = Outcome.UNKNOWN
        try:
            if pause:
                await asyncio.sleep(pause)
            answer = await self._pools[target].send(request, connect_seconds=connect_seconds)
            outcome = Outcome.TURNED_AWAY if answer.status in TURNED_AWAY else Outcome.ANSWERED
        except (UpstreamError, TimeoutError) as fault:
            if not isinstance(fault, BusyError | BodyError):
                outcome = Outcome.SILENT
            return fault
        except asyncio.CancelledError:
            if isinstance(request.body, bytes | None) and self._loop.time() >= deadline - SLACK:
                outcome = Outcome.SILENT  # it had all the time; a body that its caller still sends is not its fault
            raise
        else:
            return answer
        finally:
            self._ended(target, outcome, trial=trial)

    def _ended(self, target: Target, outcome: Outcome, *, trial: bool) -> None:
        was = target.out
        self.targets.ended(target, outcome, self._loop.time(), trial=trial)
        if target.out is not was:
            self._happened(UpstreamChange.OUT if target.out else UpstreamChange.BACK, _origin(target))

    def _again(self, request: Outgoing, came: Answer | UpstreamError | TimeoutError, *, safe: bool) -> bool:
        if isinstance(came, Answer):
            if came.status not in TURNED_AWAY:
                return False
            waits = any(name.lower() == "retry-after" for name, _ in came.headers)
            return turned_away(request, came.status, waits=waits)
        return unheard(request, came, safe=safe)

    @contextlib.contextmanager
    def holding(self, avoid: Target | None = None) -> Iterator[Chosen]:
        """An address, which has so much more to do while the context is open. Raises `CircuitOpenError`."""
        try:
            target, trial = self.targets.choose(self._loop.time(), avoid)
        except AllOutError:
            raise self._all_out() from None
        chosen = Chosen(target, lambda outcome: self._ended(target, outcome, trial=trial))
        target.held += 1
        try:
            yield chosen
        finally:
            target.held -= 1
            chosen.ended(Outcome.UNKNOWN)

    def states(self) -> Iterator[tuple[str, AddressState]]:
        """Each address, without a user's name, and whether it gets calls now."""
        now = self._loop.time()
        for target in self.targets.all:
            if target.out:
                state = AddressState.OUT if target.trying or now < target.until else AddressState.TRIAL
            else:
                state = AddressState.IN_TURN if target.well else AddressState.UNWELL
            yield _origin(target) + self._bases[target], state

    # --- health

    def _check(self, health: Health) -> Sequence[asyncio.Task[None]]:
        return [asyncio.create_task(self._watch(target, health)) for target in self.targets.all]

    async def _watch(self, target: Target, health: Health) -> None:
        """Ask one address again and again, over a connection of its own: a busy address is not unwell for that."""
        pool = Pool(target.url, most=1)
        path = self._bases[target] + health.path
        try:
            while True:
                was = target.well
                self.targets.checked(target, passed=await _passed(pool, path, min(CHECK_SECONDS, health.seconds)))
                if target.well is not was:
                    self._happened(UpstreamChange.WELL if target.well else UpstreamChange.UNWELL, _origin(target))
                await asyncio.sleep(health.seconds * random.uniform(0.9, 1.1))  # noqa: S311 - so that workers do not ask at once
        finally:
            pool.close()

    # --- the end

    def retire(self) -> None:
        """Take no new calls; what is under way ends by itself."""
        self._stop_checks()
        for pool in self._pools.values():
            pool.retire()

    def close(self) -> None:
        """End everything."""
        self._stop_checks()
        for pool in self._pools.values():
            pool.close()

    def _stop_checks(self) -> None:
        for task in self._checks:
            task.cancel()


def _origin(target: Target) -> str:
    url = urlsplit(target.url)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


async def _passed(pool: Pool, path: str, seconds: float) -> bool:
    """Whether the address answers as one that is well does, in time."""
    request = Outgoing(method="GET", target=path, headers=[("Accept", "*/*"), ("User-Agent", "kakehashi-health")])
    with contextlib.suppress(UpstreamError, OSError):
        async with asyncio.timeout(seconds):
            answer = await pool.send(request, connect_seconds=seconds)
            read = 0
            async for chunk in answer.chunks():
                read += len(chunk)
                if read > MOST_CHECKED:
                    answer.abandon()
                    break
            return answer.status in WELL
    return False
