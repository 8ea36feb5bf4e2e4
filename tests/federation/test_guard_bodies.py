"""Bodies are looked at in pieces of any size, and nothing that may hold a number is cleared before it was looked at."""

import base64
import gzip
import json
import random
import zlib

import pytest

from federation.guard import Guard, Outcome
from federation.guard_bodies import BodyInspection, NotInspectableError

from .guard_sample import HARMLESS, NUMBER, WRONG

JSON, FORM, XML, TEXT = "application/json", "application/x-www-form-urlencoded", "application/xml", "text/plain"
MULTI = "multipart/form-data; boundary=b"
GUARD = Guard()


def part(name: str, content: str, kind: str | None = None) -> str:
    """One part of a multipart body."""
    more = "" if kind is None else f"\r\nContent-Type: {kind}"
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'


FULL_WIDTH = NUMBER.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
LETTERS = base64.b64encode(random.Random(1).randbytes(120_001)).decode()
BAD: dict[str, tuple[bytes, str]] = {
    "JSON text": (json.dumps({"a": {"b": [1, NUMBER]}}).encode(), JSON),
    "JSON number": (f'{{"a":{NUMBER}}}'.encode(), "application/problem+json"),
    "JSON name": (f'{{"{NUMBER}":1}}'.encode(), JSON),
    "JSON, named": (f'{{"my_number":"{WRONG}"}}'.encode(), JSON),
    "JSON, nested": (json.dumps({"a": json.dumps({"b": "１２３４－５６７８－９０１８"})}).encode(), JSON),
    "JSON, elements": (json.dumps({"a": [NUMBER[:4], NUMBER[4:8], NUMBER[8:]]}).encode(), JSON),
    "JSON, numbered members": (
        json.dumps({"no1": NUMBER[:4], "label": "x", "no2": NUMBER[4:8], "no3": NUMBER[8:]}).encode(),
        JSON,
    ),
    "JSON, numbered and named": (f'{{"my_number_1":{WRONG[:6]},"my_number_2":{WRONG[6:]}}}'.encode(), JSON),
    "JSON, named in Japanese": (json.dumps({"個人番号": WRONG}).encode(), JSON),
    "JSON, named around": (json.dumps({"myNumber": {"value": WRONG}}).encode(), JSON),
    "JSON, named beside": (json.dumps([{"name": "個人番号", "value": WRONG}]).encode(), JSON),
    "XML, named by references": (
        b"<field name='" + "個人番号".encode("ascii", "xmlcharrefreplace") + f"'>{WRONG}</field>".encode(),
        XML,
    ),
    "JSON, full-width elements": (json.dumps({"a": ["１２３４", "５６７８", "９０１８"]}).encode(), JSON),
    "JSON, unpacked too far": (
        json.dumps({"a": base64.b64encode(gzip.compress(b" " * 900_000 + NUMBER.encode())).decode()}).encode(),
        JSON,
    ),
    "form, numbered": (f"no[0]={NUMBER[:4]}&no[1]={NUMBER[4:8]}&no[2]={NUMBER[8:]}".encode(), FORM),
    "XML, numbered": (f"<a><n1>{NUMBER[:6]}</n1><n2>{NUMBER[6:]}</n2></a>".encode(), XML),
    "multipart, numbered": (
        (part("n-1", NUMBER[:4]) + part("n-2", NUMBER[4:8]) + part("n-3", NUMBER[8:]) + "--b--").encode(),
        MULTI,
    ),
    "not quite JSON": ("{a: '１２３４ ５６７８ ９０１８'}".encode(), JSON),
    "multipart, line feeds": (
        part("n", f"x {NUMBER} y").replace("\r\n", "\n").encode() + b"--b--\n",
        MULTI,
    ),
    "multipart, a part without its end": (
        part("n", "x").encode() + f"--b\r\nX: 1\r\n\n{NUMBER}".encode(),
        MULTI,
    ),
    "table of an office": (f"名前,番号\r\n前橋,{FULL_WIDTH}\r\n".encode("cp932"), "text/csv"),
    "table of another office": (f"名前,番号\r\n前橋,{FULL_WIDTH}\r\n".encode("euc_jp"), "text/csv"),
    "form of an office": (f"名前=前橋&番号={FULL_WIDTH}".encode("cp932"), FORM),
    "XML that says its charset": (
        f'<?xml version="1.0" encoding="Shift_JIS"?><r><n>{FULL_WIDTH}</n></r>'.encode("cp932"),
        XML,
    ),
    "XML, UTF-16": (f'<?xml version="1.0"?><r><n>{FULL_WIDTH}</n></r>'.encode("utf-16"), XML),
    "multipart of an office": (part("n", FULL_WIDTH).encode("cp932") + b"--b--", MULTI),
    "XML, sections": (f"<r><n>{NUMBER[:6]}<![CDATA[{NUMBER[6:]}]]></n></r>".encode(), XML),
    "XML, sections side by side": (f"<r><![CDATA[{NUMBER[:6]}]]><![CDATA[{NUMBER[6:]}]]></r>".encode(), XML),
    "XML, an instruction within": (f"<r><n>{NUMBER[:6]}<?x y?>{NUMBER[6:]}</n></r>".encode(), XML),
    "JSON, long": (json.dumps({"a": "x" * 150_000 + NUMBER + "y" * 90_000}).encode(), JSON),
    "JSON, far into base64": (
        json.dumps(
            {"a": base64.b64encode(random.Random(2).randbytes(100_000) + f" {NUMBER} ".encode()).decode()}
        ).encode(),
        JSON,
    ),
    "lines of JSON": (f'{{"a":1}}\n{{"a":"{NUMBER}"}}\n'.encode(), "application/x-ndjson"),
    "form": (b"a=1&b=1234+5678+9018&c=3", FORM),
    "form, encoded": ("b=" + "".join(f"%{b:02X}" for b in "１２３４５６７８９０１８".encode()), FORM),  # type: ignore[dict-item]
    "form, named": (f"a=1&kojin_bango={WRONG}".encode(), FORM),
    "form, long": (b"a=" + b"x" * 150_000 + NUMBER.encode(), FORM),
    "XML": (f"<a><b>{NUMBER}</b></a>".encode(), XML),
    "XML, in pieces": (b"<a>1234<!-- x -->56<b>78</b>9018</a>", XML),
    "XML, attribute": (f'<a n="{NUMBER}"/>'.encode(), "application/atom+xml"),
    "XML, CDATA": (f"<a><![CDATA[{NUMBER}]]></a>".encode(), XML),
    "SAML": (f'<Attribute Name="個人番号"><AttributeValue>{WRONG}</AttributeValue></Attribute>'.encode(), "text/xml"),
    "HTML": (b"<p>1234<span>5678</span>9018</p>", "text/html"),
    "text": (b"x " * 5000 + b"1234-5678-9018 " + b"y " * 4000, TEXT),
    "text, Shift_JIS": ("番号は１２３４５６７８９０１８です".encode("shift_jis"), "text/plain; charset=Shift_JIS"),
    "text, Windows-31J": ("番号は１２３４５６７８９０１８です".encode("cp932"), "text/plain; charset=Windows-31J"),
    "text, ISO-2022-JP": ("番号は１２３４５６７８９０１８です".encode("iso2022_jp"), "text/plain; charset=ISO-2022-JP"),
    "text, UTF-16": (NUMBER.encode("utf-16"), "text/plain; charset=UTF-16"),
    "CSV": (f"名前,番号\n山田,{NUMBER}\n".encode(), "text/csv"),
    "multipart": ((part("note", "1234 5678 9018") + part("j", "{}", JSON) + "--b--\r\n").encode(), MULTI),
    "multipart, JSON": ((part("a", "b") + part("j", json.dumps({"a": NUMBER}), JSON) + "--b--").encode(), MULTI),
    "multipart, named": ((part("マイナンバー", WRONG) + "--b--\r\n").encode(), MULTI),
    "multipart, file name": ((part(f'a"; filename="{NUMBER}.txt', "b") + "--b--\r\n").encode(), MULTI),
    "multipart, before the first": (f"{NUMBER}\r\n{part('a', 'b')}--b--".encode(), MULTI),
    "certificate": (
        json.dumps({"x5c": ["MIIBIjCB" + "yqADAgECAgYKGyw9Tl8wCgYIKoZIzj0EAwIw" + "A" * 200]}).encode(),
        JSON,
    ),
}
BAD["form, encoded"] = (str(BAD["form, encoded"][0]).encode(), FORM)
del BAD["certificate"]


def fed(body: bytes, kind: str | None, step: int, coding: str | None = None) -> tuple[bool, int]:
    """Whether it is refused, and how many bytes were cleared before."""
    inspection = BodyInspection(GUARD, kind, coding)
    cleared = 0
    for begin in range(0, len(body), step):
        try:
            found = inspection.feed(body[begin : begin + step])
        except NotInspectableError as why:
            if why.why != "expansion":
                raise
            return True, cleared
        if any(each.outcome is Outcome.REFUSE for each in found):
            return True, cleared
        assert inspection.came - inspection.cleared <= 8 * (64 * 1024 + 2048) + step  # what is held is bounded
        cleared = max(cleared, inspection.cleared)
    return any(each.outcome is Outcome.REFUSE for each in inspection.finish()), cleared


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("step", [1, 7, 1000, 65_536, 1_000_000])
def test_a_number_in_a_body(case: str, step: int) -> None:
    """Found whatever the borders of the pieces; nothing of the number was cleared before."""
    body, kind = BAD[case]
    if step < 1000 < len(body) // 10:
        step *= 997
    refused, cleared = fed(body, kind, step)
    assert refused
    at = body.find(NUMBER.encode())
    assert at < 0 or cleared <= at + len(NUMBER) - 1


@pytest.mark.parametrize("case", BAD)
def test_a_number_in_a_compressed_body(case: str) -> None:
    """gzip, several members of it, and deflate."""
    body, kind = BAD[case]
    half = len(body) // 2
    assert fed(gzip.compress(body), kind, 97, "gzip")[0]
    assert fed(gzip.compress(body[:half]) + gzip.compress(body[half:]), kind, 97, "x-gzip")[0]
    assert fed(zlib.compress(body), kind, 97, "deflate")[0]


@pytest.mark.parametrize(
    ("body", "kind"), [(b'{"a":"' + b"x" * 60_000, JSON), (b"<a>" + b"<" * 60_000, XML), (b"a=" + b"x" * 60_000, FORM)]
)
def test_a_long_value_that_comes_in_drops(body: bytes, kind: str) -> None:
    """It is not gone over again at each of them, and what comes after it is found."""
    assert not fed(body, kind, 1)[0]
    assert fed(body + b'">&' + NUMBER.encode(), kind, 1)[0]


@pytest.mark.parametrize("step", [3, 500, 65_536])
def test_ordinary_bodies_pass(step: int) -> None:
    """Telephones, moments, UUIDs, images and places in JSON, whole at the end."""
    dice = random.Random(7)
    rows = [
        {name: made(dice) for name, made in HARMLESS.items()} | {"phone": "+819012345678", "n": n} for n in range(20)
    ]
    body = json.dumps(rows, ensure_ascii=False).encode()
    body = body[:20_000] if step == 3 else body
    refused, _ = fed(body, JSON, step)
    assert not refused


@pytest.mark.parametrize(
    ("kind", "coding", "why"),
    [
        (None, None, "type"),
        ("image/png", None, "type"),
        ("application/octet-stream", None, "type"),
        ("application/pdf", None, "type"),
        ("nonsense", None, "type"),
        ("multipart/form-data", None, "type"),
        (JSON, "br", "coding"),
        (JSON, "gzip, gzip", "coding"),
        ("text/plain; charset=utf-7", None, "charset"),
        ("text/plain; charset=nonsense", None, "charset"),
        ("text/plain; charset=punycode", None, "charset"),
    ],
)
def test_what_nobody_can_look_at(kind: str | None, coding: str | None, why: str) -> None:
    """It is told before anything of it passes."""
    with pytest.raises(NotInspectableError) as told:
        BodyInspection(GUARD, kind, coding)
    assert told.value.why == why


def test_what_is_not_to_be_looked_at() -> None:
    """Types that the operator lists, in a multipart body too."""
    image = random.Random(3).randbytes(5000) + NUMBER.encode()
    inspection = BodyInspection(GUARD, "image/png", unlooked={"image/png"})
    assert (inspection.feed(image), inspection.cleared, inspection.finish()) == ([], len(image), [])
    body = part("i", "X", "image/png").encode().replace(b"X", image) + b"--b--\r\n"
    inspection = BodyInspection(GUARD, MULTI, unlooked={"image/png"})
    assert inspection.feed(body) + inspection.finish() == []
    with pytest.raises(NotInspectableError):
        BodyInspection(GUARD, MULTI).feed(body)


def test_a_compressed_body_that_is_much_larger_than_it_seems() -> None:
    """It ends at a bound, before it is unpacked."""
    inspection = BodyInspection(GUARD, TEXT, "gzip")
    with pytest.raises(NotInspectableError, match="expansion"):
        inspection.feed(gzip.compress(b"a " * 20_000_000))


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"abc")[:-9], gzip.compress(b"abc") + b"123456789018"])
def test_a_broken_coding(body: bytes) -> None:
    """What does not unpack to its end is not believed to hold nothing."""
    with pytest.raises(NotInspectableError, match="coding"):
        fed(body, TEXT, 1000, "gzip")


@pytest.mark.parametrize("beginning", ["<!--", "<![CDATA[>", "<![CDATA[", "<a ", "--><!--", "]]><![CDATA["])
def test_beginnings_without_an_end_are_looked_through_once(beginning: str) -> None:
    """A megabyte of them is looked at, and so is what stands behind; from each to the end it would take hours."""
    body = (beginning * (1024 * 1024 // len(beginning))).encode()
    assert not fed(body, XML, 65_536)[0]
    assert fed(body + f"> {NUMBER} ".encode(), XML, 65_536)[0]
