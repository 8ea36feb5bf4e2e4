"""Sessions end without a browser: services on real sockets hear of it, whatever other services do meanwhile."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import yaml
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet
from lxml import etree
from saml2 import samlp

from federation.identifiers import PersonRef
from federation.refusal import TokenInvalid
from federation.saml import logout, soap
from federation.saml.messages import write, written
from federation.sessions import Client, Party, Session, Side
from federation.web import Redirect
from gateway import ending
from gateway.ending import Ending
from gateway.fetching import Fetcher
from gateway.listeners import bind
from gateway.store import connect
from observability.events import EndingEvent, EndReason, LogoutEvent
from trust_lists import etsi_json, saml_metadata
from trust_lists.model import NotTrustedError, Role
from trust_lists.saml_entities import MD
from trust_lists.trusted_set import TrustedSet

from .gateway_sample import AUTHORIZE, CALLBACK, Here, Sample, here, signatory
from .saml_sample import SYSTEMS, Browser, Peers, now, saml_sample, signer

SECRET = "the site's secret"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SITES = ("site", "hostile")


# --- services with ears


@dataclass
class Ears:
    """A server that stands for every service; `manner` of answering by path, "good" where none is set."""

    base: str = ""
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    manner: dict[str, str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def at(self, path: str) -> list[bytes]:
        """What came to a path."""
        return [body for where, body in self.heard if where == path]

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Take a notice."""
        body = await request.read()
        self.heard.append((request.path, body))
        manner = self.manner.get(request.path, "good")
        if manner == "hangs":
            await asyncio.sleep(60)
        if manner == "redirects":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if manner == "fails" or (manner == "fails once" and len(self.at(request.path)) == 1):
            return web.Response(status=500)
        if manner == "waits":
            await self.go.wait()
        if manner == "never ends":
            return await self._without_end(request)
        if request.path.startswith("/soap/"):
            return web.Response(body=_soap_answer(body, request.path.rpartition("/")[2]), content_type="text/xml")
        return web.Response()

    async def _without_end(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(32 * 1024):  # 2 GiB
            await response.write(bytes(64 * 1024))
            self.sent[request.path] = self.sent.get(request.path, 0) + 64 * 1024
        return response


def _soap_answer(body: bytes, service: str) -> bytes:
    (asked,) = etree.fromstring(body).find(f"{{{ENVELOPE}}}Body")
    answer = samlp.LogoutResponse(
        id="_answer",
        version="2.0",
        issue_instant=written(now()),
        in_response_to=asked.get("ID"),
        issuer=samlp.saml.Issuer(text=f"https://{service}.example/saml"),
        status=logout.success(partial=False),
    )
    signed = signer(service).sign_message(write(answer), "_answer").decode()
    return f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body>{signed}</e:Body></e:Envelope>'.encode()


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    """The server."""
    found = Ears()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    sockets = bind("localhost", 0)
    for each in sockets:
        await web.SockSite(runner, each).start()
    found.base = f"http://localhost:{sockets[0].getsockname()[1]}"
    yield found
    await runner.cleanup()


# --- a region with them


def openid_list(ears: Ears, sequence: int = 1, *, without: str = "") -> bytes:
    """The list of the OpenID services, with their addresses for notices; `without` was taken off."""
    members = [
        {
            "entity_id": f"https://{name}.example",
            "role": "openid-relying-party",
            "name": {"ja": name, "en": name},
            "metadata": {
                "redirect_uris": [CALLBACK if name == "site" else f"https://{name}.example/callback"],
                "token_endpoint_auth_method": "client_secret_basic",
                "backchannel_logout_uri": f"{ears.base}/out/{name}",
                "backchannel_logout_session_required": True,
            },
        }
        for name in SITES
        if name != without
    ]
    by = signatory()
    return etsi_json.publish(
        members,
        name="region",
        key_pem=by.key,
        certificate_pem=by.certificate,
        issued_at=datetime.now(UTC),
        valid_until=datetime.now(UTC) + timedelta(days=1),
        sequence=sequence,
    )


def saml_list(
    peers: Peers, ears: Ears, *, without: str = "", end: timedelta = timedelta(days=1), age: timedelta = timedelta()
) -> bytes:
    """The SAML members; `portal` takes notices by SOAP, the others none. `without` was taken off."""
    documents = []
    for peer in (*peers.systems.values(), *peers.services.values()):
        if without and without in peer.entity_id:
            continue
        document = etree.fromstring(peer.metadata(now=now()))
        if peer is peers.services["portal"]:
            role = document.find(f"{{{MD}}}SPSSODescriptor")
            address = etree.Element(
                f"{{{MD}}}SingleLogoutService", Binding=soap.SOAP, Location=f"{ears.base}/soap/portal"
            )
            role.insert(len(role.findall(f"{{{MD}}}KeyDescriptor")), address)
        documents.append(etree.tostring(document))
    return saml_metadata.publish(
        documents,
        name="region-saml",
        signer=signer(),
        issued_at=now() - age,
        valid_until=now() + end,
        municipalities={
            peers.systems[name].entity_id: code
            for name, code in SYSTEMS.items()
            if not without or without not in peers.systems[name].entity_id
        },
    )


@dataclass
class Region:
    """A gateway in this process, and everybody around it."""

    gateway: Here
    peers: Peers
    ears: Ears
    sample: Sample

    def put(self, document: bytes) -> None:
        """Publish the list of SAML members anew."""
        path = self.sample.config / "lists" / "region-saml.xml"
        path.with_name("new").write_bytes(document)
        path.with_name("new").replace(path)

    @property
    def ending(self) -> Ending:
        return self.gateway.process.gateway.ending

    @property
    def store(self) -> Any:
        return self.gateway.process.gateway.store

    def counted(self, service: str) -> tuple[int, int, int]:
        """Of a service's sessions: how many ended, were told, were not."""
        events = [each for each in self.gateway.heard.of(EndingEvent) if each.service == service]
        return (sum(e.ended for e in events), sum(e.told for e in events), sum(e.untold for e in events))


Open = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, store_url: str, ears: Ears) -> Open:
    """How a region is opened."""

    @asynccontextmanager
    async def region(**options: Any) -> AsyncIterator[Region]:
        peers = Peers()
        sample = saml_sample(tmp_path, peers)
        sample.put_list(openid_list(ears))
        (sample.config / "lists" / "region-saml.xml").write_bytes(saml_list(peers, ears, age=timedelta(minutes=1)))
        for name in SITES:
            service = {**sample.service(name), "client_secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest()}
            sample.write(f"services/{name}.yaml", service)
        url = store_url + "?db=5"
        async with connect(url) as store:  # the keys, and so the names of what is remembered, are those of other tests
            await store.flushdb()
        async with here(sample, url, **options) as gateway:
            yield Region(gateway=gateway, peers=peers, ears=ears, sample=sample)

    return region


async def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `true` answers as soon as it is true."""
    async with asyncio.timeout(seconds):
        while not (found := true()):  # noqa: ASYNC110 - what changes it is on the other side of a socket
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def somebody(region: Region) -> AsyncIterator[Browser]:
    """Somebody's browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Browser(gateway=region.gateway, peers=region.peers, http=http)


async def at_portal(browser: Browser, system: str = "ebetsu", person: str = "hanako") -> Any:
    """Sign in at the SAML service `portal`."""
    return await at_saml(browser, "portal", system, person)


async def at_saml(browser: Browser, service: str, system: str = "ebetsu", person: str = "hanako") -> Any:
    """Sign in at a SAML service."""
    there = await browser.choose(await browser.ask(service), system)
    back = await browser.arrive(system, there, name_id=person)
    if back.location:
        back = await browser.agree(back)
    return await browser.signed_in(back, service=service)


async def at_site(browser: Browser, person: str = "hanako") -> dict[str, Any]:
    """Sign in at the OpenID service `site`; its tokens, the ID token opened."""
    code = await code_for_site(browser, person)
    status, tokens = await exchanged(browser, code)
    assert status == 200, tokens
    async with browser.http.get(browser.gateway.url + "/oidc/jwks") as answer:
        keys = KeySet.import_key_set(await answer.json())
    return {**tokens, "keys": keys, "claims": jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims}


async def code_for_site(browser: Browser, person: str = "hanako") -> str:
    """Sign in as far as the code."""
    there = await browser.choose(await browser.get(AUTHORIZE), "ebetsu")
    back = await browser.arrive("ebetsu", there, name_id=person)
    if not back.location.startswith(CALLBACK):
        back = await browser.agree(back)
    return parse_qs(urlsplit(back.location).query)["code"][0]


async def exchanged(browser: Browser, code: str) -> tuple[int, dict[str, Any]]:
    """What the token endpoint answers."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    text = f"https%3A%2F%2Fsite.example:{SECRET.replace(' ', '+').replace(chr(39), '%27')}"
    headers = {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
    async with browser.http.post(browser.gateway.url + "/oidc/token", data=fields, headers=headers) as answer:
        return answer.status, await answer.json()


async def userinfo(browser: Browser, access_token: str) -> int:
    """The status of userinfo's answer."""
    headers = {"Authorization": f"Bearer {access_token}"}
    async with browser.http.get(browser.gateway.url + "/oidc/userinfo", headers=headers) as answer:
        return answer.status


# --- trust is withdrawn


async def test_a_new_list_ends_live_sessions_at_the_services(opened: Open, ears: Ears) -> None:
    """The ID system is on it no more: by itself the gateway tells the OpenID client, and the SAML service by SOAP."""
    async with opened(refreshes=True) as region, somebody(region) as browser, somebody(region) as other:
        assertion, tokens = await at_portal(browser), await at_site(browser)
        await at_portal(other, "ebetsu2", "taro")
        assert await userinfo(browser, tokens["access_token"]) == 200

        region.put(saml_list(region.peers, ears, without="ebetsu.example"))

        await until(lambda: ears.at("/out/site") and ears.at("/soap/portal"))
        token = jwt.decode(parse_qs(ears.at("/out/site")[0].decode())["logout_token"][0], tokens["keys"])
        assert token.header["typ"] == "logout+jwt"
        assert (token.claims["sub"], token.claims["sid"]) == (tokens["claims"]["sub"], tokens["claims"]["sid"])
        (asked,) = etree.fromstring(ears.at("/soap/portal")[0]).find(f"{{{ENVELOPE}}}Body")
        said = samlp.logout_request_from_string(etree.tostring(asked).decode())
        assert said.name_id.text == assertion.name_id.value
        assert [index.text for index in said.session_index] == [assertion.session_index]
        await until(lambda: region.counted("site") == region.counted("portal") == (1, 1, 0))
        assert await userinfo(browser, tokens["access_token"]) == 401
        assert await region.ending.sweep() == 0, "the other ID system's go on"
        assert len(ears.heard) == 2


async def swept(region: Region) -> int:
    """One look of the sweeper."""
    return await region.ending.sweep()


async def test_what_counts_goes_on(opened: Open, ears: Ears) -> None:
    """Nothing has changed: nobody is told of anything."""
    async with opened() as region, somebody(region) as browser:
        await at_portal(browser)
        assert await swept(region) == 0
        assert ears.heard == []


async def test_a_list_that_runs_out_ends_sessions(opened: Open, ears: Ears) -> None:
    """No newer one comes: the moment of its end is enough."""
    async with opened() as region, somebody(region) as browser:
        await at_site(browser)
        region.put(saml_list(region.peers, ears, end=timedelta(seconds=4)))
        trust = region.gateway.process.gateway.region.trust
        await until(lambda: not counts(trust))
        assert await swept(region) == 1
        assert len(ears.at("/out/site")) == 1


def counts(trust: TrustedSet) -> bool:
    """Whether anybody vouches for Ebetsu now."""
    try:
        trust.find("https://ebetsu.example/saml", Role.SAML_IDENTITY_PROVIDER, now())
    except NotTrustedError:
        return False
    return True


async def test_what_the_configuration_takes_back_ends(opened: Open) -> None:
    """Whoever left the configuration, or is not accepted by the service any more, vouches for nobody there."""
    async with opened() as region, somebody(region) as browser:
        await at_portal(browser)
        (basis,) = [each for each in await region.store.bases(now()) if each.service == "portal"]
        current = region.gateway.process.gateway.region
        assert ending.stands(current, basis, now(), settled=True)
        assert not ending.stands(current, basis._replace(system="gone"), now(), settled=False)
        assert not ending.stands(current, basis._replace(service="gone"), now(), settled=False)
        assert not ending.stands(current, basis._replace(service="library", system="kiryu"), now(), settled=True)


async def test_a_list_that_was_not_read_yet_ends_nothing(opened: Open) -> None:
    """A gateway that starts without one of its lists knows nothing against anybody; a withdrawal is another thing."""
    async with opened() as region, somebody(region) as browser:
        await at_portal(browser)
        (basis,) = [each for each in await region.store.bases(now()) if each.service == "portal"]
        unlisted = basis._replace(system="omura")  # configured, and on no list
        current = region.gateway.process.gateway.region
        assert ending.stands(current, unlisted, now(), settled=False)
        assert not ending.stands(current, unlisted, now(), settled=True)
        assert region.gateway.process.gateway.holder.settled


# --- asked to


async def test_a_person_is_signed_out_everywhere(opened: Open, ears: Ears) -> None:
    """All of one person's sessions, nobody else's; a code that is not used yet brings nothing."""
    async with opened() as region, somebody(region) as browser, somebody(region) as other:
        await at_portal(browser)
        code = await code_for_site(browser)
        await at_portal(other, person="taro")
        (mine,) = {each.person for each in await sessions_of(region) if each.service == "site"}

        assert await region.ending.end_person(mine, EndReason.UNTRUSTED) == 2

        assert len(ears.at("/out/site")) == len(ears.at("/soap/portal")) == 1
        assert (await exchanged(browser, code))[0] == 400
        assert [each.service for each in await sessions_of(region)] == ["portal"]
        assert await region.ending.end_system("ebetsu", EndReason.UNTRUSTED) == 1
        assert await region.ending.end_system("ebetsu", EndReason.UNTRUSTED) == 0
        assert len(ears.at("/soap/portal")) == 2


async def test_a_logout_tells_those_whom_no_browser_can(opened: Open, ears: Ears) -> None:
    """The SAML service asks; the OpenID service hears of it at once, and whoever asked does not hear itself."""
    async with opened() as region, somebody(region) as browser:
        assertion, tokens = await at_portal(browser), await at_site(browser)
        assert assertion.name_id is not None
        hub = await browser.entity("/saml")
        party = Party(
            side=Side.SERVICE,
            id="portal",
            own_entity="https://portal.example/saml",
            entity_id=hub.entity_id,
            name=assertion.name_id,
            indexes=(assertion.session_index or "",),
        )
        address = logout.endpoint(hub, Role.SAML_IDENTITY_PROVIDER)
        assert address is not None
        asked = logout.request(party, address, request_id="_asked", signer=signer("portal"), now=now())
        assert isinstance(asked, Redirect)

        page = await browser.get(asked.location)

        assert page.status == 200, "no address for the answer: the person reads how it ended"
        assert len(ears.at("/out/site")) == 1
        assert ears.at("/soap/portal") == []
        (event,) = region.gateway.heard.of(LogoutEvent)
        assert (event.told, event.untold) == (1, 1), "the ID system takes no logout messages"
        assert await sessions_of(region) == []
        assert await userinfo(browser, tokens["access_token"]) == 401


async def sessions_of(region: Region) -> list[Session]:
    """Everything that is remembered."""
    store = region.store
    return [each for basis in await store.bases(now()) for each in await store.resting_on(basis, now(), most=100)]


async def test_a_service_without_an_address_is_counted_as_untold(opened: Open, ears: Ears) -> None:
    """Nobody can tell it; its session is forgotten here all the same, and bounded there."""
    async with opened() as region, somebody(region) as browser:
        assertion = await at_saml(browser, "library")
        assert assertion.session_until is not None
        assert timedelta(hours=11) < assertion.session_until - now() <= timedelta(hours=12)
        assert await region.ending.end_system("ebetsu", EndReason.UNTRUSTED) == 1
        assert region.counted("library") == (1, 0, 1)
        assert await sessions_of(region) == []
        assert ears.heard == []


# --- services that disturb


def notices_to(name: str, count: int) -> list[Session]:
    """Sessions of several people at an OpenID service."""
    return [
        Session(
            id=f"{name}-{number}",
            person=PersonRef(f"{name}-person-{number}"),
            browser="b",
            system="ebetsu",
            service=name,
            upstream=None,
            participant=None,
            until=now() + timedelta(hours=1),
            client=Client(client_id=f"https://{name}.example", subject=f"s-{number}", token=f"t-{name}-{number}"),
        )
        for number in range(count)
    ]


@asynccontextmanager
async def patient(
    region: Region, *pauses: float, patience: float = 0.0, clock: Callable[[], datetime] = now
) -> AsyncIterator[Ending]:
    """One whose next tries come soon."""
    gateway, fetcher = region.gateway.process.gateway, Fetcher(connections=64)
    found = Ending(
        holder=gateway.holder,
        store=gateway.store,
        revocations=gateway.revocations,
        outward=gateway.outward,
        fetcher=fetcher,
        signer=gateway.keys.saml,
        recorder=gateway.recorder,
        clock=clock,
        pauses=pauses,
        patience=patience,
    )
    yield found
    await found.close()
    await fetcher.close()


@pytest.mark.parametrize("manner", ["hangs", "redirects", "fails", "never ends"])
async def test_a_hostile_service_holds_nobody_up(opened: Open, ears: Ears, manner: str) -> None:
    """The others hear at once; it is asked again a few times, and then counted as not told."""
    ears.manner["/out/hostile"] = manner
    async with opened() as region, patient(region, 0.0, 0.0) as patiently:
        both = [*notices_to("hostile", 3), *notices_to("site", 40)]
        told = asyncio.create_task(patiently.tell(both, EndReason.UNTRUSTED))
        await until(lambda: region.counted("site") == (0, 40, 0))
        assert manner != "hangs" or not told.done()
        found = await told
        assert {each for each in found.confirmed if "hostile" in each} == set()
        assert len(found.unconfirmed) == 3
        await until(lambda: region.counted("hostile") == (0, 0, 3))
        assert len(ears.at("/out/hostile")) == 9, "three tries for each"
        assert ears.at("/elsewhere") == []
        assert ears.sent.get("/out/hostile", 0) < 256 * 1024 * 1024, "of 18 GiB"


async def test_what_fails_once_is_told_at_the_next_try(opened: Open, ears: Ears) -> None:
    """A service that is just starting again hears of it."""
    ears.manner["/out/site"] = "fails once"
    async with opened() as region, patient(region, 0.0, 0.0) as patiently:
        found = await patiently.tell(notices_to("site", 1), EndReason.UNTRUSTED)
        assert found.unconfirmed == {"site-0"}
        await until(lambda: region.counted("site") == (0, 1, 0))
        tokens = [parse_qs(body.decode())["logout_token"][0] for body in ears.at("/out/site")]
        assert len(set(tokens)) == 2, "each try has a token of its own"


async def test_a_service_that_is_gone_is_not_asked_for_every_session(opened: Open, ears: Ears) -> None:
    """After some failures in a row the rest counts as failed, too."""
    ears.manner["/out/site"] = "fails"
    async with opened() as region, patient(region) as patiently:
        found = await patiently.tell(notices_to("site", 200), EndReason.UNTRUSTED)
        assert len(found.unconfirmed) == 200
        assert ending.HOPELESS <= len(ears.at("/out/site")) < ending.HOPELESS + ending.AT_ONCE
        await until(lambda: region.counted("site") == (0, 0, 200))


async def test_what_waits_for_another_try_is_counted_at_the_end(opened: Open, ears: Ears) -> None:
    """A gateway that stops says whom it has not told."""
    ears.manner["/out/site"] = "fails"
    async with opened() as region:
        async with patient(region, 3600.0) as patiently:
            await patiently.tell(notices_to("site", 2), EndReason.UNTRUSTED)
            await asyncio.sleep(0)
            assert region.counted("site") == (0, 0, 0)
        assert region.counted("site") == (0, 0, 2)


async def remembered(region: Region, service: str, count: int) -> None:
    """So many sessions of as many people at a service, by an ID system that nobody vouches for any more."""
    for each in notices_to(service, count):
        await region.store.remember(replace(each, system="gone"), now())


async def test_a_slow_service_holds_up_no_end(opened: Open, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers each notice at the last moment: its sessions are forgotten at once, and the next look is free."""
    monkeypatch.setattr(ending, "ANSWER_SECONDS", 60.0)
    ears.manner["/out/hostile"] = "waits"
    async with opened() as region, patient(region) as patiently:
        await remembered(region, "hostile", 150)

        assert await patiently.sweep() == 150

        assert await sessions_of(region) == []
        assert len(ears.at("/out/hostile")) <= ending.AT_ONCE
        await remembered(region, "site", 30)
        assert await patiently.sweep() == 30, "a later end does not wait for it"
        await until(lambda: region.counted("site") == (30, 30, 0))
        ears.go.set()
        await until(lambda: region.counted("hostile") == (150, 150, 0))


async def test_what_waits_for_its_turn_is_counted_at_the_end(opened: Open, ears: Ears) -> None:
    """A gateway that stops while a service is slow says of how many it has not told it."""
    ears.manner["/out/hostile"] = "waits"
    async with opened() as region:
        async with patient(region) as patiently:
            await remembered(region, "hostile", 40)
            await patiently.sweep()
        assert region.counted("hostile") == (40, 0, 40)


async def test_what_is_beyond_the_queue_is_counted_at_once(
    opened: Open, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many end at a slow service, no more than so many wait for it."""
    monkeypatch.setattr(ending, "MOST_QUEUED", 10)
    ears.manner["/out/hostile"] = "waits"
    async with opened() as region, patient(region) as patiently:
        await remembered(region, "hostile", 40)
        assert await patiently.sweep() == 40
        assert region.counted("hostile") == (40, 0, 30)


async def test_one_of_two_nodes_looks(opened: Open, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one ends sessions and waits for a service the other does nothing; when it is done the other may."""
    monkeypatch.setattr(ending, "ANSWER_SECONDS", 60.0)
    ears.manner["/out/hostile"] = "waits"
    async with opened() as region, patient(region, patience=60.0) as one, patient(region) as other:
        await remembered(region, "hostile", 1)
        looking = asyncio.create_task(one.sweep())
        await until(lambda: ears.at("/out/hostile"))
        await remembered(region, "site", 1)

        assert await other.sweep() == 0

        ears.go.set()
        assert await looking == 1
        assert await other.sweep() == 1
        await until(lambda: ears.at("/out/site"))
        assert len(ears.at("/out/hostile")) == len(ears.at("/out/site")) == 1


async def test_a_list_that_never_comes_holds_up_ends_only_for_a_while(opened: Open, ears: Ears) -> None:
    """A source, or a list that others point to, which nobody can read must not keep sessions of others alive."""
    later = timedelta()
    async with (
        opened() as region,
        patient(region, clock=lambda: now() + later) as patiently,
        somebody(region) as browser,
    ):
        await at_site(browser)
        trust = yaml.safe_load((region.sample.config / "trust.yaml").read_text())
        trust["sources"].append({**trust["sources"][0], "name": "never", "file": "lists/never.jwt"})
        region.sample.write("trust.yaml", trust)
        region.put(saml_list(region.peers, ears, without="ebetsu.example"))
        gateway = region.gateway.process.gateway
        await until(lambda: not gateway.holder.settled and not counts(gateway.region.trust))

        assert await patiently.sweep() == 0
        later = ending.UNREAD - timedelta(minutes=2)
        assert await patiently.sweep() == 0
        later = ending.UNREAD + timedelta(seconds=1)
        assert await patiently.sweep() == 1


async def called(browser: Browser, access_token: str) -> tuple[int, str]:
    """What the answer to a call is: its status, and the code of the refusal."""
    headers = {"Authorization": f"Bearer {access_token}"}
    async with browser.http.get(browser.gateway.url + "/api/notes", headers=headers) as answer:
        return answer.status, (await answer.json(content_type="application/problem+json"))["code"]


async def test_calls_end_with_the_session(opened: Open) -> None:
    """Of whoever is signed out the tokens for calls end at once; a code that comes twice ends them, too."""
    async with opened() as region, somebody(region) as browser, somebody(region) as other:
        mine, theirs = await at_site(browser), await at_site(other, "taro")
        before = await called(browser, mine["access_token"])
        assert before == (403, "scope-missing")
        (person,) = {
            each.person
            for each in await sessions_of(region)
            if each.client is not None and each.client.subject == mine["claims"]["sub"]
        }

        await region.ending.end_person(person, EndReason.UNTRUSTED)

        assert await called(browser, mine["access_token"]) == (401, "token-invalid")
        assert await called(browser, theirs["access_token"]) == before, "nobody else's"
        code = await code_for_site(other, "taro")
        _, tokens = await exchanged(other, code)
        assert await called(browser, tokens["access_token"]) == before
        assert (await exchanged(other, code))[0] == 400
        assert await called(browser, tokens["access_token"]) == (401, "token-invalid")


async def test_a_service_that_is_a_member_no_more_is_told_nothing_more(opened: Open, ears: Ears) -> None:
    """Its list is in force at once for the tokens that it has: for userinfo and for calls; not for ever."""
    async with opened() as region, somebody(region) as browser:
        tokens = await at_site(browser)
        trust = region.gateway.process.gateway.region.trust

        def listed() -> bool:
            try:
                trust.find("https://site.example", Role.OPENID_RELYING_PARTY, now())
            except NotTrustedError:
                return False
            return True

        region.sample.put_list(openid_list(ears, 2, without="site"))
        await until(lambda: not listed())
        assert await userinfo(browser, tokens["access_token"]) == 401
        assert await called(browser, tokens["access_token"]) == (401, "token-invalid")

        region.sample.put_list(openid_list(ears, 3))
        await until(listed)
        assert await userinfo(browser, tokens["access_token"]) == 200


async def test_sessions_that_are_remembered_no_more_open_nothing_either(opened: Open) -> None:
    """Whoever signs in very often pushes old sessions out; the tokens of these end with the person's."""
    async with opened() as region, somebody(region) as browser:
        tokens = await at_site(browser)
        (session,) = await sessions_of(region)
        await region.store.end([session])
        assert await userinfo(browser, tokens["access_token"]) == 200

        assert await region.ending.end_person(session.person, EndReason.UNTRUSTED) == 0

        assert await userinfo(browser, tokens["access_token"]) == 401
        assert await called(browser, tokens["access_token"]) == (401, "token-invalid")


async def test_an_address_of_a_private_network_is_not_asked(opened: Open) -> None:
    """A list entry cannot make the gateway knock at doors behind its own."""
    async with opened() as region:
        fetcher = Fetcher()
        try:
            for url in ("https://10.0.0.1/out", "https://169.254.169.254/out", "http://example.com/out"):
                with pytest.raises(ending.FetchRefusedError):
                    await fetcher.post(url, body=b"", headers={}, limit=1, beyond=region.gateway.url)
            with pytest.raises(ending.FetchRefusedError, match="public"):
                await fetcher.post(
                    "http://localhost/out", body=b"", headers={}, limit=1, beyond="https://gateway.example"
                )
        finally:
            await fetcher.close()


async def test_nothing_of_a_person_is_said(opened: Open, ears: Ears) -> None:
    """Events hold counts and configured names."""
    async with opened() as region, somebody(region) as browser:
        await at_site(browser)
        await region.ending.end_system("ebetsu", EndReason.UNTRUSTED)
        said = json.dumps([str(event) for event in region.gateway.heard.of(EndingEvent)])
        assert "hanako" not in said
        with pytest.raises(TokenInvalid):
            region.gateway.process.gateway.region.openid_provider.verify_access_token("x", now())
        assert len(ears.at("/out/site")) == 1
