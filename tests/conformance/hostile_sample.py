"""Requests that want two readers to disagree, and what must become of each.

In many rows a request of its own (`Speaker.smuggled`) stands where a careless reader would find the next one: nobody
may ever take it for one. After each row the same connection carries an honest call: it is answered as itself, or the
connection is closed before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

END = b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What is sent, and what comes of it: statuses for the client, requests with their bodies for the service.

    Where `refused`, one status and the end of the connection; nothing reaches the service. `closes`: what was asked is
    answered, and then the connection ends too.
    """

    sent: bytes
    statuses: tuple[int, ...] = (200,)
    reached: tuple[tuple[str, bytes], ...] = ()
    refused: bool = False
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Speaker:
    """Writes calls with a token for a gateway at a port."""

    token: str
    port: int

    @property
    def head(self) -> bytes:
        return f"Host: localhost:{self.port}\r\nAuthorization: Bearer {self.token}\r\n".encode()

    @property
    def smuggled(self) -> bytes:
        return self.get(line=b"GET /api/notes/smuggled HTTP/1.1")

    @property
    def honest(self) -> bytes:
        return self.get(line=b"GET /api/notes/honest HTTP/1.1")

    def get(self, *headers: bytes, line: bytes = b"GET /api/notes HTTP/1.1", body: bytes = b"") -> bytes:
        """A call with these header lines, each without its end."""
        return line + END + self.head + b"".join(header + END for header in headers) + END + body

    def post(self, *headers: bytes, body: bytes = b"", line: bytes = b"POST /api/notes HTTP/1.1") -> bytes:
        """A call with a body."""
        return self.get(*headers, line=line, body=body)


def length(value: bytes | int) -> bytes:
    """A Content-Length."""
    return b"Content-Length: " + (str(value).encode() if isinstance(value, int) else value)


def rows(speaker: Speaker) -> dict[str, Row]:
    """Every row by its name."""
    found: dict[str, Row] = {}
    for part in (_codings, _lengths, _chunks, _fields, _hosts, _lines, _upgrades, _expectations, _others):
        for name, row in part(speaker):
            assert name not in found
            found[name] = row
    return found


Rows = Iterator[tuple[str, Row]]


def _refused(sent: bytes, status: int = 400) -> Row:
    return Row(sent=sent, statuses=(status,), refused=True)


def _posted(sent: bytes, body: bytes = b"hello") -> Row:
    return Row(sent=sent, reached=(("POST /notes", body),))


def _got(sent: bytes, path: str = "/notes") -> Row:
    return Row(sent=sent, reached=((f"GET {path}", b""),))


def _codings(say: Speaker) -> Rows:
    """RFC 9112 §6.1 and §6.3: nothing but `chunked`, once, without a length beside it."""
    evil = HELLO + say.smuggled
    yield "length and chunked", _refused(say.post(length(len(evil)), CHUNKED, body=evil))
    yield "chunked and a length", _refused(say.post(CHUNKED, length(5), body=evil))
    disguises = (
        *(
            b"chunked, chunked",
            b"identity",
            b"chunked, gzip",
            b"chunked, identity",
            b"xchunked",
            b"chunked;q=1",
            b"cow",
        ),
        *(b"\x0bchunked", b"chunked\x0b", b"\x00chunked", b"'chunked'", b'"chunked"', b"chunk", b"", b"chunked,"),
        *(b"chu\xf1ked", b"\xa0chunked", b"chunked\x00", b"chunked\r", b"\x85chunked"),
    )
    for value in disguises:
        yield f"coding {value!r}", _refused(say.post(b"Transfer-Encoding: " + value, body=evil))
    for value in (b"CHUNKED", b"\tchunked", b"  chunked"):
        yield f"coding {value!r}", _posted(say.post(b"Transfer-Encoding: " + value, body=HELLO))
    for value in (b"gzip, chunked", b",chunked", b"gzip,chunked"):
        yield f"coding {value!r}", _refused(say.post(b"Transfer-Encoding: " + value, body=evil), 501)
    for second in (b"chunked", b"identity", b"cow", b"gzip"):
        twice = say.post(CHUNKED, b"Transfer-Encoding: " + second, body=evil)
        yield f"two codings, the second {second!r}", _refused(twice)
    yield "coding with a space before the colon", _refused(say.post(b"Transfer-Encoding : chunked", body=evil))
    yield "coding without a space after the colon", _posted(say.post(b"Transfer-Encoding:chunked", body=HELLO))
    yield "coding folded", _refused(say.post(b"Transfer-Encoding:\r\n chunked", body=evil))
    yield "coding behind a bare LF", _refused(say.post(b"X: y\nTransfer-Encoding: chunked", body=evil))
    yield "coding behind a bare CR", _refused(say.post(b"X: y\rTransfer-Encoding: chunked", length(0), body=evil))
    yield "coding in HTTP/1.0", _refused(say.post(CHUNKED, line=b"POST /api/notes HTTP/1.0", body=evil))
    spelt = say.post(b"Transfer_Encoding: chunked", length(len(evil)), body=evil)
    yield "coding spelt with an underscore", _posted(spelt, evil)


def _lengths(say: Speaker) -> Rows:
    """RFC 9110 §8.6: digits, once."""
    evil = b"hello" + say.smuggled
    disguises = (
        *(
            b"5, 5",
            b"+5",
            b"-5",
            b"0x5",
            b"5 5",
            b"5\x0b",
            b"",
            b"5,",
            b"9" * 20,
            b"9" * 400,
            "٥".encode(),
            b"5.0",
            b"5e0",
        ),
        *(b"5;", b"5_0", b"\xb2", b"five", b"5\x00", b"\x005", b"5\r", b"\xa05"),
    )
    for value in disguises:
        yield f"length {value[:24]!r}", _refused(say.post(length(value), body=evil))
    for value in (b" 5 ", b"005", b"\t5", b"5\t"):
        yield f"length {value!r}", _posted(say.post(length(value), body=b"hello"))
    yield "two lengths, equal", _refused(say.post(length(5), length(5), body=evil))
    yield "two lengths", _refused(say.post(length(5), length(len(evil)), body=evil))
    yield "two lengths, differently written", _refused(say.post(length(5), b"content-LENGTH: 0", body=evil))
    yield "length with a space before the colon", _refused(say.post(b"Content-Length : 5", body=evil))
    yield "length folded", _refused(say.post(b"Content-Length:\r\n 5", body=evil))
    yield "length with NUL in its name", _refused(say.post(b"Content-Length\x00: 5", body=evil))
    yield "length spelt with an underscore", _posted(say.post(b"Content_Length: 0", length(5), body=b"hello"))
    yield "a body that looks like a call", _posted(say.post(length(len(say.smuggled)), body=say.smuggled), say.smuggled)
    yield "no length, no body", _posted(say.post(), b"")
    get = say.get(length(len(say.smuggled)), body=say.smuggled)
    yield "a body of GET", Row(sent=get, reached=(("GET /notes", say.smuggled),))
    yield "a chunked body of GET", Row(sent=say.get(CHUNKED, body=HELLO), reached=(("GET /notes", b"hello"),))
    head = say.get(length(len(say.smuggled)), line=b"HEAD /api/notes HTTP/1.1", body=say.smuggled)
    yield "a body of HEAD", Row(sent=head, reached=(("HEAD /notes", say.smuggled),))
    stranger = Speaker("nobody's", say.port)
    unknown = stranger.post(length(len(say.smuggled)), body=say.smuggled)
    yield "a refused call's body", Row(sent=unknown, statuses=(401,))
    nowhere = say.post(length(len(say.smuggled)), body=say.smuggled, line=b"POST /api/nowhere HTTP/1.1")
    yield "a body for no route", Row(sent=nowhere, statuses=(404,))
    token = say.post(length(len(say.smuggled)), body=say.smuggled, line=b"PUT /oidc/userinfo HTTP/1.1")
    yield "a body for the gateway's own endpoint", Row(sent=token, statuses=(405,))


def _chunks(say: Speaker) -> Rows:
    """RFC 9112 §7.1: sizes in hexadecimal, CRLF and nothing else at the end of lines, trailers that are fields."""
    good = {
        "an extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
        "a quoted extension": b'5;a="b c"\r\nhello\r\n0\r\n\r\n',
        "zeros before the size": b"005\r\nhello\r\n0\r\n\r\n",
        "many zeros at the end": b"5\r\nhello\r\n00000\r\n\r\n",
    }
    for name, body in good.items():
        yield f"chunks, {name}", _posted(say.post(CHUNKED, body=body))
    for field in (
        b"X-Checksum: 1",
        b"X-Empty:",
        b"Authorization: Bearer other",
        b"Expect: 100-continue",
        b"Cookie: a=b",
    ):
        body = b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n"
        yield f"chunks, trailer {field!r}", replace(_posted(say.post(CHUNKED, body=body)), closes=True)
    sizes = (
        *(
            b"0x5",
            b"+5",
            b"-5",
            b" 5",
            b"5 ",
            b"\t5",
            b"5\t",
            b"5\x00",
            b"5_0",
            b"g",
            b"",
            b"5,5",
            b"5.",
            b"5h",
            b"\xef\xbc\x95",
        ),
        *(b"F" * 17, b"1" + b"0" * 15 + b"5", b"5\r", b"\n5", b"5;\n", b"5;a\nb", b"5;a\rb", b"5;a\x00", b'5;a="\r\n"'),
    )
    for size in sizes:
        yield (
            f"chunk's size {size!r}",
            _refused(say.post(CHUNKED, body=size + b"\r\nhello\r\n0\r\n\r\n" + say.smuggled)),
        )
    bad = {
        "no end of line after data": b"5\r\nhello0\r\n\r\n",
        "LF after data": b"5\r\nhello\n0\r\n\r\n",
        "LF alone": b"5\nhello\n0\n\n",
        "LF after the size": b"5\nhello\r\n0\r\n\r\n",
        "CR after the size": b"5\rhello\r\n0\r\n\r\n",
        "data longer than said": b"4\r\nhello\r\n0\r\n\r\n",
        "LF at the end": b"5\r\nhello\r\n0\r\n\n",
        "CR at the end": b"5\r\nhello\r\n0\r\n\r",
        "a trailer with LF": b"5\r\nhello\r\n0\r\nX: 1\n\n",
        "a trailer without a colon": b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "a folded trailer": b"5\r\nhello\r\n0\r\nX: 1\r\n fold\r\n\r\n",
        "NUL in a trailer": b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
        "framing in trailers": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "a large trailer": b"5\r\nhello\r\n0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        "many trailers": b"5\r\nhello\r\n0\r\n" + b"X: 1\r\n" * 5_000 + b"\r\n",
    }
    for name, body in bad.items():
        yield f"chunks, {name}", _refused(say.post(CHUNKED, body=body + say.smuggled))


def _fields(say: Speaker) -> Rows:
    """RFC 9112 §5 and RFC 9110 §5.5: no folds, no space around names, no control characters, bounded."""
    bad = {
        "folded by a space": b"X: a\r\n b",
        "folded by a tab": b"X: a\r\n\tb",
        "with a space in the name": b"Bad Name: 1",
        "without a name": b": 1",
        "without a colon": b"nonsense",
        "with a parenthesis in the name": b"X(y): 1",
        "with a name in UTF-8": "é: 1".encode(),
        "with NUL in the name": b"X\x00: 1",
        "with NUL": b"X: a\x00b",
        "with a bare CR": b"X: a\rb",
        "with a bare LF": b"X: a\nb",
        "with one more behind a bare LF": b"X: a\nInjected: b",
        "with a bare CR at the end": b"X: a\r\r",
        "with DEL": b"X: a\x7fb",
        "with a control character": b"X: a\x01b",
        "with a vertical tab": b"X: a\x0bb",
        "with an escape sequence": b"X: \x1b[31m",
        "with a space before the colon": b"X : 1",
        "with a tab before the colon": b"X\t: 1",
        "with a quoted name": b'"X": 1',
        "of 17 KB": b"X: " + b"a" * 17_000,
        "of 200 KB": b"X: " + b"a" * 200_000,
        "with a name of 17 KB": b"X" * 17_000 + b": 1",
        "with a name of 200 KB": b"X" * 200_000 + b": 1",
    }
    for name, line in bad.items():
        yield f"field {name}", _refused(say.get(line))
    for name, line in {"with octets beyond ASCII": b"X: \xff\xfe", "with a tab": b"X: a\tb", "empty": b"X:"}.items():
        yield f"field {name}", _got(say.get(line))
    first = b"GET /api/notes HTTP/1.1\r\n X: 1\r\n" + say.head + END
    yield "field folded before the first", _refused(first)
    yield "100 fields", _got(say.get(*(b"X-%d: 1" % i for i in range(100))))
    yield "200 fields", _refused(say.get(*(b"X-%d: 1" % i for i in range(200))))
    yield "fields of 900 KB together", _refused(say.get(*(b"X: " + b"a" * 15_000 for _ in range(60))), 431)
    yield "fields of 70 KB together", _refused(say.get(*(b"X: " + b"a" * 7_000 for _ in range(10))), 431)
    yield "fields of 60 KB together", _got(say.get(*(b"X: " + b"a" * 6_000 for _ in range(10))))
    yield "5,000 fields", _refused(say.get(*(b"X-%d: 1" % i for i in range(5_000))))
    framing = (
        b"Connection: Kakehashi-Assertion, Kakehashi-Request-Id, Content-Length, Transfer-Encoding, Host, traceparent"
    )
    yield "fields of framing and identity named as hop by hop", _posted(say.post(framing, length(5), body=b"hello"))
    yield "the token named as hop by hop", _got(say.get(b"Connection: Authorization, Kakehashi-Assertion"))


def _hosts(say: Speaker) -> Rows:
    """RFC 9112 §3.2: exactly one Host, and the service gets its own whatever it was."""
    token = say.head.partition(END)[2]
    line = b"GET /api/notes HTTP/1.1\r\n"
    yield "no Host", _refused(line + token + END)
    yield "two Hosts", _refused(say.get(b"Host: evil.example"))
    yield "two Hosts, equal", _refused(say.get(b"Host: localhost:%d" % say.port))
    yield "Host with NUL", _refused(line + b"Host: a\x00\r\n" + token + END)
    for value in (
        b"a b",
        b"a/b",
        b"user@host",
        b"[::1",
        b"a?b",
        b"a:b",
        b'a"b',
        b"\xe9.example",
        b"a, b",
        b"[fe80::1%25a]",
    ):
        yield f"Host {value!r}", _refused(line + b"Host: " + value + END + token + END)
    for value in (b"", b"evil.example", b"localhost:99999", b"[::1]:80"):
        yield f"Host {value!r}", _got(line + b"Host: " + value + END + token + END)


def _lines(say: Speaker) -> Rows:
    """RFC 9112 §3: a method, a target in origin form, a version."""
    for bad in (
        *(b"GET /api/notes HTTP/1.1 ", b"GET\t/api/notes\tHTTP/1.1", b" GET /api/notes HTTP/1.1", b"GET /api/notes"),
        *(
            b"GET /api/notes HTTP/1.2",
            b"GET /api/notes HTTP/0.9",
            b"GET /api/notes HTTP/2.0",
            b"GET /api/notes HTTP/9.9",
        ),
        *(
            b"GET /api/notes http/1.1",
            b"GET /api/notes HTTP/1.10",
            b"GET /api/notes HTTP/01.1",
            b"GET /api/notes HTTP/1.",
        ),
        *(
            b"GET /api/notes HTTPS/1.1",
            b"GET /api/notes ICE/1.0",
            b"GET /api/notes FTP/1.1",
        ),
        *(
            b"get /api/notes HTTP/1.1",
            b"G\x00T /api/notes HTTP/1.1",
            b"GET\x0b/api/notes HTTP/1.1",
            b"G@T /api/notes HTTP/1.1",
        ),
        *(b"GETX /api/notes HTTP/1.1", b"PRI * HTTP/2.0", b"/api/notes HTTP/1.1", b"GET HTTP/1.1", b"GET", b"GET "),
        *(b"GET /api/notes HTTP/1.1\nX: y", b"GET /api/notes HTTP/1.1\rX: y", b"GET /api/notes HTTP/1.1\x00"),
        *(b"GET /api/notes?" + b"a" * 17_000 + b" HTTP/1.1", b"GET /api/notes?" + b"a" * 200_000 + b" HTTP/1.1"),
        *(b"A" * 17_000 + b" /api/notes HTTP/1.1", b"GET /api/notes/\xff HTTP/1.1", b"GET /api/notes?\xff HTTP/1.1"),
        *(b"GET /api/notes\x00 HTTP/1.1", b"GET /api/notes?a\x00 HTTP/1.1", b"GET /api/notes?a\x0b HTTP/1.1"),
        *(b"GET /api/notes?\x7f HTTP/1.1", b"GET /api/notes?a\rb HTTP/1.1", b"GET /api/notes?a\tb HTTP/1.1"),
        *(b"GET /api/notes?a b HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1", b"GET http:/api/notes HTTP/1.1"),
        *(
            b"GET http:///api/notes HTTP/1.1",
            b"GET localhost:80 HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET api/notes HTTP/1.1",
        ),
        *(b"GET /api/notes#x HTTP/1.1", b"GET /api/notes?a#x HTTP/1.1"),
        *(b"GET @evil/api/notes HTTP/1.1", b"GET ?/api/notes HTTP/1.1", b"GET \\api\\notes HTTP/1.1"),
    ):
        yield f"line {bad[:60]!r}, {len(bad)} octets", _refused(say.get(line=bad))
    for whole in (  # RFC 9112 §3.2.2
        *(b"GET http://evil.example/api/notes HTTP/1.1", b"GET http://localhost:%d/api/notes HTTP/1.1" % say.port),
        *(b"GET https://evil.example/api/notes HTTP/1.1", b"GET HTTP://[::1]:80/api/notes HTTP/1.1"),
    ):
        yield f"line {whole!r}".replace(str(say.port), "PORT"), _got(say.get(line=whole))
    for bad in (b"GET HTTP://u:p@evil.example/api/notes HTTP/1.1", b"GET http://a/api/notes#x HTTP/1.1"):
        yield f"line {bad!r}", _refused(say.get(line=bad))
    for elsewhere in (
        *(b"OPTIONS * HTTP/1.1", b"GET http://a//api/notes HTTP/1.1", b"GET http://a?/api/notes HTTP/1.1"),
        *(b"GET http://a/api/../api/notes HTTP/1.1", b"GET ftp://a/api/notes HTTP/1.1"),
        *(b"GET //evil.example/api/notes HTTP/1.1", b"GET /api/../api/notes HTTP/1.1", b"GET /API/notes HTTP/1.1"),
        *(b"GET //api/notes HTTP/1.1", b"GET /./api/notes HTTP/1.1"),
    ):
        name = f"line {elsewhere!r}".replace(str(say.port), "PORT")
        yield name, Row(sent=say.get(line=elsewhere), statuses=(404,))
    for method in (b"TRACE", b"SOURCE", b"QUERY", b"PROPFIND"):
        yield f"method {method!r}", Row(sent=say.get(line=method + b" /api/notes HTTP/1.1"), statuses=(405,))
    for empty in (b"\r\n", b"\r\n\r\n", b"\n"):
        yield f"empty lines {empty!r} before", _got(empty + say.get())
    yield "spaces between the words", _got(say.get(line=b"GET   /api/notes   HTTP/1.1"))
    query = "/notes?a=%0d%0aX:%20y&b=%00"
    yield "line ends in a query, encoded", _got(say.get(line=f"GET /api{query} HTTP/1.1".encode()), query)
    yield "LF alone", _refused(say.get().replace(b"\r\n", b"\n"))
    yield "CR alone", _refused(say.get().replace(b"\r\n", b"\r"))
    yield "HTTP/0.9", _refused(b"GET /api/notes\r\n")
    yield "a TLS hello", _refused(bytes.fromhex("16030100c8010000c40303") + bytes(100))
    yield "HTTP/2's preface", _refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
    yield "the PROXY protocol", _refused(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + say.get())
    second = bytes.fromhex("0d0a0d0a000d0a515549540a2111000c") + bytes.fromhex("7f000001") * 2 + b"\x00\x01\x00\x02"
    yield "the PROXY protocol, version 2", _refused(second + say.get())


def _upgrades(say: Speaker) -> Rows:
    """Nobody changes the protocol of a connection (RFC 9110 §7.8) on a route that has no WebSockets."""
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    socket = say.get(b"Connection: Upgrade", b"Upgrade: websocket", key, b"Sec-WebSocket-Version: 13")
    yield "an upgrade to WebSocket", replace(_got(socket), closes=True)
    version = say.get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 777")
    yield "an upgrade to an unknown WebSocket", replace(_got(version), closes=True)
    chunked = say.post(b"Connection: Upgrade", b"Upgrade: websocket", CHUNKED, body=HELLO)
    yield "an upgrade with a chunked body", replace(_posted(chunked), closes=True)
    settings = b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    h2c = _got(say.get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", settings))
    yield "an upgrade to HTTP/2", replace(h2c, closes=True)
    post = _posted(say.post(b"Connection: Upgrade", b"Upgrade: h2c", length(5), body=b"hello"))
    yield "an upgrade with a body", replace(post, closes=True)
    tls = _got(say.get(b"Connection: Upgrade", b"Upgrade: TLS/1.0"))
    yield "an upgrade to TLS", replace(tls, closes=True)
    for line, status in ((b"CONNECT 10.0.0.1:22 HTTP/1.1", 404), (b"CONNECT /api/notes HTTP/1.1", 405)):
        yield f"line {line!r}", Row(sent=say.get(line=line), statuses=(status,), closes=True)


def _expectations(say: Speaker) -> Rows:
    """RFC 9110 §10.1.1: `100-continue`, or 417."""
    wait = b"Expect: 100-continue"
    continued = Row(
        sent=say.post(wait, length(5), body=b"hello"), statuses=(100, 200), reached=(("POST /notes", b"hello"),)
    )
    yield "an expectation", continued
    yield "an expectation without a body", _got(say.get(wait))
    yield "another expectation", Row(sent=say.post(b"Expect: 200-ok", length(5), body=b"hello"), statuses=(417,))
    twisted = say.post(b"Expect: y 100-continue", length(len(say.smuggled)), body=say.smuggled)
    yield "a twisted expectation", Row(sent=twisted, statuses=(417,))
    body = say.get(wait, length(len(say.smuggled)), body=say.smuggled)
    yield (
        "an expectation with a body of GET",
        Row(sent=body, statuses=(100, 200), reached=(("GET /notes", say.smuggled),)),
    )


def _others(say: Speaker) -> Rows:
    """Ranges, and calls one after another."""
    many = b"Range: bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(1_500))
    yield "1,500 ranges", _got(say.get(many))
    yield "a range beyond 64 bits", _got(say.get(b"Range: bytes=0-18446744073709551616"))
    yield "ranges that overlap, twice", _got(say.get(b"Range: bytes=0-,0-,0-", b"Range: bytes=-1"))
    three = say.get() + say.get(line=b"GET /api/notes/two HTTP/1.1") + say.post(length(5), body=b"three")
    yield (
        "three calls at once",
        Row(
            sent=three,
            statuses=(200, 200, 200),
            reached=(("GET /notes", b""), ("GET /notes/two", b""), ("POST /notes", b"three")),
        ),
    )
    yield "a bad call before a good one", _refused(say.get(b"X: a\x00b") + say.smuggled)
