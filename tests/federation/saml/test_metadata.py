"""Metadata of our own entities: what stands in them, and that a reader of lists takes it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from federation.saml.messages import PERSISTENT, POST, REDIRECT
from federation.saml.metadata import identity_provider_metadata, service_provider_metadata
from tests.federation.saml.peers import ACS, IDP, NOW, SP, SSO, signer
from trust_lists import saml_metadata
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.xmlgate import Element

SLO = "https://ebetsu.example/slo"
NAMES = {
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "shibmd": "urn:mace:shibboleth:metadata:1.0",
    "mdui": "urn:oasis:names:tc:SAML:metadata:ui",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def idp(**options: Any) -> Element:
    """An identity provider's metadata."""
    return etree.fromstring(idp_document(**options))


def idp_document(**options: Any) -> bytes:
    """The same as octets."""
    return identity_provider_metadata(
        entity_id=IDP,
        sso_redirect_url=SSO,
        sso_post_url=SSO,
        certificate=signer("idp").certificate_der,
        name_id_formats=(PERSISTENT,),
        document_id="_m",
        valid_until=NOW + timedelta(days=7),
        **options,
    )


def sp_document(**options: Any) -> bytes:
    """A service provider's metadata."""
    return service_provider_metadata(
        entity_id=SP,
        acs_url=ACS,
        certificate=signer("sp").certificate_der,
        name_id_formats=(PERSISTENT,),
        document_id="_m",
        valid_until=NOW + timedelta(days=7),
        **options,
    )


def found(root: Element, path: str) -> list[Any]:
    """The elements or attributes at an XPath."""
    return root.xpath(path, namespaces=NAMES)


def listed(document: bytes, scopes: Iterable[str] = ()) -> TrustedEntity:
    """What a gateway makes of the document on a signed list."""
    authority = signer("authority")
    entity_id = etree.fromstring(document).get("entityID")
    published = saml_metadata.publish(
        [document],
        name="region",
        signer=authority,
        issued_at=NOW,
        valid_until=NOW + timedelta(days=1),
        scopes={entity_id: tuple(scopes)} if scopes else None,
    )
    read = saml_metadata.read(published, name="region", anchors=[authority.certificate_der], now=NOW)
    assert read.faults == ()
    (entity,) = read.entities
    return entity


def test_what_is_not_given_is_not_there() -> None:
    """No logout, no scope, no names, no encryption: no empty elements instead."""
    for root in (idp(), etree.fromstring(sp_document())):
        assert found(root, "//md:Extensions | //md:SingleLogoutService | //md:EncryptionMethod") == []
        assert found(root, "//md:KeyDescriptor/@use") == ["signing"]


def test_an_identity_providers_extensions() -> None:
    """Its scopes, said to be no patterns, and its name in every language, in the role (shibmd §2.3, MDUI §2.1)."""
    root = idp(scopes=["region.example"], display_names={"ja": "江別市", "en": "Ebetsu City"})
    (scope,) = found(root, "md:IDPSSODescriptor/md:Extensions/shibmd:Scope")
    assert (scope.text, scope.get("regexp")) == ("region.example", "false")
    names = found(root, "md:IDPSSODescriptor/md:Extensions/mdui:UIInfo/mdui:DisplayName")
    assert {name.get(XML_LANG): name.text for name in names} == {"ja": "江別市", "en": "Ebetsu City"}


@pytest.mark.parametrize(
    ("document", "role"),
    [
        (idp_document(slo_url=SLO), Role.SAML_IDENTITY_PROVIDER),
        (sp_document(slo_url=SLO), Role.SAML_SERVICE_PROVIDER),
    ],
)
def test_logout_is_listed_by_both_bindings(document: bytes, role: Role) -> None:
    """At one address (SAML Metadata §2.4.2)."""
    endpoints = [e for e in listed(document).endpoints if e.kind == "SingleLogoutService"]
    assert endpoints == [
        Endpoint(role=role, kind="SingleLogoutService", binding=binding, location=SLO) for binding in (REDIRECT, POST)
    ]


def test_a_service_provider_says_how_to_encrypt_for_it() -> None:
    """A key of its own for it, and the algorithms in its order (SAML Metadata §2.4.1.1)."""
    key = signer("encryption").certificate_der
    entity = listed(
        sp_document(encryption_certificate=key, encryption_methods=[GCM, OAEP], display_names={"ja": "地域"})
    )
    assert (entity.signing_certificates, entity.encryption_certificates) == ((signer("sp").certificate_der,), (key,))
    assert entity.encryption_methods == (GCM, OAEP)
    assert entity.names["ja"] == "地域"


def test_a_gateway_reads_what_a_gateway_writes() -> None:
    """On a list whose authority gives the scope, everything that was said arrives."""
    entity = listed(
        idp_document(slo_url=SLO, scopes=["region.example"], display_names={"ja": "江別市"}), ["region.example"]
    )
    assert entity.scopes == ("region.example",)
    assert entity.names["ja"] == "江別市"
    assert entity.wants_signed_requests


def test_a_name_cannot_become_markup() -> None:
    """What an operator wrote is text."""
    root = idp(display_names={"ja": '</mdui:DisplayName><md:x a="'}, scopes=["a<b"])
    assert [name.text for name in found(root, "//mdui:DisplayName")] == ['</mdui:DisplayName><md:x a="']
    assert [scope.text for scope in found(root, "//shibmd:Scope")] == ["a<b"]
