"""Builders for SAML tests: real keys, both roles, the lists' view of them, and a moment."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

from federation.saml.identity_provider import SamlAttribute, SamlAuthnRequest, SamlIdentityProvider
from federation.saml.messages import PERSISTENT, POST, REDIRECT, inflate
from federation.saml.service_provider import SamlAssertion, SamlServiceProvider
from federation.web import PostForm, Redirect, WebRequest
from trust_lists.model import Endpoint, NotTrustedError, Role, TrustedEntity
from trust_lists.xmldsig import Signer
from trust_lists.xmlgate import Element

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
IDP = "https://ebetsu.example/saml"
SSO = "https://ebetsu.example/sso"
SP = "https://portal.example/saml"
ACS = "https://portal.example/acs"
CONTEXT = "urn:example:card"
SURNAME = "urn:oid:2.5.4.4"
ATTRIBUTES = (
    SamlAttribute(name=SURNAME, values=("髙橋",), friendly_name="sn"),
    SamlAttribute(name="urn:oid:0.9.2342.19200300.100.1.3", values=("hanako@ebetsu.example", "h@example.jp")),
    SamlAttribute(name="urn:oid:2.5.4.42", values=("花子 <&> \"'",)),
)


def pem_pair(name: str, kind: str = "rsa") -> tuple[bytes, bytes]:
    """Make a private key and its certificate, both PEM; one pair per name and kind for the whole run."""
    return _pem_pair(name, kind)


@cache
def _pem_pair(name: str, kind: str) -> tuple[bytes, bytes]:
    key = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if kind == "rsa"
        else ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind])
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, *form), certificate.public_bytes(pem)


@cache
def signer(name: str, kind: str = "rsa") -> Signer:
    """The signer of that name."""
    return Signer.from_pem(*pem_pair(name, kind))


def listed_idp(**changes: object) -> TrustedEntity:
    """The identity provider as the list states it."""
    role = Role.SAML_IDENTITY_PROVIDER
    entity = TrustedEntity(
        entity_id=IDP,
        roles=frozenset({role}),
        listed_in="region-saml",
        valid_until=NOW + timedelta(days=1),
        municipality="012173",
        signing_certificates=(signer("idp").certificate_der,),
        endpoints=(Endpoint(role=role, kind="SingleSignOnService", binding=REDIRECT, location=SSO),),
    )
    return replace(entity, **changes)


def acs_endpoint(location: str, index: int, *, default: bool = False) -> Endpoint:
    """An assertion consumer service by POST."""
    return Endpoint(
        role=Role.SAML_SERVICE_PROVIDER,
        kind="AssertionConsumerService",
        binding=POST,
        location=location,
        index=index,
        is_default=default,
    )


def listed_sp(**changes: object) -> TrustedEntity:
    """The service provider as the list states it."""
    entity = TrustedEntity(
        entity_id=SP,
        roles=frozenset({Role.SAML_SERVICE_PROVIDER}),
        listed_in="region-saml",
        valid_until=NOW + timedelta(days=1),
        signing_certificates=(signer("sp").certificate_der,),
        endpoints=(acs_endpoint(ACS, 0, default=True), acs_endpoint(ACS + "2", 7)),
        wants_signed_requests=True,
    )
    return replace(entity, **changes)


def identity_provider(kind: str = "rsa", **changes: object) -> SamlIdentityProvider:
    """The identity provider itself."""
    return SamlIdentityProvider(**{"entity_id": IDP, "sso_url": SSO, "signer": signer("idp", kind), **changes})


def service_provider(kind: str = "rsa", **changes: object) -> SamlServiceProvider:
    """The service provider itself."""
    return SamlServiceProvider(**{"entity_id": SP, "acs_url": ACS, "signer": signer("sp", kind), **changes})


def came_by(redirect: Redirect) -> WebRequest:
    """The browser's request after that redirect."""
    parts = urlsplit(redirect.location)
    return WebRequest(method="GET", url=parts._replace(query="").geturl(), raw_query=parts.query)


def authn_request(**asked: object) -> Redirect:
    """A signed AuthnRequest of the service provider."""
    options = {"request_id": "_asked", "relay_state": "state", "now": NOW, **asked}
    return service_provider().request(listed_idp(), **options)


def inflated(redirect: Redirect) -> bytes:
    """The document that a redirect carries."""
    return inflate(base64.b64decode(parse_qs(urlsplit(redirect.location).query)["SAMLRequest"][0]))


def accepted(**asked: object) -> SamlAuthnRequest:
    """That request after the identity provider checked it."""
    return identity_provider().request(came_by(authn_request(**asked)), find=lambda _: listed_sp(), now=NOW)


def answer(idp: SamlIdentityProvider | None = None, **changes: object) -> PostForm:
    """A signed sign-in as the identity provider answers it."""
    options = {
        "name_id": "person-1",
        "name_id_format": PERSISTENT,
        "attributes": ATTRIBUTES,
        "authn_context": CONTEXT,
        "authn_instant": NOW - timedelta(minutes=1),
        "now": NOW,
        **changes,
    }
    request = options.pop("request", None) or accepted()
    return (idp or identity_provider()).response(request, **options)


def xml_of(form: PostForm) -> bytes:
    """The document that the form carries."""
    return base64.b64decode(dict(form.fields)["SAMLResponse"])


def arrived(document: bytes, **changes: object) -> SamlAssertion:
    """What the service provider makes of a document as the answer to its request."""
    options = {"idp": listed_idp(), "request_id": "_asked", "now": NOW, **changes}
    return service_provider().response(base64.b64encode(document).decode(), **options)


class Lists:
    """A trust port over a handful of entities."""

    def __init__(self, *entities: TrustedEntity) -> None:
        self._entities: Mapping[str, TrustedEntity] = {entity.entity_id: entity for entity in entities}

    def find(self, entity_id: str, role: Role, at: datetime) -> TrustedEntity:
        """The entity, if it is listed in that role and its entry is in force."""
        entity = self._entities.get(entity_id)
        if entity is None:
            raise NotTrustedError("unlisted", entity_id, role)
        if role not in entity.roles:
            raise NotTrustedError("other-role", entity_id, role)
        if at >= entity.valid_until:
            raise NotTrustedError("expired", entity_id, role)
        return entity


# --- documents that the identity provider would not make itself, signed by its key

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def unsigned(document: bytes) -> Element:
    """The document without any signature."""
    root = etree.fromstring(document)
    for signature in list(root.iter(SIGNATURE)):
        signature.getparent().remove(signature)
    return root


def reissued(
    edit: Callable[[Element], object] = lambda _: None,
    *,
    sign: tuple[str, ...] = ("Assertion", "Response"),
    by: str = "idp",
    document: bytes | None = None,
) -> bytes:
    """A sign-in, edited, then signed: `sign` names the elements, in order."""
    root = unsigned(document or xml_of(answer()))
    edit(root)
    octets = etree.tostring(root)
    for name in sign:
        (element,) = [e for e in root.iter() if etree.QName(e).localname == name]
        octets = signer(by).sign_element(octets, element.get("ID"))
    return octets


def setting(path: str, **attributes: str | None) -> Callable[[Element], None]:
    """An edit: set attributes (None removes) of the one element at `path` (prefixes `s`, `p`)."""

    def edit(root: Element) -> None:
        (element,) = at(root, path)
        for name, value in attributes.items():
            if value is None:
                del element.attrib[name]
            else:
                element.set(name, value)

    return edit


def texting(path: str, text: str) -> Callable[[Element], None]:
    """An edit: set the text of the one element at `path`."""

    def edit(root: Element) -> None:
        (element,) = at(root, path)
        element.text = text

    return edit


def removing(path: str) -> Callable[[Element], None]:
    """An edit: remove every element at `path`."""

    def edit(root: Element) -> None:
        for element in at(root, path):
            element.getparent().remove(element)

    return edit


def adding(path: str, xml: str) -> Callable[[Element], None]:
    """An edit: append `xml` to the one element at `path`."""

    def edit(root: Element) -> None:
        (element,) = at(root, path)
        element.append(etree.fromstring(f'<x xmlns:s="{SAML[1:-1]}" xmlns:p="{SAMLP[1:-1]}">{xml}</x>')[0])

    return edit


def at(root: Element, path: str) -> list[Element]:
    """The elements at an XPath with the prefixes `s` (assertion) and `p` (protocol)."""
    return root.xpath(path, namespaces={"s": SAML[1:-1], "p": SAMLP[1:-1]})
