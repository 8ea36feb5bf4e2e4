"""The values that a login and a call are made of.

Frozen, slotted, keyword-only. Configuration (`gateway/config.py`) is translated into these once; connectors and
frontends speak only in these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from federation.attributes import InwardMap, OutwardMap
from federation.sessions import UpstreamSession
from federation.web import Json

Texts = Mapping[str, str]
"""A text by language code: `{"ja": …, "en": …}`."""


class Level(IntEnum):
    """An assurance level of DS-511 (NIST SP 800-63-4 is its model); NONE is what an unknown statement is worth."""

    NONE = 0
    ONE = 1
    TWO = 2
    THREE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """How sure: that the person is who they are (`identity`), and that it is they who signed in (`authentication`)."""

    identity: Level
    authentication: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSystem:
    """A municipality's ID system as configured. `statements` is the assurance table: its own word → our levels.

    `weaker` names what is allowed to it alone: `unsolicited-responses` (SAML Profiles §4.1.5), `cbc-encryption`.
    """

    id: str
    kind: str
    entity_id: str
    municipality: str
    name: Texts
    reading: str
    description: Texts
    inward: InwardMap
    statements: Mapping[str, Assurance]
    default_assurance: Assurance
    weaker: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A relying service as configured.

    `id_systems` None means every ID system of the region. `scopes` are the API scopes it may ask for (OpenID only).
    `subject_identifier` (SAML only) is the identifier attribute that it always gets: `pairwise-id`, or `subject-id`,
    which is the same at all services (SAML Subject Identifier Attributes §3); None: what its listed metadata ask for.
    `use` is what it is for (`civic`), by which recognitions between municipalities are limited.
    """

    id: str
    kind: str
    entity_id: str
    municipality: str | None
    name: Texts
    purpose: Texts
    outward: OutwardMap
    minimum: Level
    consent_lifetime: timedelta
    id_systems: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    address: str | None = None
    subject_identifier: str | None = None
    use: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What a relying service asked, after its frontend checked it.

    `reply` is the frontend's own memory (ACS URL, request ID, redirect URI, nonce, …); only that frontend reads it.
    `scopes` are the API scopes asked and allowed. `claims` None means every attribute of the service's outward map;
    otherwise the outward names that were asked for. `municipality`: the service asked the entity of this municipality,
    so that only its ID systems will do; None: it asked the hub. `passive`: no page may be shown to the person.
    `unsolicited`: the service asked nothing, an ID system's answer began this.
    """

    service: str
    kind: str
    reply: Json
    minimum: Level = Level.NONE
    hint: str | None = None
    force_authentication: bool = False
    passive: bool = False
    scopes: tuple[str, ...] = ()
    claims: tuple[str, ...] | None = None
    languages: tuple[str, ...] = ()
    municipality: str | None = None
    unsolicited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What a connector needs to send the browser to the ID system. `handle` is unguessable and finds the flow again.

    `passive`: the ID system must not show a page (SAML Core §3.4.1 IsPassive, OpenID Connect Core §3.1.2.1 prompt).
    """

    handle: str
    minimum: Level
    force_authentication: bool
    languages: tuple[str, ...]
    passive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something a frontend asks the gateway to keep: read back by `(kind, key)`, gone after `lifetime`."""

    kind: str
    key: str
    value: Json = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an ID system said of the person, verified but not yet mapped.

    `attributes` are under the ID system's own names; nested claims are flattened with dots (`address.locality`).
    `statements` are its own words on assurance (AuthnContextClassRef, `acr`, `amr`). `once` must be claimed before any
    of it is used: what was claimed before is a replay. `scoped` are names of attributes that count only in scopes, and
    `out_of_scope` those of them of which values were dropped because the list does not give their scope to this ID
    system. `session` is what a logout needs, for ID systems that have one.
    """

    id_system: str
    subject: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    statements: tuple[str, ...]
    authenticated_at: datetime | None = None
    once: Kept | None = None
    scoped: frozenset[str] = frozenset()
    out_of_scope: tuple[str, ...] = ()
    session: UpstreamSession | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What one service learns of one person at one login: nothing else leaves.

    `person` is sealed, with their municipality: only the gateway can open it; empty where no token will carry it.
    `attributes` are under the service's
    names. `pairwise_id` is the person's identifier at this service in the form of SAML's `pairwise-id`, without scope.
    """

    service: str
    subject: str = field(repr=False)
    person: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    assurance: Assurance
    scopes: tuple[str, ...]
    consent: str
    authenticated_at: datetime
    pairwise_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A list of `Kept`; each must be acknowledged by the store before the answer leaves."""

    items: tuple[Kept, ...] = field(default_factory=tuple)
