"""What flows and browser tests share: the running demo region, a person, and an honest last word.

The region is the one that `make demo` runs, on free ports, in a process of its own.
"""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from .flows.person import Person

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
"""No test asserts time, also not by way of the examples that it tries: machines that run tests are slow ones."""


@dataclass(frozen=True)
class Running:
    """A region that runs: where each system listens, where it keeps its files, and its process."""

    addresses: dict[str, str]
    state: Path
    process: "subprocess.Popen[str]"

    def __getitem__(self, name: str) -> str:
        """The address of a system, without a slash at the end."""
        return self.addresses[name]


def start_region(state: Path, *options: str, free_ports: bool = True) -> Running:
    """`kakehashi demo`, on free ports or on the default ones; returns once it says that all is ready."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway", "demo"),
            *("--state", str(state), "--print-addresses", *options),
            *(["--free-ports"] if free_ports else []),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, told = process.communicate()
        raise AssertionError(f"the region did not start: {told}")
    return Running(addresses=json.loads(line), state=state, process=process)


def stop_region(region: Running) -> int:
    """Ctrl-C, and the exit code."""
    region.process.send_signal(signal.SIGINT)
    region.process.communicate(timeout=60)
    return region.process.returncode


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One region for all flows; it must also stop well."""
    running = start_region(tmp_path_factory.mktemp("region"))
    yield running
    assert stop_region(running) == 0


@pytest.fixture
def person() -> Person:
    """Somebody with a browser of their own, without JavaScript."""
    return Person()


# --- in how many processes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores (`-n auto`): many tests wait for servers that start, stop, or are slow."""
    return len(os.sched_getaffinity(0)) + 1


# --- names of tests


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Octets that are no short text are called by their place: packed and signed ones differ in every process."""
    if isinstance(val, bytes) and not (len(val) <= 40 and val.isascii() and val.decode().isprintable()):
        return argname
    return None


# --- what a test leaves behind


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """A command that ran in this process may have set up logs for it; the next test's are not its business."""
    if structlog.is_configured():
        structlog.reset_defaults()


# --- the last lines


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """After everything else: which tests did not run on this machine, and why."""
    result = yield
    by_reason: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)
    if by_reason:
        terminalreporter.section("did not run on this machine", yellow=True)
    for reason, tests in sorted(by_reason.items()):
        files = sorted({test.partition("::")[0] for test in tests})
        terminalreporter.line(f"{len(tests)} in {', '.join(files)}: {reason}")
    return result
