"""Who calls besides people's apps: municipalities' systems, and whoever holds a token that is bound to what they have.

Everything is real: TLS with certificates, keys, a list, a store, and Authlib as a system's client.
"""

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from federation.callers import Binding, BindingKind
from federation.oidc.dpop import ath
from federation.oidc.jose import SigningKey, jws, sign
from federation.oidc.presented import bound_to
from gateway.listeners import bind
from gateway.serve import serving
from gateway.workers import Sockets

from .gateway_sample import READ, Here, Sample, Signatory, free_port, here, signatory, signed_list
from .upstream_sample import Connection, Upstream, ok, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFICE = "https://office.example"


def der(of: Signatory) -> bytes:
    """The certificate, DER."""
    return x509.load_pem_x509_certificate(of.certificate).public_bytes(Encoding.DER)


def office(**said: Any) -> dict[str, Any]:
    """Maebashi's office, as the council's list has it."""
    listed = base64.b64encode(der(signatory("office"))).decode()
    entry = {"entity_id": OFFICE, "role": "council-member", "municipality": "102016", "certificates": [listed]}
    return {**entry, "addresses": ["https://office.example/council"], **said}


@dataclass
class Region:
    """A gateway, its service, and the listener where clients show certificates."""

    gateway: Here
    service: Upstream
    certificates: str
    trusted: Path
    directory: Path

    sequence: int = 1

    async def list_office(self, *members: dict[str, Any]) -> None:
        """The region's list says this of the office now, and the gateway knows."""
        self.sequence += 1
        self.gateway.sample.put_list(signed_list("maebashi", sequence=self.sequence, members=members))
        await asyncio.to_thread(self.gateway.process.gateway.holder.look)

    def context(self, shown: Signatory | None = None) -> ssl.SSLContext:
        """A client that trusts the listener, and shows a certificate in the handshake."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        if shown is not None:
            pem = self.directory / f"{secrets.token_hex(4)}.pem"
            pem.write_bytes(shown.key + shown.certificate)
            context.load_cert_chain(pem)
        return context


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """One gateway for all of them."""
    directory = tmp_path_factory.mktemp("bound")
    pair, port = signatory("first", host="localhost"), free_port()
    async with upstream() as service:
        sample = Sample(directory / "gateway", upstream=service.url)
        (sample.config / "tls.pem").write_bytes(pair.certificate)
        (sample.config / "tls.key").write_bytes(pair.key)
        (sample.config / "tls.key").chmod(0o600)
        listener = {
            "url": f"https://localhost:{port}",
            "listen": {"host": "localhost", "port": port},
            "tls": {"certificate": "tls.pem", "key": "tls.key"},
        }
        sample.write("gateway.yaml", sample.gateway(client_certificates=listener))
        sample.put_list(signed_list("maebashi", members=[office()]))
        system = {
            "id": "office",
            "entity_id": OFFICE,
            "name": {"ja": "市役所", "en": "Office"},
            "scopes": [READ, "council.ask"],
        }
        sample.write("systems.yaml", {"systems": [system]})
        routes = sample.routes()
        routes["scopes"].append({"name": "council.ask", "label": {"ja": "照会", "en": "Requests of the council"}})
        for each in routes["routes"]:
            each["callers"] = ["people", "systems"]
        routes["routes"][1]["callers"] = ["people"]
        sample.write("routes.yaml", routes)
        trusted = directory / "trusted.pem"
        trusted.write_bytes(pair.certificate)
        async with (
            here(sample, store_url) as gateway,
            serving(gateway.process.gateway, Sockets(public=(), cards=(), clients=bind("localhost", port)), 2, None),
        ):
            yield Region(gateway, service, listener["url"], trusted, directory)


@pytest_asyncio.fixture(loop_scope="module")
async def region(running: Region) -> Region:
    """The region as if nothing had happened yet."""
    running.service.behave = ok
    running.service.calls.clear()
    await running.list_office(office())
    return running


def by_authlib(region: Region, signer: SigningKey, scope: str | None = None) -> dict[str, Any]:
    """A system's token, asked for by Authlib with `private_key_jwt`."""
    endpoint = f"{region.gateway.url}/oidc/token"
    with OAuth2Session(
        OFFICE, signer.key, token_endpoint_auth_method="private_key_jwt", token_endpoint=endpoint
    ) as session:
        session.register_client_auth_method(PrivateKeyJWT(endpoint, alg=signer.algorithm))
        found: dict[str, Any] = session.fetch_token(endpoint, grant_type="client_credentials", scope=scope)
    return found


async def token_of(region: Region, **options: Any) -> str:
    """The office's token, by its listed key."""
    key = SigningKey.from_pem(signatory("office").key)
    answer = await asyncio.to_thread(partial(by_authlib, region, key, **options))
    return str(answer["access_token"])


async def called(url: str, headers: dict[str, str], *, method: str = "GET", **more: Any) -> tuple[int, str]:
    """Status and, of a problem, its code."""
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers, **more) as answer:
        if answer.content_type == "application/problem+json":
            return answer.status, (await answer.json(content_type=None))["code"]
        return answer.status, await answer.text()


async def refused_soon(url: str, headers: dict[str, str], expected: tuple[int, str]) -> None:
    """Calls are refused so, once the process asked the lists again."""
    deadline = asyncio.get_running_loop().time() + 10
    while (found := await called(url, headers)) != expected:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)


def proof(key: SigningKey, url: str, token: str | None = None, method: str = "GET", **said: Any) -> str:
    """A proof of possession (RFC 9449 §4.2)."""
    claims = {
        "jti": secrets.token_hex(8),
        "htm": method,
        "htu": url,
        "iat": int(datetime.now(UTC).timestamp()),
        **({} if token is None else {"ath": ath(token)}),
        **said,
    }
    header = {"typ": "dpop+jwt", "alg": key.algorithm, "jwk": key.key.as_dict(private=False)}
    return jws.serialize_compact(header, json.dumps(claims).encode(), key.key)


# --- a municipality's system


async def test_a_system_calls_in_its_own_name(region: Region) -> None:
    """The service learns which municipality calls, and of no person."""
    token = await token_of(region)
    assert (await called(region.gateway.url + "/api/notes", {"Authorization": f"Bearer {token}"}))[0] == 200

    (call,) = region.service.calls
    payload = (call.header("Kakehashi-Assertion") or "").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["caller"], claims["municipality"], claims["client_id"]) == ("system", "102016", OFFICE)
    assert not {"sub", "acr", "consent"} & set(claims)


async def test_a_system_may_only_what_is_for_systems(region: Region) -> None:
    """Not a route for people, and nothing at the end where people's attributes are."""
    bearer = {"Authorization": f"Bearer {await token_of(region)}"}
    found = await called(region.gateway.url + "/api/notes", bearer, method="POST", data=b"x")
    assert found == (403, "caller-not-allowed")
    assert await called(region.gateway.url + "/oidc/userinfo", bearer) == (403, "scope-missing")


async def test_a_system_that_leaves_the_list_is_refused_at_its_next_call(region: Region) -> None:
    """Its tokens live on, and serve nobody; another municipality does not take them over."""
    bearer = {"Authorization": f"Bearer {await token_of(region)}"}
    assert (await called(region.gateway.url + "/api/notes", bearer))[0] == 200
    for members in ([office(municipality="102024")], []):
        await region.list_office(*members)
        await refused_soon(region.gateway.url + "/api/notes", bearer, (401, "token-invalid"))


async def test_a_stranger_gets_no_token(region: Region) -> None:
    """A key that the list does not name is nobody's."""
    with pytest.raises(OAuthError, match="invalid_client"):
        await asyncio.to_thread(by_authlib, region, SigningKey.generate())


# --- by certificate


def by_certificate(region: Region, url: str, shown: Signatory | None, **form: str) -> requests.Response:
    """A token request whose sender shows a certificate in the handshake."""
    cert = None
    if shown is not None:
        pem = region.directory / f"{secrets.token_hex(4)}.pem"
        pem.write_bytes(shown.key + shown.certificate)
        cert = str(pem)
    fields = {"grant_type": "client_credentials", "client_id": OFFICE, **form}
    return requests.post(f"{url}/oidc/token", data=fields, cert=cert, verify=str(region.trusted), timeout=20)


async def test_a_system_proves_itself_in_the_handshake(region: Region) -> None:
    """Its token serves whoever shows the same certificate, and nobody else (RFC 8705 §3)."""
    answer = await asyncio.to_thread(by_certificate, region, region.certificates, signatory("office"))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer"), answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    own, other = region.context(signatory("office")), region.context()
    assert (await called(region.certificates + "/api/notes", bearer, ssl=own))[0] == 200
    assert await called(region.certificates + "/api/notes", bearer, ssl=other) == (401, "token-bound")
    assert await called(region.gateway.url + "/api/notes", bearer) == (401, "token-bound")
    lied = {**bearer, "Client-Cert": f":{base64.b64encode(der(signatory('office'))).decode()}:"}
    assert await called(region.gateway.url + "/api/notes", lied) == (401, "token-bound")


async def test_without_its_certificate_it_is_nobody(region: Region) -> None:
    """With none, and with one that no list names: then there is not even a handshake."""
    answer = await asyncio.to_thread(by_certificate, region, region.certificates, None)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    with pytest.raises(requests.exceptions.RequestException):
        await asyncio.to_thread(by_certificate, region, region.certificates, signatory("stranger"))


async def test_an_app_shows_the_certificate_of_its_listed_key(region: Region) -> None:
    """The first of `x5c` (RFC 7517 §4.7): tokens can be bound to it. What cannot be read is passed over."""
    app = signatory("app")
    key = SigningKey.from_pem(app.key).public_jwk()
    chains: tuple[Any, ...] = ([base64.b64encode(der(app)).decode()], ["AAAA"], ["!"])
    keys = [{**key, "kid": str(n), "x5c": chain} for n, chain in enumerate(chains)]
    listed = {"redirect_uris": ["https://app.example/"], "token_endpoint_auth_method": "private_key_jwt"}
    entry = {"entity_id": "https://app.example", "role": "openid-relying-party"}
    await region.list_office(office(), {**entry, "metadata": {**listed, "jwks": {"keys": keys}}})
    token = region.gateway.sample.token(binding=bound_to(der(app)))
    bearer = {"Authorization": f"Bearer {token}"}

    url = region.certificates + "/api/notes"
    assert (await called(url, bearer, ssl=region.context(app)))[0] == 200
    assert await called(url, bearer, ssl=region.context(signatory("office"))) == (401, "token-bound")


async def test_people_open_nothing_where_certificates_are_shown(region: Region) -> None:
    """That listener is for programs: it has no pages."""
    context = region.context()
    for path in ("/", "/oidc/authorize", "/saml/metadata", "/login/x"):
        assert (await called(region.certificates + path, {}, ssl=context))[0] == 404


# --- by a key


async def test_a_token_bound_to_a_key_serves_its_owner(region: Region) -> None:
    """Each call brings a proof of its own; a stolen token, a stolen proof and a proof for something else do not do."""
    key, endpoint = SigningKey.generate(), f"{region.gateway.url}/oidc/token"
    made = partial(proof, key, endpoint, method="POST")
    assertion = SigningKey.from_pem(signatory("office").key)
    answer = await asyncio.to_thread(partial(bound_answer, region, assertion, made()))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP"), answer.text
    token = answer.json()["access_token"]
    url = region.gateway.url + "/api/notes"

    def headers(*proofs: str, scheme: str = "DPoP") -> Any:
        return [("Authorization", f"{scheme} {token}"), *(("DPoP", each) for each in proofs)]

    first = proof(key, url, token)
    assert (await called(url + "?a=b", headers(first)))[0] == 200
    assert await called(url, headers(first)) == (401, "proof-invalid")  # used before
    assert (await called(url, headers(proof(key, url.upper().replace("/API/NOTES", "/api/notes"), token))))[0] == 200
    assert await called(url, headers(scheme="Bearer")) == (401, "token-bound")
    assert await called(url, headers(proof(key, url, token), scheme="Bearer")) == (401, "token-bound")
    for wrong in (
        proof(SigningKey.generate(), url, token),
        proof(key, url),
        proof(key, url, "another"),
        proof(key, url + "/1", token),
        proof(key, url.replace("localhost", "other.example"), token),
        proof(key, url, token, method="POST"),
        proof(key, url, token, iat=int(datetime.now(UTC).timestamp()) - 90),
        proof(key, url, token, iat=int(datetime.now(UTC).timestamp()) + 90),
    ):
        assert await called(url, headers(wrong)) == (401, "proof-invalid")
    assert await called(url, headers()) == (401, "proof-invalid")
    assert await called(url, headers(proof(key, url, token), proof(key, url, token))) == (401, "proof-invalid")


def bound_answer(region: Region, signer: SigningKey, proof: str) -> requests.Response:
    """A token request of the office with a proof."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": OFFICE, "sub": OFFICE, "aud": region.gateway.url, "exp": now + 60, "jti": secrets.token_hex(8)}
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign(claims, signer),
    }
    return requests.post(f"{region.gateway.url}/oidc/token", data=form, headers={"DPoP": proof}, timeout=20)


async def test_a_persons_token_is_bound_likewise(region: Region) -> None:
    """For calls, and where the person's attributes are."""
    key = SigningKey.generate()
    token = region.gateway.sample.token(binding=Binding(kind=BindingKind.KEY, value=key.kid))
    for path, well in (("/api/notes", (200, "ok")), ("/oidc/userinfo", (401, "token-invalid"))):
        url = region.gateway.url + path
        proofs = {"Authorization": f"DPoP {token}", "DPoP": proof(key, url, token)}
        assert await called(url, proofs) == well  # nothing is kept for this one at userinfo
        assert await called(url, proofs) == (401, "proof-invalid")
        assert await called(url, {"Authorization": f"Bearer {token}"}) == (401, "token-bound")


async def test_a_proxy_passes_certificates_on(region: Region, store_url: str) -> None:
    """RFC 9440, from listed proxies alone; what it cannot read is no certificate."""
    sample = Sample(region.directory / "proxied", upstream=region.service.url)
    proxied = {"url": "https://mtls.example", "header": "client-cert"}
    shown = f":{base64.b64encode(der(signatory('office'))).decode()}:"
    form = {"grant_type": "client_credentials", "client_id": OFFICE}
    for name in ("systems.yaml", "routes.yaml"):
        (sample.config / name).write_bytes((region.gateway.sample.config / name).read_bytes())
    sample.put_list(signed_list("maebashi", members=[office()]))
    none = (shown[:-1], f"{shown}, {shown}", ":AAAA:", "::", "")
    for proxies, cases in (
        (["127.0.0.1/32", "::1/128"], {shown: 200} | dict.fromkeys(none, 401)),
        (["192.0.2.1/32"], {shown: 401}),
    ):
        sample.write("gateway.yaml", sample.gateway(client_certificates=proxied, trusted_proxies=proxies))
        async with here(sample, store_url), aiohttp.ClientSession() as http:
            for certificate, status in cases.items():
                headers = {"Client-Cert": certificate}
                async with http.post(sample.public_url + "/oidc/token", data=form, headers=headers) as answer:
                    assert answer.status == status, certificate[:20]
                    told = await answer.json()
                if status == 200:
                    bearer = {"Authorization": f"Bearer {told['access_token']}"}
                    assert (await called(sample.public_url + "/api/notes", {**bearer, **headers}))[0] == 200
                    assert await called(sample.public_url + "/api/notes", bearer) == (401, "token-bound")


async def test_a_proof_gets_one_token(region: Region) -> None:
    """In the store, so for every process; and it is refused in the protocol's words."""
    made = proof(SigningKey.generate(), f"{region.gateway.url}/oidc/token", method="POST")
    signer = SigningKey.from_pem(signatory("office").key)
    assert (await asyncio.to_thread(bound_answer, region, signer, made)).status_code == 200
    again = await asyncio.to_thread(bound_answer, region, signer, made)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof")
    for wrong in ("x", "a.b.c", proof(SigningKey.generate(), region.gateway.url, method="POST")):
        answer = await asyncio.to_thread(bound_answer, region, signer, wrong)
        assert answer.json()["error"] == "invalid_dpop_proof"


async def test_the_challenge_asks_for_a_proof(region: Region) -> None:
    """RFC 9449 §7.1: the scheme, the error and the algorithms."""
    unbound = {"Authorization": f"DPoP {await token_of(region)}"}
    async with aiohttp.ClientSession() as http, http.get(region.gateway.url + "/api/notes", headers=unbound) as answer:
        challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'error="invalid_dpop_proof"' in challenge
    assert 'algs="ES256 PS256 RS256"' in challenge


# --- the council's endpoints


async def test_a_stream_of_answers_ends_with_its_token(region: Region) -> None:
    """As every call that goes on: what comes later is for those who may still ask."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def waits(_: Connection) -> None:
        asked.set()
        await never.wait()

    region.service.behave = waits
    other = {
        **office(),
        "entity_id": "https://other.example",
        "municipality": "102024",
        "addresses": [region.service.url],
    }
    await region.list_office(office(), other)
    token = await token_of(region, scope="council.ask")
    question = {
        "to": {"members": ["102024"]},
        "question": {"method": "GET", "path": "/free-places"},
        "purpose": "Where can people sleep tonight?",
        "deadline_seconds": 20,
    }
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/x-ndjson"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{region.gateway.url}/council/requests", json=question) as answer,
    ):
        assert answer.status == 200, await answer.text()
        assert json.loads(await answer.content.readline())["type"] == "request"
        await asyncio.wait_for(asked.wait(), 10)
        inside = region.gateway.process.gateway
        await inside.revocations.revoke([inside.region.openid_provider.verify_access_token(token, inside.clock()).jti])
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(answer.content.read(), 10)
    never.set()
