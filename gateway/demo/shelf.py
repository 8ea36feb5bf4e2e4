"""What a demo system remembers between two requests: values under keys that nobody can guess."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from gateway.clock import Clock

T = TypeVar("T")

KEY_BYTES = 24


class Shelf(Generic[T]):
    """Values in memory, bounded in time and number; when it is full, the oldest makes room."""

    def __init__(self, lifetime: timedelta, clock: Clock, *, limit: int = 2000) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._limit = limit
        self._items: OrderedDict[str, tuple[datetime, T]] = OrderedDict()

    def put(self, value: T, key: str | None = None) -> str:
        """Keep `value` under `key`, or under a new key; answers the key."""
        key = key or secrets.token_urlsafe(KEY_BYTES)
        self._items.pop(key, None)
        while len(self._items) >= self._limit:
            self._items.popitem(last=False)
        self._items[key] = (self._clock() + self._lifetime, value)
        return key

    def read(self, key: str | None) -> T | None:
        """The value, which stays, or None where there is none or its time is over."""
        until, value = self._items.get(key or "", (None, None))
        return value if until is not None and self._clock() < until else None

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        """Forget every value that is `unwanted`."""
        for key in [key for key, (_, value) in self._items.items() if unwanted(value)]:
            del self._items[key]

    def take(self, key: str | None) -> T | None:
        """The value, which is gone afterwards, or None."""
        value = self.read(key)
        self._items.pop(key or "", None)
        return value
