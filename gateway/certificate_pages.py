"""The browser's part of a sign-in with a phone: the page that waits, and the way back to it.

Only whoever holds the browser goes on: by the confirmation code that the phone shows (another device), or with the
address that the phone opens (the same device). The phone's part is `certificate_endpoints.py`.
"""

import hmac
import json
import re
import unicodedata

from aiohttp import web

from federation.certificate.model import Device
from federation.certificate.request import link
from federation.flow import Flow
from federation.model import Service
from federation.refusal import (
    CertificateCodes,
    CertificateOtherBrowser,
    CertificateTimeOver,
    FlowUnknown,
    IdSystemDenied,
    OtherBrowser,
    Refusal,
    Unavailable,
)
from federation.web import Json
from gateway import certificate_relinking, login, pages, showing
from gateway.certificate_standing import (
    ANSWER,
    BESIDE,
    REMEMBERED,
    SENTENCES,
    TRIES,
    WAITING,
    Standing,
    State,
    kept_refusal,
    keyed,
    standing_from,
    standing_of,
)
from gateway.context import GATEWAY, Gateway
from gateway.pages import CODE_FIELD
from gateway.qr_code import drawn
from gateway.waiting import TooManyWaitError, Waiter

MOST_CODES = 3
"""Confirmation codes that may be tried: nobody guesses one of a million with that."""

KEEPALIVE_SECONDS = 15.0

PAUSED = "paused"
"""In the query of the page: it does not refresh itself."""

TOO_MANY = 429

_CODE = re.compile(r"[0-9]{6}", re.ASCII)


# --- the browser's page


async def page(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}: what to do with the phone; once that has answered, where its code is typed."""
    handle = request.match_info["handle"]
    flow, service, memory, standing = await _own_standing(request)
    if standing.state is State.REFUSED:
        assert standing.answer is not None  # it says how
        return await login.stopped(request, handle, kept_refusal(standing.answer))
    if standing.state is State.EXPIRED:
        return await login.stopped(request, handle, CertificateTimeOver())
    if standing.answer is not None:
        return _answered(request, flow, service, standing)
    return await _ask(request, flow, service, standing, memory)


async def _own(request: web.Request) -> tuple[Flow, Service, Json]:
    flow, service = await login.waiting(request, request.match_info["handle"])
    return flow, service, _of_phone(flow)


def _of_phone(flow: Flow) -> Json:
    if flow.memory is None or "requests" not in flow.memory:
        raise FlowUnknown("the flow waits for no phone")
    return flow.memory


async def _own_standing(request: web.Request) -> tuple[Flow, Service, Json, Standing]:
    handle = request.match_info["handle"]
    flow, service, beside = await login.waiting_beside(request, handle, BESIDE)
    memory = _of_phone(flow)
    return flow, service, memory, standing_from(flow, beside, memory, request.app[GATEWAY].clock())


async def _ask(
    request: web.Request, flow: Flow, service: Service, standing: Standing, memory: Json
) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    region = gateway.region
    across, here = (link(memory["phone"], reference, region.public_url) for reference in memory["requests"])
    kind = pages.FormerPhonePage if certificate_relinking.NEW in memory else pages.PhonePage
    shown = kind(
        service=pages.ServiceLink.of(service),
        municipality=region.systems[flow.system].name if flow.system and flow.system in region.systems else {},
        qr=drawn(across),
        address=across,
        link=here,
        code=memory["code"],
        minutes=standing.minutes(gateway.clock()),
        state=standing.state.value,
        status=SENTENCES[standing.state],
        action=request.path,
        another=f"/login/{flow.choice}",
        csrf=login.csrf(request),
        card=memory.get("card"),
        notice=standing.notice,
        paused=PAUSED in request.query,
    )
    return showing.show(request, shown, requested=flow.request.languages)


def _answered(
    request: web.Request,
    flow: Flow,
    service: Service,
    standing: Standing,
    *,
    left: int | None = None,
    malformed: bool = False,
) -> web.StreamResponse:
    """Where the code is typed; or that it goes on in another window."""
    assert standing.answer is not None
    shown: pages.Page
    action = f"/certificate/{request.match_info['handle']}"
    if standing.answer["device"] == Device.SAME:
        shown = pages.PhoneGoesOnPage(
            service=pages.ServiceLink.of(service),
            state=standing.state.value,
            action=action,
            csrf=login.csrf(request),
        )
    else:
        shown = pages.PhoneCodePage(
            service=pages.ServiceLink.of(service),
            minutes=standing.minutes(request.app[GATEWAY].clock()),
            action=action,
            csrf=login.csrf(request),
            left=left,
            malformed=malformed,
        )
    status = 200 if left is None and not malformed else 400
    return showing.show(request, shown, status=status, requested=flow.request.languages)


# --- server-sent events


async def events(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}/events: the same, as it changes (server-sent events).

    204 tells a browser not to come again (HTML, "server-sent events"): the page itself then says why.
    """
    handle = request.match_info["handle"]
    try:
        flow, _, memory = await _own(request)
    except Unavailable:
        raise
    except Refusal:
        return web.Response(status=204)
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type, response.charset = "text/event-stream", "utf-8"
    language = showing.language_of(request, flow.request.languages)
    stream = _Stream(request.app[GATEWAY], handle, memory, language)
    transport = request.transport
    try:
        async with request.app[WAITING].waiter(
            handle, lambda: not (transport is None or transport.is_closing())
        ) as waiter:
            told, last = await stream.next()
            await response.prepare(request)
            while not waiter.closed:
                if told:  # an empty chunk would end the stream
                    await response.write(told)
                if last:
                    break
                told, last = await _next(stream, waiter, response)
    except TooManyWaitError:
        return web.Response(status=TOO_MANY, headers={"Retry-After": "5"})
    except ConnectionError:
        pass  # the page was closed
    except Unavailable:
        if not response.prepared:
            raise
        # The browser comes again by itself.
    return response


async def _next(stream: "_Stream", waiter: Waiter, response: web.StreamResponse) -> tuple[bytes, bool]:
    """What is to be told next; until then the connection is kept alive."""
    while True:
        woken = await waiter.woken(min(KEEPALIVE_SECONDS, stream.seconds()))
        if woken or stream.due():
            return (b"", False) if waiter.closed else await stream.next()
        await response.write(b":\n\n")


class _Stream:
    """What one page is told, in its language."""

    def __init__(self, gateway: Gateway, handle: str, memory: Json, language: str) -> None:
        self._gateway, self._handle, self._memory = gateway, handle, memory
        self._catalogue = gateway.messages.for_language(language)
        self._standing: Standing | None = None
        self._minutes = 0
        self._said: dict[str, object] = {}

    async def next(self) -> tuple[bytes, bool]:
        """What is new, and whether nothing comes after it. Raises `Unavailable`."""
        standing = self._standing = await standing_of(self._gateway, self._handle, self._memory)
        text = self._catalogue.gettext
        said: dict[str, object] = {"state": standing.state.value, "text": text(SENTENCES[standing.state])}
        if standing.notice is not None:
            said["notice"] = [text(each) for each in standing.notice]
        told = b"" if said == self._said else _event("state", json.dumps(said))
        self._said = said
        minutes = standing.minutes(self._gateway.clock())
        if minutes != self._minutes:
            left = self._catalogue.ngettext(
                "About %(minutes)s minute left.", "About %(minutes)s minutes left.", minutes
            )
            told += _event("left", left % {"minutes": minutes})
            self._minutes = minutes
        return told, standing.state in (State.REFUSED, State.EXPIRED, State.OVER)

    def due(self) -> bool:
        """Whether something changed only because time went by."""
        now = self._gateway.clock()
        return self._standing is None or now >= self._standing.until or self._standing.minutes(now) != self._minutes

    def seconds(self) -> float:
        """Until the time is over."""
        if self._standing is None:
            return 0.0
        return max(0.05, (self._standing.until - self._gateway.clock()).total_seconds())


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


# --- the way back to the browser


async def confirm(request: web.Request) -> web.StreamResponse:
    """POST /certificate/{handle}/confirm: the person types the code that the phone shows."""
    handle = request.match_info["handle"]
    flow, service, _, standing = await _own_standing(request)
    fields = await login.form(request)
    gateway = request.app[GATEWAY]
    if standing.state is not State.ANSWERED or standing.answer is None or standing.answer["device"] != Device.CROSS:
        return login.see_other(f"/certificate/{handle}")
    typed = re.sub(r"[\s\-‐-―ー−]", "", unicodedata.normalize("NFKC", fields.get(CODE_FIELD, "")[:64]))
    if not _CODE.fullmatch(typed):
        return _answered(request, flow, service, standing, malformed=True)
    tried = await gateway.store.count(TRIES, f"code {handle}", REMEMBERED)
    if tried <= MOST_CODES and hmac.compare_digest(keyed(handle, typed), standing.answer["secret"]):
        return await _go_on(request, handle, flow, standing.answer)
    if tried < MOST_CODES:
        return _answered(request, flow, service, standing, left=MOST_CODES - tried)
    response = await login.stopped(request, handle, CertificateCodes())
    await request.app[WAITING].forget_and_tell(ANSWER, handle)
    return response


async def come_back(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}/return: the phone's app opened the browser again; only the one that began goes on."""
    handle = request.match_info["handle"]
    try:
        flow, _, _, standing = await _own_standing(request)
    except OtherBrowser as why:
        raise CertificateOtherBrowser(why.detail) from None
    given = request.query.getall("response_code", [])
    if (
        standing.state is not State.ANSWERED
        or standing.answer is None
        or standing.answer["device"] != Device.SAME
        or len(given) != 1
        or not hmac.compare_digest(keyed(handle, given[0]), standing.answer["secret"])
    ):
        return login.see_other(f"/certificate/{handle}")
    return await _go_on(request, handle, flow, standing.answer)


async def _go_on(request: web.Request, handle: str, flow: Flow, answer: Json) -> web.StreamResponse:
    """On with what was proved, as after every ID system: whoever takes the flow first."""
    response = await certificate_relinking.go_on(request, handle, flow, answer["proof"])
    await request.app[WAITING].forget_and_tell(ANSWER, handle)
    return response


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /certificate/{handle}/cancel: the person stops, and the service hears of it."""
    handle = request.match_info["handle"]
    await _own(request)
    await login.form(request)
    response = await login.given_up(request, handle, IdSystemDenied("cancelled on the page"))
    await request.app[WAITING].forget_and_tell(ANSWER, handle)
    return response
