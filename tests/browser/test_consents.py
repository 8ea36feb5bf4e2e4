"""A resident takes a consent back: the service signs them out by itself, and asks when they come again."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from .chromium import missing
from .visitor import visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

SAYS = {
    "sign in": {"ja": "あなたのIDでログインする", "en": "Sign in with your ID"},
    "take back": {"ja": "この同意を取り消す", "en": "Take back this consent"},
    "yes": {"ja": "取り消す", "en": "Take it back"},
    "back": {"ja": "同意の一覧に戻る", "en": "Back to your consents"},
    "close": {"ja": "表示を終える", "en": "Close your consents"},
    "site": {"ja": "みんなの参加サイト", "en": "Participation site"},
}


@pytest.mark.parametrize(("language", "javascript", "resident"), [("ja", False, "sasaki"), ("en", True, "honma")])
def test_taken_back(browser: Browser, region: Any, language: str, javascript: bool, resident: str) -> None:  # noqa: FBT001
    """Each page on the way is looked at on a phone and a desktop."""
    with visiting(browser, region, language, javascript=javascript, album="taken-back-") as visitor:
        visitor.begin("participation")
        visitor.choose("ebetsu")
        visitor.be(resident)
        visitor.see("consent")
        visitor.press("agree")
        assert visitor.at("participation")
        visitor.go("gateway", "/consents")
        visitor.see("for-whom")
        visitor.press(SAYS["sign in"][language])
        visitor.choose("ebetsu")
        visitor.be(resident)
        assert visitor.at("gateway")
        headings = visitor.page.get_by_role("heading", level=2)
        expect(headings.first).to_contain_text(SAYS["site"][language])
        visitor.see("consents")
        visitor.press(SAYS["take back"][language])
        visitor.see("question")
        visitor.press(SAYS["yes"][language], exact=True)
        visitor.see("taken-back")
        visitor.press(SAYS["back"][language])
        expect(headings).to_have_count(1)
        visitor.see("none-left")
        visitor.press(SAYS["close"][language])
        expect(visitor.page.get_by_role("link", name=SAYS["sign in"][language])).to_be_visible()
        visitor.begin("participation")
        visitor.choose("ebetsu")
        if not visitor.page.url.endswith("/consent"):  # signed in there still
            visitor.be(resident)
        visitor.page.wait_for_url("**/consent")
        assert visitor.faults == []
