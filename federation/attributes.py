"""Attributes on their way in and out: an ID system's own names → the vocabulary → a service's own names.

Each rule makes one attribute from its sources by a chain of transforms. A value that cannot be mapped is
absent, with a reason code and never a guess; no exception, code or repr made here holds a value.

How a rule reads its sources:

- one source: each of its values goes through the chain;
- several sources: each must have exactly one value, and one transform of the chain makes one value of them
  (`join-space`); unless
- the chain has `first`: then sources that are not there are passed over.

Rules are compiled when they are made, so that a login only calls functions.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Generic, NamedTuple, TypeVar

from federation.evidence import EVIDENCE, NOTHING_LOWERED, Lowered, attribute_level
from federation.guard import CANONICAL_FIELDS, Field, Finding, Guard
from federation.refusal import AttributeMissing
from federation.transforms import TRANSFORMS, Part, Readings, Step, UnmappableError
from federation.vocabulary import ATTRIBUTES, CANONICAL, CanonicalAttribute, Texts

__all__ = [
    "CANONICAL",
    "TRANSFORMS",
    "Applied",
    "Attributes",
    "InwardMap",
    "InwardRule",
    "Mapped",
    "OutwardMap",
    "OutwardRule",
    "Texts",
    "Value",
    "applied",
    "inward",
    "outward",
    "run",
]

V = TypeVar("V")
R = TypeVar("R", "InwardRule", "OutwardRule")

LONGEST = 2000
"""Characters of one value; no canonical attribute needs more."""

HIGHEST = 3
"""The highest level of identity assurance (DS-511)."""

MOST = 20
"""Values of one attribute."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A transform as a rule applies it: its name, and its argument if it takes one.

    Raises `ValueError`, which says what was expected, for an unknown name and an argument that does not fit.
    """

    name: str
    argument: str | None = None
    step: Step = field(init=False, repr=False, compare=False)
    part: Part | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.name not in TRANSFORMS:
            raise ValueError(f"no such transform: {self.name}")
        object.__setattr__(self, "part", TRANSFORMS[self.name].part)
        try:
            object.__setattr__(self, "step", TRANSFORMS[self.name].step(self.argument))
        except ValueError as wrong:
            raise ValueError(f"{self.name}: {wrong}") from None

    def __str__(self) -> str:
        return self.name if self.argument is None else f"{self.name}: {self.argument}"


def applied(*transforms: str | Applied) -> tuple[Applied, ...]:
    """The transforms, those given by name alone without argument. Raises `ValueError` as `Applied` does."""
    return tuple(each if isinstance(each, Applied) else Applied(each) for each in transforms)


class Value(NamedTuple):
    """One value of an attribute, and the id of the ID system whose word it is. Its repr hides the text.

    `evidence` says how that system came to know it, a name of `federation.evidence`; empty: as it knows the person.
    A named tuple, since every login makes many and a frozen dataclass takes twice the time.
    """

    text: str
    source: str
    evidence: str = ""

    def __repr__(self) -> str:
        return f"Value(source={self.source!r}, evidence={self.evidence!r})"


Attributes = Mapping[str, tuple[Value, ...]]
"""Canonical name → values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped(Generic[V]):
    """What mapping came to: what is there, and the reason code of what is not. Its repr hides the values."""

    attributes: Mapping[str, tuple[V, ...]] = field(repr=False)
    absent: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InwardRule:
    """Canonical attribute `to` is made from the ID system's attributes `sources` by `transforms`, in order.

    `evidence`: how the ID system came to know it (see `Value`). `own_numbers`: its values may look like a number that
    must not pass and be none (a customer number); they are only counted. `canonical` is what the vocabulary says of
    `to`. Raises `ValueError` for a name outside the vocabulary or unknown evidence, an unknown transform or a wrong
    argument, or several sources that no transform makes one value of.
    """

    to: str
    sources: tuple[str, ...]
    transforms: tuple[Applied, ...] = ()
    evidence: str = ""
    own_numbers: bool = False
    canonical: CanonicalAttribute = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _known((self.to,))
        if self.evidence and self.evidence not in EVIDENCE:
            raise ValueError(f"no such evidence: {self.evidence}")
        _chain(self.to, self.sources, self.transforms)
        object.__setattr__(self, "canonical", ATTRIBUTES[self.to])


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardRule:
    """The service's attribute `to` is made from canonical `sources` by `transforms`, in order.

    `required`: the service gets nothing at all without it. `minimum`: the identity level (0 to 3) below which its
    sources are not sure enough for it. `own_numbers` is as in `InwardRule`. `format` and `friendly_name` are SAML's
    NameFormat and FriendlyName (SAML Core §2.7.3.1). `label` is what the consent page calls it; without it, what its
    last transform or else the vocabulary calls it. Raises `ValueError` as `InwardRule` does.
    """

    to: str
    sources: tuple[str, ...]
    transforms: tuple[Applied, ...] = ()
    required: bool = False
    minimum: int = 0
    own_numbers: bool = False
    format: str | None = None
    friendly_name: str | None = None
    label: Texts | None = None
    canonical: ClassVar[None] = None

    def __post_init__(self) -> None:
        _known(self.sources)
        _chain(self.to, self.sources, self.transforms)

    @property
    def truth(self) -> bool:
        """Whether its value is `true` or `false`: a fact about the person."""
        return bool(self.transforms) and TRANSFORMS[self.transforms[-1].name].truth

    def shown_as(self) -> Texts:
        """What the consent page calls this attribute, in ja and en: what leaves, not what it was made of."""
        if self.label is not None:
            return self.label
        for transform in reversed(self.transforms):
            called = TRANSFORMS[transform.name].label
            if called is not None:
                return called(transform.argument or "")
        return {
            "ja": "・".join(CANONICAL[source]["ja"] for source in self.sources),
            "en": ", ".join(CANONICAL[source]["en"] for source in self.sources),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InwardMap:
    """How one ID system's attributes are read. Raises `ValueError` if two rules make the same attribute.

    `guard` knows what each of its names is for; `resident_code_check` is as there.
    """

    rules: tuple[InwardRule, ...] = ()
    resident_code_check: bool = True
    guard: Guard = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _once(rule.to for rule in self.rules)
        meant = ((name, CANONICAL_FIELDS.get(rule.to)) for rule in self.rules for name in rule.sources)
        own = {name for rule in self.rules if rule.own_numbers for name in rule.sources}
        object.__setattr__(self, "guard", _guard(meant, own, check=self.resident_code_check))

    def findings(self, raw: Mapping[str, tuple[str, ...]]) -> tuple[Finding, ...]:
        """What must not pass in what the ID system sent; what no rule reads is only reported, since it is dropped."""
        return self.guard.inspect_all(raw, passing={name for rule in self.rules for name in rule.sources})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardMap:
    """What one service may learn, under its own names. Raises `ValueError` if two rules make the same one.

    `guard` knows what each of its names is for; `resident_code_check` is as there.
    """

    rules: tuple[OutwardRule, ...] = ()
    resident_code_check: bool = True
    guard: Guard = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _once(rule.to for rule in self.rules)
        meant = ((rule.to, CANONICAL_FIELDS.get(name)) for rule in self.rules for name in rule.sources)
        own = {rule.to for rule in self.rules if rule.own_numbers}
        object.__setattr__(self, "guard", _guard(meant, own, check=self.resident_code_check))

    def findings(self, released: Mapping[str, tuple[str, ...]]) -> tuple[Finding, ...]:
        """What must not pass in what the service would learn."""
        return self.guard.inspect_all(released)

    def labels(self) -> Mapping[str, Texts]:
        """Outward name → what the consent page calls it."""
        return {rule.to: rule.shown_as() for rule in self.rules}

    def truths(self) -> frozenset[str]:
        """Outward names of facts: `true` or `false`."""
        return frozenset(rule.to for rule in self.rules if rule.truth)


def derived(rules: tuple[R, ...], like: tuple[R, ...], without: Collection[str]) -> tuple[R, ...]:
    """Another map's rules, except: those `without`, and in place of each that `rules` makes too, that one."""
    own = {rule.to: rule for rule in rules}
    kept = tuple(own.pop(rule.to, rule) for rule in like if rule.to not in without)
    return kept + tuple(own.values())


def inward(inward_map: InwardMap, raw: Mapping[str, tuple[str, ...]], *, source: str, today: date) -> Mapped[Value]:
    """Read what the ID system with the id `source` said (`raw`, under its own names) into the vocabulary.

    `today` is the day in Japan. Attributes without a rule are dropped. Reason codes of what is absent: `not-given`,
    `empty`, `several-values`, `too-many-values`, `too-long`, `unusable-character`, `not-canonical` (not of the form
    that the vocabulary wants), or one of the transform that refused.
    """
    attributes: dict[str, tuple[Value, ...]] = {}
    absent: dict[str, str] = {}
    readings: Readings = {}
    for rule in inward_map.rules:
        try:
            texts = run(rule, raw, today, readings)
        except UnmappableError as refused:
            absent[rule.to] = refused.code
        else:
            if len(texts) == 1:  # nearly always, and quicker
                attributes[rule.to] = (Value(texts[0], source, rule.evidence),)
            else:
                attributes[rule.to] = tuple([Value(text, source, rule.evidence) for text in texts])
    return Mapped(attributes=attributes, absent=absent)


def outward(
    outward_map: OutwardMap,
    attributes: Attributes,
    *,
    today: date,
    level: int = HIGHEST,
    wanted: Collection[str] | None = None,
    absent: Mapping[str, str] | None = None,
    lowered: Lowered = NOTHING_LOWERED,
) -> Mapped[str]:
    """What the service learns, under its own names: of its map, only what is `wanted` (None: all of it).

    `level` is the identity level of the sign-in; each value is worth that, or less by its evidence, which operators may
    have `lowered`. What is not sure enough for its rule is absent: `assurance-too-low`.
    `absent` is what `inward` answered, so that the reason it gave is the one that is reported. Raises
    `AttributeMissing` if a required and wanted attribute is absent; its detail names attribute and reason, no
    value.
    """
    raw = {
        name: (values[0].text,) if len(values) == 1 else tuple([value.text for value in values])
        for name, values in attributes.items()
    }
    readings: Readings = {}
    released: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    for rule in outward_map.rules:
        if wanted is not None and rule.to not in wanted:
            continue
        try:
            if rule.minimum:
                values = (value for name in rule.sources for value in attributes.get(name, ()))
                sure_enough(rule, [attribute_level(level, value.evidence, lowered) for value in values])
            released[rule.to] = run(rule, raw, today, readings)
        except UnmappableError as refused:
            missing[rule.to] = first_reason(rule, raw, absent or {}) or refused.code
            if rule.required:
                raise AttributeMissing(f"{rule.to}: {missing[rule.to]}") from None
    return Mapped(attributes=released, absent=missing)


def sure_enough(rule: OutwardRule, worth: Iterable[int]) -> None:
    """Raises `UnmappableError` if one of the rule's sources is `worth` less than the rule demands."""
    if any(each < rule.minimum for each in worth):
        raise UnmappableError("assurance-too-low")


def first_reason(rule: InwardRule | OutwardRule, raw: Mapping[str, object], absent: Mapping[str, str]) -> str | None:
    """Why a source of the rule was absent already when it came in, if one was."""
    return next((absent[s] for s in rule.sources if s not in raw and s in absent), None)


def run(
    rule: InwardRule | OutwardRule, raw: Mapping[str, tuple[str, ...]], today: date, readings: Readings
) -> tuple[str, ...]:
    """The values that the rule makes of `raw`; never none. Raises `UnmappableError`.

    `readings` is empty before the first rule of one mapping, and goes with it from rule to rule.
    """
    texts = raw.get(rule.sources[0], ())
    if len(rule.sources) > 1 or len(texts) != 1 or len(texts[0]) > LONGEST or not texts[0].strip():
        texts = gathered(rule, raw)
    for transform in rule.transforms:
        part = transform.part
        texts = transform.step(texts, today) if part is None else part.of(texts, readings)
    if len(texts) != 1 or not texts[0] or len(texts[0]) > LONGEST or not texts[0].isprintable():
        texts = _usable(texts)
    if rule.canonical is not None:
        _check_canonical(rule.canonical, texts)
    return texts


def _usable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the values that are not empty, each once. Raises `UnmappableError`; one printable text never does."""
    texts = tuple(dict.fromkeys(text for text in texts if text))
    if not texts:
        raise UnmappableError("empty")
    for text in texts:
        if len(text) > LONGEST:
            raise UnmappableError("too-long")
        if not text.isprintable() and _UNUSABLE.search(text):  # nothing unusable is printable
            raise UnmappableError("unusable-character")
    return texts


def gathered(rule: InwardRule | OutwardRule, raw: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The values of the rule's sources, in their order, as the module's docstring says. Raises `UnmappableError`."""
    groups = [tuple(text for text in raw.get(source, ()) if text.strip()) for source in rule.sources]
    if any(len(group) > MOST for group in groups):
        raise UnmappableError("too-many-values")
    if not any(transform.name == "first" for transform in rule.transforms):
        for source, group in zip(rule.sources, groups, strict=True):
            if not group:
                raise UnmappableError("empty" if raw.get(source) else "not-given")
            if len(groups) > 1 and len(group) > 1:
                raise UnmappableError("several-values")
    texts = tuple(text for group in groups for text in group)
    if not texts:
        raise UnmappableError("not-given")
    if any(len(text) > LONGEST for text in texts):
        raise UnmappableError("too-long")
    return texts


def _check_canonical(canonical: CanonicalAttribute, texts: tuple[str, ...]) -> None:
    if len(texts) > 1 and not canonical.several:
        raise UnmappableError("several-values")
    for text in texts:
        if not canonical.form(text):
            raise UnmappableError("not-canonical")


_UNUSABLE = re.compile(
    "["
    "\x00-\x1f"  # C0 controls: most of them cannot stand in XML at all (XML §2.2)
    "\x7f-\x9f"  # DEL and C1 controls
    "\u2028-\u202e"  # line separators; bidirectional embeddings and overrides, which can disguise a value
    "\u2066-\u2069"  # bidirectional isolates
    "\ud800-\udfff"  # lone surrogates, which JSON can carry and UTF-8 cannot
    "\ufffe\uffff"  # noncharacters, not allowed in XML
    "]"
)


def _guard(meant: Iterable[tuple[str, Field | None]], own: Collection[str], *, check: bool) -> Guard:
    """A guard of the names of a map: what each is for, if what it is made of or makes is for one thing only."""
    fields: dict[str, set[Field | None]] = {}
    for name, purpose in meant:
        fields.setdefault(name, set()).add(purpose)
    clear = {name: purposes.pop() for name, purposes in fields.items() if len(purposes) == 1}
    return Guard(
        fields={name: purpose for name, purpose in clear.items() if purpose is not None},
        allowances=own,
        known=fields,
        resident_code_check=check,
    )


def _known(names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in CANONICAL]
    if unknown:
        raise ValueError(f"no such attribute in the vocabulary: {', '.join(unknown)}")


def _chain(to: str, sources: tuple[str, ...], transforms: tuple[Applied, ...]) -> None:
    if not sources:
        raise ValueError(f"{to}: at least one source is needed")
    if len(set(sources)) < len(sources):
        raise ValueError(f"{to}: a source is named twice")
    several = len(sources) > 1
    if several and not any(TRANSFORMS[each.name].combines for each in transforms):
        combining = ", ".join(name for name, transform in TRANSFORMS.items() if transform.combines)
        raise ValueError(f"{to}: several sources need a transform that makes one value of them ({combining})")
    ordered = [each.name for each in transforms if TRANSFORMS[each.name].ordered]
    if ordered and not several:
        raise ValueError(f"{to}: {ordered[0]} needs several sources, since several values of one have no order")


def _once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name}: two rules make the same attribute")
        seen.add(name)
