"""A file to which lines of JSON are only ever added: on disk before a shared service answers."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]


class Journal:
    """Lines in the order in which they were added. One at a time; use `lock` around look-and-add."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock = asyncio.Lock()

    def read(self) -> list[dict[str, Any]]:
        """Every whole line. What follows the last one was cut off, never acknowledged, and is removed."""
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self._path, len(whole))
        return [json.loads(line) for line in whole.splitlines()]

    async def add(self, line: Line) -> None:
        """Add `line`; when this returns it is on disk."""
        await asyncio.to_thread(self._add, json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def _add(self, octets: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
