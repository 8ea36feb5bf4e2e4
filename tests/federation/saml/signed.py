"""Real signed messages of every kind that the gateway reads, and who reads them: what forgeries are made of."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from federation.saml.identity_provider import SamlRequestRefusedError
from federation.saml.logout import LogoutDeniedError, LogoutRefusedError, read_response
from federation.saml.logout import read_request as read_request_to_log_out
from federation.saml.messages import RESPONDER, SUCCESS
from federation.saml.service_provider import (
    SamlAssertion,
    SamlResponseRefusedError,
    SamlServiceProvider,
    SamlStatusError,
)
from federation.web import WebRequest
from tests.federation.saml.peers import (
    ACS,
    IDP,
    NOW,
    SP,
    SSO,
    arrived,
    at,
    authn_request,
    identity_provider,
    inflated,
    listed_idp,
    listed_sp,
    pem_pair,
    reissued,
    service_provider,
    signer,
)
from tests.federation.saml.wrapping import DOUBLED, EVIL, NAMESPACES, Target
from tests.trust_lists import builders
from trust_lists.model import ListRefusedError
from trust_lists.times import format_instant
from trust_lists.xmlenc import Decrypter, encrypt
from trust_lists.xmlenc_rules import RSA_OAEP_MGF1P, TRANSPORT_ALGORITHMS, oaep
from trust_lists.xmlgate import Element

REFUSALS = (SamlResponseRefusedError, SamlStatusError, SamlRequestRefusedError, ListRefusedError)
REFUSALS += (LogoutRefusedError, LogoutDeniedError)
"""What readers raise for what they do not believe, and nothing else."""

SLO = "https://portal.example/slo"
PROTOCOL = NAMESPACES["p"]
ASSERTIONS = NAMESPACES["s"]


def forge_person(element: Element) -> None:
    """Another person, with other attributes."""
    for name in at(element, "descendant-or-self::s:NameID | .//s:AttributeValue"):
        name.text = EVIL


def forge_return(element: Element) -> None:
    """The answer goes to another of the service's listed addresses."""
    element.set("AssertionConsumerServiceURL", ACS + "2")
    element.set("ProviderName", EVIL)


def forge_outcome(element: Element) -> None:
    """A logout that failed is said to have succeeded."""
    for code in element.iter(f"{{{PROTOCOL}}}StatusCode"):
        code.set("Value", SUCCESS)
    for text in element.iter(f"{{{PROTOCOL}}}StatusMessage"):
        text.text = EVIL


def forge_entity(element: Element) -> None:
    """The residents of a town are sent to somebody else's identity provider."""
    for service in element.iter(f"{{{builders.MD}}}SingleSignOnService"):
        service.set("Location", f"https://{EVIL}.example/sso")


SUBJECT = "s:Subject/s:NameID"
ATTRIBUTE = "s:AttributeStatement/s:Attribute/s:AttributeValue"
ASSERTED = (
    *("s:Issuer", "s:Subject", SUBJECT, "s:Subject/s:SubjectConfirmation"),
    "s:Subject/s:SubjectConfirmation/s:SubjectConfirmationData",
    *("s:Conditions", "s:Conditions/s:AudienceRestriction", "s:Advice", "s:AuthnStatement"),
    *("s:AuthnStatement/s:AuthnContext", "s:AttributeStatement", "s:AttributeStatement/s:Attribute", ATTRIBUTE),
)
RESPONDED = ("s:Issuer", "p:Status", "p:Status/p:StatusCode", "p:Status/p:StatusMessage", "p:Status/p:StatusDetail")
RESPONDED += ("p:Extensions",)
BELIEVED = ("s:Issuer", SUBJECT, ATTRIBUTE, "s:Conditions/s:AudienceRestriction/s:Audience")
BELIEVED += ("s:AuthnStatement/s:AuthnContext/s:AuthnContextClassRef",)

ASSERTION = Target(
    name="assertion",
    signed="s:Assertion",
    forge=forge_person,
    twice=frozenset({"assertion-misplaced"}),
    homes=RESPONDED,
    inner=ASSERTED,
    values=BELIEVED,
)
RESPONSE = Target(
    name="response",
    signed="",
    forge=forge_person,
    twice=frozenset({"assertion-misplaced"}),
    homes=(*RESPONDED, *(f"s:Assertion/{path}" for path in ASSERTED)),
    inner=(),
    values=("s:Issuer", *(f"s:Assertion/{path}" for path in BELIEVED)),
)
ALONE = Target(
    name="assertion",
    signed="",
    forge=forge_person,
    twice=frozenset({"assertion-misplaced"}),
    homes=ASSERTED,
    inner=(),
    values=BELIEVED,
)
REQUEST = Target(
    name="request",
    signed="",
    forge=forge_return,
    twice=DOUBLED,
    homes=("s:Issuer", "p:Extensions", "p:NameIDPolicy", "p:RequestedAuthnContext", "p:Scoping", "s:Subject"),
    inner=(),
    values=("s:Issuer", "p:RequestedAuthnContext/s:AuthnContextClassRef"),
)
LOGOUT_REQUEST = Target(
    name="logout-request",
    signed="",
    forge=forge_person,
    twice=DOUBLED,
    homes=("s:Issuer", "p:Extensions", "s:NameID", "p:SessionIndex"),
    inner=(),
    values=("s:Issuer", "s:NameID", "p:SessionIndex"),
)
LOGOUT_RESPONSE = Target(
    name="logout-response",
    signed="",
    forge=forge_outcome,
    twice=DOUBLED,
    homes=("s:Issuer", "p:Extensions", "p:Status", "p:Status/p:StatusCode", "p:Status/p:StatusMessage"),
    inner=(),
    values=("s:Issuer", "p:Status/p:StatusMessage"),
)
ENTITY = "md:EntityDescriptor"
AGGREGATE = Target(
    name="aggregate",
    signed="",
    forge=forge_entity,
    twice=DOUBLED,
    homes=(
        *(
            "md:Extensions",
            ENTITY,
            f"{ENTITY}/md:Extensions",
            f"{ENTITY}/md:IDPSSODescriptor",
            f"{ENTITY}/md:Organization",
        ),
        *(f"{ENTITY}/md:IDPSSODescriptor/md:KeyDescriptor", f"{ENTITY}/md:IDPSSODescriptor/md:SingleSignOnService"),
    ),
    inner=(),
    values=(f"{ENTITY}/md:Organization/md:OrganizationDisplayName",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signed message: which part of it is to be forged, how it is made, and who reads it.

    `codes` are reasons under which this reader may refuse everything that is wrong.
    """

    name: str
    target: Target
    make: Callable[[], bytes]
    read: Callable[[bytes], object]
    codes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name}-{self.target.name}"


def posted(document: bytes) -> WebRequest:
    """The request as it arrives by POST."""
    form = [("SAMLRequest", base64.b64encode(document).decode()), ("RelayState", "state")]
    return WebRequest(method="POST", url=SSO, form=form)


def signed_request() -> bytes:
    """An AuthnRequest with an enveloped signature."""
    document = inflated(authn_request(requested_contexts=("urn:a",), identity_providers=("https://maebashi.example",)))
    return signer("sp").sign_element(document, "_asked")


def _logout(kind: str, by: str, inside: str) -> bytes:
    entity = {"sp": SP, "idp": IDP}[by]
    document = (
        f'<p:{kind} xmlns:p="{PROTOCOL}" xmlns:s="{ASSERTIONS}" ID="_out" Version="2.0" InResponseTo="_asked" '
        f'IssueInstant="{format_instant(NOW)}" Destination="{SLO}"><s:Issuer>{entity}</s:Issuer>{inside}</p:{kind}>'
    )
    if kind == "LogoutRequest":
        document = document.replace(' InResponseTo="_asked"', "")
    return signer(by).sign_element(document.encode(), "_out")


def signed_logout_request() -> bytes:
    """A LogoutRequest with an enveloped signature."""
    return _logout("LogoutRequest", "sp", "<s:NameID>person-1</s:NameID><p:SessionIndex>_session</p:SessionIndex>")


def signed_logout_response() -> bytes:
    """A LogoutResponse that tells of a failure."""
    status = f'<p:StatusCode Value="{RESPONDER}"/><p:StatusMessage>no</p:StatusMessage>'
    return _logout("LogoutResponse", "idp", f"<p:Status>{status}</p:Status>")


def read_logout_request(document: bytes) -> object:
    """What is made of a LogoutRequest by POST."""
    web = WebRequest(method="POST", url=SLO, form=[("SAMLRequest", base64.b64encode(document).decode())])
    return read_request_to_log_out(web, url=SLO, find=lambda _: listed_sp(), now=NOW)


def read_logout_response(document: bytes) -> object:
    """What is made of a LogoutResponse by POST."""
    web = WebRequest(method="POST", url=SLO, form=[("SAMLResponse", base64.b64encode(document).decode())])
    return ("ended", read_response(web, url=SLO, peer=listed_idp(), request_id="_asked", now=NOW))


def signed_aggregate() -> bytes:
    """A list of two entities, signed by the region."""
    organization = builders.service_provider("https://a.example/")
    organization = organization[organization.index("<md:Organization>") : organization.index("</md:EntityDescriptor>")]
    return builders.aggregate(
        builders.identity_provider(more=organization), builders.service_provider("https://sp.example/")
    )


def read_request(document: bytes) -> object:
    """What the identity provider makes of a request by POST, of a service that must sign."""
    return identity_provider().request(posted(document), find=lambda _: listed_sp(), now=NOW)


def reader(kind: str) -> Callable[[bytes], SamlAssertion]:
    """What the service provider makes of an answer of an identity provider with a key of that kind."""
    return lambda document: arrived(
        document, idp=listed_idp(signing_certificates=(signer("idp", kind).certificate_der,))
    )


def alone() -> bytes:
    """A signed assertion, on its own."""
    return etree.tostring(ASSERTION.element(etree.fromstring(answered("rsa", ASSERTION))), with_tail=False)


@cache
def _encryption() -> tuple[rsa.RSAPublicKey, bytes, SamlServiceProvider]:
    certificate = load_pem_x509_certificate(pem_pair("encryption")[1])
    bare = f'<Assertion xmlns="{ASSERTIONS}"/>'.encode()
    template = encrypt(bare, certificates=(certificate.public_bytes(Encoding.DER),))
    opening = service_provider(decrypter=Decrypter.from_pem(pem_pair("encryption")))
    return certificate.public_key(), template, opening


def sealed(plain: bytes) -> bytes:
    """An EncryptedAssertion for the service provider, of any octets at all: whoever has its metadata can make one."""
    public, template, _ = _encryption()
    key, nonce = os.urandom(32), os.urandom(12)
    wrapped = public.encrypt(key, oaep(*TRANSPORT_ALGORITHMS[RSA_OAEP_MGF1P].written))
    values = (wrapped, nonce + AESGCM(key).encrypt(nonce, plain, None))
    root = etree.fromstring(template)
    for holder, value in zip(root.iter("{http://www.w3.org/2001/04/xmlenc#}CipherValue"), values, strict=True):
        holder.text = base64.b64encode(value).decode()
    return etree.tostring(root)


@cache
def _envelope() -> bytes:
    return reissued(sign=())


def read_sealed(document: bytes) -> SamlAssertion:
    """What the service provider makes of an assertion that comes encrypted, nothing around it signed."""
    root = etree.fromstring(_envelope())
    root.replace(ASSERTION.element(root), etree.fromstring(sealed(document)))
    *_, service = _encryption()
    field = base64.b64encode(etree.tostring(root)).decode()
    return service.response(field, idp=listed_idp(), request_id="_asked", now=NOW)


def answered(kind: str, *targets: Target, document: bytes | None = None) -> bytes:
    """A Response of which these parts, from the inside out, are signed with a key of that kind."""
    document = reissued(sign=(), document=document)
    for target in targets:
        identifier = target.element(etree.fromstring(document)).get("ID")
        document = signer("idp", kind).sign_element(document, identifier)
    return document


MESSAGES = (
    Signed(name="signed-assertion", target=ASSERTION, make=lambda: reissued(sign=("Assertion",)), read=arrived),
    Signed(name="signed-response", target=RESPONSE, make=lambda: reissued(sign=("Response",)), read=arrived),
    Signed(name="both-signed", target=ASSERTION, make=reissued, read=arrived),
    Signed(
        name="both-signed", target=RESPONSE, make=lambda: answered("p256", ASSERTION, RESPONSE), read=reader("p256")
    ),
    Signed(name="signed", target=REQUEST, make=signed_request, read=read_request),
    Signed(name="signed", target=LOGOUT_REQUEST, make=signed_logout_request, read=read_logout_request),
    Signed(name="signed", target=LOGOUT_RESPONSE, make=signed_logout_response, read=read_logout_response),
    Signed(name="signed", target=AGGREGATE, make=signed_aggregate, read=builders.read_saml),
)


ENCRYPTED = Signed(
    name="encrypted", target=ALONE, make=alone, read=read_sealed, codes=frozenset({"decryption", "assertion-encrypted"})
)
"""The signed assertion within an EncryptedAssertion; nothing tells a sender of altered messages why it was refused."""


@cache
def original(signed: Signed) -> bytes:
    """The signed message, made once."""
    return signed.make()


def code_of(refused: Exception) -> str:
    """The reason code of a refusal; a list's is that of the gate or the signature behind it."""
    reason = refused.__cause__ if isinstance(refused, ListRefusedError) else refused
    assert not isinstance(reason, SamlStatusError | None)
    return reason.code
