"""Calls with keys and signatures through a running gateway: one effect, and answers that hold what they signed."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from federation.idempotency import read_key
from federation.oidc.jose import SigningKey
from federation.signatures import profile
from federation.signatures.algorithms import MessageSigner
from federation.signatures.digests import content_digest
from federation.signatures.message import Request, Response
from gateway.idempotency import MOST_ANSWER
from gateway.store import connect

from .gateway_sample import WRITE, Here, Sample, free_port, here, served, signatory, signed_list, store_server
from .test_bound_tokens import OFFICE, office
from .upstream_sample import Connection, Upstream, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

KNOWING, OTHER, SIGNING = "knowing", "other", "signing"
"""Services: one that knows keys, one that does not, one that must sign its answers."""


def configure(sample: Sample) -> None:
    """The sample with those services, for people and systems."""
    (sample.config / "service.pem").write_bytes(signatory("service").certificate)
    whole = sample.routes()
    (service,) = whole["services"]
    signatures = {"responses": "required", "certificates": ["service.pem"]}
    whole["services"] = [
        {**service, "id": KNOWING, "audience": KNOWING, "idempotent": True},
        {**service, "id": OTHER, "audience": OTHER},
        {**service, "id": SIGNING, "audience": SIGNING, "signatures": signatures},
    ]
    route = {**whole["routes"][1], "callers": ["people", "systems"], "minimum_identity": 1, "idempotency": "accepted"}
    whole["routes"] = [
        {**route, "path": f"/api/{name}", "service": name, "upstream_path": f"/{name}"}
        for name in (KNOWING, OTHER, SIGNING)
    ]
    whole["routes"][0]["idempotency"] = "required"
    sample.write("routes.yaml", whole)
    sample.put_list(signed_list("maebashi", members=[office()]))
    system = {"id": "office", "entity_id": OFFICE, "name": {"ja": "市役所", "en": "Office"}, "scopes": [WRITE]}
    sample.write("systems.yaml", {"systems": [system]})


@dataclass
class Ledger:
    """What the service did: payments by the key that they came with; what it does besides is each test's."""

    connections: list[Connection] = field(default_factory=list)
    paid: dict[str, int] = field(default_factory=dict)
    instead: Callable[[Connection], Awaitable[bool]] | None = None

    async def behave(self, connection: Connection) -> None:
        body = await connection.body()
        self.connections.append(connection)
        key = connection.header("Idempotency-Key")
        number = self.paid.setdefault(read_key(key) if key else secrets.token_hex(4), len(self.paid) + 1)
        if self.instead is not None and await self.instead(connection):
            return
        said = b"payment %d of %d bytes" % (number, len(body))
        await connection.say(
            b"HTTP/1.1 201 Created\r\nX-By: ledger\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        )


@dataclass
class Region:
    """A gateway and its service."""

    url: str
    sample: Sample
    service: Upstream
    ledger: Ledger = field(default_factory=Ledger)
    gateway: Here | None = None

    async def call(
        self, name: str, *, key: str | None = None, body: bytes = b"500", who: dict[str, str] | None = None, **more: str
    ) -> tuple[int, str, str | None]:
        """Status, text or a problem's code, and whether it says that it was given before."""
        headers = {**(who or self.sample.bearer()), **({} if key is None else {"Idempotency-Key": key}), **more}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/api/{name}", data=body, headers=headers) as answer,
        ):
            said = await answer.text()
            if answer.content_type == "application/problem+json":
                said = (await answer.json(content_type=None))["code"]
            return answer.status, said, answer.headers.get("Idempotency-Replayed")

    async def system(self) -> dict[str, str]:
        """The office's token."""
        return {"Authorization": f"Bearer {await asyncio.to_thread(self._token)}"}

    def _token(self) -> str:
        signer, endpoint = SigningKey.from_pem(signatory("office").key), f"{self.url}/oidc/token"
        with OAuth2Session(
            OFFICE, signer.key, token_endpoint_auth_method="private_key_jwt", token_endpoint=endpoint
        ) as session:
            session.register_client_auth_method(PrivateKeyJWT(endpoint, alg=signer.algorithm))
            return str(session.fetch_token(endpoint, grant_type="client_credentials", scope=WRITE)["access_token"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """One gateway for all tests here."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("signed"), upstream=service.url, timeout=10)
        configure(sample)
        async with here(sample, store_url) as gateway:
            yield Region(gateway.url, sample, service, gateway=gateway)


@pytest.fixture
def region(running: Region) -> Region:
    """The region as if nothing had happened yet."""
    running.ledger = Ledger()
    running.service.behave = running.ledger.behave
    return running


@pytest.fixture
def key() -> str:
    """A key that nobody used."""
    return secrets.token_hex(8)


# --- keys


async def test_a_repeated_call_is_answered_as_before(region: Region, key: str) -> None:
    """With the same octets, by either way to write the key; the service hears of it once, and not the caller's key."""
    first = await region.call(KNOWING, key=key)
    again = await region.call(KNOWING, key=f'"{key}"')

    assert (first, again) == ((201, "payment 1 of 3 bytes", None), (201, "payment 1 of 3 bytes", "true"))
    (call,) = region.ledger.connections
    assert key not in (call.header("Idempotency-Key") or "")


async def test_of_a_key_nothing_is_known_for_other_calls_and_callers(region: Region, key: str) -> None:
    """Another body is refused; another caller, and another route, has a key of its own."""
    await region.call(OTHER, key=key)

    assert await region.call(OTHER, key=key, body=b"900") == (422, "idempotency-key-reused", None)
    assert (await region.call(KNOWING, key=key))[2] is None
    assert (await region.call(OTHER, key=key, who=await region.system()))[2] is None
    assert len(region.ledger.connections) == 3


async def test_calls_without_a_key(region: Region) -> None:
    """Refused where it is required, made each time where it is not; an odd one is refused before anything is asked."""
    assert await region.call(KNOWING) == (400, "idempotency-key-missing", None)
    assert await region.call(KNOWING, key="a b") == (400, "idempotency-key-invalid", None)
    assert [(await region.call(OTHER))[0] for _ in range(2)] == [201, 201]
    assert len(region.ledger.connections) == 2


async def test_two_at_once_are_one(region: Region, key: str) -> None:
    """The second one is told to come again while the first is under way."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Connection) -> bool:
        begun.set()
        await go_on.wait()
        return False

    region.ledger.instead = wait
    first = asyncio.create_task(region.call(OTHER, key=key))
    await begun.wait()
    assert await region.call(OTHER, key=key) == (409, "idempotency-in-flight", None)
    go_on.set()
    assert await first == (201, "payment 1 of 3 bytes", None)
    assert (await region.call(OTHER, key=key))[2] == "true"


async def test_a_caller_that_goes_away_finds_the_answer(region: Region, key: str) -> None:
    """What was sent is carried to its end."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Connection) -> bool:
        begun.set()
        await go_on.wait()
        return False

    region.ledger.instead = wait
    first = asyncio.create_task(region.call(OTHER, key=key))
    await begun.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    go_on.set()
    while (found := await region.call(OTHER, key=key))[0] == 409:  # noqa: ASYNC110 - only the gateway knows when
        await asyncio.sleep(0.02)
    assert found == (201, "payment 1 of 3 bytes", "true")


@pytest.mark.parametrize(("name", "then"), [(KNOWING, (201, "payment 1 of 3 bytes", None)), (OTHER, "unknown")])
async def test_a_service_that_breaks_off(region: Region, key: str, name: str, then: Any) -> None:
    """It may have paid: only one that knows keys is asked again, under the same key."""

    async def hang_up(connection: Connection) -> bool:
        region.ledger.instead = None
        await connection.say(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\npaym")
        connection.writer.transport.abort()
        return True

    region.ledger.instead = hang_up
    assert await region.call(name, key=key) == (502, "upstream-unreachable", None)
    expected = (409, "idempotency-unknown", None) if then == "unknown" else then
    assert await region.call(name, key=key) == expected
    assert len(region.ledger.paid) == 1


async def test_a_service_that_cannot_be_reached_was_not_asked(tmp_path: Path, store_url: str, key: str) -> None:
    """So the call may be made once it can."""
    sample = Sample(tmp_path, upstream="http://127.0.0.1:9", timeout=1)
    configure(sample)
    async with here(sample, store_url) as gateway:
        region = Region(gateway.url, sample, Upstream(url="", behave=Ledger().behave))
        for _ in range(2):
            assert await region.call(OTHER, key=key) == (502, "upstream-unreachable", None)


async def test_a_large_answer_is_given_once(region: Region, key: str) -> None:
    """Of a service that knows no keys; what is kept is small."""

    async def much(connection: Connection) -> bool:
        await connection.say(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST_ANSWER + 1), bytes(MOST_ANSWER + 1)
        )
        return True

    region.ledger.instead = much
    assert len((await region.call(OTHER, key=key))[1]) == MOST_ANSWER + 1
    assert await region.call(OTHER, key=key) == (409, "idempotency-unknown", None)


# --- signatures


def service_signer() -> MessageSigner:
    """The key that the configuration names."""
    private = load_pem_private_key(signatory("service").key, password=None)
    return MessageSigner.of(private)  # type: ignore[arg-type]


def asked(region: Region, connection: Connection) -> Request:
    """The request as the service got it."""
    method, target, _ = connection.request_line.split(" ")
    return Request(method=method, url=region.service.url + target, headers=tuple(connection.headers))


def signing(
    region: Region,
    body: bytes = b"signed",
    *,
    sent: bytes | None = None,
    change: Callable[[Response], Response] = lambda r: r,
) -> Callable[[Connection], Awaitable[bool]]:
    """A service that signs its answers; `change` alters one after that, `sent` is what it really sends."""

    async def answer(connection: Connection) -> bool:
        bare = Response(
            status=200, headers=(("Content-Digest", content_digest(body)),), request=asked(region, connection)
        )
        fields = profile.sign_answer(bare, service_signer(), datetime.now(UTC))
        altered = change(replace(bare, headers=(*bare.headers, *fields)))
        content = body if sent is None else sent
        head = "".join(f"{name}: {value}\r\n" for name, value in altered.headers)
        await connection.say(
            f"HTTP/1.1 {altered.status} OK\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode(), content
        )
        return True

    return answer


async def test_an_answer_that_is_signed_passes(region: Region, key: str) -> None:
    """With a key and without, small and large."""
    for body in (b"signed", b"s" * 300_000):
        region.ledger.instead = signing(region, body)
        assert await region.call(SIGNING) == (200, body.decode(), None)
    region.ledger.instead = signing(region)
    assert await region.call(SIGNING, key=key) == (200, "signed", None)
    assert await region.call(SIGNING, key=key) == (200, "signed", "true")


@pytest.mark.parametrize(
    "change",
    [
        lambda response: replace(response, status=203),
        lambda response: replace(response, headers=response.headers[:1]),
        lambda response: replace(response, headers=(*response.headers, ("Content-Type", "text/html"))),
    ],
    ids=["status", "unsigned", "type"],
)
async def test_an_answer_that_is_not_what_was_signed_is_refused(region: Region, key: str, change: Any) -> None:
    """Nobody gets anything of it; with a key it was sent, and nobody knows."""
    region.ledger.instead = signing(region, change=change)

    assert await region.call(SIGNING) == (502, "answer-signature-invalid", None)
    assert await region.call(SIGNING, key=key) == (502, "answer-signature-invalid", None)
    assert await region.call(SIGNING, key=key) == (409, "idempotency-unknown", None)


async def test_content_that_is_not_what_was_signed_is_refused_or_broken_off(region: Region) -> None:
    """Where it came in one piece, before it begins; where it streams, before its end."""
    region.ledger.instead = signing(region, sent=b"forged")
    assert await region.call(SIGNING) == (502, "answer-signature-invalid", None)
    region.ledger.instead = signing(region, sent=b"f" * 300_000)
    with pytest.raises(aiohttp.ClientError):
        await region.call(SIGNING)


async def test_a_systems_call_is_signed_and_a_persons_is_not(region: Region, key: str) -> None:
    """By the key of the assertion: what the service gets verifies as it came, with a key and without."""
    assert region.gateway is not None
    ring = MessageSigner.of(region.gateway.process.gateway.keys.assertion).public()
    system = await region.system()
    await region.call(OTHER, who=system, Signature="a=:aGk=:", **{"Signature-Input": "a=()"})
    await region.call(KNOWING, who=system, key=key)
    await region.call(OTHER, who=system, body=b"b" * 300_000)
    await region.call(OTHER)

    *signed, unsigned = region.ledger.connections
    assert [each.header("Signature") is None for each in (*signed, unsigned)] == [False, False, False, True]
    for each in signed[:2]:
        verified = profile.verify_request(asked(region, each), ring, datetime.now(UTC), content=True)
        assert verified.tag == "kakehashi-call"
    profile.verify_request(asked(region, signed[2]), ring, datetime.now(UTC), content=False)


@pytest.mark.parametrize("caller", ["a system", "a person"])
async def test_a_callers_own_digest_is_held_against_its_content(region: Region, caller: str) -> None:
    """In memory it is refused, while it streams it never ends for the service."""
    system = await region.system() if caller == "a system" else None
    region.ledger.paid.clear()
    for body in (b"500", b"b" * 300_000):
        right = {"Content-Digest": content_digest(body)}
        assert (await region.call(OTHER, who=system, body=body, **right))[0] == 201
        wrong = {"Content-Digest": content_digest(b"other")}
        assert await region.call(OTHER, who=system, body=body, **wrong) == (400, "content-digest-wrong", None)
        odd = {"Content-Digest": "sha-256=:x:"}
        assert await region.call(OTHER, who=system, body=body, **odd) == (400, "content-digest-wrong", None)
    assert len(region.ledger.paid) == 2


# --- a gateway that is killed


async def test_the_gateway_is_killed_between_answer_and_record(tmp_path: Path, key: str) -> None:
    """`kakehashi serve`, by SIGKILL: started again, it asks again only where that is safe."""
    ledger, waiting, port = Ledger(), list[Connection](), free_port()
    disk = ("--appendonly", "yes", "--appendfsync", "always")
    async with upstream() as service:
        service.behave = ledger.behave
        sample = Sample(tmp_path / "gateway", upstream=service.url, timeout=20)
        configure(sample)
        sample.write("gateway.yaml", sample.gateway(store={"url": f"redis://127.0.0.1:{port}"}))
        region = Region(sample.public_url, sample, service, ledger)
        with store_server(tmp_path, *disk, port=port):
            with contextlib.ExitStack() as stack:
                gateway = await asyncio.to_thread(stack.enter_context, served(sample))

                async def all_but_the_last_byte(connection: Connection) -> bool:
                    waiting.append(connection)
                    await connection.say(b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\npaymen")
                    if len(waiting) == 2:
                        gateway.signal(signal.SIGKILL)
                        await asyncio.to_thread(gateway.wait)
                    return True

                ledger.instead = all_but_the_last_byte
                broken = await asyncio.gather(
                    *(region.call(name, key=key) for name in (KNOWING, OTHER)), return_exceptions=True
                )
                assert all(isinstance(each, aiohttp.ClientError) for each in broken)
            ledger.instead = None
            with contextlib.ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, served(sample))
                assert (await region.call(OTHER, key=key))[1] in {"idempotency-in-flight", "idempotency-unknown"}
                client = connect(f"redis://127.0.0.1:{port}")  # ten seconds later
                await client.delete(*[lease async for lease in client.scan_iter("kakehashi:idempotency-lease:*")], "-")
                await client.aclose()

                paid = f"payment {ledger.paid[_key(waiting, KNOWING)]} of 3 bytes"
                assert await region.call(KNOWING, key=key) == (201, paid, None)
                assert await region.call(OTHER, key=key) == (409, "idempotency-unknown", None)
                assert await region.call(KNOWING, key=key) == (201, paid, "true")
                await asyncio.to_thread(stack.close)
    assert len(ledger.paid) == 2
    assert len(ledger.connections) == 3


def _key(connections: list[Connection], name: str) -> str:
    (call,) = (each for each in connections if each.request_line.split(" ")[1] == f"/{name}")
    return read_key(call.header("Idempotency-Key") or "")


@pytest.mark.parametrize("how", ["plain", "system", "key"])
async def test_trailers_pass_only_where_nobody_vouches_for_the_call(region: Region, how: str) -> None:
    """Not where the gateway signs what it asks, nor where a body is collected for its key."""
    who = await region.system() if how == "system" else region.sample.bearer()
    named = {**who, **({"Idempotency-Key": '"k-trailers"'} if how == "key" else {})}
    lines = [f"POST /api/{OTHER} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", "Trailer: X-Sum"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in named.items()), "", ""])
    reader, writer = await asyncio.open_connection("localhost", region.sample.port)
    writer.write(head.encode() + b"3\r\n500\r\n0\r\nX-Sum: 3\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()
    (call,) = region.ledger.connections
    passed = (call.trailers, call.header("Trailer"))
    assert passed == ((["X-Sum: 3"], "X-Sum") if how == "plain" else ([], None))
