"""Carries a login through the gateway: takes the flow from the store, asks `federation/login.py`, does what it answers.

Every step ends here again, whatever protocol it came by; no connector or frontend knows of another one. A
flow is bound to one browser, and each of its steps is taken once.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from aiohttp import web

from federation import consent, login, own, refusal, sessions
from federation.certificate.connector import PROVED
from federation.consent import ConsentRecord
from federation.flow import Conclusion, Flow, flow_from_json
from federation.guard import Found
from federation.identifiers import KeyName, PersonRef
from federation.model import OWN, Held, Identity, IdSystem, Keep, Kept, LoginRequest, Service
from federation.ports import Denied, Departed, Frontend, UnsolicitedConnector, UnsolicitedFrontend
from federation.refusal import (
    AssuranceTooLow,
    ConsentDenied,
    ConsentNeeded,
    FlowUnknown,
    IdSystemNotAllowed,
    OtherBrowser,
    Refusal,
    Unavailable,
    UnknownService,
)
from federation.requirement import required
from federation.saml.service_provider import posted
from federation.web import Answer, Document, Exchange, Json, PostForm, Redirect, WebRequest
from gateway import showing
from gateway.certificate_watch import Watched
from gateway.context import (
    GATEWAY,
    HANDLE,
    REQUEST_ID,
    Gateway,
    as_data,
    browser,
    browser_cookie,
    digest,
    document,
    new_handle,
    set_cookie,
)
from gateway.pages import AGREE, CSRF_FIELD, DECISION_FIELD, NOT_NOW, SYSTEM_FIELD
from gateway.region import Region
from gateway.store import AlreadyClaimedError
from observability.events import ConsentChange, ConsentEvent, GuardEvent, LoginEvent, login_outcome

log = structlog.get_logger("gateway.login")

LAST_CHOICE = "kakehashi-last"
"""Cookie with the id of the ID system chosen last; no more than that."""

LAST_CHOICE_DAYS = 180

UNSOLICITED = "unsolicited-responses"
"""The weaker setting of an ID system that may send people here unasked."""


PATHS = re.compile(
    r"/(?:login/|certificate/[^/]{43}(?:/|$)|saml/(?:[0-9]{6}/)?sso|saml/sp/acs|oidc/authorize|oidc/rp/callback"
    rf"|{own.SIGN_IN[1:]})"
)
"""Where logins happen: a refusal there is the end of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one request of a login works with; the region is asked for once, so a swap never splits a step."""

    request: web.Request
    gateway: Gateway
    region: Region

    @property
    def lifetime(self) -> timedelta:
        """How long a flow waits for its next step."""
        return self.region.flow_lifetime


def step_of(request: web.Request) -> Step:
    """The step that `request` is."""
    gateway = request.app[GATEWAY]
    return Step(request=request, gateway=gateway, region=gateway.region)


# --- a relying service asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A service's request, accepted, and how far it came by itself.

    `departed` to the ID system `system`, whose answer will find the flow by `handle`; or `refused`; or neither: the
    person is to choose.
    """

    flow: Flow
    service: Service
    handle: str = ""
    system: IdSystem | None = None
    departed: Departed | None = None
    refused: Refusal | None = None


async def begin(request: web.Request, kind: str, municipality: str | None = None) -> web.StreamResponse:
    """A relying service's request arrived at the frontend of `kind`, or at that of one municipality's entity."""
    step = step_of(request)
    incoming = await as_data(request)
    frontend = step.region.frontend(kind, municipality)
    cookie = _cookie(step)
    try:
        brief = frontend.brief and all(each.brief for each in step.region.connectors.values())
        opened = await step.gateway.outward.drive(_open(step, frontend, incoming, cookie), brief=brief)
    except Denied as denied:
        _record(step, None, None, denied.refusal)
        return await answer(step.request, denied.answer)
    flow = opened.flow

    async def go() -> web.StreamResponse:
        kept = {flow.choice: flow.to_json()}  # also what carries a denial back
        if opened.departed is not None and opened.system is not None:
            kept[opened.handle] = login.away(flow, opened.system, opened.departed.memory).to_json()
            await step.gateway.store.keep(opened.departed.keep)
        await step.gateway.store.put_flows(kept, step.lifetime)
        if opened.refused is not None:
            raise opened.refused
        if opened.departed is None:
            return see_other(f"/login/{flow.choice}")
        return await answer(step.request, opened.departed.answer)

    return _bound(step, await _refusable(step, flow, go), cookie)


def _open(step: Step, frontend: Frontend, incoming: WebRequest, cookie: str) -> Exchange[Opened]:
    """Accept a request and, where nothing is left to choose, depart: in one step, if no network is asked."""
    now = step.gateway.clock()
    asked = frontend.accept(incoming, now)
    service = _service(step.region, asked)
    flow = _new_flow(step, asked, cookie)
    handle = new_handle()
    try:
        system = login.at_once(asked, _offered(step, flow, service), step.request.cookies.get(LAST_CHOICE))
        if system is None:
            return Opened(flow=flow, service=service)
        departure = login.depart(flow, service, system, handle, standings=step.region.standings, now=now)
        departed = yield from step.region.connector(system.id).depart(departure, now)
    except Refusal as why:
        return Opened(flow=flow, service=service, refused=why)
    return Opened(flow=flow, service=service, handle=handle, system=system, departed=departed)


def _cookie(step: Step) -> str:
    """What this browser is known by; a new one if it is not known yet."""
    held = step.request.cookies.get(browser_cookie(step.region), "")
    return held if HANDLE.fullmatch(held) else new_handle()


def _bound(step: Step, response: web.StreamResponse, cookie: str) -> web.StreamResponse:
    """The response, with the browser's cookie unless it has it already."""
    if step.request.cookies.get(browser_cookie(step.region)) != cookie:
        set_cookie(response, step.region, browser_cookie(step.region), cookie)
    return response


def _new_flow(step: Step, asked: LoginRequest, cookie: str) -> Flow:
    return Flow(browser=digest(cookie), begun_at=step.gateway.clock(), request=asked, choice=new_handle())


def _offered(step: Step, flow: Flow, service: Service) -> tuple[IdSystem, ...]:
    return login.offered(service, step.region.systems.values(), municipality=flow.request.municipality)


async def _put(step: Step, handle: str, flow: Flow) -> None:
    await step.gateway.store.put_flow(handle, flow.to_json(), step.lifetime)


# --- the person chooses a municipality


async def choice(request: web.Request) -> web.StreamResponse:
    """GET /login/{handle}: the municipalities that this service accepts, the last choice first."""
    step = step_of(request)
    flow = await _own_flow(step, request.match_info["handle"])
    service = _service(step.region, flow.request)
    systems = _offered(step, flow, service)
    now = step.gateway.clock()
    counted = tuple(system for system in systems if step.region.standings.counts(system, service, now))
    return showing.choice(
        request,
        service=service,
        systems=counted,
        unusable=tuple(system for system in systems if system not in counted),
        last=request.cookies.get(LAST_CHOICE),
        csrf=_csrf(step),
        requested=flow.request.languages,
    )


async def choose(request: web.Request) -> web.StreamResponse:
    """POST /login/{handle}: off to the ID system chosen."""
    step = step_of(request)
    flow = await _own_flow(step, request.match_info["handle"])
    chosen = (await _form(step)).get(SYSTEM_FIELD, "")
    service = _service(step.region, flow.request)

    async def go() -> web.StreamResponse:
        system = step.region.systems.get(chosen)
        if system is None:
            raise IdSystemNotAllowed("the choice names no ID system of the region")
        return await _depart(step, flow, service, system)

    response = await _refusable(step, flow, go)
    if chosen in step.region.systems:
        set_cookie(response, step.region, LAST_CHOICE, chosen, days=LAST_CHOICE_DAYS)
    return response


async def _depart(step: Step, flow: Flow, service: Service, system: IdSystem) -> web.StreamResponse:
    handle = new_handle()
    now = step.gateway.clock()
    departure = login.depart(flow, service, system, handle, standings=step.region.standings, now=now)
    connector = step.region.connector(system.id)
    departed = await step.gateway.outward.drive(connector.depart(departure, now), brief=connector.brief)
    await step.gateway.store.keep(departed.keep)
    await _put(step, handle, login.away(flow, system, departed.memory))
    return await answer(step.request, departed.answer)


# --- the ID system answers


async def saml_arrival(request: web.Request) -> web.StreamResponse:
    """POST /saml/sp/acs: a SAML response.

    RelayState names the flow, or else InResponseTo does, which must be that of the flow in any case: it is verified
    later, like all else.
    """
    incoming = await as_data(request)
    responses = [value for name, value in incoming.form if name == "SAMLResponse"]
    if len(responses) != 1:
        raise refusal.IdSystemAnswerRefused("no-response")
    step = step_of(request)
    states = [value for name, value in incoming.form if name == "RelayState"]
    if len(states) == 1 and HANDLE.fullmatch(states[0]):
        kept = await step.gateway.store.read_flow(states[0])
        if kept is not None:
            return await _arrive(step, incoming, states[0], _bound_flow(step, kept))
    found = await step.gateway.outward.run(partial(posted, responses[0]))
    if found is None or found.in_response_to is None:
        return await _unasked(step, incoming, None if found is None else found.issuer)
    handle = found.in_response_to.removeprefix("_")
    return await _arrive(step, incoming, handle, await _own_flow(step, handle))


async def openid_arrival(request: web.Request) -> web.StreamResponse:
    """GET /oidc/rp/callback: an authorization response; its state names the flow (RFC 6749 §4.1.2)."""
    incoming = await as_data(request)
    states = [value for name, value in incoming.parameters() if name == "state"]
    if len(states) != 1:
        raise refusal.FlowUnknown("no state, or several")
    step = step_of(request)
    return await _arrive(step, incoming, states[0], await _own_flow(step, states[0]))


async def proved(request: web.Request, handle: str, proof: Json, flow: Flow | None = None) -> web.StreamResponse:
    """What the answer of a phone proved, now that this browser has shown that it is the same person's.

    `flow`, if the caller read it: this browser's.
    """
    step = step_of(request)
    if flow is None:
        flow = await _own_flow(step, handle)
    if flow.memory is None:
        raise FlowUnknown("the flow is not away at an ID system")
    known = replace(flow, memory={**flow.memory, PROVED: proof})
    return await _arrive(step, await as_data(request), handle, known)


async def waiting(request: web.Request, handle: str) -> tuple[Flow, Service]:
    """This browser's flow that waits for a phone, and for whom. Raises `FlowUnknown`, `OtherBrowser`."""
    flow, service, _ = await waiting_beside(request, handle, ())
    return flow, service


async def waiting_beside(
    request: web.Request, handle: str, kinds: Iterable[str]
) -> tuple[Flow, Service, tuple[Json | None, ...]]:
    """The same, and what is kept under its handle of other kinds, in one round trip."""
    step = step_of(request)
    _well_formed(handle)
    kept, *beside = await step.gateway.store.read_all(("flow", handle), *((kind, handle) for kind in kinds))
    flow = _bound_flow(step, kept)
    if flow.system is None or flow.memory is None:
        raise FlowUnknown("the flow is not away at an ID system")
    return flow, _service(step.region, flow.request), tuple(beside)


async def stopped(request: web.Request, handle: str, why: Refusal) -> web.StreamResponse:
    """This browser's flow ends with `why`: told to the person, recorded, carried back to the service from there."""
    step = step_of(request)
    flow = await _own_flow(step, handle)

    async def go() -> web.StreamResponse:
        await _take(step, handle)
        raise why

    return await _refusable(step, flow, go)


async def given_up(request: web.Request, handle: str, why: Refusal) -> web.StreamResponse:
    """This browser's flow ends by the person's own wish: the service hears of it at once."""
    step = step_of(request)
    flow = await _own_flow(step, handle)
    await _take(step, handle)
    return await _deny(step, flow, why)


def csrf(request: web.Request) -> str:
    """The token for forms of the page about the flow that the address names."""
    return _csrf(step_of(request))


async def form(request: web.Request) -> dict[str, str]:
    """The fields of such a form. Raises `OtherBrowser` if it was not shown to this browser."""
    return await _form(step_of(request))


async def _arrive(step: Step, incoming: WebRequest, handle: str, flow: Flow) -> web.StreamResponse:
    """The answer to this browser's flow `handle`. One answer is looked at, good or bad."""
    if flow.system is None or flow.memory is None:
        raise FlowUnknown("the flow is not away at an ID system")
    memory = flow.memory
    system = step.region.systems.get(flow.system)
    service = _service(step.region, flow.request)

    async def go() -> web.StreamResponse:
        now = step.gateway.clock()
        try:
            if system is None:
                raise refusal.IdSystemNotTrusted("the ID system left the region meanwhile")
            connector = step.region.connector(system.id)
            arrival = connector.arrive(incoming, memory, now)
            identity, conclusion = await _concluded(step, flow, system, arrival, now, brief=connector.brief)
        except AssuranceTooLow as low:
            await _take(step, handle)
            assert system is not None  # it was asked
            more = login.again(flow, service, system, low, standings=step.region.standings, now=now)
            if more is None:
                raise
            log.info("login-stepped-up", id_system=system.id, detail=low.detail)
            return await _depart(step, more, service, system)
        except Refusal:
            await _take(step, handle)
            raise
        arrived = await step.gateway.store.arrive(
            handle, conclusion.person, service.id, step.region.identifiers.present
        )
        if arrived.flow is None:
            raise FlowUnknown("taken meanwhile")
        once, record = identity.once, arrived.consent
        conclusion = await _named(step, service, identity, conclusion, arrived.key)
        if service.kind == OWN:
            return await _shown(step, flow, conclusion, once)
        if record is not None and login.consent_needed(flow, service, conclusion, record, now) is None:
            return await _release(step, flow, service, conclusion, record, once=once)
        return await _ask_first(step, flow, conclusion, once)

    return await _refusable(step, flow, go)


async def _unasked(step: Step, incoming: WebRequest, issuer: str | None) -> web.StreamResponse:
    """A SAML response that nobody here asked for (SAML Profiles §4.1.5); only some ID systems may send one.

    `issuer` is what it says of itself, and is verified later like all else.

    Nothing binds it to this browser: a stranger could have sent the person here with an identity of their own. So
    the person is asked always, with the values before their eyes, whatever they agreed to before.
    """
    allowed = [s for s in step.region.systems.values() if s.kind == "saml" and UNSOLICITED in s.weaker]
    system = next((system for system in allowed if system.entity_id == issuer), None)
    if system is None:
        raise refusal.IdSystemAnswerRefused("unsolicited")
    connector, frontend = step.region.connector(system.id), step.region.frontend("saml")
    assert isinstance(connector, UnsolicitedConnector)  # the kind is saml
    assert isinstance(frontend, UnsolicitedFrontend)
    named = [value for name, value in incoming.form if name == "RelayState" and value]
    service = login.destined(named[0] if named else None, step.region.services.values())
    cookie = _cookie(step)
    now = step.gateway.clock()
    asked = await step.gateway.outward.run(partial(frontend.unasked, service, now))
    flow = replace(_new_flow(step, asked, cookie), system=system.id)

    async def go() -> web.StreamResponse:
        # May this service get anything from this ID system?
        login.depart(flow, service, system, flow.choice, standings=step.region.standings, now=now)
        identity, conclusion = await _concluded(step, flow, system, connector.unsolicited(incoming, now), now)
        key = await step.gateway.store.naming_key(conclusion.person, step.region.identifiers.present)
        conclusion = await _named(step, service, identity, conclusion, key)
        await _claim(step, identity.once)
        await _put(step, flow.choice, flow)
        return await _ask_consent(step, flow, conclusion)

    return _bound(step, await _refusable(step, flow, go), cookie)


async def _concluded(
    step: Step, flow: Flow, system: IdSystem, arrival: Exchange[Identity], now: datetime, *, brief: bool = False
) -> tuple[Identity, Conclusion]:
    """Who an answer says it is, and what it comes to. Raises as `login.conclude`."""
    service = _service(step.region, flow.request)

    def conclude(identity: Identity) -> tuple[Identity, Conclusion]:
        return identity, login.conclude(
            flow,
            service,
            system,
            identity,
            identifiers=step.region.identifiers,
            standings=step.region.standings,
            now=now,
        )

    try:
        identity, conclusion = await step.gateway.outward.drive_then(arrival, conclude, brief=brief)
    except refusal.ForbiddenContent as why:
        _record_found(step, system, service, why.found)
        raise
    _record_found(step, system, service, conclusion.found)
    if identity.out_of_scope:
        log.warning("attributes-out-of-scope", id_system=system.id, detail=", ".join(identity.out_of_scope))
    return identity, conclusion


async def _named(step: Step, service: Service, identity: Identity, conclusion: Conclusion, key: KeyName) -> Conclusion:
    """The conclusion with the person's name by their key. Raises `Unavailable`, `CertificateRevoked`."""
    identifiers = step.region.identifiers
    if not identifiers.knows(key):
        raise Unavailable("the person is named by a key that this gateway does not have; see kakehashi identifiers")
    named = login.named(conclusion, service, key, identifiers=identifiers, scope=step.region.configuration.scope)
    await _not_replaced(step, named.system, named.person, identity.held)
    return named


async def _not_replaced(step: Step, system: str, person: PersonRef, held: Held | None) -> None:
    """A certificate that is issued anew ends those before it (`reissue`). Raises `CertificateRevoked`."""
    configured = step.region.configuration.id_systems.get(system)
    if held is None or configured is None or configured.certificates is None:
        return
    if not configured.certificates.reissue_revokes:
        return
    if await step.gateway.certificates.newest(person, held.issued_at) > held.issued_at:
        raise refusal.CertificateRevoked("replaced")


def _record_found(step: Step, system: IdSystem, service: Service, found: Iterable[Found]) -> None:
    """One event for each thing that the guard found; never what it was."""
    for each in found:
        step.gateway.recorder.record(
            GuardEvent(
                kind=each.finding.kind,
                outcome=each.finding.outcome,
                rule=each.finding.rule,
                direction=each.direction,
                where="login",
                request_id=step.request[REQUEST_ID],
                at=step.gateway.clock(),
                name=each.finding.name,
                id_system=system.id,
                service=service.id,
            )
        )


async def _claim(step: Step, once: Kept | None) -> None:
    """Claim an answer. Raises `IdSystemAnswerRefused` for one that came before."""
    if once is not None:
        try:
            await step.gateway.store.claim(once)
        except AlreadyClaimedError:
            raise refusal.IdSystemAnswerRefused("replayed") from None


async def _ask_first(step: Step, flow: Flow, conclusion: Conclusion, once: Kept | None) -> web.StreamResponse:
    """No consent covers it: ask, unless no page may be shown. Raises `ConsentNeeded`."""
    await _claim(step, once)
    if flow.request.passive:
        raise ConsentNeeded("no consent covers it")
    return await _ask_consent(step, flow, conclusion)


async def _ask_consent(step: Step, flow: Flow, conclusion: Conclusion) -> web.StreamResponse:
    handle = new_handle()
    await _put(step, handle, login.consenting(flow, conclusion))
    return see_other(f"/login/{handle}/consent")


# --- the person decides


async def consent_page(request: web.Request) -> web.StreamResponse:
    """GET /login/{handle}/consent: which service, which attributes with their values, for what, until when."""
    step = step_of(request)
    flow = await _own_flow(step, request.match_info["handle"])
    conclusion = _conclusion(flow)
    service = _service(step.region, flow.request)
    system = step.region.systems.get(flow.system or "")
    if system is None:
        raise refusal.IdSystemNotTrusted("the ID system left the region meanwhile")
    now = step.gateway.clock()
    record = await step.gateway.store.consent(conclusion.person, service.id)
    need = login.consent_needed(flow, service, conclusion, record, now)
    return showing.consent(
        request,
        region=step.region,
        service=service,
        system=system,
        conclusion=conclusion,
        scopes=flow.request.scopes,
        until=now + service.consent_lifetime if need is None else need.expires_at,
        csrf=_csrf(step, _terms(service)),
        requested=flow.request.languages,
    )


async def decide(request: web.Request) -> web.StreamResponse:
    """POST /login/{handle}/consent: the person agrees, or not now."""
    step = step_of(request)
    handle = request.match_info["handle"]
    flow = await _own_flow(step, handle)
    conclusion = _conclusion(flow)
    service = _service(step.region, flow.request)
    fields = dict((await as_data(request)).form)
    decision = fields.get(DECISION_FIELD, "")
    if decision not in (AGREE, NOT_NOW):
        raise refusal.BadRequest("the decision is neither of the two")
    if not showing.same_token(_csrf(step, _terms(service)), fields.get(CSRF_FIELD, "")):
        # Not our page, or it showed terms that have changed since: what stands now is to be read first.
        return see_other(request.path)
    await _take(step, handle)
    if decision == NOT_NOW:
        return await _deny(step, flow, ConsentDenied())
    record = consent.grant(
        service,
        id=new_handle(),
        person=conclusion.person,
        attributes=set(conclusion.attributes),
        scopes=set(flow.request.scopes),
        now=step.gateway.clock(),
        earlier=await step.gateway.store.consent(conclusion.person, service.id),
    )
    await step.gateway.store.save_consent(record)
    step.gateway.recorder.record(
        ConsentEvent.of(record, ConsentChange.GIVEN, at=record.granted_at, request_id=step.request[REQUEST_ID])
    )

    async def go() -> web.StreamResponse:
        await _not_replaced(step, conclusion.system, conclusion.person, conclusion.held)  # while the person was asked
        return await _release(step, flow, service, conclusion, record)

    return await _refusable(step, flow, go)


async def carry_back(request: web.Request) -> web.StreamResponse:
    """GET /login/{handle}/return: the person read why it ended; the service gets a proper denial."""
    step = step_of(request)
    handle = request.match_info["handle"]
    flow = await _own_flow(step, handle)
    why = login.refusal_of(flow)
    if why is None:
        raise FlowUnknown("the flow was not refused")
    await _take(step, handle)
    return await _deny(step, flow, why, recorded=True)


# --- the ends


async def _release(
    step: Step,
    flow: Flow,
    service: Service,
    conclusion: Conclusion,
    record: ConsentRecord,
    *,
    once: Kept | None = None,
) -> web.StreamResponse:
    """Answer the service. `once` is claimed, and what the answer needs is kept, before it leaves."""
    now = step.gateway.clock()
    system = step.region.systems.get(conclusion.system)
    if system is None:
        raise refusal.IdSystemNotTrusted("the ID system left the region meanwhile")
    conclusion = login.recounted(flow, service, system, conclusion, standings=step.region.standings, now=now)
    until = sessions.ends(conclusion.upstream, now)
    released = replace(
        login.release(flow, service, conclusion, record, step.region.identifiers),
        session=new_handle(),
        session_until=min(sessions.told(conclusion.upstream, now), now + step.region.session_lifetime),
    )
    frontend = step.region.frontend(flow.request.kind, flow.request.municipality)
    granted = await step.gateway.outward.run(partial(frontend.grant, flow.request, released, now), brief=frontend.brief)
    session = sessions.Session(  # what its end will need, whoever brings it about
        id=released.session,
        person=conclusion.person,
        browser=flow.browser,
        system=system.id,
        service=service.id,
        upstream=conclusion.upstream,
        participant=granted.participant,
        until=until,
        client=granted.client,
        needed=int(required(service, flow.request)),
    )
    try:
        first = await step.gateway.store.finish(
            flow.choice, keep=granted.keep, once=once, session=session, watched=_watched(conclusion), now=now
        )
    except AlreadyClaimedError:
        raise refusal.IdSystemAnswerRefused("replayed") from None
    if not first:
        raise FlowUnknown("the service's request was answered before")
    _record(step, flow, conclusion, None, record.id)
    return await answer(step.request, granted.answer)


def _watched(conclusion: Conclusion) -> tuple[str, Json] | None:
    """The certificate with which a session begins, for whoever watches it (`certificate_watch.py`)."""
    held = conclusion.held
    if held is None:
        return None
    watched = Watched(
        person=conclusion.person, system=conclusion.system, certificate=held.certificate, issuer=held.issuer
    )
    return watched.key, watched.to_json()


async def _shown(step: Step, flow: Flow, conclusion: Conclusion, once: Kept | None) -> web.StreamResponse:
    """The person signed in to the gateway itself: this browser may see their consents for a while."""
    await _claim(step, once)
    await _finish(step, flow)
    await step.gateway.store.keep(Keep(items=(own.seen(flow.browser, conclusion.person),)))
    _record(step, flow, conclusion, None)
    return see_other(own.PAGE)


async def _deny(step: Step, flow: Flow, why: Refusal, *, recorded: bool = False) -> web.StreamResponse:
    try:
        await _finish(step, flow)
    except Unavailable:
        if not flow.request.passive:  # a denial that tells nothing may go out twice; a page may not be shown
            raise
    if flow.request.unsolicited:  # the service asked nothing, so it is told nothing
        response: web.StreamResponse = showing.refused(step.request, why, service=_service(step.region, flow.request))
    else:
        frontend: Frontend = step.region.frontend(flow.request.kind, flow.request.municipality)
        denial = await step.gateway.outward.run(
            partial(frontend.deny, flow.request, why, step.gateway.clock()), brief=frontend.brief
        )
        response = await answer(step.request, denial)
    if not recorded:
        _record(step, flow, None, why)
    return response


async def _finish(step: Step, flow: Flow) -> None:
    """One request of a service is answered once: whoever takes its first step away may answer."""
    if await step.gateway.store.take_flow(flow.choice) is None:
        raise FlowUnknown("the service's request was answered before")


async def _refusable(step: Step, flow: Flow, go: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Do `go`; a refusal is shown to the person, with the way back to the service, who then gets a denial.

    Where no page may be shown, the service gets it at once (SAML Core §3.4.1 IsPassive, OpenID Connect Core §3.1.2.6).
    A service that left the region meanwhile gets no answer any more.
    """
    try:
        return await go()
    except FlowUnknown:
        raise
    except Refusal as why:
        if flow.request.passive and not isinstance(why, UnknownService):
            return await _deny(step, flow, why)
        _record(step, flow, None, why)
        service = _service(step.region, flow.request)
        back = another = None
        if not (flow.request.unsolicited or isinstance(why, Unavailable | UnknownService)):
            handle = new_handle()
            await _put(step, handle, login.refused(flow, why))
            back = f"/login/{handle}/return"
            another = await _another(step, flow, why)
        return showing.refused(
            step.request, why, service=service, back=back, another=another, requested=flow.request.languages
        )


async def _another(step: Step, flow: Flow, why: Refusal) -> str | None:
    """Where another way to sign in is chosen for the same request of the service, if that helps and is still open."""
    if not why.elsewhere or await step.gateway.store.read_flow(flow.choice) is None:
        return None
    return f"{step.region.public_url}/login/{flow.choice}"


# --- helpers


async def _own_flow(step: Step, handle: str) -> Flow:
    """This browser's flow, which stays. Raises `FlowUnknown`, `OtherBrowser`."""
    _well_formed(handle)
    return _bound_flow(step, await step.gateway.store.read_flow(handle))


def _well_formed(handle: str) -> None:
    if not HANDLE.fullmatch(handle):
        raise FlowUnknown("malformed handle")


def _bound_flow(step: Step, kept: Json | None) -> Flow:
    """The flow, if it is there, and this browser's. Raises `FlowUnknown`, `OtherBrowser`."""
    if kept is None:
        raise FlowUnknown("no such flow")
    flow = flow_from_json(kept)
    if flow.browser != browser(step.request, step.region):
        raise OtherBrowser("the flow belongs to another browser")
    return flow


async def _take(step: Step, handle: str) -> None:
    """Take the flow away from everybody else. Raises `FlowUnknown` for whoever comes second."""
    if await step.gateway.store.take_flow(handle) is None:
        raise FlowUnknown("taken meanwhile")


def _service(region: Region, asked: LoginRequest) -> Service:
    service = own.SERVICE if asked.kind == OWN else region.services.get(asked.service)
    if service is None:
        raise UnknownService("the service left the region meanwhile")
    return service


def _conclusion(flow: Flow) -> Conclusion:
    if flow.conclusion is None:
        raise FlowUnknown("the flow waits for no consent")
    return flow.conclusion


def _csrf(step: Step, shown: str = "") -> str:
    """The token of a page that `shown` was read on, for this browser and flow."""
    cookie = step.request.cookies.get(browser_cookie(step.region), "")
    return showing.csrf_token(cookie, f"{step.request.match_info['handle']} {shown}")


def _terms(service: Service) -> str:
    """What of a consent page comes from the configuration and may change while the person reads."""
    return f"{consent.purpose_digest(service)} {service.consent_lifetime.total_seconds()}"


async def _form(step: Step) -> dict[str, str]:
    """The fields of a page of ours. Raises `OtherBrowser` if it was not shown to this browser."""
    fields = dict((await as_data(step.request)).form)
    if not showing.same_token(_csrf(step), fields.get(CSRF_FIELD, "")):
        raise OtherBrowser("the form was not shown to this browser")
    return fields


def see_other(location: str) -> web.Response:
    """Send the browser on with a GET (RFC 9110 §15.4.4)."""
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


async def answer(request: web.Request, what: Answer) -> web.StreamResponse:
    """An answer of `federation/` as an HTTP response."""
    match what:
        case Redirect(location=location):
            return see_other(location)
        case PostForm():
            return showing.post_form(request, what)
        case Document():
            return document(what)


def ended_early(request: web.Request, why: Refusal) -> None:
    """Record a login that ended before it was known whose it is: no such flow, another browser, an unusable request."""
    _record(step_of(request), None, None, why)


def _why(conclusion: Conclusion | None, refused: Refusal | None) -> tuple[str, ...]:
    """Why the sign-in was worth what it was: names of the configuration and of lists, and levels."""
    if conclusion is not None:
        return tuple(map(str, conclusion.decision.why))
    return refused.why if isinstance(refused, AssuranceTooLow) else ()


def _record(
    step: Step, flow: Flow | None, conclusion: Conclusion | None, why: Refusal | None, agreed: str | None = None
) -> None:
    """One event for each end of a login; `agreed` is the consent's id that it rests on."""
    now = step.gateway.clock()
    system = step.region.systems.get(flow.system or "") if flow is not None else None
    step.gateway.recorder.record(
        LoginEvent(
            outcome=login_outcome(why),
            reason=None if why is None else why.code,
            seconds=0.0 if flow is None else (now - flow.begun_at).total_seconds(),
            request_id=step.request[REQUEST_ID],
            at=now,
            id_system=None if system is None else system.id,
            municipality=None if system is None else system.municipality,
            upstream=None if system is None else system.kind,
            service=None if flow is None else flow.request.service,
            downstream=None if flow is None else flow.request.kind,
            level=None if conclusion is None else int(conclusion.assurance.identity),
            why=_why(conclusion, why),
            person=None if conclusion is None else conclusion.person,
            consent=agreed,
        )
    )
    if why is not None:
        log.info("login-refused", reason=why.code, detail=why.detail)
