"""Services that collude cannot tell which of their accounts are one person's: shown with all they ever receive.

Eight residents sign in at a SAML service and at an OpenID service, in other orders, each with one browser, and vote in
two polls; nobody's name goes anywhere. Then any two logs are searched for pairs of accounts (`tests.corpus.linking`).
The same search finds everybody where services are set to get something in common, so it is good for something.

What the site that makes a call learns of that very call is left out: it knows when it called, and which answer it got.
"""

import base64
import contextlib
import hashlib
import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
import yaml

from federation.saml.identity_provider import SamlAttribute
from tests.corpus.linking import Log, pairs, texts
from trust_lists import etsi_json

from .gateway_sample import Here, Sample, here, signatory
from .saml_sample import COMMON, SYSTEMS, Browser, Page, Peers, saml_sample
from .upstream_sample import Connection, Upstream, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "secret-of-a-site"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VOTE = "polls.vote"

FACTS = [
    {"to": "adult", "from": ["dateOfBirth"], "transforms": [{"over": "18"}]},
    {"to": "age_group", "from": ["dateOfBirth"], "transforms": [{"age-band": "15,65"}]},
    {"to": "lives_here", "from": ["localGovernmentCode"], "transforms": [{"resident-of": "102032"}]},
]
"""All that services learn of a person."""

RESIDENTS = {
    # name for us alone → ID system, its name for the person, birth date, name
    "a": ("ebetsu", "E0000001", "1985-03-15", "髙橋 花子"),
    "b": ("ebetsu", "E0000002", "1985-03-16", "佐々木 一郎"),
    "c": ("ebetsu", "E0000003", "1949-08-01", "本間 ハナ"),
    "d": ("ebetsu", "E0000004", "1949-08-02", "小林 勇希"),
    "e": ("kiryu", "8e4f0001-71d5", "1990-12-01", "濵﨑 みどり"),
    "f": ("kiryu", "8e4f0002-71d5", "1990-12-02", "岩永 一"),
    "g": ("kiryu", "8e4f0003-71d5", "2015-07-08", "𠮷田 修"),
    "h": ("kiryu", "8e4f0004-71d5", "2015-07-09", "田村 さくら"),
}
"""Two of each age in each town: facts that are one person's alone would tell who it is, as they do anywhere."""

CODES = {"ebetsu": "012173", "kiryu": "102032"}
EVERYBODY = set(RESIDENTS)

SITES = ("site", "annex", "guestbook", "newsletter")
"""OpenID services: one that learns facts, one of the library's sector, and two that learn names."""

NAMED = [{"to": "full_name", "from": ["fullName"]}]

ORDERS = ("abcdefgh", "dcbahgfe", "hgfedcba", "badcfehg", "efghabcd")
"""Nobody is last in one of them and first in the next: no two sign-ins of a person share a moment."""


def site_list() -> bytes:
    """The signed list of the OpenID services."""
    by = signatory()
    return etsi_json.publish(
        [
            {
                "entity_id": f"https://{name}.example",
                "role": "openid-relying-party",
                "name": {"ja": name, "en": name},
                "metadata": {
                    "redirect_uris": [f"https://{name}.example/callback"],
                    "token_endpoint_auth_method": "client_secret_basic",
                },
            }
            for name in SITES
        ],
        name="region",
        key_pem=by.key,
        certificate_pem=by.certificate,
        issued_at=datetime.now(UTC),
        valid_until=datetime.now(UTC) + timedelta(days=1),
        sequence=1,
    )


def configured(sample: Sample) -> None:
    """Facts for all but those that are there to be linked."""
    sample.put_list(site_list())
    for name in SYSTEMS:
        _change(
            sample,
            f"id-systems/{name}.yaml",
            attributes=[
                {"to": "fullName", "from": ["name"]},
                {"to": "dateOfBirth", "from": ["birth"]},
                {"to": "localGovernmentCode", "from": ["code"]},
            ],
        )
    for name in ("portal", "library", *COMMON):
        _change(sample, f"services/{name}.yaml", attributes=FACTS, id_systems="all")
    for name in SITES:
        service = {
            **sample.service(name),
            "attributes": NAMED if name in ("guestbook", "newsletter") else FACTS,
            "scopes": [VOTE],
            "client_secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest(),
        }
        sample.write(f"services/{name}.yaml", service)
    for name in ("library", "annex"):
        _change(sample, f"services/{name}.yaml", municipality="102032", sector="kiryu-reading")
    routes = sample.routes(scopes=[{"name": VOTE, "label": {"ja": "投票", "en": "vote"}}])
    routes["routes"] = [
        {
            "path": "/api/polls/{poll}/votes",
            "methods": ["POST"],
            "service": "notes",
            "upstream_path": "/polls/{poll}/votes",
            "scope": VOTE,
            "members": "region",
            "subject": "context",
            "context": "poll-{poll}",
        },
        {
            "path": "/api/opinions",
            "methods": ["POST"],
            "service": "notes",
            "upstream_path": "/opinions",
            "scope": VOTE,
            "members": "region",
        },
    ]
    sample.write("routes.yaml", routes)


def _change(sample: Sample, name: str, **changes: Any) -> None:
    stated = yaml.safe_load((sample.config / name).read_text(encoding="utf-8"))
    sample.write(name, {**stated, **changes})


# --- a region in which everybody signed in everywhere


@dataclass
class Region:
    """Everybody's browser, and what every service received. `after` has what a site got of its calls' answers."""

    gateway: Here
    peers: Peers
    browsers: dict[str, Browser]
    voted: Upstream
    logs: dict[str, Log] = field(default_factory=dict)

    def log(self, service: str) -> Log:
        """That service's."""
        return self.logs.setdefault(service, Log())

    async def at_saml(self, resident: str, service: str, **said: Any) -> None:
        """Sign in at a SAML service; `said` is what else the ID system says."""
        browser = self.browsers[resident]
        asked = await browser.ask(service, request_id="_" + secrets.token_hex(16))
        page = await self.arrived(resident, asked, **said)
        self.log(service).keep(resident, *page.form)
        assert (await browser.signed_in(page, service=service)).name_id

    async def at_site(self, resident: str, site: str) -> str:
        """Sign in at an OpenID service; the access token."""
        browser, callback = self.browsers[resident], f"https://{site}.example/callback"
        asked = {
            "response_type": "code",
            "client_id": f"https://{site}.example",
            "redirect_uri": callback,
            "scope": f"openid adult age_group lives_here full_name {VOTE}",
            "state": secrets.token_urlsafe(),
            "nonce": secrets.token_urlsafe(),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        page = await self.arrived(resident, await browser.get("/oidc/authorize?" + urlencode(asked)))
        assert page.location.startswith(callback), page
        code = parse_qs(urlsplit(page.location).query)["code"][0]
        client = base64.b64encode(f"https%3A%2F%2F{site}.example:{SECRET}".encode()).decode()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": VERIFIER}
        tokens = await self._asked(
            "POST", "/oidc/token", site, resident, data=form, headers={"Authorization": f"Basic {client}"}
        )
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        await self._asked("GET", "/oidc/userinfo", site, resident, headers=bearer)
        self.log(site).keep(resident, page.location)
        return str(tokens["access_token"])

    async def vote(self, resident: str, token: str, path: str) -> None:
        """Call the shared service by the gateway; what it receives goes to the log of that path."""
        before = len(self.voted.calls)
        url = self.gateway.url + "/api" + path
        async with aiohttp.ClientSession() as http:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.post(url, json={"option": "yes"}, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
        (call,) = self.voted.calls[before:]
        self.log(path).keep(resident, call.request_line, call.headers)

    async def arrived(self, resident: str, page: Page, **said: Any) -> Page:
        """By way of choice, ID system and consent, as far as the answer to the service."""
        system, subject, birth, name = RESIDENTS[resident]
        browser = self.browsers[resident]
        known = {"name": name, "birth": birth, "code": CODES[system]}
        back = await browser.arrive(
            system,
            await browser.choose(page, system),
            name_id=subject,
            attributes=tuple(SamlAttribute(name=each, values=(value,)) for each, value in known.items()),
            **said,
        )
        return await browser.agree(back) if back.location.endswith("/consent") else back

    async def _asked(self, method: str, path: str, site: str, resident: str, **options: Any) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, self.gateway.url + path, **options) as answer,
        ):
            told = await answer.json()
            assert answer.status == 200, told
            self.log(site).keep(resident, told, list(answer.headers.items()))
            return dict(told)


POLLS = ("/polls/17/votes", "/polls/18/votes")
OPINIONS = "/opinions"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def region(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """Everybody has signed in everywhere and voted in both polls."""
    peers = Peers()
    async with contextlib.AsyncExitStack() as stack:
        voted = await stack.enter_async_context(upstream())
        voted.behave = _thanks
        sample = saml_sample(tmp_path_factory.mktemp("colluding"), peers)
        sample.upstream = voted.url
        configured(sample)
        gateway = await stack.enter_async_context(here(sample, store_url))
        browsers = {}
        for resident in RESIDENTS:
            jar = aiohttp.CookieJar(unsafe=True)
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
            browsers[resident] = Browser(gateway=gateway, peers=peers, http=http)
        found = Region(gateway=gateway, peers=peers, browsers=browsers, voted=voted)
        orders = itertools.cycle(ORDERS)
        for resident in next(orders):
            await found.at_saml(resident, "portal")
        tokens = {resident: await found.at_site(resident, "site") for resident in next(orders)}
        for path in (*POLLS, OPINIONS):
            for resident in next(orders):
                await found.vote(resident, tokens[resident], path)
        yield found


async def _thanks(connection: Connection) -> None:
    await connection.body()
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")


def given_away(one: Log, other: Log) -> dict[str, str]:
    """Whom two logs give away, and by what: the pairs that are right."""
    assert one.received.keys() == other.received.keys() == EVERYBODY
    return {here: text for (here, there), text in pairs(one, other).items() if here == there}


LOGS = ("portal", "site", *POLLS, OPINIONS)


# --- nobody is found


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(LOGS, 2)))
async def test_two_logs_give_nobody_away(region: Region, one: str, other: str) -> None:
    """A SAML service, an OpenID service, two polls, and the polls' own users: no value in common is one person's."""
    assert given_away(region.log(one), region.log(other)) == {}


@pytest.mark.parametrize("service", LOGS)
async def test_a_service_gets_facts_and_nothing_that_they_follow_from(region: Region, service: str) -> None:
    """No name, birth date, or name that the ID system has for the person, in whatever wrapping."""
    said = {text for text, _ in texts(list(region.log(service).received.values()))}
    for _, subject, birth, name in RESIDENTS.values():
        assert not any(secret in text for secret in (subject, birth, name) for text in said)


async def test_a_service_knows_its_people_again(region: Region) -> None:
    """Whoever comes back is told from the others: the search finds that two of its sign-ins are of one person."""
    again = Region(gateway=region.gateway, peers=region.peers, browsers=region.browsers, voted=region.voted)
    for resident in ORDERS[1]:
        await again.at_saml(resident, "portal")
    assert given_away(region.log("portal"), again.log("portal")).keys() == EVERYBODY


# --- and where services get something in common, the same search finds everybody


async def test_an_identifier_in_common_gives_everybody_away(region: Region) -> None:
    """SAML's subject-id, at two services that are configured to get it."""
    for service, order in zip(COMMON, ORDERS, strict=False):
        for resident in order:
            await region.at_saml(resident, service)
    found = given_away(*(region.log(service) for service in COMMON))
    assert found.keys() == EVERYBODY


async def test_a_sector_in_common_gives_everybody_away(region: Region) -> None:
    """A SAML and an OpenID service of one municipality that share a sector know people by one identifier."""
    for resident in ORDERS[0]:
        await region.at_saml(resident, "library")
    for resident in ORDERS[1]:
        await region.at_site(resident, "annex")
    assert given_away(region.log("library"), region.log("annex")).keys() == EVERYBODY


async def test_names_give_everybody_away(region: Region) -> None:
    """Two services that learn names need no identifier."""
    for site, order in zip(("guestbook", "newsletter"), ORDERS, strict=False):
        for resident in order:
            await region.at_site(resident, site)
    one, other = region.log("guestbook"), region.log("newsletter")
    assert given_away(one, other).keys() == EVERYBODY
    for _, _, _, name in RESIDENTS.values():
        assert len(one.owners()[name]) == len(other.owners()[name]) == 1


# --- a sign-in that serves two services


async def test_a_sign_in_that_serves_two_services_gives_nobody_away(region: Region) -> None:
    """An ID system that keeps a session of its own states one moment for both, and one end; both are told the hour.

    The services that the tests above compare each had the person sign in anew.
    """
    shared = Region(gateway=region.gateway, peers=region.peers, browsers=region.browsers, voted=region.voted)
    begun = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=30)
    for service, order in zip(("portal", "library"), ORDERS, strict=False):
        for resident in order:
            moment = begun + timedelta(seconds=7 * ORDERS[0].index(resident))
            await shared.at_saml(
                resident, service, authn_instant=moment, session_until=moment + timedelta(hours=3, minutes=5)
            )
    assert given_away(shared.log("portal"), shared.log("library")) == {}


async def test_what_remains_is_a_sign_in_that_two_logins_wait_for(region: Region) -> None:
    """Whoever begins at two services and then signs in once for both: the moment is new to both, and told as it is."""
    shared = Region(gateway=region.gateway, peers=region.peers, browsers=region.browsers, voted=region.voted)
    # ID systems whose clocks are ahead: no message is made at the second that another one's sign-in is said to be of.
    ahead = datetime.now(UTC) + timedelta(minutes=2)
    for offset, resident in enumerate(ORDERS[0]):
        browser = region.browsers[resident]
        asked = [
            await browser.ask(service, request_id="_" + secrets.token_hex(16)) for service in ("portal", "library")
        ]
        moment = ahead + timedelta(seconds=5 * offset)
        for service, page in zip(("portal", "library"), asked, strict=True):
            answered = await shared.arrived(resident, page, authn_instant=moment)
            shared.log(service).keep(resident, *answered.form)
    found = given_away(shared.log("portal"), shared.log("library"))
    assert found.keys() == EVERYBODY
    assert {len(text) for text in found.values()} == {len("2026-11-22T09:00:00Z")}


# --- what a poll is for


async def test_each_person_has_one_voice_in_each_poll(region: Region) -> None:
    """Whoever votes a second time is known again in that poll; everybody has a voice of their own."""
    token = await region.at_site("c", "site")
    again = Region(gateway=region.gateway, peers=region.peers, browsers=region.browsers, voted=region.voted)
    await again.vote("c", token, POLLS[0])
    found = pairs(region.log(POLLS[0]), again.log(POLLS[0]))
    assert max(found, key=lambda pair: len(found[pair])) == ("c", "c")
