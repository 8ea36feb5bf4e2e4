"""The authority's side: making its key, and signing a list from a recipe.

A list is written as a whole or not at all, and only after it was read back as a gateway would read it.
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from trust_lists import assurance_table, certificates, entries, etsi_json, etsi_xml, saml_metadata, templates
from trust_lists.members import SIDECAR, Sidecar, member_files, sidecars, with_files
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.pointing import read_pointers
from trust_lists.recipes import (
    Recipe,
    RecipeError,
    entry_error,
    is_list_name,
    read_file,
    read_recipe,
    read_yaml,
)
from trust_lists.rules import EntryError, UnpublishableError
from trust_lists.times import LEEWAY, format_instant
from trust_lists.xmldsig import Signer

_RSA_BITS = 3072
_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644
_LONGEST_ORGANISATION = 64
"""RFC 5280 appendix A.1: ub-organization-name."""

_FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
_NO_LAST_DAY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 §4.1.2.5: a certificate without a well-defined end. Readers pin it and do not look at its
dates."""


def new_authority(directory: Path, *, operator: str | None = None, territory: str = "JP") -> tuple[Path, Path]:
    """Make a list-signing key and its self-signed certificate: `key.pem` (mode 0600) and `certificate.pem`.

    RSA of 3,072 bits: every SAML peer verifies rsa-sha256, while ECDSA is missing from pysaml2's allowed
    algorithms and from many deployed products. 3,072 bits are worth 128 bits of security (NIST SP 800-57),
    and a list is signed seldom, so the slower signature costs nothing. `operator` is a name that the lists state of
    whoever runs them: some readers of ETSI lists want it, and the territory, in the certificate (TS 119 602 §6.8).
    Raises `RecipeError` if one of the files is already there, or for a name that no certificate can hold.
    """
    key_path, certificate_path = directory / "key.pem", directory / "certificate.pem"
    for path in (key_path, certificate_path):
        if path.exists():
            raise RecipeError(f"{path}: is already there; move it away if a new authority is really wanted.")
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    subject = [(x509.NameOID.COMMON_NAME, "Kakehashi trust list authority")]
    if operator is not None:
        if not 0 < len(operator.strip()) <= _LONGEST_ORGANISATION or len(territory) != len("JP"):
            raise RecipeError(
                f"{operator[:100]!r}: a name of 1 to {_LONGEST_ORGANISATION} characters, and a country in two letters, "
                "are expected."
            )
        subject = [(x509.NameOID.COUNTRY_NAME, territory), (x509.NameOID.ORGANIZATION_NAME, operator), *subject]
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in subject])
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
class NewList:
    """What `new_list` wrote, and what to do next, by language (`ja`, `en`)."""

    recipe: Path
    example: Path
    next_steps: Mapping[str, str]


_OUTPUTS = {"etsi-119602": "jwt", "etsi-119612": "xml"}


def new_list(directory: Path, *, name: str, now: datetime, form: str = "etsi-119602") -> NewList:
    """Begin a list called `name`: a recipe with comments, a directory of members, and an example of a member.

    The example is not read as a member before it is renamed. Nothing that is there is overwritten. Raises
    `RecipeError`.
    """
    if not is_list_name(name):
        raise RecipeError(f"{name[:100]!r} is no name of a list; ASCII letters, digits, dots and hyphens are expected.")
    if form not in _OUTPUTS:
        raise RecipeError(f"{form[:100]!r} cannot be written by hand; one of {', '.join(_OUTPUTS)} is expected.")
    found = NewList(
        recipe=directory / f"{name}.yaml",
        example=directory / "members" / "example.yaml.txt",
        next_steps=templates.NEXT_STEPS,
    )
    words = {
        "NAME": name,
        "FORMAT": form,
        "OUTPUT": f"{name}.{_OUTPUTS[form]}",
        "TODAY": now.astimezone(entries.JAPAN).date().isoformat(),
        "RECIPE": str(found.recipe),
        "EXAMPLE": str(found.example),
    }
    for path in (found.recipe, found.example):
        if path.exists():
            raise RecipeError(f"{path}: is already there; choose another directory or another name.")
    try:
        found.example.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{found.example.parent}: cannot be made ({error.strerror}); check the directory.") from error
    for path, template in ((found.recipe, templates.RECIPE), (found.example, templates.MEMBER)):
        _write(path, _filled(template, words).encode(), mode=_PUBLIC_MODE)
    return replace(
        found, next_steps={language: _filled(text, words) for language, text in templates.NEXT_STEPS.items()}
    )


def _filled(template: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], template)


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
    form = _FORMATS[plan.format]
    signing = _Signing(
        key=key_pem, certificate=certificate_pem, issued_at=issued_at, valid_until=valid_until, tell=tell
    )
    document = form.publish(plan, signing)
    try:
        signed: TrustList = form.read(document, name=plan.name, anchors=[anchor], now=issued_at)
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
    form = _FORMATS[plan.format]
    document = read_file(plan.output, limit=form.maximum_bytes)
    try:
        last = datetime.fromtimestamp(form.stated_sequence_unsafe(document), UTC)
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


def _publish_saml(plan: Recipe, signing: _Signing) -> bytes:
    paths = member_files(plan, ".xml")
    members = [read_file(path) for path in paths]
    said: dict[str, Sidecar] = {}
    beside = sidecars(plan, paths)
    for path, member in zip(paths, members, strict=True):
        try:
            entity_id = saml_metadata.entity_id_unsafe(member)
            wanted = saml_metadata.scopes_unsafe(member)
        except EntryError as error:
            raise RecipeError(f"{path}: {error}.") from error
        if path in beside:
            said[entity_id] = beside[path]
        for stated in wanted:
            if path not in beside or stated.lower() not in beside[path].scopes:
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
            municipalities={name: each.municipality for name, each in said.items() if each.municipality is not None},
            scopes={name: each.scopes for name, each in said.items() if each.scopes},
            uses={name: sorted(each.uses) for name, each in said.items() if each.uses},
            maximum_identities={
                name: each.maximum_identity for name, each in said.items() if each.maximum_identity is not None
            },
            withdrawn={name: each.since for name, each in said.items() if each.withdrawn},
            authority=plan.authority,
        )
    except UnpublishableError as error:
        path = paths[error.position]
        if path in beside and error.error.place and error.error.place[0] in SIDECAR:
            raise entry_error(beside[path].source, error.error) from error
        raise RecipeError(f"{path}: {error}; ask the member for corrected metadata.") from error


def _publish_etsi(publish: Callable[..., bytes]) -> Callable[[Recipe, _Signing], bytes]:
    """Publish in one of the two ETSI formats, which say the same of the same members."""

    def published(plan: Recipe, signing: _Signing) -> bytes:
        pointers = read_pointers(plan)
        members = [with_files(plan, read_yaml(path)) for path in member_files(plan, ".yaml", none=bool(pointers))]
        try:
            return publish(
                [member.value for member in members],
                name=plan.name,
                key_pem=signing.key,
                certificate_pem=signing.certificate,
                issued_at=signing.issued_at,
                valid_until=signing.valid_until,
                sequence=int(signing.issued_at.timestamp()),
                scheme=plan.scheme,
                pointers=pointers,
            )
        except UnpublishableError as error:
            raise entry_error(members[error.position], error.error) from error
        except ValueError as error:
            raise RecipeError(f"{plan.path}: {error}; correct the recipe, or sign with another key.") from error

    return published


def _publish_table(plan: Recipe, signing: _Signing) -> bytes:
    members = [read_yaml(path) for path in member_files(plan, ".yaml")]
    try:
        return assurance_table.publish(
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
        raise RecipeError(f"{plan.path}: {error}; correct the recipe, or sign with another key.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """How a list of a format is made, read back, and counted on from."""

    publish: Callable[[Recipe, _Signing], bytes]
    read: Callable[..., TrustList]
    stated_sequence_unsafe: Callable[[bytes], int]
    maximum_bytes: int


_FORMATS: Mapping[str, _Format] = {
    "saml-metadata": _Format(
        publish=_publish_saml,
        read=saml_metadata.read,
        stated_sequence_unsafe=saml_metadata.stated_sequence_unsafe,
        maximum_bytes=saml_metadata.MAXIMUM_BYTES,
    ),
    "etsi-119612": _Format(
        publish=_publish_etsi(etsi_xml.publish),
        read=etsi_xml.read,
        stated_sequence_unsafe=etsi_xml.stated_sequence_unsafe,
        maximum_bytes=etsi_xml.MAXIMUM_BYTES,
    ),
    "etsi-119602": _Format(
        publish=_publish_etsi(etsi_json.publish),
        read=etsi_json.read,
        stated_sequence_unsafe=etsi_json.stated_sequence_unsafe,
        maximum_bytes=etsi_json.MAXIMUM_BYTES,
    ),
    "assurance-table": _Format(
        publish=_publish_table,
        read=assurance_table.read,
        stated_sequence_unsafe=assurance_table.stated_sequence_unsafe,
        maximum_bytes=assurance_table.MAXIMUM_BYTES,
    ),
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
