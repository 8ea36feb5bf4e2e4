"""CPU per login and per proxied call of the running demo region, everything on.

Logins: a person whose consent is known signs in again and again, in every pairing of protocols; what is counted is the
CPU time of the gateway's process, not that of ID systems, services or the browser. Calls: 1 KB of JSON over 32 kept
connections, through the gateway (token, decision, assertion, metrics, log) and through the least reverse proxy that
aiohttp allows, in turns; the ratio of the two is the figure to quote.
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.report import Report, cpu_seconds, spread
from tests.conftest import Running, start_region, stop_region
from tests.flows.client import Client
from tests.flows.person import Person

PAIRINGS = {
    "SAML → SAML": ("takasaki", "ebetsu", "佐々木 一郎"),
    "OpenID → SAML": ("takasaki", "maebashi", "髙橋 花子"),
    "SAML → OpenID": ("participation", "ebetsu", "佐々木 一郎"),
    "OpenID → OpenID": ("participation", "maebashi", "髙橋 花子"),
}
"""Towards the ID system → towards the service: service, ID system, resident."""

WARM_UP = 4
LOGINS = 20
ROUNDS = 3
CALLS = 4000
CONNECTIONS = 32
HERE = Path(__file__).resolve().parent


def measure() -> Report:
    """Start a region, measure it, stop it."""
    with (
        tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as folder,
        _program("quiet_upstream.py") as (upstream, _),
    ):
        region = start_region(Path(folder))
        try:
            gateway = _gateway_pid(region)
            logins = {name: _login_cpu(region, gateway, *who) for name, who in PAIRINGS.items()}
            calls = _call_cpu(region, gateway, upstream)
        finally:
            stop_region(region)
    return _report(logins, calls)


def _report(logins: dict[str, list[float]], calls: dict[str, list[float]]) -> Report:
    ratios = [ours / bare for ours, bare in zip(calls["gateway"], calls["aiohttp"], strict=True)]
    rows = [(f"login, {name}", f"{statistics.median(v):.1f} ms", "") for name, v in logins.items()]
    cpu = {name: f"{statistics.median(values):.0f} µs" for name, values in calls.items()}
    rows.append(("proxied call, gateway", cpu["gateway"], f"{statistics.median(ratios):.2f}"))
    rows.append(("proxied call, bare aiohttp proxy", cpu["aiohttp"], "1"))
    return Report(
        title="CPU of the gateway's process",
        columns=("what", "CPU", "ratio to bare aiohttp"),
        rows=rows,
        note=(
            f"Medians of {ROUNDS} rounds; a round is {LOGINS} logins, or {CALLS} calls over {CONNECTIONS} connections."
        ),
        figures={
            "cpu_per_login_ms": {name: spread(values) for name, values in logins.items()},
            "cpu_per_call_us": {name: spread(values) for name, values in calls.items()},
            "ratio_call_gateway_to_aiohttp": spread(ratios),
            "rounds": ROUNDS,
            "logins_per_round": LOGINS,
            "calls_per_round": CALLS,
            "connections": CONNECTIONS,
        },
    )


def _gateway_pid(region: Running) -> int:
    """The demo's only child is the gateway; its own child is the store, which is not counted."""
    found = subprocess.run(
        ["ps", "-ax", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
    ).stdout
    for line in found.splitlines():
        pid, parent, command = line.split(None, 2)
        if int(parent) == region.process.pid and " serve " in command:
            return int(pid)
    raise AssertionError("the gateway's process was not found")


def _login_cpu(region: Running, pid: int, service: str, system: str, resident: str) -> list[float]:
    person = Person()

    def once() -> None:
        person.open(region[service] + "/sign-in").choose("system", system).press(resident)
        if "/consent" in person.url:
            person.choose("decision", "agree")
        assert person.url == region[service] + "/", person.text[:300]

    for _ in range(WARM_UP):
        once()
    return [_cpu(pid, LOGINS, once) * 1000 for _ in range(ROUNDS)]


def _cpu(pid: int, times: int, once: Callable[[], Any]) -> float:
    begun = cpu_seconds(pid)
    for _ in range(times):
        once()
    return (cpu_seconds(pid) - begun) / times


def _call_cpu(region: Running, pid: int, upstream: str) -> dict[str, list[float]]:
    """Both proxies in turns, so that a slow moment of the machine falls on both."""
    token = Client(region).tokens()["access_token"]
    _route_to(region, upstream)
    headers = {"Authorization": f"Bearer {token}"}
    found: dict[str, list[float]] = {"gateway": [], "aiohttp": []}
    with _program("bare_proxy.py", upstream) as (bare, bare_pid):
        ours = region["gateway"] + "/api/bench"
        asyncio.run(_load(ours, headers, CALLS // 4))
        asyncio.run(_load(bare + "/bench", headers, CALLS // 4))
        for _ in range(ROUNDS):
            for name, url, process in (("gateway", ours, pid), ("aiohttp", bare + "/bench", bare_pid)):
                begun = cpu_seconds(process)
                asyncio.run(_load(url, headers, CALLS))
                found[name].append((cpu_seconds(process) - begun) / CALLS * 1e6)
    return found


def _route_to(region: Running, upstream: str) -> None:
    """Add a route to the quiet upstream in the running region's configuration, and wait until it is in force."""
    path = region.state / "config" / "routes.yaml"
    text = path.read_text()
    text = text.replace(
        "\nservices:\n",
        f"\nservices:\n  - {{id: bench, name: {{ja: 計測, en: Bench}}, upstream: {upstream}, timeout_seconds: 5}}\n",
    ).replace(
        "\nroutes:\n",
        "\nroutes:\n  - {path: /api/bench, methods: [GET], service: bench, upstream_path: /bench, "
        "scope: council.polls.read, members: region}\n",
    )
    path.write_text(text)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if asyncio.run(_status(region["gateway"] + "/api/bench")) == 401:
            return
        time.sleep(0.2)
    raise AssertionError("the route did not come into force")


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def _load(url: str, headers: dict[str, str], calls: int) -> None:
    """`calls` calls over `CONNECTIONS` kept connections; every one must succeed."""
    remaining = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def worker() -> None:
            for _ in remaining:
                async with session.get(url, headers=headers) as answer:
                    body = await answer.read()
                    assert answer.status == 200, body

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


@contextlib.contextmanager
def _program(name: str, *arguments: str) -> Iterator[tuple[str, int]]:
    """A helper program in a process of its own: its address and its process ID."""
    with subprocess.Popen([sys.executable, str(HERE / name), *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
