"""The editors' JSON Schemas, held against the files that people write, by a reader of schemas of our own."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.schema import KINDS

from .json_schema import complaints

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SCHEMAS = {of: json.loads((CONFIGS / "schema" / f"{of}.json").read_text(encoding="utf-8")) for of in KINDS}
FILES = [
    (of, file)
    for of in KINDS
    for folder in ("demo", "reference")
    for file in sorted((CONFIGS / folder / f"{of}s").glob("*.yaml"))
]


def against(of: str, value: Any) -> list[str]:
    """What the schema has against it."""
    return list(complaints(value, SCHEMAS[of], SCHEMAS[of]))


def read(file: Path) -> Any:
    """What a file says."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("of", "file"), FILES, ids=lambda value: value.stem if isinstance(value, Path) else value)
def test_what_the_demo_and_the_reference_say_is_valid(of: str, file: Path) -> None:
    """An editor underlines nothing in them."""
    assert against(of, read(file)) == []


def test_every_kind_is_among_them() -> None:
    """So the schema of each was held against something."""
    assert {(of, read(file)["kind"]) for of, file in FILES} == {(of, kind) for of in KINDS for kind in KINDS[of]}


SERVICE = read(CONFIGS / "demo" / "services" / "participation.yaml")

Change = Callable[[dict[str, Any]], object]

MISTAKES: dict[str, tuple[Change, str]] = {
    # what is done to a good file, and where it is underlined
    "a key that there is not": (lambda said: said.update(colour="red"), "/colour: false"),
    "a kind that there is not": (lambda said: said.update(kind="ldap"), "/kind: enum"),
    "no kind": (lambda said: said.pop("kind"), "/kind: required"),
    "nothing that must be there": (lambda said: said.pop("entity_id"), "/entity_id: required"),
    "a text for a number": (lambda said: said.update(consent_days="many"), "/consent_days: type"),
    "yes for a number": (lambda said: said.update(consent_days=True), "/consent_days: type"),
    "a name that is no name of the vocabulary": (
        lambda said: said["attributes"][0].update({"from": ["birthday"]}),
        "/attributes/0/from/0: anyOf",
    ),
    "a transform that there is not": (
        lambda said: said["attributes"][0].update(transforms=["guess"]),
        "/attributes/0/transforms/0: anyOf",
    ),
    "a transform without its argument": (
        lambda said: said["attributes"][0].update(transforms=["over"]),
        "/attributes/0/transforms/0: anyOf",
    ),
    "two transforms as one": (
        lambda said: said["attributes"][0].update(transforms=[{"over": 18, "reaches": 18}]),
        "/attributes/0/transforms/0: anyOf",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_underlined_where_it_is(mistake: str) -> None:
    """In a file of the demo that is good otherwise."""
    change, where = MISTAKES[mistake]
    said = deepcopy(SERVICE)
    change(said)
    assert where in against("service", said)
