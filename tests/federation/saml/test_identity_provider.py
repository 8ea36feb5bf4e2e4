import base64
import json
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

import pytest
from lxml import etree
from saml2 import samlp
from saml2.validate import valid_instance

from federation.saml import requests
from federation.saml.checks import LEEWAY
from federation.saml.identity_provider import SamlAuthnRequest, SamlRequestRefusedError, request_from_json
from federation.saml.messages import PERSISTENT, TRANSIENT, URI_NAMES, deflate
from federation.web import WebRequest
from tests.federation.saml.peers import (
    ACS,
    IDP,
    NOW,
    SAML,
    SP,
    SSO,
    SURNAME,
    accepted,
    acs_endpoint,
    adding,
    answer,
    at,
    authn_request,
    came_by,
    identity_provider,
    inflated,
    listed_sp,
    removing,
    setting,
    signer,
    texting,
    xml_of,
)
from trust_lists.model import NotTrustedError, Role, TrustedEntity
from trust_lists.times import format_instant
from trust_lists.xmldsig import verify

UNSIGNING = listed_sp(wants_signed_requests=False)


def request_xml(edit: object = lambda _: None, **asked: object) -> bytes:
    """The AuthnRequest's document, edited, not signed."""
    root = etree.fromstring(inflated(authn_request(**asked)))
    edit(root)
    return etree.tostring(root)


def posted(document: bytes, *, sign: bool = True, relay_state: str | None = "state") -> WebRequest:
    """The document by POST, with an enveloped signature or without."""
    if sign:
        document = signer("sp").sign_element(document, etree.fromstring(document).get("ID"))
    form = [("SAMLRequest", base64.b64encode(document).decode())]
    if relay_state is not None:
        form.append(("RelayState", relay_state))
    return WebRequest(method="POST", url=SSO, form=form)


def get(query: str) -> WebRequest:
    """A GET with exactly this query."""
    return WebRequest(method="GET", url=SSO, raw_query=query)


def check(web: WebRequest, sp: TrustedEntity | None = None, **options: object) -> SamlAuthnRequest:
    """What the identity provider makes of it."""
    return identity_provider().request(web, find=lambda _: sp or listed_sp(), **{"now": NOW, **options})


def refusal(web: WebRequest, sp: TrustedEntity | None = None, **options: object) -> str:
    """The code under which it is refused."""
    with pytest.raises(SamlRequestRefusedError) as caught:
        check(web, sp, **options)
    return caught.value.code


EXPECTED = SamlAuthnRequest(
    id="_asked",
    issuer=SP,
    acs_url=ACS,
    relay_state="state",
    signed=True,
    force_authn=True,
    is_passive=True,
    name_id_format=TRANSIENT,
    requested_contexts=("urn:a", "urn:b"),
    comparison="exact",
    identity_providers=("https://maebashi.example",),
)
ASKED = {
    "force_authn": True,
    "is_passive": True,
    "name_id_format": TRANSIENT,
    "requested_contexts": ("urn:a", "urn:b"),
    "identity_providers": ("https://maebashi.example",),
}


def test_requests_arrive_whole_by_both_bindings() -> None:
    """Redirect with a detached signature, POST with an enveloped one: the same request."""
    assert check(came_by(authn_request(**ASKED))) == EXPECTED
    assert check(posted(request_xml(**ASKED))) == EXPECTED


def test_a_request_survives_json() -> None:
    """What is kept between two HTTP requests is the same afterwards."""
    assert request_from_json(json.loads(json.dumps(EXPECTED.to_json()))) == EXPECTED


def test_the_entity_is_asked_for_by_its_issuer() -> None:
    """The list is asked for exactly the issuer, and its "no" passes through."""

    def find(entity_id: str) -> TrustedEntity:
        raise NotTrustedError("unlisted", entity_id, Role.SAML_SERVICE_PROVIDER)

    with pytest.raises(NotTrustedError) as caught:
        identity_provider().request(came_by(authn_request()), find=find, now=NOW)
    assert caught.value.entity_id == SP


# --- the detached signature


def parts(query: str) -> dict[str, str]:
    """The raw parameters."""
    return dict(part.split("=", 1) for part in query.split("&"))


def by_hand(values: dict[str, str], escape: object, order: Sequence[str]) -> str:
    """A signed query as another implementation would make it: own escaping, own order of parameters."""
    raw = {name: escape(value) for name, value in values.items()}
    octets = "&".join(f"{name}={raw[name]}" for name in ("SAMLRequest", "RelayState", "SigAlg") if name in raw)
    raw["Signature"] = escape(base64.b64encode(signer("sp").sign(octets.encode())).decode())
    return "&".join(f"{name}={raw[name]}" for name in order)


def lower_case(text: str) -> str:
    """Percent-encoding in lower case, as .NET writes it."""
    escaped = quote(text, safe="")
    return "".join(c.lower() if i >= 1 and "%" in escaped[max(0, i - 2) : i] else c for i, c in enumerate(escaped))


def lavish(text: str) -> str:
    """Every octet escaped, needed or not."""
    return "".join(f"%{octet:02X}" for octet in text.encode())


def form_like(text: str) -> str:
    """Spaces as plus signs, and some reserved characters left alone."""
    return quote(text, safe="/:!").replace("%20", "+")


@pytest.mark.parametrize("escape", [lower_case, lavish, form_like])
@pytest.mark.parametrize(
    "order",
    [
        ("SAMLRequest", "RelayState", "SigAlg", "Signature"),
        ("Signature", "SigAlg", "RelayState", "SAMLRequest"),
        ("RelayState", "SAMLRequest", "Signature", "SigAlg"),
    ],
)
def test_the_signature_is_over_the_peers_own_octets(escape: object, order: Sequence[str]) -> None:
    """However the peer escapes and orders its parameters, its exact octets are what is verified."""
    values = {
        "SAMLRequest": base64.b64encode(deflate(request_xml())).decode(),
        "RelayState": "高崎市 / library?",
        "SigAlg": signer("sp").algorithm,
    }
    assert check(get(by_hand(values, escape, order))).relay_state == "高崎市 / library?"


def test_nothing_but_the_signed_octets_is_believed() -> None:
    """Changing, adding, dropping or doubling a parameter is refused; a foreign one is ignored."""
    query = came_by(authn_request()).raw_query
    raw = parts(query)
    assert check(get(query + "&utm_source=x&lang=ja")).id == "_asked"
    assert refusal(get(query.replace("RelayState=state", "RelayState=other"))) == "signature"
    assert refusal(get(query.replace("&RelayState=state", ""))) == "signature"
    assert refusal(get(query + "&RelayState=other")) == "parameter-twice"
    assert refusal(get(query + "&SAMLRequest=" + raw["SAMLRequest"])) == "parameter-twice"
    assert refusal(get(f"SAMLRequest={raw['SAMLRequest']}&Signature={raw['Signature']}")) == "parameter-missing"
    assert refusal(get(f"SAMLRequest={raw['SAMLRequest']}&RelayState=state")) == "unsigned"
    assert refusal(get("RelayState=state")) == "parameter-missing"
    assert refusal(get("")) == "parameter-missing"
    assert refusal(get(query.replace("rsa-sha256", "rsa-sha1"))) == "signature-algorithm"
    assert refusal(get(query + "&SAMLEncoding=urn%3Aother")) == "encoding"
    swapped = quote(base64.b64encode(deflate(request_xml(request_id="_other"))).decode(), safe="")
    assert refusal(get(query.replace(raw["SAMLRequest"], swapped))) == "signature"


def test_a_key_that_is_not_listed_signs_nothing() -> None:
    """The request is from whom the list says, or it is refused."""
    stranger = listed_sp(signing_certificates=(signer("stranger").certificate_der,))
    assert refusal(came_by(authn_request()), stranger) == "signature"
    assert refusal(posted(request_xml()), stranger) == "signature"
    assert refusal(came_by(authn_request()), listed_sp(signing_certificates=())) == "no-key"


def test_elliptic_curves_sign_requests_too() -> None:
    """P-256, in the raw form of XML signatures."""
    own = signer("sp", "p256")
    redirect = requests.redirect.send(SSO, "SAMLRequest", request_xml(), relay_state=None, signer=own)
    assert check(came_by(redirect), listed_sp(signing_certificates=(own.certificate_der,))).relay_state is None


def test_a_redirect_carries_no_enveloped_signature() -> None:
    """SAML Bindings §3.4.4.1: it is removed before; one that is there says nothing of the parameters."""
    document = signer("sp").sign_element(request_xml(), "_asked")
    message = quote(base64.b64encode(deflate(document)).decode(), safe="")
    assert refusal(get(f"SAMLRequest={message}")) == "signature-embedded"


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (deflate(b"<a>" + b" " * 600_000 + b"</a>"), "too-large"),
        (deflate(b"a" * 200_000_000), "too-large"),
        (b"\x00\x01nonsense", "deflate"),
        (deflate(b"<a/>")[:-1], "deflate"),
        (deflate(b"<!DOCTYPE a><a/>"), "declaration"),
        (deflate(b"<a/>"), "root"),
    ],
)
def test_bombs_and_nonsense_are_refused(packed: bytes, code: str) -> None:
    """What inflates beyond the limit is not inflated; what is no AuthnRequest is refused."""
    assert refusal(get("SAMLRequest=" + quote(base64.b64encode(packed).decode(), safe=""))) == code


def test_post_parameters_come_once() -> None:
    """A doubled or missing field is refused."""
    web = posted(request_xml())
    assert refusal(WebRequest(method="POST", url=SSO, form=[*web.form, ("RelayState", "x")])) == "parameter-twice"
    assert refusal(WebRequest(method="POST", url=SSO, form=[("RelayState", "x")])) == "parameter-missing"


# --- the rules


def moment(minutes: float) -> str:
    """So many minutes from now, as SAML writes it."""
    return format_instant(NOW + timedelta(minutes=minutes))


BROKEN = [
    ("version", setting(".", Version="1.1")),
    ("id", setting(".", ID="_" + "x" * 256)),
    ("destination", setting(".", Destination="https://other.example/sso")),
    ("destination", setting(".", Destination=None)),
    ("issue-instant", setting(".", IssueInstant="yesterday")),
    ("issued-in-future", setting(".", IssueInstant=moment(4))),
    ("too-old", setting(".", IssueInstant=moment(-14))),
    ("protocol-binding", setting(".", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact")),
    ("acs-url-and-index", setting(".", AssertionConsumerServiceIndex="0")),
    ("acs", setting(".", AssertionConsumerServiceURL=ACS + "?x")),
    ("acs", setting(".", AssertionConsumerServiceURL="https://evil.example/acs")),
    ("acs", setting(".", AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex="1")),
    ("issuer", removing("s:Issuer")),
    ("issuer", texting("s:Issuer", "")),
    ("issuer", setting("s:Issuer", Format=PERSISTENT)),
]


@pytest.mark.parametrize(("code", "edit"), BROKEN)
def test_each_rule_refuses_under_its_code(code: str, edit: object) -> None:
    """Validly signed, but one thing is wrong: refused, and the code says what."""
    assert refusal(posted(request_xml(edit, name_id_format=PERSISTENT))) == code


def test_relay_state_has_a_limit() -> None:
    """More than the 80 octets of the specification are handed back, but not any number."""
    assert check(posted(request_xml(), relay_state="x" * 1024)).relay_state == "x" * 1024
    assert refusal(posted(request_xml(), relay_state="橋" * 342)) == "relay-state"


def test_unsigned_requests() -> None:
    """Refused from a service listed as signing; accepted from another, to its listed addresses only."""
    assert refusal(posted(request_xml(), sign=False)) == "unsigned"
    assert check(posted(request_xml(), sign=False), UNSIGNING).signed is False
    silent = posted(request_xml(setting(".", Destination=None)), sign=False)
    assert check(silent, UNSIGNING).signed is False
    elsewhere = posted(request_xml(setting(".", AssertionConsumerServiceURL="https://evil.example/")), sign=False)
    assert refusal(elsewhere, UNSIGNING) == "acs"
    assert (
        refusal(posted(request_xml(setting(".", Destination="https://x.example")), sign=False), UNSIGNING)
        == "destination"
    )


def test_every_rule_has_a_request_that_breaks_it() -> None:
    """No rule stands in the table untested."""
    tested = {code for code, _ in BROKEN} | {"unsigned", "relay-state"}
    assert {rule.code for rule in requests.REQUEST_RULES} - tested == set()


def test_the_address_of_the_answer_is_always_a_listed_one() -> None:
    """By URL, by index, or the default of the metadata."""
    by_url = setting(".", AssertionConsumerServiceURL=ACS + "2")
    by_index = setting(".", AssertionConsumerServiceURL=None, AssertionConsumerServiceIndex="7")
    by_default = setting(".", AssertionConsumerServiceURL=None)
    assert check(posted(request_xml(by_url))).acs_url == ACS + "2"
    assert check(posted(request_xml(by_index))).acs_url == ACS + "2"
    assert check(posted(request_xml(by_default))).acs_url == ACS
    second = listed_sp(endpoints=(acs_endpoint(ACS, 0), acs_endpoint(ACS + "3", 3, default=True)))
    assert check(posted(request_xml(by_default)), second).acs_url == ACS + "3"
    assert refusal(posted(request_xml(by_default)), listed_sp(endpoints=())) == "acs"


def test_a_request_ages_with_one_leeway() -> None:
    """Ten minutes and the leeway."""
    web = came_by(authn_request())
    oldest = NOW + requests.REQUEST_LIFETIME + LEEWAY
    assert check(web, now=oldest).id == "_asked"
    assert refusal(web, now=oldest + timedelta(seconds=1)) == "too-old"


@pytest.mark.parametrize(
    "asked",
    [
        {"requested_contexts": ("urn:example:context",) * 1500},
        {"identity_providers": ("https://maebashi.example",) * 1500},
        {"identity_providers": ("https://maebashi.example/" + "a" * 100_000,)},
        {"name_id_format": "urn:" + "a" * 100_000},
    ],
)
def test_a_small_request_cannot_fill_the_store(asked: dict[str, object]) -> None:
    """What a request makes the gateway keep is bounded, however much it unpacks to."""
    web = came_by(authn_request(**asked))
    assert len(web.raw_query) < 8192
    assert refusal(web) == "too-much"


def test_what_a_request_may_say_besides() -> None:
    """A named subject, a policy for an affiliation and other comparisons are reported, not judged here."""
    subject = adding(".", "<s:Subject><s:NameID>person-1</s:NameID></s:Subject>")
    assert check(posted(request_xml(subject))).names_subject is True
    qualified = setting("p:NameIDPolicy", SPNameQualifier="https://affiliation.example")
    found = check(posted(request_xml(qualified, name_id_format=PERSISTENT)))
    assert found.sp_name_qualifier == "https://affiliation.example"
    compared = setting("p:RequestedAuthnContext", Comparison="better")
    assert check(posted(request_xml(compared, requested_contexts=("urn:a",)))).comparison == "better"
    declared = adding(
        ".",
        "<p:RequestedAuthnContext><s:AuthnContextDeclRef>urn:d</s:AuthnContextDeclRef></p:RequestedAuthnContext>",
    )
    assert check(posted(request_xml(declared))).requested_contexts == ("urn:d",)
    assert check(posted(request_xml(adding(".", "<p:Scoping/>")))).identity_providers == ()


def test_wrapped_requests_are_refused() -> None:
    """A signed request inside a forged one."""
    original = etree.fromstring(signer("sp").sign_element(request_xml(), "_asked"))
    forged = etree.fromstring(request_xml(setting(".", ID="_evil", AssertionConsumerServiceURL=ACS + "2")))
    extensions = etree.SubElement(forged, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    extensions.append(original)
    assert refusal(posted(etree.tostring(forged), sign=False)) == "unsigned"
    forged.insert(1, original.find("{http://www.w3.org/2000/09/xmldsig#}Signature"))
    assert refusal(posted(etree.tostring(forged), sign=False)) == "reference-uri"


# --- answers


def test_an_answer_is_what_the_profile_wants() -> None:
    """SAML Profiles §4.1.4.2, as pysaml2's own classes read it; nothing in it that was not given."""
    form = answer()
    assert (form.action, dict(form.fields)["RelayState"]) == (ACS, "state")
    response = samlp.response_from_string(xml_of(form))
    assert valid_instance(response)
    (assertion,) = response.assertion
    (confirmation,) = assertion.subject.subject_confirmation
    data = confirmation.subject_confirmation_data
    assert response.destination == ACS
    assert response.in_response_to == data.in_response_to == "_asked"
    assert response.issuer.text == assertion.issuer.text == IDP
    assert (data.recipient, data.not_on_or_after) == (ACS, "2026-04-01T09:05:00Z")
    assert [a.text for r in assertion.conditions.audience_restriction for a in r.audience] == [SP]
    assert assertion.subject.name_id.name_qualifier == IDP
    assert assertion.subject.name_id.sp_name_qualifier == SP
    assert assertion.authn_statement[0].authn_context.authenticating_authority == []
    (statement,) = assertion.attribute_statement
    surname = statement.attribute[0]
    assert (surname.name, surname.name_format, surname.friendly_name) == (SURNAME, URI_NAMES, "sn")
    assert [value.text for value in surname.attribute_value] == ["髙橋"]


def test_response_and_assertion_are_signed_each() -> None:
    """Either signature verifies by itself."""
    document = xml_of(answer())
    assertion_id = at(etree.fromstring(document), "s:Assertion")[0].get("ID")
    options = {
        "certificates": [signer("idp").certificate_der],
        "expected_root": SAML.replace("assertion", "protocol") + "Response",
    }
    assert b"person-1" in verify(document, **options)
    assert verify(document, element_id=assertion_id, **options).startswith(b"<saml:Assertion ")


def test_an_answer_without_attributes_has_no_statement_of_them() -> None:
    """An empty AttributeStatement is not valid."""
    assert at(etree.fromstring(xml_of(answer(attributes=()))), "//s:AttributeStatement") == []


def test_answers_differ_in_their_ids() -> None:
    """IDs are never used twice."""
    ids = [e.get("ID") for _ in range(3) for e in at(etree.fromstring(xml_of(answer())), "//*[@ID]")]
    assert len(set(ids)) == len(ids) == 6


def test_markup_in_values_stays_text() -> None:
    """A value that looks like markup arrives as it was."""
    root = etree.fromstring(xml_of(answer(name_id="</saml:NameID><x>")))
    assert at(root, "//s:NameID")[0].text == "</saml:NameID><x>"


@pytest.mark.parametrize(
    ("second", "top"),
    [("InvalidNameIDPolicy", "Requester"), ("NoPassive", "Responder"), ("AuthnFailed", "Responder")],
)
def test_a_refusal_is_signed_and_says_whose_fault_it_is(second: str, top: str) -> None:
    """Status codes of SAML Core §3.2.2.2, nothing of the person."""
    status = "urn:oasis:names:tc:SAML:2.0:status:"
    form = identity_provider().error(accepted(), second=status + second, now=NOW)
    octets = verify(
        xml_of(form),
        certificates=[signer("idp").certificate_der],
        expected_root="{urn:oasis:names:tc:SAML:2.0:protocol}Response",
    )
    root = etree.fromstring(octets)
    assert [code.get("Value") for code in at(root, "//p:StatusCode")] == [status + top, status + second]
    assert at(root, "//s:Assertion") == []
    assert dict(form.fields)["RelayState"] == "state"


def test_metadata_are_signed_and_name_both_bindings() -> None:
    """Signed, with an end, one address per binding."""
    document = identity_provider(sso_post_url=SSO + "/post").metadata(now=NOW, valid_until=NOW + timedelta(days=3))
    octets = verify(
        document,
        certificates=[signer("idp").certificate_der],
        expected_root="{urn:oasis:names:tc:SAML:2.0:metadata}EntityDescriptor",
    )
    root = etree.fromstring(octets)
    m = {"m": "urn:oasis:names:tc:SAML:2.0:metadata"}
    assert (root.get("entityID"), root.get("validUntil")) == (IDP, "2026-04-04T09:00:00Z")
    assert root.xpath("m:IDPSSODescriptor/@WantAuthnRequestsSigned", namespaces=m) == ["true"]
    assert root.xpath("//m:SingleSignOnService/@Location", namespaces=m) == [SSO, SSO + "/post"]
    assert root.xpath("//m:NameIDFormat/text()", namespaces=m) == [PERSISTENT, TRANSIENT]
