"""Off the main road: searching, coming again, saying no, going back, a lost way, a proof that is too weak.

Like the walks, these keep pictures of every page and hold each against the rules of `eyes.js`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from .chromium import missing
from .visitor import Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

SEARCHES = {
    "江別": ["江別市"],
    "おおむら": ["大村市"],
    "マエバシ": ["前橋市"],
    "maebashi": ["前橋市"],
    "oomura": ["大村市"],
    "し": ["江別市", "大村市", "前橋市"],
    "高崎": [],
}
"""What is typed, and which municipalities stay."""

AT_SERVICE = {
    "denied": {"ja": "ログインしませんでした", "en": "You were not signed in"},
    "weak": {"ja": "もっと確かな本人確認が必要です", "en": "A stronger proof of identity is needed"},
}
AT_GATEWAY = {
    "closed": {"ja": "このログインは、もう終わっています", "en": "This sign-in is no longer open"},
    "nowhere": {"ja": "ページが見つかりません", "en": "There is no page here"},
}


@pytest.fixture(params=["ja", "en"])
def visitor(request: Any, browser: Browser, region: Any) -> Iterator[Visitor]:
    """Somebody new, once in each language; in the end nothing may be wrong with any page they saw."""
    album = request.node.originalname.removeprefix("test_").replace("_", "-")
    with visiting(browser, region, request.param, album=f"{album}-") as someone:
        yield someone
        assert someone.faults == []


def heading(visitor: Visitor) -> str:
    """The first heading of the page that is open."""
    return visitor.page.get_by_role("heading", level=1).inner_text()


def test_search(browser: Browser, region: Any) -> None:
    """Typing kanji, either kana or Latin letters leaves the municipalities that are meant."""
    with visiting(browser, region, "ja") as visitor:
        visitor.begin("takasaki")
        box = visitor.page.get_by_label(visitor.say("search"))
        shown = {}
        for typed in SEARCHES:
            box.press_sequentially(typed)
            shown[typed] = visitor.page.locator(".choice-name:visible").all_inner_texts()
            box.clear()
        assert shown == SEARCHES
        assert visitor.faults == []


def test_come_again(visitor: Visitor) -> None:
    """The second time, the last choice is offered first, and what was agreed to is not asked again."""
    resident = {"ja": "iwanaga", "en": "santos"}[visitor.language]
    visitor.begin("takasaki")
    visitor.choose("omura")
    visitor.see("id-system")
    visitor.be(resident)
    visitor.see("consent")
    visitor.press("agree")
    assert visitor.at("takasaki")
    visitor.see("library-signed-in")
    visitor.press("sign out")
    visitor.see("library-signed-out-in-part")  # Omura speaks OpenID, and cannot be told
    visitor.begin("takasaki")
    first = visitor.page.get_by_role("main").locator("button[name=system]").first
    expect(first).to_have_attribute("value", "omura")
    visitor.choose("omura")
    visitor.be(resident)
    assert visitor.at("takasaki")
    expect(visitor.page.get_by_role("button", name=visitor.say("sign out"))).to_be_visible()


def test_a_municipality_without_an_agreement(visitor: Visitor) -> None:
    """Whoever does not find their municipality reads why, and what to do."""
    visitor.begin("gunma")
    assert visitor.page.locator("button[name=system][value=omura]").count() == 0
    more = visitor.page.locator("details.unusable")
    more.locator("summary").click()
    expect(more.get_by_role("listitem")).to_have_text({"ja": "大村市", "en": "Omura City"}[visitor.language])
    visitor.see("no-agreement")


def test_not_now(visitor: Visitor) -> None:
    """Whoever says "not now" is back at the service, which says kindly that nothing came; SAML and OpenID."""
    for service, municipality, resident in (
        ("gunma", "ebetsu", "sasaki"),
        ("participation", "ebetsu", "kobayashi"),  # nobody of these agrees anywhere else, in whatever order tests run
    ):
        visitor.begin(service)
        visitor.choose(municipality)
        visitor.see(f"id-system-for-{service}")
        visitor.be(resident)
        visitor.press("not now")
        assert visitor.at(service)
        assert heading(visitor) == AT_SERVICE["denied"][visitor.language]
        visitor.see(f"denied-at-{service}")


def test_cancel_at_the_id_system(visitor: Visitor) -> None:
    """Whoever cancels at the ID system is told so, and finds the way back to the service."""
    visitor.begin("gunma")
    visitor.choose("ebetsu")
    visitor.page.locator("button[name=cancel]").click()
    visitor.carry_on()
    visitor.page.wait_for_load_state()
    visitor.see("cancelled")


def test_going_back(visitor: Visitor) -> None:
    """A page that was used already says so in plain words, with a number to tell and the way back."""
    resident = {"ja": "yoshida", "en": "hamasaki"}[visitor.language]
    visitor.begin("takasaki")
    visitor.choose("omura")
    visitor.be(resident)
    visitor.press("agree")
    assert visitor.at("takasaki")
    visitor.page.go_back()
    visitor.page.wait_for_load_state()
    if visitor.page.locator("button[value=agree]").count():  # kept by the browser
        visitor.press("agree")
    visitor.at("gateway")
    assert heading(visitor) == AT_GATEWAY["closed"][visitor.language]
    expect(visitor.page.locator(".reference code")).not_to_be_empty()
    visitor.see("closed")


def test_too_weak(visitor: Visitor) -> None:
    """A password is not enough for the portal: nothing leaves, and the person learns what would be enough."""
    visitor.begin("gunma")
    visitor.choose("maebashi")
    visitor.be("yamazaki")
    visitor.be("yamazaki")  # asked once more
    visitor.page.wait_for_load_state()
    visitor.see("too-weak")


def test_step_up_and_pay(visitor: Visitor) -> None:
    """With a password the polls can be seen; paying asks for the card, and the same payment counts once."""
    visitor.begin("participation")
    visitor.choose("maebashi")
    visitor.be("yamazaki")
    if visitor.page.locator("button[value=agree]").count():
        visitor.press("agree")
    assert visitor.at("participation")
    visitor.page.locator("button[name=key]").click()
    visitor.carry_on()
    visitor.see("card-needed")
    visitor.press({"ja": "ログインし直す", "en": "Sign in again"}[visitor.language])
    visitor.choose("ebetsu")
    visitor.be("sasaki")
    if visitor.page.locator("button[value=agree]").count():
        visitor.press("agree")
    assert visitor.at("participation")
    visitor.page.locator("button[name=key]").click()
    visitor.carry_on()
    visitor.see("paid")
    visitor.page.locator("button[name=key]").click()
    visitor.carry_on()
    visitor.see("paid-once")


def test_in_the_dark(browser: Browser, region: Any) -> None:
    """The pages of residents and of operators can be read as well where the screen is dark."""
    with visiting(browser, region, "ja", dark=True, album="in-the-dark-") as visitor:
        visitor.go("gateway")
        visitor.see("gateway")
        visitor.begin("gunma")
        visitor.see("choice")
        visitor.choose("ebetsu")
        visitor.be("chen")  # who agrees nowhere else
        visitor.see("consent")
        visitor.press("not now")
        visitor.go("admin", "/?lang=ja")
        visitor.see("operations")
        assert visitor.faults == []


def test_front_doors(visitor: Visitor) -> None:
    """The gateway's first page, pages that do not exist, and an ID system's own front door."""
    visitor.go("gateway")
    visitor.see("gateway")
    visitor.go("gateway", "/no-such-page")
    assert heading(visitor) == AT_GATEWAY["nowhere"][visitor.language]
    visitor.see("nowhere")
    visitor.go("takasaki")
    visitor.see("library")
    visitor.go("takasaki", "/no-such-page")
    visitor.see("nowhere-at-a-service")
    visitor.go("maebashi")
    visitor.see("id-system")
