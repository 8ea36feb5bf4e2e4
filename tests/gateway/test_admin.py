"""The admin listener: who it answers, what it says, and what the public one does not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin import admin_app, host_name
from gateway.listeners import bind
from gateway.serve import Listener, listening
from gateway.worker import give_up

from .gateway_sample import Sample, Served, here, served


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway as operators run it."""
    with served(Sample(tmp_path_factory.mktemp("admin"))) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8081", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("attacker.example", 421),
        ("localhost.attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("127.0.0.1@attacker.example", 400),  # this one, and what is no host at all, gets no further than the server
        ("0.0.0.0", 421),
        ("192.0.2.1", 421),
        ("", 421),
        ("localhost localhost", 400),
        ("[::1", 400),
    ],
)
def test_it_answers_to_names_of_this_machine_only(gateway: Served, host: str, status: int) -> None:
    """A name that someone else points here reads nothing (DNS rebinding)."""
    for path in ("/healthz", "/metrics", "/readyz", "/operations.json"):
        answer = requests.get(gateway.sample.admin + path, headers={"Host": host}, timeout=5)
        assert answer.status_code == status
        if status != 200:
            assert "kakehashi" not in answer.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Localhost:1", "localhost"),
        ("[::1]:1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("a:b", ""),
        ("a/b", ""),
        ("", ""),
    ],
)
def test_host_names(value: str, expected: str) -> None:
    """The name without its port; nothing for what is none."""
    assert host_name(value) == expected


def test_metrics(gateway: Served) -> None:
    """Prometheus text by default, OpenMetrics when asked for; every line is well formed and has a help."""
    requests.get(gateway.sample.public_url + "/api/notes", timeout=5)
    plain = requests.get(gateway.sample.admin + "/metrics", timeout=5)
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(plain.text)}
    assert {"kakehashi_calls", "kakehashi_store_up", "kakehashi_list_entities"} <= set(families)
    assert all(family.documentation for family in families.values())
    open_metrics = requests.get(
        gateway.sample.admin + "/metrics", headers={"Accept": "application/openmetrics-text"}, timeout=5
    )
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


def test_health_and_readiness(gateway: Served) -> None:
    """Alive is one word; ready says why, with the store's round trip and the lists' age."""
    assert requests.get(gateway.sample.admin + "/healthz", timeout=5).text == "alive\n"
    ready = gateway.ready()
    assert set(ready) == {"ready", "checks", "store", "configuration", "trust_lists"}
    expected = {"not-stopping", "store", "configuration", "trust-lists", "protocol-steps"}
    assert ready["checks"] == dict.fromkeys(expected, True)
    assert 0 < ready["store"]["round_trip_ms"] < 1000
    (state,) = ready["trust_lists"]
    assert (state["name"], state["in_force"], state["entities"]) == ("region", True, 2)
    assert 0 <= state["age_seconds"] < 60


async def test_a_process_whose_threads_are_stuck_asks_for_a_new_start(tmp_path: Path, store_url: str) -> None:
    """It is alive no more, as far as a supervisor is concerned; a worker ends in order, so that another takes over."""
    sample, stop = Sample(tmp_path), asyncio.Event()
    async with here(sample, store_url) as running, aiohttp.ClientSession(sample.admin) as http:
        admin = admin_app(running.process, workers=None, stopping=stop)
        async with listening(1, Listener(admin, bind("localhost", sample.admin_port))):
            giving_up = asyncio.create_task(give_up(running.process, stop))
            async with http.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "alive\n")
            assert not stop.is_set()
            running.process.gateway.outward.exhausted.set()
            async with http.get("/healthz") as answer:
                assert (answer.status, await answer.text()) == (503, "stuck\n")
            await giving_up
            assert stop.is_set()


def test_headers_and_first_page(gateway: Served) -> None:
    """Every answer has a policy and is not kept; the root leads to the operations page."""
    root = requests.get(gateway.sample.admin + "/", allow_redirects=False, timeout=5)
    assert (root.status_code, root.headers["Location"]) == (303, "/operations")
    for path in ("/", "/operations", "/operations.json", "/metrics", "/readyz"):
        answer = requests.get(gateway.sample.admin + path, timeout=5)
        assert answer.status_code == 200
        assert "default-src" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_public_listener_has_none_of_it(gateway: Served) -> None:
    """Metrics, health and operations are for operators; a stranger gets a page with a reference, and safe headers."""
    for path in ("/metrics", "/readyz", "/healthz", "/operations", "/operations.json"):
        answer = requests.get(gateway.sample.public_url + path, timeout=5)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Kakehashi-Request-Id"] in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
