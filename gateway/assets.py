"""Static files of the pages: a closed set, read once, each under an address that carries its digest."""

from functools import cache
from pathlib import Path

from aiohttp import web

from gateway.pages import STATIC

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""The only kinds of files; whatever the machine's own table of types says."""

FOREVER = "public, max-age=31536000, immutable"


@cache
def files(folder: Path = STATIC) -> dict[str, tuple[bytes, str]]:
    """Name → content and type of every static file in `folder`."""
    return {
        path.name: (path.read_bytes(), TYPES[path.suffix]) for path in sorted(folder.iterdir()) if path.suffix in TYPES
    }


async def static(request: web.Request) -> web.Response:
    """GET /static/{name}."""
    return respond(request, files())


def respond(request: web.Request, known: dict[str, tuple[bytes, str]]) -> web.Response:
    """The file that the address names, cacheable for ever when the address carries a digest."""
    found = known.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    body, kind = found
    caching = FOREVER if "v" in request.query else "public, max-age=300"
    return web.Response(body=body, content_type=kind, headers={"Cache-Control": caching})


async def favicon(_request: web.Request) -> web.Response:
    """GET /favicon.ico, which browsers ask for whatever a page says."""
    body, kind = files()["favicon.svg"]
    return web.Response(body=body, content_type=kind, headers={"Cache-Control": "public, max-age=86400"})
