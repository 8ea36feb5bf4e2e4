"""The command `kakehashi`: every command in one place, each a thin door to the room that does the work.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import json
import os
import sys
from pathlib import Path

import click

EXIT_MISTAKES = 1

DIRECTORY = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

LANGUAGE = click.option(
    "--language",
    type=click.Choice(["ja", "en"]),
    default=lambda: "ja" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("ja") else "en",
    show_default="from LANG",
    help="Language of the sentences / 文の言語",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kakehashi-gateway", prog_name="kakehashi")
def main() -> None:
    """Kakehashi (架け橋): a federation gateway for municipalities."""


@main.command()
@click.option("--config", type=DIRECTORY, required=True, help="Configuration directory.")
@click.option(
    "--state",
    type=DIRECTORY,
    default=Path("/var/lib/kakehashi"),
    show_default=True,
    help="Where keys and the embedded store live; made at the first start.",
)
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
@click.option("--json", "as_json", is_flag=True, help="For machines.")
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


@main.command()
@click.option(
    "--state", type=DIRECTORY, default=Path(".demo"), show_default=True, help="Where the demo region keeps everything."
)
@click.option("--free-ports", is_flag=True, help="Ask the system for free ports instead of the usual ones.")
@click.option("--print-addresses", is_flag=True, help="Print the addresses as one line of JSON when all is ready.")
def demo(state: Path, *, free_ports: bool, print_addresses: bool) -> None:
    """Run a whole region on this machine: three ID systems, three services, the council's APIs and the gateway."""
    from gateway.demo.region import run  # noqa: PLC0415

    sys.exit(run(state, free_ports=free_ports, print_addresses=print_addresses))


@main.group()
def trust() -> None:
    """Write and read signed trust lists."""


@trust.command("sign")
@click.argument("recipe", type=FILE)
@click.option("--key", type=FILE, required=True, help="The list authority's private key, PEM.")
@click.option("--certificate", type=FILE, required=True, help="Its certificate, PEM: what gateways pin as anchor.")
def trust_sign(recipe: Path, key: Path, certificate: Path) -> None:
    """Sign the list that RECIPE describes, from the member files beside it."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import authoring, recipes  # noqa: PLC0415

    try:
        written = authoring.sign_list(
            recipe, key=key, certificate=certificate, now=now(), tell=lambda text: click.echo(text, err=True)
        )
    except recipes.RecipeError as fault:
        raise click.ClickException(str(fault)) from fault
    click.echo(f"{written}: signed.")


@trust.command("show")
@click.argument("file", type=FILE)
@click.option("--anchor", type=FILE, required=True, multiple=True, help="Certificate that must have signed it, PEM.")
@click.option("--format", "kind", type=click.Choice(["saml-metadata", "json"]), help="Default: what the file says.")
def trust_show(file: Path, anchor: tuple[Path, ...], kind: str | None) -> None:
    """Verify a signed list and print who is on it, as JSON."""
    from gateway.clock import now  # noqa: PLC0415
    from trust_lists import recipes, showing  # noqa: PLC0415
    from trust_lists.model import ListRefusedError  # noqa: PLC0415

    try:
        found = showing.read_list_file(file, anchors=anchor, kind=kind, now=now())
    except (ListRefusedError, recipes.RecipeError) as fault:
        raise click.ClickException(str(fault)) from fault
    click.echo(json.dumps(showing.describe(found), ensure_ascii=False, indent=2))


@trust.command("new-authority")
@click.argument("directory", type=DIRECTORY)
def trust_new_authority(directory: Path) -> None:
    """Make a list authority's key and certificate in DIRECTORY; nothing that is there is overwritten."""
    from trust_lists import authoring, recipes  # noqa: PLC0415

    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, certificate = authoring.new_authority(directory)
    except (recipes.RecipeError, OSError) as fault:
        raise click.ClickException(str(fault)) from fault
    click.echo(f"{key}: private, keep it offline.\n{certificate}: public, gateways pin it as anchor.")


@main.command("client-secret")
def client_secret() -> None:
    """Make a client secret: the secret for the service, and its digest for the service's file."""
    import hashlib  # noqa: PLC0415
    import secrets  # noqa: PLC0415

    secret = secrets.token_urlsafe(32)
    click.echo(f"client_secret:        {secret}   (hand this to the service, over a safe way; it is shown only now)")
    click.echo(f"client_secret_sha256: {hashlib.sha256(secret.encode()).hexdigest()}   (write this into its file)")


if __name__ == "__main__":
    main()
