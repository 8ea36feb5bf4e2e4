"""Our halves against Authlib, which others wrote: its session, its JOSE and its claims; no sockets."""

import hashlib
import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter

from federation.model import Departure
from federation.oidc import jose
from federation.oidc.connector import OidcClientSettings, OidcConnector
from federation.oidc.provider import OidcProvider, ProviderKeys
from federation.web import HttpRequest, WebRequest
from tests.federation.oidc.peers import (
    CALLBACK,
    GATEWAY,
    ISSUER,
    LIBRARY,
    LIBRARY_REDIRECT,
    NOW,
    REDIRECT,
    SECRET,
    SERVICE,
    SYSTEM,
    Peer,
    Served,
    arrival,
    drive,
    key,
    listed,
    provider,
    release,
    service,
)

with warnings.catch_warnings():
    # Authlib's jose gives way to joserfc; here it is wanted just because it is another implementation.
    from authlib.deprecate import AuthlibDeprecationWarning

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.jose import JsonWebKey, JsonWebToken
    from authlib.oauth2.rfc7523 import PrivateKeyJWT
    from authlib.oauth2.rfc7636 import create_s256_code_challenge
    from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims
    from authlib.oidc.core import CodeIDToken, UserInfo


class HandOver(BaseAdapter):
    """Hands requests to our provider in memory instead of a network."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer one request."""
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        answer = self.served(
            HttpRequest(method=request.method or "", url=request.url or "", headers=dict(request.headers), body=body)
        )
        response = requests.Response()
        response.status_code, response._content = answer.status, answer.body
        response.headers.update(answer.headers)
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def served() -> Served:
    """Our provider, at the real time: Authlib's assertions carry it."""
    now = datetime.now(UTC)
    trust = listed()
    for name, entity in trust.entities.items():
        trust.entities[name] = replace(entity, valid_until=now + timedelta(days=1))
    return Served(provider(trust=trust), now=now)


def sign_in(served: Served, session: OAuth2Session, **options: Any) -> dict[str, Any]:
    """Walk Authlib through our provider: authorize, code, token."""
    session.mount("https://", HandOver(served))
    verifier = "authlib-" + "v" * 50
    url, state = session.create_authorization_url(
        GATEWAY + "/oidc/authorize",
        code_verifier=verifier,
        nonce="nonce-1",
        acr_values="urn:kakehashi:assurance:identity-2",
    )
    assert parse_qs(urlsplit(url).query)["code_challenge"] == [create_s256_code_challenge(verifier)]
    web = WebRequest(method="GET", url=GATEWAY + "/oidc/authorize", raw_query=urlsplit(url).query)
    login = served.provider.accept(web, served.now)
    granted = served.provider.grant(login, release(login, authenticated_at=served.now), served.now)
    for kept in granted.keep.items:
        served.store.put(kept)
    return dict(
        session.fetch_token(
            GATEWAY + "/oidc/token",
            authorization_response=granted.answer.location,
            code_verifier=verifier,
            state=state,
            **options,
        )
    )


def by_key() -> OAuth2Session:
    """Authlib as a client with a key."""
    session = OAuth2Session(
        SERVICE,
        key("service").key,
        scope="openid profile address council.polls.read",
        redirect_uri=REDIRECT,
        token_endpoint_auth_method="private_key_jwt",
        code_challenge_method="S256",
    )
    session.register_client_auth_method(PrivateKeyJWT(GATEWAY + "/oidc/token", alg="ES256"))
    return session


def test_authlib_signs_in_with_a_key(served):
    """Its assertion is believed; it verifies our tokens by our key set, and reads userinfo."""
    session = by_key()
    tokens = sign_in(served, session)
    keys = JsonWebKey.import_key_set(session.get(GATEWAY + "/oidc/jwks", withhold_token=True).json())
    now = int(served.now.timestamp())
    id_token = JsonWebToken(["RS256"]).decode(
        tokens["id_token"],
        keys,
        claims_cls=CodeIDToken,
        claims_options={"iss": {"value": GATEWAY}, "aud": {"value": SERVICE}},
        claims_params={"nonce": "nonce-1", "client_id": SERVICE, "access_token": tokens["access_token"]},
    )
    id_token.validate(now=now, leeway=0)
    access_token = JsonWebToken(["ES256"]).decode(
        tokens["access_token"],
        keys,
        claims_cls=JWTAccessTokenClaims,
        claims_options={"iss": {"essential": True, "value": GATEWAY}, "aud": {"value": GATEWAY + "/api"}},
    )
    access_token.validate(now=now, leeway=0)
    assert access_token.header["typ"] == "at+jwt"
    userinfo = UserInfo(session.get(GATEWAY + "/oidc/userinfo").json())
    assert userinfo == {
        "sub": id_token["sub"],
        "name": "name 髙橋",
        "name#ja-Kana-JP": "name#ja-Kana-JP 髙橋",
        "address": {"locality": "address.locality 髙橋", "region": "address.region 髙橋"},
    }


def test_authlib_signs_in_with_a_secret():
    """Authlib does not form-encode; without special characters that makes no difference."""
    secret = "a-plain-secret_0123456789"
    served = Served(
        OidcProvider(
            issuer=GATEWAY,
            services={LIBRARY: service(LIBRARY)},
            secrets={LIBRARY: hashlib.sha256(secret.encode()).hexdigest()},
            trust=listed(),
            keys=ProviderKeys(rs256=key("gateway", "RS256"), es256=key("gateway")),
        )
    )
    session = OAuth2Session(
        LIBRARY, secret, scope="openid profile", redirect_uri=LIBRARY_REDIRECT, code_challenge_method="S256"
    )
    tokens = sign_in(served, session)
    keys = JsonWebKey.import_key_set(json.loads(served.provider.jwks().body))
    assert JsonWebToken(["ES256"]).decode(tokens["id_token"], keys)["aud"] == LIBRARY


def test_authlib_is_told_why_it_is_refused(served):
    """The error reaches Authlib's own exception."""
    session = by_key()
    session.client_secret = key("other").key
    with pytest.raises(OAuthError) as caught:
        sign_in(served, session)
    assert caught.value.error == "invalid_client"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256"])
def test_connector_believes_tokens_that_authlib_signed(algorithm):
    """An ID token from another implementation, by each allowed algorithm."""
    signer = key("peer", "ES256" if algorithm == "ES256" else "RS256")
    peer = Peer(key=signer, jwks={"keys": [{k: v for k, v in signer.public_jwk().items() if k != "alg"}]})
    settings = OidcClientSettings(client_id="kakehashi", authentication="client_secret_basic", client_secret=SECRET)
    connector = OidcConnector(system=SYSTEM, trust=listed(), client=settings, redirect_uri=CALLBACK)
    departure = Departure(handle="handle-1", force_authentication=False, languages=())
    departed = drive(connector.depart(departure, NOW), peer)
    peer.nonce = departed.memory["nonce"]
    private = JsonWebKey.import_key(signer.key.as_dict(private=True))
    token = JsonWebToken([algorithm]).encode({"alg": algorithm, "kid": signer.kid}, peer.default_claims(), private)
    peer.id_token = token.decode()
    identity = drive(connector.arrive(arrival(code="c", state="handle-1", iss=ISSUER), departed.memory, NOW), peer)
    assert identity.subject == "resident-1"


def test_authlib_verifies_our_assertion():
    """What the gateway signs as a client is a JWT to others too."""
    token = jose.sign({"iss": "kakehashi", "aud": ISSUER}, key("gateway-client"))
    found = JsonWebToken(["ES256"]).decode(token, JsonWebKey.import_key(key("gateway-client").public_jwk()))
    assert found == {"iss": "kakehashi", "aud": ISSUER}
