"""The door towards one SAML ID system."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import ClassVar

from federation.assurance import ASKED, ENCRYPTED
from federation.model import Departure, Identity, IdSystem, Kept
from federation.ports import Departed, TrustPort
from federation.refusal import (
    AssuranceTooLow,
    IdSystemAnswerRefused,
    IdSystemDenied,
    IdSystemNotTrusted,
    InteractionNeeded,
    Refusal,
)
from federation.saml import scopes
from federation.saml.checks import LEEWAY
from federation.saml.logout import upstream_session
from federation.saml.messages import PERSISTENT, TRANSIENT
from federation.saml.service_provider import (
    NoEndpointError,
    SamlAssertion,
    SamlResponseRefusedError,
    SamlServiceProvider,
    SamlStatusError,
)
from federation.web import Exchange, Json, WebRequest
from trust_lists.model import NotTrustedError, Role, TrustedEntity

_SAID: tuple[type[Refusal], ...] = (AssuranceTooLow, InteractionNeeded)
"""What an ID system can say of its own accord that is more than a plain no."""


class SamlConnector:
    """Signs people in at `system` (`federation.ports.Connector`).

    `subject_attribute` is the Name of the attribute that stays the same for a person; None means the
    persistent NameID. `scoped_attributes` are names of scoped attributes beyond those that everybody knows
    (`scopes.SCOPED`). The trust list is asked anew at both ends of every login.
    """

    brief: ClassVar[bool] = False

    def __init__(
        self,
        *,
        system: IdSystem,
        provider: SamlServiceProvider,
        trust: TrustPort,
        subject_attribute: str | None = None,
        scoped_attributes: Collection[str] = (),
    ) -> None:
        self._system = system
        self._provider = provider
        self._trust = trust
        self._subject_attribute = subject_attribute
        self._scoped = scopes.SCOPED | frozenset(scoped_attributes)

    def depart(self, departure: Departure, now: datetime) -> Exchange[Departed]:
        """Send the browser away with a signed AuthnRequest; the handle is its ID and its RelayState."""
        yield from ()
        request_id = "_" + departure.handle
        try:
            answer = self._provider.request(
                self._listed(now),
                request_id=request_id,
                relay_state=departure.handle,
                now=now,
                force_authn=departure.force_authentication,
                is_passive=departure.passive,
                requested_contexts=departure.words,
                name_id_format=None if self._subject_attribute else PERSISTENT,
            )
        except NoEndpointError:
            raise IdSystemNotTrusted("no-sign-on-address") from None
        forced_at = now.timestamp() if departure.force_authentication else None
        return Departed(answer=answer, memory={"request_id": request_id, "forced_at": forced_at})

    def arrive(self, request: WebRequest, memory: Json, now: datetime) -> Exchange[Identity]:
        """Verify the SAMLResponse that was posted; a forced sign-in must be newer than its request."""
        yield from ()
        return self._identity(request, memory["request_id"], memory["forced_at"], now)

    def unsolicited(self, request: WebRequest, now: datetime) -> Exchange[Identity]:
        """Verify a SAMLResponse that nobody here asked for (SAML Profiles §4.1.5); raises as `arrive` does."""
        yield from ()
        if "unsolicited-responses" not in self._system.weaker:
            raise IdSystemAnswerRefused("unsolicited")
        return self._identity(request, None, None, now)

    def _identity(
        self, request: WebRequest, request_id: str | None, forced_at: float | None, now: datetime
    ) -> Identity:
        answers = [value for name, value in request.form if name == "SAMLResponse"]
        if request.method != "POST" or len(answers) != 1:
            raise IdSystemAnswerRefused("response-missing")
        listed = self._listed(now)
        try:
            assertion = self._provider.response(
                answers[0],
                idp=listed,
                request_id=request_id,
                now=now,
                authenticated_after=None if forced_at is None else datetime.fromtimestamp(forced_at, now.tzinfo),
                legacy_encryption="cbc-encryption" in self._system.weaker,
            )
        except SamlStatusError as refused:
            kind = next((kind for kind in _SAID if refused.second == kind.saml_status), IdSystemDenied)
            raise kind(str(refused)) from None
        except SamlResponseRefusedError as refused:
            raise IdSystemAnswerRefused(refused.code) from None
        if not assertion.may_proxy:
            raise IdSystemAnswerRefused("proxy-forbidden")
        attributes, dropped = scopes.within(assertion.attributes, listed.scopes, self._scoped)
        return Identity(
            id_system=self._system.id,
            subject=self._subject(assertion, attributes),
            attributes=attributes,
            statements=() if assertion.authn_context is None else (assertion.authn_context,),
            authenticated_at=assertion.authn_instant,
            once=Kept(
                kind="assertion",
                key=f"{assertion.issuer} {assertion.assertion_id}",
                value={},
                lifetime=assertion.valid_until + LEEWAY - now,
            ),
            scoped=self._scoped,
            out_of_scope=dropped,
            session=upstream_session(assertion, listed),
            protection=frozenset(
                filter(None, (ASKED if request_id else None, ENCRYPTED if assertion.encrypted else None))
            ),
        )

    def _listed(self, now: datetime) -> TrustedEntity:
        try:
            return self._trust.find(self._system.entity_id, Role.SAML_IDENTITY_PROVIDER, now)
        except NotTrustedError as untrusted:
            raise IdSystemNotTrusted(untrusted.code) from None

    def _subject(self, assertion: SamlAssertion, attributes: Mapping[str, tuple[str, ...]]) -> str:
        """Name the person for good; a NameID counts together with its qualifiers (SAML Core §8.3.7)."""
        if self._subject_attribute is not None:
            values = set(attributes.get(self._subject_attribute, ()))
            if len(values) != 1:
                raise IdSystemAnswerRefused("subject-attribute-missing" if not values else "subject-ambiguous")
            return values.pop()
        name_id = assertion.name_id
        if name_id is None:
            raise IdSystemAnswerRefused("name-id-missing")
        if name_id.format == TRANSIENT:
            raise IdSystemAnswerRefused("name-id-transient")
        if name_id.format != PERSISTENT:
            raise IdSystemAnswerRefused("name-id-not-persistent")
        qualifier = name_id.name_qualifier or assertion.issuer
        sp_qualifier = name_id.sp_name_qualifier or self._provider.entity_id
        return f"{qualifier}!{sp_qualifier}!{name_id.value}"
