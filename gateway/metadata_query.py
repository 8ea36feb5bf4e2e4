"""The region's own SAML entities by the Metadata Query protocol: one signed entity instead of an aggregate.

`trust_lists/mdq.py` knows the protocol; here it is answered at `/mdq`, if the configuration wants it. What others may
learn of members of the lists, their authority publishes itself (`kakehashi trust publish`).
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web

from federation.refusal import UnknownPath
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from gateway.context import GATEWAY
from gateway.federation_endpoints import KEEP, conditional
from gateway.region import Region
from trust_lists import mdq, saml_metadata
from trust_lists.federation_serving import Answer
from trust_lists.xmldsig import Signer

BASE = "/mdq"
COLLECTION = ""
"""Stands for the whole collection among what is kept."""

SIGNED_AGAIN = timedelta(hours=1)

Role = SamlIdentityProvider | SamlServiceProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    answer: Answer
    etag: str
    renew_at: datetime


@dataclass(slots=True)
class _Answers:
    """What was signed for one opened region, by entity ID; `names` are the identifiers that lead to each."""

    region: Region
    roles: Mapping[str, Role]
    names: Mapping[str, str]
    signed: dict[str, _Signed] = field(default_factory=dict)
    one: asyncio.Lock = field(default_factory=asyncio.Lock)
    all: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Published:
    """The answers for the region in force."""

    answers: _Answers | None = None

    def of(self, region: Region) -> _Answers:
        """Those of this region, made anew when it has been swapped."""
        found = self.answers
        if found is None or found.region is not region:
            own = roles(region)
            names = {identifier: each for each in own for identifier in (each, mdq.transformed(each))}
            found = self.answers = _Answers(region=region, roles=own, names=names)
        return found


PUBLISHED = web.AppKey("published_metadata", Published)


def roles(region: Region) -> dict[str, Role]:
    """The region's own SAML entities: the hub, those of single municipalities, and the service provider."""
    found: tuple[Role, ...] = (
        region.saml_identity_provider,
        region.saml_service_provider,
        *region.municipal_identity_providers.values(),
    )
    return {role.entity_id: role for role in found}


async def entity(request: web.Request) -> web.StreamResponse:
    """GET /mdq/entities/ID: one of them, signed."""
    answers = _answers(request)
    try:
        asked = mdq.identifier(request.raw_path.partition("?")[0].removeprefix(BASE))
    except ValueError as fault:
        raise UnknownPath("not the path of one entity") from fault
    named = answers.names.get(asked)
    if named is None:
        raise UnknownPath("no such entity is published")
    gateway = request.app[GATEWAY]
    now = gateway.clock()
    make = partial(_single, answers, named, now)
    async with answers.one:
        found = _kept(answers, named, now) or _keep(answers, named, await gateway.outward.run(make), now)
    return conditional(request, found.answer, found.etag, caching=KEEP)


async def entities(request: web.Request) -> web.StreamResponse:
    """GET /mdq/entities: all of them as one signed aggregate."""
    answers, gateway = _answers(request), request.app[GATEWAY]
    now = gateway.clock()
    make = partial(_collection, answers, gateway.keys.saml, now)
    async with answers.all:  # a whole country takes longer than a step of protocol work may
        found = _kept(answers, COLLECTION, now) or _keep(answers, COLLECTION, await asyncio.to_thread(make), now)
    return conditional(request, found.answer, found.etag, caching=KEEP)


def _answers(request: web.Request) -> _Answers:
    region = request.app[GATEWAY].region
    if region.configuration.gateway.metadata_query is None:
        raise UnknownPath("metadata are not served by query")
    return request.app[PUBLISHED].of(region)


def _kept(answers: _Answers, named: str, now: datetime) -> _Signed | None:
    found = answers.signed.get(named)
    return found if found is not None and now < found.renew_at else None


def _keep(answers: _Answers, named: str, body: bytes, now: datetime) -> _Signed:
    """Keep it for an hour, so that whoever asks often costs little."""
    made = answers.signed[named] = _Signed(
        answer=Answer(status=200, media_type=mdq.MEDIA_TYPE, body=body),
        etag=hashlib.sha256(body).hexdigest(),
        renew_at=now + SIGNED_AGAIN,
    )
    return made


def _until(region: Region, now: datetime) -> datetime:
    wanted = region.configuration.gateway.metadata_query
    assert wanted is not None  # `_answers` saw to that
    return now + timedelta(days=wanted.valid_days)


def _single(answers: _Answers, named: str, now: datetime) -> bytes:
    return answers.roles[named].metadata(now=now, valid_until=_until(answers.region, now), cache=mdq.CACHE)


def _collection(answers: _Answers, signer: Signer, now: datetime) -> bytes:
    region = answers.region
    municipal = region.municipal_identity_providers
    providers = (region.saml_identity_provider, *municipal.values())
    return saml_metadata.publish(
        [role.metadata(now=now) for role in answers.roles.values()],
        name=region.public_url,
        signer=signer,
        issued_at=now,
        valid_until=_until(region, now),
        municipalities={provider.entity_id: code for code, provider in municipal.items()},
        scopes={provider.entity_id: (region.configuration.scope,) for provider in providers},
        authority=region.public_url,
    )


ROUTES = (
    web.get(BASE + "/entities", entities),
    web.get(BASE + r"/entities/{identifier:[\s\S]+}", entity),
)
