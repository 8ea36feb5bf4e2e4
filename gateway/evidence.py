"""Keeping evidence: events are put on a list, and ten times a second a thread seals what is there, on disk.

Each process writes files of its own below `evidence/` in the state directory, one for each day: it takes the first
number (slot) that no other process holds. On the event loop each event becomes its line and goes on a list: a thread
that made the lines of a busy tenth of a second held up hundreds of calls for their sake. What cannot be written (a full
disk) or is too much costs no call, unless `without_evidence: refuse` is configured (`failing`): it is
counted, and the next batch begins with a record that says how many are lost. A batch that a killed process left half
written is cut off at the next start, which a link says.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federation.identifiers import KEY_BYTES
from federation.oidc.jose import SigningKey
from gateway.clock import Clock
from gateway.keys import private_directory, write_private
from observability import evidence
from observability.events import Event
from observability.evidence import EvidenceEvent

log = structlog.get_logger("gateway.evidence")

BATCH_SECONDS = 0.1
"""How often what happened is sealed."""

SLOW_SECONDS = 3.0
"""A batch that the disk takes longer for may never get there."""

SIGN_EVERY = timedelta(minutes=1)

MOST_WAITING = 50_000
"""Events that wait for the disk; what comes beyond is lost, and counted."""

MOST_SLOTS = 256

PUBLIC = ".public.pem"
"""How the files end that hold the public keys that ever signed here, by their thumbprints (RFC 7638)."""

Written = Callable[[int, int], None]
"""Is told how many records were written, and how many events were lost."""

Record = bytes | EvidenceEvent
"""The line of an event; the event itself, if its line could not be made yet."""


def _itself(event: EvidenceEvent) -> Record:
    return event


class NotKeptError(Exception):
    """A batch could not be written; it is counted as lost, and the next one says so."""


class Evidence:
    """Takes events for the evidence, as a `Recorder`; `take` hands over those that wait, and how many were lost.

    `line` makes the line of an event: that of whoever writes them, once there is one.
    """

    def __init__(self) -> None:
        self.line: Callable[[EvidenceEvent], Record] = _itself
        self._waiting: list[Record] = []
        self._lost = 0
        self._failed = False
        self._begun: float | None = None

    @property
    def failing(self) -> bool:
        """Whether what happens now may be lost: the last batch could not be written, or its writing takes too long."""
        return self._failed or (self._begun is not None and monotonic() - self._begun > SLOW_SECONDS)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Something is written meanwhile; it is on disk unless the context ends with a fault."""
        self._begun = monotonic()
        try:
            yield
        except Exception:
            self._failed = True
            raise
        else:
            self._failed = False
        finally:
            self._begun = None

    def record(self, event: Event) -> None:
        """Put the event on the list, if it is one that is kept."""
        if isinstance(event, EvidenceEvent):
            self.record_call(event)

    def record_call(self, event: EvidenceEvent) -> None:
        """Put it on the list."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(self.line(event))
        else:
            self._lost += 1

    def lose(self, count: int) -> None:
        """Count events that were taken and never reached a writer."""
        self._lost += count

    def take(self) -> tuple[list[Record], int]:
        """What waits, which waits no longer."""
        taken, self._waiting = self._waiting, []
        lost, self._lost = self._lost, 0
        return taken, lost


class Writer:
    """The files of one slot. Its methods block, but for `line`, and may be called from any thread."""

    def __init__(self, state: Path, key: SigningKey, clock: Clock, written: Written) -> None:
        """Raises `StateDirectoryError`, `OSError`."""
        private = key.key.private_key
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self._directory = private_directory(state / "evidence")
        self._keys = private_directory(state / "evidence-keys")
        self._key, self._kid = private, key.kid
        write_private(self._keys / f"{key.kid}{PUBLIC}", public_pem(private))
        self._clock, self._written = clock, written
        self._lock = threading.Lock()
        self._of_month: dict[str, evidence.Lines] = {}
        self._of_loop: dict[tuple[int, int], evidence.Lines] = {}
        self._lost, self._failing = 0, False
        self._unsigned = 0
        self._slot, self._held = _slot(self._directory)
        self._file, self._name, self._length, self._last = -1, "", 0, ""
        try:
            self._take_up()
        except BaseException:
            os.close(self._held)
            raise
        self._signed_at = clock()

    def line(self, event: EvidenceEvent) -> Record:
        """The line of an event, if the key of its month is at hand; for one thread alone."""
        try:
            found = self._of_loop.get((event.at.year, event.at.month))
            return event if found is None else found.of(event)
        except Exception:  # noqa: BLE001 - `write` finds the same fault, and counts
            return event

    def write(self, events: Sequence[Record], lost: int) -> None:
        """Seal the events on disk; if that fails, they are lost, and the next batch says so. Raises `NotKeptError`."""
        with self._lock:
            self._lost += lost
            count = 0
            try:
                now = self._clock()
                self._turn(now)
                lines = [evidence.gap(self._lost, now)] if self._lost else []
                lines += [each if isinstance(each, bytes) else self._month(each.at).of(each) for each in events]
                links = []
                if lines:
                    links.append(evidence.head(lines, self._last, now))
                    count = len(events)
                pending = self._unsigned + len(links)
                due = pending and now - self._signed_at >= SIGN_EVERY
                if due:
                    before = evidence.link_hash(links[-1]) if links else self._last
                    links.append(evidence.signed(before, now, self._kid, self._key))
                if links:
                    self._append([*lines, *links], links[-1])
                    self._unsigned = 0 if due else pending
                    self._signed_at = now if due else self._signed_at
            except Exception as fault:
                lost += len(events)
                self._lost += len(events)
                self._tell(fault)
                self._written(0, lost)
                raise NotKeptError from fault
            self._lost, self._failing = 0, False
            self._written(count, lost)

    def close(self) -> None:
        """Sign what is there, and let the slot go."""
        with self._lock:
            try:
                self._sign(self._clock())
            except OSError as fault:
                self._tell(fault)
            os.close(self._file)
            os.close(self._held)

    def _tell(self, fault: Exception) -> None:
        """Log that writing fails: once, until it is well again; the metric counts. A fault of our own, each time."""
        if not isinstance(fault, OSError):
            log.error("evidence-fault", exc_info=fault)
        elif not self._failing:
            log.error("evidence-lost", detail=errno.errorcode.get(fault.errno or 0, "OSError"))
        self._failing = True

    def _take_up(self) -> None:
        """Go on where the last process of this slot ended; what it left half written is cut off."""
        now = self._clock()
        previous: str | None = None
        files = sorted(self._directory.glob(f"{self._slot}-*.jsonl"))
        for place in reversed(files):
            last, length = last_link(place)
            if last is not None:
                previous = last
                if place is files[-1]:
                    self._open(place.name)
                    self._last = last
                    beyond = place.stat().st_size - length
                    self._length, self._unsigned = length, 1
                    if beyond:
                        link = evidence.cut(beyond, last, now)
                        self._append([link], link)
                    return
                break
        self._begin(files[-1].name if files else self._name_at(now), previous, now)

    def _turn(self, now: datetime) -> None:
        """Begin the file of a new day, after the one before is signed; a clock that goes back begins none."""
        name = self._name_at(now)
        if name > self._name:
            self._sign(now)
            before = self._file
            self._begin(name, self._last, now)
            os.close(before)

    def _sign(self, now: datetime) -> None:
        if self._unsigned:
            link = evidence.signed(self._last, now, self._kid, self._key)
            self._append([link], link)
            self._unsigned, self._signed_at = 0, now

    def _begin(self, name: str, previous: str | None, now: datetime) -> None:
        kept = (self._file, self._name, self._length)
        self._open(name)
        self._length = 0
        link = evidence.opened(name, previous, now)
        try:
            self._append([link], link)
        except OSError:
            os.close(self._file)
            self._file, self._name, self._length = kept
            raise
        self._unsigned = 1

    def _open(self, name: str) -> None:
        self._file = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._name = name
        directory = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _append(self, lines: list[bytes], last: bytes) -> None:
        """Write lines that end with a link, durably and after the last link; whatever was beyond it goes."""
        octets = memoryview(b"\n".join(lines) + b"\n")
        os.ftruncate(self._file, self._length)
        at = self._length
        while octets:
            done = os.pwrite(self._file, octets, at)
            at, octets = at + done, octets[done:]
        os.fsync(self._file)
        self._length, self._last = at, evidence.link_hash(last)

    def _name_at(self, now: datetime) -> str:
        return f"{self._slot}-{now:%Y-%m-%d}.jsonl"

    def _month(self, at: datetime) -> evidence.Lines:
        month = at.isoformat()[:7]
        found = self._of_month.get(month)
        if found is None:
            place = self._keys / f"{month}.key"
            if not place.exists():
                write_private(place, os.urandom(KEY_BYTES))
            key = place.read_bytes()
            found = self._of_month[month] = evidence.Lines(key)
            self._of_loop[at.year, at.month] = evidence.Lines(key)  # each is for one thread
        return found


def last_link(place: Path) -> tuple[str | None, int]:
    """The hash of a file's last whole link, and where that ends; None and 0 if there is none."""
    last, length, at = None, 0, 0
    with place.open("rb") as file:
        for raw in file:
            at += len(raw)
            value = evidence.parsed(raw)
            if value is not None and value["t"] in evidence.LINKS:
                last, length = evidence.link_hash(raw[:-1]), at
    return last, length


def _slot(directory: Path) -> tuple[str, int]:
    """The first slot that no process holds, and what holds it until it is closed or the process ends."""
    for number in range(MOST_SLOTS):
        held = os.open(directory / f"{number:03d}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
        else:
            return f"{number:03d}", held
    raise OSError(f"{directory}: {MOST_SLOTS} processes write evidence here already")


@asynccontextmanager
async def keeping(taken: Evidence, state: Path, key: SigningKey, clock: Clock, written: Written) -> AsyncIterator[None]:
    """Write what `taken` is told of while the context is open, and what is left at its end."""
    writer = await asyncio.to_thread(partial(Writer, state, key, clock, written))
    taken.line = writer.line
    ending = asyncio.Event()

    async def work() -> None:
        last = False
        while not last:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), BATCH_SECONDS)
            last = ending.is_set()
            events, lost = taken.take()
            try:
                with taken.batch():
                    await asyncio.to_thread(writer.write, events, lost)
            except NotKeptError:
                pass  # the log has it, and the writer counts
            except Exception:  # no thread could be had
                log.exception("evidence-fault")
                taken.lose(len(events) + lost)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        ending.set()  # not cancelled: a batch that waits for a thread would be gone
        await task
        await asyncio.to_thread(writer.close)


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7)."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- reading


def own_keys(state: Path) -> evidence.Keys:
    """The keys that ever signed here, by the state directory's own word. Raises `OSError`, `ValueError`."""
    found = {}
    for place in sorted((state / "evidence-keys").glob(f"*{PUBLIC}")):
        key = serialization.load_pem_public_key(place.read_bytes())
        if isinstance(key, ec.EllipticCurvePublicKey):
            found[place.name.removesuffix(PUBLIC)] = key
    return found


def prune(state: Path, before: date) -> list[str]:
    """Remove files of days before `before`; their names. The newest of each slot stays: the next link follows it.

    Raises `OSError`.
    """
    newest = {place.name.partition("-")[0]: place.name for place in files(state / "evidence")}
    gone = []
    for place in files(state / "evidence"):
        day = _day(place.stem.partition("-")[2])
        if day is not None and day < before and place.name not in newest.values():
            place.unlink()
            gone.append(place.name)
    return gone


def forget(state: Path, before: date) -> list[str]:
    """Remove the keys of months that ended before `before`; their names. Raises `OSError`."""
    gone = []
    for place in sorted((state / "evidence-keys").glob("????-??.key")):
        first = _day(f"{place.stem}-01")
        if first is not None and (first + timedelta(days=31)).replace(day=1) <= before:
            place.unlink()
            gone.append(place.name)
    return gone


def _day(text: str) -> date | None:
    """A day as files are named by it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def files(place: Path) -> Iterator[Path]:
    """The files of a directory, or the file itself, in the order in which they were written."""
    yield from sorted(place.glob("*.jsonl")) if place.is_dir() else [place]


def check(place: Path, keys: evidence.Keys) -> dict[str, evidence.Report]:
    """Check every file at `place`, and that each goes on where the one before it of its slot ended. By file names."""
    reports: dict[str, evidence.Report] = {}
    before: dict[str, str | None] = {}
    for each in files(place):
        with each.open("rb") as file:
            report = reports[each.name] = evidence.check(file, each.name, keys)
        slot = each.name.partition("-")[0]
        if slot in before and report.after != before[slot]:
            report.faults.append(evidence.Fault(code="chain", line=1))
        before[slot] = report.last
    return reports


def find(place: Path, request_id: str) -> Iterator[dict[str, object]]:
    """Each record of a request, with what shows that it was sealed: its place in its batch, the path to the root."""
    for each in files(place):
        batch: list[bytes] = []
        wanted: list[int] = []
        with each.open("rb") as file:
            for raw in file:
                value = evidence.parsed(raw)
                if value is None:
                    continue
                if value["t"] in evidence.RECORDS:
                    if value.get("request_id") == request_id:
                        wanted.append(len(batch))
                    batch.append(raw[:-1])
                    continue
                leaves = [evidence.leaf(one) for one in batch] if wanted else []
                for index in wanted:
                    steps = [step.hex() for step in evidence.path(leaves, index)]
                    yield {
                        "file": each.name,
                        "record": batch[index].decode("ascii"),
                        "index": index,
                        "path": steps,
                        "head": raw[:-1].decode("ascii"),
                    }
                batch, wanted = [], []
