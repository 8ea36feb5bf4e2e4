"""Versions of lists that wait for a person, and what people decided.

A newer version of a list that needs approval takes effect at once if it only renews, removes or withdraws. If it adds
or widens anything it is staged, and the one in force stays until its own end. Whoever decides names the digest of what
they were shown, so nobody approves what came in meanwhile.

What is approved is content (`Comparison.asked`): a version that was signed or collected anew, here or on another node,
takes effect if it asks for nothing beyond what was approved. On each node an approval counts once, and only for a
while: what was in force and then left needs a new one. Decisions are kept (`gateway/decisions.py`), and carried to the
store for other nodes (`gateway/refreshing.py`).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway import lists
from gateway.config import TrustSource
from gateway.decisions import COUNTS, Decision, Decisions, Said, Word, asked_digest
from gateway.lists import HighWater, Shelf
from observability.events import FetchOutcome
from trust_lists.admission import Mark, check_mark, mark_of
from trust_lists.comparing import Comparison, compare
from trust_lists.model import ListRefusedError, TrustList

LONGEST_WHO = 100
"""Characters of the name of whoever decides."""

REJECTED = "rejected"


class ApprovalError(Exception):
    """Nothing was decided; `code` is `who`, `gone`, `other-version` or `not-asked`, the text says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A staged version: what it would change compared with the one in force, and since when that waits.

    `digest` is of what it adds or widens (`asked_digest`), `document` its SHA-256.
    """

    name: str
    digest: str
    document: str
    since: datetime
    sequence: int
    valid_until: datetime
    comparison: Comparison


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
    if source.approval or source.through or found.sequence == marks.get(source.name, Mark(-1)).sequence:
        held = _as_taken(source, shelf.current)
    if held is not None and held.called != found.called and source.through:
        raise ListRefusedError(
            "other-list",
            f"list {source.name}: this is the list {found.called[:100]!r}, and at {source.url} was "
            f"{held.called[:100]!r} before. Ask its authority; if it is the same list by another name, remove its "
            "directory in `lists`.",
        )
    if held is not None and held.sequence == found.sequence:
        check_mark(found, mark_of(held))  # every process would refuse it
    if source.approval:
        asked, said = compare(held, found, now=now).asked, Decisions(state).about(source.name, now=now)
        if _open(shelf, asked, said):
            return _stage(shelf, document, asked=asked, said=said, now=now)
        _use(shelf, asked, said, now)
    _put_in_force(shelf, state, document, found, now)
    return FetchOutcome.TAKEN


def _stage(shelf: Shelf, document: bytes, *, asked: Iterable[str], said: Said, now: datetime) -> FetchOutcome:
    digest = asked_digest(asked)
    if digest in said.rejected:
        raise ListRefusedError(
            REJECTED,
            f"list {shelf.name}: what this version adds or widens was rejected here, see approvals.jsonl; it is asked "
            f"again after {said.rejected[digest] + COUNTS:%Y-%m-%d}. Agree with its authority on another version, or "
            f"approve it after all: digest {digest}.",
        )
    before = shelf.since(digest) if shelf.staged.exists() else None
    lists.replace(shelf.staged, document, at=now)
    if before is None:
        shelf.wait_since(digest, now)
    return FetchOutcome.STAGED if before is None else FetchOutcome.UNCHANGED


def _open(shelf: Shelf, asked: Iterable[str], said: Said) -> frozenset[str]:
    """What of it nobody approved, or was in force here since then: that is used up."""
    used = shelf.used()
    never = datetime.min.replace(tzinfo=UTC)
    return frozenset(each for each in asked if each not in said.granted or said.granted[each] <= used.get(each, never))


def _use(shelf: Shelf, asked: Iterable[str], said: Said, now: datetime) -> None:
    """Remember that what was approved takes effect; on disk before it does."""
    used = {each: max(now, said.granted[each]) for each in asked if each in said.granted}
    if used:
        kept = {each: at for each, at in shelf.used().items() if at + COUNTS > now}
        shelf.use({**kept, **used})


def _same(path: Path, found: TrustList) -> bool:
    try:
        return _digest(path.read_bytes()) == found.digest
    except FileNotFoundError:
        return False


def _put_in_force(shelf: Shelf, state: Path, document: bytes, found: TrustList, now: datetime) -> None:
    """Put a version in its place; the mark follows, so that a crash between the two refuses nothing."""
    lists.replace(shelf.current, document, at=now)
    shelf.staged.unlink(missing_ok=True)
    HighWater(state).remember({found.name: mark_of(found)})


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
            known = self._seen[source.name] = (state, _waiting(source, shelf, shelf.staged))
        return known[1]


def _waiting(source: TrustSource, shelf: Shelf, path: Path) -> Waiting | None:
    """What the version at `path` would change; None if there is none, or none that could ever take effect."""
    staged = _as_taken(source, path)
    if staged is None:
        return None
    try:
        came = lists.written_at(path)
    except OSError:  # decided just now
        return None
    comparison = compare(_as_taken(source, shelf.current), staged, now=came)
    digest = asked_digest(comparison.asked)
    return Waiting(
        name=source.name,
        digest=digest,
        document=staged.digest,
        since=shelf.since(digest) or came,
        sequence=staged.sequence,
        valid_until=staged.valid_until,
        comparison=comparison,
    )


def waits(source: TrustSource, state: Path) -> bool:
    """Whether a version of this list waits."""
    return source.approval and Shelf(state, source.name).staged.exists()


def approve(source: TrustSource, state: Path, *, digest: str, who: str, at: datetime) -> Decision:
    """Bring what waits under this digest into force: in every worker of this node at its next look.

    What was rejected before can be approved after all, as long as nothing else came. Raises `ApprovalError`,
    `ListRefusedError` (it is over, or a newer one is in force), `OSError`, `StateDirectoryError`.
    """
    name = _checked(source, who)
    shelf = Shelf(state, source.name)
    shelf.make()
    with shelf.locked():
        path = shelf.staged if shelf.staged.exists() else shelf.refused
        shown = _shown(source, shelf, path, digest)
        document = path.read_bytes()
        found = lists.trial(source, document, marks=HighWater(state).read(), now=at)
        decision = _decision(shown, Word.APPROVED, name, at)
        decisions = Decisions(state)
        decisions.add([decision])
        _use(shelf, decision.asked, decisions.about(source.name, now=at), at)
        _put_in_force(shelf, state, document, found, at)
    return decision


def reject(source: TrustSource, state: Path, *, digest: str, who: str, at: datetime) -> Decision:
    """Put what waits under this digest away; for a while it is not staged again. Raises `ApprovalError`, `OSError`."""
    name = _checked(source, who)
    shelf = Shelf(state, source.name)
    shelf.make()
    with shelf.locked():
        decision = _decision(_shown(source, shelf, shelf.staged, digest), Word.REJECTED, name, at)
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
        shown, said = _waiting(source, shelf, shelf.staged), Decisions(state).about(source.name, now=now)
        if shown is None:
            return None
        asked = shown.comparison.asked
        if shown.digest in said.rejected:
            shelf.staged.replace(shelf.refused)
            return Word.REJECTED
        if _open(shelf, asked, said):
            return None
        try:
            document = shelf.staged.read_bytes()
            found = lists.trial(source, document, marks=HighWater(state).read(), now=now)
        except ListRefusedError:
            shelf.staged.replace(shelf.refused)
            raise
        _use(shelf, asked, said, now)
        _put_in_force(shelf, state, document, found, now)
    return Word.APPROVED


def _checked(source: TrustSource, who: str) -> str:
    """The name of whoever decides, as it is kept."""
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
    return name


def _decision(shown: Waiting, word: Word, who: str, at: datetime) -> Decision:
    return Decision(
        name=shown.name,
        digest=shown.digest,
        document=shown.document,
        asked=tuple(sorted(shown.comparison.asked)),
        word=word,
        who=who,
        at=at,
    )


def _shown(source: TrustSource, shelf: Shelf, path: Path, digest: str) -> Waiting:
    found = _waiting(source, shelf, path)
    if found is None or (path == shelf.refused and found.digest != digest):
        raise ApprovalError("gone", f"list {source.name}: no version waits. Somebody may have decided already.")
    if found.digest != digest:
        raise ApprovalError(
            "other-version",
            f"list {source.name}: what waits is something else than what was shown (its digest is {found.digest}). "
            "Read what it changes, then decide about that.",
        )
    return found


def _digest(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()
