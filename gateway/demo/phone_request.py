"""What a phone is asked: found in a link, fetched from the gateway, verified, and read. And how the answer is sent.

The request object is that of RFC 9101. A phone of the demo knows one gateway and takes no request from elsewhere.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web

from gateway.demo.peer import PeerError, RemoteKeys, ask, json_object
from gateway.demo.residents import Texts

REQUEST_TYPE = "oauth-authz-req+jwt"
REQUEST_ALGORITHMS = ("ES256",)
AUDIENCE = "https://self-issued.me/v2"
LARGEST_REQUEST = 64 * 1024
LONGEST_LINK = 4096
LEEWAY = timedelta(seconds=30)
CROSS_DEVICE, SAME_DEVICE = "cross-device", "same-device"
SIGN_IN, SIGN_TEXT = "sign-in", "sign-text"
FORMATS = ("jws", "cms")

_HIDING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters (Unicode §4.5) that are not seen, or turn round what is: a text with one is not signed."""

_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")


class PhoneError(Exception):
    """A request that the phone does not go on with: what happened, and what to do."""

    def __init__(self, code: str, title: Texts, advice: Texts) -> None:
        super().__init__(f"{code}: {title['en']}. {advice['en']}")
        self.code = code
        self.title = title
        self.advice = advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An attribute that is asked. `disclosures` are those of the attribute certificate that it would be made of."""

    name: str
    label: Texts
    disclosures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRequest:
    """A verified request. `jwt` is what was received, octet for octet; `site` the host of the page that shows it."""

    jwt: bytes = field(repr=False)
    site: str
    kind: str
    device: str
    client: Texts
    purpose: Texts
    code: str
    wishes: tuple[Wish, ...]
    title: Texts
    text: str = field(repr=False)
    formats: tuple[str, ...]
    algorithms: tuple[str, ...]
    response_uri: str
    nonce: str = field(repr=False)
    state: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What the gateway said to an answer: a code for the other screen, or where the browser goes; or neither."""

    confirmation_code: str = ""
    redirect_uri: str = field(default="", repr=False)


def request_uri(link: str, gateway: str) -> str:
    """The address of the request in `link`: what a QR code holds, or the address itself. Raises `PhoneError`."""
    link = link.strip()
    if len(link) > LONGEST_LINK:
        raise _stop("foreign-request")
    try:
        found = parse_qs(urlsplit(link).query)
    except ValueError:
        raise _stop("foreign-request") from None
    clients, addresses = found.get("client_id", [gateway]), found.get("request_uri", [link])
    if clients != [gateway] or len(addresses) != 1:
        raise _stop("foreign-request")
    if not addresses[0].startswith(f"{gateway}/") or not _PATH.fullmatch(addresses[0].removeprefix(gateway)):
        raise _stop("foreign-request")
    return addresses[0]


async def fetch(
    session: aiohttp.ClientSession, address: str, keys: RemoteKeys, *, gateway: str, now: datetime
) -> PhoneRequest:
    """The request at `address`, signed by the gateway. Raises `PhoneError`."""
    try:
        status, body, headers = await ask(session, "GET", address, headers={"Accept": f"application/{REQUEST_TYPE}"})
    except PeerError:
        raise _stop("unreachable") from None
    if status in (web.HTTPNotFound.status_code, web.HTTPGone.status_code):
        raise _stop("request-over")
    if status != web.HTTPOk.status_code or len(body) > LARGEST_REQUEST:
        raise _stop("request-unreadable")
    if headers.get("Content-Type", "").partition(";")[0].strip() != f"application/{REQUEST_TYPE}":
        raise _stop("request-unreadable")
    return await verified(session, body, keys, gateway=gateway, now=now)


async def verified(
    session: aiohttp.ClientSession, body: bytes, keys: RemoteKeys, *, gateway: str, now: datetime
) -> PhoneRequest:
    """What was fetched, if the gateway signed it. Raises `PhoneError`."""
    try:
        header, claims = await keys.claims(session, body.decode("ascii"), algorithms=REQUEST_ALGORITHMS)
    except (PeerError, UnicodeDecodeError):
        raise _stop("request-false") from None
    return _checked(body, header, claims, gateway, now)


def _checked(
    body: bytes, header: Mapping[str, Any], claims: Mapping[str, Any], gateway: str, now: datetime
) -> PhoneRequest:
    """What the gateway signed, if it is a request to this phone that may be shown. Raises `PhoneError`."""
    if header.get("typ") != REQUEST_TYPE or not claims.get("iss") == claims.get("client_id") == gateway:
        raise _stop("request-false")
    try:
        request = _read(body, claims)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise _stop("request-unreadable") from None
    if claims.get("aud") != AUDIENCE or not request.response_uri.startswith(f"{gateway}/"):
        raise _stop("request-false")
    if request.expires_at <= now - LEEWAY:
        raise _stop("request-over")
    if any(unicodedata.category(c) in _HIDING for c in request.text.replace("\n", "")):
        raise _stop("hidden-text")
    return request


async def send(
    session: aiohttp.ClientSession, request: PhoneRequest, fields: Mapping[str, str], *, gateway: str
) -> Sent:
    """Post the answer (OpenID4VP's direct_post). Raises `PhoneError` with the gateway's code if it is refused."""
    try:
        status, body, _ = await ask(session, "POST", request.response_uri, data=dict(fields))
        said = json_object(body, request.response_uri)
    except PeerError:
        raise _stop("unreachable") from None
    if status != web.HTTPOk.status_code:
        raise refused(str(said.get("code") or said.get("error") or status))
    redirect = said.get("redirect_uri")
    if redirect is not None and not (isinstance(redirect, str) and redirect.startswith(f"{gateway}/")):
        raise _stop("answer-false")
    code = said.get("confirmation_code")
    return Sent(confirmation_code=str(code) if isinstance(code, str) else "", redirect_uri=redirect or "")


def _read(jwt: bytes, claims: Mapping[str, Any]) -> PhoneRequest:
    metadata = claims["client_metadata"]
    name = str(metadata["client_name"])
    kind, device = claims["task"], claims["device"]
    formats = tuple(each for each in claims["formats"] if each in FORMATS)
    if kind not in (SIGN_IN, SIGN_TEXT) or device not in (CROSS_DEVICE, SAME_DEVICE) or not formats:
        raise ValueError("unknown kind, device or format")
    if claims["response_mode"] != "direct_post" or claims["response_type"] != "certificate_signature":
        raise ValueError("unknown way to answer")
    text = str(claims["text"]) if kind == SIGN_TEXT else ""
    return PhoneRequest(
        jwt=jwt,
        site=urlsplit(str(claims["iss"])).netloc,
        kind=kind,
        device=device,
        client={"ja": str(metadata.get("client_name#ja", name)), "en": str(metadata.get("client_name#en", name))},
        purpose=_texts(claims.get("purpose")),
        code=str(claims.get("comparison_code", "")),
        wishes=tuple(_wish(each) for each in claims.get("attributes", ())),
        title=_texts(claims.get("title")),
        text=text,
        formats=formats,
        algorithms=tuple(map(str, claims["algorithms"])),
        response_uri=str(claims["response_uri"]),
        nonce=str(claims["nonce"]),
        state=str(claims["state"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _wish(stated: Mapping[str, Any]) -> Wish:
    return Wish(
        name=str(stated["name"]),
        label=_texts(stated["label"]),
        disclosures=tuple(map(str, stated.get("disclosures", ()))),
    )


def _texts(stated: object) -> Texts:
    """A text in two languages, or one text for both."""
    if isinstance(stated, Mapping):
        only = next((str(value) for value in stated.values()), "")
        return {"ja": str(stated.get("ja", only)), "en": str(stated.get("en", only))}
    return {"ja": str(stated or ""), "en": str(stated or "")}


# --- what people are told

_STOPS: Mapping[str, tuple[Texts, Texts]] = {
    "foreign-request": (
        {"ja": "この依頼は受け付けられません", "en": "This phone does not take that request"},
        {
            "ja": "知っているゲートウェイからの依頼ではありません。ログインする画面のアドレスをたしかめてください。",
            "en": "It is not from the gateway that this phone knows. Check the address of the other screen.",
        },
    ),
    "unreachable": (
        {"ja": "ゲートウェイにつながりません", "en": "The gateway cannot be reached"},
        {"ja": "少し待って、もう一度ためしてください。", "en": "Wait a little and try again."},
    ),
    "request-over": (
        {"ja": "この依頼は、もう終わっています", "en": "This request is over"},
        {
            "ja": "一度使われたか、5分を過ぎました。ログインする画面に戻って、新しいQRコードを出してください。",
            "en": "It was used, or its five minutes have passed. Go back to the screen and get a new QR code.",
        },
    ),
    "request-unreadable": (
        {"ja": "依頼の内容を読み取れません", "en": "The request cannot be read"},
        {"ja": "ログインする画面に戻って、やり直してください。", "en": "Go back to the screen and start again."},
    ),
    "request-false": (
        {"ja": "本物の依頼ではありません", "en": "This request is not genuine"},
        {
            "ja": "ゲートウェイの署名がたしかめられません。何も送っていません。先に進まないでください。",
            "en": "It does not carry the gateway’s signature. Nothing was sent. Do not go on.",
        },
    ),
    "answer-false": (
        {"ja": "ゲートウェイの返事が正しくありません", "en": "The gateway’s reply is not right"},
        {
            "ja": "別の場所へ案内しようとしました。もとの画面には戻らず、市の窓口に知らせてください。",
            "en": "It would send you elsewhere. Do not go on, and tell your city.",
        },
    ),
    "hidden-text": (
        {"ja": "この文には署名できません", "en": "This text cannot be signed"},
        {
            "ja": "目に見えない文字が入っています。見えるとおりの文だけに署名します。",
            "en": "It holds characters that cannot be seen. You only sign what you see.",
        },
    ),
}

_RENEW: Texts = {
    "ja": "「証明書」のページで、新しい証明書を発行してもらってください。",
    "en": "Have a new one issued on the page “Certificates”.",
}
_AGAIN: Texts = {
    "ja": "ログインする画面に戻って、やり直してください。",
    "en": "Go back to the screen and start again.",
}
_REFUSALS: Mapping[str, tuple[Texts, Texts]] = {
    "expired": ({"ja": "証明書の期限が切れています", "en": "Your certificate has expired"}, _RENEW),
    "not-yet-valid": (
        {"ja": "証明書はまだ使えません", "en": "Your certificate is not valid yet"},
        {"ja": "使える日まで待ってください。", "en": "Wait for the day on which it begins."},
    ),
    "revoked": ({"ja": "この証明書は止められています", "en": "Your certificate was revoked"}, _RENEW),
    "replaced": ({"ja": "新しい証明書がほかにあります", "en": "You have a newer certificate"}, _RENEW),
    "untrusted-issuer": (
        {"ja": "この証明書では、ログインできません", "en": "You cannot sign in with this certificate"},
        {
            "ja": "発行者が、信頼する一覧にありません。お住まいの市の証明書を使ってください。",
            "en": "Its issuer is on no list that is trusted here. Use the certificate of your city.",
        },
    ),
    "permitted-use": (
        {"ja": "この用途には使えない証明書です", "en": "Your certificate is not for this use"},
        {"ja": "ほかのIDでログインしてください。", "en": "Sign in with another ID."},
    ),
    "status-unavailable": (
        {"ja": "証明書が有効かどうか、たしかめられません", "en": "Whether your certificate is valid cannot be learned"},
        {"ja": "しばらくして、もう一度ためしてください。", "en": "Try again in a while."},
    ),
    "request-unknown": _STOPS["request-over"],
    "request-expired": _STOPS["request-over"],
}


def _stop(code: str) -> PhoneError:
    """Why the phone itself does not go on: one of `_STOPS`."""
    return PhoneError(code, *_STOPS[code])


def refused(code: str) -> PhoneError:
    """What to tell somebody whose answer the gateway refused with `code`."""
    title, advice = _REFUSALS.get(
        code, ({"ja": "受け付けられませんでした", "en": "The answer was not accepted"}, _AGAIN)
    )
    return PhoneError(code if code.replace("-", "").replace("_", "").isalnum() else "refused", title, advice)
