"""Two browsers: one at a desk, one that is a phone. The whole sign-in with a certificate, its revocation included.

The demo's own phone is looked at as every other page is.
"""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html
from playwright.sync_api import Browser, expect

from tests.flows.phone import read_code

from .chromium import missing
from .visitor import Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

REVOKED_WITHIN = 60
"""Seconds from the revocation until the site knows the browser no more."""


def scan(desk: Visitor, phone: Visitor, owner: str) -> None:
    """Hold the phone before the screen."""
    (drawing,) = html.fromstring(desk.page.content()).xpath("//div[contains(@class,'qr')]//svg")
    phone.page.goto(f"{read_code(drawing)}&{urlencode({'phone': owner})}")


@pytest.mark.parametrize(
    ("language", "javascript", "owner"),
    [("ja", True, "takahashi"), ("en", False, "suryani")],
    ids=["ja", "en-without-javascript"],
)
def test_sign_in_with_a_phone_beside_the_screen(
    browser: Browser, region: Any, language: str, *, javascript: bool, owner: str
) -> None:
    """QR code, the same number on both screens, the code of the phone typed at the desk, and the site."""
    album = "phone-" if javascript else "phone-without-javascript-"
    with (
        visiting(browser, region, language, javascript=javascript, album=album) as desk,
        visiting(browser, region, language, javascript=javascript, album=f"{album}held-") as phone,
    ):
        desk.begin("participation")
        desk.page.locator("button[name=system][value=maebashi-phone]").click()
        expect(desk.page.locator(".qr svg")).to_be_visible()
        number = desk.page.locator(".phone-digits").inner_text()
        desk.see("qr-code")
        expect(desk.page.locator("#status")).to_be_visible()

        scan(desk, phone, owner)
        expect(phone.page.locator(".comparison-code")).to_have_text(number)
        phone.see("request")
        if javascript:  # the page at the desk hears of it by itself
            expect(desk.page.locator("#waiting")).not_to_have_attribute("data-state", "answered")
        phone.page.locator("button[name=decision][value=allow]").click()
        code = phone.page.locator("output.confirmation-code").inner_text()
        assert re.fullmatch(r"[0-9]{6}", code)
        phone.see("code")

        expect(desk.page.locator("input.code")).to_be_visible(timeout=20_000)  # by itself, with or without a script
        desk.see("type-the-code")
        desk.page.locator("input.code").fill(code)
        desk.page.locator("form:has(input.code) button").click()
        desk.carry_on()
        desk.see("consent")
        desk.press("agree")
        assert desk.at("participation")
        assert (desk.faults, phone.faults) == ([], [])


def test_a_lost_phone_ends_what_was_begun_with_it(browser: Browser, region: Any) -> None:
    """The resident stops the certificate on the phone's own page; within a minute the site has signed them out."""
    with (
        visiting(browser, region, "ja", album="phone-lost-") as desk,
        visiting(browser, region, "ja", album="phone-lost-held-") as phone,
    ):
        desk.begin("participation")
        desk.page.locator("button[name=system][value=maebashi-phone]").click()
        expect(desk.page.locator(".qr svg")).to_be_visible()
        scan(desk, phone, "kasai")
        phone.page.locator("button[name=decision][value=allow]").click()
        code = phone.page.locator("output.confirmation-code").inner_text()
        expect(desk.page.locator("input.code")).to_be_visible(timeout=20_000)
        desk.page.locator("input.code").fill(code)
        desk.page.locator("form:has(input.code) button").click()
        desk.press("agree")
        assert desk.at("participation")
        signed_out = desk.page.get_by_role("link", name=desk.say("sign in")).or_(
            desk.page.get_by_role("button", name=desk.say("sign in"))
        )
        expect(signed_out).to_have_count(0)

        phone.go("phone", "/certificates")
        phone.see("certificates")
        phone.page.locator("button[name=action][value=revoke]").click()
        expect(phone.page.locator(".notice-bad")).to_contain_text("止められています")
        phone.see("revoked")

        for _ in range(REVOKED_WITHIN):
            desk.go("participation")
            if signed_out.count():
                break
            desk.page.wait_for_timeout(1000)
        expect(signed_out.first).to_be_visible()
        desk.see("signed-out")
        assert (desk.faults, phone.faults) == ([], [])
