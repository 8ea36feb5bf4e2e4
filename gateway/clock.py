"""The one place where the time of day comes from; everything else is given it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)
