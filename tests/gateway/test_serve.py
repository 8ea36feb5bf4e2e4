"""`kakehashi serve` as a process: how it starts, what it tells, how it changes and how it ends."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from .gateway_sample import (
    AUTHORIZE,
    ROOT,
    Sample,
    Served,
    free_port,
    served,
    signatory,
    signed_list,
    start,
    store_server,
    until,
)
from .saml_sample import COMMON, UNASKED, Peers, saml_sample


class SlowService(ThreadingHTTPServer):
    """Answers when it may `finish`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SlowHandler)
        self.begun, self.finish = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class SlowHandler(BaseHTTPRequestHandler):
    server: SlowService

    def do_GET(self) -> None:
        self.server.begun.set()
        self.server.finish.wait()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[SlowService]:
    """A slow service behind the proxy."""
    server = SlowService()
    yield server
    server.finish.set()
    server.shutdown()
    server.server_close()


def failure(sample: Sample, *options: str) -> tuple[int, str]:
    """Exit code and complaint of a gateway that cannot start; never a traceback."""
    gateway = start(sample, *options)
    code = gateway.wait(60)
    said = gateway.err.read_text()
    assert "Traceback" not in said + gateway.out.read_text()
    return code, said


# --- the start


def test_start_and_end(tmp_path: Path) -> None:
    """Ready; says where it listens and what is weaker; SIGTERM ends it with 0, and not a warning on standard error."""
    sample = Sample(tmp_path)
    sample.state.chmod(0o755)
    with served(sample, env={"PYTHONWARNINGS": "error::ResourceWarning", "PYTHONDEVMODE": "1"}) as gateway:
        ready = gateway.ready()
        assert ready["ready"] is True
        assert set(ready["checks"]) == {"not-stopping", "store", "configuration", "trust-lists", "protocol-steps"}
        assert requests.get(sample.public_url + "/", timeout=30).status_code == 200
        assert requests.get(sample.public_url + AUTHORIZE, timeout=30).status_code == 200
        (started,) = gateway.events("started")
        assert started["address"] == sample.public_url
        assert [line["weaker"] for line in gateway.events("weaker-setting")] == ["plain-http-on-loopback"]
        assert gateway.stop() == 0
        assert gateway.err.read_text() == ""
        assert [line["event"] for line in gateway.log()][-2:] == ["stopping", "stopped"]
    # a directory that is there keeps its mode, since it may be a volume; what is inside is for this user alone
    assert sample.state.stat().st_mode & 0o777 == 0o755
    for path in (sample.state / "keys", sample.state / "store"):
        assert path.stat().st_mode & 0o777 == 0o700
    for path in (sample.state / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_weaker_for_one_member_is_said_at_the_start(tmp_path: Path) -> None:
    """With the name of the ID system or service that it was asked for."""
    with served(saml_sample(tmp_path, Peers())) as gateway:
        lines = [line for line in gateway.events("weaker-setting") if line["weaker"] != "plain-http-on-loopback"]
        said = {(line["weaker"], line.get("id_system"), line.get("relying_service")) for line in lines}
        assert said == {
            ("unsolicited-responses", UNASKED, None),
            *(("common-subject-id", None, service) for service in COMMON),
        }
        assert {line["level"] for line in lines} == {"warning"}


def test_mistakes_keep_it_from_starting(tmp_path: Path) -> None:
    """Exit code 2, and the same text as `check-config`."""
    sample = Sample(tmp_path)
    sample.write("services/site.yaml", {**sample.service("site"), "kind": "telex", "colour": "red"})
    sample.write("gateway.yaml", sample.gateway(weaker=["everything"]))
    code, said = failure(sample, "--language", "en")
    checked = subprocess.run(
        [sys.executable, "-m", "gateway", "check-config", str(sample.config), "--language", "en"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (code, checked.returncode) == (2, 1)
    assert said == checked.stderr
    assert "telex" in said
    assert "everything" in said


def test_a_used_port(tmp_path: Path) -> None:
    """A sentence with the port, and exit code 1; the store was not even started."""
    sample = Sample(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", sample.admin_port))
        other.listen()
        code, said = failure(sample)
    assert code == 1
    assert re.fullmatch(rf"kakehashi: Port {sample.admin_port} on localhost is in use .*\n", said)
    assert not (sample.state / "store").exists()


def test_one_state_directory_is_for_one_gateway(tmp_path: Path) -> None:
    """The second says who has it; a gateway killed the hard way leaves an orphan, which the next one takes over."""
    sample = Sample(tmp_path / "a")
    second = Sample(tmp_path / "b")
    with served(sample) as gateway:
        code, said = failure(Sample.sharing(second, sample.state))
        assert code == 1
        assert re.fullmatch(
            rf"kakehashi: .*another gateway \(process {gateway.process.pid}\) uses this state directory\. .*\n", said
        )
        assert gateway.ready()["ready"]
        gateway.signal(signal.SIGKILL)
        gateway.wait()
    with served(sample) as gateway:
        assert gateway.ready()["ready"]
        assert gateway.events("orphan-ended")


@pytest.mark.parametrize("place", ["keys", "store"])
def test_an_unusable_state_directory(tmp_path: Path, place: str) -> None:
    """A file in the way: a sentence that names it (`test_keys.py` has the other ways)."""
    sample = Sample(tmp_path)
    path = sample.state / place
    if path.exists():
        path.rename(path.with_name("aside"))
    path.write_text("")
    code, said = failure(sample)
    assert code == 1
    assert re.fullmatch(r"kakehashi: /.*\. .*\n", said)
    assert str(sample.state) in said


def test_nobody_reads_its_log(tmp_path: Path) -> None:
    """A log that cannot be written any more costs no answer, and the gateway ends as it should."""
    sample = Sample(tmp_path)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway", "serve"),
            *("--config", str(sample.config), "--state", str(sample.state)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    try:
        until(lambda: requests.get(sample.admin + "/readyz", timeout=30).status_code == 200)
        assert requests.get(sample.public_url + AUTHORIZE, timeout=30).status_code == 200
        assert requests.get(sample.public_url + "/api/notes", timeout=30).status_code == 401
        assert requests.get(sample.public_url + "/nowhere", timeout=30).status_code == 404
        assert "kakehashi_calls" in requests.get(sample.admin + "/metrics", timeout=30).text
    finally:
        process.terminate()
        assert process.wait(60) in (0, 120)  # 120: Python itself could not flush what nobody reads


@contextlib.contextmanager
def starting(sample: Sample, *, ignored: bool) -> Iterator[Served]:
    """The gateway as it starts, with SIGINT ignored or not, however these tests were started themselves."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        gateway = start(sample)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield gateway
    finally:
        gateway.process.kill()
        gateway.wait()


def test_interrupted_while_it_starts(tmp_path: Path) -> None:
    """Ctrl-C at any moment ends it, without a traceback."""
    sample = Sample(tmp_path)
    for seconds in (0.5, 0.8, 1.2, 2.0):  # before that Python itself is starting
        with starting(sample, ignored=False) as gateway:
            time.sleep(seconds)
            gateway.signal(signal.SIGINT)
            assert gateway.wait() in (0, -signal.SIGINT)
            assert gateway.err.read_text() == ""


def test_interrupts_ignored_while_it_starts(tmp_path: Path) -> None:
    """A shell starts what it sends to the background so, and Ctrl-C is then for the program in front."""
    sample = Sample(tmp_path)
    with starting(sample, ignored=True) as gateway:
        time.sleep(0.5)
        gateway.signal(signal.SIGINT)
        until(lambda: gateway.events("started"))
        assert gateway.stop() == 0
        assert gateway.err.read_text() == ""


# --- the store


def test_its_own_store_killed(tmp_path: Path) -> None:
    """Not ready while it is gone, then started again by itself; what was in it is there."""
    sample = Sample(tmp_path)
    with served(sample) as gateway:
        begun = requests.get(sample.public_url + AUTHORIZE, timeout=30)
        store = sample.state / "store"
        (store / "store.sock").rename(store / "aside")
        (store / "store.sock").mkdir()  # it cannot start again before this is gone
        os.kill(int((store / "owner").read_text().split()[1]), signal.SIGKILL)
        until(lambda: requests.get(sample.admin + "/readyz", timeout=10).status_code == 503)
        assert gateway.ready()["checks"]["store"] is False
        refused = requests.get(sample.public_url + AUTHORIZE, timeout=10)
        assert refused.status_code == 503
        assert "interrupted" in refused.text
        until(lambda: gateway.events("store-not-started"))
        (store / "store.sock").rmdir()
        until(lambda: gateway.ready()["ready"])
        page = requests.get(begun.url, cookies=begun.history[0].cookies, timeout=30)
        assert page.status_code == 200  # the login that was begun before
        until(lambda: len(gateway.events("store")) == 4)
        assert [line["change"] for line in gateway.events("store")] == ["up", "down", "restart", "up"]
        assert gateway.stop() == 0
        assert gateway.err.read_text() == ""


def test_another_store(tmp_path: Path) -> None:
    """One that loses consents is refused, unless asked for by name; one that goes and comes is borne."""
    sample = Sample(tmp_path)
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    code, said = failure(sample, "--store", url)
    assert code == 1
    assert re.fullmatch(r"kakehashi: the store cannot be used \(ConnectionError\)\. Expected .*\n", said)
    directory = tmp_path / "server"
    directory.mkdir()
    with store_server(directory, port=port):
        code, said = failure(sample, "--store", url)
        assert code == 1
        assert "appendonly yes" in said
        assert "store-not-durable" in said
        sample.write("gateway.yaml", sample.gateway(weaker=["store-not-durable"]))
        with served(sample, "--store", url) as gateway:
            assert "store-not-durable" in [line["weaker"] for line in gateway.events("weaker-setting")]
    sample.write("gateway.yaml", sample.gateway())
    durable = ("--appendonly", "yes", "--appendfsync", "everysec")
    with store_server(directory, *durable, port=port) as server, served(sample, "--store", url) as gateway:
        server.kill()
        server.wait()
        until(lambda: not gateway.ready()["ready"])
        refused = requests.get(sample.public_url + AUTHORIZE, timeout=10)
        assert refused.status_code == 503
        token = requests.post(sample.public_url + "/oidc/token", data={"a": "b"}, timeout=10)
        assert token.headers["Content-Type"].startswith("application/json")
        until(lambda: gateway.events("store")[-1]["change"] == "down")
        with store_server(directory, *durable, port=port):
            until(lambda: gateway.ready()["ready"])
            assert requests.get(sample.public_url + AUTHORIZE, timeout=10).status_code == 200
            until(lambda: gateway.events("store")[-1]["change"] == "up")
            assert gateway.stop() == 0
        assert gateway.err.read_text() == ""


# --- the end


def test_what_is_under_way_is_finished(tmp_path: Path, slow: SlowService) -> None:
    """SIGTERM: not ready, no new connection, the call that was begun gets its answer, exit code 0."""
    sample = Sample(tmp_path, upstream=slow.url, timeout=60)
    sample.write("gateway.yaml", sample.gateway(limits={"shutdown_seconds": 60}))
    answers: list[requests.Response] = []
    with served(sample) as gateway:

        def call() -> None:
            url = sample.public_url + "/api/notes/1"
            answers.append(requests.get(url, headers=sample.bearer(), timeout=60))

        caller = threading.Thread(target=call)
        caller.start()
        assert slow.begun.wait(60)
        gateway.signal(signal.SIGTERM)
        until(lambda: requests.get(sample.admin + "/readyz", timeout=30).status_code == 503)
        assert gateway.ready()["checks"]["not-stopping"] is False

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", sample.port), 1).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refused)
        assert answers == []
        slow.finish.set()
        caller.join()
        assert (answers[0].status_code, answers[0].text) == (200, "ok")
        assert gateway.wait() == 0
        assert gateway.err.read_text() == ""
        (call_line,) = gateway.events("call")
        assert (call_line["outcome"], call_line["status"]) == ("ok", 200)


def test_what_takes_too_long_is_given_up(tmp_path: Path, slow: SlowService) -> None:
    """After `shutdown_seconds` nothing holds the gateway back; it ends with 0 all the same."""
    sample = Sample(tmp_path, upstream=slow.url, timeout=60)
    sample.write("gateway.yaml", sample.gateway(limits={"shutdown_seconds": 1}))
    with served(sample) as gateway:
        failed: list[BaseException] = []

        def call() -> None:
            try:
                requests.get(sample.public_url + "/api/notes/1", headers=sample.bearer(), timeout=60)
            except requests.RequestException as fault:
                failed.append(fault)

        caller = threading.Thread(target=call)
        caller.start()
        assert slow.begun.wait(60)
        assert gateway.stop() == 0
        caller.join()
        assert len(failed) == 1
        assert gateway.err.read_text() == ""
        (call_line,) = gateway.events("call")
        assert call_line["outcome"] == "abandoned"


def test_interrupted_in_the_middle_of_a_login(tmp_path: Path) -> None:
    """Ctrl-C while people are signing in, their connections still open: exit code 0, nothing on standard error."""
    sample = Sample(tmp_path)
    with served(sample) as gateway:
        people = [requests.Session() for _ in range(3)]
        for person in people:
            assert person.get(sample.public_url + AUTHORIZE, timeout=30).status_code == 200
        gateway.signal(signal.SIGINT)
        assert gateway.wait() == 0
        assert gateway.err.read_text() == ""
        for person in people:
            person.close()


# --- changes


def test_changes_are_taken_over_without_a_lost_request(tmp_path: Path) -> None:
    """Within `refresh_seconds`, while requests come; one with mistakes leaves the old in force and is reported."""
    sample = Sample(tmp_path)
    with served(sample) as gateway:
        statuses: list[int] = []
        over = threading.Event()

        def ask() -> None:
            with requests.Session() as session:
                while not over.is_set():
                    statuses.append(session.get(sample.public_url + "/", timeout=30).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        service = {**sample.service("second"), "name": {"ja": "二番目", "en": "Second-service"}}
        sample.write("services/second.yaml", service)
        until(lambda: "Second-service" in requests.get(sample.public_url + "/?lang=en", timeout=30).text)
        sample.write("services/second.yaml", {**service, "colour": "red"})
        until(lambda: gateway.ready()["configuration"]["mistakes"] == 1)
        assert gateway.ready()["ready"] is True
        assert "Second-service" in requests.get(sample.public_url + "/?lang=en", timeout=30).text
        sample.put_list(signed_list("omura", sequence=2, by=signatory("stranger")))
        until(lambda: gateway.ready()["trust_lists"][0]["refused"] == "signature")
        (state,) = gateway.ready()["trust_lists"]
        assert (state["in_force"], state["entities"]) == (True, 2)
        (sample.config / "services" / "second.yaml").unlink()
        sample.write("gateway.yaml", sample.gateway(workers=3))
        until(lambda: gateway.ready()["configuration"]["mistakes"] == 0)
        over.set()
        asking.join()
        assert set(statuses) == {200}
        assert len(statuses) > 50
        mistakes = gateway.events("configuration-mistake")
        assert any("colour" in line["detail"] and "second.yaml" in line["path"] for line in mistakes)
        assert [line["code"] for line in gateway.events("list-refused")] == ["signature"]
        assert gateway.events("restart-needed")[-1]["detail"] == "workers"
        assert gateway.stop() == 0
        assert gateway.err.read_text() == ""


# --- TLS


def tls_sample(directory: Path) -> Sample:
    """A gateway that speaks TLS itself."""
    port = free_port()
    sample = Sample(directory, port=port, public_url=f"https://localhost:{port}")
    sample.write("gateway.yaml", sample.gateway(tls={"certificate": "tls.pem", "key": "tls.key"}))
    put_certificate(sample, "first")
    return sample


def put_certificate(sample: Sample, name: str) -> Path:
    """Give it that certificate; answers what a browser would trust."""
    pair = signatory(name, host="localhost")
    (sample.config / "tls.pem").write_bytes(pair.certificate)
    key = sample.config / "tls.key"
    key.write_bytes(pair.key)
    key.chmod(0o600)
    anchor = sample.directory / f"{name}.pem"
    anchor.write_bytes(pair.certificate)
    return anchor


def test_its_own_tls(tmp_path: Path) -> None:
    """HTTPS with HSTS and cookies that only this host can set; TLS 1.2 at least; SIGHUP shows a renewed certificate."""
    sample = tls_sample(tmp_path)
    first = str(tmp_path / "first.pem")
    sample.write("trust.yaml", {**read(sample, "trust.yaml"), "refresh_seconds": 86_400})
    with served(sample) as gateway:
        answer = requests.get(sample.public_url + AUTHORIZE, verify=first, allow_redirects=False, timeout=30)
        assert answer.status_code == 303
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        (name, *attributes) = answer.headers["Set-Cookie"].split("; ")
        assert name.startswith("__Host-kakehashi-browser=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=None"} <= set(attributes)
        assert not any(attribute.startswith("Domain") for attribute in attributes)
        problem = requests.get(sample.public_url + "/api/x", verify=first, timeout=30)
        assert "Strict-Transport-Security" in problem.headers
        assert not gateway.events("weaker-setting")

        old = ssl.create_default_context(cafile=first)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("localhost", sample.port)) as raw, pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(raw, server_hostname="localhost")
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://localhost:{sample.port}/", timeout=30)

        second = str(put_certificate(sample, "second"))
        sample.put_list(signed_list("omura", sequence=2))
        time.sleep(0.2)
        assert requests.get(sample.public_url + "/", verify=first, timeout=30).status_code == 200
        gateway.signal(signal.SIGHUP)
        until(lambda: requests.get(sample.public_url + "/", verify=second, timeout=30).status_code == 200)
        until(lambda: len(gateway.events("trust-list")) >= 2)
        assert gateway.stop() == 0
        assert gateway.err.read_text() == ""


def read(sample: Sample, name: str) -> dict[str, object]:
    """A configuration file's content."""
    import yaml  # noqa: PLC0415 - only here

    found: dict[str, object] = yaml.safe_load((sample.config / name).read_text())
    return found


# --- proxies


def own_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith(("127.", "0.")) else address


def test_behind_proxies(tmp_path: Path) -> None:
    """What a listed proxy says of the browser's leg is believed; plain HTTP from anyone else beyond loopback is not."""
    sample = Sample(tmp_path, public_url="https://gateway.example")
    sample.write(
        "gateway.yaml",
        sample.gateway(listen={"host": "0.0.0.0", "port": sample.port}, trusted_proxies=["127.0.0.1"]),
    )
    here = f"http://127.0.0.1:{sample.port}"
    with served(sample):
        secure = {"X-Forwarded-Proto": "https", "Host": "gateway.example"}
        answer = requests.get(here + AUTHORIZE, headers=secure, allow_redirects=False, timeout=30)
        assert (answer.status_code, answer.headers["Location"][:7]) == (303, "/login/")
        assert "__Host-" in answer.headers["Set-Cookie"]
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "Strict-Transport-Security" in answer.headers
        for plain in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}):
            answer = requests.get(here + "/x?a=%2F", headers=plain, allow_redirects=False, timeout=30)
            assert answer.status_code == 308
            assert answer.headers["Location"] == "https://gateway.example/x?a=%2F"
            answer = requests.post(here + "/oidc/token", headers=plain, data={}, timeout=30)
            assert answer.status_code == 403
        address = own_address()
        if address is None:
            pytest.skip("this machine has no address but loopback, so nobody comes from elsewhere")
        for headers in ({}, {"X-Forwarded-Proto": "https"}, {"Forwarded": "proto=https"}):
            answer = requests.get(f"http://{address}:{sample.port}/", headers=headers, timeout=30)
            assert answer.status_code == 403
