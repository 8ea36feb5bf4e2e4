"""Several processes on one port: the keeper starts workers on its listening sockets, and starts again one that died.

A worker is `python -m gateway.worker`: it inherits the sockets, reads the same configuration and state, and serves the
public listener only. Their metrics meet in a directory (prometheus_client's multiprocess mode), which the keeper reads.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway.process import StoreAccess
from observability.metrics import worker_ended

log = structlog.get_logger("gateway.workers")

READY = b"ready\n"
"""What a worker writes to its standard output's pipe once it accepts connections."""

START_SECONDS = 60.0

PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a worker that died is started again, longer each time in a row."""

STEADY_SECONDS = 30.0
"""A worker that lived this long died of something new."""


class WorkerError(Exception):
    """The workers cannot be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """`count` workers on `sockets`; at the end each gets `seconds` to finish what is under way."""

    count: int
    config: Path
    state: Path
    access: StoreAccess
    sockets: Sequence[socket.socket]
    metrics: Path
    seconds: float

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All workers, ready, while the context is open."""
        async with contextlib.AsyncExitStack() as stack:
            first = await asyncio.gather(*(self._start() for _ in range(self.count)))
            keepers = [asyncio.create_task(self._keep(n, process)) for n, process in enumerate(first)]
            stack.push_async_callback(_ended, keepers)
            yield

    async def _keep(self, number: int, process: asyncio.subprocess.Process) -> None:
        """Keep one worker alive until cancelled, then end it in order."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                begun = loop.time()
                code = await process.wait()
                worker_ended(process.pid, self.metrics)
                log.error("worker-died", worker=number, exit_code=code)
                failures = 0 if loop.time() - begun > STEADY_SECONDS else failures + 1
                await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
                process = await self._start()
        finally:
            await self._stop(process)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self.seconds + 5)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        reader, writer = os.pipe()
        instructions = {
            "config": str(self.config),
            "state": str(self.state),
            "sockets": [listener.fileno() for listener in self.sockets],
            "ready": writer,
            "waits_for_disk": self.access.waits_for_disk,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.worker",
                json.dumps(instructions),
                env={
                    **os.environ,
                    "PROMETHEUS_MULTIPROC_DIR": str(self.metrics),
                    # the URL may hold a password, which a command line would show to every user of the machine
                    "KAKEHASHI_STORE_URL": self.access.url,
                },
                pass_fds=[*instructions["sockets"], writer],  # type: ignore[misc]
                start_new_session=True,  # Ctrl-C is for the keeper, which then ends its workers in order
            )
        finally:
            os.close(writer)
        await _wait_ready(reader, process)
        return process


async def _wait_ready(reader: int, process: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def readable() -> None:
        loop.remove_reader(reader)
        if not ready.done():
            ready.set_result(os.read(reader, len(READY)))

    loop.add_reader(reader, readable)
    try:
        said = await asyncio.wait_for(ready, START_SECONDS)
    except TimeoutError:
        said = b""
    finally:
        loop.remove_reader(reader)
        os.close(reader)
    if said != READY:
        if process.returncode is None:
            process.kill()
        raise WorkerError("a worker did not become ready; its reason stands above")


async def _ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
