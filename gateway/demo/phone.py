"""A web page that is a phone: it holds residents' certificates and answers the gateway's requests with them.

| page | what it is for |
|---|---|
| `GET /` | whose phone is this? then: paste the address of a QR code, for want of a camera |
| `GET /authorize` | where QR code and link lead: fetches the request, shows who asks for what and why |
| `POST /answer` | allow or refuse; shows the code for the other screen, or sends the browser back |
| `GET /certificates` | until when they are valid; lost phone, new certificate |

`?phone=NAME` chooses whose phone it is. Nothing is sent before somebody allows it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from babel.dates import format_date
from cryptography.x509.oid import NameOID

from gateway.clock import Clock
from gateway.demo import phone_answer
from gateway.demo.peer import HTTP, PeerError, RemoteKeys, http_client
from gateway.demo.phone_owners import Owner, find_owner, owners
from gateway.demo.phone_request import (
    CROSS_DEVICE,
    SIGN_IN,
    PhoneError,
    PhoneRequest,
    Wish,
    fetch,
    request_uri,
    send,
)
from gateway.demo.phone_wallet import Card, Wallet
from gateway.demo.residents import Texts
from gateway.demo.shelf import Shelf
from gateway.demo.site import LONG_DATE, Face, PageError, Site, form, not_open, see_other
from trust_lists.municipalities import BY_CODE

MINUTES = timedelta(minutes=10)
YEAR = timedelta(days=365)
SEXES: Mapping[str, Texts] = {"1": {"ja": "男", "en": "Male"}, "2": {"ja": "女", "en": "Female"}}
CHOICE = "disclose."
"""What the names of the boxes begin with by which attributes are disclosed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A request that somebody looks at."""

    request: PhoneRequest
    owner: str
    visit: str


class Phone:
    """All phones of the demo behind one address; a cookie says whose this browser holds."""

    def __init__(self, face: Face, wallet: Wallet, clock: Clock) -> None:
        self._site = Site(face)
        self._wallet = wallet
        self._clock = clock
        self._gateway = wallet.settings.gateway
        self._keys = RemoteKeys(f"{self._gateway}/certificate/jwks")
        self._open: Shelf[_Open] = Shelf(MINUTES, clock)

    def application(self) -> web.Application:
        """The pages of the table above."""
        app = self._site.application(
            [
                web.get("/", self._home),
                web.get("/owners", self._owners),
                web.post("/owner", self._choose),
                web.post("/open", self._paste),
                web.get("/authorize", self._authorize),
                web.post("/answer", self._answer),
                web.get("/certificates", self._certificates),
                web.post("/certificates", self._change),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    # --- whose phone

    async def _home(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        if owner is None:
            return self._whose(request)
        return self._page(request, "phone_home.html", owner=owner)

    async def _owners(self, request: web.Request) -> web.Response:
        return self._whose(request)

    def _whose(self, request: web.Request, link: str = "") -> web.Response:
        return self._page(request, "phone_owners.html", people=owners(self._clock().date()), link=link, owner=None)

    async def _choose(self, request: web.Request) -> web.Response:
        fields = await form(request)
        owner = find_owner(fields.get("phone", ""), self._clock().date())
        if owner is None:
            raise web.HTTPBadRequest
        response = see_other(self._link(fields["link"]) if fields.get("link") else "/")
        self._site.set_cookie(response, "owner", owner.key, YEAR)
        return response

    async def _paste(self, request: web.Request) -> web.Response:
        return see_other(self._link((await form(request)).get("link", "")))

    def _link(self, text: str) -> str:
        """Where this phone shows the request that `text` names. Raises `PageError`."""
        try:
            address = request_uri(text, self._gateway)
        except PhoneError as error:
            raise _stopped(error) from error
        return f"/authorize?{urlencode({'client_id': self._gateway, 'request_uri': address})}"

    # --- a request

    async def _authorize(self, request: web.Request) -> web.Response:
        address = self._link(f"{self._site.face.url}{request.rel_url}")
        owner = self._owner(request)
        if owner is None:
            return self._whose(request, link=address)
        now = self._clock()
        try:
            asked = await fetch(
                request.app[HTTP],
                request_uri(address, self._gateway),
                self._keys,
                gateway=self._gateway,
                now=now,
            )
        except PhoneError as error:
            raise _stopped(error) from error
        card = await self._card(request, owner)
        visit = request.cookies.get(self._site.cookie("visit")) or secrets.token_urlsafe(24)
        transaction = self._open.put(_Open(request=asked, owner=owner.key, visit=visit))
        response = self._page(
            request,
            "phone_request.html",
            owner=owner,
            asked=asked,
            sign_in=asked.kind == SIGN_IN,
            cross_device=asked.device == CROSS_DEVICE,
            offers=_offers(asked, card),
            transaction=transaction,
            choice=CHOICE,
            certificate_facts=_written(owner),
            visit=visit,
        )
        self._site.set_cookie(response, "visit", visit, MINUTES)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        fields = await form(request)
        opened = self._open.read(fields.get("transaction"))
        visit = request.cookies.get(self._site.cookie("visit"), "")
        if opened is None or not secrets.compare_digest(opened.visit.encode(), visit.encode()):
            raise not_open()
        decision = fields.get("decision")
        if decision not in ("allow", "refuse"):
            raise web.HTTPBadRequest
        self._open.take(fields["transaction"])
        owner, asked = self._found(opened.owner), opened.request
        if decision == "refuse":
            answer = phone_answer.declined(asked)
        else:
            card = await self._card(request, owner)
            how = fields.get("format", asked.formats[0])
            if how not in asked.formats or (how == "jws" and card.algorithm not in asked.algorithms):
                raise web.HTTPBadRequest
            chosen = {name for wish in asked.wishes if f"{CHOICE}{wish.name}" in fields for name in wish.disclosures}
            answer = await asyncio.to_thread(
                phone_answer.answer,
                asked,
                card,
                how=how,
                now=self._clock(),
                face="face" in fields,
                disclose=chosen & phone_answer.disclosable(card),
            )
        try:
            sent = await send(request.app[HTTP], asked, answer, gateway=self._gateway)
        except PhoneError as error:
            if decision == "refuse":
                return self._page(request, "phone_done.html", owner=owner, asked=asked, sent=None)
            raise _stopped(error) from error
        if sent.redirect_uri:
            return see_other(sent.redirect_uri)
        return self._page(
            request, "phone_done.html", owner=owner, asked=asked, sent=sent if decision == "allow" else None
        )

    # --- certificates

    async def _certificates(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        if owner is None:
            return self._whose(request)
        card = await self._card(request, owner)
        visit = request.cookies.get(self._site.cookie("visit")) or secrets.token_urlsafe(24)
        certificate = card.certificate
        response = self._page(
            request,
            "phone_certificates.html",
            owner=owner,
            begin=certificate.not_valid_before_utc.date().isoformat(),
            end=certificate.not_valid_after_utc.date().isoformat(),
            issuer=certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value,
            standing=await self._wallet.standing(request.app[HTTP], card, self._clock()),
            authority=self._wallet.settings.authority,
            form_token=_form_token(visit),
        )
        self._site.set_cookie(response, "visit", visit, MINUTES)
        return response

    async def _change(self, request: web.Request) -> web.Response:
        fields, owner = await form(request), self._owner(request)
        expected = _form_token(request.cookies.get(self._site.cookie("visit"), ""))
        if owner is None or not secrets.compare_digest(fields.get("form_token", "").encode(), expected.encode()):
            raise not_open()
        try:
            if fields.get("action") == "revoke":
                card = await self._card(request, owner)
                await self._wallet.revoke(request.app[HTTP], card)
            elif fields.get("action") == "renew":
                await self._wallet.renew(request.app[HTTP], owner)
            else:
                raise web.HTTPBadRequest
        except PeerError as error:
            raise _authority_silent() from error
        return see_other("/certificates")

    # --- what all of them need

    def _page(self, request: web.Request, template: str, *, owner: Owner | None, **values: Any) -> web.Response:
        response = self._site.page(request, template, owner=owner, **values)
        if owner is not None and request.query.get("phone") == owner.key:
            self._site.set_cookie(response, "owner", owner.key, YEAR)
        return response

    def _owner(self, request: web.Request) -> Owner | None:
        key = request.query.get("phone") or request.cookies.get(self._site.cookie("owner"), "")
        return find_owner(key, self._clock().date())

    def _found(self, key: str) -> Owner:
        owner = find_owner(key, self._clock().date())
        assert owner is not None
        return owner

    async def _card(self, request: web.Request, owner: Owner) -> Card:
        try:
            return await self._wallet.card(request.app[HTTP], owner)
        except PeerError as error:
            raise _authority_silent() from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """One attribute that is asked; `value` is what would be disclosed, empty if the certificate itself says it."""

    wish: Wish
    value: str


def _offers(asked: PhoneRequest, card: Card) -> list[_Offer]:
    """What is asked and may be disclosed besides the certificate: nothing that this phone does not hold."""
    held = phone_answer.disclosable(card)
    return [
        _Offer(
            wish=wish,
            value="、".join(
                _readable(phone_answer.disclosed_value(card, name)) for name in wish.disclosures if name in held
            ),
        )
        for wish in asked.wishes
        if not wish.disclosures or held & set(wish.disclosures)
    ]


def _readable(value: str) -> str:
    """A value as people know it: a municipality by its name, with its code behind."""
    government = BY_CODE.get(value)
    return value if government is None else f"{government.prefecture}{government.name}（{value}）"


def _written(owner: Owner) -> list[Texts]:
    """What stands in every certificate of this authority and goes with each signature."""
    record = owner.resident.record
    born = date.fromisoformat(str(record["birthdate"]))
    facts: list[Texts] = [
        {language: str(record["name"]) for language in LONG_DATE},
        {language: format_date(born, form, locale=language) for language, form in LONG_DATE.items()},
    ]
    if record["gender"] in SEXES:
        facts.append(SEXES[record["gender"]])
    facts.append({language: str(record["address"]) for language in LONG_DATE})
    facts.append({"ja": f"変わらない番号 {owner.number}", "en": f"Lasting number {owner.number}"})
    return facts


def _form_token(visit: str) -> str:
    """What a form of this browser carries: nobody makes it who cannot read the cookie."""
    return hashlib.sha256(f"form {visit}".encode()).hexdigest()


def _stopped(error: PhoneError) -> PageError:
    return PageError(error.title, error.advice, code=error.code)


def _authority_silent() -> PageError:
    return PageError(
        {"ja": "認証局につながりません", "en": "The certificate authority cannot be reached"},
        {"ja": "少し待って、もう一度ためしてください。", "en": "Wait a little and try again."},
        status=502,
        code="authority-unreachable",
    )
