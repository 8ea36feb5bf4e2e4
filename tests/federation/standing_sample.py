"""Trust lists that name given ID systems, for tests of what a login decides."""

from datetime import UTC, datetime
from typing import Any

from federation.model import IdSystem
from federation.standing import ROLES, Standings
from trust_lists.model import TrustedEntity, TrustList
from trust_lists.recognition import UNRESTRICTED, Recognitions
from trust_lists.trusted_set import TrustedSet

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def trusted(*systems: IdSystem, listed_in: str = "region", **said: Any) -> TrustedSet:
    """A trusted set of one list, which says `said` of each ID system."""
    entities = tuple(
        TrustedEntity(
            entity_id=system.entity_id,
            roles=frozenset({ROLES[system.kind]}),
            listed_in=listed_in,
            valid_until=END,
            municipality=system.municipality,
            **said,
        )
        for system in systems
    )
    found = TrustedSet()
    found.admit(TrustList(name=listed_in, issued_at=BEGIN, valid_until=END, sequence=1, entities=entities))
    return found


def standings(*systems: IdSystem, rules: Recognitions = UNRESTRICTED, **said: Any) -> Standings:
    """What the ID systems' word counts for, by that list and these recognitions."""
    return Standings(trust=trusted(*systems, **said), recognitions=rules)
