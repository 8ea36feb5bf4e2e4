"""A reader of JSON Schema that shares nothing with what writes ours (draft 2020-12, the keywords that they use).

A keyword that it does not know is an error and not passed over: an editor would heed it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

NOTES = frozenset({"$schema", "$defs", "title", "description", "default"})
"""Validation §9: they are for people; `$defs` (Core §8.2.4) holds what is referred to."""

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def complaints(value: Any, schema: Any, root: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """What the schema has against the value: place and keyword, in order; nothing if it is valid."""
    if isinstance(schema, bool):
        if not schema:
            yield f"{where}: false"
        return
    for keyword, said in schema.items():
        if keyword in NOTES or keyword == "then":
            continue
        yield from _RULES[keyword](value, said, schema, root, where)


def valid(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether it has nothing against it."""
    return next(complaints(value, schema, root), None) is None


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())


def _type(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    names = [said] if isinstance(said, str) else said
    if not any(_is(value, name) for name in names):
        yield f"{where}: type"


def _const(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    if type(value) is not type(said) or value != said:
        yield f"{where}: const"


def _enum(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    if not any(type(value) is type(each) and value == each for each in said):
        yield f"{where}: enum"


def _required(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{where}/{name}: required" for name in said if name not in value)


def _properties(value: Any, said: Any, _schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in said.keys() & value.keys():
            yield from complaints(value[name], said[name], root, f"{where}/{name}")


def _additional(value: Any, said: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from complaints(value[name], said, root, f"{where}/{name}")


def _least(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict) and len(value) < said:
        yield f"{where}: minProperties"


def _most(value: Any, said: Any, _schema: Any, _root: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict) and len(value) > said:
        yield f"{where}: maxProperties"


def _items(value: Any, said: Any, _schema: Any, root: Any, where: str) -> Iterator[str]:
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from complaints(each, said, root, f"{where}/{place}")


def _all_of(value: Any, said: Any, _schema: Any, root: Any, where: str) -> Iterator[str]:
    for each in said:
        yield from complaints(value, each, root, where)


def _any_of(value: Any, said: Any, _schema: Any, root: Any, where: str) -> Iterator[str]:
    if not any(valid(value, each, root) for each in said):
        yield f"{where}: anyOf"


def _if(value: Any, said: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if valid(value, said, root):
        yield from complaints(value, schema.get("then", True), root, where)


def _reference(value: Any, said: Any, _schema: Any, root: Any, where: str) -> Iterator[str]:
    start, group, name = said.split("/")
    assert (start, group) == ("#", "$defs")
    yield from complaints(value, root[group][name], root, where)


_RULES = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "minProperties": _least,
    "maxProperties": _most,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _any_of,
    "if": _if,
    "$ref": _reference,
}
