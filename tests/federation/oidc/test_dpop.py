"""Proofs of possession (RFC 9449): what holds, what does not, and what a token is that is given on one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from federation.callers import Binding, BindingKind
from federation.oidc import dpop, jose
from federation.oidc.dpop import Replays, ath, check, normalised
from federation.oidc.jose import base64url
from federation.oidc.oauth import OAuthError
from federation.oidc.presented import Presented, Scheme, check_binding
from federation.ports import Denied
from federation.refusal import ProofInvalid, TokenBound

from .peers import GATEWAY, NOW, Served, authorize, exchange_form, granted_code, key, post, provider, query

AT = int(NOW.timestamp())
URL = "https://gateway.example/api/polls/17"
TOKEN = "a.b.c"


def made(
    signer: jose.SigningKey | None = None,
    *,
    header: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """A proof for a GET of `URL` with `TOKEN`; None leaves a claim or a header parameter out."""
    by = signer or key("phone")
    head = {"typ": "dpop+jwt", "alg": by.algorithm, "jwk": by.key.as_dict(private=False)} | (header or {})
    claims = {"jti": "1", "htm": "GET", "htu": URL, "iat": AT, "ath": ath(TOKEN)} | changes
    given = {name: value for name, value in claims.items() if value is not None}
    head = {name: value for name, value in head.items() if value is not None}
    return jws.serialize_compact(head, json.dumps(given).encode(), by.key, algorithms=["ES256", "RS256", "PS256"])


def checked(*proofs: str, **changes: Any) -> dpop.Proof:
    """The proof of a GET of `URL` with `TOKEN` by the phone's key."""
    asked: dict[str, Any] = {"method": "GET", "url": URL, "now": NOW, "access_token": TOKEN}
    return check(proofs, **asked | {"jkt": key("phone").kid} | changes)


def reason(*proofs: str, **changes: Any) -> str:
    """Why it does not hold."""
    with pytest.raises(ProofInvalid) as caught:
        checked(*proofs, **changes)
    return caught.value.detail


def test_a_proof_names_its_key_and_what_is_claimed():
    """By the thumbprint of RFC 7638, with an EC or an RSA key; what is kept of it is a digest."""
    proof = checked(made())
    assert proof.jkt == key("phone").kid
    assert proof.binding == Binding(kind=BindingKind.KEY, value=key("phone").kid)
    assert (proof.claim.kind, proof.claim.lifetime.total_seconds()) == ("dpop-proof", 120)
    assert proof.claim.key != "1"
    strong = key("phone", "RS256")
    assert checked(made(strong), jkt=strong.kid).jkt == strong.kid


def weak() -> str:
    """A proof by an RSA key that is too small to be believed."""
    small = {"kty": "RSA", "n": base64url((2**1023 + 1).to_bytes(128, "big")), "e": "AQAB"}
    return made(header={"alg": "ES256", "jwk": small})


def unsigned() -> str:
    """A proof that nobody signed."""
    parts = made().split(".")
    header = base64url(json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": public()}).encode())
    return f"{header}.{parts[1]}."


def by_secret() -> str:
    """A proof by a symmetric key, which it gives away."""
    secret = OctKey.import_key(b"s" * 32)
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": secret.as_dict()}
    return jws.serialize_compact(header, b"{}", secret, algorithms=["HS256"])


def public() -> dict[str, Any]:
    """The phone's public key."""
    return dict(key("phone").key.as_dict(private=False))


def other_curve() -> str:
    """A proof by a key that signs no token here."""
    large = ECKey.generate_key("P-384")
    header = {"typ": "dpop+jwt", "alg": "ES384", "jwk": large.as_dict(private=False)}
    return jws.serialize_compact(header, b"{}", large, algorithms=["ES384"])


HOSTILE: list[tuple[str, Callable[[], str]]] = [
    ("htm", lambda: made(htm="POST")),
    ("htm", lambda: made(htm="get")),
    ("htm", lambda: made(htm=None)),
    ("htu", lambda: made(htu="https://gateway.example/api/polls/18")),
    ("htu", lambda: made(htu="https://other.example/api/polls/17")),
    ("htu", lambda: made(htu="http://gateway.example/api/polls/17")),
    ("htu", lambda: made(htu="https://gateway.example:8443/api/polls/17")),
    ("htu", lambda: made(htu="/api/polls/17")),
    ("htu", lambda: made(htu=["https://gateway.example/api/polls/17"])),
    ("htu", lambda: made(htu=None)),
    ("iat", lambda: made(iat=AT - 61)),
    ("iat", lambda: made(iat=AT + 61)),
    ("iat", lambda: made(iat=None)),
    ("iat", lambda: made(iat="now")),
    ("iat", lambda: made(iat=True)),
    ("ath", lambda: made(ath=None)),
    ("ath", lambda: made(ath=ath("another"))),
    ("jti", lambda: made(jti=None)),
    ("jti", lambda: made(jti="")),
    ("jti", lambda: made(jti="x" * 257)),
    ("jti", lambda: made(jti=17)),
    ("type", lambda: made(header={"typ": "JWT"})),
    ("type", lambda: made(header={"typ": None})),
    ("jwk", lambda: made(header={"jwk": None})),
    ("jwk", lambda: made(header={"jwk": dict(key("phone").key.as_dict(private=True))})),
    ("jwk", lambda: made(header={"jwk": {**public(), "crv": "P-521"}})),
    ("jwk", lambda: made(header={"jwk": {**public(), "x": 1}})),
    ("jwk", lambda: made(header={"jwk": {**public(), "x": public()["y"]}})),
    ("jwk", by_secret),
    ("jwk", weak),
    ("jwk", other_curve),
    ("algorithm", unsigned),
    ("signature", lambda: made(header={"jwk": dict(key("other").key.as_dict(private=False))})),
    ("signature", lambda: made()[:-4] + "AAAA"),
    ("other-key", lambda: made(key("other"))),
    ("malformed", lambda: "x"),
    ("malformed", lambda: ""),
    ("malformed", lambda: f"{made()}, {made()}"),
    ("too-large", lambda: "x" * 5000),
]


@pytest.mark.parametrize(("why", "build"), HOSTILE, ids=[f"{n}-{why}" for n, (why, _) in enumerate(HOSTILE)])
def test_hostile_proofs_are_refused(why, build):
    """Another request, time, token or key; keys that are private, weak or shared; no signature."""
    assert reason(build()) == why


def test_one_proof_comes_with_a_request():
    """Not none, and not two (§4.3 (1))."""
    assert reason() == "none"
    assert reason(made(), made(jti="2")) == "several"


@given(st.text(max_size=60))
def test_no_text_breaks_reading_a_proof(text):
    """Whatever comes in the header is refused in one way."""
    with pytest.raises(ProofInvalid):
        checked(text)


@pytest.mark.parametrize(
    "spelt",
    [
        URL,
        URL + "?page=2#top",
        "HTTPS://Gateway.Example:443/api/polls/17",
        "https://gateway.example/%61pi/polls/1%37",
    ],
)
def test_one_address_in_several_spellings(spelt):
    """RFC 3986 §6.2.2 and §6.2.3; query and fragment do not count (§4.3 (9))."""
    assert checked(made(htu=spelt)).jkt
    assert normalised(spelt) == URL


def test_what_means_another_address_stays_another():
    """An escaped slash is no slash, a path's letters have a case, and an address without a path has the shortest."""
    assert normalised("https://a.example/x%2fy") == "https://a.example/x%2Fy"
    assert normalised("https://a.example/X") != normalised("https://a.example/x")
    assert normalised("https://a.example") == "https://a.example/"
    assert normalised("https://[2001:db8::1]:443/") == "https://[2001:db8::1]/"
    for odd in ("", "//a.example/", "https:///x", "https://u@a.example/", "https://a.example:x/", "ftp://a.example/"):
        assert normalised(odd) is None


@given(st.lists(st.integers(0, 8), max_size=40))
def test_a_proof_counts_once(numbers):
    """Whatever came in between: the first time of each, and no other."""
    seen, replays = set(), Replays()
    for number in numbers:
        proof = checked(made(jti=str(number))) if number not in PROOFS else PROOFS[number]
        PROOFS[number] = proof
        try:
            replays.claim(proof, NOW)
        except ProofInvalid:
            assert number in seen
        else:
            assert number not in seen
        seen.add(number)


PROOFS: dict[int, dpop.Proof] = {}


def test_the_memory_of_proofs_is_bounded():
    """What is older than a proof can be is forgotten; of very many the newest are remembered."""
    first, second, third = (checked(made(jti=f"bounded-{n}")) for n in range(3))
    replays = Replays(most=1)
    replays.claim(first, NOW)
    replays.claim(second, NOW)
    with pytest.raises(ProofInvalid):
        replays.claim(first, NOW)
    replays.claim(third, NOW)
    replays.claim(first, NOW)


def bound(scheme: Scheme, binding: Binding | None, *, proofs: tuple[str, ...] = (), certificate: str | None = None):
    """Ask whether a token may be used so."""
    check_binding(
        Presented(scheme, TOKEN),
        binding,
        proofs=proofs,
        certificate=certificate,
        method="GET",
        url=URL,
        now=NOW,
        replays=Replays(),
    )


def test_a_bound_token_is_worth_nothing_alone():
    """By Bearer, with another certificate, with none; and DPoP is for tokens that are bound to a key."""
    by_key = Binding(kind=BindingKind.KEY, value=key("phone").kid)
    by_certificate = Binding(kind=BindingKind.CERTIFICATE, value="t" * 43)
    bound(Scheme.BEARER, None)
    bound(Scheme.DPOP, by_key, proofs=(made(),))
    bound(Scheme.BEARER, by_certificate, certificate="t" * 43)
    for scheme, binding, shown in (
        (Scheme.BEARER, by_key, None),
        (Scheme.BEARER, by_certificate, None),
        (Scheme.BEARER, by_certificate, "u" * 43),
        (Scheme.DPOP, by_certificate, "t" * 43),
    ):
        with pytest.raises(TokenBound):
            bound(scheme, binding, proofs=(made(),), certificate=shown)
    with pytest.raises(ProofInvalid):
        bound(Scheme.DPOP, None, proofs=(made(),))


# --- at the token endpoint


def for_token(signer: jose.SigningKey | None = None, **changes: Any) -> str:
    """A proof for a token request."""
    return made(signer, **{"htm": "POST", "htu": GATEWAY + "/oidc/token", "ath": None} | changes)


def test_a_code_brings_a_bound_token():
    """The token names the key (`cnf`), and says how it is to be used."""
    served = Served(provider())
    web = post(exchange_form(granted_code(served)), dpop=for_token())
    answer = json.loads(served.token(web).body)
    assert answer["token_type"] == "DPoP"
    assert jose.peek_unsafe(answer["access_token"])["cnf"] == {"jkt": key("phone").kid}
    access = served.provider.verify_access_token(answer["access_token"], NOW)
    assert access.binding == Binding(kind=BindingKind.KEY, value=key("phone").kid)
    assert json.loads(served.provider.configuration().body)["dpop_signing_alg_values_supported"] == [
        "ES256",
        "PS256",
        "RS256",
    ]


@pytest.mark.parametrize(
    "proof", [for_token(htu=GATEWAY), for_token(htm="GET"), for_token(iat=AT - 90), "x"], ids=range(4)
)
def test_a_token_request_with_a_bad_proof_gets_nothing(proof):
    """In the protocol's words (RFC 9449 §5), and the code is not spent on it."""
    served = Served(provider())
    code = granted_code(served)
    with pytest.raises(OAuthError) as caught:
        served.token(post(exchange_form(code), dpop=proof))
    assert caught.value.code == "invalid_dpop_proof"
    assert served.token(post(exchange_form(code))).status == 200


def test_a_code_may_be_bound_to_its_key_before():
    """`dpop_jkt`: whoever steals the code, and even the client's key, has no use for it (RFC 9449 §10)."""
    served = Served(provider())
    asked = authorize(dpop_jkt=key("phone").kid)
    for headers in ({}, {"dpop": for_token(key("other"))}):
        with pytest.raises(OAuthError, match="invalid_grant"):
            served.token(post(exchange_form(granted_code(served, asked)), **headers))
        served.store.rows.clear()
    web = post(exchange_form(granted_code(served, asked)), dpop=for_token(jti="2"))
    assert json.loads(served.token(web).body)["token_type"] == "DPoP"
    with pytest.raises(Denied) as caught:
        served.provider.accept(authorize(dpop_jkt="short"), NOW)
    assert query(caught.value.answer.location)["error"] == "invalid_request"  # type: ignore[union-attr]
