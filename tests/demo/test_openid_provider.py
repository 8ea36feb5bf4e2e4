"""The demo's OpenID provider, asked by a client that keeps every rule and by clients that break one."""

import re
from base64 import b64encode
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from gateway.demo.keys import digest, half_digest
from gateway.demo.openid_provider import Client, OpenIdProvider
from gateway.demo.residents import maebashi
from gateway.demo.site import Face
from gateway.demo.systems import MAEBASHI_SCOPES

CALLBACK = "http://localhost:1/callback"
VERIFIER = "v" * 43
SECRET = "s+ cret/%&"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REQUEST = {
    "response_type": "code",
    "client_id": "client",
    "redirect_uri": CALLBACK,
    "scope": "openid profile",
    "state": "the-state",
    "nonce": "the-nonce",
    "code_challenge": digest(VERIFIER),
    "code_challenge_method": "S256",
}


@pytest.fixture
def client_key():
    """The key of the client that proves itself by a signature."""
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture(params=["client_secret_basic"])
def authentication(request):
    """How the client proves itself."""
    return request.param


@pytest.fixture
async def issuer(place, clock, client_key, authentication):
    """A provider that listens; answers its issuer."""
    here, client = place(), place()

    async def jwks(_request):
        return web.json_response({"keys": [client_key.as_dict(private=False)]})

    app = web.Application()
    app.router.add_get("/jwks", jwks)
    await client.serve(app)
    texts = {"ja": "試験", "en": "Test"}
    provider = OpenIdProvider(
        Face(name="test", title=texts, kind=texts, theme="theme-maebashi", url=here.url),
        register=maebashi,
        scopes=MAEBASHI_SCOPES,
        key=ECKey.generate_key("P-256", auto_kid=True),
        algorithm="ES256",
        client=Client(
            id="client",
            name=texts,
            authentication=authentication,
            redirect_uris=(CALLBACK,),
            jwks_uri=f"{client.url}/jwks",
            secret=SECRET,
        ),
        clock=clock,
    )
    await here.serve(provider.application())
    return here.url


def answered(response):
    """Parameters of an answer that went to the redirect URI."""
    assert response.status == 303
    assert response.headers["Location"].startswith(CALLBACK + "?")
    return {name: value for name, (value,) in parse_qs(urlsplit(response.headers["Location"]).query).items()}


async def ask(browser, issuer, **changed):
    """Send the authorization request, with some parameters changed."""
    parameters = {name: value for name, value in (REQUEST | changed).items() if value is not None}
    return await browser.get(f"{issuer}/authorize", params=parameters, allow_redirects=False)


async def choose(browser, issuer, page, **fields):
    """Answer the sign-in page."""
    transaction = re.search(r'name="transaction" value="([^"]+)"', await page.text())[1]
    return await browser.post(f"{issuer}/sign-in", data={"transaction": transaction, **fields}, allow_redirects=False)


async def code_of(browser, issuer, resident="takahashi", **changed):
    """A code, after somebody signed in."""
    return answered(await choose(browser, issuer, await ask(browser, issuer, **changed), resident=resident))["code"]


def basic(client="client", secret=SECRET):
    """The header of `client_secret_basic`."""
    encoded = b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


async def redeem(browser, issuer, code, headers=None, **changed):
    """Redeem a code: status and answer."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    } | changed
    response = await browser.post(f"{issuer}/token", data=fields, headers=basic() if headers is None else headers)
    assert response.headers["Cache-Control"] == "no-store"
    return response.status, await response.json()


async def test_discovery_says_what_is_offered(browser, issuer):
    """Code flow, PKCE with S256, and the issuer in every answer (RFC 9207)."""
    metadata = await (await browser.get(f"{issuer}/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == issuer
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


async def test_a_sign_in_gives_the_resident_in_the_systems_own_words(browser, issuer, clock):
    """Code, token, ID token and userinfo belong together, and the code comes back with state and iss."""
    page = await ask(browser, issuer)
    assert "髙橋 花子" in await page.text()
    back = answered(await choose(browser, issuer, page, resident="takahashi"))
    assert (back["state"], back["iss"]) == ("the-state", issuer)
    status, tokens = await redeem(browser, issuer, back["code"])
    assert status == 200
    keys = KeySet.import_key_set(await (await browser.get(f"{issuer}/jwks")).json())
    issued = int(clock().timestamp())
    assert jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims == {
        "iss": issuer,
        "sub": "mb-5c1f0a7e42",
        "aud": "client",
        "iat": issued,
        "exp": issued + 300,
        "auth_time": issued,
        "nonce": "the-nonce",
        "acr": "https://id.maebashi.example/acr/mynumber-card",
        "amr": ["hwk", "pin", "mfa"],
        "at_hash": half_digest(tokens["access_token"]),
    }
    userinfo = await browser.get(f"{issuer}/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert await userinfo.json() == {
        "sub": "mb-5c1f0a7e42",
        "name": "髙橋 花子",
        "family_name": "髙橋",
        "given_name": "花子",
        "family_name#ja-Kana-JP": "タカハシ",
        "given_name#ja-Kana-JP": "ハナコ",
        "birthdate": "19850315",
        "gender": "2",
    }


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"nonce": "n" * 256}, "invalid_request"),
        ({"state": "状態"}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://x.example/"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_a_request_that_breaks_a_rule_is_told_so(browser, issuer, changed, error):
    """The error goes to the registered address, with state and iss."""
    back = answered(await ask(browser, issuer, **changed))
    assert (back["error"], back["iss"], back.get("state")) == (
        error,
        issuer,
        changed.get("state", "the-state"),
    )


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": None}])
async def test_nobody_is_sent_to_an_unregistered_address(browser, issuer, changed):
    """An unknown client or redirect URI ends in a page (RFC 6749 §4.1.2.1)."""
    response = await ask(browser, issuer, **changed)
    assert response.status == 400
    assert "Location" not in response.headers


async def test_a_parameter_that_comes_twice_is_refused(browser, issuer):
    """RFC 6749 §3.1."""
    response = await browser.get(f"{issuer}/authorize", params=[*REQUEST.items(), ("client_id", "client")])
    assert response.status == 400


async def test_cancelling_is_a_proper_denial(browser, issuer):
    """access_denied, with state and iss."""
    back = answered(await choose(browser, issuer, await ask(browser, issuer), cancel="1"))
    assert (back["error"], back["state"], back["iss"]) == ("access_denied", "the-state", issuer)


async def test_the_page_works_once_and_only_in_its_browser(browser, stranger, issuer):
    """A form that was shown to another browser, or was used, is no longer open."""
    page = await ask(browser, issuer)
    assert (await choose(stranger, issuer, page, resident="takahashi")).status == 400
    assert (await choose(browser, issuer, page, resident="takahashi")).status == 303
    assert (await choose(browser, issuer, page, resident="takahashi")).status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:1/"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"code": "unknown"}, "invalid_grant"),
    ],
)
async def test_a_code_is_redeemed_only_by_who_asked_for_it(browser, issuer, changed, error):
    """Verifier and redirect URI must be those of the request."""
    code = await code_of(browser, issuer)
    status, answer = await redeem(browser, issuer, **({"code": code} | changed))
    assert (status, answer["error"]) == (400, error)


async def test_a_second_redemption_withdraws_the_token(browser, issuer):
    """RFC 6749 §4.1.2: the code is refused, and what it gave is worth nothing afterwards."""
    code = await code_of(browser, issuer)
    _, tokens = await redeem(browser, issuer, code)
    assert (await redeem(browser, issuer, code))[0] == 400
    userinfo = await browser.get(f"{issuer}/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert userinfo.status == 401


async def test_a_code_lasts_a_minute(browser, issuer, clock):
    """Afterwards it is unknown."""
    code = await code_of(browser, issuer)
    clock.forward(seconds=60)
    assert (await redeem(browser, issuer, code))[0] == 400


@pytest.mark.parametrize("headers", [{}, basic(secret="wrong"), basic(client="other"), {"Authorization": "Basic ?"}])
async def test_a_client_without_its_secret_is_refused(browser, issuer, headers):
    """401 invalid_client; a challenge only for who tried (RFC 6749 §5.2)."""
    code = await code_of(browser, issuer)
    status, answer = await redeem(browser, issuer, code, headers=headers)
    assert (status, answer["error"]) == (401, "invalid_client")


class TestPrivateKeyJwt:
    """The client proves itself with a signed assertion (OpenID Connect Core §9)."""

    @pytest.fixture
    def authentication(self):
        """By a signed assertion."""
        return "private_key_jwt"

    @staticmethod
    def assertion(clock, issuer, key, signer=None, **changed):
        """Form fields of `private_key_jwt`."""
        issued = int(clock().timestamp())
        claims = {
            "iss": "client",
            "sub": "client",
            "aud": issuer,
            "jti": "one",
            "iat": issued,
            "exp": issued + 60,
        } | changed
        header = {"alg": "ES256", "kid": key.kid}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, signer or key, algorithms=["ES256"]),
        }

    @pytest.mark.parametrize("audience", ["", "/token"])
    async def test_issuer_and_token_endpoint_are_good_audiences(self, browser, issuer, clock, client_key, audience):
        """Both are in use."""
        assertion = self.assertion(clock, issuer, client_key, aud=issuer + audience)
        status, _ = await redeem(browser, issuer, await code_of(browser, issuer), headers={}, **assertion)
        assert status == 200

    @pytest.mark.parametrize(
        "changed",
        [
            {"aud": "http://localhost:1"},
            {"iss": "other"},
            {"sub": "other"},
            {"exp": 1},
            {"exp": 1 << 40},
            {"jti": None},
        ],
    )
    async def test_a_wrong_claim_is_refused(self, browser, issuer, clock, client_key, changed):
        """Each claim of RFC 7523 §3 counts."""
        assertion = self.assertion(clock, issuer, client_key, **changed)
        status, answer = await redeem(browser, issuer, await code_of(browser, issuer), headers={}, **assertion)
        assert (status, answer["error"]) == (401, "invalid_client")

    async def test_another_key_is_refused(self, browser, issuer, clock, client_key):
        """The signature must be by a key of the client's JWK Set."""
        assertion = self.assertion(clock, issuer, client_key, signer=ECKey.generate_key("P-256"))
        status, _ = await redeem(browser, issuer, await code_of(browser, issuer), headers={}, **assertion)
        assert status == 401

    async def test_an_assertion_counts_once(self, browser, issuer, clock, client_key):
        """A replayed jti is refused."""
        assertion = self.assertion(clock, issuer, client_key)
        first, _ = await redeem(browser, issuer, await code_of(browser, issuer), headers={}, **assertion)
        second, _ = await redeem(browser, issuer, await code_of(browser, issuer), headers={}, **assertion)
        assert (first, second) == (200, 401)
