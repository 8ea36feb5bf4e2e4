"""Telling an OpenID service that a session has ended, without a browser (OpenID Connect Back-Channel Logout 1.0).

Owns the logout token's claims, the request that carries it, and what its answer means; `tokens.py` signs.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from federation.oidc.oauth import is_acceptable
from federation.oidc.strict_json import seconds
from federation.sessions import Client
from federation.web import HttpRequest, HttpResponse

TYPE = "logout+jwt"
EVENT = "http://schemas.openid.net/event/backchannel-logout"

LIFETIME = timedelta(minutes=2)
"""How long a token may be acted upon: two minutes at most (§4)."""

_DONE = (200, 204)
"""§2.8: 200; some frameworks make it 204 where there is no body, which a provider should take as well."""


def address(metadata: Mapping[str, Any]) -> str | None:
    """Where a registered client wants to be told (§2.2 `backchannel_logout_uri`); None if it does not."""
    stated = metadata.get("backchannel_logout_uri")
    return stated if isinstance(stated, str) and is_acceptable(stated, loopback_http=True) else None


def claims(client: Client, *, issuer: str, session: str, now: datetime) -> dict[str, Any]:
    """What the token says (§2.4): this person's session `session` has ended. A nonce is prohibited."""
    return {
        "iss": issuer,
        "sub": client.subject,
        "aud": client.client_id,
        "iat": seconds(now),
        "exp": seconds(now + LIFETIME),
        "jti": secrets.token_urlsafe(24),
        "events": {EVENT: {}},
        "sid": session,
    }


def request(url: str, token: str) -> HttpRequest:
    """Carry the token to the client (§2.5)."""
    return HttpRequest(
        method="POST",
        url=url,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"},
        body=urlencode({"logout_token": token}).encode(),
    )


def confirmed(response: HttpResponse) -> bool:
    """Whether the client says that the session there has ended (§2.8)."""
    return response.status in _DONE
