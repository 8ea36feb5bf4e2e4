"""What a trust list says, in one vocabulary, whatever format said it.

This file owns the values that the rest of the gateway sees of a list: who (`TrustedEntity`), in which role (`Role`),
with which keys and addresses, on whose word (`listed_in`) and until when. Readers of the formats produce them,
`TrustedSet` holds them, and nobody else makes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, NewType

from trust_lists.assurance_rows import Table

VerifiedBytes = NewType("VerifiedBytes", bytes)
"""Bytes whose signature was verified with a key that a list or a pin names; only these are parsed for meaning."""


class Role(StrEnum):
    """What an entity may be trusted to do."""

    SAML_IDENTITY_PROVIDER = "saml-identity-provider"
    SAML_SERVICE_PROVIDER = "saml-service-provider"
    OPENID_PROVIDER = "openid-provider"
    OPENID_RELYING_PARTY = "openid-relying-party"
    CERTIFICATE_AUTHORITY = "certificate-authority"
    REGIONAL_SERVICE = "regional-service"
    COUNCIL_MEMBER = "council-member"


class Status(StrEnum):
    """What a list says of an entity today (ETSI TS 119 612 §5.5.4). `RECOGNISED`: at national level only."""

    GRANTED = "granted"
    RECOGNISED = "recognised"
    WITHDRAWN = "withdrawn"


class StatusChange(NamedTuple):
    """A former status: what it was, since when, and the URI by which the list stated it, if it did."""

    status: Status
    since: datetime
    stated: str = ""


class Endpoint(NamedTuple):
    """An address of an entity in one role (SAML Metadata §2.2.2): `kind` is the element's local name.

    `response_location` is where responses go if not to `location`. A tuple, because a list of ten thousand entities
    has seventy thousand of them.
    """

    role: Role
    kind: str
    binding: str
    location: str
    index: int | None = None  # type: ignore[assignment]  # in the place of `tuple.index`
    is_default: bool = False
    response_location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedEntity:
    """One entity as one list states it.

    `signing_certificates` and `encryption_certificates` are DER, in the list's order; a key without a stated use is in
    both. `metadata` holds registered OpenID client or provider metadata (RFC 7591 §2, OpenID Discovery §3) for the
    OpenID roles, of shared services and council members `jwks` alone, and is empty for SAML; `permitted` are the values
    that the list leaves an OpenID provider, by the names of `openid_entries.BINDING`, in whatever it announces itself.
    `municipality` is a six-digit local-government code or None. Times are aware, UTC. For the SAML roles:
    `encryption_methods` are the algorithms stated for its encryption keys (SAML Metadata §2.4.1.1), in its order of
    preference; `scopes` are the domains, lower case, in which it may assert scoped attributes (`person@scope`);
    `subject_id` is what a service provider requires (SAML Subject Identifier Attributes §2.4: `subject-id`,
    `pairwise-id`, `any`, `none`), or None.

    What the list says it is good for: `status` today, `status_since`, and `history`, the newest former status first;
    `uses` are what it may be used for (None: not limited); `maximum_identity` (0 to 3) is the highest identity
    assurance that it may assert (None: not limited). `service_type` and `information` are URIs of ETSI TS 119 612
    §5.5.1, §5.5.9.4, and assurance certifications of SAML; `registered_by` is who registered it (MDRPI §2.1).
    """

    entity_id: str
    roles: frozenset[Role]
    listed_in: str
    valid_until: datetime
    municipality: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    signing_certificates: tuple[bytes, ...] = ()
    encryption_certificates: tuple[bytes, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    permitted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wants_signed_requests: bool = False
    wants_signed_assertions: bool = False
    maximum_identity: int | None = None
    encryption_methods: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    subject_id: str | None = None
    status: Status = Status.GRANTED
    status_since: datetime | None = None
    history: tuple[StatusChange, ...] = ()
    uses: frozenset[str] | None = None
    service_type: str | None = None
    information: tuple[str, ...] = ()
    registered_by: str | None = None

    def status_at(self, at: datetime) -> Status:
        """Tell the status at a time; before the first one that the list states it was as good as withdrawn."""
        if self.status_since is None or at >= self.status_since:
            return self.status
        return next((former.status for former in self.history if at >= former.since), Status.WITHDRAWN)

    def endpoint(self, role: Role, kind: str, binding: str) -> Endpoint | None:
        """The default endpoint of that kind and binding, or the first one, or None (SAML Metadata §2.2.3)."""
        found = [e for e in self.endpoints if (e.role, e.kind, e.binding) == (role, kind, binding)]
        return next((e for e in found if e.is_default), found[0] if found else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One entry of a list that was dropped alone, and why; `where` is an entity ID or a position."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Another list that a list points to (ETSI TS 119 612 §5.3.13), and the DER certificates that must sign it.

    It says where to look; nothing is trusted because of it.
    """

    location: str
    certificates: tuple[bytes, ...] = ()
    kind: str | None = None
    territory: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """A list whose signature was verified and whose entries were read. Times are aware, UTC.

    `format` is its name in the configuration, `anchor` the SHA-256 of the DER of the pinned certificate or key that
    verified it, `digest` the SHA-256 of the document, `content` of what its entities say, all in hexadecimal; there is
    no `content` where the sequence number does not count all of it (an OpenID federation). `refresh_after` is how long
    its authority asks readers to keep it (SAML Metadata §2.3.1 `cacheDuration`), None if it does not say.

    Of a list that other lists led to (`trust_lists/following.py`): `through` are their names, `location` is where
    the last of them points. `called` is what such a list calls itself, of a federation the trust anchor's entity ID.
    `table`: it names nobody, and says what words of ID systems are worth.
    """

    name: str
    issued_at: datetime
    valid_until: datetime
    sequence: int
    entities: tuple[TrustedEntity, ...]
    faults: tuple[Fault, ...] = ()
    format: str = ""
    pointers: tuple[Pointer, ...] = ()
    refresh_after: timedelta | None = None
    anchor: str = ""
    digest: str = ""
    content: str = ""
    through: tuple[str, ...] = ()
    location: str = ""
    called: str = ""
    table: Table | None = None


class ListRefusedError(Exception):
    """A list that is not loaded: `code` for machines, the text for the operator (where, expected, what to do)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NotTrustedError(Exception):
    """No list in force says that this entity may act in this role.

    `code` is `unlisted`, `expired`, `other-role`, `withdrawn`, or `disputed` (lists in force say different things of
    it).
    """

    def __init__(self, code: str, entity_id: str, role: Role) -> None:
        super().__init__(f"{entity_id} is not trusted as {role}: {code}")
        self.code = code
        self.entity_id = entity_id
        self.role = role
