"""Which sessions end together, who is told in which order, and what a logout is between two requests."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import sessions
from federation.identifiers import PersonRef
from federation.sessions import (
    LONGEST_SESSION,
    SESSION_LIFETIME,
    UNSPECIFIED,
    Client,
    Initiator,
    Logout,
    Participant,
    Party,
    Session,
    Side,
    SubjectName,
    UpstreamSession,
)

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
HUB, OWN_SP = "https://gateway.example/saml/metadata", "https://gateway.example/saml/sp/metadata"
IDP = "https://ebetsu.example/saml"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
AT_IDP = SubjectName(value="resident-1", format=PERSISTENT, name_qualifier=IDP)


def name_at(service: str) -> SubjectName:
    """What the gateway calls the person towards a service."""
    entity = f"https://{service}.example"
    return SubjectName(value=f"p-{service}", format=PERSISTENT, name_qualifier=HUB, sp_name_qualifier=entity)


def session(service: str, number: int = 1, **changes: object) -> Session:
    """A sign-in of one person, in browser b-1, at a SAML service; the ID system gave it the session index s-1."""
    participant = Participant(
        own_entity=HUB,
        entity_id=f"https://{service}.example",
        name=name_at(service),
        index=f"{service}-{number}",
    )
    found = Session(
        id=f"{service}-{number}",
        person=PersonRef("person-1"),
        browser="b-1",
        system="ebetsu",
        service=service,
        upstream=UpstreamSession(entity_id=IDP, name=AT_IDP, index="s-1", until=None),
        participant=participant,
        until=NOW + SESSION_LIFETIME,
    )
    return replace(found, **changes)


def upstream(**changes: object) -> UpstreamSession:
    """The ID system's word for the session, with changes."""
    return replace(UpstreamSession(entity_id=IDP, name=AT_IDP, index="s-1", until=None), **changes)


def initiator(service: str = "library", **changes: object) -> Initiator:
    """The service that asks."""
    found = Initiator(
        side=Side.SERVICE,
        id=service,
        own_entity=HUB,
        entity_id=f"https://{service}.example",
        request_id="_asked",
        relay_state="state",
    )
    return replace(found, **changes)


ID_SYSTEM = Initiator(
    side=Side.ID_SYSTEM, id="ebetsu", own_entity=OWN_SP, entity_id=IDP, request_id="_asked", relay_state=None
)


def logout(began: Initiator, *ended: Session) -> Logout:
    """The logout of these sessions at its beginning."""
    return sessions.begin(began, ended, browser="b-1", own_entity=OWN_SP, now=NOW)


# --- what is remembered


@pytest.mark.parametrize(
    ("stated", "until"),
    [
        (None, NOW + SESSION_LIFETIME),
        (NOW + timedelta(minutes=30), NOW + timedelta(minutes=30)),
        (NOW + timedelta(days=2), NOW + timedelta(days=2)),
        (NOW + timedelta(days=4000), NOW + LONGEST_SESSION),
    ],
)
def test_a_session_is_remembered_until_its_stated_end(stated: datetime | None, until: datetime) -> None:
    """Twelve hours where none is stated; never longer than a week."""
    assert sessions.ends(upstream(until=stated), NOW) == until


def test_a_session_that_no_id_system_bounds_is_remembered_for_twelve_hours() -> None:
    """Its ID system speaks OpenID, or takes no logout messages."""
    assert sessions.ends(None, NOW) == NOW + SESSION_LIFETIME


def test_a_session_is_found_by_its_names_on_both_sides() -> None:
    """One for the service that got it, one for the ID system; none for a side that has no NameID."""
    known = session("library")
    assert known.names() == (
        sessions.service_key(HUB, "https://library.example", name_at("library")),
        sessions.id_system_key(IDP, AT_IDP),
    )
    assert replace(known, upstream=upstream(name=None)).names() == known.names()[:1]
    assert replace(known, participant=None).names() == known.names()[1:]


def test_nothing_of_the_person_stands_in_a_repr() -> None:
    """Neither the person's reference nor a NameID's value."""
    shown = repr((session("library"), logout(initiator(), session("library"), session("portal"))))
    assert "person-1" not in shown
    assert "p-portal" not in shown
    assert "resident-1" not in shown


# --- which sessions are meant


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (name_at("library"), True),
        (SubjectName(value="p-library"), True),
        (SubjectName(value="p-library", format=UNSPECIFIED), True),
        (SubjectName(value="p-library", format=PERSISTENT, sp_provided_id="x"), True),
        (SubjectName(value="P-library"), False),
        (SubjectName(value="p-library", format="urn:other"), False),
        (SubjectName(value="p-library", name_qualifier="https://other.example"), False),
        (SubjectName(value="p-library", sp_name_qualifier="https://other.example"), False),
    ],
)
def test_a_name_is_meant_by_what_does_not_contradict_it(asked, meant) -> None:
    """What a request leaves out is as it was given; what it states must be that."""
    assert name_at("library").meant_by(asked) is meant


TWO = (session("library", 1), session("library", 2, browser="b-2", upstream=upstream(index="s-2")), session("portal"))


@pytest.mark.parametrize(
    ("indexes", "found"),
    [((), [1, 2]), (("library-2",), [2]), (("library-1", "library-2"), [1, 2]), (("portal-1",), []), (("",), [])],
)
def test_a_service_means_its_own_sessions(indexes: tuple[str, ...], found: list[int]) -> None:
    """Those with the indexes it names; without any, all of the person's."""
    named = sessions.of_service(TWO, HUB, "https://library.example", name_at("library"), indexes)
    assert [each.id for each in named] == [f"library-{number}" for number in found]


@pytest.mark.parametrize(
    ("own", "entity", "name"),
    [
        ("https://gateway.example/saml/102016/metadata", "https://library.example", name_at("library")),
        (HUB, "https://portal.example", name_at("library")),
        (HUB, "https://library.example", name_at("portal")),
    ],
)
def test_nobody_means_the_session_of_another(own: str, entity: str, name: SubjectName) -> None:
    """Another of our entities, another service, another name: nothing."""
    assert sessions.of_service(TWO, own, entity, name, ()) == ()


@pytest.mark.parametrize(
    ("indexes", "found"), [((), ["library-1", "library-2", "portal-1"]), (("s-2",), ["library-2"]), (("x",), [])]
)
def test_an_id_system_means_what_it_signed_in(indexes: tuple[str, ...], found: list[str]) -> None:
    """By its own session indexes, and only under its own entity and name."""
    assert [each.id for each in sessions.of_id_system(TWO, IDP, AT_IDP, indexes)] == found
    assert sessions.of_id_system(TWO, "https://other.example", AT_IDP, indexes) == ()
    assert sessions.of_id_system(TWO, IDP, SubjectName(value="resident-2"), indexes) == ()


@pytest.mark.parametrize(
    ("other", "ends"),
    [
        ({}, True),
        ({"browser": "b-2"}, True),
        ({"upstream": upstream(index="s-2")}, True),
        ({"browser": "b-2", "upstream": upstream(index="s-2")}, False),
        ({"browser": "b-2", "upstream": upstream(index=None)}, False),
        ({"browser": "b-2", "upstream": None}, False),
        ({"upstream": None}, True),
        ({"person": PersonRef("person-2")}, False),
        ({"system": "omura"}, False),
    ],
)
def test_sessions_end_together(other, ends) -> None:
    """With the same session index at the ID system, or in the same browser; never another person's."""
    one, two = session("library"), session("portal", **other)
    assert sessions.together([one], [one, two]) == ((one, two) if ends else (one,))


def test_sessions_without_an_index_of_the_id_system_end_by_browser() -> None:
    """Where it gives none, the same person's sessions in another browser go on."""
    here, there = (session("library", browser=b, upstream=upstream(index=None)) for b in ("b-1", "b-2"))
    assert sessions.together([here], [here, there]) == (here,)


# --- who is told


def told(found: Logout) -> list[tuple[Side, str, tuple[str, ...]]]:
    """Who is to be told, in order."""
    return [(party.side, party.id, party.indexes) for party in found.todo]


def test_a_service_begins() -> None:
    """The other services in the order of their sign-ins, then the ID system; not the one that asked."""
    found = logout(initiator(), session("portal"), session("library"), session("pool"))
    assert told(found) == [
        (Side.SERVICE, "portal", ("portal-1",)),
        (Side.SERVICE, "pool", ("pool-1",)),
        (Side.ID_SYSTEM, "ebetsu", ("s-1",)),
    ]
    assert found.todo[-1].own_entity == OWN_SP
    assert found.todo[-1].name == AT_IDP
    assert not found.partial


def test_an_id_system_begins() -> None:
    """Every service, and not the ID system."""
    found = logout(ID_SYSTEM, session("portal"), session("library"))
    assert told(found) == [(Side.SERVICE, "portal", ("portal-1",)), (Side.SERVICE, "library", ("library-1",))]


def test_one_request_names_all_sessions_of_a_name() -> None:
    """A service where the person signed in twice is told once; the ID system of both its indexes."""
    again = session("portal", 2, upstream=upstream(index="s-2"))
    found = logout(initiator(), session("portal"), again, session("library"))
    assert told(found) == [
        (Side.SERVICE, "portal", ("portal-1", "portal-2")),
        (Side.ID_SYSTEM, "ebetsu", ("s-1", "s-2")),
    ]


@pytest.mark.parametrize(
    ("ended", "failed"),
    [
        (session("portal", participant=None), ("portal",)),
        (session("portal", upstream=None), ("ebetsu",)),
        (session("portal", upstream=upstream(name=None)), ("ebetsu",)),
    ],
)
def test_who_cannot_be_told_makes_it_partial(ended: Session, failed: tuple[str, ...]) -> None:
    """An OpenID service, an OpenID ID system, one that gave no NameID."""
    found = logout(initiator(), ended)
    assert tuple(party.id for party in found.failed) == failed
    assert found.partial


def test_who_was_told_without_a_browser_is_not_told_again() -> None:
    """Who confirmed counts as done, who did not as failed; the ID system is told by the browser all the same."""
    ended = (
        session("library"),
        session("portal"),
        session("pool", participant=None),
        session("site", participant=None),
    )
    told = sessions.others(initiator(), ended)
    assert [each.service for each in told] == ["portal", "pool", "site"]
    found = sessions.begin(
        initiator(),
        ended,
        browser="b-1",
        own_entity=OWN_SP,
        now=NOW,
        confirmed=["pool-1"],
        unconfirmed=["portal-1", "site-1"],
    )
    assert [each.id for each in found.todo] == ["ebetsu"]
    assert [each.id for each in found.done] == ["pool"]
    assert [each.id for each in found.failed] == ["portal", "site"]
    assert found.partial


def test_nothing_left_is_complete() -> None:
    """A second request finds nothing to end, and says so."""
    found = logout(initiator())
    assert sessions.next_step(found) is None
    assert not found.partial


def test_a_logout_step_by_step() -> None:
    """One confirms, one does not answer to our liking, one has no address any more."""
    begun = logout(initiator(), session("portal"), session("pool"))
    first = sessions.asking(begun)
    assert first.asked is not None
    assert (first.asked.id, told(first)) == ("portal", told(begun)[1:])
    second = sessions.asking(sessions.heard(first, ended=True))
    third = sessions.passed_over(sessions.heard(second, ended=False))
    assert sessions.next_step(third) is None
    assert ([each.id for each in third.done], [each.id for each in third.failed]) == (["portal"], ["pool", "ebetsu"])
    assert third.partial
    assert sessions.heard(third, ended=True) == third, "nobody was asked"


@given(st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_a_logout_survives_json(asked, failed, answered) -> None:
    """What is kept between two requests is the same afterwards, at every step."""
    found = logout(
        initiator(answered=answered),
        session("portal"),
        session("pool", participant=None),
        session("museum", upstream=upstream(index=None)),
    )
    for _ in range(min(asked, len(found.todo))):
        found = sessions.asking(sessions.heard(found, ended=True))
    for _ in range(min(failed, len(found.todo))):
        found = sessions.passed_over(found)
    assert sessions.logout_from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "kept",
    [
        session("library"),
        session("library", upstream=upstream(until=NOW, index=None)),
        session("library", upstream=upstream(name=None)),
        session("library", upstream=None),
        session("library", participant=None),
        session("site", participant=None, client=Client(client_id="https://c", subject="s", token="t"), needed=2),
    ],
)
def test_a_session_survives_json(kept: Session) -> None:
    """What is kept is the same afterwards."""
    assert sessions.session_from_json(json.loads(json.dumps(kept.to_json()))) == kept


def test_a_session_of_the_gateway_before_this_one_is_read() -> None:
    """It knew of no clients and no levels, and noted whether a service could ask."""
    kept = session("library")
    written = kept.to_json()
    del written["client"], written["needed"]
    written["participant"]["can_ask"] = True
    assert sessions.session_from_json(json.loads(json.dumps(written))) == kept


def test_everybody_is_told_once_or_is_known_as_untold() -> None:
    """However many sessions there are, no party is lost and none is asked twice."""
    many = [session(f"s{number % 7}", number) for number in range(40)]
    found = logout(initiator("s0"), *many)
    seen: list[Party] = []
    while (party := sessions.next_step(found)) is not None:
        seen.append(party)
        found = sessions.heard(sessions.asking(found), ended=len(seen) % 2 == 0)
    assert len({(party.side, party.id) for party in seen}) == len(seen) == 7
    assert {*found.done, *found.failed} == set(seen)
