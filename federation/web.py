"""HTTP as data: what the protocol rules see of a request and what they answer.

`federation/` has no sockets. A rule that must ask the network is an `Exchange`: a generator that yields an
`HttpRequest` and is sent the `HttpResponse`; `gateway/` drives it.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request that the gateway is to make: absolute URL, headers, body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back. Header names are lower case. The body is bounded by whoever drives the exchange."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class RoadError(Exception):
    """No usable HTTP response: connection, TLS, time or size. Thrown into an `Exchange` by its driver."""


Exchange = Generator[HttpRequest, HttpResponse, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A request that reached the gateway.

    `url` is the public URL without its query. `raw_query` is the exact query octets, for detached signatures (SAML
    Bindings §3.4.4.1). `form` is the decoded `application/x-www-form-urlencoded` body, in order. Header names are lower
    case. `certificate` is the one that the client showed in its TLS handshake (DER).
    """

    method: str
    url: str
    raw_query: str = field(default="", repr=False)
    form: Sequence[tuple[str, str]] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    def parameters(self) -> list[tuple[str, str]]:
        """Query parameters for GET, form parameters for POST, in order, duplicates kept."""
        if self.method == "POST":
            return list(self.form)
        return parse_qsl(self.raw_query, keep_blank_values=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Send the browser to `location` (303)."""

    location: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostForm:
    """Let the browser post `fields` to `action` (SAML Bindings §3.5.4): by a button, or by itself with JavaScript."""

    action: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A finished body: metadata, a JWKS, a token response."""

    body: bytes = field(repr=False)
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Redirect | PostForm | Document

Json = Mapping[str, Any]
"""A JSON object that survives `json.dumps` and `json.loads` unchanged: what is kept between two requests."""


def with_query(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """`url` with `parameters` added to whatever query it has."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return urlunsplit(parts._replace(query=query))
