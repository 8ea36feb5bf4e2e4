"""The trusted set: every list that is in force, as one answer to "may this entity act in this role now?".

No input or output and no clock. It owns three rules: a list never goes back to a lower sequence number;
expiry is looked at on each use; and where two lists in force say different things of one entity, neither is
believed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from trust_lists.model import ListRefusedError, NotTrustedError, Role, TrustedEntity, TrustList

_NO_TIME = datetime.max.replace(tzinfo=UTC)

_Words = tuple[TrustedEntity, ...]
"""What lists say of one entity in one role: one value for each different word, so mostly one."""


class TrustedSet:
    """Lists by name, the newest of each. The order in which they were admitted makes no difference.

    `highest` are the highest sequence numbers admitted in an earlier life, by list name: keep `highest()` on
    disk. Not safe for concurrent `admit`; `find` may run beside it.
    """

    def __init__(self, highest: Mapping[str, int] | None = None) -> None:
        self._highest: dict[str, int] = dict(highest or {})
        self._lists: dict[str, TrustList] = {}
        self._words: dict[tuple[str, Role], _Words] = {}
        self._roles: dict[str, frozenset[Role]] = {}

    def admit(self, trust_list: TrustList) -> None:
        """Take this list in the place of the one of the same name.

        Raises `ListRefusedError` with code `rollback` if a higher sequence number was admitted before;
        nothing changes then. The same number again is no rollback: it is the same list, read again.
        """
        highest = self._highest.get(trust_list.name, trust_list.sequence)
        if trust_list.sequence < highest:
            raise ListRefusedError(
                "rollback",
                f"list {trust_list.name}: its sequence number is {trust_list.sequence}, but {highest} was "
                "admitted before; an older list stands in for a newer one. Fetch the current list.",
            )
        lists = {**self._lists, trust_list.name: trust_list}
        self._words, self._roles = _index(lists[name] for name in sorted(lists))
        self._lists = lists
        self._highest[trust_list.name] = trust_list.sequence

    def highest(self) -> dict[str, int]:
        """Answer the highest sequence number admitted for each list name, ever."""
        return dict(self._highest)

    def lists(self) -> tuple[TrustList, ...]:
        """Answer the lists held, by name; expired ones too."""
        return tuple(self._lists[name] for name in sorted(self._lists))

    def find(self, entity_id: str, role: Role, at: datetime) -> TrustedEntity:
        """Answer the entity, if a list in force at `at` says that it may act in this role.

        Raises `NotTrustedError`: `unlisted`, `other-role` (listed, but not as this), `expired` (was listed
        until some earlier time), or `disputed` (lists in force differ on its keys, addresses or
        municipality).

        Costs the same whatever the lists hold: that they differ was seen when they were admitted.
        """
        words = self._words.get((entity_id, role), ())
        in_force = [entity for entity in words if at < entity.valid_until]
        if len(in_force) == 1:
            return in_force[0]
        if in_force:
            code = "disputed"
        elif words:
            code = "expired"
        else:
            code = "other-role" if entity_id in self._roles else "unlisted"
        raise NotTrustedError(code, entity_id, role)

    def entities(self, role: Role, at: datetime) -> Iterator[TrustedEntity]:
        """Iterate over every entity that `find` would answer in this role, by entity ID."""
        for entity_id, roles in self._roles.items():
            if role in roles:
                try:
                    yield self.find(entity_id, role, at)
                except NotTrustedError:
                    continue


def _index(lists: Iterable[TrustList]) -> tuple[dict[tuple[str, Role], _Words], dict[str, frozenset[Role]]]:
    """Gather what the lists, by name, say of each entity in each role; and the roles of each, by entity ID."""
    words: dict[tuple[str, Role], _Words] = {}
    roles: dict[str, frozenset[Role]] = {}
    for trust_list in lists:
        for entity in trust_list.entities:
            bounded = entity
            if entity.valid_until > trust_list.valid_until:
                bounded = replace(entity, valid_until=trust_list.valid_until)
            for role in entity.roles:
                key = (entity.entity_id, role)
                words[key] = _with(words[key], bounded) if key in words else (bounded,)
            known = roles.get(entity.entity_id)
            roles[entity.entity_id] = entity.roles if known is None else known | entity.roles
    return words, dict(sorted(roles.items()))


def _with(words: _Words, entity: TrustedEntity) -> _Words:
    """Add one list's word. Of those that agree the one that holds longest is kept: it is in force if any of them is."""
    said = _substance(entity)
    for position, word in enumerate(words):
        if _substance(word) == said:
            longer = entity if entity.valid_until > word.valid_until else word
            return (*words[:position], longer, *words[position + 1 :])
    return (*words, entity)


def _substance(entity: TrustedEntity) -> TrustedEntity:
    """Keep what two lists must agree on: everything but whose word, until when, and names."""
    return replace(entity, listed_in="", names={}, valid_until=_NO_TIME, roles=frozenset())
