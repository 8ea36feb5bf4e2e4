"""What services ask of the gateway, and how a refusal goes back to them."""

import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import refusal as refusals
from federation.model import Level, LoginRequest
from federation.oidc import jose
from federation.oidc.authorize import error_redirect
from federation.oidc.clients import Clients
from federation.oidc.provider import OidcProvider
from federation.ports import Denied
from federation.refusal import BadRequest, ConsentDenied, ConsentNeeded, InteractionNeeded, Refusal, UnknownService
from federation.web import Redirect, WebRequest
from tests.federation.oidc.peers import (
    CLAIM_NAMES,
    GATEWAY,
    NOW,
    REDIRECT,
    SERVICE,
    VERIFIER,
    Listed,
    asked,
    authorize,
    listed,
    provider,
    query,
    release,
    service,
)
from trust_lists.model import Role


def accept(web: WebRequest | None = None, **changes: str | None) -> LoginRequest:
    """What our provider makes of a good request, changed."""
    return provider().accept(web or authorize(**changes), NOW)


def denied(web: WebRequest | None = None, **changes: str | None) -> dict[str, str]:
    """The query of the error redirect."""
    with pytest.raises(Denied) as caught:
        accept(web, **changes)
    answer = caught.value.answer
    assert isinstance(answer, Redirect)
    assert answer.location.startswith(REDIRECT + "&")
    found = query(answer.location)
    assert found.pop("from") == "kakehashi"
    assert found.pop("iss") == GATEWAY
    return found


def test_a_newer_entry_of_the_list_counts_at_once():
    """An entry is read once, and again when lists say something else of the client."""
    trust, moved = listed(), "https://service.example/elsewhere"
    clients = Clients({SERVICE: service(SERVICE)}, trust)
    first = clients.find(SERVICE, NOW)
    assert clients.find(SERVICE, NOW) is first
    trust.add(SERVICE, Role.OPENID_RELYING_PARTY, {"redirect_uris": [moved]})
    assert clients.find(SERVICE, NOW).redirect_uris == (moved,)


def test_good_request_becomes_a_login():
    """Everything asked is in the login, by GET and by POST alike."""
    expected = LoginRequest(
        service="service",
        kind="oidc",
        reply={
            "client_id": SERVICE,
            "redirect_uri": REDIRECT,
            "state": "state-1",
            "nonce": "nonce-1",
            "challenge": jose.s256(VERIFIER),
            "scopes": ["openid", "profile"],
            "userinfo": ["name", "name#ja-Kana-JP"],
            "id_token": [],
            "subject": None,
            "verified": {"userinfo": [], "id_token": []},
            "jkt": None,
            "contexts": [],
        },
        scopes=("council.polls.read",),
        claims=("name", "name#ja-Kana-JP"),
    )
    assert accept() == expected
    form = WebRequest(method="POST", url=GATEWAY + "/oidc/authorize", form=list(asked().items()))
    assert accept(form) == expected
    assert json.loads(json.dumps(expected.reply)) == expected.reply


def test_state_and_nonce_are_optional():
    """RFC 6749 and the code flow do not demand them; PKCE stands in."""
    login = accept(state=None, nonce=None)
    assert (login.reply["state"], login.reply["nonce"]) == (None, None)
    granted = provider().grant(login, release(login), NOW)
    assert query(granted.answer.location).keys() == {"from", "code", "iss"}
    assert denied(state=None, prompt="create").keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "",
        SERVICE + "/callback",
        REDIRECT + "/",
        REDIRECT + "&x=1",
        REDIRECT.upper(),
        REDIRECT.replace("https", "http"),
        "https://evil.example/?" + REDIRECT,
        REDIRECT + "#f",
        "javascript:alert(1)",
    ],
)
def test_other_redirect_uris_get_a_page(redirect_uri):
    """The redirect URI is compared exactly; anything else is never redirected to."""
    with pytest.raises(BadRequest, match="redirect_uri"):
        accept(redirect_uri=redirect_uri)


def test_unknown_clients_get_a_page():
    """Not configured, not listed, listed in another role, or expired: nothing goes back."""
    with pytest.raises(UnknownService, match="not-configured"):
        accept(client_id="https://nobody.example")
    with pytest.raises(BadRequest, match="client_id"):
        accept(client_id=None)
    other_role = Listed()
    other_role.add(SERVICE, Role.OPENID_PROVIDER)
    for trust in (Listed(), other_role):
        with pytest.raises(UnknownService, match="unlisted"):
            provider(trust=trust).accept(authorize(), NOW)
    with pytest.raises(UnknownService, match="expired"):
        provider().accept(authorize(), NOW.replace(day=2))


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"redirect_uris": None}, "redirect_uris"),
        ({"redirect_uris": "https://service.example/"}, "redirect_uris"),
        ({"redirect_uris": ["http://service.example/"]}, "redirect_uris"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris"),
        ({"redirect_uris": [SERVICE + "/cb#f"]}, "redirect_uris"),
        ({"redirect_uris": [SERVICE + "/c b"]}, "redirect_uris"),
        ({"token_endpoint_auth_method": ["private_key_jwt"]}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"),
        ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ({"jwks": {"keys": 5}}, "jwks"),
    ],
)
def test_unusable_metadata_in_the_list_is_unknown(metadata, reason):
    """A client whose entry cannot be used is not a member until the list is put right."""
    trust = listed()
    trust.add(SERVICE, Role.OPENID_RELYING_PARTY, {"redirect_uris": [REDIRECT], **metadata})
    with pytest.raises(UnknownService, match=f"metadata:{reason}"):
        provider(trust=trust).accept(authorize(), NOW)


def test_other_methods_and_shapes_get_a_page():
    """PUT, endless parameters and endless values are refused before anything is read."""
    with pytest.raises(BadRequest, match="method"):
        accept(replace(authorize(), method="PUT"))
    with pytest.raises(BadRequest, match="parameters"):
        accept(replace(authorize(), raw_query="a=1&" * 65))
    with pytest.raises(BadRequest, match="parameters"):
        accept(state="x" * 20000)


def test_duplicates_are_refused():
    """Two clients or two addresses get a page, two of anything else goes back, without a doubtful state."""
    for name, value in (("client_id", SERVICE), ("redirect_uri", REDIRECT)):
        with pytest.raises(BadRequest, match="client_id"):
            accept(replace(authorize(), raw_query=urlencode([*asked().items(), (name, value)])))
    twice = replace(authorize(), raw_query=urlencode([*asked().items(), ("scope", "openid")]))
    assert denied(twice)["error"] == "invalid_request"
    states = replace(authorize(), raw_query=urlencode([*asked().items(), ("state", "state-2")]))
    assert denied(states).keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": "x" * 44}, "invalid_request"),
        ({"code_challenge": "x" * 42 + "="}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none", "max_age": "60"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"nonce": "n" * 1025}, "invalid_request"),
        ({"request": "e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"claims": "[]"}, "invalid_request"),
        (
            {"claims": '{"id_token":{"acr":{"essential":true,"value":"urn:x"}}}'},
            "unmet_authentication_requirements",
        ),
    ],
)
def test_faults_go_back_to_the_service(changes, error):
    """Each with its error code, a description, the state and the issuer."""
    found = denied(**changes)
    assert (found["error"], found["state"]) == (error, "state-1")
    assert found["error_description"]


def test_prompt_none_shows_no_page():
    """It is tried without a page; together with a sign-in anew it cannot be (OIDC Core §3.1.2.1)."""
    assert (accept(prompt="none").passive, accept(prompt="login").passive, accept().passive) == (True, False, False)
    with pytest.raises(Denied) as caught:
        accept(prompt="none", max_age="0")
    assert isinstance(caught.value.refusal, InteractionNeeded)


@pytest.mark.parametrize(
    ("kind", "error"), [(InteractionNeeded, "login_required"), (ConsentNeeded, "consent_required")]
)
def test_what_would_have_needed_a_page_is_told_in_the_protocols_words(kind, error):
    """OIDC Core §3.1.2.6."""
    assert query(provider().deny(accept(prompt="none"), kind(), NOW).location)["error"] == error


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"prompt": "login"}, True),
        ({"prompt": "consent select_account"}, False),
        ({"prompt": "consent login"}, True),
        ({"max_age": "0"}, True),
        ({"max_age": "3600"}, True),
    ],
)
def test_a_new_sign_in_is_forced(changes, expected):
    """By prompt=login and by any max_age: the gateway has no session whose age it could compare."""
    assert accept(**changes).force_authentication is expected


ACR = "urn:kakehashi:assurance:identity-"


@pytest.mark.parametrize(
    ("acr_values", "claims", "expected"),
    [
        (None, None, Level.NONE),
        ("urn:unknown", None, Level.NONE),
        (f"{ACR}3 {ACR}2 urn:unknown", None, Level.TWO),
        (None, {"essential": True, "values": [f"{ACR}3", f"{ACR}2"]}, Level.TWO),
        (None, {"value": f"{ACR}3"}, Level.THREE),
        (f"{ACR}1", {"essential": True, "value": f"{ACR}2"}, Level.TWO),
        (None, {"essential": True}, Level.NONE),
        (f"{ACR}9 {ACR}", None, Level.NONE),
        ("http://eidas.europa.eu/LoA/substantial", None, Level.TWO),
        ("http://idmanagement.gov/ns/assurance/ial/3", None, Level.THREE),
    ],
)
def test_minimum_is_the_lowest_acceptable_level(acr_values, claims, expected):
    """Any of the listed levels will do, so the lowest known one is the minimum; the two ways add up."""
    parameter = None if claims is None else json.dumps({"id_token": {"acr": claims}})
    assert accept(acr_values=acr_values, claims=parameter).minimum is expected


@pytest.mark.parametrize(
    ("scope", "claims", "userinfo", "id_token"),
    [
        ("openid", None, [], []),
        ("openid profile", None, ["name", "name#ja-Kana-JP"], []),
        ("openid email phone", None, ["email"], []),
        ("openid address", None, ["address.locality", "address.region"], []),
        ("openid card", None, ["card"], []),
        ("openid", {"userinfo": {"residence": None}}, ["residence"], []),
        ("openid", {"userinfo": {"address": None}}, ["address.locality", "address.region"], []),
        ("openid", {"id_token": {"card": {"essential": True}, "unknown": None}}, [], ["card"]),
        ("openid email", {"id_token": {"email": {"value": "x"}}}, ["email"], ["email"]),
        ("openid", {"userinfo": {"sub": None, "iss": None}}, [], []),
    ],
)
def test_claims_are_reached_by_scope_and_by_name(scope, claims, userinfo, id_token):
    """Standard scopes, scopes of a claim's own name, and the claims parameter; only of the service's map."""
    login = accept(scope=scope, claims=None if claims is None else json.dumps(claims))
    assert (login.reply["userinfo"], login.reply["id_token"]) == (userinfo, id_token)
    assert login.claims == tuple(name for name in CLAIM_NAMES if name in userinfo or name in id_token)


def test_scopes_are_those_the_service_may_have():
    """Unknown scopes and other services' are passed over (RFC 6749 §3.3); the order is the request's."""
    login = accept(scope="council.polls.vote other openid card council.polls.vote offline_access profile")
    assert login.scopes == ("council.polls.vote",)
    assert login.reply["scopes"] == ["openid", "card", "profile"]


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6), max_size=6))
def test_no_scope_is_granted_unasked_or_unallowed(words):
    """Whatever is asked, what is granted was asked and is the service's to have."""
    login = provider().accept(authorize(scope=" ".join(["openid", *words])), NOW)
    assert set(login.scopes) <= {"council.polls.read", "council.polls.vote"} & set(words)
    assert set(login.reply["scopes"]) <= {"openid", *words}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("maebashi", "maebashi"), ("102016", "102016"), ("<script>", None), ("x" * 65, None), (None, None)],
)
def test_municipality_hint(value, expected):
    """An ID system's id or a municipality's code; a useless hint is passed over."""
    assert accept(kakehashi_municipality=value).hint == expected


def test_languages_are_passed_on():
    """ui_locales in the service's order, without what is no language tag."""
    assert accept(ui_locales="ja en-GB <b> fr").languages == ("ja", "en-GB", "fr")
    assert len(accept(ui_locales="ja " * 50).languages) == 8


# --- denial


def all_refusals(kind: type[Refusal] = Refusal) -> list[type[Refusal]]:
    """Every kind of refusal."""
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in all_refusals(sub))]


def test_denial_carries_error_state_and_issuer():
    """RFC 6749 §4.1.2.1 and RFC 9207, added to the registered query."""
    answer = provider().deny(accept(), ConsentDenied("secret detail"), NOW)
    assert query(answer.location) == {
        "from": "kakehashi",
        "error": "access_denied",
        "error_description": "You chose not to share your data",
        "state": "state-1",
        "iss": GATEWAY,
    }


@pytest.mark.parametrize("kind", all_refusals())
def test_every_refusal_can_be_told_to_a_service(kind):
    """Each has an OAuth error, and a description in the alphabet of RFC 6749 §4.1.2.1."""
    found = query(provider().deny(accept(), kind("detail"), NOW).location)
    assert found["error"] == kind.oauth_error
    assert all(c not in '"\\' and " " <= c <= "~" for c in found["error_description"])
    assert refusals.Refusal is Refusal


@given(st.text(max_size=50))
def test_error_description_is_always_sayable(text):
    """Whatever the text, the description stays within its alphabet."""
    answer = error_redirect(REDIRECT, error="x", description=text, state=text, issuer=GATEWAY)
    found = query(answer.location)
    assert all(c not in '"\\' and " " <= c <= "~" for c in found["error_description"])
    assert found["state"] == text


def test_wanted_person_and_no_other():
    """A service that names the sub it wants gets login_required for anybody else, and no code."""
    login = accept(claims='{"id_token":{"sub":{"value":"pairwise-2"}}}')
    granted = provider().grant(login, release(login), NOW)
    assert granted.keep.items == ()
    assert query(granted.answer.location)["error"] == "login_required"
    assert "code" in query(provider().grant(login, release(login, subject="pairwise-2"), NOW).answer.location)


# --- construction


@pytest.mark.parametrize(
    "issuer",
    ["https://g.example/", "http://g.example", "https://g.example?x", "https://g.example#", "g.example"],
)
def test_unusable_issuers_are_refused(issuer):
    """An issuer is an https address without slash, query and fragment (OpenID Discovery §3)."""
    with pytest.raises(ValueError, match="issuer"):
        provider(issuer)


def test_unusable_outward_maps_are_refused():
    """Claims that cannot stand together are found at the start, not at a login."""
    rule = service(SERVICE).outward.rules[0]
    for names in (("sub",), ("address", "address.locality")):
        outward = replace(service(SERVICE).outward, rules=tuple(replace(rule, to=to) for to in names))
        with pytest.raises(ValueError, match="claim"):
            provider(**{SERVICE: service(SERVICE, outward=outward)})


def test_configuration_is_complete():
    """Everything of OpenID Discovery §3 that a relying party needs, and nothing that is not offered."""
    served = provider()
    assert isinstance(served, OidcProvider)
    document = served.configuration()
    assert (document.content_type, document.status) == ("application/json", 200)
    assert json.loads(document.body) == {
        "issuer": GATEWAY,
        "authorization_endpoint": GATEWAY + "/oidc/authorize",
        "token_endpoint": GATEWAY + "/oidc/token",
        "userinfo_endpoint": GATEWAY + "/oidc/userinfo",
        "jwks_uri": GATEWAY + "/oidc/jwks",
        "scopes_supported": [
            *("openid", "profile", "email", "address", "phone"),
            *("council.polls.read", "council.polls.vote"),
        ],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"),
            *("address", "card", "email", "name", "name#ja-Kana-JP", "residence"),
        ],
        "claim_types_supported": ["normal"],
        "acr_values_supported": [f"{ACR}1", f"{ACR}2", f"{ACR}3"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "RS256"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "RS256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": ["ja", "en"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": True,
        "verified_claims_supported": True,
        "trust_frameworks_supported": [
            "urn:kakehashi:trust-framework:ds-511",
            "urn:kakehashi:trust-framework:jpki",
            "urn:kakehashi:trust-framework:electronic-signatures-act",
        ],
        "claims_in_verified_claims_supported": ["address", "card", "email", "name", "name#ja-Kana-JP", "residence"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
    }


def test_jwks_has_both_public_keys():
    """One key for each ID token algorithm, without its private half."""
    keys = json.loads(provider().jwks().body)["keys"]
    assert [k["alg"] for k in keys] == ["RS256", "ES256"]
    assert all("d" not in k and k["use"] == "sig" for k in keys)
