"""Token exchange (RFC 8693): a service that calls another one on a person's behalf, with the chain of those who act.

What is exchanged is the person's access token, or the identity assertion with which the gateway called a shared one.
What comes out is an access token for whoever asks: for the same scopes or fewer, no longer than what it came of, and
with everybody who acts in it (`act`), the present one first.

Nobody acts for a person unasked. A scope may say that one service may use other scopes on the person's behalf
(`Acting`): the person reads its label on the consent page like any other, and agrees or not. To act, a service needs
that scope in the token that it exchanges, and the consent that the token rests on must still cover all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from federation.callers import Binding, Caller
from federation.consent import ConsentRecord, needed
from federation.identifiers import Identifiers, SealRefusedError
from federation.login import TokenHolder, seal_caller
from federation.model import Assurance, Kept, Level, Service
from federation.oidc import jose
from federation.oidc.client_auth import Authenticated, ClientAuthentication, Keyed, PartyAuthentication
from federation.oidc.jose import TokenRefusedError
from federation.oidc.oauth import OAuthError
from federation.oidc.parties import Parties
from federation.oidc.strict_json import instant, seconds
from federation.oidc.tokens import MOST_ACTORS, AccessToken
from federation.told import seal_claims
from federation.web import Json, WebRequest

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
JWT = "urn:ietf:params:oauth:token-type:jwt"
ASSERTION_TYPE = "kakehashi-assertion+jwt"
"""`typ` of the identity assertion: no other token of this gateway can be taken for one (RFC 8725 §3.11)."""

SEALED = "kakehashi_exchange"
"""The assertion's claim that only the gateway opens: what the call's token was worth."""

_NAMED = ("subject_token", "subject_token_type")
_UNUSED = ("actor_token", "actor_token_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who (a client ID) may use which scopes on behalf of a person who agreed."""

    by: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A shared service that may exchange: its client ID, and the audience of the assertions that it gets."""

    client_id: str
    audience: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """A request whose sender (`client_id`) is authenticated. Each of `claims` must be claimed once.

    `scopes` and `target` are what was asked for, if anything; `binding` is what the sender showed.
    """

    client_id: str
    subject: str = field(repr=False)
    subject_type: str
    scopes: tuple[str, ...] | None
    target: str | None
    claims: tuple[Kept, ...] = field(default=(), repr=False)
    binding: Binding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What the new access token says beside what the old one said. `actors`: the present one first."""

    client_id: str
    scopes: tuple[str, ...]
    actors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRules:
    """What an exchange is decided by, of the configuration.

    `acting` is by the scope whose label the person reads, `actors` the shared services by client ID, `targets` which
    scopes are of use at which shared service, by its audience.
    """

    acting: Mapping[str, Acting] = field(default_factory=dict)
    actors: Mapping[str, Actor] = field(default_factory=dict)
    targets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    assertion_keys: jose.PublicKeys = field(default=jose.PublicKeys(()), repr=False)


class Exchange:
    """Reads exchanges and decides on them; `api` is the name of every route together, as a target."""

    def __init__(
        self,
        rules: ExchangeRules,
        *,
        issuer: str,
        api: str,
        clients: ClientAuthentication,
        parties: Parties,
        audiences: frozenset[str],
        identifiers: Identifiers,
    ) -> None:
        self._rules = rules
        self._issuer = issuer
        self._api = api
        self._clients = clients
        self._parties = parties
        self._services = PartyAuthentication(parties=parties, audiences=audiences)
        self._identifiers = identifiers

    def request(self, web: WebRequest, parameters: Mapping[str, str], now: datetime) -> ExchangeRequest:
        """Authenticate whoever asks, and read what they ask (RFC 8693 §2.1). Raises `OAuthError`."""
        who = self._who(web, parameters, now)
        for name in _NAMED:
            if name not in parameters:
                raise OAuthError("invalid_request", f"{name} is missing")
        if any(name in parameters for name in _UNUSED):
            raise OAuthError("invalid_request", "whoever acts is the authenticated client; there is no actor_token")
        if parameters["subject_token_type"] not in (ACCESS_TOKEN, JWT):
            raise OAuthError("invalid_request", "subject_token_type is none of those supported")
        if parameters.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise OAuthError("invalid_request", "requested_token_type can be access_token only")
        if "audience" in parameters and "resource" in parameters:
            raise OAuthError("invalid_target", "one of audience and resource is expected")
        return ExchangeRequest(
            client_id=who.client.client_id,
            subject=parameters["subject_token"],
            subject_type=parameters["subject_token_type"],
            scopes=tuple(dict.fromkeys(parameters["scope"].split())) if "scope" in parameters else None,
            target=parameters.get("audience", parameters.get("resource")),
            claims=() if who.claim is None else (who.claim,),
        )

    def _who(self, web: WebRequest, parameters: Mapping[str, str], now: datetime) -> "Authenticated[Any]":
        named = parameters.get("client_id")
        if named is None and "client_assertion" in parameters:
            try:
                named = jose.peek_unsafe(parameters["client_assertion"]).get("sub")
            except TokenRefusedError:
                named = None
        one: Authenticated[Keyed]
        if isinstance(named, str) and named in self._parties:
            one = self._services.authenticate(web, parameters, now)  # type: ignore[assignment]
        else:
            one = self._clients.authenticate(web, parameters, now)  # type: ignore[assignment]
        return one

    def of_assertion(self, request: ExchangeRequest, now: datetime) -> AccessToken:
        """The token with which the call came whose identity assertion is exchanged. Raises `OAuthError`.

        The assertion must be for whoever asks, and in its time.
        """
        actor = self._rules.actors.get(request.client_id)
        try:
            claims = jose.verify(request.subject, self._rules.assertion_keys, ("ES256",), (ASSERTION_TYPE,))
            jose.hold(
                (
                    ("aud", lambda claims, _: actor is not None and claims.get("aud") == actor.audience),
                    ("iss", lambda claims, _: claims.get("iss") == self._issuer),
                    ("exp", lambda claims, _: now < (instant(claims.get("exp")) or now)),
                    ("sealed", lambda claims, _: isinstance(claims.get(SEALED), str)),
                ),
                claims,
                None,
            )
            token = open_call(claims[SEALED], request.client_id, self._identifiers)
        except (TokenRefusedError, SealRefusedError) as error:
            code = error.code if isinstance(error, TokenRefusedError) else "sealed"
            raise unusable(f"assertion:{code}") from error
        if now >= token.expires_at:  # the assertion lives a minute, whatever is left of the token
            raise unusable("exp")
        return token

    def decide(
        self,
        request: ExchangeRequest,
        subject: AccessToken,
        caller: Caller,
        *,
        service: Service,
        record: ConsentRecord | None,
        now: datetime,
    ) -> Exchanged:
        """What whoever asks may get for `subject`, which is verified and counts as `caller` now. Raises `OAuthError`.

        `service` is the one that the person let act first, `record` what they agreed to there.
        """
        if caller.person is None:
            raise unusable("system")
        if subject.binding is not None and subject.binding != request.binding:
            raise unusable("binding")
        earlier = subject.actors or (subject.client_id,)
        actors = earlier if earlier[0] == request.client_id else (request.client_id, *earlier)
        if len(actors) > MOST_ACTORS:
            raise unusable("chain")
        usable = caller.scopes & service.scopes
        scopes = self._scopes(request, subject, usable)
        if not usable.issuperset(scopes) or not scopes:
            raise OAuthError("invalid_scope", "the token that is exchanged has not all of these scopes")
        through = self._through(request.client_id, scopes, usable)
        if request.client_id == subject.client_id:
            through = frozenset()
        elif through is None:
            raise OAuthError("consent_required", "the person did not agree that this service acts so on their behalf")
        if needed(record, service, (), frozenset(scopes) | (through or frozenset()), now) is not None:
            raise OAuthError("consent_required", "the person's consent does not cover it any more")
        return Exchanged(client_id=request.client_id, scopes=scopes, actors=actors)

    def _scopes(self, request: ExchangeRequest, subject: AccessToken, usable: frozenset[str]) -> tuple[str, ...]:
        """What is asked for: as said, or all that whoever asks may have. Raises `OAuthError` `invalid_target`."""
        useful = None
        if request.target not in (None, self._api):
            useful = self._rules.targets.get(request.target or "")
            if useful is None:
                raise OAuthError("invalid_target", "no such service")
        if request.scopes is not None:
            if useful is not None and not useful.issuperset(request.scopes):
                raise OAuthError("invalid_target", "these scopes are of no use there")
            return request.scopes
        mine = usable
        if request.client_id != subject.client_id:
            acting = (self._rules.acting[name] for name in usable if name in self._rules.acting)
            mine = usable & frozenset(scope for each in acting if each.by == request.client_id for scope in each.scopes)
        return tuple(sorted(mine if useful is None else mine & useful))

    def _through(self, client_id: str, scopes: tuple[str, ...], usable: frozenset[str]) -> frozenset[str] | None:
        """The scopes by which the person let this service use the others; None if they did not for one of them.

        A scope that lets a third service act may be passed on by a service that may act itself.
        """
        mine = {
            name: acting for name, acting in self._rules.acting.items() if acting.by == client_id and name in usable
        }
        through: set[str] = set()
        for scope in scopes:
            by = [name for name, acting in mine.items() if scope in acting.scopes or scope in self._rules.acting]
            if not by:
                return None
            through.update(by)
        return frozenset(through)


def unusable(detail: str) -> OAuthError:
    """One answer for every subject token that does not do (RFC 8693 §2.2.2)."""
    return OAuthError("invalid_request", "the subject_token cannot be exchanged", detail=f"subject:{detail}")


# --- what an assertion holds for the exchange


def seal_call(caller: Caller, actor: str, identifiers: Identifiers) -> str:
    """What a call's token was worth, unreadable to the service that gets it; `actor` alone may exchange it.

    `caller` is a person, whose ID system is known.
    """
    assert caller.person is not None
    assert caller.key is not None
    told = {
        "municipality": caller.municipality,
        "system": caller.id_system,
        "key": caller.key,
        "person": caller.person,
        "client": caller.client,
        "scopes": sorted(caller.scopes),
        "levels": [
            int(caller.assurance.identity),
            int(caller.assurance.authentication),
            int(caller.assurance.federation),
        ],
        "consent": caller.consent,
        "token": caller.token_id,
        "exp": seconds(caller.expires_at),
        "actors": list(caller.actors),
        "ancestors": list(caller.ancestors),
        "told": dict(caller.told),
    }
    return identifiers.seal(json.dumps(told, separators=(",", ":")), audience=f"exchange {actor}")


def open_call(sealed: str, actor: str, identifiers: Identifiers) -> AccessToken:
    """The token that `seal_call` was given the caller of. Raises `SealRefusedError`."""
    told: Json = json.loads(identifiers.open(sealed, audience=f"exchange {actor}"))
    holder = TokenHolder(
        person=told["person"], municipality=told["municipality"], system=told["system"], key=told["key"]
    )
    identity, authentication, federation = map(Level, told["levels"])
    expires_at = instant(told["exp"])
    assert expires_at is not None  # sealed by ourselves
    return AccessToken(
        subject="",
        client_id=told["client"],
        scopes=frozenset(told["scopes"]),
        assurance=Assurance(identity=identity, authentication=authentication, federation=federation),
        consent=told["consent"],
        person=seal_caller(holder, identifiers),
        jti=told["token"],
        expires_at=expires_at,
        actors=tuple(told["actors"]),
        ancestors=tuple(told["ancestors"]),
        told=seal_claims(told.get("told", {}), identifiers),
    )


def resealed(subject: AccessToken, caller: Caller, identifiers: Identifiers) -> AccessToken:
    """The same token with its person sealed anew, so that two who hold tokens of one chain cannot compare."""
    assert caller.person is not None
    assert caller.key is not None
    holder = TokenHolder(
        person=caller.person, municipality=caller.municipality, system=caller.id_system or "", key=caller.key
    )
    return replace(subject, person=seal_caller(holder, identifiers), told=seal_claims(caller.told, identifiers))
