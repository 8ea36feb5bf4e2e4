"""The policy council's participation site: a relying party that reaches poll and ledger only by the gateway.

It holds the resident's access token and nothing that proves who the resident is to the shared services:
that is the gateway's assertion, which never comes here. To the ledger it goes with another token, which it gets in
exchange for that one (RFC 8693): for the ledger alone, so that what pays cannot vote.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

from gateway.clock import Clock, now
from gateway.demo.openid_client import Narrowed, OpenIdClient, Pending, SignedIn
from gateway.demo.peer import HTTP, PeerError, ask, http_client, json_object
from gateway.demo.proposal import UNANSWERED, ProposalDesk, Signing
from gateway.demo.residents import Texts
from gateway.demo.service_pages import (
    FLOW,
    Fact,
    ServicePages,
    Session,
    denied,
    no_gateway,
    session_ended,
    sign_in_failed,
)
from gateway.demo.shelf import Shelf
from gateway.demo.site import form, not_open, see_other

PAY = "ledger.pay"
SCOPES = ("openid", "profile", "adult", "member_resident", "council.polls.read", "council.polls.vote", PAY)
POLLS = "/api/council/polls"
PAYMENTS = "/api/ledger/payments"
LEDGER = "ledger"
"""What the ledger is called as a target of an exchange: its audience in routes.yaml."""

FEE = {"fee": "town-fee", "amount": 3000}
SIGNED = "/signed"
"""Where the browser comes back from signing."""

SHOWN: Mapping[str, Texts] = {
    "name": {"ja": "お名前", "en": "Your name"},
    "adult": {"ja": "18歳以上", "en": "18 or older"},
    "member_resident": {"ja": "会員都市にお住まい", "en": "Lives in a member city"},
}
"""The claims that this site asks for, as it calls them."""

YES_OR_NO: Mapping[bool, Texts] = {True: {"ja": "はい", "en": "Yes"}, False: {"ja": "いいえ", "en": "No"}}

NO_FEE: Texts = {"ja": "18歳未満の方に、会費はかかりません。", "en": "There is no fee for those under 18."}

CREATED = 201
UNAUTHORIZED = 401
CONFLICT = 409

_ACR = re.compile(r'\bacr_values="([\x21\x23-\x5b\x5d-\x7e]{1,200})"')


@dataclass(slots=True, kw_only=True)
class _Holder:
    """What the session keeps: the tokens for calls, the key of the last payment that was sent, what is signed."""

    signed_in: SignedIn
    for_ledger: Narrowed | None = None
    exchanging: asyncio.Lock = field(default_factory=asyncio.Lock)
    paid_with: str = ""
    wanted_acr: str = ""
    signing: Signing | None = None

    @property
    def minor(self) -> bool:
        """Whether we were told that they are not 18 yet; the birth date we never learn."""
        return self.signed_in.claims.get("adult") is False


class CallError(Exception):
    """A call by the gateway that was refused: status, title, the acr that would have been enough, the code if any."""

    def __init__(self, status: int, title: str, acr: str = "", code: str = "") -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.acr = acr
        self.code = code


class Participation:
    """The site."""

    def __init__(
        self,
        pages: ServicePages,
        client: OpenIdClient,
        desk: ProposalDesk,
        *,
        gateway: str,
        authority: str,
        clock: Clock = now,
    ) -> None:
        self._pages = pages
        self._client = client
        self._desk = desk
        self._gateway = gateway
        self._authority = authority
        self._clock = clock
        self._pending: Shelf[Pending] = Shelf(FLOW, clock)

    def application(self) -> web.Application:
        """The site's pages as an application."""
        app = self._pages.site.application(
            [
                web.get("/", self._home),
                web.get("/sign-in", self._sign_in),
                web.get("/callback", self._callback),
                web.post("/backchannel-logout", self._ended),
                web.post("/vote", self._vote),
                web.post("/pay", self._pay),
                web.post("/sign", self._sign),
                web.get(SIGNED, self._signed),
                web.get("/signed/proposal.p7m", self._container),
                web.post("/sign-out", self._pages.sign_out),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    # --- signing in

    async def _sign_in(self, request: web.Request) -> web.Response:
        session = self._pages.session(request)
        acr = session.more.wanted_acr if session and "again" in request.query else ""
        visit = self._pages.visit(request)
        try:
            address, pending = await self._client.begin(
                request.app[HTTP],
                scopes=SCOPES,
                visit=visit,
                acr=acr,
                language=self._pages.site.language(request),
            )
        except PeerError as fault:
            raise no_gateway() from fault
        self._pending.put(pending, pending.state)
        return self._pages.remember_visit(see_other(address), visit)

    async def _callback(self, request: web.Request) -> web.Response:
        pending = self._pending.read(request.query.get("state"))
        if pending is None:
            raise not_open()
        self._pages.check_visit(request, pending.visit)
        self._pending.take(pending.state)
        if request.query.get("iss") != self._client.issuer:
            raise sign_in_failed()  # RFC 9207 §2.4: the answer of another server
        if error := request.query.get("error", ""):
            low = error == "unmet_authentication_requirements"
            raise denied("low" if low else "no", error if re.fullmatch(r"[a-z_]{1,64}", error) else "error")
        try:
            signed_in = await self._client.finish(request.app[HTTP], pending, request.query.get("code", ""))
        except PeerError as fault:
            raise sign_in_failed() from fault
        return self._pages.signed_in(
            Session(
                subject=signed_in.claims["sub"],
                facts=_facts(signed_in.claims),
                assurance=str(signed_in.claims.get("acr", "")),
                more=_Holder(signed_in=signed_in),
            )
        )

    async def _ended(self, request: web.Request) -> web.Response:
        """The gateway says that a session has ended (OpenID Connect Back-Channel Logout §2.5)."""
        token = (await form(request)).get("logout_token", "")
        headers = {"Cache-Control": "no-store"}
        try:
            sid = await self._client.ended(request.app[HTTP], token)
        except PeerError:
            return web.json_response({"error": "invalid_request"}, status=400, headers=headers)
        self._pages.sessions.drop(lambda session: session.more.signed_in.claims.get("sid") == sid)
        return web.Response(headers=headers)

    # --- what it is for

    async def _home(self, request: web.Request) -> web.Response:
        session = self._pages.session(request)
        if session is None:
            return await self._pages.home(request)
        holder: _Holder = session.more
        problems: list[Texts] = []
        polls, payments, _ = await asyncio.gather(
            self._or_problem(self._polls(request, holder), problems),
            self._or_problem(self._payments(request, holder), problems),
            self._learn(request, session, problems),
        )
        return await self._pages.home(
            request,
            polls=polls,
            payments=payments,
            problems=list({problem["en"]: problem for problem in problems}.values()),
            new_key=secrets.token_urlsafe(16),
            retry_key=holder.paid_with,
            step_up=holder.wanted_acr,
            minor=holder.minor,
            for_ledger=holder.for_ledger is not None,
            proposal=self._desk.proposal(self._pages.site.language(request)),
            signing=holder.signing,
            authority=self._authority,
        )

    async def _polls(self, request: web.Request, holder: _Holder) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self._call(request, holder, "GET", POLLS))["polls"]
        paths = [f"{POLLS}/{quote(poll['id'], safe='')}" for poll in listed]
        polls = await asyncio.gather(*(self._call(request, holder, "GET", path) for path in paths))
        results = await asyncio.gather(*(self._call(request, holder, "GET", f"{path}/results") for path in paths))
        return [{**poll, "results": result} for poll, result in zip(polls, results, strict=True)]

    async def _payments(self, request: web.Request, holder: _Holder) -> list[dict[str, Any]]:
        payments: list[dict[str, Any]] = (await self._at_ledger(request, holder, "GET"))["payments"]
        return payments

    async def _vote(self, request: web.Request) -> web.Response:
        session, fields = await self._pages.posted(request)
        holder: _Holder = session.more
        poll, option = fields.get("poll", ""), fields.get("option", "")
        try:
            await self._call(request, holder, "POST", f"{POLLS}/{quote(poll, safe='')}/votes", json={"option": option})
        except CallError as refused:
            session.notice, session.good = _told(refused), False
            holder.wanted_acr = refused.acr
        else:
            session.notice = {
                "ja": "投票しました。ありがとうございます。",
                "en": "Your vote is in. Thank you.",
            }
            session.good = True
        return see_other("/")

    async def _pay(self, request: web.Request) -> web.Response:
        session, fields = await self._pages.posted(request)
        holder: _Holder = session.more
        key = fields.get("key", "")
        if holder.minor:
            session.notice, session.good = NO_FEE, False
            return see_other("/")
        try:
            payment = await self._at_ledger(request, holder, "POST", json=FEE, headers={"Idempotency-Key": key})
        except CallError as refused:
            session.notice, session.good = _told(refused), False
            holder.wanted_acr = refused.acr
        else:
            again = holder.paid_with == key
            holder.paid_with = key
            session.notice, session.good = _paid(str(payment.get("id", "")), again=again), True
        return see_other("/")

    # --- the proposal

    async def _sign(self, request: web.Request) -> web.Response:
        """Go to the gateway's page that shows the text; an earlier one, not finished, is given up."""
        session, _ = await self._pages.posted(request)
        holder: _Holder = session.more
        http, before = request.app[HTTP], holder.signing
        if before is not None and before.container is not None:
            return see_other("/")
        try:
            holder.signing = await self._desk.order(http, self._pages.site.language(request))
        except PeerError:
            session.notice, session.good = UNANSWERED, False
            return see_other("/")
        if before is not None:
            await self._desk.forget(http, before)
        return see_other(holder.signing.page)

    async def _signed(self, request: web.Request) -> web.Response:
        """The way back proves nothing (docs/signing.md): the first page asks the gateway what became of it."""
        if self._pages.session(request) is None:
            raise session_ended()
        return see_other("/")

    async def _learn(self, request: web.Request, session: Session, problems: list[Texts]) -> None:
        """Ask what became of a signing that is open, and tell it."""
        holder: _Holder = session.more
        signing = holder.signing
        if signing is None:
            return
        name = str(holder.signed_in.claims.get("name", ""))
        async with signing.asking:
            if signing.container is not None or holder.signing is not signing:
                return
            try:
                outcome = await self._desk.learn(request.app[HTTP], signing, name)
            except PeerError:
                problems.append(UNANSWERED)
                return
            if outcome is None:
                return
            session.notice, session.good = outcome.told, outcome.good
            if not outcome.good and holder.signing is signing:
                holder.signing = None

    async def _container(self, request: web.Request) -> web.Response:
        """The signed proposal, for whoever signed it."""
        session = self._pages.session(request)
        if session is None:
            raise session_ended()
        signing: Signing | None = session.more.signing
        if signing is None or signing.container is None:
            raise web.HTTPNotFound
        return web.Response(
            body=signing.container.octets,
            headers={
                "Content-Type": signing.container.media_type,
                "Content-Disposition": 'attachment; filename="proposal.p7m"',
            },
        )

    async def _or_problem(self, call: Any, problems: list[Texts]) -> Any:
        """What `call` answers, or None and why."""
        try:
            return await call
        except CallError as refused:
            problems.append(_told(refused))
            return None

    async def _at_ledger(
        self, request: web.Request, holder: _Holder, method: str, **options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A call of the ledger in the resident's name, with a token that opens nothing else. Raises `CallError`."""
        async with holder.exchanging:
            held = holder.for_ledger
            if held is None or held.expires <= self._clock().timestamp():
                holder.for_ledger = held = await self._exchanged(request, holder)
        return await self._call(request, holder, method, PAYMENTS, token=held.access_token, **options)

    async def _exchanged(self, request: web.Request, holder: _Holder) -> Narrowed:
        try:
            found = await self._client.narrowed(request.app[HTTP], holder.signed_in, scopes=(PAY,), audience=LEDGER)
        except PeerError as fault:
            raise CallError(502, "no usable token") from fault
        if found is None:
            raise CallError(UNAUTHORIZED, "the sign-in is over")
        return found

    async def _call(
        self,
        request: web.Request,
        holder: _Holder,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str = "",
    ) -> dict[str, Any]:
        """One call by the gateway with the resident's token, or another one. Raises `CallError`."""
        url = self._gateway + path
        try:
            status, body, answered = await ask(
                request.app[HTTP],
                method,
                url,
                json=json,
                headers={"Authorization": f"Bearer {token or holder.signed_in.access_token}", **(headers or {})},
            )
            answer = json_object(body, url)
        except PeerError as fault:
            raise CallError(502, "no usable answer") from fault
        if status >= 400:  # noqa: PLR2004 - client and server errors (RFC 9110 §15.5)
            found = _ACR.search(answered.get("WWW-Authenticate", ""))
            title, code = str(answer.get("title", "")), str(answer.get("code", ""))
            raise CallError(status, title, found[1] if found else "", code)
        return answer


def _facts(claims: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(label=label, values=(_words(claims[name]),)) for name, label in SHOWN.items() if name in claims)


def _words(value: object) -> str | Texts:
    return YES_OR_NO[value] if isinstance(value, bool) else str(value)


def _told(refused: CallError) -> Texts:
    """A refused call in plain words."""
    if refused.acr:
        return {
            "ja": "もっと確かな本人確認が必要です。マイナンバーカードでログインし直してください。",
            "en": "This needs a stronger proof of identity. Please sign in again with a My Number Card.",
        }
    if refused.code == "fact-missing":
        return {
            "ja": "このアンケートに投票できるのは、会員都市にお住まいの18歳以上の方です。",
            "en": "Those who are 18 or older and live in a member city can vote here.",
        }
    if refused.status == UNAUTHORIZED:
        return {
            "ja": "ログインの時間が切れました。ログアウトして、もう一度ログインしてください。",
            "en": "Your sign-in has run out. Please sign out and sign in again.",
        }
    if refused.status == CONFLICT:
        return {"ja": "この投票には、もう投票しています。", "en": "You have voted in this poll already."}
    if refused.status >= 500:  # noqa: PLR2004 - server errors (RFC 9110 §15.6)
        return {
            "ja": "今は、共同サービスが使えません。しばらく待って、もう一度ためしてください。",
            "en": "The shared service cannot be used now. Please try again later.",
        }
    return {
        "ja": f"共同サービスが受け付けませんでした（{refused.status}）。",
        "en": f"The shared service did not accept it ({refused.status}).",
    }


def _paid(number: str, *, again: bool) -> Texts:
    if again:
        return {
            "ja": f"同じ支払いでした。二重には払われていません（受付番号 {number}）。",
            "en": f"That was the same payment: nothing was paid twice (receipt {number}).",
        }
    return {"ja": f"会費を支払いました（受付番号 {number}）。", "en": f"The fee is paid (receipt {number})."}
