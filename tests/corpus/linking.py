"""What two services that collude can do: lay all they were ever sent side by side, and look for who is who.

They know their own accounts, and want pairs: this account of mine is that account of yours. A pair is found where a
value, or eight characters in a row of one, stands in everything that was received of just one account here and of just
one account there. Values are taken out of whatever they are wrapped in: XML, JSON, forms, addresses, tokens, base64.
"""

import base64
import binascii
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from lxml import etree

LENGTH = 8
"""Characters in a row that are told from another row of them."""

_DEEPEST = 16
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{8,}={0,2}\s*")
_DIGITS = re.compile("[0-9]+")


@dataclass(slots=True)
class Log:
    """What one service received, by account: whole messages, as they came."""

    received: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))

    def keep(self, account: str, *messages: object) -> None:
        """One more time that something came for that account."""
        self.received[account] += messages

    def owners(self) -> Mapping[str, set[str]]:
        """Every text, and every row of `LENGTH` characters of a value → the accounts that it came for."""
        found: dict[str, set[str]] = defaultdict(set)
        for account, messages in self.received.items():
            for text, inner in texts(messages):
                found[text].add(account)
                for start in range(0 if inner else len(text) - LENGTH + 1):
                    found[text[start : start + LENGTH]].add(account)
        return found


def pairs(one: Log, other: Log) -> dict[tuple[str, str], str]:
    """Account here and account there that something gives away, and the longest text that does."""
    here, there = one.owners(), other.owners()
    found: dict[tuple[str, str], str] = {}
    for text in here.keys() & there.keys():
        if len(here[text]) == len(there[text]) == 1:
            (mine,), (theirs,) = here[text], there[text]
            if len(text) >= len(found.get((mine, theirs), "")):
                found[mine, theirs] = text
    return found


def texts(said: object, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Every text in what was said, and whether there are others in it: a wrapping, no value."""
    if depth > _DEEPEST or said is None:
        return
    if isinstance(said, str):
        inner = _unwrapped(said.strip())
        yield said, inner is not None
    elif isinstance(said, Mapping):
        inner = [*said.keys(), *said.values()]
    elif isinstance(said, (list, tuple)):
        inner = said
    else:
        inner = [str(said)]
    for each in inner or ():
        yield from texts(each, depth + 1)


def _unwrapped(text: str) -> Sequence[object] | None:
    """What a text wraps, None if it is a value."""
    if text.startswith("<"):
        return _xml(text)
    if text[:1] in {"{", "["}:
        return _json(text)
    if "://" in text and "?" in text:
        parts = urlsplit(text)
        return [f"{parts.scheme}://{parts.netloc}{parts.path}", *parse_qsl(parts.query)]
    for separator in (None, "@", "."):
        found = text.split(separator)
        if len(found) > 1:
            return found
    if _BASE64.fullmatch(text) and not _DIGITS.fullmatch(text):
        return _decoded(text)
    return None


def _xml(text: str) -> Sequence[object] | None:
    try:
        root = etree.fromstring(text.encode())
    except etree.XMLSyntaxError:
        return None
    return [
        each
        for element in root.iter(etree.Element)
        for each in (element.text, element.tail, *map(str, element.attrib.values()))
    ]


def _json(text: str) -> Sequence[object] | None:
    try:
        return [json.loads(text)]
    except ValueError:
        return None


def _decoded(text: str) -> Sequence[object] | None:
    """What base64 says, if it is a text; what is binary is compared as it is written."""
    compact = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return [base64.b64decode(compact + "=" * (-len(compact) % 4)).decode()]
    except (binascii.Error, ValueError):
        return None
