from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto.x509 import Certificate
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pyhanko.generated.etsi import TrustServiceStatusList
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.qualified.eutl_parse import parse_lotl_unsafe, trust_list_to_registry
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier, XAdESVerifyResult
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.serializers import XmlSerializer

from tests.trust_lists.builders import authority
from tests.trust_lists.etsi_lists import (
    DS,
    GRANTED,
    MAEBASHI,
    NAME,
    NOW,
    QUALIFIED,
    TSL,
    UNTIL,
    XADES,
    at,
    certificate_authority,
    council_member,
    operator,
    publish,
    read,
    relying_party,
    stripped,
)
from trust_lists import etsi, etsi_xml, xades
from trust_lists.codes import check_digit
from trust_lists.entries import Entry, supply_point
from trust_lists.model import Pointer, Role, Status, StatusChange, TrustedEntity
from trust_lists.rules import UnpublishableError
from trust_lists.scheme import Scheme
from trust_lists.xmlgate import LIST_LIMITS

POINTER = Pointer(
    location="https://www.takasaki.example.jp/list.xml",
    certificates=(authority("takasaki").der,),
    kind="http://uri.etsi.org/TrstSvc/TrustedList/TSLType/JPlist",
    territory="JP",
    media_type="application/vnd.etsi.tsl+xml",
)
BARE = Scheme()
"""An authority that says nothing of itself."""

LISTS = {
    "everything": lambda: publish(
        certificate_authority(), relying_party(), council_member(), pointers=[POINTER, replace(POINTER, kind=None)]
    ),
    "distributed": lambda: publish(
        council_member(), scheme=replace(MAEBASHI, distribution=("https://www.maebashi.example.jp/list.xml",))
    ),
    "bare": lambda: publish(council_member(), scheme=BARE),
    "nobody": publish,
    "list of lists": lambda: publish(pointers=[POINTER]),
}


# --- what others make of it


def peer(document: bytes, certificate: bytes) -> list[XAdESVerifyResult]:
    """What signxml verifies."""
    return XAdESVerifier().verify(
        document,
        x509_cert=load_der_x509_certificate(certificate),
        validate_schema=True,
        expect_config=XAdESSignatureConfiguration(require_x509=True, expect_references=2),
    )


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_an_independent_implementation_verifies_the_signature(kind: str) -> None:
    """Signxml finds the list and its properties signed, and the same bytes as we do."""
    by = operator("peer", kind)
    document = publish(certificate_authority(), relying_party(), by=by)
    if kind == "rsa":
        # Its certificate is long over, which signxml looks at, and we do not: it is a pinned key.
        config = XAdESSignatureConfiguration(
            require_x509=True, expect_references=2, verification_time=datetime(2020, 6, 1, tzinfo=UTC)
        )
        found = XAdESVerifier().verify(document, x509_cert=load_der_x509_certificate(by.der), expect_config=config)
    else:
        found = peer(document, by.der)
    assert [result.signed_xml.tag for result in found] == [
        f"{{{TSL}}}TrustServiceStatusList",
        f"{{{XADES}}}SignedProperties",
    ]
    verified = xades.verify(document, anchors=[by.der], expected_root=etsi_xml.ROOT, limits=LIST_LIMITS)
    assert found[0].signed_data == verified.octets


def test_the_signature_is_of_baseline_b() -> None:
    """EN 319 132-1 §6.3: the signing time, the certificate as V2, the format of what is signed, and the certificate."""
    found = peer(publish(council_member()), operator().der)[1]
    assert [child.tag.rpartition("}")[2] for child in found.signed_properties] == [
        "SigningTime",
        "SigningCertificateV2",
    ]
    data = found.signed_xml.find(f".//{{{XADES}}}DataObjectFormat")
    assert data.get("ObjectReference") == "#" + found.signature_xml.find(f".//{{{DS}}}Reference").get("Id")
    assert found.signature_xml.find(f".//{{{DS}}}X509Certificate") is not None


def registry(document: bytes, certificate: bytes) -> tuple[set[bytes], list[Any]]:
    """The certificates of authorities that pyHanko finds, and its complaints."""
    found, complaints = trust_list_to_registry(document.decode(), [Certificate.load(certificate)])
    return {ca.certificate.dump() for ca in found.known_certificate_authorities}, complaints


def test_pyhanko_reads_the_list() -> None:
    """It finds the qualified authority, and passes over all others."""
    document = publish(certificate_authority("one"), relying_party(), council_member(), certificate_authority("two"))
    assert registry(document, operator().der) == ({authority("one").der, authority("two").der}, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.replace(b"Accredited CA", b"Accredited Ca"),
        lambda document: etree.tostring(stripped(document)),
        lambda document: document.replace(b"SigningTime>2026", b"SigningTime>2025"),
    ],
)
def test_pyhanko_refuses_what_we_refuse(change: Callable[[bytes], bytes]) -> None:
    """Altered, unsigned, other properties."""
    document = change(publish(certificate_authority()))
    with pytest.raises((SignatureValidationError, ValueError)):
        registry(document, operator().der)


def test_pyhanko_refuses_another_authority() -> None:
    """The signer is pinned there too."""
    with pytest.raises(SignatureValidationError):
        registry(publish(certificate_authority()), operator("stranger").der)


def test_pyhanko_reads_the_list_of_lists() -> None:
    """Where the next list is, who signs it, and of which territory it is."""
    (reference,) = parse_lotl_unsafe(publish(pointers=[POINTER]).decode()).references
    assert (reference.location_uri, reference.territory, [c.dump() for c in reference.tlso_certs]) == (
        POINTER.location,
        "JP",
        list(POINTER.certificates),
    )


# --- the specification's schema, as pyHanko carries it: classes with each element's order, occurrence and type


def missing(value: Any, where: str = "") -> Iterator[str]:
    """Every place that holds less than the schema demands."""
    for field in fields(value):
        found, rule = getattr(value, field.name), field.metadata
        here = f"{where}/{rule.get('name', field.name)}"
        if rule.get("required") and found in (None, ""):
            yield here
        if isinstance(found, tuple) and len(found) < rule.get("min_occurs", 0):
            yield here
        for each in found if isinstance(found, tuple) else (found,):
            if is_dataclass(each):
                yield from missing(each, here)
            elif each is not None and hasattr(each, "__len__") and len(each) < rule.get("min_length", 0):
                yield here


def order(element: etree._Element) -> list[str]:
    """Names of elements in the order of the document."""
    return [str(each.tag) for each in element.iter(etree.Element)]


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_published_is_valid_against_the_schema(kind: str) -> None:
    """Nothing unknown, nothing missing, nothing of another type, and all of it in the schema's order.

    The signature is held against the schemas of XML Signature and XAdES by signxml, which carries them.
    """
    signed = LISTS[kind]()
    assert len(peer(signed, operator().der)) == 2
    document = etree.tostring(stripped(signed))
    strict = ParserConfig(
        fail_on_unknown_properties=True, fail_on_unknown_attributes=True, fail_on_converter_warnings=True
    )
    found = XmlParser(config=strict).from_bytes(document, TrustServiceStatusList)
    assert list(missing(found)) == []
    again = etree.fromstring(XmlSerializer().render(found).encode())
    assert order(again) == order(etree.fromstring(document))


def test_the_check_of_the_schema_sees_what_is_wrong() -> None:
    """Elements in another order, and one that is missing."""
    root = stripped(publish(council_member()))
    scheme = at(root, "SchemeInformation")
    scheme.append(at(scheme, "TSLType"))
    found = XmlParser().from_bytes(etree.tostring(root), TrustServiceStatusList)
    assert order(etree.fromstring(XmlSerializer().render(found).encode())) != order(root)
    scheme.remove(at(scheme, "TSLType"))
    found = XmlParser().from_bytes(etree.tostring(root), TrustServiceStatusList)
    assert list(missing(found)) == ["/SchemeInformation/TSLType"]


# --- what comes back

_NAMES = st.dictionaries(
    st.sampled_from(["ja", "fr", "zh-Hans"]),
    st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30),
    max_size=2,
)
_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda time: time.replace(microsecond=0)
)
_CODES = st.integers(1, 47).flatmap(
    lambda prefecture: st.integers(0, 999).map(
        lambda n: f"{prefecture:02}{n:03}" + check_digit(f"{prefecture:02}{n:03}")
    )
)
_ROLES = st.sampled_from(
    [
        Role.CERTIFICATE_AUTHORITY,
        Role.COUNCIL_MEMBER,
        Role.REGIONAL_SERVICE,
        Role.OPENID_RELYING_PARTY,
        Role.OPENID_PROVIDER,
    ]
)
_OPENID = (Role.OPENID_PROVIDER, Role.OPENID_RELYING_PARTY)
_METADATA = {
    Role.OPENID_PROVIDER: {"organization_name": "大村市 & <co>"},
    Role.OPENID_RELYING_PARTY: {
        "redirect_uris": ["https://rp.example/?a=1&b=2"],
        "token_endpoint_auth_method": "client_secret_basic",
    },
}


@st.composite
def entities(draw: st.DrawFn, number: int) -> TrustedEntity:
    """Any entity that such a list can say."""
    role = draw(_ROLES)
    times = sorted(draw(st.lists(_TIMES, min_size=1, max_size=4, unique=True)), reverse=True)
    statuses = draw(st.lists(st.sampled_from(Status), min_size=len(times), max_size=len(times)))
    keyed = role is Role.CERTIFICATE_AUTHORITY or (role not in _OPENID and draw(st.booleans()))
    located = role not in _OPENID and draw(st.booleans())
    return TrustedEntity(
        entity_id=f"https://{number}.example/{draw(st.text('abc%~@:;=+&', max_size=8))}",
        roles=frozenset({role}),
        listed_in=NAME,
        valid_until=UNTIL,
        municipality=draw(_CODES) if role is Role.COUNCIL_MEMBER else draw(st.none() | _CODES),
        names={"en": "Service", **{tag: text.strip() for tag, text in draw(_NAMES).items() if text.strip()}},
        signing_certificates=(authority(draw(st.sampled_from(["ca", "one", "two"]))).der,) if keyed else (),
        endpoints=(supply_point(role, "https://www.example.jp/a?b=c&d=e"),) if located else (),
        metadata=_METADATA.get(role, {}),
        maximum_identity=draw(st.none() | st.integers(0, 3)),
        status=statuses[0],
        status_since=times[0],
        history=tuple(
            StatusChange(status, since, etsi.status_name(status))
            for status, since in zip(statuses[1:], times[1:], strict=True)
        ),
        uses=draw(st.none() | st.frozensets(st.sampled_from(["civic", "mobility", "child-care"]), min_size=1)),
        service_type=QUALIFIED if role is Role.CERTIFICATE_AUTHORITY else None,
        information=draw(st.sampled_from([(), ("urn:example:a", "https://b.example/?c&d")])),
    )


@given(data=st.data())
@settings(max_examples=60)
def test_what_is_published_is_read_again(data: st.DataObject) -> None:
    """Entities, pointers, times, number: all of it comes back as it was put in."""
    put = [data.draw(entities(number)) for number in range(data.draw(st.integers(0, 4)))]
    sequence = data.draw(st.integers(1, 10**12))
    pointers = data.draw(st.sampled_from([(), (POINTER,)]))
    found = read(publish(*map(_entry, put), sequence=sequence, pointers=pointers))
    assert list(found.entities) == put
    assert (found.sequence, found.pointers, found.faults) == (sequence, pointers, ())
    assert (found.issued_at, found.valid_until) == (NOW, UNTIL)


def _entry(entity: TrustedEntity) -> Entry:
    return Entry(entity=entity)


def test_members_may_be_written_as_in_a_recipe() -> None:
    """A municipality writes the same for both ETSI formats."""
    member = {
        "entity_id": "https://ca.example/",
        "role": "certificate-authority",
        "name": {"ja": "特定認証業務", "en": "Accredited CA"},
        "certificates": [authority("ca").base64],
        "since": "2026-04-01",
        "uses": ["civic"],
        "service_type": QUALIFIED,
    }
    (entity,) = read(publish(member)).entities
    assert (entity.entity_id, entity.uses, entity.status_since) == (
        "https://ca.example/",
        frozenset({"civic"}),
        datetime(2026, 3, 31, 15, tzinfo=UTC),
    )


def test_the_last_number_can_be_looked_up() -> None:
    """For the authority that counts on from it."""
    assert etsi_xml.stated_sequence_unsafe(publish(sequence=41)) == 41
    for document in (b"", b"<a/>", f'<TrustServiceStatusList xmlns="{TSL}"/>'.encode()):
        with pytest.raises(ValueError, match="not a list of ETSI TS 119 612"):
            etsi_xml.stated_sequence_unsafe(document)


# --- what is not published


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (council_member(names={"ja": "前橋市"}), "every name in English too"),
        (council_member(names={"en": "a\u202eb"}), "direction marks"),
        (council_member(status_since=None), "since when it holds"),
        (council_member(municipality=None), "a council member is a municipality"),
        (council_member(roles=frozenset({Role.SAML_IDENTITY_PROVIDER})), "saml-metadata"),
        (council_member(entity_id="two words"), "printable ASCII"),
        (certificate_authority(signing_certificates=()), "known by its certificates"),
        (certificate_authority(signing_certificates=(authority("a").der, authority("b").der)), "of different keys"),
        (certificate_authority(signing_certificates=(authority("weak", bits=1024).der,)), "too short"),
        (certificate_authority(uses=frozenset({"Civic"})), "not the name of a use"),
        (certificate_authority(maximum_identity=4), "not a level"),
        (certificate_authority(service_type="urn:x"), "no type of service"),
        (certificate_authority(history=(StatusChange(Status.GRANTED, NOW, GRANTED),)), "not earlier"),
        (
            certificate_authority(history=(StatusChange(Status.GRANTED, NOW - timedelta(days=9999), "urn:x"),)),
            "no status",
        ),
        (relying_party(metadata={}), "redirect_uris: is missing"),
        ({"entity_id": "x", "role": "mayor"}, "role: one of"),
        (None, "an entry with entity_id"),
    ],
)
def test_a_member_that_a_reader_would_drop_is_not_signed(member: object, expected: str) -> None:
    """The position tells which one."""
    with pytest.raises(UnpublishableError, match=expected) as caught:
        publish(council_member("112089"), member)
    assert caught.value.position == 1


def test_nobody_is_listed_twice() -> None:
    """Readers would drop both."""
    with pytest.raises(UnpublishableError, match="listed twice") as caught:
        publish(council_member(), relying_party(), council_member())
    assert caught.value.position == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sequence": 0}, "above 0"),
        ({"sequence": -1}, "above 0"),
        ({"valid_until": NOW}, "before it begins"),
        ({"key_pem": operator("other").key_pem}, "of another key"),
        ({"scheme": replace(MAEBASHI, operator={"ja": "前橋市"})}, "every name in English too"),
        ({"scheme": replace(MAEBASHI, information="https://a b/")}, "a URI is expected"),
        ({"scheme": replace(MAEBASHI, contact="mailto:\0")}, "XML cannot express"),
        ({"pointers": [replace(POINTER, location="http://lists.example/")]}, "is not https"),
        ({"pointers": [replace(POINTER, certificates=(b"none",))]}, "cannot be read"),
    ],
)
def test_a_list_that_a_reader_would_refuse_is_not_signed(options: dict[str, object], expected: str) -> None:
    """Nor one that would lose a pointer."""
    with pytest.raises(ValueError, match=expected):
        publish(council_member(), **options)
