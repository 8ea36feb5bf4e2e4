"""Reading signed SAML metadata: who is admitted, and which documents are refused."""

import base64
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.aggregates import entities
from tests.trust_lists.builders import (
    MD,
    MDRPI,
    NOW,
    POST,
    REDIRECT,
    UNTIL,
    aggregate,
    authority,
    identity_provider,
    key_descriptor,
    read_saml,
    scopes,
    service_provider,
    unsigned_aggregate,
)
from trust_lists import etsi, rules
from trust_lists.model import Endpoint, Fault, ListRefusedError, Role, Status, TrustedEntity, TrustList
from trust_lists.saml_entities import ASSURANCE_CERTIFICATION, INFORMATION, STATUS, STATUS_SINCE
from trust_lists.saml_metadata import LONGEST_VALIDITY, MAXIMUM_BYTES
from trust_lists.times import LEEWAY, format_instant

IDP, SP = Role.SAML_IDENTITY_PROVIDER, Role.SAML_SERVICE_PROVIDER


def refusal(document, **kept):
    """Tell the code with which a document is refused."""
    with pytest.raises(ListRefusedError) as refused:
        read_saml(document, **kept)
    assert "region-saml" in str(refused.value)
    return refused.value.code


def fault(entity):
    """The one fault of an aggregate in which a good entity stands beside `entity`."""
    read = read_saml(aggregate(entity, service_provider("https://good.example/")))
    assert [e.entity_id for e in read.entities] == ["https://good.example/"]
    (found,) = read.faults
    return found.reason


# --- what is read


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_an_aggregate_becomes_a_trust_list(kind):
    """Every value of two members arrives; a key without a stated use is for signing and encryption."""
    by = authority("region", kind)
    document = aggregate(
        identity_provider(role_attributes=' WantAuthnRequestsSigned="true"'),
        service_provider(
            keys=key_descriptor(authority("sp"), "encryption"),
            role_attributes=' WantAssertionsSigned="1" AuthnRequestsSigned="false"',
        ),
        by=by,
    )
    assert read_saml(document, anchors=(by.der,)) == TrustList(
        name="region-saml",
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=int(NOW.timestamp()),
        entities=(
            TrustedEntity(
                entity_id="https://idp.example/",
                roles=frozenset({IDP}),
                listed_in="region-saml",
                valid_until=UNTIL,
                signing_certificates=(authority("idp").der,),
                encryption_certificates=(authority("idp").der,),
                endpoints=(
                    Endpoint(
                        role=IDP,
                        kind="SingleSignOnService",
                        binding=REDIRECT,
                        location="https://idp.example/sso",
                    ),
                ),
                wants_signed_requests=True,
            ),
            TrustedEntity(
                entity_id="https://sp.example/",
                roles=frozenset({SP}),
                listed_in="region-saml",
                valid_until=UNTIL,
                names={"ja": "図書館", "en": "Library"},
                encryption_certificates=(authority("sp").der,),
                endpoints=(
                    Endpoint(
                        role=SP,
                        kind="AssertionConsumerService",
                        binding=POST,
                        location="https://sp.example/acs",
                        index=0,
                    ),
                ),
                wants_signed_assertions=True,
            ),
        ),
    )


def test_a_single_entity_descriptor_is_a_list_of_one():
    """A signed md:EntityDescriptor with validUntil and PublicationInfo is read like an aggregate."""
    extensions = (
        '<md:Extensions><mdrpi:PublicationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" '
        f'publisher="x" creationInstant="{format_instant(NOW)}"/></md:Extensions>'
    )
    document = identity_provider(attributes=f' ID="_e" validUntil="{format_instant(UNTIL)}"', extensions=extensions)
    read = read_saml(authority().signer.sign_element(document.encode(), "_e"))
    assert [e.entity_id for e in read.entities] == ["https://idp.example/"]
    assert read.faults == ()


def test_each_role_has_its_own_keys():
    """A key of the service provider role never signs as the identity provider of the same entity."""
    roles = service_provider(keys=key_descriptor(authority("sp")))
    role = roles[roles.index("<md:SPSSODescriptor") : roles.index("<md:Organization>")]
    read = read_saml(aggregate(identity_provider(keys=key_descriptor(authority("idp")), more=role)))
    keys = {role: entity.signing_certificates for entity in read.entities for role in entity.roles}
    assert keys == {IDP: (authority("idp").der,), SP: (authority("sp").der,)}


def test_the_earliest_end_counts():
    """An entity ends with the earliest of the list, its groups, itself and its role."""
    soon, sooner = NOW + timedelta(days=2), NOW + timedelta(days=1)
    group = (
        f'<md:EntitiesDescriptor validUntil="{format_instant(soon)}">'
        + identity_provider("https://a.example/")
        + service_provider("https://b.example/", attributes=f' validUntil="{format_instant(sooner)}"')
        + identity_provider("https://c.example/", role_attributes=f' validUntil="{format_instant(sooner)}"')
        + "</md:EntitiesDescriptor>"
    )
    read = read_saml(aggregate(group))
    assert {e.entity_id: e.valid_until for e in read.entities} == {
        "https://a.example/": soon,
        "https://b.example/": sooner,
        "https://c.example/": sooner,
    }


# --- documents that are refused


def test_unsigned():
    """A list without a signature is not loaded."""
    assert refusal(unsigned_aggregate(identity_provider())) == "unsigned"


def test_signature_of_a_member_only():
    """A signature over one member does not sign the list."""
    member = authority().signer.sign_element(identity_provider(attributes=' ID="_e"').encode(), "_e").decode()
    assert refusal(unsigned_aggregate(member)) == "unsigned"


@pytest.mark.parametrize("anchors", [(), (authority("stranger").der,), (authority("ec-stranger", "ec").der,)])
def test_wrong_anchor(anchors):
    """A list signed with a key that is no anchor is not loaded, although its KeyInfo carries that key."""
    assert refusal(aggregate(identity_provider()), anchors=anchors) == "signature"


def test_one_of_several_anchors_is_enough():
    """While an authority changes its key, both certificates may be anchors."""
    anchors = (authority("stranger").der, authority().der)
    assert read_saml(aggregate(identity_provider()), anchors=anchors).entities


def test_stripped():
    """A list whose signature was cut out is unsigned."""
    document = aggregate(identity_provider())
    start, end = (
        document.index(b"<ds:Signature "),
        document.index(b"</ds:Signature>") + len(b"</ds:Signature>"),
    )
    assert refusal(document[:start] + document[end:]) == "unsigned"


def test_altered_entity_id():
    """An altered character breaks the signature."""
    assert refusal(aggregate(identity_provider()).replace(b"https://idp.", b"https://evil.")) == "signature"


@settings(max_examples=40)
@given(st.data())
def test_any_altered_octet_is_refused_or_means_nothing(data):
    """Whatever octet is changed, the list is refused or reads exactly as before."""
    document = aggregate(identity_provider())
    position = data.draw(st.integers(0, len(document) - 1))
    octet = data.draw(st.integers(0, 255))
    altered = document[:position] + bytes([octet]) + document[position + 1 :]
    try:
        read = read_saml(altered)
    except ListRefusedError:
        return
    assert read == read_saml(document)


def test_swapped_entry():
    """A member of one signed list does not fit into another, even one of the same authority."""
    mine, other = aggregate(identity_provider()), aggregate(service_provider())
    inside = slice(other.index(b"<md:EntityDescriptor"), other.index(b"</md:EntitiesDescriptor>"))
    start, end = mine.index(b"<md:EntityDescriptor"), mine.index(b"</md:EntitiesDescriptor>")
    assert refusal(mine[:start] + other[inside] + mine[end:]) == "signature"


def test_two_signatures():
    """Two signatures on the root are refused, whichever is valid."""
    document = aggregate(identity_provider())
    start, end = (
        document.index(b"<ds:Signature "),
        document.index(b"</ds:Signature>") + len(b"</ds:Signature>"),
    )
    assert refusal(document[:end] + document[start:end] + document[end:]) == "signature"


def test_wrapped():
    """A signed list that was put inside another, with the root's ID taken over, is refused."""
    document = aggregate(identity_provider())
    evil = unsigned_aggregate(identity_provider("https://evil.example/"), document.decode())
    assert refusal(evil) in {"unsigned", "signature"}


def test_expired():
    """From its last second on, a list is not loaded."""
    document = aggregate(identity_provider())
    assert read_saml(document, now=UNTIL - timedelta(seconds=1)).entities
    assert refusal(document, now=UNTIL) == "expired"


def test_from_the_future():
    """A list issued later than now is refused; clocks may differ by the leeway."""
    document = aggregate(identity_provider())
    assert read_saml(document, now=NOW - LEEWAY).entities
    assert refusal(document, now=NOW - LEEWAY - timedelta(seconds=1)) == "future"


@pytest.mark.parametrize(
    "times",
    [
        {"until": None},
        {"created": None},
        {"until": NOW - timedelta(days=1)},
        {"until": None, "attributes": ' validUntil="tomorrow"'},
        {"until": None, "attributes": ' validUntil="2026-05-01T00:00:00"'},
        {"until": None, "attributes": ' validUntil="0001-01-01T00:00:00+23:00"'},
    ],
)
def test_times_are_required(times):
    """Without validUntil or creationInstant, or with times that are none or end too early: refused."""
    assert refusal(aggregate(identity_provider(), **times)) == "format"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\x00" * 100,
        b"garbage",
        b"{}",
        b"<a/>",
        b"<a>" * 100_000,
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        f'<md:EntitiesDescriptor xmlns:md="{MD}">{"<md:EntitiesDescriptor>" * 60}'.encode(),
        (
            f'<md:EntitiesDescriptor xmlns:md="{MD}">' + "<md:E>" * 60 + "</md:E>" * 60 + "</md:EntitiesDescriptor>"
        ).encode(),
        "<a>é</a>".encode("utf-16"),
    ],
)
def test_garbage_is_refused(document):
    """What is no metadata is refused in words, never with another exception."""
    assert refusal(document) == "format"


def test_too_large():
    """A document beyond the bound is refused before it is parsed."""
    assert refusal(bytes(MAXIMUM_BYTES + 1)) == "too-large"


# --- entities that are dropped alone


def test_duplicate_entity_ids_are_all_dropped():
    """Which of two entities with one ID is right would be a guess: neither is trusted, both are reported."""
    read = read_saml(
        aggregate(identity_provider(), service_provider(), identity_provider(location="https://x.example/"))
    )
    assert [e.entity_id for e in read.entities] == ["https://sp.example/"]
    assert read.faults == (
        Fault(where="https://idp.example/", reason="entityID: listed more than once; all dropped (entry 1)"),
        Fault(where="https://idp.example/", reason="entityID: listed more than once; all dropped (entry 3)"),
    )


def municipality(*values, name="urn:kakehashi:municipality"):
    """Give an Extensions element with an entity attribute."""
    inside = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return (
        '<md:Extensions><mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute">'
        '<saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
        f'Name="{name}">{inside}</saml:Attribute></mdattr:EntityAttributes></md:Extensions>'
    )


def test_municipality_comes_from_the_entity_attribute():
    """The authority's entity attribute says which municipality an entity is of."""
    read = read_saml(aggregate(identity_provider(extensions=municipality("012173"))))
    assert [e.municipality for e in read.entities] == ["012173"]


def test_names_of_the_role_come_first():
    """Names of the role (mdui) win over the organisation's."""
    ui = (
        '<md:Extensions><mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">'
        '<mdui:DisplayName xml:lang="ja">江別市\n  ID</mdui:DisplayName></mdui:UIInfo></md:Extensions>'
    )
    read = read_saml(aggregate(identity_provider(keys=ui + key_descriptor(authority("idp")))))
    assert [e.names for e in read.entities] == [{"ja": "江別市 ID"}]


GCM, OAEP = "http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"


def test_scopes_of_an_identity_provider():
    """Those of the role and of the entity count, once each, in lower case; a regular expression gives nothing."""
    in_entity, in_role = scopes("Ebetsu.example", "a.example", regexp="0"), scopes("ebetsu.example", "b-1.example")
    read = read_saml(aggregate(identity_provider(extensions=in_entity, role_extensions=in_role)))
    assert [e.scopes for e in read.entities] == [("ebetsu.example", "a.example", "b-1.example")]
    for regexp in ("true", "1"):
        pattern = scopes(r"^.+\.example$", regexp=regexp)
        read = read_saml(aggregate(identity_provider(extensions=pattern, role_extensions=pattern)))
        assert [(e.scopes, read.faults) for e in read.entities] == [((), ())]


def test_a_service_provider_has_no_scopes():
    """Of an entity with both roles only the identity provider may assert scoped attributes."""
    service = service_provider()
    role = service[service.index("<md:SPSSO") : service.index("<md:Organization>")]
    read = read_saml(aggregate(identity_provider(extensions=scopes("a.example"), more=role)))
    assert {role: e.scopes for e in read.entities for role in e.roles} == {IDP: ("a.example",), SP: ()}


def test_encryption_methods_are_those_of_the_encryption_keys():
    """In their order, each once; what a key for signing says counts for nothing."""
    keys = (
        key_descriptor(authority("idp"), "signing", "urn:signing")
        + key_descriptor(authority("sp"), "encryption", GCM, OAEP)
        + key_descriptor(authority("idp"), None, "urn:third", GCM)
    )
    read = read_saml(aggregate(service_provider(keys=keys)))
    assert [e.encryption_methods for e in read.entities] == [(GCM, OAEP, "urn:third")]


SUBJECT_ID = "urn:oasis:names:tc:SAML:profiles:subject-id:req"


@pytest.mark.parametrize("required", ["subject-id", "pairwise-id", "none", "any"])
def test_the_subject_identifier_that_a_service_requires(required):
    """An entity attribute says it, of the service provider only."""
    extensions = municipality(f" {required}\n", name=SUBJECT_ID)
    service, system = service_provider(extensions=extensions), identity_provider(extensions=extensions)
    read = read_saml(aggregate(service, system, service_provider("https://other.example/")))
    assert [e.subject_id for e in read.entities] == [required, None, None]


LOGOUT = (
    '<md:AssertionConsumerService Binding="urn:b" Location="https://a.example/" index="1"/>'
    '<md:SingleLogoutService Binding="urn:b" Location="https://a.example/" ResponseLocation="https://b.example/"/>'
)


def test_logout_responses_may_go_elsewhere():
    """ResponseLocation is read where the profile has it."""
    read = read_saml(aggregate(service_provider(services=LOGOUT)))
    assert [(e.kind, e.location, e.response_location) for e in read.entities[0].endpoints] == [
        ("AssertionConsumerService", "https://a.example/", None),
        ("SingleLogoutService", "https://a.example/", "https://b.example/"),
    ]


def test_a_large_aggregate_is_read_as_its_entities_are_one_by_one():
    """Nothing depends on where the list is cut, or on how many entities there are."""
    listed = list(entities(80))
    read = read_saml(aggregate(*listed))
    assert (len(aggregate(*listed)) > 2 * 256 * 1024, read.faults) == (True, ())
    assert list(read.entities) == [entity for one in listed for entity in read_saml(aggregate(one)).entities]
    assert {len(entity.scopes) for entity in read.entities if IDP in entity.roles} == {1}


def test_duplicates_are_found_across_a_large_aggregate():
    """The first entity of a list and the last one may be the same."""
    twice = service_provider("https://twice.example/")
    read = read_saml(aggregate(twice, *entities(70), twice))
    assert len(read.entities) == 70
    assert [fault.reason.partition("dropped ")[2] for fault in read.faults] == ["(entry 1)", "(entry 72)"]


domains = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,126}", fullmatch=True)


@settings(max_examples=100)
@given(st.lists(domains, min_size=1, max_size=4))
def test_every_domain_is_a_scope(values):
    """Whatever the syntax of a scope allows is read as it stands."""
    read = read_saml(aggregate(identity_provider(role_extensions=scopes(*values))))
    assert [e.scopes for e in read.entities] == [tuple(dict.fromkeys(values))]


addresses = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["https://", "http://", "https:/", "HTTPS://"]),
        st.text(alphabet="aZ0.-_~:/?#[]@!$&'()*+,;=%é \t\n\\|", max_size=12),
        st.sampled_from(["", "/", "/a?b=c", "/a#b", ":0/", ":443", "/[x]", "/\n"]),
    ),
)


@settings(max_examples=250)
@given(addresses)
def test_a_plain_address_keeps_every_rule(address):
    """The short way for addresses as nearly all are lets nothing through that the long way refuses."""
    if rules._PLAIN_ADDRESS.fullmatch(address):
        host, _, rest = address.removeprefix("https://").partition("/")
        assert re.fullmatch(r"[A-Za-z0-9.-]+", host)
        assert "#" not in rest
        assert rules._ADDRESS.fullmatch(address)
        assert urlsplit(address).hostname == host.lower()
        assert urlsplit(address).port is None


WEAK = authority("weak", bits=1024)
BAD_SCOPES = ("", " ", "a_b.example", "-a.example", ".example", "a b", "*.example", "大村.example", "a@b", "a" * 128)
TWO_CERTIFICATES = key_descriptor(authority("idp")).replace(
    "</ds:X509Data>", f"<ds:X509Certificate>{WEAK.base64}</ds:X509Certificate></ds:X509Data>"
)


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (identity_provider(keys=""), "no signing certificate"),
        (identity_provider(keys=key_descriptor(authority("idp"), "encryption")), "no signing certificate"),
        (service_provider(role_attributes=' AuthnRequestsSigned="true"'), "no signing certificate"),
        (identity_provider(keys=key_descriptor(authority("idp"), "other")), "use: signing or encryption"),
        (identity_provider(keys=key_descriptor(authority("idp"), "")), "use: signing or encryption"),
        (identity_provider(keys=key_descriptor(WEAK)), "1024 bits"),
        (identity_provider(keys=TWO_CERTIFICATES), "2 found"),
        (identity_provider(keys="<md:KeyDescriptor/>" + key_descriptor(authority("idp"))), "0 found"),
        (identity_provider().replace(authority("idp").base64[:8], "!!!!!!!!"), "X509Certificate"),
        (identity_provider().replace(authority("idp").base64[:8], "AAAAAAAA"), "cannot be read"),
        (identity_provider(attributes=' validUntil="2026-03-31T00:00:00Z"'), "validUntil"),
        (identity_provider(attributes=' validUntil="never"'), "validUntil"),
        (identity_provider(role_attributes=' WantAuthnRequestsSigned="yes"'), "not true or false"),
        (identity_provider(location="http://idp.example/sso"), "not https"),
        (identity_provider(location="javascript:alert(1)"), "host"),
        (identity_provider(location="https://user@idp.example/"), "user"),
        (identity_provider(location="https://idp.example/#a"), "fragment"),
        (identity_provider(location=""), "absolute https address"),
        (identity_provider(extensions=municipality("102017")), "check digit"),
        (identity_provider(extensions=municipality("102016", "012173")), "exactly one value"),
        (identity_provider(extensions=municipality()), "exactly one value"),
        (identity_provider(extensions=municipality("1", name="urn:kakehashi:later")), "urn:kakehashi:later"),
        (identity_provider("a b"), "printable ASCII"),
        (identity_provider("a" * 1025), "1024"),
        (service_provider(services=""), "AssertionConsumerService: is missing"),
        (
            service_provider(services=f'<md:AssertionConsumerService Binding="{POST}" Location="https://a/"/>'),
            "index",
        ),
        (
            service_provider(
                services=f'<md:AssertionConsumerService Binding="{POST}" Location="https://a/" index="0"/>' * 2
            ),
            "twice",
        ),
        (service_provider().replace("SAML:2.0:protocol", "SAML:1.1:protocol"), "no SAML 2.0"),
        (service_provider().replace("Library", "\u202eyrarbiL"), "direction marks"),
        (service_provider().replace('xml:lang="ja"', ""), "language"),
        *((identity_provider(role_extensions=scopes(bad)), "Scope: ") for bad in BAD_SCOPES),
        (identity_provider(extensions=scopes("good.example", "-")), "is not a scope"),
        (identity_provider(extensions=scopes("<b/>")), "Scope: a text is expected"),
        (identity_provider(extensions=scopes("a.example", regexp="maybe")), "Scope.regexp: 'maybe' is not true"),
        (service_provider(extensions=municipality("email", name=SUBJECT_ID)), "'email' is none of any, none"),
        (service_provider(extensions=municipality("any", "none", name=SUBJECT_ID)), "exactly one value"),
        (service_provider(keys=key_descriptor(authority("sp"), None, "")), "EncryptionMethod: an identifier"),
        (service_provider(keys=key_descriptor(authority("sp"), None, "a b")), "EncryptionMethod: an identifier"),
        (service_provider(services=LOGOUT.replace("https://b", "javascript:b")), "ResponseLocation: "),
        (service_provider(services=LOGOUT.replace("https://b.example/", "")), "ResponseLocation: "),
    ],
)
def test_a_broken_entity_is_dropped_alone(entity, reason):
    """An entity that breaks a rule is a fault that says which; its neighbour stays."""
    assert reason in fault(entity)


def test_loopback_may_speak_http():
    """On one machine, as in the demo region, http is allowed: for loopback hosts only."""
    places = ["http://localhost:8203/sso", "http://127.0.0.1/sso", "http://[::1]:80/sso"]
    read = read_saml(aggregate(*(identity_provider(f"urn:{n}", location=at) for n, at in enumerate(places))))
    assert [e.endpoints[0].location for e in read.entities] == places


def test_an_expired_group_drops_its_entities():
    """Entities of a group that is over are dropped, the others stay."""
    ended = "2026-03-01T00:00:00Z"
    group = f'<md:EntitiesDescriptor validUntil="{ended}">{identity_provider()}</md:EntitiesDescriptor>'
    read = read_saml(aggregate(group, service_provider()))
    assert [e.entity_id for e in read.entities] == ["https://sp.example/"]
    assert [f.where for f in read.faults] == ["https://idp.example/"]


def test_an_entity_without_an_id_is_named_by_its_position():
    """A fault always says where."""
    entity = identity_provider().replace(' entityID="https://idp.example/"', "")
    assert [f.where for f in read_saml(aggregate(service_provider(), entity)).faults] == ["entry 2"]


def test_certificates_are_pins():
    """Only the key of a certificate counts: the tests' certificates all ended in 2021."""
    assert (
        base64.b64decode(authority("idp").base64)
        in read_saml(aggregate(identity_provider())).entities[0].signing_certificates
    )


# --- what the authority says of an entity


def stated(*attributes):
    """Extensions with entity attributes: pairs of a name and its values."""
    inside = "".join(
        f'<saml:Attribute Name="{name}">'
        + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
        + "</saml:Attribute>"
        for name, values in attributes
    )
    return (
        '<md:Extensions xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
        f'xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute"><mdattr:EntityAttributes>{inside}'
        "</mdattr:EntityAttributes></md:Extensions>"
    )


def test_uses_level_and_status_are_read():
    """The same URIs as in the ETSI formats; certifications of others are kept as information, registration as such."""
    registration = (
        '<mdrpi:RegistrationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" '
        'registrationAuthority="https://region.example"/></md:Extensions>'
    )
    extensions = stated(
        (INFORMATION, [etsi.use_name("civic"), etsi.use_name("mobility"), etsi.maximum_identity_name(2)]),
        (STATUS, [etsi.status_name(Status.WITHDRAWN)]),
        (STATUS_SINCE, ["2026-03-01T00:00:00+09:00"]),
        (ASSURANCE_CERTIFICATION, ["https://refeds.org/sirtfi", "https://refeds.org/sirtfi", "https://x.example/ial2"]),
    ).replace("</md:Extensions>", registration)
    (found,) = read_saml(aggregate(identity_provider(extensions=extensions))).entities
    assert (found.uses, found.maximum_identity) == (frozenset({"civic", "mobility"}), 2)
    assert (found.status, found.status_since) == (Status.WITHDRAWN, datetime(2026, 2, 28, 15, tzinfo=UTC))
    assert found.information == ("https://refeds.org/sirtfi", "https://x.example/ial2")
    assert found.registered_by == "https://region.example"


@pytest.mark.parametrize(
    ("attribute", "values", "reason"),
    [
        (INFORMATION, ["urn:kakehashi:use:Civic"], "not the name of a use"),
        (INFORMATION, ["urn:kakehashi:maximum-identity:4"], "not a level"),
        (INFORMATION, ["urn:kakehashi:maximum-identity:1", "urn:kakehashi:maximum-identity:2"], "two highest levels"),
        (INFORMATION, ["urn:kakehashi:other"], "is unknown"),
        (INFORMATION, ["https://x.example/"], "not a use and not a level"),
        (INFORMATION, [], "values are expected"),
        (STATUS, ["granted"], "is not a status"),
        (STATUS, [etsi.status_name(Status.GRANTED), etsi.status_name(Status.WITHDRAWN)], "exactly one value"),
        (STATUS_SINCE, ["yesterday"], "not a time"),
        ("urn:kakehashi:uses", ["civic"], "unknown entity attribute"),
        ("URN:Kakehashi:information", ["urn:kakehashi:maximum-identity:1"], "unknown entity attribute"),
        (ASSURANCE_CERTIFICATION, ["not a URI"], "printable ASCII"),
    ],
)
def test_odd_words_drop_the_entity(attribute, values, reason):
    """A limit that cannot be understood is never passed over."""
    assert reason in fault(identity_provider(extensions=stated((attribute, values))))


def test_two_registrations_drop_the_entity():
    """Who registered it would be a guess."""
    one = '<mdrpi:RegistrationInfo registrationAuthority="https://region.example"/>'
    for registration, reason in ((one * 2, "occurs twice"), ("<mdrpi:RegistrationInfo/>", "registrationAuthority")):
        extensions = f'<md:Extensions xmlns:mdrpi="{MDRPI}">{registration}</md:Extensions>'
        assert reason in fault(identity_provider(extensions=extensions))


# --- how long a list is to be kept, and when a single entity was made


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT6H", 21600),
        ("P1D", 86400),
        ("P1DT1H1M1.5S", 90061),
        ("P1M", 30 * 86400),
        ("PT0S", 0),
        ("P999999999Y", 366 * 86400),
        ("PT999999999S", 366 * 86400),
    ],
)
def test_cache_duration(text, seconds):
    """`cacheDuration` is how long the authority asks to keep it; more than a year counts as one."""
    read = read_saml(aggregate(identity_provider(), attributes=f' cacheDuration="{text}"'))
    assert read.refresh_after == timedelta(seconds=seconds)
    assert read_saml(aggregate(identity_provider())).refresh_after is None


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "6H", "-PT6H", "PT6h", "P1S", "PT1.S", "P1W", "PT٣S", "P1234567890D"]
)
def test_an_odd_cache_duration_refuses_the_list(text):
    """What is no duration is no wish, but a mistake."""
    assert refusal(aggregate(identity_provider(), attributes=f' cacheDuration="{text}"')) == "format"


def single(until, **attributes):
    """A signed entity as it is answered to a metadata query: an end, no creation."""
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    document = identity_provider(attributes=f' ID="_e" validUntil="{format_instant(until)}"{more}')
    return authority().signer.sign_element(document.encode(), "_e")


def test_a_single_entity_without_creation_counts_from_its_end():
    """It counts as created as early as its end allows, so that no earlier answer can stand in for a later one."""
    read = read_saml(single(UNTIL, cacheDuration="PT6H"))
    assert (read.valid_until, read.issued_at) == (UNTIL, UNTIL - LONGEST_VALIDITY)
    assert (read.sequence, read.refresh_after) == (int(read.issued_at.timestamp()), timedelta(hours=6))
    assert read_saml(single(UNTIL + timedelta(days=1))).sequence > read.sequence


def test_a_single_entity_is_valid_for_a_year_at_most():
    """One that ends later would count as created in the future; one without an end is refused; an ended one is over."""
    assert refusal(single(NOW + LONGEST_VALIDITY + timedelta(hours=1))) == "future"
    assert refusal(single(NOW)) == "expired"
    document = identity_provider(attributes=' ID="_e" cacheDuration="PT6H"')
    assert refusal(authority().signer.sign_element(document.encode(), "_e")) == "format"


def test_an_aggregate_needs_its_creation():
    """The rule for single entities is none for aggregates."""
    assert refusal(aggregate(identity_provider(), created=None)) == "format"
