"""What people decided about versions of lists: a file of the state directory that is only ever added to."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway import lists

COUNTS = timedelta(days=30)
"""For how long a decision counts for versions that ask for the same."""


class Word(StrEnum):
    """What somebody decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `who` decided about what a version of list `name` adds or widens. `at` is aware, UTC.

    `asked` names each thing (`Comparison.asked`), `digest` all of it together, and `document` is the SHA-256 of the
    version that was shown.
    """

    name: str
    digest: str
    document: str
    asked: tuple[str, ...]
    word: Word
    who: str
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        return {**asdict(self), "asked": list(self.asked), "word": self.word.value, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Decision":
        """Read it back. Raises `KeyError`, `TypeError`, `ValueError`."""
        at = datetime.fromisoformat(written["at"])
        if at.tzinfo is None:
            message = "a time without its offset"
            raise ValueError(message)
        asked = written["asked"]
        if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
            message = "not a list of digests"
            raise ValueError(message)
        return cls(
            name=written["name"],
            digest=written["digest"],
            document=written["document"],
            asked=tuple(asked),
            word=Word(written["word"]),
            who=written["who"],
            at=at.astimezone(UTC),
        )


class Decisions:
    """The file of decisions. A line that cannot be read decides nothing."""

    def __init__(self, state: Path) -> None:
        self.path = state / "approvals.jsonl"

    def read(self) -> tuple[Decision, ...]:
        """Every decision, in the order in which they were written down. Raises `OSError`."""
        found = []
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ()
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found.append(Decision.from_json(json.loads(line)))
        return tuple(found)

    def add(self, decisions: Iterable[Decision]) -> None:
        """Add those that are not there; on disk when this returns. Raises `OSError`."""
        with lists.locked(self.path.with_name(".approvals.lock")):
            known = set(self.read())
            new = "".join(
                json.dumps(each.to_json(), ensure_ascii=False) + "\n"
                for each in dict.fromkeys(decisions)
                if each not in known
            )
            if not new:
                return
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "r+b") as file:
                lists.hand_over(handle, self.path.parent)
                if file.seek(0, os.SEEK_END) and os.pread(handle, 1, os.fstat(handle).st_size - 1) != b"\n":
                    new = "\n" + new  # the last line was cut off, and must not spoil this one
                file.write(new.encode())
                file.flush()
                os.fsync(handle)

    def about(self, name: str, *, now: datetime) -> "Said":
        """What was decided about a list and still counts; the word of another node may have been written down later."""
        granted: dict[str, datetime] = {}
        rejected: dict[str, datetime] = {}
        for each in sorted(self.read(), key=lambda each: each.at):
            if each.name != name or each.at + COUNTS <= now:
                continue
            if each.word is Word.APPROVED:
                granted |= dict.fromkeys(each.asked, each.at)
                rejected.pop(each.digest, None)
            else:
                granted = {asked: at for asked, at in granted.items() if asked not in each.asked}
                rejected[each.digest] = each.at
        return Said(granted=granted, rejected=rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The last words on a list: what was approved, and the digests of what was rejected, each with its time."""

    granted: Mapping[str, datetime]
    rejected: Mapping[str, datetime]


def asked_digest(asked: Iterable[str]) -> str:
    """SHA-256 of all that a version adds or widens: what somebody decides about."""
    return hashlib.sha256("\n".join(sorted(asked)).encode()).hexdigest()
