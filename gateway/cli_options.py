"""What several commands share: kinds of arguments, the language of sentences, and how answers are printed."""

import json
import os
from pathlib import Path
from typing import Any

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
STATE = click.option(
    "--state",
    type=DIRECTORY,
    default=Path("/var/lib/kakehashi"),
    show_default=True,
    help="Where keys and the embedded store live; made at the first start.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For machines.")


def print_json(value: Any) -> None:
    """Print a JSON value; what others wrote in it can steer no terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))
