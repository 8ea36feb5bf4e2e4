"""What `kakehashi demo` says when all is ready: where everything is, and what to try first."""

from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from gateway.demo.addresses import Addresses


def show(addresses: Addresses, *, state: Path, log: Path, edited: Iterable[Path], seconds: float, to: TextIO) -> None:
    """Print the list of addresses with what to try, after `seconds` of starting."""
    url = addresses.url
    console = Console(file=to, highlight=False, soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for group, name, text in (
        ("Start here", "gunma", "Gunma's portal: 前橋市, then 髙橋 花子"),
        ("Then", "participation", "Participation: vote, pay the town fee"),
        ("", "takasaki", "Library: a password is enough here"),
        ("", "phone", "A phone with residents’ certificates: for 前橋市’s QR code"),
        ("", "council", "Shelter survey: one question to every town of the council"),
        ("Watch", "admin", "Operations page: logins and calls, live"),
        ("Behind", "gateway", "The gateway itself"),
    ):
        table.add_row(f"[bold]{group}[/]", f"[link={url(name)}/]{url(name)}/[/link]", text)
    console.print()
    console.print(f"[bold]架け橋 Kakehashi[/] – the demo region is ready ({seconds:.1f} s).")
    console.print()
    console.print(table)
    console.print()
    console.print(f"State: {state}   Gateway's log: {log}   Ctrl-C stops everything.")
    for path in edited:
        console.print(f"Left as you edited it: {path}")
    console.file.flush()
