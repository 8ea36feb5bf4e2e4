"""The authority's side: making its key, and signing a list from a recipe.

A list is written as a whole or not at all, and only after it was read back as a gateway would read it.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from trust_lists import certificates, json_list, saml_metadata, strict_json
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.recipes import (
    Recipe,
    RecipeError,
    Yaml,
    entry_error,
    read_file,
    read_recipe,
    read_yaml,
)
from trust_lists.rules import EntryError, UnpublishableError, municipality, scope
from trust_lists.times import LEEWAY, format_instant
from trust_lists.xmldsig import Signer

_RSA_BITS = 3072
_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644
_FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
_NO_LAST_DAY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 §4.1.2.5: a certificate without a well-defined end. Readers pin it and do not look at its
dates."""


def new_authority(directory: Path) -> tuple[Path, Path]:
    """Make a list-signing key and its self-signed certificate: `key.pem` (mode 0600) and `certificate.pem`.

    RSA of 3,072 bits: every SAML peer verifies rsa-sha256, while ECDSA is missing from pysaml2's allowed
    algorithms and from many deployed products. 3,072 bits are worth 128 bits of security (NIST SP 800-57),
    and a list is signed seldom, so the slower signature costs nothing. Raises `RecipeError` if one of the
    files is already there.
    """
    key_path, certificate_path = directory / "key.pem", directory / "certificate.pem"
    for path in (key_path, certificate_path):
        if path.exists():
            raise RecipeError(f"{path}: is already there; move it away if a new authority is really wanted.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Kakehashi trust list authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FIRST_DAY)
        .not_valid_after(_NO_LAST_DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=_PRIVATE_MODE)
    _write(certificate_path, certificate.public_bytes(Encoding.PEM), mode=_PUBLIC_MODE)
    return key_path, certificate_path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signing:
    """What every list is signed with, and `tell`, which hears what of the members' words is left out."""

    key: bytes
    certificate: bytes
    issued_at: datetime
    valid_until: datetime
    tell: Callable[[str], object]


def sign_list(
    recipe: Path,
    *,
    key: Path,
    certificate: Path,
    now: datetime,
    tell: Callable[[str], object] = lambda _: None,
) -> Path:
    """Sign the list of `recipe` and put it in the place of its last output; answers the output's path.

    The sequence number is the time in seconds since 1970, and at least the last output's plus one. `tell` gets a
    sentence for each thing that a member wanted and the list does not say, where its operator should know. Raises
    `RecipeError`; the last output then stays as it is.
    """
    plan = read_recipe(recipe)
    issued_at = _after_last_output(plan, now)
    valid_until = now.replace(microsecond=0) + plan.validity
    key_pem, certificate_pem = read_file(key), read_file(certificate)
    try:
        anchor = certificates.from_pem(certificate_pem)[0]
    except ValueError as error:
        raise RecipeError(f"{certificate}: {error}.") from error
    try:
        Signer.from_pem(key_pem, certificate_pem)
    except (ValueError, TypeError) as error:
        raise RecipeError(
            f"{key}: an unencrypted PEM private key of {certificate} is expected; check both files."
        ) from error
    publish, read = _FORMATS[plan.format]
    signing = _Signing(
        key=key_pem, certificate=certificate_pem, issued_at=issued_at, valid_until=valid_until, tell=tell
    )
    document = publish(plan, signing)
    try:
        signed: TrustList = read(document, name=plan.name, anchors=[anchor], now=issued_at)
    except ListRefusedError as error:
        raise RecipeError(f"{recipe}: a gateway would not accept the result: {error}") from error
    for fault in signed.faults:
        raise RecipeError(f"{recipe}: a gateway would drop {fault.where}: {fault.reason}; correct that member.")
    _write(plan.output, document, mode=_PUBLIC_MODE)
    return plan.output


def _after_last_output(plan: Recipe, now: datetime) -> datetime:
    """Answer `now` in whole seconds, or the second after the last output if that was not before it."""
    issued_at = now.replace(microsecond=0)
    if not plan.output.exists():
        return issued_at
    document = read_file(plan.output, limit=saml_metadata.MAXIMUM_BYTES)
    unsafe = saml_metadata if plan.format == "saml-metadata" else json_list
    try:
        last = datetime.fromtimestamp(unsafe.stated_sequence_unsafe(document), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise RecipeError(
            f"{plan.output}: is no {plan.format} list, so its sequence number cannot be continued; "
            "check `output:` in the recipe, or move the file away."
        ) from error
    if last > now + LEEWAY:
        raise RecipeError(
            f"{plan.output}: was signed at {format_instant(last)}, but it is {format_instant(now)} here; "
            "check this machine's clock."
        )
    return max(issued_at, last + timedelta(seconds=1))


# --- one function for each format


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sidecar:
    """What the authority says of a member in the file of the same name."""

    source: Yaml
    municipality: str | None
    scopes: tuple[str, ...]


def _publish_saml(plan: Recipe, signing: _Signing) -> bytes:
    paths = _members(plan, ".xml")
    members = [read_file(path) for path in paths]
    codes: dict[str, str] = {}
    scopes: dict[str, tuple[str, ...]] = {}
    sidecars = _sidecars(plan, paths)
    for path, member in zip(paths, members, strict=True):
        sidecar = sidecars.get(path)
        try:
            entity_id = saml_metadata.entity_id_unsafe(member)
            wanted = saml_metadata.scopes_unsafe(member)
        except EntryError as error:
            raise RecipeError(f"{path}: {error}.") from error
        if sidecar is not None and sidecar.municipality is not None:
            codes[entity_id] = sidecar.municipality
        if sidecar is not None and sidecar.scopes:
            scopes[entity_id] = sidecar.scopes
        for stated in wanted:
            if stated.lower() not in scopes.get(entity_id, ()):
                signing.tell(
                    f"{path}: states the scope {stated[:100]!r}, which is left out; if the member may use it, "
                    f"give it under scopes: in {path.with_suffix('.yaml').name}."
                )
    try:
        return saml_metadata.publish(
            members,
            name=plan.name,
            signer=Signer.from_pem(signing.key, signing.certificate),
            issued_at=signing.issued_at,
            valid_until=signing.valid_until,
            municipalities=codes,
            scopes=scopes,
            authority=plan.authority,
        )
    except UnpublishableError as error:
        path = paths[error.position]
        if error.error.place[:1] == ("scopes",) and path in sidecars:
            raise entry_error(sidecars[path].source, error.error) from error
        raise RecipeError(f"{path}: {error}; ask the member for corrected metadata.") from error


def _sidecars(plan: Recipe, paths: list[Path]) -> dict[Path, _Sidecar]:
    """Read what the authority says of its members, by the path of each member."""
    found: dict[Path, _Sidecar] = {}
    for path in sorted(plan.members.glob("*.yaml")):
        if path.with_suffix(".xml") not in paths:
            raise RecipeError(f"{path}: there is no {path.stem}.xml beside it; correct the name.")
        found[path.with_suffix(".xml")] = _sidecar(read_yaml(path))
    return found


def _sidecar(source: Yaml) -> _Sidecar:
    stated = source.value
    if not isinstance(stated, dict) or not stated or not set(stated) <= {"municipality", "scopes"}:
        raise source.error((), 'municipality: "CODE", scopes: [DOMAIN, …] or both are expected, and nothing else.')
    domains = stated.get("scopes", [])
    if not isinstance(domains, list) or ("scopes" in stated and not domains):
        raise source.error(("scopes",), "scopes: a list of domains is expected, as [ebetsu.example].")
    try:
        return _Sidecar(
            source=source,
            municipality=municipality(stated["municipality"], ("municipality",)) if "municipality" in stated else None,
            scopes=tuple(scope(domain, ("scopes", index)) for index, domain in enumerate(domains)),
        )
    except EntryError as error:
        raise entry_error(source, error) from error


def _publish_json(plan: Recipe, signing: _Signing) -> bytes:
    members = [_with_keys(plan, read_yaml(path)) for path in _members(plan, ".yaml")]
    try:
        return json_list.publish(
            [member.value for member in members],
            name=plan.name,
            key_pem=signing.key,
            certificate_pem=signing.certificate,
            issued_at=signing.issued_at,
            valid_until=signing.valid_until,
            sequence=int(signing.issued_at.timestamp()),
        )
    except UnpublishableError as error:
        raise entry_error(members[error.position], error.error) from error
    except ValueError as error:
        raise RecipeError(f"{plan.path}: {error}; sign with an RSA or a P-256 key.") from error


def _with_keys(plan: Recipe, member: Yaml) -> Yaml:
    """Put the JWK Set of `metadata.jwks_file` in its place; the file must lie below the recipe."""
    metadata = member.value.get("metadata") if isinstance(member.value, dict) else None
    if not isinstance(metadata, dict) or "jwks_file" not in metadata:
        return member
    place = ("metadata", "jwks_file")
    stated = metadata["jwks_file"]
    if "jwks" in metadata or not isinstance(stated, str):
        raise member.error(place, "either jwks, or jwks_file with a file name, is expected.")
    path = (member.path.parent / stated).resolve()
    if not path.is_relative_to(plan.path.resolve().parent):
        raise member.error(place, f"{stated} lies outside the recipe's directory; copy it beside this file.")
    try:
        jwks = strict_json.loads(read_file(path))
    except ValueError as error:
        raise member.error(place, f"{stated} is not a JWK Set in JSON; ask the member for it again.") from error
    kept = {name: value for name, value in metadata.items() if name != "jwks_file"}
    lines = {**member.lines, ("metadata", "jwks"): member.lines[place]}
    return replace(member, value={**member.value, "metadata": {**kept, "jwks": jwks}}, lines=lines)


def _members(plan: Recipe, suffix: str) -> list[Path]:
    for misnamed in sorted(plan.members.glob("*.yml")):
        raise RecipeError(f"{misnamed}: would not be read; rename it to {misnamed.stem}.yaml.")
    found = sorted(path for path in plan.members.glob(f"*{suffix}") if not path.name.startswith("."))
    if not found:
        raise RecipeError(f"{plan.members}: no member is there; put at least one *{suffix} file in it.")
    return found


_FORMATS: Mapping[str, tuple[Callable[[Recipe, _Signing], bytes], Callable[..., Any]]] = {
    "saml-metadata": (_publish_saml, saml_metadata.read),
    "json": (_publish_json, json_list.read),
}


def _write(path: Path, data: bytes, *, mode: int) -> None:
    """Put `data` at `path` as a whole, on disk before it is visible. Raises `RecipeError`."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RecipeError(f"{path}: cannot be written ({error.strerror}); check the directory.") from error
