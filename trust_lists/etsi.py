"""Names that both ETSI formats share, and our own: what a service is, its status, its uses, its assurance, its town.

ETSI TS 119 612 v2.3.1 §5.5.1, §5.5.4 and annex D (service types and statuses), ETSI TS 119 602 (the same in JSON).
What the specifications have no name for gets one under `urn:kakehashi:`, the same in every format: additional
service information in the ETSI formats, entity attributes in SAML metadata.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trust_lists.codes import is_municipality_code
from trust_lists.model import Role, Status
from trust_lists.rules import EntryError, Place

PREFIX = "urn:kakehashi:"
"""What an authority says in our words; a name under it that is not known here drops the entry."""

_SERVICE_TYPE = PREFIX + "service-type:"
_USE = PREFIX + "use:"
_MAXIMUM_IDENTITY = PREFIX + "maximum-identity:"

OPENID_METADATA = PREFIX + "extension:openid-metadata"
"""The service information extension that holds registered OpenID metadata (RFC 7591 §2, OpenID Discovery §3)."""

FEDERATION_MEMBER = PREFIX + "entity-type:member"
"""The entity type under which superiors of an OpenID federation state `municipality`, `uses`, `maximum_identity`."""

_SVCTYPE = "http://uri.etsi.org/TrstSvc/Svctype/"
CERTIFICATE_AUTHORITY_TYPES = (f"{_SVCTYPE}CA/QC", f"{_SVCTYPE}CA/PKC")
"""Authorities that issue qualified certificates, and others (TS 119 612 §5.5.1.1, §5.5.1.2)."""

SERVICE_TYPES: dict[str, Role] = {
    **dict.fromkeys(CERTIFICATE_AUTHORITY_TYPES, Role.CERTIFICATE_AUTHORITY),
    **{f"{_SERVICE_TYPE}{role}": role for role in Role if role is not Role.CERTIFICATE_AUTHORITY},
}
"""What kind of service makes an entity of which role."""

_SVCSTATUS = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
STATUSES: dict[str, Status] = {
    f"{_SVCSTATUS}granted": Status.GRANTED,
    f"{_SVCSTATUS}recognisedatnationallevel": Status.RECOGNISED,
    f"{_SVCSTATUS}withdrawn": Status.WITHDRAWN,
    f"{_SVCSTATUS}deprecatedatnationallevel": Status.WITHDRAWN,
}
"""Statuses that stand in lists today (TS 119 612 §5.5.4). The older ones of annex D.5 are history only: `HISTORIC`."""

_OLDER = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
HISTORIC: dict[str, Status] = {
    **STATUSES,
    **{f"{_OLDER}{name}": Status.GRANTED for name in ("undersupervision", "supervisionincessation", "accredited")},
    f"{_OLDER}setbynationallaw": Status.RECOGNISED,
    **{
        f"{_OLDER}{name}": Status.WITHDRAWN
        for name in (
            "supervisionceased",
            "supervisionrevoked",
            "accreditationceased",
            "accreditationrevoked",
            "deprecatedbynationallaw",
        )
    },
}
"""What may stand in a service's history."""

_STATUS_NAMES = {
    Status.GRANTED: f"{_SVCSTATUS}granted",
    Status.RECOGNISED: f"{_SVCSTATUS}recognisedatnationallevel",
    Status.WITHDRAWN: f"{_SVCSTATUS}withdrawn",
}

_MUNICIPALITY = re.compile(r"LG:JP-([0-9]{6})", re.ASCII)
_USE_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_LONGEST_USE = 64
_LEVELS = ("0", "1", "2", "3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """What additional service information says: permitted uses (None: not limited), assurance (None), and the rest."""

    uses: frozenset[str] | None
    maximum_identity: int | None
    others: tuple[str, ...]


def service_type(role: Role) -> str:
    """The service type by which an entity of that role is listed."""
    return CERTIFICATE_AUTHORITY_TYPES[1] if role is Role.CERTIFICATE_AUTHORITY else f"{_SERVICE_TYPE}{role}"


def status_name(status: Status) -> str:
    """The URI of a status."""
    return _STATUS_NAMES[status]


def use(value: object, place: Place) -> str:
    """Check the name of a use such as `civic`: lower-case words with hyphens. Raises `EntryError`."""
    if not isinstance(value, str) or len(value) > _LONGEST_USE or not _USE_NAME.fullmatch(value):
        raise EntryError(place, f"{str(value)[:40]!r} is not the name of a use such as civic or mobility")
    return value


def use_name(of: str) -> str:
    """The URI of a use."""
    return _USE + of


def maximum_identity_name(level: int) -> str:
    """The URI of the highest identity assurance (0 to 3) that an entity may assert."""
    return f"{_MAXIMUM_IDENTITY}{level}"


def read_information(names: Iterable[str], place: Place) -> Information:
    """Tell our URIs from others'. Raises `EntryError` for one of ours that is not known, or two levels."""
    uses: set[str] = set()
    levels: set[int] = set()
    others: list[str] = []
    for name in names:
        if name.startswith(_USE):
            uses.add(use(name.removeprefix(_USE), place))
        elif name.startswith(_MAXIMUM_IDENTITY):
            levels.add(_level(name.removeprefix(_MAXIMUM_IDENTITY), place))
        elif name.lower().startswith(PREFIX):  # case counts for nothing in the beginning of a URN (RFC 8141 §3.1)
            raise EntryError(place, f"{name[:100]} is unknown")
        else:
            others.append(name)
    if len(levels) > 1:
        raise EntryError(place, "two highest levels of identity assurance are stated; one is expected")
    return Information(
        uses=frozenset(uses) or None, maximum_identity=next(iter(levels), None), others=tuple(dict.fromkeys(others))
    )


def information_names(*, uses: Iterable[str] | None, maximum_identity: int | None) -> tuple[str, ...]:
    """The URIs that say so, in a fixed order."""
    levels = () if maximum_identity is None else (maximum_identity_name(maximum_identity),)
    return (*(use_name(each) for each in sorted(uses or ())), *levels)


def municipality_identifier(code: str) -> str:
    """A municipality as a registration identifier in a trade name: `LG:JP-102016`.

    ETSI EN 319 412-1 §5.1.4: a national scheme of two letters and a colon; here 全国地方公共団体コード.
    """
    return f"LG:JP-{code}"


def read_municipality(identifiers: Iterable[str], place: Place) -> str | None:
    """Find the municipality among trade names. Raises `EntryError` for a wrong check digit, or for two."""
    found = {match[1] for name in identifiers if (match := _MUNICIPALITY.fullmatch(name))}
    for code in found:
        if not is_municipality_code(code):
            raise EntryError(place, f"{code} is not a local-government code: its check digit is wrong")
    if len(found) > 1:
        raise EntryError(place, "two municipalities are stated; one is expected")
    return next(iter(found), None)


def _level(value: str, place: Place) -> int:
    if value not in _LEVELS:
        raise EntryError(place, f"{value[:20]!r} is not a level from 0 to 3")
    return int(value)
