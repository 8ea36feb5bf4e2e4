"""Peers that others wrote: python3-saml as a service provider, pysaml2's own classes as a reader."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from saml2 import md, saml, samlp
from saml2.validate import valid_instance

from federation.saml.identity_provider import SamlAuthnRequest
from federation.saml.messages import PERSISTENT
from federation.web import PostForm, WebRequest
from tests.federation.saml.peers import (
    ACS,
    ATTRIBUTES,
    CONTEXT,
    IDP,
    SP,
    answer,
    identity_provider,
    inflated,
    listed_idp,
    listed_sp,
    pem_pair,
    service_provider,
    signer,
    xml_of,
)

# python3-saml reads the clock by functions deprecated since Python 3.12; nothing of ours does.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:datetime\.datetime\.utc(now|fromtimestamp):DeprecationWarning:onelogin.saml2.utils"
)

LEVEL_2 = "urn:kakehashi:assurance:identity-2"
NO_PASSIVE = "urn:oasis:names:tc:SAML:2.0:status:NoPassive"


def clock() -> datetime:
    """The real time: python3-saml reads no other."""
    return datetime.now(UTC).replace(microsecond=0)


def peer(
    form: Sequence[tuple[str, str]] = (), *, algorithm: str | None = None, contexts: object = False
) -> OneLogin_Saml2_Auth:
    """A python3-saml service provider, strict in all it offers, that knows us from our metadata alone."""
    key, certificate = pem_pair("sp")
    metadata = identity_provider().metadata(now=clock(), valid_until=clock() + timedelta(days=1)).decode()
    settings = OneLogin_Saml2_IdPMetadataParser.parse(metadata)
    settings |= {
        "strict": True,
        "sp": {
            "entityId": SP,
            "assertionConsumerService": {"url": ACS, "binding": OneLogin_Saml2_Constants.BINDING_HTTP_POST},
            "NameIDFormat": PERSISTENT,
            "x509cert": certificate.decode(),
            "privateKey": key.decode(),
        },
        "security": {
            "authnRequestsSigned": True,
            "wantAssertionsSigned": True,
            "wantMessagesSigned": True,
            "wantNameId": True,
            "wantAttributeStatement": True,
            "rejectUnsolicitedResponsesWithInResponseTo": True,
            "signatureAlgorithm": algorithm or OneLogin_Saml2_Constants.RSA_SHA256,
            "digestAlgorithm": OneLogin_Saml2_Constants.SHA256,
            "requestedAuthnContext": contexts,
        },
    }
    parts = urlsplit(ACS)
    request = {"https": "on", "http_host": parts.netloc, "script_name": parts.path, "post_data": dict(form)}
    return OneLogin_Saml2_Auth(request, old_settings=settings)


def asked(auth: OneLogin_Saml2_Auth, **options: object) -> SamlAuthnRequest:
    """What we make of the request that python3-saml sends the browser with."""
    parts = urlsplit(auth.login(return_to="https://portal.example/私の手続?a=b&c", **options))
    web = WebRequest(method="GET", url=f"https://{parts.netloc}{parts.path}", raw_query=parts.query)
    return identity_provider().request(web, find=lambda _: listed_sp(), now=clock())


def answered(request: SamlAuthnRequest) -> PostForm:
    """Our sign-in, at the real time."""
    now = clock()
    return answer(request=request, now=now, authn_instant=now, authn_context=LEVEL_2)


@pytest.mark.parametrize(
    "algorithm",
    [
        OneLogin_Saml2_Constants.RSA_SHA256,
        OneLogin_Saml2_Constants.RSA_SHA384,
        OneLogin_Saml2_Constants.RSA_SHA512,
    ],
)
def test_python3_saml_signs_in(algorithm: str) -> None:
    """Its signed request is understood, and our signed response satisfies it in strict mode."""
    auth = peer(algorithm=algorithm)
    request = asked(auth, force_authn=True)
    assert (request.issuer, request.acs_url, request.signed, request.force_authn) == (SP, ACS, True, True)
    assert request.relay_state == "https://portal.example/私の手続?a=b&c"
    form = answered(request)
    back = peer(form.fields)
    back.process_response(request_id=auth.get_last_request_id())
    assert (back.get_errors(), back.get_last_error_reason()) == ([], None)
    assert back.is_authenticated()
    assert (back.get_nameid(), back.get_nameid_format()) == ("person-1", PERSISTENT)
    assert (back.get_nameid_nq(), back.get_nameid_spnq()) == (IDP, SP)
    assert back.get_attributes() == {attribute.name: list(attribute.values) for attribute in ATTRIBUTES}
    assert back.get_last_authn_contexts() == [LEVEL_2]


def test_python3_saml_asks_for_a_level() -> None:
    """Its RequestedAuthnContext arrives."""
    request = asked(peer(contexts=[LEVEL_2]), is_passive=True)
    assert (request.requested_contexts, request.comparison, request.is_passive) == ((LEVEL_2,), "exact", True)


def test_python3_saml_sees_our_refusal() -> None:
    """A signed status, understood as one."""
    auth = peer()
    form = identity_provider().error(asked(auth), second=NO_PASSIVE, now=clock())
    back = peer(form.fields)
    back.process_response(request_id=auth.get_last_request_id())
    assert not back.is_authenticated()
    assert "Responder" in back.get_last_error_reason()


def test_python3_saml_refuses_what_was_altered() -> None:
    """The peer's own verification is in force in this test's set-up."""
    auth = peer()
    form = answered(asked(auth))
    altered = base64.b64encode(xml_of(form).replace(b"person-1", b"person-2")).decode()
    back = peer((("SAMLResponse", altered),))
    back.process_response(request_id=auth.get_last_request_id())
    assert not back.is_authenticated()


def test_python3_saml_verifies_our_requests_and_metadata() -> None:
    """Detached signature of our AuthnRequest and enveloped signature of our metadata, by its verifier."""
    moment = clock()
    _, certificate = pem_pair("sp")
    metadata = service_provider().metadata(now=moment)
    assert OneLogin_Saml2_Utils.validate_metadata_sign(metadata, cert=certificate.decode(), raise_exceptions=True)
    assert signer("sp").algorithm == OneLogin_Saml2_Constants.RSA_SHA256


def test_pysaml2_reads_what_we_write() -> None:
    """Its classes find every message valid: cardinalities, types, required attributes."""
    moment = clock()
    request = asked(peer())
    assert valid_instance(samlp.response_from_string(xml_of(answered(request))))
    refusal = identity_provider().error(request, second=NO_PASSIVE, now=moment)
    assert valid_instance(samlp.response_from_string(xml_of(refusal)))
    for role in (identity_provider(), service_provider()):
        assert valid_instance(md.entity_descriptor_from_string(role.metadata(now=moment)))


def test_pysaml2_requests_are_understood() -> None:
    """An AuthnRequest that its classes serialise with their own prefixes."""
    moment = clock()
    message = samlp.AuthnRequest(
        id="_own",
        version="2.0",
        issue_instant=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        issuer=saml.Issuer(text=SP, format=saml.NAMEID_FORMAT_ENTITY),
        destination="https://ebetsu.example/sso",
        name_id_policy=samlp.NameIDPolicy(format=PERSISTENT, allow_create="true"),
        requested_authn_context=samlp.RequestedAuthnContext(
            authn_context_class_ref=[saml.AuthnContextClassRef(text=CONTEXT)], comparison="minimum"
        ),
    )
    document = signer("sp").sign_element(message.to_string(), "_own")
    form = [("SAMLRequest", base64.b64encode(document).decode())]
    web = WebRequest(method="POST", url="https://ebetsu.example/sso", form=form)
    found = identity_provider().request(web, find=lambda _: listed_sp(), now=moment)
    assert (found.id, found.acs_url, found.comparison, found.requested_contexts) == (
        "_own",
        ACS,
        "minimum",
        (CONTEXT,),
    )


def test_our_requests_are_plain_for_pysaml2() -> None:
    """And the other way round."""
    entity = listed_idp()
    redirect = service_provider().request(
        entity, request_id="_1", relay_state=None, now=clock(), name_id_format=PERSISTENT
    )
    message = samlp.authn_request_from_string(inflated(redirect))
    assert valid_instance(message)
    assert (message.id, message.issuer.text, message.name_id_policy.format) == ("_1", SP, PERSISTENT)
