"""Token exchange: who may act for a person, for what, how long, and in which chain."""

import json
import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.callers import Binding, BindingKind, Caller
from federation.consent import ConsentRecord, grant
from federation.identifiers import PersonRef
from federation.login import TokenHolder, open_caller, seal_caller
from federation.oidc import exchange, jose
from federation.oidc.exchange import Acting, Actor, ExchangeRequest, ExchangeRules, seal_call
from federation.oidc.oauth import OAuthError
from federation.oidc.provider import OidcProvider
from federation.oidc.tokens import AccessToken
from federation.told import opened
from federation.web import Document
from trust_lists.model import Role

from .peers import (
    GATEWAY,
    IDENTIFIERS,
    LIBRARY,
    NOW,
    SERVICE,
    VERIFIER,
    Served,
    assertion,
    authorize,
    certificate,
    exchange_form,
    granted_code,
    key,
    listed,
    post,
    provider,
    service,
)

POLL, LEDGER = "https://poll.example", "https://ledger.example"
READ, VOTE, PAY, BY_POLL, BY_LEDGER = "polls.read", "polls.vote", "ledger.pay", "pay.by-poll", "vote.by-ledger"
SCOPES = frozenset({READ, VOTE, PAY, BY_POLL, BY_LEDGER})
RULES = ExchangeRules(
    acting={
        BY_POLL: Acting(by=POLL, scopes=frozenset({PAY})),
        BY_LEDGER: Acting(by=LEDGER, scopes=frozenset({VOTE})),
    },
    actors={
        POLL: Actor(client_id=POLL, audience="poll"),
        LEDGER: Actor(client_id=LEDGER, audience="ledger"),
    },
    targets={"poll": frozenset({READ, VOTE}), "ledger": frozenset({PAY})},
    assertion_keys=key("assertion").public(),
)
PERSON = PersonRef("resident-1")
HOLDER = TokenHolder(person=PERSON, municipality="102016", system="maebashi", key=IDENTIFIERS.present)
SITE = service(SERVICE, scopes=SCOPES)


def region(**changes: Any) -> Served:
    """A provider where the poll may act for people who agreed, and the ledger, too."""
    trust = listed()
    for each, name in ((POLL, "poll"), (LEDGER, "ledger")):
        trust.add(each, Role.REGIONAL_SERVICE, signing_certificates=(certificate(name),))
    services = {SERVICE: SITE, LIBRARY: service(LIBRARY)}
    return Served(provider(trust=trust, rules=RULES, **services, **changes))


def first_token(served: Served, scopes: Collection[str] = SCOPES) -> str:
    """An access token that a person's sign-in gave the site."""
    web = authorize(scope="openid " + " ".join(sorted(scopes)))
    code = granted_code(served, web, person=seal_caller(HOLDER, IDENTIFIERS))
    form = exchange_form(code, client_assertion=assertion(jti=secrets.token_hex(8)), code_verifier=VERIFIER)
    return str(json.loads(served.token(post(form)).body)["access_token"])


def agreed(scopes: Collection[str] = SCOPES) -> ConsentRecord:
    """What the person agreed to at the site."""
    return grant(SITE, id="consent-1", person=PERSON, attributes=(), scopes=scopes, now=NOW)


def caller_of(access: AccessToken) -> Caller:
    """As the region finds who calls with a token."""
    holder = open_caller(access.person, IDENTIFIERS)
    return Caller(
        client=access.client_id,
        municipality=holder.municipality,
        scopes=access.scopes,
        assurance=access.assurance,
        token_id=access.jti,
        expires_at=access.expires_at,
        person=holder.person,
        key=holder.key,
        consent=access.consent,
        actors=access.actors,
        binding=access.binding,
        id_system=holder.system,
        ancestors=access.ancestors,
    )


def form(subject: str, by: str = "poll", changes: dict[str, str | None] | None = None) -> dict[str, str]:
    """A good request of a shared service; None leaves a field out."""
    client = f"https://{by}.example"
    fields = {
        "grant_type": exchange.GRANT_TYPE,
        "subject_token": subject,
        "subject_token_type": exchange.ACCESS_TOKEN,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(key(by), iss=client, sub=client, jti=secrets.token_hex(8)),
    } | (changes or {})
    return {name: value for name, value in fields.items() if value is not None}


def exchanged(
    served: Served, fields: dict[str, str], *, record: ConsentRecord | None = None, binding: Binding | None = None
) -> dict[str, Any]:
    """The answer, as the gateway finds it."""
    asked = served.provider.token_request(post(fields), served.now)
    assert isinstance(asked, ExchangeRequest)
    asked = replace(asked, binding=asked.binding or binding)
    subject = served.provider.exchange_subject(asked, served.now)
    granted = served.provider.exchanged(asked, subject, caller_of(subject), record or agreed(), served.now)
    assert isinstance(granted.answer, Document)
    found: dict[str, Any] = json.loads(granted.answer.body)
    return found


def access(of: OidcProvider, answer: dict[str, Any]) -> AccessToken:
    """The token of an answer, verified."""
    return of.verify_access_token(answer["access_token"], NOW)


def test_a_service_acts_for_a_person_who_agreed():
    """It gets what the person let it have, the chain names both, and nothing tells it who that is."""
    served = region()
    first = first_token(served)
    answer = exchanged(served, form(first))
    assert {name: answer[name] for name in ("issued_token_type", "token_type", "expires_in", "scope")} == {
        "issued_token_type": exchange.ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": PAY,
    }
    claims = jose.verify(answer["access_token"], key("gateway").public(), ["ES256"], ("at+jwt",))
    assert (claims["client_id"], claims["act"]) == (POLL, {"sub": POLL, "act": {"sub": SERVICE}})
    known = dict(jose.peek_unsafe(first))
    for name in ("sub", "jti", "consent", "kakehashi_person"):
        assert claims[name] != known[name]
    assert known["jti"] not in json.dumps(claims)
    token = access(served.provider, answer)
    assert (token.consent, token.ancestors, token.consented) == ("consent-1", (known["jti"],), SERVICE)
    assert token.actors == (POLL, SERVICE)
    assert open_caller(token.person, IDENTIFIERS) == HOLDER
    again = jose.peek_unsafe(exchanged(served, form(first))["access_token"])
    assert again["sub"] != claims["sub"]  # another in each token
    assert again["consent"] == claims["consent"]


def test_the_chain_goes_on_where_the_person_let_it():
    """The poll passes on what lets the ledger act; both stand in the chain, with the token that began it."""
    served = region()
    first = first_token(served)
    poll = exchanged(served, form(first, changes={"scope": f"{PAY} {BY_LEDGER}"}))
    with pytest.raises(OAuthError) as caught:  # the poll did not get the scope that it would let the ledger use
        exchanged(served, form(poll["access_token"], "ledger", {"scope": VOTE}))
    assert caught.value.code == "invalid_scope"
    wide = RULES.acting | {BY_POLL: Acting(by=POLL, scopes=frozenset({PAY, VOTE}))}
    trust_rules = replace(RULES, acting=wide)
    served = region()
    served.provider = region_with(trust_rules)
    poll = exchanged(served, form(first, changes={"scope": f"{VOTE} {BY_LEDGER}"}))
    ledger = exchanged(served, form(poll["access_token"], "ledger", {"scope": VOTE}))
    token = access(served.provider, ledger)
    assert (token.actors, token.consented) == ((LEDGER, POLL, SERVICE), SERVICE)
    assert token.ancestors == (access(served.provider, poll).jti, served.provider.verify_access_token(first, NOW).jti)
    assert token.scopes == {VOTE}


def region_with(rules: ExchangeRules) -> OidcProvider:
    """The provider with other rules."""
    trust = listed()
    for each, name in ((POLL, "poll"), (LEDGER, "ledger")):
        trust.add(each, Role.REGIONAL_SERVICE, signing_certificates=(certificate(name),))
    return provider(trust=trust, rules=rules, **{SERVICE: SITE, LIBRARY: service(LIBRARY)})


def test_a_client_narrows_its_own_token():
    """It needs nobody's leave for that, and stays known by the same name."""
    served = region()
    first = first_token(served)
    own = {"client_assertion": assertion(jti=secrets.token_hex(8))}
    token = access(served.provider, exchanged(served, form(first, changes={"scope": READ, **own})))
    assert (token.scopes, token.actors, token.subject) == ({READ}, (SERVICE,), "pairwise-1")
    own = {"client_assertion": assertion(jti=secrets.token_hex(8)), "audience": "poll"}
    assert exchanged(served, form(first, changes=own))["scope"] == f"{READ} {VOTE}"


CHANGES: list[tuple[dict[str, str | None], str]] = [
    ({"scope": READ}, "consent_required"),
    ({"scope": f"{PAY} {READ}"}, "consent_required"),
    ({"scope": "polls.everything"}, "invalid_scope"),
    ({"scope": "openid"}, "invalid_scope"),
    ({"scope": " "}, "invalid_scope"),
    ({"audience": "https://other.example"}, "invalid_target"),
    ({"audience": "poll", "scope": PAY}, "invalid_target"),
    ({"audience": "ledger", "resource": "ledger"}, "invalid_target"),
    ({"actor_token": "x"}, "invalid_request"),
    ({"subject_token": None}, "invalid_request"),
    ({"subject_token": "x.y.z"}, "invalid_request"),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ({"subject_token_type": exchange.JWT}, "invalid_request"),
    ({"requested_token_type": exchange.JWT}, "invalid_request"),
    ({"client_assertion": None}, "invalid_request"),
    ({"client_assertion": None, "client_assertion_type": None, "client_id": POLL}, "invalid_client"),
    ({"client_assertion": "x.y.z"}, "invalid_client"),
    ({"client_id": LEDGER}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "code"), CHANGES, ids=lambda value: str(value)[:60])
def test_what_nobody_agreed_to_is_refused(changes, code):
    """More scopes, another target, another's token, somebody who is not who they say."""
    served = region()
    with pytest.raises(OAuthError) as caught:
        exchanged(served, form(first_token(served), changes=changes))
    assert caught.value.code == code


def test_another_key_is_not_the_services():
    """Only a listed one."""
    served = region()
    made = assertion(key("other"), iss=POLL, sub=POLL)
    with pytest.raises(OAuthError, match="invalid_client"):
        exchanged(served, form(first_token(served), changes={"client_assertion": made}))


def test_who_was_not_named_does_not_act():
    """Another shared service, another client: whatever token they hold."""
    served = region()
    first = first_token(served, SCOPES - {BY_LEDGER})
    with pytest.raises(OAuthError, match="consent_required"):
        exchanged(served, form(first, "ledger", {"scope": PAY}))
    with pytest.raises(OAuthError, match="invalid_scope"):
        exchanged(served, form(first, "ledger"))
    without = first_token(served, SCOPES - {BY_POLL})
    with pytest.raises(OAuthError, match="consent_required"):
        exchanged(served, form(without, changes={"scope": PAY}))


@pytest.mark.parametrize(
    "record",
    [
        agreed({PAY}),
        agreed({BY_POLL}),
        replace(agreed(), expires_at=NOW),
        replace(agreed(), purpose_digest="other"),
        replace(agreed(), service="another"),
    ],
    ids=["not-acting", "not-paying", "expired", "purpose", "other"],
)
def test_the_consent_must_still_cover_it(record):
    """Each step asks what the person agreed to, as it stands now."""
    served = region()
    with pytest.raises(OAuthError, match="consent_required"):
        exchanged(served, form(first_token(served)), record=record)


def test_a_chain_has_an_end():
    """Four who act, whoever was let act first among them; and a token that says more is not believed."""
    served = region()
    first = first_token(served)
    claims = dict(jose.peek_unsafe(exchanged(served, form(first))["access_token"]))
    subject = access(served.provider, {"access_token": first})
    long = replace(subject, actors=("a", "b", "c", SERVICE))
    asked = served.provider.token_request(post(form(first)), NOW)
    assert isinstance(asked, ExchangeRequest)
    with pytest.raises(OAuthError) as caught:
        served.provider.exchanged(asked, long, caller_of(subject), agreed(), NOW)
    assert caught.value.detail == "subject:chain"
    act: dict[str, Any] = {"sub": SERVICE}
    for _ in range(4):
        act = {"sub": POLL, "act": act}
    for hostile in (
        {"act": act},
        {"act": {}},
        {"act": "x"},
        {"act": None},
        {"client_id": LEDGER},
        {"kakehashi_origin": "x"},
        {"kakehashi_origin": claims["kakehashi_person"]},
        {"kakehashi_origin": None},
    ):
        changed = {name: value for name, value in (claims | hostile).items() if value is not None}
        with pytest.raises(OAuthError, match="invalid_request"):
            exchanged(served, form(jose.sign(changed, key("gateway"), "at+jwt")))


@given(age=st.integers(0, 599), asked=st.sets(st.sampled_from(sorted(SCOPES))))
def test_nothing_grows_by_an_exchange(age, asked):
    """Never more scopes than the token had and were asked for, never a later end, at any age."""
    served = region()
    first = first_token(served)
    subject = served.provider.verify_access_token(first, NOW)
    served.now = NOW + timedelta(seconds=age)
    fields = form(first, changes={"scope": " ".join(sorted(asked)) or None})
    now = int(served.now.timestamp())
    claims = {"iss": POLL, "sub": POLL, "aud": GATEWAY, "exp": now + 60, "jti": secrets.token_hex(8)}
    fields["client_assertion"] = jose.sign(claims, key("poll"))
    try:
        answer = exchanged(served, fields)
    except OAuthError as refused:
        answer = {"error": refused.code}
    if "error" in answer:
        assert answer["error"] in {"consent_required", "invalid_scope"}
        return
    token = served.provider.verify_access_token(answer["access_token"], served.now)
    assert token.scopes <= subject.scopes & (asked or SCOPES)
    assert token.expires_at <= subject.expires_at
    assert answer["expires_in"] == 600 - age


def test_a_bound_token_is_exchanged_by_its_holder_alone():
    """A stolen token that is bound to a key or certificate is of no use here either."""
    served = region()
    subject = served.provider.verify_access_token(first_token(served), NOW)
    bound = replace(subject, binding=Binding(kind=BindingKind.KEY, value="k" * 43))
    asked = served.provider.token_request(post(form("x")), NOW)
    assert isinstance(asked, ExchangeRequest)
    for shown in (None, Binding(kind=BindingKind.KEY, value="o" * 43)):
        with pytest.raises(OAuthError) as caught:
            served.provider.exchanged(replace(asked, binding=shown), bound, caller_of(subject), agreed(), NOW)
        assert caught.value.detail == "subject:binding"
    served.provider.exchanged(replace(asked, binding=bound.binding), bound, caller_of(subject), agreed(), NOW)


def told(served: Served, **changes: Any) -> str:
    """The identity assertion with which the gateway called the poll."""
    subject = served.provider.verify_access_token(first_token(served), NOW)
    claims = {
        "iss": GATEWAY,
        "aud": "poll",
        "exp": int(NOW.timestamp()) + 60,
        exchange.SEALED: seal_call(caller_of(subject), POLL, IDENTIFIERS),
    } | changes
    return jose.sign({k: v for k, v in claims.items() if v is not None}, key("assertion"), exchange.ASSERTION_TYPE)


def test_the_assertion_of_a_call_is_exchanged():
    """A shared service has no other token of the person; it learns nothing by it."""
    served = region()
    answer = exchanged(served, form(told(served), changes={"subject_token_type": exchange.JWT}))
    token = access(served.provider, answer)
    assert (token.actors, token.scopes, token.consent) == ((POLL, SERVICE), {PAY}, "consent-1")
    assert len(token.ancestors) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "ledger"}, "assertion:aud"),
        ({"iss": "https://other.example"}, "assertion:iss"),
        ({"exp": int(NOW.timestamp())}, "assertion:exp"),
        ({"exp": None}, "assertion:exp"),
        ({exchange.SEALED: None}, "assertion:sealed"),
        ({exchange.SEALED: "x"}, "assertion:sealed"),
    ],
)
def test_assertions_that_do_not_hold(changes, reason):
    """For another service, of another issuer, over, of a call in which nobody may act."""
    served = region()
    with pytest.raises(OAuthError) as caught:
        exchanged(served, form(told(served, **changes), changes={"subject_token_type": exchange.JWT}))
    assert caught.value.detail == f"subject:{reason}"


def test_an_assertion_is_worth_no_longer_than_its_token():
    """It lives a minute, of which the token of the call may have had a second left."""
    served = region()
    caller = caller_of(served.provider.verify_access_token(first_token(served), NOW))
    over = {exchange.SEALED: seal_call(replace(caller, expires_at=NOW), POLL, IDENTIFIERS)}
    with pytest.raises(OAuthError) as caught:
        exchanged(served, form(told(served, **over), changes={"subject_token_type": exchange.JWT}))
    assert caught.value.detail == "subject:exp"


def test_an_assertion_is_its_services_alone():
    """What is sealed for one opens for no other, and another kind of token is none."""
    served = region()
    subject = served.provider.verify_access_token(first_token(served), NOW)
    other = told(served, aud="ledger", **{exchange.SEALED: seal_call(caller_of(subject), POLL, IDENTIFIERS)})
    for fields in (
        form(other, "ledger", {"subject_token_type": exchange.JWT}),
        form(first_token(served), changes={"subject_token_type": exchange.JWT}),
        form(jose.sign({}, key("other"), exchange.ASSERTION_TYPE), changes={"subject_token_type": exchange.JWT}),
    ):
        with pytest.raises(OAuthError, match="invalid_request"):
            exchanged(served, fields)


def test_what_services_are_told_goes_along_for_the_scopes_that_do():
    """By a token or by an assertion: what is for another scope is not opened, and nobody reads it on the way."""
    claims = {PAY: {"adult": True}, BY_LEDGER: {"name": "髙橋 花子"}}
    served = region()
    first = served.provider.verify_access_token(first_token(served), NOW)
    caller = replace(caller_of(first), told=claims)
    by_call = exchange.open_call(seal_call(caller, POLL, IDENTIFIERS), POLL, IDENTIFIERS)
    by_token = exchange.resealed(first, caller, IDENTIFIERS)
    for subject in (by_call, by_token):
        asked = served.provider.token_request(post(form(first_token(served))), NOW)
        assert isinstance(asked, ExchangeRequest)
        granted = served.provider.exchanged(asked, subject, caller, agreed(), NOW)
        assert isinstance(granted.answer, Document)
        answer = json.loads(granted.answer.body)
        token = access(served.provider, answer)
        assert token.scopes == {PAY}
        assert opened(token.told, token.scopes, IDENTIFIERS) == {PAY: {"adult": True}}
        assert "adult" not in json.dumps(dict(jose.peek_unsafe(answer["access_token"])))
