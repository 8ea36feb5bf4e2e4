"""The embedded server and its directory: one gateway at a time, orphans taken over, and sentences for the rest."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.embedded import EmbeddedStore
from gateway.keys import StateDirectoryError
from gateway.store import Store, connect

OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.embedded import EmbeddedStore

async def main():
    server = EmbeddedStore(Path(sys.argv[1]), changed=lambda change: None)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def owner(directory: Path) -> tuple["subprocess.Popen[str]", int]:
    """Another gateway's process that runs the server of `directory`, and the server's process number."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        return process, int(process.stdout.readline())


def alive(pid: int | None) -> bool:
    """Whether it runs; a process that nobody has reaped does not."""
    if Path("/proc/self/stat").exists():
        stat = Path(f"/proc/{pid}/stat")
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()[:1] not in ("", "Z")


def server_of(directory: Path) -> EmbeddedStore:
    """The server of this process for `directory`."""
    return EmbeddedStore(directory, changed=lambda _: None)


async def test_two_gateways_do_not_share_a_directory(tmp_path: Path) -> None:
    """The second is told which process has it, and leaves the first alone."""
    process, server = owner(tmp_path)
    try:
        second = server_of(tmp_path)
        with pytest.raises(StateDirectoryError, match=rf"another gateway \(process {process.pid}\) uses"):
            await second.start()
        await second.stop()
        assert alive(server)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        os.kill(server, signal.SIGKILL)


async def test_the_orphan_of_a_killed_gateway_is_taken_over(tmp_path: Path) -> None:
    """Its server is ended in order, and what it held is there."""
    process, orphan = owner(tmp_path)
    store = Store(connect(f"unix://{tmp_path / 'store.sock'}"), bytes(32), waits_for_disk=False)
    await store.add_series({1: {"a": 1}})
    process.kill()
    process.wait()
    assert alive(orphan)

    server = server_of(tmp_path)
    await server.start()
    try:
        assert server.pid != orphan
        assert not alive(orphan)
        assert await store.series([1]) == {1: {"a": 1}}
    finally:
        await store.close()
        await server.stop()


async def test_an_orphan_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process cannot hold the directory for ever."""
    monkeypatch.setattr("gateway.embedded.STOP_SECONDS", 0.3)
    process, orphan = owner(tmp_path)
    os.kill(orphan, signal.SIGSTOP)
    process.kill()
    process.wait()
    server = server_of(tmp_path)
    await server.start()
    try:
        assert not alive(orphan)
    finally:
        await server.stop()


async def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    """Unix sockets have short names; where the path is too long the socket lies in a short directory of its own."""
    directory = tmp_path / ("long" * 20) / ("path" * 20)
    server = server_of(directory)
    await server.start()
    socket = server.socket
    try:
        assert len(os.fsencode(socket)) <= 100
        assert socket.parent.stat().st_mode & 0o077 == 0
        store = Store(connect(f"unix://{socket}"), bytes(32), waits_for_disk=False)
        await store.round_trip()
        await store.close()
        assert list(directory.glob("appendonlydir/*"))
    finally:
        await server.stop()
    assert not socket.parent.exists()


async def test_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory may be named from where one stands."""
    monkeypatch.chdir(tmp_path)
    server = server_of(Path("state/store"))
    await server.start()
    try:
        assert server.socket == tmp_path / "state" / "store" / "store.sock"
    finally:
        await server.stop()


@pytest.mark.parametrize("place", ["state", "state/store", "state/store/lock", "state/store/store.sock"])
async def test_what_stands_in_the_way_is_named(tmp_path: Path, place: str) -> None:
    """A file where a directory belongs, or the other way round: a sentence with the path."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix or path.name == "lock":
        path.mkdir()
    else:
        path.write_text("")
    server = server_of(tmp_path / "state" / "store")
    with pytest.raises(StateDirectoryError, match=rf"{tmp_path / 'state'}.*Expected a directory"):
        await server.start()
    await server.stop()


async def test_a_damaged_file_is_not_served(tmp_path: Path) -> None:
    """A server that cannot read its own file ends at once; the sentence says where its reason stands."""
    server = server_of(tmp_path)
    await server.start()
    store = Store(connect(f"unix://{server.socket}"), bytes(32), waits_for_disk=False)
    await store.add_series({1: {"a": 1}})
    await store.close()
    await server.stop()
    (file,) = (tmp_path / "appendonlydir").glob("*.manifest")
    file.write_bytes(b"nonsense\n")

    again = server_of(tmp_path)
    with pytest.raises(StateDirectoryError, match=r"ended at its start.*server\.log"):
        await again.start()
    await again.stop()


async def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    """After `stop` no process runs, and the directory is free for the next gateway."""
    for _ in range(2):
        server = server_of(tmp_path)
        await server.start()
        pid = server.pid
        await server.stop()
        assert server.pid is None
        assert not alive(pid)
