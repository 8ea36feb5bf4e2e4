"""The admin listener: metrics, health and the operations page; for operators, on loopback.

It asks nobody who they are, so the configuration lets it listen on loopback only. Requests whose Host is another name are
refused, so that a web page elsewhere cannot read it through a name that it points here (DNS rebinding).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

from aiohttp import web

from federation.model import Texts
from federation.refusal import Unavailable
from gateway import assets
from gateway.forwarded import is_loopback
from gateway.messages import LANGUAGE_PARAMETER
from gateway.process import VERSION, Process, flush_once
from observability import page
from observability.health import Facts, alive, readiness
from observability.overview import Overview, Window

PROCESS = web.AppKey("process", Process)
METRICS = web.AppKey("metrics_directory", Path)
STOPPING = web.AppKey("stopping", asyncio.Event)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admin_app(process: Process, *, metrics_directory: Path | None, stopping: asyncio.Event) -> web.Application:
    """The application of the admin listener; `metrics_directory` is where workers' numbers meet, if there are any."""
    app = web.Application(middlewares=[local_names, headers])
    app[PROCESS] = process
    app[STOPPING] = stopping
    if metrics_directory is not None:
        app[METRICS] = metrics_directory
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
    name = request.url.host or ""
    if name != "localhost" and not is_loopback(name):
        return web.Response(status=421, text="This listener answers to localhost only.\n")
    return await handler(request)


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


async def healthz(_request: web.Request) -> web.Response:
    """GET /healthz: the process answers."""
    return web.Response(text=alive())


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: may it be sent work? 200 or 503, with the reasons as JSON."""
    ready, reasons = readiness(await facts(request))
    return web.json_response(reasons, status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: Prometheus or OpenMetrics text, over all workers."""
    content_type, body = request.app[PROCESS].telemetry.metrics.exposition(
        request.app.get(METRICS), request.headers.get("Accept", "")
    )
    return web.Response(body=body, headers={"Content-Type": content_type})


async def operations(request: web.Request) -> web.Response:
    """GET /operations: the page, complete without JavaScript."""
    language = _language(request)
    text = page.render(await overview(request), _translate(request, language), language)
    return web.Response(text=text, content_type="text/html")


async def operations_json(request: web.Request) -> web.Response:
    """GET /operations.json: the same for the page's own refreshing, and for machines."""
    language = _language(request)
    return web.json_response(page.document(await overview(request), _translate(request, language), language))


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
        process.gateway.clock(), round_trip=round_trip, stopping=request.app[STOPPING].is_set()
    )


async def overview(request: web.Request) -> Overview:
    """The figures of all workers, as far as the store can give them."""
    process = request.app[PROCESS]
    window = Window.DAY if request.query.get("window") == Window.DAY.value else Window.HOUR
    now = process.gateway.clock()
    await flush_once(process.gateway.store, process.telemetry.series)
    return Overview.build(
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
