"""Versions that wait for a person: what takes effect at once, what is staged, and what a decision does."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import approval
from gateway.approval import ApprovalError, Decision, Decisions, Word
from gateway.config import TrustSource
from gateway.lists import HighWater, Shelf
from observability.events import FetchOutcome
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
            approval.approve(self.source, state, digest=digest(first), who="Hanako", at=NOW)

    def take(self, document: bytes, at: datetime = NOW) -> FetchOutcome:
        return approval.take(self.source, self.state, document, now=at)

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
    assert (waits.name, waits.digest, waits.sequence) == ("region", digest(document), 1)
    assert waits.comparison.widens
    assert any("maebashi" in line for line in waits.comparison.lines("ja"))
    approval.approve(desk.source, tmp_path, digest=waits.digest, who="Hanako", at=NOW)
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
    shown = signed_list("maebashi", "omura", "ebetsu", sequence=2)
    desk.take(shown)
    desk.take(signed_list("maebashi", "omura", "mallory", sequence=3))
    for decide in (approval.approve, approval.reject):
        with pytest.raises(ApprovalError, match="another than the one shown"):
            decide(desk.source, desk.state, digest=digest(shown), who="Hanako", at=NOW)
    assert desk.trusted() == {"maebashi", "omura"}


@pytest.mark.parametrize("who", ["", "  ", "x" * 101, "a\0b", "\u202eobanah"])
def test_somebody_must_decide(desk: Desk, who: str) -> None:
    """A name is asked for, and one that can be read."""
    document = signed_list("ebetsu", sequence=2)
    desk.take(document)
    with pytest.raises(ApprovalError, match="who decides"):
        approval.approve(desk.source, desk.state, digest=digest(document), who=who, at=NOW)


def test_decisions_are_written_down(desk: Desk) -> None:
    """Who, when and about what, one line each; nothing of it is ever taken back, and a cut line spoils no other."""
    second, third = signed_list("ebetsu", sequence=2), signed_list("ebetsu", "hakodate", sequence=3)
    desk.take(second)
    approval.reject(desk.source, desk.state, digest=digest(second), who="  Jiro   Yamada ", at=NOW)
    path = desk.state / "approvals.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    path.write_text(before + '{"name": "reg')
    desk.take(third)
    approval.approve(desk.source, desk.state, digest=digest(third), who="花子", at=NOW)
    assert path.read_text().startswith(before)
    _, rejected, approved = Decisions(desk.state).read()
    assert rejected == Decision(name="region", digest=digest(second), word=Word.REJECTED, who="Jiro Yamada", at=NOW)
    assert (approved.word, approved.who) == (Word.APPROVED, "花子")
    assert json.loads(path.read_text().splitlines()[-1])["digest"] == digest(third)


def test_a_rejected_version_is_not_staged_again(desk: Desk) -> None:
    """However often it is fetched; the next one is looked at anew."""
    document = signed_list("ebetsu", sequence=2)
    desk.take(document)
    approval.reject(desk.source, desk.state, digest=digest(document), who="Hanako", at=NOW)
    assert desk.shelf.refused.read_bytes() == document
    with pytest.raises(ListRefusedError) as caught:
        desk.take(document)
    assert caught.value.code == "rejected"
    assert desk.take(signed_list("ebetsu", sequence=3)) is FetchOutcome.STAGED


def test_what_was_approved_may_be_over_meanwhile(desk: Desk) -> None:
    """It is read once more, by the rules of that moment; nothing is written down then."""
    document = signed_list("ebetsu", sequence=2, days=1)
    desk.take(document)
    for later, code in ((timedelta(days=2), "expired"), (timedelta(), "rollback")):
        if code == "rollback":
            HighWater(desk.state).remember({"region": 3})
        with pytest.raises(ListRefusedError) as caught:
            approval.approve(desk.source, desk.state, digest=digest(document), who="Hanako", at=NOW + later)
        assert caught.value.code == code
    assert len(Decisions(desk.state).read()) == 1


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
    HighWater(desk.state).remember({"region": 1})
    document = signed_list("maebashi", "omura", sequence=2, age=-35)
    later = NOW + timedelta(days=36)
    assert desk.trusted(later) == set()
    assert desk.take(document, later) is FetchOutcome.TAKEN
    assert desk.trusted(later) == {"maebashi", "omura"}


def test_a_decision_of_another_node_is_carried_out(desk: Desk) -> None:
    """Once the version is here; before that it is taken at once when it comes."""
    document, next_one = signed_list("ebetsu", sequence=2), signed_list("omura", sequence=3)
    desk.take(document)
    assert approval.carry_out(desk.source, desk.state, now=NOW) is None
    for each in (document, next_one):
        decided = Decision(name="region", digest=digest(each), word=Word.APPROVED, who="Hanako", at=NOW)
        Decisions(desk.state).add([decided, decided])
    assert len(Decisions(desk.state).read()) == 3
    assert approval.carry_out(desk.source, desk.state, now=NOW) is Word.APPROVED
    assert desk.trusted() == {"ebetsu"}
    assert desk.take(next_one) is FetchOutcome.TAKEN
    assert desk.trusted() == {"omura"}


def test_the_last_word_counts(desk: Desk) -> None:
    """By when it was said, not by when it was written down here."""
    document = signed_list("ebetsu", sequence=2)
    desk.take(document)
    words = ((Word.REJECTED, timedelta(hours=1)), (Word.APPROVED, timedelta()))
    Decisions(desk.state).add(
        Decision(name="region", digest=digest(document), word=word, who="Hanako", at=NOW + later)
        for word, later in words
    )
    assert approval.carry_out(desk.source, desk.state, now=NOW) is Word.REJECTED
    assert desk.trusted() == {"maebashi", "omura"}


def test_a_list_that_needs_no_approval(tmp_path: Path) -> None:
    """Takes effect whatever it says; nobody can decide about it."""
    plain = source(tmp_path)
    document = signed_list("maebashi")
    assert approval.take(plain, tmp_path, document, now=NOW) is FetchOutcome.TAKEN
    assert approval.take(plain, tmp_path, document, now=NOW) is FetchOutcome.UNCHANGED
    with pytest.raises(ApprovalError, match="need no approval"):
        approval.approve(plain, tmp_path, digest=digest(document), who="Hanako", at=NOW)
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
