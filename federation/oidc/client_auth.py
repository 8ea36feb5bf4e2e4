"""Who asks at the token endpoint: by HTTP Basic (RFC 6749 §2.3.1), by a signed assertion (RFC 7523 §3), or by TLS.

A service has exactly one registered way; another way that would succeed is refused all the same. Systems and shared
services prove one of the keys that the list names: by an assertion, or in the TLS handshake (RFC 8705 §2.2).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from federation.model import Kept
from federation.oidc.clients import Clients, RegisteredClient, UnknownClientError
from federation.oidc.id_token import audiences
from federation.oidc.jose import (
    LEEWAY,
    Checks,
    PublicKeys,
    TokenRefusedError,
    VerifiedClaims,
    base64url,
    hold,
    peek_unsafe,
    verify,
)
from federation.oidc.oauth import ASSERTION_TYPE, OAuthError, read_basic
from federation.oidc.parties import ASSERTION, ListedParty, Parties
from federation.oidc.strict_json import instant
from federation.web import WebRequest

LONGEST_ASSERTION = timedelta(hours=1)
"""An assertion may be valid no longer than this, so that its `jti` need not be remembered longer."""

ASSERTION_TYPES: tuple[str | None, ...] = (None, "jwt", "client-authentication+jwt")

_MAX_JTI = 256


class Keyed(Protocol):
    """Whoever may sign an assertion."""

    @property
    def client_id(self) -> str:
        """Who it says that it is."""
        ...

    @property
    def methods(self) -> tuple[str, ...]:
        """How it may authenticate."""
        ...

    @property
    def keys(self) -> PublicKeys:
        """What its assertions are verified with."""
        ...

    @property
    def assertion_algorithms(self) -> tuple[str, ...]:
        """What it may sign them with."""
        ...


C = TypeVar("C", bound=Keyed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated(Generic[C]):
    """The client, and what is to be claimed so that its assertion counts once (None for Basic and TLS)."""

    client: C
    claim: Kept | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    client_id: str
    audiences: frozenset[str]
    now: datetime


def _aud(claims: VerifiedClaims, expected: _Expected) -> bool:
    named = audiences(claims)
    return bool(named) and expected.audiences.issuperset(named)


def _exp(claims: VerifiedClaims, expected: _Expected) -> bool:
    exp = instant(claims.get("exp"))
    return exp is not None and exp - LONGEST_ASSERTION - LEEWAY <= expected.now < exp + LEEWAY


def _past(name: str, claims: VerifiedClaims, expected: _Expected) -> bool:
    at = instant(claims.get(name))
    return name not in claims or (at is not None and at <= expected.now + LEEWAY)


def _jti(claims: VerifiedClaims, _: _Expected) -> bool:
    jti = claims.get("jti")
    return isinstance(jti, str) and 0 < len(jti) <= _MAX_JTI


ASSERTION_CHECKS: Checks[_Expected] = (
    ("iss", lambda claims, expected: claims.get("iss") == expected.client_id),  # RFC 7523 §3 (1)
    ("sub", lambda claims, expected: claims.get("sub") == expected.client_id),  # (2)
    ("aud", _aud),  # (3): us and nobody else, so that no other server can pass it on
    ("exp", _exp),  # (4)
    ("nbf", lambda claims, expected: _past("nbf", claims, expected)),  # (5)
    ("iat", lambda claims, expected: _past("iat", claims, expected)),  # (6)
    ("jti", _jti),  # (7): required by OIDC Core §9
)


class _ByAssertion(Generic[C]):
    """What every way of authenticating shares: whose assertion it is, and that it holds."""

    def __init__(self, *, find: Callable[[str, datetime], C], audiences: frozenset[str]) -> None:
        self._find = find
        self._audiences = audiences

    def _by_assertion(self, assertion: str, parameters: Mapping[str, str], now: datetime) -> Authenticated[C]:
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_request", "client_assertion_type is not jwt-bearer")
        try:
            named = peek_unsafe(assertion).get("sub")
            client = self._client(named if isinstance(named, str) else "", now)
            if ASSERTION not in client.methods:
                raise _refused("assertion:method")
            claims = verify(assertion, client.keys, client.assertion_algorithms, ASSERTION_TYPES)
            hold(
                ASSERTION_CHECKS,
                claims,
                _Expected(client_id=client.client_id, audiences=self._audiences, now=now),
            )
        except TokenRefusedError as error:
            raise _refused(f"assertion:{error.code}") from error
        if parameters.get("client_id", client.client_id) != client.client_id:
            raise OAuthError("invalid_request", "client_id is not the authenticated client's")
        return Authenticated(client=client, claim=_claim(client.client_id, claims, now))

    def _client(self, client_id: str, now: datetime) -> C:
        try:
            return self._find(client_id, now)
        except UnknownClientError as error:
            raise _refused(f"client:{error.code}") from error


class PartyAuthentication(_ByAssertion[ListedParty]):
    """Authenticates municipalities' systems, or shared services, by a listed key."""

    def __init__(self, *, parties: Parties, audiences: frozenset[str]) -> None:
        super().__init__(find=parties.find, audiences=audiences)

    def authenticate(self, web: WebRequest, parameters: Mapping[str, str], now: datetime) -> Authenticated[ListedParty]:
        """The party that sent `web`. Raises `OAuthError` `invalid_client`, `invalid_request`."""
        assertion = parameters.get("client_assertion")
        if "authorization" in web.headers or "client_secret" in parameters:
            raise _refused("party:secret")
        if assertion is not None:
            return self._by_assertion(assertion, parameters, now)
        if web.certificate is None or "client_id" not in parameters:  # RFC 8705 §2: named, and shown
            raise _refused("party:nothing")
        party = self._client(parameters["client_id"], now)
        if not party.shows(web.certificate):
            raise _refused("party:certificate")
        return Authenticated(client=party, claim=None)


class ClientAuthentication(_ByAssertion[RegisteredClient]):
    """Authenticates the clients of one provider.

    `secrets` maps the client ID to the SHA-256 (hex) of its secret; `audiences` are the names that an
    assertion may call this provider by.
    """

    def __init__(self, *, clients: Clients, secrets: Mapping[str, str], audiences: frozenset[str]) -> None:
        super().__init__(find=clients.find, audiences=audiences)
        self._secrets = secrets

    def authenticate(
        self, web: WebRequest, parameters: Mapping[str, str], now: datetime
    ) -> Authenticated[RegisteredClient]:
        """The client that sent `web`.

        Raises `OAuthError`: `invalid_client`, or `invalid_request` for two ways at once.
        """
        header = web.headers.get("authorization")
        assertion = parameters.get("client_assertion")
        if "client_assertion_type" in parameters and assertion is None:
            raise OAuthError("invalid_request", "client_assertion is missing")
        ways = [way for way in (header, assertion, parameters.get("client_secret")) if way is not None]
        if len(ways) > 1:
            raise OAuthError("invalid_request", "the client authenticates in two ways at once")
        if assertion is not None:
            return self._by_assertion(assertion, parameters, now)
        if header is not None:
            return self._by_secret(header, parameters, now)
        raise OAuthError("invalid_client", "the client must authenticate by its registered method")

    def _by_secret(self, header: str, parameters: Mapping[str, str], now: datetime) -> Authenticated[RegisteredClient]:
        try:
            candidates = read_basic(header)
        except ValueError:
            raise _refused("basic:malformed") from None
        matching = [client_id for client_id, secret in candidates if self._is_secret(client_id, secret)]
        matches, client_id = bool(matching), (matching or [candidates[0][0]])[0]
        client = self._client(client_id, now)
        if not matches or client.authentication != "client_secret_basic":
            raise _refused("basic:secret")
        if parameters.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "client_id is not the authenticated client's")
        return Authenticated(client=client, claim=None)

    def _is_secret(self, client_id: str, secret: str) -> bool:
        expected = self._secrets.get(client_id, "")
        given = hashlib.sha256(secret.encode()).hexdigest()
        return hmac.compare_digest(given.encode(), expected.lower().encode())


def _claim(client_id: str, claims: VerifiedClaims, now: datetime) -> Kept:
    """The assertion's `jti`, to be remembered as long as the assertion could be believed again."""
    until = (instant(claims["exp"]) or now) + LEEWAY
    digest = hashlib.sha256(f"{client_id}\0{claims['jti']}".encode()).digest()
    return Kept(kind="client-assertion", key=base64url(digest), value={}, lifetime=until - now)


def _refused(reason: str) -> OAuthError:
    """One answer for every reason, so that nobody learns which client exists."""
    return OAuthError("invalid_client", "the client could not be authenticated", detail=reason)
