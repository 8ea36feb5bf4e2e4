"""What one gateway process is made of, from its keys to its background work; opened in one order, closed in reverse.

Every process holds a region of its own and watches the configuration and the lists by itself, so a change
takes effect everywhere within `trust.refresh_seconds`. One process of a gateway is its keeper: it starts or
examines the store.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from federation.certificate.model import RevocationPolicy
from federation.refusal import Unavailable
from gateway import keys as gateway_keys
from gateway import lateness
from gateway.calls.quotas import CallQuotas
from gateway.certificate_status import CertificateStatuses
from gateway.certificate_watch import CertificateWatch
from gateway.clock import now
from gateway.config import Configuration
from gateway.context import Gateway
from gateway.council.asking import BOUNDS, Questions
from gateway.council.rows import Rows
from gateway.council.running import Council
from gateway.embedded import EmbeddedStore
from gateway.ending import AT_ONCE, SERVICES_AT_ONCE, Ending
from gateway.evidence import Evidence, keeping
from gateway.fetching import Fetcher
from gateway.holder import RegionHolder
from gateway.lists import HighWater
from gateway.messages import Messages
from gateway.outward import Outward
from gateway.refreshing import Refresher, share_marks
from gateway.region import Region
from gateway.revocations import Revocations
from gateway.store import Store, connect
from gateway.upstream.pools import Pools
from gateway.upstream.telling import Telling
from observability import logs
from observability.events import Observer, OverdueEvent, StoreChange, StoreEvent, UpstreamEvent
from observability.health import States
from observability.logs import LogRecorder
from observability.metrics import Metrics
from observability.series import Series
from observability.vocabulary import Vocabulary

log = structlog.get_logger("gateway.process")

EMBEDDED = "embedded"
NOT_DURABLE = "store-not-durable"
VERSION = version("kakehashi-gateway")

TELL_SECONDS = 0.1
"""How often log and metrics hear of calls that went well."""

FLUSH_SECONDS = 1.0
"""How often the operations page's counters go to the store."""

ASKED_AT_ONCE = 32
"""Connections to issuers of certificates."""

PROBE_SECONDS = 1.0
"""How often a store that the gateway does not run itself is asked whether it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Everybody who is told of events in this process."""

    states: States = field(default_factory=States)
    series: Series = field(default_factory=lambda: Series(Vocabulary()))
    evidence: Evidence = field(default_factory=Evidence)
    metrics: Metrics = field(default_factory=lambda: Metrics(Vocabulary(), version=VERSION))

    def observer(self) -> Observer:
        """One recorder for all of them."""
        return Observer([self.metrics, LogRecorder(), self.series, self.states, self.evidence])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccess:
    """How a process reaches the store; `waits_for_disk` as in `Store`. Handed from a keeper to its workers."""

    url: str = field(repr=False)
    waits_for_disk: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The parts of a running process. Setting `again` makes it read all of its configuration again at once."""

    gateway: Gateway
    telemetry: Telemetry
    again: asyncio.Event
    state: Path


@contextlib.asynccontextmanager
async def kept_store(
    configuration: Configuration, state: Path, url: str | None, observer: Observer
) -> AsyncIterator[StoreAccess]:
    """The keeper's part: start the embedded store, or make sure that the server named is fit.

    Raises `StateDirectoryError`, `StoreUnfitError`, `Unavailable`.
    """

    def changed(word: StoreChange) -> None:
        observer.record(StoreEvent(change=word, at=now()))

    url = url or configuration.store_url
    if url == EMBEDDED:
        embedded = EmbeddedStore(state / "store", changed=changed)
        try:
            await embedded.start()
            yield StoreAccess(url=f"unix://{embedded.socket}", waits_for_disk=False)
        finally:
            await embedded.stop()
        return
    durable = NOT_DURABLE not in configuration.gateway.weaker
    store = Store(connect(url), bytes(32), waits_for_disk=durable)
    try:
        if durable:
            await store.require_durability()
        await store.round_trip()
        changed(StoreChange.UP)
        async with background(partial(probe, store, changed)):
            yield StoreAccess(url=url, waits_for_disk=durable)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def running(  # noqa: PLR0915 - the parts of a process, one after the other
    configuration: Configuration,
    *,
    seen: str,
    state: Path,
    access: StoreAccess,
    telemetry: Telemetry,
    observer: Observer,
    replaced: Callable[[Configuration], None],
    refreshes: bool = False,
) -> AsyncIterator[Process]:
    """Open a process and work in its background while the context is open.

    `seen` is the `fingerprint` of the directory that `configuration` was loaded from; `replaced` is called on
    the loop after each later one came into force. `refreshes`: this process fetches lists, for its whole node. Raises
    `StateDirectoryError`.
    """
    limits = configuration.gateway.limits
    async with contextlib.AsyncExitStack() as stack:
        outward = Outward(
            seconds=limits.outward_seconds,
            size=limits.outward_kib * 1024,
            overdue=lambda stage, abandoned: observer.record(OverdueEvent(stage=stage, abandoned=abandoned, at=now())),
        )
        stack.push_async_callback(outward.close)
        keys = await asyncio.to_thread(gateway_keys.load, state)
        await stack.enter_async_context(
            keeping(telemetry.evidence, state, keys.assertion, now, telemetry.metrics.evidence_kept)
        )
        messages = Messages.load(default=configuration.gateway.default_language)
        store = Store(connect(access.url), keys.sealing, waits_for_disk=access.waits_for_disk)
        stack.push_async_callback(store.close)
        share = partial(share_marks, store, str(configuration.gateway.public_url), HighWater(state))
        await share()
        holder = await asyncio.to_thread(
            partial(
                RegionHolder,
                configuration,
                seen=seen,
                state=state,
                keys=keys,
                messages=messages,
                recorder=observer,
                clock=now,
                adopted=partial(adopt, telemetry),
            )
        )
        await asyncio.to_thread(holder.look)
        await share()
        notifier = Fetcher(connections=AT_ONCE * SERVICES_AT_ONCE)
        stack.push_async_callback(notifier.close)
        revocations = Revocations(store=store, clock=now)
        ending = Ending(
            holder=holder,
            store=store,
            revocations=revocations,
            outward=outward,
            fetcher=notifier,
            signer=keys.saml,
            recorder=observer,
            clock=now,
        )
        stack.push_async_callback(ending.close)
        asker = Fetcher(connections=ASKED_AT_ONCE)
        stack.push_async_callback(asker.close)
        statuses = CertificateStatuses(
            fetcher=asker, outward=outward, clock=now, beyond=str(configuration.gateway.public_url)
        )
        stack.push_async_callback(statuses.close)
        await stack.enter_async_context(background(statuses.run))
        certificates = CertificateWatch(
            store=store,
            statuses=statuses,
            end=ending.end_person,
            policies=lambda: revocation_policies(holder.current),
            name=str(configuration.gateway.public_url),
            clock=now,
        )
        quotas = CallQuotas(store=store)
        concurrency = configuration.gateway.council.concurrency
        questioner = Fetcher(bounds=BOUNDS, connections=concurrency)
        stack.push_async_callback(questioner.close)
        pools = Pools(
            lambda service, change, address: observer.record(
                UpstreamEvent(change=change, service=service, at=now(), address=address)
            )
        )
        stack.callback(pools.close)
        telling = Telling(store, str(configuration.gateway.public_url), pools, lambda: holder.current.api_services, now)
        stack.push_async_callback(telling.end)
        await stack.enter_async_context(background(telling.run))
        council = Council(
            rows=Rows(store, str(configuration.gateway.public_url)),
            questions=Questions(holder=holder, fetcher=questioner, keys=keys, clock=now, pools=pools),
            holder=holder,
            clock=now,
            recorder=observer,
            concurrency=concurrency,
        )
        stack.push_async_callback(council.close)
        gateway = Gateway(
            holder=holder,
            store=store,
            outward=outward,
            recorder=observer,
            metrics=telemetry.metrics,
            messages=messages,
            keys=keys,
            clock=now,
            ending=ending,
            revocations=revocations,
            statuses=statuses,
            certificates=certificates,
            quotas=quotas,
            council=council,
            pools=pools,
            evidence=telemetry.evidence,
        )
        await stack.enter_async_context(background(quotas.run))
        await stack.enter_async_context(background(council.run))
        with contextlib.suppress(Unavailable):  # told when it is tried again
            await revocations.learn()
        await stack.enter_async_context(background(revocations.run))
        again = asyncio.Event()
        refresher = None
        if refreshes:
            fetcher = Fetcher()
            stack.push_async_callback(fetcher.close)
            refresher = Refresher(
                sources=lambda: holder.current.sources,
                state=state,
                store=store,
                region=str(configuration.gateway.public_url),
                fetcher=fetcher,
                recorder=observer,
                clock=now,
            )
            await stack.enter_async_context(background(refresher.run))
            await stack.enter_async_context(background(ending.run))
            await stack.enter_async_context(background(certificates.run))
        await stack.enter_async_context(background(partial(watch, holder, again, replaced, share, refresher)))
        stack.push_async_callback(flush_once, store, telemetry.series)
        await stack.enter_async_context(background(partial(flush, store, telemetry.series)))
        await stack.enter_async_context(background(partial(tell, telemetry)))
        await stack.enter_async_context(background(partial(lateness.watch, telemetry.metrics.loop_delayed)))
        yield Process(gateway=gateway, telemetry=telemetry, again=again, state=state)


def revocation_policies(region: Region) -> Mapping[str, RevocationPolicy]:
    """How each ID system of certificates wants to know of revocations, by its id."""
    systems = region.configuration.id_systems
    return {name: each.certificates.revocation for name, each in systems.items() if each.certificates is not None}


def adopt(telemetry: Telemetry, region: Region) -> None:
    """Let the names of the region in force be the ones that may become labels."""
    vocabulary = region.vocabulary()
    telemetry.metrics.reload(vocabulary)
    telemetry.series.reload(vocabulary)
    telemetry.states.expect(tuple(sorted(vocabulary.lists)))


async def watch(
    holder: RegionHolder,
    again: asyncio.Event,
    replaced: Callable[[Configuration], None],
    share: Callable[[], Coroutine[Any, Any, None]],
    refresher: Refresher | None,
) -> None:
    """Bring in changed configuration and changed lists; a fault in looking is logged, and the next look comes.

    `share` lets other nodes know of the highest sequence numbers, and this one of theirs: before a list is admitted,
    and after.
    """
    while True:
        before = holder.current
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(before.configuration.refresh.total_seconds()):
                await again.wait()
        everything = again.is_set()
        again.clear()
        try:
            newer = everything or await asyncio.to_thread(holder.changed)
            if newer:
                await share()
            await asyncio.to_thread(holder.look, everything=everything)
            if newer:
                await share()
            if everything and refresher is not None:
                refresher.hurry()
            if holder.current is not before:
                replaced(holder.current.configuration)
        except Exception:
            log.exception("watch-fault")


async def flush(store: Store, series: Series) -> None:
    """Carry the counters of this process to the store, where those of all processes meet."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await flush_once(store, series)


async def tell(telemetry: Telemetry) -> None:
    """Write the lines of the log that wait for others, and count the calls: ten times a second, and at the end."""
    try:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            logs.flush()
            telemetry.metrics.settle()
    finally:
        logs.flush()
        telemetry.metrics.settle()


async def flush_once(store: Store, series: Series) -> None:
    """Carry them once; what a store that is down cannot take waits for the next time."""
    counts = series.drain()
    if not counts:
        return
    try:
        await store.add_series(counts)
    except Unavailable:
        series.put_back(counts)


async def probe(store: Store, changed: Callable[[StoreChange], None]) -> None:
    """Tell when a server that others run goes and comes."""
    up = True
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        try:
            await store.round_trip()
        except Unavailable:
            found = False
        else:
            found = True
        if found != up:
            up = found
            changed(StoreChange.UP if up else StoreChange.DOWN)


@contextlib.asynccontextmanager
async def background(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run `work` beside the context and end it with it; a fault that ends it early is logged when it happens."""
    task = asyncio.create_task(_told(work))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _told(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("background-fault")
