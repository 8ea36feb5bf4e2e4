"""A region of SAML peers around a real gateway: ID systems and services made of our own roles, and a browser."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
from lxml import etree, html
from yarl import URL

from federation.saml.identity_provider import SamlAttribute, SamlAuthnRequest, SamlIdentityProvider
from federation.saml.messages import PERSISTENT, inflate
from federation.saml.service_provider import SamlAssertion, SamlServiceProvider, SamlStatusError
from federation.web import PostForm, WebRequest
from trust_lists import saml_metadata
from trust_lists.model import TrustedEntity
from trust_lists.xmldsig import Signer
from trust_lists.xmlgate import Element

from .gateway_sample import Here, Sample, signatory

SYSTEMS = {"ebetsu": "012173", "ebetsu2": "012173", "kiryu": "102032"}
SERVICES = ("portal", "library", "research", "statistics")
COMMON = ("research", "statistics")
"""Services that get the identifier which is the same at both."""
UNASKED = "kiryu"
"""The one ID system that may send people unasked."""


def now() -> datetime:
    """What a peer's clock says."""
    return datetime.now(UTC)


@cache
def signer(name: str | None = None) -> Signer:
    """A peer's signer; without a name the list authority's."""
    pair = signatory() if name is None else signatory(name)
    return Signer.from_pem(pair.key, pair.certificate)


@dataclass
class Peers:
    """The SAML members of the region."""

    systems: dict[str, SamlIdentityProvider] = field(
        default_factory=lambda: {
            name: SamlIdentityProvider(
                entity_id=f"https://{name}.example/saml", sso_url=f"https://{name}.example/sso", signer=signer(name)
            )
            for name in SYSTEMS
        }
    )
    services: dict[str, SamlServiceProvider] = field(
        default_factory=lambda: {
            name: SamlServiceProvider(
                entity_id=f"https://{name}.example/saml", acs_url=f"https://{name}.example/acs", signer=signer(name)
            )
            for name in SERVICES
        }
    )

    def listed(self) -> bytes:
        """The signed list of all of them."""
        return saml_metadata.publish(
            [peer.metadata(now=now()) for peer in (*self.systems.values(), *self.services.values())],
            name="region-saml",
            signer=signer(),
            issued_at=now(),
            valid_until=now() + timedelta(days=1),
            municipalities={self.systems[name].entity_id: code for name, code in SYSTEMS.items()},
        )


def saml_sample(directory: Path, peers: Peers) -> Sample:
    """The configuration of a gateway with these peers; only `UNASKED` may send people unasked."""
    sample = Sample(directory)
    (sample.config / "lists" / "region-saml.xml").write_bytes(peers.listed())
    source = {"format": "etsi-119602", "file": "lists/region.jwt", "anchors": ["lists/anchor.pem"]}
    saml = {**source, "format": "saml-metadata", "file": "lists/region-saml.xml"}
    sources = [{"name": "region", **source}, {"name": "region-saml", **saml}]
    sample.write("trust.yaml", {"sources": sources, "refresh_seconds": 1})
    for name, municipality in SYSTEMS.items():
        sample.write(
            f"id-systems/{name}.yaml",
            {
                "id": name,
                "kind": "saml",
                "entity_id": peers.systems[name].entity_id,
                "municipality": municipality,
                "name": {"ja": f"{name}市", "en": f"{name} City"},
                "reading": "よみ",
                "attributes": [{"to": "fullName", "from": ["name"]}],
                "assurance": {"otherwise": {"identity": 1, "authentication": 1}},
                "weaker": ["unsolicited-responses"] if name == UNASKED else [],
            },
        )
    for name in SERVICES:
        sample.write(
            f"services/{name}.yaml",
            {
                "id": name,
                "kind": "saml",
                "entity_id": peers.services[name].entity_id,
                "name": {"ja": name, "en": name},
                "purpose": {"ja": "試験", "en": "Testing"},
                "address": f"https://{name}.example/",
                "attributes": [{"to": "cn", "from": ["fullName"]}],
                "id_systems": ["ebetsu", "ebetsu2"] if name == "library" else "all",
                **({"subject_identifier": "subject-id", "weaker": ["common-subject-id"]} if name in COMMON else {}),
            },
        )
    return sample


@dataclass
class Page:
    """What the browser was answered: a redirect's `location`, or a document."""

    status: int
    location: str
    text: str
    url: str

    @property
    def form(self) -> tuple[str, dict[str, str]]:
        """Where the page's one form is posted to, and its hidden fields."""
        (form,) = html.fromstring(self.text).forms
        return form.action, {i.name: i.value or "" for i in form.inputs if i.name}

    @property
    def response(self) -> Element:
        """The SAML Response that the page hands over."""
        return etree.fromstring(base64.b64decode(self.form[1]["SAMLResponse"]))

    @property
    def told(self) -> str:
        """Where a denial goes, and its second-level status code."""
        codes = [str(code) for code in self.response.xpath("//*[local-name()='StatusCode']/@Value")]
        return f"{self.form[0]} {codes[1].rpartition(':')[2]}"


@dataclass
class Browser:
    """One person's browser: keeps cookies, follows nothing by itself."""

    gateway: Here
    peers: Peers
    http: aiohttp.ClientSession

    async def get(self, address: str) -> Page:
        """Open an address."""
        url = URL(urljoin(self.gateway.url, address), encoded=True)  # a signature covers the query's very octets
        async with self.http.get(url, allow_redirects=False) as answer:
            return Page(answer.status, answer.headers.get("Location", ""), await answer.text(), str(answer.url))

    async def post(self, address: str, fields: dict[str, str]) -> Page:
        """Post a form."""
        async with self.http.post(urljoin(self.gateway.url, address), data=fields, allow_redirects=False) as answer:
            return Page(answer.status, answer.headers.get("Location", ""), await answer.text(), str(answer.url))

    async def ask(self, service: str = "portal", entity: str = "/saml", *, to: str | None = None, **asked: Any) -> Page:
        """Begin at `service`, which asks the gateway's entity below `entity`; `to` is where it is sent instead."""
        listed = await self.entity(entity)
        options = {"request_id": "_asked", "relay_state": "rs", "now": now(), **asked}
        redirect = self.peers.services[service].request(listed, **options)
        parts = urlsplit(redirect.location)
        return await self.get(f"{to or parts.path}?{parts.query}")

    async def entity(self, path: str) -> TrustedEntity:
        """One of the gateway's own entities, as a list would state it."""
        document = (await self.get(path + "/metadata")).text.encode()
        published = saml_metadata.publish(
            [document], name="g", signer=signer(), issued_at=now(), valid_until=now() + timedelta(days=1)
        )
        anchors = [signer().certificate_der]
        (found,) = saml_metadata.read(published, name="g", anchors=anchors, now=now()).entities
        return found

    async def choose(self, page: Page, system: str) -> Page:
        """Choose on the choice page that `page` leads to."""
        action, fields = (await self.get(page.location)).form
        return await self.post(action, {**fields, "system": system})

    async def agree(self, page: Page, decision: str = "agree") -> Page:
        """Decide on the consent page that `page` leads to."""
        assert page.location.endswith("/consent"), page
        action, fields = (await self.get(page.location)).form
        return await self.post(action, {**fields, "decision": decision})

    async def arrive(self, system: str, page: Page, **said: Any) -> Page:
        """Bring back what `system` answers to the request that `page` leads there with."""
        return await self.bring(self.answer(system, self.asked(system, page), **said))

    async def bring(self, form: PostForm) -> Page:
        """Post a form of somebody else's to the gateway."""
        return await self.post(urlsplit(form.action).path, dict(form.fields))

    def asked(self, system: str, page: Page) -> SamlAuthnRequest:
        """The gateway's request to `system`, to which `page` leads."""
        address, _, query = page.location.partition("?")
        assert address == f"https://{system}.example/sso", page
        assert parse_qs(query)["Signature"]
        request = etree.fromstring(inflate(base64.b64decode(parse_qs(query)["SAMLRequest"][0])))
        return SamlAuthnRequest(
            id=request.get("ID"),
            issuer=f"{self.gateway.url}/saml/sp/metadata",
            acs_url=f"{self.gateway.url}/saml/sp/acs",
            relay_state=parse_qs(query)["RelayState"][0],
            signed=True,
            is_passive=request.get("IsPassive") == "true",
        )

    def unasked(self, relay_state: str | None) -> SamlAuthnRequest:
        """What an ID system that was asked nothing answers."""
        return SamlAuthnRequest(
            id="",
            issuer=f"{self.gateway.url}/saml/sp/metadata",
            acs_url=f"{self.gateway.url}/saml/sp/acs",
            relay_state=relay_state,
            signed=False,
        )

    def answer(self, system: str, request: SamlAuthnRequest, **said: Any) -> PostForm:
        """A sign-in at `system`."""
        options = {
            "name_id": "hanako",
            "name_id_format": PERSISTENT,
            "attributes": (SamlAttribute(name="name", values=("髙橋 花子",)),),
            "authn_context": "urn:example:card",
            "authn_instant": now(),
            "now": now(),
            **said,
        }
        return self.peers.systems[system].response(request, **options)

    async def signed_in(self, page: Page, entity: str = "/saml", service: str = "portal") -> SamlAssertion:
        """What the service makes of the answer that `page` hands over. Raises as the service would."""
        action, fields = page.form
        assert action == self.peers.services[service].acs_url
        listed = await self.entity(entity)
        asked = page.response.get("InResponseTo")
        return self.peers.services[service].response(fields["SAMLResponse"], idp=listed, request_id=asked, now=now())


__all__ = [
    "COMMON",
    "SYSTEMS",
    "UNASKED",
    "Browser",
    "Page",
    "Peers",
    "SamlStatusError",
    "WebRequest",
    "now",
    "saml_sample",
]
