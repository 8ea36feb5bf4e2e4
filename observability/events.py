"""What happened, as values: the only thing that metrics, logs and counters are ever told.

An event names configured things (an ID system, a service, a route's template, a reason code) and says how
long it took. It never holds an attribute's value, an address of a person or a token, and names a person for the
evidence alone (`CallEvent.caller`, `person`, `consent`), so whatever is built on events has nothing else to leak.
Times are aware, UTC; durations are in seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from federation.callers import Caller
from federation.consent import ConsentRecord
from federation.council.answers import Outcome as CouncilOutcome
from federation.council.answers import Signed
from federation.identifiers import PersonRef
from federation.refusal import ConsentDenied, IdSystemDenied, InteractionNeeded, Refusal

SERVER_ERROR = 500
"""The first status code by which a server says that the fault is its own (RFC 9110 §15.6)."""


class LoginOutcome(StrEnum):
    """How a login ended. DENIED: the person or the ID system said no, or a service asked in vain without a page.

    That is nobody's fault.
    """

    GRANTED = "granted"
    REFUSED = "refused"
    DENIED = "denied"


class CallOutcome(StrEnum):
    """How a call ended.

    OK: the service answered. REFUSED: the gateway said no. FAILED: a server error, whoever's. ABANDONED: the
    caller went away before the end.
    """

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    ABANDONED = "abandoned"


class LogoutOutcome(StrEnum):
    """How a single logout ended.

    COMPLETE: everybody confirmed it. PARTIAL: somebody could not be told or did not confirm. REFUSED: the request was
    not followed, so nothing ended.
    """

    COMPLETE = "complete"
    PARTIAL = "partial"
    REFUSED = "refused"


class EndReason(StrEnum):
    """Why sessions ended.

    LOGOUT: somebody signed out. UNTRUSTED: the ID system's word no longer counts there. CERTIFICATE_REVOKED: so was the
    person's certificate. CONSENT_WITHDRAWN: the person took their consent for that service back.
    """

    LOGOUT = "logout"
    UNTRUSTED = "untrusted"
    CERTIFICATE_REVOKED = "certificate-revoked"
    CONSENT_WITHDRAWN = "consent-withdrawn"


class ListOutcome(StrEnum):
    """Whether a trust list was loaded."""

    LOADED = "loaded"
    REFUSED = "refused"


class FetchOutcome(StrEnum):
    """What came of asking for a list.

    TAKEN: a newer version is in force. UNCHANGED: the one that is in force, or waits already. STAGED: a newer one waits
    for approval. REFUSED: one came that is not believed. FAILED: none came.
    """

    TAKEN = "taken"
    UNCHANGED = "unchanged"
    STAGED = "staged"
    REFUSED = "refused"
    FAILED = "failed"


class StoreChange(StrEnum):
    """What became of the store. RESTART: the gateway started its embedded server again."""

    UP = "up"
    DOWN = "down"
    RESTART = "restart"


class ConfigOutcome(StrEnum):
    """Whether a configuration came into force; a refused one leaves the previous in force."""

    LOADED = "loaded"
    REFUSED = "refused"


class OverdueStage(StrEnum):
    """Where a step of protocol work was when its time was over. RUNNING: stuck. WAITING: no thread was free."""

    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginEvent:
    """One end of a login.

    `reason` is the code of the refusal, if there was one. `municipality` is the ID system's. `upstream` and
    `downstream` are the kinds spoken towards the ID system and the service (`saml`, `oidc`). `level` is the
    identity level reached, `why` everything that it rests on (`federation.model.Reason`). `seconds` run from the
    service's request to its answer, so most of them are the person's. What was not known yet when the login ended is
    None. `person` and `consent` (its record's id) are for the evidence alone.
    """

    outcome: LoginOutcome
    seconds: float
    request_id: str
    at: datetime
    reason: str | None = None
    id_system: str | None = None
    municipality: str | None = None
    service: str | None = None
    upstream: str | None = None
    downstream: str | None = None
    level: int | None = None
    why: tuple[str, ...] = ()
    person: PersonRef | None = field(default=None, repr=False)
    consent: str | None = field(default=None, repr=False)


class ConsentChange(StrEnum):
    """What became of a consent."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """Somebody agreed to what a service asks for, or took that back: which names and scopes, never a value.

    `purpose` is the SHA-256 of the purpose that they read. `person` and `consent` are for the evidence alone.
    """

    change: ConsentChange
    at: datetime
    request_id: str
    service: str
    purpose: str
    attributes: tuple[str, ...]
    scopes: tuple[str, ...]
    person: PersonRef = field(repr=False)
    consent: str = field(repr=False)

    @classmethod
    def of(cls, record: ConsentRecord, change: ConsentChange, *, at: datetime, request_id: str) -> "ConsentEvent":
        """What became of this consent."""
        return cls(
            change=change,
            at=at,
            request_id=request_id,
            service=record.service,
            purpose=record.purpose_digest,
            attributes=tuple(sorted(record.attributes)),
            scopes=tuple(sorted(record.scopes)),
            person=record.person,
            consent=record.id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutEvent:
    """One end of a single logout.

    `service` or `id_system` asked for it. `told` counts who confirmed, `untold` who did not or could not be told.
    `reason` is the code of the refusal, if there was one.
    """

    outcome: LogoutOutcome
    seconds: float
    request_id: str
    at: datetime
    reason: str | None = None
    service: str | None = None
    id_system: str | None = None
    told: int = 0
    untold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingEvent:
    """Sessions of one service were `ended`, or it became clear what the service heard of it without a browser.

    `told` counts the sessions whose end it confirmed, `untold` those of which it could not be told, or did not confirm
    the end in several tries.
    """

    reason: EndReason
    at: datetime
    service: str
    ended: int = 0
    told: int = 0
    untold: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilEvent:
    """What became of one target of a council request: `outcome` and `reason` as `federation/council/answers.py` says.

    `municipality` is the asker's, `target` the code of the member that was asked, None for a service of the region.
    `council_request` is the request's id, `signature` what is known of the answer's.
    """

    outcome: CouncilOutcome
    at: datetime
    council_request: str
    municipality: str
    target: str | None
    reason: str | None = None
    signature: Signed | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """One end of a proxied call.

    `route` is the route's path template, `service` the API service behind it, `municipality` the caller's.
    `status` is what the caller was answered. `upstream_seconds` is how long the service took (None: it was
    not asked), `own_seconds` what the gateway added. `caller` is for the evidence alone, which writes a keyed digest of
    the person (`observability/evidence.py`); `signature` and `answer_signature` are SHA-256 digests (RFC
    9421): the header `Signature` of the gateway's own request, and the signature base of the service's answer.
    """

    outcome: CallOutcome
    status: int
    own_seconds: float
    request_id: str
    at: datetime
    upstream_seconds: float | None = None
    reason: str | None = None
    route: str | None = None
    service: str | None = None
    municipality: str | None = None
    method: str | None = None
    caller: Caller | None = field(default=None, repr=False)
    signature: str | None = None
    answer_signature: str | None = None

    @property
    def status_class(self) -> str:
        """`2xx` for 200 to 299, and so on (RFC 9110 §15); `other` for what is no status code."""
        return f"{self.status // 100}xx" if 100 <= self.status < 600 else "other"  # noqa: PLR2004 - the RFC's bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardEvent:
    """The guard found what must never pass, or could not look (`kind` is `uninspected`); never what it was.

    `outcome` is `refuse` or `report`, `rule` the code of the guard's rule. `direction` is `in` (from an ID system or a
    caller) or `out` (to a service, or from one to a caller), `where` is `login` or `call`. `name` is the attribute's,
    if the configuration knows it; `id_system`, `service` and `route` are those concerned.
    """

    kind: str
    outcome: str
    rule: str
    direction: str
    where: str
    request_id: str
    at: datetime
    name: str | None = None
    id_system: str | None = None
    service: str | None = None
    route: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEvent:
    """A trust list was read: loaded, or refused with `code`.

    `issued_at`, `valid_until` and `entities` say what is in force afterwards, which after a refusal is the list before
    it; None and 0 if there was none, and `entities` None for a table of assurance, which names nobody. `faults` counts
    the entries that were dropped alone. `successor`: the one in force was signed by a successor, so that the pin before
    it can go.
    """

    name: str
    outcome: ListOutcome
    at: datetime
    code: str | None = None
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    entities: int | None = 0
    faults: int = 0
    successor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchEvent:
    """A list was asked for where it is published, or taken up from an operator's file for approval.

    `code` says why nothing usable came. `waiting`: a version waits for approval now.
    """

    name: str
    outcome: FetchOutcome
    at: datetime
    code: str | None = None
    waiting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PointersEvent:
    """Of the pointers of a list whose pointers are followed, and of those below it, so many cannot be: `left`."""

    name: str
    left: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvent:
    """The store came up, went down, or was started again."""

    change: StoreChange
    at: datetime


class UpstreamChange(StrEnum):
    """What happened on the way to a service.

    Of one of its addresses: OUT, it failed so often that it gets no calls for a while; BACK, it gets them again; UNWELL
    and WELL, what its health checks say. Of a call: RETRIED, it was sent once more; OVER_BUDGET, it was not, since too
    many were; CIRCUIT_OPEN, every address was out.
    """

    OUT = "out"
    BACK = "back"
    UNWELL = "unwell"
    WELL = "well"
    RETRIED = "retried"
    OVER_BUDGET = "over-budget"
    CIRCUIT_OPEN = "circuit-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamEvent:
    """Something happened on the way to a service; `address` is the origin of the address that it is about."""

    change: UpstreamChange
    service: str
    at: datetime
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEvent:
    """A configuration was read; `mistakes` counts what was wrong with a refused one."""

    outcome: ConfigOutcome
    at: datetime
    mistakes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueEvent:
    """A step of protocol work was refused because its time was over; `abandoned` threads are stuck by now."""

    stage: OverdueStage
    abandoned: int
    at: datetime


Event = (
    OverdueEvent
    | LoginEvent
    | ConsentEvent
    | LogoutEvent
    | EndingEvent
    | CallEvent
    | CouncilEvent
    | GuardEvent
    | ListEvent
    | FetchEvent
    | PointersEvent
    | StoreEvent
    | UpstreamEvent
    | ConfigEvent
)


class Recorder(Protocol):
    """Whoever is told of events. It must not block and not raise for any event."""

    def record(self, event: Event) -> None:
        """Take note of the event."""
        ...


class Observer:
    """Tells several recorders of each event.

    A recorder whose output is broken (a full disk, a closed pipe) costs neither the login nor the other
    recorders: the loss is counted in `lost`.
    """

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._of_all: Sequence[Callable[[Any], None]] = tuple(each.record for each in recorders)
        self._of_calls = tuple(getattr(each, "record_call", each.record) for each in recorders)
        self.lost = 0

    def record(self, event: Event) -> None:
        """Tell every recorder, in the order given; of a call, of which there are many, by its `record_call` if any."""
        for record in self._of_calls if type(event) is CallEvent else self._of_all:
            try:
                record(event)
            except OSError:
                self.lost += 1


def login_outcome(refusal: Refusal | None) -> LoginOutcome:
    """How a login ended that ended with this refusal, or with none."""
    if refusal is None:
        return LoginOutcome.GRANTED
    if isinstance(refusal, ConsentDenied | IdSystemDenied | InteractionNeeded):
        return LoginOutcome.DENIED
    return LoginOutcome.REFUSED


def call_outcome(status: int, refusal: Refusal | None) -> CallOutcome:
    """How a call ended that was answered with `status`, by the service or with a refusal of the gateway."""
    if status >= SERVER_ERROR:
        return CallOutcome.FAILED
    return CallOutcome.OK if refusal is None else CallOutcome.REFUSED
