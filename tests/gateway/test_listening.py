"""Several listeners of one process: they end together."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from gateway.listeners import bind
from gateway.serve import Listener, listening

from .gateway_sample import free_port


async def test_at_the_end_none_of_them_accepts_and_all_finish_what_is_under_way() -> None:
    """A call that one of them still has under way keeps none of the others open."""
    begun, goes = asyncio.Semaphore(0), asyncio.Event()

    async def waits(_: web.Request) -> web.Response:
        begun.release()
        await goes.wait()
        return web.Response(text="done")

    def app() -> web.Application:
        made = web.Application()
        made.router.add_get("/", waits)
        return made

    ports = [free_port() for _ in range(3)]
    async with aiohttp.ClientSession() as session:

        async def call(port: int) -> str:
            async with session.get(f"http://localhost:{port}/") as answer:
                return await answer.text()

        context = listening(60, *(Listener(app(), bind("localhost", port)) for port in ports))
        await context.__aenter__()
        calls = [asyncio.create_task(call(port)) for port in ports]
        for _ in ports:
            await begun.acquire()
        ending = asyncio.create_task(context.__aexit__(None, None, None))
        await asyncio.sleep(0.1)
        for port in ports:
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await asyncio.open_connection("localhost", port)
        assert not ending.done()
        goes.set()
        assert await asyncio.gather(*calls) == ["done"] * 3
        await ending
