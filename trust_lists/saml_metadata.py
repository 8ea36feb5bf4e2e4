"""SAML metadata as a trust list: reading a signed aggregate, and publishing the region's own.

The sequence number is the time at which the document was created (`mdrpi:PublicationInfo/@creationInstant`, in
seconds since 1970): SAML metadata has no other number that only grows. Single entities, as they are answered to
metadata queries (`mdq.py`), often do not say when. Such a one counts as created as early as its end allows,
`LONGEST_VALIDITY` before it: one that ends earlier than another can never stand in for it, and none can stand in for a
document that states its creation, whose number is higher.
"""

import gc
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from xml.sax.saxutils import quoteattr

from lxml import etree

from trust_lists import admission, etsi, xmldsig, xmlpieces
from trust_lists.admission import Entries, Opened
from trust_lists.model import Fault, ListRefusedError, Status, TrustedEntity, TrustList, VerifiedBytes
from trust_lists.rules import EntryError, UnpublishableError, display_name, municipality, scope
from trust_lists.saml_entities import (
    ATTRIBUTE,
    ATTRIBUTE_PREFIX,
    ATTRIBUTE_VALUE,
    ENTITY_ATTRIBUTES,
    EXTENSIONS,
    IDENTITY_PROVIDER,
    INFORMATION,
    MD,
    MDATTR,
    MDRPI,
    MUNICIPALITY,
    SCOPE,
    SHIBMD,
    STATUS,
    STATUS_SINCE,
    earlier_end,
    read_entity,
    text_of,
)
from trust_lists.times import format_duration, format_instant, parse_duration, parse_instant
from trust_lists.xmldsig import LIST_LIMITS, SignatureRefusedError, Signer
from trust_lists.xmlgate import DS, SAML, Element

MAXIMUM_BYTES = LIST_LIMITS.octets

LONGEST_VALIDITY = timedelta(days=366)
"""How long a single entity without a stated creation may be valid from now on."""

ENTITIES = f"{{{MD}}}EntitiesDescriptor"
ENTITY = f"{{{MD}}}EntityDescriptor"
_PUBLICATION = f"{{{MDRPI}}}PublicationInfo"
_REGISTRATION = tuple(f"{{{MDRPI}}}{name}" for name in ("RegistrationInfo", "PublicationInfo", "PublicationPath"))

_OWN_ATTRIBUTES = {"ID", "Id", "validUntil", "cacheDuration"}

_SIZE_CODES = frozenset({"too-large", "too-many-nodes"})
_FORMAT_CODES = frozenset(
    {"malformed", "encoding", "declaration", "processing-instruction", "too-deep", "comment-in-value", "root"}
)
_ADVICE = {
    "too-large": "it is larger than what is read; check the file and where it came from",
    "format": "a signed md:EntitiesDescriptor or md:EntityDescriptor in UTF-8 is expected; check the file",
    "unsigned": "its root is not signed; fetch it from its authority, or sign it with `kakehashi trust sign`",
    "signature": "no anchor of this list verifies it: it was altered, or its authority uses another key. "
    "Fetch it again, and configure a new anchor only after checking with the authority",
}


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Open the aggregate and admit it: `open_list`, then every rule of `admission`, then its entities.

    Raises `ListRefusedError` as both do. An entity that breaks a rule is a `Fault` and dropped alone; entities that
    share an entity ID are all dropped.
    """
    return admission.admit(open_list(document, name=name, anchors=anchors), now=now)


def open_list(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    """Verify the aggregate with one of the anchors (DER), and read what it says of itself.

    `name` is what this list is called here; federations name their aggregates as they like, so `@Name` is not
    compared (None: the list is called by it, or `(unnamed)`), but a publisher `urn:kakehashi:list:NAME` is. Required
    on the root: `validUntil` and, of an aggregate, `mdrpi:PublicationInfo/@creationInstant`; `cacheDuration` is read
    if it is there. Raises `ListRefusedError` with code `too-large`, `unsigned`, `format`, `signature` or `other-list`.
    """
    with _uncollected():
        return _open(document, name=name, anchors=anchors)


_OWN_LIST = "urn:kakehashi:list:"
"""Begins what lists of our own are called (`mdrpi:PublicationInfo/@publisher`)."""

_UNNAMED = "(unnamed)"


def _own_name(root: Element) -> str:
    try:
        return display_name(root.get("Name"), ("Name",))
    except EntryError:
        return _UNNAMED


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector rest: a list is a hundred thousand values without a cycle, which it would only walk."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _open(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    roots = _roots(_verified(document, name=name or _UNNAMED, anchors=anchors))
    first = next(roots)
    if name is not None:
        _check_own_name(first, name)
    called = name or _own_name(first)
    try:
        valid_until = parse_instant(first.get("validUntil", ""))
        issued_at = _issued(first, valid_until)
        refresh_after = _cached(first)
    except ValueError as error:
        raise ListRefusedError(
            "format",
            f"list {called}: the root needs validUntil and mdrpi:PublicationInfo/@creationInstant; cacheDuration, if "
            f"it is there, is a duration: {error}. "
            "Ask its authority for metadata with both, or sign it with `kakehashi trust sign`.",
        ) from error

    def entries(now: datetime) -> Entries:
        with _uncollected():
            return Entries(*_entities(chain([first], roots), name=called, valid_until=valid_until, now=now))

    return Opened(
        name=called,
        sequence=int(issued_at.timestamp()),
        issued_at=issued_at,
        valid_until=valid_until,
        refresh_after=refresh_after,
        entries=entries,
    )


def publish(
    members: Sequence[bytes],
    *,
    name: str,
    signer: Signer,
    issued_at: datetime,
    valid_until: datetime,
    municipalities: Mapping[str, str] | None = None,
    scopes: Mapping[str, Sequence[str]] | None = None,
    uses: Mapping[str, Sequence[str]] | None = None,
    maximum_identities: Mapping[str, int] | None = None,
    withdrawn: Mapping[str, datetime | None] | None = None,
    authority: str | None = None,
) -> bytes:
    """Sign an `md:EntitiesDescriptor` of single `md:EntityDescriptor` documents.

    The authority's word replaces the members': their signatures, IDs, `validUntil`, `cacheDuration`,
    registration, `urn:kakehashi:` entity attributes and scopes are dropped; `mdrpi:RegistrationInfo` and, for
    the entity IDs that are given one, the municipality, an identity provider's scopes, the permitted uses, the highest
    identity assurance, and a withdrawal with the time since which it holds (None: not stated) are added. Everything
    else stays. `authority` identifies who registers (default `urn:kakehashi:list:NAME`). The sequence number is
    `issued_at` in whole seconds.

    Raises `UnpublishableError` for a member that a reader would drop, ValueError for no members or a word on none of
    them.
    """
    authority = authority or _OWN_LIST + name
    words = _registrations(municipalities or {}, scopes or {}, uses or {}, maximum_identities or {}, withdrawn or {})
    parts: list[bytes] = []
    listed: set[str] = set()
    for position, member in enumerate(members):
        try:
            entity = _member(member)
            entity_id = entity.get("entityID", "")
            if entity_id in listed:
                raise EntryError(("entityID",), f"{entity_id} is listed twice")  # noqa: TRY301 - one way out for all
            _register(entity, authority=authority, word=words.get(entity_id, _Registration()))
            read_entity(entity, listed_in=name, valid_until=valid_until, now=issued_at)
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        listed.add(entity_id)
        parts.append(etree.tostring(entity, method="c14n", with_comments=False))
    if not parts or not words.keys() <= listed:
        strangers = ", ".join(sorted(words.keys() - listed))
        message = f"no member for {strangers}" if parts else "no members"
        raise ValueError(message)
    body = b"\n".join(parts)
    identifier = "_" + hashlib.sha256(body + format_instant(issued_at).encode()).hexdigest()[:40]
    head = (
        f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="{identifier}" Name={quoteattr(name)} '
        f'validUntil="{format_instant(valid_until)}"><md:Extensions>'
        f'<mdrpi:PublicationInfo xmlns:mdrpi="{MDRPI}" publisher={quoteattr(authority)} '
        f'creationInstant="{format_instant(issued_at)}"/></md:Extensions>\n'
    )
    return signer.sign_element(head.encode() + body + b"\n</md:EntitiesDescriptor>\n", identifier)


def publish_entities(
    aggregate: TrustList, document: bytes, *, anchors: Sequence[bytes], signer: Signer, cache: timedelta
) -> Iterator[tuple[str, bytes]]:
    """Sign each entity of an aggregate alone, as answers to metadata queries: its entity ID and the document.

    `aggregate` is what `document` was read as, with the same anchors. Each is valid until the aggregate ends, or
    until its own end if that is earlier, and asks to be kept for `cache`. It states no creation, so that it can never
    stand in for the aggregate. Entities that readers drop are left out. Raises `ListRefusedError` as `read` does.
    """
    ends: dict[str, datetime] = {}
    for listed in aggregate.entities:
        ends[listed.entity_id] = max(listed.valid_until, ends.get(listed.entity_id, listed.valid_until))
    pieces = _verified(document, name=aggregate.name, anchors=anchors)
    for entity in (found for root in _roots(pieces) for found, _ in _descriptors(root)):
        entity_id = entity.get("entityID", "")
        if entity_id not in ends:
            continue
        identifier = "_" + hashlib.sha256(f"{aggregate.sequence} {entity_id}".encode()).hexdigest()[:40]
        entity.set("ID", identifier)
        entity.set("validUntil", format_instant(ends[entity_id]))
        entity.set("cacheDuration", format_duration(cache))
        entity.tail = None
        yield entity_id, signer.sign_element(etree.tostring(entity, method="c14n", with_comments=False), identifier)


def entity_id_unsafe(member: bytes) -> str:
    """Look up the entity ID that a single `md:EntityDescriptor` states, unverified. Raises `EntryError`."""
    return _member(member).get("entityID", "")


def scopes_unsafe(member: bytes) -> tuple[str, ...]:
    """Look up the scopes that a single `md:EntityDescriptor` states of itself, unverified and unchecked, each once.

    Raises `EntryError`.
    """
    return tuple(dict.fromkeys(text_of(element, ("Scope",)) for element in _member(member).iter(SCOPE)))


def stated_sequence_unsafe(document: bytes) -> int:
    """Look up the sequence number that a document states, unverified. Raises ValueError.

    Only for an authority that counts on from its own last output.
    """
    try:
        return int(_created(xmldsig.parse(document, limits=LIST_LIMITS)).timestamp())
    except SignatureRefusedError as error:
        message = f"not a metadata aggregate ({error.code})"
        raise ValueError(message) from error


# --- reading


def _verified(document: bytes, *, name: str, anchors: Sequence[bytes]) -> list[VerifiedBytes]:
    """Verify an aggregate or a single entity, in pieces that have the same root."""
    try:
        try:
            return xmlpieces.verify_list(document, certificates=anchors, expected_root=ENTITIES)
        except SignatureRefusedError as refused:
            if refused.code != "root":
                raise
        return [xmldsig.verify(document, certificates=anchors, expected_root=ENTITY, limits=LIST_LIMITS)]
    except SignatureRefusedError as refused:
        code = "signature"
        if refused.code in _SIZE_CODES:
            code = "too-large"
        elif refused.code in _FORMAT_CODES:
            code = "format"
        elif refused.code == "unsigned":
            code = "unsigned"
        raise ListRefusedError(code, f"list {name}: {_ADVICE[code]} ({refused.code}).") from refused


def _roots(pieces: list[VerifiedBytes]) -> Iterator[Element]:
    """Parse piece after piece, and keep none: their trees would be several times as large as what is read."""
    pieces.reverse()
    while pieces:
        yield xmldsig.parse_verified(pieces.pop(), layout=False)


def _issued(root: Element, valid_until: datetime) -> datetime:
    """Tell when it was created, or, of a single entity that does not say, how early that may be. Raises ValueError."""
    if root.tag == ENTITY and root.find(f"{EXTENSIONS}/{_PUBLICATION}") is None:
        return valid_until - LONGEST_VALIDITY
    return _created(root)


def _cached(root: Element) -> timedelta | None:
    stated = root.get("cacheDuration")
    return None if stated is None else parse_duration(stated)


def _check_own_name(root: Element, name: str) -> None:
    """Refuse another list of the same authority that our own tools made; others have no name that could be compared."""
    for publication in root.iterfind(f"{EXTENSIONS}/{_PUBLICATION}"):
        publisher = publication.get("publisher", "")
        if publisher.startswith(_OWN_LIST) and publisher != _OWN_LIST + name:
            raise ListRefusedError(
                "other-list",
                f"list {name}: this is the list {publisher.removeprefix(_OWN_LIST)[:100]!r}; put the right file in its "
                "place, or give the source its name.",
            )


def _created(root: Element) -> datetime:
    """Read `creationInstant` of the root's one `mdrpi:PublicationInfo` (MDRPI §2.2.1). Raises ValueError."""
    found = list(root.iterfind(f"{EXTENSIONS}/{_PUBLICATION}"))
    if len(found) != 1:
        message = f"{len(found)} mdrpi:PublicationInfo found"
        raise ValueError(message)
    return parse_instant(found[0].get("creationInstant", ""))


def _entities(
    roots: Iterable[Element], *, name: str, valid_until: datetime, now: datetime
) -> tuple[tuple[TrustedEntity, ...], tuple[Fault, ...]]:
    """Read entities and faults in the list's order."""
    read: list[tuple[str, str, tuple[TrustedEntity, ...]]] = []
    for entity, groups in (found for root in roots for found in _descriptors(root)):
        try:
            until = valid_until
            for group in groups:
                until = earlier_end(group, until, now)
            read.append(
                (entity.get("entityID", ""), "", read_entity(entity, listed_in=name, valid_until=until, now=now))
            )
        except EntryError as error:
            read.append((entity.get("entityID", ""), str(error), ()))
    counts = Counter(entity_id for entity_id, _, _ in read)
    entities: list[TrustedEntity] = []
    faults: list[Fault] = []
    for position, (entity_id, reason, roles) in enumerate(read, start=1):
        twice = f"entityID: listed more than once; all dropped (entry {position})" if counts[entity_id] > 1 else ""
        if twice or reason:
            faults.append(Fault(where=entity_id[:200] or f"entry {position}", reason=twice or reason))
        else:
            entities.extend(roles)
    return tuple(entities), tuple(faults)


def _descriptors(root: Element, groups: tuple[Element, ...] = ()) -> Iterator[tuple[Element, tuple[Element, ...]]]:
    """Walk the entities with the groups that each stands in (SAML Metadata §2.3.1)."""
    if root.tag == ENTITY:
        yield root, groups
        return
    for child in root.iterchildren(ENTITY, ENTITIES):
        yield from _descriptors(child, (*groups, root))


# --- publishing


def _member(document: bytes) -> Element:
    try:
        root = xmldsig.parse(document, limits=LIST_LIMITS)
    except SignatureRefusedError as error:
        raise EntryError((), f"not acceptable XML ({error.code})") from error
    if root.tag != ENTITY:
        raise EntryError((), "a single md:EntityDescriptor is expected")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registration:
    """The authority's word on one member."""

    municipality: str | None = None
    scopes: Sequence[str] = ()
    uses: Sequence[str] = ()
    maximum_identity: int | None = None
    withdrawn: bool = False
    since: datetime | None = None


def _registrations(
    municipalities: Mapping[str, str],
    scopes: Mapping[str, Sequence[str]],
    uses: Mapping[str, Sequence[str]],
    maximum_identities: Mapping[str, int],
    withdrawn: Mapping[str, datetime | None],
) -> dict[str, _Registration]:
    return {
        entity_id: _Registration(
            municipality=municipalities.get(entity_id),
            scopes=scopes.get(entity_id, ()),
            uses=uses.get(entity_id, ()),
            maximum_identity=maximum_identities.get(entity_id),
            withdrawn=entity_id in withdrawn,
            since=withdrawn.get(entity_id),
        )
        for entity_id in {*municipalities, *scopes, *uses, *maximum_identities, *withdrawn}
    }


def _register(entity: Element, *, authority: str, word: _Registration) -> None:
    """Replace what the member says of its own registration by the authority's word, in place."""
    _drop_own_word(entity)
    extensions = _extensions(entity)
    etree.SubElement(extensions, _REGISTRATION[0], {"registrationAuthority": authority}, nsmap={"mdrpi": MDRPI})
    for name, values in _attributes(word):
        _add_attribute(extensions, name, values)
    if word.scopes:
        _add_scopes(entity, [scope(stated, ("scopes", index)) for index, stated in enumerate(word.scopes)])


def _attributes(word: _Registration) -> Iterator[tuple[str, Sequence[str]]]:
    """Write the word as entity attributes, each with its values."""
    if word.municipality is not None:
        yield MUNICIPALITY, [municipality(word.municipality, ("municipality",))]
    if word.maximum_identity is not None and word.maximum_identity not in range(4):
        raise EntryError(("maximum_identity",), "a level from 0 to 3 is expected")
    uses = [etsi.use(stated, ("uses", index)) for index, stated in enumerate(word.uses)]
    information = etsi.information_names(uses=uses, maximum_identity=word.maximum_identity)
    if information:
        yield INFORMATION, information
    if word.withdrawn:
        yield STATUS, [etsi.status_name(Status.WITHDRAWN)]
    if word.since is not None:
        yield STATUS_SINCE, [format_instant(word.since)]


def _extensions(element: Element) -> Element:
    found = element.find(EXTENSIONS)
    if found is None:
        found = etree.Element(EXTENSIONS)
        element.insert(0, found)
    return found


def _add_attribute(extensions: Element, name: str, values: Sequence[str]) -> None:
    attributes = extensions.find(ENTITY_ATTRIBUTES)
    if attributes is None:
        attributes = etree.SubElement(extensions, ENTITY_ATTRIBUTES, nsmap={"mdattr": MDATTR})
    stated = {"Name": name, "NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}
    attribute = etree.SubElement(attributes, ATTRIBUTE, stated, nsmap={"saml": SAML})
    for value in values:
        etree.SubElement(attribute, ATTRIBUTE_VALUE).text = value


def _add_scopes(entity: Element, scopes: Sequence[str]) -> None:
    descriptors = list(entity.iterchildren(IDENTITY_PROVIDER))
    if not descriptors:
        raise EntryError(("scopes",), "only an identity provider has scopes, and this member is none")
    for descriptor in descriptors:
        extensions = _extensions(descriptor)
        for stated in dict.fromkeys(scopes):
            element = etree.SubElement(extensions, SCOPE, {"regexp": "false"}, nsmap={"shibmd": SHIBMD})
            element.text = stated


def _drop_own_word(entity: Element) -> None:
    for element in list(entity.iter(f"{{{DS}}}Signature", SCOPE, *_REGISTRATION)):
        _remove(element)
    for attribute in list(entity.iter(ATTRIBUTE)):
        if attribute.get("Name", "").lower().startswith(ATTRIBUTE_PREFIX):
            _remove(attribute)
    for emptied in (ENTITY_ATTRIBUTES, EXTENSIONS):
        for element in list(entity.iter(emptied)):
            if not len(element):
                _remove(element)
    for element in entity.iter(f"{{{MD}}}*", f"{{{DS}}}*"):
        for own in _OWN_ATTRIBUTES & set(element.attrib):
            del element.attrib[own]


def _remove(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
