"""A region where a service may have texts signed: a gateway, an authority with its responder, a timestamp authority."""

import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from federation.oidc.oauth import basic
from tests.federation.certificate import texts
from tests.federation.certificate.authorities import POLICY, Authority, Issued
from tests.federation.certificate.timestamps import Tsa, refusal, tsa_certificate
from trust_lists import etsi_json

from .gateway_sample import CALLBACK, Here, Sample, free_port, here, signatory

SECRET = "the site's secret"
CLIENTS = ("https://site.example", "https://other.example")
ENTITY = "urn:example:maebashi:certificate-authority"
AUTHORITY = Authority.root("Example CA")
TSA_ROOT = Authority.root("Example TSA")
ORDER = {
    "title": "子ども医療費の助成の申請",
    "text": texts.TEXT,
    "format": "cms",
    "id_system": "phone",
    "language": "ja",
    "return_to": CALLBACK,
}


def now() -> datetime:
    """By the clock, as the gateway's."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class Around:
    """The servers around the gateway: what they answer, tests change."""

    port: int = field(default_factory=free_port)
    stamps: bool = True
    refusals: int = 0
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def person(self, subject: str = "山田 花子", *, by: Authority = AUTHORITY, **changes: Any) -> Issued:
        """A resident's certificate that is valid now, and whose revocation this server tells."""
        times = {"not_before": now() - timedelta(days=1), "not_after": now() + timedelta(days=30)}
        return by.issue(subject, **{**times, "ocsp_urls": (f"{self.url}/ocsp",), **changes})

    async def _ocsp(self, request: web.Request) -> web.Response:
        answer = AUTHORITY.ocsp(await request.read(), at=now())
        return web.Response(body=answer, content_type="application/ocsp-response")

    async def _tsa(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503)
        signer = tsa_certificate(TSA_ROOT, not_before=now() - timedelta(days=1), not_after=now() + timedelta(days=30))
        answer = Tsa(signer, at=now()).answer(await request.read()) if self.stamps else refusal()
        return web.Response(body=answer, content_type="application/timestamp-reply")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Around"]:
        app = web.Application()
        app.add_routes([web.post("/ocsp", self._ocsp), web.post("/tsa", self._tsa)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "localhost", self.port).start()
        try:
            yield self
        finally:
            await runner.cleanup()


def signing_sample(directory: Path, around: Around, *, metadata: Any = None, **site: Any) -> Sample:
    """A configuration with two services, of which one may have texts signed; `site` changes that one.

    `metadata` are those that the list states of it.
    """
    sample = Sample(directory)
    (sample.config / "lists" / "tsa.pem").write_bytes(TSA_ROOT.certificate.public_bytes(Encoding.PEM))
    stamps = {"url": f"{around.url}/tsa", "certificates": ["lists/tsa.pem"]}
    sample.write("gateway.yaml", sample.gateway(timestamp=stamps))
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    own = {"client_secret_sha256": digest, "signing": True, "address": "https://site.example/", **site}
    written = {name: value for name, value in {**sample.service("site"), **own}.items() if value is not None}
    sample.write("services/site.yaml", written)
    sample.write("services/other.yaml", {**sample.service("other"), "client_secret_sha256": digest})
    entity = {
        "entity_id": ENTITY,
        "role": "certificate-authority",
        "name": {"ja": "認証局", "en": "Authority"},
        "certificates": [base64.b64encode(AUTHORITY.der).decode()],
    }
    provider = {
        "entity_id": "https://maebashi.example",
        "role": "openid-provider",
        "name": {"ja": "前橋", "en": "Maebashi"},
        "metadata": {"issuer": "https://maebashi.example"},
    }
    services = [
        {
            "entity_id": client,
            "role": "openid-relying-party",
            "name": {"ja": "site", "en": "site"},
            "metadata": {
                "redirect_uris": [CALLBACK],
                "token_endpoint_auth_method": "client_secret_basic",
                **((metadata or {}) if client == CLIENTS[0] else {}),
            },
        }
        for client in CLIENTS
    ]
    document = etsi_json.publish(
        [entity, provider, *services],
        name="region",
        key_pem=signatory().key,
        certificate_pem=signatory().certificate,
        issued_at=now(),
        valid_until=now() + timedelta(days=30),
        sequence=1,
    )
    sample.put_list(document)
    system = {
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
        "revocation": {"private_addresses": "allowed"},
    }
    sample.write("id-systems/phone.yaml", system)
    return sample


@contextlib.asynccontextmanager
async def region(directory: Path, store: str, **site: Any) -> AsyncIterator["Region"]:
    """All of it, running."""
    async with (
        Around().running() as around,
        here(signing_sample(directory, around, **site), store) as gateway,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
        aiohttp.ClientSession() as apart,
    ):
        yield Region(gateway=gateway, around=around, http=http, apart=apart)


@dataclass
class Answer:
    """What somebody was answered."""

    status: int
    text: str
    json: Any
    headers: Any

    @property
    def location(self) -> str:
        return str(self.headers.get("Location", ""))


@dataclass
class Region:
    """The region with a service, a resident's browser (`http`), and what has no cookies (`apart`)."""

    gateway: Here
    around: Around
    http: aiohttp.ClientSession
    apart: aiohttp.ClientSession

    async def request(self, method: str, path: str, *, session: Any = None, **options: Any) -> Answer:
        url = path if path.startswith("http") else self.gateway.url + path
        options.setdefault("headers", {"Accept-Language": "en"})
        async with (session or self.apart).request(method, url, allow_redirects=False, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answer(response.status, text, await response.json() if is_json else None, response.headers)

    # --- the service

    async def service(self, method: str, path: str, *, client: str = CLIENTS[0], **options: Any) -> Answer:
        return await self.request(method, path, headers={"Authorization": basic(client, SECRET)}, **options)

    async def order(self, **changes: Any) -> str:
        """The path of the resident's page."""
        answer = await self.service("POST", "/signing/requests", json={**ORDER, **changes})
        assert answer.status == 201, answer.text
        assert answer.json["page"] == f"{self.gateway.url}/signing/{answer.json['id']}"
        return f"/signing/{answer.json['id']}"

    async def state(self, page: str) -> dict[str, Any]:
        """What the service reads."""
        found = await self.service("GET", f"/signing/requests/{page.rpartition('/')[2]}")
        assert found.status == 200, found.text
        answer: dict[str, Any] = found.json
        return answer

    # --- the resident

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path, session=self.http)

    async def post(self, path: str, shown: Answer, **fields: str) -> Answer:
        token = shown.text.partition('name="csrf" value="')[2].partition('"')[0]
        return await self.request("POST", path, session=self.http, data={"csrf": token, **fields})

    async def agree(self, page: str) -> Answer:
        """Read the text, agree, and see the page that waits for the phone."""
        await self.post(page, await self.get(page), decision="agree")
        return await self.get(page)

    # --- the phone

    def link(self, shown: Answer) -> str:
        """The address of the request behind the link for this device."""
        link = unescape(shown.text.partition('href="https://app.example/authorize')[2].partition('"')[0])
        return parse_qs(urlsplit(link).query)["request_uri"][0]

    async def across(self, page: str) -> str:
        """The address of the request behind the QR code, as the store remembers it."""
        kept = await self.gateway.process.gateway.store.read("signing-round", page.rpartition("/")[2])
        assert kept is not None
        return f"{self.gateway.url}/signing/objects/{kept['across']}"

    async def claims(self, address: str) -> dict[str, Any]:
        """What the phone is asked."""
        fetched = await self.request("GET", address)
        assert fetched.status == 200, fetched.text
        assert fetched.headers["Content-Type"] == "application/oauth-authz-req+jwt"
        payload = fetched.text.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims

    def signed(self, claims: dict[str, Any], holder: Issued, **changes: Any) -> dict[str, str]:
        """The form with which a phone answers."""
        text = changes.pop("text", claims["text"])
        nonce = changes.pop("nonce", claims["nonce"])
        if claims["formats"] == ["cms"]:
            octets = texts.sign_cms(holder, text, nonce=nonce, at=now(), **changes)
            return {"state": claims["state"], "cms": base64.b64encode(octets).decode()}
        header = {"nonce": nonce, "iat": int(now().timestamp())}
        return {"state": claims["state"], "response": texts.sign_jws(holder, text, header=header, **changes).decode()}

    async def send(self, form: Any, **headers: str) -> Answer:
        return await self.request("POST", "/signing/answers", data=form, headers=headers)
