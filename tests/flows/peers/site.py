"""A web server of a few pages on a free port, for peers that are made of other people's libraries.

What the library decides is the peer's; here is only HTTP. A fault of a peer is kept in `faults` and shown as
a page with status 500, so that a test sees it.
"""

import html
import secrets
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Visit:
    """One request, with the session that belongs to its browser (kept for the server's life)."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    session: dict[str, Any]

    @property
    def raw_query(self) -> str:
        """The query as it was sent."""
        return urlsplit(self.url).query

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))


@dataclass
class Reply:
    """One answer."""

    body: str | bytes = ""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "text/html; charset=utf-8"


Page = Callable[[Visit], Reply]


def see_other(location: str) -> Reply:
    """Send the browser on."""
    return Reply(status=303, headers=[("Location", location)])


def page(title: str, rows: Iterable[tuple[str, str]] = (), status: int = 200) -> Reply:
    """A page with a title and named values."""
    listed = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows)
    head = "<!DOCTYPE html><meta charset=utf-8><title>Peer</title>"
    body = f"{head}<h1>{html.escape(title)}</h1><dl>{listed}</dl>"
    return Reply(body=body, status=status)


class Site:
    """The server: `pages` by path and method; it listens from the beginning to `close`."""

    def __init__(self, cookie: str) -> None:
        self.pages: dict[tuple[str, str], Page] = {}
        self.faults: list[str] = []
        self._cookie = cookie
        self._sessions: dict[str, dict[str, Any]] = {}
        self._http = ThreadingHTTPServer(("localhost", 0), _handler(self))
        self.url = f"http://localhost:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one request, with the session's cookie."""
        jar = SimpleCookie(headers.get("Cookie", ""))
        key = jar[self._cookie].value if self._cookie in jar else secrets.token_urlsafe()
        form = dict(parse_qsl(body.decode(), keep_blank_values=True)) if method == "POST" else {}
        visit = Visit(method, self.url + target, headers, form, self._sessions.setdefault(key, {}))
        shown = self.pages.get((method, urlsplit(target).path))
        try:
            reply = shown(visit) if shown else page("Not here", status=404)
        except Exception:  # noqa: BLE001 - whatever a peer's library raises belongs on its page
            self.faults.append(traceback.format_exc())
            reply = page("Fault", [("Traceback", self.faults[-1])], status=500)
        reply.headers.append(("Set-Cookie", f"{self._cookie}={key}; Path=/; HttpOnly; SameSite=Lax"))
        return reply


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            reply = site.answer(self.command, self.path, self.headers, self.rfile.read(length))
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            for name, value in [("Content-Type", reply.content_type), *reply.headers]:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - likewise

        def log_message(self, *_: object) -> None:
            """Tests print for themselves."""

    return Handler
