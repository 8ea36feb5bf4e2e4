"""Publishing the region's SAML metadata, and foreign software reading it."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from saml2.attribute_converter import ac_factory
from saml2.mdstore import InMemoryMetaData

from tests.trust_lists.builders import (
    NOW,
    REDIRECT,
    UNTIL,
    authority,
    identity_provider,
    key_descriptor,
    read_saml,
    scopes,
    service_provider,
)
from trust_lists.model import ListRefusedError, Status
from trust_lists.rules import EntryError, UnpublishableError
from trust_lists.saml_metadata import publish, scopes_unsafe
from trust_lists.xmldsig import Signer


def published(*members, **kept):
    """Publish members with the region's key."""
    stated = {
        "name": "region-saml",
        "signer": authority().signer,
        "issued_at": NOW,
        "valid_until": UNTIL,
        **kept,
    }
    return publish([member.encode() for member in members], **stated)


members = st.lists(
    st.tuples(st.sampled_from([identity_provider, service_provider]), st.booleans()), min_size=1, max_size=6
)


@settings(max_examples=25)
@given(members, st.integers(0, 10**8))
def test_what_is_published_is_read(kinds, seconds):
    """Every member published is read back, with the municipality that the authority gave it, and no fault."""
    issued_at = NOW + timedelta(seconds=seconds)
    documents = [kind(f"https://{n}.example/") for n, (kind, _) in enumerate(kinds)]
    codes = {f"https://{n}.example/": "012173" for n, (_, with_code) in enumerate(kinds) if with_code}
    document = published(
        *documents, issued_at=issued_at, valid_until=issued_at + timedelta(days=1), municipalities=codes
    )
    read = read_saml(document, now=issued_at)
    assert {e.entity_id: e.municipality for e in read.entities} == {
        f"https://{n}.example/": codes.get(f"https://{n}.example/") for n in range(len(kinds))
    }
    assert (read.faults, read.issued_at, read.sequence) == ((), issued_at, int(issued_at.timestamp()))


def own_words(name):
    """What a member would like to say of itself."""
    return (
        '<md:Extensions xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
        'xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute" '
        'xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi">'
        '<mdrpi:RegistrationInfo registrationAuthority="https://myself.example"/><mdattr:EntityAttributes>'
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>102016</saml:AttributeValue></saml:Attribute>'
        '<saml:Attribute Name="urn:other"><saml:AttributeValue>kept</saml:AttributeValue></saml:Attribute>'
        "</mdattr:EntityAttributes></md:Extensions>"
    )


@pytest.mark.parametrize("name", ["urn:kakehashi:municipality", "urn:kakehashi:anything"])
@pytest.mark.parametrize("code", [None, "012173"])
def test_a_member_does_not_register_itself(name, code):
    """Municipality and registration are the authority's word; a member's own claim is dropped."""
    codes = {} if code is None else {"https://idp.example/": code}
    document = published(
        identity_provider(extensions=own_words(name)),
        municipalities=codes,
        authority="https://region.example",
    )
    assert [e.municipality for e in read_saml(document).entities] == [code]
    assert b"https://myself.example" not in document
    assert document.count(b'registrationAuthority="https://region.example"') == 1
    assert b"urn:other" in document


@pytest.mark.parametrize("given_scopes", [(), ("ebetsu.example", "Lib.ebetsu.example", "ebetsu.example")])
def test_scopes_are_the_authoritys_word(given_scopes):
    """What a member says of its own scopes is dropped wherever it stands; what the authority gives is read."""
    own = scopes("evil.example", "ebetsu.example")
    interface = (
        '<md:Extensions><mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">'
        '<mdui:DisplayName xml:lang="ja">江別市</mdui:DisplayName></mdui:UIInfo></md:Extensions>'
    )
    for role_extensions, names in (
        ("", {}),
        (scopes("evil.example", regexp="true"), {}),
        (interface, {"ja": "江別市"}),
    ):
        document = published(
            identity_provider(extensions=own, role_extensions=role_extensions),
            scopes={"https://idp.example/": given_scopes} if given_scopes else None,
        )
        (entity,) = read_saml(document).entities
        assert (entity.scopes, entity.names) == (("ebetsu.example", "lib.ebetsu.example")[: len(given_scopes)], names)
        assert b"evil.example" not in document
        assert b"Extensions/>" not in document
        assert b"<md:Extensions></md:Extensions>" not in document


@settings(max_examples=25)
@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,126}", fullmatch=True), min_size=1, max_size=4, unique=True))
def test_scopes_that_are_published_are_read(given_scopes):
    """Every list of domains comes back in its order."""
    document = published(identity_provider(), scopes={"https://idp.example/": given_scopes})
    assert [e.scopes for e in read_saml(document).entities] == [tuple(given_scopes)]


@pytest.mark.parametrize(
    ("member", "given_scopes", "reason"),
    [
        (service_provider(), ["a.example"], "scopes: only an identity provider"),
        (identity_provider(), ["a.example", "b_c"], r"scopes\[1\]: 'b_c' is not a scope"),
        (identity_provider(), [""], r"scopes\[0\]: '' is not a scope"),
    ],
)
def test_scopes_that_cannot_be_given(member, given_scopes, reason):
    """Scopes of a service, and what is no domain, are mistakes of the authority."""
    with pytest.raises(UnpublishableError, match=reason):
        published(member, scopes={"https://sp.example/": given_scopes, "https://idp.example/": given_scopes})


def test_scopes_a_member_states():
    """What a member wants can be looked up, so that its operator hears that it was dropped."""
    member = identity_provider(extensions=scopes("A.example"), role_extensions=scopes("b.example", "A.example"))
    assert scopes_unsafe(member.encode()) == ("A.example", "b.example")
    assert scopes_unsafe(service_provider().encode()) == ()
    for hostile in ("not xml", identity_provider(extensions=scopes("<b/>"))):
        with pytest.raises(EntryError):
            scopes_unsafe(hostile.encode())


def test_members_own_signatures_and_ends_are_dropped():
    """A signed, short-lived member becomes part of the list for the list's lifetime."""
    member = identity_provider(attributes=' ID="_same" validUntil="2026-04-03T00:00:00Z" cacheDuration="PT1H"')
    signed = authority("idp").signer.sign_element(member.encode(), "_same").decode()
    other = service_provider(attributes=' ID="_same"')
    document = published(signed, other)
    assert [e.valid_until for e in read_saml(document).entities] == [UNTIL, UNTIL]
    assert document.count(b"<ds:Signature ") == 1


def test_prefixes_inside_values_survive():
    """A prefix that only a value uses (xsi:type) is still declared where it stands."""
    typed = own_words("urn:third").replace(
        "<saml:AttributeValue>kept",
        '<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">kept',
    )
    root = etree.fromstring(published(identity_provider(extensions=typed)))
    (value,) = [e for e in root.iter() if e.get("{http://www.w3.org/2001/XMLSchema-instance}type")]
    assert value.nsmap["xs"] == "http://www.w3.org/2001/XMLSchema"


@pytest.mark.parametrize(
    ("given_members", "position", "reason"),
    [
        ([service_provider(), service_provider()], 1, "listed twice"),
        ([service_provider(), identity_provider(keys="")], 1, "no signing certificate"),
        (
            ["<md:EntitiesDescriptor xmlns:md='urn:oasis:names:tc:SAML:2.0:metadata'/>"],
            0,
            "single md:EntityDescriptor",
        ),
        (["not xml"], 0, "not acceptable XML"),
        (["<!DOCTYPE a><a/>"], 0, "not acceptable XML"),
    ],
)
def test_a_member_that_would_be_dropped_is_not_signed(given_members, position, reason):
    """The authority hears of a bad member before anybody else does."""
    with pytest.raises(UnpublishableError, match=reason) as refused:
        published(*given_members)
    assert refused.value.position == position


def test_no_members_or_strangers():
    """An empty list, and a municipality for nobody, are mistakes."""
    with pytest.raises(ValueError, match="no members"):
        published()
    with pytest.raises(ValueError, match=r"no member for https://else\.example/"):
        published(service_provider(), municipalities={"https://else.example/": "012173"})
    with pytest.raises(ValueError, match=r"no member for https://else\.example/"):
        published(service_provider(), scopes={"https://else.example/": ["a.example"]})


def test_names_that_need_escaping():
    """A list's name and authority may hold any character of XML."""
    assert read_saml(published(service_provider(), name='a"<&>', authority="b'\"<")).entities


def test_pysaml2_reads_the_aggregate():
    """pysaml2's metadata store finds the members of a published aggregate with their keys and addresses."""
    document = published(
        identity_provider(keys=key_descriptor(authority("idp"))),
        service_provider(),
        municipalities={"https://idp.example/": "012173"},
    )
    store = InMemoryMetaData(ac_factory(), document.decode(), check_validity=False)
    store.parse(document.decode())
    assert set(store.keys()) == {"https://idp.example/", "https://sp.example/"}
    ((_, certificate),) = store.certs("https://idp.example/", "idpsso", "signing")
    assert certificate.replace("\n", "") == authority("idp").base64
    assert [
        e["location"]
        for e in store.service("https://idp.example/", "idpsso_descriptor", "single_sign_on_service")[REDIRECT]
    ] == ["https://idp.example/sso"]
    (attributes,) = [
        element["attribute"]
        for element in store["https://idp.example/"]["extensions"]["extension_elements"]
        if "attribute" in element
    ]
    assert [(a["name"], [v["text"] for v in a["attribute_value"]]) for a in attributes] == [
        ("urn:kakehashi:municipality", ["012173"])
    ]


def test_signed_by_the_key_that_was_given():
    """Another authority's list is not verified by the region's anchor."""
    stranger = authority("stranger")
    document = published(service_provider(), signer=Signer.from_pem(stranger.key_pem, stranger.certificate_pem))
    assert read_saml(document, anchors=(stranger.der,)).entities


# --- uses, assurance, withdrawals


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["civic", "mobility", "library"]), max_size=3),
    st.none() | st.integers(0, 3),
    st.sampled_from([None, "withdrawn", "withdrawn-since"]),
)
def test_limits_that_are_published_are_read(uses, level, withdrawn):
    """Uses, the highest identity assurance and a withdrawal come back as the authority gave them."""
    since = NOW - timedelta(days=1) if withdrawn == "withdrawn-since" else None
    document = published(
        identity_provider(extensions=own_words("urn:kakehashi:information")),
        service_provider(),
        uses={"https://idp.example/": uses} if uses else None,
        maximum_identities=None if level is None else {"https://idp.example/": level},
        withdrawn={"https://idp.example/": since} if withdrawn else None,
    )
    found, other = read_saml(document).entities
    assert (found.uses, found.maximum_identity) == (frozenset(uses) or None, level)
    assert (found.status, found.status_since) == (Status.WITHDRAWN if withdrawn else Status.GRANTED, since)
    assert found.registered_by == "urn:kakehashi:list:region-saml"
    assert (other.uses, other.maximum_identity, other.status) == (None, None, Status.GRANTED)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"uses": {"https://idp.example/": ["civic", "Civic"]}}, r"uses\[1\]: 'Civic' is not the name of a use"),
        ({"maximum_identities": {"https://idp.example/": 4}}, "maximum_identity: a level from 0 to 3"),
    ],
)
def test_limits_that_cannot_be_given(words, reason):
    """What is no use and no level is a mistake of the authority."""
    with pytest.raises(UnpublishableError, match=reason):
        published(identity_provider(), **words)


def test_a_word_on_a_stranger():
    """A limit of nobody on the list is a mistake, too."""
    for words in ({"uses": {"https://x.example/": ["civic"]}}, {"withdrawn": {"https://x.example/": None}}):
        with pytest.raises(ValueError, match=r"no member for https://x\.example/"):
            published(identity_provider(), **words)


def test_another_list_of_the_same_authority_does_not_stand_in():
    """A list of our own says which one it is; another's, whose publisher is its own affair, is called as it is here."""
    document = published(identity_provider("https://a.example/"))
    with pytest.raises(ListRefusedError, match="region-saml") as refused:
        read_saml(document, name="other")
    assert refused.value.code == "other-list"
    foreign = published(identity_provider("https://a.example/"), authority="https://federation.example/")
    assert read_saml(foreign, name="other").name == "other"
