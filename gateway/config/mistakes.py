"""A mistake in the configuration: where, what was found, what is expected, what to do; in ja or en.

This file owns the shape and the printing of mistakes; the sentences are data in `messages.py`. What
was found is shown only where it cannot be a secret.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.config.messages import FOUND, MESSAGES, NOTE, SEPARATOR

Trail = tuple[str | int, ...]
"""The way from a file's root to a value: keys and positions."""

Language = Literal["ja", "en"]

LONGEST_SHOWN = 80
"""Characters of a found value that are shown."""

_SECRET_KEY = re.compile(
    r"secret|passw|passphrase|token(?!_endpoint)|credential|private(?!_key_jwt)|(?:^|_)key$|(?:^|_)pin$",
    re.IGNORECASE,
)
_SECRET_VALUE = (
    re.compile(r"-----BEGIN"),
    re.compile(r"^[0-9A-Fa-f]{32,}$"),
    re.compile(r"^(?=.*[0-9])(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9+/_=.~-]{24,}$"),
    re.compile(r"^(?=.*[0-9])[a-z0-9]{20,}$"),
    re.compile(r"^[^\s/]+:[^\s/]+@"),
    re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE),
    re.compile(r"[?&;][^=&]*(?:secret|passw|token|key)[^=&]*=", re.IGNORECASE),
    re.compile(r"(?:^|[^0-9])[0-9]{11,12}(?:[^0-9]|$)"),  # a resident-record code or a My Number has no business here
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake, or one note.

    `file` is as the operator named the directory, joined with the file's place in it; `line` and `column`
    count from 1. `path` is the key's way through the file (`attributes[0].to`; positions count from 0),
    empty for the file itself. `kind` is the machine code and the key of the message table; `facts` fill its
    sentences. `found` is the offending value, already safe to show, or None.
    """

    file: str
    line: int
    column: int
    path: str
    kind: str
    found: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def expected(self, language: str = "en") -> str:
        """What should stand there."""
        return self._sentence(language, 0)

    def todo(self, language: str = "en") -> str:
        """What to do about it."""
        return self._sentence(language, 1)

    def text(self, language: str = "en") -> str:
        """The whole mistake in one line, without its place."""
        language = _known(language)
        found = FOUND[language].format(found=self.found) if self.found is not None else ""
        said = SEPARATOR[language].format(expected=self.expected(language), found=found, todo=self.todo(language))
        return f"{self.path}: {said}" if self.path else said

    def line_text(self, language: str = "en") -> str:
        """The whole mistake in one line, as editors and people find it: `file:line:column: …`."""
        return f"{printable(self.file)}:{self.line}:{self.column}: {self.text(language)}"

    def _sentence(self, language: str, part: int) -> str:
        return printable(MESSAGES[self.kind][_known(language)][part].format_map(self.facts))

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """Sort key: by file, then line."""
        return (self.file, self.line, self.column, self.path, self.kind)


class ConfigurationError(Exception):
    """The configuration has mistakes; the text lists them, one a line."""

    def __init__(self, mistakes: tuple[Mistake, ...], notes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(format_mistakes(mistakes, notes))
        self.mistakes = mistakes
        self.notes = notes

    def format(self, language: str | None = None) -> str:
        """The list as text; `language` None means that of the environment."""
        return format_mistakes(self.mistakes, self.notes, language)


def format_mistakes(mistakes: Iterable[Mistake], notes: Iterable[Mistake] = (), language: str | None = None) -> str:
    """Mistakes, then notes, one a line, by file and line. `language` None means that of the environment."""
    language = _known(language or preferred_language())
    lines = [mistake.line_text(language) for mistake in sorted(mistakes, key=lambda m: m.order)]
    lines += [f"{NOTE[language]}{note.line_text(language)}" for note in sorted(notes, key=lambda m: m.order)]
    return "\n".join(lines)


def to_json(mistakes: Iterable[Mistake], notes: Iterable[Mistake] = (), language: str | None = None) -> str:
    """The same for machines: an object with `mistakes` and `notes`."""
    language = _known(language or preferred_language())

    def plain(mistake: Mistake) -> dict[str, Any]:
        return {
            "file": printable(mistake.file),
            "line": mistake.line,
            "column": mistake.column,
            "path": mistake.path,
            "kind": mistake.kind,
            "found": mistake.found,
            "expected": mistake.expected(language),
            "todo": mistake.todo(language),
        }

    return json.dumps(
        {
            "mistakes": [plain(m) for m in sorted(mistakes, key=lambda m: m.order)],
            "notes": [plain(m) for m in sorted(notes, key=lambda m: m.order)],
        },
        ensure_ascii=False,
        indent=2,
    )


def preferred_language(environment: Mapping[str, str] | None = None) -> Language:
    """`ja` in a Japanese locale, otherwise `en` (POSIX order: LC_ALL, LC_MESSAGES, LANG)."""
    environment = os.environ if environment is None else environment
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name)
        if value:
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def trail_text(trail: Trail) -> str:
    """`("attributes", 0, "to")` as `attributes[0].to`."""
    text = ""
    for step in trail:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = shown(step, ()) or "…"
            plain = re.fullmatch(r"[\w-]+", step) is not None
            text += ("." if text and plain else "") + (name.strip('"') if plain else f"[{name}]")
    return text


def shown(value: object, trail: Trail) -> str | None:
    """`value` as people may see it, in quotes if text; None if it could be a secret or would not fit."""
    if any(isinstance(step, str) and _SECRET_KEY.search(step) for step in trail):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        value = str(value)
        return None if _secret(value) else value
    if not isinstance(value, str) or _secret(value):
        return None
    cut = value if len(value) <= LONGEST_SHOWN else value[: LONGEST_SHOWN - 1] + "…"
    return f'"{printable(cut)}"'


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal would act on rather than show."""
    return "".join(c if c.isprintable() or c == "\u3000" else c.encode("unicode_escape").decode() for c in text)


def _secret(value: str) -> bool:
    return any(pattern.search(value) for pattern in _SECRET_VALUE)


def _known(language: str) -> Language:
    return "ja" if language.startswith("ja") else "en"
