"""Lists of trusted entities in JSON (ETSI TS 119 602 v1.1.1), our own lists' native form: read, and signed.

A compact JAdES signature (§6.8, `trust_lists/jades.py`) over `{"LoTE": {ListAndSchemeInformation,
TrustedEntitiesList}}`. Names of members, which are required and which are lists were held against the specification's
JSON schema (x19_60201_lists_of_trusted_entities, `1960201_json_schema.json`), the signature and the rule for critical
extensions (§6.3.17) against how another implements them (openvc). What a service says: `etsi_json_services.py`.

The list's name is its English `SchemeName`, or the first one, written as trust.yaml writes names: a list that calls
itself "EU:WRPAC providers list" is `eu-wrpac-providers-list`, one that calls itself `region-openid` is that.

Not held: that the subject of the signing certificate repeats operator and territory (§6.8). Here a certificate is
pinned as it is, and carries a key and nothing else (`trust_lists/certificates.py`).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from trust_lists import admission, etsi, etsi_json_services, jades, strict_json
from trust_lists import entries as members_entries
from trust_lists.admission import Entries, Opened
from trust_lists.etsi_json_services import extensions, instant, items, members, texts, uri, uris
from trust_lists.model import Fault, ListRefusedError, Pointer, TrustedEntity, TrustList, VerifiedBytes
from trust_lists.rules import EntryError, Place, UnpublishableError
from trust_lists.scheme import Scheme, territory
from trust_lists.times import format_instant

MAXIMUM_BYTES = 16 * 1024 * 1024

VERSION = 1
"""LoTEVersionIdentifier (§6.3.1)."""

LIST_TYPE = etsi.PREFIX + "list-type:trusted-entities"
"""LoTEType of the lists that are signed here (§6.3.3)."""

_MEDIA_TYPE = "application/jwt"

_LARGEST_SEQUENCE = 2**53 - 1
"""The largest number that every JSON reader keeps exactly (RFC 8259 §6)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def read(document: bytes, *, name: str | None, anchors: Sequence[bytes], now: datetime) -> TrustList:
    """Open the list and admit it: `open_list`, then every rule of `admission`, then its services and pointers.

    Raises `ListRefusedError` as both do. A service that breaks a rule is a `Fault` and dropped alone.
    """
    return admission.admit(open_list(document, name=name, anchors=anchors), now=now)


def open_list(document: bytes, *, name: str | None, anchors: Sequence[bytes]) -> Opened:
    """Verify the list with one of the anchors (DER certificates or public keys), and read what it says of itself.

    `name` is what the list must call itself, so that one list of an authority cannot stand in for another; None takes
    any. Raises `ListRefusedError` with code `too-large`, `unsigned`, `format`, `critical-header`, `signature`,
    `other-list`, `critical-extension` or `closed`.
    """
    label = name or "(unnamed)"
    verified = jades.verify(document, label=label, anchors=anchors, maximum_bytes=MAXIMUM_BYTES)
    scheme, listed = _content(verified.octets, label=label)
    own = _own_name(scheme)
    if name is not None and own != name:
        raise ListRefusedError(
            "other-list", f"list {name}: this is the list {own[:100]!r}; put the right file in its place."
        )
    _check_extensions(scheme, label=own)
    if scheme["NextUpdate"] is None:
        raise ListRefusedError(
            "closed",
            f"list {own}: its authority has closed it (NextUpdate is null); take the source out of trust.yaml.",
        )
    valid_until = instant(scheme["NextUpdate"], ())

    def entries(_: datetime) -> Entries:
        entities, faults = _entities(listed, listed_in=own, valid_until=valid_until)
        pointers, more_faults = _pointers(scheme.get("PointersToOtherLoTE", []))
        return Entries(entities, (*faults, *more_faults), pointers)

    return Opened(
        name=own,
        sequence=scheme["LoTESequenceNumber"],
        issued_at=instant(scheme["ListIssueDateTime"], ()),
        valid_until=valid_until,
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
    """Sign the list of these members (`trust_lists/entries.py`), and of these pointers to other lists.

    Whole seconds of both times are kept. The certificate is the one that readers pin. Raises `UnpublishableError` for a
    member that a reader would drop, ValueError for a key that does not fit, a name that is none, or a pointer that a
    reader would drop.
    """
    if not _NAME.fullmatch(name):
        message = f"{name[:100]!r} is not a name of a list"
        raise ValueError(message)
    about = scheme or Scheme()
    seen: set[tuple[str, frozenset[str]]] = set()
    written: list[dict[str, Any]] = []
    for position, member in enumerate(listed):
        try:
            entry = members_entries.read_entry(member, listed_in=name, valid_until=valid_until)
        except EntryError as error:
            raise UnpublishableError(position, error) from error
        claim = (entry.entity.entity_id, frozenset(map(str, entry.entity.roles)))
        if claim in seen:
            raise UnpublishableError(position, EntryError(("entity_id",), "listed twice"))
        seen.add(claim)
        written.append(etsi_json_services.write(entry, territory=about.territory))
    content: dict[str, Any] = {
        "ListAndSchemeInformation": _scheme_information(
            about, name=name, issued_at=issued_at, valid_until=valid_until, sequence=sequence
        )
    }
    if pointers:
        stated = [_written_pointer(pointer) for pointer in pointers]
        _, faults = _pointers(stated)
        if faults:
            message = f"the list would lose {faults[0].where}: {faults[0].reason}"
            raise ValueError(message)
        content["ListAndSchemeInformation"]["PointersToOtherLoTE"] = stated
    if written:
        content["TrustedEntitiesList"] = written
    payload = json.dumps({"LoTE": content}, ensure_ascii=False, separators=(",", ":")).encode()
    return jades.sign(payload, key_pem=key_pem, certificate_pem=certificate_pem, signed_at=issued_at)


def stated_sequence_unsafe(document: bytes) -> int:
    """Look up the sequence number that a document states, unverified. Raises ValueError.

    Only for an authority that counts on from its own last output.
    """
    try:
        sequence = jades.payload_unsafe(document)["LoTE"]["ListAndSchemeInformation"]["LoTESequenceNumber"]
    except (KeyError, TypeError) as error:
        message = "not a signed list"
        raise ValueError(message) from error
    if not _is_sequence(sequence):
        message = "not a signed list"
        raise ValueError(message)
    return int(sequence)


def _scheme_information(
    about: Scheme, *, name: str, issued_at: datetime, valid_until: datetime, sequence: int
) -> dict[str, Any]:
    operator = about.operator or {"en": name}
    found: dict[str, Any] = {
        "LoTEVersionIdentifier": VERSION,
        "LoTESequenceNumber": sequence,
        "LoTEType": LIST_TYPE,
        "SchemeOperatorName": [{"lang": language, "value": text} for language, text in operator.items()],
    }
    if about.contact is not None:
        found["SchemeOperatorAddress"] = {
            "SchemeOperatorPostalAddress": etsi_json_services.postal_addresses(about.postal_address, about.territory),
            "SchemeOperatorElectronicAddress": [{"lang": "en", "uriValue": about.contact}],
        }
    found["SchemeName"] = [{"lang": "en", "value": name}]
    if about.information is not None:
        found["SchemeInformationURI"] = [{"lang": "en", "uriValue": about.information}]
    found["SchemeTerritory"] = about.territory
    found["ListIssueDateTime"] = format_instant(issued_at)
    found["NextUpdate"] = format_instant(valid_until)
    if about.distribution:
        found["DistributionPoints"] = list(about.distribution)
    return found


# --- the list and its scheme


def _is_sequence(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SEQUENCE


def _version(value: object, place: Place) -> None:
    if value != VERSION or type(value) is not int:
        raise EntryError(place, f"version {VERSION} is expected")


def _sequence(value: object, place: Place) -> None:
    if not _is_sequence(value):
        raise EntryError(place, f"a whole number up to {_LARGEST_SEQUENCE} is expected")


def _next_update(value: object, place: Place) -> None:
    if value is not None:
        instant(value, place)


def _period(value: object, place: Place) -> None:
    if type(value) is not int or value < 0:
        raise EntryError(place, "a number of days is expected")


def _addresses(value: object, place: Place) -> None:
    for index, address in enumerate(items(value, place)):
        uri(address, (*place, index))


def _address(value: object, place: Place) -> None:
    members(value, place, (("SchemeOperatorPostalAddress", "SchemeOperatorElectronicAddress"), ()))


class _Rule(NamedTuple):
    """What is expected of a member of the scheme's information."""

    check: Callable[[Any, Place], object]
    required: bool = False


_SCHEME: Mapping[str, _Rule] = {
    "LoTEVersionIdentifier": _Rule(_version, required=True),
    "LoTESequenceNumber": _Rule(_sequence, required=True),
    "LoTEType": _Rule(uri),
    "SchemeOperatorName": _Rule(texts, required=True),
    "SchemeOperatorAddress": _Rule(_address),
    "SchemeName": _Rule(texts, required=True),
    "SchemeInformationURI": _Rule(uris),
    "StatusDeterminationApproach": _Rule(uri),
    "SchemeTypeCommunityRules": _Rule(uris),
    "SchemeTerritory": _Rule(territory),
    "PolicyOrLegalNotice": _Rule(items),
    "HistoricalInformationPeriod": _Rule(_period),
    "PointersToOtherLoTE": _Rule(items),
    "ListIssueDateTime": _Rule(instant, required=True),
    "NextUpdate": _Rule(_next_update, required=True),
    "DistributionPoints": _Rule(_addresses),
    "SchemeExtensions": _Rule(extensions),
}
"""Every member of ListAndSchemeInformation (§6.3). SchemeName is optional in the schema; here a list without a name
of its own could stand in for another."""

_SCHEME_MEMBERS = (
    tuple(name for name, rule in _SCHEME.items() if rule.required),
    tuple(name for name, rule in _SCHEME.items() if not rule.required),
)


def _content(verified: VerifiedBytes, *, label: str) -> tuple[dict[str, Any], list[Any]]:
    """Answer the scheme's information, its shape checked, and the list of entities as it stands."""
    try:
        stated = strict_json.loads(verified)
    except ValueError as error:
        raise ListRefusedError("format", f"list {label}: the content is not usable JSON: {error}.") from error
    try:
        whole = members(stated, (), (("LoTE",), ()))
        lote = members(whole["LoTE"], ("LoTE",), (("ListAndSchemeInformation",), ("TrustedEntitiesList",)))
        place = ("ListAndSchemeInformation",)
        scheme = members(lote["ListAndSchemeInformation"], place, _SCHEME_MEMBERS)
        for name, value in scheme.items():
            _SCHEME[name].check(value, (*place, name))
        listed = _listed(lote)
    except EntryError as error:
        raise ListRefusedError(
            "format",
            f"list {label}: this is no list of trusted entities (ETSI TS 119 602): {error}; let its authority sign it "
            "with `kakehashi trust sign`.",
        ) from error
    return scheme, listed


def _listed(lote: Mapping[str, Any]) -> list[Any]:
    """Answer the entities; the member may be left out, but not be empty (schema: minItems 1)."""
    listed = lote.get("TrustedEntitiesList", [])
    if not isinstance(listed, list) or ("TrustedEntitiesList" in lote and not listed):
        raise EntryError(("TrustedEntitiesList",), "a list is expected, or no such member if there is nobody on it")
    return listed


def _own_name(scheme: Mapping[str, Any]) -> str:
    called = {each["lang"].lower(): each["value"] for each in reversed(scheme["SchemeName"])}
    stated: str = called.get("en", scheme["SchemeName"][0]["value"])
    if _NAME.fullmatch(stated):
        return stated
    return re.sub(r"[^a-z0-9]+", "-", stated.lower()).strip("-")[:64].strip("-") or stated[:64]


def _check_extensions(scheme: Mapping[str, Any], *, label: str) -> None:
    """Refuse a list that hangs on something that is not understood here (§6.3.17)."""
    for extension in extensions(scheme["SchemeExtensions"], ()) if "SchemeExtensions" in scheme else ():
        if extension.critical or extension.name.startswith(etsi.PREFIX):
            raise ListRefusedError(
                "critical-extension",
                f"list {label}: it hangs on the extension {extension.name[:100]!r}, which is unknown here; a newer "
                "version of this software may know it.",
            )


# --- entities and pointers


def _entities(
    listed: Sequence[object], *, listed_in: str, valid_until: datetime
) -> tuple[tuple[TrustedEntity, ...], tuple[Fault, ...]]:
    """Read in the list's order. Services that claim one entity ID and role between them are all dropped."""
    found: list[tuple[str, tuple[str, str], TrustedEntity | EntryError]] = []
    for position, entity in enumerate(listed, start=1):
        services = etsi_json_services.services(entity)
        for index, service in enumerate(services, start=1):
            where = f"entry {position}" if len(services) == 1 else f"entry {position}, service {index}"
            read: TrustedEntity | EntryError
            try:
                read = etsi_json_services.read_service(entity, service, listed_in=listed_in, valid_until=valid_until)
                claim = (read.entity_id, str(next(iter(read.roles))))
            except EntryError as error:
                read, claim = error, etsi_json_services.claim(service)
            found.append((where, claim, read))
    counts = Counter(claim for _, claim, _ in found)
    entities: list[TrustedEntity] = []
    faults: list[Fault] = []
    for where, claim, read in found:
        place = claim[0][:200] or where
        if claim[0] and counts[claim] > 1:
            faults.append(Fault(where=place, reason=f"entity_id: listed more than once; all dropped ({where})"))
        elif isinstance(read, EntryError):
            faults.append(Fault(where=place, reason=str(read)))
        else:
            entities.append(read)
    return tuple(entities), tuple(faults)


_POINTER = (("LoTELocation", "ServiceDigitalIdentities", "LoTEQualifiers"), ())
_QUALIFIER = (("LoTEType", "SchemeOperatorName", "MimeType"), ("SchemeTypeCommunityRules", "SchemeTerritory"))


def _pointers(stated: Sequence[object]) -> tuple[tuple[Pointer, ...], tuple[Fault, ...]]:
    found: list[Pointer] = []
    faults: list[Fault] = []
    for position, each in enumerate(stated, start=1):
        try:
            found.append(_pointer(each))
        except EntryError as error:
            faults.append(Fault(where=f"pointer {position}", reason=str(error)))
    return tuple(found), tuple(faults)


def _pointer(value: object) -> Pointer:
    stated = members(value, (), _POINTER)
    identities: Place = ("ServiceDigitalIdentities",)
    pinned: list[bytes] = []
    for index, identity in enumerate(items(stated["ServiceDigitalIdentities"], identities)):
        pinned += etsi_json_services.digital_certificates(identity, (*identities, index))
    qualifiers = items(stated["LoTEQualifiers"], ("LoTEQualifiers",))
    qualifier = members(qualifiers[0], ("LoTEQualifiers", 0), _QUALIFIER)
    place: Place = ("LoTEQualifiers", 0)
    if not isinstance(qualifier["MimeType"], str):
        raise EntryError((*place, "MimeType"), "a text is expected")
    return Pointer(
        location=uri(stated["LoTELocation"], ("LoTELocation",)),
        certificates=tuple(dict.fromkeys(pinned)),
        kind=uri(qualifier["LoTEType"], (*place, "LoTEType")),
        territory=territory(qualifier["SchemeTerritory"], (*place, "SchemeTerritory"))
        if "SchemeTerritory" in qualifier
        else None,
        media_type=qualifier["MimeType"][:100],
    )


def _written_pointer(pointer: Pointer) -> dict[str, Any]:
    """Write a pointer. Whose list is there is not known: its operator is called by the host of the address."""
    qualifier: dict[str, Any] = {
        "LoTEType": pointer.kind or LIST_TYPE,
        "SchemeOperatorName": [{"lang": "en", "value": urlsplit(pointer.location).hostname or "-"}],
    }
    if pointer.territory is not None:
        qualifier["SchemeTerritory"] = pointer.territory
    qualifier["MimeType"] = pointer.media_type or _MEDIA_TYPE
    values = [etsi_json_services.certificate_value(der) for der in pointer.certificates]
    return {
        "LoTELocation": pointer.location,
        "ServiceDigitalIdentities": [{"X509Certificates": values}],
        "LoTEQualifiers": [qualifier],
    }
