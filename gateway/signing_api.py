"""What a service does to have a text signed: ask (POST /signing/requests), fetch the container (GET), forget (DELETE).

Only services of the region with `signing: true`, each known by its registered way: HTTP Basic with its secret, or a
client assertion (RFC 7523 §3) as bearer token, since a GET has no form to hold one. This is the one way by which
a resident's certificate leaves the gateway: in the signature, after a page that says so, to the service that asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from aiohttp import web

from federation.certificate import transaction
from federation.certificate.connector import CertificateConnector
from federation.certificate.transaction import Order, OrderRefusedError
from federation.model import Service
from federation.oidc.client_auth import Authenticated
from federation.oidc.clients import RegisteredClient
from federation.oidc.oauth import ASSERTION_TYPE, NO_STORE, OAuthError, error_document, json_document
from federation.refusal import Refusal
from federation.web import WebRequest
from gateway.context import GATEWAY, HANDLE, document, header_map, new_handle
from gateway.oidc_endpoints import for_services
from gateway.region import Region
from gateway.signings import OPEN, Signing, Signings
from gateway.store import AlreadyClaimedError

log = structlog.get_logger("gateway.signing")

_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    service: Service
    redirect_uris: tuple[str, ...]


@for_services
async def ask(request: web.Request) -> web.Response:
    """POST /signing/requests: title, text, format, id_system, return_to."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    try:
        caller = await _caller(request)
        order = _order(caller, request.content_type, await request.read())
        _check_system(region, caller.service, order.system, now)
    except OAuthError as fault:
        return _refused(fault)
    signing = Signing(id=new_handle(), order=order, begun_at=now)
    await Signings(gateway.store).begin(signing)
    log.info("signing-asked", relying_service=caller.service.id, id_system=order.system)
    page = f"{region.public_url}/signing/{signing.id}"
    answer = {"id": signing.id, "page": page, "expires_in": int(OPEN.total_seconds())}
    return document(json_document(answer, status=201, headers=dict(NO_STORE)))


@for_services
async def fetch(request: web.Request) -> web.Response:
    """GET /signing/requests/{id}: how far it is; once signed, the container."""
    gateway = request.app[GATEWAY]
    try:
        caller = await _caller(request)
    except OAuthError as fault:
        return _refused(fault)
    signings = Signings(gateway.store)
    signing = await _own(signings, request, caller)
    if signing is None:
        return _unknown()
    stage = await signings.stage(signing)
    answer: dict[str, object] = {"id": signing.id, "status": "open"}
    if stage.end is not None:
        answer.update(stage.end)
    elif gateway.clock() >= signing.open_until:
        answer["status"] = "expired"
    return document(json_document(answer, headers=dict(NO_STORE)))


@for_services
async def forget(request: web.Request) -> web.Response:
    """DELETE /signing/requests/{id}: the gateway keeps nothing of it any more."""
    gateway = request.app[GATEWAY]
    try:
        caller = await _caller(request)
    except OAuthError as fault:
        return _refused(fault)
    signings = Signings(gateway.store)
    signing = await _own(signings, request, caller)
    if signing is None:
        return _unknown()
    await signings.forget(signing)
    return web.Response(status=204, headers=dict(NO_STORE))


async def _caller(request: web.Request) -> _Caller:
    """The service that calls, which may have texts signed. Raises `OAuthError`."""
    gateway = request.app[GATEWAY]
    who = await gateway.outward.run(
        partial(_authenticated, gateway.region, request.method, header_map(request), gateway.clock())
    )
    if who.claim is not None:
        try:
            await gateway.store.claim(who.claim)
        except AlreadyClaimedError:
            raise OAuthError("invalid_client", "the client assertion was used before") from None
    service = who.client.service
    if not service.signing or gateway.region.configuration.timestamp is None:
        raise OAuthError("unauthorized_client", "this service may not have texts signed", detail="signing")
    return _Caller(service=service, redirect_uris=who.client.redirect_uris)


def _authenticated(
    region: Region, method: str, headers: Mapping[str, str], now: datetime
) -> Authenticated[RegisteredClient]:
    given = headers.get("authorization", "")
    parameters: dict[str, str] = {}
    if given.lower().startswith(_BEARER):
        parameters = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": given[len(_BEARER) :].strip()}
        headers = {name: value for name, value in headers.items() if name != "authorization"}
    asking = WebRequest(method=method, url=region.public_url, headers=headers)
    return region.openid_provider.authenticate(asking, parameters, now)


def _order(caller: _Caller, content_type: str, body: bytes) -> Order:
    """What the service asks for. Raises `OAuthError`."""
    if content_type != "application/json":
        raise OAuthError("invalid_request", "expected application/json")
    try:
        return transaction.read_order(body, service=caller.service.id, addresses=caller.redirect_uris)
    except OrderRefusedError as why:
        raise OAuthError("invalid_request", why.sentence, detail=why.code) from why


def _check_system(region: Region, service: Service, system_id: str, now: datetime) -> None:
    """The ID system is one of certificates, and its word counts at this service now. Raises `OAuthError`."""
    system = region.systems.get(system_id)
    allowed = service.id_systems is None or system_id in service.id_systems
    if system is None or not allowed or not isinstance(region.connector(system_id), CertificateConnector):
        raise OAuthError("invalid_request", "id_system names none whose certificates this service may ask for")
    try:
        region.standings.of(system, service, now)
    except Refusal as why:
        raise OAuthError("invalid_request", "the ID system's word does not count here now", detail=why.code) from why


async def _own(signings: Signings, request: web.Request, caller: _Caller) -> Signing | None:
    """The signing in the address, if it is this service's."""
    signing_id = request.match_info["id"]
    signing = await signings.find(signing_id) if HANDLE.fullmatch(signing_id) else None
    return signing if signing is not None and signing.order.service == caller.service.id else None


def _refused(fault: OAuthError) -> web.Response:
    log.info("signing-refused", code=fault.code, detail=fault.detail or fault.description)
    return document(error_document(fault))


def _unknown() -> web.Response:
    told = {"error": "not_found", "error_description": "There is no such request of this service, or it was forgotten."}
    return document(json_document(told, status=404, headers=dict(NO_STORE)))


ROUTES: Sequence[web.RouteDef] = (
    web.post("/signing/requests", ask),
    web.get("/signing/requests/{id}", fetch, allow_head=False),
    web.delete("/signing/requests/{id}", forget),
)
