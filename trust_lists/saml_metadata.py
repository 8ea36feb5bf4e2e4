"""SAML metadata as a trust list: reading a signed aggregate, and publishing the region's own.

The sequence number of an aggregate is the time at which it was created
(`mdrpi:PublicationInfo/@creationInstant`, in seconds since 1970): SAML metadata has no other number that only
grows.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from xml.sax.saxutils import quoteattr

from lxml import etree

from trust_lists import xmldsig
from trust_lists.model import Fault, ListRefusedError, TrustedEntity, TrustList, VerifiedBytes
from trust_lists.rules import EntryError, UnpublishableError, municipality
from trust_lists.saml_entities import (
    ATTRIBUTE_PREFIX,
    MD,
    MDATTR,
    MDRPI,
    MUNICIPALITY,
    earlier_end,
    read_entity,
)
from trust_lists.times import check_in_force, format_instant, parse_instant
from trust_lists.xmldsig import LIST_LIMITS, SignatureRefusedError, Signer
from trust_lists.xmlgate import DS, SAML, Element

MAXIMUM_BYTES = LIST_LIMITS.octets

ENTITIES = f"{{{MD}}}EntitiesDescriptor"
ENTITY = f"{{{MD}}}EntityDescriptor"
_EXTENSIONS = f"{{{MD}}}Extensions"
_PUBLICATION = f"{{{MDRPI}}}PublicationInfo"
_ENTITY_ATTRIBUTES = f"{{{MDATTR}}}EntityAttributes"
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


def read(document: bytes, *, name: str, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Verify the aggregate with one of the anchors (DER certificates) and read its entities.

    `name` is what this list is called here; federations name their aggregates as they like, so `@Name` is not
    compared. Required on the root: `validUntil` and `mdrpi:PublicationInfo/@creationInstant`. Raises
    `ListRefusedError` with code `too-large`, `unsigned`, `format`, `signature`, `expired` or `future`. An
    entity that breaks a rule is a `Fault` and dropped alone; entities that share an entity ID are all
    dropped.
    """
    root = xmldsig.parse(_verified(document, name=name, anchors=anchors), limits=LIST_LIMITS)
    try:
        valid_until = parse_instant(root.get("validUntil", ""))
        issued_at = _created(root)
    except ValueError as error:
        raise ListRefusedError(
            "format",
            f"list {name}: the root needs validUntil and mdrpi:PublicationInfo/@creationInstant: {error}. "
            "Ask its authority for metadata with both, or sign it with `kakehashi trust sign`.",
        ) from error
    check_in_force(name, issued_at=issued_at, valid_until=valid_until, now=now)
    entities, faults = _entities(root, name=name, valid_until=valid_until, now=now)
    return TrustList(
        name=name,
        issued_at=issued_at,
        valid_until=valid_until,
        sequence=int(issued_at.timestamp()),
        entities=entities,
        faults=faults,
    )


def publish(
    members: Sequence[bytes],
    *,
    name: str,
    signer: Signer,
    issued_at: datetime,
    valid_until: datetime,
    municipalities: Mapping[str, str] | None = None,
    authority: str | None = None,
) -> bytes:
    """Sign an `md:EntitiesDescriptor` of single `md:EntityDescriptor` documents.

    The authority's word replaces the members': their signatures, IDs, `validUntil`, `cacheDuration`,
    registration and `urn:kakehashi:` entity attributes are dropped; `mdrpi:RegistrationInfo` and, for entity
    IDs in `municipalities`, the municipality are added. Everything else stays. `authority` identifies who
    registers (default `urn:kakehashi:list:NAME`). The sequence number is `issued_at` in whole seconds.

    Raises `UnpublishableError` for a member that a reader would drop, ValueError for no members or a
    municipality of none of them.
    """
    authority = authority or f"urn:kakehashi:list:{name}"
    codes = municipalities or {}
    parts: list[bytes] = []
    listed: set[str] = set()
    for position, member in enumerate(members):
        try:
            entity = _member(member)
            entity_id = entity.get("entityID", "")
            if entity_id in listed:
                raise EntryError(("entityID",), f"{entity_id} is listed twice")  # noqa: TRY301 - one way out for all
            _register(entity, authority=authority, code=codes.get(entity_id))
            read_entity(entity, listed_in=name, valid_until=valid_until, now=issued_at)
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        listed.add(entity_id)
        parts.append(etree.tostring(entity, method="c14n", with_comments=False))
    if not parts or not set(codes) <= listed:
        strangers = ", ".join(sorted(set(codes) - listed))
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


def entity_id_unsafe(member: bytes) -> str:
    """Look up the entity ID that a single `md:EntityDescriptor` states, unverified. Raises `EntryError`."""
    return _member(member).get("entityID", "")


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


def _verified(document: bytes, *, name: str, anchors: Sequence[bytes]) -> VerifiedBytes:
    try:
        try:
            return xmldsig.verify(document, certificates=anchors, expected_root=ENTITIES, limits=LIST_LIMITS)
        except SignatureRefusedError as refused:
            if refused.code != "root":
                raise
        return xmldsig.verify(document, certificates=anchors, expected_root=ENTITY, limits=LIST_LIMITS)
    except SignatureRefusedError as refused:
        code = "signature"
        if refused.code in _SIZE_CODES:
            code = "too-large"
        elif refused.code in _FORMAT_CODES:
            code = "format"
        elif refused.code == "unsigned":
            code = "unsigned"
        raise ListRefusedError(code, f"list {name}: {_ADVICE[code]} ({refused.code}).") from refused


def _created(root: Element) -> datetime:
    """Read `creationInstant` of the root's one `mdrpi:PublicationInfo` (MDRPI §2.2.1). Raises ValueError."""
    found = list(root.iterfind(f"{_EXTENSIONS}/{_PUBLICATION}"))
    if len(found) != 1:
        message = f"{len(found)} mdrpi:PublicationInfo found"
        raise ValueError(message)
    return parse_instant(found[0].get("creationInstant", ""))


def _entities(
    root: Element, *, name: str, valid_until: datetime, now: datetime
) -> tuple[tuple[TrustedEntity, ...], tuple[Fault, ...]]:
    """Read entities and faults in the list's order."""
    counts = Counter(entity.get("entityID", "") for entity, _ in _descriptors(root))
    entities: list[TrustedEntity] = []
    faults: list[Fault] = []
    for position, (entity, groups) in enumerate(_descriptors(root), start=1):
        entity_id = entity.get("entityID", "")
        where = entity_id[:200] or f"entry {position}"
        if counts[entity_id] > 1:
            faults.append(Fault(where=where, reason=f"entityID: listed more than once; all dropped (entry {position})"))
            continue
        try:
            until = valid_until
            for group in groups:
                until = earlier_end(group, until, now)
            entities.extend(read_entity(entity, listed_in=name, valid_until=until, now=now))
        except EntryError as error:
            faults.append(Fault(where=where, reason=str(error)))
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


def _register(entity: Element, *, authority: str, code: str | None) -> None:
    """Replace what the member says of its own registration by the authority's word, in place."""
    _drop_own_word(entity)
    extensions = entity.find(_EXTENSIONS)
    if extensions is None:
        extensions = etree.Element(_EXTENSIONS)
        entity.insert(0, extensions)
    etree.SubElement(extensions, _REGISTRATION[0], {"registrationAuthority": authority}, nsmap={"mdrpi": MDRPI})
    if code is None:
        return
    attributes = extensions.find(_ENTITY_ATTRIBUTES)
    if attributes is None:
        attributes = etree.SubElement(extensions, _ENTITY_ATTRIBUTES, nsmap={"mdattr": MDATTR})
    stated = {"Name": MUNICIPALITY, "NameFormat": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}
    attribute = etree.SubElement(attributes, f"{{{SAML}}}Attribute", stated, nsmap={"saml": SAML})
    value = etree.SubElement(attribute, f"{{{SAML}}}AttributeValue")
    value.text = municipality(code, ("municipality",))


def _drop_own_word(entity: Element) -> None:
    for element in list(entity.iter(f"{{{DS}}}Signature", *_REGISTRATION)):
        _remove(element)
    for attribute in list(entity.iter(f"{{{SAML}}}Attribute")):
        if attribute.get("Name", "").startswith(ATTRIBUTE_PREFIX):
            _remove(attribute)
    for attributes in list(entity.iter(_ENTITY_ATTRIBUTES)):
        if not len(attributes):
            _remove(attributes)
    for element in entity.iter(f"{{{MD}}}*", f"{{{DS}}}*"):
        for own in _OWN_ATTRIBUTES & set(element.attrib):
            del element.attrib[own]


def _remove(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)
