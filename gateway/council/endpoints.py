"""What a member's system does with council requests: begin, read, read on, repeat, cancel, list.

| call | answer |
|---|---|
| `POST /council/requests` | 201 and where it is; or, by `Accept`, the answers as they come |
| `GET /council/requests` | the municipality's own, the newest first |
| `GET /council/requests/{id}` | all of it; or, by `Accept`, the answers behind `?after=N`, as they come |
| `POST /council/requests/{id}/repeat` | as for a new one: another round for those who have not answered |
| `POST /council/requests/{id}/cancel` | how far it was |

A request to members belongs to the municipality whose system asked, one to a service to that system alone, since others
of the municipality may not have its scope; for all others it does not exist. A reader that goes away changes nothing:
the request goes on.
"""

import asyncio
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any

import structlog
from aiohttp import hdrs, web

from federation import access
from federation.callers import Caller
from federation.council import told
from federation.council.answers import Answer
from federation.council.asking import Asker
from federation.council.members import chosen
from federation.council.question import JSON_TYPE, Asked, read_again, read_asked
from federation.council.told import Form, Request, Round, open_targets
from federation.idempotency import HEADER, key_of
from federation.oidc.jose import base64url
from federation.refusal import (
    BodyTooLarge,
    CallForbiddenContent,
    CallNotInspectable,
    CallRefusal,
    CallUnavailable,
    ContentTypeNotAllowed,
    CouncilRequestMalformed,
    CouncilRequestsTooMany,
    CouncilRequestUnknown,
    IdempotencyKeyReused,
    Refusal,
    TokenInvalid,
)
from federation.terms import Idempotency
from gateway.context import GATEWAY, Gateway
from gateway.council.asking import known, match_of
from gateway.council.running import Council
from gateway.problems import problem
from gateway.region import Region

log = structlog.get_logger("gateway.council")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CALLER: web.AppKey[Callable[[web.Request], Caller]] = web.AppKey("council_caller")
"""How the caller is found."""

STILL: web.AppKey[Callable[[web.Request], bool]] = web.AppKey("council_still")
"""Whether the caller of a request that goes on would be found again."""

STREAMS = web.AppKey("council_streams", Counter[str])

LEAVING = web.AppKey("council_leaving", asyncio.Event)
"""Set when the gateway stops: readers of streams come back and read on."""

BODY_SECONDS = 20.0
"""How long the asker may take to send what it asks."""

AT_ONCE = 16
"""Answers that are read from the store and sent together, which bounds what a stream holds."""

QUIET_SECONDS = 15.0
"""After which a stream says how far the request is, if nothing else came."""

LOOK_SECONDS = 0.5
"""How often a stream looks for answers that another process kept."""

WRITE_SECONDS = 30.0
"""How long a reader may take nothing before its stream is broken off; it can read on with `after`."""

MOST_STREAMS = 32
"""Streams of one process to the systems of one municipality."""

FORGOTTEN = timedelta(minutes=2)
"""How long after its end a round that says nothing is waited for: it may have been forgotten meanwhile."""

_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
_NO_STORE = {"Cache-Control": "no-store"}


def for_systems(handler: Handler) -> Handler:
    """Refusals as problem documents, whatever they are."""

    @wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as why:
            refusal = why if isinstance(why, CallRefusal) else CallUnavailable(why.detail)
        except web.HTTPRequestEntityTooLarge:
            refusal = BodyTooLarge("more than the limit of the listener")
        log.info("council-refused", reason=refusal.code, detail=refusal.detail)
        return problem(request, refusal)

    return answered


@for_systems
async def ask(request: web.Request) -> web.StreamResponse:
    """POST /council/requests."""
    gateway, caller = request.app[GATEWAY], request.app[CALLER](request)
    region, now = gateway.region, gateway.clock()
    gateway.check_evidence()
    settings = region.configuration.gateway.council
    asked = read_asked(await _body(request, empty=False), most_targets=settings.most_targets)
    why = await gateway.council.questions.check(asked)
    if why is not None:
        raise CallForbiddenContent(why) if why == "forbidden-content" else CallNotInspectable(why)
    codes = _targets(gateway, region, caller, asked, settings.most_targets)
    key = key_of(request.headers.getall(HEADER, ()), Idempotency.ACCEPTED, request.method)
    began = Request(
        id=secrets.token_urlsafe(16) if key is None else _keyed(gateway.keys.sealing, caller.client, key),
        asker=Asker(client=caller.client, municipality=caller.municipality),
        asked=asked,
        begun=now,
        rounds=(Round(number=0, begun=now, until=now + timedelta(seconds=asked.deadline_seconds), codes=codes),),
    )
    kept = await gateway.council.accept(began, keyed=key is not None)
    if kept is began:
        return await _begun(request, gateway.council, began, after=0)
    if kept.asked.to_json() != asked.to_json() or kept.asker != began.asker:
        raise IdempotencyKeyReused("another question was asked under it")
    return await _begun(request, gateway.council, kept, after=0, answers=await gateway.council.rows.answers(kept.id))


def _keyed(secret: bytes, client: str, key: str) -> str:
    """The id of the request that a system asks under its `Idempotency-Key`; nobody else can work it out."""
    secret = hmac.digest(secret, b"kakehashi idempotency keys of council requests", "sha256")
    named = json.dumps([client, key]).encode()
    return base64url(hmac.digest(secret, named, "sha256")[:16])


@for_systems
async def listed(request: web.Request) -> web.StreamResponse:
    """GET /council/requests."""
    gateway, caller = request.app[GATEWAY], request.app[CALLER](request)
    found = await gateway.council.rows.own(caller.municipality)
    own = [told.head(each) for each in found if _is_of(each, caller)]
    return _json({"requests": own})


@for_systems
async def read(request: web.Request) -> web.StreamResponse:
    """GET /council/requests/{id}."""
    council = request.app[GATEWAY].council
    found = await _own(request, council, request.app[CALLER](request))
    after = request.query.get("after", "0")
    if not _NUMBER.fullmatch(after):
        raise CouncilRequestMalformed(
            where="?after", expected="how many answers you have", do="Write the last `number` that came."
        )
    council.look(found.id)
    form = _form(request)
    if form is not None:
        return await _stream(request, council, found, form, after=int(after))
    return _json(told.whole(found, await council.rows.answers(found.id)))


@for_systems
async def repeat(request: web.Request) -> web.StreamResponse:
    """POST /council/requests/{id}/repeat."""
    gateway, caller = request.app[GATEWAY], request.app[CALLER](request)
    council, now = gateway.council, gateway.clock()
    gateway.check_evidence()
    found = await _own(request, council, caller)
    again = read_again(
        await _body(request, empty=True),
        most_targets=gateway.region.configuration.gateway.council.most_targets,
    )
    answers = await council.rows.answers(found.id)
    missing = told.missing(found, answers)
    codes = missing if again.codes is None else tuple(code for code in missing if code in again.codes)
    if again.codes is not None and len(codes) != len(again.codes):
        raise CouncilRequestMalformed(
            where="/members", expected="targets of this request that have not answered", do="Leave the others out."
        )
    if not codes:
        raise CouncilRequestMalformed(where="/", expected="a target that has not answered", do="Nothing is missing.")
    if found.asked.to.service is not None:
        _targets(gateway, gateway.region, caller, found.asked, most=1)
    number = found.round.number + 1
    until = now + timedelta(seconds=again.deadline_seconds)
    again_by = Round(number=number, begun=now, until=until, codes=codes, client=caller.client)
    began = await council.repeat(found, again_by)
    return await _begun(request, council, began, after=len(answers))


@for_systems
async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /council/requests/{id}/cancel."""
    council = request.app[GATEWAY].council
    found = await _own(request, council, request.app[CALLER](request))
    answers = await council.rows.answers(found.id)
    if open_targets(found, answers):
        await council.cancel(found)
    return _json({**told.head(found), **told.tail(found, answers)}, status=202)


def _targets(gateway: Gateway, region: Region, caller: Caller, asked: Asked, most: int) -> tuple[str, ...]:
    """Who is asked. Raises what a call of that service is refused with, and `CouncilRequestMalformed`."""
    if asked.to.service is not None:
        match = match_of(region, asked.question, asked.to.service)
        if match is None:
            raise CouncilRequestMalformed(
                where="/question/path", expected="a route of this service", do="Write its path below /api/."
            )
        now = gateway.clock()
        circumstances = access.Circumstances(
            now=now,
            council=region.council(now),
            content_type=asked.question.content_type,
            length=len(asked.question.content or b""),
            limit=region.configuration.gateway.limits.api_body_mib * 1024 * 1024,
        )
        access.decide(match.route, caller, circumstances)
        gateway.quotas.admit(match.route, caller)
        return (asked.to.service,)
    codes = chosen(asked.to, known(region, gateway.clock()))
    if not 1 <= len(codes) <= most:
        raise CouncilRequestMalformed(
            where="/to", expected=f"1 to {most} members; these are {len(codes)}", do="Ask others, or fewer."
        )
    return codes


async def _body(request: web.Request, *, empty: bool) -> bytes:
    """The JSON that was posted. Raises `ContentTypeNotAllowed`, `CouncilRequestMalformed`, `BodyTooLarge`."""
    if request.body_exists and request.content_type != JSON_TYPE:
        raise ContentTypeNotAllowed("a body of another type", types=(JSON_TYPE,))
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise ContentTypeNotAllowed("a content coding", types=(JSON_TYPE,))
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise CouncilRequestMalformed(
            where="/", expected=f"a body within {BODY_SECONDS:g} s", do="Send it at once."
        ) from None
    if not body and not empty:
        raise CouncilRequestMalformed(where="/", expected="a request", do="Post a JSON object.")
    return body


async def _own(request: web.Request, council: Council, caller: Caller) -> Request:
    """The request in the address, if it is the caller's. Raises `CouncilRequestUnknown`."""
    request_id = request.match_info["id"]
    found = await council.rows.read(request_id) if _ID.fullmatch(request_id) else None
    if found is None or not _is_of(found, caller):
        raise CouncilRequestUnknown
    return found


def _is_of(request: Request, caller: Caller) -> bool:
    asker = request.asker
    return asker.municipality == caller.municipality and (
        request.asked.to.service is None or asker.client == caller.client
    )


def _form(request: web.Request) -> Form | None:
    accept = ", ".join(request.headers.getall(hdrs.ACCEPT, ()))
    return told.form(accept[:1000], lambda: secrets.token_hex(16))


def _json(value: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(value, status=status, headers={**_NO_STORE, **(headers or {})})


async def _begun(
    request: web.Request, council: Council, began: Request, *, after: int, answers: Sequence[Answer] = ()
) -> web.StreamResponse:
    """The answer to whoever began a request, or a round of it, which has these answers already."""
    place = f"{request.app[GATEWAY].region.public_url}/council/requests/{began.id}"
    form = _form(request)
    if form is None:
        so_far = told.tail(began, answers)
        waiting = {**told.head(began), "state": so_far["state"], "open": so_far["open"]}
        return _json({**waiting, "location": place}, status=201, headers={"Location": place})
    return await _stream(request, council, began, form, after=after, headers={"Location": place})


async def _stream(
    request: web.Request,
    council: Council,
    began: Request,
    form: Form,
    *,
    after: int,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """The answers behind the first `after` ones as they come, until the round has ended."""
    municipality, streams = began.asker.municipality, request.app[STREAMS]
    if streams[municipality] >= MOST_STREAMS:
        raise CouncilRequestsTooMany(f"{municipality}: {MOST_STREAMS} streams are open")
    streams[municipality] += 1
    try:
        return await _told(request, council, began, form, after=after, headers=headers or {})
    finally:
        streams[municipality] -= 1


async def _told(
    request: web.Request, council: Council, began: Request, form: Form, *, after: int, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={**_NO_STORE, **headers, "Content-Type": form.content_type, "X-Accel-Buffering": "no"}
    )
    clock = request.app[GATEWAY].clock
    await response.prepare(request)
    try:
        await _write(response, form.begin(began))
        seen, quiet = await _seen(council, began, after), 0.0
        while True:
            if not request.app[STILL](request):
                raise TokenInvalid("it ended while answers came")
            fresh = await council.rows.answers(began.id, len(seen), AT_ONCE)
            for each in fresh:
                seen.append(replace(each, content=b""))
                await _write(response, form.answer(each, len(seen)))
            if fresh:
                quiet = 0.0
                continue
            if not open_targets(began, seen) or clock() > began.round.until + FORGOTTEN:
                break
            if request.app[LEAVING].is_set():
                break
            await council.news(began.id, LOOK_SECONDS)
            quiet += LOOK_SECONDS
            if quiet >= QUIET_SECONDS:
                quiet = 0.0
                council.look(began.id)
                await _write(response, form.progress(began, seen))
        await _write(response, form.end(began, seen))
        await response.write_eof()
    except (ConnectionError, TimeoutError, Refusal) as fault:  # the reader may come back and read on
        log.info("council-stream-broken", detail=type(fault).__name__)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _seen(council: Council, began: Request, after: int) -> list[Answer]:
    """The answers that the reader has, without their content."""
    seen: list[Answer] = []
    while len(seen) < after:
        found = await council.rows.answers(began.id, len(seen), min(AT_ONCE, after - len(seen)))
        if not found:
            break
        seen += [replace(each, content=b"") for each in found]
    return seen


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(piece)


async def leave(app: web.Application) -> None:
    """Let streams end, so that they hold up no shutdown."""
    app[LEAVING].set()


ROUTES: Sequence[web.RouteDef] = (
    web.post("/council/requests", ask),
    web.get("/council/requests", listed, allow_head=False),
    web.get("/council/requests/{id}", read, allow_head=False),
    web.post("/council/requests/{id}/repeat", repeat),
    web.post("/council/requests/{id}/cancel", cancel),
)
