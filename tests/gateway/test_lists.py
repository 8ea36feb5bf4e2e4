"""What the gateway keeps of lists on disk."""

import multiprocessing
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import lists
from gateway.decisions import Decision, Decisions, Word
from gateway.keys import StateDirectoryError
from gateway.lists import HighWater, Note, Shelf
from trust_lists.admission import Mark
from trust_lists.model import ListRefusedError
from trust_lists.trusted_set import TrustedSet

from .gateway_sample import signatory, signed_list
from .lists_sample import source

NOW = datetime.now(UTC) + timedelta(hours=1)
"""Ahead, so that what is signed while the tests run is not from the future."""


def _raise_marks(state: Path, names: list[str]) -> None:
    for number, name in enumerate(names * 20):
        HighWater(state).remember({name: Mark(number)})


def test_marks_of_several_processes_all_count(tmp_path: Path) -> None:
    """Whoever writes at the same moment loses nothing of the other's."""
    context = multiprocessing.get_context("spawn")
    works = [context.Process(target=_raise_marks, args=(tmp_path, [f"list-{n}"])) for n in range(3)]
    for work in works:
        work.start()
    for work in works:
        work.join(60)
    assert HighWater(tmp_path).read() == {f"list-{n}": Mark(19) for n in range(3)}


def test_marks_never_fall(tmp_path: Path) -> None:
    """Not by a lower number, and not by a damaged file."""
    marks = HighWater(tmp_path)
    marks.remember({"region": Mark(7)})
    marks.remember({"region": Mark(6), "other": Mark(1)})
    assert marks.read() == {"region": Mark(7), "other": Mark(1)}
    for damaged in ("{", '{"region": "7"}', '{"region": [7]}', '{"region": [7, "x", "y"]}', '{"region": true}', "[]"):
        (tmp_path / "high-water.json").write_text(damaged)
        with pytest.raises(StateDirectoryError):
            marks.remember({"region": Mark(8)})


def test_marks_keep_what_was_admitted_first(tmp_path: Path) -> None:
    """A number alone, as an older file has it, learns the content; known content stays until the number rises."""
    marks = HighWater(tmp_path)
    (tmp_path / "high-water.json").write_text('{"region": 7}')
    first, second = Mark(7, "a" * 64, "b" * 64), Mark(7, "c" * 64, "d" * 64)
    for each, expected in ((first, first), (second, first), (Mark(7), first), (Mark(8, *second[1:]),) * 2):
        marks.remember({"region": each})
        assert HighWater(tmp_path).read() == {"region": expected}


def test_one_number_stands_for_one_content_after_a_restart(tmp_path: Path) -> None:
    """Only the mark is left of the life before; the same list, signed again, is no other content."""
    plain = source(tmp_path)
    plain.file.parent.mkdir(parents=True)
    plain.file.write_bytes(first := signed_list("maebashi", sequence=4))
    trust = TrustedSet()
    assert lists.read(plain, trust, held=None, marks={}, now=NOW).code is None
    HighWater(tmp_path).remember(trust.highest())
    marks = HighWater(tmp_path).read()
    for document, code in ((first, None), (signed_list("omura", sequence=4), "same-sequence")):
        plain.file.write_bytes(document)
        assert lists.read(plain, TrustedSet(), held=None, marks=marks, now=NOW).code == code
        assert lists.read(plain, TrustedSet(marks), held=None, marks={}, now=NOW).code == code


def test_marks_of_others_hold_at_the_reading(tmp_path: Path) -> None:
    """What another process admitted is a bound here, before this one has seen it."""
    plain = source(tmp_path)
    plain.file.parent.mkdir(parents=True)
    plain.file.write_bytes(signed_list("maebashi", sequence=4))
    for mark, code in ((5, "rollback"), (4, None)):
        found = lists.read(plain, TrustedSet(), held=None, marks={"region": Mark(mark)}, now=NOW)
        assert found.code == code


def test_a_list_that_is_not_there_yet(tmp_path: Path) -> None:
    """Of one that is fetched or waits for approval that is no mistake of the operator's."""
    for changes, said in (({"url": "https://lists.example/"}, "fetched"), ({"approval": True}, "approved")):
        found = lists.read(source(tmp_path, **changes), TrustedSet(), held=None, marks={}, now=NOW)
        assert (found.code, said in found.text) == ("awaited", True)
    found = lists.read(source(tmp_path), TrustedSet(), held=None, marks={}, now=NOW)
    assert found.code == "unreadable"


def test_which_pin_verified_it(tmp_path: Path) -> None:
    """The present one, or its successor."""
    from trust_lists.certificates import from_pem  # noqa: PLC0415 - only here

    both = source(tmp_path, next_anchors=from_pem(signatory("successor").certificate))
    for by, expected in ((signatory(), False), (signatory("successor"), True)):
        found = lists.trial(both, signed_list("maebashi", by=by), marks={}, now=NOW)
        assert lists.succeeded(both, found) is expected
    with pytest.raises(ListRefusedError):
        lists.trial(both, signed_list("maebashi", by=signatory("stranger")), marks={}, now=NOW)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"place": 1, "more": 2}', "null"])
def test_a_damaged_note_only_costs_a_request(tmp_path: Path, content: str) -> None:
    """It is as if nothing had been asked."""
    shelf = Shelf(tmp_path, "region")
    shelf.make()
    shelf.remember(Note(place="https://lists.example/", etag='"1"'))
    assert shelf.note() == Note(place="https://lists.example/", etag='"1"')
    (tmp_path / "lists" / "region" / "note.json").write_text(content)
    assert shelf.note() == Note()


def test_files_are_for_this_user_alone(tmp_path: Path) -> None:
    """And are put in place whole, with the time that is theirs."""
    shelf = Shelf(tmp_path, "region")
    shelf.make()
    lists.replace(shelf.current, b"a list", at=NOW)
    assert shelf.current.stat().st_mode & 0o777 == 0o600
    assert shelf.current.parent.stat().st_mode & 0o777 == 0o700
    assert abs(lists.written_at(shelf.current) - NOW).total_seconds() < 1e-3
    assert [path.name for path in shelf.current.parent.iterdir()] == ["current"]


def test_a_file_that_root_opens_for_the_gateway_is_no_way_elsewhere(tmp_path: Path) -> None:
    """Commands run by root give files to the directory's owner: never what a link in it leads to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("root's own")
    (tmp_path / "lock").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"), lists.locked(tmp_path / "lock"):
        pass
    state = tmp_path / "state"
    state.mkdir()
    (state / "approvals.jsonl").symlink_to(elsewhere)
    decision = Decision(
        name="a", digest="0" * 64, document="0" * 64, asked=(), word=Word.APPROVED, who="Mari", at=datetime.now(UTC)
    )
    with pytest.raises(OSError, match="symbolic links"):
        Decisions(state).add([decision])
    assert elsewhere.read_text() == "root's own"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_no_file_away_that_has_another_name(tmp_path: Path) -> None:
    """A hard link in the gateway's directory makes nothing else the gateway's."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    os.chown(state, 12345, 12345)
    elsewhere.touch()
    os.link(elsewhere, state / "lock")
    with lists.locked(state / "lock"), lists.locked(state / "other"):
        pass
    assert elsewhere.stat().st_uid == 0
    assert (state / "other").stat().st_uid == 12345


def test_a_file_whose_mode_was_mended_is_read_again(tmp_path: Path) -> None:
    """Its time of writing does not change by that."""
    path = tmp_path / "list"
    path.touch(mode=0o000)
    before = lists.stamp(path)
    time.sleep(0.02)
    path.chmod(0o600)
    assert lists.stamp(path) != before
