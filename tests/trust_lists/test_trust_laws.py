"""Laws of the whole: lists of all four formats, really signed and really read, in whatever order they arrive.

What is drawn is what authorities say and what municipalities recognise; nothing between that and the answer is made up.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.trust_lists.authority_simulator import (
    AUTHORITIES,
    DAY,
    MINUTE,
    SINCE,
    Listed,
    changed,
)
from tests.trust_lists.builders import NOW
from trust_lists.model import ListRefusedError, NotTrustedError, Role, Status
from trust_lists.recognition import EVERYONE, UNRESTRICTED, Recognition, Recognitions, worth
from trust_lists.trusted_set import TrustedSet

HOUR = timedelta(hours=1)
ARRIVAL = NOW + 10 * MINUTE
"""When all of them are read."""

GUNMA, MAEBASHI, TAKASAKI, EBETSU = "100005", "102016", "102024", "012173"
SOURCES = {
    "maebashi-saml": ("saml-metadata", MAEBASHI),
    "takasaki-saml": ("saml-metadata", TAKASAKI),
    "maebashi-certificates": ("etsi-119612", MAEBASHI),
    "gunma-openid": ("etsi-119602", GUNMA),
    "ebetsu-federation": ("openid-federation", EBETSU),
}
"""Lists of every format, and whose they are; every role but one stands in two of them at least."""

NEIGHBOURS = (
    (("maebashi-saml", "takasaki-saml"), Role.SAML_IDENTITY_PROVIDER),
    (("maebashi-certificates", "gunma-openid"), Role.CERTIFICATE_AUTHORITY),
    (("gunma-openid", "ebetsu-federation"), Role.OPENID_PROVIDER),
)
"""Lists that name the same entity in the same role."""

OWNERS = {name: owner for name, (_, owner) in SOURCES.items()}
ROLES = (
    Role.SAML_IDENTITY_PROVIDER,
    Role.SAML_SERVICE_PROVIDER,
    Role.OPENID_PROVIDER,
    Role.CERTIFICATE_AUTHORITY,
    Role.REGIONAL_SERVICE,
)
IDENTIFIERS = ("https://a.example/", "https://b.example/")
USES = ("civic", "mobility")
LEVELS = (None, 0, 1, 2, 3)
SCOPES = ("a.example", "b.example")
UNLIMITED = 4

uses = st.sampled_from([(), ("civic",), ("mobility",), USES])
settled = settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Without shrinking: every step of it would sign a region's lists again, for minutes."""


def listed(role):
    """Draw what a list says of an entity: most often what other lists say of it too."""
    return st.builds(
        Listed,
        entity_id=st.sampled_from([*IDENTIFIERS, IDENTIFIERS[0]]),
        role=st.just(role),
        municipality=st.sampled_from([MAEBASHI] * 5 + [TAKASAKI]),
        uses=uses,
        maximum_identity=st.sampled_from(LEVELS),
        withdrawn=st.sampled_from([False] * 5 + [True]),
        key=st.sampled_from(["member"] * 5 + ["other"]),
        scopes=st.sampled_from([SCOPES, SCOPES[:1], SCOPES[1:], ()]),
        since=st.sampled_from([SINCE, SINCE, NOW + HOUR + 30 * MINUTE, NOW + 2 * DAY]),
    )


def said_by(form):
    """Draw what a version of a list of that format says; SAML lists an entity once, whatever its roles."""
    once = form.kind == "saml-metadata"
    return st.lists(
        st.sampled_from(form.roles).flatmap(listed),
        min_size=2,
        max_size=2 if once else 4,
        unique_by=lambda each: (each.entity_id, None if once else each.role),
    )


def _ahead(authority):
    authority.issued_at += DAY
    return authority.document()


HARM = {
    "none": lambda authority: authority.document(),
    "another-key": lambda authority: authority.signed_by("stranger"),
    "unsigned": lambda authority: authority.unsigned(),
    "truncated": lambda authority: authority.truncated(0.7),
    "from-the-future": _ahead,
}
"""What arrives in the place of a version; each but the first is refused."""


@st.composite
def versions(draw, name, most, common):
    """Draw what arrives of one list: what its reader makes of each version that it admits.

    Each of them names an entity in the role `common`, if that is given.
    """
    kind, _ = SOURCES[name]
    form = AUTHORITIES[kind]
    found = []
    authority = form(name)
    pins = [authority.anchor]
    harms = st.sampled_from(["none"] * 4 + list(HARM) if most > 1 else ["none"])
    for harm in draw(st.lists(harms, min_size=1, max_size=most)):
        authority.renew()
        authority.lasts = draw(st.sampled_from([HOUR, DAY, 30 * DAY]))
        authority.listed = {}
        authority.put(*draw(said_by(form)))
        if common is not None:
            authority.remove(IDENTIFIERS[0])
            authority.put(changed(draw(listed(common)), entity_id=IDENTIFIERS[0]))
        kept = authority.issued_at
        try:
            found.append(authority.read(HARM[harm](authority), now=ARRIVAL, anchors=pins))
        except ListRefusedError:
            assert harm != "none"
        else:
            assert harm == "none"
        authority.issued_at = kept
    return found


@st.composite
def arrivals(draw, most=3):
    """Draw versions of some lists of all formats, in the order in which they were made."""
    anywhere = st.lists(st.sampled_from(list(SOURCES)), min_size=2, unique=True)
    names, common = draw(st.sampled_from(NEIGHBOURS) | st.tuples(anywhere, st.none()))
    return [each for name in names for each in draw(versions(name, most, common))]


limits = {
    "roles": st.none() | st.frozensets(st.sampled_from(ROLES), min_size=1),
    "statuses": st.sampled_from([frozenset({Status.GRANTED}), frozenset({Status.GRANTED, Status.WITHDRAWN})]),
    "uses": st.none() | st.frozensets(st.sampled_from(USES)),
    "maximum_identity": st.sampled_from(LEVELS),
    "scopes": st.none() | st.frozensets(st.sampled_from(SCOPES)),
    "since": st.sampled_from([None, NOW, NOW + DAY]),
    "until": st.sampled_from([NOW + 2 * HOUR, NOW + 100 * DAY]),
}
targets = st.sampled_from(list(SOURCES)).map(lambda name: {"list": name}) | st.sampled_from(
    [GUNMA, MAEBASHI, TAKASAKI, EBETSU]
).map(lambda code: {"municipality": code})
statements = st.builds(
    lambda target, **stated: Recognition(**target, **stated),
    targets,
    id=st.uuids().map(str),
    by=st.sampled_from([EVERYONE, GUNMA, MAEBASHI, TAKASAKI]),
    **limits,
)


def chained(name, first, second):
    """Give Gunma's recognition of what Maebashi recognises, and Maebashi's of another's list."""
    wide = {"roles": None, "since": None, "uses": None}
    return [
        replace(first, **wide, by=GUNMA, list=None, municipality=MAEBASHI),
        replace(second, **wide, by=MAEBASHI, list=name, municipality=None),
    ]


strangers = [name for name, owner in OWNERS.items() if owner not in (GUNMA, MAEBASHI)]
recognitions = st.lists(statements, max_size=5) | st.builds(chained, st.sampled_from(strangers), statements, statements)


def recognising(found):
    """Give recognitions of these statements."""
    return Recognitions(statements=tuple(found), owners=OWNERS)


def admitted(order):
    """Admit in that order; what is refused is refused as older than what is there."""
    trusted = TrustedSet()
    for trust_list in order:
        try:
            trusted.admit(trust_list)
        except ListRefusedError as refused:
            if refused.code != "rollback":
                raise
    return trusted


TIMES = (ARRIVAL, NOW + 2 * HOUR, NOW + 3 * DAY, NOW + 40 * DAY)
QUESTIONS = list(product(IDENTIFIERS, ROLES, TIMES))
ASKING = list(product((None, GUNMA, TAKASAKI, EBETSU), (None, "civic")))


def answer(question, *arguments, **kept):
    """Give the answer, or the code of its refusal."""
    try:
        return question(*arguments, **kept)
    except NotTrustedError as refused:
        return refused.code


def everything(trusted, rules):
    """Give everything that can be asked, and its answer."""
    return (
        trusted.lists(),
        trusted.highest(),
        trusted.conflicts(),
        {asked: answer(trusted.find, *asked) for asked in QUESTIONS},
        {
            (entity_id, role, at, relying, use): answer(
                worth, trusted, rules, entity_id, role, relying=relying, use=use, at=at
            )
            for (entity_id, role, at), (relying, use) in product(QUESTIONS, ASKING)
        },
    )


# --- the same words in every format


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        (role, [kind for kind, form in AUTHORITIES.items() if role in form.roles])
        for role in ROLES
        if sum(role in form.roles for form in AUTHORITIES.values()) > 1
    ],
)
def test_the_same_words_mean_the_same_in_every_format(role, kinds, withdrawn):
    """What one format can say of an entity reads from another as the same entity, and nothing is in dispute."""
    said = Listed(entity_id="https://a.example/", role=role, uses=("civic",), maximum_identity=2, withdrawn=withdrawn)
    stating = [AUTHORITIES[kind](f"list-{kind}", said) for kind in kinds if AUTHORITIES[kind].states_status]
    if not withdrawn:
        stating = [AUTHORITIES[kind](f"list-{kind}", said) for kind in kinds]
    trusted = TrustedSet()
    for authority in stating:
        trusted.admit(authority.read())
    assert trusted.conflicts() == ()
    own = {"listed_in": "", "names": {}, "status_since": None, "registered_by": None, "information": ()}
    first, *others = [replace(word, **own) for word in trusted.words(said.entity_id, role)]
    assert others == [first] * (len(stating) - 1)
    assert (answer(trusted.find, said.entity_id, role, NOW) == "withdrawn") is withdrawn


# --- order


@settled
@given(arrivals(), recognitions, st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(arriving, recognised, random):
    """Lists of all formats, newer versions and older ones, some twice and some refused: one final set.

    It is what the newest version of each list says, as if no other had ever come.
    """
    rules = recognising(recognised)
    newest = {each.name: each for each in sorted(arriving, key=lambda each: each.sequence)}
    expected = everything(admitted(newest.values()), rules)
    shuffled = [*arriving, *arriving[::2]]
    random.shuffle(shuffled)
    assert everything(admitted(arriving), rules) == expected
    assert everything(admitted(shuffled), rules) == expected
    assert everything(admitted(arriving[::-1]), rules) == expected


@settled
@given(arrivals(), st.randoms(use_true_random=False))
def test_a_restart_in_the_middle_makes_no_difference(arriving, random):
    """Of the life before, the highest numbers are known and nothing else: what arrives again is the same set."""
    random.shuffle(arriving)
    half = len(arriving) // 2
    before = admitted(arriving[:half])
    again = TrustedSet(before.highest())
    for trust_list in [*arriving[half:], *before.lists()]:
        if answer_of_check(again, trust_list) is None:
            again.admit(trust_list)
    assert everything(again, UNRESTRICTED) == everything(admitted(arriving), UNRESTRICTED)


def answer_of_check(trusted, trust_list):
    """Tell why a list would not be admitted, or None."""
    try:
        trusted.check(trust_list)
    except ListRefusedError as refused:
        return refused.code
    return None


# --- recognition


@pytest.mark.parametrize("kind", [kind for kind, form in AUTHORITIES.items() if form.numbered])
def test_an_announced_withdrawal_bounds_the_answer(kind):
    """What a list says today of a status that begins tomorrow is part of the answer's end."""
    tomorrow = NOW + DAY
    said = Listed(entity_id="https://a.example/", role=Role.OPENID_PROVIDER, withdrawn=True, since=tomorrow)
    trusted = admitted([AUTHORITIES[kind]("one", said).read()])
    asked = {"relying": None, "use": None}
    assert worth(trusted, UNRESTRICTED, said.entity_id, said.role, at=NOW, **asked).until == tomorrow
    assert answer(worth, trusted, UNRESTRICTED, said.entity_id, said.role, at=tomorrow, **asked) == "withdrawn"


def level(limit):
    """Give a level to compare: no limit is above all of them."""
    return UNLIMITED if limit is None else limit


def within(limit, word):
    """Tell whether what is allowed is no more than what a word allows; None allows everything."""
    return word is None or (limit is not None and limit <= word)


@settings(settled, max_examples=100)
@given(arrivals(most=1), recognitions, statements)
def test_no_recognition_raises_anything_above_any_lists_own_statement(arriving, recognised, added):
    """However generous a recognition is: level, uses, scopes and end are at most those of each list in force."""
    trusted = admitted(arriving)
    with_it, without = recognising([*recognised, added]), recognising(recognised)
    for (entity_id, role, at), (relying, use) in product(QUESTIONS, ASKING):
        asked = {"relying": relying, "use": use, "at": at}
        after = answer(worth, trusted, with_it, entity_id, role, **asked)
        before = answer(worth, trusted, without, entity_id, role, **asked)
        if isinstance(after, str):
            assert isinstance(before, str), "a recognition that is added takes nothing away"
            continue
        words = [word for word in trusted.words(entity_id, role) if at < word.valid_until]
        for word in words:
            assert word.status_at(at) is not Status.WITHDRAWN
            assert level(after.maximum_identity) <= level(word.maximum_identity)
            assert within(after.uses, word.uses)
            assert set(after.scopes) <= set(word.scopes)
            assert set(after.entity.signing_certificates) <= set(word.signing_certificates)
            assert (after.entity.municipality, after.entity.metadata) == (word.municipality, word.metadata)
        assert after.until <= next(word.valid_until for word in words if word.listed_in == after.listed_in)
        assert after.uses is None or use in after.uses
        for each in after.path:
            assert level(after.maximum_identity) <= level(each.maximum_identity)
            assert within(after.uses, each.uses)
            assert each.scopes is None or set(after.scopes) <= each.scopes
            assert at < after.until <= each.until
        if not isinstance(before, str):
            assert level(before.maximum_identity) <= level(after.maximum_identity)
        most = worth(trusted, UNRESTRICTED, entity_id, role, **asked)
        assert level(after.maximum_identity) <= level(most.maximum_identity)


@settled
@given(arrivals(most=1), recognitions)
def test_what_an_answer_allows_holds_until_it_says(arriving, recognised):
    """Nobody needs to ask again before `until`: no list, status or recognition that is known now narrows it earlier."""
    trusted = admitted(arriving)
    for rules, entity_id, role, (relying, use) in product(
        (recognising(recognised), UNRESTRICTED), IDENTIFIERS, ROLES, ASKING
    ):
        for at, later in combinations(TIMES, 2):
            now = answer(worth, trusted, rules, entity_id, role, relying=relying, use=use, at=at)
            if isinstance(now, str) or later >= now.until:
                continue
            then = worth(trusted, rules, entity_id, role, relying=relying, use=use, at=later)
            assert level(now.maximum_identity) <= level(then.maximum_identity)


@settings(settled, max_examples=100)
@given(arrivals(most=1), recognitions, st.sampled_from(list(SOURCES)))
def test_one_more_list_never_widens_what_another_says(arriving, recognised, removed):
    """A further list in force can only narrow the word of those that name the entity already."""
    rules = recognising(recognised)
    trusted = admitted(arriving)
    fewer = admitted(each for each in arriving if each.name != removed)
    for entity_id, role, at in QUESTIONS:
        less, more = answer(fewer.find, entity_id, role, at), answer(trusted.find, entity_id, role, at)
        if isinstance(less, str) and less in {"withdrawn", "disputed"}:
            assert more in {"withdrawn", "disputed"}
        if isinstance(less, str) or isinstance(more, str):
            continue
        assert level(more.maximum_identity) <= level(less.maximum_identity)
        assert within(more.uses, less.uses)
        assert set(more.scopes) <= set(less.scopes)
        assert set(more.signing_certificates) <= set(less.signing_certificates)
        for relying, use in ASKING:
            counted = answer(worth, trusted, rules, entity_id, role, relying=relying, use=use, at=at)
            if not isinstance(counted, str):
                assert level(counted.maximum_identity) <= level(less.maximum_identity)


@pytest.mark.parametrize("kind", AUTHORITIES)
@pytest.mark.parametrize("stated", [0, 1, 2, 3])
def test_a_generous_recognition_of_each_format(kind, stated):
    """A recognition up to level 3 for everything leaves a list's own level and uses as they are."""
    form = AUTHORITIES[kind]
    said = Listed(entity_id="https://a.example/", role=form.roles[0], uses=("civic",), maximum_identity=stated)
    trusted = TrustedSet()
    trusted.admit(form("one", said).read())
    generous = Recognition(id="all", by=EVERYONE, list="one", until=NOW + DAY, maximum_identity=3)
    rules = Recognitions(statements=(generous,), owners={})
    found = worth(trusted, rules, said.entity_id, said.role, relying=GUNMA, use="civic", at=NOW)
    assert (found.maximum_identity, found.uses, found.until) == (stated, frozenset({"civic"}), NOW + DAY)
    refused = answer(worth, trusted, rules, said.entity_id, said.role, relying=GUNMA, use="mobility", at=NOW)
    assert refused == "use-not-recognised"


@pytest.mark.parametrize("kind", AUTHORITIES)
def test_a_withdrawal_ends_a_recognition_at_once(kind):
    """The list's next version is enough, whatever was recognised."""
    form = AUTHORITIES[kind]
    said = Listed(entity_id="https://a.example/", role=form.roles[0], uses=("civic",))
    authority = form("one", said)
    trusted = TrustedSet()
    trusted.admit(authority.read())
    generous = Recognition(
        id="all", by=EVERYONE, list="one", until=NOW + DAY, statuses=frozenset({Status.GRANTED, Status.WITHDRAWN})
    )
    rules = Recognitions(statements=(generous,), owners={})
    asked = {"relying": GUNMA, "use": "civic", "at": NOW}
    assert worth(trusted, rules, said.entity_id, said.role, **asked).path == (generous,)
    authority.renew()
    authority.put(changed(said, withdrawn=True))
    trusted.admit(authority.read())
    expected = "withdrawn" if form.states_status else "unlisted"
    assert answer(worth, trusted, rules, said.entity_id, said.role, **asked) == expected
