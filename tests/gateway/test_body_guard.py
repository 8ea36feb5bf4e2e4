"""Calls of routes that are guarded: what must never pass reaches neither the service nor the caller, nor any log."""

import asyncio
import gzip
import io
import json
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from federation.guard import Finding, Guard, Outcome
from federation.routes import Inspected
from gateway.body_guard import CallGuard
from observability.events import CallEvent, CallOutcome, GuardEvent
from observability.logs import LogRecorder, configure

from .gateway_sample import READ, Here, Sample, here
from .upstream_sample import Connection, Upstream, ok, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = "123456789018"
GUARD = {"request": "refuse", "response": "refuse", "allow": ["ticket"], "unlooked": ["image/png"]}
COUNTING = {"request": "report", "response": "report"}
JSON = {"Content-Type": "application/json"}


def guarded(sample: Sample) -> None:
    """Give the routes of the sample their guards."""
    routes = sample.routes()
    for path, guard in (("/guarded", GUARD), ("/counting", COUNTING), ("/guarded/{note}", GUARD)):
        routes["routes"].append(
            {
                "path": "/api" + path,
                "methods": ["GET", "HEAD", "POST"],
                "service": "notes",
                "upstream_path": path,
                "scope": READ,
                "members": "region",
                "minimum_identity": 1,
                "guard": guard,
            }
        )
    sample.write("routes.yaml", routes)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """One gateway for all tests here, and its one service."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("guard"), upstream=service.url, timeout=2)
        guarded(sample)
        async with here(sample, store_url) as gateway:
            yield gateway, service


@pytest.fixture
def service(running: tuple[Here, Upstream]) -> Upstream:
    """The service behind the routes, as if nothing had happened yet."""
    running[1].behave = ok
    running[1].calls.clear()
    return running[1]


@pytest.fixture
def gateway(running: tuple[Here, Upstream], service: Upstream) -> Here:  # noqa: ARG001 - set back with it
    """The gateway, likewise."""
    running[0].heard.events.clear()
    return running[0]


async def asked(
    gateway: Here, path: str, *, data: Any = None, headers: dict[str, str] | None = None, method: str | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of the answer to a resident's app."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            method or ("GET" if data is None else "POST"),
            gateway.url + path,
            data=data,
            headers={**gateway.sample.bearer(), **(headers or {})},
        ) as answer,
    ):
        return answer.status, await answer.read(), dict(answer.headers)


def saying(body: bytes, *headers: str, kind: str = "application/json", status: str = "200 OK") -> Any:
    """A service that answers with this."""

    async def behave(connection: Connection) -> None:
        await connection.body()
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers, "", ""]
        await connection.say("\r\n".join(head).encode(), body)

    return behave


def found(gateway: Here) -> list[tuple[str, str, str]]:
    """What the guard told."""
    return [(e.kind, e.outcome, e.direction) for e in gateway.heard.of(GuardEvent)]


async def test_a_call_with_a_number_is_refused(gateway: Here, service: Upstream) -> None:
    """Problem JSON with a code; the service never has a whole call; the event says kind and place."""
    status, body, _ = await asked(gateway, "/api/guarded", data=json.dumps({"note": NUMBER}).encode(), headers=JSON)
    problem = json.loads(body)
    assert (status, problem["code"]) == (422, "call-forbidden-content")
    assert NUMBER not in body.decode()
    assert found(gateway) == [("my-number", "refuse", "in")]
    (event,) = gateway.heard.of(GuardEvent)
    assert (event.where, event.service, event.route) == ("call", "notes", "/api/guarded")
    (call,) = gateway.heard.of(CallEvent)
    assert (call.outcome, call.reason) == (CallOutcome.REFUSED, "call-forbidden-content")
    service.behave = ok
    assert (await asked(gateway, "/api/guarded", data=b'{"a":1}', headers=JSON))[0] == 200


async def test_a_number_across_the_pieces_of_a_call(gateway: Here, service: Upstream) -> None:
    """The service gets none of its digits."""
    came = bytearray()

    async def behave(connection: Connection) -> None:
        while chunk := await connection.read_chunk():
            came.extend(chunk)

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"a":"' + b"x" * 200_000 + b" 1234"
        await asyncio.sleep(0.05)
        yield b"5678"
        await asyncio.sleep(0.05)
        yield b'9018"}'

    service.behave = behave
    status, body, _ = await asked(gateway, "/api/guarded", data=pieces(), headers=JSON)
    assert (status, json.loads(body)["code"]) == (422, "call-forbidden-content")
    assert b"1234" not in came


async def test_an_ordinary_call_passes_whole(gateway: Here, service: Upstream) -> None:
    """Body and answer are what they were, plain or compressed."""
    sent = json.dumps({"phone": "090-1234-5678", "text": "前橋" * 20_000}).encode()
    came: list[bytes] = []

    async def answering(connection: Connection) -> None:
        came.append(await connection.body())
        await connection.say(
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode(), sent
        )

    service.behave = answering
    for data, more in ((sent, {}), (gzip.compress(sent), {"Content-Encoding": "gzip"})):
        status, body, _ = await asked(gateway, "/api/guarded", data=io.BytesIO(data), headers={**JSON, **more})
        assert (status, body, came.pop()) == (200, sent, data)
    assert found(gateway) == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/api/guarded/{NUMBER}", {}),
        (f"/api/guarded?note={NUMBER}", {}),
        ("/api/guarded?note=%EF%BC%91%EF%BC%92%EF%BC%9345-6789-018", {}),
        (f"/api/guarded?my_number={NUMBER[:11]}1", {}),
        ("/api/guarded", {"X-Person": NUMBER}),
    ],
)
async def test_addresses_and_headers(gateway: Here, service: Upstream, path: str, headers: dict[str, str]) -> None:
    """A number there is refused before the service is asked, and the problem does not repeat the address."""
    status, body, _ = await asked(gateway, path, headers=headers)
    assert (status, json.loads(body)["code"]) == (422, "call-forbidden-content")
    assert "instance" not in json.loads(body)
    assert NUMBER not in body.decode()
    assert service.calls == []


async def test_an_answer_with_a_number_is_withheld(gateway: Here, service: Upstream) -> None:
    """A problem document stands in its place."""
    service.behave = saying(json.dumps({"rows": ["x" * 30_000, {"name": NUMBER}]}).encode())
    status, body, headers = await asked(gateway, "/api/guarded")
    assert (status, json.loads(body)["code"]) == (502, "answer-forbidden-content")
    assert headers["Content-Type"] == "application/problem+json"
    assert found(gateway) == [("my-number", "refuse", "out")]


async def test_a_long_answer_is_broken_off(gateway: Here, service: Upstream) -> None:
    """What has begun cannot be called back: the connection ends before the number."""
    service.behave = saying(json.dumps({"rows": ["x" * 100 for _ in range(10_000)] + [NUMBER]}).encode())
    got = bytearray()

    async def read() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(gateway.url + "/api/guarded", headers=gateway.sample.bearer()) as answer,
        ):
            assert answer.status == 200
            async for chunk in answer.content.iter_any():
                got.extend(chunk)

    with pytest.raises(aiohttp.ClientError):
        await read()
    assert NUMBER[:4].encode() not in got
    await asyncio.sleep(0.05)
    (call,) = gateway.heard.of(CallEvent)
    assert (call.outcome, call.reason) == (CallOutcome.FAILED, "answer-forbidden-content")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        (["Content-Encoding: br"], "application/json"),
        (["Content-Encoding: identity", "Content-Encoding: gzip"], "application/json"),
        (["Content-Encoding: gzip, gzip"], "application/json"),
        (["Content-Encoding: ", "Content-Encoding: gzip"], "application/json"),
        (["Content-Type: image/png"], "application/json"),
        ([], "application/pdf"),
        (["Content-Range: bytes 0-5/9"], "text/plain"),
    ],
)
async def test_an_answer_that_nobody_can_look_at(
    gateway: Here, service: Upstream, headers: list[str], kind: str
) -> None:
    """It does not pass on a guarded route."""
    service.behave = saying(b"x" * 6, *headers, kind=kind)
    status, body, _ = await asked(gateway, "/api/guarded")
    assert (status, json.loads(body)["code"]) == (502, "answer-not-inspectable")
    assert found(gateway) == [("uninspected", "refuse", "out")]


async def test_a_call_that_nobody_can_look_at(gateway: Here) -> None:
    """415; but types that the operator lists pass."""
    for first in ("identity", "", "gzip"):
        several = CIMultiDict([*JSON.items(), ("Content-Encoding", first), ("Content-Encoding", "gzip")])
        packed = gzip.compress(f'{{"a":{NUMBER}}}'.encode())
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                gateway.url + "/api/guarded",
                data=io.BytesIO(packed),
                headers=CIMultiDict([*several.items(), *gateway.sample.bearer().items()]),
            ) as answer,
        ):
            assert (answer.status, (await answer.json())["code"]) == (415, "call-not-inspectable")
    status, body, _ = await asked(gateway, "/api/guarded", data=b"\x00", headers={"Content-Type": "application/x-tar"})
    assert (status, json.loads(body)["code"]) == (415, "call-not-inspectable")
    image = {"Content-Type": "image/png"}
    assert (await asked(gateway, "/api/guarded", data=NUMBER.encode(), headers=image))[0] == 200


async def test_answers_without_a_body_pass(gateway: Here, service: Upstream) -> None:
    """HEAD, and a status that has none."""
    service.behave = saying(b"", status="304 Not Modified", kind="image/gif")
    assert (await asked(gateway, "/api/guarded"))[0] == 304

    async def head(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 9\r\n\r\n")

    service.behave = head
    assert (await asked(gateway, "/api/guarded", method="HEAD"))[0] == 200


async def test_parts_and_codings_are_not_asked_for(gateway: Here, service: Upstream) -> None:
    """A number could stand between two ranges, and nobody here opens br."""
    await asked(gateway, "/api/guarded", headers={"Range": "bytes=0-5", "Accept-Encoding": "br"})
    (call,) = service.calls
    assert call.header("Range") is None
    assert call.header("Accept-Encoding") == "identity"


async def test_allowed_fields_and_counting_routes_pass(gateway: Here, service: Upstream) -> None:
    """What is only reported passes as it is, and is counted, also in the metrics."""
    sent = json.dumps({"ticket": NUMBER}).encode()
    assert (await asked(gateway, "/api/guarded", data=sent, headers=JSON))[0] == 200
    service.behave = saying(json.dumps({"name": NUMBER}).encode())
    status, body, _ = await asked(gateway, "/api/counting", data=json.dumps({"name": NUMBER}).encode(), headers=JSON)
    assert (status, json.loads(body)) == (200, {"name": NUMBER})
    assert (await asked(gateway, "/api/counting", data=b"x", headers={"Content-Type": "image/gif"}))[0] == 200
    assert found(gateway) == [
        ("my-number", "report", "in"),
        ("my-number", "report", "in"),
        ("my-number", "report", "out"),
        ("uninspected", "report", "in"),
        ("my-number", "report", "out"),
    ]
    _, text = gateway.process.telemetry.metrics.exposition(None, "")
    counted = [line for line in text.decode().splitlines() if line.startswith("kakehashi_guard_findings_total{")]
    line = 'kakehashi_guard_findings_total{direction="in",kind="my-number",outcome="report",where="call"}'
    assert any(each.startswith(line) and float(each.split()[-1]) >= 2 for each in counted)
    assert NUMBER not in text.decode()


async def test_other_routes_are_not_looked_at(gateway: Here) -> None:
    """Who does not ask for it pays nothing."""
    assert (await asked(gateway, "/api/notes?note=" + NUMBER))[0] == 200
    assert found(gateway) == []


async def test_large_pieces_are_looked_at_beside_the_loop() -> None:
    """Other calls go on meanwhile; a few bytes are not worth a thread."""
    seen: set[bool] = set()

    class Noting(Guard):
        def inspect(self, name: str | None, values: Iterable[str]) -> tuple[Finding, ...]:
            seen.add(threading.current_thread() is threading.main_thread())
            return super().inspect(name, values)

    async def looked_at(body: bytes) -> set[bool]:
        seen.clear()
        guard = CallGuard(Inspected(guard=Noting(), request=Outcome.REFUSE), lambda *_: None)

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        assert b"".join([chunk async for chunk in guard.call(pieces(), CIMultiDict(JSON))]) == body
        return set(seen)

    assert await looked_at(b'{"a":1}') == {True}
    assert await looked_at(json.dumps(["前橋"] * 5000).encode()) == {False}


async def test_no_log_line_holds_the_number(gateway: Here, service: Upstream, tmp_path: Path) -> None:
    """Every event as a line, and what the proxy says itself."""
    lines = tmp_path / "log"
    with lines.open("w") as stream:
        configure(version="1", stream=stream)
        await asked(gateway, f"/api/guarded/{NUMBER}")
        await asked(gateway, "/api/guarded", data=json.dumps({"a": NUMBER}).encode(), headers=JSON)
        service.behave = saying(json.dumps({NUMBER: NUMBER}).encode())
        await asked(gateway, "/api/guarded")
        recorder = LogRecorder()
        for event in gateway.heard.events:
            recorder.record(event)
        configure(version="1")
    text = lines.read_text()
    assert "call-forbidden-content" in text
    assert '"event":"guard"' in text
    assert "dropped_keys" not in text
    assert NUMBER not in text


async def test_nothing_passes_a_guard_in_a_trailer(gateway: Here, service: Upstream) -> None:
    """Nobody looks at trailers, so they are dropped."""
    reader, writer = await asyncio.open_connection("localhost", gateway.sample.port)
    token = gateway.sample.bearer()["Authorization"]
    head = ["POST /api/guarded HTTP/1.1", "Host: x", f"Authorization: {token}", "Content-Type: application/json"]
    writer.write("\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode())
    writer.write(b"2\r\n{}\r\n0\r\nX-Number: " + NUMBER.encode() + b"\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    (call,) = service.calls
    assert call.trailers == []
