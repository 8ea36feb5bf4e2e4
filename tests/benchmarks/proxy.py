"""A proxied call through the gateway, side by side with nginx, Envoy and the least reverse proxy of aiohttp.

1 KB of JSON over 64 kept connections, in turns. The server has the first core for itself, load and service have the
second, and what counts is the CPU time of the server's processes for each request. The gateway has everything on: the
token verified, the decision, quotas of the person and the municipality, the identity assertion, metrics, evidence.
Envoy verifies the same token by its JWT filter; nginx and aiohttp verify nothing. Then long streams, idle WebSockets
and two workers (`proxy_streams.py`).

As a program (`python -m tests.benchmarks.proxy`) it measures only aiohttp and the gateway, in short: for whoever works
on the gateway's speed.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import proxy_peers, proxy_streams
from tests.benchmarks.proxy_servers import CONNECTIONS, Server, load, running, saturated
from tests.benchmarks.report import Report, Table, spread

ROUNDS = 7
SECONDS = 2.0
PACED_ROUNDS = 3
PACED_SECONDS = 4.0
PACES = ("even", "random")
SATURATION = 0.7
NAMES = ("nginx", "envoy", "envoy_jwt", "aiohttp", "gateway")
TITLES = {
    "nginx": "nginx",
    "envoy": "Envoy",
    "envoy_jwt": "Envoy, tokens verified",
    "aiohttp": "bare aiohttp proxy on uvloop",
    "gateway": "gateway, everything on",
}

Figures = dict[str, dict[str, list[float]]]
"""What was measured of each server, in each round."""


def measure() -> Report:
    """Everything that is there, in turns."""
    proxy_streams.more_files()
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as name:
        folder = Path(name)
        with running(folder / "one", NAMES) as bench:
            full = saturated(bench.servers, ROUNDS, SECONDS)
            found = {name: {**figures, **at_seventy(bench.servers[name], figures)} for name, figures in full.items()}
            alone = Server(port=bench.upstream, path="/bench", pid=0, token=bench.token)
            found_alone = at_seventy(alone, full["gateway"])
            more = proxy_streams.streams(bench)
            more |= proxy_streams.two_over_one(bench, folder / "two")
    return _report(found, found_alone, more)


def at_seventy(server: Server, full: dict[str, list[float]]) -> dict[str, list[float]]:
    """How long answers take at 70 % of a server's own most, with requests at even distances and at random moments."""
    rate = SATURATION * statistics.median(full["rate"])
    found: dict[str, list[float]] = {}
    for _ in range(PACED_ROUNDS):
        for pace in PACES:
            told = load(server, pace, PACED_SECONDS, rate)
            for figure in ("p50_us", "p99_us"):
                found.setdefault(f"{figure}_{pace}", []).append(told[figure])
    return found


def _report(found: Figures, alone: dict[str, list[float]], more: dict[str, Any]) -> Report:
    ours = found["gateway"]["cpu_us"]
    ratios = {name: [a / b for a, b in zip(ours, of["cpu_us"], strict=True)] for name, of in found.items()}
    tails = {name: _tails(of) for name, of in {**found, "load_alone": alone}.items()}
    peers = {name: ratios[name] for name in found if name != "gateway"}
    cpu = {name: spread(found[name]["cpu_us"]) if name in found else None for name in NAMES}
    return Report(
        title=f"A proxied call of 1 KB, {CONNECTIONS} kept connections, one core for the server",
        columns=("proxy", "CPU per request", "gateway / it", "requests per second"),
        rows=[_row(name, found.get(name), ratios.get(name)) for name in NAMES],
        more=[_times(found, alone), _more(more)],
        note=(
            f"Medians of {ROUNDS} rounds of {SECONDS:.0f} s, and of {PACED_ROUNDS} of {PACED_SECONDS:.0f} s at 70 % of "
            "each server's own most; the ratio is the median of the rounds' ratios."
        ),
        figures={
            "cpu_per_request_us": {name: each and each["median"] for name, each in cpu.items()},
            "cpu_per_request_us_spread": cpu,
            "ratio_gateway_to": {name: spread(values) for name, values in peers.items()},
            "requests_per_second": {name: spread(of["rate"]) for name, of in found.items()},
            "p50_us_at_70": {name: spread(of["p50_us_even"]) for name, of in found.items()},
            "p99_us_at_70": {name: spread(of["p99_us_even"]) for name, of in found.items()},
            "p99_over_p50_at_70": {name: round(statistics.median(of["even"]), 3) for name, of in tails.items()},
            "p99_over_p50_at_70_random": {
                name: round(statistics.median(of["random"]), 3) for name, of in tails.items()
            },
            **more,
            "peer_versions": proxy_peers.versions(),
            "rounds": ROUNDS,
            "seconds_per_round": SECONDS,
            "connections": CONNECTIONS,
        },
    )


def _row(name: str, of: dict[str, list[float]] | None, ratios: list[float] | None) -> tuple[str, ...]:
    if of is None or ratios is None:
        return (TITLES[name], "not found", "", "")
    middle = {figure: statistics.median(values) for figure, values in of.items()}
    return (
        TITLES[name],
        f"{middle['cpu_us']:.1f} µs",
        f"{statistics.median(ratios):.2f}",
        f"{middle['rate']:,.0f}",
    )


def _tails(of: dict[str, list[float]]) -> dict[str, list[float]]:
    """p99 over p50 of each round, by pace."""
    return {pace: [b / a for a, b in zip(of[f"p50_us_{pace}"], of[f"p99_us_{pace}"], strict=True)] for pace in PACES}


def _times(found: Figures, alone: dict[str, list[float]]) -> Table:
    rows = [(TITLES[name], found[name]) for name in NAMES if name in found]
    return Table(
        title="How long answers take at 70 % of a server's own most",
        columns=("proxy", *(f"{figure}, {pace}" for pace in PACES for figure in ("p50", "p99", "p99 / p50"))),
        rows=[(title, *_time_cells(of)) for title, of in (*rows, ("none, at the gateway's pace", alone))],
    )


def _time_cells(of: dict[str, list[float]]) -> tuple[str, ...]:
    tails = _tails(of)
    return tuple(
        cell
        for pace in PACES
        for cell in (
            f"{statistics.median(of[f'p50_us_{pace}']):,.0f} µs",
            f"{statistics.median(of[f'p99_us_{pace}']):,.0f} µs",
            f"{statistics.median(tails[pace]):.1f}",
        )
    )


def _more(figures: dict[str, Any]) -> Table:
    sockets = figures["idle_websockets"]
    return Table(
        title="Streams, WebSockets, workers",
        columns=("what", "figure"),
        rows=[
            ("growth by a stream of 1 GB down", f"{figures['stream_down_growth_mb']} MB"),
            ("growth by a stream of 1 GB up", f"{figures['stream_up_growth_mb']} MB"),
            (
                f"{proxy_streams.WEBSOCKETS:,} idle WebSockets on one worker",
                "not carried" if sockets is None else f"{sockets['growth_mb']} MB, {sockets['kb_each']} KB each",
            ),
            ("two workers / one", f"{figures['two_workers_over_one']} ({figures['two_workers_over_one_by']})"),
        ],
    )


def main() -> None:
    """Aiohttp and the gateway, in short."""
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as name, running(Path(name), ("aiohttp",)) as bench:
        found = saturated(bench.servers, 5, 1.5)
        times = {name: at_seventy(bench.servers[name], of) for name, of in found.items()}
        alone = Server(port=bench.upstream, path="/bench", pid=0, token=bench.token)
        times["alone"] = at_seventy(alone, found["gateway"])
    for name, of in found.items():
        cpu, rate = statistics.median(of["cpu_us"]), statistics.median(of["rate"])
        sys.stdout.write(f"{name:8} {cpu:6.1f} µs CPU per request, {rate:7,.0f} requests/s\n")
    for name, of in times.items():
        sys.stdout.write(f"{name:8} p50, p99, p99 / p50 at 70 %, even and at random: {', '.join(_time_cells(of))}\n")
    ratios = [a / b for a, b in zip(found["gateway"]["cpu_us"], found["aiohttp"]["cpu_us"], strict=True)]
    sys.stdout.write(f"gateway / aiohttp {statistics.median(ratios):.3f}\n")


if __name__ == "__main__":
    main()
