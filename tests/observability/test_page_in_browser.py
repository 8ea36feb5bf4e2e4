"""The operations page in a real browser: refreshing, losing the gateway, narrow screens, languages."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Route, expect, sync_playwright
from playwright.sync_api import Page as Tab

from observability import page
from observability.overview import Overview
from tests.browser.chromium import launch, missing
from tests.observability.builders import overview, troubled

ADDRESS = "http://admin.test/operations"
CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PICTURES = Path(os.environ.get("TEST_OUTPUT", "test-output")) / "operations"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]


@dataclass
class Listener:
    """Answers as the admin listener does, with the overview that the test sets."""

    shown: Overview = field(default_factory=overview)
    down: bool = False
    complaints: list[str] = field(default_factory=list)

    def answer(self, route: Route) -> None:
        """Answer one request of the browser."""
        parts = urlsplit(route.request.url)
        language = parse_qs(parts.query).get("lang", ["ja"])[0]
        headers = {"Content-Security-Policy": page.CONTENT_SECURITY_POLICY}
        if self.down:
            route.abort()
        elif parts.path == "/operations":
            headers["Content-Type"] = "text/html; charset=utf-8"
            route.fulfill(status=200, headers=headers, body=page.render(self.shown, str, language))
        elif parts.path == "/operations.json":
            headers["Content-Type"] = "application/json"
            route.fulfill(status=200, headers=headers, body=json.dumps(page.document(self.shown, str, language)))
        else:
            file = page.STATIC / parts.path.removeprefix("/static/")
            headers["Content-Type"] = CONTENT_TYPES[file.suffix]
            route.fulfill(status=200, headers=headers, body=file.read_bytes())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def listener() -> Listener:
    """The admin listener."""
    return Listener()


@pytest.fixture
def tab(browser: Browser, listener: Listener) -> Iterator[Tab]:
    """A window on the listener; an error in its console (a breach of policy, say) fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.clock.install()
    opened.route("**/*", listener.answer)
    opened.on("pageerror", lambda error: listener.complaints.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            listener.complaints.append(message.text)
            if message.type == "error" and "ERR_FAILED" not in message.text
            else None
        ),
    )
    yield opened
    context.close()
    assert listener.complaints == []


def test_the_page_keeps_itself_current(tab: Tab, listener: Listener):
    """After a few seconds the news are there; what somebody opened stays open and keeps the focus."""
    tab.goto(f"{ADDRESS}?lang=en")
    expect(tab.get_by_role("status")).to_have_text("Everything works.")
    summary = tab.locator("#logins-table summary")
    summary.click()
    listener.shown = troubled()
    tab.clock.run_for(page.POLL_SECONDS * 1000)
    expect(tab.get_by_role("status")).to_contain_text("Trouble.")
    expect(tab).to_have_title("✖ Trouble. – Kakehashi operations")
    expect(tab.locator("#icon")).to_have_attribute("href", tab.locator("#icon").get_attribute("data-trouble") or "")
    expect(tab.locator("#logins-table")).to_have_attribute("open", "")
    expect(tab.locator("#logins-table summary")).to_be_focused()


def test_a_page_that_lost_the_gateway_says_so(tab: Tab, listener: Listener):
    """Old figures are never shown as if they were new; when the gateway is back, the warning goes."""
    tab.goto(f"{ADDRESS}?lang=en")
    expect(tab.locator("#lost")).to_be_hidden()
    listener.down = True
    tab.clock.run_for(page.POLL_SECONDS * 1000)
    expect(tab.locator("#lost")).to_contain_text("The figures below are old.")
    listener.down = False
    tab.clock.run_for(page.POLL_SECONDS * 1000)
    expect(tab.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844), (320, 640)])
@pytest.mark.parametrize(("language", "scheme"), [("ja", "dark"), ("en", "light")])
def test_nothing_is_cut_off(
    tab: Tab, listener: Listener, *, language: str, scheme: Literal["dark", "light"], size: tuple[int, int]
):
    """The page fits its window in both languages, by day and by night (WCAG 2.1 §1.4.10)."""
    listener.shown = troubled()
    width, height = size
    tab.emulate_media(color_scheme=scheme)
    tab.set_viewport_size({"width": width, "height": height})
    tab.goto(f"{ADDRESS}?lang={language}")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    PICTURES.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=PICTURES / f"{language}-{width}-{scheme}.png", full_page=True)


def test_the_page_is_complete_without_javascript(browser: Browser, listener: Listener):
    """Charts, tables and states are drawn by the server."""
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.route("**/*", listener.answer)
    opened.goto(f"{ADDRESS}?lang=en")
    expect(opened.get_by_role("status")).to_have_text("Everything works.")
    expect(opened.locator("#charts svg[role=img]")).to_have_count(2)
    expect(opened.locator("#lost")).to_be_hidden()
    context.close()
