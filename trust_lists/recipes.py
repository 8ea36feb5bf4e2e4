"""Recipes: what a person writes so that a list is made of its members.

A recipe is a YAML file beside its members:

    list: region-saml             # the list's name
    format: saml-metadata         # or etsi-119602 (JSON), etsi-119612 (XML), assurance-table
    members: saml-members/        # directory, from the recipe's own
    output: region-saml.xml
    valid_days: 30
    authority: https://example/   # optional, saml-metadata: who registers (mdrpi:registrationAuthority)
    operator:                     # optional, the ETSI formats: who runs the list, for people
      name: {ja: …, en: …}
      postal_address: {ja: …, en: …}
      contact: mailto:…           # or https://…
      information: https://…
    territory: JP                 # the same; JP if it is not said
    distribution: [https://…]     # the same: where the list is published
    pointers: […]                 # the same: other lists that it leads to (`trust_lists/pointing.py`)

A member of an ETSI list is NAME.yaml (`trust_lists/entries.py`); so are the rows of an assurance-table about one ID
system (`trust_lists/assurance_rows.py`). Beside a SAML member's NAME.xml may stand what the
authority says of it, NAME.yaml:

    municipality: "012173"        # its local-government code
    scopes: [ebetsu.example]      # an identity provider's: the domains behind the @ of scoped attributes
    uses: [civic]                 # what for; without it: anything
    maximum_identity: 2           # the highest identity assurance that it may assert
    status: withdrawn             # it is listed as withdrawn,
    since: "2026-04-01"           # from then on

Every mistake is a `RecipeError` whose text names file, line, what is expected and what to do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from trust_lists.rules import EntryError, Place
from trust_lists.scheme import Scheme, read_scheme

MAXIMUM_MEMBER_BYTES = 4 * 1024 * 1024

_MAXIMUM_YAML_BYTES = 256 * 1024
_MAXIMUM_DEPTH = 32

FORMATS = ("saml-metadata", "etsi-119602", "etsi-119612", "assurance-table")

_LIST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_REQUIRED = ("list", "format", "members", "output", "valid_days")
_SCHEME = ("operator", "territory", "distribution", "pointers")
_OPTIONAL = ("authority", *_SCHEME)
_MAXIMUM_DAYS = 366
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null"))


class RecipeError(Exception):
    """A list that cannot be signed; the text says where, what was expected and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe with its paths made absolute."""

    path: Path
    name: str
    format: str
    members: Path
    output: Path
    validity: timedelta
    authority: str | None = None
    scheme: Scheme = field(default_factory=Scheme)


@dataclass(frozen=True, slots=True)
class Yaml:
    """A YAML file's value with the line of each of its places."""

    path: Path
    value: Any
    lines: Mapping[Place, int]

    def error(self, place: Place, text: str) -> RecipeError:
        """Make an error that names the line of `place`, or of the nearest place around it."""
        around = next(place[:n] for n in range(len(place), -1, -1) if place[:n] in self.lines or n == 0)
        return RecipeError(f"{self.path}:{self.lines.get(around, 1)}: {text}")


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe. Raises `RecipeError`."""
    recipe = read_yaml(path)
    if not isinstance(recipe.value, dict):
        raise recipe.error((), f"a recipe with {', '.join(_REQUIRED)} is expected.")
    for name in recipe.value:
        if name not in (*_REQUIRED, *_OPTIONAL):
            known = ", ".join((*_REQUIRED, *_OPTIONAL))
            raise recipe.error((name,), f"{name} is not part of a recipe; known are {known}.")
    for name in _REQUIRED:
        if name not in recipe.value:
            raise recipe.error((), f"{name} is missing; add it.")
    _check_recipe(recipe)
    stated = recipe.value
    directory = path.resolve().parent
    found = Recipe(
        path=path,
        name=stated["list"],
        format=stated["format"],
        members=directory / stated["members"],
        output=directory / stated["output"],
        validity=timedelta(days=stated["valid_days"]),
        authority=stated.get("authority"),
        scheme=_scheme(recipe),
    )
    if not found.members.is_dir():
        raise recipe.error(("members",), f"there is no directory {found.members}; make it and put the members in.")
    if found.output.resolve().parent == found.members.resolve():
        raise recipe.error(("output",), "the output would become a member; write it outside the members' directory.")
    return found


def _scheme(recipe: Yaml) -> Scheme:
    """Read who runs the list; SAML metadata and tables of assurance have no place for it."""
    form = recipe.value["format"]
    for name in _SCHEME:
        if name in recipe.value and form in ("saml-metadata", "assurance-table"):
            article = "an" if form == "assurance-table" else "a"
            raise recipe.error((name,), f"{name}: {article} {form} list has no place for it; take it out.")
    if "authority" in recipe.value and recipe.value["format"] != "saml-metadata":
        raise recipe.error(("authority",), "authority: only a saml-metadata list has a place for it; take it out.")
    try:
        return read_scheme(recipe.value)
    except EntryError as error:
        raise entry_error(recipe, error) from error


def _check_recipe(recipe: Yaml) -> None:
    stated = recipe.value
    checks: tuple[tuple[str, bool, str], ...] = (
        (
            "list",
            is_list_name(stated["list"]),
            "a name of ASCII letters, digits, dots and hyphens is expected, as region-saml.",
        ),
        ("format", stated["format"] in FORMATS, f"one of {', '.join(FORMATS)} is expected."),
        ("members", _is_text(stated["members"]), "a directory is expected, as members/."),
        ("output", _is_text(stated["output"]), "a file name is expected."),
        (
            "valid_days",
            type(stated["valid_days"]) is int and 1 <= stated["valid_days"] <= _MAXIMUM_DAYS,
            f"a whole number of days from 1 to {_MAXIMUM_DAYS} is expected.",
        ),
        ("authority", _is_text(stated.get("authority", "-")), "an identifier such as https://… is expected."),
    )
    for name, kept, expected in checks:
        if not kept:
            raise recipe.error((name,), f"{name}: {expected}")


def is_list_name(value: object) -> bool:
    """Tell whether a list may be called so."""
    return isinstance(value, str) and bool(_LIST_NAME.fullmatch(value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def read_file(path: Path, *, limit: int = MAXIMUM_MEMBER_BYTES) -> bytes:
    """Read a file's bytes. Raises `RecipeError` if it cannot be read or is larger than `limit`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}); check the name and the permissions.") from error
    if len(data) > limit:
        raise RecipeError(f"{path}: larger than {limit} bytes; check that it is the right file.")
    return data


# --- YAML


def read_yaml(path: Path) -> Yaml:
    """Read one YAML document of plain values, with its lines.

    Raises `RecipeError` for anchors and aliases, tags, duplicate keys, keys that are not text, dates without
    quotes.
    """
    text = read_file(path, limit=_MAXIMUM_YAML_BYTES)
    lines: dict[Place, int] = {}
    try:
        _check_events(text)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        value = None if node is None else _value(loader, node, (), lines)
        loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}:{line}: {error.problem or 'not YAML'}; correct the file.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"{path}:1: not a YAML file of plain values in UTF-8; check the file.") from error
    return Yaml(path, value, lines)


def _check_events(text: bytes) -> None:
    """Refuse anchors, aliases and deep nesting before anything is built."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            raise _YamlError(event.start_mark, "anchors and aliases are not allowed; write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAXIMUM_DEPTH:
            raise _YamlError(event.start_mark, f"more than {_MAXIMUM_DEPTH} levels deep")


class _YamlError(yaml.MarkedYAMLError):
    """A construct of YAML that is not wanted here."""

    def __init__(self, mark: Any, problem: str) -> None:
        super().__init__(problem=problem, problem_mark=mark)


def _value(loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise _YamlError(key_node.start_mark, "a key that is text is expected; put it in quotes")
            if key in found:
                raise _YamlError(key_node.start_mark, f"the key {key} occurs twice")
            lines[(*place, key)] = key_node.start_mark.line + 1
            found[key] = _value(loader, value_node, (*place, key), lines)
        return found
    if node.tag not in _PLAIN_TAGS:
        raise _YamlError(node.start_mark, "a plain value is expected; put a date or odd value in quotes")
    return loader.construct_object(node)


def entry_error(source: Yaml, error: EntryError) -> RecipeError:
    """Name file and line of the rule that an entry in `source` breaks."""
    return source.error(error.place, f"{error}.")
