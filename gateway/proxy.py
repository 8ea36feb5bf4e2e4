"""Calls of residents' apps to shared regional services: `/api/…`.

The rules stand in `federation/access.py`; this file carries: it asks them, forwards what they allow, and
streams both bodies without holding either. Every refusal is problem JSON (RFC 9457), and every call is one
event.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from time import perf_counter  # the event loop's own clock counts whole milliseconds

import structlog
from aiohttp import HttpVersion11, web

from federation import access
from federation.access import Circumstances, Match
from federation.guard import Outcome
from federation.idempotency import HEADER, key_of
from federation.oidc.exchange import ASSERTION_TYPE
from federation.oidc.jose import sign
from federation.refusal import (
    CallForbiddenContent,
    CallRefusal,
    CallUnavailable,
    Refusal,
    TokenInvalid,
    UpstreamBusy,
    UpstreamTooSlow,
    UpstreamUnreachable,
)
from federation.signatures.algorithms import MessageSigner
from federation.signatures.message import Request
from gateway import binding, safe_headers
from gateway.body_guard import CallGuard, Told
from gateway.calls import trailers, websockets
from gateway.calls.answering import GIVEN_UP, give, hung_up, is_endless
from gateway.calls.asking import asked
from gateway.calls.bodies import EXPECTS, body
from gateway.calls.callers import STANDING, Callers, Known, Pass
from gateway.calls.desk import DESK, Desk
from gateway.calls.keyed import answered_once
from gateway.calls.once import MOST_BODY, Once
from gateway.calls.tally import BrokenOffError, CallerGoneError, Tally
from gateway.context import GATEWAY, REQUEST_ID, Gateway
from gateway.idempotency import Idempotency
from gateway.patience import Patience
from gateway.problems import problem
from gateway.region import Region
from gateway.upstream.http1 import Outgoing, UpstreamError
from gateway.upstream.pool import BusyError
from observability.events import CallEvent, CallOutcome, GuardEvent, call_outcome

log = structlog.get_logger("gateway.proxy")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that ask for nothing but an answer (RFC 9110 §9.2.1)."""

CALLERS = web.AppKey("callers", Callers)


async def connections(app: web.Application) -> AsyncIterator[None]:
    """What calls are carried with, while the application runs."""
    gateway = app[GATEWAY]
    once = Once(Idempotency(gateway.store, gateway.keys.sealing))
    app[DESK] = Desk(
        gateway=gateway,
        callers=app[CALLERS],
        pools=gateway.pools,
        once=once,
        signer=MessageSigner.of(gateway.keys.assertion),
    )
    async with contextlib.asynccontextmanager(websockets.tunnels)(app):
        yield
    await once.close()


async def expected(request: web.Request) -> None:
    """Wait with `100 Continue` until the body is wanted (RFC 9110 §10.1.1): who may not call need not send it."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    request[EXPECTS] = request.version >= HttpVersion11


async def call(request: web.Request) -> web.StreamResponse:
    """Any method on /api/…."""
    return await carried(request, request.app[DESK])


async def carried(request: web.Request, desk: Desk) -> web.StreamResponse:
    """Decide, forward, stream back."""
    gateway = desk.gateway
    region = gateway.region
    tally = Tally(desk=desk, begun=perf_counter())
    gateway.metrics.call_begins()
    try:
        response = await _forward(request, region, tally)
    except asyncio.CancelledError:
        _record(request, tally, GIVEN_UP, None, outcome=CallOutcome.ABANDONED)
        raise
    except CallerGoneError:
        _record(request, tally, GIVEN_UP, None, outcome=CallOutcome.ABANDONED)
        return hung_up(request, tally)
    except BrokenOffError as end:
        status = GIVEN_UP if tally.response is None else tally.response.status
        refused = isinstance(end.why, TokenInvalid)
        _record(request, tally, status, end.why, outcome=CallOutcome.REFUSED if refused else CallOutcome.FAILED)
        return hung_up(request, tally)
    except Refusal as why:
        refusal = why if isinstance(why, CallRefusal) else CallUnavailable(why.detail)
        told = not isinstance(refusal, CallForbiddenContent)  # it may stand in the path
        response = _problem(refusal, request, region, told=told)
        _record(request, tally, response.status, refusal)
        if request.get(EXPECTS):
            response.force_close()  # whether the body comes all the same nobody knows (RFC 9110 §10.1.1)
        return response
    except Exception:
        log.exception("fault", request_id=request[REQUEST_ID])
        _record(request, tally, CallUnavailable.status, CallUnavailable())
        if tally.response is not None and tally.response.prepared:
            return hung_up(request, tally)
        return _problem(CallUnavailable(), request, region, told=False)
    finally:
        gateway.metrics.call_ends()
    _record(request, tally, response.status, None)
    return response


def _problem(refusal: CallRefusal, request: web.Request, region: Region, *, told: bool) -> web.Response:
    response = problem(request, refusal, told=told)
    safe_headers.stamp(response.headers, secure=region.secure)
    return response


async def _forward(request: web.Request, region: Region, tally: Tally) -> web.StreamResponse:
    desk = tally.desk
    callers = desk.callers
    raw_path, _, query = request.raw_path.partition("?")
    match = tally.match = region.routes.match(request.method, raw_path)
    now = desk.gateway.clock()
    known = callers.find(request.headers.getall("Authorization", ()), region, now)
    if not known.as_it_is:
        binding.check(request, region, binding.held(request), known.caller.binding, now, desk.gateway.replays)
    tally.caller = known.caller
    route = match.route
    limit = region.configuration.gateway.limits.api_body_mib * 1024 * 1024
    passed = None if request.body_exists else known.passed(request.method, raw_path, now)
    if passed is None:
        passed = _passed(request, region, known, match, desk, now, limit)
    desk.gateway.check_evidence()
    desk.gateway.quotas.admit(route, known.caller)
    service = passed.service
    headers = access.forward_headers(request.headers.items(), passed.assertion, request[REQUEST_ID])
    if route.guard is not None:
        guard = tally.guard = CallGuard(route.guard, _guarded(request, desk.gateway, match))
        guard.address(raw_path, query, headers)
        headers = guard.forwarded(headers)
    limit = access.body_limit(route, limit)
    target = f"{match.upstream_path}?{query}" if query else match.upstream_path
    tally.upstream_begun = perf_counter()
    seconds = service.timeout.total_seconds()
    if route.terms.websocket and websockets.wanted(request):
        tally.response = await websockets.carry(
            request,
            desk.pools.of(service),
            target,
            headers,
            limit=limit,
            seconds=seconds,
            whose=websockets.Whose(
                known.caller.person or known.caller.client, region.configuration.gateway.limits.websockets
            ),
            still=lambda: callers.still(known, desk.gateway.region, desk.gateway.clock()),
        )
        return tally.response
    key = key_of(request.headers.getall(HEADER, ()), route.terms.idempotency, request.method)
    headers.append(("Kakehashi-Timeout", f"{seconds:g}"))
    headers += trailers.asked(request, tally.guard)
    outgoing = Outgoing(method=request.method, target=target, headers=headers, length=request.content_length)
    patience = Patience(request, seconds, desk.watch, lambda: not callers.revoked(known))
    try:
        with patience:
            if key is not None:
                most = min(limit, MOST_BODY)
                return await answered_once(request, service, outgoing, key, most, tally=tally, patience=patience)
            if request.body_exists:
                outgoing.body = await body(request, limit, tally, patience)
                trailers.pass_on(request, outgoing, known.caller, tally.guard)
            answer, check = await asked(service, outgoing, tally)
            try:
                if is_endless(answer):
                    patience.still = lambda: callers.still(known, desk.gateway.region, desk.gateway.clock())
                return await give(request, answer, check, tally, patience)
            except BaseException:
                answer.abandon()
                raise
    except (UpstreamError, OSError) as fault:
        tally.upstream_ended = tally.upstream_ended or perf_counter()
        raise _end(request, tally, patience, fault) from fault


def _passed(  # noqa: PLR0917 - what a decision is made of
    request: web.Request, region: Region, known: Known, match: Match, desk: Desk, now: datetime, limit: int
) -> Pass:
    """Ask the rules, and remember what they say of a call that can only be said again. Raises what they refuse with."""
    route = match.route
    access.decide(route, known.caller, _circumstances(request, now, desk.callers.council(region, now), limit))
    service = region.api_services[route.service]
    passed = Pass(
        service=service,
        assertion=_assertion(request, region, known, match, desk, now),
        since=now,
        until=now + STANDING,
    )
    if request.method in SAFE and not request.body_exists and route.terms.opening is None:
        known.remember(request.method, request.raw_path.partition("?")[0], passed)
    return passed


def _circumstances(request: web.Request, now: datetime, council: frozenset[str], limit: int) -> Circumstances:
    """What the decision rests on; a body without a type counts as `application/octet-stream` (RFC 9110 §8.3)."""
    return Circumstances(
        now=now,
        council=council,
        content_type=request.content_type.lower() if request.body_exists else None,
        length=request.content_length,
        limit=limit,
    )


def _assertion(  # noqa: PLR0917 - what an assertion is made of
    request: web.Request, region: Region, known: Known, match: Match, desk: Desk, now: datetime
) -> str:
    """The identity assertion of this call; calls that change nothing (RFC 9110 §9.2.1) share one for a while."""
    service = region.api_services[match.route.service]

    def make() -> str:
        claims = access.assertion_claims(
            known.caller,
            match,
            service,
            region.identifiers,
            issuer=region.public_url,
            now=now,
            request_id=request[REQUEST_ID],
        )
        return sign(claims, desk.gateway.keys.assertion, ASSERTION_TYPE)

    if request.method not in SAFE:
        return make()
    route = match.route
    key = (service.id, route.scope, route.subject, match.context if route.context else None)
    return known.assertion(key, now, make)


def _guarded(request: web.Request, gateway: Gateway, match: Match) -> Told:
    """Who records what the guard finds in this call."""

    def told(kind: str, outcome: Outcome, rule: str, direction: str) -> None:
        gateway.recorder.record(
            GuardEvent(
                kind=kind,
                outcome=outcome,
                rule=rule,
                direction=direction,
                where="call",
                request_id=request[REQUEST_ID],
                at=gateway.clock(),
                service=match.route.service,
                route=match.route.path,
            )
        )

    return told


def _end(request: web.Request, tally: Tally, patience: Patience, fault: Exception) -> Exception:
    """What the end of a call that could not be finished means: whoever it was that did not go on."""
    if patience.forbidden:
        why: CallRefusal = TokenInvalid("ended while the call was under way")
        return why if tally.response is None or not tally.response.prepared else BrokenOffError(why)
    if patience.gone or request.transport is None or request.transport.is_closing():
        return CallerGoneError()
    detail = fault.code if isinstance(fault, UpstreamError) else type(fault).__name__
    slow = isinstance(fault, TimeoutError)
    busy = isinstance(fault, BusyError)
    why = tally.refusal or (UpstreamTooSlow if slow else UpstreamBusy if busy else UpstreamUnreachable)(detail)
    if tally.response is None or not tally.response.prepared:
        return why
    return BrokenOffError(why)


def _digest_of_signature(signed: Request) -> str:
    """The SHA-256 of the gateway's own signature, which is the header that was added last (RFC 9421 §4.2)."""
    return hashlib.sha256(signed.headers[-1][1].encode()).hexdigest()


def _record(
    request: web.Request,
    tally: Tally,
    status: int,
    why: CallRefusal | None,
    *,
    outcome: CallOutcome | None = None,
) -> None:
    ended = perf_counter()
    upstream = None
    if tally.upstream_begun is not None:
        upstream = (tally.upstream_ended or ended) - tally.upstream_begun
    gateway = tally.desk.gateway
    gateway.recorder.record(
        CallEvent(
            outcome=outcome or call_outcome(status, why),
            status=status,
            reason=None if why is None else why.code,
            own_seconds=max(0.0, ended - tally.begun - (upstream or 0.0)),
            upstream_seconds=upstream,
            request_id=request[REQUEST_ID],
            at=gateway.clock(),
            route=None if tally.match is None else tally.match.route.path,
            service=None if tally.match is None else tally.match.route.service,
            municipality=None if tally.caller is None else tally.caller.municipality,
            method=request.method,
            caller=tally.caller,
            signature=None if tally.signed is None else _digest_of_signature(tally.signed),
            answer_signature=None if tally.verified is None else tally.verified.base,
        )
    )
    if why is not None:
        log.info("call-refused", reason=why.code, detail=why.detail, request_id=request[REQUEST_ID])
