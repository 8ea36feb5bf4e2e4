"""The region as a federation entity (OpenID Federation 1.0): for whom it vouches now, and what it has signed of it.

It vouches for the OpenID parties that its signed lists name at this moment: granted, in force, with keys. It says of
each what the lists say, and for no longer than they say it. Whom it knows from another federation alone it leaves to
that one: two regions must not keep somebody alive by each other's word. Nothing is signed twice while it holds: an
answer is given again until half of its life is over, or until a list changes.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import and_
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

from federation.model import Texts
from federation.oidc.provider import OidcProvider
from gateway.config import Configuration
from gateway.keys import GatewayKeys
from trust_lists import etsi, federation_serving
from trust_lists.federation_chains import Chain, Verifier
from trust_lists.federation_serving import Answer, Json, Parameters, Region, Subordinate
from trust_lists.federation_statements import FEDERATION_ENTITY, is_entity_id, read_configuration
from trust_lists.federation_tokens import read_keys
from trust_lists.model import Role, Status, TrustedEntity, TrustList
from trust_lists.openid_federation import ROLES, Federation
from trust_lists.trusted_set import TrustedSet

FETCH, LIST, RESOLVE = "/federation/fetch", "/federation/list", "/federation/resolve"
"""Where the endpoints are, below the public address (§8)."""

REGISTRATION = "urn:kakehashi:registration:listed"
"""How a service becomes a client here: by being listed and configured; neither `automatic` nor `explicit` (§12)."""

FEDERATION = "openid-federation"
"""The format of lists that are another federation's word."""

LAST_MOMENT = timedelta(seconds=2)
"""So short before its end nobody is vouched for any more: a statement must hold for a while."""

ENTITY_TYPES: Mapping[Role, str] = {role: entity_type for entity_type, role in ROLES.items()}

_NO_KEYS_ELSEWHERE = {name: {"value": None} for name in ("jwks_uri", "signed_jwks_uri")}
"""A policy (§6.1.3.1.1): the keys are those of the list, and no address leads to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An answer, by what it is recognised (RFC 9110 §8.8.3), and until when it is given again."""

    answer: Answer
    etag: str
    renew_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """For whom the region vouches while these lists are held, until the next end or status that they announce."""

    lists: tuple[TrustList, ...]
    until: datetime
    region: Region
    words: Mapping[str, tuple[TrustedEntity, ...]]
    signed: dict[str, Signed] = field(default_factory=dict)


class Vouching:
    """What one opened region says as a federation entity. `look` and `make` belong on a thread."""

    def __init__(self, region: Region, trust: TrustedSet) -> None:
        """`region` is as it presents itself, still without subordinates."""
        self._region = region
        self._trust = trust
        self._snapshot: _Snapshot | None = None

    @property
    def entity_id(self) -> str:
        """Its own entity identifier."""
        return self._region.entity_id

    # --- for whom

    def _current(self, now: datetime) -> _Snapshot | None:
        found = self._snapshot
        if found is None or now >= found.until:
            return None
        held = self._trust.lists()
        same = len(held) == len(found.lists) and all(one is other for one, other in zip(held, found.lists, strict=True))
        return found if same else None

    def settled(self, now: datetime) -> bool:
        """Whether it is known for whom it vouches now, so that `look` costs nothing."""
        return self._current(now) is not None

    def look(self, now: datetime) -> _Snapshot:
        """For whom it vouches now. The first time this takes a while: 0.1 s for 1,000 keys."""
        found = self._current(now)
        if found is not None:
            return found
        before = self._snapshot
        lists = self._trust.lists()
        words: dict[str, tuple[TrustedEntity, ...]] = {}
        signed = frozenset(each.name for each in lists if each.format != FEDERATION)
        for role in ENTITY_TYPES:
            for entity in self._trust.entities(role, now):
                said_by = (word for word in self._trust.words(entity.entity_id, role) if word.listed_in in signed)
                until = min(entity.valid_until, max((word.valid_until for word in said_by), default=now))
                if entity.status_at(now) is Status.GRANTED and now < until - LAST_MOMENT:
                    words[entity.entity_id] = (*words.get(entity.entity_id, ()), _as(entity, role, until))
        subordinates: dict[str, Subordinate] = {}
        for entity_id, said in words.items():
            if before is not None and before.words.get(entity_id) == said:
                found_before = before.region.subordinates.get(entity_id)
            else:
                found_before = subordinate(said)
            if found_before is not None:
                subordinates[entity_id] = found_before
        snapshot = _Snapshot(
            lists=lists,
            until=min(_instants(lists, now), default=now + timedelta(days=1)),
            region=replace(self._region, subordinates=subordinates),
            words=words,
        )
        self._snapshot = snapshot
        return snapshot

    def vouched(self, entity_id: str, now: datetime) -> tuple[TrustedEntity, ...] | None:
        """What the lists say of a subordinate, by role; None for everybody else."""
        snapshot = self.look(now)
        return snapshot.words[entity_id] if entity_id in snapshot.region.subordinates else None

    # --- what it signs

    def ready(self, path: str, parameters: Parameters, now: datetime) -> Signed | None:
        """The answer if it was made before and holds."""
        snapshot = self._current(now)
        found = None if snapshot is None else snapshot.signed.get(_key(path, parameters))
        return found if found is not None and now < found.renew_at else None

    def make(self, path: str, parameters: Parameters, now: datetime) -> Signed:
        """The answer of the endpoint at `path`, or of the entity configuration for any other one."""
        snapshot = self.look(now)
        region, ends = snapshot.region, now + self._region.lifetime
        if path == FETCH:
            answer = federation_serving.subordinate_statement(region, parameters, now)
            about = region.subordinates.get(_key(path, parameters).removeprefix(FETCH + " "))
            if about is not None and about.valid_until is not None:
                ends = min(ends, about.valid_until)
        elif path == LIST:
            answer = federation_serving.listing(region, parameters)
        else:
            answer = federation_serving.entity_configuration(region, now)
        made = Signed(answer=answer, etag=hashlib.sha256(answer.body).hexdigest(), renew_at=now + (ends - now) / 2)
        key = _key(path, parameters)
        if answer.status == 200 and key:  # noqa: PLR2004 - an answer that will do for others, too
            snapshot.signed[key] = made
        return made

    def chain(self, entity_id: str, configuration: str, now: datetime) -> Chain:
        """The chain of a subordinate, from the configuration that it publishes to this region.

        Raises `StatementRefusedError`.
        """
        statement = self._token(FETCH, (("sub", entity_id),), now)
        own = self._token("", (), now)
        anchor = read_configuration(own, read_keys({"keys": [self._region.signer.public_jwk()]}))
        return Verifier(anchor, now).verify((configuration, statement), of_itself=(etsi.FEDERATION_MEMBER,))

    def resolved(self, parameters: Parameters, chain: Chain, now: datetime) -> Answer:
        """The answer of the resolve endpoint (§8.3) about the subject of a chain."""
        federation = Federation(anchor=chain.anchor, chains={chain.subject: chain}, faults=())
        return federation_serving.resolve_response(self._region, parameters, federation, now)

    def _token(self, path: str, parameters: Parameters, now: datetime) -> str:
        return (self.ready(path, parameters, now) or self.make(path, parameters, now)).answer.body.decode()


def _key(path: str, parameters: Parameters) -> str:
    """What an answer is kept by; empty for one that is not kept."""
    if path == FETCH:
        subjects = [value for name, value in parameters if name == "sub"]
        return f"{FETCH} {subjects[0]}" if len(subjects) == 1 else ""
    if path == LIST:
        filters = {name for name, _ in parameters} & {"entity_type", "intermediate", "trust_marked", "trust_mark_type"}
        return "" if filters else LIST
    return "configuration"


def _instants(lists: Iterable[TrustList], now: datetime) -> Iterator[datetime]:
    """When something ends or begins by itself."""
    for trust_list in lists:
        for entity in trust_list.entities:
            ends = min(entity.valid_until, trust_list.valid_until)
            for instant in (ends - LAST_MOMENT, ends, entity.status_since):
                if instant is not None and instant > now:
                    yield instant


def _as(entity: TrustedEntity, role: Role, until: datetime) -> TrustedEntity:
    same = entity.roles == {role} and entity.valid_until == until
    return entity if same else replace(entity, roles=frozenset({role}), valid_until=until)


# --- what it says of a subordinate


def subordinate(words: Sequence[TrustedEntity]) -> Subordinate | None:
    """What the region says of an entity, which the lists name in one role or more; None if it cannot vouch for it.

    That takes an entity ID that is an address, listed keys with which it can sign, and one municipality.
    """
    entity_id = words[0].entity_id
    keys = _federation_keys(words)
    if keys is None or not is_entity_id(entity_id) or len({word.municipality for word in words}) > 1:
        return None
    types = {ENTITY_TYPES[role]: word for word in words for role in word.roles}
    member = _member(words)
    metadata = {each: _metadata(each, word) for each, word in types.items()}
    return Subordinate(
        entity_id=entity_id,
        jwks={"keys": keys},
        metadata={**metadata, **({etsi.FEDERATION_MEMBER: member} if member else {})},
        metadata_policy=dict.fromkeys(types, _NO_KEYS_ELSEWHERE),
        constraints={"max_path_length": 0, "allowed_entity_types": sorted({*types, etsi.FEDERATION_MEMBER})},
        entity_types=frozenset(types),
        valid_until=min(word.valid_until for word in words),
    )


def _federation_keys(words: Iterable[TrustedEntity]) -> list[Json] | None:
    """The listed keys that make signatures of entity statements, by key ID; its thumbprint where the list states none.

    None if there is none, or two go by one key ID.
    """
    found: dict[str, Json] = {}
    for word in words:
        for key in word.metadata.get("jwks", {}).get("keys", ()):
            try:
                kid = key.get("kid") or jwk.import_key(key).thumbprint()
            except (JoseError, ValueError, TypeError, KeyError):
                return None
            named = {**key, "kid": kid}
            if found.setdefault(kid, named) != named:
                return None
    try:
        usable = read_keys({"keys": list(found.values())})
    except ValueError:
        return None
    return [key for kid, key in found.items() if kid in usable]


def _metadata(entity_type: str, word: TrustedEntity) -> dict[str, Any]:
    """What is registered of it, and its names; what the subject says of itself cannot change these (§6.1.4.2)."""
    names = {f"display_name#{language}": name for language, name in word.names.items()}
    issuer = {"issuer": word.entity_id} if entity_type == "openid_provider" else {}
    return {**names, **issuer, **word.metadata}


def _member(words: Sequence[TrustedEntity]) -> dict[str, Any]:
    """What it is worth, in our own entity type: the narrower of its roles' limits."""
    municipality = words[0].municipality
    uses = [word.uses for word in words if word.uses is not None]
    levels = [word.maximum_identity for word in words if word.maximum_identity is not None]
    return {
        **({} if municipality is None else {"municipality": municipality}),
        **({"uses": sorted(reduce(and_, uses))} if uses else {}),
        **({"maximum_identity": min(levels)} if levels else {}),
    }


# --- the region itself


def open_vouching(
    configuration: Configuration, keys: GatewayKeys, trust: TrustedSet, provider: OidcProvider, public_url: str
) -> Vouching | None:
    """The region as a federation entity, if the configuration wants it to be one."""
    wanted, gateway = configuration.gateway.federation, configuration.gateway
    if wanted is None:
        return None
    return Vouching(
        Region(
            entity_id=public_url,
            signer=keys.federation,
            other_keys=tuple(key.public_jwk() for key in keys.federation_beside),
            fetch_endpoint=public_url + FETCH,
            list_endpoint=public_url + LIST,
            resolve_endpoint=public_url + RESOLVE,
            lifetime=timedelta(hours=wanted.statement_hours),
            authority_hints=wanted.authority_hints,
            metadata={
                FEDERATION_ENTITY: {
                    **_named("organization_name", gateway.region.name, gateway.default_language),
                    "contacts": list(gateway.region.contact.values()),
                },
                "openid_provider": _provider(provider),
            },
        ),
        trust,
    )


def _named(name: str, texts: Texts, default: str) -> dict[str, str]:
    """A text in the default language, and with a tag in each (OpenID Registration §2.1)."""
    tagged = {f"{name}#{language}": text for language, text in texts.items()}
    return {name: texts.get(default, next(iter(texts.values()))), **tagged}


def _provider(provider: OidcProvider) -> dict[str, Any]:
    """The provider's metadata as its discovery document states them, its keys by value instead of by address."""
    metadata: dict[str, Any] = json.loads(provider.configuration().body)
    del metadata["jwks_uri"]
    return {
        **metadata,
        "jwks": json.loads(provider.jwks().body),
        "client_registration_types_supported": [REGISTRATION],
    }
