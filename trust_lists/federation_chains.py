"""Trust chains of OpenID Federation 1.0 (§4, §10): from a subject up to a pinned trust anchor.

A chain is verified from the anchor downwards: each statement with the keys that the one above it states, so that
nothing is believed before somebody believed vouches for it. `CHECKS` is the table of what a chain must be as a whole.
`build` finds paths among statements at hand, shortest first; it looks at claims that are not verified yet, and believes
none of them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from itertools import islice, pairwise
from typing import Any

from trust_lists import federation_policy
from trust_lists.federation_constraints import ConstraintError, Constraints, allowed_types
from trust_lists.federation_constraints import check as check_constraints
from trust_lists.federation_policy import Metadata, Policy, PolicyError
from trust_lists.federation_statements import (
    TYPE,
    Statement,
    check_times,
    is_instant,
    read,
    read_configuration,
)
from trust_lists.federation_tokens import FederationKey, Keys, StatementRefusedError, header, peek_unsafe

MAXIMUM_INTERMEDIATES = 8
"""Entities between the anchor and a chain's subject. A longer chain is refused, whatever constraints allow."""

MAXIMUM_PATHS = 32
"""Paths from one subject to the anchor that `build` tries before it gives up."""

_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A verified chain: who is vouched for, until when, and as what.

    `statements` begin with the subject's configuration and end with the anchor's word on the topmost entity;
    `metadata` are resolved: overlaid by the immediate superior, cut to the allowed types, shaped by `policy`.
    `expires_at` is when the first of the statements ends, the anchor's configuration among them (§10.4).
    """

    anchor: Statement
    statements: tuple[Statement, ...]
    policy: Policy = field(repr=False)
    metadata: Metadata = field(repr=False)
    expires_at: datetime

    @property
    def subject(self) -> str:
        """Whom the chain vouches for."""
        return self.statements[0].subject

    @property
    def configuration(self) -> Statement:
        """What the subject says of itself."""
        return self.statements[0]

    @property
    def superior(self) -> Statement:
        """What the immediate superior says of the subject."""
        return self.statements[1]

    @property
    def rank(self) -> tuple[Any, ...]:
        """Order by which one of several valid chains is chosen: the shortest, then the one that holds longest (§10.3).

        The statements themselves decide the rest, so that the choice does not depend on who came first.
        """
        return len(self.statements), -self.expires_at.timestamp(), tuple(s.token for s in self.statements)


class Verifier:
    """Verifies chains to one anchor at one time; a statement that stands in many chains is verified once."""

    def __init__(self, anchor: Statement, now: datetime) -> None:
        self.anchor = anchor
        self.now = now
        self._seen: dict[tuple[str, FederationKey | None], Statement] = {}

    def verify(self, tokens: Sequence[str], *, of_itself: Iterable[str] = ()) -> Chain:
        """Verify a chain: the subject's configuration, then subordinate statements up to the anchor's own.

        The anchor's configuration may stand at the end, or be left out (§4). Entity types in `of_itself` are resolved
        even where the subject does not declare them: what superiors say there counts all the same.

        Raises `StatementRefusedError`: its codes, those of policies and constraints, and of `CHECKS`.
        """
        if tokens and tokens[-1] == self.anchor.token:
            tokens = tokens[:-1]
        if not 1 < len(tokens) <= MAXIMUM_INTERMEDIATES + 2:
            raise StatementRefusedError(
                "chain-length",
                f"a chain of an entity configuration and 1 to {MAXIMUM_INTERMEDIATES + 1} subordinate statements "
                f"is expected, not of {len(tokens)} statements",
            )
        statements: list[Statement] = []
        keys = self.anchor.keys
        for token in reversed(tokens[1:]):
            statements.insert(0, self._statement(token, keys))
            keys = statements[0].keys
        configuration = read_configuration(tokens[0], keys)
        statements.insert(0, configuration)
        for statement in statements:
            check_times(statement, self.now)
        for check in CHECKS:
            if not check.holds(statements, self.anchor):
                raise StatementRefusedError(check.code, check.says)
        policy, metadata = _resolved(statements, frozenset(of_itself))
        return Chain(
            anchor=self.anchor,
            statements=tuple(statements),
            policy=policy,
            metadata=metadata,
            expires_at=min(each.expires_at for each in (*statements, self.anchor)),
        )

    def _statement(self, token: str, keys: Keys) -> Statement:
        _, kid = header(token, TYPE)
        seen = (token, keys.get(kid))
        if seen not in self._seen:
            self._seen[seen] = read(token, keys)
        return self._seen[seen]


# --- a chain as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row: what must hold of a chain's statements and its anchor."""

    code: str
    says: str
    holds: Callable[[Sequence[Statement], Statement], bool]


CHECKS: tuple[Check, ...] = (
    Check(
        code="not-subordinate",
        says="between the subject and the anchor only subordinate statements are expected",
        holds=lambda statements, _: not any(each.is_configuration for each in statements[1:]),
    ),
    Check(
        code="other-anchor",
        says="the last statement is not of the trust anchor",
        holds=lambda statements, anchor: statements[-1].issuer == anchor.subject,
    ),
    Check(
        code="broken",
        says="a statement is left out or out of place: each must be about the issuer of the one before it",
        holds=lambda statements, _: all(one.issuer == above.subject for one, above in pairwise(statements)),
    ),
    Check(
        code="loop",
        says="an entity stands above itself",
        holds=lambda statements, anchor: (
            len({anchor.subject, *(each.subject for each in statements[1:])}) == len(statements)
        ),
    ),
    Check(
        code="not-acknowledged",
        says="the subject does not name its superior among its authority_hints",
        holds=lambda statements, _: statements[1].issuer in statements[0].authority_hints,
    ),
)
"""What §3.2 step 6, §4 and §10.2 demand of a chain whose signatures and times were found good."""


def _resolved(statements: Sequence[Statement], of_itself: frozenset[str]) -> tuple[Policy, dict[str, dict[str, Any]]]:
    """Hold the chain against every constraint (§6.2), then resolve the metadata (§6.1.4)."""
    constraints: list[Constraints] = []
    for position, statement in enumerate(statements):
        subjects = [each.subject for each in statements[: position + 1]]
        try:
            check_constraints(statement.constraints, intermediates=max(position - 1, 0), subjects=subjects)
        except ConstraintError as error:
            raise StatementRefusedError(error.code, f"constraints of {statement.issuer[:_SHOWN]}: {error}") from error
        constraints.append(statement.constraints)
    declared: Metadata = {**{each: {} for each in of_itself}, **statements[0].metadata}
    by_superior = statements[1].metadata
    overlaid = {each: {**stated, **by_superior.get(each, {})} for each, stated in declared.items()}
    allowed = allowed_types(constraints, overlaid)
    try:
        policy: Policy = reduce(federation_policy.merge, (each.policy for each in reversed(statements)), {})
        return policy, federation_policy.apply(policy, {each: overlaid[each] for each in overlaid if each in allowed})
    except PolicyError as error:
        raise StatementRefusedError(error.code, str(error)) from error


# --- finding chains


class Pool:
    """Statements at hand, by who says them of whom; nothing in it is verified."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._configurations: dict[str, list[str]] = {}
        self._statements: dict[str, dict[str, list[str]]] = {}
        for token in sorted(set(tokens)):
            try:
                claims = peek_unsafe(token, typ=TYPE)
            except StatementRefusedError:
                continue
            issuer, subject = claims.get("iss"), claims.get("sub")
            if not isinstance(issuer, str) or not isinstance(subject, str):
                continue
            if issuer == subject:
                self._configurations.setdefault(subject, []).append(token)
            else:
                self._statements.setdefault(subject, {}).setdefault(issuer, []).append(token)

    def subjects(self) -> list[str]:
        """Answer everybody who speaks of itself, in order."""
        return sorted(self._configurations)

    def configuration(self, subject: str) -> str | None:
        """Answer what the subject said of itself last, or None."""
        stated = self._configurations.get(subject, [])
        return max(stated, key=lambda token: (_issued(token), token), default=None)

    def subordinates(self, issuer: str) -> list[str]:
        """Answer about whom the issuer speaks, in order."""
        return sorted(subject for subject, issuers in self._statements.items() if issuer in issuers)

    def paths(self, subject: str, anchor: str) -> Iterator[tuple[str, ...]]:
        """Iterate over paths from the subject's configuration to the anchor, shortest first; no entity twice in one."""
        queue: deque[tuple[tuple[str, ...], tuple[str, ...]]] = deque(
            ((configuration,), (subject,)) for configuration in self._configurations.get(subject, ())
        )
        looked = 0
        while queue and looked < MAXIMUM_PATHS * (MAXIMUM_INTERMEDIATES + 1):
            looked += 1
            path, entities = queue.popleft()
            if entities[-1] == anchor:
                yield path
                continue
            if len(path) > MAXIMUM_INTERMEDIATES + 1:
                continue
            above: Mapping[str, list[str]] = self._statements.get(entities[-1], {})
            for issuer in sorted(above, key=lambda each: (each != anchor, each)):
                if issuer not in entities:
                    queue.extend(((*path, token), (*entities, issuer)) for token in above[issuer][:MAXIMUM_PATHS])


def _issued(token: str) -> float:
    issued = peek_unsafe(token, typ=TYPE).get("iat")
    return float(issued) if is_instant(issued) and issued is not None else 0.0


def build(pool: Pool, subject: str, verifier: Verifier) -> Chain:
    """Find the best valid chain for the subject among the statements at hand (§10.1, §10.3).

    Raises `StatementRefusedError`: `no-path`, or why the first path is none if no path is valid.
    """
    refused: StatementRefusedError | None = None
    found: list[Chain] = []
    for path in islice(pool.paths(subject, verifier.anchor.subject), MAXIMUM_PATHS):
        if found and len(path) > len(found[0].statements):
            break
        try:
            found.append(verifier.verify(path))
        except StatementRefusedError as error:
            refused = refused or error
    if found:
        return min(found, key=lambda chain: chain.rank)
    raise refused or StatementRefusedError("no-path", f"no path leads from {subject[:_SHOWN]} to the trust anchor")
