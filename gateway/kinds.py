"""One explicit table of kinds: which connector and which frontend speaks what, and how each is opened.

A kind is opened from the configuration, the keys and the trusted set; nothing registers itself, nothing is found by
name at run time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from federation.certificate.connector import CertificateConnector
from federation.identifiers import Identifiers
from federation.model import OWN, Service
from federation.oidc.connector import OidcClientSettings, OidcConnector
from federation.oidc.exchange import Actor, ExchangeRules
from federation.oidc.provider import OidcProvider, ProviderKeys
from federation.own import OwnFrontend
from federation.ports import Connector, Frontend, TrustPort
from federation.saml.connector import SamlConnector
from federation.saml.frontend import SamlFrontend
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from gateway.config import Configuration, ConfiguredIdSystem
from gateway.keys import GatewayKeys

CALLBACK_PATH = "/oidc/rp/callback"
"""Where OpenID providers send the browser back to; those that do not name themselves there, to their own id below."""

NAME_ID = "NameID"
"""The subject of a SAML ID system that is no attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What every kind is opened from; the SAML roles and the OpenID provider are one each for the whole region.

    `municipal_identity_providers` stand beside the hub, by municipality: SAML services may rely on one alone.
    """

    configuration: Configuration
    keys: GatewayKeys
    trust: TrustPort
    public_url: str
    saml_service_provider: SamlServiceProvider
    saml_identity_provider: SamlIdentityProvider
    municipal_identity_providers: Mapping[str, SamlIdentityProvider]
    openid_provider: OidcProvider


def _saml_connector(material: Material, configured: ConfiguredIdSystem) -> Connector:
    return SamlConnector(
        system=configured.system,
        provider=material.saml_service_provider,
        trust=material.trust,
        subject_attribute=None if configured.subject == NAME_ID else configured.subject,
        scoped_attributes=configured.scoped_attributes,
    )


def _oidc_connector(material: Material, configured: ConfiguredIdSystem) -> Connector:
    client = configured.client
    assert client is not None  # an OpenID system without one is a mistake in the configuration
    return OidcConnector(
        system=configured.system,
        trust=material.trust,
        client=OidcClientSettings(
            client_id=client.id,
            authentication="client_secret_basic" if client.secret else "private_key_jwt",
            client_secret=client.secret,
            scopes=client.scopes,
            assertion_audience=client.assertion_audience,
        ),
        redirect_uri=material.public_url + CALLBACK_PATH,
        own_redirect_uri=f"{material.public_url}{CALLBACK_PATH}/{configured.system.id}",
        signing_key=None if client.secret else material.keys.client,
        subject_claim=configured.subject,
    )


def _certificate_connector(material: Material, configured: ConfiguredIdSystem) -> Connector:
    settings = configured.certificates
    assert settings is not None  # every ID system of this kind has them
    cards = material.configuration.card_readers
    return CertificateConnector(
        system=configured.system,
        settings=settings,
        trust=material.trust,
        key=material.keys.client,
        public_url=material.public_url,
        cards_url=None if cards is None else cards.url,
    )


def _saml_frontend(material: Material) -> Frontend:
    return SamlFrontend(
        provider=material.saml_identity_provider,
        services=by_entity_id(material.configuration, "saml"),
        trust=material.trust,
        scope=material.configuration.scope,
    )


def municipal_frontends(material: Material) -> Mapping[str, Frontend]:
    """The SAML frontends beside the hub's, by municipality; they know the same services."""
    services = by_entity_id(material.configuration, "saml")
    return {
        municipality: SamlFrontend(
            provider=provider,
            services=services,
            trust=material.trust,
            municipality=municipality,
            scope=material.configuration.scope,
        )
        for municipality, provider in material.municipal_identity_providers.items()
    }


CONNECTORS: Mapping[str, Callable[[Material, ConfiguredIdSystem], Connector]] = {
    "saml": _saml_connector,
    "oidc": _oidc_connector,
    "certificate": _certificate_connector,
}

FRONTENDS: Mapping[str, Callable[[Material], Frontend]] = {
    "saml": _saml_frontend,
    "oidc": lambda material: material.openid_provider,
    OWN: lambda _: OwnFrontend(),
}


def by_entity_id(configuration: Configuration, kind: str) -> dict[str, Service]:
    """The services of that kind, under the name by which they call themselves."""
    services = (configured.service for configured in configuration.services.values())
    return {service.entity_id: service for service in services if service.kind == kind}


def openid_provider(configuration: Configuration, keys: GatewayKeys, trust: TrustPort) -> OidcProvider:
    """The region's OpenID provider."""
    secrets = {
        configured.service.entity_id: configured.client_secret_sha256
        for configured in configuration.services.values()
        if configured.client_secret_sha256 is not None
    }
    return OidcProvider(
        issuer=str(configuration.gateway.public_url).rstrip("/"),
        services=by_entity_id(configuration, "oidc"),
        secrets=secrets,
        trust=trust,
        keys=ProviderKeys(rs256=keys.id_token_rs256, es256=keys.id_token_es256),
        languages=configuration.gateway.languages,
        municipal=configuration.systems,
        certificates=None if configuration.client_certificates is None else configuration.client_certificates.url,
        identifiers=Identifiers(keys.identifiers),
        rules=_exchange_rules(configuration, keys),
    )


def _exchange_rules(configuration: Configuration, keys: GatewayKeys) -> ExchangeRules:
    services = configuration.api_services.values()
    return ExchangeRules(
        acting=configuration.acting,
        actors={
            each.entity_id: Actor(client_id=each.entity_id, audience=each.audience)
            for each in services
            if each.entity_id is not None
        },
        targets={
            each.audience: frozenset(route.scope for route in configuration.routes.routes if route.service == each.id)
            for each in services
        },
        assertion_keys=keys.assertion.public(),
    )
