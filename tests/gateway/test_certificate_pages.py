"""The pages of a sign-in with a phone: what they say, in a real browser too, and that everyone can use them."""

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import zxingcpp
from lxml import html
from playwright.sync_api import Browser, Page, expect, sync_playwright

from federation.certificate.model import CODES, CertificateRefusedError
from federation.refusal import OF_CERTIFICATES, CertificateRefused, OtherBrowser, tree
from gateway import pages
from gateway.certificate_standing import AGAIN, SENTENCES, State, refusal_of
from gateway.messages import Messages
from gateway.pages import PhoneCodePage, PhoneGoesOnPage, PhonePage, ServiceLink, headers, render
from gateway.qr_code import drawn
from tests.browser.chromium import launch, missing
from tests.flows.phone import read_code

from . import test_pages as held
from .pages_sample import PORTAL

ACTION = "/certificate/h4ndle"
LINK = "https://app.example/authorize?client_id=https%3A%2F%2Fgateway.example&request_uri=" + "A" * 90
WAITING = PhonePage(
    service=PORTAL,
    municipality={"ja": "前橋市", "en": "Maebashi City"},
    qr=drawn(LINK),
    address=LINK,
    link=LINK,
    code="4711",
    minutes=5,
    state="waiting",
    status=SENTENCES[State.WAITING],
    action=ACTION,
    another="/login/ch01ce",
    csrf="t0ken",
)
TYPING = PhoneCodePage(service=PORTAL, minutes=3, action=ACTION, csrf="t0ken")
PAGES: dict[str, pages.Page] = {
    "waiting": WAITING,
    "fetched": replace(WAITING, state="fetched", status=SENTENCES[State.FETCHED], minutes=1),
    "trouble": replace(WAITING, notice=(CertificateRefused.title, AGAIN), card="https://gateway.example:8443/x"),
    "paused": replace(WAITING, paused=True),
    "code": TYPING,
    "code-wrong": replace(TYPING, left=1),
    "code-malformed": replace(TYPING, malformed=True),
    "goes-on": PhoneGoesOnPage(service=PORTAL, state="answered", action=ACTION, csrf="t0ken"),
}
ENVIRONMENT = held.ENVIRONMENT


# --- what every page of the gateway keeps to


@pytest.fixture
def these_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of all pages look at these."""
    monkeypatch.setattr(held, "PAGES", PAGES)


IN_BOTH_LANGUAGES = (
    held.test_says_its_language,
    held.test_has_no_inline_code,
    held.test_has_a_structure_to_navigate,
    held.test_everything_has_a_name,
    held.test_forms_work_without_javascript,
    held.test_offers_the_other_language,
)


@pytest.mark.usefixtures("these_pages")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("rule", IN_BOTH_LANGUAGES, ids=lambda rule: rule.__name__.removeprefix("test_"))
def test_keeps_to_what_every_page_does(rule: Any, name: str, language: str) -> None:
    """Language, no inline code, landmarks and headings, names, forms, the language switch."""
    rule(name, language)


@pytest.mark.usefixtures("these_pages")
@pytest.mark.parametrize("name", PAGES)
def test_languages_do_not_mix(name: str) -> None:
    """An English page has no Japanese outside of elements that say so."""
    held.test_languages_do_not_mix(name)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_hostile_values_are_only_text(language: str) -> None:
    """Markup, placeholders and template syntax in values are shown as they are."""
    hostile = held.HOSTILE
    service = ServiceLink(name={"ja": hostile}, address="https://x.example/")
    every: list[pages.Page] = [
        replace(
            WAITING,
            service=service,
            municipality={"ja": hostile},
            address="https://x.example/" + hostile,
            link="https://x.example/" + hostile,
            code=hostile,
            action=hostile,
            csrf=hostile,
            card="https://x.example/" + hostile,
        ),
        replace(TYPING, service=service, action=hostile, csrf=hostile),
    ]
    for page in every:
        held.test_hostile_values_are_only_text(page, language)


def test_only_pages_that_listen_may_connect() -> None:
    """To this gateway alone; no other page opens a connection."""
    for page in PAGES.values():
        policy = dict(part.split(" ", 1) for part in headers(page)["Content-Security-Policy"].split("; "))
        listens = not isinstance(page, PhoneCodePage)
        assert policy.get("connect-src") == ("'self'" if listens else None)
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")


# --- what they say


def test_only_a_page_that_waits_refreshes_itself() -> None:
    """Never while a code is typed, nor once it was stopped; and never with JavaScript, which hears of it."""
    refreshing = [name for name, page in PAGES.items() if "http-equiv" in render(ENVIRONMENT, page, language="ja")]

    assert refreshing == ["waiting", "fetched", "trouble"]
    assert re.search(r"<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>", waiting("ja"))


def waiting(language: str) -> str:
    """The page, as a document."""
    return render(ENVIRONMENT, WAITING, language=language)


@pytest.mark.parametrize(
    ("language", "questions"),
    [
        ("ja", ("カメラ", "なくした", "ほかの人のスマートフォン", "期限", "日本語ではない", "コードを聞いてくる")),
        ("en", ("no camera", "lost my phone", "somebody else's phone", "expired", "another language", "sent me")),
    ],
)
def test_says_what_to_do_when_something_does_not_work(language: str, questions: tuple[str, ...]) -> None:
    """No camera, lost phone, another person's, expired, another language, somebody who asks."""
    summaries = held.texts(held.Outline(waiting(language)).all("summary"))

    assert [question for question in questions if not any(question in each for each in summaries)] == []


def test_the_card_reader_is_offered_where_there_is_one() -> None:
    """And not elsewhere."""
    assert "カードリーダーを使う" in render(ENVIRONMENT, PAGES["trouble"], language="ja")
    assert "カードリーダー" not in waiting("ja")


def test_every_reason_has_words_for_the_person() -> None:
    """A code without a refusal would be a fault at the worst moment; the log keeps the code."""
    assert set(OF_CERTIFICATES) == set(CODES)
    for code in CODES:
        assert refusal_of(CertificateRefusedError(code)).detail.startswith(code)


def test_every_refusal_says_what_to_do_next() -> None:
    """In words of its own, in both languages."""
    own = {*tree(CertificateRefused), *tree(OtherBrowser)}
    assert len({each.title for each in own}) == len(own)
    for language in ("ja", "en"):
        catalogue = Messages.load().for_language(language)
        advice = [catalogue.gettext(each.advice) for each in own]
        assert len(set(advice)) == len(own)
        if language == "ja":
            assert all(re.search(r"ください", each) for each in advice)


def test_the_drawn_code_is_read_as_its_text() -> None:
    """From the SVG's dots, with its quiet zone."""
    text = LINK + "B" * 60
    svg = str(drawn(text))
    assert read_code(html.fragment_fromstring(svg)) == text


# --- in a browser


class Gateway:
    """Serves the pages and their streams; `page` is what is shown now, `news` what the stream says next."""

    def __init__(self) -> None:
        self.page: pages.Page = WAITING
        self.language = "ja"
        self.news: list[str] = []
        self.shown = 0
        self.posted: list[str] = []
        self.changed = threading.Condition()
        self.over = False

    def say(self, state: str, text: str, **more: Any) -> None:
        """Send one event to whoever listens."""
        with self.changed:
            self.news.append(f"event: state\ndata: {json.dumps({'state': state, 'text': text, **more})}\n\n")
            self.changed.notify_all()


class Handler(BaseHTTPRequestHandler):
    """What a browser gets from `Serving.gateway`."""

    server: "Serving"

    def do_GET(self) -> None:
        """A static file, the stream, or the page."""
        gateway, path = self.server.gateway, self.path.partition("?")[0]
        if path.startswith("/static/"):
            file = pages.STATIC / path.removeprefix("/static/")
            kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
            self._send(file.read_bytes(), {"Content-Type": kinds[file.suffix]})
        elif path.endswith("/events"):
            self._stream(gateway)
        else:
            gateway.shown += 1
            content = render(ENVIRONMENT, gateway.page, language=gateway.language, here=ACTION).encode()
            self._send(content, headers(gateway.page) | {"Content-Type": "text/html; charset=utf-8"})

    def do_POST(self) -> None:
        """What the page posted is kept."""
        self.server.gateway.posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send(b"<!DOCTYPE html><title>after</title>", {"Content-Type": "text/html"})

    def _send(self, content: bytes, more: Mapping[str, str]) -> None:
        self.send_response(200)
        for name, value in {**more, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, gateway: Gateway) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with gateway.changed:
            while not gateway.over:
                for each in gateway.news:
                    self.wfile.write(each.encode())
                gateway.news.clear()
                gateway.changed.wait()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class Serving(ThreadingHTTPServer):
    """A server of pages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.gateway = Gateway()


@contextmanager
def serving() -> Iterator[tuple[Gateway, str]]:
    """A server of pages, and the address of its page."""
    server = Serving()
    gateway = server.gateway
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield gateway, f"http://127.0.0.1:{server.server_port}{ACTION}"
    finally:
        with gateway.changed:
            gateway.over = True
            gateway.changed.notify_all()
        server.shutdown()
        thread.join()
        server.server_close()


in_browser = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[tuple[Page, Gateway, str]]:
    """A page, the gateway that it looks at, and the address. An error in the console fails the test."""
    with serving() as (gateway, address):
        context = browser.new_context(**options)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, gateway, address
        page.goto("about:blank")
        context.close()
        assert complaints == []


PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.mark.browser
@in_browser
def test_the_page_tells_what_the_phone_does_and_moves_on(browser: Browser) -> None:
    """Politely; an answer that did not count is told, and once the phone answers the code can be typed at once."""
    with opened(browser) as (page, gateway, address):
        page.goto(address)
        status = page.get_by_role("status")
        expect(status).to_have_text("スマートフォンの操作を待っています。")
        gateway.say("fetched", "読み取りました。")
        expect(status).to_have_text("読み取りました。")
        gateway.say("fetched", "読み取りました。", notice=["だめでした", "もう一度"])
        expect(page.get_by_role("alert")).to_contain_text("だめでした")
        assert gateway.shown == 1
        gateway.page = TYPING
        gateway.say("answered", "返事が届きました。")
        box = page.get_by_label("スマートフォンに出た確認コード")
        expect(box).to_be_focused()
        box.fill("493021")
        box.press("Enter")
        page.wait_for_url("**/confirm")
        assert gateway.posted == ["csrf=t0ken&code=493021"]


@pytest.mark.browser
@in_browser
def test_the_page_refreshes_itself_without_javascript(browser: Browser) -> None:
    """Until the code is to be typed; then it stays."""
    with opened(browser, java_script_enabled=False) as (page, gateway, address):
        page.goto(address)
        gateway.page = TYPING
        box = page.get_by_label("スマートフォンに出た確認コード")
        expect(box).to_be_visible(timeout=15_000)
        box.fill("493021")
        page.get_by_role("button", name="次へ進む").click()
        page.wait_for_url("**/confirm")
        assert gateway.posted == ["csrf=t0ken&code=493021"]


@pytest.mark.browser
@in_browser
def test_a_page_that_is_not_needed_any_more_says_only_that(browser: Browser) -> None:
    """The sign-in goes on in another window: there is nothing left to read with a phone."""
    with opened(browser) as (page, gateway, address):
        page.goto(address)
        gateway.say("over", "別の画面で続いています。")
        expect(page.get_by_role("status")).to_have_text("別の画面で続いています。")
        expect(page.get_by_role("img", name="QRコード")).to_be_hidden()
        expect(page.get_by_role("button", name="やめて")).to_be_hidden()
        assert gateway.shown == 1


@pytest.mark.browser
@in_browser
def test_without_javascript_the_refreshing_can_be_stopped(browser: Browser) -> None:
    """To read in peace (WCAG 2.2.2); and it is one press to look again."""
    with opened(browser, java_script_enabled=False) as (page, _, address):
        page.goto(address)
        page.get_by_role("link", name="止めて、ゆっくり読む").click()
        page.wait_for_url("**?lang=ja&paused=1")


@pytest.mark.browser
@in_browser
def test_the_drawn_code_can_be_read_from_the_screen(browser: Browser) -> None:
    """Of a narrow phone and of a desk, in the dark too: always dark on white."""
    for options in ({"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}, {"forced_colors": "active"}):
        with opened(browser, **options) as (page, _, address):
            page.goto(address)
            code = page.get_by_role("img", name="QRコード")
            box = code.bounding_box()
            assert box is not None
            assert box["width"] >= 280
            image = code.screenshot(type="png")
            assert read(browser, image) == LINK


GREY = """async (png) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.width, image.height);
  return [image.height, image.width, data.filter((_, place) => place % 4 === 1).join(" ")];
}"""


def read(browser: Browser, png: bytes) -> str:
    """The text of a picture's QR code; the browser itself unpacks the picture."""
    blank = browser.new_page()
    height, width, dots = blank.evaluate(GREY, base64.b64encode(png).decode())
    blank.close()
    picture = memoryview(bytes(map(int, dots.split()))).cast("B", (height, width))
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)


@pytest.mark.browser
@in_browser
def test_on_a_phone_the_link_stands_before_the_code(browser: Browser) -> None:
    """The app is most likely on the same device; at a desk it is the other way round."""
    for options, first in ((PHONE, True), ({}, False)):
        with opened(browser, **options) as (page, _, address):
            page.goto(address)
            link = page.get_by_role("link", name="この端末でアプリを開く").bounding_box()
            code = page.get_by_role("img", name="QRコード").bounding_box()
            assert link is not None
            assert code is not None
            assert (link["y"] < code["y"]) is first


SMALL_TARGETS = """
[...document.querySelectorAll("a, button, summary, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !e.matches(".skip-link"))
  .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, box]) => box.width < 44 || box.height < 44)
  .map(([text]) => text)
"""
WIDER_THAN_THE_SCREEN = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.browser
@in_browser
@pytest.mark.parametrize("language", ["ja", "en"])
def test_fits_small_screens_and_fingers(browser: Browser, language: str) -> None:
    """At 320 px, and so at 200 % of 640, nothing is wider than the screen; targets are 44 px."""
    with opened(browser, viewport={"width": 320, "height": 640}) as (page, gateway, address):
        gateway.language = language
        for name, each in PAGES.items():
            gateway.page = each
            page.goto(address)
            assert (name, page.evaluate(WIDER_THAN_THE_SCREEN)) == (name, False)
            assert (name, page.evaluate(SMALL_TARGETS)) == (name, [])


@pytest.mark.browser
@in_browser
def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    """Link, every question, the other way and the way back; each stop can be seen."""
    with opened(browser) as (page, _, address):
        page.goto(address)
        reached = []
        for _stop in range(11):
            page.keyboard.press("Tab")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        wanted = (
            "この端末でアプリを開く",
            "カメラがない、読み取れない",
            "別のログイン方法を選ぶ",
            "やめて、群馬県ポータルに戻る",
        )
        assert [each for each in wanted if each not in reached] == []
