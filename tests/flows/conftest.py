"""The demo region as `make demo` runs it: one for all flows, on free ports, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from person import Person

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Running:
    """A region that runs: where each system listens, where it keeps its files, and its process."""

    addresses: dict[str, str]
    state: Path
    process: "subprocess.Popen[str]"

    def __getitem__(self, name: str) -> str:
        return self.addresses[name]


def start_region(state: Path, *options: str) -> Running:
    """`kakehashi demo` on free ports; returns once it says that all is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo", "--state", str(state), "--free-ports", "--print-addresses", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        raise AssertionError(f"the region did not start: {process.stderr.read()}")
    return Running(addresses=json.loads(line), state=state, process=process)


def stop_region(region: Running) -> int:
    """Ctrl-C, and the exit code."""
    region.process.send_signal(signal.SIGINT)
    region.process.communicate(timeout=60)
    return region.process.returncode


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start_region(tmp_path_factory.mktemp("region"))
    yield running
    assert stop_region(running) == 0


@pytest.fixture
def person() -> Person:
    return Person()
