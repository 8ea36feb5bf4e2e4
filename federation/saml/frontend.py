"""The door towards SAML relying services: the gateway as one identity provider."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from federation.assurance import acr_uri, is_foreign, wished
from federation.model import Level, LoginRequest, Release, Service
from federation.ports import Denied, Granted, TrustPort
from federation.refusal import (
    AssuranceTooLow,
    BadRequest,
    ContextUnknown,
    InteractionNeeded,
    NameIdNotOffered,
    Refusal,
    UnknownService,
)
from federation.saml.identity_provider import (
    SamlAttribute,
    SamlAuthnRequest,
    SamlIdentityProvider,
    SamlRequestRefusedError,
    request_from_json,
)
from federation.saml.logout import participant
from federation.saml.messages import BASIC_NAMES, PERSISTENT, POST, TRANSIENT, UNSPECIFIED, URI_NAMES, new_id
from federation.saml.scopes import PAIRWISE_ID
from federation.web import Answer, WebRequest
from trust_lists.model import NotTrustedError, Role, TrustedEntity
from trust_lists.xmlenc import EncryptionImpossibleError

KIND = "saml"


class SamlFrontend:
    """Answers SAML service providers (`federation.ports.Frontend`) as one of our entities.

    `services` are by entity ID. `municipality` is whose entity `provider` is, None for the hub: there, only ID systems
    of that municipality will do. `scope` is the domain that subject identifiers are written with.
    """

    brief: ClassVar[bool] = False

    def __init__(
        self,
        *,
        provider: SamlIdentityProvider,
        services: Mapping[str, Service],
        trust: TrustPort,
        municipality: str | None = None,
        scope: str | None = None,
    ) -> None:
        self._provider = provider
        self._services = services
        self._trust = trust
        self._municipality = municipality
        self._scope = scope

    def accept(self, request: WebRequest, now: datetime) -> LoginRequest:
        """Check an AuthnRequest (Redirect or POST) of a service that is both listed and configured."""
        found: dict[str, TrustedEntity] = {}

        def find(entity_id: str) -> TrustedEntity:
            if entity_id not in self._services:
                raise UnknownService("not-configured")
            found[entity_id] = self._trust.find(entity_id, Role.SAML_SERVICE_PROVIDER, now)
            return found[entity_id]

        try:
            asked = self._provider.request(request, find=find, now=now)
        except NotTrustedError as untrusted:
            raise UnknownService(untrusted.code) from None
        except SamlRequestRefusedError as refused:
            raise BadRequest(refused.code) from None
        try:
            return self._login(asked, found[asked.issuer])
        except (BadRequest, InteractionNeeded) as refusal:
            raise Denied(self._provider.error(asked, second=refusal.saml_status, now=now), refusal) from None

    def unasked(self, service: Service, now: datetime) -> LoginRequest:
        """The login that an ID system's unsolicited answer begins at `service` (SAML Profiles §4.1.5).

        It is answered without InResponseTo, at the default address that is listed. Raises `UnknownService`.
        """
        try:
            listed = self._trust.find(service.entity_id, Role.SAML_SERVICE_PROVIDER, now)
        except NotTrustedError as untrusted:
            raise UnknownService(untrusted.code) from None
        address = listed.endpoint(Role.SAML_SERVICE_PROVIDER, "AssertionConsumerService", POST)
        if address is None or service.entity_id not in self._services:
            raise UnknownService("not-configured" if address else "no-answer-address")
        asked = SamlAuthnRequest(
            id="", issuer=service.entity_id, acs_url=address.location, relay_state=None, signed=False
        )
        return replace(self._login(asked, listed), unsolicited=True)

    def grant(self, login: LoginRequest, release: Release, now: datetime) -> Granted:
        """Answer with a signed Response and assertion; the service must still be listed, address and all."""
        asked = request_from_json(login.reply)
        service = self._services[asked.issuer]
        try:
            listed = self._trust.find(asked.issuer, Role.SAML_SERVICE_PROVIDER, now)
        except NotTrustedError as untrusted:
            raise UnknownService(untrusted.code) from None
        if asked.acs_url not in {endpoint.location for endpoint in listed.endpoints}:
            raise UnknownService("acs-no-longer-listed")
        transient = asked.name_id_format == TRANSIENT
        name = "_" + secrets.token_hex(20) if transient else release.subject
        name_format = TRANSIENT if transient else PERSISTENT
        index = new_id()
        context = _stated(asked, release)
        if context is None:
            return Granted(answer=self.deny(login, AssuranceTooLow("context-not-stated"), now))
        try:
            answer = self._provider.response(
                asked,
                name_id=name,
                name_id_format=name_format,
                session_index=index,
                session_until=release.session_until,
                attributes=(
                    *self._identifier(service, listed, release),
                    *_methods(service, release),
                    *_attributes(service, release),
                ),
                authn_context=context,
                authn_instant=release.authenticated_at,
                now=now,
                recipient=listed,
            )
        except EncryptionImpossibleError as impossible:  # never in the clear instead
            raise BadRequest(impossible.code) from None
        known = participant(
            listed, own_entity=self._provider.entity_id, name=name, name_format=name_format, index=index
        )
        return Granted(answer=answer, participant=known)

    def _identifier(self, service: Service, listed: TrustedEntity, release: Release) -> tuple[SamlAttribute, ...]:
        """`pairwise-id`, for a service whose metadata or configuration ask for it (Subject Identifier Attributes §2.4).

        `subject-id` is among the attributes of the release, because the person must agree to it.
        """
        if self._scope is None or {"pairwise-id", "any"}.isdisjoint((service.subject_identifier, listed.subject_id)):
            return ()
        return (SamlAttribute(name=PAIRWISE_ID, values=(f"{release.subject}@{self._scope}",)),)

    def deny(self, login: LoginRequest, refusal: Refusal, now: datetime) -> Answer:
        """Answer with a signed Response that has the refusal's status and nothing of the person."""
        told = refusal.told if isinstance(refusal, AssuranceTooLow) else None
        return self._provider.error(
            request_from_json(login.reply), second=refusal.saml_status, now=now, message_text=told
        )

    def _login(self, asked: SamlAuthnRequest, listed: TrustedEntity) -> LoginRequest:
        """Translate; what cannot be met is refused to the service itself (SAML Core §3.4.1)."""
        service = self._services[asked.issuer]
        if asked.is_passive and asked.force_authn:
            raise InteractionNeeded("passive-and-forced")
        if asked.names_subject:
            raise BadRequest("subject-named")
        if asked.name_id_format not in (None, UNSPECIFIED, *self._provider.name_id_formats):
            raise NameIdNotOffered("name-id-format")
        if asked.sp_name_qualifier not in (None, asked.issuer):
            raise NameIdNotOffered("sp-name-qualifier")
        if listed.subject_id == "subject-id" and service.subject_identifier != "subject-id":
            raise NameIdNotOffered("subject-id-not-configured")
        return LoginRequest(
            service=service.id,
            kind=KIND,
            reply=asked.to_json(),
            minimum=_minimum(asked),
            hint=asked.identity_providers[0] if len(asked.identity_providers) == 1 else None,
            force_authentication=asked.force_authn,
            passive=asked.is_passive,
            municipality=self._municipality,
        )


AT_LEAST_A_PASSWORD = frozenset(
    f"urn:oasis:names:tc:SAML:2.0:ac:classes:{name}"
    for name in ("unspecified", "Password", "PasswordProtectedTransport")
)
"""Classes of SAML AuthnContext §3.4 that every sign-in of the region is worth; many products ask for one by default."""


def _worth(context: str) -> Level | None:
    """The level that a requested context stands for; None for one that is never stated here."""
    return Level.NONE if context in AT_LEAST_A_PASSWORD else wished(context)


def _levels(asked: SamlAuthnRequest) -> tuple[Level, ...]:
    """Known levels among the requested contexts, lowest first; contexts that we never state do not count."""
    known = (_worth(context) for context in asked.requested_contexts)
    return tuple(sorted(level for level in known if level is not None))


def _minimum(asked: SamlAuthnRequest) -> Level:
    """Find the level that the login must reach for its RequestedAuthnContext (SAML Core §3.3.2.2.1)."""
    if not asked.requested_contexts:
        return Level.NONE
    levels = _levels(asked)
    if not levels or asked.comparison not in ("exact", "minimum", "maximum", "better"):
        raise ContextUnknown("requested-context")
    if asked.comparison == "maximum":
        return Level.NONE
    if asked.comparison == "better":
        if levels[-1] is Level.THREE:
            raise ContextUnknown("nothing-better")
        return Level(levels[-1] + 1)
    return levels[0]


def _stated(asked: SamlAuthnRequest, release: Release) -> str | None:
    """Choose the context to state: one of those asked for if it must be; a higher login is worth them too.

    Another body's is stated only if a table says that the sign-in is worth it; None: exactly that was asked, and it
    does not.
    """
    reached = release.assurance.identity
    sayable = [c for c in asked.requested_contexts if not is_foreign(c) or c in release.also]
    if asked.comparison == "exact" and asked.requested_contexts and not sayable:
        return None
    if asked.comparison in ("exact", "maximum"):
        worth = {context: _worth(context) for context in sayable}
        fitting = [(level, context) for context, level in worth.items() if level is not None and level <= reached]
        if fitting:
            return max(fitting)[1]
    foreign = [context for context in sayable if is_foreign(context)]
    return foreign[-1] if foreign and asked.comparison == "minimum" else acr_uri(reached)


METHODS = "urn:kakehashi:assurance:authentication-methods"
"""The attribute that says how the person signed in, in the words of RFC 8176: SAML has none of its own for it."""


def _methods(service: Service, release: Release) -> tuple[SamlAttribute, ...]:
    if not service.tells_methods or not release.methods:
        return ()
    return (SamlAttribute(name=METHODS, values=release.methods),)


def _attributes(service: Service, release: Release) -> Sequence[SamlAttribute]:
    """Name what is released as the service's own map names it; empty values are left out."""
    rules = {rule.to: rule for rule in service.outward.rules}
    stated = []
    for name, values in release.attributes.items():
        rule = rules.get(name)
        default = URI_NAMES if name.startswith(("urn:", "http://", "https://")) else BASIC_NAMES
        stated.append(
            SamlAttribute(
                name=name,
                values=tuple(value for value in values if value),
                name_format=(rule and rule.format) or default,
                friendly_name=rule.friendly_name if rule else None,
            )
        )
    return tuple(attribute for attribute in stated if attribute.values)
