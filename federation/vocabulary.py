"""The canonical vocabulary: the attributes that the region knows, their names for people, their form.

It follows the Digital Agency's user data model (ユーザ). That model's `contactPoint` is an object; here
its two parts in use stand by themselves (`email`, `phoneNumber`). `commonName` (通称, an alias that a
foreign resident has registered) is an extension, since the model has no place for it.

A value that is not of its attribute's form never gets in, so what maps outward can rely on the form.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from trust_lists.municipalities import BY_CODE

Texts = Mapping[str, str]
"""A text by language code: `{"ja": …, "en": …}`."""

Form = Callable[[str], bool]

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fb-\u30fe\u31f0-\u31ff\u3099\u309a \u3000]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalAttribute:
    """What the vocabulary says of one attribute: `form` a value must have, `several` values or only one."""

    label: Texts
    form: Form
    several: bool = False


def is_iso_date(text: str) -> bool:
    """Whether `text` is a real day written `YYYY-MM-DD` (ISO 8601, extended format, four-digit year)."""
    if not _ISO_DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_government(text: str) -> bool:
    """Whether `text` is the six-digit code of a government that exists: no ward's, and none that a merger ended."""
    return text in BY_CODE


def is_katakana(text: str) -> bool:
    """Whether `text` is full-width katakana, with the marks ー ・ ヽ ヾ and spaces between its parts."""
    return _KATAKANA.fullmatch(text) is not None


def _any(text: str) -> bool:
    return text != ""


def _pattern(expression: str) -> Form:
    compiled = re.compile(expression)
    return lambda text: compiled.fullmatch(text) is not None


def _attribute(ja: str, en: str, form: Form = _any, *, several: bool = False) -> CanonicalAttribute:
    return CanonicalAttribute(label=MappingProxyType({"ja": ja, "en": en}), form=form, several=several)


_EMAIL = _pattern(r"[^\s@]{1,64}@[A-Za-z0-9.-]{1,253}")
"""What stands before the @ may be anything but a space, as carriers have given it out."""

ATTRIBUTES: Mapping[str, CanonicalAttribute] = MappingProxyType(
    {
        "familyName": _attribute("氏名（姓）", "Family name"),
        "givenName": _attribute("氏名（名）", "Given name"),
        "fullName": _attribute("氏名", "Full name"),
        "familyNameKana": _attribute("フリガナ（姓）", "Family name in kana", is_katakana),
        "givenNameKana": _attribute("フリガナ（名）", "Given name in kana", is_katakana),
        "fullNameKana": _attribute("氏名のフリガナ", "Full name in kana", is_katakana),
        "familyNameEn": _attribute("英字の氏名（姓）", "Family name in the Latin alphabet"),
        "givenNameEn": _attribute("英字の氏名（名）", "Given name in the Latin alphabet"),
        "fullNameEn": _attribute("英字の氏名", "Full name in the Latin alphabet"),
        "commonName": _attribute("通称", "Registered alias (tsūshō)"),
        "nationality": _attribute("国籍", "Nationality", several=True),
        # ISO/IEC 5218: 0 not known, 1 male, 2 female, 9 not applicable.
        "sex": _attribute("性別", "Sex", _pattern("[0129]")),
        "dateOfBirth": _attribute("生年月日", "Date of birth", is_iso_date),
        # Of somebody whose day of birth nobody knows (不詳).
        "yearOfBirth": _attribute("生まれた年", "Year of birth", _pattern("[0-9]{4}")),
        "dateOfDeath": _attribute("死亡年月日", "Date of death", is_iso_date),
        "localGovernmentCode": _attribute("市区町村コード", "Municipality code", is_government),
        "fullAddress": _attribute("住所", "Address"),
        "streetAddressId": _attribute("町字ID", "Town-block ID", _pattern("[0-9]{7}")),
        "prefecture": _attribute("住所（都道府県）", "Prefecture"),
        "cityAndCounty": _attribute("住所（市区町村）", "City, county or ward"),
        "streetAddress": _attribute("住所（町名）", "Town or street"),
        "cityBlock": _attribute("住所（番地）", "Block and house number"),
        "buildingNameEtc": _attribute("住所（建物名など）", "Building and room"),
        "postalCode": _attribute("郵便番号", "Postal code", _pattern("[0-9]{7}")),
        "email": _attribute("メールアドレス", "E-mail address", _EMAIL, several=True),
        "phoneNumber": _attribute("電話番号", "Telephone number", _pattern(r"\+[1-9][0-9]{6,14}"), several=True),
    }
)
"""Every canonical attribute by its name."""

CANONICAL: Mapping[str, Texts] = MappingProxyType({name: attribute.label for name, attribute in ATTRIBUTES.items()})
"""Canonical name → what the consent page calls it."""
