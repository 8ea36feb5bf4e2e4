"""The gateway's command line with a measuring instrument in the same process.

    saml_launch.py [--delay FILE] [--profile FILE] serve --config … --state …

`--delay` writes how late a short timer of the event loop returned at worst, in seconds, since the last SIGUSR1: that is
how long its slowest callback held it up. `--profile` counts from the first SIGUSR1 what the event loop and the worker
threads do (cProfile: FILE for `python -m pstats`, and what costs most as text beside it). Both are written at the end.
Without either it is the command itself.
"""

import argparse
import asyncio
import concurrent.futures.thread as pool
import contextlib
import cProfile
import json
import pstats
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

TIMER = 0.005
"""The timer's length, in seconds."""


class Instrument:
    """What is measured; nothing is, before SIGUSR1."""

    def __init__(self, *, profile: bool) -> None:
        self.late: list[float] = []
        self.profiles: list[cProfile.Profile] = []
        self.running = False
        self._profile = profile
        self._local = threading.local()

    def begin(self) -> None:
        """Forget what was, and count from here."""
        self.late = []
        self.running = True
        if self._profile and not self.profiles:
            self.mine().enable()

    def mine(self) -> cProfile.Profile:
        """The profile of this thread."""
        if not hasattr(self._local, "profile"):
            self._local.profile = cProfile.Profile()
            self.profiles.append(self._local.profile)
        found: cProfile.Profile = self._local.profile
        return found

    async def watch(self, main: Coroutine[Any, Any, None]) -> None:
        """Run `main`, and a timer beside it."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.begin)
        timer = asyncio.create_task(self._time())
        try:
            await main
        finally:
            timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await timer
            for profile in self.profiles:
                profile.disable()

    async def _time(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TIMER)
            if self.running and not self._profile:
                self.late.append(time.perf_counter() - began - TIMER)

    def instrument_threads(self) -> None:
        """Profile each piece of work of a thread pool in its thread."""
        item: Any = pool._WorkItem  # no public place sees every piece of work
        plain = item.run

        def run(work: Any) -> None:
            if not self.running:
                plain(work)
                return
            profile = self.mine()
            profile.enable()
            try:
                plain(work)
            finally:
                profile.disable()

        item.run = run


def main() -> None:
    """Run the command, measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=Path)
    parser.add_argument("--profile", type=Path)
    options, command = parser.parse_known_args()

    import gateway.serve  # noqa: PLC0415 - the path is set above
    from gateway.cli import main as gateway_main  # noqa: PLC0415

    if options.delay or options.profile:
        instrument = Instrument(profile=bool(options.profile))
        plain = gateway.serve.run_loop
        gateway.serve.run_loop = lambda main: plain(instrument.watch(main))
        if options.profile:
            instrument.instrument_threads()
    try:
        gateway_main(command, prog_name="kakehashi")
    finally:
        if options.delay:
            ordered = sorted(instrument.late)
            options.delay.write_text(
                json.dumps(
                    {
                        "worst": ordered[-1],
                        "p99": ordered[int(0.99 * len(ordered))],
                        "median": ordered[len(ordered) // 2],
                        "timers": len(ordered),
                    }
                    if ordered
                    else {}
                )
            )
        if options.profile and instrument.profiles:
            _write(options.profile, instrument.profiles)


def _write(target: Path, profiles: list[cProfile.Profile]) -> None:
    """The figures for `pstats`, and beside them what costs most, as text."""
    with target.with_suffix(".txt").open("w") as text:
        statistics = pstats.Stats(profiles[0], stream=text)
        for profile in profiles[1:]:
            statistics.add(profile)
        statistics.dump_stats(target)
        for order in ("tottime", "cumulative"):
            statistics.sort_stats(order).print_stats(70)


if __name__ == "__main__":
    main()
