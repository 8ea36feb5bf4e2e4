"""Digests of what lists say: the same for the same words, whoever signed them and when."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from tests.trust_lists.builders import NOW, UNTIL
from trust_lists import contents
from trust_lists.comparing import compare
from trust_lists.model import Endpoint, Fault, Pointer, Role, Status, StatusChange, TrustedEntity, TrustList

DAY = timedelta(days=1)
IDP = Role.SAML_IDENTITY_PROVIDER

PLAIN = TrustedEntity(
    entity_id="https://a.example/",
    roles=frozenset({IDP}),
    listed_in="region",
    valid_until=UNTIL,
    names={"ja": "前橋市", "en": "Maebashi"},
    metadata={"b": [1], "a": {"y": 1, "x": 2}},
    uses=frozenset({"civic", "mobility", "health"}),
)

OTHERWISE = {
    "entity_id": "https://b.example/",
    "roles": frozenset({Role.SAML_SERVICE_PROVIDER}),
    "listed_in": "elsewhere",
    "valid_until": UNTIL + DAY,
    "municipality": "102016",
    "names": {"en": "Maebashi"},
    "signing_certificates": (b"one",),
    "encryption_certificates": (b"one",),
    "endpoints": (Endpoint(IDP, "kind", "binding", "https://a.example/"),),
    "metadata": {"b": [1]},
    "wants_signed_requests": True,
    "wants_signed_assertions": True,
    "maximum_identity": 0,
    "encryption_methods": ("a",),
    "scopes": ("a.example",),
    "subject_id": "any",
    "status": Status.RECOGNISED,
    "status_since": NOW,
    "history": (StatusChange(Status.GRANTED, NOW),),
    "uses": frozenset({"civic"}),
    "service_type": "urn:a",
    "information": ("urn:a",),
    "registered_by": "https://region.example",
    "permitted": {"a": ("b",)},
}
"""Another value for each field of an entity."""

FIELDS = [each.name for each in fields(TrustedEntity)]
TIMES_AND_PLACE = ("entity_id", "roles", "listed_in", "valid_until")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_part_of_what_is_said(name):
    """Nothing can change unnoticed; who it is and as what is told beside what lasts, until when is not."""
    other = replace(PLAIN, **{name: OTHERWISE[name]})
    assert contents.digest([other]) != contents.digest([PLAIN])
    same = contents.lasting(("x",), [other]) == contents.lasting(("x",), [PLAIN])
    assert same is (name in TIMES_AND_PLACE)


def test_the_order_of_names_and_of_a_set_is_no_content():
    """Formats answer mappings in their own order, and every process iterates over sets in another one."""
    other = replace(
        PLAIN,
        names=dict(reversed(PLAIN.names.items())),
        metadata={"a": {"x": 2, "y": 1}, "b": [1]},
        uses=frozenset(["mobility", "health", "civic"]),
    )
    assert contents.digest([other]) == contents.digest([PLAIN])
    assert contents.lasting(("x",), [other]) == contents.lasting(("x",), [PLAIN])


def test_texts_and_entities_are_told_apart():
    """No two different things run together into one."""
    assert contents.of_texts("ab", "c") != contents.of_texts("a", "bc")
    assert contents.digest([PLAIN, PLAIN]) != contents.digest([PLAIN])
    pointers = [Pointer(location="https://list.example/", certificates=each) for each in ((), (b"one",))]
    assert len({contents.digest([PLAIN], pointing) for pointing in ((), pointers[:1], pointers[1:], pointers)}) == 4
    assert contents.lasting(("a", "b"), [PLAIN]) != contents.lasting(("ab",), [PLAIN])


# --- what is asked of whoever approves


def version(*entities, **changed):
    """Give a version of a list."""
    stated = {"issued_at": NOW, "valid_until": UNTIL, "sequence": 1, "anchor": "key", **changed}
    return TrustList(name="region", entities=entities, **stated)


def renewed(trust_list, after=DAY):
    """Give the same list as it is signed later."""
    until = trust_list.valid_until + after
    return replace(
        trust_list,
        issued_at=trust_list.issued_at + after,
        valid_until=until,
        sequence=trust_list.sequence + 1,
        digest="another",
        entities=tuple(replace(each, valid_until=each.valid_until + after) for each in trust_list.entities),
    )


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("listed_in", "valid_until")])
def test_a_renewal_asks_for_the_same_and_a_change_for_something_else(name):
    """What is approved of an entity is all that is said of it, except until when."""
    old = version()
    asked = compare(old, version(PLAIN)).asked
    assert len(asked) == 1
    assert compare(renewed(old), renewed(version(PLAIN), 2 * DAY)).asked == asked
    other = replace(PLAIN, **{name: OTHERWISE[name]})
    assert not compare(old, version(other)).asked & asked


@pytest.mark.parametrize("changed", [{"anchor": "another key"}, {"format": "saml-metadata"}])
def test_the_same_words_on_another_key_are_asked_for_anew(changed):
    """What one authority's word was approved for is no ground for another's."""
    asked = compare(version(), version(PLAIN)).asked
    assert not compare(version(**changed), version(PLAIN, **changed)).asked & asked


def test_nothing_is_asked_where_nothing_is_wider():
    """Renewals, removals and withdrawals; faults are told and ask for nothing."""
    old = version(PLAIN)
    for new in (
        renewed(old),
        version(),
        version(replace(PLAIN, status=Status.WITHDRAWN, status_since=NOW)),
        version(PLAIN, faults=(Fault(where="x", reason="y"),)),
    ):
        assert compare(old, new).asked == frozenset()


def test_everything_wider_is_asked_for():
    """The list's own pointers, and an entity that begins again after it had ended, whose words were approved before."""
    old = version(PLAIN)
    pointed = version(PLAIN, pointers=(Pointer(location="https://list.example/"),))
    assert len(compare(old, pointed).asked) == 1
    ended = version(replace(PLAIN, valid_until=NOW + DAY))
    again = replace(version(PLAIN), issued_at=NOW + 2 * DAY)
    revived = compare(ended, again).asked
    assert len(revived) == 1
    assert not revived & compare(version(), version(PLAIN)).asked


def test_the_first_version_asks_for_itself_and_for_everybody_on_it():
    """Its end is none of it."""
    first = version(PLAIN, replace(PLAIN, entity_id="https://b.example/"))
    asked = compare(None, first).asked
    assert len(asked) == 3
    assert compare(None, renewed(first)).asked == asked
