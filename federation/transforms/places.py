"""Which municipality stands at the beginning of a text: `群馬県前橋市…`, `余市郡余市町…`, `札幌市中央区…`.

The names are those of `trust_lists.municipalities`, with the county or without it, and found by their whole length:
四日市市 is no 四日市 with a 市 after it. Spaces between the parts and variation selectors do not count.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from federation.transforms.base import UnmappableError
from trust_lists.municipalities import DESIGNATED_CITIES, GOVERNMENTS, PREFECTURES, WARDS, Government, spelling

_SILENT = re.compile("[ \u3000\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_HEAD = 64
"""So many characters at the beginning are looked at."""
_SHORTEST_NAME, _LONGEST_NAME = 2, 10


class Place(NamedTuple):
    """What a text begins with: `city` as it is written there, with county and ward; `rest` is what comes after.

    `government` is None, and `city` empty, where only a prefecture is found. `ward_missing`: a designated city's
    name without one of its wards, which an address there has.
    """

    prefecture: str
    government: Government | None
    city: str
    rest: str
    ward: bool = False
    ward_missing: bool = False


_Named = tuple[str, tuple[tuple[Government, bool], ...]]
"""A name, as `spelling` gives it, and who is called so, with a ward or not."""


def find(text: str) -> Place:
    """The place that `text` begins with.

    A municipality is found in the prefecture that is named; without one, in the whole country, and must then be the
    only one of its name. Raises `UnmappableError`: `ambiguous-name`, or `uncertain` if the text begins with no place.
    """
    place = _found(text)
    if (place is None or place.government is None or place.ward_missing) and _SILENT.search(text, 0, _HEAD):
        place = _through_silent(text) or place
    if place is None:
        raise UnmappableError("uncertain")
    return place


def _found(text: str) -> Place | None:
    prefecture = text[:3] if text[:3] in _PREFECTURES else text[:4] if text[:4] in _PREFECTURES else ""
    begin = len(prefecture)
    head = spelling(text[begin : begin + _LONGEST_NAME])
    for name, known in _NAMES[prefecture].get(head[:_SHORTEST_NAME], ()):
        if not head.startswith(name):
            continue
        if len(known) > 1:
            raise UnmappableError("ambiguous-name")
        government, ward = known[0]
        end = begin + len(name)
        return Place(
            prefecture=government.prefecture,
            government=government,
            city=text[begin:end],
            rest=text[end:],
            ward=ward,
            ward_missing=not ward and government.code in DESIGNATED_CITIES,
        )
    if prefecture:
        return Place(prefecture=prefecture, government=None, city="", rest=text[begin:])
    return None


def _through_silent(text: str) -> Place | None:
    """What is found if silent characters are left out, in the text's own characters, without spaces."""
    heard = [at for at, character in enumerate(text[:_HEAD]) if not _SILENT.match(character)]
    compact = "".join(text[at] for at in heard)
    place = _found(compact)
    if place is None or place.government is None:
        return place and place._replace(rest=text[heard[len(place.prefecture) - 1] + 1 :])
    last = len(compact) - len(place.rest)
    end = heard[last] if last < len(heard) else len(text[:_HEAD])
    begin = heard[last - len(place.city)]
    city = "".join(text[begin:end].split())
    return place._replace(city=city, rest=text[end:])


def _names() -> Mapping[str, Mapping[str, tuple[_Named, ...]]]:
    """Prefecture, or "" for the whole country → how a name begins → the names that begin so, longest first."""
    tables: dict[str, dict[str, list[tuple[Government, bool]]]] = {each: {} for each in ("", *PREFECTURES)}

    def add(name: str, government: Government, *, ward: bool) -> None:
        for prefecture in ("", government.prefecture):
            tables[prefecture].setdefault(spelling(name), []).append((government, ward))

    for each in GOVERNMENTS:
        if each.kind != "prefecture":
            for name in {each.name, each.county + each.name}:
                add(name, each, ward=False)
    special = {each.name for each in GOVERNMENTS if each.kind == "special-ward"}
    for ward in WARDS.values():
        add(ward.city.name + ward.name, ward.city, ward=True)
        if ward.name in special:  # 中央区 by itself may be Tokyo's, or a ward of nine other cities
            tables[""][ward.name].append((ward.city, True))
    return MappingProxyType({prefecture: _by_beginning(table) for prefecture, table in tables.items()})


def _by_beginning(table: Mapping[str, list[tuple[Government, bool]]]) -> Mapping[str, tuple[_Named, ...]]:
    beginnings: dict[str, tuple[_Named, ...]] = {}
    for name in sorted(table, key=len, reverse=True):
        beginning = name[:_SHORTEST_NAME]
        beginnings[beginning] = (*beginnings.get(beginning, ()), (name, tuple(table[name])))
    return MappingProxyType(beginnings)


_PREFECTURES = frozenset(PREFECTURES)
_NAMES = _names()
