"""One worker process of a gateway with several; started by `gateway/workers.py`, never by hand."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from gateway.app import public_app
from gateway.config import Configuration, ConfigurationError, load
from gateway.process import VERSION, StoreAccess, Telemetry, running
from gateway.serve import listening, on_signals, reloading, run_loop, settle, tls
from gateway.workers import READY
from observability import logs


def main() -> int:
    """Serve the public listener on the sockets inherited until SIGTERM; the exit code."""
    instructions = json.loads(sys.argv[1])
    state = Path(instructions["state"])
    try:
        configuration = load(Path(instructions["config"]), state=state)
    except ConfigurationError as fault:
        sys.stderr.write(fault.format() + "\n")
        return 1
    logs.configure(
        version=VERSION, format="text" if configuration.gateway.log.format == "console" else "json", level=configuration.gateway.log.level
    )
    run_loop(_work(configuration, state, instructions))
    return 0


async def _work(configuration: Configuration, state: Path, instructions: dict[str, Any]) -> None:
    stop, again = asyncio.Event(), asyncio.Event()
    on_signals(stop, again)
    access = StoreAccess(
        url=os.environ["KAKEHASHI_STORE_URL"], waits_for_disk=instructions["waits_for_disk"]
    )
    sockets = [socket.socket(fileno=number) for number in instructions["sockets"]]
    telemetry = Telemetry()
    async with contextlib.AsyncExitStack() as stack:
        process = await stack.enter_async_context(
            running(
                configuration,
                state=state,
                access=access,
                telemetry=telemetry,
                observer=telemetry.observer(),
            )
        )
        await stack.enter_async_context(reloading(again, process))
        seconds = configuration.gateway.limits.shutdown_seconds
        await stack.enter_async_context(
            listening(public_app(process.gateway), sockets, seconds, tls(configuration))
        )
        settle()
        os.write(instructions["ready"], READY)
        os.close(instructions["ready"])
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
