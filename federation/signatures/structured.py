"""Structured fields of HTTP (RFC 9651, which takes the place of RFC 8941): read and written, nothing in between.

Reading is strict as the specification is: a field parses whole or not at all. Of two members or parameters with one
name the last one counts there; whoever decides something by a field asks for `once`, and such a field is refused.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import TypeAlias, TypeVar

MAX_FIELD = 32 * 1024
"""Characters of the longest field that is read."""

T = TypeVar("T")

_LARGEST = 10**15 - 1
_LARGEST_WHOLE = 10**12
_THOUSANDTH = Decimal("0.001")


class StructuredFieldError(ValueError):
    """No structured field, or a value that cannot stand in one; the text repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A short word without quotes (RFC 9651 §3.3.4)."""

    text: str


@dataclass(frozen=True, slots=True)
class Date:
    """Seconds since 1970 (RFC 9651 §3.3.7)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Display:
    """A text in any script (RFC 9651 §3.3.8)."""

    text: str


Bare: TypeAlias = int | Decimal | str | bool | bytes | Token | Date | Display
Parameters: TypeAlias = Mapping[str, Bare]
NONE: Parameters = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its parameters, in their order (RFC 9651 §3.3)."""

    value: Bare
    parameters: Parameters = field(default_factory=lambda: NONE)


@dataclass(frozen=True, slots=True)
class InnerList:
    """Items in parentheses, with parameters of the whole (RFC 9651 §3.1.1)."""

    items: tuple[Item, ...]
    parameters: Parameters = field(default_factory=lambda: NONE)


Member: TypeAlias = Item | InnerList


# --- reading (RFC 9651 §4.2)

_SPACES = re.compile(" *")
_WHITE = re.compile("[ \t]*")
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?(?:([0-9]{1,12}\.[0-9]{1,3})|[0-9]{1,15})(?![0-9.])")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*)={0,2}:")
_BOOLEAN = re.compile(r"\?([01])")
_DATE = re.compile(r"@(-?[0-9]{1,15})(?![0-9.])")
_DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"')
_ESCAPED = re.compile(r"\\(.)")
_PERCENT = re.compile(rb"%([0-9a-f]{2})")


def read_item(text: str, *, once: bool = False) -> Item:
    """The one item of a field."""
    reader = _Reader(text, once=once)
    item = reader.item()
    reader.end()
    return item


def read_list(text: str, *, once: bool = False) -> tuple[Member, ...]:
    """The members of a list; a field that is empty has none."""
    reader = _Reader(text, once=once)
    members = []
    while not reader.ended():
        members.append(reader.member())
        reader.comma()
    return tuple(members)


def read_dictionary(text: str, *, once: bool = False) -> Mapping[str, Member]:
    """The members of a dictionary by their names, in their order."""
    reader = _Reader(text, once=once)
    members: dict[str, Member] = {}
    while not reader.ended():
        name = reader.key()
        reader.add(members, name, reader.member() if reader.skip("=") else Item(True, reader.parameters()))
        reader.comma()
    return members


class _Reader:
    """A place in a text. Every method raises `StructuredFieldError`."""

    def __init__(self, text: str, *, once: bool) -> None:
        if len(text) > MAX_FIELD:
            raise StructuredFieldError("the field is too long")
        self._text = text.strip(" ")
        self._at = 0
        self._once = once

    def ended(self) -> bool:
        return self._at == len(self._text)

    def end(self) -> None:
        if not self.ended():
            raise StructuredFieldError("something follows the value")

    def skip(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def comma(self) -> None:
        """What stands between two members, or the end."""
        self._take(_WHITE)
        if self.ended():
            return
        if not self.skip(","):
            raise StructuredFieldError("expected a comma between members")
        self._take(_WHITE)
        if self.ended():
            raise StructuredFieldError("the last member is followed by a comma")

    def add(self, members: dict[str, T], name: str, value: T) -> None:
        if self._once and name in members:
            raise StructuredFieldError("a name stands twice")
        members[name] = value  # the last one, in the place of the first

    def key(self) -> str:
        return self._take(_KEY, "a name")[0]

    def member(self) -> Member:
        return self._inner_list() if self._text.startswith("(", self._at) else self.item()

    def item(self) -> Item:
        return Item(self._bare(), self.parameters())

    def parameters(self) -> Parameters:
        if not self._text.startswith(";", self._at):
            return NONE
        found: dict[str, Bare] = {}
        while self.skip(";"):
            self._take(_SPACES)
            name = self.key()
            self.add(found, name, self._bare() if self.skip("=") else True)
        return found

    def _inner_list(self) -> InnerList:
        self._at += 1
        items: list[Item] = []
        while True:
            self._take(_SPACES)
            if self.skip(")"):
                return InnerList(tuple(items), self.parameters())
            items.append(self.item())
            if self._text[self._at : self._at + 1] not in {" ", ")"}:
                raise StructuredFieldError("expected a space or the end of an inner list")

    def _bare(self) -> Bare:  # noqa: PLR0911 - one line for every kind there is
        sign = self._text[self._at : self._at + 1]
        if sign.isdecimal() or sign == "-":
            number = self._take(_NUMBER, "a number")
            return Decimal(number[0]) if number[1] else int(number[0])
        match sign:
            case '"':
                text = self._take(_STRING, "a string")[1]
                return _ESCAPED.sub(r"\1", text) if "\\" in text else text
            case ":":
                return _octets(self._take(_BYTES, "a byte sequence")[1])
            case "?":
                return self._take(_BOOLEAN, "a boolean")[1] == "1"
            case "@":
                return Date(int(self._take(_DATE, "a date")[1]))
            case "%":
                return _display(self._take(_DISPLAY, "a display string")[1])
        return Token(self._take(_TOKEN, "a value")[0])

    def _take(self, pattern: re.Pattern[str], expected: str = "") -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise StructuredFieldError(f"expected {expected}")
        self._at = found.end()
        return found


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise StructuredFieldError("no base64") from None


def _display(text: str) -> Display:
    try:
        octets = _PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())
        return Display(octets.decode())
    except UnicodeDecodeError:
        raise StructuredFieldError("a display string that is not UTF-8") from None


# --- writing (RFC 9651 §4.1)


def write(value: Member | Sequence[Member] | Mapping[str, Member]) -> str:
    """A field's text. Raises `StructuredFieldError` for a value that cannot be written."""
    if isinstance(value, Item):
        return write_bare(value.value) + write_parameters(value.parameters)
    if isinstance(value, InnerList):
        return f"({' '.join(map(write, value.items))}){write_parameters(value.parameters)}"
    if isinstance(value, Mapping):
        return ", ".join(_write_named(name, member) for name, member in value.items())
    return ", ".join(map(write, value))


def write_bare(value: Bare) -> str:  # noqa: PLR0911 - one line for every kind there is
    """A value alone. Raises `StructuredFieldError`."""
    match value:
        case bool():
            return f"?{value:d}"
        case int():
            return str(_whole(value))
        case Decimal():
            return _write_decimal(value)
        case str():
            if not value.isascii() or not value.isprintable():
                raise StructuredFieldError("a string holds what no string may")
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case bytes():
            return f":{base64.b64encode(value).decode()}:"
        case Token():
            return _whole_match(_TOKEN, value.text)
        case Date():
            return f"@{_whole(value.seconds)}"
        case Display():
            return f'%"{_percent(value.text)}"'


def _write_named(name: str, member: Member) -> str:
    key = _whole_match(_KEY, name)
    if isinstance(member, Item) and member.value is True:
        return key + write_parameters(member.parameters)
    return f"{key}={write(member)}"


def write_parameters(parameters: Parameters) -> str:
    """Parameters alone, each behind its semicolon. Raises `StructuredFieldError`."""
    return "".join(_write_parameter(name, value) for name, value in parameters.items())


def _write_parameter(name: str, value: Bare) -> str:
    key = _whole_match(_KEY, name)
    return f";{key}" if value is True else f";{key}={write_bare(value)}"


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite() or abs(rounded := value.quantize(_THOUSANDTH, ROUND_HALF_EVEN)) >= _LARGEST_WHOLE:
        raise StructuredFieldError("a decimal is too large")
    text = f"{rounded:f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _whole(value: int) -> int:
    if abs(value) > _LARGEST:
        raise StructuredFieldError("a number is too large")
    return value


def _whole_match(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise StructuredFieldError("a name or token holds what none may")
    return text


def _percent(text: str) -> str:
    try:
        octets: Iterable[int] = text.encode()
    except UnicodeEncodeError:
        raise StructuredFieldError("a display string is no text") from None
    return "".join(
        chr(each) if 0x20 <= each < 0x7F and each not in {0x22, 0x25} else f"%{each:02x}"  # noqa: PLR2004 - ASCII
        for each in octets
    )
