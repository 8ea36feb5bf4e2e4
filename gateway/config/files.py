"""Reading a configuration file: YAML as plain data, with the place of every key and value.

This file owns YAML and nothing of what the keys mean. PyYAML's safe loader is narrowed: no tags but the
plain ones, no merge keys, `yes`/`no` stay text, and numbers that YAML 1.1 would read in a surprising way (a
municipality code such as 042056 is octal there) are kept apart as `OddNumber`. Size, depth and the number
of values are bounded, so a file cannot exhaust the process (aliases that multiply, brackets without end).
Whatever is wrong becomes a `Mistake`.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from gateway.config.mistakes import Mistake, Trail, shown, trail_text

LARGEST_FILE = 1_048_576
"""Bytes of one file; the largest sensible file is a hundredth of it."""
MOST_VALUES = 50_000
"""Values of one file after aliases are followed."""
DEEPEST = 32
"""Nesting of lists and mappings."""

_TAG = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))


@dataclass(frozen=True, slots=True)
class OddNumber:
    """Digits that YAML readers take differently: a leading zero, `+`, underscores; `raw` is as written."""

    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value and its key stand. Lines and columns count from 1. `raw` is set if unquoted."""

    line: int
    column: int
    key_line: int
    key_column: int
    raw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file: `data` holds dicts, tuples and scalars, `places` where each stands (the root under `()`).

    `readable` is False if the file has no usable data; its mistakes say why. `present` is False if there is
    no such file.
    """

    file: str
    data: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[Trail, Place] = field(default_factory=dict)
    readable: bool = False
    present: bool = True

    def place(self, trail: Trail) -> Place:
        """The place of `trail`, or of the nearest enclosing value."""
        for length in range(len(trail), -1, -1):
            found = self.places.get(trail[:length])
            if found is not None:
                return found
        return Place(line=1, column=1, key_line=1, key_column=1)

    def mistake(
        self, kind: str, trail: Trail, *, at_key: bool = False, found: str | None = None, **facts: str
    ) -> Mistake:
        """A mistake at `trail`: at its value, or at its key."""
        place = self.place(trail)
        return Mistake(
            file=self.file,
            line=place.key_line if at_key else place.line,
            column=place.key_column if at_key else place.column,
            path=trail_text(trail),
            kind=kind,
            found=found,
            facts=facts,
        )


class _Loader(yaml.SafeLoader):
    """The safe loader with a depth bound and resolvers of its own."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]  # replaced
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """One node deeper; raises `_UnusableError`."""
        self.depth += 1
        if self.depth > DEEPEST:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # untyped there
            mark = event.start_mark
            raise _UnusableError("yaml-deep", mark.line + 1, mark.column + 1, limit=str(DEEPEST))
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _UnusableError(Exception):
    """The file as a whole cannot be used: a kind of mistake, its place, its facts."""

    def __init__(self, kind: str, line: int = 1, column: int = 1, **facts: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.line = line
        self.column = column
        self.facts = facts


for _name, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", "[-+]?[0-9][0-9_]*", [*"-+0123456789"]),
    ("float", r"[-+]?[0-9]+\.[0-9]+", [*"-+0123456789"]),
    ("null", "~|null|Null|NULL|", [*"~nN", ""]),
    ("merge", "<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)

_PROBLEMS: tuple[tuple[str, str], ...] = (
    # what PyYAML says (it has no codes) → our kind of mistake; the first that is contained counts
    (r"'\t'", "yaml-tab"),
    ("mapping values are not allowed", "yaml-colon"),
    ("could not find expected ':'", "yaml-no-colon"),
    ("while scanning a simple key", "yaml-no-colon"),
    ("found unexpected end of stream", "yaml-quote"),
    ("found unknown escape character", "yaml-escape"),
    ("expected escape sequence", "yaml-escape"),
    ("undefined alias", "yaml-alias"),
    ("duplicate anchor", "yaml-alias"),
    ("expected ',' or ']'", "yaml-bracket"),
    ("expected ',' or '}'", "yaml-bracket"),
    ("expected <block end>", "yaml-indent"),
    ("did not find expected", "yaml-indent"),
    ("sequence entries are not allowed", "yaml-indent"),
    ("block mapping", "yaml-indent"),
    ("expected a single document", "yaml-documents"),
    ("that cannot start any token", "yaml-character"),
    ("special characters are not allowed", "yaml-control"),
)
_WHERE_IT_BEGINS = ("yaml-no-colon", "yaml-quote")
"""Mistakes that are made where something begins, and noticed lines after it."""


def read(path: Path, name: str) -> tuple[Document, list[Mistake]]:
    """Read `path`; `name` is what mistakes call it. Never raises: what is wrong is in the list."""
    try:
        walk = _Walk(file=name)
        data = walk.root(_compose(_text(path)))
    except _UnusableError as fault:
        return Document(file=name), [
            Mistake(file=name, line=fault.line, column=fault.column, path="", kind=fault.kind, facts=fault.facts)
        ]
    return Document(file=name, data=data, places=walk.places, readable=True), walk.mistakes


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise _UnusableError("file-not-a-file" if path.exists() else "file-missing")
        with path.open("rb") as stream:
            octets = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError):
        raise _UnusableError("file-unreadable") from None
    if len(octets) > LARGEST_FILE:
        raise _UnusableError("file-too-large", limit=f"{LARGEST_FILE // 1024} KiB")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _UnusableError("file-not-utf8", octets.count(b"\n", 0, error.start) + 1) from None


def _compose(text: str) -> yaml.Node:
    try:
        loader = _Loader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        raise _UnusableError("yaml-control", text.count("\n", 0, error.position) + 1) from None
    except yaml.MarkedYAMLError as error:
        said = f"{error.context or ''} {error.problem or ''}"
        kind = next((kind for part, kind in _PROBLEMS if part in said), "yaml-other")
        mark = error.problem_mark or error.context_mark
        begun = error.context_mark if kind in _WHERE_IT_BEGINS else None
        if mark is not None and begun is None and (quoted := _quoted_until(text, mark.line)) is not None:
            kind, begun = "yaml-quote", quoted
        elif mark is not None and kind in _OF_SHAPE and (slip := _slip(text, mark.line)) is not None:
            raise _UnusableError(*slip) from None
        mark = begun or mark
        raise _UnusableError(kind, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None
    except (ValueError, IndexError, RecursionError, OverflowError):
        # PyYAML lets a few of these through: an impossible escape, a directive with an endless number
        raise _UnusableError("yaml-other") from None
    if node is None:
        raise _UnusableError("file-empty")
    return node


def _quoted_until(text: str, line: int) -> yaml.Mark | None:
    """Where a quotation over several lines begins that ends on `line`: most likely it should have ended before."""
    found: yaml.Mark | None = None
    with suppress(yaml.YAMLError, ValueError, IndexError, OverflowError):
        for token in yaml.scan(text, Loader=_Loader):
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                over = token.start_mark.line < token.end_mark.line == line
                found = token.start_mark if over else found
    return found


_OF_SHAPE = ("yaml-colon", "yaml-no-colon", "yaml-indent")

_SLIPS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("yaml-wide-space", re.compile(r"[ -]*(?P<at>\u3000)")),
    ("file-wide-colon", re.compile(r"[ -]*[a-z_]+(?P<at>\uff1a)")),
    ("yaml-no-colon", re.compile(r"[ -]*(?P<at>[a-z_]+):[^\s:]")),
    ("yaml-dash", re.compile(r" *(?P<at>-)[^\s-]")),
)
"""How lines begin that Japanese keyboards, or haste, bring about; YAML takes them for the beginning of a long text."""


_IN_KEYS = (
    ("yaml-wide-space", re.compile("\u3000")),
    ("file-wide-colon", re.compile("[a-z_]+\uff1a")),
    ("yaml-dash", re.compile("-[{a-z]")),
)
"""The same where YAML takes it for a key."""


def _slip(text: str, until: int) -> tuple[str, int, int] | None:
    """The last such line up to there, counted from 0: its kind, line and column."""
    for number, line in reversed([*enumerate(text.splitlines()[: until + 1])]):
        for kind, pattern in _SLIPS:
            if found := pattern.match(line):
                return kind, number + 1, found.start("at") + 1
    return None


_SCALARS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    # kind, as written → value
    ("str", r"(?s:.*)", str),
    ("merge", r"<<", str),
    ("null", r"~|null|Null|NULL|", lambda _: None),
    ("bool", r"true|True|TRUE", lambda _: True),
    ("bool", r"false|False|FALSE", lambda _: False),
    ("int", r"-?(?:0|[1-9][0-9]{0,17})", int),
    ("int", r"[-+]?[0-9][0-9_]*", OddNumber),
    ("float", r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}", float),
    ("float", r"[-+]?[0-9]+\.[0-9]+", OddNumber),
)


class _Walk:
    """Turns the node graph into data, place by place."""

    def __init__(self, *, file: str) -> None:
        self.file = file
        self.places: dict[Trail, Place] = {}
        self.mistakes: list[Mistake] = []
        self._open: set[int] = set()
        self._left = MOST_VALUES
        self._full = False

    def root(self, node: yaml.Node) -> dict[str, Any]:
        """The whole file. Raises `_UnusableError` if it is no mapping."""
        data = self.value(node, (), None)
        if isinstance(data, dict):
            return data
        wide = isinstance(data, str) and "\uff1a" in data
        raise _UnusableError("file-wide-colon" if wide else "file-not-mapping", node.start_mark.line + 1)

    def value(self, node: yaml.Node, trail: Trail, key: yaml.Node | None) -> Any:
        """The value of `node`, its places recorded under `trail`; None where a mistake was noted."""
        mark = node.start_mark
        named = (key or node).start_mark
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        self.places[trail] = Place(
            line=mark.line + 1,
            column=mark.column + 1,
            key_line=named.line + 1,
            key_column=named.column + 1,
            raw=node.value if plain else None,
        )
        self._left -= 1
        if self._left < 0 or len(trail) > DEEPEST:
            if not self._full:
                self._note("yaml-many", node, (), limit=str(MOST_VALUES))
            self._full = True
            return None
        if id(node) in self._open:
            self._note("yaml-loop", node, trail)
            return None
        self._open.add(id(node))
        try:
            return self._content(node, trail)
        finally:
            self._open.discard(id(node))

    def _content(self, node: yaml.Node, trail: Trail) -> Any:
        if node.tag not in _CORE_TAGS and node.tag != _TAG + "merge":
            self._note("yaml-tag", node, trail)
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, trail)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return tuple(self.value(child, (*trail, n), None) for n, child in enumerate(node.value) if not self._full)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, trail)
        self._note("yaml-tag", node, trail)
        return None

    def _mapping(self, node: yaml.MappingNode, trail: Trail) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key, child in node.value:
            if self._full:
                break
            if key.tag == _TAG + "merge":
                self._note("yaml-merge", key, trail)
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._note("key-not-text", key, trail)
                continue
            name = key.value
            if slip := next((kind for kind, sign in _IN_KEYS if sign.match(name)), None):
                self._note(slip, key, trail)
                continue
            if key.tag != _TAG + "str":
                self._note("key-unquoted", key, (*trail, name), key=shown(name, ()) or "…")
            if name in first:
                self._note("duplicate-key", key, (*trail, name), key=shown(name, ()) or "…", first=str(first[name]))
                continue
            first[name] = key.start_mark.line + 1
            found[name] = self.value(child, (*trail, name), key)
        return found

    def _scalar(self, node: yaml.ScalarNode, trail: Trail) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        for known, pattern, convert in _SCALARS:
            if kind == known and re.fullmatch(pattern, text):
                return convert(text)
        self._note("yaml-tag", node, trail)  # `!!int` before something that is none
        return None

    def _note(self, kind: str, node: yaml.Node, trail: Trail, **facts: str) -> None:
        self.mistakes.append(
            Mistake(
                file=self.file,
                line=node.start_mark.line + 1,
                column=node.start_mark.column + 1,
                path=trail_text(trail),
                kind=kind,
                facts=facts,
            )
        )
