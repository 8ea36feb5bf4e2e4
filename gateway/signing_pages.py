"""The resident's side of a signing: the page that shows the text, then waits for the phone, and the way back.

As at a sign-in (`certificate_endpoints.py`) only whoever holds the browser goes on: by the code that the phone shows,
or with the address that it opens. What differs: the page first shows the whole text and says that the certificate goes
to the service; nothing can be answered before the person agreed to that here. What the phone does stands in
`signing_answers.py`.
"""

import hmac
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aiohttp import web

from federation.certificate import transaction
from federation.certificate.connector import CertificateConnector
from federation.certificate.model import Device
from federation.model import IdSystem, Service
from federation.refusal import (
    N_,
    FlowUnknown,
    OtherBrowser,
    Refusal,
    Unavailable,
)
from federation.web import Json, with_query
from gateway import login, pages, showing
from gateway.certificate_pages import KEEPALIVE_SECONDS, PAUSED
from gateway.certificate_standing import WAITING
from gateway.context import GATEWAY, HANDLE, Gateway, as_data, browser, browser_cookie, new_handle, set_cookie
from gateway.pages import AGREE, CODE_FIELD, CSRF_FIELD, DECISION_FIELD
from gateway.qr_code import drawn
from gateway.signings import Signing, Signings, Stage, keyed
from gateway.waiting import TooManyWaitError

log = structlog.get_logger("gateway.signing")

MOST_CODES = 3
"""Confirmation codes that may be tried."""

_CODE = re.compile(r"[0-9]{6}", re.ASCII)

TOO_MANY = 429

WAITING_SENTENCE = N_("Waiting for your phone.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one request of the browser works with."""

    signings: Signings
    signing: Signing
    stage: Stage
    service: Service
    system: IdSystem
    own: bool


async def _seen(request: web.Request) -> _Seen:
    """The signing of the address. Raises `FlowUnknown` for one that is not there or over."""
    gateway = request.app[GATEWAY]
    region, signings = gateway.region, Signings(gateway.store)
    signing = await signings.find(request.match_info["id"])
    if signing is None or gateway.clock() >= signing.open_until:
        raise FlowUnknown("no such text to be signed, or its time is over")
    service, system = region.services.get(signing.order.service), region.systems.get(signing.order.system)
    if service is None or system is None or not service.signing or region.configuration.timestamp is None:
        raise FlowUnknown("the service or the ID system left the region meanwhile")
    stage = await signings.stage(signing)
    own = stage.browser is not None and hmac.compare_digest(stage.browser, browser(request, region) or "")
    if stage.browser is not None and not own:
        raise OtherBrowser("another browser agreed to sign")
    return _Seen(signings=signings, signing=signing, stage=stage, service=service, system=system, own=own)


# --- the page


async def page(request: web.Request) -> web.StreamResponse:
    """GET /signing/{id}: the text and what signing it means; then the phone; then where its code is typed."""
    seen = await _seen(request)
    cookie = _cookie(request)
    response = await _show(request, seen, cookie)
    region = request.app[GATEWAY].region
    if request.cookies.get(browser_cookie(region)) != cookie:
        set_cookie(response, region, browser_cookie(region), cookie)
    return response


def _cookie(request: web.Request) -> str:
    held = request.cookies.get(browser_cookie(request.app[GATEWAY].region), "")
    return held if HANDLE.fullmatch(held) else new_handle()


async def _show(
    request: web.Request,
    seen: _Seen,
    cookie: str,
    *,
    left: int | None = None,
    malformed: bool = False,
) -> web.Response:
    gateway = request.app[GATEWAY]
    order, stage, now = seen.signing.order, seen.stage, gateway.clock()
    if stage.end is not None:
        return login.see_other(_back(seen))
    about = pages.SignedText(title=order.title, text=order.text)
    common: dict[str, Any] = {
        "service": pages.ServiceLink.of(seen.service),
        "about": about,
        "action": f"/signing/{seen.signing.id}",
        "csrf": showing.csrf_token(cookie, f"signing {seen.signing.id}"),
    }
    shown: pages.Page
    if stage.answer is not None and now.timestamp() < stage.answer["until"]:
        across = stage.answer["device"] == Device.CROSS
        minutes = _minutes(datetime.fromtimestamp(stage.answer["until"], UTC), now)
        shown = pages.SigningCodePage(**common, across=across, minutes=minutes, left=left, malformed=malformed)
    elif stage.round is not None and now < stage.round.expires_at and seen.own:
        phone, public = _phone(gateway, seen.system), gateway.region.public_url
        across_link, here_link = (_link(public, phone, each) for each in (stage.round.across, stage.round.here))
        shown = pages.SigningPhonePage(
            **common,
            qr=await gateway.outward.run(lambda: drawn(across_link)),
            link=here_link,
            code=stage.round.code,
            minutes=_minutes(stage.round.expires_at, now),
            paused=PAUSED in request.query,
            notice=_notice(stage.trouble),
        )
    else:
        shown = pages.SigningPage(
            **common, municipality=seen.system.name, over=stage.agreed, notice=_notice(stage.trouble)
        )
    status = 200 if left is None and not malformed else 400
    languages = () if order.language is None else (order.language,)
    return showing.show(request, shown, status=status, requested=languages)


def _notice(trouble: Json | None) -> tuple[str, str] | None:
    """Title and advice (message identifiers) of the last answer that did not count."""
    if trouble is None:
        return None
    title, advice = trouble["notice"]
    return title, advice


def _minutes(until: datetime, now: datetime) -> int:
    return max(1, math.ceil((until - now).total_seconds() / 60))


def _phone(gateway: Gateway, system: IdSystem) -> str:
    connector = gateway.region.connector(system.id)
    if not isinstance(connector, CertificateConnector):
        raise FlowUnknown("the ID system is none of certificates any more")
    return connector.settings.phone_url


def _link(public_url: str, phone: str, reference: str) -> str:
    """What opens the phone's app with a request (RFC 9101 §5.2)."""
    address = f"{public_url}/signing/objects/{reference}"
    return with_query(phone, (("client_id", public_url), ("request_uri", address)))


def _back(seen: _Seen) -> str:
    return with_query(seen.signing.order.return_to, (("id", seen.signing.id),))


# --- the same page, as it changes


async def events(request: web.Request) -> web.StreamResponse:
    """GET /signing/{id}/events: tells the page that waits (server-sent events); 204: it is to look for itself."""
    seen = await _listener(request)
    if seen is None:
        return web.Response(status=204)
    transport = request.transport
    alive = lambda: transport is not None and not transport.is_closing()  # noqa: E731
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type, response.charset = "text/event-stream", "utf-8"
    try:
        async with request.app[WAITING].waiter(seen.signing.id, alive) as waiter:
            await response.prepare(request)
            while not waiter.closed:
                told, seconds = await _told_page(request, seen)
                await response.write(told)
                if seconds <= 0:
                    break
                while not await waiter.woken(min(KEEPALIVE_SECONDS, seconds)) and seconds > KEEPALIVE_SECONDS:
                    seconds -= KEEPALIVE_SECONDS
                    await response.write(b":\n\n")
    except TooManyWaitError:
        return web.Response(status=TOO_MANY, headers={"Retry-After": "5"})
    except Unavailable:
        if not response.prepared:
            raise
    except ConnectionError:  # the page was closed
        pass
    return response


async def _listener(request: web.Request) -> _Seen | None:
    """The signing, if this browser may hear of it."""
    try:
        seen = await _seen(request)
    except Unavailable:
        raise
    except Refusal:
        return None
    return seen if seen.own else None


async def _told_page(request: web.Request, seen: _Seen) -> tuple[bytes, float]:
    """What the page is told now, and for how many seconds it may wait on; 0: it is to look for itself."""
    gateway = request.app[GATEWAY]
    stage, now = await seen.signings.stage(seen.signing), gateway.clock()
    seconds = 0.0 if stage.round is None else (stage.round.expires_at - now).total_seconds()
    waits = stage.answer is None and stage.end is None and seconds > 0
    language = seen.signing.order.language
    text = gateway.messages.for_language(showing.language_of(request, (language,) if language else ())).gettext
    said: dict[str, object] = {"state": "waiting" if waits else "answered", "text": text(WAITING_SENTENCE)}
    if stage.trouble is not None:
        said["notice"] = [text(each) for each in stage.trouble["notice"]]
    return f"event: state\ndata: {json.dumps(said)}\n\n".encode(), seconds if waits else 0.0


# --- what the person decides


async def decide(request: web.Request) -> web.StreamResponse:
    """POST /signing/{id}: agree and begin with the phone, or stop and go back to the service."""
    seen, fields = await _posted(request)
    gateway = request.app[GATEWAY]
    signings, signing, now = seen.signings, seen.signing, gateway.clock()
    if fields.get(DECISION_FIELD) != AGREE:
        await signings.end(signing, {"status": "declined"})
        log.info("signing-declined", relying_service=seen.service.id, id_system=seen.system.id)
        return login.see_other(_back(seen))
    if seen.stage.end is None and seen.stage.answer is None:
        if not await signings.bind(signing, browser(request, gateway.region) or ""):
            raise OtherBrowser("another browser agreed to sign")
        connector = gateway.region.connector(seen.system.id)
        assert isinstance(connector, CertificateConnector)  # `_posted` saw to it
        requests = await gateway.outward.run(
            lambda: transaction.new_requests(
                signing.order,
                handle=signing.id,
                service=seen.service,
                system=seen.system,
                public_url=gateway.region.public_url,
                key=connector.key,
                now=now,
            )
        )
        await signings.ask(signing, requests, now)
    return login.see_other(f"/signing/{signing.id}")


async def _posted(request: web.Request) -> tuple[_Seen, Mapping[str, str]]:
    """The signing, and the fields of a form that was shown to this browser. Raises `OtherBrowser`."""
    seen = await _seen(request)
    gateway = request.app[GATEWAY]
    _phone(gateway, seen.system)
    fields = dict((await as_data(request)).form)
    held = request.cookies.get(browser_cookie(gateway.region), "")
    expected = showing.csrf_token(held, f"signing {seen.signing.id}")
    if not HANDLE.fullmatch(held) or not showing.same_token(expected, fields.get(CSRF_FIELD, "")):
        raise OtherBrowser("the form was not shown to this browser")
    return seen, fields


async def confirm(request: web.Request) -> web.StreamResponse:
    """POST /signing/{id}/confirm: the person types the code that the phone shows."""
    seen, fields = await _posted(request)
    gateway = request.app[GATEWAY]
    answer = seen.stage.answer
    if not seen.own or answer is None or answer["device"] != Device.CROSS or seen.stage.end is not None:
        return login.see_other(f"/signing/{seen.signing.id}")
    typed = re.sub(r"[\s\-‐-―ー−]", "", unicodedata.normalize("NFKC", fields.get(CODE_FIELD, "")[:64]))
    held = request.cookies[browser_cookie(gateway.region)]
    if not _CODE.fullmatch(typed):
        return await _show(request, seen, held, malformed=True)
    tried = await seen.signings.tried(f"code {answer['secret']}")
    if tried <= MOST_CODES and hmac.compare_digest(keyed(seen.signing.id, typed), answer["secret"]):
        return await _finish(seen)
    if tried < MOST_CODES:
        return await _show(request, seen, held, left=MOST_CODES - tried)
    await seen.signings.end(seen.signing, {"status": "refused", "code": "certificate-codes"})
    return login.see_other(_back(seen))


async def come_back(request: web.Request) -> web.StreamResponse:
    """GET /signing/{id}/return: the phone's app opened the browser again; only the one that agreed goes on."""
    seen = await _seen(request)
    answer, given = seen.stage.answer, request.query.getall("response_code", [])
    if (
        not seen.own
        or answer is None
        or answer["device"] != Device.SAME
        or len(given) != 1
        or not hmac.compare_digest(keyed(seen.signing.id, given[0]), answer["secret"])
    ):
        return login.see_other(f"/signing/{seen.signing.id}")
    return await _finish(seen)


async def _finish(seen: _Seen) -> web.StreamResponse:
    """Let the service have the container."""
    answer = await seen.signings.take_answer(seen.signing)
    if answer is not None:
        await seen.signings.end(seen.signing, {"status": "signed", **answer["container"]})
        log.info("signing-signed", relying_service=seen.service.id, id_system=seen.system.id)
    return login.see_other(_back(seen))


_ID = r"{id:[A-Za-z0-9_-]{43}}"

ROUTES: Sequence[web.RouteDef] = (
    web.get(f"/signing/{_ID}", page, allow_head=False),
    web.post(f"/signing/{_ID}", decide),
    web.get(f"/signing/{_ID}/events", events, allow_head=False),
    web.post(f"/signing/{_ID}/confirm", confirm),
    web.get(f"/signing/{_ID}/return", come_back, allow_head=False),
)
