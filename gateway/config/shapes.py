"""From a file's data to its model, and from pydantic's errors to mistakes.

pydantic's own wording never leaves this file: only the type of its errors is read.
"""

import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.files import Document, OddNumber
from gateway.config.messages import MESSAGES
from gateway.config.mistakes import Mistake, Trail, shown
from gateway.config.models import (
    AnyIdSystem,
    CertificateIdSystem,
    OidcIdSystem,
    OidcService,
    SamlIdSystem,
    SamlService,
    Section,
)
from gateway.config.types import nearest

S = TypeVar("S", bound=Section)

ID_SYSTEM_KINDS: Mapping[str, type[AnyIdSystem]] = {
    "oidc": OidcIdSystem,
    "saml": SamlIdSystem,
    "certificate": CertificateIdSystem,
}
SERVICE_KINDS: Mapping[str, type[OidcService | SamlService]] = {"oidc": OidcService, "saml": SamlService}

_KEY = "[key]"
"""What pydantic appends to the location of an error about a mapping's key."""


def shape(document: Document, model: type[S], reference: str) -> tuple[S | None, list[Mistake]]:
    """The file as `model`, or None and why not. `reference` is the file that shows every key."""
    value, errors = _validate(document, model)
    return value, [_mistake(document, error, model, reference) for error in errors]


def shape_of_kind(document: Document, kinds: Mapping[str, type[S]], reference: str) -> tuple[S | None, list[Mistake]]:
    """The file as the model that its `kind` names. Without a usable kind: what every kind would refuse.

    `reference` holds `{kind}`.
    """
    kind = document.data.get("kind")
    if isinstance(kind, str) and kind in kinds:
        value, errors = _validate(document, kinds[kind])
        others = {name: model for name, model in kinds.items() if name != kind}
        where = reference.format(kind=kind)
        return value, [
            _of_other_kind(document, error, kind, others) or _mistake(document, error, kinds[kind], where)
            for error in errors
        ]
    found = [(model, _validate(document, model)[1]) for model in kinds.values()]
    model, errors = found[0]
    common = set.intersection(*({(e["loc"], e["type"]) for e in each} for _, each in found))
    where = reference.format(kind=next(iter(kinds)))
    mistakes = [
        _mistake(document, error, model, where)
        for error in errors
        if (error["loc"], error["type"]) in common and error["loc"] != ("kind",)
    ]
    if "kind" not in document.data:
        return None, [document.mistake("missing-key", (), key="kind", reference=where), *mistakes]
    return None, [_one_of(document, ("kind",), kind, tuple(kinds)), *mistakes]


def _validate(document: Document, model: type[S]) -> tuple[S | None, list[ErrorDetails]]:
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _of_other_kind(
    document: Document, error: ErrorDetails, kind: str, others: Mapping[str, type[Section]]
) -> Mistake | None:
    """The mistake if the unknown key is one that another kind knows."""
    if error["type"] != "extra_forbidden":
        return None
    loc = error["loc"]
    for name, model in others.items():
        section = _section_at(model, loc[:-1])
        if section is not None and loc[-1] in _keys(section):
            return document.mistake("other-kind-key", loc, at_key=True, own=kind, other=name)
    return None


def _mistake(document: Document, error: ErrorDetails, model: type[Section], reference: str) -> Mistake:
    loc: Trail = error["loc"]
    at_key = bool(loc) and loc[-1] == _KEY
    trail = tuple(step for step in loc if step != _KEY)
    kind, value = error["type"], error["input"]
    if kind == "missing":
        facts = {"key": str(trail[-1]), "reference": reference}
        return document.mistake("missing-key", trail[:-1], at_key=True, **facts)
    if kind == "extra_forbidden":
        return _unknown_key(document, trail, model, reference)
    if kind in MESSAGES:
        facts = {name: str(fact) for name, fact in error.get("ctx", {}).items()}
        found = shown(trail[-1] if at_key else value, trail)
        return document.mistake(kind, trail, at_key=at_key, found=found, **facts)
    if kind == "literal_error" and isinstance(value, str):
        return _one_of(document, trail, value, _options(_annotation_at(model, trail)))
    return _wrong_type(document, trail, kind, value, reference)


def _unknown_key(document: Document, trail: Trail, model: type[Section], reference: str) -> Mistake:
    section = _section_at(model, trail[:-1])
    near = nearest(str(trail[-1]), _keys(section)) if section else None
    if near:
        return document.mistake("unknown-key-near", trail, at_key=True, near=near)
    return document.mistake("unknown-key", trail, at_key=True, reference=reference)


def _one_of(document: Document, trail: Trail, value: object, options: Sequence[str]) -> Mistake:
    listed = ", ".join(options)
    found = shown(value, trail)
    near = nearest(value, tuple(options)) if isinstance(value, str) else None
    if value is None:
        return document.mistake("empty", trail, at_key=True)
    if near:
        return document.mistake("one-of-near", trail, found=found, options=listed, near=near)
    return document.mistake("one-of", trail, found=found, options=listed)


_EXPECTED_TYPES: Mapping[str, str] = {
    # the type of pydantic's error → our kind
    "string_type": "text",
    "int_type": "whole-number",
    "int_from_float": "whole-number",
    "float_type": "whole-number",
    "bool_type": "true-false",
    "tuple_type": "list",
    "dict_type": "mapping",
    "model_type": "mapping",
    "literal_error": "text",
}


def _wrong_type(document: Document, trail: Trail, error_type: str, value: object, reference: str) -> Mistake:
    kind = _EXPECTED_TYPES.get(error_type, "other")
    if value is None:
        return document.mistake("empty", trail, at_key=True)
    raw = document.place(trail).raw or str(value)
    found = shown(raw, trail) if isinstance(value, bool | int | float | OddNumber) else shown(value, trail)
    if kind == "text" and isinstance(value, bool | int | float | OddNumber):
        kind = "municipality-unquoted" if trail[-1:] == ("municipality",) else "text-unquoted"
        return document.mistake(kind, trail, found=found and found.strip('"'), quoted=found or '"…"')
    if kind == "whole-number" and isinstance(value, OddNumber):
        plain = value.raw.lstrip("+").replace("_", "").lstrip("0") or "0"
        return document.mistake("whole-number-odd", trail, found=found and found.strip('"'), plain=plain)
    return document.mistake(kind, trail, found=found, reference=reference)


# --- the model's side of a location


def _keys(section: type[Section]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in section.model_fields.items())


def _annotation_at(model: type[Section], trail: Trail) -> Any:
    """The annotation that stands at `trail`; None if the model has nothing there."""
    annotation: Any = model
    for step in trail:
        if isinstance(step, int):
            continue
        section = _section_of(annotation)
        if section is None:
            return None
        field = next((i for name, i in section.model_fields.items() if (i.alias or name) == step), None)
        if field is None:
            # a key of a mapping with free keys: its values' section is the one already at hand
            continue
        annotation = field.annotation
    return annotation


def _section_at(model: type[Section], trail: Trail) -> type[Section] | None:
    return _section_of(_annotation_at(model, trail))


def _section_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _section_of(part))), None)


def _options(annotation: Any) -> tuple[str, ...]:
    if typing.get_origin(annotation) is Literal:
        return tuple(str(option) for option in typing.get_args(annotation))
    return next((found for part in typing.get_args(annotation) if (found := _options(part))), ())
