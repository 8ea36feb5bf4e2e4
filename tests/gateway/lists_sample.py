"""Sources whose lists are fetched or need approval, and a server that publishes one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.config import TrustSource
from gateway.listeners import bind
from gateway.serve import Listener, listening
from trust_lists.certificates import from_pem

from .gateway_sample import signatory

DER = from_pem(signatory().certificate)


def source(state: Path, **changes: Any) -> TrustSource:
    """The list `region`, which the gateway keeps itself."""
    state.mkdir(mode=0o700, exist_ok=True)
    file = state / "lists" / "region" / "current"
    return TrustSource(**{"name": "region", "format": "etsi-119602", "file": file, "anchors": DER, **changes})


@dataclass
class Publisher:
    """A server with one list; it counts who asked and how. `status` other than 200 answers with that."""

    document: bytes = b""
    status: int = 200
    etag: str | None = None
    asked: int = 0
    unchanged: int = 0
    at_once: int = 0
    most_at_once: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a request, once the door is open."""
        self.asked += 1
        self.came.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            await asyncio.sleep(0.01)
        finally:
            self.at_once -= 1
        if self.etag is not None and request.headers.get("If-None-Match") == self.etag:
            self.unchanged += 1
            return web.Response(status=304)
        headers = {} if self.etag is None else {"ETag": self.etag}
        return web.Response(body=self.document, status=self.status, headers=headers)


@contextlib.asynccontextmanager
async def publishing(document: bytes) -> AsyncIterator[Publisher]:
    """A publisher on loopback, its door open."""
    publisher = Publisher(document=document)
    publisher.open.set()
    app = web.Application()
    app.router.add_get("/list", publisher.serve)
    sockets = bind("localhost", 0)
    publisher.url = f"http://localhost:{sockets[0].getsockname()[1]}/list"
    async with listening(1, Listener(app, sockets)):
        yield publisher


@dataclass
class Time:
    """A clock that is set."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead
