"""The state directory and the keys in it: made once, for this user alone, never replaced, never guessed."""

import shutil
import threading
from pathlib import Path

import pytest

from gateway import keys
from gateway.keys import StateDirectoryError, private_directory, state_directory
from trust_lists.xmlenc import encrypt

from .gateway_sample import _keys


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with its keys."""
    shutil.copytree(_keys(), tmp_path / "state" / "keys")
    return tmp_path / "state"


def test_the_same_keys_at_every_start(state: Path) -> None:
    """Nothing is made again, and nothing is written."""
    before = {path: path.read_bytes() for path in (state / "keys").iterdir()}
    first, second = keys.load(state), keys.load(state)
    assert first.sealing == second.sealing
    assert first.identifiers == second.identifiers
    assert first.assertion.kid == second.assertion.kid
    assert first.saml.certificate_der == second.saml.certificate_der
    assert first.saml_decrypter.certificate_der == second.saml_decrypter.certificate_der
    assert {path: path.read_bytes() for path in (state / "keys").iterdir()} == before
    assert len({first.id_token_es256.kid, first.client.kid, first.assertion.kid, first.id_token_rs256.kid}) == 4


def test_saml_signs_and_decrypts_with_different_keys(state: Path) -> None:
    """What is encrypted for the published certificate is opened with the key that was kept, after a restart too."""
    assertion = b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>'
    before, after = keys.load(state), keys.load(state)
    assert before.saml.certificate_der != before.saml_decrypter.certificate_der
    encrypted = encrypt(assertion, certificates=[before.saml_decrypter.certificate_der])
    assert after.saml_decrypter.decrypt(encrypted) == assertion


def test_a_key_that_is_new_to_the_gateway_is_made_at_the_next_start(state: Path) -> None:
    """A state directory from before it keeps every other key, and gets this one once."""
    (state / "keys" / "saml-encryption.pem").unlink()
    (state / "keys" / "saml-encryption.crt").unlink()
    before = {path: path.read_bytes() for path in (state / "keys").iterdir()}
    first, second = keys.load(state), keys.load(state)
    assert first.saml_decrypter.certificate_der == second.saml_decrypter.certificate_der
    made = {path: path.read_bytes() for path in (state / "keys").iterdir()}
    assert {path.name for path in set(made) - set(before)} == {"saml-encryption.pem", "saml-encryption.crt"}
    assert {path: made[path] for path in before} == before
    assert (state / "keys" / "saml-encryption.pem").stat().st_mode & 0o777 == 0o600


def test_a_former_encryption_key_still_opens_while_the_new_one_is_published(state: Path) -> None:
    """Whoever has read the old metadata encrypts for the old key until the metadata's end."""
    assertion = b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>'
    former = keys.load(state).saml_decrypter.certificate_der
    for ending in ("pem", "crt"):
        (state / "keys" / f"saml-encryption.{ending}").rename(state / "keys" / f"saml-encryption-2026.{ending}")
    changed = keys.load(state).saml_decrypter
    assert changed.certificate_der != former
    for certificate in (former, changed.certificate_der):
        assert changed.decrypt(encrypt(assertion, certificates=[certificate])) == assertion


def test_keys_are_for_this_user_alone(state: Path) -> None:
    """Also where a backup was restored too openly: the directory is closed again."""
    for path in _keys().iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    (state / "keys").chmod(0o755)
    keys.load(state)
    assert (state / "keys").stat().st_mode & 0o777 == 0o700


def test_two_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    """Whoever is second takes the first one's; a half-written key is never seen."""
    path = tmp_path / "key"
    found: list[bytes] = []

    def make(n: int) -> None:
        found.append(keys._once(path, lambda: bytes([n]) * 1000))

    threads = [threading.Thread(target=make, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("saml.pem", "-----BEGIN"),
        ("saml.crt", ""),
        ("saml-encryption.pem", "-----BEGIN"),
        ("saml-encryption.crt", ""),
        ("assertion-es256.pem", "x"),
        ("federation-es256.pem", "x"),
        ("identifiers.json", "{"),
        ("identifiers.json", "{}"),
        ("identifiers.json", '{"person": "00", "pairwise": "00", "sealing": "00", "store": "00", "other_pairwise": 1}'),
        ("identifiers.json", '{"person": "xyz", "pairwise": "", "sealing": "", "store": ""}'),
    ],
)
def test_a_damaged_key_is_not_made_again(state: Path, file: str, content: str) -> None:
    """New keys would give every resident new identifiers: a sentence asks for the backup."""
    (state / "keys" / file).write_text(content)
    with pytest.raises(StateDirectoryError, match=rf"{state}.*damaged.*Restore the directory from its backup"):
        keys.load(state)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_directory_that_others_write_into_keeps_no_keys(tmp_path: Path, mode: int) -> None:
    """It is refused with its mode, and not changed: it may be everybody's."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StateDirectoryError, match=rf"other users may write into this directory \(mode {mode:04o}\)"):
        state_directory(path)
    assert path.stat().st_mode & 0o7777 == mode
    assert list(path.iterdir()) == []


def test_directories_are_made(tmp_path: Path) -> None:
    """With their parents, private; one that is there keeps its mode unless it is one of ours."""
    made = state_directory(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    assert state_directory(made).stat().st_mode & 0o777 == 0o755
    assert private_directory(made).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("directory", [state_directory, private_directory])
def test_a_file_in_the_way(tmp_path: Path, directory) -> None:
    """A sentence with the path and what is expected there."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StateDirectoryError, match=rf"^{path}: cannot be used as a state directory .*Expected"):
            directory(path)
