"""Certificate policies along a path (RFC 5280 §6.1.2–6.1.5, in the form of RFC 9618).

RFC 9618 replaced the tree, which mappings can blow up without bound, by a graph with one node for each policy and
certificate. Only the graph's ends are asked for here: so each node carries the policies *of the anchor's words* that
lead to it, and nothing needs to be pruned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

ANY_POLICY = "2.5.29.32.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What one certificate says of policies. `policies` None: it has no such extension (§4.2.1.4).

    `mappings`: pairs of the issuer's policy and the subject's (§4.2.1.5). The three numbers are those of §4.2.1.11
    and §4.2.1.14: how many certificates may follow before the rule begins; None: it never does.
    """

    policies: frozenset[str] | None = None
    mappings: tuple[tuple[str, str], ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    self_issued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Initial:
    """What is asked of the path before it begins (§6.1.1 c, e–g). `accepted` None: any policy."""

    accepted: frozenset[str] | None = None
    explicit: bool = False
    mapping_inhibited: bool = False
    any_inhibited: bool = False

    def at(self, anchor: Stated) -> "Initial":
        """The same, limited by what the listed certificate itself says (RFC 5937 §3.2)."""
        accepted = self.accepted
        if anchor.policies is not None and ANY_POLICY not in anchor.policies:
            accepted = anchor.policies if accepted is None else accepted & anchor.policies
        return Initial(
            accepted=accepted,
            explicit=self.explicit or anchor.require_explicit is not None,
            mapping_inhibited=self.mapping_inhibited or anchor.inhibit_mapping is not None,
            any_inhibited=self.any_inhibited or anchor.inhibit_any is not None,
        )


@dataclass(frozen=True, slots=True)
class _Node:
    """A policy valid at one certificate: by which names the next one may call it, and the anchor's names for it."""

    expected: frozenset[str]
    origins: frozenset[str]


@dataclass(slots=True)
class _State:
    """The variables of §6.1.2. `nodes` are those of the certificate last seen; none: the graph is NULL."""

    explicit: int
    mapping: int
    any_policy: int
    nodes: dict[str, _Node] = field(
        default_factory=lambda: {ANY_POLICY: _Node(frozenset({ANY_POLICY}), frozenset({ANY_POLICY}))}
    )


class PolicyError(Exception):
    """The path is not valid under the policies that are asked for."""


def valid_policies(path: Sequence[Stated], initial: Initial) -> frozenset[str]:
    """The policies for which the path holds, `path` from the certificate below the anchor to the person's (§6.1.5 g).

    They are limited to `initial.accepted`; empty, if none is valid and none was demanded. Raises `PolicyError`.
    """
    never = len(path) + 1
    state = _State(
        explicit=0 if initial.explicit else never,
        mapping=0 if initial.mapping_inhibited else never,
        any_policy=0 if initial.any_inhibited else never,
    )
    for number, stated in enumerate(path, 1):
        last = number == len(path)
        state.nodes = _descended(state, stated, last=last)
        if not state.explicit and not state.nodes:  # §6.1.3 f
            raise PolicyError("no policy is valid where one is demanded")
        if last:
            _wrap_up(state, stated)
        else:
            _map(state, stated)
            _prepare(state, stated)
    found = _accepted(state, initial.accepted)
    if not state.explicit and not found:
        raise PolicyError("none of the accepted policies is valid for the path")
    return found


def _descended(state: _State, stated: Stated, *, last: bool) -> dict[str, _Node]:
    """The nodes of the next certificate (§6.1.3 d, e)."""
    if stated.policies is None:
        return {}
    by_name: dict[str, frozenset[str]] = {}
    for node in state.nodes.values():
        for policy in node.expected:
            by_name[policy] = by_name.get(policy, frozenset()) | node.origins
    above = ANY_POLICY in state.nodes
    nodes: dict[str, _Node] = {}
    for policy in stated.policies - {ANY_POLICY}:
        if policy in by_name:  # d 1 i
            nodes[policy] = _Node(frozenset({policy}), by_name[policy])
        elif above:  # d 1 ii
            nodes[policy] = _Node(frozenset({policy}), frozenset({policy}))
    if ANY_POLICY in stated.policies and (state.any_policy > 0 or (not last and stated.self_issued)):  # d 2
        for policy, origins in by_name.items():
            nodes.setdefault(policy, _Node(frozenset({policy}), origins))
    return nodes


def _map(state: _State, stated: Stated) -> None:
    """Policy mappings (§6.1.4 a, b)."""
    mapped: dict[str, set[str]] = {}
    for of_issuer, of_subject in stated.mappings:
        if ANY_POLICY in {of_issuer, of_subject}:
            raise PolicyError("anyPolicy is mapped")
        mapped.setdefault(of_issuer, set()).add(of_subject)
    for policy, names in mapped.items():
        if not state.mapping:  # b 2
            state.nodes.pop(policy, None)
        elif policy in state.nodes:  # b 1
            state.nodes[policy] = _Node(frozenset(names), state.nodes[policy].origins)
        elif ANY_POLICY in state.nodes:
            state.nodes[policy] = _Node(frozenset(names), frozenset({policy}))


def _prepare(state: _State, stated: Stated) -> None:
    """The counters for the next certificate (§6.1.4 h–j)."""
    if not stated.self_issued:
        state.explicit = max(0, state.explicit - 1)
        state.mapping = max(0, state.mapping - 1)
        state.any_policy = max(0, state.any_policy - 1)
    state.explicit = _lower(state.explicit, stated.require_explicit)
    state.mapping = _lower(state.mapping, stated.inhibit_mapping)
    state.any_policy = _lower(state.any_policy, stated.inhibit_any)


def _lower(counter: int, stated: int | None) -> int:
    return counter if stated is None else min(counter, stated)


def _wrap_up(state: _State, stated: Stated) -> None:
    """The end of the path (§6.1.5 a, b)."""
    state.explicit = max(0, state.explicit - 1)
    if stated.require_explicit == 0:
        state.explicit = 0


def _accepted(state: _State, accepted: frozenset[str] | None) -> frozenset[str]:
    """The policies that authorities and the asker both allow (§6.1.5 g; RFC 9618 §5.6)."""
    allowed = frozenset[str]().union(*(node.origins for node in state.nodes.values()))
    if accepted is None:
        return allowed
    return accepted if ANY_POLICY in allowed else accepted & allowed
