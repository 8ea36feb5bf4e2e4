"""Carries a single logout through the browser: forgets the sessions, asks one peer after another, answers who began.

What belongs to a logout and who is next decides `federation/sessions.py`. Each step is bound to the browser and taken
once. What the gateway knows of the sessions is gone before the first peer is asked, so a browser that gets lost on the
way leaves nothing behind here that could still be used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from aiohttp import web

from federation import sessions
from federation.model import Keep, Kept, Texts
from federation.refusal import LogoutRefused, LogoutUnknown, Refusal, UnknownPath
from federation.saml import logout as messages
from federation.saml.logout import Asker, LogoutAsked, LogoutDeniedError, LogoutRefusedError
from federation.sessions import Initiator, Logout, Party, Session, Side
from federation.web import Redirect, WebRequest
from gateway import login, notices, showing
from gateway.context import (
    GATEWAY,
    HANDLE,
    REQUEST_ID,
    as_data,
    browser,
    browser_cookie,
    digest,
    new_handle,
    set_cookie,
)
from gateway.ending import Told
from gateway.login import Step, step_of
from gateway.pages import GoOnPage, SignedOutPage
from gateway.region import Region
from gateway.store import AlreadyClaimedError
from observability.events import EndReason, LogoutEvent, LogoutOutcome
from trust_lists.model import Endpoint, NotTrustedError, Role, TrustedEntity

log = structlog.get_logger("gateway.logout")

KIND, CLAIM = "logout", "logout-request"

IN_A_ROW = 4
"""Peers after which a page stands between the redirects; each costs two, and browsers give up after about twenty."""

ROLES = {Side.SERVICE: Role.SAML_SERVICE_PROVIDER, Side.ID_SYSTEM: Role.SAML_IDENTITY_PROVIDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Which of our entities is spoken to, and who stands outside."""

    entity_id: str
    side: Side

    @property
    def url(self) -> str:
        """The entity's address for logout."""
        return own_url(self.entity_id)


def own_url(entity_id: str) -> str:
    """Where an entity of ours takes logout messages; each entity ID is the address of its metadata."""
    return entity_id.removesuffix("/metadata") + "/slo"


async def from_service(request: web.Request) -> web.StreamResponse:
    """GET and POST /saml/slo: a service speaks to the gateway as its identity provider (SAML Profiles §4.4)."""
    region = request.app[GATEWAY].region
    return await _receive(request, Door(entity_id=region.saml_identity_provider.entity_id, side=Side.SERVICE))


async def from_municipal_service(request: web.Request) -> web.StreamResponse:
    """GET and POST /saml/{municipality}/slo: the same at the entity of one municipality."""
    found = request.app[GATEWAY].region.municipal_identity_providers.get(request.match_info["municipality"])
    if found is None:
        raise UnknownPath("no ID system of this municipality")
    return await _receive(request, Door(entity_id=found.entity_id, side=Side.SERVICE))


async def from_id_system(request: web.Request) -> web.StreamResponse:
    """GET and POST /saml/sp/slo: an ID system speaks to the gateway as its service provider."""
    region = request.app[GATEWAY].region
    return await _receive(request, Door(entity_id=region.saml_service_provider.entity_id, side=Side.ID_SYSTEM))


async def _receive(request: web.Request, door: Door) -> web.StreamResponse:
    step = step_of(request)
    try:
        incoming = await as_data(request)
        carried = [name for name, _ in incoming.parameters() if name in ("SAMLRequest", "SAMLResponse")]
        if carried == ["SAMLRequest"]:
            return await _asked(step, door, incoming)
        if carried == ["SAMLResponse"]:
            return await _answered(step, door, incoming)
        raise LogoutRefused("not exactly one message")
    except Refusal as why:
        _record(step, None, why.code)
        raise


# --- somebody asks


async def _asked(step: Step, door: Door, incoming: WebRequest) -> web.StreamResponse:
    now = step.gateway.clock()

    def find(entity_id: str) -> TrustedEntity:
        if _configured(step.region, door.side, entity_id) is None:
            raise LogoutRefusedError("not-configured")
        return step.region.trust.find(entity_id, ROLES[door.side], now)

    try:
        asked = await step.gateway.outward.run(
            partial(messages.read_request, incoming, url=door.url, find=find, now=now)
        )
    except NotTrustedError as untrusted:
        raise LogoutRefused(untrusted.code) from None
    except LogoutRefusedError as refused:
        raise LogoutRefused(refused.code) from None
    except LogoutDeniedError as denied:
        return await _deny(step, door, denied.asker, denied.status, denied.code)
    if not await _first_time(step, door, asked.asker):
        return await _deny(step, door, asked.asker, messages.REQUEST_DENIED, "replayed")
    ended = await _end(step, door, asked, now)
    if ended is None and door.side is Side.SERVICE:
        # Whether the person is still signed in elsewhere is not known: nothing can be confirmed (SAML Core §3.7.3.2).
        # Towards an ID system "nobody of that name is signed in here" is what it wants to hear.
        return await _deny(step, door, asked.asker, messages.UNKNOWN_PRINCIPAL, "unknown-principal")
    held = step.request.cookies.get(browser_cookie(step.region), "")
    cookie = held if HANDLE.fullmatch(held) else new_handle()
    initiator = _initiator(step.region, door, asked.asker)
    told = await _tell(step, initiator, ended or (), now)
    logout = sessions.begin(
        initiator,
        ended or (),
        browser=digest(cookie),
        own_entity=step.region.saml_service_provider.entity_id,
        now=now,
        confirmed=told.confirmed,
        unconfirmed=told.unconfirmed,
    )
    response = await _go_on(step, logout)
    if cookie != held:
        set_cookie(response, step.region, browser_cookie(step.region), cookie)
    return response


async def _first_time(step: Step, door: Door, asker: Asker) -> bool:
    claim = Kept(
        kind=CLAIM,
        key=f"{door.entity_id} {asker.entity_id} {asker.request_id}",
        value={},
        lifetime=messages.BELIEVED,
    )
    try:
        await step.gateway.store.keep(Keep(items=(claim,)), first=True)
    except AlreadyClaimedError:
        return False
    return True


async def _end(step: Step, door: Door, asked: LogoutAsked, now: datetime) -> tuple[Session, ...] | None:
    """Forget the sessions that the request ends; None if nobody is known by that name."""
    peer, name = asked.asker.entity_id, asked.name
    service = door.side is Side.SERVICE
    key = sessions.service_key(door.entity_id, peer, name) if service else sessions.id_system_key(peer, name)
    known = await step.gateway.store.sessions(key, now)
    if known is None:
        return None
    if service:
        named = sessions.of_service(known, door.entity_id, peer, name, asked.indexes)
    else:
        named = sessions.of_id_system(known, peer, name, asked.indexes)
    return await step.gateway.ending.forget(sessions.together(named, known), EndReason.LOGOUT)


async def _tell(step: Step, initiator: Initiator, ended: Iterable[Session], now: datetime) -> Told:
    """Tell the services that no browser can; the others are told by it, one after another."""
    mute = [each for each in sessions.others(initiator, ended) if not notices.by_browser(step.region, each, now)]
    return await step.gateway.ending.tell(mute, EndReason.LOGOUT)


def _initiator(region: Region, door: Door, asker: Asker) -> Initiator:
    return Initiator(
        side=door.side,
        id=_configured(region, door.side, asker.entity_id) or "",
        own_entity=door.entity_id,
        entity_id=asker.entity_id,
        request_id=asker.request_id,
        relay_state=asker.relay_state,
        answered=asker.answered,
    )


# --- somebody answers


async def _answered(step: Step, door: Door, incoming: WebRequest) -> web.StreamResponse:
    """The peer that holds the browser gives it back; an answer that is not believed confirms nothing."""
    in_reply_to = await step.gateway.outward.run(partial(messages.in_reply_to, incoming))
    handle = (in_reply_to or "").removeprefix("_")
    if not HANDLE.fullmatch(handle):
        raise LogoutUnknown("no InResponseTo of ours")
    kept = await step.gateway.store.read(KIND, handle)
    if kept is None:
        raise LogoutUnknown("no such logout")
    logout = sessions.logout_from_json(kept)
    if logout.browser != browser(step.request, step.region):
        raise LogoutUnknown("the logout belongs to another browser")
    if await step.gateway.store.take(KIND, handle) is None:
        raise LogoutUnknown("taken meanwhile")
    party = logout.asked
    ended = party is not None and await _confirms(step, door, incoming, party, in_reply_to or "")
    return await _go_on(step, sessions.heard(logout, ended=ended))


async def _confirms(step: Step, door: Door, incoming: WebRequest, party: Party, request_id: str) -> bool:
    now = step.gateway.clock()
    try:
        if door.entity_id != party.own_entity:
            raise LogoutRefusedError("other-address")  # noqa: TRY301 - one way out for all of them
        peer = step.region.trust.find(party.entity_id, ROLES[party.side], now)
        return await step.gateway.outward.run(
            partial(messages.read_response, incoming, url=door.url, peer=peer, request_id=request_id, now=now)
        )
    except (LogoutRefusedError, NotTrustedError) as refused:
        log.info("logout-answer-refused", detail=f"{party.side} {party.id}: {refused.code}")
        return False


# --- on to the next one, and the end


async def _go_on(step: Step, logout: Logout) -> web.StreamResponse:
    now = step.gateway.clock()
    while (party := sessions.next_step(logout)) is not None:
        address = _address(step, party.side, party.entity_id, now)
        if address is None:
            logout = sessions.passed_over(logout)
            continue
        handle = new_handle()
        kept = Kept(kind=KIND, key=handle, value=sessions.asking(logout).to_json(), lifetime=step.lifetime)
        await step.gateway.store.keep(Keep(items=(kept,)))
        request = partial(
            messages.request, party, address, request_id="_" + handle, signer=step.gateway.keys.saml, now=now
        )
        sent = await step.gateway.outward.run(request)
        asked = len(logout.done) + len(logout.failed)
        if isinstance(sent, Redirect) and asked and asked % IN_A_ROW == 0:
            return showing.show(step.request, GoOnPage(location=sent.location), switch=False)
        return await login.answer(step.request, sent)
    return await _finish(step, logout)


async def _finish(step: Step, logout: Logout) -> web.StreamResponse:
    """Tell whoever began; where that is impossible, or not wanted, the person reads how it ended."""
    now = step.gateway.clock()
    initiator = logout.initiator
    _record(step, logout, None)
    address = _address(step, initiator.side, initiator.entity_id, now) if initiator.answered else None
    if address is None:
        began = Party(side=initiator.side, id=initiator.id)
        done = tuple(_names(step.region, (began, *logout.done)))
        return showing.show(step.request, SignedOutPage(done=done, left=tuple(_names(step.region, logout.failed))))
    response = partial(
        messages.response,
        messages.success(partial=logout.partial),
        address,
        own_entity=initiator.own_entity,
        in_response_to=initiator.request_id,
        relay_state=initiator.relay_state,
        signer=step.gateway.keys.saml,
        now=now,
    )
    return await login.answer(step.request, await step.gateway.outward.run(response))


async def _deny(step: Step, door: Door, asker: Asker, status: str, code: str) -> web.StreamResponse:
    """Answer a request that is the peer's own but is not followed."""
    now = step.gateway.clock()
    address = _address(step, door.side, asker.entity_id, now) if asker.answered else None
    if address is None or not asker.request_id:
        raise LogoutRefused(code)
    _record(step, None, LogoutRefused.code)
    log.info("logout-refused", reason=LogoutRefused.code, detail=code)
    response = partial(
        messages.response,
        messages.failure(status),
        address,
        own_entity=door.entity_id,
        in_response_to=asker.request_id,
        relay_state=asker.relay_state,
        signer=step.gateway.keys.saml,
        now=now,
    )
    return await login.answer(step.request, await step.gateway.outward.run(response))


# --- helpers


def _configured(region: Region, side: Side, entity_id: str) -> str | None:
    """The configured id of a SAML peer."""
    known = region.services if side is Side.SERVICE else region.systems
    return next((each.id for each in known.values() if each.kind == "saml" and each.entity_id == entity_id), None)


def _address(step: Step, side: Side, entity_id: str, now: datetime) -> Endpoint | None:
    """Where a peer takes logout messages, if it is still a member and lists it."""
    if _configured(step.region, side, entity_id) is None:
        return None
    try:
        return messages.endpoint(step.region.trust.find(entity_id, ROLES[side], now), ROLES[side])
    except NotTrustedError:
        return None


def _names(region: Region, parties: tuple[Party, ...]) -> list[Texts]:
    """What people call them; who left the region meanwhile is left out."""
    found: dict[tuple[Side, str], Texts] = {}
    for party in parties:
        known = region.services if party.side is Side.SERVICE else region.systems
        if party.id in known:
            found[party.side, party.id] = known[party.id].name
    return list(found.values())


def _record(step: Step, logout: Logout | None, reason: str | None) -> None:
    """One event for each end of a logout."""
    now = step.gateway.clock()
    outcome = LogoutOutcome.REFUSED
    if logout is not None:
        outcome = LogoutOutcome.PARTIAL if logout.partial else LogoutOutcome.COMPLETE
    initiator = None if logout is None else logout.initiator
    step.gateway.recorder.record(
        LogoutEvent(
            outcome=outcome,
            reason=reason,
            seconds=0.0 if logout is None else (now - logout.begun_at).total_seconds(),
            request_id=step.request[REQUEST_ID],
            at=now,
            service=initiator.id if initiator is not None and initiator.side is Side.SERVICE else None,
            id_system=initiator.id if initiator is not None and initiator.side is Side.ID_SYSTEM else None,
            told=0 if logout is None else len(logout.done),
            untold=0 if logout is None else len(logout.failed),
        )
    )
