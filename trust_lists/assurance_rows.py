"""What a table of assurance says: which words of an ID system are worth which levels, row by row.

A row says on what it rests (`When`) and what that is worth: levels of DS-511 (NIST SP 800-63-4 is its model), the
methods that the person used (RFC 8176 §2), and beside them what the council takes it to be by eIDAS and NIST. A row
holds if everything that it rests on was said; a table never adds two rows up to something that neither of them says.

As an authority writes it, in a file of rows about one ID system, or (without `system`) about every one:

    system: https://id.maebashi.example        # its entity ID or issuer
    rows:
      - id: maebashi-card                      # named in logs: letters, digits, hyphens, once in the table
        when:
          acr: https://id.maebashi.example/acr/mynumber-card    # or context: an AuthnContextClassRef of SAML
          amr: [face]                          # methods that it must have named, all of them
          verified_claims: {trust_framework: jp_aml, assurance_level: high, evidence: document}
          policies: [1.2.392.200149.8.5.1.1.10]                 # certificate policies, one of them
        identity: 3
        authentication: 3
        federation: 3                          # 3, not limited, if it is not said
        amr: [sc, pin, mfa, face]              # what services may be told of how the person signed in
        eidas: high                            # beside it, for whoever asks: low, substantial, high
        nist: {ial: 3, aal: 3, fal: 2}
      - {id: maebashi-else, identity: 0, authentication: 0}     # without `when`: whatever it said
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trust_lists import rules
from trust_lists.rules import EntryError, Place

METHODS = (
    "face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina",
    "sc", "sms", "swk", "tel", "user", "vbm", "wia",
)  # fmt: skip
"""Authentication method references (RFC 8176 §2)."""

EIDAS = ("low", "substantial", "high")
"""Assurance levels of Regulation (EU) No 910/2014, Article 8."""

HIGHEST = 3
MOST_ROWS = 20_000
_MOST = 32
_LONGEST = 500

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", re.ASCII)
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,31}", re.ASCII)
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """By what an ID system verified claims (OpenID Identity Assurance, `verification`): None is not said, or any."""

    trust_framework: str
    assurance_level: str | None = None
    evidence: str | None = None

    def includes(self, said: "Verified") -> bool:
        """Tell whether this is what was said, or less particular."""
        return (
            self.trust_framework == said.trust_framework
            and self.assurance_level in (None, said.assurance_level)
            and self.evidence in (None, said.evidence)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an ID system said of one sign-in, verified: the words that rows look for.

    `words` are AuthnContextClassRef and `acr`, `methods` are `amr`, `policies` the policies of the certificate that
    was used.
    """

    words: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    verified: tuple[Verified, ...] = ()
    policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What must have been said, all of it; of `policies` one. Nothing: whatever was said."""

    word: str | None = None
    saml: bool = False
    methods: frozenset[str] = frozenset()
    verified: Verified | None = None
    policies: frozenset[str] = frozenset()

    def holds(self, said: Said) -> bool:
        """Tell whether it was."""
        return (
            (self.word is None or self.word in said.words)
            and self.methods <= said.methods
            and (self.verified is None or any(map(self.verified.includes, said.verified)))
            and (not self.policies or not self.policies.isdisjoint(said.policies))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; `system` None is about every ID system. Levels are 0 to 3, of `nist` too (ial, aal, fal)."""

    id: str
    system: str | None
    when: When
    identity: int
    authentication: int
    federation: int = HIGHEST
    methods: tuple[str, ...] = ()
    eidas: str | None = None
    nist: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one table, found by ID system."""

    rows: tuple[Row, ...] = ()
    _by_system: dict[str | None, tuple[Row, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str | None, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.system, []).append(row)
        self._by_system.update((system, tuple(rows)) for system, rows in found.items())

    def written(self) -> tuple[str, ...]:
        """Write each row as one text: the same text, the same row."""
        return tuple(json.dumps([row.system, write_row(row)], ensure_ascii=False, sort_keys=True) for row in self.rows)

    def about(self, system: str) -> tuple[Row, ...]:
        """Answer the rows about an ID system: its own, then those about every one."""
        return self._by_system.get(system, ()) + self._by_system.get(None, ())


# --- one row, read strictly


def read_row(stated: object, place: Place, *, system: str | None) -> Row:
    """Check a row as it was written. Raises `EntryError` at the first rule it breaks."""
    found = _members(stated, place, required=("id", "identity", "authentication"), known=_ROW)
    row_id = found["id"]
    if not isinstance(row_id, str) or not _ID.fullmatch(row_id):
        raise EntryError((*place, "id"), "a name of ASCII letters, digits and hyphens is expected")
    if system is None and "when" not in found:
        raise EntryError((*place, "when"), "is missing; only a row about one ID system can be about all that it says")
    return Row(
        id=row_id,
        system=system,
        when=_when(found["when"], (*place, "when")) if "when" in found else When(),
        identity=_level(found["identity"], (*place, "identity")),
        authentication=_level(found["authentication"], (*place, "authentication")),
        federation=_optional(found, "federation", place, _level, HIGHEST),
        methods=_optional(found, "amr", place, _methods, ()),
        eidas=_optional(found, "eidas", place, _eidas, None),
        nist=_optional(found, "nist", place, _nist, None),
    )


def read_system(stated: object, place: Place) -> str | None:
    """Check whom rows are about: an entity ID, or None for every ID system."""
    return None if stated is None else rules.entity_id(stated, place)


def write_row(row: Row) -> dict[str, Any]:
    """Write a row as `read_row` reads it; what is not said has no member."""
    when = row.when
    verified = when.verified
    stated: dict[str, Any] = {"id": row.id}
    rests = {
        "context" if when.saml else "acr": when.word,
        "amr": sorted(when.methods),
        "verified_claims": None
        if verified is None
        else {name: value for name in _VERIFIED if (value := getattr(verified, name)) is not None},
        "policies": sorted(when.policies),
    }
    rests = {name: value for name, value in rests.items() if value}
    if rests:
        stated["when"] = rests
    stated |= {"identity": row.identity, "authentication": row.authentication, "federation": row.federation}
    nist = None if row.nist is None else dict(zip(_NIST, row.nist, strict=True))
    beside = {"amr": list(row.methods), "eidas": row.eidas, "nist": nist}
    return stated | {name: value for name, value in beside.items() if value}


_ROW = ("id", "when", "identity", "authentication", "federation", "amr", "eidas", "nist")
_WHEN = ("context", "acr", "amr", "verified_claims", "policies")
_VERIFIED = ("trust_framework", "assurance_level", "evidence")
_NIST = ("ial", "aal", "fal")


def _members(value: object, place: Place, *, required: Sequence[str], known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise EntryError(place, f"{', '.join(known)} are expected")
    for name in value:
        if name not in known:
            raise EntryError((*place, str(name)[:40]), f"unknown; known are {', '.join(known)}")
    for name in required:
        if name not in value:
            raise EntryError((*place, name), "is missing")
    return value


def _optional(found: Mapping[str, Any], name: str, place: Place, check: Callable[[Any, Place], T], otherwise: T) -> T:
    return check(found[name], (*place, name)) if name in found else otherwise


def _level(value: object, place: Place) -> int:
    if type(value) is not int or not 0 <= value <= HIGHEST:
        raise EntryError(place, f"a level from 0 to {HIGHEST} is expected")
    return value


def _texts(value: object, place: Place, check: Callable[[Any, Place], str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise EntryError(place, f"a list of 1 to {_MOST} is expected")
    found = tuple(check(item, (*place, index)) for index, item in enumerate(value))
    if len(set(found)) != len(found):
        raise EntryError(place, "the same one occurs twice")
    return found


def word(value: object, place: Place) -> str:
    """Check a word of an ID system: any text that can be shown, compared exactly."""
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value) or len(value) > _LONGEST or value != value.strip():
        raise EntryError(place, f"a text of 1 to {_LONGEST} characters, without controls, is expected")
    return value


def _method(value: object, place: Place) -> str:
    if value not in METHODS:
        raise EntryError(place, f"one of {', '.join(METHODS)} is expected (RFC 8176)")
    return str(value)


def _policy(value: object, place: Place) -> str:
    if not isinstance(value, str) or not _OID.fullmatch(value):
        raise EntryError(place, "an object identifier such as 1.2.392.200149.8.5.1.1.10 is expected")
    return value


def _methods(value: object, place: Place) -> tuple[str, ...]:
    return _texts(value, place, _method)


def _eidas(value: object, place: Place) -> str:
    return _one_of(value, place, EIDAS)


def _one_of(value: object, place: Place, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise EntryError(place, f"one of {', '.join(known)} is expected")
    return value


def _nist(value: object, place: Place) -> tuple[int, int, int]:
    found = _members(value, place, required=_NIST, known=_NIST)
    ial, aal, fal = (_level(found[name], (*place, name)) for name in _NIST)
    return ial, aal, fal


def _when(value: object, place: Place) -> When:
    found = _members(value, place, required=(), known=_WHEN)
    if not found:
        raise EntryError(place, f"at least one of {', '.join(_WHEN)} is expected")
    if "context" in found and "acr" in found:
        raise EntryError(place, "either context (SAML) or acr (OpenID) is expected, not both")
    return When(
        word=_optional(found, "acr", place, word, _optional(found, "context", place, word, None)),
        saml="context" in found,
        methods=_optional(found, "amr", place, _said_methods, frozenset()),
        verified=_optional(found, "verified_claims", place, _verified, None),
        policies=_optional(found, "policies", place, _policies, frozenset()),
    )


def _said_methods(value: object, place: Place) -> frozenset[str]:
    return frozenset(_texts(value, place, word))


def _policies(value: object, place: Place) -> frozenset[str]:
    return frozenset(_texts(value, place, _policy))


def _verified(value: object, place: Place) -> Verified:
    found = _members(value, place, required=("trust_framework",), known=_VERIFIED)
    return Verified(**{name: word(said, (*place, name)) for name, said in found.items()})
