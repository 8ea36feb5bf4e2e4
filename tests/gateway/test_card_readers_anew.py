"""After a card was taken out: what the browser keeps of it signs nobody in."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from .test_card_readers import Town, town

__all__ = ["town"]


class Browser:
    """One browser at a town hall, which keeps its connection and its session, whoever sits before it."""

    def __init__(self, town: Town, version: ssl.TLSVersion, card: tuple[str, str]) -> None:
        self._context = ssl.create_default_context(cafile=town.trusted)
        self._context.minimum_version = self._context.maximum_version = version
        self._context.load_cert_chain(*card)
        self._address = (urlsplit(town.cards).hostname, urlsplit(town.cards).port)
        self.connection = self.connect(None)

    def connect(self, session: ssl.SSLSession | None) -> ssl.SSLSocket:
        """Shake hands."""
        plain = socket.create_connection(self._address, timeout=30)
        return self._context.wrap_socket(plain, server_hostname="localhost", session=session)

    def get(self, address: str, person: requests.Session) -> http.client.HTTPResponse:
        """Ask over the connection that is open."""
        cookies = "; ".join(f"{each.name}={each.value}" for each in person.cookies)
        target = address.removeprefix(f"https://{urlsplit(address).netloc}")
        self.connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(self.connection)
        answer.begin()
        answer.read()
        return answer


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def browser(request: pytest.FixtureRequest, town: Town) -> Iterator[Browser]:
    """After somebody signed in with a card there, and took it out."""
    first, address = town.browser()
    found = Browser(town, ssl.TLSVersion[request.param], town.put_in(town.card()))
    assert str(found.get(address, first).headers["Location"]).endswith("/consent")
    yield found
    found.connection.close()


def test_the_connection_that_is_still_open_signs_nobody_else_in(town: Town, browser: Browser) -> None:
    """Whoever comes next is sent to shake hands, for which a card is needed."""
    second, address = town.browser()
    answer = browser.get(address, second)
    assert answer.status == 303
    assert str(answer.headers["Location"]).endswith("/card?again")

    browser.connection.close()
    browser.connection = browser.connect(None)
    assert str(browser.get(f"{address}?again", second).headers["Location"]).endswith("/consent")


def test_the_same_connection_gets_a_page_when_it_comes_again(town: Town, browser: Browser) -> None:
    """A browser that does not shake hands is not sent round for ever."""
    second, address = town.browser()
    assert browser.get(f"{address}?again", second).status == 403


def test_the_session_signs_nobody_else_in(town: Town, browser: Browser) -> None:
    """TLS 1.3 has none without a ticket; one of TLS 1.2 is known again, and is sent to shake hands."""
    session = browser.connection.session
    plain = browser.connection.unwrap()  # as browsers do: otherwise the session is forgotten at some time
    plain.close()
    browser.connection = browser.connect(session)
    second, address = town.browser()
    answer = browser.get(address, second)

    assert browser.connection.session_reused == (browser.connection.version() == "TLSv1.2")
    assert str(answer.headers["Location"]).endswith("/card?again" if browser.connection.session_reused else "/consent")
