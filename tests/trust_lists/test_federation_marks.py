"""Trust marks: whose are believed, for whom, and how long (OpenID Federation 1.0 §7)."""

from datetime import timedelta

import pytest

from tests.trust_lists.builders import NOW
from tests.trust_lists.federations import (
    ANCHOR,
    CITY,
    PARTY,
    Simulator,
    der,
    jwks,
    leaf,
    read,
    region,
    seconds,
    sign,
    signer,
)
from trust_lists.federation_marks import TrustMark, verify
from trust_lists.federation_statements import HeldMark, read_anchor
from trust_lists.federation_tokens import StatementRefusedError, pinned_key, read_keys

KIND = "https://marks.example/accessible"
OWNED = "https://marks.example/owned"
ISSUER = "https://marks.example"
OWNER = "https://owner.example"
HOUR = timedelta(hours=1)


def anchor():
    """The anchor's configuration: who may issue what, and who owns what."""
    simulator = region()
    own = {
        "trust_mark_issuers": {KIND: [ISSUER], OWNED: [ISSUER], "https://marks.example/any": []},
        "trust_mark_owners": {OWNED: {"sub": OWNER, "jwks": jwks(OWNER)}},
    }
    return read_anchor(simulator.members[ANCHOR].configuration(**own), [pinned_key(der(ANCHOR))])


def delegation(by=OWNER, typ="trust-mark-delegation+jwt", **changed):
    """The owner's word that the issuer may issue."""
    stated = {"iss": OWNER, "sub": ISSUER, "iat": seconds(), "trust_mark_type": OWNED, **changed}
    return sign(stated, signer(by), typ=typ)


def mark(kind=KIND, by=ISSUER, typ="trust-mark+jwt", **changed):
    """A mark for the relying party; a claim of None is taken out."""
    stated = {"iss": ISSUER, "sub": PARTY, "iat": seconds(), "trust_mark_type": kind, **changed}
    stated = {name: value for name, value in stated.items() if value is not None}
    return HeldMark(type=kind, token=sign(stated, signer(by), typ=typ))


def verified(held, issuers=(ISSUER,), now=NOW):
    """Verify with the keys of these issuers."""
    keys = {issuer: read_keys(jwks(issuer)) for issuer in issuers}
    return verify(held, holder=PARTY, anchor=anchor(), issuers=keys, now=now)


def refusal(held, **kept):
    """Tell the code with which a mark is refused."""
    with pytest.raises(StatementRefusedError) as refused:
        verified(held, **kept)
    return refused.value.code


def test_a_mark_of_an_accredited_issuer():
    """It holds until its end, or for ever if it has none."""
    held = mark(exp=seconds(HOUR), ref="https://marks.example/why")
    assert verified(held) == TrustMark(type=KIND, issuer=ISSUER, subject=PARTY, token=held.token, expires_at=NOW + HOUR)
    assert verified(mark()).expires_at is None


def test_the_anchor_may_issue_marks_itself():
    """Its own keys are known without a chain."""
    assert verified(mark("https://marks.example/any", by=ANCHOR, iss=ANCHOR), issuers=()).issuer == ANCHOR


def test_anyone_in_the_federation_where_no_issuers_are_named():
    """§3.1.2: an empty array lets anyone issue; anyone is who has a valid chain."""
    held = mark("https://marks.example/any", by=CITY, iss=CITY)
    assert verified(held, issuers=(CITY,)).issuer == CITY
    assert refusal(held) == "mark-issuer"


@pytest.mark.parametrize(
    ("held", "code"),
    [
        (mark("https://marks.example/unknown"), "mark-type"),
        (mark(by=CITY, iss=CITY), "mark-issuer"),
        (mark(by="stranger"), "unknown-key"),
        (mark(iss=None), "mark-issuer"),
        (mark(sub=CITY), "mark-subject"),
        (mark(sub=None), "mark-subject"),
        (mark(iat=None), "format"),
        (mark(iat="1"), "format"),
        (mark(exp="1"), "format"),
        (mark(exp=seconds()), "expired"),
        (mark(iat=seconds(HOUR)), "future"),
        (mark(typ="JWT"), "type"),
        (mark(typ="entity-statement+jwt"), "type"),
        (HeldMark(type=KIND, token=mark("https://marks.example/any").token), "mark-type"),
        (HeldMark(type=KIND, token=mark().token[:-4] + "AAAA"), "signature"),
        (HeldMark(type=KIND, token=mark().token.rpartition(".")[0] + "."), "unsigned"),
    ],
)
def test_marks_that_are_not_believed(held, code):
    """§7.3: each step that fails."""
    assert refusal(held, issuers=(ISSUER, CITY)) == code


def test_delegation():
    """§7.2: of an owned type, the issuer needs its owner's word, and the mark ends with that word."""
    held = mark(OWNED, delegation=delegation(exp=seconds(HOUR)), exp=seconds(2 * HOUR))
    assert verified(held).expires_at == NOW + HOUR


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (None, "mark-delegation"),
        (1, "mark-delegation"),
        (delegation(by=ISSUER), "unknown-key"),
        (delegation(iss=ISSUER), "mark-issuer"),
        (delegation(sub=CITY), "mark-subject"),
        (delegation(trust_mark_type=KIND), "mark-type"),
        (delegation(exp=seconds()), "expired"),
        (delegation(iat=seconds(HOUR)), "future"),
        (delegation(typ="trust-mark+jwt"), "type"),
        ("garbage", "format"),
    ],
)
def test_delegations_that_are_not_believed(word, code):
    """§7.2.2: each step that fails."""
    assert refusal(mark(OWNED, delegation=word)) == code


def test_a_delegation_of_a_type_that_nobody_owns():
    """§7.3: a delegation that is there must hold, and without an owner it cannot."""
    assert refusal(mark(delegation=delegation(trust_mark_type=KIND))) == "mark-delegation"


def with_marks(*held):
    """A region whose relying party shows marks, and whose anchor lets an issuer among the subordinates issue."""
    simulator: Simulator = region()
    simulator.members[ISSUER] = leaf(ISSUER, ANCHOR, federation_entity={})
    simulator.below(ANCHOR, ISSUER)
    simulator.members[ANCHOR].own["trust_mark_issuers"] = {KIND: [ISSUER]}
    shown = [{"trust_mark_type": each.type, "trust_mark": each.token} for each in held]
    simulator.members[PARTY].own["trust_marks"] = shown
    return simulator


def test_a_list_tells_which_marks_an_entity_has():
    """Those that hold are its information; the others are passed over; it is trusted until the first of them ends."""
    simulator = with_marks(mark(exp=seconds(HOUR)), mark("https://marks.example/unknown", exp=seconds(HOUR / 2)))
    party = next(entity for entity in read(simulator.bundle()).entities if entity.entity_id == PARTY)
    assert (party.information, party.valid_until) == ((KIND,), NOW + HOUR)


def test_an_issuer_without_a_chain():
    """§7.3: trust in the issuer comes first."""
    simulator = with_marks(mark())
    simulator.silent.add(f"{ISSUER}/.well-known/openid-federation")
    party = next(entity for entity in read(simulator.bundle()).entities if entity.entity_id == PARTY)
    assert party.information == ()
