"""The governments of Japan: the 47 prefectures and 1,741 municipalities, by code and by name.

`municipalities.tsv` and `wards.tsv`, beside this file, hold them, with their sources and dates. They are for reading
what residents' systems say of where somebody lives. Trust lists are not held against them: a list may name a
municipality that is newer than this table, and is the one to know (`trust_lists.codes.is_municipality_code`).

A code that ended in a merger is not in the table, and nothing here says which code came after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

Kind = Literal["prefecture", "city", "special-ward", "town", "village"]

_KINDS: Mapping[str, Kind] = MappingProxyType({"市": "city", "区": "special-ward", "町": "town", "村": "village"})

_OLD = (
    "ヶ龍惠檮桧鯵諌驒礪曾條嶋澤濱廣國榮櫻瀧澁會豐萬壽藏龜鹽眞縣德邊與彌應燒禮"
    "靜關鄕郞淸增奧賴橫莊藝寬渕嶽黑來髙\ufa11\ufa10"
)
_NEW = "ケ竜恵梼檜鰺諫騨砺曽条島沢浜広国栄桜滝渋会豊万寿蔵亀塩真県徳辺与弥応焼礼静関郷郎清増奥頼横荘芸寛淵岳黒来高崎塚"
_SPELLINGS = str.maketrans(_OLD, _NEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Government:
    """A prefecture or a municipality. `name` is without `county` (郡), which stands before it in addresses."""

    code: str
    name: str
    kana: str
    prefecture: str
    county: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """A ward (行政区) of a designated city: a part of the city, with a code, but no government."""

    code: str
    name: str
    kana: str
    city: Government


def spelling(name: str) -> str:
    """`name` as it is looked up: ヶ like ケ, old forms of characters like the new ones. As long as it was.

    No two names in one prefecture become the same by this.
    """
    return name.translate(_SPELLINGS)


def named(name: str, prefecture: str | None = None) -> tuple[Government, ...]:
    """The municipalities of that name, without county, in whatever spelling; several where the name is not enough."""
    return tuple(each for each in _BY_NAME.get(spelling(name), ()) if prefecture in {None, each.prefecture})


def _rows(file: str) -> Iterable[list[str]]:
    text = files("trust_lists").joinpath(file).read_text(encoding="utf-8")
    return (line.split("\t") for line in text.splitlines() if not line.startswith("#"))


def _government(row: list[str]) -> Government:
    code, prefecture, county, name, kana = row
    kind: Kind = "prefecture" if name == prefecture else _KINDS[name[-1]]
    return Government(code=code, name=name, kana=kana, prefecture=prefecture, county=county, kind=kind)


def _by_name() -> Mapping[str, tuple[Government, ...]]:
    table: dict[str, tuple[Government, ...]] = {}
    for each in GOVERNMENTS:
        if each.kind != "prefecture":
            name = spelling(each.name)
            table[name] = (*table.get(name, ()), each)
    return MappingProxyType(table)


GOVERNMENTS = tuple(map(_government, _rows("municipalities.tsv")))
"""All of them, by code; each prefecture before its municipalities."""

BY_CODE: Mapping[str, Government] = MappingProxyType({each.code: each for each in GOVERNMENTS})
"""Six digits → prefecture or municipality."""

PREFECTURES = tuple(each.name for each in GOVERNMENTS if each.kind == "prefecture")
"""Their names, by code."""

WARDS: Mapping[str, Ward] = MappingProxyType(
    {code: Ward(code=code, name=name, kana=kana, city=BY_CODE[city]) for code, city, name, kana in _rows("wards.tsv")}
)
"""Six digits → ward of a designated city."""

DESIGNATED_CITIES = frozenset(each.city.code for each in WARDS.values())
"""The codes of the cities that have wards."""

_BY_NAME = _by_name()
