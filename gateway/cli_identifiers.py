"""The commands `kakehashi identifiers …`: the keys by which services know people, and how one follows another.

Rooms are imported inside the commands, so that a command starts as fast as what it needs.
"""

import sys
from pathlib import Path

import click

from gateway.cli_options import AS_JSON, EXIT_MISTAKES, STATE, print_json


@click.group()
def identifiers() -> None:
    """Change the key by which services know people, without renaming anybody.

    First `add-key` on one machine; copy keys/identifiers.json to the state directory of every machine of the region and
    restart the gateways. Then `use-key` on one, copy and restart again: from now on people who come new are named by
    it. Keys are never removed: somebody is named by each.
    """


@identifiers.command("keys")
@STATE
@AS_JSON
def identifiers_keys(state: Path, *, as_json: bool) -> None:
    """List the keys by name, the one for people who come new first; the names tell nothing of the keys."""
    from gateway import keys  # noqa: PLC0415

    try:
        present, *others = keys.naming_keys(state)
    except keys.StateDirectoryError as wrong:
        _fail(str(wrong))
    if as_json:
        print_json({"present": present, "others": others})
    else:
        click.echo("\n".join([f"{present}  people who come new are named by it", *others]))


@identifiers.command("add-key")
@STATE
def identifiers_add_key(state: Path) -> None:
    """Make a further key, and print its name. Nobody is named by it yet."""
    from gateway import keys  # noqa: PLC0415

    try:
        click.echo(keys.add_naming_key(state))
    except keys.StateDirectoryError as wrong:
        _fail(str(wrong))


@identifiers.command("use-key")
@click.argument("name")
@STATE
def identifiers_use_key(name: str, state: Path) -> None:
    """Name people who come new by the key NAME, from the next start of the gateway on."""
    from gateway import keys  # noqa: PLC0415

    try:
        keys.use_naming_key(state, name)
    except keys.StateDirectoryError as wrong:
        _fail(str(wrong))
    except LookupError:
        _fail(f"{name}: no such key; `kakehashi identifiers keys` lists them.")


def _fail(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(EXIT_MISTAKES)
