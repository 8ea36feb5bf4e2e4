"""The asserting role of SAML Web SSO: checking a service provider's request, and answering it.

Knows nothing of the gateway: the demo region's own identity provider is made of it too.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from saml2 import saml, samlp

from federation.saml.checks import LEEWAY
from federation.saml.messages import (
    PERSISTENT,
    REQUESTER,
    RESPONDER,
    SUCCESS,
    TRANSIENT,
    URI_NAMES,
    new_id,
    write,
    written,
)
from federation.saml.metadata import METADATA_LIFETIME, identity_provider_metadata
from federation.saml.requests import (
    SamlAuthnRequest,
    SamlRequestRefusedError,
    check,
    receive,
    request_from_json,
)
from federation.web import PostForm, WebRequest
from trust_lists.model import TrustedEntity
from trust_lists.xmldsig import Signer
from trust_lists.xmlgate import SignatureRefusedError

__all__ = [
    "SamlAttribute",
    "SamlAuthnRequest",
    "SamlIdentityProvider",
    "SamlRequestRefusedError",
    "request_from_json",
]

RESPONSE_LIFETIME = timedelta(minutes=5)
"""How long a bearer assertion may be presented."""

REQUESTER_FAULTS = frozenset(
    {
        samlp.STATUS_INVALID_NAMEID_POLICY,
        samlp.STATUS_REQUEST_UNSUPPORTED,
        samlp.STATUS_NO_SUPPORTED_IDP,
        samlp.STATUS_UNSUPPORTED_BINDING,
    }
)
"""Second-level status codes that go under `Requester`; others go under `Responder` (SAML Core §3.2.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlAttribute:
    """An attribute to be asserted (SAML Core §2.7.3.1)."""

    name: str
    values: tuple[str, ...] = field(repr=False)
    name_format: str = URI_NAMES
    friendly_name: str | None = None


class SamlIdentityProvider:
    """An identity provider with one single sign-on address per binding and one signing key."""

    def __init__(
        self,
        *,
        entity_id: str,
        sso_url: str,
        signer: Signer,
        sso_post_url: str | None = None,
        name_id_formats: Sequence[str] = (PERSISTENT, TRANSIENT),
    ) -> None:
        self.entity_id = entity_id
        self._sso_redirect_url = sso_url
        self._sso_post_url = sso_post_url or sso_url
        self._signer = signer
        self.name_id_formats = tuple(name_id_formats)

    def request(self, web: WebRequest, *, find: Callable[[str], TrustedEntity], now: datetime) -> SamlAuthnRequest:
        """Check an AuthnRequest that came by Redirect (GET) or POST.

        `find` answers the listed service provider of an entity ID; what it raises (`NotTrustedError`) passes.
        A signature is verified when there is one, and demanded of who is listed as signing. Raises
        `SamlRequestRefusedError`.
        """
        try:
            came = receive(web, find)
        except SignatureRefusedError as refused:
            raise SamlRequestRefusedError(refused.code) from None
        return check(came, sso_urls=frozenset({self._sso_redirect_url, self._sso_post_url}), now=now)

    def response(
        self,
        request: SamlAuthnRequest,
        *,
        name_id: str,
        name_id_format: str,
        attributes: Sequence[SamlAttribute],
        authn_context: str,
        authn_instant: datetime,
        now: datetime,
        session_index: str | None = None,
    ) -> PostForm:
        """Answer with a signed Response that holds a signed assertion (SAML Profiles §4.1.4.2).

        A text that XML cannot express raises `SignatureRefusedError`.
        """
        ends = written(now + RESPONSE_LIFETIME)
        assertion = saml.Assertion(
            id=new_id(),
            version="2.0",
            issue_instant=written(now),
            issuer=saml.Issuer(text=self.entity_id),
            subject=saml.Subject(
                name_id=saml.NameID(
                    text=name_id,
                    format=name_id_format,
                    name_qualifier=self.entity_id,
                    sp_name_qualifier=request.issuer,
                ),
                subject_confirmation=[
                    saml.SubjectConfirmation(
                        method=saml.SCM_BEARER,
                        subject_confirmation_data=saml.SubjectConfirmationData(
                            in_response_to=request.id, recipient=request.acs_url, not_on_or_after=ends
                        ),
                    )
                ],
            ),
            conditions=saml.Conditions(
                not_before=written(now - LEEWAY),
                not_on_or_after=ends,
                audience_restriction=[saml.AudienceRestriction(audience=[saml.Audience(text=request.issuer)])],
            ),
            authn_statement=[
                saml.AuthnStatement(
                    authn_instant=written(authn_instant),
                    session_index=session_index or new_id(),
                    authn_context=saml.AuthnContext(
                        authn_context_class_ref=saml.AuthnContextClassRef(text=authn_context)
                    ),
                )
            ],
        )
        if attributes:
            stated = [_attribute(attribute) for attribute in attributes]
            assertion.attribute_statement = [saml.AttributeStatement(attribute=stated)]
        message = self._message(request, samlp.StatusCode(value=SUCCESS), now)
        message.assertion = [assertion]
        return self._post(request, self._signer.sign_element(write(message), assertion.id), message.id)

    def error(self, request: SamlAuthnRequest, *, second: str, now: datetime) -> PostForm:
        """Answer with a signed refusal; `second` is the second-level status code (SAML Core §3.2.2.2)."""
        top = REQUESTER if second in REQUESTER_FAULTS else RESPONDER
        status = samlp.StatusCode(value=top, status_code=samlp.StatusCode(value=second))
        message = self._message(request, status, now)
        return self._post(request, write(message), message.id)

    def metadata(self, *, now: datetime, valid_until: datetime | None = None) -> bytes:
        """Make this entity's signed metadata (SAML Metadata §2.4.3).

        Valid for `METADATA_LIFETIME` if not told otherwise.
        """
        document = identity_provider_metadata(
            entity_id=self.entity_id,
            sso_redirect_url=self._sso_redirect_url,
            sso_post_url=self._sso_post_url,
            certificate=self._signer.certificate_der,
            name_id_formats=self.name_id_formats,
            document_id=(document_id := new_id()),
            valid_until=valid_until or now + METADATA_LIFETIME,
        )
        return self._signer.sign_element(document, document_id)

    def _message(self, request: SamlAuthnRequest, status_code: samlp.StatusCode, now: datetime) -> samlp.Response:
        return samlp.Response(
            id=new_id(),
            version="2.0",
            issue_instant=written(now),
            destination=request.acs_url,
            in_response_to=request.id,
            issuer=saml.Issuer(text=self.entity_id),
            status=samlp.Status(status_code=status_code),
        )

    def _post(self, request: SamlAuthnRequest, document: bytes, message_id: str) -> PostForm:
        signed = self._signer.sign_element(document, message_id)
        fields = [("SAMLResponse", base64.b64encode(signed).decode())]
        if request.relay_state:
            fields.append(("RelayState", request.relay_state))
        return PostForm(action=request.acs_url, fields=tuple(fields))


def _attribute(attribute: SamlAttribute) -> saml.Attribute:
    return saml.Attribute(
        name=attribute.name,
        name_format=attribute.name_format,
        friendly_name=attribute.friendly_name,
        attribute_value=[_attribute_value(value) for value in attribute.values],
    )


def _attribute_value(text: str) -> saml.AttributeValue:
    """Make a plain value: exclusive C14N leaves out the namespace of pysaml2's `xsi:type` values."""
    value = saml.AttributeValue()
    value.set_text(text)
    value.extension_attributes.clear()
    return value
