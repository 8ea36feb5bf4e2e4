"""The asserting role of SAML Web SSO: checking a service provider's request, and answering it.

Knows nothing of the gateway: the demo region's own identity provider is made of it too.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from saml2 import ExtensionElement, saml, samlp

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
from trust_lists.xmldsig import Signer, canonical_message
from trust_lists.xmlenc import encrypt
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
    """An identity provider with one single sign-on address per binding and one signing key.

    `slo_url` is its single logout service, `scopes` the domains of its scoped attributes; `display_names` are by
    language.
    """

    def __init__(
        self,
        *,
        entity_id: str,
        sso_url: str,
        signer: Signer,
        sso_post_url: str | None = None,
        name_id_formats: Sequence[str] = (PERSISTENT, TRANSIENT),
        slo_url: str | None = None,
        scopes: Sequence[str] = (),
        display_names: Mapping[str, str] | None = None,
    ) -> None:
        self.entity_id = entity_id
        self._sso_redirect_url = sso_url
        self._sso_post_url = sso_post_url or sso_url
        self._signer = signer
        self.name_id_formats = tuple(name_id_formats)
        self._slo_url = slo_url
        self._scopes = tuple(scopes)
        self._display_names = dict(display_names or {})

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
        session_until: datetime | None = None,
        recipient: TrustedEntity | None = None,
    ) -> PostForm:
        """Answer with a signed Response that holds a signed assertion (SAML Profiles §4.1.4.2).

        `recipient` is the service provider as listed: if it lists an encryption key, the signed assertion is
        encrypted for it, and the Response's signature covers what is encrypted. A request without an ID was not
        made by the service: the Response then answers nothing (§4.1.5). `session_until` bounds the session that the
        service begins (SAML Core §2.7.2 SessionNotOnOrAfter). Raises `EncryptionImpossibleError`.

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
                            in_response_to=request.id or None, recipient=request.acs_url, not_on_or_after=ends
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
                    session_not_on_or_after=None if session_until is None else written(session_until),
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
        statement = self._signer.sign_message(write(assertion), assertion.id)
        if recipient is None or not recipient.encryption_certificates:
            # A canonical element that declares its own namespaces, within a canonical one that has declared none of
            # them: canonical.
            whole = _within(canonical_message(write(message)), statement)
            return self._post(request, self._signer.sign_canonical(whole, message.id))
        statement = encrypt(
            statement,
            certificates=recipient.encryption_certificates,
            methods=recipient.encryption_methods,
            recipient=recipient.entity_id,
        )
        return self._post(request, self._signer.sign_message(_within(write(message), statement), message.id))

    def error(
        self, request: SamlAuthnRequest, *, second: str, now: datetime, message_text: str | None = None
    ) -> PostForm:
        """Answer with a signed refusal; `second` is the second-level status code (SAML Core §3.2.2.2).

        `message_text` is for whoever reads the service's log (§3.2.2.3).
        """
        top = REQUESTER if second in REQUESTER_FAULTS else RESPONDER
        status = samlp.StatusCode(value=top, status_code=samlp.StatusCode(value=second))
        message = self._message(request, status, now)
        if message_text is not None:
            message.status.status_message = samlp.StatusMessage(text=message_text)
        return self._post(request, self._signer.sign_message(write(message), message.id))

    def metadata(self, *, now: datetime, valid_until: datetime | None = None, cache: timedelta | None = None) -> bytes:
        """Make this entity's signed metadata (SAML Metadata §2.4.3).

        Valid for `METADATA_LIFETIME` if not told otherwise; readers are asked to keep it for `cache`.
        """
        document = identity_provider_metadata(
            entity_id=self.entity_id,
            sso_redirect_url=self._sso_redirect_url,
            sso_post_url=self._sso_post_url,
            certificate=self._signer.certificate_der,
            name_id_formats=self.name_id_formats,
            document_id=(document_id := new_id()),
            valid_until=valid_until or now + METADATA_LIFETIME,
            slo_url=self._slo_url,
            scopes=self._scopes,
            display_names=self._display_names,
            cache=cache,
        )
        return self._signer.sign_element(document, document_id)

    def _message(self, request: SamlAuthnRequest, status_code: samlp.StatusCode, now: datetime) -> samlp.Response:
        return samlp.Response(
            id=new_id(),
            version="2.0",
            issue_instant=written(now),
            destination=request.acs_url,
            in_response_to=request.id or None,
            issuer=saml.Issuer(text=self.entity_id),
            status=samlp.Status(status_code=status_code),
        )

    @staticmethod
    def _post(request: SamlAuthnRequest, signed: bytes) -> PostForm:
        fields = [("SAMLResponse", base64.b64encode(signed).decode())]
        if request.relay_state:
            fields.append(("RelayState", request.relay_state))
        return PostForm(action=request.acs_url, fields=tuple(fields))


_END = b"</samlp:Response>"


def _within(message: bytes, statement: bytes) -> bytes:
    """Put an assertion, octet for octet, at the end of a Response of our own making: it is signed already."""
    assert message.endswith(_END)
    return message[: -len(_END)] + statement + _END


def _attribute(attribute: SamlAttribute) -> saml.Attribute:
    """Make an attribute with plain values: pysaml2's own class of values gives them an `xsi:type`, at a cost."""
    return saml.Attribute(
        name=attribute.name,
        name_format=attribute.name_format,
        friendly_name=attribute.friendly_name,
        extension_elements=[
            ExtensionElement("AttributeValue", namespace=saml.NAMESPACE, text=value) for value in attribute.values
        ],
    )
