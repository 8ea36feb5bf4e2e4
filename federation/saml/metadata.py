"""Metadata of our own entities (SAML Metadata §2.3, §2.4): unsigned documents; their owners sign them."""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

from saml2 import md, samlp
from saml2 import xmldsig as ds

from federation.saml.messages import POST, REDIRECT, write, written

METADATA_LIFETIME = timedelta(days=7)
"""How long metadata are valid from the moment they are asked for: their readers must ask again within it."""


def identity_provider_metadata(
    *,
    entity_id: str,
    sso_redirect_url: str,
    sso_post_url: str,
    certificate: bytes,
    name_id_formats: Sequence[str],
    document_id: str,
    valid_until: datetime,
) -> bytes:
    """Describe an identity provider that wants signed requests."""
    role = md.IDPSSODescriptor(
        protocol_support_enumeration=samlp.NAMESPACE,
        want_authn_requests_signed="true",
        key_descriptor=[_signing_key(certificate)],
        name_id_format=[md.NameIDFormat(text=name_id_format) for name_id_format in name_id_formats],
        single_sign_on_service=[
            md.SingleSignOnService(binding=REDIRECT, location=sso_redirect_url),
            md.SingleSignOnService(binding=POST, location=sso_post_url),
        ],
    )
    return _entity(entity_id, document_id, valid_until, idpsso_descriptor=role)


def service_provider_metadata(
    *,
    entity_id: str,
    acs_url: str,
    certificate: bytes,
    name_id_formats: Sequence[str],
    document_id: str,
    valid_until: datetime,
) -> bytes:
    """Describe a service provider that signs its requests and wants signed assertions."""
    role = md.SPSSODescriptor(
        protocol_support_enumeration=samlp.NAMESPACE,
        authn_requests_signed="true",
        want_assertions_signed="true",
        key_descriptor=[_signing_key(certificate)],
        name_id_format=[md.NameIDFormat(text=name_id_format) for name_id_format in name_id_formats],
        assertion_consumer_service=[
            md.AssertionConsumerService(binding=POST, location=acs_url, index="0", is_default="true")
        ],
    )
    return _entity(entity_id, document_id, valid_until, spsso_descriptor=role)


def _entity(
    entity_id: str,
    document_id: str,
    valid_until: datetime,
    *,
    idpsso_descriptor: md.IDPSSODescriptor | None = None,
    spsso_descriptor: md.SPSSODescriptor | None = None,
) -> bytes:
    return write(
        md.EntityDescriptor(
            entity_id=entity_id,
            id=document_id,
            valid_until=written(valid_until),
            idpsso_descriptor=idpsso_descriptor,
            spsso_descriptor=spsso_descriptor,
        )
    )


def _signing_key(certificate: bytes) -> md.KeyDescriptor:
    text = base64.b64encode(certificate).decode()
    data = ds.X509Data(x509_certificate=ds.X509Certificate(text=text))
    return md.KeyDescriptor(use="signing", key_info=ds.KeyInfo(x509_data=[data]))
