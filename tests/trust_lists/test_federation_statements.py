"""Entity statements: who is believed, and each rule of OpenID Federation 1.0 §3 with what breaks it."""

import base64
import importlib
import json
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import ANCHOR, CITY, PROVIDER, der, jwks, seconds, sign, signer
from trust_lists.federation_statements import (
    RULES,
    Statement,
    check_times,
    configuration_url,
    read,
    read_anchor,
    read_configuration,
)
from trust_lists.federation_tokens import MAXIMUM_BYTES, StatementRefusedError, pinned_key, read_keys
from trust_lists.times import LEEWAY

DAY = timedelta(days=1)
KEYS = read_keys(jwks(CITY))


def claims(subject=PROVIDER, **changed):
    """What a city says of its provider, or of itself; None takes a claim out."""
    stated = {"iss": CITY, "sub": subject, "iat": seconds(), "exp": seconds(DAY), "jwks": jwks(subject), **changed}
    return {name: value for name, value in stated.items() if value is not None}


def refusal(token, reader=read, keys=KEYS):
    """Tell the code with which a statement is refused."""
    with pytest.raises(StatementRefusedError) as refused:
        reader(token, keys)
    return refused.value.code


def by_city(content, **header):
    """Sign as the city."""
    return sign(content, signer(CITY), **header)


def test_a_statement_is_read():
    """Every claim arrives as the statement has it."""
    token = by_city(
        claims(
            metadata={"openid_provider": {"contacts": ["a@city.example"]}},
            metadata_policy={"openid_provider": {"contacts": {"essential": True}}},
            constraints={"max_path_length": 0},
            source_endpoint="https://city.example/fetch",
            jti="passed over",
        )
    )
    found = read(token, KEYS)
    assert isinstance(found, Statement)
    assert (found.issuer, found.subject, found.is_configuration) == (CITY, PROVIDER, False)
    assert (found.issued_at, found.expires_at) == (NOW, NOW + DAY)
    assert (found.metadata, found.policy) == (
        {"openid_provider": {"contacts": ["a@city.example"]}},
        {"openid_provider": {"contacts": {"essential": True}}},
    )
    assert found.constraints.max_path_length == 0
    assert list(found.keys) == [signer(PROVIDER).kid]
    assert found.token == token


def test_a_foreign_library_verifies_what_we_sign():
    """Authlib verifies the same bytes and reads the same claims."""
    with warnings.catch_warnings(record=True):  # Authlib announces the end of its own JOSE, the foreign one here
        jose = importlib.import_module("authlib.jose")
    public = serialization.load_der_public_key(der(CITY)).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    verified = jose.JsonWebSignature(["ES256"]).deserialize_compact(by_city(claims()), public)
    assert (verified["header"]["typ"], json.loads(verified["payload"])) == ("entity-statement+jwt", claims())


# --- the signature


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"typ": None}, "type"),
        ({"typ": "JWT"}, "type"),
        ({"typ": "application/entity-statement+jwt"}, "type"),
        ({"typ": "resolve-response+jwt"}, "type"),
        ({"kid": None}, "unknown-key"),
        ({"kid": ""}, "unknown-key"),
        ({"kid": "other"}, "unknown-key"),
        ({"kid": ["x"]}, "unknown-key"),
        ({"alg": "HS256"}, "algorithm"),
        ({"crit": ["exp"], "exp": 1}, "critical-header"),
        ({"b64": True}, "critical-header"),
    ],
)
def test_headers(header, code):
    """§3, §3.2 steps 2, 3 and 11: type, algorithm and key ID are what they must be."""
    odd = not {"crit", "kid"}.isdisjoint(header)  # joserfc itself would not sign such a header
    token = by_city(claims(), **({} if odd else header))
    if odd:
        head = {"alg": "ES256", "kid": signer(CITY).kid, "typ": "entity-statement+jwt", **header}
        encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
        token = ".".join([encoded, *token.split(".")[1:]])
    assert refusal(token) == code


def test_what_is_not_signed():
    """`alg: none`, with and without a signature, and a missing signature are unsigned."""
    head, body, signature = by_city(claims()).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"entity-statement+jwt","kid":"x"}').rstrip(b"=").decode()
    for token in (f"{head}.{body}.", f"{none}.{body}.", f"{none}.{body}.{signature}"):
        assert refusal(token) == "unsigned"


def test_embedded_keys_are_not_looked_at():
    """A key in the header (RFC 7515 §4.1.3) believes nobody."""
    stranger = signer("stranger")
    token = sign(claims(), stranger, kid=signer(CITY).kid, jwk=stranger.public_jwk())
    assert refusal(token) == "signature"


def test_a_key_signs_by_its_own_algorithm_only():
    """A P-384 key's ES384 is believed, another algorithm under its key ID is not; RSA may sign RS256 and PS256."""
    big, rsa = signer("big", "P-384"), signer("rsa", "RSA")
    keys = read_keys({"keys": [big.public_jwk(), {**rsa.public_jwk(), "alg": "PS256"}]})
    assert read(sign(claims(), big), keys)
    assert refusal(sign(claims(), signer(CITY), kid=big.kid), keys=keys) == "unknown-key"
    assert read(sign(claims(), rsa, alg="PS256"), keys)
    assert refusal(sign(claims(), rsa, alg="RS256"), keys=keys) == "unknown-key"


def test_any_altered_octet_is_refused():
    """No octet can be changed, not even the unused bits of the last base64url character."""
    token = by_city(claims())  # signed once: what is drawn below depends on it

    @settings(max_examples=60)
    @given(st.integers(0, len(token) - 1), st.sampled_from("ABCxyz019-_.= \n{"))
    def altered(position, character):
        assume(character != token[position])
        assert refusal(token[:position] + character + token[position + 1 :])

    altered()


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "a.b.c", "{}", "\x00", " e30.e30.e30", "e30.e30.e30\n"])
def test_garbage(token):
    """What is no compact JWS is refused."""
    assert refusal(token) in {"format", "algorithm"}


def test_too_large():
    """A statement beyond the bound is refused before anything looks at it."""
    assert refusal("a" * (MAXIMUM_BYTES + 1)) == "too-large"


@pytest.mark.parametrize(
    "content",
    [b"x", b"[]", b"\xff", b'{"iss":1,"iss":2}', b'{"iat":NaN}', b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a":"\\ud800"}'],
)
def test_content_that_could_be_read_in_two_ways(content):
    """Even signed: duplicate names, deep nesting, odd numbers are refused."""
    assert refusal(by_city(content)) == "format"


# --- the claims


def mark(kind="https://marks.example/good", **changed):
    """A trust mark, as an entity shows it."""
    content = {"iss": ANCHOR, "sub": CITY, "iat": seconds(), "trust_mark_type": kind}
    return {"trust_mark_type": kind, "trust_mark": sign(content, signer(ANCHOR), typ="trust-mark+jwt"), **changed}


BROKEN = [
    ("missing-claim", {"iat": None}),
    ("missing-claim", {"exp": None}),
    ("missing-claim", {"jwks": None}),
    ("missing-claim", {"sub": None, "jwks": jwks(PROVIDER)}),
    ("missing-claim", {"iss": None}),
    ("issuer", {"iss": "city.example"}),
    ("issuer", {"iss": "https://city.example?x"}),
    ("issuer", {"iss": "https://city.example#x"}),
    ("issuer", {"iss": "http://city.example"}),
    ("issuer", {"iss": 7}),
    ("issuer", {"iss": "https://city.example/" + "x" * 2100}),
    ("subject", {"sub": "ftp://op.example", "jwks": jwks(PROVIDER)}),
    ("subject", {"sub": "https://user@op.example", "jwks": jwks(PROVIDER)}),
    ("instant", {"iat": "1"}),
    ("instant", {"iat": True}),
    ("instant", {"exp": -1}),
    ("instant", {"exp": 1e300}),
    ("instant", {"exp": seconds()}),
    ("keys", {"jwks": {}}),
    ("keys", {"jwks": {"keys": []}}),
    ("keys", {"jwks": {"keys": [{"kty": "oct", "k": "eA", "kid": "x"}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "kid": ""}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "kid": None}]}}),
    ("keys", {"jwks": {"keys": [signer(PROVIDER).public_jwk()] * 2}}),
    ("keys", {"jwks": {"keys": [signer(PROVIDER).key.as_dict(private=True) | {"kid": "x"}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "x": "AAAA"}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "x": 1}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "use": "enc"}]}}),
    ("keys", {"jwks": {"keys": [{**signer(PROVIDER).public_jwk(), "crv": "P-521"}]}}),
    ("keys", {"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "x"}]}}),
    ("keys", {"jwks": {"keys": [{"kid": str(number)} for number in range(33)]}}),
    ("critical-claim", {"crit": ["jti"], "jti": "x"}),
    ("critical-claim", {"crit": ["metadata"]}),
    ("critical-claim", {"crit": []}),
    ("metadata", {"metadata": []}),
    ("metadata", {"metadata": {"openid_provider": []}}),
    ("metadata", {"metadata": {"openid_provider": {"contacts": None}}}),
    ("policy", {"metadata_policy": []}),
    ("policy", {"metadata_policy": {"openid_provider": {"p": {"add": ["a"], "one_of": ["a"]}}}}),
    ("critical-operator", {"metadata_policy_crit": ["regexp"]}),
    ("critical-operator", {"metadata_policy_crit": ["value"]}),
    ("critical-operator", {"metadata_policy_crit": []}),
    ("constraints", {"constraints": []}),
    ("constraints", {"constraints": {"max_path_length": -1}}),
    ("constraints", {"constraints": {"max_path_length": True}}),
    ("constraints", {"constraints": {"max_path_length": None}}),
    ("constraints", {"constraints": {"naming_constraints": []}}),
    ("constraints", {"constraints": {"naming_constraints": {"permitted": "x"}}}),
    ("constraints", {"constraints": {"naming_constraints": {"excluded": ["https://x.example"]}}}),
    ("constraints", {"constraints": {"naming_constraints": {"excluded": [""]}}}),
    ("constraints", {"constraints": {"naming_constraints": {"excluded": ["*.example"]}}}),
    ("constraints", {"constraints": {"allowed_entity_types": ["federation_entity"]}}),
    ("constraints", {"constraints": {"allowed_entity_types": None}}),
    ("source-endpoint", {"source_endpoint": "fetch"}),
    ("audience", {"aud": PROVIDER}),
    ("trust-anchor", {"trust_anchor": ANCHOR}),
    # what only an entity may say of itself
    ("authority-hints", {"authority_hints": [ANCHOR]}),
    ("trust-anchor-hints", {"trust_anchor_hints": [ANCHOR]}),
    ("trust-marks", {"trust_marks": []}),
    ("trust-mark-issuers", {"trust_mark_issuers": {}}),
    ("trust-mark-owners", {"trust_mark_owners": {}}),
]

BROKEN_OF_ITSELF = [
    ("authority-hints", {"authority_hints": []}),
    ("authority-hints", {"authority_hints": ANCHOR}),
    ("authority-hints", {"authority_hints": [ANCHOR, ANCHOR]}),
    ("authority-hints", {"authority_hints": ["anchor"]}),
    ("authority-hints", {"authority_hints": [[ANCHOR]]}),
    ("authority-hints", {"authority_hints": [f"https://{number}.example" for number in range(33)]}),
    ("trust-anchor-hints", {"trust_anchor_hints": []}),
    ("trust-marks", {"trust_marks": [1]}),
    ("trust-marks", {"trust_marks": [{"trust_mark_type": "x"}]}),
    ("trust-marks", {"trust_marks": [mark(trust_mark_type="https://marks.example/better")]}),
    ("trust-marks", {"trust_marks": [mark(trust_mark=by_city(claims()))]}),
    ("trust-marks", {"trust_marks": [mark()] * 65}),
    ("trust-mark-issuers", {"trust_mark_issuers": {"x": ANCHOR}}),
    ("trust-mark-issuers", {"trust_mark_issuers": []}),
    ("trust-mark-owners", {"trust_mark_owners": {"x": {"sub": ANCHOR}}}),
    ("trust-mark-owners", {"trust_mark_owners": {"x": {"jwks": jwks(ANCHOR)}}}),
    # what only a superior may say: a leaf that claims policy, say
    ("policy", {"metadata_policy": {"openid_provider": {"contacts": {"value": ["x"]}}}}),
    ("critical-operator", {"metadata_policy_crit": ["regexp"]}),
    ("constraints", {"constraints": {}}),
    ("source-endpoint", {"source_endpoint": "https://city.example/fetch"}),
]


@pytest.mark.parametrize(("code", "changed"), BROKEN)
def test_claims_of_a_superior(code, changed):
    """§3.1.1, §3.1.3, §3.2: what a subordinate statement must not hold, lack or misspell."""
    assert refusal(by_city(claims(**changed))) == code


@pytest.mark.parametrize(("code", "changed"), BROKEN_OF_ITSELF)
def test_claims_of_the_entity_itself(code, changed):
    """§3.1.2, §3.2: what an entity configuration must not hold or misspell."""
    assert refusal(by_city(claims(CITY, **changed))) == code


def test_every_rule_has_a_test():
    """No row of the table is without something that breaks it."""
    assert {rule.code for rule in RULES} <= {code for code, _ in (*BROKEN, *BROKEN_OF_ITSELF)}


def test_good_marks_hints_issuers_and_owners():
    """What an entity may say of itself arrives."""
    kind = "https://marks.example/good"
    found = read(
        by_city(
            claims(
                CITY,
                authority_hints=[ANCHOR],
                trust_anchor_hints=[ANCHOR],
                trust_marks=[mark()],
                trust_mark_issuers={kind: [ANCHOR], "x": []},
                trust_mark_owners={kind: {"sub": PROVIDER, "jwks": jwks(PROVIDER), "more": 1}},
            )
        ),
        KEYS,
    )
    assert found.is_configuration
    assert found.authority_hints == (ANCHOR,)
    assert [each.type for each in found.trust_marks] == [kind]
    assert found.trust_mark_issuers == {kind: frozenset({ANCHOR}), "x": frozenset()}
    assert found.trust_mark_owners[kind].entity_id == PROVIDER


def test_keys_that_sign_nothing_here_are_passed_over():
    """RFC 7517 §5: keys of other kinds may stand in a set beside one that is usable."""
    others = [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "a"}, {"kty": "new", "kid": "b"}]
    found = read_keys({"keys": [*others, signer(CITY).public_jwk(), {**signer("x").public_jwk(), "key_ops": ["sign"]}]})
    assert list(found) == [signer(CITY).kid]


# --- configurations


def test_a_configuration_states_the_key_that_signed_it():
    """§4: what a superior knows as the entity's key is not enough; the entity must state it too, as the same key."""
    assert read_configuration(by_city(claims(CITY)), KEYS).subject == CITY
    assert refusal(by_city(claims(CITY, jwks=jwks("other"))), read_configuration) == "signature"
    respelt = {"keys": [{**signer("other").public_jwk(), "kid": signer(CITY).kid}]}
    assert refusal(by_city(claims(CITY, jwks=respelt)), read_configuration) == "signature"
    assert refusal(by_city(claims()), read_configuration) == "other-issuer"


def test_an_anchor_without_keys():
    """An anchor whose key set cannot be read is refused in words."""
    with pytest.raises(StatementRefusedError) as refused:
        read_anchor(by_city(claims(CITY, jwks={})), [])
    assert refused.value.code == "keys"


def test_a_pin_that_is_no_key():
    """Garbage is no pin."""
    with pytest.raises(ValueError, match="cannot be read"):
        pinned_key(b"x")


# --- times


def test_in_force_from_issue_to_expiry():
    """From its last second on a statement is over; before its issue two minutes are borne."""
    statement = read(by_city(claims()), KEYS)
    check_times(statement, NOW - LEEWAY)
    check_times(statement, NOW + DAY - timedelta(microseconds=1))
    for now, code in ((NOW + DAY, "expired"), (NOW - LEEWAY - timedelta(seconds=1), "future")):
        with pytest.raises(StatementRefusedError) as refused:
            check_times(statement, now)
        assert refused.value.code == code


def test_fractions_of_a_second():
    """A NumericDate may have them (RFC 7519 §2)."""
    statement = read(by_city(claims(exp=seconds() + 0.5)), KEYS)
    assert statement.expires_at == datetime.fromtimestamp(seconds() + 0.5, UTC)


@pytest.mark.parametrize(
    ("entity_id", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/openid-federation"),
        ("https://a.example/", "https://a.example/.well-known/openid-federation"),
        ("https://a.example:8443/b", "https://a.example:8443/b/.well-known/openid-federation"),
    ],
)
def test_where_a_configuration_is(entity_id, url):
    """§9: behind the entity identifier, without its last slash."""
    assert configuration_url(entity_id) == url
