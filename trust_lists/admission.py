"""The order in which a list is admitted, the same in every format, in one place.

1. Its size, and the signature over the exact bytes by a pinned key: the format's `open_list`.
2. What the list says of itself, parsed from the verified bytes: `open_list` too, which answers an `Opened`.
3. Its sequence number, never lower than the highest ever admitted, and 4. its times: `RULES`, one after another.
5. Its entries, each for itself: read only now, by the `Opened`.
6. One number stands for one content: `check_mark`, once it is known what the entries say.

The first rule that is broken refuses the list under its code; nothing behind it is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from trust_lists.assurance_rows import Table
from trust_lists.model import Fault, ListRefusedError, Pointer, TrustedEntity, TrustList
from trust_lists.times import LEEWAY, format_instant

COLLECTED = "openid-federation"
"""The format whose documents are put together by who reads them, of statements that are signed anew at any time."""


class Mark(NamedTuple):
    """The highest sequence number admitted of a list, and what was admitted under it; "" where that is not known.

    `document` is the SHA-256 of the document, `content` of what its entries say (`trust_lists/contents.py`).
    """

    sequence: int
    document: str = ""
    content: str = ""

    def higher(self, other: "Mark | None") -> "Mark":
        """The higher one of two; of the same number this one, unless only the other knows the content."""
        if other is None or self.sequence > other.sequence:
            return self
        if self.sequence < other.sequence:
            return other
        return self if self.content or not other.content else other


class Entries(NamedTuple):
    """What stands on a list. What broke a rule is a fault, and dropped alone."""

    entities: tuple[TrustedEntity, ...]
    faults: tuple[Fault, ...] = ()
    pointers: tuple[Pointer, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a signed document says of itself, out of its verified bytes.

    `signed_at` is when it was signed, where a format tells that apart from `issued_at`; the rest is as in `TrustList`.
    """

    name: str
    sequence: int
    issued_at: datetime
    valid_until: datetime
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Head):
    """A list whose signature was verified; its entries were not looked at.

    `entries` reads what stands on the list as at a time; it is called once.
    """

    entries: Callable[[datetime], Entries]
    refresh_after: timedelta | None = None
    called: str = ""


def check(head: Head, *, now: datetime, mark: Mark | None = None) -> None:
    """Ask every rule of `RULES`. `mark` is the list's, None if it was never admitted.

    Raises `ListRefusedError` with the code of the first rule that is broken.
    """
    for rule in RULES:
        text = rule.broken(head, mark, now)
        if text is not None:
            raise ListRefusedError(rule.code, f"list {head.name}: {text}")


def admit(opened: Opened, *, now: datetime, mark: Mark | None = None) -> TrustList:
    """Ask every rule of `RULES`, then read the entries. Raises `ListRefusedError` as `check` does."""
    check(opened, now=now, mark=mark)
    read = opened.entries(now)
    return TrustList(
        name=opened.name,
        issued_at=opened.issued_at,
        valid_until=opened.valid_until,
        sequence=opened.sequence,
        entities=read.entities,
        faults=read.faults,
        pointers=read.pointers,
        table=read.table,
        refresh_after=opened.refresh_after,
        called=opened.called,
    )


# --- rules: the sentence of each if it is broken


def _never_in_force(head: Head, _: Mark | None, __: datetime) -> str | None:
    if head.valid_until > head.issued_at:
        return None
    return (
        f"it ends at {format_instant(head.valid_until)}, before it begins at {format_instant(head.issued_at)}; let "
        "its authority sign it again."
    )


def _rolled_back(head: Head | TrustList, mark: Mark | None, _: datetime | None = None) -> str | None:
    if mark is None or head.sequence >= mark.sequence:
        return None
    return (
        f"its sequence number is {head.sequence}, but {mark.sequence} was admitted before; an older list stands in "
        "for a newer one. Fetch the current list."
    )


def _over(head: Head, _: Mark | None, now: datetime) -> str | None:
    if now < head.valid_until:
        return None
    return (
        f"it was valid until {format_instant(head.valid_until)}, and it is {format_instant(now)}; fetch the current "
        "list, or let its authority sign it again."
    )


def _from_the_future(head: Head, _: Mark | None, now: datetime) -> str | None:
    stated = max(head.issued_at, head.signed_at or head.issued_at)
    if stated <= now + LEEWAY:
        return None
    return (
        f"it was issued or signed at {format_instant(stated)}, but here it is {format_instant(now)}; check this "
        "machine's clock and the clock of the list's authority."
    )


class Rule(NamedTuple):
    """A rule of admission. `broken` tells in a sentence how a list breaks it, or None."""

    code: str
    broken: Callable[[Head, Mark | None, datetime], str | None]


RULES = (
    Rule("format", _never_in_force),  # what the list says of itself makes no sense
    Rule("rollback", _rolled_back),
    Rule("expired", _over),
    Rule("future", _from_the_future),
)
"""What is asked between the signature and the entries, in this order."""


def check_mark(found: TrustList, mark: Mark | None) -> None:
    """Hold a list that was read against the highest number admitted.

    Raises `ListRefusedError`: `rollback` below it, `same-sequence` at it with other content, for lists whose number
    counts the whole of them. The same content, signed again, is neither.
    """
    text = _rolled_back(found, mark)
    if text is not None:
        raise ListRefusedError("rollback", f"list {found.name}: {text}")
    if mark is not None and mark.sequence == found.sequence and _other_content(found, mark):
        raise ListRefusedError(
            "same-sequence",
            f"list {found.name}: sequence number {found.sequence} was admitted with other content; a new "
            "version needs a higher number. Ask its authority to sign it again.",
        )


def mark_of(found: TrustList) -> Mark:
    """The mark that a list sets when it is admitted."""
    if found.format == COLLECTED:
        return Mark(found.sequence)
    return Mark(found.sequence, found.digest, found.content)


def _other_content(found: TrustList, mark: Mark) -> bool:
    if found.format == COLLECTED or not (mark.document and found.digest):
        return False
    return found.digest != mark.document and found.content != mark.content
