"""A gateway that serves is spoken to octet by octet, by callers that mean harm.

Whatever is sent: the service hears nothing, or whole calls that no reader could take for anything else, and the
connection never carries one call into another. Each row is sent at once and in single octets.
"""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conformance import hostile_sample
from tests.conformance.hostile_sample import Row, Speaker, length
from tests.gateway.gateway_sample import Sample, Served, served
from tests.gateway.upstream.raw_server import speaking

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = Speaker("token", 59_999)
ROWS = hostile_sample.rows(NAMES)

SHORT = 500
"""Rows up to so many octets are sent octet by octet too."""

BOTH = [
    (name, slowly) for name, row in ROWS.items() for slowly in (False, True) if not slowly or len(row.sent) <= SHORT
]

SECONDS = 20.0

LINE = re.compile(rb"(GET|HEAD|POST) /[!-~]* HTTP/1\.1")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*")
ANSWER = re.compile(rb"HTTP/1\.[01] (\d\d\d) ")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

NEVER_FORWARDED = {
    *(b"authorization", b"connection", b"expect", b"http2-settings", b"keep-alive", b"proxy-authorization"),
    *(b"te", b"trailer", b"upgrade"),
}


@dataclass
class Strict:
    """A service that reads as the specification says and in no other way, and says back what it was asked."""

    calls: list[tuple[str, bytes]] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as end:
                self.faults += [end.partial] if end.partial else []
                return
            except asyncio.LimitOverrunError:
                self.faults.append(b"a head of more than 64 KB")
                return
            line, *lines = head[:-4].split(b"\r\n")
            self.faults += [line] if not LINE.fullmatch(line) or b"#" in line else []
            self.faults += [each for each in lines if not FIELD.fullmatch(each)]
            fields: dict[bytes, list[bytes]] = {}
            for each in lines:
                name, _, value = each.partition(b": ")
                fields.setdefault(name.lower(), []).append(value)
            body = await self._body(fields, reader)
            if body is None:
                return
            self._judge(fields)
            method, target, _ = line.decode().split(" ")
            self.calls.append((f"{method} {target}", body))
            said = target.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said * (method != "HEAD"))

    def _judge(self, fields: dict[bytes, list[bytes]]) -> None:
        """Each call says who calls, once, and where it is."""
        for name in (b"host", b"kakehashi-assertion", b"kakehashi-request-id"):
            if len(fields.get(name, [])) != 1:
                self.faults.append(b"not one %s" % name)
        if not fields[b"host"][0].startswith(b"127.0.0.1:"):
            self.faults.append(b"Host: " + fields[b"host"][0])
        self.faults += NEVER_FORWARDED & fields.keys()

    async def _body(  # noqa: PLR0911 - each way to break off
        self, fields: dict[bytes, list[bytes]], reader: asyncio.StreamReader
    ) -> bytes | None:
        """The body; None if it broke off. What is not framed in the one way that is left is a fault."""
        framing = [*fields.get(b"content-length", ()), *fields.get(b"transfer-encoding", ())]
        if len(framing) > 1:
            self.faults.append(b"two lengths")
            return None
        try:
            if b"content-length" in fields:
                return await reader.readexactly(int(framing[0]))
            if not framing:
                return b""
            assert framing == [b"chunked"]
            whole = b""
            while True:
                size = await reader.readuntil(b"\r\n")
                if not re.fullmatch(rb"[0-9a-fA-F]{1,8}\r\n", size):
                    self.faults.append(size)
                    return None
                if not int(size, 16):
                    await self._trailers(reader)
                    return whole
                piece = await reader.readexactly(int(size, 16) + 2)
                if not piece.endswith(b"\r\n"):
                    self.faults.append(piece)
                    return None
                whole += piece[:-2]
        except asyncio.IncompleteReadError:
            return None  # broken off: nobody acts on it

    async def _trailers(self, reader: asyncio.StreamReader) -> None:
        """What comes after a body in chunks is fields, and none that says who calls or how to read the call."""
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name = line.partition(b":")[0].lower()
            if not FIELD.fullmatch(line.removesuffix(b"\r\n")) or name in NEVER_FORWARDED | {b"expect"}:
                self.faults.append(line)


@dataclass(frozen=True)
class Scene:
    """What every test has."""

    gateway: Served
    service: Strict
    say: Speaker


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """A gateway as a process, before the strict service."""
    service = Strict()
    async with speaking(service.speak) as where:
        sample = Sample(tmp_path_factory.mktemp("hostile"), upstream=where.url, timeout=2)
        routes = sample.routes()
        guarded = {"path": "/api/guarded", "upstream_path": "/guarded", "guard": {"request": "refuse"}}
        routes["routes"].append({**routes["routes"][1], **guarded})
        sample.write("routes.yaml", routes)
        context = served(sample)
        gateway = await asyncio.to_thread(context.__enter__)
        try:
            yield Scene(gateway, service, Speaker(sample.token(), sample.port))
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


@pytest.fixture
def scene(running: Scene) -> Scene:
    """The same, as if nothing had come."""
    running.service.calls.clear()
    running.service.faults.clear()
    return running


async def talk(scene: Scene, sent: bytes, *, slowly: bool = False) -> list[tuple[int, bytes]]:
    """What the client gets, until the honest call is answered or the connection is closed: statuses and bodies."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.say.port)
    got = b""
    try:
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionError):
                for piece in _octets(sent, scene.say.token.encode()) if slowly else (sent,):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            with suppress(ConnectionError):
                while piece := await reader.read(65536):
                    got += piece
                    if got.endswith(b"\r\n\r\n/notes/honest"):
                        break
    finally:
        writer.close()
    return list(_answers(got, sent))


def _octets(sent: bytes, token: bytes) -> Iterator[bytes]:
    """Single octets; only tokens are in one piece, since they are long and harmless."""
    for i, part in enumerate(sent.split(token)):
        if i:
            yield token
        yield from (part[j : j + 1] for j in range(len(part)))


def _answers(got: bytes, sent: bytes) -> Iterator[tuple[int, bytes]]:
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        status = ANSWER.match(head)
        assert status, got
        said = LENGTH.search(head + b"\r\n")
        size = int(said[1]) if said and not sent.startswith(b"HEAD ") else 0
        if sent.startswith(b"HEAD "):
            sent = b""  # the first answer has no body, whatever its length says
        yield int(status[1]), rest[:size]
        got = rest[size:]


@pytest.mark.parametrize(("name", "slowly"), BOTH, ids=[name + ", in octets" * slowly for name, slowly in BOTH])
async def test_nobody_reads_it_differently(scene: Scene, name: str, *, slowly: bool) -> None:
    """The row's statuses; at the service the row's calls and the honest one, or nothing at all."""
    row = hostile_sample.rows(scene.say)[name]
    await judged(scene, row, slowly=slowly)


async def judged(scene: Scene, row: Row, *, slowly: bool) -> None:
    """Send a row, then the honest call."""
    answers = await talk(scene, row.sent + scene.say.honest, slowly=slowly)
    statuses = tuple(status for status, _ in answers)
    assert scene.service.faults == []
    honest = not row.refused and not row.closes
    if slowly and not honest:  # who still writes when the connection ends may never read why
        assert statuses in (row.statuses, ())
    else:
        assert statuses == row.statuses + (200,) * honest
    assert scene.service.calls == [*row.reached, *[("GET /notes/honest", b"")] * honest]
    assert not honest or answers[-1][1] == b"/notes/honest"


@pytest.mark.parametrize("rest", [b"\r\n0\r\n\rG", b"\r\n0\r\n\nG", b"\r\nx", b"\r\n-1\r\n"])
async def test_a_fault_that_comes_together_with_the_end_of_a_chunk(scene: Scene, rest: bytes) -> None:
    """Whoever waits for the body has been woken by the chunk when the fault is found, and hears of it all the same."""
    row = scene.say.post(b"Transfer-Encoding: chunked", body=b"5\r\nhello")
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.say.port)
    async with asyncio.timeout(SECONDS):
        writer.write(row)
        await asyncio.sleep(0.2)
        writer.write(rest)
        got = await reader.read()
    writer.close()
    assert got == b"" or got.startswith(b"HTTP/1.1 400 ")
    assert scene.service.calls == []


async def test_what_is_no_http_is_answered_in_one_sentence(scene: Scene) -> None:
    """Nothing of what came is repeated, to the caller or in the log; no versions; and it is no fault of ours."""
    sent = b"GET /api/notes?name=Hanako XTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.say.port)
    writer.write(sent)
    got = await reader.read()
    writer.close()
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.split(b" ", 2)[1] == b"400"
    assert json.loads(body)["status"] == 400
    assert b"\r\nServer: kakehashi" in head
    assert b"\r\nCache-Control: no-store" in head
    log = scene.gateway.log()
    for word in ("Hanako", "secret", "XTTP", "aiohttp"):
        assert word.encode() not in got
        assert word not in json.dumps([line for line in log if line["event"] == "refused"])
    assert {line["level"] for line in log if line.get("reason") == "not-http"} == {"info"}
    assert [line for line in log if line["event"] in {"library", "fault"}] == []


async def test_a_body_that_unpacks_to_a_gigabyte(scene: Scene) -> None:
    """A guarded route refuses it before it is unpacked: in every coding and twice coded, and grows by little."""
    once = gzip.compress(bytes(64 * 1024 * 1024), mtime=0)
    before = resident_mb(scene.gateway.process.pid)
    for codings, body in (
        (b"gzip", once),
        (b"gzip, gzip", gzip.compress(once)),
        (b"deflate", zlib.compress(bytes(2**26))),
    ):
        fields = (length(len(body)), b"Content-Type: application/json", b"Content-Encoding: " + codings)
        sent = scene.say.post(*fields, body=body, line=b"POST /api/guarded HTTP/1.1")
        answers = await talk(scene, sent + scene.say.honest)
        assert [status for status, _ in answers][-1] == 200
        assert 400 <= answers[0][0] < 500
    assert [line for line, _ in scene.service.calls] == ["GET /notes/honest"] * 3
    assert resident_mb(scene.gateway.process.pid) - before < 30


def resident_mb(pid: int) -> float:
    """The most that the process has ever used."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000
