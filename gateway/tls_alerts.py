"""A TLS handshake that fails is told to the client why (RFC 8446 §6.2), which asyncio and uvloop alone do not do.

OpenSSL writes the alert; but they close the connection with the fault before what was written leaves. Browsers then say
that the connection was reset, instead of what is wrong with the certificate, and a program's developer learns nothing.
"""

import ssl


class Telling(ssl.SSLObject):
    """For `SSLContext.sslobject_class`: the fault of a handshake waits until what was written has left.

    It is raised when the client says something more or closes; one that does neither is left by the handshake's time.
    """

    _fault: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Shake hands. Raises as `ssl.SSLObject.do_handshake`, a fault one turn later."""
        if self._fault is not None:
            raise self._fault
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as fault:
            self._fault = fault
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert leaves first") from None
