"""The commands `kakehashi signature …`: look at a signed text, take it apart for `openssl`, or verify it ourselves.

Exit codes: 0 done, 1 the file is refused (with its code and a sentence), 2 a wrong command line.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gateway.cli_options import AS_JSON, DIRECTORY, EXIT_MISTAKES, FILE, LANGUAGE, print_json

if TYPE_CHECKING:
    from federation.certificate.container import ContainerRefusedError

_WORDS: Mapping[str, Mapping[str, str]] = {
    "form": {"ja": "形式", "en": "form"},
    "signer": {"ja": "署名した人（証明書の名前）", "en": "signer (name in the certificate)"},
    "issuer": {"ja": "証明書を発行したところ", "en": "issuer of the certificate"},
    "claimed_at": {"ja": "署名した日時（電話の時計）", "en": "signed at (the phone's clock)"},
    "timestamped_at": {"ja": "タイムスタンプの日時", "en": "timestamp"},
    "epoch": {"ja": "同じ日時（openssl の -attime 用の秒数）", "en": "the same, in seconds for openssl's -attime"},
    "text_sha256": {"ja": "文書の SHA-256", "en": "SHA-256 of the text"},
    "text_octets": {"ja": "文書の長さ（オクテット）", "en": "length of the text in octets"},
    "evidence": {"ja": "失効していないことの証拠", "en": "evidence on revocation"},
    "lasts_until": {"ja": "タイムスタンプの証明書の期限", "en": "the timestamp's certificate is valid until"},
    "verified": {"ja": "検証できました", "en": "verified"},
    "unverified": {
        "ja": "まだ検証していません。signature check か openssl で検証してください",
        "en": "nothing was verified yet: use signature check, or openssl",
    },
}


@click.group()
def signature() -> None:
    """Texts that residents signed with their certificates: who, when, what, and whether it holds."""


@signature.command("show")
@click.argument("file", type=FILE)
@AS_JSON
@LANGUAGE
def signature_show(file: Path, language: str, *, as_json: bool) -> None:
    """Print what the container FILE says of itself, without verifying it and without the text."""
    from federation.certificate import auditing  # noqa: PLC0415
    from federation.certificate.container import ContainerRefusedError  # noqa: PLC0415

    try:
        found = auditing.summary_unsafe(_octets(file))
    except ContainerRefusedError as why:
        _refuse(why)
    values: dict[str, object] = {
        "form": found.kind,
        "signer": found.signer,
        "issuer": found.issuer,
        "claimed_at": found.claimed_at.isoformat(),
        "timestamped_at": found.timestamped_at and found.timestamped_at.isoformat(),
        "epoch": found.timestamped_at and int(found.timestamped_at.timestamp()),
        "text_sha256": found.text_sha256,
        "text_octets": found.text_octets,
        "evidence": list(found.evidence),
    }
    _print(values, language, as_json=as_json)
    if not as_json:
        click.echo(_WORDS["unverified"][language], err=True)


@signature.command("extract")
@click.argument("file", type=FILE)
@click.argument("directory", type=DIRECTORY)
def signature_extract(file: Path, directory: Path) -> None:
    """Write the parts of the container FILE into DIRECTORY, for openssl; the text is among them.

    DIRECTORY is made, readable by you alone; files that are there already are not overwritten.
    """
    from federation.certificate import auditing  # noqa: PLC0415
    from federation.certificate.container import ContainerRefusedError  # noqa: PLC0415

    try:
        parts = auditing.parts_unsafe(_octets(file))
    except ContainerRefusedError as why:
        _refuse(why)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, octets in parts.items():
            with (directory / name).open("xb") as opened:
                opened.write(octets)
    except OSError as wrong:
        click.echo(f"{directory}: {wrong.strerror}: {Path(str(wrong.filename)).name}", err=True)
        sys.exit(EXIT_MISTAKES)
    click.echo("\n".join(sorted(parts)))


@signature.command("check")
@click.argument("file", type=FILE)
@click.option("--anchor", type=FILE, required=True, help="PEM: the authority of residents' certificates.")
@click.option("--timestamp-anchor", type=FILE, required=True, help="PEM: the authority of the timestamps.")
@click.option("--text", type=FILE, help="Also demand that exactly this text was signed.")
@AS_JSON
@LANGUAGE
def signature_check(
    file: Path, anchor: Path, timestamp_anchor: Path, text: Path | None, language: str, *, as_json: bool
) -> None:
    """Verify the container FILE with two anchors that you trust: path, revocation, timestamp, signature."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415

    from federation.certificate import container  # noqa: PLC0415
    from federation.certificate.timestamp import TimestampAuthority  # noqa: PLC0415

    try:
        persons, timestamps = (tuple(load_pem_x509_certificates(_octets(one))) for one in (anchor, timestamp_anchor))
    except ValueError:
        raise click.UsageError("an anchor is a PEM file with certificates (-----BEGIN CERTIFICATE-----).") from None
    anchors = container.Anchors(persons=persons, timestamps=TimestampAuthority(url="", anchors=timestamps))
    try:
        wanted = None if text is None else _octets(text)
        report = container.check(_octets(file), anchors, at=datetime.now(UTC), text=wanted)
    except container.ContainerRefusedError as why:
        _refuse(why)
    values: dict[str, object] = {
        "form": report.kind,
        "timestamped_at": report.timestamp.at.isoformat(),
        "lasts_until": report.lasts_until.isoformat(),
        "verified": True,
    }
    _print(values, language, as_json=as_json)


def _print(values: Mapping[str, object], language: str, *, as_json: bool) -> None:
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str("-" if value is None else value)
        safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
        click.echo(f"{_WORDS[name][language]}: {safe}")


def _octets(file: Path) -> bytes:
    from federation.certificate.container import MAXIMUM  # noqa: PLC0415

    try:
        with file.open("rb") as opened:
            return opened.read(MAXIMUM + 1)
    except OSError as wrong:
        click.echo(f"{file}: {wrong.strerror}", err=True)
        sys.exit(EXIT_MISTAKES)


def _refuse(why: "ContainerRefusedError") -> NoReturn:
    click.echo(str(why), err=True)
    sys.exit(EXIT_MISTAKES)
