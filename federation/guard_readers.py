"""Characters of a body, taken apart into names and texts: JSON, forms, XML and plain text, with bounded memory.

The reading is lenient on purpose: it takes names and values out of whatever looks like them, since it must find what
another reader would find, and need not understand the rest. A number in parts is seen in elements of one array and in
fields that are numbered (`no1`, `no2`, `no[0]`), not in any others; columns of a table are not known by their headings.
"""

import html
import re
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import unquote_plus

from federation.guard_disguises import unescaped
from federation.guard_numbers import MY_NUMBER_DIGITS, RESIDENT_CODE_DIGITS

LONGEST = 64 * 1024
"""Characters of one value that are held until it is whole."""

OVERLAP = 1024
"""Characters that two windows on a long value have in common; the longest disguise of a number fits in."""

_MANY = 4096
"""Characters that are held, beyond which they are not gone over again for every few that come."""

_LONGEST_NAME = 200

Piece = tuple[str | None, str]
"""The name of a field, if it has one, and a text in it."""


class Reader(Protocol):
    """Takes characters apart."""

    @property
    def held(self) -> int:
        """How many characters it still waits with."""
        ...

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """What can be looked at now that `content` has come."""
        ...


_SPEAKS_FOR = frozenset({"attributevalue", "value", "values", "string", "text", "item", "li"})
"""Elements and members that are named by the one around them, or by the one before that says their name."""

_CALLS = frozenset({"name", "key", "field"})
"""Attributes and members that say a name."""


class _Turns:
    """When what is held is gone over again: for a long value not at each sign that comes, or it would take for ever."""

    def __init__(self) -> None:
        self._next = 0

    def due(self, size: int, *, last: bool) -> bool:
        """Whether now, with so many characters held."""
        return last or size >= self._next

    def done(self, size: int) -> None:
        """So many are still held after it."""
        self._next = size + size // 16 if size > _MANY else 0


class Text:
    """Plain text, in windows."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._buffer = ""

    @property
    def held(self) -> int:
        """See `Reader`."""
        return len(self._buffer)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """See `Reader`."""
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


_ELEMENT = re.compile(r"\d{1,6}")
_ELEMENT_DIGITS = 6
_NUMBERED = re.compile(r"(.*?)[\s_.-]*(?:[0-9]{1,2}|\[[0-9]{1,2}\])", re.DOTALL)


class Parts:
    """Digits in fields one after another whose names differ in a number at the end, as forms ask for a long number."""

    def __init__(self) -> None:
        self._stem = ""
        self._digits: list[str] = []

    def add(self, name: str | None, value: str, between: str = "-") -> Iterator[Piece]:
        """All of them together under their common name, when they are as many digits as such a number has."""
        if not name or name[-1] not in "0123456789]" or not _ELEMENT.fullmatch(value):
            return
        if (numbered := _NUMBERED.fullmatch(name[-_LONGEST_NAME:])) is None:
            return
        if numbered[1] != self._stem:
            self._stem, self._digits = numbered[1], []
        self._digits.append(value)
        while sum(map(len, self._digits)) > MY_NUMBER_DIGITS:
            del self._digits[0]
        if len(self._digits) > 1 and sum(map(len, self._digits)) >= RESIDENT_CODE_DIGITS:
            yield self._stem, between.join(self._digits)


_STRING = r'(?:[^"\\]++|\\.)*+'
_JSON_TOKEN = re.compile(
    rf'"(?P<string>{_STRING})"(?P<colon>\s*:)?|(?P<bracket>[][{{}}])|(?P<open>")|(?P<bare>[^][{{}}",:]+)',
    re.DOTALL,
)
_JSON_CONTENT = re.compile(rf"({_STRING})(\"?)", re.DOTALL)
_MOST_ELEMENTS = 13
_MOST_NAMES = 1024


def _plain(text: str) -> str:
    return unescaped(text) if "\\" in text else text


class Json:
    """JSON, one text or many (RFC 8259, NDJSON, RFC 7464): each string and number under the name last seen."""

    def __init__(self) -> None:
        self._buffer = ""
        self._turns = _Turns()
        self._name: str | None = None
        self._elements: list[str] = []
        self._names: set[str] = set()
        self._parts = Parts()
        self._long: Text | None = None

    @property
    def held(self) -> int:
        """See `Reader`."""
        return len(self._buffer) + (0 if self._long is None else self._long.held)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """See `Reader`."""
        self._buffer += content
        if self._turns.due(len(self._buffer), last=last):
            yield from self._again(last=last)
            self._turns.done(len(self._buffer))

    def _again(self, *, last: bool) -> Iterator[Piece]:
        while True:
            if self._long is not None:
                yield from self._in_long(self._long, last=last)
                if self._long is not None:
                    return
            yield from self._tokens(last=last)
            if not self._buffer.startswith('"') or not (last or len(self._buffer) > LONGEST):
                return
            self._buffer = self._buffer[1:]
            self._long = Text(self._name)

    def _in_long(self, long: Text, *, last: bool) -> Iterator[Piece]:
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
        waits = not last and len(buffer) <= LONGEST
        for token in _JSON_TOKEN.finditer(buffer):
            kind, end = token.lastgroup, token.end()
            if kind == "open" or (waits and end == len(buffer)):
                done = token.start()  # not whole; or a colon may follow, or more digits
                break
            done = end
            if kind == "colon":
                yield from self._named(_plain(token["string"]))
            elif kind == "bracket":
                if self._elements:
                    yield from self._together()
            else:
                value = token["string"] if kind == "string" else token["bare"].strip()
                if value:
                    yield self._name, value
                    yield from self._also(value, bare=kind == "bare")
        else:
            done = len(buffer)
        self._buffer = buffer[done:]

    def _named(self, name: str) -> Iterator[Piece]:
        """A member begins; its name is looked at when it comes for the first time."""
        if name.lower() not in _SPEAKS_FOR:
            self._name = name
        if name not in self._names:
            yield None, name
            if len(self._names) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
                self._names.add(name)

    def _also(self, value: str, *, bare: bool) -> Iterator[Piece]:
        """What else a value is: the name of the next one, or a part of a number."""
        if not bare and self._name in _CALLS:
            self._name = _plain(value[:_LONGEST_NAME])
            return
        if len(value) > _ELEMENT_DIGITS:
            value = _plain(value) if len(value) <= _LONGEST_NAME else ""
        if _ELEMENT.fullmatch(value):
            if len(self._elements) < _MOST_ELEMENTS:
                self._elements.append(value if bare else f'"{value}"')
            yield from self._parts.add(self._name, value, ", " if bare else "-")

    def _together(self) -> Iterator[Piece]:
        """The elements of an array, if they are digits and alike in length."""
        digits = [element.strip('"') for element in self._elements]
        if len(digits) > 1 and len({*map(len, digits)}) == 1:
            yield self._name, (", " if self._elements == digits else "-").join(digits)
        self._elements = []


class Form:
    """Names and values of a form (application/x-www-form-urlencoded)."""

    def __init__(self) -> None:
        self._buffer = ""
        self._turns = _Turns()
        self._parts = Parts()
        self._long: Text | None = None

    @property
    def held(self) -> int:
        """See `Reader`."""
        return len(self._buffer) + (0 if self._long is None else self._long.held)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """See `Reader`."""
        self._buffer += content
        if self._turns.due(len(self._buffer), last=last):
            yield from self._again(last=last)
            self._turns.done(len(self._buffer))

    def _again(self, *, last: bool) -> Iterator[Piece]:
        *whole, self._buffer = re.split("[&;]", self._buffer)
        for pair in (*whole, self._buffer) if last else whole:
            if self._long is not None:
                yield from self._long.feed(pair, last=True)
                self._long = None
                continue
            name, value = (unquote_plus(each, errors="replace") for each in pair.partition("=")[::2])
            yield name, value
            yield None, name
            yield from self._parts.add(name, value)
        if last:
            self._buffer = ""
        elif self._long is not None or len(self._buffer) > LONGEST:
            name, _, value = ("", "", self._buffer) if self._long is not None else self._buffer.partition("=")
            self._long = self._long or Text(unquote_plus(name[:LONGEST], errors="replace"))
            self._buffer = ""
            yield from self._long.feed(value or name, last=False)


_INLINE_TAG = r"</?(?:a|b|i|u|em|strong|small|sub|sup|span|font|mark|wbr)(?:\s[^<>]*)?/?>|<\?[^<>]*\?>"
_INLINE = re.compile(_INLINE_TAG)
_INLINE_OR_COMMENT = re.compile(_INLINE_TAG + "|<!--.*?-->", re.DOTALL)
_PIECE = r"(?P<data>(?!))|<(?P<tag>[^<>]*)>|(?P<text>[^<]+)|(?P<open><)"
_MARKUP_TOKEN = re.compile(_PIECE)
_MARKUP_TOKEN_OR_DATA = re.compile(_PIECE.replace("(?P<data>(?!))", r"<!\[CDATA\[(?P<data>.*?)\]\]>"), re.DOTALL)
_XML_ATTRIBUTE = re.compile(r"([^\s=\"'<>/]{1,200})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def _without_inline(content: str) -> tuple[list[str], str]:
    """The tags within a text and the comments; and the content without them.

    A comment must end, so none begins behind the last end: to look for one from there, from every beginning, is what
    some body of comments alone would have a guard do.
    """
    over = content.rfind("-->") + len("-->")
    inside, behind = (content[:over], content[over:]) if over >= len("-->") else ("", content)
    found = [*_INLINE_OR_COMMENT.findall(inside), *_INLINE.findall(behind)]
    return found, _INLINE_OR_COMMENT.sub("", inside) + _INLINE.sub("", behind)


def _tokens(content: str) -> Iterator[re.Match[str]]:
    """Tags, texts and CDATA sections, one after another; no section begins behind the end of the last one."""
    at, last = 0, content.rfind("]]>")
    while token := (_MARKUP_TOKEN_OR_DATA if at < last else _MARKUP_TOKEN).match(content, at):
        yield token
        at = token.end()


class Markup:
    """XML and HTML: attributes under their names, text under the name of its element, or what that calls itself."""

    def __init__(self) -> None:
        self._buffer = ""
        self._turns = _Turns()
        self._name: str | None = None
        self._parts = Parts()

    @property
    def held(self) -> int:
        """See `Reader`."""
        return len(self._buffer)

    def feed(self, content: str, *, last: bool) -> Iterator[Piece]:
        """See `Reader`."""
        self._buffer += content
        if self._turns.due(len(self._buffer), last=last):
            yield from self._again(last=last)
            self._turns.done(len(self._buffer))

    def _again(self, *, last: bool) -> Iterator[Piece]:
        found, buffer = _without_inline(self._buffer)
        for inline in found:
            yield None, inline
        done = 0
        text, end = "", 0  # it is over once a whole tag follows that is none of the inline ones
        for token in _tokens(buffer):
            if token["open"]:
                break
            if token["tag"] is None:
                text, end = text + (token["data"] or token["text"] or ""), token.end()
                continue
            yield from self._text(text)
            yield from self._tag(token["tag"])
            text, done = "", token.end()
        if last and text:
            yield from self._text(text)
            done = end
        self._buffer = buffer[done:]
        if self._buffer and (last or len(self._buffer) > LONGEST):
            yield self._name, self._buffer
            self._buffer = "" if last else self._buffer[_next_window(self._buffer) :]

    def _text(self, content: str) -> Iterator[Piece]:
        if content:
            yield self._name, content
            yield from self._parts.add(self._name, content.strip())

    def _tag(self, tag: str) -> Iterator[Piece]:
        attributes = [(name, html.unescape(one or other)) for name, one, other in _XML_ATTRIBUTE.findall(tag)]
        local = re.split(r"[\s/]", tag, maxsplit=1)[0].rpartition(":")[2]
        called = next((value for name, value in attributes if name.lower() in _CALLS), None)
        if local and local.lower() not in _SPEAKS_FOR:
            self._name = called or local
        yield from attributes
        if not attributes:
            yield None, tag
