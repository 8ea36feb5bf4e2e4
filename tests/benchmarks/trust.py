"""Trust lists of a whole country: what loading them, looking somebody up and taking a newer version cost.

The lists (`trust_country.py`) are really signed, once a run, and loaded in fresh processes (`trust_load.py`), the sizes
in turns. A peer reads one of them too: pyHanko, the `etsi-119612` list (`trust_peer.py`).
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import trust_country
from tests.benchmarks.report import Report, Table, spread
from tests.benchmarks.trust_country import LISTS, SIZES, TOWN

ROUNDS = 3
SECONDS = 240
HERE = Path(__file__).resolve().parent
_CERTIFICATES = "country-certificates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found with so many entities: the rounds of the gateway, and the peer's one, if it ran."""

    counts: Mapping[str, int]
    octets: Mapping[str, int]
    rounds: list[dict[str, Any]]
    peer: dict[str, Any] | None = None

    def median(self, figure: str) -> float:
        """Of all rounds."""
        return statistics.median(each[figure] for each in self.rounds)

    def load_s(self, kind: str) -> float:
        """Seconds for the list of a format."""
        return statistics.median(each["load_s_by_format"][kind] for each in self.rounds)


def measure() -> Report:
    """Write the lists, and load them."""
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as directory:
        folders = {size: Path(directory) / str(size) for size in SIZES}
        counts, octets = {}, {}
        for size, folder in folders.items():
            folder.mkdir()
            counts[size] = trust_country.write(folder, size)
            octets[size] = {name: (folder / name).stat().st_size for name in (*LISTS, TOWN)}
        rounds: dict[int, list[dict[str, Any]]] = {size: [] for size in SIZES}
        for _ in range(ROUNDS):
            for size, folder in folders.items():
                governments = str(trust_country.governments(size))
                rounds[size].append(_run("trust_load.py", str(folder), governments))
        peers = {size: _peer(folders[size]) for size in SIZES[1:]}
    found = {
        size: Measured(counts=counts[size], octets=octets[size], rounds=rounds[size], peer=peers.get(size))
        for size in SIZES
    }
    for size, each in found.items():
        if any((told["entities"], told["faults"]) != (size, 0) for told in each.rounds):
            sys.exit(f"of {size} entities not all were read")
    first, *more = _tables(found)
    return Report(
        title=first.title,
        columns=first.columns,
        rows=first.rows,
        more=more,
        note=f"Medians of {ROUNDS} fresh processes, the sizes in turns; of the longest waits too. The peer ran once.",
        figures=_figures(found),
    )


def _run(script: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        sys.exit(f"{script}: {done.stderr.strip()[-600:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _peer(folder: Path) -> dict[str, Any]:
    return _run("trust_peer.py", str(folder / _CERTIFICATES), str(folder / f"{_CERTIFICATES}.der"))


# --- what is told


def _tables(found: Mapping[int, Measured]) -> Iterator[Table]:
    yield Table(
        title="All lists of a country, and looking somebody up in them",
        columns=(
            "entities",
            "loading",
            "memory",
            "in use",
            "peak",
            "found",
            f"of {SIZES[0]} of them",
            "not listed",
            "a dict's entry",
            "worth",
            "worth, first",
        ),
        rows=[
            (
                f"{size:,}",
                f"{each.median('load_s'):.2f} s",
                *(f"{each.median(figure):.0f} MB" for figure in ("memory_mb", "in_use_mb", "peak_mb")),
                *(
                    f"{each.median(figure):.2f} µs"
                    for figure in (
                        "lookup_us",
                        "lookup_of_few_us",
                        "missing_us",
                        "dict_us",
                        "worth_us",
                        "first_worth_us",
                    )
                ),
            )
            for size, each in found.items()
        ],
    )
    yield Table(
        title="Verifying, reading and admitting a list, by its format",
        columns=("format", "entities", "size", "time", "for one entity"),
        rows=[
            (
                kind,
                f"{each.counts[name]:,}",
                _size(each.octets[name]),
                f"{each.load_s(kind):.2f} s",
                f"{each.load_s(kind) / each.counts[name] * 1000:.2f} ms",
            )
            for each in list(found.values())[1:]
            for name, kind in LISTS.items()
        ],
    )
    yield Table(
        title="A newer version of one list beside all others",
        columns=(
            "entities",
            "the newer list",
            "reading",
            "longest wait",
            "swap",
            "longest wait",
        ),
        rows=[
            (
                f"{size:,}",
                f"{of}, {_size(each.octets[name])}",
                *(
                    f"{each.median(prefix + figure):{shape}} ms"
                    for figure, shape in (
                        ("reading_ms", ".1f"),
                        ("reading_wait_ms", ".1f"),
                        ("swap_ms", ".2f"),
                        ("swap_wait_ms", ".1f"),
                    )
                ),
            )
            for size, each in found.items()
            for prefix, name, of in (
                ("", "country-saml", f"{each.counts['country-saml'] - 1:,} by SAML"),
                ("town_", TOWN, "a town's 2"),
            )
        ],
    )
    yield Table(
        title="The etsi-119612 list, by two readers",
        columns=("entities", "by", "time", "memory", "at its peak", "the gateway's time"),
        rows=[row for each in found.values() if each.peer for row in _peer_rows(each, each.peer)],
    )


def _peer_rows(each: Measured, peer: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    ours = each.load_s(LISTS[_CERTIFICATES])
    entities = f"{each.counts[_CERTIFICATES]:,}"
    yield entities, "gateway", f"{ours:.2f} s", "", "", ""
    yield (
        entities,
        "pyHanko",
        f"{peer['load_s']:.2f} s",
        *(f"{peer[figure]:.0f} MB" for figure in ("memory_mb", "peak_mb")),
        f"1/{peer['load_s'] / ours:.1f}",
    )


def _size(octets: int) -> str:
    return f"{octets / 1e6:.1f} MB" if octets >= 100_000 else f"{octets / 1e3:.0f} KB"


_FIGURES = (
    "load_s",
    "memory_mb",
    "lookup_us",
    "swap_ms",
    "cpu_s",
    "in_use_mb",
    "peak_mb",
    "lookup_of_few_us",
    "missing_us",
    "dict_us",
    "worth_us",
    "first_worth_us",
    "reading_ms",
    "reading_wait_ms",
    "swap_wait_ms",
    "town_reading_ms",
    "town_swap_ms",
    "town_reading_wait_ms",
    "town_swap_wait_ms",
    "recognitions",
)
"""The first four are what was promised; all of them by number of entities."""


def _figures(found: Mapping[int, Measured]) -> dict[str, Any]:
    medians = {
        figure: {str(size): round(each.median(figure), 4) for size, each in found.items()} for figure in _FIGURES
    }
    peers = {str(size): each.peer for size, each in found.items() if each.peer}
    return {
        **medians,
        "spread": {
            figure: {str(size): spread([told[figure] for told in each.rounds]) for size, each in found.items()}
            for figure in _FIGURES[:4]
        },
        "load_s_by_format": {
            str(size): {kind: round(each.load_s(kind), 4) for kind in LISTS.values()} for size, each in found.items()
        },
        "entities_by_format": {
            str(size): {LISTS[name]: count for name, count in each.counts.items()} for size, each in found.items()
        },
        "octets": {str(size): dict(each.octets) for size, each in found.items()},
        "rounds": ROUNDS,
        "pyhanko_119612": peers,
        "peer_versions": {"pyHanko": peers[str(SIZES[-1])]["version"]},
    }
