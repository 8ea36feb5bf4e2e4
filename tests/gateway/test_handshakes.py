"""A handshake that is refused: the client hears why, on every event loop, and whatever it sent meanwhile."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from gateway import handshakes
from gateway.handshakes import ToldHandshake

from .gateway_sample import signatory

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    """Lets in whoever shows a certificate of an authority that does not exist."""
    pair = signatory("first", host="localhost")
    (tmp_path / "tls.pem").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.sslobject_class = ToldHandshake
    return context


def _heard(port: int, trusted: Path, version: str, sent: bytes) -> str | None:
    """The alert that ends the connection of a client without a certificate, which sends before it listens."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain, pytest.raises(ssl.SSLError) as told:
        _talk(context, plain, sent)
    return told.value.reason


def _talk(context: ssl.SSLContext, plain: socket.socket, sent: bytes) -> None:
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(sent)
        connection.recv(1)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("version", "alert"),
    [("TLSv1_2", "SSLV3_ALERT_HANDSHAKE_FAILURE"), ("TLSv1_3", "TLSV13_ALERT_CERTIFICATE_REQUIRED")],
)
def test_the_alert_arrives(loop: str, version: str, alert: str, server: ssl.SSLContext, tmp_path: Path) -> None:
    """Also where much came meanwhile (TLS 1.3: a client may speak at once), the log says why, and nobody is let in."""
    let_in: list[object] = []

    async def run() -> str | None:
        listening = await asyncio.start_server(lambda *pair: let_in.append(pair), "127.0.0.1", 0, ssl=server)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            return await asyncio.to_thread(_heard, port, tmp_path / "tls.pem", version, bytes(4 * 1024 * 1024))

    with capture_logs() as log, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(run()) == alert
    assert [(each["event"], each["detail"]) for each in log] == [
        ("handshake-refused", "peer did not return a certificate")
    ]
    assert let_in == []


@pytest.mark.parametrize("loop", LOOPS)
def test_who_is_refused_and_does_not_listen_is_closed(
    loop: str, server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody without a certificate sends on and on."""
    monkeypatch.setattr(handshakes, "MOST_AFTER", 1024 * 1024)

    def send(port: int) -> None:
        context = ssl.create_default_context(cafile=str(tmp_path / "tls.pem"))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
            pytest.raises(OSError, match=r"EOF|reset|pipe"),
        ):
            connection.sendall(bytes(64 * 1024 * 1024))

    async def run() -> None:
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=server) as listening:
            await asyncio.to_thread(send, listening.sockets[0].getsockname()[1])

    with capture_logs(), asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_no_handshake_ends_the_connection(loop: str, server: ssl.SSLContext) -> None:
    """A client that closes is closed."""

    async def run() -> bytes:
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=server)
        async with listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            writer.write_eof()
            heard = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            return heard

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(run())[:1] in (b"", b"\x15")  # nothing, or an alert
