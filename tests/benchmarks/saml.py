"""SAML logins through the gateway and through SATOSA, and lists of many entities: what they cost, in one run.

The same peers (`saml_driver.py`) with the same keys sign the same messages for each proxy. All proxies run at the same
time, and are measured in turns, so that a slow moment of the machine falls on all of them. `BENCH_ONLY` names the parts
that are wanted (`gateway,satosa_tuned`; default: all), `BENCH_PROFILE` a file for a profile of the gateway alone, and
`BENCH_LOGINS` how many logins a round of the gateway has.
"""

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks import saml_lists, saml_satosa
from tests.benchmarks import saml_messages as messages
from tests.benchmarks.report import Report, Table, spread, tree_cpu_seconds, tree_memory_mb
from tests.benchmarks.saml_driver import Driven, LoginFailedError, Peers, drive, warm_up
from tests.benchmarks.saml_gateway import Instruments, NotStartedError, Started, gateway, said
from tests.benchmarks.saml_launch import TIMER

ROUNDS = 3
BROWSERS = 8
CONCURRENCY = (1, BROWSERS)
WARM_UP = 3
"""How often each browser signs in before anything is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A proxy that is measured: what it is called, and how many logins a round has at each concurrency."""

    name: str
    logins: int
    redirect: bool = False


SUBJECTS: Mapping[str, Subject] = {
    "gateway": Subject(name="gateway", logins=200),
    "gateway_redirect": Subject(name="gateway, request by HTTP-Redirect", logins=200, redirect=True),
    "satosa_stock": Subject(name="SATOSA, stock", logins=15),
    "satosa_tuned": Subject(name="SATOSA, tuned", logins=25),
    "satosa_inprocess": Subject(name="SATOSA, signatures in process", logins=40),
}
PARTS = (*SUBJECTS, "delay", "entities", "metadata")
LOADS = {1_800: 7, 10_000: 3}
"""How often a list of that size is loaded."""


@dataclass(kw_only=True)
class Measured:
    """What was seen of one proxy: milliseconds of CPU for a login of each round, and the driver's times."""

    logins: int
    redirect: bool = False
    cpu: dict[int, list[float]] = field(default_factory=lambda: {browsers: [] for browsers in CONCURRENCY})
    driven: dict[int, list[Driven]] = field(default_factory=lambda: {browsers: [] for browsers in CONCURRENCY})
    memory: float = 0.0

    def add(self, started: Started, peers: Peers, browsers: int) -> None:
        """One round."""
        pid = started.process.pid
        begun = tree_cpu_seconds(pid)
        driven = drive(started.proxy, peers, logins=self.logins, browsers=browsers, redirect=self.redirect)
        self.cpu[browsers].append((tree_cpu_seconds(pid) - begun) / self.logins * 1000)
        self.driven[browsers].append(driven)
        self.memory = tree_memory_mb(pid)

    def cpu_ms(self, browsers: int) -> float:
        """Milliseconds of CPU for one login."""
        return statistics.median(self.cpu[browsers])

    def per_second(self, browsers: int) -> float:
        """Logins a second."""
        return statistics.median(driven.per_second for driven in self.driven[browsers])

    def driver_cpu_ms(self, browsers: int) -> float:
        """Milliseconds of CPU that the driver used for one login."""
        return 1000 * statistics.median(driven.cpu for driven in self.driven[browsers]) / self.logins

    def quantile(self, browsers: int, share: float) -> float:
        """Milliseconds that `share` of the logins did not exceed."""
        return statistics.median(driven.quantile(share) for driven in self.driven[browsers])


def measure() -> Report:
    """Run the parts that are wanted."""
    only = [part for part in os.environ.get("BENCH_ONLY", "").split(",") if part]
    unknown = sorted(set(only) - set(PARTS))
    if unknown:
        sys.exit(f"no such part: {', '.join(unknown)}. There are: {', '.join(PARTS)}.")
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as folder:
        bench = _Bench(Path(folder), only or list(PARTS))
        bench.run()
    return bench.report(whole=not only)


class _Bench:
    """One run: the keys that all share, and what was found."""

    def __init__(self, folder: Path, parts: list[str]) -> None:
        self._folder = folder
        self._parts = parts
        self._peers = Peers(sp=messages.pair("Bench SP"), idp=messages.pair("Bench IdP"))
        self._own = messages.pair("Bench proxy")
        self._authority = messages.pair("Bench authority")
        self._plain = saml_lists.signed(2, self._peers, self._authority)
        self._measured: dict[str, Measured] = {}
        self._by_entities: dict[int, Measured] = {}
        self._loads: dict[str, dict[int, dict[str, float]]] = {}
        self._delay: dict[str, float] = {}
        self._peer: dict[str, str] = {}
        self._failed: dict[str, str] = {}

    def run(self) -> None:
        """Every part that is wanted; one that fails says why, and does not keep the others from running."""
        self._proxies([name for name in SUBJECTS if name in self._parts])
        lists: dict[int, Path] = {}
        if {"entities", "metadata"} & set(self._parts):
            lists = {size: self._list_of(size) for size in saml_lists.SIZES}
        for name, part in (
            ("delay", self._loop_delay),
            ("entities", partial(self._entities, lists)),
            ("metadata", partial(self._metadata, lists)),
        ):
            if name in self._parts:
                try:
                    part()
                except (NotStartedError, LoginFailedError) as fault:
                    self._failed[name] = str(fault)
        if profile := os.environ.get("BENCH_PROFILE"):
            self._instrumented("profile", Instruments(profile=Path(profile).resolve()))

    def _logins(self, name: str) -> int:
        if name.startswith("gateway"):
            return int(os.environ.get("BENCH_LOGINS", SUBJECTS[name].logins))
        return SUBJECTS[name].logins

    def _proxies(self, names: list[str]) -> None:
        """CPU, throughput and times of each proxy, in turns."""
        with contextlib.ExitStack() as stack:
            running: dict[str, Started] = {}
            for name in names:
                subject = SUBJECTS[name]
                try:
                    started = running.get("gateway") if subject.redirect else None
                    running[name] = started or stack.enter_context(self._started(name))
                    self._warm(running[name], redirect=subject.redirect)
                except (NotStartedError, LoginFailedError) as fault:
                    running.pop(name, None)
                    self._failed[name] = str(fault)
                else:
                    self._measured[name] = Measured(logins=self._logins(name), redirect=subject.redirect)
            for _ in range(ROUNDS):
                for name, started in list(running.items()):
                    try:
                        for browsers in CONCURRENCY:
                            self._measured[name].add(started, self._peers, browsers)
                    except LoginFailedError as fault:
                        del running[name], self._measured[name]
                        self._failed[name] = f"{fault}; it said:\n{said(started.log)}"

    def _warm(self, started: Started, *, redirect: bool = False) -> None:
        """Everybody signs in, and gives consent where it is asked. Raises `LoginFailedError`."""
        try:
            warm_up(started.proxy, self._peers, browsers=BROWSERS, rounds=WARM_UP, redirect=redirect)
        except LoginFailedError as fault:
            raise LoginFailedError(f"{fault}; it said:\n{said(started.log)}") from fault

    def _started(self, name: str) -> contextlib.AbstractContextManager[Started]:
        if name in saml_satosa.VARIANTS:
            self._peer = saml_satosa.versions(saml_satosa.environment())
            return saml_satosa.satosa(self._new(name), saml_satosa.VARIANTS[name], self._peers, self._own)
        return self._gateway(name, self._plain)

    def _gateway(
        self, name: str, listed: bytes, instruments: Instruments | None = None
    ) -> contextlib.AbstractContextManager[Started]:
        return gateway(self._new(name), self._own, listed=listed, anchor=self._authority, instruments=instruments)

    def _new(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _loop_delay(self) -> None:
        """How late the event loop's timers return while eight people sign in at once."""
        file = self._folder / "delay.json"
        self._instrumented("delay", Instruments(delay=file))
        for name, value in json.loads(file.read_text()).items():
            self._delay[name] = value if name == "timers" else round(1000 * value, 2)

    def _instrumented(self, name: str, instruments: Instruments) -> None:
        logins = self._logins("gateway")
        with self._gateway(name, self._plain, instruments) as started:
            self._warm(started)
            drive(started.proxy, self._peers, logins=logins, browsers=BROWSERS)
            started.process.send_signal(signal.SIGUSR1)
            drive(started.proxy, self._peers, logins=2 * logins, browsers=BROWSERS)

    def _list_of(self, size: int) -> Path:
        file = self._folder / f"{size}.xml"
        file.write_bytes(saml_lists.signed(size, self._peers, self._authority))
        return file

    def _entities(self, lists: Mapping[int, Path]) -> None:
        """CPU of a login with that many entities listed, in turns."""
        with contextlib.ExitStack() as stack:
            running: dict[int, Started] = {}
            for size in (2, *lists):
                listed = lists[size].read_bytes() if size in lists else self._plain
                started = running[size] = stack.enter_context(self._gateway(f"entities-{size}", listed))
                self._warm(started)
                self._by_entities[size] = Measured(logins=self._logins("gateway"))
            for _ in range(ROUNDS):
                for size, started in running.items():
                    self._by_entities[size].add(started, self._peers, 1)

    def _metadata(self, lists: Mapping[int, Path]) -> None:
        """What it takes to load a list, each time in a fresh process."""
        anchor = self._folder / "authority.pem"
        anchor.write_bytes(self._authority.certificate_pem)
        python: Path | None = None
        try:
            python = saml_satosa.environment()
            self._peer = saml_satosa.versions(python)
        except NotStartedError as fault:
            self._failed["pysaml2"] = str(fault)
        for size, file in lists.items():
            found = saml_lists.loaded(python, file, anchor, times=LOADS[size])
            for name, figures in found.items():
                self._loads.setdefault(name, {})[size] = figures

    # --- what is told

    def report(self, *, whole: bool) -> Report:
        """Tables and figures."""
        rounds = ", ".join(f"{found.logins} ({name})" for name, found in self._measured.items())
        note = [
            *(f"Not measured: {name}. {why}" for name, why in self._failed.items()),
            f"Medians of {ROUNDS} rounds, in turns; logins a round: {rounds or 'none'}.",
        ]
        first, *more = [*self._tables()] or [Table(title="Nothing was measured", columns=(), rows=())]
        return Report(
            title=first.title,
            columns=first.columns,
            rows=first.rows,
            more=more,
            note="\n".join(note),
            figures=self._figures(),
            file="" if whole else "saml-part",
        )

    def _tables(self) -> Iterator[Table]:
        if self._measured:
            yield Table(
                title="One proxied SAML login",
                columns=(
                    "proxy",
                    *(f"CPU, {browsers} at a time" for browsers in CONCURRENCY),
                    *(f"the gateway's part, {browsers}" for browsers in CONCURRENCY),
                    "memory",
                ),
                rows=[self._cpu_row(name, found) for name, found in self._measured.items()],
            )
            yield Table(
                title="Logins a second, and how long the proxy's part of one takes",
                columns=("proxy", "at a time", "logins/s", "p50", "p95"),
                rows=[
                    (
                        SUBJECTS[name].name,
                        str(browsers),
                        f"{found.per_second(browsers):.1f}",
                        *(f"{found.quantile(browsers, share):.0f} ms" for share in (0.5, 0.95)),
                    )
                    for name, found in self._measured.items()
                    for browsers in CONCURRENCY
                ],
            )
        if self._delay:
            yield Table(
                title=f"How late a timer of {1000 * TIMER:.0f} ms of the gateway's event loop is, {BROWSERS} at a time",
                columns=("timers", "median", "p99", "worst"),
                rows=[
                    (
                        f"{self._delay['timers']}",
                        *(f"{self._delay[name]:.2f} ms" for name in ("median", "p99", "worst")),
                    )
                ],
            )
        if self._by_entities:
            yield Table(
                title="One login through the gateway, by the number of entities on its list, 1 at a time",
                columns=("entities", "CPU", "memory"),
                rows=[
                    (f"{size:,}", f"{found.cpu_ms(1):.1f} ms", f"{found.memory:.0f} MB")
                    for size, found in self._by_entities.items()
                ],
            )
        if self._loads:
            yield Table(
                title="Verifying and indexing a signed list in a fresh process",
                columns=("entities", "by", "time", "CPU", "memory", "at its peak", "the gateway's time / memory"),
                rows=[
                    self._load_row(size, name)
                    for size in saml_lists.SIZES
                    for name in ("gateway", "pysaml2")
                    if name in self._loads
                ],
            )

    def _cpu_row(self, name: str, found: Measured) -> tuple[str, ...]:
        ratios = [None if name.startswith("gateway") else self._ratio(name, browsers) for browsers in CONCURRENCY]
        return (
            SUBJECTS[name].name,
            *(f"{found.cpu_ms(browsers):.1f} ms" for browsers in CONCURRENCY),
            *(f"1/{ratio:.1f}" if ratio else "" for ratio in ratios),
            f"{found.memory:.0f} MB",
        )

    def _ratio(self, name: str, browsers: int) -> float | None:
        if "gateway" not in self._measured:
            return None
        return self._measured[name].cpu_ms(browsers) / self._measured["gateway"].cpu_ms(browsers)

    def _load_row(self, size: int, name: str) -> tuple[str, ...]:
        found, part = self._loads[name][size], ""
        if name == "pysaml2":
            ours = self._loads["gateway"][size]
            part = " / ".join(f"1/{found[figure] / ours[figure]:.1f}" for figure in ("seconds", "memory_mb"))
        return (
            f"{size:,}",
            name,
            *(f"{found[figure]:.2f} s" for figure in ("seconds", "cpu_seconds")),
            *(f"{found[figure]:.0f} MB" for figure in ("memory_mb", "peak_mb")),
            part,
        )

    def _figures(self) -> dict[str, Any]:
        found = self._measured
        return {
            "cpu_per_login_ms": {n: round(each.cpu_ms(BROWSERS), 3) for n, each in found.items() if not each.redirect},
            "cpu_per_login_ms_rounds": _by_concurrency(found, lambda each, browsers: spread(each.cpu[browsers])),
            "ratio_to_gateway": {
                str(browsers): {name: round(self._ratio(name, browsers) or 0.0, 2) for name in found}
                for browsers in CONCURRENCY
            },
            "logins_per_second": _by_concurrency(found, lambda each, browsers: round(each.per_second(browsers), 2)),
            "login_ms": _by_concurrency(
                found,
                lambda each, browsers: {
                    f"p{share}": round(each.quantile(browsers, share / 100), 2) for share in (50, 95)
                },
            ),
            "driver_cpu_per_login_ms": _by_concurrency(
                found, lambda each, browsers: round(each.driver_cpu_ms(browsers), 2)
            ),
            "memory_mb": {name: round(each.memory, 1) for name, each in found.items()},
            "logins_per_round": {name: each.logins for name, each in found.items()},
            "rounds": ROUNDS,
            "event_loop_late_ms": self._delay,
            "cpu_per_login_ms_by_entities": {str(n): round(each.cpu_ms(1), 3) for n, each in self._by_entities.items()},
            "memory_mb_by_entities": {str(n): round(each.memory, 1) for n, each in self._by_entities.items()},
            "metadata_load_s": self._loaded("seconds"),
            "metadata_load_cpu_s": self._loaded("cpu_seconds"),
            "metadata_memory_mb": self._loaded("memory_mb"),
            "metadata_peak_mb": self._loaded("peak_mb"),
            "peer_versions": self._peer,
            "not_measured": self._failed,
        }

    def _loaded(self, figure: str) -> dict[str, dict[str, float]]:
        return {
            name: {str(size): found[figure] for size, found in by_size.items()} for name, by_size in self._loads.items()
        }


def _by_concurrency(found: Mapping[str, Measured], figure: Callable[[Measured, int], Any]) -> dict[str, dict[str, Any]]:
    return {str(n): {name: figure(each, n) for name, each in found.items()} for n in CONCURRENCY}
