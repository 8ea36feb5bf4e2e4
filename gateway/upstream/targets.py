"""Which of a service's addresses a call goes to: the one with least to do, of those that do not fail.

Three things keep an address from being chosen, each for itself:

- its health checks fail (`checked`). If no address passes them, they are disregarded: rather the check is wrong.
- it is *out*: so many calls on end failed there (`Ejection`). When its time is over, one call tries it, and decides.
- it is as busy as it may be; whoever owns the connections sees to that.

Where calls end without an answer (nobody listens, connections break, nothing comes) every address may be out: then
the circuit is open, and calls are refused at once (`AllOutError`) until a trial succeeds. An address that does answer,
with 502, 503 or 504, is out only while at least half of the addresses are not: what a service says of itself everywhere
its callers may hear from itself.

Time is a parameter, in seconds of any clock that does not go back. State is of one process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from federation.reach import Ejection

LONGEST_OUT = 300.0
"""Seconds that an address is out at most, however often it failed."""

CHECKS_ON_END = 2
"""Health checks on end that fail before an address counts as unwell; one that is passed makes it well."""


class Outcome(Enum):
    """How a call ended, for the address that it went to."""

    ANSWERED = auto()
    """With an answer of the service."""
    TURNED_AWAY = auto()
    """With 502, 503 or 504: something answers, and says that it cannot (RFC 9110 §15.6)."""
    SILENT = auto()
    """Without an answer, or without one that could be read."""
    UNKNOWN = auto()
    """Nobody knows: the caller went away first."""


class AllOutError(Exception):
    """No address may be asked now."""


@dataclass(slots=True, kw_only=True, eq=False)
class Target:
    """One address and what is known of it; `load` says how much it has to do, `held` how much more beside that."""

    url: str
    load: Callable[[], int]
    held: int = 0
    well: bool = True
    out: bool = False
    trying: bool = False
    failures: int = 0
    ejections: int = 0
    until: float = 0.0
    lasted: float = 0.0
    checks_failed: int = 0


class Targets:
    """The addresses of one service. `chance` answers with a number from 0 to before 1."""

    def __init__(self, targets: Sequence[Target], ejection: Ejection | None, chance: Callable[[], float]) -> None:
        assert targets
        self.all = tuple(targets)
        self._ejection = ejection
        self._chance = chance
        self._only = targets[0] if len(targets) == 1 else None

    def choose(self, now: float, avoid: Target | None = None) -> tuple[Target, bool]:
        """The address for a call, and whether the call is its trial; `avoid` only if there is no other.

        Whoever has one reports how it `ended`. Raises `AllOutError`.
        """
        only = self._only
        if only is not None and not only.out:
            return only, False
        minding = any(target.well for target in self.all)
        open_ = [target for target in self.all if target.well or not minding]
        for target in open_:
            if target.out and not target.trying and now >= target.until and target is not avoid:
                target.trying = True
                return target, True
        choice = [target for target in open_ if not target.out]
        if len(choice) > 1 and avoid in choice:
            choice.remove(avoid)
        if not choice:
            raise AllOutError
        if len(choice) == 1:
            return choice[0], False
        return min(choice, key=lambda target: (target.load() + target.held, self._chance())), False

    def ended(self, target: Target, outcome: Outcome, now: float, *, trial: bool) -> None:
        """A call is over. What was begun before an address was out says nothing of it afterwards."""
        if trial:
            target.trying = False
        elif target.out:
            return
        match outcome:
            case Outcome.UNKNOWN:
                return
            case Outcome.ANSWERED:
                target.failures = 0
                target.out = False
                if target.ejections and now >= target.until + target.lasted:
                    target.ejections = 0
            case Outcome.TURNED_AWAY | Outcome.SILENT:
                target.failures += 1
                if self._ejection is not None and (trial or target.failures >= self._ejection.failures):
                    self._eject(target, outcome, now, self._ejection)

    def _eject(self, target: Target, outcome: Outcome, now: float, ejection: Ejection) -> None:
        others_out = sum(other.out for other in self.all if other is not target)
        if outcome is Outcome.TURNED_AWAY and others_out >= len(self.all) // 2:
            target.out = False
            return
        target.lasted = min(ejection.seconds * 2.0 ** min(target.ejections, 10), LONGEST_OUT)
        target.ejections += 1
        target.until = now + target.lasted
        target.out = True

    def checked(self, target: Target, *, passed: bool) -> None:
        """A health check is over."""
        target.checks_failed = 0 if passed else target.checks_failed + 1
        target.well = target.checks_failed < CHECKS_ON_END
