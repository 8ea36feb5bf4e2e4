"""One worker process of a gateway with several; started by `gateway/workers.py`, never by hand."""

import asyncio
import contextlib
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.config import Configuration, ConfigurationError, load
from gateway.holder import fingerprint
from gateway.keys import StateDirectoryError
from gateway.process import Process, StoreAccess, Telemetry, background, running
from gateway.serve import configure_log, on_signals, passing_on, renew, run_loop, serving, settle, tls
from gateway.workers import READY, STORE_VARIABLE, Sockets

log = structlog.get_logger("gateway.worker")


def main() -> int:
    """Serve on the sockets inherited until SIGTERM; the exit code."""
    instructions = json.loads(sys.argv[1])
    directory, state = Path(instructions["config"]), Path(instructions["state"])
    try:
        seen = fingerprint(directory)
        configuration = load(directory, state=state)
        configure_log(configuration)
        run_loop(_work(configuration, seen, state, instructions))
    except ConfigurationError as fault:
        sys.stderr.write(fault.format() + "\n")
        return 1
    except StateDirectoryError as fault:
        sys.stderr.write(f"kakehashi: {fault}\n")
        return 1
    return 0


async def _work(configuration: Configuration, seen: str, state: Path, instructions: dict[str, Any]) -> None:
    stop, again = asyncio.Event(), asyncio.Event()
    on_signals(stop, again)
    # The keeper holds the other end and never writes: it becomes readable when the keeper is no more.
    asyncio.get_running_loop().add_reader(instructions["keeper"], stop.set)
    access = StoreAccess(url=os.environ[STORE_VARIABLE], waits_for_disk=instructions["waits_for_disk"])
    sockets = Sockets.inherited(instructions["sockets"])
    context = tls(configuration)
    telemetry = Telemetry()
    async with contextlib.AsyncExitStack() as stack:
        process = await stack.enter_async_context(
            running(
                configuration,
                seen=seen,
                state=state,
                access=access,
                telemetry=telemetry,
                observer=telemetry.observer(),
                replaced=partial(renew, context),
            )
        )
        seconds = configuration.gateway.limits.shutdown_seconds
        await stack.enter_async_context(serving(process.gateway, sockets, seconds, context))
        settle()
        os.write(instructions["ready"], READY)
        os.close(instructions["ready"])
        await stack.enter_async_context(passing_on(again, process, None))
        await stack.enter_async_context(background(partial(give_up, process, stop)))
        await stop.wait()


async def give_up(process: Process, stop: asyncio.Event) -> None:
    """End in order once too many threads are stuck: the keeper starts another worker."""
    await process.gateway.outward.exhausted.wait()
    log.error("worker-exhausted")
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
