"""Metadata queries at a running gateway: its own entities, by our reader and by pysaml2's query client."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from lxml import etree
from saml2 import BINDING_HTTP_POST
from saml2.mdstore import MetaDataMDX
from saml2.sigver import CryptoBackendXmlSec1, SecurityContext, SignatureError, get_xmlsec_binary
from yarl import URL

from tests.flows.peers import xmlsec_program
from trust_lists import certificates, mdq, saml_metadata
from trust_lists.model import Role

from .gateway_sample import Here, Sample, here, signatory

pytestmark = pytest.mark.asyncio(loop_scope="module")

METADATA = "application/samlmetadata+xml"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Here]:
    """A gateway that answers metadata queries; two municipalities have entities of their own."""
    sample = Sample(tmp_path_factory.mktemp("mdq") / "gateway")
    sample.write("gateway.yaml", sample.gateway(metadata_query={"valid_days": 2}))
    async with here(sample, store_url) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Whoever asks."""
    async with aiohttp.ClientSession() as session:
        yield session


def pem(gateway: Here) -> bytes:
    """The certificate of the gateway's SAML key, as others pin it."""
    return (gateway.sample.state / "keys" / "saml.crt").read_bytes()


def own(gateway: Here) -> dict[str, Role]:
    """The entities that the gateway has."""
    root = gateway.url + "/saml"
    identity_providers = (f"{root}/metadata", f"{root}/102016/metadata", f"{root}/422053/metadata")
    return {
        f"{root}/sp/metadata": Role.SAML_SERVICE_PROVIDER,
        **dict.fromkeys(identity_providers, Role.SAML_IDENTITY_PROVIDER),
    }


async def get(http: aiohttp.ClientSession, address: str, **headers: str) -> tuple[int, bytes, aiohttp.ClientResponse]:
    """Ask for an address exactly as it is written."""
    async with http.get(URL(address, encoded=True), headers=headers) as answer:
        return answer.status, await answer.read(), answer


@pytest.mark.parametrize("form", [lambda name: name, mdq.transformed])
async def test_each_of_the_gateways_entities_is_answered_alone(gateway, http, form) -> None:
    """By its entity ID or the hash of it: signed, for as long as is configured, to be kept for six hours."""
    for entity_id, role in own(gateway).items():
        status, body, answer = await get(http, gateway.url + "/mdq" + mdq.request_path(form(entity_id)))
        assert (status, answer.content_type) == (200, METADATA)
        root = etree.fromstring(body)
        assert (root.get("entityID"), root.get("cacheDuration")) == (entity_id, "PT21600S")
        anchors = certificates.from_pem(pem(gateway))
        at = datetime.now(UTC)
        [found] = saml_metadata.read(body, name="mdq", anchors=anchors, now=at).entities
        assert (found.entity_id, found.roles) == (entity_id, {role})
        assert timedelta(days=1) < found.valid_until - at <= timedelta(days=2)


async def test_all_of_them_come_as_one_aggregate(gateway, http) -> None:
    """With municipality and scope, in the region's word."""
    status, body, answer = await get(http, gateway.url + "/mdq/entities")
    anchors = certificates.from_pem(pem(gateway))
    found = saml_metadata.read(body, name=gateway.url, anchors=anchors, now=datetime.now(UTC))

    assert (status, answer.content_type, found.faults) == (200, METADATA, ())
    assert {entity.entity_id: set(entity.roles) for entity in found.entities} == {
        entity_id: {role} for entity_id, role in own(gateway).items()
    }
    towns = {entity.municipality: entity.scopes for entity in found.entities if entity.municipality}
    assert towns == {"102016": ("localhost",), "422053": ("localhost",)}


async def test_an_answer_is_signed_once_and_need_not_be_sent_again(gateway, http) -> None:
    """Entity tags: the same octets within the hour, 304 for who has them, and HEAD."""
    address = gateway.url + "/mdq" + mdq.request_path(gateway.url + "/saml/metadata")
    _, first, answer = await get(http, address)
    etag = answer.headers["ETag"]

    assert (await get(http, address))[1] == first
    status, body, again = await get(http, address, **{"If-None-Match": f'"other", {etag}'})
    assert (status, body, again.headers["ETag"]) == (304, b"", etag)
    assert (await get(http, address, **{"If-None-Match": '"other"'}))[:2] == (200, first)
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    async with http.head(URL(address, encoded=True)) as head:
        assert (head.status, head.headers["ETag"]) == (200, etag)


@pytest.mark.parametrize(
    "path",
    [
        "/entities/",
        "/entities/" + quote("https://stranger.example/", safe=""),
        "/entities/%7Bsha1%7D" + "0" * 40,
        "/entities/%7Bmd5%7D" + "0" * 32,
        "/entities/%ff",
        "/entities/%zz",
        "/entities/a/b",
        "/entities/..%2F..%2Fetc%2Fpasswd",
        "/entities/%00",
        "/",
        "/elsewhere",
    ],
)
async def test_everything_else_is_not_found(gateway, http, path) -> None:
    """Strangers, odd encodings and other paths alike."""
    assert (await get(http, gateway.url + "/mdq" + path))[0] == 404


async def test_without_the_key_nothing_is_served(tmp_path, store_url, http) -> None:
    """The addresses are as unknown as any other."""
    sample = Sample(tmp_path / "gateway")
    async with here(sample, store_url) as plain:
        for path in ("/mdq/entities", "/mdq" + mdq.request_path(plain.url + "/saml/metadata")):
            assert (await get(http, plain.url + path))[0] == 404


# --- foreign software


def client(gateway: Here, directory: Path, certificate: bytes) -> MetaDataMDX:
    """pysaml2's query client with a pinned certificate."""
    pinned = directory / "anchor.pem"
    pinned.write_bytes(certificate)
    return MetaDataMDX(
        gateway.url + "/mdq",
        security=SecurityContext(CryptoBackendXmlSec1(get_xmlsec_binary())),
        cert=str(pinned),
        http_client_timeout=30,
    )


@xmlsec_program.NEEDED
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_pysaml2_asks_the_gateway_for_single_entities(gateway, tmp_path) -> None:
    """It finds each entity, verifies it with the gateway's key, and finds no stranger."""

    def drive() -> None:
        asking = client(gateway, tmp_path, pem(gateway))
        for entity_id, role in own(gateway).items():
            if role is Role.SAML_IDENTITY_PROVIDER:
                [service] = asking.single_sign_on_service(entity_id)
                assert service["location"] == entity_id.replace("metadata", "sso")
            else:
                found = asking.service(entity_id, "spsso_descriptor", "assertion_consumer_service")
                [service] = found[BINDING_HTTP_POST]
                assert service["location"] == gateway.url + "/saml/sp/acs"
        with pytest.raises(KeyError):
            asking["https://stranger.example/"]
        with pytest.raises(SignatureError):
            client(gateway, tmp_path, signatory("stranger").certificate)[gateway.url + "/saml/metadata"]

    await asyncio.to_thread(drive)
