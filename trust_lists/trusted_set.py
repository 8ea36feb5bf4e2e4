"""The trusted set: every list that is in force, as one answer to "may this entity act in this role now?".

No input or output and no clock. It owns four rules: a list never goes back behind its mark (`admission`); expiry and
status are looked at on each use; where lists in force say different things of one entity the more restrictive wins,
limit by limit; and where they differ on something of which neither is the narrower, nobody is believed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Any

from trust_lists.admission import Mark, check_mark, mark_of
from trust_lists.model import NotTrustedError, Role, Status, TrustedEntity, TrustList

_Words = tuple[TrustedEntity, ...]
"""What lists say of one entity in one role, by the lists' names: one list in nearly every case."""

_Key = tuple[str, Role]

_ROLES = tuple(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Lists that say different things of one entity in one role: on `about`, names of fields of `TrustedEntity`.

    `disputed`: nothing that all of them say is left of one of these, so that the entity is not believed at all.
    """

    entity_id: str
    role: Role
    lists: tuple[str, ...]
    about: tuple[str, ...]
    disputed: bool


class TrustedSet:
    """Lists by name, the newest of each. The order in which they were admitted makes no difference.

    `highest` are the marks of an earlier life, by list name: keep `highest()` on disk. Not safe for concurrent
    `admit`; `find` may run beside it.
    """

    def __init__(self, highest: Mapping[str, Mark] | None = None) -> None:
        self._highest: dict[str, Mark] = dict(highest or {})
        self._lists: dict[str, TrustList] = {}
        self._words: dict[_Key, _Words] = {}
        self._conflicts: dict[_Key, Conflict] = {}

    def admit(self, trust_list: TrustList) -> None:
        """Take this list in the place of the one of the same name.

        Raises `ListRefusedError` as `admission.check_mark` does; nothing changes then.

        Looks at the entities of this list and of the one before, and at no other list's: what is the same is copied.
        """
        self.check(trust_list)
        held = self._lists.get(trust_list.name)
        said = _index(trust_list)
        words, conflicts = self._words.copy(), self._conflicts.copy()
        for key in (_index(held) if held is not None else {}).keys() | said.keys():
            words[key] = found = _gathered(words.get(key, ()), trust_list.name, said.get(key, ()))
            if not found:
                del words[key]
            conflicts.pop(key, None)
            if len(found) > 1:
                conflicts |= _conflict(key, found)
        self._words, self._conflicts = words, conflicts
        self._lists = {**self._lists, trust_list.name: trust_list}
        self.raise_marks({trust_list.name: mark_of(trust_list)})

    def drop(self, name: str) -> None:
        """Let go of the list of that name, and keep its mark. Nothing happens if none is held."""
        held = self._lists.get(name)
        if held is None:
            return
        words, conflicts = self._words.copy(), self._conflicts.copy()
        for key in _index(held):
            words[key] = found = _gathered(words.get(key, ()), name, ())
            if not found:
                del words[key]
            conflicts.pop(key, None)
            if len(found) > 1:
                conflicts |= _conflict(key, found)
        self._words, self._conflicts = words, conflicts
        self._lists = {other: each for other, each in self._lists.items() if other != name}

    def check(self, trust_list: TrustList) -> None:
        """Tell whether the list may be admitted, as `admit` raises, and change nothing."""
        check_mark(trust_list, self._highest.get(trust_list.name))

    def raise_marks(self, highest: Mapping[str, Mark]) -> None:
        """Learn what was admitted elsewhere: by another process or node."""
        for name, mark in highest.items():
            held = self._highest.get(name)
            self._highest[name] = mark if held is None else held.higher(mark)

    def highest(self) -> dict[str, Mark]:
        """Answer the highest sequence number admitted for each list name, ever, and what was admitted under it."""
        return dict(self._highest)

    def lists(self) -> tuple[TrustList, ...]:
        """Answer the lists held, by name; expired ones too."""
        return tuple(self._lists[name] for name in sorted(self._lists))

    def list(self, name: str) -> TrustList | None:
        """Answer the list of that name, if one is held."""
        return self._lists.get(name)

    def conflicts(self) -> tuple[Conflict, ...]:
        """Answer where lists differ, by entity ID and role; limits that merely are narrower in one of them too."""
        return tuple(self._conflicts[key] for key in sorted(self._conflicts))

    def find(self, entity_id: str, role: Role, at: datetime) -> TrustedEntity:
        """Answer the entity, if lists in force at `at` say that it may act in this role.

        Of several lists' words the answer is what all of them allow. Raises `NotTrustedError`: `unlisted`,
        `other-role` (listed, but not as this), `expired` (was listed until some earlier time), `withdrawn` (by any
        list in force), or `disputed` (nothing is left that lists in force agree on).

        Costs the same whatever the lists hold.
        """
        return self.find_with_words(entity_id, role, at)[0]

    def find_with_words(self, entity_id: str, role: Role, at: datetime) -> tuple[TrustedEntity, _Words]:
        """Answer what `find` does, and the words it rests on: one version of each list, whatever comes meanwhile."""
        words = self._words.get((entity_id, role), ())
        if len(words) == 1:  # nearly always
            word = words[0]
            if at < word.valid_until and word.status_at(at) is not Status.WITHDRAWN:
                return word, words
        in_force = [entity for entity in words if at < entity.valid_until]
        if not in_force:
            code = "expired" if words else "other-role" if self.roles(entity_id) else "unlisted"
            raise NotTrustedError(code, entity_id, role)
        for entity in in_force:
            if entity.status_at(at) is Status.WITHDRAWN:
                raise NotTrustedError("withdrawn", entity_id, role)
        if len(in_force) == 1:
            return in_force[0], words
        together = _together(in_force, at)
        if together is None:
            raise NotTrustedError("disputed", entity_id, role)
        return together, words

    def words(self, entity_id: str, role: Role) -> _Words:
        """Answer what each list says of the entity in this role, expired and withdrawn words too, by list name."""
        return self._words.get((entity_id, role), ())

    def roles(self, entity_id: str) -> frozenset[Role]:
        """Answer every role in which some list names the entity."""
        return frozenset(role for role in _ROLES if (entity_id, role) in self._words)

    def entities(self, role: Role, at: datetime) -> Iterator[TrustedEntity]:
        """Iterate over every entity that `find` would answer in this role, by entity ID."""
        for entity_id in sorted(entity_id for entity_id, stated in self._words if stated == role):
            try:
                yield self.find(entity_id, role, at)
            except NotTrustedError:
                continue


def _index(trust_list: TrustList) -> dict[_Key, _Words]:
    """Sort out what a list says of each entity in each role, in its own name and no longer than the list holds."""
    words: dict[_Key, _Words] = {}
    for entity in trust_list.entities:
        bounded = entity
        if entity.valid_until > trust_list.valid_until or entity.listed_in != trust_list.name:
            until = min(entity.valid_until, trust_list.valid_until)
            bounded = replace(entity, valid_until=until, listed_in=trust_list.name)
        for role in entity.roles:
            key = (entity.entity_id, role)
            words[key] = (*words[key], bounded) if key in words else (bounded,)
    return words


def _gathered(words: _Words, name: str, said: _Words) -> _Words:
    """Put what the list of that name says now in the place of what it said before."""
    if not words or (len(words) == 1 and words[0].listed_in == name):  # nearly always
        return said
    others = (word for word in words if word.listed_in != name)
    return tuple(sorted((*others, *said), key=lambda word: word.listed_in))


# --- several lists' words on one entity


def _common(one: Iterable[Any], other: Iterable[Any]) -> tuple[Any, ...]:
    kept = set(other)
    return tuple(each for each in one if each in kept)


def _stated(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    """Answer what both state; a word that states nothing leaves it to the other one."""
    return _common(one, other) if one and other else one or other


def _least(one: int | None, other: int | None) -> int | None:
    stated = [level for level in (one, other) if level is not None]
    return min(stated, default=None)


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


_Permitted = Mapping[str, tuple[str, ...]]


def _all_permit(one: _Permitted, other: _Permitted) -> _Permitted:
    """Answer by name what both leave; a word that does not speak of a name leaves it to the other one."""
    both = {name: _common(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}


_STRICTEST = {Status.WITHDRAWN: 0, Status.RECOGNISED: 1, Status.GRANTED: 2}

_NARROWER: Mapping[str, Callable[[Any, Any], Any]] = {
    "signing_certificates": _common,
    "encryption_certificates": _common,
    "endpoints": _common,
    "encryption_methods": _stated,
    "scopes": _common,
    "uses": _both,
    "permitted": _all_permit,
    "maximum_identity": _least,
    "wants_signed_requests": lambda one, other: one or other,
    "wants_signed_assertions": lambda one, other: one or other,
}
"""Limits of which there is a narrower one, and how it is found."""

_SAME = ("municipality", "metadata", "subject_id", "service_type")
"""What has no narrower value: lists that differ on it are not believed."""

_NEVER_EMPTY = ("signing_certificates", "encryption_certificates", "endpoints")
"""What an entity cannot do without if any list says that it has it."""


def _together(words: Sequence[TrustedEntity], at: datetime) -> TrustedEntity | None:
    """Answer what all words allow at a time, in the name of the one that holds longest; None if they are in dispute.

    They are if they differ on what has no narrower value, or leave nothing of what an entity needs.
    """
    first, *others = sorted(words, key=lambda word: word.valid_until, reverse=True)
    if any(getattr(first, name) != getattr(other, name) for other in others for name in _SAME):
        return None
    strictest = min(words, key=lambda word: _STRICTEST[word.status_at(at)])
    limits = {
        name: reduce(narrower, (getattr(other, name) for other in others), getattr(first, name))
        for name, narrower in _NARROWER.items()
    }
    if any(not limits[name] and any(getattr(word, name) for word in words) for name in _NEVER_EMPTY):
        return None
    return replace(
        first,
        status=strictest.status,
        status_since=strictest.status_since,
        history=strictest.history,
        **limits,
    )


def _conflict(key: _Key, said: _Words) -> dict[_Key, Conflict]:
    about = tuple(
        name
        for name in (*_SAME, *_NARROWER, "status")
        if any(getattr(word, name) != getattr(said[0], name) for word in said[1:])
    )
    if not about:
        return {}
    entity_id, role = key
    conflict = Conflict(
        entity_id=entity_id,
        role=role,
        lists=tuple(word.listed_in for word in said),
        about=about,
        disputed=_together(said, said[0].valid_until) is None,
    )
    return {key: conflict}
