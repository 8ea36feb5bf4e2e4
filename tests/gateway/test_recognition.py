"""What a list withdraws, or nobody recognises any more, ends what is under way: calls, userinfo, new sign-ins."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from .gateway_sample import AUTHORIZE, Sample, Served, served, signed_list, until

AGREED = {
    "id": "council",
    "by": "everyone",
    "list": "region",
    "uses": ["civic"],
    "maximum_identity": 3,
    "until": "2099-03-31",
    "agreement": "第1号",
}
CALLED = 502  # the service behind the route is away: the call itself was let through


def agree(sample: Sample, **changes: Any) -> None:
    """Write a recognition.yaml of one statement: everyone counts the region's list."""
    sample.write("recognition.yaml", {"recognitions": [{**AGREED, **changes}]})


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    """A gateway whose two ID systems are listed, and counted for civic uses; its one service is civic."""
    sample = Sample(tmp_path)
    sample.put_list(signed_list("maebashi", "omura"))
    sample.write("services/site.yaml", {**sample.service("site"), "use": "civic"})
    agree(sample)
    with served(sample) as found:
        yield found


def call(gateway: Served) -> int:
    """Call a regional service with a person's token, which maebashi vouched for."""
    return requests.get(
        gateway.sample.public_url + "/api/notes", headers=gateway.sample.bearer(), timeout=10
    ).status_code


def userinfo(gateway: Served) -> int:
    """Ask for the person's data with the same token; nothing was kept for it, so it is never answered with 200."""
    answer = requests.get(gateway.sample.public_url + "/oidc/userinfo", headers=gateway.sample.bearer(), timeout=10)
    return answer.status_code


def choices(gateway: Served, hint: str = "") -> str:
    """Give the page that a sign-in at the service begins with."""
    address = gateway.sample.public_url + AUTHORIZE + hint
    return requests.get(address, headers={"Accept-Language": "en"}, timeout=10).text


def withdrawn(sample: Sample) -> None:
    """The list's authority leaves maebashi out."""
    sample.put_list(signed_list("omura", sequence=2))


def ended(sample: Sample) -> None:
    """The agreement is over."""
    agree(sample, until="2020-03-31")


def other_use(sample: Sample) -> None:
    """The agreement is about something else."""
    agree(sample, uses=["mobility"])


def nobody(sample: Sample) -> None:
    """The agreement is another municipality's affair."""
    agree(sample, by="102016")


@pytest.mark.parametrize("change", [withdrawn, ended, other_use, nobody])
def test_what_ends_recognition_ends_tokens_that_live(gateway: Served, change: Callable[[Sample], None]) -> None:
    """A token that was good is refused once the change is there, as one that is no longer valid (RFC 6750 §3.1)."""
    assert call(gateway) == CALLED
    change(gateway.sample)
    until(lambda: call(gateway) == 401)
    answer = requests.get(gateway.sample.public_url + "/api/notes", headers=gateway.sample.bearer(), timeout=10)
    assert answer.json()["code"] == "token-invalid"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert userinfo(gateway) == 401


def test_a_level_that_falls_holds_for_tokens_that_live(gateway: Served) -> None:
    """A call needs the level that the sign-in counts for now, not the one that it once counted for."""

    def write() -> requests.Response:
        headers = gateway.sample.bearer()
        return requests.post(gateway.sample.public_url + "/api/notes", headers=headers, timeout=10)

    assert write().status_code == CALLED
    agree(gateway.sample, maximum_identity=1)
    until(lambda: write().status_code != CALLED)
    assert write().json()["code"] == "call-assurance-too-low"
    assert call(gateway) == CALLED


def test_a_level_that_is_too_low_is_refused_before_anybody_leaves(gateway: Served) -> None:
    """The service needs more than the recognition gives, whatever the ID system would say."""
    gateway.sample.write(
        "services/site.yaml", {**gateway.sample.service("site"), "use": "civic", "minimum_identity": 2}
    )
    agree(gateway.sample, maximum_identity=1)
    until(lambda: "stronger proof of identity" in choices(gateway, "&kakehashi_municipality=102016"))


def test_a_municipality_that_is_not_recognised_is_told_so(gateway: Served) -> None:
    """It is not offered but named, with what to do; whoever is sent there all the same reads why it cannot be."""
    assert "An ID of these municipalities cannot be used" not in choices(gateway)
    nobody(gateway.sample)
    until(lambda: "No municipality's ID can be used for this service now" in choices(gateway))
    assert "An ID of these municipalities cannot be used" in choices(gateway)
    hinted = choices(gateway, "&kakehashi_municipality=102016")
    assert "An ID of this municipality cannot be used for this service yet" in hinted
    (line,) = gateway.events("login-refused")
    assert line["reason"] == "id-system-not-recognised"
    assert line["detail"] == "maebashi at site: not-recognised"
