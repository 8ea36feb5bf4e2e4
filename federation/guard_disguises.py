"""What a text holds when its disguises are taken off: escapes, base64, hexadecimal, compressed pieces, nested.

Only what anybody undoes without a key: percent-encoding, HTML's references, backslash escapes (JSON in JSON, as deep
as it goes), quoted-printable, base64 and base64url at every offset, hexadecimal, character codes as numbers, gzip and
zlib inside these. Not seen: what is encrypted or hashed, other bases (32, 58, 85), numbers spelled as words, images.

Certificates are found by their bytes: whatever begins as X.509's TBSCertificate or CMS's ContentInfo does.
"""

import base64
import binascii
import html
import re
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

DEEPEST = 6
"""Disguises over one another that are taken off."""

MOST_AT_ONCE = 1 << 20
"""Characters and bytes that come from one text, all disguises together."""

_SHORT = 512
"""Characters of a base64 word that is read at every offset; a longer one begins where it begins."""

_ESCAPE = re.compile(
    r"(?<!\\)\\{1,64}(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf0])|([\"'/]))"
)
_QUOTED = re.compile("(?:=[0-9A-Fa-f]{2})+")
_CODES = re.compile(r"(?<![0-9])(?:(?:4[89]|5[0-7])[ ,;]{1,2}){10,}(?:4[89]|5[0-7])(?![0-9])")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-fA-F]{2}[:\s-]?){11,}")
_BASE64 = re.compile("[A-Za-z0-9+/_-]{15,}")
_BROKEN_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])M(?:\s{0,4}(?:\\[rn])?[A-Za-z0-9+/_-]){31,255}")
_NO_BASE64 = re.compile("[0-9a-f-]+|[0-9A-F-]+|[a-z]+|[A-Z]+")
"""UUIDs and other hexadecimal words, and plain ones: base64 of twelve digits never looks like it."""

_STANDARD = str.maketrans("-_", "+/")

_ROW_IN_BYTES = re.compile(rb"(?:[0-9][^0-9A-Za-z]{0,8}){10,}[0-9]")
_READABLE = re.compile("[\x20-\x7e\\s]|[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")

DISGUISED = (
    r"%[0-9A-Fa-f]{2}|&#|&[A-Za-z]{2,8};|\\[uxnrt\"'\\]|=[0-9A-Fa-f]{2}="
    r"|[A-Za-z0-9+/_-]{15}|(?:[0-9a-fA-F]{2}[: ]){11}|(?:4[89]|5[0-7])[ ,;]{1,2}(?:4[89]|5[0-7])[ ,;]"
    r"|MI[A-Za-z0-9+/_-]*\s"
)
"""What a text has that may be a disguise, as a regular expression."""

_DISGUISED = re.compile(DISGUISED)

_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_CERTIFICATE = re.compile(
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\xa0\x03\x02\x01[\x00-\x02]\x02[\x01-\x21]"  # RFC 5280 §4.1, v2 and v3
    rb"|\x30(?:\x80|" + _LENGTH + rb")\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x02\x03]"  # RFC 5652 §3, PKCS #7
    rb"|\x30"
    + _LENGTH
    + rb"\x02\x01\x03\x30(?:\x80|"
    + _LENGTH
    + rb")\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07",  # PKCS #12
    re.DOTALL,
)
_PEM = re.compile("-----BEGIN[ A-Z0-9]*(?:CERTIFICATE|PKCS ?#?7|CMS|PKCS ?#?12)")


def has_certificate(piece: str | bytes) -> bool:
    """Whether the piece holds the beginning of a certificate (X.509, PKCS #7, CMS, PKCS #12), as DER or PEM."""
    return (_CERTIFICATE if isinstance(piece, bytes) else _PEM).search(piece) is not None  # type: ignore[arg-type]


def readings(text: str) -> Iterator[str | bytes]:
    """The text, and what it holds under each disguise; each once, the plainest first. Bytes are what is no text."""
    seen: set[str | bytes] = {text}
    yield text
    waiting: list[str] = [text]
    left = MOST_AT_ONCE
    for _ in range(DEEPEST):
        following: list[str] = []
        for each in waiting:
            for piece in _beneath(each):
                if piece in seen or left < len(piece):
                    continue
                left -= len(piece)
                seen.add(piece)
                yield piece
                if isinstance(piece, str):
                    following.append(piece)
        waiting = following


def _beneath(text: str) -> Iterator[str | bytes]:
    """What stands under one more layer."""
    if not _DISGUISED.search(text):
        return
    for trigger, undo in _UNDO:
        if trigger in text:
            undone = undo(text)
            if undone != text:
                yield undone
    for codes in _CODES.findall(text):
        yield "".join(chr(int(code)) for code in re.findall("[0-9]{2}", codes))
    for word in _HEXADECIMAL.finditer(text):
        plain = re.sub("[^0-9a-fA-F]", "", word[0].replace("0x", ""))
        yield from _of_bytes(bytes.fromhex(plain[: len(plain) // 2 * 2]))
    for word in _BROKEN_BASE64.finditer(text):
        yield from _of_base64(re.sub(r"\s|\\[rn]", "", word[0]), (0,))
    for word in _BASE64.finditer(text):
        if _NO_BASE64.fullmatch(word[0]):
            continue
        yield from _of_base64(word[0], range(4) if len(word[0]) <= _SHORT else (0,))


def _of_base64(word: str, offsets: range | tuple[int, ...]) -> Iterator[str | bytes]:
    standard = word.translate(_STANDARD)
    for offset in offsets:
        whole = standard[offset : len(standard) - (1 if (len(standard) - offset) % 4 == 1 else 0)]
        try:
            content = base64.b64decode(whole + "=" * (-len(whole) % 4))
        except (binascii.Error, ValueError):
            continue
        yield from _of_bytes(content)


def _of_bytes(content: bytes) -> Iterator[str | bytes]:
    """The text that the bytes are; of what is no text, rows of digits and certificates."""
    if content[:2] == b"\x1f\x8b" or content[:2] in {b"\x78\x01", b"\x78\x9c", b"\x78\xda"}:
        try:
            content = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, MOST_AT_ONCE)
        except zlib.error:
            return
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and len(_READABLE.findall(text[:256])) * 8 >= len(text[:256]) * 7:
        yield text
        return
    if _CERTIFICATE.search(content):
        yield content
    for row in _ROW_IN_BYTES.finditer(content):
        yield row[0].decode("latin-1").replace("\x00", "")


def _percent(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return " " if match[5] is None else match[5]
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF else " "  # noqa: PLR2004 - the last code point


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda match: bytes.fromhex(match[0].replace("=", "")).decode("utf-8", "replace"), text)


_UNDO: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("%", _percent),
    ("&", html.unescape),
    ("\\", _unescaped),
    ("=", _unquoted),
)
