"""What a phone does at a signing: it fetches the request, and posts what it signed (direct post).

What it posts is verified, dated and completed before anything else happens; what it is told then leads back to the
browser that agreed (`signing_pages.py`). What does not hold is told on the page, and leaves the request open; after
`MOST_ANSWERS` of them it is over, and the page offers to begin again.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence

import structlog
from aiohttp import web

from federation.certificate import timestamp, transaction
from federation.certificate.connector import CertificateConnector
from federation.certificate.container import ContainerRefusedError, Report
from federation.certificate.model import Asked, CertificateRefusedError, Device
from federation.certificate.timestamp import Timestamp, TimestampAuthority, TimestampRefusedError
from federation.certificate.transaction import Signed
from federation.refusal import N_, BadRequest, IdSystemNotTrusted, Unavailable
from federation.web import Json, with_query
from gateway.asking import drive
from gateway.certificate_standing import WAITING, refusal_of
from gateway.context import GATEWAY, HANDLE, Gateway, as_data, new_handle
from gateway.signings import ANSWERED, Signing, Signings, keyed

log = structlog.get_logger("gateway.signing")

MOST_ANSWERS = 5
"""Answers to one request that are looked at."""

MOST_BYTES = 160 * 1024
STAMPS = 3
"""How often the timestamp authority is asked, if it does not answer."""

TOO_LARGE = 413

NOT_STAMPED = (
    N_("The time of signing could not be certified"),
    N_("The timestamp service does not answer now. Nothing was sent. Try again in a few minutes."),
)
NOT_COUNTED = N_(
    "Nothing was sent to the service. You can try again here, with the right certificate. If it was not your phone, "
    "somebody else has read the QR code: then choose “Do not sign”."
)
"""What is advised after an answer that did not count."""

TOO_MANY = (
    N_("Too many answers came that could not be verified"),
    N_(
        "Nothing was signed or sent. Somebody else may have read the QR code. If you still want to sign, begin again "
        "below, where only you can see the screen."
    ),
)
DECLINED = (
    N_("The phone declined"),
    N_("Nothing was signed or sent. If it was not you, you can still sign here."),
)


async def request_object(request: web.Request) -> web.Response:
    """GET /signing/objects/{reference}: the signed request (RFC 9101 §5.2.3), until it is answered."""
    gateway = request.app[GATEWAY]
    try:
        asked = await _asked(gateway, request.match_info["reference"])
    except Unavailable as fault:
        return _unavailable(fault)
    if asked is None:
        return _error(404, "invalid_request_uri", "There is no such request, or it is over.")
    return web.Response(
        body=asked.jwt.encode(),
        headers={"Content-Type": "application/oauth-authz-req+jwt", "Cache-Control": "no-store"},
    )


async def _asked(gateway: Gateway, reference: str) -> Asked | None:
    asked = await Signings(gateway.store).asked(reference) if HANDLE.fullmatch(reference) else None
    return asked if asked is not None and gateway.clock() < asked.expires_at else None


class _ToldError(Exception):
    """What a phone is told instead (RFC 6749 §5.2, with our own code where there is one)."""

    def __init__(self, status: int, error: str, description: str, code: str | None = None) -> None:
        super().__init__(error)
        self.response = _error(status, error, description, code)


async def answers(request: web.Request) -> web.Response:
    """POST /signing/answers: what a phone signed (direct post), and what it shows or opens then."""
    try:
        form = await _form(request)
        states = [value for name, value in form if name == "state"]
        return await _answer(request, states[0] if len(states) == 1 else "", form)
    except _ToldError as told:
        return told.response
    except Unavailable as fault:
        return _unavailable(fault)


async def _form(request: web.Request) -> Sequence[tuple[str, str]]:
    if "Origin" in request.headers:
        raise _ToldError(403, "access_denied", "Answers come from phones, not from pages.")
    try:
        if (request.content_length or 0) > MOST_BYTES:
            raise _ToldError(TOO_LARGE, "invalid_request", "The answer is too large.")
        return (await as_data(request)).form
    except web.HTTPRequestEntityTooLarge:
        raise _ToldError(TOO_LARGE, "invalid_request", "The answer is too large.") from None
    except BadRequest:
        raise _ToldError(400, "invalid_request", "The body is not a form.") from None


async def _answer(request: web.Request, reference: str, form: Sequence[tuple[str, str]]) -> web.Response:
    gateway = request.app[GATEWAY]
    signings = Signings(gateway.store)
    unknown = _ToldError(400, "invalid_request", "There is no such request, or it is over.", "request-unknown")
    asked = await _asked(gateway, reference)
    signing = None if asked is None else await signings.find(asked.handle)
    authority = gateway.region.configuration.timestamp
    if asked is None or signing is None or authority is None:
        raise unknown
    tried = await signings.tried(reference)
    if tried > MOST_ANSWERS:
        raise unknown
    last = tried == MOST_ANSWERS
    try:
        answer = transaction.read_answer(form)
        if answer is None:
            await _trouble(request, signing, DECLINED, last=last)
            return _json(200, {} if asked.device is Device.CROSS else {"redirect_uri": _page(gateway, signing)})
        made, report = await _container(gateway, signing, asked, answer, authority)
    except CertificateRefusedError as why:
        refused = refusal_of(why)
        log.info("signing-answer-refused", reason=why.code, detail=why.detail, id_system=asked.system)
        await _trouble(request, signing, TOO_MANY if last else (refused.title, NOT_COUNTED), last=last)
        raise _ToldError(403, "access_denied", refused.title, why.code) from None
    except IdSystemNotTrusted as why:
        await _trouble(request, signing, TOO_MANY if last else (why.title, NOT_COUNTED), last=last)
        raise _ToldError(403, "access_denied", why.title, "authority-withdrawn") from None
    except (TimestampRefusedError, ContainerRefusedError) as why:
        log.warning("signing-not-stamped", reason=why.code, detail=why.detail, id_system=asked.system)
        await _trouble(request, signing, NOT_STAMPED, last=last)
        raise _ToldError(503, "temporarily_unavailable", NOT_STAMPED[0], why.code) from None
    secret = f"{secrets.randbelow(10**6):06d}" if asked.device is Device.CROSS else new_handle()
    value = {"secret": keyed(signing.id, secret), "container": _told(made, report)}
    if not await signings.answer(signing, asked, value, gateway.clock()):
        raise unknown
    await request.app[WAITING].tell(signing.id)
    if asked.device is Device.CROSS:
        return _json(200, {"confirmation_code": secret, "expires_in": int(ANSWERED.total_seconds())})
    address = f"{_page(gateway, signing)}/return"
    return _json(200, {"redirect_uri": with_query(address, (("response_code", secret),))})


async def _trouble(request: web.Request, signing: Signing, notice: tuple[str, str], *, last: bool) -> None:
    """Let the page know why an answer did not count; after the `last` one, the round with the phone is over."""
    signings = Signings(request.app[GATEWAY].store)
    if last:
        await signings.end_round(signing)
    await signings.trouble(signing, notice)
    await request.app[WAITING].tell(signing.id)


async def _container(
    gateway: Gateway, signing: Signing, asked: Asked, answer: bytes, authority: TimestampAuthority
) -> tuple[bytes, Report]:
    """The container that lasts. Raises `CertificateRefusedError`, `IdSystemNotTrusted`, `TimestampRefusedError`."""
    connector = gateway.region.connector(asked.system)
    if not isinstance(connector, CertificateConnector):
        raise IdSystemNotTrusted("the ID system left the region meanwhile")
    accepted = connector.accepted(gateway.clock())
    signed = await drive(
        transaction.verify(answer, asked, accepted, form=signing.order.form, at=gateway.clock()),
        outward=gateway.outward,
        statuses=gateway.statuses,
    )
    stamped = await _stamped(gateway, signed, authority)
    return await drive(
        transaction.complete(
            signed, stamped, accepted=accepted, authority=authority, text=signing.order.whole, at=gateway.clock()
        ),
        outward=gateway.outward,
        statuses=gateway.statuses,
    )


async def _stamped(gateway: Gateway, signed: Signed, authority: TimestampAuthority) -> Timestamp:
    """A timestamp; the authority is asked again if it does not answer. Raises `TimestampRefusedError`."""
    for turn in range(1, STAMPS + 1):
        asking = timestamp.stamp(signed.said.timestamped, authority, nonce=secrets.randbits(64), now=gateway.clock())
        try:
            return await gateway.outward.drive(asking)
        except TimestampRefusedError as why:
            if why.code != "timestamp-unreachable" or turn == STAMPS:
                raise
    raise AssertionError("the last turn returns or raises")


def _told(made: bytes, report: Report) -> Json:
    """What the service reads."""
    return {
        "container": base64.b64encode(made).decode("ascii"),
        "media_type": report.media_type,
        "signed_at": report.claimed_at.isoformat(),
        "timestamp_at": report.timestamp.at.isoformat(),
    }


def _page(gateway: Gateway, signing: Signing) -> str:
    return f"{gateway.region.public_url}/signing/{signing.id}"


def _json(status: int, content: Mapping[str, object]) -> web.Response:
    return web.json_response(content, status=status, headers={"Cache-Control": "no-store"})


def _error(status: int, error: str, description: str, code: str | None = None) -> web.Response:
    """RFC 6749 §5.2, with our own code where there is one."""
    told = {"error": error, "error_description": description}
    return _json(status, told if code is None else {**told, "code": code})


def _unavailable(fault: Unavailable) -> web.Response:
    log.warning("unavailable", detail=fault.detail)
    return _error(fault.status, "temporarily_unavailable", fault.title)


ROUTES: Sequence[web.RouteDef] = (
    web.get("/signing/objects/{reference}", request_object, allow_head=False),
    web.post(transaction.ANSWERS, answers),
)
