"""Listening sockets: bound before anything else starts, so that a used port is one sentence and not a traceback."""

import errno
import socket

BACKLOG = 1024
"""Connections that may wait to be accepted; the system's own limit may be lower."""


LOOPBACK = {"localhost": ("127.0.0.1", "::1")}
"""Browsers take `localhost` for either address (RFC 6761 §6.3), whatever the machine's own table says."""


class ListenError(Exception):
    """An address cannot be listened on; the text says which, and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Non-blocking, listening TCP sockets for every address of `host`. Raises `ListenError`.

    With port 0 all of them get the same free port. A family that this machine lacks is passed over.
    """
    try:
        found = {
            (family, address)
            for name in LOOPBACK.get(host, (host,))
            for family, _, _, _, address in socket.getaddrinfo(
                name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        }
    except OSError as fault:
        raise ListenError(
            f"{host}: is not an address of this machine ({fault.strerror}). "
            "Expected a host name or address to listen on."
        ) from fault
    sockets: list[socket.socket] = []
    chosen = port
    try:
        for family, address in sorted(found):
            listener = _bound(family, (address[0], chosen, *address[2:]), alone=len(found) == 1)
            if listener is not None:
                sockets.append(listener)
                chosen = listener.getsockname()[1]
        for listener in sockets:
            listener.listen(BACKLOG)
    except OSError as fault:
        for listener in sockets:
            listener.close()
        raise ListenError(_sentence(host, chosen, fault)) from fault
    if not sockets:
        raise ListenError(f"{host}: no address of it can be listened on. Expected an address of this machine.")
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[str | int, ...], *, alone: bool) -> socket.socket | None:
    """One bound socket; None if this machine lacks the family and the host has other addresses (not `alone`)."""
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError as fault:
        listener.close()
        if fault.errno == errno.EADDRNOTAVAIL and not alone:
            return None
        raise
    return listener


def _sentence(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program. Stop that program, or choose another port."
    if fault.errno == errno.EACCES:
        return f"Port {port} on {host} is not open to this user. Choose one above 1023, or give the right to bind it."
    return f"Port {port} on {host} cannot be listened on ({fault.strerror}). Choose another address or port."
