"""A request and its answer, as far as signatures speak of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Fields as they are sent, one for each line; octets above ASCII as Latin-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as its sender knows it: `url` is the whole target URI (RFC 9110 §7.1).

    `target` is what stands in the request line, where that is not the URL's path and query.
    """

    method: str
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    target: str | None = field(default=None, repr=False)

    def split(self) -> SplitResult:
        """The parts of the URL. Raises `ValueError`."""
        return urlsplit(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to `request`, as that was sent; without it, nothing in the answer can be bound to it."""

    status: int
    headers: Headers = field(repr=False)
    request: Request | None = None


Message: TypeAlias = Request | Response


def lines(headers: Headers, name: str) -> list[str]:
    """What every line of a field says, in their order (RFC 9421 §2.1); `name` in lower case."""
    return [value.strip(" \t") for key, value in headers if key.lower() == name]
