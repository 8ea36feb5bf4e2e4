"""What an attacker without any key may send: XML that is legal or nearly so, and as costly as its size allows."""

import faulthandler
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DS = "http://www.w3.org/2000/09/xmldsig#"


@contextmanager
def not_for_ever(seconds: int = 10) -> Iterator[None]:
    """End what would go on for minutes; how long it takes otherwise is a benchmark's business.

    An alarm ends Python code; a call into a library that does not come back at all ends the whole run.
    """

    def over(*_: object) -> None:
        raise AssertionError("it goes on for ever")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(20 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _numbered(pattern: bytes, count: int, between: bytes = b"") -> bytes:
    return between.join(pattern % (i, i) if pattern.count(b"%") > 1 else pattern % i for i in range(count))


COSTLY: dict[str, Callable[[int], bytes]] = {
    "attributes-ascending": lambda room: b"<a " + _numbered(b'a%06x=""', room // 12, b" ") + b"/>",
    "attributes-descending": lambda room: (
        b"<a " + b" ".join(b'a%06x=""' % (10**6 - i) for i in range(room // 12)) + b"/>"
    ),
    "prefixed-attributes": lambda room: (
        b"<a "
        + _numbered(b'xmlns:n%d="urn:u%d"', 900, b" ")
        + b" "
        + b" ".join(b'n%d:a%x=""' % (i % 900, i) for i in range((room - 30_000) // 15))
        + b"/>"
    ),
    "attributes-of-many-elements": lambda room: (
        b'<a a="" b="" c="" d="" e="" f="" g="" h=""/>' * min(4_000, room // 45)
    ),
    "elements": lambda _: b"<a/>" * 4_800,
    "namespaces-deep": lambda _: (
        b"".join(
            b"<a " + b" ".join(b'xmlns:n%d_%d="urn:u%d"' % (depth, i, i) for i in range(35)) + b">"
            for depth in range(24)
        )
        + b"<n1_1:b/>" * 4_500
        + b"</a>" * 24
    ),
    "namespaces-wide": lambda _: (
        b"<a " + _numbered(b'xmlns:n%d="urn:u%d"', 900, b" ") + b">" + b"<n1:b/>" * 4_500 + b"</a>"
    ),
    "prefix-bound-anew": lambda _: b"".join(b'<n:b xmlns:n="urn:u%d"/>' % i for i in range(900)),
    "default-namespaces": lambda _: b"".join(b'<b xmlns="urn:u%d"><b xmlns=""/></b>' % i for i in range(450)),
    "identifiers": lambda _: _numbered(b'<a ID="x%d"/>', 4_500),
    "text": lambda room: b"<a>" + b"x" * (room - 10) + b"</a>",
    "white-space": lambda room: b"<a>" + b" \n" * (room // 2 - 10) + b"</a>",
    "character-references": lambda room: b"<a>" + b"&#10;" * (room // 5 - 10) + b"</a>",
    "carriage-returns": lambda room: b"<a>" + b"\r\n&#13;" * (room // 7 - 10) + b"</a>",
    "attribute-value": lambda room: b'<a b="' + b"&#9;" * (room // 4 - 10) + b'"/>',
    "cdata-sections": lambda _: b"<a>" + b"<![CDATA[x]]>" * 4_800 + b"</a>",
    "comments": lambda _: b"<a>" + b"<b/><!---->" * 2_300 + b"</a>",
    "long-name": lambda _: b"<" + b"a" * 40_000 + b"/>",
    "very-long-name": lambda room: b"<" + b"a" * (room - 10) + b"/>",
    "long-namespace": lambda room: b'<a xmlns="urn:' + b"x" * (room - 30) + b'"/>',
    "empty-signatures": lambda _: _numbered(b'<a ID="x%d"><Signature xmlns="' + DS.encode() + b'"/></a>', 900),
    "sibling-signatures": lambda _: b'<a ID="x">' + (b'<Signature xmlns="%s"/>' % DS.encode()) * 900 + b"</a>",
    "nested-signatures": lambda _: (b'<Signature xmlns="%s">' % DS.encode()) * 25 + b"</Signature>" * 25,
    "deep": lambda _: b"<a>" * 25 + b"</a>" * 25,
    "too-deep": lambda _: b"<a>" * 2_000 + b"</a>" * 2_000,
    "deep-without-end": lambda _: b"<a>" * 4_500,
    "open-tags": lambda _: b"<" * 9_000,
    "open-comment": lambda room: b"<!-- " + b"-" * (room - 10),
    "ampersands": lambda room: b"&" * room,
    "entity-references": lambda room: b"&a;" * (room // 4),
    "xml-identifiers": lambda _: b'<a xml:id="2.0"/><b xml:id="x"/>',
    "relative-namespace": lambda _: b'<a xmlns:x="1" x:y=""/>',
    "names-of-the-fifth-edition": lambda _: "<Ĳ 𐀀=''/><𐀀/>".encode(),
}
"""Bodies of a document, by what they have too much of; each fits into the given number of octets."""

_LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BOMBS: dict[str, bytes] = {
    "billion-laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]><a>&l9;</a>'.encode(),
    "billion-laughs-in-attribute": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]><a b="&l9;"/>'.encode(),
    "quadratic": b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 200_000 + b'">]><a>' + b"&x;" * 50_000 + b"</a>",
    "recursive": b'<!DOCTYPE a [<!ENTITY x "&y;"><!ENTITY y "&x;">]><a>&x;</a>',
    "parameter": b"<!DOCTYPE a [<!ENTITY % x '&#37;y;'><!ENTITY % y '&#37;x;'> %x;]><a/>",
    "external": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///dev/zero">]><a>&x;</a>',
    "external-subset": b'<!DOCTYPE a SYSTEM "file:///dev/zero"><a/>',
    "default-attributes": b"<!DOCTYPE a [<!ATTLIST a "
    + b" ".join(b"a%d CDATA 'x'" % i for i in range(9_000))
    + b">]><a>"
    + b"<a/>" * 4_000
    + b"</a>",
    "utf-16-bomb": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]><a>&l9;</a>'.encode("utf-16"),
    "utf-7-declaration": b"<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE a+AD4-<a/>",
    "ebcdic": "<?xml version='1.0' encoding='cp037'?><a/>".encode("cp037"),
    "xinclude": b'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="file:///dev/zero" parse="text"/></a>',
    "style-sheet": b"<?xml-stylesheet href='file:///dev/zero'?><a/>",
}
"""Whole documents."""
