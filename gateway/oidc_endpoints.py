"""The OpenID Connect addresses of the public listener: provider for services, client towards ID systems."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial, wraps

import structlog
from aiohttp import web

from federation.callers import CallerKind
from federation.oidc import dpop, exchange, jose
from federation.oidc.exchange import ExchangeRequest
from federation.oidc.oauth import NO_STORE, OAuthError, error_document, json_document
from federation.oidc.systems import SystemRequest
from federation.ports import Granted
from federation.refusal import BadRequest, ConsentWithdrawn, ScopeMissing, TokenInvalid, Unavailable
from federation.web import Document
from gateway import binding, login
from gateway.context import GATEWAY, Gateway, as_data, document
from gateway.region import Region
from gateway.store import AlreadyClaimedError

log = structlog.get_logger("gateway.oidc")

USERINFO = "userinfo"


async def configuration(request: web.Request) -> web.Response:
    """GET /.well-known/openid-configuration."""
    return document(request.app[GATEWAY].region.openid_provider.configuration())


async def keys(request: web.Request) -> web.Response:
    """GET /oidc/jwks: the keys of ID tokens and access tokens."""
    return document(request.app[GATEWAY].region.openid_provider.jwks())


async def client_keys(request: web.Request) -> web.Response:
    """GET /oidc/rp/jwks: the key that the gateway authenticates with at ID systems (private_key_jwt)."""
    return document(jose.jwks(request.app[GATEWAY].keys.client))


async def assertion_keys(request: web.Request) -> web.Response:
    """GET /.well-known/kakehashi-assertion-jwks.json: the key of the identity assertions on proxied calls."""
    return document(jose.jwks(request.app[GATEWAY].keys.assertion))


async def authorize(request: web.Request) -> web.StreamResponse:
    """GET and POST /oidc/authorize: an authentication request (OIDC Core §3.1.2.1)."""
    return await login.begin(request, "oidc")


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def for_services(handler: Handler) -> Handler:
    """An endpoint that services call by themselves: while the store is away it says so in the protocol's form."""

    @wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Unavailable as fault:
            log.warning("unavailable", detail=fault.detail)
            return document(unavailable(fault))
        except web.HTTPRequestEntityTooLarge:
            return document(error_document(OAuthError("invalid_request", "the body is too large")))

    return answered


@for_services
async def token(request: web.Request) -> web.StreamResponse:
    """POST /oidc/token: a code for tokens, once (RFC 6749 §4.1.3), or a token for a system, or for another token."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    provider = region.openid_provider
    try:
        try:
            incoming = await as_data(request, certificate=binding.shown(request, region))
        except BadRequest as fault:
            raise OAuthError("invalid_request", fault.detail) from fault
        asked = await gateway.outward.run(partial(provider.token_request, incoming, now), brief=True)
        for claim in asked.claims:
            try:
                await gateway.store.claim(claim)
            except AlreadyClaimedError as fault:
                if claim.kind == dpop.CLAIM:
                    raise OAuthError("invalid_dpop_proof", "the proof was used before") from fault
                raise OAuthError("invalid_client", "the client assertion was used before") from fault
        if isinstance(asked, SystemRequest):
            granted = await gateway.outward.run(partial(provider.system_token, asked, now), brief=True)
            system = region.configuration.systems[asked.client_id].id
            given = {"relying_service": system, "municipality": asked.municipality}
            log.info("token-given", reason="client-credentials", **given)
            return await login.answer(request, granted.answer)
        if isinstance(asked, ExchangeRequest):
            granted = await _exchange(gateway, region, asked, now)
            return await login.answer(request, granted.answer)
        mark = asked.tombstone
        kept = await gateway.store.exchange(mark.kind, mark.key, mark.value, mark.lifetime)
        granted = await gateway.outward.run(partial(provider.token, asked, kept, now), brief=True)
        try:
            # Were the code used twice at once, the second use's revocation may have come first: then it stands.
            await gateway.store.keep(granted.keep, first=True)
        except AlreadyClaimedError as fault:
            raise OAuthError("invalid_grant", "the code was used twice") from fault
    except OAuthError as fault:
        log.info("token-refused", code=fault.code, detail=fault.detail or fault.description)
        await gateway.store.keep(fault.keep)
        await gateway.revocations.revoke(each.key for each in fault.keep.items if each.kind == USERINFO)
        return document(error_document(fault))
    return await login.answer(request, granted.answer)


async def _exchange(gateway: Gateway, region: Region, asked: ExchangeRequest, now: datetime) -> Granted:
    """A token for another (RFC 8693), if the one that is exchanged counts now and the person's consent covers it."""
    provider = region.openid_provider
    subject = await gateway.outward.run(partial(provider.exchange_subject, asked, now), brief=True)
    try:
        caller = region.caller(subject, now)
        gateway.revocations.check(subject, caller.person)
    except (TokenInvalid, ConsentWithdrawn) as fault:
        raise exchange.unusable(fault.detail or fault.code) from fault
    service = region.clients.get(subject.consented)
    record = None
    if caller.person is not None and service is not None:
        record = await gateway.store.consent(caller.person, service.id)
    granted = await gateway.outward.run(partial(provider.exchanged, asked, subject, caller, record, now), brief=True)
    log.info("token-given", reason="token-exchange", relying_service="none" if service is None else service.id)
    return granted


@for_services
async def userinfo(request: web.Request) -> web.StreamResponse:
    """GET and POST /oidc/userinfo: what the access token reaches (OIDC Core §5.3); a system's reaches nobody."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    provider = region.openid_provider
    token = binding.held(request)
    access = provider.verify_access_token(token.token, now)
    if access.kind is CallerKind.SYSTEM:
        raise ScopeMissing("openid", scope="openid")
    binding.check(request, region, token, access.binding, now, request.app[GATEWAY].replays)
    holder, _ = region.holder(access, now)
    gateway.revocations.check(access, holder.person)
    kept = await gateway.store.read(USERINFO, access.jti)
    return document(provider.userinfo(access, kept))


def unavailable(why: Unavailable) -> Document:
    """An endpoint that cannot answer now says so in the protocol's form (RFC 6749 §5.2)."""
    body = {"error": why.oauth_error, "error_description": why.title}
    return json_document(body, status=why.status, headers=dict(NO_STORE))


ROUTES = (
    web.get("/.well-known/openid-configuration", configuration),
    web.get("/.well-known/kakehashi-assertion-jwks.json", assertion_keys),
    web.get("/oidc/jwks", keys),
    web.get("/oidc/rp/jwks", client_keys),
    web.get("/oidc/rp/callback", login.openid_arrival),
    web.get("/oidc/rp/callback/{system}", login.openid_arrival),
    web.get("/oidc/authorize", authorize),
    web.post("/oidc/authorize", authorize),
    web.post("/oidc/token", token),
    web.get("/oidc/userinfo", userinfo),
    web.post("/oidc/userinfo", userinfo),
)
