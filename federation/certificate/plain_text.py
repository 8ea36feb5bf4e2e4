"""Which texts may be asked to be signed: those that everybody sees alike.

What a person reads on the phone, a clerk on a screen and a court on paper must be one text. So whatever Unicode has for
showing less, more or something else than is there is refused, by a table of rules, each with its code and sentence
(Unicode Technical Report 36; Unicode Standard Annex 9 for directions).
"""

import re
import unicodedata
from collections.abc import Callable

MAX_OCTETS = 8 * 1024
MAX_TITLE = 80
"""Characters."""

_SPACES = frozenset(" \u3000")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")
_OVERLAYS = frozenset(map(chr, range(0x0334, 0x0339)))
_MOST_MARKS = 2
_BLANKS = re.compile(r"\n[ \u3000]*\n[ \u3000]*\n[ \u3000]*\n|[ \u3000]{41}")


class TextRefusedError(Exception):
    """A text that nobody is asked to sign. `code` is one of `RULES`; the sentence is for the service's developers."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


def whole(text: str, *, title: str) -> str:
    """What is shown and signed: the title, an empty line, the text."""
    return f"{title}\n\n{text}"


def check(text: str, *, title: str) -> None:
    """Raise `TextRefusedError` for a text or title that could show otherwise than it is signed."""
    if not title.strip() or len(title) > MAX_TITLE or "\n" in title:
        raise TextRefusedError("title", f"a title is one line of at most {MAX_TITLE} characters")
    for code, sentence, wrong in RULES:
        if wrong(text) or wrong(whole(text, title=title)):
            raise TextRefusedError(code, sentence)


def _control(text: str) -> bool:
    return any(unicodedata.category(c) == "Cc" and c != "\n" for c in text)


def _unassigned(text: str) -> bool:
    return any(unicodedata.category(c) in {"Cn", "Co", "Cs"} for c in text)


def _invisible(text: str) -> bool:
    return any(
        not _is_ideograph(before) if _is_selector(c) else c in _INVISIBLE_LETTERS or _is_hidden(c)
        for before, c in zip(" " + text, text, strict=False)
    )


def _is_hidden(c: str) -> bool:
    category = unicodedata.category(c)
    return category in {"Cf", "Zl", "Zp"} or (category == "Zs" and c not in _SPACES)


def _marks(text: str) -> bool:
    row = 0
    for before, c in zip("\n" + text, text, strict=False):
        if _is_selector(c):
            continue
        kind = unicodedata.category(c)
        row = row + 1 if kind in {"Mn", "Mc"} else 0
        if kind == "Me" or c in _OVERLAYS or row > _MOST_MARKS or (row == 1 and before in "\n \u3000"):
            return True
    return False


def _is_selector(c: str) -> bool:
    """A variation selector: with it the forms of characters in people's names are told apart (葛󠄀)."""
    return "\ufe00" <= c <= "\ufe0f" or "\U000e0100" <= c <= "\U000e01ef"


def _is_ideograph(c: str) -> bool:
    return unicodedata.name(c, "").startswith("CJK ")


RULES: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    (
        "too-long",
        f"at most {MAX_OCTETS} octets of UTF-8, title included",
        lambda text: len(text.encode("utf-8", "replace")) > MAX_OCTETS,
    ),
    ("unassigned", "a private, unassigned or broken character shows differently everywhere", _unassigned),
    ("empty", "there is nothing to read", lambda text: not text.strip()),
    ("control", "control characters, tabs and carriage returns among them; lines end with U+000A", _control),
    ("invisible", "characters that nobody sees, or that steer how others are shown", _invisible),
    (
        "direction",
        "letters written from right to left can move the numbers beside them",
        lambda text: any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in text),
    ),
    ("marks", "marks that strike through, enclose or pile up", _marks),
    ("not-normal", "the text is not in normalization form C", lambda text: not unicodedata.is_normalized("NFC", text)),
    ("blank", "what follows much blank space may be overlooked", lambda text: bool(_BLANKS.search(text))),
    (
        "like-a-message",
        "a text that begins like a JSON object could be meant for a machine",
        lambda text: text.lstrip()[:1] in {"{", "["},
    ),
)
"""In this order."""
