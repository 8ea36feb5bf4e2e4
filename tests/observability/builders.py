"""Small builders of events, vocabularies and overviews for the tests of this room."""

from datetime import UTC, datetime, timedelta
from typing import Any

from observability.addresses import Address, AddressState
from observability.events import CallEvent, CallOutcome, LoginEvent, LoginOutcome
from observability.health import ConfigState, Facts, ListState, StoreState
from observability.overview import Overview, Window
from observability.series import minute_of
from observability.vocabulary import Vocabulary

NOW = datetime(2027, 11, 22, 17, 13, 20, tzinfo=UTC)

NAMES = {
    "012173": {"ja": "江別市", "en": "Ebetsu City"},
    "102016": {"ja": "前橋市", "en": "Maebashi City"},
    "422053": {"ja": "大村市", "en": "Omura City"},
}

VOCABULARY = Vocabulary(
    id_systems={"maebashi": "102016", "ebetsu": "012173", "omura": "422053"},
    services={"gunma-portal", "takasaki-library", "council-site"},
    routes={"/api/council/polls": "council-poll", "/api/ko/payments": "ledger"},
    lists={"region-saml", "region-openid"},
)


def login(**changes: Any) -> LoginEvent:
    """A granted login of somebody from Maebashi at Gunma's portal, with changes."""
    fields: dict[str, Any] = {
        "outcome": LoginOutcome.GRANTED,
        "seconds": 21.5,
        "request_id": "r-1",
        "at": NOW,
        "id_system": "maebashi",
        "municipality": "102016",
        "service": "gunma-portal",
        "upstream": "oidc",
        "downstream": "saml",
        "level": 3,
    }
    return LoginEvent(**{**fields, **changes})


def call(**changes: Any) -> CallEvent:
    """An answered call of somebody from Maebashi to the council's poll, with changes."""
    fields: dict[str, Any] = {
        "outcome": CallOutcome.OK,
        "status": 200,
        "own_seconds": 0.0004,
        "request_id": "r-2",
        "at": NOW,
        "upstream_seconds": 0.012,
        "route": "/api/council/polls",
        "service": "council-poll",
        "municipality": "102016",
    }
    return CallEvent(**{**fields, **changes})


def facts(**changes: Any) -> Facts:
    """Everything in order, with changes."""
    fields: dict[str, Any] = {
        "now": NOW,
        "store": StoreState(up=True, round_trip=0.0007),
        "configuration": ConfigState(loaded_at=NOW - timedelta(days=3)),
        "lists": (
            ListState(name="region-openid", valid_until=NOW + timedelta(days=21, hours=5), entities=5, read_at=NOW),
            ListState(name="region-saml", valid_until=NOW + timedelta(days=26, hours=2), entities=9, read_at=NOW),
        ),
        "addresses": (addresses(a=AddressState.IN_TURN, b=AddressState.IN_TURN),),
    }
    return Facts(**{**fields, **changes})


def addresses(service: str = "ledger", **states: AddressState) -> tuple[Address, ...]:
    """What a process tells of a service's addresses, each by its host."""
    return tuple(
        Address(service=service, url=f"http://{host}.example:8080/v1", state=state) for host, state in states.items()
    )


def traffic(window: Window = Window.HOUR) -> dict[int, dict[str, int]]:
    """Invented counters: a calm evening, a little of everything."""
    counts: dict[int, dict[str, int]] = {}
    for index, minute in enumerate(window.minutes(NOW)):
        names = {
            "login:102016:granted": (index * 7) % 5,
            "login:012173:granted": (index * 3) % 4 // 2,
            "login:422053:granted": int(index % 9 == 4),
            "login:102016:denied": int(index % 17 == 3),
            "login:none:refused": int(index % 29 == 11),
            "login:012173:refused": int(index % 13 == 6),
            "refusal:consent-denied": int(index % 17 == 3),
            "refusal:assurance-too-low": int(index % 13 == 6),
            "refusal:flow-unknown": int(index % 29 == 11),
            "call:102016:ok": (index * 11) % 23,
            "call:012173:ok": (index * 5) % 7,
            "call:422053:ok": (index * 2) % 3,
            "call:102016:refused": int(index % 19 == 7),
            "refusal:token-invalid": int(index % 19 == 7),
        }
        counts[minute] = {name: count for name, count in names.items() if count}
    return counts


def overview(*, window: Window = Window.HOUR, counts: Any = None, **changes: Any) -> Overview:
    """A calm overview, with changes to its facts."""
    return Overview.build(
        traffic(window) if counts is None else counts, facts(**changes), NAMES, window=window, version="0.1.0"
    )


def troubled() -> Overview:
    """Everything goes wrong at once."""
    last = minute_of(NOW)
    counts = traffic()
    for minute in range(last - 8, last + 1):
        counts[minute] = {
            "login:422053:refused": 2,
            "refusal:id-system-unreachable": 2,
            "login:102016:granted": 2,
            "call:102016:ok": 4,
            "call:102016:failed": 3,
            "refusal:upstream-unreachable": 3,
            "refusal:internal-fault": int(minute == last - 1),
        }
    return overview(
        counts=counts,
        store=StoreState(up=False, restarts=2, restarted_at=NOW - timedelta(minutes=12)),
        configuration=ConfigState(
            loaded_at=NOW - timedelta(days=3), refused_at=NOW - timedelta(minutes=50), mistakes=4
        ),
        lists=(
            ListState(name="region-openid", valid_until=NOW - timedelta(hours=5), entities=5, read_at=NOW),
            ListState(
                name="region-saml",
                valid_until=NOW + timedelta(days=4, hours=2),
                entities=9,
                faults=1,
                code="signature",
                read_at=NOW,
            ),
            ListState(name="prefecture", code="unreadable"),
        ),
        addresses=(
            (
                *addresses("council-poll", a=AddressState.OUT),
                *addresses("ledger", a=AddressState.OUT, b=AddressState.IN_TURN, c=AddressState.TRIAL),
            ),
            (
                *addresses("ledger", a=AddressState.IN_TURN, b=AddressState.IN_TURN, c=AddressState.IN_TURN),
                *addresses("mobility", a=AddressState.UNWELL, b=AddressState.IN_TURN),
            ),
        ),
    )
