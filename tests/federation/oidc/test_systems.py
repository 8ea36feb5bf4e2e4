"""Client credentials: municipalities' own systems get tokens in their own name, by what the list says of them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from federation.callers import Binding, BindingKind, CallerKind
from federation.oidc import jose
from federation.oidc.oauth import OAuthError
from federation.oidc.parties import System
from federation.oidc.presented import thumbprint
from federation.refusal import TokenInvalid
from federation.web import WebRequest
from trust_lists.model import Role

from .peers import GATEWAY, NOW, SERVICE, Listed, Served, assertion, certificate, key, listed, post, provider

OFFICE = "https://office.example"
AT = int(NOW.timestamp())
SCOPES = frozenset({"survey.answer", "survey.ask"})
SYSTEM = System(id="office", client_id=OFFICE, name={}, scopes=SCOPES)


def trusting(**said: Any) -> Listed:
    """A trusted set in which Maebashi's office is a member of the council."""
    trust = listed()
    own = {"municipality": "102016", "signing_certificates": (certificate("office"), certificate("office", "RS256"))}
    trust.add(OFFICE, Role.COUNCIL_MEMBER, **own | said)
    return trust


def region(trust: Listed | None = None) -> Served:
    """A provider that knows the office."""
    return Served(provider(trust=trust or trusting(), municipal={OFFICE: SYSTEM}, certificates="https://mtls.example"))


def form(signer: jose.SigningKey | None = None, changes: dict[str, str | None] | None = None, **said: Any):
    """A good token request of the office; None leaves a field out, `said` changes the assertion."""
    fields = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(signer or key("office"), **{"iss": OFFICE, "sub": OFFICE} | said),
    } | (changes or {})
    return {name: value for name, value in fields.items() if value is not None}


def shown(by: bytes, **fields: str) -> WebRequest:
    """A token request whose client showed a certificate in the handshake."""
    return replace(post({"grant_type": "client_credentials", **fields}), certificate=by)


def answered(served: Served, web: WebRequest) -> dict[str, Any]:
    """The token answer."""
    found: dict[str, Any] = json.loads(served.token(web).body)
    return found


def refused(served: Served, web: WebRequest) -> tuple[str, str]:
    """Error code and detail."""
    with pytest.raises(OAuthError) as caught:
        served.token(web)
    return caught.value.code, caught.value.detail


def test_a_system_gets_a_token_in_its_own_name():
    """Its municipality is the list's; there is no person, no consent and no level in it (RFC 9068 §2.2)."""
    served = region()
    answer = answered(served, post(form(changes={"scope": "survey.ask"})))
    token = answer.pop("access_token")
    assert answer == {"token_type": "Bearer", "expires_in": 600, "scope": "survey.ask"}
    claims = jose.verify(token, key("gateway").public(), ["ES256"], ("at+jwt",))
    assert claims == {
        "iss": GATEWAY,
        "aud": GATEWAY + "/api",
        "sub": OFFICE,
        "client_id": OFFICE,
        "scope": "survey.ask",
        "municipality": "102016",
        "iat": AT,
        "exp": AT + 600,
        "jti": claims["jti"],
        "kakehashi_caller": "system",
    }
    access = served.provider.verify_access_token(token, NOW)
    assert (access.kind, access.municipality, access.binding) == (CallerKind.SYSTEM, "102016", None)


def test_without_a_scope_it_gets_all_of_its_own():
    """And the metadata say that the grant exists."""
    served = region()
    assert answered(served, post(form()))["scope"] == "survey.answer survey.ask"
    metadata = json.loads(served.provider.configuration().body)
    assert "client_credentials" in metadata["grant_types_supported"]
    assert metadata["mtls_endpoint_aliases"]["token_endpoint"] == "https://mtls.example/oidc/token"
    assert "self_signed_tls_client_auth" in metadata["token_endpoint_auth_methods_supported"]


def test_any_listed_key_proves_it():
    """By an assertion with the other key, for the alias too; or in the handshake, which binds the token."""
    assert answered(region(), post(form(key("office", "RS256"))))["token_type"] == "Bearer"
    assert answered(region(), post(form(aud="https://mtls.example/oidc/token")))["token_type"] == "Bearer"
    served = region()
    answer = answered(served, shown(certificate("office"), client_id=OFFICE))
    bound = served.provider.verify_access_token(answer["access_token"], NOW).binding
    assert bound == Binding(kind=BindingKind.CERTIFICATE, value=thumbprint(certificate("office")))


@pytest.mark.parametrize(
    ("web", "error"),
    [
        (post(form(key("other"))), ("invalid_client", "assertion:signature")),
        (post(form(iss=SERVICE)), ("invalid_client", "assertion:iss")),
        (post(form(sub=SERVICE)), ("invalid_client", "client:not-configured")),
        (post(form(aud="https://other.example")), ("invalid_client", "assertion:aud")),
        (post(form(exp=AT - 61)), ("invalid_client", "assertion:exp")),
        (post(form(changes={"client_id": SERVICE})), ("invalid_request", "")),
        (post(form(), authorization="Basic eDp5"), ("invalid_client", "party:secret")),
        (post(form(changes={"client_assertion": None})), ("invalid_client", "party:nothing")),
        (shown(certificate("other"), client_id=OFFICE), ("invalid_client", "party:certificate")),
        (shown(b"no certificate", client_id=OFFICE), ("invalid_client", "party:certificate")),
        (shown(certificate("office")), ("invalid_client", "party:nothing")),
        (shown(certificate("office"), client_id=SERVICE), ("invalid_client", "client:not-configured")),
        (post(form(changes={"scope": "survey.ask council.polls.vote"})), ("invalid_scope", "")),
        (post(form(changes={"scope": " "})), ("invalid_scope", "")),
        (post(form(changes={"resource": "https://other.example"})), ("invalid_target", "")),
    ],
)
def test_what_does_not_hold_gets_nothing(web, error):
    """Another's key, name or certificate, a scope beyond its own, another audience."""
    assert refused(region(), web) == error


def test_a_key_by_value_proves_it_as_well():
    """A listed JWK signs the assertion, with or without certificates beside it, and its certificate may be shown."""
    by_value = {"jwks": {"keys": [key("office").public_jwk()]}}
    for certificates in ((), (certificate("office", "RS256"),)):
        trust = trusting(signing_certificates=certificates, metadata=by_value)
        assert answered(region(trust), post(form()))["token_type"] == "Bearer"
        assert answered(region(trust), shown(certificate("office"), client_id=OFFICE))["token_type"] == "Bearer"
        assert refused(region(trust), post(form(key("other"))))[1] in ("assertion:unknown-key", "assertion:signature")
    for keys in ({"keys": "x"}, {"keys": [{}] * 33}):
        assert refused(region(trusting(metadata={"jwks": keys})), post(form()))[1] == "client:jwks"
    encrypting = {"keys": [{**key("office").public_jwk(), "use": "enc"}]}
    trust = trusting(signing_certificates=(), metadata={"jwks": encrypting})
    assert refused(region(trust), post(form()))[1].startswith("assertion:")


def test_a_key_that_is_named_counts_beside_any_number_of_certificates():
    """Certificates have no kid, so each may be meant; the key by value that an assertion names is tried before them."""
    named = key("office")
    others = tuple(certificate(f"former-{number}") for number in range(4))
    trust = trusting(signing_certificates=others, metadata={"jwks": {"keys": [named.public_jwk()]}})
    assert answered(region(trust), post(form(named)))["token_type"] == "Bearer"


def test_an_assertion_counts_once():
    """As a service's does."""
    served = region()
    answered(served, post(form()))
    assert refused(served, post(form()))[0] == "invalid_client"


def test_who_left_the_list_gets_nothing():
    """Nor a service that asks in a system's way, nor a member of which the list says no municipality."""
    assert refused(region(listed()), post(form())) == ("invalid_client", "client:unlisted")
    assert refused(region(trusting(municipality=None)), post(form())) == ("unauthorized_client", "municipality")
    assert refused(region(trusting(signing_certificates=(b"x",))), post(form())) == (
        "invalid_client",
        "client:certificates",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"municipality": None}, "claims"),
        ({"sub": "https://other.example"}, "caller"),
        ({"kakehashi_caller": "person"}, "claims"),
        ({"kakehashi_caller": None}, "claims"),
        ({"kakehashi_person": "sealed"}, "caller"),
        ({"act": {"sub": OFFICE}}, "caller"),
        ({"acr": "urn:kakehashi:assurance:identity-3"}, "acr"),
        ({"cnf": {}}, "cnf"),
        ({"cnf": {"jwk": {}}}, "cnf"),
        ({"cnf": {"jkt": "a", "x5t#S256": "b"}}, "cnf"),
        ({"cnf": "jkt"}, "cnf"),
    ],
)
def test_a_token_is_one_kind_or_the_other(changes, reason):
    """A token that mixes a system with a person, or is bound to what nobody knows, is believed of nobody."""
    served = region()
    good = dict(jose.peek_unsafe(answered(served, post(form()))["access_token"]))
    claims = {name: value for name, value in (good | changes).items() if value is not None}
    with pytest.raises(TokenInvalid) as caught:
        served.provider.verify_access_token(jose.sign(claims, key("gateway"), "at+jwt"), NOW)
    assert caught.value.detail == reason
