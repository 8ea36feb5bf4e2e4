"""A proxied call through the gateway, side by side with nginx, Envoy and the least reverse proxy of aiohttp.

1 KB of JSON over 64 kept connections, in turns. The server has the first core for itself, load and service have the
second, and what counts is the CPU time of the server's processes for each request. The gateway has everything on: the
token verified, the decision, quotas of the person and the municipality, the identity assertion, metrics, evidence. Envoy
verifies the same token by its JWT filter; nginx and aiohttp verify nothing.

As a program (`python -m tests.benchmarks.proxy`) it measures only aiohttp and the gateway, in short: for whoever works
on the gateway's speed.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import proxy_peers as peers
from tests.benchmarks.report import Report, Table, process_tree, spread, tree_cpu_seconds
from tests.conftest import Running, start_region, stop_region
from tests.flows.client import Client

ROUNDS = 7
SECONDS = 2.0
PACED_ROUNDS = 3
PACED_SECONDS = 4.0
SATURATION = 0.7
CONNECTIONS = 64
ROUTE = "/api/bench"
NAMES = ("nginx", "envoy", "envoy_jwt", "aiohttp", "gateway")
TITLES = {
    "nginx": "nginx",
    "envoy": "Envoy",
    "envoy_jwt": "Envoy, tokens verified",
    "aiohttp": "bare aiohttp proxy on uvloop",
    "gateway": "gateway, everything on",
}

CORES = sorted(os.sched_getaffinity(0))
SERVER = {CORES[0]}
REST = set(CORES[1:2]) or SERVER

SERVICE = (
    "\n  - {{id: bench, name: {{ja: 計測, en: Bench}}, upstream: 'http://127.0.0.1:{port}', timeout_seconds: 60}}\n"
)
PLENTY = "{calls: 1000000, seconds: 1}"
"""A quota that is counted and never reached."""
TERMS = f"scope: council.polls.read, members: region, quotas: {{person: {PLENTY}, municipality: {PLENTY}}}"
CALL = f"\n  - {{path: {ROUTE}, methods: [GET], service: bench, upstream_path: /bench, {TERMS}}}\n"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A proxy that runs: its processes are `pid` and what it started."""

    port: int
    path: str
    pid: int
    authorization: str = ""


def measure() -> Report:
    """Everything that is there, in turns."""
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as folder, all_servers(Path(folder), NAMES) as servers:
        full = saturated(servers, ROUNDS, SECONDS)
        paced = at_seventy(servers, full)
    return _report(servers, full, paced)


@contextlib.contextmanager
def all_servers(folder: Path, names: Sequence[str]) -> Iterator[dict[str, Server]]:
    """Those of `names` that this machine has, running."""
    with contextlib.ExitStack() as stack:
        upstream, _ = stack.enter_context(peers.program("quiet_upstream.py", cores=REST))
        region = start_region(folder / "region")
        stack.callback(stop_region, region)
        gateway = pinned_gateway(region)
        token = Client(region).tokens()["access_token"]
        route_to(region, SERVICE.format(port=upstream), CALL)
        found: dict[str, tuple[int, int] | None] = {}
        if "nginx" in names:
            found["nginx"] = stack.enter_context(peers.running_nginx(folder / "nginx", upstream, SERVER))
        if "envoy" in names:
            found["envoy"] = stack.enter_context(peers.running_envoy(folder / "envoy", upstream, SERVER))
        if "envoy_jwt" in names:
            issuer, jwks = _issuer(region)
            found["envoy_jwt"] = stack.enter_context(
                peers.running_envoy(folder / "envoy-jwt", upstream, SERVER, issuer=issuer, jwks=jwks)
            )
        bare = f"http://127.0.0.1:{upstream}"
        found["aiohttp"] = stack.enter_context(peers.program("bare_proxy.py", bare, cores=SERVER))
        bearer = f"Bearer {token}"
        servers = {
            n: Server(port=at[0], path="/bench", pid=at[1], authorization=bearer) for n, at in found.items() if at
        }
        port = urlsplit(region["gateway"]).port
        assert port
        servers["gateway"] = Server(port=port, path=ROUTE, pid=gateway, authorization=bearer)
        yield servers


def saturated(servers: dict[str, Server], rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    """CPU per request and requests per second of each, under as much load as there can be."""
    found: dict[str, dict[str, list[float]]] = {n: {"cpu_us": [], "rate": []} for n in servers}
    for number in range(-1, rounds):
        for name, server in servers.items():
            begun = tree_cpu_seconds(server.pid)
            told = load(server, "full", seconds)
            used = tree_cpu_seconds(server.pid) - begun
            if number >= 0:  # the first round warms up
                found[name]["cpu_us"].append(used / told["answered"] * 1e6)
                found[name]["rate"].append(told["answered"] / told["seconds"])
    return found


def at_seventy(
    servers: dict[str, Server], full: dict[str, dict[str, list[float]]]
) -> dict[str, dict[str, list[float]]]:
    """How long answers take at 70 % of what each server can do; requests come at random moments."""
    found: dict[str, dict[str, list[float]]] = {n: {"p50_us": [], "p99_us": []} for n in servers}
    for _ in range(PACED_ROUNDS):
        for name, server in servers.items():
            told = load(server, "paced", PACED_SECONDS, SATURATION * statistics.median(full[name]["rate"]))
            for figure, values in found[name].items():
                values.append(told[figure])
    return found


def load(server: Server, mode: str, seconds: float, *rate: float) -> dict[str, float]:
    """Run the load program against a server."""
    words = [sys.executable, str(peers.HERE / "proxy_load.py"), mode, str(server.port), server.path, str(CONNECTIONS)]
    done = subprocess.run(
        [*words, str(seconds), *map(str, rate)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "AUTHORIZATION": server.authorization},
        preexec_fn=lambda: os.sched_setaffinity(0, REST),
        timeout=120,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def pinned_gateway(region: Running, cores: set[int] = SERVER) -> int:
    """The process of the region's gateway, which with its store gets `cores`; everybody else gets the rest."""
    pin(region.process.pid, REST)
    for pid in process_tree(region.process.pid)[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"gateway.cli" in words and b"serve" in words:
            pin(pid, cores)
            return pid
    raise AssertionError("the gateway's process was not found")


def pin(pid: int, cores: set[int]) -> None:
    """Every thread of a process and of its descendants."""
    for each in process_tree(pid):
        for thread in Path(f"/proc/{each}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


def route_to(region: Running, services: str, routes: str, path: str = ROUTE) -> None:
    """Add services and routes to the running region's configuration, and wait until `path` is one of them."""
    file = region.state / "config" / "routes.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("\nservices:\n", f"\nservices:{services}").replace("\nroutes:\n", f"\nroutes:{routes}")
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(region["gateway"] + path, timeout=5).close()
        except urllib.error.HTTPError as answer:
            if answer.code in (401, 405):
                return
        time.sleep(0.2)
    raise AssertionError("the route did not come into force")


def _issuer(region: Running) -> tuple[str, str]:
    """Issuer and keys of our tokens, as anybody finds them."""
    with urllib.request.urlopen(region["gateway"] + "/.well-known/openid-configuration", timeout=5) as answer:
        found = json.load(answer)
    with urllib.request.urlopen(found["jwks_uri"], timeout=5) as answer:
        return found["issuer"], answer.read().decode()


def _report(
    servers: dict[str, Server], full: dict[str, dict[str, list[float]]], paced: dict[str, dict[str, list[float]]]
) -> Report:
    cpu = {name: spread(full[name]["cpu_us"]) if name in full else None for name in NAMES}
    ours = full["gateway"]["cpu_us"]
    ratios = {
        name: spread([a / b for a, b in zip(ours, full[name]["cpu_us"], strict=True)]) for name in NAMES if name in full
    }
    middle = {n: {k: statistics.median(v) for k, v in {**full[n], **paced[n]}.items()} for n in servers}
    rows = [
        (
            TITLES[name],
            *(
                (
                    f"{middle[name]['cpu_us']:.1f} µs",
                    f"{ratios[name]['median']:.2f}",
                    f"{middle[name]['rate']:,.0f}",
                    f"{middle[name]['p50_us']:.0f} µs",
                    f"{middle[name]['p99_us']:.0f} µs",
                )
                if name in servers
                else ("not there", "", "", "", "")
            ),
        )
        for name in NAMES
    ]
    return Report(
        title="A proxied call of 1 KB, 64 kept connections, one core for the server",
        columns=("proxy", "CPU per request", "gateway / it", "requests per second", "p50 at 70 %", "p99 at 70 %"),
        rows=rows,
        note=(
            f"Medians of {ROUNDS} rounds of {SECONDS:.0f} s, and {PACED_ROUNDS} of {PACED_SECONDS:.0f} s at 70 % of each "
            "server's own most, at random moments; the ratio is the median of the rounds' ratios. nginx and Envoy answer "
            "faster than the other core can ask: their requests per second are the load's limit, not theirs."
        ),
        figures={
            "cpu_per_request_us": {name: each and each["median"] for name, each in cpu.items()},
            "cpu_per_request_us_spread": cpu,
            "ratio_gateway_to": ratios,
            "requests_per_second": {n: spread(full[n]["rate"]) for n in servers},
            "p50_us_at_70": {n: spread(paced[n]["p50_us"]) for n in servers},
            "p99_us_at_70": {n: spread(paced[n]["p99_us"]) for n in servers},
            "p99_over_p50_at_70": {
                n: round(statistics.median(b / a for a, b in zip(*paced[n].values(), strict=True)), 3) for n in servers
            },
            "peer_versions": peers.versions(),
            "rounds": ROUNDS,
            "seconds_per_round": SECONDS,
            "connections": CONNECTIONS,
        },
    )


def main() -> None:
    """aiohttp and the gateway, in short."""
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as folder, all_servers(Path(folder), ()) as servers:
        full = saturated(servers, 5, 1.5)
    for name, figures in full.items():
        cpu, rate = (statistics.median(values) for values in figures.values())
        sys.stdout.write(f"{name:8} {cpu:6.1f} µs CPU per request, {rate:7.0f} requests/s\n")
    ratio = statistics.median(a / b for a, b in zip(full["gateway"]["cpu_us"], full["aiohttp"]["cpu_us"], strict=True))
    sys.stdout.write(f"gateway / aiohttp {ratio:.3f}\n")


if __name__ == "__main__":
    main()
