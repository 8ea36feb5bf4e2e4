"""Signatures of calls beside somebody else's implementation: `http-message-signatures` is the service, on both ends.

It believes what the gateway signed, with the key that the gateway publishes, and signs answers that the gateway
believes; and it refuses, and is refused, when anything is changed on the way.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519, RSA_PSS_SHA512
from http_message_signatures.exceptions import InvalidSignature
from http_message_signatures.resolvers import MappingKeyResolver
from joserfc.jwk import ECKey

from .gateway_sample import Sample, here
from .test_signed_calls import OTHER, SIGNING, Ledger, Region, configure
from .upstream_sample import Connection, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCS = Path(__file__).parents[2] / "docs"

KINDS: dict[str, tuple[Any, Any]] = {
    "ecdsa-p256-sha256": (ECDSA_P256_SHA256, ec.generate_private_key(ec.SECP256R1())),
    "ed25519": (ED25519, ed25519.Ed25519PrivateKey.generate()),
    "rsa-pss-sha512": (RSA_PSS_SHA512, rsa.generate_private_key(65537, 2048)),
}
"""What a service may sign with."""

COVERED = ("@status", '"@method";req', '"@target-uri";req', '"kakehashi-request-id";req', "content-type")
"""What the documentation asks of an answer; the peer adds the digest of the content by itself."""


def certificate(private: Any) -> x509.Certificate:
    """Of the service's key, by itself."""
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "service")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return builder.sign(private, None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256())


CERTIFICATES = {kind: certificate(private) for kind, (_, private) in KINDS.items()}


def keyid(kind: str) -> str:
    """The SHA-256 of the certificate, in base64url (RFC 7515 §4.1.8)."""
    digest = hashlib.sha256(CERTIFICATES[kind].public_bytes(Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def asked(connection: Connection, url: str) -> Any:
    """A call as it came, in the form in which the peer reads one."""
    method, target, _ = connection.request_line.split(" ")
    return SimpleNamespace(method=method, url=url + target, headers=dict(connection.headers))


def believed(message: Any, body: bytes, public: dict[str, Any]) -> Any:
    """What the peer believes of a call. Raises `InvalidSignature`."""
    resolver = MappingKeyResolver(public_keys=public, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=resolver)
    (found,) = verifier.verify(
        message,
        expect_tag="kakehashi-call",
        require_components=("@method", "@target-uri", "kakehashi-assertion", "kakehashi-request-id"),
        body=body,
    )
    return found


def signed(kind: str, request: Any, body: bytes) -> dict[str, str]:
    """The fields of an answer that the peer signed."""
    algorithm, private = KINDS[kind]
    answer = SimpleNamespace(status_code=200, headers={"Content-Type": "application/json"}, request=request)
    resolver = MappingKeyResolver(public_keys={}, private_keys={keyid(kind): private})
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver)
    signer.sign(
        answer,
        key_id=keyid(kind),
        tag="kakehashi-answer",
        expires=datetime.now(UTC) + timedelta(seconds=60),
        covered_component_ids=COVERED,
        body=body,
    )
    return dict(answer.headers)


def answering(
    region: Region, kind: str, body: bytes, sent: bytes | None = None, **changed: str
) -> Callable[[Connection], Awaitable[bool]]:
    """A service of the peer's that answers with `body`, signed; `sent` and `changed` alter it after that."""

    async def answer(connection: Connection) -> bool:
        fields = {**signed(kind, asked(connection, region.service.url), body), **changed}
        content = body if sent is None else sent
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await connection.say(f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode(), content)
        return True

    return answer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """A gateway before a service that signs with any of those keys."""
    async with upstream() as service:
        sample = Sample(tmp_path_factory.mktemp("peer"), upstream=service.url, timeout=10)
        configure(sample)
        for kind, each in CERTIFICATES.items():
            (sample.config / f"{kind}.pem").write_bytes(each.public_bytes(Encoding.PEM))
        whole = yaml.safe_load((sample.config / "routes.yaml").read_text())
        (signing,) = (each for each in whole["services"] if each["id"] == SIGNING)
        signing["signatures"]["certificates"] = [f"{kind}.pem" for kind in CERTIFICATES]
        sample.write("routes.yaml", whole)
        async with here(sample, store_url) as gateway:
            yield Region(gateway.url, sample, service, gateway=gateway)


@pytest.fixture
def region(running: Region) -> Region:
    """The region as if nothing had happened yet."""
    running.ledger = Ledger()
    running.service.behave = running.ledger.behave
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def public(region: Region) -> dict[str, Any]:
    """The gateway's keys, as anybody may fetch them."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{region.url}/.well-known/kakehashi-assertion-jwks.json") as answer,
    ):
        return {each["kid"]: ECKey.import_key(each).public_key for each in (await answer.json())["keys"]}


@pytest.mark.parametrize("body", [b"500", b"", '{"名前": "架け橋"}'.encode()], ids=["short", "empty", "JSON"])
@pytest.mark.parametrize(
    "query", ["", "?", "?a=b&a=c", "?q=%E6%9E%B6%E3%81%91", "?a=b+c%20d", "?%7Etilde=~", "?a==b&&c", "?x=(y)*'!"]
)
async def test_the_peer_believes_what_the_gateway_signed(
    region: Region, public: dict[str, Any], query: str, body: bytes
) -> None:
    """With the key that the gateway publishes, whatever the address and the content."""
    system = await region.system()
    status, _, _ = await region.call(OTHER + query, body=body, who=system, **{"Content-Type": "application/json"})
    assert status == 201
    (connection,) = region.ledger.connections
    found = believed(asked(connection, region.service.url), body, public)
    assert '"content-type"' in found.covered_components
    assert not body or found.body == body


@pytest.mark.parametrize("page", ["calls.md", "calls.ja.md"])
async def test_the_documented_way_to_verify_a_call(region: Region, page: str) -> None:
    """As it stands in the documentation, for a call with a body and for one without."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, page, "exec"), names)
    keys = await asyncio.to_thread(names["gateway_keys"], region.url)
    for body in (b"500", b""):
        await region.call(OTHER, body=body, who=await region.system())
        message = asked(region.ledger.connections[-1], region.service.url)
        names["verify"](keys, message.method, message.url, message.headers, body)
        with pytest.raises(InvalidSignature):
            names["verify"](keys, "PUT", message.url, message.headers, body)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "method", "PUT"),
        lambda m: setattr(m, "url", m.url + "?more"),
        lambda m: m.headers.update({"Kakehashi-Assertion": "a.b.c"}),
        lambda m: m.headers.update({"Kakehashi-Request-Id": "another"}),
        lambda m: m.headers.update({"Content-Type": "text/plain"}),
    ],
    ids=["method", "address", "assertion", "id", "type"],
)
async def test_the_peer_refuses_a_call_that_was_changed(region: Region, public: dict[str, Any], change: Any) -> None:
    """Each part that the profile names is signed; so is the content, by its digest."""
    await region.call(OTHER, who=await region.system(), **{"Content-Type": "application/json"})
    (connection,) = region.ledger.connections
    message = asked(connection, region.service.url)
    believed(message, b"500", public)
    with pytest.raises(InvalidSignature):
        believed(message, b"501", public)
    change(message)
    with pytest.raises(InvalidSignature):
        believed(message, b"500", public)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("query", ["", "?a=b&a=c", "?q=%E6%9E%B6%E3%81%91"])
async def test_the_gateway_believes_what_the_peer_signed(region: Region, kind: str, query: str) -> None:
    """With each kind of key, in one piece and as a stream, for a person's call and for a system's."""
    for body in (b'{"paid": 500}', b"b" * 300_000):
        for who in (None, await region.system()):
            region.ledger.instead = answering(region, kind, body)
            assert await region.call(SIGNING + query, who=who) == (200, body.decode(), None)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_gateway_refuses_an_answer_of_the_peer_that_was_changed(region: Region, kind: str) -> None:
    """Its content, its type, and an answer to another call."""
    refused = (502, "answer-signature-invalid", None)
    region.ledger.instead = answering(region, kind, b"paid", b"owed")
    assert await region.call(SIGNING) == refused
    region.ledger.instead = answering(region, kind, b"paid", **{"Content-Type": "text/html"})
    assert await region.call(SIGNING) == refused
    region.ledger.instead = answering(region, kind, b"paid")
    assert (await region.call(SIGNING))[0] == 200
    before = signed(kind, asked(region.ledger.connections[-1], region.service.url), b"paid")
    region.ledger.instead = answering(region, kind, b"paid", **before)
    assert await region.call(SIGNING) == refused
