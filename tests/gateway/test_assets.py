"""The static files: a closed set, cacheable by what they contain."""

import pytest
from aiohttp import web

from gateway import assets
from gateway.pages import STATIC


@pytest.fixture
async def client(aiohttp_client):
    """A browser at a listener that serves nothing but static files."""
    app = web.Application()
    app.add_routes([web.get("/static/{name}", assets.static), web.get("/favicon.ico", assets.favicon)])
    return await aiohttp_client(app)


@pytest.mark.parametrize("name", sorted(assets.files()))
async def test_every_file_is_served_as_it_is(client, name):
    """Content and type are the file's own."""
    answer = await client.get(f"/static/{name}")
    assert (answer.status, await answer.read()) == (200, (STATIC / name).read_bytes())
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.content_type == kinds[name.rpartition(".")[2]]


async def test_caching_is_for_addresses_that_name_the_content(client):
    """With a digest for ever, without one for minutes."""
    named = await client.get("/static/kakehashi.css?v=0123")
    plain = await client.get("/static/kakehashi.css")
    assert "immutable" in named.headers["Cache-Control"]
    assert plain.headers["Cache-Control"] == "public, max-age=300"


@pytest.mark.parametrize("name", ["", "nothing.css", "..%2fpages%2fbase.html", "%2e%2e", "a%00b", "kakehashi.css%2f"])
async def test_nothing_else_is(client, name):
    """Names outside the set lead nowhere, whatever they are made of."""
    assert (await client.get(f"/static/{name}")).status == 404


async def test_favicon(client):
    """Browsers ask for it whatever a page says."""
    answer = await client.get("/favicon.ico")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
