"""Bodies of calls, looked at while they pass: JSON, forms, multipart, XML and text, with bounded memory.

A body comes in pieces of any size. What was looked at may go on; what belongs to a value that is not whole yet, or
could be the beginning of a number, is `held`. So no number leaves before its last digit has been seen. A value that is
longer than `LONGEST` is looked at in windows that overlap. Names and values are taken apart in `guard_readers.py`.
"""

import codecs
import encodings
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from email.message import Message
from encodings.aliases import aliases
from typing import Protocol

from federation.guard import Finding, Guard, Kind
from federation.guard_readers import LONGEST, Form, Json, Markup, Parts, Piece, Reader, Text

MOST_EXPANDED = 100
"""How many times its length a compressed body may have, beyond the first mebibyte."""

_MEBIBYTE = 1 << 20
_MOST_DEPTH = 3
_MOST_FINDINGS = 20


class NotInspectableError(Exception):
    """The body cannot be looked at; `why` says it in one word (`type`, `charset`, `coding`, `expansion`, `nesting`)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class BodyInspection:
    """One body on its way. Raises `NotInspectableError` at once if nobody could look at it.

    `content_type` and `content_encoding` are the headers' values. Bodies of one of the types `unlooked` pass as they
    are.
    """

    def __init__(
        self,
        guard: Guard,
        content_type: str | None,
        content_encoding: str | None = None,
        *,
        unlooked: Collection[str] = (),
    ) -> None:
        self._guard = guard
        self._kinds: set[tuple[str, str]] = set()
        self._unpacker = _unpacker(content_encoding)
        self._part = _part(content_type, unlooked, name=None, depth=0)
        self.came = 0
        """What has come so far, unpacked."""

    @property
    def packed(self) -> bool:
        """Whether more may come out of a piece than it has bytes."""
        return self._unpacker is not None

    @property
    def cleared(self) -> int:
        """How much of what came may go on."""
        return self.came - (0 if self._part is None else self._part.held)

    def feed(self, chunk: bytes) -> list[Finding]:
        """What is found now that `chunk` came. Raises `NotInspectableError`."""
        return self._fed(chunk, last=False)

    def finish(self) -> list[Finding]:
        """What is found in what was held to the end. Raises `NotInspectableError`."""
        return self._fed(b"", last=True)

    def _fed(self, chunk: bytes, *, last: bool) -> list[Finding]:
        if self._part is None:
            self.came += len(chunk)
            return []
        plain = [chunk] if self._unpacker is None else self._unpacker.unpacked(chunk, last=last)
        found: list[Finding] = []
        for content in plain:
            self.came += len(content)
            found += self._looked(self._part.feed(content, last=False))
        if last:
            found += self._looked(self._part.feed(b"", last=True))
        return found

    def _looked(self, pieces: Iterator[Piece]) -> list[Finding]:
        """Each kind and rule once a body, which bounds what is told of it."""
        found = []
        for name, text in pieces:
            for finding in self._guard.inspect(name, (text,)):
                if finding.kind is Kind.UNINSPECTED:
                    raise NotInspectableError("expansion")
                if (key := (finding.rule, finding.outcome)) not in self._kinds and len(self._kinds) < _MOST_FINDINGS:
                    self._kinds.add(key)
                    found.append(finding)
        return found


# --- content codings (RFC 9110 §8.4)


class _Unpacker:
    """gzip and deflate, with a bound."""

    def __init__(self) -> None:
        self._packed = self._plain = 0
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def unpacked(self, chunk: bytes, *, last: bool) -> Iterator[bytes]:
        """What the chunk holds, in pieces of at most `LONGEST` bytes."""
        self._packed += len(chunk)
        while chunk or (last and not self._stream.eof and self._packed):
            try:
                content = self._stream.decompress(chunk, LONGEST)
            except zlib.error:
                raise NotInspectableError("coding") from None
            self._plain += len(content)
            if self._plain > max(_MEBIBYTE, self._packed * MOST_EXPANDED):
                raise NotInspectableError("expansion")
            if content:
                yield content
            chunk = self._stream.unconsumed_tail
            if self._stream.eof and (chunk := self._stream.unused_data):
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)  # RFC 1952 §2.2: members one after another
            elif not chunk:
                break
        if last and self._packed and not self._stream.eof:
            raise NotInspectableError("coding")


def _unpacker(coding: str | None) -> _Unpacker | None:
    named = {each.strip().lower() for each in (coding or "").split(",")} - {"", "identity"}
    if not named:
        return None
    if (coding or "").count(",") or not named <= {"gzip", "x-gzip", "deflate"}:
        raise NotInspectableError("coding")
    return _Unpacker()


# --- content types


class _Part(Protocol):
    """Takes bytes apart."""

    @property
    def held(self) -> int:
        """How many bytes it still waits with, or more."""
        ...

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        """What can be looked at now that `content` has come."""
        ...


class _TextPart:
    """Bytes as characters, for a reader of characters. Its `held` counts bytes, and rather too many than too few."""

    def __init__(self, reader: Reader, charset: str) -> None:
        self._reader = reader
        name = encodings.normalize_encoding(charset).lower()
        name = _ALIASES.get(name, name)
        if name not in _CHARSETS:  # never asked for otherwise: Python keeps every name that it was asked for
            raise NotInspectableError("charset")
        self._decoder = codecs.lookup(name).incrementaldecoder("replace")

    @property
    def held(self) -> int:
        return self._reader.held * _MOST_BYTES

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        text = self._decoder.decode(content, last)
        yield from self._reader.feed(text.replace("\x00", ""), last=last)


class _Guessed:
    """Bytes that do not say in what they are written: UTF-8, and from where they are not, what is common in Japan.

    Programs of offices write Shift_JIS without a word about it, and XML says it where no header does (XML 1.0 §4.3.3).
    """

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self._parts = [_TextPart(reader(), "utf-8")]
        self._strict = codecs.getincrementaldecoder("utf-8")()

    @property
    def held(self) -> int:
        return max(part.held for part in self._parts)

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        if len(self._parts) == 1:
            try:
                self._strict.decode(content, last)
            except UnicodeDecodeError:
                self._parts += [_TextPart(self._reader(), charset) for charset in _COMMON]
        for part in self._parts:
            yield from part.feed(content, last=last)


_COMMON = ("cp932", "euc_jp", "utf_16_le", "utf_16_be")


class _Unlooked:
    """A part that nobody looks at, by the operator's word."""

    held = 0

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        del content, last
        return iter(())


_MOST_BYTES = 8  # ISO-2022-JP, with an escape before and after
_ALIASES = {**aliases, "windows_31j": "cp932"}  # IANA's name for it
_CHARSETS = frozenset(
    {"utf_8", "utf_8_sig", "ascii", "latin_1", "cp1252", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "utf_16"}
    | {"utf_16_le", "utf_16_be"}
)


def _part(content_type: str | None, unlooked: Collection[str], *, name: str | None, depth: int) -> _Part | None:
    """Who reads such a body; None for nobody, by the operator's word."""
    header = Message()
    header["Content-Type"] = content_type or "application/octet-stream"
    kind = header.get_content_type() if content_type and "/" in content_type else "application/octet-stream"
    charset = header.get_content_charset()
    if kind in unlooked:
        return None
    if kind.startswith("multipart/"):
        boundary = header.get_boundary()
        if not boundary or depth == _MOST_DEPTH:
            raise NotInspectableError("nesting" if boundary else "type")
        return _Multipart(boundary, unlooked, depth)
    if kind.endswith(("+json", "/json", "/x-ndjson", "/ndjson", "/jsonl", "/json-seq", "+json-seq")):
        return _TextPart(Json(), "utf-8")  # RFC 8259 §8.1
    if kind == "application/x-www-form-urlencoded":
        return _read(Form, charset)
    if kind.endswith(("+xml", "/xml", "/html")):
        return _read(Markup, charset)
    if kind.startswith("text/") or kind.endswith(("/jwt", "+jwt", "/jose", "/pem-certificate-chain", "/yaml", "+yaml")):
        return _read(lambda: Text(name), charset)
    raise NotInspectableError("type")


def _read(reader: Callable[[], Reader], charset: str | None) -> _Part:
    return _Guessed(reader) if charset is None else _TextPart(reader(), charset)


# --- parts of a body


_HEAD_END = re.compile(rb"\r?\n\r?\n")
"""RFC 2046 §5.1.1 has CRLF; many who read parts take a bare LF, too."""


class _Multipart:
    """Parts of a multipart body (RFC 2046 §5.1, RFC 7578), each read as what it says it is."""

    def __init__(self, boundary: str, unlooked: Collection[str], depth: int) -> None:
        self._border = b"--" + boundary.encode("utf-8", "replace")
        self._unlooked = unlooked
        self._depth = depth
        self._buffer = b"\r\n"
        self._inside: _Part = _plain()
        self._in_head = False
        self._parts = Parts()

    @property
    def held(self) -> int:
        return len(self._buffer) + self._inside.held

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        self._buffer += content
        while True:
            if self._in_head:
                end = _HEAD_END.search(self._buffer)
                if end is None:
                    if len(self._buffer) > LONGEST or last:
                        raise NotInspectableError("nesting")
                    return
                yield from self._begin(self._buffer[: end.start()])
                self._buffer, self._in_head = b"\r\n" + self._buffer[end.end() :], False
            at = self._buffer.find(b"\n" + self._border)
            if at < 0:
                break
            if not last and len(self._buffer) < at + len(self._border) + 3:
                return  # whether it is the last border is not known yet
            yield from self._content(self._buffer[:at], last=True)
            self._buffer = self._buffer[at + 1 + len(self._border) :]
            self._in_head = not self._buffer.startswith(b"--")
        keep = 0 if last else len(self._border) + 4
        yield from self._content(self._buffer[: max(0, len(self._buffer) - keep)], last=last)
        self._buffer = self._buffer[max(0, len(self._buffer) - keep) :]

    def _begin(self, head: bytes) -> Iterator[Piece]:
        """Read the headers of a part."""
        header = Message()
        for line in re.split(r"\r?\n(?![ \t])", head.decode("utf-8", "replace")):
            name, _, value = line.partition(":")
            if value:
                yield None, value
                header[name.strip()] = re.sub(r"[\x00-\x1f]+", " ", value.strip())
        called = header.get_param("name", header="content-disposition")
        kind = header.get("Content-Type") or "text/plain"
        name = called if isinstance(called, str) else None
        self._inside = _part(kind, self._unlooked, name=name, depth=self._depth + 1) or _Unlooked()

    def _content(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        for name, text in self._inside.feed(content, last=last):
            yield name, text
            yield from self._parts.add(name, text.strip())
        if last:
            self._inside = _plain()


def _plain() -> _Part:
    """Who reads what stands before and after the parts."""
    return _TextPart(Text(None), "utf-8")
