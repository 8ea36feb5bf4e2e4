"""Calls through the proxy: what reaches the service, what comes back, what is refused, and what is recorded."""

import asyncio
import base64
import contextlib
import gzip
import io
import json
import resource
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from gateway import patience
from observability.events import CallEvent, CallOutcome

from .gateway_sample import READ, Here, Sample, free_port, here
from .upstream_sample import Connection, Upstream, ok, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """One gateway for all tests here; its one service may be silent for one second."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("proxy"), upstream=service.url, timeout=1)
        async with here(sample, store_url) as gateway:
            yield gateway, service


@pytest.fixture
def service(running: tuple[Here, Upstream]) -> Upstream:
    """The service behind the routes, as if nothing had happened yet."""
    service = running[1]
    service.behave = ok
    service.calls.clear()
    service.called.clear()
    return service


@pytest.fixture
def gateway(running: tuple[Here, Upstream], service: Upstream) -> Here:  # noqa: ARG001 - set back with it
    """The gateway, likewise."""
    running[0].heard.events.clear()
    return running[0]


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A resident's app."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def problem(answer: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The answer is that problem, with the reference that its header has too (RFC 9457)."""
    body: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"urn:kakehashi:problem:{code}"
    assert body["request_id"] == answer.headers["Kakehashi-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


async def calls(gateway: Here, expected: int = 1) -> list[CallEvent]:
    """The calls recorded; there must be that many."""
    deadline = asyncio.get_running_loop().time() + 5
    while len(gateway.heard.of(CallEvent)) < expected and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - a recorder is plain
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)
    found = gateway.heard.of(CallEvent)
    assert len(found) == expected, found
    return found


@contextlib.asynccontextmanager
async def spoken(gateway: Here) -> AsyncIterator[SimpleNamespace]:
    """A caller byte by byte."""
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    try:
        yield SimpleNamespace(reader=reader, writer=writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def head(gateway: Here, line: str, *headers: str) -> bytes:
    """A request with a token, without its body."""
    token = f"Authorization: {gateway.sample.bearer()['Authorization']}"
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", token, *headers, "", ""]).encode()


def under_way(gateway: Here) -> float:
    """How many calls the metrics say are being answered."""
    _, text = gateway.process.telemetry.metrics.exposition(None, "")
    return float(text.partition(b"\nkakehashi_calls_under_way ")[2].split()[0])


# --- what passes


async def test_a_call_and_its_event(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """The service gets the call at its own path, with an assertion for it alone; one event says what happened."""
    async with http.get(gateway.url + "/api/notes", headers=gateway.sample.bearer()) as answer:
        assert (answer.status, await answer.read()) == (200, b"ok")
        request_id = answer.headers["Kakehashi-Request-Id"]

    (call,) = service.calls
    assert call.request_line == "GET /notes HTTP/1.1"
    assertion = call.header("Kakehashi-Assertion") or ""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in assertion.split(".")[:2])
    assert (header["alg"], header["typ"]) == ("ES256", "kakehashi-assertion+jwt")
    assert (claims["aud"], claims["municipality"], claims["jti"]) == ("notes", "102016", request_id)
    assert claims["exp"] - claims["iat"] <= 60
    assert call.header("Kakehashi-Request-Id") == request_id
    (event,) = await calls(gateway)
    assert (event.outcome, event.status, event.reason) == (CallOutcome.OK, 200, None)
    assert (event.route, event.service, event.municipality) == ("/api/notes", "notes", "102016")
    assert event.request_id == request_id
    assert event.upstream_seconds is not None
    assert 0 <= event.own_seconds < 1


async def test_the_query_passes_untouched(gateway: Here, service: Upstream) -> None:
    """Octet by octet: encoded, doubled, empty and odd parameters are the service's to understand."""
    query = "b=%2f&a=%E3%81%82&b=+&c&&d=%25%32%66&e=[x]|{y}"
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, f"GET /api/notes?{query}"))
        assert b" 200 " in await caller.reader.readline()
    assert service.calls[0].request_line == f"GET /notes?{query} HTTP/1.1"


async def test_what_a_caller_says_of_itself_is_dropped(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession
) -> None:
    """Identity headers, cookies, the token, hop-by-hop headers and names listed in Connection do not pass."""
    dropped = {
        "Cookie": "a=b",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-User": "mayor",
        "Forwarded": "for=203.0.113.9",
        "X-Remote-User": "mayor",
        "Remote-User": "mayor",
        "X-Kakehashi-Person": "mayor",
        "Kakehashi-Assertion": "forged",
        "Kakehashi-Request-Id": "forged",
        "TE": "gzip",
        "Proxy-Authorization": "Basic eA==",
        "Connection": "close, X-Secret",
        "X-Secret": "hop",
        "Upgrade": "h2c",
    }
    kept = {"Accept-Language": "ja", "Idempotency-Key": "k-1", "Range": "bytes=0-1", "X-App": "1"}
    async with http.get(gateway.url + "/api/notes", headers={**gateway.sample.bearer(), **dropped, **kept}) as answer:
        assert answer.status == 200
    (call,) = service.calls
    names = {name.lower() for name, _ in call.headers}
    assert names.isdisjoint(
        {
            "cookie",
            "authorization",
            "x-forwarded-for",
            "x-forwarded-user",
            "forwarded",
            "x-remote-user",
            "remote-user",
            "x-kakehashi-person",
            "te",
            "proxy-authorization",
            "x-secret",
            "upgrade",
        }
    )
    assert {name: call.header(name) for name in kept} == kept
    assert call.header("Kakehashi-Assertion") != "forged"
    assert call.header("Kakehashi-Request-Id") != "forged"
    assert call.header("Host") == service.url.removeprefix("http://")
    # nothing is invented in the caller's name
    assert call.header("Accept") == "*/*"
    assert call.header("Content-Type") is None


UPLOADED = (
    b"5\r\nhello\r\n0\r\nX-Checksum: 5\r\nContent-Digest: sha-256=:AA==:\r\nX-Empty:\r\nCookie: a=b\r\nX-Hop: 1\r\n"
    b"Authorization: Bearer x\r\nKakehashi-Assertion: forged\r\nX_Forwarded_For: 1\r\nIdempotency-Key: k\r\n"
    b"Content-Type: text/html\r\nX-Last: \xe5\xb1\xb1\r\n\r\n"
)
PASSED = ["X-Checksum: 5", "Content-Digest: sha-256=:AA==:", "X-Empty:", "X-Last: 山"]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_trailers_of_a_call_pass(gateway: Here, service: Upstream, pieces: int) -> None:
    """Those that may stand there, however they come; the connection ends with the answer, which says so."""
    sent = head(
        gateway,
        "POST /api/notes",
        "Transfer-Encoding: chunked",
        "Trailer: X-Checksum, Cookie, X-Last",
        "Connection: X-Hop",
    )
    async with spoken(gateway) as caller:
        size = -(-len(sent + UPLOADED) // pieces)
        for at in range(0, len(sent + UPLOADED), size):
            caller.writer.write((sent + UPLOADED)[at : at + size])
            await asyncio.sleep(0.0005)
        answer = await caller.reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer.lower()
    (call,) = service.calls
    assert call.trailers == PASSED
    assert call.header("Trailer") == "X-Checksum, X-Last"


async def test_a_trailer_is_no_header_of_the_next_request(gateway: Here, service: Upstream) -> None:
    """Whoever shares the connection, behind a proxy, is not given a header by the one before."""
    evil = head(gateway, "POST /api/notes", "Transfer-Encoding: chunked")
    evil += b"5\r\nhello\r\n0\r\nX-First: 1\r\nX-App: of another\r\n\r\n"
    honest = head(gateway, "GET /api/notes")
    for at_once in (True, False):
        async with spoken(gateway) as caller:
            caller.writer.write(evil + honest if at_once else evil)
            with contextlib.suppress(ConnectionError):
                await caller.reader.readuntil(b"\r\n\r\nok")
                caller.writer.write(honest)
                assert await caller.reader.read() == b""
    assert [call.request_line for call in service.calls] == ["POST /notes HTTP/1.1"] * 2


async def _trailing(connection: Connection) -> None:
    """Forty octets, in pieces or at once, and a line of trailers of every kind."""
    await connection.body()
    await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\n\r\n")
    if connection.request_line.endswith("slow HTTP/1.1"):
        await connection.say(b"14\r\n" + b"a" * 20 + b"\r\n")
        await asyncio.sleep(0.02)
        await connection.say(b"14\r\n" + b"a" * 20 + b"\r\n")
    else:
        await connection.say(b"28\r\n" + b"a" * 40 + b"\r\n")
    await connection.say(
        b"0\r\nX-Checksum: 40\r\nContent-Digest: sha-256=:AA==:\r\nServer-Timing: db;dur=5\r\n"
        b"Set-Cookie: a=b\r\nX-Hop: 1\r\nCache-Control: public\r\n"
        b"WWW-Authenticate: Basic\r\nKakehashi-Request-Id: forged\r\nContent-Encoding: gzip\r\n\r\n"
    )


@pytest.mark.parametrize("query", ["", "?slow"])
async def test_trailers_pass_to_who_reads_them(gateway: Here, service: Upstream, query: str) -> None:
    """A caller that says `TE: trailers` gets those that may stand there; the service hears that they are read."""
    service.behave = _trailing
    async with spoken(gateway) as caller:
        for _ in range(2):  # the connection goes on behind them
            caller.writer.write(
                head(gateway, f"GET /api/notes{query}", "TE: deflate;q=0.5, Trailers", "Connection: TE")
            )
            answer_head = await caller.reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in answer_head.lower()
            body = b""
            while size := int(await caller.reader.readline(), 16):
                body += (await caller.reader.readexactly(size + 2))[:-2]
            trailers = await caller.reader.readuntil(b"\r\n\r\n")
            assert body == b"a" * 40
            assert trailers == b"X-Checksum: 40\r\nContent-Digest: sha-256=:AA==:\r\nServer-Timing: db;dur=5\r\n\r\n"
    assert [(call.header("TE"), call.header("Connection")) for call in service.calls] == [("trailers", "TE")] * 2


@pytest.mark.parametrize(
    ("line", "te"), [("GET /api/notes?slow", "gzip"), ("GET /api/notes", ""), ("HEAD /api/notes", "trailers")]
)
async def test_trailers_pass_to_nobody_else(gateway: Here, service: Upstream, line: str, te: str) -> None:
    """Who did not say so, or asked for no body, gets none, and the service hears of no `TE`."""

    async def behave(connection: Connection) -> None:
        if line.startswith("HEAD"):
            await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        else:
            await _trailing(connection)

    service.behave = behave
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, line, f"TE: {te}", "Connection: close"))
        said = await caller.reader.read()
    assert b" 200 " in said
    assert b"X-Checksum" not in said
    assert service.calls[0].header("TE") is None


async def test_headers_are_not_invented(gateway: Here, service: Upstream) -> None:
    """A call without Accept, Accept-Encoding and User-Agent reaches the service without them."""
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "GET /api/notes"))
        await caller.reader.readline()
    names = {name.lower() for name, _ in service.calls[0].headers}
    assert names == {"host", "via", "kakehashi-assertion", "kakehashi-request-id", "kakehashi-timeout"}


async def test_what_a_service_may_not_say_is_dropped(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession
) -> None:
    """Hop-by-hop headers, cookies and what would speak for the gateway's origin do not come back; the rest does."""

    async def behave(connection: Connection) -> None:
        await connection.say(
            b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n"
            b"Set-Cookie: a=b\r\nStrict-Transport-Security: max-age=0\r\nProxy-Authenticate: Basic\r\n"
            b'Location: /notes/1\r\nLink: <a>\r\nLink: <b>\r\nETag: W/"1"\r\nX-App: 1\r\n\r\n{}'
        )

    service.behave = behave
    async with http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=b"x") as answer:
        assert (answer.status, answer.reason, await answer.read()) == (201, "Made", b"{}")
        for name in ("Set-Cookie", "X-Hop", "Keep-Alive", "Proxy-Authenticate", "Strict-Transport-Security"):
            assert name not in answer.headers
        assert answer.headers.getall("Link") == ["<a>", "<b>"]
        assert (answer.headers["ETag"], answer.headers["X-App"]) == ('W/"1"', "1")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"].endswith("sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "said", "status", "headers", "body"),
    [
        ("HEAD", "/api/notes", b"200 OK\r\nContent-Length: 12345\r\n\r\n", 200, {"Content-Length": "12345"}, b""),
        ("DELETE", "/api/notes/1", b"204 No Content\r\n\r\n", 204, {}, b""),
        ("GET", "/api/notes", b'304 Not Modified\r\nETag: "1"\r\n\r\n', 304, {"ETag": '"1"'}, b""),
        (
            "GET",
            "/api/files/a/b",
            b"206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab",
            206,
            {"Content-Range": "bytes 0-1/9", "Content-Length": "2"},
            b"ab",
        ),
        (
            "GET",
            "/api/notes",
            b"302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
            302,
            {"Location": "https://elsewhere.example/"},
            b"",
        ),
        (
            "GET",
            "/api/notes",
            b"418 Teapot\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}",
            418,
            {"Content-Type": "application/problem+json"},
            b"{}",
        ),
        ("GET", "/api/notes", b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, {}, b""),
    ],
    ids=["head", "no content", "not modified", "range", "redirect", "the service's own problem", "empty chunks"],
)
async def test_answers_of_every_shape(  # noqa: PLR0917 - a table's columns
    gateway: Here,
    service: Upstream,
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    said: bytes,
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    """Answers without a body, parts, redirects and errors come as the service gave them; the next call works too."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        await connection.say(b"HTTP/1.1 " + said)

    service.behave = behave
    for _ in range(2):  # the second on the same connections
        async with http.request(
            method, gateway.url + path, headers=gateway.sample.bearer(), allow_redirects=False
        ) as answer:
            assert (answer.status, await answer.read()) == (status, body)
            assert {name: answer.headers.get(name) for name in headers} == headers
    events = await calls(gateway, 2)
    assert {event.outcome for event in events} == {CallOutcome.OK}


async def test_content_codings_pass_as_they_are(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """A compressed answer is not unpacked and packed again."""
    packed = gzip.compress(b"x" * 1000)

    async def behave(connection: Connection) -> None:
        await connection.say(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed), packed
        )

    service.behave = behave
    headers = {**gateway.sample.bearer(), "Accept-Encoding": "gzip"}
    async with http.get(gateway.url + "/api/notes", headers=headers) as answer:
        assert await answer.read() == packed
        assert answer.headers["Content-Encoding"] == "gzip"


# --- both bodies stream


async def test_an_upload_streams(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """The service has the first chunk before the caller sends the second."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def behave(connection: Connection) -> None:
        while chunk := await connection.read_chunk():
            await arrived.put(chunk)
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def body() -> AsyncIterator[bytes]:
        for word in (b"first", b"second", b"third"):
            yield word
            assert await asyncio.wait_for(arrived.get(), 2) == word

    service.behave = behave
    async with http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=body()) as answer:
        assert await answer.read() == b"ok"


async def test_an_upload_of_known_length_keeps_it(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession
) -> None:
    """Content-Length passes, so that the service can refuse early; the body is the same octets."""
    bodies = []

    async def behave(connection: Connection) -> None:
        bodies.append(await connection.body())
        await connection.say(b"HTTP/1.1 204 No Content\r\n\r\n")

    service.behave = behave
    content = bytes(range(256)) * 1000
    async with http.put(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=content) as answer:
        assert answer.status == 204
    assert bodies == [content]
    assert service.calls[0].header("Content-Length") == "256000"
    assert service.calls[0].header("Transfer-Encoding") is None


async def test_events_stream_back(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """Server-sent events arrive one by one, each before the service says the next."""
    go = asyncio.Semaphore(0)

    async def behave(connection: Connection) -> None:
        await connection.say(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for n in range(4):
            await go.acquire()
            event = b"data: %d\n\n" % n
            await connection.say(b"%x\r\n%b\r\n" % (len(event), event))
        await connection.say(b"0\r\n\r\n")

    service.behave = behave
    async with http.get(gateway.url + "/api/notes", headers=gateway.sample.bearer()) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for n in range(4):
            go.release()
            assert await asyncio.wait_for(answer.content.readany(), 2) == b"data: %d\n\n" % n
            assert n == 3 or under_way(gateway) == 1  # after the last event the answer may have ended
        assert await answer.content.read() == b""
    await calls(gateway)
    assert under_way(gateway) == 0


async def test_a_slow_body_that_moves_is_no_silence(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession
) -> None:
    """An upload and an answer that take longer than the service's limit, but never pause for it, go through."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.3)
            await connection.say(b"x")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.3)
            yield b"x"

    service.behave = behave
    async with http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=body()) as answer:
        assert await answer.read() == b"xxxx"
    (event,) = await calls(gateway)
    assert event.outcome is CallOutcome.OK


async def test_large_bodies_take_no_memory(gateway: Here, service: Upstream) -> None:
    """A caller that reads slowly holds back the service: what is on the way stays small."""
    sent = 0
    size = 64 * 1024 * 1024

    async def behave(connection: Connection) -> None:
        nonlocal sent
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await connection.say(bytes(65536))
            sent += 65536

    service.behave = behave
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "GET /api/notes"))
        await caller.reader.readline()
        caller.writer.transport.pause_reading()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await asyncio.sleep(0.7)
        stopped_at = sent
        await asyncio.sleep(0.3)
        assert sent == stopped_at < size / 2  # kernel buffers on four sockets, and 64 KiB chunks of ours
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    (event,) = await calls(gateway)
    assert event.outcome is CallOutcome.ABANDONED


# --- limits


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_limit(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession, *, announced: bool
) -> None:
    """413, whether the length is announced (then the service is not asked at all) or found on the way."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(65536)
            await asyncio.sleep(0)

    content = io.BytesIO(bytes(20 * 65536)) if announced else body()
    async with http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=content) as answer:
        await problem(answer, 413, "body-too-large")
    (event,) = await calls(gateway)
    assert (event.outcome, event.status, event.reason) == (CallOutcome.REFUSED, 413, "body-too-large")
    assert len(service.calls) == (0 if announced else 1)


async def test_a_service_that_is_not_there(tmp_path: Path, store_url: str, http: aiohttp.ClientSession) -> None:
    """502 at once."""
    sample = Sample(tmp_path, upstream=f"http://127.0.0.1:{free_port()}")
    async with here(sample, store_url) as gateway:
        async with http.get(gateway.url + "/api/notes", headers=gateway.sample.bearer()) as answer:
            await problem(answer, 502, "upstream-unreachable")
        (event,) = await calls(gateway)
        assert (event.outcome, event.status) == (CallOutcome.FAILED, 502)
        assert event.reason == "upstream-unreachable"


async def _silent(_: Connection) -> None:
    await asyncio.sleep(30)


async def _never_reads(connection: Connection) -> None:
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport has it
    await asyncio.sleep(30)


async def _half_head(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 200 OK\r\nContent-Le")
    await asyncio.sleep(30)


async def _hangs_up(connection: Connection) -> None:
    connection.writer.close()
    raise ConnectionResetError


async def _nonsense(connection: Connection) -> None:
    await connection.say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def _switches(connection: Connection) -> None:
    await connection.say(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "size", "code"),
    [
        (_silent, 0, "upstream-too-slow"),
        (_never_reads, 1024 * 1000, "upstream-too-slow"),
        (_half_head, 0, "upstream-too-slow"),
        (_hangs_up, 0, "upstream-unreachable"),
        (_nonsense, 0, "upstream-unreachable"),
        (_switches, 0, "upstream-unreachable"),
    ],
)
async def test_a_service_that_fails_before_it_answers(  # noqa: PLR0917 - a table's columns
    gateway: Here, service: Upstream, http: aiohttp.ClientSession, behave: Any, size: int, code: str
) -> None:
    """502 long before the service would have gone on, and one event."""
    service.behave = behave
    async with (
        asyncio.timeout(20),
        http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=bytes(size)) as answer,
    ):
        await problem(answer, 502, code)
    (event,) = await calls(gateway)
    assert (event.outcome, event.status, event.reason) == (CallOutcome.FAILED, 502, code)


@pytest.mark.parametrize("silent", [True, False])
async def test_a_service_that_breaks_off_its_answer(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession, *, silent: bool
) -> None:
    """Half an answer is never shown as a whole one: the connection breaks, and the event says FAILED."""

    async def behave(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        if silent:
            await asyncio.sleep(30)
        connection.writer.close()
        raise ConnectionResetError

    service.behave = behave
    async with http.get(gateway.url + "/api/notes", headers=gateway.sample.bearer()) as answer:
        assert answer.status == 200
        assert await answer.content.readany() == b"half"
        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()
    (event,) = await calls(gateway)
    code = "upstream-too-slow" if silent else "upstream-unreachable"
    assert (event.outcome, event.status, event.reason) == (CallOutcome.FAILED, 200, code)


# --- callers that go away


async def test_a_caller_that_leaves_while_it_waits(
    gateway: Here, service: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's connection is closed soon after, and the call is recorded as abandoned, once."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.1)
    service.behave = _silent
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "GET /api/notes"))
        await service.called.wait()
    (event,) = await calls(gateway)
    assert (event.outcome, event.status) == (CallOutcome.ABANDONED, 499)
    assert event.upstream_seconds is not None
    assert event.upstream_seconds < 0.5
    await asyncio.sleep(0.05)
    assert service.calls[0].reader.at_eof()


async def test_a_caller_that_leaves_in_its_own_body(gateway: Here, service: Upstream) -> None:
    """That is no fault of the service."""
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "POST /api/notes", "Content-Length: 100000") + b"half")
        await service.called.wait()
    (event,) = await calls(gateway)
    assert event.outcome is CallOutcome.ABANDONED


@pytest.mark.parametrize("more", [b"", b"zzz\r\n"], ids=["silent", "malformed"])
async def test_a_caller_that_does_not_end_its_own_body(
    gateway: Here, service: Upstream, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    """A caller has a patience of its own, longer than the service’s; then its connection ends. Nonsense ends it."""
    monkeypatch.setattr(patience, "CALLER_SECONDS", 1.5)
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "POST /api/notes", "Transfer-Encoding: chunked") + b"2\r\nok\r\n")
        begun = asyncio.get_running_loop().time()
        await service.called.wait()
        caller.writer.write(more)
        assert await asyncio.wait_for(caller.reader.read(), 4) == b""
        assert more or asyncio.get_running_loop().time() - begun > 1.2
    (event,) = await calls(gateway)
    assert event.outcome is CallOutcome.ABANDONED
    assert len(service.calls) == 1


# --- what a caller waits for


async def test_a_body_is_asked_for_when_the_call_may_be_made(gateway: Here, service: Upstream) -> None:
    """`100 Continue` comes after the decision, once; the service hears nothing of it."""
    async with spoken(gateway) as caller:
        caller.writer.write(head(gateway, "POST /api/notes", "Content-Length: 4", "Expect: 100-Continue"))
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.writer.write(b"body")
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert service.calls[0].header("Expect") is None


async def test_a_body_that_may_not_come_is_not_asked_for(gateway: Here, service: Upstream) -> None:
    """The refusal comes at once, and the connection ends: whether the body follows nobody knows."""
    async with spoken(gateway) as caller:
        caller.writer.write(b"POST /api/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        answer = await asyncio.wait_for(caller.reader.readuntil(b"\r\n\r\n"), 30)
        caller.writer.write_eof()
        await asyncio.wait_for(caller.reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert b"100 Continue" not in answer
    assert not service.calls


# --- refusals


async def test_who_may_not(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """No token, a bad one, one without the scope or the level: the status, the reason, the challenge; never asked."""
    url = gateway.url + "/api/notes"
    bearer = gateway.sample.bearer
    async with http.get(url) as answer:
        await problem(answer, 401, "token-missing")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="kakehashi"'
    for bad in ({"Authorization": "Bearer x.y.z"}, bearer(age=timedelta(hours=1))):
        async with http.get(url, headers=bad) as answer:
            await problem(answer, 401, "token-invalid")
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    async with http.post(url, headers=bearer(scopes=(READ,)), data=b"x") as answer:
        assert (await problem(answer, 403, "scope-missing"))["scope"] == "notes.write"
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    async with http.post(url, headers=bearer(level=1), data=b"x") as answer:
        body = await problem(answer, 403, "call-assurance-too-low")
        assert body["acr_values"] == "urn:kakehashi:assurance:identity-2"
        assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    assert service.calls == []
    events = await calls(gateway, 5)
    assert [event.status for event in events] == [401, 401, 401, 403, 403]
    assert {event.outcome for event in events} == {CallOutcome.REFUSED}
    assert {event.upstream_seconds for event in events} == {None}


@pytest.mark.parametrize(("host", "status"), [("anything.example", 200), ("h:80", 200), ("a@b", 400), ("a b", 400)])
async def test_a_target_with_the_host_in_it(gateway: Here, service: Upstream, host: str, status: int) -> None:
    """As a client writes that takes the gateway for a proxy; it is the same call (RFC 9112 §3.2.2)."""
    service.calls.clear()
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    authorization = gateway.sample.bearer()["Authorization"]
    for _ in range(2):
        writer.write(
            f"GET HTTP://{host}/api/notes?a=%2F HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: {authorization}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ")[1] == str(status).encode()
        if status != 200:
            break
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
    writer.close()
    assert [call.request_line for call in service.calls] == ["GET /notes?a=%2F HTTP/1.1"] * (2 * (status == 200))


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP", "dpop"])
async def test_the_challenge_is_of_the_scheme_under_which_the_token_came(
    gateway: Here, http: aiohttp.ClientSession, scheme: str
) -> None:
    """So that a client that sends proofs finds its error (RFC 9449 §7.1); without any token it is Bearer."""
    for path in ("/api/notes", "/council/requests"):
        async with http.get(gateway.url + path, headers={"Authorization": f"{scheme} no.such.token"}) as answer:
            await problem(answer, 401, "token-invalid")
            kind, _, said = answer.headers["WWW-Authenticate"].partition(" ")
        assert kind.lower() == scheme.lower()
        assert 'error="invalid_token"' in said
        assert ('algs="' in said) is (kind == "DPoP")


@pytest.mark.parametrize("path", ["/api/%E5%B1%B1/x", "/api/a%20b", "/api/a%2Fb?secret=1"])
async def test_a_problem_names_the_path_as_it_was_asked_for(
    gateway: Here, http: aiohttp.ClientSession, path: str
) -> None:
    """A URI reference (RFC 9457 §3.1.5), without the query."""
    address = URL(gateway.url + path, encoded=True)
    async with http.get(address, headers=gateway.sample.bearer()) as answer:
        assert (await answer.json())["instance"] == path.partition("?")[0]


async def test_a_method_that_the_route_has_not(gateway: Here, http: aiohttp.ClientSession) -> None:
    """405, and Allow names those it has (RFC 9110 §15.5.6)."""
    async with http.delete(gateway.url + "/api/notes", headers=gateway.sample.bearer()) as answer:
        await problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"] == "GET, HEAD, POST, PUT"


PATHS = (
    "/api/nothing",
    "/api/",
    "/api/notes/",
    "/api//notes",
    "/api/notes/..",
    "/api/notes/../notes",
    "/api/notes/%2e%2e",
    "/api/notes/a%2Fb",
    "/api/notes/a%2fb",
    "/api/notes/a%5Cb",
    "/api/notes/a%252Fb",
    "/api/notes/%00",
    "/api/notes/a;b",
    "/api/notes/a%3Bb",
    "/api/files/a/../../notes",
    "/api/files/%2e%2e/secret",
    "/api/files/a%2f..%2f..%2fsecret",
    "/api/./notes",
    "/api/notes/%zz",
)


async def test_paths_that_two_readers_could_read_differently(gateway: Here, service: Upstream) -> None:
    """They have no route: 404 as problem JSON, and nothing reaches a service."""
    for path in PATHS:
        async with spoken(gateway) as caller:
            caller.writer.write(head(gateway, f"GET {path}", "Connection: close"))
            answer = await asyncio.wait_for(caller.reader.read(), 3)
        assert answer.startswith(b"HTTP/1.1 404 "), path
        assert b"application/problem+json" in answer, path
        assert b'"no-route"' in answer, path
    assert service.calls == []
    assert {event.route for event in await calls(gateway, len(PATHS))} == {None}


async def test_refused_uploads_leave_the_connection_usable(
    gateway: Here, service: Upstream, http: aiohttp.ClientSession
) -> None:
    """A refused call whose body was not read does not disturb the next one."""
    async with http.post(gateway.url + "/api/notes", data=bytes(200_000)) as answer:
        await problem(answer, 401, "token-missing")
    async with http.post(gateway.url + "/api/notes", headers=gateway.sample.bearer(), data=b"x") as answer:
        assert await answer.read() == b"ok"
    assert len(service.calls) == 1


async def test_calls_side_by_side_keep_apart(gateway: Here, service: Upstream, http: aiohttp.ClientSession) -> None:
    """Many calls at once: each gets its own answer, and each is one event."""

    async def behave(connection: Connection) -> None:
        word = connection.request_line.split()[1].rsplit("/", 1)[1].encode()
        await asyncio.sleep(0.01)
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(word), word))

    async def one(n: int) -> None:
        async with http.get(f"{gateway.url}/api/notes/{n}", headers=headers) as answer:
            assert await answer.read() == str(n).encode()

    service.behave = behave
    headers = gateway.sample.bearer()
    await asyncio.gather(*(one(n) for n in range(30)))
    events = await calls(gateway, 30)
    assert len({event.request_id for event in events}) == 30
