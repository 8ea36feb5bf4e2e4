"""The admin listener: metrics, health and the operations page; for operators, on loopback.

It asks nobody who they are, so the configuration lets it listen on loopback only. Requests whose Host is
another name are refused, so that a web page elsewhere cannot read it through a name that it points here (DNS
rebinding). What takes time is made on a thread: the loop may be the one that serves residents.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from aiohttp import web

from federation.model import Texts
from federation.refusal import Unavailable
from gateway import assets
from gateway.forwarded import is_loopback
from gateway.messages import LANGUAGE_PARAMETER
from gateway.process import VERSION, Process, flush_once
from gateway.workers import Workers
from observability import page
from observability.health import Facts, alive, readiness
from observability.overview import Overview, Window

PROCESS = web.AppKey("process", Process)
WORKERS = web.AppKey("workers", Workers)
STOPPING = web.AppKey("stopping", asyncio.Event)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admin_app(process: Process, *, workers: Workers | None, stopping: asyncio.Event) -> web.Application:
    """The application of the admin listener; `workers` if the public listener is served by some."""
    app = web.Application(middlewares=[local_names, headers])
    app[PROCESS] = process
    app[STOPPING] = stopping
    if workers is not None:
        app[WORKERS] = workers
    app.add_routes(
        [
            web.get("/", root),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/operations", operations),
            web.get("/operations.json", operations_json),
            web.get("/static/{name}", static),
        ]
    )
    return app


@web.middleware
async def local_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer only to names of this machine."""
    name = host_name(request.headers.get("Host", ""))
    if name != "localhost" and not is_loopback(name):
        return web.Response(status=421, text="This listener answers to localhost only.\n")
    return await handler(request)


def host_name(value: str) -> str:
    """The name or address in a Host header (RFC 9110 §7.2), in lower case; empty if it is malformed."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::[0-9]{1,5})?", value)
    return (found[1] or found[2]).lower() if found else ""


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Safe headers for every answer."""
    response = await handler(request)
    response.headers.setdefault("Content-Security-Policy", page.CONTENT_SECURITY_POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def root(_request: web.Request) -> web.Response:
    """GET /: the operations page is what people come for."""
    return web.Response(status=303, headers={"Location": "/operations"})


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process answers; 503 if only a new start can help it."""
    if request.app[PROCESS].gateway.outward.exhausted.is_set():
        return web.Response(status=503, text="stuck\n")
    return web.Response(text=alive())


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: may it be sent work? 200 or 503, with the reasons as JSON."""
    ready, reasons = readiness(await facts(request))
    workers = request.app.get(WORKERS)
    if workers is not None:
        reasons["workers"] = {"wanted": workers.count, "alive": workers.alive}
        reasons["checks"]["workers"] = workers.alive > 0
        ready = reasons["ready"] = ready and workers.alive > 0
    return web.json_response(reasons, status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: Prometheus or OpenMetrics text, over all workers."""
    workers = request.app.get(WORKERS)
    content_type, body = await asyncio.to_thread(
        request.app[PROCESS].telemetry.metrics.exposition,
        None if workers is None else workers.metrics,
        request.headers.get("Accept", ""),
    )
    return web.Response(body=body, headers={"Content-Type": content_type})


async def operations(request: web.Request) -> web.Response:
    """GET /operations: the page, complete without JavaScript."""
    language = _language(request)
    text = await asyncio.to_thread(page.render, await overview(request), _translate(request, language), language)
    return web.Response(text=text, content_type="text/html")


async def operations_json(request: web.Request) -> web.Response:
    """GET /operations.json: the same for the page's own refreshing, and for machines."""
    language = _language(request)
    document = await asyncio.to_thread(page.document, await overview(request), _translate(request, language), language)
    return web.json_response(document)


async def static(request: web.Request) -> web.Response:
    """GET /static/{name}: the page's own files."""
    return assets.respond(request, assets.files(page.STATIC))


async def facts(request: web.Request) -> Facts:
    """The states of everything at this moment; the store is asked now."""
    process = request.app[PROCESS]
    try:
        round_trip = await process.gateway.store.round_trip()
    except Unavailable:
        round_trip = None
    return process.telemetry.states.facts(
        process.gateway.clock(),
        round_trip=round_trip,
        stopping=request.app[STOPPING].is_set(),
        abandoned=process.gateway.outward.abandoned,
    )


async def overview(request: web.Request) -> Overview:
    """The figures of all workers, as far as the store can give them."""
    process = request.app[PROCESS]
    window = Window.DAY if request.query.get("window") == Window.DAY.value else Window.HOUR
    now = process.gateway.clock()
    await flush_once(process.gateway.store, process.telemetry.series)
    return await asyncio.to_thread(
        Overview.build,
        await _counts(process, window, now),
        await facts(request),
        _names(process),
        window=window,
        version=VERSION,
    )


async def _counts(process: Process, window: Window, now: datetime) -> Mapping[int, Mapping[str, int]]:
    try:
        return await process.gateway.store.series(window.minutes(now))
    except Unavailable:
        return {}


def _names(process: Process) -> dict[str, Texts]:
    return {system.municipality: system.name for system in process.gateway.region.systems.values()}


def _language(request: web.Request) -> str:
    return request.app[PROCESS].gateway.messages.negotiate(
        explicit=request.query.get(LANGUAGE_PARAMETER), accept_language=request.headers.get("Accept-Language")
    )


def _translate(request: web.Request, language: str) -> page.Translate:
    return request.app[PROCESS].gateway.messages.for_language(language).gettext
