"""What is in a list, in words for council members and town-hall staff, in Japanese and English.

`LANGUAGES` are the languages of every sentence of `showing.py` and `comparing.py`. What a list says itself reaches a
terminal or a page only through `plain`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

from trust_lists.model import Role, Status, TrustedEntity

LANGUAGES = ("ja", "en")

JAPAN = timezone(timedelta(hours=9), "JST")
"""Times are told as they are read in a town hall."""

Words = tuple[str, str]
"""A sentence in each of `LANGUAGES`."""

ROLES: Mapping[Role, Words] = {
    Role.SAML_IDENTITY_PROVIDER: ("IDシステム（SAML）", "ID system (SAML)"),
    Role.SAML_SERVICE_PROVIDER: ("サービス（SAML）", "service (SAML)"),
    Role.OPENID_PROVIDER: ("IDシステム（OpenID）", "ID system (OpenID)"),
    Role.OPENID_RELYING_PARTY: ("サービス（OpenID）", "service (OpenID)"),
    Role.CERTIFICATE_AUTHORITY: ("認証局", "certificate authority"),
    Role.REGIONAL_SERVICE: ("地域の共同サービス", "shared regional service"),
    Role.COUNCIL_MEMBER: ("協議会の会員", "member of the council"),
}

STATUSES: Mapping[Status, Words] = {
    Status.GRANTED: ("有効", "granted"),
    Status.RECOGNISED: ("国の段階で認定", "recognised at national level"),
    Status.WITHDRAWN: ("取り消し", "withdrawn"),
}

_UNLIMITED: Words = ("制限なし", "not limited")
_JOINED: Words = ("、", ", ")
_SHORT = 16


def choose(words: Words, language: str) -> str:
    """Answer the words of that language; English for a language that is not known here."""
    return words[0] if language == "ja" else words[1]


def plain(text: str) -> str:
    """Make a text of somebody else's harmless to a terminal and a page: one line, nothing that hides or turns text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def instant(at: datetime, language: str) -> str:
    """Tell a time as it is in Japan, to the minute."""
    there = at.astimezone(JAPAN)
    if language == "ja":
        return f"{there.year}年{there.month}月{there.day}日 {there:%H:%M}"
    return f"{there:%Y-%m-%d %H:%M} (Japan)"


def level(stated: int | None, language: str) -> str:
    """Tell a highest level of identity assurance."""
    return choose(_UNLIMITED, language) if stated is None else str(stated)


def uses(stated: Iterable[str] | None, language: str) -> str:
    """Tell what something may be used for."""
    return choose(_UNLIMITED, language) if stated is None else listed(sorted(stated), language) or "-"


def listed(texts: Iterable[str], language: str) -> str:
    """Tell several things."""
    return choose(_JOINED, language).join(map(plain, texts))


def roles(of: Iterable[Role], language: str) -> str:
    """Tell in which roles."""
    return listed((choose(ROLES[role], language) for role in sorted(of)), language)


def short(key: str) -> str:
    """Begin a key's fingerprint, enough to tell it from the others."""
    return key if len(key) <= _SHORT else f"{key[:_SHORT]}…"


def name(of: TrustedEntity, language: str) -> str:
    """Name an entity, by its entity ID if it has no name."""
    return plain(named(of.names, language) or of.entity_id)


def named(names: Mapping[str, str], language: str) -> str | None:
    """Choose a name: in the language asked for, else in Japanese, English or any; None if there is none."""
    return next((names[each] for each in (language, *LANGUAGES, *names) if each in names), None)
