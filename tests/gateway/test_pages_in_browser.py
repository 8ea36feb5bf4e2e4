"""The residents' pages in a real browser: search, double clicks, hand-over, narrow screens, keyboard."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from gateway import pages
from gateway.messages import Messages
from tests.browser.chromium import launch, missing

from .pages_sample import PAGES

HOST = "http://gateway.test"
CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

ENVIRONMENT = pages.make_environment(Messages.load(), region_name={"ja": "共同利用地域", "en": "Shared region"})

NAMES = {name.replace(" ", "-"): page for name, page in PAGES.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, **options) -> Iterator[tuple[Page, list[str]]]:
    """Open a page that gets every document and static file with its real headers; and the bodies it posted.

    Posts are answered with an empty page. An error in the console (a breach of policy, say) fails the test.
    """
    posted: list[str] = []
    complaints: list[str] = []

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if route.request.method == "POST":
            posted.append(route.request.post_data or "")
            route.fulfill(status=200, content_type="text/html", body="<!DOCTYPE html><title>after</title>")
        elif path.startswith("/static/"):
            file = pages.STATIC / path.removeprefix("/static/")
            route.fulfill(status=200, content_type=CONTENT_TYPES[file.suffix], body=file.read_bytes())
        else:
            _, language, name = path.split("/")
            page = NAMES[name]
            route.fulfill(
                status=200,
                headers=pages.headers(page) | {"Content-Type": "text/html; charset=utf-8"},
                body=pages.render(ENVIRONMENT, page, language=language, here=path),
            )

    context = browser.new_context(**options)
    page = context.new_page()
    page.route("**/*", answer)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page, posted
    context.close()
    assert complaints == []


SEARCHES = [
    ("前橋", ["前橋市"]),
    ("まえば", ["前橋市"]),
    ("マエバシ", ["前橋市"]),
    ("ﾏｴﾊﾞｼ", ["前橋市"]),
    ("まえb", ["前橋市"]),
    ("maebash", ["前橋市"]),
    ("maebasi", ["前橋市"]),
    ("OMURA", ["大村市"]),
    ("oomura", ["大村市"]),
    ("Ōmu", ["大村市"]),
    ("42205", ["大村市"]),
    ("江別　市", ["江別市"]),
    ("", ["大村市", "前橋市", "江別市"]),
    ("ない町", []),
]


def test_search_finds_every_spelling(browser) -> None:
    """Kanji, either kana, half-width, an unfinished input method, Hepburn, Kunrei, macrons, codes."""
    with opened(browser) as (page, _):
        page.goto(f"{HOST}/ja/choice")
        shown = []
        for typed, _found in SEARCHES:
            page.get_by_label("自治体の名前でさがす").fill(typed)
            shown.append((typed, page.locator(".choice-name:visible").all_inner_texts()))
        assert shown == SEARCHES


def test_search_announces_how_many(browser) -> None:
    """The number of results is said politely; Enter goes to the first one instead of sending the form."""
    with opened(browser) as (page, posted):
        page.goto(f"{HOST}/en/choice")
        box = page.get_by_label("Search by name")
        box.fill("City")
        expect(page.get_by_role("status")).to_have_text("3 found.")
        box.fill("nowhere")
        expect(page.get_by_role("status")).to_have_text("Nothing found. Try another name.")
        expect(page.get_by_role("heading", name="Your last choice")).to_be_hidden()
        box.fill("ebe")
        expect(page.get_by_role("status")).to_have_text("1 found.")
        box.press("Enter")
        expect(page.get_by_role("button", name="Ebetsu City")).to_be_focused()
        assert posted == []
        page.keyboard.press("Enter")
        page.wait_for_url("**/login/h4ndle/choose")
        assert posted == ["csrf=t0ken&system=ebetsu"]


def test_choice_works_without_javascript(browser) -> None:
    """Without JavaScript there is no search box that does nothing, and each button sends its choice."""
    with opened(browser, java_script_enabled=False) as (page, posted):
        page.goto(f"{HOST}/ja/choice")
        assert not page.get_by_label("自治体の名前でさがす").is_visible()
        page.get_by_role("button", name="前橋市").click()
        page.wait_for_url("**/login/h4ndle/choose")
        assert posted == ["csrf=t0ken&system=maebashi"]


def test_double_click_sends_once(browser) -> None:
    """Two quick presses are one decision."""
    with opened(browser) as (page, posted):
        page.goto(f"{HOST}/ja/consent")
        page.get_by_role("button", name="同意して進む").dblclick()
        page.wait_for_url("**/login/h4ndle/consent")
        assert posted == ["csrf=t0ken&decision=agree"]


def test_hand_over_goes_by_itself_but_not_after_back(browser) -> None:
    """The form is sent by the script once; going back does not send it again."""
    with opened(browser) as (page, posted):
        page.goto(f"{HOST}/ja/index")
        page.goto(f"{HOST}/ja/post", wait_until="commit")
        page.wait_for_url("https://portal.example/acs")
        page.go_back()
        page.wait_for_load_state()
        assert posted == ["SAMLResponse=PHg%2B&RelayState=r"]


def test_hand_over_without_javascript_has_a_button(browser) -> None:
    """Without JavaScript the person presses the button."""
    with opened(browser, java_script_enabled=False) as (page, posted):
        page.goto(f"{HOST}/ja/post")
        assert posted == []
        page.get_by_role("button", name="進む").click()
        page.wait_for_url("https://portal.example/acs")
        assert posted == ["SAMLResponse=PHg%2B&RelayState=r"]


def test_a_page_between_redirects_goes_on_by_itself(browser) -> None:
    """Without JavaScript too: it only breaks a row of redirects that is too long for browsers."""
    with opened(browser, java_script_enabled=False) as (page, _):
        page.goto(f"{HOST}/en/go-on", wait_until="commit")
        page.wait_for_url("https://portal.example/en/index?SAMLRequest=x&Signature=y")


SMALL_TARGETS = """
[...document.querySelectorAll("a, button, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !e.matches(".skip-link"))
  .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, box]) => box.width < 44 || box.height < 44)
  .map(([text]) => text)
"""
WIDER_THAN_THE_SCREEN = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_fits_small_screens_and_fingers(browser, language: str) -> None:
    """At 320 px, and so at 200 % of 640, nothing is wider than the screen; targets are 44 px."""
    with opened(browser, viewport={"width": 320, "height": 640}) as (page, _):
        for name in NAMES:
            if name in ("post", "go-on"):  # they go elsewhere by themselves
                continue
            page.goto(f"{HOST}/{language}/{name}")
            assert (name, page.evaluate(WIDER_THAN_THE_SCREEN)) == (name, False)
            assert (name, page.evaluate(SMALL_TARGETS)) == (name, [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_focus_can_be_seen(browser, scheme) -> None:
    """Every stop of the Tab key has an outline; the first is the skip link, and it leads to the main part."""
    with opened(browser, color_scheme=scheme) as (page, _):
        page.goto(f"{HOST}/ja/consent")
        for stop in range(5):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert (stop, outline) == (stop, "solid")
        page.goto(f"{HOST}/ja/consent")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="本文へ進む")).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_no_motion_for_who_wants_none(browser) -> None:
    """With reduced motion asked for, nothing moves."""
    with opened(browser, reduced_motion="reduce") as (page, _):
        page.goto(f"{HOST}/ja/choice")
        durations = "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).transitionDuration)"
        assert set(page.evaluate(durations)) == {"0s"}
