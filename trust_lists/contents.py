"""What lists say, as digests: the same in every process and after a restart, whoever signed it and when."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any

from trust_lists.model import Pointer, TrustedEntity

_ALL = tuple(each.name for each in fields(TrustedEntity))
_POINTING = tuple(each.name for each in fields(Pointer))
_LASTING = tuple(name for name in _ALL if name not in ("entity_id", "roles", "listed_in", "valid_until"))


def digest(entities: Iterable[TrustedEntity], pointers: Iterable[Pointer] = ()) -> str:
    """SHA-256 of everything that a list says of entities, their ends and their order too, and of where it points."""
    return _hashed(chain(map(attrgetter(*_ALL), entities), map(attrgetter(*_POINTING), pointers)), _ALL)


def lasting(about: Sequence[str], entities: Iterable[TrustedEntity]) -> str:
    """SHA-256 of what entities say, except until when: a renewal does not change it. `about`: of whom, and as what."""
    return _hashed(map(attrgetter(*_LASTING), entities), (*about, *_LASTING))


def of_texts(*texts: str) -> str:
    """SHA-256 of some texts, told apart."""
    return _hashed((), texts)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, datetime):
        return value.timestamp()
    return sorted(value) if isinstance(value, frozenset) else dict(value)


_ENCODER = json.JSONEncoder(default=_plain, sort_keys=True, separators=(",", ":"), check_circular=False)
"""Members sorted: in which order a mapping was written means nothing."""


def _hashed(values: Iterable[Any], head: Sequence[str]) -> str:
    found = hashlib.sha256(_ENCODER.encode(head).encode())
    for value in values:  # one by one: a country's list as a single text would hold up every other thread
        found.update(b"\n" + _ENCODER.encode(value).encode())
    return found.hexdigest()
