"""What a trust list leaves of what a provider announces: real keys and tokens, the list's word against discovery's."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.model import Departure, Identity
from federation.oidc import jose
from federation.oidc.bound import Ways, bound, left
from federation.oidc.connector import OidcClientSettings, OidcConnector
from federation.oidc.discovery import ProviderMetadata
from federation.refusal import IdSystemAnswerRefused, IdSystemNotTrusted
from tests.federation.oidc.peers import (
    CALLBACK,
    ISSUER,
    NOW,
    SECRET,
    STRONG,
    SYSTEM,
    WEAK,
    Listed,
    Peer,
    arrival,
    drive,
    key,
    listed,
    query,
)
from trust_lists.model import Role

DEPARTURE = Departure(handle="handle-1", force_authentication=False, languages=())
BY_KEY = OidcClientSettings(client_id="kakehashi", authentication="private_key_jwt", scopes=("openid", "name"))
BY_SECRET = OidcClientSettings(client_id="kakehashi", authentication="client_secret_basic", client_secret=SECRET)


def connector(settings: OidcClientSettings = BY_KEY, trust: Listed | None = None) -> OidcConnector:
    """A connector to `ISSUER`."""
    return OidcConnector(
        system=SYSTEM,
        trust=trust or listed(),
        client=settings,
        redirect_uri=CALLBACK,
        signing_key=key("gateway-client"),
    )


def sign_in(peer: Peer, conn: OidcConnector | None = None) -> Identity:
    """Go there and come back with a code."""
    conn = conn or connector()
    departed = drive(conn.depart(DEPARTURE, NOW), peer)
    peer.nonce = departed.memory["nonce"]
    identity = drive(conn.arrive(arrival(code="code-1", state=DEPARTURE.handle), departed.memory, NOW), peer)
    assert isinstance(identity, Identity)
    return identity


def refusal(peer: Peer, *, conn: OidcConnector) -> str:
    """The detail of the refusal that a sign-in ends in."""
    with pytest.raises(IdSystemAnswerRefused) as caught:
        sign_in(peer, conn)
    return caught.value.detail


def leaving(**permitted: tuple[str, ...]) -> Listed:
    """A list that leaves the provider just this."""
    found = listed()
    place = (ISSUER, Role.OPENID_PROVIDER)
    found.entities[place] = replace(found.entities[place], permitted=permitted)
    return found


@pytest.fixture
def peer() -> Peer:
    """A provider of others that does everything right."""
    return Peer(key=key("peer"), userinfo={"sub": "resident-1"})


def test_what_the_list_states_and_discovery_too_is_no_matter(peer: Peer) -> None:
    """A list that says the same as the provider changes nothing."""
    trust = leaving(
        authorization_endpoint=(ISSUER + "/authorize?tenant=1",),
        token_endpoint=(ISSUER + "/token",),
        userinfo_endpoint=(ISSUER + "/userinfo",),
        jwks_uri=(ISSUER + "/keys",),
        response_types_supported=("code", "id_token"),
        token_endpoint_auth_methods_supported=("private_key_jwt",),
        token_endpoint_auth_signing_alg_values_supported=("ES256",),
        id_token_signing_alg_values_supported=("ES256",),
    )
    peer.configuration = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"]}
    assert sign_in(peer, connector(trust=trust)) == sign_in(peer)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"])
def test_another_address_than_the_list_states(peer: Peer, name: str) -> None:
    """Whoever took over the discovery document leads nobody away."""
    trust = leaving(**{name: ("https://id.example/elsewhere",)})
    assert refusal(peer, conn=connector(trust=trust)) == f"discovery:{name}-not-listed"
    assert [path for path in peer.asked if path != "/.well-known/openid-configuration"] == []


def test_an_address_that_the_list_alone_states_is_used() -> None:
    """Discovery may leave out what the federation knows."""
    peer = Peer(key=key("peer"), configuration={"jwks_uri": None})
    sign_in(peer, connector(trust=leaving(jwks_uri=(ISSUER + "/keys",))))
    assert "/keys" in peer.asked


def test_an_algorithm_that_the_list_left_out(peer: Peer) -> None:
    """The provider announces and signs with it; the federation narrowed it away."""
    trust = leaving(id_token_signing_alg_values_supported=("RS256",))
    assert refusal(peer, conn=connector(trust=trust)) == "id-token:algorithm"
    peer.configuration = {"id_token_signing_alg_values_supported": ["ES256"]}
    conn = connector(trust=trust)
    assert refusal(peer, conn=conn) == "discovery:id_token_signing_alg_values_supported-not-listed"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("token_endpoint_auth_methods_supported", ("client_secret_basic",)),
        ("token_endpoint_auth_signing_alg_values_supported", ("RS256",)),
        ("response_types_supported", ("id_token",)),
        ("response_modes_supported", ("form_post",)),
        ("grant_types_supported", ("implicit",)),
        ("code_challenge_methods_supported", ("plain",)),
        ("scopes_supported", ("profile",)),
        ("scopes_supported", ()),
    ],
)
def test_a_way_that_the_list_does_not_permit(peer: Peer, name: str, values: tuple[str, ...]) -> None:
    """The gateway does not go it, and nobody is sent there."""
    with pytest.raises(IdSystemNotTrusted) as refused:
        drive(connector(trust=leaving(**{name: values})).depart(DEPARTURE, NOW), peer)
    assert refused.value.detail == f"not-permitted:{name}"


def test_a_secret_where_only_keys_are_permitted(peer: Peer) -> None:
    """How the operator registered the gateway does not count against the federation; no key's algorithm is asked."""
    trust = leaving(
        token_endpoint_auth_methods_supported=("private_key_jwt",),
        token_endpoint_auth_signing_alg_values_supported=("RS256",),
    )
    with pytest.raises(IdSystemNotTrusted) as refused:
        drive(connector(BY_SECRET, trust).depart(DEPARTURE, NOW), peer)
    assert refused.value.detail == "not-permitted:token_endpoint_auth_methods_supported"


def test_a_provider_that_supports_nothing_that_is_left(peer: Peer) -> None:
    """Discovery contradicts the narrowing."""
    peer.configuration = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    trust = leaving(token_endpoint_auth_methods_supported=("private_key_jwt",))
    assert refusal(peer, conn=connector(trust=trust)) == "discovery:token_endpoint_auth_methods_supported-not-listed"


def test_only_permitted_scopes_and_levels_are_asked_for(peer: Peer) -> None:
    """And a level that the provider may not state counts for nothing."""
    trust = leaving(scopes_supported=("openid",), acr_values_supported=(WEAK,))
    departure: Departure = replace(DEPARTURE, words=(WEAK, STRONG))
    asked = query(drive(connector(trust=trust).depart(departure, NOW), peer).answer.location)
    assert asked["scope"] == "openid"
    assert asked["acr_values"] == WEAK
    peer.claims = {"acr": STRONG, "amr": ["pin"]}
    assert sign_in(peer, connector(trust=trust)).statements == ()
    assert sign_in(peer).statements == (STRONG,)
    assert STRONG in SYSTEM.statements


def test_signed_userinfo_keeps_to_the_list(peer: Peer) -> None:
    """With its own limit, or else that of the ID token."""
    claims = {"iss": ISSUER, "aud": "kakehashi", "sub": "resident-1"}
    peer.userinfo, peer.userinfo_type = jose.sign(claims, peer.key).encode(), "application/jwt"
    assert sign_in(peer).subject == "resident-1"
    trust = leaving(userinfo_signing_alg_values_supported=("RS256",))
    assert refusal(peer, conn=connector(trust=trust)) == "userinfo:algorithm"


def test_a_provider_that_must_name_itself(peer: Peer) -> None:
    """The list says that it does (RFC 9207 §3), so an answer without its name is nobody's."""
    trust = leaving(authorization_response_iss_parameter_supported=("true",))
    assert refusal(peer, conn=connector(trust=trust)) == "answer:iss"


def test_the_list_of_today_counts(peer: Peer) -> None:
    """What is narrowed between the way there and the way back holds on the way back."""
    trust = listed()
    conn = connector(BY_KEY, trust)
    departed = drive(conn.depart(DEPARTURE, NOW), peer)
    trust.entities = leaving(token_endpoint=("https://id.example/other",)).entities
    with pytest.raises(IdSystemAnswerRefused, match="token_endpoint-not-listed"):
        drive(conn.arrive(arrival(code="code-1", state=departed.memory["state"]), departed.memory, NOW), peer)


_METADATA = ProviderMetadata(
    issuer=ISSUER,
    authorization_endpoint=ISSUER + "/a",
    token_endpoint=ISSUER + "/t",
    jwks_uri=None,
    userinfo_endpoint=None,
    names_itself=False,
    reads_claims=False,
    algorithms=("ES256", "RS256"),
    userinfo_algorithms=("ES256",),
)
_NAMES = st.sampled_from(
    ["id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported", "response_types_supported"]
)
_VALUES = st.lists(st.sampled_from(["ES256", "RS256", "code", "none"]), unique=True).map(tuple)


@given(st.dictionaries(_NAMES, _VALUES))
def test_a_list_never_widens(permitted: dict[str, Any]) -> None:
    """Whatever it states: what is left was announced, and is permitted."""
    try:
        found = bound(_METADATA, permitted, Ways(authentication="client_secret_basic"))
    except (IdSystemAnswerRefused, IdSystemNotTrusted):
        return
    assert set(found.algorithms) <= set(_METADATA.algorithms)
    assert set(found.userinfo_algorithms) <= set(_METADATA.userinfo_algorithms)
    name = "id_token_signing_alg_values_supported"
    assert left(name, found.algorithms, permitted) == found.algorithms
    assert bound(found, permitted, Ways(authentication="client_secret_basic")) == found
