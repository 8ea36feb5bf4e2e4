"""Residents see what they agreed to, and take it back: in their own browser, with effect in every process."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from lxml import etree, html

from federation import own
from federation.identifiers import PersonRef
from federation.model import OWN, Keep
from federation.saml.messages import inflate
from gateway.config import ConfigurationError, load
from gateway.context import digest
from observability.events import EndingEvent, EndReason, LoginEvent

from .gateway_sample import READ, Here, Sample, here
from .saml_sample import Browser, Page, Peers, saml_sample

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def peers() -> Peers:
    """ID systems and services."""
    return Peers()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, peers: Peers) -> Sample:
    """The configuration of a gateway between them."""
    return saml_sample(tmp_path_factory.mktemp("consents"), peers)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(sample: Sample, store_url: str) -> AsyncIterator[Here]:
    """One process of the gateway."""
    async with here(sample, store_url) as running:
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


# --- what a resident does


async def arrived(browser: Browser, person: str, system: str = "ebetsu", service: str = "portal") -> Page:
    """Where `person` is after signing in at their ID system for `service`."""
    there = await browser.choose(await browser.ask(service), system)
    return await browser.arrive(system, there, name_id=person)


async def agreed(browser: Browser, person: str, system: str = "ebetsu", service: str = "portal") -> None:
    """`person` agreed to what `service` asks."""
    await browser.signed_in(await browser.agree(await arrived(browser, person, system, service)), service=service)


async def shown(browser: Browser, person: str, system: str = "ebetsu") -> Page:
    """The page of their consents, after `person` signed in to see it."""
    there = await browser.choose(await browser.get(own.SIGN_IN), system)
    back = await browser.arrive(system, there, name_id=person)
    assert (back.status, back.location) == (303, own.PAGE)
    return await browser.get(back.location)


def services(page: Page) -> list[str]:
    """The services of the consents that the page shows."""
    return [
        heading.text_content() for heading in html.fromstring(page.text).xpath("//h2[starts-with(@id, 'agreement-')]")
    ]


def withdrawals(page: Page) -> list[str]:
    """The addresses of the questions, one for each consent."""
    return html.fromstring(page.text).xpath(f"//a[starts-with(@href, '{own.PAGE}/')]/@href")


async def withdrawn(browser: Browser, page: Page) -> Page:
    """The page after the only consent that `page` shows is taken back."""
    (address,) = withdrawals(page)
    action, fields = (await browser.get(address)).form
    done = await browser.post(action, fields)
    assert (done.status, done.location) == (303, address)
    return await browser.get(done.location)


# --- seeing


async def test_who_did_not_sign_in_is_shown_nothing(browser: Browser) -> None:
    """A browser that nobody signed in with reads what the page is for, and where to sign in."""
    page = await browser.get(own.PAGE)
    assert page.status == 200
    assert own.SIGN_IN in page.text
    assert services(page) == []


async def test_a_person_sees_what_they_agreed_to_and_never_a_value(browser: Browser, gateway: Here) -> None:
    """Each consent says to whom, what for, what and until when; nothing of the person stands there."""
    await agreed(browser, "sees")
    page = await shown(browser, "sees")
    assert services(page) == ["portal"]
    assert "試験" in page.text
    assert "髙橋" not in page.text
    assert gateway.heard.of(LoginEvent)[-1].downstream == OWN


async def test_a_person_who_agreed_to_nothing_reads_so(browser: Browser) -> None:
    """And sees nobody else's."""
    assert services(await shown(browser, "agreed to nothing")) == []


async def test_each_look_is_a_new_sign_in(browser: Browser) -> None:
    """The ID system is asked to ask again: others may use this browser."""
    there = await browser.choose(await browser.get(own.SIGN_IN), "ebetsu")
    query = parse_qs(urlsplit(there.location).query)
    assert etree.fromstring(inflate(base64.b64decode(query["SAMLRequest"][0]))).get("ForceAuthn") == "true"


async def test_no_other_browser_sees_them(browser: Browser, stranger: Browser) -> None:
    """Not even who carries the answer of the ID system there, or knows the address of a consent."""
    await agreed(browser, "kept to one browser")
    page = await shown(browser, "kept to one browser")
    there = await browser.choose(await browser.get(own.SIGN_IN), "ebetsu")
    assert (await stranger.arrive("ebetsu", there, name_id="kept to one browser")).status == 403
    assert services(await stranger.get(own.PAGE)) == []
    (address,) = withdrawals(page)
    assert (await stranger.get(address)).location == own.PAGE


async def test_an_answer_shows_them_once(browser: Browser) -> None:
    """Whoever brings it again reads that the sign-in is over."""
    there = await browser.choose(await browser.get(own.SIGN_IN), "ebetsu")
    form = browser.answer("ebetsu", browser.asked("ebetsu", there), name_id="brings it twice")
    assert (await browser.bring(form)).location == own.PAGE
    assert (await browser.bring(form)).status == 400


async def test_they_are_shown_for_a_while_or_until_closed(browser: Browser) -> None:
    """The button closes them; so does time, in the store."""
    await agreed(browser, "closes")
    page = await shown(browser, "closes")
    (address,) = withdrawals(page)
    _, fields = (await browser.get(address)).form
    assert (await browser.post(*page.form)).location == own.PAGE
    assert services(await browser.get(own.PAGE)) == []
    assert (await browser.post(address, fields)).location == own.PAGE
    assert services(await shown(browser, "closes")) == ["portal"]
    assert own.seen("browser", PersonRef("p")).lifetime == timedelta(minutes=10)


async def test_no_configuration_can_be_this_service(gateway: Here) -> None:
    """Its kind and its id are the gateway's own."""
    sample = Sample(gateway.sample.directory / "impostor")
    sample.write("services/site.yaml", {**sample.service("site"), "kind": own.SERVICE.kind})
    sample.write("services/other.yaml", {**sample.service("other"), "id": own.SERVICE.id})
    with pytest.raises(ConfigurationError) as found:
        load(sample.config, state=None)
    assert {Path(each.file).name for each in found.value.mistakes} >= {"site.yaml", "other.yaml"}


# --- taking back


async def test_what_is_taken_back_is_asked_again(browser: Browser, gateway: Here) -> None:
    """After the question; the session at the service ends, and the next sign-in there asks."""
    await agreed(browser, "takes back")
    page = await shown(browser, "takes back")
    asked = await browser.get(withdrawals(page)[0])
    assert services(await browser.get(own.PAGE)) == ["portal"], "the question alone takes nothing back"
    assert asked.form[0] == withdrawals(page)[0]
    done = await withdrawn(browser, page)
    assert done.status == 200
    assert not html.fromstring(done.text).forms
    ended = gateway.heard.of(EndingEvent)[0]
    assert (ended.reason, ended.service, ended.ended) == (EndReason.CONSENT_WITHDRAWN, "portal", 1)
    assert services(await browser.get(own.PAGE)) == []
    again = await arrived(browser, "takes back")
    assert again.location.endswith("/consent")
    await browser.signed_in(await browser.agree(again))
    assert services(await browser.get(own.PAGE)) == ["portal"]


async def test_one_consent_is_taken_back_and_no_other(browser: Browser) -> None:
    """Neither at another service nor another person's."""
    for service in ("portal", "library"):
        await agreed(browser, "keeps one", service=service)
    await agreed(browser, "somebody else")
    page = await shown(browser, "keeps one")
    assert set(services(page)) == {"portal", "library"}
    address = withdrawals(page)[services(page).index("portal")]
    await browser.post(*(await browser.get(address)).form)
    assert services(await browser.get(own.PAGE)) == ["library"]
    assert services(await shown(browser, "somebody else")) == ["portal"]


async def test_the_mark_stays_as_evidence(browser: Browser, gateway: Here) -> None:
    """What was agreed to, and when it was taken back; to do it again changes nothing."""
    await agreed(browser, "leaves a mark")
    page = await shown(browser, "leaves a mark")
    (address,) = withdrawals(page)
    form = (await browser.get(address)).form
    await browser.post(*form)
    person = await person_of(gateway, browser)
    store = gateway.process.gateway.store
    first = await store.consent(person, "portal")
    assert first is not None
    assert first.withdrawn_at is not None
    assert (first.attributes, first.id) == ({"cn"}, address.rpartition("/")[2])
    await browser.post(*form)
    assert await store.consent(person, "portal") == first


async def test_a_form_of_another_page_takes_nothing_back(browser: Browser, stranger: Browser) -> None:
    """Without the token of this very question, or with one of another browser."""
    await agreed(browser, "cross site")
    page = await shown(browser, "cross site")
    (address,) = withdrawals(page)
    await shown(stranger, "cross site")
    foreign = (await stranger.get(address)).form[1]
    closing = page.form[1]
    for fields in ({}, {"csrf": "x"}, {"csrf": "髙"}, foreign, closing):
        assert (await browser.post(address, fields)).status == 403, fields
    assert services(await browser.get(own.PAGE)) == ["portal"]


async def test_the_consent_of_another_person_cannot_be_named(browser: Browser, stranger: Browser) -> None:
    """The address of somebody's consent leads everybody else to their own."""
    await agreed(browser, "is named")
    (address,) = withdrawals(await shown(browser, "is named"))
    await shown(stranger, "names")
    assert (await stranger.get(address)).location == own.PAGE
    for hostile in ("x", "%00", "..%2f", "a" * 4000):
        assert (await stranger.get(f"{own.PAGE}/{hostile}")).location == own.PAGE
    assert services(await shown(browser, "is named")) == ["portal"]


async def test_a_consent_for_a_service_that_left_can_be_taken_back(browser: Browser, gateway: Here) -> None:
    """Its name is not known any more, and no label of what it got; but that there is something is shown."""
    await agreed(browser, "remembers")
    await shown(browser, "remembers")
    person = await person_of(gateway, browser)
    store = gateway.process.gateway.store
    record = await store.consent(person, "portal")
    assert record is not None
    await store.save_consent(replace(record, id="g" * 43, service="gone", scopes=frozenset({"gone.read"})))
    page = await browser.get(own.PAGE)
    assert set(services(page)) == {"portal", "gone"}
    address = f"{own.PAGE}/{'g' * 43}"
    assert (await browser.post(*(await browser.get(address)).form)).location == address
    assert services(await browser.get(own.PAGE)) == ["portal"]


async def test_tokens_are_refused_by_every_process(
    browser: Browser, gateway: Here, sample: Sample, store_url: str, tmp_path: Path
) -> None:
    """Taken back in one process, refused in the other as soon as it hears of it."""
    resident = "resident-1"
    record = sample.consent(READ, resident=resident)
    await gateway.process.gateway.store.save_consent(record)
    await browser.get(own.SIGN_IN)
    cookie = next(each.value for each in browser.http.cookie_jar if each.key == "kakehashi-browser")
    await gateway.process.gateway.store.keep(Keep(items=(own.seen(digest(cookie), record.person),)))
    other = saml_sample(tmp_path / "other", browser.peers)
    shutil.copytree(sample.config / "lists", other.config / "lists", dirs_exist_ok=True)
    other.public_url = sample.public_url
    other.write("gateway.yaml", other.gateway())
    bearer = sample.bearer(resident=resident)
    async with here(other, store_url) as second:
        address = f"http://localhost:{other.port}/api/notes"
        assert second.process.gateway.store is not gateway.process.gateway.store
        assert (await called(browser, address, bearer))[0] == 502, "no refusal: there is no such service behind it"
        await withdrawn(browser, await browser.get(own.PAGE))
        assert await called(browser, sample.public_url + "/api/notes", bearer) == (401, "consent-withdrawn")
        deadline = asyncio.get_running_loop().time() + 10
        while (found := await called(browser, address, bearer)) != (401, "consent-withdrawn"):
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.05)


async def called(browser: Browser, address: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and code of a call's refusal."""
    async with browser.http.get(address, headers=headers) as answer:
        return answer.status, (await answer.json(content_type=None))["code"]


async def person_of(gateway: Here, browser: Browser) -> PersonRef:
    """Whose consents this browser sees."""
    cookie = next(each.value for each in browser.http.cookie_jar if each.key == "kakehashi-browser")
    kept = await gateway.process.gateway.store.read(own.SEEN, digest(cookie))
    assert kept is not None
    return own.person_of(kept)
