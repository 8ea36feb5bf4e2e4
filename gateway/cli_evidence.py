"""The commands `kakehashi evidence …`: check what was kept of calls and logins, and show one record with its proof.

Exit codes: 0 done, 1 something is wrong or not there, 2 a wrong command line.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import click

from gateway.cli_options import AS_JSON, EXIT_MISTAKES, FILE, STATE, print_json

if TYPE_CHECKING:
    from observability.evidence import Keys

JWKS = click.option(
    "--keys",
    "jwks",
    type=FILE,
    help="JWK set of the keys that are believed, as the gateway publishes it; else those of the state directory.",
)


@click.group("evidence")
def evidence() -> None:
    """What the gateway kept of calls and logins: whether it is whole, and what it says of one request."""


@evidence.command("verify")
@click.argument("place", type=click.Path(path_type=Path, exists=True), required=False)
@STATE
@JWKS
@click.option("--expect", metavar="SHA256", multiple=True, help="The hash of a link that was seen: it must be there.")
@AS_JSON
def evidence_verify(
    place: Path | None, state: Path, jwks: Path | None, expect: tuple[str, ...], *, as_json: bool
) -> None:
    """Check PLACE, a file or a directory (without it: the state directory's): chain, seals, signatures, gaps."""
    from gateway.evidence import check  # noqa: PLC0415
    from observability.evidence import FAULTS, Report  # noqa: PLC0415

    try:
        reports = check(place or state / "evidence", _keys(state, jwks))
    except OSError as wrong:
        _fail(f"{wrong.filename}: {wrong.strerror}")
    if not reports:
        _fail(f"{place or state / 'evidence'}: no files of evidence (*.jsonl) are there.")
    missing = [one for one in expect if not any(one in each.hashes for each in reports.values())]
    told: tuple[str, ...] = ("records", "links", "signatures", "unsigned", "lost", "cut", "signed_at", "after", "last")

    def said(report: Report) -> dict[str, object]:
        found = [{"code": each.code, "line": each.line} for each in report.faults]
        return {"faults": found, **{name: getattr(report, name) for name in told}}

    if as_json:
        print_json({"files": {name: said(each) for name, each in reports.items()}, "missing": missing})
    else:
        for name, each in reports.items():
            click.echo(
                f"{name}: {'WRONG' if each.faults else 'whole'}, {each.records} records, {each.signatures} signatures, "
                f"signed until {each.signed_at or 'never'}, {each.unsigned} links after that; by its own word "
                f"{each.lost} records lost, {each.cut} octets cut off; last link {each.last}"
            )
            for fault in each.faults:
                click.echo(f"  line {fault.line}: {fault.code}: {FAULTS[fault.code]}")
        for one in missing:
            click.echo(f"{one}: expected: {FAULTS['expected']}")
    if missing or any(each.faults for each in reports.values()):
        sys.exit(EXIT_MISTAKES)


@evidence.command("show")
@click.argument("place", type=click.Path(path_type=Path, exists=True), required=False)
@STATE
@click.option("--request-id", required=True, help="As answers, problems and the log name it.")
def evidence_show(place: Path | None, state: Path, request_id: str) -> None:
    """Print each record of a request with its proof, one JSON object a line; of other records only hashes."""
    from gateway.evidence import find  # noqa: PLC0415

    found = False
    try:
        for proof in find(place or state / "evidence", request_id):
            found = True
            click.echo(json.dumps(proof))
    except OSError as wrong:
        _fail(f"{wrong.filename}: {wrong.strerror}")
    if not found:
        _fail("no record of this request is there.")


@evidence.command("check-proof")
@click.argument("file", type=click.File("rb"))
def evidence_check_proof(file: BinaryIO) -> None:
    """Check one proof of `show`: that its record is sealed by its link. Prints the link's hash, to be found elsewhere.

    That the link is the gateway's own shows in a file with a signature after it: `verify --expect HASH`.
    """
    from observability.evidence import link_hash, sealed_by  # noqa: PLC0415

    head = sealed_by(file.read())
    if head is None:
        _fail("the record is not sealed by this link, or this is no proof.")
    click.echo(link_hash(head))


@evidence.command("prune")
@STATE
@click.option("--older-than", "days", type=click.IntRange(1, 36_500), required=True, metavar="DAYS")
@click.option("--keys", is_flag=True, help="Destroy the keys of months that ended before, too: nobody can tell people.")
def evidence_prune(state: Path, days: int, *, keys: bool) -> None:
    """Remove files of days that are more than DAYS ago; the newest of each process stays. Move them away first.

    The oldest file that stays names the link before it (`after` of `verify`): keep the hashes of those that go.
    """
    from datetime import timedelta  # noqa: PLC0415

    from gateway.clock import now  # noqa: PLC0415
    from gateway.evidence import check, forget, prune  # noqa: PLC0415

    before = now().date() - timedelta(days=days)
    try:
        last = {name: report.last for name, report in check(state / "evidence", {}).items()}
        for name in prune(state, before):
            click.echo(f"removed {name}, whose last link was {last.get(name)}")
        for name in forget(state, before) if keys else ():
            click.echo(f"destroyed evidence-keys/{name}")
    except OSError as wrong:
        _fail(f"{wrong.filename}: {wrong.strerror}")


def _keys(state: Path, jwks: Path | None) -> "Keys":
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    from federation.oidc.jose import PublicKeys  # noqa: PLC0415
    from gateway.evidence import own_keys  # noqa: PLC0415

    try:
        if jwks is None:
            return own_keys(state)
        public = PublicKeys.from_jwks(json.loads(jwks.read_bytes()))
    except ValueError:
        _fail(f"{jwks or state / 'keys'}: expected a JWK set (RFC 7517), or the gateway's key.")
    return {
        each.thumbprint(): key for each in public.keys if isinstance(key := each.public_key, ec.EllipticCurvePublicKey)
    }


def _fail(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(EXIT_MISTAKES)
