"""What all demo systems with pages have in common: their face, language, cookies, headers and error page.

Browsers keep cookies per host and not per port, so every system has cookie names of its own (RFC 6265 §8.5).
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from babel.dates import format_date
from markupsafe import Markup

from gateway.demo.residents import Texts
from gateway.messages import Messages

PACKAGE = Path(__file__).resolve().parent.parent
STATIC = {"demo.css": "text/css", "demo-favicon.svg": "image/svg+xml"}
JAPANESE = re.compile(
    "([々〆\u3001-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff\U000e0100-\U000e01ef]+)"
)
LONG_DATE = {"ja": "y年M月d日", "en": "d MMMM y"}
LARGEST_FORM = 512 * 1024
"""Bytes of a form; a SAML response takes some ten thousand."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """How a system shows itself. `name` is short, unique in the region, and begins its cookies' names."""

    name: str
    title: Texts
    kind: Texts
    theme: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another service to try next."""

    name: Texts
    url: str
    note: Texts


class PageError(Exception):
    """A request that ends in a page: what happened, what to do, and the protocol's own code."""

    def __init__(self, title: Texts, advice: Texts, *, status: int = 400, code: str = "") -> None:
        super().__init__(code or title["en"])
        self.title = title
        self.advice = advice
        self.status = status
        self.code = code


def not_open() -> PageError:
    """The page for a form or an answer that belongs to nothing this browser began."""
    return PageError(
        {"ja": "このログインは、もう終わっています", "en": "This sign-in is no longer open"},
        {
            "ja": "すでに終わったか、時間がかかりすぎました。サービスに戻って、もう一度ログインしてください。",
            "en": "It was used, took too long, or began in another browser. Go back and sign in again.",
        },
        code="flow-unknown",
    )


class Site:
    """One system's pages. Each demo system has one and hands its routes to `application`."""

    def __init__(self, face: Face) -> None:
        self.face = face

    def application(self, routes: list[web.RouteDef]) -> web.Application:
        """An application with `routes`, the style sheet, a health check, and headers that keep others out."""
        app = web.Application(middlewares=[self._middleware], client_max_size=LARGEST_FORM)
        aiohttp_jinja2.setup(
            app,
            loader=jinja2.FileSystemLoader(PACKAGE / "pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        app.add_routes([*routes, web.get("/static/{name}", _static), web.get("/healthz", _healthy)])
        return app

    def cookie(self, purpose: str) -> str:
        """The name of this system's cookie for `purpose`."""
        return f"{self.face.name}_{purpose}"

    def language(self, request: web.Request) -> str:
        """`ja` or `en`: asked for with `?lang=`, remembered, or preferred by the browser."""
        return _messages().negotiate(
            explicit=request.query.get("lang"),
            cookie=request.cookies.get(self.cookie("language")),
            requested=request.query.get("ui_locales", "").split(),  # OpenID Connect Core §3.1.2.1
            accept_language=request.headers.get("Accept-Language"),
        )

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page from `gateway/pages/demo/`. Its scripts need the nonce that the template is given."""
        language = self.language(request)
        nonce = secrets.token_urlsafe(16)

        def both(ja: str, en: str) -> str:
            return marked(en if language == "en" else ja, language)

        context = {
            "system_name": self.face.title[language],
            "system_kind": self.face.kind[language],
            "theme": self.face.theme,
            "language": language,
            "other_language": request.rel_url.update_query(lang="ja" if language == "en" else "en").raw_path_qs,
            "language_links": request.method == "GET",
            "nonce": nonce,
            "t": both,
            "_": _messages().for_language(language).gettext,
            "plain": lambda value: plain(value, language),
            "text": lambda texts: marked(texts.get(language) or texts["en"], language),
            "static": lambda name: f"/static/{name}",
            **values,
        }
        response = aiohttp_jinja2.render_template(f"demo/{template}", request, context, status=status)
        # No form-action: Chromium applies it to the redirects after a form, which lead to other systems.
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"script-src 'nonce-{nonce}'"
        )
        if request.query.get("lang") == language:
            self.set_cookie(response, "language", language, timedelta(days=365))
        return response

    def set_cookie(self, response: web.StreamResponse, purpose: str, value: str, lifetime: timedelta) -> None:
        """A cookie that scripts cannot read and other sites' forms do not carry (plain HTTP, loopback)."""
        seconds = int(lifetime.total_seconds())
        response.set_cookie(self.cookie(purpose), value, max_age=seconds, httponly=True, samesite="Lax", path="/")

    def post_form(self, request: web.Request, action: str, fields: tuple[tuple[str, str], ...]) -> web.Response:
        """A page that posts `fields` to `action` (SAML Bindings §3.5.4): by itself, or by its button."""
        return self.page(request, "post_form.html", action=action, fields=fields)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except PageError as error:
            response = self.page(request, "stopped.html", status=error.status, error=error)
        except web.HTTPException as error:
            if error.status < 400:  # noqa: PLR2004 - redirects are answers
                raise
            response = self.page(request, "stopped.html", status=error.status, error=_plain(error.status))
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def plain(value: str, language: str) -> str:
    """A value as people read it: `1985-03-15` in words, Japanese marked as such on other pages."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return format_date(date.fromisoformat(value), LONG_DATE[language], locale=language)
    except ValueError:
        return value
    return marked(value, language)


def marked(text: str, language: str) -> str:
    """`text`, with the Japanese in it marked as such on pages in another language (WCAG 2.2 §3.1.2)."""
    if language == "ja" or not JAPANESE.search(text):
        return text
    parts = JAPANESE.split(text)  # what the pattern found stands at the odd places
    return Markup("").join(
        Markup('<span lang="ja">{}</span>').format(part) if index % 2 else part for index, part in enumerate(parts)
    )


def see_other(location: str) -> web.Response:
    """Send the browser to `location`, with GET (RFC 9110 §15.4.4)."""
    return web.Response(status=303, headers={"Location": location})


def json_answer(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that nobody keeps."""
    return web.json_response(
        value, status=status, headers={"Cache-Control": "no-store", **(headers or {})}, dumps=_dumps
    )


def problem(status: int, code: str, title: str) -> web.Response:
    """An error of a shared service in problem JSON (RFC 9457)."""
    response = json_answer({"type": f"urn:kakehashi:demo:{code}", "title": title, "status": status}, status)
    response.content_type = "application/problem+json"
    return response


async def form(request: web.Request) -> dict[str, str]:
    """The text fields of a posted form; a field sent twice is refused (RFC 6749 §3.1)."""
    fields: dict[str, str] = {}
    for name, value in (await request.post()).items():
        if name in fields or not isinstance(value, str):
            raise web.HTTPBadRequest
        fields[name] = value
    return fields


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(status: int) -> PageError:
    if status == web.HTTPNotFound.status_code:
        return PageError(
            {"ja": "このページはありません", "en": "There is no page here"},
            {"ja": "アドレスをたしかめてください。", "en": "Check the address."},
            status=status,
        )
    return PageError(
        {"ja": "この操作はできません", "en": "This cannot be done"},
        {"ja": "最初のページからやり直してください。", "en": "Start again from the first page."},
        status=status,
    )


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _static(request: web.Request) -> web.Response:
    content_type = STATIC.get(request.match_info["name"])
    if content_type is None:
        raise web.HTTPNotFound
    return web.Response(
        body=_static_file(request.match_info["name"]),
        content_type=content_type,
        headers={"Cache-Control": "max-age=300"},
    )


@cache
def _static_file(name: str) -> bytes:
    return (PACKAGE / "static" / name).read_bytes()


@cache
def _messages() -> Messages:
    """The frame's sentences; those of the pages themselves stand in their templates, in both languages."""
    return Messages.load()
