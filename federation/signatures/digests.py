"""Digests of what a message carries (`Content-Digest`, RFC 9530 §2): made, and held against content as it comes.

The content is what stands after transfer codings and before content codings are undone: the octets that are passed on.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from federation.signatures.message import Headers, lines
from federation.signatures.structured import Item, StructuredFieldError, read_dictionary, write

FIELD = "content-digest"

_KNOWN: Mapping[str, Callable[[bytes], Any]] = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
"""RFC 9530 §5: the others of its registry are broken or mean nothing, and are passed over."""

CODES = {
    "digest-missing": "no Content-Digest",
    "digest-malformed": "no dictionary of byte sequences",
    "digest-unknown": "none by SHA-256 or SHA-512",
    "digest-differs": "not of this content",
}
"""Every reason why a digest is refused."""


class DigestRefusedError(Exception):
    """Content that is not what its digest says; `code` is one of `CODES`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def content_digest(body: bytes, algorithm: str = "sha-256") -> str:
    """The value of `Content-Digest` for the whole content."""
    return write({algorithm: Item(_KNOWN[algorithm](body).digest())})


class ContentDigest:
    """What a message's headers say of its content, while that comes: `update` with every piece, then `finish`."""

    def __init__(self, headers: Headers) -> None:
        """Raises `DigestRefusedError`, but for `digest-differs`."""
        found = lines(headers, FIELD)
        if not found:
            raise DigestRefusedError("digest-missing")
        self._expected = _read(", ".join(found))
        self._running = [(_KNOWN[name](b""), value) for name, value in self._expected]

    def update(self, piece: bytes) -> None:
        """The next piece of the content."""
        for digest, _ in self._running:
            digest.update(piece)

    def finish(self) -> None:
        """The content is whole. Raises `DigestRefusedError` unless every digest that is known is its own."""
        if not all(hmac.compare_digest(digest.digest(), value) for digest, value in self._running):
            raise DigestRefusedError("digest-differs")


def check_digest(headers: Headers, body: bytes) -> None:
    """`ContentDigest` for content that is here whole. Raises `DigestRefusedError`."""
    digest = ContentDigest(headers)
    digest.update(body)
    digest.finish()


def _read(text: str) -> Iterable[tuple[str, bytes]]:
    try:
        members = read_dictionary(text, once=True)
    except StructuredFieldError:
        raise DigestRefusedError("digest-malformed") from None
    found = []
    for name, member in members.items():
        if not isinstance(member, Item) or not isinstance(member.value, bytes):
            raise DigestRefusedError("digest-malformed")
        if name in _KNOWN:
            found.append((name, member.value))
    if not found:
        raise DigestRefusedError("digest-unknown")
    return found
