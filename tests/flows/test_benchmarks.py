"""Every benchmark still runs, in its shortest form; what it measures is `make bench`'s business."""

import shutil
from pathlib import Path

import pytest

from tests.benchmarks import attributes, certificate, login, proxy_servers, saml, trust
from tests.benchmarks.report import Report


def short(monkeypatch: pytest.MonkeyPatch, module: object, **constants: object) -> None:
    """What decides how long it takes is set to this."""
    for name, value in constants.items():
        monkeypatch.setattr(module, name, value)


def figures(report: Report) -> set[str]:
    """Their names; people get a row of a table at least."""
    assert report.rows
    return set(report.figures)


def test_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps alone."""
    short(monkeypatch, attributes, ROUNDS=2)
    assert figures(attributes.measure())


def test_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-ins with a phone, and pages that wait for one."""
    short(monkeypatch, certificate, SIGN_INS=2, ROUNDS=1, WARM_UP=0, PAGES=3)
    assert {"cpu_per_signin_ms", "waiting_1000_mb"} <= figures(certificate.measure())


def test_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairings of protocols."""
    short(monkeypatch, login, LOGINS=1, ROUNDS=1, WARM_UP=1, CALLS=200, CONNECTIONS=2)
    assert {"cpu_per_login_ms", "cpu_per_call_us"} <= figures(login.measure())


def test_saml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the peer, which has an environment of its own."""
    short(monkeypatch, saml, ROUNDS=1, WARM_UP=1)
    monkeypatch.setenv("BENCH_ONLY", "gateway,gateway_redirect,delay")
    monkeypatch.setenv("BENCH_LOGINS", "8")
    assert figures(saml.measure())


def test_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small countries, and the peer."""
    short(monkeypatch, trust, SIZES=(60, 120), ROUNDS=1)
    assert {"load_s", "memory_mb", "lookup_us", "swap_ms"} <= figures(trust.measure())


@pytest.mark.skipif(shutil.which("cc") is None, reason="the load is written in C")
def test_proxy(tmp_path: Path) -> None:
    """Ours and the one on aiohttp; the others are programs that `make bench` fetches."""
    with proxy_servers.running(tmp_path, ("aiohttp", "gateway")) as bench:
        found = proxy_servers.saturated(bench.servers, 1, 0.5)
    assert set(found) == {"aiohttp", "gateway"}
    assert all(of["cpu_us"][0] > 0 and of["rate"][0] > 0 for of in found.values())
