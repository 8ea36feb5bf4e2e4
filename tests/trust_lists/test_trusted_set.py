"""The trusted set: rollback, expiry at use, disputes, and no dependence on order."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, UNTIL
from trust_lists.admission import COLLECTED, Mark
from trust_lists.model import (
    Endpoint,
    ListRefusedError,
    NotTrustedError,
    Role,
    Status,
    StatusChange,
    TrustedEntity,
    TrustList,
)
from trust_lists.trusted_set import TrustedSet

IDP, SP = Role.SAML_IDENTITY_PROVIDER, Role.SAML_SERVICE_PROVIDER
A = "https://a.example/"


def entity(entity_id=A, role=IDP, until=UNTIL, listed_in="one", **kept):
    """Give an entity."""
    return TrustedEntity(entity_id=entity_id, roles=frozenset({role}), listed_in=listed_in, valid_until=until, **kept)


def make_list(*entities, name="one", sequence=1, until=UNTIL, **kept):
    """Give a list."""
    return TrustList(name=name, issued_at=NOW, valid_until=until, sequence=sequence, entities=tuple(entities), **kept)


def trusted(*lists):
    """Admit lists in order."""
    found = TrustedSet()
    for trust_list in lists:
        found.admit(trust_list)
    return found


def code(found, entity_id=A, role=IDP, at=NOW):
    """Tell why an entity is not trusted."""
    with pytest.raises(NotTrustedError) as refused:
        found.find(entity_id, role, at)
    return refused.value.code


def test_find_answers_what_the_list_says():
    """A listed entity is found in its role."""
    assert trusted(make_list(entity())).find(A, IDP, NOW) == entity()


def test_reasons():
    """Unlisted, listed in another role, and expired are told apart."""
    found = trusted(make_list(entity()))
    assert code(found, "https://b.example/") == "unlisted"
    assert code(found, role=SP) == "other-role"
    assert code(found, at=UNTIL) == "expired"


def test_expiry_is_looked_at_on_each_use():
    """An entity is trusted until its own end or its list's, whichever is first; no list is read anew."""
    soon = NOW + timedelta(hours=1)
    for found in (trusted(make_list(entity(until=soon))), trusted(make_list(entity(), until=soon))):
        assert found.find(A, IDP, soon - timedelta(seconds=1)).valid_until == soon
        assert code(found, at=soon) == "expired"
        assert list(found.entities(IDP, soon)) == []


def test_rollback():
    """A lower sequence number is refused and changes nothing; the same number is the same list again."""
    found = trusted(make_list(entity(), sequence=5))
    with pytest.raises(ListRefusedError, match="sequence number is 4, but 5") as refused:
        found.admit(make_list(sequence=4))
    assert refused.value.code == "rollback"
    assert found.find(A, IDP, NOW)
    found.admit(make_list(entity(), sequence=5))
    found.admit(make_list(sequence=6))
    assert code(found) == "unlisted"


def test_rollback_across_a_restart():
    """What was admitted in an earlier life counts; other lists have numbers of their own."""
    found = TrustedSet(trusted(make_list(sequence=5)).highest())
    with pytest.raises(ListRefusedError):
        found.admit(make_list(sequence=4))
    found.admit(make_list(name="two", sequence=1))
    assert found.highest() == {"one": Mark(5), "two": Mark(1)}


def test_two_lists_that_agree():
    """Two lists may vouch for the same entity: it is trusted as long as the longer one says so."""
    longer = UNTIL + timedelta(days=5)
    lists = (
        make_list(entity(names={"en": "A"})),
        make_list(entity(until=longer, listed_in="two"), name="two", until=longer),
    )
    for order in permutations(lists):
        assert trusted(*order).find(A, IDP, NOW).listed_in == "two"


@pytest.mark.parametrize(
    "other",
    [
        {"signing_certificates": (b"x",)},
        {"municipality": "102016"},
        {"metadata": {"redirect_uris": []}},
        {"subject_id": "any"},
        {"endpoints": (Endpoint(role=IDP, kind="a", binding="b", location="c", response_location="d"),)},
    ],
)
def test_two_lists_that_differ(other):
    """Where lists in force differ on keys, municipality or addresses, neither is believed."""
    soon = NOW + timedelta(hours=1)
    second = make_list(entity(listed_in="two", **other), name="two", until=soon)
    found = trusted(make_list(entity()), second)
    assert code(found) == "disputed"
    assert list(found.entities(IDP, NOW)) == []
    assert found.find(A, IDP, soon) == entity()


GRANTED, WITHDRAWN = Status.GRANTED, Status.WITHDRAWN


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ({"uses": None}, {"uses": frozenset({"civic"})}, {"uses": frozenset({"civic"})}),
        ({"uses": frozenset({"a", "b"})}, {"uses": frozenset({"b", "c"})}, {"uses": frozenset({"b"})}),
        ({"maximum_identity": None}, {"maximum_identity": 2}, {"maximum_identity": 2}),
        ({"maximum_identity": 3}, {"maximum_identity": 1}, {"maximum_identity": 1}),
        ({"scopes": ("a.example", "b.example")}, {"scopes": ("b.example",)}, {"scopes": ("b.example",)}),
        ({"scopes": ()}, {"scopes": ("b.example",)}, {"scopes": ()}),
        ({"wants_signed_requests": False}, {"wants_signed_requests": True}, {"wants_signed_requests": True}),
        ({"encryption_methods": ()}, {"encryption_methods": ("urn:a",)}, {"encryption_methods": ("urn:a",)}),
        (
            {"signing_certificates": (b"x", b"y")},
            {"signing_certificates": (b"y", b"z")},
            {"signing_certificates": (b"y",)},
        ),
    ],
)
def test_of_two_words_the_narrower_wins_limit_by_limit(one, other, kept):
    """The answer is what both lists allow, in whichever order they came, and the conflict is told."""
    lists = (make_list(entity(**one)), make_list(entity(listed_in="two", **other), name="two"))
    for order in permutations(lists):
        found = trusted(*order)
        answer = found.find(A, IDP, NOW)
        assert {name: getattr(answer, name) for name in kept} == kept
        (conflict,) = found.conflicts()
        assert (conflict.entity_id, conflict.role, conflict.lists) == (A, IDP, ("one", "two"))
        assert (conflict.about, conflict.disputed) == (tuple(one), False)


def test_withdrawn_by_any_list_in_force():
    """One list's withdrawal is enough, as long as that list is in force."""
    soon = NOW + timedelta(hours=1)
    found = trusted(make_list(entity()), make_list(entity(listed_in="two", status=WITHDRAWN), name="two", until=soon))
    assert code(found) == "withdrawn"
    assert list(found.entities(IDP, NOW)) == []
    assert found.find(A, IDP, soon) == entity()


def test_a_status_holds_from_its_time_on():
    """What was granted until yesterday is withdrawn today; before the first status nothing was granted."""
    day = timedelta(days=1)
    withdrawn = entity(
        status=WITHDRAWN,
        status_since=NOW + day,
        history=(StatusChange(GRANTED, NOW - day), StatusChange(WITHDRAWN, NOW - 3 * day)),
    )
    found = trusted(make_list(withdrawn))
    assert found.find(A, IDP, NOW) == withdrawn
    for at in (NOW - 4 * day, NOW - 2 * day, NOW + day):
        assert code(found, at=at) == "withdrawn"


def test_one_number_stands_for_one_content():
    """Another document under a sequence number that was admitted is refused; a document read again is not."""
    found = trusted(make_list(entity(), sequence=5, digest="a", content="x"))
    found.admit(make_list(entity(), sequence=5, digest="a", content="x"))
    found.admit(make_list(entity(), sequence=5, digest="c", content="x"))  # signed again
    for known in (found, TrustedSet(found.highest())):  # also in a later life, and on another node
        with pytest.raises(ListRefusedError) as refused:
            known.admit(make_list(sequence=5, digest="b", content="y"))
        assert refused.value.code == "same-sequence"
    assert found.find(A, IDP, NOW)
    collected = trusted(make_list(entity(), sequence=5, digest="a", format=COLLECTED))
    collected.admit(make_list(sequence=5, digest="b", format=COLLECTED))  # members sign anew between two collections
    assert code(collected) == "unlisted"


def test_marks_learned_from_elsewhere():
    """What another node admitted counts here too, and is never lowered."""
    found = trusted(make_list(entity(), sequence=5))
    found.raise_marks({"one": Mark(7), "two": Mark(3)})
    found.raise_marks({"one": Mark(6)})
    assert found.highest() == {"one": Mark(7), "two": Mark(3)}
    with pytest.raises(ListRefusedError):
        found.admit(make_list(entity(), sequence=6))


words = st.lists(st.tuples(st.sampled_from([b"x", b"y"]), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=5)


@given(words, st.integers(0, 6))
def test_what_is_found_is_what_the_lists_in_force_agree_on(said, hour):
    """However many lists speak of an entity, and whenever each of them ends: agreement, dispute or nothing."""
    at = NOW + timedelta(hours=hour)
    ends = [NOW + timedelta(hours=min(own, whole)) for _, own, whole in said]
    found = trusted(
        *(
            make_list(
                entity(until=NOW + timedelta(hours=own), signing_certificates=(key,), listed_in=str(number)),
                name=str(number),
                until=NOW + timedelta(hours=whole),
            )
            for number, (key, own, whole) in enumerate(said)
        )
    )
    in_force = {
        (end, -number): key for number, ((key, _, _), end) in enumerate(zip(said, ends, strict=True)) if at < end
    }
    if not in_force:
        assert code(found, at=at) == "expired"
    elif len(set(in_force.values())) > 1:
        assert code(found, at=at) == "disputed"
    else:
        answer = found.find(A, IDP, at)
        assert (answer.valid_until, -int(answer.listed_in)) == max(in_force)
        assert answer.signing_certificates == (in_force[max(in_force)],)


def test_entities_are_those_of_the_role():
    """Only entities that `find` would answer, by entity ID."""
    found = trusted(make_list(entity("https://b.example/"), entity(), entity("https://c.example/", SP)))
    assert [e.entity_id for e in found.entities(IDP, NOW)] == [A, "https://b.example/"]


NAMES = (A, "https://b.example/", "https://c.example/")
identifiers = st.sampled_from(NAMES)
entities = st.builds(
    entity,
    entity_id=identifiers,
    role=st.sampled_from([IDP, SP]),
    until=st.sampled_from([NOW + timedelta(days=day) for day in (1, 2, 40)]),
    signing_certificates=st.sampled_from([(b"x",), (b"y",)]),
)
lists = st.builds(
    lambda name, sequence, listed: make_list(
        *(replace(e, listed_in=name) for e in listed), name=name, sequence=sequence
    ),
    st.sampled_from(["one", "two", "three"]),
    st.integers(0, 4),
    st.lists(entities, max_size=4, unique_by=lambda e: (e.entity_id, *e.roles)),
)


def everything(found):
    """Give all that a set answers."""
    return (
        found.lists(),
        found.highest(),
        [list(found.entities(role, NOW + timedelta(days=day))) for role in (IDP, SP) for day in (0, 1, 3)],
        [found.words(name, role) for name in NAMES for role in (IDP, SP)],
        [found.roles(name) for name in NAMES],
        found.conflicts(),
    )


@given(st.lists(lists, max_size=6, unique_by=lambda found: (found.name, found.sequence)), st.randoms())
def test_the_order_of_arrival_makes_no_difference(arriving, random):
    """However lists and their older versions arrive, the final set is the same."""
    codes = set()

    def admitted(order):
        found = TrustedSet()
        for trust_list in order:
            try:
                found.admit(trust_list)
            except ListRefusedError as refused:
                codes.add(refused.code)
        return everything(found)

    shuffled = list(arriving)
    random.shuffle(shuffled)
    assert admitted(shuffled) == admitted(arriving)
    assert codes <= {"rollback"}


@given(st.lists(lists, max_size=6))
def test_nothing_is_left_of_former_versions(arriving):
    """Whatever was on the versions before, a set answers as one that only ever had the lists it holds."""
    found = TrustedSet()
    for number, trust_list in enumerate(arriving):
        found.admit(replace(trust_list, sequence=number))
    assert everything(found)[2:] == everything(trusted(*found.lists()))[2:]


def test_a_word_is_told_in_the_name_of_the_list_that_was_admitted():
    """An entity cannot name another list as its own, on whose word it would count for more."""
    found = trusted(make_list(entity(listed_in="two")), make_list(name="two"))
    assert found.find(A, IDP, NOW).listed_in == "one"
    found.admit(make_list(sequence=2))
    assert code(found) == "unlisted"
