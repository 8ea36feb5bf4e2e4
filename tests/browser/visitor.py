"""A person at a screen: walks the region, keeps a picture of every page, and notes what is wrong with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, ViewportSize

from ..conftest import ROOT, Running  # noqa: TID252 - tests is no installed package

SCREENSHOTS = ROOT / "test-output" / "screenshots"
LOCALES = {"ja": "ja-JP", "en": "en-GB"}
SCREENS: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "desktop": {"width": 1280, "height": 800},
}
NARROWEST: ViewportSize = {"width": 320, "height": 640}
"""WCAG 2.2 §1.4.10; also what 400 % zoom leaves of 1280 px."""
EYES = (Path(__file__).parent / "eyes.js").read_text(encoding="utf-8")
OUTLINE = """() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return element === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
}"""
MOST_STOPS = 12
PATIENCE = 15_000
"""Milliseconds that a page or a button may take; machines that run tests are slow ones."""

WORDS = {
    "sign in": {"ja": "お住まいの市のIDでログイン", "en": "Sign in with your city’s ID"},
    "sign out": {"ja": "ログアウト", "en": "Sign out"},
    "agree": {"ja": "同意して進む", "en": "Agree and continue"},
    "not now": {"ja": "今はしない", "en": "Not now"},
    "search": {"ja": "自治体の名前でさがす", "en": "Search by name"},
    "last choice": {"ja": "前回の選択", "en": "Your last choice"},
}
"""What buttons, labels and headings say."""


@dataclass
class Visitor:
    """One browser of one person. `faults` gathers what `see` found, a page's name before each."""

    region: Running
    page: Page
    language: str
    javascript: bool
    album: str | None = None
    faults: list[str] = field(default_factory=list)
    seen: int = 0

    def say(self, what: str) -> str:
        """The words for `what` in this person's language."""
        return WORDS[what][self.language]

    def go(self, system: str, path: str = "/") -> None:
        """Type an address."""
        self.page.goto(self.region[system] + path)

    def press(self, what: str, *, exact: bool = False) -> None:
        """Press the button or link that says `what` (one of `WORDS`, or the words themselves)."""
        words = WORDS[what][self.language] if what in WORDS else what
        button = self.page.get_by_role("button", name=words, exact=exact)
        button.or_(self.page.get_by_role("link", name=words, exact=exact)).first.click()
        self.carry_on()

    def carry_on(self) -> None:
        """Press "Continue" where no script does it."""
        self.page.wait_for_load_state()
        while not self.javascript and self.page.locator("form#handover").count():
            self.see("hand-over")
            self.page.locator("form#handover button").click()
            self.page.wait_for_load_state()

    def at(self, system: str) -> bool:
        """Whether the page that is open belongs to `system`, once the way there is walked."""
        self.page.wait_for_url(re.compile(re.escape(self.region[system]) + "/"))
        return True

    # --- signing in

    def begin(self, service: str) -> None:
        """From a service's first page to the choice."""
        self.go(service)
        self.press("sign in")
        self.at("gateway")

    def choose(self, municipality: str) -> None:
        """Choose an ID system."""
        self.page.locator(f"button[name=system][value={municipality}]").click()
        self.carry_on()
        self.at(municipality)

    def be(self, resident: str) -> None:
        """Sign in at the ID system as one of its residents."""
        self.page.locator(f"button[name=resident][value={resident}]").click()
        self.carry_on()

    # --- looking

    def see(self, name: str) -> None:
        """Look at the page on every screen, keep pictures, note what is wrong."""
        self.seen += 1
        self._note(name, "" if self.page.locator("html").get_attribute("lang") == self.language else "3.1.1 lang")
        for screen, size in (*SCREENS.items(), ("", NARROWEST)):
            self.page.set_viewport_size(size)
            for fault in self.page.evaluate(EYES):
                self._note(name, fault)
            if screen and self.album is not None:
                path = SCREENSHOTS / f"{self.language}-{screen}" / f"{self.album}{self.seen:02}-{name}.png"
                self.page.screenshot(path=path, full_page=True)
        self._tab_through(name)

    def _tab_through(self, name: str) -> None:
        """Every stop of the Tab key can be seen (WCAG 2.2 §2.4.7)."""
        for stop in range(MOST_STOPS):
            self.page.keyboard.press("Tab")
            if not self.page.evaluate(OUTLINE):
                self._note(name, f"2.4.7 stop {stop + 1} of the Tab key has no outline")
        self.page.evaluate("document.activeElement.blur()")

    def _note(self, name: str, fault: str) -> None:
        said = f"{name}: {fault}"
        if fault and said not in self.faults:
            self.faults.append(said)


@contextmanager
def visiting(
    browser: Browser,
    region: Running,
    language: str,
    *,
    javascript: bool = True,
    dark: bool = False,
    album: str | None = None,
) -> Iterator[Visitor]:
    """A new browser. Errors in its console, and requests that leave this machine, are faults too.

    With an `album` pictures are kept, and their names begin with it.
    """
    context = browser.new_context(
        locale=LOCALES[language],
        color_scheme="dark" if dark else "light",
        java_script_enabled=javascript,
        reduced_motion="reduce",
        viewport=SCREENS["desktop"],
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    visitor = Visitor(region=region, page=page, language=language, javascript=javascript, album=album)

    def asked(request: Request) -> None:
        if urlsplit(request.url).hostname not in {"localhost", None}:
            visitor.faults.append(f"{page.url}: asks {request.url}")

    page.on("request", asked)
    page.on("pageerror", lambda error: visitor.faults.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: (
            visitor.faults.append(f"{page.url}: {message.text}")
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    yield visitor
    context.close()
