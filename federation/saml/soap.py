"""Single logout over SOAP, without a browser (SAML Profiles §4.4.3.2, Bindings §3.2): our requests to services.

The request is signed like every other. Its answer comes on the same connection: one that is signed is held against the
listed keys; one that is not is believed of whoever the TLS certificate of the listed address is for (Profiles
§4.4.3.4), and from nobody else.
"""

from datetime import datetime
from urllib.parse import urlsplit

from lxml import etree
from saml2 import saml, samlp

from federation.saml.logout import (
    ADMIN,
    KIND,
    RESPONSE_RULES,
    USER,
    Came,
    Expected,
    LogoutRefusedError,
    LogoutRule,
    logout_request,
    says_ended,
)
from federation.saml.messages import from_octets, read, write
from federation.sessions import Party
from federation.web import HttpRequest, HttpResponse
from trust_lists.model import Endpoint, Role, TrustedEntity
from trust_lists.xmldsig import SIGNATURE, Signer, verify
from trust_lists.xmlgate import SignatureRefusedError, parse

SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ROOT, _BODY, _FAULT = (f"{{{_ENVELOPE}}}{name}" for name in ("Envelope", "Body", "Fault"))
_RESPONSE = f"{{{samlp.NAMESPACE}}}LogoutResponse"
_OPEN = f'<soap:Envelope xmlns:soap="{_ENVELOPE}"><soap:Body>'.encode()
_CLOSE = b"</soap:Body></soap:Envelope>"

_ACTION = '"http://www.oasis-open.org/committees/security"'
"""Bindings §3.2.3.1; readers must not depend on it."""

_OK = 200


def _issuer(came: Came, _: Expected) -> bool:
    issuer = came.message.issuer
    return (
        issuer is not None and issuer.text == came.peer.entity_id and issuer.format in (None, saml.NAMEID_FORMAT_ENTITY)
    )


RULES = (
    LogoutRule("issuer", None, _issuer),
    *(rule for rule in RESPONSE_RULES if rule.code != "destination"),
)
"""As for responses through a browser; it was sent to nobody but whoever asked, so it names no address."""


def endpoint(sp: TrustedEntity) -> Endpoint | None:
    """Where a service takes logout messages without a browser."""
    return sp.endpoint(Role.SAML_SERVICE_PROVIDER, KIND, SOAP)


def request(
    party: Party, address: Endpoint, *, request_id: str, by_person: bool, signer: Signer, now: datetime
) -> HttpRequest:
    """Ask `party` to end its sessions; its name has to be known."""
    message = logout_request(
        party, address.location, request_id=request_id, reason=USER if by_person else ADMIN, now=now
    )
    return HttpRequest(
        method="POST",
        url=address.location,
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": _ACTION, "Accept": "text/xml"},
        body=_OPEN + signer.sign_message(write(message), request_id) + _CLOSE,
    )


def confirmed(answer: HttpResponse, *, url: str, peer: TrustedEntity, request_id: str, now: datetime) -> bool:
    """Check what `peer` answered at `url`; whether it says that all of the session there has ended.

    Raises `LogoutRefusedError`.
    """
    if answer.status != _OK:
        raise LogoutRefusedError("status")
    try:
        came = _come(answer.body, peer, believed=urlsplit(url).scheme == "https")
    except SignatureRefusedError as refused:
        raise LogoutRefusedError(refused.code) from None
    return says_ended(came, Expected(url=url, now=now, request_id=request_id), RULES)


def _come(body: bytes, peer: TrustedEntity, *, believed: bool) -> Came:
    """Take the message out of its envelope and verify it. Raises `SignatureRefusedError`."""
    found = parse(body, roots=(_ROOT,)).findall(_BODY)
    if len(found) != 1 or len(found[0]) != 1:
        raise SignatureRefusedError("body")
    element = found[0][0]
    if element.tag != _RESPONSE:
        raise SignatureRefusedError("fault" if element.tag == _FAULT else "body")
    document = etree.tostring(element, encoding="utf-8", with_tail=False)  # with every namespace in scope
    if element.find(SIGNATURE) is None and believed:
        return Came(message=read(document, samlp.LogoutResponse), peer=peer, relay_state=None)
    octets = verify(document, certificates=peer.signing_certificates, expected_root=_RESPONSE)
    return Came(message=from_octets(octets, samlp.LogoutResponse), peer=peer, relay_state=None)
