"""The two pages about a certificate that is new here: what they say, in a real browser too."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from gateway import pages
from gateway.certificate_standing import AGAIN
from gateway.pages import FormerPhonePage, NewCertificatePage, ServiceLink, headers, render

from . import test_certificate_pages as phone
from . import test_pages as held
from .pages_sample import PORTAL
from .test_certificate_pages import ACTION, IN_BOTH_LANGUAGES, WAITING, in_browser, opened

browser = phone.browser

NEW = NewCertificatePage(
    service=PORTAL, municipality={"ja": "前橋市", "en": "Maebashi City"}, action=ACTION, csrf="t0ken"
)
FORMER = FormerPhonePage(**{each.name: getattr(WAITING, each.name) for each in fields(WAITING) if each.name != "card"})
PAGES: dict[str, pages.Page] = {
    "new": NEW,
    "lost": replace(NEW, lost=True),
    "former": FORMER,
    "former-paused": replace(FORMER, paused=True),
    "former-trouble": replace(FORMER, notice=("The sign-in was declined on the phone", AGAIN)),
}


@pytest.fixture
def these_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of all pages look at these."""
    monkeypatch.setattr(held, "PAGES", PAGES)


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
    more = {"service": service, "municipality": {"ja": hostile}, "action": hostile, "csrf": hostile}
    address = "https://x.example/" + hostile
    for page in (replace(NEW, **more), replace(FORMER, **more, address=address, link=address, code=hostile)):
        held.test_hostile_values_are_only_text(page, language)


def test_the_question_is_asked_in_plain_words() -> None:
    """That it is new, both answers, and what becomes of who has no former certificate any more."""
    page = render(held.ENVIRONMENT, NEW, language="ja")

    for words in ("この証明書を、ここで使うのは初めてです", "初めて使う", "証明書を更新した・スマートフォンを替えた"):
        assert words in page
    assert "前橋市の窓口" in page
    assert "http-equiv" not in page
    assert re.findall(r'name="decision" value="([a-z]+)"', page) == ["renewed", "first", "stop"]


def test_only_the_page_that_waits_listens_and_refreshes() -> None:
    """And it is stopped as the other one is."""
    found = {name: "http-equiv" in render(held.ENVIRONMENT, page, language="ja") for name, page in PAGES.items()}

    assert [name for name, refreshes in found.items() if refreshes] == ["former", "former-trouble"]
    assert "connect-src 'self'" in headers(FORMER)["Content-Security-Policy"]
    assert "connect-src" not in headers(NEW)["Content-Security-Policy"]


@pytest.mark.browser
@in_browser
@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_fits_screens_and_fingers(browser: Browser, language: str, width: int) -> None:
    """Nothing is wider than the screen; targets are 44 px."""
    with opened(browser, viewport={"width": width, "height": 800}) as (page, gateway, address):
        gateway.language = language
        for name, each in PAGES.items():
            gateway.page = each
            page.goto(address)
            assert (name, page.evaluate(phone.WIDER_THAN_THE_SCREEN)) == (name, False)
            assert (name, page.evaluate(phone.SMALL_TARGETS)) == (name, [])


@pytest.mark.browser
@in_browser
@pytest.mark.parametrize("javascript", [True, False])
def test_each_decision_is_one_press(browser: Browser, *, javascript: bool) -> None:
    """With and without JavaScript; none of them is taken by the Enter key on arrival."""
    presses = {
        "証明書を更新した・スマートフォンを替えた": "renewed",
        "初めて使う": "first",
        "やめて、群馬県ポータルに戻る": "stop",
    }
    with opened(browser, java_script_enabled=javascript) as (page, gateway, address):
        for words, decision in presses.items():
            gateway.page = NEW
            page.goto(address)
            page.get_by_role("button", name=words).click()
            page.wait_for_url("**/new")
            assert gateway.posted.pop() == f"csrf=t0ken&decision={decision}"
        gateway.page = replace(FORMER, paused=True)
        page.goto(address)
        page.get_by_text("前の証明書が、もう手元にない").click()
        page.get_by_role("button", name="前の証明書なしで進む").click()
        page.wait_for_url("**/new")
        assert gateway.posted.pop() == "csrf=t0ken&decision=lost"


@pytest.mark.browser
@in_browser
def test_the_page_for_the_former_certificate_moves_on_by_itself(browser: Browser) -> None:
    """As the first one does: news are told, and once the phone answers the code can be typed."""
    with opened(browser) as (page, gateway, address):
        gateway.page = FORMER
        page.goto(address)
        gateway.say("fetched", "読み取りました。")
        expect(page.get_by_role("status")).to_have_text("読み取りました。")
        gateway.page = phone.TYPING
        gateway.say("answered", "返事が届きました。")
        expect(page.get_by_label("スマートフォンに出た確認コード")).to_be_focused()
