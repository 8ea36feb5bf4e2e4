"""CPU of one sign-in with a phone's certificate, and the memory of a thousand pages that wait for a phone.

The demo region runs with everything on. What is counted is the CPU time of the gateway's process from the page with the
QR code to the answer for the service: the page, the phone's fetch of the request, its answer (path, policies,
revocation from the warm cache, signature, attribute certificate), the confirmation code, the decisions of the login.
What every login has besides (the service's request, the choice, the service's token and calls) is not. The peer of the
same run is the same stretch of a sign-in with the municipality's OpenID provider: from its answer to ours.

Waiting pages are open connections of server-sent events, each for a sign-in of its own.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import requests

from tests.benchmarks.login import _gateway_pid
from tests.benchmarks.report import Report, Table, cpu_seconds, spread, tree_memory_mb
from tests.conftest import Running, start_region, stop_region
from tests.flows.person import Person
from tests.flows.phone import Phone, seen, type_code, typed

SIGN_INS = 25
ROUNDS = 3
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


PARTS = ("the page with the QR code", "the phone fetches the request", "the phone answers", "the code is typed")
OF_CERTIFICATES = PARTS[1:3]
"""The parts that other ways to sign in have nothing like; the other two are pages and decisions."""


def sign_ins(region: Running, gateway: int) -> dict[str, list[float]]:
    """Milliseconds of CPU of one sign-in, part by part, and of the peer's; each has a browser, which agreed before."""
    browsers = {name: Person() for name in ("certificate", "openid")}
    _agree(region, browsers["certificate"], Phone(region, "takahashi"))
    _after_consent(region, browsers["openid"])
    found: dict[str, list[float]] = {name: [] for name in (*PARTS, "openid")}
    for number in range(ROUNDS + 1):
        pages = [_before_the_phone(region, browsers["certificate"]) for _ in range(SIGN_INS)]
        answered = [_after_the_provider(region, browsers["openid"]) for _ in range(SIGN_INS)]
        took = {**_by_certificate(region, gateway, browsers["certificate"], pages)}
        took["openid"] = _cpu(gateway, [partial(_comes_back, browsers["openid"], each) for each in answered])
        if number:  # the first round warms up
            for name, milliseconds in took.items():
                found[name].append(milliseconds)
    return found


def _by_certificate(region: Running, gateway: int, browser: Person, pages: list[str]) -> dict[str, float]:
    """Each part of all of them before the next one, so that each can be told apart."""
    codes: list[str] = []
    phones = [Phone(region, "takahashi") for _ in pages]
    opened: list[str] = []
    steps = {
        PARTS[0]: [partial(_look, browser, page, opened) for page in pages],
        PARTS[1]: [partial(_scan, phone, opened, number) for number, phone in enumerate(phones)],
        PARTS[2]: [partial(_allow, phone, codes) for phone in phones],
        PARTS[3]: [partial(_type, browser, page, codes, number) for number, page in enumerate(pages)],
    }
    return {name: _cpu(gateway, each) for name, each in steps.items()}


def _cpu(gateway: int, steps: list[Callable[[], None]]) -> float:
    begun = cpu_seconds(gateway)
    for step in steps:
        step()
    return (cpu_seconds(gateway) - begun) / len(steps) * 1000


def _look(browser: Person, page: str, opened: list[str]) -> None:
    browser.open(page)
    opened.append(seen(browser))


def _scan(phone: Phone, opened: list[str], number: int) -> None:
    phone.scan(opened[number])


def _allow(phone: Phone, codes: list[str]) -> None:
    codes.append(phone.allow("member_resident").code())
    phone.person.session.close()


def _type(browser: Person, page: str, codes: list[str], number: int) -> None:
    browser.open(page)
    form = typed(browser, codes[number])
    _answered(browser.session.post(form.action, data=form.fields, allow_redirects=False, timeout=30))


def _comes_back(browser: Person, address: str) -> None:
    _answered(browser.session.get(address, allow_redirects=False, timeout=30))


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


def _answered(answer: requests.Response) -> None:
    assert answer.status_code == 303, answer.text[:300]
    assert "/callback?code=" in answer.headers["Location"]


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
    return Report(
        title="CPU of the gateway's process for one sign-in with a certificate",
        columns=("part", "CPU", "of the peer's"),
        rows=[
            *((name, f"{median[name]:.1f} ms", f"{median[name] / median['openid']:.2f}") for name in PARTS),
            ("together", f"{whole:.1f} ms", f"{whole / median['openid']:.2f}"),
            ("of it, the phone's two requests", f"{own:.1f} ms", f"{own / median['openid']:.2f}"),
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
            f"Medians of {ROUNDS} rounds of {SIGN_INS} sign-ins. "
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
            "rounds": ROUNDS,
        },
    )
