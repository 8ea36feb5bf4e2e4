"""Metadata policy: the specification's operators, combinations and examples (OpenID Federation 1.0 §6.1), and laws."""

from functools import reduce
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trust_lists.federation_policy import COMBINATIONS, OPERATORS, PolicyError, apply, merge, read

TYPE = "openid_relying_party"
ABSENT = object()


def policy(operators, parameter="p"):
    """A policy of one parameter."""
    return read({TYPE: {parameter: operators}})


def outcome(operators, value=ABSENT, parameter="p"):
    """Tell what becomes of a parameter: its value, ABSENT, or the code of the error."""
    metadata = {TYPE: {} if value is ABSENT else {parameter: value}}
    try:
        return apply(policy(operators, parameter), metadata)[TYPE].get(parameter, ABSENT)
    except PolicyError as error:
        return error.code


def merged(superior, subordinate):
    """Tell the operators that come of a superior's and a subordinate's, or the code of the error."""
    try:
        return merge(policy(superior), policy(subordinate))[TYPE]["p"]
    except PolicyError as error:
        return error.code


# --- §6.1.3.1.1 to §6.1.3.1.7: what each operator does, one row each


@pytest.mark.parametrize(
    ("operators", "value", "expected"),
    [
        ({"value": "x"}, ABSENT, "x"),
        ({"value": "x"}, "y", "x"),
        ({"value": ["x"]}, ["y"], ["x"]),
        ({"value": False}, True, False),
        ({"value": 3}, "y", 3),
        ({"value": None}, "y", ABSENT),
        ({"value": None}, ABSENT, ABSENT),
        ({"add": ["a"]}, ABSENT, ["a"]),
        ({"add": ["a", "b"]}, ["b", "c"], ["b", "c", "a"]),
        ({"add": [{"x": 1}]}, [{"x": 2}], [{"x": 2}, {"x": 1}]),
        ({"add": [1]}, [1.0], [1]),
        ({"add": ["a"]}, "a", "parameter-type"),
        ({"default": "x"}, ABSENT, "x"),
        ({"default": "x"}, "y", "y"),
        ({"default": False}, ABSENT, False),
        ({"one_of": ["x", "y"]}, "x", "x"),
        ({"one_of": ["x", "y"]}, "z", "one-of"),
        ({"one_of": ["x", "y"]}, ABSENT, ABSENT),
        ({"one_of": ["x", "y"]}, ["x"], "parameter-type"),
        ({"one_of": [1, 2]}, 1, 1),
        ({"one_of": [1, 2]}, True, "parameter-type"),
        ({"one_of": ["1"]}, 1, "one-of"),
        ({"one_of": [{"a": 1, "b": 2}]}, {"b": 2, "a": 1}, {"a": 1, "b": 2}),
        ({"subset_of": ["a", "b"]}, ["b", "c"], ["b"]),
        ({"subset_of": ["a", "b"]}, ["c"], []),
        ({"subset_of": ["a", "b"]}, ABSENT, ABSENT),
        ({"subset_of": ["a", "b"]}, "a", "parameter-type"),
        ({"superset_of": ["a"]}, ["a", "b"], ["a", "b"]),
        ({"superset_of": ["a"]}, ["a"], ["a"]),
        ({"superset_of": ["a"]}, ["b"], "superset-of"),
        ({"superset_of": ["a"]}, ABSENT, ABSENT),
        ({"superset_of": ["a"]}, {"a": 1}, "parameter-type"),
        ({"essential": True}, ABSENT, "essential"),
        ({"essential": True}, {"any": "object"}, {"any": "object"}),
        ({"essential": True}, [], []),
        ({"essential": False}, ABSENT, ABSENT),
        # in their order, whatever the order they are written in
        ({"essential": True, "default": "x"}, ABSENT, "x"),
        ({"subset_of": ["a", "b"], "default": ["a", "c"]}, ABSENT, ["a"]),
        ({"superset_of": ["b"], "add": ["b"]}, ["a"], ["a", "b"]),
        ({"default": ["x"], "add": ["y"]}, ABSENT, ["y"]),
        ({"one_of": ["x"], "default": "y"}, ABSENT, "one-of"),
        ({"value": None, "essential": False}, "x", ABSENT),
        # §6.1.3.1.8: a set that must be equal
        ({"subset_of": ["a", "b"], "superset_of": ["a", "b"]}, ["b", "c", "a"], ["b", "a"]),
        ({"subset_of": ["a", "b"], "superset_of": ["a", "b"]}, ["a"], "superset-of"),
    ],
)
def test_what_operators_do(operators, value, expected):
    """A parameter becomes what the clause of each operator says."""
    assert outcome(operators, value) == expected


@pytest.mark.parametrize(
    ("essential", "value", "expected"),
    [
        (True, ["a", "e"], ["a"]),
        (False, ["a", "e"], ["a"]),
        (True, ["d", "e"], []),
        (False, ["d", "e"], []),
        (True, ABSENT, "essential"),
        (False, ABSENT, ABSENT),
    ],
)
def test_the_specifications_table_of_essential_and_subset_of(essential, value, expected):
    """§6.1.3.1.8, the table, row by row."""
    assert outcome({"essential": essential, "subset_of": ["a", "b", "c"]}, value) == expected


@pytest.mark.parametrize(
    ("operators", "value", "expected"),
    [
        ({"subset_of": ["openid", "email"]}, "openid phone", "openid"),
        ({"superset_of": ["openid"]}, "email", "superset-of"),
        ({"default": "openid email"}, ABSENT, "openid email"),
        ({"default": ["openid", "email"]}, ABSENT, "openid email"),
        ({"value": "openid", "subset_of": ["openid", "email"]}, "phone", "openid"),
        ({"add": ["email"]}, "openid", "openid email"),
        ({"subset_of": ["email"]}, "openid", ""),
        ({"value": None}, "openid", ABSENT),
        ({"essential": True}, "openid", "openid"),
        ({"subset_of": ["openid"]}, ["openid"], "parameter-type"),
        ({"one_of": ["openid"]}, "openid", "parameter-type"),
        ({"subset_of": [1]}, "openid", "operator-value"),
        ({"value": 1}, "openid", "operator-value"),
    ],
)
def test_scope_is_an_array_in_a_text(operators, value, expected):
    """§6.1.3.1.8: operators see `scope` as an array of texts; it stays a text."""
    assert outcome(operators, value, "scope") == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("value", [None]),
        ("value", [["a"]]),
        ("add", "a"),
        ("add", [True]),
        ("default", None),
        ("one_of", "a"),
        ("one_of", [None]),
        ("subset_of", None),
        ("superset_of", {}),
        ("essential", "true"),
        ("essential", 1),
        ("essential", None),
    ],
)
def test_values_that_operators_do_not_take(name, value):
    """An operator configured with another type of value is a policy error."""
    assert outcome({name: value}, "x") == "operator-value"


# --- combinations


def test_the_table_of_combinations_has_every_pair():
    """No two operators meet without a row that says whether they may."""
    names = [operator.name for operator in OPERATORS]
    assert list(COMBINATIONS) == list(combinations(names, 2))


@pytest.mark.parametrize(
    ("operators", "allowed"),
    [
        ({"value": ["a", "b"], "add": ["a"]}, True),
        ({"value": ["a"], "add": ["b"]}, False),
        ({"value": None, "add": ["a"]}, False),
        ({"value": "a", "default": "b"}, True),
        ({"value": None, "default": "b"}, False),
        ({"value": "a", "one_of": ["a", "b"]}, True),
        ({"value": "c", "one_of": ["a", "b"]}, False),
        ({"value": None, "one_of": ["a"]}, False),
        ({"value": ["a"], "subset_of": ["a", "b"]}, True),
        ({"value": ["c"], "subset_of": ["a", "b"]}, False),
        ({"value": [], "subset_of": ["a", "b"]}, True),
        ({"value": "a", "subset_of": ["a"]}, False),
        ({"value": ["a", "b"], "superset_of": ["a"]}, True),
        ({"value": ["b"], "superset_of": ["a"]}, False),
        ({"value": None, "essential": True}, False),
        ({"value": None, "essential": False}, True),
        ({"value": "a", "essential": True}, True),
        ({"add": ["a"], "default": ["b"]}, True),
        ({"add": ["a"], "one_of": ["a"]}, False),
        ({"add": ["a"], "subset_of": ["a", "b"]}, True),
        ({"add": ["c"], "subset_of": ["a", "b"]}, False),
        ({"add": ["a"], "superset_of": ["b"]}, True),
        ({"add": ["a"], "essential": True}, True),
        ({"default": "a", "one_of": ["b"]}, True),
        ({"default": ["a"], "subset_of": ["b"]}, True),
        ({"default": ["a"], "superset_of": ["b"]}, True),
        ({"default": ["a"], "essential": True}, True),
        ({"one_of": ["a"], "subset_of": ["a"]}, False),
        ({"one_of": ["a"], "superset_of": ["a"]}, False),
        ({"one_of": ["a"], "essential": False}, True),
        ({"subset_of": ["a", "b"], "superset_of": ["a"]}, True),
        ({"subset_of": ["a"], "superset_of": ["a", "b"]}, False),
        ({"subset_of": ["a"], "essential": True}, True),
        ({"superset_of": ["a"], "essential": True}, True),
    ],
)
def test_which_operators_may_stand_together(operators, allowed):
    """§6.1.3.1.1 to §6.1.3.1.7, "Combination with other operators": in one policy, and in what two merge to."""
    first, second = ({name: operators[name]} for name in operators)
    for found in (merged(first, second), merged(second, first)):
        assert found == (operators if allowed else "combination")
    if allowed:
        assert policy(operators)[TYPE]["p"] == operators
    else:
        with pytest.raises(PolicyError, match="cannot stand together"):
            policy(operators)


@pytest.mark.parametrize(
    ("name", "superior", "subordinate", "expected"),
    [
        ("value", "a", "a", "a"),
        ("value", "a", "b", "merge"),
        ("value", None, None, None),
        ("value", None, "a", "merge"),
        ("value", True, 1, "merge"),
        ("value", ["a", "b"], ["b", "a"], ["a", "b"]),
        ("add", ["a"], ["b", "a"], ["a", "b"]),
        ("default", "a", "a", "a"),
        ("default", "a", "b", "merge"),
        ("one_of", ["a", "b"], ["b", "c"], ["b"]),
        ("one_of", ["a"], ["b"], "merge"),
        ("subset_of", ["a", "b"], ["b", "c"], ["b"]),
        ("subset_of", ["a"], ["b"], []),
        ("superset_of", ["a"], ["b"], ["a", "b"]),
        ("essential", False, True, True),
        ("essential", True, False, True),
        ("essential", False, False, False),
    ],
)
def test_how_two_superiors_values_become_one(name, superior, subordinate, expected):
    """§6.1.3.1.1 to §6.1.3.1.7, "Operator value merge"."""
    found = merged({name: superior}, {name: subordinate})
    assert found == (expected if expected == "merge" else {name: expected})


def test_levels_merge_one_by_one():
    """§6.1.4.1: what only one of the two has is copied, at each of the three levels."""
    superior = read({"a": {"p": {"essential": True}}, "b": {"p": {"add": ["x"]}}})
    subordinate = read({"a": {"p": {"default": "x"}, "q": {"value": 1}}, "c": {"p": {"value": 2}}})
    assert merge(superior, subordinate) == {
        "a": {"p": {"default": "x", "essential": True}, "q": {"value": 1}},
        "b": {"p": {"add": ["x"]}},
        "c": {"p": {"value": 2}},
    }


@pytest.mark.parametrize("claim", [None, [], "x", {"a": []}, {"a": {"p": "x"}}, {"a": {"p": [{}]}}])
def test_what_has_not_three_levels(claim):
    """Anything but objects in objects in objects is refused."""
    with pytest.raises(PolicyError, match="an object is expected") as refused:
        read(claim)
    assert refused.value.code == "structure"


def test_operators_that_are_not_known():
    """§6.1.3.2: passed over, unless they are named as critical."""
    claim = {TYPE: {"op_policy_uri": {"regexp": "^https:", "essential": True}}}
    assert read(claim) == {TYPE: {"op_policy_uri": {"essential": True}}}
    with pytest.raises(PolicyError, match="regexp") as refused:
        read(claim, critical=["regexp"])
    assert refused.value.code == "critical-operator"
    assert read(claim, critical=["other"])


def test_only_entity_types_that_are_there():
    """A policy for another entity type, or language, changes nothing, and makes no metadata appear."""
    stated = read({"openid_provider": {"p": {"value": 1}}, TYPE: {"client_name#ja": {"value": "あ"}}})
    assert apply(stated, {TYPE: {"client_name": "a"}}) == {TYPE: {"client_name": "a", "client_name#ja": "あ"}}


# --- the worked examples


def test_the_worked_example_of_the_specification():
    """§6.1.5: an anchor's and an organisation's policy, merged, and applied to a relying party."""
    anchor = read(
        {
            TYPE: {
                "grant_types": {
                    "default": ["authorization_code"],
                    "subset_of": ["authorization_code", "refresh_token"],
                    "superset_of": ["authorization_code"],
                },
                "token_endpoint_auth_method": {
                    "one_of": ["private_key_jwt", "self_signed_tls_client_auth"],
                    "essential": True,
                },
                "token_endpoint_auth_signing_alg": {"one_of": ["PS256", "ES256"]},
                "subject_type": {"value": "pairwise"},
                "contacts": {"add": ["helpdesk@federation.example.org"]},
            }
        }
    )
    organisation = read(
        {
            TYPE: {
                "grant_types": {"subset_of": ["authorization_code"]},
                "token_endpoint_auth_method": {"one_of": ["self_signed_tls_client_auth"]},
                "contacts": {"add": ["helpdesk@org.example.org"]},
            }
        }
    )
    together = merge(anchor, organisation)
    assert together == {
        TYPE: {
            "grant_types": {
                "default": ["authorization_code"],
                "superset_of": ["authorization_code"],
                "subset_of": ["authorization_code"],
            },
            "token_endpoint_auth_method": {"one_of": ["self_signed_tls_client_auth"], "essential": True},
            "token_endpoint_auth_signing_alg": {"one_of": ["PS256", "ES256"]},
            "subject_type": {"value": "pairwise"},
            "contacts": {"add": ["helpdesk@federation.example.org", "helpdesk@org.example.org"]},
        }
    }
    relying_party = {
        "redirect_uris": ["https://rp.example.org/callback"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "contacts": ["rp_admins@rp.example.org"],
        # stated by the organisation, and laid over what the relying party states
        "sector_identifier_uri": "https://org.example.org/sector-ids.json",
        "policy_uri": "https://org.example.org/policy.html",
    }
    assert apply(together, {TYPE: relying_party})[TYPE] == {
        "redirect_uris": ["https://rp.example.org/callback"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://org.example.org/sector-ids.json",
        "policy_uri": "https://org.example.org/policy.html",
        "contacts": [
            "rp_admins@rp.example.org",
            "helpdesk@federation.example.org",
            "helpdesk@org.example.org",
        ],
    }


# --- laws

values = st.sampled_from(["a", "b", "c", "d"])
arrays = st.lists(values, max_size=4, unique=True)
operator_values = {
    "value": st.one_of(arrays, values, st.none()),
    "add": arrays,
    "default": st.one_of(arrays, values),
    "one_of": arrays,
    "subset_of": arrays,
    "superset_of": arrays,
    "essential": st.booleans(),
}
stated_operators = st.lists(st.sampled_from(sorted(operator_values)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: operator_values[name] for name in names})
)
policies = st.dictionaries(st.sampled_from(["p", "q", "scope"]), stated_operators, max_size=2).map(
    lambda each: {TYPE: each}
)
metadata = st.dictionaries(st.sampled_from(["p", "q"]), st.one_of(arrays, values), max_size=2)


def attempt(function, *arguments):
    """Answer a function's value, or "error"."""
    try:
        return function(*arguments)
    except PolicyError:
        return "error"


def as_sets(found):
    """Arrays are sets here: the order of merged values is not defined (§6.1.3)."""
    if isinstance(found, dict):
        return {name: as_sets(value) for name, value in found.items()}
    return frozenset(map(str, found)) if isinstance(found, list) else found


@settings(max_examples=400)
@given(policies, policies, policies)
def test_merging_is_associative(one, two, three):
    """Whichever two of three policies meet first, the same comes of it, or an error either way."""
    found = [attempt(read, each) for each in (one, two, three)]
    if "error" in found:
        return
    first, second, third = found
    left = attempt(lambda: merge(merge(first, second), third))
    right = attempt(lambda: merge(first, merge(second, third)))
    assert as_sets(left) == as_sets(right)


@settings(max_examples=300)
@given(policies)
def test_merging_with_itself_or_nothing_changes_nothing(one):
    """A policy that two superiors share, or that only one has, stays as it is."""
    found = attempt(read, one)
    if found == "error":
        return
    assert merge({}, found) == found == merge(found, {})
    if all(operators.get("one_of") != [] for operators in found[TYPE].values()):  # one_of nothing fails either way
        assert merge(found, found) == found


@settings(max_examples=600)
@given(st.lists(policies, min_size=1, max_size=3), metadata)
def test_nobody_below_escapes_a_superior(chain, stated):
    """What is resolved lies in every superior's one_of, subset_of and superset_of, and lacks nothing essential."""
    found = [attempt(read, each) for each in chain]
    if "error" in found:
        return
    together = attempt(reduce, merge, found)
    resolved = attempt(apply, together, {TYPE: stated}) if together != "error" else "error"
    if resolved == "error":
        return
    for each in found:
        for parameter, operators in each[TYPE].items():
            value = resolved[TYPE].get(parameter, ABSENT)
            if parameter == "scope" and value is not ABSENT:
                value = value.split()
            assert value is not ABSENT or not operators.get("essential")
            if value is ABSENT:
                continue
            assert "one_of" not in operators or value in operators["one_of"]
            assert "subset_of" not in operators or set(value) <= set(operators["subset_of"])
            assert "superset_of" not in operators or set(value) >= set(operators["superset_of"])
            assert as_sets(operators.get("value", value)) == as_sets(value)


@settings(max_examples=300)
@given(policies, metadata)
def test_applying_twice_is_applying_once(one, stated):
    """What a policy resolved, it leaves as it is."""
    found = attempt(read, one)
    resolved = attempt(apply, found, {TYPE: stated}) if found != "error" else "error"
    if resolved != "error":
        assert as_sets(apply(found, resolved)) == as_sets(resolved)
