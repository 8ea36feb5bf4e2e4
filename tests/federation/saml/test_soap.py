"""Single logout over SOAP: what goes out, and which answers are believed."""

from dataclasses import replace

import pytest
from lxml import etree
from saml2 import samlp

from federation.saml import logout, soap
from federation.saml.logout import LogoutRefusedError
from federation.saml.messages import PERSISTENT, write, written
from federation.sessions import Party, Side, SubjectName
from federation.web import HttpRequest, HttpResponse
from tests.federation.saml.peers import IDP, NOW, SAMLP, SP, listed_sp, signer
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.xmldsig import verify

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
URL = "https://portal.example/slo/soap"
ADDRESS = Endpoint(role=Role.SAML_SERVICE_PROVIDER, kind="SingleLogoutService", binding=soap.SOAP, location=URL)
PARTY = Party(
    side=Side.SERVICE,
    id="portal",
    own_entity=IDP,
    entity_id=SP,
    name=SubjectName(value="p-1", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP),
    indexes=("i-1",),
)


def peer() -> TrustedEntity:
    """The service as listed, with its address."""
    return listed_sp(endpoints=(*listed_sp().endpoints, ADDRESS))


def asked(*, by_person: bool = False) -> HttpRequest:
    """What goes out."""
    return soap.request(PARTY, ADDRESS, request_id="_r1", by_person=by_person, signer=signer("idp"), now=NOW)


def enveloped(message: bytes, prefix: str = "S") -> bytes:
    """A message as other software wraps it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{prefix}:Envelope xmlns:{prefix}="{ENVELOPE}">'
        f"<{prefix}:Header/><{prefix}:Body>".encode()
        + message
        + f"</{prefix}:Body></{prefix}:Envelope>".encode()
    )


def answered(status: samlp.Status | None = None, by: str | None = "sp", **changes: object) -> bytes:
    """The service's LogoutResponse, in its envelope; `by` None: not signed."""
    values = {
        "id": "_a1",
        "version": "2.0",
        "issue_instant": written(NOW),
        "in_response_to": "_r1",
        "issuer": samlp.saml.Issuer(text=SP),
        "status": status or logout.success(partial=False),
        **changes,
    }
    document = write(samlp.LogoutResponse(**values))
    return enveloped(document if by is None else signer(by).sign_message(document, "_a1"))


def outcome(body: bytes, *, url: str = URL, status: int = 200) -> bool | str:
    """Whether the answer confirms it, or why it is not believed."""
    answer = HttpResponse(status=status, body=body)
    try:
        return soap.confirmed(answer, url=url, peer=peer(), request_id="_r1", now=NOW)
    except LogoutRefusedError as refused:
        return refused.code


def test_a_request_is_signed_and_names_the_session() -> None:
    """In a SOAP body, by POST, to the address that is listed; verified as the service would."""
    sent = asked()
    assert (sent.method, sent.url) == ("POST", URL)
    assert sent.headers["SOAPAction"] == '"http://www.oasis-open.org/committees/security"'
    (message,) = etree.fromstring(sent.body).find(f"{{{ENVELOPE}}}Body")
    octets = verify(
        etree.tostring(message), certificates=[signer("idp").certificate_der], expected_root=SAMLP + "LogoutRequest"
    )
    said = samlp.logout_request_from_string(octets.decode())
    assert (said.issuer.text, said.destination, said.id) == (IDP, URL, "_r1")
    assert said.reason == "urn:oasis:names:tc:SAML:2.0:logout:admin"
    assert (said.name_id.text, said.name_id.sp_name_qualifier) == ("p-1", SP)
    assert [index.text for index in said.session_index] == ["i-1"]


def test_a_request_says_if_the_person_asked() -> None:
    """SAML Core §3.7.3."""
    assert b"SAML:2.0:logout:user" in asked(by_person=True).body


def test_an_address_is_the_one_listed_for_soap() -> None:
    """No other binding will do."""
    assert soap.endpoint(peer()) == ADDRESS
    assert soap.endpoint(listed_sp()) is None


@pytest.mark.parametrize("url", [URL, "http://localhost:9/slo"])
def test_a_signed_answer_confirms(url: str) -> None:
    """Wherever it was asked for."""
    assert outcome(answered(), url=url) is True


def test_an_answer_without_a_signature_is_believed_over_tls_alone() -> None:
    """There the listed address's own certificate says who answered (SAML Profiles §4.4.3.4)."""
    assert outcome(answered(by=None)) is True
    assert outcome(answered(by=None), url="http://localhost:9/slo") == "unsigned"


@pytest.mark.parametrize(
    "status",
    [logout.success(partial=True), logout.failure(logout.REQUEST_DENIED)],
)
def test_an_answer_that_not_all_has_ended_confirms_nothing(status: samlp.Status) -> None:
    """Partial, or denied."""
    assert outcome(answered(status)) is False


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answered(by="idp"), "signature"),
        (answered().replace(b"status:Success", b"status:Responder"), "digest"),
        (answered(in_response_to="_other"), "in-response-to"),
        (answered(issuer=samlp.saml.Issuer(text=IDP)), "issuer"),
        (answered(issuer=None), "issuer"),
        (answered(version="1.1"), "version"),
        (answered(issue_instant="2020-01-01T00:00:00Z"), "too-old"),
        (answered(issue_instant="2036-01-01T00:00:00Z"), "issued-in-future"),
        (b"", "malformed"),
        (b"<html>signed out</html>", "root"),
        (enveloped(b""), "body"),
        (enveloped(b"<x/>"), "body"),
        (enveloped(f'<f:Fault xmlns:f="{ENVELOPE}"/>'.encode()), "fault"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + answered(), "declaration"),
    ],
)
def test_what_is_not_the_services_answer_confirms_nothing(body: bytes, code: str) -> None:
    """Another's signature, an altered word, an answer to something else, and what is no answer at all."""
    assert outcome(body) == code


def test_two_answers_are_none() -> None:
    """One message is looked at, or nothing."""
    one = answered()
    (message,) = etree.fromstring(one).find(f"{{{ENVELOPE}}}Body")
    assert outcome(enveloped(etree.tostring(message) * 2)) != outcome(one)


@pytest.mark.parametrize("status", [201, 302, 500])
def test_another_status_confirms_nothing(status: int) -> None:
    """Bindings §3.2.3.3: 200, whatever the message says."""
    assert outcome(answered(), status=status) == "status"


def test_a_withdrawn_key_confirms_nothing() -> None:
    """Only keys that are listed now count."""
    answer = HttpResponse(status=200, body=answered())
    other = replace(peer(), signing_certificates=(signer("library").certificate_der,))
    with pytest.raises(LogoutRefusedError):
        soap.confirmed(answer, url=URL, peer=other, request_id="_r1", now=NOW)
