"""The command `kakehashi`: every command in one place, each a thin door to the room that does the work.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import sys
from pathlib import Path

import click

from gateway.cli_attributes import attributes
from gateway.cli_demo import demo
from gateway.cli_evidence import evidence
from gateway.cli_identifiers import identifiers
from gateway.cli_options import AS_JSON, DIRECTORY, EXIT_MISTAKES, LANGUAGE, STATE
from gateway.cli_signature import signature
from gateway.cli_trust import trust


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kakehashi-gateway", prog_name="kakehashi")
def main() -> None:
    """Kakehashi (架け橋): a federation gateway for municipalities."""


main.add_command(trust)
main.add_command(attributes)
main.add_command(identifiers)
main.add_command(demo)
main.add_command(signature)
main.add_command(evidence)


@main.command()
@click.option("--config", type=DIRECTORY, required=True, help="Configuration directory.")
@STATE
@click.option("--store", metavar="URL", help="A Redis or Valkey server (redis://…) instead of what gateway.yaml says.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes on one port.")
@LANGUAGE
def serve(config: Path, state: Path, store: str | None, workers: int | None, language: str) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    from gateway.serve import Options, run  # noqa: PLC0415

    sys.exit(run(Options(config=config, state=state, store=store, workers=workers, language=language)))


@main.command("check-config")
@click.argument("directory", type=DIRECTORY)
@click.option("--state", type=DIRECTORY, help="Also check what the configuration names in this state directory.")
@AS_JSON
@LANGUAGE
def check_config(directory: Path, state: Path | None, language: str, *, as_json: bool) -> None:
    """Report every mistake in DIRECTORY at once; exit code 1 if there is one."""
    from gateway import config  # noqa: PLC0415

    mistakes, notes = config.check(directory, state=state)
    if as_json:
        click.echo(config.to_json(mistakes, notes))
    else:
        text = config.format_mistakes(mistakes, notes, language=language)
        if text:
            click.echo(text, err=bool(mistakes))
        if not mistakes:
            click.echo({"ja": f"{directory}: 間違いはありません。", "en": f"{directory}: no mistakes."}[language])
    sys.exit(EXIT_MISTAKES if mistakes else 0)


@main.command("client-secret")
def client_secret() -> None:
    """Make a client secret: the secret for the service, and its digest for the service's file."""
    import hashlib  # noqa: PLC0415
    import secrets  # noqa: PLC0415

    secret = secrets.token_urlsafe(32)
    click.echo(f"client_secret:        {secret}   (hand this to the service, over a safe way; it is shown only now)")
    click.echo(f"client_secret_sha256: {hashlib.sha256(secret.encode()).hexdigest()}   (write this into its file)")
