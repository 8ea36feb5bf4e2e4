"""One thing that changed between two versions of a list."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trust_lists.model import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that changed. `code` is one of `comparing_words.SENTENCES`.

    `entity_id` is empty for what concerns the list itself. `values` are what came or went: fingerprints, addresses,
    uses; `before` and `after` are what one value was and is, as it stands in JSON ("" if not stated).
    """

    code: str
    widens: bool
    entity_id: str = ""
    roles: tuple[Role, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
