"""The bounded way out to addresses that are others' words: lists, services that are told, members who are asked.

Whatever comes back may be hostile in every part.

What is bounded: octets (whatever Content-Length says), the whole time, the rate (a server that drips), redirects (to
the same host, scheme and port only), and where a name may lead. Addresses are judged after the name was resolved, and
the connection goes to exactly those that were judged, so that a name cannot first lead here and then elsewhere (DNS
rebinding). TLS is verified always. No cookies, no credentials, no proxy of the environment, no compression.

Each refusal is a code of `observability.vocabulary.FETCH_CODES` and a sentence: where, what was expected, what to do.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from federation.web import HttpResponse
from gateway.config.types import is_loopback

MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OK, NOT_MODIFIED = 200, 304

CHUNK = 64 * 1024

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(Enum):
    """Which addresses a list may come from: public ones; those of a private network too; this machine alone."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"


_GLOBAL = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
"""IANA's registries of special-purpose addresses (RFC 6890), Teredo and 6to4 among them; multicast and class E."""
_PRIVATE = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
)
"""RFC 1918, RFC 6598, RFC 4193."""
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")))
"""Where clouds tell a machine its own secrets, of all that is not link-local: one even within the public ranges."""


def permitted(address: str, reach: Reach) -> bool:
    """Whether a list may come from this numeric address. An address that carries another is judged by that one."""
    try:
        ip: IPAddress = ipaddress.ip_address(address)
    except ValueError:  # with a zone, or no address at all
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if reach is Reach.LOOPBACK:
        return ip.is_loopback
    if ip in _METADATA:
        return False
    if reach is Reach.PRIVATE and any(ip in network for network in _PRIVATE):
        return True
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL:
        return False
    return not any(ip in network for network in _NOT_PUBLIC)


class FetchRefusedError(Exception):
    """Nothing usable came: `code` for machines, the text for the operator (where, expected, what to do).

    `status` is that of an answer to `ask` whose content was of no use.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long a fetch may take: `seconds` in all, `connect_seconds` for the connection.

    After `patience_seconds` at least `bytes_per_second` must have come on average; without an octet it waits no longer.
    """

    seconds: float = 180.0
    connect_seconds: float = 10.0
    patience_seconds: float = 10.0
    bytes_per_second: int = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole body, and by what to ask whether it is still current (RFC 9110 §8.8)."""

    body: bytes
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A whole answer, whatever its status; header names in lower case, one entry a line."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _AddressError(OSError):
    """A name leads where lists do not come from."""


class _Resolver(AbstractResolver):
    """The system's resolver; a name with any address that is not permitted leads nowhere."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses, numeric."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, address in found:
            if not permitted(str(address[0]), self._reach):
                raise _AddressError(f"{host} leads to an address that is not permitted")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""


class _Once:
    """Keeps the HTTP client from sending a request again by itself when a connection breaks (RFC 9112 §9.3.1)."""

    def __init__(self) -> None:
        self._fault: Exception | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Ask once; the second time, say what happened the first time."""
        if self._fault is not None:
            raise self._fault
        try:
            return await handler(request)
        except Exception as fault:
            self._fault = fault
            raise


_FAULTS: tuple[tuple[tuple[type[Exception], ...], str, str, str], ...] = (
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        "tls",
        "a TLS certificate of this host from a known authority",
        "Ask its operator; verification cannot be switched off",
    ),
    ((aiohttp.ClientPayloadError,), "truncated", "the whole document", "It is fetched again by itself"),
    (
        (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError),
        "unreachable",
        "a server that answers",
        "Check network and server",
    ),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, OSError),
        "truncated",
        "the whole answer",
        "The connection broke; it is fetched again by itself",
    ),
    ((Exception,), "http", "an HTTP answer", "Ask its operator"),
)
"""What a fault of the HTTP client means: code, what was expected, what to do. The first row that fits counts."""


class Fetcher:
    """Asks within `bounds`, over at most `connections` at once.

    `context` verifies TLS; by default with the system's authorities.
    """

    def __init__(
        self, *, bounds: Bounds | None = None, context: ssl.SSLContext | None = None, connections: int = 8
    ) -> None:
        self._bounds = bounds or Bounds()
        self._context = context
        self._connections = connections
        self._sessions: dict[Reach, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def fetch(
        self,
        url: str,
        *,
        limit: int,
        private: bool = False,
        accept: str = "*/*",
        etag: str | None = None,
        last_modified: str | None = None,
        seconds: float | None = None,
        beyond: str | None = None,
        plain: bool = False,
    ) -> Fetched | None:
        """The body at `url`, at most `limit` octets; None if it is still the one that `etag`, `last_modified` name.

        `private`: a private address is permitted. An address of this machine is permitted only if the URL itself
        names it; where `url` is somebody else's word, if `beyond` names it, too: the operator's own address, from which
        one came to it. `seconds` may shorten the time for everything. `plain`: http will do, since what comes is signed
        and public. Raises `FetchRefusedError`.
        """
        most = min(seconds or self._bounds.seconds, self._bounds.seconds)
        if beyond is not None and _names_this_machine(url) and not _names_this_machine(beyond):
            raise _address_refused(url)
        headers = {"Accept": accept}
        if etag is not None:
            headers["If-None-Match"] = etag
        if last_modified is not None:
            headers["If-Modified-Since"] = last_modified
        conditional = len(headers) > 1
        try:
            async with asyncio.timeout(most):
                return await self._follow(url, headers, limit, private=private, conditional=conditional, plain=plain)
        except TimeoutError:
            raise _refused("timeout", url, f"its answer within {most:g} s", "Ask its operator, or try later.") from None

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        limit: int,
        private: bool = False,
        seconds: float | None = None,
        beyond: str | None = None,
        plain: bool = False,
    ) -> HttpResponse:
        """The answer to one POST, whatever its status, with at most `limit` octets; a redirect is not followed.

        The rest is as in `fetch`. Raises `FetchRefusedError`.
        """
        answer = await self.ask(
            "POST",
            url,
            body=body,
            headers=tuple(headers.items()),
            limit=limit,
            private=private,
            seconds=seconds,
            beyond=beyond,
            plain=plain,
        )
        return HttpResponse(status=answer.status, headers=dict(answer.headers), body=answer.body)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: Sequence[tuple[str, str]],
        limit: int,
        private: bool = False,
        seconds: float | None = None,
        beyond: str | None = None,
        plain: bool = False,
    ) -> Answered:
        """The answer to one request of any method, as `post` has it; nothing is sent twice."""
        most = min(seconds or self._bounds.seconds, self._bounds.seconds)
        if beyond is not None and _names_this_machine(url) and not _names_this_machine(beyond):
            raise _address_refused(url)
        try:
            async with (
                asyncio.timeout(most),
                self._asked(
                    url, headers, private=private, plain=plain, body=body, method=method, once=True
                ) as response,
            ):
                try:
                    content = await self._content(url, response, limit)
                except FetchRefusedError as fault:
                    fault.status = response.status
                    raise
                found = tuple((name.lower(), value) for name, value in response.headers.items())
                return Answered(status=response.status, headers=found, body=content)
        except TimeoutError:
            raise _refused("timeout", url, f"its answer within {most:g} s", "Ask its operator, or try later.") from None

    async def _follow(
        self, url: str, headers: Mapping[str, str], limit: int, *, private: bool, conditional: bool, plain: bool
    ) -> Fetched | None:
        here = url
        for _ in range(MOST_REDIRECTS + 1):
            async with self._asked(here, headers, private=private, plain=plain) as response:
                if response.status == NOT_MODIFIED and conditional:
                    return None
                if response.status not in REDIRECTS:
                    return await self._body(here, response, limit)
                there = _joined(here, response.headers.get("Location", ""))
            if not _same_place(there, url):
                raise _refused(
                    "redirect",
                    url,
                    f"an answer from the same host, not a redirect to {_shown(there)}",
                    "If the list has moved, write its new address into trust.yaml.",
                )
            here = there
        raise _refused("redirect", url, f"at most {MOST_REDIRECTS} redirects", "Ask its operator to mend the address.")

    @asynccontextmanager
    async def _asked(
        self,
        url: str,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        private: bool,
        plain: bool = False,
        body: bytes | None = None,
        method: str = "GET",
        once: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request, and every way in which it can fail as a refusal."""
        target, reach = _target(url, private=private, plain=plain)
        try:
            async with self._session(reach).request(
                method,
                target,
                headers=headers,
                data=body,
                allow_redirects=False,
                middlewares=(_Once(),) if once else (),
            ) as response:
                yield response
        except aiohttp.ClientConnectorDNSError as fault:
            if isinstance(fault.os_error, _AddressError):
                raise _address_refused(url) from None
            raise _refused(
                "dns", url, "a name that leads to an address", "Check the name in trust.yaml, and the resolver here."
            ) from None
        except aiohttp.SocketTimeoutError:
            raise self._slow(url) from None
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            code, expected, todo = next(row for kinds, *row in _FAULTS if isinstance(fault, kinds))
            raise _refused(code, url, expected, f"{todo} ({_reason(fault)}).") from None

    async def _body(self, url: str, response: aiohttp.ClientResponse, limit: int) -> Fetched:
        if response.status != OK:
            raise _refused("status", url, f"status 200, found {response.status}", "Check the address, or try later.")
        return Fetched(
            body=await self._content(url, response, limit),
            etag=_validator(response.headers.get("ETag")),
            last_modified=_validator(response.headers.get("Last-Modified")),
        )

    async def _content(self, url: str, response: aiohttp.ClientResponse, limit: int) -> bytes:
        codings = ",".join(response.headers.getall("Content-Encoding", ())).lower().split(",")
        if not {each.strip() for each in codings} <= {"identity", ""}:
            raise _refused("encoding", url, "a body that is not compressed", "Ask its operator to honour the request.")
        if (response.content_length or 0) > limit:
            raise _too_large(url, limit)
        clock = asyncio.get_running_loop().time
        begun, body = clock(), bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) > limit:
                raise _too_large(url, limit)
            waited = clock() - begun
            if waited > self._bounds.patience_seconds and len(body) < waited * self._bounds.bytes_per_second:
                raise self._slow(url)
        return bytes(body)

    def _session(self, reach: Reach) -> aiohttp.ClientSession:
        if reach not in self._sessions:
            if self._context is None:
                self._context = ssl.create_default_context()
            connector = aiohttp.TCPConnector(
                resolver=_Resolver(reach), use_dns_cache=False, ssl=self._context, limit=self._connections
            )
            bounds = self._bounds
            self._sessions[reach] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=bounds.connect_seconds,
                    sock_connect=bounds.connect_seconds,
                    sock_read=bounds.patience_seconds,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "kakehashi", "Accept-Encoding": "identity"},
                trust_env=False,
                auto_decompress=False,
                max_line_size=8190,
                max_field_size=16380,
            )
        return self._sessions[reach]

    def _slow(self, url: str) -> FetchRefusedError:
        return _refused(
            "slow",
            url,
            f"at least {self._bounds.bytes_per_second} octets a second",
            "Ask its operator; the list in force stays meanwhile.",
        )


def _refused(code: str, url: str, expected: str, todo: str) -> FetchRefusedError:
    return FetchRefusedError(code, f"{_shown(url)}: expected {expected}. {todo}")


def _too_large(url: str, limit: int) -> FetchRefusedError:
    return _refused("too-large", url, f"at most {limit} octets", "Check the address; this is no list.")


def _address_refused(url: str) -> FetchRefusedError:
    return _refused(
        "private-address",
        url,
        "a public address",
        "It leads into a private network or to this machine; if that is meant, write `private_addresses: allowed`.",
    )


def _shown(url: str) -> str:
    """An address for people, without a query, which may hold a secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]
    except ValueError:
        return "(no address)"


def address(url: str) -> URL:
    """An address as it is asked: as it is written, if nothing in it must be encoded (RFC 3986 §2). Raises `ValueError`.

    Whoever signs what is sent signs this one: the library would write some of it in another way.
    """
    return URL(url, encoded=_URI.fullmatch(url) is not None)


_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


def _target(url: str, *, private: bool, plain: bool) -> tuple[URL, Reach]:
    """The address as it will be asked, and which network it may lead to. Raises `FetchRefusedError`."""
    try:
        target = address(url) if url.isascii() and url.isprintable() else URL()
        host, place = target.host or "", _place(target)
    except ValueError:
        host, place = "", None
    if place is None:
        raise _refused("address", url, "an https address without a user's name", "Correct it in trust.yaml.")
    reach = Reach.LOOPBACK if is_loopback(host) else Reach.PRIVATE if private else Reach.PUBLIC
    if target.scheme != "https" and reach is not Reach.LOOPBACK and not plain:
        raise _refused("address", url, "https", "Plain http is for this machine alone; correct it in trust.yaml.")
    looks_numeric = ":" in host or host.replace(".", "").isdigit()
    if looks_numeric and not permitted(host, reach):  # aiohttp does not ask the resolver for these
        raise _address_refused(url)
    return target, reach


def _names_this_machine(url: str) -> bool:
    try:
        return is_loopback((URL(url).host or "").rstrip("."))
    except ValueError:
        return False


def _place(target: URL) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None for what has none or brings credentials."""
    if target.scheme not in ("http", "https") or not target.host or target.raw_user or target.raw_password:
        return None
    return target.scheme, target.host.lower().rstrip("."), target.port


def _joined(here: str, location: str) -> str:
    try:
        return urljoin(here, location)
    except ValueError:
        return ""


def _same_place(one: str, other: str) -> bool:
    try:
        return _place(URL(one)) == _place(URL(other)) is not None
    except ValueError:
        return False


def _validator(value: str | None) -> str | None:
    """A validator as it may be sent back."""
    return value if value is not None and len(value) <= 1024 and value.isprintable() else None  # noqa: PLR2004 - enough


def _reason(fault: Exception) -> str:
    """OpenSSL's own word, which names no person."""
    inner: Any = getattr(fault, "certificate_error", None) or getattr(fault, "os_error", fault)
    return str(getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or type(inner).__name__)
