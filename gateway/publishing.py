"""A signed list laid where a web server answers from, and for SAML metadata every entity of it alone."""

import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trust_lists import certificates, formats, mdq
from trust_lists.mdq import ENTITIES
from trust_lists.recipes import Recipe, RecipeError, read_file
from trust_lists.xmldsig import Signer

__all__ = ["ENTITIES", "Published", "publish"]

_PUBLIC_MODE = 0o644
_PUBLIC_DIRECTORY = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where the list lies, how many entities lie beside it, and the names of files that were removed."""

    document: Path
    entities: int = 0
    removed: tuple[str, ...] = ()


def publish(plan: Recipe, signed: Path, directory: Path, *, key: Path, certificate: Path, now: datetime) -> Published:
    """Lay the signed output of `plan` in `directory`, and with SAML metadata each entity in `directory/entities`.

    Each file is replaced as a whole; the list itself comes last, so that whoever reads a new list finds its entities.
    Raises `RecipeError`, `ListRefusedError` and `OSError`.
    """
    form = formats.FORMATS[plan.format]
    document = read_file(signed, limit=form.maximum_bytes)
    directory.mkdir(mode=_PUBLIC_DIRECTORY, parents=True, exist_ok=True)
    found = Published(document=directory / signed.name)
    if plan.format == "saml-metadata":
        found = _entities(plan, document, found, key=key, certificate=certificate, now=now)
    _lay(found.document, document)
    return found


def _entities(
    plan: Recipe, document: bytes, found: Published, *, key: Path, certificate: Path, now: datetime
) -> Published:
    certificate_pem = read_file(certificate)
    anchors = certificates.from_pem(certificate_pem)[:1]
    signer = Signer.from_pem(read_file(key), certificate_pem)
    read = formats.read(document, kind=plan.format, name=plan.name, anchors=anchors, now=now)
    if read.faults:
        raise RecipeError(f"{plan.output}: {read.faults[0].where}: {read.faults[0].reason}; correct that member.")
    place = found.document.parent / ENTITIES
    place.mkdir(mode=_PUBLIC_DIRECTORY, exist_ok=True)
    written: set[str] = set()
    signed: set[str] = set()
    for name, alone in mdq.publish(document, read=read, anchors=anchors, signer=signer):
        _lay(place / name, alone)
        written.add(name)
        signed.add(hashlib.sha256(alone).hexdigest())
    removed = sorted(path.name for path in place.iterdir() if path.name not in written and mdq.is_file_name(path.name))
    for name in removed:
        (place / name).unlink()
    return Published(document=found.document, entities=len(signed), removed=tuple(removed))


def _lay(path: Path, octets: bytes) -> None:
    """Put a file that everybody may read in its place in one step. Raises `OSError`."""
    temporary = path.with_name(f".{secrets.token_hex(16)}")
    try:
        with temporary.open("xb") as file:
            os.fchmod(file.fileno(), _PUBLIC_MODE)
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
