"""Listening sockets, and who is at their other end."""

import socket
from ipaddress import ip_network

import pytest

from gateway.forwarded import Origin, is_loopback, origin
from gateway.listeners import ListenError, bind

from .gateway_sample import free_port


def close(sockets: list[socket.socket]) -> None:
    """Close each of them."""
    for each in sockets:
        each.close()


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_localhost_is_both_of_its_addresses() -> None:
    """A browser may take either; both listen, on one port."""
    port = free_port()
    sockets = bind("localhost", port)
    try:
        assert {each.getsockname()[:2] for each in sockets} == {
            ("127.0.0.1", port),
            *([("::1", port)] if has_ipv6() else []),
        }
        assert not any(each.getblocking() for each in sockets)
        for each in sockets:
            with socket.socket(each.family) as caller:
                caller.connect(each.getsockname())
    finally:
        close(sockets)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_used_port_is_a_sentence(address: str) -> None:
    """On either address of localhost; nothing stays bound."""
    if ":" in address and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^Port {port} on localhost is in use by another program\. Stop"):
            bind("localhost", port)
    close(bind("localhost", port))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_another_machines_address_is_a_sentence(host: str) -> None:
    """A name that is none, and an address that is not here."""
    with pytest.raises(ListenError, match=rf"{host}.*(Expected|Choose)"):
        bind(host, free_port())


PROXIES = (ip_network("192.0.2.10/32"), ip_network("2001:db8::/64"))


@pytest.mark.parametrize(
    ("peer", "tls", "header", "expected"),
    [
        ("192.0.2.10", False, "https", Origin(secure=True, via_proxy=True)),
        ("192.0.2.10", False, "HTTPS ", Origin(secure=True, via_proxy=True)),
        ("192.0.2.10", False, "http", Origin(secure=False, via_proxy=True)),
        ("192.0.2.10", False, "", Origin(secure=False, via_proxy=True)),
        ("192.0.2.10", True, "", Origin(secure=True, via_proxy=True)),
        ("192.0.2.10", True, "http", Origin(secure=False, via_proxy=True)),
        ("192.0.2.10", False, "https, http", Origin(secure=False, via_proxy=True)),
        ("192.0.2.10", False, "http, https", Origin(secure=True, via_proxy=True)),
        ("::ffff:192.0.2.10", False, "https", Origin(secure=True, via_proxy=True)),
        ("2001:db8::7", False, "https", Origin(secure=True, via_proxy=True)),
        ("2001:db8::7%eth0", False, "https", Origin(secure=True, via_proxy=True)),
        ("192.0.2.11", False, "https", Origin(secure=False, via_proxy=False)),
        ("127.0.0.1", False, "https", Origin(secure=False, via_proxy=False)),
        ("192.0.2.11", True, "http", Origin(secure=True, via_proxy=False)),
        ("not an address", False, "https", Origin(secure=False, via_proxy=False)),
        (None, False, "https", Origin(secure=False, via_proxy=False)),
    ],
)
def test_forwarded_headers_count_from_listed_proxies_only(
    peer: str | None, header: str, expected: Origin, *, tls: bool
) -> None:
    """Of several values the last counts: the one that the proxy we know has added."""
    assert origin(peer, tls=tls, forwarded_proto=header, proxies=PROXIES) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        (None, True),
        ("192.0.2.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback(peer: str | None, *, expected: bool) -> None:
    """Addresses of the machine itself, and unix sockets, which have none."""
    assert is_loopback(peer) is expected
