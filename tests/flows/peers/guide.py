"""Follows a guide: does what its code blocks say, so that the document itself is tested.

Three kinds of fenced blocks are acted upon, by their info string: `LANG file=PATH` is written to PATH,
`yaml part=PATH` replaces those top-level keys in PATH, and `sh run` is done line by line. Only addresses,
paths and placeholders are substituted.
"""

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests
import yaml

_HEADING = re.compile(r"^#{2,3} (.+)$")
_FENCE = re.compile(r"^```(\w*) ?(.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block: under which heading, what is to be done with it, and its text."""

    section: str
    action: str
    text: str


def blocks(document: Path) -> list[Block]:
    """The blocks of a Markdown file that are to be acted upon, in its order."""
    found: list[Block] = []
    section, action, lines = "", None, []
    for line in document.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if action is None and (heading := _HEADING.match(line)):
            section = heading[1]
        elif action is None and fence:
            action, lines = fence[2], []
        elif action is not None and fence:
            if action:
                found.append(Block(section, action, "".join(lines)))
            action = None
        elif action is not None:
            lines.append(line + "\n")
    return found


@dataclass
class Guide:
    """A guide and what its example addresses, paths and placeholders stand for here."""

    document: Path
    directory: Path
    stands_for: dict[str, str] = field(default_factory=dict)

    def follow(self, section: str, **placeholders: Callable[[str], str]) -> str:
        """Do everything under this heading; answers what the commands printed.

        A command that fails is a fault. A placeholder (THE_DIGEST for `THE-DIGEST`) is made of what was
        printed until then.
        """
        chosen = [block for block in blocks(self.document) if block.section == section]
        assert chosen, f"{self.document} has no steps under {section!r}"
        said = ""
        for block in chosen:
            text = block.text
            for name, make in placeholders.items():
                written = name.replace("_", "-")
                text = text.replace(written, make(said)) if written in text else text
            said += self._do(block, text)
        return said

    def _do(self, block: Block, text: str) -> str:
        for written, actual in self.stands_for.items():
            text = text.replace(written, actual)
        kind, _, target = block.action.partition("=")
        if kind == "run":
            return "".join(self._run(line) for line in text.splitlines())
        path = self.directory / target.removeprefix(".demo/")
        if kind == "part":
            text = yaml.safe_dump(yaml.safe_load(path.read_text()) | yaml.safe_load(text), allow_unicode=True)
        assert kind in ("file", "part"), block.action
        path.write_text(text, encoding="utf-8")
        return ""

    def _run(self, line: str) -> str:
        words = shlex.split(line)
        if words[:2] == ["curl", "-fsS"]:  # not everybody has curl; the peer's address is what counts
            url, _, target = words[2:]
            response = requests.get(url, timeout=10)
            response.raise_for_status()
            Path(target).write_bytes(response.content)
            return ""
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout
