"""A worker that makes calls with keys, as a process of its own: for tests that kill it.

    python idempotency_worker.py STORE PORT UPSTREAM (once|repeats)

POST /KEY: one call with that key to UPSTREAM, its answer. Only the carrying is this file's; what it carries is the
gateway's own.
"""

import sys
from datetime import timedelta

import aiohttp
from aiohttp import web

from federation.access import problem
from federation.idempotency import HEADER, REPLAYED, Replay, fingerprint, write_key
from federation.refusal import CallRefusal
from gateway.idempotency import Idempotency
from gateway.store import Store, connect


def main(store_url: str, port: str, upstream: str, repeats: str) -> None:
    """Serve until killed."""
    idempotency = Idempotency(
        Store(connect(store_url), bytes(32), waits_for_disk=False), bytes(32), lease=timedelta(milliseconds=300)
    )

    async def call(request: web.Request) -> web.Response:
        body = await request.read()
        asked = fingerprint(method="POST", path="/", query="", content_type="", body=body)
        try:
            known = await idempotency.begin("scope", request.path, asked, repeats=repeats == "repeats")
            if isinstance(known, Replay):
                return answer(known, {REPLAYED: "true"})
            async with known as proceed, aiohttp.ClientSession() as session:
                headers = {HEADER: write_key(await proceed.sending())}
                async with session.post(upstream, data=body, headers=headers) as response:
                    kept = await proceed.finish(
                        response.status, [("X-By", response.headers["X-By"])], await response.read()
                    )
            return answer(kept, {})
        except CallRefusal as why:
            status, problem_headers, said = problem(why, request_id="r")
            return web.Response(status=status, headers=problem_headers, body=said)

    def answer(given: Replay, more: dict[str, str]) -> web.Response:
        return web.Response(status=given.status, headers=[*given.headers, *more.items()], body=given.body)

    app = web.Application()
    app.router.add_post("/{key}", call)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
