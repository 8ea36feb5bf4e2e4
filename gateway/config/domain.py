"""The configuration as the gateway uses it: domain values, files found, secrets read.

The translation presumes that nothing is wrong; `config.load` sees to that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from cryptography import x509

from federation.attributes import InwardMap, InwardRule, OutwardMap, OutwardRule, derived
from federation.callers import CallerKind
from federation.certificate.connector import CertificateSettings
from federation.certificate.model import RevocationPolicy, Wanted
from federation.certificate.timestamp import TimestampAuthority
from federation.guard import Guard, Outcome
from federation.model import Assurance, IdSystem, Level, Service, Texts
from federation.oidc.exchange import Acting
from federation.oidc.parties import System
from federation.reach import Ejection, Health, Reach, Retries
from federation.routes import ApiService, Inspected, Route, RouteTable, Subject
from federation.signatures.algorithms import keyring
from federation.signatures.calls import Demand
from federation.terms import DAYS, Idempotency, Membership, Opening, Quotas, Rate, Terms
from gateway.config.files import Document
from gateway.config.material import Material
from gateway.config.mistakes import Mistake
from gateway.config.models import (
    AnyIdSystem,
    ApiServiceEntry,
    CertificateIdSystem,
    EjectionEntry,
    FollowEntry,
    GatewayFile,
    HoursEntry,
    Inward,
    Levels,
    Listen,
    OidcIdSystem,
    OidcService,
    Outward,
    QuotasEntry,
    RateEntry,
    RecognitionEntry,
    RecognitionFile,
    RetriesEntry,
    RouteEntry,
    RouteGuard,
    RoutesFile,
    SamlIdSystem,
    SamlOutward,
    SamlService,
    SystemsFile,
    Tls,
    TrustFile,
)
from gateway.config.types import STATE
from trust_lists.following import Follow
from trust_lists.model import Role, Status
from trust_lists.recognition import UNRESTRICTED, Recognition, Recognitions
from trust_lists.words import JAPAN

TABLE = "assurance-table"
"""The format of signed tables of assurance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificate chain and private key, PEM; they belong together (checked)."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CardListener:
    """Where browsers show the certificate of a card in the TLS handshake, and the listener's own certificate."""

    url: str
    host: str
    port: int
    tls: TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateListener:
    """Where clients show certificates, at the root `url`: a listener of our own, or behind a proxy (`tls` is None)."""

    url: str
    host: str
    port: int
    tls: TlsFiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSource:
    """A signed list to be read. `format` is one of `trust_lists.formats`; anchors are DER certificates or public keys.

    `file` is where every process reads it. If it is fetched (`url`, or `entity` for OpenID Federation) or needs
    `approval`, that is the gateway's own copy in the state directory, which `gateway/refreshing.py` writes, and
    `origin` is the operator's file, if it comes from one. `next_anchors` are successors, believed as `anchors` are.
    `calls_itself` is the entity ID that a federation's trust anchor must have, wherever its documents come from.

    `follow`: which of its pointers lead to more sources (`gateway/following.py`). Of one that was found so, `through`
    and `addresses` (empty: a file) are names and addresses of the lists that led to it; it holds until `until` at most.
    """

    name: str
    format: str
    file: Path
    anchors: tuple[bytes, ...]
    next_anchors: tuple[bytes, ...] = ()
    url: str | None = None
    entity: str | None = None
    calls_itself: str | None = None
    origin: Path | None = None
    approval: bool = False
    municipality: str | None = None
    private_addresses: bool = False
    follow: Follow | None = None
    through: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    until: datetime | None = None

    @property
    def pins(self) -> tuple[bytes, ...]:
        """Every key that may have signed it, the present ones first."""
        return self.anchors + self.next_anchors

    @property
    def fetched(self) -> bool:
        """Whether it comes over the network."""
        return self.url is not None or self.entity is not None

    @property
    def kept(self) -> bool:
        """Whether processes read the gateway's own copy of it."""
        return self.fetched or self.approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The gateway as a client of one OpenID provider.

    `secret` is set for `client_secret_basic` only, `assertion_audience` matters for `private_key_jwt` only.
    """

    id: str
    authentication: str
    scopes: tuple[str, ...]
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredIdSystem:
    """An ID system; `subject` names what identifies the person (a claim, `NameID`, or an attribute).

    `scoped_attributes` are names of attributes that count only in the scopes that the list gives it (SAML only).
    `certificates` is what its certificates must be (certificates only).
    """

    system: IdSystem
    subject: str
    client: Client | None = None
    scoped_attributes: tuple[str, ...] = ()
    certificates: CertificateSettings | None = None

    @property
    def weaker(self) -> frozenset[str]:
        """Everything about it that is weaker than the default, by name."""
        found = set(self.system.weaker)
        if self.certificates is not None:
            if not self.certificates.revocation.hard:
                found.add("soft-revocation")
            if self.certificates.revocation.private_addresses:
                found.add("private-addresses")
        return frozenset(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredService:
    """A service; `client_secret_sha256` is the digest of its secret in hexadecimal (OpenID only), or None.

    `weaker` names what is allowed to it alone.
    """

    service: Service
    client_secret_sha256: str | None = field(default=None, repr=False)
    weaker: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A configuration without mistakes.

    `gateway` is gateway.yaml as written, defaults filled in. `store_url` holds the store's password, if
    any, and is for connecting only; `gateway.store.url` is for showing. Mappings are by id, `scopes` by
    name, `systems` (municipalities' own) by client ID, `acting` by the scope that lets somebody act.
    """

    directory: Path
    gateway: GatewayFile
    tls: TlsFiles | None
    card_readers: CardListener | None
    client_certificates: CertificateListener | None
    timestamp: TimestampAuthority | None
    store_url: str = field(repr=False)
    sources: tuple[TrustSource, ...]
    refresh: timedelta
    recognitions: Recognitions
    id_systems: Mapping[str, ConfiguredIdSystem]
    services: Mapping[str, ConfiguredService]
    api_services: Mapping[str, ApiService]
    scopes: Mapping[str, Texts]
    routes: RouteTable
    systems: Mapping[str, System]
    acting: Mapping[str, Acting]
    notes: tuple[Mistake, ...] = ()

    @property
    def tabled(self) -> bool:
        """Whether a signed table says what words of ID systems are worth."""
        return any(source.format == TABLE for source in self.sources)

    @property
    def evidence(self) -> Mapping[str, int]:
        """What an attribute is worth at most by how it is known."""
        return self.gateway.evidence.model_dump(by_alias=True)

    @property
    def scope(self) -> str:
        """The domain of the region's own identifiers: as configured, else the host of its public address."""
        if self.gateway.scope is not None:
            return self.gateway.scope
        host = urlsplit(str(self.gateway.public_url)).hostname or ""
        return host.replace(":", "-").strip("-")  # an IPv6 address, whose colons no scope can have


def tls_files(tls: Tls | None, material: Material) -> TlsFiles | None:
    """Certificate and key of a listener, if it speaks TLS."""
    if tls is None:
        return None
    return TlsFiles(certificate=_path(material, tls.certificate), key=_path(material, tls.key))


def card_readers(gateway: GatewayFile, material: Material) -> CardListener | None:
    """The listener for card readers, if there is one."""
    stated = gateway.card_readers
    if stated is None:
        return None
    tls = tls_files(stated.tls, material)
    assert tls is not None  # it must speak TLS
    return CardListener(url=str(stated.url).rstrip("/"), host=stated.listen.host, port=stated.listen.port, tls=tls)


def client_certificates(gateway: GatewayFile, material: Material) -> CertificateListener | None:
    """Where clients show certificates, if anywhere."""
    stated = gateway.client_certificates
    if stated is None:
        return None
    listen = stated.listen or Listen()
    tls = tls_files(stated.tls, material)
    return CertificateListener(url=str(stated.url).rstrip("/"), host=listen.host, port=listen.port, tls=tls)


def timestamps(document: Document, gateway: GatewayFile, material: Material) -> TimestampAuthority | None:
    """The authority that says when a text was signed, if there is one."""
    stated = gateway.timestamp
    if stated is None:
        return None
    places = ((document.file, ("timestamp", "certificates", n)) for n in range(len(stated.certificates)))
    return TimestampAuthority(
        url=stated.url,
        anchors=tuple(x509.load_der_x509_certificate(der) for place in places for der in material.certificates[place]),
        policies=frozenset(stated.policies),
    )


def _path(material: Material, written: str) -> Path:
    path = material.path(written)
    assert path is not None  # a path in a state directory that is not there is a mistake at loading
    return path


def store_url(document: Document, gateway: GatewayFile, material: Material) -> str:
    """Where to connect, password included."""
    password = material.secrets.get((document.file, ("store", "password_file")))
    scheme, _, rest = gateway.store.url.partition("://")
    if password is None:
        return gateway.store.url
    if scheme == "unix":
        return f"{gateway.store.url}{'&' if '?' in rest else '?'}password={quote(password, safe='')}"
    return f"{scheme}://:{quote(password, safe='')}@{rest}"


def sources(document: Document, trust: TrustFile, material: Material) -> Iterator[TrustSource]:
    """The lists to be read, anchors loaded."""

    def pinned(n: int, key: str, count: int) -> tuple[bytes, ...]:
        loaded = (material.certificates[document.file, ("sources", n, key, m)] for m in range(count))
        return tuple(der for each in loaded for der in each)

    for n, source in enumerate(trust.sources):
        fetched = source.file is None
        approval = source.approval == "required"
        origin = None if source.file is None else _path(material, source.file)
        yield TrustSource(
            name=source.name,
            format=source.format,
            file=_copy(material, source.name) if origin is None or approval else origin,
            anchors=pinned(n, "anchors", len(source.anchors)),
            next_anchors=pinned(n, "next_anchors", len(source.next_anchors)),
            url=source.url,
            entity=source.entity if fetched else None,
            calls_itself=source.entity,
            origin=origin if approval else None,
            approval=approval,
            municipality=source.municipality,
            private_addresses=source.private_addresses == "allowed",
            follow=None if source.follow is None else _follow(source.follow),
        )


def _follow(entry: FollowEntry) -> Follow:
    return Follow(
        depth=entry.depth,
        most=entry.most,
        territories=None if entry.territories is None else frozenset(entry.territories),
        types=None if entry.types is None else frozenset(entry.types),
    )


def recognitions(document: Document, file: RecognitionFile, trust: TrustFile) -> Recognitions:
    """What each list counts for; without a recognition.yaml every list counts for everyone."""
    if not document.present:
        return UNRESTRICTED
    return Recognitions(
        statements=tuple(_recognition(document, n, entry) for n, entry in enumerate(file.recognitions)),
        owners={source.name: source.municipality for source in trust.sources if source.municipality is not None},
        maximum_length=file.maximum_length,
    )


def _recognition(document: Document, position: int, entry: RecognitionEntry) -> Recognition:
    place = document.place(("recognitions", position))
    return Recognition(
        id=entry.id,
        by=entry.by,
        list=entry.list,
        municipality=entry.municipality,
        roles=None if entry.roles is None else frozenset(map(Role, entry.roles)),
        statuses=frozenset(map(Status, entry.status)),
        uses=None if entry.uses is None else frozenset(entry.uses),
        maximum_identity=entry.maximum_identity,
        scopes=None if entry.scopes is None else frozenset(entry.scopes),
        since=None if entry.since is None else _midnight(entry.since),
        until=_midnight(entry.until + timedelta(days=1)),
        agreement=entry.agreement,
        place=f"{document.file}:{place.line}",
    )


def _midnight(day: date) -> datetime:
    """When a day begins in Japan, where recognitions are agreed."""
    return datetime.combine(day, time.min, JAPAN)


def _copy(material: Material, name: str) -> Path:
    """Where the gateway keeps the list in force of a source that it fetches or that needs approval."""
    return _path(material, f"{STATE}lists/{name}/current")


def inward_rules(model: AnyIdSystem, others: Sequence[AnyIdSystem]) -> tuple[InwardRule, ...]:
    """The rules of an ID system's map, with those of the one that it is like."""
    own = tuple(map(_inward, model.attributes))
    like = next((other for other in others if other.id == model.attributes_like), None)
    return own if like is None else derived(own, inward_rules(like, others), model.attributes_without)


def _inward(rule: Inward) -> InwardRule:
    return InwardRule(
        to=rule.to,
        sources=rule.sources,
        transforms=rule.transforms,
        evidence=rule.evidence or "",
        own_numbers=rule.own_numbers,
    )


def outward_rules(
    model: OidcService | SamlService, others: Sequence[OidcService | SamlService]
) -> tuple[OutwardRule, ...]:
    """The rules of a service's map, with those of the one that it is like."""
    own = tuple(map(_outward, model.attributes))
    like = next((other for other in others if other.id == model.attributes_like), None)
    return own if like is None else derived(own, outward_rules(like, others), model.attributes_without)


def id_system(
    document: Document,
    model: AnyIdSystem,
    material: Material,
    others: Sequence[AnyIdSystem],
    *,
    believed: bool,
) -> ConfiguredIdSystem:
    """One ID system; its map may be like one of the `others`'. `believed`: the check digit of resident-record codes."""
    table = model.assurance
    client = None
    if isinstance(model, OidcIdSystem):
        client = Client(
            id=model.client.id,
            authentication=model.client.authentication,
            scopes=model.client.scopes,
            assertion_audience=model.client.assertion_audience,
            secret=material.secrets.get((document.file, ("client", "client_secret_file"))),
        )
    certificates = _certificates(model) if isinstance(model, CertificateIdSystem) else None
    return ConfiguredIdSystem(
        system=IdSystem(
            id=model.id,
            kind=model.kind,
            entity_id=model.entity_id,
            municipality=model.municipality,
            name=model.name,
            reading=model.reading,
            description=model.description,
            inward=InwardMap(rules=inward_rules(model, others), resident_code_check=believed),
            statements={} if table is None else {word: _levels(worth) for word, worth in table.statements.items()},
            default_assurance=None if table is None else _levels(table.otherwise),
            methods={} if table is None else {word: worth.amr for word, worth in table.statements.items() if worth.amr},
            weaker=frozenset(model.weaker) if isinstance(model, SamlIdSystem) else frozenset(),
            subject_own_numbers=model.subject_own_numbers,
        ),
        subject=model.subject,
        client=client,
        scoped_attributes=model.scoped_attributes if isinstance(model, SamlIdSystem) else (),
        certificates=certificates,
    )


def _certificates(model: CertificateIdSystem) -> CertificateSettings:
    revocation = model.revocation
    fresh = revocation.fresh_minutes
    return CertificateSettings(
        phone_url=model.phone_url,
        subject=model.subject,
        wanted=Wanted(policies=frozenset(model.policies), extended_key_usages=frozenset(model.extended_key_usages)),
        revocation=RevocationPolicy(
            hard=revocation.mode == "hard",
            cap=revocation.cap,
            stale=timedelta(hours=revocation.stale_hours),
            fresh_within=None if fresh is None else timedelta(minutes=fresh),
            private_addresses=revocation.private_addresses == "allowed",
        ),
        attribute_policies=frozenset(model.attribute_policies),
        cards=model.card_readers == "accepted",
        reissue_revokes=model.reissue == "revokes",
        lifetime=timedelta(minutes=model.answer_minutes),
    )


def _levels(worth: Levels) -> Assurance:
    """What an operator's word is worth; how an answer is carried is not for it to say, so it limits nothing there."""
    return Assurance(identity=Level(worth.identity), authentication=Level(worth.authentication), federation=Level.THREE)


def told(routes: RoutesFile, *, believed: bool) -> dict[str, OutwardMap]:
    """What shared services learn of the person, by the scope of the call."""
    return {
        entry.name: OutwardMap(
            rules=tuple(
                OutwardRule(
                    to=rule.to,
                    sources=rule.sources,
                    transforms=rule.transforms,
                    minimum=rule.minimum_identity,
                    label=rule.label,
                )
                for rule in entry.attributes
            ),
            resident_code_check=believed,
        )
        for entry in routes.scopes
        if entry.attributes
    }


def service(
    model: OidcService | SamlService,
    others: Sequence[OidcService | SamlService],
    behind: Mapping[str, OutwardMap],
    *,
    believed: bool,
) -> ConfiguredService:
    """One service; its map may be like one of the `others`'. `believed`: the check digit of resident-record codes.

    `behind` is what shared services learn, by scope.
    """
    scopes = model.scopes if isinstance(model, OidcService) else ()
    return ConfiguredService(
        service=Service(
            id=model.id,
            kind=model.kind,
            entity_id=model.entity_id,
            municipality=model.municipality,
            name=model.name,
            purpose=model.purpose,
            outward=OutwardMap(rules=outward_rules(model, others), resident_code_check=believed),
            minimum=Level(model.minimum_identity),
            minimum_authentication=Level(model.minimum_authentication),
            tells_methods=isinstance(model, SamlService) and model.authentication_methods,
            use=model.use,
            sector=model.entity_id if model.sector is None else f"urn:kakehashi:sector:{model.sector}",
            consent_lifetime=timedelta(days=model.consent_days),
            id_systems=None if model.id_systems is None else frozenset(model.id_systems),
            scopes=frozenset(scopes),
            told={scope: behind[scope] for scope in scopes if scope in behind},
            signing=isinstance(model, OidcService) and model.signing,
            address=model.address,
            subject_identifier=model.subject_identifier if isinstance(model, SamlService) else None,
        ),
        client_secret_sha256=model.client_secret_sha256 if isinstance(model, OidcService) else None,
        weaker=frozenset(model.weaker) if isinstance(model, SamlService) else frozenset(),
    )


def _outward(rule: Outward) -> OutwardRule:
    saml = rule if isinstance(rule, SamlOutward) else None
    return OutwardRule(
        to=rule.to,
        sources=rule.sources,
        transforms=rule.transforms,
        required=rule.required,
        minimum=rule.minimum_identity,
        own_numbers=rule.own_numbers,
        format=saml.format if saml else None,
        friendly_name=saml.friendly_name if saml else None,
        label=rule.label,
    )


def route(entry: RouteEntry, *, believed: bool = True) -> Route:
    """One route. Raises `ValueError` for a template that no call could match.

    `believed`: the check digit of resident-record codes is, where the route says nothing of it.
    """
    return Route(
        path=entry.path,
        methods=frozenset(entry.methods),
        service=entry.service,
        upstream_path=entry.upstream_path,
        scope=entry.scope,
        minimum=Level(entry.minimum_identity),
        minimum_authentication=Level(entry.minimum_authentication),
        terms=_terms(entry),
        guard=None if entry.guard is None else _route_guard(entry.guard, believed=believed),
        subject=Subject(entry.subject),
        context=entry.context,
    )


_CALLERS = {"people": CallerKind.PERSON, "systems": CallerKind.SYSTEM}


def _terms(entry: RouteEntry) -> Terms:
    members = entry.members
    return Terms(
        callers=frozenset(_CALLERS[name] for name in entry.callers),
        members=Membership(members) if isinstance(members, str) else frozenset(members),
        quotas=_quotas(entry.quotas),
        body_limit=None if entry.body_kib is None else entry.body_kib * 1024,
        content_types=frozenset(entry.content_types),
        opening=_opening(entry),
        websocket=entry.websocket,
        requires=frozenset(entry.requires),
        idempotency=Idempotency(entry.idempotency),
    )


def _quotas(entry: QuotasEntry | None) -> Quotas:
    return Quotas() if entry is None else Quotas(person=_rate(entry.person), municipality=_rate(entry.municipality))


def _rate(entry: RateEntry | None) -> Rate | None:
    if entry is None:
        return None
    return Rate(calls=entry.calls, seconds=entry.seconds, burst=entry.calls if entry.burst is None else entry.burst)


def _opening(entry: RouteEntry) -> Opening | None:
    if entry.hours is None and entry.since is None and entry.until is None:
        return None
    hours = HoursEntry() if entry.hours is None else entry.hours
    return Opening(
        since=entry.since,
        until=entry.until,
        days=frozenset(map(DAYS.index, hours.days)),
        opens=hours.opens,
        closes=hours.until,
    )


def _route_guard(entry: RouteGuard, *, believed: bool) -> Inspected:
    said = entry.resident_code_check_digit
    return Inspected(
        guard=Guard(allowances=entry.allow, resident_code_check=believed if said is None else said == "believed"),
        request=None if entry.request is None else Outcome(entry.request),
        response=None if entry.response is None else Outcome(entry.response),
        unlooked=frozenset(entry.unlooked),
    )


def api_services(document: Document, routes: RoutesFile, material: Material) -> Iterator[ApiService]:
    """The shared services behind the proxy."""
    for index, entry in enumerate(routes.services):
        signatures, place = entry.signatures, ("services", index, "signatures", "certificates")
        count = 0 if signatures is None else len(signatures.certificates)
        signed_by = (der for n in range(count) for der in material.certificates[document.file, (*place, n)])
        yield ApiService(
            id=entry.id,
            name=entry.name,
            upstream=entry.upstream,
            audience=entry.audience or entry.upstream,
            timeout=timedelta(seconds=entry.timeout_seconds),
            idempotent=entry.idempotent,
            answers=Demand.NONE if signatures is None else Demand(signatures.responses),
            answer_keys=keyring(certificates=signed_by),
            reach=_reach(entry),
            entity_id=entry.entity_id,
        )


def _reach(entry: ApiServiceEntry) -> Reach:
    targets = entry.targets or (entry.upstream,)
    several = len(targets) > 1
    eject = entry.ejection or (EjectionEntry() if several else None)
    again = entry.retries or (RetriesEntry() if several else None)
    return Reach(
        targets=targets,
        most_connections=entry.most_connections,
        health=None if entry.health is None else Health(path=entry.health.path, seconds=entry.health.seconds),
        ejection=None if eject is None else Ejection(failures=eject.failures, seconds=eject.seconds),
        retries=None if again is None else Retries(most=again.most, budget_percent=again.budget_percent),
    )


def municipal_systems(file: SystemsFile) -> dict[str, System]:
    """Municipalities' own systems, by client ID."""
    return {
        entry.entity_id: System(id=entry.id, client_id=entry.entity_id, name=entry.name, scopes=frozenset(entry.scopes))
        for entry in file.systems
    }


def acting(routes: RoutesFile) -> dict[str, Acting]:
    """Who may act for people who agreed, by the scope that they agreed to."""
    return {
        entry.name: Acting(by=entry.acting.by, scopes=frozenset(entry.acting.scopes))
        for entry in routes.scopes
        if entry.acting is not None
    }
