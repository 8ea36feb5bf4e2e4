"""The closed sets of names that may become a metric's label or a counter's key.

Whatever a caller sends, the number of time series is bounded by the configuration: a name that is not
configured is `other`, a name that was not known when the event happened is `none`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from federation.guard import Kind, Outcome
from federation.refusal import BY_CODE

OTHER = "other"
"""Stands for every name that is not configured."""

NONE = "none"
"""Stands for a name that was not known, say the municipality of a login that ended before one was chosen."""

KINDS = frozenset({"saml", "oidc", "certificate", "own"})
"""The protocols that connectors and frontends speak."""

REASONS = frozenset(BY_CODE)
"""The machine codes of the closed tree of refusals."""

GUARD_KINDS = frozenset({*Kind, "uninspected"})
"""What the guard finds (`federation/guard.py`), and what it could not look at."""

GUARD_OUTCOMES = frozenset(Outcome)
GUARD_DIRECTIONS = frozenset({"in", "out"})
GUARD_PLACES = frozenset({"login", "call"})

LIST_CODES = frozenset(
    {
        "awaited",
        "closed",
        "critical-extension",
        "critical-header",
        "expired",
        "format",
        "future",
        "other-list",
        "rejected",
        "rollback",
        "same-sequence",
        "signature",
        "too-large",
        "unanswered",
        "unreadable",
        "unsigned",
    }
)
"""Why a trust list is not loaded (`ListRefusedError.code`); `unreadable` is a file or address that gives
nothing, `awaited` one of which nothing was fetched or approved yet, `rejected` a version that somebody rejected."""

FETCH_CODES = frozenset(
    {
        "address",
        "dns",
        "encoding",
        "http",
        "private-address",
        "redirect",
        "slow",
        "status",
        "timeout",
        "tls",
        "too-large",
        "truncated",
        "unreachable",
    }
)
"""Why nothing usable came from the address of a list (`FetchRefusedError.code`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The names that the configuration in force knows.

    `id_systems` gives the municipality of each ID system by its id, `services` are the ids of relying
    services, `routes` gives the API service of each route's path template, `lists` are the names of trust
    lists. Derived: `municipalities` (of the ID systems; callers come from these too) and `api_services`
    (behind the routes).
    """

    id_systems: Mapping[str, str] = field(default_factory=dict)
    services: Collection[str] = frozenset()
    routes: Mapping[str, str] = field(default_factory=dict)
    lists: Collection[str] = frozenset()

    municipalities: frozenset[str] = field(init=False)
    api_services: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Derive what the other names imply; a frozen dataclass can only do that this way."""
        object.__setattr__(self, "services", frozenset(self.services))
        object.__setattr__(self, "lists", frozenset(self.lists))
        object.__setattr__(self, "municipalities", frozenset(self.id_systems.values()))
        object.__setattr__(self, "api_services", frozenset(self.routes.values()))


def closed(name: str | None, known: Collection[str]) -> str:
    """`name` if it is one of `known`, else `other`; `none` for None."""
    if name is None:
        return NONE
    return name if name in known else OTHER
