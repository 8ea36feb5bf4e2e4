"""Recognition: the narrowest of a path, the laws that hold for any set of statements, and each refusal."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, UNTIL
from trust_lists.model import NotTrustedError, Role, Status, StatusChange, TrustedEntity, TrustList
from trust_lists.recognition import (
    EVERYONE,
    UNRESTRICTED,
    NotRecognisedError,
    Recognition,
    Recognitions,
    worth,
)
from trust_lists.trusted_set import TrustedSet

IDP = Role.SAML_IDENTITY_PROVIDER
ENTITY = "https://id.maebashi.example/"
GUNMA, MAEBASHI, TAKASAKI, EBETSU = "100005", "102016", "102024", "012173"
DAY = timedelta(days=1)


def entity(**kept):
    """Give an entity of Maebashi's list."""
    stated = {"roles": frozenset({IDP}), "listed_in": "maebashi", "valid_until": UNTIL, **kept}
    return TrustedEntity(entity_id=ENTITY, **stated)


def trusted(*entities):
    """Admit a list for each name that the entities say they are listed in."""
    found = TrustedSet()
    for name in {each.listed_in for each in entities}:
        listed = tuple(each for each in entities if each.listed_in == name)
        found.admit(TrustList(name=name, issued_at=NOW, valid_until=UNTIL, sequence=1, entities=listed))
    return found


def recognition(name="gunma-maebashi", by=GUNMA, **kept):
    """Give a statement; without a target it is about Maebashi's list."""
    if "municipality" not in kept:
        kept.setdefault("list", "maebashi")
    return Recognition(id=name, by=by, until=kept.pop("until", UNTIL), **kept)


def region(*statements, **kept):
    """Give a region in which the list is Maebashi's."""
    return Recognitions(statements=statements, owners={"maebashi": MAEBASHI}, **kept)


def asked(rules, *, relying=GUNMA, use="civic", at=NOW, said=None):
    """Ask what the entity is worth."""
    return worth(said or trusted(entity()), rules, ENTITY, IDP, relying=relying, use=use, at=at)


def refused(rules, **kept):
    """Ask, and give the refusal's code and path."""
    with pytest.raises(NotRecognisedError) as why:
        asked(rules, **kept)
    return why.value.code, tuple(each.id for each in why.value.path)


def test_without_a_recognition_nothing_of_another_municipality_counts():
    """A list counts at home, and for those who recognise it; not for others and not for the region."""
    rules = region(recognition())
    assert asked(rules).path == rules.statements
    assert asked(rules, relying=MAEBASHI).path == ()
    for relying in (TAKASAKI, None):
        assert refused(rules, relying=relying) == ("not-recognised", ())


def test_what_everyone_recognises_counts_for_the_region_too():
    """The council's word is everyone's."""
    rules = region(recognition(by=EVERYONE))
    for relying in (GUNMA, TAKASAKI, None):
        assert asked(rules, relying=relying).path == rules.statements


def test_a_region_without_recognitions():
    """Where nobody wrote any, every list counts for everyone, and only as far as the list says."""
    found = asked(UNRESTRICTED, said=trusted(entity(maximum_identity=2)), relying=None, use=None)
    assert (found.path, found.maximum_identity) == ((), 2)
    with pytest.raises(NotRecognisedError):
        asked(UNRESTRICTED, said=trusted(entity(uses=frozenset({"mobility"}))))


@pytest.mark.parametrize(
    ("limits", "listed", "code"),
    [
        ({"since": NOW + DAY}, {}, "recognition-not-yet"),
        ({"until": NOW}, {}, "recognition-ended"),
        ({"roles": frozenset({Role.OPENID_PROVIDER})}, {}, "role-not-recognised"),
        ({}, {"status": Status.RECOGNISED}, "status-not-recognised"),
        ({"uses": frozenset({"mobility"})}, {}, "use-not-recognised"),
        ({}, {"uses": frozenset({"mobility"})}, "use-not-recognised"),
    ],
)
def test_each_limit(limits, listed, code):
    """A limit of the recognition or of the list refuses by its own code, and tells the path."""
    assert refused(region(recognition(**limits)), said=trusted(entity(**listed))) == (code, ("gunma-maebashi",))


def test_what_is_limited_to_uses_is_not_good_for_a_use_that_nobody_names():
    """A service that does not say what it is for gets only what is not limited."""
    rules = region(recognition(uses=frozenset({"civic"})))
    assert asked(rules).uses == {"civic"}
    assert refused(rules, use=None) == ("use-not-recognised", ("gunma-maebashi",))


def test_the_least_level_the_common_scopes_the_earliest_end():
    """Each limit is the narrowest of the list's word and the path."""
    rules = region(
        recognition("one", municipality=TAKASAKI, maximum_identity=3, scopes=frozenset({"a.example", "b.example"})),
        recognition("two", by=TAKASAKI, maximum_identity=2, scopes=frozenset({"b.example"}), until=NOW + DAY),
    )
    found = asked(rules, said=trusted(entity(scopes=("a.example", "b.example"))))
    assert ([each.id for each in found.path], found.maximum_identity) == (["one", "two"], 2)
    assert (found.scopes, found.until) == (("b.example",), NOW + DAY)
    lower = asked(rules, said=trusted(entity(maximum_identity=1)))
    assert lower.maximum_identity == 1


def test_the_number_of_recognitions_that_may_follow_one_another():
    """A path longer than allowed is none, and a circle ends."""
    statements = (
        recognition("one", municipality=TAKASAKI),
        recognition("back", by=TAKASAKI, municipality=GUNMA),
        recognition("two", by=TAKASAKI, municipality=EBETSU),
        recognition("three", by=EBETSU),
    )
    assert len(asked(region(*statements)).path) == 3
    assert refused(region(*statements, maximum_length=2)) == ("not-recognised", ())


def test_recognising_a_municipality_counts_its_own_lists():
    """Whoever recognises Maebashi counts Maebashi's list without another word of Maebashi."""
    assert len(asked(region(recognition(municipality=MAEBASHI))).path) == 1


def test_withdrawn_ends_every_recognition():
    """Whoever recognises it: a withdrawn entity is worth nothing from that instant on."""
    said = trusted(entity(status=Status.WITHDRAWN, status_since=NOW))
    for rules in (region(recognition(statuses=frozenset(Status))), UNRESTRICTED):
        with pytest.raises(NotTrustedError) as why:
            asked(rules, said=said)
        assert why.value.code == "withdrawn"


def test_of_several_paths_the_one_that_gives_more():
    """A second path adds what it gives; the refusal names the path that came furthest."""
    low = recognition("low", maximum_identity=1)
    high = recognition("high", maximum_identity=2, uses=frozenset({"mobility"}))
    for order in permutations((low, high)):
        rules = region(*order)
        assert asked(rules).path == (low,)
        assert asked(rules, use="mobility").path == (high,)
    ended = replace(low, until=NOW)
    assert refused(region(ended, high)) == ("use-not-recognised", ("high",))


# --- laws

codes = st.sampled_from([GUNMA, MAEBASHI, TAKASAKI, EBETSU])
uses = st.none() | st.frozensets(st.sampled_from(["civic", "mobility", "health"]))
levels = st.none() | st.integers(0, 3)
ends = st.integers(-2, 5).map(lambda days: NOW + days * DAY)
targets = st.fixed_dictionaries({"list": st.sampled_from(["maebashi", "ebetsu"])}) | st.fixed_dictionaries(
    {"municipality": codes}
)
statements = st.lists(
    st.builds(
        lambda target, **kept: Recognition(**target, **kept),
        target=targets,
        id=st.text("abc", min_size=1, max_size=3),
        by=codes | st.just(EVERYONE),
        until=ends,
        uses=uses,
        maximum_identity=levels,
        scopes=st.none() | st.frozensets(st.sampled_from(["a.example", "b.example"])),
        statuses=st.frozensets(st.sampled_from(list(Status)), min_size=1),
        roles=st.none() | st.frozensets(st.sampled_from([IDP, Role.OPENID_PROVIDER])),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)
said = st.lists(
    st.builds(
        entity,
        listed_in=st.sampled_from(["maebashi", "ebetsu", "region"]),
        valid_until=ends,
        uses=uses,
        maximum_identity=levels,
        status=st.sampled_from(list(Status)),
        scopes=st.sampled_from([(), ("a.example",), ("a.example", "b.example")]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each.listed_in,
)
OWNERS = {"maebashi": MAEBASHI, "ebetsu": EBETSU}


def outcome(found, rules, relying, use):
    """Give the worth or the refusal's code."""
    try:
        return worth(found, rules, ENTITY, IDP, relying=relying, use=use, at=NOW)
    except NotTrustedError as why:
        return why.code


@settings(max_examples=300)
@given(said, statements, codes | st.none(), st.sampled_from([None, "civic", "health"]), st.data())
def test_the_order_in_which_anything_arrives_changes_nothing(entities, rules, relying, use, data):
    """Lists and statements are sets."""
    lists = [
        TrustList(name=each.listed_in, issued_at=NOW, valid_until=UNTIL, sequence=1, entities=(each,))
        for each in entities
    ]
    found = []
    for some, other in ((lists, rules), (data.draw(st.permutations(lists)), data.draw(st.permutations(rules)))):
        holder = TrustedSet()
        for each in some:
            holder.admit(each)
        found.append(outcome(holder, Recognitions(statements=tuple(other), owners=OWNERS), relying, use))
    assert found[0] == found[1]


@settings(max_examples=300)
@given(said, statements, statements, codes | st.none(), st.sampled_from([None, "civic", "health"]))
def test_recognition_never_raises_anything_above_a_lists_own_statement(entities, some, more, relying, use):
    """However much is recognised: no level, use, scope or end beyond what every list in force says."""
    names = {each.id for each in some}
    rules = Recognitions(
        statements=(*some, *(each for each in more if each.id not in names)), owners=OWNERS, maximum_length=4
    )
    found = outcome(trusted(*entities), rules, relying, use)
    if isinstance(found, str):
        return
    in_force = [each for each in entities if each.valid_until > NOW]
    for each in in_force:
        assert each.status is not Status.WITHDRAWN
        assert set(found.scopes) <= set(each.scopes)
        if each.maximum_identity is not None:
            assert found.maximum_identity is not None
            assert found.maximum_identity <= each.maximum_identity
        if each.uses is not None:
            assert found.uses is not None
            assert found.uses <= each.uses
            assert use in each.uses
    (word,) = [each for each in in_force if each.listed_in == found.listed_in]
    assert found.until <= word.valid_until
    for step in found.path:
        assert step in rules.statements
        assert found.until <= step.until
        assert step.maximum_identity is None or found.maximum_identity <= step.maximum_identity
        assert step.uses is None or (use in step.uses and found.uses <= step.uses)
        assert step.scopes is None or set(found.scopes) <= step.scopes


@settings(max_examples=300)
@given(said, statements, statements, codes | st.none(), st.sampled_from([None, "civic", "health"]))
def test_a_recognition_more_takes_nothing_away(entities, some, more, relying, use):
    """What was trusted stays trusted, at no lower level: recognitions add, lists and limits take away."""
    names = {each.id for each in some}
    found = trusted(*entities)
    before = outcome(found, Recognitions(statements=tuple(some), owners=OWNERS), relying, use)
    every = (*some, *(each for each in more if each.id not in names))
    after = outcome(found, Recognitions(statements=every, owners=OWNERS), relying, use)
    if not isinstance(before, str):
        assert not isinstance(after, str)
        no_limit = 4
        was, now = (no_limit if each.maximum_identity is None else each.maximum_identity for each in (before, after))
        assert now >= was


def test_a_withdrawal_that_is_announced_makes_no_status_better():
    """What one list grants until then counts as another list has it: recognised at national level only."""
    announced = entity(
        status=Status.WITHDRAWN, status_since=NOW + DAY, history=(StatusChange(Status.GRANTED, NOW - DAY),)
    )
    said = trusted(announced, entity(listed_in="other", status=Status.RECOGNISED))
    rules = region(recognition())
    assert refused(rules, said=said)[0] == "status-not-recognised"
    assert asked(region(recognition(statuses=frozenset({Status.RECOGNISED}))), said=said).until == NOW + DAY


def test_municipalities_that_all_recognise_one_another_are_answered():
    """Of very many paths only those are followed that may give more than another; the best one is still found."""
    codes = tuple(map(str, range(200)))
    mesh = tuple(
        recognition(f"{one}-{other}", by=one, municipality=other, maximum_identity=2 if one == codes[7] else 1)
        for one in codes
        for other in codes
        if one != other
    )
    rules = Recognitions(statements=mesh, owners={"maebashi": codes[-1]}, maximum_length=5)
    (direct,) = rules.terms(codes[0], "maebashi")
    assert [each.id for each in direct.path] == ["0-199"]
    (better,) = rules.terms(codes[7], "maebashi")
    assert (better.path[0].id, better.maximum_identity) == ("7-199", 2)


def test_a_longer_path_counts_where_it_gives_something_that_the_shorter_does_not():
    """Whatever is not narrower in every respect is kept, so that each use finds its path."""
    short = recognition("short", uses=frozenset({"civic"}), maximum_identity=1)
    long = (
        recognition("one", municipality=TAKASAKI, maximum_identity=3),
        recognition("two", by=TAKASAKI, maximum_identity=2, uses=frozenset({"civic", "library"})),
    )
    rules = region(short, *long)
    assert asked(rules, use="library").path == long
    assert [each.path for each in rules.terms(GUNMA, "maebashi")] == [long, (short,)]
    cheaper = replace(short, maximum_identity=3)
    assert asked(region(cheaper, *long)).path == (cheaper,)
    assert asked(region(cheaper, *long), use="library").path == long
