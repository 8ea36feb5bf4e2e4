"""What an authority writes of a member by hand: one entry of a recipe, read strictly into a `TrustedEntity`.

    entity_id: https://rp.example
    role: openid-relying-party
    municipality: "102016"
    name: {ja: 参加サイト, en: Participation}
    metadata: {…}                      # OpenID roles: registered names (RFC 7591, OpenID Discovery)
    certificates: [MIIC…]              # certificate authorities: DER in base64 (a recipe names PEM files)
    jwks: {keys: […]}                  # regional services, council members: keys by value, not only in certificates
    addresses: [https://…]             # the other roles: where the service is reached
    uses: [civic]                      # what for; without it: anything
    maximum_identity: 2                # the highest identity assurance that it may assert
    status: withdrawn                  # granted if it is not said; or recognised
    since: "2026-04-01"                # of the status: a day in Japan, or an instant
    history: [{status: granted, since: "2025-04-01"}]      # former ones, the newest first
    postal_address: {ja: …, en: …}
    contact: mailto:id@city.example.jp
    information: https://www.city.example.jp/

A name that is not in the table is refused: a misspelt one would silently not protect. SAML members are not written
by hand; their own metadata are what an authority signs (`saml-metadata`).
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from cryptography import x509

from trust_lists import certificates, etsi, openid_entries, rules
from trust_lists.model import Endpoint, Role, Status, StatusChange, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.scheme import contact
from trust_lists.times import parse_instant

JAPAN = timezone(timedelta(hours=9), "JST")
"""Japan has no daylight-saving time."""

SUPPLY_POINT = "ServiceSupplyPoint"
"""The kind of endpoint that ETSI lists state: an address, with no binding (TS 119 612 §5.5.7)."""

OPENID_ROLES = (Role.OPENID_PROVIDER, Role.OPENID_RELYING_PARTY)
KEY_ROLES = (Role.REGIONAL_SERVICE, Role.COUNCIL_MEMBER)
"""Systems that prove who they are by listed keys: those of certificates, and those that stand there by value."""

SAML_ROLES = (Role.SAML_IDENTITY_PROVIDER, Role.SAML_SERVICE_PROVIDER)
ROLES: Mapping[str, Role] = {str(role): role for role in Role if role not in SAML_ROLES}
"""Roles that an entry may state."""

_COMMON = (
    "entity_id",
    "role",
    "municipality",
    "name",
    "uses",
    "maximum_identity",
    "status",
    "since",
    "history",
    "postal_address",
    "contact",
    "information",
)
_OF_ROLE: Mapping[Role, tuple[str, ...]] = {
    Role.OPENID_PROVIDER: ("metadata",),
    Role.OPENID_RELYING_PARTY: ("metadata",),
    Role.CERTIFICATE_AUTHORITY: ("certificates", "addresses", "service_type"),
    Role.REGIONAL_SERVICE: ("certificates", "jwks", "addresses"),
    Role.COUNCIL_MEMBER: ("certificates", "jwks", "addresses"),
}
"""What an entry may state besides, by its role."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MAXIMUM_ITEMS = 64
_HIGHEST_LEVEL = 3
_LONGEST_NAME = 500

MAXIMUM_HISTORY = 200
"""Former statuses of an entity; each look-up and each comparison of two versions goes through them."""

SAML_ADVICE = "a SAML member needs its own metadata, with endpoints and bindings; put it on a saml-metadata list"
"""Why an entity of that role cannot stand on a list of this kind."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A member, and what a list says of it for people alone: postal address by language, contact, information."""

    entity: TrustedEntity
    postal_address: Mapping[str, str] = field(default_factory=dict)
    contact: str | None = None
    information: str | None = None


def read_entry(entry: object, *, listed_in: str, valid_until: datetime) -> Entry:
    """Read what an authority wrote of a member. Raises `EntryError` at the first rule it breaks."""
    if not isinstance(entry, Mapping):
        raise EntryError((), "an entry with entity_id, role and metadata is expected")
    entity_id = rules.entity_id(entry.get("entity_id"), ("entity_id",))
    role = _role(entry.get("role"))
    known = (*_COMMON, *_OF_ROLE[role])
    for member in entry:
        if member not in known:
            raise EntryError((str(member),), f"unknown; known for {role} are {', '.join(sorted(known))}")
    check_needs(role, certificates="certificates" in entry, municipality="municipality" in entry)
    now, begun, history = _statuses(entry)
    return Entry(
        entity=TrustedEntity(
            entity_id=entity_id,
            roles=frozenset({role}),
            listed_in=listed_in,
            valid_until=valid_until,
            names=_names(entry, entity_id),
            signing_certificates=_optional(entry, "certificates", _certificates, ()),
            endpoints=_optional(entry, "addresses", _endpoints(role), ()),
            metadata=openid_entries.check_metadata(role, entity_id, entry.get("metadata", {}))
            if role in OPENID_ROLES
            else _optional(entry, "jwks", _keys, {}),
            municipality=_optional(entry, "municipality", rules.municipality, None),
            uses=_optional(entry, "uses", uses, None),
            maximum_identity=_optional(entry, "maximum_identity", level, None),
            status=now,
            status_since=begun,
            history=history,
            service_type=_service_type(entry, role),
        ),
        postal_address=_optional(entry, "postal_address", rules.names, {}),
        contact=_optional(entry, "contact", contact, None),
        information=_optional(entry, "information", rules.web_address, None),
    )


def _keys(value: object, place: Place) -> Mapping[str, Any]:
    return {"jwks": openid_entries.key_set(value, place)}


def check_needs(role: Role, *, certificates: bool, municipality: bool) -> None:
    """Check that what a role cannot do without is stated."""
    if role is Role.CERTIFICATE_AUTHORITY and not certificates:
        raise EntryError(("certificates",), "is missing; a certificate authority is known by its certificates")
    if role is Role.COUNCIL_MEMBER and not municipality:
        raise EntryError(("municipality",), "is missing; a council member is a municipality")


def certificate(value: object, place: Place) -> bytes:
    """Check a certificate in base64 of its DER (RFC 4648 §4, no line breaks), and its key."""
    try:
        der = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
        x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as error:
        raise EntryError(place, "a certificate in base64 is expected") from error
    try:
        certificates.public_key(der)
    except ValueError as error:
        raise EntryError(place, str(error)) from error
    return der


def status(value: object, place: Place) -> Status:
    """Check the name of a status."""
    if not isinstance(value, str) or value not in tuple(Status):
        raise EntryError(place, f"one of {', '.join(Status)} is expected")
    return Status(value)


def since(value: Any, place: Place) -> datetime:
    """Check a day in Japan or an instant, as text; in UTC and whole seconds."""
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=JAPAN).astimezone(UTC)
        if isinstance(value, str):
            return parse_instant(value).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise EntryError(place, f"{value[:40]!r} is not a day of the calendar") from error
    raise EntryError(place, 'a day in quotes is expected, as "2026-04-01"')


def check_history(
    status_since: datetime | None, history: Sequence[StatusChange], place: Place
) -> tuple[StatusChange, ...]:
    """Check that former statuses go back in time, the newest first, from a status that says since when it holds."""
    if len(history) > MAXIMUM_HISTORY:
        raise EntryError(place, f"more than {MAXIMUM_HISTORY} former statuses")
    if history and status_since is None:
        raise EntryError(place, "of a status with a history it must be said since when it holds")
    later = status_since
    for index, former in enumerate(history):
        if later is not None and former.since >= later:
            raise EntryError((*place, index), "is not earlier than the status after it; the newest comes first")
        later = former.since
    return tuple(history)


# --- checks of single values


def _optional(entry: Mapping[str, Any], name: str, check: Callable[[Any, Place], _T], otherwise: _T) -> _T:
    return check(entry[name], (name,)) if name in entry else otherwise


def _items(value: object, place: Place) -> list[Any]:
    if not isinstance(value, list) or not value or len(value) > _MAXIMUM_ITEMS:
        raise EntryError(place, f"a list of 1 to {_MAXIMUM_ITEMS} is expected")
    return value


def _role(value: object) -> Role:
    if value in tuple(map(str, SAML_ROLES)):
        raise EntryError(("role",), SAML_ADVICE)
    role = ROLES.get(str(value))
    if role is None:
        raise EntryError(("role",), f"one of {', '.join(ROLES)} is expected")
    return role


def _names(entry: Mapping[str, Any], entity_id: str) -> dict[str, str]:
    """Names by language; of a member without any the entity ID stands for its name."""
    found = rules.names(entry["name"], ("name",)) if "name" in entry else {}
    return found or {"en": entity_id[:_LONGEST_NAME]}


def uses(value: object, place: Place) -> frozenset[str]:
    """Check what a member may be used for, as `[civic]`."""
    return frozenset(etsi.use(item, (*place, index)) for index, item in enumerate(_items(value, place)))


def level(value: object, place: Place) -> int:
    """Check a level of identity assurance, 0 to 3."""
    if type(value) is not int or not 0 <= value <= _HIGHEST_LEVEL:
        raise EntryError(place, f"a level from 0 to {_HIGHEST_LEVEL} is expected")
    return value


def _certificates(value: object, place: Place) -> tuple[bytes, ...]:
    found = tuple(certificate(item, (*place, index)) for index, item in enumerate(_items(value, place)))
    if len(set(found)) != len(found):
        raise EntryError(place, "the same certificate occurs twice")
    return found


def _endpoints(role: Role) -> Callable[[Any, Place], tuple[Endpoint, ...]]:
    def check(value: Any, place: Place) -> tuple[Endpoint, ...]:
        addresses = [rules.web_address(item, (*place, index)) for index, item in enumerate(_items(value, place))]
        if len(set(addresses)) != len(addresses):
            raise EntryError(place, "the same address occurs twice")
        return tuple(supply_point(role, address) for address in addresses)

    return check


def supply_point(role: Role, address: str) -> Endpoint:
    """Make the endpoint that a service supply point states."""
    return Endpoint(role=role, kind=SUPPLY_POINT, binding="", location=address)


def _statuses(entry: Mapping[str, Any]) -> tuple[Status, datetime | None, tuple[StatusChange, ...]]:
    now = _optional(entry, "status", status, Status.GRANTED)
    begun = since(entry["since"], ("since",)) if "since" in entry else None
    history = [
        _former(item, ("history", index))
        for index, item in enumerate(_items(entry["history"], ("history",)) if "history" in entry else [])
    ]
    return now, begun, check_history(begun, history, ("history",))


def _former(value: object, place: Place) -> StatusChange:
    if not isinstance(value, Mapping) or set(value) != {"status", "since"}:
        raise EntryError(place, "a former status and since when are expected, as {status: granted, since: …}")
    former = status(value["status"], (*place, "status"))
    return StatusChange(former, since(value["since"], (*place, "since")), etsi.status_name(former))


def _service_type(entry: Mapping[str, Any], role: Role) -> str | None:
    """Answer the type of a certificate authority's service; of the other roles the role says it."""
    if role is not Role.CERTIFICATE_AUTHORITY:
        return None
    stated = entry.get("service_type", etsi.service_type(role))
    if stated not in etsi.CERTIFICATE_AUTHORITY_TYPES:
        raise EntryError(("service_type",), f"one of {', '.join(etsi.CERTIFICATE_AUTHORITY_TYPES)} is expected")
    return str(stated)
