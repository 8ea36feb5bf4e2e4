"""The metrics that Prometheus reads: what is counted, under which labels, and how many processes become one.

Every label comes from a closed set (`vocabulary.py`), so the number of time series is bounded by the
configuration, whatever callers send. A municipality is never combined with a service, and histograms carry
one label at most, which keeps a region of 1,788 municipalities readable.

With more than one worker, prometheus_client keeps each process's numbers in files under
`PROMETHEUS_MULTIPROC_DIR`. The variable must be set before prometheus_client is imported, and the directory
emptied when the gateway starts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from federation.council.answers import Outcome as CouncilOutcome
from federation.refusal import BY_CODE, CallRefusal, InternalFault, LogoutRefused, LogoutUnknown
from observability.call_tally import BulkHistogram, Seconds
from observability.events import (
    CallEvent,
    CallOutcome,
    ConfigEvent,
    ConfigOutcome,
    ConsentChange,
    ConsentEvent,
    CouncilEvent,
    EndingEvent,
    EndReason,
    Event,
    FetchEvent,
    FetchOutcome,
    GuardEvent,
    ListEvent,
    ListOutcome,
    LoginEvent,
    LoginOutcome,
    LogoutEvent,
    LogoutOutcome,
    OverdueEvent,
    OverdueStage,
    PointersEvent,
    StoreChange,
    StoreEvent,
    UpstreamChange,
    UpstreamEvent,
)
from observability.vocabulary import (
    FETCH_CODES,
    GUARD_DIRECTIONS,
    GUARD_KINDS,
    GUARD_OUTCOMES,
    GUARD_PLACES,
    KINDS,
    LIST_CODES,
    REASONS,
    Vocabulary,
    closed,
)

LOGIN_SECONDS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900)
"""Buckets of a login: from an ID system that still knows the person to the end of a flow's life."""

UPSTREAM_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Buckets of what a service behind a route takes, up to the longest usual timeout."""

OWN_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
"""Buckets of what the gateway itself adds to a call."""

STATUS_CLASSES = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"})

_LIST_GAUGES = frozenset(
    {
        "kakehashi_list_expiry_timestamp_seconds",
        "kakehashi_list_lifetime_seconds",
        "kakehashi_list_entities",
        "kakehashi_list_faults",
        "kakehashi_list_pointers_left",
        "kakehashi_list_last_load_successful",
    }
)


@dataclass(slots=True)
class _CountedCalls:
    """The series that one kind of call adds to, and what they were not told of yet."""

    calls: Counter
    of_municipality: Counter
    upstream_seconds: BulkHistogram
    count: int = 0
    upstream: Seconds = field(default_factory=lambda: Seconds(UPSTREAM_SECONDS))


class Metrics:
    """The gateway's metrics, as a `Recorder`.

    `registry` is where they are registered: one of their own, unless a test brings one.
    """

    def __init__(self, vocabulary: Vocabulary, *, version: str, registry: CollectorRegistry | None = None) -> None:
        # one more series per counter that nothing here asks for
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        self.registry = CollectorRegistry() if registry is None else registry
        self._vocabulary = vocabulary
        self._of_calls: dict[tuple[str, str, str, str], _CountedCalls] = {}
        self._own = Seconds(OWN_SECONDS)
        self._under_way = 0
        self.registry.register(_Settling(self.settle))  # the first to be asked: then the others know
        self._define_logins()
        self._define_calls()
        self._define_states()
        build = self._gauge(
            "kakehashi_build_info", "Always 1; the label says which version runs.", "version", mode="max"
        )
        build.labels(version).set(1)
        self._begin_at_zero()

    def reload(self, vocabulary: Vocabulary) -> None:
        """Take over the names of a new configuration."""
        self._vocabulary = vocabulary
        self.settle()
        self._of_calls.clear()
        self._begin_at_zero()

    def record(self, event: Event) -> None:  # noqa: C901, PLR0912 - a case for each kind
        """Count the event."""
        match event:
            case CallEvent():
                self.record_call(event)
            case LoginEvent():
                self._login(event)
            case ConsentEvent():
                service = closed(event.service, self._vocabulary.services)
                self._consents.labels(service, ConsentChange(event.change)).inc()
            case LogoutEvent():
                self._logout(event)
            case EndingEvent():
                self._ended(event)
            case CouncilEvent():
                self._council_answers.labels(CouncilOutcome(event.outcome)).inc()
            case GuardEvent():
                self._guarded.labels(
                    closed(event.kind, GUARD_KINDS),
                    closed(event.outcome, GUARD_OUTCOMES),
                    closed(event.direction, GUARD_DIRECTIONS),
                    closed(event.where, GUARD_PLACES),
                ).inc()
            case ListEvent():
                self._list(event)
            case PointersEvent():
                self._list_pointers_left.labels(closed(event.name, self._vocabulary.lists)).set(event.left)
            case FetchEvent():
                self._list_fetches.labels(
                    closed(event.name, self._vocabulary.lists),
                    FetchOutcome(event.outcome),
                    closed(event.code, LIST_CODES | FETCH_CODES),
                ).inc()
            case StoreEvent():
                self._store(event)
            case ConfigEvent():
                self._config(event)
            case UpstreamEvent():
                service = closed(event.service, self._vocabulary.api_services)
                self._upstream.labels(service, UpstreamChange(event.change)).inc()
            case OverdueEvent():
                self._overdue.labels(OverdueStage(event.stage)).inc()

    def evidence_kept(self, written: int, lost: int) -> None:
        """So many records of evidence were written, and so many lost. May be called from any thread."""
        self._evidence_records.inc(written)
        self._evidence_lost.inc(lost)

    def loop_delayed(self, seconds: float) -> None:
        """Show how late the event loop was at worst of late."""
        self._loop_delay.set(seconds)

    def call_begins(self) -> None:
        """A call is under way."""
        self._under_way += 1

    def call_ends(self) -> None:
        """It is not any more."""
        self._under_way -= 1

    def exposition(self, multiproc_dir: Path | None, accept: str) -> tuple[str, bytes]:
        """Content type and body for a scraper that sent `accept`.

        `multiproc_dir` is where the workers keep their numbers, which are added up here; None means that this
        process is the only one.
        """
        source: CollectorRegistry | MultiProcessCollector = self.registry
        if multiproc_dir is not None:
            # mypy: prometheus_client leaves this constructor without types
            source = MultiProcessCollector(CollectorRegistry(), path=str(multiproc_dir))  # type: ignore[no-untyped-call]
        encoder, content_type = choose_encoder(accept)
        return content_type, encoder(_InForce(source.collect, self._vocabulary.lists))

    def _define_logins(self) -> None:
        self._logins = self._counter(
            "kakehashi_logins",
            "Logins that ended, by the ID system asked.",
            "id_system",
            "municipality",
            "outcome",
        )
        self._service_logins = self._counter(
            "kakehashi_service_logins",
            "Logins that ended, by the relying service and the protocols towards ID system and service.",
            "service",
            "upstream",
            "downstream",
            "outcome",
        )
        self._refusals = self._counter(
            "kakehashi_refusals", "Refused logins, logouts and calls by reason.", "bridge", "reason"
        )
        self._logouts = self._counter("kakehashi_logouts", "Single logouts that ended.", "outcome")
        self._sessions_ended = self._counter(
            "kakehashi_sessions_ended", "Remembered sessions that were ended.", "reason"
        )
        self._session_notices = self._counter(
            "kakehashi_session_notices",
            "Ended sessions of which a service was told without a browser (told), or could not be (untold).",
            "service",
            "outcome",
        )
        self._consents = self._counter(
            "kakehashi_consents", "Consents that people gave or took back, by service.", "service", "change"
        )
        self._council_answers = self._counter(
            "kakehashi_council_answers", "Targets of council requests, by what became of them.", "outcome"
        )
        for became in CouncilOutcome:
            self._council_answers.labels(became)
        self._login_seconds = self._histogram(
            "kakehashi_login_duration_seconds",
            "From the service's request to its answer, the person's time included.",
            LOGIN_SECONDS,
            "outcome",
        )

    def _define_calls(self) -> None:
        self._calls = self._counter(
            "kakehashi_calls", "Proxied calls that ended.", "service", "route", "outcome", "status_class"
        )
        self._municipality_calls = self._counter(
            "kakehashi_municipality_calls",
            "Proxied calls that ended, by the caller's municipality.",
            "municipality",
            "outcome",
        )
        self._upstream_seconds = self._histogram(
            "kakehashi_call_upstream_duration_seconds",
            "What the service behind the route took.",
            UPSTREAM_SECONDS,
            "service",
        )
        self._own_seconds = self._histogram(
            "kakehashi_call_own_duration_seconds", "What the gateway added to a call.", OWN_SECONDS
        )
        self._upstream = self._counter(
            "kakehashi_upstream_changes",
            "What happened on the way to a service: addresses out and back, unwell and well; calls sent again or not.",
            "service",
            "change",
        )
        self._calls_under_way = self._gauge(
            "kakehashi_calls_under_way", "Calls that are being answered now.", mode="livesum"
        )

    def _define_states(self) -> None:
        self._guarded = self._counter(
            "kakehashi_guard_findings",
            "What must never pass and was found: refused, or passed on and reported.",
            "kind",
            "outcome",
            "direction",
            "where",
        )
        self._list_expiry = self._gauge(
            "kakehashi_list_expiry_timestamp_seconds",
            "When the trust list in force expires, Unix time.",
            "list",
        )
        self._list_lifetime = self._gauge(
            "kakehashi_list_lifetime_seconds",
            "How long the trust list in force is valid, from its issue to its expiry.",
            "list",
        )
        self._list_entities = self._gauge("kakehashi_list_entities", "Entities of the trust list in force.", "list")
        self._list_faults = self._gauge(
            "kakehashi_list_faults", "Entries of the trust list in force that were dropped alone.", "list"
        )
        self._list_pointers_left = self._gauge(
            "kakehashi_list_pointers_left", "Pointers of the list to others that cannot be followed.", "list"
        )
        self._list_successful = self._gauge(
            "kakehashi_list_last_load_successful",
            "Whether the last reading of the trust list was accepted.",
            "list",
        )
        self._list_loads = self._counter(
            "kakehashi_list_loads",
            "Readings of trust lists; code says why one was refused.",
            "list",
            "outcome",
            "code",
        )
        self._list_fetches = self._counter(
            "kakehashi_list_fetches",
            "How often trust lists were asked for where they are published; code says why nothing usable came.",
            "list",
            "outcome",
            "code",
        )
        self._store_up = self._gauge("kakehashi_store_up", "Whether the store answers.")
        self._store_restarts = self._counter(
            "kakehashi_store_restarts", "How often the embedded store was started again."
        )
        self._overdue = self._counter(
            "kakehashi_steps_overdue", "Steps of protocol work that were refused because their time was over.", "stage"
        )
        self._evidence_records = self._counter("kakehashi_evidence_records", "Records of evidence that are on disk.")
        self._evidence_lost = self._counter(
            "kakehashi_evidence_lost", "Events of which no evidence could be kept: the disk was full, or too slow."
        )
        self._loop_delay = self._gauge(
            "kakehashi_event_loop_delay_seconds",
            "How late a short timer was at worst within the last ten seconds.",
            mode="livemax",
        )
        self._config_loads = self._counter("kakehashi_config_loads", "Readings of the configuration.", "outcome")
        self._config_successful = self._gauge(
            "kakehashi_config_last_load_successful",
            "Whether the last reading of the configuration was accepted.",
        )
        self._config_mistakes = self._gauge("kakehashi_config_mistakes", "Mistakes in the configuration read last.")

    def _begin_at_zero(self) -> None:  # noqa: C901 - each family in turn
        """Expose what alerts watch before it happens: a counter that begins at one shows no increase."""
        known = self._vocabulary
        for ended in LogoutOutcome:
            self._logouts.labels(ended)
        for why in EndReason:
            self._sessions_ended.labels(why)
        for service in known.services:
            for change in ConsentChange:
                self._consents.labels(service, change)
            self._session_notices.labels(service, "untold")
        for id_system, municipality in known.id_systems.items():
            for outcome in LoginOutcome:
                self._logins.labels(id_system, municipality, outcome)
        for reason, kind in BY_CODE.items():
            bridge = "call" if issubclass(kind, CallRefusal) else "login"
            self._refusals.labels("logout" if kind in (LogoutRefused, LogoutUnknown) else bridge, reason)
        self._refusals.labels("call", InternalFault.code)
        for labels in product(sorted(GUARD_KINDS), sorted(GUARD_OUTCOMES), ("in", "out"), ("call", "login")):
            self._guarded.labels(*labels)
        for stage in OverdueStage:
            self._overdue.labels(stage)
        for service in known.api_services:
            for became in UpstreamChange:
                self._upstream.labels(service, became)
        for route, service in known.routes.items():
            self._calls.labels(service, route, CallOutcome.OK, "2xx")
            self._calls.labels(service, route, CallOutcome.FAILED, "5xx")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str, mode: Any = "mostrecent") -> Gauge:
        return Gauge(name, text, labels, registry=self.registry, multiprocess_mode=mode)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> BulkHistogram:
        return BulkHistogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _login(self, event: LoginEvent) -> None:
        known = self._vocabulary
        outcome = LoginOutcome(event.outcome)
        id_system = closed(event.id_system, known.id_systems)
        # The configuration says whose ID system it is, so this label adds no series to the one before it.
        self._logins.labels(id_system, known.id_systems.get(id_system, id_system), outcome).inc()
        self._service_logins.labels(
            closed(event.service, known.services),
            closed(event.upstream, KINDS),
            closed(event.downstream, KINDS),
            outcome,
        ).inc()
        self._login_seconds.labels(outcome).observe(max(0.0, event.seconds))
        if outcome is not LoginOutcome.GRANTED:
            self._refusals.labels("login", closed(event.reason, REASONS)).inc()

    def _logout(self, event: LogoutEvent) -> None:
        self._logouts.labels(LogoutOutcome(event.outcome)).inc()
        if event.reason is not None:
            self._refusals.labels("logout", closed(event.reason, REASONS)).inc()

    def _ended(self, event: EndingEvent) -> None:
        self._sessions_ended.labels(EndReason(event.reason)).inc(event.ended)
        service = closed(event.service, self._vocabulary.services)
        for outcome, count in (("told", event.told), ("untold", event.untold)):
            self._session_notices.labels(service, outcome).inc(count)

    def record_call(self, event: CallEvent) -> None:
        """Count a call."""
        counted = self._counted_calls(event.route, event.municipality, event.outcome, event.status_class)
        counted.count += 1
        self._own.observe(event.own_seconds)
        if event.upstream_seconds is not None:
            counted.upstream.observe(event.upstream_seconds)
        if event.reason is not None:
            self._refusals.labels("call", closed(event.reason, REASONS)).inc()

    def settle(self) -> None:
        """Let the counters know of the calls since the last time (`observability/call_tally.py`)."""
        for counted in self._of_calls.values():
            if counted.count:
                counted.calls.inc(counted.count)
                counted.of_municipality.inc(counted.count)
                counted.upstream_seconds.add(*counted.upstream.take())
                counted.count = 0
        self._own_seconds.add(*self._own.take())
        self._calls_under_way.set(self._under_way)

    def _counted_calls(
        self, route: str | None, municipality: str | None, outcome: CallOutcome, status_class: str
    ) -> _CountedCalls:
        """The series of such a call, found once; there are few, since every label is closed."""
        known = self._vocabulary
        label = closed(route, known.routes)
        code = closed(municipality, known.municipalities)
        key = (label, code, outcome, status_class)
        found = self._of_calls.get(key)
        if found is None:
            service = known.routes.get(label, label)
            status = closed(status_class, STATUS_CLASSES)
            found = self._of_calls[key] = _CountedCalls(
                calls=self._calls.labels(service, label, CallOutcome(outcome), status),
                of_municipality=self._municipality_calls.labels(code, CallOutcome(outcome)),
                upstream_seconds=self._upstream_seconds.labels(service),
            )
        return found

    def _list(self, event: ListEvent) -> None:
        name = closed(event.name, self._vocabulary.lists)
        outcome = ListOutcome(event.outcome)
        self._list_loads.labels(name, outcome, closed(event.code, LIST_CODES)).inc()
        self._list_expiry.labels(name).set(0 if event.valid_until is None else event.valid_until.timestamp())
        if event.valid_until is not None and event.issued_at is not None:
            self._list_lifetime.labels(name).set((event.valid_until - event.issued_at).total_seconds())
        self._list_entities.labels(name).set(event.entities or 0)
        self._list_faults.labels(name).set(event.faults)
        self._list_successful.labels(name).set(outcome is ListOutcome.LOADED)

    def _store(self, event: StoreEvent) -> None:
        match event.change:
            case StoreChange.UP:
                self._store_up.set(1)
            case StoreChange.DOWN:
                self._store_up.set(0)
            case StoreChange.RESTART:
                self._store_restarts.inc()

    def _config(self, event: ConfigEvent) -> None:
        outcome = ConfigOutcome(event.outcome)
        self._config_loads.labels(outcome).inc()
        self._config_successful.set(outcome is ConfigOutcome.LOADED)
        self._config_mistakes.set(event.mistakes)


class _Settling(Collector):
    """Has nothing to show, and lets everybody else know before they show anything."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle

    def collect(self) -> Iterable[Metric]:
        """Settle."""
        self._settle()
        return ()

    def describe(self) -> Iterable[Metric]:
        """Nothing, without settling: the counters are not there yet."""
        return ()


class _InForce:
    """What is collected, without lists that are no longer configured: their expiry worries nobody."""

    def __init__(self, collect: Callable[[], Iterable[Metric]], lists: Iterable[str]) -> None:
        self._collect = collect
        self._lists = frozenset(lists)

    def collect(self) -> Iterable[Metric]:
        for metric in self._collect():
            if metric.name in _LIST_GAUGES:
                metric.samples = [s for s in metric.samples if s.labels["list"] in self._lists]
            yield metric


def worker_ended(pid: int, multiproc_dir: Path) -> None:
    """Forget what a worker process that has ended had under way; its counters stay."""
    mark_process_dead(pid, path=str(multiproc_dir))  # type: ignore[no-untyped-call]  # untyped in prometheus_client
