"""What a text holds when its disguises are taken off: escapes, base64, hexadecimal, compressed pieces, nested.

Only what anybody undoes without a key: percent-encoding, HTML's references, backslash escapes (JSON in JSON, as deep as
it goes), quoted-printable, base64, base64url and base32 at every offset, hexadecimal, character codes as numbers; gzip
and zlib inside these; all of it in full width. Not seen: what is encrypted or hashed, other bases (58, 85), numbers
spelled as words, images.

Certificates are found by their bytes: whatever begins as X.509's TBSCertificate or CMS's ContentInfo does.
"""

import base64
import binascii
import html
import re
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

from federation.normal_form import nfkc

DEEPEST = 6
"""Disguises over one another that are taken off."""

MOST_AT_ONCE = 1 << 20
"""Characters and bytes that come from one text, all disguises together, at most."""

_FIRST, _TIMES = 1 << 14, 16
"""So many of them from any text, and so many times its length besides: ordinary content stays far below."""

_SHORT = 512
"""Characters of a base64 word that is read at every offset; a longer one begins where it begins."""

_ESCAPE = re.compile(
    r"(?<!\\)\\{1,64}"
    r"(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([01][0-7]{2})|([nrtbf0])|([\"'/]))"
)
_QUOTED = re.compile("(?:=[0-9A-Fa-f]{2})+")
_CODES = re.compile(r"(?<![0-9])(?:(?:4[89]|5[0-7])[ ,;]{1,2}){10,}(?:4[89]|5[0-7])(?![0-9])")
_HEXADECIMAL_CODES = re.compile(r"(?:(?:0x|U\+00)3[0-9][ ,;]{0,2}){11,}")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-fA-F]{2}[:\s-]?){11,}")
_BASE64 = re.compile("[A-Za-z0-9+/_-]{15,}")
_BROKEN_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])M(?:\s{0,4}(?:\\[rn])?[A-Za-z0-9+/_-]){31,255}")
_BASE32 = re.compile("(?<![A-Z2-7])[A-Z2-7]{18,}(?![a-z])|(?<![a-z2-7])[a-z2-7]{18,}(?![A-Z])")
_NO_BASE64 = re.compile("[0-9a-f-]+|[0-9A-F-]+|[a-z]+|[A-Z]+")
"""UUIDs and other hexadecimal words, and plain ones: base64 of twelve digits never looks like it."""

_NO_END_OF_BASE32 = {1: 1, 3: 1, 6: 1}
"""Letters that no whole byte ends with, by how many stand behind the last eight (RFC 4648 §6)."""

_PACKED = frozenset({b"\x1f\x8b", *(bytes((120, n)) for n in range(256) if (120 * 256 + n) % 31 == 0)})
"""How gzip (RFC 1952 §2.3.1) and zlib (RFC 1950 §2.2) begin."""

_STANDARD = str.maketrans("-_", "+/")

_ROW_IN_BYTES = re.compile(rb"(?:[0-9][^0-9A-Za-z]{0,8}){10,}[0-9]")
_READABLE = re.compile("[\x20-\x7e\\s]|[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")

DISGUISED = (
    r"%[0-9A-Fa-f]{2}|&#|&[A-Za-z]{2,8};|\\[01uxnrt\"'\\]|=[0-9A-Fa-f]{2}="
    r"|[A-Za-z0-9+/_-]{15}|(?:[0-9a-fA-F]{2}[:\s]){11}|(?:4[89]|5[0-7])[ ,;]{1,2}(?:4[89]|5[0-7])[ ,;]"
    r"|(?:0x|U\+00)3[0-9][ ,;]{0,2}(?:0x|U\+00)3|[！-～]{15}|[％＆＼＝]"
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


class TooMuchError(Exception):
    """More stands under the disguises of a text than is looked at."""


def readings(text: str) -> Iterator[str | bytes]:
    """The text, and what it holds under each disguise; each once, the plainest first. Bytes are what is no text.

    Raises `TooMuchError` at the end if something was left out for its size: nobody can say that it holds nothing.
    """
    seen: set[str | bytes] = {text}
    yield text
    waiting: list[str] = [text]
    left = min(MOST_AT_ONCE, _FIRST + _TIMES * len(text))
    whole = True
    for _ in range(DEEPEST):
        following: list[str] = []
        for each in waiting:
            for piece in _beneath(each):
                if piece in seen:
                    continue
                if left < len(piece):
                    whole = False
                    continue
                left -= len(piece)
                seen.add(piece)
                yield piece
                if isinstance(piece, str):
                    following.append(piece)
        waiting = following
    if not whole or any(piece not in seen for each in waiting for piece in _beneath(each)):
        raise TooMuchError


def _beneath(text: str) -> Iterator[str | bytes]:
    """What stands under one more layer."""
    if not _DISGUISED.search(text):
        return
    undone = text
    for trigger, undo in _UNDO:  # one after another: each alone, and in every choice, would be many times as much
        if trigger.search(undone) and (after := undo(undone)) != undone:
            undone = after
            yield undone
    yield from _coded(text)
    for word in _HEXADECIMAL.finditer(text):
        plain = re.sub("[^0-9a-fA-F]", "", word[0].replace("0x", ""))
        yield from _of_bytes(bytes.fromhex(plain[: len(plain) // 2 * 2]))
    for word in _BASE32.finditer(text):
        yield from _of_base32(word[0].upper())
    for word in _BROKEN_BASE64.finditer(text):
        yield from _of_base64(re.sub(r"\s|\\[rn]", "", word[0]), (0,))
    for word in _BASE64.finditer(text):
        if not _NO_BASE64.fullmatch(word[0]):
            yield from _of_base64(word[0], range(4) if len(word[0]) <= _SHORT else (0,))


def _coded(text: str) -> Iterator[str]:
    """Digits that stand as their codes, decimal or hexadecimal."""
    for codes in _CODES.findall(text):
        yield "".join(chr(int(code)) for code in re.findall("[0-9]{2}", codes))
    for codes in _HEXADECIMAL_CODES.findall(text):
        yield "".join(re.findall("3([0-9])", re.sub("U.00", "", codes)))


def _of_base64(word: str, offsets: range | tuple[int, ...]) -> Iterator[str | bytes]:
    standard = word.translate(_STANDARD)
    for offset in offsets:
        whole = standard[offset : len(standard) - (1 if (len(standard) - offset) % 4 == 1 else 0)]
        try:
            content = base64.b64decode(whole + "=" * (-len(whole) % 4))
        except (binascii.Error, ValueError):
            continue
        yield from _of_bytes(content)


def _of_base32(word: str) -> Iterator[str | bytes]:
    for offset in range(8) if len(word) <= _SHORT else (0,):
        whole = word[offset:]
        left = len(whole) % 8
        whole = whole[: len(whole) - _NO_END_OF_BASE32.get(left, 0)]
        yield from _of_bytes(base64.b32decode(whole + "=" * (-len(whole) % 8)))


def _of_bytes(content: bytes) -> Iterator[str | bytes]:
    """The text that the bytes are; of what is no text, rows of digits and certificates."""
    content = _unpacked(content)
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


def _unpacked(content: bytes) -> bytes:
    """What gzip (all members, RFC 1952 §2.2) or zlib packed, as far as anybody looks and one byte more; or the same."""
    plain = b""
    while content[:2] in _PACKED and len(plain) <= MOST_AT_ONCE:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            plain += stream.decompress(content, MOST_AT_ONCE + 1 - len(plain))
        except zlib.error:
            break
        content = stream.unused_data
    return plain + content


def _percent(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if match[4] is not None:
        return chr(int(match[4], 8))
    if code is None:
        return " " if match[6] is None else match[6]
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF else " "  # noqa: PLR2004 - the last code point


def unescaped(text: str) -> str:
    """The text without one layer of backslash escapes (RFC 8259 §7, and other languages')."""
    return _ESCAPE.sub(_escaped, text)


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda match: bytes.fromhex(match[0].replace("=", "")).decode("utf-8", "replace"), text)


_UNDO: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile("%"), _percent),
    (re.compile("&"), html.unescape),
    (re.compile(r"\\"), unescaped),
    (re.compile("="), _unquoted),
    (re.compile("[！-～]{15}|[％＆＼＝]"), nfkc),
)
