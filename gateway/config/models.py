"""What each configuration file may hold, key by key, with defaults; `configs/reference/` shows it to people.

Pydantic models: unknown keys are refused, text is text and numbers are numbers. What a key refers to in
another file is checked in `checks.py`.
"""

from datetime import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.certificate.model import PURPOSES
from gateway.config.types import (
    AllOrList,
    AllOrScopes,
    AllOrUses,
    AtMost32,
    AttributeName,
    BaseUrl,
    CanonicalName,
    ClaimName,
    ClientId,
    Clock,
    CouncilOrList,
    Day,
    Distinct,
    Domain,
    EntityId,
    EvidenceName,
    FilePath,
    Filled,
    Host,
    Issuer,
    ListFormat,
    ListType,
    MediaType,
    Municipality,
    NameFormat,
    NetworkRange,
    ObjectIdentifier,
    OriginUrl,
    PlainClaim,
    Recogniser,
    RequestedScope,
    RoutePath,
    SamlName,
    ScopeName,
    Sha256,
    SignInMethod,
    Slug,
    StoreUrl,
    SubjectField,
    Territory,
    Text,
    TransformEntry,
    UpstreamPath,
    Use,
    WebAddress,
    between,
)

LocalTexts = dict[str, Text]
"""A text by language; `checks.py` knows the languages."""
Level = Annotated[int, between(0, 3)]
Port = Annotated[int, between(1, 65535)]
RoleName = Literal[
    "saml-identity-provider",
    "saml-service-provider",
    "openid-provider",
    "openid-relying-party",
    "certificate-authority",
    "regional-service",
    "council-member",
]


class Section(BaseModel):
    """Base of every model: unknown keys refused, values frozen, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


# --- gateway.yaml


class Listen(Section):
    """The public listener."""

    host: Host = "localhost"
    port: Port = 8080


class Admin(Section):
    """The listener for operators: metrics, health, operations page. It knows no users, so loopback only."""

    host: Host = "localhost"
    port: Port = 8081


class Tls(Section):
    """Certificate chain and private key of the public listener, PEM."""

    certificate: FilePath
    key: FilePath


class CardReaders(Section):
    """A listener of its own, where browsers show a certificate in the TLS handshake; `url` is on the public host."""

    url: OriginUrl
    listen: Listen
    tls: Tls


class ClientCertificates(Section):
    """Where clients show certificates (RFC 8705): a listener of the gateway's own, or a proxy that passes them on.

    `url` is the root that these clients ask. `header` Client-Cert (RFC 9440) is believed of `trusted_proxies` only.
    """

    url: OriginUrl
    listen: Listen | None = None
    tls: Tls | None = None
    header: Literal["client-cert"] | None = None


class Timestamps(Section):
    """The authority that says when a text was signed (RFC 3161); `certificates` are its anchors."""

    url: WebAddress
    certificates: Annotated[tuple[FilePath, ...], Filled, Distinct]
    policies: Annotated[tuple[ObjectIdentifier, ...], Distinct] = ()


class Store(Section):
    """Where state is kept: `embedded` starts a server of the gateway's own."""

    url: StoreUrl = "embedded"
    password_file: FilePath | None = None


class Region(Section):
    """What pages say of the region."""

    name: LocalTexts
    contact: LocalTexts


class Limits(Section):
    """Bounds; the unit is in the name."""

    flow_minutes: Annotated[int, between(1, 120)] = 15
    session_hours: Annotated[int, between(1, 168)] = 12
    shutdown_seconds: Annotated[int, between(1, 600)] = 20
    body_kib: Annotated[int, between(16, 16_384)] = 256
    api_body_mib: Annotated[int, between(1, 4_096)] = 64
    websockets: Annotated[int, between(1, 100_000)] = 64
    outward_seconds: Annotated[int, between(1, 120)] = 10
    outward_kib: Annotated[int, between(16, 65_536)] = 1024


class Council(Section):
    """Requests of the policy council: bounds, and where members' systems may be. `concurrency` counts from a start."""

    concurrency: Annotated[int, between(1, 256)] = 32
    most_targets: Annotated[int, between(1, 2000)] = 500
    answer_kib: Annotated[int, between(1, 1024)] = 64
    keep_days: Annotated[int, between(1, 366)] = 30
    open_requests: Annotated[int, between(1, 100)] = 8
    private_addresses: Literal["refused", "allowed"] = "refused"


class EvidenceLevels(Section):
    """What an attribute is worth at most by how it is known (`federation.evidence`); these may be lowered."""

    signing_certificate: Annotated[int, between(0, 3), Field(alias="signing-certificate")] = 3
    accredited_certificate: Annotated[int, between(0, 3), Field(alias="accredited-certificate")] = 3
    register_: Annotated[int, between(0, 3), Field(alias="register")] = 3
    card_face: Annotated[int, between(0, 2), Field(alias="card-face")] = 2
    document: Annotated[int, between(0, 2)] = 2
    clerk: Annotated[int, between(0, 2)] = 2


class Log(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Federation(Section):
    """The region as an entity of OpenID Federation: a trust anchor, or below those that `authority_hints` name."""

    authority_hints: Annotated[tuple[Issuer, ...], AtMost32, Distinct] = ()
    statement_hours: Annotated[int, between(1, 168)] = 24


class MetadataQuery(Section):
    """The region's own SAML entities, one by one (the Metadata Query protocol)."""

    valid_days: Annotated[int, between(1, 14)] = 7


Weaker = Literal["store-not-durable", "private-back-channels"]
"""Weaker settings of the gateway itself, by name.

`store-not-durable`: a store server that does not write to disk (`appendonly no`) is used all the same, so that
consents can be lost. `private-back-channels`: services are told of ended sessions at addresses of a private network,
too, wherever their list entry sends the gateway there.
"""
WeakerIdSystem = Literal["unsolicited-responses", "cbc-encryption"]
"""Weaker settings of one SAML ID system.

`unsolicited-responses`: it may send people here unasked (SAML Profiles §4.1.5), so that nothing binds its answer to a
browser. `cbc-encryption`: it may encrypt with AES-CBC, which protects no integrity (XML Encryption 1.1 §5.2.4).
"""
WeakerService = Literal["common-subject-id"]
"""Weaker settings of one SAML service.

`common-subject-id`: it may get the person's `subject-id`, by which services can tell one another of whom they speak.
"""


class GatewayFile(Section):
    """gateway.yaml."""

    public_url: OriginUrl
    scope: Domain | None = None
    listen: Listen = Listen()
    admin: Admin = Admin()
    tls: Tls | None = None
    card_readers: CardReaders | None = None
    client_certificates: ClientCertificates | None = None
    trusted_proxies: Annotated[tuple[NetworkRange, ...], Distinct] = ()
    store: Store = Store()
    region: Region
    languages: Annotated[tuple[Literal["ja", "en"], ...], Filled, Distinct] = ("ja", "en")
    default_language: Literal["ja", "en"] = "ja"
    limits: Limits = Limits()
    council: Council = Council()
    evidence: EvidenceLevels = EvidenceLevels()
    resident_code_check_digit: Literal["believed", "doubted"] = "believed"
    without_evidence: Literal["go-on", "refuse"] = "go-on"
    log: Log = Log()
    workers: Annotated[int, between(1, 64)] = 1
    federation: Federation | None = None
    metadata_query: MetadataQuery | None = None
    timestamp: Timestamps | None = None
    weaker: Annotated[tuple[Weaker, ...], Distinct] = ()


# --- trust.yaml


class FollowEntry(Section):
    """Which pointers of a list of lists are followed; `territories` and `types` None: whatever they state."""

    depth: Annotated[int, between(1, 3)] = 1
    most: Annotated[int, between(1, 200)] = 32
    territories: Annotated[tuple[Territory, ...], Filled, Distinct] | None = None
    types: Annotated[tuple[ListType, ...], Filled, Distinct] | None = None


class Source(Section):
    """A signed trust list: where it is found, and whose signature it must bear.

    One of `file`, `url` and (OpenID Federation alone) `entity`, the trust anchor's entity ID. `next_anchors` are
    believed too: the successors of `anchors`, while an authority changes its key. `follow`: None follows no pointer.
    """

    name: Slug
    format: ListFormat
    file: FilePath | None = None
    url: WebAddress | None = None
    entity: Issuer | None = None
    anchors: Annotated[tuple[FilePath, ...], Filled, Distinct]
    next_anchors: Annotated[tuple[FilePath, ...], Distinct] = ()
    approval: Literal["required"] | None = None
    municipality: Municipality | None = None
    private_addresses: Literal["refused", "allowed"] = "refused"
    follow: FollowEntry | None = None


class TrustFile(Section):
    """trust.yaml."""

    sources: Annotated[tuple[Source, ...], Filled]
    refresh_seconds: Annotated[int, between(1, 86_400)] = 2


# --- recognition.yaml


class RecognitionEntry(Section):
    """Who counts a list, or what a municipality counts, how far and on which agreement.

    Exactly one of `list` and `municipality`. `uses` and `scopes` None: all. `since` and `until` are days in Japan,
    both included.
    """

    id: Slug
    by: Recogniser
    list: Slug | None = None
    municipality: Municipality | None = None
    roles: Annotated[tuple[RoleName, ...], Filled, Distinct] | None = None
    status: Annotated[tuple[Literal["granted", "recognised"], ...], Filled, Distinct] = ("granted",)
    uses: AllOrUses
    maximum_identity: Level
    scopes: AllOrScopes = None
    since: Day | None = None
    until: Day
    agreement: Text


class RecognitionFile(Section):
    """recognition.yaml."""

    maximum_length: Annotated[int, between(1, 5)] = 3
    recognitions: tuple[RecognitionEntry, ...] = ()


# --- id-systems/*.yaml


class Inward(Section):
    """One attribute of the ID system, brought into the region's vocabulary."""

    to: CanonicalName
    sources: Annotated[tuple[AttributeName, ...], Filled, Distinct] = Field(alias="from")
    transforms: tuple[TransformEntry, ...] = ()
    evidence: EvidenceName | None = None
    own_numbers: bool = False


class Levels(Section):
    """What a statement is worth."""

    identity: Level = 0
    authentication: Level = 0


class StatementLevels(Levels):
    """The same of one word; `amr` is how whoever it was said of signed in (RFC 8176)."""

    amr: Annotated[tuple[SignInMethod, ...], Distinct] = ()


class AssuranceTable(Section):
    """What the ID system's own words on assurance are worth here."""

    statements: dict[AttributeName, StatementLevels] = {}
    otherwise: Levels = Levels()


class Client(Section):
    """The gateway as a client of an OpenID provider."""

    id: ClientId
    authentication: Literal["private_key_jwt", "client_secret_basic"] = "private_key_jwt"
    client_secret_file: FilePath | None = None
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"
    scopes: Annotated[tuple[RequestedScope, ...], Distinct] = ("openid",)


class IdSystemFile(Section):
    """What every kind of ID system has.

    `attributes_like`: the rules of that ID system's map, except those `attributes_without` and those that stand here.
    `assurance` None: a signed table alone says what its words are worth.
    """

    id: Slug
    municipality: Municipality
    name: LocalTexts
    reading: Text
    description: LocalTexts = {}
    attributes: tuple[Inward, ...] = ()
    attributes_like: Slug | None = None
    attributes_without: Annotated[tuple[CanonicalName, ...], Distinct] = ()
    subject_own_numbers: bool = False
    assurance: AssuranceTable | None = None


class OidcIdSystem(IdSystemFile):
    """An OpenID provider; `entity_id` is its issuer."""

    kind: Literal["oidc"]
    entity_id: Issuer
    client: Client
    subject: AttributeName = "sub"


class SamlIdSystem(IdSystemFile):
    """A SAML identity provider; `subject` is `NameID` or the attribute that identifies the person."""

    kind: Literal["saml"]
    entity_id: EntityId
    subject: AttributeName = "NameID"
    scoped_attributes: Annotated[tuple[AttributeName, ...], Distinct] = ()
    weaker: Annotated[tuple[WeakerIdSystem, ...], Distinct] = ()


class Revocation(Section):
    """What counts when it cannot be learned whether a certificate was revoked.

    `soft`: an answer that is over for no more than `stale_hours` still counts, and without one the sign-in is worth at
    most `cap`. `fresh_minutes`: an answer older than that is asked for again; None: its own nextUpdate decides.
    """

    mode: Literal["hard", "soft"] = "hard"
    cap: Level = 1
    stale_hours: Annotated[int, between(0, 168)] = 0
    fresh_minutes: Annotated[int, between(1, 10_080)] | None = None
    private_addresses: Literal["refused", "allowed"] = "refused"


class CertificateIdSystem(IdSystemFile):
    """Certificates on residents' phones; `entity_id` is their authority's on the signed list.

    `phone_url` is where the phone's app is opened; `policies` are those that are accepted, none: every one.
    `extended_key_usages`: one of them must be stated where any is; none: whatever is stated.
    """

    kind: Literal["certificate"]
    entity_id: EntityId
    phone_url: WebAddress
    subject: SubjectField = "subject.serialNumber"
    policies: Annotated[tuple[ObjectIdentifier, ...], Distinct] = ()
    extended_key_usages: Annotated[tuple[ObjectIdentifier, ...], Distinct] = PURPOSES
    attribute_policies: Annotated[tuple[ObjectIdentifier, ...], Distinct] = ()
    card_readers: Literal["refused", "accepted"] = "refused"
    answer_minutes: Annotated[int, between(1, 15)] = 5
    reissue: Literal["revokes", "adds"] = "revokes"
    revocation: Revocation = Revocation()


AnyIdSystem = OidcIdSystem | SamlIdSystem | CertificateIdSystem


# --- services/*.yaml


class Outward(Section):
    """One attribute that a service learns, under the service's name for it."""

    to: AttributeName
    sources: Annotated[tuple[CanonicalName, ...], Filled, Distinct] = Field(alias="from")
    transforms: tuple[TransformEntry, ...] = ()
    required: bool = False
    minimum_identity: Level = 0
    own_numbers: bool = False
    label: LocalTexts | None = None


class OidcOutward(Outward):
    """The same for OpenID: `to` is a claim, and none of those with which a token speaks of itself."""

    to: ClaimName


class SamlOutward(Outward):
    """The same for SAML: `format` is NameFormat, `friendly_name` FriendlyName (SAML Core §2.7.3.1)."""

    to: SamlName
    format: NameFormat | None = None
    friendly_name: AttributeName | None = None


class ServiceFile(Section):
    """What every kind of service has.

    `attributes_like`: the rules of that service's map, except those `attributes_without` and those that stand here.
    """

    id: Slug
    municipality: Municipality | None = None
    name: LocalTexts
    purpose: LocalTexts
    address: WebAddress | None = None
    id_systems: AllOrList = None
    minimum_identity: Level = 1
    minimum_authentication: Level = 0
    use: Use | None = None
    sector: Slug | None = None
    consent_days: Annotated[int, between(1, 3650)] = 365
    attributes_like: Slug | None = None
    attributes_without: Annotated[tuple[AttributeName, ...], Distinct] = ()


class OidcService(ServiceFile):
    """An OpenID relying party; `entity_id` is its client ID."""

    kind: Literal["oidc"]
    entity_id: ClientId
    attributes: tuple[OidcOutward, ...] = ()
    scopes: Annotated[tuple[ScopeName, ...], Distinct] = ()
    signing: bool = False
    client_secret_sha256: Sha256 | None = None


class SamlService(ServiceFile):
    """A SAML service provider."""

    kind: Literal["saml"]
    entity_id: EntityId
    attributes: tuple[SamlOutward, ...] = ()
    subject_identifier: Literal["pairwise-id", "subject-id"] | None = None
    authentication_methods: bool = False
    weaker: Annotated[tuple[WeakerService, ...], Distinct] = ()


# --- routes.yaml


class SignaturesEntry(Section):
    """Whether a service's answers are signed (`federation.signatures.calls.Demand`), and with whose keys."""

    responses: Literal["none", "verified", "required"]
    certificates: Annotated[tuple[FilePath, ...], Filled, Distinct]


class HealthEntry(Section):
    """What a service's addresses are asked for, and how often (`federation.reach.Health`)."""

    path: UpstreamPath
    seconds: Annotated[int, between(1, 3600)] = 10


class EjectionEntry(Section):
    """When an address that fails gets no calls (`federation.reach.Ejection`)."""

    failures: Annotated[int, between(1, 1000)] = 5
    seconds: Annotated[int, between(1, 300)] = 10


class RetriesEntry(Section):
    """How often a call is sent again where that is safe (`federation.reach.Retries`)."""

    most: Annotated[int, between(0, 5)] = 1
    budget_percent: Annotated[int, between(0, 100)] = 20


class ApiServiceEntry(Section):
    """A shared service behind the proxy; `audience` names it in the identity assertion (None: `upstream`).

    `targets` are where it is reached (none: at `upstream`). `ejection` and `retries` None: as `EjectionEntry` and
    `RetriesEntry` say by themselves if there are several, and not at all if there is one.
    `idempotent`: it does nothing twice under one Idempotency-Key. `signatures` None: nobody looks at them.
    `entity_id` is its client ID, by which a list names it: then it may call others on people's behalf.
    """

    id: Slug
    name: LocalTexts
    upstream: BaseUrl
    targets: Annotated[tuple[BaseUrl, ...], Distinct] = ()
    most_connections: Annotated[int, between(1, 4096)] = 256
    health: HealthEntry | None = None
    ejection: EjectionEntry | None = None
    retries: RetriesEntry | None = None
    audience: ClientId | None = None
    entity_id: ClientId | None = None
    timeout_seconds: Annotated[int, between(1, 300)] = 10
    idempotent: bool = False
    signatures: SignaturesEntry | None = None


class ActingEntry(Section):
    """Who (a client ID) may use which other scopes on behalf of a person who agreed to the scope that says so."""

    by: ClientId
    scopes: Annotated[tuple[ScopeName, ...], Filled, Distinct]


class ScopeAttribute(Section):
    """What shared services learn of the person with each call by a scope: a claim of the identity assertion."""

    to: PlainClaim
    sources: Annotated[tuple[CanonicalName, ...], Filled, Distinct] = Field(alias="from")
    transforms: tuple[TransformEntry, ...] = ()
    minimum_identity: Level = 0
    label: LocalTexts | None = None


class ScopeEntry(Section):
    """A scope that a service may ask for, as the consent page names it, and what shared services learn by it."""

    name: ScopeName
    label: LocalTexts
    attributes: tuple[ScopeAttribute, ...] = ()
    acting: ActingEntry | None = None


class RouteGuard(Section):
    """Whether calls and answers are looked at for what must never pass.

    `request` and `response` None: not looked at. `allow` names fields whose own numbers look alike, `unlooked` types of
    content that nobody looks at.
    """

    request: Literal["refuse", "report"] | None = None
    response: Literal["refuse", "report"] | None = None
    allow: Annotated[tuple[AttributeName, ...], Distinct] = ()
    unlooked: Annotated[tuple[MediaType, ...], Distinct] = ()
    resident_code_check_digit: Literal["believed", "doubted"] | None = None


class RateEntry(Section):
    """At most `calls` in `seconds`, and `burst` at once (None: as many as `calls`)."""

    calls: Annotated[int, between(1, 1_000_000)]
    seconds: Annotated[int, between(1, 86_400)]
    burst: Annotated[int, between(1, 1_000_000)] | None = None


class QuotasEntry(Section):
    """How often one person, and everybody of one municipality together, may call; None: as often as they like."""

    person: RateEntry | None = None
    municipality: RateEntry | None = None


DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class HoursEntry(Section):
    """When a route is open, by the clock of Japan; `until` earlier than `from` is on the next morning."""

    days: Annotated[tuple[DayName, ...], Filled, Distinct] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    opens: Annotated[Clock, Field(alias="from")] = time(0, 0)
    until: Clock | None = None


class RouteEntry(Section):
    """One route: who may call what, where it goes, and as whom the caller is shown (`federation.routes.Subject`).

    The rest are its `federation.terms.Terms`. `since` and `until` are days in Japan, both included.
    """

    path: RoutePath
    methods: Annotated[
        tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...], Filled, Distinct
    ]
    service: Slug
    upstream_path: UpstreamPath
    scope: ScopeName
    minimum_identity: Level = 1
    minimum_authentication: Level = 0
    callers: Annotated[tuple[Literal["people", "systems"], ...], Filled, Distinct] = ("people",)
    members: CouncilOrList = "council"
    quotas: QuotasEntry | None = None
    body_kib: Annotated[int, between(1, 4_194_304)] | None = None
    content_types: Annotated[tuple[MediaType, ...], Distinct] = ()
    hours: HoursEntry | None = None
    websocket: bool = False
    requires: Annotated[tuple[AttributeName, ...], Distinct] = ()
    since: Day | None = None
    until: Day | None = None
    idempotency: Literal["none", "accepted", "required"] = "none"
    guard: RouteGuard | None = None
    subject: Literal["pairwise", "context", "none"] = "pairwise"
    context: Text | None = None


class RoutesFile(Section):
    """routes.yaml."""

    services: tuple[ApiServiceEntry, ...] = ()
    scopes: tuple[ScopeEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()


# --- systems.yaml


class SystemEntry(Section):
    """A municipality's own system: its OAuth client ID, by which a list names it as a member of the council."""

    id: Slug
    entity_id: ClientId
    name: LocalTexts
    scopes: Annotated[tuple[ScopeName, ...], Filled, Distinct]


class SystemsFile(Section):
    """systems.yaml."""

    systems: tuple[SystemEntry, ...] = ()
