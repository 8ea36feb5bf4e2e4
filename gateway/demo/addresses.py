"""Where each system of the demo region listens, and the sockets for it."""

import errno
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from gateway.listeners import ListenError, bind

LABELS = {
    "gateway": "the gateway",
    "admin": "the gateway's admin listener",
    "gunma": "Gunma's portal",
    "takasaki": "Takasaki's library",
    "participation": "the participation site",
    "maebashi": "Maebashi's ID system",
    "ebetsu": "Ebetsu's ID system",
    "omura": "Omura's ID system",
    "poll": "the opinion poll",
    "ledger": "the 講 ledger",
    "council": "the council members' systems",
    "federation": "the federation of Omura's ID system",
    "phone": "residents' phones",
    "authority": "Maebashi's certificate authority",
}
"""Every system by its name, as a sentence calls it."""

ATTEMPTS = 20
"""How often a free port is asked for until it is free on every address of localhost."""

QUIET_PORTS = range(10_240, 20_000)
"""Ports that no system gives out by itself: one of these stays free while its socket changes hands.

Linux gives a port from 32768 upward to whoever connects or asks for any (ip_local_port_range), macOS from
49152 (RFC 6335 §6).
"""

OF_THE_GATEWAY = ("gateway", "admin")
"""The systems that the gateway's process listens for; this process listens for the others."""


class PortUsedError(Exception):
    """A port of the region is taken; the text says which one and what to do."""

    def __init__(self, name: str, port: int, text: str = "") -> None:
        super().__init__(
            text
            or f"Port {port} for {LABELS[name]} is already in use. "
            "Stop the program that uses it, or start the region on free ports with --free-ports."
        )
        self.port = port


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The port of each system, all on `localhost`; the defaults are those that the documentation names."""

    gateway: int = 8080
    admin: int = 8081
    gunma: int = 8101
    takasaki: int = 8102
    participation: int = 8103
    maebashi: int = 8201
    ebetsu: int = 8202
    omura: int = 8203
    poll: int = 8301
    ledger: int = 8302
    council: int = 8303
    federation: int = 8401
    phone: int = 8402
    authority: int = 8403

    def ports(self) -> Mapping[str, int]:
        """The port of each system by its name."""
        return asdict(self)

    def url(self, name: str) -> str:
        """The root of one system, without a slash at its end."""
        return f"http://localhost:{self.ports()[name]}"

    def urls(self) -> dict[str, str]:
        """The root of each system by its name."""
        return {name: self.url(name) for name in self.ports()}

    def rewrite(self, text: str) -> str:
        """`text` of a configuration file with each default port replaced by the actual one.

        Only `localhost:PORT` and `port: PORT` are addresses; the same digits elsewhere stay.
        """
        actual = {str(port): str(self.ports()[name]) for name, port in Addresses().ports().items()}
        return re.sub(
            r"(localhost:|\bport: )(\d+)\b",
            lambda found: found[1] + actual.get(found[2], found[2]),
            text,
        )


def listen(name: str, port: int) -> list[socket.socket]:
    """Sockets that listen at `port` of every address of localhost; port 0 asks for a free one.

    A browser may take `localhost` for its IPv4 or its IPv6 address. The gateway's own free ports are among
    `QUIET_PORTS`: they are given back before its process binds them. Raises `PortUsedError`.
    """
    for attempt in range(ATTEMPTS):
        try:
            return bind("localhost", port or (secrets.choice(QUIET_PORTS) if name in OF_THE_GATEWAY else 0))
        except ListenError as fault:
            used = isinstance(fault.__cause__, OSError) and fault.__cause__.errno == errno.EADDRINUSE
            if used and not port and attempt + 1 < ATTEMPTS:
                continue  # free on one address, used on the other
            raise PortUsedError(name, port, "" if used else str(fault)) from fault
    raise AssertionError("unreachable")


def acquire(addresses: Addresses | None) -> tuple[Addresses, dict[str, list[socket.socket]]]:
    """Listen for every system of this process at its address, or at free ones for None.

    The gateway's ports are tried and given back: its own process binds them.
    """
    held: dict[str, list[socket.socket]] = {}
    try:
        for name, port in (addresses or Addresses()).ports().items():
            held[name] = listen(name, port if addresses else 0)
        actual = Addresses(**{name: sockets[0].getsockname()[1] for name, sockets in held.items()})
    except BaseException:
        for sockets in held.values():
            close(sockets)
        raise
    for name in OF_THE_GATEWAY:
        close(held.pop(name))
    return actual, held


def close(sockets: Iterable[socket.socket]) -> None:
    """Close each of `sockets`."""
    for each in sockets:
        each.close()
