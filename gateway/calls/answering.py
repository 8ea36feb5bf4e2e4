"""Sending the service's answer on: in one piece if it came in one, else as it comes."""

from collections.abc import AsyncIterator
from time import perf_counter  # the event loop's own clock counts whole milliseconds

from aiohttp import web
from multidict import CIMultiDict

from federation import access
from federation.refusal import CallRefusal, UpstreamUnreachable
from federation.signatures.calls import AnswerCheck
from gateway import safe_headers
from gateway.calls import trailers
from gateway.calls.signatures import held_back
from gateway.calls.tally import BrokenOffError, Tally
from gateway.calls.whole import fits, written
from gateway.context import REQUEST_ID
from gateway.patience import Patience
from gateway.upstream.http1 import Answer

ANSWERS = range(200, 600)
"""Statuses that a service may answer with: no protocol switch, and nothing outside HTTP (RFC 9110 §15)."""

GIVEN_UP = 499
"""What is counted as the status of a call whose caller went away: nobody was answered."""


async def give(
    request: web.BaseRequest, answer: Answer, check: AnswerCheck | None, tally: Tally, patience: Patience
) -> web.StreamResponse:
    """Send the service's answer on as it comes. Raises `UpstreamUnreachable` for a status that is no answer."""
    if answer.status not in ANSWERS:
        raise UpstreamUnreachable(f"status {answer.status}")
    secure = tally.desk.gateway.region.secure
    plain = not tally.guard.holds_answers
    trailing = plain and check is None and trailers.wanted(request)
    at_once = answer.whole is not None and plain and not (trailing and answer.trailers)
    if answer.whole is not None and at_once:
        tally.upstream_ended = perf_counter()
        if check is not None:
            check.update(answer.whole)
            check.finish()
        if fits(request, answer.status):
            sent = tally.response = written(request, answer, answer.whole, secure=secure)
            if request.protocol.writing_paused:
                with patience.on_caller():
                    await request.writer.drain()
            return sent
    headers = CIMultiDict(
        safe_headers.stamped(access.response_headers(answer.headers, request[REQUEST_ID]), secure=secure)
    )
    if answer.whole is not None and at_once:
        whole = tally.response = web.Response(
            status=answer.status, reason=answer.reason, headers=headers, body=answer.whole
        )
        with patience.on_caller():
            await whole.prepare(request)
            await whole.write_eof()
        return whole
    response = tally.response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    pieces = coming(answer, patience)
    chunks = tally.guard.answer(pieces if check is None else held_back(pieces, check), CIMultiDict(answer.headers))
    begin = b"" if plain else await anext(chunks, b"")
    writer = await response.prepare(request)
    patience.moved()
    if begin:
        await _write(response, begin, patience)
    try:
        async for chunk in chunks:
            await _write(response, chunk, patience)
    except CallRefusal as why:  # in the middle: nobody gets the rest
        raise BrokenOffError(why) from None
    tally.upstream_ended = perf_counter()
    trailers.end(writer, answer.trailers if trailing else (), answer.headers)
    await response.write_eof()
    return response


def is_endless(answer: Answer) -> bool:
    """Whether an answer goes on until somebody ends it: server-sent events (WHATWG HTML §9.2)."""
    return answer.whole is None and any(
        name.lower() == "content-type" and value.lower().startswith("text/event-stream")
        for name, value in answer.headers
    )


async def _write(response: web.StreamResponse, chunk: bytes, patience: Patience) -> None:
    with patience.on_caller():
        await response.write(chunk)


async def coming(answer: Answer, patience: Patience) -> AsyncIterator[bytes]:
    """The answer's body as it comes; each piece is a sign of life."""
    async for chunk in answer.chunks():
        patience.moved()
        yield chunk


def hung_up(request: web.BaseRequest, tally: Tally) -> web.StreamResponse:
    """Close the caller's connection where it stands, so that nobody takes half an answer for a whole one."""
    if request.transport is not None:
        request.transport.abort()
    return tally.response or web.Response(status=GIVEN_UP)  # the server finds that it cannot be sent
