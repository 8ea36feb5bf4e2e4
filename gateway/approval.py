"""Versions of lists that wait for a person, and what people decided.

A newer version of a list that needs approval takes effect at once if it only renews, removes or withdraws. If it adds
or widens anything it is staged, and the one in force stays until its own end. Whoever decides names the digest of what
they were shown, so nobody approves what came in meanwhile. Decisions are only ever added to, in `approvals.jsonl` of
the state directory, and carried to the store for other nodes (`gateway/refreshing.py`).
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from gateway import lists
from gateway.config import TrustSource
from gateway.lists import HighWater, Shelf
from observability.events import FetchOutcome
from trust_lists.comparing import Comparison, compare
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.trusted_set import TrustedSet

LONGEST_WHO = 100
"""Characters of the name of whoever decides."""

REJECTED = "rejected"


class Word(StrEnum):
    """What somebody decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


class ApprovalError(Exception):
    """Nothing was decided; `code` is `who`, `gone`, `other-version` or `not-asked`, the text says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `who` decided about the version of list `name` with this SHA-256. `at` is aware, UTC."""

    name: str
    digest: str
    word: Word
    who: str
    at: datetime

    def to_json(self) -> dict[str, str]:
        """Write it down."""
        return {**asdict(self), "word": self.word.value, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, written: Mapping[str, str]) -> "Decision":
        """Read it back. Raises `KeyError`, `TypeError`, `ValueError`."""
        at = datetime.fromisoformat(written["at"])
        if at.tzinfo is None:
            message = "a time without its offset"
            raise ValueError(message)
        return cls(
            name=written["name"],
            digest=written["digest"],
            word=Word(written["word"]),
            who=written["who"],
            at=at.astimezone(UTC),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A staged version: what it would change compared with the one in force, and since when it waits."""

    name: str
    digest: str
    since: datetime
    sequence: int
    valid_until: datetime
    comparison: Comparison


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

    def about(self, name: str, digest: str) -> Word | None:
        """What was decided last about a version; the word of another node may have been written down later."""
        found = [each for each in self.read() if (each.name, each.digest) == (name, digest)]
        return max(found, key=lambda each: each.at).word if found else None


# --- a version comes


def take(source: TrustSource, state: Path, document: bytes, *, now: datetime) -> FetchOutcome:
    """Put a version that came in its place: in force, or staged.

    It is first read by the rules by which every process will read it. Raises `ListRefusedError` (then what is in force
    stays, and the document lies beside it as `refused`), `OSError`, `StateDirectoryError`.
    """
    shelf = Shelf(state, source.name)
    shelf.make()
    with shelf.locked():
        try:
            return _take(source, state, shelf, document, now)
        except ListRefusedError:
            lists.replace(shelf.refused, document, at=now)
            raise


def _take(source: TrustSource, state: Path, shelf: Shelf, document: bytes, now: datetime) -> FetchOutcome:
    marks = HighWater(state).read()
    found = lists.trial(source, document, marks=marks, now=now)
    if _same(shelf.current, found):
        return FetchOutcome.UNCHANGED
    held = None
    if source.approval or found.sequence == marks.get(source.name):
        held = _as_taken(source, shelf.current)
    if held is not None and held.sequence == found.sequence:
        trust = TrustedSet()
        trust.admit(held)
        trust.check(found)  # every process would refuse it
    if source.approval:
        word = Decisions(state).about(source.name, found.digest)
        if word is Word.REJECTED:
            raise ListRefusedError(
                REJECTED,
                f"list {source.name}: this version was rejected here, see approvals.jsonl. Agree with its authority on "
                "another one.",
            )
        if word is None and compare(held, found, now=now).widens:
            if _same(shelf.staged, found):
                return FetchOutcome.UNCHANGED
            lists.replace(shelf.staged, document, at=now)
            return FetchOutcome.STAGED
    _put_in_force(shelf, state, document, found, now)
    return FetchOutcome.TAKEN


def _same(path: Path, found: TrustList) -> bool:
    try:
        return _digest(path.read_bytes()) == found.digest
    except FileNotFoundError:
        return False


def _put_in_force(shelf: Shelf, state: Path, document: bytes, found: TrustList, now: datetime) -> None:
    """Put a version in its place; the mark follows, so that a crash between the two refuses nothing."""
    lists.replace(shelf.current, document, at=now)
    shelf.staged.unlink(missing_ok=True)
    HighWater(state).remember({found.name: found.sequence})


def _as_taken(source: TrustSource, path: Path) -> TrustList | None:
    """A version as it was read when it was put there, even if it is over now; None if the pins of today refuse it."""
    try:
        document = lists.content(path, source)
        return lists.trial(source, document, marks={}, now=lists.written_at(path))
    except (ListRefusedError, OSError):
        return None


def in_force(source: TrustSource, state: Path, *, now: datetime) -> TrustList | None:
    """The version in force at `now`, by the gateway's own copy; None if there is none. Raises `StateDirectoryError`."""
    shelf = Shelf(state, source.name)
    try:
        return lists.trial(source, lists.content(shelf.current, source), marks=HighWater(state).read(), now=now)
    except (ListRefusedError, OSError):
        return None


# --- people decide


def waiting(sources: Iterable[TrustSource], state: Path) -> tuple[Waiting, ...]:
    """Every version that waits, by the name of its list."""
    return Board(state).waiting(sources)


class Board:
    """What waits, for those who look often: a version is read and compared once."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._seen: dict[str, tuple[tuple[TrustSource, str, str], Waiting | None]] = {}
        self._lines: dict[tuple[str, str], tuple[Waiting, tuple[str, ...]]] = {}

    def waiting(self, sources: Iterable[TrustSource]) -> tuple[Waiting, ...]:
        """Every version that waits, by the name of its list."""
        found = (self._of(source) for source in sorted(sources, key=lambda each: each.name) if source.approval)
        return tuple(each for each in found if each is not None)

    def lines(self, waiting: Waiting, language: str) -> tuple[str, ...]:
        """What it would change, in words; of a country's list this takes half a second."""
        key = (waiting.name, language)
        known = self._lines.get(key)
        if known is None or known[0] is not waiting:
            known = self._lines[key] = (waiting, waiting.comparison.lines(language))
        return known[1]

    def _of(self, source: TrustSource) -> Waiting | None:
        shelf = Shelf(self._state, source.name)
        state = (source, lists.stamp(shelf.staged), lists.stamp(shelf.current))
        known = self._seen.get(source.name)
        if known is None or known[0] != state:
            known = self._seen[source.name] = (state, _waiting(source, shelf))
        return known[1]


def _waiting(source: TrustSource, shelf: Shelf) -> Waiting | None:
    staged = _as_taken(source, shelf.staged)
    if staged is None:
        return None
    try:
        since = lists.written_at(shelf.staged)
    except OSError:  # decided just now
        return None
    return Waiting(
        name=source.name,
        digest=staged.digest,
        since=since,
        sequence=staged.sequence,
        valid_until=staged.valid_until,
        comparison=compare(_as_taken(source, shelf.current), staged, now=since),
    )


def waits(source: TrustSource, state: Path) -> bool:
    """Whether a version of this list waits."""
    return source.approval and Shelf(state, source.name).staged.exists()


def approve(source: TrustSource, state: Path, *, digest: str, who: str, at: datetime) -> Decision:
    """Bring the staged version with this SHA-256 into force: in every worker of this node at its next look.

    Raises `ApprovalError`, `ListRefusedError` (it is over, or a newer one is in force), `OSError`,
    `StateDirectoryError`.
    """
    shelf, decision = Shelf(state, source.name), _decision(source, digest, Word.APPROVED, who, at)
    shelf.make()
    with shelf.locked():
        document = _shown(source, shelf, digest)
        found = lists.trial(source, document, marks=HighWater(state).read(), now=at)
        Decisions(state).add([decision])
        _put_in_force(shelf, state, document, found, at)
    return decision


def reject(source: TrustSource, state: Path, *, digest: str, who: str, at: datetime) -> Decision:
    """Put the staged version with this SHA-256 away; it is not staged again. Raises `ApprovalError`, `OSError`."""
    shelf, decision = Shelf(state, source.name), _decision(source, digest, Word.REJECTED, who, at)
    shelf.make()
    with shelf.locked():
        _shown(source, shelf, digest)
        Decisions(state).add([decision])
        shelf.staged.replace(shelf.refused)
    return decision


def carry_out(source: TrustSource, state: Path, *, now: datetime) -> Word | None:
    """Do what was decided elsewhere (on another node, or before a crash) about the version that is staged here.

    Raises `ListRefusedError` if it cannot be brought into force any more, `OSError`, `StateDirectoryError`.
    """
    shelf = Shelf(state, source.name)
    if not waits(source, state):
        return None
    with shelf.locked():
        try:
            document = shelf.staged.read_bytes()
        except FileNotFoundError:
            return None
        word = Decisions(state).about(source.name, _digest(document))
        if word is Word.REJECTED:
            shelf.staged.replace(shelf.refused)
        elif word is Word.APPROVED:
            try:
                found = lists.trial(source, document, marks=HighWater(state).read(), now=now)
            except ListRefusedError:
                shelf.staged.replace(shelf.refused)
                raise
            _put_in_force(shelf, state, document, found, now)
    return word


def _decision(source: TrustSource, digest: str, word: Word, who: str, at: datetime) -> Decision:
    name = " ".join(who.split())
    if not name or len(name) > LONGEST_WHO or not name.isprintable():
        raise ApprovalError(
            "who",
            f"who decides: expected a name of 1 to {LONGEST_WHO} characters, kept with the decision. Write yours.",
        )
    if not source.approval:
        raise ApprovalError(
            "not-asked", f"list {source.name}: its versions need no approval (trust.yaml), so none waits."
        )
    return Decision(name=source.name, digest=digest, word=word, who=name, at=at)


def _shown(source: TrustSource, shelf: Shelf, digest: str) -> bytes:
    try:
        document = shelf.staged.read_bytes()
    except FileNotFoundError:
        raise ApprovalError(
            "gone", f"list {source.name}: no version waits. Somebody may have decided already."
        ) from None
    if _digest(document) != digest:
        raise ApprovalError(
            "other-version",
            f"list {source.name}: the version that waits is another than the one shown (its digest is "
            f"{_digest(document)}). Read what it changes, then decide about that one.",
        )
    return document


def _digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()
