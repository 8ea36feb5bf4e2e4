"""Collecting a federation: what is asked, whom nobody asks, what is skipped and told, and the bounds."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import (
    ANCHOR,
    CITY,
    OTHER_CITY,
    PARTY,
    PROVIDER,
    RP_METADATA,
    Member,
    Simulator,
    dump,
    jwks,
    leaf,
    read,
    region,
    seconds,
    superior,
)
from trust_lists.federation_collecting import MAXIMUM_LISTING, Limits, Wanted
from trust_lists.federation_tokens import MAXIMUM_BYTES
from trust_lists.model import ListRefusedError

STATEMENT = "application/entity-statement+jwt"


def skipped(simulator, **kept):
    """Collect, and tell who was left out and why."""
    content = json.loads(simulator.bundle(**kept))
    return [(each["entity"], each["reason"]) for each in content["skipped"]]


def subjects(simulator, **kept):
    """Collect and read, and tell who is trusted."""
    return [entity.entity_id for entity in read(simulator.bundle(**kept)).entities]


def test_the_walk():
    """The anchor, its list, each subordinate's statement and configuration, and on below: in a fixed order."""
    simulator = region()
    simulator.bundle()

    def asked(url, media_type=STATEMENT, limit=MAXIMUM_BYTES):
        return Wanted(url=url, media_type=media_type, limit=limit)

    assert simulator.asked == [
        asked(f"{ANCHOR}/.well-known/openid-federation"),
        asked(f"{ANCHOR}/list", "application/json", MAXIMUM_LISTING),
        asked(f"{ANCHOR}/fetch?sub=https%3A%2F%2Fcity.example"),
        asked(f"{CITY}/.well-known/openid-federation"),
        asked(f"{CITY}/list", "application/json", MAXIMUM_LISTING),
        asked(f"{CITY}/fetch?sub=https%3A%2F%2Fop.city.example"),
        asked(f"{PROVIDER}/.well-known/openid-federation"),
        asked(f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example"),
        asked(f"{PARTY}/.well-known/openid-federation"),
    ]


def test_the_bundle():
    """Exactly the anchor's word, a chain for each subject, and nobody skipped."""
    content = json.loads(region().bundle())
    assert set(content) == {"anchor", "chains", "skipped"}
    assert sorted(len(chain) for chain in content["chains"]) == [2, 3, 3]
    assert content["skipped"] == []


# --- the anchor


def test_an_anchor_that_does_not_answer():
    """Without the anchor there is no federation: an error, in words."""
    simulator = region()
    simulator.silent.add(f"{ANCHOR}/.well-known/openid-federation")
    with pytest.raises(ListRefusedError, match="does not answer") as refused:
        simulator.bundle()
    assert refused.value.code == "unanswered"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"<html>", "format"),
        (b"\xff", "unanswered"),
        (Member(ANCHOR, key="stranger").configuration().encode(), "signature"),
        (Member("https://other.example", key=ANCHOR).configuration().encode(), "other-list"),
        (Member(ANCHOR).configuration(exp=seconds(timedelta(seconds=1)), iat=0).encode(), "expired"),
        (Member(ANCHOR).configuration(iat=seconds(timedelta(hours=1))).encode(), "future"),
    ],
)
def test_an_anchor_that_is_not_believed(answer, code):
    """Nobody is asked after an anchor that is not the pinned one, or not in force."""
    simulator = region()
    simulator.answers[f"{ANCHOR}/.well-known/openid-federation"] = answer
    with pytest.raises(ListRefusedError) as refused:
        simulator.bundle(now=NOW + timedelta(seconds=1))
    assert (refused.value.code, len(simulator.asked)) == (code, 1)


# --- who is skipped


@pytest.mark.parametrize(
    ("url", "answer", "expected"),
    [
        (f"{ANCHOR}/list", None, (ANCHOR, "unanswered-list")),
        (f"{ANCHOR}/list", b"{}", (ANCHOR, "list-format")),
        (f"{ANCHOR}/list", b"[1]", (ANCHOR, "list-format")),
        (f"{ANCHOR}/list", b'["city"]', (ANCHOR, "list-format")),
        (f"{ANCHOR}/list", b"not json", (ANCHOR, "list-format")),
        (f"{ANCHOR}/list", b" " * (MAXIMUM_LISTING + 1), (ANCHOR, "list-format")),
        (f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example", None, (PARTY, "unanswered")),
        (f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example", b"x", (PARTY, "format")),
        (f"{PARTY}/.well-known/openid-federation", None, (PARTY, "unanswered")),
        (f"{PARTY}/.well-known/openid-federation", b"x" * (MAXIMUM_BYTES + 1), (PARTY, "unanswered")),
        (f"{PARTY}/.well-known/openid-federation", b"\xff", (PARTY, "unanswered")),
        (
            f"{PARTY}/.well-known/openid-federation",
            Member(PARTY, key="stranger").configuration().encode(),
            (PARTY, "unknown-key"),
        ),
        (
            f"{PARTY}/.well-known/openid-federation",
            Member(PROVIDER, key=PARTY).configuration().encode(),
            (PARTY, "other-subject"),
        ),
        (
            f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example",
            Member(CITY).statement(PROVIDER, jwks=jwks(PARTY)).encode(),
            (PARTY, "other-subject"),
        ),
        (
            f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example",
            Member(CITY).statement(PARTY, exp=seconds(), iat=0).encode(),
            (PARTY, "expired"),
        ),
    ],
)
def test_whoever_does_not_answer_well_is_skipped_alone(url, answer, expected):
    """The others are collected, and the operator is told."""
    simulator = region()
    if answer is None:
        simulator.silent.add(url)
    else:
        simulator.answers[url] = answer
    assert skipped(simulator) == [expected]
    assert PARTY not in subjects(simulator)
    assert (PROVIDER in subjects(simulator)) is (expected[0] == PARTY)


def test_a_superior_without_endpoints():
    """Whoever publishes no list cannot be walked below; whoever has no fetch endpoint vouches for nobody."""
    simulator = region()
    simulator.members[ANCHOR].own["metadata"] = {"federation_entity": {}}
    assert skipped(simulator) == [(ANCHOR, "no-endpoint")]
    simulator = region()
    del simulator.members[CITY].own["metadata"]["federation_entity"]["federation_fetch_endpoint"]
    assert skipped(simulator) == [(PROVIDER, "no-endpoint"), (PARTY, "no-endpoint")]


@pytest.mark.parametrize(
    "address", ["http://city.example/list", "file:///etc/passwd", "https://u@city.example/", 7, None]
)
def test_addresses_that_are_no_https_addresses(address):
    """They are never asked."""
    simulator = region()
    simulator.members[CITY].own["metadata"]["federation_entity"]["federation_list_endpoint"] = address
    simulator.bundle()
    assert {wanted.url.partition("://")[0] for wanted in simulator.asked} == {"https"}
    assert len(simulator.asked) == 4


def test_a_stranger_is_never_asked_for_its_subordinates():
    """An intermediate entity whose key its superior does not know has its addresses ignored."""
    simulator = region()
    simulator.members[CITY].key = "stranger"
    assert skipped(simulator) == [(CITY, "unknown-key")]
    assert f"{CITY}/list" not in [wanted.url for wanted in simulator.asked]


@pytest.mark.parametrize("hints", [None, [OTHER_CITY]])
def test_nobody_is_adopted(hints):
    """§3.2 step 6: an intermediate entity that does not name its superior is not walked below."""
    simulator = region()
    simulator.members[CITY].own["authority_hints"] = hints
    assert skipped(simulator) == [(CITY, "not-acknowledged")]


def test_an_endpoint_with_a_query():
    """§5.1.1: it may have one; the parameter is added to it."""
    simulator = region()
    simulator.members[CITY].own["metadata"]["federation_entity"]["federation_fetch_endpoint"] = f"{CITY}/fetch?v=1"
    simulator.bundle()
    assert f"{CITY}/fetch?v=1&sub=https%3A%2F%2Fop.city.example" in [wanted.url for wanted in simulator.asked]


# --- what was collected before


def test_an_entity_that_is_down_for_a_while():
    """Its superior vouches for it still, so what it said of itself before holds until its end."""
    simulator = region()
    before = simulator.bundle()
    simulator.silent.add(f"{PARTY}/.well-known/openid-federation")
    assert PARTY not in subjects(simulator)
    assert (subjects(simulator, previous=before), skipped(simulator, previous=before)) == ([PROVIDER, PARTY], [])
    for useless in (b"", b"{}", b"x"):
        assert PARTY not in subjects(simulator, previous=useless)


def test_a_former_word_is_believed_no_longer_than_it_holds():
    """An expired one, or one by a key that the superior dropped, brings nobody back."""
    simulator = region()
    simulator.members[PARTY].own["exp"] = seconds(timedelta(minutes=1))
    before = simulator.bundle()
    simulator.silent.add(f"{PARTY}/.well-known/openid-federation")
    assert skipped(simulator, previous=before, now=NOW + timedelta(minutes=1)) == [(PARTY, "expired")]
    simulator.members[CITY].about[PARTY]["jwks"] = jwks("new-key")
    assert skipped(simulator, previous=before) == [(PARTY, "unknown-key")]


def test_the_newest_former_word_is_taken():
    """Of several in the bundle."""
    simulator = region()
    older = simulator.chain(PARTY, CITY, ANCHOR)
    simulator.members[PARTY].own["iat"] = seconds(-timedelta(hours=1))
    oldest = simulator.chain(PARTY, CITY, ANCHOR)
    simulator.silent.add(f"{PARTY}/.well-known/openid-federation")
    content = json.loads(simulator.bundle(previous=dump(simulator, oldest, older)))
    assert older[0] in [chain[0] for chain in content["chains"]]


def test_a_superior_whose_list_is_down():
    """Those of whom it spoke are asked for again; whom it no longer vouches for is out at once, whatever was before."""
    simulator = region()
    before = simulator.bundle()
    simulator.silent.update({f"{CITY}/list", f"{CITY}/fetch?sub=https%3A%2F%2Frp.city.example"})
    assert subjects(simulator, previous=before) == [PROVIDER]
    assert skipped(simulator, previous=before) == [(CITY, "unanswered-list"), (PARTY, "unanswered")]


# --- loops and bounds


def test_a_loop_of_superiors():
    """Entities that list one another, or the anchor, or themselves, are walked once."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, CITY, ANCHOR)
    simulator.below(CITY, OTHER_CITY, CITY, ANCHOR).below(OTHER_CITY, CITY, OTHER_CITY)
    assert skipped(simulator) == [(ANCHOR, "loop"), (CITY, "loop"), (OTHER_CITY, "loop")]
    assert subjects(simulator) == [PROVIDER, PARTY]


def test_two_ways_to_one_entity():
    """An entity under two superiors has two chains, its configuration is asked for once, its subordinates too."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, ANCHOR)
    simulator.below(ANCHOR, OTHER_CITY).below(OTHER_CITY, PARTY)
    simulator.members[PARTY].own["authority_hints"] = [CITY, OTHER_CITY]
    content = json.loads(simulator.bundle())
    urls = [wanted.url for wanted in simulator.asked]
    assert len(urls) == len(set(urls))
    assert sorted(len(chain) for chain in content["chains"]) == [2, 2, 3, 3, 3]


def test_ten_thousand_subordinates_are_bounded():
    """What lies beyond the bound is left out and told; what was collected is not lost."""
    simulator = region()
    simulator.answers[f"{CITY}/list"] = json.dumps(
        [PARTY, PROVIDER, *(f"https://s{number:05}.example" for number in range(10_000))]
    ).encode()
    limits = Limits(statements=20)
    assert skipped(simulator, limits=limits)[0] == (CITY, "too-many")
    assert len([wanted for wanted in simulator.asked if "sub=" in wanted.url]) == 20
    assert subjects(simulator, limits=limits) == [PROVIDER, PARTY]


def test_one_branch_leaves_room_for_the_others():
    """An intermediate entity that names thousands, itself or through others below it, keeps out its own alone."""
    simulator = region()
    greedy, below = "https://aaa.example", "https://bbb.example"
    simulator.members[greedy] = superior(greedy, ANCHOR)
    simulator.members[below] = superior(below, greedy)
    simulator.below(ANCHOR, greedy).below(greedy, below)
    invented = [f"https://s{number:05}.example" for number in range(100)]
    for name in invented:
        simulator.members[name] = leaf(name, below, openid_relying_party=RP_METADATA)
    simulator.below(below, *invented)
    simulator.members[CITY] = superior(CITY, ANCHOR)
    simulator.below(CITY, PROVIDER, PARTY)
    limits = Limits(statements=40, branch=20)
    found = set(subjects(simulator, limits=limits))
    assert {PROVIDER, PARTY} < found
    assert len(found) < 22
    assert (below, "too-many") in skipped(simulator, limits=limits)


def test_octets_are_bounded():
    """So is the size of what is kept."""
    simulator = region()
    assert skipped(simulator, limits=Limits(octets=3000)) == [(CITY, "too-many")]


def test_depth_is_bounded():
    """Below the deepest intermediate entity that a chain may have nobody is asked."""
    names = [ANCHOR, *(f"https://i{number}.example" for number in range(4))]
    members = [superior(name, *names[max(0, position - 1) : position]) for position, name in enumerate(names)]
    simulator = Simulator(*members, leaf(PARTY, names[-1], openid_relying_party=RP_METADATA))
    for above, below in zip(names, [*names[1:], PARTY], strict=True):
        simulator.below(above, below)
    assert subjects(simulator) == [PARTY]
    assert skipped(simulator, limits=Limits(intermediates=3)) == [(names[-1], "too-deep")]


def test_paths_through_a_mesh_are_bounded():
    """Many superiors of one intermediate entity do not multiply what is below it."""
    tops = [f"https://t{number}.example" for number in range(10)]
    simulator = Simulator(
        superior(ANCHOR),
        *(superior(top, ANCHOR) for top in tops),
        superior(CITY, *tops),
        leaf(PARTY, CITY, openid_relying_party=RP_METADATA),
    ).below(ANCHOR, *tops)
    for top in tops:
        simulator.below(top, CITY)
    simulator.below(CITY, PARTY)
    content = json.loads(simulator.bundle())
    assert len([chain for chain in content["chains"] if len(chain) == 4]) == Limits().paths


@settings(max_examples=15)
@given(st.permutations([PROVIDER, PARTY, OTHER_CITY]))
def test_the_order_of_a_list_does_not_matter(order):
    """A superior may list its subordinates in any order, and twice: the walk is the same."""
    simulator = region()
    simulator.members[OTHER_CITY] = superior(OTHER_CITY, CITY)
    simulator.below(CITY, OTHER_CITY)
    simulator.answers[f"{CITY}/list"] = json.dumps([*order, *order]).encode()
    simulator.bundle()
    fetched = [wanted.url.rpartition("%2F%2F")[2] for wanted in simulator.asked if f"{CITY}/fetch" in wanted.url]
    assert fetched == ["op.city.example", "other-city.example", "rp.city.example"]
