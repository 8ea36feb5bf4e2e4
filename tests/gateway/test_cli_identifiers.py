"""`kakehashi identifiers …`: a further key for what services know people by, and nobody is renamed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from federation.identifiers import Identifiers
from gateway import keys
from gateway.cli import main


def run(*arguments: object) -> Result:
    """The command's answer."""
    return CliRunner().invoke(main, ["identifiers", *map(str, arguments)])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of a gateway that ran."""
    keys.load(tmp_path / "state")
    return tmp_path / "state"


def test_a_key_follows_another_in_two_steps(state: Path) -> None:
    """First every machine learns it, then newcomers are named by it; who was named before stays so."""
    before = Identifiers(keys.load(state).identifiers)
    person = before.person("https://id.example", "1")
    added = run("add-key", "--state", state).output.strip()
    between = Identifiers(keys.load(state).identifiers)
    assert (between.present, between.knows(added)) == (before.present, True)
    assert run("use-key", added, "--state", state).exit_code == 0
    after = Identifiers(keys.load(state).identifiers)
    assert after.present == added
    assert after.pairwise(person, "s", before.present) == before.pairwise(person, "s", before.present)
    assert after.person("https://id.example", "1") == person
    listed = json.loads(run("keys", "--state", state, "--json").output)
    assert listed == {"present": added, "others": [before.present]}
    assert run("keys", "--state", state).output.splitlines()[0].startswith(added)


def test_the_file_stays_private_and_whole(state: Path) -> None:
    """Mode 0600, nothing else beside it, and every other key in it is the same."""
    path = state / "keys" / keys.IDENTIFIERS
    names = sorted(each.name for each in path.parent.iterdir())
    held = json.loads(path.read_bytes())
    run("add-key", "--state", state)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == names
    assert {name: json.loads(path.read_bytes())[name] for name in held} == held


def test_keys_never_show(state: Path) -> None:
    """Names only: they tell nothing of the keys."""
    told = run("add-key", "--state", state).output + run("keys", "--state", state).output
    held = (state / "keys" / keys.IDENTIFIERS).read_text()
    secrets = [value for value in json.loads(held).values() if isinstance(value, str)]
    assert not any(secret[:16] in told for secret in secrets)


def test_what_cannot_be_done_is_said(state: Path, tmp_path: Path) -> None:
    """An unknown key, a directory without keys, a damaged file: a sentence, exit code 1, nothing changed."""
    before = (state / "keys" / keys.IDENTIFIERS).read_bytes()
    told = run("use-key", "nowhere", "--state", state)
    assert (told.exit_code, "no such key" in told.output) == (1, True)
    assert (state / "keys" / keys.IDENTIFIERS).read_bytes() == before
    for command in (("keys",), ("add-key",), ("use-key", "x")):
        told = run(*command, "--state", tmp_path / "empty")
        assert (told.exit_code, "identifiers.json: cannot be read" in told.output) == (1, True)
    (state / "keys" / keys.IDENTIFIERS).write_text("{")
    told = run("keys", "--state", state)
    assert (told.exit_code, "damaged" in told.output) == (1, True)


def test_no_new_key_has_a_name_that_a_command_would_take_for_an_option(state: Path) -> None:
    """One name in sixty-four would begin with a hyphen."""
    names = [keys.add_naming_key(state) for _ in range(300)]
    assert not [name for name in names if name.startswith("-")]
