"""WebSockets through the gateway (RFC 6455): both sides speak with us, and each message passes from one to the other.

Who may open one is decided as of any call. It lives no longer than the token counts: a token that ends, is revoked or
whose consent is withdrawn closes it within `LOOK_SECONDS`, with 1008. There is no limit on silence; each side is asked
every `HEARTBEAT_SECONDS` whether it is still there. One message at a time is on the way in each direction.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

from federation import access
from federation.access import Headers
from federation.refusal import QuotaExceeded, UpstreamUnreachable
from gateway import safe_headers
from gateway.context import GATEWAY, REQUEST_ID
from gateway.fetching import REDIRECTS
from gateway.upstream.http1 import UpstreamError
from gateway.upstream.retries import TURNED_AWAY
from gateway.upstream.service import Chosen, Service
from gateway.upstream.targets import Outcome

log = structlog.get_logger("gateway.websockets")

LOOK_SECONDS = 0.5
"""How often it is looked whether the callers may still."""

HEARTBEAT_SECONDS = 30.0
"""How long a side may be silent before it is asked whether it is there (RFC 6455 §5.5.2)."""

REFUSALS = range(400, 600)
"""Statuses by which a service says that it opens none; the caller is told as of any call (RFC 6455 §4.2.2)."""

MOST_REFUSAL = 64 * 1024
"""Octets of what a service says with it; of a longer text the caller learns the status alone."""

MOST_MESSAGE = 1024 * 1024
"""Bytes of the largest message, if the route's limit for bodies is not lower; a longer one closes with 1009."""

TRY_AGAIN_SECONDS = 30
"""When whoever has too many open is told to come back."""

CLOSED_BY_NOBODY = 1006
"""What an end without a closing frame is called, and never sent (RFC 6455 §7.4.1)."""

NO_CODE = 0
"""What aiohttp calls the code of a closing frame that has none (RFC 6455 §7.1.5), as browsers send it by themselves."""

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


@dataclass(eq=False, slots=True)
class Tunnel:
    """An open WebSocket: the caller's side, the service's, and whether the caller still may."""

    caller: web.WebSocketResponse
    service: aiohttp.ClientWebSocketResponse
    still: Callable[[], bool]
    ending: bool = False

    async def end(self, code: int, *, to_caller: bytes = b"", to_service: bytes = b"") -> None:
        """Close both sides, each with what is said to it."""
        self.ending = True
        await asyncio.gather(
            self.caller.close(code=code, message=to_caller),
            self.service.close(code=code, message=to_service),
            return_exceptions=True,
        )


class Whose(NamedTuple):
    """Whose WebSocket it is, a person or a system, and how many of theirs may be open at once."""

    caller: str
    most: int


@dataclass(slots=True)
class Tunnels:
    """Those of one listener that are open, all of the process by caller, and the client that reaches services."""

    session: aiohttp.ClientSession
    held: Counter[str]
    open: set[Tunnel] = field(default_factory=set)
    ends: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def one_more(self, whose: Whose) -> Iterator[None]:
        """Count one of this caller's while the context is open. Raises `QuotaExceeded`."""
        if self.held[whose.caller] >= whose.most:
            raise QuotaExceeded(f"{whose.most} WebSockets are open", seconds=TRY_AGAIN_SECONDS)
        self.held[whose.caller] += 1
        try:
            yield
        finally:
            self.held[whose.caller] -= 1
            if not self.held[whose.caller]:
                del self.held[whose.caller]

    async def watch(self) -> None:
        """End those whose callers may no longer, until cancelled; a side that does not hear of it holds up no other."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            over = [each for each in self.open if not each.ending and not _still(each)]
            for each in over:
                each.ending = True
                end = asyncio.create_task(each.end(WSCloseCode.POLICY_VIOLATION, to_caller=b"the token is over"))
                self.ends.add(end)
                end.add_done_callback(self.ends.discard)

    async def close(self) -> None:
        """The gateway stops."""
        await asyncio.gather(*(each.end(WSCloseCode.GOING_AWAY) for each in tuple(self.open)))


def _still(tunnel: Tunnel) -> bool:
    """Whether its caller still may; not if nobody can tell."""
    try:
        return tunnel.still()
    except Exception:
        log.exception("fault")
        return False


TUNNELS = web.AppKey("tunnels", Tunnels)


async def tunnels(app: web.Application) -> AsyncIterator[None]:
    """What WebSockets need while the application runs."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        middlewares=(_as_answered,),
    ) as session:
        held = app[TUNNELS] = Tunnels(session, app[GATEWAY].websockets)
        watching = asyncio.create_task(held.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


class _RefusedError(Exception):
    """The service opens none, and says so in HTTP; `text` is what it says, None if that is too long."""

    def __init__(self, answer: aiohttp.ClientResponse, text: bytes | None) -> None:
        super().__init__(str(answer.status))
        self.answer = answer
        self.text = text

    def told(self, request_id: str, *, secure: bool) -> web.Response:
        """The same for the caller."""
        raw = ((name.decode(), value.decode(errors="surrogateescape")) for name, value in self.answer.raw_headers)
        kept = [(name, value) for name, value in raw if self.text is not None or not _of_content(name)]
        headers = safe_headers.stamped(access.response_headers(kept, request_id), secure=secure)
        return web.Response(
            status=self.answer.status, reason=self.answer.reason, headers=CIMultiDict(headers), body=self.text
        )


def _of_content(name: str) -> bool:
    return name.lower().startswith("content-")


async def _as_answered(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Raise what refuses, with its text, which the client throws away. Raises `_RefusedError`.

    And follow no redirect, as the client would: the assertion is for the service, and callers may choose where to.
    """
    answer = await handler(request)
    if answer.status in REFUSALS:
        try:
            text = bytearray()
            async for piece in answer.content.iter_any():
                text += piece
                if len(text) > MOST_REFUSAL:
                    break
        finally:
            answer.close()
        raise _RefusedError(answer, bytes(text) if len(text) <= MOST_REFUSAL else None)
    if answer.status in REDIRECTS:
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info, answer.history, message="redirect", status=answer.status, headers=answer.headers
        )
    return answer


async def end_all(app: web.Application) -> None:
    """Close what is open, so that the server need not wait for it."""
    await app[TUNNELS].close()


def wanted(request: web.BaseRequest) -> bool:
    """Whether a call asks to become a WebSocket (RFC 6455 §4.2.1); if not as it should it does not (RFC 9110 §7.8)."""
    return (
        request.method == "GET"
        and request.headers.get("Upgrade", "").lower() == "websocket"
        and bool(web.WebSocketResponse().can_prepare(request))
    )


async def carry(
    request: web.Request,
    way: Service,
    target: str,
    headers: Headers,
    *,
    limit: int,
    seconds: float,
    whose: Whose,
    still: Callable[[], bool],
) -> web.WebSocketResponse | web.Response:
    """Open the service's side at one of its addresses, then the caller's, and pass messages on until one of them ends.

    A service that refuses is heard: its answer is the caller's. An address that cannot be reached is passed over once.
    Raises `UpstreamUnreachable` if none opens one within `seconds`, and `QuotaExceeded` if the caller has as many open
    as they may.
    """
    most = min(limit, MOST_MESSAGE)
    with ExitStack() as stack:
        stack.enter_context(request.app[TUNNELS].one_more(whose))
        try:
            async with asyncio.timeout(seconds):
                service = await _reached(stack, request, way, target, headers, most)
        except _RefusedError as said:
            return said.told(request[REQUEST_ID], secure=request.app[GATEWAY].region.secure)
        except (aiohttp.ClientError, UpstreamError, OSError) as fault:
            raise UpstreamUnreachable(type(fault).__name__) from fault
        return await _joined(request, service, most, still)


async def _reached(  # noqa: PLR0917 - what a WebSocket is opened with
    stack: ExitStack, request: web.Request, way: Service, target: str, headers: Headers, most: int
) -> aiohttp.ClientWebSocketResponse:
    """The service's side, at an address that has it to do as long as `stack` is open."""
    chosen = stack.enter_context(way.holding())
    try:
        return await _opened(request, chosen, target, headers, most)
    except aiohttp.ClientConnectorError:
        if len(way.targets.all) == 1:
            raise
    other = stack.enter_context(way.holding(chosen.target))
    return await _opened(request, other, target, headers, most)


async def _opened(
    request: web.Request, chosen: Chosen, target: str, headers: Headers, most: int
) -> aiohttp.ClientWebSocketResponse:
    """The service's side at that address, which is told of as answering or not."""
    protocols = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
    try:
        service = await request.app[TUNNELS].session.ws_connect(
            URL(chosen.url + target, encoded=True),
            headers=[header for header in headers if not header[0].lower().startswith("sec-websocket-")],
            protocols=protocols,
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=most,
            autoclose=False,
        )
    except _RefusedError as said:
        chosen.ended(Outcome.TURNED_AWAY if said.answer.status in TURNED_AWAY else Outcome.ANSWERED)
        raise
    except aiohttp.WSServerHandshakeError:
        chosen.ended(Outcome.ANSWERED)
        raise
    except (aiohttp.ClientError, OSError):
        chosen.ended(Outcome.SILENT)
        raise
    except asyncio.CancelledError:  # its time is over, or the caller is gone
        chosen.ended(Outcome.UNKNOWN)
        raise
    chosen.ended(Outcome.ANSWERED)
    return service


async def _joined(
    request: web.Request, service: aiohttp.ClientWebSocketResponse, most: int, still: Callable[[], bool]
) -> web.WebSocketResponse:
    """Open the caller's side, and pass messages on until one of them ends."""
    held = request.app[TUNNELS]
    caller = web.WebSocketResponse(
        protocols=[service.protocol] if service.protocol else (),
        heartbeat=HEARTBEAT_SECONDS,
        compress=False,
        max_msg_size=most,
        autoclose=False,
    )
    tunnel = Tunnel(caller, service, still)
    try:
        await caller.prepare(request)
        held.open.add(tunnel)
        await _pass_both_ways(tunnel)
    finally:
        held.open.discard(tunnel)
        await service.close()
    return caller


async def _pass_both_ways(tunnel: Tunnel) -> None:
    """Until either side closes; then the other is closed with the same code and reason."""
    ways = [
        asyncio.create_task(_pass(tunnel.caller, tunnel.service)),
        asyncio.create_task(_pass(tunnel.service, tunnel.caller)),
    ]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    first = next(iter(done))
    code, reason = first.result()
    if tunnel.ending:
        return
    if first is ways[0]:
        await tunnel.end(code, to_service=reason)
    else:
        await tunnel.end(code, to_caller=reason)


async def _pass(source: Socket, sink: Socket) -> tuple[int, bytes]:
    """Pass messages on; answers the code, one that may be sent, and the reason with which `source` closed."""
    while True:
        message = await source.receive()
        try:
            match message.type:
                case WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case WSMsgType.CLOSE:
                    code = WSCloseCode.OK if message.data == NO_CODE else int(message.data)
                    return code, (message.extra or "").encode()
                case _:  # the connection is gone, or what came was no WebSocket
                    code = source.close_code or CLOSED_BY_NOBODY
                    return (WSCloseCode.GOING_AWAY if code == CLOSED_BY_NOBODY else code), b""
        except ConnectionError:
            return WSCloseCode.GOING_AWAY, b""
