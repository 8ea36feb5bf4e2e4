"""The tokens that services get: access tokens (RFC 9068), ID tokens (OIDC Core §2), logout tokens.

Access tokens are JWTs, so that a call needs no look at the store; they carry levels and references, and not
one attribute of the person. A municipality's system gets one in its own name (`kakehashi_caller`), a service that acts
for another one with the chain of those who act (RFC 8693 §4.1). What binds one to a key or a certificate is `cnf`.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from federation.assurance import acr_uri, level_of
from federation.callers import Binding, BindingKind, CallerKind
from federation.identifiers import Identifiers, SealRefusedError
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
from federation.refusal import TokenInvalid
from federation.sessions import Client
from federation.web import Json

_ACCESS_TYPES = ("at+jwt",)
_CALLER = "kakehashi_caller"
_TOLD = "kakehashi_told"
_NAMES = ("sub", "client_id", "scope", "jti")
_OF_PEOPLE = ("acr", "consent", "kakehashi_person")
_OF_SYSTEMS = ("municipality",)

NO_LEVELS = Assurance(identity=Level.NONE, authentication=Level.NONE)
"""A system proves itself by its key alone: levels are people's."""

MOST_ACTORS = 4
"""How many may act for one another at most, whoever the person let act first among them."""

_ORIGIN = "access-token-origin"
"""For whom an exchanged token's origin is sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified access token. `subject` is pairwise; `person` is sealed and opened by the gateway alone.

    A system's is in its own name (`subject` is its client ID), without a person, a consent or levels, and with the
    code of its `municipality`. `actors` are those who act for one another, the present one first and last the service
    that the person let act; none if it was never exchanged. `ancestors` are the tokens (`jti`) that led to it: with
    one of them it ends, too. `told` is sealed as `person` is: what services learn by scope.
    """

    subject: str
    client_id: str
    scopes: frozenset[str]
    assurance: Assurance
    consent: str
    person: str = field(repr=False)
    jti: str
    expires_at: datetime
    kind: CallerKind = CallerKind.PERSON
    municipality: str | None = None
    binding: Binding | None = None
    actors: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    told: str = field(default="", repr=False)

    @property
    def consented(self) -> str:
        """The client ID of the service that the person's consent is for, whoever acts now."""
        return self.actors[-1] if self.actors else self.client_id

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


def _is_system(claims: VerifiedClaims) -> bool:
    return claims.get(_CALLER) == CallerKind.SYSTEM.value


def _names(claims: VerifiedClaims, _: _Expected) -> bool:
    named = (*_NAMES, *(_OF_SYSTEMS if _is_system(claims) else _OF_PEOPLE))
    return all(isinstance(claims.get(name), str) for name in named) and isinstance(claims.get(_TOLD, ""), str)


def _caller(claims: VerifiedClaims, _: _Expected) -> bool:
    """A system's token is in its own name, and shows nobody else (RFC 9068 §2.2)."""
    if not _is_system(claims):
        return _CALLER not in claims
    of_people = {"kakehashi_person", "act", "kakehashi_origin", _TOLD}
    return claims["sub"] == claims["client_id"] and not of_people & set(claims)


def _acr(claims: VerifiedClaims, _: _Expected) -> bool:
    if _is_system(claims):
        return "acr" not in claims
    return level_of(str(claims.get("acr"))) is not None and all(
        claims.get(name, 0) in list(Level) for name in ("kakehashi_authentication", "kakehashi_federation")
    )


ACCESS_TOKEN_CHECKS: Checks[_Expected] = (
    ("iss", lambda claims, expected: claims.get("iss") == expected.issuer),  # RFC 9068 §4
    ("aud", lambda claims, expected: claims.get("aud") == expected.audience),
    ("exp", _exp),  # without leeway: the clock that wrote it reads it
    ("iat", _iat),
    ("claims", _names),
    ("caller", _caller),
    ("acr", _acr),
    ("cnf", lambda claims, _: "cnf" not in claims or _binding(claims) is not None),  # RFC 7800 §3.1
    ("act", lambda claims, _: _actors(claims) is not None),  # RFC 8693 §4.1
)


def _binding(claims: VerifiedClaims) -> Binding | None:
    """What the token is bound to, if it is to exactly one thing of a kind that is known."""
    stated = claims.get("cnf")
    if not isinstance(stated, dict) or len(stated) != 1:
        return None
    ((kind, value),) = stated.items()
    if kind not in tuple(BindingKind) or not isinstance(value, str):
        return None
    return Binding(kind=BindingKind(kind), value=value)


def _actors(claims: VerifiedClaims) -> tuple[str, ...] | None:
    """Who acts for whom, the present one first; None if it cannot be read, or is too long."""
    found: list[str] = []
    stated = claims.get("act")
    while stated is not None:
        if not isinstance(stated, dict) or not isinstance(stated.get("sub"), str) or len(found) >= MOST_ACTORS:
            return None
        found.append(stated["sub"])
        stated = stated.get("act")
    return tuple(found)


def _bound(binding: Binding | None) -> dict[str, Any]:
    return {} if binding is None else {"cnf": {binding.kind.value: binding.value}}


def _told(sealed: str) -> dict[str, str]:
    return {_TOLD: sealed} if sealed else {}


def chain(actors: tuple[str, ...]) -> dict[str, Any]:
    """The `act` claim: the present actor outermost (RFC 8693 §4.1). `actors` are not none."""
    sub, *earlier = actors
    return {"sub": sub, **({"act": chain(tuple(earlier))} if earlier else {})}


class Tokens:
    """Makes and reads the tokens of one issuer. `rs256` signs ID tokens only, `es256` also access tokens.

    `identifiers` seals what led to an exchanged token; without it there are none.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        rs256: SigningKey,
        es256: SigningKey,
        identifiers: Identifiers | None = None,
    ) -> None:
        if (rs256.algorithm, es256.algorithm) != ("RS256", "ES256"):
            raise ValueError("a provider needs an RSA key and an EC P-256 key, in this order")
        self._issuer = issuer
        self._audience = audience
        self._keys = {key.algorithm: key for key in (rs256, es256)}
        self._public = es256.public()
        self._identifiers = identifiers

    def access_token(self, grant: CodeGrant, *, jti: str, now: datetime, binding: Binding | None = None) -> str:
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
            **_told(release.told),
            **_bound(binding),
        }
        return sign(claims, self._keys["ES256"], "at+jwt")

    def system_token(
        self,
        client_id: str,
        municipality: str,
        scopes: Collection[str],
        *,
        jti: str,
        now: datetime,
        binding: Binding | None = None,
    ) -> str:
        """An access token for a municipality's system, in its own name (RFC 6749 §4.4, RFC 9068 §2.2)."""
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": " ".join(scopes),
            "municipality": municipality,
            "iat": seconds(now),
            "exp": seconds(now + ACCESS_LIFETIME),
            "jti": jti,
            _CALLER: CallerKind.SYSTEM.value,
            **_bound(binding),
        }
        return sign(claims, self._keys["ES256"], "at+jwt")

    def exchanged_token(
        self,
        subject: AccessToken,
        *,
        sub: str,
        consent: str,
        scopes: Collection[str],
        actors: tuple[str, ...],
        jti: str,
        now: datetime,
        binding: Binding | None = None,
    ) -> tuple[str, datetime]:
        """An access token for the first of `actors`, who acts for a person by `subject`; and when it ends.

        It ends with `subject` at the latest. What led to it is sealed: whoever holds it learns of no other's token.
        """
        assert self._identifiers is not None  # who has none exchanges nothing
        until = min(now + ACCESS_LIFETIME, subject.expires_at)
        origin = {"consent": subject.consent, "tokens": [subject.jti, *subject.ancestors]}
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": sub,
            "client_id": actors[0],
            "scope": " ".join(scopes),
            "acr": acr_uri(subject.assurance.identity),
            "iat": seconds(now),
            "exp": seconds(until),
            "jti": jti,
            "consent": consent,
            "act": chain(actors),
            "kakehashi_person": subject.person,
            "kakehashi_authentication": int(subject.assurance.authentication),
            "kakehashi_federation": int(subject.assurance.federation),
            "kakehashi_origin": self._identifiers.seal(json.dumps(origin, separators=(",", ":")), audience=_ORIGIN),
            **_told(subject.told),
            **_bound(binding),
        }
        return sign(claims, self._keys["ES256"], "at+jwt"), until

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
        if _is_system(claims):
            return AccessToken(
                subject=claims["sub"],
                client_id=claims["client_id"],
                scopes=frozenset(claims["scope"].split()),
                assurance=NO_LEVELS,
                consent="",
                person="",
                jti=claims["jti"],
                expires_at=instant(claims["exp"]) or now,
                kind=CallerKind.SYSTEM,
                municipality=claims["municipality"],
                binding=_binding(claims),
            )
        actors = _actors(claims) or ()
        origin = self._origin(claims, actors)
        return AccessToken(
            subject=claims["sub"],
            client_id=claims["client_id"],
            scopes=frozenset(claims["scope"].split()),
            assurance=Assurance(
                identity=level_of(claims["acr"]) or Level.NONE,
                authentication=Level(claims["kakehashi_authentication"]),
                federation=Level(claims.get("kakehashi_federation", 0)),
            ),
            consent=origin.get("consent", claims["consent"]),
            person=claims["kakehashi_person"],
            jti=claims["jti"],
            expires_at=instant(claims["exp"]) or now,
            binding=_binding(claims),
            actors=actors,
            ancestors=tuple(origin.get("tokens", ())),
            told=claims.get(_TOLD, ""),
        )

    def _origin(self, claims: VerifiedClaims, actors: tuple[str, ...]) -> Json:
        """What an exchanged token came of, unsealed. Raises `TokenInvalid`."""
        sealed = claims.get("kakehashi_origin")
        if (sealed is None) != (not actors):
            raise TokenInvalid("origin")
        if sealed is None:
            return {}
        if self._identifiers is None or not isinstance(sealed, str) or actors[0] != claims["client_id"]:
            raise TokenInvalid("origin")
        try:
            opened: Json = json.loads(self._identifiers.open(sealed, audience=_ORIGIN))
        except SealRefusedError:
            raise TokenInvalid("origin") from None
        return opened


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
