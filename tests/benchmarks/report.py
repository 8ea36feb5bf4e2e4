"""What a benchmark says, and how the CPU time of another process is read."""

import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """A table for people, and every figure for machines."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    figures: dict[str, Any]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, in seconds; /proc counts in hundredths."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _cpu_by_ps(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_by_ps(pid: int) -> float:
    """Where there is no /proc (macOS): `[[dd-]hh:]mm:ss.hh`."""
    text = subprocess.run(
        ["ps", "-o", "cputime=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout.strip()
    days, _, rest = text.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + float(days or 0) * 86400


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most of several runs."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }
