"""The SAML addresses of the public listener: metadata of both roles, single sign-on, assertion consumer."""

from datetime import datetime, timedelta
from functools import partial
from weakref import WeakKeyDictionary

from aiohttp import web

from federation.refusal import UnknownPath
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from gateway import login, logout
from gateway.context import GATEWAY

SIGNED_AGAIN = timedelta(hours=1)

Signed = WeakKeyDictionary[SamlIdentityProvider | SamlServiceProvider, tuple[datetime, bytes]]
SIGNED = web.AppKey("signed_metadata", Signed)

MUNICIPAL = "/saml/{municipality:[0-9]{6}}"
"""Where the entities of single municipalities live, by their local-government code."""

METADATA_TYPE = "application/samlmetadata+xml"
"""SAML Metadata §4.1.1."""


async def identity_provider_metadata(request: web.Request) -> web.Response:
    """GET /saml/metadata: the gateway as identity provider, signed."""
    return await _metadata(request, request.app[GATEWAY].region.saml_identity_provider)


async def municipal_metadata(request: web.Request) -> web.Response:
    """GET /saml/{municipality}/metadata: the entity of one municipality, signed."""
    found = request.app[GATEWAY].region.municipal_identity_providers.get(request.match_info["municipality"])
    if found is None:
        raise UnknownPath("no ID system of this municipality")
    return await _metadata(request, found)


async def service_provider_metadata(request: web.Request) -> web.Response:
    """GET /saml/sp/metadata: the gateway as service provider, for the ID systems, signed."""
    return await _metadata(request, request.app[GATEWAY].region.saml_service_provider)


async def _metadata(request: web.Request, role: SamlIdentityProvider | SamlServiceProvider) -> web.Response:
    """Signed once an hour and role, so that whoever asks often costs little."""
    gateway = request.app[GATEWAY]
    now = gateway.clock()
    signed = request.app[SIGNED]
    found = signed.get(role)
    if found is None or now >= found[0]:
        body = await gateway.outward.run(partial(role.metadata, now=now))
        found = signed[role] = (now + SIGNED_AGAIN, body)
    return web.Response(body=found[1], content_type=METADATA_TYPE)


async def single_sign_on(request: web.Request) -> web.StreamResponse:
    """GET and POST /saml/sso: an AuthnRequest (SAML Profiles §4.1.3)."""
    return await login.begin(request, "saml")


async def municipal_sign_on(request: web.Request) -> web.StreamResponse:
    """GET and POST /saml/{municipality}/sso: the same at the entity of one municipality."""
    municipality = request.match_info["municipality"]
    if municipality not in request.app[GATEWAY].region.municipal_frontends:
        raise UnknownPath("no ID system of this municipality")
    return await login.begin(request, "saml", municipality)


ROUTES = (
    web.get("/saml/metadata", identity_provider_metadata),
    web.get("/saml/sp/metadata", service_provider_metadata),
    web.get(MUNICIPAL + "/metadata", municipal_metadata),
    web.get(MUNICIPAL + "/sso", municipal_sign_on),
    web.post(MUNICIPAL + "/sso", municipal_sign_on),
    web.get("/saml/sso", single_sign_on),
    web.post("/saml/sso", single_sign_on),
    web.post("/saml/sp/acs", login.saml_arrival),
    web.get("/saml/slo", logout.from_service, allow_head=False),
    web.post("/saml/slo", logout.from_service),
    web.get(MUNICIPAL + "/slo", logout.from_municipal_service, allow_head=False),
    web.post(MUNICIPAL + "/slo", logout.from_municipal_service),
    web.get("/saml/sp/slo", logout.from_id_system, allow_head=False),
    web.post("/saml/sp/slo", logout.from_id_system),
)
