"""The production entry: one gateway on its sockets, from the first check to the last answer.

With one worker, everything lives in this process. With more, this process keeps the store, the admin listener
and the listening sockets, and starts workers that serve the others on those sockets
(`gateway/workers.py`). SIGTERM and SIGINT end it in order: no new connections, what is under way is finished
within `limits.shutdown_seconds`, exit code 0. SIGHUP looks for changes of configuration and lists at once.
"""

import asyncio
import contextlib
import errno
import gc
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from federation.refusal import Unavailable
from gateway.admin import admin_app
from gateway.app import public_app
from gateway.card_readers import CardTls, card_app
from gateway.client_certificates import ClientTls, certificates_app
from gateway.config import Configuration, ConfigurationError, load
from gateway.context import Gateway
from gateway.handshakes import ToldHandshake
from gateway.holder import fingerprint
from gateway.http_server import Runner
from gateway.keys import StateDirectoryError, private_directory, state_directory
from gateway.listeners import ListenError, bind
from gateway.process import VERSION, Process, Telemetry, background, kept_store, running
from gateway.store import StoreUnfitError
from gateway.workers import Sockets, WorkerError, Workers
from observability import logs

log = structlog.get_logger("gateway.serve")

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

KEEPER_VARIABLE = "KAKEHASHI_KEEPER"
"""Holds the number of the process that shares its metrics with workers."""

AGAIN = ("-P", "-m", "gateway")
"""This program as the interpreter's arguments; `-P`: the working directory is no place for modules."""

THREADS_TURN = 0.0005
"""Seconds that a thread computes before the event loop may go on; Python's own 0.005 is the length of many calls."""

ADMIN_SECONDS = 1.0
"""How long a request of an operator may take to finish at the end."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIGURATION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; None leaves it to the configuration."""

    config: Path
    state: Path
    store: str | None = None
    workers: int | None = None
    language: str | None = None


def run(options: Options) -> int:
    """Serve until told to stop, and answer the exit code. What prevents it is said in a sentence."""
    try:
        state_directory(options.state)
        seen = fingerprint(options.config)
        configuration = load(options.config, state=options.state)
        if (options.workers or configuration.gateway.workers) > 1:
            share_metrics(options.state)
        configure_log(configuration)
        run_loop(_serve(options, configuration, seen))
    except ConfigurationError as fault:
        sys.stderr.write(fault.format(options.language) + "\n")
        return EXIT_CONFIGURATION
    except (StateDirectoryError, ListenError, StoreUnfitError, WorkerError) as fault:
        sys.stderr.write(f"kakehashi: {fault}\n")
        return EXIT_FAILED
    except Unavailable as fault:
        sys.stderr.write(
            f"kakehashi: the store cannot be used ({fault.detail.removeprefix('store: ')}). Expected a Redis or "
            "Valkey server at the address under store.url or --store, and its password. Start it, or mend those.\n"
        )
        return EXIT_FAILED
    return EXIT_OK


def configure_log(configuration: Configuration) -> None:
    """Log as the configuration says."""
    settings = configuration.gateway.log
    form: logs.Format = "text" if settings.format == "console" else "json"
    logs.configure(version=VERSION, format=form, level=settings.level)


def share_metrics(state: Path) -> None:
    """Start this program again with shared metrics, which their library decides on while it is imported.

    Each run has a directory of its own below `state`; those of runs that have ended are removed.
    """
    if os.environ.get(KEEPER_VARIABLE) == str(os.getpid()):  # execve keeps the process's number
        return
    shared = private_directory(state / "metrics")
    for ended in shared.iterdir():
        if not (ended.name.isdecimal() and _alive(int(ended.name))):
            shutil.rmtree(ended, ignore_errors=True)
    directory = shared / str(os.getpid())
    shutil.rmtree(directory, ignore_errors=True)
    environment = {
        **os.environ,
        METRICS_VARIABLE: str(private_directory(directory)),
        KEEPER_VARIABLE: str(os.getpid()),
    }
    os.execve(sys.executable, [sys.executable, *AGAIN, *sys.argv[1:]], environment)  # noqa: S606 - our own program


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as fault:
        return fault.errno == errno.EPERM
    return True


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one, which threads that compute (evidence, signatures) do not hold up for long."""
    sys.setswitchinterval(THREADS_TURN)
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def _serve(options: Options, configuration: Configuration, seen: str) -> None:
    settings = configuration.gateway
    stop, again = asyncio.Event(), asyncio.Event()
    on_signals(stop, again)
    count = options.workers or settings.workers
    seconds = settings.limits.shutdown_seconds
    with contextlib.ExitStack() as sockets:
        public = _bound(sockets, settings.listen.host, settings.listen.port)
        admin = _bound(sockets, settings.admin.host, settings.admin.port)
        reader = configuration.card_readers
        cards = () if reader is None else _bound(sockets, reader.host, reader.port)
        shown = configuration.client_certificates
        clients = () if shown is None or shown.tls is None else _bound(sockets, shown.host, shown.port)
        shared = Sockets(public=public, cards=cards, clients=clients)
        context = tls(configuration)
        telemetry = Telemetry()
        observer = telemetry.observer()
        async with contextlib.AsyncExitStack() as stack:
            access = await stack.enter_async_context(kept_store(configuration, options.state, options.store, observer))
            process = await stack.enter_async_context(
                running(
                    configuration,
                    seen=seen,
                    state=options.state,
                    access=access,
                    telemetry=telemetry,
                    observer=observer,
                    replaced=partial(renew, context),
                    refreshes=True,
                )
            )
            workers = None
            if count > 1:
                workers = Workers(
                    count=count,
                    config=options.config,
                    state=options.state,
                    access=access,
                    sockets=shared,
                    metrics=Path(os.environ[METRICS_VARIABLE]),
                    seconds=seconds,
                )
                served: contextlib.AbstractAsyncContextManager[None] = workers.running()
            else:
                served = serving(process.gateway, shared, seconds, context)
            await stack.enter_async_context(
                listening(ADMIN_SECONDS, Listener(admin_app(process, workers=workers, stopping=stop), admin))
            )
            await stack.enter_async_context(served)
            await stack.enter_async_context(passing_on(again, process, workers))
            report_start(configuration, count)
            settle()
            await stop.wait()
            log.info("stopping")
    log.info("stopped")


def _bound(stack: contextlib.ExitStack, host: str, port: int) -> list[socket.socket]:
    found = bind(host, port)
    for listener in found:
        stack.callback(listener.close)
    return found


def on_signals(stop: asyncio.Event, again: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`, SIGHUP sets `again`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)


def passing_on(
    again: asyncio.Event, process: Process, workers: Workers | None
) -> contextlib.AbstractAsyncContextManager[None]:
    """While the context is open, this process and its workers read everything again whenever `again` is set."""

    async def work() -> None:
        while True:
            await again.wait()
            again.clear()
            process.again.set()
            if workers is not None:
                workers.read_again()

    return background(work)


@dataclass(frozen=True, slots=True)
class Listener:
    """An application, and where it is served."""

    app: web.Application
    sockets: Sequence[socket.socket]
    context: ssl.SSLContext | None = None


@contextlib.asynccontextmanager
async def listening(seconds: float, *listeners: Listener) -> AsyncIterator[None]:
    """Serve them; at the end accept nothing more on any of them, and give what is under way `seconds` to finish."""
    runners = [_runner(each.app, seconds) for each in listeners]
    try:
        for each, runner in zip(listeners, runners, strict=True):
            await runner.setup()
            for listener in each.sockets:
                await web.SockSite(runner, listener, ssl_context=each.context).start()
        yield
    finally:
        for site in [site for runner in runners for site in runner.sites]:
            await site.stop()
        ended = await asyncio.gather(*(runner.cleanup() for runner in runners), return_exceptions=True)
        for fault in ended:
            if fault is not None:
                raise fault


def _runner(app: web.Application, seconds: float) -> Runner:
    return Runner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=seconds,
        keepalive_timeout=75,
        max_line_size=16 * 1024,
        max_field_size=16 * 1024,
        auto_decompress=False,  # else proxied bodies no longer have the length that goes upstream with them
    )


def serving(
    gateway: Gateway, sockets: Sockets, seconds: float, context: ssl.SSLContext | None
) -> contextlib.AbstractAsyncContextManager[None]:
    """Serve what one worker serves: the public listener, and those for card readers and clients' certificates."""
    configuration = gateway.region.configuration
    listeners = []
    reader, shown = configuration.card_readers, configuration.client_certificates
    if reader is not None and sockets.cards:
        listeners.append(Listener(card_app(gateway), sockets.cards, CardTls(gateway, reader).context))
    if shown is not None and shown.tls is not None and sockets.clients:
        listeners.append(Listener(certificates_app(gateway), sockets.clients, ClientTls(gateway, shown).context))
    return listening(seconds, *listeners, Listener(public_app(gateway), sockets.public, context))


def tls(configuration: Configuration) -> ssl.SSLContext | None:
    """The public listener's TLS: 1.2 or later, as CRYPTREC's guideline for TLS asks."""
    if configuration.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = ToldHandshake
    renew(context, configuration)
    return context


def renew(context: ssl.SSLContext | None, configuration: Configuration) -> None:
    """Let `context` show the certificate that is on disk now; open connections keep theirs."""
    if context is not None and configuration.tls is not None:
        context.load_cert_chain(configuration.tls.certificate, configuration.tls.key)


def report_start(configuration: Configuration, workers: int) -> None:
    """Say where the gateway listens, and everything about it that is weaker than the default."""
    settings = configuration.gateway
    log.info("started", address=str(settings.public_url).rstrip("/"), count=workers)
    if not str(settings.public_url).startswith("https://"):
        log.warning("weaker-setting", weaker="plain-http-on-loopback")
    for name in settings.weaker:
        log.warning("weaker-setting", weaker=name)
    for source in configuration.sources:
        if source.private_addresses:
            log.warning("weaker-setting", weaker="private-addresses", list=source.name)
    for system in configuration.id_systems.values():
        for weaker in sorted(system.weaker):
            log.warning("weaker-setting", weaker=weaker, id_system=system.system.id)
    for service in configuration.services.values():
        for weaker in sorted(service.weaker):
            log.warning("weaker-setting", weaker=weaker, relying_service=service.service.id)
        if service.service.signing:
            log.warning("gets-certificates", relying_service=service.service.id)


def settle() -> None:
    """What lives until the end is not looked at again by the garbage collector, whose pauses make the tail."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
