"""Invented numbers, disguises for them, and what looks like them and is none. No number here is a person's."""

import base64
import gzip
import html
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

NUMBER = "123456789018"
"""Twelve digits with a right check digit (the example of the fact sheet)."""

WRONG = "123456789012"


def check_digit(digits: str) -> str:
    """The check digit by weights 2 to 7 from the right, worked out here anew."""
    total = sum(int(d) * (n % 6 + 2) for n, d in enumerate(reversed(digits)))
    return "0" if total % 11 <= 1 else str(11 - total % 11)


RESIDENT_CODE = "3846201957" + check_digit("3846201957")


def spread(separator: str) -> Callable[[str], str]:
    """The digits with this between any two of them."""
    return separator.join


def grouped(separator: str) -> Callable[[str], str]:
    """Three groups of four, with this between them."""
    return lambda number: separator.join((number[:4], number[4:8], number[8:]))


def in_signs(zero: str) -> Callable[[str], str]:
    """The digits of another script, whose zero this is."""
    return lambda number: "".join(chr(ord(zero) + int(digit)) for digit in number)


def of(signs: str) -> Callable[[str], str]:
    """The digits by a table."""
    return lambda number: "".join(signs[int(digit)] for digit in number)


def encoded(number: str) -> str:
    """Base64 of the text."""
    return base64.b64encode(number.encode()).decode()


DISGUISES: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "spaces": grouped(" "),
    "hyphens": grouped("-"),
    "dots": spread("."),
    "spaces everywhere": spread(" "),
    "underscores": spread("_"),
    "slashes": grouped("/"),
    "commas of thousands": lambda n: f"{int(n):,}",
    "brackets": lambda n: f"[{n[:4]}][{n[4:8]}][{n[8:]}]",
    "semicolons": grouped(";"),
    "a line break": lambda n: n[:6] + "\n" + n[6:],
    "ideographic spaces": grouped("\u3000"),
    "the long vowel mark": grouped("ー"),
    "full-width hyphens": grouped("－"),
    "zero-width spaces": spread("\u200b"),
    "word joiners and a soft hyphen": lambda n: "\u2060".join(n[:6]) + "\u00ad" + n[6:],
    "a right-to-left override": lambda n: "\u202e" + n,
    "combining marks": spread("\u0301"),
    "variation selectors": spread("\ufe0f"),
    "keycaps": lambda n: "".join(d + "\ufe0f\u20e3" for d in n),
    "hangul fillers": spread("\u3164"),
    "full width": in_signs("０"),
    "Arabic-Indic digits": in_signs("٠"),
    "Devanagari digits": in_signs("०"),
    "mathematical digits": in_signs("𝟎"),
    "raised": of("⁰¹²³⁴⁵⁶⁷⁸⁹"),
    "lowered": of("₀₁₂₃₄₅₆₇₈₉"),
    "circled": of("⓪①②③④⑤⑥⑦⑧⑨"),
    "filled circles": of("⓿❶❷❸❹❺❻❼❽❾"),
    "kanji": of("〇一二三四五六七八九"),
    "legal kanji": of("零壱弐参四五六七八九"),
    "mixed scripts": lambda n: "１2三４5六７8九" + n[9:],
    "many spaces": spread(" " * 20),
    "many zero-width spaces": spread("\u200b" * 90),
    "circled, from ten on": lambda n: "⑫㉞" + n[4:],
    "units in a row of digits": lambda n: f"{n[:8]}万{n[8:]}",
    "in words": lambda _: "千二百三十四億五千六百七十八万九千十八",
    "inside a sentence": lambda n: f"わたしの番号は{n}です。",
    "between letters": lambda n: f"ID{n}X",
    "as an address": lambda n: f"{n}@mail.example",
    "as a URI": lambda n: f"tel:{n}",
    "filled up with zeros": lambda n: "000" + n,
    "as a fraction": lambda n: n + ".0",
    "as a power of ten": lambda n: f"{n[0]}.{n[1:]}e11",
    "JSON": lambda n: json.dumps({"a": {"b": [n]}}),
    "JSON in JSON": lambda n: json.dumps(json.dumps({"a": {"b": n}})),
    "JSON in JSON in JSON": lambda n: json.dumps(json.dumps(json.dumps([grouped("-")(n)]))),
    "JSON escapes": lambda n: "".join(f"\\u{ord(d):04x}" for d in n),
    "JSON escapes in JSON": lambda n: json.dumps("".join(f"\\u{ord(d):04x}" for d in n)),
    "octal escapes": lambda n: "".join(f"\\{ord(d):03o}" for d in n),
    "escapes with x": lambda n: "".join(f"\\x{ord(d):x}" for d in n),
    "percent-encoding": lambda n: "".join(f"%{ord(d):X}" for d in n),
    "percent-encoding twice": lambda n: "".join(f"%25{ord(d):X}" for d in n),
    "percent-encoded full width": lambda n: quote(in_signs("０")(n)),
    "HTML references": lambda n: "".join(f"&#{ord(d)};" for d in n),
    "hexadecimal HTML references": lambda n: "".join(f"&#x{ord(d):x};" for d in n),
    "HTML references escaped": lambda n: html.escape("".join(f"&#{ord(d)};" for d in n)),
    "quoted-printable": lambda n: "".join(f"={ord(d):X}" for d in n),
    "character codes": lambda n: ",".join(str(ord(d)) for d in n),
    "hexadecimal character codes": lambda n: ", ".join(hex(ord(d)) for d in n),
    "code points": lambda n: " ".join(f"U+{ord(d):04X}" for d in n),
    "hexadecimal in lines": lambda n: n.encode().hex("\n"),
    "a UUID": lambda n: str(uuid.UUID(bytes=n[:12].encode() + b"\xaa\xbb\xcc\xdd")),
    "base32": lambda n: base64.b32encode(n.encode()).decode(),
    "base32 of a sentence": lambda n: base64.b32encode(f"no. {n}!".encode()).decode().rstrip("=").lower(),
    "base64 in full width": lambda n: "".join(chr(ord(sign) + 0xFEE0) for sign in encoded(n)),
    "percent-encoding in full width": lambda n: "".join(f"％{ord(d):X}" for d in n),
    "base64 of the second member of gzip": lambda n: base64.b64encode(
        gzip.compress(b"a") + gzip.compress(n.encode())
    ).decode(),
    "hexadecimal": lambda n: n.encode().hex(),
    "hexadecimal in pairs": lambda n: n.encode().hex(":"),
    "base64": encoded,
    "base64 without padding": lambda n: base64.b64encode(f"n={n}".encode()).decode().rstrip("="),
    "base64url of a sentence": lambda n: base64.urlsafe_b64encode(f"番号？{n}？".encode()).decode().rstrip("="),
    "base64 after other letters": lambda n: "xyz" + encoded(n),
    "base64 of full width": lambda n: encoded(in_signs("０")(n)),
    "base64 of UTF-16": lambda n: base64.b64encode(n.encode("utf-16")).decode(),
    "base64 twice": lambda n: encoded(encoded(n)),
    "base64 of JSON": lambda n: encoded(json.dumps({"a": n})),
    "base64 of gzip": lambda n: base64.b64encode(gzip.compress(n.encode())).decode(),
    "base64 of hexadecimal": lambda n: encoded(n.encode().hex()),
    "a JWT": lambda n: f"{encoded('{}')}.{encoded(json.dumps({'sub': n}))}.c2ln",
    "a data URL": lambda n: f"data:text/plain;base64,{encoded(n)}",
}


# --- what looks like it and is none


def my_numbers(count: int, seed: int = 5) -> Iterator[str]:
    """Invented My Numbers."""
    dice = random.Random(seed)
    for _ in range(count):
        digits = "".join(dice.choices("0123456789", k=11))
        yield digits + check_digit(digits)


def _digits(dice: random.Random, count: int) -> str:
    return "".join(dice.choices("0123456789", k=count))


def _block(dice: random.Random) -> str:
    town = dice.choice(("大手町", "元総社町", "本町", "南町"))
    numbers = [str(dice.randint(1, 40)), str(dice.randint(1, 60)), str(dice.randint(1, 30))]
    room = dice.choice(("", f" 前橋ハイツ{dice.randint(101, 1405)}号室", f"-{dice.randint(101, 1405)}"))
    return f"群馬県前橋市{town}{dice.choice('-－ー‐').join(numbers)}{room}"


HARMLESS: Mapping[str, Callable[[random.Random], str]] = {
    "mobile telephone": lambda d: f"0{d.choice('789')}0-{_digits(d, 4)}-{_digits(d, 4)}",
    "mobile telephone, unbroken": lambda d: f"0{d.choice('789')}0{_digits(d, 8)}",
    "telephone": lambda d: f"027-{d.randint(200, 999)}-{_digits(d, 4)}",
    "telephone with brackets": lambda d: f"03({d.randint(1000, 9999)}){_digits(d, 4)}",
    "telephone, E.164": lambda d: f"+81{d.choice('789')}0{_digits(d, 8)}",
    "telephone, international": lambda d: f"+81-{d.choice('789')}0-{_digits(d, 4)}-{_digits(d, 4)}",
    "two telephones": lambda d: f"03-{_digits(d, 4)}-{_digits(d, 4)} 090-{_digits(d, 4)}-{_digits(d, 4)}",
    "toll-free": lambda d: f"0120-{_digits(d, 3)}-{_digits(d, 3)}",
    "postal code": lambda d: f"〒{_digits(d, 3)}-{_digits(d, 4)}",
    "address": _block,
    "address with its postal code": lambda d: f"〒371-{_digits(d, 4)} {_block(d)}",
    "bank account": lambda d: f"{_digits(d, 4)}-{_digits(d, 3)}-{_digits(d, 7)}",
    "corporate number": lambda d: str(d.randint(1, 9)) + _digits(d, 12),
    "payment card": lambda d: " ".join(_digits(d, 4) for _ in range(4)),
    "date": lambda d: (datetime(1940, 1, 1, tzinfo=UTC) + timedelta(days=d.randint(0, 30000))).date().isoformat(),
    "moment": lambda d: datetime.fromtimestamp(d.randint(0, 2**31), UTC).isoformat(),
    "moment with a space": lambda d: f"{datetime.fromtimestamp(d.randint(0, 2**31), UTC):%Y-%m-%d %H:%M}",
    "moment, compact": lambda d: f"{datetime.fromtimestamp(d.randint(0, 2**31), UTC):%Y%m%d%H%M}",
    "moment in milliseconds": lambda d: str(d.randint(10**12, 2 * 10**12)),
    "moment in microseconds": lambda d: str(d.randint(10**15, 2 * 10**15)),
    "UUID": lambda d: str(uuid.UUID(int=d.getrandbits(128), version=4)),
    "SHA-256": lambda d: d.randbytes(32).hex(),
    "JWT": lambda d: ".".join(base64.urlsafe_b64encode(d.randbytes(n)).decode().rstrip("=") for n in (30, 120, 64)),
    "image in base64": lambda d: "data:image/png;base64," + base64.b64encode(d.randbytes(3000)).decode(),
    "place on the earth": lambda d: f"{d.uniform(24, 45):.6f}, {d.uniform(123, 145):.6f}",
    "fraction": lambda d: f"{d.random():.15f}"[:16],
    "IPv4 address": lambda d: ".".join(str(d.randint(100, 255)) for _ in range(4)),
    "years": lambda d: f"{d.randint(1990, 2030)} {d.randint(1990, 2030)} {d.randint(1990, 2030)}",
    "counts": lambda d: ", ".join(str(d.randint(0, 2000)) for _ in range(6)),
}
"""What free text and bodies hold every day, in free text."""

COLLIDING: Mapping[str, tuple[str, Callable[[random.Random], str]]] = {
    "customer number of twelve digits": ("customerNumber", lambda d: _digits(d, 12)),
    "account of eleven digits": ("accountNumber", lambda d: _digits(d, 11)),
    "telephone of another country": ("phoneNumber", lambda d: f"+44 20 {_digits(d, 4)} {_digits(d, 4)}"),
    "telephone in national form": ("phoneNumber", lambda d: f"090{_digits(d, 8)}"),
}
"""A service's own numbers, in fields whose names say so."""
