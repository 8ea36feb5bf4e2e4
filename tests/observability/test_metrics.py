import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from federation.council.answers import Outcome
from observability.events import (
    CallOutcome,
    ConfigEvent,
    ConfigOutcome,
    ConsentChange,
    CouncilEvent,
    EndingEvent,
    EndReason,
    Event,
    FetchEvent,
    FetchOutcome,
    ListEvent,
    ListOutcome,
    LoginOutcome,
    LogoutEvent,
    LogoutOutcome,
    OverdueEvent,
    OverdueStage,
    StoreChange,
    StoreEvent,
    UpstreamChange,
    UpstreamEvent,
)
from observability.metrics import Metrics, worker_ended
from observability.vocabulary import GUARD_DIRECTIONS, GUARD_KINDS, GUARD_OUTCOMES, Vocabulary
from tests.observability.builders import NOW, VOCABULARY, call, login


def samples(metrics: Metrics, directory: Path | None = None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Everything exposed, by name and labels."""
    _, body = metrics.exposition(directory, "")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, directory: Path | None = None, **labels: str) -> float | None:
    """The value of one time series, or None if it is not exposed."""
    return samples(metrics, directory).get((name, frozenset(labels.items())))


def test_a_login_is_counted_by_id_system_and_by_service():
    """One login adds one to each of its counters and is timed."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.record(login())
    labels = {"id_system": "maebashi", "municipality": "102016", "outcome": "granted"}
    assert value(metrics, "kakehashi_logins_total", **labels) == 1
    labels = {"service": "gunma-portal", "upstream": "oidc", "downstream": "saml", "outcome": "granted"}
    assert value(metrics, "kakehashi_service_logins_total", **labels) == 1
    assert value(metrics, "kakehashi_login_duration_seconds_sum", outcome="granted") == 21.5


def test_the_municipality_of_a_login_is_what_the_configuration_says():
    """A municipality that does not belong to the ID system cannot become a label."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.record(login(municipality="232238"))
    labels = {"id_system": "maebashi", "municipality": "102016", "outcome": "granted"}
    assert value(metrics, "kakehashi_logins_total", **labels) == 1


def test_a_refusal_is_counted_by_reason():
    """Logins and calls count their refusals apart."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.record(login(outcome=LoginOutcome.REFUSED, reason="assurance-too-low"))
    metrics.record(call(outcome=CallOutcome.REFUSED, reason="scope-missing", status=403, upstream_seconds=None))
    assert value(metrics, "kakehashi_refusals_total", bridge="login", reason="assurance-too-low") == 1
    assert value(metrics, "kakehashi_refusals_total", bridge="call", reason="scope-missing") == 1
    labels = {
        "service": "council-poll",
        "route": "/api/council/polls",
        "outcome": "refused",
        "status_class": "4xx",
    }
    assert value(metrics, "kakehashi_calls_total", **labels) == 1


def test_a_logout_is_counted_by_how_it_ended():
    """All three ends are there from the start; a refused one counts under its reason too."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    assert value(metrics, "kakehashi_logouts_total", outcome="complete") == 0
    ended = {"seconds": 2.0, "request_id": "r-3", "at": NOW}
    metrics.record(LogoutEvent(outcome=LogoutOutcome.PARTIAL, service="gunma-portal", untold=1, **ended))
    metrics.record(LogoutEvent(outcome=LogoutOutcome.REFUSED, reason="logout-refused", **ended))
    assert value(metrics, "kakehashi_logouts_total", outcome="partial") == 1
    assert value(metrics, "kakehashi_logouts_total", outcome="refused") == 1
    assert value(metrics, "kakehashi_refusals_total", bridge="logout", reason="logout-refused") == 1


def test_ended_sessions_are_counted_and_who_could_not_be_told():
    """The counters of each reason, and of each service that could not be told, are there from the start."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    assert value(metrics, "kakehashi_sessions_ended_total", reason="untrusted") == 0
    assert value(metrics, "kakehashi_session_notices_total", service="gunma-portal", outcome="untold") == 0
    about = {"reason": EndReason.UNTRUSTED, "at": NOW}
    metrics.record(EndingEvent(service="gunma-portal", ended=5, told=3, untold=2, **about))
    metrics.record(EndingEvent(service="somebody", ended=1, **about))
    assert value(metrics, "kakehashi_sessions_ended_total", reason="untrusted") == 6
    assert value(metrics, "kakehashi_session_notices_total", service="gunma-portal", outcome="told") == 3
    assert value(metrics, "kakehashi_session_notices_total", service="gunma-portal", outcome="untold") == 2
    assert value(metrics, "kakehashi_session_notices_total", service="other", outcome="told") == 0


def test_targets_of_council_requests_are_counted_by_their_ends():
    """Each outcome is there from the start."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    for outcome, target in ((Outcome.ANSWERED, "102016"), (Outcome.TIMED_OUT, None)):
        event = CouncilEvent(outcome=outcome, at=NOW, council_request="c", municipality="102016", target=target)
        metrics.record(event)
    counts = {each: value(metrics, "kakehashi_council_answers_total", outcome=each) for each in Outcome}
    assert counts == {**dict.fromkeys(Outcome, 0), Outcome.ANSWERED: 1, Outcome.TIMED_OUT: 1}


def test_calls_under_way_are_counted_while_they_are():
    """The gauge goes up for the time of the call."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.call_begins()
    metrics.call_begins()
    assert value(metrics, "kakehashi_calls_under_way") == 2
    metrics.call_ends()
    metrics.call_ends()
    assert value(metrics, "kakehashi_calls_under_way") == 0


def test_states_become_gauges():
    """Lists, store and configuration are told as they are now."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    until = NOW + timedelta(days=3)
    loaded = ListEvent(
        name="region-saml", outcome=ListOutcome.LOADED, at=NOW, issued_at=NOW, valid_until=until, entities=9
    )
    metrics.record(loaded)
    metrics.record(StoreEvent(change=StoreChange.RESTART, at=NOW))
    metrics.record(StoreEvent(change=StoreChange.UP, at=NOW))
    metrics.record(ConfigEvent(outcome=ConfigOutcome.REFUSED, at=NOW, mistakes=3))
    assert until.timestamp() == value(metrics, "kakehashi_list_expiry_timestamp_seconds", list="region-saml")
    assert value(metrics, "kakehashi_list_lifetime_seconds", list="region-saml") == 3 * 86400
    assert value(metrics, "kakehashi_list_entities", list="region-saml") == 9
    assert value(metrics, "kakehashi_store_up") == 1
    assert value(metrics, "kakehashi_store_restarts_total") == 1
    assert value(metrics, "kakehashi_config_mistakes") == 3
    assert value(metrics, "kakehashi_config_last_load_successful") == 0
    assert value(metrics, "kakehashi_build_info", version="0.1.0") == 1


def test_overdue_steps_and_a_late_loop_are_shown():
    """Both stages are there from the start; the delay is the last one told."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    assert value(metrics, "kakehashi_steps_overdue_total", stage="running") == 0
    metrics.record(OverdueEvent(stage=OverdueStage.WAITING, abandoned=0, at=NOW))
    metrics.loop_delayed(0.25)
    assert value(metrics, "kakehashi_steps_overdue_total", stage="waiting") == 1
    assert value(metrics, "kakehashi_event_loop_delay_seconds") == 0.25


def test_what_happens_on_the_way_to_a_service_counts_by_service_and_never_by_address():
    """Everything is there from the start; a service that is not configured adds no series of its own."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    name = "kakehashi_upstream_changes_total"
    assert value(metrics, name, service="ledger", change="circuit-open") == 0
    for service in ("ledger", "invented"):
        metrics.record(UpstreamEvent(change=UpstreamChange.OUT, service=service, at=NOW, address="http://a.example"))
    assert value(metrics, name, service="ledger", change="out") == 1
    assert value(metrics, name, service="other", change="out") == 1


def test_a_list_that_is_no_longer_configured_is_no_longer_exposed():
    """Nobody is woken for the expiry of a list that the configuration dropped."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.record(ListEvent(name="region-saml", outcome=ListOutcome.LOADED, at=NOW, valid_until=NOW, entities=9))
    metrics.reload(Vocabulary(lists={"region-openid"}))
    assert value(metrics, "kakehashi_list_entities", list="region-saml") is None


names = (
    st.none()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "maebashi",
            "102016",
            "gunma-portal",
            "/api/council/polls",
            "council-poll",
            "oidc",
            "saml",
            "region-saml",
        ]
    )
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        login,
        outcome=st.sampled_from(LoginOutcome),
        reason=names,
        id_system=names,
        municipality=names,
        service=names,
        upstream=names,
        downstream=names,
        seconds=st.floats(-1, 1e9),
    ),
    st.builds(
        call,
        outcome=st.sampled_from(CallOutcome),
        status=st.integers(-1, 10**6),
        reason=names,
        route=names,
        service=names,
        municipality=names,
        own_seconds=st.floats(-1, 1e9),
    ),
    st.builds(
        LogoutEvent,
        outcome=st.sampled_from(LogoutOutcome),
        seconds=st.floats(-1, 1e9),
        request_id=st.just("r-3"),
        at=st.just(NOW),
        reason=names,
        service=names,
        id_system=names,
    ),
    st.builds(
        EndingEvent,
        reason=st.sampled_from(EndReason),
        at=st.just(NOW),
        service=names.map(str),
        ended=st.integers(0, 10**6),
        told=st.integers(0, 10**6),
        untold=st.integers(0, 10**6),
    ),
    st.builds(ListEvent, name=st.text(), outcome=st.sampled_from(ListOutcome), at=st.just(NOW), code=names),
)


def label_sets(metrics: Metrics) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """The labels in use, buckets counted once."""
    return {
        (name, frozenset(pair for pair in labels if pair[0] != "le"))
        for name, labels in samples(metrics)
        if not name.endswith(("_sum", "_count"))
    }


@settings(max_examples=40)
@given(st.lists(events, max_size=60))
def test_labels_cannot_explode(happened: list[Event]):
    """Whatever happens, each label's value is a configured name, a code of ours, or `other` or `none`."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    for event in happened:
        metrics.record(event)
    allowed = {
        *VOCABULARY.id_systems,
        *VOCABULARY.municipalities,
        *VOCABULARY.services,
        *VOCABULARY.routes,
        *VOCABULARY.api_services,
        *VOCABULARY.lists,
        *LoginOutcome,
        *LogoutOutcome,
        *CallOutcome,
        *ListOutcome,
        *OverdueStage,
        *UpstreamChange,
        *EndReason,
        *ConsentChange,
        *Outcome,
        *GUARD_KINDS,
        *GUARD_OUTCOMES,
        *GUARD_DIRECTIONS,
        *{
            "told",
            "untold",
            "1xx",
            "2xx",
            "3xx",
            "4xx",
            "5xx",
            "saml",
            "oidc",
            "certificate",
            "login",
            "call",
            "0.1.0",
            "other",
            "none",
        },
    }
    used = {pair[1] for name, labels in label_sets(metrics) if name != "kakehashi_refusals_total" for pair in labels}
    assert used <= allowed


def test_the_number_of_series_has_a_ceiling_that_events_cannot_move():
    """Ten thousand invented names make no more series than ten do."""

    def exposed(count: int) -> int:
        metrics = Metrics(VOCABULARY, version="0.1.0")
        for number in range(count):
            name = f"invented-{number}"
            metrics.record(login(id_system=name, municipality=name, service=name, upstream=name, reason=name))
            metrics.record(call(route=name, service=name, municipality=name, reason=name))
            metrics.record(ListEvent(name=name, outcome=ListOutcome.REFUSED, at=NOW, code=name))
        return len(samples(metrics))

    assert exposed(10) == exposed(2_000)


def test_openmetrics_is_spoken_when_asked_for():
    """The content type follows the scraper's Accept header."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    metrics.record(login())
    plain, body = metrics.exposition(None, "*/*")
    assert plain.startswith("text/plain")
    assert b"_created" not in body
    openmetrics, body = metrics.exposition(None, "application/openmetrics-text; version=1.0.0")
    assert openmetrics.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


WORKER = """
import sys
from datetime import timedelta
from observability.events import ListEvent, ListOutcome, StoreChange, StoreEvent
from observability.metrics import Metrics
from tests.observability.builders import NOW, VOCABULARY, call, login

metrics = Metrics(VOCABULARY, version="0.1.0")
number = int(sys.argv[1])
for _ in range(number):
    metrics.record(login())
    metrics.record(call())
metrics.record(
    ListEvent(
        name="region-saml",
        outcome=ListOutcome.LOADED,
        at=NOW,
        valid_until=NOW + timedelta(days=number),
        entities=number,
    )
)
metrics.record(StoreEvent(change=StoreChange.UP, at=NOW))
metrics.call_begins()
metrics.settle()
metrics.loop_delayed(number)
print("ready", flush=True)
sys.stdin.readline()
"""

READER = """
import sys
from pathlib import Path
from observability.metrics import Metrics
from tests.observability.builders import VOCABULARY
sys.stdout.buffer.write(Metrics(VOCABULARY, version="0.1.0").exposition(Path(sys.argv[1]), "")[1])
"""


def exposed_together(
    directory: Path, environment: dict[str, str]
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What the admin process, itself writing into the same directory, exposes."""
    reader = [sys.executable, "-W", "error", "-c", READER, str(directory)]
    body = subprocess.run(reader, env=environment, capture_output=True, check=True, text=True).stdout
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_the_numbers_of_several_processes_become_one(tmp_path: Path):
    """Counters add up, states are the latest word, and what a dead worker had under way is forgotten."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    workers = []
    for number in (3, 5):
        worker = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WORKER, str(number)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        workers.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"

    both = exposed_together(tmp_path, environment)
    granted = frozenset({"id_system": "maebashi", "municipality": "102016", "outcome": "granted"}.items())
    saml = frozenset({"list": "region-saml"}.items())
    assert both["kakehashi_logins_total", granted] == 8
    assert both["kakehashi_call_own_duration_seconds_count", frozenset()] == 8
    assert both["kakehashi_call_own_duration_seconds_bucket", frozenset({"le": "+Inf"}.items())] == 8
    assert both["kakehashi_list_entities", saml] == 5
    assert (NOW + timedelta(days=5)).timestamp() == both["kakehashi_list_expiry_timestamp_seconds", saml]
    assert both["kakehashi_store_up", frozenset()] == 1
    assert both["kakehashi_build_info", frozenset({"version": "0.1.0"}.items())] == 1
    assert both["kakehashi_calls_under_way", frozenset()] == 2
    assert both["kakehashi_event_loop_delay_seconds", frozenset()] == 5

    workers[0].communicate("\n")
    worker_ended(workers[0].pid, tmp_path)
    one = exposed_together(tmp_path, environment)
    assert one["kakehashi_calls_under_way", frozenset()] == 1
    assert one["kakehashi_logins_total", granted] == 8
    workers[1].communicate("\n")


def test_what_alerts_watch_is_exposed_before_it_happens():
    """Prometheus sees no increase in a counter whose first value is one, so it must have seen the zero."""
    metrics = Metrics(Vocabulary(), version="0.1.0")
    assert value(metrics, "kakehashi_refusals_total", bridge="login", reason="internal-fault") == 0
    assert value(metrics, "kakehashi_refusals_total", bridge="call", reason="upstream-unreachable") == 0
    metrics.reload(VOCABULARY)
    labels = {"id_system": "omura", "municipality": "422053", "outcome": "refused"}
    assert value(metrics, "kakehashi_logins_total", **labels) == 0
    labels = {"service": "ledger", "route": "/api/ko/payments", "outcome": "failed", "status_class": "5xx"}
    assert value(metrics, "kakehashi_calls_total", **labels) == 0


def test_asking_for_a_list_is_counted_by_what_came_of_it():
    """Outcome and code are closed sets, as is the list's name."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    for name, code in (("region-saml", "dns"), ("region-saml", "slow"), ("elsewhere", "telepathy")):
        metrics.record(FetchEvent(name=name, outcome=FetchOutcome.FAILED, at=NOW, code=code))
    metrics.record(FetchEvent(name="region-saml", outcome=FetchOutcome.TAKEN, at=NOW))
    name = "kakehashi_list_fetches_total"
    assert value(metrics, name, list="region-saml", outcome="failed", code="dns") == 1
    assert value(metrics, name, list="other", outcome="failed", code="other") == 1
    assert value(metrics, name, list="region-saml", outcome="taken", code="none") == 1
