"""The participation site's proposal: what it asks of the gateway, and what it makes of every answer."""

import base64
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from joserfc import jwt

from federation.certificate import plain_text
from gateway.demo.keys import signing_key
from gateway.demo.openid_client import OpenIdClient
from gateway.demo.peer import PeerError
from gateway.demo.proposal import (
    ANOTHER_PERSON,
    ENDED,
    NOT_BELIEVED,
    ProposalDesk,
    Signing,
    _spelled,
    proposal,
)
from tests.federation.certificate.test_container import ISSUING, made

SITE = "http://localhost:1"


class Gateway:
    """Answers as a test says, and keeps what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.says: tuple[int, object] = (500, {})
        self.asked: list[tuple[str, str]] = []
        self.orders: list[dict[str, str]] = []
        self.assertions: list[str] = []

    def application(self) -> web.Application:
        async def answer(request: web.Request) -> web.Response:
            self.asked.append((request.method, request.path))
            scheme, _, assertion = request.headers["Authorization"].partition(" ")
            assert scheme == "Bearer"
            self.assertions.append(assertion)
            if request.method == "DELETE":
                return web.Response(status=204)
            if request.method == "POST":
                self.orders.append(await request.json())
            status, told = self.says
            return web.json_response(told, status=status)

        app = web.Application()
        app.router.add_route("*", "/signing/requests{rest:.*}", answer)
        return app


@pytest.fixture
async def gateway(place) -> Gateway:
    """A gateway at an address of its own."""
    spot = place()
    running = Gateway(spot.url)
    await spot.serve(running.application())
    return running


@pytest.fixture
def desk(gateway, clock, tmp_path: Path) -> ProposalDesk:
    """The site's desk before that gateway."""
    key = signing_key(tmp_path, "ES256")
    client = OpenIdClient(
        issuer=gateway.url,
        client_id=SITE,
        redirect_uri=f"{SITE}/callback",
        key=key,
        algorithm="ES256",
        clock=clock,
    )
    return ProposalDesk(
        client, gateway=gateway.url, return_to=f"{SITE}/signed", authority=ISSUING.certificate, clock=clock
    )


def signing(gateway: Gateway) -> Signing:
    """Something that is asked for."""
    return Signing(id="abc", page=f"{gateway.url}/signing/abc", proposal=proposal("ja", date(2026, 4, 1)))


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_text_may_be_signed_on_every_day(language):
    """The gateway refuses texts that could show otherwise than they are signed."""
    for days in range(0, 400, 9):
        about = proposal(language, date(2026, 1, 1) + timedelta(days=days))
        plain_text.check(about.text, title=about.title)


def test_the_day_is_japans(desk, clock):
    """At eight in the evening in London it is tomorrow in Japan."""
    clock.now = datetime(2026, 3, 31, 20, 0, tzinfo=UTC)
    assert desk.proposal("ja").text.endswith("2026年4月1日\n")
    assert desk.proposal("en").text.endswith("1 April 2026\n")


async def test_an_order_says_who_asks_for_what(desk, gateway, browser, tmp_path):
    """By `private_key_jwt`: an assertion for the gateway, another one for every call."""
    gateway.says = 201, {"id": "abc", "page": f"{gateway.url}/signing/abc", "expires_in": 3600}
    asked = await desk.order(browser, "en")
    gateway.says = 200, {"id": "abc", "status": "open"}
    assert await desk.learn(browser, asked, "髙橋 花子") is None

    (order,) = gateway.orders
    assert order == {
        "title": asked.proposal.title,
        "text": asked.proposal.text,
        "format": "cms",
        "id_system": "maebashi-phone",
        "language": "en",
        "return_to": f"{SITE}/signed",
    }
    claims = [
        jwt.decode(each, signing_key(tmp_path, "ES256"), algorithms=["ES256"]).claims for each in gateway.assertions
    ]
    assert [(each["iss"], each["sub"], each["aud"]) for each in claims] == [(SITE, SITE, gateway.url)] * 2
    assert claims[0]["jti"] != claims[1]["jti"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (403, {"error": "unauthorized_client"}),
        (201, {"id": "abc"}),
        (201, {"id": 1, "page": "x"}),
        (201, {"id": "abc", "page": "https://elsewhere.example/signing/abc"}),
        (201, []),
    ],
    ids=["refused", "no page", "no text", "a page elsewhere", "no object"],
)
async def test_an_order_that_went_wrong_leads_nowhere(desk, gateway, browser, status, answer):
    """The browser is sent to no other page than the gateway's."""
    gateway.says = status, answer
    with pytest.raises(PeerError):
        await desk.order(browser, "ja")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"status": "declined"}), ENDED["declined"]),
        ((200, {"status": "refused", "code": "certificate-codes"}), ENDED["refused"]),
        ((200, {"status": "expired"}), ENDED["expired"]),
        ((404, {"error": "not_found"}), ENDED["expired"]),
        ((200, {"status": "signed"}), NOT_BELIEVED),
        ((200, {"status": "signed", "container": "?"}), NOT_BELIEVED),
        ((200, {"status": "signed", "container": base64.b64encode(b"0\x03\x02\x01\x01").decode()}), NOT_BELIEVED),
        ((200, {"status": "signed", "container": base64.b64encode(made("cms")).decode()}), NOT_BELIEVED),
    ],
    ids=["declined", "refused", "expired", "gone", "no container", "no base64", "no CMS", "another text"],
)
async def test_every_end_without_a_signature_has_its_words(desk, gateway, browser, answer, told):
    """The gateway is then asked to forget it."""
    gateway.says = answer
    about = signing(gateway)
    outcome = await desk.learn(browser, about, "山田 花子")
    assert (outcome.told, outcome.good, about.container) == (told, False, None)
    assert gateway.asked == [("GET", "/signing/requests/abc"), ("DELETE", "/signing/requests/abc")]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(401, {"error": "invalid_client"}), (503, {}), (200, {}), (200, {"status": "?"}), (200, {"status": ["open"]})],
    ids=["not us", "out of order", "no status", "another status", "no text"],
)
async def test_no_usable_answer_ends_nothing(desk, gateway, browser, status, answer):
    """The person can look again later."""
    gateway.says = status, answer
    with pytest.raises(PeerError):
        await desk.learn(browser, signing(gateway), "山田 花子")
    assert gateway.asked == [("GET", "/signing/requests/abc")]


async def test_forgetting_may_fail(desk, gateway, browser):
    """The gateway forgets by itself after a day."""
    desk._gateway = SITE  # where nobody listens
    await desk.forget(browser, signing(gateway))


def test_names_are_compared_without_their_spaces():
    """Registers write narrow and wide ones; forms of characters stay apart."""
    assert _spelled("髙橋　花子") == _spelled("髙橋 花子")
    assert _spelled("髙橋 花子") != _spelled("高橋 花子")
    assert _spelled("葛󠄀西 誠") != _spelled("葛西 誠")
    assert set(ANOTHER_PERSON) == {"ja", "en"}
