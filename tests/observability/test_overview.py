import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.charts import HEIGHT, outline, round_top, stacked
from observability.events import FetchOutcome
from observability.health import ConfigState, ListState, StoreState
from observability.overview import Finding, ListRow, Overview, Severity, Window
from observability.series import minute_of
from tests.observability.builders import NAMES, NOW, facts, overview, traffic, troubled

LAST = minute_of(NOW)


@pytest.mark.parametrize("window", Window)
@given(moment=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_window_ends_now_and_fills_its_bars(window: Window, moment: datetime):
    """The last minute is the one under way, the first begins a bar, and each belongs to one of the bars."""
    now = moment.replace(tzinfo=UTC)
    minutes = window.minutes(now)
    assert minute_of(now) == minutes[-1]
    assert minutes[0] % window.step == 0
    assert window.bars == (minutes[-1] - minutes[0]) // window.step + 1


@pytest.mark.parametrize("window", Window)
def test_every_count_of_the_window_is_on_the_page(window: Window):
    """The sum over bars, over municipalities and over counters is the same."""
    counts = traffic(window)
    built = overview(window=window, counts=counts)
    for kind, by_outcome in (("login", built.logins), ("call", built.calls)):
        counted = sum(n for names in counts.values() for name, n in names.items() if name.startswith(f"{kind}:"))
        assert counted == sum(sum(bars) for bars in by_outcome.values())
        rows = [getattr(row, f"{kind}s") for row in built.municipalities]
        assert counted == sum(sum(row.values()) for row in rows)
        by_bar = [getattr(row, f"{kind}s_by_bar") for row in built.municipalities]
        assert counted == sum(sum(row) for row in by_bar)
    refused = sum(n for names in counts.values() for name, n in names.items() if name.startswith("refusal:"))
    assert refused == sum(count for _, count in built.refusals)


def test_counts_outside_the_window_are_left_out():
    """What happened before the window, or is dated after now, is not shown."""
    built = overview(counts={LAST - 60: {"login:102016:granted": 5}, LAST + 1: {"login:102016:granted": 7}})
    assert sum(built.logins["granted"]) == 0


def test_every_municipality_has_a_row_and_strangers_come_last():
    """Configured ones stand in the order of their codes, also without a login."""
    counts = {LAST: {"login:none:refused": 1, "call:other:ok": 2, "login:422053:granted": 3}}
    rows = overview(counts=counts).municipalities
    assert [row.code for row in rows] == ["012173", "102016", "422053", "other", "none"]
    assert rows[2].logins == {"granted": 3, "refused": 0, "denied": 0}
    assert rows[2].logins_by_bar == (0,) * 59 + (3,)
    assert rows[3].calls["ok"] == 2


def test_refusals_are_sorted_by_how_many():
    """The most frequent reason stands first."""
    counts = {LAST: {"refusal:flow-unknown": 2}, LAST - 1: {"refusal:no-route": 5, "refusal:flow-unknown": 1}}
    assert overview(counts=counts).refusals == (("no-route", 5), ("flow-unknown", 3))


def test_calm_is_calm():
    """With everything in order nothing is found."""
    built = overview()
    assert Severity.GOOD is built.severity
    assert built.findings == ()
    assert built.ready


def fetched(*, left: timedelta, life: timedelta) -> ListState:
    """A list that is fetched, when so much of what was left at its last reading is still left."""
    end = NOW + left
    return ListState(name="a", valid_until=end, issued_at=end - life, fetch=FetchOutcome.TAKEN)


FINDINGS = [
    ({"store": StoreState(up=False)}, {}, (Severity.TROUBLE, "store-down")),
    (
        {"store": StoreState(up=True, restarts=1, restarted_at=NOW - timedelta(minutes=59))},
        {},
        (Severity.ATTENTION, "store-restarted"),
    ),
    ({"store": StoreState(up=True, restarts=1, restarted_at=NOW - timedelta(minutes=61))}, {}, None),
    ({"configuration": ConfigState()}, {}, (Severity.TROUBLE, "configuration-missing")),
    (
        {"configuration": ConfigState(loaded_at=NOW, refused_at=NOW, mistakes=2)},
        {},
        (Severity.ATTENTION, "configuration-refused"),
    ),
    ({"lists": (ListState(name="a", valid_until=NOW),)}, {}, (Severity.TROUBLE, "list-expired")),
    ({"lists": (ListState(name="a", code="unsigned"),)}, {}, (Severity.TROUBLE, "list-missing")),
    (
        {"lists": (ListState(name="a", valid_until=NOW + timedelta(days=7) - timedelta(seconds=1)),)},
        {},
        (Severity.ATTENTION, "list-expires"),
    ),
    ({"lists": (ListState(name="a", valid_until=NOW + timedelta(days=7)),)}, {}, None),
    ({"lists": (fetched(left=timedelta(hours=6), life=timedelta(days=1)),)}, {}, None),
    (
        {"lists": (fetched(left=timedelta(hours=5), life=timedelta(days=1)),)},
        {},
        (Severity.ATTENTION, "list-expires"),
    ),
    (
        {"lists": (fetched(left=timedelta(days=6), life=timedelta(days=90)),)},
        {},
        (Severity.ATTENTION, "list-expires"),
    ),
    (
        {"lists": (ListState(name="a", valid_until=NOW + timedelta(days=9), code="rollback"),)},
        {},
        (Severity.ATTENTION, "list-refused"),
    ),
    (
        {"lists": (ListState(name="a", valid_until=NOW + timedelta(days=9), left=1),)},
        {},
        (Severity.ATTENTION, "list-pointers-left"),
    ),
    ({}, {LAST: {"sessions-ended": 3, "sessions-untold": 1}}, (Severity.ATTENTION, "sessions-ended")),
    ({}, {LAST - 10: {"sessions-ended": 3}}, None),
    ({}, {LAST: {"sessions-ended": 0, "sessions-untold": 1}}, None),
    ({}, {LAST: {"refusal:internal-fault": 1}}, (Severity.ATTENTION, "internal-faults")),
    ({}, {LAST - 9: {"login:422053:refused": 3}}, (Severity.ATTENTION, "logins-failing")),
    ({}, {LAST - 10: {"login:422053:refused": 3}}, None),
    ({}, {LAST: {"login:422053:refused": 3, "login:422053:granted": 1}}, None),
    ({}, {LAST: {"login:422053:denied": 9}}, None),
    ({}, {LAST: {"login:none:refused": 9}}, None),
    ({}, {LAST: {"call:102016:ok": 9, "call:102016:failed": 1}}, (Severity.ATTENTION, "calls-failing")),
    ({}, {LAST: {"call:102016:ok": 8, "call:102016:failed": 1}}, None),
]


@pytest.mark.parametrize(("changes", "counts", "expected"), FINDINGS)
def test_findings(changes: dict[str, Any], counts: Any, expected: tuple[Severity, str] | None):
    """Each thing that is not as it should be is found, from its limit on."""
    built = overview(counts=counts, **changes)
    assert ([] if expected is None else [expected]) == [(f.severity, f.code) for f in built.findings]
    assert (Severity.GOOD if expected is None else expected[0]) is built.severity


def test_the_gravest_finding_stands_first():
    """Trouble before attention."""
    built = troubled()
    assert Severity.TROUBLE is built.severity
    severities = [finding.severity for finding in built.findings]
    assert sorted(severities, key=[Severity.TROUBLE, Severity.ATTENTION].index) == severities
    assert built.findings[0].code == "store-down"


def test_a_finding_names_its_municipality():
    """Whoever cannot sign in is named in every language."""
    built = overview(counts={LAST: {"login:422053:refused": 4}})
    assert (
        Finding(
            severity=Severity.ATTENTION,
            code="logins-failing",
            parameters={"count": 4, "name": "422053"},
            names=NAMES["422053"],
        ),
    ) == built.findings


def test_lists_tell_their_days():
    """Whole days are counted; an expired list has none left."""
    lists = (
        ListState(name="a", valid_until=NOW + timedelta(days=6, hours=23), entities=3),
        ListState(name="b", valid_until=NOW - timedelta(hours=1)),
        ListState(name="c"),
    )
    until = NOW + timedelta(days=6, hours=23)
    assert (
        ListRow(
            name="a",
            severity=Severity.ATTENTION,
            valid_until=until,
            days_left=6,
            entities=3,
            faults=0,
            code=None,
        ),
        ListRow(
            name="b",
            severity=Severity.TROUBLE,
            valid_until=NOW - timedelta(hours=1),
            days_left=-1,
            entities=0,
            faults=0,
            code=None,
        ),
        ListRow(
            name="c",
            severity=Severity.TROUBLE,
            valid_until=None,
            days_left=None,
            entities=0,
            faults=0,
            code=None,
        ),
    ) == overview(lists=lists).lists


def test_an_overview_survives_json():
    """What `/operations.json` carries is plain JSON."""
    told = troubled().to_json()
    assert told == json.loads(json.dumps(told))
    assert told["now"] == "2027-11-22T17:13:20.000Z"
    assert told["severity"] == "trouble"


def test_building_for_every_municipality_of_japan_is_quick_enough():
    """A day of 1,788 municipalities is summed up without trouble."""
    names = {f"{number:06}": {"ja": f"市{number}"} for number in range(1788)}
    window = Window.DAY
    counts = {
        minute: {f"login:{number:06}:granted": 1 for number in range(0, 1788, 40)} for minute in window.minutes(NOW)
    }
    built = Overview.build(counts, facts(), names, window=window)
    assert 45 * len(counts) == sum(built.logins["granted"])
    assert len(built.municipalities) == 1788


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=96))
def test_bars_stay_in_their_box_and_stand_on_one_another(figures: list[tuple[int, int]]):
    """Each part of a bar begins where the one below it ends, and nothing leaves the chart."""
    times = [NOW + timedelta(minutes=index) for index in range(len(figures))]
    chart = stacked(times, {"a": [a for a, _ in figures], "b": [b for _, b in figures]})
    assert chart.total == sum(a + b for a, b in figures)
    for bar in chart.bars:
        floor = float(HEIGHT)
        for segment in bar.segments:
            assert segment.y + segment.height == pytest.approx(floor, abs=0.02)
            floor = segment.y
        assert floor >= -0.01
        assert bar.x + chart.bar_width <= 960.1


@given(st.integers(0, 10**7))
def test_an_axis_ends_at_a_round_even_number(highest: int):
    """The axis holds the highest bar, wastes at most half of its height, and can be halved."""
    top = round_top(highest)
    assert top >= highest
    assert top % 2 == 0
    assert top == 4 or top <= 2 * highest


def test_an_outline_draws_only_what_there_is():
    """Small charts are one path; nothing happened, nothing drawn."""
    assert outline([0, 0], 0) == ""
    assert outline([0, 3], 3) == "M120.0,24v-24.0h96.0v24.0z"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"waiting": True}, "list-waiting"),
        ({"successor": True}, "list-successor"),
        ({"fetch": FetchOutcome.FAILED, "fetch_code": "dns"}, "list-unfetched"),
        ({"fetch": FetchOutcome.REFUSED, "fetch_code": "rejected"}, "list-refused"),
        ({"fetch": FetchOutcome.UNCHANGED}, None),
    ],
)
def test_what_somebody_should_do_about_a_list(changes: dict[str, Any], code: str | None):
    """It asks for attention, while the list in force works."""
    state = ListState(name="region", valid_until=NOW + timedelta(days=20), entities=1, read_at=NOW, **changes)
    built = overview(lists=(state,), counts={})
    assert [finding.code for finding in built.findings] == ([] if code is None else [code])
    assert built.severity is (Severity.GOOD if code is None else Severity.ATTENTION)
    assert built.lists[0].severity is built.severity
    assert built.ready
