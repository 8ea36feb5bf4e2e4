"""The comments of `configs/reference/`: what each key means, for people, as editors and commands show it again."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

_PACKAGE = Path(__file__).resolve().parents[1]
_UNUSED = re.compile(r"^(\s*)#(?=[a-z0-9_]+:( |$))", re.MULTILINE)
"""A key that is not in use: `#key:`; prose begins with `# `."""
_DEFAULT = re.compile(r"^\((?:必須|既定値).*\)$")

Trail = tuple[str, ...]


def directory() -> Path:
    """Where the reference is: in the installed package, or beside it in the repository."""
    installed = _PACKAGE / "_configs" / "reference"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs" / "reference"


def comments(file: Path) -> dict[Trail, str]:
    """What the reference says of each key of `file` (relative to the reference), by its way through the file.

    Positions in lists are left out of the way; the first entry's comments count. What is said of defaults is left out.
    """
    text = _UNUSED.sub(r"\1", (directory() / file).read_text(encoding="utf-8"))
    lines = text.splitlines()
    found: dict[Trail, str] = {}
    for trail, line in _keys(yaml.compose(text, Loader=yaml.SafeLoader), ()):
        block = itertools.takewhile(lambda each: each.lstrip().startswith("# "), reversed(lines[:line]))
        above = [each.strip().removeprefix("# ") for each in block]
        said = " ".join(each for each in reversed(above) if not _DEFAULT.match(each))
        if said:
            found.setdefault(trail, said)
    return found


def _keys(node: yaml.Node | None, trail: Trail) -> Iterator[tuple[Trail, int]]:
    """Every key with its line, counted from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*trail, str(key.value))
            yield here, key.start_mark.line
            yield from _keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _keys(item, trail)
