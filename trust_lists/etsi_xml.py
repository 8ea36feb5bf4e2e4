"""ETSI TS 119 612 trusted lists (v2.3.1, XML): reading a signed list, and publishing one.

A `TrustServiceStatusList` with a XAdES baseline-B signature (`trust_lists/xades.py`). Its services become entities
(`trust_lists/etsi_xml_services.py`), its pointers to other lists `Pointer`s: a list of lists has only these. Numbers
in parentheses are clauses of TS 119 612. An authority whose list says `urn:kakehashi:list:NAME` among its
scheme information URIs (ours does) says by that which of its lists this is; other lists have no name that is compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trust_lists import admission, etsi_xml_writing, rules, xades
from trust_lists import entries as members_entries
from trust_lists.admission import Entries, Opened
from trust_lists.entries import Entry
from trust_lists.etsi_xml_services import (
    TSL,
    Fields,
    check_known,
    claim,
    extensions,
    fields,
    identity_certificates,
    instant,
    items,
    names,
    read_provider,
    read_service,
    services,
    text,
    uri,
)
from trust_lists.model import Fault, ListRefusedError, Pointer, Role, TrustedEntity, TrustList
from trust_lists.rules import EntryError, UnpublishableError
from trust_lists.scheme import Scheme
from trust_lists.xmldsig import Signer, parse_verified
from trust_lists.xmlgate import LIST_LIMITS, Element, SignatureRefusedError, parse

MAXIMUM_BYTES = LIST_LIMITS.octets

ROOT = f"{{{TSL}}}TrustServiceStatusList"
TAG = etsi_xml_writing.TAG
LIST_NAME = etsi_xml_writing.LIST_NAME

_VERSIONS = ("5", "6")
"""Of v2.1.1 and v2.2.1, and of v2.3.1 (§5.3.1)."""

_LONGEST_NUMBER = 18
_LONGEST_NAME = 200
_ROOT_CHILDREN = Fields(("SchemeInformation",), ("TrustServiceProviderList",))
_SCHEME = Fields(
    (
        "TSLVersionIdentifier",
        "TSLSequenceNumber",
        "TSLType",
        "SchemeOperatorName",
        "SchemeOperatorAddress",
        "SchemeName",
        "SchemeInformationURI",
        "StatusDeterminationApproach",
        "HistoricalInformationPeriod",
        "ListIssueDateTime",
        "NextUpdate",
    ),
    (
        "SchemeTypeCommunityRules",
        "SchemeTerritory",
        "PolicyOrLegalNotice",
        "PointersToOtherTSL",
        "DistributionPoints",
        "SchemeExtensions",
    ),
)
_POINTER = Fields(("TSLLocation",), ("ServiceDigitalIdentities", "AdditionalInformation"))
"""As the specification's schema has them (§5.3); any other child refuses the list, or drops the pointer."""

_MEDIA_TYPE = "{http://uri.etsi.org/02231/v2/additionaltypes#}MimeType"

_CODES = {
    "too-large": "too-large",
    "too-many-nodes": "too-large",
    "too-many-namespaces": "too-large",
    "unsigned": "unsigned",
    **dict.fromkeys(
        (
            "malformed",
            "encoding",
            "declaration",
            "processing-instruction",
            "root",
            "too-deep",
            "too-many-attributes",
            "comment-in-value",
        ),
        "format",
    ),
}
_ADVICE = {
    "too-large": "it is larger than what is read; check the file and where it came from",
    "format": "a signed TrustServiceStatusList of ETSI TS 119 612 in UTF-8 is expected; check the file",
    "unsigned": "it is not signed; fetch it from its authority, or sign it with `kakehashi trust sign`",
    "signature": "no anchor of this list verifies it: it was altered, or its authority uses another key or another "
    "form of signature. Fetch it again, and configure a new anchor only after checking with the authority",
}


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Open the list and admit it: `open_list`, then every rule of `admission`, then its services.

    Raises `ListRefusedError` as both do. A service or a pointer that breaks a rule is a `Fault` and dropped alone;
    services that are the same entity in the same role are all dropped.
    """
    return admission.admit(open_list(document, name=name, anchors=anchors), now=now)


def open_list(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    """Verify the list with one of the anchors (DER certificates or public keys), and read what it says of itself.

    `name` is what this list is called here; None takes the list's own word. Raises `ListRefusedError` with code
    `too-large`, `unsigned`, `format`, `signature`, `other-list`, `closed` (it says that there will be no next update,
    §5.3.15) or `critical-extension`.
    """
    label = name or "(unnamed)"
    try:
        verified = xades.verify(document, anchors=anchors, expected_root=ROOT, limits=LIST_LIMITS)
    except SignatureRefusedError as refused:
        code = _CODES.get(refused.code, "signature")
        raise ListRefusedError(code, f"list {label}: {_ADVICE[code]} ({refused.code}).") from refused
    root = parse_verified(verified.octets, layout=False)
    try:
        parts = fields(root, _ROOT_CHILDREN, ())
        if root.get("TSLTag") != TAG:
            raise EntryError(("TSLTag",), f"{TAG} is expected")  # noqa: TRY301 - one way out for all
        scheme = _scheme(parts["SchemeInformation"], name=name)
    except EntryError as error:
        raise ListRefusedError(
            "format",
            f"list {label}: {error}. A list of ETSI TS 119 612 v2 is expected; let its authority correct it.",
        ) from error

    def entries(_: datetime) -> Entries:
        providers = parts.get("TrustServiceProviderList")
        entities, faults = _entities(
            [] if providers is None else list(providers), listed_in=scheme.name, valid_until=scheme.valid_until
        )
        pointers, more_faults = _pointers(scheme.pointers)
        return Entries(entities, (*more_faults, *faults), pointers)

    return Opened(
        name=scheme.name,
        sequence=scheme.sequence,
        issued_at=scheme.issued_at,
        valid_until=scheme.valid_until,
        signed_at=verified.signed_at,
        entries=entries,
    )


def publish(
    listed: Sequence[object],
    *,
    name: str,
    key_pem: bytes,
    certificate_pem: bytes,
    issued_at: datetime,
    valid_until: datetime,
    sequence: int,
    scheme: Scheme | None = None,
    pointers: Sequence[Pointer] = (),
) -> bytes:
    """Sign the list of these members, each a provider with one service, and of these pointers to other lists.

    A member is an `Entry`, or what `entries.read_entry` makes one of. The certificate is the one that readers pin.
    Whole seconds of all times are kept. Raises `UnpublishableError` for a member that a reader would drop, ValueError
    for a key that does not fit, and for what would make a reader refuse the list or drop a pointer.
    """
    about = scheme or Scheme()
    signer = Signer.from_pem(key_pem, certificate_pem)
    seen: set[tuple[str, frozenset[Role]]] = set()
    providers: list[Element] = []
    for position, member in enumerate(listed):
        try:
            entry = (
                member
                if isinstance(member, Entry)
                else members_entries.read_entry(member, listed_in=name, valid_until=valid_until)
            )
            provider = etsi_xml_writing.provider(entry, about, name=name)
            entity = _service(provider, next(services(provider)), listed_in=name, valid_until=valid_until)
            if (entity.entity_id, entity.roles) in seen:
                raise EntryError(("entity_id",), "listed twice")  # noqa: TRY301 - one way out for all
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        seen.add((entity.entity_id, entity.roles))
        providers.append(provider)
    try:
        document = etsi_xml_writing.document(
            providers,
            name=name,
            scheme=about,
            pointers=pointers,
            issued_at=issued_at,
            valid_until=valid_until,
            sequence=sequence,
        )
        signed = xades.sign(document, signer=signer, signing_time=issued_at)
        found = read(signed, name=name, anchors=(signer.certificate_der,), now=issued_at)
    except (EntryError, ListRefusedError, SignatureRefusedError) as error:
        message = f"the list would be refused: {error}"
        raise ValueError(message) from error
    if found.faults:
        message = f"the list would lose {found.faults[0].where}: {found.faults[0].reason}"
        raise ValueError(message)
    return signed


def stated_sequence_unsafe(document: bytes) -> int:
    """Look up the sequence number that a document states, unverified. Raises ValueError.

    Only for an authority that counts on from its own last output.
    """
    try:
        found = parse(document, limits=LIST_LIMITS, roots=(ROOT,)).find(f"{{{TSL}}}SchemeInformation")
        return _number(fields(_present(found), _SCHEME, ())["TSLSequenceNumber"])
    except (SignatureRefusedError, EntryError) as error:
        message = f"not a list of ETSI TS 119 612 ({error})"
        raise ValueError(message) from error


# --- scheme information


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scheme:
    """What the list says of itself."""

    name: str
    sequence: int
    issued_at: datetime
    valid_until: datetime
    pointers: Element | None


def _scheme(element: Element, *, name: str | None) -> _Scheme:
    """Read what the list says of itself. Raises `EntryError`, and `ListRefusedError` where that has its own code."""
    stated = fields(element, _SCHEME, ("SchemeInformation",))
    label = name or "(unnamed)"
    if text(stated["TSLVersionIdentifier"], ("TSLVersionIdentifier",)) not in _VERSIONS:
        raise EntryError(("TSLVersionIdentifier",), f"one of {', '.join(_VERSIONS)} is expected")
    place = ("SchemeExtensions",)
    try:
        check_known(extensions(stated.get(place[0]), place), place)
    except EntryError as error:
        raise ListRefusedError(
            "critical-extension",
            f"list {label}: {error}. What the list means hangs on it; ask its authority for a list without it.",
        ) from error
    for required in ("TSLType", "StatusDeterminationApproach"):
        uri(stated[required], (required,))
    names(stated["SchemeOperatorName"], ("SchemeOperatorName",))
    called = _check_name(stated, name)
    issued_at = instant(stated["ListIssueDateTime"], ("ListIssueDateTime",))
    next_update = items(stated["NextUpdate"], "dateTime", ("NextUpdate",))
    if not next_update:
        raise ListRefusedError(
            "closed",
            f"list {label}: its authority closed it on {issued_at:%Y-%m-%d}: there will be no next update. "
            "Take it out of the configuration, and ask the authority what takes its place.",
        )
    if len(next_update) > 1:
        raise EntryError(("NextUpdate",), "one time is expected")
    return _Scheme(
        name=called,
        sequence=_number(stated["TSLSequenceNumber"]),
        issued_at=issued_at,
        valid_until=instant(next_update[0], ("NextUpdate",)),
        pointers=stated.get("PointersToOtherTSL"),
    )


def _check_name(stated: dict[str, Element], name: str | None) -> str:
    """Hold the list's own word for its name against what it is called here; the name to go by."""
    place = ("SchemeInformationURI",)
    said = [uri(item, place) for item in items(stated[place[0]], "URI", place)]
    own = [found.removeprefix(LIST_NAME) for found in said if found.startswith(LIST_NAME)]
    if len(own) > 1:
        raise EntryError(place, "two names of the list are stated; one is expected")
    if own and name is not None and own[0] != name:
        raise ListRefusedError(
            "other-list", f"list {name}: this is the list {own[0][:100]!r}; put the right file in its place."
        )
    titles = [text(item, ("SchemeName",)) for item in items(stated["SchemeName"], "Name", ("SchemeName",))]
    return name or " ".join((own or titles or [""])[0].split())[:_LONGEST_NAME] or "(unnamed)"


def _number(element: Element) -> int:
    stated = text(element, ())
    if not (stated.isascii() and stated.isdigit()) or len(stated) > _LONGEST_NUMBER or not int(stated):
        raise EntryError((str(element.tag).rpartition("}")[2],), "a whole number above 0 is expected")
    return int(stated)


def _present(element: Element | None) -> Element:
    if element is None:
        raise EntryError(("SchemeInformation",), "is missing")
    return element


def _pointers(element: Element | None) -> tuple[tuple[Pointer, ...], tuple[Fault, ...]]:
    """Read the pointers to other lists (§5.3.13)."""
    found: list[Pointer] = []
    faults: list[Fault] = []
    for position, stated in enumerate(items(element, "OtherTSLPointer", ("PointersToOtherTSL",)), start=1):
        try:
            found.append(_pointer(stated))
        except EntryError as error:
            faults.append(Fault(where=f"pointer {position}", reason=str(error)))
    return tuple(found), tuple(faults)


def _pointer(element: Element) -> Pointer:
    stated = fields(element, _POINTER, ())
    identities = items(stated.get("ServiceDigitalIdentities"), "ServiceDigitalIdentity", ("ServiceDigitalIdentities",))
    certificates = [
        der
        for identity in identities
        for der in identity_certificates(identity, ("ServiceDigitalIdentities", "ServiceDigitalIdentity"))
    ]
    about = stated.get("AdditionalInformation")
    return Pointer(
        location=rules.web_address(uri(stated["TSLLocation"], ("TSLLocation",)), ("TSLLocation",)),
        certificates=tuple(dict.fromkeys(certificates)),
        kind=_other_information(about, f"{{{TSL}}}TSLType"),
        territory=_other_information(about, f"{{{TSL}}}SchemeTerritory"),
        media_type=_other_information(about, _MEDIA_TYPE),
    )


def _other_information(about: Element | None, tag: str) -> str | None:
    found = [] if about is None else about.findall(f"{{{TSL}}}OtherInformation/{tag}")
    if len(found) > 1:
        raise EntryError(("AdditionalInformation",), f"{tag.rpartition('}')[2]} occurs twice")
    return uri(found[0], ("AdditionalInformation",)) if found else None


# --- services


def _entities(
    providers: Sequence[Element], *, listed_in: str, valid_until: datetime
) -> tuple[tuple[TrustedEntity, ...], tuple[Fault, ...]]:
    """Read in the list's order. Services that claim one entity ID and role between them are all dropped."""
    found: list[tuple[str, tuple[str, Role | None], TrustedEntity | EntryError]] = []
    claimed: tuple[str, Role | None]
    for position, provider in enumerate(providers, start=1):
        for index, service in enumerate(services(provider), start=1):
            read: TrustedEntity | EntryError
            try:
                read = _service(provider, service, listed_in=listed_in, valid_until=valid_until)
                claimed = (read.entity_id, next(iter(read.roles)))
            except EntryError as error:
                read, claimed = error, claim(service)
            found.append((f"provider {position}, service {index}", claimed, read))
    counts = Counter(claimed for _, claimed, _ in found)
    entities: list[TrustedEntity] = []
    faults: list[Fault] = []
    for where, claimed, read in found:
        place = claimed[0][:200] or where
        if all(claimed) and counts[claimed] > 1:
            faults.append(Fault(where=place, reason=f"listed more than once; all dropped ({where})"))
        elif isinstance(read, EntryError):
            faults.append(Fault(where=place, reason=str(read)))
        else:
            entities.append(read)
    return tuple(entities), tuple(faults)


def _service(provider: Element, service: Element | None, *, listed_in: str, valid_until: datetime) -> TrustedEntity:
    """Read a service of a provider. Raises `EntryError`."""
    if provider.tag != f"{{{TSL}}}TrustServiceProvider":
        raise EntryError((), "a TrustServiceProvider is expected")
    municipality = read_provider(provider)
    if service is None:
        raise EntryError(("TSPServices",), "a TSPService is expected")
    return read_service(service, municipality=municipality, listed_in=listed_in, valid_until=valid_until)
