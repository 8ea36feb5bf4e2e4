"""A relying party of the gateway's OpenID provider: code flow, PKCE, `private_key_jwt`; code of its own."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from joserfc import jwt

from gateway.clock import Clock
from gateway.demo.keys import Algorithm, Key, digest, half_digest
from gateway.demo.peer import PeerError, RemoteKeys, ask, get_json, json_object

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
ASSERTION_SECONDS = 60
LEEWAY = 30
OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What one sign-in must remember until its answer comes."""

    state: str
    nonce: str
    verifier: str
    visit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who signed in: the claims of ID token and userinfo, the access token and the scopes that it opens."""

    claims: Mapping[str, Any]
    access_token: str
    scopes: frozenset[str]
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """A token that came of another one by exchange: for one service alone, and for these scopes."""

    access_token: str
    scopes: frozenset[str]
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    issuer: str
    client: str
    nonce: str
    access_token: str
    algorithm: str
    time: float


Check = tuple[str, Callable[[Mapping[str, Any], Mapping[str, Any], _Expected], bool]]

ID_TOKEN_CHECKS: tuple[Check, ...] = (
    # claim, holds(header, claims, expected): OpenID Connect Core §3.1.3.7 and §3.1.3.8
    ("alg", lambda h, _c, x: h.get("alg") == x.algorithm),
    ("iss", lambda _h, c, x: c.get("iss") == x.issuer),
    ("aud", lambda _h, c, x: c.get("aud") in (x.client, [x.client])),
    ("azp", lambda _h, c, x: c.get("azp", x.client) == x.client),
    ("exp", lambda _h, c, x: isinstance(c.get("exp"), int | float) and c["exp"] > x.time - LEEWAY),
    ("iat", lambda _h, c, x: isinstance(c.get("iat"), int | float) and abs(c["iat"] - x.time) < 10 * LEEWAY),
    ("nonce", lambda _h, c, x: c.get("nonce") == x.nonce),
    (
        "at_hash",
        lambda _h, c, x: c.get("at_hash", half_digest(x.access_token)) == half_digest(x.access_token),
    ),
    ("sub", lambda _h, c, _x: isinstance(c.get("sub"), str) and bool(c["sub"])),
)
"""What an ID token must fulfil, in order, once its signature is verified."""

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

LOGOUT_TOKEN_CHECKS: tuple[Check, ...] = (
    # OpenID Connect Back-Channel Logout §2.6; nonce and access token are of no concern
    ("typ", lambda h, _c, _x: str(h.get("typ", "")).lower() == "logout+jwt"),
    ("alg", lambda h, _c, x: h.get("alg") == x.algorithm),
    ("iss", lambda _h, c, x: c.get("iss") == x.issuer),
    ("aud", lambda _h, c, x: c.get("aud") in (x.client, [x.client])),
    ("exp", lambda _h, c, x: isinstance(c.get("exp"), int | float) and c["exp"] > x.time - LEEWAY),
    ("iat", lambda _h, c, x: isinstance(c.get("iat"), int | float) and abs(c["iat"] - x.time) < 10 * LEEWAY),
    ("events", lambda _h, c, _x: isinstance(c.get("events"), dict) and c["events"].get(LOGOUT_EVENT) == {}),
    ("nonce", lambda _h, c, _x: "nonce" not in c),
    ("jti", lambda _h, c, _x: isinstance(c.get("jti"), str)),
    ("sid", lambda _h, c, _x: isinstance(c.get("sid"), str) and bool(c["sid"])),
)
"""What a logout token must fulfil. One that comes twice does no harm: its session has ended."""


class OpenIdClient:
    """One client of one provider."""

    def __init__(
        self, *, issuer: str, client_id: str, redirect_uri: str, key: Key, algorithm: Algorithm, clock: Clock
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self._key = key
        self._algorithm = algorithm
        self._clock = clock
        self._metadata: dict[str, Any] | None = None
        self._keys = RemoteKeys("")

    async def begin(
        self,
        http: aiohttp.ClientSession,
        *,
        scopes: tuple[str, ...],
        visit: str,
        acr: str = "",
        language: str = "",
    ) -> tuple[str, Pending]:
        """The address to which the browser goes, and what to remember. Raises `PeerError`."""
        metadata = await self._provider(http)
        pending = Pending(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            visit=visit,
        )
        wished = {"acr_values": acr, "ui_locales": language}
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(scopes),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": digest(pending.verifier),
            "code_challenge_method": "S256",
            **{name: value for name, value in wished.items() if value},
        }
        return f"{metadata['authorization_endpoint']}?{urlencode(parameters)}", pending

    async def finish(self, http: aiohttp.ClientSession, pending: Pending, code: str) -> SignedIn:
        """Redeem `code`, verify the ID token, ask userinfo. Raises `PeerError`."""
        metadata = await self._provider(http)
        answer = await self._redeem(http, metadata, pending, code)
        access_token = str(answer.get("access_token", ""))
        time = self._clock().timestamp()
        header, claims = await self._keys.claims(http, str(answer.get("id_token", "")), algorithms=(self._algorithm,))
        expected = _Expected(
            issuer=self.issuer,
            client=self.client_id,
            nonce=pending.nonce,
            access_token=access_token,
            algorithm=self._algorithm,
            time=time,
        )
        for name, holds in ID_TOKEN_CHECKS:
            if not holds(header, claims, expected):
                raise PeerError(f"the ID token's {name} is not as expected")
        userinfo = await get_json(
            http, metadata["userinfo_endpoint"], headers={"Authorization": f"Bearer {access_token}"}
        )
        if userinfo.get("sub") != claims["sub"]:
            raise PeerError("userinfo is about somebody else")  # OpenID Connect Core §5.3.2
        lifetime = answer.get("expires_in")
        return SignedIn(
            claims={**userinfo, **claims},
            access_token=access_token,
            scopes=frozenset(str(answer.get("scope", "")).split()),
            expires=time + (lifetime if isinstance(lifetime, int | float) else 0),
        )

    async def ended(self, http: aiohttp.ClientSession, token: str) -> str:
        """The session (`sid`) that a logout token says has ended. Raises `PeerError`."""
        await self._provider(http)
        header, claims = await self._keys.claims(http, token, algorithms=(self._algorithm,))
        expected = _Expected(
            issuer=self.issuer,
            client=self.client_id,
            nonce="",
            access_token="",
            algorithm=self._algorithm,
            time=self._clock().timestamp(),
        )
        for name, holds in LOGOUT_TOKEN_CHECKS:
            if not holds(header, claims, expected):
                raise PeerError(f"the logout token's {name} is not as expected")
        return str(claims["sid"])

    async def narrowed(
        self, http: aiohttp.ClientSession, signed_in: SignedIn, *, scopes: tuple[str, ...], audience: str
    ) -> Narrowed | None:
        """A token for one shared service in the person's name (RFC 8693 §2.1); None if the old one counts no more.

        Raises `PeerError`.
        """
        endpoint = (await self._provider(http))["token_endpoint"]
        form = {
            "grant_type": EXCHANGE,
            "subject_token": signed_in.access_token,
            "subject_token_type": ACCESS_TOKEN_TYPE,
            "scope": " ".join(scopes),
            "audience": audience,
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": self._assertion(endpoint),
        }
        status, body, _ = await ask(http, "POST", endpoint, data=form)
        answer = json_object(body, endpoint)
        if status != OK and answer.get("error") == "invalid_request":
            return None
        if status != OK or not isinstance(answer.get("access_token"), str):
            raise PeerError(f"{endpoint}: {status} {answer.get('error', '')}")
        lifetime = answer.get("expires_in")
        return Narrowed(
            access_token=answer["access_token"],
            scopes=frozenset(str(answer.get("scope", "")).split()),
            expires=self._clock().timestamp() + (lifetime if isinstance(lifetime, int | float) else 0),
        )

    def bearer(self) -> str:
        """Who we are, as the `Authorization` of a call whose form cannot hold it (docs/signing.md)."""
        return f"Bearer {self._assertion(self.issuer)}"

    async def _redeem(
        self, http: aiohttp.ClientSession, metadata: Mapping[str, Any], pending: Pending, code: str
    ) -> dict[str, Any]:
        endpoint = metadata["token_endpoint"]
        status, body, _ = await ask(
            http,
            "POST",
            endpoint,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "code_verifier": pending.verifier,
                "client_assertion_type": CLIENT_ASSERTION_TYPE,
                "client_assertion": self._assertion(endpoint),
            },
        )
        answer = json_object(body, endpoint)
        if status != OK:
            raise PeerError(f"{endpoint}: {status} {answer.get('error', '')}")
        return answer

    def _assertion(self, audience: str) -> str:
        """Who we are, signed (OpenID Connect Core §9, `private_key_jwt`)."""
        issued = int(self._clock().timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
        header = {"alg": self._algorithm, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])

    async def _provider(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        """The provider's metadata, which must name the issuer that was asked (OpenID Discovery §4.3)."""
        if self._metadata is None:
            address = f"{self.issuer}/.well-known/openid-configuration"
            metadata = await get_json(http, address)
            if metadata.get("issuer") != self.issuer:
                raise PeerError(f"{address}: names another issuer")
            self._keys = RemoteKeys(metadata["jwks_uri"])
            self._metadata = metadata
        return self._metadata
