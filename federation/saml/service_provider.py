"""The relying role of SAML Web SSO: asking an identity provider, and deciding what its answer is worth.

Knows nothing of the gateway: the demo region's own service providers are made of it too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from lxml import etree
from saml2 import saml, samlp

from federation.saml import redirect, second_opinion
from federation.saml.checks import Expected, Received, check_assertion, check_envelope
from federation.saml.messages import (
    ASSERTION,
    ENCRYPTED_ASSERTION,
    ISSUER,
    PERSISTENT,
    POST,
    REDIRECT,
    RESPONSE,
    SIGNATURE,
    SUCCESS,
    from_base64,
    from_element,
    instant,
    new_id,
    read_assertion,
    text_of,
    write,
    written,
)
from federation.saml.metadata import METADATA_LIFETIME, service_provider_metadata
from federation.sessions import SubjectName
from federation.web import Redirect
from trust_lists.model import Role, TrustedEntity
from trust_lists.xmldsig import Signer, canonical, verify_element
from trust_lists.xmlenc import SUPPORTED_METHODS, Decrypter
from trust_lists.xmlgate import Element, SignatureRefusedError, gate, identifiers, parse, parse_verified


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
class SamlAssertion:
    """A sign-in, verified and checked. `attributes` are by Name; `authn_context` is the provider's own word.

    `valid_until` is the end of the bearer confirmation, for whoever remembers `assertion_id` against replay.
    `may_proxy` is False if the provider forbids basing further assertions on this one (SAML Core §2.5.1.6).
    `session_until` is the end that the provider states of its session. `encrypted`: it came encrypted for us, and
    only in ways that nobody can alter were allowed.
    """

    assertion_id: str
    issuer: str
    name_id: SubjectName | None
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    authn_context: str | None
    authn_instant: datetime
    session_index: str | None
    valid_until: datetime
    may_proxy: bool
    session_until: datetime | None = None
    encrypted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Where a SAMLResponse field belongs, **unverified**: keys to look a login, or an ID system, up by."""

    in_response_to: str | None
    issuer: str | None


def posted(saml_response: str) -> Posted | None:
    """Look into a SAMLResponse field; None if it is no Response that the gate lets through."""
    try:
        root = parse(from_base64(saml_response), roots=(RESPONSE,))
    except SignatureRefusedError:
        return None
    return Posted(in_response_to=root.get("InResponseTo") or None, issuer=root.findtext(ISSUER))


def response_in_reply_to(saml_response: str) -> str | None:
    """Read the InResponseTo of a SAMLResponse field: **unverified**, a key to look a login up by."""
    found = posted(saml_response)
    return found.in_response_to if found else None


class SamlServiceProvider:
    """A service provider with one assertion consumer service (POST) and one signing key.

    `decrypter` opens assertions that are encrypted for it; without one they are refused. `slo_url` is its single
    logout service. `display_names` are by language.
    """

    def __init__(
        self,
        *,
        entity_id: str,
        acs_url: str,
        signer: Signer,
        name_id_formats: Sequence[str] = (PERSISTENT,),
        authentication_age: timedelta = timedelta(hours=12),
        decrypter: Decrypter | None = None,
        slo_url: str | None = None,
        display_names: Mapping[str, str] | None = None,
    ) -> None:
        self.entity_id = entity_id
        self.acs_url = acs_url
        self._signer = signer
        self._name_id_formats = tuple(name_id_formats)
        self._authentication_age = authentication_age
        self._decrypter = decrypter
        self._slo_url = slo_url
        self._display_names = dict(display_names or {})

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
        request_id: str | None,
        now: datetime,
        authenticated_after: datetime | None = None,
        legacy_encryption: bool = False,
    ) -> SamlAssertion:
        """Verify and check the SAMLResponse field that answers `request_id`, or None for one that nobody asked for.

        The Response or its assertion must be signed, and every signature there is must verify, whether the
        assertion is encrypted or not. `legacy_encryption`: encryption without integrity (CBC) is opened too.
        Raises `SamlStatusError` if the provider refused, `SamlResponseRefusedError` for everything that is not
        believed.
        """
        try:
            received = self._verified(from_base64(saml_response), idp.signing_certificates, legacy_encryption)
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
        if broken is None and not second_opinion.agrees(received, expected):
            broken = "second-opinion"
        if broken is not None or assertion is None:
            raise SamlResponseRefusedError(broken or "no-assertion")
        said = _said(assertion, received.attributes, expected)
        return replace(said, encrypted=received.encrypted and not legacy_encryption)

    def _verified(self, document: bytes, certificates: Sequence[bytes], legacy: bool) -> Received:  # noqa: FBT001
        """Verify every signature of a Response; what is answered is read from verified bytes.

        Only the envelope of an unsigned Response is not: see `Received`. An unsigned Response without an
        assertion can be no more than a refusal. Raises `SignatureRefusedError`.
        """
        envelope = gate(document, roots=(RESPONSE,))
        enveloped = envelope.find(SIGNATURE) is not None
        if enveloped:
            envelope = parse_verified(verify_element(envelope, certificates=certificates))
        encrypted = envelope.find(ENCRYPTED_ASSERTION) is not None
        statement = self._assertion(envelope, legacy)
        assertion: saml.Assertion | None = None
        attributes: dict[str, tuple[str, ...]] = {}
        if statement is not None:
            if statement.find(SIGNATURE) is not None:
                assertion, attributes = read_assertion(verify_element(statement, certificates=certificates))
            elif enveloped:
                assertion, attributes = read_assertion(canonical(statement))
            else:
                raise SignatureRefusedError("unsigned")
            for child in envelope.findall(ASSERTION):  # read above, from its own bytes
                envelope.remove(child)
        response = from_element(envelope, samlp.Response)
        return Received(
            response=response, assertion=assertion, attributes=attributes, enveloped=enveloped, encrypted=encrypted
        )

    def _assertion(self, envelope: Element, legacy: bool) -> Element | None:  # noqa: FBT001
        """Find the one assertion of a Response, opened if it is encrypted: the gate holds that too."""
        encrypted = envelope.find(ENCRYPTED_ASSERTION)
        if encrypted is None:
            return envelope.find(ASSERTION)
        if self._decrypter is None:
            raise SignatureRefusedError("assertion-encrypted")
        envelope.remove(encrypted)
        opened = gate(self._decrypter.decrypt(_alone(encrypted), legacy=legacy), roots=(ASSERTION,))
        if not set(identifiers(opened)).isdisjoint(identifiers(envelope)):
            raise SignatureRefusedError("id-not-unique")
        return opened

    def metadata(self, *, now: datetime, valid_until: datetime | None = None, cache: timedelta | None = None) -> bytes:
        """Make this entity's signed metadata (SAML Metadata §2.4.4).

        Valid for `METADATA_LIFETIME` if not told otherwise; readers are asked to keep it for `cache`.
        """
        document = service_provider_metadata(
            entity_id=self.entity_id,
            acs_url=self.acs_url,
            certificate=self._signer.certificate_der,
            name_id_formats=self._name_id_formats,
            document_id=(document_id := new_id()),
            valid_until=valid_until or now + METADATA_LIFETIME,
            slo_url=self._slo_url,
            encryption_certificate=self._decrypter.certificate_der if self._decrypter else None,
            encryption_methods=SUPPORTED_METHODS,
            display_names=self._display_names,
            cache=cache,
        )
        return self._signer.sign_element(document, document_id)


_TYPES = {
    "xs": "http://www.w3.org/2001/XMLSchema",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
"""Prefixes that encrypted attribute values use and declare further out, where canonical form has dropped them."""


def _alone(encrypted: Element) -> bytes:
    """Write an element as a document, with the namespaces in scope: its plaintext may use them."""
    declared: Any = {**_TYPES, **encrypted.nsmap}  # the default namespace is named None there
    alone = etree.Element(encrypted.tag, nsmap=declared)
    alone.extend(encrypted)
    return etree.tostring(alone)


def _check_status(response: samlp.Response) -> None:
    code = None if response.status is None else response.status.status_code
    if code is None or not code.value:
        raise SamlResponseRefusedError("status-missing")
    if code.value != SUCCESS:
        second = code.status_code
        raise SamlStatusError(code.value, None if second is None else second.value)


def _said(assertion: saml.Assertion, attributes: Mapping[str, tuple[str, ...]], expected: Expected) -> SamlAssertion:
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
        attributes=attributes,
        authn_context=(text_of(context.authn_context_class_ref) or None) if context else None,
        authn_instant=authn_instant,
        session_index=statement.session_index or None,
        valid_until=max(end for end in ends if end is not None),
        may_proxy=all(restriction.count != "0" for restriction in assertion.conditions.proxy_restriction or ()),
        session_until=instant(statement.session_not_on_or_after),
    )


def _name_id(name_id: saml.NameID | None) -> SubjectName | None:
    if name_id is None or not name_id.text:
        return None
    return SubjectName(
        value=name_id.text,
        format=name_id.format,
        name_qualifier=name_id.name_qualifier,
        sp_name_qualifier=name_id.sp_name_qualifier,
        sp_provided_id=name_id.sp_provided_id,
    )
