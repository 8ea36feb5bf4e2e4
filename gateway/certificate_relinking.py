"""Asks whose a certificate is that is new here, of an issuer that promises nothing.

Where an ID system knows people by their certificates' keys (`subject: key`), a renewed certificate would be a stranger.
So after the browser has shown that the certificate is its person's, it is looked up whose it is (a row of the store,
`certificate-person`). If nobody knows, the person says: it is my first time, or I had another certificate before. Then
the former one signs, too: a pair of requests like the first, under a handle of their own, which lead through the same
pages and the same confirmation; what the new certificate proved waits in the flow, sealed like every flow.

What is written is written once, before the sign-in goes on. A certificate that is known is never asked about again, so
two people cannot become one, and each row names the first certificate of its person, so there is no chain to follow.
`federation/certificate/relinking.py` has the rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from federation.certificate import relinking
from federation.certificate.connector import CertificateConnector
from federation.certificate.model import CertificateRefusedError
from federation.certificate.subject import KEY
from federation.flow import Flow
from federation.model import Departure, Service
from federation.refusal import (
    BadRequest,
    CertificateRevoked,
    FlowUnknown,
    IdSystemDenied,
    IdSystemNotTrusted,
    Refusal,
)
from federation.web import Json
from gateway import login, pages, showing
from gateway.certificate_standing import ANSWER, WAITING, refusal_of
from gateway.context import GATEWAY, Gateway, new_handle
from gateway.pages import DECISION_FIELD, FIRST, LOST, RENEWED, STOP

log = structlog.get_logger("gateway.certificate_relinking")

NEW = "new-certificate"
"""Where a flow remembers what the new certificate proved."""

REQUESTS = "requests"
"""Where a flow remembers what it asked a phone (`CertificateConnector.depart`)."""

_LOST = "former-lost"

_OTHERWISE = "it knows people otherwise meanwhile"


# --- the browser is its person's: whose certificate is it?


async def go_on(request: web.Request, handle: str, flow: Flow, proof: Json) -> web.StreamResponse:
    """Go on with what a certificate proved, as the person whose it is; ask, if nobody knows.

    `flow` is the browser's own, as it was read under `handle`.
    """
    gateway = request.app[GATEWAY]
    connector = _by_key(gateway, flow)
    assert flow.memory is not None  # it waits
    new = flow.memory.get(NEW)
    if new is not None and REQUESTS in flow.memory:  # a former certificate signs nobody in by itself
        if connector is None:
            return await login.stopped(request, handle, IdSystemNotTrusted(_OTHERWISE))
        return await _link(request, handle, connector, new=new, former=proof)
    if connector is None:
        return await login.proved(request, handle, proof, flow)
    first = await gateway.store.certificate_person(connector.system.entity_id, proof["subject"])
    if first is not None:
        return await login.proved(request, handle, _as(first, proof), flow)
    return login.see_other(f"/certificate/{await _turn(gateway, handle, flow, {NEW: proof})}/new")


def _by_key(gateway: Gateway, flow: Flow) -> CertificateConnector | None:
    """The connector of the flow's ID system, if that knows people by nothing but their keys."""
    found = gateway.region.connectors.get(flow.system or "")
    return found if isinstance(found, CertificateConnector) and found.settings.subject == KEY else None


def _as(first: str, proof: Json) -> Json:
    """What was proved, of the person who was known by `first` before."""
    return {**proof, "subject": first}


async def _turn(gateway: Gateway, handle: str, flow: Flow, memory: Mapping[str, Any], new: str = "") -> str:
    """Take the flow's step away from everybody else; its next one has the new handle that is answered.

    Raises `FlowUnknown` for whoever comes second.
    """
    new = new or new_handle()
    if await gateway.store.take_flow(handle) is None:
        raise FlowUnknown("taken meanwhile")
    await gateway.store.put_flow(new, replace(flow, memory=memory).to_json(), gateway.region.flow_lifetime)
    return new


# --- the page that asks


async def page(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}/new: asks whether it is the first time, or there was a certificate before."""
    handle = request.match_info["handle"]
    flow, service, memory = await _own(request)
    if REQUESTS in memory:  # the former one is asked for
        return login.see_other(f"/certificate/{handle}")
    connector = _by_key(request.app[GATEWAY], flow)
    if connector is None:
        return await login.stopped(request, handle, IdSystemNotTrusted(_OTHERWISE))
    shown = pages.NewCertificatePage(
        service=pages.ServiceLink.of(service),
        municipality=connector.system.name,
        action=f"/certificate/{handle}",
        csrf=login.csrf(request),
        lost=_LOST in memory,
    )
    return showing.show(request, shown, requested=flow.request.languages)


async def _own(request: web.Request) -> tuple[Flow, Service, Json]:
    flow, service = await login.waiting(request, request.match_info["handle"])
    if flow.memory is None or NEW not in flow.memory:
        raise FlowUnknown("the flow has no new certificate")
    return flow, service, flow.memory


async def decide(request: web.Request) -> web.StreamResponse:
    """POST /certificate/{handle}/new: the person says which, or that the former certificate is not at hand any more."""
    handle = request.match_info["handle"]
    flow, service, memory = await _own(request)
    decision = (await login.form(request)).get(DECISION_FIELD, "")
    gateway = request.app[GATEWAY]
    if REQUESTS in memory and decision == LOST:
        turned = await _turn(gateway, handle, flow, {NEW: memory[NEW], _LOST: True})
        await _forget(request, handle)
        return login.see_other(f"/certificate/{turned}/new")
    if REQUESTS in memory or decision not in (FIRST, RENEWED, STOP):
        raise BadRequest("the decision is none of those that the page offers")
    connector = _by_key(gateway, flow)
    if connector is None:
        return await login.stopped(request, handle, IdSystemNotTrusted(_OTHERWISE))
    if decision == STOP:
        return await login.given_up(request, handle, IdSystemDenied("stopped at a certificate that is new here"))
    if decision == RENEWED:
        return await _ask_former(request, handle, flow, service, connector)
    subject = memory[NEW]["subject"]
    turned = await _turn(gateway, handle, flow, {})  # before anything is written: of two decisions one counts
    first = await gateway.store.keep_certificate_person(connector.system.entity_id, subject, subject)
    log.info("certificate-first-time", id_system=connector.system.id)
    return await login.proved(request, turned, _as(first, memory[NEW]))


async def _forget(request: web.Request, handle: str) -> None:
    """What a phone answered to a step that is over, and who waits for it."""
    await request.app[WAITING].forget_and_tell(ANSWER, handle)


async def _ask_former(
    request: web.Request, handle: str, flow: Flow, service: Service, connector: CertificateConnector
) -> web.StreamResponse:
    """A pair of requests for the former certificate. They ask for no attribute, and say what they are for."""
    gateway = request.app[GATEWAY]
    assert flow.memory is not None  # it has a new certificate
    new = new_handle()
    departure = Departure(
        handle=new,
        force_authentication=False,
        languages=flow.request.languages,
        service=replace(service, purpose=relinking.PURPOSE),
        claims=(),
    )
    try:
        departed = await gateway.outward.drive(connector.depart(departure, gateway.clock()), brief=connector.brief)
    except Refusal as why:
        return await login.stopped(request, handle, why)
    await gateway.store.keep(departed.keep)
    await _turn(gateway, handle, flow, {**departed.memory, "card": None, NEW: flow.memory[NEW]}, new)
    return await login.answer(request, departed.answer)


# --- both certificates are there


async def _link(
    request: web.Request, handle: str, connector: CertificateConnector, *, new: Json, former: Json
) -> web.StreamResponse:
    """The new certificate becomes that of the former one's person, if the two are one person's. Written once."""
    gateway, entity_id = request.app[GATEWAY], connector.system.entity_id
    shown = relinking.shown(former)
    try:
        first = relinking.check(
            relinking.Link(
                new=relinking.shown(new),
                former=shown,
                first=await gateway.store.certificate_person(entity_id, shown.subject),
                reissue_revokes=connector.settings.reissue_revokes,
            )
        )
    except relinking.LinkRefusedError as why:
        log.info("certificate-not-linked", reason=why.code, id_system=connector.system.id)
        return await login.stopped(request, handle, relinking.link_refusal(why))
    if connector.settings.reissue_revokes:  # a certificate that a newer one ended speaks for nobody
        person = gateway.region.identifiers.person(entity_id, first)
        if await gateway.certificates.newest(person, shown.issued_at) > shown.issued_at:
            return await login.stopped(request, handle, CertificateRevoked("replaced"))
    kept = await gateway.store.keep_certificate_person(entity_id, new["subject"], first)
    if kept == first:  # else it became somebody's meanwhile, in another window
        log.info("certificate-linked", id_system=connector.system.id)
    return await login.proved(request, handle, _as(kept, new))


def refusal_of_former(why: CertificateRefusedError) -> Refusal:
    """What the person is told of a former certificate's answer; the log says exactly what it was."""
    own = relinking.FORMER_REFUSALS.get(why.code)
    return refusal_of(why) if own is None else own(why.code)


ROUTES: Sequence[web.RouteDef] = (
    web.get("/certificate/{handle}/new", page, allow_head=False),
    web.post("/certificate/{handle}/new", decide),
)
