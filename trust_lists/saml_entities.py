"""One `md:EntityDescriptor` of verified metadata as `TrustedEntity` values, or the rule that it breaks.

An entity with two roles becomes two values, so that a key of one role is never good for the other (SAML
Metadata §2.4.1). Every rule here makes the entity's word stricter or drops the entity; none is skipped
because a value is odd.
"""

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import cast

from trust_lists import certificates, etsi, rules
from trust_lists.model import Endpoint, Role, Status, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.times import format_instant, parse_instant
from trust_lists.xmlgate import DS, SAML, Element

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
MDRPI = "urn:oasis:names:tc:SAML:metadata:rpi"
MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
SHIBMD = "urn:mace:shibboleth:metadata:1.0"
SAML_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

ATTRIBUTE_PREFIX = etsi.PREFIX
"""Entity attributes under this prefix are the authority's word; one that is not known here drops the
entity."""

MUNICIPALITY = ATTRIBUTE_PREFIX + "municipality"
INFORMATION = ATTRIBUTE_PREFIX + "information"
"""Uses and the highest identity assurance, by the same URIs as in the ETSI formats: one value for each."""

STATUS = ATTRIBUTE_PREFIX + "status"
"""The URI of a status (TS 119 612 §5.5.4); an entity without it is granted."""

STATUS_SINCE = ATTRIBUTE_PREFIX + "status-since"
"""When that status began, an xs:dateTime."""

ASSURANCE_CERTIFICATION = "urn:oasis:names:tc:SAML:attribute:assurance-certification"
"""URIs of frameworks that the entity was certified to keep (SAML Identity Assurance Profiles §2.1)."""

SUBJECT_ID = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
"""The entity attribute that says which subject identifier a service provider requires (SAML Subject Identifier
Attributes §2.4)."""

SCOPE = f"{{{SHIBMD}}}Scope"
EXTENSIONS = f"{{{MD}}}Extensions"
ENTITY_ATTRIBUTES = f"{{{MDATTR}}}EntityAttributes"
ATTRIBUTE = f"{{{SAML}}}Attribute"
ATTRIBUTE_VALUE = f"{{{SAML}}}AttributeValue"

IDENTITY_PROVIDER = f"{{{MD}}}IDPSSODescriptor"

_REGISTRATION = f"{{{MDRPI}}}RegistrationInfo"
_ORGANIZATION = f"{{{MD}}}Organization"
_ORGANIZATION_NAME = f"{{{MD}}}OrganizationDisplayName"
_UI_INFO = f"{{{MDUI}}}UIInfo"
_DISPLAY_NAME = f"{{{MDUI}}}DisplayName"
_KEY_DESCRIPTOR = f"{{{MD}}}KeyDescriptor"
_ENCRYPTION_METHOD = f"{{{MD}}}EncryptionMethod"
_KEY_INFO = f"{{{DS}}}KeyInfo"
_X509_DATA = f"{{{DS}}}X509Data"
_X509_CERTIFICATE = f"{{{DS}}}X509Certificate"

_INDEX = re.compile(r"[0-9]{1,5}", re.ASCII)
_MAXIMUM_INDEX = 65535
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_SUBJECT_IDS = frozenset({"subject-id", "pairwise-id", "none", "any"})

_ByTag = Mapping[str, Sequence[Element]]
"""An element's children by their tags: each child is looked at once, which decides how long a large list takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of endpoint, by its element's local name."""

    name: str
    tag: str
    indexed: bool = False
    answered_elsewhere: bool = False
    """`ResponseLocation` may say where responses go (SAML Metadata §2.2.2, §2.4.3)."""


_SINGLE_SIGN_ON = _Kind(name="SingleSignOnService", tag=f"{{{MD}}}SingleSignOnService")
_ASSERTION_CONSUMER = _Kind(name="AssertionConsumerService", tag=f"{{{MD}}}AssertionConsumerService", indexed=True)
_SINGLE_LOGOUT = _Kind(name="SingleLogoutService", tag=f"{{{MD}}}SingleLogoutService", answered_elsewhere=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleRules:
    """What a role's descriptor must and may hold (SAML Metadata §2.4.3, §2.4.4)."""

    role: Role
    tag: str
    roles: frozenset[Role]
    kinds: tuple[_Kind, ...]
    """The first kind is required."""
    signs_requests: str
    wants_assertions: str | None
    always_signs: bool


_IDENTITY_PROVIDER = _RoleRules(
    role=Role.SAML_IDENTITY_PROVIDER,
    tag=IDENTITY_PROVIDER,
    roles=frozenset({Role.SAML_IDENTITY_PROVIDER}),
    kinds=(_SINGLE_SIGN_ON, _SINGLE_LOGOUT),
    signs_requests="WantAuthnRequestsSigned",
    wants_assertions=None,
    always_signs=True,
)
_SERVICE_PROVIDER = _RoleRules(
    role=Role.SAML_SERVICE_PROVIDER,
    tag=f"{{{MD}}}SPSSODescriptor",
    roles=frozenset({Role.SAML_SERVICE_PROVIDER}),
    kinds=(_ASSERTION_CONSUMER, _SINGLE_LOGOUT),
    signs_requests="AuthnRequestsSigned",
    wants_assertions="WantAssertionsSigned",
    always_signs=False,
)


def read_entity(entity: Element, *, listed_in: str, valid_until: datetime, now: datetime) -> tuple[TrustedEntity, ...]:
    """Read the entity in each of its SAML 2.0 roles. Raises `EntryError` at the first rule it breaks.

    `valid_until` is the list's end; an earlier `validUntil` of the entity or of a role shortens it.
    `wants_signed_requests` is the identity provider's `WantAuthnRequestsSigned` or the service provider's own
    `AuthnRequestsSigned`. Scopes are those of an identity provider's role and of its entity.
    """
    entity_id = rules.entity_id(entity.get("entityID"), ("entityID",))
    until = earlier_end(entity, valid_until, now)
    children = _by_tag(entity)
    stated = _extensions(children)
    organization = _texts(children.get(_ORGANIZATION, ()), _ORGANIZATION_NAME, ("Organization",))
    found: list[TrustedEntity] = []
    for role_rules in (_IDENTITY_PROVIDER, _SERVICE_PROVIDER):
        descriptors = [
            descriptor
            for descriptor in children.get(role_rules.tag, ())
            if SAML_PROTOCOL in descriptor.get("protocolSupportEnumeration", "").split()
        ]
        if not descriptors:
            continue
        place: Place = (role_rules.tag.rpartition("}")[2],)
        if len(descriptors) > 1:
            raise EntryError(place, "occurs twice; one is expected")
        descriptor = descriptors[0]
        parts = _by_tag(descriptor)
        keys = _keys(parts, place)
        signs_requests = _boolean(descriptor, role_rules.signs_requests, place)
        if not keys.signing and (role_rules.always_signs or signs_requests):
            raise EntryError((*place, "KeyDescriptor"), "it signs, but no signing certificate is listed")
        wants = role_rules.wants_assertions
        interfaces = [info for extensions in parts.get(EXTENSIONS, ()) for info in _children(extensions, _UI_INFO)]
        is_provider = role_rules is _IDENTITY_PROVIDER
        found.append(
            TrustedEntity(
                entity_id=entity_id,
                roles=role_rules.roles,
                listed_in=listed_in,
                valid_until=earlier_end(descriptor, until, now),
                municipality=stated.municipality,
                names=_texts(interfaces, _DISPLAY_NAME, (*place, "DisplayName")) or organization,
                signing_certificates=tuple(keys.signing),
                encryption_certificates=tuple(keys.encryption),
                endpoints=_endpoints(parts, role_rules, place),
                wants_signed_requests=signs_requests,
                wants_signed_assertions=wants is not None and _boolean(descriptor, wants, place),
                encryption_methods=tuple(keys.methods),
                scopes=_scopes((*children.get(EXTENSIONS, ()), *parts.get(EXTENSIONS, ()))) if is_provider else (),
                subject_id=None if is_provider else stated.subject_id,
                maximum_identity=stated.maximum_identity,
                status=stated.status,
                status_since=stated.status_since,
                uses=stated.uses,
                information=stated.information,
                registered_by=stated.registered_by,
            )
        )
    if not found:
        raise EntryError((), "no SAML 2.0 identity provider or service provider role")
    return tuple(found)


def _by_tag(element: Element) -> _ByTag:
    found: dict[str, list[Element]] = {}
    for child in element:
        tag = child.tag
        if tag in found:
            found[tag].append(child)
        else:
            found[tag] = [child]
    return found


def _children(element: Element, tag: str) -> list[Element]:
    """Answer the children of that name; for the few children that elements here have, quicker than `iterchildren`."""
    return [child for child in element if child.tag == tag]


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


def _texts(parents: Iterable[Element], tag: str, place: Place) -> dict[str, str]:
    return {
        _language(found.get(XML_LANGUAGE), place): rules.display_name(" ".join(text_of(found, place).split()), place)
        for parent in parents
        for found in _children(parent, tag)
    }


@lru_cache(maxsize=256)
def _language(value: str | None, place: Place) -> str:
    """Check a language: thousands of entities share a few, each of which is checked and kept once."""
    return rules.language(value, place)


def _boolean(attributes: Element | Mapping[str, str], name: str, place: Place) -> bool:
    stated = attributes.get(name)
    if stated is None:
        return False
    if stated not in _BOOLEANS:
        raise EntryError((*place, name), f"{stated[:20]!r} is not true or false")
    return _BOOLEANS[stated]


# --- what the extensions say


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """What the entity's extensions say: its entity attributes, and who registered it (MDRPI §2.1)."""

    municipality: str | None = None
    subject_id: str | None = None
    uses: frozenset[str] | None = None
    maximum_identity: int | None = None
    status: Status = Status.GRANTED
    status_since: datetime | None = None
    information: tuple[str, ...] = ()
    registered_by: str | None = None


_READ = frozenset({MUNICIPALITY, INFORMATION, STATUS, STATUS_SINCE, SUBJECT_ID, ASSURANCE_CERTIFICATION})


def _extensions(children: _ByTag) -> _Stated:
    values: dict[str, list[Element]] = {}
    registrations: list[Element] = []
    for extensions in children.get(EXTENSIONS, ()):
        for extension in extensions:
            if extension.tag == ENTITY_ATTRIBUTES:
                for attribute in _children(extension, ATTRIBUTE):
                    name = attribute.get("Name", "")
                    if name in _READ or name.lower().startswith(ATTRIBUTE_PREFIX):
                        values.setdefault(name, []).extend(attribute)
            elif extension.tag == _REGISTRATION:
                registrations.append(extension)
    if len(registrations) > 1:
        raise EntryError(("RegistrationInfo",), "occurs twice; one is expected")
    registered_by = None
    for registration in registrations:
        registered_by = _known(registration.get("registrationAuthority"), ("RegistrationInfo", "registrationAuthority"))
    if not values:
        return _NOTHING_STATED if registered_by is None else _only_registered(registered_by)
    return _attributes(values, registered_by)


_NOTHING_STATED = _Stated()


@lru_cache(maxsize=256)
def _only_registered(registered_by: str) -> _Stated:
    return _Stated(registered_by=registered_by)


def _attributes(values: Mapping[str, Sequence[Element]], registered_by: str | None) -> _Stated:
    """Read the entity attributes (SAML Metadata Extension for Entity Attributes)."""
    for name in values:
        if name not in _READ:
            raise EntryError((name,), "an unknown entity attribute")
    code, required = _one_value(values, MUNICIPALITY), _one_value(values, SUBJECT_ID)
    if required is not None and required not in _SUBJECT_IDS:
        raise EntryError((SUBJECT_ID,), f"{required[:20]!r} is none of {', '.join(sorted(_SUBJECT_IDS))}")
    information = etsi.read_information(_values(values, INFORMATION), (INFORMATION,))
    if information.others:
        raise EntryError((INFORMATION,), f"{information.others[0][:100]} is not a use and not a level")
    return _Stated(
        municipality=None if code is None else rules.municipality(code, (MUNICIPALITY,)),
        subject_id=required,
        uses=information.uses,
        maximum_identity=information.maximum_identity,
        status=_status(_one_value(values, STATUS)),
        status_since=_since(_one_value(values, STATUS_SINCE)),
        information=tuple(
            dict.fromkeys(
                _known(value, (ASSURANCE_CERTIFICATION,)) for value in _values(values, ASSURANCE_CERTIFICATION)
            )
        ),
        registered_by=registered_by,
    )


def _status(stated: str | None) -> Status:
    if stated is None:
        return Status.GRANTED
    if stated not in etsi.STATUSES:
        raise EntryError((STATUS,), f"{stated[:100]} is not a status such as {etsi.status_name(Status.WITHDRAWN)}")
    return etsi.STATUSES[stated]


def _since(stated: str | None) -> datetime | None:
    if stated is None:
        return None
    try:
        return parse_instant(stated)
    except ValueError as error:
        raise EntryError((STATUS_SINCE,), str(error)) from error


def _values(values: Mapping[str, Sequence[Element]], name: str) -> list[str]:
    found = values.get(name, ())
    if any(value.tag != ATTRIBUTE_VALUE for value in found) or (name in values and not found):
        raise EntryError((name,), "values are expected")
    return [text_of(value, (name,)) for value in found]


def _one_value(values: Mapping[str, Sequence[Element]], name: str) -> str | None:
    if name not in values:
        return None
    if len(values[name]) != 1 or values[name][0].tag != ATTRIBUTE_VALUE:
        raise EntryError((name,), "exactly one value is expected")
    return text_of(values[name][0], (name,))


def _scopes(parents: Iterable[Element]) -> tuple[str, ...]:
    """Read the scopes in `md:Extensions` elements; one that is a regular expression gives nothing."""
    return tuple(
        dict.fromkeys(
            rules.scope(text_of(scope, ("Scope",)), ("Scope",))
            for parent in parents
            for scope in _children(parent, SCOPE)
            if not _boolean(scope, "regexp", ("Scope",))
        )
    )


# --- keys and addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Certificates and the encryption keys' algorithms; dicts because each counts once, in the list's order."""

    signing: dict[bytes, None]
    encryption: dict[bytes, None]
    methods: dict[str, None]


def _keys(parts: _ByTag, place: Place) -> _Keys:
    """Read the keys; one of no stated use is for signing and encryption (SAML Metadata §2.4.1.1)."""
    found = _Keys(signing={}, encryption={}, methods={})
    for index, key in enumerate(parts.get(_KEY_DESCRIPTOR, ())):
        here = (*place, "KeyDescriptor", index)
        use = key.get("use")
        if use not in (None, "signing", "encryption"):
            raise EntryError((*here, "use"), "signing or encryption is expected")
        parts_of_key = _by_tag(key)
        certificate = _certificate(parts_of_key, here)
        if use != "encryption":
            found.signing[certificate] = None
        if use != "signing":
            found.encryption[certificate] = None
            for method in parts_of_key.get(_ENCRYPTION_METHOD, ()):
                found.methods[_known(method.get("Algorithm"), (*here, "EncryptionMethod"))] = None
    return found


def _certificate(key: _ByTag, place: Place) -> bytes:
    """Read the one certificate of a key: of several, which one is meant would be a guess."""
    found = [
        certificate
        for info in key.get(_KEY_INFO, ())
        for data in _children(info, _X509_DATA)
        for certificate in _children(data, _X509_CERTIFICATE)
    ]
    if len(found) != 1:
        raise EntryError(place, f"exactly one X509Certificate is expected, {len(found)} found")
    try:
        der = binascii.a2b_base64("".join(text_of(found[0], place).split()), strict_mode=True)
        certificates.public_key(der)
    except (binascii.Error, ValueError) as error:
        raise EntryError((*place, "X509Certificate"), str(error)) from error
    return der


def _endpoints(parts: _ByTag, role_rules: _RoleRules, place: Place) -> tuple[Endpoint, ...]:
    found: list[Endpoint] = []
    for kind in role_rules.kinds:
        indexes: set[int] = set()
        for element in parts.get(kind.tag, ()):
            try:
                endpoint = _endpoint(kind, role_rules.role, cast("dict[str, str]", dict(element.items())))
                if endpoint.index in indexes:
                    raise EntryError(("index",), f"{endpoint.index} occurs twice")  # noqa: TRY301 - one way out for all
            except EntryError as error:
                raise EntryError((*place, kind.name, *error.place), error.reason) from error
            if endpoint.index is not None:
                indexes.add(endpoint.index)
            found.append(endpoint)
        if not found:
            raise EntryError((*place, kind.name), "is missing")
    return tuple(found)


def _endpoint(kind: _Kind, role: Role, stated: Mapping[str, str]) -> Endpoint:
    """Read an endpoint from its attributes: one dictionary, as most of a large list is endpoints."""
    elsewhere = stated.get("ResponseLocation") if kind.answered_elsewhere else None
    return Endpoint(
        role,
        kind.name,
        _known(stated.get("Binding"), ("Binding",)),
        rules.web_address(stated.get("Location"), ("Location",)),
        _index(stated.get("index", "")) if kind.indexed else None,
        _boolean(stated, "isDefault", ()),
        None if elsewhere is None else rules.web_address(elsewhere, ("ResponseLocation",)),
    )


def _known(value: str | None, place: Place) -> str:
    """Check a binding or an algorithm: thousands of entities share a few, each of which is checked and kept once."""
    try:
        return _identifier(value)
    except EntryError as error:
        raise EntryError(place, error.reason) from error


@lru_cache(maxsize=256)
def _identifier(value: str | None) -> str:
    return rules.entity_id(value, ())


def _index(stated: str) -> int:
    if not _INDEX.fullmatch(stated) or int(stated) > _MAXIMUM_INDEX:
        raise EntryError(("index",), "a number from 0 to 65535 is expected")
    return int(stated)
