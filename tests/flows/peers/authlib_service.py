"""An OpenID relying party made of Authlib: discovery, code flow with PKCE, ID token validated, userinfo."""

import json
from typing import Any

from authlib.integrations.base_client import (
    BaseApp,
    FrameworkIntegration,
    OAuth2Mixin,
    OAuthError,
    OpenIDMixin,
)
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

from tests.flows.peers.site import Reply, Site, Visit, page, see_other


class _Client(OAuth2Mixin, OpenIDMixin, BaseApp):
    """Authlib's client for web applications, as its own integrations put it together."""

    client_cls = OAuth2Session


class AuthlibService(Site):
    """The service: `client_secret_basic` once it has a `secret`, `private_key_jwt` (ES256) until then."""

    def __init__(self, issuer: str, scope: str) -> None:
        super().__init__("authlib-service")
        self._issuer = issuer
        self._scope = scope
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.secret: str | None = None
        self.careless = False
        self.pages = {
            ("GET", "/jwks.json"): self.keys,
            ("GET", "/sign-in"): self.sign_in,
            ("GET", "/callback"): self.arrive,
        }

    def _client(self) -> _Client:
        by_key = self.secret is None
        return _Client(
            FrameworkIntegration("kakehashi"),
            client_id=self.url,
            client_secret=self.key if by_key else self.secret,
            server_metadata_url=self._issuer + "/.well-known/openid-configuration",
            client_auth_methods=[PrivateKeyJWT(alg="ES256", headers={"kid": self.key.kid})] if by_key else [],
            client_kwargs={
                "scope": self._scope,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "private_key_jwt" if by_key else "client_secret_basic",
            },
        )

    def keys(self, _visit: Visit) -> Reply:
        """GET /jwks.json: the public key, and when it is careless the private one too."""
        jwk = {**self.key.as_dict(private=self.careless), "use": "sig", "alg": "ES256"}
        return Reply(body=json.dumps({"keys": [jwk]}), content_type="application/json")

    def sign_in(self, visit: Visit) -> Reply:
        """GET /sign-in: off to the gateway, with what Authlib asks for by itself."""
        asked = self._client().create_authorization_url(self.url + "/callback")
        visit.session[asked["state"]] = asked
        return see_other(asked["url"])

    def arrive(self, visit: Visit) -> Reply:
        """GET /callback: the code for tokens, the ID token's claims, the userinfo answer."""
        asked: dict[str, Any] | None = visit.session.pop(visit.query.get("state", ""), None)
        if asked is None:
            return page("Refused", [("error", "state")], 403)
        if "error" in visit.query:
            return page("Refused", list(visit.query.items()), 403)
        client = self._client()
        try:
            token = client.fetch_access_token(
                self.url + "/callback", code=visit.query["code"], code_verifier=asked["code_verifier"]
            )
        except OAuthError as fault:
            return page("Refused", [("error", str(fault.error))], 403)
        claims = client.parse_id_token(token, nonce=asked["nonce"])
        userinfo = client.userinfo(token=token)
        if userinfo["sub"] != claims["sub"]:
            return page("Refused", [("error", "userinfo of somebody else")], 403)
        said = {f"id_token {name}": value for name, value in claims.items()} | dict(userinfo)
        return page("Welcome", [(name, str(value)) for name, value in said.items()])
