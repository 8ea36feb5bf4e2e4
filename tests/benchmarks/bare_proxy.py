"""The peer of proxied calls: the least that a reverse proxy in aiohttp can do. No token, no decision, no evidence.

Run as a program: `bare_proxy.py UPSTREAM` prints the port it listens on.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

SESSION = web.AppKey("session", aiohttp.ClientSession)


async def forward(request: web.Request) -> web.StreamResponse:
    """Pass the call on and stream the answer back."""
    headers = {n: v for n, v in request.headers.items() if n.lower() not in {"host", "connection"}}
    body = request.content if request.body_exists else None
    async with request.app[SESSION].request(
        request.method, sys.argv[1] + request.path_qs, headers=headers, data=body
    ) as upstream:
        response = web.StreamResponse(status=upstream.status)
        response.content_type = upstream.content_type
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        return response


async def main() -> None:
    """Serve until ended."""
    app = web.Application()
    app[SESSION] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
