"""The listener where municipalities' systems and services show certificates in the TLS handshake (RFC 8705).

It answers what they call by themselves: tokens, userinfo and calls. OpenSSL lets nobody shake hands with a certificate
that no list names; without any, the handshake goes on. A list's certificate names a key and nothing else, but what is
shown here must besides be in its own time, since OpenSSL looks at that. Whether it counts for anything is decided at
each request, by the lists in force then.
"""

import base64
import contextlib
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from federation.refusal import UnknownPath
from gateway.app import Handler, public_app
from gateway.card_readers import PARTIAL_CHAIN
from gateway.config import CertificateListener
from gateway.context import Gateway
from gateway.handshakes import ToldHandshake
from gateway.region import Region
from trust_lists.model import Role, TrustedEntity

OPEN: tuple[Callable[[str], bool], ...] = (
    "/oidc/token".__eq__,
    "/oidc/userinfo".__eq__,
    lambda path: path.startswith(("/api/", "/council/")),
)
"""What is answered here: nothing that a person opens in a browser."""


def certificates_app(gateway: Gateway) -> web.Application:
    """The application of this listener: the public one, as far as it is for programs."""
    app = public_app(gateway)
    app.middlewares.append(_programs_only)
    return app


@web.middleware
async def _programs_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not any(is_open(request.path) for is_open in OPEN):
        raise UnknownPath
    return await handler(request)


class ClientTls:
    """The listener's TLS, which knows at each handshake every certificate that a list in force names.

    One that left its list is known to OpenSSL until the next start, and counts for nothing after the handshake.
    """

    def __init__(self, gateway: Gateway, listener: CertificateListener) -> None:
        self._gateway = gateway
        self._looked_at: tuple[object, ...] = ()
        self._known: set[bytes] = set()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.sslobject_class = ToldHandshake
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.verify_flags |= ssl.VerifyFlags(PARTIAL_CHAIN)
        self.context.sni_callback = self._greeted
        self._renew(listener)

    def _renew(self, listener: CertificateListener) -> None:
        """Show the certificate that is on disk now; open connections keep theirs."""
        assert listener.tls is not None  # it listens
        self.context.load_cert_chain(listener.tls.certificate, listener.tls.key)

    def _greeted(self, _socket: object, _name: str | None, _context: ssl.SSLContext) -> None:
        """A client came: know the certificates that are listed now."""
        region = self._gateway.region
        if region.is_still(self._looked_at):
            return
        self._looked_at = region.in_force()
        listener = region.configuration.client_certificates
        if listener is not None and listener.tls is not None:
            self._renew(listener)
        for der in expected(region, self._gateway.clock()):
            if der not in self._known:
                self._known.add(der)
                self.context.load_verify_locations(cadata=der)


def expected(region: Region, now: datetime) -> Iterator[bytes]:
    """The certificates of listed members, shared services and OpenID services, DER; of keys by value their `x5c`."""
    for role in (Role.COUNCIL_MEMBER, Role.REGIONAL_SERVICE):
        for entity in region.trust.entities(role, now):
            yield from entity.signing_certificates
            yield from _of_keys(entity)
    for entity in region.trust.entities(Role.OPENID_RELYING_PARTY, now):
        yield from _of_keys(entity)


def _of_keys(entity: TrustedEntity) -> Iterator[bytes]:
    """The first certificate of each key that has any."""
    for key in entity.metadata.get("jwks", {}).get("keys", ()):
        chain = key.get("x5c")
        if isinstance(chain, list) and chain and isinstance(chain[0], str):
            # One that OpenSSL refused in the middle of a handshake would end that handshake.
            with contextlib.suppress(ValueError):
                read = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
                yield read.public_bytes(Encoding.DER)
