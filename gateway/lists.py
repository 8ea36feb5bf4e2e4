"""Signed trust lists from their files into a trusted set, and the highest sequence numbers ever seen on disk."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.config import TrustSource
from gateway.keys import StateDirectoryError
from trust_lists import json_list, saml_metadata
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.trusted_set import TrustedSet

READERS = {"saml-metadata": saml_metadata, "json": json_list}
"""The format's own reader and its bound on size."""

FUTURE = "future"
"""The one refusal that time heals by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one source at its last reading.

    `held` is the list in force after it, `code` and `text` say why the file was refused (None: it was not),
    `stamp` which state of the file was read.
    """

    stamp: str
    held: TrustList | None
    code: str | None = None
    text: str = ""


def read(source: TrustSource, trust: TrustedSet, *, held: TrustList | None, now: datetime) -> Reading:
    """Read the list of `source` into `trust`; if it is refused, `held` stays."""
    seen = stamp(source.file)
    try:
        reader = READERS[source.format]
        document = _content(source, reader.MAXIMUM_BYTES)
        found = reader.read(document, name=source.name, anchors=source.anchors, now=now)
        trust.admit(found)
    except ListRefusedError as fault:
        return Reading(stamp=seen, held=held, code=fault.code, text=str(fault))
    return Reading(stamp=seen, held=found)


def stamp(path: Path) -> str:
    """Changes when the file at `path` comes, goes or is written."""
    try:
        found = path.stat()
    except OSError as fault:
        return f"absent:{fault.errno}"
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def _content(source: TrustSource, limit: int) -> bytes:
    """The file's first `limit` bytes and one more, by which its reader knows that it is too large."""
    try:
        with source.file.open("rb") as file:
            return file.read(limit + 1)
    except OSError as fault:
        raise ListRefusedError(
            "unreadable",
            f"{source.file}: cannot be read ({fault.strerror}). Expected the signed list {source.name}. "
            "Sign it with `kakehashi trust sign`, or mend the path in trust.yaml.",
        ) from fault


class HighWater:
    """The highest sequence number admitted for each list name, so that a restart admits no older one."""

    def __init__(self, state: Path) -> None:
        """`state` is the state directory."""
        self._path = state / "high-water.json"

    def read(self) -> dict[str, int]:
        """The marks. Raises `StateDirectoryError` if their file is damaged."""
        try:
            return {str(name): int(mark) for name, mark in json.loads(self._path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as fault:
            raise StateDirectoryError(
                f"{self._path}: is damaged. Expected a JSON object of list names and sequence numbers. Restore it "
                "from a backup; or make sure that the signed lists are the current ones and remove it."
            ) from fault
        except OSError as fault:
            raise StateDirectoryError(
                f"{self._path}: cannot be read ({fault.strerror}). Mend its owner or mode."
            ) from fault

    def remember(self, highest: Mapping[str, int]) -> None:
        """Put marks that rose on disk. Raises `OSError`, `StateDirectoryError`."""
        marks = self.read()
        risen = {name: max(mark, marks.get(name, mark)) for name, mark in highest.items()}
        if risen.items() <= marks.items():
            return
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with temporary.open("w") as file:
            json.dump(marks | risen, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
