"""Logins through a running gateway: entities of single municipalities, sign-in without a page, and unasked."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
import structlog
from lxml import etree

from federation.refusal import InteractionNeeded
from federation.saml.identity_provider import SamlAttribute
from federation.saml.scopes import PAIRWISE_ID, SUBJECT_ID
from observability.events import GuardEvent, LoginEvent, LoginOutcome

from .gateway_sample import AUTHORIZE, Here, here, store_server
from .saml_sample import COMMON, Browser, Peers, now, saml_sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

EBETSU, KIRYU = "/saml/012173", "/saml/102032"
ACS = "https://portal.example/acs"


@pytest.fixture(scope="module")
def peers() -> Peers:
    """ID systems and services."""
    return Peers()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str, peers: Peers) -> AsyncIterator[Here]:
    """A gateway between them."""
    async with here(saml_sample(tmp_path_factory.mktemp("login"), peers), store_url) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def browser(gateway: Here, peers: Peers) -> AsyncIterator[Browser]:
    """Somebody's browser, new for each test."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(gateway=gateway, peers=peers, http=session)


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(gateway: Here, peers: Peers) -> AsyncIterator[Browser]:
    """Another one."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(gateway=gateway, peers=peers, http=session)


async def known(browser: Browser, person: str, system: str = "ebetsu", service: str = "portal") -> None:
    """`person` signed in before, with this browser, and agreed."""
    there = await browser.choose(await browser.ask(service), system)
    back = await browser.arrive(system, there, name_id=person)
    if back.location:
        back = await browser.agree(back)
    await browser.signed_in(back, service=service)


# --- the entity of one municipality


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/saml", {"地域", "Region"}),
        (EBETSU, {"ebetsu市", "ebetsu City"}),
        (KIRYU, {"kiryu市", "kiryu City"}),
    ],
)
async def test_every_entity_describes_itself(browser: Browser, gateway: Here, path: str, names: set[str]) -> None:
    """Its own names and addresses, the region's scope, signed and with an end."""
    page = await browser.get(path + "/metadata")
    root = etree.fromstring(page.text.encode())
    assert root.get("entityID") == f"{gateway.url}{path}/metadata"
    assert root.get("validUntil") > now().isoformat()
    assert root.find("{http://www.w3.org/2000/09/xmldsig#}Signature") is not None
    assert root.xpath("//*[local-name()='Scope']/text()") == ["localhost"]
    assert set(root.xpath("//*[local-name()='DisplayName']/text()")) == names
    assert set(root.xpath("//*[local-name()='SingleSignOnService']/@Location")) == {f"{gateway.url}{path}/sso"}
    assert set(root.xpath("//*[local-name()='SingleLogoutService']/@Location")) == {f"{gateway.url}{path}/slo"}


@pytest.mark.parametrize("code", ["422053", "131016", "01217", "0121733", "ebetsu", "%30%31%32%31%37%34"])
async def test_a_municipality_without_a_saml_entity_is_not_found(browser: Browser, code: str) -> None:
    """422053 has an ID system that is not on a list, and an entity all the same; the others are nobody."""
    expected = 200 if code == "422053" else 404
    assert (await browser.get(f"/saml/{code}/metadata")).status == expected
    assert (await browser.get(f"/saml/{code}/sso")).status == (400 if code == "422053" else 404)


async def test_a_service_may_rely_on_one_municipality_alone(browser: Browser, gateway: Here) -> None:
    """No choice where there is one ID system; the answer is in that entity's name, the person's name the same."""
    there = await browser.ask(entity=KIRYU)
    back = await browser.arrive("kiryu", there, name_id="ichiro")
    alone = await browser.signed_in(await browser.agree(back), KIRYU)
    assert alone.issuer == alone.name_id.name_qualifier == f"{gateway.url}{KIRYU}/metadata"
    through_hub = await browser.arrive("kiryu", await browser.choose(await browser.ask(), "kiryu"), name_id="ichiro")
    hub = await browser.signed_in(through_hub)
    assert hub.issuer == f"{gateway.url}/saml/metadata"
    assert hub.name_id.value == alone.name_id.value


async def test_only_its_own_id_systems_are_offered(browser: Browser) -> None:
    """Neither choice nor hint leads to another municipality's."""
    hint = "https://kiryu.example/saml"
    choice = await browser.ask(entity=EBETSU, identity_providers=[hint])
    page = await browser.get(choice.location)
    assert {"ebetsu", "ebetsu2"} == {
        *etree.HTML(page.text).xpath("//button[@name='system']/@value"),
    }
    forced = await browser.choose(choice, "kiryu")
    assert (forced.status, forced.location) == (403, "")
    assert "does not accept an ID of this municipality" in forced.text
    assert (await browser.choose(choice, "ebetsu2")).location.startswith("https://ebetsu2.example/sso?")


@pytest.mark.parametrize("passive", [False, True])
async def test_a_service_that_accepts_nobody_of_that_municipality(browser: Browser, passive: bool) -> None:  # noqa: FBT001
    """No choice without options: the person reads why, or the service hears it at once."""
    page = await browser.ask("library", entity=KIRYU, is_passive=passive)
    if not passive:
        assert (page.status, page.location) == (403, "")
        (back,) = etree.HTML(page.text).xpath("//a[contains(@href, '/return')]/@href")
        page = await browser.get(back)
    assert page.told == "https://library.example/acs NoSupportedIDP"


@pytest.mark.parametrize(("entity", "to"), [("/saml", EBETSU), (EBETSU, "/saml"), (EBETSU, KIRYU)])
async def test_a_request_that_was_meant_for_another_entity_is_refused(
    browser: Browser, gateway: Here, entity: str, to: str
) -> None:
    """Its Destination is another address of ours; whoever diverted it gets nothing."""
    page = await browser.ask(entity=entity, to=to + "/sso")
    assert (page.status, page.location) == (400, "")
    assert gateway.heard.of(LoginEvent)[-1].reason == "bad-request"


# --- without a page


async def test_without_a_known_id_system_a_passive_request_is_denied(browser: Browser) -> None:
    """Several would do and nobody chose yet: the service is told at once."""
    page = await browser.ask(is_passive=True)
    assert (page.status, page.told) == (200, f"{ACS} NoPassive")
    assert page.form[1]["RelayState"] == "rs"


async def test_a_passive_sign_in_of_a_known_person_shows_nothing(browser: Browser) -> None:
    """The ID system chosen last is asked to show nothing either, and the service gets its answer."""
    await known(browser, "passive-1")
    there = await browser.ask(is_passive=True)
    assert browser.asked("ebetsu", there).is_passive
    found = await browser.signed_in(await browser.arrive("ebetsu", there, name_id="passive-1"))
    assert found.attributes == {"cn": ("髙橋 花子",)}


async def test_a_passive_request_at_the_only_or_the_hinted_id_system(browser: Browser) -> None:
    """No choice was needed: nobody needs to have chosen before."""
    assert (await browser.ask(entity=KIRYU, is_passive=True)).location.startswith("https://kiryu.example/sso?")
    hint = ["https://ebetsu2.example/saml"]
    there = await browser.ask(is_passive=True, identity_providers=hint)
    assert there.location.startswith("https://ebetsu2.example/sso?")


async def test_missing_consent_is_told_and_not_asked(browser: Browser, gateway: Here) -> None:
    """The person is known, but has agreed to nothing at this service."""
    there = await browser.ask(entity=KIRYU, is_passive=True)
    page = await browser.arrive("kiryu", there, name_id="nobody-agreed")
    assert (page.status, page.told) == (200, f"{ACS} NoPassive")
    event = gateway.heard.of(LoginEvent)[-1]
    assert (event.reason, event.outcome, event.id_system) == ("consent-needed", LoginOutcome.DENIED, "kiryu")


@pytest.mark.parametrize(
    ("status", "told"),
    [("NoPassive", "NoPassive"), ("NoAuthnContext", "NoAuthnContext"), ("AuthnFailed", "AuthnFailed")],
)
async def test_what_the_id_system_says_is_told_at_once(browser: Browser, peers: Peers, status: str, told: str) -> None:
    """No page of ours stands between."""
    there = await browser.ask(entity=KIRYU, is_passive=True)
    second = "urn:oasis:names:tc:SAML:2.0:status:" + status
    form = peers.systems["kiryu"].error(browser.asked("kiryu", there), second=second, now=now())
    page = await browser.bring(form)
    assert page.told == f"{ACS} {told}"


async def test_a_forged_answer_shows_no_page_either(browser: Browser) -> None:
    """The service gets a denial, and a second answer finds nothing."""
    there = await browser.ask(entity=KIRYU, is_passive=True)
    good = browser.answer("kiryu", browser.asked("kiryu", there))
    document = base64.b64decode(dict(good.fields)["SAMLResponse"]).replace("髙橋".encode(), "高橋".encode())
    forged = {**dict(good.fields), "SAMLResponse": base64.b64encode(document).decode()}
    assert (await browser.post("/saml/sp/acs", forged)).told == f"{ACS} AuthnFailed"
    assert (await browser.bring(good)).status == 400


async def test_anew_and_without_a_page_contradict_each_other(browser: Browser) -> None:
    """Whoever is to sign in again must see something."""
    await known(browser, "passive-2")
    assert (await browser.ask(is_passive=True, force_authn=True)).told == f"{ACS} NoPassive"


async def test_without_a_store_the_service_is_told_at_once_too(tmp_path: Path, peers: Peers) -> None:
    """A denial tells nothing of anybody, so it needs nothing that is kept."""
    sample = saml_sample(tmp_path / "region", peers)
    with store_server(tmp_path) as server:
        async with (
            here(sample, f"unix://{tmp_path / 's.sock'}") as running,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            browser = Browser(gateway=running, peers=peers, http=session)
            assert (await browser.ask(entity=KIRYU, is_passive=True)).location.startswith("https://kiryu.example/")
            server.terminate()
            server.wait(10)
            page = await browser.ask(entity=KIRYU, is_passive=True)
            assert (page.status, page.told) == (200, f"{ACS} RequestDenied")
            assert (await browser.ask(entity=KIRYU)).status == 503


async def test_openid_without_a_page(browser: Browser) -> None:
    """prompt=none: login_required where nobody is known, consent_required where nobody agreed."""

    def error(location: str) -> str:
        assert location.startswith("https://site.example/callback?")
        return parse_qs(urlsplit(location).query)["error"][0]

    silent = AUTHORIZE + "&prompt=none"
    assert error((await browser.get(silent)).location) == InteractionNeeded.oauth_error
    there = await browser.get(silent + "&kakehashi_municipality=kiryu")
    assert browser.asked("kiryu", there).is_passive
    assert error((await browser.arrive("kiryu", there)).location) == "consent_required"


# --- unasked


async def test_an_answer_that_nobody_asked_for_is_refused(browser: Browser) -> None:
    """Unless the operator allowed it to that ID system."""
    page = await browser.bring(browser.answer("ebetsu", browser.unasked("portal")))
    assert (page.status, page.location) == (400, "")
    assert "could not be verified" in page.text


@pytest.mark.parametrize("named", ["portal", "https://portal.example/saml"])
async def test_an_allowed_one_always_asks_the_person(browser: Browser, named: str) -> None:
    """Whatever was agreed before: somebody else may have sent them here. The service's answer replies to nothing."""
    await known(browser, "unasked-1", "kiryu")
    page = await browser.bring(browser.answer("kiryu", browser.unasked(named), name_id="unasked-1"))
    assert "髙橋 花子" in (await browser.get(page.location)).text
    agreed = await browser.agree(page)
    assert "RelayState" not in agreed.form[1]
    found = await browser.signed_in(agreed)
    assert agreed.response.xpath("//@InResponseTo") == []
    assert found.attributes == {"cn": ("髙橋 花子",)}


async def test_the_same_one_again_is_refused(browser: Browser, stranger: Browser) -> None:
    """The assertion is claimed before it is believed, whichever browser brings it again."""
    form = browser.answer("kiryu", browser.unasked("portal"), name_id="unasked-2")
    assert (await browser.bring(form)).location.endswith("/consent")
    for again in (browser, stranger):
        page = await again.bring(form)
        assert (page.status, page.location) == (400, "")


async def test_its_consent_page_is_for_the_browser_that_brought_it(browser: Browser, stranger: Browser) -> None:
    """As every page of a login."""
    page = await browser.bring(browser.answer("kiryu", browser.unasked("portal"), name_id="unasked-3"))
    assert (await stranger.get(page.location)).status == 403
    assert (await browser.get(page.location)).status == 200


@pytest.mark.parametrize("named", [None, "", "nobody", "site", "https://evil.example/"])
async def test_one_that_names_no_service_goes_nowhere(browser: Browser, gateway: Here, named: str | None) -> None:
    """Several would do: the person is told where to begin instead."""
    page = await browser.bring(browser.answer("kiryu", browser.unasked(named)))
    assert (page.status, page.location) == (400, "")
    assert "which service" in page.text
    assert "evil" not in page.text
    assert gateway.heard.of(LoginEvent)[-1].reason == "unsolicited-nowhere"


async def test_who_declines_an_unasked_sign_in_reads_so(browser: Browser) -> None:
    """The service asked nothing, so nothing is sent to it; the page leads to its own address."""
    page = await browser.bring(browser.answer("kiryu", browser.unasked("portal"), name_id="unasked-4"))
    declined = await browser.agree(page, "not-now")
    assert declined.status == 403
    assert "SAMLResponse" not in declined.text
    assert "https://portal.example/" in declined.text


async def test_forged_or_foreign_unasked_answers_are_refused(browser: Browser) -> None:
    """Signed by another ID system's key in the name of the allowed one, altered, or for somebody else."""
    form = browser.answer("kiryu", browser.unasked("portal"))
    document = base64.b64decode(dict(form.fields)["SAMLResponse"])
    altered = document.replace("髙橋".encode(), "高橋".encode())
    ebetsu = base64.b64decode(dict(browser.answer("ebetsu", browser.unasked("portal")).fields)["SAMLResponse"])
    named = ebetsu.replace(b"https://ebetsu.example/saml", b"https://kiryu.example/saml")
    for octets in (altered, named, b"<x/>", b""):
        fields = {"SAMLResponse": base64.b64encode(octets).decode(), "RelayState": "portal"}
        page = await browser.post("/saml/sp/acs", fields)
        assert (page.status, page.location) == (400, "")


# --- an identifier that several services get


async def test_a_common_identifier_is_shown_before_it_leaves(browser: Browser) -> None:
    """It has a line of its own on the consent page, with the value; the services that get it get the same one."""
    found = set()
    for service in COMMON:
        back = await browser.arrive("kiryu", await browser.choose(await browser.ask(service), "kiryu"), name_id="c-1")
        page = (await browser.get(back.location + "?lang=en")).text
        assert "A number that other services also receive" in page
        assertion = await browser.signed_in(await browser.agree(back), service=service)
        (value,) = assertion.attributes[SUBJECT_ID]
        assert value in page
        assert value.endswith("@localhost")
        found.add(value)
    assert len(found) == 1
    await known(browser, "c-1", "kiryu")
    there = await browser.choose(await browser.ask("portal"), "kiryu")
    plain = await browser.signed_in(await browser.arrive("kiryu", there, name_id="c-1"))
    assert SUBJECT_ID not in plain.attributes


# --- what arrives besides


async def test_attributes_out_of_scope_are_named_in_the_log(browser: Browser) -> None:
    """The name alone, once; the value is nobody's."""
    scoped = SamlAttribute(name=PAIRWISE_ID, values=("hanako@evil.example",))
    there = await browser.choose(await browser.ask(), "kiryu")
    with structlog.testing.capture_logs() as lines:
        await browser.arrive("kiryu", there, attributes=(scoped,))
    (line,) = [line for line in lines if line["event"] == "attributes-out-of-scope"]
    assert (line["log_level"], line["id_system"], line["detail"]) == ("warning", "kiryu", PAIRWISE_ID)
    assert "hanako" not in repr(lines)


# --- what must never pass

MY_NUMBER = "123456789018"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"attributes": (SamlAttribute(name="name", values=("髙橋 花子 " + MY_NUMBER,)),)}, "name"),
        ({"attributes": (SamlAttribute(name="name", values=("１２３４-５６７８-９０１８",)),)}, "name"),
        ({"name_id": MY_NUMBER}, None),
    ],
)
async def test_a_my_number_ends_the_sign_in(browser: Browser, gateway: Here, said: dict[str, Any], name: str) -> None:
    """The person reads it in words, the operators by kind and rule; the number itself is nowhere."""
    there = await browser.choose(await browser.ask(), "kiryu")
    with structlog.testing.capture_logs() as lines:
        page = await browser.arrive("kiryu", there, **said)
    assert (page.status, page.location) == (403, "")
    assert "サービスに送ってはならないものが届きました" in page.text
    found = gateway.heard.of(GuardEvent)[-1]
    assert (found.kind, found.outcome, found.direction, found.where) == ("my-number", "refuse", "in", "login")
    assert (found.id_system, found.service, found.name) == ("kiryu", "portal", name)
    assert gateway.heard.of(LoginEvent)[-1].reason == "forbidden-content"
    for written in (page.text, repr(lines), repr(found)):
        assert MY_NUMBER not in written
        assert "１２３４" not in written


async def test_what_no_rule_reads_is_dropped_and_counted(browser: Browser, gateway: Here) -> None:
    """A My Number in an attribute that goes nowhere ends nothing, and the operators learn that it comes."""
    extra = SamlAttribute(name="kojin-bango", values=(MY_NUMBER,))
    named = SamlAttribute(name="name", values=("髙橋 花子",))
    there = await browser.choose(await browser.ask(), "kiryu")
    page = await browser.arrive("kiryu", there, name_id="extra-1", attributes=(named, extra))
    assert page.location
    found = gateway.heard.of(GuardEvent)[-1]
    assert (found.kind, found.outcome, found.name) == ("my-number", "report", None)
