"""Metadata of our own entities (SAML Metadata §2.3, §2.4): unsigned documents; their owners sign them."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree as ET  # pysaml2's messages are made of it; here it only names prefixes

import saml2
from saml2 import md, samlp
from saml2 import xmldsig as ds
from saml2.extension import mdui, shibmd

from federation.saml.messages import POST, REDIRECT, write, written
from trust_lists.times import format_duration

for _prefix, _namespace in (("mdui", mdui.NAMESPACE), ("shibmd", shibmd.NAMESPACE)):
    ET.register_namespace(_prefix, _namespace)

METADATA_LIFETIME = timedelta(days=7)
"""How long metadata are valid from the moment they are asked for: their readers must ask again within it."""

NOBODY: Mapping[str, str] = MappingProxyType({})
"""No display names."""


def identity_provider_metadata(
    *,
    entity_id: str,
    sso_redirect_url: str,
    sso_post_url: str,
    certificate: bytes,
    name_id_formats: Sequence[str],
    document_id: str,
    valid_until: datetime,
    slo_url: str | None = None,
    scopes: Sequence[str] = (),
    display_names: Mapping[str, str] = NOBODY,
    cache: timedelta | None = None,
) -> bytes:
    """Describe an identity provider that wants signed requests.

    `slo_url` is its SingleLogoutService, Redirect and POST; `scopes` are the domains of its scoped attributes
    (shibmd:Scope); `display_names` are by language (MDUI §2.1.2); `cache` is how long readers are asked to keep it.
    """
    role = md.IDPSSODescriptor(
        protocol_support_enumeration=samlp.NAMESPACE,
        want_authn_requests_signed="true",
        extensions=_extensions(scopes, display_names),
        key_descriptor=[_key("signing", certificate)],
        single_logout_service=_logout(slo_url),
        name_id_format=[md.NameIDFormat(text=name_id_format) for name_id_format in name_id_formats],
        single_sign_on_service=[
            md.SingleSignOnService(binding=REDIRECT, location=sso_redirect_url),
            md.SingleSignOnService(binding=POST, location=sso_post_url),
        ],
    )
    return _entity(entity_id, document_id, valid_until, cache, idpsso_descriptor=role)


def service_provider_metadata(
    *,
    entity_id: str,
    acs_url: str,
    certificate: bytes,
    name_id_formats: Sequence[str],
    document_id: str,
    valid_until: datetime,
    slo_url: str | None = None,
    encryption_certificate: bytes | None = None,
    encryption_methods: Sequence[str] = (),
    display_names: Mapping[str, str] = NOBODY,
    cache: timedelta | None = None,
) -> bytes:
    """Describe a service provider that signs its requests and wants signed assertions.

    `encryption_methods` are the algorithms, the preferred one first, that it can decrypt what was encrypted for
    `encryption_certificate` with (SAML Metadata §2.4.1.1); the rest as for an identity provider.
    """
    keys = [_key("signing", certificate)]
    if encryption_certificate is not None:
        keys.append(_key("encryption", encryption_certificate, encryption_methods))
    role = md.SPSSODescriptor(
        protocol_support_enumeration=samlp.NAMESPACE,
        authn_requests_signed="true",
        want_assertions_signed="true",
        extensions=_extensions((), display_names),
        key_descriptor=keys,
        single_logout_service=_logout(slo_url),
        name_id_format=[md.NameIDFormat(text=name_id_format) for name_id_format in name_id_formats],
        assertion_consumer_service=[
            md.AssertionConsumerService(binding=POST, location=acs_url, index="0", is_default="true")
        ],
    )
    return _entity(entity_id, document_id, valid_until, cache, spsso_descriptor=role)


def _entity(
    entity_id: str,
    document_id: str,
    valid_until: datetime,
    cache: timedelta | None,
    *,
    idpsso_descriptor: md.IDPSSODescriptor | None = None,
    spsso_descriptor: md.SPSSODescriptor | None = None,
) -> bytes:
    return write(
        md.EntityDescriptor(
            entity_id=entity_id,
            id=document_id,
            valid_until=written(valid_until),
            cache_duration=None if cache is None else format_duration(cache),
            idpsso_descriptor=idpsso_descriptor,
            spsso_descriptor=spsso_descriptor,
        )
    )


def _key(use: str, certificate: bytes, methods: Sequence[str] = ()) -> md.KeyDescriptor:
    text = base64.b64encode(certificate).decode()
    data = ds.X509Data(x509_certificate=ds.X509Certificate(text=text))
    return md.KeyDescriptor(
        use=use,
        key_info=ds.KeyInfo(x509_data=[data]),
        encryption_method=[md.EncryptionMethod(algorithm=method) for method in methods],
    )


def _logout(address: str | None) -> list[md.SingleLogoutService]:
    """Both bindings at one address (SAML Metadata §2.4.2)."""
    if address is None:
        return []
    return [md.SingleLogoutService(binding=binding, location=address) for binding in (REDIRECT, POST)]


def _extensions(scopes: Sequence[str], display_names: Mapping[str, str]) -> md.Extensions | None:
    """What stands in a role's Extensions (SAML Metadata §2.4.1), if anything does."""
    found: list[Any] = [shibmd.Scope(regexp="false", text=scope) for scope in scopes]
    if display_names:
        names = [mdui.DisplayName(lang=language, text=name) for language, name in display_names.items()]
        found.append(mdui.UIInfo(display_name=names))
    if not found:
        return None
    return md.Extensions(extension_elements=[saml2.element_to_extension_element(each) for each in found])
