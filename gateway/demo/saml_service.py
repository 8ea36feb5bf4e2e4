"""A relying service that speaks SAML: a service provider with a page that shows what it was told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from federation.saml.messages import new_id
from federation.saml.service_provider import (
    SamlAssertion,
    SamlResponseRefusedError,
    SamlServiceProvider,
    SamlStatusError,
    response_in_reply_to,
)
from federation.sessions import Party
from gateway.clock import Clock, now
from gateway.demo.peer import HTTP, PeerError, http_client
from gateway.demo.residents import Texts
from gateway.demo.saml_logout import LogoutDoor, Self, ServiceLogout
from gateway.demo.saml_peer import GatewayMetadata
from gateway.demo.service_pages import FLOW, Fact, ServicePages, Session, denied, no_gateway, sign_in_failed
from gateway.demo.shelf import Shelf
from gateway.demo.site import form, not_open, see_other
from trust_lists.model import Role

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
NO_AUTHN_CONTEXT = "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"
METADATA_DAYS = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    request_id: str
    visit: str


class SamlService:
    """One service provider. `shown` says what it calls each attribute that it asks for, `own` who it is at a logout."""

    def __init__(
        self,
        pages: ServicePages,
        provider: SamlServiceProvider,
        *,
        gateway: GatewayMetadata,
        shown: Mapping[str, Texts],
        own: Self,
        clock: Clock = now,
    ) -> None:
        self._pages = pages
        door = LogoutDoor(pages.site, own, gateway=gateway, role=Role.SAML_IDENTITY_PROVIDER, clock=clock)
        self._logout = ServiceLogout(pages, door)
        self._provider = provider
        self._gateway = gateway
        self._shown = shown
        self._clock = clock
        self._pending: Shelf[_Pending] = Shelf(FLOW, clock)

    def application(self) -> web.Application:
        """The service's pages as an application."""
        app = self._pages.site.application(
            [
                web.get("/", self._home),
                web.get("/sign-in", self._sign_in),
                web.get("/saml/metadata", self._metadata),
                web.post("/saml/acs", self._consume),
                web.post("/sign-out", self._logout.sign_out),
                web.get("/saml/slo", self._logout.receive, allow_head=False),
                web.post("/saml/slo", self._logout.receive),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    async def _home(self, request: web.Request) -> web.Response:
        return await self._pages.home(request)

    async def _metadata(self, _request: web.Request) -> web.Response:
        moment = self._clock()
        document = await asyncio.to_thread(
            lambda: self._provider.metadata(now=moment, valid_until=moment + METADATA_DAYS)
        )
        return web.Response(body=document, content_type="application/samlmetadata+xml")

    async def _sign_in(self, request: web.Request) -> web.Response:
        moment, visit = self._clock(), self._pages.visit(request)
        request_id = new_id()
        try:
            gateway = await self._gateway.entity(request.app[HTTP], moment)
        except PeerError as fault:
            raise no_gateway() from fault
        redirect = await asyncio.to_thread(
            lambda: self._provider.request(
                gateway, request_id=request_id, relay_state=None, now=moment, name_id_format=PERSISTENT
            )
        )
        self._pending.put(_Pending(request_id=request_id, visit=visit), request_id)
        return self._pages.remember_visit(see_other(redirect.location), visit)

    async def _consume(self, request: web.Request) -> web.Response:
        """Take the Response (SAML Profiles §4.1.4.3); it must answer a request that this browser began."""
        response = (await form(request)).get("SAMLResponse", "")
        pending = self._pending.read(await asyncio.to_thread(response_in_reply_to, response))
        if pending is None:
            raise not_open()
        self._pages.check_visit(request, pending.visit)
        self._pending.take(pending.request_id)
        moment = self._clock()
        try:
            gateway = await self._gateway.entity(request.app[HTTP], moment)
            assertion = await asyncio.to_thread(
                lambda: self._provider.response(response, idp=gateway, request_id=pending.request_id, now=moment)
            )
        except SamlStatusError as status:
            kind = "low" if status.second == NO_AUTHN_CONTEXT else "no"
            raise denied(kind, (status.second or status.status).rpartition(":")[2]) from status
        except (SamlResponseRefusedError, PeerError) as fault:
            raise sign_in_failed() from fault
        party, key = self._logout.begun(assertion)
        return self._pages.signed_in(self._session(assertion, party), key)

    def _session(self, assertion: SamlAssertion, party: Party | None) -> Session:
        facts = tuple(
            Fact(label=label, values=assertion.attributes[name])
            for name, label in self._shown.items()
            if assertion.attributes.get(name)
        )
        return Session(
            subject=assertion.name_id.value if assertion.name_id else "",
            facts=facts,
            assurance=assertion.authn_context or "",
            more=party,
        )
