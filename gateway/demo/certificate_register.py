"""What the demo's authority issued and revoked: one file of JSON, on disk before anybody is told.

A row is a pair of siblings, the certificate and the attribute certificate of one person: they are issued together and
revoked together.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.demo.authority_keys import put_private

REASONS = ("keyCompromise", "superseded", "cessationOfOperation")
"""Why something may be revoked here (RFC 5280 §5.3.1): the phone is lost, renewed, or the person wants no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its sibling.

    `serial` is the certificate's number, `attributes` the sibling's identifier, `url` where the authority was then.
    """

    serial: int = field(repr=False)
    attributes: str = field(repr=False)
    owner: str
    url: str
    policy: str
    begin: datetime
    end: datetime
    foreign: bool = False
    revoked_at: datetime | None = None
    reason: str = ""


class Register:
    """The rows, in the order of issuing, and the number of the list of revocations that was made last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[int, Issued] = {}
        self._crl_number = 0
        if path.exists():
            kept = json.loads(path.read_text())
            self._crl_number = kept["crl_number"]
            self._rows = {row.serial: row for row in map(_from_json, kept["issued"])}

    @property
    def rows(self) -> Sequence[Issued]:
        """Everything, oldest first."""
        return tuple(self._rows.values())

    def find(self, serial: int) -> Issued | None:
        """The row of a certificate of ours, or None."""
        row = self._rows.get(serial)
        return None if row is None or row.foreign else row

    def of(self, owner: str) -> Sequence[Issued]:
        """What somebody was issued, oldest first."""
        return [row for row in self._rows.values() if row.owner == owner]

    def revoked(self) -> Sequence[Issued]:
        """What was revoked of ours, in the order of issuing."""
        return [row for row in self._rows.values() if row.revoked_at and not row.foreign]

    def replace(self, owner: str, new: Issued, now: datetime) -> None:
        """Enter `new`; whatever `owner` had is revoked at the same moment (both siblings, always)."""
        rows = {**self._rows, **{row.serial: _revoked(row, now, "superseded") for row in self.of(owner)}}
        self._keep({**rows, new.serial: new}, self._crl_number)

    def revoke(self, serial: int, reason: str, now: datetime) -> Issued | None:
        """Revoke a certificate and its sibling; the row, or None if there is none. A second time changes nothing."""
        if reason not in REASONS:
            raise ValueError(reason)
        row = self._rows.get(serial)
        if row is not None and row.revoked_at is None:
            row = _revoked(row, now, reason)
            self._keep({**self._rows, serial: row}, self._crl_number)
        return row

    def next_crl_number(self) -> int:
        """A number higher than any before (RFC 5280 §5.2.3)."""
        self._keep(self._rows, self._crl_number + 1)
        return self._crl_number

    def _keep(self, rows: dict[int, Issued], crl_number: int) -> None:
        content = {"crl_number": crl_number, "issued": [_to_json(row) for row in rows.values()]}
        put_private(self._path, json.dumps(content, indent=1).encode())
        self._rows, self._crl_number = rows, crl_number


def _revoked(row: Issued, now: datetime, reason: str) -> Issued:
    return row if row.revoked_at else replace(row, revoked_at=now.replace(microsecond=0), reason=reason)


def _to_json(row: Issued) -> dict[str, Any]:
    times = {name: value and value.isoformat() for name in _TIMES for value in (getattr(row, name),)}
    return {**asdict(row), **times, "serial": f"{row.serial:x}"}


def _from_json(kept: dict[str, Any]) -> Issued:
    times = {name: kept[name] and datetime.fromisoformat(kept[name]).astimezone(UTC) for name in _TIMES}
    return Issued(**{**kept, **times, "serial": int(kept["serial"], 16)})


_TIMES = ("begin", "end", "revoked_at")
