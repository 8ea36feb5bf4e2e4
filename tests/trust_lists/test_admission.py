"""Every rule by which a list is admitted, and every attack on it, in every format: one matrix over all of them.

The order: signature over the exact bytes, parse of the verified bytes, sequence number, times, entries. What is
refused changes nothing: the last good list stays in force until its own end, and never longer.
"""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trust_lists.authority_simulator import AUTHORITIES, DAY, MINUTE, Listed, changed
from tests.trust_lists.builders import NOW
from trust_lists import admission, federation_bundles, formats
from trust_lists.admission import Mark, mark_of
from trust_lists.certificates import fingerprint, public_key
from trust_lists.model import ListRefusedError, NotTrustedError, Role
from trust_lists.times import LEEWAY
from trust_lists.trusted_set import TrustedSet

SECOND = timedelta(seconds=1)


@pytest.fixture(params=AUTHORITIES)
def kind(request):
    """Each format in turn."""
    return request.param


def make(kind, *, name="region-list"):
    """Give an authority of that format, with three entities of the same role."""
    form = AUTHORITIES[kind]
    return form(name, *(entity(form.roles[0], letter, maximum_identity=2, uses=("civic",)) for letter in "abc"))


def entity(role, letter, **kept):
    """Give something to list; SAML addresses end in a slash."""
    return Listed(entity_id=f"https://{letter}.example" + ("/" if role.startswith("saml") else ""), role=role, **kept)


@pytest.fixture
def authority(kind):
    """Give an authority of each format."""
    return make(kind)


def identifiers(found):
    """Give the entity IDs of a list or a set in force, sorted."""
    return sorted(each.entity_id for each in found)


def refusal(authority, document=None, **kept):
    """Tell the code with which a document is refused, in words that name the list."""
    with pytest.raises(ListRefusedError) as refused:
        authority.read(document, **kept)
    assert authority.name in str(refused.value)
    return refused.value.code


def admitted(*found, highest=None):
    """Give a set that these lists were admitted to."""
    trusted = TrustedSet(highest)
    for trust_list in found:
        trusted.admit(trust_list)
    return trusted


def offer(trusted, authority, document=None, *, now=NOW, anchors=None):
    """Offer a document to a set as a gateway does; the code of its refusal, or None."""
    try:
        trusted.admit(authority.read(document, now=now, anchors=anchors))
    except ListRefusedError as refused:
        return refused.code
    return None


def in_force(trusted, at=NOW):
    """Tell who is trusted, whatever list says so."""
    return sorted({each.entity_id for role in Role for each in trusted.entities(role, at)})


def everything(trusted):
    """Give all that a set holds."""
    return trusted.lists(), trusted.highest(), trusted.conflicts()


def names(authority, *letters):
    """Give entity IDs as the authority writes them."""
    return [entity(type(authority).roles[0], letter).entity_id for letter in letters]


def test_every_format_has_an_authority():
    """The matrix leaves out no format that lists entities; a table of assurance has tests of its own."""
    assert set(AUTHORITIES) == set(formats.FORMATS) - {"assurance-table"}


def test_a_good_list_is_admitted(authority):
    """What the authority says is what is found, with its limits, its pin and its times."""
    found = authority.read()
    assert (found.name, found.format, found.faults) == (authority.name, authority.kind, ())
    assert (found.sequence, found.issued_at, found.valid_until) == (
        authority.sequence,
        authority.issued_at,
        authority.valid_until,
    )
    assert found.anchor == fingerprint(authority.anchor)
    trusted = admitted(found)
    assert trusted.highest() == {authority.name: mark_of(found)}
    assert found.sequence == authority.sequence
    for said in authority.listed.values():
        answer = trusted.find(said.entity_id, said.role, NOW)
        assert (answer.municipality, answer.uses, answer.maximum_identity) == ("102016", frozenset({"civic"}), 2)
        assert answer.listed_in == authority.name


def test_what_a_known_document_says_is_not_weighed_again(authority):
    """Its mark tells already; of another document under the number it is weighed. A federation has no such mark."""
    document = authority.document()
    found = authority.read(document)
    if not found.content:
        assert authority.kind == "openid-federation"
        return
    mark = mark_of(found)._replace(content="as it was weighed then")
    assert authority.read(document, mark=mark).content == "as it was weighed then"
    assert authority.read(document, mark=mark._replace(sequence=mark.sequence - 1)).content == found.content
    with pytest.raises(ListRefusedError, match="other content"):
        authority.read(document, mark=mark._replace(document="0" * 64))


# --- what refuses a list


def _expired(authority):
    authority.issued_at -= 2 * authority.lasts


def _from_the_future(authority):
    authority.issued_at += LEEWAY + SECOND


def _malformed(authority):
    authority.malformed = True


def _critical(authority):
    authority.critical = True


def _closed(authority):
    authority.closed = True


def _nothing(_):
    pass


def _spoil(authority, which):
    authority.spoiled = {which}


def _hang_on_something_unknown(authority, which):
    authority.critical_entries = {which}


MISDEEDS = {
    "another-key": (_nothing, lambda a: a.signed_by("stranger"), "signature"),
    "unsigned": (_nothing, lambda a: a.unsigned(), "unsigned"),
    "swapped-entries": (_nothing, lambda a: a.swapped(_of_somebody_else(a)), "signature"),
    "swapped-versions": (_nothing, lambda a: a.swapped(_newer(a)), "signature"),
    "two-signatures": (_nothing, lambda a: a.signed_twice(), "twice"),
    "malformed": (_malformed, lambda a: a.document(), "format"),
    "critical-extension": (_critical, lambda a: a.document(), "critical"),
    "closed": (_closed, lambda a: a.document(), "closed"),
    "expired": (_expired, lambda a: a.document(), "expired"),
    "from-the-future": (_from_the_future, lambda a: a.document(), "future"),
}
"""By name: what the authority does, which document it hands out, and the code, or the name of the format's own code."""


NOT_THERE = {
    *(
        (kind, each)
        for kind, form in AUTHORITIES.items()
        for each in MISDEEDS
        if form.refuses.get(MISDEEDS[each][2], each) is None
    ),
    *(
        (kind, each)
        for kind, form in AUTHORITIES.items()
        if form.signs_entries
        for each in MISDEEDS
        if "swapped" in each
    ),
}
"""Where a format knows no such thing: critical extensions, closing; or each entry is signed alone (tested below)."""

PAIRS = [(kind, misdeed) for kind in AUTHORITIES for misdeed in MISDEEDS if (kind, misdeed) not in NOT_THERE]


def _of_somebody_else(authority):
    other = make(authority.kind, name="elsewhere")
    for each in list(other.listed.values()):
        other.put(changed(each, maximum_identity=3))
    return other.document()


def _newer(authority):
    """What the same authority says in its next version, in which everybody may assert more."""
    later = make(authority.kind)
    later.renew()
    for each in list(later.listed.values()):
        later.put(changed(each, maximum_identity=3))
    return later.document()


@pytest.mark.parametrize(("kind", "misdeed"), PAIRS)
def test_a_list_that_breaks_a_rule_is_refused_and_changes_nothing(kind, misdeed):
    """The code says which rule; the good list that was there stays, as it was."""
    authority = make(kind)
    prepare, document, expected = MISDEEDS[misdeed]
    expected = authority.refuses.get(expected, expected)
    trusted = admitted(authority.read())
    before = everything(trusted)
    kept = authority.anchor
    authority.renew()
    prepare(authority)
    handed_out = document(authority)
    assert refusal(authority, handed_out, anchors=[kept]) == expected
    assert offer(trusted, authority, handed_out, anchors=[kept]) == expected
    assert everything(trusted) == before
    fresh = TrustedSet()
    assert offer(fresh, authority, handed_out, anchors=[kept]) == expected
    assert everything(fresh) == everything(TrustedSet())


def _older(_):
    return Mark(2**60)


def _signed_in_the_future(authority):
    authority.signs_later = 4 * authority.lasts


ORDER = {
    "another-key": "signature",
    _malformed: "format",
    _older: "rollback",
    _expired: "expired",
    _signed_in_the_future: "future",
    _spoil: None,
}
"""What is asked, in the order that is prescribed, each by a list that breaks it: the code of its refusal.

An entry that breaks a rule refuses no list.
"""

PAIRS_IN_ORDER = [
    (kind, first, later)
    for kind, form in AUTHORITIES.items()
    for position, first in enumerate(ORDER)
    for later in list(ORDER)[position + 1 :]
    if form.numbered or _signed_in_the_future not in (first, later)
]
"""Every pair of rules; a format that states one time only cannot be over and yet to come."""


@pytest.mark.parametrize(("kind", "first", "later"), PAIRS_IN_ORDER)
def test_the_rules_are_asked_in_order(kind, first, later):
    """Of two rules that a list breaks the earlier one answers: what is not verified is not looked at, and so on."""
    authority = make(kind)
    mark = None
    for each in (first, later):
        if each == "another-key":
            continue
        if each is _spoil:
            _spoil(authority, names(authority, "a")[0])
        else:
            mark = each(authority) or mark
    document = authority.signed_by("stranger") if first == "another-key" else authority.document()
    assert refusal(authority, document, mark=mark) == ORDER[first]


def test_what_is_refused_has_its_entries_unread(authority):
    """Not one of them is looked at before every rule of the list itself is kept."""
    opened = formats.FORMATS[authority.kind].open(authority.document(), name=authority.name, anchors=[authority.anchor])
    looked_at = []

    def entries(at):
        looked_at.append(at)
        return opened.entries(at)

    watched = replace(opened, entries=entries)
    for now, mark, code in (
        (NOW, Mark(2**60), "rollback"),
        (opened.valid_until, None, "expired"),
        (NOW - DAY, None, "future"),
    ):
        with pytest.raises(ListRefusedError) as refused:
            admission.admit(watched, now=now, mark=mark)
        assert (refused.value.code, looked_at) == (code, [])
    assert identifiers(admission.admit(watched, now=NOW).entities) == names(authority, "a", "b", "c")
    assert looked_at == [NOW]


def test_the_order_is_the_one_that_is_prescribed():
    """Sequence number before times, and what cannot be a list before both."""
    assert [rule.code for rule in admission.RULES] == ["format", "rollback", "expired", "future"]


def test_nothing_is_pinned(authority):
    """Without an anchor nobody is believed."""
    assert refusal(authority, anchors=[]) == "signature"


def test_a_list_of_the_largest_size_and_one_octet_more(authority):
    """The size is looked at before anything else."""
    bound = formats.FORMATS[authority.kind].maximum_bytes
    assert refusal(authority, b" " * (bound + 1)) == "too-large"
    assert refusal(authority, b" " * bound) != "too-large"


@pytest.mark.parametrize("part", [0.0, 0.01, 0.25, 0.5, 0.9, 0.999])
def test_a_download_that_broke_off(authority, part):
    """The first part of a list is no list, wherever it ends."""
    assert refusal(authority, authority.truncated(part)) in {"format", "unsigned", "signature"}


def test_the_last_octet_is_missing(authority):
    """One octet is enough; a last line break is none of the list."""
    assert refusal(authority, authority.document().rstrip()[:-1]) in {"format", "unsigned", "signature"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_altered_octet_lets_nobody_in(authority, data):
    """The list is refused, or says what it said; where entries are signed alone, less of it, and a fault tells."""
    authority.freeze()
    honest = authority.read()
    altered = authority.altered(data.draw(st.integers(0, len(authority.document()) - 1)))
    try:
        found = authority.read(altered)
    except ListRefusedError:
        return
    if authority.signs_entries:
        assert all(each in honest.entities for each in found.entities)
        assert found.entities == honest.entities or found.faults
    else:
        assert replace(found, digest=honest.digest) == honest


# --- mixing valid parts


def test_swapped_statements_of_single_entities_are_dropped_alone():
    """Where each statement is signed alone, another anchor's word on an entity is worth nothing, and it is told."""
    authority = make("openid-federation")
    found = authority.read(authority.swapped(_of_somebody_else(authority)))
    assert found.entities == ()
    assert identifiers_of_faults(found) == names(authority, "a", "b", "c")


def test_a_statement_about_another_subject_is_dropped_alone():
    """What an anchor says of one entity does not hold for another."""
    authority = make("openid-federation")
    generous = make("openid-federation")
    generous.listed = {}
    generous.put(*(entity(Role.OPENID_PROVIDER, letter, maximum_identity=3) for letter in "def"))
    found = authority.read(authority.swapped(generous.document()))
    assert found.entities == ()
    assert identifiers_of_faults(found) == names(authority, "a", "b", "c")


def test_an_older_statement_of_a_federation_counts_until_it_ends_and_no_longer():
    """Each statement is believed until its own end: who narrows one must not have made the older one long-lived."""
    authority = make("openid-federation")
    older = json.loads(authority.document())["chains"]
    older_end = authority.valid_until
    authority.renew(DAY)
    for each in list(authority.listed.values()):
        authority.put(changed(each, maximum_identity=1))
    mixed = federation_bundles.dump(json.loads(authority.document())["anchor"], older)
    trusted = admitted(authority.read(mixed, now=NOW + DAY))
    for entity_id, role in authority.listed:
        assert trusted.find(entity_id, role, older_end - SECOND).valid_until == older_end < authority.valid_until
        with pytest.raises(NotTrustedError) as refused:
            trusted.find(entity_id, role, older_end)
        assert refused.value.code == "expired"


def identifiers_of_faults(found):
    """Tell which entries were dropped."""
    return sorted(fault.where for fault in found.faults)


# --- one entry


@pytest.mark.parametrize("harm", [_spoil, _hang_on_something_unknown])
@pytest.mark.parametrize("position", range(3))
def test_a_bad_entry_is_dropped_alone_and_told(authority, harm, position):
    """Wherever it stands, the others are read, and the fault names it."""
    everybody = names(authority, "a", "b", "c")
    bad = everybody[position]
    harm(authority, bad)
    found = authority.read()
    assert identifiers(found.entities) == [each for each in everybody if each != bad]
    assert [fault.where for fault in found.faults] == [bad]
    assert found.faults[0].reason
    assert in_force(admitted(found)) == identifiers(found.entities)


@pytest.mark.parametrize("kind", [kind for kind, form in AUTHORITIES.items() if not form.signs_entries])
def test_an_entity_that_is_listed_twice_is_dropped_alone(kind):
    """Nobody can tell which of the two is meant, so neither is; the others are read."""
    authority = make(kind)
    (_, doubled, _) = everybody = names(authority, "a", "b", "c")
    authority.doubled = {doubled}
    found = authority.read()
    assert identifiers(found.entities) == [each for each in everybody if each != doubled]
    assert [fault.where for fault in found.faults] == [doubled, doubled]


def test_an_entry_that_turns_bad_is_not_trusted_any_more(authority):
    """A newer list in which an entry is bad does not leave the older word on it in force."""
    trusted = admitted(authority.read())
    (bad, *others) = names(authority, "a", "b", "c")
    authority.renew()
    authority.spoiled = {bad}
    assert offer(trusted, authority) is None
    assert in_force(trusted) == others


def test_a_withdrawn_entity_is_not_trusted_from_the_next_list_on(authority):
    """By its status where lists state one, by its absence elsewhere."""
    trusted = admitted(authority.read())
    (gone, *others) = names(authority, "a", "b", "c")
    role = type(authority).roles[0]
    authority.renew()
    authority.put(changed(authority.listed[(gone, role)], withdrawn=True))
    assert offer(trusted, authority) is None
    assert in_force(trusted) == others
    with pytest.raises(NotTrustedError) as refused:
        trusted.find(gone, role, NOW)
    assert refused.value.code == ("withdrawn" if authority.states_status else "unlisted")


# --- sequence


def test_an_older_list_is_refused_although_it_is_valid(authority):
    """A replay of yesterday's list, signed and not expired, changes nothing."""
    old = authority.document()
    authority.renew()
    authority.remove(names(authority, "a")[0])
    trusted = admitted(authority.read(now=NOW + MINUTE))
    before = everything(trusted)
    assert offer(trusted, authority, old, now=NOW + MINUTE) == "rollback"
    assert everything(trusted) == before
    assert in_force(trusted) == names(authority, "b", "c")


def test_an_older_list_is_refused_across_a_restart(authority):
    """Only the highest numbers are kept on disk, and they are enough."""
    old = authority.document()
    authority.renew()
    now = NOW + MINUTE
    marks = admitted(authority.read(now=now)).highest()
    again = TrustedSet(marks)
    assert offer(again, authority, old, now=now) == "rollback"
    assert in_force(again) == []
    assert offer(again, authority, now=now) is None
    assert in_force(again) == names(authority, "a", "b", "c")


def test_marks_of_another_node_refuse_an_older_list(authority):
    """What another node admitted counts here, although this one never saw the newer list."""
    trusted = admitted(authority.read())
    authority.freeze()
    trusted.raise_marks({authority.name: Mark(authority.sequence + 1)})
    assert offer(trusted, authority) == "rollback"
    assert in_force(trusted) == names(authority, "a", "b", "c")


def test_a_refused_list_raises_no_mark(authority):
    """Whoever cannot sign cannot lock the authority's next list out by a high number."""
    trusted = admitted(authority.read())
    kept = authority.anchor
    authority.renew(365 * DAY)
    forged = authority.signed_by("stranger")
    assert offer(trusted, authority, forged, now=NOW + 365 * DAY, anchors=[kept]) == "signature"
    assert offer(trusted, authority, now=NOW) == "future"
    assert trusted.highest()[authority.name].sequence == make(authority.kind).sequence


@pytest.mark.parametrize("kind", [kind for kind, form in AUTHORITIES.items() if form.numbered])
def test_a_lower_number_under_a_later_date_is_refused(kind):
    """The number counts, not the date."""
    authority = make(kind)
    authority.number = 7
    trusted = admitted(authority.read())
    authority.renew()
    authority.number = 6
    assert offer(trusted, authority, now=NOW + MINUTE) == "rollback"


@pytest.mark.parametrize("kind", [kind for kind, form in AUTHORITIES.items() if not form.signs_entries])
def test_one_number_stands_for_one_content(kind):
    """An authority that says two things under one number is not believed the second time."""
    authority = make(kind)
    trusted = admitted(authority.read())
    authority.remove(names(authority, "a")[0])
    assert offer(trusted, authority) == "same-sequence"
    assert in_force(trusted) == names(authority, "a", "b", "c")
    assert offer(TrustedSet(trusted.highest()), authority) == "same-sequence", "after a restart, or on another node"
    assert refusal(authority, mark=trusted.highest()[authority.name]) == "same-sequence"


def test_the_same_list_signed_again_is_the_same_list(authority):
    """Signatures differ from one time to the next; what is said does not."""
    trusted = admitted(authority.read())
    before = in_force(trusted)
    assert authority.document() != authority.document()
    assert offer(trusted, authority) is None
    assert offer(TrustedSet(trusted.highest()), authority) is None
    assert in_force(trusted) == before


def test_an_anchor_that_speaks_once_a_day_lets_its_subordinates_change():
    """A federation's number is when its anchor signed its own configuration; who is below it changes in between."""
    authority = make("openid-federation")
    trusted = admitted(authority.read())
    authority.remove(names(authority, "a")[0])
    assert offer(trusted, authority) is None
    assert in_force(trusted) == names(authority, "b", "c")


# --- times


def test_a_list_is_admitted_until_its_last_second(authority):
    """The end itself is past it."""
    end = authority.valid_until
    assert offer(TrustedSet(), authority, now=end - SECOND) is None
    assert refusal(authority, now=end) == "expired"


def test_clocks_may_differ_by_the_leeway(authority):
    """A list may come from as far ahead as clocks differ, and no further."""
    authority.issued_at = NOW + LEEWAY
    assert offer(TrustedSet(), authority) is None
    authority.issued_at += SECOND
    assert refusal(authority) == "future"


def test_expiry_is_looked_at_at_each_use(authority):
    """Nothing needs to be read again for a list to run out."""
    trusted = admitted(authority.read())
    end = authority.valid_until
    everybody = names(authority, "a", "b", "c")
    assert in_force(trusted, end - SECOND) == everybody
    assert in_force(trusted, end) == []
    for entity_id, role in authority.listed:
        assert trusted.find(entity_id, role, end - SECOND)
        with pytest.raises(NotTrustedError) as refused:
            trusted.find(entity_id, role, end)
        assert refused.value.code == "expired"


@pytest.mark.parametrize(("kind", "misdeed"), PAIRS)
def test_the_last_good_list_holds_until_its_own_end_and_never_longer(kind, misdeed):
    """However often bad ones are offered in the meantime."""
    authority = make(kind)
    prepare, document, _ = MISDEEDS[misdeed]
    end, kept = authority.valid_until, authority.anchor
    trusted = admitted(authority.read())
    everybody = names(authority, "a", "b", "c")
    authority.renew()
    prepare(authority)
    handed_out = document(authority)
    for now in (NOW, end - SECOND) if misdeed != "from-the-future" else (NOW,):
        assert offer(trusted, authority, handed_out, now=now, anchors=[kept]) is not None
        assert in_force(trusted, now) == everybody
    assert in_force(trusted, end) == []


def test_a_frozen_list_runs_out_by_itself(authority):
    """Whoever keeps handing out an old list keeps it in force until its end, and not a second longer."""
    trusted = admitted(authority.read())
    authority.freeze()
    frozen = authority.document()
    end = authority.valid_until
    authority.renew()
    authority.remove(names(authority, "a")[0])
    assert authority.document() == frozen
    for now in (NOW + DAY, NOW + 29 * DAY, end - SECOND):
        assert offer(trusted, authority, now=now) is None
        assert in_force(trusted, now) == names(authority, "a", "b", "c")
    assert offer(trusted, authority, now=end) == "expired"
    assert in_force(trusted, end) == []


def test_a_renewal_in_time_leaves_no_gap(authority):
    """The new end counts from the moment of admission."""
    trusted = admitted(authority.read())
    end = authority.valid_until
    authority.renew(29 * DAY)
    assert offer(trusted, authority, now=end - SECOND) is None
    assert in_force(trusted, end) == names(authority, "a", "b", "c")
    assert in_force(trusted, authority.valid_until) == []


def test_a_shorter_list_takes_effect_at_once(authority):
    """An authority can bring its end forward."""
    trusted = admitted(authority.read())
    authority.renew()
    authority.lasts = 10 * MINUTE
    assert offer(trusted, authority, now=NOW + MINUTE) is None
    assert in_force(trusted, authority.valid_until) == []


# --- anchors


def test_a_successor_that_is_not_pinned_is_refused(authority):
    """A new key is believed only after an operator pinned it."""
    pinned = authority.anchor
    trusted = admitted(authority.read())
    authority.renew()
    successor = authority.roll_over()
    assert successor != pinned
    assert offer(trusted, authority, now=NOW + MINUTE, anchors=[pinned]) == "signature"
    assert trusted.list(authority.name).anchor == fingerprint(pinned)


def test_a_pinned_successor_is_admitted_and_told(authority):
    """Old and new key are pinned beside each other; the list says which of them signed."""
    old = authority.anchor
    before = authority.document()
    authority.renew()
    new = authority.roll_over()
    trusted = admitted(authority.read(before, anchors=[old, new]))
    assert trusted.list(authority.name).anchor == fingerprint(old)
    assert offer(trusted, authority, now=NOW + MINUTE, anchors=[old, new]) is None
    assert trusted.list(authority.name).anchor == fingerprint(new)
    assert in_force(trusted, NOW + MINUTE) == names(authority, "a", "b", "c")


def test_the_old_key_cannot_go_back_after_a_rollover(authority):
    """While both are pinned, a replay of what the old key signed is a rollback; afterwards it is a stranger's."""
    old = authority.anchor
    before = authority.document()
    authority.renew()
    new = authority.roll_over()
    now = NOW + MINUTE
    trusted = admitted(authority.read(now=now, anchors=[old, new]))
    assert offer(trusted, authority, before, now=now, anchors=[old, new]) == "rollback"
    assert offer(trusted, authority, before, now=now, anchors=[new]) == "signature"


def test_a_bare_key_pins_as_well_as_a_certificate(authority):
    """An operator may pin the public key alone; the list tells which pin it was that verified it."""
    key = public_key(authority.anchor).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = authority.read(anchors=[_stranger(), key])
    assert found.anchor == fingerprint(key)
    assert identifiers(found.entities) == names(authority, "a", "b", "c")


def test_several_pins_are_no_way_around_a_rule(authority):
    """A rule that the list breaks under the right key is not asked again under another."""
    _expired(authority)
    for anchors in ([authority.anchor, _stranger()], [_stranger(), authority.anchor]):
        assert refusal(authority, anchors=anchors) == "expired"


def _stranger():
    """Give a pin that signed nothing here."""
    return AUTHORITIES["saml-metadata"]("stranger").anchor


def test_one_authority_cannot_stand_in_for_another(authority):
    """Each source has its own pins: another municipality's list, however valid, is not this one."""
    other = make(authority.kind, name="elsewhere")
    assert refusal(authority, other.document()) == "signature"


@pytest.mark.parametrize("kind", [kind for kind, form in AUTHORITIES.items() if form.numbered])
def test_another_list_of_the_same_authority_is_refused(kind):
    """Signed by the right key, it is still not the list that is configured here."""
    authority, other = make(kind), make(kind, name="another-list")
    other.key = authority.key
    assert refusal(authority, other.document()) == "other-list"


@pytest.mark.parametrize(("kind", "given"), list(permutations(AUTHORITIES, 2)))
def test_a_list_of_one_format_is_none_of_another(kind, given):
    """What is configured is the format too; nothing is guessed."""
    authority, other = make(kind), make(given)
    with pytest.raises(ListRefusedError) as refused:
        authority.read(other.document(), anchors=[other.anchor])
    assert refused.value.code in {"format", "unsigned", "signature"}
