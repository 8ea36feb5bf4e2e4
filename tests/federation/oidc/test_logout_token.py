"""Back-channel logout: what a client is told, read by somebody else's library, and what its answer means."""

import json
import warnings
from urllib.parse import parse_qs

import pytest

from federation.oidc import grants, jose, logout_token
from federation.oidc.clients import UnknownClientError
from federation.sessions import Client
from federation.web import HttpRequest, HttpResponse
from tests.federation.oidc.peers import (
    GATEWAY,
    NOW,
    SERVICE,
    Listed,
    Served,
    authorize,
    exchange_form,
    granted_code,
    key,
    listed,
    post,
    provider,
    query,
    release,
)
from trust_lists.model import Role

with warnings.catch_warnings():  # here it is wanted just because it is another implementation
    from authlib.deprecate import AuthlibDeprecationWarning

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.jose import JsonWebKey, JsonWebToken

ADDRESS = "https://participation.example/backchannel"
AT = int(NOW.timestamp())
TOLD = Client(client_id=SERVICE, subject="pairwise-1", token="jti-1")


def notice(**registered: object) -> HttpRequest | None:
    """What goes out for a session of the service, with something more registered of it."""
    trust = listed()
    about = trust.entities[SERVICE, Role.OPENID_RELYING_PARTY]
    trust.add(SERVICE, Role.OPENID_RELYING_PARTY, {**about.metadata, **registered})
    return provider(trust=trust).logout_notice(TOLD, "session-1", NOW)


def read(request: HttpRequest | None, algorithm: str) -> tuple[dict, dict]:
    """Header and claims, as a relying party with another library verifies them."""
    assert request is not None
    ((name, [token]),) = parse_qs(request.body.decode()).items()
    assert name == "logout_token"
    keys = JsonWebKey.import_key_set(json.loads(provider().jwks().body))
    claims = JsonWebToken([algorithm]).decode(token, keys)
    return claims.header, dict(claims)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_logout_token_is_what_the_specification_wants(algorithm: str) -> None:
    """§2.4 claim by claim: typed, for one client, two minutes, the event, subject and session, and never a nonce."""
    sent = notice(backchannel_logout_uri=ADDRESS, id_token_signed_response_alg=algorithm)
    header, claims = read(sent, algorithm)
    assert (header["typ"], header["alg"]) == ("logout+jwt", algorithm)
    assert len(claims.pop("jti")) >= 20
    assert claims == {
        "iss": GATEWAY,
        "sub": "pairwise-1",
        "aud": SERVICE,
        "iat": AT,
        "exp": AT + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        "sid": "session-1",
    }


def test_a_logout_token_goes_by_post_to_the_registered_address() -> None:
    """§2.5: a form, and nothing of it in the address."""
    sent = notice(backchannel_logout_uri=ADDRESS)
    assert sent is not None
    assert (sent.method, sent.url) == ("POST", ADDRESS)
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_each_logout_token_is_another_one() -> None:
    """A client that keeps those it has seen never takes a second try for a replay of the first."""
    first, second = (read(notice(backchannel_logout_uri=ADDRESS), "RS256")[1]["jti"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("address", [None, "http://site.example/out", "https://site.example/#x", 7])
def test_who_registers_no_usable_address_is_not_told(address: object) -> None:
    """None at all, one without TLS, one that is no address."""
    assert notice(**({} if address is None else {"backchannel_logout_uri": address})) is None


def test_who_is_listed_no_more_is_not_told() -> None:
    """A client that left the lists is nobody to whom a person's reference could go."""
    with pytest.raises(UnknownClientError):
        provider(trust=Listed()).logout_notice(TOLD, "session-1", NOW)


def test_a_logout_token_is_nothing_else() -> None:
    """It is believed neither as an ID token nor as an access token (§2.6, RFC 8725 §3.11)."""
    sent = notice(backchannel_logout_uri=ADDRESS)
    assert sent is not None
    token = parse_qs(sent.body.decode())["logout_token"][0]
    with pytest.raises(jose.TokenRefusedError):
        jose.verify(token, key("gateway", "RS256").public(), ["RS256"], ("jwt",))


@pytest.mark.parametrize(
    ("status", "confirmed"), [(200, True), (204, True), (302, False), (400, False), (404, False), (500, False)]
)
def test_what_an_answer_means(status, confirmed) -> None:
    """§2.8: done, or anything else."""
    assert logout_token.confirmed(HttpResponse(status=status)) is confirmed


def test_an_id_token_names_its_session() -> None:
    """`sid`, by which the client finds the session that a logout token means."""
    served = Served(provider())
    answer = json.loads(served.token(post(exchange_form(granted_code(served, session="session-1")))).body)
    claims = jose.verify(answer["id_token"], key("gateway", "RS256").public(), ["RS256"], ("jwt",))
    assert claims["sid"] == "session-1"


def test_a_session_that_ended_yields_no_tokens() -> None:
    """Its end leaves a mark where the tokens' own entry would be, and no code that is used later takes its place."""
    login = provider().accept(authorize(), NOW)
    granted = provider().grant(login, release(login), NOW)
    assert granted.client is not None
    assert (granted.client.client_id, granted.client.subject) == (SERVICE, "pairwise-1")
    code = query(granted.answer.location)["code"]
    mark = grants.revoked(granted.client.token)
    assert (mark.kind, mark.key) == (grants.USERINFO, grants.token_id(code))
    assert mark.lifetime >= grants.CODE_LIFETIME + grants.ACCESS_LIFETIME + jose.LEEWAY
