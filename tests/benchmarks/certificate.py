"""CPU of one sign-in with a phone's certificate, and the memory of a thousand pages that wait for a phone.

The demo region runs with everything on. What is counted is the CPU time of the gateway's process from the page with the
QR code to the answer for the service: the page, the phone's fetch of the request, its answer (path, policies,
revocation from the warm cache, signature, attribute certificate), the page that asks for the confirmation code, the
code and the decisions of the login. What every login has besides (the service's request, the choice, the service's
token and calls) is not. Of each part many are under way, `AT_ONCE` at a time, and what the browser and the phone make
of an answer is done between the parts, so that the gateway has work to do while it is measured. The peer of the same
run is the last step of a sign-in with the municipality's OpenID provider: from its answer to ours.

Waiting pages are open connections of server-sent events, each for a sign-in of its own.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp
from lxml import html

from gateway.clock import now
from gateway.demo import phone_answer
from gateway.demo.peer import RemoteKeys
from gateway.demo.phone_owners import find_owner
from gateway.demo.phone_request import request_uri, verified
from gateway.demo.phone_wallet import Card, Settings, Wallet
from gateway.demo.roster import directory, enrolment_secret
from tests.benchmarks.login import _gateway_pid
from tests.benchmarks.report import Report, Table, cpu_seconds, spread, tree_memory_mb
from tests.conftest import Running, start_region, stop_region
from tests.flows.person import Person
from tests.flows.phone import Form, Phone, read_code, seen, type_code, typed_into

SIGN_INS = 100
ROUNDS = 8
WARM_UP = 2
AT_ONCE = 8
PAGES = 1000
SOUGHT_MS, SOUGHT_MB = 3.0, 100.0


def measure() -> Report:
    """Start a region, measure it, stop it."""
    with tempfile.TemporaryDirectory(prefix="kakehashi-bench-") as folder:
        region = start_region(Path(folder))
        try:
            gateway = _gateway_pid(region)
            found = sign_ins(region, gateway)
            before, after = asyncio.run(waiting(region, gateway))
        finally:
            stop_region(region)
    return _report(found, before, after)


PARTS = (
    "the page with the QR code",
    "the phone fetches the request",
    "the phone answers",
    "the page that asks for the code",
    "the code is typed",
)
OF_CERTIFICATES = PARTS[1:3]
"""The parts that other ways to sign in have nothing like; the other two are pages and decisions."""


def sign_ins(region: Running, gateway: int) -> dict[str, list[float]]:
    """Milliseconds of CPU of one sign-in, part by part, and of the peer's; in browsers that agreed before."""
    by_certificate, by_openid = Person(), Person()
    _agree(region, by_certificate, Phone(region, "takahashi"))
    _after_consent(region, by_openid)
    found: dict[str, list[float]] = {name: [] for name in (*PARTS, "openid")}
    for number in range(WARM_UP + ROUNDS):
        pages = [_before_the_phone(region, by_certificate) for _ in range(SIGN_INS)]
        answered = [_after_the_provider(region, by_openid) for _ in range(SIGN_INS)]
        took = asyncio.run(_round(region, gateway, _Tab(by_certificate, pages), _Tab(by_openid, answered)))
        if number >= WARM_UP:
            for name, milliseconds in took.items():
                found[name].append(milliseconds)
    return found


class _Tab(NamedTuple):
    """A browser, and the addresses that it opens."""

    browser: Person
    addresses: list[str]

    @property
    def cookie(self) -> dict[str, str]:
        """What it sends with each."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.browser.session.cookies.items())}


async def _round(region: Running, gateway: int, by_certificate: _Tab, by_openid: _Tab) -> dict[str, float]:
    """Each part of all sign-ins before the next one, so that each can be told apart."""
    home = directory(region.state / "systems", "phone")
    wallet = Wallet(home, Settings.read(home, enrolment_secret(region.state / "systems")))
    owner = find_owner("takahashi", now().date())
    assert owner is not None
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        walks = [
            _Walk(session, page, by_certificate.cookie, region["gateway"], await wallet.card(session, owner))
            for page in by_certificate.addresses
        ]
        keys = RemoteKeys(f"{region['gateway']}/certificate/jwks")
        took = {}
        took[PARTS[0]] = await _cpu(gateway, [walk.look() for walk in walks])
        for walk in walks:
            walk.read()
        took[PARTS[1]] = await _cpu(gateway, [walk.scan() for walk in walks])
        for walk in walks:
            await walk.sign(keys)
        took[PARTS[2]] = await _cpu(gateway, [walk.answer() for walk in walks])
        took[PARTS[3]] = await _cpu(gateway, [walk.look() for walk in walks])
        forms = [walk.form() for walk in walks]
        took[PARTS[4]] = await _cpu(
            gateway, [_comes_back(session, form.action, by_certificate.cookie, form.fields) for form in forms]
        )
        comes_back = [_comes_back(session, each, by_openid.cookie) for each in by_openid.addresses]
        took["openid"] = await _cpu(gateway, comes_back)
        return took


@dataclass
class _Walk:
    """One sign-in: a browser's and a phone's requests to the gateway, and, apart from them, what those make of it."""

    session: aiohttp.ClientSession
    page: str
    cookie: dict[str, str]
    gateway: str
    card: Card
    shown: str = ""
    address: str = ""
    jwt: bytes = b""
    answer_to: str = ""
    signed: dict[str, str] = field(default_factory=dict)
    told: dict[str, object] = field(default_factory=dict)

    async def look(self) -> None:
        async with self.session.get(self.page, headers=self.cookie) as answer:
            assert answer.status == 200, await answer.text()
            self.shown = await answer.text()

    def read(self) -> None:
        (drawing,) = html.fromstring(self.shown).xpath("//div[contains(@class,'qr')]//svg")
        self.address = request_uri(read_code(drawing), self.gateway)

    async def scan(self) -> None:
        async with self.session.get(self.address) as answer:
            assert answer.status == 200, await answer.text()
            self.jwt = await answer.read()

    async def sign(self, keys: RemoteKeys) -> None:
        asked = await verified(self.session, self.jwt, keys, gateway=self.gateway, now=now())
        wanted = {name for wish in asked.wishes if wish.name == "member_resident" for name in wish.disclosures}
        told = wanted & phone_answer.disclosable(self.card)
        self.answer_to = asked.response_uri
        self.signed = phone_answer.answer(asked, self.card, how="jws", now=now(), disclose=told)

    async def answer(self) -> None:
        async with self.session.post(self.answer_to, data=self.signed) as answer:
            assert answer.status == 200, await answer.text()
            self.told = await answer.json()

    def form(self) -> Form:
        return typed_into(html.fromstring(self.shown), self.page, str(self.told["confirmation_code"]))


async def _cpu(gateway: int, steps: Sequence[Coroutine[None, None, None]]) -> float:
    """Milliseconds of CPU for each of them, `AT_ONCE` at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(step: Coroutine[None, None, None]) -> None:
        async with turns:
            await step

    begun = cpu_seconds(gateway)
    await asyncio.gather(*map(one, steps))
    return (cpu_seconds(gateway) - begun) / len(steps) * 1000


async def _comes_back(
    session: aiohttp.ClientSession, address: str, cookie: dict[str, str], form: dict[str, str] | None = None
) -> None:
    """The browser's last step at the gateway, which sends it back to the service."""
    method = "GET" if form is None else "POST"
    async with session.request(method, address, headers=cookie, data=form, allow_redirects=False) as answer:
        assert answer.status == 303, (await answer.text())[:300]
        assert "/callback?code=" in answer.headers["Location"]


def _agree(region: Running, browser: Person, phone: Phone) -> None:
    browser.open(region["participation"] + "/sign-in").choose("system", "maebashi-phone")
    phone.scan(seen(browser)).allow("member_resident")
    type_code(browser, phone.code()).choose("decision", "agree")
    assert browser.url == region["participation"] + "/", browser.text[:300]


def _after_consent(region: Running, browser: Person) -> None:
    browser.open(region["participation"] + "/sign-in").choose("system", "maebashi").press("髙橋 花子")
    browser.choose("decision", "agree")
    assert browser.url == region["participation"] + "/", browser.text[:300]


def _before_the_phone(region: Running, browser: Person) -> str:
    """The address of the page with the QR code, of a sign-in that was just begun; nobody has opened it."""
    browser.open(region["participation"] + "/sign-in")
    return _sent_to(browser, "system", "maebashi-phone")


def _after_the_provider(region: Running, browser: Person) -> str:
    """Where the OpenID provider sends the browser with its answer."""
    browser.open(region["participation"] + "/sign-in").choose("system", "maebashi")
    (button,) = (each for each in browser.page.iter("button") if "髙橋 花子" in " ".join(each.text_content().split()))
    return _sent_to(browser, button.get("name"), button.get("value"))


def _sent_to(browser: Person, name: str, value: str) -> str:
    (form,) = browser.page.xpath(f"//form[.//button[@name='{name}' and @value='{value}']]")
    action = urljoin(browser.url, form.get("action") or browser.url)
    fields = [*form.form_values(), (name, value)]
    answer = browser.session.post(action, data=fields, allow_redirects=False, timeout=30)
    assert answer.status_code in (302, 303), answer.text[:300]
    return urljoin(action, answer.headers["Location"])


async def waiting(region: Running, gateway: int) -> tuple[float, float]:
    """Memory (MB) of the gateway's process and its store before and after `PAGES` pages wait."""
    pages = await asyncio.to_thread(_pages, region)
    before = tree_memory_mb(gateway)
    connector = aiohttp.TCPConnector(limit=0)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        )
        for address, cookies in pages:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            response = await stack.enter_async_context(session.get(f"{address}/events", headers=headers))
            assert response.status == 200, await response.text()
            assert (await response.content.readline()).startswith(b"event: state")
        await asyncio.sleep(2)
        return before, tree_memory_mb(gateway)


def _pages(region: Running) -> list[tuple[str, dict[str, str]]]:
    """The addresses of as many sign-ins that wait for a phone, and the cookies of their browsers."""
    found = []
    deadline = time.monotonic() + 240
    for _ in range(PAGES):
        assert time.monotonic() < deadline
        browser = Person()
        browser.open(region["participation"] + "/sign-in").choose("system", "maebashi-phone")
        found.append((browser.url, dict(browser.session.cookies)))
        browser.session.close()
    return found


def _report(found: dict[str, list[float]], before: float, after: float) -> Report:
    median = {name: spread(values)["median"] for name, values in found.items()}
    whole = sum(median[name] for name in PARTS)
    own = sum(median[name] for name in OF_CERTIFICATES)

    def of_peer(milliseconds: float) -> str:
        return f"{milliseconds / median['openid']:.2f}" if median["openid"] else ""  # in a short form less than a tick

    return Report(
        title="CPU of the gateway's process for one sign-in with a certificate",
        columns=("part", "CPU", "of the peer's"),
        rows=[
            *((name, f"{median[name]:.1f} ms", of_peer(median[name])) for name in PARTS),
            ("together", f"{whole:.1f} ms", of_peer(whole)),
            ("of it, the phone's two requests", f"{own:.1f} ms", of_peer(own)),
            ("the answer of an OpenID provider (the peer)", f"{median['openid']:.1f} ms", "1"),
        ],
        more=(
            Table(
                title=f"{PAGES:,} pages that wait for a phone, on one worker",
                columns=("before", "while they wait", "more"),
                rows=[(f"{before:.0f} MB", f"{after:.0f} MB", f"{after - before:.0f} MB")],
            ),
        ),
        note=(
            f"Medians of {ROUNDS} rounds of {SIGN_INS} sign-ins, {AT_ONCE} at a time. "
            f"Sought: at most {SOUGHT_MS:g} ms together, and {SOUGHT_MB:g} MB for the pages."
        ),
        figures={
            "cpu_per_signin_ms": round(whole, 2),
            "cpu_of_phone_requests_ms": round(own, 2),
            "cpu_by_part_ms": {name: spread(found[name]) for name in PARTS},
            "cpu_per_openid_answer_ms": spread(found["openid"]),
            "waiting_1000_mb": round(after - before, 1),
            "waiting_1000_total_mb": round(after, 1),
            "sign_ins_per_round": SIGN_INS,
            "at_once": AT_ONCE,
            "rounds": ROUNDS,
        },
    )
