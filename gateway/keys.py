"""The gateway's own keys: made in the state directory at the first start, read at every later one.

Nothing here is configuration, and nothing here is ever logged. Files are created with mode 0600 in a
directory of mode 0700, and never overwritten. Several machines that serve one region share a copy of that
directory.
"""

import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from federation.identifiers import KEY_BYTES, IdentifierKeys, KeyName, key_name
from federation.oidc.jose import SigningKey
from trust_lists.federation_serving import FederationSigner
from trust_lists.xmldsig import Signer
from trust_lists.xmlenc import Decrypter

RSA_BITS = 3072
"""CRYPTREC counts RSA-2048 as sufficient until 2030 only; certificates in metadata live longer than that."""

SAML_CERTIFICATE_DAYS = 3650

IDENTIFIERS = "identifiers.json"
OTHER = "other_pairwise"
"""In that file: keys that name people beside the present one, which is `pairwise`."""


class StateDirectoryError(Exception):
    """The state directory cannot be used; the text says which path, what was expected and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKeys:
    """Every key of the gateway, loaded. `federation_beside` are public federation keys that are stated but not used."""

    saml: Signer
    saml_decrypter: Decrypter
    id_token_rs256: SigningKey
    id_token_es256: SigningKey
    client: SigningKey
    assertion: SigningKey
    federation: FederationSigner
    federation_beside: tuple[FederationSigner, ...]
    identifiers: IdentifierKeys
    sealing: bytes


def state_directory(path: Path) -> Path:
    """`path`, made with mode 0700 if it is not there. Raises `StateDirectoryError`.

    A directory that is there keeps its mode, since it may be a volume or somebody else's; but nobody else may
    be able to put files into it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
        _try_to_write(path)
    except OSError as fault:
        raise _unusable(path, fault) from fault
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateDirectoryError(
            f"{path}: other users may write into this directory (mode {stat.S_IMODE(mode):04o}), so it cannot keep "
            "keys. Expected a state directory of the gateway's own; name one, or take the others' right to write."
        )
    return path


def private_directory(path: Path) -> Path:
    """`path`, one of the gateway's own, made with mode 0700 if need be. Raises `StateDirectoryError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
        _try_to_write(path)
    except OSError as fault:
        raise _unusable(path, fault) from fault
    return path


def _try_to_write(path: Path) -> None:
    probe = path / f".writable-{os.getpid()}-{secrets.token_hex(4)}"
    probe.touch()
    probe.unlink()


def _unusable(path: Path, fault: OSError) -> StateDirectoryError:
    return StateDirectoryError(
        f"{path}: cannot be used as a state directory ({fault.strerror or fault}). "
        "Expected a directory that this user may read and write. Mend its owner or mode, or name another one."
    )


def load(state: Path) -> GatewayKeys:
    """Read the keys of `state`, making those that are not there. Raises `StateDirectoryError`."""
    directory = private_directory(state_directory(state) / "keys")
    try:
        identifiers = json.loads(_once(directory / IDENTIFIERS, _new_identifier_keys))
        return GatewayKeys(
            saml=Signer.from_pem(*_saml_pair(directory, "saml", "Kakehashi SAML")),
            saml_decrypter=Decrypter.from_pem(
                _saml_pair(directory, "saml-encryption", "Kakehashi SAML encryption"), *_former(directory)
            ),
            id_token_rs256=SigningKey.from_pem(_once(directory / "id-token-rs256.pem", _new_rsa)),
            id_token_es256=SigningKey.from_pem(_once(directory / "id-token-es256.pem", _new_ec)),
            client=SigningKey.from_pem(_once(directory / "client-es256.pem", _new_ec)),
            assertion=SigningKey.from_pem(_once(directory / "assertion-es256.pem", _new_ec)),
            federation=FederationSigner.from_pem(_once(directory / "federation-es256.pem", _new_ec)),
            federation_beside=_beside(directory),
            identifiers=IdentifierKeys(
                person=bytes.fromhex(identifiers["person"]),
                pairwise=bytes.fromhex(identifiers["pairwise"]),
                sealing=bytes.fromhex(identifiers["sealing"]),
                other_pairwise=tuple(map(bytes.fromhex, identifiers.get(OTHER, ()))),
            ),
            sealing=bytes.fromhex(identifiers["store"]),
        )
    except OSError as fault:
        raise StateDirectoryError(
            f"{fault.filename or directory}: a key cannot be read or written ({fault.strerror or fault}). "
            "Expected files of mode 0600 that belong to this user."
        ) from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise StateDirectoryError(
            f"{directory}: a key file is damaged ({type(fault).__name__}). Restore the directory from its backup; "
            "with new keys every resident would have new identifiers."
        ) from fault


def naming_keys(state: Path) -> tuple[KeyName, ...]:
    """The names of the keys by which services know people, the present one first. Raises `StateDirectoryError`."""
    held = _held(state)
    return tuple(key_name(bytes.fromhex(key)) for key in (held["pairwise"], *held.get(OTHER, ())))


def add_naming_key(state: Path) -> KeyName:
    """Make a further key, by which nobody is named yet; its name. Raises `StateDirectoryError`."""
    held = _held(state)
    key = secrets.token_bytes(KEY_BYTES)
    while key_name(key).startswith("-"):  # it will be typed, and a command would take it for an option
        key = secrets.token_bytes(KEY_BYTES)
    _replace(state / "keys" / IDENTIFIERS, {**held, OTHER: [*held.get(OTHER, ()), key.hex()]})
    return key_name(key)


def use_naming_key(state: Path, name: str) -> None:
    """Name those who come new by that key from the next start on; whoever has a name keeps it.

    Raises `StateDirectoryError`, and `LookupError` if there is no such key.
    """
    held = _held(state)
    keys = (held["pairwise"], *held.get(OTHER, ()))
    chosen = next((key for key in keys if key_name(bytes.fromhex(key)) == name), None)
    if chosen is None:
        raise LookupError(name)
    _replace(state / "keys" / IDENTIFIERS, {**held, "pairwise": chosen, OTHER: [k for k in keys if k != chosen]})


def _held(state: Path) -> dict[str, Any]:
    path = state / "keys" / IDENTIFIERS
    try:
        held: dict[str, Any] = json.loads(path.read_bytes())
        [bytes.fromhex(key) for key in (held["pairwise"], *held.get(OTHER, ()))]
    except OSError as fault:
        raise StateDirectoryError(
            f"{path}: cannot be read ({fault.strerror or fault}). Expected the state directory of a gateway that ran."
        ) from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise StateDirectoryError(
            f"{path}: the file is damaged ({type(fault).__name__}). Restore it from its backup."
        ) from fault
    return held


def _replace(path: Path, held: dict[str, Any]) -> None:
    """Write the file whole: whoever reads it, and whenever the power fails, sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(json.dumps(held, indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; if it is not there, what `make` gives, written whole or not at all."""
    if not path.exists():
        write_private(path, make())
    return path.read_bytes()


def write_private(path: Path, content: bytes) -> None:
    """Write `content` with mode 0600, atomically; an existing file stays as it is (another process was faster)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _new_rsa() -> bytes:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def _new_ec() -> bytes:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _new_identifier_keys() -> bytes:
    names = ("person", "pairwise", "sealing", "store")
    return json.dumps({name: secrets.token_hex(32) for name in names}, indent=1).encode()


def _former(directory: Path) -> list[tuple[bytes, bytes]]:
    """Former encryption keys, put there by hand: who has read our metadata before a change still encrypts for them."""
    keys = sorted(directory.glob("saml-encryption-*.pem"))
    return [(key.read_bytes(), key.with_suffix(".crt").read_bytes()) for key in keys]


def _beside(directory: Path) -> tuple[FederationSigner, ...]:
    """The former and the next federation key, put there by hand: stated beside the present one at a change of keys."""
    keys = sorted(directory.glob("federation-es256-*.pem"))
    return tuple(FederationSigner.from_pem(path.read_bytes()) for path in keys)


def _saml_pair(directory: Path, file: str, common_name: str) -> tuple[bytes, bytes]:
    """An RSA key and its own certificate (both PEM), as SAML metadata publish one."""
    key_pem = _once(directory / f"{file}.pem", _new_rsa)

    def certificate() -> bytes:
        key = serialization.load_pem_private_key(key_pem, None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=SAML_CERTIFICATE_DAYS))
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    return key_pem, _once(directory / f"{file}.crt", certificate)
