"""Explaining trust: the path link by link, the link that fails, and what would mend it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.trust_lists.builders import NOW, UNTIL
from tests.trust_lists.test_recognition import (
    ENTITY,
    GUNMA,
    IDP,
    MAEBASHI,
    OWNERS,
    TAKASAKI,
    entity,
    recognition,
    region,
    trusted,
)
from trust_lists.explaining import _MENDING, _SENTENCES, explain
from trust_lists.model import Fault, Role, Status, TrustList
from trust_lists.recognition import LIMITS, UNRESTRICTED, Recognitions
from trust_lists.trusted_set import TrustedSet

DAY = timedelta(days=1)


def explained(rules, *, said=None, relying=GUNMA, use="civic", at=NOW, role=IDP, entity_id=ENTITY):
    """Give the one explanation."""
    (found,) = explain(said or trusted(entity()), rules, entity_id, role=role, relying=relying, use=use, at=at)
    return found


def broken(found):
    """Give the kinds of the links that fail."""
    return [link.kind for link in found.links if link.broken]


def test_a_trusted_entity_is_explained_from_list_to_recognition():
    """List, key, entry, status, limits, and each recognition in order, with where each is written."""
    rules = region(
        recognition("one", municipality=TAKASAKI, maximum_identity=2, place="recognition.yaml:4", agreement="第1号"),
        recognition("two", by=TAKASAKI),
    )
    said = TrustedSet()
    said.admit(
        TrustList(
            name="maebashi",
            issued_at=NOW,
            valid_until=UNTIL,
            sequence=7,
            entities=(entity(maximum_identity=3, registered_by="urn:authority"),),
            format="etsi-119602",
            anchor="ab" * 32,
        )
    )
    found = explained(rules, said=said)
    assert found.trusted
    assert [link.kind for link in found.links] == [
        *("list", "anchor", "entry", "status", "limits", "recognition", "recognition"),
    ]
    text = "\n".join(found.lines("en"))
    for expected in ("etsi-119602", "no. 7", "ab" * 32, "urn:authority", "recognition.yaml:4", "第1号", "at most 2,"):
        assert expected in text
    assert found.as_json()["path"] == ["one", "two"]


@pytest.mark.parametrize(
    ("kept", "code", "link"),
    [
        ({"rules": Recognitions(owners=OWNERS)}, "not-recognised", []),
        ({"rules": region(recognition(until=NOW))}, "recognition-ended", ["recognition"]),
        ({"rules": region(recognition(since=NOW + DAY))}, "recognition-not-yet", ["recognition"]),
        ({"rules": region(recognition(roles=frozenset()))}, "role-not-recognised", ["recognition"]),
        ({"rules": region(recognition(uses=frozenset({"health"})))}, "use-not-recognised", ["recognition"]),
        (
            {"rules": region(recognition()), "said": trusted(entity(uses=frozenset({"health"})))},
            "use-not-recognised",
            ["limits"],
        ),
        (
            {"rules": region(recognition()), "said": trusted(entity(status=Status.RECOGNISED))},
            "status-not-recognised",
            ["recognition"],
        ),
        ({"rules": UNRESTRICTED, "said": trusted(entity(status=Status.WITHDRAWN))}, "withdrawn", ["status"]),
        ({"rules": UNRESTRICTED, "at": UNTIL}, "expired", ["list"]),
        ({"rules": UNRESTRICTED, "said": trusted(entity(valid_until=NOW))}, "expired", ["entry"]),
        (
            {
                "rules": UNRESTRICTED,
                "said": trusted(entity(), entity(listed_in="other", municipality=MAEBASHI)),
            },
            "disputed",
            ["conflict"],
        ),
        ({"rules": UNRESTRICTED, "role": Role.OPENID_PROVIDER}, "other-role", []),
        ({"rules": UNRESTRICTED, "role": None, "entity_id": "https://b.example/"}, "unlisted", []),
    ],
)
def test_the_first_link_that_fails(kept, code, link):
    """It is the one that the refusal is about, and what would mend it is said in both languages."""
    found = explained(kept.pop("rules"), **kept)
    assert (found.trusted, found.code, broken(found)) == (False, code, link)
    for language in ("ja", "en"):
        assert found.lines(language)[-1] == found.mending(language) != ""
    assert found.as_json()["code"] == code


def test_an_entry_that_was_dropped_is_told_with_its_fault():
    """Whoever asks for an entity that a list misspelt learns so."""
    said = TrustedSet()
    fault = Fault(where=ENTITY, reason="KeyDescriptor: no certificate")
    said.admit(TrustList(name="maebashi", issued_at=NOW, valid_until=UNTIL, sequence=1, entities=(), faults=(fault,)))
    found = explained(UNRESTRICTED, said=said, role=None)
    assert (found.code, broken(found)) == ("dropped", ["dropped"])
    assert "KeyDescriptor: no certificate" in "\n".join(found.lines("ja"))


def test_each_role_is_explained_by_itself():
    """An entity with two roles may be trusted in one of them."""
    other = replace(entity(), roles=frozenset({Role.SAML_SERVICE_PROVIDER}), uses=frozenset({"health"}))
    said = TrustedSet()
    said.admit(TrustList(name="maebashi", issued_at=NOW, valid_until=UNTIL, sequence=1, entities=(entity(), other)))
    found = explain(said, UNRESTRICTED, ENTITY, relying=GUNMA, use="civic", at=NOW)
    assert [(each.role, each.trusted) for each in found] == [
        (Role.SAML_IDENTITY_PROVIDER, True),
        (Role.SAML_SERVICE_PROVIDER, False),
    ]


def test_every_refusal_has_words():
    """Each code of a limit says what would mend it; each sentence fills in the same facts in both languages."""
    assert {code for code, _ in LIMITS} < set(_MENDING)
    for english, japanese in _SENTENCES.values():
        facts = [sorted(part.split("}")[0] for part in text.split("{")[1:]) for text in (english, japanese)]
        assert facts[0] == facts[1]


def test_the_recognition_that_does_not_count_the_status_is_the_one_that_is_marked():
    """Not the first one of the path, which does count it."""
    first = recognition("one", municipality=TAKASAKI, statuses=frozenset({Status.GRANTED, Status.RECOGNISED}))
    found = explained(region(first, recognition("two", by=TAKASAKI)), said=trusted(entity(status=Status.RECOGNISED)))
    assert found.code == "status-not-recognised"
    assert [link.facts["id"] for link in found.links if link.broken] == ["two"]
