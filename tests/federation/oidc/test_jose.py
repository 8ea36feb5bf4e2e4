"""Keys, signatures, and tokens that must not be believed."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import thumbprint

from federation.oidc import jose
from federation.oidc.jose import PublicKeys, SigningKey, TokenRefusedError
from federation.oidc.strict_json import instant, read_object
from tests.federation.oidc.peers import key

CLAIMS = {"iss": "https://id.example", "name": "髙橋"}


def refused(token: str, keys: PublicKeys, **options: Any) -> str:
    """The reason for which `token` is refused."""
    with pytest.raises(TokenRefusedError) as caught:
        jose.verify(token, keys, options.pop("algorithms", jose.ALGORITHMS), **options)
    return caught.value.code


def forge(header: dict[str, Any], claims: Any = None, signature: bytes = b"") -> str:
    """A token of any header, with any signature."""
    parts = [json.dumps(part).encode() for part in (header, CLAIMS if claims is None else claims)]
    return ".".join(jose.base64url(part) for part in [*parts, signature])


@pytest.mark.parametrize(("algorithm", "bits"), [("ES256", 2048), ("RS256", 2048), ("RS256", 3072)])
def test_signed_token_verifies_with_published_key(algorithm, bits):
    """What a key signs is believed with its published half; the header names type, algorithm and kid."""
    signer = SigningKey.generate(algorithm, bits=bits)
    token = jose.sign(CLAIMS, signer, "at+jwt")
    published = json.loads(jose.jwks(signer).body)
    assert jose.verify(token, PublicKeys.from_jwks(published), [algorithm], ("at+jwt",)) == CLAIMS
    header = read_object(jose.unbase64url(token.split(".")[0]))
    assert header == {"alg": algorithm, "kid": signer.kid, "typ": "at+jwt"}
    assert signer.kid == thumbprint(
        {k: v for k, v in published["keys"][0].items() if k in {"kty", "n", "e", "crv", "x", "y"}}
    )
    assert published["keys"][0]["use"] == "sig"
    assert "d" not in published["keys"][0]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_key_survives_pem(algorithm):
    """A key written as PEM and read again has the same name and signs as the first one."""
    first = key("pem", algorithm)
    again = SigningKey.from_pem(first.to_pem())
    assert (again.kid, again.algorithm) == (first.kid, algorithm)
    assert jose.verify(jose.sign(CLAIMS, again), first.public(), [algorithm]) == CLAIMS


def test_unusable_private_keys_are_refused_without_their_text():
    """Another curve, a short RSA key, an encrypted key and rubbish are refused, and not repeated."""
    encodings = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    p384 = ec.generate_private_key(ec.SECP384R1())
    pems = [k.private_bytes(*encodings, serialization.NoEncryption()) for k in (short, p384)]
    pems.append(p384.private_bytes(*encodings, serialization.BestAvailableEncryption(b"x")))
    for pem in [*pems, b"-----BEGIN rubbish"]:
        with pytest.raises(ValueError, match="expected") as caught:
            SigningKey.from_pem(pem)
        assert "BEGIN" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(ValueError, match="1024"):
        SigningKey.generate("RS256", bits=1024)


def test_private_key_is_not_in_repr():
    """A signing key that ends up in a log line does not show its key."""
    assert repr(key("a")) == f"SigningKey(algorithm='ES256', kid='{key('a').kid}')"


def test_unsigned_token_is_refused():
    """`alg: none` in any spelling is refused, signature or not."""
    for spelling in ("none", "None", "NONE", "", None, 5, ["ES256"]):
        assert refused(forge({"alg": spelling}), key("a").public()) == "algorithm"
        assert refused(forge({"alg": spelling}), key("a").public(), algorithms=["none"]) == "algorithm"


def test_hmac_with_the_public_key_is_refused():
    """The public key's PEM used as an HMAC secret makes no signature, even if a caller lists HS256."""
    signer = key("a", "RS256")
    token = forge({"alg": "HS256", "kid": signer.kid}).rsplit(".", 1)[0]
    mac = hmac.new(signer.key.as_pem(private=False), token.encode(), hashlib.sha256).digest()
    forged = f"{token}.{jose.base64url(mac)}"
    assert refused(forged, signer.public()) == "algorithm"
    assert refused(forged, signer.public(), algorithms=["HS256", "RS256"]) == "algorithm"


def test_algorithm_must_be_allowed_by_the_caller():
    """A good signature by an algorithm that the caller did not allow is refused."""
    assert refused(jose.sign(CLAIMS, key("a")), key("a").public(), algorithms=["RS256"]) == "algorithm"


def test_algorithm_of_another_key_type_finds_no_key():
    """ES256 in the header with an RSA key in the set, under its kid: no key fits."""
    signer = key("a", "RS256")
    assert refused(forge({"alg": "ES256", "kid": signer.kid}), signer.public()) == "unknown-key"
    assert refused(forge({"alg": "PS256", "kid": signer.kid}), signer.public()) == "unknown-key"


def test_wrong_key_and_wrong_kid_are_told_apart():
    """A kid nobody has is an unknown key, a known kid with a foreign signature a bad signature."""
    token = jose.sign(CLAIMS, key("a"))
    assert refused(token, key("b").public()) == "unknown-key"
    impostor = PublicKeys.from_jwks({"keys": [key("b").public_jwk() | {"kid": key("a").kid}]})
    assert refused(token, impostor) == "signature"


def test_altered_token_is_refused():
    """Another payload under the same signature is refused."""
    header, _, signature = jose.sign(CLAIMS, key("a")).split(".")
    other = jose.base64url(b'{"iss":"https://id.example","name":"x"}')
    assert refused(f"{header}.{other}.{signature}", key("a").public()) == "signature"


def test_type_keeps_tokens_apart():
    """An ID token is no access token and the other way round; `application/` and case do not matter."""
    keys = key("a").public()
    assert refused(jose.sign(CLAIMS, key("a"), "JWT"), keys, typ=("at+jwt",)) == "type"
    assert refused(jose.sign(CLAIMS, key("a"), "at+jwt"), keys) == "type"
    assert jose.verify(jose.sign(CLAIMS, key("a"), "application/AT+JWT"), keys, ["ES256"], ("at+jwt",)) == CLAIMS


def test_critical_headers_are_refused():
    """No extension is understood, so none that must be understood is accepted."""
    for header in (
        {"crit": ["b64"], "b64": False},
        {"crit": ["exp"], "exp": 1},
        {"b64": False},
        {"crit": None},
    ):
        assert refused(forge({"alg": "ES256", **header}), key("a").public()) == "critical-header"


def test_keys_in_the_header_are_not_used():
    """A token that brings its own key, or says where to get it, is held against the known keys alone."""
    jwk = key("b").public_jwk()
    for extra in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example"}):
        header = {"alg": "ES256", "kid": key("b").kid, **extra}
        assert refused(forge(header, signature=b"0" * 64), key("a").public()) == "unknown-key"


def test_huge_and_malformed_tokens_are_refused_before_any_cryptography():
    """Size, shape and JSON are looked at first."""
    keys = key("a").public()
    assert refused(jose.sign({"x": "y" * jose.MAX_TOKEN}, key("a")), keys) == "too-large"
    for token in (
        "",
        "a.b",
        "a.b.c.d.e",
        "..",
        "é.b.c",
        "eyJ=.e30.AA",
        forge({"alg": "ES256"}, claims=[]) + "=x",
    ):
        assert refused(token, keys) in {"malformed", "algorithm", "signature"}
    twice = jose.base64url(b'{"alg":"ES256","alg":"none"}') + ".e30.AA"
    assert refused(twice, keys) == "malformed"
    deep = jose.base64url(b"[" * 3000) + ".e30.AA"
    assert refused(deep, keys) == "malformed"
    assert refused(forge({"alg": "ES256", "kid": 7}), keys) == "malformed"
    assert refused(jose.sign(CLAIMS, key("a")) + "=", keys) == "signature"


def test_claims_must_be_one_object():
    """A signed array, a signed duplicate and a signed lone surrogate are not claims."""
    for payload in (
        b"[]",
        b'{"sub":"a","sub":"b"}',
        b'{"sub":"\\ud800"}',
        b'{"exp":NaN}',
        b'{"exp":1e999}',
        b"\xff",
    ):
        token = jws.serialize_compact({"alg": "ES256", "kid": key("a").kid}, payload, key("a").key)
        assert refused(token, key("a").public()) == "malformed"


def test_keys_that_share_a_kid_are_all_tried():
    """During a rotation two keys may bear one name: both verify."""
    shared = PublicKeys.from_jwks({"keys": [key(n).public_jwk() | {"kid": "same"} for n in ("a", "b")]})
    unnamed = PublicKeys.from_jwks({"keys": [{k: v for k, v in key("b").public_jwk().items() if k != "kid"}]})
    signer = SigningKey(key("b").key, "ES256", "same")
    for keys in (shared, unnamed):
        assert jose.verify(jose.sign(CLAIMS, signer), keys, ["ES256"]) == CLAIMS


def test_unusable_keys_of_a_set_are_passed_over():
    """Symmetric, private, encryption, off-curve, short and malformed keys leave the usable one."""
    good = key("a").public_jwk()
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    bad = [
        {"kty": "oct", "k": "c2VjcmV0"},
        {**key("b").key.as_dict(private=True), "kid": "private"},
        {**good, "use": "enc"},
        {**good, "key_ops": ["encrypt"]},
        {**good, "key_ops": None},
        {**good, "key_ops": 5},
        {**good, "use": ["sig"]},
        {**good, "kid": 5},
        {**good, "crv": "P-384"},
        {**good, "x": good["y"], "y": good["x"]},
        {**good, "x": 5},
        {"kty": "RSA", "n": jose.base64url(short.n.to_bytes(128, "big")), "e": "AQAB"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "n": good["x"] * 9},
        {"kty": "OKP", "crv": "Ed25519", "x": good["x"]},
        "key",
        None,
        {},
    ]
    assert [k.kid for k in PublicKeys.from_jwks({"keys": [*bad, good]}).keys] == [good["kid"]]


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": "abc"}, {"keys": {}}, {"keys": [{}] * 33}])
def test_what_is_no_key_set_is_refused(jwks):
    """A key set is an object with an array of at most 32 keys."""
    with pytest.raises(ValueError, match="JWK set"):
        PublicKeys.from_jwks(jwks)


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=200) | st.binary(max_size=60).map(jose.base64url))
def test_no_text_is_believed_or_breaks_verification(text):
    """Whatever the token, verification refuses it in its own terms."""
    for token in (text, f"{text}.{text}.{text}", f"eyJhbGciOiJFUzI1NiJ9.{text}.{text}"):
        assert refused(token, key("a").public())


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_base64url_round_trip(octets):
    """Decoding undoes encoding."""
    assert jose.unbase64url(jose.base64url(octets)) == octets


def test_instant_may_have_a_fraction():
    """A NumericDate may be any JSON number (RFC 7519 §2)."""
    at = instant(read_object('{"exp": 1760000000.25}')["exp"])
    assert at == datetime(2025, 10, 9, 8, 53, 20, 250000, tzinfo=UTC)


@pytest.mark.parametrize("value", [True, "1", None, -1, 1e300, 10**30, [], {}])
def test_instant_takes_numeric_dates_only(value):
    """Booleans, strings and numbers outside the calendar are no times."""
    assert instant(value) is None
