"""Several workers on one port: counted as one, replaced when they die, and none left behind."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from .gateway_sample import Sample, Served, free_port, served, signed_list, until
from .test_embedded import alive


def workers_of(gateway: Served) -> set[int]:
    """The worker processes that have counted something, by the files of their metrics."""
    directory = gateway.sample.state / "metrics" / str(gateway.process.pid)
    found = {int(path.stem.rpartition("_")[2]) for path in directory.glob("*.db")}
    return {pid for pid in found if pid != gateway.process.pid and alive(pid)}


def count(gateway: Served, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    text = requests.get(gateway.sample.admin + "/metrics", timeout=30).text
    wanted = {f'{key}="{value}"' for key, value in labels.items()}
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if re.match(rf"{name}(\{{|\s)", line) and all(each in line for each in wanted)
    )


def refused_calls(gateway: Served) -> float:
    """How many calls without a token were counted."""
    return count(gateway, "kakehashi_refusals_total", bridge="call", reason="token-missing")


def call(gateway: Served, times: int) -> None:
    """Calls without a token, each on a connection of its own."""
    for _ in range(times):
        answer = requests.get(gateway.sample.public_url + "/api/notes", headers={"Connection": "close"}, timeout=30)
        assert answer.status_code == 401


@contextlib.contextmanager
def only(worker: int, others: set[int]) -> Iterator[None]:
    """All other workers sleep meanwhile, so this one answers."""
    asleep = others - {worker}
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with two workers."""
    with served(Sample(tmp_path_factory.mktemp("workers")), "--workers", "2") as running:
        until(lambda: len(workers_of(running)) == 2)
        yield running


def test_numbers_of_all_workers_add_up(gateway: Served) -> None:
    """Each worker counts; the admin listener shows the sum."""
    pids = workers_of(gateway)
    before = refused_calls(gateway)
    for pid in pids:
        with only(pid, pids):
            call(gateway, 3)
    assert refused_calls(gateway) - before == 6
    assert gateway.ready()["workers"] == {"wanted": 2, "alive": 2}


def test_a_change_reaches_every_worker(gateway: Served) -> None:
    """A new configuration, and SIGHUP to the keeper."""
    pids = workers_of(gateway)
    sample = gateway.sample
    loads = len([line for line in gateway.events("configuration") if line["outcome"] == "loaded"])
    sample.write("services/second.yaml", {**sample.service("second"), "name": {"ja": "二", "en": "Second-service"}})
    url = sample.public_url + "/?lang=en"
    for pid in pids:
        with only(pid, pids):
            until(lambda: "Second-service" in requests.get(url, headers={"Connection": "close"}, timeout=30).text)

    def loaded() -> int:
        return len([line for line in gateway.events("configuration") if line["outcome"] == "loaded"])

    until(lambda: loaded() >= loads + 3)  # the keeper has a region too
    loads = loaded()
    sample.put_list(signed_list("maebashi", "omura", sequence=2))
    gateway.signal(signal.SIGHUP)
    until(lambda: loaded() >= loads + 3)


def test_a_killed_worker_is_replaced(gateway: Served) -> None:
    """Another one serves in its place soon, what it counted stays counted, and the others never stopped."""
    call(gateway, 4)
    before = refused_calls(gateway)
    pids = workers_of(gateway)
    victim, other = sorted(pids)
    os.kill(victim, signal.SIGKILL)
    until(lambda: gateway.events("worker-died"))
    call(gateway, 2)
    until(lambda: len(workers_of(gateway)) == 2 and gateway.ready()["workers"]["alive"] == 2)
    assert other in workers_of(gateway)
    assert victim not in workers_of(gateway)
    assert refused_calls(gateway) - before == 2
    (died,) = gateway.events("worker-died")
    assert died["exit_code"] == -signal.SIGKILL


def test_a_worker_that_cannot_start_again_is_tried_again(gateway: Served) -> None:
    """While the configuration has mistakes a new worker does not start; the others serve, and it comes afterwards."""
    sample = gateway.sample
    pids = workers_of(gateway)
    good = (sample.config / "routes.yaml").read_text()
    (sample.config / "routes.yaml").write_text("services: nonsense\n")
    os.kill(min(pids), signal.SIGKILL)
    until(lambda: gateway.events("worker-not-started"))
    ready = gateway.ready()
    assert (ready["ready"], ready["workers"]["alive"]) == (True, 1)
    call(gateway, 2)
    (sample.config / "routes.yaml").write_text(good)
    until(lambda: gateway.ready()["workers"]["alive"] == 2)


def test_workers_end_with_their_keeper(gateway: Served) -> None:
    """A keeper killed the hard way leaves no worker on the port: the next gateway starts, counts anew, ends well."""
    sample = gateway.sample
    pids = workers_of(gateway)
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    until(lambda: not any(alive(pid) for pid in pids))
    old = sample.state / "metrics" / str(gateway.process.pid)
    assert old.exists()
    with served(sample, "--workers", "2") as following:
        assert not old.exists()
        assert refused_calls(following) == 0
        pids = until(lambda: len(workers_of(following)) == 2 and workers_of(following))
        assert following.stop() == 0
        assert following.err.read_text() == ""
        assert not any(alive(pid) for pid in pids)
        with pytest.raises(requests.ConnectionError):
            requests.get(sample.public_url, timeout=2)


def test_the_page_tells_what_every_worker_sees_of_a_services_addresses(tmp_path: Path) -> None:
    """One address listens and one does not: which, in how many processes, until a worker that saw it is no more."""
    with answering() as good:
        sample = Sample(tmp_path)
        dead = f"http://localhost:{free_port()}/v1"
        routes = sample.routes()
        (notes,) = routes["services"]
        notes["upstream"], notes["targets"] = good, [good, dead]
        notes["ejection"] = {"failures": 1, "seconds": 300}
        sample.write("routes.yaml", routes)
        with served(sample, "--workers", "2") as gateway:

            def told() -> tuple[list[str], list[tuple[str, str, int, int]]]:
                overview = requests.get(sample.admin + "/operations.json", timeout=30).json()["overview"]
                rows = [
                    (row["url"], row["state"], row["seen_so"], row["seen"])
                    for service in overview["services"]
                    for row in service["addresses"]
                ]
                return [found["code"] for found in overview["findings"]], rows

            def both(seen: int) -> bool:
                url, headers = sample.public_url + "/api/notes", {"Connection": "close", **sample.bearer()}
                for _ in range(4):
                    assert requests.get(url, headers=headers, timeout=30).status_code == 200
                return told()[1] == [(good, "in-turn", seen, seen), (dead, "out", seen, seen)]

            assert told() == ([], [])
            until(lambda: both(2))
            assert told()[0] == ["service-addresses-out"]
            page = requests.get(sample.admin + "/operations?lang=ja", timeout=30).text
            assert f"<code>{dead}</code>" in page
            os.kill(min(workers_of(gateway)), signal.SIGKILL)
            until(lambda: told()[1] == [(good, "in-turn", 1, 1), (dead, "out", 1, 1)])


@contextlib.contextmanager
def answering() -> Iterator[str]:
    """A service that answers every GET; its address."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("localhost", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
