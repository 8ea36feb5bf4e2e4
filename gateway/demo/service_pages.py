"""What the relying services have in common: a session per browser, what it shows, the next service."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.residents import Texts
from gateway.demo.shelf import Shelf
from gateway.demo.site import Face, Neighbour, PageError, Site, form, not_open, see_other

SESSION = timedelta(minutes=30)
FLOW = timedelta(minutes=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that the service was told, in plain words; `values` as they came, or as they are called."""

    label: Texts
    values: tuple[str | Texts, ...]


@dataclass(slots=True, kw_only=True)
class Session:
    """Someone who signed in. `notice` is said once on the next page; `form_token` keeps others' forms out."""

    subject: str
    facts: tuple[Fact, ...]
    assurance: str
    more: Any = None
    notice: Texts | None = None
    good: bool = True
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class ServicePages:
    """The signed-out page, the signed-in page, signing out, and the page after a denial."""

    def __init__(
        self, face: Face, *, welcome: Texts, asks: Texts, neighbours: Sequence[Neighbour], clock: Clock
    ) -> None:
        self.site = Site(face)
        self._welcome = welcome
        self._asks = asks
        self._neighbours = neighbours
        self.sessions: Shelf[Session] = Shelf(SESSION, clock)

    def session(self, request: web.Request) -> Session | None:
        """Who is signed in with this browser."""
        return self.sessions.read(request.cookies.get(self.site.cookie("session")))

    def visit(self, request: web.Request) -> str:
        """What binds a sign-in to this browser; remembered with `remember_visit`."""
        return request.cookies.get(self.site.cookie("visit")) or secrets.token_urlsafe(24)

    def remember_visit(self, response: web.Response, visit: str) -> web.Response:
        """`response` with the cookie of the sign-in that begins with it."""
        self.site.set_cookie(response, "visit", visit, FLOW)
        return response

    def check_visit(self, request: web.Request, visit: str) -> None:
        """The answer must come through the browser that began. Raises `PageError`."""
        cookie = request.cookies.get(self.site.cookie("visit"), "")
        if not secrets.compare_digest(cookie.encode(), visit.encode()):
            raise not_open()

    def signed_in(self, session: Session, key: str | None = None) -> web.Response:
        """Begin a session, always under a new key (`key`, if the caller made one), and go to the first page."""
        response = see_other("/")
        self.site.set_cookie(response, "session", self.sessions.put(session, key), SESSION)
        response.del_cookie(self.site.cookie("visit"), path="/")
        return response

    async def home(self, request: web.Request, **values: Any) -> web.Response:
        """The first page: what was received, or the way to sign in."""
        session = self.session(request)
        notice, good = (session.notice, session.good) if session else (None, True)
        if session:
            session.notice = None
        return self.site.page(
            request,
            "service.html",
            session=session,
            welcome=self._welcome,
            asks=self._asks,
            notice=notice,
            good=good,
            neighbours=self._neighbours,
            **{
                "polls": None,
                "payments": None,
                "problems": (),
                "retry_key": "",
                "new_key": "",
                "step_up": "",
                "for_ledger": False,
                "proposal": None,
                "signing": None,
                **values,
            },
        )

    async def posted(self, request: web.Request) -> tuple[Session, dict[str, str]]:
        """The session and the fields of a form that this site showed to it. Raises `PageError`."""
        session, fields = self.session(request), await form(request)
        token = fields.get("form_token", "")
        if session is None or not secrets.compare_digest(session.form_token.encode(), token.encode()):
            raise session_ended()
        return session, fields

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session here; other services are not told."""
        await self.posted(request)
        self.sessions.take(request.cookies.get(self.site.cookie("session")))
        response = see_other("/")
        response.del_cookie(self.site.cookie("session"), path="/")
        return response


def session_ended() -> PageError:
    """The page for somebody whose session is over, or never was."""
    return PageError(
        {"ja": "ログインの時間が切れました", "en": "Your session has ended"},
        {"ja": "もう一度ログインしてください。", "en": "Please sign in again."},
        status=403,
        code="session-ended",
    )


def sign_in_failed() -> PageError:
    """The page for an answer that cannot be believed; nothing of it is shown."""
    return PageError(
        {"ja": "ログインできませんでした", "en": "You could not be signed in"},
        {
            "ja": "受け取った答えを確認できませんでした。もう一度ためしてください。",
            "en": "The answer that came back could not be verified. Please try again.",
        },
        status=502,
        code="answer-refused",
    )


DENIALS: Mapping[str, tuple[Texts, Texts]] = {
    "low": (
        {"ja": "もっと確かな本人確認が必要です", "en": "A stronger proof of identity is needed"},
        {
            "ja": "マイナンバーカードなどでログインしてください。あなたの情報は届いていません。",
            "en": "Please sign in with a My Number Card or the like. We received nothing about you.",
        },
    ),
    "no": (
        {"ja": "ログインしませんでした", "en": "You were not signed in"},
        {
            "ja": "あなたの情報は届いていません。いつでもやり直せます。",
            "en": "We received nothing about you. You can try again whenever you like.",
        },
    ),
}
"""What a denial means to the person: `low` is about assurance, `no` is everything else."""


def denied(kind: str, code: str) -> PageError:
    """The page after the gateway answered with a denial; `code` is the protocol's own word."""
    title, advice = DENIALS[kind]
    return PageError(title, advice, status=403, code=code)


def no_gateway() -> PageError:
    """The page when the gateway does not answer."""
    return PageError(
        {"ja": "今はログインできません", "en": "Signing in is not possible now"},
        {
            "ja": "ゲートウェイが応答しません。しばらく待って、もう一度ためしてください。",
            "en": "The gateway does not answer. Please try again soon.",
        },
        status=502,
        code="gateway-unreachable",
    )
