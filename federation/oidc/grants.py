"""What an authorization code stands for, as it is kept in the store between the two requests.

The one place that turns a `Release` into JSON and back. A kept grant holds personal data: the store seals it.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from federation.model import Assurance, Kept, Level, Release
from federation.oidc.jose import LEEWAY, base64url
from federation.oidc.verified import Asked, asked_from_json
from federation.web import Json

CODE_LIFETIME = timedelta(seconds=60)
ACCESS_LIFETIME = timedelta(minutes=10)
CODE, USERINFO = "code", "userinfo"


def release_to_json(release: Release) -> dict[str, Any]:
    """`release` as a JSON object that `release_from_json` reads back unchanged."""
    return {
        "service": release.service,
        "subject": release.subject,
        "person": release.person,
        "attributes": {name: list(values) for name, values in release.attributes.items()},
        "identity": int(release.assurance.identity),
        "authentication": int(release.assurance.authentication),
        "federation": int(release.assurance.federation),
        "methods": list(release.methods),
        "also": list(release.also),
        "verified": {name: list(worth) for name, worth in release.verified.items()},
        "scopes": list(release.scopes),
        "consent": release.consent,
        "authenticated_at": release.authenticated_at.isoformat(),
        "session": release.session,
        "truths": sorted(release.truths),
        "told": release.told,
    }


def release_from_json(value: Json) -> Release:
    """The release that `release_to_json` wrote."""
    return Release(
        service=value["service"],
        subject=value["subject"],
        person=value["person"],
        attributes={name: tuple(values) for name, values in value["attributes"].items()},
        assurance=Assurance(
            identity=Level(value["identity"]),
            authentication=Level(value["authentication"]),
            federation=Level(value["federation"]),
        ),
        methods=tuple(value["methods"]),
        also=tuple(value["also"]),
        verified={name: (framework, level) for name, (framework, level) in value["verified"].items()},
        scopes=tuple(value["scopes"]),
        consent=value["consent"],
        authenticated_at=datetime.fromisoformat(value["authenticated_at"]),
        session=value["session"],
        truths=frozenset(value["truths"]),
        told=value.get("told", ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeGrant:
    """A code's meaning: to whom, to which address, for which proof key, and what is released.

    `scopes` are the granted ones in the order of the request; `id_token` and `userinfo` the outward names
    that go there, `verified_userinfo` and `verified_id_token` the verified claims. `context` is the level in the words
    of the service's request, if they are not ours. `jkt` is the key that the tokens must be bound to, if the request
    named one (RFC 9449 §10).
    """

    client_id: str
    redirect_uri: str
    challenge: str = field(repr=False)
    nonce: str | None = field(repr=False)
    scopes: tuple[str, ...]
    id_token: tuple[str, ...]
    userinfo: tuple[str, ...]
    release: Release = field(repr=False)
    issued_at: datetime
    verified_id_token: tuple[Asked, ...] = ()
    verified_userinfo: tuple[Asked, ...] = ()
    context: str | None = None
    jkt: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back unchanged."""
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "challenge": self.challenge,
            "nonce": self.nonce,
            "scopes": list(self.scopes),
            "id_token": list(self.id_token),
            "userinfo": list(self.userinfo),
            "release": release_to_json(self.release),
            "issued_at": self.issued_at.astimezone(UTC).isoformat(),
            "verified_id_token": [each.to_json() for each in self.verified_id_token],
            "verified_userinfo": [each.to_json() for each in self.verified_userinfo],
            "context": self.context,
            "jkt": self.jkt,
        }

    @classmethod
    def from_json(cls, value: Json) -> "CodeGrant":
        """The grant that `to_json` wrote."""
        return cls(
            client_id=value["client_id"],
            redirect_uri=value["redirect_uri"],
            challenge=value["challenge"],
            nonce=value["nonce"],
            scopes=tuple(value["scopes"]),
            id_token=tuple(value["id_token"]),
            userinfo=tuple(value["userinfo"]),
            release=release_from_json(value["release"]),
            issued_at=datetime.fromisoformat(value["issued_at"]),
            verified_id_token=tuple(map(asked_from_json, value["verified_id_token"])),
            verified_userinfo=tuple(map(asked_from_json, value["verified_userinfo"])),
            context=value["context"],
            jkt=value.get("jkt"),
        )


def code_key(code: str) -> str:
    """The key under which a code is kept: a digest, so that who reads the store's keys has no code."""
    return _digest("code", code)


def token_id(code: str) -> str:
    """The `jti` of the access token that `code` is exchanged for.

    It follows from the code, so a code that comes back names what its first use brought forth, whatever
    became of the first answer (RFC 6749 §4.1.2: revoke what was issued on a code that is used twice).
    """
    return _digest("jti", code)


def _digest(purpose: str, code: str) -> str:
    return base64url(hashlib.sha256(f"kakehashi {purpose}\0{code}".encode()).digest())


def tombstone(code: str) -> Kept:
    """What takes the code's place in the store when it is used."""
    return Kept(kind=CODE, key=code_key(code), value={"used": True}, lifetime=ACCESS_LIFETIME + LEEWAY)


def revocation(code: str) -> Kept:
    """What takes the place of the userinfo entry when a code comes back a second time."""
    return revoked(token_id(code))


def revoked(jti: str) -> Kept:
    """What takes the place of the userinfo entry of the access token `jti`, there already or still to come."""
    return Kept(kind=USERINFO, key=jti, value={"revoked": True}, lifetime=CODE_LIFETIME + ACCESS_LIFETIME + LEEWAY)
