"""The admin listener: metrics, health and the operations page; for operators, on loopback.

It asks nobody who they are, so the configuration lets it listen on loopback only. Requests whose Host is
another name are refused, so that a web page elsewhere cannot read it through a name that it points here (DNS
rebinding). What takes time is made on a thread: the loop may be the one that serves residents.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

import structlog
from aiohttp import web

from federation.model import Texts
from federation.refusal import BadRequest, Unavailable
from gateway import approval, assets
from gateway.approval import ApprovalError, Board
from gateway.config import TrustSource
from gateway.context import form_of
from gateway.forwarded import is_loopback
from gateway.messages import LANGUAGE_PARAMETER
from gateway.process import VERSION, Process, flush_once
from gateway.upstream import telling
from gateway.workers import Workers
from observability import page
from observability.addresses import Address
from observability.health import Facts, alive, readiness
from observability.overview import Overview, Window
from trust_lists.model import ListRefusedError

log = structlog.get_logger("gateway.admin")

PROCESS = web.AppKey("process", Process)
WORKERS = web.AppKey("workers", Workers)
STOPPING = web.AppKey("stopping", asyncio.Event)

BOARD = web.AppKey("board", Board)
FORM_KEY = web.AppKey("form-key", bytes)

MOST_FORM = 16 * 1024
"""Octets of a decision."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admin_app(process: Process, *, workers: Workers | None, stopping: asyncio.Event) -> web.Application:
    """The application of the admin listener; `workers` if the public listener is served by some."""
    app = web.Application(middlewares=[local_names, headers], client_max_size=MOST_FORM)
    app[PROCESS] = process
    app[BOARD] = Board(process.state)
    app[FORM_KEY] = secrets.token_bytes(32)
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
            web.get("/operations/staged/{name}", staged),
            web.post("/operations/staged/{name}", decide),
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
    text = await asyncio.to_thread(
        page.render, await overview(request), _translate(request, language), language, await _staged(request, language)
    )
    return web.Response(text=text, content_type="text/html")


async def operations_json(request: web.Request) -> web.Response:
    """GET /operations.json: the same for the page's own refreshing, and for machines."""
    language = _language(request)
    document = await asyncio.to_thread(
        page.document,
        await overview(request),
        _translate(request, language),
        language,
        await _staged(request, language),
    )
    return web.json_response(document)


async def staged(request: web.Request) -> web.Response:
    """GET /operations/staged/{name}: what a version that waits would change, and the form to decide about it."""
    return await _decision_page(request)


async def decide(request: web.Request) -> web.Response:
    """POST /operations/staged/{name}: approve or reject the version that was shown."""
    if not same_origin(request.headers):
        return web.Response(status=403, text="Decide on the operations page itself.\n")
    name = request.match_info["name"]
    try:
        given = dict(await form_of(request))
    except BadRequest as why:
        return web.Response(status=400, text=f"{why.detail}\n")
    digest = given.get("digest", "")
    if not hmac.compare_digest(_token(request, name, digest).encode(), given.get("token", "").encode()):
        return await _decision_page(request, "other-version")
    process = request.app[PROCESS]
    source = next((each for each in process.gateway.region.sources if each.name == name), None)
    decided = {"approved": approval.approve, "rejected": approval.reject}.get(given.get("word", ""))
    if source is None or decided is None:
        return web.Response(status=400, text="No such list or decision.\n")
    try:
        await asyncio.to_thread(
            decided, source, process.state, digest=digest, who=given.get("who", ""), at=process.gateway.clock()
        )
    except (ApprovalError, ListRefusedError) as fault:
        log.warning("list-not-decided", list=name, code=fault.code)
        return await _decision_page(request, fault.code)
    log.info("list-decided-here", list=name, outcome=given["word"])
    return _back(_language(request))


def _back(language: str) -> web.Response:
    return web.Response(status=303, headers={"Location": f"/operations?{LANGUAGE_PARAMETER}={language}"})


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of this listener itself sends this, and not one elsewhere (Fetch Metadata §2.4, RFC 6454 §7)."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return headers.get("Origin") == f"http://{headers.get('Host', '')}"


async def _decision_page(request: web.Request, failed: str = "") -> web.Response:
    language, name = _language(request), request.match_info["name"]
    shown = next((each for each in await _staged(request, language) if each.name == name), None)
    if shown is None:
        if failed:
            words = _translate(request, language)(page.problem(failed))
            return web.Response(status=409, text=f"{words}\n")
        return _back(language)
    text = await asyncio.to_thread(
        page.decision,
        shown,
        _translate(request, language),
        language,
        token=_token(request, name, shown.digest),
        failed=failed,
    )
    return web.Response(
        status=409 if failed else 200,
        text=text,
        content_type="text/html",
        headers={"Content-Security-Policy": page.DECISION_POLICY},
    )


async def _staged(request: web.Request, language: str) -> tuple[page.Staged, ...]:
    sources = request.app[PROCESS].gateway.region.sources
    return await asyncio.to_thread(_told, request.app[BOARD], sources, language)


def _told(board: Board, sources: Iterable[TrustSource], language: str) -> tuple[page.Staged, ...]:
    """What waits, in words. This belongs on a thread."""
    return tuple(
        page.Staged(
            name=each.name,
            digest=each.digest,
            since=each.since,
            sequence=each.sequence,
            valid_until=each.valid_until,
            lines=board.lines(each, language),
        )
        for each in board.waiting(sources)
    )


def _token(request: web.Request, name: str, digest: str) -> str:
    """Proves that a form was read from this process, which no page elsewhere can."""
    return hmac.digest(request.app[FORM_KEY], f"{name} {digest}".encode(), "sha256").hex()


async def static(request: web.Request) -> web.Response:
    """GET /static/{name}: the page's own files."""
    return assets.respond(request, assets.files(page.STATIC))


async def facts(request: web.Request) -> Facts:
    """The states of everything at this moment; the store is asked now."""
    process = request.app[PROCESS]
    now = process.gateway.clock()
    addresses: tuple[tuple[Address, ...], ...] = ()
    try:
        round_trip = await process.gateway.store.round_trip()
        addresses = await telling.told(process.gateway.store, process.gateway.region.public_url, now)
    except Unavailable:
        round_trip = None
    return process.telemetry.states.facts(
        now,
        round_trip=round_trip,
        addresses=addresses,
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
