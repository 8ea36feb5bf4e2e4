"""Two services that collude: they put side by side everything they were ever sent, and try to find who is who.

A link is a value (of any element, attribute or claim, decoded where it is encoded) that both have, each of one person
only, and of the same person. Services that learn facts alone find none; with an identifier that several services get,
they find everybody, so the search itself is good for something.
"""

import base64
import binascii
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio
import yaml
from lxml import etree

from federation.access import ApiService, Caller, assertion_claims
from federation.identifiers import IdentifierKeys, Identifiers
from federation.model import Assurance, Level
from federation.routes import Route, RouteTable, Subject
from federation.saml.identity_provider import SamlAttribute

from .gateway_sample import Here, here
from .saml_sample import COMMON, Browser, Page, Peers, saml_sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEOPLE = tuple(f"resident-{n}" for n in range(1, 7))
BIRTHS = ("1985-03-15", "1949-08-01", "2015-05-05", "2001-12-31", "1985-03-15", "1970-01-01")
SHORTEST = 8
"""Characters of a value that could be one person's."""

Log = list[tuple[str, frozenset[str]]]
"""Whose sign-in it was, which the services do not know, and every value that came with it."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Peers]]:
    """A gateway whose services learn facts, no names; two of them get an identifier in common, all the same."""
    peers = Peers()
    sample = saml_sample(tmp_path_factory.mktemp("unlinkable"), peers)
    rewritten = sample.config / "id-systems" / "kiryu.yaml"
    system = yaml.safe_load(rewritten.read_text(encoding="utf-8"))
    sample.write("id-systems/kiryu.yaml", {**system, "attributes": [{"to": "dateOfBirth", "from": ["birth"]}]})
    for name in ("portal", "library", *COMMON):
        service = yaml.safe_load((sample.config / "services" / f"{name}.yaml").read_text(encoding="utf-8"))
        facts = [
            {"to": "adult", "from": ["dateOfBirth"], "transforms": [{"over": "18"}]},
            {"to": "band", "from": ["dateOfBirth"], "transforms": [{"age-band": "20,65"}]},
        ]
        sample.write(f"services/{name}.yaml", {**service, "id_systems": "all", "attributes": facts})
    async with here(sample, store_url) as running:
        yield running, peers


async def collected(gateway: tuple[Here, Peers], service: str, people: tuple[str, ...]) -> Log:
    """Everything that the service is sent while these people sign in, one after another."""
    log: Log = []
    for person in people:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            browser = Browser(gateway=gateway[0], peers=gateway[1], http=session)
            birth = SamlAttribute(name="birth", values=(BIRTHS[PEOPLE.index(person)],))
            there = await browser.choose(await browser.ask(service, request_id=f"_{service}-{person}"), "kiryu")
            back = await browser.arrive("kiryu", there, name_id=person, attributes=(birth,))
            answer = await browser.agree(back) if back.location else back  # agreed before
            assertion = await browser.signed_in(answer, service=service)
            assert set(assertion.attributes) >= {"adult", "band"}
            log.append((person, frozenset(values(answer))))
    return log


def values(page: Page) -> Iterator[str]:
    """Every value in the answer that a service gets: fields, elements, attributes, and what is encoded in them."""
    yield from page.form[1].values()
    for node in page.response.iter(etree.Element):
        for text in (node.text or "", *node.attrib.values()):
            yield from decoded(text.strip())


def decoded(text: str) -> Iterator[str]:
    """The text, its parts, and what it says in base64."""
    yield text
    yield from text.replace("@", " ").split()
    for decode in (base64.b64decode, base64.urlsafe_b64decode):
        try:
            yield decode(text + "=" * (-len(text) % 4)).decode("latin-1")
        except (binascii.Error, ValueError):
            continue


def links(one: Log, other: Log) -> set[str]:
    """The people whom a value gives away to both services together."""
    found: set[str] = set()
    owners = [{}, {}]  # type: ignore[var-annotated]  # of each log: value → whose
    for log, of in zip((one, other), owners, strict=True):
        for person, said in log:
            for value in said:
                of.setdefault(value, set()).add(person)
    for value in owners[0].keys() & owners[1].keys():
        mine, theirs = owners[0][value], owners[1][value]
        if len(value) >= SHORTEST and len(mine) == 1 and mine == theirs:
            found |= mine
    return found


async def test_two_services_cannot_tell_that_they_speak_of_one_person(gateway: tuple[Here, Peers]) -> None:
    """Not one of six people, whatever they put side by side; each service knows its own people again."""
    portal = await collected(gateway, "portal", PEOPLE)
    library = await collected(gateway, "library", PEOPLE[3:] + PEOPLE[:3])
    assert links(portal, library) == set()
    again = await collected(gateway, "portal", PEOPLE[2:4])
    assert links(portal, again) == set(PEOPLE[2:4])


async def test_services_that_get_one_identifier_find_everybody(gateway: tuple[Here, Peers]) -> None:
    """The weaker setting that the configuration asks for by name; the search above would have seen it."""
    one, other = [await collected(gateway, name, PEOPLE) for name in COMMON]
    assert links(one, other) == set(PEOPLE)


async def test_two_polls_and_the_site_that_leads_to_them_share_nothing() -> None:
    """One voice for each person in each poll: the council's service can neither compare polls nor ask the site."""
    identifiers = Identifiers(IdentifierKeys(person=b"1" * 32, pairwise=b"2" * 32, sealing=b"3" * 32))
    routes = RouteTable(
        [
            Route(
                path="/api/polls/{poll}/votes",
                methods=frozenset({"POST"}),
                service="poll",
                upstream_path="/polls/{poll}/votes",
                scope="vote",
                minimum=Level.ONE,
                subject=Subject.CONTEXT,
                context="poll-{poll}",
            )
        ]
    )
    service = ApiService(id="poll", name={}, upstream="http://localhost:1", audience="poll", timeout=timedelta(1))

    def told(person: str, poll: int, request: int) -> frozenset[str]:
        caller = Caller(
            person=identifiers.person("https://id.example", person),
            key=identifiers.present,
            client="https://site.example",
            municipality="102016",
            scopes=frozenset({"vote"}),
            assurance=Assurance(identity=Level.THREE, authentication=Level.THREE),
            token_id="t",
        )
        claims = assertion_claims(
            caller,
            routes.match("POST", f"/api/polls/{poll}/votes"),
            service,
            identifiers,
            issuer="https://gateway.example",
            now=datetime(2026, 11, 22, tzinfo=UTC),
            request_id=f"request-{poll}-{request}",
        )
        return frozenset(map(str, claims.values()))

    polls = [[(person, told(person, poll, n)) for n, person in enumerate(PEOPLE)] for poll in (17, 18)]
    site = [
        (
            person,
            frozenset(
                {
                    identifiers.pairwise(
                        identifiers.person("https://id.example", person), "https://site.example", identifiers.present
                    )
                }
            ),
        )
        for person in PEOPLE
    ]
    for one, other in itertools.combinations((*polls, site), 2):
        assert links(one, other) == set()
    voices = [[next(iter(said & {v for v in said if len(v) == 52})) for _, said in poll] for poll in polls]
    assert [len(set(each)) for each in voices] == [len(PEOPLE)] * 2
    assert links(polls[0], [(person, told(person, 17, 100 + n)) for n, person in enumerate(PEOPLE)]) == set(PEOPLE)
