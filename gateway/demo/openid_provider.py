"""A small OpenID provider for the demo's ID systems, independent of the gateway's own.

It offers the code flow with PKCE and nothing else, and keeps to OpenID Connect Core 1.0, RFC 6749, RFC 7636
(S256 required) and RFC 9207. Sessions are not kept: whoever comes signs in, so `prompt=login` and `max_age`
hold by themselves.
"""

import re
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote_plus, urlencode

from aiohttp import web
from joserfc import jwt

from gateway.clock import Clock, now
from gateway.demo.keys import Algorithm, Key, digest, half_digest, public_keys
from gateway.demo.peer import HTTP, PeerError, RemoteKeys, http_client
from gateway.demo.residents import Texts
from gateway.demo.shelf import Shelf
from gateway.demo.sign_in import Register, SignIn
from gateway.demo.site import Face, PageError, Site, form, json_answer, see_other

CODE_SECONDS = 60
TOKEN_SECONDS = 300
ASSERTION_SECONDS = 600
"""The longest life of a client assertion that is accepted."""
LEEWAY = 30
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ALGORITHMS = ("ES256", "RS256", "PS256")

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The one client. `jwks_uri` is for `private_key_jwt`, `secret` for `client_secret_basic`."""

    id: str
    name: Texts
    authentication: Literal["private_key_jwt", "client_secret_basic"]
    redirect_uris: tuple[str, ...]
    jwks_uri: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authorization:
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str
    challenge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """Who signed in for which request; `tokens` are the access tokens that its code gave."""

    authorization: _Authorization
    resident: str
    at: datetime


class TokenError(Exception):
    """An error of the token endpoint (RFC 6749 §5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


Check = tuple[str, str, Callable[[Mapping[str, str]], bool]]

AUTHORIZE_CHECKS: tuple[Check, ...] = (
    # error code, description, holds
    ("request_not_supported", "request objects are not offered", lambda q: "request" not in q),
    ("request_uri_not_supported", "request objects are not offered", lambda q: "request_uri" not in q),
    (
        "unsupported_response_type",
        "only the code flow is offered",
        lambda q: q.get("response_type") == "code",
    ),
    ("invalid_request", "response_mode must be query", lambda q: q.get("response_mode", "query") == "query"),
    ("invalid_scope", "scope must include openid", lambda q: "openid" in q.get("scope", "").split()),
    ("invalid_request", "PKCE with S256 is required", lambda q: q.get("code_challenge_method") == "S256"),
    (
        "invalid_request",
        "code_challenge must be 43 characters",
        lambda q: _full(_CHALLENGE, q, "code_challenge"),
    ),
    ("invalid_request", "state must be 1 to 255 ASCII characters", lambda q: _full(_PRINTABLE, q, "state")),
    ("invalid_request", "nonce must be 1 to 255 ASCII characters", lambda q: _full(_PRINTABLE, q, "nonce")),
    ("login_required", "everyone signs in anew here", lambda q: "none" not in q.get("prompt", "").split()),
)
"""What an authorization request must fulfil, once client and redirect URI are known."""


def _full(pattern: re.Pattern[str], query: Mapping[str, str], name: str) -> bool:
    return pattern.fullmatch(query.get(name, "")) is not None


class OpenIdProvider:
    """One provider: its residents, its key, its client, and which claims each scope opens."""

    def __init__(
        self,
        face: Face,
        *,
        register: Register,
        scopes: Mapping[str, frozenset[str]],
        key: Key,
        algorithm: Algorithm,
        client: Client,
        clock: Clock = now,
    ) -> None:
        self.site = Site(face)
        self.issuer = face.url
        self._scopes = scopes
        self._key = key
        self._algorithm = algorithm
        self._client = client
        self._client_keys = RemoteKeys(client.jwks_uri)
        self._clock = clock
        self._sign_in: SignIn[_Authorization] = SignIn(self.site, register, clock)
        self._codes: Shelf[_Grant] = Shelf(timedelta(seconds=CODE_SECONDS), clock)
        self._used: Shelf[str] = Shelf(timedelta(seconds=TOKEN_SECONDS), clock)
        self._tokens: Shelf[_Grant] = Shelf(timedelta(seconds=TOKEN_SECONDS), clock)
        self._assertions: Shelf[bool] = Shelf(timedelta(seconds=ASSERTION_SECONDS + LEEWAY), clock)

    def application(self) -> web.Application:
        """The provider's endpoints as an application."""
        app = self.site.application(
            [
                web.get("/", self._home),
                web.get("/.well-known/openid-configuration", self._discovery),
                web.get("/jwks", self._jwks),
                web.get("/authorize", self._authorize),
                web.post("/authorize", self._authorize),
                web.post("/sign-in", self._signed_in),
                web.post("/token", self._token),
                web.get("/userinfo", self._userinfo),
                web.post("/userinfo", self._userinfo),
            ]
        )
        app.cleanup_ctx.append(http_client)
        return app

    def metadata(self) -> dict[str, Any]:
        """Provider metadata (OpenID Connect Discovery §3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "scopes_supported": ["openid", *self._scopes],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self._algorithm],
            "token_endpoint_auth_methods_supported": [self._client.authentication],
            "token_endpoint_auth_signing_alg_values_supported": list(CLIENT_ALGORITHMS),
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "claims_parameter_supported": False,
        }

    async def _home(self, request: web.Request) -> web.Response:
        return self.site.page(request, "id_system.html")

    async def _discovery(self, _request: web.Request) -> web.Response:
        return json_answer(self.metadata())

    async def _jwks(self, _request: web.Request) -> web.Response:
        return json_answer(public_keys(self._key))

    # --- authorization endpoint (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2)

    async def _authorize(self, request: web.Request) -> web.Response:
        parameters = await form(request) if request.method == "POST" else _single(request.query)
        redirect_uri = parameters.get("redirect_uri", "")
        if parameters.get("client_id") != self._client.id or redirect_uri not in self._client.redirect_uris:
            # RFC 6749 §4.1.2.1: never send anyone to an address that is not registered.
            raise PageError(
                {"ja": "登録されていない相手です", "en": "This is not a registered party"},
                {"ja": "もとのサービスに連絡してください。", "en": "Please tell the service you came from."},
                code="invalid_client",
            )
        state = parameters.get("state", "")
        for error, description, holds in AUTHORIZE_CHECKS:
            if not holds(parameters):
                return self._answer(redirect_uri, state, error=error, error_description=description)
        known = {"openid", *self._scopes}
        return self._sign_in.page(
            request,
            _Authorization(
                redirect_uri=redirect_uri,
                scopes=tuple(scope for scope in parameters["scope"].split() if scope in known),
                state=state,
                nonce=parameters["nonce"],
                challenge=parameters["code_challenge"],
            ),
            asker=self._client.name,
        )

    async def _signed_in(self, request: web.Request) -> web.Response:
        asked, resident = await self._sign_in.answer(request)
        if resident is None:
            return self._answer(
                asked.redirect_uri,
                asked.state,
                error="access_denied",
                error_description="the resident cancelled",
            )
        code = self._codes.put(_Grant(authorization=asked, resident=resident.key, at=self._clock()))
        return self._answer(asked.redirect_uri, asked.state, code=code)

    def _answer(self, redirect_uri: str, state: str, **parameters: str) -> web.Response:
        returned = {"state": state} if state else {}
        return see_other(f"{redirect_uri}?{urlencode({**parameters, **returned, 'iss': self.issuer})}")

    # --- token endpoint (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3)

    async def _token(self, request: web.Request) -> web.Response:
        try:
            fields = await form(request)
            await self._authenticate(request, fields)
            return self._redeem(fields)
        except TokenError as error:
            challenge = {"WWW-Authenticate": 'Basic realm="token"'} if "Authorization" in request.headers else {}
            return json_answer(
                {"error": error.error, "error_description": error.description},
                error.status,
                challenge if error.status == web.HTTPUnauthorized.status_code else {},
            )

    async def _authenticate(self, request: web.Request, fields: Mapping[str, str]) -> None:
        if self._client.authentication == "client_secret_basic":
            good = _basic(request.headers.get("Authorization", ""), self._client)
        else:
            good = await self._assertion(request, fields)
        if not good:
            raise TokenError("invalid_client", f"expected {self._client.authentication}", status=401)

    async def _assertion(self, request: web.Request, fields: Mapping[str, str]) -> bool:
        """Check a client assertion: RFC 7523 §3, OpenID Connect Core §9."""
        if fields.get("client_assertion_type") != CLIENT_ASSERTION_TYPE:
            return False
        try:
            _, claims = await self._client_keys.claims(
                request.app[HTTP], fields.get("client_assertion", ""), algorithms=CLIENT_ALGORITHMS
            )
        except PeerError:
            return False
        time = self._clock().timestamp()
        audience, expires, jti = claims.get("aud"), claims.get("exp"), claims.get("jti")
        audiences = audience if isinstance(audience, list) else [audience]
        good = (
            claims.get("iss") == claims.get("sub") == self._client.id
            and not {self.issuer, f"{self.issuer}/token"}.isdisjoint(filter(lambda a: isinstance(a, str), audiences))
            and isinstance(expires, int | float)
            and time - LEEWAY < expires <= time + ASSERTION_SECONDS
            and isinstance(jti, str)
            and self._assertions.read(f"jti:{jti}") is None
        )
        if good:
            self._assertions.put(True, f"jti:{jti}")
        return good

    def _redeem(self, fields: Mapping[str, str]) -> web.Response:
        if fields.get("grant_type") != "authorization_code":
            raise TokenError("unsupported_grant_type", "only authorization_code is offered")
        code = fields.get("code", "")
        grant = self._codes.take(code)
        if grant is None:
            # RFC 6749 §4.1.2: what a code gave is withdrawn when the code comes a second time.
            self._tokens.take(self._used.take(code))
            raise TokenError("invalid_grant", "the code is unknown, used or expired")
        if fields.get("redirect_uri") != grant.authorization.redirect_uri:
            raise TokenError("invalid_grant", "redirect_uri differs")
        if not secrets.compare_digest(digest(fields.get("code_verifier", "")), grant.authorization.challenge):
            raise TokenError("invalid_grant", "code_verifier does not match")
        access_token = self._tokens.put(grant)
        self._used.put(access_token, code)
        return json_answer(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "scope": " ".join(grant.authorization.scopes),
                "id_token": self._id_token(grant, access_token),
            }
        )

    def _id_token(self, grant: _Grant, access_token: str) -> str:
        resident = self._sign_in.resident(grant.resident)
        issued = int(self._clock().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": resident.subject,
            "aud": self._client.id,
            "iat": issued,
            "exp": issued + TOKEN_SECONDS,
            "auth_time": int(grant.at.timestamp()),
            "nonce": grant.authorization.nonce,
            "acr": resident.means.statement,
            "amr": list(resident.means.methods),
            "at_hash": half_digest(access_token),
        }
        header = {"alg": self._algorithm, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])

    # --- userinfo endpoint (OpenID Connect Core §5.3)

    async def _userinfo(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._tokens.read(token) if scheme.lower() == "bearer" else None
        if grant is None:
            challenge = 'Bearer error="invalid_token"' if token else "Bearer"
            return json_answer({"error": "invalid_token"}, 401, {"WWW-Authenticate": challenge})
        resident = self._sign_in.resident(grant.resident)
        opened = frozenset[str]().union(*(self._scopes.get(scope, ()) for scope in grant.authorization.scopes))
        claims = {name: value for name, value in resident.record.items() if name in opened}
        return json_answer({"sub": resident.subject, **claims})


def _single(query: Any) -> dict[str, str]:
    """Query parameters of which none may come twice (RFC 6749 §3.1)."""
    if len(set(query)) != len(query):
        raise web.HTTPBadRequest
    return dict(query)


def _basic(header: str, client: Client) -> bool:
    """`client_secret_basic`, form-decoded as RFC 6749 §2.3.1 demands."""
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return False
    return (
        scheme.lower() == "basic"
        and bool(colon)
        and unquote_plus(name) == client.id
        and secrets.compare_digest(unquote_plus(password).encode(), client.secret.encode())
    )
