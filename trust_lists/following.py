"""Lists of lists: which of a list's pointers are followed, and what a list that was reached so is worth.

A pointer (ETSI TS 119 612 §5.3.13, TS 119 602 §6.3.13) stands in a verified list: where another list is, and the
certificates that must sign it. It is followed only where an operator asked for it (`Follow`), and what comes of it is
never more than the list that pointed there: the same recognitions, the same approval, and no longer.

The name of a followed list is that of the list that points there, the territory, and the beginning of the SHA-256 of
its address: `japan.jp-0f3a5c2b9d1e`. So it stays the same while pointers come, go and change places; another address
is another list. Names in trust.yaml have no dot.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from trust_lists import rules
from trust_lists.model import Fault, Pointer, TrustList
from trust_lists.rules import EntryError

SEPARATOR = "."

XML, JSON = "etsi-119612", "etsi-119602"

FORMATS: Mapping[str, str] = {
    "application/vnd.etsi.tsl+xml": XML,
    "application/xml": XML,
    "text/xml": XML,
    **dict.fromkeys(("application/jwt", "application/jose", "application/json"), JSON),
}
"""What a pointer's media type (RFC 6838; without parameters) says of the format. A pointer without one leads to a list
of the format of the one that it stands in."""

MOST_CERTIFICATES = 16
"""Keys that one pointer may pin: each may cost a verification."""

_SHOWN = 200
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Which pointers an operator lets be followed: how many steps deep, how many lists in all.

    `territories` and `types` (the pointed lists' TSLType or LoTEType) None: any, stated or not.
    """

    depth: int = 1
    most: int = 32
    territories: frozenset[str] | None = None
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A pointer that is followed: what the list is called here, where and in which format it is, and who must sign."""

    name: str
    location: str
    format: str
    anchors: tuple[bytes, ...]


def root(name: str) -> str:
    """The list of trust.yaml from which a list of that name was reached; of any other list its own name."""
    return name.partition(SEPARATOR)[0]


def leads(
    found: TrustList, follow: Follow, *, addresses: tuple[str, ...]
) -> tuple[tuple[Lead, ...], tuple[Fault, ...]]:
    """Sort a list's pointers into those that are followed, and those that are not although they were asked for.

    `addresses` are those of the list itself and of the lists that led to it: a pointer back to one of them, as many
    lists have to themselves, is passed over in silence, and so is one that `follow` leaves out.
    """
    kept: dict[str, Lead] = {}
    left: list[Fault] = []
    for pointer in found.pointers:
        if pointer.location in addresses or not _wanted(pointer, follow):
            continue
        where = f"pointer to {pointer.location}"[:_SHOWN]
        reason = next(_reasons(pointer, found), None)
        name = _name(found.name, pointer)
        if reason is None and name in kept:
            reason = "the list points there twice; the first pointer is followed"
        if reason is not None:
            left.append(Fault(where=where, reason=f"not followed: {reason}"))
            continue
        kept[name] = Lead(
            name=name, location=pointer.location, format=_format(pointer, found) or "", anchors=pointer.certificates
        )
    return tuple(kept.values()), tuple(left)


def bounded(found: TrustList, *, name: str, through: tuple[str, ...], location: str, until: datetime) -> TrustList:
    """What a list that was reached so counts as here: under its name here, and no longer than what led to it."""
    return replace(
        found,
        name=name,
        called=found.name,
        through=through,
        location=location,
        valid_until=min(found.valid_until, until),
    )


def _wanted(pointer: Pointer, follow: Follow) -> bool:
    if follow.territories is not None and pointer.territory not in follow.territories:
        return False
    return follow.types is None or pointer.kind in follow.types


def _reasons(pointer: Pointer, found: TrustList) -> Iterator[str]:
    """Why a pointer cannot be followed."""
    if not pointer.certificates:
        yield "it pins no certificate, so nobody could tell whose list is there"
    if len(pointer.certificates) > MOST_CERTIFICATES:
        yield f"it pins more than {MOST_CERTIFICATES} certificates"
    if _format(pointer, found) is None:
        yield f"lists of the media type {(pointer.media_type or '')[:80]!r} are not read here"
    try:
        rules.web_address(pointer.location, ())
    except EntryError as error:
        yield str(error)


def _format(pointer: Pointer, found: TrustList) -> str | None:
    if pointer.media_type is None:
        return found.format or None
    return FORMATS.get(pointer.media_type.partition(";")[0].strip().lower())


def _name(above: str, pointer: Pointer) -> str:
    territory = (pointer.territory or "").lower()
    digest = hashlib.sha256(pointer.location.encode()).hexdigest()[:_DIGITS]
    stated = territory if territory.isascii() and territory.isalpha() and len(territory) == len("jp") else "xx"
    return f"{above}{SEPARATOR}{stated}-{digest}"
