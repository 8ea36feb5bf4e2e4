"""Sign-in with a phone, through a running gateway: only the browser that began goes on, and only once."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from federation.certificate.model import Standing
from federation.oidc import jose
from gateway.app import public_app
from gateway.process import Process
from observability.events import LoginEvent, LoginOutcome

from .certificate_sample import (
    STRANGER,
    Says,
    Visitor,
    certificate_sample,
    fetched,
    issued,
    sent,
    signed,
)
from .gateway_sample import CALLBACK, Here, here, store_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE_ON = re.compile(rf"/login/[\w-]{{43}}/consent|{re.escape(CALLBACK)}\?code=.+")
"""Where a sign-in goes on: consent is asked, or was given before."""

OTHER_CODE = {str(each): str((each + 1) % 10) for each in range(10)}


class Clock:
    """The gateway's clock; tests put it forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
def says() -> Says:
    """What the authority says of certificates."""
    return Says()


@pytest.fixture(scope="module")
def clock() -> Clock:
    """The clock of every gateway here."""
    return Clock()


@pytest.fixture(autouse=True)
def as_always(says: Says, clock: Clock) -> None:
    """Every certificate is good, and it is now."""
    says.standing, clock.ahead = Standing.GOOD, timedelta()


@pytest.fixture(scope="module")
def app(says: Says, clock: Clock) -> Callable[[Process], web.Application]:
    """Makes the public listener's application."""
    return lambda process: public_app(replace(process.gateway, statuses=says, clock=clock))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, store_url: str, app: Callable[[Process], web.Application]
) -> AsyncIterator[Here]:
    """A gateway of a municipality with certificates."""
    async with here(certificate_sample(tmp_path_factory.mktemp("certificate")), store_url, app=app) as running:
        yield running


@asynccontextmanager
async def visiting(gateway: Here) -> AsyncIterator[Visitor]:
    """A browser of its own."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(gateway=gateway, http=session)


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(gateway: Here) -> AsyncIterator[Visitor]:
    """Somebody's browser."""
    async with visiting(gateway) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(gateway: Here) -> AsyncIterator[Visitor]:
    """Another one."""
    async with visiting(gateway) as found:
        yield found


def last_event(gateway: Here) -> LoginEvent:
    """How the last login ended."""
    found: LoginEvent = gateway.heard.of(LoginEvent)[-1]
    return found


# --- the page


async def test_the_page_shows_what_to_read_and_what_to_compare(visitor: Visitor) -> None:
    """QR code and link lead to two requests; the number is on the page; without JavaScript it refreshes itself."""
    page = await visitor.begin()

    assert page.status == 200
    across, here_ = await visitor.references()
    assert visitor.reference(page) == here_ != across
    assert f"/certificate/requests/{across}</code>" in page.text  # for who has no camera
    assert re.search(r'class="phone-digits"[^>]*>\d{4}<', page.text)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page.text
    assert "About 5 minutes left." in page.text
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


async def test_the_refreshing_can_be_stopped(visitor: Visitor) -> None:
    """Without JavaScript too, and begun again."""
    await visitor.begin()

    still = await visitor.get(visitor.page + "?lang=en&paused=1")

    assert "http-equiv" not in still.text
    assert f'href="{visitor.page}?lang=en"' in still.text
    assert "http-equiv" in (await visitor.get(visitor.page + "?lang=en")).text


async def test_another_browser_gets_no_page(visitor: Visitor, stranger: Visitor) -> None:
    """Nor its news, nor its forms."""
    page = await visitor.begin()

    shown = await stranger.get(visitor.page)
    told = await stranger.get(visitor.page + "/events")
    typed = await stranger.post(visitor.page + "/confirm", {"csrf": page.csrf(), "code": "123456"})
    stopped = await stranger.post(visitor.page + "/cancel", {"csrf": page.csrf()})

    assert (shown.status, told.status, typed.status, stopped.status) == (403, 204, 403, 403)
    assert "began in another browser" in shown.text
    assert (await visitor.get(visitor.page)).status == 200


async def test_a_sign_in_that_waits_for_no_phone_has_no_page(visitor: Visitor) -> None:
    """Handles of other kinds, and none at all."""
    await visitor.begin()
    flow = await visitor.gateway.process.gateway.store.read_flow(visitor.page.rpartition("/")[2])
    assert flow is not None

    for handle in (flow["choice"], "A" * 43, "x"):
        assert "no longer open" in (await visitor.get(f"/certificate/{handle}")).text


async def test_a_form_from_elsewhere_does_nothing(visitor: Visitor) -> None:
    """Without the page's token nothing is tried and nothing stops."""
    await visitor.begin()

    assert (await visitor.post(visitor.page + "/cancel", {"csrf": "guess"})).status == 403
    assert (await visitor.post(visitor.page + "/confirm", {"code": "123456"})).status == 403
    assert (await visitor.get(visitor.page)).status == 200


async def test_who_stops_goes_back_to_the_service(visitor: Visitor) -> None:
    """With a denial; the phone's request is over then."""
    page = await visitor.begin()
    across, _ = await visitor.references()

    back = await visitor.post(visitor.page + "/cancel", {"csrf": page.csrf()})

    assert back.location.startswith(CALLBACK)
    assert parse_qs(urlsplit(back.location).query)["error"] == ["access_denied"]
    assert last_event(visitor.gateway).outcome is LoginOutcome.DENIED
    assert (await fetched(visitor.gateway, across)).status == 404


async def test_another_way_is_one_link_away(visitor: Visitor) -> None:
    """The choice is still open."""
    page = await visitor.begin()

    choice = re.search(r'href="(/login/[\w-]{43})"', page.text)
    assert choice

    assert "Which municipality" in (await visitor.get(choice[1])).text


# --- the request


async def test_a_phone_fetches_the_signed_request(visitor: Visitor) -> None:
    """With no cookie, as what it is; the page says so."""
    await visitor.begin()
    across, _ = await visitor.references()

    response = await fetched(visitor.gateway, across)

    assert response.status == 200
    assert response.headers["Content-Type"] == "application/oauth-authz-req+jwt"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert "has read the request" in (await visitor.get(visitor.page)).text


async def test_requests_are_verified_with_the_published_key(visitor: Visitor) -> None:
    """The same document as the client's other key set."""
    keys = json.loads((await visitor.get("/certificate/jwks")).text)

    assert keys == json.loads(jose.jwks(visitor.gateway.process.gateway.keys.client).body)


@pytest.mark.parametrize("reference", ["A" * 43, "x", "%00"])
async def test_an_unknown_request_is_no_page(gateway: Here, reference: str) -> None:
    """A phone gets JSON."""
    response = await fetched(gateway, reference)

    assert response.status == 404
    assert json.loads(await response.text())["error"] == "invalid_request_uri"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
async def test_a_request_is_fetched_by_get_only(visitor: Visitor, method: str) -> None:
    """Nothing else is answered, and nothing counts as read."""
    await visitor.begin()
    across, _ = await visitor.references()

    async with visitor.http.request(method, f"{visitor.gateway.url}/certificate/requests/{across}") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET")

    assert "Waiting for your phone." in (await visitor.get(visitor.page)).text


# --- the answer, and the way back


async def test_a_phone_beside_the_browser_signs_in_with_a_code(visitor: Visitor) -> None:
    """The person types what the phone shows, agrees, and is at the service."""
    await visitor.begin()
    across, here_ = await visitor.references()

    told = await sent(visitor.gateway, await signed(visitor.gateway, across, issued("佐藤 太郎")))
    page = await visitor.get(visitor.page)
    digits = told.body["confirmation_code"]
    spaced = f" {digits[:3]}-{digits[3:]} ".translate({ord("0") + n: ord("０") + n for n in range(10)})
    on = await visitor.post(visitor.page + "/confirm", {"csrf": page.csrf(), "code": spaced})

    assert (told.status, set(told.body)) == (200, {"confirmation_code", "expires_in"})
    assert re.fullmatch(r"\d{6}", digits)
    assert "Type the code that your phone shows" in page.text
    assert "http-equiv" not in page.text
    assert digits not in page.text
    assert re.fullmatch(r"/login/[\w-]{43}/consent", on.location), on.text
    consent = await visitor.get(on.location)
    assert "佐藤 太郎" in consent.text
    back = await visitor.post(on.location, {"csrf": consent.csrf(), "decision": "agree"})
    assert parse_qs(urlsplit(back.location).query)["code"]
    assert last_event(visitor.gateway).outcome is LoginOutcome.GRANTED
    assert [(await fetched(visitor.gateway, each)).status for each in (across, here_)] == [404, 404]


async def test_a_phone_that_is_the_browser_comes_back_by_itself(visitor: Visitor) -> None:
    """The app opens an address that works once."""
    await visitor.begin()
    _, here_ = await visitor.references()

    told = await sent(visitor.gateway, await signed(visitor.gateway, here_))
    waiting = await visitor.get(visitor.page)
    on = await visitor.get(told.body["redirect_uri"])
    again = await visitor.get(told.body["redirect_uri"])

    assert set(told.body) == {"redirect_uri"}
    assert "Go on in the window that the app opened" in waiting.text
    assert "response_code" not in waiting.text
    assert GONE_ON.fullmatch(on.location), on.text
    assert "no longer open" in (await visitor.get(again.location) if again.location else again).text


async def test_a_relayed_link_ends_in_a_browser_that_began_nothing(visitor: Visitor, stranger: Visitor) -> None:
    """Who was sent the link signs, but the sender's browser does not learn what the phone opens."""
    await visitor.begin()
    _, here_ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, here_))

    victim = await stranger.get(told.body["redirect_uri"])
    guesses = [await visitor.get(visitor.page + each) for each in ("/return", "/return?response_code=" + "A" * 43)]
    typed = await visitor.confirm("123456")

    assert victim.status == 403
    assert "opened another browser" in victim.text
    assert [each.location for each in (*guesses, typed)] == [visitor.page] * 3
    assert "Go on in the window" in (await visitor.get(visitor.page)).text


async def test_a_relayed_qr_code_gives_no_code_to_its_sender(visitor: Visitor) -> None:
    """The sender has the browser and not the phone: three guesses, then the sign-in is over."""
    await visitor.begin()
    across, _ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, across))
    code = told.body["confirmation_code"]
    wrong = code[:-1] + OTHER_CODE[code[-1]]

    tries = [await visitor.confirm(wrong) for _ in range(2)]
    malformed = [await visitor.confirm(each) for each in ("", "12345", "1234567", "abcdef", "９" * 70)]
    last = await visitor.confirm(wrong)

    assert [each.status for each in tries] == [400, 400]
    assert "You can try 2 more times." in tries[0].text
    assert "You can try 1 more time." in tries[1].text
    assert ["not six digits" in each.text for each in malformed] == [True] * 5
    assert "wrong too often" in last.text
    assert last_event(visitor.gateway).reason == "certificate-codes"
    assert "no longer open" in (await visitor.get(visitor.page)).text
    assert (await fetched(visitor.gateway, across)).status == 404


async def test_many_guesses_at_once_are_three(visitor: Visitor) -> None:
    """Whoever does not wait for the answer has no more of them; the right one comes too late."""
    await visitor.begin()
    across, _ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, across))
    page = await visitor.get(visitor.page)
    code = told.body["confirmation_code"]
    wrong = code[:-1] + OTHER_CODE[code[-1]]

    async def guess(typed: str) -> Any:
        return await visitor.post(visitor.page + "/confirm", {"csrf": page.csrf(), "code": typed})

    found = await asyncio.gather(*(guess(wrong) for _ in range(8)))
    late = await guess(code)

    assert sum("more time" in each.text for each in found) == 2
    assert not GONE_ON.fullmatch(late.location)


async def test_one_answer_counts(visitor: Visitor) -> None:
    """Of two at once, to either request, and of the same one again."""
    await visitor.begin()
    across, here_ = await visitor.references()
    forms = [await signed(visitor.gateway, each) for each in (across, across, here_, here_)]

    told = await asyncio.gather(*(sent(visitor.gateway, form) for form in forms))
    again = await sent(visitor.gateway, forms[0])

    assert sorted(each.status for each in told) == [200, 400, 400, 400]
    assert (again.status, again.body["code"]) == (400, "request-unknown")


async def test_a_code_counts_once(visitor: Visitor) -> None:
    """Two presses of the button are one sign-in."""
    await visitor.begin()
    across, _ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, across))
    page = await visitor.get(visitor.page)
    fields = {"csrf": page.csrf(), "code": told.body["confirmation_code"]}

    found = await asyncio.gather(*(visitor.post(visitor.page + "/confirm", fields) for _ in range(3)))

    assert sum(GONE_ON.fullmatch(each.location) is not None for each in found) == 1


# --- refusals


@pytest.mark.parametrize("form", [[], [("state", "")], [("state", "x" * 43)], [("state", "x" * 5000)]])
async def test_an_answer_to_nothing_is_refused(gateway: Here, form: Any) -> None:
    """JSON, in the form of RFC 6749."""
    told = await sent(gateway, form)

    assert told.status == 400
    assert told.body["error"] == "invalid_request"


async def test_hostile_posts_are_refused(visitor: Visitor) -> None:
    """Twice the same field, another content type, too much, from a page: and none of it counts as an answer."""
    await visitor.begin()
    across, _ = await visitor.references()
    form = await signed(visitor.gateway, across)
    gateway = visitor.gateway

    found = [
        await sent(gateway, [*form, ("state", across)]),
        await sent(gateway, json.dumps(dict(form)), **{"Content-Type": "application/json"}),
        await sent(gateway, [*form, ("attributes", "x" * 170_000)]),
        await sent(gateway, [*form, ("attributes", "x" * 400_000)]),
        await sent(gateway, form, Origin="https://evil.example"),
        await sent(gateway, b"state=%ff%fe&response=\xff", **{"Content-Type": "application/x-www-form-urlencoded"}),
    ]

    assert [each.status for each in found] == [400, 400, 413, 413, 403, 400]
    assert (await sent(gateway, form)).status == 200


async def test_a_wrong_answer_to_the_qr_code_does_not_end_the_sign_in(visitor: Visitor) -> None:
    """Whoever saw the code may post anything; the person is told, and goes on."""
    await visitor.begin()
    across, _ = await visitor.references()
    good = dict(await signed(visitor.gateway, across))
    head, payload, signature = good["response"].split(".")
    forged = {**good, "response": f"{head}.{payload}.{signature[:-6]}AAAAAA"}

    told = await sent(visitor.gateway, forged)
    declined = await sent(visitor.gateway, {"state": across, "error": "access_denied"})
    page = await visitor.get(visitor.page)

    assert (told.status, told.body["code"]) == (400, "signature")
    assert (declined.status, declined.body) == (200, {})
    assert "The sign-in was declined on the phone" in page.text
    assert "you can still sign in here" in page.text
    assert (await sent(visitor.gateway, good)).status == 200


async def test_five_wrong_answers_end_it(visitor: Visitor) -> None:
    """Nobody may try for ever; the right one comes too late."""
    await visitor.begin()
    across, _ = await visitor.references()
    good = await signed(visitor.gateway, across)

    told = [await sent(visitor.gateway, {"state": across, "response": "x"}) for _ in range(5)]
    late = await sent(visitor.gateway, good)
    page = await visitor.get(visitor.page)

    assert [each.status for each in told] == [400] * 5
    assert late.body["code"] == "request-unknown"
    assert "Too many answers" in page.text
    assert last_event(visitor.gateway).reason == "certificate-answers"


async def test_a_revoked_certificate_ends_it_with_what_to_do(visitor: Visitor, says: Says) -> None:
    """Its holder signed exactly this request: the page says that it is stopped; the way back is a denial."""
    await visitor.begin()
    across, _ = await visitor.references()
    says.standing = Standing.REVOKED

    told = await sent(visitor.gateway, await signed(visitor.gateway, across))
    page = await visitor.get(visitor.page)

    assert (told.status, told.body["code"]) == (403, "revoked")
    assert "Your certificate has been stopped" in page.text
    assert "使えなくなっています" in page.text
    assert last_event(visitor.gateway).reason == "certificate-revoked"
    assert last_event(visitor.gateway).outcome is LoginOutcome.REFUSED
    back = re.search(r'href="[^"]*(/login/[\w-]{43}/return)"', page.text)
    assert back
    assert parse_qs(urlsplit((await visitor.get(back[1])).location).query)["error"] == ["access_denied"]


async def test_whoever_was_refused_can_choose_another_way(visitor: Visitor, says: Says) -> None:
    """For the same login, from the page that says why, until the service has its denial."""
    await visitor.begin()
    across, _ = await visitor.references()
    says.standing = Standing.REVOKED
    await sent(visitor.gateway, await signed(visitor.gateway, across))
    page = await visitor.get(visitor.page)

    choice = re.search(r'href="[^"]*(/login/[\w-]{43}\?lang=en)">Choose another way to sign in<', page.text)
    back = re.search(r'href="[^"]*(/login/[\w-]{43}/return)"', page.text)
    assert choice
    assert back

    assert "Which municipality" in (await visitor.get(choice[1])).text
    await visitor.get(back[1])
    assert "no longer open" in (await visitor.get(choice[1])).text


async def test_another_way_is_not_offered_once_the_service_has_its_denial(visitor: Visitor, says: Says) -> None:
    """Two windows: one is refused after the other one has gone back to the service."""
    first = await visitor.begin()
    across, _ = await visitor.references()
    says.standing = Standing.REVOKED
    await sent(visitor.gateway, await signed(visitor.gateway, across))
    choice = re.search(r'href="/login/([\w-]{43})"', first.text)
    assert choice
    assert await visitor.gateway.process.gateway.store.take_flow(choice[1]) is not None

    page = await visitor.get(visitor.page)

    assert "Your certificate has been stopped" in page.text
    assert "Choose another way" not in page.text


async def test_what_the_authority_cannot_say_ends_nothing(visitor: Visitor, says: Says) -> None:
    """The person is told that it is not their fault, and the same phone may try again."""
    await visitor.begin()
    _, here_ = await visitor.references()
    form = await signed(visitor.gateway, here_)
    says.standing = None

    told = await sent(visitor.gateway, form)
    page = await visitor.get(visitor.page)
    says.standing = Standing.GOOD

    assert told.body["code"] == "status-unavailable"
    assert "cannot be checked now" in page.text
    assert (await sent(visitor.gateway, form)).status == 200


async def test_an_authority_that_stays_silent_is_not_blamed_on_strangers(visitor: Visitor, says: Says) -> None:
    """After as many tries as there are, the page still says what it was."""
    await visitor.begin()
    across, _ = await visitor.references()
    form = await signed(visitor.gateway, across)
    says.standing = None

    for _ in range(5):
        await sent(visitor.gateway, form)

    assert "cannot be checked now" in (await visitor.get(visitor.page)).text
    assert last_event(visitor.gateway).reason == "certificate-status-unavailable"


@pytest.mark.parametrize(
    ("holder", "code", "title"),
    [
        (
            lambda: issued(not_after=datetime.now(UTC) - timedelta(hours=1)),
            "expired",
            "Your certificate has expired",
        ),
        (lambda: issued(by=STRANGER), "untrusted-issuer", "This certificate is not one of this municipality"),
        (lambda: issued(policies=("2.999.7",)), "policy", "This certificate is not one of this municipality"),
        (lambda: issued(key_usage=("key_agreement",)), "key-usage", "This certificate may not be used"),
        (lambda: issued(key="p-192"), "weak-key", "Your certificate is too old to be safe"),
    ],
    ids=["expired", "another authority's", "another policy", "another use", "weak"],
)
async def test_on_the_same_device_each_refusal_says_what_to_do(
    visitor: Visitor, holder: Any, code: str, title: str
) -> None:
    """The answer can only be the person's own: it ends in a page with its own words."""
    await visitor.begin()
    _, here_ = await visitor.references()

    told = await sent(visitor.gateway, await signed(visitor.gateway, here_, holder()))
    page = await visitor.get(visitor.page)

    assert (told.status, told.body["code"]) in ((403, code), (403, "path-signature"))
    assert title in page.text
    assert "Nothing of yours was sent" in page.text


async def test_who_declines_on_the_same_device_has_declined(visitor: Visitor) -> None:
    """The app brings the person back to the page, which says so."""
    await visitor.begin()
    _, here_ = await visitor.references()

    told = await sent(visitor.gateway, {"state": here_, "error": "access_denied"})
    page = await visitor.get(told.body["redirect_uri"])

    assert "The sign-in was declined on the phone" in page.text
    assert last_event(visitor.gateway).reason == "certificate-declined"
    assert last_event(visitor.gateway).outcome is LoginOutcome.DENIED


# --- time


async def test_a_request_is_over_after_five_minutes(visitor: Visitor, clock: Clock) -> None:
    """For the phone, and on the page."""
    await visitor.begin()
    across, _ = await visitor.references()
    form = await signed(visitor.gateway, across)
    clock.ahead = timedelta(minutes=5, seconds=1)

    found = await fetched(visitor.gateway, across)
    told = await sent(visitor.gateway, form)
    page = await visitor.get(visitor.page)

    assert (found.status, told.status) == (404, 400)
    assert "The time for this sign-in is over" in page.text
    assert last_event(visitor.gateway).reason == "certificate-time-over"


async def test_a_code_is_over_after_five_minutes(visitor: Visitor, clock: Clock) -> None:
    """Though it is the right one."""
    await visitor.begin()
    across, _ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, across))
    page = await visitor.get(visitor.page)
    clock.ahead = timedelta(minutes=5, seconds=1)

    late = await visitor.post(visitor.page + "/confirm", {"csrf": page.csrf(), "code": told.body["confirmation_code"]})

    assert late.location == visitor.page
    assert "The time for this sign-in is over" in (await visitor.get(visitor.page)).text


# --- server-sent events


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    """The data of each state, until the stream ends."""
    kind = ""
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            kind = text.removeprefix("event: ")
        elif text.startswith("data: ") and kind == "state":
            yield json.loads(text.removeprefix("data: "))


def listening_to(visitor: Visitor, language: str = "en") -> Any:
    """The page's stream, to be opened."""
    return visitor.http.get(f"{visitor.gateway.url}{visitor.page}/events", headers={"Accept-Language": language})


async def test_the_page_hears_what_the_phone_does(visitor: Visitor) -> None:
    """Waiting, fetched, trouble, answered; in the person's language; over once it goes on."""
    await visitor.begin()
    across, _ = await visitor.references()
    async with asyncio.timeout(30), listening_to(visitor, "ja") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        heard = events(response)
        first = await anext(heard)
        form = await signed(visitor.gateway, across)
        second = await anext(heard)
        await sent(visitor.gateway, {"state": across, "response": "x"})
        third = await anext(heard)
        told = await sent(visitor.gateway, form)
        fourth = await anext(heard)
        await visitor.confirm(told.body["confirmation_code"])
        rest = [each["state"] async for each in heard]

    assert first == {"state": "waiting", "text": "スマートフォンの操作を待っています。"}
    assert second["state"] == "fetched"
    assert third["notice"][0] == "あなたの電子証明書を確認できませんでした"
    assert fourth["state"] == "answered"
    assert rest == ["over"]


async def test_a_refusal_and_the_end_of_time_are_heard(visitor: Visitor, clock: Clock, says: Says) -> None:
    """Each ends the stream; the page itself then says why."""
    await visitor.begin()
    _, here_ = await visitor.references()
    says.standing = Standing.REVOKED
    async with asyncio.timeout(30), listening_to(visitor) as response:
        heard = events(response)
        await anext(heard)
        await sent(visitor.gateway, await signed(visitor.gateway, here_))
        assert [each["state"] async for each in heard][-1] == "refused"

    await visitor.begin()
    clock.ahead = timedelta(minutes=4, seconds=58)
    async with asyncio.timeout(30), listening_to(visitor) as response:
        assert [each["state"] async for each in events(response)] == ["waiting", "expired"]


async def test_a_stream_without_news_is_kept_alive(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """By comments, which no page sees: whatever stands between does not close it."""
    monkeypatch.setattr("gateway.certificate_pages.KEEPALIVE_SECONDS", 0.01)
    await visitor.begin()
    async with asyncio.timeout(30), listening_to(visitor) as response:
        async for line in response.content:
            if line == b":\n":
                break


async def test_few_listen_to_one_sign_in(visitor: Visitor) -> None:
    """A third one is sent away, to ask again by itself."""
    await visitor.begin()
    async with listening_to(visitor) as one, listening_to(visitor) as two:
        await anext(events(one))
        await anext(events(two))
        async with listening_to(visitor) as three:
            assert three.status == 429
    async with asyncio.timeout(30):
        while True:  # the two are gone as soon as the gateway hears of it
            async with listening_to(visitor) as again:
                if again.status == 200:
                    break
                await asyncio.sleep(0.05)


async def test_news_cross_from_process_to_process(
    tmp_path: Path, store_url: str, visitor: Visitor, app: Callable[[Process], web.Application]
) -> None:
    """The page waits at one gateway, the phone speaks to another on the same store."""
    beside = certificate_sample(tmp_path, state=visitor.gateway.sample)
    await visitor.begin()
    across, _ = await visitor.references()
    async with here(beside, store_url, app=app) as other, asyncio.timeout(30), listening_to(visitor) as response:
        heard = events(response)
        assert (await anext(heard))["state"] == "waiting"
        address = f"http://localhost:{other.sample.port}/certificate/requests/{across}"
        async with aiohttp.ClientSession() as http, http.get(address) as there:
            assert there.status == 200
        assert (await anext(heard))["state"] == "fetched"


async def test_a_gateway_that_stops_lets_the_pages_go(
    tmp_path: Path, store_url: str, app: Callable[[Process], web.Application]
) -> None:
    """A stream does not hold up the end; the browser comes again by itself."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with asyncio.timeout(30), aiohttp.ClientSession(cookie_jar=jar) as session:
        async with here(certificate_sample(tmp_path), store_url, app=app) as running:
            visitor = Visitor(gateway=running, http=session)
            await visitor.begin()
            heard = events(await listening_to(visitor))
            assert (await anext(heard))["state"] == "waiting"
        assert [each async for each in heard] == []


async def test_while_the_store_is_away_phones_are_told_in_their_form(
    tmp_path: Path, app: Callable[[Process], web.Application]
) -> None:
    """JSON with 503 for the phone, the page of every interruption for the person."""
    jar = aiohttp.CookieJar(unsafe=True)
    store = f"unix://{tmp_path / 's.sock'}"
    with contextlib.ExitStack() as server:
        server.enter_context(store_server(tmp_path))
        async with (
            here(certificate_sample(tmp_path / "gateway"), store, app=app) as running,
            aiohttp.ClientSession(cookie_jar=jar) as session,
        ):
            visitor = Visitor(gateway=running, http=session)
            await visitor.begin()
            across, _ = await visitor.references()
            form = await signed(running, across)
            server.close()

            told = await sent(running, form)
            found = await fetched(running, across)
            shown = [(await visitor.get(visitor.page + each)).status for each in ("", "/events")]

    assert (told.status, told.body["error"]) == (503, "temporarily_unavailable")
    assert (found.status, found.content_type) == (503, "application/json")
    assert shown == [503, 503]


async def test_a_certificate_replaced_before_its_holder_agrees_signs_in_no_more(
    visitor: Visitor, stranger: Visitor
) -> None:
    """Whoever has the former phone waits before the last page until the person has signed in with the new one."""
    await visitor.begin()
    across, _ = await visitor.references()
    told = await sent(visitor.gateway, await signed(visitor.gateway, across, issued("高橋 次郎")))
    former = await visitor.confirm(told.body["confirmation_code"])
    consent = await visitor.get(former.location)

    await stranger.begin()
    across, _ = await stranger.references()
    newer = issued("高橋 次郎", not_before=datetime.now(UTC) - timedelta(hours=1))
    told = await sent(stranger.gateway, await signed(stranger.gateway, across, newer))
    await stranger.confirm(told.body["confirmation_code"])

    end = await visitor.post(former.location, {"csrf": consent.csrf(), "decision": "agree"})
    assert "code=" not in end.location
    assert "Your certificate has been stopped" in end.text
