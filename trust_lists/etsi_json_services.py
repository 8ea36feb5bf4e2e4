"""One trusted entity of an ETSI TS 119 602 list: its services read as `TrustedEntity`, and written from an `Entry`.

A service is an entity in one role: `ServiceTypeIdentifier` says which (`trust_lists/etsi.py`). Its entity ID is the
one of `OtherIds`, else the `ServiceUniqueIdentifier` extension, else a name made of the key of its first certificate.
Shared services and council members may have keys by value (`PublicKeyValues`, JWKs); of others they are not read.
An extension is an object with one member, whose name says which it is, and `Critical` beside it. Known are
`ServiceUniqueIdentifier` (the schema's own), `AdditionalServiceInformation` (as in TS 119 612 §5.5.9.4) and
`urn:kakehashi:extension:openid-metadata`; an unknown critical one drops the service, and an unknown one of ours too.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_lists import certificates, entries, etsi, openid_entries, rules
from trust_lists.entries import KEY_ROLES, OPENID_ROLES, SAML_ADVICE, SAML_ROLES, Entry
from trust_lists.model import Role, Status, StatusChange, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.times import format_instant, parse_instant

IDENTIFIER = "ServiceUniqueIdentifier"
INFORMATION = "AdditionalServiceInformation"

_DER = ("http://uri.etsi.org/01903/v1.2.2#DER", "")
_CRITICAL = ("Critical", "critical")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
_MAXIMUM_URI = 2048
_MAXIMUM_ITEMS = 200

_ENTITY = (("TrustedEntityInformation", "TrustedEntityServices"), ())
_ENTITY_INFORMATION = (("TEName",), ("TETradeName", "TEAddress", "TEInformationURI", "TEInformationExtensions"))
_SERVICE = (("ServiceInformation",), ("ServiceHistory",))
_SERVICE_INFORMATION = (
    ("ServiceTypeIdentifier", "ServiceName", "ServiceDigitalIdentity"),
    (
        "ServiceStatus",
        "StatusStartingTime",
        "SchemeServiceDefinitionURI",
        "ServiceSupplyPoints",
        "ServiceDefinitionURI",
        "ServiceInformationExtensions",
    ),
)
_HISTORY = (
    ("ServiceName", "ServiceDigitalIdentity", "ServiceStatus", "StatusStartingTime"),
    ("ServiceTypeIdentifier", "ServiceInformationExtensions"),
)
_IDENTITY = ((), ("X509Certificates", "X509SubjectNames", "PublicKeyValues", "X509SKIs", "OtherIds"))
"""Members that must and that may be there, as the specification's JSON schema has them; any other is refused.

Two differences: the schema also demands TEAddress and TEInformationURI, on which nothing hangs here, and leaves out
the type of a service, without which it could not be used.
"""


class Extension(NamedTuple):
    """What a list says beyond the specification's fields."""

    name: str
    value: Any
    critical: bool


# --- shapes, also of the scheme's information


def members(value: object, place: Place, rule: tuple[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    """Check an object's members: every one required is there, and none that is unknown."""
    if not isinstance(value, dict):
        raise EntryError(place, "an object is expected")
    required, optional = rule
    for name in value:
        if name not in required and name not in optional:
            raise EntryError((*place, str(name)[:100]), f"unknown; known are {', '.join((*required, *optional))}")
    for name in required:
        if name not in value:
            raise EntryError((*place, name), "is missing")
    return value


def items(value: object, place: Place) -> list[Any]:
    """Check a list that is not empty, nor endless."""
    if not isinstance(value, list) or not 0 < len(value) <= _MAXIMUM_ITEMS:
        raise EntryError(place, f"a list of 1 to {_MAXIMUM_ITEMS} is expected")
    return value


def texts(value: object, place: Place) -> list[tuple[str, str]]:
    """Check texts with their languages (§6.1.4): what is stated, in its order."""
    found = []
    for index, item in enumerate(items(value, place)):
        here = (*place, index)
        stated = members(item, here, (("lang", "value"), ()))
        found.append(
            (
                rules.language(stated["lang"], (*here, "lang")),
                rules.display_name(stated["value"], (*here, "value")),
            )
        )
    return found


def names(value: object, place: Place) -> dict[str, str]:
    """Check names, one to a language."""
    found = texts(value, place)
    if len(dict(found)) != len(found):
        raise EntryError(place, "two names in one language; one is expected")
    return dict(found)


def uri(value: object, place: Place) -> str:
    """Check an absolute URI."""
    if not isinstance(value, str) or len(value) > _MAXIMUM_URI or not _URI.fullmatch(value):
        raise EntryError(place, "a URI is expected")
    return value


def uris(value: object, place: Place) -> list[str]:
    """Check URIs with their languages (§6.1.4)."""
    found = []
    for index, item in enumerate(items(value, place)):
        stated = members(item, (*place, index), (("lang", "uriValue"), ()))
        rules.language(stated["lang"], (*place, index, "lang"))
        found.append(uri(stated["uriValue"], (*place, index, "uriValue")))
    return found


def instant(value: object, place: Place) -> datetime:
    """Check a time (§6.1.3)."""
    try:
        if isinstance(value, str):
            return parse_instant(value)
    except ValueError as error:
        raise EntryError(place, str(error)) from error
    raise EntryError(place, "a time such as 2026-04-01T00:00:00Z is expected")


def extensions(value: object, place: Place) -> list[Extension]:
    """Read extensions: an object with one member each, and whether it is critical."""
    found = []
    for index, item in enumerate(items(value, place)):
        here = (*place, index)
        if not isinstance(item, dict):
            raise EntryError(here, "an object with the extension's name and value is expected")
        named = [name for name in item if name not in _CRITICAL]
        marks = [item[name] for name in _CRITICAL if name in item]
        if len(named) != 1 or len(marks) > 1 or any(not isinstance(mark, bool) for mark in marks):
            raise EntryError(here, "one member that names the extension, and Critical true or false, are expected")
        found.append(Extension(named[0], item[named[0]], critical=True in marks))
    return found


def digital_certificates(value: object, place: Place) -> tuple[bytes, ...]:
    """Read the certificates of a digital identity, DER."""
    stated = members(value, place, _IDENTITY)
    if "X509Certificates" not in stated:
        return ()
    here = (*place, "X509Certificates")
    found = []
    for index, item in enumerate(items(stated["X509Certificates"], here)):
        carried = members(item, (*here, index), (("val",), ("encoding", "specRef")))
        if carried.get("encoding", "") not in _DER:
            raise EntryError((*here, index, "encoding"), "a certificate in DER is expected")
        found.append(entries.certificate(carried["val"], (*here, index, "val")))
    if len(set(found)) != len(found):
        raise EntryError(here, "the same certificate occurs twice")
    return tuple(found)


# --- reading


def services(entity: object) -> list[Any]:
    """List the services of an entity; one that has none that can be read stands for itself, so that it is reported."""
    stated = entity.get("TrustedEntityServices") if isinstance(entity, dict) else None
    return stated if isinstance(stated, list) and stated else [None]


def claim(service: object) -> tuple[str, str]:
    """Look up entity ID and type as a service states them, whatever else it says; empty where it states none."""
    information = service.get("ServiceInformation") if isinstance(service, dict) else None
    if not isinstance(information, dict):
        return "", ""
    identity = information.get("ServiceDigitalIdentity")
    others = identity.get("OtherIds") if isinstance(identity, dict) else None
    stated = others[0] if isinstance(others, list) and len(others) == 1 else ""
    role = etsi.SERVICE_TYPES.get(str(information.get("ServiceTypeIdentifier")), "")
    return str(stated), str(role)


def read_service(entity: object, service: object, *, listed_in: str, valid_until: datetime) -> TrustedEntity:
    """Read one service of an entity. Raises `EntryError` at the first rule that it or its entity breaks."""
    stated = members(entity, (), _ENTITY)
    about = members(stated["TrustedEntityInformation"], ("TrustedEntityInformation",), _ENTITY_INFORMATION)
    municipality = _municipality(about)
    whole = members(service, (), _SERVICE)
    information = members(whole["ServiceInformation"], ("ServiceInformation",), _SERVICE_INFORMATION)
    role = _role(information["ServiceTypeIdentifier"])
    found = (
        extensions(information.get("ServiceInformationExtensions", []), ("ServiceInformationExtensions",))
        if "ServiceInformationExtensions" in information
        else []
    )
    _check_known(found)
    identity = information["ServiceDigitalIdentity"]
    keys = digital_certificates(identity, ("ServiceDigitalIdentity",))
    entity_id = _entity_id(identity, found, keys)
    addresses = _addresses(information, role)
    if role in OPENID_ROLES and (keys or addresses or "PublicKeyValues" in identity):
        raise EntryError(
            ("ServiceDigitalIdentity",), "keys and addresses of an OpenID party stand in its metadata, nowhere else"
        )
    if "PublicKeyValues" in identity and not keys and role not in KEY_ROLES:
        raise EntryError(
            ("ServiceDigitalIdentity", "PublicKeyValues"), "a certificate is expected; add X509Certificates"
        )
    entries.check_needs(role, certificates=bool(keys), municipality=municipality is not None)
    says = etsi.read_information(_information(found), ("ServiceInformationExtensions",))
    status, since, history = _statuses(information, whole)
    return TrustedEntity(
        entity_id=entity_id,
        roles=frozenset({role}),
        listed_in=listed_in,
        valid_until=valid_until,
        municipality=municipality,
        names=names(information["ServiceName"], ("ServiceName",)),
        signing_certificates=keys,
        endpoints=tuple(
            entries.supply_point(role, address)._replace(binding=binding) for address, binding in addresses
        ),
        metadata=_metadata(found, role, entity_id) | _key_values(identity, role),
        uses=says.uses,
        maximum_identity=says.maximum_identity,
        status=status,
        status_since=since,
        history=history,
        service_type=None
        if information["ServiceTypeIdentifier"].startswith(etsi.PREFIX)
        else information["ServiceTypeIdentifier"],
        information=says.others,
    )


def _municipality(about: Mapping[str, Any]) -> str | None:
    place = ("TrustedEntityInformation",)
    texts(about["TEName"], (*place, "TEName"))
    for extension in _optional(about, "TEInformationExtensions", extensions, []):
        if extension.critical or extension.name.startswith(etsi.PREFIX):
            raise EntryError((*place, "TEInformationExtensions"), f"{extension.name[:100]} is unknown")
    trade_names = _optional(about, "TETradeName", texts, [])
    return etsi.read_municipality((value for _, value in trade_names), (*place, "TETradeName"))


def _optional(stated: Mapping[str, Any], name: str, check: Callable[[Any, Place], Any], otherwise: Any) -> Any:
    return check(stated[name], (name,)) if name in stated else otherwise


def _role(value: object) -> Role:
    role = etsi.SERVICE_TYPES.get(value) if isinstance(value, str) else None
    if role is None:
        raise EntryError(("ServiceTypeIdentifier",), f"{str(value)[:200]!r} is no type of service that is used here")
    if role in SAML_ROLES:
        raise EntryError(("ServiceTypeIdentifier",), SAML_ADVICE)
    return role


def _check_known(found: Iterable[Extension]) -> None:
    for extension in found:
        if extension.name in (IDENTIFIER, INFORMATION, etsi.OPENID_METADATA):
            continue
        if extension.critical or extension.name.startswith(etsi.PREFIX):
            raise EntryError(
                ("ServiceInformationExtensions",), f"{extension.name[:100]} is unknown, and the service hangs on it"
            )


def _only(found: Iterable[Extension], name: str) -> Extension | None:
    """The extension of that name, which may be there once."""
    these = [extension for extension in found if extension.name == name]
    if len(these) > 1:
        raise EntryError(("ServiceInformationExtensions",), f"{name} occurs twice")
    return these[0] if these else None


def _entity_id(identity: Mapping[str, Any], found: Iterable[Extension], keys: tuple[bytes, ...]) -> str:
    place = ("ServiceDigitalIdentity", "OtherIds")
    others = _optional(identity, "OtherIds", items, [])
    unique = _only(found, IDENTIFIER)
    if len(others) == 1:
        return rules.entity_id(others[0], place)
    if unique is not None:
        return rules.entity_id(unique.value, ("ServiceInformationExtensions", IDENTIFIER))
    if not keys:
        raise EntryError(place, "one identifier is expected, since there is no certificate to name the service by")
    return key_name(keys[0])


def key_name(certificate: bytes) -> str:
    """Name a service that has no identifier by its key: SHA-256 of the SubjectPublicKeyInfo, in hexadecimal."""
    key = certificates.public_key(certificate)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"{etsi.PREFIX}service:{hashlib.sha256(der).hexdigest()}"


def _addresses(information: Mapping[str, Any], role: Role) -> list[tuple[str, str]]:
    place = ("ServiceSupplyPoints",)
    found = []
    for index, item in enumerate(_optional(information, place[0], items, [])):
        stated = members(item, (*place, index), (("uriValue",), ("ServiceType",)))
        binding = uri(stated["ServiceType"], (*place, index, "ServiceType")) if "ServiceType" in stated else ""
        found.append((rules.web_address(stated["uriValue"], (*place, index, "uriValue")), binding))
    if len(set(found)) != len(found):
        raise EntryError(place, f"the same address of the {role} occurs twice")
    return found


def _information(found: Iterable[Extension]) -> list[str]:
    place = ("ServiceInformationExtensions", INFORMATION)
    return [
        uri(members(extension.value, place, (("lang", "uriValue"), ()))["uriValue"], (*place, "uriValue"))
        for extension in found
        if extension.name == INFORMATION
    ]


def _metadata(found: Iterable[Extension], role: Role, entity_id: str) -> dict[str, Any]:
    stated = _only(found, etsi.OPENID_METADATA)
    if role in OPENID_ROLES:
        return dict(openid_entries.check_metadata(role, entity_id, {} if stated is None else stated.value))
    if stated is not None:
        raise EntryError(("ServiceInformationExtensions",), f"a {role} has no OpenID metadata")
    return {}


def _key_values(identity: Mapping[str, Any], role: Role) -> dict[str, Any]:
    """Read the keys of a system that stand there by value; of others a certificate is what counts."""
    if role not in KEY_ROLES or "PublicKeyValues" not in identity:
        return {}
    place = ("ServiceDigitalIdentity", "PublicKeyValues")
    return {"jwks": openid_entries.key_set({"keys": identity["PublicKeyValues"]}, place)}


def _statuses(
    information: Mapping[str, Any], whole: Mapping[str, Any]
) -> tuple[Status, datetime | None, tuple[StatusChange, ...]]:
    """Read the status and its history. A scheme without statuses lists what is granted alone (§6.6.4)."""
    granted = etsi.status_name(Status.GRANTED)
    status = _status(information.get("ServiceStatus", granted), etsi.STATUSES, ("ServiceStatus",))
    since = _optional(information, "StatusStartingTime", instant, None)
    history = []
    for index, item in enumerate(_optional(whole, "ServiceHistory", items, [])):
        place = ("ServiceHistory", index)
        former = members(item, place, _HISTORY)
        history.append(
            StatusChange(
                _status(former["ServiceStatus"], etsi.HISTORIC, (*place, "ServiceStatus")),
                instant(former["StatusStartingTime"], (*place, "StatusStartingTime")),
                former["ServiceStatus"],
            )
        )
    return status, since, entries.check_history(since, history, ("ServiceHistory",))


def _status(value: object, known: Mapping[str, Status], place: Place) -> Status:
    found = known.get(value) if isinstance(value, str) else None
    if found is None:
        raise EntryError(place, f"{str(value)[:200]!r} is no status that is known here")
    return found


# --- writing


def write(entry: Entry, *, territory: str) -> dict[str, Any]:
    """Write a member as a trusted entity with one service, as the specification's schema has it."""
    entity = entry.entity
    (role,) = entity.roles
    called = [{"lang": language, "value": name} for language, name in entity.names.items()]
    about: dict[str, Any] = {"TEName": called}
    if entity.municipality is not None:
        about["TETradeName"] = [{"lang": "en", "value": etsi.municipality_identifier(entity.municipality)}]
    page = entry.information or uri_of(entity.entity_id)
    about["TEAddress"] = {
        "TEPostalAddress": postal_addresses(entry.postal_address, territory),
        "TEElectronicAddress": [{"lang": "en", "uriValue": entry.contact or page}],
    }
    about["TEInformationURI"] = [{"lang": "en", "uriValue": page}]
    identity: dict[str, Any] = {"OtherIds": [entity.entity_id]}
    if entity.signing_certificates:
        identity["X509Certificates"] = [certificate_value(der) for der in entity.signing_certificates]
    if role in KEY_ROLES and "jwks" in entity.metadata:
        identity["PublicKeyValues"] = list(entity.metadata["jwks"]["keys"])
    information: dict[str, Any] = {
        "ServiceTypeIdentifier": entity.service_type or etsi.service_type(role),
        "ServiceName": called,
        "ServiceDigitalIdentity": identity,
        "ServiceStatus": etsi.status_name(entity.status),
    }
    if entity.status_since is not None:
        information["StatusStartingTime"] = format_instant(entity.status_since)
    if entity.endpoints:
        information["ServiceSupplyPoints"] = [{"uriValue": each.location} for each in entity.endpoints]
    if said := _extensions(entity, role):
        information["ServiceInformationExtensions"] = said
    service: dict[str, Any] = {"ServiceInformation": information}
    if entity.history:
        service["ServiceHistory"] = [
            {
                "ServiceName": called,
                "ServiceDigitalIdentity": identity,
                "ServiceStatus": former.stated,
                "StatusStartingTime": format_instant(former.since),
            }
            for former in entity.history
        ]
    return {"TrustedEntityInformation": about, "TrustedEntityServices": [service]}


def _extensions(entity: TrustedEntity, role: Role) -> list[dict[str, Any]]:
    """What the specification has no field for. None is critical: the service's type says who can use it at all."""
    found: list[dict[str, Any]] = [
        {INFORMATION: {"lang": "en", "uriValue": name}}
        for name in etsi.information_names(uses=entity.uses, maximum_identity=entity.maximum_identity)
    ]
    if role in OPENID_ROLES:
        found.append({etsi.OPENID_METADATA: dict(entity.metadata)})
    return found


def certificate_value(der: bytes) -> dict[str, str]:
    """Write a certificate as it stands in a digital identity."""
    return {"val": b64encode(der).decode()}


def postal_addresses(stated: Mapping[str, str], territory: str) -> list[dict[str, str]]:
    """Write postal addresses by language; the schema wants one, so that one that is not known says so."""
    return [
        {"lang": language, "StreetAddress": address, "Country": territory}
        for language, address in (stated or {"en": "not stated"}).items()
    ]


def uri_of(entity_id: str) -> str:
    """Make a URI of an entity ID that is none."""
    return entity_id if _URI.fullmatch(entity_id) else f"{etsi.PREFIX}entity:{quote(entity_id, safe='')}"
