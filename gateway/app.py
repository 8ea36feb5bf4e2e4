"""The public listener: its routes, and what holds for every one of them.

One middleware, in this order: a request ID, who may speak to us at all, refusals as pages or problem documents and
the last resort for faults. Safe headers are put on whatever is answered, streams included.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import hdrs, web

from federation.refusal import (
    BadRequest,
    CallRefusal,
    InternalFault,
    MethodNotAllowed,
    NoRoute,
    Refusal,
    Unavailable,
    UnknownPath,
)
from gateway import (
    assets,
    certificate_endpoints,
    certificate_relinking,
    consents,
    federation_endpoints,
    login,
    metadata_query,
    oidc_endpoints,
    openapi,
    proxy,
    safe_headers,
    saml_endpoints,
    showing,
    signing_answers,
    signing_api,
    signing_pages,
)
from gateway.calls import websockets
from gateway.calls.callers import Callers
from gateway.calls.desk import DESK
from gateway.certificate_standing import WAITING
from gateway.context import GATEWAY, REQUEST_ID, Gateway, peer_address
from gateway.council import endpoints as council_endpoints
from gateway.council.callers import caller_of, still
from gateway.forwarded import is_loopback, origin
from gateway.http_server import DOOR
from gateway.problems import problem
from gateway.region import Region
from gateway.waiting import Waiting

log = structlog.get_logger("gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

API = "/api/"
COUNCIL = "/council/"
BAD_REQUEST, NOT_FOUND, METHOD_NOT_ALLOWED, SERVER_ERROR = 400, 404, 405, 500


def public_app(gateway: Gateway) -> web.Application:
    """The application of the public listener."""
    limits = gateway.region.configuration.gateway.limits
    app = web.Application(
        middlewares=[front],
        client_max_size=limits.body_kib * 1024,
    )
    app[GATEWAY] = gateway
    app[DOOR] = door
    app[proxy.CALLERS] = Callers(gateway.revocations)
    app[council_endpoints.CALLER], app[council_endpoints.STILL] = caller_of, still
    app[council_endpoints.STREAMS] = Counter()
    app[council_endpoints.LEAVING] = asyncio.Event()
    app[saml_endpoints.SIGNED] = saml_endpoints.Signed()
    app[openapi.DESCRIBED] = openapi.Description()
    app[metadata_query.PUBLISHED] = metadata_query.Published()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/login/{handle}", login.choice),
            web.post("/login/{handle}", login.choose),
            web.get("/login/{handle}/consent", login.consent_page),
            web.post("/login/{handle}/consent", login.decide),
            web.get("/login/{handle}/return", login.carry_back),
            *consents.ROUTES,
            *saml_endpoints.ROUTES,
            *oidc_endpoints.ROUTES,
            *openapi.ROUTES,
            *federation_endpoints.ROUTES,
            *metadata_query.ROUTES,
            *certificate_endpoints.ROUTES,
            *certificate_relinking.ROUTES,
            *signing_api.ROUTES,
            *signing_answers.ROUTES,
            *signing_pages.ROUTES,
            *council_endpoints.ROUTES,
            web.route(hdrs.METH_ANY, r"/api/{rest:[\s\S]*}", proxy.call, expect_handler=proxy.expected),
            web.get("/static/{name}", assets.static),
            web.get("/favicon.ico", assets.favicon),
        ]
    )
    app[WAITING] = Waiting(gateway.store)
    app.on_shutdown.append(certificate_endpoints.close)
    app.on_shutdown.append(council_endpoints.leave)
    app.on_shutdown.append(websockets.end_all)
    app.cleanup_ctx.append(proxy.connections)
    app.cleanup_ctx.append(federation_endpoints.resolving)
    app.on_response_prepare.append(stamp)
    return app


async def index(request: web.Request) -> web.Response:
    """GET /: what this gateway is."""
    return showing.index(request, request.app[GATEWAY].region)


class RequestIds:
    """Sixteen characters that a person can read out over the telephone; their chance is fetched for many at once."""

    def __init__(self) -> None:
        self._ready: list[str] = []

    def new(self) -> str:
        """One that nobody has had."""
        if not self._ready:
            drawn = os.urandom(8 * 256).hex()
            self._ready = [drawn[i : i + 16] for i in range(0, len(drawn), 16)]
        return self._ready.pop()


new_request_id = RequestIds().new


async def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """Headers that every answer carries; a page has set stricter ones already."""
    headers = response.headers
    if REQUEST_ID in request:
        headers["Kakehashi-Request-Id"] = request[REQUEST_ID]
    safe_headers.stamp(headers, secure=request.app[GATEWAY].region.secure)


def door(app: web.Application, otherwise: Handler) -> Handler:
    """What the server asks: calls are carried at once, everything else goes `otherwise`, by the table of routes.

    A call that waits with its body or would become something else goes there too; it ends in the same function.
    """
    desk = app[DESK]
    gateway = desk.gateway

    def enter(request: web.Request) -> Awaitable[web.StreamResponse]:
        headers = request.headers
        if not request.raw_path.startswith(API) or "Expect" in headers or "Upgrade" in headers:
            return otherwise(request)
        region = gateway.region
        if region.secure and admit(request, region) is not None:
            return otherwise(request)
        request[REQUEST_ID] = new_request_id()
        return proxy.carried(request, desk)

    return enter


@web.middleware
async def front(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What holds for every request: an ID, who may speak to us at all, and the one way out.

    Calls find their own way out and say themselves what they log (`proxy.py`); the ID is bound for all the others.
    """
    identifier = request[REQUEST_ID] = new_request_id()
    region = request.app[GATEWAY].region
    if region.secure and (turned_away := admit(request, region)) is not None:
        return turned_away
    if request.rel_url.raw_path.startswith(API):
        return await handler(request)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=identifier)
    return await refuse(request, handler)


def admit(request: web.Request, region: Region) -> web.Response | None:
    """Plain HTTP only from loopback or from a listed proxy that says its own leg was HTTPS; None: come in."""
    if request.secure and not region.trusted_proxies:
        return None
    address = peer_address(request)
    came = origin(
        address,
        tls=request.secure,
        forwarded_proto=", ".join(request.headers.getall("X-Forwarded-Proto", ())),
        proxies=region.trusted_proxies,
    )
    if came.secure:
        return None
    if not came.via_proxy:
        return (
            None if is_loopback(address) else web.Response(status=403, text="This port serves listed proxies only.\n")
        )
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=403, text="Use HTTPS.\n")
    return web.Response(status=308, headers={"Location": region.public_url + request.path_qs})


async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one way out: every refusal and every fault becomes a page or a problem document."""
    refusal: Refusal
    try:
        return await handler(request)
    except Refusal as why:
        refusal = why
        if login.PATHS.match(request.path):
            login.ended_early(request, why)
        else:
            log.info("refused", reason=why.code, detail=why.detail)
    except web.HTTPException as answer:
        if answer.status < BAD_REQUEST:  # redirects of the framework go through
            raise
        refusal = _of_framework(request, answer)
        log.info("refused", reason=refusal.code, status=answer.status)
    except Exception as fault:
        gone = request.transport is None or request.transport.is_closing()
        if gone and isinstance(fault, ConnectionError):  # in the middle of its request; nobody is left to tell
            return web.Response(status=BAD_REQUEST)
        log.exception("fault")
        refusal = InternalFault()
        if login.PATHS.match(request.path):
            login.ended_early(request, refusal)
    if isinstance(refusal, CallRefusal):
        return problem(request, refusal)
    response = showing.refused(request, refusal)
    if isinstance(refusal, UnknownPath) and refusal.allow:
        response.set_status(METHOD_NOT_ALLOWED)
        response.headers["Allow"] = ", ".join(sorted(refusal.allow))
    return response


def _of_framework(request: web.Request, answer: web.HTTPException) -> Refusal:
    allow = frozenset(answer.allowed_methods) if isinstance(answer, web.HTTPMethodNotAllowed) else frozenset()
    if request.path.startswith(COUNCIL) and answer.status in (NOT_FOUND, METHOD_NOT_ALLOWED):  # for systems, not people
        return MethodNotAllowed(allow=allow) if allow else NoRoute()
    if allow:
        return UnknownPath(f"{answer.status}", allow=allow)
    if answer.status in (NOT_FOUND, METHOD_NOT_ALLOWED):
        return UnknownPath(f"{answer.status}")
    if answer.status >= SERVER_ERROR:
        return Unavailable(f"{answer.status}")
    return BadRequest(f"{answer.status}")
