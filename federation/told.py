"""What shared services learn of a person by the scope of a call: never by the service that makes it.

The values are made at the sign-in, as any service's are, and travel sealed within the access token; each call's
identity assertion shows the service behind its scope what is for that scope.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from federation.attributes import OutwardMap
from federation.identifiers import Identifiers
from federation.oidc.claims import nest
from federation.web import Json

AUDIENCE = "access-token-told"
"""Sealed values open only for this audience."""

BLOCK = 256
"""What is sealed is filled up to a multiple of these bytes: sealing keeps lengths, and `true` and `false` differ."""

Claims = Mapping[str, Mapping[str, Any]]
"""By scope, the claims for the services behind it."""


def seal(
    values: Mapping[str, Mapping[str, tuple[str, ...]]], maps: Mapping[str, OutwardMap], identifiers: Identifiers
) -> str:
    """The values by scope as claims, unreadable to the service that holds the token; empty if no scope tells any.

    Facts become `true` or `false`; `maps` say which they are. A scope of which nothing is known is sealed, too: that
    nothing is known is not for the token's holder either.
    """
    return seal_claims({scope: nest(each, maps[scope].truths()) for scope, each in values.items()}, identifiers)


def seal_claims(told: Claims, identifiers: Identifiers) -> str:
    """The same of what `opened` answered."""
    if not told:
        return ""
    text = json.dumps(
        {scope: dict(claims) for scope, claims in told.items()}, ensure_ascii=False, separators=(",", ":")
    )
    return identifiers.seal(text + " " * (-len(text.encode()) % BLOCK), audience=AUDIENCE)


def opened(sealed: str, scopes: Collection[str], identifiers: Identifiers) -> Claims:
    """What was sealed, of these scopes alone. Raises `SealRefusedError`."""
    if not sealed:
        return {}
    told: Json = json.loads(identifiers.open(sealed, audience=AUDIENCE))
    return {scope: claims for scope, claims in told.items() if scope in scopes}
