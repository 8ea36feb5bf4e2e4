"""A service has a text signed: what it may ask, what the resident sees and decides, what comes of it."""

import base64
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from federation.certificate import container
from federation.certificate.timestamp import TimestampAuthority
from federation.oidc.jose import SigningKey, sign
from gateway.demo.peer import RemoteKeys
from gateway.demo.phone_answer import answer
from gateway.demo.phone_request import fetch, send
from gateway.demo.phone_wallet import Card
from tests.federation.certificate import texts
from tests.federation.certificate.authorities import Authority

from .gateway_sample import CALLBACK
from .signing_sample import AUTHORITY, CLIENTS, ORDER, TSA_ROOT, Answer, Region, now, region

WHOLE = f"{ORDER['title']}\n\n{ORDER['text']}"


@pytest.fixture
async def running(tmp_path: Path, store_url: str) -> AsyncIterator[Region]:
    """The region."""
    async with region(tmp_path / "region", store_url) as found:
        yield found


def proved(state: dict[str, Any]) -> container.Report:
    """What the container proves to somebody who believes two certificates."""
    anchors = container.Anchors(
        persons=(AUTHORITY.certificate,), timestamps=TimestampAuthority(url="", anchors=(TSA_ROOT.certificate,))
    )
    octets = base64.b64decode(state["container"])
    return container.check(octets, anchors, at=now() + timedelta(days=3650), text=WHOLE.encode())


@pytest.mark.parametrize("form", ["cms", "jws"])
async def test_a_text_is_signed_from_the_order_to_the_container(running: Region, form: str) -> None:
    """With a phone beside the browser: order, page, agreement, QR code, signature, code, container."""
    holder = running.around.person()
    page = await running.order(format=form)
    assert (await running.state(page))["status"] == "open"

    waiting = await running.agree(page)
    assert "<svg" in waiting.text
    claims = await running.claims(await running.across(page))
    assert claims["text"] == WHOLE
    assert (claims["task"], claims["formats"], claims["device"]) == ("sign-text", [form], "cross-device")
    assert claims["client_metadata"]["client_name#en"] == "site"
    assert claims["comparison_code"] in waiting.text

    told = await running.send(running.signed(claims, holder))
    assert told.status == 200, told.text
    assert (await running.state(page))["status"] == "open"  # nothing leaves before the code was typed

    asks = await running.get(page)
    back = await running.post(f"{page}/confirm", asks, code=told.json["confirmation_code"])
    assert (back.status, back.location) == (303, f"{CALLBACK}?id={page.rpartition('/')[2]}")

    state = await running.state(page)
    assert state["status"] == "signed"
    report = proved(state)
    assert report.path.leaf == holder.certificate
    assert report.timestamp.at.isoformat() == state["timestamp_at"]
    assert report.claimed_at.isoformat() == state["signed_at"]
    assert state["media_type"] == report.media_type


async def test_on_one_device_the_app_brings_the_person_back(running: Region) -> None:
    """No code is typed: the app opens an address that only this browser may use."""
    page = await running.order()
    claims = await running.claims(running.link(await running.agree(page)))
    told = await running.send(running.signed(claims, running.around.person()))

    address = told.json["redirect_uri"]
    assert (await running.request("GET", address)).status == 403  # another browser
    assert (await running.get(address + "x")).location == page
    assert (await running.state(page))["status"] == "open"
    assert (await running.get(address)).location.startswith(CALLBACK)
    assert (await running.state(page))["status"] == "signed"


# --- what a service may ask


async def test_only_services_that_may_can_ask(running: Region) -> None:
    """Known by their registered way, and with `signing: true`."""
    stranger = await running.request("POST", "/signing/requests", json=ORDER)
    assert (stranger.status, stranger.json["error"]) == (401, "invalid_client")
    other = await running.service("POST", "/signing/requests", client=CLIENTS[1], json=ORDER)
    assert (other.status, other.json["error"]) == (400, "unauthorized_client")


REFUSED: tuple[dict[str, Any], ...] = (
    {"text": ""},
    {"text": "あ" * 3000},
    {"text": "支払い 100円\u202e\n"},
    {"text": "a\tb"},
    {"text": '{"aud": "https://gateway.example/"}'},
    {"title": ""},
    {"title": "二行\nの題"},
    {"format": "pdf"},
    {"id_system": "maebashi"},
    {"id_system": "nowhere"},
    {"return_to": CALLBACK + "/elsewhere"},
    {"return_to": "https://evil.example/"},
    {"language": "xx"},
    {"more": "x"},
    {"text": 5},
)


async def test_orders_that_are_refused(running: Region) -> None:
    """A sentence says what was expected."""
    for changes in REFUSED:
        told = await running.service("POST", "/signing/requests", json={**ORDER, **changes})
        assert (told.status, told.json["error"]) == (400, "invalid_request"), changes
        assert told.json["error_description"]


async def test_a_service_with_a_key_calls_with_its_assertion(tmp_path: Path, store_url: str) -> None:
    """private_key_jwt (RFC 7523 §3), as bearer token; each counts once."""
    key = SigningKey.generate()
    metadata = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key.public_jwk()]}}
    async with region(tmp_path / "region", store_url, metadata=metadata, client_secret_sha256=None) as found:
        times = {"iat": int(now().timestamp()), "exp": int(now().timestamp()) + 60}
        own = {"iss": CLIENTS[0], "sub": CLIENTS[0], "aud": found.gateway.url, "jti": "1", **times}
        headers = {"Authorization": f"Bearer {sign(own, key)}"}
        told = await found.request("POST", "/signing/requests", json=ORDER, headers=headers)
        assert told.status == 201, told.text
        again = await found.request("POST", "/signing/requests", json=ORDER, headers=headers)
        assert (again.status, again.json["error"]) == (401, "invalid_client")
        foreign = {**own, "aud": "https://other.example", "jti": "2"}
        headers = {"Authorization": f"Bearer {sign(foreign, key)}"}
        assert (await found.request("POST", "/signing/requests", json=ORDER, headers=headers)).status == 401


@pytest.mark.parametrize("form", ["cms", "jws"])
async def test_the_phone_of_the_demo_signs_texts(running: Region, form: str) -> None:
    """Another implementation: it reads our request and verifies it, and we understand what it signs."""
    gateway = running.gateway.url
    page = await running.order(format=form)
    await running.agree(page)
    keys = RemoteKeys(f"{gateway}/certificate/jwks")
    asked = await fetch(running.apart, await running.across(page), keys, gateway=gateway, now=now())
    assert (asked.kind, asked.text) == ("sign-text", WHOLE)
    holder = running.around.person()
    card = Card(key=holder.key, algorithm="ES256", certificates=(holder.der,), attributes="")
    sent = await send(running.apart, asked, answer(asked, card, how=form, now=now()), gateway=gateway)
    await running.post(f"{page}/confirm", await running.get(page), code=sent.confirmation_code)
    assert proved(await running.state(page)).path.leaf == holder.certificate


async def test_rubbish_is_refused(running: Region) -> None:
    """Not JSON, and far too much."""
    for body in (b"", b"[]", b"{", b"{" * 100_000):
        told = await running.request(
            "POST",
            "/signing/requests",
            data=body,
            headers={"Authorization": _authorization(), "Content-Type": "application/json"},
        )
        assert told.status == 400
    form = await running.service("POST", "/signing/requests", data={"title": "x"})
    assert form.status == 400


def _authorization() -> str:
    from federation.oidc.oauth import basic  # noqa: PLC0415

    from .signing_sample import SECRET  # noqa: PLC0415

    return basic(CLIENTS[0], SECRET)


async def test_a_signing_belongs_to_the_service_that_asked(running: Region) -> None:
    """Nobody else reads or forgets it."""
    signing = (await running.order()).rpartition("/")[2]
    for method in ("GET", "DELETE"):
        assert (await running.service(method, f"/signing/requests/{signing}", client=CLIENTS[1])).status == 400
        assert (await running.request(method, f"/signing/requests/{signing}")).status == 401
        assert (await running.service(method, "/signing/requests/x")).status == 404


async def test_what_is_forgotten_is_gone(running: Region) -> None:
    """At any time: the page too."""
    page = await running.order()
    await running.agree(page)
    address = await running.across(page)
    gone = await running.service("DELETE", f"/signing/requests/{page.rpartition('/')[2]}")
    assert gone.status == 204
    assert (await running.service("GET", f"/signing/requests/{page.rpartition('/')[2]}")).status == 404
    assert (await running.get(page)).status == 400
    assert (await running.request("GET", address)).status == 404


# --- what the resident sees and decides


async def test_the_page_says_what_is_signed_and_what_the_service_gets(running: Region) -> None:
    """The whole text, and plainly: the certificate with name and address goes to the service."""
    shown = await running.get(await running.order())
    assert shown.status == 200
    assert texts.TEXT.splitlines()[1] in shown.text
    assert ORDER["title"] in shown.text
    assert "あなたの証明書" in shown.text  # the service asked for Japanese
    assert "氏名" in shown.text
    assert "<svg" not in shown.text  # nothing can be signed yet
    assert "no-store" in shown.headers["Cache-Control"]


async def test_markup_in_a_text_is_text(running: Region) -> None:
    """What a service writes is shown, never run."""
    shown = await running.get(await running.order(text="<script>alert(1)</script>", title="<b>x</b>"))
    assert "<script>alert" not in shown.text
    assert "&lt;b&gt;x" in shown.text


async def test_the_resident_may_decline(running: Region) -> None:
    """Then the service learns that, and nothing of the person."""
    page = await running.order()
    back = await running.post(page, await running.get(page), decision="not-now")
    assert back.location == f"{CALLBACK}?id={page.rpartition('/')[2]}"
    assert await running.state(page) == {"id": page.rpartition("/")[2], "status": "declined"}
    assert (await running.get(page)).location == back.location


async def test_only_the_browser_that_agreed_goes_on(running: Region) -> None:
    """Another one can neither see the QR code nor type the code."""
    page = await running.order()
    await running.agree(page)
    async with aiohttp.ClientSession() as stranger:
        assert (await running.request("GET", page, session=stranger)).status == 403
        assert (await running.request("POST", page, session=stranger, data={"decision": "agree"})).status == 403
        assert (await running.request("POST", f"{page}/confirm", session=stranger, data={"code": "1"})).status == 403


async def test_a_form_from_elsewhere_decides_nothing(running: Region) -> None:
    """Without the token of the page."""
    page = await running.order()
    await running.get(page)
    assert (await running.request("POST", page, session=running.http, data={"decision": "agree"})).status == 403


async def test_a_wrong_code_may_be_typed_twice(running: Region) -> None:
    """The third time it ends, and the signature goes nowhere."""
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    told = await running.send(running.signed(claims, running.around.person()))
    wrong = f"{(int(told.json['confirmation_code']) + 1) % 10**6:06}"
    asks = await running.get(page)
    assert (await running.post(f"{page}/confirm", asks, code="abc")).status == 400
    for _ in range(2):
        again = await running.post(f"{page}/confirm", asks, code=wrong)
        assert again.status == 400
        assert told.json["confirmation_code"] not in again.text
    last = await running.post(f"{page}/confirm", asks, code=wrong)
    assert last.location.startswith(CALLBACK)
    assert (await running.state(page))["status"] == "refused"
    late = await running.post(f"{page}/confirm", asks, code=told.json["confirmation_code"])
    assert late.status == 303
    assert "container" not in await running.state(page)


# --- what the phone may answer


async def refused(running: Region, form: Any) -> Answer:
    """An answer that is refused."""
    told = await running.send(form)
    assert told.status in (400, 403), told.text
    return told


async def test_answers_that_do_not_count_leave_the_request_open(running: Region) -> None:
    """Whoever photographed the QR code cannot end it; the page says what was wrong; then the right answer counts."""
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    holder = running.around.person()
    stranger = running.around.person(by=Authority.root("Example CA"))
    assert (await refused(running, running.signed(claims, holder, text="another text"))).json[
        "code"
    ] == "request-altered"
    assert (await refused(running, running.signed(claims, holder, nonce="another"))).json["code"] == "nonce"
    assert (await refused(running, running.signed(claims, stranger))).json["code"] == "untrusted-issuer"
    shown = (await running.get(page)).text
    assert "QRコードを読み取ったおそれ" in shown
    assert "<svg" in shown
    declined = await running.send({"state": claims["state"], "error": "access_denied"})
    assert declined.status == 200
    assert (await running.send(running.signed(claims, holder))).status == 200


async def test_answers_that_do_not_hold_end_a_round_and_say_so(running: Region) -> None:
    """After five the requests are gone; the page says why, and begins again at the person's word."""
    page = await running.order()
    await running.agree(page)
    address = await running.across(page)
    claims = await running.claims(address)
    for _ in range(5):
        told = await running.send({"state": claims["state"], "response": "x"})
        assert (told.status, told.json["code"]) == (403, "answer-malformed")
    late = await running.send(running.signed(claims, running.around.person()))
    assert (late.status, late.json["code"]) == (400, "request-unknown")
    assert (await running.request("GET", address)).status == 404
    shown = await running.get(page)
    assert "確認できない返事が、何度も届きました" in shown.text
    assert "もう一度始めてください" in shown.text
    assert "<svg" not in shown.text.partition("<main")[2]
    assert (await running.state(page))["status"] == "open"

    await running.agree(page)
    again = await running.claims(await running.across(page))
    told = await running.send(running.signed(again, running.around.person()))
    assert told.status == 200
    done = await running.post(f"{page}/confirm", await running.get(page), code=told.json["confirmation_code"])
    assert done.status == 303
    assert (await running.state(page))["status"] == "signed"


async def test_the_page_that_waits_can_be_read_in_peace(running: Region) -> None:
    """Without JavaScript it looks again by itself, until that is stopped (WCAG 2.2 §2.2.2)."""
    page = await running.order()
    shown = await running.agree(page)
    assert 'http-equiv="refresh"' in shown.text
    assert "paused=1" in shown.text
    stopped = await running.get(f"{page}?paused=1")
    assert 'http-equiv="refresh"' not in stopped.text


async def test_a_request_is_answered_once(running: Region) -> None:
    """Neither again, nor by the other device's request."""
    page = await running.order()
    here = running.link(await running.agree(page))
    claims, beside = await running.claims(await running.across(page)), await running.claims(here)
    form = running.signed(claims, running.around.person())
    assert (await running.send(form)).status == 200
    assert (await refused(running, form)).json["code"] == "request-unknown"
    assert (await refused(running, running.signed(beside, running.around.person()))).json["code"] == "request-unknown"


async def test_a_new_round_ends_the_one_before(running: Region) -> None:
    """An old QR code cannot be answered."""
    page = await running.order()
    await running.agree(page)
    before = await running.claims(await running.across(page))
    shown = await running.get(page)
    await running.post(page, shown, decision="agree")
    assert (await refused(running, running.signed(before, running.around.person()))).json["code"] == "request-unknown"


async def test_a_revoked_certificate_signs_nothing(running: Region) -> None:
    """Its issuer is asked; what it says counts at once."""
    holder = running.around.person("失効 太郎")
    AUTHORITY.revoke(holder.certificate, now() - timedelta(minutes=1))
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    assert (await refused(running, running.signed(claims, holder))).json["code"] == "revoked"


async def test_without_evidence_there_is_no_container(running: Region) -> None:
    """A certificate that names nobody who could be asked: nothing would prove later that it was good."""
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    holder = running.around.person(ocsp_urls=())
    assert (await refused(running, running.signed(claims, holder))).json["code"] == "status-unavailable"


async def test_pages_cannot_post_answers(running: Region) -> None:
    """Answers come from apps."""
    assert (await running.send({"state": "x"}, Origin="https://evil.example")).status == 403
    assert (await running.send({"state": "x"})).status == 400
    assert (await running.send(b"x" * 200_000)).status in (400, 413)
    assert (await running.request("GET", "/signing/objects/x")).status == 404


# --- the timestamp authority


async def test_a_timestamp_authority_that_stumbles_is_asked_again(running: Region) -> None:
    """Twice it does not answer, the third time it does."""
    running.around.refusals = 2
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    assert (await running.send(running.signed(claims, running.around.person()))).status == 200
    assert running.around.asked == 3


async def test_without_a_timestamp_nothing_is_handed_out_and_the_phone_may_try_again(running: Region) -> None:
    """A clear error on the phone and on the page; the same request then counts."""
    running.around.stamps = False
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    form = running.signed(claims, running.around.person())
    told = await running.send(form)
    assert (told.status, told.json["error"], told.json["code"]) == (
        503,
        "temporarily_unavailable",
        "timestamp-not-granted",
    )
    assert "タイムスタンプ" in (await running.get(page)).text
    running.around.stamps = True
    assert (await running.send(form)).status == 200


async def test_the_page_hears_what_happens(running: Region) -> None:
    """Server-sent events: why an answer did not count, and that the phone has signed; nobody else hears it."""
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    assert (await running.request("GET", f"{page}/events")).status == 204
    async with running.http.get(f"{running.gateway.url}{page}/events?lang=en") as stream:
        assert stream.content_type == "text/event-stream"
        assert b'"state": "waiting"' in await stream.content.readuntil(b"\n\n")
        await running.send({"state": claims["state"], "error": "access_denied"})
        assert b"The phone declined" in await _until(stream, b"notice")
        await running.send(running.signed(claims, running.around.person()))
        assert b'"state": "answered"' in await _until(stream, b"answered")
        assert await stream.content.read() == b""


async def _until(stream: aiohttp.ClientResponse, word: bytes) -> bytes:
    """The next event with that word: a page may be told twice what it knows."""
    while word not in (told := await stream.content.readuntil(b"\n\n")):
        assert told
    return told


# --- what is told of whom


async def test_the_log_and_the_addresses_name_nobody(running: Region, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the person, not the text, not the certificate."""
    page = await running.order()
    await running.agree(page)
    claims = await running.claims(await running.across(page))
    await refused(running, running.signed(claims, running.around.person("秘密 花子"), text="ほか"))
    told = await running.send(running.signed(claims, running.around.person("秘密 花子")))
    back = await running.post(f"{page}/confirm", await running.get(page), code=told.json["confirmation_code"])
    written = "".join(capsys.readouterr())
    for secret in ("秘密", "花子", "医療費", "MII"):
        assert secret not in written
        assert secret not in back.location
    assert re.fullmatch(re.escape(CALLBACK) + r"\?id=[\w-]{43}", back.location)


async def test_without_the_configuration_there_is_no_such_service(tmp_path: Path, store_url: str) -> None:
    """`signing` is asked for by name."""
    async with region(tmp_path / "region", store_url, signing=False) as found:
        told = await found.service("POST", "/signing/requests", json=ORDER)
        assert (told.status, told.json["error"]) == (400, "unauthorized_client")
