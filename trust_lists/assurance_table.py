"""Tables of assurance (`trust_lists/assurance_rows.py`), signed as lists are: read, and signed.

A compact JAdES signature (`trust_lists/jades.py`) over

    {"assurance_table": {"version": 1, "name": …, "sequence": …, "issued_at": …, "valid_until": …, "rows": [
        {"system": …, "id": …, "when": {…}, "identity": 3, …}]}}

It is fetched, approved, and kept from going back as every list is; it names nobody to be trusted.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from trust_lists import admission, jades, strict_json
from trust_lists.admission import Entries, Opened
from trust_lists.assurance_rows import MOST_ROWS, Row, Table, read_row, read_system, write_row
from trust_lists.model import Fault, ListRefusedError, TrustList, VerifiedBytes
from trust_lists.rules import EntryError, Place, UnpublishableError
from trust_lists.times import format_instant, parse_instant

MAXIMUM_BYTES = 16 * 1024 * 1024
VERSION = 1
MEMBER = "assurance_table"
"""The one member of the document, by which it is told from other signed lists."""

_HEAD = ("version", "name", "sequence", "issued_at", "valid_until", "rows")
_LARGEST_SEQUENCE = 2**53 - 1
"""The largest number that every JSON reader keeps exactly (RFC 8259 §6)."""


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Open the table and admit it: `open_list`, then every rule of `admission`, then its rows.

    Raises `ListRefusedError` as both do. A row that breaks a rule is a `Fault` and dropped alone: what it would have
    been worth is then not said. Rows that share an id are all dropped.
    """
    return admission.admit(open_list(document, name=name, anchors=anchors), now=now)


def open_list(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    """Verify the table with one of the anchors (DER certificates or public keys), and read what it says of itself.

    `name` is what it must call itself; None takes any. Raises `ListRefusedError` with code `too-large`, `unsigned`,
    `format`, `critical-header`, `signature` or `other-list`.
    """
    label = name or "(unnamed)"
    verified = jades.verify(document, label=label, anchors=anchors, maximum_bytes=MAXIMUM_BYTES)
    head = _content(verified.octets, label=label)
    own: str = head["name"]
    if name is not None and own != name:
        raise ListRefusedError(
            "other-list", f"list {name}: this is the table {own[:100]!r}; put the right file in its place."
        )

    def entries(_: datetime) -> Entries:
        rows, faults = _rows(head["rows"])
        return Entries((), faults, table=Table(rows=rows))

    return Opened(
        name=own,
        sequence=head["sequence"],
        issued_at=parse_instant(head["issued_at"]),
        valid_until=parse_instant(head["valid_until"]),
        signed_at=verified.signed_at,
        entries=entries,
    )


def publish(
    members: Sequence[object],
    *,
    name: str,
    key_pem: bytes,
    certificate_pem: bytes,
    issued_at: datetime,
    valid_until: datetime,
    sequence: int,
) -> bytes:
    """Sign the table of these members, each `{system, rows}` as an authority writes it.

    Raises `UnpublishableError` for a row that a reader would drop, ValueError for a key that does not fit.
    """
    written: list[dict[str, Any]] = []
    ids: set[str] = set()
    for position, member in enumerate(members):
        try:
            rows = _member_rows(member, ids)
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        ids.update(row.id for row in rows)
        written += map(_written, rows)
    content = {
        "version": VERSION,
        "name": name,
        "sequence": sequence,
        "issued_at": format_instant(issued_at),
        "valid_until": format_instant(valid_until),
        "rows": written,
    }
    payload = json.dumps({MEMBER: content}, ensure_ascii=False, separators=(",", ":")).encode()
    return jades.sign(payload, key_pem=key_pem, certificate_pem=certificate_pem, signed_at=issued_at)


def stated_sequence_unsafe(document: bytes) -> int:
    """Look up the sequence number that a document states, unverified. Raises ValueError."""
    try:
        sequence = jades.payload_unsafe(document)[MEMBER]["sequence"]
    except (KeyError, TypeError) as error:
        raise ValueError("not a signed table") from error
    if not _is_sequence(sequence):
        raise ValueError("not a signed table")
    return int(sequence)


def is_table_unsafe(document: bytes) -> bool:
    """Tell whether the document is a table of assurance, by what it says of itself, unverified."""
    try:
        payload = jades.payload_unsafe(document)
    except ValueError:
        return False
    return isinstance(payload, dict) and set(payload) == {MEMBER}


def _member_rows(member: object, taken: Collection[str]) -> list[Row]:
    """Read one member's rows; `taken` are the ids of others'. Raises `EntryError`."""
    if not isinstance(member, dict) or not set(member) <= {"system", "rows"}:
        raise EntryError((), "system (an entity ID, or nothing for every ID system) and rows are expected")
    stated = member.get("rows")
    if not isinstance(stated, list) or not stated:
        raise EntryError(("rows",), "a list with at least one row is expected")
    system = read_system(member.get("system"), ("system",))
    if len(taken) + len(stated) > MOST_ROWS:
        raise EntryError(("rows",), f"more than {MOST_ROWS} rows in the table")
    rows = [read_row(row, ("rows", index), system=system) for index, row in enumerate(stated)]
    ids = Counter(row.id for row in rows)
    for index, row in enumerate(rows):
        if row.id in taken or ids[row.id] > 1:
            raise EntryError(("rows", index, "id"), "occurs twice in the table")
    return rows


def _written(row: Row) -> dict[str, Any]:
    about = {} if row.system is None else {"system": row.system}
    return about | write_row(row)


def _is_sequence(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SEQUENCE


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_instant(value))
    except ValueError:
        return False


def _content(verified: VerifiedBytes, *, label: str) -> Mapping[str, Any]:
    """Answer what the table says of itself, its shape checked, with the rows as they stand."""
    try:
        stated = strict_json.loads(verified)
    except ValueError as error:
        raise ListRefusedError("format", f"list {label}: the content is not usable JSON: {error}.") from error
    head = stated.get(MEMBER) if isinstance(stated, dict) and set(stated) == {MEMBER} else None
    expected: str | None = None
    if not isinstance(head, dict) or set(head) != set(_HEAD):
        expected = f"{MEMBER} with {', '.join(_HEAD)}"
    elif type(head["version"]) is not int or head["version"] != VERSION:
        expected = f"version {VERSION}"
    elif not isinstance(head["name"], str) or not head["name"]:
        expected = "a name"
    elif not _is_sequence(head["sequence"]):
        expected = f"a sequence number up to {_LARGEST_SEQUENCE}"
    elif not _is_time(head["issued_at"]) or not _is_time(head["valid_until"]):
        expected = "issued_at and valid_until as times"
    elif not isinstance(head["rows"], list) or len(head["rows"]) > MOST_ROWS:
        expected = f"rows, at most {MOST_ROWS}"
    if expected is not None or not isinstance(head, dict):
        raise ListRefusedError(
            "format",
            f"list {label}: this is no table of assurance: {expected} is expected; let its authority sign it with "
            "`kakehashi trust sign`.",
        )
    return head


def _rows(stated: Sequence[object]) -> tuple[tuple[Row, ...], tuple[Fault, ...]]:
    found: list[Row] = []
    faults: list[Fault] = []
    ids = Counter(row["id"] for row in stated if isinstance(row, dict) and isinstance(row.get("id"), str))
    for position, row in enumerate(stated, start=1):
        try:
            found.append(_row(row, ("rows", position - 1), ids))
        except EntryError as error:
            faults.append(Fault(where=f"row {position}", reason=str(error)))
    return tuple(found), tuple(faults)


def _row(stated: object, place: Place, ids: Mapping[str, int]) -> Row:
    if not isinstance(stated, dict):
        raise EntryError(place, "a row is expected")
    system = read_system(stated.get("system"), (*place, "system"))
    row = read_row({name: value for name, value in stated.items() if name != "system"}, place, system=system)
    if ids[row.id] > 1:
        raise EntryError((*place, "id"), "occurs more than once; all are dropped")
    return row
