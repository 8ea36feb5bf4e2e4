"""The region in force: configuration, trusted set, and everything opened from them, swapped as one.

`gateway/watching.py` brings in what changes.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

from jinja2 import Environment

from federation import told
from federation.access import ApiService, RouteTable
from federation.callers import Caller, CallerKind
from federation.identifiers import Identifiers, SealRefusedError
from federation.login import TokenHolder, capped, open_caller
from federation.model import Assurance, IdSystem, Service, Texts
from federation.oidc.provider import OidcProvider
from federation.oidc.tokens import AccessToken
from federation.ports import Connector, Frontend
from federation.refusal import IdSystemNotTrusted, Refusal, TokenInvalid, UnknownService
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from federation.standing import Standings
from gateway import kinds, pages
from gateway.config import Configuration, TrustSource
from gateway.forwarded import Network
from gateway.keys import GatewayKeys
from gateway.messages import Messages
from gateway.vouching import Vouching, open_vouching
from observability.vocabulary import Vocabulary
from trust_lists.model import NotTrustedError, Role
from trust_lists.trusted_set import TrustedSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One consistent view: what one request works with from its beginning to its end.

    `vouching` is what it says as a federation entity, if it is one. `followed` are the lists that others led to.
    """

    configuration: Configuration
    trust: TrustedSet
    standings: Standings
    public_url: str
    systems: Mapping[str, IdSystem]
    services: Mapping[str, Service]
    clients: Mapping[str, Service]
    api_services: Mapping[str, ApiService]
    scope_labels: Mapping[str, Texts]
    routes: RouteTable
    identifiers: Identifiers
    saml_service_provider: SamlServiceProvider
    saml_identity_provider: SamlIdentityProvider
    municipal_identity_providers: Mapping[str, SamlIdentityProvider]
    openid_provider: OidcProvider
    connectors: Mapping[str, Connector]
    frontends: Mapping[str, Frontend]
    municipal_frontends: Mapping[str, Frontend]
    templates: Environment
    trusted_proxies: tuple[Network, ...]
    vouching: Vouching | None = None
    followed: tuple[TrustSource, ...] = ()

    @property
    def sources(self) -> tuple[TrustSource, ...]:
        """Every signed list that is read: those of trust.yaml, and those that they lead to."""
        return self.configuration.sources + self.followed

    @property
    def secure(self) -> bool:
        """Whether residents reach this gateway by HTTPS; plain HTTP exists on loopback only."""
        return self.public_url.startswith("https://")

    @property
    def flow_lifetime(self) -> timedelta:
        """How long a login waits for its next step."""
        return timedelta(minutes=self.configuration.gateway.limits.flow_minutes)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a service's own session may last at most."""
        return timedelta(hours=self.configuration.gateway.limits.session_hours)

    def connector(self, system: str) -> Connector:
        """The connector of an ID system. Raises `IdSystemNotTrusted` if it left the region."""
        found = self.connectors.get(system)
        if found is None:
            raise IdSystemNotTrusted("not configured")
        return found

    def frontend(self, kind: str, municipality: str | None = None) -> Frontend:
        """The frontend of that kind, or of a municipality's own SAML entity.

        Raises `UnknownService` if there is none any more.
        """
        found = self.frontends.get(kind) if municipality is None else self.municipal_frontends.get(municipality)
        if found is None:
            raise UnknownService("no service of this kind or no such municipality is configured")
        return found

    def holder(self, access: AccessToken, now: datetime) -> tuple[TokenHolder, Assurance]:
        """Whom an access token stands for, if its service is still listed and their ID system still counts there.

        And how much their sign-in counts for now. So a list's withdrawal, the end of a recognition and a lower level
        hold for what is under way, too. Raises `TokenInvalid`.
        """
        try:
            found = open_caller(access.person, self.identifiers)
        except SealRefusedError as fault:
            raise TokenInvalid("the sealed person does not open") from fault
        if not self.identifiers.knows(found.key):
            raise TokenInvalid("named by a key that this gateway does not have")
        system, service = self.systems.get(found.system), self.clients.get(access.consented)
        if system is None or service is None:
            raise TokenInvalid("its ID system or its service left the region")
        try:
            self.trust.find(service.entity_id, Role.OPENID_RELYING_PARTY, now)
            for actor in access.actors[:-1]:
                self._find_actor(actor, now)
            worth = self.standings.of(system, service, now)
        except NotTrustedError as untrusted:
            raise TokenInvalid(f"its service: {untrusted.code}") from untrusted
        except Refusal as ended:
            raise TokenInvalid(f"{ended.code}: {ended.detail}") from ended
        return found, capped(access.assurance, worth)

    def caller(self, access: AccessToken, now: datetime) -> Caller:
        """Who calls with an access token: a person by the rules of `holder`, or a system. Raises `TokenInvalid`."""
        if access.kind is CallerKind.SYSTEM:
            return self._system(access, now)
        holder, assurance = self.holder(access, now)
        try:
            learnt = told.opened(access.told, access.scopes, self.identifiers)
        except SealRefusedError as fault:
            raise TokenInvalid("what is told does not open") from fault
        return Caller(
            kind=CallerKind.PERSON,
            client=access.client_id,
            municipality=holder.municipality,
            scopes=access.scopes,
            assurance=assurance,
            token_id=access.jti,
            expires_at=access.expires_at,
            person=holder.person,
            key=holder.key,
            consent=access.consent,
            actors=access.actors,
            ancestors=access.ancestors,
            id_system=holder.system,
            binding=access.binding,
            told=learnt,
        )

    def _find_actor(self, actor: str, now: datetime) -> None:
        """Whoever acts for another: still configured, and listed. Raises `NotTrustedError`, `TokenInvalid`."""
        if actor in self.clients:
            self.trust.find(actor, Role.OPENID_RELYING_PARTY, now)
        elif any(actor == service.entity_id for service in self.api_services.values()):
            self.trust.find(actor, Role.REGIONAL_SERVICE, now)
        else:
            raise TokenInvalid("one who acts left the region")

    def scopes_of_system(self, client: str, municipality: str, now: datetime) -> frozenset[str]:
        """The scopes of a municipality's system that is configured, and listed for this municipality at `now`.

        Raises `TokenInvalid` if it is not.
        """
        system = self.configuration.systems.get(client)
        if system is None:
            raise TokenInvalid("the system left the region")
        try:
            listed = self.trust.find(client, Role.COUNCIL_MEMBER, now)
        except NotTrustedError as untrusted:
            raise TokenInvalid(f"its system: {untrusted.code}") from untrusted
        if listed.municipality != municipality:
            raise TokenInvalid("its system: of another municipality")
        return system.scopes

    def _system(self, access: AccessToken, now: datetime) -> Caller:
        if access.municipality is None:
            raise TokenInvalid("its token names no municipality")
        scopes = self.scopes_of_system(access.client_id, access.municipality, now)
        return Caller(
            kind=CallerKind.SYSTEM,
            client=access.client_id,
            municipality=access.municipality,
            scopes=access.scopes & scopes,
            assurance=access.assurance,
            token_id=access.jti,
            expires_at=access.expires_at,
            binding=access.binding,
        )

    def council(self, now: datetime) -> frozenset[str]:
        """The codes of the municipalities that lists in force at `now` name as members of the council."""
        members = self.trust.entities(Role.COUNCIL_MEMBER, now)
        return frozenset(each.municipality for each in members if each.municipality is not None)

    def in_force(self) -> tuple[object, ...]:
        """What is in force: the region as it is configured, and each list; lists change without a new region."""
        return (self, *self.trust.lists())

    def is_still(self, before: tuple[object, ...]) -> bool:
        """Whether what was in force then is now, to the last object."""
        now = self.in_force()
        return len(now) == len(before) and all(map(operator.is_, now, before))

    def vocabulary(self) -> Vocabulary:
        """The names that may become labels of metrics."""
        return Vocabulary(
            id_systems={system.id: system.municipality for system in self.systems.values()},
            services=frozenset(self.services),
            routes={route.path: route.service for route in self.routes.routes},
            lists=frozenset(source.name for source in self.sources),
        )


def open_region(configuration: Configuration, keys: GatewayKeys, trust: TrustedSet, messages: Messages) -> Region:
    """Open every kind that the configuration names."""
    public_url = str(configuration.gateway.public_url).rstrip("/")
    service_provider = SamlServiceProvider(
        entity_id=f"{public_url}/saml/sp/metadata",
        acs_url=f"{public_url}/saml/sp/acs",
        slo_url=f"{public_url}/saml/sp/slo",
        signer=keys.saml,
        decrypter=keys.saml_decrypter,
        display_names=configuration.gateway.region.name,
    )
    identity_provider = _identity_provider(
        f"{public_url}/saml", configuration, keys, names=configuration.gateway.region.name
    )
    names: dict[str, Texts] = {}
    for each in configuration.id_systems.values():  # a municipality with several ID systems goes by its first one
        names.setdefault(each.system.municipality, each.system.name)
    municipal = {
        municipality: _identity_provider(f"{public_url}/saml/{municipality}", configuration, keys, names=name)
        for municipality, name in names.items()
    }
    provider = kinds.openid_provider(configuration, keys, trust)
    material = kinds.Material(
        configuration=configuration,
        keys=keys,
        trust=trust,
        public_url=public_url,
        saml_service_provider=service_provider,
        saml_identity_provider=identity_provider,
        municipal_identity_providers=municipal,
        openid_provider=provider,
    )
    return Region(
        configuration=configuration,
        trust=trust,
        standings=Standings(
            trust=trust,
            recognitions=configuration.recognitions,
            tabled=configuration.tabled,
            evidence=configuration.evidence,
        ),
        public_url=public_url,
        systems={name: each.system for name, each in configuration.id_systems.items()},
        services={name: each.service for name, each in configuration.services.items()},
        clients=kinds.by_entity_id(configuration, "oidc"),
        api_services=configuration.api_services,
        scope_labels=configuration.scopes,
        routes=configuration.routes,
        identifiers=Identifiers(keys.identifiers),
        saml_service_provider=service_provider,
        saml_identity_provider=identity_provider,
        municipal_identity_providers=municipal,
        openid_provider=provider,
        connectors={
            name: kinds.CONNECTORS[each.system.kind](material, each) for name, each in configuration.id_systems.items()
        },
        frontends={kind: open_kind(material) for kind, open_kind in kinds.FRONTENDS.items()},
        municipal_frontends=kinds.municipal_frontends(material),
        templates=pages.make_environment(
            messages,
            region_name=configuration.gateway.region.name,
            region_contact=configuration.gateway.region.contact,
        ),
        trusted_proxies=tuple(ip_network(text) for text in configuration.gateway.trusted_proxies),
        vouching=open_vouching(configuration, keys, trust, provider, public_url),
    )


def _identity_provider(
    address: str, configuration: Configuration, keys: GatewayKeys, *, names: Texts
) -> SamlIdentityProvider:
    """The hub, or the entity of one municipality beside it: the same key and scope, a name and addresses of its own."""
    return SamlIdentityProvider(
        entity_id=f"{address}/metadata",
        sso_url=f"{address}/sso",
        slo_url=f"{address}/slo",
        scopes=(configuration.scope,),
        display_names=names,
        signer=keys.saml,
    )
