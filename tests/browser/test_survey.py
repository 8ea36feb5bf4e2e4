"""A member's employee at a screen asks the council's survey, and reads what it shows of the answers."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from gateway.demo.council_members import FREE_PLACES

from .chromium import missing
from .visitor import visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

WORDS = {
    "ja": {"ask": "たずねる", "again": "もう一度たずねる", "result": "調査の結果"},
    "en": {"ask": "Ask", "again": "Ask again", "result": "The result"},
}


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)], ids=["ja", "en-without-javascript"])
def test_a_survey_is_asked_and_read(browser: Browser, region: Any, language: str, *, javascript: bool) -> None:
    """Ask, wait for the page to renew itself, read one sum and no member's number; ask a second time."""
    words = WORDS[language]
    with visiting(browser, region, language, javascript=javascript, album="survey-") as employee:
        employee.go("council")
        employee.see("before")
        asked = []
        for _ in range(2):
            employee.press(words["again" if asked else "ask"], exact=True)
            asked.append(employee.page.url)
            expect(employee.page.get_by_role("heading", name=words["result"])).to_be_visible(timeout=20_000)
            said = employee.page.locator("main").inner_text()
            assert f"{sum(FREE_PLACES.values()):,}" in said
            assert not [free for free in FREE_PLACES.values() if re.search(rf"(?<![\d,]){free:,}(?!\d)", said)]
        assert asked[0] != asked[1]
        employee.see("result")
        assert employee.faults == []
