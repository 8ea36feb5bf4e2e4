"""What a service is told, without a browser, of a session of its own that has ended; in the protocol that it speaks.

A notice is made anew for each try, so that its times are fresh. Where it goes is the word of the trust list in force.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from federation.oidc import logout_token
from federation.oidc.clients import UnknownClientError
from federation.saml import logout, soap
from federation.saml.messages import new_id
from federation.sessions import Party, Session, Side
from federation.web import HttpRequest, HttpResponse
from gateway.region import Region
from trust_lists.model import NotTrustedError, Role, TrustedEntity
from trust_lists.xmldsig import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A request that says it, and whether an answer that came at some time confirms it."""

    request: HttpRequest
    confirmed: Callable[[HttpResponse, datetime], bool]


def write(region: Region, session: Session, signer: Signer, *, by_person: bool, now: datetime) -> Notice | None:
    """The notice for the service of `session`; None if there is nobody, or no address, that it could go to."""
    service = region.services.get(session.service)
    if service is None:
        return None
    try:
        if session.client is not None:
            return _openid(region, session, now)
        if session.participant is not None:
            return _saml(region, session, signer, by_person=by_person, now=now)
    except (UnknownClientError, NotTrustedError):
        return None
    return None


def _openid(region: Region, session: Session, now: datetime) -> Notice | None:
    assert session.client is not None
    request = region.openid_provider.logout_notice(session.client, session.id, now)
    if request is None:
        return None
    return Notice(request=request, confirmed=lambda answer, _: logout_token.confirmed(answer))


def _saml(region: Region, session: Session, signer: Signer, *, by_person: bool, now: datetime) -> Notice | None:
    known = session.participant
    assert known is not None
    peer = region.trust.find(known.entity_id, Role.SAML_SERVICE_PROVIDER, now)
    address = soap.endpoint(peer)
    if address is None:
        return None
    party = Party(
        side=Side.SERVICE,
        id=session.service,
        own_entity=known.own_entity,
        entity_id=known.entity_id,
        name=known.name,
        indexes=(known.index,),
    )
    request_id = new_id()
    request = soap.request(party, address, request_id=request_id, by_person=by_person, signer=signer, now=now)
    return Notice(request=request, confirmed=partial(_confirmed, peer, address.location, request_id))


def _confirmed(peer: TrustedEntity, url: str, request_id: str, answer: HttpResponse, now: datetime) -> bool:
    try:
        return soap.confirmed(answer, url=url, peer=peer, request_id=request_id, now=now)
    except logout.LogoutRefusedError:
        return False


def by_browser(region: Region, session: Session, now: datetime) -> bool:
    """Whether a logout that a browser carries can tell the service of `session` itself."""
    if session.participant is None:
        return False
    try:
        peer = region.trust.find(session.participant.entity_id, Role.SAML_SERVICE_PROVIDER, now)
    except NotTrustedError:
        return False
    return logout.endpoint(peer, Role.SAML_SERVICE_PROVIDER) is not None
