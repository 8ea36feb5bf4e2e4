"""The admin listener: who it answers, what it says, and what the public one does not."""

from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin import host_name

from .gateway_sample import Sample, Served, served


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
        ("127.0.0.1@attacker.example", 421),
        ("0.0.0.0", 421),
        ("192.0.2.1", 421),
        ("", 421),
        ("localhost localhost", 421),
        ("[::1", 421),
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
    assert ready["checks"] == {"not-stopping": True, "store": True, "configuration": True, "trust-lists": True}
    assert 0 < ready["store"]["round_trip_ms"] < 1000
    (state,) = ready["trust_lists"]
    assert (state["name"], state["in_force"], state["entities"]) == ("region", True, 2)
    assert 0 <= state["age_seconds"] < 60


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
