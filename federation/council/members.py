"""Who is asked: the members of the council that lists in force name, each by its municipality's code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.council.question import Audience
from trust_lists.entries import SUPPLY_POINT
from trust_lists.model import Role, TrustedEntity


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the council, as the lists in force say. `address` is where its system answers, None: nowhere.

    `certificates` (DER) hold the keys by which it may sign its answers, and so does `jwks`, if the list has one.
    """

    code: str
    entity_id: str
    names: Mapping[str, str]
    address: str | None
    certificates: tuple[bytes, ...] = ()
    jwks: Mapping[str, Any] | None = None


def members(entities: Iterable[TrustedEntity]) -> dict[str, Member]:
    """The members by their codes, in the codes' order; of a code's several entities the first one with an address."""
    found: dict[str, Member] = {}
    for entity in sorted(entities, key=lambda each: (each.municipality or "", each.entity_id)):
        code = entity.municipality
        if code is None or (code in found and found[code].address is not None):
            continue
        address = next(
            (
                each.location
                for each in entity.endpoints
                if (each.role, each.kind) == (Role.COUNCIL_MEMBER, SUPPLY_POINT)
            ),
            None,
        )
        if code in found and address is None:
            continue
        found[code] = Member(
            code=code,
            entity_id=entity.entity_id,
            names=entity.names,
            address=address,
            certificates=entity.signing_certificates,
            jwks=entity.metadata.get("jwks"),
        )
    return found


def chosen(to: Audience, known: Mapping[str, Member]) -> tuple[str, ...]:
    """The codes of those who are asked, each once. Those that were listed stay, members or not: each has its end."""
    if to.codes:
        return to.codes
    prefix = to.prefecture or ""
    return tuple(code for code in known if code.startswith(prefix))


def at(address: str, path: str) -> str:
    """The URL of a member's path; `path` begins with a slash. Raises `ValueError` for an address with a query."""
    if "?" in address or "#" in address:
        raise ValueError("an address with a query leads nowhere else")
    return address.rstrip("/") + path
