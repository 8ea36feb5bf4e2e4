"""Addresses: their canonical parts (prefecture, city, town, block, building), and put together again.

Each part is taken if it is certain, and refused otherwise (`uncertain`); the address as a whole is mapped beside them
and keeps what the resident's town hall wrote. A part keeps its characters; only digits, hyphens and the words between
numbers come out in one form. `federation.transforms.address_parts` says how.
"""

from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from federation.transforms import places
from federation.transforms.address_parts import block_and_building, normalised, town_and_rest
from federation.transforms.base import Transforms, UnmappableError, Values, each, part_of, whole
from trust_lists.municipalities import Government

_PLACE_REASONS = ("uncertain", "ambiguous-name")
_REASONS = (*_PLACE_REASONS, "not-given")


def address_normalise(text: str) -> str:
    """An address with ASCII digits, one kind of hyphen beside numbers, and single spaces. Refuses `uncertain`."""
    return normalised(text)


def address_prefecture(place: places.Place) -> str:
    """The prefecture of an address; where it is left out, that of its municipality, if only one has that name.

    Refuses `uncertain` and `ambiguous-name`.
    """
    return place.prefecture


def address_city(place: places.Place) -> str:
    """The municipality of an address, with county and ward, as written there: 前橋市, 余市郡余市町, 札幌市中央区.

    Refuses `uncertain` (also for a designated city without its ward), `ambiguous-name`, `not-given`.
    """
    return _settled(place).city


def address_municipality_code(place: places.Place) -> str:
    """The code of the municipality that an address is in; of the city for one in a ward of a designated city.

    Refuses `uncertain`, `ambiguous-name`, `not-given`.
    """
    return _government(place).code


def address_street(parts: "_Parts") -> str:
    """The town in an address (大手町), without 丁目. Refuses `uncertain`, `ambiguous-name`, `not-given`."""
    return _given(parts.town)


def address_block(parts: "_Parts") -> str:
    """The numbers in an address, with hyphens: 2-12-1 for 二丁目12番1号.

    Refuses `uncertain`, `ambiguous-name`, `not-given`.
    """
    return _given(parts.block)


def address_building(parts: "_Parts") -> str:
    """The building and room in an address. Refuses `uncertain`, `ambiguous-name`, `not-given`."""
    return _given(parts.building)


def join_address(values: Values) -> Values:
    """Parts of an address, from the prefecture on, as one; after the numbers of the block a space."""
    joined = ""
    for value in values:
        joined += f" {value}" if joined.endswith(_ENDS_OF_BLOCKS) else value
    return (joined,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What stands after the municipality: "" where there is none of it; `block` and `building` None: not certain."""

    town: str
    block: str | None
    building: str | None


def _place(text: str) -> places.Place:
    return places.find(text.lstrip(_SPACES))


def _parts(text: str) -> _Parts:
    place = _settled(_place(normalised(text)))
    town, rest = town_and_rest(place.rest, place.city)
    block: str | None = None
    building: str | None = None
    with suppress(UnmappableError):
        block, building = block_and_building(rest)
    return _Parts(town=town, block=block, building=building)


def _government(place: places.Place) -> Government:
    if place.government is None:
        raise UnmappableError("uncertain" if place.rest.strip(_SPACES) else "not-given")
    return place.government


def _settled(place: places.Place) -> places.Place:
    _government(place)
    if place.ward_missing:
        raise UnmappableError("uncertain")
    return place


def _given(part: str | None) -> str:
    if not part:
        raise UnmappableError("uncertain" if part is None else "not-given")
    return part


_SPACES = " \u3000"
_ENDS_OF_BLOCKS = (*"0123456789", "丁目", "無番地", "番外地")

TRANSFORMS: Transforms = MappingProxyType(
    {
        "address-normalise": each(address_normalise, "uncertain"),
        "address-prefecture": part_of(_place, address_prefecture, *_PLACE_REASONS),
        "address-city": part_of(_place, address_city, *_REASONS),
        "address-municipality-code": part_of(_place, address_municipality_code, *_REASONS),
        "address-street": part_of(_parts, address_street, *_REASONS),
        "address-block": part_of(_parts, address_block, *_REASONS),
        "address-building": part_of(_parts, address_building, *_REASONS),
        "join-address": whole(join_address, ordered=True),
    }
)
"""Those of this module, by name."""
