"""How often people and municipalities call, decided in this process and told to the others.

Each process decides by `federation/quota.py` with what it knows, so that no call waits for the store. Every
`SHARE_SECONDS` it tells the store how many calls it admitted, and hears where all of them together are. A quota is
therefore exact in one process; several admit at most what each of them may admit on its own within `SHARE_SECONDS`
beyond it. While the store is away each process goes on by itself.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import structlog

from federation import quota
from federation.callers import Caller
from federation.refusal import QuotaExceeded, Unavailable
from federation.routes import Route
from federation.terms import Rate
from gateway.store import Store

log = structlog.get_logger("gateway.quotas")

SHARE_SECONDS = 0.25
"""How often the processes tell one another."""

MOST_HELD = 100_000
"""Keys that are held at once; beyond it those that hold nobody back are dropped at the next telling."""

Key = tuple[str, str, str]
"""Who is counted (`person` or `municipality`), on which route, and their name."""


@dataclass(slots=True)
class _Held:
    """Where one key is: its arrival time by this process's clock, and what the store was not told of yet."""

    rate: Rate
    arrival: float = 0.0
    untold: int = 0
    asked: bool = True


class CallQuotas:
    """The quotas of one process. `clock` counts seconds and never goes back."""

    def __init__(self, *, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[Key, _Held] = {}

    def admit(self, route: Route, caller: Caller) -> None:
        """Count a call. Raises `QuotaExceeded`, and then nothing is counted."""
        quotas = route.terms.quotas
        if quotas.person is None and quotas.municipality is None:
            return
        now = self._clock()
        found: list[tuple[_Held, float]] = []
        for what, who, rate in (
            ("person", caller.person, quotas.person),
            ("municipality", caller.municipality, quotas.municipality),
        ):
            if rate is None or who is None:
                continue
            held = self._of((what, route.spoken, who), rate)
            arrival = quota.admitted(held.arrival, now, rate)
            if arrival is None:
                seconds = int(quota.wait(held.arrival, now, rate)) + 1
                raise QuotaExceeded(f"{what}: {rate.calls} in {rate.seconds} s on {route}", seconds=seconds)
            found.append((held, arrival))
        for held, arrival in found:
            held.arrival = arrival
            held.untold += 1

    def _of(self, key: Key, rate: Rate) -> _Held:
        held = self._held.get(key)
        if held is None or (held.rate is not rate and held.rate != rate):
            held = self._held[key] = _Held(rate=rate)
        held.asked = True
        return held

    async def share(self) -> None:
        """Tell the store, and hear where every key is that was asked about since. Raises `Unavailable`."""
        asked = {key: held for key, held in self._held.items() if held.asked}
        if not asked:
            self._tidy()
            return
        told = [(key, held, held.untold) for key, held in asked.items()]
        for _, held, _ in told:
            held.untold, held.asked = 0, False
        try:
            ahead = await self._store.move_quotas(
                [("\n".join(key), held.rate.interval, count) for key, held, count in told]
            )
        except BaseException:
            for _, held, count in told:  # what was not told is told the next time
                held.untold, held.asked = held.untold + count, True
            raise
        now = self._clock()
        for (_, held, _), seconds in zip(told, ahead, strict=True):
            held.arrival = max(held.arrival, now + seconds + held.untold * held.rate.interval)
        self._tidy()

    def _tidy(self) -> None:
        if len(self._held) > MOST_HELD:
            now = self._clock()
            self._held = {key: held for key, held in self._held.items() if held.untold or held.arrival > now}

    async def run(self) -> None:
        """Share until cancelled."""
        away = False
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share()
                away = False
            except Unavailable as fault:
                if not away:
                    log.warning("quotas-not-shared", detail=fault.detail)
                away = True
            except Exception:
                log.exception("quotas-fault")
