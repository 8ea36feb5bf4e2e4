"""The gateway as relying party: against our own provider, and against one that signs what it should not."""

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.model import Departure, Identity, Level
from federation.oidc import jose
from federation.oidc.connector import OidcClientSettings, OidcConnector
from federation.oidc.discovery import KEYS_INTERVAL, KEYS_LIFETIME, METADATA_LIFETIME
from federation.refusal import (
    IdSystemAnswerRefused,
    IdSystemDenied,
    IdSystemNotTrusted,
    IdSystemUnreachable,
    InteractionNeeded,
    Refusal,
)
from federation.web import WebRequest
from tests.federation.oidc.peers import (
    CALLBACK,
    ISSUER,
    NOW,
    SECRET,
    STRONG,
    SYSTEM,
    Listed,
    Peer,
    Served,
    arrival,
    drive,
    key,
    listed,
    provider,
    query,
    release,
    service,
)
from trust_lists.model import Role

DEPARTURE = Departure(handle="handle-1", force_authentication=False, languages=())
FORCED = replace(DEPARTURE, force_authentication=True)
KEY_SETTINGS = OidcClientSettings(client_id="kakehashi", authentication="private_key_jwt", scopes=("openid", "name"))
SECRET_SETTINGS = OidcClientSettings(
    client_id="kakehashi: 橋", authentication="client_secret_basic", client_secret=SECRET
)


def connector(
    settings: OidcClientSettings = KEY_SETTINGS, trust: Listed | None = None, **options: Any
) -> OidcConnector:
    """A connector to `ISSUER`."""
    return OidcConnector(
        **{
            "system": SYSTEM,
            "trust": trust or listed(),
            "client": settings,
            "redirect_uri": CALLBACK,
            "signing_key": key("gateway-client"),
        }
        | options
    )


def sign_in(
    peer: Peer,
    conn: OidcConnector | None = None,
    departure: Departure = DEPARTURE,
    now: datetime = NOW,
    **back: str,
) -> Identity:
    """Go there and come back with a code."""
    conn = conn or connector()
    departed = drive(conn.depart(departure, now), peer)
    peer.nonce = departed.memory["nonce"]
    request = arrival(**({"code": "code-1", "state": departure.handle} | back))
    identity = drive(conn.arrive(request, departed.memory, now), peer)
    assert isinstance(identity, Identity)
    return identity


def refusal(peer: Peer, kind: type[Refusal] = IdSystemAnswerRefused, **options: Any) -> str:
    """The detail of the refusal that a sign-in ends in."""
    with pytest.raises(kind) as caught:
        sign_in(peer, **options)
    assert type(caught.value) is kind
    return caught.value.detail


@pytest.fixture
def peer() -> Peer:
    """A provider of others that does everything right."""
    return Peer(key=key("peer"))


# --- there


def test_departure_asks_by_code_flow_with_pkce(peer):
    """The authorization request has everything of the code flow, and the memory what the way back needs."""
    departed = drive(connector().depart(DEPARTURE, NOW), peer)
    memory = departed.memory
    assert query(departed.answer.location) == {
        "tenant": "1",
        "response_type": "code",
        "client_id": "kakehashi",
        "redirect_uri": CALLBACK,
        "scope": "openid name",
        "state": "handle-1",
        "nonce": memory["nonce"],
        "code_challenge": jose.s256(memory["code_verifier"]),
        "code_challenge_method": "S256",
    }
    assert departed.answer.location.startswith(ISSUER + "/authorize?tenant=1&")
    assert memory == {
        "state": "handle-1",
        "nonce": memory["nonce"],
        "code_verifier": memory["code_verifier"],
        "issuer": ISSUER,
        "redirect_uri": CALLBACK,
        "force": False,
        "passive": False,
        "departed_at": int(NOW.timestamp()),
    }
    assert 43 <= len(memory["code_verifier"]) <= 128
    assert 1 <= len(memory["nonce"]) <= 255


def test_departure_passes_force_and_languages_on(peer):
    """A new sign-in is demanded by prompt and max_age, and the person's languages are named."""
    departure = replace(FORCED, languages=("ja", "en-GB"))
    asked = query(drive(connector().depart(departure, NOW), peer).answer.location)
    assert (asked["prompt"], asked["max_age"], asked["ui_locales"]) == ("login", "0", "ja en-GB")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), None),
        ((STRONG,), STRONG),
        (("urn:example:counter", STRONG), f"urn:example:counter {STRONG}"),
        (("two words", STRONG), STRONG),
        (("two words",), None),
    ],
)
def test_departure_asks_for_words_of_the_provider(peer, words, expected):
    """As acr_values, in their order; a word with a space cannot stand there."""
    departed = drive(connector().depart(replace(DEPARTURE, words=words), NOW), peer)
    asked = query(departed.answer.location)
    assert asked.get("acr_values") == expected
    assert "claims" not in asked


@pytest.mark.parametrize("announced", [True, False, None])
def test_the_second_time_one_of_the_words_is_a_must(peer, announced):
    """By the claims parameter if the provider reads it (OIDC Core §5.5.1.1); as acr_values, and signed in anew."""
    peer.configuration["claims_parameter_supported"] = announced
    departure = replace(DEPARTURE, words=(STRONG, "two words"), essential=True, force_authentication=True)
    asked = query(drive(connector().depart(departure, NOW), peer).answer.location)
    assert (asked["acr_values"], asked["prompt"], asked["max_age"]) == (STRONG, "login", "0")
    expected = {"id_token": {"acr": {"essential": True, "values": [STRONG, "two words"]}}}
    assert (json.loads(asked["claims"]) if "claims" in asked else None) == (expected if announced else None)


def test_unlisted_id_system_is_not_spoken_to(peer):
    """Without a list's word nothing is asked, neither there nor back; nor after the list expired."""
    conn = connector(trust=Listed())
    with pytest.raises(IdSystemNotTrusted, match="unlisted"):
        drive(conn.depart(DEPARTURE, NOW), peer)
    other_role = Listed()
    other_role.add(ISSUER, Role.OPENID_RELYING_PARTY)
    with pytest.raises(IdSystemNotTrusted):
        drive(connector(trust=other_role).depart(DEPARTURE, NOW), peer)
    known = connector()
    departed = drive(known.depart(DEPARTURE, NOW), peer)
    with pytest.raises(IdSystemNotTrusted, match="expired"):
        drive(known.arrive(arrival(code="c", state="handle-1"), departed.memory, NOW + timedelta(days=1)), peer)
    assert peer.asked == ["/.well-known/openid-configuration"]


# --- discovery


def test_configuration_is_asked_for_again_after_its_lifetime(peer):
    """One request serves an hour."""
    conn = connector()
    for at in (NOW, NOW + METADATA_LIFETIME - timedelta(seconds=1), NOW + METADATA_LIFETIME):
        drive(conn.depart(DEPARTURE, at), peer)
    assert peer.asked == ["/.well-known/openid-configuration"] * 2


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ({"issuer": ISSUER + "/"}, "discovery:issuer"),
        ({"issuer": None}, "discovery:issuer"),
        ({"token_endpoint": "http://id.example/token"}, "discovery:token_endpoint"),
        ({"token_endpoint": "http://localhost/token"}, "discovery:token_endpoint"),
        ({"token_endpoint": None}, "discovery:token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "discovery:authorization_endpoint"),
        ({"authorization_endpoint": "https://id.example/a#b"}, "discovery:authorization_endpoint"),
        ({"userinfo_endpoint": "https://user@id.example/"}, "discovery:userinfo_endpoint"),
        ({"jwks_uri": ["https://id.example/"]}, "discovery:jwks_uri"),
        ({"jwks_uri": "https://id.example:port/"}, "discovery:jwks_uri"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "discovery:algorithms"),
    ],
)
def test_configuration_of_another_or_with_unusable_addresses_is_refused(peer, configuration, reason):
    """Issuer equality, https alone, and an algorithm in common."""
    peer.configuration = configuration
    assert refusal(peer) == reason


def test_plain_http_is_for_an_issuer_on_this_machine():
    """A demo on loopback may use http, with every address on loopback too."""
    issuer = "http://localhost:8201"
    trust = listed()
    trust.add(issuer, Role.OPENID_PROVIDER)
    conn = connector(trust=trust, system=replace(SYSTEM, entity_id=issuer))
    addresses = {
        "issuer": issuer,
        "authorization_endpoint": issuer + "/authorize",
        "token_endpoint": issuer + "/token",
    }
    here = Peer(key=key("peer"), configuration=addresses)
    assert drive(conn.depart(DEPARTURE, NOW), here).answer.location.startswith("http://localhost:8201/authorize?")
    elsewhere = Peer(key=key("peer"), configuration=addresses | {"jwks_uri": "http://id.example/keys"})
    with pytest.raises(IdSystemAnswerRefused, match="jwks_uri"):
        drive(connector(trust=trust, system=replace(SYSTEM, entity_id=issuer)).depart(DEPARTURE, NOW), elsewhere)
    plain = "http://id.example"
    trust.add(plain, Role.OPENID_PROVIDER)
    with pytest.raises(IdSystemAnswerRefused, match="issuer-address"):
        drive(connector(trust=trust, system=replace(SYSTEM, entity_id=plain)).depart(DEPARTURE, NOW), here)


# --- back: what is believed


def test_identity_of_id_token_and_userinfo(peer):
    """Claims of both are merged; statements come from the ID token alone, protocol claims are none."""
    peer.claims = {
        "acr": STRONG,
        "amr": ["face", "pin"],
        "auth_time": int(NOW.timestamp()) - 30,
        "at_hash": jose.half_hash("token-1"),
        "name": "old",
        "azp": "kakehashi",
    }
    peer.userinfo = {
        "sub": "resident-1",
        "name": "髙橋 花子",
        "acr": "urn:forged",
        "amr": ["urn:forged"],
        "address": {"locality": "前橋市", "region": "群馬県"},
        "verified": True,
    }
    assert sign_in(peer) == Identity(
        id_system="maebashi",
        subject="resident-1",
        attributes={
            "name": ("髙橋 花子",),
            "address.locality": ("前橋市",),
            "address.region": ("群馬県",),
            "verified": ("true",),
        },
        statements=(STRONG,),
        authenticated_at=NOW - timedelta(seconds=30),
        methods=("face", "pin"),
        protection=frozenset({"asked", "back-channel"}),
    )
    userinfo = peer.requests[-1]
    assert (userinfo.method, userinfo.headers["Authorization"]) == ("GET", "Bearer token-1")


def test_digital_agency_answer_is_understood(peer):
    """An address as one string, a compact birth date, a numeric gender: as the Agency's app sends them."""
    peer.userinfo = {
        "sub": "resident-1",
        "name": "髙橋",
        "address": "群馬県前橋市",
        "birthdate": "19850315",
        "gender": "1",
    }
    assert sign_in(peer).attributes == {
        "name": ("髙橋",),
        "address": ("群馬県前橋市",),
        "birthdate": ("19850315",),
        "gender": ("1",),
    }


def test_another_claim_may_identify_the_person(peer):
    """A system may name its people by another claim; without exactly one value there is no person."""
    peer.userinfo = {"sub": "resident-1", "mebuku": {"id": "M-1"}}
    assert sign_in(peer, connector(subject_claim="mebuku.id")).subject == "M-1"
    assert refusal(peer, conn=connector(subject_claim="absent")) == "subject"
    peer.userinfo = {"sub": "resident-1", "number": ["1", "2"]}
    assert refusal(peer, conn=connector(subject_claim="number")) == "subject"


def test_token_request_by_assertion(peer):
    """private_key_jwt: an ES256 assertion for the issuer, short-lived, never used twice."""
    sign_in(peer)
    sign_in(peer)
    forms = [parse_qs(r.body.decode()) for r in peer.requests if urlsplit(r.url).path == "/token"]
    claims = [jose.verify(form["client_assertion"][0], key("gateway-client").public(), ["ES256"]) for form in forms]
    at = int(NOW.timestamp())
    assert claims[0] == {
        "iss": "kakehashi",
        "sub": "kakehashi",
        "aud": ISSUER,
        "iat": at,
        "exp": at + 60,
        "jti": claims[0]["jti"],
    }
    assert claims[0]["jti"] != claims[1]["jti"]
    assert {name: form for name, form in forms[0].items() if name not in {"client_assertion", "code_verifier"}} == {
        "grant_type": ["authorization_code"],
        "code": ["code-1"],
        "redirect_uri": [CALLBACK],
        "client_id": ["kakehashi"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }


def test_assertion_may_be_addressed_to_the_token_endpoint(peer):
    """For a provider that insists on it."""
    sign_in(peer, connector(replace(KEY_SETTINGS, assertion_audience="token_endpoint")))
    form = parse_qs(next(r for r in peer.requests if r.url.endswith("/token")).body.decode())
    claims = jose.verify(form["client_assertion"][0], key("gateway-client").public(), ["ES256"])
    assert claims["aud"] == ISSUER + "/token"


def test_token_request_by_secret(peer):
    """client_secret_basic: both halves form-encoded before Base64, and nothing of them in the body."""
    peer.claims = {"aud": SECRET_SETTINGS.client_id}
    sign_in(peer, connector(SECRET_SETTINGS, signing_key=None))
    request = next(r for r in peer.requests if r.url.endswith("/token"))
    scheme, pair = request.headers["Authorization"].split()
    assert (scheme, base64.b64decode(pair)) == (
        "Basic",
        b"kakehashi%3A+%E6%A9%8B:s3cret%3A+with+%2B+%25+and+%E6%A9%8B",
    )
    assert set(parse_qs(request.body.decode())) == {"grant_type", "code", "redirect_uri", "code_verifier"}


def test_signed_userinfo(peer):
    """A userinfo answer may be a JWT of the same provider for us."""
    peer.userinfo_type = "application/jwt; charset=utf-8"
    claims = {"iss": ISSUER, "aud": "kakehashi", "sub": "resident-1", "name": "髙橋"}
    peer.userinfo = jose.sign(claims, key("peer")).encode()
    assert sign_in(peer).attributes == {"name": ("髙橋",)}


def test_keys_pinned_by_the_list_are_the_only_ones():
    """With keys in the list's entry the provider's own key set is not asked for, and does not count."""
    trust = Listed()
    trust.add(ISSUER, Role.OPENID_PROVIDER, {"jwks": {"keys": [key("pinned").public_jwk()]}})
    pinned = Peer(key=key("pinned"), configuration={"jwks_uri": None})
    assert sign_in(pinned, connector(trust=trust)).subject == "resident-1"
    assert "/keys" not in pinned.asked
    assert refusal(Peer(key=key("peer")), conn=connector(trust=trust)) == "id-token:unknown-key"
    broken = Listed()
    broken.add(ISSUER, Role.OPENID_PROVIDER, {"jwks": []})
    assert refusal(Peer(key=key("peer")), conn=connector(trust=broken)) == "keys:malformed"


def test_address_of_keys_in_the_list_wins():
    """A list may say where the keys are."""
    trust = Listed()
    trust.add(ISSUER, Role.OPENID_PROVIDER, {"jwks_uri": ISSUER + "/keys"})
    peer = Peer(key=key("peer"), configuration={"jwks_uri": ISSUER + "/elsewhere"})
    assert sign_in(peer, connector(trust=trust)).subject == "resident-1"


def test_keys_are_asked_for_again_on_an_unknown_one(peer):
    """A rotation shows within one login, but not more than one request a minute; and keys grow old."""
    conn = connector()
    sign_in(peer, conn)
    peer.key = key("rotated")
    assert refusal(peer, conn=conn, now=NOW + timedelta(seconds=30)) == "id-token:unknown-key"
    assert peer.asked.count("/keys") == 1
    assert sign_in(peer, conn, now=NOW + KEYS_INTERVAL).subject == "resident-1"
    assert peer.asked.count("/keys") == 2
    later = NOW + KEYS_INTERVAL + KEYS_LIFETIME
    peer.claims = {"iat": int(later.timestamp()), "exp": int(later.timestamp()) + 60}
    sign_in(peer, conn, now=later)
    assert peer.asked.count("/keys") == 3


# --- back: what is not


ID_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://other.example"}, "iss"),
    ({"iss": None}, "iss"),
    ({"aud": "another"}, "aud"),
    ({"aud": None}, "aud"),
    ({"aud": []}, "aud"),
    ({"aud": ["kakehashi", 5]}, "aud"),
    ({"aud": {"kakehashi": 1}}, "aud"),
    ({"aud": ["kakehashi", "another"]}, "azp"),
    ({"aud": ["kakehashi", "another"], "azp": "another"}, "azp"),
    ({"azp": "another"}, "azp"),
    ({"exp": int(NOW.timestamp()) - 60}, "exp"),
    ({"exp": None}, "exp"),
    ({"exp": "tomorrow"}, "exp"),
    ({"exp": True}, "exp"),
    ({"iat": int(NOW.timestamp()) + 61}, "iat"),
    ({"iat": None}, "iat"),
    ({"nbf": int(NOW.timestamp()) + 61}, "nbf"),
    ({"nbf": "now"}, "nbf"),
    ({"nonce": "another"}, "nonce"),
    ({"nonce": None}, "nonce"),
    ({"nonce": 5}, "nonce"),
    ({"sub": None}, "sub"),
    ({"sub": ""}, "sub"),
    ({"sub": "x" * 256}, "sub"),
    ({"sub": 5}, "sub"),
    ({"at_hash": jose.half_hash("token-2")}, "at_hash"),
    ({"at_hash": 5}, "at_hash"),
    ({"auth_time": int(NOW.timestamp()) + 61}, "auth_time"),
    ({"auth_time": "now"}, "auth_time"),
]


@pytest.mark.parametrize(("claims", "reason"), ID_TOKENS)
def test_id_tokens_that_do_not_hold_are_refused(peer, claims, reason):
    """Every check of the table, each with its reason code."""
    peer.claims = claims
    assert refusal(peer) == f"id-token:{reason}"


def test_id_token_at_the_edges_of_leeway(peer):
    """A minute of difference between clocks is allowed, and another audience if the token was made for us."""
    at = int(NOW.timestamp())
    peer.claims = {"exp": at - 59, "iat": at + 60, "aud": ["another", "kakehashi"], "azp": "kakehashi"}
    assert sign_in(peer).subject == "resident-1"


@pytest.mark.parametrize("auth_time", [None, int(NOW.timestamp()) - 61])
def test_forced_sign_in_must_be_new(peer, auth_time):
    """When a new sign-in was demanded, an old one or one without a time is refused."""
    peer.claims = {"auth_time": auth_time}
    assert refusal(peer, departure=FORCED) == "id-token:auth_time"
    peer.claims = {"auth_time": int(NOW.timestamp())}
    assert sign_in(peer, departure=FORCED).authenticated_at == datetime.fromtimestamp(int(NOW.timestamp()), UTC)


def test_id_tokens_with_a_bad_signature_are_refused(peer):
    """Unsigned, signed by somebody else, by an algorithm not announced, of another type, or too large."""
    none = "eyJhbGciOiJub25lIn0." + jose.base64url(b'{"iss":"https://id.example"}') + "."
    impostor = jose.SigningKey(key("other").key, "ES256", key("peer").kid)
    for token, reason in [
        (none, "algorithm"),
        (jose.sign({}, key("rsa", "RS256")), "unknown-key"),
        (jose.sign({}, impostor), "signature"),
        (jose.sign({}, key("peer"), "at+jwt"), "type"),
        ("x" * (jose.MAX_TOKEN + 1), "too-large"),
        ("a.b", "malformed"),
    ]:
        peer.id_token = token
        assert refusal(peer) == f"id-token:{reason}"
    peer.id_token = None
    peer.configuration = {"id_token_signing_alg_values_supported": ["RS256"]}
    assert refusal(peer) == "id-token:algorithm"


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ({"token_type": "DPoP"}, "type"),
        ({"token_type": None}, "type"),
        ({"access_token": None}, "missing"),
        ({"access_token": "a\r\nX-Evil: 1"}, "missing"),
        ({"id_token": ["x"]}, "missing"),
    ],
)
def test_unusable_token_answers_are_refused(peer, tokens, reason):
    """A bearer token and an ID token, both in one line, are needed."""
    peer.tokens = tokens
    assert refusal(peer) == f"token:{reason}"


def test_refused_code_names_the_reason(peer):
    """A known error code is told in the log, an unknown one is not repeated."""
    peer.statuses = {"/token": 400}
    peer.tokens = {"error": "invalid_grant", "error_description": "taro@example.jp"}
    assert refusal(peer) == "token:invalid_grant"
    peer.tokens = {"error": "taro@example.jp"}
    assert refusal(peer) == "token:status-400"
    peer.tokens = {"error": ["invalid_grant"]}  # no string
    assert refusal(peer) == "token:status-400"
    peer.statuses = {"/token": 302}
    assert refusal(peer) == "token:status-302"


@pytest.mark.parametrize(
    ("userinfo", "content_type", "reason"),
    [
        ({"sub": "resident-2"}, "application/json", "userinfo:sub"),
        ({"name": "x"}, "application/json", "userinfo:sub"),
        (b"[]", "application/json", "userinfo:malformed"),
        (b'{"sub":"resident-1","sub":"resident-1"}', "application/json", "userinfo:malformed"),
        (b"\xff", "application/jwt", "userinfo:malformed"),
        (b"a.b.c", "application/jwt", "userinfo:malformed"),
        (jose.sign({"sub": "resident-1"}, key("other")).encode(), "application/jwt", "userinfo:unknown-key"),
        (
            jose.sign({"sub": "resident-1", "iss": ISSUER, "aud": "another"}, key("peer")).encode(),
            "application/jwt",
            "userinfo:not-for-us",
        ),
        (
            jose.sign({"sub": "resident-2", "iss": ISSUER, "aud": "kakehashi"}, key("peer")).encode(),
            "application/jwt",
            "userinfo:sub",
        ),
    ],
)
def test_userinfo_that_does_not_hold_is_refused(peer, userinfo, content_type, reason):
    """Another person's userinfo, a malformed one, and a JWT that is not the provider's for us."""
    peer.userinfo, peer.userinfo_type = userinfo, content_type
    assert refusal(peer) == reason


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"])
def test_silent_or_broken_provider_is_unreachable(peer, path):
    """No answer and an answer of 5xx or 429 are not the person's or the provider's denial."""
    peer.userinfo = {"sub": "resident-1"}
    for status in (500, 503, 429):
        peer.statuses = {path: status}
        assert refusal(peer, IdSystemUnreachable).endswith(f":status-{status}")
    peer.statuses = {path: 404}
    assert refusal(peer).endswith(":status-404")
    peer.statuses, peer.down = {}, {path}
    assert refusal(peer, IdSystemUnreachable).endswith(":no-answer")


def test_provider_without_keys_is_refused(peer):
    """Neither pinned nor announced, or not a key set."""
    peer.configuration = {"jwks_uri": None}
    assert refusal(peer) == "keys:address"
    peer.configuration, peer.jwks = {}, {"keys": "none"}
    assert refusal(peer) == "keys:malformed"


# --- back: the browser's part


@pytest.mark.parametrize(
    ("error", "kind", "detail"),
    [
        ("access_denied", IdSystemDenied, "answer:access_denied"),
        ("login_required", IdSystemDenied, "answer:login_required"),
        ("invalid_scope", IdSystemDenied, "answer:invalid_scope"),
        ("taro@example.jp", IdSystemDenied, "answer:other"),
        ("server_error", IdSystemUnreachable, "answer:server_error"),
        ("temporarily_unavailable", IdSystemUnreachable, "answer:temporarily_unavailable"),
    ],
)
def test_errors_of_the_provider(peer, error, kind, detail):
    """The person's or the provider's no is a denial, its trouble is not; nothing unknown is repeated."""
    assert refusal(peer, kind, error=error, error_description="taro@example.jp") == detail
    assert peer.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "error", ["login_required", "interaction_required", "account_selection_required", "consent_required"]
)
def test_a_provider_that_may_show_no_page(peer, error):
    """It is asked with prompt=none, and what it then says is no denial of the person's (OIDC Core §3.1.2.6)."""
    conn = connector()
    departed = drive(conn.depart(replace(DEPARTURE, passive=True), NOW), peer)
    assert query(departed.answer.location)["prompt"] == "none"
    with pytest.raises(InteractionNeeded, match=error):
        drive(conn.arrive(arrival(error=error, state="handle-1"), departed.memory, NOW), peer)
    with pytest.raises(IdSystemDenied):
        drive(conn.arrive(arrival(error="access_denied", state="handle-1"), departed.memory, NOW), peer)


def test_answers_of_another_login_or_issuer_are_refused(peer):
    """State and issuer are held against the memory before anything is asked."""
    assert refusal(peer, state="another") == "answer:state"
    assert refusal(peer, state="") == "answer:state"
    assert refusal(peer, iss="https://other.example") == "answer:iss"
    assert refusal(peer, iss="https://other.example", error="access_denied") == "answer:iss"
    assert refusal(peer, code="") == "answer:code"
    assert sign_in(peer, iss=ISSUER).subject == "resident-1"
    peer.configuration = {"authorization_response_iss_parameter_supported": True}
    assert refusal(peer) == "answer:iss"
    assert "/token" in peer.asked
    conn = connector()
    departed = drive(conn.depart(DEPARTURE, NOW), peer)
    memory = {**departed.memory, "issuer": "https://before.example"}
    with pytest.raises(IdSystemAnswerRefused, match="issuer-changed"):
        drive(conn.arrive(arrival(code="c", state="handle-1"), memory, NOW), peer)


@pytest.mark.parametrize(
    "request_",
    [
        WebRequest(method="POST", url=CALLBACK, form=[("code", "c"), ("state", "handle-1")]),
        WebRequest(method="GET", url=CALLBACK, raw_query="code=a&code=b&state=handle-1"),
        WebRequest(method="GET", url=CALLBACK, raw_query="code=a&state=handle-1&state=handle-1"),
        WebRequest(method="GET", url=CALLBACK, raw_query="code=" + "a" * 20000),
        WebRequest(method="GET", url=CALLBACK, raw_query="&".join(f"p{n}=1" for n in range(65))),
    ],
)
def test_answers_of_another_shape_are_refused(peer, request_):
    """Posted, duplicated or huge answers are refused."""
    conn = connector()
    departed = drive(conn.depart(DEPARTURE, NOW), peer)
    with pytest.raises(IdSystemAnswerRefused, match="answer"):
        drive(conn.arrive(request_, departed.memory, NOW), peer)


@pytest.mark.parametrize("evil_too", [True, False])
@pytest.mark.parametrize("names_itself", [True, False])
def test_mix_up_of_two_providers_hands_no_code_to_the_other(names_itself, evil_too):
    """A listed provider that turns bad cannot have an honest one answer its own login (RFC 9700 §4.4).

    It sends its visitor on to the honest one, with proof key and nonce of a login that the attacker began
    there; the code that comes back would reach the bad one's token endpoint, and with it the attacker would
    sign in as the visitor.
    """
    honest = Peer(key=key("honest"), configuration={"authorization_response_iss_parameter_supported": names_itself})
    own = CALLBACK + "/maebashi"
    attackers = drive(connector(own_redirect_uri=own).depart(DEPARTURE, NOW), honest)
    address = query(attackers.answer.location)["redirect_uri"]
    assert address == (CALLBACK if names_itself else own)

    bad = "https://bad.example"
    trust = listed()
    trust.add(bad, Role.OPENID_PROVIDER)
    evil = Peer(
        key=key("evil"),
        configuration={
            "issuer": bad,
            "authorization_endpoint": ISSUER + "/authorize",
            "token_endpoint": bad + "/token",
            "authorization_response_iss_parameter_supported": evil_too,
        },
    )
    bad_connector = connector(
        trust=trust, system=replace(SYSTEM, id="bad", entity_id=bad), own_redirect_uri=CALLBACK + "/bad"
    )
    visit = replace(DEPARTURE, handle="handle-2")
    visitors = drive(bad_connector.depart(visit, NOW), evil)
    # The honest provider sends the visitor's code to an address that the gateway registered there.
    named = {"iss": ISSUER} if names_itself else {}
    answered = replace(arrival(code="visitors-code", state="handle-2", **named), url=address)
    with pytest.raises(IdSystemAnswerRefused) as caught:
        drive(bad_connector.arrive(answered, visitors.memory, NOW), evil)
    assert caught.value.detail == ("answer:iss" if names_itself and evil_too else "answer:address")
    assert "/token" not in evil.asked


def test_no_refusal_repeats_what_the_provider_said(peer):
    """The detail of a refusal is a reason code, whatever the provider put into its answer."""
    peer.claims = {"iss": "taro@example.jp", "sub": "taro@example.jp"}
    assert "taro" not in refusal(peer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SAID = ("issuer", "token_endpoint", "userinfo_endpoint", "jwks_uri", "id_token_signing_alg_values_supported")
CLAIMED = (
    "iss",
    "sub",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "auth_time",
    "name",
)


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(SAID), JSON, max_size=2),
    st.dictionaries(st.sampled_from(CLAIMED), JSON, max_size=3),
    st.dictionaries(st.sampled_from(("token_type", "access_token", "id_token", "error")), JSON, max_size=1),
    st.none() | st.dictionaries(st.sampled_from(("sub", "name", "address")), JSON, max_size=3),
    st.none() | JSON,
)
def test_no_answer_breaks_the_connector(configuration, claims, tokens, userinfo, jwks):
    """Whatever JSON a provider sends, the sign-in ends in an identity or in a refusal."""
    peer = Peer(
        key=key("peer"),
        configuration=configuration,
        claims=claims,
        tokens=tokens,
        userinfo=userinfo,
        jwks=jwks,
    )
    with suppress(Refusal):
        sign_in(peer)


# --- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"authentication": "client_secret_basic"},
        {"authentication": "private_key_jwt", "client_secret": "s"},
        {"authentication": "private_key_jwt", "scopes": ("name",)},
    ],
)
def test_contradictory_settings_are_refused(settings):
    """A secret where one is needed and only there; openid among the scopes."""
    with pytest.raises(ValueError, match=r"secret|openid"):
        OidcClientSettings(client_id="kakehashi", **settings)
    with pytest.raises(ValueError, match="signing key"):
        connector(signing_key=None)


def test_settings_do_not_show_the_secret():
    """A secret does not reach a log line by way of a repr."""
    assert SECRET not in repr(SECRET_SETTINGS)


# --- against our own provider


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic"])
def test_connector_signs_in_at_our_own_provider(method):
    """Both halves speak to one another: discovery, code, tokens, userinfo, forced sign-in and acr."""
    client_id = "kakehashi" if method == "private_key_jwt" else "library"
    trust = listed()
    trust.add(
        client_id,
        Role.OPENID_RELYING_PARTY,
        {
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": method,
            "jwks": {"keys": [key("gateway-client").public_jwk()]},
        },
    )
    served = Served(provider(ISSUER, trust, **{client_id: service(client_id)}))
    settings = OidcClientSettings(
        client_id=client_id,
        authentication=method,
        client_secret=SECRET if method == "client_secret_basic" else None,
        scopes=("openid", "profile", "address", "card"),
    )
    level_two = "urn:kakehashi:assurance:identity-2"
    conn = connector(settings, trust=trust)
    departed = drive(conn.depart(replace(FORCED, words=(level_two,), languages=("ja",)), NOW), served)
    url, _, raw_query = departed.answer.location.partition("?")
    login = served.provider.accept(WebRequest(method="GET", url=url, raw_query=raw_query), NOW)
    assert (login.minimum, login.force_authentication, login.languages) == (Level.TWO, True, ("ja",))
    granted = served.provider.grant(login, release(login, authenticated_at=NOW), NOW)
    for kept in granted.keep.items:
        served.store.put(kept)
    back = WebRequest(method="GET", url=CALLBACK, raw_query=granted.answer.location.partition("?")[2])
    identity = drive(conn.arrive(back, departed.memory, NOW), served)
    assert identity == Identity(
        id_system="maebashi",
        subject="pairwise-1",
        attributes={
            name: (f"{name} 髙橋",)
            for name in ("name", "name#ja-Kana-JP", "address.locality", "address.region", "card")
        },
        statements=(level_two,),
        authenticated_at=NOW,
        protection=frozenset({"asked", "back-channel"}),
    )
    with pytest.raises(IdSystemAnswerRefused, match="token:invalid_grant"):
        drive(conn.arrive(back, departed.memory, NOW), served)


def test_denial_of_our_own_provider_is_a_denial():
    """A person who says no at the provider is told so, not that something is broken."""
    trust = listed()
    trust.add("kakehashi", Role.OPENID_RELYING_PARTY, {"redirect_uris": [CALLBACK]})
    served = Served(provider(ISSUER, trust, kakehashi=service("kakehashi")))
    conn = connector(trust=trust)
    departed = drive(conn.depart(DEPARTURE, NOW), served)
    url, _, raw_query = departed.answer.location.partition("?")
    login = served.provider.accept(WebRequest(method="GET", url=url, raw_query=raw_query), NOW)
    answer = served.provider.deny(login, IdSystemDenied(), NOW)
    back = WebRequest(method="GET", url=CALLBACK, raw_query=answer.location.partition("?")[2])
    with pytest.raises(IdSystemDenied, match="access_denied"):
        drive(conn.arrive(back, departed.memory, NOW), served)
