"""The two doors of a login, as Protocols: towards ID systems (`Connector`), towards relying services (`Frontend`).

A kind is a class with one of these shapes and a configuration that opens it; `gateway/kinds.py` lists them. Steps never
route to one another: each returns to the login flow (`federation/login.py`), which decides what comes next.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol, runtime_checkable

from federation.model import Departure, Identity, Keep, LoginRequest, Release, Service
from federation.refusal import Refusal
from federation.sessions import Client, Participant
from federation.web import Answer, Exchange, Json, WebRequest
from trust_lists.model import Role, TrustedEntity


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """Where the browser goes, and what the connector must remember until it comes back (kept sealed in the store).

    `keep` must be acknowledged by the store before the browser goes.
    """

    answer: Answer
    memory: Json
    keep: Keep = field(default_factory=Keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The answer for the relying service, and what must be kept before it leaves.

    `participant`, or `client`, is the service as a logout must know it, in its protocol.
    """

    answer: Answer
    keep: Keep = field(default_factory=Keep)
    participant: Participant | None = None
    client: Client | None = None


class TrustPort(Protocol):
    """Whom the lists in force vouch for."""

    def find(self, entity_id: str, role: Role, at: datetime) -> TrustedEntity:
        """The entity as a list in force at `at` states it. Raises `trust_lists.model.NotTrustedError`."""
        ...


class Connector(Protocol):
    """One ID system, spoken to in its own protocol.

    `brief`: each of its steps takes a millisecond or so, whatever comes (`gateway.outward.Outward`).
    """

    brief: ClassVar[bool]

    def depart(self, departure: Departure, now: datetime) -> Exchange[Departed]:
        """Begin a login.

        Raises `IdSystemNotTrusted`, `IdSystemUnreachable`, and `IdSystemAnswerRefused` for unusable metadata.
        """
        ...

    def arrive(self, request: WebRequest, memory: Json, now: datetime) -> Exchange[Identity]:
        """Verify the answer to the login that `memory` belongs to.

        Raises `IdSystemAnswerRefused`, `IdSystemDenied`, `IdSystemUnreachable`, `IdSystemNotTrusted`, and
        `AssuranceTooLow` where the ID system itself says that it cannot reach the level asked.
        """
        ...


class Frontend(Protocol):
    """One protocol towards relying services; serves every service of its kind. `brief`: as a connector's."""

    brief: ClassVar[bool]

    def accept(self, request: WebRequest, now: datetime) -> LoginRequest:
        """Check a relying service's request.

        Raises `BadRequest` or `UnknownService` where no answer may go back to the service (shown as a page), and
        `Denied` where the protocol wants the error at the service's own, verified address.
        """
        ...

    def grant(self, login: LoginRequest, release: Release, now: datetime) -> Granted:
        """Answer with what was released."""
        ...

    def deny(self, login: LoginRequest, refusal: Refusal, now: datetime) -> Answer:
        """Answer with a proper protocol denial (SAML Core §3.2.2.2, RFC 6749 §4.1.2.1)."""
        ...


@runtime_checkable
class UnsolicitedConnector(Protocol):
    """What a connector can do besides if its protocol lets an ID system send people unasked (SAML Profiles §4.1.5)."""

    def unsolicited(self, request: WebRequest, now: datetime) -> Exchange[Identity]:
        """Verify an answer to nothing. Raises as `Connector.arrive` does."""
        ...


@runtime_checkable
class UnsolicitedFrontend(Protocol):
    """What a frontend can do besides if its protocol has answers that a service did not ask for."""

    def unasked(self, service: Service, now: datetime) -> LoginRequest:
        """The login that such an answer begins at `service`. Raises `UnknownService`."""
        ...


class Denied(Exception):  # noqa: N818 - an answer, not a fault
    """The request is refused, and the refusal goes back to the service by its protocol: `answer` is ready."""

    def __init__(self, answer: Answer, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.answer = answer
        self.refusal = refusal
