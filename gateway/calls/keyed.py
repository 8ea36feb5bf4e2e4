"""Calls with an Idempotency-Key: one answer, given by the service now or before."""

import asyncio
from time import perf_counter

from aiohttp import web
from multidict import CIMultiDict

from federation import access
from federation.access import ApiService
from federation.idempotency import HEADER, REPLAYED, Replay, fingerprint, scope, write_key
from federation.refusal import UpstreamUnreachable
from federation.signatures.calls import AnswerCheck
from gateway import safe_headers
from gateway.calls.answering import ANSWERS, coming
from gateway.calls.asking import asked
from gateway.calls.bodies import upload
from gateway.calls.once import MOST_BODY
from gateway.calls.signatures import held_back
from gateway.calls.tally import Tally
from gateway.context import REQUEST_ID
from gateway.patience import Patience
from gateway.upstream.http1 import Answer, Outgoing
from gateway.upstream.pool import UnreachableError


async def answered_once(
    request: web.BaseRequest,
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
    body = b"".join([piece async for piece in upload(request, limit, tally, patience)])
    outgoing.body = body if request.body_exists else None
    path, _, query = outgoing.target.partition("?")
    meant = fingerprint(
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
                answer, check = await asked(service, outgoing, tally, repeats=service.idempotent)
                try:
                    return await _whole(answer, check, tally, patience)
                except BaseException:
                    answer.abandon()
                    raise
        except TimeoutError as fault:
            if patient.expired():
                raise
            raise UnreachableError("no-connection") from fault  # none opened in time: the service heard nothing

    given, before = await tally.desk.once.call(
        scope(tally.caller, tally.match.route), key, meant, make, repeats=service.idempotent
    )
    tally.upstream_ended = perf_counter()
    response = tally.response = web.Response(status=given.status, headers=CIMultiDict(given.headers), body=given.body)
    response.headers["Kakehashi-Request-Id"] = request[REQUEST_ID]
    safe_headers.stamp(response.headers, secure=tally.desk.gateway.region.secure)
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
    pieces = coming(answer, patience)
    async for piece in tally.guard.answer(
        pieces if check is None else held_back(pieces, check), CIMultiDict(answer.headers)
    ):
        body += piece
        if len(body) > MOST_BODY:
            raise UpstreamUnreachable(f"more than {MOST_BODY} bytes answered to a call with a key")
    return Replay(status=answer.status, headers=tuple(access.response_headers(answer.headers)), body=bytes(body))
