"""The participation site as a program: begins a login, takes the code that comes back, and exchanges it.

It has the site's own key (the demo keeps it in its state directory), so the gateway cannot tell it from the site.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.conftest import Running
from tests.flows.person import Person

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALL_SCOPES = "openid profile council.polls.read council.polls.vote ledger.pay"


class Stopped(Exception):  # noqa: N818 - not a fault: where the browser is to stop
    """The browser was sent to the site's callback; `parameters` are what it brought."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.parameters = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class CatchingSession(requests.Session):
    """Follows redirects until one leads to `callback`."""

    callback = ""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target and target.startswith(self.callback):
            raise Stopped(target)
        return target


@dataclass
class Client:
    """One login at a time."""

    region: Running
    scope: str = ALL_SCOPES
    extra: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def client_id(self) -> str:
        return self.region["participation"]

    @property
    def redirect_uri(self) -> str:
        return self.region["participation"] + "/callback"

    @property
    def key(self) -> ECKey:
        pem = (self.region.state / "systems" / "participation" / "signing-es256.pem").read_bytes()
        return ECKey.import_key(pem)

    def authorization_url(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": "s",
            "nonce": "n",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **self.extra,
        }
        return self.region["gateway"] + "/oidc/authorize?" + urlencode(parameters)

    def sign_in(self, system: str, resident: str) -> dict[str, str]:
        """What comes back to the callback after `resident` of `system` signed in and agreed."""
        session = CatchingSession()
        session.callback = self.redirect_uri
        person = Person(session=session)
        try:
            person.open(self.authorization_url()).choose("system", system).press(resident)
            person.choose("decision", "agree")
        except Stopped as stopped:
            return stopped.parameters
        raise AssertionError(f"no answer came back; the browser is at {person.url}: {person.text[:300]}")

    def assertion(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.region["gateway"],
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
            **changes,
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.thumbprint()}, claims, self.key)

    def exchange(self, code: str, **changes: Any) -> requests.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
            **changes,
        }
        return requests.post(self.region["gateway"] + "/oidc/token", data=form, timeout=30)

    def tokens(self, system: str = "maebashi", resident: str = "髙橋 花子") -> dict[str, Any]:
        """What the token endpoint answers for a whole login."""
        answer = self.exchange(self.sign_in(system, resident)["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
