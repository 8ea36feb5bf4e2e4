"""The council's survey in the running region: one question to all members, and a sum that tells nothing of one."""

import re

import requests

from gateway.demo.council_members import FREE_PLACES
from tests.conftest import Running


def words(page: str) -> str:
    """What a page says, without its marks."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_every_member_answers_and_only_the_sum_is_shown(region: Running):
    """Tokens, list, signatures, members: all real. The page shows one number, in two languages."""
    with requests.Session() as browser:
        browser.headers["Accept-Language"] = "en"
        first = browser.get(region["council"] + "/", timeout=10)
        assert "Maebashi’s system asks every member" in words(first.text)
        page = browser.post(region["council"] + "/surveys", timeout=20)
        for _ in range(60):
            if "The result" in page.text:
                break
            page = browser.get(page.url, timeout=10)
        said = words(page.text)
        assert "Members asked 5 Members that answered 5 Members without an answer 0" in said
        assert f"Free places, in all {sum(FREE_PLACES.values()):,}" in said
        assert not [free for free in FREE_PLACES.values() if re.search(rf"\b{free:,}\b", said)]
        japanese = words(browser.get(page.url + "?lang=ja", timeout=10).text)
        assert f"空き（合計） {sum(FREE_PLACES.values()):,}人分" in japanese


def test_members_answer_nobody_but_the_gateway(region: Running):
    """Without its signature a question is refused, whoever asks."""
    answer = requests.get(region["council"] + "/members/102016/free-places", timeout=10)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:kakehashi:demo:question-refused")


def test_surveys_of_other_sites_are_not_begun(region: Running):
    """A form on another site begins nothing, and nobody's survey is found by guessing."""
    begun = requests.post(region["council"] + "/surveys", headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
    found = requests.get(region["council"] + "/surveys/AAAAAAAAAAAAAAAAAAAAAA", timeout=10)
    assert (begun.status_code, found.status_code) == (403, 404)
