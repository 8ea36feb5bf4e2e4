"""Frames of callers' WebSockets, which must be masked (RFC 6455 §5.1); aiohttp's reader takes others, too.

A mask keeps whoever chooses what is sent from choosing what a proxy on the way reads.
"""

from typing import Protocol

MASK, LENGTH = 0x80, 0x7F
SHORT, LONG = 126, 127
"""Lengths that say how many octets the length itself has (§5.2)."""

UNREADABLE = b"\xf0\x80"
"""The beginning of a frame that every reader closes with 1002: its reserved bits are set (§5.2)."""

Fed = tuple[bool, bytes]
"""What aiohttp's readers answer: whether the end was reached, and what came behind it."""


class Reader(Protocol):
    """Reads frames."""

    def feed_data(self, data: bytes) -> Fed:
        """What has come."""

    def feed_eof(self) -> None:
        """Nothing more comes."""


class Masked:
    """Stands before a reader, and lets it read frames that are masked; of another it reads one that is none.

    What has come of a frame's head waits for the rest of it.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._head = b""
        self._left = 0
        self._over = False

    def feed_data(self, data: bytes) -> Fed:
        """Read on."""
        if self._over:
            return True, b""
        data = self._head + bytes(data)
        end = min(self._left, len(data))
        self._left -= end
        while not self._left and end < len(data):
            head = _head(data[end : end + 14])
            if head is None:
                break
            if not head:
                self._over = True
                return self._reader.feed_data(data[:end] + UNREADABLE)
            size, length = head
            self._left = max(0, end + size + length - len(data))
            end = min(end + size + length, len(data))
        self._head = data[end:]
        return self._reader.feed_data(data[:end])

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._reader.feed_eof()


def _head(data: bytes) -> tuple[int, int] | tuple[()] | None:
    """The octets of a frame's head and of its payload; None if more must come, `()` if the frame is not masked."""
    if len(data) < 2:  # noqa: PLR2004 - both octets that every head has
        return None
    if not data[1] & MASK:
        return ()
    length = data[1] & LENGTH
    more = {SHORT: 2, LONG: 8}.get(length, 0)
    size = 2 + more + 4
    if len(data) < size:
        return None
    return size, int.from_bytes(data[2 : 2 + more], "big") if more else length
