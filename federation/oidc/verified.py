"""Verified claims (OpenID Connect for Identity Assurance 1.0): read from ID systems, told to services that ask.

An ID system says under which trust framework it verified claims, to which level, on which evidence: the tables of
assurance can give that a worth. A service asks in the `claims` parameter and is told what it may get anyway, and the
person agreed to, as far as it was verified. Told are framework and level.

Not told are `time` and `evidence` (OpenID Identity Assurance Schema Definition §5.4.2, §5.4.4). `time` is when the
identity was verified, years before the sign-in and unknown here. Who announces evidence must list the documents and
records that it is of (Identity Assurance §8), which ID systems do not say, and an `electronic_signature` names the
serial number of a certificate, which never leaves.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation import evidence
from federation.evidence import FRAMEWORKS, IDA_EVIDENCE
from federation.oidc.claims import nest, reached
from trust_lists.assurance_rows import Verified

MEMBER = "verified_claims"
_MOST = 16
"""Elements, pieces of evidence, or values of a constraint that are read."""

_LONGEST = 500
_LEVEL = "identity-"
_CONSTRAINTS = ("value", "values", "max_age")

_OF_FRAMEWORK = {evidence.JPKI: "signing-certificate", evidence.ELECTRONIC_SIGNATURES: "accredited-certificate"}

_Element = Mapping[str, Any]


# --- from an ID system


def read_verified(stated: object) -> tuple[tuple[Verified, ...], dict[str, str]]:
    """What was verified and by what, and how each such attribute is known (`federation.evidence`).

    Attributes are named as they come in, `verified_claims.claims.…`. Of a claim that several elements verify the
    weakest evidence counts. What has not the form of OpenID Identity Assurance Schema Definition §5 says nothing.
    """
    found: dict[Verified, None] = {}
    known: dict[str, str] = {}
    for element in stated[:_MOST] if isinstance(stated, list) else [stated]:
        verification, claims = _parts(element)
        framework = verification.get("trust_framework")
        if not _is_word(framework) or not claims:
            continue
        level = verification.get("assurance_level")
        types = tuple(_evidence_types(verification.get("evidence")))
        for kind in types or (None,):
            said = Verified(
                trust_framework=str(framework), assurance_level=level if _is_word(level) else None, evidence=kind
            )
            found[said] = None
        name = _known_by(str(framework), types)
        for claim in claims:
            here = f"{MEMBER}.claims.{claim}"
            known[here] = min(known.get(here, name), name, key=lambda each: evidence.of(each).most)
    return tuple(found), {claim: name for claim, name in known.items() if name}


def _known_by(framework: str, types: Sequence[str]) -> str:
    """The name of the weakest evidence; empty where nothing more is known than of the sign-in."""
    if framework in _OF_FRAMEWORK:
        return _OF_FRAMEWORK[framework]
    return min((IDA_EVIDENCE.get(kind, "") for kind in types), key=lambda name: evidence.of(name).most, default="")


def _parts(element: object) -> tuple[_Element, _Element]:
    if not isinstance(element, Mapping):
        return {}, {}
    verification, claims = element.get("verification"), element.get("claims")
    return (
        verification if isinstance(verification, Mapping) else {},
        claims if isinstance(claims, Mapping) else {},
    )


def _evidence_types(stated: object) -> Iterator[str]:
    for each in stated[:_MOST] if isinstance(stated, list) else ():
        kind = each.get("type") if isinstance(each, Mapping) else None
        if _is_word(kind):
            yield str(kind)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


# --- to a service


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One element that a service asks for. A constraint that is None is none.

    `values` are of single claims: another value is not wanted. `told_level`: it asked for the level.
    """

    claims: tuple[str, ...]
    frameworks: tuple[str, ...] | None = None
    levels: tuple[str, ...] | None = None
    told_level: bool = False
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `asked_from_json` makes an equal one."""
        return {
            "claims": list(self.claims),
            "frameworks": None if self.frameworks is None else list(self.frameworks),
            "levels": None if self.levels is None else list(self.levels),
            "told_level": self.told_level,
            "values": [[name, list(values)] for name, values in self.values],
        }


def asked_from_json(value: _Element) -> Asked:
    """What `Asked.to_json` wrote."""
    return Asked(
        claims=tuple(value["claims"]),
        frameworks=None if value["frameworks"] is None else tuple(value["frameworks"]),
        levels=None if value["levels"] is None else tuple(value["levels"]),
        told_level=value["told_level"],
        values=tuple((name, tuple(values)) for name, values in value["values"]),
    )


def read_asked(stated: object) -> tuple[Asked, ...]:
    """What the `verified_claims` of a place in the `claims` parameter asks for (§5.3 to §5.6). Raises `ValueError`.

    An element whose constraints nothing can meet here (on time or evidence) asks for nothing (§5.7.4).
    """
    elements = stated if isinstance(stated, list) else [stated]
    if not 0 < len(elements) <= _MOST:
        raise ValueError(f"{MEMBER} must be 1 to {_MOST} objects")
    return tuple(filter(None, map(_asked, elements)))


def _asked(element: object) -> Asked | None:
    if not isinstance(element, dict):
        raise ValueError(f"{MEMBER} must be an object")  # noqa: TRY004 - of a service's text
    verification, claims = element.get("verification"), element.get("claims")
    if not isinstance(verification, dict) or "trust_framework" not in verification:
        raise ValueError("verification must be an object with trust_framework")
    if not isinstance(claims, dict) or not claims:
        raise ValueError("claims must be an object with at least one claim")
    others = {name: wish for name, wish in verification.items() if name not in ("trust_framework", "assurance_level")}
    if _constrained(others):
        return None
    wished = {name: _values(wish) for name, wish in claims.items()}
    return Asked(
        claims=tuple(claims),
        frameworks=_values(verification["trust_framework"]),
        levels=_values(verification.get("assurance_level")),
        told_level="assurance_level" in verification,
        values=tuple((name, values) for name, values in wished.items() if values is not None),
    )


def _constrained(wish: object) -> bool:
    """Whether anything in it is demanded to be so and not otherwise."""
    if isinstance(wish, dict):
        return any(name in _CONSTRAINTS or _constrained(inner) for name, inner in wish.items())
    return isinstance(wish, list) and any(map(_constrained, wish))


def _values(wish: object) -> tuple[str, ...] | None:
    if wish is None:
        return None
    if not isinstance(wish, dict):
        raise ValueError("a wish must be null or an object")  # noqa: TRY004 - of a service's text
    if "max_age" in wish:
        return ()
    if "value" not in wish and "values" not in wish:
        return None
    stated = wish["values"] if "values" in wish else [wish["value"]]
    if not isinstance(stated, list) or len(stated) > _MOST:
        raise ValueError(f"values must be at most {_MOST}")
    return tuple(value for value in stated if isinstance(value, str))


def names(asked: Iterable[Asked], outward: Sequence[str]) -> tuple[str, ...]:
    """The outward names that asking so reaches."""
    return reached({name for each in asked for name in each.claims}, outward)


def answer(
    asked: Iterable[Asked],
    attributes: Mapping[str, tuple[str, ...]],
    verified: Mapping[str, tuple[str, int]],
    truths: Collection[str] = (),
) -> list[dict[str, Any]] | dict[str, Any] | None:
    """The `verified_claims` of these attributes (§5.1), an element for each framework and level; None if there is none.

    `verified` are the attributes that were, with framework and identity level, `truths` those that are facts. An
    element whose framework or level is not wanted is left out, and so is a claim whose value is not; nothing is an
    error (§5.7.4).
    """
    elements: list[dict[str, Any]] = []
    for each in asked:
        groups: dict[tuple[str, int], dict[str, tuple[str, ...]]] = {}
        constraints = dict(each.values)
        for name in reached(each.claims, tuple(attributes)):
            values = attributes[name]
            wanted = constraints.get(name)
            if name in verified and (wanted is None or set(values) & set(wanted)):
                groups.setdefault(verified[name], {})[name] = values
        for (framework, level), claims in groups.items():
            said = f"{_LEVEL}{level}"
            if each.frameworks is not None and framework not in each.frameworks:
                continue
            if each.levels is not None and said not in each.levels:
                continue
            verification = {"trust_framework": framework}
            if each.told_level:
                verification["assurance_level"] = said
            element = {"verification": verification, "claims": nest(claims, truths)}
            if element not in elements:
                elements.append(element)
    if len(elements) == 1:
        return elements[0]
    return elements or None


def metadata(outward: Iterable[str]) -> dict[str, Any]:
    """What the provider says of it (§8): `outward` are the names of every claim there is."""
    return {
        "verified_claims_supported": True,
        "trust_frameworks_supported": list(FRAMEWORKS),
        "claims_in_verified_claims_supported": sorted(
            {name if ":" in name else name.partition(".")[0] for name in outward}
        ),
    }
