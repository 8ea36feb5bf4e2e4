"""The tokens that services get: access tokens (RFC 9068), ID tokens (OIDC Core §2), logout tokens.

Access tokens are JWTs, so that a call needs no look at the store; they carry levels and references, and not
one attribute of the person.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from federation.assurance import acr_uri, level_of
from federation.model import Assurance, Level
from federation.oidc import logout_token
from federation.oidc.claims import nest
from federation.oidc.grants import ACCESS_LIFETIME, CodeGrant
from federation.oidc.jose import (
    LEEWAY,
    Checks,
    SigningKey,
    TokenRefusedError,
    VerifiedClaims,
    half_hash,
    hold,
    sign,
    verify,
)
from federation.oidc.strict_json import instant, seconds
from federation.oidc.verified import MEMBER, answer
from federation.refusal import TokenInvalid, TokenMissing
from federation.sessions import Client
from federation.web import WebRequest

_ACCESS_TYPES = ("at+jwt",)
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 §2.1, RFC 9110 §11.2
_NAMES = ("sub", "client_id", "scope", "acr", "jti", "consent", "kakehashi_person")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified access token. `subject` is pairwise; `person` is sealed and opened by the gateway alone."""

    subject: str
    client_id: str
    scopes: frozenset[str]
    assurance: Assurance
    consent: str
    person: str = field(repr=False)
    jti: str
    expires_at: datetime

    @property
    def level(self) -> Level:
        """The identity assurance of the sign-in behind the token."""
        return self.assurance.identity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    issuer: str
    audience: str
    now: datetime


def _exp(claims: VerifiedClaims, expected: _Expected) -> bool:
    exp = instant(claims.get("exp"))
    return exp is not None and expected.now < exp


def _iat(claims: VerifiedClaims, expected: _Expected) -> bool:
    iat = instant(claims.get("iat"))
    return iat is not None and iat <= expected.now + LEEWAY


def _acr(claims: VerifiedClaims, _: _Expected) -> bool:
    return level_of(str(claims.get("acr"))) is not None and all(
        claims.get(name, 0) in list(Level) for name in ("kakehashi_authentication", "kakehashi_federation")
    )


ACCESS_TOKEN_CHECKS: Checks[_Expected] = (
    ("iss", lambda claims, expected: claims.get("iss") == expected.issuer),  # RFC 9068 §4
    ("aud", lambda claims, expected: claims.get("aud") == expected.audience),
    ("exp", _exp),  # without leeway: the clock that wrote it reads it
    ("iat", _iat),
    ("claims", lambda claims, _: all(isinstance(claims.get(name), str) for name in _NAMES)),
    ("acr", _acr),
)


class Tokens:
    """Makes and reads the tokens of one issuer. `rs256` signs ID tokens only, `es256` also access tokens."""

    def __init__(self, *, issuer: str, audience: str, rs256: SigningKey, es256: SigningKey) -> None:
        if (rs256.algorithm, es256.algorithm) != ("RS256", "ES256"):
            raise ValueError("a provider needs an RSA key and an EC P-256 key, in this order")
        self._issuer = issuer
        self._audience = audience
        self._keys = {key.algorithm: key for key in (rs256, es256)}
        self._public = es256.public()

    def access_token(self, grant: CodeGrant, *, jti: str, now: datetime) -> str:
        """An access token for `grant` (RFC 9068 §2)."""
        release = grant.release
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": release.subject,
            "client_id": grant.client_id,
            "scope": " ".join(grant.scopes),
            "acr": acr_uri(release.assurance.identity),
            "auth_time": seconds(release.authenticated_at),
            "iat": seconds(now),
            "exp": seconds(now + ACCESS_LIFETIME),
            "jti": jti,
            "consent": release.consent,
            "kakehashi_person": release.person,
            "kakehashi_authentication": int(release.assurance.authentication),
            "kakehashi_federation": int(release.assurance.federation),
        }
        return sign(claims, self._keys["ES256"], "at+jwt")

    def id_token(self, grant: CodeGrant, *, algorithm: str, access_token: str, now: datetime) -> str:
        """An ID token for `grant`, with the attributes that were asked for there (OIDC Core §2, §5.5)."""
        release = grant.release
        asked = {name: release.attributes[name] for name in grant.id_token if name in release.attributes}
        claims = {
            **nest(asked, release.truths),
            "iss": self._issuer,
            "sub": release.subject,
            "aud": grant.client_id,
            "iat": seconds(now),
            "exp": seconds(now + ACCESS_LIFETIME),
            "auth_time": seconds(release.authenticated_at),
            "acr": grant.context or acr_uri(release.assurance.identity),
            "at_hash": half_hash(access_token),
        }
        if release.methods:
            claims["amr"] = list(release.methods)
        verified = answer(grant.verified_id_token, release.attributes, release.verified, release.truths)
        if verified is not None:
            claims[MEMBER] = verified
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        if release.session:
            claims["sid"] = release.session  # OIDC Back-Channel Logout §2.1
        return sign(claims, self._keys[algorithm])

    def logout_token(self, client: Client, *, session: str, algorithm: str, now: datetime) -> str:
        """A logout token for `client` (OIDC Back-Channel Logout §2.4), signed as its ID tokens are."""
        claims = logout_token.claims(client, issuer=self._issuer, session=session, now=now)
        return sign(claims, self._keys[algorithm], logout_token.TYPE)

    def verify_access_token(self, token: str, now: datetime) -> AccessToken:
        """Believe `token` or raise `TokenInvalid`, whose detail is the reason code (RFC 9068 §4)."""
        expected = _Expected(issuer=self._issuer, audience=self._audience, now=now)
        try:
            claims = verify(token, self._public, ("ES256",), _ACCESS_TYPES)
            hold(ACCESS_TOKEN_CHECKS, claims, expected)
        except TokenRefusedError as error:
            raise TokenInvalid(error.code) from error
        return AccessToken(
            subject=claims["sub"],
            client_id=claims["client_id"],
            scopes=frozenset(claims["scope"].split()),
            assurance=Assurance(
                identity=level_of(claims["acr"]) or Level.NONE,
                authentication=Level(claims["kakehashi_authentication"]),
                federation=Level(claims.get("kakehashi_federation", 0)),
            ),
            consent=claims["consent"],
            person=claims["kakehashi_person"],
            jti=claims["jti"],
            expires_at=instant(claims["exp"]) or now,
        )


def userinfo_value(grant: CodeGrant) -> dict[str, Any]:
    """What the userinfo endpoint will say, as it is kept: only what was asked for there."""
    release = grant.release
    released = release.attributes
    verified = answer(grant.verified_userinfo, released, release.verified, release.truths)
    return {
        "subject": release.subject,
        "attributes": {name: list(released[name]) for name in grant.userinfo if name in released},
        "truths": sorted(release.truths),
        **({} if verified is None else {"verified": verified}),
    }


def bearer(web: WebRequest) -> str:
    """The bearer token of the `Authorization` header, the only place it is read from (RFC 6750 §2.1).

    Raises `TokenMissing` without one, `TokenInvalid` if the header is malformed.
    """
    header = web.headers.get("authorization", "")
    if not re.match(r"bearer( |$)", header, re.IGNORECASE):
        raise TokenMissing("no-bearer")
    found = _BEARER.fullmatch(header.rstrip())
    if not found:
        raise TokenInvalid("malformed-header")
    return found[1]
