"""Invented residents in the formats of the demo's ID systems, each with what must come of every attribute.

A resident is one row of each table; what is expected of a resident is what the tables' authors wrote beside these rows,
put together. Nothing here reads, splits or converts a value, and nobody here is a person.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.demo.residents import EBETSU_ARC

from .addresses import ADDRESSES, Address
from .births import BIRTHS
from .codes import CODES, EMAILS, POSTAL_CODES, SEXES, TELEPHONES
from .names import NAMES, NO_NAME, ODD_NAMES, Name, OddName
from .outcome import SYSTEMS, Outcome, Row

T = TypeVar("T")

EACH = 120
"""Residents of each system: every row of every table at least once."""

NAME_ATTRIBUTES = {
    "maebashi": (
        "fullName",
        "familyName",
        "givenName",
        "familyNameKana",
        "givenNameKana",
        "fullNameKana",
        "commonName",
    ),
    "ebetsu": ("fullName", "familyName", "givenName", "fullNameKana", "commonName"),
    "omura": ("fullName", "familyName", "givenName", "familyNameKana", "givenNameKana", "fullNameKana"),
}
"""What each demo map makes of what a system says of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """`record` is what the ID system sends under its own names; `expected` has every attribute that its map makes."""

    system: str
    corner: str
    record: Mapping[str, Any] = field(repr=False)
    expected: Mapping[str, Outcome]


def residents() -> Iterator[Resident]:
    """All of them, the same each time."""
    for system in SYSTEMS:
        for n in range(EACH):
            yield _resident(system, n)


def _resident(system: str, n: int) -> Resident:
    """Steps of different lengths through the tables: other neighbours each time."""
    names: Sequence[Name | OddName] = (*NAMES, *ODD_NAMES)
    name, address = _at(names, n), _at(ADDRESSES, n * 7 + 3)
    rows = {
        "birth": _at(BIRTHS, n * 11 + 5),
        "sex": _at(SEXES, n),
        "code": _at(CODES, n * 3),
        "postal": _at(POSTAL_CODES, n * 5),
        "telephone": _at(TELEPHONES, n * 7),
        "email": _at(EMAILS, n * 2),
    }
    corners = (name.corner, address.corner, *(f"{what}: {row.corner}" for what, row in rows.items()))
    return Resident(
        system=system,
        corner=", ".join(corners),
        record=_WRITE[system](name, address, {what: row.written(system) for what, row in rows.items()}),
        expected={
            **name_comes(system, name),
            **_address_comes(address),
            **_rows_come(system, rows),
        },
    )


def _at(table: Sequence[T], n: int) -> T:
    return table[n % len(table)]


# --- what comes


def name_comes(system: str, name: Name | OddName) -> dict[str, Outcome]:
    """What comes of a name that this system writes."""
    comes: dict[str, Outcome] = dict.fromkeys(NAME_ATTRIBUTES[system], NO_NAME)
    if isinstance(name, OddName):
        return comes | name.comes.get(system, {})
    both = f"{name.kana[0]} {name.kana[1]}"
    told: dict[str, Outcome] = {
        "fullName": _GAP[system].join((name.family, name.given)),
        "familyName": name.family,
        "givenName": name.given,
        "familyNameKana": name.kana[0],
        "givenNameKana": name.kana[1],
        "fullNameKana": (name.half_there or both) if system == "ebetsu" else both,
    }
    return {attribute: told.get(attribute, NO_NAME) for attribute in comes}


def _address_comes(address: Address) -> dict[str, Outcome]:
    return {
        "fullAddress": address.written,
        "prefecture": address.prefecture,
        "cityAndCounty": address.city,
        "streetAddress": address.street,
        "cityBlock": address.block,
        "buildingNameEtc": address.building,
    }


def _rows_come(system: str, rows: Mapping[str, Row]) -> dict[str, Outcome]:
    comes = {
        "dateOfBirth": rows["birth"].comes(system),
        "sex": rows["sex"].comes(system),
        "localGovernmentCode": rows["code"].comes(system),
        "phoneNumber": rows["telephone"].comes(system),
        "email": rows["email"].comes(system),
    }
    if system != "ebetsu":
        comes["postalCode"] = rows["postal"].comes(system)
    return comes


# --- how each system writes

_GAP = {"maebashi": " ", "ebetsu": "\u3000", "omura": "\u3000"}
_Written = Mapping[str, str | None]


def _maebashi(name: Name | OddName, address: Address, rows: _Written) -> dict[str, Any]:
    named: Mapping[str, str]
    if isinstance(name, OddName):
        named = name.says["maebashi"]
    else:
        named = {
            "name": f"{name.family} {name.given}",
            "family_name": name.family,
            "given_name": name.given,
            "family_name#ja-Kana-JP": name.kana[0],
            "given_name#ja-Kana-JP": name.kana[1],
        }
    told = {
        "birthdate": rows["birth"],
        "gender": rows["sex"],
        "address": address.written,
        "郵便番号": rows["postal"],
        "市区町村コード": rows["code"],
        "phone_number": rows["telephone"],
        "email": rows["email"],
    }
    return {**named, **_there(told)}


def _ebetsu(name: Name | OddName, address: Address, rows: _Written) -> dict[str, Any]:
    named: Mapping[str, str]
    if isinstance(name, OddName):
        named = name.says["ebetsu"]
    else:
        named = {"1": f"{name.family}\u3000{name.given}", "2": name.half}
    told = {
        "3": rows["birth"],
        "4": rows["sex"],
        "5": address.written,
        "7": rows["code"],
        "8": rows["telephone"],
        "9": rows["email"],
    }
    return {f"{EBETSU_ARC}.{number}": value for number, value in {**named, **_there(told)}.items()}


def _omura(name: Name | OddName, address: Address, rows: _Written) -> dict[str, Any]:
    named: Mapping[str, str]
    if isinstance(name, OddName):
        named = name.says["omura"]
    else:
        named = {
            "shimei": f"{name.family}\u3000{name.given}",
            "sei": name.family,
            "mei": name.given,
            "sei_yomi": name.hiragana[0],
            "mei_yomi": name.hiragana[1],
        }
    told = {
        "umare": rows["birth"],
        "seibetsu": rows["sex"],
        "dantai": rows["code"],
        "jusho": _there({"yubin": rows["postal"], "zen": address.written}),
        "renraku": _there({"denwa": rows["telephone"], "mail": rows["email"]}),
    }
    return {**named, **_there(told)}


def _there(told: Mapping[str, T | None]) -> dict[str, T]:
    return {name: value for name, value in told.items() if value is not None}


_WRITE = {"maebashi": _maebashi, "ebetsu": _ebetsu, "omura": _omura}
