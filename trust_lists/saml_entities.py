"""One `md:EntityDescriptor` of verified metadata as `TrustedEntity` values, or the rule that it breaks.

An entity with two roles becomes two values, so that a key of one role is never good for the other (SAML
Metadata §2.4.1). Every rule here makes the entity's word stricter or drops the entity; none is skipped
because a value is odd.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trust_lists import certificates, rules
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.times import format_instant, parse_instant
from trust_lists.xmlgate import DS, SAML, Element

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
MDRPI = "urn:oasis:names:tc:SAML:metadata:rpi"
MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
SAML_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

ATTRIBUTE_PREFIX = "urn:kakehashi:"
"""Entity attributes under this prefix are the authority's word; one that is not known here drops the
entity."""

MUNICIPALITY = ATTRIBUTE_PREFIX + "municipality"

_INDEX = re.compile(r"[0-9]{1,5}", re.ASCII)
_MAXIMUM_INDEX = 65535
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleRules:
    """What a role's descriptor must and may hold (SAML Metadata §2.4.3, §2.4.4)."""

    role: Role
    required_kind: str
    kinds: tuple[str, ...]
    indexed: frozenset[str]
    signs_requests: str
    wants_assertions: str | None
    always_signs: bool


_ROLES: Mapping[str, _RoleRules] = {
    f"{{{MD}}}IDPSSODescriptor": _RoleRules(
        role=Role.SAML_IDENTITY_PROVIDER,
        required_kind="SingleSignOnService",
        kinds=("SingleSignOnService", "SingleLogoutService"),
        indexed=frozenset(),
        signs_requests="WantAuthnRequestsSigned",
        wants_assertions=None,
        always_signs=True,
    ),
    f"{{{MD}}}SPSSODescriptor": _RoleRules(
        role=Role.SAML_SERVICE_PROVIDER,
        required_kind="AssertionConsumerService",
        kinds=("AssertionConsumerService", "SingleLogoutService"),
        indexed=frozenset({"AssertionConsumerService"}),
        signs_requests="AuthnRequestsSigned",
        wants_assertions="WantAssertionsSigned",
        always_signs=False,
    ),
}


def read_entity(entity: Element, *, listed_in: str, valid_until: datetime, now: datetime) -> tuple[TrustedEntity, ...]:
    """Read the entity in each of its SAML 2.0 roles. Raises `EntryError` at the first rule it breaks.

    `valid_until` is the list's end; an earlier `validUntil` of the entity or of a role shortens it.
    `wants_signed_requests` is the identity provider's `WantAuthnRequestsSigned` or the service provider's own
    `AuthnRequestsSigned`.
    """
    entity_id = rules.entity_id(entity.get("entityID"), ("entityID",))
    until = earlier_end(entity, valid_until, now)
    municipality = _municipality(entity)
    organization = _texts(entity, f"{{{MD}}}Organization/{{{MD}}}OrganizationDisplayName", ("Organization",))
    found: dict[Role, TrustedEntity] = {}
    for tag, role_rules in _ROLES.items():
        for descriptor in entity.iterchildren(tag):
            if SAML_PROTOCOL not in descriptor.get("protocolSupportEnumeration", "").split():
                continue
            place: Place = (tag.rpartition("}")[2],)
            if role_rules.role in found:
                raise EntryError(place, "occurs twice; one is expected")
            signing, encryption = _keys(descriptor, place)
            signs_requests = _boolean(descriptor, role_rules.signs_requests, place)
            if not signing and (role_rules.always_signs or signs_requests):
                raise EntryError((*place, "KeyDescriptor"), "it signs, but no signing certificate is listed")
            wants = role_rules.wants_assertions
            found[role_rules.role] = TrustedEntity(
                entity_id=entity_id,
                roles=frozenset({role_rules.role}),
                listed_in=listed_in,
                valid_until=earlier_end(descriptor, until, now),
                municipality=municipality,
                names=_texts(
                    descriptor,
                    f"{{{MD}}}Extensions/{{{MDUI}}}UIInfo/{{{MDUI}}}DisplayName",
                    (*place, "DisplayName"),
                )
                or organization,
                signing_certificates=signing,
                encryption_certificates=encryption,
                endpoints=_endpoints(descriptor, role_rules, place),
                wants_signed_requests=signs_requests,
                wants_signed_assertions=wants is not None and _boolean(descriptor, wants, place),
            )
    if not found:
        raise EntryError((), "no SAML 2.0 identity provider or service provider role")
    return tuple(found.values())


def earlier_end(element: Element, valid_until: datetime, now: datetime) -> datetime:
    """Answer the earlier of `valid_until` and the element's `validUntil`. Raises `EntryError` if past."""
    stated = element.get("validUntil")
    if stated is None:
        return valid_until
    try:
        until = min(parse_instant(stated), valid_until)
    except ValueError as error:
        raise EntryError(("validUntil",), str(error)) from error
    if now >= until:
        raise EntryError(("validUntil",), f"it was valid until {format_instant(until)}")
    return until


def text_of(element: Element, place: Place) -> str:
    """Answer the element's text without outer white space. Raises `EntryError` if it has child elements."""
    if len(element):
        raise EntryError(place, "a text is expected, not elements")
    return (element.text or "").strip()


def _texts(element: Element, path: str, place: Place) -> dict[str, str]:
    return {
        rules.language(found.get(XML_LANGUAGE), place): rules.display_name(
            " ".join(text_of(found, place).split()), place
        )
        for found in element.iterfind(path)
    }


def _boolean(element: Element, name: str, place: Place) -> bool:
    stated = element.get(name, "false")
    if stated not in _BOOLEANS:
        raise EntryError((*place, name), f"{stated[:20]!r} is not true or false")
    return _BOOLEANS[stated]


def _municipality(entity: Element) -> str | None:
    place: Place = (MUNICIPALITY,)
    path = f"{{{MD}}}Extensions/{{{MDATTR}}}EntityAttributes/{{{SAML}}}Attribute"
    ours = [a for a in entity.iterfind(path) if a.get("Name", "").startswith(ATTRIBUTE_PREFIX)]
    for attribute in ours:
        if attribute.get("Name") != MUNICIPALITY:
            raise EntryError((attribute.get("Name", ""),), "an unknown entity attribute")
    values = [value for attribute in ours for value in attribute]
    if not ours:
        return None
    if len(values) != 1 or values[0].tag != f"{{{SAML}}}AttributeValue":
        raise EntryError(place, "exactly one value is expected")
    return rules.municipality(text_of(values[0], place), place)


def _keys(descriptor: Element, place: Place) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Read signing and encryption certificates; a key of no stated use is both (SAML Metadata §2.4.1.1)."""
    signing: dict[bytes, None] = {}
    encryption: dict[bytes, None] = {}
    uses: Mapping[str | None, tuple[dict[bytes, None], ...]] = {
        None: (signing, encryption),
        "signing": (signing,),
        "encryption": (encryption,),
    }
    for index, key in enumerate(descriptor.iterchildren(f"{{{MD}}}KeyDescriptor")):
        here = (*place, "KeyDescriptor", index)
        if key.get("use") not in uses:
            raise EntryError((*here, "use"), "signing or encryption is expected")
        certificate = _certificate(key, here)
        for keys in uses[key.get("use")]:
            keys[certificate] = None
    return tuple(signing), tuple(encryption)


def _certificate(key: Element, place: Place) -> bytes:
    """Read the one certificate of a key: of several, which one is meant would be a guess."""
    found = list(key.iterfind(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate"))
    if len(found) != 1:
        raise EntryError(place, f"exactly one X509Certificate is expected, {len(found)} found")
    try:
        der = base64.b64decode("".join(text_of(found[0], place).split()), validate=True)
        certificates.public_key(der)
    except (binascii.Error, ValueError) as error:
        raise EntryError((*place, "X509Certificate"), str(error)) from error
    return der


def _endpoints(descriptor: Element, role_rules: _RoleRules, place: Place) -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for kind in role_rules.kinds:
        indexes: set[int] = set()
        for element in descriptor.iterchildren(f"{{{MD}}}{kind}"):
            here = (*place, kind)
            index = _index(element, here) if kind in role_rules.indexed else None
            if index in indexes:
                raise EntryError((*here, "index"), f"{index} occurs twice")
            if index is not None:
                indexes.add(index)
            found.append(
                Endpoint(
                    role=role_rules.role,
                    kind=kind,
                    binding=rules.entity_id(element.get("Binding"), (*here, "Binding")),
                    location=rules.web_address(element.get("Location"), (*here, "Location")),
                    index=index,
                    is_default=_boolean(element, "isDefault", here),
                )
            )
    if not any(endpoint.kind == role_rules.required_kind for endpoint in found):
        raise EntryError((*place, role_rules.required_kind), "is missing")
    return tuple(found)


def _index(element: Element, place: Place) -> int:
    stated = element.get("index", "")
    if not _INDEX.fullmatch(stated) or int(stated) > _MAXIMUM_INDEX:
        raise EntryError((*place, "index"), "a number from 0 to 65535 is expected")
    return int(stated)
