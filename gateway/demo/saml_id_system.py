"""An ID system that speaks SAML: an identity provider with a sign-in page."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

from aiohttp import web

from federation.saml.identity_provider import (
    SamlAttribute,
    SamlAuthnRequest,
    SamlIdentityProvider,
    SamlRequestRefusedError,
)
from federation.web import PostForm, WebRequest
from gateway.clock import Clock, now
from gateway.demo.peer import HTTP, PeerError, http_client
from gateway.demo.residents import Resident, Texts
from gateway.demo.saml_logout import LogoutDoor, Self
from gateway.demo.saml_peer import GatewayMetadata
from gateway.demo.sign_in import Register, SignIn
from gateway.demo.site import Face, PageError, Site
from trust_lists.model import NotTrustedError, Role, TrustedEntity

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
METADATA_DAYS = timedelta(days=365)

Comparison = Callable[[int, list[int]], bool]

COMPARISONS: Mapping[str, Comparison] = {
    "exact": lambda rank, asked: rank in asked,
    "minimum": lambda rank, asked: rank >= min(asked),
    "maximum": lambda rank, asked: rank <= max(asked),
    "better": lambda rank, asked: rank > max(asked),
}
"""How the asked contexts bound the one that is given (SAML Core §3.3.2.2.1)."""


class SamlIdSystem:
    """One identity provider. `ladder` lists its authentication contexts, the weakest first; `own` is for logouts."""

    def __init__(
        self,
        face: Face,
        provider: SamlIdentityProvider,
        *,
        gateway: GatewayMetadata,
        asker: Texts,
        register: Register,
        names: Mapping[str, str],
        ladder: tuple[str, ...],
        own: Self,
        clock: Clock = now,
    ) -> None:
        self.site = Site(face)
        self._logout = LogoutDoor(self.site, own, gateway=gateway, role=Role.SAML_SERVICE_PROVIDER, clock=clock)
        self._provider = provider
        self._gateway = gateway
        self._asker = asker
        self._names = names
        self._ladder = ladder
        self._clock = clock
        self._sign_in: SignIn[SamlAuthnRequest] = SignIn(self.site, register, clock)

    def application(self) -> web.Application:
        """The provider's addresses as an application."""
        app = self.site.application(
            [
                web.get("/", self._home),
                web.get("/saml/metadata", self._metadata),
                web.get("/saml/sso", self._sso),
                web.post("/saml/sso", self._sso),
                web.get("/saml/slo", self._logout.always, allow_head=False),
                web.post("/saml/slo", self._logout.always),
                web.post("/sign-in", self._signed_in),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    async def _home(self, request: web.Request) -> web.Response:
        return self.site.page(request, "id_system.html")

    async def _metadata(self, _request: web.Request) -> web.Response:
        moment = self._clock()
        document = await asyncio.to_thread(
            lambda: self._provider.metadata(now=moment, valid_until=moment + METADATA_DAYS)
        )
        return web.Response(body=document, content_type="application/samlmetadata+xml")

    async def _sso(self, request: web.Request) -> web.Response:
        """Take an AuthnRequest by Redirect or POST (SAML Profiles §4.1.3)."""
        moment = self._clock()
        asked = WebRequest(
            method=request.method,
            url=self.site.face.url + request.path,
            raw_query=request.raw_path.partition("?")[2],  # the octets that were signed
            form=[(name, str(value)) for name, value in (await request.post()).items()],
        )
        try:
            gateway = await self._gateway.entity(request.app[HTTP], moment)
            found = await asyncio.to_thread(lambda: self._provider.request(asked, find=_only(gateway), now=moment))
        except (SamlRequestRefusedError, NotTrustedError) as refused:
            raise PageError(
                {"ja": "この依頼は受け付けられません", "en": "This request cannot be accepted"},
                {"ja": "もとのサービスに連絡してください。", "en": "Please tell the service you came from."},
                code=refused.code,
            ) from refused
        except PeerError as fault:
            raise PageError(
                {"ja": "今は確認できません", "en": "This cannot be checked now"},
                {"ja": "しばらく待って、もう一度ためしてください。", "en": "Please try again soon."},
                status=502,
                code="peer-unreachable",
            ) from fault
        if found.is_passive:
            return await self._refuse(request, found, "NoPassive")
        if found.name_id_format not in (None, PERSISTENT, UNSPECIFIED):
            return await self._refuse(request, found, "InvalidNameIDPolicy")
        return self._sign_in.page(request, found, asker=self._asker)

    async def _signed_in(self, request: web.Request) -> web.Response:
        asked, resident = await self._sign_in.answer(request)
        if resident is None:
            return await self._refuse(request, asked, "AuthnFailed")
        if not self._enough(asked, resident):
            return await self._refuse(request, asked, "NoAuthnContext")
        moment = self._clock()
        answer = await asyncio.to_thread(
            lambda: self._provider.response(
                asked,
                name_id=resident.subject,
                name_id_format=PERSISTENT,
                attributes=[
                    SamlAttribute(name=self._names[name], values=(str(value),), friendly_name=name)
                    for name, value in resident.record.items()
                ],
                authn_context=resident.means.statement,
                authn_instant=moment,
                now=moment,
            )
        )
        return self._post(request, answer)

    def _enough(self, asked: SamlAuthnRequest, resident: Resident) -> bool:
        known = [self._ladder.index(context) for context in asked.requested_contexts if context in self._ladder]
        if not asked.requested_contexts:
            return True
        return bool(known) and COMPARISONS[asked.comparison](self._ladder.index(resident.means.statement), known)

    async def _refuse(self, request: web.Request, asked: SamlAuthnRequest, second: str) -> web.Response:
        moment = self._clock()
        return self._post(
            request,
            await asyncio.to_thread(lambda: self._provider.error(asked, second=STATUS + second, now=moment)),
        )

    def _post(self, request: web.Request, answer: PostForm) -> web.Response:
        return self.site.post_form(request, answer.action, answer.fields)


def _only(gateway: TrustedEntity) -> Callable[[str], TrustedEntity]:
    """Look-up of service providers: this ID system knows one."""

    def find(entity_id: str) -> TrustedEntity:
        if entity_id != gateway.entity_id:
            raise NotTrustedError("unlisted", entity_id, Role.SAML_SERVICE_PROVIDER)
        return gateway

    return find
