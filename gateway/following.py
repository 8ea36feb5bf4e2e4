"""Lists that other lists lead to, as sources of their own: found, fetched, staged and read as those of trust.yaml.

`trust_lists/following.py` says which pointers are followed. Who holds lists walks from each list of trust.yaml that has
`follow` through what is held of it, each time it looks: a pointer that is gone takes its list with it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.config import TrustSource
from gateway.lists import Shelf
from trust_lists import following
from trust_lists.certificates import fingerprint
from trust_lists.model import Fault, ListRefusedError, TrustList
from trust_lists.trusted_set import TrustedSet

Read = Callable[[TrustSource], TrustList | None]
"""How the holder of lists reads one that was found; None if no version of it is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a walk found: lists as sources, parents before children, and by list of trust.yaml what was left."""

    sources: tuple[TrustSource, ...] = ()
    left: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)


def follow(sources: Iterable[TrustSource], held: Mapping[str, TrustList | None], state: Path, read: Read) -> Followed:
    """Walk from each source that is to be followed, breadth first; `held` are their lists, by name."""
    found: list[TrustSource] = []
    left: dict[str, tuple[Fault, ...]] = {}
    for source in sources:
        word = held.get(source.name)
        if source.follow is not None and word is not None:
            reached, faults = _walk(source, word, state, read)
            found += reached
            left[source.name] = faults
    return Followed(sources=tuple(found), left=left)


def still(source: TrustSource, held: TrustList | None) -> TrustList | None:
    """The version held, if it may stay under what is now said of the list: signed by a key that is still named."""
    if held is None or held.format != source.format or held.anchor not in map(fingerprint, source.pins):
        return None
    return replace(held, valid_until=min(held.valid_until, source.until or held.valid_until))


def hold(source: TrustSource, trust: TrustedSet, held: TrustList | None) -> None:
    """Let the trusted set hold this version, or none."""
    if held is None:
        trust.drop(source.name)
    elif trust.list(source.name) is not held:
        try:
            trust.admit(held)
        except ListRefusedError:  # another node has seen a newer one
            trust.drop(source.name)


def _walk(
    source: TrustSource, word: TrustList, state: Path, read: Read
) -> tuple[tuple[TrustSource, ...], tuple[Fault, ...]]:
    most = source.follow.most if source.follow is not None else 0
    reached: dict[str, TrustSource] = {}
    left: list[Fault] = []
    queue = deque([(source, word)])
    while queue:
        above, said = queue.popleft()
        if above.follow is None:
            continue
        addresses = (*above.addresses, above.url or "")
        leads, faults = following.leads(said, above.follow, addresses=addresses)
        left += faults
        for lead in leads:
            where = f"pointer to {lead.location}"[:200]
            if above.follow.depth < 1:
                left.append(Fault(where=where, reason=f"not followed: it stands deeper than `depth` in {above.name}"))
            elif lead.location in reached:
                left.append(Fault(where=where, reason=f"not followed: {reached[lead.location].name} is this list"))
            elif len(reached) >= most:
                left.append(Fault(where=where, reason=f"not followed: `most` of {source.name} is {most} lists"))
            else:
                child = reached[lead.location] = _source(above, said, lead, addresses, state)
                held = read(child)
                if held is not None:
                    queue.append((child, held))
    return tuple(reached.values()), tuple(left)


def _source(
    above: TrustSource, said: TrustList, lead: following.Lead, addresses: tuple[str, ...], state: Path
) -> TrustSource:
    """What was found, under the rules of the one that led there."""
    assert above.follow is not None
    return TrustSource(
        name=lead.name,
        format=lead.format,
        file=Shelf(state, lead.name).current,
        anchors=lead.anchors,
        url=lead.location,
        approval=above.approval,
        private_addresses=above.private_addresses,
        follow=replace(above.follow, depth=above.follow.depth - 1),
        through=(*above.through, above.name),
        addresses=addresses,
        until=said.valid_until,
    )
