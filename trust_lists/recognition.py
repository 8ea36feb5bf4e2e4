"""Recognition between municipalities: what one list's word is worth in another municipality.

A list says what an entity may assert and what for. A *recognition* says that a municipality (or every one) counts a
list, or whatever another municipality counts, up to a level, for some uses, until a day, under an agreement. Whoever
relies on an entity does so along a path of recognitions from its own municipality to a list that names the entity.
The answer is the narrowest of everything on the path: the least level, the uses and scopes that all allow, the
earliest end. No recognition, however generous, makes more of an entity than its list says. A list that another list
led to (`trust_lists/following.py`) counts as that one does: on the same terms, and for nothing beyond them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from trust_lists.following import root
from trust_lists.model import NotTrustedError, Role, Status, TrustedEntity
from trust_lists.trusted_set import TrustedSet

MAXIMUM_LENGTH = 3
"""Recognitions that may follow one another, unless the configuration says less."""

EVERYONE = "everyone"
"""In the place of a municipality's code: what the council of all municipalities recognises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition:
    """One statement: `by` (a municipality's code, or `EVERYONE`) recognises a list, or what a municipality recognises.

    Exactly one of `list` and `municipality` is set. A limit that is None is none. `until` is the first instant at
    which it no longer holds, `since` the first at which it does. `agreement` names the document it rests on, `place`
    where it is written.
    """

    id: str
    by: str
    until: datetime
    list: str | None = None
    municipality: str | None = None
    roles: frozenset[Role] | None = None
    statuses: frozenset[Status] = frozenset({Status.GRANTED})
    uses: frozenset[str] | None = None
    maximum_identity: int | None = None
    scopes: frozenset[str] | None = None
    since: datetime | None = None
    agreement: str = ""
    place: str = ""


Path = tuple[Recognition, ...]
"""From the municipality that relies to the list; empty: its own list, or no recognition is needed in this region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The narrowest of what a path's recognitions allow. A limit that is None is none."""

    path: Path
    roles: frozenset[Role] | None
    statuses: frozenset[Status]
    uses: frozenset[str] | None
    maximum_identity: int | None
    scopes: frozenset[str] | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What an entity's word counts for: up to which identity assurance (None: not limited), for which uses (None: any).

    `scopes` are those in which it may assert scoped attributes. `listed_in` is the list on whose word, `path` how the
    one who relies comes to count that list. It may have changed at `until` at the latest.
    """

    entity: TrustedEntity
    listed_in: str
    path: Path
    maximum_identity: int | None
    uses: frozenset[str] | None
    scopes: tuple[str, ...]
    until: datetime


class NotRecognisedError(NotTrustedError):
    """Lists name the entity, but their word does not count for the one who relies, or not for this use.

    `code` is `not-recognised` (no path leads to a list that names it), or the first limit on the path that comes
    furthest: `recognition-not-yet`, `recognition-ended`, `role-not-recognised`, `status-not-recognised`,
    `use-not-recognised`. `path` is that path.
    """

    def __init__(self, code: str, entity_id: str, role: Role, path: Path = ()) -> None:
        super().__init__(code, entity_id, role)
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked at: an entity by one list's word, on terms, for a use (None: no particular one), at a time."""

    terms: Terms
    entity: TrustedEntity
    role: Role
    use: str | None
    at: datetime


NO_RELIANCE: Final = "*"
"""A use that no limit is about, and no list can name: what a person is shown of their own, for which nobody relies."""


def allows(uses: frozenset[str] | None, use: str | None) -> bool:
    """Tell whether a limit lets a use through; what is limited to some uses is not good for a use that nobody names."""
    return uses is None or use in uses or use == NO_RELIANCE


LIMITS: tuple[tuple[str, Callable[[Asked], bool]], ...] = (
    ("recognition-not-yet", lambda a: a.terms.since is None or a.at >= a.terms.since),
    ("recognition-ended", lambda a: a.terms.until is None or a.at < a.terms.until),
    ("role-not-recognised", lambda a: a.terms.roles is None or a.role in a.terms.roles),
    ("status-not-recognised", lambda a: a.entity.status_at(a.at) in a.terms.statuses),
    ("use-not-recognised", lambda a: allows(a.terms.uses, a.use) and allows(a.entity.uses, a.use)),
)
"""Everything that a path must let through, in the order in which it is asked, with the code of the refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognitions:
    """Every statement, and whose list is whose (`owners`: a list's name → its municipality's code).

    `restricted` False: the region has no recognitions at all, and every list counts for everyone.
    """

    statements: tuple[Recognition, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    maximum_length: int = MAXIMUM_LENGTH
    restricted: bool = True
    _terms: dict[tuple[str | None, str], tuple[Terms, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _reached: dict[str | None, Mapping[str, tuple[Terms, ...]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _said: dict[str, list[Recognition]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _targets: dict[tuple[str, str | None, str | None], list[Recognition]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Sort the statements by who makes them, and by whom they are about."""
        for each in self.statements:
            self._said.setdefault(each.by, []).append(each)
            self._targets.setdefault((each.by, each.list, each.municipality), []).append(each)

    def terms(self, relying: str | None, listed_in: str) -> tuple[Terms, ...]:
        """Answer on which terms a municipality (None: the region as a whole) counts a list, the best first.

        Its own list counts without a recognition. The region as a whole has only what everyone recognises. No path is
        longer than allowed. Of two paths the longer one is left out if it allows nothing that the other does not.
        """
        key = (relying, root(listed_in))
        found = self._terms.get(key)
        if found is None:
            found = self._terms[key] = tuple(sorted(self._leading(*key), key=_generosity))
        return found

    def owner(self, listed_in: str) -> str | None:
        """Answer whose list it is, or whose list led to it."""
        return self.owners.get(root(listed_in))

    def _leading(self, relying: str | None, listed_in: str) -> Iterable[Terms]:
        owner = self.owners.get(listed_in)
        if not self.restricted or (relying is not None and owner == relying):
            return (_NO_PATH,)
        found: list[Terms] = []
        for place, reached in self._reach(relying).items():
            last = self._targets.get((place, listed_in, None), ())
            last = [*last, *self._targets.get((place, None, owner), ())] if owner is not None else last
            for terms in reached:
                for statement in last:
                    _keep(found, _further(terms, statement))
        return found

    def _reach(self, relying: str | None) -> Mapping[str, tuple[Terms, ...]]:
        """Answer on which terms the word of each municipality counts that can be reached, with one step left to take.

        Breadth first, and only onwards from what is not narrower than another path to the same place: however many
        recognise one another, a place is left once or a few times.
        """
        found = self._reached.get(relying)
        if found is not None:
            return found
        reached = {place: [_NO_PATH] for place in ((EVERYONE,) if relying is None else (EVERYONE, relying))}
        for length in range(1, self.maximum_length):
            for place, far in [(place, terms) for place, all_terms in reached.items() for terms in all_terms]:
                if len(far.path) != length - 1:
                    continue
                for statement in self._said.get(place, ()):
                    if statement.municipality is None:
                        continue
                    there = reached.setdefault(statement.municipality, [])
                    if not any(len(each.path) < length and _allows_all(each, far) for each in there):
                        _keep(there, _further(far, statement))
        return self._reached.setdefault(relying, {place: tuple(terms) for place, terms in reached.items()})


UNRESTRICTED = Recognitions(restricted=False)


def worth(
    trusted: TrustedSet,
    recognitions: Recognitions,
    entity_id: str,
    role: Role,
    *,
    relying: str | None,
    use: str | None,
    at: datetime,
) -> Worth:
    """Answer what the entity's word counts for in municipality `relying` (None: the region), for `use`, now.

    Raises `NotTrustedError` as `TrustedSet.find` does, and `NotRecognisedError`. Of several paths that let it
    through the most generous one counts: more identity assurance first, then the later end.
    """
    entity, words = trusted.find_with_words(entity_id, role, at)
    turn = _next_status(words, at)
    nearest, why = -1, NotRecognisedError("not-recognised", entity_id, role)
    best: Worth | None = None
    for word in words:
        if at >= word.valid_until:
            continue
        for terms in recognitions.terms(relying, word.listed_in):
            asked = Asked(terms=terms, entity=entity, role=role, use=use, at=at)
            for number, (code, kept) in enumerate(LIMITS):
                if not kept(asked):
                    if number > nearest:
                        nearest, why = number, NotRecognisedError(code, entity_id, role, terms.path)
                    break
            else:
                found = _worth(entity, word, terms, turn)
                if best is None or _value(found) > _value(best):
                    best = found
    if best is None:
        raise why
    return best


# --- of several limits the narrowest

T = TypeVar("T")

_NOT_WITHDRAWN = frozenset({Status.GRANTED, Status.RECOGNISED})
_NO_LIMIT = 4
"""Stands for no limit where levels, 0 to 3, are compared."""


_NO_PATH = Terms(
    path=(), roles=None, statuses=_NOT_WITHDRAWN, uses=None, maximum_identity=None, scopes=None, since=None, until=None
)


def _further(terms: Terms, statement: Recognition) -> Terms:
    """Answer what is left of the terms after one recognition more."""
    return Terms(
        path=(*terms.path, statement),
        roles=_common((terms.roles, statement.roles)),
        statuses=terms.statuses & statement.statuses,
        uses=_common((terms.uses, statement.uses)),
        maximum_identity=_least((terms.maximum_identity, statement.maximum_identity)),
        scopes=_common((terms.scopes, statement.scopes)),
        since=max((each for each in (terms.since, statement.since) if each is not None), default=None),
        until=statement.until if terms.until is None else min(terms.until, statement.until),
    )


def _allows_all(one: Terms, other: Terms) -> bool:
    """Tell whether the terms let everything through that others do: at no time, for no use they are narrower."""
    return (
        _includes(one.roles, other.roles)
        and one.statuses >= other.statuses
        and _includes(one.uses, other.uses)
        and _level(one.maximum_identity) >= _level(other.maximum_identity)
        and _includes(one.scopes, other.scopes)
        and (one.since is None or (other.since is not None and one.since <= other.since))
        and (one.until is None or (other.until is not None and one.until >= other.until))
    )


def _includes(one: frozenset[T] | None, other: frozenset[T] | None) -> bool:
    return one is None or (other is not None and one >= other)


def _keep(found: list[Terms], new: Terms) -> None:
    """Add terms unless others, no longer, allow all of it; leave out those of which the new ones do."""
    if any(_makes_needless(each, new) for each in found):
        return
    found[:] = [each for each in found if not _makes_needless(new, each)]
    found.append(new)


def _makes_needless(one: Terms, other: Terms) -> bool:
    """Tell whether one is as wide as the other and no longer; if nothing else tells them apart, their names do."""
    if len(one.path) > len(other.path) or not _allows_all(one, other):
        return False
    if len(one.path) < len(other.path) or not _allows_all(other, one):
        return True
    return _names(one) <= _names(other)


def _next_status(words: Iterable[TrustedEntity], at: datetime) -> datetime | None:
    """Answer the first time at which a list has announced another status, such as a withdrawal."""
    announced = (
        since
        for word in words
        if word.status_since is not None and at < word.status_since
        for since in (word.status_since, *(former.since for former in word.history))
        if at < since < word.valid_until
    )
    return min(announced, default=None)


def _worth(entity: TrustedEntity, word: TrustedEntity, terms: Terms, turn: datetime | None) -> Worth:
    return Worth(
        entity=entity,
        listed_in=word.listed_in,
        path=terms.path,
        maximum_identity=_least((entity.maximum_identity, terms.maximum_identity)),
        uses=_common((entity.uses, terms.uses)),
        scopes=tuple(scope for scope in entity.scopes if terms.scopes is None or scope in terms.scopes),
        until=min(end for end in (word.valid_until, terms.until, turn) if end is not None),
    )


def _common(limits: Iterable[frozenset[T] | None]) -> frozenset[T] | None:
    stated = [limit for limit in limits if limit is not None]
    return frozenset.intersection(*stated) if stated else None


def _least(levels: Iterable[int | None]) -> int | None:
    return min((level for level in levels if level is not None), default=None)


def _level(level: int | None) -> int:
    return _NO_LIMIT if level is None else level


def _names(terms: Terms) -> tuple[str, ...]:
    return tuple(each.id for each in terms.path)


def _value(found: Worth) -> tuple[int, datetime, int]:
    return _level(found.maximum_identity), found.until, -len(found.path)


def _generosity(terms: Terms) -> tuple[int, float, int, tuple[str, ...]]:
    until = float("inf") if terms.until is None else terms.until.timestamp()
    return -_level(terms.maximum_identity), -until, len(terms.path), _names(terms)
