"""Load a country's signed lists in this fresh process as the gateway does, and print as JSON what it took.

    trust_load.py DIRECTORY GOVERNMENTS

The lists are those that `trust_country.py` wrote. Memory is resident memory after the load, with the files' octets let
go and garbage collected, less what it was before; what of it is in use is seen once the C library has given free memory
back; the peak is the kernel's high-water mark. Whoever is looked up is
named by a string that was never looked up before, as from a message; each figure is the median of several passes.
"""

import contextlib
import ctypes
import gc
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.report import resident_mb
from tests.benchmarks.trust_country import AT, LISTS, SIZES, TOWN, code
from trust_lists import formats
from trust_lists.model import NotTrustedError, Role, TrustList
from trust_lists.recognition import Recognition, Recognitions, worth
from trust_lists.trusted_set import TrustedSet

PASSES = 5
LOOKUPS = 20_000
ASKED_FIRST = 200
FAN_OUT = 40
"""Governments that recognise the same one: three steps lead from any of 65,641 to the one that owns the lists."""

THRESHOLDS = (50_000, 20, 50)
"""Of the garbage collection, once the gateway has started (`gateway/serve.py`)."""

_Key = tuple[str, Role]


def main() -> None:
    """Load and tell."""
    folder, governments = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(1)
    trusted = TrustedSet()
    told = _load(folder, trusted)
    keys = [(entity.entity_id, role) for each in trusted.lists() for entity in each.entities for role in entity.roles]
    asked = chance.choices(keys, k=LOOKUPS)
    few = chance.choices(chance.sample(keys, SIZES[0]), k=LOOKUPS)
    told |= {
        "lookup_us": _per_call(lambda each: _found(trusted, each), asked),
        "lookup_of_few_us": _per_call(lambda each: _found(trusted, each), few),
        "missing_us": _per_call(lambda each: _missed(trusted, each), [(f"{name}#", role) for name, role in asked]),
        "dict_us": _per_call(_looked_up({name: True for name, _ in keys}), asked),
        **_recognised(trusted, governments, asked, chance),
    }
    told |= _swapped(folder, trusted)
    sys.stdout.write(json.dumps(told))


# --- loading


def _read(folder: Path, name: str, kind: str, *, version: str = "") -> TrustList:
    anchor = (folder / f"{name}.der").read_bytes()
    return formats.read((folder / f"{name}{version}").read_bytes(), kind=kind, name=name, anchors=[anchor], now=AT)


def _load(folder: Path, trusted: TrustedSet) -> dict[str, Any]:
    gc.collect()
    before, used = resident_mb(), os.times()
    seconds: dict[str, float] = {}
    for name, kind in LISTS.items():
        began = time.perf_counter()
        trusted.admit(_read(folder, name, kind))
        seconds[kind] = time.perf_counter() - began
    after = os.times()
    gc.collect()
    resident = resident_mb()
    _give_back()
    return {
        "load_s": sum(seconds.values()),
        "load_s_by_format": seconds,
        "cpu_s": sum(after[:4]) - sum(used[:4]),
        "memory_mb": resident - before,
        "in_use_mb": resident_mb() - before,
        "peak_mb": resident_mb(peak=True) - before,
        "entities": sum(len(each.entities) for each in trusted.lists()),
        "faults": sum(len(each.faults) for each in trusted.lists()),
    }


def _give_back() -> None:
    """Have the C library give free memory back to the system, which it keeps for later (glibc's `malloc_trim`)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


# --- looking up


def _per_call(run: Callable[[list[_Key]], None], asked: Iterable[_Key]) -> float:
    """Microseconds for one, the loop included."""
    found = []
    for _ in range(PASSES):
        named = [((name + "#")[:-1], role) for name, role in asked]
        began = time.perf_counter()
        run(named)
        found.append((time.perf_counter() - began) / len(named) * 1e6)
    return statistics.median(found)


def _found(trusted: TrustedSet, asked: list[_Key]) -> None:
    find = trusted.find
    for name, role in asked:
        find(name, role, AT)


def _missed(trusted: TrustedSet, asked: list[_Key]) -> None:
    find = trusted.find
    for name, role in asked:
        try:
            find(name, role, AT)
        except NotTrustedError:
            continue


def _looked_up(table: Mapping[str, bool]) -> Callable[[list[_Key]], None]:
    """What is the least that it can cost: one entry of a dict by its name."""

    def run(asked: list[_Key]) -> None:
        for name, _ in asked:
            table[name]

    return run


def _recognised(
    trusted: TrustedSet, governments: int, asked: list[_Key], chance: random.Random
) -> dict[str, float | int]:
    """What a government counts of an entity: each recognises another one, in up to three steps the lists' owner."""
    recognitions = _recognitions(governments)
    relying = [code(chance.randrange(governments)) for _ in asked]

    def ask(named: Iterable[_Key]) -> None:
        for (name, role), by in zip(named, relying, strict=False):
            worth(trusted, recognitions, name, role, relying=by, use="civic", at=AT)

    first = []
    for _ in range(PASSES):
        recognitions = _recognitions(governments)
        began = time.perf_counter()
        for number in range(ASKED_FIRST):
            name, role = asked[number]
            by = code(governments - 1 - number % governments)
            worth(trusted, recognitions, name, role, relying=by, use="civic", at=AT)
        first.append((time.perf_counter() - began) / ASKED_FIRST * 1e6)
    ask(asked)
    return {
        "worth_us": _per_call(ask, asked),
        "first_worth_us": statistics.median(first),
        "recognitions": len(recognitions.statements),
    }


def _recognitions(governments: int) -> Recognitions:
    return Recognitions(
        statements=tuple(
            Recognition(
                id=f"recognition-{number}",
                by=code(number),
                municipality=code((number - 1) // FAN_OUT),
                uses=frozenset({"civic", "library"}),
                maximum_identity=2,
                until=AT.replace(year=AT.year + 1),
            )
            for number in range(1, governments)
        ),
        owners=dict.fromkeys(LISTS, code(0)),
    )


# --- swapping


def _swapped(folder: Path, trusted: TrustedSet) -> dict[str, float]:
    """A newer version of the largest list, and of one of three entities beside it."""
    (large, kind), own = next(iter(LISTS.items())), LISTS["country-openid"]
    trusted.admit(_read(folder, TOWN, own))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    whole = _newer(folder, trusted, large, kind)
    return {**whole, **{f"town_{figure}": value for figure, value in _newer(folder, trusted, TOWN, own).items()}}


def _newer(folder: Path, trusted: TrustedSet, name: str, kind: str) -> dict[str, float]:
    """What reading and admitting take, and how long a lookup beside them waits at the most."""
    began = time.perf_counter()
    newer = _read(folder, name, kind, version=".next")
    reading = time.perf_counter() - began
    versions = (replace(newer, sequence=newer.sequence + number) for number in count())
    asked = [(entity.entity_id, role) for entity in newer.entities[:20] for role in entity.roles]

    def beside(run: Callable[[], object]) -> float:
        return _longest_wait(trusted, asked, run)

    return {
        "reading_ms": reading * 1000,
        "swap_ms": statistics.median(_milliseconds(lambda: trusted.admit(next(versions))) for _ in range(PASSES)),
        "reading_wait_ms": beside(lambda: _read(folder, name, kind, version=".next")),
        "swap_wait_ms": max(beside(lambda: trusted.admit(next(versions))) for _ in range(PASSES)),
    }


def _milliseconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000


def _longest_wait(trusted: TrustedSet, asked: list[_Key], run: Callable[[], object]) -> float:
    """Milliseconds that pass at the most between two lookups while something else runs on a thread beside."""
    thread = threading.Thread(target=run)
    longest, looked, alive = 0.0, time.perf_counter(), True
    thread.start()
    while alive:
        alive = thread.is_alive()  # once more after its end: it may have waited until then
        for name, role in asked:
            trusted.find(name, role, AT)
            now = time.perf_counter()
            longest, looked = max(longest, now - looked), now
    return longest * 1000


if __name__ == "__main__":
    main()
