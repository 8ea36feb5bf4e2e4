"""Logins while things happen: steps that land on different workers, a store that is killed, a loop that is watched."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ROOT, Running, stop_region
from tests.flows.client import Client
from tests.flows.person import Person
from tests.flows.test_logins import signed_in

START = """
import sys
from pathlib import Path
from gateway.demo.region import run
sys.exit(run(Path(sys.argv[1]), free_ports=True, print_addresses=True, serve_options=sys.argv[2:]))
"""


@contextlib.contextmanager
def running(state: Path, *options: str, **env: str) -> Iterator[Running]:
    """A region whose gateway is given these further options; it must also stop well."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(state), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8", **env},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    region = Running(addresses=json.loads(line), state=state, process=process)
    try:
        yield region
    finally:
        code = stop_region(region)
    assert code == 0
    log = (state / "gateway.log").read_text()
    assert "Traceback" not in log
    lines = [json.loads(each) for each in log.splitlines()]
    assert [each for each in lines if "dropped_keys" in each or each["event"] == "unnamed"] == []
    assert [each for each in lines if each["event"] in ("fault", "watch-fault", "background-fault")] == []


def log_of(region: Running) -> list[dict[str, Any]]:
    """The lines of the gateway's log."""
    return [json.loads(line) for line in (region.state / "gateway.log").read_text().splitlines()]


def ready(region: Running) -> bool:
    """Whether the gateway may be sent work."""
    return requests.get(region["admin"] + "/readyz", timeout=10).status_code == 200


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A region whose gateway has two workers."""
    with running(tmp_path_factory.mktemp("region"), "--workers", "2") as found:
        yield found


@contextlib.contextmanager
def only(worker: int, workers: list[int]) -> Iterator[None]:
    """All other workers sleep meanwhile, so this one does what is to be done."""
    asleep = [pid for pid in workers if pid != worker]
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)


class OnTurns(Person):
    """A person whose steps are served by one worker after the other."""

    def __init__(self, workers: list[int]) -> None:
        super().__init__()
        self.session.headers["Connection"] = "close"
        self.workers = workers
        self.turns = 0

    def next(self) -> contextlib.AbstractContextManager[None]:
        self.turns += 1
        return only(self.workers[self.turns % len(self.workers)], self.workers)

    def open(self, url: str) -> Person:
        with self.next():
            return super().open(url)

    def submit(self, button: Any) -> Person:
        with self.next():
            return super().submit(button)


def workers_of(region: Running) -> list[int]:
    """The two workers' processes."""
    (directory,) = (region.state / "state" / "metrics").iterdir()
    keeper = int(directory.name)
    found = sorted({int(path.stem.rpartition("_")[2]) for path in directory.glob("*.db")} - {keeper})
    assert len(found) == 2
    return found


@pytest.mark.parametrize(("system", "resident"), [("maebashi", "髙橋 花子"), ("ebetsu", "佐々木 一郎")])
def test_a_login_whose_steps_land_on_different_workers(region, system, resident):
    """No step needs what another worker holds in its memory."""
    person = OnTurns(workers_of(region))
    signed_in(region, "gunma", system, resident, person)
    assert (person.status, person.url) == (200, region["gunma"] + "/")
    assert resident in person.text
    assert person.turns >= 3


def test_a_code_and_its_token_on_different_workers(region):
    """A code from one worker is exchanged at the other, once; the token opens userinfo and API at the first."""
    first, second = workers = workers_of(region)
    client = Client(region)
    with only(first, workers):
        code = client.sign_in("omura", "濵﨑 みどり")["code"]
    with only(second, workers):
        token = client.exchange(code).json()["access_token"]
    with only(first, workers):
        headers = {"Authorization": f"Bearer {token}"}
        assert requests.get(region["gateway"] + "/oidc/userinfo", headers=headers, timeout=10).status_code == 200
        assert requests.get(region["gateway"] + "/api/council/polls", headers=headers, timeout=10).ok
        assert client.exchange(code).json()["error"] == "invalid_grant"
    with only(second, workers):
        assert requests.get(region["gateway"] + "/oidc/userinfo", headers=headers, timeout=10).status_code == 401


def test_consents_survive_a_killed_store(region):
    """The store's server is killed; the gateway starts it again, and nobody is asked a second time."""
    signed_in(region, "takasaki", "omura", "濵﨑 みどり")
    server = int((region.state / "state" / "store" / "owner").read_text().split()[1])
    os.kill(server, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not any(line.get("change") == "restart" for line in log_of(region)) or not ready(region):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    person = Person()
    person.open(region["takasaki"] + "/sign-in").choose("system", "omura").press("濵﨑 みどり")
    assert (person.status, person.url) == (200, region["takasaki"] + "/")


def test_nothing_holds_up_the_loop(tmp_path):
    """Without uvloop and with asyncio's own watch on: no step of a login keeps the event loop for 100 ms."""
    (tmp_path / "uvloop.py").write_text("raise ImportError\n")
    with running(tmp_path / "region", PYTHONPATH=str(tmp_path), PYTHONASYNCIODEBUG="1") as region:
        before = len(log_of(region))
        for service, system, resident in (
            ("gunma", "maebashi", "髙橋 花子"),
            ("participation", "ebetsu", "佐々木 一郎"),
        ):
            person = signed_in(region, service, system, resident)
            assert (person.status, person.url) == (200, region[service] + "/")
        requests.get(region["admin"] + "/operations", timeout=10)
        requests.get(region["admin"] + "/metrics", timeout=10)
        slow = [
            line
            for line in log_of(region)[before:]
            if line.get("logger") == "asyncio" and "took" in line.get("message", "")
        ]
        assert slow == []
