"""A shared service that calls another one on a person's behalf, by the assertion with which it was called itself."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jwskate import Jwk
from requests_oauth2client import DPoPToken, OAuth2Client, PrivateKeyJwt

from federation.identifiers import PersonRef
from federation.oidc.jose import SigningKey, peek_unsafe, sign

from .gateway_sample import READ, WRITE, Here, Sample, here, signatory, signed_list
from .upstream_sample import Upstream, ok, upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTES, ACT = "https://notes.example", "notes.act"
RESIDENT = "resident-of-exchanges"
"""Somebody whose tokens end here, in a store that other tests use, too."""
JWT, TOKEN = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:access_token"


def notes() -> dict[str, Any]:
    """The shared service, as the region's list has it."""
    der = x509.load_pem_x509_certificate(signatory("notes").certificate).public_bytes(Encoding.DER)
    return {"entity_id": NOTES, "role": "regional-service", "certificates": [base64.b64encode(der).decode()]}


@dataclass
class Region:
    """A gateway and its shared service, which may act for people who agreed."""

    gateway: Here
    service: Upstream
    person: PersonRef
    sequence: int = 1
    token: str = field(default_factory=partial(secrets.token_hex, 8))

    async def assertion(self) -> str:
        """What the service was told of the caller of a call."""
        self.service.calls.clear()
        headers = self.gateway.sample.bearer(scopes=(READ, WRITE, ACT), resident=RESIDENT, jti=self.token)
        assert await called(self.gateway.url + "/api/notes", headers) == (200, "ok")
        return str(self.service.calls[0].header("Kakehashi-Assertion"))

    async def list(self, *members: dict[str, Any]) -> None:
        """The region's list names these besides, and the gateway knows."""
        self.sequence += 1
        self.gateway.sample.put_list(signed_list("maebashi", sequence=self.sequence, members=members))
        await asyncio.to_thread(self.gateway.process.gateway.holder.look)

    async def exchange(self, subject: str, kind: str = JWT, **more: str) -> requests.Response:
        """The service asks for a token of its own."""
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": NOTES, "sub": NOTES, "aud": self.gateway.url, "exp": now + 60, "jti": secrets.token_hex(8)}
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject,
            "subject_token_type": kind,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": sign(claims, SigningKey.from_pem(signatory("notes").key)),
            **more,
        }
        return await asyncio.to_thread(partial(requests.post, self.gateway.url + "/oidc/token", data=form, timeout=20))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, store_url: str) -> AsyncIterator[Region]:
    """One gateway for all of them."""
    async with upstream() as service:
        sample = Sample(Path(tmp_path_factory.mktemp("exchange")), upstream=service.url)
        sample.put_list(signed_list("maebashi", members=[notes()]))
        routes = sample.routes()
        routes["services"][0]["entity_id"] = NOTES
        acting = {"name": ACT, "label": {"ja": "代わりに", "en": "Act"}, "acting": {"by": NOTES, "scopes": [READ]}}
        routes["scopes"].append(acting)
        sample.write("routes.yaml", routes)
        sample.write("services/site.yaml", {**sample.service("site"), "scopes": [READ, WRITE, ACT]})
        async with here(sample, store_url) as gateway:
            record = sample.consent(READ, WRITE, ACT, resident=RESIDENT)
            yield Region(gateway, service, record.person)


@pytest_asyncio.fixture(loop_scope="module")
async def region(running: Region) -> Region:
    """The region as if nothing had happened yet: the person agreed."""
    running.service.behave = ok
    await running.list(notes())
    await running.gateway.process.gateway.store.save_consent(
        running.gateway.sample.consent(READ, WRITE, ACT, resident=RESIDENT)
    )
    return running


async def called(url: str, headers: dict[str, str], method: str = "GET") -> tuple[int, str]:
    """Status and, of a problem, its code."""
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as answer:
        if answer.content_type == "application/problem+json":
            return answer.status, (await answer.json(content_type=None))["code"]
        return answer.status, await answer.text()


async def until(url: str, headers: dict[str, str], expected: tuple[int, str]) -> None:
    """Calls are answered so, once the process asked again what counts."""
    deadline = asyncio.get_running_loop().time() + 10
    while (found := await called(url, headers)) != expected:
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)


async def test_a_service_calls_another_for_a_person(region: Region) -> None:
    """With what the person let it have, and with everybody who acts in the assertion that the next one gets."""
    answer = await region.exchange(await region.assertion())
    assert (answer.status_code, answer.json()["scope"]) == (200, READ), answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    region.service.calls.clear()
    assert (await called(region.gateway.url + "/api/notes", bearer))[0] == 200
    told = peek_unsafe(str(region.service.calls[0].header("Kakehashi-Assertion")))
    assert told["act"] == {"sub": NOTES, "act": {"sub": "https://site.example"}}
    assert told["client_id"] == NOTES
    assert await called(region.gateway.url + "/api/notes", bearer, "POST") == (403, "scope-missing")


@pytest.mark.parametrize("bound", [False, True])
async def test_somebody_elses_client_exchanges(region: Region, *, bound: bool) -> None:
    """`requests-oauth2client`, from our metadata: for a token of its own, bound to a key of its own or not."""
    subject = await region.assertion()

    def use() -> tuple[int, str]:
        key = Jwk.from_pem(signatory("notes").key).with_kid_thumbprint()
        auth = PrivateKeyJwt(NOTES, key, alg="ES256")
        client = OAuth2Client.from_discovery_endpoint(issuer=region.gateway.url, auth=auth, testing=True)
        token = client.token_exchange(subject_token=subject, subject_token_type=JWT, dpop=bound)
        assert isinstance(token, DPoPToken) is bound
        assert token.scope == READ
        answer = requests.get(f"{region.gateway.url}/api/notes", auth=token, timeout=20)
        return answer.status_code, answer.text

    assert await asyncio.to_thread(use) == (200, "ok")


async def test_the_same_person_at_the_same_service(region: Region) -> None:
    """Whoever calls for them, a service knows a person by one name."""
    first = peek_unsafe(await region.assertion())
    answer = await region.exchange(await region.assertion())
    region.service.calls.clear()
    await called(region.gateway.url + "/api/notes", {"Authorization": f"Bearer {answer.json()['access_token']}"})
    second = peek_unsafe(str(region.service.calls[0].header("Kakehashi-Assertion")))
    assert (first["sub"], first["consent"]) == (second["sub"], second["consent"])


async def test_without_the_persons_leave_there_is_no_token(region: Region) -> None:
    """What was agreed to is asked in the store at each exchange."""
    assertion = await region.assertion()
    await region.gateway.process.gateway.store.save_consent(
        region.gateway.sample.consent(READ, WRITE, resident=RESIDENT)
    )
    answer = await region.exchange(assertion)
    assert (answer.status_code, answer.json()["error"]) == (400, "consent_required")


async def test_another_assertion_of_ours_is_no_access_token(region: Region) -> None:
    """Types are not taken for one another."""
    assertion = await region.assertion()
    for subject, kind in ((assertion, TOKEN), (region.gateway.sample.token(), JWT), (assertion[:-8], JWT)):
        answer = await region.exchange(subject, kind)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_who_leaves_the_list_acts_no_more(region: Region) -> None:
    """The chain holds as long as each of its members does."""
    answer = await region.exchange(await region.assertion())
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await called(region.gateway.url + "/api/notes", bearer))[0] == 200
    await region.list()
    await until(region.gateway.url + "/api/notes", bearer, (401, "token-invalid"))


async def test_a_token_ends_with_the_one_that_it_came_of(region: Region) -> None:
    """A revoked token, and a consent taken back, end all that came of it; and nothing more comes of it."""
    assertion = await region.assertion()
    answer = await region.exchange(assertion)
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    revocations = region.gateway.process.gateway.revocations
    await revocations.withdraw(region.person, "https://site.example")
    assert await called(region.gateway.url + "/api/notes", bearer) == (401, "consent-withdrawn")
    await revocations.revoke([region.token])
    assert await called(region.gateway.url + "/api/notes", bearer) == (401, "token-invalid")
    again = await region.exchange(assertion)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    assert json.dumps(again.json()).count("revoked") == 0
