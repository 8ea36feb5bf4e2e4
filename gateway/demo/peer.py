"""How a demo system asks another one over HTTP: bounded, no redirects; changed keys are fetched again."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

LARGEST_ANSWER = 1024 * 1024
SECONDS = 10.0
REFETCH_SECONDS = 2.0
"""An unknown key ID makes us ask again, but not more often than this."""

HTTP = web.AppKey("http", aiohttp.ClientSession)


class PeerError(Exception):
    """Another system did not answer, or not as its protocol says. The text has no personal data."""


async def http_client(app: web.Application) -> AsyncIterator[None]:
    """A cleanup context: one client session for the application's life."""
    app[HTTP] = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )
    yield
    await app[HTTP].close()


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, body and headers (a case-insensitive mapping) of one request. Raises `PeerError`."""
    try:
        async with session.request(method, url, allow_redirects=False, **options) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise PeerError(f"{url}: more than {LARGEST_ANSWER} bytes")
            return response.status, bytes(body), response.headers
    except (aiohttp.ClientError, TimeoutError, OSError) as fault:
        raise PeerError(f"{url}: {type(fault).__name__}") from fault


def json_object(body: bytes, url: str) -> dict[str, Any]:
    """`body` as a JSON object. Raises `PeerError`."""
    try:
        value = json.loads(body)
    except ValueError as fault:
        raise PeerError(f"{url}: not JSON") from fault
    if not isinstance(value, dict):
        raise PeerError(f"{url}: not a JSON object")
    return value


async def get_json(session: aiohttp.ClientSession, url: str, **options: Any) -> dict[str, Any]:
    """The JSON object at `url`. Raises `PeerError`."""
    status, body, _ = await ask(session, "GET", url, **options)
    if status != web.HTTPOk.status_code:
        raise PeerError(f"{url}: status {status}")
    return json_object(body, url)


class RemoteKeys:
    """The JWK Set at `url`, fetched at first use and again when a token names a key that is not in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: KeySet | None = None
        self._fetched = 0.0

    async def claims(
        self, session: aiohttp.ClientSession, token: str, *, algorithms: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of `token`, its signature verified; what the claims say is the caller's to check.

        Raises `PeerError` if the signature is not by one of the keys or the keys cannot be had.
        """
        fresh = self._keys is None
        while True:
            if fresh:
                await self._fetch(session)
            assert self._keys is not None
            try:
                decoded = jwt.decode(token, self._keys, algorithms=list(algorithms))
            except (JoseError, ValueError) as fault:
                if not fresh and time.monotonic() - self._fetched > REFETCH_SECONDS:
                    fresh = True
                    continue
                raise PeerError(f"the signature does not verify: {type(fault).__name__}") from fault
            return dict(decoded.header), dict(decoded.claims)

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        document = await get_json(session, self.url)
        try:
            self._keys = KeySet.import_key_set({"keys": document["keys"]})
        except (JoseError, KeyError, ValueError, TypeError) as fault:
            raise PeerError(f"{self.url}: not a JWK Set") from fault
        self._fetched = time.monotonic()
