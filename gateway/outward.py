"""The one way out to ID systems: drives an `Exchange` with bounds on time, size and redirects.

Proxied calls have a way of their own (`gateway/proxy.py`), because they stream.

The protocol's own work is bounded in time, too. A step that does not end within `STEP_SECONDS` of its beginning is
refused, its thread abandoned and replaced, so that others are served; a thread cannot be ended from outside. A step
that no thread was free for within the same time is refused without having begun: then the gateway is busy, and nothing
is stuck. The two times are counted one after the other, since a step that waited long is not suspect for it; so nobody
waits longer than twice `STEP_SECONDS` for one step. What holds the interpreter's lock all the time (say, a regular
expression that backtracks) stops every thread and is not helped by this: no rule of the protocols does.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Any, TypeVar

import aiohttp

from federation.refusal import Unavailable
from federation.web import Exchange, HttpRequest, HttpResponse, RoadError
from observability.events import OverdueStage
from observability.health import MOST_ABANDONED

T = TypeVar("T")
U = TypeVar("U")


def _itself(value: T) -> T:
    return value


STEP_SECONDS = 5.0
"""How long one step may work, and how long it may wait for a thread.

The largest message that the gate lets pass costs some tens of milliseconds; a hundred times that is no message, and
about as long as a person waits before pressing the button again.
"""

BRIEF_OCTETS = 32 * 1024
"""Of an answer after which a brief step is still brief: the largest document that is read takes ten times as long."""


class _Step:
    """One piece of work. `begun` is set by the thread that takes it; the rest is decided under the lock."""

    __slots__ = ("abandoned", "begun", "dropped", "ended", "future", "timer", "work")

    def __init__(self, work: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        self.work = work
        self.future = future
        self.timer: asyncio.TimerHandle | None = None
        self.begun: float | None = None
        self.dropped = self.ended = self.abandoned = False


class Threads:
    """`count` threads for steps of work, each with a deadline of `seconds` (see this file's beginning).

    `overdue` is told of every step that did not end in time, and of how many threads are abandoned now. Beyond
    `MOST_ABANDONED` none is replaced any more, and the process should be: `exhausted` is set.
    """

    def __init__(self, *, count: int, seconds: float, overdue: Callable[[OverdueStage, int], None]) -> None:
        self.abandoned = 0
        self.exhausted = asyncio.Event()
        self._count = count
        self._seconds = seconds
        self._overdue = overdue
        self._serving = 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Step | None] = SimpleQueue()

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` on one of the threads. Raises what it raises, and `Unavailable` when its time is over."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        step = _Step(work, future)
        step.timer = loop.call_later(self._seconds, self._look, loop, step)
        if not self._serving and not self.abandoned:
            for _ in range(self._count):
                self._begin(loop)
        self._queue.put(step)
        return await future

    def close(self) -> None:
        """Let the threads end; what nobody has begun is cancelled."""
        while not self._queue.empty():
            step = self._queue.get()
            if step is not None:
                self._settled(step)
                step.future.cancel()
        for _ in range(self._serving):
            self._queue.put(None)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._serving += 1
        threading.Thread(target=self._serve, args=(loop,), name="kakehashi-protocol", daemon=True).start()

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """The life of one thread."""
        while (step := self._queue.get()) is not None:
            with self._lock:
                if step.dropped or step.future.cancelled():
                    step.ended = True
                    continue
                step.begun = monotonic()
            value, fault = None, None
            try:
                value = step.work()
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it goes to whoever waits
                fault = raised
            try:
                loop.call_soon_threadsafe(self._done, step, value, fault)
            except RuntimeError:  # the loop is gone, and everybody who waited
                return
            with self._lock:
                step.ended = True
                if step.abandoned:
                    self.abandoned -= 1
                    if self._serving >= self._count:
                        return
                    self._serving += 1
            del step, value, fault

    def _done(self, step: _Step, value: object, fault: BaseException | None) -> None:
        self._settled(step)
        if step.future.done():  # nobody waits any more
            return
        if fault is None:
            step.future.set_result(value)
        else:
            step.future.set_exception(fault)

    @staticmethod
    def _settled(step: _Step) -> None:
        if step.timer is not None:
            step.timer.cancel()

    def _look(self, loop: asyncio.AbstractEventLoop, step: _Step) -> None:
        """A step's time may be over: refuse it, and if it is stuck, let another thread serve instead of its own."""
        with self._lock:
            if step.ended:
                return
            if step.begun is None:
                step.dropped, stage = True, OverdueStage.WAITING
            elif (left := step.begun + self._seconds - monotonic()) > 0:
                step.timer = loop.call_later(left, self._look, loop, step)
                return
            else:
                step.abandoned, stage = True, OverdueStage.RUNNING
                self.abandoned += 1
                self._serving -= 1
                if self.abandoned < MOST_ABANDONED:
                    self._begin(loop)
                else:
                    self.exhausted.set()
        if step.future.done() and stage is OverdueStage.WAITING:  # given up before its turn came
            return
        self._overdue(stage, self.abandoned)
        if not step.future.done():
            step.future.set_exception(Unavailable(f"a step of protocol work is overdue: {stage}"))


class Outward:
    """An HTTP client for protocol exchanges.

    Protocol rules over XML, and what signs it, cost milliseconds, so each step of such an exchange runs on a worker
    thread and the event loop only waits for it. One thread: it and the loop fill two cores, as far as Python
    lets them, since parsing and signatures leave the interpreter's lock alone; a second one made every login dearer by
    a tenth. More cores are for more processes (`workers`).

    A `brief` step is done where it is asked for, on the loop: one that takes no longer than a page does, a millisecond
    or two, whatever a stranger sends; after an answer of more than `BRIEF_OCTETS` none is. The way to the thread and
    back, and the lock that changes hands with every signature on it, cost as much again as the step.
    """

    def __init__(
        self,
        *,
        seconds: float,
        size: int,
        threads: int = 1,
        step_seconds: float = STEP_SECONDS,
        overdue: Callable[[OverdueStage, int], None] = lambda _stage, _abandoned: None,
    ) -> None:
        """`seconds` bounds one request, `size` (bytes) one response body, `step_seconds` one step (see `Threads`)."""
        self._seconds = seconds
        self._size = size
        self._session: aiohttp.ClientSession | None = None
        self._threads = Threads(count=threads, seconds=step_seconds, overdue=overdue)

    @property
    def abandoned(self) -> int:
        """How many threads are stuck now."""
        return self._threads.abandoned

    @property
    def exhausted(self) -> asyncio.Event:
        """Set once so many threads are stuck that none is replaced any more."""
        return self._threads.exhausted

    async def close(self) -> None:
        """Close the connections and the threads."""
        if self._session is not None:
            await self._session.close()
        self._threads.close()

    async def run(self, work: Callable[[], T], *, brief: bool = False) -> T:
        """Run a pure protocol step. Raises what it raises, and `Unavailable` for one that is overdue on its thread."""
        return work() if brief else await self._threads.run(work)

    async def drive(self, exchange: Exchange[T], *, brief: bool = False) -> T:
        """Run an exchange to its end and answer what it returns; what it raises goes through."""
        return await self.drive_then(exchange, _itself, brief=brief)

    async def drive_then(self, exchange: Exchange[T], then: Callable[[T], U], *, brief: bool = False) -> U:
        """Run an exchange to its end and answer what `then` makes of its value; what either raises goes through.

        `then` runs in the same step as the exchange's end, which spares the way to a thread and back.
        """
        step: Callable[[], HttpRequest] = lambda: next(exchange)  # noqa: E731 - rebound at each turn
        while True:
            request_or_end = await self.run(_caught(step, then), brief=brief)
            if isinstance(request_or_end, _End):
                value: U = request_or_end.value
                return value
            try:
                response = await self.fetch(request_or_end)
            except RoadError as fault:
                step = _thrower(exchange, fault)
            else:
                step = _sender(exchange, response)
                brief = brief and len(response.body) <= BRIEF_OCTETS

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """One request, redirects not followed. Raises `RoadError`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds, connect=min(5.0, self._seconds)),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "kakehashi", "Accept-Encoding": "identity"},
                trust_env=False,
                max_line_size=8190,
                max_field_size=16380,
            )
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(self._size + 1)
                while len(body) <= self._size and not response.content.at_eof():
                    body += await response.content.read(self._size + 1 - len(body))
                if len(body) > self._size:
                    raise RoadError(f"more than {self._size} bytes")
                return HttpResponse(
                    status=response.status,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=body,
                )
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise RoadError(type(fault).__name__) from fault


class _End:
    """The value that an exchange returned (`StopIteration` cannot cross a future)."""

    def __init__(self, value: object) -> None:
        self.value: Any = value


def _caught(step: Callable[[], HttpRequest], then: Callable[[Any], Any]) -> Callable[[], "HttpRequest | _End"]:
    def run() -> HttpRequest | _End:
        try:
            return step()
        except StopIteration as end:
            value = end.value
        return _End(then(value))

    return run


def _sender(exchange: Exchange[T], response: HttpResponse) -> Callable[[], HttpRequest]:
    return lambda: exchange.send(response)


def _thrower(exchange: Exchange[T], fault: RoadError) -> Callable[[], HttpRequest]:
    return lambda: exchange.throw(fault)
