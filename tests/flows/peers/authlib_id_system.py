"""An ID system that is an OpenID provider made of Authlib's authorization server, with one resident.

Authlib decides: who the client is, whether the request and the proof key hold, what the ID token says. Here
are its hooks, and the few lines that carry requests to it.
"""

import json
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import requests
from authlib.common.security import generate_token
from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from authlib.oidc.core import OpenIDCode, UserInfo
from joserfc.jwk import KeySet, RSAKey

from tests.flows.peers.site import Reply, Site, Visit

CARD = "https://id.isesaki.example/acr/card"

RESIDENT = {
    "sub": "isesaki-0042",
    "name": "齋藤　恵",
    "family_name": "齋藤",
    "given_name": "恵",
    "birthdate": "1979-12-24",
}


@dataclass(frozen=True)
class Registered(ClientMixin):
    """The gateway, as this provider has registered it: with keys, or with a secret."""

    client_id: str
    redirect_uri: str
    jwks_uri: str
    secret: str | None

    def get_client_id(self):
        """As Authlib asks."""
        return self.client_id

    def get_default_redirect_uri(self):
        """As Authlib asks."""
        return self.redirect_uri

    def get_allowed_scope(self, scope):
        """As Authlib asks."""
        return " ".join(word for word in scope.split() if word in ("openid", "profile"))

    def check_redirect_uri(self, redirect_uri):
        """As Authlib asks."""
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret):
        """As Authlib asks."""
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):  # noqa: ARG002 - Authlib's signature
        """As Authlib asks: one way of authentication, the registered one."""
        return method == ("client_assertion_jwt" if self.secret is None else "client_secret_basic")

    def check_response_type(self, response_type):
        """As Authlib asks."""
        return response_type == "code"

    def check_grant_type(self, grant_type):
        """As Authlib asks."""
        return grant_type == "authorization_code"


@dataclass(frozen=True)
class Code:
    """A code that was given, and for what."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self):
        """As Authlib asks."""
        return self.redirect_uri

    def get_scope(self):
        """As Authlib asks."""
        return self.scope

    def get_nonce(self):
        """As Authlib asks."""
        return self.nonce

    def get_auth_time(self):
        """As Authlib asks."""
        return int(time.time())

    def get_acr(self):
        """The resident always holds a card to the telephone."""
        return CARD

    def get_amr(self):
        """As Authlib asks."""
        return ["hwk", "pin"]


class _Request(OAuth2Request):
    def __init__(self, visit: Visit) -> None:
        super().__init__(visit.method, visit.url, headers=visit.headers)
        self._form = dict(visit.form)
        self.payload = BasicOAuth2Payload(visit.query | self._form)

    @property
    def args(self):
        return self.payload.data

    @property
    def form(self):
        return self._form


class _Answer(Reply):
    """A reply whose Location an extension may change (RFC 9207)."""

    @property
    def location(self):
        return dict(self.headers).get("Location")

    @location.setter
    def location(self, value):
        self.headers = [(k, v) for k, v in self.headers if k != "Location"] + [("Location", value)]


class AuthlibIdSystem(Site):
    """The provider; `register` tells it of the gateway, as the guide says."""

    def __init__(self) -> None:
        super().__init__("isesaki")
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.clients: dict[str, Registered] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, SimpleNamespace] = {}
        self.assertions: set[str] = set()
        self.asked: list[dict[str, str]] = []
        self._authorization = _authorization_server(self)
        self._protector = ResourceProtector()
        self._protector.register_token_validator(_validator(self))
        self.pages = {
            ("GET", "/.well-known/openid-configuration"): self.configuration,
            ("GET", "/jwks.json"): lambda _: _json({"keys": [self.key.as_dict(private=False)]}),
            ("GET", "/authorize"): self.ask,
            ("POST", "/authorize"): self.decide,
            ("POST", "/token"): self._authorization.create_token_response,
            ("GET", "/userinfo"): self.userinfo,
        }

    def register(self, client_id: str, *, redirect_uri: str, jwks_uri: str, secret: str | None = None) -> None:
        """Register the gateway as a client."""
        self.clients[client_id] = Registered(client_id, redirect_uri, jwks_uri, secret)

    def configuration(self, _visit: Visit) -> Reply:
        """GET /.well-known/openid-configuration."""
        return _json(
            {
                "issuer": self.url,
                "authorization_endpoint": self.url + "/authorize",
                "token_endpoint": self.url + "/token",
                "userinfo_endpoint": self.url + "/userinfo",
                "jwks_uri": self.url + "/jwks.json",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def ask(self, visit: Visit) -> Reply:
        """GET /authorize: the resident is asked."""
        try:
            self._authorization.get_consent_grant(visit, end_user=None)
        except OAuth2Error as fault:
            return self._authorization.handle_error_response(_Request(visit), fault)
        self.asked.append(visit.query)
        button = f"<button name=resident value={RESIDENT['sub']}>{RESIDENT['name']}</button>"
        form = f"<form method=post>{button}</form>"
        return Reply(body=f"<!DOCTYPE html><meta charset=utf-8><title>Isesaki</title>{form}")

    def decide(self, visit: Visit) -> Reply:
        """POST /authorize: the resident signed in."""
        user = RESIDENT if visit.form.get("resident") == RESIDENT["sub"] else None
        grant = self._authorization.get_consent_grant(visit, end_user=user)
        return self._authorization.create_authorization_response(_Request(visit), grant_user=user, grant=grant)

    def userinfo(self, visit: Visit) -> Reply:
        """GET /userinfo: for a token of ours with the scope openid."""
        try:
            token = self._protector.validate_request(["openid"], _Request(visit))
        except OAuth2Error as fault:
            return self._authorization.handle_error_response(_Request(visit), fault)
        return _json(user_info(token.scope))


def user_info(scope: str) -> UserInfo:
    """The resident's claims for this scope, filtered by Authlib."""
    return UserInfo(RESIDENT).filter(scope)


def _json(value: Any) -> Reply:
    return Reply(body=json.dumps(value), content_type="application/json")


def _authorization_server(system: AuthlibIdSystem) -> AuthorizationServer:
    class Server(AuthorizationServer):
        def query_client(self, client_id):
            return system.clients.get(client_id)

        def save_token(self, token, request):
            expires = time.time() + token["expires_in"]
            system.tokens[token["access_token"]] = SimpleNamespace(
                scope=token["scope"],
                get_scope=lambda: token["scope"],
                get_client=lambda: request.client,
                is_expired=lambda: time.time() > expires,
                is_revoked=lambda: False,
            )

        def create_oauth2_request(self, request):
            return request if isinstance(request, OAuth2Request) else _Request(request)

        def handle_response(self, status, body, headers):
            text = json.dumps(body) if isinstance(body, dict) else body
            kind = "application/json" if isinstance(body, dict) else "text/html; charset=utf-8"
            kept = [(name, value) for name, value in headers if name != "Content-Type"]
            return _Answer(body=text, status=status, headers=kept, content_type=kind)

        def send_signal(self, name, *args, **kwargs):
            """Nobody listens."""

    class Issuer(IssuerParameter):
        def __init__(self, server):
            self(server)

        def get_issuer(self):
            return system.url

    server = Server(scopes_supported=["openid", "profile"])
    server.register_token_generator("default", BearerTokenGenerator(lambda **_: generate_token(42), None, 300))
    server.register_client_auth_method("client_assertion_jwt", _client_assertion(system))
    server.register_grant(_code_grant(system), [_id_token(system), CodeChallenge(required=True)])
    server.register_extension(Issuer)
    return server


def _client_assertion(system: AuthlibIdSystem) -> JWTBearerClientAssertion:
    class Assertion(JWTBearerClientAssertion):
        def get_audiences(self):
            return [system.url, system.url + "/token"]

        def validate_jti(self, claims, jti):  # noqa: ARG002 - Authlib's signature
            new = jti not in system.assertions
            system.assertions.add(jti)
            return new

        def resolve_client_public_key(self, client):
            return KeySet.import_key_set(requests.get(client.jwks_uri, timeout=10).json())

    return Assertion()


def _code_grant(system: AuthlibIdSystem) -> type[grants.AuthorizationCodeGrant]:
    class Grant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_assertion_jwt"]  # noqa: RUF012 - Authlib's own

        def save_authorization_code(self, code, request):
            data = request.payload.data
            system.codes[code] = Code(
                code,
                request.client.client_id,
                request.payload.redirect_uri,
                request.scope,
                data.get("nonce"),
                data.get("code_challenge"),
                data.get("code_challenge_method"),
            )

        def query_authorization_code(self, code, client):
            found = system.codes.get(code)
            return found if found and found.client_id == client.client_id else None

        def delete_authorization_code(self, authorization_code):
            del system.codes[authorization_code.code]

        def authenticate_user(self, authorization_code):  # noqa: ARG002 - there is one
            return RESIDENT

    return Grant


def _id_token(system: AuthlibIdSystem) -> OpenIDCode:
    class IdToken(OpenIDCode):
        def exists_nonce(self, nonce, request):  # noqa: ARG002 - Authlib's signature
            return any(code.nonce == nonce for code in system.codes.values())

        def get_client_claims(self, client):
            return {"iss": system.url, "aud": [client.get_client_id()]}

        def get_client_algorithm(self, client):  # noqa: ARG002 - one for all
            return "RS256"

        def get_encode_header(self, client):  # noqa: ARG002 - one for all
            return {"alg": "RS256", "kid": system.key.kid}

        def resolve_client_private_key(self, client):  # noqa: ARG002 - one for all
            return system.key

        def generate_user_info(self, user, scope):  # noqa: ARG002 - the rest comes by userinfo
            return UserInfo(sub=user["sub"])

    return IdToken(require_nonce=True)


def _validator(system: AuthlibIdSystem) -> BearerTokenValidator:
    class Validator(BearerTokenValidator):
        def authenticate_token(self, token_string):
            return system.tokens.get(token_string)

    return Validator()
