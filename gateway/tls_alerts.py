"""A TLS handshake that fails is told to the client why (RFC 8446 §6.2), which asyncio and uvloop alone do not do.

OpenSSL writes the alert; but they close the connection with the fault before what was written leaves. Browsers then say
that the connection was reset, instead of what is wrong with the certificate, and a program's developer learns nothing.
"""

import ssl
from typing import Any, Self


class Telling(ssl.SSLObject):
    """For `SSLContext.sslobject_class`: the fault of a handshake waits until the alert has left.

    It is raised when the client says something more or closes; one that does neither is left by the handshake's time.
    Where OpenSSL has nothing to tell (say, to whoever speaks plain HTTP) it is raised at once.
    """

    _written: ssl.MemoryBIO
    _fault: ssl.SSLError | None = None

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *more: Any, **named: Any) -> Self:
        """As `SSLContext.wrap_bio` makes it."""
        made: Self = super()._create(incoming, outgoing, *more, **named)  # type: ignore[misc]  # only documented
        made._written = outgoing
        return made

    def do_handshake(self) -> None:
        """Shake hands. Raises as `ssl.SSLObject.do_handshake`, a fault that was told one turn later."""
        if self._fault is not None:
            raise self._fault
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as fault:
            if not self._written.pending:
                raise
            self._fault = fault
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert leaves first") from None
