"""Anything at all may arrive: each reader answers or refuses, raises nothing else, and never goes on for ever."""

import base64
import string
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from federation.saml import logout, redirect
from federation.saml.messages import deflate
from federation.saml.service_provider import response_in_reply_to
from federation.web import WebRequest
from tests.federation.saml.peers import (
    NOW,
    SSO,
    arrived,
    authn_request,
    identity_provider,
    inflated,
    listed_idp,
    listed_sp,
    service_provider,
    signer,
)
from tests.federation.saml.signed import ASSERTION, MESSAGES, REFUSALS, RESPONSE, answered, original, posted
from tests.federation.saml.wrapping import NAMESPACES
from tests.trust_lists import builders
from tests.trust_lists.hostile import BOMBS, COSTLY, not_for_ever
from trust_lists.xmldsig import SignatureRefusedError, verify
from trust_lists.xmlgate import MESSAGE_LIMITS, parse

SAME_IN_EVERY_RUN = settings(derandomize=True, database=None)
UNSIGNING = listed_sp(wants_signed_requests=False)
NO = (*REFUSALS, SignatureRefusedError, logout.LogoutRefusedError, logout.LogoutDeniedError)


def deflated(document: bytes, name: redirect.MessageName = "SAMLRequest") -> WebRequest:
    """The document by Redirect, unsigned."""
    query = f"{name}={quote(base64.b64encode(deflate(document)).decode(), safe='')}"
    return WebRequest(method="GET", url=SSO, raw_query=query)


def field(name: str, document: bytes) -> WebRequest:
    """The document by POST."""
    return WebRequest(method="POST", url=SSO, form=[(name, base64.b64encode(document).decode())])


READERS: dict[str, Callable[[bytes], object]] = {
    "response": arrived,
    "response-in-reply-to": lambda document: response_in_reply_to(base64.b64encode(document).decode()),
    "request-by-post": lambda d: identity_provider().request(posted(d), find=lambda _: UNSIGNING, now=NOW),
    "request-by-redirect": lambda d: identity_provider().request(deflated(d), find=lambda _: UNSIGNING, now=NOW),
    "logout-request-by-post": lambda d: logout.read_request(
        field("SAMLRequest", d), url=SSO, find=lambda _: listed_sp(), now=NOW
    ),
    "logout-request-by-redirect": lambda d: logout.read_request(
        deflated(d), url=SSO, find=lambda _: listed_sp(), now=NOW
    ),
    "logout-response": lambda d: logout.read_response(
        field("SAMLResponse", d), url=SSO, peer=listed_idp(), request_id="_asked", now=NOW
    ),
    "logout-in-reply-to": lambda d: logout.in_reply_to(field("SAMLResponse", d)),
    "list": builders.read_saml,
    "signature": lambda d: verify(
        d, certificates=listed_idp().signing_certificates, expected_root=f"{{{NAMESPACES['p']}}}Response"
    ),
    "gate": parse,
}


def survives(reader: str, document: bytes) -> bool:
    """Whether the reader accepted it; every refusal is one of those that callers expect."""
    try:
        READERS[reader](document)
    except NO:
        return False
    return True


# --- octets


@pytest.mark.parametrize("reader", READERS)
def test_arbitrary_octets_are_answered_or_refused(reader: str) -> None:
    """Nonsense, with and without the beginnings of markup."""

    @settings(SAME_IN_EVERY_RUN, max_examples=60)
    @given(
        document=st.binary(max_size=300)
        | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
        | st.text(alphabet="<>/&;!?[]-'\"= \n\0axml:DOCTYPEsp%#", max_size=80).map(str.encode)
        | st.text(max_size=60).map(
            lambda text: f"<p:Response xmlns:p='{NAMESPACES['p']}'>{text}".encode("utf-8", "replace")
        )
    )
    def law(document: bytes) -> None:
        survives(reader, document)

    law()


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_a_message_cut_off_anywhere_is_refused(message: object) -> None:
    """From the back and from the front; the first kind at every single octet."""
    document = original(message)
    for cut in range(1, len(document), 1 if message is MESSAGES[0] else 5):
        with pytest.raises(REFUSALS):
            message.read(document[:cut])
    for cut in range(1, len(document), 20):
        with pytest.raises(REFUSALS):
            message.read(document[cut:])


# --- XML of SAML's own words

ELEMENTS = {
    "p": "Response AuthnRequest LogoutRequest LogoutResponse Status StatusCode StatusDetail Extensions NameIDPolicy "
    "RequestedAuthnContext Scoping IDPList IDPEntry SessionIndex",
    "s": "Assertion EncryptedAssertion Issuer Subject NameID EncryptedID SubjectConfirmation SubjectConfirmationData "
    "Conditions AudienceRestriction Audience OneTimeUse ProxyRestriction Condition Advice AuthnStatement AuthnContext "
    "AuthnContextClassRef AttributeStatement Attribute AttributeValue EncryptedAttribute",
    "md": "EntitiesDescriptor EntityDescriptor IDPSSODescriptor SPSSODescriptor KeyDescriptor Extensions Organization "
    "SingleSignOnService AssertionConsumerService EncryptionMethod",
    "ds": "Signature SignedInfo SignatureValue KeyInfo Object Reference Transforms Transform DigestMethod DigestValue "
    "CanonicalizationMethod SignatureMethod X509Data X509Certificate RetrievalMethod",
    "shadow": "Shadow",
}
TAGS = [f"{prefix}:{name}" for prefix, names in ELEMENTS.items() for name in names.split()]
NAMES = (
    "ID Version IssueInstant Destination InResponseTo Recipient NotBefore NotOnOrAfter AuthnInstant Method Format Name "
    "NameFormat Value Count URI Algorithm entityID validUntil protocolSupportEnumeration Binding Location index use "
    "ForceAuthn IsPassive AssertionConsumerServiceURL AssertionConsumerServiceIndex ProtocolBinding Comparison "
    "SessionNotOnOrAfter SessionIndex SPNameQualifier xml:id xml:lang xml:base shadow:ID"
)
ATTRIBUTES = NAMES.split()
VALUES = (
    *("", " ", "2.0", "_asked", "_x", "true", "0", "-1", "99999999999999999999", "nan", "2026-04-01T09:00:00Z"),
    *("9999-99-99T99:99:99Z", "2026-04-01T09:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *(
        "https://portal.example/acs",
        "https://ebetsu.example/saml",
        "https://portal.example/saml",
        SSO,
        "http://[",
        "//",
    ),
    *("urn:oasis:names:tc:SAML:2.0:status:Success", "urn:oasis:names:tc:SAML:2.0:cm:bearer", "%", "{}", "{x}", "%s"),
    *(NAMESPACES["p"], "髙橋", "\u202e", "𐀀", "AAAA", "a" * 300),
)


def xml(tag: str, attributes: list[tuple[str, str]], children: list[str]) -> str:
    """An element; of attributes with one name the first counts."""
    stated = "".join(f' {name}="{value}"' for name, value in dict(reversed(attributes)).items())
    return f"<{tag}{stated}>{''.join(children)}</{tag}>"


STATED = st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES)), max_size=4)
FRAGMENT = st.recursive(
    st.sampled_from(VALUES)
    | st.builds(xml, st.sampled_from(TAGS), STATED, st.lists(st.sampled_from(VALUES), max_size=1)),
    lambda inner: st.builds(xml, st.sampled_from(TAGS), STATED, st.lists(inner, max_size=4)),
    max_leaves=12,
)
AS_IT_IS = etree.XMLParser(collect_ids=False)
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())


@pytest.mark.parametrize("reader", READERS)
def test_xml_of_the_right_words_is_answered_or_refused(reader: str) -> None:
    """Elements, attributes and values of SAML in any order and nesting, under any root."""

    @settings(SAME_IN_EVERY_RUN, max_examples=120)
    @given(
        root=st.sampled_from([tag for tag in TAGS if tag.endswith(("Response", "Request", "Descriptor"))]),
        inside=FRAGMENT,
    )
    def law(root: str, inside: str) -> None:
        survives(reader, f'<{root} {DECLARED} ID="_root" Version="2.0">{inside}</{root}>'.encode())

    law()


@settings(SAME_IN_EVERY_RUN, max_examples=150)
@given(
    fragments=st.lists(st.tuples(st.integers(0, 60), FRAGMENT.filter(lambda text: text.startswith("<"))), max_size=3),
    attributes=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES)), max_size=3
    ),
)
def test_what_a_listed_provider_signs_is_answered_or_refused(
    fragments: list[tuple[int, str]], attributes: list[tuple[int, str, str]]
) -> None:
    """A provider that is trusted and mad: valid signatures over answers with anything in them."""
    root = etree.fromstring(answered("rsa"))
    for place, fragment in fragments:
        elements = list(root.iter(etree.Element))
        elements[place % len(elements)].append(etree.fromstring(f"<x {DECLARED}>{fragment}</x>", AS_IT_IS)[0])
    for place, name, value in attributes:
        elements = list(root.iter(etree.Element))
        if ":" not in name:
            elements[place % len(elements)].set(name, value)
    try:
        document = etree.tostring(root)
        for target in (ASSERTION, RESPONSE):
            identifier = target.element(etree.fromstring(document, AS_IT_IS)).get("ID")
            document = signer("idp").sign_element(document, identifier or "")
    except (ValueError, SignatureRefusedError):
        return
    survives("response", document)


# --- as costly as can be


@pytest.mark.parametrize("name", COSTLY)
@pytest.mark.parametrize("where", ["envelope", "signed-part", "signed-info", "request", "request-by-redirect", "list"])
def test_hostile_documents_take_a_bounded_time(where: str, name: str) -> None:
    """The worst that fits into the limits: around what is signed, within it, and where nothing is signed."""
    message, request = answered("rsa", ASSERTION), inflated(authn_request())
    body = COSTLY[name](MESSAGE_LIMITS.octets - len(message) - 500)
    places = {
        "envelope": ("response", message, b"</samlp:Status>"),
        "signed-part": ("response", message, b"</saml:Subject>"),
        "signed-info": ("response", message, b"</ds:SignedInfo>"),
        "request": ("request-by-post", request, b"</samlp:AuthnRequest>"),
        "request-by-redirect": ("request-by-redirect", request, b"</samlp:AuthnRequest>"),
        "list": ("list", builders.aggregate(builders.identity_provider()), b"</md:IDPSSODescriptor>"),
    }
    reader, document, end = places[where]
    assert document.count(end) == 1
    with not_for_ever():
        survives(reader, document.replace(end, body + end))


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("reader", READERS)
def test_bombs_do_not_go_off(reader: str, bomb: str) -> None:
    """Entities that grow, recurse or fetch, under every encoding: nobody expands them."""
    with not_for_ever():
        assert not survives(reader, BOMBS[bomb]) or reader in ("response-in-reply-to", "logout-in-reply-to", "gate")


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (zlib.compress(b" " * 50_000_000, wbits=-15), "too-large"),
        (zlib.compress(b"<a>" * 20_000_000, wbits=-15), "too-large"),
        (zlib.compress(zlib.compress(b" " * 50_000_000, wbits=-15), wbits=-15), "malformed"),
        (zlib.compress(b"<a/>"), "deflate"),
        (zlib.compress(b"<a/>", wbits=31), "deflate"),
        (zlib.compress(b"<a/>", wbits=-15)[:-1], "deflate"),
        (b"", "deflate"),
    ],
    ids=["spaces", "elements", "twice", "zlib-header", "gzip-header", "cut-off", "empty"],
)
def test_a_redirect_unpacks_to_no_more_than_a_message(packed: bytes, code: str) -> None:
    """A few kilobytes that unpack to fifty megabytes are given up at the limit."""
    query = f"SAMLRequest={quote(base64.b64encode(packed).decode(), safe='')}"
    with not_for_ever(), pytest.raises(REFUSALS) as caught:
        identity_provider().request(
            WebRequest(method="GET", url=SSO, raw_query=query), find=lambda _: UNSIGNING, now=NOW
        )
    assert caught.value.code in {code, "encoding", "too-many-nodes"}


@settings(SAME_IN_EVERY_RUN, max_examples=150)
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(
                ["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding", "x", ""]
            ),
            st.text(alphabet=string.ascii_letters + "+/=%&;#?\0 髙", max_size=30)
            | st.binary(max_size=60).map(lambda b: quote(base64.b64encode(zlib.compress(b, wbits=-15)))),
        ),
        max_size=6,
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
)
def test_any_query_is_answered_or_refused(query: str) -> None:
    """Parameters twice, missing, escaped wrongly, compressed wrongly."""
    web = WebRequest(method="GET", url=SSO, raw_query=query)
    for read in (
        lambda: identity_provider().request(web, find=lambda _: UNSIGNING, now=NOW),
        lambda: logout.read_request(web, url=SSO, find=lambda _: listed_sp(), now=NOW),
        lambda: logout.in_reply_to(web),
    ):
        try:
            read()
        except NO:
            continue


@settings(SAME_IN_EVERY_RUN, max_examples=200)
@given(text=st.text(max_size=60) | st.text(alphabet=string.ascii_letters + string.digits + "+/=-_ \n", max_size=60))
def test_any_field_is_answered_or_refused(text: str) -> None:
    """What is not base64, or is in a loose way, in the field of a POST."""
    response_in_reply_to(text)
    with pytest.raises(NO):
        service_provider().response(text, idp=listed_idp(), request_id="_asked", now=NOW)
