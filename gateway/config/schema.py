"""JSON Schemas (2020-12) of the files that town-hall staff write, for editors that check while one writes.

Made of the same models that read the files and of the comments in `configs/reference/`, so that an editor shows what
the reference says. What no schema can tell (references between files, check digits) `kakehashi check-config` does.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from federation.attributes import CANONICAL
from federation.transforms import TRANSFORMS
from federation.transforms.meanings import MEANINGS
from federation.vocabulary import Texts
from gateway.config import reference
from gateway.config.models import OidcService, SamlService, Section
from gateway.config.shapes import ID_SYSTEM_KINDS
from gateway.config.types import NAMES

KINDS: Mapping[str, Mapping[str, type[Section]]] = {
    "id-system": ID_SYSTEM_KINDS,
    "service": {"oidc": OidcService, "saml": SamlService},
}
"""What the schema is of → the models by `kind`."""


def schema(of: str) -> dict[str, Any]:
    """The schema of an ID system's or a service's file; `of` is a key of `KINDS`."""
    definitions: dict[str, Any] = {}
    branches = []
    for kind, model in KINDS[of].items():
        made = TypeAdapter(model).json_schema(by_alias=True, ref_template=f"#/$defs/{kind}-{{model}}")
        for name, definition in made.pop("$defs", {}).items():
            definitions[f"{kind}-{name}"] = definition
        definitions[kind] = made
        branches.append(
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
        )
        _described(made, definitions, _comments(of, kind), ())
    definitions["transform"] = _transforms()
    definitions["vocabulary"] = {
        "anyOf": [{"const": name, "description": f"{said['ja']} / {said['en']}"} for name, said in CANONICAL.items()]
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Kakehashi: {of}",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(KINDS[of])}},
        "allOf": branches,
        "$defs": definitions,
    }


def _comments(of: str, kind: str) -> Mapping[tuple[str, ...], str]:
    return reference.comments(Path(f"{of}s/example-{kind}.yaml"))


def _described(
    section: dict[str, Any],
    definitions: dict[str, Any],
    comments: Mapping[tuple[str, ...], str],
    trail: tuple[str, ...],
) -> None:
    """Put the reference's words, the vocabulary and the transforms where they belong, all the way down."""
    section.pop("description", None)
    for name, field in section.get("properties", {}).items():
        here = (*trail, name)
        if here in comments:
            field["description"] = comments[here]
        field.pop("title", None)
        for inner in _references(field):
            _described(definitions[inner], definitions, comments, here)


def _references(field: Any) -> Iterator[str]:
    """The definitions that a field refers to; a place that wants a name of ours gets its reference here."""
    if isinstance(field, dict):
        own = field.pop(NAMES, None)
        if own is not None:
            field.clear()
            field["$ref"] = f"#/$defs/{own}"
        elif "$ref" in field:
            yield field["$ref"].removeprefix("#/$defs/")
        for value in field.values():
            yield from _references(value)
    elif isinstance(field, list):
        for value in field:
            yield from _references(value)


def _both(texts: Texts) -> str:
    return f"{texts['ja']} / {texts['en']}"


def _transforms() -> dict[str, Any]:
    plain = [
        {"const": name, "description": _both(MEANINGS[name])}
        for name, each in sorted(TRANSFORMS.items())
        if each.argument is None
    ]
    arguments = {
        name: {
            "description": f"{_both(MEANINGS[name])}\n\n{_both(each.argument)}",
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}},
            ],
        }
        for name, each in sorted(TRANSFORMS.items())
        if each.argument is not None
    }
    return {
        "anyOf": [
            *plain,
            {
                "type": "object",
                "properties": arguments,
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }
