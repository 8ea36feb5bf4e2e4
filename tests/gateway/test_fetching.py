"""Fetching a list from servers that are hostile, broken or slow."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fetching import Bounds, Fetched, Fetcher, FetchRefusedError, Reach, permitted
from observability.vocabulary import FETCH_CODES

from .gateway_sample import free_port, signatory

LIMIT = 10_000
QUICK = Bounds(seconds=20, connect_seconds=5, patience_seconds=0.3, bytes_per_second=1000)
"""So that a slow server is found out soon."""
PATIENT = Bounds(seconds=60, patience_seconds=60)
"""So that a busy machine is not taken for a slow server."""

Serve = Callable[[str, list[str], asyncio.StreamWriter], Awaitable[None]]
"""Answers a request: its path, its header lines."""


@contextlib.asynccontextmanager
async def serving(serve: Serve, *, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server of raw octets on loopback; its address."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                    await serve(head[0].split()[1], head[1:], writer)
                    await writer.drain()
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in talks:
            each.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def saying(*parts: bytes, pause: float = 0.0, close: bool = False) -> Serve:
    """Answer everything with these octets."""

    async def serve(_: str, __: list[str], writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if close:
            writer.close()

    return serve


def answer(body: bytes = b"a list", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP answer."""
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.asynccontextmanager
async def fetcher(**options: Any) -> AsyncIterator[Fetcher]:
    """A fetcher, closed at the end."""
    found = Fetcher(**{"bounds": PATIENT, **options})
    try:
        yield found
    finally:
        await found.close()


async def refused(url: str, bounds: Bounds = PATIENT, **options: Any) -> str:
    """The code with which fetching is refused; its sentence names no query."""
    async with fetcher(bounds=bounds) as one:
        with pytest.raises(FetchRefusedError) as caught:
            await one.fetch(url, **{"limit": LIMIT, **options})
    assert caught.value.code in FETCH_CODES
    assert ": expected " in str(caught.value)
    assert "hush" not in str(caught.value)
    return caught.value.code


async def test_a_whole_list_comes_with_its_validators() -> None:
    """Nothing is sent that says who asks, and no compression is asked for."""
    heard: list[str] = []

    async def serve(_: str, headers: list[str], writer: asyncio.StreamWriter) -> None:
        heard.extend(headers)
        writer.write(
            answer(b"x" * LIMIT, 'ETag: "1"', "Last-Modified: Sun, 22 Nov 2026 00:00:00 GMT", "Set-Cookie: a=b")
        )

    async with serving(serve) as url, fetcher() as one:
        found = await one.fetch(url + "/list", limit=LIMIT, accept="application/xml")
        assert found == Fetched(body=b"x" * LIMIT, etag='"1"', last_modified="Sun, 22 Nov 2026 00:00:00 GMT")
        await one.fetch(url + "/list", limit=LIMIT)
    names = {line.partition(":")[0].lower() for line in heard if line}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}
    assert "Accept-Encoding: identity" in heard


async def test_what_is_current_is_not_sent_again() -> None:
    """The validators are sent back; 304 is an answer to those who sent one only."""

    async def serve(_: str, headers: list[str], writer: asyncio.StreamWriter) -> None:
        assert 'If-None-Match: "1"' in headers
        assert "If-Modified-Since: then" in headers
        writer.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    async with serving(serve) as url, fetcher() as one:
        assert await one.fetch(url, limit=LIMIT, etag='"1"', last_modified="then") is None
    async with serving(saying(b"HTTP/1.1 304 Not Modified\r\n\r\n")) as url:
        assert await refused(url) == "status"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

HOSTILE: dict[str, tuple[str, Serve]] = {
    "says that it is too long": ("too-large", saying(answer(b"x", length=2_000_000_000))),
    "is too long without saying so": ("too-large", saying(CHUNKED, *[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 4)),
    "is endless": ("too-large", saying(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 4096] * 8)),
    "breaks off": ("truncated", saying(answer(b"half", length=8), close=True)),
    "breaks off within a chunk": ("truncated", saying(CHUNKED + b"8\r\nhalf", close=True)),
    "breaks off before its last chunk": ("truncated", saying(CHUNKED + b"4\r\nhalf\r\n", close=True)),
    "hangs up": ("truncated", saying(close=True)),
    "never answers": ("slow", saying(b"")),
    "stops in the middle": ("slow", saying(answer(b"half", length=8))),
    "drips": ("slow", saying(answer(b"", length=9000), *[b"x"] * 100, pause=0.05)),
    "is compressed": ("encoding", saying(answer(gzip.compress(b"x" * 10_000_000), "Content-Encoding: gzip"))),
    "is not there": ("status", saying(answer(b"no", status="404 Not Found"))),
    "is broken": ("status", saying(answer(b"no", status="500 Oops"))),
    "is a part": ("status", saying(answer(b"no", status="206 Partial Content"))),
    "speaks no HTTP": ("http", saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n")),
    "has a line without end": ("http", saying(b"HTTP/1.1 200 OK\r\nX: ", *[b"x" * 4096] * 16)),
    "says two lengths": ("http", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")),
    "leads elsewhere": ("redirect", saying(answer(b"", "Location: https://lists.example/", status="302 Found"))),
    "leads to another port": ("redirect", saying(answer(b"", "Location: http://127.0.0.1:1/", status="301 Moved"))),
    "leads to another scheme": ("redirect", saying(answer(b"", "Location: ftp://127.0.0.1/", status="307 Moved"))),
    "leads to a user's name": ("redirect", saying(answer(b"", "Location: //a:hush@127.0.0.1/", status="307 Moved"))),
    "leads nowhere": ("redirect", saying(answer(b"", "Location: http://[", status="302 Found"))),
    "leads in a circle": ("redirect", saying(answer(b"", "Location: /", status="308 Moved"))),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_server_that(what: str) -> None:
    """Each is refused with the code of what is wrong, whatever it sends."""
    code, serve = HOSTILE[what]
    async with serving(serve) as url:
        assert await refused(url + "/list?token=hush", QUICK if code == "slow" else PATIENT) == code


async def test_a_server_that_keeps_just_fast_enough_is_ended_by_the_whole_time() -> None:
    """The total bound holds also where every other one is kept."""
    endless = saying(answer(b"", length=9000), *[b"x"] * 9000, pause=0.01)
    bounds = Bounds(seconds=0.5, patience_seconds=5, bytes_per_second=1)
    async with serving(endless) as url, fetcher(bounds=bounds) as one:
        with pytest.raises(FetchRefusedError) as caught:
            await one.fetch(url, limit=LIMIT)
    assert caught.value.code == "timeout"


async def test_redirects_within_one_host_are_followed() -> None:
    """Three of them, with the validators."""

    async def serve(path: str, _: list[str], writer: asyncio.StreamWriter) -> None:
        number = int(path.strip("/"))
        writer.write(answer(b"there") if number == 3 else answer(b"", f"Location: /{number + 1}", status="302 Found"))

    async with serving(serve) as url, fetcher() as one:
        assert await one.fetch(url + "/0", limit=LIMIT) == Fetched(body=b"there")


async def test_nobody_there() -> None:
    """A closed port, and a name that is none."""
    assert await refused(f"http://127.0.0.1:{free_port()}/") == "unreachable"
    assert await refused("https://lists.invalid/") == "dns"


@pytest.mark.parametrize(
    "url",
    [
        *("http://lists.example/", "ftp://lists.example/", "https://", "lists.example", "https://[", "https://a:b@c/"),
        *("file:///etc/passwd", "https://\uff11\uff12\uff17.0.0.1/", "https://a.example:99999/", "http://192.168.0.1/"),
    ],
)
async def test_an_address_that_is_none(url: str) -> None:
    """Only https, and http to this machine; no credentials; nothing that is read in two ways."""
    assert await refused(url) == "address"


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "255.255.255.255", "224.0.0.1"),
        *("[::ffff:127.0.0.1]", "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::]"),
    ],
)
async def test_a_numeric_address_within(host: str) -> None:
    """Refused before anything is sent."""
    assert await refused(f"https://{host}/") == "private-address"


@pytest.mark.parametrize("host", ["0x7f.1", "017700000001", "0"])
async def test_another_spelling_of_this_machine(host: str) -> None:
    """What a resolver would make an address of leads nowhere either."""
    assert await refused(f"https://{host}/") in {"private-address", "http", "dns"}


async def test_a_strangers_word_does_not_lead_to_this_machine() -> None:
    """What the operator wrote may name it; what a federation's member wrote may only where the operator did, too."""
    asked: list[str] = []

    async def serve(path: str, _: list[str], writer: asyncio.StreamWriter) -> None:
        asked.append(path)
        writer.write(answer())

    async with serving(serve) as url, fetcher() as one:
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "LOCALHOST.", "x.localhost", "127.9.9.9"):
            for private in (True, False):
                there = f"http://{host}:{port}/"
                assert await refused(there, beyond="https://anchor.example", private=private) == "private-address"
        assert asked == []
        assert (await one.fetch(url, limit=LIMIT, beyond="https://localhost:1/anchor")) == Fetched(body=b"a list")


async def test_what_is_signed_may_come_in_the_clear() -> None:
    """Revocation data mostly has addresses by http; where these may lead stays as it is, and all other schemes."""
    assert await refused("http://lists.invalid/", plain=True) == "dns"
    for host in ("10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"):
        assert await refused(f"http://{host}/", plain=True) == "private-address"
    assert await refused("http://localhost/", plain=True, beyond="https://login.example") == "private-address"
    assert await refused("ftp://lists.example/", plain=True) == "address"
    async with fetcher() as one:
        with pytest.raises(FetchRefusedError) as caught:
            await one.post("http://lists.example/", body=b"", headers={}, limit=LIMIT)
        assert caught.value.code == "address"
        with pytest.raises(FetchRefusedError) as caught:
            await one.post("http://lists.invalid/", body=b"", headers={}, limit=LIMIT, plain=True)
        assert caught.value.code == "dns"


async def test_a_name_that_leads_within(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of the resolver is what is judged, also if only one of its addresses is within (DNS rebinding)."""
    heard = []

    async def serve(_: str, __: list[str], writer: asyncio.StreamWriter) -> None:
        heard.append(True)
        writer.write(answer())

    async with serving(serve) as url:
        port = int(url.rpartition(":")[2])
        loop = asyncio.get_running_loop()
        for addresses in (["127.0.0.1"], ["198.18.0.1"], ["8.8.8.8", "10.1.1.1"]):

            async def resolve(*_: Any, addresses: list[str] = addresses, **__: Any) -> list[Any]:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

            monkeypatch.setattr(loop, "getaddrinfo", resolve, raising=False)
            assert await refused(f"https://lists.example:{port}/") == "private-address"
    assert heard == []


PUBLIC = ("8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "::ffff:8.8.8.8")
PRIVATE = ("10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1")
LOOPBACK = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")
NOWHERE = (
    *("0.0.0.0", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::", "fe80::1", "fe80::1%1", "ff02::1", "fec0::1", "2001:db8::1", "2002:808:808::1", "2001:0:1::1", "100::1"),
    *("64:ff9b:1::808:808", "3fff::1", "5f00::1", "fd00:ec2::254", "100.100.100.200", "::8.8.8.8", "lists.example", ""),
)


@pytest.mark.parametrize(
    ("reach", "allowed"),
    [(Reach.PUBLIC, PUBLIC), (Reach.PRIVATE, (*PUBLIC, *PRIVATE)), (Reach.LOOPBACK, LOOPBACK)],
)
def test_which_addresses_are_permitted(reach: Reach, allowed: tuple[str, ...]) -> None:
    """Public ones; private ones where asked for by name; this machine where the URL says so; the rest never."""
    everything = (*PUBLIC, *PRIVATE, *LOOPBACK, *NOWHERE)
    assert tuple(each for each in everything if permitted(each, reach)) == allowed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `localhost`."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    server = signatory("localhost", host="localhost")
    path.write_bytes(server.key + server.certificate)
    return path


async def test_tls_is_verified(certificate: Path) -> None:
    """An authority that nobody knows, and a certificate of another name, are refused; the right one is not."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    known = ssl.create_default_context(cafile=str(certificate))
    async with serving(saying(answer()), context=server) as url:
        named = url.replace("127.0.0.1", "localhost")
        assert await refused(named) == "tls"
        async with fetcher(context=known) as one:
            assert await one.fetch(named, limit=LIMIT) == Fetched(body=b"a list")
            with pytest.raises(FetchRefusedError) as caught:
                await one.fetch(url, limit=LIMIT)
            assert caught.value.code == "tls"


async def test_a_server_that_never_shakes_hands() -> None:
    """The connection has a time of its own."""
    async with serving(saying()) as url, fetcher(bounds=Bounds(connect_seconds=0.3)) as one:
        with pytest.raises(FetchRefusedError) as caught:
            await one.fetch(url.replace("http:", "https:"), limit=LIMIT)
    assert caught.value.code == "unreachable"


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says, the list's own server is asked."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(saying(answer())) as url, fetcher() as one:
        assert await one.fetch(url, limit=LIMIT) == Fetched(body=b"a list")
