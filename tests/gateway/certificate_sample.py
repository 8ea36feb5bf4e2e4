"""A gateway whose municipality has certificates on phones, what their authority says, and a browser that signs in."""

import base64
import json
import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from federation.certificate.model import Standing, Status, StatusQuestion
from gateway.asking import Recalled
from tests.federation.certificate.authorities import POLICY, Authority, Issued
from tests.federation.certificate.phone import Phone
from trust_lists import etsi_json

from .gateway_sample import AUTHORIZE, CALLBACK, Here, Sample, signatory

ENTITY = "urn:example:maebashi:certificate-authority"
LISTED = Authority.root("Example CA")
STRANGER = Authority.root("Example CA")
"""One of the same name, on no list."""


def issued(subject: str = "山田 花子", *, by: Authority = LISTED, **changes: Any) -> Issued:
    """A resident's certificate that is valid now, unless `changes` say otherwise."""
    now = datetime.now(UTC)
    return by.issue(
        subject, **{"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=30), **changes}
    )


HANAKO = issued()


class Forgetful:
    """Statuses of which none is remembered: the authority is asked each time."""

    def recalled(self, question: StatusQuestion) -> Recalled | None:
        """Nothing."""

    def used(self, key: Hashable) -> None:
        """Nothing was recalled."""
        raise AssertionError(key)


@dataclass
class Says(Forgetful):
    """What the authority says of every certificate; tests change it."""

    standing: Standing | None = Standing.GOOD

    async def status(self, question: StatusQuestion) -> Status:
        """The answer."""
        assert question.issuer == LISTED.certificate
        return Status(standing=self.standing, source="ocsp")


def certificate_list(*authorities: Authority, sequence: int = 1, **more: object) -> bytes:
    """The region's list: one who issues certificates by these authorities, an OpenID provider, and a service.

    `more` is what the list says of the first of them besides.
    """
    entity = {
        "entity_id": ENTITY,
        "role": "certificate-authority",
        "name": {"ja": "認証局", "en": "Authority"},
        "certificates": [base64.b64encode(each.der).decode() for each in authorities],
        **more,
    }
    provider = {
        "entity_id": "https://maebashi.example",
        "role": "openid-provider",
        "name": {"ja": "前橋", "en": "Maebashi"},
        "metadata": {"issuer": "https://maebashi.example"},
    }
    service = {
        "entity_id": "https://site.example",
        "role": "openid-relying-party",
        "name": {"ja": "site", "en": "site"},
        "metadata": {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_basic"},
    }
    now = datetime.now(UTC)
    return etsi_json.publish(
        [entity, provider, service],
        name="region",
        key_pem=signatory().key,
        certificate_pem=signatory().certificate,
        issued_at=now,
        valid_until=now + timedelta(days=30),
        sequence=sequence,
    )


def certificate_sample(directory: Path, *, state: Sample | None = None) -> Sample:
    """A configuration with one authority's certificates, and an OpenID provider beside it; `state`: of another one."""
    sample = Sample(directory)
    if state is not None:
        sample.public_url, sample.state = state.public_url, state.state
        sample.write("gateway.yaml", sample.gateway())
    sample.put_list(certificate_list(LISTED))
    sample.write(
        "id-systems/phone.yaml",
        {
            "id": "phone",
            "kind": "certificate",
            "entity_id": ENTITY,
            "municipality": "102016",
            "name": {"ja": "前橋市", "en": "Maebashi City"},
            "reading": "まえばしし",
            "phone_url": "https://app.example/authorize",
            "subject": "subject.commonName",
            "policies": [POLICY],
            "attributes": [{"to": "fullName", "from": ["subject.commonName"]}],
            "assurance": {"otherwise": {"identity": 2, "authentication": 2}},
        },
    )
    return sample


# --- a browser


@dataclass
class Shown:
    """A page or a redirect, as the browser got it."""

    status: int
    text: str
    location: str
    headers: Any

    def csrf(self) -> str:
        """The token of its form."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]


@dataclass
class Visitor:
    """Somebody's browser, that has begun nothing yet; `page` is the path of the sign-in's own page."""

    gateway: Here
    http: aiohttp.ClientSession
    page: str = ""
    links: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **options: Any) -> Shown:
        return await self._shown("GET", path, **options)

    async def post(self, path: str, fields: Any, **options: Any) -> Shown:
        return await self._shown("POST", path, data=fields, **options)

    async def _shown(self, method: str, path: str, **options: Any) -> Shown:
        url = path if path.startswith("http") else self.gateway.url + path
        options.setdefault("headers", {"Accept-Language": "en"})
        async with self.http.request(method, url, allow_redirects=False, **options) as response:
            location = response.headers.get("Location", "").removeprefix(self.gateway.url)
            return Shown(response.status, await response.text(), location, response.headers)

    async def begin(self) -> Shown:
        """A service sends the person here, who chooses the certificate: its page."""
        choice = (await self.get(AUTHORIZE.replace("scope=openid", "scope=openid+profile"))).location
        form = await self.get(choice)
        left = await self.post(choice, {"csrf": form.csrf(), "system": "phone"})
        assert re.fullmatch(r"/certificate/[\w-]{43}", left.location), (left.status, left.text)
        self.page = left.location
        return await self.get(self.page)

    def reference(self, shown: Shown) -> str:
        """The request behind the link for this device."""
        link = unescape(re.search(r'href="(https://app\.example/authorize[^"]+)"', shown.text)[1])  # type: ignore[index]
        return parse_qs(urlsplit(link).query)["request_uri"][0].rpartition("/")[2]

    async def references(self) -> tuple[str, str]:
        """Of the QR code and of the link, as the flow remembers them."""
        flow = await self.gateway.process.gateway.store.read_flow(self.page.rpartition("/")[2])
        assert flow is not None
        across, here = flow["memory"]["requests"]
        return across, here

    async def confirm(self, code: str) -> Shown:
        """Type the code that the phone shows."""
        page = await self.get(self.page)
        return await self.post(self.page + "/confirm", {"csrf": page.csrf(), "code": code})


@dataclass
class Answered:
    """What a phone was told."""

    status: int
    body: dict[str, Any]


async def fetched(gateway: Here, reference: str) -> aiohttp.ClientResponse:
    """A phone asks for the request object."""
    async with aiohttp.ClientSession() as http:
        response = await http.get(f"{gateway.url}/certificate/requests/{reference}")
        await response.read()
        return response


async def sent(gateway: Here, fields: Any, **headers: str) -> Answered:
    """A phone posts."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.url}/certificate/answers", data=fields, headers=headers) as response,
    ):
        return Answered(response.status, json.loads(await response.text()))


async def signed(gateway: Here, reference: str, holder: Issued = HANAKO) -> list[tuple[str, str]]:
    """The form with which the phone of `holder` answers."""
    request = await (await fetched(gateway, reference)).text()
    return list(Phone(holder, at=datetime.now(UTC)).answer(request))
