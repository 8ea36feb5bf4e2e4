"""Drives checks that must know of revocations: each step on a worker thread, each question to `CertificateStatuses`.

What is remembered is told on that thread, so that a check goes from its beginning to its end in one step, mostly. A
brief check (`Outward`) is done on the event loop, which serves others at each question.
"""

import asyncio
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from federation.certificate.model import Asking, Status, StatusQuestion
from gateway.outward import Outward

T = TypeVar("T")


class Recalled(NamedTuple):
    """A status that is remembered, and where."""

    status: Status
    key: Hashable


class Statuses(Protocol):
    """Who knows whether a certificate was revoked (`gateway/certificate_status.py`)."""

    async def status(self, question: StatusQuestion) -> Status:
        """What could be learned; never raises for what could not."""
        ...

    def recalled(self, question: StatusQuestion) -> Recalled | None:
        """What `status` would answer without asking anybody, from any thread; it does not count as used."""
        ...

    def used(self, key: Hashable) -> None:
        """Count what was recalled as used."""
        ...


class _End:
    """The value that a check returned (`StopIteration` cannot cross a future)."""

    def __init__(self, value: object) -> None:
        self.value: Any = value


async def drive(asking: Asking[T], *, outward: Outward, statuses: Statuses, brief: bool = False) -> T:
    """Run a check to its end and answer what it returns; what it raises goes through, and `Unavailable`."""
    if brief:
        return await _here(asking, statuses)
    step: Callable[[], StatusQuestion] = lambda: next(asking)  # noqa: E731 - rebound at each turn
    while True:
        recalled: list[Recalled] = []
        question_or_end = await outward.run(partial(_onward, asking, step, statuses, recalled))
        for each in recalled:
            statuses.used(each.key)
        if isinstance(question_or_end, _End):
            value: T = question_or_end.value
            return value
        step = partial(asking.send, await statuses.status(question_or_end))


async def _here(asking: Asking[T], statuses: Statuses) -> T:
    """The same on the event loop."""
    try:
        question = next(asking)
        while True:
            known = statuses.recalled(question)
            if known is not None:
                statuses.used(known.key)
                await asyncio.sleep(0)
            question = asking.send(await statuses.status(question) if known is None else known.status)
    except StopIteration as end:
        value: T = end.value
        return value


def _onward(
    asking: Asking[Any], step: Callable[[], StatusQuestion], statuses: Statuses, recalled: list[Recalled]
) -> StatusQuestion | _End:
    """Go on until somebody must be asked, or to the end."""
    try:
        question = step()
        while (known := statuses.recalled(question)) is not None:
            recalled.append(known)
            question = asking.send(known.status)
    except StopIteration as end:
        return _End(end.value)
    return question
