"""Several processes on one port: the keeper starts workers on its listening sockets, and replaces one that died.

A worker is `python -m gateway.worker`: it inherits the sockets, reads the same configuration and state, and
serves the public listener, and those for card readers and clients' certificates where there are any. Their
metrics meet in a directory (prometheus_client's multiprocess mode), which the keeper reads. A worker whose
keeper is gone ends by itself, so that the port is free for the next one.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any

import structlog

from gateway.process import StoreAccess
from observability.metrics import worker_ended

log = structlog.get_logger("gateway.workers")

READY = b"ready\n"
"""What a worker writes to its standard output's pipe once it accepts connections."""

STORE_VARIABLE = "KAKEHASHI_STORE_URL"
"""Tells a worker the store's URL, which may hold a password: every user of the machine reads command lines."""

START_SECONDS = 60.0

PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker that died is started again, longer each time in a row."""

STEADY_SECONDS = 30.0
"""A worker that lived this long died of something new."""

STOP_SECONDS = 5.0
"""How long a worker may take to end beyond what it has under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """The listening sockets that workers share: the public ones, those for card readers, and for certificates."""

    public: Sequence[socket.socket]
    cards: Sequence[socket.socket] = ()
    clients: Sequence[socket.socket] = ()

    def __iter__(self) -> Iterator[socket.socket]:
        """All of them."""
        return chain(self.public, self.cards, self.clients)

    def numbers(self) -> dict[str, list[int]]:
        """Their file descriptors, by what they are for: the form that a worker reads again."""
        return {each.name: [listener.fileno() for listener in getattr(self, each.name)] for each in fields(self)}

    @classmethod
    def inherited(cls, numbers: Mapping[str, Sequence[int]]) -> "Sockets":
        """Those with these file descriptors."""
        return cls(**{name: [socket.socket(fileno=each) for each in found] for name, found in numbers.items()})


class WorkerError(Exception):
    """A worker cannot be started."""


@dataclass(slots=True, kw_only=True)
class Workers:
    """`count` workers on `sockets`; at the end each gets `seconds` to finish what is under way."""

    count: int
    config: Path
    state: Path
    access: StoreAccess
    sockets: Sockets
    metrics: Path
    seconds: float
    _alive: dict[int, asyncio.subprocess.Process] = field(default_factory=dict, init=False)
    _lifeline: int = field(default=-1, init=False)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All workers, ready, while the context is open. Raises `WorkerError`."""
        self._lifeline, held = os.pipe()
        keepers: list[asyncio.Task[None]] = []
        try:
            await _all(self._start(number) for number in range(self.count))
            keepers = [asyncio.create_task(self._keep(number)) for number in range(self.count)]
            yield
        finally:
            for listener in self.sockets:  # from now on new connections are refused, not left waiting
                listener.close()
            for task in keepers:
                task.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await asyncio.gather(*(self._stop(process) for process in self._alive.values()))
            self._alive.clear()
            os.close(held)
            os.close(self._lifeline)

    @property
    def alive(self) -> int:
        """How many workers serve."""
        return len(self._alive)

    def read_again(self) -> None:
        """Let every worker read its whole configuration again."""
        for process in self._alive.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)

    async def _keep(self, number: int) -> None:
        """Keep one worker alive until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            begun = loop.time()
            process = self._alive[number]
            code = await process.wait()
            del self._alive[number]
            worker_ended(process.pid, self.metrics)
            log.error("worker-died", worker=number, exit_code=code)
            failures = 0 if loop.time() - begun > STEADY_SECONDS else failures + 1
            while number not in self._alive:
                await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
                try:
                    await self._start(number)
                except (WorkerError, OSError):
                    log.exception("worker-not-started", worker=number)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.seconds + STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _start(self, number: int) -> None:
        """Start one worker and wait until it serves. Raises `WorkerError`; then it does not live any more."""
        reader, writer = os.pipe()
        sockets = self.sockets.numbers()
        instructions = {
            "config": str(self.config),
            "state": str(self.state),
            "sockets": sockets,
            "ready": writer,
            "keeper": self._lifeline,
            "waits_for_disk": self.access.waits_for_disk,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "gateway.worker",
                json.dumps(instructions),
                env={**os.environ, STORE_VARIABLE: self.access.url},
                pass_fds=(*chain.from_iterable(sockets.values()), writer, self._lifeline),
                start_new_session=True,  # Ctrl-C is for the keeper, which then ends its workers in order
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        try:
            await _until_ready(reader)
        except BaseException:
            if process.returncode is None:
                process.kill()
            await process.wait()
            worker_ended(process.pid, self.metrics)
            raise
        self._alive[number] = process


async def _until_ready(reader: int) -> None:
    loop = asyncio.get_running_loop()
    said: asyncio.Future[bytes] = loop.create_future()

    def readable() -> None:
        loop.remove_reader(reader)
        if not said.done():
            said.set_result(os.read(reader, len(READY)))

    loop.add_reader(reader, readable)
    try:
        answer = await asyncio.wait_for(said, START_SECONDS)
    except TimeoutError:
        answer = b""
    finally:
        loop.remove_reader(reader)
        os.close(reader)
    if answer != READY:
        raise WorkerError("a worker did not become ready; its reason stands above")


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of them at once; if one fails the others are ended before its fault is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
