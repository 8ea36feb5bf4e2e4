"""The caller's body: as far as it may pass, whole if it is small, else as it comes."""

from collections.abc import AsyncIterator

from aiohttp import web

from federation.refusal import BodyTooLarge, CallRefusal
from gateway.calls.signatures import Check, held_back
from gateway.calls.tally import Tally
from gateway.patience import Patience

IN_MEMORY = 64 * 1024
"""Bytes of a body that are waited for before the service is asked: then it is asked in one piece, or not at all."""

EXPECTS = web.RequestKey("expects", bool)
"""Set while a caller waits to hear that its body is wanted."""


async def body(request: web.BaseRequest, limit: int, tally: Tally, patience: Patience) -> bytes | AsyncIterator[bytes]:
    """The caller's body: whole if it is small, else as it comes."""
    pieces = upload(request, limit, tally, patience)
    if request.content_length is None or request.content_length > IN_MEMORY:
        return pieces
    return b"".join([piece async for piece in pieces])


async def upload(request: web.BaseRequest, limit: int, tally: Tally, patience: Patience) -> AsyncIterator[bytes]:
    """The caller's body as it comes, as far as it may pass. Raises what `_received` and `CallGuard.call` raise."""
    try:
        async for chunk in tally.guard.call(received(request, limit, patience), request.headers):
            yield chunk
    except CallRefusal as why:
        tally.refusal = why
        raise


async def received(request: web.BaseRequest, limit: int, patience: Patience) -> AsyncIterator[bytes]:
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


async def digested(pieces: AsyncIterator[bytes], digest: Check, tally: Tally) -> AsyncIterator[bytes]:
    """A caller's body as it comes, held against the digest that the caller sent. Raises `ContentDigestWrong`."""
    try:
        async for piece in held_back(pieces, digest):
            yield piece
    except CallRefusal as why:
        tally.refusal = why
        raise
