"""The one table of all transforms, from the modules that have them."""

from types import MappingProxyType

from federation.transforms import (
    addresses,
    calendar,
    characters,
    contacts,
    facts,
    municipalities,
    names,
    readings,
    sexes,
)
from federation.transforms.base import Transform, Transforms

_MODULES = (characters, names, readings, calendar, sexes, municipalities, addresses, contacts, facts)


def _merged() -> Transforms:
    table: dict[str, Transform] = {}
    for module in _MODULES:
        for name, transform in module.TRANSFORMS.items():
            if name in table:
                raise ValueError(f"two transforms are called {name}")
            table[name] = transform
    return MappingProxyType(table)


TRANSFORMS = _merged()
"""Transform name, as maps write it → transform."""
