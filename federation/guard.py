"""The guard: My Numbers, resident-record codes, certificates and their serial numbers do not pass, wherever they hide.

The law forbids the My Number outside its listed uses, consent or not, in whatever trivial form. Of ten rows of twelve
random digits one bears its check digit, though. So the guard asks what kind of field it is in (`Field`), how plainly
the number stands there (`Evidence`), and looks both up in a table (`RULES`): refuse, or let pass and count.

A finding says what was found and by which rule. Nothing here keeps, returns or shows a value.
"""

import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from federation.guard_disguises import TooMuchError, has_certificate, readings
from federation.guard_glance import ordinary
from federation.guard_numbers import (
    DIGIT_OF_ANY_SCRIPT,
    MY_NUMBER_DIGITS,
    RESIDENT_CODE_DIGITS,
    Evidence,
    finds,
    in_plain_digits,
    is_my_number,
    is_resident_code,
)
from trust_lists.codes import is_municipality_code

__all__ = [
    "CANONICAL_FIELDS",
    "RULES",
    "Evidence",
    "Field",
    "Finding",
    "Found",
    "Guard",
    "Kind",
    "Outcome",
    "Rule",
    "refused",
]


class Kind(StrEnum):
    """What must never pass, and what nobody could look at to its end."""

    MY_NUMBER = "my-number"
    RESIDENT_CODE = "resident-record-code"
    CERTIFICATE = "certificate"
    SERIAL = "certificate-serial"
    UNINSPECTED = "uninspected"


class Outcome(StrEnum):
    """REFUSE: the login or the call ends. REPORT: it goes on, and is counted."""

    REFUSE = "refuse"
    REPORT = "report"


class Field(StrEnum):
    """What a field is for.

    NAMED: its name says that it holds what must not pass. FORMED: digits of a known form (a date, a postal code).
    CLOSED: no number has any business in it (a name). ADDRESS: short numbers only. OPEN: anything. NUMBER: a
    telephone, account or customer number, by its name or because the operator said so.
    """

    NAMED = "named"
    FORMED = "formed"
    CLOSED = "closed"
    ADDRESS = "address"
    OPEN = "open"
    NUMBER = "number"


CANONICAL_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        **dict.fromkeys(("familyName", "givenName", "fullName", "commonName"), Field.CLOSED),
        **dict.fromkeys(("familyNameKana", "givenNameKana", "fullNameKana"), Field.CLOSED),
        **dict.fromkeys(("familyNameEn", "givenNameEn", "fullNameEn", "nationality"), Field.CLOSED),
        **dict.fromkeys(("prefecture", "cityAndCounty"), Field.CLOSED),
        **dict.fromkeys(("sex", "dateOfBirth", "yearOfBirth", "dateOfDeath"), Field.FORMED),
        **dict.fromkeys(("localGovernmentCode", "streetAddressId", "postalCode"), Field.FORMED),
        **dict.fromkeys(("fullAddress", "streetAddress", "cityBlock", "buildingNameEtc"), Field.ADDRESS),
        "phoneNumber": Field.NUMBER,
        "email": Field.OPEN,
    }
)
"""What the attributes of the vocabulary are for; one that is not here is OPEN."""


# --- the table of rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a find is worth: of `kind`, in one of `fields`, with one of `evidence` (if it is a number)."""

    code: str
    kind: Kind
    fields: frozenset[Field]
    evidence: frozenset[Evidence]
    outcome: Outcome


def _rule(code: str, kind: Kind, fields: Iterable[Field], evidence: Iterable[Evidence], outcome: Outcome) -> Rule:
    return Rule(code=code, kind=kind, fields=frozenset(fields), evidence=frozenset(evidence), outcome=outcome)


_MY, _CODE, _CERT, _SERIAL, _UNSEEN = Kind
_REFUSE, _REPORT = Outcome
_NO_BUSINESS = (Field.FORMED, Field.CLOSED)
_MANY = (*_NO_BUSINESS, Field.ADDRESS, Field.OPEN)
_ALL = Evidence

RULES: tuple[Rule, ...] = (
    # code, what, in which field, how plainly, outcome
    _rule("my-number-named", _MY, [Field.NAMED], _ALL, _REFUSE),
    _rule("my-number-plain", _MY, _MANY, [_ALL.SOLID], _REFUSE),
    _rule("my-number-split", _MY, _MANY, [_ALL.SPLIT], _REFUSE),
    _rule("my-number-no-business", _MY, _NO_BUSINESS, set(_ALL) - {_ALL.SOLID, _ALL.SPLIT, _ALL.FORM}, _REFUSE),
    _rule("my-number-in-address", _MY, [Field.ADDRESS], [_ALL.INSIDE], _REFUSE),
    _rule("my-number-perhaps", _MY, [Field.ADDRESS, Field.OPEN], [_ALL.EXCUSED, _ALL.SCATTERED], _REPORT),
    _rule("my-number-or-other-number", _MY, [Field.NUMBER], [_ALL.SOLID, _ALL.EXCUSED, _ALL.SPLIT], _REPORT),
    _rule("resident-code-named", _CODE, [Field.NAMED], _ALL, _REFUSE),
    _rule("resident-code-plain", _CODE, _MANY, [_ALL.SOLID], _REFUSE),
    _rule("resident-code-perhaps", _CODE, _MANY, [_ALL.EXCUSED, _ALL.SPLIT], _REPORT),
    _rule("resident-code-or-other-number", _CODE, [Field.NUMBER], [_ALL.SOLID], _REPORT),
    _rule("certificate", _CERT, Field, (), _REFUSE),
    _rule("serial-named", _SERIAL, [Field.NAMED], (), _REFUSE),
    _rule("serial-in-text", _SERIAL, _MANY, (), _REFUSE),
    _rule("serial-or-other-number", _SERIAL, [Field.NUMBER], (), _REPORT),
)
"""What is found where, and what becomes of it. What no rule names passes uncounted."""

TOO_MUCH = _rule("uninspected-expansion", _UNSEEN, Field, (), _REFUSE)
"""Beside the table: nothing was found, but more stands under the disguises of a text than is looked at."""

_BY_CASE: Mapping[tuple[Kind, Field, Evidence | None], Rule] = MappingProxyType(
    {
        (rule.kind, field, evidence): rule
        for rule in RULES
        for field in rule.fields
        for evidence in rule.evidence or {None}
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found: never the value, and the field's `name` only if the configuration knows that name."""

    kind: Kind
    outcome: Outcome
    rule: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding and on which side of the gateway: `in` from an ID system or a caller, `out` to a service."""

    direction: Literal["in", "out"]
    finding: Finding


def refused(findings: Iterable[Finding]) -> Finding | None:
    """The first finding that ends a login or a call."""
    return next((finding for finding in findings if finding.outcome is Outcome.REFUSE), None)


# --- what names say

_SIGNS = re.compile(r"[\W_]+")
_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.MY_NUMBER,
        re.compile(
            "my(?:number|num|no)(?![a-z]*(?:card|te))|my(?:number|no)$|kojinbang|個人番号|マイナンバ|まいなんば|individualnumber"
            "|socialsecurityandtaxnumber"
        ),
    ),
    (
        Kind.RESIDENT_CODE,
        re.compile(
            "j[uū]u?minhy[oō]u?(?:no)?[ck]|juki(?:code|no|number)|住民票コ[-ー]?ド|resident(?:s|record|card)?code"
        ),
    ),
    (
        Kind.SERIAL,
        re.compile(
            "serialn(?:umber|o|um)|^(?:urnoid)?2545$|cert(?:ificate)?(?:sn|serial)|x509serial|シリアル|jpkiserial"
        ),
    ),
)
_NUMBER_NAMES = re.compile(
    "phone|^(?:tel|fax|mobile)|tel(?:no|number|ephone)?$|mobile(?:no|number)?$|fax(?:no|number)?$|電話|携帯|ファックス"
    "|acc(?:ount|t)(?:no|num|number|id)?$|iban|口座|customer(?:no|num|number|id|code)|顧客|お?客様?番号|会員番号|member(?:no|number|id)"
    "|(?:order|invoice|contract|tracking|receipt|meter)(?:no|num|number|id)|注文番号|請求番号|契約番号|受付番号|整理番号|追跡番号"
    "|corporatenumber|h[oō]u?jinbang|法人番号|card(?:no|number)$"
)
_SERIAL_VALUE = re.compile(r"\s*(?:0x)?[0-9A-Fa-f](?:[ :.-]?[0-9A-Fa-f]){3,63}\s*")
_SERIAL_IN_TEXT = re.compile(
    r"(?ai)(?:serial[ _-]?(?:number|no)|2\.5\.4\.5|シリアル(?:番号|ナンバー)?)"
    r"[\"'\s]{0,3}[=:：>]\s{0,3}[\"']?(?:0x)?(?:[0-9a-f][ :]?){6}"
)
_PAIRS = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){7,31}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
_LABEL_REACHES = 40
"""Characters between 「個人番号」 in a text and the number that it speaks of."""


def _meant(name: str) -> tuple[Kind | None, bool]:
    """What the name says that its values are; and whether it speaks of numbers that collide with those."""
    return _folded_meant(_SIGNS.sub("", unicodedata.normalize("NFKC", name[-200:]).lower()))


@lru_cache(maxsize=4096)
def _folded_meant(folded: str) -> tuple[Kind | None, bool]:
    kind = next((kind for kind, pattern in _NAMES if pattern.search(folded)), None)
    return kind, _NUMBER_NAMES.search(folded) is not None


# --- the guard

_GAP = r"[\W_ーｰ\u115f\u1160\u3164\uffa0]"
_DIGITS_ONLY = re.compile(rf"{_GAP}*(?:{DIGIT_OF_ANY_SCRIPT}{_GAP}*){{1,11}}")
_COMPACT_DATE = re.compile("(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_NO_DIGIT = re.compile("[^0-9]+")
_PLAIN_NUMBER = re.compile(r"\+?[0-9][0-9() -]{0,30}")
_MOST_PARTS = 64
_MOST_NAMES = 4096
_LONGEST_NAME = 200
_LETTERS = frozenset(string.ascii_letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What is known of a field by its name: what it is for, what it is named after, and whether it can hold a part."""

    field: Field
    named: Kind | None
    joins: bool


_NAMELESS = _About(field=Field.OPEN, named=None, joins=True)


class Guard:
    """Looks at attributes and texts.

    `fields` says what fields are for, by name; for others `CANONICAL_FIELDS` and then their names tell. `allowances`
    are names whose values may collide (a service's own customer numbers): such fields are NUMBER. No allowance helps a
    field whose name says that it is a My Number, and none a certificate. `known` are the names that a finding may
    show (those of `fields` and of the vocabulary anyway). `resident_code_check`: believe the rule of the
    resident-record code's check digit; without it a resident-record code is found by the names of fields, and anywhere
    that no number has any business.
    """

    def __init__(
        self,
        *,
        fields: Mapping[str, Field] | None = None,
        allowances: Collection[str] = (),
        known: Collection[str] = (),
        resident_code_check: bool = True,
    ) -> None:
        self._fields = {**CANONICAL_FIELDS, **(fields or {})}
        self._allowed = frozenset(name.casefold() for name in allowances)
        self._known = frozenset(known) | self._fields.keys() | frozenset(allowances)
        self._resident_code_check = resident_code_check
        self._abouts: dict[str, _About] = {}

    def inspect(self, name: str | None, values: Iterable[str]) -> tuple[Finding, ...]:
        """What the values of one field hold, each kind and outcome once."""
        about = _NAMELESS if name is None else self._abouts.get(name) or self._learned(name)
        rules = self._rules(about, values)
        return tuple(self._finding(rule, name) for rule in rules) if rules else ()

    def inspect_all(
        self, attributes: Mapping[str, tuple[str, ...]], *, passing: Collection[str] | None = None
    ) -> tuple[Finding, ...]:
        """What the attributes hold, each and between them (a number in parts).

        `passing` are the names that go anywhere (None: all); what others hold is only reported, since it is dropped.
        """
        found: list[Finding] = []
        parts: list[str] = []
        known = self._abouts
        for name, values in attributes.items():
            about = known.get(name) or self._learned(name)
            passes = passing is None or name in passing
            if rules := self._rules(about, values):
                here = [self._finding(rule, name) for rule in rules]
                found += here if passes else [replace(each, outcome=Outcome.REPORT) for each in here]
            if passes and about.joins:
                for value in values:
                    if len(value) <= _MOST_PARTS and value[:1] not in _LETTERS and _DIGITS_ONLY.fullmatch(value):
                        parts += _part(value)
        if parts:
            found += [self._finding(rule, None) for rule in _together(parts)]
        return tuple(found)

    def _rules(self, about: _About, values: Iterable[str]) -> dict[Rule, None]:
        rules: dict[Rule, None] = {}
        for value in values:
            if about.field is Field.NUMBER and _PLAIN_NUMBER.fullmatch(value):
                rules.update(dict.fromkeys(_as_number(value)))
            elif about.named is Kind.SERIAL or not ordinary(value):
                rules.update(dict.fromkeys(self._look(value, about.field, about.named)))
        return rules

    def _learned(self, name: str) -> _About:
        """What is known of a field by this name; kept for the next time, but not of names without end."""
        kind, is_number = _meant(name)
        allowed = name.casefold() in self._allowed
        if kind is not None and not (kind is Kind.SERIAL and allowed):
            about = _About(field=Field.NAMED, named=kind, joins=True)
        else:
            purpose = Field.NUMBER if is_number else Field.OPEN
            purpose = Field.NUMBER if allowed else self._fields.get(name) or purpose
            about = _About(field=purpose, named=None, joins=purpose not in {Field.FORMED, Field.NUMBER})
        if len(self._abouts) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self._abouts[name] = about
        return about

    def _finding(self, rule: Rule, name: str | None) -> Finding:
        shown = name if name in self._known else None
        return Finding(kind=rule.kind, outcome=rule.outcome, rule=rule.code, name=shown)

    # --- one text

    def _look(self, text: str, field: Field, named: Kind | None) -> Iterator[Rule]:
        try:
            for piece in readings(text):
                if has_certificate(piece):
                    yield _BY_CASE[Kind.CERTIFICATE, field, None]
                if isinstance(piece, bytes):
                    continue
                plain = in_plain_digits(piece)
                if self._serial(plain, field, named) and (rule := _BY_CASE.get((Kind.SERIAL, field, None))):
                    yield rule
                yield from self._numbers(plain, field, named)
        except TooMuchError:
            yield TOO_MUCH

    def _numbers(self, plain: str, field: Field, named: Kind | None) -> Iterator[Rule]:
        for length, evidence, at in finds(plain, anything=field in _CLOSELY, inside=field is Field.ADDRESS):
            kind = _OF_LENGTH[length]
            here = Field.OPEN if field is Field.NAMED and named is not kind else field
            if evidence is Evidence.FORM and here is not Field.NUMBER and _labelled(plain, at, kind):
                here = Field.NAMED
            if rule := _BY_CASE.get((kind, here, self._worth(kind, here, evidence))):
                yield rule

    def _worth(self, kind: Kind, field: Field, evidence: Evidence) -> Evidence:
        """The evidence, as far as the check digit is believed."""
        if kind is not Kind.RESIDENT_CODE or self._resident_code_check:
            return evidence
        if field is Field.NAMED:
            return evidence
        return Evidence.SOLID if field in _NO_BUSINESS and evidence is not Evidence.EXCUSED else Evidence.FORM

    @staticmethod
    def _serial(piece: str, field: Field, named: Kind | None) -> bool:
        if named is Kind.SERIAL:
            return _SERIAL_VALUE.fullmatch(piece) is not None
        if _SERIAL_IN_TEXT.search(piece):
            return True
        return field in _NO_BUSINESS and _PAIRS.search(piece) is not None


# --- several texts


def _part(value: str) -> tuple[str, ...]:
    """The digits of a value that is nothing else, unless a known form explains them."""
    digits = _NO_DIGIT.sub("", in_plain_digits(value))
    return () if is_municipality_code(digits) or _COMPACT_DATE.fullmatch(digits) else (digits,)


def _together(parts: list[str]) -> Iterator[Rule]:
    """What the parts come to, one after another, or any two of them in either order."""
    parts = parts[:_MOST_PARTS]
    rows = {a + b for n, a in enumerate(parts) for m, b in enumerate(parts) if n != m}
    for first, row in enumerate(parts):
        for part in parts[first + 1 :]:
            row += part  # noqa: PLW2901 - it grows
            if len(row) > MY_NUMBER_DIGITS:
                break
            rows.add(row)
    if any(map(is_my_number, rows)):
        yield _BY_CASE[Kind.MY_NUMBER, Field.OPEN, Evidence.SPLIT]
    if any(map(is_resident_code, rows)):
        yield _BY_CASE[Kind.RESIDENT_CODE, Field.OPEN, Evidence.SPLIT]


def _as_number(text: str) -> Iterator[Rule]:
    """What one telephone or customer number in plain digits might be besides."""
    digits = _NO_DIGIT.sub("", text)
    if is_my_number(digits):
        yield _BY_CASE[Kind.MY_NUMBER, Field.NUMBER, Evidence.SOLID]
    elif is_resident_code(digits):
        yield _BY_CASE[Kind.RESIDENT_CODE, Field.NUMBER, Evidence.SOLID]


_OF_LENGTH = {MY_NUMBER_DIGITS: Kind.MY_NUMBER, RESIDENT_CODE_DIGITS: Kind.RESIDENT_CODE}
_CLOSELY = frozenset({Field.NAMED, *_NO_BUSINESS})


def _labelled(plain: str, at: int, kind: Kind) -> bool:
    """Whether the text says, shortly before the digits, that they are of this kind."""
    said, _ = _meant(plain[max(0, at - _LABEL_REACHES) : at])
    return said is kind
