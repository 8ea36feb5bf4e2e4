"""Sign-in with a phone: the page that waits, what the phone fetches and posts, and the way back to the browser.

A request is answered once, and only whoever holds the browser goes on: by the confirmation code that the phone shows
(another device), or with the address that the phone opens (the same device). See `federation/certificate/` for what is
asked and what makes an answer believable.

Which answers end a sign-in (`_final`). The QR code can be photographed, and everything that it leads to with it:
whoever has seen it can post anything for it. So for the request of the QR code only a refused answer ends the sign-in
that somebody signed with the key of a certificate, over exactly our request (`CertificateRefusedError.signed`); every
other one, a "declined" too, is told to the person on the page, and the request stays open. The link for the same device
stands on the page alone, so what comes for it is the person's own, and ends it. What is not theirs to mend (revocation
that cannot be asked for, a list) ends nothing. After `MOST_ANSWERS` that did not count the sign-in ends: nobody may try
for ever, and the person is told to begin again where nobody else sees the screen.
"""

import hmac
import json
import math
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import structlog
import zxingcpp
from aiohttp import web
from markupsafe import Markup

from federation.certificate.answer import read, verify_answer
from federation.certificate.connector import REQUEST, CertificateConnector, proof
from federation.certificate.model import Asked, CertificateRefusedError, Device, Proved
from federation.certificate.request import asked_from_json
from federation.flow import Flow
from federation.model import Keep, Kept, Service
from federation.oidc import jose
from federation.refusal import (
    BY_CODE,
    N_,
    OF_CERTIFICATES,
    BadRequest,
    CertificateAnswers,
    CertificateCodes,
    CertificateDeclined,
    CertificateOtherBrowser,
    CertificateRefused,
    CertificateStatusUnavailable,
    CertificateTimeOver,
    FlowUnknown,
    IdSystemDenied,
    IdSystemNotTrusted,
    OtherBrowser,
    Refusal,
    Unavailable,
)
from federation.web import Json, with_query
from gateway import login, pages, showing
from gateway.asking import drive
from gateway.context import GATEWAY, HANDLE, Gateway, as_data, document, new_handle
from gateway.pages import CODE_FIELD
from gateway.store import AlreadyClaimedError
from gateway.waiting import TooManyWaitError, Waiter, Waiting

log = structlog.get_logger("gateway.certificate")

WAITING = web.AppKey("waiting", Waiting)

FETCHED, TROUBLE, ANSWER, TRIES = (f"certificate-{each}" for each in ("fetched", "trouble", "answer", "tries"))
"""Kinds of what is kept beside a request, under the handle of its flow."""

ANSWERED_LIFETIME = timedelta(minutes=5)
"""How long the person may take from the phone's answer to the code or to the window that the app opens."""

REMEMBERED = timedelta(minutes=15)
"""For how long tries and the end of a sign-in are remembered; no request is open for longer."""

MOST_ANSWERS = 5
"""Answers to one request that are looked at."""

OURS = (CertificateStatusUnavailable, IdSystemNotTrusted)
"""Refusals of an answer for which nobody who answered can do anything."""

MOST_CODES = 3
"""Confirmation codes that may be tried: nobody guesses one of a million with that."""

MOST_BYTES = 160 * 1024
"""Of an answer's form: certificates, a signature and an attribute certificate take some ten thousand."""

KEEPALIVE_SECONDS = 15.0

PAUSED = "paused"
"""In the query of the page: it does not refresh itself."""

TOO_LARGE, TOO_MANY = 413, 429

QUIET = 4
"""Dots around a QR code that stay empty."""

_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_DARK = re.compile(rb"\x00+")


AGAIN = N_("Nothing of yours was sent. You can try again here: read the code once more with your phone.")
"""What to do on a page that stays open, where a refusal's own advice is to begin again."""


class State(StrEnum):
    """How far a sign-in with a phone is."""

    WAITING = "waiting"
    FETCHED = "fetched"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"
    OVER = "over"


SENTENCES: Mapping[State, str] = {
    State.WAITING: N_("Waiting for your phone."),
    State.FETCHED: N_("Your phone has read the request. Go on there."),
    State.ANSWERED: N_("Your phone has answered."),
    State.REFUSED: N_("The sign-in has ended."),
    State.EXPIRED: N_("The time for this sign-in is over."),
    State.OVER: N_("The sign-in goes on in another window. You may close this page."),
}
"""What is told of each; screen readers read it when it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a sign-in now. `answer` is what was proved, or how it was refused for good."""

    state: State
    until: datetime
    answer: Json | None = None
    trouble: Refusal | None = None

    @property
    def notice(self) -> tuple[str, str] | None:
        """What the page tells of the last answer that did not count: what it was, and what to do."""
        if self.trouble is None:
            return None
        own = type(self.trouble) not in (CertificateRefused, CertificateDeclined)
        return self.trouble.title, self.trouble.advice if own else AGAIN

    def minutes(self, now: datetime) -> int:
        """Minutes left, the last one counted whole."""
        return max(1, math.ceil((self.until - now).total_seconds() / 60))


async def _standing(gateway: Gateway, handle: str, memory: Json) -> Standing:
    """How far the sign-in `handle` is, whose flow remembers `memory`."""
    kinds = (ANSWER, TROUBLE, FETCHED, "flow")
    answer, trouble, fetched, flow = await gateway.store.read_all(*((kind, handle) for kind in kinds))
    now = gateway.clock()
    until = datetime.fromtimestamp(memory["expires"] if answer is None else answer["until"], UTC)
    if flow is None:
        state = State.OVER
    elif answer is not None and "refused" in answer:
        state = State.REFUSED
    elif now >= until:
        state = State.EXPIRED
    elif answer is not None:
        state = State.ANSWERED
    else:
        state = State.WAITING if fetched is None else State.FETCHED
    return Standing(state=state, until=until, answer=answer, trouble=None if trouble is None else _refusal(trouble))


def _refusal(kept: Json) -> Refusal:
    return BY_CODE.get(kept["refused"], CertificateRefused)(kept["detail"])


# --- the browser's page


async def page(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}: what to do with the phone; once that has answered, where its code is typed."""
    handle = request.match_info["handle"]
    flow, service, memory = await _own(request)
    gateway = request.app[GATEWAY]
    standing = await _standing(gateway, handle, memory)
    if standing.state is State.OVER:
        raise FlowUnknown("taken meanwhile")
    if standing.state is State.REFUSED:
        assert standing.answer is not None  # it says how
        return await login.stopped(request, handle, _refusal(standing.answer))
    if standing.state is State.EXPIRED:
        return await login.stopped(request, handle, CertificateTimeOver())
    if standing.answer is not None:
        return _answered(request, flow, service, standing)
    return await _ask(request, flow, service, standing, memory)


async def _own(request: web.Request) -> tuple[Flow, Service, Json]:
    flow, service = await login.waiting(request, request.match_info["handle"])
    if flow.memory is None or "requests" not in flow.memory:
        raise FlowUnknown("the flow waits for no phone")
    return flow, service, flow.memory


async def _ask(
    request: web.Request, flow: Flow, service: Service, standing: Standing, memory: Json
) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    region = gateway.region
    across, here = (_link(region.public_url, memory["phone"], reference) for reference in memory["requests"])
    shown = pages.PhonePage(
        service=pages.ServiceLink.of(service),
        municipality=region.systems[flow.system].name if flow.system and flow.system in region.systems else {},
        qr=await gateway.outward.run(lambda: drawn(across)),
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


def _link(public_url: str, phone: str, reference: str) -> str:
    """What opens the phone's app with a request (RFC 9101 §5.2)."""
    address = f"{public_url}/certificate/requests/{reference}"
    return with_query(phone, (("client_id", public_url), ("request_uri", address)))


@lru_cache(maxsize=256)
def drawn(text: str) -> Markup:
    """A QR code as SVG, error correction M, with its quiet zone (ISO/IEC 18004 §5.3.8).

    One path, row by row: the library's own SVG is a rectangle for each dot. Kept, since a page without JavaScript asks
    again and again.
    """
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = code.to_image(scale=1, add_quiet_zones=False)  # an array, which its types do not say
    dots: Any = memoryview(image)
    (height, width), octets = dots.shape, dots.tobytes()
    path = "".join(
        f"M{run.start() - row * width + QUIET} {row + QUIET}.5h{run.end() - run.start()}"
        for row in range(height)
        for run in _DARK.finditer(octets, row * width, (row + 1) * width)
    )
    size = width + 2 * QUIET
    return Markup(f'<svg viewBox="0 0 {size} {size}"><path stroke="#000" d="{path}"/></svg>')  # noqa: S704 - digits only


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
        standing = self._standing = await _standing(self._gateway, self._handle, self._memory)
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
    flow, service, memory = await _own(request)
    fields = await login.form(request)
    gateway = request.app[GATEWAY]
    standing = await _standing(gateway, handle, memory)
    if standing.state is not State.ANSWERED or standing.answer is None or standing.answer["device"] != Device.CROSS:
        return login.see_other(f"/certificate/{handle}")
    typed = re.sub(r"[\s\-‐-―ー−]", "", unicodedata.normalize("NFKC", fields.get(CODE_FIELD, "")[:64]))
    if not _CODE.fullmatch(typed):
        return _answered(request, flow, service, standing, malformed=True)
    tried = await gateway.store.count(TRIES, f"code {handle}", REMEMBERED)
    if tried <= MOST_CODES and hmac.compare_digest(_keyed(handle, typed), standing.answer["secret"]):
        return await _go_on(request, handle)
    if tried < MOST_CODES:
        return _answered(request, flow, service, standing, left=MOST_CODES - tried)
    response = await login.stopped(request, handle, CertificateCodes())
    await gateway.store.forget(ANSWER, handle)
    await request.app[WAITING].tell(handle)
    return response


async def come_back(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}/return: the phone's app opened the browser again; only the one that began goes on."""
    handle = request.match_info["handle"]
    try:
        _, _, memory = await _own(request)
    except OtherBrowser as why:
        raise CertificateOtherBrowser(why.detail) from None
    gateway = request.app[GATEWAY]
    standing = await _standing(gateway, handle, memory)
    given = request.query.getall("response_code", [])
    if (
        standing.state is not State.ANSWERED
        or standing.answer is None
        or standing.answer["device"] != Device.SAME
        or len(given) != 1
        or not hmac.compare_digest(_keyed(handle, given[0]), standing.answer["secret"])
    ):
        return login.see_other(f"/certificate/{handle}")
    return await _go_on(request, handle)


async def _go_on(request: web.Request, handle: str) -> web.StreamResponse:
    """Whoever takes the answer first goes on with it, as after every ID system."""
    taken = await request.app[GATEWAY].store.take(ANSWER, handle)
    if taken is None:
        raise FlowUnknown("taken meanwhile")
    response = await login.proved(request, handle, taken["proof"])
    await request.app[WAITING].tell(handle)
    return response


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /certificate/{handle}/cancel: the person stops, and the service hears of it."""
    handle = request.match_info["handle"]
    await _own(request)
    await login.form(request)
    response = await login.given_up(request, handle, IdSystemDenied("cancelled on the page"))
    await request.app[GATEWAY].store.forget(ANSWER, handle)
    await request.app[WAITING].tell(handle)
    return response


def _keyed(handle: str, secret: str) -> str:
    """A digest of a code that nobody can use who reads it: the handle is its key."""
    return hmac.digest(handle.encode(), secret.encode("utf-8", "surrogatepass"), "sha256").hex()


# --- the phone


async def request_object(request: web.Request) -> web.Response:
    """GET /certificate/requests/{reference}: the signed request (RFC 9101 §5.2.3), until it is answered."""
    gateway = request.app[GATEWAY]
    try:
        asked = await _asked(gateway, request.match_info["reference"])
        if asked is None:
            return _error(404, "invalid_request_uri", "There is no such request, or it is over.")
        first = Kept(kind=FETCHED, key=asked.handle, value={}, lifetime=REMEMBERED)
        try:
            await gateway.store.keep(Keep(items=(first,)), first=True)
        except AlreadyClaimedError:
            pass
        else:
            await request.app[WAITING].tell(asked.handle)
    except Unavailable as fault:
        return _unavailable(fault)
    return web.Response(
        body=asked.jwt.encode(),
        headers={"Content-Type": "application/oauth-authz-req+jwt", "Cache-Control": "no-store"},
    )


async def _asked(gateway: Gateway, reference: str) -> Asked | None:
    """The request, if it can still be answered."""
    kept = await gateway.store.read(REQUEST, reference) if HANDLE.fullmatch(reference) else None
    if kept is None:
        return None
    asked = asked_from_json(kept)
    if gateway.clock() >= asked.expires_at:
        return None
    flow, answer = await gateway.store.read_all(("flow", asked.handle), (ANSWER, asked.handle))
    return asked if flow is not None and answer is None else None


async def answers(request: web.Request) -> web.Response:
    """POST /certificate/answers: what a phone answers (direct post), and what it shows or opens then.

    No page has a reason to post here, so nothing is answered to one (`Origin`, Fetch §3.2).
    """
    if "Origin" in request.headers:
        return _error(403, "access_denied", "Answers come from phones, not from pages.")
    try:
        form = await _posted(request)
        return await _answer(request, dict(form)["state"], form)
    except web.HTTPRequestEntityTooLarge:
        return _error(TOO_LARGE, "invalid_request", "The answer is too large.", "answer-too-large")
    except BadRequest:
        return _error(400, "invalid_request", "The body is not a form with one state.", "answer-malformed")
    except Unavailable as fault:
        return _unavailable(fault)


async def _posted(request: web.Request) -> Sequence[tuple[str, str]]:
    """The form, which has a state and nothing twice. Raises `BadRequest`, and aiohttp's own for a large one."""
    size = request.content_length or 0
    if size <= MOST_BYTES:
        form = (await as_data(request)).form
        names = [name for name, _ in form]
        if "state" not in names or len(set(names)) != len(names):
            raise BadRequest("one state is needed, and nothing twice")
        size = sum(len(name) + len(value) for name, value in form)
        if size <= MOST_BYTES:
            return form
    raise web.HTTPRequestEntityTooLarge(max_size=MOST_BYTES, actual_size=size)


async def _answer(request: web.Request, reference: str, form: Sequence[tuple[str, str]]) -> web.Response:
    gateway = request.app[GATEWAY]
    unknown = _error(400, "invalid_request", "There is no such request, or it is over.", "request-unknown")
    asked = await _asked(gateway, reference)
    if asked is None:
        return unknown
    tried = await gateway.store.count(TRIES, f"answer {reference}", REMEMBERED)
    if tried > MOST_ANSWERS:
        return unknown
    try:
        if any(name == "error" for name, _ in form):
            return await _declined(request, asked, dict(form), last=tried == MOST_ANSWERS)
        proved = await _proved(gateway, asked, form)
    except CertificateRefusedError as why:
        log.info("certificate-answer-refused", reason=why.code, detail=why.detail, id_system=asked.system)
        refused = refusal_of(why)
        await _refused(request, asked, refused, final=_final(asked, why), last=tried == MOST_ANSWERS)
        status, error = (400, "invalid_request") if type(refused) is CertificateRefused else (403, "access_denied")
        return _error(status, error, refused.title, why.code)
    except IdSystemNotTrusted as why:
        log.info("certificate-answer-refused", reason=why.code, detail=why.detail, id_system=asked.system)
        await _refused(request, asked, why, final=False, last=tried == MOST_ANSWERS)
        return _error(403, "access_denied", why.title, "authority-withdrawn")
    return await _accepted(request, asked, proved) or unknown


async def _proved(gateway: Gateway, asked: Asked, form: Sequence[tuple[str, str]]) -> Proved:
    """What the answer proves. Raises `CertificateRefusedError`, `IdSystemNotTrusted`."""
    region, now = gateway.region, gateway.clock()
    if asked.system not in region.systems:
        raise IdSystemNotTrusted("the ID system left the region meanwhile")
    connector = region.connector(asked.system)
    if not isinstance(connector, CertificateConnector):
        raise IdSystemNotTrusted("the ID system is of another kind meanwhile")
    accepted = connector.accepted(now)
    answer = await gateway.outward.run(lambda: read(form))
    return await drive(verify_answer(answer, asked, accepted, now), outward=gateway.outward, statuses=gateway.statuses)


async def _accepted(request: web.Request, asked: Asked, proved: Proved) -> web.Response | None:
    """Keep what was proved, unless somebody answered before, and say how the person goes on."""
    gateway = request.app[GATEWAY]
    secret = f"{secrets.randbelow(10**6):06d}" if asked.device is Device.CROSS else new_handle()
    value = {"proof": proof(proved), "device": asked.device.value, "secret": _keyed(asked.handle, secret)}
    if not await _settle(request, asked, value):
        return None
    if asked.device is Device.CROSS:
        return _json(200, {"confirmation_code": secret, "expires_in": int(ANSWERED_LIFETIME.total_seconds())})
    address = f"{gateway.region.public_url}/certificate/{asked.handle}/return"
    return _json(200, {"redirect_uri": with_query(address, (("response_code", secret),))})


async def _declined(request: web.Request, asked: Asked, form: Mapping[str, str], *, last: bool) -> web.Response:
    """The app says no by itself (RFC 6749 §4.1.2.1)."""
    refused = CertificateDeclined() if form["error"] == "access_denied" else CertificateRefused("the app gave up")
    await _refused(request, asked, refused, final=asked.device is Device.SAME, last=last)
    if asked.device is Device.CROSS:
        return _json(200, {})
    return _json(200, {"redirect_uri": f"{request.app[GATEWAY].region.public_url}/certificate/{asked.handle}"})


async def _refused(request: web.Request, asked: Asked, why: Refusal, *, final: bool, last: bool) -> None:
    """Let the page know: the sign-in ends, or an answer did not count and the request stays open."""
    own = final or not last or isinstance(why, OURS)
    told = why if own else CertificateAnswers(why.code)
    value = {"refused": told.code, "detail": told.detail}
    if final or last:
        await _settle(request, asked, value)
        return
    await request.app[GATEWAY].store.keep(
        Keep(items=(Kept(kind=TROUBLE, key=asked.handle, value=value, lifetime=REMEMBERED),))
    )
    await request.app[WAITING].tell(asked.handle)


def _final(asked: Asked, why: CertificateRefusedError) -> bool:
    """Whether a refused answer ends the sign-in (see this file's beginning)."""
    if issubclass(OF_CERTIFICATES[why.code], OURS):
        return False
    return asked.device is Device.SAME or why.signed


async def _settle(request: web.Request, asked: Asked, value: Json) -> bool:
    """Settle the sign-in; False if it was before."""
    gateway = request.app[GATEWAY]
    until = gateway.clock() + ANSWERED_LIFETIME
    kept = Kept(
        kind=ANSWER,
        key=asked.handle,
        value={**value, "until": until.timestamp()},
        lifetime=max(until, asked.expires_at) - gateway.clock() + timedelta(minutes=1),
    )
    try:
        await gateway.store.keep(Keep(items=(kept,)), first=True)
    except AlreadyClaimedError:
        return False
    await request.app[WAITING].tell(asked.handle)
    return True


def refusal_of(why: CertificateRefusedError) -> Refusal:
    """What the person is told of it; the log says exactly what it was."""
    detail = f"{why.code}: {why.detail}" if why.detail else why.code
    return OF_CERTIFICATES[why.code](detail)


async def keys(request: web.Request) -> web.Response:
    """GET /certificate/jwks: the key that signs requests."""
    return document(jose.jwks(request.app[GATEWAY].keys.client))


def _json(status: int, content: Mapping[str, object]) -> web.Response:
    return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def _error(status: int, error: str, description: str, code: str | None = None) -> web.Response:
    """RFC 6749 §5.2, with our own code where there is one."""
    told = {"error": error, "error_description": description}
    return _json(status, told if code is None else {**told, "code": code})


def _unavailable(fault: Unavailable) -> web.Response:
    log.warning("unavailable", detail=fault.detail)
    return _error(fault.status, "temporarily_unavailable", fault.title)


# --- part of the application


async def close(app: web.Application) -> None:
    """Pages that wait go before the application waits for what is under way."""
    await app[WAITING].close()


ROUTES: Sequence[web.RouteDef] = (
    web.get("/certificate/jwks", keys),
    web.post("/certificate/answers", answers),
    web.get("/certificate/requests/{reference}", request_object, allow_head=False),
    web.get("/certificate/{handle}", page, allow_head=False),
    web.get("/certificate/{handle}/events", events, allow_head=False),
    web.post("/certificate/{handle}/confirm", confirm),
    web.post("/certificate/{handle}/cancel", cancel),
    web.get("/certificate/{handle}/return", come_back, allow_head=False),
)
