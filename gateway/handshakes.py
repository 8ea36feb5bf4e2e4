"""Handshakes on the listeners that ask for certificates: whoever is refused is told why, and so is the log.

OpenSSL refuses with an alert (RFC 8446 §6.2, RFC 5246 §7.2.2), from which a browser knows that it was the certificate.
Event loops break the connection before they send what OpenSSL has written by then, and say nothing of it. Here the
handshake seems to want more, so that the alert is sent; whatever comes after it is read and dropped, since octets that
nobody read would make the end of the connection overtake the alert. The client closes, or the loop does when the time
for a handshake is over, or `MOST_AFTER` has come.
"""

import ssl
from typing import Any, Self

import structlog

log = structlog.get_logger("gateway.handshakes")

MOST_AFTER = 8 * 1024 * 1024
"""Bytes that are read of a client that was refused; whoever sends more does not listen."""


class ToldHandshake(ssl.SSLObject):
    """One connection. For `ssl.SSLContext.sslobject_class`, whose `wrap_bio` calls `_create`."""

    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _refused: ssl.SSLError | None
    _after: int

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **named: Any) -> Self:
        made: Self = super()._create(incoming, outgoing, **named)  # type: ignore[misc]
        made._incoming, made._outgoing, made._refused, made._after = incoming, outgoing, None, 0
        return made

    def do_handshake(self) -> None:
        """Go on. Raises `ssl.SSLError`, but only if nobody needs to be told of it, or nobody listens."""
        if self._refused is None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLSyscallError):
                raise
            except ssl.SSLError as fault:
                if not self._outgoing.pending:
                    raise
                log.info("handshake-refused", detail=_why(fault))
                self._refused = fault
            else:
                return
        self._after += len(self._incoming.read())
        if self._after > MOST_AFTER:
            raise self._refused
        raise ssl.SSLWantReadError


def _why(fault: ssl.SSLError) -> str:
    """OpenSSL's own words, none of which is the certificate's."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return str(fault.verify_message)
    return str(fault.reason).lower().replace("_", " ")
