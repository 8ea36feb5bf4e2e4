"""A sign-in that is worth too little: asked for once more with the right request, then refused, both levels told."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
import yaml
from lxml import etree

from federation.saml.frontend import METHODS
from federation.saml.messages import from_base64, inflate
from observability.events import LoginEvent, LoginOutcome
from trust_lists import assurance_table

from .gateway_sample import Here, here, signatory
from .saml_sample import SYSTEMS, Browser, Page, Peers, now, saml_sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD, MOBILE, PASSWORD = "urn:example:card", "urn:example:mobile", "urn:example:password"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
EIDAS = "http://eidas.europa.eu/LoA/"


def table(sequence: int = 1, card: int = 3) -> bytes:
    """The region's table of assurance: a card, a mobile phone, a password, at every ID system but kiryu."""
    words = ((CARD, "card", card, ["sc", "pin"]), (MOBILE, "mobile", 2, ["sms"]), (PASSWORD, "password", 1, ["pwd"]))
    pair = signatory()
    return assurance_table.publish(
        [
            {
                "system": f"https://{system}.example/saml",
                "rows": [
                    {
                        "id": f"{system}-{name}",
                        "when": {"context": word},
                        "identity": level,
                        "authentication": level,
                        "amr": amr,
                        "eidas": ("low", "substantial", "high")[level - 1],
                    }
                    for word, name, level, amr in words
                ],
            }
            for system in SYSTEMS
            if system != "kiryu"
        ],
        name="region-assurance",
        key_pem=pair.key,
        certificate_pem=pair.certificate,
        issued_at=now(),
        valid_until=now() + timedelta(days=1),
        sequence=sequence,
    )


@pytest.fixture(scope="module")
def peers() -> Peers:
    """ID systems and services."""
    return Peers()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str, peers: Peers) -> AsyncIterator[Here]:
    """A gateway whose region has a signed table; no ID system's file says what its words are worth."""
    sample = saml_sample(tmp_path_factory.mktemp("step-up"), peers)
    (sample.config / "lists" / "region-assurance.jwt").write_bytes(table())
    trust = yaml.safe_load((sample.config / "trust.yaml").read_text())
    trust["sources"].append(
        {
            "name": "region-assurance",
            "format": "assurance-table",
            "file": "lists/region-assurance.jwt",
            "anchors": ["lists/anchor.pem"],
        }
    )
    sample.write("trust.yaml", trust)
    for path in sorted((sample.config / "id-systems").glob("*.yaml")):
        written = yaml.safe_load(path.read_text())
        del written["assurance"]
        sample.write(f"id-systems/{path.name}", written)
    for name, changes in {
        "portal": {"minimum_identity": 2, "minimum_authentication": 1, "authentication_methods": True},
        "research": {"minimum_identity": 1, "minimum_authentication": 3},
    }.items():
        written = yaml.safe_load((sample.config / "services" / f"{name}.yaml").read_text())
        sample.write(f"services/{name}.yaml", {**written, **changes})
    async with here(sample, store_url) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def browser(gateway: Here, peers: Peers) -> AsyncIterator[Browser]:
    """Somebody's browser, new for each test."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(gateway=gateway, peers=peers, http=session)


def request(page: Page) -> tuple[list[str], str | None]:
    """What the gateway asks an ID system for: the contexts, and whether anew."""
    sent = etree.fromstring(inflate(from_base64(parse_qs(urlsplit(page.location).query)["SAMLRequest"][0])))
    return [str(each.text) for each in sent.iter(SAML + "AuthnContextClassRef")], sent.get("ForceAuthn")


async def ebetsu(browser: Browser, service: str = "portal", **asked: object) -> Page:
    """On the way to Ebetsu's ID system."""
    return await browser.choose(await browser.ask(service, **asked), "ebetsu")


async def test_the_first_request_asks_for_what_is_needed(browser: Browser) -> None:
    """In the ID system's own words of the signed table, the least demanding first; nothing where any will do."""
    assert request(await ebetsu(browser)) == ([MOBILE, CARD], None)
    assert request(await ebetsu(browser, "research")) == ([CARD], None)
    assert request(await ebetsu(browser, "statistics")) == ([PASSWORD, MOBILE, CARD], None)


async def test_what_comes_back_too_low_is_asked_for_once_more(browser: Browser, gateway: Here) -> None:
    """Anew, and then it is enough: the level is stated, how the person signed in, and why it is this level."""
    there = await ebetsu(browser)
    again = await browser.arrive("ebetsu", there, authn_context=PASSWORD)
    assert again.status == 303
    assert request(again) == ([MOBILE, CARD], "true")
    back = await browser.arrive("ebetsu", again, authn_context=CARD)
    found = await browser.signed_in(await browser.agree(back))
    assert found.authn_context == "urn:kakehashi:assurance:identity-3"
    assert found.attributes == {"cn": ("髙橋 花子",), METHODS: ("sc", "pin")}
    event = gateway.heard.of(LoginEvent)[-1]
    assert (event.outcome, event.level) == (LoginOutcome.GRANTED, 3)
    assert event.why[0] == "table region-assurance/1/ebetsu-card 3/3/3"
    assert {reason.partition(" ")[0] for reason in event.why} == {"table", "answer", "own"}


async def test_if_it_is_too_low_again_both_levels_are_told(browser: Browser, gateway: Here) -> None:
    """On the page in both languages, to the service in its protocol, and in the event; nothing of the person."""
    there = await ebetsu(browser)
    again = await browser.arrive("ebetsu", there, authn_context=PASSWORD)
    page = await browser.arrive("ebetsu", again, authn_context=PASSWORD, name_id="somebody")
    assert (page.status, page.location) == (403, "")
    text = " ".join(" ".join(etree.HTML(page.text).itertext()).split())
    assert "身元確認のレベル 必要 2、今回 1 ログイン方法の確かさのレベル 必要 1、今回 1" in text
    assert "Level of identity proofing 2 needed, 1 this time Level of sign-in 1 needed, 1 this time" in text
    assert "髙橋" not in page.text
    event = gateway.heard.of(LoginEvent)[-1]
    assert (event.outcome, event.reason) == (LoginOutcome.REFUSED, "assurance-too-low")
    assert event.why[0] == "table region-assurance/1/ebetsu-password 1/1/3"
    (back,) = etree.HTML(page.text).xpath("//a[contains(@href, '/return')]/@href")
    denial = await browser.get(back)
    assert denial.told == "https://portal.example/acs NoAuthnContext"
    (said,) = denial.response.xpath("//*[local-name()='StatusMessage']/text()")
    assert said.endswith("(needed identity 2, authentication 1; came identity 1, authentication 1)")


async def test_authentication_can_be_what_is_too_low(browser: Browser) -> None:
    """A service that states it for itself."""
    there = await ebetsu(browser, "research")
    again = await browser.arrive("ebetsu", there, authn_context=MOBILE)
    assert request(again) == ([CARD], "true")
    page = await browser.arrive("ebetsu", again, authn_context=MOBILE)
    assert page.status == 403
    text = " ".join(" ".join(etree.HTML(page.text).itertext()).split())
    assert "Level of sign-in 3 needed, 2 this time" in text


async def test_an_answer_is_good_once_also_when_it_was_too_low(browser: Browser) -> None:
    """The first one, brought again, finds nothing."""
    there = await ebetsu(browser)
    form = browser.answer("ebetsu", browser.asked("ebetsu", there), authn_context=PASSWORD)
    assert (await browser.bring(form)).status == 303
    assert (await browser.bring(form)).status == 400


async def test_where_no_page_may_be_shown_nobody_is_asked_again(browser: Browser) -> None:
    """The service hears it at once."""
    there = await browser.choose(await browser.ask(), "ebetsu")
    await browser.agree(await browser.arrive("ebetsu", there, authn_context=CARD, name_id="ichiro"))
    passive = await browser.ask(entity="/saml", is_passive=True)
    page = await browser.arrive("ebetsu", passive, authn_context=PASSWORD, name_id="ichiro")
    assert page.told == "https://portal.example/acs NoAuthnContext"


async def test_an_id_system_that_says_no_itself_is_not_asked_again(browser: Browser, peers: Peers) -> None:
    """It was asked for the right thing already."""
    there = await ebetsu(browser)
    second = "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"
    page = await browser.bring(peers.systems["ebetsu"].error(browser.asked("ebetsu", there), second=second, now=now()))
    assert (page.status, page.location) == (403, "")


async def test_what_the_signed_table_does_not_speak_of_is_worth_nothing(browser: Browser) -> None:
    """Whatever the ID system says; nobody is sent there twice for it."""
    there = await browser.choose(await browser.ask("statistics"), "kiryu")
    assert request(there) == ([], None)
    page = await browser.arrive("kiryu", there, authn_context=CARD)
    assert (page.status, page.location) == (403, "")
    text = " ".join(" ".join(etree.HTML(page.text).itertext()).split())
    assert "Level of identity proofing 1 needed, 0 this time" in text
    assert "Level of sign-in" not in text, "none was needed"


@pytest.mark.parametrize(
    ("contexts", "came", "stated"),
    [
        ([EIDAS + "substantial"], MOBILE, EIDAS + "substantial"),
        ([EIDAS + "substantial"], CARD, EIDAS + "substantial"),
        ([EIDAS + "high"], CARD, EIDAS + "high"),
        (["http://idmanagement.gov/ns/assurance/ial/2"], CARD, None),
    ],
)
async def test_other_bodies_levels_are_stated_where_the_table_does(
    browser: Browser, contexts: list[str], came: str, stated: str | None
) -> None:
    """Exactly asked for: stated if a column of the table says so, else the service is told that it is not."""
    there = await ebetsu(browser, "statistics", requested_contexts=contexts)
    back = await browser.arrive("ebetsu", there, authn_context=came, name_id=f"{came}-{contexts[0][-4:]}")
    page = await browser.agree(back)
    if stated is None:
        assert page.told == "https://statistics.example/acs NoAuthnContext"
    else:
        assert (await browser.signed_in(page, service="statistics")).authn_context == stated
