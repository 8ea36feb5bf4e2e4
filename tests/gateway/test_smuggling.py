"""No caller can put octets of one call into another: a body goes upstream as long as is said there."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from .gateway_sample import Here, Sample, here
from .upstream_sample import Connection, Upstream, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[tuple[Here, Upstream]]:
    """A gateway before a service that keeps its connections."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("smuggling"), upstream=service.url, timeout=2)
        async with here(sample, store_url) as gateway:
            yield gateway, service


def packed(content: bytes, padding: int) -> bytes:
    """`content` in gzip, with that many octets of nothing in the header (RFC 1952 §2.3.1.1)."""
    plain = gzip.compress(content, mtime=0)
    return plain[:3] + b"\x04" + plain[4:10] + padding.to_bytes(2, "little") + b"x" * padding + plain[10:]


@pytest.mark.parametrize("body", [packed(b"", 900), gzip.compress(b"A" * 5000, mtime=0), b"not gzip at all"])
async def test_a_coded_body_passes_octet_by_octet(running: tuple[Here, Upstream], body: bytes) -> None:
    """The gateway does not unpack: Content-Length and Content-Encoding stay true."""
    gateway, service = running
    got: list[bytes] = []

    async def keep(connection: Connection) -> None:
        got.append(await connection.body())
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    service.behave = keep
    headers = {**gateway.sample.bearer(), **JSON, "Content-Encoding": "gzip"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(gateway.url + "/api/notes", data=body, headers=headers) as answer,
    ):
        assert answer.status == 200
    assert got == [body]
    assert service.calls[-1].header("Content-Length") == str(len(body))
    assert service.calls[-1].header("Content-Encoding") == "gzip"


async def test_the_next_call_is_not_taken_for_the_rest_of_a_body(running: tuple[Here, Upstream]) -> None:
    """A service may answer before it has read the body, and keep the connection (RFC 9112 §9.3).

    A body that unpacked to less than its announced length left the service waiting for the rest: it took the
    next resident's call for it, identity assertion and all, and answers went to the wrong people.
    """
    gateway, service = running

    async def early(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
        await connection.body()

    service.behave = early
    service.calls.clear()
    evil = {**gateway.sample.bearer(), **JSON, "Content-Encoding": "gzip"}
    async with aiohttp.ClientSession() as http:
        async with http.post(gateway.url + "/api/notes", data=packed(b"", 600), headers=evil) as answer:
            assert answer.status == 200
        async with (
            asyncio.timeout(5),
            http.get(gateway.url + "/api/notes/mine", headers=gateway.sample.bearer()) as answer,
        ):
            assert (answer.status, await answer.text()) == (200, "early")
    assert [call.request_line for call in service.calls] == [
        "POST /notes HTTP/1.1",
        "GET /notes/mine HTTP/1.1",
    ]
