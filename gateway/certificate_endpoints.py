"""Sign-in with a phone: its addresses, and the phone's part, which fetches a request and posts an answer.

A request is answered once. `federation/certificate/` says what is asked and what makes an answer believable,
`certificate_pages.py` how the browser goes on.

Which answers end a sign-in (`_final`). The QR code can be photographed, and everything that it leads to with it:
whoever has seen it can post anything for it. So for the request of the QR code only a refused answer ends the sign-in
that somebody signed with the key of a certificate, over exactly our request (`CertificateRefusedError.signed`); every
other one, a "declined" too, is told to the person on the page, and the request stays open. The link for the same device
stands on the page alone, so what comes for it is the person's own, and ends it. What is not theirs to mend (revocation
that cannot be asked for, a list) ends nothing. After `MOST_ANSWERS` that did not count the sign-in ends: nobody may try
for ever, and the person is told to begin again where nobody else sees the screen.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from aiohttp import web

from federation.certificate.answer import is_usual, read, verify_answer
from federation.certificate.connector import REQUEST, CertificateConnector, proof
from federation.certificate.model import Asked, CertificateRefusedError, Device, Proved
from federation.certificate.relinking import verify_former
from federation.certificate.request import asked_from_json
from federation.model import Keep, Kept
from federation.oidc import jose
from federation.refusal import (
    OF_CERTIFICATES,
    BadRequest,
    CertificateAnswers,
    CertificateDeclined,
    CertificateRefused,
    CertificateStatusUnavailable,
    IdSystemNotTrusted,
    Refusal,
    Unavailable,
)
from federation.web import Json, with_query
from gateway import certificate_pages, certificate_relinking
from gateway.asking import drive
from gateway.certificate_standing import ANSWER, FETCHED, REMEMBERED, TRIES, TROUBLE, WAITING, keyed, refusal_of
from gateway.context import GATEWAY, HANDLE, Gateway, as_data, document, new_handle

log = structlog.get_logger("gateway.certificate")

ANSWERED_LIFETIME = timedelta(minutes=5)
"""How long the person may take from the phone's answer to the code or to the window that the app opens."""

MOST_ANSWERS = 5
"""Answers to one request that are looked at."""

OURS = (CertificateStatusUnavailable, IdSystemNotTrusted)
"""Refusals of an answer for which nobody who answered can do anything."""

MOST_BYTES = 160 * 1024
"""Of an answer's form: certificates, a signature and an attribute certificate take some ten thousand."""

TOO_LARGE = 413


async def request_object(request: web.Request) -> web.Response:
    """GET /certificate/requests/{reference}: the signed request (RFC 9101 §5.2.3), until it is answered."""
    gateway = request.app[GATEWAY]
    try:
        asked = await _asked(gateway, request.match_info["reference"])
        if asked is None:
            return _error(404, "invalid_request_uri", "There is no such request, or it is over.")
        first = Kept(kind=FETCHED, key=asked.handle, value={}, lifetime=REMEMBERED)
        await request.app[WAITING].keep_and_tell(first, asked.handle)
    except Unavailable as fault:
        return _unavailable(fault)
    return web.Response(
        body=asked.jwt.encode(),
        headers={"Content-Type": "application/oauth-authz-req+jwt", "Cache-Control": "no-store"},
    )


async def _asked(gateway: Gateway, reference: str) -> Asked | None:
    """The request, if it can still be answered."""
    asked = await _remembered(gateway, reference)
    if asked is None:
        return None
    flow, answer = await gateway.store.read_all(*_beside(asked))
    return asked if flow is not None and answer is None else None


async def _remembered(gateway: Gateway, reference: str) -> Asked | None:
    kept = await gateway.store.read(REQUEST, reference) if HANDLE.fullmatch(reference) else None
    asked = None if kept is None else asked_from_json(kept)
    return None if asked is None or gateway.clock() >= asked.expires_at else asked


def _beside(asked: Asked) -> tuple[tuple[str, str], tuple[str, str]]:
    """What tells whether the request can still be answered: the flow that waits, and no answer."""
    return ("flow", asked.handle), (ANSWER, asked.handle)


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
    asked = await _remembered(gateway, reference)
    if asked is None:
        return unknown
    tried, (flow, answer) = await gateway.store.count_and_read(
        TRIES, f"answer {reference}", REMEMBERED, *_beside(asked)
    )
    if tried > MOST_ANSWERS or flow is None or answer is not None:
        return unknown
    former = certificate_relinking.NEW in (flow["memory"] or {})
    try:
        if any(name == "error" for name, _ in form):
            return await _declined(request, asked, dict(form), last=tried == MOST_ANSWERS)
        proved = await _proved(gateway, asked, form, former=former)
    except CertificateRefusedError as why:
        log.info("certificate-answer-refused", reason=why.code, detail=why.detail, id_system=asked.system)
        refused = certificate_relinking.refusal_of_former(why) if former else refusal_of(why)
        await _refused(request, asked, refused, final=_final(asked, why), last=tried == MOST_ANSWERS)
        status, error = (400, "invalid_request") if type(refused) is CertificateRefused else (403, "access_denied")
        return _error(status, error, refused.title, why.code)
    except IdSystemNotTrusted as why:
        log.info("certificate-answer-refused", reason=why.code, detail=why.detail, id_system=asked.system)
        await _refused(request, asked, why, final=False, last=tried == MOST_ANSWERS)
        return _error(403, "access_denied", why.title, "authority-withdrawn")
    return await _accepted(request, asked, proved) or unknown


async def _proved(gateway: Gateway, asked: Asked, form: Sequence[tuple[str, str]], *, former: bool) -> Proved:
    """What the answer proves; `former`: it is that of a former certificate, beside a new one.

    Raises `CertificateRefusedError`, `IdSystemNotTrusted`.
    """
    region, now = gateway.region, gateway.clock()
    if asked.system not in region.systems:
        raise IdSystemNotTrusted("the ID system left the region meanwhile")
    connector = region.connector(asked.system)
    if not isinstance(connector, CertificateConnector):
        raise IdSystemNotTrusted("the ID system is of another kind meanwhile")
    accepted = connector.accepted(now)
    rules = verify_former if former else verify_answer
    answer = read(form)
    return await drive(
        rules(answer, asked, accepted, now), outward=gateway.outward, statuses=gateway.statuses, brief=is_usual(answer)
    )


async def _accepted(request: web.Request, asked: Asked, proved: Proved) -> web.Response | None:
    """Keep what was proved, unless somebody answered before, and say how the person goes on."""
    gateway = request.app[GATEWAY]
    secret = f"{secrets.randbelow(10**6):06d}" if asked.device is Device.CROSS else new_handle()
    value = {"proof": proof(proved), "device": asked.device.value, "secret": keyed(asked.handle, secret)}
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
    return await request.app[WAITING].keep_and_tell(kept, asked.handle)


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
    web.get("/certificate/{handle}", certificate_pages.page, allow_head=False),
    web.get("/certificate/{handle}/events", certificate_pages.events, allow_head=False),
    web.post("/certificate/{handle}/confirm", certificate_pages.confirm),
    web.post("/certificate/{handle}/cancel", certificate_pages.cancel),
    web.get("/certificate/{handle}/return", certificate_pages.come_back, allow_head=False),
)
