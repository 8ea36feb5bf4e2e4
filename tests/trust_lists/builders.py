"""Small builders of real keys, metadata and lists for the trust-list tests."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from joserfc.registry import HeaderParameter

from trust_lists import etsi_json, jades, saml_metadata
from trust_lists.times import format_instant
from trust_lists.xmldsig import Signer

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(days=30)

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
MDRPI = "urn:oasis:names:tc:SAML:metadata:rpi"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A key with its certificate, in the shapes that the code takes."""

    key_pem: bytes
    certificate_pem: bytes
    der: bytes

    @property
    def signer(self) -> Signer:
        """What signs XML."""
        return _signer(self)

    @property
    def base64(self) -> str:
        """The certificate as it stands in metadata."""
        return base64.b64encode(self.der).decode()


@cache
def _signer(of: Authority) -> Signer:
    """Made once: OpenSSL checks a whole RSA key whenever it is read, which takes longer than a hundred signatures."""
    return Signer.from_pem(of.key_pem, of.certificate_pem)


@cache
def authority(name: str = "region", kind: str = "rsa", bits: int = 2048) -> Authority:
    """The same key for the same arguments, so that a run makes few of them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    if kind == "ec384":
        key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1000)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2021, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return Authority(
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        der=certificate.public_bytes(Encoding.DER),
    )


# --- SAML


def key_descriptor(certificate: Authority, use: str | None = "signing", *methods: str) -> str:
    """A KeyDescriptor; `use` None leaves the attribute out; `methods` are encryption algorithms."""
    stated = f' use="{use}"' if use is not None else ""
    return (
        f'<md:KeyDescriptor{stated}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>{certificate.base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        + "".join(f'<md:EncryptionMethod Algorithm="{method}"/>' for method in methods)
        + "</md:KeyDescriptor>"
    )


def scopes(*values: str, regexp: str | None = None) -> str:
    """Extensions with shibmd:Scope elements."""
    stated = f' regexp="{regexp}"' if regexp is not None else ""
    inside = "".join(f"<shibmd:Scope{stated}>{value}</shibmd:Scope>" for value in values)
    return f'<md:Extensions xmlns:shibmd="urn:mace:shibboleth:metadata:1.0">{inside}</md:Extensions>'


def identity_provider(
    entity_id: str = "https://idp.example/",
    *,
    keys: str | None = None,
    attributes: str = "",
    extensions: str = "",
    role_attributes: str = "",
    location: str = "https://idp.example/sso",
    role_extensions: str = "",
    more: str = "",
) -> str:
    """An identity provider's EntityDescriptor."""
    keys = key_descriptor(authority("idp"), None) if keys is None else keys
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{entity_id}"{attributes}>{extensions}'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL}"{role_attributes}>'
        f'{role_extensions}{keys}<md:SingleSignOnService Binding="{REDIRECT}" Location="{location}"/>'
        f"</md:IDPSSODescriptor>{more}"
        "</md:EntityDescriptor>"
    )


def service_provider(
    entity_id: str = "https://sp.example/",
    *,
    keys: str = "",
    attributes: str = "",
    extensions: str = "",
    role_attributes: str = "",
    services: str | None = None,
) -> str:
    """A service provider's EntityDescriptor with an organisation's names."""
    if services is None:
        services = f'<md:AssertionConsumerService Binding="{POST}" Location="{entity_id}acs" index="0"/>'
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" entityID="{entity_id}"{attributes}>{extensions}'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{PROTOCOL}"{role_attributes}>'
        f"{keys}{services}</md:SPSSODescriptor>"
        '<md:Organization><md:OrganizationName xml:lang="en">sp</md:OrganizationName>'
        '<md:OrganizationDisplayName xml:lang="ja">図書館</md:OrganizationDisplayName>'
        '<md:OrganizationDisplayName xml:lang="en">Library</md:OrganizationDisplayName>'
        '<md:OrganizationURL xml:lang="en">https://sp.example/</md:OrganizationURL></md:Organization>'
        "</md:EntityDescriptor>"
    )


def unsigned_aggregate(
    *entities: str, created: datetime | None = NOW, until: datetime | None = UNTIL, attributes: str = ""
) -> bytes:
    """An aggregate before it is signed; a time of None is left out."""
    publication = ""
    if created is not None:
        publication = (
            f'<md:Extensions><mdrpi:PublicationInfo xmlns:mdrpi="{MDRPI}" publisher="https://region.example" '
            f'creationInstant="{format_instant(created)}"/></md:Extensions>'
        )
    end = f' validUntil="{format_instant(until)}"' if until is not None else ""
    return (
        f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_list"{end}{attributes}>{publication}{"".join(entities)}'
        "</md:EntitiesDescriptor>"
    ).encode()


def aggregate(*entities: str, by: Authority | None = None, **kept: Any) -> bytes:
    """A signed aggregate of whatever entities are given, right or wrong."""
    return (by or authority()).signer.sign_element(unsigned_aggregate(*entities, **kept), "_list")


def read_saml(
    document: bytes, *, now: datetime = NOW, anchors: tuple[bytes, ...] | None = None, name: str = "region-saml"
) -> Any:
    """Read with the region's anchor."""
    anchors = (authority().der,) if anchors is None else anchors
    return saml_metadata.read(document, name=name, anchors=anchors, now=now)


# --- OpenID


@cache
def _key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name})


def public_jwks(name: str = "client") -> dict[str, Any]:
    """A JWK Set with one public P-256 key, the same for the same name."""
    return {"keys": [dict(_key(name).as_dict(private=False))]}


def private_jwks(name: str = "client") -> dict[str, Any]:
    """The same with its private part."""
    return {"keys": [dict(_key(name).as_dict(private=True))]}


def relying_party(entity_id: str = "https://rp.example", **metadata: Any) -> dict[str, Any]:
    """A relying party's entry; a metadata value of None takes the name out."""
    stated = {
        "redirect_uris": ["https://rp.example/callback"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": public_jwks(),
        **metadata,
    }
    return {
        "entity_id": entity_id,
        "role": "openid-relying-party",
        "municipality": "102016",
        "name": {"ja": "参加サイト", "en": "Participation"},
        "metadata": {name: value for name, value in stated.items() if value is not None},
    }


def provider(entity_id: str = "https://op.example", **metadata: Any) -> dict[str, Any]:
    """A provider's entry."""
    return {"entity_id": entity_id, "role": "openid-provider", "municipality": "422053", "metadata": metadata}


# --- ETSI TS 119 602


LEFT_OUT: Any = object()
"""In the place of a value: the member is not there."""


def _with(stated: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**stated, **changed}.items() if value is not LEFT_OUT}


def service(
    entity_id: str = "https://op.example", kind: str = "urn:kakehashi:service-type:openid-provider", **changed: Any
) -> dict[str, Any]:
    """A service as it stands in a list; members of ServiceInformation may be changed, and ServiceHistory given."""
    history = changed.pop("ServiceHistory", LEFT_OUT)
    information = {
        "ServiceTypeIdentifier": kind,
        "ServiceName": [{"lang": "en", "value": "A service"}],
        "ServiceDigitalIdentity": {"OtherIds": [entity_id]},
        "ServiceStatus": "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted",
    }
    return _with({"ServiceInformation": _with(information, changed)}, {"ServiceHistory": history})


def certificate_authority(*by: Authority, **changed: Any) -> dict[str, Any]:
    """A certificate authority's service."""
    values = [{"val": each.base64} for each in by or (authority("ca"),)]
    stated = {
        "ServiceDigitalIdentity": {"OtherIds": ["https://ca.example"], "X509Certificates": values},
        **changed,
    }
    return service(kind="http://uri.etsi.org/TrstSvc/Svctype/CA/PKC", **stated)


def listed(*services: Any, **changed: Any) -> dict[str, Any]:
    """A trusted entity with these services; members of its information may be changed."""
    information = {
        "TEName": [{"lang": "en", "value": "An entity"}],
        "TEAddress": {
            "TEPostalAddress": [{"lang": "en", "StreetAddress": "1 Ote-machi", "Country": "JP"}],
            "TEElectronicAddress": [{"lang": "en", "uriValue": "mailto:id@city.example.jp"}],
        },
        "TEInformationURI": [{"lang": "en", "uriValue": "https://city.example.jp/"}],
    }
    return {
        "TrustedEntityInformation": _with(information, changed),
        "TrustedEntityServices": list(services) or [service()],
    }


def content(*entities: Any, **changed: Any) -> dict[str, Any]:
    """The content of a list; members of the scheme's information may be changed."""
    information = {
        "LoTEVersionIdentifier": 1,
        "LoTESequenceNumber": int(NOW.timestamp()),
        "SchemeOperatorName": [{"lang": "en", "value": "Gunma"}],
        "SchemeName": [{"lang": "en", "value": "region-openid"}],
        "ListIssueDateTime": format_instant(NOW),
        "NextUpdate": format_instant(UNTIL),
    }
    lote: dict[str, Any] = {"ListAndSchemeInformation": _with(information, changed)}
    return {"LoTE": {**lote, "TrustedEntitiesList": list(entities)} if entities else lote}


@cache
def _jose_key(pem: bytes, kind: type[ECKey | RSAKey]) -> ECKey | RSAKey:
    return kind.import_key(pem)


def signed(payload: dict[str, Any] | bytes, *, by: Authority | None = None, **header: Any) -> bytes:
    """Any content signed as a list, with whatever header is asked for."""
    by = by or authority()
    stated = _with(
        {"alg": "RS256", "iat": int(NOW.timestamp()), "x5t#S256": jades.thumbprint(by.der)},
        header,
    )
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    key = _jose_key(by.key_pem, ECKey if stated["alg"].startswith("ES") else RSAKey)
    extra = {name: HeaderParameter("any", lambda _: None) for name in stated if name not in ("alg", "crit")}
    registry = jws.JWSRegistry(extra, algorithms=[stated["alg"]], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = etsi_json.MAXIMUM_BYTES
    return jws.serialize_compact(stated, body, key, registry=registry).encode()


def read_json(document: bytes, *, now: datetime = NOW, anchors: tuple[bytes, ...] | None = None) -> Any:
    """Read with the region's anchor."""
    anchors = (authority().der,) if anchors is None else anchors
    return etsi_json.read(document, name="region-openid", anchors=anchors, now=now)
