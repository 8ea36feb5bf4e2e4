"""Signed trust lists from their files into a trusted set, and what the gateway keeps of each on disk.

| in the state directory | what |
|---|---|
| `high-water.json` | the highest sequence number ever admitted, and what under it, by list |
| `lists/NAME/current` | the version in force of a list that is fetched or needs approval; its time: when it was taken |
| `lists/NAME/staged` | a newer version that waits for approval; its time: when it came |
| `lists/NAME/waits.json` | what that version adds or widens, as a digest, and since when that waits |
| `lists/NAME/used.json` | what was approved and came into force here, as digests, and when |
| `lists/NAME/refused` | the last version that was refused or rejected, for the operator to look at |
| `lists/NAME/note.json` | what was last asked for it, and what came of it |

Files change in one step each (written beside, flushed, renamed), so that no process ever reads half of one.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.config import TrustSource
from gateway.keys import StateDirectoryError, private_directory
from trust_lists import following, formats
from trust_lists.admission import Mark
from trust_lists.certificates import fingerprint
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.trusted_set import TrustedSet

EXPIRED = "expired"
FUTURE = "future"
"""The one refusal that time heals by itself."""

AWAITED = "awaited"
"""Nothing is wrong with the list: no version of it was fetched or approved yet."""


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


def read(
    source: TrustSource, trust: TrustedSet, *, held: TrustList | None, marks: Mapping[str, Mark], now: datetime
) -> Reading:
    """Read the list of `source` into `trust`; if it is refused, `held` stays. `marks` as in `trial`."""
    seen = stamp(source.file)
    try:
        found = trial(source, _content(source), marks=marks, now=now)
        trust.admit(found)
    except ListRefusedError as fault:
        return Reading(stamp=seen, held=held, code=fault.code, text=str(fault))
    return Reading(stamp=seen, held=found)


def trial(source: TrustSource, document: bytes, *, marks: Mapping[str, Mark], now: datetime) -> TrustList:
    """Read a document as the list of `source`. Raises `ListRefusedError`.

    `marks` are what other processes and nodes have admitted, by list.
    """
    mark = marks.get(source.name)
    return _as_followed(source, document, mark, now) if source.through else _as_configured(source, document, mark, now)


def _as_configured(source: TrustSource, document: bytes, mark: Mark | None, now: datetime) -> TrustList:
    found = formats.read(document, kind=source.format, name=source.name, anchors=source.pins, mark=mark, now=now)
    if source.calls_itself is not None and found.called != source.calls_itself:
        raise ListRefusedError(
            "other-list",
            f"list {source.name}: this is the federation of {found.called[:200]}, and trust.yaml expects that of "
            f"{source.calls_itself}. Put the right file in its place, or correct `entity`.",
        )
    return found


def _as_followed(source: TrustSource, document: bytes, mark: Mark | None, now: datetime) -> TrustList:
    """Read a list that another one led to: it has a name of its own, which nobody here knows beforehand."""
    try:
        found = formats.read(document, kind=source.format, name=None, anchors=source.pins, mark=mark, now=now)
    except ListRefusedError as fault:
        raise ListRefusedError(fault.code, f"list {source.name} ({source.url}): {fault}") from fault
    return following.bounded(
        found,
        name=source.name,
        through=source.through,
        location=source.url or "",
        until=source.until or found.valid_until,
    )


def succeeded(source: TrustSource, found: TrustList) -> bool:
    """Whether a successor signed this list, so that the pins under `anchors` can go."""
    return found.anchor in map(fingerprint, source.next_anchors)


def stamp(path: Path) -> str:
    """Changes when the file at `path` comes, goes, is written, or gets another owner or mode."""
    try:
        found = path.stat()
    except OSError as fault:
        return f"absent:{fault.errno}"
    return f"{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_size}:{found.st_ino}"


def content(path: Path, source: TrustSource) -> bytes:
    """The file, or so much of it that its reader knows that it is too large. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(formats.FORMATS[source.format].maximum_bytes + 1)


def _content(source: TrustSource) -> bytes:
    try:
        return content(source.file, source)
    except FileNotFoundError as fault:
        if source.kept:
            raise ListRefusedError(
                AWAITED,
                f"list {source.name}: no version of it was {'approved' if source.approval else 'fetched'} yet. "
                "The operations page says what it waits for.",
            ) from fault
        raise _unreadable(source, fault) from fault
    except OSError as fault:
        raise _unreadable(source, fault) from fault


def _unreadable(source: TrustSource, fault: OSError) -> ListRefusedError:
    todo = (
        "Mend its owner or mode."
        if source.kept
        else "Sign it with `kakehashi trust sign`, or mend the path in trust.yaml."
    )
    return ListRefusedError(
        "unreadable",
        f"{source.file}: cannot be read ({fault.strerror}). Expected the signed list {source.name}. {todo}",
    )


# --- on disk


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else who asks for the lock at `path` has it meanwhile. Raises `OSError`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(handle, path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def hand_over(handle: int, directory: Path) -> None:
    """Let a file that root made (by a command) belong to whoever owns the directory: the gateway must read it."""
    if os.geteuid() == 0:
        file, owner = os.fstat(handle), directory.stat()
        if stat.S_ISREG(file.st_mode) and file.st_nlink == 1:  # nothing that leads elsewhere: it might be given away
            os.fchown(handle, owner.st_uid, owner.st_gid)


def replace(path: Path, octets: bytes, *, at: datetime | None = None) -> None:
    """Put a file in the place of `path` in one step, on disk before it is there; `at` becomes its time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            hand_over(handle, path.parent)
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        if at is not None:
            os.utime(temporary, (at.timestamp(), at.timestamp()))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was last asked for a list: where and when, what its server calls this version, and why it was refused."""

    place: str = ""
    asked_at: str = ""
    etag: str | None = None
    last_modified: str | None = None
    code: str | None = None
    text: str = ""


class Shelf:
    """The files of one list that is fetched or needs approval. Its methods raise `OSError`."""

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self._directory = state / "lists" / name
        self.current = self._directory / "current"
        self.staged = self._directory / "staged"
        self.refused = self._directory / "refused"

    def make(self) -> None:
        """Make the directory if it is not there. Raises `StateDirectoryError`."""
        private_directory(self._directory.parent)
        private_directory(self._directory)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Let nobody else change these files meanwhile."""
        return locked(self._directory / "lock")

    def since(self, digest: str) -> datetime | None:
        """Since when what has this digest waits; None if something else waited last, or nobody knows."""
        return self._times("waits.json").get(digest)

    def wait_since(self, digest: str, at: datetime) -> None:
        """Remember since when it waits."""
        self._keep("waits.json", {digest: at})

    def used(self) -> dict[str, datetime]:
        """What was approved and came into force here, and when."""
        return self._times("used.json")

    def use(self, used: Mapping[str, datetime]) -> None:
        """Remember it; on disk when this returns."""
        self._keep("used.json", used)

    def _times(self, name: str) -> dict[str, datetime]:
        try:
            written = json.loads((self._directory / name).read_bytes())
            return {str(each): datetime.fromisoformat(at).astimezone(UTC) for each, at in written.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _keep(self, name: str, times: Mapping[str, datetime]) -> None:
        replace(self._directory / name, json.dumps({each: at.isoformat() for each, at in times.items()}).encode())

    def note(self) -> Note:
        """What was last asked; nothing if that is damaged, since it only spares work."""
        try:
            found = json.loads((self._directory / "note.json").read_bytes())
            return Note(**found)
        except (OSError, ValueError, TypeError):
            return Note()

    def remember(self, note: Note) -> None:
        """Keep what was asked."""
        replace(self._directory / "note.json", json.dumps(asdict(note)).encode())


def written_at(path: Path) -> datetime:
    """When the file was put there. Raises `OSError`."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


_DIGEST = re.compile("[0-9a-f]{64}", re.ASCII)


class HighWater:
    """The highest sequence number admitted for each list name, so that a restart admits no older one.

    And the digests of what was admitted under it, so that no other content comes under the same number.
    """

    def __init__(self, state: Path) -> None:
        """`state` is the state directory."""
        self._path = state / "high-water.json"

    def read(self) -> dict[str, Mark]:
        """The marks. Raises `StateDirectoryError` if their file is damaged."""
        try:
            return {str(name): _mark(stated) for name, stated in json.loads(self._path.read_bytes()).items()}
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

    def remember(self, highest: Mapping[str, Mark]) -> None:
        """Put marks that rose on disk. Raises `OSError`, `StateDirectoryError`."""
        if _raised(self.read(), highest) is None:
            return
        with locked(self._path.with_name(".high-water.lock")):
            risen = _raised(self.read(), highest)
            if risen is not None:
                written = {name: _written(mark) for name, mark in risen.items()}
                replace(self._path, json.dumps(written).encode())


def _mark(stated: object) -> Mark:
    """A number alone, or `[number, document, content]`. Raises `ValueError`, `TypeError`."""
    if type(stated) is int:
        return Mark(stated)
    if not isinstance(stated, list) or len(stated) != len(Mark._fields) or type(stated[0]) is not int:
        raise TypeError
    if not all(isinstance(each, str) and _DIGEST.fullmatch(each) for each in stated[1:]):
        raise ValueError
    return Mark(*stated)


def _written(mark: Mark) -> object:
    return list(mark) if mark.content else mark.sequence


def _raised(marks: Mapping[str, Mark], highest: Mapping[str, Mark]) -> dict[str, Mark] | None:
    """The higher of both for each name; None if nothing rose."""
    merged = dict(marks)
    for name, mark in highest.items():
        held = merged.get(name)
        merged[name] = mark if held is None else held.higher(mark)
    return None if merged == marks else merged
