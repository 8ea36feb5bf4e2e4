"""Calls of residents' apps to shared regional services: `/api/…`.

The rules stand in `federation/access.py`; this file carries: it asks them, forwards what they allow, and
streams both bodies without holding either. Every refusal is problem JSON (RFC 9457), and every call is one
event.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter  # the event loop's own clock counts whole milliseconds

import structlog
from aiohttp import HttpVersion11, web
from multidict import CIMultiDict

from federation import access
from federation.access import ApiService, Circumstances, Match
from federation.callers import Caller, CallerKind
from federation.guard import Outcome
from federation.idempotency import HEADER, REPLAYED, Replay, fingerprint, key_of, scope, write_key
from federation.oidc.exchange import ASSERTION_TYPE
from federation.oidc.jose import sign
from federation.refusal import (
    BodyTooLarge,
    CallForbiddenContent,
    CallRefusal,
    CallUnavailable,
    Refusal,
    UpstreamBusy,
    UpstreamTooSlow,
    UpstreamUnreachable,
)
from federation.signatures.algorithms import MessageSigner
from federation.signatures.calls import AnswerCheck, Demand, check_answer, signed_call
from federation.signatures.message import Request, Response
from federation.signatures.signing import Verified
from gateway import binding
from gateway.body_guard import CallGuard, Told
from gateway.calls import websockets
from gateway.calls.callers import Callers, Known
from gateway.calls.once import MOST_BODY, Once
from gateway.calls.signatures import Check, caller_digest, held_back
from gateway.context import GATEWAY, REQUEST_ID, Gateway
from gateway.idempotency import Idempotency
from gateway.patience import Patience
from gateway.region import Region
from gateway.upstream.http1 import Answer, Outgoing, UpstreamError
from gateway.upstream.pool import BusyError, UnreachableError
from gateway.upstream.pools import Pools
from observability.events import CallEvent, CallOutcome, GuardEvent, call_outcome

log = structlog.get_logger("gateway.proxy")

CHUNK = 64 * 1024
"""Bytes that are on the way at once, in each direction of a call."""

CONNECT_SECONDS = 5.0
"""How long a connection to a service may take to open, if the service's own limit is not shorter."""

POOLS = web.AppKey("pools", Pools)

IN_MEMORY = 64 * 1024
"""Bytes of a body that are waited for before the service is asked: then it is asked in one piece, or not at all."""

ANSWERS = range(200, 600)
"""Statuses that a service may answer with: no protocol switch, and nothing outside HTTP (RFC 9110 §15)."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that ask for nothing but an answer (RFC 9110 §9.2.1)."""

CALLERS = web.AppKey("callers", Callers)

EXPECTS = web.RequestKey("expects", bool)
"""Set while a caller waits to hear that its body is wanted."""

ONCE = web.AppKey("once", Once)

SIGNER = web.AppKey("call_signer", MessageSigner)

SIGNATURES = frozenset({"signature", "signature-input"})
"""Headers of a caller's own signatures, which are for the gateway: it signs what it asks in its own name."""

GIVEN_UP = 499
"""What is counted as the status of a call whose caller went away: nobody was answered."""


async def connections(app: web.Application) -> AsyncIterator[None]:
    """The connections to all services."""
    gateway = app[GATEWAY]
    pools = app[POOLS] = Pools()
    once = app[ONCE] = Once(Idempotency(gateway.store, gateway.keys.sealing))
    app[SIGNER] = MessageSigner.of(gateway.keys.assertion)
    async with contextlib.asynccontextmanager(websockets.tunnels)(app):
        yield
    await once.close()
    pools.close()


@dataclass(slots=True)
class Tally:
    """What is known of a call so far, for its event; `refusal` is what the caller's own body made us say.

    `signed` is the request as the gateway signed it, `verified` the signature of the service's answer.
    """

    begun: float
    match: Match | None = None
    caller: Caller | None = None
    upstream_begun: float | None = None
    upstream_ended: float | None = None
    response: web.StreamResponse | None = None
    refusal: CallRefusal | None = None
    signed: Request | None = None
    verified: Verified | None = None
    guard: CallGuard = field(default_factory=lambda: CallGuard(None, lambda *_: None))


class CallerGoneError(Exception):
    """The caller went away, or broke off its own body: nobody is left to answer."""


class BrokenOffError(Exception):
    """The answer cannot go on after its headers were sent; `why` is what would have been said before."""

    def __init__(self, why: CallRefusal) -> None:
        super().__init__(why.code)
        self.why = why


async def expected(request: web.Request) -> None:
    """Wait with `100 Continue` until the body is wanted (RFC 9110 §10.1.1): who may not call need not send it."""
    if request.headers["Expect"].lower() != "100-continue":
        raise web.HTTPExpectationFailed
    request[EXPECTS] = request.version >= HttpVersion11


async def call(request: web.Request) -> web.StreamResponse:
    """Any method on /api/…: decide, forward, stream back."""
    gateway = request.app[GATEWAY]
    region = gateway.region
    tally = Tally(begun=perf_counter())
    gateway.metrics.call_begins()
    try:
        response = await _forward(request, gateway, region, tally)
    except asyncio.CancelledError:
        _record(request, gateway, tally, GIVEN_UP, None, outcome=CallOutcome.ABANDONED)
        raise
    except CallerGoneError:
        _record(request, gateway, tally, GIVEN_UP, None, outcome=CallOutcome.ABANDONED)
        return _hung_up(request, tally)
    except BrokenOffError as end:
        status = GIVEN_UP if tally.response is None else tally.response.status
        _record(request, gateway, tally, status, end.why, outcome=CallOutcome.FAILED)
        return _hung_up(request, tally)
    except Refusal as why:
        refusal = why if isinstance(why, CallRefusal) else CallUnavailable(why.detail)
        told = None if isinstance(refusal, CallForbiddenContent) else request.path  # it may stand in the path
        status, headers, body = access.problem(refusal, request_id=request[REQUEST_ID], instance=told)
        _record(request, gateway, tally, status, refusal)
        response = web.Response(status=status, headers=headers, body=body)
        if request.get(EXPECTS):
            response.force_close()  # whether the body comes all the same nobody knows (RFC 9110 §10.1.1)
        return response
    except Exception:
        _record(request, gateway, tally, CallUnavailable.status, CallUnavailable())
        if tally.response is None or not tally.response.prepared:
            raise
        log.exception("fault", request_id=request[REQUEST_ID])
        return _hung_up(request, tally)
    finally:
        gateway.metrics.call_ends()
    _record(request, gateway, tally, response.status, None)
    return response


async def _forward(request: web.Request, gateway: Gateway, region: Region, tally: Tally) -> web.StreamResponse:
    raw_path, _, query = request.raw_path.partition("?")
    match = tally.match = region.routes.match(request.method, raw_path)
    now = gateway.clock()
    callers = request.app[CALLERS]
    known = callers.find(request.headers.getall("Authorization", ()), region, now)
    if not known.as_it_is:
        binding.check(request, region, binding.held(request), known.caller.binding, now)
    caller = tally.caller = known.caller
    limit = region.configuration.gateway.limits.api_body_mib * 1024 * 1024
    access.decide(match.route, caller, _circumstances(request, now, callers.council(region, now), limit))
    gateway.quotas.admit(match.route, caller)
    service = region.api_services[match.route.service]
    assertion = _assertion(request, region, known, match, now)
    headers = access.forward_headers(request.headers.items(), assertion, request[REQUEST_ID])
    guard = tally.guard = CallGuard(match.route.guard, _guarded(request, gateway, match))
    guard.address(raw_path, query, headers)
    headers = guard.forwarded(headers)
    seconds = service.timeout.total_seconds()
    patience = Patience(request, seconds)
    limit = access.body_limit(match.route, limit)
    asked = match.upstream_path + (f"?{query}" if query else "")
    if match.route.terms.websocket and websockets.wanted(request):
        tally.upstream_begun = perf_counter()
        tally.response = await websockets.carry(
            request,
            service.upstream.rstrip("/") + asked,
            headers,
            limit=limit,
            seconds=seconds,
            still=lambda: callers.still(known, gateway.region, gateway.clock()),
        )
        return tally.response
    key = key_of(request.headers.getall(HEADER, ()), match.route.terms.idempotency, request.method)
    outgoing = Outgoing(
        method=request.method,
        target=asked,
        headers=[header for header in headers if header[0].lower() != "content-length"],
        length=request.content_length,
    )
    tally.upstream_begun = perf_counter()
    try:
        with patience:
            if key is not None:
                return await _once(
                    request, service, outgoing, key, min(limit, MOST_BODY), tally=tally, patience=patience
                )
            if request.body_exists:
                outgoing.body = await _body(request, limit, tally, patience)
            answer, check = await _asked(request, service, outgoing, tally)
            try:
                return await _answer(request, answer, check, tally, patience)
            except BaseException:
                answer.abandon()
                raise
    except (UpstreamError, OSError) as fault:
        tally.upstream_ended = tally.upstream_ended or perf_counter()
        raise _end(request, tally, patience, fault) from fault


async def _asked(
    request: web.Request, service: ApiService, outgoing: Outgoing, tally: Tally, *, repeats: bool = False
) -> tuple[Answer, AnswerCheck | None]:
    """Ask the service, signed if a municipality's system calls: its answer, whose headers hold what they must.

    `repeats`: the service does nothing twice if it is asked twice.
    """
    asked = None
    system = tally.caller is not None and tally.caller.kind is CallerKind.SYSTEM
    if system or service.answers is not Demand.NONE:
        url = service.upstream.rstrip("/") + outgoing.target
        asked = Request(method=outgoing.method, url=url, headers=outgoing.headers)
    if asked is not None and system:
        asked = _signed(request, asked, outgoing, tally)
    seconds = service.timeout.total_seconds()
    answer = (
        await request.app[POOLS]
        .of(service)
        .send(outgoing, connect_seconds=min(CONNECT_SECONDS, seconds), seconds=seconds, safe=repeats)
    )
    if asked is None or service.answers is Demand.NONE:
        return answer, None
    response = Response(status=answer.status, headers=answer.headers, request=asked)
    try:
        check = check_answer(response, service.answer_keys, service.answers, request.app[GATEWAY].clock())
    except CallRefusal:
        answer.abandon()
        raise
    tally.verified = check.verified
    return answer, check


def _signed(request: web.Request, asked: Request, outgoing: Outgoing, tally: Tally) -> Request:
    """The request with the gateway's signature; a body that streams is held against the digest that its caller sent."""
    own = [header for header in outgoing.headers if header[0].lower() not in SIGNATURES]
    body = outgoing.body if isinstance(outgoing.body, bytes) else None
    signed = tally.signed = signed_call(
        replace(asked, headers=own), body, request.app[SIGNER], request.app[GATEWAY].clock()
    )
    outgoing.headers = signed.headers
    digest = caller_digest(own)
    if digest is not None and outgoing.body is not None and not isinstance(outgoing.body, bytes):
        outgoing.body = _digested(outgoing.body, digest, tally)
    return signed


async def _once(
    request: web.Request,
    service: ApiService,
    outgoing: Outgoing,
    key: str,
    limit: int,
    *,
    tally: Tally,
    patience: Patience,
) -> web.StreamResponse:
    """A call with a key: its one answer, given by the service now or before."""
    assert tally.match is not None
    assert tally.caller is not None
    body = b"".join([piece async for piece in _upload(request, limit, tally, patience)])
    outgoing.body = body if request.body_exists else None
    path, _, query = outgoing.target.partition("?")
    asked = fingerprint(
        method=request.method,
        path=path,
        query=query,
        content_type=request.headers.get("Content-Type", ""),
        body=body,
    )

    async def make(upstream_key: str) -> Replay:
        others = [header for header in outgoing.headers if header[0].lower() != HEADER.lower()]
        outgoing.headers = [*others, (HEADER, write_key(upstream_key))]
        try:
            async with asyncio.timeout(service.timeout.total_seconds()) as patient:
                answer, check = await _asked(request, service, outgoing, tally, repeats=service.idempotent)
                try:
                    return await _whole(answer, check, tally, patience)
                except BaseException:
                    answer.abandon()
                    raise
        except TimeoutError as fault:
            if patient.expired():
                raise
            raise UnreachableError("no-connection") from fault  # none opened in time: the service heard nothing

    given, before = await request.app[ONCE].call(
        scope(tally.caller, tally.match.route), key, asked, make, repeats=service.idempotent
    )
    tally.upstream_ended = perf_counter()
    response = tally.response = web.Response(status=given.status, headers=CIMultiDict(given.headers), body=given.body)
    response.headers["Kakehashi-Request-Id"] = request[REQUEST_ID]
    if before:
        response.headers[REPLAYED] = "true"
    with patience.on_caller():
        await response.prepare(request)
        await response.write_eof()
    return response


async def _whole(answer: Answer, check: AnswerCheck | None, tally: Tally, patience: Patience) -> Replay:
    """The whole of an answer. Raises `UpstreamUnreachable` for one that is none, or is too large."""
    if answer.status not in ANSWERS:
        raise UpstreamUnreachable(f"status {answer.status}")
    body = bytearray()
    coming = _coming(answer, patience)
    async for piece in tally.guard.answer(
        coming if check is None else held_back(coming, check), CIMultiDict(answer.headers)
    ):
        body += piece
        if len(body) > MOST_BODY:
            raise UpstreamUnreachable(f"more than {MOST_BODY} bytes answered to a call with a key")
    return Replay(status=answer.status, headers=tuple(access.response_headers(answer.headers)), body=bytes(body))


async def _digested(pieces: AsyncIterator[bytes], digest: Check, tally: Tally) -> AsyncIterator[bytes]:
    """A caller's body as it comes, held against the digest that the caller sent. Raises `ContentDigestWrong`."""
    try:
        async for piece in held_back(pieces, digest):
            yield piece
    except CallRefusal as why:
        tally.refusal = why
        raise


async def _body(request: web.Request, limit: int, tally: Tally, patience: Patience) -> bytes | AsyncIterator[bytes]:
    """The caller's body: whole if it is small, else as it comes."""
    pieces = _upload(request, limit, tally, patience)
    if request.content_length is None or request.content_length > IN_MEMORY:
        return pieces
    return b"".join([piece async for piece in pieces])


def _circumstances(request: web.Request, now: datetime, council: frozenset[str], limit: int) -> Circumstances:
    """What the decision rests on; a body without a type counts as `application/octet-stream` (RFC 9110 §8.3)."""
    return Circumstances(
        now=now,
        council=council,
        content_type=request.content_type.lower() if request.body_exists else None,
        length=request.content_length,
        limit=limit,
    )


def _assertion(request: web.Request, region: Region, known: Known, match: Match, now: datetime) -> str:
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
        return sign(claims, request.app[GATEWAY].keys.assertion, ASSERTION_TYPE)

    if request.method not in SAFE:
        return make()
    key = (service.id, match.route.subject, match.context if match.route.context else None)
    return known.assertion(key, now, make)


async def _answer(
    request: web.Request, answer: Answer, check: AnswerCheck | None, tally: Tally, patience: Patience
) -> web.StreamResponse:
    """Send the service's answer on as it comes. Raises `UpstreamUnreachable` for a status that is no answer."""
    if answer.status not in ANSWERS:
        raise UpstreamUnreachable(f"status {answer.status}")
    headers = CIMultiDict(access.response_headers(answer.headers, request[REQUEST_ID]))
    if answer.whole is not None and not tally.guard.holds_answers:
        tally.upstream_ended = perf_counter()
        if check is not None:
            check.update(answer.whole)
            check.finish()
        whole = tally.response = web.Response(
            status=answer.status, reason=answer.reason, headers=headers, body=answer.whole
        )
        with patience.on_caller():
            await whole.prepare(request)
            await whole.write_eof()
        return whole
    response = tally.response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    coming = _coming(answer, patience)
    chunks = tally.guard.answer(coming if check is None else held_back(coming, check), CIMultiDict(answer.headers))
    begin = await anext(chunks, b"") if tally.guard.holds_answers else b""
    await response.prepare(request)
    patience.moved()
    if begin:
        await _write(response, begin, patience)
    try:
        async for chunk in chunks:
            await _write(response, chunk, patience)
    except CallRefusal as why:  # in the middle: nobody gets the rest
        raise BrokenOffError(why) from None
    tally.upstream_ended = perf_counter()
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, chunk: bytes, patience: Patience) -> None:
    with patience.on_caller():
        await response.write(chunk)


async def _coming(answer: Answer, patience: Patience) -> AsyncIterator[bytes]:
    async for chunk in answer.chunks():
        patience.moved()
        yield chunk


async def _upload(request: web.Request, limit: int, tally: Tally, patience: Patience) -> AsyncIterator[bytes]:
    """The caller's body as it comes, as far as it may pass. Raises what `_received` and `CallGuard.call` raise."""
    try:
        async for chunk in tally.guard.call(_received(request, limit, patience), request.headers):
            yield chunk
    except CallRefusal as why:
        tally.refusal = why
        raise


async def _received(request: web.Request, limit: int, patience: Patience) -> AsyncIterator[bytes]:
    """The caller's body as it comes. Raises `BodyTooLarge` beyond `limit` bytes."""
    seen = 0
    if request.pop(EXPECTS, False) and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    chunks = request.content.iter_any()
    while True:
        try:
            with patience.on_caller():
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except Exception as fault:
            patience.gone = True
            raise ConnectionResetError("the caller broke off its body") from fault
        seen += len(chunk)
        if seen > limit:
            raise BodyTooLarge(f"more than {limit} bytes came")
        yield chunk


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
    if patience.gone or request.transport is None or request.transport.is_closing():
        return CallerGoneError()
    detail = fault.code if isinstance(fault, UpstreamError) else type(fault).__name__
    slow = isinstance(fault, TimeoutError)
    busy = isinstance(fault, BusyError)
    why = tally.refusal or (UpstreamTooSlow if slow else UpstreamBusy if busy else UpstreamUnreachable)(detail)
    if tally.response is None or not tally.response.prepared:
        return why
    return BrokenOffError(why)


def _hung_up(request: web.Request, tally: Tally) -> web.StreamResponse:
    """Close the caller's connection where it stands, so that nobody takes half an answer for a whole one."""
    if request.transport is not None:
        request.transport.abort()
    return tally.response or web.Response(status=GIVEN_UP)  # the server finds that it cannot be sent


def _record(
    request: web.Request,
    gateway: Gateway,
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
        )
    )
    if why is not None:
        log.info("call-refused", reason=why.code, detail=why.detail, request_id=request[REQUEST_ID])
