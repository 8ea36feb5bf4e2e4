"""An authority's servers on loopback: its OCSP responder and its lists, honest or not, and what they were asked."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from federation.certificate.model import RevocationPolicy, StatusQuestion
from gateway.certificate_status import CertificateStatuses, Pace
from gateway.fetching import Fetcher
from gateway.outward import Outward
from tests.federation.certificate.authorities import AT, Authority, Issued

Answer = Callable[[bytes], Awaitable[web.StreamResponse] | web.StreamResponse | bytes]
"""Answers a POST's body."""

HERE = "http://localhost:8000"
QUICK = Pace(seconds=2, list_seconds=2)
"""So that a server that hangs is found out soon; for no others, since this machine may be busy."""


@dataclass
class Now:
    """The time of day, which a test lets pass."""

    at: datetime = AT

    def __call__(self) -> datetime:
        return self.at

    def passes(self, time: timedelta) -> None:
        """Later."""
        self.at += time


@dataclass
class Responders:
    """One authority's servers. `manner` may answer OCSP otherwise than honestly; `lists` are by path."""

    authority: Authority
    now: Now
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    conditional: int = 0
    manner: Answer | None = None
    pause: float = 0.0
    lists: dict[str, bytes | Callable[[], web.StreamResponse]] = field(default_factory=dict)
    lasting: timedelta = timedelta(hours=1)

    def issue(
        self, subject: str = "山田 花子", *, ocsp: bool = True, lists: tuple[str, ...] = (), **changes: Any
    ) -> Issued:
        """A certificate that names these servers."""
        return self.authority.issue(
            subject,
            ocsp_urls=(f"{self.url}/ocsp",) if ocsp else (),
            crl_urls=tuple(f"{self.url}{path}" for path in lists),
            **changes,
        )

    def question(self, issued: Issued, **policy: Any) -> StatusQuestion:
        """Whether it was revoked."""
        return StatusQuestion(
            certificate=issued.certificate, issuer=self.authority.certificate, policy=RevocationPolicy(**policy)
        )

    def honest(self, body: bytes, **options: Any) -> bytes:
        """What the authority knows now."""
        return self.authority.ocsp(body, self.now(), self.now() + self.lasting, **options)

    async def ocsp(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.read()
        self.asked[request.path] += 1
        assert request.headers["Content-Type"] == "application/ocsp-request"
        if self.pause:
            await asyncio.sleep(self.pause)
        found: Any = (self.manner or self.honest)(body)
        if asyncio.iscoroutine(found):
            found = await found
        if isinstance(found, web.StreamResponse):
            return found
        return web.Response(body=found, content_type="application/ocsp-response")

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Give a list, or say that it is still the same."""
        self.asked[request.path] += 1
        if self.pause:
            await asyncio.sleep(self.pause)
        found = self.lists.get(request.path)
        if found is None:
            return web.Response(status=404)
        if callable(found):
            return found()
        tag = f'"{hash(found)}"'
        if request.headers.get("If-None-Match") == tag:
            self.conditional += 1
            return web.Response(status=304)
        return web.Response(body=found, content_type="application/pkix-crl", headers={"ETag": tag})


@contextlib.asynccontextmanager
async def responding(authority: Authority, now: Now) -> AsyncIterator[Responders]:
    """The servers of an authority."""
    found = Responders(authority, now)
    app = web.Application(client_max_size=2**20)
    app.router.add_post("/ocsp", found.ocsp)
    app.router.add_get("/{path:.*}", found.list)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def knowing(now: Now, **options: Any) -> AsyncIterator[CertificateStatuses]:
    """What a gateway on this machine knows of revocations."""
    fetcher, outward = Fetcher(), Outward(seconds=5, size=2**20)
    statuses = CertificateStatuses(
        **{"fetcher": fetcher, "outward": outward, "clock": now, "beyond": HERE, "chance": lambda: 0.0, **options}
    )
    try:
        yield statuses
    finally:
        await statuses.close()
        await outward.close()
        await fetcher.close()
