"""Builders for the demo systems' tests: real servers at free ports of the loopback, and browsers."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.demo.addresses import close, listen

Serve = Callable[[web.Application], Awaitable[None]]


@dataclass
class Place:
    """An address that is listened on already; `serve` puts an application there."""

    url: str
    serve: Serve


@dataclass
class Hands:
    """A clock that tests move."""

    now: datetime = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now

    def forward(self, **by: float) -> None:
        """Let time pass, as `timedelta` counts it."""
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Hands:
    """A morning in April."""
    return Hands()


@pytest.fixture
async def place() -> AsyncIterator[Callable[[], Place]]:
    """Reserve an address, so that a system can be told where it lives before it is built."""
    async with contextlib.AsyncExitStack() as stack:

        def reserve() -> Place:
            sockets = listen("gunma", 0)
            stack.callback(close, sockets)

            async def serve(app: web.Application) -> None:
                runner = web.AppRunner(app, shutdown_timeout=0.1)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                for each in sockets:
                    await web.SockSite(runner, each).start()

            return Place(url=f"http://localhost:{sockets[0].getsockname()[1]}", serve=serve)

        yield reserve


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, and shows redirects instead of following them."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def stranger() -> AsyncIterator[aiohttp.ClientSession]:
    """Another browser."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@dataclass
class Asserter:
    """What a gateway is to a shared service: a place with a JWK Set, and assertions signed by its key."""

    url: str
    key: ECKey
    clock: Hands

    def assertion(self, audience: str, subject: str = "somebody", key: ECKey | None = None, **claims: object) -> str:
        """An identity assertion for `audience`; `claims` replace what would be stated."""
        issued = int(self.clock().timestamp())
        stated = {
            "iss": self.url,
            "aud": audience,
            "sub": subject,
            "municipality": "102016",
            "iat": issued,
            "exp": issued + 60,
            "jti": "1",
        } | claims
        signer = key or self.key
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, stated, signer, algorithms=["ES256"])


@pytest.fixture
async def asserter(place: Callable[[], Place], clock: Hands) -> Asserter:
    """A gateway as far as a shared service needs one."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    gateway = place()

    async def jwks(_request: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False)]})

    app = web.Application()
    app.router.add_get("/.well-known/kakehashi-assertion-jwks.json", jwks)
    await gateway.serve(app)
    return Asserter(gateway.url, key, clock)
