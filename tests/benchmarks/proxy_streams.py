"""What long streams and idle WebSockets cost the gateway in memory, and how two workers do beside one."""

import base64
import contextlib
import json
import resource
import secrets
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import proxy_peers
from tests.benchmarks.cpu_share import held
from tests.benchmarks.proxy_servers import CORES, REST, TERMS, Bench, pin, port_of, route_to, running, saturated
from tests.benchmarks.report import process_tree, tree_memory_mb
from tests.conftest import ROOT, Running

GIGABYTE = 1024**3
WEBSOCKETS = 5_000
PAUSE_EVERY = 256 * 1024 * 1024
PAUSE_SECONDS = 0.3
ROUNDS = 5
SECONDS = 1.5
ENOUGH_CORES = 4
SHARE = 0.5

SERVICE = (
    "\n  - {{id: bench-streams, name: {{ja: 計測, en: Bench}}, upstream: 'http://127.0.0.1:{port}', "
    "timeout_seconds: 300}}\n"
)
ROUTES = "".join(
    f"\n  - {{path: /api/bench-{name}, methods: [{method}], service: bench-streams, upstream_path: /{name}, "
    f"{TERMS}{more}}}\n"
    for name, method, more in (("down", "GET", ""), ("up", "POST", ""), ("socket", "GET", ", websocket: true"))
)

TWO_WORKERS = """
import sys
from pathlib import Path
from gateway.demo.region import run
sys.exit(run(Path(sys.argv[1]), free_ports=True, print_addresses=True, serve_options=["--workers", "2"]))
"""


def streams(bench: Bench) -> dict[str, Any]:
    """How much the gateway's process grows, at its most, by a stream of 1 GB each way, and by idle WebSockets."""
    with proxy_peers.program("stream_upstream.py", cores=REST) as (port, _):
        with (bench.region.state / "config" / "gateway.yaml").open("a") as file:
            file.write("\nlimits: {api_body_mib: 2048, websockets: 10000}\n")
        route_to(bench.region, SERVICE.format(port=port), ROUTES, "/api/bench-down")
        at, token, pid = port_of(bench.region), bench.token, bench.servers["gateway"].pid
        figures: dict[str, Any] = {}
        for name, one in (("down", _down), ("up", _up)):
            one(at, token, GIGABYTE // 16)  # warms up
            before = _resident_mb(pid)
            begun = time.perf_counter()
            one(at, token, GIGABYTE)
            figures[f"stream_{name}_growth_mb"] = round(_resident_mb(pid, peak=True) - before, 1)
            figures[f"stream_{name}_mb_per_second"] = round(1024 / (time.perf_counter() - begun - 4 * PAUSE_SECONDS))
        figures["idle_websockets"] = _websockets(at, token, pid)
    return figures


def more_files() -> None:
    """Let this process, and what it starts, open as many files as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _down(port: int, token: str, size: int) -> None:
    with _request(port, token, "GET", f"/api/bench-down?bytes={size}", "") as line:
        head, rest = _head(line)
        assert head.startswith(b"HTTP/1.1 200"), head
        got = len(rest)
        room = memoryview(bytearray(1024 * 1024))
        while got < size:
            count = line.recv_into(room)
            assert count, f"the stream ended after {got} bytes"
            if (got + count) // PAUSE_EVERY > got // PAUSE_EVERY:
                time.sleep(PAUSE_SECONDS)
            got += count


def _up(port: int, token: str, size: int) -> None:
    with _request(port, token, "POST", "/api/bench-up", f"Content-Length: {size}\r\n") as line:
        piece = bytes(1024 * 1024)
        for _ in range(size // len(piece)):
            line.sendall(piece)
        head, rest = _head(line)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert json.loads(rest or line.recv(1024)) == {"bytes": size}


def _websockets(port: int, token: str, pid: int) -> dict[str, float] | None:
    """Memory for `WEBSOCKETS` that say nothing; None where the gateway does not carry them."""
    before = tree_memory_mb(pid)
    lines: list[socket.socket] = []
    begun = time.perf_counter()
    alive = _Alive()
    alive.start()
    try:
        for _ in range(WEBSOCKETS):
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            upgrade = f"Upgrade: websocket\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            line = _request(port, token, "GET", "/api/bench-socket", upgrade, connection="Upgrade")
            lines.append(line)
            head, _ = _head(line)
            alive.add(line)
            if not head.startswith(b"HTTP/1.1 101"):
                sys.stderr.write(f"WebSocket {len(lines)}: {head.splitlines()[0].decode()}\n")
                return None
        seconds = time.perf_counter() - begun
        time.sleep(2)
        after = tree_memory_mb(pid)
        alive.stop()
        assert all(_echoes(line) for line in (lines[0], lines[len(lines) // 2], lines[-1]))
    finally:
        alive.stop()
        for line in lines:
            line.close()
    return {
        "count": len(lines),
        "growth_mb": round(after - before, 1),
        "kb_each": round((after - before) * 1000 / len(lines), 1),
        "opened_per_second": round(len(lines) / seconds),
    }


class _Alive(threading.Thread):
    """Answers the gateway's pings (RFC 6455 §5.5.2), as every client does; opening so many takes longer than one."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._lines = selectors.DefaultSelector()
        self._over = threading.Event()

    def add(self, line: socket.socket) -> None:
        """Answer on this line, too."""
        self._lines.register(line, selectors.EVENT_READ)

    def stop(self) -> None:
        """Leave the lines alone."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Until it is stopped."""
        while not self._over.is_set():
            for key, _ in self._lines.select(0.1):
                line = key.fileobj
                assert isinstance(line, socket.socket)
                if line.recv(64)[:1] == b"\x89":
                    line.sendall(b"\x8a\x80" + secrets.token_bytes(4))
                else:
                    self._lines.unregister(line)


def _echoes(line: socket.socket) -> bool:
    """One masked text frame there, the same unmasked back (RFC 6455 §5.7)."""
    mask, said = secrets.token_bytes(4), b"hello"
    line.sendall(b"\x81" + bytes([0x80 | len(said)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(said)))
    return line.recv(64) == b"\x81\x05hello"


def _request(port: int, token: str, method: str, path: str, more: str, *, connection: str = "close") -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=60)
    line.sendall(
        f"{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Connection: {connection}\r\n{more}\r\n".encode()
    )
    return line


def _head(line: socket.socket) -> tuple[bytes, bytes]:
    """The head of an answer, and what came with it."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = line.recv(65536)
        assert piece, f"closed after {got!r}"
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of the process now, which from now on is its peak; or its peak since (proc(5), clear_refs)."""
    if not peak:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000


# --- workers


def two_over_one(one: Bench, folder: Path) -> dict[str, Any]:
    """How much more two workers carry than one: requests per second.

    With less than four cores load and service take of the second worker's core. Then each worker is held to `SHARE` of
    a core, where the kernel lets us; where not, it is worked out from the CPU time of a request: two workers on two
    cores beside one on one.
    """
    with running(folder, (), _two_workers) as two:
        alone, both = one.servers["gateway"], two.servers["gateway"]
        pin(both.pid, set(CORES[:2]))
        with contextlib.ExitStack() as stack:
            by = "requests per second"
            if len(CORES) < ENOUGH_CORES:
                workers = _workers(both.pid)
                for worker, core in zip(workers, CORES, strict=False):
                    pin(worker, {core})
                limited = stack.enter_context(held((alone.pid, *workers), SHARE))
                by += f", each worker held to {SHARE:.0%} of a core" if limited else ""
                by = by if limited else "worked out from CPU per request"
            found = saturated({"one": alone, "two": both}, ROUNDS, SECONDS)
    rates, costs = ([found[name][figure] for name in ("one", "two")] for figure in ("rate", "cpu_us"))
    by_cost = statistics.median(2 * a / b for a, b in zip(*costs, strict=True))
    by_rate = statistics.median(b / a for a, b in zip(*rates, strict=True))
    return {
        "two_workers_over_one": round(by_cost if by.startswith("worked") else by_rate, 2),
        "two_workers_over_one_by": by,
    }


def _workers(keeper: int) -> list[int]:
    """The worker processes of a keeper."""
    found = [pid for pid in process_tree(keeper) if b"gateway.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(found) == 2, found
    return found


def _two_workers(state: Path) -> Running:
    """A region whose gateway has two workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_WORKERS, str(state)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the region with two workers did not start"
    return Running(addresses=json.loads(line), state=state, process=process)
