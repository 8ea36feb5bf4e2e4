"""A card in a reader: the browser shows its certificate in the TLS handshake, and signs in."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ObjectIdentifier, UnrecognizedExtension

from tests.federation.certificate.authorities import UNKNOWN_EXTENSION, Authority, Issued
from tests.flows.person import Person

from .certificate_sample import LISTED, STRANGER, certificate_list, certificate_sample
from .gateway_sample import AUTHORIZE, Sample, Served, free_port, served, signatory, until
from .test_workers import only, workers_of

UNKNOWN = (UnrecognizedExtension(ObjectIdentifier(UNKNOWN_EXTENSION), b"\x05\x00"), True)
"""An extension that is critical and that nobody knows."""


class _Responder(BaseHTTPRequestHandler):
    """The authority's OCSP responder (RFC 6960 §A.1)."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        now = datetime.now(UTC).replace(microsecond=0)
        body = LISTED.ocsp(asked, now, now + timedelta(hours=1))
        self.send_response(200)
        self.send_header("Content-Type", "application/ocsp-response")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass
class Town:
    """A gateway with a listener for card readers, an authority's responder, and where its files are."""

    gateway: Served
    public: str
    cards: str
    trusted: str
    responder: str
    directory: Path

    def card(
        self,
        *,
        by: Authority = LISTED,
        ocsp: bool = True,
        subject: str = "山田 花子",
        begins: int = -1,
        ends: int = 30,
        **wishes: Any,
    ) -> Issued:
        """A card, as its authority issues it; `begins` and `ends`: in days from now."""
        now = datetime.now(UTC)
        return by.issue(
            subject,
            ocsp_urls=(self.responder,) if ocsp else (),
            not_before=now + timedelta(days=begins),
            not_after=now + timedelta(days=ends),
            **wishes,
        )

    def put_in(self, card: Issued) -> tuple[str, str]:
        """The card's certificate and key as files, for a browser that holds it."""
        certificate, key = self.directory / "card.pem", self.directory / "card.key"
        certificate.write_bytes(card.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(card.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(certificate), str(key)

    def browser(self) -> tuple[requests.Session, str]:
        """A browser before the page of a sign-in, and where its button for card readers leads."""
        session = requests.Session()
        session.verify, session.trust_env = self.trusted, False
        person = Person(session=session).open(self.public + AUTHORIZE).choose("system", "phone")
        address = f"{self.cards}{urlsplit(person.url).path}/card"
        assert address in person.response.text
        return session, address


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One gateway for all of them, in a process of its own."""
    with opened(tmp_path_factory.mktemp("town")) as found:
        yield found


@contextmanager
def opened(directory: Path, *options: str, subject: str = "subject.commonName") -> Iterator[Town]:
    """A town that knows people by `subject`; `options` are the gateway's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Responder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sample = certificate_sample(directory)
    sample.port, cards = free_port(), free_port()
    sample.public_url = f"https://localhost:{sample.port}"
    files = {"certificate": "tls.pem", "key": "tls.key"}
    trusted = _tls(sample)
    readers = {"url": f"https://localhost:{cards}", "listen": {"host": "localhost", "port": cards}, "tls": files}
    sample.write("gateway.yaml", sample.gateway(tls=files, card_readers=readers))
    path = sample.config / "id-systems" / "phone.yaml"
    phones = yaml.safe_load(path.read_text())
    path.write_text(json.dumps({**phones, "subject": subject, "card_readers": "accepted"}, ensure_ascii=False))
    with served(sample, *options) as gateway:
        yield Town(
            gateway=gateway,
            public=sample.public_url,
            cards=readers["url"],
            trusted=trusted,
            responder=f"http://127.0.0.1:{server.server_address[1]}/ocsp",
            directory=directory,
        )
    server.shutdown()
    server.server_close()


def _tls(sample: Sample) -> str:
    pair = signatory("first", host="localhost")
    (sample.config / "tls.pem").write_bytes(pair.certificate)
    key = sample.config / "tls.key"
    key.write_bytes(pair.key)
    key.chmod(0o600)
    trusted = sample.directory / "trusted.pem"
    trusted.write_bytes(pair.certificate)
    return str(trusted)


def test_a_card_signs_in(town: Town) -> None:
    """The way leads back to the public address, where the person is asked as after every sign-in."""
    session, address = town.browser()
    answer = session.get(address, cert=town.put_in(town.card()), allow_redirects=False, timeout=30)

    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].startswith(f"{town.public}/login/")
    assert answer.headers["Location"].endswith("/consent")
    assert session.get(answer.headers["Location"], timeout=30).status_code == 200


def test_without_a_card_the_page_says_what_to_do(town: Town) -> None:
    """The handshake goes on without a certificate, so that somebody can be told."""
    session, address = town.browser()
    answer = session.get(address, timeout=30)

    assert answer.status_code == 403
    assert "Put the card into the reader" in answer.text


def test_another_browser_gets_nowhere_with_its_card(town: Town) -> None:
    """The address is of no use to whoever did not begin."""
    _, address = town.browser()
    stranger = requests.Session()
    stranger.verify, stranger.trust_env = town.trusted, False
    answer = stranger.get(address, cert=town.put_in(town.card()), timeout=30)

    assert answer.status_code == 403
    assert "山田" not in answer.text


def test_a_revoked_card_is_refused_on_a_page(town: Town) -> None:
    """With the way back to the service, which is told."""
    card = town.card(subject="鈴木 一郎")
    LISTED.revoke(card.certificate, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    session, address = town.browser()
    answer = session.get(address, cert=town.put_in(card), timeout=30)

    assert answer.status_code == 400
    assert "Your certificate has been stopped" in answer.text
    assert f"{town.public}/login/" in answer.text


@pytest.mark.parametrize(
    ("wishes", "status", "told"),
    [
        ({"begins": -60, "ends": -30}, 400, "Your certificate has expired"),
        ({"begins": 3}, 400, "Your certificate is not valid yet"),
        ({"extensions": [UNKNOWN]}, 400, "This certificate is not one of this municipality"),
        ({"key_usage": ("key_agreement",)}, 403, "This certificate may not be used for this service"),
    ],
    ids=("expired", "not-yet-valid", "unknown-critical-extension", "key-usage"),
)
def test_what_the_handshake_leaves_to_our_rules_is_refused_on_a_page(
    town: Town, wishes: dict[str, Any], status: int, told: str
) -> None:
    """Nobody sees the browser's own error page for it, and nobody comes in."""
    session, address = town.browser()
    answer = session.get(address, cert=town.put_in(town.card(**wishes)), timeout=30)

    assert answer.status_code == status
    assert told in answer.text
    assert f"{town.public}/login/" in answer.text


def _by_itself(_: Town) -> Issued:
    alone = Authority.root("山田 花子")
    return Issued(alone.certificate, alone.key, ())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=("1.2", "1.3"))
@pytest.mark.parametrize(
    "shown",
    [
        lambda town: town.card(extended_key_usages=("1.3.6.1.5.5.7.3.1",)),  # serverAuth
        lambda town: town.card(key_usage=("content_commitment",)),
        lambda town: town.card(key="rsa-1024"),
        lambda town: town.card(by=Authority.root("Example CA", key="rsa-1024")),
        _by_itself,
        lambda town: town.card(by=STRANGER),
        lambda town: town.card(signed_by=STRANGER.key),
    ],
    ids=("for-servers", "for-signing-only", "short-key", "weak-stranger", "self-signed", "namesake", "forged"),
)
def test_what_ends_in_the_handshake_reaches_no_page(
    town: Town, shown: Callable[[Town], Issued], version: ssl.TLSVersion
) -> None:
    """Certificates for another purpose, weak ones, and whatever no listed authority signed; the alert says why."""
    assert re.fullmatch(
        r"(SSLV3|TLSV1)_ALERT_[A-Z_]*(CERTIFICATE|CA|DECRYPT_ERROR)", _answered(town, shown(town), version)
    )


def test_a_browser_that_shows_anything_gets_a_page_for_what_counts(town: Town) -> None:
    """The same browser, so that it is not the one who ends the handshakes above."""
    assert _answered(town, town.card()) == "HTTP/1.1 404"


def _answered(town: Town, card: Issued, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> str:
    """What a browser that would show and accept the weakest hears first, be it an alert."""
    browser = ssl.create_default_context(cafile=town.trusted)
    browser.set_ciphers("DEFAULT:@SECLEVEL=0")
    browser.load_cert_chain(*town.put_in(card))
    browser.maximum_version = version
    plain = socket.create_connection(("localhost", urlsplit(town.cards).port or 0), timeout=30)
    try:
        with plain, browser.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(12).decode()
    except ssl.SSLError as fault:
        return str(fault.reason)
    except ConnectionError:
        return ""


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize(
    ("shown", "alert"),
    [
        (lambda town: town.card(by=STRANGER), "TLSV1_ALERT_UNKNOWN_CA"),
        (_by_itself, "TLSV1_ALERT_UNKNOWN_CA"),
        (lambda town: town.card(signed_by=STRANGER.key), "TLSV1_ALERT_DECRYPT_ERROR"),
        (lambda town: town.card(extended_key_usages=("1.3.6.1.5.5.7.3.1",)), "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
    ],
    ids=("namesake", "self-signed", "forged", "for-servers"),
)
def test_a_browser_is_told_by_an_alert_why_the_handshake_ended(
    town: Town, version: str, shown: Callable[[Town], Issued], alert: str
) -> None:
    """So that its own page speaks of the certificate, and not of a connection that broke (RFC 8446 §6.2)."""
    browser = ssl.create_default_context(cafile=town.trusted)
    browser.minimum_version = browser.maximum_version = ssl.TLSVersion[version]
    browser.load_cert_chain(*town.put_in(shown(town)))
    plain = socket.create_connection(("localhost", urlsplit(town.cards).port or 0), timeout=30)
    with plain, pytest.raises(ssl.SSLError) as told:
        _listen(browser, plain)
    assert told.value.reason == alert


def _listen(browser: ssl.SSLContext, plain: socket.socket) -> None:
    with browser.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.recv(1)


def test_a_card_of_which_nobody_says_whether_it_was_revoked_is_refused(town: Town) -> None:
    """Hard, unless the configuration says otherwise by name."""
    session, address = town.browser()
    answer = session.get(address, cert=town.put_in(town.card(ocsp=False)), timeout=30)

    assert answer.status_code == 503
    assert "cannot be checked now" in answer.text


def test_nothing_else_is_served_there(town: Town) -> None:
    """One page, and what it looks like."""
    session, _ = town.browser()
    assert session.get(f"{town.cards}/login/x", timeout=30).status_code == 404
    assert session.get(town.cards + AUTHORIZE, timeout=30).status_code == 404
    assert session.get(f"{town.cards}/static/kakehashi.css", timeout=30).status_code == 200


def test_where_the_issuer_promises_nothing_a_card_that_is_new_is_asked_about(tmp_path: Path) -> None:
    """As a phone's certificate: whose it is stands by the first time; a former one is shown on a phone only."""
    with opened(tmp_path, subject="key") as town:
        session, address = town.browser()
        card = town.put_in(town.card())
        new = session.get(address, cert=card, allow_redirects=False, timeout=30).headers["Location"]
        page = session.get(new, timeout=30).text
        assert re.fullmatch(rf"{town.public}/certificate/[\w-]+/new", new)
        answers = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', page)[0], "decision": "renewed"}
        former = session.post(new, answers, allow_redirects=False, timeout=30).headers["Location"]
        assert "/card" not in session.get(town.public + urlsplit(former).path, timeout=30).text
        by_card = f"{town.cards}{urlsplit(former).path}/card"
        assert session.get(by_card, cert=card, allow_redirects=False, timeout=30).status_code == 403

        session, address = town.browser()
        new = session.get(address, cert=card, allow_redirects=False, timeout=30).headers["Location"]
        page = session.get(new, timeout=30).text
        answers = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', page)[0], "decision": "first"}
        consent = session.post(new, answers, allow_redirects=False, timeout=30).headers["Location"]
        assert consent.endswith("/consent")

        session, address = town.browser()
        known = session.get(address, cert=card, allow_redirects=False, timeout=30).headers["Location"]
        assert known.endswith("/consent")


def test_every_worker_serves_cards(tmp_path: Path) -> None:
    """While all others sleep."""
    with opened(tmp_path, "--workers", "2") as town:
        until(lambda: len(workers_of(town.gateway)) == 2)
        workers = workers_of(town.gateway)
        for each in workers:
            with only(each, workers):
                session, address = town.browser()
                answer = session.get(address, cert=town.put_in(town.card()), allow_redirects=False, timeout=30)
                assert answer.headers["Location"].endswith("/consent")
                session.close()


def test_an_authority_that_was_listed_since_is_asked_for(town: Town) -> None:
    """Whom a newer list names can shake hands, without a new configuration and without a restart."""
    newcomer = Authority.root("Newcomer CA")
    session, address = town.browser()
    held = town.put_in(town.card(by=newcomer))
    with pytest.raises(requests.exceptions.RequestException):
        session.get(address, cert=held, timeout=30)
    town.gateway.sample.put_list(certificate_list(LISTED, newcomer, sequence=2))
    deadline = time.monotonic() + 20
    while True:
        try:
            answer = session.get(address, cert=held, allow_redirects=False, timeout=30)
            break
        except requests.exceptions.RequestException:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert "Server" in answer.headers
