"""What lists and recognitions make of a login: who may be asked, how sure it is at most, what ends at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from federation import login, own
from federation.evidence import DS_511
from federation.flow import Conclusion
from federation.identifiers import PersonRef, SealRefusedError
from federation.login import TokenHolder, open_caller, seal_caller
from federation.model import Assurance, Identity, Level
from federation.refusal import AssuranceTooLow, IdSystemNotRecognised, IdSystemNotTrusted
from federation.sessions import Basis
from federation.standing import Standings
from tests.federation.standing_sample import BEGIN, END, standings
from tests.federation.test_login import EBETSU, IDENTIFIERS, MAEBASHI, NOW, flow, service
from trust_lists.assurance_rows import Row, Table, When
from trust_lists.model import Status, TrustList
from trust_lists.recognition import EVERYONE, Recognition, Recognitions

GUNMA = "100005"
SURE = replace(MAEBASHI, default_assurance=Assurance(identity=Level.THREE, authentication=Level.TWO))
PORTAL = service(municipality=GUNMA, use="civic")


def recognised(**limits: Any) -> Recognitions:
    """Gunma counts the region's list within limits."""
    stated = Recognition(**{"id": "gunma", "by": GUNMA, "list": "region", "until": END, **limits})
    return Recognitions(statements=(stated,))


def conclude(found: Standings, asked: Any = PORTAL, **said: Any) -> Conclusion:
    """Conclude a sign-in of Maebashi's system, which is sure of everything."""
    attributes = {"name": ("前橋 太郎",), **said.pop("attributes", {})}
    identity = Identity(id_system="maebashi", subject="taro", attributes=attributes, statements=(), **said)
    return login.conclude(flow(), asked, SURE, identity, identifiers=IDENTIFIERS, standings=found, now=NOW)


def test_the_level_is_the_least_of_table_list_and_recognition() -> None:
    """Never more than the ID system's own table says, nor its list, nor the recognition."""
    for most, listed, expected in ((None, None, 3), (2, None, 2), (None, 1, 1), (2, 1, 1), (1, 3, 1)):
        found = standings(SURE, rules=recognised(maximum_identity=most), maximum_identity=listed)
        level = conclude(found).assurance
        assert (int(level.identity), int(level.authentication)) == (expected, 2)


def test_what_can_never_be_enough_is_refused_before_anybody_leaves() -> None:
    """The refusal says what was needed, what could come, and what limits it."""
    found = standings(SURE, rules=recognised(maximum_identity=1))
    strict = replace(PORTAL, minimum=Level.TWO)
    with pytest.raises(AssuranceTooLow) as why:
        login.depart(flow(), strict, SURE, "handle", standings=found, now=NOW)
    assert why.value.detail == (
        "needed identity 2, authentication 0; came identity 1, authentication 3; recognition gunma 1/3/3"
    )
    with pytest.raises(AssuranceTooLow):
        conclude(found, strict)


@pytest.mark.parametrize(
    ("rules", "asked", "detail"),
    [
        (Recognitions(), PORTAL, "not-recognised"),
        (recognised(by="102024"), PORTAL, "not-recognised"),
        (recognised(), replace(PORTAL, municipality=None), "not-recognised"),
        (recognised(uses=frozenset({"mobility"})), PORTAL, "use-not-recognised gunma"),
        (recognised(uses=frozenset({"civic"})), replace(PORTAL, use=None), "use-not-recognised gunma"),
        (recognised(until=NOW), PORTAL, "recognition-ended gunma"),
        (recognised(since=NOW + timedelta(days=1)), PORTAL, "recognition-not-yet gunma"),
    ],
)
def test_what_is_not_recognised_is_neither_asked_nor_believed(rules: Recognitions, asked: Any, detail: str) -> None:
    """At departure and, should it change meanwhile, at arrival: with the reason for the log."""
    found = standings(SURE, rules=rules)
    steps: tuple[Callable[[], object], ...] = (
        lambda: login.depart(flow(), asked, SURE, "handle", standings=found, now=NOW),
        lambda: conclude(found, asked),
    )
    for step in steps:
        with pytest.raises(IdSystemNotRecognised) as why:
            step()
        assert why.value.detail == f"maebashi at portal: {detail}"
    assert not found.counts(SURE, asked, NOW)


def test_whoever_is_listed_sees_their_own_consents() -> None:
    """No municipality relies on another for that; a list must vouch for the ID system all the same."""
    found = standings(SURE, rules=Recognitions(statements=()))
    with pytest.raises(IdSystemNotRecognised):
        conclude(found)
    assert conclude(found, own.SERVICE).attributes == {}
    with pytest.raises(IdSystemNotTrusted):
        conclude(standings(EBETSU, rules=Recognitions(statements=())), own.SERVICE)


def test_a_list_that_permits_some_uses_shows_everybody_their_own_consents() -> None:
    """Of whatever use their ID is, they agreed with it; a service without a use gets none of it."""
    limited = standings(SURE, uses=frozenset({"civic"}))
    assert conclude(limited, own.SERVICE).attributes == {}
    with pytest.raises(IdSystemNotRecognised):
        conclude(limited, service(municipality=GUNMA))


def test_what_everyone_recognises_counts_at_services_of_the_region() -> None:
    """A service of no municipality."""
    found = standings(SURE, rules=recognised(by=EVERYONE, maximum_identity=2))
    assert conclude(found, replace(PORTAL, municipality=None)).assurance.identity is Level.TWO


@pytest.mark.parametrize("status", [Status.WITHDRAWN])
def test_withdrawn_is_not_trusted(status: Status) -> None:
    """Whatever is recognised."""
    found = standings(SURE, rules=recognised(statuses=frozenset(Status)), status=status)
    with pytest.raises(IdSystemNotTrusted, match="withdrawn"):
        conclude(found)


def table(*rows: Row, name: str = "table") -> TrustList:
    """A signed table of assurance."""
    return TrustList(
        name=name, issued_at=BEGIN, valid_until=END, sequence=1, entities=(), table=Table(rows=tuple(rows))
    )


def row(identity: int, authentication: int, *, system: str | None = SURE.entity_id, when: When | None = None) -> Row:
    """What a word is worth."""
    return Row(id="r", system=system, when=when or When(), identity=identity, authentication=authentication)


@pytest.mark.parametrize(
    ("tables", "needed", "upheld"),
    [
        ((), 1, False),  # withdrawn: no word counts without one
        ((table(),), 1, False),
        ((table(row(3, 2)),), 2, True),
        ((table(row(1, 2)),), 2, False),
        ((table(row(3, 1)),), 2, False),
        ((table(row(1, 1), row(3, 2, when=When(word="card"))),), 2, True),  # how the person signed in is not known
        ((table(row(3, 2)), table(row(1, 2), name="other")), 2, False),  # of two tables the lowest
        ((table(row(3, 2)), table(row(1, 1, system="https://another.example"), name="other")), 2, True),
        ((table(row(3, 2, system=None)),), 3, True),
    ],
)
def test_what_a_table_can_give_no_more_ends_a_session(
    tables: tuple[TrustList, ...], needed: int, *, upheld: bool
) -> None:
    """Withdrawn, or lower for the whole ID system: what was begun on a higher level is over."""
    trust = standings(SURE).trust
    for each in tables:
        trust.admit(each)
    found = Standings(trust=trust, tabled=True)
    asked = replace(PORTAL, minimum_authentication=Level.TWO)
    assert found.upholds(Basis(SURE.id, asked.id, needed), SURE, asked, NOW) is upheld


def test_an_operators_own_table_that_is_lowered_ends_a_session() -> None:
    """Where there is no signed one, the highest of its words is what there can be."""
    found, basis = standings(SURE), Basis(SURE.id, PORTAL.id, 2)
    low = Assurance(identity=Level.ONE, authentication=Level.ONE)
    card = {"card": Assurance(identity=Level.THREE, authentication=Level.THREE)}
    for system, upheld in (
        (SURE, True),
        (replace(SURE, default_assurance=low), False),
        (replace(SURE, default_assurance=low, statements=card), True),
        (replace(SURE, default_assurance=None), False),
    ):
        assert found.upholds(basis, system, PORTAL, NOW) is upheld


def test_another_id_system_is_not_trusted_because_of_it() -> None:
    """An ID system that no list names."""
    with pytest.raises(IdSystemNotTrusted):
        login.depart(flow(), PORTAL, EBETSU, "handle", standings=standings(SURE), now=NOW)


def test_scoped_attributes_only_in_scopes_that_list_and_recognition_give() -> None:
    """A value outside is dropped as if it had not come."""
    values = ("taro@maebashi.example", "taro@school.example", "taro@other.example")
    inward = replace(SURE.inward.rules[0], to="email", sources=("principal",))
    system = replace(SURE, inward=replace(SURE.inward, rules=(*SURE.inward.rules, inward)))
    outward = replace(PORTAL.outward.rules[0], to="mail", sources=("email",))
    asked = replace(PORTAL, outward=replace(PORTAL.outward, rules=(*PORTAL.outward.rules, outward)))
    found = standings(
        system,
        rules=recognised(scopes=frozenset({"maebashi.example"})),
        scopes=("maebashi.example", "school.example"),
    )
    identity = Identity(
        id_system="maebashi",
        subject="taro",
        attributes={"name": ("前橋 太郎",), "principal": values},
        statements=(),
        scoped=frozenset({"principal"}),
    )
    concluded = login.conclude(flow(), asked, system, identity, identifiers=IDENTIFIERS, standings=found, now=NOW)
    assert concluded.attributes == {"cn": ("前橋 太郎",), "mail": ("taro@maebashi.example",)}


def test_a_token_names_the_id_system_that_vouched() -> None:
    """So that its standing can be asked at each use; what is sealed otherwise does not open."""
    holder = TokenHolder(person=PersonRef("p"), municipality="102016", system="maebashi", key=IDENTIFIERS.present)
    assert open_caller(seal_caller(holder, IDENTIFIERS), IDENTIFIERS) == holder
    with pytest.raises(SealRefusedError):
        open_caller(IDENTIFIERS.seal("102016 p", audience=login.ACCESS_TOKEN), IDENTIFIERS)


def test_what_lists_call_another_municipalitys_does_not_vouch_for_this_one() -> None:
    """The residents would be told apart by a municipality that no list says they are of."""
    of_ebetsu = replace(MAEBASHI, municipality=EBETSU.municipality)
    found = standings(of_ebetsu)
    assert found.counts(of_ebetsu, PORTAL, NOW)
    with pytest.raises(IdSystemNotTrusted, match="lists say that it is of municipality 012173"):
        found.of(MAEBASHI, PORTAL, NOW)


def test_a_level_that_falls_while_the_person_agrees_is_what_counts() -> None:
    """What leaves is worth what it is worth when it leaves; if that is too little, nothing leaves."""
    concluded = conclude(standings(SURE))
    lower = standings(SURE, maximum_identity=1)
    again = login.recounted(flow(), PORTAL, SURE, concluded, standings=lower, now=NOW)
    assert again.assurance == replace(concluded.assurance, identity=Level.ONE)
    assert again.verified == {"cn": (DS_511, 1)}
    assert str(again.decision.why[-1]) == "list region 1/3/3"
    with pytest.raises(AssuranceTooLow):
        login.recounted(flow(), replace(PORTAL, minimum=Level.TWO), SURE, concluded, standings=lower, now=NOW)
