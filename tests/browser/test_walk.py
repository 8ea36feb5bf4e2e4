"""The whole way, as residents go it: portal, choice, Maebashi, consent, portal; the poll; operations page.

Each walk is another resident of Maebashi, so that each is asked for consent. Pictures of every page are kept
in `test-output/screenshots/`, by language and width.
"""

from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from .chromium import missing
from .visitor import Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]

MAEBASHI = "102016"


@dataclass(frozen=True)
class Walk:
    """Who walks, and how; `album` begins the names of the pictures. Who is not `of_age` may look, and not vote."""

    language: str
    javascript: bool
    resident: str
    name: str
    album: str
    of_age: bool = True


WALKS = [
    Walk("ja", javascript=True, resident="takahashi", name="髙橋 花子", album=""),
    Walk("en", javascript=True, resident="suryani", name="SURYANI", album=""),
    Walk("ja", javascript=False, resident="kasai", name="葛󠄀西 誠", album="without-javascript-"),
    Walk(
        "en", javascript=False, resident="tamura", name="田村 さくら", album="without-javascript-young-", of_age=False
    ),
]


def counted(region: Any) -> dict[str, int]:
    """What the operations page counts for Maebashi: logins granted, and calls answered."""
    told = requests.get(f"{region['admin']}/operations.json", timeout=10).json()["overview"]
    row = next(row for row in told["municipalities"] if row["code"] == MAEBASHI)
    return {"logins": row["logins"]["granted"], "calls": row["calls"]["ok"]}


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: f"{walk.language}-{walk.resident}")
def test_walk(browser: Browser, region: Any, walk: Walk) -> None:
    """A resident signs in to portal and participation site and votes if they may; the operators see it counted."""
    before = counted(region)
    with visiting(browser, region, walk.language, javascript=walk.javascript, album=walk.album) as visitor:
        portal(visitor, walk)
        participation(visitor, walk)
        votes_before = vote(visitor, walk)
        operations(visitor)
        assert visitor.faults == []
    after = counted(region)
    assert (after["logins"] - before["logins"], votes_before) == (2, 0)
    assert after["calls"] - before["calls"] >= 4  # two looks at two polls' list


def portal(visitor: Visitor, walk: Walk) -> None:
    """Gunma's portal → choice → Maebashi → consent → portal."""
    page = visitor.page
    visitor.go("gunma")
    visitor.see("portal")
    visitor.begin("gunma")
    visitor.see("choice")
    visitor.choose("maebashi")
    visitor.see("id-system")
    visitor.be(walk.resident)
    visitor.see("consent")
    expect(page.locator("dl.values")).to_contain_text(walk.name)
    visitor.press("agree")
    assert visitor.at("gunma")
    visitor.see("portal-signed-in")
    expect(page.locator("dl.facts")).to_contain_text(walk.name)


def participation(visitor: Visitor, walk: Walk) -> None:
    """The participation site, where the last choice comes first."""
    page = visitor.page
    visitor.go("participation")
    visitor.see("participation")
    visitor.begin("participation")
    expect(page.get_by_role("heading", name=visitor.say("last choice"))).to_be_visible()
    visitor.see("choice-again")
    visitor.choose("maebashi")
    visitor.be(walk.resident)
    visitor.see("consent-to-act")
    visitor.press("agree")
    assert visitor.at("participation")
    visitor.see("polls")


def vote(visitor: Visitor, walk: Walk) -> int:
    """Vote once; the poll then shows results, or the page who may. Answers how many result lists were there before."""
    page = visitor.page
    poll = page.get_by_role("region").filter(has=page.get_by_role("radio")).first
    before = page.locator(".result-list").count()
    poll.get_by_role("radio").first.check()
    poll.get_by_role("button").click()
    visitor.carry_on()
    expect(page.locator(".result-list")).to_have_count(1 if walk.of_age else 0)
    expect(page.get_by_text("18 or older and live in a member city")).to_have_count(0 if walk.of_age else 1)
    visitor.see("voted" if walk.of_age else "may-not-vote")
    return before


def operations(visitor: Visitor) -> None:
    """The operations page has Maebashi's row, in the visitor's language."""
    page = visitor.page
    visitor.go("admin", f"/?lang={visitor.language}")
    row = page.get_by_role("row").filter(has_text={"ja": "前橋市", "en": "Maebashi City"}[visitor.language])
    expect(row).to_be_visible()
    visitor.see("operations")
