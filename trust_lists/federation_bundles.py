"""A federation as one document: the trust anchor's configuration and chains of statements, as they were collected.

JSON of exactly three members: `anchor` (the configuration, a JWS), `chains` (each an array of JWS from a subject's
configuration up to the anchor's word on the topmost entity) and `skipped` (entities that could not be collected, with
a reason code). The bundle itself is not signed and need not be: every statement in it is. The same statements make the
same octets, whatever order they came in.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trust_lists import strict_json

MAXIMUM_BYTES = 64 * 1024 * 1024

_MEMBERS = {"anchor", "chains", "skipped"}
_SKIPPED_MEMBERS = {"entity", "reason"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An entity that was not collected. Nobody signed this: it is for the operator, and decides nothing."""

    entity: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle holds; nothing in it is verified."""

    anchor: str
    chains: tuple[tuple[str, ...], ...]
    skipped: tuple[Skipped, ...] = ()


def dump(anchor: str, chains: Iterable[Iterable[str]], skipped: Iterable[Skipped] = ()) -> bytes:
    """Write a bundle, in one canonical order."""
    told = sorted({(each.entity, each.reason) for each in skipped})
    content = {
        "anchor": anchor,
        "chains": sorted({tuple(chain) for chain in chains}),
        "skipped": [{"entity": entity, "reason": reason} for entity, reason in told],
    }
    return json.dumps(content, separators=(",", ":")).encode()


def load(document: bytes) -> Bundle:
    """Read a bundle. Raises ValueError."""
    content = strict_json.loads(document)
    if not isinstance(content, dict) or set(content) != _MEMBERS:
        raise ValueError("an object with exactly anchor, chains and skipped is expected")
    anchor, chains, skipped = content["anchor"], content["chains"], content["skipped"]
    if not isinstance(anchor, str):
        raise ValueError("anchor: a signed entity configuration is expected")  # noqa: TRY004 - it is data
    if not isinstance(chains, list) or not all(
        isinstance(chain, list) and all(isinstance(token, str) for token in chain) for chain in chains
    ):
        raise ValueError("chains: arrays of signed statements are expected")
    if not isinstance(skipped, list) or not all(map(_is_skipped, skipped)):
        raise ValueError("skipped: objects of exactly entity and reason are expected")
    return Bundle(
        anchor=anchor,
        chains=tuple(map(tuple, chains)),
        skipped=tuple(Skipped(entity=each["entity"], reason=each["reason"]) for each in skipped),
    )


def _is_skipped(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == _SKIPPED_MEMBERS
        and all(isinstance(text, str) and text.isascii() and text.isprintable() for text in value.values())
    )
