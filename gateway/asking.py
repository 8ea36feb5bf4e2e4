"""Drives checks that must know of revocations: each step on a worker thread, each question to `CertificateStatuses`."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from federation.certificate.model import Asking, Status, StatusQuestion
from gateway.outward import Outward

T = TypeVar("T")


class Statuses(Protocol):
    """Who knows whether a certificate was revoked (`gateway/certificate_status.py`)."""

    async def status(self, question: StatusQuestion) -> Status:
        """What could be learned; never raises for what could not."""
        ...


class _End:
    """The value that a check returned (`StopIteration` cannot cross a future)."""

    def __init__(self, value: object) -> None:
        self.value: Any = value


async def drive(asking: Asking[T], *, outward: Outward, statuses: Statuses) -> T:
    """Run a check to its end and answer what it returns; what it raises goes through, and `Unavailable`."""
    step: Callable[[], StatusQuestion] = lambda: next(asking)  # noqa: E731 - rebound at each turn
    while True:
        question_or_end = await outward.run(_caught(step))
        if isinstance(question_or_end, _End):
            value: T = question_or_end.value
            return value
        step = _sender(asking, await statuses.status(question_or_end))


def _caught(step: Callable[[], StatusQuestion]) -> Callable[[], "StatusQuestion | _End"]:
    def run() -> StatusQuestion | _End:
        try:
            return step()
        except StopIteration as end:
            return _End(end.value)

    return run


def _sender(asking: Asking[Any], status: Status) -> Callable[[], StatusQuestion]:
    return lambda: asking.send(status)
