"""`kakehashi demo`: the whole region on this machine, and a phone without a screen for scripts."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli_options import AS_JSON, DIRECTORY, EXIT_MISTAKES, LANGUAGE, print_json

STATE = click.option(
    "--state", type=DIRECTORY, default=Path(".demo"), show_default=True, help="Where the demo region keeps everything."
)


@click.group(invoke_without_command=True)
@STATE
@click.option("--free-ports", is_flag=True, help="Ask the system for free ports instead of the usual ones.")
@click.option("--print-addresses", is_flag=True, help="Print the addresses as one line of JSON when all is ready.")
@click.pass_context
def demo(context: click.Context, state: Path, *, free_ports: bool, print_addresses: bool) -> None:
    """Run a whole region on this machine: ID systems, services, phones, the council's APIs and the gateway.

    With a command: do that in a region that runs.
    """
    if context.invoked_subcommand is not None:
        return
    from gateway.demo.region import run  # noqa: PLC0415

    sys.exit(run(state, free_ports=free_ports, print_addresses=print_addresses))


@demo.command()
@click.argument("link", metavar="REQUEST_URI_OR_LINK")
@click.option("--resident", metavar="NAME", required=True, help="Whose phone, e.g. takahashi.")
@click.option("--format", "how", type=click.Choice(["jws", "cms"]), help="Form of the signature; as asked if absent.")
@click.option("--face", is_flag=True, help="The phone checked the person's face too.")
@click.option("--disclose", metavar="NAME", multiple=True, help="Disclose this attribute; `all` for everything asked.")
@click.option("--decline", is_flag=True, help="Say no.")
@STATE
@AS_JSON
@LANGUAGE
def phone(state: Path, language: str, *, as_json: bool, **told: Any) -> None:
    """Answer a request as a resident's phone would.

    REQUEST_URI_OR_LINK is what the QR code holds, or the request's own address.
    """
    from gateway.demo import phone_command  # noqa: PLC0415

    try:
        result = phone_command.run(state, phone_command.Told(**told))
    except (phone_command.CommandError, phone_command.PhoneError) as fault:
        if as_json:
            code = fault.code if isinstance(fault, phone_command.PhoneError) else "usage"
            print_json({"error": code, "sentence": str(fault)})
        click.echo(f"kakehashi demo phone: {fault}", err=True)
        sys.exit(EXIT_MISTAKES)
    if as_json:
        print_json(result)
    else:
        click.echo(phone_command.sentences(result, language))
