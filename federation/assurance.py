"""How much a sign-in is worth: an ID system's own word on it, read through that system's table.

The levels are those of DS-511 (`federation.model.Level`). Nobody's register has URIs for them, so the
region mints its own: `urn:kakehashi:assurance:identity-N`, used alike as SAML AuthnContextClassRef and as
OpenID `acr`.
"""

from federation.model import Assurance, Identity, IdSystem, Level

_PREFIX = "urn:kakehashi:assurance:identity-"
_LEVELS = {f"{_PREFIX}{int(level)}": level for level in Level}


def assess(system: IdSystem, identity: Identity) -> Assurance:
    """What the verified statements of this sign-in are worth by the ID system's table.

    Of several known statements the highest counts whole: first by identity, then by authentication. Two
    statements are never combined into something that neither of them says. Without a known statement it is
    the system's default.
    """
    known = [system.statements[word] for word in identity.statements if word in system.statements]
    return max(known, key=lambda a: (a.identity, a.authentication), default=system.default_assurance)


def acr_uri(level: Level) -> str:
    """The URI that says `level` to relying services and to regional services."""
    return f"{_PREFIX}{int(level)}"


def level_of(uri: str) -> Level | None:
    """The level that `uri` says, or None if it is not one of the region's own URIs. Compared exactly."""
    return _LEVELS.get(uri)
