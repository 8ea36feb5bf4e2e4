"""Omura's federation: a trust anchor that vouches for Omura's ID system (OpenID Federation 1.0).

Omura is on no list of this region: it belongs to a federation of its own, whose anchor the gateway pins. The gateway
asks the anchor whom it vouches for, and each of them for its own configuration.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from gateway.clock import Clock
from gateway.demo.addresses import Addresses
from gateway.demo.keys import federation_key, public_keys, signing_key
from gateway.demo.roster import ALGORITHMS, FEDERATION, OPENID_PROVIDERS, directory
from gateway.demo.site import Handler
from trust_lists import etsi
from trust_lists.federation_serving import (
    Answer,
    FederationSigner,
    Parameters,
    Region,
    Subordinate,
    entity_configuration,
    listing,
    subordinate_statement,
)
from trust_lists.federation_statements import FEDERATION_ENTITY, MEDIA_TYPE

MEMBER = "omura"
WELL_KNOWN = "/.well-known/openid-federation"
MAXIMUM_IDENTITY = 3
LIFETIME = timedelta(days=30)
"""How long a statement holds."""


def _signer(systems: Path, name: str) -> FederationSigner:
    return FederationSigner.from_pem(federation_key(directory(systems, name)))


def anchor(addresses: Addresses, systems: Path) -> Region:
    """The anchor, with all that it says of Omura: its keys, its municipality, and how sure it may be at most."""
    url = addresses.url(FEDERATION)
    issuer = addresses.url(MEMBER)
    vouched = {
        "openid_provider": {
            "issuer": issuer,
            "jwks": public_keys(signing_key(directory(systems, MEMBER), ALGORITHMS[MEMBER])),
        },
        etsi.FEDERATION_MEMBER: {
            "municipality": OPENID_PROVIDERS[MEMBER],
            "maximum_identity": MAXIMUM_IDENTITY,
        },
    }
    subordinate = Subordinate(
        entity_id=issuer,
        jwks={"keys": [_signer(systems, MEMBER).public_jwk()]},
        metadata=vouched,
        entity_types=frozenset({"openid_provider"}),
    )
    return Region(
        entity_id=url,
        signer=_signer(systems, FEDERATION),
        fetch_endpoint=f"{url}/fetch",
        list_endpoint=f"{url}/list",
        lifetime=LIFETIME,
        metadata={FEDERATION_ENTITY: {"organization_name": "Federation of Omura's ID system (demo)"}},
        subordinates={issuer: subordinate},
    )


def application(addresses: Addresses, systems: Path, clock: Clock) -> web.Application:
    """The anchor's endpoints (§8, §9)."""
    region = anchor(addresses, systems)

    def parameters(request: web.Request) -> Parameters:
        return tuple(request.query.items())

    endpoints: dict[str, Callable[[web.Request], Answer]] = {
        WELL_KNOWN: lambda _: entity_configuration(region, clock()),
        "/fetch": lambda request: subordinate_statement(region, parameters(request), clock()),
        "/list": lambda request: listing(region, parameters(request)),
    }
    app = web.Application()
    for path, endpoint in endpoints.items():
        app.router.add_get(path, _handler(endpoint))
    return app


def member_configuration(addresses: Addresses, systems: Path, clock: Clock) -> Handler:
    """What Omura's ID system says of itself, at its own well-known address (§9)."""
    url = addresses.url(MEMBER)
    signer = _signer(systems, MEMBER)

    def answer(_: web.Request) -> Answer:
        now = int(clock().timestamp())
        token = signer.sign(
            {
                "iss": url,
                "sub": url,
                "iat": now,
                "exp": now + int(LIFETIME.total_seconds()),
                "jwks": {"keys": [signer.public_jwk()]},
                "authority_hints": [addresses.url(FEDERATION)],
                "metadata": {"openid_provider": {"issuer": url, "client_registration_types_supported": ["automatic"]}},
            }
        )
        return Answer(status=200, media_type=MEDIA_TYPE, body=token.encode("ascii"))

    return _handler(answer)


def _handler(endpoint: Callable[[web.Request], Answer]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        answer = endpoint(request)
        return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.media_type})

    return handle
