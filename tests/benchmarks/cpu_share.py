"""Holding a process to a part of a core, by the kernel's control groups (as root; `cpu` controller, version 1 or 2)."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 10_000


@contextlib.contextmanager
def held(processes: Sequence[int], share: float) -> Iterator[bool]:
    """Let each process have at most `share` of a core while this lasts; False where the machine does not allow it."""
    groups = [_home() / f"kakehashi-bench-{os.getpid()}-{each}" for each in processes]
    try:
        try:
            for group, process in zip(groups, processes, strict=True):
                _hold(group, process, round(share * PERIOD_US))
        except OSError:
            yield False
        else:
            yield True
    finally:
        for group, process in zip(groups, processes, strict=True):
            with contextlib.suppress(OSError):
                (_home() / "cgroup.procs").write_text(str(process))
            with contextlib.suppress(OSError):
                group.rmdir()


def _home() -> Path:
    return V2 if (V2 / "cgroup.controllers").exists() else V1


def _hold(group: Path, process: int, quota: int) -> None:
    group.mkdir()
    if group.parent == V2:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    (group / "cgroup.procs").write_text(str(process))
