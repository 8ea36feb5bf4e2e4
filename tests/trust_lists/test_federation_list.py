"""A federation as a trust list: who is read, with which worth, and which bundles are refused."""

import json
import random
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, authority
from tests.trust_lists.federations import (
    ANCHOR,
    CITY,
    OP_METADATA,
    OTHER_CITY,
    PARTY,
    PROVIDER,
    RP_METADATA,
    Member,
    der,
    dump,
    jwks,
    leaf,
    read,
    region,
    seconds,
    sign,
    signer,
    superior,
)
from trust_lists import etsi, federation_bundles, formats, openid_federation
from trust_lists.model import Fault, ListRefusedError, Role, TrustedEntity, TrustList

DAY = timedelta(days=1)
MEMBER = etsi.FEDERATION_MEMBER


def refusal(document, **kept):
    """Tell the code with which a bundle is refused."""
    with pytest.raises(ListRefusedError) as refused:
        read(document, **kept)
    assert "region-federation" in str(refused.value)
    return refused.value.code


def test_what_is_collected_is_read():
    """Provider and relying party arrive with resolved metadata, as far as our lists keep them."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["metadata"] = {"openid_relying_party": {"client_name#ja": "参加サイト"}}
    kept = {name: value for name, value in RP_METADATA.items() if name != "client_registration_types"}
    assert read(simulator.bundle()) == TrustList(
        name="region-federation",
        issued_at=NOW,
        valid_until=NOW + DAY,
        sequence=seconds(),
        called=ANCHOR,
        entities=(
            TrustedEntity(
                entity_id=PROVIDER,
                roles=frozenset({Role.OPENID_PROVIDER}),
                listed_in="region-federation",
                valid_until=NOW + DAY,
                metadata={"issuer": PROVIDER, "jwks": OP_METADATA["jwks"]},
                permitted={
                    "authorization_endpoint": ("https://op.city.example/authorize",),
                    "id_token_signing_alg_values_supported": ("ES256",),
                },
                registered_by=CITY,
            ),
            TrustedEntity(
                entity_id=PARTY,
                roles=frozenset({Role.OPENID_RELYING_PARTY}),
                listed_in="region-federation",
                valid_until=NOW + DAY,
                names={"ja": "参加サイト"},
                metadata={**kept, "client_name#ja": "参加サイト"},
                registered_by=CITY,
            ),
        ),
    )


def test_the_table_of_formats_reads_it():
    """The one door of the gateway knows the format, and tells which anchor verified it."""
    found = formats.read(
        region().bundle(), kind="openid-federation", name="region-federation", anchors=[der("x"), der(ANCHOR)], now=NOW
    )
    assert (found.format, len(found.entities), found.faults) == ("openid-federation", 2, ())


@pytest.mark.parametrize("kind", ["P-384", "RSA"])
def test_anchors_of_other_kinds(kind):
    """An anchor's key may be on P-384 or RSA; a certificate pins as well as a bare key does."""
    simulator = region()
    by = signer("other-anchor", kind)
    anchor = simulator.members[ANCHOR]
    own = {"iss": ANCHOR, "sub": ANCHOR, "iat": seconds(), "exp": seconds(DAY), **anchor.own}
    token = sign({**own, "jwks": {"keys": [by.public_jwk(), *jwks(ANCHOR)["keys"]]}}, by)
    document = federation_bundles.dump(token, [simulator.chain(PROVIDER, CITY, ANCHOR)])
    assert len(read(document, anchors=[der("other-anchor", kind)]).entities) == 1
    assert refusal(document) == "signature"  # the other key is stated too, but did not sign


def test_a_certificate_as_anchor():
    """A pinned certificate only names a key."""
    pinned = authority("federation-anchor", "ec")
    by = type(signer("x")).from_pem(pinned.key_pem)
    simulator = region()
    own = {"iss": ANCHOR, "sub": ANCHOR, "iat": seconds(), "exp": seconds(DAY)}
    token = sign({**own, "jwks": {"keys": [by.public_jwk(), *jwks(ANCHOR)["keys"]]}}, by)
    document = federation_bundles.dump(token, [simulator.chain(PROVIDER, CITY, ANCHOR)])
    assert len(read(document, anchors=[pinned.der]).entities) == 1


# --- refused bundles


def test_an_anchor_that_is_not_signed():
    """`alg: none` and a missing signature are unsigned."""
    simulator = region()
    token = simulator.members[ANCHOR].configuration()
    assert refusal(federation_bundles.dump(token.rpartition(".")[0] + ".", [])) == "unsigned"
    none = "eyJhbGciOiJub25lIn0." + ".".join(token.split(".")[1:])
    assert refusal(federation_bundles.dump(none, [])) == "unsigned"


def test_another_anchor():
    """A bundle of another anchor is refused, even one that claims to be ours."""
    simulator = region()
    assert refusal(simulator.bundle(), anchors=[der("stranger")]) == "signature"
    stranger = Member(ANCHOR, {**simulator.members[ANCHOR].own}, key="stranger")
    assert refusal(federation_bundles.dump(stranger.configuration(), [])) == "signature"
    both = stranger.configuration(jwks=jwks("stranger", ANCHOR))
    assert refusal(federation_bundles.dump(both, [])) == "signature"


def test_an_anchor_that_does_not_state_the_pinned_key():
    """The pinned key must be one of the anchor's own; a key ID that points elsewhere does not help."""
    anchor = region().members[ANCHOR]
    assert refusal(federation_bundles.dump(anchor.configuration(jwks=jwks("stranger")), [])) == "signature"
    forged = dict(signer(ANCHOR).public_jwk(), kid=signer("stranger").kid)
    claims = {"iss": ANCHOR, "sub": ANCHOR, "iat": seconds(), "exp": seconds(DAY), "jwks": {"keys": [forged]}}
    assert refusal(federation_bundles.dump(sign(claims, signer("stranger")), [])) == "signature"


def test_a_pinned_key_that_signs_nothing_here():
    """A key on P-521 is told about in words."""
    assert refusal(region().bundle(), anchors=[der("big", "P-521")]) == "signature"


def test_expired_and_future():
    """From its last second on a bundle is refused, and one whose anchor speaks from the future."""
    document = region().bundle()
    assert refusal(document, now=NOW + DAY) == "expired"
    assert refusal(document, now=NOW - timedelta(minutes=3)) == "future"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"anchor":"a.b.c","chains":[]}',
        b'{"anchor":1,"chains":[],"skipped":[]}',
        b'{"anchor":"a.b.c","chains":{},"skipped":[]}',
        b'{"anchor":"a.b.c","chains":[[1]],"skipped":[]}',
        b'{"anchor":"a.b.c","chains":["a"],"skipped":[]}',
        b'{"anchor":"a.b.c","chains":[],"skipped":[{}]}',
        b'{"anchor":"a.b.c","chains":[],"skipped":[{"entity":"\\n","reason":""}]}',
        b'{"anchor":"a.b.c","anchor":"a.b.c","chains":[],"skipped":[]}',
        b'{"anchor":"a.b.c","chains":[],"skipped":[],"more":1}',
        b'{"anchor":"\\u00e9","chains":[],"skipped":[]}',
        b'{"anchor":"a.b.c","chains":[],"skipped":[]}',
    ],
)
def test_what_is_no_bundle(document):
    """Anything else is refused in words."""
    assert refusal(document) == "format"


def test_too_large(monkeypatch):
    """A document beyond the bound is refused before anything looks at it."""
    monkeypatch.setattr(openid_federation, "MAXIMUM_BYTES", 100)
    assert refusal(b"[" * 101) == "too-large"


# --- single subjects


def test_a_bad_chain_is_dropped_alone():
    """An entity whose chain fails is reported; the others are read."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["exp"] = seconds(timedelta(minutes=5))
    document = simulator.bundle()
    found = read(document, now=NOW + timedelta(minutes=5))
    assert [entity.entity_id for entity in found.entities] == [PROVIDER]
    assert [(fault.where, fault.reason.partition(":")[0]) for fault in found.faults] == [(PARTY, "expired")]
    assert read(document).entities[1].valid_until == NOW + timedelta(minutes=5)


def test_who_was_skipped_is_told():
    """What could not be collected is a fault that the operator sees."""
    simulator = region()
    simulator.silent.add(f"{PARTY}/.well-known/openid-federation")
    assert read(simulator.bundle()).faults == (Fault(where=PARTY, reason="not collected: unanswered"),)


def test_the_order_of_chains_decides_nothing():
    """Shuffled chains, twice over, are the same list."""
    simulator = region()
    content = json.loads(simulator.bundle())
    expected = read(json.dumps(content).encode())
    for seed in range(5):
        shuffled = content["chains"] * 2
        random.Random(seed).shuffle(shuffled)
        assert read(json.dumps({**content, "chains": shuffled}).encode()) == expected


def test_the_shortest_chain_is_taken():
    """An entity below the city and below the anchor itself is read by the anchor's own word."""
    simulator = region().below(ANCHOR, PARTY)
    simulator.members[PARTY].own["authority_hints"] = [CITY, ANCHOR]
    party = next(entity for entity in read(simulator.bundle()).entities if entity.entity_id == PARTY)
    assert party.registered_by == ANCHOR


def test_two_superiors_that_vouch_for_different_keys():
    """A superior that vouches for keys of its own under another's name gets nobody in: the subject is disputed."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, ANCHOR)
    simulator.below(ANCHOR, OTHER_CITY)
    impostor = Member(PARTY, {**simulator.members[PARTY].own, "authority_hints": [OTHER_CITY]}, key="impostor")
    chain = (
        impostor.configuration(),
        simulator.members[OTHER_CITY].statement(PARTY, jwks=jwks("impostor")),
        simulator.members[ANCHOR].statement(OTHER_CITY),
    )
    found = read(dump(simulator, chain, simulator.chain(PARTY, CITY, ANCHOR)))
    assert found.entities == ()
    assert [(fault.where, fault.reason.partition(":")[0]) for fault in found.faults] == [(PARTY, "disputed")]


def test_one_entity_in_two_roles():
    """A provider that is a relying party too is two entries, each with its own metadata."""
    simulator = region()
    simulator.members[PARTY].own["metadata"] = {
        "openid_provider": {"issuer": PARTY},
        "openid_relying_party": RP_METADATA,
    }
    found = [entity for entity in read(simulator.bundle()).entities if entity.entity_id == PARTY]
    assert [(entity.roles, "issuer" in entity.metadata) for entity in found] == [
        (frozenset({Role.OPENID_PROVIDER}), True),
        (frozenset({Role.OPENID_RELYING_PARTY}), False),
    ]


@settings(max_examples=150)
@given(st.data())
def test_an_altered_octet_adds_and_changes_nobody(data):
    """Whatever octet of a bundle is altered: it is refused, or whoever is left is as it was."""
    document = region_bundle()
    position = data.draw(st.integers(0, len(document) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda octet: octet != document[position]))
    before = read(document).entities
    try:
        after = read(document[:position] + bytes([octet]) + document[position + 1 :]).entities
    except ListRefusedError:
        return
    assert set(map(repr, after)) <= set(map(repr, before))


@cache
def region_bundle():
    """One region's bundle, always the same."""
    return region().bundle()


# --- metadata


def rp_fault(metadata):
    """Tell why a relying party with such metadata is dropped, or None."""
    simulator = region()
    simulator.members[PARTY].own["metadata"] = {"openid_relying_party": metadata}
    return next((fault.reason for fault in read(simulator.bundle()).faults), None)


@pytest.mark.parametrize(
    "more",
    [
        {"organization_name": "Ebetsu", "organization_uri": "https://city.example"},
        {"display_name#ja": "図書館", "keywords": ["library"]},
        {"signed_jwks_uri": "https://rp.city.example/jwks.jwt", "jwks_uri": "https://rp.city.example/jwks"},
        {"require_signed_request_object": False},
    ],
)
def test_names_that_the_federation_registers(more):
    """What weakens nothing may stand there, and is not kept."""
    assert rp_fault({**RP_METADATA, **more}) is None


@pytest.mark.parametrize(
    "more",
    [
        {"require_signed_request_object": True},
        {"tls_client_certificate_bound_access_tokens": True},
        {"dpop_bound_access_tokens": 0},
        {"id_token_encrypted_response_alg": "RSA-OAEP"},
        {"request_object_signing_alg": "ES256"},
        {"subject_type": "public"},
        {"sector_identifier_uri": "https://city.example/sector"},
        {"client_registration_types": ["other"]},
        {"grant_types": ["implicit"]},
        {"client_id": "https://other.example"},
        {"redirect_uris": ["http://evil.example/"]},
        {"display_name": "\u202e"},
        {"display_name#": "x", "display_name#!": "y"},
        {"redirect_urls": []},
    ],
)
def test_names_that_ask_for_more_than_the_gateway_gives(more):
    """What would look kept and is not, or is misspelt, drops the entry."""
    assert rp_fault({**RP_METADATA, **more}).startswith("openid_relying_party: ")


def test_keys_that_are_only_pointed_at():
    """Keys behind signed_jwks_uri are not read: whoever states nothing else is not read either."""
    without = {name: value for name, value in RP_METADATA.items() if name != "jwks"}
    assert "jwks" in rp_fault({**without, "signed_jwks_uri": "https://rp.city.example/jwks.jwt"})
    assert "jwks" in rp_fault({**without, "jwks_uri": "https://rp.city.example/jwks"})


@pytest.mark.parametrize(
    "more",
    [
        {"issuer": "https://other.example"},
        {"id_token_signing_alg_values_supported": ["HS256"]},
        {"response_types_supported": ["token"]},
        {"token_endpoint_auth_methods_supported": ["tls_client_auth"]},
        {"require_pushed_authorization_requests": True},
        {"odd": 1},
    ],
)
def test_a_provider_with_whom_no_login_would_succeed(more):
    """Another issuer, or nothing that the gateway speaks, drops the entry."""
    simulator = region()
    simulator.members[PROVIDER].own["metadata"] = {"openid_provider": {**OP_METADATA, **more}}
    assert read(simulator.bundle()).faults[0].reason.startswith("openid_provider: ")


# --- what an entity is worth


def worth(simulator, entity_id=PARTY):
    """Tell municipality, uses and highest identity assurance, or why the entity was dropped."""
    found = read(simulator.bundle())
    for fault in found.faults:
        if fault.where == entity_id:
            return fault.reason
    entity = next(entity for entity in found.entities if entity.entity_id == entity_id)
    return entity.municipality, entity.uses, entity.maximum_identity


def test_a_superior_states_it():
    """The subject needs to declare nothing: its superior's word is read."""
    simulator = region()
    stated = {"municipality": "102016", "uses": ["civic"], "maximum_identity": 2}
    simulator.members[CITY].about[PARTY]["metadata"] = {MEMBER: stated}
    assert worth(simulator) == ("102016", frozenset({"civic"}), 2)
    assert worth(simulator, PROVIDER) == (None, None, None)


def test_the_subjects_own_word_only_narrows():
    """Its uses and assurance narrow what nobody limited; its municipality is not believed."""
    simulator = region()
    own = simulator.members[PARTY].own["metadata"]
    own[MEMBER] = {"uses": ["civic"], "maximum_identity": 1}
    assert worth(simulator) == (None, frozenset({"civic"}), 1)
    own[MEMBER] = {"municipality": "102016"}
    assert "its superior must state it" in worth(simulator)


def test_the_anchor_caps_what_others_state():
    """Caps hold through every intermediate, over what subject and superior state, and where both are silent."""
    simulator = region()
    simulator.members[ANCHOR].about[CITY]["metadata_policy"] = {
        MEMBER: {
            "municipality": {"one_of": ["102016", "422053"]},
            "uses": {"subset_of": ["civic", "mobility"]},
            "maximum_identity": {"one_of": [0, 1, 2]},
        }
    }
    assert worth(simulator) == (None, frozenset({"civic", "mobility"}), 2)
    own = simulator.members[PARTY].own["metadata"]
    own[MEMBER] = {"uses": ["civic", "medical"], "maximum_identity": 1, "municipality": "102016"}
    assert worth(simulator) == ("102016", frozenset({"civic"}), 1)
    simulator.members[CITY].about[PARTY]["metadata"] = {MEMBER: {"maximum_identity": 3}}
    assert worth(simulator).startswith("one-of: ")
    simulator.members[CITY].about[PARTY]["metadata"] = {MEMBER: {"municipality": "012173"}}
    assert worth(simulator).startswith("one-of: ")


def test_a_policy_that_narrows_a_provider_binds_it():
    """In what it declares to the federation, and in what it announces elsewhere alone."""
    simulator = region()
    simulator.members[ANCHOR].about[CITY]["metadata_policy"] = {
        "openid_provider": {
            "scopes_supported": {"subset_of": ["openid", "name"], "add": ["openid"]},
            "token_endpoint_auth_methods_supported": {"subset_of": ["private_key_jwt"]},
            "token_endpoint": {"one_of": ["https://op.city.example/a", "https://op.city.example/b"]},
        }
    }
    declared = simulator.members[PROVIDER].own["metadata"]["openid_provider"]
    simulator.members[PROVIDER].own["metadata"] = {
        "openid_provider": {**declared, "scopes_supported": ["openid", "name", "medical"]}
    }
    found = next(each for each in read(simulator.bundle()).entities if each.entity_id == PROVIDER)
    assert found.permitted == {
        "authorization_endpoint": ("https://op.city.example/authorize",),
        "id_token_signing_alg_values_supported": ("ES256",),
        "scopes_supported": ("openid", "name"),
        "token_endpoint_auth_methods_supported": ("private_key_jwt",),
        "token_endpoint": ("https://op.city.example/a", "https://op.city.example/b"),
    }


def test_a_cap_of_the_wrong_kind_is_not_passed_over_in_silence():
    """Where nobody states a value, an operator that could only have limited it otherwise leaves nobody unlimited."""
    for policy in ({"uses": {"one_of": ["civic"]}}, {"maximum_identity": {"subset_of": [0, 1]}}):
        simulator = region()
        simulator.members[ANCHOR].about[CITY]["metadata_policy"] = {MEMBER: policy}
        assert "is no cap of it" in worth(simulator)


def test_caps_hold_where_our_type_is_not_allowed():
    """A constraint that takes our entity type away takes no limit away, and no municipality is believed."""
    simulator = region()
    simulator.members[ANCHOR].about[CITY] = {
        "constraints": {"allowed_entity_types": ["openid_relying_party", "openid_provider"]},
        "metadata_policy": {MEMBER: {"maximum_identity": {"value": 1}, "municipality": {"value": "102016"}}},
    }
    stated = simulator.members[CITY].about[PARTY]["metadata"] = {MEMBER: {"uses": ["civic"], "maximum_identity": 3}}
    assert worth(simulator) == (None, frozenset({"civic"}), 1)
    caps = simulator.members[ANCHOR].about[CITY]["metadata_policy"][MEMBER]
    caps["maximum_identity"] = {"one_of": [0, 1]}
    assert "one_of" in worth(simulator)
    del stated[MEMBER]["maximum_identity"]
    assert worth(simulator) == (None, frozenset({"civic"}), 1)
    simulator.members[PARTY].own["metadata"][MEMBER] = {"maximum_identity": 0}
    assert worth(simulator) == (None, frozenset({"civic"}), 0)


@pytest.mark.parametrize(
    "stated",
    [
        {"municipality": "102017"},
        {"municipality": 102016},
        {"uses": "civic"},
        {"uses": ["Civic"]},
        {"maximum_identity": 4},
        {"maximum_identity": True},
        {"maximum_identity": "2"},
        {"maximum_identty": 2},
    ],
)
def test_worth_that_cannot_be_read(stated):
    """A wrong check digit, an unknown name or level drops the entry: half a limit is none."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["metadata"] = {MEMBER: stated}
    assert MEMBER in worth(simulator)


def test_a_list_without_a_name():
    """It is called after its trust anchor."""
    assert read(region().bundle(), name=None).name == ANCHOR


def test_every_leaf_without_a_role_is_passed_over():
    """An entity that is neither provider nor relying party is no entry and no fault."""
    simulator = region().below(CITY, "https://marks.example")
    simulator.members["https://marks.example"] = leaf("https://marks.example", CITY, federation_entity={})
    found = read(simulator.bundle())
    assert (len(found.entities), found.faults) == (2, ())
