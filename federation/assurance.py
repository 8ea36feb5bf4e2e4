"""How much a sign-in is worth, and why: computed from everything that it passed through, never copied.

    the ID system's word, read through the signed table ─┐
    the operator's own table, which can only lower it  ──┤
    how the ID system's answer was protected           ──┼─▶ of each kind of level the lowest
    how ours to the service will be                    ──┤
    what its list, and recognitions, allow             ──┘

The levels are those of DS-511 (`federation.model.Level`). Nobody's register has URIs for them, so the
region mints its own: `urn:kakehashi:assurance:identity-N`, used alike as SAML AuthnContextClassRef and as
OpenID `acr`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from federation.model import Assurance, Identity, IdSystem, Level, Reason
from federation.web import Json
from trust_lists.assurance_rows import EIDAS, Row, Said
from trust_lists.model import TrustList
from trust_lists.recognition import Worth

_PREFIX = "urn:kakehashi:assurance:identity-"
_LEVELS = {f"{_PREFIX}{int(level)}": level for level in Level}

_EIDAS_PREFIX = "http://eidas.europa.eu/LoA/"
_NIST_PREFIX = "http://idmanagement.gov/ns/assurance/ial/"
_FOREIGN: Mapping[str, Level] = {
    **{_EIDAS_PREFIX + name: Level(number) for number, name in enumerate(EIDAS, start=1)},
    **{_NIST_PREFIX + str(number): Level(number) for number in (1, 2, 3)},
}

HIGHEST = Assurance(identity=Level.THREE, authentication=Level.THREE, federation=Level.THREE)
"""What limits nothing."""
NOTHING = Assurance(identity=Level.NONE, authentication=Level.NONE)

LEGS = ("table", "operator", "revocation", "answer", "own", "list", "recognition")
"""What can limit a sign-in; every `Reason.leg` is one of these."""

ASKED, ENCRYPTED, BACK_CHANNEL, HOLDER_OF_KEY = "asked", "encrypted", "back-channel", "holder-of-key"
"""How an answer was protected besides its signature: it answers our own request, nobody between could read it.

With `HOLDER_OF_KEY` the person's own key made the answer, and nobody stood between.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The signed tables of assurance in force. `required`: the region has one, so that no word counts without it."""

    lists: tuple[TrustList, ...] = ()
    required: bool = False


NO_TABLES = Tables()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What an ID system's word comes to: the reasons, `methods` (RFC 8176), and the columns beside the levels."""

    why: tuple[Reason, ...]
    methods: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a sign-in is worth, `why`, how the person signed in, and other bodies' URIs that say it too."""

    assurance: Assurance
    why: tuple[Reason, ...]
    methods: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def decide(statement: Statement, *others: Reason) -> Decision:
    """The lowest of everything: no reason more ever raises it, and their order makes no difference."""
    why = (*statement.why, *others)
    level = meet(reason.most for reason in why)
    return Decision(assurance=level, why=why, methods=statement.methods, also=_also(statement.rows, level))


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """A JSON object from which `decision_from_json` makes an equal decision."""
    return {
        "assurance": _numbers(decision.assurance),
        "why": [[reason.leg, reason.by, _numbers(reason.most)] for reason in decision.why],
        "methods": list(decision.methods),
        "also": list(decision.also),
    }


def decision_from_json(data: Json) -> Decision:
    """The decision that `decision_to_json` wrote."""
    return Decision(
        assurance=_of_numbers(data["assurance"]),
        why=tuple(Reason(leg=leg, by=by, most=_of_numbers(most)) for leg, by, most in data["why"]),
        methods=tuple(data["methods"]),
        also=tuple(data["also"]),
    )


def _numbers(level: Assurance) -> list[int]:
    return [int(level.identity), int(level.authentication), int(level.federation)]


def _of_numbers(numbers: Sequence[int]) -> Assurance:
    identity, authentication, federation = map(Level, numbers)
    return Assurance(identity=identity, authentication=authentication, federation=federation)


def meet(levels: Iterable[Assurance]) -> Assurance:
    """Of each kind of level the lowest; of nothing, what limits nothing."""
    return reduce(_lower, levels, HIGHEST)


def reaches(level: Assurance, needed: Assurance) -> bool:
    """Whether nothing is lower than what is needed."""
    return (
        level.identity >= needed.identity
        and level.authentication >= needed.authentication
        and level.federation >= needed.federation
    )


def _lower(one: Assurance, other: Assurance) -> Assurance:
    return Assurance(
        identity=min(one.identity, other.identity),
        authentication=min(one.authentication, other.authentication),
        federation=min(one.federation, other.federation),
    )


# --- the ID system's word


def assess(system: IdSystem, identity: Identity, tables: Tables = NO_TABLES) -> Statement:
    """What the verified statements of this sign-in are worth, by the signed tables and the operator's own.

    In each table the row counts that is worth most, whole: two rows are never combined into something that neither of
    them says. Of several tables that speak of the ID system the lowest counts. Where the region has a signed table,
    what none speaks of is worth nothing, and the operator's own table can only lower; else it alone counts.
    """
    said = Said(
        words=frozenset(identity.statements),
        methods=frozenset(identity.methods),
        verified=identity.verified,
        policies=frozenset(identity.policies),
    )
    return _assess(system, said, tables)


def _assess(system: IdSystem, said: Said, tables: Tables) -> Statement:
    words = said.words | said.methods | said.policies
    known = [word for word in system.statements if word in words]
    if not (tables.required or tables.lists):
        methods = tuple(dict.fromkeys(method for word in known for method in system.methods.get(word, ())))
        return Statement(why=(_operators(system, known),), methods=methods)
    why: list[Reason] = []
    counted: list[Row] = []
    methods = ()
    for each in tables.lists:
        rows = () if each.table is None else each.table.about(system.entity_id)
        if not rows:
            continue
        holding = [row for row in rows if row.when.holds(said)]
        best = max(holding, key=_height, default=None)
        by = f"{each.name}/{each.sequence}/{'-' if best is None else best.id}"
        why.append(Reason(leg="table", by=by, most=NOTHING if best is None else _worth(best)))
        methods += tuple(method for row in holding for method in row.methods)
        if best is not None:
            counted.append(best)
    if not why:
        why.append(Reason(leg="table", by="-", most=NOTHING))
    rows_agree = len(counted) == len(why)
    if system.default_assurance is not None:
        why.append(_operators(system, known))
    return Statement(why=tuple(why), methods=tuple(dict.fromkeys(methods)), rows=tuple(counted) if rows_agree else ())


def _operators(system: IdSystem, known: Sequence[str]) -> Reason:
    """The operator's own word for word of the ID system: the highest counts whole."""
    worth = [system.statements[word] for word in known]
    most = max(worth, key=lambda a: (a.identity, a.authentication), default=system.default_assurance or NOTHING)
    return Reason(leg="operator", by=system.id, most=most)


def _worth(row: Row) -> Assurance:
    return Assurance(
        identity=Level(row.identity), authentication=Level(row.authentication), federation=Level(row.federation)
    )


def _height(row: Row) -> tuple[int, int, int]:
    return row.identity, row.authentication, row.federation


def asking(system: IdSystem, needed: Assurance, tables: Tables = NO_TABLES) -> tuple[str, ...]:
    """The ID system's own words that reach what is needed, least demanding first; none if any sign-in there does."""
    if reaches(meet(each.most for each in _assess(system, Said(), tables).why), needed):
        return ()
    found: dict[str, tuple[int, int]] = {}
    for said in _sayable(system, tables):
        level = meet(each.most for each in _assess(system, said, tables).why)
        if reaches(level, needed):
            (word,) = said.words
            height = (int(level.identity), int(level.authentication))
            found[word] = min(height, found.get(word, height))
    return tuple(sorted(found, key=lambda word: (found[word], word)))


def _sayable(system: IdSystem, tables: Tables) -> Iterator[Said]:
    """What the ID system could say that can be asked of it in advance: one word, with the methods of its row."""
    for each in tables.lists:
        for row in () if each.table is None else each.table.about(system.entity_id):
            if row.when.word is not None and row.when.saml == (system.kind == "saml"):
                yield Said(words=frozenset({row.when.word}), methods=row.when.methods)
    if not (tables.required or tables.lists):
        for word in system.statements:
            yield Said(words=frozenset({word}))


# --- the other legs


def protected(protection: frozenset[str], *, leg: str) -> Reason:
    """What an answer is worth for how it was carried (federation assurance, after NIST SP 800-63C-4 §2).

    Two for one that answers a request, so that nobody can slip another in, and that nobody but its recipient reads on
    the way. Three for one that the person's own key made. One for every other that is signed.
    """
    federation = Level.ONE
    if ASKED in protection and not protection.isdisjoint({ENCRYPTED, BACK_CHANNEL}):
        federation = Level.TWO
    if protection >= {ASKED, HOLDER_OF_KEY}:
        federation = Level.THREE
    most = Assurance(identity=Level.THREE, authentication=Level.THREE, federation=federation)
    return Reason(leg=leg, by="+".join(sorted(protection)) or "signed", most=most)


def unlearned(identity: Identity) -> Iterator[Reason]:
    """What the sign-in is limited to because it could not be learned whether its certificate was revoked."""
    if identity.most is not None:
        yield Reason(leg="revocation", by="status-unavailable", most=_at_most(identity.most))


def caps(worth: Worth) -> Iterator[Reason]:
    """What the ID system's list, and the recognitions on the way to it, limit identity assurance to."""
    stated = worth.entity.maximum_identity
    if stated is not None:
        yield Reason(leg="list", by=worth.listed_in, most=_at_most(stated))
    for recognition in worth.path:
        if recognition.maximum_identity is not None:
            yield Reason(leg="recognition", by=recognition.id, most=_at_most(recognition.maximum_identity))
    if worth.maximum_identity is not None and stated is None and not worth.path:
        yield Reason(leg="list", by=worth.listed_in, most=_at_most(worth.maximum_identity))


def _at_most(identity: int) -> Assurance:
    return Assurance(identity=Level(identity), authentication=Level.THREE, federation=Level.THREE)


# --- how it is said


def acr_uri(level: Level) -> str:
    """The URI that says `level` to relying services and to regional services."""
    return f"{_PREFIX}{int(level)}"


def level_of(uri: str) -> Level | None:
    """The level that `uri` says, or None if it is not one of the region's own URIs. Compared exactly."""
    return _LEVELS.get(uri)


def wished(uri: str) -> Level | None:
    """The level that a service needs that asks for `uri`: ours, or one of eIDAS or NIST that a table may speak of."""
    return _LEVELS.get(uri, _FOREIGN.get(uri))


def is_foreign(uri: str) -> bool:
    """Whether it is another body's URI."""
    return uri in _FOREIGN


def _also(rows: Sequence[Row], level: Assurance) -> tuple[str, ...]:
    """The URIs of eIDAS and NIST that may be said: of the row that counted, if nothing made less of the sign-in."""
    if not rows or any(row.identity > level.identity or row.authentication > level.authentication for row in rows):
        return ()
    found: list[str] = []
    stated = [EIDAS.index(row.eidas) for row in rows if row.eidas is not None]
    if len(stated) == len(rows):
        found += [_EIDAS_PREFIX + name for name in EIDAS[: min(stated) + 1]]
    levels = [row.nist[0] for row in rows if row.nist is not None]
    if len(levels) == len(rows):
        found += [_NIST_PREFIX + str(number) for number in range(1, min(levels) + 1)]
    return tuple(found)
