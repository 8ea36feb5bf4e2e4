"""The values that a login and a call are made of.

Frozen, slotted, keyword-only. Configuration (`gateway/config.py`) is translated into these once; connectors and
frontends speak only in these.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from federation.attributes import InwardMap, OutwardMap
from federation.sessions import UpstreamSession
from federation.web import Json
from trust_lists.assurance_rows import Verified

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
    """How sure: that the person is who they are (`identity`), that it is they who signed in (`authentication`).

    And that nobody changed or read it between the ID system and the service (`federation`).
    """

    identity: Level
    authentication: Level
    federation: Level = Level.NONE


class Reason(NamedTuple):
    """One thing that a sign-in's worth rests on, and the most it is worth because of it.

    `leg` is one of `federation.assurance.LEGS`, `by` a name of the configuration, a list, or a table's row.
    """

    leg: str
    by: str
    most: Assurance

    def __str__(self) -> str:
        most = self.most
        return f"{self.leg} {self.by} {most.identity:d}/{most.authentication:d}/{most.federation:d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSystem:
    """A municipality's ID system as configured.

    `statements` is the operator's own table of assurance: its own word → our levels, and `methods` its own word → how
    the person signed in (RFC 8176). `default_assurance` is what any other word is worth; None: the operator says
    nothing, and the signed table alone counts.
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
    default_assurance: Assurance | None
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weaker: frozenset[str] = frozenset()
    subject_own_numbers: bool = False


OWN = "own"
"""The kind of the gateway's own page (`federation/own.py`); no configuration names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A relying service as configured.

    `id_systems` None means every ID system of the region. `scopes` are the API scopes it may ask for (OpenID only).
    `subject_identifier` (SAML only) is the identifier attribute that it always gets: `pairwise-id`, or `subject-id`,
    which is the same at all services (SAML Subject Identifier Attributes §3); None: what its listed metadata ask for.
    `use` is what it is for (`civic`), by which recognitions between municipalities are limited. `sector`: services of
    one sector know a person by one identifier (OpenID Connect Core §8.1); its own entity ID unless configured.
    `tells_methods` (SAML only): it is told how the person signed in. `signing` (OpenID only): it may ask residents to
    sign texts, and then gets their certificates. `told` is by scope what the shared services behind it learn of the
    person with each call that this service makes for them; it never learns it itself.
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
    sector: str = ""
    minimum_authentication: Level = Level.NONE
    tells_methods: bool = False
    signing: bool = False
    told: Mapping[str, OutwardMap] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.sector:
            object.__setattr__(self, "sector", self.entity_id)


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

    `words` are the ID system's own of which one is needed, least demanding first; none: any sign-in will do.
    `essential`: one came back too low before; a sign-in without one of them is of no use.
    `passive`: the ID system must not show a page (SAML Core §3.4.1 IsPassive, OpenID Connect Core §3.1.2.1 prompt).
    `service` and `claims` (see `LoginRequest`) are for ID systems that tell the person themselves who asks, for what.
    """

    handle: str
    force_authentication: bool
    languages: tuple[str, ...]
    passive: bool = False
    words: tuple[str, ...] = ()
    essential: bool = False
    service: Service | None = None
    claims: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something a frontend asks the gateway to keep: read back by `(kind, key)`, gone after `lifetime`."""

    kind: str
    key: str
    value: Json = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The certificate that somebody signed in with, and its issuer's (both DER), for as long as it is watched."""

    certificate: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    issued_at: datetime
    expires_at: datetime

    def to_json(self) -> Json:
        """A JSON object from which `held_from_json` makes an equal value."""
        return {
            "certificate": base64.b64encode(self.certificate).decode(),
            "issuer": base64.b64encode(self.issuer).decode(),
            "issued_at": self.issued_at.timestamp(),
            "expires_at": self.expires_at.timestamp(),
        }


def held_from_json(data: Json) -> Held:
    """The certificate that `Held.to_json` wrote."""
    return Held(
        certificate=base64.b64decode(data["certificate"]),
        issuer=base64.b64decode(data["issuer"]),
        issued_at=datetime.fromtimestamp(data["issued_at"], UTC),
        expires_at=datetime.fromtimestamp(data["expires_at"], UTC),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an ID system said of the person, verified but not yet mapped.

    `attributes` are under the ID system's own names; nested claims are flattened with dots (`address.locality`).
    `statements` are its own words on assurance (AuthnContextClassRef, `acr`), `methods` those on how the person signed
    in (`amr`), `verified` by what it verified claims, `policies` those of a certificate that was used. `evidence` is
    how it knows single attributes, where it says so (names of `federation.evidence`). `protection` is how its answer
    was carried (`federation.assurance`). `once` must be claimed before any
    of it is used: what was claimed before is a replay. `scoped` are names of attributes that count only in scopes, and
    `out_of_scope` those of them of which values were dropped because the list does not give their scope to this ID
    system. `session` is what a logout needs, for ID systems that have one. `most` is the highest identity level that it
    can be worth because something could not be learned (None: nothing is missing). `held` is the certificate that the
    person signed in with, if they did.
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
    methods: tuple[str, ...] = ()
    verified: tuple[Verified, ...] = ()
    policies: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    protection: frozenset[str] = frozenset()
    most: int | None = None
    held: Held | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What one service learns of one person at one login: nothing else leaves.

    `subject` is what the service knows the person by, in every protocol. `person` is sealed, with their municipality:
    only the gateway can open it; empty where no token will carry it. `attributes` are under the service's names,
    `truths` those that are facts: `true` or `false`. `session` names the session that begins, `session_until` is when
    the service's own is to end at the latest. `methods` are how the person signed in (RFC 8176), `also` other bodies'
    URIs that say the level. `verified` are the attributes that were, with the framework and the identity level. `told`,
    sealed like `person`, is what shared services learn by scope; empty if nothing.
    """

    service: str
    subject: str = field(repr=False)
    person: str = field(repr=False)
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    assurance: Assurance
    scopes: tuple[str, ...]
    consent: str
    authenticated_at: datetime
    truths: frozenset[str] = frozenset()
    session: str = ""
    session_until: datetime | None = None
    methods: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    verified: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    told: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A list of `Kept`; each must be acknowledged by the store before the answer leaves."""

    items: tuple[Kept, ...] = field(default_factory=tuple)
