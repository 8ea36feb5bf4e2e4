"""The services of an ETSI TS 119 612 list, each read as a `TrustedEntity`.

A service is an entity in one role: `ServiceTypeIdentifier` says which (`trust_lists/etsi.py`). Its entity ID is the
text of the one `DigitalId/Other` that it has, else a name made of its key: what identifies a service is its type and
its key (§5.5.3). Supply points (§5.5.7) that are no https address (of CRLs, say) are passed over.

Of service information extensions two are understood: `AdditionalServiceInformation` (§5.5.9.4) and our own
`urn:kakehashi:extension:openid-metadata`, an element `OpenIDMetadata` in a namespace of that name whose text is JSON.
Any other one that is critical drops the service (annex B), in its history too, and so does an unknown one of ours.
"""

import binascii
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from trust_lists import certificates, entries, etsi, openid_entries, rules, strict_json
from trust_lists.entries import OPENID_ROLES, SAML_ADVICE, SAML_ROLES
from trust_lists.etsi_json_services import key_name
from trust_lists.model import Role, Status, StatusChange, TrustedEntity
from trust_lists.rules import EntryError, Place
from trust_lists.times import parse_instant
from trust_lists.xmlgate import Element

TSL = "http://uri.etsi.org/02231/v2#"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
OPENID_METADATA = f"{{{etsi.OPENID_METADATA}}}OpenIDMetadata"

_MAXIMUM_URI = 2048
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INFORMATION = f"{{{TSL}}}AdditionalServiceInformation"
_KNOWN_EXTENSIONS = frozenset({_INFORMATION, OPENID_METADATA})
_OURS = f"{{{etsi.PREFIX}"


class Fields(NamedTuple):
    """What an element must hold, and what it may hold besides: names of children, each at most once."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


PROVIDER = Fields(("TSPInformation", "TSPServices"))
_ABOUT_PROVIDER = Fields(("TSPName", "TSPAddress", "TSPInformationURI"), ("TSPTradeName", "TSPInformationExtensions"))
_SERVICE = Fields(("ServiceInformation",), ("ServiceHistory",))
_STATED = ("ServiceTypeIdentifier", "ServiceName", "ServiceDigitalIdentity", "ServiceStatus", "StatusStartingTime")
_SERVICE_INFORMATION = Fields(
    _STATED,
    (
        "SchemeServiceDefinitionURI",
        "ServiceSupplyPoints",
        "TSPServiceDefinitionURI",
        "ServiceInformationExtensions",
    ),
)
_HISTORY = Fields(_STATED, ("ServiceInformationExtensions",))
"""As the specification's schema has them (§5.4, §5.5, §5.6); any other child drops the entry."""


# --- shapes, also of the scheme's information


def fields(element: Element, known: Fields, place: Place) -> dict[str, Element]:
    """Sort the children of an element by name: all that are required, none that is unknown or occurs twice."""
    found: dict[str, Element] = {}
    for child in element:
        namespace, _, name = str(child.tag).rpartition("}")
        if namespace != "{" + TSL or (name not in known.required and name not in known.optional):
            raise EntryError(place, f"{str(child.tag)[:100]} is unknown here")
        if name in found:
            raise EntryError((*place, name), "occurs twice")
        found[name] = child
    for name in known.required:
        if name not in found:
            raise EntryError((*place, name), "is missing")
    return found


def items(element: Element | None, name: str, place: Place) -> list[Element]:
    """List the children of an element, if it is there, all of which have one name."""
    found = [] if element is None else list(element)
    for child in found:
        if child.tag != f"{{{TSL}}}{name}":
            raise EntryError(place, f"{str(child.tag)[:100]} is unknown here; {name} is expected")
    return found


def text(element: Element, place: Place) -> str:
    """Answer the text of an element, without outer white space. Raises `EntryError` if it holds elements."""
    if len(element):
        raise EntryError(place, "a text is expected, not elements")
    return (element.text or "").strip()


def uri(element: Element, place: Place) -> str:
    """Answer a URI, of which nothing is asked but that it is no endless text, and has no spaces."""
    found = text(element, place)
    if not found or len(found) > _MAXIMUM_URI or " " in found or not found.isprintable():
        raise EntryError(place, "a URI is expected")
    return found


def names(element: Element, place: Place) -> dict[str, str]:
    """Read names by language (§5.1.4), of several in one language the first."""
    found: dict[str, str] = {}
    for language, value in _texts(element, place):
        found.setdefault(language, value)
    if not found:
        raise EntryError(place, "a name is expected")
    return found


def _texts(element: Element, place: Place) -> list[tuple[str, str]]:
    return [
        (
            rules.language(stated.get(LANGUAGE), place),
            rules.display_name(" ".join(text(stated, place).split()), place),
        )
        for stated in items(element, "Name", place)
    ]


def instant(element: Element, place: Place) -> datetime:
    """Read a time (§5.1.3)."""
    try:
        return parse_instant(text(element, place))
    except ValueError as error:
        raise EntryError(place, str(error)) from error


def identity_certificates(identity: Element, place: Place) -> tuple[bytes, ...]:
    """Read the certificates of a digital identity (§5.5.3), DER, each once; other ways to name a key are not used."""
    found: dict[bytes, None] = {}
    for stated in identity.iterfind(f"{{{TSL}}}DigitalId/{{{TSL}}}X509Certificate"):
        here = (*place, "X509Certificate")
        try:
            der = binascii.a2b_base64("".join(text(stated, here).split()), strict_mode=True)
            certificates.public_key(der)
        except (binascii.Error, ValueError) as error:
            raise EntryError(here, str(error)) from error
        found[der] = None
    return tuple(found)


class Extension(NamedTuple):
    """One element in an extension, and whether that is critical."""

    content: Element
    critical: bool


def extensions(element: Element | None, place: Place) -> list[Extension]:
    """Read extensions; a critical one that says nothing is as unknown as any."""
    found: list[Extension] = []
    for stated in items(element, "Extension", place):
        critical = _BOOLEANS.get(stated.get("Critical", ""))
        if critical is None:
            raise EntryError(place, "Critical true or false is expected of an extension")
        if critical and not len(stated):
            raise EntryError(place, "a critical extension is empty")
        found.extend(Extension(content, critical) for content in stated)
    return found


def check_known(found: Iterable[Extension], place: Place, known: frozenset[str] = frozenset()) -> None:
    """Refuse unknown extensions that are critical, or ours."""
    for extension in found:
        name = str(extension.content.tag)
        if name not in known and (extension.critical or name.startswith(_OURS)):
            raise EntryError(place, f"{name[:200]} is not understood here, and what is listed hangs on it")


# --- reading


def services(provider: Element) -> Iterator[Element | None]:
    """List the services of a provider; one that has none that can be read stands for itself, so that it is reported."""
    yield from provider.findall(f"{{{TSL}}}TSPServices/{{{TSL}}}TSPService") or (None,)


def read_provider(provider: Element) -> str | None:
    """Read the municipality that a provider is, if any. Raises `EntryError` at the first rule that it breaks."""
    about = fields(fields(provider, PROVIDER, ())["TSPInformation"], _ABOUT_PROVIDER, ("TSPInformation",))
    items(provider.find(f"{{{TSL}}}TSPServices"), "TSPService", ("TSPServices",))
    names(about["TSPName"], ("TSPName",))
    place = ("TSPInformationExtensions",)
    check_known(extensions(about.get(place[0]), place), place)
    trade_names = _texts(about["TSPTradeName"], ("TSPTradeName",)) if "TSPTradeName" in about else []
    return etsi.read_municipality((value for _, value in trade_names), ("TSPTradeName",))


def read_service(service: Element, *, municipality: str | None, listed_in: str, valid_until: datetime) -> TrustedEntity:
    """Read one service of a provider that is that municipality, or none. Raises `EntryError` at the first broken rule.

    The entity lasts as long as the list; `service_type` is the list's URI unless it is one of ours.
    """
    whole = fields(service, _SERVICE, ())
    stated = fields(whole["ServiceInformation"], _SERVICE_INFORMATION, ())
    kind = uri(stated["ServiceTypeIdentifier"], ("ServiceTypeIdentifier",))
    role = _role(kind)
    place: Place = ("ServiceInformationExtensions",)
    found = extensions(stated.get("ServiceInformationExtensions"), place)
    check_known(found, place, _KNOWN_EXTENSIONS)
    keys = _keys(stated["ServiceDigitalIdentity"], role)
    entity_id = _entity_id(stated["ServiceDigitalIdentity"], keys)
    entries.check_needs(role, certificates=bool(keys), municipality=municipality is not None)
    says = etsi.read_information(map(_information, _contents(found, _INFORMATION)), place)
    since = instant(stated["StatusStartingTime"], ("StatusStartingTime",))
    return TrustedEntity(
        entity_id=entity_id,
        roles=frozenset({role}),
        listed_in=listed_in,
        valid_until=valid_until,
        municipality=municipality,
        names=names(stated["ServiceName"], ("ServiceName",)),
        signing_certificates=keys,
        endpoints=tuple(
            entries.supply_point(role, address)._replace(binding=binding)
            for address, binding in _addresses(stated.get("ServiceSupplyPoints"))
        ),
        metadata=_metadata(_contents(found, OPENID_METADATA), role, entity_id),
        maximum_identity=says.maximum_identity,
        status=_status(stated["ServiceStatus"], etsi.STATUSES),
        status_since=since,
        history=_history(whole.get("ServiceHistory"), role, since),
        uses=says.uses,
        service_type=None if kind.startswith(etsi.PREFIX) else kind,
        information=says.others,
    )


def claim(service: Element | None) -> tuple[str, Role | None]:
    """Look up entity ID and role as a service states them, whatever else it says; empty where it states none."""
    information = None if service is None else service.find(f"{{{TSL}}}ServiceInformation")
    identity = None if information is None else information.find(f"{{{TSL}}}ServiceDigitalIdentity")
    if information is None or identity is None:
        return "", None
    role = etsi.SERVICE_TYPES.get(information.findtext(f"{{{TSL}}}ServiceTypeIdentifier", "").strip())
    try:
        return _entity_id(identity, identity_certificates(identity, ())), role
    except EntryError:
        return "", role


def _role(kind: str) -> Role:
    role = etsi.SERVICE_TYPES.get(kind)
    if role is None:
        raise EntryError(("ServiceTypeIdentifier",), f"{kind[:200]} is no type of service that is used here")
    if role in SAML_ROLES:
        raise EntryError(("ServiceTypeIdentifier",), SAML_ADVICE)
    return role


def _keys(identity: Element, role: Role) -> tuple[bytes, ...]:
    place = ("ServiceDigitalIdentity",)
    items(identity, "DigitalId", place)
    keys = identity_certificates(identity, place)
    if keys and role in OPENID_ROLES:
        raise EntryError(place, "keys of an OpenID party stand in its metadata, nowhere else")
    if role is Role.CERTIFICATE_AUTHORITY and len({key_name(der) for der in keys}) > 1:
        raise EntryError(place, "its certificates are of different keys; each key is a service of its own (§5.5.3)")
    if not keys and any(len(stated) and stated[0].tag != f"{{{TSL}}}Other" for stated in identity):
        raise EntryError(place, "its key is only named, not given; an X509Certificate is expected")
    return keys


def _entity_id(identity: Element, keys: tuple[bytes, ...]) -> str:
    place = ("ServiceDigitalIdentity", "Other")
    stated = [other for other in identity.iterfind(f"{{{TSL}}}DigitalId/{{{TSL}}}Other") if not len(other)]
    if len(stated) == 1:
        return rules.entity_id(text(stated[0], place), place)
    if stated or not keys:
        raise EntryError(place, "one identifier is expected, or a certificate to name the service by")
    return key_name(keys[0])


def _addresses(points: Element | None) -> Iterator[tuple[str, str]]:
    place = ("ServiceSupplyPoints",)
    found: dict[tuple[str, str], None] = {}
    for point in items(points, "ServiceSupplyPoint", place):
        address = uri(point, place)
        try:
            found[rules.web_address(address, place), point.get("type", "")] = None
        except EntryError:
            continue
    yield from found


def _contents(found: Iterable[Extension], name: str) -> list[Element]:
    return [extension.content for extension in found if extension.content.tag == name]


def _information(element: Element) -> str:
    place = ("ServiceInformationExtensions", "AdditionalServiceInformation")
    stated = fields(element, Fields(("URI",), ("InformationValue", "OtherInformation")), place)
    return uri(stated["URI"], place)


def _metadata(found: list[Element], role: Role, entity_id: str) -> Mapping[str, object]:
    place = ("ServiceInformationExtensions", "OpenIDMetadata")
    if not found and role not in OPENID_ROLES:
        return {}
    if role not in OPENID_ROLES or len(found) > 1:
        raise EntryError(place, "occurs twice" if len(found) > 1 else f"a {role} has no OpenID metadata")
    try:
        stated = strict_json.loads(text(found[0], place).encode()) if found else {}
    except ValueError as error:
        raise EntryError(place, f"not usable JSON: {error}") from error
    return openid_entries.check_metadata(role, entity_id, stated)


def _status(element: Element, known: Mapping[str, Status]) -> Status:
    stated = text(element, ("ServiceStatus",))
    found = known.get(stated)
    if found is None:
        raise EntryError(("ServiceStatus",), f"{stated[:200]!r} is no status that is known here")
    return found


def _history(history: Element | None, role: Role, since: datetime) -> tuple[StatusChange, ...]:
    """Read former statuses (§5.6), the newest first; each is a status of the same service in the same role."""
    found: list[StatusChange] = []
    for index, former in enumerate(items(history, "ServiceHistoryInstance", ("ServiceHistory",))):
        place: Place = ("ServiceHistory", index)
        stated = fields(former, _HISTORY, place)
        if etsi.SERVICE_TYPES.get(text(stated["ServiceTypeIdentifier"], place)) is not role:
            raise EntryError((*place, "ServiceTypeIdentifier"), f"is not of a {role}")
        check_known(extensions(stated.get("ServiceInformationExtensions"), place), place, _KNOWN_EXTENSIONS)
        found.append(
            StatusChange(
                _status(stated["ServiceStatus"], etsi.HISTORIC),
                instant(stated["StatusStartingTime"], place),
                text(stated["ServiceStatus"], place),
            )
        )
    return entries.check_history(since, found, ("ServiceHistory",))
