"""What holds for every answer of the public listener."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from gateway.app import public_app
from gateway.context import as_data
from gateway.process import Process
from observability.events import CallEvent, LoginEvent

from .gateway_sample import AUTHORIZE, Here, Sample, here

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def broken(_: web.Request) -> web.Response:
    """A fault of ours; its text could be anybody's."""
    raise KeyError("髙橋")


async def echo(request: web.Request) -> web.Response:
    """The request as the protocol rules see it."""
    seen = await as_data(request)
    return web.json_response(
        {"url": seen.url, "raw_query": seen.raw_query, "form": seen.form, "headers": dict(seen.headers)}
    )


def with_more(process: Process) -> web.Application:
    """The public listener, and two addresses more."""
    app = public_app(process.gateway)
    app.router.add_get("/broken", broken)
    app.router.add_route("*", "/echo", echo)
    return app


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Here]:
    """A gateway with two addresses more."""
    async with here(Sample(tmp_path_factory.mktemp("app")), store_url, app=with_more) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Here) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser."""
    async with aiohttp.ClientSession(base_url=gateway.url) as session:
        yield session


async def raw(gateway: Here, request: bytes) -> bytes:
    """What comes back for these octets, until the connection ends."""
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@pytest.mark.parametrize("path", ["/", "/nowhere", "/oidc/jwks", "/static/kakehashi.css", "/api/x", "/broken"])
async def test_every_answer_has_safe_headers_and_a_reference(http: aiohttp.ClientSession, path: str) -> None:
    """Pages, documents, files, problems and faults alike; a caller cannot choose the reference."""
    async with http.get(path, headers={"Kakehashi-Request-Id": "mine", "X-Request-Id": "mine"}) as answer:
        assert len(answer.headers["Kakehashi-Request-Id"]) == 16
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] in ("no-referrer", "strict-origin", "same-origin")
        assert "Cache-Control" in answer.headers
        assert "Strict-Transport-Security" not in answer.headers  # plain HTTP on loopback


async def test_a_fault_says_nothing_of_itself(http: aiohttp.ClientSession) -> None:
    """A page with the reference, and none of the fault."""
    async with http.get("/broken") as answer:
        text = await answer.text()
        assert answer.status == 500
        assert answer.headers["Kakehashi-Request-Id"] in text
        assert "髙橋" not in text
        assert "KeyError" not in text


async def test_the_query_is_seen_octet_by_octet(gateway: Here) -> None:
    """Detached signatures cover the exact octets (SAML Bindings §3.4.4.1), in whatever way they were escaped."""
    query = b"SAMLRequest=a%2bb%2B%c3%a9&RelayState=%E3%81%82+x%20y&SigAlg=http%3a%2F%2Fx&&=&e=[x]|~"
    answer = await raw(
        gateway, b"GET /echo?" + query + b" HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n"
    )
    assert b'"raw_query": "' + query + b'"' in answer
    assert f'"url": "{gateway.url}/echo"'.encode() in answer  # ours, whatever Host says


async def test_forms(http: aiohttp.ClientSession) -> None:
    """Fields in order, doubles kept; another type, a file, a body too long or undecodable are refused."""
    form = {"data": b"b=1&a=%E3%81%82&b=2+3&c=", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    async with http.post("/echo", **form) as answer:
        assert (await answer.json())["form"] == [["b", "1"], ["a", "あ"], ["b", "2 3"], ["c", ""]]
    refused = [
        {"json": {"a": "b"}},
        {"data": aiohttp.FormData({"a": "b"}, default_to_multipart=True)},
        {**form, "data": b"a=" + b"x" * 300_000},
    ]
    for options in refused:
        async with http.post("/echo", **options) as answer:
            assert answer.status == 400
            assert "reference" in (await answer.text()).lower()


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-16", "ISO-8859-1", "nonsense", '"utf-8"'])
async def test_a_form_is_utf_8_whatever_its_sender_says(http: aiohttp.ClientSession, charset: str) -> None:
    """Nobody chooses the decoder: Python's of punycode stops the process for seconds, by a quarter of a megabyte."""
    kind = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    async with http.post("/echo", data=b"a=%E3%81%82&b=" + "い".encode(), headers=kind) as answer:
        assert (await answer.json())["form"] == [["a", "あ"], ["b", "い"]]
    async with http.post("/echo", data="😀".encode("utf-16"), headers=kind) as answer:
        assert answer.status == 400


async def test_methods_and_malformed_requests(gateway: Here, http: aiohttp.ClientSession) -> None:
    """A method that an address has not is a page like any other; what is no HTTP ends the connection."""
    async with http.delete("/oidc/token") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    for octets in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n", b"GET /" + b"x" * 40_000):
        answer_octets = await raw(gateway, octets + b" HTTP/1.1\r\n\r\n")
        assert answer_octets.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        assert b"Traceback" not in answer_octets
    async with http.get("/") as answer:
        assert answer.status == 200


async def test_a_browser_that_goes_away_in_its_form(gateway: Here, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is left to tell; it is no fault of ours."""
    _, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    writer.write(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\na=b"
    )
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.1)
    assert caplog.records == []


async def test_a_login_that_is_begun_is_no_event(gateway: Here, http: aiohttp.ClientSession) -> None:
    """Events are ends; a page that is only looked at leaves no trace, and neither is the browser's cookie logged."""
    gateway.heard.events.clear()
    async with http.get(AUTHORIZE) as answer:
        assert answer.status == 200
        assert "kakehashi-browser" in {cookie.key for cookie in http.cookie_jar}
    assert gateway.heard.of(LoginEvent) + gateway.heard.of(CallEvent) == []
