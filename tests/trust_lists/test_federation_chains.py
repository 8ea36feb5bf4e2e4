"""Trust chains: which are valid, which attack is refused with which code, and which of several is chosen."""

from datetime import timedelta
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import (
    ANCHOR,
    CITY,
    OTHER_CITY,
    PARTY,
    PROVIDER,
    RP_METADATA,
    Member,
    Simulator,
    der,
    jwks,
    leaf,
    region,
    seconds,
    sign,
    signer,
    superior,
)
from trust_lists.federation_chains import CHECKS, MAXIMUM_INTERMEDIATES, Pool, Verifier, build
from trust_lists.federation_constraints import ConstraintError, allowed_types, check, read_constraints
from trust_lists.federation_statements import read_anchor
from trust_lists.federation_tokens import StatementRefusedError, pinned_key

DAY = timedelta(days=1)


def verifier(simulator, now=NOW, anchor=ANCHOR):
    """A verifier with the anchor's pinned key."""
    return Verifier(read_anchor(simulator.members[anchor].configuration(), [pinned_key(der(anchor))]), now)


def verify(simulator, *entities, now=NOW):
    """Verify the chain over these entities."""
    return verifier(simulator, now).verify(simulator.chain(*entities))


def refusal(simulator, tokens, now=NOW):
    """Tell the code with which a chain is refused."""
    with pytest.raises(StatementRefusedError) as refused:
        verifier(simulator, now).verify(tokens)
    return refused.value.code


def line(length):
    """An anchor, so many intermediate entities in a row below it, and a relying party."""
    names = [ANCHOR, *(f"https://i{number}.example" for number in range(length)), PARTY]
    members = [superior(ANCHOR), *(superior(name, above) for above, name in pairwise(names[:-1]))]
    simulator = Simulator(*members, leaf(PARTY, names[-2], openid_relying_party=RP_METADATA))
    for above, name in pairwise(names):
        simulator.below(above, name)
    return simulator, list(reversed(names))


# --- valid chains


def test_a_chain_is_verified():
    """From the subject over its city to the anchor: everybody's word, resolved metadata, the earliest end."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["exp"] = seconds(timedelta(hours=2))
    chain = verify(simulator, PARTY, CITY, ANCHOR)
    assert [(each.issuer, each.subject) for each in chain.statements] == [(PARTY, PARTY), (CITY, PARTY), (ANCHOR, CITY)]
    assert (chain.subject, chain.superior.issuer) == (PARTY, CITY)
    assert chain.metadata == {"openid_relying_party": RP_METADATA}
    assert chain.expires_at == NOW + timedelta(hours=2)


def test_the_anchors_end_is_the_chains():
    """§10.4: the anchor's configuration is part of every chain, whether it is written there or not."""
    simulator = region()
    simulator.members[ANCHOR].own["exp"] = seconds(timedelta(hours=1))
    chain = verify(simulator, PARTY, CITY, ANCHOR)
    assert chain.expires_at == NOW + timedelta(hours=1)
    written = verifier(simulator)
    tokens = simulator.chain(PARTY, CITY, ANCHOR)
    assert written.verify((*tokens, written.anchor.token)) == written.verify(tokens)


def test_entities_right_below_the_anchor():
    """No intermediate entity is needed."""
    simulator = Simulator(superior(ANCHOR), leaf(PARTY, ANCHOR, openid_relying_party=RP_METADATA)).below(ANCHOR, PARTY)
    assert verify(simulator, PARTY, ANCHOR).subject == PARTY


def test_an_intermediate_entity_as_subject():
    """§4.1: whoever has subordinates may be a provider itself."""
    assert verify(region(), CITY, ANCHOR).subject == CITY


def test_the_longest_chain():
    """As many intermediate entities as the bound allows, and one more is refused."""
    simulator, names = line(MAXIMUM_INTERMEDIATES)
    assert len(verify(simulator, *names).statements) == MAXIMUM_INTERMEDIATES + 2
    simulator, names = line(MAXIMUM_INTERMEDIATES + 1)
    assert refusal(simulator, simulator.chain(*names)) == "chain-length"


# --- the appendix's federation


def test_the_specifications_example_of_four_links():
    """Appendix A.2: what umu.se, swamid.se and edugain demand of op.umu.se, resolved over the whole chain."""
    op, umu, swamid, edugain = "https://op.umu.se", "https://umu.se", "https://swamid.se", "https://edugain.geant.org"
    stated = {
        "issuer": op,
        "signed_jwks_uri": f"{op}/jwks.jose",
        "authorization_endpoint": f"{op}/authorization",
        "client_registration_types_supported": ["automatic", "explicit"],
        "request_parameter_supported": True,
        "grant_types_supported": [
            "authorization_code",
            "implicit",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "logo_uri": "https://www.umu.se/img/umu-logo-left-neg-SE.svg",
        "op_policy_uri": "https://www.umu.se/en/website/legal-information/",
        "response_types_supported": ["code", "code id_token", "token"],
        "subject_types_supported": ["pairwise", "public"],
        "token_endpoint": f"{op}/token",
        "federation_registration_endpoint": f"{op}/fedreg",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "client_secret_basic",
            "client_secret_jwt",
            "private_key_jwt",
        ],
    }
    simulator = (
        Simulator(
            superior(edugain), superior(swamid, edugain), superior(umu, swamid), leaf(op, umu, openid_provider=stated)
        )
        .below(edugain, swamid)
        .below(swamid, umu)
        .below(umu, op)
    )
    simulator.members[umu].about[op]["metadata_policy"] = {
        "openid_provider": {
            "contacts": {"add": ["ops@swamid.se"]},
            "organization_name": {"value": "University of Umeå"},
            "subject_types_supported": {"value": ["pairwise"]},
            "token_endpoint_auth_methods_supported": {
                "default": ["private_key_jwt"],
                "subset_of": ["private_key_jwt", "client_secret_jwt"],
                "superset_of": ["private_key_jwt"],
            },
        }
    }
    simulator.members[swamid].about[umu]["metadata_policy"] = {
        "openid_provider": {
            "id_token_signing_alg_values_supported": {"subset_of": ["RS256", "ES256", "ES384", "ES512"]},
            "token_endpoint_auth_methods_supported": {"subset_of": ["client_secret_jwt", "private_key_jwt"]},
            "userinfo_signing_alg_values_supported": {"subset_of": ["ES256", "ES384", "ES512"]},
        }
    }
    add = {"contacts": {"add": ["ops@edugain.geant.org"]}}
    simulator.members[edugain].about[swamid]["metadata_policy"] = {"openid_provider": add, "openid_relying_party": add}
    chain = verifier(simulator, anchor=edugain).verify(simulator.chain(op, umu, swamid, edugain))
    assert set(chain.metadata) == {"openid_provider"}
    resolved = chain.metadata["openid_provider"]
    assert sorted(resolved.pop("contacts")) == ["ops@edugain.geant.org", "ops@swamid.se"]
    assert sorted(resolved.pop("token_endpoint_auth_methods_supported")) == ["client_secret_jwt", "private_key_jwt"]
    assert sorted(resolved.pop("id_token_signing_alg_values_supported")) == ["ES256", "RS256"]
    unchanged = (
        "issuer signed_jwks_uri authorization_endpoint client_registration_types_supported request_parameter_supported "
        "grant_types_supported logo_uri op_policy_uri response_types_supported token_endpoint "
        "federation_registration_endpoint"
    )
    assert resolved == {
        **{name: stated[name] for name in unchanged.split()},
        "organization_name": "University of Umeå",
        "subject_types_supported": ["pairwise"],
    }


# --- attacks


def test_a_statement_left_out():
    """Without the city's word, or the anchor's, there is no chain."""
    simulator = region()
    party, about_party, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    assert refusal(simulator, (party, about_city)) == "unknown-key"
    assert refusal(simulator, (party, about_party)) == "unknown-key"
    assert refusal(simulator, (about_party, about_city)) == "other-issuer"
    assert refusal(simulator, (party,)) == "chain-length"
    assert refusal(simulator, ()) == "chain-length"


def test_statements_in_another_order():
    """Only one order of a chain's statements is one."""
    simulator = region()
    chain = simulator.chain(PARTY, CITY, ANCHOR)
    for other in permutations(chain):
        if other != chain:
            assert refusal(simulator, other)


def test_a_chain_to_another_anchor():
    """The word of another anchor is nobody's here, nor a chain that says it is ours."""
    simulator = region()
    stranger = Member(ANCHOR, {}, {CITY: {}}, key="stranger")
    party, about_party, _ = simulator.chain(PARTY, CITY, ANCHOR)
    assert refusal(simulator, (party, about_party, stranger.statement(CITY))) == "unknown-key"
    forged = stranger.statement(CITY, iss="https://other-anchor.example")
    assert refusal(simulator, (party, about_party, forged)) == "unknown-key"


def test_a_statement_of_the_anchors_key_under_another_name():
    """The anchor's key may have signed it, but who it says it is must be the anchor."""
    simulator = region()
    party, about_party, _ = simulator.chain(PARTY, CITY, ANCHOR)
    misnamed = simulator.members[ANCHOR].statement(CITY, iss="https://other-anchor.example")
    assert refusal(simulator, (party, about_party, misnamed)) == "other-anchor"


def test_an_entity_that_signs_for_another_superior():
    """A city cannot speak in another city's name, though its own key is good."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, ANCHOR)
    simulator.below(ANCHOR, OTHER_CITY)
    party, about_party, _ = simulator.chain(PARTY, CITY, ANCHOR)
    about_other = simulator.members[ANCHOR].statement(OTHER_CITY)
    assert refusal(simulator, (party, about_party, about_other)) == "unknown-key"
    in_its_name = simulator.members[OTHER_CITY].statement(PARTY, iss=CITY)
    assert refusal(simulator, (party, in_its_name, about_other)) == "broken"


def test_a_statement_about_somebody_else():
    """A city's word on its provider vouches for nobody else's configuration, even with the same key."""
    simulator = region()
    party, _, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    about_provider = simulator.members[CITY].statement(PROVIDER)
    assert refusal(simulator, (party, about_provider, about_city)) == "unknown-key"
    with_its_key = simulator.members[CITY].statement(PROVIDER, jwks=jwks(PARTY))
    assert refusal(simulator, (party, with_its_key, about_city)) == "broken"


def test_an_entity_with_another_key_than_its_superior_knows():
    """Whoever answers at the subject's address must have the key that the superior vouches for."""
    simulator = region()
    _, about_party, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    taken_over = Member(PARTY, simulator.members[PARTY].own, key="stranger").configuration()
    assert refusal(simulator, (taken_over, about_party, about_city)) == "unknown-key"


def test_a_leaf_that_writes_its_own_policy():
    """Policy and constraints in an entity configuration make it no statement at all (§3.1.3)."""
    simulator = region()
    _, about_party, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    own = simulator.members[PARTY].configuration(metadata_policy={"openid_relying_party": {"contacts": {"add": ["x"]}}})
    assert refusal(simulator, (own, about_party, about_city)) == "policy"


def test_a_leaf_that_vouches_for_others():
    """An entity without a statement about its role as superior can still be bounded: by max_path_length."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["constraints"] = {"max_path_length": 0}
    below = "https://below.example"
    simulator.members[below] = leaf(below, PARTY)
    simulator.below(PARTY, below)
    assert refusal(simulator, simulator.chain(below, PARTY, CITY, ANCHOR)) == "path-length"


def test_expired_in_the_middle_and_from_the_future():
    """One statement that is over, or not yet begun, and there is no chain."""
    simulator = region()
    about = simulator.members[ANCHOR].about[CITY]
    about["exp"] = seconds(timedelta(minutes=1))
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR), NOW + timedelta(minutes=1)) == "expired"
    about.update(exp=seconds(DAY), iat=seconds(timedelta(minutes=10)))
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "future"


def test_a_superior_that_the_subject_does_not_name():
    """§3.2 step 6: nobody is adopted by a superior whom it does not acknowledge."""
    simulator = region()
    simulator.members[PARTY].own["authority_hints"] = [OTHER_CITY]
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "not-acknowledged"
    del simulator.members[PARTY].own["authority_hints"]
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "not-acknowledged"


def test_a_loop():
    """Two entities that vouch for each other lead to nobody, and no path goes around."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, CITY)
    simulator.below(CITY, OTHER_CITY).below(OTHER_CITY, CITY)
    around = simulator.chain(PARTY, CITY, OTHER_CITY, CITY, ANCHOR)
    assert refusal(simulator, around) == "loop"
    back = simulator.below(CITY, ANCHOR).chain(PARTY, CITY, ANCHOR, CITY, ANCHOR)
    assert refusal(simulator, back) == "loop"


def test_a_configuration_in_the_middle():
    """An intermediate entity's word on itself is no link."""
    simulator = region()
    party, about_party, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    own = simulator.members[CITY].configuration()
    assert refusal(simulator, (party, about_party, own, about_city)) == "not-subordinate"


def test_a_trust_mark_or_an_id_token_is_no_statement():
    """Tokens of other types that the same keys signed stand for nothing in a chain."""
    simulator = region()
    party, _, about_city = simulator.chain(PARTY, CITY, ANCHOR)
    content = {"iss": CITY, "sub": PARTY, "iat": seconds(), "exp": seconds(DAY), "jwks": jwks(PARTY)}
    for typ in ("JWT", "trust-mark+jwt", None):
        assert refusal(simulator, (party, sign(content, signer(CITY), typ=typ), about_city)) == "type"


def test_every_check_has_a_test():
    """No row of the table is without a chain that it refuses."""
    text = Path(__file__).read_text()
    assert all(f'== "{each.code}"' in text for each in CHECKS)


# --- policy and constraints along a chain


def test_superiors_metadata_come_before_policy_and_reach_one_level():
    """§3.1.1, §6.1.4.2: the immediate superior's values override the subject's, and policy is applied to those."""
    simulator = region()
    simulator.members[CITY].about[PARTY]["metadata"] = {
        "openid_relying_party": {"contacts": ["city"], "scope": "openid phone"},
        "openid_provider": {"issuer": "https://not-declared.example"},
    }
    simulator.members[ANCHOR].about[CITY]["metadata"] = {"openid_relying_party": {"contacts": ["anchor"]}}
    simulator.members[ANCHOR].about[CITY]["metadata_policy"] = {
        "openid_relying_party": {"scope": {"subset_of": ["openid"]}}
    }
    chain = verify(simulator, PARTY, CITY, ANCHOR)
    assert chain.metadata == {"openid_relying_party": {**RP_METADATA, "contacts": ["city"], "scope": "openid"}}


def test_policies_that_conflict():
    """An intermediate entity that repeals its superior's policy ends the chain (§6.1.1)."""
    simulator = region()
    kind = "openid_relying_party"
    simulator.members[ANCHOR].about[CITY]["metadata_policy"] = {kind: {"subject_type": {"value": "pairwise"}}}
    simulator.members[CITY].about[PARTY]["metadata_policy"] = {kind: {"subject_type": {"value": "public"}}}
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "merge"


def test_an_operator_that_somebody_finds_critical():
    """§6.1.3.2: a critical operator that is not understood ends the chain, wherever in it it is named."""
    simulator = region()
    simulator.members[ANCHOR].about[CITY]["metadata_policy_crit"] = ["regexp"]
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "critical-operator"


@pytest.mark.parametrize(
    ("anchor", "second", "first", "valid"),
    [
        (2, None, None, True),
        (3, None, None, True),
        (2, 1, None, True),
        (None, None, 0, True),
        (1, None, None, False),
        (None, 0, None, False),
    ],
)
def test_the_specifications_examples_of_path_lengths(anchor, second, first, valid):
    """§6.2.1: leaf, I1, I2, anchor, with the constraints of the specification's text."""
    simulator, names = line(2)
    for above, below, length in zip(names[:0:-1], names[-2::-1], (anchor, second, first), strict=True):
        if length is not None:
            simulator.members[above].about[below]["constraints"] = {"max_path_length": length}
    if valid:
        assert verify(simulator, *names).subject == PARTY
    else:
        assert refusal(simulator, simulator.chain(*names)) == "path-length"


@pytest.mark.parametrize(
    ("names", "host", "valid"),
    [
        ({"permitted": [".example.com"]}, "host.example.com", True),
        ({"permitted": [".example.com"]}, "my.host.example.com", True),
        ({"permitted": [".example.com"]}, "example.com", False),
        ({"permitted": ["example.com"]}, "example.com", True),
        ({"permitted": ["example.com"]}, "host.example.com", False),
        ({"permitted": [".example.com"]}, "badexample.com", False),
        ({"permitted": [".EXAMPLE.com"]}, "HOST.example.COM", True),
        ({"permitted": []}, "example.com", False),
        ({"excluded": ["east.example.com"]}, "east.example.com", False),
        ({"excluded": ["east.example.com"]}, "EAST.example.com", False),
        ({"excluded": ["east.example.com"]}, "east.example.com.", False),
        ({"excluded": ["east.example.com"]}, "east.example.com:8443", False),
        ({"excluded": ["east.example.com"]}, "west.example.com", True),
        ({"permitted": [".example.com"], "excluded": ["east.example.com"]}, "east.example.com", False),
        ({"permitted": [".example.com"], "excluded": ["east.example.com"]}, "west.example.com", True),
        ({}, "anything.example", True),
    ],
)
def test_names(names, host, valid):
    """§6.2.2 and RFC 5280 §4.2.1.10: a host, or a domain with everything below it; what is excluded is out."""
    constraints = read_constraints({"naming_constraints": names})
    if valid:
        check(constraints, intermediates=0, subjects=[f"https://{host}/path"])
    else:
        with pytest.raises(ConstraintError) as refused:
            check(constraints, intermediates=0, subjects=["https://host.example.com", f"https://{host}/path"])
        assert refused.value.code == "name"


def test_names_hold_for_everybody_below():
    """What the anchor says of the city's name space holds for the city's entities, and not for those beside it."""
    simulator = region()
    about = simulator.members[ANCHOR].about[CITY]
    about["constraints"] = {"naming_constraints": {"permitted": ["city.example", ".city.example"]}}
    assert verify(simulator, PARTY, CITY, ANCHOR)
    about["constraints"] = {"naming_constraints": {"permitted": ["city.example"]}}
    assert refusal(simulator, simulator.chain(PARTY, CITY, ANCHOR)) == "name"


def test_entity_types():
    """§6.2.3: types that are not allowed are taken away before policy is applied; federation_entity stays."""
    assert allowed_types([read_constraints({"allowed_entity_types": []})], ["a", "federation_entity"]) == {
        "federation_entity"
    }
    simulator = region()
    simulator.members[PARTY].own["metadata"]["openid_provider"] = {"issuer": PARTY}
    simulator.members[ANCHOR].about[CITY].update(
        constraints={"allowed_entity_types": ["openid_relying_party"], "unknown": 1},
        metadata_policy={"openid_provider": {"jwks": {"essential": True}}},
    )
    assert set(verify(simulator, PARTY, CITY, ANCHOR).metadata) == {"openid_relying_party"}


# --- finding chains


def everything(simulator):
    """Every statement of a federation, in no order."""
    tokens = [member.configuration() for member in simulator.members.values()]
    return tokens + [member.statement(subject) for member in simulator.members.values() for subject in member.about]


def test_a_chain_is_found_among_statements_at_hand():
    """Whatever lies beside them, and garbage too."""
    simulator = region()
    pool = Pool([*everything(simulator), "garbage", sign([], signer(CITY)), sign({"iss": 1}, signer(CITY))])
    assert pool.subjects() == sorted([ANCHOR, CITY, PROVIDER, PARTY])
    assert build(pool, PARTY, verifier(simulator)).subject == PARTY


def test_the_shortest_valid_chain_is_chosen():
    """§10.3: the shorter one; where that is not valid, the longer one."""
    simulator = region().below(ANCHOR, PARTY)
    simulator.members[PARTY].own["authority_hints"] = [CITY, ANCHOR]
    assert len(build(Pool(everything(simulator)), PARTY, verifier(simulator)).statements) == 2
    simulator.members[ANCHOR].about[PARTY]["exp"] = seconds(timedelta(minutes=1))
    later = verifier(simulator, NOW + timedelta(minutes=1))
    assert len(build(Pool(everything(simulator)), PARTY, later).statements) == 3


def test_of_two_equally_long_chains_the_one_that_holds_longer():
    """And the choice does not depend on the order in which the statements came."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, ANCHOR)
    simulator.below(ANCHOR, OTHER_CITY).below(OTHER_CITY, PARTY)
    simulator.members[PARTY].own["authority_hints"] = [CITY, OTHER_CITY]
    simulator.members[CITY].about[PARTY]["exp"] = seconds(timedelta(hours=1))
    tokens = everything(simulator)
    one, other = verifier(simulator), verifier(simulator)
    assert build(Pool(tokens), PARTY, one).superior.issuer == OTHER_CITY
    assert build(Pool(tokens[::-1]), PARTY, other).superior.issuer == OTHER_CITY


def test_no_path():
    """An entity to whom nothing leads is told about in words; so is why the only path is none."""
    simulator = region()
    pool = Pool([simulator.members[PARTY].configuration()])
    for subject, code in ((PARTY, "no-path"), ("https://nobody.example", "no-path")):
        with pytest.raises(StatementRefusedError) as refused:
            build(pool, subject, verifier(simulator))
        assert refused.value.code == code
    simulator.members[PARTY].own["authority_hints"] = [OTHER_CITY]
    with pytest.raises(StatementRefusedError) as refused:
        build(Pool(everything(simulator)), PARTY, verifier(simulator))
    assert refused.value.code == "not-acknowledged"


def test_hostile_graphs_are_bounded():
    """Thirty entities that all vouch for one another are given up, not walked through."""
    names = [f"https://e{number}.example" for number in range(30)]
    simulator = Simulator(superior(ANCHOR), *(superior(name, *names[:2]) for name in names))
    for name in names:
        simulator.below(name, *names)
    tokens = [member.configuration() for member in simulator.members.values()]
    tokens += [simulator.members[one].statement(other) for one in names for other in names if one != other]
    pool = Pool(tokens)
    with pytest.raises(StatementRefusedError) as refused:
        build(pool, names[0], verifier(simulator))
    assert refused.value.code == "no-path"


def test_no_altered_statement_is_believed():
    """Any octet changed in any statement of a chain, and the chain is refused."""
    simulator = region()
    chain = list(simulator.chain(PARTY, CITY, ANCHOR))  # signed once: what is drawn below depends on it

    @settings(max_examples=20)
    @given(st.integers(0, 2), st.integers(0), st.sampled_from("Ab1_."))
    def altered(which, position, character):
        token = chain[which]
        position %= len(token)
        assume(character != token[position])
        wrong = token[:position] + character + token[position + 1 :]
        assert refusal(simulator, [*chain[:which], wrong, *chain[which + 1 :]])

    altered()
