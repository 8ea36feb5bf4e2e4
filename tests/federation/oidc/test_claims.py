"""Flattening, nesting and asking for claims."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.oidc.claims import (
    PROTOCOL_CLAIMS,
    SCOPE_CLAIMS,
    ClaimsAsked,
    check_names,
    flatten,
    nest,
    reached,
    read_claims_parameter,
)

NAMES = st.text(st.characters(exclude_characters=".:", codec="utf-8"), min_size=1, max_size=8)
TEXTS = st.text(min_size=1, max_size=8)
LEAVES = TEXTS | st.lists(TEXTS, min_size=2, max_size=3)
TREES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=6),
)


def depth(tree: object) -> int:
    """How deep objects are nested."""
    return 1 + max(map(depth, tree.values()), default=0) if isinstance(tree, dict) else 0


@given(TREES.filter(lambda tree: depth(tree) <= 8))
def test_nesting_undoes_flattening(tree):
    """Claims of strings come back as they were."""
    assert nest(flatten(tree)) == tree


def test_values_become_strings():
    """Booleans, numbers and arrays become strings; null and emptiness say nothing."""
    claims = {
        "verified": True,
        "adult": False,
        "height": 1.5,
        "updated_at": 1760000000,
        "name": "髙橋",
        "roles": ["a", 1, None, ["b"]],
        "cards": [{"number": "1"}, {"number": "2"}],
        "nothing": None,
        "empty": "",
        "none": [],
    }
    assert flatten(claims) == {
        "verified": ("true",),
        "adult": ("false",),
        "height": ("1.5",),
        "updated_at": ("1760000000",),
        "name": ("髙橋",),
        "roles": ("a", "1", "b"),
        "cards.number": ("1", "2"),
    }


def test_address_may_be_a_string_or_an_object():
    """Providers differ on `address`; both forms are read, each under its own name."""
    assert flatten({"address": "群馬県前橋市大手町"}) == {"address": ("群馬県前橋市大手町",)}
    assert flatten({"address": {"formatted": "群馬県", "locality": "前橋市"}}) == {
        "address.formatted": ("群馬県",),
        "address.locality": ("前橋市",),
    }


def test_attributes_without_values_are_no_claims():
    """OIDC Core §5.3.2: a claim without a value is left out."""
    assert nest({"name": (), "address.locality": ("前橋市",)}) == {"address": {"locality": "前橋市"}}


def test_too_deep_claims_are_left_out():
    """Nesting without end is cut off."""
    deep = {"a": "x"}
    for _ in range(9):
        deep = {"a": deep}
    assert flatten({**deep, "b": "y"}) == {"b": ("y",)}


def test_uri_names_are_not_taken_apart():
    """A name with a colon is collision-resistant, and its dots are its own."""
    assert nest({"https://kakehashi.example/claims/ward": ("x",)}) == {"https://kakehashi.example/claims/ward": "x"}


@pytest.mark.parametrize(
    "names", [["address", "address.locality"], ["address.locality", "address"], ["name", "sub"], ["acr"]]
)
def test_names_that_cannot_be_claims_are_refused(names):
    """A claim cannot be value and object at once, nor take a name that says something of the token."""
    with pytest.raises(ValueError, match="claim"):
        check_names(names)


def test_reached_keeps_the_order_of_the_service():
    """Asking for a parent reaches its members, asking for a name its language forms; never the reverse."""
    outward = ["card", "address.locality", "name#ja-Kana-JP", "name", "address2"]
    assert reached(["name", "address"], outward) == ("address.locality", "name#ja-Kana-JP", "name")
    assert reached(["address.locality", "name#ja-Kana-JP"], outward) == (
        "address.locality",
        "name#ja-Kana-JP",
    )
    assert reached([], outward) == ()


@given(st.lists(NAMES), st.lists(st.sampled_from(["name", "address.x", "a#b", "c"]), unique=True))
def test_nothing_unasked_is_reached(asked, outward):
    """What is reached is part of the service's map, and asking for more never reaches less."""
    found = reached(asked, outward)
    assert set(found) <= set(outward)
    assert set(found) <= set(reached([*asked, "name"], outward))


def test_standard_scopes_are_those_of_the_specification():
    """The four scopes of OIDC Core §5.4."""
    assert set(SCOPE_CLAIMS) == {"profile", "email", "address", "phone"}
    assert len(SCOPE_CLAIMS["profile"]) == 14


def test_claims_parameter_is_read():
    """Members, essential values of acr and a wanted sub are read; anything else is passed over."""
    asked = {
        "userinfo": {"name": None, "email": {"essential": True}, "https://x.example/y": {"value": 5}},
        "id_token": {
            "card": {"values": ["a", "b"]},
            "acr": {"essential": True, "values": ["urn:a", "urn:b"]},
            "sub": {"value": "person-1"},
            "auth_time": {"essential": True},
        },
        "other": 5,
    }
    assert read_claims_parameter(json.dumps(asked)) == ClaimsAsked(
        userinfo=frozenset({"name", "email", "https://x.example/y"}),
        id_token=frozenset({"card"}),
        acr=("urn:a", "urn:b"),
        acr_essential=True,
        subject="person-1",
    )
    assert read_claims_parameter('{"id_token":{"acr":null,"sub":null},"userinfo":null}') == ClaimsAsked()


@given(st.dictionaries(NAMES, st.none() | st.fixed_dictionaries({"essential": st.booleans()})))
def test_every_name_asked_is_read(members):
    """Whatever claims are named, exactly these are asked for, but for those that speak of the token itself."""
    found = read_claims_parameter(json.dumps({"userinfo": members, "id_token": members}))
    assert found.userinfo == found.id_token == frozenset(members) - PROTOCOL_CLAIMS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"userinfo":[]}',
        '{"userinfo":{"name":true}}',
        '{"id_token":{"acr":{"values":"urn:a"}}}',
        '{"id_token":{"acr":{"values":[1]}}}',
        '{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}',
        '{"id_token":{},"id_token":{}}',
        '{"userinfo":{"' + "x" * 16384 + '":null}}',
    ],
)
def test_malformed_claims_parameters_are_refused(text):
    """Another shape, duplicates, two wanted persons and a huge parameter are refused."""
    with pytest.raises(ValueError, match=r"."):
        read_claims_parameter(text)


def test_facts_are_true_or_false():
    """A service's code gets a boolean, not a text that is always true to it; other claims stay texts."""
    claims = nest({"adult": ("true",), "here.now": ("false",), "name": ("true",)}, {"adult", "here.now"})
    assert claims == {"adult": True, "here": {"now": False}, "name": "true"}
