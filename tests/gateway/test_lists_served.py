"""Lists that are fetched or need approval, in a whole gateway with two workers: swapped without a lost request."""

import contextlib
import html
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.decisions import Decisions

from .gateway_sample import AUTHORIZE, Sample, Served, served, signed_list, until
from .test_workers import only, workers_of


class Authority(ThreadingHTTPServer):
    """Publishes one list."""

    daemon_threads = True

    def __init__(self, document: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.document = document
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/region.jwt"


class _Handler(BaseHTTPRequestHandler):
    server: Authority

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def publishing(document: bytes) -> Iterator[Authority]:
    """An authority on loopback."""
    authority = Authority(document)
    thread = threading.Thread(target=authority.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        authority.shutdown()
        authority.server_close()
        thread.join()


def with_source(sample: Sample, **source: Any) -> Sample:
    """The sample with its one list from elsewhere."""
    source = {"name": "region", "format": "etsi-119602", "anchors": ["lists/anchor.pem"], **source}
    sample.write("trust.yaml", {"sources": [source], "refresh_seconds": 1})
    return sample


def entities(gateway: Served) -> int:
    """How many the list in force has, as /readyz says."""
    found: int = gateway.ready()["trust_lists"][0]["entities"]
    return found


def test_a_newer_list_is_in_force_in_every_worker_without_a_lost_request(tmp_path: Path) -> None:
    """Fetched once for all of them; requests go on all the while, and each is answered."""
    with publishing(signed_list("maebashi")) as authority:
        sample = with_source(Sample(tmp_path), url=authority.url)
        with served(sample, "--workers", "2") as gateway:
            until(lambda: len(workers_of(gateway)) == 2)
            until(lambda: len(gateway.events("trust-list")) >= 3 and entities(gateway) == 2)
            statuses: list[int] = []
            over = threading.Event()

            def ask() -> None:
                with requests.Session() as session:
                    while not over.is_set():
                        answer = session.get(sample.public_url + AUTHORIZE, timeout=10)
                        statuses.append(answer.status_code)

            people = [threading.Thread(target=ask) for _ in range(3)]
            for person in people:
                person.start()
            for sequence, names in enumerate((("maebashi", "omura"), ("omura",), ("maebashi", "omura", "ebetsu")), 2):
                loaded = len(gateway.events("trust-list"))
                authority.document = signed_list(*names, sequence=sequence)
                gateway.signal(1)  # SIGHUP: ask now
                until(partial(_swapped, gateway, entities_now=len(names) + 1, lines=loaded + 3), 60)
            over.set()
            for person in people:
                person.join()
            assert len(statuses) > 20
            assert set(statuses) == {200}
            assert authority.asked == 4
            pids = workers_of(gateway)
            for pid in pids:
                with only(pid, pids):
                    page = requests.get(sample.public_url + AUTHORIZE, headers={"Connection": "close"}, timeout=10)
                    assert {"maebashi", "omura"} <= set(re.findall(r"maebashi|omura", page.text))
            assert gateway.stop() == 0


def _swapped(gateway: Served, *, entities_now: int, lines: int) -> bool:
    """Whether keeper and both workers have taken the list over."""
    return entities(gateway) == entities_now and len(gateway.events("trust-list")) >= lines


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway whose list needs approval, from a file."""
    sample = with_source(Sample(tmp_path_factory.mktemp("approval")), file="lists/region.jwt", approval="required")
    with served(sample, "--workers", "2") as running:
        until(lambda: running.events("list-fetch"))
        yield running


def decision(gateway: Served, language: str = "en") -> tuple[requests.Response, dict[str, str]]:
    """The page of the decision, and its form's hidden fields."""
    page = requests.get(gateway.sample.admin + f"/operations/staged/region?lang={language}", timeout=10)
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    return page, {name: html.unescape(value) for name, value in fields}


def post(gateway: Served, form: dict[str, str], **headers: str) -> requests.Response:
    """Send the form, by default as a browser does from that page."""
    return requests.post(
        gateway.sample.admin + "/operations/staged/region?lang=en",
        data=form,
        headers=headers or {"Sec-Fetch-Site": "same-origin", "Origin": gateway.sample.admin},
        allow_redirects=False,
        timeout=10,
    )


def test_a_version_is_shown_in_words_and_approved_by_somebody(waiting: Served) -> None:
    """On the operations page and on a page of its own; then it is in force in every worker."""
    assert not waiting.ready()["ready"]
    for language, word in (("en", "waits for approval"), ("ja", "承認")):
        page = requests.get(waiting.sample.admin + f"/operations?lang={language}", timeout=10)
        assert word in page.text
        assert "maebashi" in page.text
        assert 'href="operations/staged/region' in page.text
    page, form = decision(waiting)
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert "maebashi" in page.text

    refused = post(waiting, {**form, "who": " ", "word": "approved"})
    assert (refused.status_code, "Write your name" in refused.text) == (409, True)

    done = post(waiting, {**form, "who": "Hanako", "word": "approved"})
    assert (done.status_code, done.headers["Location"]) == (303, "/operations?lang=en")
    until(lambda: entities(waiting) == 2)
    until(lambda: len([line for line in waiting.events("trust-list") if line["outcome"] == "loaded"]) >= 3)
    assert "waits for approval" not in requests.get(waiting.sample.admin + "/operations?lang=en", timeout=10).text
    assert decision(waiting)[0].url.endswith("/operations?lang=en")
    kept = (waiting.sample.state / "approvals.jsonl").read_text()
    assert "Hanako" in kept
    assert "Hanako" not in waiting.out.read_text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Accept": "*/*"},
    ],
)
def test_a_page_elsewhere_decides_nothing(waiting: Served, headers: dict[str, str]) -> None:
    """Though a browser on this machine sends it; nor does a form without its token."""
    before = entities(waiting)
    waiting.sample.put_list(signed_list("maebashi", "omura", sequence=2))
    form = until(lambda: decision(waiting)[1])
    form = {**form, "who": "Mallory", "word": "approved"}
    assert post(waiting, form, **headers).status_code == 403
    for token in ("", "0" * 64):
        assert post(waiting, {**form, "token": token}).status_code == 409
    assert entities(waiting) == before
    assert not [each for each in Decisions(waiting.sample.state).read() if each.who == "Mallory"]
