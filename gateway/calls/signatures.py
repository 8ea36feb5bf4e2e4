"""Content that is signed by its digest, as it streams: nobody gets the end of what is not what was signed."""

from collections.abc import AsyncIterator
from typing import Protocol

from federation.refusal import ContentDigestWrong
from federation.signatures.digests import FIELD, ContentDigest, DigestRefusedError
from federation.signatures.message import Headers, lines


class Check(Protocol):
    """Something that knows at the end whether it was the right content."""

    def update(self, piece: bytes) -> None:
        """The next piece."""

    def finish(self) -> None:
        """That was all. Raises a `CallRefusal`."""


class CallerDigest:
    """The digest that a caller sent of its own content."""

    def __init__(self, headers: Headers) -> None:
        """Headers with a `Content-Digest` that can be read."""
        self._digest = ContentDigest(headers)

    def update(self, piece: bytes) -> None:
        """The next piece."""
        self._digest.update(piece)

    def finish(self) -> None:
        """That was all. Raises `ContentDigestWrong`."""
        try:
            self._digest.finish()
        except DigestRefusedError as why:
            raise ContentDigestWrong(why.code) from None


def caller_digest(headers: Headers) -> CallerDigest | None:
    """The check of a caller's content, if it sent a digest."""
    return CallerDigest(headers) if lines(headers, FIELD) else None


async def held_back(chunks: AsyncIterator[bytes], check: Check) -> AsyncIterator[bytes]:
    """The same pieces, each when the next one has come, the last when the whole was checked."""
    waiting = b""
    async for chunk in chunks:
        check.update(chunk)
        if waiting:
            yield waiting
        waiting = chunk
    check.finish()
    if waiting:
        yield waiting
