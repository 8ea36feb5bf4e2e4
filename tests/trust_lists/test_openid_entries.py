"""The rules for OpenID entries, one by one."""

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.trust_lists.builders import UNTIL, private_jwks, provider, public_jwks, relying_party
from trust_lists import openid_entries
from trust_lists.entries import read_entry
from trust_lists.rules import EntryError


def read(entry):
    """Read one entry."""
    return read_entry(entry, listed_in="list", valid_until=UNTIL).entity


def jwk(key, **more):
    """Give the public half of a key."""
    return {**key.as_dict(private=False), **more}


EC, RSA = jwk(ECKey.generate_key("P-256")), jwk(RSAKey.generate_key(2048))


@pytest.mark.parametrize(
    "entry",
    [
        relying_party(),
        relying_party(token_endpoint_auth_method="client_secret_basic", jwks=None),
        relying_party(
            id_token_signed_response_alg="ES256", response_types=["code"], grant_types=["authorization_code"]
        ),
        relying_party(redirect_uris=["http://localhost:8103/cb", "http://127.0.0.1/cb?a=b", "http://[::1]/"]),
        relying_party(
            **{
                "client_name#ja": "参加サイト",
                "contacts": ["a@example.jp"],
                "client_id": "https://rp.example",
            }
        ),
        relying_party(
            jwks={"keys": [{**RSA, "kid": "1", "use": "sig", "alg": "PS256"}, {**EC, "kid": "2", "use": "enc"}]}
        ),
        relying_party("participation"),
        provider(),
        provider("http://localhost:8201"),
        provider(issuer="https://op.example", jwks=public_jwks()),
        provider(jwks={"keys": [{**EC, "kid": "1"}, jwk(OKPKey.generate_key("Ed25519"), kid="2")]}),
    ],
)
def test_good_entries(entry):
    """What a member may hand over."""
    found = read(entry)
    assert (found.entity_id, found.metadata) == (entry["entity_id"], entry["metadata"])


def without(entry, member):
    """Leave a member out."""
    return {name: value for name, value in entry.items() if name != member}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ([], "an entry with entity_id"),
        ({**provider(), "extra": 1}, "extra: unknown"),
        (without(provider(), "entity_id"), "entity_id: an identifier"),
        (without(provider(), "role"), "role: one of openid-provider, openid-relying-party, certificate-authority"),
        ({**provider(), "role": "saml-identity-provider"}, "role: a SAML member needs its own metadata"),
        ({**provider(), "metadata": []}, "metadata: registered"),
        ({**provider(), "municipality": 102016}, "municipality: .* quotes"),
        ({**provider(), "municipality": "102017"}, "municipality: .*check digit"),
        ({**provider(), "municipality": None}, "municipality"),
        ({**provider(), "name": "前橋市"}, "name: names by language"),
        ({**provider(), "name": {"japanese!": "x"}}, r"name.japanese!: 'japanese!' is not a language"),
        ({**provider(), "name": {"ja": " "}}, "name.ja: a name is expected"),
        (provider("http://op.example"), "entity_id: .*not https"),
        (provider("https://op.example?a"), "entity_id: .*query"),
        (provider("https://op.example#"), "entity_id: .*fragment"),
        (provider(issuer="https://else.example"), "metadata.issuer: must equal entity_id"),
        (
            provider(token_endpoint="https://op.example/token"),
            "metadata.token_endpoint: not a name that this list keeps",
        ),
        (provider(jwks={"keys": []}), "metadata.jwks: a JWK Set"),
        (relying_party(redirect_uris=None), "metadata.redirect_uris: is missing"),
        (relying_party(redirect_uris=[]), "metadata.redirect_uris: a list with at least one"),
        (relying_party(redirect_uris="https://rp.example/"), "metadata.redirect_uris: a list"),
        (relying_party(redirect_uris=["/callback"]), r"metadata.redirect_uris\[0\]: .*host"),
        (
            relying_party(redirect_uris=["https://a/", "http://rp.example/"]),
            r"redirect_uris\[1\]: .*not https",
        ),
        (relying_party(redirect_uris=["http://localhost.evil.example/"]), "not https"),
        (relying_party(redirect_uris=["http://127.0.0.1.evil.example/"]), "not https"),
        (relying_party(redirect_uris=["http://[::ffff:127.0.0.1]/"]), "not https"),
        (relying_party(redirect_uris=["https://rp.example/#"]), "fragment"),
        (relying_party(redirect_uris=["https://rp.example/\ncallback"]), "absolute https"),
        (relying_party(redirect_uris=["https://rp.example\\@evil/"]), "absolute https"),
        (relying_party(redirect_uris=["https://rp.example:0/"]), "host"),
        (relying_party(redirect_uris=["https://rp.example:99999/"]), "not an address"),
        (relying_party(redirect_uris=["https://[::1/"]), "not an address"),
        (relying_party(redirect_uris=["com.example:/cb"]), "host"),
        (relying_party(redirect_uris=["https://a/", "https://a/"]), "twice"),
        (relying_party(redirect_uris=[1]), "absolute https"),
        (relying_party(token_endpoint_auth_method=None), "token_endpoint_auth_method: is missing"),
        (relying_party(token_endpoint_auth_method="none"), "token_endpoint_auth_method: one of"),
        (relying_party(token_endpoint_auth_method=["private_key_jwt"]), "token_endpoint_auth_method: one of"),
        (relying_party(jwks=None), "metadata.jwks: is missing"),
        (relying_party(jwks=[]), "a JWK Set"),
        (relying_party(jwks={"keys": [EC], "x": 1}), "a JWK Set"),
        (relying_party(jwks={"keys": [1]}), "a JWK is expected"),
        (relying_party(jwks=private_jwks()), r"jwks.keys\[0\].d: is part of a private key"),
        (
            relying_party(jwks={"keys": [OctKey.generate_key(256).as_dict(private=True)]}),
            r"keys\[0\].k: is part",
        ),
        (relying_party(jwks={"keys": [{**EC, "x": "AAAA"}]}), "cannot be read"),
        (relying_party(jwks={"keys": [{**EC, "x": 1}]}), "cannot be read"),
        (relying_party(jwks={"keys": [{"kty": "EC", "crv": "P-256"}]}), "cannot be read"),
        (relying_party(jwks={"keys": [{**EC, "kid": 1}]}), "kid: a text"),
        (relying_party(jwks={"keys": [{**EC, "use": "both"}]}), "use: sig or enc"),
        (relying_party(jwks={"keys": [{**EC, "use": "enc"}]}), "none of the keys verifies"),
        (relying_party(jwks={"keys": [{**EC, "alg": "ES512"}]}), "none of the keys verifies"),
        (relying_party(jwks={"keys": [{**RSA, "alg": "HS256"}]}), "none of the keys verifies"),
        (relying_party(jwks={"keys": [jwk(ECKey.generate_key("secp256k1"))]}), "a key that is RSA"),
        (relying_party(jwks={"keys": [{**RSA, "n": RSA["n"][:171]}]}), "1024 bits is too short"),
        (relying_party(jwks={"keys": [EC, EC]}), "kid of its own"),
        (
            relying_party(jwks_uri="https://rp.example/jwks"),
            "metadata.jwks_uri: not a name that this list keeps",
        ),
        (relying_party(client_secret="hush"), "metadata.client_secret: not a name"),
        (relying_party(redirect_uri="https://a/"), "metadata.redirect_uri: not a name"),
        (relying_party(id_token_encrypted_response_alg="RSA-OAEP"), "not a name that this list keeps"),
        (
            relying_party(id_token_signed_response_alg="none"),
            "id_token_signed_response_alg: one of RS256, ES256",
        ),
        (relying_party(id_token_signed_response_alg="HS256"), "id_token_signed_response_alg: one of"),
        (relying_party(token_endpoint_auth_signing_alg="HS256"), "token_endpoint_auth_signing_alg: one of"),
        (relying_party(response_types=["code", "id_token"]), "response_types: a list with code"),
        (relying_party(grant_types=["implicit"]), "grant_types: a list with authorization_code"),
        (relying_party(subject_type="public"), "subject_type: one of pairwise"),
        (relying_party(client_id="other"), "client_id: must equal entity_id"),
        (relying_party(contacts="a@example.jp"), "contacts: a list of texts"),
        (relying_party(logo_uri="javascript:alert(1)"), "logo_uri"),
        (relying_party("a b"), "entity_id: an identifier in printable ASCII"),
    ],
)
def test_broken_entries(entry, text):
    """Each rule names the place and what is expected."""
    with pytest.raises(EntryError, match=text):
        read(entry)


def test_what_is_left_of_a_providers_announcements():
    """Addresses, choices and flags that a federation resolved; what a login has no use for is not kept."""
    stated = {
        "token_endpoint": "https://op.example/token",
        "jwks_uri": "https://op.example/keys",
        "scopes_supported": ["openid", "openid", "name"],
        "authorization_response_iss_parameter_supported": True,
        "claims_supported": ["name"],
        "organization_name": "City",
    }
    assert openid_entries.permitted(stated) == {
        "token_endpoint": ("https://op.example/token",),
        "jwks_uri": ("https://op.example/keys",),
        "scopes_supported": ("openid", "name"),
        "authorization_response_iss_parameter_supported": ("true",),
    }
    assert "jwks_uri" not in openid_entries.permitted({**stated, "jwks": public_jwks("op")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_endpoint", "http://op.example/token"),
        ("token_endpoint", None),
        ("scopes_supported", "openid"),
        ("scopes_supported", [1]),
        ("authorization_response_iss_parameter_supported", "true"),
    ],
)
def test_what_nobody_could_keep_to(name, value):
    """An entry whose limits cannot be read is not believed without them."""
    with pytest.raises(EntryError):
        openid_entries.permitted({name: value})
