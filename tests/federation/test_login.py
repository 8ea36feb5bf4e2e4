"""What is decided between the requests of a login: which ID system, which service, what leaves."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation import consent, login, told
from federation.attributes import Applied, InwardMap, InwardRule, OutwardMap, OutwardRule
from federation.evidence import DS_511
from federation.flow import Conclusion, Flow, conclusion_from_json, flow_from_json
from federation.guard import Outcome
from federation.identifiers import IdentifierKeys, Identifiers, SealRefusedError
from federation.login import SUBJECT_ID
from federation.model import Assurance, Identity, IdSystem, Level, LoginRequest, Service
from federation.refusal import ForbiddenContent, IdSystemNotAllowed, UnsolicitedNowhere
from tests.federation.standing_sample import standings

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
IDENTIFIERS = Identifiers(IdentifierKeys(person=b"1" * 32, pairwise=b"2" * 32, sealing=b"3" * 32))
KEY = IDENTIFIERS.present
ONE = Assurance(identity=Level.ONE, authentication=Level.ONE)


def system(name: str, municipality: str) -> IdSystem:
    """An ID system of that municipality."""
    return IdSystem(
        id=name,
        kind="saml",
        entity_id=f"https://{name}.example",
        municipality=municipality,
        name={"ja": name, "en": name},
        reading="よみ",
        description={},
        inward=InwardMap(rules=(InwardRule(to="fullName", sources=("name",)),)),
        statements={},
        default_assurance=ONE,
    )


MAEBASHI, EBETSU, SECOND = system("maebashi", "102016"), system("ebetsu", "012173"), system("ebetsu-2", "012173")
SYSTEMS = (MAEBASHI, EBETSU, SECOND)
STANDINGS = standings(*SYSTEMS)


def service(name: str = "portal", **changes: Any) -> Service:
    """A SAML service that learns a name."""
    found = Service(
        id=name,
        kind="saml",
        entity_id=f"https://{name}.example/saml",
        municipality=None,
        name={"ja": name},
        purpose={"ja": "手続"},
        outward=OutwardMap(rules=(OutwardRule(to="cn", sources=("fullName",)),)),
        minimum=Level.ONE,
        consent_lifetime=timedelta(days=365),
    )
    return replace(found, **changes)


def flow(**asked: Any) -> Flow:
    """A login that has begun."""
    request = LoginRequest(**{"service": "portal", "kind": "saml", "reply": {}, **asked})
    return Flow(browser="b", begun_at=NOW, request=request, choice="c")


# --- choosing


@pytest.mark.parametrize(
    ("accepted", "municipality", "expected"),
    [
        (None, None, SYSTEMS),
        (None, "012173", (EBETSU, SECOND)),
        (None, "422053", ()),
        (frozenset({"maebashi", "ebetsu"}), "012173", (EBETSU,)),
        (frozenset({"maebashi"}), "012173", ()),
    ],
)
def test_the_entity_of_a_municipality_offers_its_id_systems_alone(
    accepted: frozenset[str] | None, municipality: str | None, expected: tuple[IdSystem, ...]
) -> None:
    """Of those that the service accepts, in the order given."""
    assert login.offered(service(id_systems=accepted), SYSTEMS, municipality=municipality) == expected


def test_nobody_leaves_for_an_id_system_of_another_municipality() -> None:
    """Neither by choice nor by hint: the service asked the entity of one municipality."""
    asked = flow(municipality="012173", hint="maebashi", passive=True)
    assert login.hinted(asked.request, login.offered(service(), SYSTEMS, municipality="012173")) is None
    with pytest.raises(IdSystemNotAllowed):
        login.depart(asked, service(), MAEBASHI, "handle", standings=STANDINGS, now=NOW)
    assert login.depart(asked, service(), EBETSU, "handle", standings=STANDINGS, now=NOW).passive


@pytest.mark.parametrize(
    ("offered", "hint", "last", "expected"),
    [
        ((EBETSU,), None, None, EBETSU),
        ((EBETSU,), "maebashi", "maebashi", EBETSU),
        (SYSTEMS, None, None, None),
        (SYSTEMS, "102016", "ebetsu", MAEBASHI),
        (SYSTEMS, "012173", "ebetsu-2", SECOND),
        (SYSTEMS, None, "ebetsu", EBETSU),
        (SYSTEMS, "nobody", "nobody", None),
        ((), None, "ebetsu", None),
    ],
)
def test_without_a_page_the_id_system_must_be_known(
    offered: tuple[IdSystem, ...], hint: str | None, last: str | None, expected: IdSystem | None
) -> None:
    """It is the only one, the one hinted, or the one that this browser chose last, if it is offered."""
    request = LoginRequest(service="portal", kind="saml", reply={}, hint=hint, passive=True)
    assert login.unattended(request, offered, last) == expected


PORTAL, LIBRARY = service(), service("library")
OPENID = service("site", kind="oidc")


@pytest.mark.parametrize(
    ("relay_state", "services", "expected"),
    [
        (None, (PORTAL, OPENID), PORTAL),
        ("library", (PORTAL, LIBRARY), LIBRARY),
        ("https://library.example/saml", (PORTAL, LIBRARY), LIBRARY),
        (None, (PORTAL, LIBRARY), None),
        (None, (OPENID,), None),
        ("site", (PORTAL, OPENID), None),
        ("https://elsewhere.example/", (PORTAL,), None),
    ],
)
def test_where_an_unsolicited_answer_goes(
    relay_state: str | None, services: tuple[Service, ...], expected: Service | None
) -> None:
    """To the SAML service that its RelayState names, or the only one; a name that is none is no excuse to guess."""
    if expected is not None:
        assert login.destined(relay_state, services) == expected
        return
    with pytest.raises(UnsolicitedNowhere) as caught:
        login.destined(relay_state, services)
    assert "elsewhere" not in caught.value.detail


# --- what leaves


def concluded(asked: Service) -> Conclusion:
    """What 髙橋 花子 of Ebetsu comes to at that service."""
    identity = Identity(id_system="ebetsu", subject="hanako", attributes={"name": ("髙橋 花子",)}, statements=())
    found = login.conclude(flow(), asked, EBETSU, identity, identifiers=IDENTIFIERS, standings=STANDINGS, now=NOW)
    return login.named(found, asked, KEY, identifiers=IDENTIFIERS, scope="region.example")


def test_a_common_identifier_is_shown_and_agreed_to_like_any_attribute() -> None:
    """It is the same at every service, so an earlier consent without it covers it nowhere."""
    plain, common = service(), service(subject_identifier="subject-id")
    without, found = concluded(plain), concluded(common)
    assert set(without.attributes) == {"cn"}
    assert found.attributes[SUBJECT_ID] == (f"{IDENTIFIERS.subject_id(found.person, KEY)}@region.example",)
    assert concluded(replace(common, entity_id="https://other.example")).attributes == found.attributes
    earlier = consent.grant(
        plain, id="1", person=found.person, attributes=set(without.attributes), scopes=set(), now=NOW
    )
    need = login.consent_needed(flow(), common, found, earlier, NOW)
    assert need is not None
    assert need.new_attributes == {SUBJECT_ID}
    record = consent.grant(common, id="2", person=found.person, attributes=set(found.attributes), scopes=set(), now=NOW)
    assert login.consent_needed(flow(), common, found, record, NOW) is None


def test_pairwise_identifiers_do_not_depend_on_which_entity_was_asked() -> None:
    """A service knows a person by the same names through the hub and through their municipality's entity."""
    record = consent.grant(PORTAL, id="1", person=concluded(PORTAL).person, attributes=set(), scopes=set(), now=NOW)
    hub, alone = (
        login.release(flow(municipality=code), PORTAL, concluded(PORTAL), record, IDENTIFIERS)
        for code in (None, "012173")
    )
    assert hub.subject == alone.subject == IDENTIFIERS.pairwise(concluded(PORTAL).person, PORTAL.entity_id, KEY)


def test_services_of_one_sector_know_a_person_by_one_identifier_in_every_protocol() -> None:
    """An operator that changes from SAML to OpenID keeps its accounts; without a sector nobody can compare."""
    record = consent.grant(PORTAL, id="1", person=concluded(PORTAL).person, attributes=set(), scopes=set(), now=NOW)
    subjects = [
        login.release(flow(), each, concluded(each), record, IDENTIFIERS).subject
        for each in (PORTAL, OPENID, replace(PORTAL, sector="urn:x"), replace(OPENID, sector="urn:x"))
    ]
    assert subjects[2] == subjects[3]
    assert len(set(subjects)) == 3


def test_a_conclusion_survives_the_store_with_the_key_that_names_the_person() -> None:
    """While the person reads the consent page."""
    found = concluded(PORTAL)
    assert found.key == KEY
    assert conclusion_from_json(found.to_json()) == found


def test_a_flow_survives_the_store() -> None:
    """Everything that was asked, also what is new of it."""
    asked = flow(municipality="012173", passive=True, unsolicited=True, scopes=("a",), claims=("b",), languages=("ja",))
    assert flow_from_json(asked.to_json()) == asked


def test_an_opaque_name_for_a_person_may_hold_any_digits() -> None:
    """Of a thousand random identifiers some hold a row that passes a check digit: counted, and nobody is kept out."""
    opaque = "ab123456789018cdef0123456789abcdef0123456789abcdef"
    identity = Identity(id_system="ebetsu", subject=f"https://a!https://b!{opaque}", attributes={}, statements=())

    def conclude(subject: str) -> Conclusion:
        told = replace(identity, subject=subject, attributes={"name": ("髙橋 花子",)})
        return login.conclude(flow(), service(), EBETSU, told, identifiers=IDENTIFIERS, standings=STANDINGS, now=NOW)

    assert {each.finding.outcome for each in conclude(f"https://a!https://b!{opaque}").found} <= {Outcome.REPORT}
    for number in ("123456789018", "https://a!https://b!1234-5678-9018"):
        with pytest.raises(ForbiddenContent) as refused:
            conclude(number)
        assert "1234" not in repr(refused.value.found) + refused.value.detail
    allowed = replace(EBETSU, subject_own_numbers=True)
    told = replace(identity, subject="123456789018", attributes={"name": ("髙橋 花子",)})
    found = login.conclude(
        flow(), service(), allowed, told, identifiers=IDENTIFIERS, standings=STANDINGS, now=NOW
    ).found
    assert [each.finding.outcome for each in found] == [Outcome.REPORT]


# --- what operators believe less


def known_by_card_face(lowered: dict[str, int], subject: str = "hanako", **said: Any) -> Conclusion:
    """A sign-in of level 2 with a name from a card's face, at a service that wants a name of level 2."""
    sure = replace(
        EBETSU,
        default_assurance=Assurance(identity=Level.TWO, authentication=Level.TWO),
        inward=InwardMap(rules=(InwardRule(to="fullName", sources=("name",), evidence="card-face"),), **said),
    )
    wants = service(outward=OutwardMap(rules=(OutwardRule(to="cn", sources=("fullName",), minimum=2),)))
    identity = Identity(id_system="ebetsu", subject=subject, attributes={"name": ("髙橋 花子",)}, statements=())
    counted = replace(STANDINGS, evidence=lowered)
    return login.conclude(flow(), wants, sure, identity, identifiers=IDENTIFIERS, standings=counted, now=NOW)


def test_an_attribute_is_worth_no_more_than_operators_count_its_evidence_for() -> None:
    """Lowered evidence is not sure enough any more; and raised it is never."""
    assert known_by_card_face({}).attributes == {"cn": ("髙橋 花子",)}
    assert known_by_card_face({}).verified == {"cn": (DS_511, 2)}
    assert known_by_card_face({"card-face": 1}).attributes == {}
    assert known_by_card_face({"card-face": 3, "register": 0}).verified == {"cn": (DS_511, 2)}


def test_the_check_digit_of_resident_codes_can_be_doubted_for_names_of_people_too() -> None:
    """Eleven digits that bear it are somebody's number at an ID system then, and no resident-record code."""
    with pytest.raises(ForbiddenContent):
        known_by_card_face({}, subject="10000000006")
    assert known_by_card_face({}, subject="10000000006", resident_code_check=False).attributes


# --- what shared services are told


ADULTS = OutwardMap(rules=(OutwardRule(to="adult", sources=("dateOfBirth",), transforms=(Applied("over", "18"),)),))


def told_at(behind: OutwardMap, *scopes: str, **said: tuple[str, ...]) -> Conclusion:
    """What a sign-in comes to where services behind the scope `vote` are told something."""
    system = replace(
        EBETSU,
        inward=InwardMap(
            rules=(
                InwardRule(to="fullName", sources=("name",)),
                InwardRule(to="dateOfBirth", sources=("birthdate",)),
                InwardRule(to="commonName", sources=("known_as",)),
            )
        ),
    )
    attributes = {"name": ("髙橋 花子",), "birthdate": ("1985-03-15",), **said}
    identity = Identity(id_system="ebetsu", subject="hanako", attributes=attributes, statements=())
    asked = service(told={"vote": behind})
    return login.conclude(
        flow(scopes=scopes), asked, system, identity, identifiers=IDENTIFIERS, standings=STANDINGS, now=NOW
    )


def test_shared_services_are_told_what_is_behind_the_scopes_that_were_asked_for() -> None:
    """The service itself gets none of it; without the scope nobody does, and what is not known is not told."""
    found = told_at(ADULTS, "vote", "read")
    assert found.told == {"vote": {"adult": ("true",)}}
    assert set(found.attributes) == {"cn"}
    assert conclusion_from_json(json.loads(json.dumps(found.to_json()))).told == found.told
    assert told_at(ADULTS, "read").told == {}
    assert told_at(ADULTS, "vote", birthdate=()).told == {"vote": {}}


def test_what_shared_services_are_told_is_released_sealed() -> None:
    """As facts, by scope; only the gateway reads it, and only for the scopes that a token has."""
    asked = service(told={"vote": ADULTS})
    found = replace(told_at(ADULTS, "vote"), key=KEY)
    record = consent.grant(asked, id="1", person=found.person, attributes=(), scopes=("vote",), now=NOW)
    released = login.release(flow(scopes=("vote",)), asked, found, record, IDENTIFIERS)
    assert "adult" not in released.told
    assert told.opened(released.told, {"vote"}, IDENTIFIERS) == {"vote": {"adult": True}}
    assert told.opened(released.told, {"read"}, IDENTIFIERS) == {}
    with pytest.raises(SealRefusedError):
        told.opened(released.person or released.told[:-2], {"vote"}, IDENTIFIERS)


def test_the_length_of_what_is_sealed_tells_nothing_of_a_person() -> None:
    """Yes, no and unknown are one length: the service that holds the token could tell them apart by it."""
    maps = {"vote": ADULTS}
    answers: tuple[dict[str, tuple[str, ...]], ...] = ({"adult": ("true",)}, {"adult": ("false",)}, {})
    sealed = [told.seal({"vote": answer}, maps, IDENTIFIERS) for answer in answers]
    assert len({len(each) for each in sealed}) == 1
    found = [told.opened(each, {"vote"}, IDENTIFIERS)["vote"] for each in sealed]
    assert found == [{"adult": True}, {"adult": False}, {}]
    again = [told.seal_claims({"vote": each}, IDENTIFIERS) for each in found]  # as tokens are exchanged
    assert {len(each) for each in again} == {len(sealed[0])}


def test_what_may_not_pass_does_not_pass_to_shared_services_either() -> None:
    """A My Number in a name that only they would be told."""
    names = OutwardMap(rules=(OutwardRule(to="called", sources=("commonName",)),))
    assert told_at(names, "vote", known_as=("花ちゃん",)).told == {"vote": {"called": ("花ちゃん",)}}
    with pytest.raises(ForbiddenContent):
        told_at(names, "vote", known_as=("1234 5678 9018",))
