"""Recognition between municipalities: what one list's word is worth in another municipality.

A list says what an entity may assert and what for. A *recognition* says that a municipality (or every one) counts a
list, or whatever another municipality counts, up to a level, for some uses, until a day, under an agreement. Whoever
relies on an entity does so along a path of recognitions from its own municipality to a list that names the entity.
The answer is the narrowest of everything on the path: the least level, the uses and scopes that all allow, the
earliest end. No recognition, however generous, makes more of an entity than its list says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

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


def _allows(uses: frozenset[str] | None, use: str | None) -> bool:
    """Tell whether a limit lets a use through; what is limited to some uses is not good for a use that nobody names."""
    return uses is None or use in uses


LIMITS: tuple[tuple[str, Callable[[Asked], bool]], ...] = (
    ("recognition-not-yet", lambda a: a.terms.since is None or a.at >= a.terms.since),
    ("recognition-ended", lambda a: a.terms.until is None or a.at < a.terms.until),
    ("role-not-recognised", lambda a: a.terms.roles is None or a.role in a.terms.roles),
    ("status-not-recognised", lambda a: a.entity.status_at(a.at) in a.terms.statuses),
    ("use-not-recognised", lambda a: _allows(a.terms.uses, a.use) and _allows(a.entity.uses, a.use)),
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

    def terms(self, relying: str | None, listed_in: str) -> tuple[Terms, ...]:
        """Answer on which terms a municipality (None: the region as a whole) counts a list, the best first.

        Its own list counts without a recognition. The region as a whole has only what everyone recognises.
        """
        key = (relying, listed_in)
        found = self._terms.get(key)
        if found is None:
            found = self._terms[key] = tuple(sorted(map(_terms, self.paths(relying, listed_in)), key=_generosity))
        return found

    def paths(self, relying: str | None, listed_in: str) -> tuple[Path, ...]:
        """Answer every path from a municipality to a list, none longer than allowed, none through a place twice."""
        if not self.restricted or (relying is not None and self.owners.get(listed_in) == relying):
            return ((),)
        counted = (EVERYONE,) if relying is None else (EVERYONE, relying)
        return tuple(self._paths(counted, listed_in, (), frozenset(counted)))

    def _paths(self, counted: tuple[str, ...], listed_in: str, so_far: Path, passed: frozenset[str]) -> Iterator[Path]:
        if len(so_far) == self.maximum_length:
            return
        for statement in self.statements:
            if statement.by not in counted:
                continue
            path = (*so_far, statement)
            further = statement.municipality
            if statement.list == listed_in or (further is not None and self.owners.get(listed_in) == further):
                yield path
            elif further is not None and further not in passed:
                yield from self._paths((further,), listed_in, path, passed | {further})


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
    entity = trusted.find(entity_id, role, at)
    nearest, why = -1, NotRecognisedError("not-recognised", entity_id, role)
    best: Worth | None = None
    for word in trusted.words(entity_id, role):
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
                found = _worth(entity, word, terms)
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


@lru_cache(maxsize=4096)
def _terms(path: Path) -> Terms:
    return Terms(
        path=path,
        roles=_common(each.roles for each in path),
        statuses=_common([_NOT_WITHDRAWN, *(each.statuses for each in path)]) or frozenset(),
        uses=_common(each.uses for each in path),
        maximum_identity=_least(each.maximum_identity for each in path),
        scopes=_common(each.scopes for each in path),
        since=max((each.since for each in path if each.since is not None), default=None),
        until=min((each.until for each in path), default=None),
    )


def _worth(entity: TrustedEntity, word: TrustedEntity, terms: Terms) -> Worth:
    return Worth(
        entity=entity,
        listed_in=word.listed_in,
        path=terms.path,
        maximum_identity=_least((entity.maximum_identity, terms.maximum_identity)),
        uses=_common((entity.uses, terms.uses)),
        scopes=tuple(scope for scope in entity.scopes if terms.scopes is None or scope in terms.scopes),
        until=word.valid_until if terms.until is None else min(word.valid_until, terms.until),
    )


def _common(limits: Iterable[frozenset[T] | None]) -> frozenset[T] | None:
    stated = [limit for limit in limits if limit is not None]
    return frozenset.intersection(*stated) if stated else None


def _least(levels: Iterable[int | None]) -> int | None:
    return min((level for level in levels if level is not None), default=None)


def _value(found: Worth) -> tuple[int, datetime, int]:
    level = _NO_LIMIT if found.maximum_identity is None else found.maximum_identity
    return level, found.until, -len(found.path)


def _generosity(terms: Terms) -> tuple[int, float, int, tuple[str, ...]]:
    level = _NO_LIMIT if terms.maximum_identity is None else terms.maximum_identity
    until = float("inf") if terms.until is None else terms.until.timestamp()
    return -level, -until, len(terms.path), tuple(each.id for each in terms.path)
