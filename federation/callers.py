"""Who calls: a person through a service, or a municipality's own system, by a token that was verified."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from federation.identifiers import KeyName, PersonRef
from federation.model import Assurance


class CallerKind(StrEnum):
    """A person, through the service that holds the token, or a municipality's system in its own name."""

    PERSON = "person"
    SYSTEM = "system"


class BindingKind(StrEnum):
    """What a token is bound to, by the name of its confirmation method (RFC 7800 §3.1)."""

    KEY = "jkt"
    """The thumbprint of a key, which each call proves with DPoP (RFC 9449 §6.1)."""
    CERTIFICATE = "x5t#S256"
    """The thumbprint of a TLS client certificate (RFC 8705 §3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What whoever calls must show beside the token; `value` is a SHA-256, base64url."""

    kind: BindingKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a call is made, by a verified token.

    `client` is the service or system that holds the token, `municipality` the code of the ID system's that vouched for
    the person, or of the system's. `person`, `key` (by which services know the person) and `consent` (its record's id)
    are None for a system. `actors` are those who call for one another on the person's behalf, the present one first
    (RFC 8693 §4.1); empty if the token was never exchanged. `id_system` vouched for the person, and `ancestors` are the
    tokens that led to this one. `told` is what the services behind each scope may be told of the person, as claims.
    """

    kind: CallerKind = CallerKind.PERSON
    client: str
    municipality: str
    scopes: frozenset[str]
    assurance: Assurance
    token_id: str
    expires_at: datetime
    person: PersonRef | None = field(default=None, repr=False)
    key: KeyName | None = None
    consent: str | None = None
    actors: tuple[str, ...] = ()
    binding: Binding | None = None
    id_system: str | None = None
    ancestors: tuple[str, ...] = ()
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False, hash=False)
