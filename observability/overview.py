"""What the operations page says, as one value: figures of the last hour or day, states, and what is wrong.

`Overview.build` is pure: counters and facts in, a value out that survives JSON. The words are `page.py`'s.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from federation.model import Texts
from observability import addresses
from observability.addresses import AddressState, ServiceRow
from observability.events import CallOutcome, FetchOutcome, LoginOutcome
from observability.health import Facts, ListState, StoreState, readiness
from observability.log_keys import iso
from observability.series import minute_of
from observability.vocabulary import NONE, OTHER

Counts = Mapping[int, Mapping[str, int]]

WARN_BEFORE = timedelta(days=7)
"""How long before a list expires the page begins to warn, at the earliest."""

LAST_PART = 4
"""Of a list that lives shortly the page begins to warn when the last quarter of its life has begun."""

RECENT_MINUTES = 10
"""Over how long the page judges whether something is going wrong now."""

ENOUGH_LOGINS = 3
"""From how many refused logins, none granted, a municipality is reported."""

ENOUGH_CALLS = 10
"""From how many calls the share of failed ones means something."""

FAILING_SHARE = 0.1
"""The share of failed calls that is reported."""

LOGINS = tuple(outcome.value for outcome in LoginOutcome)
CALLS = tuple(outcome.value for outcome in CallOutcome)


class Window(StrEnum):
    """How far back the charts reach: an hour by minutes, or a day by quarters of an hour."""

    HOUR = "hour"
    DAY = "day"

    @property
    def step(self) -> int:
        """Minutes per bar."""
        return 1 if self is Window.HOUR else 15

    @property
    def bars(self) -> int:
        """Bars of a chart."""
        return 60 if self is Window.HOUR else 96

    def minutes(self, now: datetime) -> range:
        """The minutes whose counters the charts need; the last is the one under way."""
        last = minute_of(now)
        return range((last // self.step - self.bars + 1) * self.step, last + 1)


class Severity(StrEnum):
    """How grave a finding is: to be looked at by day, or at once."""

    GOOD = "good"
    ATTENTION = "attention"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be; `parameters` fill the sentence that `page.py` has for `code`."""

    severity: Severity
    code: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    names: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MunicipalityRow:
    """One municipality's window: totals by outcome, and one figure per bar."""

    code: str
    names: Texts
    logins: Mapping[str, int]
    calls: Mapping[str, int]
    logins_by_bar: tuple[int, ...]
    calls_by_bar: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One trust list. `days_left` is whole days, negative after expiry, None if no version is in force."""

    name: str
    severity: Severity
    valid_until: datetime | None
    days_left: int | None
    entities: int | None
    faults: int
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the page.

    `times` are the beginnings of the bars; `logins` and `calls` have one figure per bar for each outcome.
    `recent` is about the last `RECENT_MINUTES`.
    """

    now: datetime
    window: Window
    version: str
    ready: bool
    severity: Severity
    findings: tuple[Finding, ...]
    recent: Mapping[str, int]
    times: tuple[datetime, ...]
    logins: Mapping[str, tuple[int, ...]]
    calls: Mapping[str, tuple[int, ...]]
    municipalities: tuple[MunicipalityRow, ...]
    refusals: tuple[tuple[str, int], ...]
    lists: tuple[ListRow, ...]
    services: tuple[ServiceRow, ...]
    store: StoreState
    configuration_loaded_at: datetime | None
    configuration_mistakes: int

    @classmethod
    def build(
        cls,
        counts: Counts,
        facts: Facts,
        names: Mapping[str, Texts],
        *,
        window: Window = Window.HOUR,
        version: str = "",
    ) -> "Overview":
        """What `counts` (of `window.minutes(facts.now)`, over all workers) and `facts` say.

        `names` gives the name of each configured municipality by its code; each has a row, also without a
        login.
        """
        bars = _by_bar(counts, facts.now, window)
        tables = _tables(bars)
        last = minute_of(facts.now)
        recent = _total(counts.get(minute, {}) for minute in range(last - RECENT_MINUTES + 1, last + 1))
        services = addresses.rows(facts.addresses)
        found = [*_findings(facts, recent, names), *_service_findings(services)]
        first = window.minutes(facts.now).start
        return cls(
            now=facts.now,
            window=window,
            version=version,
            ready=readiness(facts)[0],
            severity=max((f.severity for f in found), key=_GRAVITY.index, default=Severity.GOOD),
            findings=tuple(sorted(found, key=lambda f: -_GRAVITY.index(f.severity))),
            recent={
                "minutes": RECENT_MINUTES,
                "logins": _matching(recent, "login"),
                "calls": _matching(recent, "call"),
            },
            times=tuple(datetime.fromtimestamp((first + bar * window.step) * 60, UTC) for bar in range(window.bars)),
            logins=_by_outcome(tables, "login", LOGINS, window.bars),
            calls=_by_outcome(tables, "call", CALLS, window.bars),
            municipalities=_rows(tables, names, window.bars),
            refusals=_refusals(bars),
            lists=tuple(_list_row(state, facts.now) for state in facts.lists),
            services=services,
            store=facts.store,
            configuration_loaded_at=facts.configuration.loaded_at,
            configuration_mistakes=facts.configuration.mistakes,
        )

    def to_json(self) -> dict[str, Any]:
        """The overview as a JSON object; times are ISO 8601, UTC."""
        told: dict[str, Any] = _jsonable(asdict(self))
        return told


_GRAVITY = list(Severity)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return value


# --- counting


def _by_bar(counts: Counts, now: datetime, window: Window) -> list[Counter[str]]:
    minutes = window.minutes(now)
    bars: list[Counter[str]] = [Counter() for _ in range(window.bars)]
    for minute in minutes:
        bars[(minute - minutes.start) // window.step].update(counts.get(minute, {}))
    return bars


def _total(parts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def _matching(counts: Mapping[str, int], kind: str, outcome: str = "") -> int:
    return sum(
        count
        for name, count in counts.items()
        if name.startswith(f"{kind}:") and name.endswith(f":{outcome}" if outcome else "")
    )


Tables = Mapping[tuple[str, str, str], Sequence[int]]
"""Figures per bar, by kind (`login`, `call`), municipality and outcome."""


def _tables(bars: Sequence[Mapping[str, int]]) -> Tables:
    tables: dict[tuple[str, str, str], list[int]] = {}
    for index, bar in enumerate(bars):
        for name, count in bar.items():
            kind, _, rest = name.partition(":")
            municipality, _, outcome = rest.partition(":")
            if outcome:
                tables.setdefault((kind, municipality, outcome), [0] * len(bars))[index] += count
    return tables


def _by_outcome(tables: Tables, kind: str, outcomes: Sequence[str], bars: int) -> dict[str, tuple[int, ...]]:
    return {
        outcome: _summed([row for key, row in tables.items() if (key[0], key[2]) == (kind, outcome)], bars)
        for outcome in outcomes
    }


def _summed(rows: Sequence[Sequence[int]], bars: int) -> tuple[int, ...]:
    return tuple(sum(row[bar] for row in rows) for bar in range(bars))


def _rows(tables: Tables, names: Mapping[str, Texts], bars: int) -> tuple[MunicipalityRow, ...]:
    """Every configured municipality in the order of codes, then what belongs to none, if there is any."""
    seen = {municipality for _, municipality, _ in tables}
    unnamed = sorted(seen - set(names) - {NONE, OTHER})
    codes = [*sorted(names), *unnamed, *(code for code in (OTHER, NONE) if code in seen)]

    def figures(kind: str, code: str, outcome: str) -> Sequence[int]:
        return tables.get((kind, code, outcome), ())

    def by_bar(kind: str, code: str, outcomes: Sequence[str]) -> tuple[int, ...]:
        return _summed([row for outcome in outcomes if (row := figures(kind, code, outcome))], bars)

    return tuple(
        MunicipalityRow(
            code=code,
            names=names.get(code, {}),
            logins={outcome: sum(figures("login", code, outcome)) for outcome in LOGINS},
            calls={outcome: sum(figures("call", code, outcome)) for outcome in CALLS},
            logins_by_bar=by_bar("login", code, LOGINS),
            calls_by_bar=by_bar("call", code, CALLS),
        )
        for code in codes
    )


def _refusals(bars: Sequence[Mapping[str, int]]) -> tuple[tuple[str, int], ...]:
    total = _total(bars)
    found = {name.removeprefix("refusal:"): count for name, count in total.items() if name.startswith("refusal:")}
    return tuple(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


# --- judging


def _list_row(state: ListState, now: datetime) -> ListRow:
    left = None if state.valid_until is None else state.valid_until - now
    if left is None or left <= timedelta(0):
        severity = Severity.TROUBLE
    elif _runs_out(state, now) or any((state.code, state.waiting, state.successor, state.left, _unfetched(state))):
        severity = Severity.ATTENTION
    else:
        severity = Severity.GOOD
    return ListRow(
        name=state.name,
        severity=severity,
        valid_until=state.valid_until,
        days_left=None if left is None else left.days,
        entities=state.entities,
        faults=state.faults,
        code=state.code,
    )


def _runs_out(state: ListState, now: datetime) -> bool:
    """Tell whether a list in force ends soon, for its length of life.

    One that is fetched is renewed half-way to its end: a federation whose statements live a day is no reason to worry.
    """
    if state.valid_until is None:
        return False
    soon = WARN_BEFORE if state.issued_at is None else (state.valid_until - state.issued_at) / LAST_PART
    return state.valid_until - now < min(soon, WARN_BEFORE)


def _findings(facts: Facts, recent: Mapping[str, int], names: Mapping[str, Texts]) -> list[Finding]:
    return [
        *_store_findings(facts),
        *_configuration_findings(facts),
        *(finding for state in facts.lists for finding in _list_findings(state, facts.now)),
        *_traffic_findings(recent, names),
    ]


def _store_findings(facts: Facts) -> list[Finding]:
    if not facts.store.up:
        return [Finding(severity=Severity.TROUBLE, code="store-down")]
    restarted = facts.store.restarted_at
    if restarted is not None and facts.now - restarted < timedelta(hours=1):
        return [Finding(severity=Severity.ATTENTION, code="store-restarted", parameters={"at": iso(restarted)})]
    return []


def _configuration_findings(facts: Facts) -> list[Finding]:
    if facts.configuration.loaded_at is None:
        return [Finding(severity=Severity.TROUBLE, code="configuration-missing")]
    if facts.configuration.mistakes or facts.configuration.refused_at is not None:
        return [
            Finding(
                severity=Severity.ATTENTION,
                code="configuration-refused",
                parameters={"mistakes": facts.configuration.mistakes},
            )
        ]
    return []


def _list_findings(state: ListState, now: datetime) -> list[Finding]:
    row = _list_row(state, now)
    found = []
    if row.valid_until is None:
        found.append(Finding(severity=Severity.TROUBLE, code="list-missing", parameters={"list": row.name}))
    elif now >= row.valid_until:
        found.append(Finding(severity=Severity.TROUBLE, code="list-expired", parameters={"list": row.name}))
    else:
        if _runs_out(state, now):
            found.append(
                Finding(
                    severity=Severity.ATTENTION,
                    code="list-expires",
                    parameters={"list": row.name, "days": row.days_left or 0},
                )
            )
        if row.code is not None or state.fetch is FetchOutcome.REFUSED:
            found.append(Finding(severity=Severity.ATTENTION, code="list-refused", parameters={"list": row.name}))
    for code, true in (
        ("list-pointers-left", state.left),
        ("list-waiting", state.waiting),
        ("list-successor", state.successor),
        ("list-unfetched", state.fetch is FetchOutcome.FAILED),
    ):
        if true:
            found.append(Finding(severity=Severity.ATTENTION, code=code, parameters={"list": row.name}))
    return found


def _service_findings(services: Sequence[ServiceRow]) -> list[Finding]:
    """Of each service the gravest that is true."""
    found = []
    for row in services:
        out, unwell = row.count(AddressState.OUT), row.count(AddressState.UNWELL)
        if row.closed:
            severity, code, count = Severity.TROUBLE, "service-circuit-open", out
        elif out:
            severity, code, count = Severity.ATTENTION, "service-addresses-out", out
        elif unwell:
            severity, code, count = Severity.ATTENTION, "service-addresses-unwell", unwell
        else:
            continue
        parameters: dict[str, str | int] = {"service": row.service, "count": count, "all": len(row.addresses)}
        found.append(Finding(severity=severity, code=code, parameters=parameters))
    return found


def _unfetched(state: ListState) -> bool:
    return state.fetch in (FetchOutcome.REFUSED, FetchOutcome.FAILED)


def _traffic_findings(recent: Mapping[str, int], names: Mapping[str, Texts]) -> list[Finding]:
    found = []
    faults = recent.get("refusal:internal-fault", 0)
    if faults:
        found.append(Finding(severity=Severity.ATTENTION, code="internal-faults", parameters={"count": faults}))
    if ended := recent.get("sessions-ended", 0):
        parameters = {"count": ended, "untold": recent.get("sessions-untold", 0)}
        found.append(Finding(severity=Severity.ATTENTION, code="sessions-ended", parameters=parameters))
    for code, texts in sorted(names.items()):
        refused = recent.get(f"login:{code}:refused", 0)
        if refused >= ENOUGH_LOGINS and not recent.get(f"login:{code}:granted", 0):
            found.append(
                Finding(
                    severity=Severity.ATTENTION,
                    code="logins-failing",
                    parameters={"count": refused, "name": code},
                    names=texts,
                )
            )
    calls = _matching(recent, "call")
    failed = _matching(recent, "call", "failed")
    if calls >= ENOUGH_CALLS and failed / calls >= FAILING_SHARE:
        found.append(
            Finding(
                severity=Severity.ATTENTION,
                code="calls-failing",
                parameters={"percent": round(100 * failed / calls)},
            )
        )
    return found
