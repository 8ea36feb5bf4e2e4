import base64
import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from federation.saml import checks
from federation.saml.messages import BASIC_NAMES, PERSISTENT, TRANSIENT
from federation.saml.service_provider import (
    NoEndpointError,
    SamlAssertion,
    SamlResponseRefusedError,
    SamlStatusError,
    response_in_reply_to,
)
from federation.sessions import SubjectName
from tests.federation.saml.peers import (
    ACS,
    ATTRIBUTES,
    CONTEXT,
    IDP,
    NOW,
    SP,
    SSO,
    accepted,
    adding,
    answer,
    arrived,
    at,
    authn_request,
    identity_provider,
    inflated,
    listed_idp,
    reissued,
    removing,
    service_provider,
    setting,
    signer,
    texting,
    xml_of,
)
from trust_lists.times import format_instant
from trust_lists.xmldsig import verify
from trust_lists.xmlgate import Element

EXPECTED_NAME = SubjectName(value="person-1", format=PERSISTENT, name_qualifier=IDP, sp_name_qualifier=SP)
EXPECTED_ATTRIBUTES = {attribute.name: attribute.values for attribute in ATTRIBUTES}


def refusal(document: bytes, **options: object) -> str:
    """The code under which an answer is refused."""
    with pytest.raises(SamlResponseRefusedError) as caught:
        arrived(document, **options)
    return caught.value.code


# --- what is believed


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_a_sign_in_comes_through_whole(kind: str) -> None:
    """Request, answer, verification: everything that was stated arrives, and nothing else."""
    document = xml_of(answer(identity_provider(kind)))
    found = arrived(document, idp=listed_idp(signing_certificates=(signer("idp", kind).certificate_der,)))
    assert found == SamlAssertion(
        assertion_id=found.assertion_id,
        issuer=IDP,
        name_id=EXPECTED_NAME,
        attributes=EXPECTED_ATTRIBUTES,
        authn_context=CONTEXT,
        authn_instant=NOW - timedelta(minutes=1),
        session_index=found.session_index,
        valid_until=NOW + timedelta(minutes=5),
        may_proxy=True,
    )
    assert found.assertion_id
    assert found.session_index


@pytest.mark.parametrize("sign", [("Assertion",), ("Response",), ("Assertion", "Response")])
def test_a_signed_assertion_or_a_signed_response_suffices(sign: tuple[str, ...]) -> None:
    """Either signature carries the assertion."""
    assert arrived(reissued(sign=sign)).name_id == EXPECTED_NAME


def test_two_keys_are_listed_during_a_change() -> None:
    """The identity provider's next certificate is listed beside the present one."""
    both = (signer("next").certificate_der, signer("idp").certificate_der)
    assert arrived(xml_of(answer()), idp=listed_idp(signing_certificates=both)).name_id == EXPECTED_NAME


def test_attribute_values_are_text_whatever_type_they_claim() -> None:
    """No xsi:type counts, empty values and elements are left out, one Name's values are gathered."""
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    values = "".join(
        f"<s:AttributeValue {xsi} {more}</s:AttributeValue>"
        for more in (
            'xsi:type="xs:integer">seven',
            'xsi:type="xs:boolean">1',
            'xsi:type="unbound:thing"> spaced ',
            ">",
            'xsi:nil="true">',
            "><s:NameID>x</s:NameID>",
        )
    )
    attribute = f'<s:Attribute Name="odd" NameFormat="{BASIC_NAMES}">{values}</s:Attribute>'

    def edit(root: etree._Element) -> None:
        adding("//s:AttributeStatement", attribute)(root)
        adding("//s:Assertion", f"<s:AttributeStatement>{attribute}</s:AttributeStatement>")(root)

    assert arrived(reissued(edit)).attributes["odd"] == ("seven", "1", " spaced ") * 2


def test_a_comment_added_to_a_signed_value_changes_nothing() -> None:
    """Exclusive C14N does not sign comments; inside a value one is refused, and elsewhere it is not seen."""
    document = xml_of(answer())
    assert refusal(document.replace(b"hanako@ebetsu.example", b"hanako@ebetsu.example<!-- -->.evil")) == (
        "comment-in-value"
    )
    assert refusal(document.replace(b"person-1", b"person<!-- -->-1")) == "comment-in-value"
    assert arrived(document.replace(b"<saml:Subject>", b"<!-- x --><saml:Subject>")).name_id == EXPECTED_NAME


def test_a_subject_may_have_no_name() -> None:
    """Some providers state the person by attributes alone."""
    assert arrived(reissued(removing("//s:NameID"))).name_id is None


def test_one_of_several_confirmations_suffices() -> None:
    """A confirmation of another method, or one for another recipient, does not disturb."""
    elsewhere = '<s:SubjectConfirmationData Recipient="https://other.example"/>'
    more = (
        '<s:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"/>',
        f'<s:SubjectConfirmation Method="{checks.saml.SCM_BEARER}">{elsewhere}</s:SubjectConfirmation>',
    )

    def edit(root: etree._Element) -> None:
        for confirmation in more:
            adding("//s:Subject", confirmation)(root)
        subject = at(root, "//s:Subject")[0]
        subject.append(at(root, "//s:SubjectConfirmation")[0])

    assert arrived(reissued(edit)).name_id == EXPECTED_NAME


def test_a_provider_may_forbid_proxying() -> None:
    """ProxyRestriction is told to whoever would base an assertion on this one (SAML Core §2.5.1.6)."""
    assert arrived(reissued(adding("//s:Conditions", '<s:ProxyRestriction Count="0"/>'))).may_proxy is False
    assert arrived(reissued(adding("//s:Conditions", '<s:ProxyRestriction Count="1"/>'))).may_proxy is True


# --- what is refused


def moment(minutes: float) -> str:
    """So many minutes from now, as SAML writes it."""
    return format_instant(NOW + timedelta(minutes=minutes))


BROKEN = [
    ("version", setting("/p:Response", Version="1.1")),
    ("version", setting("//s:Assertion", Version="2.1")),
    ("destination", setting("/p:Response", Destination="https://other.example/acs")),
    ("destination", setting("/p:Response", Destination=None)),
    ("destination", setting("/p:Response", Destination=ACS + "/")),
    ("in-response-to", setting("/p:Response", InResponseTo="_another")),
    ("in-response-to", setting("/p:Response", InResponseTo=None)),
    ("issuer", texting("/p:Response/s:Issuer", "https://other.example")),
    ("issuer", texting("/p:Response/s:Issuer", f" {IDP} ")),
    (
        "issuer",
        setting("/p:Response/s:Issuer", Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
    ),
    ("issuer", removing("/p:Response/s:Issuer")),
    ("issued-in-future", setting("/p:Response", IssueInstant=moment(4))),
    ("issued-in-future", setting("/p:Response", IssueInstant="2026-04-01T09:00:00")),
    ("issued-in-future", setting("/p:Response", IssueInstant=None)),
    ("status-missing", removing("//p:Status")),
    ("status-missing", setting("//p:StatusCode", Value="")),
    ("assertion-issuer", texting("//s:Assertion/s:Issuer", "https://other.example")),
    ("issued-in-future", setting("//s:Assertion", IssueInstant=moment(4))),
    ("subject-missing", removing("//s:Subject")),
    ("subject-encrypted", adding("//s:Subject", "<s:EncryptedID/>")),
    ("conditions-missing", removing("//s:Conditions")),
    ("condition-unknown", adding("//s:Conditions", "<s:Condition/>")),
    ("condition-unknown", adding("//s:Conditions", '<Weekdays xmlns="urn:example"/>')),
    ("not-yet-valid", setting("//s:Conditions", NotBefore=moment(4))),
    ("not-yet-valid", setting("//s:Conditions", NotBefore="soon")),
    ("expired", setting("//s:Conditions", NotOnOrAfter=moment(-3))),
    ("expired", setting("//s:Conditions", NotOnOrAfter="2026-13-01T00:00:00Z")),
    ("audience", texting("//s:Audience", "https://other.example")),
    ("audience", removing("//s:AudienceRestriction")),
    ("audience", removing("//s:Audience")),
    (
        "audience",
        adding("//s:Conditions", "<s:AudienceRestriction><s:Audience>x</s:Audience></s:AudienceRestriction>"),
    ),
    ("authentication-missing", removing("//s:AuthnStatement")),
    (
        "authentication-missing",
        adding("//s:Assertion", '<s:AuthnStatement AuthnInstant="2026-04-01T09:00:00Z"/>'),
    ),
    ("authentication-in-future", setting("//s:AuthnStatement", AuthnInstant=moment(4))),
    ("authentication-too-old", setting("//s:AuthnStatement", AuthnInstant=moment(-12 * 60 - 4))),
    ("session-over", setting("//s:AuthnStatement", SessionNotOnOrAfter=moment(-3))),
    ("attributes-encrypted", adding("//s:AttributeStatement", "<s:EncryptedAttribute/>")),
    ("no-bearer-confirmation", removing("//s:SubjectConfirmation")),
    ("no-bearer-confirmation", removing("//s:SubjectConfirmationData")),
    (
        "no-bearer-confirmation",
        setting("//s:SubjectConfirmation", Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
    ),
    ("recipient", setting("//s:SubjectConfirmationData", Recipient="https://other.example/acs")),
    ("recipient", setting("//s:SubjectConfirmationData", Recipient=None)),
    ("confirmation-in-response-to", setting("//s:SubjectConfirmationData", InResponseTo="_another")),
    ("confirmation-in-response-to", setting("//s:SubjectConfirmationData", InResponseTo=None)),
    ("confirmation-expired", setting("//s:SubjectConfirmationData", NotOnOrAfter=moment(-3))),
    ("confirmation-expired", setting("//s:SubjectConfirmationData", NotOnOrAfter=None)),
    ("confirmation-not-before", setting("//s:SubjectConfirmationData", NotBefore=moment(-5))),
    ("no-assertion", removing("//s:Assertion")),
]


@pytest.mark.parametrize(("code", "edit"), BROKEN)
def test_each_rule_refuses_under_its_code(code: str, edit: object) -> None:
    """Validly signed, but one thing is wrong: refused, and the code says what."""
    sign = ("Response",) if code == "no-assertion" else ("Assertion", "Response")
    assert refusal(reissued(edit, sign=sign)) == code


@pytest.mark.parametrize(
    ("code", "edit"),
    [row for row in BROKEN if row[0] in ("destination", "in-response-to", "issuer", "version", "status-missing")],
)
def test_the_unsigned_envelope_of_a_signed_assertion_can_only_refuse(code: str, edit: object) -> None:
    """Only the assertion signed: a Response that says otherwise is refused, one that is silent is not."""
    root = etree.fromstring(reissued(edit, sign=("Assertion",)))
    if root.get("Destination") is None or root.find("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer") is None:
        assert arrived(etree.tostring(root)).name_id == EXPECTED_NAME
    else:
        assert refusal(etree.tostring(root)) == code


def test_every_rule_has_an_answer_that_breaks_it() -> None:
    """No rule stands in the tables untested."""
    tables = (*checks.ENVELOPE_RULES, *checks.ASSERTION_RULES, *checks.CONFIRMATION_RULES)
    assert {rule.code for rule in tables} - {code for code, _ in BROKEN} == set()


@pytest.mark.parametrize(
    ("late", "code"),
    [(timedelta(minutes=7, seconds=59), None), (timedelta(minutes=8), "expired")],
)
def test_an_answer_ages_with_one_leeway(late: timedelta, code: str | None) -> None:
    """Five minutes and the leeway, to the second."""
    document = xml_of(answer())
    if code is None:
        assert arrived(document, now=NOW + late).name_id == EXPECTED_NAME
    else:
        assert refusal(document, now=NOW + late) == code


def test_an_early_answer_is_within_the_leeway_or_refused() -> None:
    """Two clocks may differ by the leeway and no more."""
    document = xml_of(answer())
    assert arrived(document, now=NOW - checks.LEEWAY).name_id == EXPECTED_NAME
    assert refusal(document, now=NOW - checks.LEEWAY - timedelta(seconds=1)) == "issued-in-future"


def test_a_forced_sign_in_must_be_new() -> None:
    """With ForceAuthn the authentication must not be older than the request."""
    document = xml_of(answer(authn_instant=NOW - timedelta(minutes=10)))
    assert arrived(document).name_id == EXPECTED_NAME
    assert refusal(document, authenticated_after=NOW - timedelta(minutes=5)) == "authentication-too-old"


def test_an_answer_to_another_request_is_refused() -> None:
    """A response that someone else obtained does not fit this flow."""
    assert refusal(xml_of(answer()), request_id="_mine") == "in-response-to"


def test_an_answer_for_another_service_is_refused() -> None:
    """The audience is another service, even if all addresses were ours."""
    form = answer(request=accepted())
    document = reissued(texting("//s:Audience", "https://library.example"), document=xml_of(form))
    assert refusal(document) == "audience"


@pytest.mark.parametrize(
    ("sign", "by", "code"),
    [
        ((), "idp", "unsigned"),
        (("Assertion",), "stranger", "signature"),
        (("Response",), "stranger", "signature"),
    ],
)
def test_unsigned_and_strangely_signed_answers_are_refused(sign: tuple[str, ...], by: str, code: str) -> None:
    """The signature stripped, or made by a key that is not listed."""
    assert refusal(reissued(sign=sign, by=by)) == code


def test_every_signature_must_verify() -> None:
    """A good signature on the Response does not excuse a bad one on its assertion."""
    stranger = reissued(sign=("Assertion",), by="stranger")
    root = etree.fromstring(stranger)
    document = signer("idp").sign_element(stranger, root.get("ID"))
    assert refusal(document) == "signature"


def test_encrypted_assertions_are_refused() -> None:
    """They cannot be read here; their code says why."""

    def edit(root: etree._Element) -> None:
        removing("//s:Assertion")(root)
        adding("/p:Response", "<s:EncryptedAssertion/>")(root)

    assert refusal(reissued(edit, sign=("Response",))) == "assertion-encrypted"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("!!!", "base64"),
        ("髙橋", "base64"),
        ("", "malformed"),
        ("QQ" * 1_000_000, "too-large"),
        (base64.b64encode(b"<a/>").decode(), "root"),
        (base64.b64encode(b"<!DOCTYPE a><a/>").decode(), "declaration"),
    ],
)
def test_what_is_no_response_is_refused(field: str, code: str) -> None:
    """Anything that is not base64 of a Response."""
    with pytest.raises(SamlResponseRefusedError) as caught:
        service_provider().response(field, idp=listed_idp(), request_id="_asked", now=NOW)
    assert caught.value.code == code


# --- the provider said no


def test_a_refusal_of_the_provider_is_told_apart() -> None:
    """Its status codes come through; they are the provider's word, not the person's data."""
    document = xml_of(identity_provider().error(accepted(), second=checks.samlp.STATUS_NO_AUTHN_CONTEXT, now=NOW))
    with pytest.raises(SamlStatusError) as caught:
        arrived(document)
    assert (caught.value.status, caught.value.second) == (
        "urn:oasis:names:tc:SAML:2.0:status:Responder",
        "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext",
    )
    assert refusal(document, request_id="_mine") == "in-response-to"


def test_a_status_of_refusal_wins_over_an_assertion() -> None:
    """Whoever says "no" and sends an assertion all the same has said no."""
    with pytest.raises(SamlStatusError):
        arrived(reissued(setting("//p:StatusCode", Value="urn:oasis:names:tc:SAML:2.0:status:Responder")))


# --- requests and metadata


def test_a_request_says_what_was_asked() -> None:
    """AuthnRequest as SAML Core §3.4.1 has it, its RelayState, and a detached signature."""
    redirect = authn_request(
        force_authn=True,
        is_passive=True,
        requested_contexts=("urn:a", "urn:b"),
        name_id_format=PERSISTENT,
        identity_providers=("https://maebashi.example",),
    )
    query = parse_qs(urlsplit(redirect.location).query)
    assert redirect.location.startswith(SSO + "?SAMLRequest=")
    assert list(query) == ["SAMLRequest", "RelayState", "SigAlg", "Signature"]
    assert query["RelayState"] == ["state"]
    root = etree.fromstring(inflated(redirect))
    assert dict(root.attrib) == {
        "ID": "_asked",
        "Version": "2.0",
        "IssueInstant": "2026-04-01T09:00:00Z",
        "Destination": SSO,
        "ForceAuthn": "true",
        "IsPassive": "true",
        "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        "AssertionConsumerServiceURL": ACS,
    }
    assert [e.text for e in at(root, "s:Issuer")] == [SP]
    assert [e.text for e in at(root, "p:RequestedAuthnContext[@Comparison='exact']/*")] == ["urn:a", "urn:b"]
    assert [dict(e.attrib) for e in at(root, "p:NameIDPolicy")] == [{"Format": PERSISTENT, "AllowCreate": "true"}]
    assert [e.get("ProviderID") for e in at(root, "p:Scoping/p:IDPList/*")] == ["https://maebashi.example"]


def test_no_request_without_an_address() -> None:
    """The listed metadata must name a redirect address."""
    with pytest.raises(NoEndpointError):
        service_provider().request(listed_idp(endpoints=()), request_id="_1", relay_state=None, now=NOW)


def test_the_look_up_key_of_an_answer() -> None:
    """InResponseTo is read without belief, and nothing comes of what is no Response."""
    field = dict(answer().fields)["SAMLResponse"]
    assert response_in_reply_to(field) == "_asked"
    assert response_in_reply_to("!!!") is None
    assert response_in_reply_to(base64.b64encode(b'<a InResponseTo="_asked"/>').decode()) is None


def test_metadata_are_signed_and_end() -> None:
    """Keys, addresses and an end, under the entity's own signature."""
    document = service_provider(name_id_formats=(PERSISTENT, TRANSIENT)).metadata(now=NOW)
    octets = verify(
        document,
        certificates=[signer("sp").certificate_der],
        expected_root="{urn:oasis:names:tc:SAML:2.0:metadata}EntityDescriptor",
    )
    root = etree.fromstring(octets)
    m = {"m": "urn:oasis:names:tc:SAML:2.0:metadata", "d": "http://www.w3.org/2000/09/xmldsig#"}
    assert (root.get("entityID"), root.get("validUntil")) == (SP, "2026-04-08T09:00:00Z")
    (role,) = root.xpath("m:SPSSODescriptor", namespaces=m)
    assert (role.get("AuthnRequestsSigned"), role.get("WantAssertionsSigned")) == ("true", "true")
    (certificate,) = role.xpath("m:KeyDescriptor[@use='signing']//d:X509Certificate/text()", namespaces=m)
    assert base64.b64decode(certificate) == signer("sp").certificate_der
    assert role.xpath("m:NameIDFormat/text()", namespaces=m) == [PERSISTENT, TRANSIENT]
    assert role.xpath("m:AssertionConsumerService/@Location", namespaces=m) == [ACS]


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """pysaml2 writes messages to its log; a root logger at DEBUG gets none of it."""
    with caplog.at_level(logging.DEBUG):
        arrived(xml_of(answer()))
        refusal(xml_of(answer()), request_id="_mine")
        logging.getLogger("saml2.response").error("attribute values")
    assert caplog.records == []


def test_an_attribute_without_a_name_or_something_else_in_its_place_is_refused() -> None:
    """SAML Core §2.7.3: a statement holds attributes, each with a Name, or encrypted ones."""

    def nameless(root: Element) -> None:
        del at(root, "//s:Attribute")[0].attrib["Name"]

    assert refusal(reissued(nameless)) == "attribute-name"
    assert refusal(reissued(adding("//s:AttributeStatement", "<s:NameID>x</s:NameID>"))) == "attribute-name"
