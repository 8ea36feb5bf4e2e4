"""The relying role of SAML Web SSO: asking an identity provider, and deciding what its answer is worth.

Knows nothing of the gateway: the demo region's own service providers are made of it too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from saml2 import saml, samlp

from federation.saml import redirect
from federation.saml.checks import Expected, Received, check_assertion, check_envelope
from federation.saml.messages import (
    PERSISTENT,
    POST,
    REDIRECT,
    RESPONSE,
    SIGNATURE,
    SUCCESS,
    from_base64,
    instant,
    new_id,
    read,
    text_of,
    write,
    written,
)
from federation.saml.metadata import METADATA_LIFETIME, service_provider_metadata
from federation.web import Redirect
from trust_lists.model import Role, TrustedEntity
from trust_lists.xmldsig import Signer, verify
from trust_lists.xmlgate import SignatureRefusedError, parse


class SamlResponseRefusedError(Exception):
    """The answer is not believed; `code` names the broken rule and holds nothing of the answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SamlStatusError(Exception):
    """The identity provider says that it did not sign the person in (SAML Core §3.2.2.2)."""

    def __init__(self, status: str, second: str | None) -> None:
        super().__init__(f"{status} {second or ''}".rstrip())
        self.status = status
        self.second = second


class NoEndpointError(Exception):
    """The peer's listed metadata has no address for what is to be sent to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameId:
    """A subject's name (SAML Core §2.2.3), qualifiers as they were stated. Its repr hides the value."""

    value: str = field(repr=False)
    format: str
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlAssertion:
    """A sign-in, verified and checked. `attributes` are by Name; `authn_context` is the provider's own word.

    `valid_until` is the end of the bearer confirmation, for whoever remembers `assertion_id` against replay.
    `may_proxy` is False if the provider forbids basing further assertions on this one (SAML Core §2.5.1.6).
    """

    assertion_id: str
    issuer: str
    name_id: NameId | None
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    authn_context: str | None
    authn_instant: datetime
    session_index: str | None
    valid_until: datetime
    may_proxy: bool


def response_in_reply_to(saml_response: str) -> str | None:
    """Read the InResponseTo of a SAMLResponse field: **unverified**, a key to look a login up by."""
    try:
        root = parse(from_base64(saml_response))
    except SignatureRefusedError:
        return None
    return root.get("InResponseTo") if root.tag == RESPONSE else None


class SamlServiceProvider:
    """A service provider with one assertion consumer service (POST) and one signing key."""

    def __init__(
        self,
        *,
        entity_id: str,
        acs_url: str,
        signer: Signer,
        name_id_formats: Sequence[str] = (PERSISTENT,),
        authentication_age: timedelta = timedelta(hours=12),
    ) -> None:
        self.entity_id = entity_id
        self.acs_url = acs_url
        self._signer = signer
        self._name_id_formats = tuple(name_id_formats)
        self._authentication_age = authentication_age

    def request(
        self,
        idp: TrustedEntity,
        *,
        request_id: str,
        relay_state: str | None,
        now: datetime,
        force_authn: bool = False,
        is_passive: bool = False,
        requested_contexts: Sequence[str] = (),
        name_id_format: str | None = None,
        identity_providers: Sequence[str] = (),
    ) -> Redirect:
        """Make a signed AuthnRequest by HTTP-Redirect (SAML Core §3.4.1).

        `requested_contexts` are compared exactly; `identity_providers` is the IDPList of its Scoping. Raises
        `NoEndpointError`.
        """
        endpoint = idp.endpoint(Role.SAML_IDENTITY_PROVIDER, "SingleSignOnService", REDIRECT)
        if endpoint is None:
            raise NoEndpointError(idp.entity_id)
        message = samlp.AuthnRequest(
            id=request_id,
            version="2.0",
            issue_instant=written(now),
            destination=endpoint.location,
            issuer=saml.Issuer(text=self.entity_id),
            assertion_consumer_service_url=self.acs_url,
            protocol_binding=POST,
            force_authn="true" if force_authn else None,
            is_passive="true" if is_passive else None,
        )
        if name_id_format:
            message.name_id_policy = samlp.NameIDPolicy(format=name_id_format, allow_create="true")
        if requested_contexts:
            message.requested_authn_context = samlp.RequestedAuthnContext(
                comparison="exact",
                authn_context_class_ref=[saml.AuthnContextClassRef(text=c) for c in requested_contexts],
            )
        if identity_providers:
            entries = [samlp.IDPEntry(provider_id=provider) for provider in identity_providers]
            message.scoping = samlp.Scoping(idp_list=samlp.IDPList(idp_entry=entries))
        return redirect.send(
            endpoint.location, "SAMLRequest", write(message), relay_state=relay_state, signer=self._signer
        )

    def response(
        self,
        saml_response: str,
        *,
        idp: TrustedEntity,
        request_id: str,
        now: datetime,
        authenticated_after: datetime | None = None,
    ) -> SamlAssertion:
        """Verify and check the SAMLResponse field that answers `request_id`.

        The Response or its assertion must be signed, and every signature there is must verify. Raises
        `SamlStatusError` if the provider refused, `SamlResponseRefusedError` for everything that is not
        believed.
        """
        try:
            received = _verified(from_base64(saml_response), idp.signing_certificates)
        except SignatureRefusedError as refused:
            raise SamlResponseRefusedError(refused.code) from None
        expected = Expected(
            issuer=idp.entity_id,
            audience=self.entity_id,
            recipient=self.acs_url,
            request_id=request_id,
            now=now,
            authenticated_after=authenticated_after or now - self._authentication_age,
        )
        broken = check_envelope(received, expected)
        if broken is None:
            _check_status(received.response)
            assertion = received.assertion
            broken = "no-assertion" if assertion is None else check_assertion(assertion, expected)
        if broken is not None or assertion is None:
            raise SamlResponseRefusedError(broken or "no-assertion")
        return _said(assertion, expected)

    def metadata(self, *, now: datetime, valid_until: datetime | None = None) -> bytes:
        """Make this entity's signed metadata (SAML Metadata §2.4.4).

        Valid for `METADATA_LIFETIME` if not told otherwise.
        """
        document = service_provider_metadata(
            entity_id=self.entity_id,
            acs_url=self.acs_url,
            certificate=self._signer.certificate_der,
            name_id_formats=self._name_id_formats,
            document_id=(document_id := new_id()),
            valid_until=valid_until or now + METADATA_LIFETIME,
        )
        return self._signer.sign_element(document, document_id)


def _verified(document: bytes, certificates: Sequence[bytes]) -> Received:
    """Verify every signature of a Response; what is answered is read from verified bytes.

    Only the envelope of an unsigned Response is not: see `Received`. An unsigned Response without an
    assertion can be no more than a refusal. Raises `SignatureRefusedError`.
    """
    enveloped = parse(document).find(SIGNATURE) is not None
    if enveloped:
        document = verify(document, certificates=certificates, expected_root=RESPONSE)
    response = read(document, samlp.Response)
    if response.encrypted_assertion:
        raise SignatureRefusedError("assertion-encrypted")
    if not response.assertion:
        return Received(response=response, assertion=None, enveloped=enveloped)
    (assertion,) = response.assertion
    if assertion.signature is not None:
        octets = verify(document, certificates=certificates, expected_root=RESPONSE, element_id=assertion.id or "")
        assertion = read(octets, saml.Assertion)
    elif not enveloped:
        raise SignatureRefusedError("unsigned")
    return Received(response=response, assertion=assertion, enveloped=enveloped)


def _check_status(response: samlp.Response) -> None:
    code = None if response.status is None else response.status.status_code
    if code is None or not code.value:
        raise SamlResponseRefusedError("status-missing")
    if code.value != SUCCESS:
        second = code.status_code
        raise SamlStatusError(code.value, None if second is None else second.value)


def _said(assertion: saml.Assertion, expected: Expected) -> SamlAssertion:
    statement = assertion.authn_statement[0]
    context = statement.authn_context
    ends = [
        instant(confirmation.subject_confirmation_data.not_on_or_after)
        for confirmation in assertion.subject.subject_confirmation
        if confirmation.subject_confirmation_data is not None
    ]
    authn_instant = instant(statement.authn_instant)
    assert authn_instant is not None  # checked before
    return SamlAssertion(
        assertion_id=assertion.id or "",
        issuer=expected.issuer,
        name_id=_name_id(assertion.subject.name_id),
        attributes=_attributes(assertion),
        authn_context=(text_of(context.authn_context_class_ref) or None) if context else None,
        authn_instant=authn_instant,
        session_index=statement.session_index or None,
        valid_until=max(end for end in ends if end is not None),
        may_proxy=all(restriction.count != "0" for restriction in assertion.conditions.proxy_restriction or ()),
    )


def _name_id(name_id: saml.NameID | None) -> NameId | None:
    if name_id is None or not name_id.text:
        return None
    return NameId(
        value=name_id.text,
        format=name_id.format or saml.NAMEID_FORMAT_UNSPECIFIED,
        name_qualifier=name_id.name_qualifier or None,
        sp_name_qualifier=name_id.sp_name_qualifier or None,
    )


def _attributes(assertion: saml.Assertion) -> dict[str, tuple[str, ...]]:
    """Values by Name; a value that is empty or not text is left out."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in assertion.attribute_statement or ():
        for attribute in statement.attribute or ():
            values = tuple(
                value.text for value in attribute.attribute_value or () if value.text and not value.extension_elements
            )
            found[attribute.name] = found.get(attribute.name, ()) + values
    return found
