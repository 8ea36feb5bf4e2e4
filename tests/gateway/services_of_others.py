"""One service in the two forms in which Python's servers run one: ASGI (`asgi`) and WSGI (`wsgi`)."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

PIECES, PIECE = 50, b"x" * 10_000
EVENTS = tuple(b"data: %d\n\n" % number for number in range(3))
TEXT, STREAM = ("Content-Type", "text/plain"), ("Content-Type", "text/event-stream")
PAUSE = 0.02

Answer = tuple[int, list[tuple[str, str]], Iterable[bytes]]


def answer(path: str, method: str, size: int, digest: str) -> Answer:
    """Status, headers and body, by the last segment of the path."""
    said = f"{method} {size} {digest}".encode()
    answers: dict[str, Answer] = {
        "echo": (200, [TEXT, ("Content-Length", str(len(said)))], (said,)),
        "stream": (200, [TEXT], (PIECE for _ in range(PIECES))),
        "events": (200, [STREAM], EVENTS),
        "long": (200, [TEXT, ("Content-Length", str(PIECES * len(PIECE)))], (PIECE,) * PIECES),
        "early": (413, [TEXT, ("Content-Length", "5")], (b"early",)),
        "204": (204, [], ()),
        "304": (304, [("ETag", '"x"')], ()),
    }
    return answers.get(path.rpartition("/")[2], (404, [TEXT, ("Content-Length", "0")], ()))


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """As ASGI asks."""
    if scope["type"] != "http":
        raise NotImplementedError  # nothing is to be done at the start and at the end
    path, size, digest, more = scope["path"], 0, hashlib.sha256(), not scope["path"].endswith("/early")
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    status, headers, body = answer(path, scope["method"], size, digest.hexdigest())
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if body is EVENTS:
            await asyncio.sleep(PAUSE)
    await send({"type": "http.response.body", "body": b""})


def wsgi(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """As WSGI asks (PEP 3333)."""
    path, sent = environ["PATH_INFO"], b""
    if not path.endswith("/early") and (environ.get("CONTENT_LENGTH") or environ.get("wsgi.input_terminated")):
        length = environ.get("CONTENT_LENGTH")
        sent = environ["wsgi.input"].read(int(length) if length else -1)
    status, headers, body = answer(path, environ["REQUEST_METHOD"], len(sent), hashlib.sha256(sent).hexdigest())
    start(f"{status} As it is", headers)
    return _slowly(body) if body is EVENTS else body


def _slowly(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        time.sleep(PAUSE)
