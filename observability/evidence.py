"""Evidence of what happened, as lines that nobody can change, drop, swap or insert without it being found.

A file holds lines of canonical JSON, each a record or a link. Records of a batch stand before the link `head` that
seals them: its `root` is the hash of a Merkle tree over their lines (RFC 6962 §2.1), so that one record can be shown
to be there without the others. Every link names the SHA-256 of the link before it (`previous`), across files too; a
link `signed` carries the gateway's ECDSA signature (P-256, SHA-256) over that. All of it can be checked with
`sha256sum` and `openssl`.

A record names configured things and says when and how it ended. A person and a consent stand there as a digest under
a key that is made anew each month, so whoever has no key learns nothing, and nobody can once it is destroyed.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from federation.callers import Caller, CallerKind
from observability.events import (
    CallEvent,
    CallOutcome,
    ConsentEvent,
    CouncilEvent,
    EndingEvent,
    LoginEvent,
    LogoutEvent,
)
from observability.log_keys import KEYS, iso

EvidenceEvent = CallEvent | LoginEvent | ConsentEvent | LogoutEvent | CouncilEvent | EndingEvent
"""What is kept as evidence."""

PREFIX = b"kakehashi-evidence-1\n"
"""What every signed text begins with: no token or message has that form."""

LINKS = frozenset({"open", "head", "signed", "cut"})
"""open: a file begins. head: the records before it are sealed. signed. cut: a half-written batch was taken away."""

RECORDS = frozenset({"call", "login", "consent", "logout", "council", "ending", "gap"})
"""gap: so many records before it were lost."""

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""Methods that are named (RFC 9110 §9, RFC 5789); a caller may have put anything into another's name."""

MOST_PATTERNS = 2000
"""Kinds of calls whose lines' common part is remembered."""

MOST_STEPS = 64
"""Hashes in the longest path that is looked at."""

FAULTS: Mapping[str, str] = {
    "unreadable": "the line is not one that the gateway writes",
    "begin": "the file does not begin with the link `open`",
    "chain": "the link does not follow the one before it: something was changed, dropped, swapped or inserted",
    "count": "there are more or fewer records than the link says",
    "root": "the records are not those that were sealed",
    "key": "no key that is believed has this name",
    "signature": "the signature does not hold",
    "tail": "the last batch is not sealed: it was half written, or cut off",
    "expected": "the link that was expected is not there",
}
"""What can be wrong with a file, by code."""

_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True)


def line(value: Mapping[str, Any]) -> bytes:
    """A record or link as its line, without the line's end; what is None is left out."""
    return _ENCODER.encode({name: one for name, one in value.items() if one is not None}).encode("ascii")


def moment(at: datetime) -> str:
    """A time in UTC, to the millisecond."""
    return iso(at)


# --- records


class Lines:
    """Makes the lines of events; of calls from patterns, since there are many of few kinds. For one thread alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._patterns: dict[object, list[bytes]] = {}

    def of(self, event: EvidenceEvent) -> bytes:
        """The line of an event, as `record` gives it."""
        if (
            type(event) is not CallEvent
            or event.outcome is not CallOutcome.OK  # most are, and an enumeration's hash is slow
            or event.signature is not None
            or event.answer_signature is not None
            or not KEYS["request_id"](event.request_id)
        ):
            return record(event, self._key)
        who = event.caller
        said = None if who is None else _said(who)
        whole = (event.status, event.route, event.service, event.method, event.municipality, said)
        pattern = self._patterns.get(whole)
        if pattern is None:
            if len(self._patterns) >= MOST_PATTERNS:
                self._patterns.clear()
            pattern = self._patterns[whole] = _pattern(event, self._key)
        begin, ms, request_id, end = pattern
        return b"%b%b%b%r%b%b%b" % (
            begin,
            moment(event.at).encode(),
            ms,
            _milliseconds(event),
            request_id,
            event.request_id.encode(),
            end,
        )


def _said(who: Caller) -> tuple[object, ...]:
    """What lines of calls by the same caller have in common."""
    sure = who.assurance
    system = who.kind is CallerKind.SYSTEM
    levels = (int(sure.identity), int(sure.authentication))
    return (system, who.client, who.person, who.consent, who.actors, levels)


def _pattern(event: CallEvent, key: bytes) -> list[bytes]:
    """The line without time, duration and request id, which stand there in that order."""
    text = record(event, key)
    at = text.index(b'"at":"') + 6
    ms = text.index(b',"ms":', at) + 6
    request_id = text.index(b',"request_id":"', ms) + 15
    ends = (text.index(b'"', at), text.index(b",", ms), text.index(b'"', request_id))
    return [text[:at], text[ends[0] : ms], text[ends[1] : request_id], text[ends[2] :]]


def _milliseconds(event: CallEvent) -> float:
    return round((event.own_seconds + (event.upstream_seconds or 0.0)) * 1000, 1)


def record(event: EvidenceEvent, key: bytes) -> bytes:
    """The line of an event; `key` is that of its month, for digests of persons and consents."""
    value: dict[str, Any] = {"at": moment(event.at), "outcome": None}
    match event:
        case CallEvent():
            value |= {"t": "call", "outcome": event.outcome.value, "reason": event.reason, "status": event.status}
            value |= {"request_id": _request_id(event.request_id), "route": event.route, "service": event.service}
            value |= {
                "method": event.method if event.method in METHODS else "other",
                "municipality": event.municipality,
                "signature": event.signature,
            }
            value |= {"answer_signature": event.answer_signature}
            value["ms"] = _milliseconds(event)
            caller = event.caller
            if caller is not None:
                value |= {"caller": caller.kind.value, "client": caller.client, "actors": list(caller.actors) or None}
                value |= {"identity": int(caller.assurance.identity)}
                value |= {"authentication": int(caller.assurance.authentication)}
                value["person"] = None if caller.person is None else digest(key, "person", str(caller.person))
                value["consent"] = None if caller.consent is None else digest(key, "consent", caller.consent)
        case LoginEvent():
            value |= {"t": "login", "outcome": event.outcome.value, "reason": event.reason, "service": event.service}
            value |= {"request_id": _request_id(event.request_id), "id_system": event.id_system}
            value |= {"municipality": event.municipality, "identity": event.level, "ms": round(event.seconds * 1000)}
            value["person"] = None if event.person is None else digest(key, "person", str(event.person))
            value["consent"] = None if event.consent is None else digest(key, "consent", event.consent)
        case ConsentEvent():
            value |= {"t": "consent", "outcome": event.change.value, "service": event.service}
            value |= {"request_id": _request_id(event.request_id), "purpose": event.purpose}
            value |= {"attributes": sorted(event.attributes), "scopes": sorted(event.scopes)}
            value["person"] = digest(key, "person", str(event.person))
            value["consent"] = digest(key, "consent", event.consent)
        case LogoutEvent():
            value |= {"t": "logout", "outcome": event.outcome.value, "reason": event.reason, "service": event.service}
            value |= {"request_id": _request_id(event.request_id), "id_system": event.id_system}
            value |= {"told": event.told, "untold": event.untold}
        case CouncilEvent():
            value |= {"t": "council", "outcome": event.outcome.value, "reason": event.reason}
            value |= {"request_id": _request_id(event.council_request), "municipality": event.municipality}
            value |= {"target": event.target, "signature": None if event.signature is None else event.signature.value}
        case EndingEvent():
            value |= {"t": "ending", "reason": event.reason.value, "service": event.service, "ended": event.ended}
            value |= {"told": event.told, "untold": event.untold}
    return line(value)


def gap(lost: int, at: datetime) -> bytes:
    """The line that says that so many records are missing before it."""
    return line({"t": "gap", "at": moment(at), "lost": lost})


def digest(key: bytes, kind: str, value: str) -> str:
    """HMAC-SHA256 (RFC 2104) of a value, of which the key's holder alone can tell whose it is."""
    return hmac.digest(key, f"{kind}\0{value}".encode(), "sha256").hex()


def _request_id(value: str) -> str | None:
    return value if KEYS["request_id"](value) else None


# --- the tree over a batch


def leaf(record_line: bytes) -> bytes:
    """The hash of a leaf (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\0" + record_line).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash of the tree over at least one leaf (RFC 6962 §2.1)."""
    level = leaves
    while len(level) > 1:  # neighbours are joined; a last one alone goes up as it is
        above = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = above if len(level) % 2 == 0 else [*above, level[-1]]
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from the leaf `index` to the root (RFC 6962 §2.1.1)."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*path(leaves[:half], index), root(leaves[half:])]
    return [*path(leaves[half:], index - half), root(leaves[:half])]


def root_by_path(start: bytes, index: int, count: int, steps: Sequence[bytes]) -> bytes | None:
    """The root to which a path leads (RFC 9162 §2.1.3.2); None if it is no path of such a tree."""
    if not 0 <= index < count:
        return None
    here, last, found = index, count - 1, start
    for step in steps:
        if last == 0:
            return None
        if here & 1 or here == last:
            found = _node(step, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = _node(found, step)
        here, last = here >> 1, last >> 1
    return found if last == 0 else None


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _half(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def sealed_by(proof: bytes) -> bytes | None:
    """The link that seals the record of a proof (`record`, `index`, `path` and `head`, in JSON); None if none does."""
    try:
        value = json.loads(proof)
        record_line, link = value["record"].encode("ascii"), value["head"].encode("ascii")
        steps = [bytes.fromhex(step) for step in value["path"]]
        said = parsed(link + b"\n")
        if said is None or said["t"] != "head" or parsed(record_line + b"\n") is None or len(steps) > MOST_STEPS:
            return None
        found = root_by_path(leaf(record_line), int(value["index"]), int(said["count"]), steps)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return link if found is not None and found.hex() == said["root"] else None


# --- links


def link_hash(link_line: bytes) -> str:
    """By what the next link names this one: the SHA-256 of its line, in hexadecimal."""
    return hashlib.sha256(link_line).hexdigest()


def opened(name: str, previous: str | None, at: datetime) -> bytes:
    """The link that begins the file `name`; `previous` is the last one of the file before it."""
    return line({"t": "open", "at": moment(at), "file": name, "previous": previous})


def head(records: Sequence[bytes], previous: str, at: datetime) -> bytes:
    """The link that seals a batch of at least one record."""
    sealed = root([leaf(one) for one in records]).hex()
    return line({"t": "head", "at": moment(at), "previous": previous, "count": len(records), "root": sealed})


def cut(octets: int, previous: str, at: datetime) -> bytes:
    """The link that says that so many octets of a half-written batch were taken away."""
    return line({"t": "cut", "at": moment(at), "previous": previous, "octets": octets})


def signed(previous: str, at: datetime, kid: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The link that signs everything before it."""
    signature = key.sign(_to_sign(previous, moment(at)), ec.ECDSA(hashes.SHA256()))
    return line({"t": "signed", "at": moment(at), "previous": previous, "kid": kid, "signature": signature.hex()})


def _to_sign(previous: str, at: str) -> bytes:
    return PREFIX + f"{previous}\n{at}\n".encode("ascii")


# --- checking

Keys = Mapping[str, ec.EllipticCurvePublicKey]
"""The keys that are believed, by their names (RFC 7638 thumbprints)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong (a code of FAULTS), in which line of a file, counted from 1."""

    code: str
    line: int


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of checking a file.

    `last` is the hash of its last link, `after` the hash of the link that it follows in another file. `lost` and `cut`
    count what the gateway itself says that is missing: records, and octets. `unsigned` are the links after the last
    signature, `signed_at` its time.
    """

    faults: list[Fault] = field(default_factory=list)
    records: int = 0
    links: int = 0
    signatures: int = 0
    unsigned: int = 0
    lost: int = 0
    cut: int = 0
    signed_at: str | None = None
    after: str | None = None
    last: str | None = None
    hashes: set[str] = field(default_factory=set, repr=False)


def check(octets: Iterable[bytes], name: str, keys: Keys) -> Report:
    """Check the lines of the file `name`, each with its end."""
    report = Report()
    batch: list[bytes] = []
    number = 0
    for number, raw in enumerate(octets, 1):
        value = parsed(raw)
        if value is None:
            report.faults.append(Fault(code="unreadable", line=number))
            continue
        if (number == 1) != (value["t"] == "open"):
            report.faults.append(Fault(code="begin", line=number))
        if value["t"] in RECORDS:
            batch.append(leaf(raw[:-1]))
            report.lost += _number(value, "lost") if value["t"] == "gap" else 0
            continue
        report.faults += [Fault(code=code, line=number) for code in _of_link(value, report, batch, name, keys)]
        report.records += len(batch)
        batch = []
        report.last = link_hash(raw[:-1])
        report.hashes.add(report.last)
        report.links += 1
    if batch or number == 0:
        report.faults.append(Fault(code="tail", line=number))
    return report


def parsed(raw: bytes) -> dict[str, Any] | None:
    """A line with its end as its value; None unless it is exactly as the gateway writes such a value."""
    try:
        value = json.loads(raw)
        same = isinstance(value, dict) and line(value) + b"\n" == raw
    except (ValueError, RecursionError):
        return None
    return value if same and value.get("t") in LINKS | RECORDS else None


def _of_link(value: Mapping[str, Any], report: Report, batch: Sequence[bytes], name: str, keys: Keys) -> list[str]:
    """What is wrong with a link, and what it says that is missing."""
    kind, previous = value["t"], value.get("previous")
    found = []
    if kind == "open":
        report.after = previous if isinstance(previous, str) else None
        if value.get("file") != name:
            found.append("begin")
    elif previous != report.last:
        found.append("chain")
    if len(batch) != (_number(value, "count") if kind == "head" else 0):
        found.append("count")
    elif kind == "head" and (not batch or root(batch).hex() != value.get("root")):
        found.append("root")
    report.cut += _number(value, "octets") if kind == "cut" else 0
    report.unsigned += 1
    if kind == "signed":
        wrong = _of_signature(value, keys)
        if wrong is None:
            report.signatures, report.unsigned, report.signed_at = report.signatures + 1, 0, str(value["at"])
        else:
            found.append(wrong)
    return found


def _of_signature(value: Mapping[str, Any], keys: Keys) -> str | None:
    key = keys.get(str(value.get("kid")))
    if key is None:
        return "key"
    try:
        text = str(value["signature"])
        octets = bytes.fromhex(text)
        if octets.hex() != text:
            return "signature"
        key.verify(octets, _to_sign(str(value["previous"]), str(value["at"])), ec.ECDSA(hashes.SHA256()))
    except (KeyError, ValueError, InvalidSignature):
        return "signature"
    return None


def _number(value: Mapping[str, Any], name: str) -> int:
    found = value.get(name)
    return found if isinstance(found, int) and found >= 0 else -1
