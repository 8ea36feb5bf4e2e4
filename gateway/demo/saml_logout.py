"""Single logout of the demo's SAML systems: a service's button that ends everything, and answering the gateway."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from federation.saml import logout as messages
from federation.saml.logout import LogoutAsked, LogoutDeniedError, LogoutRefusedError
from federation.saml.messages import new_id
from federation.saml.service_provider import SamlAssertion
from federation.sessions import Party, Side, SubjectName
from federation.web import PostForm, Redirect, WebRequest
from gateway.clock import Clock
from gateway.demo.peer import HTTP, PeerError
from gateway.demo.residents import Texts
from gateway.demo.saml_peer import GatewayMetadata
from gateway.demo.service_pages import SESSION, ServicePages
from gateway.demo.shelf import Shelf
from gateway.demo.site import PageError, Site, see_other
from trust_lists.model import NotTrustedError, Role, TrustedEntity
from trust_lists.xmldsig import Signer

WAITING = timedelta(minutes=10)

PARTLY: tuple[Texts, Texts] = (
    {
        "ja": "ここからはログアウトしましたが、ほかではまだかもしれません",
        "en": "You are signed out here, but perhaps not everywhere",
    },
    {
        "ja": "念のため、このブラウザーの画面をすべて閉じてください。",
        "en": "To be sure, close all windows of this browser.",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """Who answers the gateway: our own entity, its address for logout and its key."""

    entity_id: str
    url: str
    signer: Signer


class LogoutDoor:
    """One address for logout. `role` is what the gateway is to this system, `gateway` its metadata."""

    def __init__(self, site: Site, own: Self, *, gateway: GatewayMetadata, role: Role, clock: Clock) -> None:
        self.site = site
        self.own = own
        self.gateway = gateway
        self.role = role
        self.clock = clock

    async def entity(self, request: web.Request) -> TrustedEntity:
        """The gateway as it is now. Raises `PeerError`."""
        return await self.gateway.entity(request.app[HTTP], self.clock())

    async def came(self, request: web.Request) -> WebRequest:
        """The request as data, with the octets that were signed."""
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        raw_query = request.raw_path.partition("?")[2]
        return WebRequest(method=request.method, url=self.own.url, raw_query=raw_query, form=form)

    async def asked(self, web_request: WebRequest, gateway: TrustedEntity) -> LogoutAsked:
        """What the gateway asks. Raises `PageError`."""

        def find(entity_id: str) -> TrustedEntity:
            if entity_id != gateway.entity_id:
                raise NotTrustedError("unlisted", entity_id, self.role)
            return gateway

        try:
            return await asyncio.to_thread(
                lambda: messages.read_request(web_request, url=self.own.url, find=find, now=self.clock())
            )
        except (LogoutRefusedError, LogoutDeniedError, NotTrustedError) as refused:
            raise _unusable(refused.code) from refused

    async def confirm(self, request: web.Request, asked: LogoutAsked, gateway: TrustedEntity) -> web.Response:
        """Tell the gateway that the session here has ended."""
        address = messages.endpoint(gateway, self.role)
        if address is None:
            raise _unusable("no-answer-address")
        answer = await asyncio.to_thread(
            lambda: messages.response(
                messages.success(partial=False),
                address,
                own_entity=self.own.entity_id,
                in_response_to=asked.asker.request_id,
                relay_state=asked.asker.relay_state,
                signer=self.own.signer,
                now=self.clock(),
            )
        )
        return self.carried(request, answer)

    def carried(self, request: web.Request, what: Redirect | PostForm) -> web.Response:
        """A message for the browser to carry."""
        if isinstance(what, Redirect):
            return see_other(what.location)
        return self.site.post_form(request, what.action, what.fields)

    async def always(self, request: web.Request) -> web.Response:
        """An ID system that asks at every sign-in remembers nobody: whoever is named is signed out."""
        try:
            gateway = await self.entity(request)
        except PeerError as fault:
            raise _unusable("peer-unreachable") from fault
        return await self.confirm(request, await self.asked(await self.came(request), gateway), gateway)


class ServiceLogout:
    """A service's part: its own button, and its session ended by others."""

    def __init__(self, pages: ServicePages, door: LogoutDoor) -> None:
        self._pages = pages
        self._door = door
        self._known: Shelf[str] = Shelf(SESSION, door.clock)
        self._asked: Shelf[bool] = Shelf(WAITING, door.clock)

    def begun(self, assertion: SamlAssertion) -> tuple[Party | None, str | None]:
        """What a session remembers of its sign-in, and the key that it is to be kept under."""
        name, index = assertion.name_id, assertion.session_index
        if name is None or index is None:
            return None, None
        party = Party(
            side=Side.ID_SYSTEM,
            id="gateway",
            own_entity=self._door.own.entity_id,
            entity_id=assertion.issuer,
            name=SubjectName(
                value=name.value,
                format=name.format,
                name_qualifier=name.name_qualifier,
                sp_name_qualifier=name.sp_name_qualifier,
                sp_provided_id=name.sp_provided_id,
            ),
            indexes=(index,),
        )
        key = new_id()
        self._known.put(key, f"{name.value} {index}")
        return party, key

    async def sign_out(self, request: web.Request) -> web.Response:
        """POST /sign-out: end the session here first, then ask the gateway to end it everywhere."""
        session, _ = await self._pages.posted(request)
        response = await self._pages.sign_out(request)
        try:
            gateway = await self._door.entity(request)
        except PeerError:
            return response
        address = messages.endpoint(gateway, self._door.role)
        if address is None or not isinstance(session.more, Party):
            return response
        request_id = new_id()
        away = await asyncio.to_thread(
            lambda: messages.request(
                session.more, address, request_id=request_id, signer=self._door.own.signer, now=self._door.clock()
            )
        )
        self._asked.put(True, request_id)
        carried = self._door.carried(request, away)
        carried.del_cookie(self._pages.site.cookie("session"), path="/")
        return carried

    async def receive(self, request: web.Request) -> web.Response:
        """GET and POST /saml/slo: the gateway's answer to our request, or its own request."""
        came = await self._door.came(request)
        try:
            gateway = await self._door.entity(request)
        except PeerError as fault:
            raise _unusable("peer-unreachable") from fault
        if any(name == "SAMLResponse" for name, _ in came.parameters()):
            return await self._ended(came, gateway)
        asked = await self._door.asked(came, gateway)
        for index in asked.indexes:
            self._pages.sessions.take(self._known.take(f"{asked.name.value} {index}"))
        return await self._door.confirm(request, asked, gateway)

    async def _ended(self, came: WebRequest, gateway: TrustedEntity) -> web.Response:
        request_id = await asyncio.to_thread(messages.in_reply_to, came)
        if request_id is None or self._asked.take(request_id) is None:
            raise _unusable("not-asked")
        try:
            everywhere = await asyncio.to_thread(
                lambda: messages.read_response(
                    came, url=self._door.own.url, peer=gateway, request_id=request_id, now=self._door.clock()
                )
            )
        except LogoutRefusedError as refused:
            raise _unusable(refused.code) from refused
        if not everywhere:
            raise PageError(*PARTLY, status=200, code="partial-logout")
        return see_other("/")


def _unusable(code: str) -> PageError:
    return PageError(
        {"ja": "ログアウトの電文を確認できませんでした", "en": "The sign-out message could not be verified"},
        PARTLY[1],
        code=code,
    )
