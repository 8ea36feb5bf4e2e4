"""The gateway as one OpenID provider for every service of its kind (OIDC Core, RFC 6749, RFC 9700).

Owns the sequence of a service's requests: authorize, token, userinfo. Reading an authentication request is
`authorize.py`'s, authenticating a client `client_auth.py`'s, the tokens themselves `tokens.py`'s. Nothing is
stored here: what must be kept is handed out as `Kept`, and handed back by whoever keeps it.
"""

import hmac
import re
import secrets as random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from federation.callers import Binding, BindingKind, Caller
from federation.consent import ConsentRecord
from federation.identifiers import Identifiers
from federation.model import Keep, Kept, LoginRequest, Release, Service
from federation.oidc import (
    authorize,
    client_auth,
    dpop,
    exchange,
    grants,
    jose,
    logout_token,
    metadata,
    systems,
    tokens,
    verified,
)
from federation.oidc.claims import check_names, nest
from federation.oidc.clients import Clients, RegisteredClient, UnknownClientError
from federation.oidc.exchange import Exchange, ExchangeRequest, ExchangeRules
from federation.oidc.metadata import TOKEN_PATH
from federation.oidc.oauth import NO_STORE, OAuthError, is_acceptable, json_document, single
from federation.oidc.parties import Parties, System
from federation.oidc.presented import bound_to
from federation.oidc.systems import SystemRequest
from federation.ports import Granted, TrustPort
from federation.refusal import InteractionNeeded, ProofInvalid, Refusal, ScopeMissing, TokenInvalid, UnknownService
from federation.sessions import Client as SessionClient
from federation.web import Answer, Document, HttpRequest, Json, Redirect, WebRequest, with_query
from trust_lists.model import Role

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
_NO_CODE = "the code is unknown, used or expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKeys:
    """The provider's two signing keys: `rs256` for ID tokens, `es256` for ID tokens and access tokens."""

    rs256: jose.SigningKey
    es256: jose.SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request at the token endpoint whose client is authenticated.

    Each of `claims` must be claimed in the store once (put if absent), else an assertion or a proof is a replay.
    `tombstone` has the kind and the key of the code: put it there if the code is there, atomically, and hand what it
    replaced to `OidcProvider.token`. `binding` is what the tokens will be bound to.
    """

    client: RegisteredClient = field(repr=False)
    claims: tuple[Kept, ...]
    tombstone: Kept
    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(repr=False)
    binding: Binding | None = None

    @property
    def code_key(self) -> str:
        """The key under which the code's grant is kept, with the kind `code`."""
        return self.tombstone.key


class OidcProvider:
    """The frontend of kind `oidc`, and the endpoints that its services call themselves.

    `issuer` is the public root without a trailing slash. `services`, `secrets` (SHA-256 in hex, for services with
    `client_secret_basic`) and `municipal` (municipalities' own systems) are by client ID. `certificates` is the root of
    the same endpoints where clients show certificates in the TLS handshake, if there is one. Raises `ValueError` for an
    unusable issuer or outward map.
    """

    brief: ClassVar[bool] = True

    def __init__(
        self,
        *,
        issuer: str,
        services: Mapping[str, Service],
        secrets: Mapping[str, str],
        trust: TrustPort,
        keys: ProviderKeys,
        languages: tuple[str, ...] = ("ja", "en"),
        municipal: Mapping[str, System] | None = None,
        certificates: str | None = None,
        identifiers: Identifiers | None = None,
        rules: ExchangeRules | None = None,
    ) -> None:
        if not is_acceptable(issuer, loopback_http=True) or issuer.endswith("/") or "?" in issuer:
            raise ValueError(f"{issuer} cannot be an issuer: expected https://… without a slash at the end")
        for service in services.values():
            check_names(rule.to for rule in service.outward.rules)
        self._issuer = issuer
        self._services = services
        self._keys = keys
        self._languages = languages
        self._clients = Clients(services, trust)
        self._certificates = certificates
        audiences = frozenset({issuer, *(root + TOKEN_PATH for root in (issuer, certificates) if root is not None)})
        self._authentication = client_auth.ClientAuthentication(
            clients=self._clients, secrets=secrets, audiences=audiences
        )
        self._systems = systems.Systems(municipal or {}, trust, audiences)
        self._identifiers = identifiers
        self._exchange = None
        if identifiers is not None:
            rules = rules or ExchangeRules()
            self._exchange = Exchange(
                rules,
                issuer=issuer,
                api=self.api_audience,
                clients=self._authentication,
                parties=Parties(dict.fromkeys(rules.actors, Role.REGIONAL_SERVICE), trust),
                audiences=audiences,
                identifiers=identifiers,
            )
        self._tokens = tokens.Tokens(
            issuer=issuer, audience=self.api_audience, rs256=keys.rs256, es256=keys.es256, identifiers=identifiers
        )

    @property
    def api_audience(self) -> str:
        """The audience of every access token: the region's API."""
        return self._issuer + "/api"

    # --- what it says of itself

    def configuration(self) -> Document:
        """The provider's metadata (OpenID Discovery §3, RFC 8414 §2, RFC 9207 §3)."""
        grant_types = (
            "authorization_code",
            *((systems.GRANT_TYPE,) if self._systems.scopes else ()),
            *((exchange.GRANT_TYPE,) if self._exchange is not None else ()),
        )
        return metadata.document(
            self._issuer,
            services=self._services.values(),
            scopes=self._systems.scopes,
            grant_types=grant_types,
            languages=self._languages,
            certificates=self._certificates,
        )

    def jwks(self) -> Document:
        """The public keys (RFC 7517 §5)."""
        return jose.jwks(self._keys.rs256, self._keys.es256)

    # --- the browser's way

    def accept(self, request: WebRequest, now: datetime) -> LoginRequest:
        """Check an authentication request, GET or POST. Raises `BadRequest`, `UnknownService`, `Denied`."""
        return authorize.read(request, self._clients, self._issuer, now)

    def grant(self, login: LoginRequest, release: Release, now: datetime) -> Granted:
        """Send a code to the service (OIDC Core §3.1.2.5); what it stands for is to be kept.

        The service must still be listed, redirect address and all: raises `UnknownService`.
        Where the service wanted one person and no other (OIDC Core §5.5.1), another gets it `login_required`.
        """
        reply = login.reply
        try:
            client = self._clients.find(reply["client_id"], now)
        except UnknownClientError as error:
            raise UnknownService(error.code) from None
        if reply["redirect_uri"] not in client.redirect_uris:
            raise UnknownService("redirect-uri-no-longer-listed")
        if reply["subject"] is not None and reply["subject"] != release.subject:
            return Granted(answer=self.deny(login, InteractionNeeded("other-subject"), now))
        code = random.token_urlsafe(32)
        scopes = [*reply["scopes"], *(s for s in release.scopes if s not in reply["scopes"])]
        grant = grants.CodeGrant(
            client_id=reply["client_id"],
            redirect_uri=reply["redirect_uri"],
            challenge=reply["challenge"],
            nonce=reply["nonce"],
            scopes=tuple(scopes),
            id_token=tuple(reply["id_token"]),
            userinfo=tuple(reply["userinfo"]),
            release=release,
            issued_at=now,
            verified_id_token=tuple(map(verified.asked_from_json, reply["verified"]["id_token"])),
            verified_userinfo=tuple(map(verified.asked_from_json, reply["verified"]["userinfo"])),
            context=next((uri for uri in reply["contexts"] if uri in release.also), None),
            jkt=reply.get("jkt"),
        )
        parameters = [("code", code)]
        if reply["state"] is not None:
            parameters.append(("state", reply["state"]))
        answer = Redirect(location=with_query(reply["redirect_uri"], [*parameters, ("iss", self._issuer)]))
        kept = Kept(kind=grants.CODE, key=grants.code_key(code), value=grant.to_json(), lifetime=grants.CODE_LIFETIME)
        told = SessionClient(client_id=reply["client_id"], subject=release.subject, token=grants.token_id(code))
        return Granted(answer=answer, keep=Keep(items=(kept,)), client=told)

    def deny(self, login: LoginRequest, refusal: Refusal, now: datetime) -> Answer:  # noqa: ARG002 - the port's shape
        """Tell the service that it will not be, and why in the protocol's terms (RFC 6749 §4.1.2.1)."""
        return authorize.error_redirect(
            login.reply["redirect_uri"],
            error=refusal.oauth_error,
            description=refusal.told,
            state=login.reply["state"],
            issuer=self._issuer,
        )

    # --- the service's own way

    def authenticate(
        self, web: WebRequest, parameters: Mapping[str, str], now: datetime
    ) -> client_auth.Authenticated[RegisteredClient]:
        """The client that calls, in its registered way, as at the token endpoint. Raises `OAuthError`."""
        return self._authentication.authenticate(web, parameters, now)

    def token_request(self, web: WebRequest, now: datetime) -> TokenRequest | SystemRequest | ExchangeRequest:
        """Authenticate the client, read its request (RFC 6749 §4.1.3 and §4.4.2, RFC 7636 §4.5). Raises `OAuthError`.

        The tokens will be bound to the key of a DPoP proof (RFC 9449 §5), or else to the certificate that was shown.
        """
        content_type = web.headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0]
        if web.method != "POST" or content_type.strip().lower() != "application/x-www-form-urlencoded":
            raise OAuthError("invalid_request", "expected a form by POST")
        if web.raw_query:
            raise OAuthError("invalid_request", "parameters belong in the body")
        try:
            parameters = single(list(web.form))
        except ValueError as error:
            raise OAuthError("invalid_request", str(error)) from error
        proof = _proof(web, now)
        binding = proof.binding if proof else bound_to(web.certificate) if web.certificate else None
        proofs = () if proof is None else (proof.claim,)
        grant_type = parameters.get("grant_type")
        if grant_type == systems.GRANT_TYPE:
            asked = self._systems.request(web, parameters, self.api_audience, now)
            return replace(asked, claims=(*asked.claims, *proofs), binding=binding)
        if grant_type == exchange.GRANT_TYPE and self._exchange is not None:
            wanted = self._exchange.request(web, parameters, now)
            return replace(wanted, claims=(*wanted.claims, *proofs), binding=binding)
        who = self._authentication.authenticate(web, parameters, now)
        if grant_type not in {None, "authorization_code"}:
            raise OAuthError("unsupported_grant_type", "the grant type is none of those supported")
        for name in ("grant_type", "code", "redirect_uri", "code_verifier"):
            if name not in parameters:
                raise OAuthError("invalid_request", f"{name} is missing")
        return TokenRequest(
            client=who.client,
            claims=(*(() if who.claim is None else (who.claim,)), *proofs),
            tombstone=grants.tombstone(parameters["code"]),
            code=parameters["code"],
            redirect_uri=parameters["redirect_uri"],
            verifier=parameters["code_verifier"],
            binding=binding,
        )

    def system_token(self, request: SystemRequest, now: datetime) -> Granted:
        """A token for a municipality's system in its own name (RFC 6749 §4.4.3)."""
        token = self._tokens.system_token(
            request.client_id,
            request.municipality,
            request.scopes,
            jti=random.token_urlsafe(32),
            now=now,
            binding=request.binding,
        )
        return Granted(answer=json_document(_told(token, request.scopes, request.binding), headers=dict(NO_STORE)))

    def exchange_subject(self, request: ExchangeRequest, now: datetime) -> tokens.AccessToken:
        """The token that is to be exchanged, verified. Raises `OAuthError` `invalid_request`."""
        if request.subject_type == exchange.JWT:
            assert self._exchange is not None
            return self._exchange.of_assertion(request, now)
        try:
            return self._tokens.verify_access_token(request.subject, now)
        except TokenInvalid as error:
            raise exchange.unusable(error.detail) from error

    def exchanged(
        self,
        request: ExchangeRequest,
        subject: tokens.AccessToken,
        caller: Caller,
        record: ConsentRecord | None,
        now: datetime,
    ) -> Granted:
        """A token for whoever acts on a person's behalf (RFC 8693 §2.2). Raises `OAuthError`.

        `caller` is what `subject` counts for now, `record` what the person agreed to at the service that acts first.
        """
        service = self._services.get(subject.consented)
        if self._exchange is None or self._identifiers is None or service is None:
            raise exchange.unusable("service")
        found = self._exchange.decide(request, subject, caller, service=service, record=record, now=now)
        assert caller.person is not None  # decided
        assert caller.key is not None
        jti, sector = random.token_urlsafe(32), f"urn:kakehashi:actor:{found.client_id}"
        named = self._identifiers.pseudonym
        sub = named(caller.person, sector, "exchange", jti, key=caller.key)  # another in each token: nobody is told who
        token, until = self._tokens.exchanged_token(
            exchange.resealed(subject, caller, self._identifiers),
            sub=subject.subject if found.client_id == subject.client_id else sub,
            consent=named(caller.person, sector, "consent", subject.consent, key=caller.key),
            scopes=found.scopes,
            actors=found.actors,
            jti=jti,
            now=now,
            binding=request.binding,
        )
        body = {
            **_told(token, found.scopes, request.binding),
            "expires_in": int((until - now).total_seconds()),
            "issued_token_type": exchange.ACCESS_TOKEN,
        }
        return Granted(answer=json_document(body, headers=dict(NO_STORE)))

    def token(self, request: TokenRequest, kept: Json | None, now: datetime) -> Granted:
        """Exchange the code for tokens (OIDC Core §3.1.3.3); `kept` is what the tombstone replaced.

        Raises `OAuthError` `invalid_grant`; for a code used before, its `keep` revokes what came of the first
        use (RFC 6749 §4.1.2), whichever client brings it.
        """
        if kept is None:
            raise OAuthError("invalid_grant", _NO_CODE, detail="code:unknown")
        if "used" in kept:
            keep = Keep(items=(grants.revocation(request.code),))
            raise OAuthError("invalid_grant", _NO_CODE, detail="code:used", keep=keep)
        grant = grants.CodeGrant.from_json(kept)
        if not _binds(grant, request) or not now < grant.issued_at + grants.CODE_LIFETIME:
            raise OAuthError("invalid_grant", "the code was not issued for this request", detail="code:binding")
        jti = grants.token_id(request.code)
        access_token = self._tokens.access_token(grant, jti=jti, now=now, binding=request.binding)
        body = {
            **_told(access_token, grant.scopes, request.binding),
            "id_token": self._tokens.id_token(
                grant, algorithm=request.client.id_token_algorithm, access_token=access_token, now=now
            ),
        }
        userinfo = Kept(
            kind=grants.USERINFO, key=jti, value=tokens.userinfo_value(grant), lifetime=grants.ACCESS_LIFETIME
        )
        return Granted(answer=json_document(body, headers=dict(NO_STORE)), keep=Keep(items=(userinfo,)))

    def verify_access_token(self, token: str, now: datetime) -> tokens.AccessToken:
        """Believe an access token of this provider. Raises `TokenInvalid` with a reason code."""
        return self._tokens.verify_access_token(token, now)

    def userinfo(self, token: tokens.AccessToken, kept: Json | None) -> Document:
        """The claims that `token` reaches (OIDC Core §5.3.2); `kept` is the `userinfo` entry under its `jti`.

        Raises `ScopeMissing` without the scope `openid`, `TokenInvalid` when the entry is gone or revoked.
        """
        if "openid" not in token.scopes:
            raise ScopeMissing("openid")
        if kept is None or kept.get("subject") != token.subject:
            raise TokenInvalid("revoked")
        claims = {**nest(kept["attributes"], kept["truths"]), "sub": token.subject}
        if "verified" in kept:
            claims[verified.MEMBER] = kept["verified"]
        return json_document(claims, headers=dict(NO_STORE))

    # --- what the service is told without being asked

    def logout_notice(self, told: SessionClient, session: str, now: datetime) -> HttpRequest | None:
        """Tell a client that `session` has ended (OIDC Back-Channel Logout §2.5); None if it lists no address for it.

        Raises `UnknownClientError` for a client that is not configured or listed any more.
        """
        client = self._clients.find(told.client_id, now)
        if client.logout_address is None:
            return None
        token = self._tokens.logout_token(told, session=session, algorithm=client.id_token_algorithm, now=now)
        return logout_token.request(client.logout_address, token)


def _proof(web: WebRequest, now: datetime) -> dpop.Proof | None:
    """The DPoP proof of a token request, if it has one (RFC 9449 §5). Raises `OAuthError`."""
    if "dpop" not in web.headers:
        return None
    try:
        return dpop.check((web.headers["dpop"],), method=web.method, url=web.url, now=now)
    except ProofInvalid as error:
        raise OAuthError("invalid_dpop_proof", error.title, detail=f"dpop:{error.detail}") from error


def _told(token: str, scopes: Iterable[str], binding: Binding | None) -> dict[str, Any]:
    """What a token answer says of an access token (RFC 6749 §5.1, RFC 9449 §5)."""
    return {
        "access_token": token,
        "token_type": "DPoP" if binding is not None and binding.kind is BindingKind.KEY else "Bearer",
        "expires_in": int(grants.ACCESS_LIFETIME.total_seconds()),
        "scope": " ".join(scopes),
    }


def _binds(grant: grants.CodeGrant, request: TokenRequest) -> bool:
    """Whether the code is this client's, for this address and proof key (RFC 6749 §4.1.3, RFC 7636 §4.6)."""
    return (
        grant.client_id == request.client.client_id
        and grant.redirect_uri == request.redirect_uri
        and _VERIFIER.fullmatch(request.verifier) is not None
        and hmac.compare_digest(jose.s256(request.verifier), grant.challenge)
        and (grant.jkt is None or request.binding == Binding(kind=BindingKind.KEY, value=grant.jkt))  # RFC 9449 §10
    )
