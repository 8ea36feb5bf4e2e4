"""The decisions of one login, in the order in which they are taken.

    choosing ──choose──▶ away ──arrive──▶ (consent known) ─────────────▶ released
                                   └────▶ (consent missing) consenting ──▶ released | denied

This file owns what a login is between two requests (`Flow`) and every rule that decides what comes next. It keeps
nothing and sends nothing: `gateway/login.py` takes a flow from the store, asks here, and does what is answered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from federation import assurance, attributes, consent
from federation.identifiers import Identifiers, PersonRef
from federation.model import (
    Assurance,
    Departure,
    Identity,
    IdSystem,
    Level,
    LoginRequest,
    Release,
    Service,
)
from federation.refusal import AssuranceTooLow, IdSystemNotAllowed
from federation.web import Json

ACCESS_TOKEN = "access-token"  # noqa: S105 - the audience of a sealed person reference, not a secret
"""Sealed person references in access tokens open only for this audience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One login between two requests; kept sealed, since a consenting one holds attributes.

    `browser` is the digest of the browser's cookie: only that browser goes on with it. `choice` is the handle of the
    flow's first step, which whoever answers the service takes away, so that a request is answered once. `system` and
    `memory` are set while the person is away at the ID system, `conclusion` while consent is asked, `refused` (a
    refusal's code) once the person reads why it ended. Times are aware, UTC.
    """

    browser: str
    begun_at: datetime
    request: LoginRequest
    choice: str
    system: str | None = None
    memory: Json | None = field(default=None, repr=False)
    conclusion: "Conclusion | None" = None
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `flow_from_json` makes an equal flow."""
        return {
            "browser": self.browser,
            "begun_at": self.begun_at.timestamp(),
            "request": asdict(self.request),
            "choice": self.choice,
            "system": self.system,
            "memory": None if self.memory is None else dict(self.memory),
            "conclusion": None if self.conclusion is None else self.conclusion.to_json(),
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a verified login came to, before the person agreed to any of it leaving.

    `attributes` are under the service's names: exactly what would be released.
    """

    person: PersonRef = field(repr=False)
    municipality: str
    assurance: Assurance
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    authenticated_at: datetime

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `conclusion_from_json` makes an equal conclusion."""
        return {
            "person": self.person,
            "municipality": self.municipality,
            "identity": int(self.assurance.identity),
            "authentication": int(self.assurance.authentication),
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "authenticated_at": self.authenticated_at.timestamp(),
        }


def flow_from_json(data: Json) -> Flow:
    """The flow that `Flow.to_json` wrote."""
    request = dict(data["request"])
    request["minimum"] = Level(request["minimum"])
    request["scopes"] = tuple(request["scopes"])
    request["languages"] = tuple(request["languages"])
    request["claims"] = None if request["claims"] is None else tuple(request["claims"])
    return Flow(
        browser=data["browser"],
        begun_at=datetime.fromtimestamp(data["begun_at"], UTC),
        request=LoginRequest(**request),
        choice=data["choice"],
        system=data["system"],
        memory=data["memory"],
        conclusion=None if data["conclusion"] is None else conclusion_from_json(data["conclusion"]),
        refused=data["refused"],
    )


def conclusion_from_json(data: Json) -> Conclusion:
    """The conclusion that `Conclusion.to_json` wrote."""
    return Conclusion(
        person=PersonRef(data["person"]),
        municipality=data["municipality"],
        assurance=Assurance(identity=Level(data["identity"]), authentication=Level(data["authentication"])),
        attributes={name: tuple(values) for name, values in data["attributes"].items()},
        authenticated_at=datetime.fromtimestamp(data["authenticated_at"], UTC),
    )


# --- the person behind an access token


def seal_caller(person: PersonRef, municipality: str, identifiers: Identifiers) -> str:
    """Who calls with an access token: unreadable to the service that holds it, which may not know the municipality."""
    return identifiers.seal(f"{municipality} {person}", audience=ACCESS_TOKEN)


def open_caller(sealed: str, identifiers: Identifiers) -> tuple[PersonRef, str]:
    """The person and the municipality that `seal_caller` sealed. Raises `SealRefusedError`."""
    municipality, _, person = identifiers.open(sealed, audience=ACCESS_TOKEN).partition(" ")
    return PersonRef(person), municipality


# --- choosing


def offered(service: Service, systems: Iterable[IdSystem]) -> tuple[IdSystem, ...]:
    """The ID systems that the service accepts, in the order given."""
    return tuple(s for s in systems if service.id_systems is None or s.id in service.id_systems)


def hinted(request: LoginRequest, systems: Iterable[IdSystem]) -> IdSystem | None:
    """The ID system that the service's hint names (by id, entity ID or its municipality's code), if exactly one."""
    if request.hint is None:
        return None
    found = [s for s in systems if request.hint in (s.id, s.entity_id, s.municipality)]
    return found[0] if len(found) == 1 else None


def required(service: Service, request: LoginRequest) -> Level:
    """The identity level that this login must reach: what the service always requires, or what it asked this time."""
    return max(service.minimum, request.minimum)


def depart(flow: Flow, service: Service, system: IdSystem, handle: str) -> Departure:
    """May this service ask this ID system? Then what to ask of it. Raises `IdSystemNotAllowed`."""
    if not offered(service, (system,)):
        raise IdSystemNotAllowed(f"service {service.id} does not accept {system.id}")
    return Departure(
        handle=handle,
        minimum=required(service, flow.request),
        force_authentication=flow.request.force_authentication,
        languages=flow.request.languages,
    )


def away(flow: Flow, system: IdSystem, memory: Json) -> Flow:
    """The flow while the person is at the ID system."""
    return replace(flow, system=system.id, memory=memory)


# --- arrived


def conclude(
    flow: Flow,
    service: Service,
    system: IdSystem,
    identity: Identity,
    *,
    identifiers: Identifiers,
    now: datetime,
) -> Conclusion:
    """What the verified identity is worth to this service.

    The level is decided before any attribute is looked at. Raises `AssuranceTooLow`, `AttributeMissing`.
    """
    level = assurance.assess(system, identity)
    needed = required(service, flow.request)
    if level.identity < needed:
        raise AssuranceTooLow(f"needed identity {int(needed)}, came {int(level.identity)}")
    inward = attributes.inward(system.inward, identity.attributes, source=system.id)
    outward = attributes.outward(service.outward, inward.attributes, wanted=flow.request.claims, absent=inward.absent)
    return Conclusion(
        person=identifiers.person(system.entity_id, identity.subject),
        municipality=system.municipality,
        assurance=level,
        attributes=outward.attributes,
        authenticated_at=identity.authenticated_at or now,
    )


def consent_needed(
    flow: Flow,
    service: Service,
    conclusion: Conclusion,
    record: consent.ConsentRecord | None,
    now: datetime,
) -> consent.ConsentNeed | None:
    """What the person must still agree to, or None if an earlier consent covers all of it."""
    return consent.needed(record, service, set(conclusion.attributes), set(flow.request.scopes), now)


def consenting(flow: Flow, conclusion: Conclusion) -> Flow:
    """The flow while the person is asked; it forgets what only the ID system's answer needed."""
    return replace(flow, memory=None, conclusion=conclusion)


def refused(flow: Flow, code: str) -> Flow:
    """The flow after a refusal: it can only be carried back to the service, as a denial."""
    return replace(flow, memory=None, conclusion=None, refused=code)


# --- agreed


def release(
    flow: Flow,
    service: Service,
    conclusion: Conclusion,
    record: consent.ConsentRecord,
    identifiers: Identifiers,
) -> Release:
    """Exactly what leaves: a subject that only this service knows, and the attributes agreed to."""
    return Release(
        service=service.id,
        subject=identifiers.pairwise(conclusion.person, service.entity_id),
        person=seal_caller(conclusion.person, conclusion.municipality, identifiers),
        attributes=conclusion.attributes,
        assurance=conclusion.assurance,
        scopes=flow.request.scopes,
        consent=record.id,
        authenticated_at=conclusion.authenticated_at,
    )
