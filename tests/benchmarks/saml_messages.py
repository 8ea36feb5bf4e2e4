"""The SAML messages of the peers that both proxies meet: a service provider's request, an identity provider's answer.

Every message of a kind is made of one recipe that is written in canonical form, so that what is signed needs no parser:
the driver stays cheap, and both proxies get the same octets but for identifiers, addresses and instants.
"""

import base64
import hashlib
import itertools
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

RSA_BITS = 2048

DS = "http://www.w3.org/2000/09/xmldsig#"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
URI_NAMES = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
CONTEXT = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

IDP_ENTITY, IDP_SSO = "http://localhost:9/idp", "http://localhost:9/idp/sso"
SP_ENTITY, SP_ACS = "http://localhost:9/sp", "http://localhost:9/sp/acs"
"""The peers of the driver: it plays them in its own process, so nothing listens there."""

ATTRIBUTES: Mapping[str, tuple[str, str, str]] = {
    "displayName": ("urn:oid:2.16.840.1.113730.3.1.241", "fullName", "髙橋 花子"),
    "sn": ("urn:oid:2.5.4.4", "familyName", "髙橋"),
    "givenName": ("urn:oid:2.5.4.42", "givenName", "花子"),
    "mail": ("urn:oid:0.9.2342.19200300.100.1.3", "email", "hanako.takahashi@example.jp"),
    "postalAddress": ("urn:oid:2.5.4.16", "fullAddress", "群馬県前橋市大手町二丁目12番1号"),
}
"""What the identity provider says of everybody: friendly name → name, the gateway's own word for it, value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A private key with its certificate: PEM for files, loaded for signing."""

    key: rsa.RSAPrivateKey
    key_pem: bytes
    certificate_pem: bytes
    certificate: str

    def sign(self, octets: bytes) -> str:
        """RSA-SHA256, base64."""
        return base64.b64encode(self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())).decode()


def certified(key: rsa.RSAPrivateKey, name: str, *, by: rsa.RSAPrivateKey | None = None) -> x509.Certificate:
    """A certificate of the key, signed by itself or, where many are needed soon, by another one."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(by or key, hashes.SHA256())
    )


def pair(name: str) -> Pair:
    """A new RSA-2048 key and its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    certificate = certified(key, name)
    return Pair(
        key=key,
        # PKCS #1: the form that pysaml2's tools write
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        certificate=base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
    )


# --- metadata of the peers


def _key_descriptor(certificate: str) -> str:
    return (
        f'<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{certificate}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def idp_metadata(keys: Pair) -> str:
    """The driver's identity provider (SAML Metadata §2.4.3)."""
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{IDP_ENTITY}"><md:IDPSSODescriptor '
        f'WantAuthnRequestsSigned="true" protocolSupportEnumeration="{SAMLP}">{_key_descriptor(keys.certificate)}'
        f"<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>"
        f'<md:SingleSignOnService Binding="{REDIRECT}" Location="{IDP_SSO}"/></md:IDPSSODescriptor>'
        "</md:EntityDescriptor>"
    )


def sp_metadata(keys: Pair) -> str:
    """The driver's service provider (SAML Metadata §2.4.4)."""
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{SP_ENTITY}"><md:SPSSODescriptor AuthnRequestsSigned="true" '
        f'WantAssertionsSigned="true" protocolSupportEnumeration="{SAMLP}">{_key_descriptor(keys.certificate)}'
        f"<md:NameIDFormat>{PERSISTENT}</md:NameIDFormat>"
        f'<md:AssertionConsumerService Binding="{POST}" Location="{SP_ACS}" index="0" isDefault="true"/>'
        "</md:SPSSODescriptor></md:EntityDescriptor>"
    )


# --- messages


_SIGNED_INFO = (
    '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:CanonicalizationMethod>'
    f'<ds:SignatureMethod Algorithm="{RSA_SHA256}"></ds:SignatureMethod>'
    '<ds:Reference URI="#{id}"><ds:Transforms>'
    '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>'
    '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>'
    '</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)


def _signed(before: str, after: str, identifier: str, keys: Pair) -> str:
    """`before` + signature + `after`, which are in canonical form together."""
    digest = base64.b64encode(hashlib.sha256((before + after).encode()).digest()).decode()
    info = _SIGNED_INFO.format(id=identifier, digest=digest)
    value = keys.sign(f'<ds:SignedInfo xmlns:ds="{DS}">{info}'.encode())
    return (
        f'{before}<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>{info}<ds:SignatureValue>{value}</ds:SignatureValue>'
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{keys.certificate}</ds:X509Certificate></ds:X509Data>"
        f"</ds:KeyInfo></ds:Signature>{after}"
    )


_serial = itertools.count()
_run = secrets.token_hex(12)


def new_id() -> str:
    """An identifier that was not used before."""
    return f"_{_run}{next(_serial):016x}"


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _request(destination: str) -> tuple[str, str, str]:
    """ID of a new request, and what stands before and after its signature."""
    identifier = new_id()
    before = (
        f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" AssertionConsumerServiceURL="{SP_ACS}" Destination="{destination}" '
        f'ID="{identifier}" IssueInstant="{_instant(datetime.now(UTC))}" ProtocolBinding="{POST}" Version="2.0">'
        f'<saml:Issuer xmlns:saml="{SAML}">{SP_ENTITY}</saml:Issuer>'
    )
    policy = f'<samlp:NameIDPolicy AllowCreate="true" Format="{PERSISTENT}"></samlp:NameIDPolicy>'
    return identifier, before, f"{policy}</samlp:AuthnRequest>"


def posted_request(destination: str, relay_state: str, keys: Pair) -> tuple[str, dict[str, str]]:
    """A signed AuthnRequest as the fields of a form (SAML Bindings §3.5): its ID, and the fields."""
    identifier, before, after = _request(destination)
    document = _signed(before, after, identifier, keys)
    return identifier, {"SAMLRequest": base64.b64encode(document.encode()).decode(), "RelayState": relay_state}


def redirected_request(destination: str, relay_state: str, keys: Pair) -> tuple[str, str]:
    """A signed AuthnRequest as an address (SAML Bindings §3.4): its ID, and the address."""
    identifier, before, after = _request(destination)
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = base64.b64encode(stream.compress((before + after).encode()) + stream.flush()).decode()
    fields = (("SAMLRequest", packed), ("RelayState", relay_state), ("SigAlg", RSA_SHA256))
    octets = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
    return identifier, f"{destination}?{octets}&Signature={quote(keys.sign(octets.encode()), safe='')}"


def answered(*, request_id: str, acs: str, audience: str, subject: str, keys: Pair) -> str:
    """A Response, signed, with a signed assertion that says `ATTRIBUTES` of `subject`; base64."""
    now = datetime.now(UTC)
    issued, ends = _instant(now), _instant(now + timedelta(minutes=5))
    identifier, assertion_id = new_id(), new_id()
    attributes = "".join(
        f'<saml:Attribute FriendlyName="{friendly}" Name="{name}" NameFormat="{URI_NAMES}"><saml:AttributeValue>'
        f"{escape(value)}</saml:AttributeValue></saml:Attribute>"
        for friendly, (name, _, value) in ATTRIBUTES.items()
    )
    assertion = _signed(
        f'<saml:Assertion xmlns:saml="{SAML}" ID="{assertion_id}" IssueInstant="{issued}" Version="2.0">'
        f"<saml:Issuer>{IDP_ENTITY}</saml:Issuer>",
        f'<saml:Subject><saml:NameID Format="{PERSISTENT}" NameQualifier="{IDP_ENTITY}" SPNameQualifier="{audience}">'
        f'{subject}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<saml:SubjectConfirmationData InResponseTo="{request_id}" NotOnOrAfter="{ends}" Recipient="{acs}">'
        "</saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>"
        f'<saml:Conditions NotBefore="{issued}" NotOnOrAfter="{ends}"><saml:AudienceRestriction><saml:Audience>'
        f"{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{issued}" SessionIndex="{assertion_id}"><saml:AuthnContext>'
        f"<saml:AuthnContextClassRef>{CONTEXT}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>",
        assertion_id,
        keys,
    )
    response = _signed(
        f'<samlp:Response xmlns:samlp="{SAMLP}" Destination="{acs}" ID="{identifier}" InResponseTo="{request_id}" '
        f'IssueInstant="{issued}" Version="2.0"><saml:Issuer xmlns:saml="{SAML}">{IDP_ENTITY}</saml:Issuer>',
        '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode>'
        f"</samlp:Status>{assertion}</samlp:Response>",
        identifier,
        keys,
    )
    return base64.b64encode(response.encode()).decode()


def values_of(names: Sequence[str] = tuple(ATTRIBUTES)) -> list[str]:
    """The values that must reach the service."""
    return [ATTRIBUTES[name][2] for name in names]
