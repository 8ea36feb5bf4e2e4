"""Listening sockets: bound before anything else starts, so that a used port is one sentence and not a traceback."""

import errno
import socket


class ListenError(Exception):
    """An address cannot be listened on; the text says which, and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Non-blocking, bound TCP sockets for every address of `host` (localhost has two). Raises `ListenError`.

    With port 0 all of them get the same free port. A family that this machine lacks is passed over.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as fault:
        raise ListenError(
            f"{host}: is not an address of this machine ({fault.strerror}). Expected a host name or address to listen on."
        ) from fault
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            chosen = sockets[0].getsockname()[1] if sockets and not port else port
            try:
                listener = socket.socket(family, kind, protocol)
            except OSError:
                continue
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setblocking(False)
            try:
                listener.bind((address[0], chosen, *address[2:]))
            except OSError as fault:
                if fault.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                    sockets.remove(listener)
                    listener.close()
                    continue
                raise ListenError(_sentence(host, chosen, fault)) from fault
        if not sockets:
            raise ListenError(f"{host}: no address of it can be listened on. Expected an address of this machine.")
        for listener in sockets:
            listener.listen(1024)
    except OSError as fault:
        for listener in sockets:
            listener.close()
        raise ListenError(_sentence(host, port, fault)) from fault
    except ListenError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _sentence(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program. Stop that program, or choose another port."
    if fault.errno == errno.EACCES:
        return f"Port {port} on {host} is not open to this user. Choose a port above 1023, or give the right to bind it."
    return f"Port {port} on {host} cannot be listened on ({fault.strerror}). Choose another address or port."
