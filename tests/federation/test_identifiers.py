import base64
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from federation.identifiers import (
    IdentifierKeys,
    Identifiers,
    KeyName,
    PersonRef,
    SealRefusedError,
    UnknownKeyError,
)

PERSON, PAIRWISE, SEALING, OLD_SEALING = (bytes([i]) * 32 for i in range(1, 5))
KEYS = IdentifierKeys(person=PERSON, pairwise=PAIRWISE, sealing=SEALING)
IDENTIFIERS = Identifiers(KEYS)
KEY = IDENTIFIERS.present
SOMEBODY = IDENTIFIERS.person("https://id.maebashi.example", "resident-1")

texts = st.text(max_size=40)


@given(st.lists(st.tuples(texts, texts), min_size=2, max_size=5, unique=True))
def test_different_people_have_different_references(people):
    """However an entity ID and a subject are made up, and wherever one ends and the other begins."""
    assert len({IDENTIFIERS.person(*person) for person in people}) == len(people)


def test_where_a_part_ends_matters():
    """Without its length in front, ("ab", "c") and ("a", "bc") would be one person."""
    assert IDENTIFIERS.person("ab", "c") != IDENTIFIERS.person("a", "bc")


@given(texts, texts, st.lists(texts, min_size=2, max_size=5, unique=True))
def test_pairwise_identifiers_are_stable_within_a_sector_and_unlike_across(entity_id, subject, sectors):
    """The same person has one name per service, at every sign-in, and no two services share one."""
    person = IDENTIFIERS.person(entity_id, subject)
    names = [IDENTIFIERS.pairwise(person, sector, KEY) for sector in sectors]
    assert len({person, *names}) == len(sectors) + 1
    assert [Identifiers(KEYS).pairwise(person, sector, KEY) for sector in sectors] == names


def test_two_people_of_one_sector_differ():
    """One service can tell its residents apart."""
    other = IDENTIFIERS.person("https://id.maebashi.example", "resident-2")
    assert IDENTIFIERS.pairwise(SOMEBODY, "s", KEY) != IDENTIFIERS.pairwise(other, "s", KEY)


@given(texts)
def test_identifiers_fit_where_protocols_put_them(subject):
    """Within the 255 ASCII characters of an OpenID `sub` and SAML's 256; in one case, since `pairwise-id` has no other.

    Subject Identifier Attributes §3.3.1, §3.4.1: compared without case, letters and digits, 127 at most.
    """
    person = IDENTIFIERS.person("https://id.maebashi.example", subject)
    assert re.fullmatch("[A-Za-z0-9_-]{43}", person)
    for identifier in (
        IDENTIFIERS.pairwise(person, "s", KEY),
        IDENTIFIERS.subject_id(person, KEY),
        IDENTIFIERS.pseudonym(person, "s", "poll-17", key=KEY),
    ):
        assert re.fullmatch("[a-z2-7]{52}", identifier)


@given(texts, st.lists(st.tuples(texts, texts), min_size=2, max_size=5, unique=True))
def test_pseudonyms_of_two_contexts_are_unlike_each_other_and_everything_else(subject, contexts):
    """One per person and context: nothing by which poll 17 could be linked to poll 18 or to an account."""
    person = IDENTIFIERS.person("https://id.maebashi.example", subject)
    found = [IDENTIFIERS.pseudonym(person, "s", *context, key=KEY) for context in contexts]
    others = {person, IDENTIFIERS.pairwise(person, "s", KEY), IDENTIFIERS.subject_id(person, KEY)}
    assert len({*found, *others}) == len(contexts) + 3
    assert [Identifiers(KEYS).pseudonym(person, "s", *context, key=KEY) for context in contexts] == found


def test_where_a_context_ends_matters():
    """Segments of a path cannot be shifted from one name to the next."""
    found = {
        IDENTIFIERS.pseudonym(SOMEBODY, "s", *parts, key=KEY)
        for parts in (("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"))
    }
    assert len(found) == 5


def test_a_new_key_renames_nobody():
    """Who was named by the former key keeps every identifier; who comes new gets another, and both are known."""
    rotated = Identifiers(
        IdentifierKeys(person=PERSON, pairwise=OLD_SEALING, sealing=SEALING, other_pairwise=(PAIRWISE,))
    )
    assert rotated.person("https://id.maebashi.example", "resident-1") == SOMEBODY
    assert rotated.present != KEY
    assert rotated.pairwise(SOMEBODY, "s", KEY) == IDENTIFIERS.pairwise(SOMEBODY, "s", KEY)
    assert rotated.subject_id(SOMEBODY, KEY) == IDENTIFIERS.subject_id(SOMEBODY, KEY)
    assert rotated.pseudonym(SOMEBODY, "s", "c", key=KEY) == IDENTIFIERS.pseudonym(SOMEBODY, "s", "c", key=KEY)
    assert rotated.pairwise(SOMEBODY, "s", rotated.present) != IDENTIFIERS.pairwise(SOMEBODY, "s", KEY)
    assert (rotated.knows(KEY), IDENTIFIERS.knows(rotated.present)) == (True, False)


def test_by_an_unknown_key_nobody_is_named():
    """A machine without the region's keys gives nobody another name."""
    with pytest.raises(UnknownKeyError):
        IDENTIFIERS.pairwise(SOMEBODY, "s", KeyName("another"))


def test_another_gateway_makes_other_identifiers():
    """All of them hang on keys."""
    other = Identifiers(IdentifierKeys(person=PAIRWISE, pairwise=SEALING, sealing=PERSON))
    assert other.person("https://id.maebashi.example", "resident-1") != SOMEBODY
    assert other.pairwise(SOMEBODY, "s", other.present) != IDENTIFIERS.pairwise(SOMEBODY, "s", KEY)


def test_a_key_of_one_use_makes_nothing_of_another():
    """Even the same key bytes in another place give another value: each use has its own name inside."""
    swapped = Identifiers(IdentifierKeys(person=PAIRWISE, pairwise=PERSON, sealing=SEALING))
    named = swapped.pairwise(PersonRef("a"), "b", swapped.present)
    octets = base64.b32decode(named.upper() + "====")
    assert octets != base64.urlsafe_b64decode(IDENTIFIERS.person("a", "b") + "=")


def test_a_subject_with_a_lone_surrogate_has_a_reference():
    """JSON can carry one; an encoding error would quote the subject into a log."""
    assert len(IDENTIFIERS.person("e", "\ud800")) == 43


@given(texts)
def test_a_sealed_reference_opens_for_its_audience(audience):
    """It reads differently each time and always opens to the same person."""
    one, two = (IDENTIFIERS.seal(SOMEBODY, audience=audience) for _ in range(2))
    assert one != two
    assert [IDENTIFIERS.open(sealed, audience=audience) for sealed in (one, two)] == [SOMEBODY, SOMEBODY]


def test_a_sealed_reference_shows_nothing_of_the_person():
    """Not the reference, and not a length that differs between people."""
    other = IDENTIFIERS.person("e", "s" * 500)
    assert SOMEBODY not in IDENTIFIERS.seal(SOMEBODY, audience="a")
    assert len(IDENTIFIERS.seal(SOMEBODY, audience="a")) == len(IDENTIFIERS.seal(other, audience="a"))


def test_a_sealed_reference_is_refused_for_another_audience():
    """A token of one kind is worth nothing as another."""
    sealed = IDENTIFIERS.seal(SOMEBODY, audience="access-token")
    with pytest.raises(SealRefusedError):
        IDENTIFIERS.open(sealed, audience="flow")


def test_one_altered_character_is_refused():
    """Anywhere: in the key's name, the nonce, the content or the tag; and so is any truncation."""
    sealed = IDENTIFIERS.seal(SOMEBODY, audience="a")  # once: what is drawn below depends on it

    @given(st.integers(0, len(sealed) - 1), st.sampled_from("ABab01-_.=é"))
    def altered(at, other):
        assume(other != sealed[at])
        for wrong in (sealed[:at] + other + sealed[at + 1 :], sealed[:at], sealed + other):
            with pytest.raises(SealRefusedError):
                IDENTIFIERS.open(wrong, audience="a")

    altered()


@given(st.text())
def test_anything_else_is_refused(text):
    """One kind of refusal for all, which tells nothing of what was wrong."""
    with pytest.raises(SealRefusedError) as refused:
        IDENTIFIERS.open(text, audience="a")
    assert str(refused.value) == "not a sealed reference of this gateway"


def test_retired_keys_open_and_seal_nothing():
    """After a rotation old tokens still work; without the retired key they do not."""
    old = Identifiers(IdentifierKeys(person=PERSON, pairwise=PAIRWISE, sealing=OLD_SEALING))
    rotated = Identifiers(
        IdentifierKeys(person=PERSON, pairwise=PAIRWISE, sealing=SEALING, retired_sealing=(OLD_SEALING,))
    )
    sealed = old.seal(SOMEBODY, audience="a")
    assert rotated.open(sealed, audience="a") == SOMEBODY
    assert IDENTIFIERS.open(rotated.seal(SOMEBODY, audience="a"), audience="a") == SOMEBODY
    with pytest.raises(SealRefusedError):
        IDENTIFIERS.open(sealed, audience="a")


def test_weak_keys_are_not_taken():
    """Too short, or one key for two uses."""
    with pytest.raises(ValueError, match="32 bytes"):
        IdentifierKeys(person=b"short", pairwise=PAIRWISE, sealing=SEALING)
    with pytest.raises(ValueError, match="differ"):
        IdentifierKeys(person=PERSON, pairwise=PERSON, sealing=SEALING)


def test_keys_have_no_repr():
    """Reprs reach logs."""
    assert repr(KEYS) == "IdentifierKeys()"


# --- SAML's subject-id


def test_the_subject_id_is_the_persons_alone():
    """The same whichever service gets it, and another for everybody else."""
    other = IDENTIFIERS.person("https://id.maebashi.example", "resident-2")
    mine = IDENTIFIERS.subject_id(SOMEBODY, KEY)
    assert mine == Identifiers(KEYS).subject_id(SOMEBODY, KEY) != IDENTIFIERS.subject_id(other, KEY)
