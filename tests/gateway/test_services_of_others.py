"""Services on servers that others wrote: what the gateway passes on is what they answer without it."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from .gateway_sample import READ, Sample, free_port, served

UVICORN = "-m uvicorn services_of_others:asgi --lifespan off --port {port} --http"
SERVERS = {
    "uvicorn-h11": UVICORN + " h11",
    "uvicorn-httptools": UVICORN + " httptools",
    "waitress": "-m waitress --host 127.0.0.1 --port {port} services_of_others:wsgi",
}
"""How each is started, by Python."""

MUCH = b"b" * 900_000
Call = tuple[str, str, bytes | None]

CALLS: tuple[Call, ...] = (
    ("GET", "echo", None),
    ("HEAD", "echo", None),
    ("POST", "echo", b"hello"),
    ("POST", "echo", b""),
    ("PUT", "echo", MUCH),
    ("DELETE", "echo", None),
    ("GET", "stream", None),
    ("HEAD", "stream", None),
    ("GET", "events", None),
    ("GET", "long", None),
    ("GET", "204", None),
    ("POST", "204", b"x"),
    ("GET", "304", None),
    ("GET", "nowhere", None),
    ("GET", "echo", None),
)


@pytest.fixture(scope="module", params=SERVERS)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sample]]:
    """The service's address, and a gateway as a process before it."""
    port = free_port()
    words = [sys.executable, *SERVERS[request.param].format(port=port).split()]
    with subprocess.Popen(
        words, cwd=Path(__file__).parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as own:
        try:
            _wait(port)
            sample = Sample(tmp_path_factory.mktemp("others"), upstream=f"http://127.0.0.1:{port}", timeout=10)
            routes = sample.routes()
            methods = ["DELETE", "GET", "HEAD", "POST", "PUT"]
            route = {"path": "/api/of/{what}", "methods": methods, "service": "notes", "upstream_path": "/of/{what}"}
            routes["routes"] = [{**route, "scope": READ, "members": "region"}]
            sample.write("routes.yaml", routes)
            with served(sample):
                yield f"http://127.0.0.1:{port}/of", sample
        finally:
            own.kill()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")


def asked(session: requests.Session, base: str, call: Call, **more: Any) -> tuple[object, ...]:
    """What somebody sees of an answer."""
    method, what, body = call
    answer = session.request(method, f"{base}/{what}?q=1&q=%E6%9E%B6", data=body, timeout=30, **more)
    length = answer.headers.get("Content-Length") if method == "HEAD" else None
    return answer.status_code, answer.headers.get("Content-Type"), answer.headers.get("ETag"), length, answer.content


def test_answers_are_those_of_the_service(scene: tuple[str, Sample]) -> None:
    """Call after call on kept connections: each method, bodies up and down, streams, answers without content."""
    direct, sample = scene
    with requests.Session() as without, requests.Session() as through:
        for call in CALLS:
            expected = asked(without, direct, call)
            assert asked(through, sample.public_url + "/api/of", call, headers=sample.bearer()) == expected, call


def test_a_stream_up_is_whole(scene: tuple[str, Sample]) -> None:
    """A body whose length nobody says before."""
    direct, sample = scene

    def pieces() -> Iterator[bytes]:
        for number in range(60):
            yield bytes([number]) * 10_000

    with requests.Session() as session:
        expected = asked(session, direct, ("POST", "echo", b"".join(pieces())))
        more = {"headers": sample.bearer()}
        assert asked(session, sample.public_url + "/api/of", ("POST", "echo", pieces()), **more) == expected  # type: ignore[arg-type]


def test_a_service_that_answers_before_it_has_heard_all(scene: tuple[str, Sample]) -> None:
    """The answer comes, and the caller's connection goes on, however the body is cut into pieces on its way."""
    _, sample = scene
    base, more = sample.public_url + "/api/of", {"headers": sample.bearer()}
    with requests.Session() as session:
        for _ in range(10):
            assert asked(session, base, ("POST", "early", MUCH), **more)[0] == 413
            assert asked(session, base, ("GET", "nowhere", None), **more)[0] == 404
