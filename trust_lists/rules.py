"""Rules for single values of an entry, common to every list format.

Each raises `EntryError`; a reader turns that into a `Fault`, a publisher refuses to sign.
"""

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

from trust_lists.codes import is_municipality_code

MAXIMUM_ENTITY_ID = 1024
"""Characters; SAML Metadata §2.2.1."""

_MAXIMUM_NAME = 500
_MAXIMUM_ADDRESS = 2048
_ADDRESS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.ASCII)
_PLAIN_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?", re.ASCII)
"""What nearly every address is: a host, no port, no fragment. It keeps every rule; the other ones are looked at."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,126}", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_FORBIDDEN_IN_NAMES = ("Cc", "Cs", "Co", "Zl", "Zp")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Place = tuple[str | int, ...]


class EntryError(Exception):
    """One entry breaks a rule: `place` leads to the value (`("metadata", "jwks")`), `reason` says why."""

    def __init__(self, place: Place, reason: str) -> None:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
        where = "".join(steps).removeprefix(".")
        super().__init__(f"{where}: {reason}" if where else reason)
        self.place = place
        self.reason = reason


class UnpublishableError(Exception):
    """A member that must not be signed: `position` counts from 0 in the order given."""

    def __init__(self, position: int, error: EntryError) -> None:
        super().__init__(str(error))
        self.position = position
        self.error = error


def is_loopback(host: str | None) -> bool:
    """Tell whether a URL's host can only be this machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    # ::ffff:127.0.0.1 is a way to write it that nobody needs; whether Python calls it so depends on its version.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def web_address(value: object, place: Place) -> str:
    """Check an absolute https URL, or http on a loopback host; no fragment, no user, no odd characters."""
    if isinstance(value, str) and len(value) <= _MAXIMUM_ADDRESS and _PLAIN_ADDRESS.fullmatch(value):
        return value
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or len(value) > _MAXIMUM_ADDRESS:
        raise EntryError(place, "an absolute https address in ASCII is expected")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise EntryError(place, f"{value} is not an address") from error
    if not parts.hostname or "@" in parts.netloc or port == 0:
        raise EntryError(place, f"{value} needs a host, and no user name")
    if "#" in value:
        raise EntryError(place, f"{value} has a fragment; write it without the # part")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return value
    raise EntryError(place, f"{value} is not https (http is allowed on loopback hosts only)")


def issuer(value: object, place: Place) -> str:
    """Check an issuer identifier: a web address without a query (OpenID Discovery §3)."""
    address = web_address(value, place)
    if "?" in address:
        raise EntryError(place, f"{address} has a query; an issuer has none")
    return address


def entity_id(value: object, place: Place) -> str:
    """Check an entity or client ID: printable ASCII without spaces, at most 1,024 characters."""
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise EntryError(place, "an identifier in printable ASCII without spaces is expected")
    if len(value) > MAXIMUM_ENTITY_ID:
        raise EntryError(place, f"longer than {MAXIMUM_ENTITY_ID} characters")
    return value


def scope(value: object, place: Place) -> str:
    """Check a scope, what stands behind the `@` of a subject identifier or scoped attribute; in lower case.

    A domain: letters, digits, hyphens and dots, first a letter or digit, at most 127 characters (SAML Subject
    Identifier Attributes §3).
    """
    if not isinstance(value, str) or not _SCOPE.fullmatch(value):
        raise EntryError(place, f"{str(value)[:40]!r} is not a scope: a domain such as ebetsu.example is expected")
    return value.lower()


def municipality(value: object, place: Place) -> str:
    """Check a six-digit local-government code with the right check digit."""
    if not isinstance(value, str):
        raise EntryError(place, 'a local-government code is text: write it in quotes, as "042056"')
    if not is_municipality_code(value):
        raise EntryError(place, f"{value[:20]!r} is not a local-government code (six digits, the last a check digit)")
    return value


def language(value: object, place: Place) -> str:
    """Check a language tag (BCP 47), as in `ja`."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise EntryError(place, f"{str(value)[:20]!r} is not a language such as ja or en")
    return value


def display_name(value: object, place: Place) -> str:
    """Check a name to show to people: not blank, at most 500 characters, none that hides or turns text."""
    if not isinstance(value, str) or not value.strip():
        raise EntryError(place, "a name is expected")
    if len(value) > _MAXIMUM_NAME:
        raise EntryError(place, f"longer than {_MAXIMUM_NAME} characters")
    if not value.isprintable() and any(
        c in _DIRECTION_MARKS or unicodedata.category(c) in _FORBIDDEN_IN_NAMES for c in value
    ):
        raise EntryError(place, "control characters and direction marks are not allowed in a name")
    return value


def names(value: object, place: Place) -> dict[str, str]:
    """Check names by language: `{ja: 前橋市, en: Maebashi City}`."""
    if not isinstance(value, dict):
        raise EntryError(place, "names by language are expected, as {ja: …, en: …}")
    return {language(tag, (*place, str(tag))): display_name(text, (*place, str(tag))) for tag, text in value.items()}
