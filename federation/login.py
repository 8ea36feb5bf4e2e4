"""The decisions of one login, in the order in which they are taken.

    choosing ──choose──▶ away ──arrive──▶ (consent known) ─────────────▶ released
                                   └────▶ (consent missing) consenting ──▶ released | denied

This file owns every rule that decides what comes next; what a login is between two requests is `federation/flow.py`'s.
Nothing is kept or sent here: `gateway/login.py` takes a flow from the store, asks here, and does what is answered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from federation import assurance, attributes, consent, evidence, guard, moments, requirement, told
from federation.attributes import Attributes
from federation.evidence import Lowered
from federation.flow import Conclusion, Flow
from federation.guard import Found, Guard
from federation.identifiers import Identifiers, KeyName, PersonRef, SealRefusedError
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
from federation.refusal import (
    AssuranceTooLow,
    ForbiddenContent,
    IdSystemNotAllowed,
    InteractionNeeded,
    Refusal,
    UnsolicitedNowhere,
    by_code,
)
from federation.requirement import needed
from federation.saml.scopes import within
from federation.standing import Standings
from federation.transforms import day_in_japan
from federation.web import Json
from trust_lists.recognition import Worth

ACCESS_TOKEN = "access-token"  # noqa: S105 - the audience of a sealed person reference, not a secret
"""Sealed person references in access tokens open only for this audience."""

_LONGEST_NUMBER = 32
"""Characters of a name for a person that may be a number with its separators."""
_SUBJECTS = {
    (numbers, check): Guard(allowances=("subject",) if numbers else (), resident_code_check=check)
    for numbers in (False, True)
    for check in (False, True)
}
"""Whether names for people are numbers, and whether the rule of the resident-record code is believed → who looks."""

SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"
"""SAML Subject Identifier Attributes §3.3: one identifier of a person for several services, which can then compare."""

OWN_LABELS: Mapping[str, Texts] = {
    SUBJECT_ID: {"ja": "ほかのサービスにも渡る番号", "en": "A number that other services also receive"},
}
"""What the consent page calls the attributes that are the gateway's own word."""


# --- the person behind an access token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Whom an access token stands for: the person, their municipality, and the ID system (its id) that vouched.

    `key` names the key by which services know the person.
    """

    person: PersonRef = field(repr=False)
    municipality: str
    system: str
    key: KeyName


def seal_caller(holder: TokenHolder, identifiers: Identifiers) -> str:
    """Who calls with an access token: unreadable to the service that holds it, which may not know the municipality."""
    told = f"{holder.municipality} {holder.system} {holder.key} {holder.person}"
    return identifiers.seal(told, audience=ACCESS_TOKEN)


def open_caller(sealed: str, identifiers: Identifiers) -> TokenHolder:
    """Whom `seal_caller` sealed. Raises `SealRefusedError`."""
    parts = identifiers.open(sealed, audience=ACCESS_TOKEN).split(" ", 3)
    if len(parts) != len(fields(TokenHolder)):
        raise SealRefusedError
    municipality, system, key, person = parts
    return TokenHolder(person=PersonRef(person), municipality=municipality, system=system, key=KeyName(key))


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


def depart(
    flow: Flow, service: Service, system: IdSystem, handle: str, *, standings: Standings, now: datetime
) -> Departure:
    """May this service ask this ID system? Then what to ask of it.

    Raises `IdSystemNotAllowed`, `IdSystemNotTrusted`, `IdSystemNotRecognised`, and `AssuranceTooLow` where no sign-in
    there can be worth enough to the service.
    """
    if not offered(service, (system,), municipality=flow.request.municipality):
        raise IdSystemNotAllowed(f"service {service.id} does not accept {system.id}")
    wanted = needed(service, flow.request)
    requirement.check(requirement.possible(standings.of(system, service, now)), wanted)
    return Departure(
        handle=handle,
        force_authentication=flow.request.force_authentication or flow.stepped,
        languages=flow.request.languages,
        passive=flow.request.passive,
        words=assurance.asking(system, wanted, standings.tables(now)),
        essential=flow.stepped,
        service=service,
        claims=flow.request.claims,
    )


def away(flow: Flow, system: IdSystem, memory: Json) -> Flow:
    """The flow while the person is at the ID system."""
    return replace(flow, system=system.id, memory=memory)


def again(
    flow: Flow, service: Service, system: IdSystem, low: AssuranceTooLow, *, standings: Standings, now: datetime
) -> Flow | None:
    """The flow that asks the ID system once more for what was too low; None if that was done, or is of no use.

    It is of none where the ID system itself said that it cannot, where it has no word that is worth enough, and where
    the person may not be shown a page.
    """
    if flow.stepped or low.came is None or flow.request.passive or flow.request.unsolicited:
        return None
    if not assurance.asking(system, needed(service, flow.request), standings.tables(now)):
        return None
    return replace(flow, system=None, memory=None, stepped=True)


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
) -> Conclusion:
    """What the verified identity is worth to this service.

    The level is decided before any attribute is looked at (`requirement.decide`). Raises `IdSystemNotTrusted`,
    `IdSystemNotRecognised`, `AssuranceTooLow`, `AttributeMissing`, `ForbiddenContent`.
    """
    found = _came_in(system, identity)
    worth = standings.of(system, service, now)
    own = standings.protection(service, now, asked=not flow.request.unsolicited)
    decision = requirement.decide(system, identity, worth, tables=standings.tables(now), own=own)
    requirement.check(decision, needed(service, flow.request))
    said, _ = within(identity.attributes, worth.scopes, identity.scoped)
    today = day_in_japan(now)
    inward = attributes.inward(system.inward, said, source=system.id, today=today)
    known = _evidenced(system, inward.attributes, identity.evidence, standings.evidence)
    outward = attributes.outward(
        service.outward,
        known,
        today=today,
        level=int(decision.assurance.identity),
        wanted=flow.request.claims,
        absent=inward.absent,
        lowered=standings.evidence,
    )
    found += tuple(Found(direction="out", finding=each) for each in service.outward.findings(outward.attributes))
    learnt: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for scope, behind in ((scope, service.told[scope]) for scope in flow.request.scopes if scope in service.told):
        values = attributes.outward(
            behind,
            known,
            today=today,
            level=int(decision.assurance.identity),
            absent=inward.absent,
            lowered=standings.evidence,
        ).attributes
        found += tuple(Found(direction="out", finding=each) for each in behind.findings(values))
        learnt[scope] = values
    _let_pass(found)
    person = identifiers.person(system.entity_id, identity.subject)
    return Conclusion(
        person=person,
        municipality=system.municipality,
        system=system.id,
        decision=decision,
        attributes=outward.attributes,
        verified=_verified(service, known, outward.attributes, decision.assurance, standings.evidence),
        authenticated_at=identity.authenticated_at or now,
        upstream=identity.session,
        found=found,
        held=identity.held,
        told=learnt,
    )


def _came_in(system: IdSystem, identity: Identity) -> tuple[Found, ...]:
    """What the guard found in the ID system's word, its name for the person included. Raises `ForbiddenContent`."""
    subject = _SUBJECTS[system.subject_own_numbers, system.inward.resident_code_check]
    name = identity.subject.rpartition("!")[2]  # without the qualifiers of a NameID
    named = subject.inspect("subject", (name,))
    if len(name) > _LONGEST_NUMBER:  # an opaque identifier, in which any row of digits may occur
        named = tuple(replace(each, outcome=guard.Outcome.REPORT) for each in named)
    findings = (*system.inward.findings(identity.attributes), *named)
    found = tuple(Found(direction="in", finding=each) for each in findings)
    _let_pass(found)
    return found


def _let_pass(found: tuple[Found, ...]) -> None:
    """Raises `ForbiddenContent` if one of the findings must not pass."""
    bad = guard.refused(each.finding for each in found)
    if bad is not None:
        raise ForbiddenContent(f"guard: {bad.rule}", found=found)


def _evidenced(system: IdSystem, values: Attributes, said: Mapping[str, str], lowered: Lowered) -> Attributes:
    """The values with what the ID system itself said of how it knows them, where the map says nothing."""
    if not said:
        return values
    found = dict(values)
    for rule in system.inward.rules:
        if rule.evidence or rule.to not in found or not any(source in said for source in rule.sources):
            continue
        name = min((said.get(source, "") for source in rule.sources), key=lambda name: evidence.of(name, lowered).most)
        found[rule.to] = tuple(value._replace(evidence=name) for value in found[rule.to])
    return found


def _verified(
    service: Service, values: Attributes, released: Mapping[str, object], level: Assurance, lowered: Lowered
) -> dict[str, tuple[str, int]]:
    """Which of the released attributes were verified, under which framework, and to which identity level."""
    found: dict[str, tuple[str, int]] = {}
    for rule in service.outward.rules:
        if rule.to not in released:
            continue
        names = (each.evidence for source in rule.sources for each in values.get(source, ()))
        weakest = evidence.weakest(names, lowered)
        worth = min(int(level.identity), weakest.most)
        if weakest.framework and worth > 0:
            found[rule.to] = (weakest.framework, worth)
    return found


def named(
    conclusion: Conclusion, service: Service, key: KeyName, *, identifiers: Identifiers, scope: str
) -> Conclusion:
    """The conclusion with the key by which services know the person: the one by which they were first named.

    An identifier that other services get too is an attribute like any other, so that the person is asked; `scope` is
    the domain that it is written with. Raises `UnknownKeyError`.
    """
    attributes = dict(conclusion.attributes)
    if service.subject_identifier == "subject-id":
        attributes[SUBJECT_ID] = (f"{identifiers.subject_id(conclusion.person, key)}@{scope}",)
    return replace(conclusion, key=key, attributes=attributes)


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
    decision = requirement.recounted(conclusion.decision, standings.of(system, service, now))
    requirement.check(decision, needed(service, flow.request))
    most = int(decision.assurance.identity)
    verified = {name: (framework, min(level, most)) for name, (framework, level) in conclusion.verified.items() if most}
    return replace(conclusion, decision=decision, verified=verified)


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


def refused(flow: Flow, why: Refusal) -> Flow:
    """The flow after a refusal: it can only be carried back to the service, as a denial."""
    levels = None
    if isinstance(why, AssuranceTooLow) and why.needed is not None and why.came is not None:
        levels = (*why.needed, *why.came)
    return replace(flow, memory=None, conclusion=None, refused=why.code, shortfall=levels)


def refusal_of(flow: Flow) -> Refusal | None:
    """The refusal that the flow ended in, with the levels if they were too low; None if it was not refused."""
    if flow.refused is None:
        return None
    if flow.refused == AssuranceTooLow.code and flow.shortfall is not None:
        return AssuranceTooLow(needed=flow.shortfall[:2], came=flow.shortfall[2:])
    return by_code(flow.refused)


# --- agreed


def release(
    flow: Flow,
    service: Service,
    conclusion: Conclusion,
    record: consent.ConsentRecord,
    identifiers: Identifiers,
) -> Release:
    """Exactly what leaves: a subject that only this service knows, and the attributes agreed to.

    `moments.sign_in` says how exactly the moment of the sign-in does.
    """
    holder = TokenHolder(
        person=conclusion.person,
        municipality=conclusion.municipality,
        system=conclusion.system,
        key=conclusion.key,
    )
    return Release(
        service=service.id,
        subject=identifiers.pairwise(conclusion.person, service.sector, conclusion.key),
        person=seal_caller(holder, identifiers) if service.kind == "oidc" else "",
        attributes=conclusion.attributes,
        assurance=conclusion.assurance,
        scopes=flow.request.scopes,
        consent=record.id,
        authenticated_at=moments.sign_in(
            conclusion.authenticated_at, since=flow.begun_at, asked=flow.request.force_authentication
        ),
        methods=conclusion.decision.methods,
        also=conclusion.decision.also,
        verified=conclusion.verified,
        truths=service.outward.truths(),
        told=told.seal(conclusion.told, service.told, identifiers),
    )
