"""What may happen to a file of evidence, and that it is found."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from federation.callers import Caller
from federation.identifiers import PersonRef
from federation.model import Assurance, Level
from observability import evidence
from observability.events import CallEvent, CallOutcome

AT = datetime(2026, 11, 23, 1, 2, 3, 456789, UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"k": KEY.public_key()}
NAME = "000-2026-11-23.jsonl"


def file_of(sizes: list[int]) -> list[bytes]:
    """The lines of a file with batches of so many records, signed after each second one and at the end."""
    lines = [evidence.opened(NAME, None, AT)]
    for number, size in enumerate(sizes):
        records = [evidence.line({"t": "call", "request_id": f"r{number}-{one}"}) for one in range(size)]
        lines += [*records, evidence.head(records, evidence.link_hash(lines[-1]), AT)]
        if number % 2 or number == len(sizes) - 1:
            lines.append(evidence.signed(evidence.link_hash(lines[-1]), AT, "k", KEY))
    return [one + b"\n" for one in lines]


SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@given(SIZES)
def test_an_untouched_file_is_whole(sizes):
    """No fault, all records, nothing unsigned."""
    report = evidence.check(file_of(sizes), NAME, KEYS)
    assert not report.faults
    assert (report.records, report.unsigned) == (sum(sizes), 0)


@given(SIZES, st.data())
def test_any_changed_bit_is_found(sizes, data):
    """Wherever in the file it is."""
    octets = bytearray(b"".join(file_of(sizes)))
    at = data.draw(st.integers(0, 1 << 20)) % len(octets)  # signatures differ in length each time
    octets[at] ^= 1 << data.draw(st.integers(0, 7))
    assert evidence.check(io.BytesIO(octets), NAME, KEYS).faults


@given(SIZES, st.data())
def test_a_dropped_doubled_or_swapped_line_is_found(sizes, data):
    """All but the last line's loss, which shows as links without a signature."""
    lines = file_of(sizes)
    at = data.draw(st.integers(0, len(lines) - 2))
    changed = {
        "dropped": lines[:at] + lines[at + 1 :],
        "doubled": [*lines[: at + 1], *lines[at:]],
        "swapped": [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]],
    }[data.draw(st.sampled_from(["dropped", "doubled", "swapped"]))]
    assert evidence.check(changed, NAME, KEYS).faults


@given(SIZES, st.data())
def test_a_dropped_batch_is_found(sizes, data):
    """Records and their link together."""
    lines = file_of([*sizes, 1])
    heads = [0, *(at for at, one in enumerate(lines) if b'"t":"head"' in one)]
    number = data.draw(st.integers(0, len(heads) - 3))
    assert evidence.check(lines[: heads[number] + 1] + lines[heads[number + 1] + 1 :], NAME, KEYS).faults


def test_what_is_cut_off_after_a_link_is_seen_by_its_unsigned_links_or_an_expected_hash():
    """The chain alone cannot tell: the gateway may have been killed there."""
    lines = file_of([2, 2])
    report = evidence.check(lines[:-1], NAME, KEYS)
    assert not report.faults
    assert report.unsigned == 6 - 3  # open and both heads
    assert evidence.link_hash(lines[-1][:-1]) not in report.hashes
    assert [one.code for one in evidence.check(lines[:-2], NAME, KEYS).faults] == ["tail"]


def test_another_key_and_another_files_name_are_refused():
    """A signature counts by a believed key only, and a file by its own name."""
    other = {"k": ec.generate_private_key(ec.SECP256R1()).public_key()}
    assert {one.code for one in evidence.check(file_of([1]), NAME, other).faults} == {"signature"}
    assert {one.code for one in evidence.check(file_of([1]), NAME, {}).faults} == {"key"}
    assert {one.code for one in evidence.check(file_of([1]), "001-2026-11-23.jsonl", KEYS).faults} == {"begin"}


@given(st.integers(1, 40), st.data())
def test_each_record_is_shown_by_its_path_and_no_other_is(count, data):
    """In trees of any size."""
    leaves = [evidence.leaf(b"%d" % one) for one in range(count)]
    index = data.draw(st.integers(0, count - 1))
    steps, root = evidence.path(leaves, index), evidence.root(leaves)
    assert evidence.root_by_path(leaves[index], index, count, steps) == root
    assert evidence.root_by_path(evidence.leaf(b"x"), index, count, steps) != root
    assert evidence.root_by_path(leaves[index], index, count, [*steps, root]) != root
    other = data.draw(st.integers(0, count - 1))
    assert other == index or evidence.root_by_path(leaves[index], other, count, steps) != root


@given(st.floats(0, 5), st.sampled_from(["r1", "r 2", 'r"', "x" * 64]), st.sampled_from([None, '/api/,"ms":x/{id}']))
def test_lines_made_from_patterns_are_those_made_one_by_one(seconds, request_id, route):
    """Whatever the route is called, and whatever stood in the call before."""
    lines = evidence.Lines(bytes(32))
    for number in range(3):
        event = CallEvent(
            outcome=CallOutcome.OK,
            status=200,
            own_seconds=seconds * number,
            request_id=f"{request_id}{number}"[:64],
            at=AT + timedelta(milliseconds=number),
            route=route,
        )
        assert lines.of(event) == evidence.record(event, bytes(32))


@pytest.mark.parametrize("proof", [b"", b"[]", b"{}", b"\xff", b"[" * 100000, b'{"record":1,"head":"","path":[]}'])
def test_what_is_no_proof_shows_nothing(proof):
    """Hostile proofs end in no answer, not in a fault."""
    assert evidence.sealed_by(proof) is None


def test_a_record_names_a_person_by_a_digest_that_changes_with_the_key():
    """Nothing that a caller or a token brought stands in the record."""
    caller = Caller(
        client="app",
        municipality="102016",
        scopes=frozenset(),
        assurance=Assurance(identity=Level(3), authentication=Level(2)),
        token_id="the-token",
        expires_at=AT + timedelta(hours=1),
        person=PersonRef("the-person"),
        consent="the-consent",
    )
    event = CallEvent(
        outcome=CallOutcome.OK, status=200, own_seconds=0.001, request_id="r 1", at=AT, method="前橋", caller=caller
    )
    one, same, other = (evidence.record(event, key) for key in (bytes(32), bytes(32), b"x" * 32))
    assert one == same
    assert one != other
    for never in (b"the-person", b"the-consent", b"the-token", b"r 1", "前橋".encode()):
        assert never not in one
    value = evidence.parsed(one + b"\n")
    assert value is not None
    assert (value["caller"], value["identity"], value["method"]) == ("person", 3, "other")
    assert "the-person" not in repr(event)
