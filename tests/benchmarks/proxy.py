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
            more = proxy_streams.streams(bench)
            more |= proxy_streams.two_over_one(bench, folder / "two")
    return _report(found, more)


def at_seventy(server: Server, full: dict[str, list[float]]) -> dict[str, list[float]]:
    """How long answers take at 70 % of what the server can do; requests come at random moments."""
    rate = SATURATION * statistics.median(full["rate"])
    rounds = [load(server, "paced", PACED_SECONDS, rate) for _ in range(PACED_ROUNDS)]
    return {figure: [told[figure] for told in rounds] for figure in ("p50_us", "p99_us")}


def _report(found: Figures, more: dict[str, Any]) -> Report:
    ours = found["gateway"]["cpu_us"]
    ratios = {name: [a / b for a, b in zip(ours, of["cpu_us"], strict=True)] for name, of in found.items()}
    tails = {name: [b / a for a, b in zip(of["p50_us"], of["p99_us"], strict=True)] for name, of in found.items()}
    peers = {name: ratios[name] for name in found if name != "gateway"}
    cpu = {name: spread(found[name]["cpu_us"]) if name in found else None for name in NAMES}
    return Report(
        title=f"A proxied call of 1 KB, {CONNECTIONS} kept connections, one core for the server",
        columns=("proxy", "CPU per request", "gateway / it", "requests per second", "p50 at 70 %", "p99 at 70 %"),
        rows=[_row(name, found.get(name), ratios.get(name)) for name in NAMES],
        more=[_more(more)],
        note=(
            f"Medians of {ROUNDS} rounds of {SECONDS:.0f} s, and of {PACED_ROUNDS} of {PACED_SECONDS:.0f} s at 70 % of "
            "each server's own most, requests at random moments; the ratio is the median of the rounds' ratios. nginx "
            "and Envoy answer faster than the other core can ask: their requests per second are the load's limit."
        ),
        figures={
            "cpu_per_request_us": {name: each and each["median"] for name, each in cpu.items()},
            "cpu_per_request_us_spread": cpu,
            "ratio_gateway_to": {name: spread(values) for name, values in peers.items()},
            "requests_per_second": {name: spread(of["rate"]) for name, of in found.items()},
            "p50_us_at_70": {name: spread(of["p50_us"]) for name, of in found.items()},
            "p99_us_at_70": {name: spread(of["p99_us"]) for name, of in found.items()},
            "p99_over_p50_at_70": {name: round(statistics.median(values), 3) for name, values in tails.items()},
            **more,
            "peer_versions": proxy_peers.versions(),
            "rounds": ROUNDS,
            "seconds_per_round": SECONDS,
            "connections": CONNECTIONS,
        },
    )


def _row(name: str, of: dict[str, list[float]] | None, ratios: list[float] | None) -> tuple[str, ...]:
    if of is None or ratios is None:
        return (TITLES[name], "not found", "", "", "", "")
    middle = {figure: statistics.median(values) for figure, values in of.items()}
    return (
        TITLES[name],
        f"{middle['cpu_us']:.1f} µs",
        f"{statistics.median(ratios):.2f}",
        f"{middle['rate']:,.0f}",
        f"{middle['p50_us']:,.0f} µs",
        f"{middle['p99_us']:,.0f} µs",
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
    for name, of in found.items():
        cpu, rate = statistics.median(of["cpu_us"]), statistics.median(of["rate"])
        sys.stdout.write(f"{name:8} {cpu:6.1f} µs CPU per request, {rate:7,.0f} requests/s\n")
    ratios = [a / b for a, b in zip(found["gateway"]["cpu_us"], found["aiohttp"]["cpu_us"], strict=True)]
    sys.stdout.write(f"gateway / aiohttp {statistics.median(ratios):.3f}\n")


if __name__ == "__main__":
    main()
