"""Trailer fields of requests (RFC 9112 §7.1.2), which aiohttp's server does not tell.

It even keeps the last one, and says that it was the first header of the request that follows on the connection. So
whoever shares a connection with others, behind a proxy, could give the next of them a header. A connection is followed
from its first request in chunks on, by a parser of its own, and ends with the first request that has trailers.
"""

from collections.abc import Sequence

import httptools
from aiohttp.http_parser import RawRequestMessage

Fields = list[tuple[bytes, bytes]]


class Follower:
    """Reads what the server's parser reads, from the beginning of a request on.

    `last` is the number of the request that has trailers, counted from that one, and `trailers` are they.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.trailers: Fields = []
        self._heads: list[tuple[str, Fields]] | None = [("", [])]
        self._parser = httptools.HttpRequestParser(self)
        self._in_body = False
        self._number = 0
        self._over = False

    @classmethod
    def of(cls, data: bytes, requests: Sequence[RawRequestMessage]) -> "Follower | None":
        """One that has read `data`; None if what begins in it are not just these requests."""
        follower = cls()
        if not follower.feed(data) or follower._heads is None:
            return None
        told = [(request.method, list(request.raw_headers)) for request in requests]
        found, follower._heads = follower._heads[:-1], None
        end = None if follower.last is None else follower.last + 1  # what comes behind is not read
        return follower if found[:end] == told[:end] else None

    def over(self, number: int) -> bool:
        """Whether a request comes after the one that has trailers."""
        return self.last is not None and number > self.last

    def feed(self, data: bytes) -> bool:
        """Read on; whether it can be read."""
        if self._over:
            return True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._over = True
        except httptools.HttpParserError:
            return False
        return True

    # --- llhttp's side

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        field = (name, value.rstrip(b" \t"))
        if not self._in_body:
            if self._heads is not None:
                self._heads[-1][1].append(field)
        elif self.last in (None, self._number):
            self.last = self._number
            self.trailers.append(field)

    def on_headers_complete(self) -> None:
        """The body begins."""
        self._in_body = True
        if self._heads is not None:
            self._heads[-1] = (self._parser.get_method().decode(), self._heads[-1][1])
            self._heads.append(("", []))

    def on_message_complete(self) -> None:
        """A request is over."""
        self._in_body = False
        self._number += 1
