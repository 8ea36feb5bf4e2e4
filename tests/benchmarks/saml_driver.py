"""Browser, service provider and identity provider in one process: signs people in through a proxy, again and again.

Nothing here knows which proxy it drives. Every browser has cookies and a person of its own and keeps its connection.
What is timed of a login is the two requests that the proxy answers: the service's request, and the identity provider's
answer. Making messages is the driver's own work, neither timed nor counted; the service's requests are made before the
clock starts, the identity provider's answers, which name the proxy's request, while it runs.
"""

import asyncio
import base64
import html
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import aiohttp
import uvloop
import yarl
from lxml import etree
from lxml import html as pages

from tests.benchmarks import saml_messages as messages
from tests.benchmarks.saml_messages import Pair
from trust_lists.xmldsig import verify, verify_octets
from trust_lists.xmlgate import SignatureRefusedError

T = TypeVar("T")

RELAY_STATE = "back-to-the-library"
SECONDS = 30

_ID = re.compile(rb'\bID="([^"]+)"|\bID=\'([^\']+)\'')
_FIELD = re.compile(r'name="SAMLResponse"\s+value="([^"]*)"')
_RESPONSE = f"{{{messages.SAMLP}}}Response"
_VALUE = f"{{{messages.SAML}}}AttributeValue"


class LoginFailedError(Exception):
    """A login that did not end as it must; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where a proxy takes requests and answers, what it is called as a service provider, and its certificate (DER)."""

    sso_post: str
    sso_redirect: str
    acs: str
    sp_entity_id: str
    certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """The keys of the driver's service provider and identity provider."""

    sp: Pair
    idp: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What a run saw: seconds of each login, of all together, and of the driver's own CPU."""

    seconds: list[float] = field(repr=False)
    wall: float
    cpu: float

    @property
    def per_second(self) -> float:
        """Logins a second."""
        return len(self.seconds) / self.wall

    def quantile(self, share: float) -> float:
        """Milliseconds that `share` of the logins did not exceed."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A service's request, ready to be sent."""

    id: str
    method: str
    url: str
    fields: dict[str, str] | None = None


def drive(proxy: Proxy, peers: Peers, *, logins: int, browsers: int, redirect: bool = False) -> Driven:
    """Sign in `logins` times, `browsers` at a time. Raises `LoginFailedError` if one does not succeed."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(proxy, peers, logins=logins, browsers=browsers, redirect=redirect))


def warm_up(proxy: Proxy, peers: Peers, *, browsers: int, rounds: int, redirect: bool = False) -> None:
    """Sign in everybody: consent is given where it is asked, and every signature and value is verified.

    Raises `LoginFailedError`.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_warm_up(proxy, peers, browsers, rounds, redirect=redirect))


async def _drive(proxy: Proxy, peers: Peers, *, logins: int, browsers: int, redirect: bool) -> Driven:
    make = _redirected if redirect else _posted
    requests = [make(proxy, peers) for _ in range(logins)]
    todo, seconds = iter(requests), list[float]()
    async with _session() as session:
        everybody = [_Browser(session, proxy, peers, number) for number in range(browsers)]
        began, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_again(browser, todo, seconds) for browser in everybody))
        return Driven(seconds=seconds, wall=time.perf_counter() - began, cpu=time.process_time() - used)


async def _again(browser: "_Browser", todo: Iterator[Asked], seconds: list[float]) -> None:
    for request in todo:
        took = await browser.sign_in(request)
        seconds.append(took)


async def _warm_up(proxy: Proxy, peers: Peers, browsers: int, rounds: int, *, redirect: bool) -> None:
    make = _redirected if redirect else _posted
    async with _session() as session:
        for number in range(browsers):
            browser = _Browser(session, proxy, peers, number)
            for _ in range(rounds):
                await browser.sign_in(make(proxy, peers), checked=True)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),  # a cookie that is marked Secure is to travel on loopback too
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        connector=aiohttp.TCPConnector(limit=0),
        headers={"Accept-Language": "ja"},
    )


class _Browser:
    """One person with one browser."""

    def __init__(self, session: aiohttp.ClientSession, proxy: Proxy, peers: Peers, number: int) -> None:
        self._session = session
        self._proxy = proxy
        self._peers = peers
        self._subject = f"resident-{number}"
        self._cookies: dict[str, str] = {}

    async def sign_in(self, request: Asked, *, checked: bool = False) -> float:
        """One login; the seconds that the proxy took for its part."""
        proxy = self._proxy
        status, headers, body, first = await self._ask(request.method, request.url, request.fields)
        location = headers.get("Location", "")
        if status not in (302, 303) or not location.startswith(messages.IDP_SSO):
            raise LoginFailedError(f"the request: {status} {location[:80]} {_said(body)}")
        asked, relay_state = _asked(location)
        if checked:
            _believed(_check_request, location, proxy.certificate)
        answer = {
            "SAMLResponse": messages.answered(
                request_id=asked,
                acs=proxy.acs,
                audience=proxy.sp_entity_id,
                subject=self._subject,
                keys=self._peers.idp,
            )
        }
        if relay_state is not None:
            answer["RelayState"] = relay_state
        status, headers, body, second = await self._ask("POST", proxy.acs, answer)
        if status in (302, 303) and checked:
            status, headers, body = await self._consent(urljoin(proxy.acs, headers["Location"]))
        found = _FIELD.search(body)
        if status != 200 or found is None:
            raise LoginFailedError(f"the answer: {status} {headers.get('Location', '')[:80]} {_said(body)}")
        response = base64.b64decode(html.unescape(found[1]))
        if request.id.encode() not in response or b"status:Success" not in response:
            raise LoginFailedError("the service was not told that the person signed in")
        if checked:
            _believed(_check_response, response, proxy.certificate)
        return first + second

    async def _consent(self, url: str) -> tuple[int, dict[str, str], str]:
        """The person agrees: every field of the page's form, and the button that says so."""
        _, _, body, _ = await self._ask("GET", url)
        page: pages.HtmlElement = pages.document_fromstring(body)
        forms = [form for form in page.forms if form.find(".//button[@value='agree']") is not None]
        if not forms:
            raise LoginFailedError(f"the consent page: {_said(body)}")
        form = forms[0]
        fields = {**{name: value or "" for name, value in form.form_values()}, "decision": "agree"}
        status, headers, body, _ = await self._ask("POST", urljoin(url, form.get("action") or url), fields)
        return status, headers, body

    async def _ask(
        self, method: str, url: str, fields: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str, float]:
        headers = {"Cookie": "; ".join(f"{n}={v}" for n, v in self._cookies.items())} if self._cookies else {}
        began = time.perf_counter()
        try:
            async with self._session.request(
                method, yarl.URL(url, encoded=True), headers=headers, data=fields, allow_redirects=False
            ) as answer:
                body = await answer.text()
                took = time.perf_counter() - began
        except (aiohttp.ClientError, OSError) as fault:
            raise LoginFailedError(f"no answer: {type(fault).__name__} {fault}") from fault
        for name, morsel in answer.cookies.items():
            self._cookies[name] = morsel.value
            if morsel["max-age"] == "0" or not morsel.value:
                del self._cookies[name]
        return answer.status, dict(answer.headers), body, took


def _posted(proxy: Proxy, peers: Peers) -> Asked:
    identifier, fields = messages.posted_request(proxy.sso_post, RELAY_STATE, peers.sp)
    return Asked(id=identifier, method="POST", url=proxy.sso_post, fields=fields)


def _redirected(proxy: Proxy, peers: Peers) -> Asked:
    identifier, url = messages.redirected_request(proxy.sso_redirect, RELAY_STATE, peers.sp)
    return Asked(id=identifier, method="GET", url=url)


def _asked(location: str) -> tuple[str, str | None]:
    """ID and RelayState of the AuthnRequest that the proxy sent."""
    query = parse_qs(urlsplit(location).query)
    document = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -zlib.MAX_WBITS)
    found = _ID.search(document)
    assert found is not None, document[:300]
    return (found[1] or found[2]).decode(), query.get("RelayState", [None])[0]


def _said(body: str) -> str:
    """The beginning of what a page says."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).strip()[:300]


# --- once, before anything is measured


def _believed(check: Callable[[T, bytes], None], what: T, certificate: bytes) -> None:
    try:
        check(what, certificate)
    except SignatureRefusedError as refused:
        raise LoginFailedError(f"the proxy's signature ({check.__name__}): {refused.code}") from refused


def _check_request(location: str, certificate: bytes) -> None:
    """The proxy's request is signed by the key that it must sign with."""
    raw = dict(part.split("=", 1) for part in urlsplit(location).query.split("&"))
    octets = "&".join(f"{name}={raw[name]}" for name in ("SAMLRequest", "RelayState", "SigAlg") if name in raw)
    value = base64.b64decode(unquote(raw["Signature"]))
    verify_octets(octets.encode(), value, algorithm=messages.RSA_SHA256, certificates=[certificate])


def _check_response(response: bytes, certificate: bytes) -> None:
    """Both signatures verify with a key of 2,048 bits, and every value arrived."""
    tree = etree.fromstring(response)
    (assertion,) = tree.iterfind(f"{{{messages.SAML}}}Assertion")
    for element_id in (None, assertion.get("ID")):
        verify(response, certificates=[certificate], expected_root=_RESPONSE, element_id=element_id)
    said = sorted(value.text or "" for value in assertion.iter(_VALUE))
    if said != sorted(messages.values_of()):
        raise LoginFailedError(f"the service was told {len(said)} values, not the {len(messages.ATTRIBUTES)} expected")
