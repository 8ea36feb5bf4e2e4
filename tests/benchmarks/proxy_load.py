"""Load on one HTTP/1.1 origin, as a program of one thread: `proxy_load.py MODE PORT PATH CONNECTIONS SECONDS [RATE]`.

`full` keeps every connection busy; `paced` sends RATE requests a second, at random moments as independent callers
would (a Poisson process), and counts the time from the moment a request was due, whether or not a connection was free.
The header of authorization comes by the environment's AUTHORIZATION. Every answer must be 200 and whole. Prints JSON.
"""

import json
import os
import random
import select
import socket
import sys
import time
from collections import deque

END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
MICROSECONDS = 1e6


class Line:
    """One kept connection, which has at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self._got = b""

    def done(self) -> bool:
        """Read what came; is the answer whole? Raises `AssertionError` for any but 200."""
        data = self.socket.recv(65536)
        assert data, "the connection was closed"
        got = self._got = self._got + data
        head = got.find(END)
        if head < 0:
            return False
        assert got.startswith(b"HTTP/1.1 200"), got[:300]
        names = got[:head].lower()
        at = names.find(b"content-length:")
        whole = got.endswith(LAST_CHUNK) if at < 0 else len(got) - head - 4 == int(names[at + 15 :].split(b"\r", 1)[0])
        if whole:
            self._got = b""
        return whole


def full(lines: list[Line], request: bytes, seconds: float) -> dict[str, float]:
    """As many requests as there can be."""
    poll = select.epoll()
    by_number = {line.socket.fileno(): line for line in lines}
    for number, line in by_number.items():
        poll.register(number, select.EPOLLIN)
        line.socket.send(request)
    begun = time.perf_counter()
    ends = begun + seconds
    answered = 0
    waiting = len(lines)
    while waiting:
        for number, _ in poll.poll(30):
            line = by_number[number]
            if not line.done():
                continue
            answered += 1
            if time.perf_counter() < ends:
                line.socket.send(request)
            else:
                waiting -= 1
    return {"answered": answered, "seconds": time.perf_counter() - begun}


def paced(lines: list[Line], request: bytes, seconds: float, rate: float) -> dict[str, float]:
    """`rate` requests a second. `select` because it alone waits for less than a millisecond."""
    chance = random.Random(7)
    free = deque(lines)
    busy: dict[int, Line] = {}
    times: list[float] = []
    due = begun = time.perf_counter()
    ends = begun + seconds
    while busy or due < ends:
        now = time.perf_counter()
        while free and due <= now and due < ends:
            line = free.popleft()
            line.due = due
            line.socket.send(request)
            busy[line.socket.fileno()] = line
            due += chance.expovariate(rate)
        wait = max(0.0, due - now) if free and due < ends else 30.0
        for number in select.select(busy, (), (), wait)[0]:
            line = busy[number]
            if line.done():
                times.append(time.perf_counter() - line.due)
                del busy[number]
                free.append(line)
    times.sort()
    return {
        "answered": len(times),
        "seconds": time.perf_counter() - begun,
        "p50_us": times[len(times) // 2] * MICROSECONDS,
        "p99_us": times[len(times) * 99 // 100] * MICROSECONDS,
    }


def main() -> None:
    """Run, print, end."""
    mode, port, path, connections, seconds, *rate = sys.argv[1:]
    credentials = os.environ.get("AUTHORIZATION")
    request = (
        f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n"
        + (f"Authorization: {credentials}\r\n" if credentials else "")
        + "Accept: application/json\r\nUser-Agent: bench\r\n\r\n"
    ).encode()
    lines = [Line(int(port)) for _ in range(int(connections))]
    if mode == "full":
        found = full(lines, request, float(seconds))
    else:
        found = paced(lines, request, float(seconds), float(rate[0]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
