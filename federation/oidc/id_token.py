"""Which claims of an ID system's ID token must hold: one table, to be held against OIDC Core §3.1.3.7."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from federation.oidc.jose import LEEWAY, Checks, VerifiedClaims, half_hash
from federation.oidc.strict_json import instant

_MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the token is held against. `authenticated_after` is set when a new sign-in was demanded."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    now: datetime
    authenticated_after: datetime | None


def audiences(claims: VerifiedClaims) -> list[str]:
    """`aud` as a list (RFC 7519 §4.1.3), empty if it is malformed."""
    aud = claims.get("aud")
    listed = aud if isinstance(aud, list) else [aud]
    named = [one for one in listed if isinstance(one, str)]
    return named if len(named) == len(listed) else []


def _azp(claims: VerifiedClaims, expected: Expected) -> bool:
    azp = claims.get("azp")
    return azp == expected.client_id if azp is not None else len(audiences(claims)) == 1


def _exp(claims: VerifiedClaims, expected: Expected) -> bool:
    exp = instant(claims.get("exp"))
    return exp is not None and expected.now < exp + LEEWAY


def _iat(claims: VerifiedClaims, expected: Expected) -> bool:
    iat = instant(claims.get("iat"))
    return iat is not None and iat <= expected.now + LEEWAY


def _nbf(claims: VerifiedClaims, expected: Expected) -> bool:
    nbf = instant(claims.get("nbf"))
    return "nbf" not in claims or (nbf is not None and nbf <= expected.now + LEEWAY)


def _nonce(claims: VerifiedClaims, expected: Expected) -> bool:
    nonce = claims.get("nonce")
    return isinstance(nonce, str) and hmac.compare_digest(nonce.encode(), expected.nonce.encode())


def _sub(claims: VerifiedClaims, _: Expected) -> bool:
    sub = claims.get("sub")
    return isinstance(sub, str) and 0 < len(sub) <= _MAX_SUBJECT


def _at_hash(claims: VerifiedClaims, expected: Expected) -> bool:
    return "at_hash" not in claims or claims["at_hash"] == half_hash(expected.access_token)


def _auth_time(claims: VerifiedClaims, expected: Expected) -> bool:
    after = expected.authenticated_after
    auth_time = instant(claims.get("auth_time"))
    if auth_time is None:
        return after is None and "auth_time" not in claims
    return auth_time <= expected.now + LEEWAY and (after is None or after - LEEWAY <= auth_time)


ID_TOKEN_CHECKS: Checks[Expected] = (
    ("iss", lambda claims, expected: claims.get("iss") == expected.issuer),  # §3.1.3.7 (2)
    ("aud", lambda claims, expected: expected.client_id in audiences(claims)),  # (3)
    ("azp", _azp),  # (4), (5): another audience beside us only if the token was made for us
    ("exp", _exp),  # (9)
    ("iat", _iat),  # (10)
    ("nbf", _nbf),  # RFC 7519 §4.1.5
    ("nonce", _nonce),  # (11)
    ("sub", _sub),  # §2
    ("at_hash", _at_hash),  # §3.1.3.8: optional in the code flow, checked when there
    ("auth_time", _auth_time),  # (13): must be there, and new, when a new sign-in was demanded
)
"""Signature and algorithm, (6) to (8), are `jose.verify`'s; `acr` (12) is the statement table's."""
