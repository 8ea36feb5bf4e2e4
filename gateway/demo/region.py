"""The demo region: its systems in this process, the gateway in one of its own, started and stopped together.

What must be there before the gateway starts (configuration, keys, signed lists) is made first and loads
little; the gateway's process then starts while this one loads and starts the other systems.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from gateway.clock import now
from gateway.demo.addresses import Addresses, PortUsedError, acquire, close
from gateway.demo.authority_keys import listed_certificate
from gateway.demo.keys import federation_key, public_pem
from gateway.demo.members import Authority, authority, sign_lists, write_members
from gateway.demo.rendering import PACKAGE, render
from gateway.demo.roster import FEDERATION, directory, omura_secret
from gateway.keys import StateDirectoryError, private_directory, state_directory, write_private
from trust_lists.recipes import RecipeError

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
"""How long the gateway's process may take to end before it is killed; it has a shorter limit of its own."""

LAST_LINES = 12
"""Of the gateway's log, shown when it could not start."""


class RegionError(Exception):
    """The region cannot start or go on; the text is for whoever started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region that runs. `state` is its directory; the gateway's own is `state/state`.

    `edited` are configuration files that were left as someone edited them.
    """

    addresses: Addresses
    state: Path
    config: Path
    authority: Authority
    gateway: asyncio.subprocess.Process
    edited: tuple[Path, ...]

    @property
    def gateway_state(self) -> Path:
        """The gateway's state directory."""
        return self.state / "state"

    @property
    def systems(self) -> Path:
        """The directory that holds each system's own."""
        return self.state / "systems"

    @property
    def log(self) -> Path:
        """What the gateway's process wrote."""
        return self.state / "gateway.log"


def run(
    state: Path, *, free_ports: bool = False, print_addresses: bool = False, serve_options: Sequence[str] = ()
) -> int:
    """Run the region until Ctrl-C or SIGTERM; the exit code. Whatever is wrong is said in a sentence.

    `serve_options` are further words for `kakehashi serve`. With `print_addresses` the addresses are one
    line of JSON on standard output as soon as all is ready, and the text for people goes to standard error.
    """
    try:
        asyncio.run(
            _run(
                state.absolute(),
                None if free_ports else Addresses(),
                print_addresses=print_addresses,
                serve_options=tuple(serve_options),
            )
        )
    except (RegionError, PortUsedError, StateDirectoryError) as fault:
        sys.stderr.write(f"kakehashi demo: {fault}\n")
        return 1
    except KeyboardInterrupt:  # before the signal handlers stood
        return 0
    return 0


@contextlib.asynccontextmanager
async def running_region(
    state: Path, addresses: Addresses | None = None, *, serve_options: Sequence[str] = ()
) -> AsyncIterator[Region]:
    """A region at `addresses` (default: free ports), ready when the block begins, stopped when it ends.

    Raises `RegionError`, `PortUsedError`, `StateDirectoryError`.
    """
    actual, sockets = acquire(addresses)
    async with contextlib.AsyncExitStack() as stack:
        for held in sockets.values():
            stack.callback(close, held)
        state = state_directory(state)
        stack.enter_context(_locked(state))
        config, signer, edited = _prepare(state, actual)
        log = stack.enter_context(_private_file(state / "gateway.log"))
        gateway = await _spawn(config, state / "state", serve_options, log)
        stack.push_async_callback(_stop, gateway)
        region = Region(
            addresses=actual,
            state=state,
            config=config,
            authority=signer,
            gateway=gateway,
            edited=tuple(edited),
        )

        from aiohttp import web  # noqa: PLC0415 - loaded while the gateway starts

        from gateway.demo.systems import applications  # noqa: PLC0415 - likewise

        for name, app in applications(actual, region.systems).items():
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            for each in sockets[name]:
                await web.SockSite(runner, each).start()
        await _until_ready(region)
        yield region


async def until_gateway_ends(region: Region) -> NoReturn:
    """Wait for the gateway to end by itself, which it should not. Raises `RegionError` when it does."""
    code = await region.gateway.wait()
    raise RegionError(f"The gateway ended by itself (exit code {code}). Its last words stand in {region.log}.")


def _prepare(state: Path, addresses: Addresses) -> tuple[Path, Authority, list[Path]]:
    """Make what the gateway finds when it starts: configuration, members, signed lists, anchor, secret."""
    systems = state / "systems"
    try:
        config, edited = render(state, addresses)
        signer = authority(state)
        write_members(config, systems, addresses, now())
        sign_lists(config, signer, now())
        gateway_state = private_directory(state / "state")
        _copy(signer.certificate.read_bytes(), gateway_state / "authority" / "certificate.pem")
        _copy(public_pem(federation_key(directory(systems, FEDERATION))), gateway_state / "federation" / "anchor.pem")
        _copy(omura_secret(systems).encode(), gateway_state / "secrets" / "omura-client-secret")
        issuing = listed_certificate(directory(systems, "authority"), addresses.url("authority"), now())
        _copy(issuing, gateway_state / "certificates" / "issuing.pem")
    except OSError as fault:
        raise StateDirectoryError(
            f"{fault.filename or state}: cannot be read or written ({fault.strerror or fault}). "
            "Expected files of this user; mend owner or mode, or name another directory with --state."
        ) from fault
    except RecipeError as fault:
        raise RegionError(str(fault)) from fault
    return config, signer, edited


def _copy(content: bytes, target: Path) -> None:
    private_directory(target.parent)
    if target.exists() and target.read_bytes() != content:
        target.unlink()
    if not target.exists():
        write_private(target, content)


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Two regions never share one directory: each would sign lists for its own addresses."""
    handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise RegionError(
            f"{state}: another demo region is running with this directory. "
            "Stop it, or name another directory with --state."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def _private_file(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")


async def _spawn(config: Path, state: Path, serve_options: Sequence[str], log: IO[bytes]) -> asyncio.subprocess.Process:
    path = os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "serve", "--config", str(config), "--state", str(state), *serve_options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for this process, which then stops the gateway in order
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until_ready(region: Region) -> None:
    """Wait until the gateway is ready and every list is in force, the fetched one too. Raises `RegionError`."""
    import aiohttp  # noqa: PLC0415 - loaded while the gateway starts

    url = f"{region.addresses.url('admin')}/readyz"
    deadline = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), trust_env=False) as session:
        while region.gateway.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as response:
                    found = await response.json()
                    if found["ready"] and all(each["in_force"] for each in found["trust_lists"]):
                        return
            await asyncio.sleep(0.05)
    said = f"It said:\n{_last_lines(region.log)}\nAll of it stands in {region.log}."
    if region.gateway.returncode is not None:
        raise RegionError(f"The gateway could not start (exit code {region.gateway.returncode}). {said}")
    raise RegionError(f"The gateway was not ready within {READY_SECONDS:.0f} seconds. {said}")


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-LAST_LINES:]) or "  (nothing)"


async def _run(
    state: Path, addresses: Addresses | None, *, print_addresses: bool, serve_options: tuple[str, ...]
) -> None:
    """The region until a signal asks it to stop, or the gateway ends by itself."""
    began = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, stop)
    try:
        async with running_region(state, addresses, serve_options=serve_options) as region:
            from gateway.demo.welcome import show  # noqa: PLC0415 - loads rich

            show(
                region.addresses,
                state=region.state,
                log=region.log,
                edited=region.edited,
                seconds=time.monotonic() - began,
                to=sys.stderr if print_addresses else sys.stdout,
            )
            if print_addresses:
                sys.stdout.write(json.dumps(region.addresses.urls()) + "\n")
                sys.stdout.flush()
            await until_gateway_ends(region)
    except asyncio.CancelledError:
        if not stopping:
            raise
