"""Carries a login through the gateway: takes the flow from the store, asks `federation/login.py`, does what it answers.

Every step ends here again, whatever protocol it came by; no connector or frontend knows of another one. A
flow is bound to one browser, and each of its steps is taken once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from aiohttp import web

from federation import consent, login, refusal
from federation.consent import ConsentRecord
from federation.login import Conclusion, Flow
from federation.model import IdSystem, LoginRequest, Service
from federation.ports import Denied, Frontend
from federation.refusal import (
    ConsentDenied,
    FlowUnknown,
    IdSystemNotAllowed,
    OtherBrowser,
    Refusal,
    UnknownService,
)
from federation.saml.service_provider import response_in_reply_to
from federation.web import Answer, Document, PostForm, Redirect, WebRequest
from gateway import showing
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
from observability.events import LoginEvent, login_outcome

log = structlog.get_logger("gateway.login")

LAST_CHOICE = "kakehashi-last"
"""Cookie with the id of the ID system chosen last; no more than that."""

LAST_CHOICE_DAYS = 180


PATHS = ("/login/", "/saml/sso", "/saml/sp/acs", "/oidc/authorize", "/oidc/rp/callback")
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


async def begin(request: web.Request, kind: str) -> web.StreamResponse:
    """A relying service's request arrived at the frontend of `kind`."""
    step = step_of(request)
    incoming = await as_data(request)
    frontend = step.region.frontend(kind)
    try:
        asked = await step.gateway.outward.run(partial(frontend.accept, incoming, step.gateway.clock()))
    except Denied as denied:
        _record(step, None, None, denied.refusal)
        return await answer(step.request, denied.answer)
    service = _service(step.region, asked)
    held = request.cookies.get(browser_cookie(step.region), "")
    cookie = held if HANDLE.fullmatch(held) else new_handle()
    handle = new_handle()
    flow = Flow(browser=digest(cookie), begun_at=step.gateway.clock(), request=asked, choice=handle)
    await step.gateway.store.put_flow(handle, flow.to_json(), step.lifetime)
    offered = login.offered(service, step.region.systems.values())
    only = login.hinted(asked, offered) or (offered[0] if len(offered) == 1 else None)
    response = (
        await _refusable(step, flow, lambda: _depart(step, flow, service, only))
        if only
        else see_other(f"/login/{handle}")
    )
    if cookie != held:
        set_cookie(response, step.region, browser_cookie(step.region), cookie)
    return response


# --- the person chooses a municipality


async def choice(request: web.Request) -> web.StreamResponse:
    """GET /login/{handle}: the municipalities that this service accepts, the last choice first."""
    step = step_of(request)
    flow = await _own_flow(step, request.match_info["handle"])
    service = _service(step.region, flow.request)
    return showing.choice(
        request,
        service=service,
        systems=login.offered(service, step.region.systems.values()),
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
    departure = login.depart(flow, service, system, handle)
    departed = await step.gateway.outward.drive(
        step.region.connector(system.id).depart(departure, step.gateway.clock())
    )
    gone = login.away(flow, system, departed.memory)
    await step.gateway.store.put_flow(handle, gone.to_json(), step.lifetime)
    return await answer(step.request, departed.answer)


# --- the ID system answers


async def saml_arrival(request: web.Request) -> web.StreamResponse:
    """POST /saml/sp/acs: a SAML response; its InResponseTo names the flow, and is verified later like all else."""
    incoming = await as_data(request)
    posted = [value for name, value in incoming.form if name == "SAMLResponse"]
    if len(posted) != 1:
        raise refusal.IdSystemAnswerRefused("no-response")
    step = step_of(request)
    asked = await step.gateway.outward.run(partial(response_in_reply_to, posted[0]))
    if asked is None:
        raise refusal.IdSystemAnswerRefused("unsolicited")
    return await _arrive(step, incoming, asked.removeprefix("_"))


async def openid_arrival(request: web.Request) -> web.StreamResponse:
    """GET /oidc/rp/callback: an authorization response; its state names the flow (RFC 6749 §4.1.2)."""
    incoming = await as_data(request)
    states = [value for name, value in incoming.parameters() if name == "state"]
    if len(states) != 1:
        raise refusal.FlowUnknown("no state, or several")
    return await _arrive(step_of(request), incoming, states[0])


async def _arrive(step: Step, incoming: WebRequest, handle: str) -> web.StreamResponse:
    flow = await _own_flow(step, handle)
    if flow.system is None or flow.memory is None:
        raise FlowUnknown("the flow is not away at an ID system")
    await _take(step, handle)
    memory = flow.memory
    system = step.region.systems.get(flow.system)
    service = _service(step.region, flow.request)

    async def go() -> web.StreamResponse:
        if system is None:
            raise refusal.IdSystemNotTrusted("the ID system left the region meanwhile")
        now = step.gateway.clock()
        identity = await step.gateway.outward.drive(step.region.connector(system.id).arrive(incoming, memory, now))
        conclusion = await step.gateway.outward.run(
            partial(
                login.conclude,
                flow,
                service,
                system,
                identity,
                identifiers=step.region.identifiers,
                now=now,
            )
        )
        record = await step.gateway.store.consent(conclusion.person, service.id)
        if record is not None and login.consent_needed(flow, service, conclusion, record, now) is None:
            return await _release(step, flow, service, conclusion, record)
        waiting = login.consenting(flow, conclusion)
        consent_handle = new_handle()
        await step.gateway.store.put_flow(consent_handle, waiting.to_json(), step.lifetime)
        return see_other(f"/login/{consent_handle}/consent")

    return await _refusable(step, flow, go)


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

    async def go() -> web.StreamResponse:
        return await _release(step, flow, service, conclusion, record)

    return await _refusable(step, flow, go)


async def carry_back(request: web.Request) -> web.StreamResponse:
    """GET /login/{handle}/return: the person read why it ended; the service gets a proper denial."""
    step = step_of(request)
    handle = request.match_info["handle"]
    flow = await _own_flow(step, handle)
    if flow.refused is None:
        raise FlowUnknown("the flow was not refused")
    await _take(step, handle)
    return await _deny(step, flow, refusal.by_code(flow.refused), recorded=True)


# --- the ends


async def _release(
    step: Step, flow: Flow, service: Service, conclusion: Conclusion, record: ConsentRecord
) -> web.StreamResponse:
    await _finish(step, flow)
    released = login.release(flow, service, conclusion, record, step.region.identifiers)
    frontend = step.region.frontend(flow.request.kind)
    granted = await step.gateway.outward.run(partial(frontend.grant, flow.request, released, step.gateway.clock()))
    await step.gateway.store.keep(granted.keep)
    _record(step, flow, conclusion, None)
    return await answer(step.request, granted.answer)


async def _deny(step: Step, flow: Flow, why: Refusal, *, recorded: bool = False) -> web.StreamResponse:
    await _finish(step, flow)
    frontend: Frontend = step.region.frontend(flow.request.kind)
    denial = await step.gateway.outward.run(partial(frontend.deny, flow.request, why, step.gateway.clock()))
    if not recorded:
        _record(step, flow, None, why)
    return await answer(step.request, denial)


async def _finish(step: Step, flow: Flow) -> None:
    """One request of a service is answered once: whoever takes its first step away may answer."""
    if await step.gateway.store.take_flow(flow.choice) is None:
        raise FlowUnknown("the service's request was answered before")


async def _refusable(step: Step, flow: Flow, go: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Do `go`; a refusal is shown to the person, with the way back to the service, who then gets a denial.

    A service that left the region meanwhile gets no answer any more.
    """
    try:
        return await go()
    except FlowUnknown:
        raise
    except Refusal as why:
        _record(step, flow, None, why)
        service = _service(step.region, flow.request)
        back = None
        if not isinstance(why, refusal.Unavailable | refusal.UnknownService):
            handle = new_handle()
            await step.gateway.store.put_flow(handle, login.refused(flow, why.code).to_json(), step.lifetime)
            back = f"/login/{handle}/return"
        return showing.refused(step.request, why, service=service, back=back, requested=flow.request.languages)


# --- helpers


async def _own_flow(step: Step, handle: str) -> Flow:
    """This browser's flow, which stays. Raises `FlowUnknown`, `OtherBrowser`."""
    if not HANDLE.fullmatch(handle):
        raise FlowUnknown("malformed handle")
    kept = await step.gateway.store.read_flow(handle)
    if kept is None:
        raise FlowUnknown("no such flow")
    flow = login.flow_from_json(kept)
    if flow.browser != browser(step.request, step.region):
        raise OtherBrowser("the flow belongs to another browser")
    return flow


async def _take(step: Step, handle: str) -> None:
    """Take the flow away from everybody else. Raises `FlowUnknown` for whoever comes second."""
    if await step.gateway.store.take_flow(handle) is None:
        raise FlowUnknown("taken meanwhile")


def _service(region: Region, asked: LoginRequest) -> Service:
    service = region.services.get(asked.service)
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


def _record(step: Step, flow: Flow | None, conclusion: Conclusion | None, why: Refusal | None) -> None:
    """One event for each end of a login."""
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
        )
    )
    if why is not None:
        log.info("login-refused", reason=why.code, detail=why.detail)
