"""The production entry: one gateway on its sockets, from the first check to the last answer.

With one worker, everything lives in this process. With more, this process keeps the store, the admin listener and the
listening sockets, and starts workers that serve the public listener on those sockets (`gateway/workers.py`). SIGTERM and
SIGINT end it in order: no new connections, what is under way is finished within `limits.shutdown_seconds`, exit code 0.
SIGHUP looks for changes of configuration and lists at once.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from gateway.admin import admin_app
from gateway.app import public_app
from gateway.config import Configuration, ConfigurationError, load
from gateway.keys import StateDirectoryError, private_directory
from gateway.listeners import ListenError, bind
from gateway.process import VERSION, Process, Telemetry, kept_store, look_again, running
from gateway.store import StoreUnfitError
from gateway.workers import WorkerError, Workers
from federation.refusal import Unavailable
from observability import logs

log = structlog.get_logger("gateway.serve")

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

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
    """Serve until told to stop, and answer the exit code. What prevents it is said in a sentence on standard error."""
    try:
        private_directory(options.state)
        configuration = load(options.config, state=options.state)
    except ConfigurationError as fault:
        sys.stderr.write(fault.format(options.language) + "\n")
        return EXIT_CONFIGURATION
    except StateDirectoryError as fault:
        sys.stderr.write(f"kakehashi: {fault}\n")
        return EXIT_FAILED
    if (options.workers or configuration.gateway.workers) > 1:
        share_metrics(options.state)
    settings = configuration.gateway.log
    logs.configure(version=VERSION, format="text" if settings.format == "console" else "json", level=settings.level)
    try:
        run_loop(_serve(options, configuration))
    except (StateDirectoryError, ListenError, StoreUnfitError, WorkerError) as fault:
        sys.stderr.write(f"kakehashi: {fault}\n")
        return EXIT_FAILED
    except Unavailable:
        sys.stderr.write(
            "kakehashi: the store does not answer. Expected a Redis or Valkey server at the address under store.url "
            "or --store. Start it, or mend the address.\n"
        )
        return EXIT_FAILED
    return EXIT_OK


def share_metrics(state: Path) -> None:
    """Start this program again with shared metrics, which their library decides on while it is imported."""
    if METRICS_VARIABLE in os.environ:
        return
    directory = private_directory(state / "metrics")
    for left_over in directory.glob("*.db"):
        left_over.unlink()
    environment = {**os.environ, METRICS_VARIABLE: str(directory)}
    os.execve(sys.executable, [sys.executable, "-m", "gateway.cli", *sys.argv[1:]], environment)  # noqa: S606


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def _serve(options: Options, configuration: Configuration) -> None:
    settings = configuration.gateway
    stop, again = asyncio.Event(), asyncio.Event()
    on_signals(stop, again)
    with contextlib.ExitStack() as sockets:
        public = _bound(sockets, settings.listen.host, settings.listen.port)
        admin = _bound(sockets, settings.admin.host, settings.admin.port)
        workers = options.workers or settings.workers
        directory = Path(os.environ[METRICS_VARIABLE]) if workers > 1 else None
        telemetry = Telemetry()
        observer = telemetry.observer()
        async with contextlib.AsyncExitStack() as stack:
            access = await stack.enter_async_context(
                kept_store(configuration, options.state, options.store, observer)
            )
            process = await stack.enter_async_context(
                running(
                    configuration,
                    state=options.state,
                    access=access,
                    telemetry=telemetry,
                    observer=observer,
                )
            )
            await stack.enter_async_context(reloading(again, process))
            if directory is None:
                serving = listening(
                    public_app(process.gateway), public, settings.limits.shutdown_seconds, tls(configuration)
                )
            else:
                serving = Workers(
                    count=workers,
                    config=options.config,
                    state=options.state,
                    access=access,
                    sockets=public,
                    metrics=directory,
                    seconds=settings.limits.shutdown_seconds,
                ).running()
            await stack.enter_async_context(
                listening(admin_app(process, metrics_directory=directory, stopping=stop), admin, 1.0, None)
            )
            await stack.enter_async_context(serving)
            report_start(configuration, workers)
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


@contextlib.asynccontextmanager
async def reloading(again: asyncio.Event, process: Process) -> AsyncIterator[None]:
    """Look for changes whenever `again` is set."""

    async def work() -> None:
        while True:
            await again.wait()
            again.clear()
            await look_again(process.gateway, process.telemetry)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, sockets: Sequence[socket.socket], seconds: float, context: ssl.SSLContext | None
) -> AsyncIterator[None]:
    """Serve `app` on `sockets`; at the end accept nothing more and give what is under way `seconds` to finish."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=seconds,
        keepalive_timeout=75,
        max_line_size=16 * 1024,
        max_field_size=16 * 1024,
    )
    await runner.setup()
    try:
        for listener in sockets:
            await web.SockSite(runner, listener, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


def tls(configuration: Configuration) -> ssl.SSLContext | None:
    """The public listener's TLS: 1.2 or later, as CRYPTREC's guideline for TLS asks."""
    if configuration.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(configuration.tls.certificate, configuration.tls.key)
    return context


def report_start(configuration: Configuration, workers: int) -> None:
    """Say where the gateway listens, and everything about it that is weaker than the default."""
    settings = configuration.gateway
    log.info("started", address=str(settings.public_url).rstrip("/"), count=workers)
    if not str(settings.public_url).startswith("https://"):
        log.warning("weaker-setting", weaker="plain-http-on-loopback")
    for name in settings.weaker:
        log.warning("weaker-setting", weaker=name)


def settle() -> None:
    """What lives until the end is not looked at again by the garbage collector, whose pauses make the tail."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
