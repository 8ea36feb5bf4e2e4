"""Renews the pictures of the documentation: `python -m tests.browser.images`, or `make images`.

A region is started, on the default ports if they are free, since its addresses can be read in the pictures.
The operations page is drawn with the invented traffic of its own tests: an hour of it, without the wait.
"""

import base64
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Route, ViewportSize, sync_playwright

from gateway.messages import Messages
from observability import page as operations_page

from ..conftest import ROOT, Running, start_region, stop_region  # noqa: TID252 - tests is no installed package
from ..observability.builders import overview  # noqa: TID252
from .chromium import launch
from .visitor import SCREENS, visiting

IMAGES = ROOT / "docs" / "images"
LARGEST = 200_000
"""Bytes of one picture: readers load them with the README."""
CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
GAP = 16


def main() -> None:
    """Draw everything anew."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as state:
        browser = launch(playwright)
        region = _start(Path(state))
        try:
            sign_in(browser, region)
            operations(browser)
        finally:
            stop_region(region)
            browser.close()
    for path in IMAGES.glob("*.png"):
        assert path.stat().st_size <= LARGEST, f"{path} has {path.stat().st_size} bytes"


def _start(state: Path) -> Running:
    try:
        return start_region(state, free_ports=False)
    except AssertionError:
        return start_region(state)


def sign_in(browser: Browser, region: Running) -> None:
    """Portal, choice and consent on a phone: in Japanese for `sign-in-phone.png`, in English beside it."""
    for language, name in (("ja", "sign-in-phone.png"), ("en", "sign-in-phone-en.png")):
        with visiting(browser, region, language) as visitor:
            visitor.page.set_viewport_size(SCREENS["phone"])
            visitor.go("gunma")
            pictures = [visitor.page.screenshot()]
            visitor.begin("gunma")
            pictures.append(visitor.page.screenshot())
            visitor.choose("maebashi")
            visitor.be("takahashi")
            visitor.page.locator("#what-is-sent").evaluate("element => window.scrollTo(0, element.offsetTop - 16)")
            pictures.append(visitor.page.screenshot())
        _side_by_side(browser, pictures, SCREENS["phone"], IMAGES / name)


def operations(browser: Browser) -> None:
    """`operations.png` (English) and `operations-ja.png`, on a desktop screen."""
    messages = Messages.load()
    for language, name in (("en", "operations.png"), ("ja", "operations-ja.png")):
        document = operations_page.render(overview(), messages.for_language(language).gettext, language)
        context = browser.new_context(viewport=SCREENS["desktop"], java_script_enabled=False)
        page = context.new_page()
        page.route("**/*", partial(_answer, document))
        page.goto("http://operations.example/")
        page.screenshot(path=IMAGES / name, full_page=True)
        context.close()


def _answer(document: str, route: Route) -> None:
    path = urlsplit(route.request.url).path
    if path == "/":
        route.fulfill(status=200, content_type="text/html; charset=utf-8", body=document)
    else:
        file = operations_page.STATIC / path.removeprefix("/static/")
        route.fulfill(status=200, content_type=CONTENT_TYPES[file.suffix], body=file.read_bytes())


def _side_by_side(browser: Browser, pictures: list[bytes], size: ViewportSize, path: Path) -> None:
    """One picture of several phones, on no background, so that it suits light and dark readers."""
    width = len(pictures) * (size["width"] + GAP) + GAP
    phones = "".join(f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}">' for picture in pictures)
    context = browser.new_context(viewport={"width": width, "height": size["height"] + 2 * GAP})
    page: Page = context.new_page()
    page.set_content(
        "<style>body { margin: 0; padding: 16px; display: flex; gap: 16px; }"
        "img { outline: 2px solid #8b949f; border-radius: 12px; }</style>" + phones
    )
    page.screenshot(path=path, omit_background=True)
    context.close()


if __name__ == "__main__":
    main()
