"""A service behind both proxies that costs nothing worth measuring: 1 KB of JSON, whatever is asked."""

import asyncio
import sys

import uvloop
from aiohttp import web

BODY = b'{"polls": "' + b"x" * 1010 + b'"}'


async def answer(_request: web.BaseRequest) -> web.Response:
    """1 KB of JSON."""
    return web.Response(body=BODY, content_type="application/json")


async def main() -> None:
    """Serve until ended."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
