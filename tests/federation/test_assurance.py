"""What a sign-in is worth: every word of every table, the lowest of all legs, and what is asked of an ID system."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import assurance, requirement
from federation.assurance import (
    HIGHEST,
    LEGS,
    NOTHING,
    Tables,
    acr_uri,
    asking,
    assess,
    decide,
    decision_from_json,
    decision_to_json,
    level_of,
    meet,
    protected,
    wished,
)
from federation.attributes import InwardMap
from federation.model import Assurance, Identity, IdSystem, Level, Reason
from trust_lists.assurance_rows import Row, Table, Verified, When
from trust_lists.model import TrustedEntity, TrustList
from trust_lists.recognition import Recognition, Worth

NOW = datetime(2026, 10, 1, tzinfo=UTC)
ISSUER = "https://id.maebashi.example"


def worth(identity: int, authentication: int, federation: int = 3) -> Assurance:
    """An assurance by its numbers."""
    return Assurance(identity=Level(identity), authentication=Level(authentication), federation=Level(federation))


SYSTEM = IdSystem(
    id="maebashi",
    kind="oidc",
    entity_id=ISSUER,
    municipality="102016",
    name={"ja": "前橋市", "en": "Maebashi City"},
    reading="まえばしし",
    description={"ja": "", "en": ""},
    inward=InwardMap(),
    statements={
        "urn:example:jpki": worth(3, 3),
        "urn:example:counter": worth(3, 1),
        "urn:example:face": worth(1, 3),
    },
    default_assurance=worth(1, 1),
    methods={"urn:example:jpki": ("sc", "pin"), "urn:example:face": ("face",)},
)
SILENT = replace(SYSTEM, statements={}, methods={}, default_assurance=None)


def said(*statements: str, **more: Any) -> Identity:
    """A sign-in of which the ID system said this."""
    return Identity(
        id_system="maebashi", subject="s", attributes={}, statements=statements, authenticated_at=NOW, **more
    )


def row(name: str, identity: int, authentication: int, **more: Any) -> Row:
    """A row about Maebashi's ID system, which looks for its own name as `acr` unless told otherwise."""
    return Row(
        **{"id": name, "system": ISSUER, "when": When(word=name), **more},
        identity=identity,
        authentication=authentication,
    )


def tables(*rows: Row, more: tuple[Row, ...] = ()) -> Tables:
    """A signed table of these rows, and another one if there are `more`."""
    lists = [
        TrustList(
            name=name,
            issued_at=NOW,
            valid_until=NOW + timedelta(days=1),
            sequence=7,
            entities=(),
            table=Table(rows=found),
        )
        for name, found in (("council", rows), ("ministry", more))
        if found
    ]
    return Tables(lists=tuple(lists), required=True)


def level(system: IdSystem, identity: Identity, found: Tables = assurance.NO_TABLES) -> tuple[int, int, int]:
    """What the ID system's word is worth, by its numbers."""
    most = decide(assess(system, identity, found)).assurance
    return int(most.identity), int(most.authentication), int(most.federation)


# --- the operator's own table


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ((), (1, 1, 3)),
        (("urn:example:unheard-of",), (1, 1, 3)),
        (("urn:example:face", "urn:example:unheard-of"), (1, 3, 3)),
        (("urn:example:face", "urn:example:jpki"), (3, 3, 3)),
        (("urn:example:face", "urn:example:counter"), (3, 1, 3)),
        (("URN:EXAMPLE:JPKI",), (1, 1, 3)),
    ],
)
def test_the_highest_known_statement_counts_whole(statements, expected):
    """Unknown words are worth the default; two statements are never combined into a third."""
    assert level(SYSTEM, said(*statements)) == expected
    methods = [word for word in statements if ":" not in word]
    assert level(SYSTEM, said(*statements, methods=tuple(methods))) == expected


def test_without_any_table_nothing_is_worth_anything():
    """An operator who says nothing vouches for nothing."""
    assert level(SILENT, said("urn:example:jpki")) == (0, 0, 0)


def test_methods_are_those_of_the_words_that_were_said():
    """In the operator's words; what came as amr and has no word there is not passed on."""
    found = assess(SYSTEM, said("urn:example:jpki", "urn:example:face", methods=("kba",)))
    assert found.methods == ("sc", "pin", "face")


# --- the signed table


CARD = row("card", 3, 3, methods=("sc", "pin"))
FACE = row("face", 2, 3, when=When(word="card", methods=frozenset({"face"})), methods=("face",))
BROKER = row("broker", 2, 1, when=When(verified=Verified(trust_framework="jp_aml", evidence="document")))
POLICY = row("policy", 3, 2, when=When(policies=frozenset({"1.2.3", "1.2.4"})), federation=2)
ANYBODY = Row(id="framework", system=None, when=When(word="loa2"), identity=2, authentication=2)
OTHER = replace(row("other", 3, 3), system="https://id.elsewhere.example")


@pytest.mark.parametrize(
    ("identity", "expected", "by"),
    [
        (said(), (0, 0, 0), "council/7/-"),
        (said("card"), (3, 3, 3), "council/7/card"),
        (said("card", methods=("face", "user")), (3, 3, 3), "council/7/card"),
        (said("Card"), (0, 0, 0), "council/7/-"),
        (said("other"), (0, 0, 0), "council/7/-"),
        (said("loa2"), (2, 2, 3), "council/7/framework"),
        (said(policies=("1.2.4",)), (3, 2, 2), "council/7/policy"),
        (said(policies=("1.2.5",)), (0, 0, 0), "council/7/-"),
        (said(verified=(Verified(trust_framework="jp_aml", evidence="document"),)), (2, 1, 3), "council/7/broker"),
        (said(verified=(Verified(trust_framework="jp_aml", evidence="vouch"),)), (0, 0, 0), "council/7/-"),
        (said(verified=(Verified(trust_framework="eidas", evidence="document"),)), (0, 0, 0), "council/7/-"),
    ],
)
def test_a_row_counts_if_all_that_it_rests_on_was_said(identity, expected, by):
    """Word, methods, verified claims, certificate policies; about this ID system, or about every one."""
    found = tables(CARD, FACE, BROKER, POLICY, ANYBODY, OTHER)
    assert level(SILENT, identity, found) == expected
    assert [reason.by for reason in assess(SILENT, identity, found).why] == [by]


def test_methods_of_every_row_that_holds_are_told():
    """Face verification and the presence of a card appear beside one another."""
    assert assess(SILENT, said("card", methods=("face",)), tables(CARD, FACE)).methods == ("sc", "pin", "face")
    assert assess(SILENT, said("card"), tables(CARD, FACE)).methods == ("sc", "pin")


def test_of_two_tables_the_lower_counts():
    """Each that speaks of the ID system; one that does not leaves it to the other."""
    low = row("low", 1, 3, when=When(word="card"))
    assert level(SILENT, said("card"), tables(CARD, more=(low,))) == (1, 3, 3)
    assert level(SILENT, said("card"), tables(CARD, more=(OTHER,))) == (3, 3, 3)
    assert level(SILENT, said("card"), tables(CARD, more=(row("x", 1, 1),))) == (0, 0, 0)


def test_what_no_signed_table_speaks_of_is_worth_nothing():
    """Whatever the operator wrote: a region with a table has it for every ID system. A table that is over, too."""
    assert level(SYSTEM, said("urn:example:jpki"), tables(OTHER)) == (0, 0, 0)
    assert level(SYSTEM, said("urn:example:jpki"), Tables(required=True)) == (0, 0, 0)


def test_the_operator_can_only_lower_the_signed_table():
    """Word by word, or for all that is not in the operator's own table."""
    cautious = replace(SILENT, statements={"card": worth(2, 3)}, default_assurance=worth(1, 1))
    generous = replace(SILENT, statements={"loa2": worth(3, 3)}, default_assurance=worth(3, 3))
    found = tables(CARD, ANYBODY)
    assert level(cautious, said("card"), found) == (2, 3, 3)
    assert level(cautious, said("loa2"), found) == (1, 1, 3)
    assert level(generous, said("loa2"), found) == (2, 2, 3)
    assert [reason.leg for reason in assess(cautious, said("card"), found).why] == ["table", "operator"]


# --- laws

LEVELS = st.builds(worth, *[st.integers(0, 3)] * 3)
REASONS = st.lists(st.builds(Reason, st.sampled_from(LEGS), st.text("abc", min_size=1), LEVELS), max_size=6)
ROWS = st.builds(
    row,
    st.uuids().map(str),
    st.integers(0, 3),
    st.integers(0, 3),
    federation=st.integers(0, 3),
    when=st.builds(
        When,
        word=st.sampled_from(["a", "b", None]),
        methods=st.frozensets(st.sampled_from(["face", "pin"])),
        policies=st.frozensets(st.sampled_from(["1.2", "1.3"])),
    ),
)
SAID = st.builds(
    said,
    st.sampled_from(["a", "b", "c"]),
    methods=st.lists(st.sampled_from(["face", "pin", "pwd"]), max_size=3).map(tuple),
    policies=st.lists(st.sampled_from(["1.2", "1.4"]), max_size=2).map(tuple),
)


def not_above(one: Assurance, other: Assurance) -> bool:
    """Whether nothing of one is higher."""
    return assurance.reaches(other, one)


@given(REASONS, REASONS)
def test_a_reason_more_never_raises_the_level(some, more):
    """A leg, a cap, whatever it says."""
    few, many = meet(each.most for each in some), meet(each.most for each in (*some, *more))
    assert not_above(many, few)
    assert all(not_above(many, each.most) for each in (*some, *more))


@given(st.lists(LEVELS, max_size=4))
def test_the_order_of_the_legs_makes_no_difference(levels):
    """Nor does saying one twice."""
    assert len({meet(order) for order in permutations(levels)}) <= 1
    assert meet([*levels, *levels]) == meet(levels)


@given(st.lists(ROWS, max_size=5), st.lists(ROWS, max_size=5), SAID)
def test_a_table_more_never_raises_the_level_and_a_row_more_never_lowers_it(rows, more, identity):
    """Tables are met, rows of one table are not."""
    one, two = tables(*rows), tables(*rows, more=tuple(more))
    grown = tables(*rows, *more)
    few = decide(assess(SILENT, identity, one)).assurance
    if rows:
        assert not_above(decide(assess(SILENT, identity, two)).assurance, few)
        ident = lambda a: (a.identity, a.authentication, a.federation)  # noqa: E731
        assert ident(decide(assess(SILENT, identity, grown)).assurance) >= ident(few)


@given(st.lists(ROWS, max_size=5), SAID, LEVELS)
def test_the_operators_word_never_raises_what_the_table_says(rows, identity, own):
    """Whatever the operator writes."""
    found = tables(*rows)
    spoken = replace(SILENT, statements={"a": own}, default_assurance=own)
    with_own = decide(assess(spoken, identity, found)).assurance
    assert not_above(with_own, decide(assess(SILENT, identity, found)).assurance)


@given(st.lists(ROWS, max_size=5), LEVELS)
def test_what_is_asked_for_would_be_enough(rows, needed):
    """Each word that is asked of an ID system reaches what is needed, if it is said with what its row rests on."""
    found = tables(*rows)
    for word in asking(SILENT, needed, found):
        fitting = [said(word, methods=tuple(each.when.methods)) for each in rows if each.when.word == word]
        assert any(not_above(needed, decide(assess(SILENT, each, found)).assurance) for each in fitting)


@given(st.lists(ROWS, max_size=3), SAID, REASONS)
def test_a_decision_survives_the_store(rows, identity, more):
    """With every reason."""
    found = decide(assess(SYSTEM, identity, tables(*rows)), *more)
    assert decision_from_json(decision_to_json(found)) == found


# --- the other legs


@pytest.mark.parametrize(
    ("protection", "expected"),
    [
        ((), 1),
        (("asked",), 1),
        (("encrypted",), 1),
        (("back-channel",), 1),
        (("asked", "encrypted"), 2),
        (("asked", "back-channel"), 2),
    ],
)
def test_how_an_answer_is_carried_limits_the_federation_level(protection, expected):
    """Two for what answers a request and nobody else can read; it says nothing of who the person is."""
    assert protected(frozenset(protection), leg="answer").most == worth(3, 3, expected)


def test_a_decision_says_why():
    """Every leg, the row with its table's number, and each limit of list and recognition, with levels alone."""
    entity = TrustedEntity(entity_id=ISSUER, roles=frozenset(), listed_in="region", valid_until=NOW, maximum_identity=3)
    path = (Recognition(id="gunma", by="100005", until=NOW, list="region", maximum_identity=2),)
    listed = Worth(entity=entity, listed_in="region", path=path, maximum_identity=2, uses=None, scopes=(), until=NOW)
    found = requirement.decide(
        SILENT,
        said("card", protection=frozenset({"asked", "back-channel"})),
        listed,
        tables=tables(CARD),
        own=frozenset({"asked"}),
    )
    assert [str(reason) for reason in found.why] == [
        "table council/7/card 3/3/3",
        "answer asked+back-channel 3/3/2",
        "own asked 3/3/1",
        "list region 3/3/3",
        "recognition gunma 2/3/3",
    ]
    assert found.assurance == worth(2, 3, 1)
    assert {reason.leg for reason in found.why} <= set(LEGS)


# --- what is asked of the ID system


def test_words_that_reach_the_level_are_asked_for_the_least_demanding_first():
    """Of the signed table, in the ID system's own protocol; nothing if any sign-in there will do."""
    found = tables(CARD, ANYBODY, POLICY, row("pass", 1, 1), replace(row("saml", 3, 3), when=When(word="s", saml=True)))
    assert asking(SILENT, worth(2, 0, 0), found) == ("loa2", "card")
    assert asking(SILENT, worth(2, 3, 0), found) == ("card",)
    assert asking(replace(SILENT, kind="saml"), worth(2, 0, 0), found) == ("s",)
    assert asking(SILENT, worth(0, 0, 0), found) == ()
    assert asking(SYSTEM, worth(3, 0, 0)) == ("urn:example:counter", "urn:example:jpki")
    assert asking(SYSTEM, worth(1, 1, 0)) == ()
    assert asking(SYSTEM, worth(3, 3, 0), tables(OTHER)) == ()


# --- how it is said


def test_levels_have_uris_of_the_region():
    """There and back; anything else, even nearly the same, says nothing."""
    assert acr_uri(Level.TWO) == "urn:kakehashi:assurance:identity-2"
    assert [level_of(acr_uri(each)) for each in Level] == list(Level)
    assert [level_of(uri) for uri in ("identity-2", "urn:kakehashi:assurance:identity-02", "")] == [None] * 3
    assert wished("http://eidas.europa.eu/LoA/high") is Level.THREE
    assert wished("http://eidas.europa.eu/LoA/higher") is None


def test_other_bodies_uris_are_said_only_as_far_as_a_table_does_and_nothing_made_less_of_it():
    """A cap on identity takes them away: nobody said what eIDAS would make of that."""
    found = tables(replace(CARD, eidas="substantial", nist=(2, 2, 2)))
    statement = assess(SILENT, said("card"), found)
    assert decide(statement).also == (
        "http://eidas.europa.eu/LoA/low",
        "http://eidas.europa.eu/LoA/substantial",
        "http://idmanagement.gov/ns/assurance/ial/1",
        "http://idmanagement.gov/ns/assurance/ial/2",
    )
    assert decide(statement, Reason("list", "region", worth(2, 3))).also == ()
    assert decide(assess(SILENT, said("card"), tables(CARD))).also == ()
    assert decide(assess(SILENT, said(), found)).also == ()


def test_what_limits_nothing_and_what_is_worth_nothing():
    """The two ends."""
    assert meet(()) == HIGHEST
    assert meet((HIGHEST, NOTHING)) == NOTHING
