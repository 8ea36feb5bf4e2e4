"""The addresses of the region as a federation entity (OpenID Federation 1.0 §8, §9), if it is configured to be one.

Otherwise nobody can tell them from unknown addresses. Mistakes of callers are answered in JSON as §8.9 says.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl

import structlog
from aiohttp import hdrs, web

from federation.oidc.oauth import json_document
from federation.refusal import Unavailable, UnknownPath
from gateway.context import GATEWAY, document
from gateway.fetching import Fetcher, FetchRefusedError
from gateway.region import Region
from gateway.vouching import FETCH, LIST, RESOLVE, Vouching
from trust_lists.federation_chains import Chain
from trust_lists.federation_serving import Answer, Parameters
from trust_lists.federation_statements import MEDIA_TYPE, WELL_KNOWN, configuration_url, is_entity_id
from trust_lists.federation_tokens import MAXIMUM_BYTES, StatementRefusedError
from trust_lists.model import TrustedEntity

log = structlog.get_logger("gateway.federation")

MOST_PARAMETERS = 32
METHODS = ("GET", "HEAD")

ASK_AGAIN = "no-cache"
"""Kept answers are asked for again each time: who is withdrawn disappears at once, and the rest costs little."""

KEEP = "public, max-age=600"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


# --- requests


def _vouching(region: Region) -> Vouching:
    if region.vouching is None:
        raise UnknownPath("the region is no federation entity")
    return region.vouching


def _parameters(request: web.Request) -> Parameters | None:
    """The decoded query; None if it cannot be decoded or has more than anybody needs."""
    query = request.rel_url.raw_query_string
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS))
    except ValueError:
        return None


def _problem(error: str, description: str, status: int, **headers: str) -> web.Response:
    body = {"error": error, "error_description": description}
    return document(json_document(body, status=status, headers=headers))


def for_federation(handler: Handler) -> Handler:
    """An endpoint of the federation: by GET only, and what goes wrong is said in the federation's form."""

    async def answered(request: web.Request) -> web.StreamResponse:
        _vouching(request.app[GATEWAY].region)
        if request.method not in METHODS:
            return _problem("invalid_request", "GET is expected.", HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        try:
            return await handler(request)
        except Unavailable as fault:
            log.warning("unavailable", detail=fault.detail)
            return _problem("temporarily_unavailable", "Try again later.", HTTPStatus.SERVICE_UNAVAILABLE)

    return answered


def conditional(request: web.Request, answer: Answer, etag: str, *, caching: str = ASK_AGAIN) -> web.Response:
    """A finished answer, or that the caller has it already (RFC 9110 §13.1.2)."""
    if answer.status != HTTPStatus.OK:
        return web.Response(status=answer.status, body=answer.body, headers={hdrs.CONTENT_TYPE: answer.media_type})
    headers = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: caching}
    if any(each.value in (etag, "*") for each in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=answer.body, headers={**headers, hdrs.CONTENT_TYPE: answer.media_type})


# --- statements


async def _stated(request: web.Request, path: str, *, caching: str = ASK_AGAIN) -> web.StreamResponse:
    """What is signed, if it is not at hand, on a thread."""
    gateway = request.app[GATEWAY]
    vouching, now = _vouching(gateway.region), gateway.clock()
    parameters = _parameters(request)
    if parameters is None:
        return _problem("invalid_request", "The query cannot be read.", HTTPStatus.BAD_REQUEST)
    found = vouching.ready(path, parameters, now)
    if found is None:
        await _settle(request, vouching, now)
        subjects = [value for name, value in parameters if name == "sub"]
        async with request.app[RESOLVER].lock(f"{path} {subjects}"):  # of those who ask at once the first has it made
            found = vouching.ready(path, parameters, now)
            if found is None:
                found = await gateway.outward.run(partial(vouching.make, path, parameters, now))
    return conditional(request, found.answer, found.etag, caching=caching)


async def _settle(request: web.Request, vouching: Vouching, now: datetime) -> None:
    """Let it look for whom it vouches: once for everybody, and not where logins have their steps done."""
    if not vouching.settled(now):
        async with request.app[RESOLVER].looking:
            await asyncio.to_thread(vouching.look, now)


async def configuration(request: web.Request) -> web.StreamResponse:
    """GET /.well-known/openid-federation: what the region says of itself (§9)."""
    return await _stated(request, WELL_KNOWN, caching=KEEP)


async def fetch(request: web.Request) -> web.StreamResponse:
    """GET /federation/fetch: what it says of a subordinate (§8.1)."""
    return await _stated(request, FETCH)


async def listing(request: web.Request) -> web.StreamResponse:
    """GET /federation/list: its subordinates (§8.2)."""
    return await _stated(request, LIST)


# --- resolving


@dataclass(slots=True)
class _Found:
    """A subordinate's chain, or why there is none, and until when that is not looked up again.

    It holds for one opened region, and while lists say the same `words`. `signed` are the answers given meanwhile, by
    the entity types that they were asked for: each is signed once.
    """

    vouching: Vouching
    words: Sequence[TrustedEntity]
    until: datetime
    chain: Chain | None = None
    error: str = ""
    signed: dict[frozenset[str] | None, Answer] = field(default_factory=dict)


@dataclass(slots=True)
class Resolver:
    """Asks subordinates for their configurations: each at most once at a time, and few of them together.

    Nobody but an entity that the region vouches for is asked, whatever callers name.
    """

    fetcher: Fetcher = field(default_factory=Fetcher)
    found: dict[str, _Found] = field(default_factory=dict)
    locks: dict[int, asyncio.Lock] = field(default_factory=dict)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_TOGETHER))

    def lock(self, name: str) -> asyncio.Lock:
        """Held by whoever finds out or signs what others ask for at the same time.

        By a hash, as callers name what they like at any length; two names that share one only wait for each other.
        """
        if len(self.locks) >= MOST_KEPT:
            self.locks.clear()
        return self.locks.setdefault(hash(name), asyncio.Lock())


RESOLVER = web.AppKey("federation_resolver", Resolver)

MOST_TOGETHER = 4
MOST_KEPT = 4096
SECONDS = 5.0
"""How long a subordinate may take to answer."""

LOOKED_UP_AGAIN = timedelta(minutes=10)
TRIED_AGAIN = timedelta(minutes=1)


async def resolving(app: web.Application) -> AsyncIterator[None]:
    """The way out to subordinates, closed at the end."""
    resolver = app[RESOLVER] = Resolver()
    yield
    await resolver.fetcher.close()


async def resolve(request: web.Request) -> web.StreamResponse:
    """GET /federation/resolve: a subordinate's metadata, with the chain that they come from (§8.3)."""
    gateway = request.app[GATEWAY]
    region, now = gateway.region, gateway.clock()
    vouching, parameters = _vouching(region), _parameters(request)
    subjects = [value for name, value in parameters or () if name == "sub"]
    anchors = [value for name, value in parameters or () if name == "trust_anchor"]
    if parameters is None or not anchors or len(subjects) != 1 or not is_entity_id(subjects[0]):
        description = "Exactly one parameter [sub] and a parameter [trust_anchor] are expected."
        return _problem("invalid_request", description, HTTPStatus.BAD_REQUEST)
    if vouching.entity_id not in anchors:
        return _problem("invalid_trust_anchor", "This resolver knows no such trust anchor.", HTTPStatus.NOT_FOUND)
    subject = subjects[0]
    await _settle(request, vouching, now)
    words = await gateway.outward.run(partial(vouching.vouched, subject, now))
    if words is None:
        return _problem("not_found", "This entity is not an immediate subordinate.", HTTPStatus.NOT_FOUND)
    found = await _looked_up(request, vouching, subject, words, now)
    if found.chain is None:
        if found.error == "unanswered":
            description = "The entity does not answer with its configuration."
            return _problem("temporarily_unavailable", description, HTTPStatus.SERVICE_UNAVAILABLE)
        description = f"The chain of this entity is not valid: {found.error}."
        return _problem("invalid_trust_chain", description, HTTPStatus.BAD_REQUEST)
    answer = await _answered(request, found, found.chain, parameters, now)
    return conditional(request, answer, hashlib.sha256(answer.body).hexdigest())


async def _answered(request: web.Request, found: _Found, chain: Chain, parameters: Parameters, now: datetime) -> Answer:
    """The answer about a subject: signed once for everybody until it is looked up again."""
    asked = {value for name, value in parameters if name == "entity_type"}
    types = frozenset(asked & chain.metadata.keys()) if asked else None
    async with request.app[RESOLVER].lock(chain.subject):
        answer = found.signed.get(types)
        if answer is None:
            answer = await request.app[GATEWAY].outward.run(partial(found.vouching.resolved, parameters, chain, now))
            if answer.status == HTTPStatus.OK:
                found.signed[types] = answer
        return answer


async def _looked_up(
    request: web.Request, vouching: Vouching, subject: str, words: Sequence[TrustedEntity], now: datetime
) -> _Found:
    resolver = request.app[RESOLVER]
    async with resolver.lock(subject):
        found = resolver.found.get(subject)
        if found is not None and found.vouching is vouching and found.words == words and now < found.until:
            return found
        async with resolver.turns:
            found = await _asked(request, vouching, subject, words, now)
        if len(resolver.found) >= MOST_KEPT:
            resolver.found.clear()
        resolver.found[subject] = found
        return found


async def _asked(
    request: web.Request, vouching: Vouching, subject: str, words: Sequence[TrustedEntity], now: datetime
) -> _Found:
    gateway = request.app[GATEWAY]
    sources = {source.name: source for source in gateway.region.sources}
    private = all(word.listed_in in sources and sources[word.listed_in].private_addresses for word in words)
    failed = _Found(vouching=vouching, words=words, until=now + TRIED_AGAIN, error="unanswered")
    try:
        answer = await request.app[RESOLVER].fetcher.fetch(
            configuration_url(subject),
            limit=MAXIMUM_BYTES,
            private=private,
            accept=MEDIA_TYPE,
            seconds=SECONDS,
            beyond=vouching.entity_id,
        )
    except FetchRefusedError as fault:
        log.info("federation-unanswered", detail=f"{subject}: {fault.code}")
        return failed
    if answer is None:
        return failed
    try:
        token = answer.body.decode("ascii").strip()
        chain = await gateway.outward.run(partial(vouching.chain, subject, token, now))
    except StatementRefusedError as refused:
        failed.error = refused.code
        return failed
    except UnicodeDecodeError:
        failed.error = "format"
        return failed
    half = now + (chain.expires_at - now) / 2
    return _Found(vouching=vouching, words=words, until=min(half, now + LOOKED_UP_AGAIN), chain=chain)


ROUTES = (
    web.route(hdrs.METH_ANY, WELL_KNOWN, for_federation(configuration)),
    web.route(hdrs.METH_ANY, FETCH, for_federation(fetch)),
    web.route(hdrs.METH_ANY, LIST, for_federation(listing)),
    web.route(hdrs.METH_ANY, RESOLVE, for_federation(resolve)),
)
