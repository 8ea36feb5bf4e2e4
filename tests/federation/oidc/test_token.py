"""The token endpoint, access tokens and userinfo."""

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.model import Assurance, Level
from federation.oidc import grants, jose
from federation.oidc.oauth import OAuthError, basic, error_document, read_basic
from federation.oidc.presented import Presented, Scheme, presented
from federation.oidc.tokens import AccessToken
from federation.refusal import ScopeMissing, TokenInvalid, TokenMissing
from federation.web import WebRequest
from tests.federation.oidc.peers import (
    GATEWAY,
    LIBRARY,
    LIBRARY_REDIRECT,
    NOW,
    REDIRECT,
    SECRET,
    SERVICE,
    Served,
    assertion,
    authorize,
    exchange_form,
    granted_code,
    key,
    listed,
    post,
    provider,
    release,
)
from trust_lists.model import Role

AT = int(NOW.timestamp())
AUTH_TIME = AT - 10  # the release's time, rounded down


@pytest.fixture
def served() -> Served:
    """Our provider with its store."""
    return Served(provider())


def tokens(served: Served, web: WebRequest | None = None, form: dict[str, str | None] | None = None, **changes: Any):
    """The token answer for a walked-through request."""
    code = granted_code(served, web, **changes)
    return json.loads(served.token(post(exchange_form(code, **(form or {})))).body)


def refused(served: Served, web: WebRequest) -> tuple[str, str]:
    """Error code and detail of a refused token request."""
    with pytest.raises(OAuthError) as caught:
        served.token(web)
    return caught.value.code, caught.value.detail


# --- what is issued


def test_code_is_exchanged_for_tokens(served):
    """A bearer token for the API, an ID token, the granted scope; never cached."""
    code = granted_code(served)
    document = served.token(post(exchange_form(code)))
    assert document.headers == {"Cache-Control": "no-store", "Pragma": "no-cache"}
    answer = json.loads(document.body)
    access_token, id_token = answer.pop("access_token"), answer.pop("id_token")
    assert answer == {"token_type": "Bearer", "expires_in": 600, "scope": "openid profile council.polls.read"}
    assert jose.verify(access_token, key("gateway").public(), ["ES256"], ("at+jwt",)) == {
        "iss": GATEWAY,
        "aud": GATEWAY + "/api",
        "sub": "pairwise-1",
        "client_id": SERVICE,
        "scope": "openid profile council.polls.read",
        "acr": "urn:kakehashi:assurance:identity-2",
        "auth_time": AUTH_TIME,
        "iat": AT,
        "exp": AT + 600,
        "jti": grants.token_id(code),
        "consent": "consent-1",
        "kakehashi_person": "sealed-person",
        "kakehashi_authentication": 3,
        "kakehashi_federation": 0,
    }
    assert jose.verify(id_token, key("gateway", "RS256").public(), ["RS256"], ("jwt",)) == {
        "iss": GATEWAY,
        "sub": "pairwise-1",
        "aud": SERVICE,
        "iat": AT,
        "exp": AT + 600,
        "auth_time": AUTH_TIME,
        "acr": "urn:kakehashi:assurance:identity-2",
        "at_hash": jose.half_hash(access_token),
        "nonce": "nonce-1",
    }


def test_tokens_carry_no_attribute_unasked(served):
    """Attributes are for userinfo; the ID token has those asked for there, the access token none."""
    claims = '{"id_token":{"card":null,"address":null}}'
    answer = tokens(served, authorize(claims=claims, nonce=None))
    id_token = jose.verify(answer["id_token"], key("gateway", "RS256").public(), ["RS256"])
    assert id_token["card"] == "card 髙橋"
    assert id_token["address"] == {"locality": "address.locality 髙橋", "region": "address.region 髙橋"}
    assert not {"name", "nonce"} & set(id_token)
    assert "髙橋" not in str(jose.peek_unsafe(answer["access_token"]))


def test_released_scopes_are_echoed(served):
    """The person may have granted less than was asked."""
    answer = tokens(served, scopes=())
    assert answer["scope"] == "openid profile"


def test_secret_client_gets_its_registered_algorithm(served):
    """client_secret_basic and ES256 ID tokens, as the list says."""
    web = authorize(client_id=LIBRARY, redirect_uri=LIBRARY_REDIRECT)
    form = exchange_form(
        granted_code(served, web),
        client_assertion=None,
        client_assertion_type=None,
        redirect_uri=LIBRARY_REDIRECT,
    )
    answer = json.loads(served.token(post(form, authorization=basic(LIBRARY, SECRET))).body)
    assert jose.verify(answer["id_token"], key("gateway").public(), ["ES256"])["aud"] == LIBRARY


def test_nothing_of_the_code_is_a_key_of_the_store(served):
    """Who reads the store's keys has no code; the kept grant lives as long as the code."""
    login = served.provider.accept(authorize(), NOW)
    granted = served.provider.grant(login, release(login), NOW)
    (kept,) = granted.keep.items
    code = granted.answer.location.partition("code=")[2].partition("&")[0]
    assert len(base64.urlsafe_b64decode(code + "=")) == 32
    assert (kept.kind, kept.lifetime) == ("code", timedelta(seconds=60))
    assert code not in kept.key
    assert granted.answer.location == f"{REDIRECT}&code={code}&state=state-1&iss=https%3A%2F%2Fgateway.example"


RELEASES = st.builds(
    lambda attributes, scopes, identity, microsecond: release(
        provider().accept(authorize(), NOW),
        attributes=attributes,
        scopes=tuple(scopes),
        assurance=Assurance(identity=identity, authentication=Level.ONE),
        authenticated_at=NOW.replace(microsecond=microsecond),
    ),
    st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3).map(tuple), max_size=3),
    st.lists(st.text(max_size=5), max_size=2),
    st.sampled_from(Level),
    st.integers(0, 999_999),
)


@given(RELEASES)
def test_release_survives_the_store(kept):
    """A release written as JSON and read back is the same."""
    assert grants.release_from_json(json.loads(json.dumps(grants.release_to_json(kept)))) == kept


# --- who asks


def test_two_ways_at_once_are_refused(served):
    """Header, assertion and a secret in the body are three ways; the last is not offered."""
    header = {"authorization": basic(LIBRARY, SECRET)}
    assert refused(served, post(exchange_form("c"), **header))[0] == "invalid_request"
    assert refused(served, post(exchange_form("c", client_secret="x")))[0] == "invalid_request"
    body = exchange_form(
        "c", client_assertion=None, client_assertion_type=None, client_secret=SECRET, client_id=LIBRARY
    )
    assert refused(served, post(body))[0] == "invalid_client"
    none = exchange_form("c", client_assertion=None, client_assertion_type=None, client_id=SERVICE)
    assert refused(served, post(none))[0] == "invalid_client"
    assert refused(served, post(exchange_form("c", client_assertion=None)))[0] == "invalid_request"


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (basic(LIBRARY, "wrong"), "basic:secret"),
        (basic(LIBRARY, ""), "basic:secret"),
        (basic("nobody", SECRET), "client:not-configured"),
        (basic(SERVICE, ""), "basic:secret"),
        ("Basic !!!", "basic:malformed"),
        ("Basic " + base64.b64encode(b"no-colon").decode(), "basic:malformed"),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), "basic:malformed"),
        ("Basic " + base64.b64encode(b"%ff:x").decode(), "client:not-configured"),
        ("Bearer token", "basic:malformed"),
        # not form-encoded although the secret has characters that need it
        ("Basic " + base64.b64encode(f"{LIBRARY}:{SECRET}".encode()).decode(), "basic:secret"),
    ],
)
def test_wrong_basic_credentials_are_refused(served, header, detail):
    """401 with a challenge, and the same words for every reason."""
    form = exchange_form("c", client_assertion=None, client_assertion_type=None)
    with pytest.raises(OAuthError) as caught:
        served.token(post(form, authorization=header))
    assert (caught.value.code, caught.value.detail) == ("invalid_client", detail)
    document = error_document(caught.value)
    assert document.status == 401
    assert document.headers["WWW-Authenticate"].startswith("Basic ")
    assert document.headers["Cache-Control"] == "no-store"
    assert json.loads(document.body) == {
        "error": "invalid_client",
        "error_description": "the client could not be authenticated",
    }


def test_only_the_registered_method_counts(served):
    """A client with a key cannot use a secret, one with a secret cannot use a key, even if both are right."""
    trust = listed()
    trust.add(
        LIBRARY,
        Role.OPENID_RELYING_PARTY,
        {"redirect_uris": [LIBRARY_REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    )
    form = exchange_form("c", client_assertion=None, client_assertion_type=None)
    web = post(form, authorization=basic(LIBRARY, SECRET))
    assert refused(Served(provider(trust=trust)), web) == ("invalid_client", "basic:secret")
    trust = listed()
    jwks = {"keys": [key("service").public_jwk()]}
    trust.add(SERVICE, Role.OPENID_RELYING_PARTY, {"redirect_uris": [REDIRECT], "jwks": jwks})
    served.provider = provider(trust=trust)
    assert refused(served, post(exchange_form("c"))) == ("invalid_client", "assertion:method")


ASSERTIONS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://other.example"}, "assertion:iss"),
    ({"iss": None}, "assertion:iss"),
    ({"sub": "https://nobody.example"}, "client:not-configured"),
    ({"sub": None}, "client:not-configured"),
    ({"aud": "https://other.example"}, "assertion:aud"),
    ({"aud": [GATEWAY, "https://other.example"]}, "assertion:aud"),
    ({"aud": []}, "assertion:aud"),
    ({"aud": None}, "assertion:aud"),
    ({"exp": AT - 60}, "assertion:exp"),
    ({"exp": AT + 3661}, "assertion:exp"),
    ({"exp": None}, "assertion:exp"),
    ({"iat": AT + 61}, "assertion:iat"),
    ({"iat": "now"}, "assertion:iat"),
    ({"nbf": AT + 61}, "assertion:nbf"),
    ({"jti": None}, "assertion:jti"),
    ({"jti": ""}, "assertion:jti"),
    ({"jti": "x" * 257}, "assertion:jti"),
    ({"typ": "at+jwt"}, "assertion:type"),
    ({"signer": key("other")}, "assertion:unknown-key"),
    ({"signer": jose.SigningKey(key("other").key, "ES256", key("service").kid)}, "assertion:signature"),
]


@pytest.mark.parametrize(("changes", "detail"), ASSERTIONS)
def test_assertions_that_do_not_hold_are_refused(served, changes, detail):
    """Every check of the table, the signature, and a client that does not exist."""
    assert refused(served, post(exchange_form("c", client_assertion=assertion(**changes)))) == (
        "invalid_client",
        detail,
    )


@pytest.mark.parametrize("token", ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 40000])
def test_malformed_assertions_are_refused(served, token):
    """Whatever it is, it is refused in OAuth's terms."""
    form = exchange_form("c") | {"client_assertion": token}
    assert refused(served, post(form))[0] in {"invalid_client", "invalid_request"}


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": GATEWAY + "/oidc/token"},
        {"aud": [GATEWAY, GATEWAY + "/oidc/token"]},
        {"iat": None},
        {"exp": AT - 59},
    ],
)
def test_assertions_that_hold(served, changes):
    """The token endpoint is a name of ours, iat is optional, and a minute of clock difference is allowed."""
    assert tokens(served, form={"client_assertion": assertion(**changes)})["token_type"] == "Bearer"


def test_registered_assertion_algorithm_is_the_only_one(served):
    """A client that registered its algorithm is held to it."""
    trust = listed()
    metadata = dict(trust.entities[SERVICE, Role.OPENID_RELYING_PARTY].metadata)
    trust.add(SERVICE, Role.OPENID_RELYING_PARTY, metadata | {"token_endpoint_auth_signing_alg": "PS256"})
    served.provider = provider(trust=trust)
    assert refused(served, post(exchange_form("c"))) == ("invalid_client", "assertion:algorithm")


def test_assertion_counts_once(served):
    """Its jti is claimed for as long as it could be believed; a second use is refused, for whatever code."""
    request = served.provider.token_request(post(exchange_form("c")), NOW)
    (claim,) = request.claims
    assert (claim.kind, claim.lifetime) == ("client-assertion", timedelta(seconds=120))
    tokens(served)
    assert refused(served, post(exchange_form(granted_code(served))))[0] == "invalid_client"
    again = exchange_form(granted_code(served), client_assertion=assertion(jti="jti-2"))
    assert served.token(post(again)).status == 200


def test_client_id_in_the_body_must_agree(served):
    """It may be repeated, not contradicted (RFC 7521 §4.2)."""
    assert tokens(served, form={"client_id": SERVICE})["token_type"] == "Bearer"
    assert refused(served, post(exchange_form("c", client_id=LIBRARY)))[0] == "invalid_request"
    form = exchange_form("c", client_assertion=None, client_assertion_type=None, client_id=SERVICE)
    assert refused(served, post(form, authorization=basic(LIBRARY, SECRET)))[0] == "invalid_request"


def test_client_that_left_the_list_gets_nothing(served):
    """Between code and token the list may expire."""
    code = granted_code(served)
    served.now = NOW + timedelta(days=1)
    form = exchange_form(code, client_assertion=assertion(iat=AT + 86400, exp=AT + 86460))
    assert refused(served, post(form)) == ("invalid_client", "client:expired")


@given(st.text(), st.text())
def test_basic_round_trip(client_id, secret):
    """What one side encodes the other decodes, whatever the characters (RFC 6749 §2.3.1)."""
    assert read_basic(basic(client_id, secret))[0] == (client_id, secret)


def test_basic_reads_credentials_that_were_not_form_encoded() -> None:
    """A client that sends an address as its ID unencoded, as many libraries do, is understood as the second meaning."""
    header = "Basic " + base64.b64encode(b"https://app.example:8443:a%2Bb").decode()
    assert read_basic(header)[1] == ("https://app.example:8443", "a%2Bb")


@given(st.text(max_size=60))
def test_no_header_breaks_reading_basic(text):
    """What is no pair of credentials is a ValueError and nothing else."""
    for header in (text, f"Basic {text}"):
        with suppress(ValueError):
            assert all(len(pair) == 2 for pair in read_basic(header))


# --- what is asked


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"code": None}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code_verifier": None}, "invalid_request"),
        ({"client_assertion_type": None}, "invalid_request"),
        (
            {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
            "invalid_request",
        ),
        ({"code": "unknown"}, "invalid_grant"),
        ({"redirect_uri": SERVICE + "/other"}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_grant"),
        ({"code_verifier": "v" * 129}, "invalid_grant"),
        ({"code_verifier": jose.s256("v" * 43)}, "invalid_grant"),
    ],
)
def test_token_requests_that_do_not_fit_are_refused(served, changes, error):
    """Missing parameters, other grants, a code bound to another address or verifier; 400 in JSON."""
    form = exchange_form(granted_code(served), **changes)
    with pytest.raises(OAuthError) as caught:
        served.token(post(form))
    assert caught.value.code == error
    document = error_document(caught.value)
    assert (document.status, json.loads(document.body)["error"]) == (400, error)
    assert "WWW-Authenticate" not in document.headers


def test_other_transports_are_refused(served):
    """GET, another content type, parameters in the query, duplicates and endless parameters."""
    good = post(exchange_form("c"))
    for web in (
        replace(good, method="GET"),
        replace(good, headers={"content-type": "application/json"}),
        replace(good, raw_query="code=c"),
        replace(good, form=[*good.form, ("code", "d")]),
        replace(good, form=[*good.form, *((f"p{n}", "1") for n in range(64))]),
    ):
        assert refused(served, web)[0] == "invalid_request"
    charset = replace(good, headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert served.provider.token_request(charset, NOW).code == "c"


def test_code_of_another_client_is_refused(served):
    """A client may use only its own codes."""
    web = authorize(client_id=LIBRARY, redirect_uri=LIBRARY_REDIRECT)
    form = exchange_form(granted_code(served, web), redirect_uri=LIBRARY_REDIRECT)
    assert refused(served, post(form)) == ("invalid_grant", "code:binding")


def test_old_code_is_refused(served):
    """A minute after it was given, even if the store still has it."""
    code = granted_code(served)
    served.now = NOW + timedelta(seconds=60)
    assert refused(served, post(exchange_form(code))) == ("invalid_grant", "code:binding")


def test_second_use_of_a_code_revokes_what_the_first_gave(served):
    """The second use is refused, and userinfo is closed to the first's access token (RFC 6749 §4.1.2)."""
    code = granted_code(served)
    answer = json.loads(served.token(post(exchange_form(code))).body)
    token = served.provider.verify_access_token(answer["access_token"], NOW)
    assert served.provider.userinfo(token, served.store.get("userinfo", token.jti)).status == 200
    again = exchange_form(code, client_assertion=assertion(jti="jti-2"))
    assert refused(served, post(again)) == ("invalid_grant", "code:used")
    with pytest.raises(TokenInvalid, match="revoked"):
        served.provider.userinfo(token, served.store.get("userinfo", token.jti))


def test_failed_exchange_spends_the_code(served):
    """Who presents a code with the wrong verifier cannot try again."""
    code = granted_code(served)
    assert refused(served, post(exchange_form(code, code_verifier="w" * 43)))[0] == "invalid_grant"
    right = exchange_form(code, client_assertion=assertion(jti="jti-2"))
    assert refused(served, post(right)) == ("invalid_grant", "code:used")


def test_token_request_does_not_show_code_or_verifier(served):
    """A request that ends up in a log line keeps its secrets."""
    request = served.provider.token_request(post(exchange_form("the-code")), NOW)
    assert "the-code" not in repr(request)
    assert "vvv" not in repr(request)
    assert request.code_key == grants.code_key("the-code")


# --- access tokens


def test_access_token_is_read_back(served):
    """What the call bridge needs to decide, and the sealed person."""
    answer = tokens(served)
    token = served.provider.verify_access_token(answer["access_token"], NOW)
    assert token == AccessToken(
        subject="pairwise-1",
        client_id=SERVICE,
        scopes=frozenset({"openid", "profile", "council.polls.read"}),
        assurance=Assurance(identity=Level.TWO, authentication=Level.THREE),
        consent="consent-1",
        person="sealed-person",
        jti=token.jti,
        expires_at=NOW + timedelta(minutes=10),
    )
    assert token.level is Level.TWO


def test_hostile_access_tokens_are_refused(served):
    """Expired, of the future, for another audience, of another issuer, type or key, or of no level."""
    answer = tokens(served)
    good = dict(jose.peek_unsafe(answer["access_token"]))
    signer = key("gateway")
    hostile = {
        "iss": jose.sign(good | {"iss": "https://other.example"}, signer, "at+jwt"),
        "aud": jose.sign(good | {"aud": [GATEWAY + "/api", "x"]}, signer, "at+jwt"),
        "exp": jose.sign(good | {"exp": AT}, signer, "at+jwt"),
        "iat": jose.sign(good | {"iat": AT + 61}, signer, "at+jwt"),
        "claims": jose.sign({k: v for k, v in good.items() if k != "client_id"}, signer, "at+jwt"),
        "acr": jose.sign(good | {"acr": "urn:x"}, signer, "at+jwt"),
        "type": jose.sign(good, signer),
        "unknown-key": jose.sign(good, key("other"), "at+jwt"),
        "algorithm": jose.sign(good, key("gateway", "RS256"), "at+jwt"),
        "malformed": "x.y.z",
    }
    for reason, token in hostile.items():
        with pytest.raises(TokenInvalid) as caught:
            served.provider.verify_access_token(token, NOW)
        assert caught.value.detail == reason
    for token in (answer["id_token"], good["jti"]):
        with pytest.raises(TokenInvalid):
            served.provider.verify_access_token(token, NOW)
    with pytest.raises(TokenInvalid, match="exp"):
        served.provider.verify_access_token(answer["access_token"], NOW + timedelta(minutes=10))


def test_a_token_is_read_from_the_header_alone():
    """RFC 6750 §2.1, RFC 9449 §7.1; the scheme's case does not matter."""
    assert presented("Bearer a.b-c_~+/==") == Presented(Scheme.BEARER, "a.b-c_~+/==")
    assert presented("bearer   abc ") == Presented(Scheme.BEARER, "abc")
    assert presented("DPoP abc") == Presented(Scheme.DPOP, "abc")
    for header in (None, basic("a", "b"), "", "Bearerx abc", "DPoPx abc"):
        with pytest.raises(TokenMissing):
            presented(header)
    for header in ("Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer 橋", "Bearer a=b", "Bearer a, DPoP b"):
        with pytest.raises(TokenInvalid):
            presented(header)


# --- userinfo


def test_userinfo_says_what_was_asked_for_there(served):
    """`sub`, single values as strings, several as arrays, address as an object; never cached."""
    web = authorize(scope="openid profile address card", claims='{"id_token":{"email":null}}')
    attributes = {
        "name": ("髙橋 花子",),
        "email": ("hanako@example.jp",),
        "address.locality": ("前橋市",),
        "address.region": ("群馬県",),
        "card": ("1", "2"),
    }
    answer = tokens(served, web, attributes=attributes)
    token = served.provider.verify_access_token(answer["access_token"], NOW)
    document = served.provider.userinfo(token, served.store.get("userinfo", token.jti))
    assert (document.content_type, document.headers["Cache-Control"]) == ("application/json", "no-store")
    assert json.loads(document.body) == {
        "sub": "pairwise-1",
        "name": "髙橋 花子",
        "address": {"locality": "前橋市", "region": "群馬県"},
        "card": ["1", "2"],
    }


def test_userinfo_is_refused_without_openid_or_entry(served):
    """A token without openid, an entry that is gone, revoked or of another person."""
    token = served.provider.verify_access_token(tokens(served)["access_token"], NOW)
    kept = served.store.get("userinfo", token.jti)
    with pytest.raises(ScopeMissing):
        served.provider.userinfo(replace(token, scopes=frozenset({"council.polls.read"})), kept)
    for entry in (None, {"revoked": True}, {**kept, "subject": "pairwise-2"}):
        with pytest.raises(TokenInvalid):
            served.provider.userinfo(token, entry)
