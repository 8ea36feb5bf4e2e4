"""Checks that ask about revocations: what is remembered is told where the check runs, everything else is asked for."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from federation.certificate.model import Asking, CertificateRefusedError, Standing, Status
from gateway.asking import drive
from gateway.outward import Outward
from tests.federation.certificate.authorities import AT, Issued, Region
from tests.gateway.responders import Now, Responders, knowing, responding

HOUR = timedelta(hours=1)


class Steps(Outward):
    """Counts the steps that run on a thread."""

    def __init__(self) -> None:
        super().__init__(seconds=5, size=2**20)
        self.count = 0

    async def run(self, work: Any) -> Any:
        """One more."""
        self.count += 1
        return await super().run(work)


def about(servers: Responders, *people: Issued) -> Asking[list[Status]]:
    """A check that asks about each of them, away from the event loop."""
    assert threading.current_thread() is not threading.main_thread()
    found = []
    for each in people:
        found.append((yield servers.question(each)))
        if found[-1].standing is Standing.REVOKED:
            raise CertificateRefusedError("revoked")
    return found


async def test_what_is_remembered_takes_no_way_to_the_event_loop() -> None:
    """The first time each is asked for; while that counts, one step does it all; then each is asked for again."""
    now = Now()
    async with responding(Region().issuing, now) as servers, knowing(now) as statuses:
        people = [servers.issue(name) for name in ("One", "Two")]
        outward = Steps()

        async def ask() -> tuple[list[Standing | None], int, int]:
            outward.count, before = 0, servers.asked["/ocsp"]
            found = await drive(about(servers, *people), outward=outward, statuses=statuses)
            return [each.standing for each in found], outward.count, servers.asked["/ocsp"] - before

        good = [Standing.GOOD, Standing.GOOD]
        assert await ask() == (good, 3, 2)
        assert await ask() == (good, 1, 0)
        now.passes(2 * HOUR)
        assert await ask() == (good, 3, 2)
        servers.authority.revoke(people[1].certificate, AT + 2 * HOUR)
        assert await ask() == (good, 1, 0)
        now.passes(2 * HOUR)
        for steps in (3, 1):
            outward.count = 0
            with pytest.raises(CertificateRefusedError, match="revoked"):
                await drive(about(servers, *people), outward=outward, statuses=statuses)
            assert outward.count == steps
        await outward.close()


async def test_what_was_recalled_counts_as_used() -> None:
    """Else it would be forgotten first, and not renewed in time."""
    now = Now()
    async with responding(Region().issuing, now) as servers, knowing(now) as statuses:
        issued = servers.issue()
        outward = Steps()
        for _ in range(2):
            await drive(about(servers, issued), outward=outward, statuses=statuses)
            now.passes(HOUR / 3)
        recalled = statuses.recalled(servers.question(issued))
        assert recalled is not None
        (held,) = [each for key, each in statuses._answers if key == recalled.key]
        assert held.times.used_at == AT + HOUR / 3
        await outward.close()
