"""A gateway as a process of its own, which knows systems by the tests' own word: for tests that kill it."""

import asyncio
import contextlib
import importlib
import sys
from pathlib import Path

from gateway.config import load
from gateway.holder import fingerprint
from gateway.listeners import bind
from gateway.process import StoreAccess, Telemetry, running
from gateway.serve import Listener, listening


async def main(config: Path, state: Path, store: str, port: int) -> None:
    """Serve until killed."""
    sample = importlib.import_module("tests.gateway.council_sample")
    telemetry = Telemetry()
    async with contextlib.AsyncExitStack() as stack:
        process = await stack.enter_async_context(
            running(
                load(config, state=state),
                seen=fingerprint(config),
                state=state,
                access=StoreAccess(url=store, waits_for_disk=False),
                telemetry=telemetry,
                observer=telemetry.observer(),
                replaced=lambda _: None,
            )
        )
        await stack.enter_async_context(listening(2, Listener(sample.app(process), bind("localhost", port))))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
