import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.trust_lists.builders import authority
from tests.trust_lists.etsi_lists import (
    GRANTED,
    NAME,
    NOW,
    QUALIFIED,
    TSL,
    UNTIL,
    WITHDRAWN,
    adding,
    at,
    certificate_authority,
    council_member,
    operator,
    publish,
    read,
    reasons,
    relying_party,
    removing,
    resigned,
    setting,
    stripped,
)
from trust_lists import etsi_xml
from trust_lists.model import ListRefusedError, Pointer, Status, StatusChange, TrustedEntity, TrustList
from trust_lists.xmlgate import LIST_LIMITS

Change = Callable[[etree._Element], object]

PEER = Pointer(
    location="https://www.takasaki.example.jp/list.xml",
    certificates=(authority("takasaki").der, authority("takasaki, next").der),
    kind="http://uri.etsi.org/TrstSvc/TrustedList/TSLType/JPlist",
    territory="JP",
    media_type="application/vnd.etsi.tsl+xml",
)
OTHER_TYPE = "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"
EXTENSION = '<Extension Critical="{}">{}</Extension>'
SIE = "http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
QUALIFICATIONS = f'<s:Qualifications xmlns:s="{SIE}"/>'
TAKEN_OVER = '<x:TakenOverBy xmlns:x="http://uri.etsi.org/02231/v2/additionaltypes#"/>'
FOR_SEALS = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSeals"


@cache
def signed() -> bytes:
    """A list with a certificate authority, a relying party, and a pointer."""
    return publish(certificate_authority(), relying_party(), pointers=[PEER])


def after(*changes: Change) -> TrustList:
    """What is read of the list after its authority changed it."""

    def change(root: etree._Element) -> None:
        for each in changes:
            each(root)

    return read(resigned(signed(), change))


def refusal(document: bytes, **options: object) -> ListRefusedError:
    """How the document is refused."""
    with pytest.raises(ListRefusedError) as caught:
        read(document, **options)
    return caught.value


def refusal_after(*changes: Change) -> ListRefusedError:
    """How the list is refused after its authority changed it."""
    with pytest.raises(ListRefusedError) as caught:
        after(*changes)
    return caught.value


# --- what is read


def test_reads_a_list() -> None:
    """Name, number, times, entities in order, pointers; nothing else is told of it."""
    assert read(signed()) == TrustList(
        name=NAME,
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=7,
        entities=(certificate_authority().entity, relying_party().entity),
        pointers=(PEER,),
    )


def test_the_list_may_name_itself() -> None:
    """Where no name is configured, the list's own word is taken; of others' lists, their title."""
    assert read(signed(), name=None).name == NAME
    foreign = resigned(signed(), setting("SchemeInformation/SchemeInformationURI/URI[2]", "https://x.example/"))
    assert read(foreign, name=None).name == f"JP:{NAME}"
    assert read(foreign, name="theirs").name == "theirs"


def test_a_title_may_be_a_sentence() -> None:
    """Titles of lists in force today have more than five hundred characters."""
    assert after(setting("SchemeInformation/SchemeName/Name", "EU: " + "x" * 800)).name == NAME


def test_both_versions_in_use_are_read() -> None:
    """5 is what lists of v2.1.1 and v2.2.1 say, 6 those of v2.3.1."""
    assert after(setting("SchemeInformation/TSLVersionIdentifier", "5")).entities == read(signed()).entities


def test_a_list_of_lists_leads_to_the_next_one() -> None:
    """Two levels: a list with pointers alone, and the list behind one, read with the certificates of the pointer."""
    below = publish(council_member(), by=operator("takasaki"), name="takasaki")
    pointer = replace(PEER, certificates=(operator("takasaki").der,))
    above = read(
        publish(pointers=[pointer], name="lists", by=operator("prefecture")), by=operator("prefecture"), name="lists"
    )
    assert (above.entities, above.pointers) == ((), (pointer,))
    found = etsi_xml.read(below, name="takasaki", anchors=above.pointers[0].certificates, now=NOW)
    assert [entity.municipality for entity in found.entities] == ["102016"]


def test_a_withdrawn_service_is_read_as_withdrawn() -> None:
    """A reader only reads: what withdrawal means is decided elsewhere."""
    entity = after(setting("//ServiceStatus", WITHDRAWN)).entities[0]
    assert entity.status is Status.WITHDRAWN
    assert entity.history == certificate_authority().entity.history


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        ("recognisedatnationallevel", Status.RECOGNISED),
        ("deprecatedatnationallevel", Status.WITHDRAWN),
        ("granted", Status.GRANTED),
    ],
)
def test_reads_each_status(stated: str, status: Status) -> None:
    """The statuses of annex D that stand in lists today."""
    uri = f"http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/{stated}"
    assert after(setting("//ServiceStatus", uri)).entities[0].status is status


def test_older_statuses_are_history_only() -> None:
    """What supervision was called before 2016 may have been, and is not."""
    uri = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/undersupervision"
    found = after(setting("//ServiceHistoryInstance[2]/ServiceStatus", uri)).entities[0]
    assert found.history[1] == StatusChange(Status.GRANTED, datetime(2020, 4, 1, tzinfo=UTC), uri)
    assert reasons(after(setting("//ServiceStatus", uri))) == [
        f"ServiceStatus: '{uri}' is no status that is known here"
    ]


def test_a_service_without_an_identifier_is_named_by_its_key() -> None:
    """Of others' lists: SHA-256 of the key, so that a renewed certificate is the same service."""

    def nameless(root: etree._Element) -> None:
        identity = at(root, "//ServiceInformation/ServiceDigitalIdentity")
        identity.remove(identity[-1])

    found = after(nameless).entities[0].entity_id
    assert re.fullmatch(r"urn:kakehashi:service:[0-9a-f]{64}", found)


def test_supply_points_that_are_no_web_addresses_are_passed_over() -> None:
    """CRLs and the like are often published over http; that is no reason to drop the service."""
    entity = after(setting("//ServiceSupplyPoint", "http://crl.example/ca.crl")).entities[0]
    assert entity.endpoints == ()


def test_what_a_supply_point_is_for_is_its_binding() -> None:
    """The type attribute (v2.1.1 of 2016)."""
    kind = "http://uri.etsi.org/TrstSvc/Svctype/Certstatus/OCSP/QC"
    entity = after(lambda root: at(root, "//ServiceSupplyPoint").set("type", kind)).entities[0]
    assert [(point.binding, point.location) for point in entity.endpoints] == [(kind, "https://ca.example/crl")]


def test_others_service_information_is_kept() -> None:
    """URIs that are not ours are told; ours become uses and assurance."""
    said = f'<AdditionalServiceInformation><URI xml:lang="en">{FOR_SEALS}</URI></AdditionalServiceInformation>'
    entity = after(adding("//ServiceInformationExtensions", EXTENSION.format("true", said))).entities[0]
    assert (entity.information, entity.uses, entity.maximum_identity) == (
        (FOR_SEALS,),
        frozenset({"civic", "mobility"}),
        2,
    )


def test_other_trade_names_are_passed_over() -> None:
    """A provider has registration identifiers of other kinds too."""
    more = '<Name xml:lang="en">VATJP-1234567890123</Name>'
    assert after(adding("//TSPTradeName", more)).entities[0].municipality == "102016"


def test_one_provider_may_have_many_services() -> None:
    """Each is an entity of its own, of the same municipality."""

    def together(root: etree._Element) -> None:
        providers = at(root, "TrustServiceProviderList")
        providers[0][1].append(providers[1][1][0])
        providers.remove(providers[1])

    found = after(together)
    assert [(entity.entity_id, entity.municipality) for entity in found.entities] == [
        ("https://ca.example/", "102016"),
        ("town-rp", "102016"),
    ]


def test_layout_and_comments_between_elements_mean_nothing() -> None:
    """A list that somebody indented before it was signed."""

    def indent(root: etree._Element) -> None:
        etree.indent(root)
        root.insert(0, etree.Comment("2026-04"))

    assert after(indent) == read(signed())


# --- admission


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (UNTIL, "expired"),
        (UNTIL + timedelta(days=400), "expired"),
        (NOW - timedelta(minutes=3), "future"),
    ],
)
def test_is_in_force_between_its_times(now: datetime, code: str) -> None:
    """Not from its next update on, and not before it was signed."""
    assert refusal(signed(), now=now).code == code
    assert read(signed(), now=UNTIL - timedelta(seconds=1)).sequence == 7


def test_an_issue_date_in_the_future_is_refused() -> None:
    """Whatever the signing time says."""
    stated = setting("SchemeInformation/ListIssueDateTime", "2026-04-02T00:00:00Z")
    assert refusal_after(stated).code == "future"


def test_a_list_that_ends_before_it_begins_is_refused() -> None:
    """It was never in force."""
    stated = setting("SchemeInformation/NextUpdate/dateTime", "2026-03-01T00:00:00Z")
    assert refusal_after(stated).code == "format"


def test_a_closed_list_is_refused_as_closed() -> None:
    """Without a next update it is the last one, and nothing in it is in force."""
    refused = refusal_after(removing("SchemeInformation/NextUpdate/dateTime"))
    assert refused.code == "closed"
    assert "Take it out of the configuration" in str(refused)


def test_one_list_of_an_authority_does_not_stand_in_for_another() -> None:
    """Ours say which they are."""
    refused = refusal(signed(), name="another")
    assert (refused.code, NAME in str(refused)) == ("other-list", True)


def test_another_authority_is_refused() -> None:
    """Only an anchor verifies, and the text says what to do."""
    refused = refusal(signed(), by=operator("stranger"))
    assert refused.code == "signature"
    assert "configure a new anchor only after checking" in str(refused)


def test_the_unsigned_is_refused() -> None:
    """A list whose signature was taken out."""
    assert refusal(etree.tostring(stripped(signed()))).code == "unsigned"


def test_a_signature_from_the_future_is_refused() -> None:
    """A clock is wrong, here or there."""
    assert refusal(signed(), now=NOW - timedelta(hours=1)).code == "future"


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"<", b"<a/>", b"\xff\xfe<\0a\0/\0>\0", b"<!DOCTYPE a []><a/>", b"\0" * 1000, b"<a>" * 1000],
)
def test_what_is_no_list_is_refused(document: bytes) -> None:
    """Another document, none, a broken one."""
    assert refusal(document).code == "format"


def test_a_list_that_is_too_large_is_refused_unread() -> None:
    """Its octets are counted before anything looks at them."""
    assert refusal(b"<" * (LIST_LIMITS.octets + 1)).code == "too-large"


@pytest.mark.parametrize(
    "change",
    [
        setting("SchemeInformation/TSLVersionIdentifier", "4"),
        setting("SchemeInformation/TSLVersionIdentifier", "７"),
        setting("SchemeInformation/TSLSequenceNumber", "-1"),
        setting("SchemeInformation/TSLSequenceNumber", "0"),
        setting("SchemeInformation/TSLSequenceNumber", "9" * 5000),
        setting("SchemeInformation/TSLSequenceNumber", "٣"),
        setting("SchemeInformation/ListIssueDateTime", "2026-04-01"),
        setting("SchemeInformation/NextUpdate/dateTime", "never"),
        setting("SchemeInformation/TSLType", ""),
        adding("SchemeInformation", "<TSLSequenceNumber>8</TSLSequenceNumber>"),
        adding("SchemeInformation/NextUpdate", "<dateTime>2026-08-01T00:00:00Z</dateTime>"),
        adding("SchemeInformation", '<Surprise xmlns="urn:other"/>'),
        adding("SchemeInformation/SchemeInformationURI", '<URI xml:lang="en">urn:kakehashi:list:another</URI>'),
        removing("SchemeInformation/TSLSequenceNumber"),
        removing("SchemeInformation/NextUpdate"),
        removing("SchemeInformation/SchemeOperatorName"),
        removing("SchemeInformation"),
        lambda root: root.set("TSLTag", "http://uri.etsi.org/02231/TSLTag"),
        lambda root: root.append(etree.fromstring(f'<SchemeInformation xmlns="{TSL}"/>')),
    ],
)
def test_scheme_information_keeps_the_rules(change: Change) -> None:
    """Each field once, none unknown, each what it should be."""
    refused = refusal_after(change)
    assert refused.code == "format"
    assert str(refused).startswith(f"list {NAME}: ")


@pytest.mark.parametrize("critical", ["true", "1"])
def test_a_critical_scheme_extension_refuses_the_list(critical: str) -> None:
    """What the list means hangs on it, and it is not understood."""
    added = f"<SchemeExtensions>{EXTENSION.format(critical, '<x/>')}</SchemeExtensions>"
    assert refusal_after(adding("SchemeInformation", added)).code == "critical-extension"
    harmless = f"<SchemeExtensions>{EXTENSION.format('false', '<x/>')}</SchemeExtensions>"
    assert after(adding("SchemeInformation", harmless)) == read(signed())


# --- entries that are dropped alone

SERVICE = "//ServiceInformation"
IDENTITY = f"{SERVICE}/ServiceDigitalIdentity"
SAME_KEY = "<DigitalId><X509Certificate>{}</X509Certificate></DigitalId>"


def _only_named(root: etree._Element) -> None:
    identity = at(root, IDENTITY)
    identity[0][0].tag = f"{{{TSL}}}X509SKI"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((setting("//ServiceTypeIdentifier", OTHER_TYPE),), f"{OTHER_TYPE} is no type of service that is used here"),
        ((setting("//ServiceTypeIdentifier", "urn:kakehashi:service-type:saml-identity-provider"),), "own metadata"),
        ((setting("//ServiceTypeIdentifier", "urn:kakehashi:service-type:mayor"),), "no type of service"),
        ((setting("//ServiceStatus", GRANTED + "/"),), "no status that is known"),
        ((setting("//ServiceStatus", ""),), "no status that is known"),
        ((setting("//StatusStartingTime", "2025-04-01"),), "is not a time"),
        ((removing("//StatusStartingTime"),), "StatusStartingTime: is missing"),
        ((adding(SERVICE, f"<ServiceStatus>{GRANTED}</ServiceStatus>"),), "ServiceStatus: occurs twice"),
        ((adding(SERVICE, "<ServiceStatus2/>"),), "is unknown here"),
        ((setting("//ServiceName/Name", "a\u202eb"),), "direction marks"),
        ((setting("//ServiceName/Name", " "),), "a name is expected"),
        ((setting("//TSPName/Name", "x" * 501),), "longer than 500"),
        ((setting("//TSPTradeName/Name", "LG:JP-102017"),), "check digit"),
        ((adding("//TSPTradeName", '<Name xml:lang="ja">LG:JP-112089</Name>'),), "two municipalities"),
        ((setting(f"{IDENTITY}/DigitalId/X509Certificate", "AAAA"),), "cannot be read"),
        ((setting(f"{IDENTITY}/DigitalId/X509Certificate", "!"),), "X509Certificate"),
        ((setting(f"{IDENTITY}/DigitalId/X509Certificate", authority("weak", bits=1024).base64),), "too short"),
        ((adding(IDENTITY, SAME_KEY.format(authority("another").base64)),), "of different keys"),
        ((_only_named,), "an X509Certificate is expected"),
        ((removing(f"{IDENTITY}/DigitalId"),), "known by its certificates"),
        ((setting(f"{IDENTITY}/DigitalId/Other", "two words"),), "printable ASCII"),
        ((adding(IDENTITY, "<DigitalId><Other>second</Other></DigitalId>"),), "one identifier is expected"),
        ((setting("//AdditionalServiceInformation/URI", "urn:kakehashi:use:Civic Use"),), "a URI is expected"),
        ((setting("//AdditionalServiceInformation/URI", "urn:kakehashi:use:Civic"),), "is not the name of a use"),
        ((setting("//AdditionalServiceInformation/URI", "urn:kakehashi:maximum-identity:3"),), "two highest levels"),
        ((setting("//AdditionalServiceInformation/URI", "urn:kakehashi:maximum-identity:9"),), "not a level"),
        ((setting("//AdditionalServiceInformation/URI", "urn:kakehashi:unheard-of"),), "is unknown"),
        ((setting("//ServiceHistoryInstance/StatusStartingTime", "2026-01-01T00:00:00Z"),), "not earlier"),
        ((setting("//ServiceHistoryInstance/StatusStartingTime", "2019-01-01T00:00:00Z"),), "not earlier"),
        ((setting("//ServiceHistoryInstance/ServiceStatus", "urn:x"),), "no status that is known"),
        ((setting("//ServiceHistoryInstance/ServiceTypeIdentifier", OTHER_TYPE),), "is not of a certificate-authority"),
        ((adding("//ServiceHistory", "<x/>"),), "ServiceHistoryInstance is expected"),
    ],
)
def test_a_service_that_breaks_a_rule_is_dropped_alone(changes: tuple[Change, ...], expected: str) -> None:
    """The fault says where and why; the other service stays."""
    found = after(*changes)
    assert [entity.entity_id for entity in found.entities] == ["town-rp"]
    assert len(found.faults) == 1
    assert expected in found.faults[0].reason


@pytest.mark.parametrize(
    "content", [QUALIFICATIONS, TAKEN_OVER, "<ExpiredCertsRevocationInfo/>", '<x xmlns="urn:x"/>', ""]
)
@pytest.mark.parametrize("critical", ["true", "1"])
def test_an_unknown_critical_extension_drops_the_service(content: str, critical: str) -> None:
    """Registered ones too, if they are critical and not understood; an empty one is as unknown as any."""
    added = EXTENSION.format(critical, content)
    found = after(adding("//ServiceInformationExtensions", added))
    assert [entity.entity_id for entity in found.entities] == ["town-rp"]
    assert found.faults[0].where == "https://ca.example/"


@pytest.mark.parametrize("content", [QUALIFICATIONS, TAKEN_OVER, "<ExpiredCertsRevocationInfo/>", ""])
def test_an_unknown_extension_that_is_not_critical_is_passed_over(content: str) -> None:
    """What is not understood and need not be."""
    assert after(adding("//ServiceInformationExtensions", EXTENSION.format("false", content))) == read(signed())


@pytest.mark.parametrize(
    ("path", "added"),
    [
        ("//ServiceInformationExtensions", "<Extension><x/></Extension>"),
        ("//ServiceInformationExtensions", EXTENSION.format("TRUE", "<x/>")),
        ("//ServiceInformationExtensions", EXTENSION.format("false", '<x xmlns="urn:kakehashi:extension:other"/>')),
        (
            "//ServiceHistoryInstance",
            f"<ServiceInformationExtensions>{EXTENSION.format('true', QUALIFICATIONS)}</ServiceInformationExtensions>",
        ),
        (
            "//TSPInformation",
            f"<TSPInformationExtensions>{EXTENSION.format('true', '<x/>')}</TSPInformationExtensions>",
        ),
    ],
)
def test_other_places_of_critical_extensions(path: str, added: str) -> None:
    """Without a criticality, unknown ones of ours, in the history, at the provider: the service is dropped."""
    assert [entity.entity_id for entity in after(adding(path, added)).entities] == ["town-rp"]


def test_services_that_claim_to_be_one_are_all_dropped() -> None:
    """Whom the list means would be a guess; also where one of them is broken."""

    def twice(root: etree._Element) -> None:
        providers = at(root, "TrustServiceProviderList")
        providers.append(etree.fromstring(etree.tostring(providers[0])))

    for changes in ((twice,), (twice, setting("//ServiceStatus", "urn:x"))):
        found = after(*changes)
        assert [entity.entity_id for entity in found.entities] == ["town-rp"]
        assert [fault.where for fault in found.faults] == ["https://ca.example/"] * 2
        assert all("listed more than once" in reason for reason in reasons(found))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ((removing("//TSPServices/TSPService"),), "provider 1, service 1"),
        ((lambda root: setattr(at(root, "//TrustServiceProvider"), "tag", "{urn:x}Provider"),), "https://ca.example/"),
        ((removing("//TSPInformation"),), "https://ca.example/"),
        ((removing("//TSPName"),), "https://ca.example/"),
        ((removing("//ServiceInformation"),), "provider 1, service 1"),
    ],
)
def test_a_broken_provider_is_reported(changes: tuple[Change, ...], where: str) -> None:
    """It loses its services, and no other does."""
    found = after(*changes)
    assert [entity.entity_id for entity in found.entities] == ["town-rp"]
    assert [fault.where for fault in found.faults] == [where]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("{", "not usable JSON"),
        ('{"redirect_uris": [], "redirect_uris": []}', "not usable JSON"),
        ("[]", "metadata names with their values are expected"),
        ("{}", "redirect_uris: is missing"),
    ],
)
def test_openid_metadata_keep_their_own_rules(stated: str, expected: str) -> None:
    """The rules of OpenID entries hold in this format as in the others."""

    def change(root: etree._Element) -> None:
        found = next(root.iter("{urn:kakehashi:extension:openid-metadata}OpenIDMetadata"))
        found.text = stated

    found = after(change)
    assert [entity.entity_id for entity in found.entities] == ["https://ca.example/"]
    assert expected in found.faults[0].reason


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (setting("//TSLLocation", "http://lists.example/list.xml"), "is not https"),
        (setting("//TSLLocation", "file:///etc/passwd"), "is not an address|is not https|needs a host"),
        (
            setting("//ServiceDigitalIdentities/ServiceDigitalIdentity/DigitalId/X509Certificate", "AAAA"),
            "cannot be read",
        ),
        (adding("//OtherTSLPointer", "<TSLLocation>https://x.example/</TSLLocation>"), "occurs twice"),
        (
            adding(
                "//OtherTSLPointer/AdditionalInformation",
                "<OtherInformation><TSLType>urn:x</TSLType></OtherInformation>",
            ),
            "TSLType occurs twice",
        ),
    ],
)
def test_a_broken_pointer_is_dropped_alone(change: Change, expected: str) -> None:
    """It leads nowhere; the list itself is not the worse for it."""
    found = after(change)
    assert (found.pointers, len(found.entities), found.faults[0].where) == ((), 2, "pointer 1")
    assert re.search(expected, found.faults[0].reason)


# --- hostile hands


@given(place=st.floats(0, 1, exclude_max=True), octet=st.integers(1, 255))
@settings(max_examples=150)
def test_an_altered_octet_refuses_the_list_or_changes_nothing(place: float, octet: int) -> None:
    """KeyInfo, which is never read, is the only place where anything may differ."""
    document = bytearray(signed())
    document[int(place * len(document))] ^= octet
    _same_or_refused(bytes(document))


@given(
    start=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 400),
    instead=st.one_of(
        st.binary(max_size=40),
        st.sampled_from([b"<!--x-->", b"<?x?>", b"&amp;", b"&#10;", b"<a/>", b"]]>", b" ", b"<![CDATA[x]]>"]),
        st.tuples(st.floats(0, 1), st.integers(0, 400)),
    ),
)
@settings(max_examples=150)
def test_a_mutated_list_is_refused_or_the_same(start: float, length: int, instead: bytes | tuple[float, int]) -> None:
    """Octets taken out, put in, or copied from elsewhere in the list."""
    document = signed()
    place = int(start * len(document))
    if isinstance(instead, tuple):
        source = int(instead[0] * len(document))
        instead = document[source : source + instead[1]]
    _same_or_refused(document[:place] + instead + document[place + length :])


def _same_or_refused(document: bytes) -> None:
    try:
        found = read(document)
    except ListRefusedError as refused:
        assert refused.code in {"format", "signature", "unsigned", "too-large"}  # noqa: PT017 - either way is right
    else:
        assert found == read(signed())


def _swap_keys(root: etree._Element) -> None:
    """Give the first authority's certificate to the second one."""
    first, second = root.findall(f".//{{{TSL}}}X509Certificate")[-2:]
    first.text, second.text = second.text, first.text


@pytest.mark.parametrize(
    "change",
    [
        _swap_keys,
        removing("//TrustServiceProvider"),
        lambda root: at(root, "TrustServiceProviderList").append(at(root, "//TrustServiceProvider")),
        setting("//ServiceStatus", WITHDRAWN),
        setting("SchemeInformation/NextUpdate/dateTime", "2030-01-01T00:00:00Z"),
        setting("SchemeInformation/TSLSequenceNumber", "8"),
        lambda root: at(root, "//Extension").set("Critical", "true"),
        lambda root: root.set("Id", "another"),
    ],
)
def test_a_change_that_the_authority_did_not_sign_is_refused(change: Change) -> None:
    """Entries swapped, taken out, put in another order; a status, a time, a number, an attribute."""
    root = etree.fromstring(publish(certificate_authority("one"), certificate_authority("two")))
    change(root)
    assert refusal(etree.tostring(root)).code == "signature"


def test_an_entry_of_another_list_of_the_authority_is_refused() -> None:
    """Two lists, both signed, do not mix."""
    other = etree.fromstring(publish(council_member("112089")))
    root = etree.fromstring(signed())
    at(root, "TrustServiceProviderList").append(at(other, "//TrustServiceProvider"))
    assert refusal(etree.tostring(root)).code == "signature"


def test_reading_depends_on_nothing_but_what_was_signed() -> None:
    """The same services in another order are the same entities."""
    members = [certificate_authority("one"), council_member(), relying_party(), certificate_authority("two")]
    found = read(publish(*members)).entities
    again = read(publish(*reversed(members))).entities
    assert found == again[::-1]
    assert all(isinstance(entity, TrustedEntity) and entity.service_type in (None, QUALIFIED) for entity in found)
