"""A service behind the gateway that sends and takes long streams, and keeps WebSockets that say nothing.

Every now and then both directions pause, so that somebody must hold what the other side has sent already.
"""

import asyncio
import sys

import uvloop
from aiohttp import WSMsgType, web

PIECE = bytes(64 * 1024)
PAUSE_EVERY = 4096
"""Pieces."""
PAUSE_SECONDS = 0.3


async def down(request: web.Request) -> web.StreamResponse:
    """As many bytes as the query says."""
    total = int(request.query["bytes"])
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = total
    await response.prepare(request)
    for _ in range(total // len(PIECE)):
        await response.write(PIECE)
    return response


async def up(request: web.Request) -> web.Response:
    """Count what comes."""
    total, pause = 0, len(PIECE) * PAUSE_EVERY
    async for piece in request.content.iter_any():
        if (total + len(piece)) // pause > total // pause:
            await asyncio.sleep(PAUSE_SECONDS)
        total += len(piece)
    return web.json_response({"bytes": total})


async def socket(request: web.Request) -> web.WebSocketResponse:
    """Say back what is said."""
    talk = web.WebSocketResponse()
    await talk.prepare(request)
    async for message in talk:
        if message.type is WSMsgType.TEXT:
            await talk.send_str(message.data)
    return talk


async def main() -> None:
    """Serve until ended."""
    app = web.Application(client_max_size=0)
    app.add_routes([web.get("/down", down), web.post("/up", up), web.get("/socket", socket)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
