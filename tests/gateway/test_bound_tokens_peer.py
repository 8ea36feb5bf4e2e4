"""Tokens of systems beside somebody else's client: `requests-oauth2client` reads our metadata and does the rest."""

import asyncio
import base64
import hashlib
from typing import Any

import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import DPoPKey, DPoPToken, OAuth2Client, PrivateKeyJwt
from requests_oauth2client.exceptions import EndpointError

from federation.oidc.jose import ALGORITHMS, peek_unsafe

from .gateway_sample import READ, WRITE, signatory
from .test_bound_tokens import OFFICE, Region, region, running

__all__ = ["region", "running"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def client(region: Region) -> OAuth2Client:
    """The office's client, made of what the gateway says of itself (RFC 8414)."""
    key = Jwk.from_pem(signatory("office").key).with_kid_thumbprint()
    auth = PrivateKeyJwt(OFFICE, key, alg="ES256")
    found = OAuth2Client.from_discovery_endpoint(issuer=region.gateway.url, auth=auth, testing=True)
    assert isinstance(found, OAuth2Client)
    return found


def called(region: Region, path: str, token: Any, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status, and the problem's code or the answer."""
    auth = token if not headers else None
    answer = requests.request(method, region.gateway.url + path, auth=auth, headers=headers, timeout=20)
    said = answer.json()["code"] if "problem" in answer.headers["Content-Type"] else answer.text
    return answer.status_code, said


def proven(token: DPoPToken, key: DPoPKey, url: str, method: str = "GET") -> dict[str, str]:
    """The two headers, with a proof by that key."""
    ath = base64.urlsafe_b64encode(hashlib.sha256(token.access_token.encode()).digest()).rstrip(b"=").decode()
    return {
        "Authorization": f"DPoP {token.access_token}",
        "DPoP": str(key.proof(htm=method, htu=url, ath=ath)),
    }


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_token_that_is_bound_to_a_key(region: Region, alg: str) -> None:
    """With every algorithm of the metadata; whatever the address, and as often as it is called."""

    def use() -> None:
        own = client(region)
        stated = requests.get(f"{region.gateway.url}/.well-known/openid-configuration", timeout=20).json()
        assert alg in stated["dpop_signing_alg_values_supported"]
        token = own.client_credentials(scope=READ, dpop=True, dpop_key=DPoPKey.generate(alg=alg))
        assert isinstance(token, DPoPToken)
        assert token.scope == READ
        assert peek_unsafe(token.access_token)["cnf"] == {"jkt": token.dpop_key.dpop_jkt}
        for path in ("/api/notes", "/api/notes?q=%E6%9E%B6&x=a+b", "/api/notes"):
            assert called(region, path, token) == (200, "ok")

    await asyncio.to_thread(use)


async def test_a_bound_token_is_worth_nothing_to_others(region: Region) -> None:
    """Alone, with another key's proof, with one for another address or method, or one that was used before."""

    def use() -> None:
        token = client(region).client_credentials(scope=READ, dpop=True)
        assert isinstance(token, DPoPToken)
        url, key = f"{region.gateway.url}/api/notes", token.dpop_key
        bare = {"Authorization": f"Bearer {token.access_token}"}
        assert called(region, "/api/notes", token, **bare) == (401, "token-bound")
        for headers in (
            proven(token, DPoPKey.generate(), url),
            proven(token, key, url + "/other"),
            proven(token, key, url, "POST"),
        ):
            assert called(region, "/api/notes", token, **headers) == (401, "proof-invalid")
        once = proven(token, key, url)
        assert called(region, "/api/notes", token, **once) == (200, "ok")
        assert called(region, "/api/notes", token, **once) == (401, "proof-invalid")

    await asyncio.to_thread(use)


async def test_a_token_that_is_bound_to_nothing(region: Region) -> None:
    """As a client without DPoP asks for it; what the system may not have is refused as RFC 6749 §5.2 says."""

    def use() -> None:
        own = client(region)
        token = own.client_credentials(scope=READ)
        assert (token.token_type.lower(), called(region, "/api/notes", token)) == ("bearer", (200, "ok"))
        with pytest.raises(EndpointError) as refused:
            own.client_credentials(scope=WRITE)
        assert refused.value.error == "invalid_scope"

    await asyncio.to_thread(use)
