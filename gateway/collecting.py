"""A federation's thousands of documents, fetched one after another into one bundle (OpenID Federation 1.0 §17.2.2).

`trust_lists/federation_collecting.py` knows what is wanted next; here it is fetched, within bounds. Signatures are
looked at on a thread.
"""

import asyncio
from collections import defaultdict
from datetime import datetime

from gateway import lists
from gateway.config import TrustSource
from gateway.fetching import Fetcher, FetchRefusedError
from trust_lists import federation_collecting
from trust_lists.federation_collecting import Collecting, Wanted
from trust_lists.model import ListRefusedError

SECONDS, BRANCH_SECONDS, PIECE_SECONDS = 1800.0, 900.0, 10.0
"""How long all of it may take, what lies below one immediate subordinate of the anchor, and each document."""

ONCE_MORE = frozenset({"truncated", "unreachable"})
"""Roads that may be better at the second try."""


async def collect(source: TrustSource, fetcher: Fetcher, *, now: datetime) -> bytes:
    """Collect the federation of `source.entity`.

    Of a subordinate that does not answer now, what it said in the bundle in force is taken, as long as that is valid
    and its superior still vouches for it; one that never answered is left out. The bundle tells of those, and its
    reader reports them as faults of the list.

    Raises `FetchRefusedError`, and `ListRefusedError` if the trust anchor is not believed.
    """
    entity = source.entity or ""
    previous = await asyncio.to_thread(_previous, source)
    walk = federation_collecting.collect(entity, anchors=source.pins, now=now, previous=previous)
    first: FetchRefusedError | None = None
    answer: bytes | None = None
    spent: defaultdict[str, float] = defaultdict(float)  # a slow branch keeps no changes of the others from us
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(SECONDS):
            while not isinstance(step := await asyncio.to_thread(_step, walk, answer), bytes):
                if step.branch and spent[step.branch] > BRANCH_SECONDS:
                    answer = None
                    continue
                begun = clock()
                try:
                    answer = await _piece(source, fetcher, step)
                except FetchRefusedError as fault:
                    first, answer = first or fault, None
                spent[step.branch] += clock() - begun
    except TimeoutError:
        raise FetchRefusedError(
            "timeout",
            f"{entity}: expected a federation that is collected within {SECONDS:.0f} s. Ask its operator; the list in "
            "force stays meanwhile.",
        ) from None
    except ListRefusedError as fault:
        if fault.code == "unanswered" and first is not None:
            raise first from None
        raise
    return step


def _previous(source: TrustSource) -> bytes | None:
    """The bundle in force, from which comes what an entity said of itself that does not answer now."""
    try:
        return lists.content(source.file, source)
    except OSError:
        return None


async def _piece(source: TrustSource, fetcher: Fetcher, wanted: Wanted) -> bytes:
    """One document. Raises `FetchRefusedError`."""
    try:
        return await _asked(source, fetcher, wanted)
    except FetchRefusedError as fault:
        if fault.code not in ONCE_MORE:
            raise
    return await _asked(source, fetcher, wanted)


async def _asked(source: TrustSource, fetcher: Fetcher, wanted: Wanted) -> bytes:
    found = await fetcher.fetch(
        wanted.url,
        limit=wanted.limit,
        private=source.private_addresses,
        accept=wanted.media_type,
        seconds=PIECE_SECONDS,
        beyond=source.entity,
    )
    assert found is not None  # nothing was asked conditionally
    return found.body


def _step(walk: Collecting[bytes], answer: bytes | None) -> Wanted | bytes:
    """What is wanted next, or the bundle at the end."""
    try:
        return walk.send(answer)  # None begins it, too
    except StopIteration as end:
        bundle: bytes = end.value
        return bundle
