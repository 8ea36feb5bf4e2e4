"""Attributes on their way in and out: an ID system's own names → the vocabulary → a service's own names.

Each rule makes one attribute from its sources by a chain of transforms. A value that cannot be mapped is
absent, with a reason code and never a guess; no exception, code or repr made here holds a value.

How a rule reads its sources:

- one source: each of its values goes through the chain;
- several sources: each must have exactly one value, and one transform of the chain makes one value of them
  (`join-space`); unless
- the chain has `first`: then sources that are not there are passed over.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from federation.refusal import AttributeMissing
from federation.transforms import TRANSFORMS, UnmappableError
from federation.vocabulary import ATTRIBUTES, CANONICAL, Texts

__all__ = [
    "CANONICAL",
    "TRANSFORMS",
    "Attributes",
    "InwardMap",
    "InwardRule",
    "Mapped",
    "OutwardMap",
    "OutwardRule",
    "Texts",
    "Value",
    "inward",
    "outward",
]

V = TypeVar("V")

LONGEST = 2000
"""Characters of one value; no canonical attribute needs more."""

MOST = 20
"""Values of one attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value of an attribute, and the id of the ID system whose word it is. Its repr hides the text."""

    text: str = field(repr=False)
    source: str


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

    Raises `ValueError` for a name outside the vocabulary, an unknown transform, or several sources that no
    transform makes one value of.
    """

    to: str
    sources: tuple[str, ...]
    transforms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known((self.to,))
        _chain(self.to, self.sources, self.transforms)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardRule:
    """The service's attribute `to` is made from canonical `sources` by `transforms`, in order.

    `required`: the service gets nothing at all without it. `format` and `friendly_name` are SAML's NameFormat
    and FriendlyName (SAML Core §2.7.3.1). `label` is what the consent page calls it; without it, what the
    vocabulary calls its sources. Raises `ValueError` as `InwardRule` does.
    """

    to: str
    sources: tuple[str, ...]
    transforms: tuple[str, ...] = ()
    required: bool = False
    format: str | None = None
    friendly_name: str | None = None
    label: Texts | None = None

    def __post_init__(self) -> None:
        _known(self.sources)
        _chain(self.to, self.sources, self.transforms)

    def shown_as(self) -> Texts:
        """What the consent page calls this attribute, in ja and en."""
        if self.label is not None:
            return self.label
        return {
            "ja": "・".join(CANONICAL[source]["ja"] for source in self.sources),
            "en": ", ".join(CANONICAL[source]["en"] for source in self.sources),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InwardMap:
    """How one ID system's attributes are read. Raises `ValueError` if two rules make the same attribute."""

    rules: tuple[InwardRule, ...] = ()

    def __post_init__(self) -> None:
        _once(rule.to for rule in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutwardMap:
    """What one service may learn, under its own names. Raises `ValueError` if two rules make the same one."""

    rules: tuple[OutwardRule, ...] = ()

    def __post_init__(self) -> None:
        _once(rule.to for rule in self.rules)

    def labels(self) -> Mapping[str, Texts]:
        """Outward name → what the consent page calls it."""
        return {rule.to: rule.shown_as() for rule in self.rules}


def inward(inward_map: InwardMap, raw: Mapping[str, tuple[str, ...]], *, source: str) -> Mapped[Value]:
    """Read what the ID system with the id `source` said (`raw`, under its own names) into the vocabulary.

    Attributes without a rule are dropped. Reason codes of what is absent: `not-given`, `empty`,
    `several-values`, `too-many-values`, `too-long`, `unusable-character`, `not-canonical` (not of the form
    that the vocabulary wants), or one of the transform that refused.
    """
    attributes: dict[str, tuple[Value, ...]] = {}
    absent: dict[str, str] = {}
    for rule in inward_map.rules:
        try:
            texts = _apply(rule, raw)
            _check_canonical(rule.to, texts)
        except UnmappableError as refused:
            absent[rule.to] = refused.code
        else:
            attributes[rule.to] = tuple(Value(text=text, source=source) for text in texts)
    return Mapped(attributes=attributes, absent=absent)


def outward(
    outward_map: OutwardMap,
    attributes: Attributes,
    *,
    wanted: Collection[str] | None = None,
    absent: Mapping[str, str] | None = None,
) -> Mapped[str]:
    """What the service learns, under its own names: of its map, only what is `wanted` (None: all of it).

    `absent` is what `inward` answered, so that the reason it gave is the one that is reported. Raises
    `AttributeMissing` if a required and wanted attribute is absent; its detail names attribute and reason, no
    value.
    """
    raw = {name: tuple(value.text for value in values) for name, values in attributes.items()}
    released: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    for rule in outward_map.rules:
        if wanted is not None and rule.to not in wanted:
            continue
        try:
            released[rule.to] = _apply(rule, raw)
        except UnmappableError as refused:
            missing[rule.to] = _first_reason(rule, raw, absent or {}) or refused.code
            if rule.required:
                raise AttributeMissing(f"{rule.to}: {missing[rule.to]}") from None
    return Mapped(attributes=released, absent=missing)


def _first_reason(rule: OutwardRule, raw: Mapping[str, object], absent: Mapping[str, str]) -> str | None:
    """Why a source of the rule was absent already when it came in, if one was."""
    return next((absent[s] for s in rule.sources if s not in raw and s in absent), None)


def _apply(rule: InwardRule | OutwardRule, raw: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The values that the rule makes; never none. Raises `UnmappableError`."""
    texts = _gather(rule, raw)
    for name in rule.transforms:
        texts = TRANSFORMS[name].apply(texts)
    texts = tuple(dict.fromkeys(text for text in texts if text))
    if not texts:
        raise UnmappableError("empty")
    for text in texts:
        if len(text) > LONGEST:
            raise UnmappableError("too-long")
        if _UNUSABLE.search(text):
            raise UnmappableError("unusable-character")
    return texts


def _gather(rule: InwardRule | OutwardRule, raw: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The values of the rule's sources, in the order of the sources, as the module's docstring says."""
    groups = [tuple(text for text in raw.get(source, ()) if text.strip()) for source in rule.sources]
    if any(len(group) > MOST for group in groups):
        raise UnmappableError("too-many-values")
    if "first" not in rule.transforms:
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


def _check_canonical(name: str, texts: tuple[str, ...]) -> None:
    canonical = ATTRIBUTES[name]
    if len(texts) > 1 and not canonical.several:
        raise UnmappableError("several-values")
    if not all(map(canonical.form, texts)):
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


def _known(names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in CANONICAL]
    if unknown:
        raise ValueError(f"no such attribute in the vocabulary: {', '.join(unknown)}")


def _chain(to: str, sources: tuple[str, ...], transforms: tuple[str, ...]) -> None:
    if not sources:
        raise ValueError(f"{to}: at least one source is needed")
    if len(set(sources)) < len(sources):
        raise ValueError(f"{to}: a source is named twice")
    unknown = [name for name in transforms if name not in TRANSFORMS]
    if unknown:
        raise ValueError(f"{to}: no such transform: {', '.join(unknown)}")
    if len(sources) > 1 and not any(TRANSFORMS[name].combines for name in transforms):
        combining = ", ".join(name for name, transform in TRANSFORMS.items() if transform.combines)
        raise ValueError(f"{to}: several sources need a transform that makes one value of them ({combining})")
    if len(sources) == 1 and "join-space" in transforms:
        raise ValueError(f"{to}: join-space needs several sources, since several values of one have no order")


def _once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name}: two rules make the same attribute")
        seen.add(name)
