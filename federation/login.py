"""The decisions of one login, in the order in which they are taken.

    choosing ──choose──▶ away ──arrive──▶ (consent known) ─────────────▶ released
                                   └────▶ (consent missing) consenting ──▶ released | denied

This file owns what a login is between two requests (`Flow`) and every rule that decides what comes next. It keeps
nothing and sends nothing: `gateway/login.py` takes a flow from the store, asks here, and does what is answered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from federation import assurance, attributes, consent
from federation.identifiers import Identifiers, PersonRef, SealRefusedError
from federation.model import (
    Assurance,
    Departure,
    Identity,
    IdSystem,
    Level,
    LoginRequest,
    Release,
    Service,
    Texts,
)
from federation.refusal import AssuranceTooLow, IdSystemNotAllowed, InteractionNeeded, UnsolicitedNowhere
from federation.saml.scopes import within
from federation.sessions import UpstreamSession, upstream_from_json
from federation.standing import Standings
from federation.web import Json
from trust_lists.recognition import Worth

ACCESS_TOKEN = "access-token"  # noqa: S105 - the audience of a sealed person reference, not a secret
"""Sealed person references in access tokens open only for this audience."""

SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"
"""SAML Subject Identifier Attributes §3.3: one identifier of a person for several services, which can then compare."""

OWN_LABELS: Mapping[str, Texts] = {
    SUBJECT_ID: {"ja": "ほかのサービスにも渡る番号", "en": "A number that other services also receive"},
}
"""What the consent page calls the attributes that are the gateway's own word."""


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
            "request": {each.name: getattr(self.request, each.name) for each in fields(LoginRequest)},
            "choice": self.choice,
            "system": self.system,
            "memory": None if self.memory is None else dict(self.memory),
            "conclusion": None if self.conclusion is None else self.conclusion.to_json(),
            "refused": self.refused,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a verified login came to, before the person agreed to any of it leaving.

    `attributes` are under the service's names: exactly what would be released. `upstream` is what a logout needs.
    """

    person: PersonRef = field(repr=False)
    municipality: str
    system: str
    assurance: Assurance
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    authenticated_at: datetime
    upstream: UpstreamSession | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `conclusion_from_json` makes an equal conclusion."""
        return {
            "person": self.person,
            "municipality": self.municipality,
            "system": self.system,
            "identity": int(self.assurance.identity),
            "authentication": int(self.assurance.authentication),
            "attributes": {name: list(values) for name, values in self.attributes.items()},
            "authenticated_at": self.authenticated_at.timestamp(),
            "upstream": None if self.upstream is None else self.upstream.to_json(),
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
        system=data["system"],
        assurance=Assurance(identity=Level(data["identity"]), authentication=Level(data["authentication"])),
        attributes={name: tuple(values) for name, values in data["attributes"].items()},
        authenticated_at=datetime.fromtimestamp(data["authenticated_at"], UTC),
        upstream=None if data.get("upstream") is None else upstream_from_json(data["upstream"]),
    )


# --- the person behind an access token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Whom an access token stands for: the person, their municipality, and the ID system (its id) that vouched."""

    person: PersonRef = field(repr=False)
    municipality: str
    system: str


def seal_caller(holder: TokenHolder, identifiers: Identifiers) -> str:
    """Who calls with an access token: unreadable to the service that holds it, which may not know the municipality."""
    return identifiers.seal(f"{holder.municipality} {holder.system} {holder.person}", audience=ACCESS_TOKEN)


def open_caller(sealed: str, identifiers: Identifiers) -> TokenHolder:
    """Whom `seal_caller` sealed. Raises `SealRefusedError`."""
    parts = identifiers.open(sealed, audience=ACCESS_TOKEN).split(" ", 2)
    if len(parts) != len(fields(TokenHolder)):
        raise SealRefusedError
    municipality, system, person = parts
    return TokenHolder(person=PersonRef(person), municipality=municipality, system=system)


# --- choosing


def offered(service: Service, systems: Iterable[IdSystem], *, municipality: str | None = None) -> tuple[IdSystem, ...]:
    """The ID systems that the service accepts, in the order given; with `municipality` only those of that one."""
    return tuple(
        system
        for system in systems
        if (service.id_systems is None or system.id in service.id_systems)
        and municipality in (None, system.municipality)
    )


def hinted(request: LoginRequest, systems: Iterable[IdSystem]) -> IdSystem | None:
    """The ID system that the service's hint names (by id, entity ID or its municipality's code), if exactly one."""
    if request.hint is None:
        return None
    found = [s for s in systems if request.hint in (s.id, s.entity_id, s.municipality)]
    return found[0] if len(found) == 1 else None


def unattended(request: LoginRequest, systems: Iterable[IdSystem], last: str | None) -> IdSystem | None:
    """The ID system of a sign-in that may show no page: the only one, the one hinted, else the one chosen `last`."""
    systems = tuple(systems)
    if len(systems) == 1:
        return systems[0]
    return hinted(request, systems) or next((system for system in systems if system.id == last), None)


def at_once(request: LoginRequest, systems: Iterable[IdSystem], last: str | None) -> IdSystem | None:
    """The ID system to go on to without a page, or None if the person is to choose.

    `systems` are those offered, `last` the one chosen last in this browser. Raises `IdSystemNotAllowed` if none is
    offered, and `InteractionNeeded` if a page would be needed where none may be shown.
    """
    systems = tuple(systems)
    if not systems:
        raise IdSystemNotAllowed("the service accepts no ID system of the municipality asked")
    if not request.passive:
        return hinted(request, systems) or (systems[0] if len(systems) == 1 else None)
    known = unattended(request, systems, last)
    if known is None:
        raise InteractionNeeded("no-id-system-known")
    return known


def destined(relay_state: str | None, services: Iterable[Service]) -> Service:
    """The SAML service that an unsolicited answer goes on to: the one it names by id or entity ID, or the only one.

    Raises `UnsolicitedNowhere`.
    """
    possible = [service for service in services if service.kind == "saml"]
    named = [service for service in possible if relay_state in (service.id, service.entity_id)]
    if relay_state is None:
        named = possible
    if len(named) != 1:
        raise UnsolicitedNowhere("no service named" if relay_state is None else "RelayState names no service")
    return named[0]


def required(service: Service, request: LoginRequest) -> Level:
    """The identity level that this login must reach: what the service always requires, or what it asked this time."""
    return max(service.minimum, request.minimum)


def depart(
    flow: Flow, service: Service, system: IdSystem, handle: str, *, standings: Standings, now: datetime
) -> Departure:
    """May this service ask this ID system? Then what to ask of it.

    Raises `IdSystemNotAllowed`, `IdSystemNotTrusted`, `IdSystemNotRecognised`, and `AssuranceTooLow` where no sign-in
    there can be worth enough to the service.
    """
    if not offered(service, (system,), municipality=flow.request.municipality):
        raise IdSystemNotAllowed(f"service {service.id} does not accept {system.id}")
    worth = standings.of(system, service, now)
    _reached(flow, service, capped(Assurance(identity=Level.THREE, authentication=Level.THREE), worth), worth)
    return Departure(
        handle=handle,
        minimum=required(service, flow.request),
        force_authentication=flow.request.force_authentication,
        languages=flow.request.languages,
        passive=flow.request.passive,
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
    standings: Standings,
    now: datetime,
    scope: str | None = None,
) -> Conclusion:
    """What the verified identity is worth to this service.

    The level is decided before any attribute is looked at: what the ID system's table makes of its word, but no more
    than its list and the recognitions between its municipality and the service's allow. An identifier that other
    services get too is an attribute like any other, so that the person is asked; `scope` is the domain that it is
    written with. Raises `IdSystemNotTrusted`, `IdSystemNotRecognised`, `AssuranceTooLow`, `AttributeMissing`.
    """
    worth = standings.of(system, service, now)
    level = capped(assurance.assess(system, identity), worth)
    _reached(flow, service, level, worth)
    said, _ = within(identity.attributes, worth.scopes, identity.scoped)
    inward = attributes.inward(system.inward, said, source=system.id)
    outward = attributes.outward(service.outward, inward.attributes, wanted=flow.request.claims, absent=inward.absent)
    person = identifiers.person(system.entity_id, identity.subject)
    released = dict(outward.attributes)
    if service.subject_identifier == "subject-id" and scope is not None:
        released[SUBJECT_ID] = (f"{identifiers.subject_id(person)}@{scope}",)
    return Conclusion(
        person=person,
        municipality=system.municipality,
        system=system.id,
        assurance=level,
        attributes=released,
        authenticated_at=identity.authenticated_at or now,
        upstream=identity.session,
    )


def capped(level: Assurance, worth: Worth) -> Assurance:
    """The level, but no more identity assurance than the trust lists and the recognitions allow."""
    most = worth.maximum_identity
    if most is None or level.identity <= most:
        return level
    return replace(level, identity=Level(most))


def recounted(
    flow: Flow, service: Service, system: IdSystem, conclusion: Conclusion, *, standings: Standings, now: datetime
) -> Conclusion:
    """The conclusion as much as it still counts for: lists may have changed while the person read and agreed.

    Raises `IdSystemNotTrusted`, `IdSystemNotRecognised`, `AssuranceTooLow`.
    """
    worth = standings.of(system, service, now)
    level = capped(conclusion.assurance, worth)
    _reached(flow, service, level, worth)
    return replace(conclusion, assurance=level)


def _reached(flow: Flow, service: Service, level: Assurance, worth: Worth) -> None:
    """Raises `AssuranceTooLow` if the level is not what this login must reach, and says what limited it."""
    needed = required(service, flow.request)
    if level.identity < needed:
        limit = "" if worth.maximum_identity is None else f", at most {worth.maximum_identity} by {_limits(worth)}"
        raise AssuranceTooLow(f"needed identity {int(needed)}, came {int(level.identity)}{limit}")


def _limits(worth: Worth) -> str:
    return " ".join(("list", worth.listed_in, *(each.id for each in worth.path)))


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
    holder = TokenHolder(person=conclusion.person, municipality=conclusion.municipality, system=conclusion.system)
    return Release(
        service=service.id,
        subject=identifiers.pairwise(conclusion.person, service.entity_id),
        person=seal_caller(holder, identifiers) if service.kind == "oidc" else "",
        attributes=conclusion.attributes,
        assurance=conclusion.assurance,
        scopes=flow.request.scopes,
        consent=record.id,
        authenticated_at=conclusion.authenticated_at,
        pairwise_id=identifiers.pairwise_id(conclusion.person, service.entity_id) if service.kind == "saml" else "",
    )
