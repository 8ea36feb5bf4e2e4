"""The listener for card readers: a browser shows a certificate in the TLS handshake, and signs in with it.

It stands at the public host with a port of its own, so that the cookie of the browser that began reaches it, and knows
one page. OpenSSL asks for a certificate of the listed authorities and sees that the browser holds its key; whether the
certificate counts is decided as for a phone's (`federation/certificate/answer.py`), by the lists in force. What OpenSSL
leaves to that decision (`LEFT_TO_US`) ends in a page that says what to do; where it refuses by itself, as a certificate
of an authority on no list, one for another purpose than clients, or a key below its security level, the browser shows
a page of its own, and only the page before it can say what to do then.

A handshake is the signature of one sign-in. A browser keeps its connection open, and the secret of its last session,
after the card was taken out, so neither signs in a second time: whoever comes next must put in a card of their own.
"""

import ssl
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import structlog
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from federation.certificate.answer import certified
from federation.certificate.connector import CertificateConnector, proof
from federation.certificate.model import CertificateRefusedError, Proved
from federation.refusal import CardMissing, IdSystemNotAllowed, IdSystemNotTrusted
from gateway import assets, certificate_relinking, login
from gateway.app import front, stamp
from gateway.asking import drive
from gateway.certificate_standing import refusal_of
from gateway.config import CardListener
from gateway.context import GATEWAY, HANDLE, Gateway
from gateway.handshakes import ToldHandshake
from gateway.region import Region

log = structlog.get_logger("gateway.card_readers")

PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: what a list names is an anchor, whether it issued itself or not."""

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME: certificates before and after their time."""

IGNORE_CRITICAL = 0x10
"""X509_V_FLAG_IGNORE_CRITICAL: critical extensions that OpenSSL does not know."""

LEFT_TO_US = ssl.VerifyFlags(ssl.VERIFY_X509_TRUSTED_FIRST | PARTIAL_CHAIN | NO_CHECK_TIME | IGNORE_CRITICAL)
"""What a handshake does not end for: our rules look at each of these by themselves, and refuse on a page.

All flags that are set: later Pythons (3.13) add the strict reading of RFC 5280, which would end more handshakes.
"""

METHODS = ("hwk", "pin")
"""How a card is used (RFC 8176): its key never leaves it, and it asks for a number that its holder knows."""

AGAIN = "again"
"""In the query of the page: the browser was sent to shake hands anew."""

USED: web.AppKey["WeakSet[Any]"] = web.AppKey("handshakes", WeakSet)
"""Handshakes after which something was answered already."""

_DER = 2  # _ssl.ENCODING_DER


def card_app(gateway: Gateway) -> web.Application:
    """The application of this listener: one page, and what refusals look like."""
    app = web.Application(middlewares=[front], client_max_size=0)
    app[GATEWAY] = gateway
    app[USED] = WeakSet()
    app.add_routes(
        [
            web.get("/certificate/{handle}/card", card),
            web.get("/static/{name}", assets.static),
            web.get("/favicon.ico", assets.favicon),
        ]
    )
    app.on_response_prepare.append(stamp)
    app.on_response_prepare.append(_use)
    return app


async def _use(request: web.Request, _response: web.StreamResponse) -> None:
    tls = request.get_extra_info("ssl_object")
    if tls is not None:
        request.app[USED].add(tls)


class CardTls:
    """The listener's TLS, which knows every authority that a list in force names, at each handshake anew.

    One that left its list is known to OpenSSL until the next start, and refused after the handshake.
    """

    def __init__(self, gateway: Gateway, listener: CardListener) -> None:
        self._gateway = gateway
        self._looked_at: tuple[object, ...] = ()
        self._known: set[bytes] = set()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.sslobject_class = ToldHandshake
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_TICKET  # a session would keep the certificate longer than the reader the card
        self.context.num_tickets = 0
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.verify_flags = LEFT_TO_US
        self.context.sni_callback = self._greeted
        self.renew(listener)

    def renew(self, listener: CardListener) -> None:
        """Show the certificate that is on disk now; open connections keep theirs."""
        self.context.load_cert_chain(listener.tls.certificate, listener.tls.key)

    def _greeted(self, _socket: object, _name: str | None, _context: ssl.SSLContext) -> None:
        """A browser came: ask it for certificates of the authorities that are listed now."""
        region = self._gateway.region
        if region.is_still(self._looked_at):
            return
        self._looked_at = region.in_force()
        listener = region.configuration.card_readers
        if listener is not None:
            self.renew(listener)
        now = self._gateway.clock()
        for connector in region.connectors.values():
            if not (isinstance(connector, CertificateConnector) and connector.cards):
                continue
            try:
                anchors = connector.accepted(now).anchors
            except IdSystemNotTrusted:
                continue
            for anchor in anchors:
                der = anchor.public_bytes(Encoding.DER)
                if der not in self._known:
                    self.context.load_verify_locations(cadata=der)
                    self._known.add(der)


async def card(request: web.Request) -> web.StreamResponse:
    """GET /certificate/{handle}/card: sign in with the certificate of the handshake. Only in the browser that began."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    handle = request.match_info["handle"]
    if not HANDLE.fullmatch(handle):
        raise IdSystemNotAllowed("malformed handle")
    flow, service = await login.waiting(request, handle)
    connector = region.connector(flow.system or "")
    if not (isinstance(connector, CertificateConnector) and connector.cards):
        raise IdSystemNotAllowed("its cards do not count")
    if certificate_relinking.NEW in (flow.memory or {}):  # a browser shows the card again that it showed before
        raise IdSystemNotAllowed("a former certificate is shown on a phone")
    tls = request.get_extra_info("ssl_object")
    if tls is not None and (tls.session_reused or tls in request.app[USED]):
        return await _anew(request)
    shown = presented(tls)
    if not shown:
        raise CardMissing("no certificate in the handshake")
    try:
        found = await drive(
            certified(shown[0], shown[1:], connector.accepted(now), service.use, now),
            outward=gateway.outward,
            statuses=gateway.statuses,
        )
    except CertificateRefusedError as why:
        log.info("certificate-refused", reason=why.code, detail=why.detail)
        return absolute(region, await login.stopped(request, handle, refusal_of(why)))
    proved = Proved(
        subject=found.subject,
        attributes=found.attributes,
        evidence=found.evidence,
        policies=found.policies,
        methods=METHODS,
        path=found.path,
        statuses=found.statuses,
        signed_at=now,
        cap=found.cap,
    )
    return absolute(region, await certificate_relinking.go_on(request, handle, flow, proof(proved)))


async def _anew(request: web.Request) -> web.StreamResponse:
    """Send the browser here by a handshake of its own. Raises `CardMissing` if it does not make one.

    Without close_notify OpenSSL forgets the session, which a client of TLS 1.2 could resume otherwise.
    """
    if AGAIN in request.query:
        raise CardMissing("no handshake of its own")
    response = web.Response(status=303, headers={"Location": f"{request.path}?{AGAIN}", "Cache-Control": "no-store"})
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        request.transport.abort()
    return response


def presented(tls: Any) -> Sequence[bytes]:
    """The certificates that the browser showed, DER, its own first; none if it showed none."""
    if tls is None or tls.getpeercert(binary_form=True) is None:
        return ()
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return tuple(tls.get_unverified_chain())
    return tuple(each.public_bytes(_DER) for each in tls._sslobj.get_unverified_chain())  # noqa: SLF001 - the only way


def absolute(region: Region, response: web.StreamResponse) -> web.StreamResponse:
    """The way on leads back to the public address."""
    location = response.headers.get("Location", "")
    if location.startswith("/"):
        response.headers["Location"] = region.public_url + location
    return response
