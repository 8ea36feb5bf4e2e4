"""How a service is reached: at which addresses, how these are watched, and how often a call is tried again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Every address is asked for `path`, after its base, each `seconds`: below 400 it is well."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """An address at which `failures` calls on end failed gets none for `seconds`, and longer each time."""

    failures: int = 5
    seconds: float = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """A call is sent `most` times more where that is safe; all of them together `budget_percent` of the calls."""

    most: int = 1
    budget_percent: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The base URLs of a service, and what is done about those that fail; None: nothing.

    `most_connections` is for each address.
    """

    targets: tuple[str, ...]
    most_connections: int = 256
    health: Health | None = None
    ejection: Ejection | None = None
    retries: Retries | None = None
