"""What changed between two versions of a list, and whether anything is trusted that was not."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_lists.builders import NOW, POST, UNTIL, authority, public_jwks
from trust_lists import certificates
from trust_lists.comparing import RULES, compare
from trust_lists.comparing_words import SENTENCES
from trust_lists.model import (
    Endpoint,
    Fault,
    NotTrustedError,
    Pointer,
    Role,
    Status,
    StatusChange,
    TrustedEntity,
    TrustList,
)
from trust_lists.trusted_set import TrustedSet

IDP, SP, RP = Role.SAML_IDENTITY_PROVIDER, Role.SAML_SERVICE_PROVIDER, Role.OPENID_RELYING_PARTY
ID = "https://idp.example/"
DAY = timedelta(days=1)


def entity(**changed):
    """An ID system with every limit stated."""
    stated = {
        "entity_id": ID,
        "roles": frozenset({IDP}),
        "listed_in": "region",
        "valid_until": UNTIL,
        "municipality": "012173",
        "names": {"ja": "江別市", "en": "Ebetsu City"},
        "signing_certificates": (b"one", b"two"),
        "encryption_certificates": (b"three",),
        "endpoints": (Endpoint(IDP, "SingleSignOnService", POST, "https://idp.example/sso"),),
        "maximum_identity": 2,
        "scopes": ("ebetsu.example",),
        "uses": frozenset({"civic"}),
        "status_since": NOW - 30 * DAY,
        "registered_by": "https://region.example",
        **changed,
    }
    return TrustedEntity(**stated)


def version(*entities, **changed):
    """A version of the list."""
    stated = {"name": "region", "issued_at": NOW, "valid_until": UNTIL, "sequence": 1, "entities": entities, **changed}
    return TrustList(**stated)


def changes(was, now):
    """The codes of the changes of one entity, and whether they widen."""
    return {change.code: change.widens for change in compare(version(was), version(now)).changes}


SSO = entity().endpoints[0]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"signing_certificates": (b"one", b"two", b"new")}, {"signing-key-added": True}),
        ({"signing_certificates": (b"two",)}, {"signing-key-removed": False}),
        ({"signing_certificates": (b"two", b"one")}, {}),
        ({"signing_certificates": (b"new",)}, {"signing-key-added": True, "signing-key-removed": False}),
        ({"signing_certificates": ()}, {"signing-key-none-left": True}),
        ({"encryption_certificates": (b"three", b"four")}, {"encryption-key-added": True}),
        ({"encryption_certificates": ()}, {"encryption-key-none-left": True}),
        ({"encryption_methods": ("a",)}, {"encryption-methods": True}),
        ({"endpoints": (SSO, SSO._replace(location="https://evil.example/"))}, {"address-added": True}),
        ({"endpoints": (SSO._replace(is_default=True),)}, {"address-added": True}),
        ({"endpoints": (SSO._replace(response_location="https://evil.example/"),)}, {"address-added": True}),
        ({"endpoints": ()}, {"address-removed": False}),
        ({"municipality": "102016"}, {"municipality": True}),
        ({"municipality": None}, {"municipality": True}),
        ({"names": {"ja": "江別市", "en": "Gunma"}}, {"renamed": True}),
        ({"names": {"ja": "江別市"}}, {"name-removed": False}),
        ({"maximum_identity": 3}, {"level-rose": True}),
        ({"maximum_identity": None}, {"level-rose": True}),
        ({"maximum_identity": 0}, {"level-fell": False}),
        ({"scopes": ("ebetsu.example", "library.example")}, {"scope-added": True}),
        ({"scopes": ()}, {"scope-removed": False}),
        ({"uses": None}, {"uses-unlimited": True}),
        ({"uses": frozenset({"civic", "mobility"})}, {"use-added": True}),
        ({"uses": frozenset({"mobility"})}, {"use-added": True, "use-removed": False}),
        ({"uses": frozenset()}, {"use-removed": False}),
        ({"wants_signed_requests": True}, {"signed-requests-asked": False}),
        ({"wants_signed_assertions": True}, {"signed-assertions-asked": False}),
        ({"subject_id": "any"}, {"subject-id": True}),
        ({"service_type": "urn:x"}, {"service-type": True}),
        ({"information": ("urn:x",)}, {"information": True}),
        ({"registered_by": "https://other.example"}, {"registrar": True}),
        ({"metadata": {"client_name": "x"}}, {"metadata": True}),
        ({"status": Status.WITHDRAWN, "status_since": NOW}, {"withdrawn": False}),
        ({"status": Status.RECOGNISED}, {"status": True}),
        ({"status_since": NOW}, {"status-times": False}),
        ({"status_since": NOW - 60 * DAY}, {"status-times-wider": True}),
        ({"status_since": None}, {"status-times-wider": True}),
        ({"history": (StatusChange(Status.GRANTED, NOW - 60 * DAY),)}, {"status-times-wider": True}),
        ({"history": (StatusChange(Status.WITHDRAWN, NOW - 60 * DAY),)}, {"status-times": False}),
        ({"valid_until": UNTIL - DAY}, {"entity-valid-shorter": False}),
        ({"listed_in": "another"}, {}),
    ],
)
def test_each_change_is_told_and_weighed(changed, found):
    """Additions, and whatever has no narrower direction, widen; removals, limits and renewals do not."""
    assert changes(entity(), entity(**changed)) == found


def test_protections_that_end_are_wider():
    """Signatures that are no longer asked for are wider."""
    was = entity(wants_signed_requests=True, wants_signed_assertions=True)
    assert changes(was, entity()) == {
        "signed-requests-no-longer-asked": True,
        "signed-assertions-no-longer-asked": True,
    }


def test_withdrawn_and_granted_again():
    """Granted again is wider, and so is the end of a withdrawal that bound other lists' words."""
    withdrawn = entity(status=Status.WITHDRAWN, status_since=NOW)
    assert changes(withdrawn, entity())["granted"] is True
    assert changes(withdrawn, replace(entity(), status=Status.RECOGNISED))["granted"] is True
    assert {c.code: c.widens for c in compare(version(withdrawn), version()).changes} == {"left-withdrawn": True}
    soon = entity(status_since=NOW + DAY, history=(StatusChange(Status.WITHDRAWN, NOW - DAY),))
    assert {c.code: c.widens for c in compare(version(soon), version()).changes} == {"left-withdrawn": True}
    assert {c.code: c.widens for c in compare(version(entity()), version()).changes} == {"left": False}


def test_a_withdrawal_that_rewrites_the_past_to_the_better_is_wider():
    """Signatures of former times are judged by the history: one that grants more is wider, whatever holds today."""
    now = entity(
        status=Status.WITHDRAWN,
        status_since=NOW + DAY,
        history=(StatusChange(Status.GRANTED, NOW - 90 * DAY),),
    )
    assert changes(entity(), now) == {"withdrawn": False, "status-times-wider": True}


def test_registered_metadata_of_openid():
    """Keys and redirect addresses know a direction; everything else that changes counts as wider."""
    base = {"redirect_uris": ["https://rp.example/a", "https://rp.example/b"], "jwks": public_jwks()}
    was = entity(roles=frozenset({RP}), metadata=base)

    def changed(**new):
        return changes(was, replace(was, metadata={**base, **new}))

    assert changed(redirect_uris=["https://rp.example/b"]) == {"address-removed": False}
    assert changed(redirect_uris=["https://rp.example/b", "https://rp.example/a"]) == {}
    assert changed(redirect_uris=["https://evil.example/"]) == {"address-added": True, "address-removed": False}
    assert changed(redirect_uris="https://evil.example/") == {"metadata": True}
    two = {"keys": [*public_jwks()["keys"], *public_jwks("other")["keys"]]}
    assert changed(jwks=two) == {"key-added": True}
    assert changes(replace(was, metadata={**base, "jwks": two}), was) == {"key-removed": False}
    assert changed(jwks={"keys": [{**public_jwks()["keys"][0], "use": "enc"}]}) == {
        "key-added": True,
        "key-removed": False,
    }
    assert changed(jwks={**public_jwks(), "more": 1}) == {"metadata": True}
    assert changed(jwks=[1]) == {"metadata": True}
    assert changed(jwks={"keys": [{"kty": "odd"}]}) == {"key-added": True, "key-removed": False}
    assert changed(token_endpoint_auth_method="none") == {"metadata": True}
    without = replace(was, metadata={"redirect_uris": base["redirect_uris"]})
    assert changes(without, was) == {"key-added": True, "metadata": True}
    assert changes(was, without) == {"key-removed": False, "metadata": True}
    assert changes(was, replace(was, metadata={"jwks": public_jwks()})) == {"address-removed": False}


def test_what_concerns_the_list_itself():
    """Name, format and an older number are wider; another pinned key, its times and entries left out are only told."""
    was = version(pointers=(Pointer(location="https://a.example/"),), format="x", anchor="a")
    found = compare(
        was,
        version(
            name="other",
            format="y",
            anchor="b",
            sequence=0,
            valid_until=UNTIL + DAY,
            pointers=(Pointer(location="https://a.example/", certificates=(b"k",)),),
            faults=(Fault(where="https://x.example/", reason="is wrong"),),
        ),
    )
    assert {change.code: change.widens for change in found.changes} == {
        "other-list": True,
        "other-format": True,
        "older": True,
        "pointer-added": True,
        "pointer-removed": False,
        "other-anchor": False,
        "valid-longer": False,
        "entry-dropped": False,
    }
    assert [change.widens for change in found.changes] == [True] * 4 + [False] * 4


def test_a_renewal_is_one_line_and_not_wider():
    """The same entities until a later day: only the list's own end is told."""
    later = replace(entity(), valid_until=UNTIL + DAY)
    found = compare(version(entity()), version(later, valid_until=UNTIL + DAY, sequence=2, issued_at=NOW + DAY))
    assert ([change.code for change in found.changes], found.widens) == (["valid-longer"], False)


def test_an_entity_that_had_ended_begins_again():
    """Its own end had passed before the new version was made: that it counts again is wider, not a renewal."""
    ended = entity(valid_until=NOW - DAY)
    was = version(ended, issued_at=NOW - 30 * DAY)
    found = compare(was, version(entity(), sequence=2))
    assert {change.code: change.widens for change in found.changes} == {"entity-revived": True}
    late = compare(version(ended, valid_until=NOW - DAY, issued_at=NOW - 30 * DAY), version(entity(), sequence=2))
    assert [change.code for change in late.changes] == ["valid-longer"]


def test_a_withdrawal_that_ends_before_its_list_is_wider():
    """As if the entry were left out from then on: other lists' words would count again. A limit's own end is not."""
    was = entity(status=Status.WITHDRAWN)
    assert changes(was, replace(was, valid_until=NOW + DAY)) == {"entity-valid-shorter": False, "left-withdrawn": True}
    assert changes(entity(), entity(valid_until=NOW + DAY)) == {"entity-valid-shorter": False}


def test_a_new_version_of_an_early_day_revives_nothing_unseen():
    """What has ended by now begins again, whatever day the new version says that it is of."""
    was = version(entity(valid_until=NOW + DAY))
    new = version(entity(), sequence=2, issued_at=NOW)
    assert not compare(was, new, now=NOW).widens
    assert [change.code for change in compare(was, new, now=NOW + 2 * DAY).changes] == ["entity-revived"]


def test_the_first_version_is_new_altogether():
    """Nothing to compare with: everything is wider, even an empty list."""
    assert [change.code for change in compare(None, version(entity())).changes] == ["new-list", "joined"]
    assert compare(None, version()).widens


def test_several_entries_on_one_entity_are_left_to_people():
    """Which of two entries binds depends on other lists too: any change of them counts as wider, a renewal does not."""
    one, two = entity(), entity(maximum_identity=1)
    assert compare(version(one, two), version(replace(one, valid_until=UNTIL + DAY), two)).changes == ()
    found = compare(version(one, two), version(one, replace(two, maximum_identity=0)))
    assert {change.code: change.widens for change in found.changes} == {"several-entries": True}


def test_the_same_in_two_roles_is_told_once():
    """One line for both roles of an entity."""
    was, now = entity(), entity(municipality="102016")
    other, changed = (replace(each, roles=frozenset({SP})) for each in (was, now))
    (told,) = compare(version(was, other), version(now, changed)).changes
    assert set(told.roles) == {IDP, SP}


def test_every_field_is_compared():
    """A field that no rule knows counts as wider when it changes: a new one cannot be forgotten."""
    known = {"entity_id", "roles", "listed_in", "valid_until", "status", "status_since", "history", *RULES}
    assert {each.name for each in fields(TrustedEntity)} == known


# --- words


def test_lines_are_words_for_people():
    """Japanese or English, what is wider first and marked, nobody's key cut so that two look alike."""
    der = authority("idp").der
    was = entity(signing_certificates=(der,))
    now = entity(signing_certificates=(der, authority("other").der), maximum_identity=1)
    found = compare(version(was), version(now))
    key = certificates.fingerprint(authority("other").der)[:16]
    assert found.lines("ja") == (
        f"[拡大] 江別市（https://idp.example/、IDシステム（SAML））：署名の鍵が増えました：{key}…。本人に確かめてください。",
        "江別市（https://idp.example/、IDシステム（SAML））：本人確認の保証レベルの上限が下がりました：2 → 1。",
    )
    assert found.lines("en") == (
        (
            f"[wider] Ebetsu City (https://idp.example/, ID system (SAML)): a new signing key: {key}…. "
            "Check it with its owner."
        ),
        (
            "Ebetsu City (https://idp.example/, ID system (SAML)): the highest identity assurance that it may state "
            "fell: 2 → 1."
        ),
    )
    assert compare(version(), version(entity(signing_certificates=()), issued_at=NOW)).lines("en") == (
        (
            "[wider] New: Ebetsu City (https://idp.example/, ID system (SAML)). Uses: civic; identity assurance up to: "
            f"2; municipality: 012173. Keys: {certificates.fingerprint(b'three')[:16]}…."
        ),
    )
    assert compare(version(), version()).lines("ja") == ("変わりはありません。",)


def test_what_a_list_says_cannot_steer_a_terminal():
    """Control characters and direction marks of an entry that was left out come out as replacement characters."""
    found = compare(None, version(faults=(Fault(where="\x1b[2Jx\u202e", reason="a\nb"),)))
    told = "".join(found.lines("en"))
    assert "\ufffd[2Jx\ufffd" in told
    assert told.isprintable()


def test_json_is_complete():
    """Machines get every change with its code, and both versions."""
    told = json.loads(json.dumps(compare(version(), version(entity(), sequence=2)).as_json()))
    assert (told["widens"], told["old"]["sequence"], told["new"]["entities"]) == (True, 1, 1)
    assert told["changes"][0]["entity_id"] == ID
    assert compare(None, version()).as_json()["old"] is None


# --- laws

_TIMES = st.sampled_from([NOW - 40 * DAY, NOW - 20 * DAY, NOW - DAY, NOW + DAY])
_ROLES = st.sampled_from([frozenset({IDP}), frozenset({SP}), frozenset({IDP, SP})])
_KEYS = st.lists(st.sampled_from([b"one", b"two", b"three"]), max_size=3, unique=True).map(tuple)


@st.composite
def _entities(draw):
    """One entity with whatever is stated of it."""
    since = draw(st.none() | _TIMES)
    past = sorted((draw(st.lists(_TIMES, max_size=2, unique=True)) if since else []), reverse=True)
    return entity(
        entity_id=draw(st.sampled_from([ID, "https://two.example/"])),
        roles=draw(_ROLES),
        valid_until=draw(st.sampled_from([UNTIL, UNTIL - DAY])),
        signing_certificates=draw(_KEYS),
        encryption_certificates=draw(_KEYS),
        endpoints=tuple(
            SSO._replace(location=f"https://{each}.example/") for each in draw(st.sets(st.sampled_from("ab")))
        ),
        municipality=draw(st.sampled_from([None, "012173"])),
        wants_signed_requests=draw(st.booleans()),
        wants_signed_assertions=draw(st.booleans()),
        maximum_identity=draw(st.sampled_from([None, 0, 2, 3])),
        scopes=tuple(draw(st.lists(st.sampled_from(["a.example", "b.example"]), max_size=2, unique=True))),
        uses=draw(st.none() | st.frozensets(st.sampled_from(["civic", "mobility"]))),
        status=draw(st.sampled_from(list(Status))),
        status_since=since,
        history=tuple(StatusChange(draw(st.sampled_from(list(Status))), each) for each in past if each < since),
    )


_VERSIONS = st.lists(_entities(), max_size=3).map(lambda found: version(*found))


@st.composite
def _pairs(draw):
    """Two versions that share most of what they say, so that narrowing is not rare."""
    was = draw(_VERSIONS)
    kept = []
    for each in was.entities:
        other = draw(_entities())
        names = draw(st.sets(st.sampled_from([f.name for f in fields(TrustedEntity)][4:]), max_size=2))
        kept.append(replace(each, **{name: getattr(other, name) for name in names}))
    more = draw(st.lists(_entities(), max_size=1))
    return was, version(*draw(st.permutations([*kept, *more]))[: draw(st.integers(0, 4))])


@settings(max_examples=100)
@given(_VERSIONS)
def test_a_version_does_not_differ_from_itself(one):
    """compare(x, x) is empty."""
    assert (compare(one, one).changes, compare(one, one).widens) == ((), False)


def _trusted(one, entity_id, role, at):
    trusted = TrustedSet()
    trusted.admit(one)
    try:
        return trusted.find(entity_id, role, at)
    except NotTrustedError:
        return None


@settings(max_examples=200)
@given(_pairs(), st.sampled_from([NOW - 50 * DAY, NOW - 30 * DAY, NOW - 10 * DAY, NOW, NOW + 2 * DAY]))
def test_what_does_not_widen_trusts_nothing_more(pair, at):
    """If b is not wider than a, everybody whom b trusts at any time was trusted by a, for no less."""
    was, now = pair
    found = compare(was, now)
    assert all(found.lines(language) for language in ("ja", "en"))
    if found.widens:
        return
    endless = [
        version(*(replace(e, valid_until=datetime.max.replace(tzinfo=UTC)) for e in each.entities)) for each in pair
    ]
    for entity_id in (ID, "https://two.example/"):
        for role in (IDP, SP):
            then = _trusted(endless[1], entity_id, role, at)
            if then is None:
                continue
            before = _trusted(endless[0], entity_id, role, at)
            assert before is not None
            assert set(then.signing_certificates) <= set(before.signing_certificates)
            assert set(then.encryption_certificates) <= set(before.encryption_certificates)
            assert set(then.endpoints) <= set(before.endpoints)
            assert set(then.scopes) <= set(before.scopes)
            assert before.maximum_identity is None or (then.maximum_identity or 0) <= before.maximum_identity
            assert before.uses is None or (then.uses is not None and then.uses <= before.uses)
            assert then.wants_signed_requests or not before.wants_signed_requests
            assert then.municipality == before.municipality


def test_every_sentence_has_both_languages():
    """No sentence is left blank in a language, and both name the same things."""
    for japanese, english in SENTENCES.values():
        assert japanese
        assert english
        assert ("{who}" in japanese) == ("{who}" in english)
