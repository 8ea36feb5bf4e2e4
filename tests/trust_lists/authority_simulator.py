"""A list authority for tests, one for each format behind one interface: it signs on demand, and misbehaves on demand.

As python-tuf's repository simulator: nothing is mocked, every document is really written and signed, and what the
authority says is changed by changing its attributes. An authority states who is listed in the model's terms (`Listed`);
a subclass writes it in its format. What a format has no notion of is None in its table of refusals (`refuses`).
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from lxml import etree

from tests.trust_lists import federations
from tests.trust_lists.builders import (
    NOW,
    POST,
    Authority,
    aggregate,
    authority,
    identity_provider,
    key_descriptor,
    public_jwks,
    scopes,
    service_provider,
    signed,
    unsigned_aggregate,
)
from tests.trust_lists.etsi_lists import TSL, adding, at, removing, signer_of, stripped
from trust_lists import etsi, etsi_json, etsi_xml, federation_bundles, formats, jades, xades
from trust_lists.admission import Mark
from trust_lists.model import Role, Status, TrustList
from trust_lists.scheme import Scheme
from trust_lists.times import format_instant

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
WRONG_CODE = "102017"
"""A local-government code whose check digit is wrong."""

UNKNOWN = "urn:example:unknown"
SINCE = datetime.fromisoformat("2025-04-01T00:00:00+00:00")
"""Since when a status holds, in the formats that say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entity, in terms that every format can state; `scopes` only SAML's identity providers have.

    `key` is the name of its key. No `uses`: not limited. `withdrawn` holds from `since` on in the ETSI formats, and
    from now on in the others, which cannot announce it.
    """

    entity_id: str
    role: Role
    municipality: str = "102016"
    uses: tuple[str, ...] = ()
    maximum_identity: int | None = None
    withdrawn: bool = False
    key: str = "member"
    scopes: tuple[str, ...] = ()
    since: datetime = SINCE


class ListAuthority(ABC):
    """Who signs a list. `document()` signs what the attributes say now.

    `key` is the name of the key in use. `number` counts versions; formats without a number of their own go by
    `issued_at`. `malformed` leaves out what a list cannot be read without; `critical` adds an extension to the list
    that must be understood, `critical_entries` to these entities; `closed` says that no further list will come;
    `spoiled` entities have a wrong check digit, `doubled` ones are listed a second time.
    """

    kind: ClassVar[str]
    roles: ClassVar[tuple[Role, ...]]
    numbered: ClassVar[bool] = False
    """Whether a list states a sequence number apart from its time."""
    signs_entries: ClassVar[bool] = False
    """Whether each entry is signed alone, so that one that was tampered with is dropped alone."""
    states_status: ClassVar[bool] = True
    refuses: ClassVar[Mapping[str, str | None]]
    """The code that answers each misdeed."""

    def __init__(self, name: str, *listed: Listed) -> None:
        self.name = name
        self.listed = {(each.entity_id, each.role): each for each in listed}
        self.key = f"{name} key"
        self.number = 1
        self.issued_at = NOW
        self.lasts = 30 * DAY
        self.signs_later = timedelta()
        self.malformed = False
        self.critical = False
        self.closed = False
        self.critical_entries: set[str] = set()
        self.doubled: set[str] = set()
        self.spoiled: set[str] = set()
        self._frozen: bytes | None = None

    # --- what it says

    @property
    def valid_until(self) -> datetime:
        """When the list ends."""
        return self.issued_at + self.lasts

    @property
    def signed_at(self) -> datetime:
        """When it says that it was signed, where a format tells that apart."""
        return self.issued_at + self.signs_later

    @property
    def sequence(self) -> int:
        """The sequence number that readers see."""
        return self.number if self.numbered else int(self.issued_at.timestamp())

    def put(self, *listed: Listed) -> None:
        """List these entities, in the place of what was said of them."""
        self.listed |= {(each.entity_id, each.role): each for each in listed}

    def remove(self, entity_id: str) -> None:
        """Take an entity off the list."""
        self.listed = {claim: each for claim, each in self.listed.items() if each.entity_id != entity_id}

    def renew(self, after: timedelta = MINUTE) -> None:
        """Begin a newer version, so long after the one before."""
        self.number += 1
        self.issued_at += after

    def roll_over(self) -> bytes:
        """Sign with a successor's key from now on; answers its pin."""
        self.key += " successor"
        return self.anchor

    def freeze(self) -> None:
        """Answer today's document from now on, whatever changes."""
        self._frozen = self.document()

    def document(self) -> bytes:
        """Sign what is to be said now."""
        return self._frozen if self._frozen is not None else self._signed()

    # --- what a reader does

    @property
    def anchor(self) -> bytes:
        """The pin of the key in use, DER."""
        return self._authority.der

    def read(
        self,
        document: bytes | None = None,
        *,
        now: datetime = NOW,
        anchors: Sequence[bytes] | None = None,
        mark: Mark | None = None,
    ) -> TrustList:
        """Read as the gateway does, today's document unless another is given, with the key in use pinned."""
        return formats.read(
            self.document() if document is None else document,
            kind=self.kind,
            name=self.name,
            anchors=[self.anchor] if anchors is None else anchors,
            now=now,
            mark=mark,
        )

    # --- how it misbehaves

    @abstractmethod
    def unsigned(self) -> bytes:
        """The document without its signature."""

    @abstractmethod
    def signed_twice(self) -> bytes:
        """The document with its signature there twice."""

    @abstractmethod
    def swapped(self, other: bytes) -> bytes:
        """The document with what another validly signed one says in the place of its own entries."""

    def signed_by(self, key: str) -> bytes:
        """The same content, signed with a key that is not pinned."""
        kept, self.key = self.key, key
        try:
            return self._signed()
        finally:
            self.key = kept

    def truncated(self, part: float) -> bytes:
        """The first part of the document, as a download that broke off."""
        document = self.document()
        return document[: int(len(document) * part)]

    def altered(self, position: int) -> bytes:
        """The document with one octet changed to another that may stand there as well."""
        document = self.document()
        octet = document[position]
        return document[:position] + (b"B" if octet == ord("A") else b"A") + document[position + 1 :]

    @property
    def _authority(self) -> Authority:
        return authority(self.key, "ec")

    @abstractmethod
    def _signed(self) -> bytes: ...


# --- SAML metadata


_MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
_SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
_SIGNATURE = (b"<ds:Signature ", b"</ds:Signature>")


def _between(document: bytes, start: bytes, end: bytes) -> slice:
    """Where a part of a document stands, with its first and last tag."""
    first = document.index(start)
    return slice(first, document.rindex(end) + len(end))


class SamlAuthority(ListAuthority):
    """An `md:EntitiesDescriptor`. It numbers its versions by when they were created, and knows no critical extensions.

    What is nearest: an unknown entity attribute under our own prefix.
    """

    kind = "saml-metadata"
    roles = (Role.SAML_IDENTITY_PROVIDER, Role.SAML_SERVICE_PROVIDER)
    refuses: ClassVar = {"twice": "signature", "critical": None, "closed": None}

    def _signed(self) -> bytes:
        twice = [each for each in self.listed.values() if each.entity_id in self.doubled]
        return aggregate(
            *(self._entity(each) for each in (*self.listed.values(), *twice)),
            by=self._authority,
            created=self.issued_at,
            until=None if self.malformed else self.valid_until,
        )

    def unsigned(self) -> bytes:
        return unsigned_aggregate(
            *(self._entity(each) for each in self.listed.values()), created=self.issued_at, until=self.valid_until
        )

    def signed_twice(self) -> bytes:
        document = self.document()
        signature = _between(document, *_SIGNATURE)
        return document[: signature.stop] + document[signature] + document[signature.stop :]

    def swapped(self, other: bytes) -> bytes:
        document = self.document()
        part = (b"<md:EntityDescriptor", b"</md:EntityDescriptor>")
        own = _between(document, *part)
        return document[: own.start] + other[_between(other, *part)] + document[own.stop :]

    def _entity(self, each: Listed) -> str:
        keys = key_descriptor(authority(each.key, "ec"), None)
        if each.role is Role.SAML_SERVICE_PROVIDER:
            services = f'<md:AssertionConsumerService Binding="{POST}" Location="{each.entity_id}acs" index="0"/>'
            return service_provider(each.entity_id, keys=keys, extensions=self._extensions(each), services=services)
        return identity_provider(
            each.entity_id,
            keys=keys,
            extensions=self._extensions(each),
            role_extensions=scopes(*each.scopes) if each.scopes else "",
            location=f"{each.entity_id}sso",
        )

    def _extensions(self, each: Listed) -> str:
        said = etsi.information_names(uses=each.uses, maximum_identity=each.maximum_identity)
        attributes = {
            "urn:kakehashi:municipality": (WRONG_CODE if each.entity_id in self.spoiled else each.municipality,),
            "urn:kakehashi:information": said,
            "urn:kakehashi:status": (etsi.status_name(Status.WITHDRAWN),) if each.withdrawn else (),
            "urn:kakehashi:unknown": ("x",) if each.entity_id in self.critical_entries else (),
        }
        inside = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in attributes.items()
            if values
        )
        return (
            f'<md:Extensions xmlns:saml="{_SAML}" xmlns:mdattr="{_MDATTR}">'
            f"<mdattr:EntityAttributes>{inside}</mdattr:EntityAttributes></md:Extensions>"
        )


# --- ETSI


def _entry(each: Listed) -> dict[str, Any]:
    """An entry as an authority writes it (`trust_lists/entries.py`)."""
    of_role: dict[Role, dict[str, Any]] = {
        Role.OPENID_PROVIDER: {"metadata": _provider_metadata(each)},
        Role.CERTIFICATE_AUTHORITY: {"certificates": [authority(each.key, "ec").base64]},
        Role.REGIONAL_SERVICE: {"addresses": [f"{each.entity_id}/api"]},
    }
    limits = {
        "uses": list(each.uses) or None,
        "maximum_identity": each.maximum_identity,
        "status": "withdrawn" if each.withdrawn else None,
        "history": [{"status": "granted", "since": format_instant(SINCE)}] if each.since > SINCE else None,
    }
    return {
        "entity_id": each.entity_id,
        "role": str(each.role),
        "municipality": each.municipality,
        "since": format_instant(each.since),
        **{name: value for name, value in limits.items() if value is not None},
        **of_role[each.role],
    }


def _provider_metadata(each: Listed) -> dict[str, Any]:
    return {"issuer": each.entity_id, "jwks": public_jwks(each.key)}


_MAEBASHI = Scheme(operator={"en": "City of Maebashi"}, contact="mailto:id@maebashi.example.jp")


class EtsiAuthority(ListAuthority):
    """What both ETSI formats have in common: a number of their own, and a publisher that takes the same entries."""

    roles = (Role.OPENID_PROVIDER, Role.CERTIFICATE_AUTHORITY, Role.REGIONAL_SERVICE)
    numbered = True
    publisher: ClassVar[Callable[..., bytes]]

    def _published(self) -> bytes:
        return type(self).publisher(
            [_entry(each) for each in self.listed.values()],
            name=self.name,
            key_pem=self._authority.key_pem,
            certificate_pem=self._authority.certificate_pem,
            issued_at=self.issued_at,
            valid_until=self.valid_until,
            sequence=self.number,
            scheme=_MAEBASHI,
        )


class EtsiJsonAuthority(EtsiAuthority):
    """A compact JAdES signature over JSON."""

    kind = "etsi-119602"
    refuses: ClassVar = {"twice": "format", "critical": "critical-extension"}
    publisher = etsi_json.publish

    def _signed(self) -> bytes:
        content = jades.payload_unsafe(self._published())
        scheme = content["LoTE"]["ListAndSchemeInformation"]
        if self.malformed:
            del scheme["LoTESequenceNumber"]
        if self.critical:
            scheme["SchemeExtensions"] = [{UNKNOWN: {}, "Critical": True}]
        if self.closed:
            scheme["NextUpdate"] = None
        for each, entity in zip(self.listed.values(), content["LoTE"].get("TrustedEntitiesList", []), strict=True):
            if each.entity_id in self.spoiled:
                identifier = etsi.municipality_identifier(WRONG_CODE)
                entity["TrustedEntityInformation"]["TETradeName"] = [{"lang": "en", "value": identifier}]
            if each.entity_id in self.critical_entries:
                stated = entity["TrustedEntityServices"][0]["ServiceInformation"]
                stated.setdefault("ServiceInformationExtensions", []).append({UNKNOWN: {}, "Critical": True})
        for each, entity in zip(self.listed.values(), content["LoTE"].get("TrustedEntitiesList", []), strict=False):
            if each.entity_id in self.doubled:
                content["LoTE"]["TrustedEntitiesList"].append(entity)
        return signed(content, by=self._authority, alg="ES256", iat=int(self.signed_at.timestamp()))

    def unsigned(self) -> bytes:
        return self.document().rpartition(b".")[0] + b"."

    def signed_twice(self) -> bytes:
        document = self.document()
        return document + b"." + document.rpartition(b".")[2]

    def swapped(self, other: bytes) -> bytes:
        head, _, signature = self.document().split(b".")
        return b".".join([head, other.split(b".")[1], signature])


class EtsiXmlAuthority(EtsiAuthority):
    """A `TrustServiceStatusList` with an XAdES signature."""

    kind = "etsi-119612"
    refuses: ClassVar = {"twice": "signature", "critical": "critical-extension"}
    publisher = etsi_xml.publish

    def _signed(self) -> bytes:
        root = stripped(self._published())
        self._change(root)
        return xades.sign(etree.tostring(root), signer=signer_of(self._authority), signing_time=self.signed_at)

    def unsigned(self) -> bytes:
        return etree.tostring(stripped(self.document()))

    def signed_twice(self) -> bytes:
        document = self.document()
        signature = _between(document, *_SIGNATURE)
        return document[: signature.stop] + document[signature] + document[signature.stop :]

    def swapped(self, other: bytes) -> bytes:
        document = self.document()
        part = (b"<TrustServiceProviderList", b"</TrustServiceProviderList>")
        own = _between(document, *part)
        return document[: own.start] + other[_between(other, *part)] + document[own.stop :]

    def _change(self, root: etree._Element) -> None:
        if self.malformed:
            removing("SchemeInformation/TSLSequenceNumber")(root)
        unknown = f'<Extension Critical="true"><u xmlns="{UNKNOWN}"/></Extension>'
        if self.critical:
            adding("SchemeInformation", f"<SchemeExtensions>{unknown}</SchemeExtensions>")(root)
        if self.closed:
            removing("SchemeInformation/NextUpdate/dateTime")(root)
        providers = list(root.iter(f"{{{TSL}}}TrustServiceProvider"))
        for each, provider in zip(self.listed.values(), providers, strict=True):
            if each.entity_id in self.doubled:
                at(root, "TrustServiceProviderList").append(deepcopy(provider))
            if each.entity_id in self.spoiled:
                at(provider, "//TSPTradeName/Name").text = etsi.municipality_identifier(WRONG_CODE)
            if each.entity_id in self.critical_entries:
                information = at(provider, "//ServiceInformation")
                if information.find(f"{{{TSL}}}ServiceInformationExtensions") is None:
                    etree.SubElement(information, f"{{{TSL}}}ServiceInformationExtensions")
                adding("//ServiceInformationExtensions", unknown)(provider)


# --- OpenID Federation


class FederationAuthority(ListAuthority):
    """A trust anchor with its entities directly below it. Each statement is signed alone.

    No status is stated: whoever is withdrawn is not there any more.
    """

    kind = "openid-federation"
    roles = (Role.OPENID_PROVIDER,)
    signs_entries = True
    states_status = False
    refuses: ClassVar = {"twice": "format", "critical": "format", "closed": None}

    @property
    def entity_id(self) -> str:
        """The trust anchor's."""
        return f"https://{self.name}.example"

    @property
    def anchor(self) -> bytes:
        return federations.der(self.key)

    def _signed(self) -> bytes:
        leaves = [self._leaf(each) for each in self.listed.values() if not each.withdrawn]
        return federation_bundles.dump(
            self._configuration(),
            [(leaf.configuration(), self._above.statement(leaf.entity_id)) for leaf in leaves],
        )

    def unsigned(self) -> bytes:
        return self._with_anchor(self._configuration().rpartition(".")[0] + ".")

    def signed_twice(self) -> bytes:
        token = self._configuration()
        return self._with_anchor(token + "." + token.rpartition(".")[2])

    def swapped(self, other: bytes) -> bytes:
        """Each subject's configuration with what the other one's anchor says of it."""
        chains = json.loads(self.document())["chains"]
        others = json.loads(other)["chains"]
        return federation_bundles.dump(
            self._configuration(),
            [(own[0], *said[1:]) for own, said in zip(chains, others, strict=True)],
        )

    def _with_anchor(self, token: str) -> bytes:
        return federation_bundles.dump(token, json.loads(self.document())["chains"])

    @property
    def _times(self) -> dict[str, int]:
        return {"iat": int(self.issued_at.timestamp()), "exp": int(self.valid_until.timestamp())}

    @property
    def _above(self) -> federations.Member:
        anchor = federations.superior(self.entity_id)
        anchor.key = self.key
        anchor.own |= self._times
        for each in self.listed.values():
            said = {
                "municipality": WRONG_CODE if each.entity_id in self.spoiled else each.municipality,
                "uses": list(each.uses) or None,
                "maximum_identity": each.maximum_identity,
            }
            stated = {name: value for name, value in said.items() if value is not None}
            critical = {"crit": [UNKNOWN], UNKNOWN: {}} if each.entity_id in self.critical_entries else {}
            anchor.about[each.entity_id] = {
                "metadata": {etsi.FEDERATION_MEMBER: stated},
                **self._times,
                **critical,
            }
        return anchor

    def _configuration(self) -> str:
        critical: dict[str, Any] = {"crit": [UNKNOWN], UNKNOWN: {}} if self.critical else {}
        missing: dict[str, Any] = {"exp": None} if self.malformed else {}
        return self._above.configuration(**critical, **missing)

    def _leaf(self, each: Listed) -> federations.Member:
        found = federations.leaf(each.entity_id, self.entity_id, openid_provider=_provider_metadata(each))
        found.own |= self._times
        return found


AUTHORITIES: Mapping[str, type[ListAuthority]] = {
    each.kind: each for each in (SamlAuthority, EtsiXmlAuthority, EtsiJsonAuthority, FederationAuthority)
}
"""By format: the whole table of `trust_lists/formats.py`."""


def changed(listed: Listed, **changes: Any) -> Listed:
    """The same entity, spoken of differently."""
    return replace(listed, **changes)
