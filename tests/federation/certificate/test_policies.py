"""Certificate policies along a path, held against the tree of RFC 5280 as it is written there."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.certificate.policies import ANY_POLICY, Initial, PolicyError, Stated, valid_policies

A, B, C = "1.1", "1.2", "1.3"


# --- RFC 5280 §6.1.2–6.1.5, word for word


@dataclass(eq=False)
class Node:
    policy: str
    expected: set[str]
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    def child(self, policy: str, expected: set[str]) -> None:
        self.children.append(Node(policy, expected, self))

    def remove(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)


class Tree:
    """A valid_policy_tree. `top` is None when it is NULL."""

    def __init__(self) -> None:
        self.top: Node | None = Node(ANY_POLICY, {ANY_POLICY})

    def at(self, depth: int) -> list[Node]:
        level = [self.top] if self.top else []
        for _ in range(depth):
            level = [child for node in level for child in node.children]
        return level

    def prune(self, depth: int) -> None:
        """Nodes above `depth` without children go, until none is left that has none."""
        for level in range(depth - 1, -1, -1):
            for node in self.at(level):
                if not node.children:
                    node.remove()
                    if node is self.top:
                        self.top = None


def by_the_book(  # noqa: C901, PLR0912, PLR0915 - in one piece, as it stands there
    path: list[Stated], initial: Initial
) -> set[str] | None:
    """The valid policies, None where the path is refused."""
    n = len(path)
    tree = Tree()
    explicit = 0 if initial.explicit else n + 1
    mapping = 0 if initial.mapping_inhibited else n + 1
    any_policy = 0 if initial.any_inhibited else n + 1
    for i, certificate in enumerate(path, 1):
        if certificate.policies is not None and tree.top is not None:
            before = tree.at(i - 1)
            for policy in certificate.policies - {ANY_POLICY}:  # d 1
                matching = [node for node in before if policy in node.expected]
                for node in matching:
                    node.child(policy, {policy})
                if not matching:
                    for node in before:
                        if node.policy == ANY_POLICY:
                            node.child(policy, {policy})
            if ANY_POLICY in certificate.policies and (any_policy > 0 or (i < n and certificate.self_issued)):  # d 2
                for node in before:
                    for policy in node.expected - {child.policy for child in node.children}:
                        node.child(policy, {policy})
            tree.prune(i)  # d 3
        else:
            tree.top = None  # e
        if not (explicit > 0 or tree.top is not None):  # f
            return None
        if i == n:
            break
        if any(ANY_POLICY in pair for pair in certificate.mappings):  # 6.1.4 a
            return None
        for issuers in {pair[0] for pair in certificate.mappings}:  # b
            subjects = {pair[1] for pair in certificate.mappings if pair[0] == issuers}
            matching = [node for node in tree.at(i) if node.policy == issuers]
            if mapping > 0:
                for node in matching:
                    node.expected = set(subjects)
                if not matching:
                    for node in tree.at(i - 1):
                        if node.policy == ANY_POLICY and any(child.policy == ANY_POLICY for child in node.children):
                            node.child(issuers, set(subjects))
            else:
                for node in matching:
                    node.remove()
                tree.prune(i)
        if not certificate.self_issued:  # h
            explicit, mapping, any_policy = max(0, explicit - 1), max(0, mapping - 1), max(0, any_policy - 1)
        if certificate.require_explicit is not None:  # i
            explicit = min(explicit, certificate.require_explicit)
        if certificate.inhibit_mapping is not None:
            mapping = min(mapping, certificate.inhibit_mapping)
        if certificate.inhibit_any is not None:  # j
            any_policy = min(any_policy, certificate.inhibit_any)
    explicit = max(0, explicit - 1)  # 6.1.5 a
    if path[-1].require_explicit == 0:  # b
        explicit = 0
    valid: set[str] = set()  # g: the policies in the anchor's words
    for depth in range(1, n + 1):
        for node in tree.at(depth):
            if node.parent is not None and node.parent.policy == ANY_POLICY:
                if node.policy != ANY_POLICY:
                    valid.add(node.policy)
                elif depth == n:
                    valid.add(ANY_POLICY)
    if initial.accepted is not None:
        valid = set(initial.accepted) if ANY_POLICY in valid else valid & initial.accepted
    return valid if explicit > 0 or valid else None


# --- held against one another

POLICY = st.sampled_from([A, B, C])
CERTIFICATES = st.builds(
    Stated,
    policies=st.none() | st.frozensets(st.sampled_from([A, B, C, ANY_POLICY, ANY_POLICY]), min_size=1),
    mappings=st.lists(st.tuples(POLICY, POLICY), max_size=3).map(tuple),
    require_explicit=st.none() | st.integers(0, 3),
    inhibit_mapping=st.none() | st.none() | st.integers(0, 3),
    inhibit_any=st.none() | st.none() | st.integers(0, 3),
    self_issued=st.sampled_from([False, False, False, True]),
)
INITIALS = st.builds(
    Initial,
    accepted=st.none() | st.frozensets(POLICY, min_size=1),
    explicit=st.booleans(),
    mapping_inhibited=st.sampled_from([False, False, True]),
    any_inhibited=st.sampled_from([False, False, True]),
)


@given(path=st.lists(CERTIFICATES, min_size=1, max_size=5), initial=INITIALS)
@settings(max_examples=1000, deadline=None)
def test_the_outcome_is_that_of_the_tree_in_rfc_5280(path: list[Stated], initial: Initial) -> None:
    """Whatever is stated and asked, both forms of the algorithm refuse the same paths and find the same policies."""
    expected = by_the_book(path, initial)

    if expected is None:
        with pytest.raises(PolicyError):
            valid_policies(path, initial)
    else:
        assert valid_policies(path, initial) == expected


def test_mappings_that_multiply_cost_no_more() -> None:
    """Each level maps every policy to every other: a tree would have 40 to the power of 5 leaves (RFC 9618 §3)."""
    many = [f"2.{number}" for number in range(40)]
    level = Stated(policies=frozenset(many), mappings=tuple((one, other) for one in many for other in many))

    assert valid_policies([level] * 5, Initial(explicit=True)) == set(many)


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (Stated(), {A, B}),
        (Stated(policies=frozenset({A, C})), {A}),
        (Stated(policies=frozenset({ANY_POLICY})), {A, B}),
        (Stated(policies=frozenset({C})), set()),
        (Stated(policies=frozenset({C}), require_explicit=3), None),
    ],
)
def test_what_the_listed_certificate_states_limits_the_policies(anchor: Stated, expected: set[str] | None) -> None:
    """The anchor's own policies and constraints count from the beginning (RFC 5937 §3.2)."""
    path = [Stated(policies=frozenset({ANY_POLICY})), Stated(policies=frozenset({A, B}))]

    if expected is None:
        with pytest.raises(PolicyError):
            valid_policies(path, Initial().at(anchor))
    else:
        assert valid_policies(path, Initial().at(anchor)) == expected
