"""Writing an ETSI TS 119 612 list: what an authority says of itself, and its members, in the schema's order.

Every text is in English too (§5.1.4). A member is one provider with one service, named by its entity ID in
`DigitalId/Other`. What the schema demands and nobody stated is said to be not stated.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from lxml import etree

from trust_lists import certificates, entries, etsi, rules
from trust_lists.entries import SAML_ADVICE, SAML_ROLES, Entry
from trust_lists.etsi_xml_services import LANGUAGE, OPENID_METADATA, TSL
from trust_lists.model import Pointer, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.scheme import Scheme
from trust_lists.times import format_instant
from trust_lists.xmlgate import Element

TAG = "http://uri.etsi.org/19612/TSLTag"
LIST_NAME = f"{etsi.PREFIX}list:"

_LIST = "http://uri.etsi.org/TrstSvc/TrustedList/"
_ADDITIONAL = "http://uri.etsi.org/02231/v2/additionaltypes#"
_MEDIA_TYPE = "application/vnd.etsi.tsl+xml"
_VERSION = "6"
_FOR_EVER = "65535"
"""History is never removed (§5.3.12)."""

_NOT_STATED = "not stated"
_IN_STREET = "see street address"
_NAMESPACES: Any = {None: TSL, "tslx": _ADDITIONAL, "k": etsi.OPENID_METADATA}


def document(
    providers: Sequence[Element],
    *,
    name: str,
    scheme: Scheme,
    pointers: Sequence[Pointer],
    issued_at: datetime,
    valid_until: datetime,
    sequence: int,
) -> bytes:
    """Write a list of these providers, unsigned. Raises `EntryError` for what the scheme says."""
    root = etree.Element(_tag("TrustServiceStatusList"), {"TSLTag": TAG, "Id": "list"}, nsmap=_NAMESPACES)
    stated = _child(root, "SchemeInformation")
    of_lists = "listofthelists" if pointers and not providers else "list"
    own = f"{LIST_NAME}{name}"
    page = own if scheme.information is None else scheme.information
    operator = _in_english(scheme.operator or {"en": name}, ("operator", "name"))
    _child(stated, "TSLVersionIdentifier", _VERSION)
    _child(stated, "TSLSequenceNumber", str(sequence))
    _child(stated, "TSLType", f"{_LIST}TSLType/{scheme.territory}{of_lists}")
    _names(stated, "SchemeOperatorName", operator)
    _address(stated, "SchemeOperatorAddress", scheme.postal_address, scheme.contact or page, scheme.territory)
    _names(stated, "SchemeName", {"en": f"{scheme.territory}:{name}"})
    _uris(stated, "SchemeInformationURI", dict.fromkeys((page, own)))
    _child(stated, "StatusDeterminationApproach", f"{_LIST}StatusDetn/{scheme.territory}determination")
    _uris(stated, "SchemeTypeCommunityRules", (f"{_LIST}schemerules/{scheme.territory}",))
    _child(stated, "SchemeTerritory", scheme.territory)
    _uri(_child(stated, "PolicyOrLegalNotice"), "TSLPolicy", page)
    _child(stated, "HistoricalInformationPeriod", _FOR_EVER)
    if pointers:
        others = _child(stated, "PointersToOtherTSL")
        for pointer in pointers:
            _pointer(others, pointer)
    _child(stated, "ListIssueDateTime", format_instant(issued_at))
    _child(_child(stated, "NextUpdate"), "dateTime", format_instant(valid_until))
    if scheme.distribution:
        points = _child(stated, "DistributionPoints")
        for point in scheme.distribution:
            _child(points, "URI", point)
    if providers:
        _child(root, "TrustServiceProviderList").extend(providers)
    return etree.tostring(root, encoding="utf-8")


def provider(entry: Entry, scheme: Scheme, *, name: str) -> Element:
    """Write a member of the list of that name. Raises `EntryError` for what such a list cannot say of it."""
    entity = entry.entity
    (role,) = entity.roles
    if role in SAML_ROLES:
        raise EntryError(("role",), SAML_ADVICE)
    called = _in_english(entity.names, ("name",))
    page = entry.information or scheme.information or f"{LIST_NAME}{name}"
    found = etree.Element(_tag("TrustServiceProvider"), nsmap=_NAMESPACES)
    about = _child(found, "TSPInformation")
    _names(about, "TSPName", called)
    if entity.municipality is not None:
        _names(about, "TSPTradeName", {"en": etsi.municipality_identifier(entity.municipality)})
    _address(about, "TSPAddress", entry.postal_address, entry.contact or page, scheme.territory)
    _uris(about, "TSPInformationURI", (page,))
    service = _child(_child(found, "TSPServices"), "TSPService")
    stated = _child(service, "ServiceInformation")
    _status(stated, entity, etsi.status_name(entity.status), _since(entity), certified=True)
    if entity.endpoints:
        points = _child(stated, "ServiceSupplyPoints")
        for endpoint in entity.endpoints:
            _child(
                points, "ServiceSupplyPoint", endpoint.location, {"type": endpoint.binding} if endpoint.binding else {}
            )
    _extensions(stated, entity)
    if entity.history:
        history = _child(service, "ServiceHistory")
        for former in entity.history:
            instance = _child(history, "ServiceHistoryInstance")
            uri = former.stated or etsi.status_name(former.status)
            _status(instance, entity, uri, former.since, certified=False)
    return found


def _since(entity: TrustedEntity) -> datetime:
    if entity.status_since is None:
        raise EntryError(("since",), "is missing; such a list says of each status since when it holds (§5.5.5)")
    return entity.status_since


def _in_english(names: Mapping[str, str], place: Place) -> Mapping[str, str]:
    if "en" not in names:
        raise EntryError((*place, "en"), "is missing; such a list has every name in English too (§5.1.4)")
    return rules.names(dict(names), place)


def _status(parent: Element, entity: TrustedEntity, uri: str, since: datetime, *, certified: bool) -> None:
    """Write what a service and its former statuses have in common; formerly a key is named, not certified (§5.6.3)."""
    (role,) = entity.roles
    _child(parent, "ServiceTypeIdentifier", entity.service_type or etsi.service_type(role))
    _names(parent, "ServiceName", entity.names)
    if role in entries.KEY_ROLES and entity.metadata:
        raise EntryError(("jwks",), "keys by value stand on etsi-119602 lists only; give certificates here")
    identity = _child(parent, "ServiceDigitalIdentity")
    for der in entity.signing_certificates:
        if certified:
            _child(_child(identity, "DigitalId"), "X509Certificate", b64encode(der).decode())
        else:
            identifier = _key_identifier(der)
            _child(_child(identity, "DigitalId"), "X509SKI", b64encode(identifier).decode())
    _child(_child(identity, "DigitalId"), "Other", entity.entity_id)
    _child(parent, "ServiceStatus", uri)
    _child(parent, "StatusStartingTime", format_instant(since))


def _key_identifier(der: bytes) -> bytes:
    """Name a certificate's key (RFC 5280 §4.2.1.2, the first method)."""
    try:
        return x509.SubjectKeyIdentifier.from_public_key(certificates.public_key(der)).digest
    except ValueError as error:
        raise EntryError(("certificates",), str(error)) from error


def _extensions(parent: Element, entity: TrustedEntity) -> None:
    """Write what the specification has no field for. None is critical: the service's type says who can use it."""
    (role,) = entity.roles
    said = etsi.information_names(uses=entity.uses, maximum_identity=entity.maximum_identity)
    said = (*said, *(name for name in entity.information if name not in said))
    if not said and role not in entries.OPENID_ROLES:
        return
    listed = _child(parent, "ServiceInformationExtensions")
    for name in said:
        _uri(
            _child(_child(listed, "Extension", None, {"Critical": "false"}), "AdditionalServiceInformation"),
            "URI",
            name,
        )
    if role in entries.OPENID_ROLES:
        holder = _child(listed, "Extension", None, {"Critical": "false"})
        etree.SubElement(holder, OPENID_METADATA).text = json.dumps(
            dict(entity.metadata), ensure_ascii=False, separators=(",", ":")
        )


def _pointer(parent: Element, pointer: Pointer) -> None:
    stated = _child(parent, "OtherTSLPointer")
    if pointer.certificates:
        identities = _child(stated, "ServiceDigitalIdentities")
        for der in pointer.certificates:
            identity = _child(_child(identities, "ServiceDigitalIdentity"), "DigitalId")
            _child(identity, "X509Certificate", b64encode(der).decode())
    _child(stated, "TSLLocation", rules.web_address(pointer.location, ("pointers", "location")))
    about = _child(stated, "AdditionalInformation")
    for name, value in (("TSLType", pointer.kind), ("SchemeTerritory", pointer.territory)):
        if value is not None:
            _child(_child(about, "OtherInformation"), name, value)
    holder = _child(about, "OtherInformation")
    etree.SubElement(holder, f"{{{_ADDITIONAL}}}MimeType").text = pointer.media_type or _MEDIA_TYPE


# --- pieces


def _tag(name: str) -> str:
    return f"{{{TSL}}}{name}"


def _child(parent: Element, name: str, text: str | None = None, attributes: Mapping[str, str] | None = None) -> Element:
    found = etree.SubElement(parent, _tag(name), dict(attributes or {}))
    if text is not None:
        try:
            found.text = text
        except ValueError as error:
            raise EntryError((name,), "characters that XML cannot express") from error
    return found


def _names(parent: Element, name: str, names: Mapping[str, str]) -> None:
    holder = _child(parent, name)
    for language, value in names.items():
        _child(holder, "Name", value, {LANGUAGE: language})


def _uri(parent: Element, name: str, uri: str) -> None:
    _child(parent, name, uri, {LANGUAGE: "en"})


def _uris(parent: Element, name: str, uris: Iterable[str]) -> None:
    holder = _child(parent, name)
    for uri in uris:
        _uri(holder, "URI", uri)


def _address(parent: Element, name: str, postal: Mapping[str, str], electronic: str, territory: str) -> None:
    holder = _child(parent, name)
    addresses = _child(holder, "PostalAddresses")
    for language, street in ({"en": _NOT_STATED} | dict(postal)).items():
        address = _child(addresses, "PostalAddress", None, {LANGUAGE: language})
        _child(address, "StreetAddress", street)
        _child(address, "Locality", _NOT_STATED if street == _NOT_STATED else _IN_STREET)
        _child(address, "CountryName", territory)
    _uri(_child(holder, "ElectronicAddress"), "URI", electronic)
