"""The table of SAML2int is whole and true, and the tests of rules that no other test shows."""

import ast
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from federation.refusal import IdSystemAnswerRefused
from federation.saml import checks
from federation.saml.identity_provider import SamlAttribute
from federation.saml.scopes import PAIRWISE_ID, SUBJECT_ID
from tests.federation.saml.peers import (
    ACS,
    NOW,
    Lists,
    answer,
    at,
    authn_request,
    came_by,
    identity_provider,
    inflated,
    listed_idp,
    listed_sp,
    service_provider,
    signer,
    xml_of,
)
from tests.federation.saml.saml2int import RULES, Rule, Verdict
from tests.federation.saml.test_connector import arrive, connector, depart
from trust_lists import certificates

TESTS = Path(__file__).resolve().parents[2]
LAST = {"G": 4, "MD": 12, "ALG": 1, "SP": 39, "IDP": 33}
"""How many rules each section of the document has."""


# --- the table


def test_every_rule_of_the_document_has_one_row() -> None:
    """Section by section, from the first to the last number, in order, none twice."""
    found = {section: [rule.number for rule in rows] for section, rows in groupby(RULES, lambda rule: rule.section)}
    assert found == {section: list(range(1, last + 1)) for section, last in LAST.items()}
    assert len({rule.id for rule in RULES}) == len(RULES) == sum(LAST.values())


@cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the test functions in a file."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_row_shows_what_it_says(rule: Rule) -> None:
    """Kept: by tests that exist. Not kept, or not applicable: for a reason; tests show what is there instead."""
    assert rule.says.endswith(".")
    if rule.verdict is Verdict.KEPT:
        assert rule.shown_by
    else:
        assert rule.why.endswith(".")
    if rule.verdict is Verdict.NOT_APPLICABLE:
        assert not rule.shown_by
    for test in rule.shown_by:
        path, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions_of(path), test


def test_a_row_names_no_test_twice() -> None:
    """Each of a rule's tests shows something of its own."""
    assert [rule.id for rule in RULES if len(set(rule.shown_by)) < len(rule.shown_by)] == []


# --- rules that no other test shows


def test_clocks_may_differ_by_three_to_five_minutes() -> None:
    """One leeway for every time in a message, within the bounds of SDP-G01."""
    assert timedelta(minutes=3) <= checks.LEEWAY <= timedelta(minutes=5)


def documents() -> dict[str, bytes]:
    """One of each kind of document that we make."""
    refusal = identity_provider().error(asked_for(), second=checks.samlp.STATUS_NO_PASSIVE, now=NOW)
    return {
        "request": inflated(authn_request(name_id_format=checks.saml.NAMEID_FORMAT_PERSISTENT)),
        "response": xml_of(answer()),
        "refusal": xml_of(refusal),
        "metadata of the identity provider": identity_provider().metadata(now=NOW),
        "metadata of the service provider": service_provider().metadata(now=NOW),
    }


def asked_for(**listed: object) -> object:
    """What the identity provider makes of a service's request."""
    web = came_by(authn_request())
    return identity_provider().request(web, find=lambda _: listed_sp(**listed), now=NOW)


@pytest.mark.parametrize("kind", sorted(documents()))
def test_no_document_of_ours_has_a_type_definition(kind: str) -> None:
    """SDP-G03; the XML of any of them begins with its element, or with no more than a declaration before it."""
    tree = etree.fromstring(documents()[kind]).getroottree()
    assert (tree.docinfo.doctype, tree.docinfo.internalDTD) == ("", None)


@pytest.mark.parametrize("kind", sorted(documents()))
def test_identifiers_that_we_make_are_short(kind: str) -> None:
    """SDP-G02, but for keys and signatures, and for what a municipality's register says of a person."""
    long = [
        (etree.QName(element).localname, name)
        for element in etree.fromstring(documents()[kind]).iter()
        for name, text in [("text", element.text or ""), *element.attrib.items()]
        if len(text.strip()) > 256
    ]
    assert {name for name, _ in long} <= {"X509Certificate", "SignatureValue", "CipherValue"}


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate of this key, DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    builder = builder.serial_number(1).not_valid_before(begun).not_valid_after(begun + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_weak_keys_are_not_taken() -> None:
    """SDP-MD06 and SDP-MD07: neither in lists nor as anchors; the next larger ones are."""
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP224R1())):
        with pytest.raises(ValueError, match=r"too short|P-256"):
            certificates.public_key(certificate(key))
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())):
        assert certificates.public_key(certificate(key)).key_size >= 256


def test_no_kind_of_name_is_asked_for_where_an_attribute_names_the_person() -> None:
    """SDP-SP04: then there is no NameIDPolicy."""
    by_attribute, by_name = depart(connector(subject_attribute=PAIRWISE_ID)), depart(connector())
    assert at(etree.fromstring(inflated(by_attribute.answer)), "p:NameIDPolicy") == []
    assert at(etree.fromstring(inflated(by_name.answer)), "p:NameIDPolicy/@AllowCreate") == ["true"]


def test_the_address_asked_for_stands_in_our_metadata() -> None:
    """SDP-SP06: nobody has to normalise it."""
    metadata = etree.fromstring(service_provider().metadata(now=NOW))
    listed = metadata.xpath("//*[local-name()='AssertionConsumerService']/@Location")
    assert etree.fromstring(inflated(authn_request())).get("AssertionConsumerServiceURL") in listed == [ACS]


def identified(name: str, *values: str, scopes: tuple[str, ...] = ("ebetsu.example",)) -> str:
    """Whom the connector sees in an answer with this identifier, from an ID system with these scopes."""
    door = connector(subject_attribute=name, trust=Lists(listed_idp(scopes=scopes)))
    form = answer(attributes=(SamlAttribute(name=name, values=values),), request=answerable())
    return arrive(door, form).subject


def answerable() -> object:
    """The request of a departure, as the ID system accepted it."""
    departed = depart(connector(subject_attribute=PAIRWISE_ID))
    return identity_provider().request(came_by(departed.answer), find=lambda _: listed_sp(), now=NOW)


@pytest.mark.parametrize("name", [PAIRWISE_ID, SUBJECT_ID])
def test_people_are_known_by_their_subject_identifiers(name: str) -> None:
    """SDP-SP14: compared without case, as a whole (Subject Identifier Attributes §3.3.1, §3.4.1)."""
    assert identified(name, "a1b2@ebetsu.example") == identified(name, "A1B2@Ebetsu.example") == "a1b2@ebetsu.example"
    assert identified(name, "a1b2@ebetsu.example") != identified(name, "a1b3@ebetsu.example")


@pytest.mark.parametrize("name", [PAIRWISE_ID, SUBJECT_ID])
@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        (("a1@maebashi.example",), ("ebetsu.example",)),
        (("a1@ebetsu.example",), ()),
        (("a1@ebetsu.example.evil.example",), ("ebetsu.example",)),
        (("a1@sub.ebetsu.example",), ("ebetsu.example",)),
        (("a1@maebashi.example@ebetsu.example",), ("ebetsu.example",)),
        (("a1",), ("ebetsu.example",)),
        (("@ebetsu.example",), ("ebetsu.example",)),
        (("a1@ebetsu.example", "a2@ebetsu.example"), ("ebetsu.example",)),
    ],
)
def test_a_scope_belongs_to_whom_the_list_gives_it(name: str, values: tuple[str, ...], scopes: tuple[str, ...]) -> None:
    """SDP-SP17: another municipality's person, or nobody's, does not sign in."""
    with pytest.raises(IdSystemAnswerRefused):
        identified(name, *values, scopes=scopes)


def test_each_value_is_an_element_with_one_text() -> None:
    """SDP-IDP19 and SDP-IDP20: no value is a list with separators, none has elements."""
    values = ("hanako@ebetsu.example", "a,b;c", "a b")
    root = etree.fromstring(xml_of(answer(attributes=(SamlAttribute(name="urn:oid:1.2.3", values=values),))))
    stated = at(root, "//s:AttributeValue")
    assert tuple(value.text for value in stated) == values
    assert [len(value) for value in stated] == [0, 0, 0]


@pytest.mark.parametrize("order", [("sp", "next"), ("next", "sp")])
def test_any_listed_key_of_a_service_verifies(order: tuple[str, str]) -> None:
    """SDP-IDP32: a service changes its key without a day on which it cannot sign."""
    listed = tuple(signer(name).certificate_der for name in order)
    assert asked_for(signing_certificates=listed).signed is True
