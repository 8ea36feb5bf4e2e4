"""On which terms a route is open: to whom, when, for what content, how often.

A route says nothing about a term that does not stand in its configuration, except for the two that are closed unless
somebody opens them: only people call, and only those of a member of the council.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum

from federation.callers import CallerKind

JAPAN = timezone(timedelta(hours=9))
"""Japan's only time zone, without summer time since 1952."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Days of the week as configuration writes them, Monday first (`datetime.weekday`)."""


class Membership(StrEnum):
    """Which municipalities' callers a route serves, if it does not list them."""

    COUNCIL = "council"
    """Those that a trust list in force names as members of the council."""
    REGION = "region"
    """Any that the region knows: where its ID systems and systems are from."""


class Idempotency(StrEnum):
    """Whether calls may, or must, carry a key by which a repeated one is known (Idempotency-Key)."""

    NONE = "none"
    ACCEPTED = "accepted"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `calls` in `seconds` on the long run, and `burst` at once after a pause. All are at least 1."""

    calls: int
    seconds: int
    burst: int

    @property
    def interval(self) -> float:
        """Seconds that one call takes up."""
        return self.seconds / self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How often one person, and all callers of one municipality together, may call; None: as often as they like."""

    person: Rate | None = None
    municipality: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """When a route is open, by the clock of Japan.

    `since` and `until` are days, both included. On `days` (0 is Monday) it is open from `opens` to before `closes`;
    a time that closes before it opens goes on after midnight, and belongs to the day on which it opened.
    """

    since: date | None = None
    until: date | None = None
    days: frozenset[int] = frozenset(range(7))
    opens: time = time(0, 0)
    closes: time | None = None

    def at(self, moment: datetime) -> bool:
        """Whether it is open at `moment` (aware)."""
        local = moment.astimezone(JAPAN)
        day, clock = local.date(), local.time()
        if self.closes is None:
            return clock >= self.opens and self._on(day)
        if self.opens < self.closes:
            return self.opens <= clock < self.closes and self._on(day)
        if clock >= self.opens:
            return self._on(day)
        return clock < self.closes and self._on(day - timedelta(days=1))

    def opens_after(self, moment: datetime) -> datetime | None:
        """When it opens next (UTC) within eight days, if it is closed at `moment`; None if it does not."""
        local = moment.astimezone(JAPAN)
        first = local.date() if self.since is None else max(local.date(), self.since)
        for ahead in range(8):
            day = first + timedelta(days=ahead)
            begins = datetime.combine(day, self.opens, JAPAN)
            if self._on(day) and begins > moment:
                return begins.astimezone(UTC)
        return None

    def _on(self, day: date) -> bool:
        return (
            day.weekday() in self.days
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a route asks of a call beyond scope and identity level.

    `members` lists municipalities' codes, or says which count. `body_limit` is in bytes, None: the gateway's own.
    `content_types` are those that a body may have, in small letters and without parameters; empty: any.
    `websocket`: a call may become one (RFC 6455). `requires` are facts that the service is told by the route's scope,
    each of which must be true of a person who calls.
    """

    callers: frozenset[CallerKind] = frozenset({CallerKind.PERSON})
    members: Membership | frozenset[str] = Membership.COUNCIL
    quotas: Quotas = Quotas()
    body_limit: int | None = None
    content_types: frozenset[str] = frozenset()
    opening: Opening | None = None
    idempotency: Idempotency = Idempotency.NONE
    websocket: bool = False
    requires: frozenset[str] = frozenset()
