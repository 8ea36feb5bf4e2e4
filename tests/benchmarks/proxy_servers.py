"""The servers of the benchmark of proxied calls, each on its core, and load on one of them."""

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks import proxy_peers as peers
from tests.benchmarks.report import process_tree, tree_cpu_seconds
from tests.conftest import Running, start_region, stop_region
from tests.flows.client import Client

CONNECTIONS = 64
ROUTE = "/api/bench"
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
    token: str


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A region and the peers of its gateway, before the quiet service at port `upstream`; `token` is for all."""

    region: Running
    token: str
    upstream: int
    servers: dict[str, Server]


@contextlib.contextmanager
def running(folder: Path, names: Sequence[str], start: Callable[[Path], Running] = start_region) -> Iterator[Bench]:
    """The gateway, and those of `names` that this machine has."""
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        upstream, _ = stack.enter_context(peers.program("quiet_upstream.py", cores=REST))
        region = start(folder / "region")
        stack.callback(stop_region, region)
        gateway = pinned_gateway(region)
        token = Client(region).tokens()["access_token"]
        route_to(region, SERVICE.format(port=upstream), CALL)
        issuer, jwks = _issuer(region)
        starters = {
            "nginx": lambda: peers.running_nginx(folder / "nginx", upstream, SERVER),
            "envoy": lambda: peers.running_envoy(folder / "envoy", upstream, SERVER),
            "envoy_jwt": lambda: peers.running_envoy(folder / "envoy-jwt", upstream, SERVER, issuer=issuer, jwks=jwks),
            "aiohttp": lambda: peers.program("bare_proxy.py", f"http://127.0.0.1:{upstream}", cores=SERVER),
        }
        found = {name: stack.enter_context(starters[name]()) for name in names if name in starters}
        servers = {n: Server(port=at[0], path="/bench", pid=at[1], token=token) for n, at in found.items() if at}
        servers["gateway"] = Server(port=port_of(region), path=ROUTE, pid=gateway, token=token)
        yield Bench(region=region, token=token, upstream=upstream, servers=servers)


def port_of(region: Running) -> int:
    """Where the gateway listens."""
    port = urlsplit(region["gateway"]).port
    assert port
    return port


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


def load(server: Server, mode: str, seconds: float, *rate: float) -> dict[str, float]:
    """Run the load program against a server."""
    words = [str(_load_program()), mode, str(server.port), server.path, str(CONNECTIONS)]
    with subprocess.Popen(
        [*words, str(seconds), *map(str, rate)],
        stdout=subprocess.PIPE,
        env={**os.environ, "AUTHORIZATION": f"Bearer {server.token}"},
    ) as process:
        os.sched_setaffinity(process.pid, REST)
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, f"{server.path} at {server.port}: the load ended early"
    found: dict[str, float] = json.loads(told)
    return found


@cache
def _load_program() -> Path:
    """`proxy_load.c`, compiled by the machine's own compiler (`cc`)."""
    place = peers.PEERS.parent / "proxy_load"
    place.parent.mkdir(exist_ok=True)
    subprocess.run(["cc", "-O2", "-o", place, peers.HERE / "proxy_load.c", "-lm"], check=True)
    return place


def pinned_gateway(region: Running, cores: set[int] = SERVER) -> int:
    """The process of the region's gateway, which with its store gets `cores`; everybody else gets the rest."""
    pin(region.process.pid, REST)
    for pid in process_tree(region.process.pid)[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"gateway" in words and b"serve" in words:
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
