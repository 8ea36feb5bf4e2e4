"""Versions that wait for a person: what takes effect at once, what is staged, and what a decision does."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import approval
from gateway.approval import ApprovalError
from gateway.config import TrustSource
from gateway.decisions import COUNTS, Decision, Decisions, Word, asked_digest
from gateway.lists import HighWater, Shelf
from observability.events import FetchOutcome
from trust_lists.admission import Mark
from trust_lists.model import ListRefusedError

from .gateway_sample import signatory, signed_list
from .lists_sample import source

NOW = datetime.now(UTC) + timedelta(hours=1)
"""Ahead, so that what is signed while the tests run is not from the future."""


def digest(document: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(document).hexdigest()


class Desk:
    """A list that needs approval, with a first version that was approved."""

    def __init__(self, state: Path, *names: str) -> None:
        self.state = state
        self.source: TrustSource = source(state, approval=True)
        self.shelf = Shelf(state, "region")
        if names:
            first = signed_list(*names)
            assert self.take(first) is FetchOutcome.STAGED
            self.approve()

    def take(self, document: bytes, at: datetime = NOW) -> FetchOutcome:
        return approval.take(self.source, self.state, document, now=at)

    @property
    def digest(self) -> str:
        """The digest of what waits."""
        (waits,) = approval.waiting([self.source], self.state)
        return waits.digest

    def approve(self, digest: str | None = None, at: datetime = NOW) -> Decision:
        return approval.approve(self.source, self.state, digest=digest or self.digest, who="Hanako", at=at)

    def reject(self, at: datetime = NOW) -> Decision:
        return approval.reject(self.source, self.state, digest=self.digest, who="Hanako", at=at)

    def trusted(self, at: datetime = NOW) -> set[str]:
        """The providers of the version in force."""
        found = approval.in_force(self.source, self.state, now=at)
        entities = () if found is None else found.entities
        return {each.entity_id.split("//")[1].split(".")[0] for each in entities} - {"site"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Maebashi and Omura are approved."""
    return Desk(tmp_path, "maebashi", "omura")


def test_the_first_version_waits_too(tmp_path: Path) -> None:
    """Nobody is trusted before somebody approved it, whatever signed it."""
    desk = Desk(tmp_path)
    document = signed_list("maebashi")
    assert desk.take(document) is FetchOutcome.STAGED
    assert desk.trusted() == set()
    (waits,) = approval.waiting([desk.source], tmp_path)
    assert (waits.name, waits.document, waits.sequence) == ("region", digest(document), 1)
    assert waits.digest == asked_digest(waits.comparison.asked)
    assert waits.comparison.widens
    assert any("maebashi" in line for line in waits.comparison.lines("ja"))
    desk.approve()
    assert desk.trusted() == {"maebashi"}
    assert approval.waiting([desk.source], tmp_path) == ()


@pytest.mark.parametrize("names", [("maebashi", "omura"), ("omura",), ()])
def test_renewals_and_removals_take_effect_at_once(desk: Desk, names: tuple[str, ...]) -> None:
    """Nobody need be awake for somebody to be trusted no more."""
    assert desk.take(signed_list(*names, sequence=2, days=40)) is FetchOutcome.TAKEN
    assert desk.trusted() == set(names)


def test_what_widens_waits_and_the_version_before_stays(desk: Desk) -> None:
    """Until its own end, never longer."""
    wider = signed_list("maebashi", "omura", "ebetsu", sequence=2, days=90)
    assert desk.take(wider) is FetchOutcome.STAGED
    assert desk.take(wider) is FetchOutcome.UNCHANGED
    assert desk.trusted() == {"maebashi", "omura"}
    assert desk.trusted(NOW + timedelta(days=31)) == set()


def test_a_removal_meanwhile_takes_effect_and_what_waited_is_gone(desk: Desk) -> None:
    """What the authority says now counts."""
    desk.take(signed_list("maebashi", "omura", "ebetsu", sequence=2))
    assert desk.take(signed_list("maebashi", sequence=3)) is FetchOutcome.TAKEN
    assert desk.trusted() == {"maebashi"}
    assert approval.waiting([desk.source], desk.state) == ()


def test_a_decision_is_about_what_was_shown(desk: Desk) -> None:
    """A version that came in meanwhile is not approved by the way."""
    desk.take(signed_list("maebashi", "omura", "ebetsu", sequence=2))
    shown = desk.digest
    desk.take(signed_list("maebashi", "omura", "mallory", sequence=3))
    for decide in (approval.approve, approval.reject):
        with pytest.raises(ApprovalError, match="something else than what was shown"):
            decide(desk.source, desk.state, digest=shown, who="Hanako", at=NOW)
    assert desk.trusted() == {"maebashi", "omura"}


@pytest.mark.parametrize("who", ["", "  ", "x" * 101, "a\0b", "\u202eobanah"])
def test_somebody_must_decide(desk: Desk, who: str) -> None:
    """A name is asked for, and one that can be read."""
    desk.take(signed_list("ebetsu", sequence=2))
    with pytest.raises(ApprovalError, match="who decides"):
        approval.approve(desk.source, desk.state, digest=desk.digest, who=who, at=NOW)


def test_decisions_are_written_down(desk: Desk) -> None:
    """Who, when and about what, one line each; nothing of it is ever taken back, and a cut line spoils no other."""
    second, third = signed_list("ebetsu", sequence=2), signed_list("ebetsu", "hakodate", sequence=3)
    desk.take(second)
    approval.reject(desk.source, desk.state, digest=desk.digest, who="  Jiro   Yamada ", at=NOW)
    path = desk.state / "approvals.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    path.write_text(before + '{"name": "reg')
    desk.take(third)
    approval.approve(desk.source, desk.state, digest=desk.digest, who="花子", at=NOW)
    assert path.read_text().startswith(before)
    _, rejected, approved = Decisions(desk.state).read()
    assert (rejected.name, rejected.document, rejected.word) == ("region", digest(second), Word.REJECTED)
    assert (rejected.who, rejected.at, rejected.digest) == ("Jiro Yamada", NOW, asked_digest(rejected.asked))
    assert (approved.word, approved.who) == (Word.APPROVED, "花子")
    assert json.loads(path.read_text().splitlines()[-1])["document"] == digest(third)


def test_what_was_rejected_is_not_staged_again(desk: Desk) -> None:
    """However often it is signed or fetched, for a month; what asks for something else is looked at anew."""
    document = signed_list("ebetsu", sequence=2, days=90)
    desk.take(document)
    desk.reject()
    assert desk.shelf.refused.read_bytes() == document
    for again in (document, signed_list("ebetsu", sequence=3, days=90)):
        with pytest.raises(ListRefusedError) as caught:
            desk.take(again)
        assert caught.value.code == "rejected"
    assert desk.take(signed_list("ebetsu", "hakodate", sequence=4)) is FetchOutcome.STAGED
    assert desk.take(signed_list("ebetsu", sequence=5, days=90), NOW + COUNTS) is FetchOutcome.STAGED


def test_what_was_rejected_can_be_approved_after_all(desk: Desk) -> None:
    """By its digest, which the refusal tells, as long as nothing else came; then it is a decision like any other."""
    desk.take(signed_list("ebetsu", sequence=2))
    rejected = desk.reject().digest
    with pytest.raises(ApprovalError, match="no version waits"):
        desk.approve("0" * 64)
    with pytest.raises(ListRefusedError, match=rejected):
        desk.take(signed_list("ebetsu", sequence=3))
    desk.approve(rejected, NOW + timedelta(minutes=1))
    assert desk.trusted() == {"ebetsu"}


def test_what_was_approved_may_be_over_meanwhile(desk: Desk) -> None:
    """It is read once more, by the rules of that moment; nothing is written down then."""
    desk.take(signed_list("ebetsu", sequence=2, days=1))
    for later, code in ((timedelta(days=2), "expired"), (timedelta(), "rollback")):
        if code == "rollback":
            HighWater(desk.state).remember({"region": Mark(3)})
        with pytest.raises(ListRefusedError) as caught:
            desk.approve(at=NOW + later)
        assert caught.value.code == code
    assert len(Decisions(desk.state).read()) == 1


# --- what is approved is content


def test_a_version_that_is_signed_anew_while_it_waits_is_the_same_to_decide_about(desk: Desk) -> None:
    """Whoever read what it changes approves that, although another document lies there by now; since when, too."""
    desk.take(signed_list("maebashi", "ebetsu", sequence=2, days=20))
    shown = desk.digest
    later = NOW + timedelta(hours=5)
    assert desk.take(signed_list("maebashi", "ebetsu", sequence=3, days=40), later) is FetchOutcome.UNCHANGED
    (waits,) = approval.waiting([desk.source], desk.state)
    assert (waits.sequence, waits.since, waits.digest) == (3, NOW, shown)
    desk.approve(shown, later)
    assert desk.trusted(later) == {"maebashi", "ebetsu"}


class Neighbour(Desk):
    """The same list on another node, which hears of decisions."""

    def hear(self, desk: Desk) -> None:
        Decisions(self.state).add(Decisions(desk.state).read())


@pytest.fixture
def neighbour(desk: Desk, tmp_path: Path) -> Neighbour:
    """It has what the first node has."""
    found = Neighbour(tmp_path / "neighbour")
    found.take(signed_list("maebashi", "omura"))
    found.hear(desk)
    assert approval.carry_out(found.source, found.state, now=NOW) is Word.APPROVED
    return found


LATER = NOW + timedelta(hours=1)


def test_an_approval_on_one_node_counts_on_each(desk: Desk, neighbour: Neighbour) -> None:
    """Each has a document of its own, signed another time; what they say is what was approved."""
    desk.take(signed_list("maebashi", "ebetsu", sequence=2))
    assert neighbour.take(signed_list("maebashi", "ebetsu", sequence=3, days=40)) is FetchOutcome.STAGED
    desk.approve(at=LATER)
    neighbour.hear(desk)
    assert approval.carry_out(neighbour.source, neighbour.state, now=LATER) is Word.APPROVED
    assert neighbour.trusted() == desk.trusted() == {"maebashi", "ebetsu"}
    assert Decisions(neighbour.state).read() == Decisions(desk.state).read()


def test_less_than_what_was_approved_takes_effect_and_more_waits(desk: Desk, neighbour: Neighbour) -> None:
    """Of two that were approved one comes; the other one still may; a third was not approved."""
    desk.take(signed_list("maebashi", "ebetsu", "hakodate", sequence=2))
    desk.approve(at=LATER)
    neighbour.hear(desk)
    assert neighbour.take(signed_list("maebashi", "ebetsu", sequence=3), LATER) is FetchOutcome.TAKEN
    assert neighbour.take(signed_list("maebashi", "ebetsu", "mallory", sequence=4), LATER) is FetchOutcome.STAGED
    assert neighbour.take(signed_list("maebashi", "ebetsu", "hakodate", sequence=5), LATER) is FetchOutcome.TAKEN
    assert neighbour.trusted(LATER) == {"maebashi", "ebetsu", "hakodate"}


def test_an_approval_counts_once(desk: Desk, neighbour: Neighbour) -> None:
    """Who was approved, came and was taken off by the authority needs a new approval, on every node."""
    desk.take(signed_list("maebashi", "ebetsu", sequence=2))
    desk.approve(at=LATER)
    neighbour.hear(desk)
    assert neighbour.take(signed_list("maebashi", "ebetsu", sequence=2), LATER) is FetchOutcome.TAKEN
    for node in (desk, neighbour):
        assert node.take(signed_list("maebashi", sequence=3), LATER) is FetchOutcome.TAKEN
        assert node.take(signed_list("maebashi", "ebetsu", sequence=4), LATER) is FetchOutcome.STAGED
        assert node.trusted(LATER) == {"maebashi"}


def test_an_approval_counts_for_a_month(desk: Desk, neighbour: Neighbour) -> None:
    """A node that meets it later than that asks again."""
    desk.take(signed_list("maebashi", "ebetsu", sequence=2, days=90))
    desk.approve(at=LATER)
    neighbour.hear(desk)
    document = signed_list("maebashi", "ebetsu", sequence=2, days=90)
    assert neighbour.take(document, LATER + COUNTS) is FetchOutcome.STAGED
    assert neighbour.take(document, LATER + COUNTS - timedelta(seconds=1)) is FetchOutcome.TAKEN


def test_what_another_key_signs_is_not_what_was_approved(desk: Desk, neighbour: Neighbour) -> None:
    """The same words under another pin are another authority's."""
    desk.take(signed_list("maebashi", "ebetsu", sequence=2))
    desk.approve(at=LATER)
    neighbour.hear(desk)
    neighbour.source = source(neighbour.state, approval=True, next_anchors=(_key("successor"),))
    document = signed_list("maebashi", "ebetsu", sequence=2, by=signatory("successor"))
    assert neighbour.take(document, LATER) is FetchOutcome.STAGED


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (signed_list("maebashi", sequence=0), "rollback"),
        (signed_list("maebashi", sequence=1), "same-sequence"),
        (signed_list("maebashi", sequence=2, by=signatory("stranger")), "signature"),
        (signed_list("maebashi", sequence=2, age=40), "expired"),
        (b"<html>Please log in</html>", "format"),
        (b"", "format"),
    ],
)
def test_what_is_not_believed_replaces_nothing(desk: Desk, document: bytes, code: str) -> None:
    """It lies beside, for the operator to look at."""
    with pytest.raises(ListRefusedError) as caught:
        desk.take(document)
    assert caught.value.code == code
    assert desk.trusted() == {"maebashi", "omura"}
    assert desk.shelf.refused.read_bytes() == document


def test_a_renewal_of_a_list_that_is_over_needs_nobody(desk: Desk) -> None:
    """It is compared with what was in force, even if that ended over the weekend."""
    HighWater(desk.state).remember({"region": Mark(1)})
    document = signed_list("maebashi", "omura", sequence=2, age=-35)
    later = NOW + timedelta(days=36)
    assert desk.trusted(later) == set()
    assert desk.take(document, later) is FetchOutcome.TAKEN
    assert desk.trusted(later) == {"maebashi", "omura"}


def test_a_decision_of_another_node_is_carried_out(desk: Desk, neighbour: Neighbour) -> None:
    """Once the version is here; before that it is taken at once when it comes."""
    document, next_one = signed_list("ebetsu", sequence=2), signed_list("omura", "ebetsu", "hakodate", sequence=3)
    neighbour.take(document)
    assert approval.carry_out(neighbour.source, neighbour.state, now=NOW) is None
    for each in (document, next_one):
        desk.take(each)
        desk.approve(at=LATER)
    neighbour.hear(desk)
    neighbour.hear(desk)
    assert len(Decisions(neighbour.state).read()) == 3
    assert approval.carry_out(neighbour.source, neighbour.state, now=LATER) is Word.APPROVED
    assert neighbour.trusted() == {"ebetsu"}
    assert neighbour.take(next_one, LATER) is FetchOutcome.TAKEN
    assert neighbour.trusted() == {"ebetsu", "hakodate", "omura"}


def test_the_last_word_counts(desk: Desk, neighbour: Neighbour) -> None:
    """By when it was said, not by when it was written down here."""
    document = signed_list("ebetsu", sequence=2)
    for node in (desk, neighbour):
        node.take(document)
    desk.reject(at=LATER)
    words = [replace(desk_word, word=Word.APPROVED, at=NOW) for desk_word in Decisions(desk.state).read()[1:]]
    neighbour.hear(desk)
    Decisions(neighbour.state).add(words)
    assert approval.carry_out(neighbour.source, neighbour.state, now=LATER) is Word.REJECTED
    assert neighbour.trusted() == {"maebashi", "omura"}


def test_a_list_that_needs_no_approval(tmp_path: Path) -> None:
    """Takes effect whatever it says; nobody can decide about it."""
    plain = source(tmp_path)
    document = signed_list("maebashi")
    assert approval.take(plain, tmp_path, document, now=NOW) is FetchOutcome.TAKEN
    assert approval.take(plain, tmp_path, document, now=NOW) is FetchOutcome.UNCHANGED
    with pytest.raises(ApprovalError, match="need no approval"):
        approval.approve(plain, tmp_path, digest="0" * 64, who="Hanako", at=NOW)
    assert approval.waiting([plain], tmp_path) == ()


def test_other_pins_make_everything_new(desk: Desk) -> None:
    """What another key vouched for is no ground to stand on."""
    desk.source = source(desk.state, approval=True, anchors=(_key("successor"),))
    assert desk.trusted() == set()
    assert desk.take(signed_list("maebashi", sequence=2, by=signatory("successor"))) is FetchOutcome.STAGED


def _key(name: str) -> bytes:
    from trust_lists.certificates import from_pem  # noqa: PLC0415 - only here

    return from_pem(signatory(name).certificate)[0]


def test_a_board_words_each_version_once(desk: Desk) -> None:
    """Whoever looks often sees the same words; of another version, or in another language, others."""
    board = approval.Board(desk.state)
    seen = []
    for names in (("maebashi", "omura", "ebetsu"), ("maebashi", "omura", "mallory")):
        desk.take(signed_list(*names, sequence=len(seen) + 2))
        for language in ("ja", "en"):
            (waits,) = board.waiting([desk.source])
            found = board.lines(waits, language)
            assert found == waits.comparison.lines(language)
            assert board.lines(board.waiting([desk.source])[0], language) is found
            seen.append(found)
    assert len(set(seen)) == 4
