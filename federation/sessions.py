"""Who is signed in where, and what ends it: the values and decisions of single logout (SAML Profiles §4.4).

    a service asks ────┐                           ┌─▶ the other services, then the ID system ─▶ answer to the service
                       ├─▶ its sessions, forgotten ┤
    an ID system asks ─┘                           └─▶ the services ─▶ answer to the ID system

A session is one sign-in released to one service. Sessions of one person belong together if the ID system gave them one
session index, or if they were begun in one browser. Here is what a logout is between two requests (`Logout`), and who
is told next; nothing is kept and nothing is sent. `federation/saml/logout.py` has the messages of SAML,
`federation/oidc/logout_token.py` those of OpenID Connect. `gateway/ending.py` ends sessions without anybody's browser.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from federation import moments
from federation.identifiers import PersonRef
from federation.web import Json

SESSION_LIFETIME = timedelta(hours=12)
"""How long a session is remembered that has no stated end."""

LONGEST_SESSION = timedelta(days=7)
"""How long one is remembered at most, whatever its ID system states."""

UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


class Side(StrEnum):
    """On which side of the gateway somebody stands."""

    SERVICE = "service"
    ID_SYSTEM = "id-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectName:
    """A NameID exactly as it stood in an assertion (SAML Core §2.2.3); what was not stated is None."""

    value: str = field(repr=False)
    format: str | None = None
    name_qualifier: str | None = None
    sp_name_qualifier: str | None = None
    sp_provided_id: str | None = field(default=None, repr=False)

    def meant_by(self, asked: "SubjectName") -> bool:
        """Whether a request that names `asked` means this one: what it leaves out is as it was (SAML Core §8.3.7)."""
        stated = (
            (None if asked.format == UNSPECIFIED else asked.format, self.format),
            (asked.name_qualifier, self.name_qualifier),
            (asked.sp_name_qualifier, self.sp_name_qualifier),
        )
        return asked.value == self.value and all(
            theirs is None or ours is None or theirs == ours for theirs, ours in stated
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSession:
    """A sign-in as its ID system, which lists an address for logout, calls it; `until` is its stated end.

    `name` None: it gave no NameID, so neither side can speak of it.
    """

    entity_id: str
    name: SubjectName | None
    index: str | None
    until: datetime | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `upstream_from_json` makes an equal session."""
        return {**asdict(self), "until": None if self.until is None else self.until.timestamp()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A SAML service as it was told of the person: by which of our entities, under which name and session index."""

    own_entity: str
    entity_id: str
    name: SubjectName
    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OpenID service as it was told of the person; `token` is the `jti` of its access token."""

    client_id: str
    subject: str = field(repr=False)
    token: str


class Basis(NamedTuple):
    """What a session rests on: the word of an ID system at a service (configured ids), worth at least `needed`."""

    system: str
    service: str
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in released to one service; `id` is unguessable, `browser` the digest of the browser's cookie.

    `system` and `service` are configured ids. `upstream` None: the ID system speaks OpenID, or takes no logout
    messages. The service is a `participant` if it speaks SAML, a `client` if it speaks OpenID, which knows the session
    by `id` (OIDC Back-Channel Logout §2.1, `sid`). `needed` is the identity level that the sign-in had to reach.
    """

    id: str
    person: PersonRef = field(repr=False)
    browser: str
    system: str
    service: str
    upstream: UpstreamSession | None
    participant: Participant | None
    until: datetime
    client: Client | None = None
    needed: int = 0

    @property
    def basis(self) -> Basis:
        """What it rests on."""
        return Basis(self.system, self.service, self.needed)

    def names(self) -> tuple[str, ...]:
        """What it can be asked for by: personal data, to be kept as digests only."""
        found: list[str] = []
        if self.participant is not None:
            known = self.participant
            found.append(service_key(known.own_entity, known.entity_id, known.name))
        if self.upstream is not None and self.upstream.name is not None:
            found.append(id_system_key(self.upstream.entity_id, self.upstream.name))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `session_from_json` makes an equal session."""
        return {
            "id": self.id,
            "person": self.person,
            "browser": self.browser,
            "system": self.system,
            "service": self.service,
            "upstream": None if self.upstream is None else self.upstream.to_json(),
            "participant": None if self.participant is None else asdict(self.participant),
            "until": self.until.timestamp(),
            "client": None if self.client is None else asdict(self.client),
            "needed": self.needed,
        }


def service_key(own_entity: str, entity_id: str, name: SubjectName) -> str:
    """What a service asks by, of one of our entities."""
    return json.dumps([Side.SERVICE, own_entity, entity_id, name.value])


def id_system_key(entity_id: str, name: SubjectName) -> str:
    """What an ID system asks by."""
    return json.dumps([Side.ID_SYSTEM, entity_id, name.value])


def ends(upstream: UpstreamSession | None, now: datetime) -> datetime:
    """Until when a session that begins now is remembered."""
    stated = None if upstream is None else upstream.until
    return min(stated or now + SESSION_LIFETIME, now + LONGEST_SESSION)


def told(upstream: UpstreamSession | None, now: datetime) -> datetime:
    """What a service is told of it: a stated end is the same at every service, so not to the second."""
    until = ends(upstream, now)
    return until if upstream is None or upstream.until != until else moments.end(until, now=now)


# --- which sessions a request means


def of_service(
    sessions: Iterable[Session], own_entity: str, entity_id: str, name: SubjectName, indexes: Iterable[str]
) -> tuple[Session, ...]:
    """The sessions that a service means; without a session index all that it has of the person (SAML Core §3.7.1)."""
    wanted = frozenset(indexes)
    return tuple(
        session
        for session in sessions
        if (known := session.participant) is not None
        and (known.own_entity, known.entity_id) == (own_entity, entity_id)
        and known.name.meant_by(name)
        and (not wanted or known.index in wanted)
    )


def of_id_system(
    sessions: Iterable[Session], entity_id: str, name: SubjectName, indexes: Iterable[str]
) -> tuple[Session, ...]:
    """The sessions that an ID system means, by the same rule."""
    wanted = frozenset(indexes)
    return tuple(
        session
        for session in sessions
        if (known := session.upstream) is not None
        and known.entity_id == entity_id
        and known.name is not None
        and known.name.meant_by(name)
        and (not wanted or known.index in wanted)
    )


def together(named: Iterable[Session], sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Those named, and whatever of the same person's `sessions` ends with them."""
    named = tuple(named)
    return tuple(session for session in sessions if any(_belong(session, each) for each in named))


def _belong(one: Session, other: Session) -> bool:
    if (one.person, one.system) != (other.person, other.system):
        return False
    indexes = {each.upstream.index if each.upstream is not None else None for each in (one, other)}
    return one.browser == other.browser or (len(indexes) == 1 and None not in indexes)


# --- a logout between two requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiator:
    """Who asked for the logout: `id` as configured, and what its answer needs.

    `answered` False: it wants none (SAML V2.0 Asynchronous Single Logout).
    """

    side: Side
    id: str
    own_entity: str
    entity_id: str
    request_id: str
    relay_state: str | None
    answered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody who is to be told: `id` as configured. `name` None: there is no way to tell them."""

    side: Side
    id: str
    own_entity: str = ""
    entity_id: str = ""
    name: SubjectName | None = None
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """One logout between two requests; only `browser` goes on with it. `asked` is whoever holds the browser now."""

    browser: str
    begun_at: datetime
    initiator: Initiator
    todo: tuple[Party, ...] = ()
    asked: Party | None = None
    done: tuple[Party, ...] = ()
    failed: tuple[Party, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether somebody may still hold the person as signed in (SAML Core §3.7.3.2)."""
        return bool(self.failed)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `logout_from_json` makes an equal logout."""
        return {**asdict(self), "begun_at": self.begun_at.timestamp()}


def begin(
    initiator: Initiator,
    ended: Iterable[Session],
    *,
    browser: str,
    own_entity: str,
    now: datetime,
    confirmed: Collection[str] = (),
    unconfirmed: Collection[str] = (),
) -> Logout:
    """The logout of sessions that the gateway itself has forgotten already.

    The services stand first, in the order of their sign-ins, then the ID system, which is asked by our service
    provider `own_entity`; whoever began is not told. Sessions that were told of over a back channel, by id, are not
    told of again: those that their service `confirmed`, and those `unconfirmed`.
    """
    ended = tuple(ended)
    services = tuple((session, _service(session, initiator)) for session in ended)
    parties = [party for session, party in services if party and session.id not in {*confirmed, *unconfirmed}]
    if initiator.side is Side.SERVICE:
        parties += [_id_system(session, own_entity) for session in ended]
    todo = _merged(parties)
    failed = [Party(side=Side.SERVICE, id=session.service) for session in ended if session.id in unconfirmed]
    return Logout(
        browser=browser,
        begun_at=now,
        initiator=initiator,
        todo=tuple(party for party in todo if party.name is not None),
        done=tuple(_merged(Party(side=Side.SERVICE, id=each.service) for each in ended if each.id in confirmed)),
        failed=tuple(_merged((*failed, *(party for party in todo if party.name is None)))),
    )


def others(initiator: Initiator, ended: Iterable[Session]) -> tuple[Session, ...]:
    """The sessions whose services are to be told: not that of a service which itself asked for the logout."""
    return tuple(session for session in ended if _service(session, initiator) is not None)


def next_step(logout: Logout) -> Party | None:
    """Whoever is to be told next, or None: then the initiator is answered."""
    return logout.todo[0] if logout.todo else None


def asking(logout: Logout) -> Logout:
    """The logout while the next one holds the browser."""
    return replace(logout, asked=logout.todo[0], todo=logout.todo[1:])


def passed_over(logout: Logout) -> Logout:
    """The logout after it turned out that the next one cannot be told."""
    return replace(logout, todo=logout.todo[1:], failed=(*logout.failed, logout.todo[0]))


def heard(logout: Logout, *, ended: bool) -> Logout:
    """The logout after whoever was asked answered: that the session there has `ended`, or anything else."""
    if logout.asked is None:
        return logout
    if ended:
        return replace(logout, asked=None, done=(*logout.done, logout.asked))
    return replace(logout, asked=None, failed=(*logout.failed, logout.asked))


def _service(session: Session, initiator: Initiator) -> Party | None:
    known = session.participant
    if known is None:
        return Party(side=Side.SERVICE, id=session.service)
    began = (known.own_entity, known.entity_id) == (initiator.own_entity, initiator.entity_id)
    if began and initiator.side is Side.SERVICE:
        return None
    return Party(
        side=Side.SERVICE,
        id=session.service,
        own_entity=known.own_entity,
        entity_id=known.entity_id,
        name=known.name,
        indexes=(known.index,),
    )


def _id_system(session: Session, own_entity: str) -> Party:
    known = session.upstream
    if known is None or known.name is None:
        return Party(side=Side.ID_SYSTEM, id=session.system)
    return Party(
        side=Side.ID_SYSTEM,
        id=session.system,
        own_entity=own_entity,
        entity_id=known.entity_id,
        name=known.name,
        indexes=() if known.index is None else (known.index,),
    )


def _merged(parties: Iterable[Party]) -> list[Party]:
    """One request to each for each name, with all its session indexes."""
    found: dict[Party, list[str]] = {}
    for party in parties:
        indexes = found.setdefault(replace(party, indexes=()), [])
        indexes += [index for index in party.indexes if index not in indexes]
    return [replace(party, indexes=tuple(indexes)) for party, indexes in found.items()]


# --- back from JSON


def upstream_from_json(data: Json) -> UpstreamSession:
    """The session that `UpstreamSession.to_json` wrote."""
    return UpstreamSession(**{**data, "name": _name(data["name"]), "until": _moment(data["until"])})


def session_from_json(data: Json) -> Session:
    """The session that `Session.to_json` wrote."""
    upstream, participant = data["upstream"], data["participant"]
    return Session(
        id=data["id"],
        person=PersonRef(data["person"]),
        browser=data["browser"],
        system=data["system"],
        service=data["service"],
        upstream=None if upstream is None else upstream_from_json(upstream),
        participant=None if participant is None else _participant(participant),
        until=datetime.fromtimestamp(data["until"], UTC),
        client=None if data.get("client") is None else Client(**data["client"]),
        needed=data.get("needed", 0),  # a gateway before this one wrote neither
    )


def logout_from_json(data: Json) -> Logout:
    """The logout that `Logout.to_json` wrote."""
    initiator = data["initiator"]
    return Logout(
        browser=data["browser"],
        begun_at=datetime.fromtimestamp(data["begun_at"], UTC),
        initiator=Initiator(**{**initiator, "side": Side(initiator["side"])}),
        todo=tuple(map(_party, data["todo"])),
        asked=None if data["asked"] is None else _party(data["asked"]),
        done=tuple(map(_party, data["done"])),
        failed=tuple(map(_party, data["failed"])),
    )


def _party(data: Json) -> Party:
    indexes = tuple(data["indexes"])
    return Party(**{**data, "side": Side(data["side"]), "name": _name(data["name"]), "indexes": indexes})


def _participant(data: Json) -> Participant:
    return Participant(
        own_entity=data["own_entity"],
        entity_id=data["entity_id"],
        name=SubjectName(**data["name"]),
        index=data["index"],
    )


def _name(data: Json | None) -> SubjectName | None:
    return None if data is None else SubjectName(**data)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
