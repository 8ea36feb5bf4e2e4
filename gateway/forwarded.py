"""Who is at the other end of a connection, when proxies may stand between.

Forwarded headers are believed only from the addresses listed under `trusted_proxies`; from anyone else they
are ignored. A plain listener beyond loopback serves nobody but those proxies.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How a request came: `secure` if the person's browser used HTTPS, `via_proxy` if a listed proxy brought it."""

    secure: bool
    via_proxy: bool


def origin(peer: str | None, *, tls: bool, forwarded_proto: str | None, proxies: Iterable[Network]) -> Origin:
    """The origin of a request from address `peer` whose X-Forwarded-Proto headers read `forwarded_proto`."""
    proxies = tuple(proxies)
    trusted = peer is not None and bool(proxies) and listed(peer, proxies)
    if not trusted:
        return Origin(secure=tls, via_proxy=False)
    # Of several values, the last was added by the proxy that we know.
    claimed = (forwarded_proto or "").rsplit(",", 1)[-1].strip().lower()
    return Origin(secure=claimed == "https" if claimed else tls, via_proxy=True)


def is_loopback(peer: str | None) -> bool:
    """Whether this is the machine itself; a unix socket counts."""
    if peer is None:
        return True
    try:
        return ip_address(peer.split("%", 1)[0]).is_loopback
    except ValueError:
        return False


def listed(peer: str | None, proxies: Iterable[Network]) -> bool:
    """Whether this is one of the listed proxies."""
    if peer is None:
        return False
    try:
        address = ip_address(peer.split("%", 1)[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in proxies)
