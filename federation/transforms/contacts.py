"""Postal codes, telephone numbers, e-mail addresses."""

import re
from types import MappingProxyType

from federation.transforms.base import Transforms, UnmappableError, each

_DIGITS = str.maketrans("０１２３４５６７８９", "0123456789")
_POSTAL_CODE = re.compile("〒?[ \u3000]?([0-9]{3})[-‐‑‒–—―−－ーｰ]?([0-9]{4})")
_SEVEN = re.compile("[0-9]{7}")


def postal_code(text: str) -> str:
    """A postal code (〒371-8601) as seven digits. Refuses `format`."""
    found = _POSTAL_CODE.fullmatch(text.translate(_DIGITS))
    if found is None:
        raise UnmappableError("format")
    return found[1] + found[2]


def postal_code_with_hyphen(text: str) -> str:
    """Seven digits (3718601) as people write a postal code: 371-8601. Refuses `format`."""
    if not _SEVEN.fullmatch(text):
        raise UnmappableError("format")
    return f"{text[:3]}-{text[3:]}"


# --- telephone numbers

_PHONE = str.maketrans(
    {
        **dict(zip("０１２３４５６７８９＋（）．＃", "0123456789+().#", strict=True)),
        **dict.fromkeys("-‐‑‒–—―−－ーｰ", "-"),
        "\u3000": " ",
    }
)
_WRITTEN = re.compile(r"\+?[0-9().\- ]{1,40}")
_SEPARATORS = re.compile(r"[().\- ]")
_TRUNK_ZERO = re.compile(r"(\+[0-9]{1,3})[- ]?\(0\)")
_EXTENSION = re.compile("内線|内|#|ext|x[0-9]", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{7,14}")
_JAPANESE = re.compile(
    "0(?:"
    "[5-9]0[0-9]{8}"  # 050 (IP), 060, 070, 080, 090 (mobile), 0800 (free of charge): 11 digits
    "|[1-9][1-9][0-9]{7}"  # fixed lines, 0120, 0570: 10 digits
    ")"
)
_JAPAN = "+81"


def phone_to_e164(text: str) -> str:
    """A telephone number as the international one, digits only (ITU-T E.164): 090-1234-5678 as +819012345678.

    A number without + is one of Japan's, of 10 digits, or of 11 after 050, 060, 070, 080 and 090. Hyphens, parentheses,
    points and spaces go, a zero after the country code too: +81 (0)90. A number with another country's code keeps
    its digits. Refuses `extension` (内線), `format`, and `unknown-number` for what has not as many digits as it must.
    """
    written = text if text.isascii() else text.translate(_PHONE)
    if not _WRITTEN.fullmatch(written):
        raise UnmappableError("extension" if _EXTENSION.search(written[:80]) else "format")
    if "(0)" in written:
        written = _TRUNK_ZERO.sub(r"\1", written)
    number = _SEPARATORS.sub("", written)
    if not number.startswith("+"):
        return _JAPAN + _of_japan(number)[1:]
    if number.startswith(_JAPAN):
        return _JAPAN + _of_japan("0" + number[3:].removeprefix("0"))[1:]
    if not _INTERNATIONAL.fullmatch(number):
        raise UnmappableError("unknown-number")
    return number


def phone_to_national(text: str) -> str:
    """A number of Japan as it is dialled there, digits only: +819012345678 as 09012345678.

    Where an area code ends is in no digit, so no hyphens. Refuses `not-japanese`, and otherwise as `phone-to-e164`.
    """
    number = phone_to_e164(text)
    if not number.startswith(_JAPAN):
        raise UnmappableError("not-japanese")
    return "0" + number[3:]


def _of_japan(number: str) -> str:
    if not _JAPANESE.fullmatch(number):
        raise UnmappableError("unknown-number")
    return number


# --- e-mail addresses

_LONGEST_ADDRESS = 254
_LONGEST_LOCAL = 64
_LONGEST_NAME = 253
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DEVIATING = re.compile("[ßς\u200c\u200d]")


def email_address(text: str) -> str:
    """An e-mail address without spaces around it, its domain in small ASCII letters (RFC 5321; IDNA).

    What stands before the @ is left as it is. Dots beside one another or at its end are taken (a..b.@…): mobile
    carriers have given out such addresses, though RFC 5321 §4.1.2 has no place for them. Refuses `format`: also
    names in front of an address, quoted local parts, addresses that are numbers; `too-long` (RFC 5321 §4.5.3.1).
    """
    stripped = text.strip(" \t\r\n\u3000")
    local, at, domain = stripped.rpartition("@")
    if len(stripped) > _LONGEST_ADDRESS or len(local) > _LONGEST_LOCAL:
        raise UnmappableError("too-long")
    if not at or not _LOCAL.fullmatch(local):
        raise UnmappableError("format")
    domain = domain.lower() if domain.isascii() else _in_ascii(domain)
    if len(domain) > _LONGEST_NAME or len(local) + 1 + len(domain) > _LONGEST_ADDRESS:
        raise UnmappableError("too-long")
    if not _DOMAIN.fullmatch(domain):
        raise UnmappableError("format")
    return f"{local}@{domain}"


def _in_ascii(domain: str) -> str:
    """A domain of other letters by IDNA; not the few that its two versions take differently (RFC 5894 §7.2)."""
    if _DEVIATING.search(domain):
        raise UnmappableError("format")
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise UnmappableError("format") from None


TRANSFORMS: Transforms = MappingProxyType(
    {
        "postal-code": each(postal_code, "format"),
        "postal-code-with-hyphen": each(postal_code_with_hyphen, "format", inverse="postal-code"),
        "phone-to-e164": each(phone_to_e164, "extension", "format", "unknown-number"),
        "phone-to-national": each(
            phone_to_national, "extension", "format", "unknown-number", "not-japanese", inverse="phone-to-e164"
        ),
        "email-address": each(email_address, "format", "too-long"),
    }
)
"""Those of this module, by name."""
