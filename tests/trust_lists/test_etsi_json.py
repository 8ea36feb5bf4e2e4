"""Lists of trusted entities in JSON (ETSI TS 119 602): what is admitted, what is published, what is refused."""

import base64
import importlib
import json
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import (
    LEFT_OUT,
    NOW,
    UNTIL,
    authority,
    certificate_authority,
    content,
    listed,
    private_jwks,
    provider,
    public_jwks,
    read_json,
    relying_party,
    service,
    signed,
)
from trust_lists import entries, etsi_json
from trust_lists.entries import read_entry
from trust_lists.model import Fault, ListRefusedError, Pointer, Role, Status, StatusChange, TrustedEntity, TrustList
from trust_lists.rules import UnpublishableError
from trust_lists.scheme import Scheme
from trust_lists.times import LEEWAY


def refusal(document, **kept):
    """Tell the code with which a document is refused."""
    with pytest.raises(ListRefusedError) as refused:
        read_json(document, **kept)
    assert "region-openid" in str(refused.value)
    return refused.value.code


def published(*members, by=None, **kept):
    """Publish members with the region's key."""
    by = by or authority()
    stated = {
        "name": "region-openid",
        "issued_at": NOW,
        "valid_until": UNTIL,
        "sequence": int(NOW.timestamp()),
        "key_pem": by.key_pem,
        "certificate_pem": by.certificate_pem,
        **kept,
    }
    return etsi_json.publish(members, **stated)


def authority_entry(entity_id="https://ca.example", **changed):
    """A certificate authority's entry, with everything that an entry may state."""
    return {
        "entity_id": entity_id,
        "role": "certificate-authority",
        "municipality": "102016",
        "name": {"ja": "前橋市の認証局", "en": "Maebashi's authority"},
        "certificates": [authority("ca").base64],
        "addresses": ["https://ca.example/status"],
        "uses": ["civic", "mobility"],
        "maximum_identity": 3,
        "status": "withdrawn",
        "since": "2026-03-01",
        "history": [
            {"status": "recognised", "since": "2025-10-01T00:00:00Z"},
            {"status": "granted", "since": "2025-04-01"},
        ],
        "postal_address": {"ja": "群馬県前橋市大手町二丁目12-1"},
        "contact": "mailto:id@city.example.jp",
        "information": "https://www.city.example.jp/",
        **changed,
    }


def test_what_is_published_is_read():
    """Relying party, provider and certificate authority arrive with everything that was stated of them."""
    assert read_json(published(relying_party(), provider(), authority_entry())) == TrustList(
        name="region-openid",
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=int(NOW.timestamp()),
        entities=(
            TrustedEntity(
                entity_id="https://rp.example",
                roles=frozenset({Role.OPENID_RELYING_PARTY}),
                listed_in="region-openid",
                valid_until=UNTIL,
                municipality="102016",
                names={"ja": "参加サイト", "en": "Participation"},
                metadata=relying_party()["metadata"],
            ),
            TrustedEntity(
                entity_id="https://op.example",
                roles=frozenset({Role.OPENID_PROVIDER}),
                listed_in="region-openid",
                valid_until=UNTIL,
                municipality="422053",
                names={"en": "https://op.example"},
            ),
            TrustedEntity(
                entity_id="https://ca.example",
                roles=frozenset({Role.CERTIFICATE_AUTHORITY}),
                listed_in="region-openid",
                valid_until=UNTIL,
                municipality="102016",
                names={"ja": "前橋市の認証局", "en": "Maebashi's authority"},
                signing_certificates=(authority("ca").der,),
                endpoints=(entries.supply_point(Role.CERTIFICATE_AUTHORITY, "https://ca.example/status"),),
                maximum_identity=3,
                uses=frozenset({"civic", "mobility"}),
                status=Status.WITHDRAWN,
                status_since=datetime(2026, 2, 28, 15, tzinfo=UTC),
                history=(
                    StatusChange(
                        Status.RECOGNISED,
                        datetime(2025, 10, 1, tzinfo=UTC),
                        "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/recognisedatnationallevel",
                    ),
                    StatusChange(
                        Status.GRANTED,
                        datetime(2025, 3, 31, 15, tzinfo=UTC),
                        "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted",
                    ),
                ),
                service_type="http://uri.etsi.org/TrstSvc/Svctype/CA/PKC",
            ),
        ),
    )


def test_what_is_published_has_the_specifications_form():
    """Member for member as TS 119 602 names them; what is for people alone is there too."""
    scheme = Scheme(
        operator={"ja": "群馬県", "en": "Gunma Prefecture"},
        postal_address={"en": "1-1-1 Ote-machi, Maebashi"},
        contact="mailto:lists@pref.example.jp",
        information="https://lists.example.jp/",
        distribution=("https://lists.example.jp/region.jwt",),
    )
    (whole,) = json.loads(payload_of(published(authority_entry(), scheme=scheme))).values()
    assert whole["ListAndSchemeInformation"] == {
        "LoTEVersionIdentifier": 1,
        "LoTESequenceNumber": int(NOW.timestamp()),
        "LoTEType": "urn:kakehashi:list-type:trusted-entities",
        "SchemeOperatorName": [{"lang": "ja", "value": "群馬県"}, {"lang": "en", "value": "Gunma Prefecture"}],
        "SchemeOperatorAddress": {
            "SchemeOperatorPostalAddress": [
                {"lang": "en", "StreetAddress": "1-1-1 Ote-machi, Maebashi", "Country": "JP"}
            ],
            "SchemeOperatorElectronicAddress": [{"lang": "en", "uriValue": "mailto:lists@pref.example.jp"}],
        },
        "SchemeName": [{"lang": "en", "value": "region-openid"}],
        "SchemeInformationURI": [{"lang": "en", "uriValue": "https://lists.example.jp/"}],
        "SchemeTerritory": "JP",
        "ListIssueDateTime": "2026-04-01T09:00:00Z",
        "NextUpdate": "2026-05-01T09:00:00Z",
        "DistributionPoints": ["https://lists.example.jp/region.jwt"],
    }
    called = [{"lang": "ja", "value": "前橋市の認証局"}, {"lang": "en", "value": "Maebashi's authority"}]
    identity = {"OtherIds": ["https://ca.example"], "X509Certificates": [{"val": authority("ca").base64}]}
    status = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
    assert whole["TrustedEntitiesList"] == [
        {
            "TrustedEntityInformation": {
                "TEName": called,
                "TETradeName": [{"lang": "en", "value": "LG:JP-102016"}],
                "TEAddress": {
                    "TEPostalAddress": [
                        {"lang": "ja", "StreetAddress": "群馬県前橋市大手町二丁目12-1", "Country": "JP"}
                    ],
                    "TEElectronicAddress": [{"lang": "en", "uriValue": "mailto:id@city.example.jp"}],
                },
                "TEInformationURI": [{"lang": "en", "uriValue": "https://www.city.example.jp/"}],
            },
            "TrustedEntityServices": [
                {
                    "ServiceInformation": {
                        "ServiceTypeIdentifier": "http://uri.etsi.org/TrstSvc/Svctype/CA/PKC",
                        "ServiceName": called,
                        "ServiceDigitalIdentity": identity,
                        "ServiceStatus": status + "withdrawn",
                        "StatusStartingTime": "2026-02-28T15:00:00Z",
                        "ServiceSupplyPoints": [{"uriValue": "https://ca.example/status"}],
                        "ServiceInformationExtensions": [
                            {"AdditionalServiceInformation": {"lang": "en", "uriValue": f"urn:kakehashi:{name}"}}
                            for name in ("use:civic", "use:mobility", "maximum-identity:3")
                        ],
                    },
                    "ServiceHistory": [
                        {
                            "ServiceName": called,
                            "ServiceDigitalIdentity": identity,
                            "ServiceStatus": status + "recognisedatnationallevel",
                            "StatusStartingTime": "2025-10-01T00:00:00Z",
                        },
                        {
                            "ServiceName": called,
                            "ServiceDigitalIdentity": identity,
                            "ServiceStatus": status + "granted",
                            "StatusStartingTime": "2025-03-31T15:00:00Z",
                        },
                    ],
                }
            ],
        }
    ]


def payload_of(document):
    """What was signed."""
    part = document.split(b".")[1]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def test_a_list_of_nobody():
    """It has no TrustedEntitiesList, as the schema wants it, and is a list all the same."""
    assert "TrustedEntitiesList" not in json.loads(payload_of(published()))["LoTE"]
    assert read_json(published()).entities == ()


hosts = st.from_regex(r"[a-z][a-z0-9]{0,12}(\.[a-z]{2,8}){1,2}", fullmatch=True)
texts = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)
uses = st.lists(st.sampled_from(["civic", "mobility", "health", "a-b-1"]), min_size=1, unique=True)
days = st.dates(datetime(2000, 1, 1).date(), datetime(2026, 1, 1).date())  # noqa: DTZ001 - days of a calendar


@st.composite
def members(draw, host):
    """Any good member at a host."""
    role = draw(st.sampled_from([role for role in Role if not role.startswith("saml")]))
    name = draw(texts)
    stated = {"entity_id": f"https://{host}", "role": str(role), "name": {"ja": name, "en": host}}
    if role is Role.OPENID_RELYING_PARTY:
        stated["metadata"] = relying_party(f"https://{host}", client_name=name)["metadata"]
    if role is Role.CERTIFICATE_AUTHORITY or (role not in entries.OPENID_ROLES and draw(st.booleans())):
        held = draw(st.lists(st.sampled_from(["ca", "idp", "region"]), min_size=1, unique=True))
        stated["certificates"] = [authority(each).base64 for each in held]
    if role not in entries.OPENID_ROLES and draw(st.booleans()):
        stated["addresses"] = [f"https://{host}/a", f"https://{host}/b"]
    if role is Role.COUNCIL_MEMBER or draw(st.booleans()):
        stated["municipality"] = draw(st.sampled_from(["102016", "042056", "012173"]))
    if draw(st.booleans()):
        stated["uses"] = draw(uses)
    if draw(st.booleans()):
        stated["maximum_identity"] = draw(st.integers(0, 3))
    stated["status"] = draw(st.sampled_from(["granted", "recognised", "withdrawn"]))
    since = sorted(draw(st.lists(days, max_size=3, unique=True)), reverse=True)
    if since:
        stated["since"] = since[0].isoformat()
    if since[1:]:
        stated["history"] = [{"status": "granted", "since": day.isoformat()} for day in since[1:]]
    return stated


@settings(max_examples=50)
@given(st.lists(hosts, max_size=6, unique=True).flatmap(lambda found: st.tuples(*(members(host) for host in found))))
def test_any_good_members_survive_the_round_trip(stated):
    """What a reader learns is what the authority wrote, character for character, and nothing is dropped."""
    read = read_json(published(*stated))
    assert read.faults == ()
    assert list(read.entities) == [
        read_entry(each, listed_in="region-openid", valid_until=UNTIL).entity for each in stated
    ]


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_authlib_verifies_the_list(kind):
    """A foreign JOSE library verifies the same bytes with the certificate and reads the same content."""
    by = authority("region", kind)
    document = published(relying_party(), by=by)
    with warnings.catch_warnings(record=True):  # Authlib announces the end of its own JOSE, the foreign one here
        jose = importlib.import_module("authlib.jose")
    verified = jose.JsonWebSignature(["RS256", "ES256"]).deserialize_compact(document, by.certificate_pem)
    assert verified["header"]["typ"] == "JOSE"
    (entity,) = json.loads(verified["payload"])["LoTE"]["TrustedEntitiesList"]
    assert entity["TrustedEntityServices"][0]["ServiceInformation"]["ServiceInformationExtensions"] == [
        {"urn:kakehashi:extension:openid-metadata": relying_party()["metadata"]}
    ]


def test_a_list_that_somebody_else_made():
    """A list with every member of the schema, several services to an entity, and extensions that may be passed over."""
    whole = content(
        listed(
            service(),
            certificate_authority(
                ServiceDigitalIdentity={
                    "X509Certificates": [
                        {
                            "val": authority("ca").base64,
                            "encoding": "http://uri.etsi.org/01903/v1.2.2#DER",
                            "specRef": "",
                        }
                    ],
                    "X509SubjectNames": ["CN=ca"],
                    "X509SKIs": ["AAAA"],
                },
                ServiceStatus=LEFT_OUT,
                ServiceSupplyPoints=[{"uriValue": "https://ca.example/ocsp", "ServiceType": "urn:ocsp"}],
                SchemeServiceDefinitionURI=[{"lang": "en", "uriValue": "https://lists.example.jp/ca"}],
                ServiceDefinitionURI=[{"lang": "en", "uriValue": "https://ca.example/cps"}],
                ServiceInformationExtensions=[
                    {"ServiceUniqueIdentifier": "https://ca.example/id"},
                    {"urn:others:anything": [1, 2], "Critical": False},
                    {
                        "AdditionalServiceInformation": {
                            "lang": "en",
                            "uriValue": "http://uri.etsi.org/x/ForeSignatures",
                        }
                    },
                ],
            ),
            TETradeName=[{"lang": "en", "value": "VATJP-1"}, {"lang": "en", "value": "LG:JP-102016"}],
            TEInformationExtensions=[{"urn:others:anything": 1}],
        ),
        LoTEType="http://uri.etsi.org/19602/LoTEType/local",
        SchemeName=[{"lang": "ja", "value": "地域の一覧"}, {"lang": "en", "value": "Region OpenID"}],
        SchemeOperatorAddress={"SchemeOperatorPostalAddress": [{}], "SchemeOperatorElectronicAddress": [{}]},
        SchemeInformationURI=[{"lang": "en", "uriValue": "https://lists.example.jp/"}],
        StatusDeterminationApproach="http://uri.etsi.org/19602/StatusDetn/x",
        SchemeTypeCommunityRules=[{"lang": "en", "uriValue": "https://lists.example.jp/rules"}],
        SchemeTerritory="JP",
        PolicyOrLegalNotice=[{"LoTELegalNotice": "any"}],
        HistoricalInformationPeriod=65535,
        DistributionPoints=["https://lists.example.jp/list"],
        SchemeExtensions=[{"urn:others:anything": 1, "critical": False}],
        PointersToOtherLoTE=[
            {
                "LoTELocation": "https://other.example/list",
                "ServiceDigitalIdentities": [{"X509Certificates": [{"val": authority("other").base64}]}],
                "LoTEQualifiers": [
                    {
                        "LoTEType": "http://uri.etsi.org/19602/LoTEType/local",
                        "SchemeOperatorName": [{"lang": "en", "value": "Other"}],
                        "SchemeTerritory": "JP",
                        "MimeType": "application/jwt",
                    }
                ],
            },
            {"LoTELocation": "https://broken.example/"},
        ],
    )
    read = read_json(signed(whole))
    assert [(each.entity_id, each.municipality, each.status, each.information) for each in read.entities] == [
        ("https://op.example", "102016", Status.GRANTED, ()),
        ("https://ca.example/id", "102016", Status.GRANTED, ("http://uri.etsi.org/x/ForeSignatures",)),
    ]
    assert [(each.location, each.binding) for each in read.entities[1].endpoints] == [
        ("https://ca.example/ocsp", "urn:ocsp")
    ]
    assert read.pointers == (
        Pointer(
            location="https://other.example/list",
            certificates=(authority("other").der,),
            kind="http://uri.etsi.org/19602/LoTEType/local",
            territory="JP",
            media_type="application/jwt",
        ),
    )
    assert read.faults == (Fault(where="pointer 2", reason="ServiceDigitalIdentities: is missing"),)


@pytest.mark.parametrize(
    ("names", "own"),
    [
        ([("en", "region-openid")], "region-openid"),
        ([("ja", "地域"), ("en", "Region OpenID")], "region-openid"),
        ([("EN", "Region.1")], "Region.1"),
        ([("en", "EU:WRPAC providers list"), ("en", "other")], "eu-wrpac-providers-list"),
        ([("de", "Liste"), ("fr", "liste")], "Liste"),
        ([("ja", "地域の一覧")], "地域の一覧"),
        ([("en", "x " * 100)], "-".join("x" * 32)),
    ],
)
def test_what_a_list_is_called(names, own):
    """Its English name, or the first, as trust.yaml writes names."""
    document = signed(content(SchemeName=[{"lang": tag, "value": value} for tag, value in names]))
    assert etsi_json.read(document, name=None, anchors=[authority().der], now=NOW).name == own


# --- refused documents


def test_a_list_that_is_not_signed():
    """Plain JSON is unsigned, whatever it holds."""
    assert refusal(json.dumps(content()).encode()) == "unsigned"
    assert refusal(b".".join(published(provider()).split(b".")[:2]) + b".") == "unsigned"


def test_wrong_anchor():
    """A list signed under another certificate is refused; the text says under which it would be accepted."""
    assert refusal(published(provider()), anchors=(authority("stranger").der,)) == "signature"
    assert refusal(published(provider()), anchors=()) == "signature"


def test_a_list_of_the_old_kind():
    """What was signed before this format is refused in words, not read by guessing."""
    old = {"list": "region-openid", "sequence": 1, "iat": 1, "exp": 9_999_999_999, "entries": []}
    assert refusal(signed(old)) == "format"
    assert refusal(signed(old, typ="kakehashi-trust-list+jwt", iat=LEFT_OUT)) == "format"


def test_another_list_of_the_same_authority():
    """A list may not stand in for another, though the same key signed both."""
    assert refusal(published(provider(), name="region-other")) == "other-list"


def test_expired_and_future():
    """From its last second on a list is refused, and one issued beyond the leeway ahead."""
    document = published(provider())
    assert refusal(document, now=UNTIL) == "expired"
    assert read_json(document, now=NOW - LEEWAY).entities
    assert refusal(document, now=NOW - LEEWAY - timedelta(seconds=1)) == "future"
    signed_before = signed(content(ListIssueDateTime="2027-01-01T00:00:00Z", NextUpdate="2028-01-01T00:00:00Z"))
    assert refusal(signed_before) == "future"


def test_a_list_that_was_closed():
    """An authority that ends its list says so by a NextUpdate of null (§6.3.15); nobody on it is trusted."""
    assert refusal(signed(content(listed(), NextUpdate=None))) == "closed"


@pytest.mark.parametrize(
    "extension",
    [
        {"urn:others:anything": 1, "Critical": True},
        {"urn:others:anything": 1, "critical": True},
        {"urn:kakehashi:extension:of-the-future": 1},
    ],
)
def test_a_list_that_hangs_on_what_is_not_understood(extension):
    """An unknown critical extension of the scheme refuses the list (§6.3.17), and an unknown one of ours."""
    assert refusal(signed(content(SchemeExtensions=[{"urn:o:k": 1}, extension]))) == "critical-extension"


TEXT = json.dumps(content())


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        json.dumps(content(HistoricalInformationPeriod=float("nan"))).encode(),
        json.dumps(content(HistoricalInformationPeriod=float("inf"))).encode(),
        TEXT.replace("{", '{"LoTE":{},', 1).encode(),
        TEXT.replace('"LoTESequenceNumber"', '"LoTESequenceNumber": 1, "LoTESequenceNumber"').encode(),
        TEXT.replace("Gunma", "\\ud800").encode(),
        TEXT.replace(str(int(NOW.timestamp())), "1" * 5000).encode(),
        TEXT.replace(str(int(NOW.timestamp())), "1e400").encode(),
        json.dumps([content(), content()]).encode(),
        json.dumps(content()["LoTE"]).encode(),
        json.dumps({**content(), "more": 1}).encode(),
        json.dumps({"LoTE": []}).encode(),
        json.dumps({"LoTE": {**content()["LoTE"], "more": 1}}).encode(),
        json.dumps({"LoTE": {**content()["LoTE"], "TrustedEntitiesList": {}}}).encode(),
        json.dumps({"LoTE": {**content()["LoTE"], "TrustedEntitiesList": []}}).encode(),
        json.dumps({"LoTE": {"TrustedEntitiesList": [listed()]}}).encode(),
    ],
)
def test_content_that_could_be_read_in_two_ways(payload):
    """Even signed: duplicate members, deep nesting, odd numbers, wrong shapes are refused in words."""
    assert refusal(signed(payload)) == "format"


@pytest.mark.parametrize(
    "changed",
    [
        {"LoTEVersionIdentifier": 2},
        {"LoTEVersionIdentifier": True},
        {"LoTEVersionIdentifier": "1"},
        {"LoTEVersionIdentifier": LEFT_OUT},
        {"LoTESequenceNumber": True},
        {"LoTESequenceNumber": 1.0},
        {"LoTESequenceNumber": -1},
        {"LoTESequenceNumber": 2**53},
        {"LoTESequenceNumber": "1"},
        {"LoTESequenceNumber": LEFT_OUT},
        {"LoTEType": "no uri"},
        {"SchemeOperatorName": LEFT_OUT},
        {"SchemeOperatorName": []},
        {"SchemeOperatorName": "Gunma"},
        {"SchemeOperatorName": [{"lang": "en"}]},
        {"SchemeOperatorName": [{"lang": "en", "value": "x", "more": 1}]},
        {"SchemeOperatorName": [{"lang": "no language", "value": "x"}]},
        {"SchemeOperatorName": [{"lang": "en", "value": "\u202e"}]},
        {"SchemeName": LEFT_OUT},
        {"SchemeName": [{"lang": "en", "value": " "}]},
        {"SchemeTerritory": "Japan"},
        {"SchemeTerritory": 1},
        {"SchemeInformationURI": ["https://lists.example.jp/"]},
        {"SchemeOperatorAddress": {}},
        {"HistoricalInformationPeriod": -1},
        {"HistoricalInformationPeriod": "ever"},
        {"DistributionPoints": "https://lists.example.jp/"},
        {"DistributionPoints": [1]},
        {"PointersToOtherLoTE": {}},
        {"PointersToOtherLoTE": [1] * 201},
        {"ListIssueDateTime": "2026-04-01"},
        {"ListIssueDateTime": "2026-04-01T09:00:00"},
        {"ListIssueDateTime": 1},
        {"ListIssueDateTime": LEFT_OUT},
        {"NextUpdate": LEFT_OUT},
        {"NextUpdate": ""},
        {"NextUpdate": "2026-04-01T09:00:00Z"},
        {"NextUpdate": "9999-99-99T00:00:00Z"},
        {"NextUpdate": "9999-12-31T23:59:59-10:00"},
        {"SchemeExtensions": []},
        {"SchemeExtensions": ["urn:x:y"]},
        {"SchemeExtensions": [{"urn:x:y": 1, "urn:x:z": 2}]},
        {"SchemeExtensions": [{"Critical": True}]},
        {"SchemeExtensions": [{"urn:x:y": 1, "Critical": "true"}]},
        {"SchemeExtensions": [{"urn:x:y": 1, "Critical": True, "critical": False}]},
        {"more": 1},
        {"lotetype": "urn:x:y"},
    ],
)
def test_a_scheme_that_breaks_a_rule(changed):
    """Each member of the scheme's information is what the specification says, or the list is refused."""
    assert refusal(signed(content(**changed))) == "format"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
GOOD = json.loads(
    payload_of(published(relying_party(), authority_entry(), scheme=Scheme(contact="https://a.example/")))
)


def places(value, place=()):
    """Every place in a JSON value, the whole of it first."""
    yield place
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inside:
        yield from places(item, (*place, step))


def put(value, place, other):
    """The value with something else at that place."""
    if not place:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = put(value[place[0]], place[1:], other)
    return copy


@settings(max_examples=150)
@given(st.sampled_from(list(places(GOOD))), anything)
def test_anything_in_any_place_of_a_good_list(place, other):
    """Signed by the authority itself: refused in words, or read with the broken service left out and told."""
    try:
        read = read_json(signed(put(GOOD, place, other)))
    except ListRefusedError as refused:
        assert refused.code in ("format", "expired", "future", "closed", "other-list", "critical-extension")  # noqa: PT017 - either
    else:
        assert place == ("LoTE", "TrustedEntitiesList") or len(read.entities) + len(read.faults) >= len(
            GOOD["LoTE"]["TrustedEntitiesList"]
        )


def test_too_large():
    """A document beyond the bound is refused before anything looks at it."""
    assert refusal(bytes(etsi_json.MAXIMUM_BYTES + 1)) == "too-large"


# --- entries


def test_duplicate_services_are_all_dropped():
    """Services that claim the same ID and role are all dropped, a broken one counts too; other roles stay."""
    rp = service("https://a.example", "urn:kakehashi:service-type:openid-relying-party")
    read = read_json(
        signed(
            content(
                listed(certificate_authority(), service("https://a.example")),
                listed(rp),
                listed(certificate_authority(authority("other"))),
                7,
                listed(rp),
            )
        )
    )
    assert [(e.entity_id, set(e.roles)) for e in read.entities] == [("https://a.example", {Role.OPENID_PROVIDER})]
    assert read.faults == (
        Fault(where="https://ca.example", reason="entity_id: listed more than once; all dropped (entry 1, service 1)"),
        Fault(where="https://a.example", reason="entity_id: listed more than once; all dropped (entry 2)"),
        Fault(where="https://ca.example", reason="entity_id: listed more than once; all dropped (entry 3)"),
        Fault(where="entry 4", reason="an object is expected"),
        Fault(where="https://a.example", reason="entity_id: listed more than once; all dropped (entry 5)"),
    )


def test_a_private_key_is_never_published_nor_read():
    """Signing refuses a private key in words, without the key; a reader drops the service."""
    entry = relying_party(jwks=private_jwks())
    secret = private_jwks()["keys"][0]["d"]
    with pytest.raises(UnpublishableError, match="private key") as refused:
        published(provider(), entry)
    assert refused.value.position == 1
    assert secret not in str(refused.value)
    bad = service(
        kind="urn:kakehashi:service-type:openid-provider",
        ServiceInformationExtensions=[{"urn:kakehashi:extension:openid-metadata": {"jwks": private_jwks()}}],
    )
    (fault,) = read_json(signed(content(listed(bad)))).faults
    assert "metadata.jwks.keys[0].d: is part of a private key" in fault.reason
    assert secret not in fault.reason


def test_publishing_twice_the_same():
    """An entry given twice is not signed; the same ID in another role is."""
    with pytest.raises(UnpublishableError, match="listed twice"):
        published(provider(), provider())
    assert len(read_json(published(provider(), authority_entry("https://op.example"))).entities) == 2


def test_what_a_reader_would_drop_is_not_published():
    """Metadata that are wrong, a code that is none, a SAML member."""
    for entry, text in (
        (relying_party(redirect_uris=None), "metadata.redirect_uris: is missing"),
        (authority_entry(municipality="102017"), "check digit"),
        ({**provider(), "role": "saml-identity-provider"}, "role: a SAML member needs its own metadata"),
        (7, "an entry with entity_id"),
    ):
        with pytest.raises(UnpublishableError, match=text):
            published(provider("https://good.example"), entry)


@pytest.mark.parametrize("name", ["", "a b", "地域", "x" * 65, "-x"])
def test_a_name_that_would_not_be_read_back(name):
    """A list is named as trust.yaml names it."""
    with pytest.raises(ValueError, match="is not a name of a list"):
        published(provider(), name=name)


def test_key_and_certificate_must_belong_together():
    """A list that no reader could verify is not made."""
    with pytest.raises(ValueError, match="do not belong together"):
        published(provider(), key_pem=authority("stranger").key_pem)


def test_counting_on_from_the_last_output():
    """The number that a document states, unverified; what is no list is a ValueError."""
    assert etsi_json.stated_sequence_unsafe(published(provider(), sequence=77)) == 77
    for document in (
        b"my diary",
        b"a.b.c",
        signed(b"[]"),
        signed(b'{"LoTE":1}'),
        signed(content(LoTESequenceNumber="1")),
    ):
        with pytest.raises(ValueError, match=r".+"):
            etsi_json.stated_sequence_unsafe(document)


def test_a_whole_country():
    """Every municipality with three services, in one list."""
    stated = [provider(f"https://op{number}.example") for number in range(5364)]
    assert len(read_json(published(*stated)).entities) == 5364


def test_public_keys_stand_in_the_metadata():
    """A relying party's keys come back as they were handed over."""
    (entity,) = read_json(published(relying_party())).entities
    assert entity.metadata["jwks"] == public_jwks()
