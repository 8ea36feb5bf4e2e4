"""Two browsers: at a desk somebody signs a proposal to the council, with the phone in the other hand."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html
from playwright.sync_api import Browser, expect

from tests.flows.phone import read_code

from .chromium import missing
from .visitor import Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

RESIDENT = "yamazaki"
"""Not one of those who walk in test_walk.py, where each is asked for consent."""

WORDS = {
    "ja": {
        "sign": "スマートフォンで署名する",
        "again": "はじめからやり直す",
        "signed": "提案に署名しました。",
        "declined": "署名しませんでした。",
        "download": "署名ファイルをダウンロード",
        "text": "夜間バスを、22時30分まで運行してください。",
    },
    "en": {
        "sign": "Sign with my phone",
        "again": "Begin signing again",
        "signed": "You have signed the proposal.",
        "declined": "You did not sign.",
        "download": "Download the signed file",
        "text": "Please run the night bus until 22:30.",
    },
}


def sign_in(desk: Visitor) -> None:
    """On the participation site, with the city's other ID."""
    desk.begin("participation")
    desk.choose("maebashi")
    desk.be(RESIDENT)
    agree = desk.page.locator("button[name=decision][value=agree]")
    expect(agree.or_(desk.page.locator("#proposal"))).to_be_visible()
    if agree.count():  # asked once
        desk.press("agree")
    assert desk.at("participation")


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)], ids=["ja", "en-without-javascript"])
def test_a_proposal_is_signed(
    browser: Browser, region: Any, tmp_path: Path, language: str, *, javascript: bool
) -> None:
    """The text on the site, on the gateway's page and on the phone; signed, code typed, and the file saved."""
    album = "signing-" if javascript else "signing-without-javascript-"
    words = WORDS[language]
    with (
        visiting(browser, region, language, javascript=javascript, album=album) as desk,
        visiting(browser, region, language, javascript=javascript, album=f"{album}held-") as phone,
    ):
        sign_in(desk)
        expect(desk.page.locator(".signed-text")).to_contain_text(words["text"])
        desk.see("proposal")

        desk.press(words["sign"])
        expect(desk.page.locator(".signed-text")).to_contain_text(words["text"])
        desk.see("read-it")
        desk.page.locator("button[name=decision][value=agree]").click()
        expect(desk.page.locator(".qr svg")).to_be_visible()
        number = desk.page.locator(".phone-digits").inner_text()
        desk.see("qr-code")

        (drawing,) = html.fromstring(desk.page.content()).xpath("//div[contains(@class,'qr')]//svg")
        phone.page.goto(f"{read_code(drawing)}&{urlencode({'phone': RESIDENT})}")
        expect(phone.page.locator(".comparison-code")).to_have_text(number)
        expect(phone.page.locator(".phone-text")).to_contain_text(words["text"])
        phone.see("text")
        phone.page.locator("button[name=decision][value=allow]").click()
        code = phone.page.locator("output.confirmation-code").inner_text()
        assert re.fullmatch(r"[0-9]{6}", code)
        phone.see("code")

        expect(desk.page.locator("input.code")).to_be_visible(timeout=20_000)  # by itself, with or without a script
        desk.see("type-the-code")
        desk.page.locator("input.code").fill(code)
        desk.page.locator("form:has(input.code) button").click()
        assert desk.at("participation")
        expect(desk.page.locator("div.notice-good")).to_contain_text(words["signed"])
        desk.see("signed")
        with desk.page.expect_download() as saving:
            desk.page.get_by_role("link", name=words["download"]).click()
        assert saving.value.suggested_filename == "proposal.p7m"
        saving.value.save_as(tmp_path / "proposal.p7m")
        assert (tmp_path / "proposal.p7m").read_bytes().startswith(b"\x30\x82")
        assert (desk.faults, phone.faults) == ([], [])


def test_who_changes_their_mind_can_go_back_and_stop(browser: Browser, region: Any) -> None:
    """Half way back on the site, which says that it is not finished; then stopped on the gateway's page."""
    with visiting(browser, region, "ja", album="signing-stopped-") as desk:
        sign_in(desk)
        desk.press(WORDS["ja"]["sign"])
        desk.go("participation")
        expect(desk.page.get_by_role("button", name=WORDS["ja"]["again"])).to_be_visible()
        desk.see("not-finished")
        desk.page.locator("#proposal ~ p a.button").click()
        desk.page.locator("button[name=decision][value=not-now]").click()
        assert desk.at("participation")
        expect(desk.page.locator("div.notice-bad")).to_contain_text(WORDS["ja"]["declined"])
        desk.see("declined")
        assert desk.faults == []
