"""Bodies of calls, looked at while they pass: JSON, forms, multipart, XML and text, with bounded memory.

A body comes in pieces of any size. What was looked at may go on; what belongs to a value that is not whole yet, or
could be the beginning of a number, is `held`. So no number leaves before its last digit has been seen. A value that is
longer than `LONGEST` is looked at in windows that overlap by `OVERLAP` characters.

The reading is lenient on purpose: it takes names and values out of whatever looks like them, since it must find what
another reader would find, and need not understand the rest. Not seen: a number in parts in several members of a body
(only in elements of one array), columns of a table by their headings.
"""

import codecs
import re
import zlib
from collections.abc import Collection, Iterator
from email.message import Message
from typing import Protocol
from urllib.parse import unquote_plus

from federation.guard import Finding, Guard

LONGEST = 64 * 1024
"""Characters of one value that are held until it is whole."""

OVERLAP = 1024
"""Characters that two windows on a long value have in common; the longest disguise of a number fits in."""

MOST_EXPANDED = 100
"""How many times its length a compressed body may have, beyond the first mebibyte."""

_MEBIBYTE = 1 << 20
_MOST_DEPTH = 3
_MOST_FINDINGS = 20

Piece = tuple[str | None, str]
"""The name of a field, if it has one, and a text in it."""


class NotInspectableError(Exception):
    """The body cannot be looked at; `why` says it in one word (`type`, `charset`, `coding`, `expansion`, `nesting`)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Reader(Protocol):
    """Takes characters apart."""

    @property
    def held(self) -> int:
        """How many characters it still waits with."""
        ...

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """What can be looked at now that `content` has come."""
        ...


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
    named = (coding or "identity").strip().lower()
    if named in {"", "identity"}:
        return None
    if named not in {"gzip", "x-gzip", "deflate"}:
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

    def __init__(self, reader: _Reader, charset: str) -> None:
        self._reader = reader
        try:
            info = codecs.lookup(charset)
        except LookupError:
            raise NotInspectableError("charset") from None
        if info.name not in _CHARSETS:
            raise NotInspectableError("charset")
        self._decoder = info.incrementaldecoder("replace")

    @property
    def held(self) -> int:
        return self._reader.held * _MOST_BYTES

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        text = self._decoder.decode(content, last)
        yield from self._reader.feed(text.replace("\x00", ""), last=last)


class _Unlooked:
    """A part that nobody looks at, by the operator's word."""

    held = 0

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        del content, last
        return iter(())


_MOST_BYTES = 8  # ISO-2022-JP, with an escape before and after
_CHARSETS = frozenset(
    {"utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252", "shift_jis", "cp932", "euc_jp", "iso2022_jp", "utf-16"}
    | {"utf-16-le", "utf-16-be"}
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
        return _TextPart(_Json(), "utf-8")  # RFC 8259 §8.1
    if kind == "application/x-www-form-urlencoded":
        return _TextPart(_Form(), charset or "utf-8")
    if kind.endswith(("+xml", "/xml", "/html")):
        return _TextPart(_Markup(), charset or "utf-8")
    if kind.startswith("text/") or kind.endswith(("/jwt", "+jwt", "/jose", "/pem-certificate-chain", "/yaml", "+yaml")):
        return _TextPart(_Text(name), charset or "utf-8")
    raise NotInspectableError("type")


# --- readers


class _Text:
    """Plain text, in windows."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._buffer = ""

    @property
    def held(self) -> int:
        return len(self._buffer)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        self._buffer += content
        if self._buffer and (last or len(self._buffer) > 2 * OVERLAP):
            yield self._name, self._buffer
            self._buffer = "" if last else self._buffer[_next_window(self._buffer) :]


def _next_window(text: str) -> int:
    """Where the next window begins: a multiple of four characters into a word of base64 that is cut."""
    begin = len(text) - OVERLAP
    word = begin
    while word and text[word - 1] in _BASE64_SIGNS:
        word -= 1
    return begin - (begin - word) % 4


_BASE64_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


_STRING = r'(?:[^"\\]++|\\.)*+'
_JSON_TOKEN = re.compile(
    rf'"(?P<string>{_STRING})"(?P<colon>\s*:)?|(?P<bracket>[][{{}}])|(?P<open>")|(?P<bare>[^][{{}}",:]+)',
    re.DOTALL,
)
_JSON_CONTENT = re.compile(rf"({_STRING})(\"?)", re.DOTALL)
_ELEMENT = re.compile("[0-9]{1,6}")
_MOST_ELEMENTS = 13


class _Json:
    """JSON, one text or many (RFC 8259, NDJSON, RFC 7464): each string and number under the name last seen."""

    def __init__(self) -> None:
        self._buffer = ""
        self._name: str | None = None
        self._elements: list[str] = []
        self._long: _Text | None = None

    @property
    def held(self) -> int:
        return len(self._buffer) + (0 if self._long is None else self._long.held)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        self._buffer += content
        while True:
            if self._long is not None:
                yield from self._in_long(self._long, last=last)
                if self._long is not None:
                    return
            yield from self._tokens(last=last)
            if not self._buffer.startswith('"') or not (last or len(self._buffer) > LONGEST):
                return
            self._buffer = self._buffer[1:]
            self._long = _Text(self._name)

    def _in_long(self, long: _Text, *, last: bool) -> Iterator[Piece]:
        """Go on in a string that is too long to be held."""
        content = _JSON_CONTENT.match(self._buffer)
        assert content is not None  # it matches nothing, too
        self._buffer = self._buffer[content.end() :]
        over = last or content[2] != ""
        yield from long.feed(content[1], last=over)
        if over:
            self._long = None
            self._buffer = "" if last and not content[2] else self._buffer

    def _tokens(self, *, last: bool) -> Iterator[Piece]:
        buffer, done = self._buffer, 0
        for token in _JSON_TOKEN.finditer(buffer):
            if token["open"] or (not last and token.end() == len(buffer) and len(buffer) <= LONGEST):
                done = token.start()  # not whole; or a colon may follow, or more digits
                break
            yield from self._token(token)
            done = token.end()
        else:
            done = len(buffer)
        self._buffer = buffer[done:]

    def _token(self, token: re.Match[str]) -> Iterator[Piece]:
        if token["colon"]:
            self._name = token["string"]
            yield None, token["string"]
        elif token["bracket"]:
            digits = [element.strip('"') for element in self._elements]
            if len(digits) > 1 and len({*map(len, digits)}) == 1:
                yield self._name, (", " if self._elements == digits else "-").join(digits)
            self._elements = []
        else:
            value = token["string"] if token["bare"] is None else token["bare"].strip()
            yield self._name, value
            if _ELEMENT.fullmatch(value) and len(self._elements) < _MOST_ELEMENTS:
                self._elements.append(value if token["bare"] else f'"{value}"')


class _Form:
    """Names and values of a form (application/x-www-form-urlencoded)."""

    def __init__(self) -> None:
        self._buffer = ""
        self._long: _Text | None = None

    @property
    def held(self) -> int:
        return len(self._buffer) + (0 if self._long is None else self._long.held)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        *whole, self._buffer = re.split("[&;]", self._buffer + content)
        for pair in (*whole, self._buffer) if last else whole:
            if self._long is not None:
                yield from self._long.feed(pair, last=True)
                self._long = None
                continue
            name, _, value = pair.partition("=")
            yield unquote_plus(name, errors="replace"), unquote_plus(value, errors="replace")
            yield None, unquote_plus(name, errors="replace")
        if last:
            self._buffer = ""
        elif self._long is not None or len(self._buffer) > LONGEST:
            name, _, value = ("", "", self._buffer) if self._long is not None else self._buffer.partition("=")
            self._long = self._long or _Text(unquote_plus(name[:LONGEST], errors="replace"))
            self._buffer = ""
            yield from self._long.feed(value or name, last=False)


_INLINE = re.compile(r"</?(?:a|b|i|u|em|strong|small|sub|sup|span|font|mark|wbr)(?:\s[^<>]*)?/?>|<!--.*?-->", re.DOTALL)
_MARKUP_TOKEN = re.compile(r"<!\[CDATA\[(?P<data>.*?)\]\]>|<(?P<tag>[^<>]*)>|(?P<text>[^<]+)|(?P<open><)", re.DOTALL)
_XML_ATTRIBUTE = re.compile(r"([^\s=\"'<>/]{1,200})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_SPEAKS_FOR = frozenset({"attributevalue", "value", "string", "text", "item", "li"})
"""Elements that are named by the one around them."""


class _Markup:
    """XML and HTML: attributes under their names, text under the name of its element, or what that calls itself."""

    def __init__(self) -> None:
        self._buffer = ""
        self._name: str | None = None

    @property
    def held(self) -> int:
        return len(self._buffer)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        self._buffer += content
        for inline in _INLINE.findall(self._buffer):
            yield None, inline
        buffer, done = _INLINE.sub("", self._buffer), 0
        text: re.Match[str] | None = None  # it is over once a whole tag follows that is none of the inline ones
        for token in _MARKUP_TOKEN.finditer(buffer):
            if token["open"]:
                break
            if text is not None:
                yield from self._token(text)
            text = token if token["text"] else None
            if text is None:
                yield from self._token(token)
                done = token.end()
        if last and text is not None:
            yield from self._token(text)
            done = text.end()
        self._buffer = buffer[done:]
        if self._buffer and (last or len(self._buffer) > LONGEST):
            yield self._name, self._buffer
            self._buffer = "" if last else self._buffer[_next_window(self._buffer) :]

    def _token(self, token: re.Match[str]) -> Iterator[Piece]:
        if token["tag"] is None:
            yield self._name, token["data"] or token["text"] or ""
            return
        tag: str = token["tag"]
        attributes = [(name, one or other) for name, one, other in _XML_ATTRIBUTE.findall(tag)]
        local = re.split(r"[\s/]", tag, maxsplit=1)[0].rpartition(":")[2]
        called = next((value for name, value in attributes if name.lower() in {"name", "key", "field"}), None)
        if local and local.lower() not in _SPEAKS_FOR:
            self._name = called or local
        yield from attributes
        if not attributes:
            yield None, tag


class _Multipart:
    """Parts of a multipart body (RFC 2046 §5.1, RFC 7578), each read as what it says it is."""

    def __init__(self, boundary: str, unlooked: Collection[str], depth: int) -> None:
        self._border = b"--" + boundary.encode("utf-8", "replace")
        self._unlooked = unlooked
        self._depth = depth
        self._buffer = b"\r\n"
        self._inside: _Part = _plain()
        self._in_head = False

    @property
    def held(self) -> int:
        return len(self._buffer) + self._inside.held

    def feed(self, content: bytes, *, last: bool) -> Iterator[Piece]:
        self._buffer += content
        while True:
            if self._in_head:
                head, found, rest = self._buffer.partition(b"\r\n\r\n")
                if not found and not last:
                    if len(self._buffer) > LONGEST:
                        raise NotInspectableError("nesting")
                    return
                yield from self._begin(head)
                self._buffer, self._in_head = b"\r\n" + rest, False
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
        yield from self._inside.feed(content, last=last)
        if last:
            self._inside = _plain()


def _plain() -> _Part:
    """Who reads what stands before and after the parts."""
    return _TextPart(_Text(None), "utf-8")
